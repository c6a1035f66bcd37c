//! `push`: images to registries. As `pull`, the work is done in a child process as root of the user's namespace: layers hold
//! files that only it can read.

use serde::{Deserialize, Serialize};

use super::pull::{direct_client, registry, with_causes};
use super::transport;
use crate::engine::child::in_child;
use crate::engine::options::{LayerCompression, ManifestFormat, PushOptions};
use crate::engine::{Engine, Error};
use crate::image::lists::List;
use crate::image::compose::Format;
use crate::image::compress::Settings;
use crate::image::compression::Compression;
use crate::image::push::{self, Progress, PushError, Reuse};
use crate::image::Image;
use crate::spec::Reference;

/// What was pushed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pushed {
    /// The name on the registry, complete.
    pub name: String,
    /// The digest of the manifest.
    pub digest: String,
    /// Bytes of the manifest.
    pub size: usize,
}

/// Sends an image to its own name, or to `destination`; with `--all-tags`, every tag of the repository `name` that is here.
///
/// # Errors
/// No such image; what the registry says.
pub fn push(
    engine: &Engine,
    name: &str,
    destination: Option<&str>,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Vec<Pushed>, Error> {
    let store = super::store(engine);
    let wanted = options.registry.platform.as_ref();
    if let Some(place) = destination.map(transport::parse).transpose()?.flatten() {
        if place.takes_lists() && wanted.is_none() && let Some(list) = store.list_of(transport::registry_name(name))? {
            return push_list(engine, &list, destination, options, progress);
        }
        let image = store.resolve_on(name, wanted)?;
        let settings = settings(options)?;
        let manifest = options.format.map(|format| match format {
            ManifestFormat::Oci => Format::Oci,
            ManifestFormat::Docker => Format::Docker,
        });
        let (digest, size) = in_child(engine, false, || place.save(&store, &image, settings, manifest))?;
        return Ok(vec![Pushed { name: destination.unwrap_or(name).to_owned(), digest: digest.to_string(), size }]);
    }
    let (name, destination) = (transport::registry_name(name), destination.map(transport::registry_name));
    let list = if options.registry.all_tags || wanted.is_some() { None } else { store.list_of(name)? };
    if let Some(list) = list {
        return push_list(engine, &list, destination, options, progress);
    }
    let work: Vec<(Image, Reference)> = if options.registry.all_tags {
        all_tags(engine, name)?
    } else {
        let image = store.resolve_on(name, wanted)?;
        let target = match destination {
            Some(text) => store.reference(text)?,
            None => own_name(engine, name, &image)?,
        };
        vec![(image, target)]
    };
    if let Some(wanted) = wanted {
        for (image, _) in &work {
            if wanted.rank(&image.record.platform).is_none() {
                return Err(Error::Usage(format!(
                    "image {} is for {}, not for {wanted}: an image here has one platform",
                    image.record.id.short(),
                    image.record.platform
                )));
            }
        }
    }
    let settings = settings(options)?;
    let key = options.sign_key.as_deref().map(super::sign::private_key).transpose()?;
    in_child(engine, false, || {
        crate::userns::enter(&engine.paths.run, false)?;
        let mut pushed = Vec::new();
        for (image, target) in &work {
            let push_options = push::PushOptions {
                client: direct_client(engine, target, &options.registry)?,
                format: options.format.map(|format| match format {
                    ManifestFormat::Oci => push::ManifestFormat::Oci,
                    ManifestFormat::Docker => push::ManifestFormat::Docker,
                }),
                compression: settings,
                reuse: reuse(options),
                ..push::PushOptions::default()
            };
            progress.say(&format!("Pushing {} to {}", image.record.id.short(), target));
            let done = push::push(&store, &image.record, target, &push_options, progress).map_err(explain)?;
            if let Some(key) = &key {
                super::sign::sign_pushed(engine, target, &done.digest, key, &options.registry)?;
            }
            pushed.push(Pushed { name: target.to_string(), digest: done.digest.to_string(), size: done.size });
        }
        Ok(pushed)
    })
}

/// All images of a list and the list.
fn push_list(
    engine: &Engine,
    list: &List,
    destination: Option<&str>,
    options: &PushOptions,
    progress: &dyn Progress,
) -> Result<Vec<Pushed>, Error> {
    let sent = super::list::send(engine, list, destination, options, progress)?;
    Ok(vec![Pushed { name: sent.name, digest: sent.digest, size: sent.size }])
}

pub(super) fn settings(options: &PushOptions) -> Result<Option<Settings>, Error> {
    if options.compression.is_none() && options.level.is_none() {
        return Ok(None);
    }
    let format = match options.compression {
        Some(LayerCompression::None) => Compression::None,
        Some(LayerCompression::Gzip) | None => Compression::Gzip,
        Some(LayerCompression::Zstd) => Compression::Zstd,
    };
    let settings = Settings { format, level: options.level };
    if !settings.is_valid() {
        return Err(Error::Usage("--compression-level is 1 to 9 for gzip and 1 to 20 for zstd".into()));
    }
    Ok(Some(settings))
}

/// Which compressed layers may go out as they are.
pub(super) fn reuse(options: &PushOptions) -> Reuse {
    match (options.force_compression, options.level, options.compression) {
        (Some(true), _, _) | (None, Some(_), _) => Reuse::Nothing,
        (None, None, Some(_)) => Reuse::SameFormat,
        (Some(false), _, _) | (None, None, None) => Reuse::All,
    }
}

/// The name an image is pushed to when none is given: as it was typed.
fn own_name(engine: &Engine, text: &str, image: &Image) -> Result<Reference, Error> {
    let store = super::store(engine);
    let by_id = || Error::Usage(format!("\"{text}\" is an id: say where to push, as in `kelp push {text} registry.example/app`"));
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let reference = match store.reference(text) {
        Ok(reference) => reference,
        Err(_) => return Err(by_id()),
    };
    if image.names.contains(&reference) || image.repo_digests.contains(&reference) {
        return Ok(reference);
    }
    if image.record.id.hex().starts_with(hex) { Err(by_id()) } else { Ok(reference) }
}

/// What `--all-tags` is about: a name without a tag.
pub(super) fn repository_of_all_tags(engine: &Engine, name: &str) -> Result<Reference, Error> {
    let bare = Reference::parse_bare(name, &engine.config.images.short_names())?;
    if bare.tag().is_some() || bare.digest().is_some() {
        return Err(Error::Usage("a tag cannot be used with --all-tags".into()));
    }
    Ok(bare)
}

fn all_tags(engine: &Engine, name: &str) -> Result<Vec<(Image, Reference)>, Error> {
    let store = super::store(engine);
    let bare = repository_of_all_tags(engine, name)?;
    let mut work = Vec::new();
    for image in store.list()? {
        for tagged in &image.names {
            if tagged.repository() == bare.repository() {
                let mut image = image.clone();
                store.prefer(&mut image, tagged)?;
                work.push((image, tagged.clone()));
            }
        }
    }
    work.sort_by(|a, b| a.1.cmp(&b.1));
    if work.is_empty() {
        return Err(Error::not_found("image", name));
    }
    Ok(work)
}

pub(super) fn explain(error: PushError) -> Error {
    match error {
        PushError::Registry(error) => registry(error),
        error @ (PushError::ToDigest(_) | PushError::DockerZstd) => Error::Usage(error.to_string()),
        PushError::Store(error) => error.into(),
        other => Error::Storage(with_causes(&other)),
    }
}
