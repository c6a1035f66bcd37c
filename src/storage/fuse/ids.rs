//! Owners: ids shifted between the layers and the mount, ids inside POSIX ACLs, and owners and
//! modes kept in an extended attribute. Pure but for [`Override::keep`].

use std::ffi::OsStr;

use rustix::fs::{Stat, XattrFlags};
use rustix::io::Errno;

use super::options::{IdExtent, Options};
use super::target::Target;
use crate::userns::owner::on_disk_mode;

/// Where owners and modes are kept when the inode cannot have them.
pub(super) const OVERRIDE: &str = "user.containers.override_stat";

/// What an id that no range covers is shown as.
const OVERFLOW: u32 = 65534;

const S_IFMT: u32 = 0o170_000;

/// The shifts of one mount.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids {
    uids: Vec<IdExtent>,
    gids: Vec<IdExtent>,
    squash_uid: Option<u32>,
    squash_gid: Option<u32>,
}

fn shown(map: &[IdExtent], id: u32) -> u32 {
    if map.is_empty() {
        return id;
    }
    let extent = map.iter().find(|e| id.wrapping_sub(e.container) < e.count);
    extent.map_or(OVERFLOW, |e| e.host + (id - e.container))
}

fn stored(map: &[IdExtent], id: u32) -> Option<u32> {
    if map.is_empty() {
        return Some(id);
    }
    let extent = map.iter().find(|e| id.wrapping_sub(e.host) < e.count);
    extent.map(|e| e.container + (id - e.host))
}

impl Ids {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            uids: options.uid_map.clone(),
            gids: options.gid_map.clone(),
            squash_uid: options.squash_to_uid,
            squash_gid: options.squash_to_gid,
        }
    }

    /// The user shown for one stored in a layer.
    pub(super) fn uid(&self, id: u32) -> u32 {
        self.squash_uid.unwrap_or_else(|| shown(&self.uids, id))
    }

    /// The group shown for one stored in a layer.
    pub(super) fn gid(&self, id: u32) -> u32 {
        self.squash_gid.unwrap_or_else(|| shown(&self.gids, id))
    }

    /// The user to store for one given by the kernel; `None` if it has no place in the layers.
    pub(super) fn stored_uid(&self, id: u32) -> Option<u32> {
        stored(&self.uids, id)
    }

    /// The group to store for one given by the kernel.
    pub(super) fn stored_gid(&self, id: u32) -> Option<u32> {
        stored(&self.gids, id)
    }

    fn shifts(&self) -> bool {
        !self.uids.is_empty() || !self.gids.is_empty()
    }

    /// Shifts the ids of a POSIX ACL (`system.posix_acl_*`, version 2) to what is shown.
    pub(super) fn acl_shown(&self, acl: &mut [u8]) {
        self.acl(acl, |id| Some(shown(&self.uids, id)), |id| Some(shown(&self.gids, id)));
    }

    /// Shifts the ids of a POSIX ACL to what is stored; `false` if one has no place there.
    pub(super) fn acl_stored(&self, acl: &mut [u8]) -> bool {
        self.acl(acl, |id| stored(&self.uids, id), |id| stored(&self.gids, id))
    }

    fn acl(&self, acl: &mut [u8], uid: impl Fn(u32) -> Option<u32>, gid: impl Fn(u32) -> Option<u32>) -> bool {
        const USER: u16 = 2;
        const GROUP: u16 = 8;
        if !self.shifts() || acl.len() < 4 {
            return true;
        }
        for entry in acl[4..].chunks_exact_mut(8) {
            let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
            let new = match u16::from_le_bytes([entry[0], entry[1]]) {
                USER => uid(id),
                GROUP => gid(id),
                _ => Some(id),
            };
            let Some(new) = new else { return false };
            entry[4..].copy_from_slice(&new.to_le_bytes());
        }
        true
    }
}

/// An owner and mode as kept in [`OVERRIDE`]: `uid:gid:mode[:type[-major-minor]]`, mode in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Override {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// With the type's bits if a type was written.
    pub(super) mode: u32,
    pub(super) rdev: u64,
}

impl Override {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
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
            (Some(major), Some(minor)) => rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?),
            _ => 0,
        };
        Some(Self { uid, gid, mode: mode | kind, rdev })
    }

    pub(super) fn text(&self) -> String {
        let Self { uid, gid, mode, rdev } = *self;
        let (major, minor) = (rustix::fs::major(rdev), rustix::fs::minor(rdev));
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
        format!("{uid}:{gid}:{:04o}{kind}", mode & 0o7777)
    }

    /// The override that says what `stat` says.
    pub(super) fn of(stat: &Stat) -> Self {
        Self { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode, rdev: stat.st_rdev }
    }

    /// Keeps it with a file. The mode on disk is the one that goes with it: whoever reads the record outside of the mount
    /// takes another for one set since (`userns::owner`).
    pub(super) fn keep(&self, target: &Target<'_>) -> Result<(), Errno> {
        target.setxattr(OsStr::new(OVERRIDE), self.text().as_bytes(), XattrFlags::empty())?;
        let stat = target.stat()?;
        let kind = stat.st_mode & S_IFMT;
        let on_disk = on_disk_mode(self.mode, kind);
        if matches!(kind, 0o100_000 | 0o040_000) && stat.st_mode & 0o7777 != on_disk {
            target.chmod(on_disk)?;
        }
        Ok(())
    }

    /// Puts the kept owner and mode in place of the inode's.
    pub(super) fn apply(&self, stat: &mut Stat) {
        stat.st_uid = self.uid;
        stat.st_gid = self.gid;
        let kind = if self.mode & S_IFMT == 0 { stat.st_mode } else { self.mode } & S_IFMT;
        // A file can pass for a device or socket, a directory or link for nothing else.
        if kind != stat.st_mode & S_IFMT && stat.st_mode & S_IFMT == 0o100_000 {
            stat.st_rdev = self.rdev;
            stat.st_mode = kind;
        }
        stat.st_mode = stat.st_mode & S_IFMT | self.mode & 0o7777;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Ids {
        let extent = |container, host, count| IdExtent { container, host, count };
        let uids = vec![extent(0, 1, 1000), extent(1000, 0, 1), extent(1001, 1001, 64535)];
        Ids { gids: uids.clone(), uids, ..Ids::default() }
    }

    #[test]
    fn shifts_there_and_back() {
        for id in [0, 1, 999, 1000, 1001, 65535] {
            assert_eq!(ids().stored_uid(ids().uid(id)), Some(id));
        }
        assert_eq!((ids().uid(1000), ids().uid(0)), (0, 1));
        assert_eq!(ids().uid(70000), OVERFLOW);
        assert_eq!(ids().stored_gid(70000), None);
        assert_eq!(Ids::default().uid(70000), 70000);
    }

    #[test]
    fn shifts_the_ids_of_an_acl() {
        let mut acl = vec![2, 0, 0, 0];
        for (tag, id) in [(1_u16, u32::MAX), (2, 1000), (8, 0), (0x20, u32::MAX)] {
            acl.extend_from_slice(&tag.to_le_bytes());
            acl.extend_from_slice(&7_u16.to_le_bytes());
            acl.extend_from_slice(&id.to_le_bytes());
        }
        let original = acl.clone();
        ids().acl_shown(&mut acl);
        assert_eq!(acl[16..20], 0_u32.to_le_bytes());
        assert_eq!(acl[24..28], 1_u32.to_le_bytes());
        assert!(ids().acl_stored(&mut acl));
        assert_eq!(acl, original);
    }

    #[test]
    fn reads_and_writes_overrides() {
        let o = Override::parse(b"5:6:4755:char-1-3").unwrap();
        assert_eq!((o.uid, o.gid, o.mode & 0o7777), (5, 6, 0o4755));
        assert_eq!(o.text(), "5:6:4755:char-1-3");
        assert_eq!(Override::parse(b"0:0:0755").unwrap().text(), "0:0:0755");
        for bad in ["", "1", "1:2", "a:b:c", "1:2:9", "1:2:644:nonsense"] {
            assert_eq!(Override::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
