//! Compression of layers, on all processors and always to the same bytes.
//!
//! Owns cutting a stream into chunks that are compressed apart from each other and joined again: one gzip member whose
//! blocks end at chunk borders, or one zstd frame per chunk. The output depends on input, format and level alone, never on
//! the number of threads, so a layer compressed twice has one digest. Recognising and decoding is `compression`'s.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, available_parallelism};

use flate2::Crc;

use super::compression::Compression;
use super::deflate::Deflater;

/// Plain bytes compressed together. Part of the format: another size makes other bytes.
const GZIP_CHUNK: usize = 1 << 20;
/// As above; zstd looks further back.
const ZSTD_CHUNK: usize = 4 << 20;
/// Measured on a Debian: twice as fast as 6, for as many bytes as zlib makes at level 3.
const GZIP_LEVEL: i32 = 1;
const ZSTD_LEVEL: i32 = 3;
/// Most threads for one stream.
const THREADS: usize = 16;
/// Bytes compressed on trial, at so many places of a chunk, to see whether the rest is worth it.
const SAMPLE: usize = 8 << 10;
const SAMPLES: usize = 4;
/// An empty last deflate block with fixed codes.
const DEFLATE_END: [u8; 2] = [3, 0];

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
type Job = (Vec<u8>, SyncSender<io::Result<Chunk>>);

/// A compressed chunk.
struct Chunk {
    bytes: Vec<u8>,
    /// Of the plain bytes (gzip).
    crc: Crc,
}

/// Compresses what is written into `out`. [`Encoder::finish`] must be called at the end.
pub struct Encoder<W: Write> {
    out: W,
    format: Compression,
    chunk: usize,
    current: Vec<u8>,
    crc: Crc,
    pending: VecDeque<Receiver<io::Result<Chunk>>>,
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
            crc: Crc::new(),
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
        self.begin()?;
        self.crc.combine(&chunk.crc);
        self.out.write_all(&chunk.bytes)
    }

    fn begin(&mut self) -> io::Result<()> {
        if !self.started && self.format == Compression::Gzip {
            // Deflate, no flags, no time, no extra flags, system unknown.
            self.out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        }
        self.started = true;
        Ok(())
    }

    /// Writes what is left and gives `out` back.
    ///
    /// # Errors
    /// When `out` fails.
    pub fn finish(mut self) -> io::Result<W> {
        // A stream of nothing is one empty frame.
        if !self.current.is_empty() || (self.format == Compression::Zstd && !self.started && self.pending.is_empty()) {
            self.dispatch()?;
        }
        while !self.pending.is_empty() {
            self.collect()?;
        }
        self.begin()?;
        if self.format == Compression::Gzip {
            self.out.write_all(&DEFLATE_END)?;
            self.out.write_all(&self.crc.sum().to_le_bytes())?;
            self.out.write_all(&self.crc.amount().to_le_bytes())?;
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
    let mut gzip = Gzip::new(settings.level.unwrap_or(GZIP_LEVEL));
    loop {
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((plain, result)) = job else { return };
        let mut crc = Crc::new();
        let bytes = match settings.format {
            Compression::Zstd => zstd::bulk::compress(&plain, settings.level.unwrap_or(ZSTD_LEVEL)),
            Compression::Gzip | Compression::None => {
                crc.update(&plain);
                gzip.compress(&plain)
            }
        };
        // Nobody waits for it when the encoder was dropped.
        result.send(bytes.map(|bytes| Chunk { bytes, crc })).ok();
    }
}

/// Compressors, made when needed.
struct Gzip {
    level: i32,
    usual: Option<Deflater>,
    trial: Option<Deflater>,
    stored: Option<Deflater>,
}

impl Gzip {
    fn new(level: i32) -> Self {
        Self { level, usual: None, trial: None, stored: None }
    }

    fn compress(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        match is_noise(made(&mut self.trial, 1)?, plain)? {
            true => made(&mut self.stored, 0)?.blocks(plain),
            false => made(&mut self.usual, self.level)?.blocks(plain),
        }
    }
}

fn made(place: &mut Option<Deflater>, level: i32) -> io::Result<&mut Deflater> {
    let deflater = match place.take() {
        Some(deflater) => deflater,
        None => Deflater::new(level)?,
    };
    Ok(place.insert(deflater))
}

/// Whether compressing a chunk would only cost time: it is compressed, encrypted or random already.
fn is_noise(trial: &mut Deflater, plain: &[u8]) -> io::Result<bool> {
    if plain.len() < 2 * SAMPLE * SAMPLES {
        return Ok(false);
    }
    let step = (plain.len() - SAMPLE) / (SAMPLES - 1);
    for n in 0..SAMPLES {
        if trial.length(&plain[n * step..n * step + SAMPLE])? <= SAMPLE - SAMPLE / 50 {
            return Ok(false);
        }
    }
    Ok(true)
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
                    if format == Compression::Gzip {
                        // One member, as the strictest readers want it.
                        let mut back = Vec::new();
                        let mut single = flate2::read::GzDecoder::new(one.as_slice());
                        single.read_to_end(&mut back).unwrap();
                        assert!(back == plain);
                    }
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
