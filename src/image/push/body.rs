//! The bytes of one compressed layer on their way out: read or made, counted and hashed.
//!
//! Owns the hand-over between the thread that makes them and the one that sends. Memory stays bounded whatever the layer.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::spec::digest::Algorithm;
use crate::spec::{Digest, Digester};

/// Chunks on their way between two threads.
const CHUNKS: usize = 16;
/// Bytes gathered before they are handed over.
const GATHER: usize = 256 << 10;

/// What is known of a body while, and after, it is read by somebody else.
#[derive(Debug, Default)]
pub(super) struct Watch {
    sent: AtomicU64,
    end: Mutex<Option<(Digest, u64)>>,
    failure: Mutex<Option<io::Error>>,
}

impl Watch {
    /// Bytes handed out, those passed over included.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Digest and length, once all was read.
    pub(super) fn end(&self) -> Option<(Digest, u64)> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why the bytes could not be read or made, if so.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Reads, counts and hashes; the first `skip` bytes are hashed only.
pub(super) struct Body<R> {
    inner: R,
    digester: Option<Digester>,
    skip: u64,
    /// When it is known: senders do not read beyond it to see the end.
    length: Option<u64>,
    watch: Arc<Watch>,
}

impl<R: Read> Body<R> {
    pub(super) fn new(inner: R, algorithm: Algorithm, skip: u64, length: Option<u64>, watch: Arc<Watch>) -> Self {
        Self { inner, digester: Some(Digester::new(algorithm)), skip, length, watch }
    }

    fn next(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer).inspect_err(|error| {
            let copy = io::Error::new(error.kind(), error.to_string());
            self.watch.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(copy);
        })?;
        if count > 0 {
            self.watch.sent.fetch_add(count as u64, Ordering::Relaxed);
            if let Some(digester) = &mut self.digester {
                digester.update(&buffer[..count]);
            }
        }
        let ended = count == 0 || self.length == Some(self.watch.sent());
        if ended && let Some(digester) = self.digester.take() {
            let end = (digester.finish(), self.watch.sent());
            *self.watch.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
        }
        Ok(count)
    }

    /// Reads to the end what nobody asked for, so that digest and length are known.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; GATHER];
        while self.next(&mut buffer)? > 0 {}
        Ok(())
    }
}

impl<R: Read> Read for Body<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.skip > 0 {
            let mut passed = vec![0; GATHER];
            let most = usize::try_from(self.skip).unwrap_or(GATHER).min(GATHER);
            let count = self.next(&mut passed[..most])?;
            if count == 0 {
                return Ok(0);
            }
            self.skip -= count as u64;
        }
        self.next(buffer)
    }
}

/// A file from its beginning, whatever others do with the same descriptor, in large reads.
pub(super) struct FileReader {
    file: File,
    position: u64,
    buffer: Vec<u8>,
    used: usize,
}

impl FileReader {
    pub(super) fn new(file: File) -> Self {
        Self { file, position: 0, buffer: Vec::new(), used: 0 }
    }
}

impl Read for FileReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.used == self.buffer.len() {
            self.buffer.resize(GATHER, 0);
            let count = self.file.read_at(&mut self.buffer, self.position)?;
            self.buffer.truncate(count);
            self.position += count as u64;
            self.used = 0;
        }
        let count = out.len().min(self.buffer.len() - self.used);
        out[..count].copy_from_slice(&self.buffer[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}

/// What passes from the maker to the sender; an empty chunk is the end.
type Passed = io::Result<Vec<u8>>;

/// The maker's end. [`Maker::end`] must be called, or the reader sees a failure.
pub(super) struct Maker {
    to: SyncSender<Passed>,
    gathered: Vec<u8>,
}

/// The sender's end.
pub(super) struct Made {
    from: Receiver<Passed>,
    current: Vec<u8>,
    used: usize,
    ended: bool,
}

/// Both ends of a bounded pipe between threads.
pub(super) fn channel() -> (Maker, Made) {
    let (to, from) = sync_channel(CHUNKS);
    (Maker { to, gathered: Vec::new() }, Made { from, current: Vec::new(), used: 0, ended: false })
}

impl Maker {
    /// All was written, or why not. That nobody listens any more is no concern of ours.
    pub(super) fn end(mut self, outcome: io::Result<()>) {
        let rest = std::mem::take(&mut self.gathered);
        let last = outcome.map(|()| Vec::new());
        if last.is_ok() && !rest.is_empty() {
            self.to.send(Ok(rest)).ok();
        }
        self.to.send(last).ok();
    }

    fn pass(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.gathered, Vec::with_capacity(GATHER));
        self.to.send(Ok(chunk)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Maker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER {
            self.pass()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Made {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.used == self.current.len() {
            if self.ended {
                return Ok(0);
            }
            self.current = self.from.recv().map_err(|_| io::Error::other("it was not made to its end"))??;
            self.used = 0;
            self.ended = self.current.is_empty();
        }
        let count = out.len().min(self.current.len() - self.used);
        out[..count].copy_from_slice(&self.current[self.used..self.used + count]);
        self.used += count;
        Ok(count)
    }
}
