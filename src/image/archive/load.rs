//! `load`: the images of a docker-archive, OCI archive or directory, or directory of one image (`dir:`).
//!
//! Owns the meaning of manifest.json and index.json. Layers that are here already are not read again; the others are
//! unpacked side by side. An image is recorded only when all its layers are in place and are what its configuration says.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;

use super::contents::{Contents, LayerSource};
use super::ingest::ingest;
use super::{ArchiveError, Input, LoadOptions, Loaded, Progress};
use crate::image::config::{ImageConfig, MAX_CONFIG};
use crate::image::durable;
use crate::image::layers::{Claim, LayerStore};
use crate::image::origin;
use crate::image::manifest::{Descriptor, Document, Index, MAX_MANIFEST};
use crate::image::store::{ImageStore, NewImage};
use crate::spec::{Digest, Platform, Reference};

/// Most layers unpacked at once.
const PARALLEL: usize = 4;
/// Most images in one archive.
const MAX_IMAGES: usize = 1000;

/// One image of docker's manifest.json.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerEntry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// Brings every image of an archive into the store.
///
/// # Errors
/// When the archive is none, damaged or hostile; images before the failing one stay.
pub fn load(
    images: &ImageStore,
    input: Input,
    options: &LoadOptions,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Vec<Loaded>, ArchiveError> {
    let loader = Loader {
        images,
        layers: LayerStore::open(images.data()),
        options,
        progress,
        unpacked: AtomicUsize::new(0),
    };
    let contents = Contents::open(input, images, options, progress)?;
    if matches!(&contents, Contents::Streamed(kept) if kept.unpacked) {
        loader.unpacked.fetch_add(1, Ordering::Relaxed);
    }
    let loaded = loader.images_of(&contents);
    if loader.unpacked.load(Ordering::Relaxed) > 0 && !options.no_sync {
        // Nothing depends on it now; without it the layers would be loaded again after a power cut.
        durable::sync_in_background(images.data()).ok();
    }
    loaded
}

struct Loader<'a> {
    images: &'a ImageStore,
    layers: LayerStore,
    options: &'a LoadOptions,
    progress: &'a (dyn Fn(Progress<'_>) + Sync),
    unpacked: AtomicUsize,
}

impl Loader<'_> {
    fn images_of(&self, contents: &Contents) -> Result<Vec<Loaded>, ArchiveError> {
        if let Some(bytes) = contents.small("manifest.json", MAX_MANIFEST)? {
            // docker's is a list; that of one image is its manifest itself.
            let is_list = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
            return if is_list { self.docker(contents, &bytes) } else { self.dir(contents, bytes) };
        }
        if let Some(bytes) = contents.small("index.json", MAX_MANIFEST)? {
            return self.oci(contents, &bytes);
        }
        Err(ArchiveError::NotAnImage)
    }

    fn docker(&self, contents: &Contents, manifest: &[u8]) -> Result<Vec<Loaded>, ArchiveError> {
        let entries: Vec<DockerEntry> =
            serde_json::from_slice(manifest).map_err(|source| ArchiveError::Json {
                document: "manifest.json",
                source,
            })?;
        if entries.len() > MAX_IMAGES {
            return Err(ArchiveError::damaged("it has too many images"));
        }
        let mut loaded = Vec::new();
        let chosen = match &self.options.select {
            None => None,
            Some(wanted) => Some(self.chosen_docker(&entries, wanted)?),
        };
        for (at, entry) in entries.into_iter().enumerate() {
            if chosen.is_some_and(|chosen| chosen != at) {
                continue;
            }
            let config = contents
                .small(&entry.config, MAX_CONFIG)?
                .ok_or_else(|| ArchiveError::damaged(format!("{} is missing", entry.config)))?;
            let names = self.names(
                entry
                    .repo_tags
                    .iter()
                    .flatten()
                    .map(String::as_str)
                    .filter(|name| *name != "<none>:<none>"),
            )?;
            let layers = entry.layers.unwrap_or_default();
            loaded.push(self.image(contents, config, &layers, Vec::new(), names)?);
        }
        Ok(loaded)
    }

    /// Where the image is that `wanted` means.
    fn chosen_docker(&self, entries: &[DockerEntry], wanted: &str) -> Result<usize, ArchiveError> {
        let found = match wanted.strip_prefix('@') {
            Some(number) => number.parse().ok().filter(|&at: &usize| at < entries.len()),
            None => {
                let name = self.images.reference(wanted)?;
                entries.iter().position(|entry| {
                    let mut tags = entry.repo_tags.iter().flatten();
                    tags.any(|tag| self.images.reference(tag).is_ok_and(|tag| tag == name))
                })
            }
        };
        found.ok_or_else(|| ArchiveError::NoImage(wanted.to_owned()))
    }

    /// The layout of containers' `dir:` transport: files are called by the hexadecimal digits of their digests.
    fn dir(&self, contents: &Contents, bytes: Vec<u8>) -> Result<Vec<Loaded>, ArchiveError> {
        let (manifest, bytes) = match Document::parse(&bytes, None)? {
            Document::Image(manifest) => (manifest, bytes),
            Document::Index(index) => {
                let entry = index.select(&Platform::host(), false)?;
                let name = format!("{}.manifest.json", entry.digest.hex());
                let bytes = checked(contents, &name, &entry.digest, MAX_MANIFEST)?;
                match Document::parse(&bytes, None)? {
                    Document::Image(manifest) => (manifest, bytes),
                    Document::Index(_) => return Err(ArchiveError::damaged("its indexes are nested")),
                }
            }
        };
        let config = checked(contents, manifest.config.digest.hex(), &manifest.config.digest, MAX_CONFIG)?;
        let layers: Vec<String> = manifest.layers.iter().map(|layer| layer.digest.hex().to_owned()).collect();
        let manifests = vec![self.images.blobs().put(&bytes)?];
        Ok(vec![self.image(contents, config, &layers, manifests, Vec::new())?])
    }

    fn oci(&self, contents: &Contents, index: &[u8]) -> Result<Vec<Loaded>, ArchiveError> {
        let entries = match Document::parse(index, None)? {
            Document::Index(index) => self.chosen(index)?,
            Document::Image(_) => {
                return Err(ArchiveError::damaged("its index.json is not an index"));
            }
        };
        if entries.len() > MAX_IMAGES {
            return Err(ArchiveError::damaged("it has too many images"));
        }
        let mut loaded = Vec::new();
        for entry in &entries {
            let names = self.oci_names(entry)?;
            let mut manifests = Vec::new();
            let mut descriptor = entry.clone();
            let manifest = loop {
                let bytes = blob(contents, &descriptor, MAX_MANIFEST)?;
                manifests.insert(0, self.images.blobs().put(&bytes)?);
                match Document::parse(&bytes, None)? {
                    Document::Image(manifest) => break manifest,
                    Document::Index(index) if manifests.len() < 4 => {
                        descriptor = index.select(&Platform::host(), false)?.clone();
                    }
                    Document::Index(_) => {
                        return Err(ArchiveError::damaged("its indexes are nested too deep"));
                    }
                }
            };
            let config = blob(contents, &manifest.config, MAX_CONFIG)?;
            let layers: Vec<String> = manifest
                .layers
                .iter()
                .map(|layer| blob_name(&layer.digest))
                .collect();
            loaded.push(self.image(contents, config, &layers, manifests, names)?);
        }
        Ok(loaded)
    }

    /// The entries of index.json to load: each named image once; of several platforms of one image the host's.
    fn chosen(&self, mut index: Index) -> Result<Vec<Descriptor>, ArchiveError> {
        if let Some(wanted) = &self.options.select {
            let place = wanted.strip_prefix('@').and_then(|number| number.parse::<usize>().ok());
            let mut at = 0;
            index.manifests.retain(|entry| {
                at += 1;
                let name = entry.annotations.get("org.opencontainers.image.ref.name");
                place.map_or(name == Some(wanted) || oci_name(entry) == Some(wanted), |place| place + 1 == at)
            });
            if index.manifests.is_empty() {
                return Err(ArchiveError::NoImage(wanted.to_owned()));
            }
        }
        let names: BTreeSet<Option<&str>> = index.manifests.iter().map(|entry| oci_name(entry).or_else(|| ref_name(entry))).collect();
        if index.manifests.len() > 1 && names.len() == 1 {
            return Ok(vec![index.select(&Platform::host(), false)?.clone()]);
        }
        Ok(index.manifests)
    }

    /// What an entry calls its image.
    fn oci_names(&self, entry: &Descriptor) -> Result<Vec<Reference>, ArchiveError> {
        if let Some(name) = oci_name(entry) {
            return self.names(std::iter::once(name));
        }
        let word = ref_name(entry).filter(|_| self.options.bare_words);
        Ok(word.and_then(|word| format!("localhost/{word}:latest").parse().ok()).into_iter().collect())
    }

    fn names<'n>(
        &self,
        texts: impl Iterator<Item = &'n str>,
    ) -> Result<Vec<Reference>, ArchiveError> {
        texts
            .map(|text| self.images.reference(text).map_err(ArchiveError::from))
            .collect()
    }

    /// Brings one image in: layers first, then the record and the names.
    fn image(
        &self,
        contents: &Contents,
        config: Vec<u8>,
        layers: &[String],
        manifests: Vec<Digest>,
        names: Vec<Reference>,
    ) -> Result<Loaded, ArchiveError> {
        let diff_ids = ImageConfig::parse(&config)?.rootfs.diff_ids;
        if diff_ids.len() != layers.len() {
            return Err(ArchiveError::damaged(format!(
                "an image's configuration lists {} layers but its manifest {}",
                diff_ids.len(),
                layers.len()
            )));
        }
        let mut seen = BTreeSet::new();
        let work: Vec<(&str, &Digest)> = layers
            .iter()
            .map(String::as_str)
            .zip(&diff_ids)
            .filter(|(_, digest)| seen.insert(*digest))
            .collect();
        self.all_layers(contents, &work)?;
        let size = seen
            .iter()
            .filter_map(|digest| self.layers.record(digest))
            .map(|record| record.report.bytes)
            .sum();
        let new = NewImage {
            config,
            manifests,
            size,
            ..NewImage::default()
        };
        match self.images.add(&new, &names)? {
            Ok(record) => Ok(Loaded {
                id: record.id,
                names,
            }),
            Err(missing) => Err(ArchiveError::damaged(format!(
                "{} of its layers were removed while it was loaded",
                missing.len()
            ))),
        }
    }

    /// Makes sure that all layers are here, several at a time.
    fn all_layers(
        &self,
        contents: &Contents,
        work: &[(&str, &Digest)],
    ) -> Result<(), ArchiveError> {
        let workers = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(PARALLEL)
            .min(work.len());
        if workers <= 1 {
            return work
                .iter()
                .try_for_each(|(name, digest)| self.layer(contents, name, digest));
        }
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some((name, digest)) = work.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        if let Err(error) = self.layer(contents, name, digest) {
                            next.store(work.len(), Ordering::Relaxed);
                            if let Ok(mut failed) = failed.lock() {
                                failed.get_or_insert(error);
                            }
                        }
                    }
                });
            }
        });
        match failed.into_inner() {
            Ok(Some(error)) => Err(error),
            Ok(None) => Ok(()),
            Err(_) => Err(ArchiveError::damaged("a layer could not be unpacked")),
        }
    }

    fn layer(&self, contents: &Contents, name: &str, digest: &Digest) -> Result<(), ArchiveError> {
        let missing = || ArchiveError::damaged(format!("layer {name} is missing"));
        let mut waiting = || (self.progress)(Progress::Waiting(digest));
        if let Contents::Streamed(_) = contents {
            return match contents.layer(name)?.ok_or_else(missing)? {
                LayerSource::Done(actual) if actual == *digest => Ok(()),
                LayerSource::Done(actual) => Err(ArchiveError::Mismatch {
                    what: format!("layer {name}"),
                    expected: digest.clone(),
                    actual,
                }),
                LayerSource::Open(_) => Err(missing()),
            };
        }
        let txn = match self.layers.begin(digest, &mut waiting)? {
            Claim::Absent(txn) => txn,
            Claim::Present(_) if origin::is_whole(self.images, digest)? => return Ok(()),
            // Its archive is lost.
            Claim::Present(_) => self.layers.begin_unnamed()?,
        };
        let Some(LayerSource::Open(input)) = contents.layer(name)? else {
            return Err(missing());
        };
        (self.progress)(Progress::Layer(name));
        ingest(self.images, txn, input, (name, digest), self.options)?;
        self.unpacked.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The name an index entry gives its image: containerd's full one, else OCI's if it is more than a tag.
fn oci_name(entry: &Descriptor) -> Option<&str> {
    let full = entry.annotations.get("io.containerd.image.name");
    full.map(String::as_str).or_else(|| ref_name(entry).filter(|name| name.contains(['/', ':'])))
}

/// OCI's name of an entry, which may be a tag alone.
fn ref_name(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get("org.opencontainers.image.ref.name").map(String::as_str)
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}", digest.path().display())
}

/// A document of an OCI archive, checked.
fn blob(contents: &Contents, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, ArchiveError> {
    checked(contents, &blob_name(&descriptor.digest), &descriptor.digest, limit)
}

/// A document, which must have this digest.
fn checked(contents: &Contents, name: &str, digest: &Digest, limit: u64) -> Result<Vec<u8>, ArchiveError> {
    let bytes = contents
        .small(name, limit)?
        .ok_or_else(|| ArchiveError::damaged(format!("{name} is missing")))?;
    let mut digester = crate::spec::Digester::new(digest.algorithm());
    digester.update(&bytes);
    let actual = digester.finish();
    if actual != *digest {
        return Err(ArchiveError::Mismatch {
            what: name.to_owned(),
            expected: digest.clone(),
            actual,
        });
    }
    Ok(bytes)
}
