//! Build contexts: finding, filtering, hashing and copying files for `COPY`, `ADD` and bind mounts.
//!
//! A [`Tree`] is a directory nobody trusts, open by descriptor: the context with its ignore rules, or the files of a
//! stage. [`Tree::select`] finds what an instruction names, [`Selection::digest`] hashes it (times do not count, so that
//! touching changes nothing), [`copy_into`] puts it into a root file system by docker's rules. Links are followed
//! inside their own root alone, never below what was selected. Knows
//! nothing of graphs, caches and containers.

mod digest;
mod find;
mod hashes;
mod ignore;
mod mode;
mod others;
mod owner;
pub(crate) mod path;
mod place;
#[cfg(test)]
mod tests;
mod tree;

use std::io;
use std::path::PathBuf;

pub use find::{Item, Pick, Request, Selection};
pub use hashes::Hashes;
pub use ignore::Ignore;
pub use mode::{Change, ModeError};
pub use owner::owner;
pub use place::{Placed, Placement, copy_into, directory_at};
pub use tree::Tree;

/// What is wrong with a context, or with what an instruction wants of it.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// A system call failed on a file.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was done.
        action: &'static str,
        /// To what, as the user knows it.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Nothing by that name.
    #[error("{path}: not found in {place}")]
    NotFound {
        /// As asked for.
        path: String,
        /// The context, or whose files.
        place: String,
    },
    /// There, and ignored.
    #[error("{path}: not found in {place}: it is excluded by {ignore_file}")]
    Ignored {
        /// As asked for.
        path: String,
        /// The context.
        place: String,
        /// Which file says so.
        ignore_file: String,
    },
    /// A pattern that cannot be read.
    #[error("{place}: invalid pattern \"{pattern}\": {reason}")]
    Pattern {
        /// Where it stands.
        place: String,
        /// As written.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// A destination that does not fit.
    #[error("cannot copy to {path}: {reason}")]
    Destination {
        /// In the image.
        path: String,
        /// Why not.
        reason: String,
    },
    /// `--chown` that names nobody.
    #[error("invalid chown \"{0}\": {1}")]
    Owner(String, String),
    /// A context that cannot be had, with a hint.
    #[error("{message}{}", hint.as_ref().map_or_else(String::new, |hint| format!(" ({hint})")))]
    Source {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

impl ContextError {
    /// For `map_err`.
    pub(crate) fn io<E: Into<io::Error>>(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source: source.into() }
    }
}
