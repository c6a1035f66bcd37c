//! Compression of layers, on all processors and always to the same bytes.
//!
//! Owns cutting a stream into chunks that are compressed apart from each other: a gzip member (RFC 1952 section 2.2; as
//! eStargz has them) or a zstd frame per chunk. The output depends on input, format and level alone, never on the number of
//! threads, so a layer compressed twice has one digest. Recognising and decoding is `compression`'s.
//!
//! Members and not one of many blocks, because libdeflate is nearly twice as fast as zlib at the same size, and ends
//! what it makes.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, available_parallelism};

use libdeflater::{CompressionLvl, Compressor};

use super::compression::Compression;

/// Plain bytes compressed together. Part of the format: another size makes other bytes.
const GZIP_CHUNK: usize = 1 << 20;
/// As above; zstd looks further back.
const ZSTD_CHUNK: usize = 4 << 20;
/// Measured on a Debian: twice as fast as 6 for eight per cent more bytes, which are those of zlib's level 3.
const GZIP_LEVEL: i32 = 1;
const ZSTD_LEVEL: i32 = 3;
/// Most threads for one stream.
const THREADS: usize = 16;
/// Bytes compressed on trial, at so many places of a chunk, to see whether the rest is worth it.
const SAMPLE: usize = 8 << 10;
const SAMPLES: usize = 4;

/// What to compress with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// The format.
    pub format: Compression,
    /// Its level; the usual one unless said.
    pub level: Option<i32>,
}

impl Settings {
    /// The usual level of a format.
    #[must_use]
    pub fn new(format: Compression) -> Self {
        Self { format, level: None }
    }

    /// Whether the level is one of the format's.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        match (self.format, self.level) {
            (_, None) => true,
            (Compression::None, Some(_)) => false,
            (Compression::Gzip, Some(level)) => (1..=9).contains(&level),
            (Compression::Zstd, Some(level)) => (1..=20).contains(&level),
        }
    }
}

/// A chunk and where its result goes.
type Job = (Vec<u8>, SyncSender<io::Result<Vec<u8>>>);

/// Compresses what is written into `out`. [`Encoder::finish`] must be called at the end.
pub struct Encoder<W: Write> {
    out: W,
    format: Compression,
    chunk: usize,
    current: Vec<u8>,
    pending: VecDeque<Receiver<io::Result<Vec<u8>>>>,
    jobs: Option<SyncSender<Job>>,
    workers: Vec<JoinHandle<()>>,
    started: bool,
}

impl<W: Write> Encoder<W> {
    /// Into `out`. Threads start with the first full chunk.
    pub fn new(settings: Settings, out: W) -> Self {
        let threads = available_parallelism().map_or(1, usize::from).min(THREADS);
        Self::with_threads(settings, out, threads)
    }

    fn with_threads(settings: Settings, out: W, threads: usize) -> Self {
        let chunk = if settings.format == Compression::Zstd { ZSTD_CHUNK } else { GZIP_CHUNK };
        let mut encoder = Self {
            out,
            format: settings.format,
            chunk,
            current: Vec::new(),
            pending: VecDeque::new(),
            jobs: None,
            workers: Vec::new(),
            started: false,
        };
        if settings.format != Compression::None {
            let (send, receive) = sync_channel::<Job>(threads);
            let receive = Arc::new(Mutex::new(receive));
            for _ in 0..threads {
                let receive = Arc::clone(&receive);
                let work = move || work(settings, &receive);
                // With fewer threads than wanted it takes longer.
                encoder.workers.extend(std::thread::Builder::new().name("kelp-compress".to_owned()).spawn(work));
            }
            encoder.jobs = Some(send);
        }
        encoder
    }

    /// Hands the current chunk over, and takes results when enough are on their way.
    fn dispatch(&mut self) -> io::Result<()> {
        let chunk = std::mem::take(&mut self.current);
        let (send, receive) = sync_channel(1);
        let jobs = self.jobs.as_ref().filter(|_| !self.workers.is_empty()).ok_or_else(no_threads)?;
        jobs.send((chunk, send)).map_err(|_| no_threads())?;
        self.pending.push_back(receive);
        while self.pending.len() > 2 * self.workers.len() {
            self.collect()?;
        }
        Ok(())
    }

    /// Writes the oldest chunk.
    fn collect(&mut self) -> io::Result<()> {
        let Some(receive) = self.pending.pop_front() else { return Ok(()) };
        let chunk = receive.recv().map_err(|_| no_threads())??;
        self.started = true;
        self.out.write_all(&chunk)
    }

    /// Writes what is left and gives `out` back.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn finish(mut self) -> io::Result<W> {
        // A stream of nothing is one empty member or frame.
        let empty = !self.started && self.pending.is_empty();
        if self.format != Compression::None && (empty || !self.current.is_empty()) {
            self.dispatch()?;
        }
        while !self.pending.is_empty() {
            self.collect()?;
        }
        self.out.flush()?;
        self.jobs = None;
        for worker in self.workers {
            worker.join().map_err(|_| no_threads())?;
        }
        Ok(self.out)
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.format == Compression::None {
            return self.out.write(bytes);
        }
        let count = bytes.len().min(self.chunk - self.current.len());
        if self.current.capacity() < self.chunk {
            self.current.reserve_exact(self.chunk - self.current.len());
        }
        self.current.extend_from_slice(&bytes[..count]);
        if self.current.len() == self.chunk {
            self.dispatch()?;
        }
        Ok(count)
    }

    /// Nothing: a chunk cut short would make other bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn no_threads() -> io::Error {
    io::Error::other("the compressing threads are gone")
}

/// A worker: ends when the encoder goes away.
fn work(settings: Settings, jobs: &Mutex<Receiver<Job>>) {
    let mut gzip = Gzip { level: settings.level.unwrap_or(GZIP_LEVEL), ..Gzip::default() };
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((plain, result)) = job else { return };
        let bytes = match settings.format {
            Compression::Zstd => zstd::bulk::compress(&plain, settings.level.unwrap_or(ZSTD_LEVEL)),
            Compression::Gzip | Compression::None => gzip.member(&plain),
        };
        // Nobody waits for it when the encoder was dropped.
        result.send(bytes).ok();
    }
}

/// The states of one worker, made when they are needed.
#[derive(Default)]
struct Gzip {
    level: i32,
    usual: Option<Compressor>,
    trial: Option<Compressor>,
    stored: Option<Compressor>,
}

impl Gzip {
    fn member(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let state = match self.is_noise(plain)? {
            true => at_level(&mut self.stored, 0)?,
            false => at_level(&mut self.usual, self.level)?,
        };
        compressed(state, plain)
    }

    /// Whether compressing a chunk would only cost time: it is compressed, encrypted or random already.
    fn is_noise(&mut self, plain: &[u8]) -> io::Result<bool> {
        if plain.len() < 2 * SAMPLE * SAMPLES {
            return Ok(false);
        }
        let trial = at_level(&mut self.trial, 1)?;
        let step = (plain.len() - SAMPLE) / (SAMPLES - 1);
        for n in 0..SAMPLES {
            let sample = &plain[n * step..n * step + SAMPLE];
            if compressed(trial, sample)?.len() <= SAMPLE - SAMPLE / 50 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn at_level(slot: &mut Option<Compressor>, level: i32) -> io::Result<&mut Compressor> {
    if slot.is_none() {
        let level = CompressionLvl::new(level).map_err(|_| io::Error::other("no such level of gzip"))?;
        *slot = Some(Compressor::new(level));
    }
    slot.as_mut().ok_or_else(no_threads)
}

/// One whole member.
fn compressed(state: &mut Compressor, plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = vec![0; state.gzip_compress_bound(plain.len())];
    let length = state.gzip_compress(plain, &mut out).map_err(|error| io::Error::other(error.to_string()))?;
    out.truncate(length);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::image::compression::Decoder;

    fn text(length: usize) -> Vec<u8> {
        let mut state = 1u32;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            if state & 0x1_0000 == 0 { b'a' } else { state.to_be_bytes()[0] }
        })
        .take(length)
        .collect()
    }

    fn encode(settings: Settings, plain: &[u8], threads: usize) -> Vec<u8> {
        let mut encoder = Encoder::with_threads(settings, Vec::new(), threads);
        for part in plain.chunks(77_777) {
            encoder.write_all(part).unwrap();
        }
        encoder.finish().unwrap()
    }

    #[test]
    fn comes_back_and_is_the_same_for_any_number_of_threads() {
        for length in [0, 1, GZIP_CHUNK - 1, GZIP_CHUNK, GZIP_CHUNK + 1, ZSTD_CHUNK, 9_999_999] {
            let plain = text(length);
            for format in [Compression::None, Compression::Gzip, Compression::Zstd] {
                for level in [None, Some(1)] {
                    let settings = Settings { format, level: level.filter(|_| format != Compression::None) };
                    assert!(settings.is_valid());
                    let one = encode(settings, &plain, 1);
                    assert!(one == encode(settings, &plain, 4), "{format:?} {length}");
                    let mut back = Vec::new();
                    Decoder::new(one.as_slice()).unwrap().read_to_end(&mut back).unwrap();
                    assert!(back == plain, "{format:?} {length}");
                }
            }
        }
    }

    #[test]
    fn noise_is_stored() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3]
        })
        .take(3 << 20)
        .collect();
        let out = encode(Settings::new(Compression::Gzip), &noise, 2);
        assert!(out.len() > noise.len() && out.len() < noise.len() + 2000);
        let mut back = Vec::new();
        Decoder::new(out.as_slice()).unwrap().read_to_end(&mut back).unwrap();
        assert!(back == noise);
        // One compressible place is enough.
        let mut mixed = noise[..1 << 20].to_vec();
        mixed[..300_000].fill(b'x');
        assert!(encode(Settings::new(Compression::Gzip), &mixed, 1).len() < 800_000);
    }

    #[test]
    fn levels() {
        let of = |format, level| Settings { format, level: Some(level) }.is_valid();
        assert!(of(Compression::Gzip, 9) && !of(Compression::Gzip, 10) && !of(Compression::Gzip, 0));
        assert!(of(Compression::Zstd, 20) && !of(Compression::Zstd, 21) && !of(Compression::None, 1));
    }

    #[test]
    fn a_reader_that_went_away_ends_it() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut encoder = Encoder::with_threads(Settings::new(Compression::Gzip), Gone, 2);
        let failed = text(20 << 20).chunks(1 << 20).any(|part| encoder.write_all(part).is_err());
        assert!(failed || encoder.finish().is_err());
    }
}
