//! Named and anonymous volumes: directories that outlive the containers that use them.
//!
//! `volumes/NAME/` holds `volume.json` and `_data`, which is what a container sees. A volume comes into being by a rename
//! and goes by one. This room knows records and directories; what mounts them is the runtime.

mod copy_up;
mod options;
mod store;

pub use copy_up::{Filling, Found, copy_from_image, copy_up, skip_copy_up};
pub use options::{Backing, LocalOptions};
pub use store::{InUse, NewVolume, VolumeRecord, Volumes};

use std::path::PathBuf;

use crate::state::StateError;

/// Why something about a volume failed.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// A record or a file operation.
    #[error(transparent)]
    State(#[from] StateError),
    /// No such volume.
    #[error("no such volume: {0}")]
    NotFound(String),
    /// A name with characters outside the rule.
    #[error("invalid volume name \"{0}\": only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed, 255 characters at most; for a host directory give an absolute path")]
    BadName(String),
    /// Containers refer to it.
    #[error("volume {name} is in use by container {}: remove that container first", holders.join(", "))]
    InUse {
        /// The volume.
        name: String,
        /// Ids of the containers.
        holders: Vec<String>,
    },
    /// It exists with another driver or other options.
    #[error("volume {name} already exists with other {what}: remove it or choose another name")]
    Conflict {
        /// The volume.
        name: String,
        /// `driver` or `options`.
        what: &'static str,
    },
    /// A driver other than `local`.
    #[error("volume driver \"{0}\" is not available: kelp has the driver local only")]
    Driver(String),
    /// A driver option that is not understood, or that an unprivileged user cannot have.
    #[error("volume option {option}: {reason}")]
    Option {
        /// As typed, `key=value`.
        option: String,
        /// Why not.
        reason: String,
    },
    /// Filling a volume from the image failed.
    #[error("fill volume {} from the image: {action} {}: {source}", volume.display(), path.display())]
    CopyUp {
        /// The volume's directory.
        volume: PathBuf,
        /// What failed.
        action: &'static str,
        /// On which file, relative to the directory in the image.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}
