//! The verbs on local images: list, inspect, name, remove; archives in and out.

pub(crate) mod change;
pub mod diff;
pub mod export;
mod find;
mod health;
mod login;
pub mod list;
mod ls;
pub mod mount;
mod prune;
mod pull;
mod push;
mod search;
mod sign;
mod transfer;
mod transport;
pub mod tree;

pub use find::for_run;
pub use ls::{ListOptions, Listing, Row, list};
pub use crate::image::pull::{Progress, Step};
pub use crate::image::push::{Progress as PushProgress, Step as PushStep};
pub use prune::{PrunedImages, prune};
pub use pull::pull;
pub use login::{LoginOptions, existing_login, login, login_of, logout, logout_all};
pub use push::{Pushed, push};
pub use search::{SearchOptions, list_tags, search};
pub use sign::{Signed, sign, verify};
pub use transfer::{Output, import, load, save};

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::options::{RemoveImageOptions, RemoveOptions};
use super::mounted::{self, Of};
use super::{Engine, Error, Kind};
use crate::format::{duration, size, time};
use crate::image::store::{RemoveReport, RunImage};
use crate::image::{Image, ImageStore, LayerStore, Removal, StoreError};
use crate::spec::Digest;
use crate::state::Containers;
use crate::userns::IdMap;
use crate::userns::owner::are_recorded;

/// The images of this user.
pub(crate) fn store(engine: &Engine) -> ImageStore {
    ImageStore::open(&engine.paths.data, engine.config.images.short_names()).with_additional(&engine.config.storage.additional_stores)
}

/// Whether there is such an image.
///
/// # Errors
/// A text that is no reference; a store that cannot be read.
pub fn exists(engine: &Engine, name: &str) -> Result<bool, Error> {
    match store(engine).resolve_id(name) {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound(_)) => Ok(false),
        Err(StoreError::NoMember { .. }) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// The names of all lists and the ids of all images, those built on others first, so that they can be removed in this
/// order.
///
/// # Errors
/// A store that cannot be read.
pub fn ids(engine: &Engine) -> Result<Vec<String>, Error> {
    let store = store(engine);
    let mut records = store.records()?;
    records.sort_by_key(|record| std::cmp::Reverse((record.layers.len(), record.created)));
    let lists = store.lists().all()?.into_iter().map(|list| list.name);
    Ok(lists.chain(records.into_iter().map(|record| record.id.to_string())).collect())
}

/// Gives an image or a list another name.
///
/// # Errors
/// No such image; a name that is none, or carries a digest.
pub fn tag(engine: &Engine, image: &str, name: &str) -> Result<(), Error> {
    let store = store(engine);
    let name = store.reference(name)?;
    match store.list_of(image)? {
        Some(list) => list::tag(engine, list, &name),
        None => Ok(store.tag(image, &name).map(drop)?),
    }
}

/// Takes names away from an image, all of them when none is given.
///
/// # Errors
/// No such image; a name it does not have.
pub fn untag(engine: &Engine, image: &str, names: &[String]) -> Result<(), Error> {
    let store = store(engine);
    if store.list_of(image)?.is_some() {
        return Err(Error::Usage(format!("{image} is a list, which is nothing without its name: remove it with kelp rmi {image}")));
    }
    let found = store.resolve(image)?;
    if names.is_empty() {
        for name in &found.names {
            store.untag(name)?;
        }
        return Ok(());
    }
    for text in names {
        let name = store.reference(text)?;
        if !found.names.contains(&name) {
            return Err(Error::not_found("name of this image", text.clone()));
        }
        store.untag(&name)?;
    }
    Ok(())
}

/// Removes a name, or an image with its last one; the lines docker prints about it. With `force` the containers that use
/// it go first, and its places in lists.
///
/// # Errors
/// No such image; it is used by a container or another image; it has several names and was given by id.
pub fn remove(engine: &Engine, name: &str, options: &RemoveImageOptions) -> Result<Vec<String>, Error> {
    let store = store(engine);
    if let Some(list) = store.list_of(name)? {
        return list::remove_named(engine, &list, name, options.force);
    }
    let id = store.resolve_id(name)?;
    // Layers hold files of subordinate ids, which only root of the user's namespace can remove.
    crate::userns::enter(&engine.paths.run, false)?;
    let how = Removal { force: options.force, keep_parents: options.no_prune };
    let report = match store.remove(name, how, &users(engine)?) {
        Err(StoreError::InUse { .. }) if options.force && (remove_users(engine, &id)? | store.unlist(&id)?) => {
            store.remove(name, how, &users(engine)?)?
        }
        other => other?,
    };
    after_removal(engine, &store, &report);
    let untagged = report.untagged.iter().map(|name| format!("Untagged: {}", name.familiar()));
    let deleted = report.deleted.iter().map(|id| format!("Deleted: {id}"));
    Ok(untagged.chain(deleted).collect())
}

/// `run --rmi`: takes away the name a container was made by, and the image with its last name. What another container or
/// image uses stays, and so does a name that was given to another image meanwhile.
///
/// # Errors
/// What the file systems say.
pub fn remove_unused(engine: &Engine, name: &str, id: &Digest) -> Result<(), Error> {
    if users(engine)?(id).is_some() || store(engine).resolve_id(name).ok().as_ref() != Some(id) {
        return Ok(());
    }
    match remove(engine, name, &RemoveImageOptions::default()) {
        Err(error) if !matches!(error.kind(), Kind::Conflict | Kind::NotFound) => Err(error),
        _ => Ok(()),
    }
}

/// Tells which container uses an image.
fn users(engine: &Engine) -> Result<impl Fn(&Digest) -> Option<String>, Error> {
    let (containers, _) = Containers::new(&engine.paths).list()?;
    Ok(move |id: &Digest| {
        let user = containers.iter().find(|entry| entry.record.uses_image(id.hex()))?;
        Some(format!("container {} ({}) uses it", short(&user.record.id), user.record.name))
    })
}

/// Removes the containers of an image; whether there were any.
fn remove_users(engine: &Engine, id: &Digest) -> Result<bool, Error> {
    let (containers, _) = Containers::new(&engine.paths).list()?;
    let mut any = false;
    for entry in containers.iter().filter(|entry| entry.record.uses_image(id.hex())) {
        let options = RemoveOptions { force: true, timeout: Some(0), ..RemoveOptions::default() };
        super::container::rm::remove(engine, &entry.record.id, &options)?;
        any = true;
    }
    Ok(any)
}

/// Opens an image's layers, topmost first, to be read as one tree; and whether owners are recorded in them, as with one id
/// now or when they were made.
fn opened(image: &RunImage) -> Result<(Vec<OwnedFd>, bool), Error> {
    let recorded = IdMap::is_single_here() || image.layers.iter().any(|layer| are_recorded(layer));
    let open = |layer: &PathBuf| File::open(layer).map(OwnedFd::from).map_err(Error::io("open", layer));
    Ok((image.layers.iter().rev().map(open).collect::<Result<_, _>>()?, recorded))
}

/// Deleting files takes long; nobody waits for it.
fn after_removal(engine: &Engine, store: &ImageStore, report: &RemoveReport) {
    // As with podman, what is mounted here goes first: else its files would go from under it one by one.
    if !report.deleted.is_empty() && crate::userns::is_inside(&engine.paths.run) {
        for (id, place) in mounted::all(engine, Of::Image) {
            if report.deleted.iter().any(|deleted| deleted.hex() == id) {
                mounted::unmount(&place, true).ok();
            }
        }
    }
    if !report.deleted.is_empty() {
        crate::image::durable::clear_in_background(store.data()).ok();
    }
}

/// Everything known of an image, with docker's keys.
///
/// # Errors
/// No such image; a damaged one.
pub fn inspect(engine: &Engine, name: &str) -> Result<Value, Error> {
    let store = store(engine);
    let Image { record, names, repo_digests, .. } = store.resolve(name)?;
    let config = store.config(&record.id)?;
    let layers = LayerStore::open(store.data());
    let upper: Vec<_> = record.unique_layers().iter().rev().filter_map(|layer| layers.dir(layer)).collect();
    Ok(json!({
        "Id": record.id.to_string(),
        "RepoTags": names.iter().map(|name| name.familiar()).collect::<Vec<_>>(),
        "RepoDigests": repo_digests.iter().map(|name| name.familiar()).collect::<Vec<_>>(),
        "Parent": record.parent.as_ref().map(ToString::to_string).unwrap_or_default(),
        "Comment": config.history.last().and_then(|step| step.comment.clone()).unwrap_or_default(),
        "Created": config.created.clone().unwrap_or_default(),
        "Author": config.author.clone().unwrap_or_default(),
        "Config": complete(serde_json::to_value(&config.config).unwrap_or_default()),
        "Architecture": config.architecture,
        "Variant": config.variant.clone().unwrap_or_default(),
        "Os": config.os,
        "Size": record.size,
        "VirtualSize": record.size,
        "GraphDriver": { "Name": "overlay", "Data": { "LowerDirs": upper } },
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids },
        "Metadata": { "LastTagTime": time::rfc3339_nano(record.pulled_at.saturating_mul(1_000_000_000)) },
        "Labels": config.config.labels,
        "Digest": record.manifests.first().map(ToString::to_string).unwrap_or_default(),
    }))
}

/// The steps an image was made in, newest first, with docker's keys.
///
/// # Errors
/// No such image; a damaged one.
pub fn history(engine: &Engine, name: &str, human: bool, no_trunc: bool) -> Result<Vec<Value>, Error> {
    let store = store(engine);
    let record = store.resolve(name)?.record;
    let config = store.config(&record.id)?;
    let layers = LayerStore::open(store.data());
    let mut diff_ids = config.rootfs.diff_ids.iter();
    let now = time::now();
    let mut rows = Vec::with_capacity(config.history.len());
    for step in &config.history {
        let layer = if step.empty_layer { None } else { diff_ids.next() };
        let bytes = layer.and_then(|layer| layers.record(layer)).map_or(0, |record| record.report.bytes);
        let created = step.created.clone().unwrap_or_default();
        let since = time::parse_rfc3339(&created).map_or_else(
            |_| "N/A".to_owned(),
            |then| format!("{} ago", duration::human(now.saturating_sub(then) / 1_000_000_000)),
        );
        let by = step.created_by.clone().unwrap_or_default();
        let by = if no_trunc { by } else { crate::format::shell::ellipsis(&by, 45) };
        rows.push(json!({
            "ID": "<missing>",
            "CreatedSince": if human { since } else { created.clone() },
            "CreatedAt": created,
            "CreatedBy": by,
            "Size": if human { size::human3(bytes) } else { bytes.to_string() },
            "Comment": step.comment.clone().unwrap_or_default(),
        }));
    }
    if let Some(last) = rows.last_mut() {
        let id = if no_trunc { record.id.to_string() } else { record.id.short().to_owned() };
        last["ID"] = id.into();
    }
    rows.reverse();
    Ok(rows)
}

/// The keys docker always shows, so that templates find them.
fn complete(mut config: Value) -> Value {
    if let Value::Object(fields) = &mut config {
        for (key, empty) in [("User", json!("")), ("WorkingDir", json!("")), ("Env", json!([]))] {
            fields.entry(key).or_insert(empty);
        }
        for key in ["Cmd", "Entrypoint", "ExposedPorts", "Labels", "OnBuild", "Volumes"] {
            fields.entry(key).or_insert(Value::Null);
        }
    }
    config
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// How many containers each image has, by its hexadecimal id.
fn containers_of(engine: &Engine) -> Result<BTreeMap<String, usize>, Error> {
    let (containers, _) = Containers::new(&engine.paths).list()?;
    let mut counts = BTreeMap::new();
    for entry in containers {
        *counts.entry(entry.record.image.id).or_insert(0) += 1;
    }
    Ok(counts)
}
