//! `manifest`: lists of images for several platforms, made here and pushed as one.
//!
//! A list is a file `manifests/<digest of its name>.json`, written aside and renamed under a lock. Its entries are images of
//! the store: one that is on a registry only is fetched when it is added.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::pull::{direct_client, registry};
use super::push::explain;
use super::{store, transport};
use crate::engine::child::in_child;
use crate::engine::options::{PullOptions, PushOptions};
use crate::engine::{Engine, Error};
use crate::image::compose::{self, Format};
use crate::image::manifest::{Document, Index, MAX_MANIFEST};
use crate::image::push::{self, Progress as PushProgress};
use crate::image::pull::Progress as PullProgress;
use crate::image::registry::Repository;
use crate::image::{Image, ImageStore, StoreError};
use crate::spec::{Digest, PullPolicy, Reference};

const VERSION: u32 = 1;
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A list as stored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct List {
    version: u32,
    name: String,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    entries: Vec<Entry>,
}

/// An image in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Id of the image in the store.
    image: Digest,
    /// Its manifest here.
    digest: Digest,
    size: u64,
    media_type: String,
    traits: Traits,
}

/// What a list says about an image beside its manifest; `None` leaves what is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Traits {
    /// `--os`.
    pub os: Option<String>,
    /// `--arch`.
    pub architecture: Option<String>,
    /// `--variant`.
    pub variant: Option<String>,
    /// `--os-version`.
    pub os_version: Option<String>,
    /// `--os-features`.
    pub os_features: Vec<String>,
    /// `--features`.
    pub features: Vec<String>,
    /// `--annotation`.
    pub annotations: BTreeMap<String, String>,
}

impl Traits {
    fn set(&mut self, other: &Self) {
        let put = |own: &mut Option<String>, new: &Option<String>| {
            if new.is_some() {
                own.clone_from(new);
            }
        };
        put(&mut self.os, &other.os);
        put(&mut self.architecture, &other.architecture);
        put(&mut self.variant, &other.variant);
        put(&mut self.os_version, &other.os_version);
        for (own, new) in [(&mut self.os_features, &other.os_features), (&mut self.features, &other.features)] {
            own.extend(new.iter().filter(|text| !own.contains(text)).cloned().collect::<Vec<_>>());
        }
        self.annotations.extend(other.annotations.clone());
    }
}

/// Makes a list and returns its id.
///
/// # Errors
/// A name that is taken (unless `amend`); an image that cannot be had.
pub fn create(
    engine: &Engine,
    name: &str,
    images: &[String],
    amend: bool,
    annotations: &BTreeMap<String, String>,
    fetch: &Fetch<'_>,
) -> Result<String, Error> {
    let taken = || Error::Conflict(format!("the list {name} is there already: use --amend to add to it"));
    if !amend && peek(engine, name)?.is_some() {
        return Err(taken());
    }
    let entries = fetch.all(engine, images)?;
    let lists = Lists::open(engine, name)?;
    let mut list = match lists.read()? {
        Some(list) if amend => list,
        Some(_) => return Err(taken()),
        None => List { version: VERSION, name: lists.name.to_string(), ..List::default() },
    };
    list.annotations.extend(annotations.clone());
    entries.into_iter().for_each(|entry| put(&mut list, entry));
    lists.write(&list)?;
    Ok(Digest::of(&bytes(&index(&list, Format::Oci))).to_string())
}

/// Adds an image to a list and returns the list's id.
///
/// # Errors
/// No such list or image.
pub fn add(engine: &Engine, name: &str, image: &str, traits: &Traits, fetch: &Fetch<'_>) -> Result<String, Error> {
    peek(engine, name)?.ok_or_else(|| Error::not_found("manifest list", name))?;
    let entries = fetch.all(engine, &[image.to_owned()])?;
    let lists = Lists::open(engine, name)?;
    let mut list = lists.required()?;
    for mut entry in entries {
        entry.traits.set(traits);
        put(&mut list, entry);
    }
    lists.write(&list)?;
    Ok(Digest::of(&bytes(&index(&list, Format::Oci))).to_string())
}

/// Says more about an image of a list, given by its digest or its name here; without an image, about the list.
///
/// # Errors
/// No such list or entry.
pub fn annotate(engine: &Engine, name: &str, image: Option<&str>, traits: &Traits) -> Result<String, Error> {
    let lists = Lists::open(engine, name)?;
    let mut list = lists.required()?;
    match image {
        None => list.annotations.extend(traits.annotations.clone()),
        Some(image) => {
            let at = find(engine, &list, image)?;
            list.entries[at].traits.set(traits);
        }
    }
    lists.write(&list)?;
    Ok(Digest::of(&bytes(&index(&list, Format::Oci))).to_string())
}

/// Takes an image out of a list.
///
/// # Errors
/// No such list or entry.
pub fn remove_entry(engine: &Engine, name: &str, image: &str) -> Result<String, Error> {
    let lists = Lists::open(engine, name)?;
    let mut list = lists.required()?;
    let at = find(engine, &list, image)?;
    let entry = list.entries.remove(at);
    lists.write(&list)?;
    Ok(entry.digest.to_string())
}

/// Removes a list; its images stay.
///
/// # Errors
/// No such list.
pub fn remove(engine: &Engine, name: &str) -> Result<(), Error> {
    let lists = Lists::open(engine, name)?;
    lists.required()?;
    fs::remove_file(&lists.path).map_err(Error::io("remove", &lists.path))
}

/// Whether there is such a list.
///
/// # Errors
/// A name that is none.
pub fn exists(engine: &Engine, name: &str) -> Result<bool, Error> {
    Ok(peek(engine, name)?.is_some())
}

/// The manifest of a list; without a list of that name, that of an image here or on its registry.
///
/// # Errors
/// Nothing of that name.
pub fn inspect(engine: &Engine, name: &str, registry_options: &PullOptions) -> Result<Value, Error> {
    let remote = transport::registry_name(name);
    if remote == name {
        if let Some(list) = peek(engine, name)? {
            return Ok(index(&list, Format::Oci));
        }
        let store = store(engine);
        match store.resolve(name) {
            Ok(image) => return parse(&own_manifest(&store, &image)?.1),
            Err(StoreError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let reference = store(engine).reference(remote)?;
    let raw = in_child(engine, false, || fetch_manifest(engine, &reference, registry_options))?;
    parse(&raw)
}

fn parse(raw: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(raw).map_err(|error| Error::Registry(format!("the manifest is no JSON: {error}")))
}

/// The bytes of a manifest on a registry. Runs in a child process, since the client starts threads.
fn fetch_manifest(engine: &Engine, reference: &Reference, options: &PullOptions) -> Result<Vec<u8>, Error> {
    let client = direct_client(engine, reference, options)?;
    let repository = Repository::for_pull(reference, &client).map_err(registry)?;
    let which = match (reference.digest(), reference.tag()) {
        (Some(digest), _) => digest.to_string(),
        (None, tag) => tag.unwrap_or("latest").to_owned(),
    };
    Ok(repository.manifest(&which, reference.digest()).map_err(registry)?.raw)
}

/// What `manifest push` sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedList {
    /// Where to.
    pub name: String,
    /// Digest of the list there.
    pub digest: String,
}

/// Sends the images of a list and the list to its own name or another.
///
/// # Errors
/// No such list; an image that is gone; what the registry says.
pub fn push_list(
    engine: &Engine,
    name: &str,
    destination: Option<&str>,
    options: &PushOptions,
    progress: &dyn PushProgress,
) -> Result<PushedList, Error> {
    let list = peek(engine, name)?.ok_or_else(|| Error::not_found("manifest list", name))?;
    let store = store(engine);
    if let Some(place) = destination
        && transport::parse(place)?.is_some()
    {
        return Err(Error::Usage(format!("a manifest list can be pushed to a registry only, not to {place}: push its images there")));
    }
    let target = store.reference(transport::registry_name(destination.unwrap_or(&list.name)))?;
    let docker = options.format == Some(crate::engine::options::ManifestFormat::Docker);
    let settings = super::push::settings(options)?;
    in_child(engine, false, || {
        let client = direct_client(engine, &target, &options.registry)?;
        let mut sent = list.clone();
        for entry in &mut sent.entries {
            let record = store.record(&entry.image)?.ok_or_else(|| Error::not_found("image", entry.image.to_string()))?;
            let how = push::PushOptions {
                client: client.clone(),
                format: Some(if docker { push::ManifestFormat::Docker } else { push::ManifestFormat::Oci }),
                compression: settings,
                force_compression: options.force_compression.unwrap_or(options.compression.is_some()),
                untagged: true,
                ..push::PushOptions::default()
            };
            progress.say(&format!("Pushing {} to {}", record.id.short(), target));
            let pushed = push::push(&store, &record, &target, &how, progress).map_err(explain)?;
            entry.digest = pushed.digest;
            entry.size = pushed.size as u64;
            let format = if docker { Format::Docker } else { Format::Oci };
            format.media_types().0.clone_into(&mut entry.media_type);
        }
        let raw = bytes(&index(&sent, if docker { Format::Docker } else { Format::Oci }));
        let repository = Repository::for_push(&target, &client).map_err(registry)?;
        let kind = if docker { DOCKER_LIST } else { OCI_INDEX };
        let digest = repository.put_manifest(target.tag().unwrap_or("latest"), kind, &raw).map_err(registry)?;
        Ok(PushedList { name: target.to_string(), digest: digest.to_string() })
    })
}

/// Where images that are not here come from.
pub struct Fetch<'a> {
    /// `--all`: every image of an index.
    pub every: bool,
    /// How registries are spoken to.
    pub registry: &'a PullOptions,
    /// Told of downloads.
    pub progress: &'a dyn PullProgress,
}

impl Fetch<'_> {
    fn all(&self, engine: &Engine, images: &[String]) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        for image in images {
            entries.extend(self.entries(engine, image)?);
        }
        Ok(entries)
    }

    /// The entries an image makes.
    fn entries(&self, engine: &Engine, name: &str) -> Result<Vec<Entry>, Error> {
        let store = store(engine);
        let name = name.strip_prefix("containers-storage:").unwrap_or(name);
        let remote = transport::registry_name(name);
        if remote == name {
            if let Some(list) = peek(engine, name)? {
                return Ok(list.entries);
            }
            match store.resolve(name) {
                Ok(image) if !self.every => return Ok(vec![entry(&store, &image)?]),
                Ok(_) | Err(StoreError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let options = PullOptions { policy: Some(PullPolicy::Missing), ..self.registry.clone() };
        let mut names = vec![remote.to_owned()];
        if self.every {
            let reference = store.reference(remote)?;
            let raw = in_child(engine, false, || fetch_manifest(engine, &reference, self.registry))?;
            if let Ok(Document::Index(Index { manifests, .. })) = Document::parse(&raw, None) {
                names = manifests.iter().map(|entry| reference.digested(entry.digest.clone()).to_string()).collect();
            }
        }
        let mut entries = Vec::new();
        for name in names {
            let id = super::pull(engine, &name, &options, self.progress)?;
            entries.push(entry(&store, &store.resolve(&id)?)?);
        }
        Ok(entries)
    }
}

fn entry(store: &ImageStore, image: &Image) -> Result<Entry, Error> {
    let (digest, raw, media_type) = own_manifest(store, image)?;
    let platform = &image.record.platform;
    Ok(Entry {
        image: image.record.id.clone(),
        digest,
        size: raw.len() as u64,
        media_type,
        traits: Traits {
            os: Some(platform.os.clone()),
            architecture: Some(platform.architecture.clone()),
            variant: platform.variant.clone(),
            ..Traits::default()
        },
    })
}

/// The manifest an image came by; for one that came by none, what it would have.
fn own_manifest(store: &ImageStore, image: &Image) -> Result<(Digest, Vec<u8>, String), Error> {
    for digest in &image.record.manifests {
        let Some(raw) = store.blobs().read(digest, MAX_MANIFEST)? else { continue };
        if let Ok(Document::Image(manifest)) = Document::parse(&raw, None)
            && manifest.config.digest == image.record.id
        {
            let format = if manifest.docker { Format::Docker } else { Format::Oci };
            return Ok((digest.clone(), raw, format.media_types().0.to_owned()));
        }
    }
    let config = store.config_bytes(&image.record.id)?;
    let raw = compose::manifest(store, &config, Format::Oci, &BTreeMap::new())?;
    Ok((Digest::of(&raw), raw, Format::Oci.media_types().0.to_owned()))
}

fn put(list: &mut List, entry: Entry) {
    match list.entries.iter_mut().find(|other| other.digest == entry.digest) {
        Some(other) => *other = entry,
        None => list.entries.push(entry),
    }
}

fn find(engine: &Engine, list: &List, image: &str) -> Result<usize, Error> {
    let digest: Option<Digest> = image.rsplit('@').next().and_then(|text| text.parse().ok());
    let id = if digest.is_some() { None } else { store(engine).resolve_id(image).ok() };
    let fits = |entry: &Entry| Some(&entry.digest) == digest.as_ref() || Some(&entry.image) == id.as_ref();
    let at = list.entries.iter().position(fits);
    at.ok_or_else(|| Error::NotFound { what: "image in the list", name: image.to_owned() })
}

/// The list as an index.
fn index(list: &List, format: Format) -> Value {
    let entries: Vec<Value> = list
        .entries
        .iter()
        .map(|entry| {
            let traits = &entry.traits;
            let mut platform = serde_json::Map::new();
            let texts = [
                ("architecture", &traits.architecture),
                ("os", &traits.os),
                ("os.version", &traits.os_version),
                ("variant", &traits.variant),
            ];
            platform.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))));
            for (key, texts) in [("os.features", &traits.os_features), ("features", &traits.features)] {
                if !texts.is_empty() {
                    platform.insert(key.to_owned(), json!(texts));
                }
            }
            let mut value = json!({"mediaType": entry.media_type, "digest": entry.digest, "size": entry.size, "platform": platform});
            if format == Format::Oci && !traits.annotations.is_empty() {
                value["annotations"] = json!(traits.annotations);
            }
            value
        })
        .collect();
    let kind = if format == Format::Docker { DOCKER_LIST } else { OCI_INDEX };
    let mut index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries});
    if format == Format::Oci && !list.annotations.is_empty() {
        index["annotations"] = json!(list.annotations);
    }
    index
}

fn bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}

/// A list as it is now; nothing is locked.
fn peek(engine: &Engine, name: &str) -> Result<Option<List>, Error> {
    let name = store(engine).reference(name)?;
    read(&file(engine, &name))
}

fn file(engine: &Engine, name: &Reference) -> PathBuf {
    engine.paths.data.join("manifests").join(format!("{}.json", Digest::of(name.to_string().as_bytes()).hex()))
}

fn read(path: &Path) -> Result<Option<List>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok().filter(|list: &List| list.version == VERSION)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}

/// One name's place, locked against other commands.
struct Lists {
    name: Reference,
    path: PathBuf,
    _lock: File,
}

impl Lists {
    fn open(engine: &Engine, name: &str) -> Result<Self, Error> {
        let name = store(engine).reference(name)?;
        let dir = engine.paths.data.join("manifests");
        fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
        let path = dir.join(".lock");
        let lock = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::io("open", &path))?;
        // File systems without locks do without.
        flock(&lock, FlockOperation::LockExclusive).ok();
        Ok(Self { path: file(engine, &name), name, _lock: lock })
    }

    fn read(&self) -> Result<Option<List>, Error> {
        read(&self.path)
    }

    fn required(&self) -> Result<List, Error> {
        self.read()?.ok_or_else(|| Error::not_found("manifest list", self.name.familiar()))
    }

    fn write(&self, list: &List) -> Result<(), Error> {
        let aside = self.path.with_extension("new");
        let bytes = serde_json::to_vec(list).map_err(|error| Error::Internal(error.to_string()))?;
        let written = fs::write(&aside, bytes).and_then(|()| fs::rename(&aside, &self.path));
        if written.is_err() {
            fs::remove_file(&aside).ok();
        }
        written.map_err(Error::io("write", &self.path))
    }
}
