//! Unpacking layers and other archives into a directory.
//!
//! Owns everything between a stream of tar bytes and files on disk. Every name in an archive is hostile: all work is
//! done relative to directory descriptors, one component at a time, never through a symbolic link ([`walk`]). Runs as
//! uid 0 of the user's namespace. Must not know images, stores or the network.
//!
//! What is decided here, and why:
//! - Whiteouts become overlayfs' own marks: a character device 0:0 (allowed in user namespaces since Linux 5.8; an empty
//!   `.wh.NAME` file where not) and `user.overlay.opaque`. A whiteout never hides what the same layer brings.
//! - Device nodes cannot be made in a user namespace; they are left out and counted, as docker and podman do there.
//! - Extended attributes that overlay drivers read (`*.overlay.*`, `user.containers.*`…) are dropped: an image must not
//!   steer the driver. Ones the kernel refuses in a user namespace are left out and counted.
//! - Parents without an entry of their own are made `0755 root` and reported, since they hide the layer below's mode.

mod entry;
mod error;
mod header;
mod meta;
pub mod pipe;
mod reader;
pub mod record;
mod replay;
mod sparse;
#[cfg(test)]
mod tests;
pub(crate) mod walk;

use std::io::{BufRead, BufReader, Read};
use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

pub use error::{TarError, UnpackError};
pub(crate) use header::checksum_matches as is_header;
pub use header::{Kind, Member};
pub(crate) use meta::reserved as is_reserved_xattr;
pub use reader::TarReader;
pub use record::Recorder;
pub use replay::replay;

/// Buffer between the source and the unpacker when the source brings none.
const BUFFER: usize = 256 * 1024;

/// What to do with owners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owners {
    /// Set them (the user's namespace has subordinate ids).
    #[default]
    Set,
    /// Record owner and mode in `user.containers.override_stat` (only one id is mapped).
    Record,
    /// Everything belongs to the caller.
    Caller,
}

/// What `.wh.` names mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Whiteouts {
    /// Deletions from the layers below: turned into overlayfs marks.
    #[default]
    Overlay,
    /// Nothing special: a plain archive (`cp`, `volume import`).
    Literal,
}

/// Bounds on what one archive may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries.
    pub entries: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Apparent size of one file.
    pub file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 20_000_000,
            bytes: u64::MAX,
            file: 16 << 40,
        }
    }
}

/// How to unpack.
#[derive(Debug, Clone, Default)]
pub struct UnpackOptions {
    /// Owners.
    pub owners: Owners,
    /// Everything is this user's and group's, whatever the archive says.
    pub chown: Option<(u32, u32)>,
    /// Whiteouts.
    pub whiteouts: Whiteouts,
    /// Bounds.
    pub limits: Limits,
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct UnpackReport {
    /// Entries in the archive.
    pub entries: u64,
    /// Regular files made.
    pub files: u64,
    /// Bytes of file content in the archive.
    pub bytes: u64,
    /// Length of the archive.
    pub archive_bytes: u64,
    /// Device nodes left out.
    pub skipped_devices: u64,
    /// Extended attributes left out.
    pub skipped_xattrs: u64,
    /// The highest user or group that owns something, below nobody (65534).
    pub highest_owner: u32,
    /// Whether the layer hides everything below it.
    pub opaque_root: bool,
    /// Directories that had no entry of their own (the first thousand).
    pub implicit_dirs: Vec<String>,
}

/// The higher of two owners. Those from nobody (65534) on are no reason to give a container as many ids.
pub(crate) fn highest(one: u32, other: u32) -> u32 {
    const NOBODY: u32 = 65534;
    if other < NOBODY { one.max(other) } else { one }
}

/// Unpacks an archive into `dest` and reads the stream to its end.
///
/// # Errors
/// See [`UnpackError`]. What was unpacked until then stays.
pub fn unpack_layer(
    reader: impl Read,
    dest: BorrowedFd<'_>,
    options: &UnpackOptions,
) -> Result<UnpackReport, UnpackError> {
    unpack_buffered(
        BufReader::with_capacity(BUFFER, reader),
        dest,
        options,
        None,
    )
}

/// Like [`unpack_layer`] for a source with its own buffer, recording the archive's structure if asked.
///
/// # Errors
/// See [`UnpackError`].
pub fn unpack_buffered(
    input: impl BufRead,
    dest: BorrowedFd<'_>,
    options: &UnpackOptions,
    recorder: Option<&mut Recorder>,
) -> Result<UnpackReport, UnpackError> {
    let mut reader = TarReader::recorded(input, recorder);
    let mut unpacker = entry::Unpacker::new(dest, options);
    while let Some(member) = reader.next_member()? {
        unpacker.member(&member, &mut reader)?;
    }
    let mut report = unpacker.finish()?;
    report.archive_bytes = reader.drain()?;
    Ok(report)
}
