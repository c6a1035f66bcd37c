//! `manifest`: lists of images for several platforms, made here and pushed as one; `push`, `tag` and `rmi` of one.
//!
//! The entries of a list are images of the store: one that is on a registry only is fetched when it is added.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pull::{ask, ask_any, direct_client, registry};
use super::push::explain;
use super::{store, transport};
use crate::engine::child::in_child;
use crate::engine::options::{PullOptions, PushOptions};
use crate::engine::{Engine, Error};
use crate::image::archive::Subject;
use crate::image::compose::{self, Format};
use crate::image::lists::{DOCKER_LIST, Entry, List, OCI_INDEX};
pub use crate::image::lists::Traits;
use crate::image::manifest::{Document, Index, MAX_MANIFEST};
use crate::image::push::{self, Progress as PushProgress};
use crate::image::pull::Progress as PullProgress;
use crate::image::registry::Repository;
use crate::image::{Image, ImageStore, StoreError};
use crate::spec::{Digest, PullPolicy, Reference};

/// Makes a list and returns its id.
///
/// # Errors
/// A name that is taken (by a list unless `amend`, by an image); an image that cannot be had.
pub fn create(
    engine: &Engine,
    name: &str,
    images: &[String],
    amend: bool,
    annotations: &BTreeMap<String, String>,
    fetch: &Fetch<'_>,
) -> Result<String, Error> {
    let store = store(engine);
    let reference = store.reference(name)?;
    let taken = || Error::Conflict(format!("the list {name} is there already: use --amend to add to it"));
    if !amend && store.lists().get(&reference)?.is_some() {
        return Err(taken());
    }
    if store.names().get(&reference)?.is_some_and(|named| matches!(store.record(&named.id), Ok(Some(_)))) {
        return Err(Error::Conflict(format!("{name} is an image: give the list another name, or take that one away (kelp untag {name})")));
    }
    let entries = fetch.all(engine, images)?;
    let list = store.change_list(&reference, |list| {
        let mut list = match list {
            Some(list) if amend => list,
            Some(_) => return Err(taken()),
            None => List::new(&reference),
        };
        list.annotations.extend(annotations.clone());
        entries.into_iter().for_each(|entry| list.put(entry));
        Ok(list)
    })?;
    Ok(list.id().to_string())
}

/// Makes the list `name` of images that are here, whatever the name stood for before, and returns its id.
///
/// # Errors
/// As [`create`].
pub fn replace(engine: &Engine, name: &str, images: &[String], annotations: &BTreeMap<String, String>) -> Result<String, Error> {
    let store = store(engine);
    let reference = store.reference(name)?;
    let mut list = List::new(&reference);
    list.annotations.clone_from(annotations);
    for image in images {
        list.put(entry(&store, &store.resolve(image)?)?);
    }
    Ok(store.change_list(&reference, |_| Ok::<_, Error>(list))?.id().to_string())
}

/// Has `work` change the list `name`.
fn change<T>(engine: &Engine, name: &str, work: impl FnOnce(&mut List) -> Result<T, Error>) -> Result<(List, T), Error> {
    let store = store(engine);
    let mut done = None;
    let list = store.change_list(&store.reference(name)?, |list| {
        let mut list = list.ok_or_else(|| Error::not_found("manifest list", name))?;
        done = Some(work(&mut list)?);
        Ok::<_, Error>(list)
    })?;
    Ok((list, done.ok_or_else(|| Error::not_found("manifest list", name))?))
}

/// Adds an image to a list and returns the list's id.
///
/// # Errors
/// No such list or image.
pub fn add(engine: &Engine, name: &str, image: &str, traits: &Traits, fetch: &Fetch<'_>) -> Result<String, Error> {
    peek(engine, name)?.ok_or_else(|| Error::not_found("manifest list", name))?;
    let entries = fetch.all(engine, &[image.to_owned()])?;
    let (list, ()) = change(engine, name, |list| {
        for mut entry in entries {
            entry.traits.set(traits);
            list.put(entry);
        }
        Ok(())
    })?;
    Ok(list.id().to_string())
}

/// Says more about an image of a list, given by its digest or its name here; without an image, about the list.
///
/// # Errors
/// No such list or entry.
pub fn annotate(engine: &Engine, name: &str, image: Option<&str>, traits: &Traits) -> Result<String, Error> {
    let (list, ()) = change(engine, name, |list| {
        match image {
            None => list.annotations.extend(traits.annotations.clone()),
            Some(image) => {
                let at = find(engine, list, image)?;
                list.entries[at].traits.set(traits);
            }
        }
        Ok(())
    })?;
    Ok(list.id().to_string())
}

/// Takes an image out of a list.
///
/// # Errors
/// No such list or entry.
pub fn remove_entry(engine: &Engine, name: &str, image: &str) -> Result<String, Error> {
    let (_, entry) = change(engine, name, |list| {
        let at = find(engine, list, image)?;
        Ok(list.entries.remove(at))
    })?;
    Ok(entry.digest.to_string())
}

/// Removes a list; its images stay.
///
/// # Errors
/// No such list.
pub fn remove(engine: &Engine, name: &str) -> Result<(), Error> {
    let store = store(engine);
    let reference = store.reference(name)?;
    if store.remove_list(&reference)? { Ok(()) } else { Err(Error::not_found("manifest list", reference.familiar())) }
}

/// `rmi` of a list, by a name or, if it has one name, its id; the lines that are printed.
pub(super) fn remove_named(engine: &Engine, list: &List, text: &str, force: bool) -> Result<Vec<String>, Error> {
    let store = store(engine);
    let id = list.id();
    let names: Vec<Reference> = if id.hex().starts_with(text.trim_start_matches("sha256:")) {
        let same = store.lists().all()?.into_iter().filter(|other| other.id() == id);
        same.map(|list| list.reference()).collect::<Result<_, _>>()?
    } else {
        vec![list.reference()?]
    };
    if names.len() > 1 && !force {
        return Err(StoreError::SeveralNames { id: id.short().to_owned(), count: names.len() }.into());
    }
    for name in &names {
        store.remove_list(name)?;
    }
    let untagged = names.iter().map(|name| format!("Untagged: {}", name.familiar()));
    let left = store.lists().all()?.iter().any(|other| other.id() == id);
    Ok(untagged.chain((!left).then(|| format!("Deleted: {id}"))).collect())
}

/// `tag` of a list.
pub(super) fn tag(engine: &Engine, list: List, name: &Reference) -> Result<(), Error> {
    store(engine).change_list(name, |_| Ok::<_, Error>(list.renamed(name)))?;
    Ok(())
}

/// Whether there is such a list.
///
/// # Errors
/// A name that is none.
pub fn exists(engine: &Engine, name: &str) -> Result<bool, Error> {
    Ok(peek(engine, name)?.is_some())
}

/// The manifest of a list that is here; without a list of that name, what the registry has under it. An image that is here
/// is of one platform, while its name on the registry may be of many; only an id can mean nothing but what is here.
///
/// # Errors
/// Nothing of that name.
pub fn inspect(engine: &Engine, name: &str, registry_options: &PullOptions) -> Result<Value, Error> {
    let remote = transport::registry_name(name);
    if remote == name {
        if let Some(list) = peek(engine, name)? {
            return Ok(list.index(Format::Oci));
        }
        let store = store(engine);
        if let Ok(image) = store.resolve(name)
            && is_id(name, &image)
        {
            return parse(&own_manifest(&store, &image)?.1);
        }
    }
    let raw = in_child(engine, false, || ask_any(engine, remote, &|reference| fetch_manifest(engine, reference, registry_options)))?;
    parse(&raw)
}

/// Whether a text found an image by its id, or the beginning of that.
fn is_id(text: &str, image: &Image) -> bool {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let named = |name: &Reference| text.parse().is_ok_and(|typed: Reference| typed == *name);
    image.record.id.hex().starts_with(digits) && !image.names.iter().any(named)
}

fn parse(raw: &[u8]) -> Result<Value, Error> {
    serde_json::from_slice(raw).map_err(|error| Error::Registry(format!("the manifest is no JSON: {error}")))
}

/// The bytes of a manifest on a registry. Runs in a child process, since the client starts threads.
fn fetch_manifest(engine: &Engine, reference: &Reference, options: &PullOptions) -> Result<Vec<u8>, Error> {
    ask(engine, reference, options, &|repository| Ok(repository.manifest(&reference.tag_or_digest(), reference.digest())?.raw))
}

/// What `manifest push` sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushedList {
    /// Where to.
    pub name: String,
    /// Digest of the list there.
    pub digest: String,
    /// Bytes of it.
    pub size: usize,
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
    send(engine, &list, destination, options, progress)
}

/// Sends a list; its own name or `destination` says where to.
pub(super) fn send(
    engine: &Engine,
    list: &List,
    destination: Option<&str>,
    options: &PushOptions,
    progress: &dyn PushProgress,
) -> Result<PushedList, Error> {
    let store = store(engine);
    if let Some(text) = destination
        && let Some(place) = transport::parse(text)?
    {
        let settings = super::push::settings(options)?;
        let format = options.format.map(|format| match format {
            crate::engine::options::ManifestFormat::Docker => Format::Docker,
            crate::engine::options::ManifestFormat::Oci => Format::Oci,
        });
        let (digest, size) = in_child(engine, false, || place.save_list(&store, list, settings, format))?;
        return Ok(PushedList { name: text.to_owned(), digest: digest.to_string(), size });
    }
    let target = store.reference(transport::registry_name(destination.unwrap_or(&list.name)))?;
    let docker = options.format == Some(crate::engine::options::ManifestFormat::Docker);
    let settings = super::push::settings(options)?;
    let key = options.sign_key.as_deref().map(super::sign::private_key).transpose()?;
    in_child(engine, false, || {
        let client = direct_client(engine, &target, &options.registry)?;
        let mut sent = list.clone();
        for entry in &mut sent.entries {
            let record = store.record(&entry.image)?.ok_or_else(|| Error::not_found("image", entry.image.to_string()))?;
            let how = push::PushOptions {
                client: client.clone(),
                format: Some(if docker { push::ManifestFormat::Docker } else { push::ManifestFormat::Oci }),
                compression: settings,
                reuse: super::push::reuse(options),
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
        let raw = sent.index(if docker { Format::Docker } else { Format::Oci }).to_string().into_bytes();
        let repository = Repository::for_push(&target, &client).map_err(registry)?;
        let kind = if docker { DOCKER_LIST } else { OCI_INDEX };
        let digest = repository.put_manifest(target.tag().unwrap_or("latest"), kind, &raw).map_err(registry)?;
        if let Some(key) = &key {
            super::sign::sign_pushed(engine, &target, &digest, key, &options.registry)?;
        }
        Ok(PushedList { name: target.to_string(), digest: digest.to_string(), size: raw.len() })
    })
}

/// The images of a list, to be written.
pub(super) fn members(store: &ImageStore, list: &List) -> Result<Vec<Subject>, Error> {
    let subject = |entry: &Entry| {
        let record = store.record(&entry.image)?.ok_or_else(|| Error::not_found("image", entry.image.to_string()))?;
        let image = Image { record, names: Vec::new(), repo_digests: Vec::new(), came_by: BTreeMap::new() };
        Ok(Subject::new(store, &image, &[])?)
    };
    list.entries.iter().map(subject).collect()
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

pub(super) fn entry(store: &ImageStore, image: &Image) -> Result<Entry, Error> {
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

fn find(engine: &Engine, list: &List, image: &str) -> Result<usize, Error> {
    let digest: Option<Digest> = image.rsplit('@').next().and_then(|text| text.parse().ok());
    let id = if digest.is_some() { None } else { store(engine).resolve_id(image).ok() };
    let fits = |entry: &Entry| Some(&entry.digest) == digest.as_ref() || Some(&entry.image) == id.as_ref();
    let at = list.entries.iter().position(fits);
    at.ok_or_else(|| Error::NotFound { what: "image in the list", name: image.to_owned() })
}

/// A list as it is now; nothing is locked.
fn peek(engine: &Engine, name: &str) -> Result<Option<List>, Error> {
    let store = store(engine);
    Ok(store.lists().get(&store.reference(name)?)?)
}
