//! From a stream of layer bytes to a layer in the store.
//!
//! Owns the pipeline: one thread reads, decompresses and hashes, the caller's unpacks. The archive's structure is recorded,
//! so that `save` can write the same bytes again.

use std::io::{BufReader, Read};

use super::{ArchiveError, LoadOptions};
use crate::image::compression::Decoder;
use crate::image::layers::{LayerStore, LayerTxn};
use crate::image::origin;
use crate::image::store::ImageStore;
use crate::image::unpack::pipe::HashedPipe;
use crate::image::unpack::{UnpackOptions, UnpackReport, unpack_buffered};
use crate::spec::Digest;

/// A layer that was unpacked but may not be in place yet.
pub(super) struct Unpacked {
    /// Digest of the uncompressed archive.
    pub(super) diff_id: Digest,
    /// What was unpacked.
    pub(super) report: UnpackReport,
}

/// Unpacks a layer, compressed or not, into a transaction. `name` is for messages.
pub(super) fn unpack_into<R: Read + Send>(
    txn: &mut LayerTxn,
    input: R,
    name: &str,
    options: &LoadOptions,
) -> Result<Unpacked, ArchiveError> {
    let unpack = UnpackOptions {
        owners: options.owners,
        ..UnpackOptions::default()
    };
    let mut recorder = txn.recorder()?;
    let result: Result<Unpacked, ArchiveError> = std::thread::scope(|scope| {
        let input = BufReader::with_capacity(256 * 1024, input);
        let decoder = Decoder::new(input).map_err(ArchiveError::io("read layer", name))?;
        let mut pipe = HashedPipe::spawn(scope, decoder);
        let report = unpack_buffered(&mut pipe, txn.dir(), &unpack, Some(&mut recorder)).map_err(
            |source| ArchiveError::Unpack {
                layer: name.to_owned(),
                source,
            },
        )?;
        let (diff_id, _) = pipe
            .digest()
            .map_err(ArchiveError::io("read layer", name))?;
        Ok(Unpacked { diff_id, report })
    });
    let unpacked = result?;
    txn.recorded(recorder)?;
    Ok(unpacked)
}

/// Puts an unpacked layer in place; one that is here without its archive gets that.
pub(super) fn settle(images: &ImageStore, txn: LayerTxn, unpacked: &Unpacked) -> Result<(), ArchiveError> {
    let layer = &unpacked.diff_id;
    if LayerStore::open(images.data()).has(layer) && !origin::is_whole(images, layer)? {
        return Ok(txn.complete(layer)?);
    }
    txn.commit_as(layer, &unpacked.report)?;
    Ok(())
}

/// Unpacks a layer whose digest is known and puts it in place.
pub(super) fn ingest<R: Read + Send>(
    images: &ImageStore,
    mut txn: LayerTxn,
    input: R,
    (name, expected): (&str, &Digest),
    options: &LoadOptions,
) -> Result<(), ArchiveError> {
    let unpacked = unpack_into(&mut txn, input, name, options)?;
    if unpacked.diff_id != *expected {
        return Err(ArchiveError::Mismatch {
            what: format!("layer {name}"),
            expected: expected.clone(),
            actual: unpacked.diff_id,
        });
    }
    settle(images, txn, &unpacked)
}
