//! Container records, names, locks and the truth about what runs.
//!
//! One object is one directory; every file is written aside and renamed. Nothing here says "running": that is a fact
//! read from the container's lock, which its monitor holds as long as it lives ([`live`]).

pub mod container;
pub mod live;
pub mod names;
pub mod files;
pub mod lease;
pub mod paths;
pub mod place;
pub mod record;
pub mod remove;

pub use container::{Containers, Entry};
pub use paths::Paths;
pub use record::{ContainerRecord, ExitRecord, RunRecord, Status};

use std::path::PathBuf;

/// Why a record could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file operation failed.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file does not hold what it should: cut short or edited.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No container answers to that name or id.
    #[error("no container with name or ID \"{0}\" found: no such container")]
    NotFound(String),
    /// An id prefix fits several containers.
    #[error("\"{0}\" fits more than one container; give more of the ID")]
    Ambiguous(String),
    /// Somebody else has the name.
    #[error("the container name \"{name}\" is already in use by {holder}: remove or rename that container, or use --replace")]
    NameTaken {
        /// The name.
        name: String,
        /// The id of its holder.
        holder: String,
    },
    /// A name with characters outside docker's rule.
    #[error("invalid container name \"{0}\": only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed, 255 characters at most")]
    BadName(String),
    /// Another kelp works on this container.
    #[error("container {0} is busy: another kelp command is changing it; try again")]
    Busy(String),
    /// No directory that is safe for locks and sockets.
    #[error("no safe runtime directory: {0}")]
    NoRuntimeDir(String),
    /// No home directory and nothing in its place.
    #[error("cannot tell where to keep data: neither HOME nor {0} is set to an absolute path")]
    NoHome(&'static str),
}

impl StateError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
