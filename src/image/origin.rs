//! Where the bytes of a layer's archive are: in its tree with the recorded structure, or in the blob it came as.
//!
//! Owns finding them, for `save`, `push`, `pull` and `system check` alike, and writing them, checked. What other images'
//! manifests say is a claim: anybody can write a manifest that names somebody else's blob. So a blob found by one is read
//! through before it is believed.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};

use super::archive::ArchiveError;
use super::compression::Decoder;
use super::layers::{LayerBlob, LayerError, LayerStore};
use super::manifest::{Document, MAX_MANIFEST};
use super::store::{ImageStore, StoreError};
use crate::spec::{Digest, Digester};

const BUFFER: usize = 256 << 10;

/// A source of a layer's archive.
#[derive(Debug)]
pub struct Origin {
    layers: LayerStore,
    layer: Digest,
    size: u64,
    /// None when the archive is written from tree and structure.
    blob: Option<File>,
}

impl Origin {
    /// The source of a layer's archive.
    ///
    /// # Errors
    /// [`LayerError::Missing`] without the layer, [`LayerError::NotKept`] without a source.
    pub fn find(images: &ImageStore, layer: &Digest) -> Result<Self, ArchiveError> {
        let layers = LayerStore::open(images.data());
        let record = layers.record(layer).ok_or_else(|| LayerError::Missing(layer.clone()))?;
        let blob = match record.archive {
            true => None,
            false => Some(kept(images, layer)?.ok_or_else(|| LayerError::NotKept(layer.clone()))?.1),
        };
        Ok(Self { layers, layer: layer.clone(), size: record.report.archive_bytes, blob })
    }

    /// Length of the archive.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The blob with the archive, unless it is written from tree and structure.
    #[must_use]
    pub fn into_blob(self) -> Option<File> {
        self.blob
    }

    /// Writes the uncompressed archive, once. Returns its length.
    ///
    /// # Errors
    /// When reading or writing fails, or what was written is not the layer's archive.
    pub fn write(&self, out: &mut dyn Write) -> Result<u64, ArchiveError> {
        match &self.blob {
            None => Ok(self.layers.write_archive(&self.layer, out)?),
            Some(blob) => {
                let failed = |e| ArchiveError::io("read", format!("layer {}", self.layer))(e);
                let decoder = Decoder::new(BufReader::with_capacity(BUFFER, blob)).map_err(failed)?;
                copy(decoder, &self.layer, out)
            }
        }
    }
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
    let record = LayerStore::open(images.data()).record(layer);
    Ok(record.is_some_and(|record| record.archive) || kept(images, layer)?.is_some())
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
