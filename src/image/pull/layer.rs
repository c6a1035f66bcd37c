//! One layer of a pull: from its blob, wherever that is, to its place in the layer store.
//!
//! Owns the pipeline (download → digest → keep → decompress → digest → unpack, without a temporary archive) and starting
//! over when bytes that were here before turn out to be damaged.

use std::fs::File;
use std::io::{self, BufReader, Read as _};

use super::blob::{BlobReader, Shared};
use super::guard::Guard;
use super::{Pull, PullError, Step};
use crate::image::blobs::{Begin, PartialBlob};
use crate::image::compression::Decoder;
use crate::image::layers::{Claim, LayerTxn};
use crate::image::manifest::Descriptor;
use crate::image::origin;
use crate::image::unpack::pipe::HashedPipe;
use crate::image::unpack::{UnpackError, UnpackReport, unpack_buffered};
use crate::spec::Digest;

/// Bytes read from the network or a file at a time.
const BUFFER: usize = 128 << 10;
/// Why a blob that was not read to its end is refused.
const TRAILING: &str = "there is more in it than its archive";

impl Pull<'_> {
    /// Makes one layer, or fetches the archive of one that is here without it. Returns whether there was anything to do.
    pub(super) fn layer(&self, blob: &Descriptor, layer: &Digest) -> Result<bool, PullError> {
        let waiting = || self.progress.step(&blob.digest, Step::Waiting);
        let mut trusted = true;
        loop {
            let tried = match self.layers.begin(layer, &mut { waiting })? {
                Claim::Absent(txn) => self.make(txn, blob, layer, trusted),
                Claim::Present(_) if origin::is_whole(self.store, layer)? => {
                    self.progress.step(&blob.digest, Step::Present);
                    return Ok(false);
                }
                Claim::Present(_) => self.complete(blob, layer, trusted),
            };
            match tried {
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

    /// Fetches or finds the blob and unpacks it.
    fn make(&self, txn: LayerTxn, blob: &Descriptor, layer: &Digest, trusted: bool) -> Result<(), Attempt> {
        let report = self.fetch(blob, trusted, |reader| self.unpack(&txn, reader, blob, layer))?;
        txn.came_as(&blob.into())?;
        txn.commit(&report)?;
        Ok(())
    }

    /// Fetches the blob of a layer whose files are here.
    fn complete(&self, blob: &Descriptor, layer: &Digest, trusted: bool) -> Result<(), Attempt> {
        self.fetch(blob, trusted, |reader| {
            let unreadable = |source: io::Error| self.damaged(blob, &source.to_string());
            let decoder = Decoder::new(BufReader::with_capacity(BUFFER, reader)).map_err(unreadable)?;
            // The layer is known: one that goes on after its end is another.
            let length = self.layers.record(layer).map_or(0, |record| record.report.archive_bytes);
            let mut decoder = decoder.take(length.saturating_add(1));
            origin::copy(&mut decoder, layer, &mut io::sink()).map_err(|error| self.damaged(blob, &error.to_string()))
        })?;
        self.layers.note_blob(layer, &blob.into())?;
        Ok(())
    }

    /// Has `work` read the whole blob, which is here afterwards. Without `trusted`, bytes of earlier attempts are not used.
    fn fetch<T>(
        &self,
        blob: &Descriptor,
        trusted: bool,
        work: impl FnOnce(BlobReader<'_>) -> Result<T, PullError>,
    ) -> Result<T, Attempt> {
        let mut waiting = || self.progress.step(&blob.digest, Step::Waiting);
        let begun = self.store.blobs().begin(&blob.digest, Some(blob.size), &mut waiting)?;
        self.progress.step(&blob.digest, Step::Downloading);
        match begun {
            Begin::Present(file) => self.read_present(&file, blob, work),
            Begin::Absent(partial) => self.download(partial, blob, trusted, work),
        }
    }

    /// A blob that is here. Others may need it: only bytes that are not what its name says are a reason to remove it, not
    /// what this image says it should hold.
    fn read_present<T>(
        &self,
        file: &File,
        blob: &Descriptor,
        work: impl FnOnce(BlobReader<'_>) -> Result<T, PullError>,
    ) -> Result<T, Attempt> {
        let shared = Shared::default();
        let error = match work(BlobReader::new(self, blob, file, blob.size, &shared)) {
            Ok(done) if shared.verified() => return Ok(done),
            Ok(_) => self.damaged(blob, TRAILING),
            Err(error) => shared.take_failure().unwrap_or(error),
        };
        let sound = shared.verified() || matches!(error, PullError::Stopped) || is_full(&error);
        // Whoever unpacks may give up on damaged bytes before their end.
        if sound || self.store.blobs().is_sound(&blob.digest)? {
            return Err(error.into());
        }
        self.store.blobs().remove(&blob.digest)?;
        Err(Attempt::Stale)
    }

    /// A blob that is not here, or in part.
    fn download<T>(
        &self,
        mut partial: PartialBlob,
        blob: &Descriptor,
        trusted: bool,
        work: impl FnOnce(BlobReader<'_>) -> Result<T, PullError>,
    ) -> Result<T, Attempt> {
        let mut have = partial.len()?;
        if !trusted || have > blob.size {
            partial.restart()?;
            have = 0;
        }
        let shared = Shared::default();
        let outcome = work(BlobReader::new(self, blob, partial.file(), have, &shared));
        let cause = shared.take_failure();
        match outcome {
            Ok(done) if shared.verified() => {
                partial.commit()?;
                Ok(done)
            }
            Ok(_) => {
                partial.discard()?;
                Err(self.damaged(blob, TRAILING).into())
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
