//! A thread that reads ahead and hashes while somebody else unpacks.
//!
//! Owns the hand-over of buffers between the two: a bounded number, recycled, so memory stays the same for any archive.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};

use crate::spec::digest::{Algorithm, Digest, Digester};

/// Size of one buffer.
const CHUNK: usize = 512 * 1024;
/// Buffers in flight.
const CHUNKS: usize = 8;

/// The reading end: what the thread has read, in order.
pub struct HashedPipe<'scope> {
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    current: Vec<u8>,
    used: usize,
    ended: bool,
    worker: Option<ScopedJoinHandle<'scope, (Digest, u64)>>,
}

impl<'scope> HashedPipe<'scope> {
    /// Starts a thread that reads `input` to its end.
    pub fn spawn<'env, R>(scope: &'scope Scope<'scope, 'env>, input: R) -> Self
    where
        R: Read + Send + 'scope,
    {
        let (send_full, full) = sync_channel(CHUNKS);
        let (empty, free) = channel();
        for _ in 0..CHUNKS {
            // The receiver is alive: it is handed to the thread below.
            drop(empty.send(Vec::new()));
        }
        let worker = scope.spawn(move || pump(input, &send_full, &free));
        Self {
            full,
            empty,
            current: Vec::new(),
            used: 0,
            ended: false,
            worker: Some(worker),
        }
    }

    /// The digest and length of everything read. The stream must have been read to its end.
    ///
    /// # Errors
    /// When it was not, or the thread panicked.
    pub fn digest(mut self) -> io::Result<(Digest, u64)> {
        if !self.ended && !self.fill_buf()?.is_empty() {
            return Err(io::Error::other("the stream was not read to its end"));
        }
        match self.worker.take().map(ScopedJoinHandle::join) {
            Some(Ok(result)) => Ok(result),
            _ => Err(io::Error::other("the reading thread failed")),
        }
    }
}

fn pump<R: Read>(
    mut input: R,
    full: &SyncSender<io::Result<Vec<u8>>>,
    free: &Receiver<Vec<u8>>,
) -> (Digest, u64) {
    let mut digester = Digester::new(Algorithm::Sha256);
    let mut total = 0u64;
    // Both loops end when the other side goes away.
    while let Ok(mut buffer) = free.recv() {
        buffer.resize(CHUNK, 0);
        let mut filled = 0;
        let mut failed = None;
        while filled < CHUNK {
            match input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        buffer.truncate(filled);
        digester.update(&buffer);
        total += filled as u64;
        let ended = filled < CHUNK;
        if full.send(Ok(buffer)).is_err() {
            break;
        }
        if let Some(error) = failed {
            drop(full.send(Err(error)));
            break;
        }
        if ended {
            break;
        }
    }
    (digester.finish(), total)
}

impl BufRead for HashedPipe<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.current.len() && !self.ended {
            let spent = std::mem::take(&mut self.current);
            self.used = 0;
            if spent.capacity() > 0 {
                drop(self.empty.send(spent));
            }
            match self.full.recv() {
                Ok(Ok(buffer)) => self.current = buffer,
                Ok(Err(error)) => {
                    self.ended = true;
                    return Err(error);
                }
                Err(_) => self.ended = true,
            }
        }
        Ok(&self.current[self.used..])
    }

    fn consume(&mut self, count: usize) {
        self.used = (self.used + count).min(self.current.len());
    }
}

impl Read for HashedPipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(buffer.len());
        buffer[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}
