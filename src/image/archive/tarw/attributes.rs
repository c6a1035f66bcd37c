//! Extended attributes as an archive should say them: those of the content, and owners that are kept in one.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{self as rfs, FileType};
use rustix::io::Errno;

use super::header::Meta;
use crate::userns::owner::Owner;

const CAPABILITY: &[u8] = b"security.capability";

/// Takes over the owner, mode and device number kept beside an object, and says what kind it pretends to be.
pub(super) fn apply(kept: &Owner, meta: &mut Meta) -> FileType {
    (meta.uid, meta.gid, meta.mode) = (kept.uid, kept.gid, kept.mode & 0o7777);
    if kept.is_device() {
        meta.device = (rfs::major(kept.rdev), rfs::minor(kept.rdev));
    }
    FileType::from_raw_mode(kept.mode)
}

/// Whether an attribute is there.
pub(super) fn has(fd: BorrowedFd<'_>, name: &str) -> bool {
    rfs::fgetxattr(fd, name, &mut [0u8; 64][..]).is_ok()
}

/// The attributes that belong into an archive: file capabilities and the user's own, not the storage driver's.
pub(super) fn read(fd: BorrowedFd<'_>) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0u8; 1024];
    let length = loop {
        match rfs::flistxattr(fd, &mut names[..]) {
            Ok(length) => break length,
            Err(Errno::RANGE) if names.len() < 1 << 17 => names.resize(names.len() * 8, 0),
            Err(Errno::OPNOTSUPP | Errno::ACCESS | Errno::PERM) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        }
    };
    let mut found = Vec::new();
    for name in names[..length].split(|&b| b == 0) {
        let wanted = name == CAPABILITY || name.starts_with(b"user.");
        if !wanted || crate::image::unpack::is_reserved_xattr(name) {
            continue;
        }
        let mut value = vec![0u8; 1 << 16];
        match rfs::fgetxattr(fd, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                if name == CAPABILITY {
                    forget_namespace(&mut value);
                }
                found.push((name.to_vec(), value));
            }
            Err(Errno::NODATA | Errno::ACCESS | Errno::PERM) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Turns a file capability of one user namespace (revision 3, which ends with that namespace's root) into one of any.
fn forget_namespace(value: &mut Vec<u8>) {
    const REVISION_2: u8 = 2;
    const REVISION_3: u8 = 3;
    if value.len() == 24 && value[3] == REVISION_3 {
        value[3] = REVISION_2;
        value.truncate(20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_of_a_namespace_become_those_of_any() {
        let mut value = vec![0u8; 24];
        value[0] = 1;
        value[3] = 3;
        value[20] = 7;
        forget_namespace(&mut value);
        assert_eq!((value.len(), value[0], value[3]), (20, 1, 2));
        let same = value.clone();
        forget_namespace(&mut value);
        assert_eq!(value, same);
    }
}
