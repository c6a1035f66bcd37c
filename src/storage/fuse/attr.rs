//! Changing attributes, with set-user-id bits dropped where the kernel leaves that to us.

use std::sync::Arc;

use rustix::fs::{self, Stat, Timespec, Timestamps};
use rustix::io::{Errno, Result};

use super::ids::Override;
use super::node::{Node, UPPER, read, write};
use super::overlay::Overlay;

/// What is to change.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Changes {
    pub(super) mode: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) size: Option<u64>,
    pub(super) atime: Option<Timespec>,
    pub(super) mtime: Option<Timespec>,
    /// A new size ends set-user-id (a new owner does by itself, in the layer's file system).
    pub(super) drop_suid: bool,
}

const OMIT: Timespec = Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT };

impl Overlay {
    /// Changes attributes and returns what they are then.
    pub(super) fn setattr(&self, node: &Arc<Node>, changes: &Changes) -> Result<Stat> {
        self.copy_up(node, changes.size)?;
        let none = Errno::INVAL;
        let uid = changes.uid.map(|id| self.ids.stored_uid(id).ok_or(none)).transpose()?;
        let gid = changes.gid.map(|id| self.ids.stored_gid(id).ok_or(none)).transpose()?;
        if changes.mode.is_some() {
            write(&node.state).no_suid = false;
        }
        if let Some(size) = changes.size {
            let fd = self.writer(node)?;
            fs::ftruncate(&fd, size)?;
        }
        self.with(node, |target, layer| {
            let mut mode = changes.mode;
            if changes.drop_suid && mode.is_none() && node.is_file() {
                let now = self.stat(target, layer)?.st_mode;
                let kept = without_suid(now);
                mode = (kept != now).then_some(kept);
            }
            if self.has_overrides(UPPER) && (mode.is_some() || uid.is_some() || gid.is_some()) {
                let mut kept = Override::of(&self.stat(target, layer)?);
                kept.uid = uid.unwrap_or(kept.uid);
                kept.gid = gid.unwrap_or(kept.gid);
                // Here no file system drops set-user-id with the owner.
                let now = if node.is_file() && (uid.is_some() || gid.is_some()) { without_suid(kept.mode) } else { kept.mode };
                kept.mode = mode.map_or(now, |m| kept.mode & !0o7777 | m & 0o7777);
                kept.keep(target)?;
            } else {
                if uid.is_some() || gid.is_some() {
                    target.chown(uid, gid)?;
                }
                if let Some(mode) = mode {
                    target.chmod(mode)?;
                }
            }
            if changes.atime.is_some() || changes.mtime.is_some() {
                target.utimens(&Timestamps {
                    last_access: changes.atime.unwrap_or(OMIT),
                    last_modification: changes.mtime.unwrap_or(OMIT),
                })?;
            }
            self.stat(target, layer)
        })
    }

    /// Whether a write ends set-user-id or set-group-id.
    pub(super) fn is_suid(&self, node: &Arc<Node>) -> Result<bool> {
        if read(&node.state).no_suid {
            return Ok(false);
        }
        let mode = self.getattr(node)?.st_mode;
        let suid = is_suid(mode);
        write(&node.state).no_suid = !suid;
        Ok(suid)
    }

    /// Drops set-user-id and set-group-id after a write by somebody who may not keep them.
    pub(super) fn drop_suid(&self, node: &Arc<Node>) -> Result<()> {
        let mode = self.getattr(node)?.st_mode;
        if !is_suid(mode) {
            return Ok(());
        }
        self.setattr(node, &Changes { mode: Some(without_suid(mode)), ..Changes::default() }).map(drop)
    }
}

/// Whether a write ends something of a mode.
pub(super) fn is_suid(mode: u32) -> bool {
    without_suid(mode) != mode
}

/// A mode without set-user-id, and without set-group-id where that is not a lock mark.
fn without_suid(mode: u32) -> u32 {
    let mode = mode & !0o4000;
    if mode & 0o010 != 0 { mode & !0o2000 } else { mode }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_group_id_goes_only_with_group_execute() {
        assert_eq!(without_suid(0o106_755), 0o100_755);
        assert_eq!(without_suid(0o102_644), 0o102_644);
    }
}
