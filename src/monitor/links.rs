//! Containers this one is linked to. Their addresses are in its /etc/hosts and may change while it runs; each has its own
//! in a file of its directory, and the kernel tells when that is replaced, so that nobody has to know who is linked to whom.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::inotify::{self, CreateFlags, Reader, WatchFlags};

use super::Monitor;
use crate::state::lease;

/// What is watched; nothing where there are no links.
#[derive(Debug, Default)]
pub(super) struct Links {
    events: Option<OwnedFd>,
}

impl Links {
    /// Becomes readable when something has changed.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(AsFd::as_fd)
    }

    /// Whether addresses of one of them have changed.
    fn read(&self) -> bool {
        let Some(events) = &self.events else { return false };
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = Reader::new(events, &mut buffer);
        let mut changed = false;
        // Until there are no more.
        while let Ok(event) = reader.next() {
            changed |= event.file_name().is_some_and(|name| name.to_bytes() == lease::FILE.as_bytes());
            // Some were dropped.
            changed |= event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW);
        }
        changed
    }
}

impl Monitor {
    /// Begins to watch those that are not watched yet. Where the kernel has no more watches, addresses stay as they are at
    /// the start.
    pub(super) fn watch_links(&mut self) {
        let Some(names) = &self.start.names else { return };
        for link in &names.links {
            if self.links.events.is_none() {
                self.links.events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok();
            }
            if let Some(events) = &self.links.events {
                let _ = inotify::add_watch(events, self.paths.container(&link.id), WatchFlags::MOVED_TO | WatchFlags::ONLYDIR);
            }
        }
    }

    /// Something has changed at one of them.
    pub(super) fn links_changed(&self) {
        if !self.links.read() {
            return;
        }
        if let Some(net) = self.running.as_ref().and_then(|running| running.network.as_ref()) {
            // A full disk leaves the file as it was.
            drop(self.write_names(net.leases()));
        }
    }
}
