//! Why an archive could not be loaded or written.

use std::io;

use crate::image::config::ConfigError;
use crate::image::layers::LayerError;
use crate::image::manifest::ManifestError;
use crate::image::signature::policy::PolicyError;
use crate::image::store::StoreError;
use crate::image::unpack::{TarError, UnpackError};
use crate::spec::Digest;
use crate::spec::reference::ReferenceError;

/// What can go wrong with image archives.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The source or destination failed.
    #[error("cannot {op} {what}: {source}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The outer archive cannot be read.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A layer cannot be unpacked.
    #[error("layer {layer}: {source}")]
    Unpack {
        /// Name of the layer in the archive.
        layer: String,
        /// Why.
        source: UnpackError,
    },
    /// It is no image archive.
    #[error(
        "this is no image archive: it has neither manifest.json nor index.json; \
         to make an image of a root file system use kelp import"
    )]
    NotAnImage,
    /// It holds other images than the one that was asked for.
    #[error("the archive has no image \"{0}\"")]
    NoImage(String),
    /// A name that says which image it is, for another one.
    #[error("the archive gives an image the name \"{0}\", whose digest is not that of its manifest")]
    Pinned(String),
    /// A file that has images already.
    #[error("cannot write to {0}: it is there already, and images cannot be added to a docker-archive; remove it first")]
    Exists(std::path::PathBuf),
    /// Content of another size than its descriptor says.
    #[error("the archive is damaged: {what} should have {expected} bytes but has {actual}")]
    Size {
        /// Which content.
        what: String,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        actual: u64,
    },
    /// The signature policy does not let it in.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Something the archive refers to is missing, too large, or of a wrong kind.
    #[error("the archive is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// Content that is not what its digest says.
    #[error("the archive is damaged: {what} should be {expected} but is {actual}")]
    Mismatch {
        /// Which content.
        what: String,
        /// Digest it should have.
        expected: Digest,
        /// Digest it has.
        actual: Digest,
    },
    /// A document inside is not valid JSON.
    #[error("the archive's {document} is not valid: {source}")]
    Json {
        /// Which document.
        document: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The image configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A name in the archive.
    #[error("the archive names an image wrongly: {0}")]
    Name(#[from] ReferenceError),
    /// The layer store.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The image store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ArchiveError {
    pub(in crate::image) fn io(
        op: &'static str,
        what: impl Into<String>,
    ) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { op, what, source }
    }

    pub(super) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}
