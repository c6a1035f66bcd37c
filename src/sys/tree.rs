//! Removing directory trees by descriptor.
//!
//! Owns `remove_tree`, used for layers, container directories and replaced archive entries. Everything below the given
//! directory is hostile: no symbolic link is followed, no mount point entered, depth costs no descriptors without bound.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags};
use rustix::io::Errno;

/// Directories kept open at once; deeper ones are first moved up to the top.
const MAX_DEPTH: usize = 48;
/// How often a directory that refills while we empty it is read again.
const MAX_PASSES: u32 = 64;

/// One directory being emptied.
struct Frame {
    fd: OwnedFd,
    name: CString,
    subdirs: Vec<CString>,
    passes: u32,
}

/// Removes `name` in `dir`, whatever it is, with everything below. Returns how many objects went; nothing there is 0.
///
/// Directories without permissions are opened up first where the caller owns them. Stops at the first object that
/// cannot be removed.
///
/// # Errors
/// The system's error (`EBUSY` for a mount point below).
pub fn remove_tree(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<u64> {
    match rfs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) => return Ok(1),
        Err(Errno::NOENT) => return Ok(0),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    match rfs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
        Ok(()) => return Ok(1),
        Err(Errno::NOENT) => return Ok(0),
        Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS) => {}
        Err(error) => return Err(error.into()),
    }
    let mut remover = Remover {
        buffer: Vec::with_capacity(32 * 1024),
        stack: Vec::new(),
        removed: 0,
        hoisted: 0,
    };
    remover.enter(Some(dir), name, 0)?;
    remover.run(dir)?;
    Ok(remover.removed)
}

struct Remover {
    buffer: Vec<u8>,
    stack: Vec<Frame>,
    removed: u64,
    hoisted: u64,
}

impl Remover {
    /// Opens a directory, removes what is no directory in it and notes the rest.
    fn enter(&mut self, parent: Option<BorrowedFd<'_>>, name: &CStr, passes: u32) -> io::Result<()> {
        let fd = match (parent, self.stack.last()) {
            (Some(outer), _) => open_dir(outer, name)?,
            (None, Some(above)) => open_dir(above.fd.as_fd(), name)?,
            (None, None) => return Ok(()),
        };
        let mut frame = Frame {
            fd,
            name: name.to_owned(),
            subdirs: Vec::new(),
            passes,
        };
        self.removed += sweep(&mut frame, &mut self.buffer)?;
        self.stack.push(frame);
        Ok(())
    }

    fn run(&mut self, outer: BorrowedFd<'_>) -> io::Result<()> {
        while let Some(depth) = self.stack.len().checked_sub(1) {
            if let Some(sub) = self.stack[depth].subdirs.pop() {
                self.descend(depth, &sub)?;
                continue;
            }
            let Some(Frame { fd, name, passes, .. }) = self.stack.pop() else {
                break;
            };
            // Closed first: removing an open directory makes ext4 write it to its list of orphans.
            drop(fd);
            let (parent, base) = match self.stack.last() {
                Some(above) => (above.fd.as_fd(), None),
                None => (outer, Some(outer)),
            };
            match rfs::unlinkat(parent, &*name, AtFlags::REMOVEDIR) {
                Ok(()) => self.removed += 1,
                Err(Errno::NOENT) => {}
                // Somebody is still writing there, or the file system skipped names while we deleted.
                Err(Errno::NOTEMPTY | Errno::EXIST) if passes < MAX_PASSES => {
                    self.enter(base, &name, passes + 1)?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn descend(&mut self, depth: usize, sub: &CStr) -> io::Result<()> {
        let here = self.stack[depth].fd.as_fd();
        match rfs::unlinkat(here, sub, AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.removed += 1;
                return Ok(());
            }
            Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTDIR) => {
                rfs::unlinkat(here, sub, AtFlags::empty())?;
                self.removed += 1;
                return Ok(());
            }
            Err(_) => {}
        }
        if depth + 1 >= MAX_DEPTH {
            // Too deep to keep every parent open: move the rest to the top and go on from there.
            let top = self.stack[0].fd.as_fd();
            for _ in 0..1000 {
                let name =
                    CString::new(format!(".kelp-removed-{}", self.hoisted)).unwrap_or_default();
                self.hoisted += 1;
                match rfs::renameat_with(here, sub, top, &*name, RenameFlags::NOREPLACE) {
                    Ok(()) => {
                        self.stack[0].subdirs.push(name);
                        return Ok(());
                    }
                    Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            return Err(Errno::EXIST.into());
        }
        match self.enter(None, sub, 0) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            other => other,
        }
    }
}

/// Opens a directory for reading without following a link or crossing a mount.
fn open_dir(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = || {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        match rfs::openat2(parent, name, flags, Mode::empty(), resolve) {
            // No openat2 before Linux 5.6, or a filter that does not know it.
            Err(Errno::NOSYS | Errno::PERM) => rfs::openat(parent, name, flags, Mode::empty()),
            Err(Errno::XDEV) => Err(Errno::BUSY),
            other => other,
        }
    };
    match open() {
        Err(Errno::ACCESS) => {
            make_accessible(parent, name)?;
            Ok(open()?)
        }
        other => Ok(other?),
    }
}

/// Gives the owner access to a directory that denies it. By descriptor: a link put there meanwhile is not followed.
fn make_accessible(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rfs::openat(parent, name, flags, Mode::empty())?;
    rfs::chmod(format!("/proc/self/fd/{}", fd.as_raw_fd()), Mode::RWXU)?;
    Ok(())
}

/// Removes the files of one directory and collects its subdirectories.
fn sweep(frame: &mut Frame, buffer: &mut Vec<u8>) -> io::Result<u64> {
    let mut removed = 0;
    let mut opened_up = false;
    let spare: &mut [MaybeUninit<u8>] = buffer.spare_capacity_mut();
    let mut entries = RawDir::new(&frame.fd, spare);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            frame.subdirs.push(name.to_owned());
            continue;
        }
        loop {
            match rfs::unlinkat(&frame.fd, name, AtFlags::empty()) {
                Ok(()) => removed += 1,
                Err(Errno::NOENT) => {}
                Err(Errno::ISDIR) => frame.subdirs.push(name.to_owned()),
                // The directory itself denies writing: open it up once.
                Err(Errno::ACCESS) if !opened_up => {
                    opened_up = true;
                    rfs::fchmod(&frame.fd, Mode::RWXU)?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            break;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn scratch(name: &str) -> (PathBuf, OwnedFd) {
        let path = std::env::temp_dir().join(format!("kelp-tree-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let fd = std::fs::File::open(&path).unwrap().into();
        (path, fd)
    }

    #[test]
    fn removes_files_links_and_directories_but_nothing_they_point_to() {
        let (path, fd) = scratch("links");
        std::fs::create_dir_all(path.join("keep")).unwrap();
        std::fs::write(path.join("keep/canary"), "alive").unwrap();
        std::fs::create_dir_all(path.join("gone/a/b/c")).unwrap();
        std::fs::write(path.join("gone/a/file"), "x").unwrap();
        std::os::unix::fs::symlink("../keep", path.join("gone/link")).unwrap();
        std::os::unix::fs::symlink("../../keep", path.join("gone/a/link")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        std::fs::set_permissions(path.join("gone/a/b"), mode).unwrap();
        assert_eq!(remove_tree(fd.as_fd(), c"gone").unwrap(), 7);
        assert!(!path.join("gone").exists());
        assert_eq!(remove_tree(fd.as_fd(), c"gone").unwrap(), 0);
        assert!(path.join("keep/canary").exists());
        std::os::unix::fs::symlink("keep", path.join("gone")).unwrap();
        assert_eq!(remove_tree(fd.as_fd(), c"gone").unwrap(), 1);
        assert!(path.join("keep/canary").exists());
        std::fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn removes_a_tree_far_deeper_than_the_descriptor_limit() {
        let (path, fd) = scratch("deep");
        let mut at = rfs::openat(&fd, ".", OFlags::RDONLY, Mode::empty()).unwrap();
        for level in 0..5000 {
            rfs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            if level % 100 == 0 {
                rfs::mkdirat(&at, "e", Mode::RWXU).unwrap();
                rfs::mkdirat(&at, "e/f", Mode::RWXU).unwrap();
            }
            at = rfs::openat(&at, "d", OFlags::RDONLY, Mode::empty()).unwrap();
        }
        drop(at);
        assert_eq!(remove_tree(fd.as_fd(), c"d").unwrap(), 5000 + 49 * 2);
        std::fs::remove_dir_all(&path).unwrap();
    }
}
