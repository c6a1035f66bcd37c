//! The files of an image archive, however it arrives.
//!
//! Owns three ways to look at one: an OCI directory, a tar file that can be jumped around in, and a stream. From a stream
//! every layer is unpacked as it comes by, before anybody knows which image it belongs to; the small files are kept in
//! memory. Names are compared as text only, never opened as paths of the host (except below an OCI directory, by
//! descriptor).

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use super::ingest::{settle, unpack_into};
use super::{ArchiveError, Input, LoadOptions, Progress};
use crate::image::compression::{Compression, Decoder};
use crate::image::layers::LayerStore;
use crate::image::origin;
use crate::image::packed;
use crate::image::store::ImageStore;
use crate::image::unpack::{Kind, Member, TarReader};
use crate::spec::Digest;

/// Largest small file kept from a stream.
const MAX_SMALL: u64 = 8 << 20;
/// All of them together.
const MAX_KEPT: u64 = 256 << 20;
/// Most members of an image archive.
const MAX_MEMBERS: usize = 200_000;

/// What a stream's member became.
pub(super) enum Streamed {
    Small(Vec<u8>),
    /// With its bytes in the archive.
    Layer(Digest, u64),
    Alias(Vec<u8>),
}

/// Where a file's member is.
pub(super) enum Place {
    Bytes { offset: u64, length: u64 },
    Alias(Vec<u8>),
}

/// The files of an archive.
pub(super) enum Contents {
    Directory(OwnedFd),
    Indexed {
        file: File,
        members: HashMap<Vec<u8>, Place>,
    },
    Streamed(Kept),
}

/// What was kept of a stream.
#[derive(Default)]
pub(super) struct Kept {
    members: HashMap<Vec<u8>, Streamed>,
    bytes: u64,
    /// Whether layers were added to the store.
    pub(super) unpacked: bool,
}

/// A layer's bytes, or its digest if it is unpacked already.
pub(super) enum LayerSource {
    Open(Range),
    /// With its bytes in the archive.
    Done(Digest, u64),
}

impl Contents {
    /// Opens an archive; a stream is read to its end.
    pub(super) fn open(
        input: Input,
        images: &ImageStore,
        options: &LoadOptions,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Self, ArchiveError> {
        let (file, shown) = match input {
            Input::Path(path) => {
                let shown = path.display().to_string();
                let file = File::open(&path).map_err(ArchiveError::io("open", &shown))?;
                (file, shown)
            }
            Input::File(file) => (file, "the archive".to_owned()),
            Input::Stream(stream) => return Self::stream(stream, images, options, progress),
        };
        let meta = file.metadata().map_err(ArchiveError::io("open", &shown))?;
        if meta.is_dir() {
            return Ok(Self::Directory(file.into()));
        }
        if !meta.is_file() {
            return Self::stream(Box::new(file), images, options, progress);
        }
        let mut file = file;
        let mut head = [0u8; 8];
        let start = file.stream_position().unwrap_or(0);
        let length = read_up_to(&mut file, &mut head).map_err(ArchiveError::io("read", &shown))?;
        file.seek(SeekFrom::Start(start))
            .map_err(ArchiveError::io("read", &shown))?;
        let packed = !matches!(Compression::detect(&head[..length]), Ok(Compression::None));
        if packed || start != 0 {
            return Self::stream(Box::new(file), images, options, progress);
        }
        let members = index(&file)?;
        Ok(Self::Indexed { file, members })
    }

    fn stream(
        stream: Box<dyn Read + Send>,
        images: &ImageStore,
        options: &LoadOptions,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Self, ArchiveError> {
        let failed = |e| ArchiveError::io("read", "the archive")(e);
        let stream = packed::plain(stream).map_err(failed)?;
        let mut outer = BufReader::with_capacity(256 * 1024, stream);
        // A pipe may give fewer bytes than the recognition needs.
        let mut head = Vec::with_capacity(8);
        outer
            .by_ref()
            .take(8)
            .read_to_end(&mut head)
            .map_err(failed)?;
        let decoder = Decoder::new(std::io::Cursor::new(head).chain(outer)).map_err(failed)?;
        let mut reader = TarReader::new(BufReader::with_capacity(256 * 1024, decoder));
        let mut kept = Kept::default();
        while let Some(member) = reader.next_member()? {
            kept.take(&member, &mut reader, images, options, progress)?;
        }
        reader.drain()?;
        Ok(Self::Streamed(kept))
    }

    /// A small file of the archive.
    pub(super) fn small(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>, ArchiveError> {
        match self {
            Self::Streamed(kept) => match kept.find(name) {
                Some(Streamed::Small(bytes)) if bytes.len() as u64 <= limit => {
                    Ok(Some(bytes.clone()))
                }
                Some(_) => Err(ArchiveError::damaged(format!("{name} is too large"))),
                None => Ok(None),
            },
            _ => {
                let Some(mut range) = self.range(name)? else {
                    return Ok(None);
                };
                if range.left > limit {
                    return Err(ArchiveError::damaged(format!("{name} is too large")));
                }
                let mut bytes = Vec::new();
                range
                    .read_to_end(&mut bytes)
                    .map_err(ArchiveError::io("read", name))?;
                Ok(Some(bytes))
            }
        }
    }

    /// A layer of the archive.
    pub(super) fn layer(&self, name: &str) -> Result<Option<LayerSource>, ArchiveError> {
        match self {
            Self::Streamed(kept) => match kept.find(name) {
                Some(Streamed::Layer(digest, size)) => Ok(Some(LayerSource::Done(digest.clone(), *size))),
                Some(_) => Err(ArchiveError::damaged(format!("{name} is no layer"))),
                None => Ok(None),
            },
            _ => Ok(self.range(name)?.map(LayerSource::Open)),
        }
    }

    fn range(&self, name: &str) -> Result<Option<Range>, ArchiveError> {
        let failed = |e: std::io::Error| ArchiveError::io("open", name)(e);
        match self {
            Self::Streamed(_) => Ok(None),
            Self::Indexed { file, members } => {
                let mut key = normal(name.as_bytes());
                for _ in 0..8 {
                    match members.get(&key) {
                        Some(Place::Bytes { offset, length }) => {
                            return Ok(Some(Range {
                                file: file.try_clone().map_err(failed)?,
                                position: *offset,
                                left: *length,
                            }));
                        }
                        Some(Place::Alias(target)) => key.clone_from(target),
                        None => return Ok(None),
                    }
                }
                Err(ArchiveError::damaged(format!("{name} is a link to a link")))
            }
            Self::Directory(dir) => {
                let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
                let file: File = match openat2(dir, name, flags, Mode::empty(), resolve) {
                    Ok(fd) => fd.into(),
                    Err(rustix::io::Errno::NOENT) => return Ok(None),
                    Err(errno) => return Err(failed(errno.into())),
                };
                let meta = file.metadata().map_err(failed)?;
                if !meta.is_file() {
                    return Err(ArchiveError::damaged(format!("{name} is no file")));
                }
                Ok(Some(Range {
                    file,
                    position: 0,
                    left: meta.len(),
                }))
            }
        }
    }
}

impl Kept {
    fn find(&self, name: &str) -> Option<&Streamed> {
        let mut key = normal(name.as_bytes());
        for _ in 0..8 {
            match self.members.get(&key)? {
                Streamed::Alias(target) => key.clone_from(target),
                found => return Some(found),
            }
        }
        None
    }

    fn take<R: BufRead + Send>(
        &mut self,
        member: &Member,
        reader: &mut TarReader<'_, R>,
        images: &ImageStore,
        options: &LoadOptions,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<(), ArchiveError> {
        let key = normal(&member.path);
        if self.members.len() >= MAX_MEMBERS {
            return Err(ArchiveError::damaged("it has too many members"));
        }
        let kept = match member.kind {
            Kind::Symlink | Kind::Hardlink => Streamed::Alias(target(&key, member)),
            Kind::File => self.file(&key, member, reader, images, options, progress)?,
            _ => return Ok(()),
        };
        self.members.insert(key, kept);
        Ok(())
    }

    fn file<R: BufRead + Send>(
        &mut self,
        key: &[u8],
        member: &Member,
        reader: &mut TarReader<'_, R>,
        images: &ImageStore,
        options: &LoadOptions,
        progress: &(dyn Fn(Progress<'_>) + Sync),
    ) -> Result<Streamed, ArchiveError> {
        let failed = |e| ArchiveError::io("read", "the archive")(e);
        let mut head = Vec::with_capacity(512);
        Content(reader)
            .take(512)
            .read_to_end(&mut head)
            .map_err(failed)?;
        if looks_like_layer(&head) {
            let name = String::from_utf8_lossy(key).into_owned();
            let layers = LayerStore::open(images.data());
            if let Some(digest) = named_digest(&name).filter(|digest| layers.has(digest))
                && origin::is_whole(images, &digest)?
            {
                // Here already, by the name it has; the image's configuration must agree later.
                return Ok(Streamed::Layer(digest, member.stored));
            }
            progress(Progress::Layer(&name));
            let mut txn = layers.begin_unnamed()?;
            let input = std::io::Cursor::new(head).chain(Content(reader));
            let unpacked = unpack_into(&mut txn, input, &name, options)?;
            settle(images, txn, &unpacked)?;
            self.unpacked = true;
            return Ok(Streamed::Layer(unpacked.diff_id, member.stored));
        }
        self.bytes = self.bytes.saturating_add(member.stored);
        if member.stored > MAX_SMALL || self.bytes > MAX_KEPT {
            return Err(ArchiveError::damaged("its documents are too large"));
        }
        Content(reader).read_to_end(&mut head).map_err(failed)?;
        Ok(Streamed::Small(head))
    }
}

/// Finds every member of a tar file.
fn index(file: &File) -> Result<HashMap<Vec<u8>, Place>, ArchiveError> {
    let length = file
        .metadata()
        .map_err(ArchiveError::io("examine", "the archive"))?
        .len();
    let file = file
        .try_clone()
        .map_err(ArchiveError::io("open", "the archive"))?;
    // Small: between two headers there may be gigabytes that are skipped.
    let mut reader = TarReader::seekable(BufReader::with_capacity(4096, file));
    let mut members = HashMap::new();
    while let Some(member) = reader.next_member()? {
        if members.len() >= MAX_MEMBERS {
            return Err(ArchiveError::damaged("it has too many members"));
        }
        let key = normal(&member.path);
        let place = match member.kind {
            Kind::File => {
                let (offset, stored) = (reader.offset(), member.stored);
                if offset.checked_add(stored).is_none_or(|end| end > length) {
                    return Err(ArchiveError::damaged("it is cut short"));
                }
                Place::Bytes {
                    offset,
                    length: stored,
                }
            }
            Kind::Symlink | Kind::Hardlink => Place::Alias(target(&key, &member)),
            _ => continue,
        };
        members.insert(key, place);
    }
    Ok(members)
}

/// The member a link means: old docker archives share layers that way.
fn target(key: &[u8], member: &Member) -> Vec<u8> {
    if member.kind == Kind::Hardlink {
        return normal(&member.link);
    }
    let parent = key.iter().rposition(|&b| b == b'/').map_or(0, |s| s + 1);
    normal(&[&key[..parent], &member.link].concat())
}

/// A name without `.`, `..` and empty components. These are keys of a map: nothing is opened by them.
fn normal(name: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join(&b'/')
}

/// The digest in names like `<hex>.tar` (podman) and `blobs/sha256/<hex>` (docker).
fn named_digest(name: &str) -> Option<Digest> {
    let last = name.rsplit('/').next()?;
    Digest::from_sha256_hex(last.strip_suffix(".tar").unwrap_or(last)).ok()
}

/// Whether bytes begin a tar archive or a compressed stream.
fn looks_like_layer(head: &[u8]) -> bool {
    if !matches!(Compression::detect(head), Ok(Compression::None)) {
        return true;
    }
    match head.first_chunk::<512>() {
        Some(block) => *block == [0; 512] || crate::image::unpack::is_header(block),
        None => false,
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// A part of a file, read by position, so that several can be read at once.
pub(super) struct Range {
    file: File,
    position: u64,
    left: u64,
}

impl Range {
    /// Bytes still to be read.
    pub(super) fn left(&self) -> u64 {
        self.left
    }
}

impl Read for Range {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |l| l.min(buffer.len()));
        let count = rustix::io::pread(self.file.as_fd(), &mut buffer[..wanted], self.position)?;
        if count == 0 && wanted > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.position += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// The content of a stream's current member.
struct Content<'a, 'r, R>(&'a mut TarReader<'r, R>);

impl<R: BufRead> Read for Content<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let chunk = self.0.content().map_err(std::io::Error::other)?;
        let count = chunk.len().min(buffer.len());
        buffer[..count].copy_from_slice(&chunk[..count]);
        self.0.consume(count);
        Ok(count)
    }
}
