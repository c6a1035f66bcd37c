//! Walking through a tar stream, member by member.
//!
//! Owns the framing: blocks, extension headers, padding, the end of the archive. Everything read that is not a member's
//! content goes to the recorder when there is one, so that the archive can be written again byte for byte. All sizes
//! are bounded before anything is allocated.

use std::io::{BufRead, Seek};

use super::error::TarError;
use super::header::{self, Extensions, Kind, Member};
use super::record::Recorder;
use super::sparse::{self, Extent};

/// Size of a tar block.
pub(crate) const BLOCK: usize = 512;
/// Largest extension header accepted, as in Go's reader.
const MAX_EXTENSION: u64 = 1 << 20;
/// Extension headers accepted in a row before one member.
const MAX_EXTENSIONS: u32 = 16;

/// Reads members from a stream.
pub struct TarReader<'r, R> {
    input: R,
    skip: fn(&mut R, u64) -> std::io::Result<u64>,
    recorder: Option<&'r mut Recorder>,
    offset: u64,
    /// Content of the current member not read yet.
    remaining: u64,
    /// Padding after it.
    padding: u64,
    ended: bool,
}

impl<R: BufRead> TarReader<'static, R> {
    /// Reads from `input`.
    pub fn new(input: R) -> Self {
        Self {
            input,
            skip: skip_by_reading,
            recorder: None,
            offset: 0,
            remaining: 0,
            padding: 0,
            ended: false,
        }
    }
}

impl<R: BufRead + Seek> TarReader<'static, R> {
    /// Reads from a file and jumps over contents nobody reads.
    pub fn seekable(input: R) -> Self {
        Self {
            skip: skip_by_seeking,
            ..Self::new(input)
        }
    }
}

impl<'r, R: BufRead> TarReader<'r, R> {
    /// Reads from `input` and copies its structure into `recorder`.
    pub fn recorded(input: R, recorder: Option<&'r mut Recorder>) -> Self {
        Self {
            input,
            skip: skip_by_reading,
            recorder,
            offset: 0,
            remaining: 0,
            padding: 0,
            ended: false,
        }
    }

    /// The position of the next byte.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next member, after skipping what is left of the current one; none at the end of the archive.
    ///
    /// # Errors
    /// On a damaged or truncated archive, and on extensions larger than 1 MiB.
    pub fn next_member(&mut self) -> Result<Option<Member>, TarError> {
        self.skip_content()?;
        if self.ended {
            return Ok(None);
        }
        let mut extensions = Extensions::default();
        let mut seen = 0u32;
        loop {
            let start = self.offset;
            let damaged = |what: &str| TarError::Damaged {
                offset: start,
                what: what.to_owned(),
            };
            let mut block = [0u8; BLOCK];
            if !self.block(&mut block, seen > 0)? {
                self.ended = true;
                return Ok(None);
            }
            if block == [0; BLOCK] {
                return self.end_mark(start, seen > 0);
            }
            if !header::checksum_matches(&block) {
                return Err(damaged("wrong header checksum"));
            }
            let flag = block[156];
            if !matches!(flag, b'x' | b'g' | b'L' | b'K') {
                return self.member(&block, extensions, start).map(Some);
            }
            seen += 1;
            if seen > MAX_EXTENSIONS {
                return Err(damaged("too many extension headers in a row"));
            }
            let size = header::stored_size(&block).map_err(damaged)?;
            let data = self.extension(size, start)?;
            match flag {
                b'x' => extensions.pax.parse(&data).map_err(damaged)?,
                b'L' => extensions.gnu_path = Some(header::text(&data).to_vec()),
                b'K' => extensions.gnu_link = Some(header::text(&data).to_vec()),
                // Global records describe the archive, no file: git writes its commit there.
                _ => {}
            }
        }
    }

    /// Some bytes of the current member's content; empty when there are no more. Follow with [`Self::consume`].
    ///
    /// # Errors
    /// When the source fails or ends.
    pub fn content(&mut self) -> Result<&[u8], TarError> {
        if self.remaining == 0 {
            return Ok(&[]);
        }
        let (offset, remaining) = (self.offset, self.remaining);
        let chunk = self
            .input
            .fill_buf()
            .map_err(|source| TarError::Read { offset, source })?;
        if chunk.is_empty() {
            return Err(TarError::Truncated {
                offset,
                within: "the content of a file",
            });
        }
        let length = usize::try_from(remaining).map_or(chunk.len(), |r| r.min(chunk.len()));
        Ok(&chunk[..length])
    }

    /// Content of the current member not read yet.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Marks content bytes as used.
    pub fn consume(&mut self, length: usize) {
        let length = length.min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        self.input.consume(length);
        self.offset += length as u64;
        self.remaining -= length as u64;
    }

    /// The whole content of the current member, when it is at most `limit` bytes.
    ///
    /// # Errors
    /// When it is larger, or the source fails.
    pub fn read_all(&mut self, what: &'static str, limit: u64) -> Result<Vec<u8>, TarError> {
        if self.remaining > limit {
            return Err(TarError::Limit { what, limit });
        }
        let mut data = Vec::with_capacity(usize::try_from(self.remaining).unwrap_or(0));
        loop {
            let chunk = self.content()?;
            if chunk.is_empty() {
                return Ok(data);
            }
            data.extend_from_slice(chunk);
            let length = chunk.len();
            self.consume(length);
        }
    }

    /// The recorder, to note content that went elsewhere.
    pub(crate) fn recorder(&mut self) -> Option<&mut Recorder> {
        self.recorder.as_deref_mut()
    }

    /// Skips the rest of the current member. Without being read it still has to be recorded.
    ///
    /// # Errors
    /// When the source fails or ends.
    pub fn skip_content(&mut self) -> Result<(), TarError> {
        if self.recorder.is_some() {
            while self.remaining > 0 {
                let chunk = self.content()?;
                let length = chunk.len();
                let copy = chunk.to_vec();
                self.note(&copy)?;
                self.consume(length);
            }
            let mut padding = [0u8; BLOCK];
            let length = usize::try_from(self.padding).unwrap_or(0);
            self.fill(&mut padding[..length], "padding")?;
            self.note(&padding[..length])?;
        } else {
            let total = self.remaining + self.padding;
            if total > 0 {
                let offset = self.offset;
                let skipped = (self.skip)(&mut self.input, total)
                    .map_err(|source| TarError::Read { offset, source })?;
                if skipped < total {
                    return Err(TarError::Truncated {
                        offset: offset + skipped,
                        within: "the content of a file",
                    });
                }
                self.offset += skipped;
            }
        }
        self.remaining = 0;
        self.padding = 0;
        Ok(())
    }

    /// Reads to the end of the stream, past the end mark, so that the whole of it is hashed and recorded.
    ///
    /// # Errors
    /// When the source fails.
    pub fn drain(mut self) -> Result<u64, TarError> {
        loop {
            let offset = self.offset;
            let read = |source| TarError::Read { offset, source };
            let length = {
                let chunk = self.input.fill_buf().map_err(read)?;
                if let (false, Some(recorder)) = (chunk.is_empty(), self.recorder.as_deref_mut()) {
                    recorder.raw(chunk).map_err(TarError::Record)?;
                }
                chunk.len()
            };
            if length == 0 {
                return Ok(self.offset);
            }
            self.input.consume(length);
            self.offset += length as u64;
        }
    }

    /// After one zero block: the second one, or the end of the stream.
    fn end_mark(&mut self, start: u64, dangling: bool) -> Result<Option<Member>, TarError> {
        let mut second = [0u8; BLOCK];
        let more = self.block(&mut second, false)?;
        if dangling || (more && second != [0; BLOCK]) {
            return Err(TarError::Damaged {
                offset: start,
                what: "a block of zeros between entries".to_owned(),
            });
        }
        self.ended = true;
        Ok(None)
    }

    fn member(
        &mut self,
        block: &[u8; BLOCK],
        extensions: Extensions,
        start: u64,
    ) -> Result<Member, TarError> {
        let damaged = |what: String| TarError::Damaged {
            offset: start,
            what,
        };
        let inline_map = extensions.pax.sparse.inline_map();
        let mut member = header::member(block, extensions).map_err(damaged)?;
        self.remaining = member.stored;
        self.padding = member.stored.wrapping_neg() % BLOCK as u64;
        if member.stored > i64::MAX as u64 - BLOCK as u64 {
            return Err(damaged("a size out of range".to_owned()));
        }
        if member.kind == Kind::File {
            if block[156] == b'S' {
                self.old_sparse(block, &mut member, start)?;
            } else if let Some(size) = inline_map {
                member.extents = Some(self.inline_sparse(start)?);
                member.size = size;
                member.stored = self.remaining;
            }
        }
        if let Some(extents) = &member.extents {
            sparse::check(extents, member.size, member.stored)
                .map_err(|e| damaged(e.to_owned()))?;
        }
        if member.path.contains(&0) || member.link.contains(&0) {
            return Err(damaged("a name with a NUL byte".to_owned()));
        }
        Ok(member)
    }

    /// The map of an old GNU sparse file: four entries in the header, the rest in blocks that follow it.
    fn old_sparse(
        &mut self,
        block: &[u8; BLOCK],
        member: &mut Member,
        start: u64,
    ) -> Result<(), TarError> {
        let damaged = |what: &str| TarError::Damaged {
            offset: start,
            what: what.to_owned(),
        };
        let mut extents = Vec::new();
        sparse::old_gnu(&block[386..482], &mut extents).map_err(damaged)?;
        let size = header::number(&block[483..495]).map_err(damaged)?;
        member.size = u64::try_from(size).map_err(|_| damaged("a negative size"))?;
        let mut extended = block[482] != 0;
        while extended {
            let mut next = [0u8; BLOCK];
            self.block(&mut next, true)?;
            sparse::old_gnu(&next[..504], &mut extents).map_err(damaged)?;
            extended = next[504] != 0;
        }
        member.extents = Some(extents);
        Ok(())
    }

    /// The map of a PAX 1.0 sparse file: decimal lines at the start of the content, padded to a block.
    fn inline_sparse(&mut self, start: u64) -> Result<Vec<Extent>, TarError> {
        let damaged = |what: &str| TarError::Damaged {
            offset: start,
            what: what.to_owned(),
        };
        const BAD: &str = "a malformed sparse file map";
        let mut text: Vec<u8> = Vec::new();
        let mut numbers: Vec<u64> = Vec::new();
        let mut count: Option<usize> = None;
        while count.is_none_or(|count| numbers.len() < count * 2 + 1) {
            if self.remaining < BLOCK as u64 {
                return Err(damaged(BAD));
            }
            let mut block = [0u8; BLOCK];
            self.block(&mut block, true)?;
            self.remaining -= BLOCK as u64;
            for byte in block {
                if count.is_some_and(|count| numbers.len() > count * 2) {
                    break;
                }
                if byte != b'\n' {
                    text.push(byte);
                    if text.len() > 20 {
                        return Err(damaged(BAD));
                    }
                    continue;
                }
                let number = header::decimal(&text).ok_or_else(|| damaged(BAD))?;
                text.clear();
                if count.is_none() {
                    let entries = usize::try_from(number).unwrap_or(usize::MAX);
                    if entries > sparse::MAX_EXTENTS {
                        return Err(damaged("a sparse file in too many pieces"));
                    }
                    count = Some(entries);
                }
                numbers.push(number);
            }
        }
        let (pairs, _) = numbers.get(1..).unwrap_or_default().as_chunks::<2>();
        Ok(pairs
            .iter()
            .map(|&[offset, length]| Extent { offset, length })
            .collect())
    }

    /// The data of an extension header.
    fn extension(&mut self, size: u64, start: u64) -> Result<Vec<u8>, TarError> {
        if size > MAX_EXTENSION {
            return Err(TarError::Damaged {
                offset: start,
                what: format!("an extension header of {size} bytes (at most {MAX_EXTENSION})"),
            });
        }
        let size = usize::try_from(size).unwrap_or(0);
        let mut data = vec![0u8; size.next_multiple_of(BLOCK)];
        self.fill(&mut data, "an extension header")?;
        self.note(&data)?;
        data.truncate(size);
        Ok(data)
    }

    /// One block into `block`; false at a clean end of the stream, which is an error when `inside` something.
    fn block(&mut self, block: &mut [u8; BLOCK], inside: bool) -> Result<bool, TarError> {
        if !inside && self.at_end()? {
            return Ok(false);
        }
        self.fill(block, "a header")?;
        self.note(block)?;
        Ok(true)
    }

    fn at_end(&mut self) -> Result<bool, TarError> {
        let offset = self.offset;
        self.input
            .fill_buf()
            .map(<[u8]>::is_empty)
            .map_err(|source| TarError::Read { offset, source })
    }

    fn fill(&mut self, buffer: &mut [u8], within: &'static str) -> Result<(), TarError> {
        let mut filled = 0;
        while filled < buffer.len() {
            let offset = self.offset;
            let chunk = self
                .input
                .fill_buf()
                .map_err(|source| TarError::Read { offset, source })?;
            if chunk.is_empty() {
                return Err(TarError::Truncated { offset, within });
            }
            let length = chunk.len().min(buffer.len() - filled);
            buffer[filled..filled + length].copy_from_slice(&chunk[..length]);
            self.input.consume(length);
            filled += length;
            self.offset += length as u64;
        }
        Ok(())
    }

    fn note(&mut self, bytes: &[u8]) -> Result<(), TarError> {
        match self.recorder.as_deref_mut() {
            Some(recorder) => recorder.raw(bytes).map_err(TarError::Record),
            None => Ok(()),
        }
    }
}

fn skip_by_reading<R: BufRead>(input: &mut R, count: u64) -> std::io::Result<u64> {
    let mut left = count;
    while left > 0 {
        let available = input.fill_buf()?.len();
        if available == 0 {
            break;
        }
        let length = usize::try_from(left).map_or(available, |left| left.min(available));
        input.consume(length);
        left -= length as u64;
    }
    Ok(count - left)
}

fn skip_by_seeking<R: BufRead + Seek>(input: &mut R, count: u64) -> std::io::Result<u64> {
    match i64::try_from(count) {
        // Seeking past the end is caught by the next read.
        Ok(distance) => input.seek_relative(distance).map(|()| count),
        Err(_) => skip_by_reading(input, count),
    }
}
