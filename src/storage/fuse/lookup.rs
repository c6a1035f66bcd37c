//! Finding a name: which layers have it, what hides it, and the node that stands for it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, FileType, Stat};
use rustix::io::{Errno, Result};

use super::node::{Fd, Key, Link, Node, Real, Reals, State, UPPER, write};
use super::overlay::{Overlay, open_dir};
use super::target::Target;
use super::whiteout::{self, Opaque};

/// The number a file had in its lower layer, kept when it is copied up. The kernel's overlay hides
/// every `user.overlay.` name and ignores this one.
pub(super) const ORIGIN: &str = "user.overlay.kelp.ino";

/// What a name stands for.
pub(super) struct Found {
    pub(super) stat: Stat,
    pub(super) layer: u16,
    /// For directories: the real ones, topmost first.
    pub(super) reals: Vec<Arc<Real>>,
    key: Key,
    /// The number a copied-up file is to keep.
    origin: Option<u64>,
}

fn key_of(layer: u16, stat: &Stat) -> Key {
    Key { layer, dev: stat.st_dev, ino: stat.st_ino }
}

impl Overlay {
    /// Looks for `name` through the layers of `parent`.
    pub(super) fn find(&self, parent: &Arc<Node>, name: &OsStr) -> Result<Option<Found>> {
        self.find_in(parent, &parent.reals(), name)
    }

    /// Looks for `name` in `reals`, some of the directories behind `parent`.
    pub(super) fn find_in(&self, parent: &Arc<Node>, reals: &[Arc<Real>], name: &OsStr) -> Result<Option<Found>> {
        if name.len() > 255 {
            return Err(Errno::NAMETOOLONG);
        }
        if whiteout::is_reserved(name) {
            return Ok(None);
        }
        let mut found: Option<Found> = None;
        for (place, real) in reals.iter().enumerate() {
            let dir = self.dir_fd(parent, real)?;
            let last = place + 1 == reals.len();
            let hidden = |dir: &Fd| !last && self.dotted(real, dir) && whiteout::is_dotted(dir, name);
            let stat = match fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(Errno::NOENT) if hidden(&dir) => break,
                Err(Errno::NOENT) => continue,
                Err(e) => return Err(e),
            };
            if whiteout::is_device(&stat) || (real.xattr_whiteouts && whiteout::is_marked(&dir, name, &stat)) {
                break;
            }
            let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
            if !is_dir {
                if found.is_none() {
                    found = Some(self.found_file(real.layer, stat, dir, name, last));
                }
                break;
            }
            let (sub, opaque) = if last { (None, Opaque::Yes) } else { self.look_into(&dir, name)? };
            let key = key_of(real.layer, &stat);
            let entry = found.get_or_insert_with(|| {
                let mut stat = stat;
                self.apply_override(&mut stat, &Target::At(dir.clone(), name), real.layer);
                Found { stat, layer: real.layer, reals: Vec::new(), key, origin: None }
            });
            if entry.key.layer == UPPER {
                // A lower directory never goes away: its number is the one to show.
                entry.key = key;
            }
            let mut sub_real = Real::new(real.layer, None);
            sub_real.xattr_whiteouts = opaque == Opaque::Marked;
            let sub_real = Arc::new(sub_real);
            if let Some(fd) = sub {
                self.keep_dir(&sub_real, &fd);
            }
            entry.reals.push(sub_real);
            if opaque == Opaque::Yes || hidden(&dir) {
                break;
            }
        }
        Ok(found)
    }

    pub(super) fn found_file(&self, layer: u16, mut stat: Stat, dir: Fd, name: &OsStr, last: bool) -> Found {
        let target = Target::At(dir, name);
        self.apply_override(&mut stat, &target, layer);
        let origin = if layer == UPPER && !last { origin_of(&target) } else { None };
        Found { stat, layer, reals: Vec::new(), key: key_of(layer, &stat), origin }
    }

    /// Opens a real directory and reads its mark.
    fn look_into(&self, dir: &Fd, name: &OsStr) -> Result<(Option<Fd>, Opaque)> {
        let fd = open_dir(dir, name)?;
        let opaque = whiteout::opaque(&fd);
        Ok((Some(fd), opaque))
    }

    /// The node for what was found as `name` in `parent`; counts a lookup by the kernel.
    pub(super) fn intern(&self, parent: &Arc<Node>, name: &OsStr, found: Found) -> Result<(Arc<Node>, Stat)> {
        let Found { stat, layer, reals, key, origin } = found;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let links = vec![Link { parent: parent.clone(), name: name.to_owned() }];
        let wanted = origin.unwrap_or_else(|| self.number(key.layer, key.ino));
        let state = State { links, layer, reals: Reals::new(reals), ..State::default() };
        let (node, new) = self.table.intern(key, wanted, kind, state);
        if new || kind == FileType::Directory {
            return Ok((node, stat));
        }
        // Another name of a file that is known.
        let mut state = write(&node.state);
        let moved_up = state.layer == UPPER && layer != UPPER;
        Node::add_link(&mut state, parent, name);
        drop(state);
        if moved_up {
            // It was copied up under its other name: this one must show the same file.
            match self.join(&node, parent, name) {
                Ok(()) => return Ok((node.clone(), self.getattr(&node)?)),
                Err(e) => {
                    self.table.forget(node.ino, 1);
                    return Err(e);
                }
            }
        }
        Ok((node, stat))
    }

    /// Looks up a name for the kernel.
    pub(super) fn lookup(&self, parent: &Arc<Node>, name: &OsStr) -> Result<Option<(Arc<Node>, Stat)>> {
        match self.find(parent, name)? {
            Some(found) => self.intern(parent, name, found).map(Some),
            None => Ok(None),
        }
    }

    /// The node of a real file found as `name` in `parent`, if the kernel knows it.
    pub(super) fn known(&self, found: &Found) -> Option<Arc<Node>> {
        self.table.find(&found.key)
    }
}

fn origin_of(target: &Target<'_>) -> Option<u64> {
    let value = target.getxattr(OsStr::new(ORIGIN)).ok()?;
    u64::from_str_radix(OsStr::from_bytes(&value).to_str()?, 16).ok()
}
