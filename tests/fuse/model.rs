//! Random operations on kelp's overlay, the kernel's overlay and a plain directory: same results,
//! same errors, same trees, also after each driver mounted the other's upper directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FallocateFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::mounts::{Kelp, Random, Scratch, mount_kernel, number, unmount_kernel};

const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", ".g", "a long name with spaces in it"];

#[derive(Debug, Clone)]
enum Op {
    Create(String, u32),
    Write(String, u64, Vec<u8>),
    Append(String, Vec<u8>),
    Truncate(String, u64),
    Read(String),
    Unlink(String),
    Mkdir(String, u32),
    Rmdir(String),
    Rename(String, String, RenameFlags),
    Link(String, String),
    Symlink(String, String),
    Readlink(String),
    Chmod(String, u32),
    SetXattr(String, usize, Vec<u8>),
    GetXattr(String, usize),
    RemoveXattr(String, usize),
    ListXattr(String),
    Times(String, i64),
    Fifo(String),
    Stat(String),
    List(String),
    Punch(String, u64),
    Hold(String, usize),
    HeldWrite(usize, u64, Vec<u8>),
    HeldRead(usize),
    HeldStat(usize),
}

struct Side {
    root: PathBuf,
    held: Vec<Option<File>>,
}

type Outcome = Result<String, Errno>;

fn io(e: std::io::Error) -> Errno {
    Errno::from_raw_os_error(e.raw_os_error().unwrap_or(0))
}

fn xattr(n: usize) -> String {
    format!("user.test{n}")
}

impl Side {
    fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), held: (0..4).map(|_| None).collect() }
    }

    fn open(&self, path: &str, flags: OFlags, mode: u32) -> Result<File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::open(self.root.join(path), flags, Mode::from_raw_mode(mode)).map(File::from)
    }

    fn apply(&mut self, op: &Op) -> Outcome {
        let at = |p: &String| self.root.join(p);
        let ok = |()| String::new();
        match op {
            Op::Create(p, mode) => self.open(p, OFlags::CREATE | OFlags::EXCL | OFlags::RDWR, *mode).map(|_| String::new()),
            Op::Write(p, offset, data) => {
                self.open(p, OFlags::WRONLY, 0)?.write_all_at(data, *offset).map(ok).map_err(io)
            }
            Op::Append(p, data) => {
                let mut file = self.open(p, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE, 0o640)?;
                file.write_all(data).map(ok).map_err(io)
            }
            Op::Truncate(p, size) => self.open(p, OFlags::WRONLY, 0)?.set_len(*size).map(ok).map_err(io),
            Op::Read(p) => {
                let mut text = Vec::new();
                self.open(p, OFlags::RDONLY, 0)?.read_to_end(&mut text).map_err(io)?;
                Ok(format!("{:x}", digest(&text)))
            }
            Op::Unlink(p) => fs::remove_file(at(p)).map(ok).map_err(io),
            Op::Mkdir(p, mode) => rustix::fs::mkdir(at(p), Mode::from_raw_mode(*mode)).map(ok),
            Op::Rmdir(p) => fs::remove_dir(at(p)).map(ok).map_err(io),
            Op::Rename(a, b, flags) => rustix::fs::renameat_with(CWD, at(a), CWD, at(b), *flags).map(ok),
            Op::Link(a, b) => fs::hard_link(at(a), at(b)).map(ok).map_err(io),
            Op::Symlink(to, p) => std::os::unix::fs::symlink(to, at(p)).map(ok).map_err(io),
            Op::Readlink(p) => fs::read_link(at(p)).map(|l| l.display().to_string()).map_err(io),
            Op::Chmod(p, mode) => {
                if fs::symlink_metadata(at(p)).map_err(io)?.is_symlink() {
                    return Err(Errno::LOOP);
                }
                fs::set_permissions(at(p), fs::Permissions::from_mode(*mode)).map(ok).map_err(io)
            }
            Op::SetXattr(p, n, value) => {
                rustix::fs::lsetxattr(at(p), xattr(*n), value, XattrFlags::empty()).map(ok)
            }
            Op::GetXattr(p, n) => {
                let mut buffer = [0; 64];
                let len = rustix::fs::lgetxattr(at(p), xattr(*n), &mut buffer[..])?;
                Ok(format!("{:?}", &buffer[..len]))
            }
            Op::RemoveXattr(p, n) => rustix::fs::lremovexattr(at(p), xattr(*n)).map(ok),
            Op::ListXattr(p) => Ok(names(&at(p))?.join(" ")),
            Op::Times(p, seconds) => {
                let time = Timespec { tv_sec: *seconds, tv_nsec: 7 };
                let times = Timestamps { last_access: time, last_modification: time };
                rustix::fs::utimensat(CWD, at(p), &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?;
                let meta = fs::symlink_metadata(at(p)).map_err(io)?;
                Ok(format!("{} {}", meta.mtime(), meta.mtime_nsec()))
            }
            Op::Fifo(p) => rustix::fs::mknodat(CWD, at(p), rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o644), 0).map(ok),
            Op::Stat(p) => fs::symlink_metadata(at(p)).map(|m| describe(&m)).map_err(io),
            Op::List(p) => {
                let entries = fs::read_dir(at(p)).map_err(io)?;
                let mut names: Vec<_> = entries.map(|e| e.map(|e| e.file_name())).collect::<Result<_, _>>().map_err(io)?;
                names.sort();
                Ok(format!("{names:?}"))
            }
            Op::Punch(p, offset) => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                rustix::fs::fallocate(self.open(p, OFlags::WRONLY, 0)?, flags, *offset, 5000).map(ok)
            }
            Op::Hold(p, slot) => {
                let file = self.open(p, OFlags::RDWR, 0)?;
                if !file.metadata().map_err(io)?.is_file() {
                    return Err(Errno::INVAL);
                }
                self.held[*slot] = Some(file);
                Ok(String::new())
            }
            Op::HeldWrite(slot, offset, data) => match &self.held[*slot] {
                Some(file) => file.write_all_at(data, *offset).map(ok).map_err(io),
                None => Err(Errno::BADF),
            },
            Op::HeldRead(slot) => match &mut self.held[*slot] {
                Some(file) => {
                    let mut text = Vec::new();
                    file.seek(SeekFrom::Start(0)).map_err(io)?;
                    file.read_to_end(&mut text).map_err(io)?;
                    Ok(format!("{:x}", digest(&text)))
                }
                None => Err(Errno::BADF),
            },
            Op::HeldStat(slot) => match &self.held[*slot] {
                Some(file) => rustix::fs::fstat(file.as_fd()).map(|s| format!("{} {}", s.st_nlink, s.st_size)),
                None => Err(Errno::BADF),
            },
        }
    }
}

pub(crate) fn digest(data: &[u8]) -> u64 {
    data.iter().fold(0xcbf2_9ce4_8422_2325, |h, &b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)) ^ data.len() as u64
}

fn describe(meta: &fs::Metadata) -> String {
    let (size, links) = if meta.is_dir() { (0, 0) } else { (meta.len(), meta.nlink()) };
    format!("{:o} {size} {links} {} {}", meta.mode(), meta.uid(), meta.gid())
}

fn names(path: &Path) -> Result<Vec<String>, Errno> {
    let mut buffer = [0; 4096];
    let len = rustix::fs::llistxattr(path, &mut buffer[..])?;
    let names = buffer[..len].split(|&b| b == 0).filter(|n| n.starts_with(b"user."));
    let mut names: Vec<_> = names.map(|n| String::from_utf8_lossy(n).into_owned()).collect();
    names.sort();
    Ok(names)
}

/// Everything one can see of a tree.
pub(crate) fn tree(root: &Path) -> BTreeMap<PathBuf, String> {
    let mut seen = BTreeMap::new();
    let mut next = vec![root.to_owned()];
    while let Some(dir) = next.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let mut text = describe(&meta);
            if meta.is_dir() {
                next.push(path.clone());
            } else if meta.is_symlink() {
                text += &format!(" -> {}", fs::read_link(&path).unwrap().display());
            } else if meta.is_file() {
                text += &format!(" {:x}", digest(&fs::read(&path).unwrap()));
            }
            for name in names(&path).unwrap_or_default() {
                let mut buffer = [0; 64];
                let len = rustix::fs::lgetxattr(&path, &name, &mut buffer[..]).unwrap();
                text += &format!(" {name}={:?}", &buffer[..len]);
            }
            seen.insert(path.strip_prefix(root).unwrap().to_owned(), text);
        }
    }
    seen
}

fn path(random: &mut Random) -> String {
    let depth = [1, 1, 2, 2, 2, 3, 3, 4][random.below(8)];
    let parts: Vec<_> = (0..depth).map(|_| NAMES[random.below(NAMES.len())]).collect();
    parts.join("/")
}

fn bytes(random: &mut Random, most: usize) -> Vec<u8> {
    let len = random.below(most) + 1;
    let byte = random.next().to_le_bytes()[0] | 1;
    vec![byte; len]
}

fn choose(random: &mut Random) -> Op {
    let (p, q) = (path(random), path(random));
    let slot = random.below(4);
    match random.below(33) {
        0..=3 => Op::Create(p, [0o644, 0o600, 0o755, 0o444][random.below(4)]),
        4..=5 => Op::Write(p, random.next() % 20000, bytes(random, 9000)),
        6 => Op::Append(p, bytes(random, 9000)),
        7 => Op::Truncate(p, random.next() % 30000),
        8 => Op::Read(p),
        9..=10 => Op::Unlink(p),
        11..=13 => Op::Mkdir(p, [0o755, 0o700, 0o2775][random.below(3)]),
        14..=15 => Op::Rmdir(p),
        16..=18 => {
            let flags = [RenameFlags::empty(), RenameFlags::empty(), RenameFlags::NOREPLACE, RenameFlags::EXCHANGE];
            Op::Rename(p, q, flags[random.below(4)])
        }
        19 => Op::Link(p, q),
        20 => Op::Symlink(q, p),
        21 => Op::Readlink(p),
        22 => Op::Chmod(p, [0o644, 0o755, 0o600, 0o4755][random.below(4)]),
        23 => Op::SetXattr(p, slot, bytes(random, 40)),
        24 => [Op::GetXattr(p.clone(), slot), Op::ListXattr(p)][random.below(2)].clone(),
        25 => Op::RemoveXattr(p, slot),
        26 => Op::Times(p, (random.next() % 2_000_000_000) as i64 - 100_000_000),
        27 => Op::Fifo(p),
        28 => Op::Stat(p),
        29 => Op::List(p),
        30 => [Op::Punch(p.clone(), random.next() % 9000), Op::Hold(p, slot)][random.below(2)].clone(),
        31 => Op::HeldWrite(slot, random.next() % 9000, bytes(random, 5000)),
        _ => [Op::HeldRead(slot), Op::HeldStat(slot)][random.below(2)].clone(),
    }
}

/// Fills a directory at random.
fn populate(root: &Path, random: &mut Random) {
    let mut side = Side::new(root);
    for _ in 0..60 {
        let op = match choose(random) {
            Op::Link(..) | Op::Hold(..) => continue,
            Op::Read(p) | Op::Stat(p) | Op::List(p) | Op::Unlink(p) => Op::Mkdir(p, 0o755),
            op => op,
        };
        side.apply(&op).ok();
    }
}

pub(crate) fn run() {
    let seed = number("KELP_FUSE_SEED", 1);
    let count = number("KELP_FUSE_OPS", 4000);
    let runs = number("KELP_FUSE_RUNS", 3);
    rustix::process::umask(Mode::from_raw_mode(0o022));
    for seed in seed..seed + runs {
        one(seed, count);
    }
}

fn one(seed: u64, count: u64) {
    let mut random = Random(seed);
    let scratch = Scratch::new("model");
    let lowers: Vec<PathBuf> = (0..3).map(|n| scratch.dir(&format!("lower{n}"))).collect();
    for lower in &lowers {
        populate(lower, &mut random);
    }
    let mut uppers = [(scratch.dir("ku"), scratch.dir("kw")), (scratch.dir("ou"), scratch.dir("ow"))];
    let (k, o, p) = (scratch.dir("kelp"), scratch.dir("kernel"), scratch.dir("plain"));
    let mut kelp = Kelp::mount(&lowers, &uppers[0].0, &uppers[0].1, &k);
    mount_kernel(&lowers, &uppers[1].0, &uppers[1].1, &o);
    assert!(std::process::Command::new("cp").arg("-aT").args([&o, &p]).status().unwrap().success());
    let mut sides = [Side::new(&k), Side::new(&o), Side::new(&p)];
    for n in 0..count {
        let op = choose(&mut random);
        let first = sides[0].apply(&op);
        let second = sides[1].apply(&op);
        assert_eq!(first, second, "seed {seed} op {n}: kelp and the kernel's overlay differ on {op:?}");
        if first != Err(Errno::XDEV) {
            let third = sides[2].apply(&op);
            assert_eq!(first, third, "seed {seed} op {n}: kelp and a plain directory differ on {op:?}");
        }
        if n % 500 == 499 {
            same(seed, n, &k, &o, &p);
            for side in &mut sides {
                side.held.fill_with(|| None);
            }
            kelp.unmount();
            unmount_kernel(&o);
            // Each driver goes on with what the other wrote.
            uppers.swap(0, 1);
            kelp = Kelp::mount(&lowers, &uppers[0].0, &uppers[0].1, &k);
            mount_kernel(&lowers, &uppers[1].0, &uppers[1].1, &o);
            same(seed, n, &k, &o, &p);
        }
    }
    sides.iter_mut().for_each(|s| s.held.clear());
    kelp.unmount();
    unmount_kernel(&o);
}

fn same(seed: u64, n: u64, kelp: &Path, kernel: &Path, plain: &Path) {
    let (a, b, c) = (tree(kelp), tree(kernel), tree(plain));
    for (name, other) in [("the kernel's overlay", b), ("a plain directory", c)] {
        for path in a.keys().chain(other.keys()) {
            assert_eq!(a.get(path), other.get(path), "seed {seed} op {n}: {} differs from {name}", path.display());
        }
    }
    assert!(a.keys().all(|p| !p.as_os_str().as_bytes().is_empty()));
}
