//! The supervisor of containers in single-id mode: a process beside the monitor that answers the system calls the
//! second filter (`plan::seccomp::fakes`) hands over. It records owners and device numbers (`userns::owner`), and lets a
//! program that changes its ids see them changed: many check. By default that ends when it executes another, since to
//! that one all files would belong to somebody else; with `--fake-ids full` it does not, and files tell the owners
//! recorded for them.
//!
//! Nothing here protects anything: the ids it plays with are those of the container's own processes, which all are the
//! user. What it must never do is to touch a file outside the container on behalf of one inside: every path is resolved
//! within the caller's own root, and used only while the caller still waits.

mod calls;
pub mod ids;
mod layout;
mod make;
mod paths;
mod role;

use serde::{Deserialize, Serialize};

pub use role::{Supervisor, hand_over, main};

use super::plan::seccomp::fakes::{Extent, filter};
use ids::Identity;

/// The first argument that makes this binary a supervisor.
pub const ROLE: &str = "__ids";

/// What a container in single-id mode does about ids.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OneId {
    /// The id in the container that is the user's.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The filter, one instruction per number; empty is none.
    pub filter: Vec<u64>,
    /// The filter needs a supervisor.
    pub notify: bool,
    /// Ids outlive the program that set them, and owners are told as recorded.
    pub full: bool,
}

impl OneId {
    /// What a program of this user gets. Whom the one id is not mapped to believes to be that user, as with
    /// `--fake-ids full`; `None` where nobody can make it believe.
    pub fn for_user(&self, uid: u32, gid: u32) -> Option<Self> {
        if self.full || (uid, gid) == (self.uid, self.gid) {
            return Some(self.clone());
        }
        let full = || filter(Extent { notify: true, full: true }).ok();
        match self.notify.then(full).flatten() {
            Some(filter) => Some(Self { full: true, filter: filter.into_iter().map(u64::from).collect(), ..self.clone() }),
            // Another group alone changes nothing a program could do.
            None => (uid == self.uid).then(|| self.clone()),
        }
    }
}

/// What comes with a new listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The id in the container that is the user's.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// A process's ids outlive an exec.
    pub full: bool,
    /// Who the first process is.
    pub identity: Identity,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_than_the_one_who_is_mapped_believe() {
        let one = OneId { uid: 33, gid: 33, filter: vec![1], notify: true, full: false };
        assert_eq!(one.for_user(33, 33), Some(one.clone()));
        let other = one.for_user(0, 0).expect("faked");
        assert!(other.full && other.filter.len() > 1 && other.uid == 33);
        let alone = OneId { notify: false, ..one };
        assert_eq!((alone.for_user(0, 0), alone.for_user(33, 5)), (None, Some(alone.clone())));
    }
}
