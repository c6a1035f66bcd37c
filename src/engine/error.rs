//! What can go wrong in a verb. Wraps the rooms' errors and sorts them into [`Kind`]s; only the kind is matched above
//! (`cli::exit`, `api::status`). Words are made here and in the rooms, never in the doors.

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::image::StoreError;
use crate::image::archive::ArchiveError;
use crate::spec::reference::ReferenceError;
use crate::state::StateError;
use crate::userns::UsernsError;
use crate::volume::VolumeError;

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Containers, names, locks.
    #[error(transparent)]
    State(#[from] StateError),
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A text that names no image.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// Volumes.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The image store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Image archives.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The user's namespace.
    #[error(transparent)]
    Userns(#[from] UsernsError),
    /// What was asked makes no sense, or not together.
    #[error("{0}")]
    Usage(String),
    /// The object does not exist. Renders as docker and podman scripts expect: `no such container: x`.
    #[error("no such {what}: {name}")]
    NotFound {
        /// `container`, `image`, `volume`, `network`, `object`…
        what: &'static str,
        /// As typed.
        name: String,
    },
    /// The object is in a state (running, in use, name taken) that forbids it.
    #[error("{0}")]
    Conflict(String),
    /// The host forbids it.
    #[error("{message}")]
    Denied {
        /// What was forbidden, by whom.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// A registry did not deliver.
    #[error("{0}")]
    Registry(String),
    /// Image store, layers, mounts, volumes.
    #[error("{0}")]
    Storage(String),
    /// Ports, slirp4netns, namespaces of the network.
    #[error("{0}")]
    Network(String),
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
    /// Setting the container up failed before its program ran.
    #[error("{message}")]
    Runtime {
        /// What failed, on what, why.
        message: String,
        /// What to do about it, if known.
        hint: Option<String>,
    },
    /// A step of the launch failed in the container's first process; `exec` marks the step that is the program itself.
    #[error("{message}")]
    Launch {
        /// The step's name.
        step: String,
        /// Whether this was the exec of the user's program.
        exec: bool,
        /// errno of the step.
        errno: i32,
        /// Worded by who owns the plan.
        message: String,
    },
    /// What a container (or an exec) printed could not be written, though somebody wants it.
    #[error("cannot write what the container printed to standard output: {source}")]
    Unwritten {
        /// Why not.
        source: rustix::io::Errno,
        /// How the program ended.
        code: i32,
    },
    /// A bug, or a kernel that behaves as none should.
    #[error("{0}")]
    Internal(String),
}

/// The sort of an [`Error`]: all that doors decide on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Flag or spec is wrong.
    Usage,
    /// No such object.
    NotFound,
    /// The object's state forbids it.
    Conflict,
    /// The host or a registry forbids it.
    Denied,
    /// The registry failed.
    Registry,
    /// The store failed.
    Storage,
    /// The network failed.
    Network,
    /// The container could not be set up.
    Setup,
    /// Its program is there and cannot be run (docker's 126).
    CannotExec,
    /// Its program is not there (docker's 127).
    NoProgram,
    /// Its output was lost; it ended with this code.
    Unwritten(i32),
    /// Everything else.
    Internal,
}

impl Error {
    /// No such object, as typed.
    pub fn not_found(what: &'static str, name: impl Into<String>) -> Self {
        Self::NotFound { what, name: name.into() }
    }

    /// For `map_err` on file operations.
    pub fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// What doors decide on.
    pub fn kind(&self) -> Kind {
        match self {
            Self::State(error) | Self::Volume(VolumeError::State(error)) => match error {
                StateError::NotFound(_) => Kind::NotFound,
                StateError::NameTaken { .. } | StateError::Busy(_) => Kind::Conflict,
                StateError::Ambiguous(_) | StateError::BadName(_) => Kind::Usage,
                StateError::Io { .. }
                | StateError::Damaged { .. }
                | StateError::NoRuntimeDir(_)
                | StateError::NoHome(_) => Kind::Storage,
            },
            Self::Volume(VolumeError::NotFound(_)) => Kind::NotFound,
            Self::Volume(VolumeError::InUse { .. } | VolumeError::Conflict { .. }) => Kind::Conflict,
            Self::Volume(VolumeError::BadName(_) | VolumeError::Driver(_) | VolumeError::Option { .. }) => Kind::Usage,
            Self::Volume(VolumeError::CopyUp { .. }) => Kind::Storage,
            Self::Store(error) => store_kind(error),
            Self::Archive(ArchiveError::Store(error)) => store_kind(error),
            Self::Archive(ArchiveError::Policy(_)) => Kind::Denied,
            Self::Archive(_) => Kind::Storage,
            Self::Userns(_) => Kind::Setup,
            Self::Config(_) | Self::Reference(_) | Self::Usage(_) => Kind::Usage,
            Self::NotFound { .. } => Kind::NotFound,
            Self::Conflict(_) => Kind::Conflict,
            Self::Denied { .. } => Kind::Denied,
            Self::Registry(_) => Kind::Registry,
            Self::Storage(_) | Self::Io { .. } => Kind::Storage,
            Self::Network(_) => Kind::Network,
            Self::Runtime { .. } | Self::Launch { exec: false, .. } => Kind::Setup,
            Self::Launch { exec: true, errno, .. } => match *errno {
                libc::ENOENT | libc::ENOTDIR => Kind::NoProgram,
                _ => Kind::CannotExec,
            },
            Self::Unwritten { code, .. } => Kind::Unwritten(*code),
            Self::Internal(_) => Kind::Internal,
        }
    }

    /// What the user can do, if there is more to say than the message does.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Denied { hint, .. } => Some(hint),
            Self::Archive(ArchiveError::Policy(_)) => Some("see containers-policy.json(5)"),
            Self::Runtime { hint, .. } => hint.as_deref(),
            _ => None,
        }
    }
}

fn store_kind(error: &StoreError) -> Kind {
    match error {
        StoreError::NotFound(_) => Kind::NotFound,
        StoreError::InUse { .. } | StoreError::SeveralNames { .. } | StoreError::NoMember { .. } => Kind::Conflict,
        StoreError::Reference(_) | StoreError::Ambiguous(_) | StoreError::DigestTag(_) | StoreError::Pinned(_) => Kind::Usage,
        StoreError::Io { .. }
        | StoreError::Config { .. }
        | StoreError::Incomplete { .. }
        | StoreError::Damaged { .. }
        | StoreError::Layer(_) => Kind::Storage,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(errno: i32) -> Kind {
        Error::Launch { step: "exec".into(), exec: true, errno, message: String::new() }.kind()
    }

    #[test]
    fn a_missing_program_is_not_an_unusable_one() {
        assert_eq!(exec(libc::ENOENT), Kind::NoProgram);
        assert_eq!(exec(libc::ENOTDIR), Kind::NoProgram);
        assert_eq!(exec(libc::EACCES), Kind::CannotExec);
        assert_eq!(exec(libc::ENOEXEC), Kind::CannotExec);
        let step = Error::Launch { step: "mount".into(), exec: false, errno: libc::ENOENT, message: String::new() };
        assert_eq!(step.kind(), Kind::Setup);
    }

    #[test]
    fn absent_objects_read_as_scripts_expect() {
        assert_eq!(Error::not_found("volume", "data").to_string(), "no such volume: data");
        assert_eq!(Error::from(StateError::NotFound("x".into())).kind(), Kind::NotFound);
    }
}
