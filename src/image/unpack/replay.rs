//! Writing an archive again from its record and its unpacked tree.
//!
//! Owns reading the format that [`super::record`] describes. The caller checks the digest of what comes out: the record and
//! the tree may have been damaged since.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};

use super::record::MAGIC;
use super::walk::{Missing, Walker};

/// Longest path in a record.
const MAX_PATH: u32 = 4096;

/// One segment; the bytes of literals and saved contents follow it in the stream.
enum Segment {
    Literal(u64),
    Content {
        path: Vec<u8>,
        offset: u64,
        length: u64,
    },
    Saved {
        path: Vec<u8>,
        length: u64,
    },
}

/// Reads segments.
struct Segments(BufReader<zstd::Decoder<'static, BufReader<File>>>);

/// Contents that are not in the tree any more: for each content segment by its number, where its file begins in `spool`.
struct Replaced {
    spool: File,
    at: HashMap<u64, u64>,
}

/// Writes an archive again. Returns its length.
///
/// # Errors
/// When the record is damaged, a file is missing or shorter than it was, or either side fails.
pub fn replay(record: File, tree: BorrowedFd<'_>, out: &mut dyn Write) -> io::Result<u64> {
    let replaced = Replaced::find(&record)?;
    let mut segments = Segments::open(&record)?;
    let mut walker = Walker::new(tree);
    let mut buffer = vec![0u8; 256 * 1024];
    let mut open: Option<(Vec<u8>, OwnedFd)> = None;
    let mut written = 0u64;
    let mut number = 0u64;
    while let Some(segment) = segments.next()? {
        match segment {
            Segment::Literal(length) => {
                segments.copy(length, out)?;
                written += length;
            }
            Segment::Saved { length, .. } => segments.copy(length, &mut io::sink())?,
            Segment::Content {
                path,
                offset,
                length,
            } => {
                let moved = replaced
                    .as_ref()
                    .and_then(|r| Some((r, *r.at.get(&number)?)));
                if let Some((replaced, start)) = moved {
                    let from = start.checked_add(offset).ok_or_else(damaged)?;
                    copy_range(replaced.spool.as_fd(), from, length, &mut buffer, out)?;
                } else {
                    if open.as_ref().is_none_or(|(known, _)| *known != path) {
                        let file = open_file(&mut walker, &path)?;
                        open = Some((path, file));
                    }
                    if let Some((_, file)) = &open {
                        copy_range(file.as_fd(), offset, length, &mut buffer, out)?;
                    }
                }
                written += length;
                number += 1;
            }
        }
    }
    Ok(written)
}

impl Segments {
    fn open(record: &File) -> io::Result<Self> {
        let mut file = record.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        let mut input = BufReader::with_capacity(128 * 1024, zstd::Decoder::new(file)?);
        let mut magic = [0u8; 8];
        input.read_exact(&mut magic)?;
        if &magic != MAGIC {
            return Err(damaged());
        }
        Ok(Self(input))
    }

    fn next(&mut self) -> io::Result<Option<Segment>> {
        let mut tag = [0u8; 1];
        if self.0.read(&mut tag)? == 0 {
            return Ok(None);
        }
        let size = u32::from_le_bytes(self.bytes()?);
        if tag[0] == b'R' {
            return Ok(Some(Segment::Literal(u64::from(size))));
        }
        if size > MAX_PATH {
            return Err(damaged());
        }
        let mut path = vec![0u8; size as usize];
        self.0.read_exact(&mut path)?;
        let first = u64::from_le_bytes(self.bytes()?);
        Ok(Some(match tag[0] {
            b'F' => Segment::Content {
                path,
                offset: first,
                length: u64::from_le_bytes(self.bytes()?),
            },
            b'S' => Segment::Saved {
                path,
                length: first,
            },
            _ => return Err(damaged()),
        }))
    }

    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0u8; N];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn copy(&mut self, length: u64, out: &mut dyn Write) -> io::Result<()> {
        let copied = io::copy(&mut self.0.by_ref().take(length), out)?;
        if copied == length {
            Ok(())
        } else {
            Err(damaged())
        }
    }
}

impl Replaced {
    /// Looks for saved contents; none in nearly every record.
    fn find(record: &File) -> io::Result<Option<Self>> {
        let mut paths: HashSet<Vec<u8>> = HashSet::new();
        let mut segments = Segments::open(record)?;
        while let Some(segment) = segments.next()? {
            match segment {
                Segment::Literal(length) => segments.copy(length, &mut io::sink())?,
                Segment::Content { .. } => {}
                Segment::Saved { path, length } => {
                    segments.copy(length, &mut io::sink())?;
                    paths.insert(path);
                }
            }
        }
        if paths.is_empty() {
            return Ok(None);
        }
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let spool = openat(
            rustix::fs::CWD,
            std::env::temp_dir(),
            flags,
            Mode::RUSR | Mode::WUSR,
        )?;
        let mut found = Self {
            spool: spool.into(),
            at: HashMap::new(),
        };
        found.collect(Segments::open(record)?, &paths)?;
        Ok(Some(found))
    }

    /// Spools the saved contents and finds the segments they are for: those of the path since it was last saved.
    fn collect(&mut self, mut segments: Segments, paths: &HashSet<Vec<u8>>) -> io::Result<()> {
        let mut waiting: HashMap<Vec<u8>, Vec<u64>> = HashMap::new();
        let mut number = 0u64;
        let mut end = 0u64;
        while let Some(segment) = segments.next()? {
            match segment {
                Segment::Literal(length) => segments.copy(length, &mut io::sink())?,
                Segment::Content { path, .. } => {
                    if paths.contains(&path) {
                        waiting.entry(path).or_default().push(number);
                    }
                    number += 1;
                }
                Segment::Saved { path, length } => {
                    segments.copy(length, &mut self.spool)?;
                    for number in waiting.remove(&path).unwrap_or_default() {
                        self.at.insert(number, end);
                    }
                    end += length;
                }
            }
        }
        Ok(())
    }
}

fn open_file(walker: &mut Walker<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let (dir, name) = walker
        .parent(path, Missing::Fail)
        .map_err(io::Error::other)?;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(openat(dir, name, flags, Mode::empty())?)
}

fn copy_range(
    file: BorrowedFd<'_>,
    mut offset: u64,
    mut length: u64,
    buffer: &mut [u8],
    out: &mut dyn Write,
) -> io::Result<()> {
    while length > 0 {
        let wanted = usize::try_from(length).map_or(buffer.len(), |l| l.min(buffer.len()));
        let got = rustix::io::pread(file, &mut buffer[..wanted], offset)?;
        if got == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        out.write_all(&buffer[..got])?;
        offset += got as u64;
        length -= got as u64;
    }
    Ok(())
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the layer's archive record is damaged",
    )
}
