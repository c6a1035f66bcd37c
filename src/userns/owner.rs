//! Owners beside the data: with one id mapped the kernel can neither set nor show another, so owner, mode and device
//! numbers of a file are kept in its attribute `user.containers.override_stat`, in the format of containers/storage, and
//! the owner of what can have no such attribute (symbolic links) in one of its directory.
//!
//! [`effective`] is what an entry counts as: for commit, push, export, cp, diff, and for programs that ask.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{self as rfs, AtFlags, FileType, OFlags, Stat, XattrFlags};
use rustix::io::Errno;

use crate::sys::copy_tree::Records;

/// The attribute of files and directories.
pub const OVERRIDE: &str = "user.containers.override_stat";

/// The attribute of a directory that keeps the owner of one symbolic link in it; the link's name follows.
const LINK: &str = "user.kelp.link.";

const S_IFMT: u32 = 0o170_000;

/// What an entry is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits and type (`st_mode`).
    pub mode: u32,
    /// Device number of a device.
    pub rdev: u64,
}

impl Owner {
    /// What the kernel says.
    pub fn of(stat: &Stat) -> Self {
        Self { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode, rdev: stat.st_rdev }
    }

    /// Reads `uid:gid:mode[:type[-major-minor]]`, mode in octal. Without a type the mode has no type bits.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim_end_matches('\0');
        let mut parts = text.split(':');
        let uid = parts.next()?.parse().ok()?;
        let gid = parts.next()?.parse().ok()?;
        let mode = u32::from_str_radix(parts.next()?, 8).ok()? & 0o7777;
        let mut words = parts.next().unwrap_or("").split('-');
        let kind = match words.next() {
            None | Some("") => 0,
            Some("file") => 0o100_000,
            Some("dir") => 0o040_000,
            Some("symlink") => 0o120_000,
            Some("pipe") => 0o010_000,
            Some("socket") => 0o140_000,
            Some("block") => 0o060_000,
            Some("char") => 0o020_000,
            Some(_) => return None,
        };
        let rdev = match (words.next(), words.next()) {
            (Some(major), Some(minor)) => rfs::makedev(major.parse().ok()?, minor.parse().ok()?),
            _ => 0,
        };
        Some(Self { uid, gid, mode: mode | kind, rdev })
    }

    /// The opposite of [`Self::parse`].
    pub fn text(&self) -> String {
        let Self { uid, gid, mode, rdev } = *self;
        let (major, minor) = (rfs::major(rdev), rfs::minor(rdev));
        let kind = match mode & S_IFMT {
            0o100_000 => ":file".to_owned(),
            0o040_000 => ":dir".to_owned(),
            0o120_000 => ":symlink".to_owned(),
            0o010_000 => ":pipe".to_owned(),
            0o140_000 => ":socket".to_owned(),
            0o060_000 => format!(":block-{major}-{minor}"),
            0o020_000 => format!(":char-{major}-{minor}"),
            _ => String::new(),
        };
        format!("{uid}:{gid}:0{:o}{kind}", mode & 0o7777)
    }

    /// Whether it stands for a device that could not be made.
    pub fn is_device(&self) -> bool {
        matches!(self.mode & S_IFMT, 0o020_000 | 0o060_000)
    }

    /// This record on the entry the kernel describes. A mode that was changed since it was recorded is the entry's own,
    /// if it can be told by the mode on disk; where it cannot, whoever changes it has to record it (`runtime::fakes`).
    fn over(self, stat: &Stat) -> Self {
        let kind = stat.st_mode & S_IFMT;
        let on_disk = stat.st_mode & 0o7777;
        let made = on_disk_mode(self.mode, kind);
        // Directories of before these kept set-group-id and sticky bits.
        let bits = if on_disk == made || on_disk == made & 0o777 { self.mode & 0o7777 } else { on_disk };
        // A file can pass for a device, nothing else for anything.
        if self.is_device() && kind == 0o100_000 {
            let bits = if on_disk == 0o600 { self.mode & 0o7777 } else { bits };
            return Self { mode: self.mode & S_IFMT | bits, ..self };
        }
        Self { mode: kind | bits, rdev: stat.st_rdev, ..self }
    }
}

/// The permission bits an entry gets on disk for a recorded `mode`: the user must be able to use it whatever they say,
/// and a file's set-id bits would be the user's own. A directory's harm nobody, and programs look for them (/tmp).
pub fn on_disk_mode(mode: u32, kind: u32) -> u32 {
    if kind == 0o040_000 { mode & 0o3777 | 0o700 } else { mode & 0o777 | 0o600 }
}

/// What is recorded of an open entry (`O_PATH` will do).
fn recorded(fd: BorrowedFd<'_>) -> Option<Owner> {
    let mut value = [0_u8; 128];
    // fgetxattr(2) refuses O_PATH descriptors; the path through /proc does not.
    let read = match rfs::fgetxattr(fd, OVERRIDE, &mut value[..]) {
        Err(Errno::BADF) => rfs::getxattr(by_number(fd), OVERRIDE, &mut value[..]),
        other => other,
    };
    Owner::parse(value.get(..read.ok()?)?)
}

fn by_number(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Whether the owners of a layer are recorded: those of its root then are, too.
pub fn are_recorded(layer: &std::path::Path) -> bool {
    rfs::lgetxattr(layer, OVERRIDE, &mut [0_u8; 256][..]).is_ok()
}

/// What the open file or directory `fd` counts as. `stat` is fstat(2) of it.
pub fn effective(fd: impl AsFd, stat: &Stat) -> Owner {
    find(fd, stat).unwrap_or_else(|| Owner::of(stat))
}

/// As [`effective`], if anything is recorded.
pub fn find(fd: impl AsFd, stat: &Stat) -> Option<Owner> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory => recorded(fd.as_fd()).map(|owner| owner.over(stat)),
        _ => None,
    }
}

/// What the entry `name` of the open directory `dir` counts as; a link is itself. `stat` is fstatat(2) of it.
pub fn effective_at(dir: impl AsFd, name: &[u8], stat: &Stat) -> Owner {
    let dir = dir.as_fd();
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile | FileType::Directory => {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rfs::openat(dir, name, flags, rfs::Mode::empty()) {
                Ok(fd) => effective(fd, stat),
                Err(_) => Owner::of(stat),
            }
        }
        _ => {
            let own = Owner::of(stat);
            find_at(dir, name).map_or(own, |owner| Owner { uid: owner.uid, gid: owner.gid, ..own })
        }
    }
}

/// What is recorded of the owner of the symbolic link, pipe or socket `name`.
pub fn find_at(dir: impl AsFd, name: &[u8]) -> Option<Owner> {
    let dir = dir.as_fd();
    let mut value = [0_u8; 64];
    let attribute = link_attribute(name)?;
    let read = match rfs::fgetxattr(dir, &attribute, &mut value[..]) {
        Err(Errno::BADF) => rfs::getxattr(by_number(dir), &attribute, &mut value[..]),
        other => other,
    };
    Owner::parse(value.get(..read.ok()?)?)
}

fn link_attribute(name: &[u8]) -> Option<CString> {
    // The kernel takes names of 255 bytes; of longer links nobody knows the owner.
    let attribute = [LINK.as_bytes(), name].concat();
    if attribute.len() > 255 { None } else { CString::new(attribute).ok() }
}

/// Records what the open file or directory `fd` (`O_PATH` will do) counts as from now on.
///
/// # Errors
/// Those of setxattr(2); EOPNOTSUPP where the file system has no user attributes.
pub fn record(fd: impl AsFd, owner: Owner) -> Result<(), Errno> {
    let (fd, text) = (fd.as_fd(), owner.text());
    match rfs::fsetxattr(fd, OVERRIDE, text.as_bytes(), XattrFlags::empty()) {
        Err(Errno::BADF) => rfs::setxattr(by_number(fd), OVERRIDE, text.as_bytes(), XattrFlags::empty()),
        other => other,
    }
}

/// Records the owner of a symbolic link, named pipe or socket in its directory; root's own need no record.
///
/// # Errors
/// As [`record`].
pub fn record_at(dir: impl AsFd, name: &[u8], uid: u32, gid: u32) -> Result<(), Errno> {
    let dir = dir.as_fd();
    let Some(attribute) = link_attribute(name) else { return Ok(()) };
    let path = by_number(dir);
    if (uid, gid) == (0, 0) {
        return match rfs::removexattr(&path, &attribute) {
            Ok(()) | Err(Errno::NODATA) => Ok(()),
            other => other,
        };
    }
    let text = format!("{uid}:{gid}:0777");
    match rfs::setxattr(&path, &attribute, text.as_bytes(), XattrFlags::empty()) {
        // Some file systems have a few kilobytes for all attributes of a directory. A link more than fits is root's: nothing
        // is allowed or denied by who owns a link, and an image with a thousand of them is to be had all the same.
        Err(Errno::NOSPC | Errno::TOOBIG) => Ok(()),
        other => other,
    }
}

/// How files are given to somebody here. Whoever sets an owner on a file of an image goes by this, so that the same is
/// recorded as would be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Giving {
    /// In the inode.
    Set,
    /// In a record: one id is mapped.
    Record,
}

impl Giving {
    /// What this process's namespace allows.
    pub fn here() -> Self {
        if super::IdMap::is_single_here() { Self::Record } else { Self::Set }
    }

    /// Gives an open file or directory its owner and mode, whatever was set or recorded before. Type and device number
    /// count where it stands for a device.
    ///
    /// # Errors
    /// Those of fchown(2), fchmod(2) and of [`record`].
    pub fn give(self, fd: impl AsFd, owner: Owner) -> Result<(), Errno> {
        let fd = fd.as_fd();
        let bits = owner.mode & 0o7777;
        if self == Self::Set {
            rfs::fchown(fd, Some(rfs::Uid::from_raw(owner.uid)), Some(rfs::Gid::from_raw(owner.gid)))?;
            return rfs::fchmod(fd, rfs::Mode::from_raw_mode(bits));
        }
        let kind = rfs::fstat(fd)?.st_mode & S_IFMT;
        let on_disk = on_disk_mode(bits, kind);
        rfs::fchmod(fd, rfs::Mode::from_raw_mode(on_disk))?;
        let owner = if owner.is_device() && kind == 0o100_000 { owner } else { Owner { mode: kind | bits, rdev: 0, ..owner } };
        match record(fd, owner) {
            // Root's is what it counts as without a record.
            Err(Errno::OPNOTSUPP) if (owner.uid, owner.gid, owner.mode) == (0, 0, kind | on_disk) => Ok(()),
            other => other,
        }
    }

    /// Gives a symbolic link, named pipe or socket to somebody.
    ///
    /// # Errors
    /// Those of fchownat(2) and of [`record_at`].
    pub fn give_at(self, dir: impl AsFd, name: &[u8], (uid, gid): (u32, u32)) -> Result<(), Errno> {
        match self {
            Self::Set => {
                let (uid, gid) = (rfs::Uid::from_raw(uid), rfs::Gid::from_raw(gid));
                rfs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            }
            Self::Record => record_at(dir, name, uid, gid),
        }
    }
}

/// Trees with recorded owners, for [`crate::sys::copy_tree`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Recorded {
    /// Whom what the user owns is owned by where nothing is recorded.
    pub unrecorded: (u32, u32),
}

impl Records for Recorded {
    fn find(&self, dir: BorrowedFd<'_>, name: &CStr, handle: BorrowedFd<'_>, stat: &Stat) -> (u32, u32, u32) {
        let found = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile | FileType::Directory => find(handle, stat),
            _ => find_at(dir, name.to_bytes()).map(|owner| Owner { mode: stat.st_mode, ..owner }),
        };
        let (uid, gid) = (if stat.st_uid == 0 { self.unrecorded.0 } else { stat.st_uid }, if stat.st_gid == 0 { self.unrecorded.1 } else { stat.st_gid });
        found.map_or((uid, gid, stat.st_mode), |owner| (owner.uid, owner.gid, owner.mode))
    }

    fn give(&self, made: BorrowedFd<'_>, from: BorrowedFd<'_>, (uid, gid): (u32, u32), bits: u32) -> Result<(), Errno> {
        let device = rfs::fstat(from).ok().and_then(|stat| find(from, &stat)).filter(Owner::is_device);
        let (kind, rdev) = device.map_or((0, 0), |owner| (owner.mode & !0o7777, owner.rdev));
        unless_impossible(Giving::Record.give(made, Owner { uid, gid, mode: kind | bits, rdev }))
    }

    fn give_at(&self, dir: BorrowedFd<'_>, name: &CStr, owner: (u32, u32)) -> Result<(), Errno> {
        unless_impossible(Giving::Record.give_at(dir, name.to_bytes(), owner))
    }

    fn is_record(&self, attribute: &[u8]) -> bool {
        is_record(attribute)
    }
}

/// In a file system that has no such attributes (memory, before Linux 6.6) everything is the user's.
fn unless_impossible(result: Result<(), Errno>) -> Result<(), Errno> {
    if result == Err(Errno::OPNOTSUPP) { Ok(()) } else { result }
}

/// Whether an attribute is one of ours: kept out of archives and layers.
pub fn is_record(attribute: &[u8]) -> bool {
    attribute == OVERRIDE.as_bytes() || attribute.starts_with(LINK.as_bytes())
}

/// [`rfs::statat`] without following a link.
///
/// # Errors
/// Those of fstatat(2).
pub fn stat_at(dir: impl AsFd, name: &[u8]) -> Result<Stat, Errno> {
    rfs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn texts() {
        let owner = Owner::parse(b"5:6:4755:char-1-3").expect("valid");
        assert_eq!((owner.uid, owner.gid, owner.mode & 0o7777), (5, 6, 0o4755));
        assert_eq!(owner.text(), "5:6:04755:char-1-3");
        assert_eq!(Owner::parse(b"0:0:0755").map(|owner| owner.text()).as_deref(), Some("0:0:0755"));
        for bad in ["", "1", "1:2", "a:b:c", "1:2:9", "1:2:644:nonsense"] {
            assert_eq!(Owner::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn directories_keep_what_harms_nobody() {
        assert_eq!((on_disk_mode(0o41777, 0o040_000), on_disk_mode(0o6050, 0o040_000)), (0o1777, 0o2750));
        assert_eq!((on_disk_mode(0o6755, 0o100_000), on_disk_mode(0o1000, 0o100_000)), (0o755, 0o600));
        let record = Owner { uid: 1, gid: 2, mode: 0o041_777, rdev: 0 };
        let temporary = std::env::temp_dir().join(format!("kelp-owner-dir-{}", std::process::id()));
        std::fs::create_dir_all(&temporary).expect("a directory");
        let over = |mode| {
            std::fs::set_permissions(&temporary, PermissionsExt::from_mode(mode)).expect("chmod");
            record.over(&rfs::stat(&temporary).expect("stat")).mode & 0o7777
        };
        assert_eq!((over(0o1777), over(0o777), over(0o1770), over(0o755)), (0o1777, 0o1777, 0o1770, 0o755));
        std::fs::remove_dir_all(&temporary).expect("removed");
    }

    #[test]
    fn records_of_files_links_and_changed_modes() {
        let temporary = std::env::temp_dir().join(format!("kelp-owner-{}", std::process::id()));
        std::fs::create_dir_all(&temporary).expect("a directory");
        let dir = std::fs::File::open(&temporary).expect("open");
        let path = temporary.join("file");
        std::fs::write(&path, "").expect("write");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("chmod");
        let stat = || stat_at(&dir, b"file").expect("stat");
        let plain = effective_at(&dir, b"file", &stat());
        assert_eq!(plain, Owner::of(&stat()));
        let file = std::fs::File::open(&path).expect("open");
        match record(&file, Owner { uid: 7, gid: 8, mode: 0o104_755, rdev: 0 }) {
            Err(Errno::OPNOTSUPP) => return drop(std::fs::remove_dir_all(&temporary)),
            other => other.expect("recorded"),
        }
        assert_eq!(effective_at(&dir, b"file", &stat()), Owner { uid: 7, gid: 8, mode: 0o104_755, rdev: 0 });
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o711)).expect("chmod");
        assert_eq!(effective(&file, &stat()).mode, 0o100_711);
        std::os::unix::fs::symlink("file", temporary.join("link")).expect("link");
        record_at(&dir, b"link", 3, 4).expect("recorded");
        let link = effective_at(&dir, b"link", &stat_at(&dir, b"link").expect("stat"));
        assert_eq!((link.uid, link.gid, link.mode), (3, 4, 0o120_777));
        for number in 0..2000 {
            record_at(&dir, format!("link with a longer name {number}").as_bytes(), 1000, 1000).expect("recorded or left out");
        }
        record_at(&dir, b"link", 0, 0).expect("forgotten");
        let link = effective_at(&dir, b"link", &stat_at(&dir, b"link").expect("stat"));
        assert_eq!(link.uid, rustix::process::getuid().as_raw());
        std::fs::remove_dir_all(&temporary).expect("removed");
    }
}
