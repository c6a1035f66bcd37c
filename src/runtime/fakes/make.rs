//! Files in the making: the kernel makes them, after the supervisor let the call go on; who they belong to is recorded
//! when they are there.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::userns::owner::{self, Owner};

/// What is not there by then was not made.
const PATIENCE: Duration = Duration::from_secs(2);
/// More at a time come from nobody but an attacker.
const MAX: usize = 1024;

#[derive(Debug)]
struct Making {
    thread: i32,
    parent: OwnedFd,
    name: Vec<u8>,
    ids: (u32, u32),
    since: Instant,
}

/// All that is in the making in one container.
#[derive(Debug, Default)]
pub(super) struct Made {
    all: Vec<Making>,
}

impl Made {
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn begin(&mut self, thread: i32, parent: OwnedFd, name: Vec<u8>, ids: (u32, u32)) {
        if self.all.len() < MAX {
            self.all.push(Making { thread, parent, name, ids, since: Instant::now() });
        }
    }

    /// Records what is there; of `thread`, whose call is over, the rest is forgotten.
    pub(super) fn settle(&mut self, thread: Option<i32>) {
        self.all.retain(|making| {
            let there = making.record();
            !there && thread != Some(making.thread) && making.since.elapsed() < PATIENCE
        });
    }
}

impl Making {
    /// Whether there was something to record.
    fn record(&self) -> bool {
        let Ok(stat) = owner::stat_at(&self.parent, &self.name) else { return false };
        let (uid, gid) = (self.ids.0, inherited_group(&self.parent).unwrap_or(self.ids.1));
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile | FileType::Directory => {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let opened: Result<OwnedFd, Errno> = rustix::fs::openat(&self.parent, &self.name, flags, Mode::empty());
                if let Ok(file) = opened
                    && owner::find(&file, &stat).is_none()
                {
                    let before = Owner::of(&stat);
                    let _ = owner::record(&file, Owner { uid, gid, ..before });
                }
            }
            FileType::Symlink => drop(owner::record_at(&self.parent, &self.name, uid, gid)),
            _ => {}
        }
        true
    }
}

/// The group a directory passes on: with its set-group-id bit, its own.
pub(super) fn inherited_group(directory: &OwnedFd) -> Option<u32> {
    let stat = rustix::fs::fstat(directory).ok()?;
    let owner = owner::effective(directory, &stat);
    (owner.mode & 0o2000 != 0).then_some(owner.gid)
}
