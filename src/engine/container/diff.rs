//! `diff`: what a container changed, read from its own layer alone.
//!
//! In the layer a character device 0:0 (or an empty file with `user.overlay.whiteout`) stands for something deleted, and
//! a directory with `user.overlay.opaque` hides what the image has there.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::inside;
use crate::engine::{Engine, Error};
use crate::spec::container::ImageSource;
use crate::state::Containers;
use crate::sys::root;
use crate::userns::{IdMap, owner};

/// What happened to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ChangeKind {
    /// Changed, or something below it did.
    Changed,
    /// New.
    Added,
    /// Deleted.
    Deleted,
}

impl ChangeKind {
    /// docker's letter.
    pub fn letter(self) -> char {
        match self {
            Self::Changed => 'C',
            Self::Added => 'A',
            Self::Deleted => 'D',
        }
    }
}

/// One changed path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// Absolute, in the container.
    pub path: PathBuf,
}

/// The changes of a container against its image, by path.
///
/// # Errors
/// No such container; one without a layer of its own (`--rootfs`).
pub fn diff(engine: &Engine, container: &str) -> Result<Vec<Change>, Error> {
    let containers = Containers::new(&engine.paths);
    let id = containers.find(container)?;
    let record = containers.read(&id)?;
    let lower = match &record.spec.image {
        ImageSource::Image(_) => inside::layers(engine, &record)?,
        ImageSource::Rootfs { path, overlay: true } => vec![path.clone()],
        ImageSource::Rootfs { overlay: false, .. } => {
            return Err(Error::Conflict(format!("{container} works in its root directory itself: there is no layer to compare")));
        }
    };
    inside::become_root(engine, false)?;
    let open = |path: &Path| rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let lower = lower
        .iter()
        .map(|path| open(path).map_err(|errno| Error::io("open", path)(errno.into())))
        .collect::<Result<Vec<_>, _>>()?;
    let upper = containers.paths().container(&id).join("upper");
    let upper = match open(&upper) {
        // Never started.
        Err(Errno::NOENT) => return Ok(Vec::new()),
        other => other.map_err(|errno| Error::io("open", &upper)(errno.into()))?,
    };
    let mut changes = BTreeMap::new();
    let targets = record.config.mounts.iter().map(|mount| mount.target.as_str());
    let targets = targets.chain(record.spec.storage.tmpfs.iter().map(|mount| mount.target.as_str()));
    let own: HashSet<&Path> = targets.chain(MOUNT_POINTS.iter().copied()).map(Path::new).collect();
    walk(&upper, &lower, &own, &mut changes).map_err(|errno| Error::io("read the layer of", container)(errno.into()))?;
    Ok(changes.into_iter().map(|(path, kind)| Change { kind, path }).collect())
}

/// What kelp makes in a container's layer to mount on, if the image has it not; it says nothing about what the container
/// did.
const MOUNT_POINTS: &[&str] = &[
    "/dev", "/proc", "/sys", "/run", "/tmp", "/var/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/localtime",
    "/run/.containerenv", "/.dockerenv", "/run/secrets",
];

type Changes = BTreeMap<PathBuf, ChangeKind>;

/// A directory of the layer yet to be read: its path, and whether it hides the image's.
struct Pending {
    path: PathBuf,
    opaque: bool,
}

fn walk(upper: &OwnedFd, lower: &[OwnedFd], own: &HashSet<&Path>, changes: &mut Changes) -> Result<(), Errno> {
    let single = IdMap::is_single_here();
    let mut pending = vec![Pending { path: PathBuf::from("/"), opaque: false }];
    while let Some(Pending { path, opaque }) = pending.pop() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let dir = match root::open_no_links(upper.as_fd(), &path, flags) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            other => other?,
        };
        let mut names = Vec::new();
        for entry in Dir::read_from(&dir)? {
            let name = entry?.file_name().to_owned();
            if name.as_c_str() != c"." && name.as_c_str() != c".." {
                names.push(name);
            }
        }
        if opaque {
            hidden(lower, &path, &names, changes);
        }
        for name in names {
            let Ok(stat) = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let full = path.join(OsStr::from_bytes(name.to_bytes()));
            let below = in_lower(lower, &full);
            if is_whiteout(&dir, &name, &stat) {
                if below.is_some() {
                    record(changes, &full, ChangeKind::Deleted);
                }
                continue;
            }
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            match below {
                None if own.contains(full.as_path()) && (is_dir || stat.st_size == 0) => {}
                None => record(changes, &full, ChangeKind::Added),
                Some(old) if is_dir && same_directory(&old, &stat) && (!single || same_owner(lower, &full, (&dir, &name), &stat)) => {}
                Some(_) => record(changes, &full, ChangeKind::Changed),
            }
            if is_dir {
                let opaque = opaque || is_opaque(upper, &full);
                pending.push(Pending { path: full, opaque });
            }
        }
    }
    Ok(())
}

/// A change makes its directories changed too, as docker shows it.
fn record(changes: &mut Changes, path: &Path, kind: ChangeKind) {
    for parent in path.ancestors().skip(1) {
        if parent == Path::new("/") {
            break;
        }
        changes.entry(parent.to_owned()).or_insert(ChangeKind::Changed);
    }
    changes.insert(path.to_owned(), kind);
}

/// Copied up for something below it, not changed itself. Its time tells only that something below it came or went.
fn same_directory(old: &Stat, new: &Stat) -> bool {
    FileType::from_raw_mode(old.st_mode) == FileType::Directory
        && (old.st_mode, old.st_uid, old.st_gid) == (new.st_mode, new.st_uid, new.st_gid)
}

/// Whether a copied-up directory still has the owner that is recorded for the image's.
fn same_owner(lower: &[OwnedFd], path: &Path, (dir, name): (&OwnedFd, &CString), stat: &Stat) -> bool {
    let new = owner::effective_at(dir, name.as_bytes(), stat);
    let below = lower.iter().find_map(|layer| {
        let found = root::open_no_links(layer.as_fd(), path, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW).ok()?;
        let stat = rustix::fs::fstat(&found).ok()?;
        Some(owner::effective(&found, &stat))
    });
    below.is_none_or(|old| (old.uid, old.gid) == (new.uid, new.gid))
}

/// What the image has at a path; the topmost layer that says anything decides.
fn in_lower(lower: &[OwnedFd], path: &Path) -> Option<Stat> {
    let (parent, name) = (path.parent()?, CString::new(path.file_name()?.as_bytes()).ok()?);
    for layer in lower {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let dir = match root::open_no_links(layer.as_fd(), parent, flags) {
            Ok(dir) => dir,
            // A file, link or whiteout in this layer hides what is below.
            Err(Errno::NOTDIR | Errno::LOOP) => return None,
            Err(_) => {
                if hides(layer, parent) {
                    return None;
                }
                continue;
            }
        };
        if let Ok(stat) = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            return (!is_whiteout(&dir, &name, &stat)).then_some(stat);
        }
        if hides(layer, parent) {
            return None;
        }
    }
    None
}

/// Whether a layer's directory, or one above it, hides the layers below.
fn hides(layer: &OwnedFd, path: &Path) -> bool {
    path.ancestors().any(|path| is_opaque(layer, path))
}

fn is_opaque(layer: &OwnedFd, path: &Path) -> bool {
    let Ok(dir) = root::open_no_links(layer.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW) else {
        return false;
    };
    let mut value = [0_u8; 4];
    matches!(rustix::fs::fgetxattr(&dir, c"user.overlay.opaque", &mut value), Ok(1) if value[0] == b'y')
}

fn is_whiteout(dir: &OwnedFd, name: &CStr, stat: &Stat) -> bool {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::CharacterDevice => stat.st_rdev == 0,
        FileType::RegularFile if stat.st_size == 0 => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let Ok(file) = rustix::fs::openat(dir, name, flags, Mode::empty()) else { return false };
            let mut value = [0_u8; 4];
            rustix::fs::fgetxattr(&file, c"user.overlay.whiteout", &mut value).is_ok()
        }
        _ => false,
    }
}

/// What the image has in a directory the layer replaced, and the layer has not: deleted.
fn hidden(lower: &[OwnedFd], path: &Path, kept: &[CString], changes: &mut Changes) {
    for layer in lower {
        let Ok(dir) = root::open_no_links(layer.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW) else {
            continue;
        };
        let Ok(entries) = Dir::read_from(&dir) else { continue };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name == c"." || name == c".." || kept.iter().any(|kept| kept.as_c_str() == name) {
                continue;
            }
            let full = path.join(OsStr::from_bytes(name.to_bytes()));
            if in_lower(lower, &full).is_some() {
                record(changes, &full, ChangeKind::Deleted);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn additions_changes_and_deletions_are_told_apart() {
        let base = std::env::temp_dir().join(format!("kelp-diff-{}", std::process::id()));
        drop(fs::remove_dir_all(&base));
        for dir in ["low/etc", "low/gone/deep", "low/same", "low/old/x", "up/etc", "up/new/sub", "up/same", "up/old", "up/proc"] {
            fs::create_dir_all(base.join(dir)).unwrap();
        }
        fs::write(base.join("low/etc/conf"), "a").unwrap();
        fs::write(base.join("low/old/file"), "a").unwrap();
        fs::write(base.join("up/etc/conf"), "b").unwrap();
        fs::write(base.join("up/new/sub/file"), "x").unwrap();
        fs::write(base.join("up/old/fresh"), "x").unwrap();
        fs::write(base.join("up/gone"), "").unwrap();
        let attribute = |path: &str, name: &CStr| {
            rustix::fs::setxattr(base.join(path), name, b"y", rustix::fs::XattrFlags::empty())
        };
        if attribute("up/gone", c"user.overlay.whiteout").is_err() {
            return;
        }
        attribute("up/old", c"user.overlay.opaque").unwrap();
        let open = |path: &str| OwnedFd::from(File::open(base.join(path)).unwrap());
        let mut changes = Changes::new();
        let own = HashSet::from([Path::new("/proc"), Path::new("/old")]);
        walk(&open("up"), &[open("low")], &own, &mut changes).unwrap();
        let lines: Vec<String> =
            changes.iter().map(|(path, kind)| format!("{} {}", kind.letter(), path.display())).collect();
        assert_eq!(
            lines,
            [
                "C /etc", "C /etc/conf", "D /gone", "A /new", "A /new/sub", "A /new/sub/file", "C /old", "D /old/file",
                "A /old/fresh", "D /old/x"
            ]
        );
        fs::remove_dir_all(&base).unwrap();
    }
}
