//! Lists of images for several platforms: indexes that were made here and are kept until they are pushed or removed.
//!
//! A list is a file `manifests/<digest of its name>.json`, written aside and renamed under the lock of the images. A tag
//! stands for an image or for a list: giving it to one takes it from the other. The images in a list are in use.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::blobs::{make_dir, read_dir};
use super::compose::Format;
use super::store::StoreError;
use crate::spec::{Digest, Platform, Reference};

const VERSION: u32 = 1;
/// OCI's type of an index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker's.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// A list as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    version: u32,
    /// Its full name.
    pub name: String,
    /// Annotations of the index.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Its images.
    pub entries: Vec<Entry>,
}

/// An image in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Id of the image in the store.
    pub image: Digest,
    /// Its manifest here.
    pub digest: Digest,
    /// Bytes of that.
    pub size: u64,
    /// Type of that.
    pub media_type: String,
    /// What the list says about it.
    pub traits: Traits,
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
    /// Takes over what the other one says.
    pub fn set(&mut self, other: &Self) {
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

    fn platform(&self) -> Platform {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        Platform::new(&text(&self.os), &text(&self.architecture), self.variant.as_deref())
    }

    fn as_json(&self) -> Value {
        let mut platform = serde_json::Map::new();
        let texts =
            [("architecture", &self.architecture), ("os", &self.os), ("os.version", &self.os_version), ("variant", &self.variant)];
        platform.extend(texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), json!(text.as_ref()?)))));
        for (key, texts) in [("os.features", &self.os_features), ("features", &self.features)] {
            if !texts.is_empty() {
                platform.insert(key.to_owned(), json!(texts));
            }
        }
        Value::Object(platform)
    }
}

impl List {
    /// An empty one.
    #[must_use]
    pub fn new(name: &Reference) -> Self {
        Self { version: VERSION, name: name.to_string(), annotations: BTreeMap::new(), entries: Vec::new() }
    }

    /// The same list under another name.
    #[must_use]
    pub fn renamed(self, name: &Reference) -> Self {
        Self { name: name.to_string(), ..self }
    }

    /// Its name, as it is shown.
    ///
    /// # Errors
    /// When the file was written by hand.
    pub fn reference(&self) -> Result<Reference, StoreError> {
        Ok(self.name.parse()?)
    }

    /// Adds an image, in the place of the one with the same manifest.
    pub fn put(&mut self, entry: Entry) {
        match self.entries.iter_mut().find(|other| other.digest == entry.digest) {
            Some(other) => *other = entry,
            None => self.entries.push(entry),
        }
    }

    /// Whether the image is in it.
    #[must_use]
    pub fn holds(&self, image: &Digest) -> bool {
        self.entries.iter().any(|entry| entry.image == *image)
    }

    /// The image for a platform (that of the host unless told) among those `here` knows.
    ///
    /// # Errors
    /// When there is none.
    pub fn member(&self, platform: Option<&Platform>, here: impl Fn(&Digest) -> bool) -> Result<Digest, StoreError> {
        let wanted = platform.cloned().unwrap_or_else(Platform::host);
        let rank = |entry: &Entry| {
            let candidate = entry.traits.platform();
            if platform.is_some() { wanted.rank(&candidate) } else { wanted.rank_compatible(&candidate) }
        };
        let fitting = self.entries.iter().filter(|entry| here(&entry.image));
        let best = fitting.filter_map(|entry| Some((rank(entry)?, entry))).min_by_key(|(rank, _)| *rank);
        best.map(|(_, entry)| entry.image.clone()).ok_or_else(|| StoreError::NoMember {
            list: self.name.parse::<Reference>().map_or_else(|_| self.name.clone(), |name| name.familiar()),
            wanted: wanted.to_string(),
            offered: self.entries.iter().map(|entry| entry.traits.platform().to_string()).collect::<Vec<_>>().join(", "),
        })
    }

    /// The list as an index.
    #[must_use]
    pub fn index(&self, format: Format) -> Value {
        let entry = |entry: &Entry| {
            let traits = &entry.traits;
            let mut value = json!({
                "mediaType": entry.media_type, "digest": entry.digest, "size": entry.size, "platform": traits.as_json(),
            });
            if format == Format::Oci && !traits.annotations.is_empty() {
                value["annotations"] = json!(traits.annotations);
            }
            value
        };
        let kind = if format == Format::Docker { DOCKER_LIST } else { OCI_INDEX };
        let entries: Vec<Value> = self.entries.iter().map(entry).collect();
        let mut index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": entries});
        if format == Format::Oci && !self.annotations.is_empty() {
            index["annotations"] = json!(self.annotations);
        }
        index
    }

    /// Digest of the index.
    #[must_use]
    pub fn id(&self) -> Digest {
        Digest::of(self.index(Format::Oci).to_string().as_bytes())
    }
}

/// All lists under one data directory.
#[derive(Debug, Clone)]
pub struct Lists {
    dir: PathBuf,
}

impl Lists {
    /// The lists under `data` (nothing is created yet).
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self { dir: data.join("manifests") }
    }

    fn path(&self, name: &Reference) -> PathBuf {
        self.dir.join(format!("{}.json", Digest::of(name.to_string().as_bytes()).hex()))
    }

    /// The list of this name.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn get(&self, name: &Reference) -> Result<Option<List>, StoreError> {
        read(&self.path(name))
    }

    /// Every list, sorted by name.
    ///
    /// # Errors
    /// When the directory or one of them cannot be read.
    pub fn all(&self) -> Result<Vec<List>, StoreError> {
        let mut lists = Vec::new();
        for name in read_dir(&self.dir)?.iter().filter(|name| name.ends_with(".json")) {
            lists.extend(read(&self.dir.join(name))?);
        }
        lists.sort_by(|a: &List, b| a.name.cmp(&b.name));
        Ok(lists)
    }

    /// Writes a list; the caller holds the lock of the images.
    pub(super) fn set(&self, name: &Reference, list: &List) -> Result<(), StoreError> {
        make_dir(&self.dir)?;
        let path = self.path(name);
        let aside = path.with_extension("new");
        let written = serde_json::to_vec(list).map_err(io::Error::from).and_then(|bytes| fs::write(&aside, bytes));
        written.and_then(|()| fs::rename(&aside, &path)).map_err(|error| {
            fs::remove_file(&aside).ok();
            StoreError::io("write", &path, error)
        })
    }

    /// Removes a list and tells whether it was there; the caller holds the lock of the images.
    pub(super) fn remove(&self, name: &Reference) -> Result<bool, StoreError> {
        let path = self.path(name);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(StoreError::io("remove", &path, error)),
        }
    }
}

fn read(path: &Path) -> Result<Option<List>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok().filter(|list: &List| list.version == VERSION)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path, error)),
    }
}
