//! Whether the files of a layer are still what was unpacked.
//!
//! The layer's archive is written again from its files and hashed. Where its structure was not kept but the compressed
//! archive was, that is unpacked aside to get the structure; the files aside are not looked at.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::os::fd::AsFd as _;

use super::archive::ArchiveError;
use super::compression::Decoder;
use super::layers::{LayerError, LayerStore};
use super::origin;
use super::store::ImageStore;
use super::unpack::pipe::HashedPipe;
use super::unpack::{Owners, UnpackOptions, replay, unpack_buffered};
use crate::spec::{Digest, Digester};

/// Checks the files of a layer. False when they cannot be checked, for want of the archive.
///
/// # Errors
/// [`LayerError::Damaged`] and others when they are not what they should be; what the file system says.
pub fn verify(images: &ImageStore, layer: &Digest, owners: Owners) -> Result<bool, ArchiveError> {
    let layers = LayerStore::open(images.data());
    match layers.write_archive(layer, &mut io::sink()) {
        Ok(_) => return Ok(true),
        Err(LayerError::NotKept(_)) => {}
        Err(error) => return Err(error.into()),
    }
    match origin::kept(images, layer)? {
        Some((note, blob)) => match by_blob(&layers, layer, blob, owners) {
            // Told of by itself; it says nothing of the files.
            Err(_) if !images.blobs().is_sound(&note.digest)? => Ok(false),
            outcome => outcome.map(|()| true),
        },
        None => Ok(false),
    }
}

fn by_blob(layers: &LayerStore, layer: &Digest, blob: File, owners: Owners) -> Result<(), ArchiveError> {
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
    let mut hashing = Hashing(Digester::new(layer.algorithm()));
    replay(txn.archive().map_err(failed())?, tree.as_fd(), &mut hashing).map_err(failed())?;
    let actual = hashing.0.finish();
    if actual == *layer { Ok(()) } else { Err(LayerError::Damaged { expected: layer.clone(), actual }.into()) }
}

struct Hashing(Digester);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
