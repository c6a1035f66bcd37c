//! The image store: which images are here, what they are called, what they are made of.
//!
//! Owns the records `images/<id>/image.json`, and ties together names ([`NameIndex`]), content ([`BlobStore`]) and layers.
//! An image's id is the SHA-256 of its configuration. Looking an exact name up costs a readlink and two small files; a
//! record that is missing or cut short counts as absent, so the next pull repairs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::blobs::{self, BlobStore};
use super::config::{ConfigError, ImageConfig, MAX_CONFIG};
use super::layers::{LayerError, LayerStore, Place};
use super::lease::Lease;
use super::lists::Lists;
use super::names::{NameIndex, Named};
use crate::spec::reference::ReferenceError;
use crate::spec::{Digest, Platform, Reference, ShortNames};

mod find;
mod lists;
mod remove;
#[cfg(test)]
mod tests;

pub use remove::{Removal, RemoveReport};

const VERSION: u32 = 1;
const MAX_RECORD: u64 = 16 << 20;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {op} {path}: {source}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The text is neither a name nor an id.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The layer store.
    #[error(transparent)]
    Layer(#[from] LayerError),
    /// Nothing here by that name or id.
    #[error("no such image: {0}")]
    NotFound(String),
    /// A prefix of several ids.
    #[error("image id prefix \"{0}\" is ambiguous; give more digits")]
    Ambiguous(String),
    /// The image cannot be removed because it is used.
    #[error("cannot remove image {id}: {user}")]
    InUse {
        /// Short id of the image.
        id: String,
        /// Who uses it.
        user: String,
    },
    /// An id with several names needs force.
    #[error(
        "cannot remove image {id} by its id: it has {count} names; remove those or use --force"
    )]
    SeveralNames {
        /// Short id of the image.
        id: String,
        /// Number of names.
        count: usize,
    },
    /// A list without an image for this platform.
    #[error("the list {list} has no image for {wanted}: it offers {offered}")]
    NoMember {
        /// Name of the list.
        list: String,
        /// The platform.
        wanted: String,
        /// Those it has.
        offered: String,
    },
    /// Only names with a tag can be given to an image.
    #[error("cannot tag an image with \"{0}\": a name with a digest says itself which image it is")]
    DigestTag(String),
    /// A name that says which image it is, for another one.
    #[error("no image can be given the name \"{0}\": the digest in it is of another manifest, or of none")]
    Pinned(String),
    /// The configuration cannot be used.
    #[error("image {id}: {source}")]
    Config {
        /// Short id of the image.
        id: String,
        /// Why.
        source: ConfigError,
    },
    /// The record of an image says nothing.
    #[error("the image record {path} is damaged: pull or load the image again; `kelp image prune` removes what is left of it")]
    Damaged {
        /// The record.
        path: PathBuf,
    },
    /// Parts of a recorded image are gone (a power cut, or somebody removed files).
    #[error("image {id} is incomplete here ({what}); pull or load it again")]
    Incomplete {
        /// Short id of the image.
        id: String,
        /// What is missing.
        what: String,
    },
}

impl StoreError {
    pub(super) fn io(op: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            op,
            path: path.to_owned(),
            source,
        }
    }
}

/// What is recorded of an image. Names are not in it: they live in the name index alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRecord {
    /// Version of this record's form.
    pub version: u32,
    /// SHA-256 of the configuration.
    pub id: Digest,
    /// Manifests and indexes it came by, the latest first; of an image found by a name, what that came by first of all.
    /// Their bytes are in the content store.
    #[serde(default)]
    pub manifests: Vec<Digest>,
    /// Compressed layer archives that belong to it, if they were kept.
    #[serde(default)]
    pub blobs: Vec<Digest>,
    /// Layers by the digest of their uncompressed archive, lowest first.
    pub layers: Vec<Digest>,
    /// What it was built for.
    pub platform: Platform,
    /// Bytes of its layers, unpacked.
    pub size: u64,
    /// When it was made, seconds since 1970.
    #[serde(default)]
    pub created: Option<i64>,
    /// When it came here, seconds since 1970.
    pub pulled_at: i64,
    /// The image it was built on, when that was built here too.
    #[serde(default)]
    pub parent: Option<Digest>,
}

impl ImageRecord {
    /// Layers without repetitions, lowest first. Of equal layers only the highest counts: it hides all the others'
    /// entries, and overlay file systems refuse to stack one directory twice.
    #[must_use]
    pub fn unique_layers(&self) -> Vec<&Digest> {
        let mut seen = BTreeSet::new();
        let mut layers: Vec<&Digest> = self
            .layers
            .iter()
            .rev()
            .filter(|l| seen.insert(*l))
            .collect();
        layers.reverse();
        layers
    }
}

/// An image to be recorded; its configuration, layers and blobs are already in place.
#[derive(Debug, Clone, Default)]
pub struct NewImage {
    /// The bytes of the configuration.
    pub config: Vec<u8>,
    /// Manifest (first) and index it came by, stored in the content store.
    pub manifests: Vec<Digest>,
    /// Compressed layer archives, stored in the content store.
    pub blobs: Vec<Digest>,
    /// Bytes of its layers, unpacked.
    pub size: u64,
    /// The local image it was built on.
    pub parent: Option<Digest>,
}

/// An image with everything that names it.
#[derive(Debug, Clone)]
pub struct Image {
    /// The record.
    pub record: ImageRecord,
    /// Tagged names, sorted.
    pub names: Vec<Reference>,
    /// Names by digest (docker's `RepoDigests`), sorted.
    pub repo_digests: Vec<Reference>,
    /// What the tagged names came by.
    pub came_by: BTreeMap<Reference, Digest>,
}

/// All that starting a container needs of an image.
#[derive(Debug, Clone)]
pub struct RunImage {
    /// The record.
    pub record: ImageRecord,
    /// The configuration, checked against the id.
    pub config: ImageConfig,
    /// Layer directories, lowest first, without repetitions.
    pub layers: Vec<PathBuf>,
}

/// The images under one data directory.
#[derive(Debug, Clone)]
pub struct ImageStore {
    data: PathBuf,
    blobs: BlobStore,
    names: NameIndex,
    lists: Lists,
    short: ShortNames,
    /// Stores of others: read in place, nothing is ever locked or written there.
    additional: Vec<ImageStore>,
}

impl ImageStore {
    /// The store under `data` (`$XDG_DATA_HOME/kelp`); touches nothing. `short` completes the names users type.
    #[must_use]
    pub fn open(data: &Path, short: ShortNames) -> Self {
        Self {
            data: data.to_owned(),
            blobs: BlobStore::new(data),
            names: NameIndex::new(data),
            lists: Lists::new(data),
            short,
            additional: Vec::new(),
        }
    }

    /// Finds images that are not here in these data directories as well, in this order.
    #[must_use]
    pub fn with_additional(mut self, stores: &[PathBuf]) -> Self {
        self.additional = stores.iter().map(|data| Self::open(data, self.short.clone())).collect();
        self
    }

    /// What `look` finds here, else in the first of the additional stores that has it.
    fn anywhere<T>(&self, look: impl Fn(&Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match look(self) {
            Err(StoreError::NotFound(text)) => {
                self.additional.iter().find_map(|store| look(store).ok()).ok_or(StoreError::NotFound(text))
            }
            found => found,
        }
    }

    /// The data directory.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The content store.
    #[must_use]
    pub fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    /// The name index.
    #[must_use]
    pub fn names(&self) -> &NameIndex {
        &self.names
    }

    /// The lists of images for several platforms.
    #[must_use]
    pub fn lists(&self) -> &Lists {
        &self.lists
    }

    /// Record, configuration and layer directories for starting a container; no directory is scanned when `text` is a
    /// name or a full id.
    ///
    /// # Errors
    /// As [`ImageStore::resolve_id`]; [`StoreError::Incomplete`] when parts are gone.
    pub fn resolve_for_run(&self, text: &str) -> Result<RunImage, StoreError> {
        self.resolve_for_run_on(text, None)
    }

    /// As [`ImageStore::resolve_for_run`]; of a list, the image for this platform.
    ///
    /// # Errors
    /// As [`ImageStore::resolve_for_run`].
    pub fn resolve_for_run_on(&self, text: &str, platform: Option<&Platform>) -> Result<RunImage, StoreError> {
        self.anywhere(|store| {
            let id = store.meant(text, platform)?.id;
            let record = store.record(&id)?.ok_or_else(|| StoreError::NotFound(text.to_owned()))?;
            store.for_run(record)
        })
    }

    /// As [`ImageStore::resolve_for_run`] for a record at hand.
    ///
    /// # Errors
    /// [`StoreError::Incomplete`] when parts are gone.
    pub fn for_run(&self, record: ImageRecord) -> Result<RunImage, StoreError> {
        let config = self.config(&record.id)?;
        let layers = self.stack(&record.layers).map_err(|layer| StoreError::Incomplete {
            id: record.id.short().to_owned(),
            what: format!("layer {} is missing", layer.short()),
        })?;
        Ok(RunImage {
            record,
            config,
            layers,
        })
    }

    /// The configuration of an image.
    ///
    /// # Errors
    /// When it is gone or no configuration.
    pub fn config(&self, id: &Digest) -> Result<ImageConfig, StoreError> {
        ImageConfig::parse(&self.config_bytes(id)?).map_err(|source| StoreError::Config {
            id: id.short().to_owned(),
            source,
        })
    }

    /// The bytes of the configuration of an image.
    ///
    /// # Errors
    /// When they are gone.
    pub fn config_bytes(&self, id: &Digest) -> Result<Vec<u8>, StoreError> {
        self.blobs
            .read(id, MAX_CONFIG)?
            .ok_or_else(|| StoreError::Incomplete {
                id: id.short().to_owned(),
                what: "its configuration is missing".to_owned(),
            })
    }

    /// The record of an image; absent when it is missing, cut short or of an unknown version.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn record(&self, id: &Digest) -> Result<Option<ImageRecord>, StoreError> {
        use std::io::Read as _;
        let path = self.record_path(id);
        let file = match fs::File::open(&path) {
            Ok(file) => file,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(StoreError::io("open", &path, error)),
        };
        let mut bytes = Vec::with_capacity(4096);
        file.take(MAX_RECORD)
            .read_to_end(&mut bytes)
            .map_err(|e| StoreError::io("read", &path, e))?;
        let record: Option<ImageRecord> = serde_json::from_slice(&bytes).ok();
        Ok(record.filter(|r| r.version == VERSION && r.id == *id))
    }

    /// Every image here with its names, newest first. Damaged records are passed over.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn list(&self) -> Result<Vec<Image>, StoreError> {
        self.with_names(self.records()?)
    }

    /// As [`Self::list`], for somebody to look at: what cannot be read is told instead of hiding the others. Not for
    /// who removes what no image refers to.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn list_readable(&self) -> Result<(Vec<Image>, Vec<StoreError>), StoreError> {
        let (mut records, mut damaged) = (Vec::new(), Vec::new());
        for name in blobs::read_dir(&self.data.join("images"))? {
            let Ok(id) = Digest::from_sha256_hex(&name) else { continue };
            match self.record(&id) {
                Ok(Some(record)) => records.push(record),
                // Under construction, or removed while we looked.
                Ok(None) if !self.record_path(&id).exists() => {}
                Ok(None) => damaged.push(StoreError::Damaged { path: self.record_path(&id) }),
                Err(error) => damaged.push(error),
            }
        }
        Ok((self.with_names(records)?, damaged))
    }

    fn with_names(&self, records: Vec<ImageRecord>) -> Result<Vec<Image>, StoreError> {
        let mut images: BTreeMap<Digest, Image> =
            records.into_iter().map(|record| (record.id.clone(), bare(record))).collect();
        for (name, named) in self.names.list()? {
            if let Some(image) = images.get_mut(&named.id) {
                image.push_name(name, named);
            }
        }
        for image in self.additional.iter().filter_map(|store| store.list().ok()).flatten() {
            images.entry(image.record.id.clone()).or_insert(image);
        }
        let mut images: Vec<Image> = images.into_values().collect();
        images.sort_by_key(|image| std::cmp::Reverse(image.record.created));
        Ok(images)
    }

    /// Every readable record, in no order.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn records(&self) -> Result<Vec<ImageRecord>, StoreError> {
        let mut records = Vec::new();
        for name in blobs::read_dir(&self.data.join("images"))? {
            if let Ok(id) = Digest::from_sha256_hex(&name) {
                records.extend(self.record(&id)?);
            }
        }
        Ok(records)
    }

    /// Gives an image another name.
    ///
    /// # Errors
    /// When there is no such image, or the name carries a digest.
    pub fn tag(&self, image: &str, name: &Reference) -> Result<Digest, StoreError> {
        if name.digest().is_some() {
            return Err(StoreError::DigestTag(name.to_string()));
        }
        let _lock = self.lock()?;
        let (id, other) = self.find(image)?;
        if self.record(&id)?.is_none() {
            return Err(StoreError::NotFound(image.to_owned()));
        }
        let came_by = match other {
            Some(other) => other.digest().cloned().or(self.names.get(&other)?.and_then(|named| named.came_by)),
            None => None,
        };
        self.names.set(name, &Named { id: id.clone(), came_by })?;
        self.lists.remove(name)?;
        Ok(id)
    }

    /// Takes a name away and keeps the image. Returns whether the name was there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn untag(&self, name: &Reference) -> Result<bool, StoreError> {
        let _lock = self.lock()?;
        self.names.remove(name)
    }

    /// Records an image and gives it `names`. When layers it needs are not here any more (a removal ran at the same
    /// time), nothing is recorded and their digests come back.
    ///
    /// # Errors
    /// When the configuration is unusable, a name has a digest that is of none of its manifests, or writing fails.
    pub fn add(
        &self,
        new: &NewImage,
        names: &[Reference],
    ) -> Result<Result<ImageRecord, Vec<Digest>>, StoreError> {
        // Whoever runs a name with a digest relies on getting that manifest and no other.
        let pinned = |name: &&Reference| name.digest().is_some_and(|digest| !new.manifests.contains(digest));
        if let Some(wrong) = names.iter().find(pinned) {
            return Err(StoreError::Pinned(wrong.to_string()));
        }
        let id = Digest::of(&new.config);
        let config = ImageConfig::parse(&new.config).map_err(|source| StoreError::Config {
            id: id.short().to_owned(),
            source,
        })?;
        let _lock = self.lock()?;
        let missing: Vec<Digest> = config
            .rootfs
            .diff_ids
            .iter()
            .filter(|layer| self.layer_dir(layer).is_none())
            .cloned()
            .collect();
        if !missing.is_empty() {
            return Ok(Err(missing));
        }
        LayerStore::open(&self.data).adopt_parents(&config.rootfs.diff_ids)?;
        self.blobs.put_as(&id, &new.config)?;
        let mut record = ImageRecord {
            version: VERSION,
            platform: config.platform(),
            created: config.created.as_deref().and_then(unix_seconds),
            layers: config.rootfs.diff_ids,
            manifests: new.manifests.clone(),
            blobs: new.blobs.clone(),
            size: new.size,
            pulled_at: now(),
            parent: new.parent.clone(),
            id,
        };
        let old = self.record(&record.id)?;
        let is_new = old.is_none();
        if let Some(old) = old {
            // The same image by another manifest: what that one refers to stays ours to remove.
            merge(&mut record.manifests, old.manifests);
            merge(&mut record.blobs, old.blobs);
            record.parent = record.parent.or(old.parent);
        }
        self.write_record(&record)?;
        self.give_names(&record.id, names, new.manifests.first()).inspect_err(|_| {
            // Without names nobody would find it, but on the list of what is here.
            if is_new {
                fs::remove_file(self.record_path(&record.id)).ok();
            }
        })?;
        Ok(Ok(record))
    }

    fn give_names(&self, id: &Digest, names: &[Reference], manifest: Option<&Digest>) -> Result<(), StoreError> {
        for name in names {
            // An index comes after its manifest.
            let mut digested = names.iter().filter(|other| other.repository() == name.repository()).filter_map(Reference::digest);
            let came_by = digested.next_back().or(manifest).filter(|_| name.digest().is_none()).cloned();
            self.names.set(name, &Named { id: id.clone(), came_by })?;
            self.lists.remove(name)?;
        }
        Ok(())
    }

    /// Keeps layers, here or still to come, from being removed until the lease is dropped. Check afterwards that those
    /// expected here still are.
    ///
    /// # Errors
    /// When the lease cannot be written.
    pub fn lease<'d>(
        &self,
        layers: impl IntoIterator<Item = &'d Digest>,
    ) -> Result<Lease, StoreError> {
        let mut lease = Lease::new(self)?;
        lease.keep(layers)?;
        Ok(lease)
    }

    /// What live leases keep: content, and images that are still to get a name or a place in a list.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn leased(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let _lock = self.lock()?;
        super::lease::leased(&self.data)
    }

    fn record_path(&self, id: &Digest) -> PathBuf {
        self.data.join("images").join(id.hex()).join("image.json")
    }

    fn write_record(&self, record: &ImageRecord) -> Result<(), StoreError> {
        let path = self.record_path(&record.id);
        let aside = path.with_extension(format!("{}.new", std::process::id()));
        let bytes =
            serde_json::to_vec(record).map_err(|e| StoreError::io("write", &path, e.into()))?;
        let write = || -> Result<(), StoreError> {
            let mut file = blobs::create(&aside)?;
            file.set_len(0)
                .and_then(|()| file.write_all(&bytes))
                .map_err(|e| StoreError::io("write", &aside, e))?;
            fs::rename(&aside, &path).map_err(|e| StoreError::io("rename", &path, e))
        };
        write().inspect_err(|_| {
            fs::remove_file(&aside).ok();
        })
    }

    /// Serializes changes of records and names with removals. Held for moments, never during a download.
    pub(super) fn lock(&self) -> Result<fs::File, StoreError> {
        let path = self.data.join("images/.lock");
        let file = blobs::create(&path)?;
        blobs::lock(&file, &mut || ()).map_err(|e| StoreError::io("lock", &path, e))?;
        Ok(file)
    }

    /// Directory of a whole layer, `None` when it is not here.
    #[must_use]
    pub fn layer_dir(&self, layer: &Digest) -> Option<PathBuf> {
        let stores = std::iter::once(self).chain(&self.additional);
        stores.into_iter().find_map(|store| LayerStore::open(&store.data).dir(layer))
    }

    /// How many ids from 0 on it takes to have all owners of files in these layers; as far as was noted of them.
    #[must_use]
    pub fn count_owners(&self, layers: &[Digest]) -> u32 {
        let stores: Vec<LayerStore> = std::iter::once(self).chain(&self.additional).map(|store| LayerStore::open(&store.data)).collect();
        let highest = |layer| stores.iter().find_map(|store| store.record(layer)).map_or(0, |record| record.report.highest_owner);
        layers.iter().map(highest).max().filter(|&highest| highest > 0).map_or(0, |highest| highest + 1)
    }

    /// Where the last of these layers is, in any of the stores.
    #[must_use]
    pub fn layer_place(&self, layers: &[Digest]) -> Option<Place> {
        let stores = std::iter::once(self).chain(&self.additional);
        stores.into_iter().find_map(|store| LayerStore::open(&store.data).place(layers))
    }

    /// The trees that show these layers, lowest first: each once, at its highest place, and none that is hidden.
    ///
    /// # Errors
    /// The layer that is not here.
    pub fn stack(&self, layers: &[Digest]) -> Result<Vec<PathBuf>, Digest> {
        let mut stack = Vec::with_capacity(layers.len());
        for (index, layer) in layers.iter().enumerate() {
            if layers[index + 1..].contains(layer) {
                continue;
            }
            let place = self.layer_place(&layers[..=index]).ok_or_else(|| layer.clone())?;
            if place.hides {
                stack.clear();
            }
            stack.push(place.tree);
            stack.extend(place.variant);
        }
        Ok(stack)
    }
}

impl Image {
    fn push_name(&mut self, name: Reference, named: Named) {
        if name.tag().is_some() {
            if let Some(digest) = named.came_by {
                self.came_by.insert(name.clone(), digest);
            }
            self.names.push(name);
        } else {
            self.repo_digests.push(name);
        }
    }
}

fn bare(record: ImageRecord) -> Image {
    Image {
        record,
        names: Vec::new(),
        repo_digests: Vec::new(),
        came_by: BTreeMap::new(),
    }
}

fn merge(into: &mut Vec<Digest>, more: Vec<Digest>) {
    for digest in more {
        if !into.contains(&digest) {
            into.push(digest);
        }
    }
}

/// Go's zero time, 0001-01-01, in seconds since 1970.
pub const NO_TIME: i64 = -62_135_596_800;

/// Seconds since 1970 of an RFC 3339 text; none for Go's zero time, which says that nobody knows.
fn unix_seconds(text: &str) -> Option<i64> {
    let seconds = text.parse::<jiff::Timestamp>().ok()?.as_second();
    (seconds != NO_TIME).then_some(seconds)
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}
