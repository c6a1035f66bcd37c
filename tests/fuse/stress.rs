//! Long random runs: one file against a copy in memory, and many threads on one tree. The server must live, and what the
//! kernel's overlay shows of the upper directory afterwards must be what kelp's showed.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FallocateFlags, RenameFlags, XattrFlags};

use super::model::tree;
use super::mounts::{Kelp, Random, Scratch, mount_kernel, number, unmount_kernel};

/// As much as the file of the first test grows to.
const MOST: usize = 400_000;

/// One file: reads, writes, truncations, holes and copies at random places, by several descriptors.
pub(crate) fn one_file() {
    one_file_with("");
    one_file_with(",writeback");
}

fn one_file_with(options: &str) {
    let seed = number("KELP_FUSE_SEED", 1);
    let count = number("KELP_FUSE_OPS", 4000);
    let scratch = Scratch::new("fsx");
    let (lower, upper, work, target) =
        (scratch.dir("lower"), scratch.dir("upper"), scratch.dir("work"), scratch.dir("target"));
    let mut random = Random(seed);
    let mut wanted: Vec<u8> = (0..MOST / 2).map(|_| random.next().to_le_bytes()[0]).collect();
    fs::write(lower.join("file"), &wanted).unwrap();
    let lowers = [lower];
    let mut kelp = Kelp::mount_with(&lowers, &upper, &work, &target, options);
    let path = target.join("file");
    let open = |random: &mut Random| OpenOptions::new().read(true).write(true).append(random.below(9) == 0).open(&path).unwrap();
    let mut files: Vec<File> = Vec::new();
    for n in 0..count {
        while files.len() < 3 {
            files.push(open(&mut random));
        }
        let file = &files[random.below(3)];
        let at = random.below(MOST);
        let len = 1 + if random.below(3) == 0 { random.below(60_000) } else { random.below(3000) };
        let end = (at + len).min(MOST);
        match random.below(12) {
            0..=3 => {
                let at = at.min(wanted.len());
                let mut text = vec![0; len.min(wanted.len() - at)];
                file.read_exact_at(&mut text, at as u64).unwrap();
                assert!(text == wanted[at..at + text.len()], "seed {seed} op {n}: read of {len} at {at}");
            }
            4..=6 => {
                let data: Vec<u8> = std::iter::repeat_n(random.next().to_le_bytes()[0], end - at).collect();
                let appends = rustix::fs::fcntl_getfl(file).unwrap().contains(rustix::fs::OFlags::APPEND);
                let at = if appends { wanted.len() } else { at };
                if at + data.len() > MOST {
                    continue;
                }
                file.write_all_at(&data, at as u64).unwrap();
                wanted.resize(wanted.len().max(at + data.len()), 0);
                wanted[at..at + data.len()].copy_from_slice(&data);
            }
            7 => {
                file.set_len(at as u64).unwrap();
                wanted.resize(at, 0);
            }
            8 => {
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                rustix::fs::fallocate(file, flags, at as u64, len as u64).unwrap();
                let (from, to) = (at.min(wanted.len()), (at + len).min(wanted.len()));
                wanted[from..to].fill(0);
            }
            9 => {
                let (from, to) = (random.below(wanted.len() + 1), at);
                let len = len.min(MOST - to);
                let apart = from + len <= to || to + len <= from;
                let other = &files[random.below(3)];
                if !apart || [file, other].iter().any(|f| rustix::fs::fcntl_getfl(f).unwrap().contains(rustix::fs::OFlags::APPEND)) {
                    continue;
                }
                let (mut a, mut b) = (from as u64, to as u64);
                let done = rustix::fs::copy_file_range(file, Some(&mut a), other, Some(&mut b), len).unwrap();
                let copied = wanted[from..from + done].to_vec();
                wanted.resize(wanted.len().max(to + done), 0);
                wanted[to..to + done].copy_from_slice(&copied);
            }
            10 => {
                assert_eq!(file.metadata().unwrap().len(), wanted.len() as u64, "seed {seed} op {n}: size");
                files.remove(random.below(3));
            }
            _ if n % 40 == 0 => {
                files.clear();
                kelp.unmount();
                kelp = Kelp::mount_with(&lowers, &upper, &work, &target, options);
                assert!(fs::read(&path).unwrap() == wanted, "seed {seed} op {n}: after a new mount");
            }
            _ => file.sync_data().unwrap(),
        }
    }
    assert!(fs::read(&path).unwrap() == wanted, "seed {seed}: at the end");
    drop(files);
    kelp.unmount();
}

fn place(root: &Path, random: &mut Random) -> PathBuf {
    let mut path = root.to_owned();
    for _ in 0..random.below(3) {
        path.push(format!("d{}", random.below(4)));
    }
    path.join(format!("f{}", random.below(12)))
}

/// Anything, anywhere; errors are expected, wrong ones show in the server's end.
fn disturb(root: &Path, seed: u64, count: u64) {
    let mut random = Random(seed);
    let mut held = Vec::new();
    for _ in 0..count {
        let (a, b) = (place(root, &mut random), place(root, &mut random));
        let len = random.below(30_000);
        match random.below(18) {
            0..=2 => drop(fs::write(&a, vec![b'w'; len])),
            3 => drop(OpenOptions::new().append(true).open(&a).and_then(|f| f.write_all_at(b"more", 0))),
            4 => drop(fs::read(&a)),
            5 => drop(fs::remove_file(&a)),
            6 => drop(fs::create_dir_all(a.parent().unwrap())),
            7 => drop(fs::remove_dir(a.parent().unwrap())),
            8 => drop(fs::rename(&a, &b)),
            9 => drop(fs::rename(a.parent().unwrap(), b.parent().unwrap())),
            10 => drop(rustix::fs::renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE)),
            11 => drop(fs::hard_link(&a, &b)),
            12 => drop(std::os::unix::fs::symlink("f1", &a)),
            13 => drop(fs::set_permissions(&a, fs::Permissions::from_mode(0o600 + (len % 64) as u32))),
            14 => drop(rustix::fs::setxattr(&a, "user.t", &len.to_le_bytes(), XattrFlags::empty())),
            15 => drop(fs::read_dir(a.parent().unwrap()).map(|d| d.flatten().map(|e| e.metadata().map(|m| m.len()).unwrap_or(0)).sum::<u64>())),
            16 => drop(OpenOptions::new().write(true).open(&a).and_then(|f| f.set_len(len as u64))),
            _ => {
                held.extend(OpenOptions::new().read(true).write(true).open(&a));
                if held.len() > 10 {
                    let file: File = held.remove(0);
                    assert!(file.metadata().is_ok(), "an open file can always be looked at");
                    file.write_all_at(b"held", 3).ok();
                }
            }
        }
    }
}

/// Many threads on one tree.
pub(crate) fn many_threads() {
    let seed = number("KELP_FUSE_SEED", 1);
    let count = number("KELP_FUSE_OPS", 4000) / 2;
    let scratch = Scratch::new("stress");
    let (lower, upper, work, target) =
        (scratch.dir("lower"), scratch.dir("upper"), scratch.dir("work"), scratch.dir("target"));
    disturb(&lower, seed, 300);
    let lowers = [lower];
    let mut kelp = Kelp::mount(&lowers, &upper, &work, &target);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let target = &target;
            scope.spawn(move || disturb(target, seed * 100 + n, count));
        }
    });
    assert!(kelp.server.try_wait().unwrap().is_none(), "the server ended");
    let seen = tree(&target);
    kelp.unmount();
    mount_kernel(&lowers, &upper, &work, &target);
    let kernel = tree(&target);
    for path in seen.keys().chain(kernel.keys()) {
        assert_eq!(seen.get(path), kernel.get(path), "seed {seed}: {} after the run", path.display());
    }
    unmount_kernel(&target);
}

/// Many layers: every one is seen, the upper ones hide the lower ones.
pub(crate) fn many_layers() {
    const LAYERS: usize = 500;
    let scratch = Scratch::new("layers");
    // Short names, as all must fit one argument.
    std::env::set_current_dir(&scratch.0).unwrap();
    let lowers: Vec<PathBuf> = (0..LAYERS).map(|n| PathBuf::from(format!("l{n}"))).collect();
    for (n, lower) in lowers.iter().enumerate() {
        fs::create_dir_all(lower.join("dir/sub")).unwrap();
        fs::write(lower.join(format!("dir/file{n}")), n.to_string()).unwrap();
        fs::write(lower.join("dir/same"), n.to_string()).unwrap();
    }
    let (upper, work, target) = (scratch.dir("upper"), scratch.dir("work"), scratch.dir("target"));
    let kelp = Kelp::mount(&lowers, &upper, &work, &target);
    assert_eq!(fs::read_to_string(target.join("dir/same")).unwrap(), "0", "the topmost");
    assert_eq!(fs::read_dir(target.join("dir")).unwrap().count(), LAYERS + 2);
    assert_eq!(fs::read_to_string(target.join(format!("dir/file{}", LAYERS - 1))).unwrap(), (LAYERS - 1).to_string());
    fs::remove_file(target.join("dir/same")).unwrap();
    assert!(!target.join("dir/same").exists());
    fs::remove_dir_all(target.join("dir")).unwrap();
    fs::create_dir(target.join("dir")).unwrap();
    assert_eq!(fs::read_dir(target.join("dir")).unwrap().count(), 0, "a new directory hides all");
    kelp.unmount();
}

fn resident(server: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{server}/status")).unwrap();
    let line = text.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A directory of 200,000 files: listed in full, once each, with a server that stays small, and that forgets.
pub(crate) fn many_files() {
    let files = number("KELP_FUSE_FILES", 200_000) as usize;
    let scratch = Scratch::new("many");
    // In memory: making so many files on a disk is not what is tested.
    let memory = scratch.dir("memory");
    rustix::mount::mount("tmpfs", &memory, "tmpfs", rustix::mount::MountFlags::empty(), c"").unwrap();
    let lower = memory.join("lower");
    fs::create_dir_all(lower.join("dir")).unwrap();
    for n in 0..files {
        File::create(lower.join(format!("dir/a file with a name of usual length {n}"))).unwrap();
    }
    let (upper, work, target) = (scratch.dir("upper"), scratch.dir("work"), scratch.dir("target"));
    let kelp = Kelp::mount(&[lower], &upper, &work, &target);
    let pid = kelp.server.id();
    let start = resident(pid);
    let mut names = std::collections::HashSet::new();
    for entry in fs::read_dir(target.join("dir")).unwrap() {
        assert!(names.insert(entry.unwrap().file_name()), "a name came twice");
    }
    assert_eq!(names.len(), files);
    let listed = resident(pid);
    let sizes: u64 = fs::read_dir(target.join("dir")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(sizes, 0);
    let known = resident(pid);
    eprintln!("server: {start} kB, {listed} kB after a listing of {files}, {known} kB with all known");
    let each = (known - start) * 1024 / files as u64;
    assert!(each < 1000, "{each} bytes of memory for each file the kernel knows");
    // What is removed is forgotten: the same again needs no more.
    let mut after = Vec::new();
    for _ in 0..4 {
        let dir = target.join("round");
        fs::create_dir(&dir).unwrap();
        (0..5000).for_each(|n| fs::write(dir.join(n.to_string()), "x").unwrap());
        fs::remove_dir_all(&dir).unwrap();
        after.push(resident(pid));
    }
    assert!(after[3] < after[1] + 4000, "memory grows: {after:?} kB");
    kelp.unmount();
    rustix::mount::unmount(&memory, rustix::mount::UnmountFlags::DETACH).unwrap();
}

/// Owners and modes kept in an attribute instead of the file: what is set is shown, the real file stays plain.
pub(crate) fn kept_owners() {
    let scratch = Scratch::new("owners");
    let (lower, upper, work, target) =
        (scratch.dir("lower"), scratch.dir("upper"), scratch.dir("work"), scratch.dir("target"));
    fs::write(lower.join("low"), "low").unwrap();
    rustix::fs::setxattr(lower.join("low"), "user.containers.override_stat", b"0:0:0640", XattrFlags::empty()).unwrap();
    rustix::fs::setxattr(&lower, "user.containers.override_stat", b"0:0:0755", XattrFlags::empty()).unwrap();
    let lowers = [lower];
    let mount = || Kelp::mount_with(&lowers, &upper, &work, &target, ",xattr_permissions,uidmapping=0:0:1,gidmapping=0:0:1");
    let shown = |name: &str| {
        let meta = fs::symlink_metadata(target.join(name)).unwrap();
        format!("{:o} {} {}", meta.mode(), meta.uid(), meta.gid())
    };
    let kelp = mount();
    fs::write(target.join("made"), "x").unwrap();
    fs::set_permissions(target.join("made"), fs::Permissions::from_mode(0o4711)).unwrap();
    std::os::unix::fs::chown(target.join("made"), Some(0), Some(0)).unwrap();
    assert_eq!(shown("made"), "100711 0 0", "a new owner ends set-user-id");
    fs::set_permissions(target.join("made"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::create_dir(target.join("dir")).unwrap();
    fs::set_permissions(target.join("dir"), fs::Permissions::from_mode(0o2770)).unwrap();
    rustix::fs::mknodat(CWD, target.join("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o622), 0).unwrap();
    OpenOptions::new().append(true).open(target.join("low")).and_then(|f| f.write_all_at(b"", 0)).unwrap();
    fs::set_permissions(target.join("low"), fs::Permissions::from_mode(0o600)).unwrap();
    let before = ["made", "dir", "pipe", "low"].map(shown);
    assert_eq!(before[0], "104711 0 0");
    assert_eq!(before[1], "42770 0 0");
    assert!(before[3].starts_with("100600"), "{before:?}");
    let hidden = rustix::fs::getxattr(target.join("made"), "user.containers.override_stat", &mut [0; 64][..]);
    assert!(hidden.is_err(), "the attribute is the overlay's own");
    kelp.unmount();
    assert_eq!(fs::metadata(upper.join("made")).unwrap().mode() & 0o7000, 0, "no set-user-id on the real file");
    let mut text = [0; 64];
    let len = rustix::fs::getxattr(upper.join("made"), "user.containers.override_stat", &mut text[..]).unwrap();
    assert!(text[..len].starts_with(b"0:0:4711") || text[..len].starts_with(b"0:0:04711"), "{}", String::from_utf8_lossy(&text[..len]));
    let kelp = mount();
    assert_eq!(["made", "dir", "pipe", "low"].map(shown), before, "after a new mount");
    kelp.unmount();
}
