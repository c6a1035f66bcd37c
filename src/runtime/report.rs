//! How a child says what went wrong: one small record, no text but a short detail. The parent, which has the plan,
//! words the message.

use std::io::IoSlice;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::sys::socket;

/// Where a container's first process was when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// clone(2).
    Clone,
    /// Waiting for, or taking on, the ids of the user namespace.
    Ids,
    /// Joining a namespace.
    Join,
    /// Entering the network namespace at a path.
    NetworkPath,
    /// Host name.
    Hostname,
    /// `lo`.
    Loopback,
    /// Mounting the root file system.
    Root,
    /// `plan.mounts[index]`: finding or making the target.
    MountTarget,
    /// `plan.mounts[index]`: opening the source.
    MountSource,
    /// `plan.mounts[index]`: mounting.
    Mount,
    /// A link or node in /dev.
    Dev,
    /// Filling a volume; the detail is the message.
    Fill,
    /// `plan.mounts[index]`: giving its source to the user, whom the detail tells.
    Chown,
    /// The terminal.
    Terminal,
    /// `plan.sysctls[index]`.
    Sysctl,
    /// `plan.masked[index]`.
    Mask,
    /// `plan.read_only_paths[index]`.
    ReadOnly,
    /// Changing to the new root.
    Pivot,
    /// `plan.process.rlimits[index]`.
    Limit,
    /// `plan.process.oom_score_adj`.
    OomScore,
    /// Looking up the user; the detail says which.
    User,
    /// Working directory.
    WorkDir,
    /// Capabilities.
    Caps,
    /// The system call filter.
    Seccomp,
    /// The program itself.
    Exec,
    /// Waiting for the network.
    Network,
    /// The cgroup.
    Cgroup,
}

/// A failed step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Which.
    pub step: Step,
    /// Which one of several.
    pub index: u32,
    /// errno(3).
    pub errno: i32,
    /// A name, a path: only where the plan does not have it.
    pub detail: String,
}

impl Failure {
    /// A failure with nothing more to say.
    pub(crate) fn new(step: Step, errno: Errno) -> Self {
        Self { step, index: 0, errno: errno.raw_os_error(), detail: String::new() }
    }

    /// The process was gone before it said anything.
    pub fn lost(step: Step) -> Self {
        Self::new(step, Errno::SRCH)
    }

    /// The errno.
    pub fn errno(&self) -> Errno {
        Errno::from_raw_os_error(self.errno)
    }

    /// Exit code docker documents for it: 126 and 127 for the program, 125 for everything before it.
    pub fn exit_code(&self) -> i32 {
        match (self.step, self.errno()) {
            (Step::Exec, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => 127,
            (Step::Exec, _) => 126,
            _ => 125,
        }
    }
}

/// Fails with a step.
pub(crate) fn at(step: Step) -> impl FnOnce(Errno) -> Failure {
    move |errno| Failure::new(step, errno)
}

/// Fails with a step and which one of several.
pub(crate) fn nth(step: Step, index: usize) -> impl FnOnce(Errno) -> Failure {
    move |errno| Failure { index: u32::try_from(index).unwrap_or(u32::MAX), ..Failure::new(step, errno) }
}

/// Sends a failure to the parent; nothing can be done if that fails as well.
pub(crate) fn send(socket: BorrowedFd<'_>, failure: &Failure) {
    if let Ok(text) = serde_json::to_vec(failure) {
        let _ = socket::send(socket, &[IoSlice::new(&text)], &[], true);
    }
}
