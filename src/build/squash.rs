//! Several upper directories as one: what `--squash` makes a layer of. Files are linked, not copied; whiteouts stay, since
//! they may hide what is below all of them.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self as rfs, AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::engine::Error;
use crate::sys::tree::remove_tree;

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const OPAQUE: &str = "user.overlay.opaque";
/// Marks of the kernel's overlay about where a copy came from: they mean nothing in another place.
const ORIGINS: [&str; 5] =
    ["user.overlay.origin", "user.overlay.impure", "user.overlay.redirect", "user.overlay.uuid", "user.overlay.nlink"];
/// Nesting beyond this is refused.
const MAX_DEPTH: usize = 400;

/// Puts `layers`, lowest first, together in the empty directory `into`, on the same file system.
pub(super) fn merge(layers: &[PathBuf], into: &Path) -> Result<(), Error> {
    let to = File::open(into).map_err(Error::io("open", into))?;
    for layer in layers {
        let from = File::open(layer).map_err(Error::io("open", layer))?;
        directory(from.as_fd(), to.as_fd(), false, 0).map_err(|errno| Error::io("put together", layer)(errno.into()))?;
    }
    Ok(())
}

/// `fresh`: the directory was made just now where something else was before, which must stay hidden.
fn directory(from: BorrowedFd<'_>, to: BorrowedFd<'_>, fresh: bool, depth: usize) -> Result<(), Errno> {
    if depth > MAX_DEPTH {
        return Err(Errno::LOOP);
    }
    let opaque = is_opaque(from);
    let was_opaque = is_opaque(to);
    if opaque {
        for name in names(to)? {
            remove(to, &name)?;
        }
    }
    for name in names(from)? {
        entry(from, to, &name, depth)?;
    }
    attributes(from, to)?;
    if opaque || fresh || was_opaque {
        rfs::fsetxattr(to, OPAQUE, b"y", XattrFlags::empty())?;
    }
    // Last: what was done in it changed its times.
    let stat = rfs::fstat(from)?;
    rfs::futimens(to, &times(&stat))
}

fn entry(from: BorrowedFd<'_>, to: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
    let stat = rfs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let there = match rfs::statat(to, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(there) => Some(there),
        Err(Errno::NOENT) => None,
        Err(errno) => return Err(errno),
    };
    let is_dir = |stat: &Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if !is_dir(&stat) {
        if there.is_some() {
            remove(to, name)?;
        }
        return rfs::linkat(from, name, to, name, AtFlags::empty());
    }
    let replaced = there.as_ref().is_some_and(|there| !is_dir(there));
    if replaced {
        remove(to, name)?;
    }
    if replaced || there.is_none() {
        rfs::mkdirat(to, name, Mode::from_raw_mode(0o700))?;
    }
    let below = rfs::openat(from, name, DIR, Mode::empty())?;
    let place = rfs::openat(to, name, DIR, Mode::empty())?;
    directory(below.as_fd(), place.as_fd(), replaced, depth + 1)
}

fn remove(dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    remove_tree(dir, name).map(drop).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

fn names(dir: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let fd: OwnedFd = rfs::openat(dir, c".", DIR, Mode::empty())?;
    let mut names = Vec::new();
    for entry in rfs::Dir::read_from(&fd)? {
        let name = entry?.file_name().to_owned();
        if name.as_bytes() != b"." && name.as_bytes() != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

fn is_opaque(dir: BorrowedFd<'_>) -> bool {
    let mut value = [0_u8; 4];
    rfs::fgetxattr(dir, OPAQUE, &mut value[..]) == Ok(1) && value[0] == b'y'
}

fn times(stat: &Stat) -> Timestamps {
    let time = |sec, nsec| Timespec { tv_sec: sec, tv_nsec: i64::try_from(nsec).unwrap_or(0) };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Owner, permissions and extended attributes of a directory.
fn attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
    let stat = rfs::fstat(from)?;
    rfs::fchown(to, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    rfs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let mut list = vec![0_u8; 64 << 10];
    let size = rfs::flistxattr(from, &mut list[..])?;
    for name in list[..size].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if ORIGINS.contains(&name) || name == OPAQUE {
            continue;
        }
        let mut value = vec![0_u8; 64 << 10];
        let size = rfs::fgetxattr(from, name, &mut value[..])?;
        match rfs::fsetxattr(to, name, &value[..size], XattrFlags::empty()) {
            // Attributes of the system the user may not set.
            Ok(()) | Err(Errno::PERM | Errno::OPNOTSUPP) => {}
            Err(errno) => return Err(errno),
        }
    }
    let _ = to.as_raw_fd();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn later_layers_win() {
        let dir = std::env::temp_dir().join(format!("kelp-squash-{}", std::process::id()));
        for (path, text) in [("a/d/x", "1"), ("a/d/y", "1"), ("a/f", "1"), ("b/d/x", "2"), ("b/f/g", "2"), ("c/d/z", "3")] {
            let path = dir.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let into = dir.join("into");
        fs::create_dir(&into).unwrap();
        let layers: Vec<PathBuf> = ["a", "b", "c"].iter().map(|name| dir.join(name)).collect();
        merge(&layers, &into).unwrap();
        let read = |path: &str| fs::read_to_string(into.join(path)).unwrap();
        assert_eq!((read("d/x"), read("d/y"), read("d/z"), read("f/g")), ("2".into(), "1".into(), "3".into(), "2".into()));
        // A directory in the place of a file hides what is below.
        assert!(is_opaque(File::open(into.join("f")).unwrap().as_fd()));
        assert!(!is_opaque(File::open(into.join("d")).unwrap().as_fd()));
        fs::remove_dir_all(&dir).unwrap();
    }
}
