//! Deflate (RFC 1951) by libdeflate, in blocks that others may follow.
//!
//! libdeflate takes half of zlib's time for the same size, but ends every stream it makes, and some readers take no gzip
//! file of several members. So the end is taken away again: the last block of a stream is found by reading over all codes
//! (a quarter of the whole time), its mark as the last one cleared, and an empty stored block fills the byte up,
//! as zlib's sync flush does.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

/// Added to the length of a length code: bits that follow it (section 3.2.5).
const LENGTH_EXTRA: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
/// The order in which lengths of the code of code lengths stand (section 3.2.7).
const LENGTHS_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Longest code.
const MAX_BITS: usize = 15;
/// Literals, the end and lengths; then distances.
const MOST_CODES: usize = 288 + 32;
/// What follows the header of an empty stored block, which itself is three zero bits and those up to the next byte.
const EMPTY: [u8; 4] = [0, 0, 0xff, 0xff];

/// Compresses chunks.
pub(super) struct Deflater {
    compressor: Compressor,
    scan: Scan,
}

impl Deflater {
    /// Level 0 (stored) to 12.
    ///
    /// # Errors
    /// For another level.
    pub(super) fn new(level: i32) -> io::Result<Self> {
        let level = CompressionLvl::new(level).map_err(|_| io::Error::other("no such level of deflate"))?;
        Ok(Self { compressor: Compressor::new(level), scan: Scan::default() })
    }

    /// How long a chunk becomes.
    pub(super) fn length(&mut self, plain: &[u8]) -> io::Result<usize> {
        self.stream(plain).map(|stream| stream.len())
    }

    /// Whole blocks, none of them the last, ending at a byte.
    pub(super) fn blocks(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = self.stream(plain)?;
        let last = self.scan.last_block(&stream).ok_or_else(|| io::Error::other("libdeflate made no deflate stream"))?;
        stream[last.start / 8] &= !(1 << (last.start % 8));
        stream.truncate(last.end.div_ceil(8));
        if !(1..=5).contains(&(last.end % 8)) {
            stream.push(0);
        }
        stream.extend(EMPTY);
        Ok(stream)
    }

    fn stream(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = vec![0; self.compressor.deflate_compress_bound(plain.len())];
        let length = self.compressor.deflate_compress(plain, &mut out).map_err(io::Error::other)?;
        out.truncate(length);
        Ok(out)
    }
}

/// Reads over deflate streams; keeps its tables.
#[derive(Default)]
struct Scan {
    lengths: Table,
    literals: Table,
    distances: Table,
}

/// Where a block's bits are.
struct Span {
    start: usize,
    end: usize,
}

impl Scan {
    /// The last block of a stream. Nothing when it is none.
    fn last_block(&mut self, stream: &[u8]) -> Option<Span> {
        let mut bits = Bits { bytes: stream, at: 0 };
        loop {
            let start = bits.at;
            let is_last = bits.take(1) == 1;
            match bits.take(2) {
                0 => bits.skip_stored(),
                1 => self.fixed().and_then(|()| self.skip_codes(&mut bits))?,
                2 => self.dynamic(&mut bits).and_then(|()| self.skip_codes(&mut bits))?,
                _ => return None,
            }
            if bits.at > stream.len() * 8 {
                return None;
            }
            if is_last {
                return Some(Span { start, end: bits.at });
            }
        }
    }

    /// The codes of section 3.2.6.
    fn fixed(&mut self) -> Option<()> {
        let literals: [u8; 288] = std::array::from_fn(|symbol| match symbol {
            144..=255 => 9,
            256..=279 => 7,
            _ => 8,
        });
        self.literals.build(&literals, literal)?;
        self.distances.build(&[5; 32], distance)
    }

    /// The codes a block brings along (section 3.2.7).
    fn dynamic(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let literals = bits.take(5) + 257;
        let all = literals + bits.take(5) + 1;
        let count = bits.take(4) + 4;
        let mut lengths = [0; 19];
        for &symbol in LENGTHS_ORDER.get(..count)? {
            lengths[symbol] = u8::try_from(bits.take(3)).ok()?;
        }
        self.lengths.build(&lengths, |symbol, length| u8::try_from(symbol << 3).unwrap_or(0) | length)?;
        let mut lengths = [0; MOST_CODES];
        let mut done = 0;
        while done < all {
            let entry = self.lengths.at(bits.peek());
            bits.at += usize::from(entry & 7);
            let (value, times) = match entry >> 3 {
                16 => (*lengths.get(done.checked_sub(1)?)?, 3 + bits.take(2)),
                17 => (0, 3 + bits.take(3)),
                18 => (0, 11 + bits.take(7)),
                length => (length, 1),
            };
            lengths.get_mut(done..done + times)?.fill(value);
            done += times;
        }
        self.literals.build(lengths.get(..literals)?, literal)?;
        self.distances.build(lengths.get(literals..all)?, distance)
    }

    /// Goes over a block's codes and its end.
    fn skip_codes(&self, bits: &mut Bits<'_>) -> Option<()> {
        while bits.at < bits.bytes.len() * 8 {
            let mut window = bits.peek();
            let mut used = 0;
            // What is looked at must be in the window; what is only counted need not be.
            while used <= Bits::PEEKED - 2 * MAX_BITS - 5 {
                let entry = self.literals.at(window);
                let count = entry & COUNT;
                window >>= count;
                used += usize::from(count);
                if entry & MATCH != 0 {
                    let count = self.distances.at(window);
                    window = window.checked_shr(count.into()).unwrap_or(0);
                    used += usize::from(count);
                } else if entry == 0 {
                    return None;
                } else if entry & END != 0 {
                    bits.at += used;
                    return Some(());
                }
            }
            bits.at += used;
        }
        None
    }
}

/// What a table says of a code: how many bits it has with what follows it, and in the table of literals what it is. 0 is
/// no code.
const COUNT: u8 = 0x3f;
const END: u8 = 0x40;
const MATCH: u8 = 0x80;

fn literal(symbol: usize, length: u8) -> u8 {
    match symbol {
        0..=255 => length,
        256 => END | length,
        _ => MATCH | (length + LENGTH_EXTRA.get(symbol - 257).copied().unwrap_or(0)),
    }
}

fn distance(symbol: usize, length: u8) -> u8 {
    length + u8::try_from(symbol / 2).unwrap_or(0).saturating_sub(1)
}

/// A code's entries by their bits, as many as its longest code has.
#[derive(Default)]
struct Table {
    entries: Vec<u8>,
}

impl Table {
    /// Of the codes of these lengths, 0 for none (section 3.2.2). Nothing when one is too long.
    fn build(&mut self, lengths: &[u8], entry: impl Fn(usize, u8) -> u8) -> Option<()> {
        let longest = usize::from(lengths.iter().copied().max()?);
        if longest > MAX_BITS {
            return None;
        }
        let mut next = [0_u32; MAX_BITS + 2];
        for &length in lengths.iter().filter(|&&length| length > 0) {
            next[usize::from(length) + 1] += 1;
        }
        for length in 1..next.len() {
            next[length] = (next[length] + next[length - 1]) << 1;
        }
        self.entries.clear();
        self.entries.resize(1 << longest, 0);
        for (symbol, &length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let code = &mut next[usize::from(length)];
            // Codes stand in a stream with their first bit first.
            let first = usize::try_from(code.reverse_bits() >> (32 - u32::from(length))).ok()?;
            *code += 1;
            for place in self.entries.iter_mut().skip(first).step_by(1 << length) {
                *place = entry(symbol, length);
            }
        }
        Some(())
    }

    fn at(&self, window: u64) -> u8 {
        let mask = self.entries.len().wrapping_sub(1);
        let index = usize::try_from(window & 0xffff).unwrap_or(0) & mask;
        self.entries.get(index).copied().unwrap_or(0)
    }
}

/// A stream, read from each byte's lowest bit on.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// How many bits [`Self::peek`] gives at least.
    const PEEKED: usize = 57;

    /// The next bits, zeros after the end.
    fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = rest.first_chunk().copied().unwrap_or_else(|| {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            word
        });
        u64::from_le_bytes(word) >> (self.at % 8)
    }

    fn take(&mut self, count: usize) -> usize {
        let value = self.peek() & ((1 << count) - 1);
        self.at += count;
        usize::try_from(value).unwrap_or(0)
    }

    /// A stored block's length, its complement and its bytes (section 3.2.4).
    fn skip_stored(&mut self) {
        self.at = self.at.next_multiple_of(8);
        let length = self.take(16);
        self.at += 16 + 8 * length;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn joined(level: i32, chunks: &[&[u8]]) -> Vec<u8> {
        let mut deflater = Deflater::new(level).unwrap();
        let mut stream: Vec<u8> = chunks.iter().flat_map(|chunk| deflater.blocks(chunk).unwrap()).collect();
        stream.extend([3, 0]);
        stream
    }

    fn random(length: usize, mask: u8) -> Vec<u8> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()[3] & mask
        })
        .take(length)
        .collect()
    }

    #[test]
    fn blocks_follow_each_other() {
        let noise = random(200_000, 255);
        let digits = random(700_000, 7);
        let source = include_bytes!("deflate.rs");
        let zeros = vec![0; 300_000];
        for level in 0..=12 {
            let chunks: [&[u8]; 9] = [&digits, b"", source, &noise, b"a", &zeros, &noise[..70_000], &source[..100], b"aaaaaaaaaaaaaaaaaaaa"];
            let stream = joined(level, &chunks);
            let mut back = Vec::new();
            flate2::read::DeflateDecoder::new(stream.as_slice()).read_to_end(&mut back).unwrap();
            assert!(back == chunks.concat(), "level {level}");
        }
    }

    /// Every number of bits a stream can end after.
    #[test]
    fn any_end_is_filled_up() {
        let source = include_bytes!("deflate.rs");
        for length in 0..600 {
            let chunks: [&[u8]; 2] = [&source[..length], &source[length..2 * length + 9]];
            let mut back = Vec::new();
            flate2::read::DeflateDecoder::new(joined(1, &chunks).as_slice()).read_to_end(&mut back).unwrap();
            assert_eq!(back, chunks.concat(), "{length}");
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let mut scan = Scan::default();
        let stream = Deflater::new(6).unwrap().stream(include_bytes!("deflate.rs")).unwrap();
        assert!(scan.last_block(&stream).is_some());
        for length in 0..stream.len() - 1 {
            assert!(scan.last_block(&stream[..length]).is_none(), "{length}");
        }
        for seed in 1..3000 {
            // No panic, whatever it says.
            let _ = scan.last_block(&random(seed, 255)[seed / 2..]);
            let mut bent = stream.clone();
            bent[seed % stream.len()] ^= 1 << (seed % 8);
            let _ = scan.last_block(&bent);
        }
    }
}
