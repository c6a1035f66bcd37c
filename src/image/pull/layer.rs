//! One layer of a pull: from its blob, wherever that is, to its place in the layer store.
//!
//! Owns the pipeline (download → digest → keep → decompress → digest → unpack, without a temporary archive) and starting
//! over when bytes that were here before turn out to be damaged.

use std::io::{self, BufReader};

use super::blob::{BlobReader, Shared};
use super::guard::Guard;
use super::{Pull, PullError, Step};
use crate::image::blobs::Begin;
use crate::image::compression::Decoder;
use crate::image::layers::{Claim, LayerTxn};
use crate::image::manifest::Descriptor;
use crate::image::unpack::pipe::HashedPipe;
use crate::image::unpack::{UnpackError, UnpackReport, unpack_buffered};
use crate::spec::Digest;

/// Bytes read from the network or a file at a time.
const BUFFER: usize = 128 << 10;

impl Pull<'_> {
    /// Makes one layer. Returns whether it had to be made.
    pub(super) fn layer(&self, blob: &Descriptor, layer: &Digest) -> Result<bool, PullError> {
        let waiting = || self.progress.step(&blob.digest, Step::Waiting);
        let mut trusted = true;
        loop {
            let Claim::Absent(txn) = self.layers.begin(layer, &mut { waiting })? else {
                self.progress.step(&blob.digest, Step::Present);
                return Ok(false);
            };
            match self.attempt(txn, blob, layer, trusted) {
                Ok(()) => {
                    self.progress.step(&blob.digest, Step::Done);
                    return Ok(true);
                }
                // Bytes of an earlier pull were damaged; they are removed by now. Once more, all from the registry.
                Err(Attempt::Stale) if trusted => trusted = false,
                Err(Attempt::Stale) => return Err(self.damaged(blob, "its bytes change while they are read")),
                Err(Attempt::Failed(error)) => return Err(error),
            }
        }
    }

    /// Fetches or finds the blob and unpacks it. Without `trusted`, bytes of earlier attempts are not used.
    fn attempt(&self, txn: LayerTxn, blob: &Descriptor, layer: &Digest, trusted: bool) -> Result<(), Attempt> {
        let mut waiting = || self.progress.step(&blob.digest, Step::Waiting);
        let begun = self.store.blobs().begin(&blob.digest, Some(blob.size), &mut waiting)?;
        self.progress.step(&blob.digest, Step::Downloading);
        let shared = Shared::default();
        match begun {
            Begin::Present(file) => {
                let reader = BlobReader::new(self, blob, &file, blob.size, &shared);
                match self.unpack(&txn, reader, blob, layer) {
                    Ok(report) if shared.verified() => {
                        txn.commit(&report)?;
                        Ok(())
                    }
                    Err(error) if is_full(&error) => Err(error.into()),
                    _ => {
                        self.store.blobs().remove(&blob.digest)?;
                        Err(Attempt::Stale)
                    }
                }
            }
            Begin::Absent(mut partial) => {
                let mut have = partial.len()?;
                if !trusted || have > blob.size {
                    partial.restart()?;
                    have = 0;
                }
                let reader = BlobReader::new(self, blob, partial.file(), have, &shared);
                let outcome = self.unpack(&txn, reader, blob, layer);
                let cause = shared.take_failure();
                match outcome {
                    Ok(report) if shared.verified() => {
                        partial.commit()?;
                        txn.commit(&report)?;
                        Ok(())
                    }
                    Ok(_) => {
                        partial.discard()?;
                        Err(self.damaged(blob, "there is more in it than its archive").into())
                    }
                    Err(error) => {
                        let error = cause.unwrap_or(error);
                        if is_full(&error) {
                            // Half a download must not keep a full disk full.
                            partial.discard()?;
                            return Err(error.into());
                        }
                        // Keep what can be resumed: a broken connection's bytes, not those that proved wrong.
                        let innocent = error.is_registry() || matches!(error, PullError::Stopped);
                        if innocent && !shared.mismatch() {
                            return Err(error.into());
                        }
                        partial.discard()?;
                        Err(if have > 0 { Attempt::Stale } else { error.into() })
                    }
                }
            }
        }
    }

    fn unpack(
        &self,
        txn: &LayerTxn,
        reader: BlobReader<'_>,
        blob: &Descriptor,
        layer: &Digest,
    ) -> Result<UnpackReport, PullError> {
        let unreadable = |source: io::Error| self.damaged(blob, &source.to_string());
        let (report, diff_id) = std::thread::scope(|scope| {
            let decoder = Decoder::new(BufReader::with_capacity(BUFFER, reader)).map_err(unreadable)?;
            let guard = Guard::new(decoder, txn.dir()).map_err(unreadable)?;
            let mut pipe = HashedPipe::spawn(scope, guard);
            let report = unpack_buffered(&mut pipe, txn.dir(), &self.options.unpack, None);
            let report = report.map_err(|source| PullError::Unpack {
                blob: blob.digest.short().to_owned(),
                source,
            })?;
            let (diff_id, _) = pipe.digest().map_err(unreadable)?;
            Ok::<_, PullError>((report, diff_id))
        })?;
        if diff_id != *layer {
            return Err(self.damaged(blob, &format!("unpacked it has the digest {diff_id}, expected {layer}")));
        }
        Ok(report)
    }

    pub(super) fn damaged(&self, blob: &Descriptor, reason: &str) -> PullError {
        PullError::Damaged {
            blob: blob.digest.short().to_owned(),
            reason: reason.to_owned(),
        }
    }
}

/// Why an attempt did not make the layer.
enum Attempt {
    /// Local bytes were damaged, and are gone.
    Stale,
    /// There is no use in trying again.
    Failed(PullError),
}

impl<E: Into<PullError>> From<E> for Attempt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Whether the file system (or a quota) is full.
fn is_full(error: &PullError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        let unpacking = matches!(error.downcast_ref::<UnpackError>(), Some(UnpackError::NoSpace { .. }));
        if unpacking || matches!(kind, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)) {
            return true;
        }
        cause = error.source();
    }
    false
}
