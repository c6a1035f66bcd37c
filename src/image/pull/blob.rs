//! The bytes of one blob in order: first those already here, then the registry's, over as many connections as it takes.
//!
//! Owns resuming, keeping what arrives, and the check of size and digest. An error a reader sees is only a signal; what
//! really happened is left in [`Shared`], because decoders and unpackers wrap errors as they please.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Pull, PullError};
use crate::image::manifest::Descriptor;
use crate::image::registry::{BlobStream, RegistryError};
use crate::image::store::StoreError;
use crate::spec::{Digest, Digester};

/// The least a first read returns, so that a compression can be recognised.
const HEAD: u64 = 16;

/// What a reader tells those who do not hold it any more.
#[derive(Debug, Default)]
pub(super) struct Shared {
    verified: AtomicBool,
    mismatch: AtomicBool,
    failure: Mutex<Option<PullError>>,
}

impl Shared {
    /// Whether all bytes came, of the right digest.
    pub(super) fn verified(&self) -> bool {
        self.verified.load(Ordering::Acquire)
    }

    /// Whether all bytes came, of another digest.
    pub(super) fn mismatch(&self) -> bool {
        self.mismatch.load(Ordering::Acquire)
    }

    /// What went wrong below the decoder, if anything.
    pub(super) fn take_failure(&self) -> Option<PullError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Reads a blob from its (partial) file and then from the registry.
pub(super) struct BlobReader<'a> {
    pull: &'a Pull<'a>,
    blob: &'a Descriptor,
    file: &'a File,
    /// Bytes in the file when reading began.
    have: u64,
    position: u64,
    stream: Option<BlobStream>,
    digester: Option<Digester>,
    /// Broken connections since the last byte.
    attempt: u32,
    shared: &'a Shared,
}

impl<'a> BlobReader<'a> {
    pub(super) fn new(pull: &'a Pull<'a>, blob: &'a Descriptor, file: &'a File, have: u64, shared: &'a Shared) -> Self {
        let mut reader = Self {
            pull,
            blob,
            file,
            have,
            position: 0,
            stream: None,
            digester: Some(Digester::new(blob.digest.algorithm())),
            attempt: 0,
            shared,
        };
        // A blob of no bytes is whole before the first read.
        reader.check_end().ok();
        reader
    }

    fn fail(&self, error: PullError) -> io::Error {
        let mut slot = self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(error);
        io::Error::other("the layer could not be fetched")
    }

    fn local(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.have - self.position).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..most], self.position)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(count)
    }

    /// Bytes from the registry, connecting and resuming as needed; kept in the file.
    fn remote(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.blob.size - self.position).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        loop {
            let broken = match self.receive(&mut buffer[..most]) {
                Ok(0) => "it ended before all bytes came".to_owned(),
                Ok(count) => {
                    self.attempt = 0;
                    self.file.write_all_at(&buffer[..count], self.position).map_err(|source| {
                        let path = self.pull.store.blobs().path(&self.blob.digest);
                        self.fail(StoreError::io("write", &path, source).into())
                    })?;
                    return Ok(count);
                }
                Err(Broken::Refused(error)) => return Err(self.fail(error.into())),
                Err(Broken::Connection(error)) => error.to_string(),
            };
            self.stream = None;
            let repository = self.pull.repository;
            if self.attempt >= repository.retries() {
                return Err(self.fail(PullError::Registry(RegistryError::Unreachable {
                    registry: repository.registry().to_owned(),
                    reason: format!(
                        "the connection broke at byte {} of {} of layer {}: {broken}; what came is kept, pull again to go on",
                        self.position,
                        self.blob.size,
                        self.blob.digest.short()
                    ),
                })));
            }
            std::thread::sleep(repository.pause(self.attempt));
            self.attempt += 1;
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize, Broken> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let mut stream = self.pull.repository.blob(&self.blob.digest, self.position).map_err(Broken::Refused)?;
                // A registry that cannot resume sends all again; the same bytes are passed over.
                let known = self.position - stream.offset;
                let skipped = io::copy(&mut stream.by_ref().take(known), &mut io::sink()).map_err(Broken::Connection)?;
                if skipped < known {
                    return Ok(0);
                }
                self.stream.insert(stream)
            }
        };
        stream.read(buffer).map_err(Broken::Connection)
    }

    /// Judges the digest when all bytes are there.
    fn check_end(&mut self) -> io::Result<()> {
        if self.position < self.blob.size {
            return Ok(());
        }
        let Some(digester) = self.digester.take() else { return Ok(()) };
        let actual: Digest = digester.finish();
        self.stream = None;
        if actual == self.blob.digest {
            self.shared.verified.store(true, Ordering::Release);
            return Ok(());
        }
        self.shared.mismatch.store(true, Ordering::Release);
        Err(self.fail(PullError::Registry(RegistryError::Mismatch {
            registry: self.pull.repository.registry().to_owned(),
            what: format!("layer {}", self.blob.digest.short()),
            expected: self.blob.digest.clone(),
            actual,
        })))
    }
}

enum Broken {
    /// The registry said no.
    Refused(RegistryError),
    /// The transfer stopped.
    Connection(io::Error),
}

impl Read for BlobReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() && self.position < self.blob.size {
            if self.pull.stop.load(Ordering::Relaxed) {
                return Err(self.fail(PullError::Stopped));
            }
            let rest = &mut buffer[filled..];
            let count = if self.position < self.have { self.local(rest)? } else { self.remote(rest)? };
            if let Some(digester) = &mut self.digester {
                digester.update(&buffer[filled..filled + count]);
            }
            filled += count;
            self.position += count as u64;
            self.pull.progress.advance(&self.blob.digest, self.position);
            self.check_end()?;
            if self.position >= HEAD {
                break;
            }
        }
        Ok(filled)
    }
}
