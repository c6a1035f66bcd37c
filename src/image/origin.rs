//! Where the bytes of a layer's archive are: in its tree with the recorded structure, in the blob it came as, or, when both
//! are gone, in the tree alone, if that is written as kelp writes archives and the layer was one of kelp's.
//!
//! Owns finding them, for `save`, `push`, `pull` and `system check` alike, and writing them, checked. What other images'
//! manifests say is a claim: anybody can write a manifest that names somebody else's blob. So a blob found by one is read
//! through before it is believed.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::AsFd as _;

use super::archive::ArchiveError;
use super::archive::tarw::{TarWriter, TreeOptions};
use super::blobs::BlobStore;
use super::compression::Decoder;
use super::layers::{Hashed, LayerBlob, LayerError, LayerStore};
use super::manifest::{Document, MAX_MANIFEST};
use super::store::{ImageStore, StoreError};
use crate::spec::{Digest, Digester};
use crate::userns::IdMap;

const BUFFER: usize = 256 << 10;

/// A source of a layer's archive.
#[derive(Debug)]
pub struct Origin {
    layers: LayerStore,
    layer: Digest,
    size: u64,
    source: Source,
}

#[derive(Debug)]
enum Source {
    /// Tree and structure.
    Recorded,
    Blob(File, BlobStore, Digest),
    /// The tree, as one of kelp's layers.
    Tree(Written),
}

/// How an archive was written from a tree.
#[derive(Debug, Clone, Copy)]
struct Written {
    /// With an entry for the root.
    root: bool,
    /// Owners are kept in attributes.
    overrides: bool,
}

impl Origin {
    /// The source of a layer's archive.
    ///
    /// # Errors
    /// [`LayerError::Missing`] without the layer, [`LayerError::NotKept`] without a source.
    pub fn find(images: &ImageStore, layer: &Digest) -> Result<Self, ArchiveError> {
        let layers = LayerStore::open(images.data());
        let record = layers.record(layer).ok_or_else(|| LayerError::Missing(layer.clone()))?;
        let source = match layers.is_recorded(layer) {
            true => Source::Recorded,
            false => match kept(images, layer)? {
                Some((blob, file)) => Source::Blob(file, images.blobs().clone(), blob.digest),
                None => Source::Tree(written(&layers, layer).ok_or_else(|| LayerError::NotKept(layer.clone()))?),
            },
        };
        Ok(Self { layers, layer: layer.clone(), size: record.report.archive_bytes, source })
    }

    /// Length of the archive.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes the uncompressed archive, once. Returns its length.
    ///
    /// # Errors
    /// When reading or writing fails, or what was written is not the layer's archive.
    pub fn write(&self, out: &mut dyn Write) -> Result<u64, ArchiveError> {
        let failed = |e| ArchiveError::io("read", format!("layer {}", self.layer))(e);
        match &self.source {
            Source::Recorded => Ok(self.layers.write_archive(&self.layer, out)?),
            Source::Blob(file, blobs, blob) => {
                let decoder = Decoder::new(BufReader::with_capacity(BUFFER, file)).map_err(failed);
                let written = decoder.and_then(|decoder| copy(decoder, &self.layer, out));
                // Found to be bad it goes: the next pull or load then brings it again.
                if written.is_err() && !blobs.is_sound(blob)? {
                    blobs.remove(blob)?;
                    return Err(LayerError::KeptDamaged(self.layer.clone()).into());
                }
                written
            }
            Source::Tree(how) => {
                let actual = write_tree(&self.layers, &self.layer, *how, out).map_err(failed)?;
                match actual == self.layer {
                    true => Ok(self.size),
                    false => Err(LayerError::Damaged { expected: self.layer.clone(), actual }.into()),
                }
            }
        }
    }
}

/// How the archive of a layer is written from its tree, if it can be.
fn written(layers: &LayerStore, layer: &Digest) -> Option<Written> {
    let overrides = IdMap::of_process("self").is_none_or(|map| map.is_single());
    let ways = [true, false].map(|root| Written { root, overrides });
    ways.into_iter().find(|how| write_tree(layers, layer, *how, &mut io::sink()).is_ok_and(|digest| digest == *layer))
}

/// Writes a tree as one of kelp's layers and returns the digest of what came of it.
fn write_tree(layers: &LayerStore, layer: &Digest, how: Written, out: &mut dyn Write) -> io::Result<Digest> {
    let dir = File::open(layers.tree(layer))?;
    let mut hashed = Hashed { out, digester: Digester::new(layer.algorithm()) };
    let mut tar = TarWriter::new(BufWriter::with_capacity(BUFFER, &mut hashed));
    let options = TreeOptions { layer: true, overrides: how.overrides, ..TreeOptions::default() };
    if how.root {
        tar.root(dir.as_fd(), &options)?;
    }
    tar.tree(dir.as_fd(), &options)?;
    drop(tar.finish()?);
    Ok(hashed.digester.finish())
}

/// Copies the archive of a layer and checks it.
pub(super) fn copy(mut archive: impl Read, layer: &Digest, out: &mut dyn Write) -> Result<u64, ArchiveError> {
    let mut digester = Digester::new(layer.algorithm());
    let mut buffer = vec![0u8; BUFFER];
    let mut written = 0;
    loop {
        let count = archive.read(&mut buffer).map_err(ArchiveError::io("read", format!("layer {layer}")))?;
        if count == 0 {
            break;
        }
        digester.update(&buffer[..count]);
        out.write_all(&buffer[..count]).map_err(ArchiveError::io("write", "the archive"))?;
        written += count as u64;
    }
    let actual = digester.finish();
    if actual != *layer {
        return Err(LayerError::Damaged { expected: layer.clone(), actual }.into());
    }
    Ok(written)
}

/// Whether the archive of a layer that is here can be had.
///
/// # Errors
/// When the store cannot be read.
pub fn is_whole(images: &ImageStore, layer: &Digest) -> Result<bool, StoreError> {
    Ok(LayerStore::open(images.data()).is_recorded(layer) || kept(images, layer)?.is_some())
}

/// The blob a layer's archive is in, if it is here.
///
/// # Errors
/// When the store cannot be read.
pub fn kept(images: &ImageStore, layer: &Digest) -> Result<Option<(LayerBlob, File)>, StoreError> {
    let layers = LayerStore::open(images.data());
    if let Some(blob) = layers.blob(layer)
        && let Some(file) = images.blobs().open(&blob.digest, Some(blob.size))?
    {
        return Ok(Some((blob, file)));
    }
    for blob in claimed(images, layer)? {
        let Some(file) = images.blobs().open(&blob.digest, Some(blob.size))? else { continue };
        let believed = Decoder::new(BufReader::with_capacity(BUFFER, file)).is_ok_and(|archive| copy(archive, layer, &mut io::sink()).is_ok());
        if believed && let Some(file) = images.blobs().open(&blob.digest, Some(blob.size))? {
            // Found again at once the next time; on a full disk it is read through again.
            layers.note_blob(layer, &blob).ok();
            return Ok(Some((blob, file)));
        }
    }
    Ok(None)
}

/// Blobs that the manifests of pulled images say hold a layer.
///
/// # Errors
/// When the store cannot be read.
pub fn claimed(images: &ImageStore, layer: &Digest) -> Result<Vec<LayerBlob>, StoreError> {
    let mut found: Vec<LayerBlob> = Vec::new();
    for record in images.records()?.into_iter().filter(|record| !record.blobs.is_empty() && record.layers.contains(layer)) {
        for digest in &record.manifests {
            let Some(bytes) = images.blobs().read(digest, MAX_MANIFEST)? else { continue };
            let Ok(Document::Image(manifest)) = Document::parse(&bytes, None) else { continue };
            if manifest.config.digest != record.id || manifest.layers.len() != record.layers.len() {
                continue;
            }
            let pairs = record.layers.iter().zip(&manifest.layers);
            let ours = pairs.filter(|(other, blob)| *other == layer && record.blobs.contains(&blob.digest));
            found.extend(ours.map(|(_, blob)| LayerBlob::from(blob)));
        }
    }
    Ok(found)
}
