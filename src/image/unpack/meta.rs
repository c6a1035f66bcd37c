//! Owners, modes, extended attributes and times of unpacked entries.
//!
//! Owns the order in which they are set: owner first (it clears setuid bits and file capabilities), then mode, then
//! attributes, then times. Works on descriptors only.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{self as rfs, AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::error::{UnpackError, shown};
use super::header::{Kind, Member};
use crate::userns::owner;
use super::{Owners, UnpackOptions, Whiteouts};


/// Facts about the process that decide which calls are needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setter {
    owners: Owners,
    uid: u32,
    gid: u32,
    umask: u32,
    /// New objects may get another group than ours (a set-group-ID directory that was there before).
    always_chown: bool,
}

impl Setter {
    pub(crate) fn new(options: &UnpackOptions) -> Self {
        Self {
            owners: options.owners,
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            umask: umask(),
            always_chown: options.whiteouts == Whiteouts::Literal,
        }
    }

    /// Permission bits to create an object with, and those it must have in the end when they differ.
    pub(crate) fn modes(&self, member: &Member) -> (Mode, Option<Mode>) {
        let mut wanted = member.mode;
        if self.owners == Owners::Record {
            // The real mode is recorded; on disk the user must be able to use the file, and it is not theirs to run as.
            let kind = if member.kind == Kind::Directory { 0o040_000 } else { 0 };
            wanted = owner::on_disk_mode(member.mode, kind);
        }
        let plain = wanted & 0o777;
        let exact = wanted != plain || plain & self.umask != 0;
        (
            Mode::from_raw_mode(plain),
            exact.then(|| Mode::from_raw_mode(wanted)),
        )
    }

    /// The owner to set on a new object, if it is not ours already.
    pub(crate) fn owner(&self, member: &Member) -> Result<Option<(Uid, Gid)>, UnpackError> {
        let (uid, gid) = match self.owners {
            Owners::Set => match (u32::try_from(member.uid), u32::try_from(member.gid)) {
                (Ok(uid), Ok(gid)) if uid != u32::MAX && gid != u32::MAX => (uid, gid),
                _ => return Err(unmapped(member)),
            },
            Owners::Record | Owners::Caller => return Ok(None),
        };
        if !self.always_chown && uid == self.uid && gid == self.gid {
            return Ok(None);
        }
        Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid))))
    }

    /// Sets the owner through an open descriptor.
    pub(crate) fn chown(&self, fd: BorrowedFd<'_>, member: &Member) -> Result<bool, UnpackError> {
        let Some((uid, gid)) = self.owner(member)? else {
            return Ok(false);
        };
        rfs::fchown(fd, Some(uid), Some(gid)).map_err(|e| chown_error(member, e))?;
        Ok(true)
    }

    /// Sets the owner of `name` itself, link or not.
    pub(crate) fn chown_at(
        &self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        member: &Member,
    ) -> Result<(), UnpackError> {
        if let Some((uid, gid)) = self.owner(member)? {
            rfs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|e| chown_error(member, e))?;
        }
        if self.owners == Owners::Record && (member.uid, member.gid) != (0, 0) {
            let id = |id: u64| u32::try_from(id).map_err(|_| unmapped(member));
            owner::record_at(dir, name, id(member.uid)?, id(member.gid)?)
                .map_err(|e| UnpackError::write(&member.path, "record the owner of", e))?;
        }
        Ok(())
    }

    /// Sets the extended attributes of an open file or directory; returns how many were left out.
    pub(crate) fn xattrs(&self, fd: BorrowedFd<'_>, member: &Member) -> Result<u64, UnpackError> {
        let mut skipped = 0;
        for (name, value) in &member.xattrs {
            if reserved(name) {
                skipped += 1;
                continue;
            }
            match rfs::fsetxattr(fd, &**name, value, XattrFlags::empty()) {
                Ok(()) => {}
                // Not supported here, or not for us: docker and podman go on, too.
                Err(
                    Errno::OPNOTSUPP | Errno::PERM | Errno::INVAL | Errno::RANGE | Errno::TOOBIG,
                ) => {
                    skipped += 1;
                }
                Err(errno) => {
                    return Err(UnpackError::write(
                        &member.path,
                        "set an extended attribute of",
                        errno,
                    ));
                }
            }
        }
        if self.owners == Owners::Record {
            let value = override_stat(member);
            rfs::fsetxattr(fd, owner::OVERRIDE, value.as_bytes(), XattrFlags::empty())
                .map_err(|e| UnpackError::write(&member.path, "record the owner of", e))?;
        }
        Ok(skipped)
    }

    /// Whether [`Self::xattrs`] has anything to do.
    pub(crate) fn has_xattrs(&self, member: &Member) -> bool {
        self.owners == Owners::Record || !member.xattrs.is_empty()
    }
}

/// Whether an archive may not set this attribute: it would speak to the storage driver, not to the container.
pub(crate) fn reserved(name: &[u8]) -> bool {
    [
        &b"user.overlay."[..],
        b"trusted.overlay.",
        b"user.fuseoverlayfs.",
        b"user.containers.",
        b"user.kelp.",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// `UID:GID:MODE:TYPE`, as containers/storage writes it.
fn override_stat(member: &Member) -> String {
    let (major, minor) = member.device;
    let kind = match member.kind {
        Kind::File | Kind::Hardlink => "file".to_owned(),
        Kind::Directory => "dir".to_owned(),
        Kind::Symlink => "symlink".to_owned(),
        Kind::Fifo => "pipe".to_owned(),
        Kind::CharDevice => format!("char-{major}-{minor}"),
        Kind::BlockDevice => format!("block-{major}-{minor}"),
    };
    format!("{}:{}:0{:o}:{kind}", member.uid, member.gid, member.mode)
}

fn unmapped(member: &Member) -> UnpackError {
    UnpackError::Owner {
        path: shown(&member.path),
        uid: member.uid,
        gid: member.gid,
    }
}

fn chown_error(member: &Member, errno: Errno) -> UnpackError {
    match errno {
        Errno::INVAL | Errno::PERM => unmapped(member),
        other => UnpackError::write(&member.path, "change the owner of", other),
    }
}

/// Access and modification time of a member, for the calls that set both.
pub(crate) fn times(mtime: (i64, u32)) -> Timestamps {
    let time = Timespec {
        tv_sec: mtime.0,
        tv_nsec: i64::from(mtime.1),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}

/// Sets the mode of an object opened with `O_PATH`.
pub(crate) fn chmod_path(fd: BorrowedFd<'_>, mode: Mode) -> Result<(), Errno> {
    rfs::chmod(format!("/proc/self/fd/{}", fd.as_raw_fd()), mode)
}

/// The process' file mode creation mask, read without changing it.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("Umask:"))
        .and_then(|value| u32::from_str_radix(value.trim(), 8).ok())
        // Unknown: then every mode is set explicitly.
        .unwrap_or(0o777)
}
