//! Making something under a name that may be taken: what is there stays until the new one is whole.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{self as rfs, AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::mounted;

/// Something new, beside the name it is for or already there. Dropped before [`Self::settle`] it goes again.
#[derive(Debug)]
pub struct Beside<'a> {
    dir: BorrowedFd<'a>,
    target: &'a CStr,
    /// What it is called until it takes the name of what is there.
    aside: Option<CString>,
    settled: bool,
}

/// Makes something for the name `target` in `dir`; `make` fails with EEXIST where a name is taken.
///
/// # Errors
/// Those of `make`.
pub fn make<'a, T>(
    dir: BorrowedFd<'a>,
    target: &'a CStr,
    make: impl Fn(&CStr) -> Result<T, Errno>,
) -> Result<(T, Beside<'a>), Errno> {
    match make(target) {
        Err(Errno::EXIST) => make_aside(dir, target, make),
        other => other.map(|made| (made, Beside { dir, target, aside: None, settled: false })),
    }
}

/// As [`make`], for what takes a while: under its name there is the whole of it or nothing.
///
/// # Errors
/// Those of `make`.
pub fn make_aside<'a, T>(
    dir: BorrowedFd<'a>,
    target: &'a CStr,
    make: impl Fn(&CStr) -> Result<T, Errno>,
) -> Result<(T, Beside<'a>), Errno> {
    for _ in 0..16 {
        let name = aside_name()?;
        match make(&name) {
            Err(Errno::EXIST) => {}
            other => return other.map(|made| (made, Beside { dir, target, aside: Some(name), settled: false })),
        }
    }
    Err(Errno::EXIST)
}

/// A regular file that nobody sees under its name before it is whole.
#[derive(Debug)]
pub struct NewFile<'a> {
    file: OwnedFd,
    dir: BorrowedFd<'a>,
    target: &'a CStr,
    /// What it is called meanwhile, where a file cannot be without a name.
    named: Option<Beside<'a>>,
}

/// The directory that was last looked through for what killed processes left; [`file`] looks once.
#[derive(Debug, Default)]
pub struct Swept(Option<(u64, u64)>);

/// Makes a file for the name `target` in `dir`, for its maker alone to read and write.
///
/// # Errors
/// Those of openat(2).
pub fn file<'a>(dir: BorrowedFd<'a>, target: &'a CStr, swept: &mut Swept) -> Result<NewFile<'a>, Errno> {
    let mode = Mode::RUSR | Mode::WUSR;
    // Without a name until it is whole: whoever ends this process meanwhile leaves nothing behind.
    if let Ok(file) = rfs::openat(dir, c".", OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC, mode) {
        return Ok(NewFile { file, dir, target, named: None });
    }
    // A file system that makes none (FUSE, an overlay before Linux 6.3).
    sweep(dir, swept);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let (file, named) = make_aside(dir, target, |name| {
        let file = rfs::openat(dir, name, flags, mode)?;
        // Who holds the lock lives. Swept before it was ours: another one.
        match rfs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if rfs::fstat(&file)?.st_nlink == 0 => Err(Errno::EXIST),
            _ => Ok(file),
        }
    })?;
    Ok(NewFile { file, dir, target, named: Some(named) })
}

impl NewFile<'_> {
    /// To write into.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// Lets it take its name.
    ///
    /// # Errors
    /// As [`Beside::settle`].
    pub fn settle(self) -> Result<(), Errno> {
        let Self { file, dir, target, named } = self;
        if let Some(mut named) = named {
            return named.settle();
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let link = |name: &CStr| rfs::linkat(rfs::CWD, &path, dir, name, AtFlags::SYMLINK_FOLLOW);
        make(dir, target, link).and_then(|(_, mut place)| place.settle())
    }
}

/// Removes what makers of files left in a directory who were killed.
fn sweep(dir: BorrowedFd<'_>, swept: &mut Swept) {
    let Ok(stat) = rfs::fstat(dir) else { return };
    if swept.0.replace((stat.st_dev, stat.st_ino)) == Some((stat.st_dev, stat.st_ino)) {
        return;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(entries) = rfs::openat(dir, c".", flags, Mode::empty()).and_then(Dir::read_from) else { return };
    for entry in entries.flatten().filter(|entry| is_aside(entry.file_name())) {
        let name = entry.file_name();
        let is_file = |stat: rfs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if !rfs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(is_file) {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        if let Ok(file) = rfs::openat(dir, name, flags, Mode::empty())
            && rfs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = rfs::unlinkat(dir, name, AtFlags::empty());
        }
    }
}

/// Whether a name is one of [`aside_name`]'s.
fn is_aside(name: &CStr) -> bool {
    let hex = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    name.to_bytes().strip_prefix(b".kelp-").is_some_and(|rest| rest.len() == 16 && rest.iter().all(hex))
}

/// Nobody's by chance, and not to be foreseen by a hostile neighbour.
fn aside_name() -> Result<CString, Errno> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
    CString::new(format!(".kelp-{:016x}", u64::from_ne_bytes(random))).map_err(|_| Errno::INVAL)
}

impl Beside<'_> {
    /// What it is called now.
    pub fn name(&self) -> &CStr {
        self.aside.as_deref().unwrap_or(self.target)
    }

    /// Lets it take its name, from what has it.
    ///
    /// # Errors
    /// EISDIR when that is a directory, EBUSY when something is mounted on it; it is there as before then.
    pub fn settle(&mut self) -> Result<(), Errno> {
        if let Some(aside) = &self.aside {
            // Of another mount namespace's mounts rename(2) does not say it.
            if mounted::is_mount_point(self.dir, self.target)? {
                return Err(Errno::BUSY);
            }
            rfs::renameat(self.dir, aside, self.dir, self.target)?;
            // rename(2) leaves both of two links to one file.
            let _ = rfs::unlinkat(self.dir, aside, AtFlags::empty());
        }
        self.settled = true;
        Ok(())
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let _ = rfs::unlinkat(self.dir, self.name(), AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn what_is_there_stays_until_the_new_one_is_whole() {
        let path = std::env::temp_dir().join(format!("kelp-beside-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(path.join("dir")).unwrap();
        fs::write(path.join("old"), "old").unwrap();
        fs::hard_link(path.join("old"), path.join("link")).unwrap();
        let dir = File::open(&path).unwrap();
        let link = |name: &CStr| rfs::symlinkat(c"new", dir.as_fd(), name);
        for given_up in [c"old", c"free"] {
            drop(make(dir.as_fd(), given_up, link).unwrap());
        }
        assert_eq!(fs::read_to_string(path.join("old")).unwrap(), "old");
        let (_, mut over_dir) = make(dir.as_fd(), c"dir", link).unwrap();
        assert_eq!(over_dir.settle(), Err(Errno::ISDIR));
        drop(over_dir);
        make(dir.as_fd(), c"old", link).unwrap().1.settle().unwrap();
        assert_eq!(fs::read_link(path.join("old")).unwrap().to_str(), Some("new"));
        // A link over another of the same file.
        fs::hard_link(path.join("link"), path.join("again")).unwrap();
        let relink = |name: &CStr| rfs::linkat(dir.as_fd(), c"link", dir.as_fd(), name, AtFlags::empty());
        make(dir.as_fd(), c"again", relink).unwrap().1.settle().unwrap();
        let mut left: Vec<_> = fs::read_dir(&path).unwrap().flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["again", "dir", "link", "old"]);
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn what_the_killed_left_is_swept_but_nothing_of_the_living() {
        let path = std::env::temp_dir().join(format!("kelp-swept-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(path.join(".kelp-00000000000000dd")).unwrap();
        let kept = [".kelp-00000000000000aa", ".kelp-other", ".kelp-00000000000000AB"];
        for name in kept.iter().chain(&[".kelp-00000000000000bb"]) {
            fs::write(path.join(name), "half").unwrap();
        }
        let dir = File::open(&path).unwrap();
        let living = File::open(path.join(kept[0])).unwrap();
        rfs::flock(&living, FlockOperation::LockExclusive).unwrap();
        let mut swept = Swept::default();
        sweep(dir.as_fd(), &mut swept);
        let mut left: Vec<_> = fs::read_dir(&path).unwrap().flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, [".kelp-00000000000000AB", ".kelp-00000000000000aa", ".kelp-00000000000000dd", ".kelp-other"]);
        fs::remove_dir_all(&path).unwrap();
    }
}
