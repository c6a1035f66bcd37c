//! `load`: the images of a docker-archive, OCI archive or directory, or directory of one image (`dir:`).
//!
//! Owns the meaning of manifest.json and index.json. Layers that are here already are not read again; the others are
//! unpacked side by side. An image is recorded only when all its layers are in place and are what its configuration says.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;

use super::contents::{Contents, LayerSource};
use super::ingest::ingest;
use super::{ArchiveError, Input, LoadOptions, Loaded, Progress};
use crate::image::config::{ImageConfig, MAX_CONFIG};
use crate::image::durable;
use crate::image::layers::{Claim, LayerStore};
use crate::image::manifest::{Descriptor, Document, Index, MAX_MANIFEST, ManifestError};
use crate::image::origin;
use crate::image::signature::policy::Archive;
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
/// When the archive is none, damaged or hostile, or the policy does not let it in; images before the failing one stay.
pub fn load(
    images: &ImageStore,
    input: Input,
    options: &LoadOptions,
    progress: &(dyn Fn(Progress<'_>) + Sync),
) -> Result<Vec<Loaded>, ArchiveError> {
    // Links in a path say nothing of where the archive is.
    let place = match &input {
        Input::Path(path) => Some(std::fs::canonicalize(path).map_err(ArchiveError::io("open", path.display().to_string()))?),
        Input::File(_) | Input::Stream(_) => None,
    };
    let loader = Loader {
        images,
        layers: LayerStore::open(images.data()),
        options,
        progress,
        place,
        unpacked: AtomicUsize::new(0),
    };
    // A stream's layers are unpacked before it is seen what they belong to: not if it does not matter.
    let is_dir = loader.place.as_deref().is_some_and(std::path::Path::is_dir);
    let kinds = if is_dir { [Archive::OciDir, Archive::Dir] } else { [Archive::Docker, Archive::Oci] };
    if kinds.iter().all(|kind| loader.admit(*kind).is_err()) {
        loader.admit(kinds[0])?;
    }
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
    /// Where the archive is, if it is a file or directory.
    place: Option<PathBuf>,
    unpacked: AtomicUsize,
}

/// A layer as a manifest has it: its file in the archive, and its size where one is given.
struct Listed {
    name: String,
    size: Option<u64>,
}

impl Loader<'_> {
    /// Whether the policy lets such an archive in.
    fn admit(&self, kind: Archive) -> Result<(), ArchiveError> {
        Ok(self.options.policy.admit_archive(kind, self.place.as_deref(), self.options.select.as_deref())?)
    }

    fn images_of(&self, contents: &Contents) -> Result<Vec<Loaded>, ArchiveError> {
        if let Some(bytes) = contents.small("manifest.json", MAX_MANIFEST)? {
            // docker's is a list; that of one image is its manifest itself.
            let is_list = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
            self.admit(if is_list { Archive::Docker } else { Archive::Dir })?;
            return if is_list { self.docker(contents, &bytes) } else { self.dir(contents, bytes) };
        }
        if let Some(bytes) = contents.small("index.json", MAX_MANIFEST)? {
            self.admit(if matches!(contents, Contents::Directory(_)) { Archive::OciDir } else { Archive::Oci })?;
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
        if entries.is_empty() {
            return Err(ArchiveError::damaged("its manifest.json lists no image"));
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
                &[],
            )?;
            let layers: Vec<Listed> = entry.layers.into_iter().flatten().map(|name| Listed { name, size: None }).collect();
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
                let bytes = checked(contents, &name, entry, MAX_MANIFEST)?;
                match Document::parse(&bytes, None)? {
                    Document::Image(manifest) => (manifest, bytes),
                    Document::Index(_) => return Err(ArchiveError::damaged("its indexes are nested")),
                }
            }
        };
        let config = checked(contents, manifest.config.digest.hex(), &manifest.config, MAX_CONFIG)?;
        let listed = |layer: &Descriptor| Listed { name: layer.digest.hex().to_owned(), size: Some(layer.size) };
        let layers: Vec<Listed> = manifest.layers.iter().map(listed).collect();
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
        let mut artifact = None;
        for entry in &entries {
            match self.oci_image(contents, entry) {
                Ok(image) => loaded.push(image),
                // Signatures, charts and the like lie beside images.
                Err(ArchiveError::Manifest(error @ ManifestError::Artifact(_))) => {
                    let name = oci_name(entry).or_else(|| ref_name(entry)).unwrap_or(entry.digest.short());
                    (self.progress)(Progress::Skipped(&format!("{name}: {error}")));
                    artifact = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        match artifact {
            Some(error) if loaded.is_empty() => Err(error.into()),
            _ if loaded.is_empty() => Err(ArchiveError::damaged("its index.json lists no image")),
            _ => Ok(loaded),
        }
    }

    /// The image an entry of index.json means.
    fn oci_image(&self, contents: &Contents, entry: &Descriptor) -> Result<Loaded, ArchiveError> {
        let mut manifests = Vec::new();
        let mut descriptor = entry.clone();
        let manifest = loop {
            let bytes = blob(contents, &descriptor, MAX_MANIFEST)?;
            let document = Document::parse(&bytes, None)?;
            manifests.insert(0, self.images.blobs().put(&bytes)?);
            match document {
                Document::Image(manifest) => break manifest,
                Document::Index(index) if manifests.len() < 4 => {
                    descriptor = index.select(&Platform::host(), false)?.clone();
                }
                Document::Index(_) => {
                    return Err(ArchiveError::damaged("its indexes are nested too deep"));
                }
            }
        };
        let names = self.oci_names(entry, &manifests)?;
        let config = blob(contents, &manifest.config, MAX_CONFIG)?;
        let listed = |layer: &Descriptor| Listed { name: blob_name(&layer.digest), size: Some(layer.size) };
        let layers: Vec<Listed> = manifest.layers.iter().map(listed).collect();
        self.image(contents, config, &layers, manifests, names)
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
    fn oci_names(&self, entry: &Descriptor, manifests: &[Digest]) -> Result<Vec<Reference>, ArchiveError> {
        if let Some(name) = oci_name(entry) {
            return self.names(std::iter::once(name), manifests);
        }
        let word = ref_name(entry).filter(|_| self.options.bare_words);
        Ok(word.and_then(|word| format!("localhost/{word}:latest").parse().ok()).into_iter().collect())
    }

    /// Names for an image with these manifests. One with a digest is a promise, kept only if the manifest is that one.
    fn names<'n>(
        &self,
        texts: impl Iterator<Item = &'n str>,
        manifests: &[Digest],
    ) -> Result<Vec<Reference>, ArchiveError> {
        let mut names = Vec::new();
        for text in texts {
            let name = self.images.reference(text)?;
            match name.digest() {
                Some(digest) if manifests.contains(digest) => {
                    names.extend(name.tagged());
                    names.push(name.digested(digest.clone()));
                }
                Some(_) => return Err(ArchiveError::Pinned(name.to_string())),
                None => names.push(name),
            }
        }
        Ok(names)
    }

    /// Brings one image in: layers first, then the record and the names.
    fn image(
        &self,
        contents: &Contents,
        config: Vec<u8>,
        layers: &[Listed],
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
        let work: Vec<(&Listed, &Digest)> = layers
            .iter()
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
        work: &[(&Listed, &Digest)],
    ) -> Result<(), ArchiveError> {
        let workers = std::thread::available_parallelism()
            .map_or(1, usize::from)
            .min(PARALLEL)
            .min(work.len());
        if workers <= 1 {
            return work
                .iter()
                .try_for_each(|(layer, digest)| self.layer(contents, layer, digest));
        }
        let next = AtomicUsize::new(0);
        let failed = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some((layer, digest)) = work.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        if let Err(error) = self.layer(contents, layer, digest) {
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

    fn layer(&self, contents: &Contents, layer: &Listed, digest: &Digest) -> Result<(), ArchiveError> {
        let name = layer.name.as_str();
        let sized = |actual: u64| right_size(&format!("layer {name}"), layer.size, actual);
        let missing = || ArchiveError::damaged(format!("layer {name} is missing"));
        let mut waiting = || (self.progress)(Progress::Waiting(digest));
        if let Contents::Streamed(_) = contents {
            return match contents.layer(name)?.ok_or_else(missing)? {
                LayerSource::Done(actual, size) if actual == *digest => sized(size),
                LayerSource::Done(actual, _) => Err(ArchiveError::Mismatch {
                    what: format!("layer {name}"),
                    expected: digest.clone(),
                    actual,
                }),
                LayerSource::Open(_) => Err(missing()),
            };
        }
        if let Some(LayerSource::Open(input)) = contents.layer(name)? {
            sized(input.left())?;
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
    checked(contents, &blob_name(&descriptor.digest), descriptor, limit)
}

/// Refuses content of another size than its descriptor says: others would read another part of it.
fn right_size(what: &str, expected: Option<u64>, actual: u64) -> Result<(), ArchiveError> {
    match expected {
        Some(expected) if expected != actual => Err(ArchiveError::Size { what: what.to_owned(), expected, actual }),
        _ => Ok(()),
    }
}

/// A document, which must have this digest and size.
fn checked(contents: &Contents, name: &str, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>, ArchiveError> {
    let digest = &descriptor.digest;
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
    right_size(name, Some(descriptor.size), bytes.len() as u64)?;
    Ok(bytes)
}
