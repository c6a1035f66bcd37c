//! What is mounted where we write, in whatever mount namespace.
//!
//! rename(2), unlink(2) and rmdir(2) answer EBUSY for a mount of the caller's own namespace alone. One of another
//! namespace, as a running container's, they quietly detach (since Linux 3.18): whoever replaces something there asks here
//! first.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{self as rfs, AtFlags, Dir, FileType, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;

/// Directories [`in_tree`] keeps open at once.
const MAX_DEPTH: usize = 480;

const HANDLE: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Whether `name` in `dir` is a mount point; nothing there is none.
///
/// # Errors
/// The system's error.
pub fn is_mount_point(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
    // Whether it is a mount needs no question to the file system, which may be far away.
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
    match rfs::statx(dir, name, flags, StatxFlags::empty()) {
        Ok(stat) if stat.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) => {
            Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
        }
        // Before Linux 5.8, or behind a filter that does not know statx(2).
        Ok(_) | Err(Errno::NOSYS | Errno::PERM) => other_mount(dir, name),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Whether `name` in `dir` lies on another mount than `dir`.
fn other_mount(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
    match rfs::openat(dir, name, HANDLE, Mode::empty()) {
        Ok(handle) => Ok(mount_id(handle.as_fd())? != mount_id(dir)?),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

fn mount_id(fd: BorrowedFd<'_>) -> Result<String, Errno> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).map_err(|_| Errno::NOSYS)?;
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    id.map(|id| id.trim().to_owned()).ok_or(Errno::NOSYS)
}

/// Whether `name` in `dir`, or anything below it, is a mount point. Follows no link and enters no mount.
///
/// # Errors
/// The system's error; ELOOP for directories nested too deep.
pub fn in_tree(dir: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
    if is_mount_point(dir, name)? {
        return Ok(true);
    }
    let mut stack = Vec::new();
    stack.extend(open_dir(dir, name)?);
    while let Some((here, names)) = stack.last_mut() {
        let Some((name, kind)) = names.pop() else {
            stack.pop();
            continue;
        };
        if is_mount_point(here.as_fd(), &name)? {
            return Ok(true);
        }
        if matches!(kind, FileType::Directory | FileType::Unknown)
            && let Some(next) = open_dir(here.as_fd(), &name)?
        {
            if stack.len() >= MAX_DEPTH {
                return Err(Errno::LOOP);
            }
            stack.push(next);
        }
    }
    Ok(false)
}

/// A directory and what is in it; none for something else.
fn open_dir(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<(OwnedFd, Vec<(CString, FileType)>)>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match rfs::openat(dir, name, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let mut names = Vec::new();
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    Ok(Some((opened, names)))
}

/// Opens what is mounted at `name` in `dir` to be written over; the caller empties it.
///
/// # Errors
/// EBUSY when it is no regular file.
pub fn open_in_place(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    // Looked at before it is opened, which may block or do things to a device.
    let handle = rfs::openat(dir, name, HANDLE, Mode::empty())?;
    if FileType::from_raw_mode(rfs::fstat(&handle)?.st_mode) != FileType::RegularFile {
        return Err(Errno::BUSY);
    }
    rfs::open(format!("/proc/self/fd/{}", handle.as_raw_fd()), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn both_ways_tell_a_mount_from_what_is_none() {
        let (root, inner) = (File::open("/").unwrap(), File::open("/proc/self").unwrap());
        for ask in [is_mount_point, other_mount] {
            assert_eq!(ask(root.as_fd(), c"proc"), Ok(true));
            assert_eq!(ask(inner.as_fd(), c"status"), Ok(false));
            assert_eq!(ask(inner.as_fd(), c"no such thing"), Ok(false));
        }
    }

    #[test]
    fn a_tree_without_mounts_has_none() {
        let path = std::env::temp_dir().join(format!("kelp-mounted-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(path.join("tree/sub/sub")).unwrap();
        fs::write(path.join("tree/sub/file"), "x").unwrap();
        std::os::unix::fs::symlink("/proc", path.join("tree/sub/link")).unwrap();
        let dir = File::open(&path).unwrap();
        for name in [c"tree", c"tree/sub/file", c"tree/sub/link", c"nothing"] {
            assert_eq!(in_tree(dir.as_fd(), name), Ok(false), "{name:?}");
        }
        fs::remove_dir_all(&path).unwrap();
    }
}
