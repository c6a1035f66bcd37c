//! One layer of a push: the cheapest way for its bytes to be on the registry.
//!
//! Owns the order in which ways are tried (there already, from a neighbour, as it was kept, compressed anew) and going on
//! after a broken connection. A layer compressed anew gets the same bytes each time, so it can be resumed and found
//! again like one from a file.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::body::{Body, FileReader, Made, Maker, Watch, channel};
use super::{ManifestFormat, Push, PushError, Reuse, Step, compression_of, layer_type};
use crate::image::compress::{Encoder, Settings};
use crate::image::compression::Compression;
use crate::image::manifest::Descriptor;
use crate::image::origin::Origin;
use crate::image::registry::{Mount, RegistryError, Upload};
use crate::spec::digest::Algorithm;
use crate::spec::Digest;

/// How often a progress display is told.
const TICK: Duration = Duration::from_millis(100);

/// Where compressed bytes come from.
enum Source<'a> {
    /// A blob that was kept, with its size.
    Kept(&'a File, &'a Descriptor),
    /// The layer, compressed.
    Compress(&'a Digest, Settings),
}

impl Push<'_> {
    /// Makes one layer available on the registry; as what blob.
    pub(super) fn layer(&self, layer: &Digest) -> Result<Descriptor, PushError> {
        self.progress.step(layer, Step::Preparing);
        let usable: Vec<&Descriptor> =
            self.known.blobs.get(layer).into_iter().flatten().filter(|blob| self.is_wanted(blob)).collect();
        let mut begun = None;
        // Each form with all ways before the next: those of the image itself come first and keep its manifest whole.
        for blob in usable {
            if self.repository.has_blob(&blob.digest)?.is_some() {
                self.progress.step(layer, Step::Present);
                return Ok(blob.clone());
            }
            match begun.is_none().then(|| self.mount(&blob.digest)).flatten() {
                Some((from, Mount::Done)) => {
                    self.progress.step(layer, Step::Mounted(from));
                    return Ok(blob.clone());
                }
                // Any session will do for any blob.
                Some((_, Mount::Begun(upload))) => begun = Some(upload),
                None => {}
            }
            let Some(file) = self.store.blobs().open(&blob.digest, Some(blob.size))? else { continue };
            match self.send(layer, &Source::Kept(&file, blob), begun.take()) {
                Ok(_) => return Ok(blob.clone()),
                Err(PushError::Damaged(_)) => self.store.blobs().remove(&blob.digest)?,
                Err(error) => return Err(error),
            }
        }
        let settings = self.options.compression.unwrap_or(Settings::new(Compression::Gzip));
        let (digest, size) = self.send(layer, &Source::Compress(layer, settings), begun)?;
        let kind = layer_type(false, settings.format);
        Ok(Descriptor {
            media_type: kind.into(),
            digest,
            size,
            annotations: Default::default(),
            platform: None,
            artifact_type: None,
        })
    }

    /// Whether a compressed form of a layer may be used as it is.
    fn is_wanted(&self, blob: &Descriptor) -> bool {
        let compression = compression_of(blob);
        if self.options.format == Some(ManifestFormat::Docker) && compression == Compression::Zstd {
            return false;
        }
        if !self.known.came && self.options.compression.is_none() && compression != Compression::Gzip {
            return false;
        }
        match self.options.reuse {
            Reuse::All => true,
            Reuse::SameFormat => self.options.compression.is_none_or(|wanted| wanted.format == compression),
            Reuse::Nothing => false,
        }
    }

    /// Sends bytes, again from where it broke as long as that helps. Returns what they were.
    fn send(&self, layer: &Digest, source: &Source<'_>, begun: Option<Upload>) -> Result<(Digest, u64), PushError> {
        self.progress.step(layer, Step::Pushing);
        let mut session = begun;
        let mut attempt = 0;
        let mut best = 0;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(PushError::Stopped);
            }
            let mut upload = match session.take() {
                Some(upload) => upload,
                None => self.repository.begin_upload()?,
            };
            match self.once(layer, source, &mut upload) {
                Ok(sent) => {
                    self.progress.step(layer, Step::Done);
                    return Ok(sent);
                }
                Err(PushError::Registry(RegistryError::Unreachable { .. })) if attempt < self.repository.retries() => {
                    std::thread::sleep(self.repository.pause(attempt));
                    attempt += 1;
                    // A session that is lost is begun anew.
                    session = self.repository.resume_upload(&upload).ok();
                    let offset = session.as_ref().map_or(0, |upload| upload.offset);
                    if offset > best {
                        (attempt, best) = (0, offset);
                    }
                }
                Err(error) => {
                    self.repository.cancel_upload(&upload);
                    return Err(error);
                }
            }
        }
    }

    /// One connection's worth.
    fn once(&self, layer: &Digest, source: &Source<'_>, upload: &mut Upload) -> Result<(Digest, u64), PushError> {
        let watch = Arc::new(Watch::default());
        let skip = upload.offset;
        let sent = match source {
            Source::Kept(file, blob) => {
                self.progress.total(layer, blob.size);
                if skip > blob.size {
                    return Err(lost(self.repository.registry()));
                }
                let file = file.try_clone().map_err(|source| read(layer, source))?;
                let mut body = Body::new(FileReader::new(file), blob.digest.algorithm(), skip, Some(blob.size), Arc::clone(&watch));
                if skip == blob.size {
                    body.drain().map_err(|source| read(layer, source))?;
                    Ok(())
                } else {
                    self.watched(layer, &watch, || self.repository.send_upload(upload, body, Some(blob.size - skip)))
                }
            }
            Source::Compress(layer, settings) => std::thread::scope(|scope| {
                let (maker, made) = channel();
                scope.spawn(|| self.make(layer, *settings, maker));
                let body: Body<Made> = Body::new(made, Algorithm::Sha256, skip, None, Arc::clone(&watch));
                self.watched(layer, &watch, || self.repository.send_upload(upload, body, None))
            }),
        };
        if let Some(error) = watch.take_failure() {
            return Err(read(layer, error));
        }
        sent?;
        let (digest, size) = watch.end().ok_or_else(|| hasty(self.repository.registry()))?;
        if let Source::Kept(_, blob) = source
            && blob.digest != digest
        {
            return Err(PushError::Damaged(layer.short().to_owned()));
        }
        self.repository.finish_upload(upload, &digest)?;
        Ok((digest, size))
    }

    /// Does `work` on a thread of its own and tells the progress display of it meanwhile.
    fn watched<T: Send>(&self, layer: &Digest, watch: &Watch, work: impl FnOnce() -> T + Send) -> T {
        let done = AtomicBool::new(false);
        let here = std::thread::current();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let result = work();
                done.store(true, Ordering::Release);
                here.unpark();
                result
            });
            while !done.load(Ordering::Acquire) && !worker.is_finished() {
                std::thread::park_timeout(TICK);
                self.progress.advance(layer, watch.sent());
            }
            match worker.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// Writes the layer, compressed, into the pipe.
    fn make(&self, layer: &Digest, settings: Settings, maker: Maker) {
        let mut encoder = Encoder::new(settings, maker);
        match Origin::find(self.store, layer).and_then(|origin| origin.write(&mut encoder)) {
            Ok(_) => {
                // An error here is one of the reader, who knows.
                if let Ok(maker) = encoder.finish() {
                    maker.end(Ok(()));
                }
            }
            Err(error) => {
                let error = io::Error::other(error.to_string());
                if let Ok(maker) = encoder.finish() {
                    maker.end(Err(error));
                }
            }
        }
    }
}

fn read(layer: &Digest, source: io::Error) -> PushError {
    PushError::Read { layer: layer.short().to_owned(), source }
}

/// An answer before all was sent says nothing of the bytes here.
fn hasty(registry: &str) -> PushError {
    PushError::Registry(RegistryError::Unreachable {
        registry: registry.to_owned(),
        reason: "it answered before all of a layer was sent".to_owned(),
    })
}

fn lost(registry: &str) -> PushError {
    PushError::Registry(RegistryError::Unreachable {
        registry: registry.to_owned(),
        reason: "it lost count of an upload".to_owned(),
    })
}
