//! The user's namespace ("A"): container id 0 is the user, the others are the user's subordinate ids.
//!
//! Every process in it keeps it alive; nobody stays around to hold it. A command that finds a live one (recorded in the
//! runtime directory) enters it, else it makes one with newuidmap(1) and newgidmap(1) and records itself. Everything
//! here needs a single-threaded process.

mod available;
mod enter;
pub mod lost;
mod map;
pub mod owner;
mod subid;

pub use available::{Single, available, expected, prefer_single};
pub use enter::{Entered, enter, exec_sealed, is_inside, sealed_self, share, write_maps};
pub use map::{Extent, IdMap};
pub use subid::{SubIds, ranges, user_name};

/// Why the user namespace could not be entered.
#[derive(Debug, thiserror::Error)]
pub enum UsernsError {
    /// unshare(2) refused.
    #[error("cannot create a user namespace: {errno}{}", advice(*.errno))]
    Create {
        /// EPERM, ENOSPC, EUSERS…
        errno: rustix::io::Errno,
    },
    /// newuidmap or newgidmap failed.
    #[error("{helper} could not map the subordinate ids of user {uid} (exit {code}): check /etc/subuid and /etc/subgid, or run `kelp doctor`")]
    Helper {
        /// Which one.
        helper: &'static str,
        /// The user.
        uid: u32,
        /// Its exit code.
        code: i32,
    },
    /// Another step of entering.
    #[error("cannot enter the user namespace: {step}: {errno}")]
    Step {
        /// Which step.
        step: &'static str,
        /// Why not.
        errno: rustix::io::Errno,
    },
}

fn advice(errno: rustix::io::Errno) -> &'static str {
    match errno {
        rustix::io::Errno::PERM | rustix::io::Errno::ACCESS => {
            ": the host forbids it to ordinary users (AppArmor, sysctl kernel.unprivileged_userns_clone or \
             user.max_user_namespaces); `kelp doctor` tells which and how to allow it"
        }
        rustix::io::Errno::NOSPC | rustix::io::Errno::USERS => ": the limit user.max_user_namespaces is reached",
        _ => "",
    }
}

pub(crate) fn step(step: &'static str) -> impl FnOnce(rustix::io::Errno) -> UsernsError {
    move |errno| UsernsError::Step { step, errno }
}
