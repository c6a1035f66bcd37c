//! Whether the files of a layer are still what was unpacked.
//!
//! The layer's archive is written again from its files and hashed. Where its structure was not kept but the compressed
//! archive was, that is unpacked aside to get the structure; the files aside are not looked at. What the archive lists is then
//! compared with what is there: a file more would be seen by containers as well as a changed one.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{self as rfs, FileType, Mode, OFlags, ResolveFlags};

use super::archive::ArchiveError;
use super::archive::tarw::{TarWriter, TreeOptions};
use super::compression::Decoder;
use super::layers::{Hashed, LayerError, LayerStore};
use super::origin;
use super::store::ImageStore;
use super::unpack::pipe::HashedPipe;
use super::unpack::{Kind, Owners, TarReader, UnpackOptions, replay, unpack_buffered, walk};
use crate::spec::{Digest, Digester};
use crate::sys::tree::remove_tree;

/// What came of looking at a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what was unpacked.
    Well,
    /// It cannot be checked, for want of the archive.
    Unknown,
    /// What was unpacked is there, and more: these paths.
    Added(Vec<Vec<u8>>),
}

/// Checks the files of a layer.
///
/// # Errors
/// [`LayerError::Damaged`] and others when they are not what they should be; what the file system says.
pub fn verify(images: &ImageStore, layer: &Digest, owners: Owners) -> Result<Verdict, ArchiveError> {
    let layers = LayerStore::open(images.data());
    let listing = listed(|out| Ok(layers.write_archive(layer, out).map(drop)?));
    match listing {
        Ok(listing) => return listing.compare(&layers, layer),
        Err(ArchiveError::Layer(LayerError::NotKept(_))) => {}
        Err(error) => return Err(error),
    }
    match origin::kept(images, layer)? {
        Some((note, blob)) => match by_blob(&layers, layer, blob, owners) {
            // Told of by itself; it says nothing of the files.
            Err(_) if !images.blobs().is_sound(&note.digest)? => Ok(Verdict::Unknown),
            outcome => outcome?.compare(&layers, layer),
        },
        None => Ok(Verdict::Unknown),
    }
}

fn by_blob(layers: &LayerStore, layer: &Digest, blob: File, owners: Owners) -> Result<Listing, ArchiveError> {
    let failed = || ArchiveError::io("read", format!("layer {layer}"));
    let txn = layers.begin_unnamed()?;
    let mut recorder = txn.recorder()?;
    let options = UnpackOptions { owners, ..UnpackOptions::default() };
    let actual = std::thread::scope(|scope| {
        let decoder = Decoder::new(BufReader::with_capacity(256 << 10, blob)).map_err(failed())?;
        let mut pipe = HashedPipe::spawn(scope, decoder);
        unpack_buffered(&mut pipe, txn.dir(), &options, Some(&mut recorder))
            .map_err(|source| ArchiveError::Unpack { layer: layer.to_string(), source })?;
        pipe.digest().map(|(digest, _)| digest).map_err(failed())
    })?;
    recorder.finish().map_err(failed())?;
    if actual != *layer {
        // The kept archive is bad itself: nothing can be said of the files.
        return Err(LayerError::Damaged { expected: layer.clone(), actual }.into());
    }
    let tree = File::open(layers.tree(layer)).map_err(failed())?;
    let archive = txn.archive().map_err(failed())?;
    listed(|out| {
        let mut hashed = Hashed { out, digester: Digester::new(layer.algorithm()) };
        replay(archive, tree.as_fd(), &mut hashed).map_err(failed())?;
        let actual = hashed.digester.finish();
        if actual == *layer { Ok(()) } else { Err(LayerError::Damaged { expected: layer.clone(), actual }.into()) }
    })
}

/// What an archive says is in its tree.
#[derive(Default)]
struct Listing {
    paths: HashSet<Vec<u8>>,
    dirs: HashSet<Vec<u8>>,
    links: HashMap<Vec<u8>, Vec<u8>>,
}

/// Reads the members of the archive that `write` writes.
fn listed(write: impl FnOnce(&mut dyn Write) -> Result<(), ArchiveError> + Send) -> Result<Listing, ArchiveError> {
    let failed = || ArchiveError::io("read", "an archive");
    let (read, mut into) = io::pipe().map_err(failed())?;
    std::thread::scope(|scope| {
        let writing = scope.spawn(move || write(&mut into));
        let mut input = BufReader::with_capacity(256 << 10, read);
        let listing = Listing::of(&mut input);
        // Whatever was wrong with it: its digest is known when all is written.
        io::copy(&mut input, &mut io::sink()).map_err(failed())?;
        match writing.join() {
            Ok(written) => written.and(listing),
            Err(_) => Err(failed()(io::Error::other("the writing thread failed"))),
        }
    })
}

impl Listing {
    fn of(input: &mut BufReader<io::PipeReader>) -> Result<Self, ArchiveError> {
        let mut listing = Self::default();
        let mut reader = TarReader::new(input);
        while let Some(member) = reader.next_member()? {
            let Ok(path) = walk::clean(&member.path) else { continue };
            let real = listing.real(&path);
            let (dir, name) = split(&real);
            // Its mark in the tree has the name that is hidden, or is the file as it came.
            if let Some(hidden) = name.strip_prefix(b".wh.") {
                listing.add([dir, b"/", hidden].concat());
            }
            match member.kind {
                Kind::Directory => drop(listing.dirs.insert(real.clone())),
                Kind::Symlink => drop(listing.links.insert(real.clone(), member.link.clone())),
                _ => {}
            }
            listing.add(real);
        }
        Ok(listing)
    }

    /// A path and all directories it is in.
    fn add(&mut self, path: Vec<u8>) {
        let path = path.strip_prefix(b"/").unwrap_or(&path).to_vec();
        let mut above = split(&path).0;
        while !above.is_empty() && self.dirs.insert(above.to_vec()) {
            self.paths.insert(above.to_vec());
            above = split(above).0;
        }
        self.paths.insert(path);
    }

    /// Where a path is unpacked to: its directory may be a link that came before.
    fn real(&self, path: &[u8]) -> Vec<u8> {
        let mut real: Vec<u8> = Vec::new();
        let mut rest: VecDeque<Vec<u8>> = path.split(|&b| b == b'/').map(<[u8]>::to_vec).collect();
        let mut left = 40;
        while let Some(part) = rest.pop_front() {
            match &*part {
                b"" | b"." => continue,
                b".." => {
                    real.truncate(split(&real).0.len());
                    continue;
                }
                _ => {}
            }
            let next = if real.is_empty() { part } else { [&real[..], b"/", &part].concat() };
            match self.links.get(&next) {
                Some(target) if !rest.is_empty() && left > 0 => {
                    left -= 1;
                    if target.starts_with(b"/") {
                        real.clear();
                    }
                    target.split(|&b| b == b'/').rev().for_each(|part| rest.push_front(part.to_vec()));
                }
                _ => real = next,
            }
        }
        real
    }

    /// Looks for what is in the tree of a layer and not here.
    fn compare(&self, layers: &LayerStore, layer: &Digest) -> Result<Verdict, ArchiveError> {
        let failed = || ArchiveError::io("read", format!("layer {layer}"));
        let tree = File::open(layers.tree(layer)).map_err(failed())?;
        let added = RefCell::new(Vec::new());
        // Only directories that are known are gone into.
        let skip = |path: &[u8]| {
            if !self.paths.contains(path) && !is_socket(&tree, path) {
                added.borrow_mut().push(path.to_vec());
            }
            !self.dirs.contains(path)
        };
        let options = TreeOptions { skip: Some(&skip), ..TreeOptions::default() };
        TarWriter::new(io::sink()).tree(tree.as_fd(), &options).map_err(failed())?;
        let added = added.take();
        Ok(if added.is_empty() { Verdict::Well } else { Verdict::Added(added) })
    }
}

/// Removes what was added to the tree of a layer.
///
/// # Errors
/// What the file system says.
pub fn remove_added(images: &ImageStore, layer: &Digest, added: &[Vec<u8>]) -> Result<(), ArchiveError> {
    let failed = |path: &[u8]| ArchiveError::io("remove", String::from_utf8_lossy(path).into_owned());
    let tree = File::open(LayerStore::open(images.data()).tree(layer)).map_err(failed(b"."))?;
    for path in added {
        let (dir, name) = split(path);
        let parent = open(&tree, if dir.is_empty() { &b"."[..] } else { dir }, OFlags::RDONLY | OFlags::DIRECTORY);
        let name = CString::new(name).map_err(|error| failed(path)(error.into()))?;
        parent.map_err(io::Error::from).and_then(|parent| remove_tree(parent.as_fd(), &name)).map_err(failed(path))?;
    }
    Ok(())
}

/// A path's directory, empty for the root, and its name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

fn open(tree: &File, path: &[u8], flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rfs::openat2(tree, path, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Sockets have no place in an archive.
fn is_socket(tree: &File, path: &[u8]) -> bool {
    let stat = open(tree, path, OFlags::PATH).and_then(rfs::fstat);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Socket)
}
