//! Renaming. Files are copied up first; directories move only if they are in the upper layer alone
//! (`EXDEV` else, as with the kernel's overlay without `redirect_dir`), so that a node's path is
//! the same in all its layers.

use std::ffi::OsStr;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, RenameFlags};
use rustix::io::{Errno, Result};

use super::lookup::Found;
use super::node::{Fd, Node, State, UPPER, write};
use super::overlay::{Overlay, open_dir};
use super::remove::hold;
use super::whiteout;

/// One end of a rename.
struct End<'a> {
    parent: &'a Arc<Node>,
    name: &'a OsStr,
    dir: Fd,
    /// A lower layer shows this name.
    below: bool,
}

impl Overlay {
    /// Renames `old` to `new`.
    pub(super) fn rename(
        &self,
        old: (&Arc<Node>, &OsStr),
        new: (&Arc<Node>, &OsStr),
        flags: RenameFlags,
    ) -> Result<()> {
        if flags.contains(RenameFlags::WHITEOUT) {
            return Err(Errno::INVAL);
        }
        if whiteout::is_reserved(new.1) {
            return Err(Errno::INVAL);
        }
        let exchange = flags.contains(RenameFlags::EXCHANGE);
        let source = self.find(old.0, old.1)?.ok_or(Errno::NOENT)?;
        let target = self.find(new.0, new.1)?;
        if flags.contains(RenameFlags::NOREPLACE) && target.is_some() {
            return Err(Errno::EXIST);
        }
        if let Some(target) = &target {
            check_kinds(&source, target, exchange)?;
        } else if exchange {
            return Err(Errno::NOENT);
        }
        let (moved, _) = self.intern(old.0, old.1, source)?;
        let victim = match target {
            Some(found) => self.intern(new.0, new.1, found).map(|(node, _)| Some(node)),
            None => Ok(None),
        };
        let done = victim.and_then(|victim| {
            let done = if victim.as_ref().is_some_and(|v| Arc::ptr_eq(v, &moved)) {
                Ok(()) // two names of one file: nothing happens, says POSIX
            } else if exchange {
                self.exchange(old, new, &moved, victim.as_ref())
            } else {
                self.replace(old, new, &moved, victim.as_ref())
            };
            if let Some(victim) = victim {
                self.table.forget(victim.ino, 1);
            }
            done
        });
        self.table.forget(moved.ino, 1);
        done
    }

    /// Makes sure a node is in the upper layer alone, if it is a directory, or there at all.
    fn make_movable(&self, node: &Arc<Node>) -> Result<()> {
        if !node.is_dir() {
            return self.copy_up(node, None);
        }
        let reals = node.reals();
        if reals.len() == 1 && reals[0].layer == UPPER { Ok(()) } else { Err(Errno::XDEV) }
    }

    fn end<'a>(&self, (parent, name): (&'a Arc<Node>, &'a OsStr)) -> Result<End<'a>> {
        Ok(End { parent, name, dir: self.upper_dir(parent)?, below: self.is_below(parent, name)? })
    }

    /// A directory that moves to where lower layers could show through must hide them.
    fn hide_below(&self, node: &Arc<Node>, to: &Arc<Node>) -> Result<()> {
        if node.is_dir() && to.reals().len() > 1 {
            let dir = self.upper_dir(node)?;
            whiteout::set_opaque(&dir)?;
        }
        Ok(())
    }

    fn replace(
        &self,
        old: (&Arc<Node>, &OsStr),
        new: (&Arc<Node>, &OsStr),
        moved: &Arc<Node>,
        victim: Option<&Arc<Node>>,
    ) -> Result<()> {
        self.make_movable(moved)?;
        if let Some(victim) = victim.filter(|v| v.is_dir())
            && !self.read_layers(victim)?.is_empty()
        {
            return Err(Errno::NOTEMPTY);
        }
        let (from, to) = (self.end(old)?, self.end(new)?);
        self.hide_below(moved, to.parent)?;
        let held = match victim {
            Some(victim) => {
                let layer = victim.state.read().map_or(UPPER, |s| s.layer);
                Some(hold(victim, &self.dir_of(to.parent, layer)?, to.name, layer)?)
            }
            None => None,
        };
        let links = match victim {
            Some(victim) => self.getattr(victim).map_or(1, |s| u64::from(s.st_nlink)),
            None => 1,
        };
        let mut states = lock_two(moved, victim);
        self.move_real(moved, &from, &to)?;
        let (state, gone) = (&mut states.0, &mut states.1);
        if let (Some(victim), Some(gone)) = (victim, gone.as_mut()) {
            self.detach(victim, gone, held, (to.parent, to.name), links);
            if victim.is_dir() {
                gone.reals = super::node::Reals::default();
            }
        }
        Node::remove_link(state, from.parent, from.name);
        Node::add_link(state, to.parent, to.name);
        Self::changed(from.parent);
        Self::changed(to.parent);
        Ok(())
    }

    /// Moves the real file, leaving a whiteout where one is needed.
    fn move_real(&self, moved: &Arc<Node>, from: &End<'_>, to: &End<'_>) -> Result<()> {
        let work = self.work()?;
        let (source, place) = ((&from.dir, from.name), (&to.dir, to.name));
        if moved.is_dir()
            && let Some(stat) = super::overlay::exists(&to.dir, to.name)?
        {
            if whiteout::is_device(&stat) {
                // A directory cannot replace the whiteout, but can change places with it.
                fs::renameat_with(&from.dir, from.name, &to.dir, to.name, RenameFlags::EXCHANGE)?;
                if !from.below {
                    fs::unlinkat(&from.dir, from.name, AtFlags::empty())?;
                }
                return Ok(());
            }
            // An empty directory, but for whiteouts: those go before it is replaced.
            self.clear(&to.dir, to.name)?;
        }
        if from.below {
            Self::note_dotted(from.parent, work.rename_whiteout(source, place)?);
        } else {
            fs::renameat(source.0, source.1, place.0, place.1)?;
        }
        if to.parent.reals().len() > 1 {
            whiteout::remove_dotted(&to.dir, to.name);
        }
        Ok(())
    }

    /// Puts an empty opaque directory in the place of one that holds whiteouts.
    fn clear(&self, dir: &Fd, name: &OsStr) -> Result<()> {
        let mut any = false;
        super::listing::each(&open_dir(dir, name)?, |_, _, _| any = true)?;
        if !any {
            return Ok(());
        }
        let work = self.work()?;
        let temporary = work.temporary();
        fs::mkdirat(work.dir(), &temporary, fs::Mode::from_raw_mode(0o700))?;
        let done = open_dir(work.dir(), OsStr::new(&temporary))
            .and_then(whiteout::set_opaque)
            .and_then(|()| fs::renameat_with(work.dir(), &temporary, dir, name, RenameFlags::EXCHANGE));
        work.discard(&temporary);
        done
    }

    fn exchange(
        &self,
        old: (&Arc<Node>, &OsStr),
        new: (&Arc<Node>, &OsStr),
        moved: &Arc<Node>,
        other: Option<&Arc<Node>>,
    ) -> Result<()> {
        let other = other.ok_or(Errno::NOENT)?;
        self.make_movable(moved)?;
        self.make_movable(other)?;
        let (from, to) = (self.end(old)?, self.end(new)?);
        self.hide_below(moved, to.parent)?;
        self.hide_below(other, from.parent)?;
        let mut states = lock_two(moved, Some(other));
        fs::renameat_with(&from.dir, from.name, &to.dir, to.name, RenameFlags::EXCHANGE)?;
        Node::remove_link(&mut states.0, from.parent, from.name);
        Node::add_link(&mut states.0, to.parent, to.name);
        if let Some(state) = states.1.as_mut() {
            Node::remove_link(state, to.parent, to.name);
            Node::add_link(state, from.parent, from.name);
        }
        Self::changed(from.parent);
        Self::changed(to.parent);
        Ok(())
    }
}

type Locked<'a> = std::sync::RwLockWriteGuard<'a, State>;

/// Locks one or two nodes, always in the order of their numbers.
fn lock_two<'a>(first: &'a Arc<Node>, second: Option<&'a Arc<Node>>) -> (Locked<'a>, Option<Locked<'a>>) {
    match second {
        Some(second) if second.ino < first.ino => {
            let second = write(&second.state);
            (write(&first.state), Some(second))
        }
        second => {
            let first = write(&first.state);
            (first, second.map(|s| write(&s.state)))
        }
    }
}

fn check_kinds(source: &Found, target: &Found, exchange: bool) -> Result<()> {
    let (from, to) = (!source.reals.is_empty(), !target.reals.is_empty());
    match (from, to) {
        _ if exchange => Ok(()),
        (true, false) => Err(Errno::NOTDIR),
        (false, true) => Err(Errno::ISDIR),
        _ => Ok(()),
    }
}
