//! What POSIX and Linux promise of a file system, one line each, on kelp's overlay, the kernel's overlay and a plain
//! directory: each check is done on files made there and on the same files coming from a lower layer.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::mounts::{Kelp, Scratch, mount_kernel, unmount_kernel};

/// What every check finds in its directory.
fn prepare(dir: &Path) {
    fs::create_dir_all(dir.join("d/sub")).unwrap();
    fs::create_dir(dir.join("empty")).unwrap();
    fs::write(dir.join("f"), "sixteen letters!").unwrap();
    fs::write(dir.join("d/sub/x"), "x").unwrap();
    fs::write(dir.join("d/one"), vec![b'o'; 100_000]).unwrap();
    fs::hard_link(dir.join("d/one"), dir.join("two")).unwrap();
    std::os::unix::fs::symlink("f", dir.join("l")).unwrap();
    std::os::unix::fs::symlink("loop", dir.join("loop")).unwrap();
}

fn word<T>(result: Result<T, Errno>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(errno) => format!("{errno:?}").trim_start_matches("Os { code: ").split(',').next().unwrap_or("").to_owned(),
    }
}

fn std_word<T>(result: std::io::Result<T>) -> String {
    word(result.map_err(|e| Errno::from_raw_os_error(e.raw_os_error().unwrap_or(0))))
}

fn open(path: impl AsRef<Path>, flags: OFlags) -> Result<File, Errno> {
    rustix::fs::open(path.as_ref(), flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o644)).map(File::from)
}

fn rename(a: PathBuf, b: PathBuf, flags: RenameFlags) -> String {
    word(rustix::fs::renameat_with(CWD, a, CWD, b, flags))
}

/// The error table: what must fail, and how.
fn errors(d: &Path) -> Vec<(&'static str, String, Errno)> {
    let at = |name: &str| d.join(name);
    let long = "n".repeat(256);
    let mkdir = |name: &str| word(rustix::fs::mkdir(at(name), Mode::from_raw_mode(0o755)));
    let unlink = |name: &str, flags| word(rustix::fs::unlinkat(CWD, at(name), flags));
    let none = RenameFlags::empty();
    let read_only = File::open(at("f")).unwrap();
    vec![
        ("a name of 256 bytes", std_word(File::create(at(&long))), Errno::NAMETOOLONG),
        ("looking up a name of 256 bytes", std_word(fs::metadata(at(&long))), Errno::NAMETOOLONG),
        ("renaming to a name of 256 bytes", rename(at("f"), at(&long), none), Errno::NAMETOOLONG),
        ("removing a directory with files", unlink("d", AtFlags::REMOVEDIR), Errno::NOTEMPTY),
        ("removing a file as a directory", unlink("f", AtFlags::REMOVEDIR), Errno::NOTDIR),
        ("removing a directory as a file", unlink("empty", AtFlags::empty()), Errno::ISDIR),
        ("removing `.`", unlink("empty/.", AtFlags::REMOVEDIR), Errno::INVAL),
        ("removing nothing", unlink("nothing", AtFlags::empty()), Errno::NOENT),
        ("a file as a directory", std_word(fs::metadata(at("f/x"))), Errno::NOTDIR),
        ("a file where one is", word(open(at("f"), OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY)), Errno::EXIST),
        ("O_EXCL over a symbolic link", word(open(at("l"), OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY)), Errno::EXIST),
        ("a directory where one is", mkdir("d"), Errno::EXIST),
        ("a directory where a file is", mkdir("f"), Errno::EXIST),
        ("a directory below nothing", mkdir("nothing/x"), Errno::NOENT),
        ("a directory below a file", mkdir("f/x"), Errno::NOTDIR),
        ("opening a directory for writing", word(open(at("d"), OFlags::WRONLY)), Errno::ISDIR),
        ("opening a file as a directory", word(open(at("f"), OFlags::DIRECTORY)), Errno::NOTDIR),
        ("opening nothing", word(open(at("nothing"), OFlags::RDONLY)), Errno::NOENT),
        ("a loop of symbolic links", word(open(at("loop"), OFlags::RDONLY)), Errno::LOOP),
        ("O_NOFOLLOW on a symbolic link", word(open(at("l"), OFlags::NOFOLLOW)), Errno::LOOP),
        ("reading a directory's bytes", std_word(File::open(at("d")).unwrap().read(&mut [0; 8])), Errno::ISDIR),
        ("writing what is open for reading", std_word((&read_only).write(b"x")), Errno::BADF),
        ("a directory into itself", rename(at("d"), at("d/sub/d"), none), Errno::INVAL),
        ("a file over a directory", rename(at("f"), at("empty"), none), Errno::ISDIR),
        ("a directory over a file", rename(at("empty"), at("f"), none), Errno::NOTDIR),
        ("a directory over one with files", rename(at("empty"), at("d"), none), Errno::NOTEMPTY),
        ("renaming nothing", rename(at("nothing"), at("g"), none), Errno::NOENT),
        ("NOREPLACE over a file", rename(at("f"), at("two"), RenameFlags::NOREPLACE), Errno::EXIST),
        ("EXCHANGE with nothing", rename(at("f"), at("nothing"), RenameFlags::EXCHANGE), Errno::NOENT),
        ("NOREPLACE and EXCHANGE", rename(at("f"), at("two"), RenameFlags::NOREPLACE | RenameFlags::EXCHANGE), Errno::INVAL),
        ("a rename to another file system", rename(at("f"), PathBuf::from("/proc/f"), none), Errno::XDEV),
        ("a link to a directory", std_word(fs::hard_link(at("d"), at("g"))), Errno::PERM),
        ("a link over a file", std_word(fs::hard_link(at("f"), at("two"))), Errno::EXIST),
        ("a link to nothing", std_word(fs::hard_link(at("nothing"), at("g"))), Errno::NOENT),
        ("a symbolic link over a file", std_word(std::os::unix::fs::symlink("x", at("f"))), Errno::EXIST),
        ("reading a file as a link", std_word(fs::read_link(at("f"))), Errno::INVAL),
        ("truncating a directory", word(rustix::fs::open(at("d"), OFlags::WRONLY | OFlags::TRUNC, Mode::empty())), Errno::ISDIR),
        ("an attribute that is not there", word(rustix::fs::getxattr(at("f"), "user.none", &mut [0; 8][..])), Errno::NODATA),
        ("removing such an attribute", word(rustix::fs::removexattr(at("f"), "user.none")), Errno::NODATA),
        (
            "replacing such an attribute",
            word(rustix::fs::setxattr(at("f"), "user.none", b"x", XattrFlags::REPLACE)),
            Errno::NODATA,
        ),
        ("a device of a disk", word(rustix::fs::mknodat(CWD, at("g"), FileType::BlockDevice, Mode::empty(), 0x0801)), Errno::PERM),
    ]
}

/// What must hold; each returns what it saw, which must be the same everywhere.
const CHECKS: &[(&str, fn(&Path) -> String)] = &[
    ("names of 255 bytes", |d| {
        let name = "n".repeat(255);
        fs::write(d.join(&name), "x").unwrap();
        fs::rename(d.join(&name), d.join("é".repeat(127))).unwrap();
        format!("{} {}", d.join(name).exists(), fs::read_dir(d).unwrap().count())
    }),
    ("a link's count, number and contents", |d| {
        let (one, two) = (d.join("d/one"), d.join("two"));
        // Both names are looked up, as a program that knows of the link does.
        let before = (fs::metadata(&one).unwrap().nlink(), fs::metadata(&two).unwrap().nlink());
        let third = d.join("third");
        fs::hard_link(&two, &third).unwrap();
        OpenOptions::new().append(true).open(&third).unwrap().write_all(b"more").unwrap();
        let ino = |p: &Path| fs::metadata(p).unwrap().ino();
        let lens = (fs::read(&one).unwrap().len(), fs::read(&two).unwrap().len());
        format!("{before:?} {} {} {lens:?}", ino(&one) == ino(&two), ino(&two) == ino(&third))
    }),
    ("a file unlinked while open", |d| {
        let mut file = OpenOptions::new().read(true).write(true).open(d.join("f")).unwrap();
        fs::remove_file(d.join("f")).unwrap();
        let meta = file.metadata().unwrap();
        file.write_all(b"SIX").unwrap();
        file.set_len(9).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o640)).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        let again = fs::read_to_string(format!("/proc/self/fd/{}", file.as_raw_fd()));
        fs::write(d.join("f"), "new").unwrap();
        format!("{} {text} {again:?} {:o} {}", meta.nlink(), file.metadata().unwrap().mode(), fs::read_to_string(d.join("f")).unwrap())
    }),
    ("a file opened for reading, then written and unlinked by name", |d| {
        let mut file = File::open(d.join("f")).unwrap();
        OpenOptions::new().write(true).open(d.join("f")).unwrap().write_all(b"SIX").unwrap();
        fs::remove_file(d.join("f")).unwrap();
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        text.len().to_string()
    }),
    ("a directory removed while open", |d| {
        let dir = File::open(d.join("empty")).unwrap();
        fs::remove_dir(d.join("empty")).unwrap();
        let made = rustix::fs::openat(&dir, "x", OFlags::CREATE | OFlags::WRONLY, Mode::from_raw_mode(0o644));
        format!("{} {:?}", word(made), fs::metadata(d.join("empty")).unwrap_err().kind())
    }),
    ("renames over files and directories", |d| {
        fs::rename(d.join("f"), d.join("two")).unwrap();
        fs::create_dir(d.join("new")).unwrap();
        fs::write(d.join("new/file"), "y").unwrap();
        fs::rename(d.join("new"), d.join("empty")).unwrap();
        fs::rename(d.join("empty/file"), d.join("empty/file")).unwrap();
        format!("{} {} {}", fs::read_to_string(d.join("two")).unwrap(), fs::read_to_string(d.join("empty/file")).unwrap(), d.join("new").exists())
    }),
    ("renames that exchange", |d| {
        fs::create_dir(d.join("new")).unwrap();
        let file = rename(d.join("f"), d.join("two"), RenameFlags::EXCHANGE);
        let kinds = rename(d.join("new"), d.join("two"), RenameFlags::EXCHANGE);
        let fresh = rename(d.join("f"), d.join("fresh"), RenameFlags::NOREPLACE);
        format!("{file} {kinds} {fresh} {} {}", d.join("two").is_dir(), fs::metadata(d.join("fresh")).unwrap().len())
    }),
    ("two names of one file renamed over each other", |d| {
        fs::metadata(d.join("d/one")).unwrap();
        fs::hard_link(d.join("two"), d.join("three")).unwrap();
        fs::rename(d.join("two"), d.join("three")).unwrap();
        format!("{} {}", d.join("two").exists(), d.join("three").exists())
    }),
    ("times that are set, kept and changed", |d| {
        let time = |n| Timespec { tv_sec: n, tv_nsec: 123_456_789 };
        let set = |a, m| rustix::fs::utimensat(CWD, d.join("f"), &Timestamps { last_access: a, last_modification: m }, AtFlags::empty());
        set(time(1_000_000), time(-5)).unwrap();
        let seen = fs::metadata(d.join("f")).unwrap();
        set(Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT }, time(2_000_000)).unwrap();
        let kept = fs::metadata(d.join("f")).unwrap();
        fs::set_permissions(d.join("f"), fs::Permissions::from_mode(0o600)).unwrap();
        let mode = fs::metadata(d.join("f")).unwrap();
        OpenOptions::new().append(true).open(d.join("f")).unwrap().write_all(b"x").unwrap();
        let written = fs::metadata(d.join("f")).unwrap();
        let above = fs::metadata(d).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(15)); // of the kernel's clock
        fs::write(d.join("new"), "").unwrap();
        format!(
            "{} {} {} {} {} {} {} {}", seen.atime(), seen.mtime(), seen.mtime_nsec(), kept.atime(), kept.mtime(),
            mode.mtime() == kept.mtime(), written.mtime() > 1_600_000_000, {
                let after = fs::metadata(d).unwrap();
                (after.mtime(), after.mtime_nsec()) > (above.mtime(), above.mtime_nsec())
            }
        )
    }),
    ("set-group-id of directories", |d| {
        fs::set_permissions(d.join("empty"), fs::Permissions::from_mode(0o2775)).unwrap();
        fs::create_dir(d.join("empty/sub")).unwrap();
        fs::write(d.join("empty/file"), "").unwrap();
        let mode = |p: &str| fs::metadata(d.join(p)).unwrap().mode();
        format!("{:o} {:o} {:o}", mode("empty"), mode("empty/sub"), mode("empty/file"))
    }),
    ("set-user-id after chown and truncate", |d| {
        let mode = || fs::metadata(d.join("f")).unwrap().mode();
        fs::set_permissions(d.join("f"), fs::Permissions::from_mode(0o6755)).unwrap();
        let set = mode();
        std::os::unix::fs::chown(d.join("f"), Some(0), Some(0)).unwrap();
        format!("{set:o} {:o}", mode())
    }),
    ("attributes: empty, long, replaced, listed", |d| {
        let f = d.join("f");
        rustix::fs::setxattr(&f, "user.empty", b"", XattrFlags::CREATE).unwrap();
        rustix::fs::setxattr(&f, "user.long", &[7; 1500], XattrFlags::empty()).unwrap();
        let twice = word(rustix::fs::setxattr(&f, "user.empty", b"x", XattrFlags::CREATE));
        rustix::fs::setxattr(&f, "user.empty", b"now", XattrFlags::REPLACE).unwrap();
        let mut buffer = [0; 2000];
        let long = rustix::fs::getxattr(&f, "user.long", &mut buffer[..]).unwrap();
        let short = word(rustix::fs::getxattr(&f, "user.long", &mut [0; 8][..]));
        let size = rustix::fs::getxattr(&f, "user.long", &mut [0; 0][..]).unwrap();
        rustix::fs::removexattr(&f, "user.empty").unwrap();
        let list = rustix::fs::listxattr(&f, &mut buffer[..]).unwrap();
        let names = String::from_utf8_lossy(&buffer[..list]).into_owned();
        let names: Vec<_> = names.split('\0').filter(|n| n.starts_with("user.")).collect();
        format!("{twice} {long} {short} {size} {names:?}")
    }),
    ("appends of four writers at once", |d| {
        let path = d.join("two");
        let start = fs::metadata(&path).unwrap().len();
        std::thread::scope(|scope| {
            for writer in 0..4_u8 {
                let path = &path;
                scope.spawn(move || {
                    let mut file = OpenOptions::new().append(true).open(path).unwrap();
                    for _ in 0..100 {
                        file.write_all(&[b'0' + writer; 50]).unwrap();
                    }
                });
            }
        });
        let text = fs::read(&path).unwrap();
        let added = &text[start as usize..];
        let whole = added.chunks(50).all(|c| c.iter().all(|&b| b == c[0]));
        format!("{} {whole}", added.len())
    }),
    ("writes at an offset beyond the end, and holes", |d| {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(d.join("sparse")).unwrap();
        file.write_all_at(b"end", 1 << 20).unwrap();
        file.write_all_at(b"mid", 500_000).unwrap();
        file.sync_all().unwrap();
        let seek = |from| rustix::fs::seek(&file, from).map_or_else(|e| format!("{e:?}"), |at| (at / 4096).to_string());
        let data = seek(rustix::fs::SeekFrom::Data(0));
        let hole = seek(rustix::fs::SeekFrom::Hole(500_000));
        let none = word(rustix::fs::seek(&file, rustix::fs::SeekFrom::Data(2 << 20)));
        let mut text = [1; 3];
        file.read_exact_at(&mut text, 700_000).unwrap();
        let blocks = file.metadata().unwrap().blocks();
        format!("{data} {hole} {none} {text:?} {}", blocks < 200)
    }),
    ("space given and taken", |d| {
        let file = OpenOptions::new().read(true).write(true).open(d.join("two")).unwrap();
        let size = || file.metadata().unwrap().len();
        rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, 300_000).unwrap();
        let kept = size();
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, 200_000).unwrap();
        let grown = size();
        rustix::fs::fallocate(&file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 4096, 8192).unwrap();
        let mut text = [1; 16];
        file.read_exact_at(&mut text, 5000).unwrap();
        let zeroed = text == [0; 16];
        file.read_exact_at(&mut text, 50_000).unwrap();
        format!("{kept} {grown} {zeroed} {}", text == [b'o'; 16])
    }),
    ("truncation down and up", |d| {
        let file = OpenOptions::new().read(true).write(true).open(d.join("two")).unwrap();
        file.set_len(5).unwrap();
        file.set_len(20).unwrap();
        let mut text = [1; 20];
        file.read_exact_at(&mut text, 0).unwrap();
        drop(OpenOptions::new().write(true).truncate(true).open(d.join("f")).unwrap());
        format!("{text:?} {}", fs::metadata(d.join("f")).unwrap().len())
    }),
    ("locks of whole files", |d| {
        let (a, b) = (File::open(d.join("f")).unwrap(), File::open(d.join("f")).unwrap());
        use rustix::fs::{FlockOperation::{NonBlockingLockExclusive, NonBlockingLockShared, Unlock}, flock};
        let first = word(flock(&a, NonBlockingLockExclusive));
        let second = word(flock(&b, NonBlockingLockShared));
        flock(&a, Unlock).unwrap();
        format!("{first} {second} {}", word(flock(&b, NonBlockingLockShared)))
    }),
    ("locks of ranges", |d| {
        let open = || OpenOptions::new().read(true).write(true).open(d.join("f")).unwrap();
        let (a, b) = (open(), open());
        let lock = |file: &File, start, len| {
            let lock = nix::libc::flock {
                l_type: nix::libc::F_WRLCK as i16, l_whence: nix::libc::SEEK_SET as i16, l_start: start, l_len: len, l_pid: 0,
            };
            nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_OFD_SETLK(&lock)).is_ok()
        };
        format!("{} {} {} {}", lock(&a, 0, 10), lock(&b, 5, 10), lock(&b, 10, 10), { drop(a); lock(&b, 0, 10) })
    }),
    ("a directory emptied while it is read", |d| {
        let dir = d.join("many");
        fs::create_dir(&dir).unwrap();
        (0..500).for_each(|n| fs::write(dir.join(format!("file-{n}")), "").unwrap());
        let mut seen = 0;
        for entry in fs::read_dir(&dir).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
            seen += 1;
        }
        format!("{seen} {}", std_word(fs::remove_dir(&dir)))
    }),
    ("the numbers of readdir and stat", |d| {
        let mut wrong = 0;
        for entry in fs::read_dir(d).unwrap() {
            let entry = entry.unwrap();
            use std::os::unix::fs::DirEntryExt;
            wrong += u32::from(entry.ino() != fs::symlink_metadata(entry.path()).unwrap().ino() && !entry.path().is_dir());
            wrong += u32::from(entry.file_type().unwrap() != fs::symlink_metadata(entry.path()).unwrap().file_type());
        }
        wrong.to_string()
    }),
    ("a file's number through copy-up", |d| {
        let ino = || fs::metadata(d.join("f")).unwrap().ino();
        let before = ino();
        OpenOptions::new().append(true).open(d.join("f")).unwrap().write_all(b"x").unwrap();
        let changed = ino();
        fs::rename(d.join("f"), d.join("g")).unwrap();
        format!("{} {}", before == changed, before == fs::metadata(d.join("g")).unwrap().ino())
    }),
    ("pipes, sockets and long links", |d| {
        rustix::fs::mknodat(CWD, d.join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let socket = std::os::unix::net::UnixListener::bind(d.join("sock")).map(drop);
        let target = "t/".repeat(2000);
        std::os::unix::fs::symlink(&target, d.join("long")).unwrap();
        let kind = |p: &str| fs::symlink_metadata(d.join(p)).map(|m| m.mode() & 0o170_000).unwrap_or(0);
        format!("{:o} {:o} {:?} {}", kind("pipe"), kind("sock"), socket.is_ok(), fs::read_link(d.join("long")).unwrap().as_os_str().len())
    }),
    ("copies inside the file system", |d| {
        let from = File::open(d.join("two")).unwrap();
        let to = OpenOptions::new().write(true).create_new(true).open(d.join("copy")).unwrap();
        let (mut a, mut b) = (10, 20);
        let done = rustix::fs::copy_file_range(&from, Some(&mut a), &to, Some(&mut b), 5000).unwrap();
        let text = fs::read(d.join("copy")).unwrap();
        format!("{done} {} {:?} {:?}", text.len(), text[19], text[20])
    }),
    ("a program that is running", |d| {
        fs::copy("/bin/sleep", d.join("prog")).unwrap();
        let mut child = std::process::Command::new(d.join("prog")).arg("100").spawn().unwrap();
        let busy = word(open(d.join("prog"), OFlags::WRONLY));
        child.kill().unwrap();
        child.wait().unwrap();
        format!("{busy} {}", std_word(fs::remove_file(d.join("prog"))))
    }),
    ("the mask and modes of what is made", |d| {
        OpenOptions::new().write(true).create_new(true).mode(0o666).open(d.join("made")).unwrap();
        rustix::fs::mkdir(d.join("made.d"), Mode::from_raw_mode(0o1777)).unwrap();
        let mode = |p: &str| fs::metadata(d.join(p)).unwrap().mode();
        format!("{:o} {:o}", mode("made"), mode("made.d"))
    }),
    ("a file system's limits", |d| {
        let limits = rustix::fs::statvfs(d).unwrap();
        format!("{} {}", limits.f_namemax, limits.f_blocks > 0)
    }),
];

/// Shared mappings, seen through read(2) and by name. Mapping memory takes a language that does it safely.
const MAPPED: &str = "
import mmap, sys
path = sys.argv[1]
with open(path, 'r+b') as f:
    m = mmap.mmap(f.fileno(), 0)
    m[0:3] = b'MAP'
    m.flush()
    again = open(path, 'rb').read()
    n = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
    m[3:6] = b'TWO'
    print(again[:8], n[:8], len(again))
    m.close()
print(open(path, 'rb').read()[:8])
";

fn mapped(dir: &Path) -> Option<String> {
    let out = std::process::Command::new("python3").args(["-c", MAPPED]).arg(dir.join("f")).output().ok()?;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    Some(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// An unnamed file: what this file system says of it, and what a program does then.
fn unnamed(dir: &Path) -> (String, String) {
    let first = open(dir, OFlags::TMPFILE | OFlags::RDWR);
    let fallback = tempfile_by_name(dir);
    (word(first), fallback)
}

/// What glibc's `tmpfile` and others do where `O_TMPFILE` is refused.
fn tempfile_by_name(dir: &Path) -> String {
    let path = dir.join(".tmp-1");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    file.write_all(b"kept").unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn run() {
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let scratch = Scratch::new("posix");
    let lower = scratch.dir("lower");
    let plain = scratch.dir("plain");
    let count = CHECKS.len() + 3;
    for n in 0..count {
        prepare(&lower.join(format!("low{n}")));
        prepare(&plain.join(format!("low{n}")));
    }
    let (k, o) = (scratch.dir("kelp"), scratch.dir("kernel"));
    let lowers = [lower];
    let kelp = Kelp::mount(&lowers, &scratch.dir("ku"), &scratch.dir("kw"), &k);
    mount_kernel(&lowers, &scratch.dir("ou"), &scratch.dir("ow"), &o);
    let mut failed = Vec::new();
    for kind in ["low", "new"] {
        let dirs = |n: usize| [&k, &o, &plain].map(|root| root.join(format!("{kind}{n}")));
        if kind == "new" {
            (0..count).flat_map(dirs).for_each(|dir| prepare(&dir));
        }
        for (root, dir) in ["kelp", "the kernel's overlay", "a plain directory"].iter().zip(dirs(0)) {
            for (what, got, wanted) in errors(&dir) {
                let wanted = word::<()>(Err(wanted));
                // A directory of a lower layer cannot be renamed, whatever it is to replace.
                let moved = kind == "low" && got == word::<()>(Err(Errno::XDEV)) && what.starts_with("a directory");
                if got != wanted && !moved {
                    failed.push(format!("{root}, {kind}: {what}: {got}, not {wanted}"));
                }
            }
        }
        for (n, (what, check)) in CHECKS.iter().enumerate() {
            let [a, b, c] = dirs(n + 1).map(|dir| std::panic::catch_unwind(|| check(&dir)).unwrap_or_else(|_| "PANIC".to_owned()));
            // The kernel's overlay breaks links and numbers; the plain directory is the measure.
            if a != c && a != b {
                failed.push(format!("{kind}: {what}:\n  kelp   {a}\n  kernel {b}\n  plain  {c}"));
            } else if a != c {
                eprintln!("as the kernel's overlay, {kind}: {what}: {a}, plain {c}");
            }
        }
        let [a, _, c] = dirs(count - 2).map(|dir| mapped(&dir));
        if a.is_none() {
            eprintln!("SKIPPED shared mappings: no python3");
        }
        assert_eq!(a, c, "shared mappings");
        let [a, _, c] = dirs(count - 1).map(|dir| unnamed(&dir));
        assert_eq!(a, (word::<()>(Err(Errno::OPNOTSUPP)), "kept".to_owned()), "O_TMPFILE");
        assert_eq!(a.1, c.1);
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    kelp.unmount();
    unmount_kernel(&o);
}
