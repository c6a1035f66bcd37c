//! One real file, however it can be reached: [`Target`] and the calls made on it.
//!
//! Nothing here follows a symbolic link in the last place, and nothing changes which file a node
//! stands for.

use std::ffi::{OsStr, OsString};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{self, AtFlags, Gid, Mode, Stat, Timestamps, Uid, XattrFlags};
use rustix::io::{Errno, Result};

use super::node::Fd;

/// The longest extended attribute Linux knows.
const XATTR_MAX: usize = 65536;

/// Where a real file is.
pub(super) enum Target<'a> {
    /// A name in an open directory.
    At(Fd, &'a OsStr),
    /// An open file.
    Open(Fd),
    /// An `O_PATH` descriptor.
    Path(Fd),
}

impl Target<'_> {
    /// A path for the calls that have no `*at` form.
    fn path(&self) -> OsString {
        let mut path = b"/proc/self/fd/".to_vec();
        match self {
            Self::At(dir, name) => {
                path.extend_from_slice(dir.as_raw_fd().to_string().as_bytes());
                path.push(b'/');
                path.extend_from_slice(name.as_bytes());
            }
            Self::Open(fd) | Self::Path(fd) => path.extend_from_slice(fd.as_raw_fd().to_string().as_bytes()),
        }
        OsString::from_vec(path)
    }

    pub(super) fn stat(&self) -> Result<Stat> {
        match self {
            Self::At(dir, name) => fs::statat(dir, *name, AtFlags::SYMLINK_NOFOLLOW),
            Self::Open(fd) | Self::Path(fd) => fs::fstat(fd),
        }
    }

    pub(super) fn chmod(&self, mode: u32) -> Result<()> {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        match self {
            // Only called for what is no symbolic link.
            Self::At(dir, name) => fs::chmodat(dir, *name, mode, AtFlags::empty()),
            Self::Open(fd) => fs::fchmod(fd, mode),
            Self::Path(_) => fs::chmodat(fs::CWD, self.path(), mode, AtFlags::empty()),
        }
    }

    pub(super) fn chown(&self, uid: Option<u32>, gid: Option<u32>) -> Result<()> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        match self {
            Self::At(dir, name) => fs::chownat(dir, *name, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
            Self::Open(fd) => fs::fchown(fd, uid, gid),
            Self::Path(fd) => fs::chownat(fd, "", uid, gid, AtFlags::EMPTY_PATH),
        }
    }

    pub(super) fn utimens(&self, times: &Timestamps) -> Result<()> {
        match self {
            Self::At(dir, name) => fs::utimensat(dir, *name, times, AtFlags::SYMLINK_NOFOLLOW),
            Self::Open(fd) => fs::futimens(fd, times),
            Self::Path(_) => fs::utimensat(fs::CWD, self.path(), times, AtFlags::empty()),
        }
    }

    pub(super) fn readlink(&self) -> Result<Vec<u8>> {
        let link = match self {
            Self::At(dir, name) => fs::readlinkat(dir, *name, Vec::new())?,
            Self::Open(fd) | Self::Path(fd) => fs::readlinkat(fd, "", Vec::new())?,
        };
        Ok(link.into_bytes())
    }

    /// The value of an extended attribute.
    pub(super) fn getxattr(&self, name: &OsStr) -> Result<Vec<u8>> {
        let mut size = 256;
        loop {
            let mut value = vec![0; size];
            let got = match self {
                Self::At(..) => fs::lgetxattr(self.path(), name, &mut value[..]),
                Self::Open(fd) => fs::fgetxattr(fd, name, &mut value[..]),
                Self::Path(_) => fs::getxattr(self.path(), name, &mut value[..]),
            };
            match got {
                Ok(len) => {
                    value.truncate(len);
                    return Ok(value);
                }
                Err(Errno::RANGE) if size < XATTR_MAX => size = XATTR_MAX,
                Err(e) => return Err(e),
            }
        }
    }

    /// The names of all extended attributes, each with a NUL at its end.
    pub(super) fn listxattr(&self) -> Result<Vec<u8>> {
        let mut size = 256;
        loop {
            let mut list = vec![0; size];
            let got = match self {
                Self::At(..) => fs::llistxattr(self.path(), &mut list[..]),
                Self::Open(fd) => fs::flistxattr(fd, &mut list[..]),
                Self::Path(_) => fs::listxattr(self.path(), &mut list[..]),
            };
            match got {
                Ok(len) => {
                    list.truncate(len);
                    return Ok(list);
                }
                Err(Errno::RANGE) if size < XATTR_MAX => size = XATTR_MAX,
                Err(e) => return Err(e),
            }
        }
    }

    pub(super) fn setxattr(&self, name: &OsStr, value: &[u8], flags: XattrFlags) -> Result<()> {
        match self {
            Self::At(..) => fs::lsetxattr(self.path(), name, value, flags),
            Self::Open(fd) => fs::fsetxattr(fd, name, value, flags),
            Self::Path(_) => fs::setxattr(self.path(), name, value, flags),
        }
    }

    pub(super) fn removexattr(&self, name: &OsStr) -> Result<()> {
        match self {
            Self::At(..) => fs::lremovexattr(self.path(), name),
            Self::Open(fd) => fs::fremovexattr(fd, name),
            Self::Path(_) => fs::removexattr(self.path(), name),
        }
    }
}
