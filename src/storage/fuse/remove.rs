//! Removing names: unlink and rmdir, with whiteouts over what lies below, and files that live on
//! while they are open.

use std::ffi::OsStr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{self, AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};

use super::node::{Fd, Node, State, UPPER, write};
use super::overlay::{Overlay, open_dir};
use super::whiteout;

/// A descriptor that keeps a file when its name goes.
pub(super) fn hold(node: &Node, dir: &Fd, name: &OsStr, layer: u16) -> Result<Fd> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if node.is_dir() {
        return open_dir(dir, name);
    }
    if !node.is_file() {
        return fs::openat(dir, name, flags | OFlags::PATH, Mode::empty()).map(Arc::new);
    }
    let open = |more| fs::openat(dir, name, flags | OFlags::NONBLOCK | more, Mode::empty());
    let fd = if layer == UPPER { open(OFlags::RDWR) } else { Err(Errno::ACCESS) };
    fd.or_else(|_| open(OFlags::RDONLY)).map(Arc::new)
}

impl Overlay {
    /// Whether a layer below the upper one shows `name`.
    pub(super) fn is_below(&self, parent: &Arc<Node>, name: &OsStr) -> Result<bool> {
        let reals = parent.reals();
        let below = match reals.first() {
            Some(real) if real.layer == UPPER => &reals[1..],
            _ => &reals[..],
        };
        Ok(!below.is_empty() && self.find_in(parent, below, name)?.is_some())
    }

    /// The directory that has what was found.
    pub(super) fn dir_of(&self, parent: &Arc<Node>, layer: u16) -> Result<Fd> {
        let reals = parent.reals();
        let real = reals.iter().find(|r| r.layer == layer).ok_or(Errno::NOENT)?;
        self.dir_fd(parent, real)
    }

    /// Remembers that the upper directory of `parent` now has a `.wh.` file.
    pub(super) fn note_dotted(parent: &Node, is_dotted: bool) {
        if is_dotted && let Some(real) = parent.reals().first() {
            real.dotted.store(2, Ordering::Relaxed);
        }
    }

    /// Takes a name from a node whose file is about to lose it: keeps the file if nothing else
    /// leads to it. `links` is how many names the real file has.
    pub(super) fn detach(
        &self,
        node: &Arc<Node>,
        state: &mut State,
        held: Option<Fd>,
        (parent, name): (&Arc<Node>, &OsStr),
        links: u64,
    ) {
        Node::remove_link(state, parent, name);
        if state.links.is_empty() {
            if state.anchor.is_none() {
                state.anchor = state.io.take().or(held);
            }
            if links <= 1 {
                self.table.remove_keys(node, state);
            }
        }
    }

    /// Removes a name that is no directory's.
    pub(super) fn unlink(&self, parent: &Arc<Node>, name: &OsStr) -> Result<()> {
        let dir = self.upper_dir(parent)?;
        let found = self.find(parent, name)?.ok_or(Errno::NOENT)?;
        if !found.reals.is_empty() {
            return Err(Errno::ISDIR);
        }
        let upper = found.layer == UPPER;
        let below = !upper || self.is_below(parent, name)?;
        let node = self.known(&found);
        let mut state = node.as_ref().map(|n| write(&n.state));
        let held = match (&node, &state) {
            (Some(node), Some(state)) if state.links.len() <= 1 && state.io.is_none() && state.anchor.is_none() => {
                let at = if upper { dir.clone() } else { self.dir_of(parent, found.layer)? };
                Some(hold(node, &at, name, found.layer)?)
            }
            _ => None,
        };
        if below {
            Self::note_dotted(parent, self.work()?.whiteout(&dir, name, upper)?);
        } else {
            fs::unlinkat(&dir, name, AtFlags::empty())?;
        }
        if let (Some(node), Some(state)) = (&node, &mut state) {
            self.detach(node, state, held, (parent, name), u64::from(found.stat.st_nlink));
        }
        Self::changed(parent);
        Ok(())
    }

    /// Removes a directory that shows nothing.
    pub(super) fn rmdir(&self, parent: &Arc<Node>, name: &OsStr) -> Result<()> {
        let dir = self.upper_dir(parent)?;
        let found = self.find(parent, name)?.ok_or(Errno::NOENT)?;
        if found.reals.is_empty() {
            return Err(Errno::NOTDIR);
        }
        let layer = found.layer;
        let (node, _) = self.intern(parent, name, found)?;
        let done = self.remove_dir(parent, name, &dir, &node, layer);
        self.table.forget(node.ino, 1);
        done
    }

    fn remove_dir(&self, parent: &Arc<Node>, name: &OsStr, dir: &Fd, node: &Arc<Node>, layer: u16) -> Result<()> {
        if !self.read_layers(node)?.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        let below = layer != UPPER || self.is_below(parent, name)?;
        let held = self.dir_of(node, layer)?;
        let mut state = write(&node.state);
        if layer == UPPER {
            self.remove_upper_dir(parent, name, dir, below)?;
        } else {
            Self::note_dotted(parent, self.work()?.whiteout(dir, name, false)?);
        }
        self.detach(node, &mut state, Some(held), (parent, name), 1);
        state.reals = super::node::Reals::default();
        Self::changed(parent);
        Ok(())
    }

    /// Removes a directory of the upper layer that holds nothing but whiteouts.
    fn remove_upper_dir(&self, parent: &Arc<Node>, name: &OsStr, dir: &Fd, below: bool) -> Result<()> {
        let work = self.work()?;
        let temporary = work.temporary();
        if !below {
            match fs::unlinkat(dir, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                done => return done,
            }
            fs::renameat(dir, name, work.dir(), &temporary)?;
        } else if work.whiteout(work.dir(), OsStr::new(&temporary), false)? {
            // No devices here: the `.wh.` file comes first, beside what it is to replace.
            whiteout::remove_dotted(work.dir(), OsStr::new(&temporary));
            Self::note_dotted(parent, work.whiteout(dir, name, false)?);
            fs::renameat(dir, name, work.dir(), &temporary)?;
        } else {
            fs::renameat_with(work.dir(), &temporary, dir, name, RenameFlags::EXCHANGE)?;
        }
        self.turns.slow();
        work.discard(&temporary);
        Ok(())
    }
}
