//! Pulling: from a reference to a recorded image.
//!
//! Owns the order of things: manifest, configuration, layers in parallel, record, names. What makes one layer is in
//! `layer`. Nothing is visible before it is whole, and nothing here has to be cleaned up: a pull killed at any moment
//! leaves blobs and layers that the next one uses, and locks that vanish with the process.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::config::{ImageConfig, MAX_CONFIG};
use super::durable;
use super::layers::{LayerError, LayerStore};
use super::manifest::{Descriptor, Document, MAX_MANIFEST, Manifest, ManifestError};
use super::origin;
use super::registry::registries::Endpoint;
use super::registry::{ClientOptions, RegistryError, Repository};
use super::signature::policy::{Policy, PolicyError};
use super::signature;
use super::store::{ImageRecord, ImageStore, NewImage, StoreError};
use super::unpack::{UnpackError, UnpackOptions};
use crate::spec::{Digest, Platform, Reference};

mod blob;
mod guard;
mod layer;
#[cfg(test)]
mod tests;

/// Layers fetched at the same time unless configured otherwise.
pub const PARALLEL: usize = 6;
/// Indexes within indexes followed.
const DEPTH: usize = 3;
/// How often layers that a removal took away meanwhile are fetched again.
const ROUNDS: usize = 3;

/// How to pull.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// How registries are spoken to.
    pub client: ClientOptions,
    /// Where to ask, in this order; the reference's own registry when empty.
    pub endpoints: Vec<Endpoint>,
    /// Which images may come in.
    pub policy: Policy,
    /// The platform asked for; the host's when absent.
    pub platform: Option<Platform>,
    /// Layers fetched at the same time.
    pub parallel: usize,
    /// How layers are unpacked.
    pub unpack: UnpackOptions,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            client: ClientOptions::default(),
            endpoints: Vec::new(),
            policy: Policy::default(),
            platform: None,
            parallel: PARALLEL,
            unpack: UnpackOptions::default(),
        }
    }
}

/// What happens to a layer, in this order; some are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Another process is making it.
    Waiting,
    /// Its bytes arrive and are unpacked as they do.
    Downloading,
    /// It was here already. The last step.
    Present,
    /// It is in place. The last step.
    Done,
}

/// Sees how a pull goes on. Called from several threads; layers are named by the digest of their blob.
pub trait Progress: Sync {
    /// A line for people.
    fn say(&self, _line: &str) {}
    /// The reference is being resolved.
    fn resolving(&self, _reference: &Reference) {}
    /// The image has such a layer, of so many compressed bytes. Called for all, lowest first, before any step.
    fn layer(&self, _blob: &Digest, _total: u64) {}
    /// A step begins.
    fn step(&self, _blob: &Digest, _step: Step) {}
    /// So many compressed bytes are there now.
    fn advance(&self, _blob: &Digest, _position: u64) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Why an image could not be pulled.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The registry did not deliver.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The signature policy does not let it in.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The local store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The layer store failed.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// The manifest cannot be used.
    #[error("{reference}: {source}")]
    Manifest {
        /// What was pulled.
        reference: String,
        /// Why.
        source: Box<ManifestError>,
    },
    /// The configuration cannot be used.
    #[error("{reference}: {reason}")]
    Config {
        /// What was pulled.
        reference: String,
        /// Why.
        reason: String,
    },
    /// A layer cannot be unpacked.
    #[error("layer {blob} cannot be unpacked: {source}")]
    Unpack {
        /// Short digest of its blob.
        blob: String,
        /// Why.
        source: UnpackError,
    },
    /// A layer is not what manifest and configuration say.
    #[error("layer {blob} is damaged: {reason}")]
    Damaged {
        /// Short digest of its blob.
        blob: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The image is for another platform than the one asked for.
    #[error("{reference} is an image for {found}, not for {wanted}")]
    Platform {
        /// What was pulled.
        reference: String,
        /// What it is for.
        found: Box<Platform>,
        /// What was asked for.
        wanted: Box<Platform>,
    },
    /// Another layer failed.
    #[error("given up because another layer failed")]
    Stopped,
    /// It keeps being removed while it is pulled.
    #[error("{0}: its layers were removed while it was pulled; try again")]
    Removed(String),
}

impl PullError {
    /// Whether the registry is at fault, not its content nor this host.
    fn is_registry(&self) -> bool {
        matches!(self, Self::Registry(_) | Self::Policy(PolicyError::Registry(_)))
    }
}

/// Makes the image `reference` names now available here: fetches what is missing, records it and gives it its names.
///
/// # Errors
/// When the registry does not deliver, or delivers something that is no image, or the disk does not take it.
pub fn pull(
    store: &ImageStore,
    reference: &Reference,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<ImageRecord, PullError> {
    progress.resolving(reference);
    let itself =
        [Endpoint { domain: reference.domain().to_owned(), path: reference.path().to_owned(), insecure: false }];
    let endpoints = if options.endpoints.is_empty() { &itself[..] } else { &options.endpoints };
    let mut failed = None;
    for (index, endpoint) in endpoints.iter().enumerate() {
        let repository = Repository::at(endpoint, reference, &options.client)?;
        let pull = Pull {
            store,
            layers: LayerStore::open(store.data()),
            repository: &repository,
            reference,
            options,
            progress,
            stop: AtomicBool::new(false),
        };
        match pull.run() {
            // What came from here already need not come from the next one.
            Err(error) if error.is_registry() && index + 1 < endpoints.len() => {
                progress.say(&format!("{}/{} does not deliver ({error}), trying the next", endpoint.domain, endpoint.path));
                failed = Some(error);
            }
            other => return other,
        }
    }
    // There is at least one endpoint, and the last one's error is returned above.
    Err(failed.unwrap_or(PullError::Stopped))
}

/// One pull.
struct Pull<'a> {
    store: &'a ImageStore,
    layers: LayerStore,
    repository: &'a Repository,
    reference: &'a Reference,
    options: &'a PullOptions,
    progress: &'a dyn Progress,
    /// Set when a layer failed: the others need not go on.
    stop: AtomicBool,
}

/// A manifest and the way to it.
struct Found {
    manifest: Box<Manifest>,
    /// Digests with bytes: the manifest first, then the indexes.
    documents: Vec<(Digest, Vec<u8>)>,
}

impl Pull<'_> {
    fn run(&self) -> Result<ImageRecord, PullError> {
        let found = self.find()?;
        let digests: Vec<Digest> = found.documents.iter().map(|(digest, _)| digest.clone()).collect();
        self.options.policy.admit(self.reference, &digests, &|digest| signature::fetch(self.repository, digest))?;
        let descriptor = &found.manifest.config;
        let raw = match self.store.blobs().read(&descriptor.digest, MAX_CONFIG)? {
            Some(raw) => raw,
            None => self.repository.small_blob(&descriptor.digest, MAX_CONFIG)?,
        };
        let config = ImageConfig::parse(&raw).map_err(|e| self.config_error(e.to_string()))?;
        let platform = config.platform();
        if let Some(wanted) = &self.options.platform
            && wanted.rank(&platform).is_none()
        {
            return Err(PullError::Platform {
                reference: self.reference.familiar(),
                found: Box::new(platform),
                wanted: Box::new(wanted.clone()),
            });
        }
        if config.rootfs.diff_ids.len() != found.manifest.layers.len() {
            return Err(self.config_error(format!(
                "its configuration lists {} layers, its manifest {}",
                config.rootfs.diff_ids.len(),
                found.manifest.layers.len()
            )));
        }
        let pairs: Vec<(&Descriptor, &Digest)> = found.manifest.layers.iter().zip(&config.rootfs.diff_ids).collect();
        for (blob, _) in &pairs {
            self.progress.layer(&blob.digest, blob.size);
        }
        let mut names: Vec<Reference> = found.documents.iter().map(|(d, _)| self.reference.digested(d.clone())).collect();
        if self.reference.digest().is_none() {
            names.push(self.reference.clone());
        }
        let mut new = NewImage {
            config: raw,
            manifests: found.documents.iter().map(|(digest, _)| digest.clone()).collect(),
            blobs: found.manifest.layers.iter().map(|layer| layer.digest.clone()).collect(),
            ..NewImage::default()
        };
        // From here on nobody clears away what this image is made of, whether or not anything refers to it yet.
        let parts = pairs.iter().flat_map(|(blob, layer)| [&blob.digest, *layer]);
        let _lease = self.store.lease(parts.chain([&descriptor.digest]).chain(&new.manifests))?;
        for _ in 0..ROUNDS {
            let made = self.fetch_layers(&pairs)?;
            for (digest, bytes) in &found.documents {
                self.store.blobs().put_as(digest, bytes)?;
            }
            new.size = self.size(&config);
            let added = self.store.add(&new, &names)?;
            if made > 0 {
                // The image is usable without; at worst it is fetched again after a power cut.
                durable::sync_in_background(self.store.data()).ok();
            }
            if let Ok(record) = added {
                return Ok(record);
            }
        }
        Err(PullError::Removed(self.reference.familiar()))
    }

    /// The manifest for the platform, through indexes if need be.
    fn find(&self) -> Result<Found, PullError> {
        let mut expected = self.reference.digest().cloned();
        if expected.is_none() && self.store.names().get(self.reference)?.is_some() {
            // Something by that name is here: ask for the digest alone. A registry that does not tell is asked in full.
            expected = self.repository.digest_of(&self.reference.tag_or_digest())?;
        }
        let mut documents: Vec<(Digest, Vec<u8>)> = Vec::new();
        let mut kind = None;
        for _ in 0..DEPTH {
            let (digest, raw, said) = self.document(expected.as_ref())?;
            let said = said.or(kind.take());
            let document = Document::parse(&raw, said.as_deref()).map_err(|e| self.manifest_error(e))?;
            documents.insert(0, (digest, raw));
            match document {
                Document::Image(manifest) => return Ok(Found { manifest, documents }),
                Document::Index(index) => {
                    let host = Platform::host();
                    let wanted = self.options.platform.as_ref();
                    let entry = index
                        .select(wanted.unwrap_or(&host), wanted.is_some())
                        .map_err(|e| self.manifest_error(e))?;
                    expected = Some(entry.digest.clone());
                    kind = Some(entry.media_type.to_string());
                }
            }
        }
        Err(self.manifest_error(ManifestError::UnknownType("an index of indexes of indexes".to_owned())))
    }

    /// A manifest or index, from here if its digest is known and its bytes are.
    fn document(&self, expected: Option<&Digest>) -> Result<(Digest, Vec<u8>, Option<String>), PullError> {
        if let Some(digest) = expected
            && let Some(raw) = self.store.blobs().read(digest, MAX_MANIFEST)?
        {
            return Ok((digest.clone(), raw, None));
        }
        let name = expected.map_or_else(|| self.reference.tag_or_digest(), ToString::to_string);
        let fetched = self.repository.manifest(&name, expected)?;
        Ok((fetched.digest, fetched.raw, fetched.media_type))
    }

    /// Makes the layers that are not here or not whole, several at a time. Returns how many were made.
    fn fetch_layers(&self, pairs: &[(&Descriptor, &Digest)]) -> Result<usize, PullError> {
        let mut work: Vec<(&Descriptor, &Digest)> = Vec::new();
        let mut seen: BTreeMap<&Digest, ()> = BTreeMap::new();
        for (blob, layer) in pairs {
            let again = seen.insert(layer, ()).is_some();
            if again || self.layers.has(layer) && origin::is_whole(self.store, layer)? {
                self.progress.step(&blob.digest, Step::Present);
            } else {
                work.push((blob, layer));
            }
        }
        let next = AtomicUsize::new(0);
        let made = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.options.parallel.clamp(1, 32).min(work.len()) {
                scope.spawn(|| {
                    while let Some((blob, layer)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match self.layer(blob, layer) {
                            Ok(new) => drop(made.fetch_add(usize::from(new), Ordering::Relaxed)),
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
        match failed.into_inner() {
            Ok(None) => Ok(made.into_inner()),
            Ok(Some(error)) => Err(error),
            Err(_) => Err(self.config_error("a layer could not be unpacked".to_owned())),
        }
    }

    /// Bytes of the unpacked layers.
    fn size(&self, config: &ImageConfig) -> u64 {
        let unique: BTreeMap<&Digest, ()> = config.rootfs.diff_ids.iter().map(|layer| (layer, ())).collect();
        unique.keys().filter_map(|layer| self.layers.record(layer)).fold(0, |sum, record| u64::saturating_add(sum, record.report.bytes))
    }

    fn manifest_error(&self, source: ManifestError) -> PullError {
        PullError::Manifest {
            reference: self.reference.familiar(),
            source: Box::new(source),
        }
    }

    fn config_error(&self, reason: String) -> PullError {
        PullError::Config {
            reference: self.reference.familiar(),
            reason,
        }
    }
}
