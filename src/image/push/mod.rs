//! Pushing: from a local image to a tag on a registry.
//!
//! Owns the order of things: layers in parallel, configuration, manifest; and what a manifest made here looks like. A layer
//! that came from a registry goes back byte for byte, and with all of them so does its manifest. How one layer gets
//! there is in `layer`. Nothing is named on the registry before all of it is there.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::compress::Settings;
use super::compression::Compression;
use super::layers::{LayerError, LayerStore};
use super::names::Named;
use super::manifest::{Descriptor, Document, MAX_MANIFEST, Manifest};
use super::origin;
use super::registry::{ClientOptions, Mount, RegistryError, Repository};
use super::store::{ImageRecord, ImageStore, NewImage, StoreError};
use crate::spec::{Digest, Reference};

mod body;
mod layer;
#[cfg(test)]
mod tests;

/// Layers sent at the same time unless configured otherwise.
pub const PARALLEL: usize = 4;

const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// The notation of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestFormat {
    /// The OCI image specification's.
    Oci,
    /// docker's, version 2 schema 2.
    Docker,
}

/// Which of the compressed forms known of a layer may be sent; else it is compressed anew, to the same bytes each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reuse {
    /// Any.
    #[default]
    All,
    /// Those in the format of [`PushOptions::compression`].
    SameFormat,
    /// None: what one was compressed with, and how hard, nobody knows.
    Nothing,
}

/// How to push.
#[derive(Debug, Clone)]
pub struct PushOptions {
    /// How registries are spoken to.
    pub client: ClientOptions,
    /// The manifest's notation; as it came, else OCI, unless said.
    pub format: Option<ManifestFormat>,
    /// How layers made here are compressed; gzip unless said.
    pub compression: Option<Settings>,
    /// Which compressed layers may go out as they are.
    pub reuse: Reuse,
    /// Layers sent at the same time.
    pub parallel: usize,
    /// The manifest gets no tag: a list will name it by its digest.
    pub untagged: bool,
}

impl Default for PushOptions {
    fn default() -> Self {
        Self {
            client: ClientOptions::default(),
            format: None,
            compression: None,
            reuse: Reuse::All,
            parallel: PARALLEL,
            untagged: false,
        }
    }
}

/// What happens to a layer, in this order; some are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Its turn has not come.
    Preparing,
    /// Its bytes are on their way.
    Pushing,
    /// The registry has it already. The last step.
    Present,
    /// The registry took it from another repository. The last step.
    Mounted(String),
    /// It is there. The last step.
    Done,
}

/// Sees how a push goes on. Called from several threads; layers are named by the digest of their uncompressed archive.
pub trait Progress: Sync {
    /// A line for people.
    fn say(&self, _line: &str) {}
    /// The image has such a layer, of so many bytes uncompressed.
    fn layer(&self, _layer: &Digest, _size: u64) {}
    /// So many bytes will be sent.
    fn total(&self, _layer: &Digest, _bytes: u64) {}
    /// A step begins.
    fn step(&self, _layer: &Digest, _step: Step) {}
    /// So many bytes are sent now.
    fn advance(&self, _layer: &Digest, _sent: u64) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Why an image could not be pushed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// The registry did not take it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The layer store failed.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// A layer cannot be read here.
    #[error("layer {layer} cannot be read: {source}")]
    Read {
        /// Its short digest.
        layer: String,
        /// Why.
        source: io::Error,
    },
    /// A layer is not what it was when it came.
    #[error("layer {0} is damaged here; run `kelp system check --repair`, then pull or load its image again if need be")]
    Damaged(String),
    /// A destination that cannot be written to.
    #[error("cannot push to {0}: a name with a digest says already what is there; give a tag")]
    ToDigest(String),
    /// Formats that do not go together.
    #[error("docker's manifests know no zstd layers; use --format oci, or gzip")]
    DockerZstd,
    /// Another layer failed.
    #[error("given up because another layer failed")]
    Stopped,
}

/// What was pushed.
#[derive(Debug, Clone)]
pub struct Pushed {
    /// The digest of the manifest.
    pub digest: Digest,
    /// The size of the manifest in bytes.
    pub size: usize,
}

/// Sends an image to `destination` and notes here by which digest it is known there.
///
/// # Errors
/// When the registry does not take it, or parts of it cannot be read here.
pub fn push(
    store: &ImageStore,
    record: &ImageRecord,
    destination: &Reference,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Pushed, PushError> {
    let tag = match (destination.digest(), destination.tag()) {
        (None, Some(tag)) => tag.to_owned(),
        _ => return Err(PushError::ToDigest(destination.familiar())),
    };
    let zstd = options.compression.is_some_and(|settings| settings.format == Compression::Zstd);
    if zstd && options.format == Some(ManifestFormat::Docker) {
        return Err(PushError::DockerZstd);
    }
    let repository = Repository::for_push(destination, &options.client)?;
    let known = Known::gather(store, record)?;
    let push = Push {
        store,
        layers: LayerStore::open(store.data()),
        repository: &repository,
        destination,
        record,
        options,
        progress,
        known,
        stop: AtomicBool::new(false),
    };
    let (kind, raw) = push.run()?;
    let tag = if options.untagged { Digest::of(&raw).to_string() } else { tag };
    let digest = repository.put_manifest(&tag, kind, &raw)?;
    let size = raw.len();
    // The push is done; that it is noted is a convenience.
    push.note(&digest, &raw).ok();
    Ok(Pushed { digest, size })
}

/// What the manifests kept here say about compressed layers.
struct Known {
    /// Those of the image, with their bytes, in its record's order.
    own: Vec<(Vec<u8>, Manifest)>,
    /// It came by a manifest: from a registry, or with its layers compressed. What is made here goes out as it was asked for
    /// each time, whatever became of it elsewhere.
    came: bool,
    /// By the digest of the uncompressed archive; the image's own first.
    blobs: BTreeMap<Digest, Vec<Descriptor>>,
    /// Repositories of the destination's registry that have (had) a blob.
    places: BTreeMap<Digest, Vec<Reference>>,
}

impl Known {
    fn add(&mut self, layer: &Digest, blob: Descriptor) {
        let blobs = self.blobs.entry(layer.clone()).or_default();
        if !blobs.iter().any(|other| other.digest == blob.digest) {
            blobs.push(blob);
        }
    }

    fn gather(store: &ImageStore, record: &ImageRecord) -> Result<Self, StoreError> {
        let mut known = Self { own: Vec::new(), came: false, blobs: BTreeMap::new(), places: BTreeMap::new() };
        let mut images = store.list()?;
        images.sort_by_key(|image| image.record.id != record.id);
        for mut image in images {
            if image.record.id == record.id {
                image.record.manifests.clone_from(&record.manifests);
            }
            let wanted = image.record.layers.iter().any(|layer| record.layers.contains(layer));
            for digest in image.record.manifests.iter().filter(|_| wanted) {
                // What cannot be read is not known.
                let Some(raw) = store.blobs().read(digest, MAX_MANIFEST)? else { continue };
                let Ok(Document::Image(manifest)) = Document::parse(&raw, None) else { continue };
                if manifest.config.digest != image.record.id || manifest.layers.len() != image.record.layers.len() {
                    continue;
                }
                for (layer, blob) in image.record.layers.iter().zip(&manifest.layers) {
                    // What others pulled claims to hold our layer may hold anything; what was made here is known to.
                    if image.record.id == record.id || !image.record.blobs.contains(&blob.digest) {
                        known.add(layer, blob.clone());
                    }
                    let places = known.places.entry(blob.digest.clone()).or_default();
                    places.extend(image.names.iter().chain(&image.repo_digests).cloned());
                }
                if image.record.id == record.id {
                    known.came |= manifest.layers.iter().all(|layer| record.blobs.contains(&layer.digest));
                    known.own.push((raw, *manifest));
                }
            }
        }
        let layers = LayerStore::open(store.data());
        for layer in record.unique_layers() {
            // A layer made here has none; then there is nothing to look for.
            let made_here = layers.is_recorded(layer) && layers.blob(layer).is_none();
            if !made_here && let Some((blob, _)) = origin::kept(store, layer)? {
                known.add(layer, blob.into());
            }
        }
        Ok(known)
    }
}

/// One push.
struct Push<'a> {
    store: &'a ImageStore,
    layers: LayerStore,
    repository: &'a Repository,
    destination: &'a Reference,
    record: &'a ImageRecord,
    options: &'a PushOptions,
    progress: &'a dyn Progress,
    known: Known,
    /// Set when a layer failed: the others need not go on.
    stop: AtomicBool,
}

impl Push<'_> {
    /// Sends all but the manifest, which is returned with its type.
    fn run(&self) -> Result<(&'static str, Vec<u8>), PushError> {
        for layer in &self.record.layers {
            let size = self.layers.record(layer).map_or(0, |record| record.report.archive_bytes);
            self.progress.layer(layer, size);
        }
        let sent = self.send_layers()?;
        let config = self.store.config_bytes(&self.record.id)?;
        self.repository.put_blob(&self.record.id, &config)?;
        let blobs: Vec<&Descriptor> = self.record.layers.iter().filter_map(|layer| sent.get(layer)).collect();
        let same = |manifest: &Manifest| {
            manifest.layers.len() == blobs.len() && manifest.layers.iter().zip(&blobs).all(|(a, b)| a.digest == b.digest)
        };
        let annotations = self.known.own.first().map(|(_, manifest)| &manifest.annotations);
        // Of several manifests the image is known by the first; another with other annotations is not it.
        let as_it_came = self.known.own.iter().find(|(_, manifest)| {
            let format = if manifest.docker { ManifestFormat::Docker } else { ManifestFormat::Oci };
            let annotated = manifest.docker || Some(&manifest.annotations) == annotations;
            self.options.format.is_none_or(|wanted| wanted == format) && same(manifest) && annotated
        });
        if let Some((raw, manifest)) = as_it_came {
            return Ok((if manifest.docker { DOCKER_MANIFEST } else { OCI_MANIFEST }, raw.clone()));
        }
        let docker = match self.options.format {
            Some(format) => format == ManifestFormat::Docker,
            None => self.known.own.first().is_some_and(|(_, manifest)| manifest.docker) && !blobs.iter().any(|blob| is_zstd(blob)),
        };
        let raw = compose(docker, (&self.record.id, config.len()), &blobs, annotations);
        Ok((if docker { DOCKER_MANIFEST } else { OCI_MANIFEST }, raw))
    }

    /// Sends what the registry lacks, several layers at a time. Returns by layer what is there now.
    fn send_layers(&self) -> Result<BTreeMap<Digest, Descriptor>, PushError> {
        let work = self.record.unique_layers();
        let next = AtomicUsize::new(0);
        let sent = Mutex::new(BTreeMap::new());
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.options.parallel.clamp(1, 32).min(work.len()) {
                scope.spawn(|| {
                    while let Some(layer) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match self.layer(layer) {
                            Ok(blob) => drop(sent.lock().map(|mut sent| sent.insert((*layer).clone(), blob))),
                            Err(error) => {
                                if let Ok(mut failed) = failed.lock() {
                                    failed.get_or_insert(error);
                                }
                                self.stop.store(true, Ordering::Relaxed);
                                next.store(work.len(), Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        if let Some(error) = failed.into_inner().ok().flatten() {
            return Err(error);
        }
        let sent = sent.into_inner().unwrap_or_default();
        match work.iter().find(|layer| !sent.contains_key(**layer)) {
            Some(lost) => Err(PushError::Damaged(lost.short().to_owned())),
            None => Ok(sent),
        }
    }

    /// Remembers that the image is known by this digest there, and by which blobs.
    fn note(&self, digest: &Digest, raw: &[u8]) -> Result<(), StoreError> {
        self.store.blobs().put_as(digest, raw)?;
        let new = NewImage {
            config: self.store.config_bytes(&self.record.id)?,
            manifests: vec![digest.clone()],
            size: self.record.size,
            ..NewImage::default()
        };
        drop(self.store.add(&new, &[self.destination.digested(digest.clone())])?);
        // Its own name here is now what is there.
        let names = self.store.names();
        match names.get(self.destination)? {
            Some(named) if named.id == self.record.id => names.set(self.destination, &Named { came_by: Some(digest.clone()), ..named }),
            _ => Ok(()),
        }
    }

    /// Takes a blob over from another repository of the registry that may have it.
    fn mount(&self, blob: &Digest) -> Option<(String, Mount)> {
        let mut tried: Vec<&str> = Vec::new();
        for place in self.known.places.get(blob).into_iter().flatten() {
            let path = place.path();
            if place.domain() != self.destination.domain() || path == self.destination.path() || tried.contains(&path) {
                continue;
            }
            tried.push(path);
            match self.repository.mount_blob(blob, path) {
                Ok(Mount::Done) => return Some((path.to_owned(), Mount::Done)),
                Ok(Mount::Begun(upload)) if tried.len() < 3 => self.repository.cancel_upload(&upload),
                Ok(begun) => return Some((String::new(), begun)),
                // Not allowed there, perhaps: the bytes are here.
                Err(_) => {}
            }
        }
        None
    }
}

fn is_zstd(blob: &Descriptor) -> bool {
    blob.media_type.to_string().ends_with("zstd")
}

/// The type of a layer in a manifest.
fn layer_type(docker: bool, compression: Compression) -> &'static str {
    match (docker, compression) {
        (false, Compression::None) => "application/vnd.oci.image.layer.v1.tar",
        (false, Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
        (false, Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
        (true, Compression::None) => "application/vnd.docker.image.rootfs.diff.tar",
        (true, Compression::Gzip) => "application/vnd.docker.image.rootfs.diff.tar.gzip",
        (true, Compression::Zstd) => "application/vnd.docker.image.rootfs.diff.tar.zstd",
    }
}

/// How a layer is compressed, by its type.
fn compression_of(blob: &Descriptor) -> Compression {
    let kind = blob.media_type.to_string();
    if kind.ends_with("gzip") {
        Compression::Gzip
    } else if kind.ends_with("zstd") {
        Compression::Zstd
    } else {
        Compression::None
    }
}

fn compose(docker: bool, config: (&Digest, usize), blobs: &[&Descriptor], annotations: Option<&BTreeMap<String, String>>) -> Vec<u8> {
    let layers: Vec<Value> = blobs
        .iter()
        .map(|blob| {
            let mut layer = json!({
                "mediaType": layer_type(docker, compression_of(blob)),
                "digest": blob.digest,
                "size": blob.size,
            });
            if !docker && !blob.annotations.is_empty() {
                layer["annotations"] = json!(blob.annotations);
            }
            layer
        })
        .collect();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": if docker { DOCKER_MANIFEST } else { OCI_MANIFEST },
        "config": {
            "mediaType": if docker { DOCKER_CONFIG } else { OCI_CONFIG },
            "digest": config.0,
            "size": config.1,
        },
        "layers": layers,
    });
    if let Some(annotations) = annotations.filter(|all| !docker && !all.is_empty()) {
        manifest["annotations"] = json!(annotations);
    }
    manifest.to_string().into_bytes()
}
