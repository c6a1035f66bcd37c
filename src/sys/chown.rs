//! Giving a whole tree to one owner, by descriptor, without following a link.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self as rfs, AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

/// Nesting beyond this is refused: each level costs a descriptor.
const MAX_DEPTH: usize = 900;

/// Makes `uid` and `gid` own the object `top` is open on, and everything below it on the same file system. What is so
/// already is left alone. The object's own owner is changed last, so that an interrupted change is done again.
pub fn chown_tree(top: BorrowedFd<'_>, uid: u32, gid: u32) -> Result<(), Errno> {
    let stat = rfs::fstat(top)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let mut stack = vec![open(top, c".")?];
        while let Some((dir, names)) = stack.last_mut() {
            let Some(name) = names.pop() else {
                stack.pop();
                continue;
            };
            let Ok(found) = rfs::statat(&*dir, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            if (found.st_uid, found.st_gid) != (uid, gid) {
                match rfs::chownat(&*dir, &name, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::SYMLINK_NOFOLLOW) {
                    // Gone since it was listed.
                    Ok(()) | Err(Errno::NOENT) => {}
                    Err(errno) => return Err(errno),
                }
            }
            if FileType::from_raw_mode(found.st_mode) == FileType::Directory && found.st_dev == stat.st_dev {
                match open(dir.as_fd(), &name) {
                    Ok(_) if stack.len() >= MAX_DEPTH => return Err(Errno::LOOP),
                    Ok(below) => stack.push(below),
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
    }
    if (stat.st_uid, stat.st_gid) == (uid, gid) {
        return Ok(());
    }
    rfs::chownat(top, c"", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH)
}

fn open(dir: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<(OwnedFd, Vec<CString>), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rfs::openat(dir, name, flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::read_from(&fd)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok((fd, names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn links_are_given_away_themselves() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let base = std::env::temp_dir().join(format!("kelp-chown-{}", std::process::id()));
        drop(fs::remove_dir_all(&base));
        fs::create_dir_all(base.join("tree/sub")).unwrap();
        fs::write(base.join("canary"), "").unwrap();
        fs::write(base.join("tree/sub/file"), "").unwrap();
        symlink("../canary", base.join("tree/link")).unwrap();
        symlink("..", base.join("tree/up")).unwrap();
        let top = File::open(base.join("tree")).unwrap();
        chown_tree(top.as_fd(), 1234, 567).unwrap();
        for path in ["tree", "tree/sub", "tree/sub/file", "tree/link", "tree/up"] {
            let meta = fs::symlink_metadata(base.join(path)).unwrap();
            assert_eq!((meta.uid(), meta.gid()), (1234, 567), "{path}");
        }
        assert_eq!(fs::metadata(base.join("canary")).unwrap().uid(), 0);
        fs::remove_dir_all(&base).unwrap();
    }
}
