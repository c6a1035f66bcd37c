//! The server of a file system over FUSE: this binary again, with the device as its input. It ends with the mount.
//!
//! Whoever starts one has mounted the device, or was handed it by the container's first process.

use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use super::plan::served;

/// What is to be served.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// Directories on the host, topmost first.
    pub lower: &'a [String],
    /// Where changes go, and the server's own directory beside it; none is read-only.
    pub upper: Option<(&'a str, &'a str)>,
    /// No syncing: for what is thrown away.
    pub volatile: bool,
    /// Whose files are.
    pub owners: ShownOwners,
    /// It ends with the thread that starts it: it is in the mount namespace of that, and would keep the mount.
    pub with_parent: bool,
}

/// Whose files are where they are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownOwners {
    /// As stored.
    Stored,
    /// All are root's.
    Root,
    /// Single-id mode: the one id there is, which is called this. Who files count as belonging to is the affair of whoever
    /// reads the records.
    One(u32, u32),
}

impl Served<'_> {
    /// Starts the server.
    ///
    /// # Errors
    /// When there can be no process.
    pub fn start(&self, device: OwnedFd) -> io::Result<Child> {
        serve(&self.options(), self.with_parent, device)
    }

    fn options(&self) -> String {
        let words = served::words(self.lower, self.upper, self.volatile);
        match self.owners {
            ShownOwners::Stored => words,
            ShownOwners::Root => words + ",squash_to_root",
            ShownOwners::One(uid, gid) => words + &served::one_id(uid, gid),
        }
    }
}

/// Starts a server with these options.
///
/// # Errors
/// When there can be no process.
pub fn serve(options: &str, with_parent: bool, device: OwnedFd) -> io::Result<Child> {
    Command::new("/proc/self/exe")
        .args(["overlay-mount", "--serve-stdin"])
        .args(with_parent.then_some("--with-parent"))
        .args(["-o", options, "/"])
        .stdin(device)
        // The pipe, which nobody reads, tells it when the parent ended before it could ask for the signal.
        .stdout(if with_parent { Stdio::piped() } else { Stdio::null() })
        .stderr(Stdio::null())
        .spawn()
}
