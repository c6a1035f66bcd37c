//! Images in archives: `load`, `import`, `save`, and tar archives of directory trees.
//!
//! Owns the archive formats (docker-archive, OCI archive and directory, `dir:`, plain tar) on both sides. Layers go through
//! [`ingest`] into the layer store, images into the image store. Prints nothing; progress is a callback.

mod contents;
mod error;
mod import;
mod ingest;
mod load;
mod save;
mod sink;
pub mod tarw;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use super::signature::policy::Policy;
use super::unpack::Owners;
use crate::spec::{Digest, Reference};

pub use error::ArchiveError;
pub use import::{ImportSpec, import};
pub use load::load;
pub use save::{SaveFormat, SaveOptions, Subject, Target, save, save_list};

/// Where an archive comes from.
pub enum Input {
    /// A file, or the directory of an OCI image.
    Path(PathBuf),
    /// An open file; seeks in it if it is a regular one (`kelp load < image.tar`).
    File(File),
    /// Anything else.
    Stream(Box<dyn Read + Send>),
}

/// How to bring images in.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Owners.
    pub owners: Owners,
    /// Only the image of this name (or tag, in an OCI layout), or `@N`, the one at that place.
    pub select: Option<String>,
    /// A bare word in an OCI archive names the image `localhost/WORD`, as podman has it; else it is a tag in the layout.
    pub bare_words: bool,
    /// Which archives may come in.
    pub policy: Policy,
    /// Do not start the process that syncs to disk afterwards (tests).
    pub no_sync: bool,
}

/// An image that came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its id.
    pub id: Digest,
    /// The names it got.
    pub names: Vec<Reference>,
}

/// What is going on, for a progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// A layer is being unpacked.
    Layer(&'a str),
    /// Another process is making this layer; waiting for it.
    Waiting(&'a Digest),
    /// Something in the archive is no image, and left where it is: what it is.
    Skipped(&'a str),
}
