//! `system check`: whether what the store says is so, and putting it right.
//!
//! Layers are verified by writing their archives again and hashing them, blobs by hashing them. What is bad is moved away
//! and fetched again from where its image came.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::archives;
use crate::engine::child::in_child;
use crate::engine::image::{pull, store};
use crate::engine::options::PullOptions;
use crate::engine::{Engine, Error};
use crate::image::config::MAX_CONFIG;
use crate::image::layers::LayerError;
use crate::image::pull::Progress;
use crate::image::archive::ArchiveError;
use crate::image::unpack::Owners;
use crate::image::verify::{self, Verdict};
use crate::image::{Image, ImageStore, LayerStore};
use crate::spec::Digest;
use crate::state::Containers;
use crate::userns::IdMap;

/// How to check.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// `-q`: records only, no contents.
    pub quick: bool,
    /// `-r`: put right what is wrong.
    pub repair: bool,
    /// `-f`: with `repair`, remove images and containers that cannot be put right.
    pub force: bool,
}

/// Something wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// `layer`, `archive`, `image`, `blob`, `name`, `container`.
    pub kind: Kind,
    /// Which.
    pub id: String,
    /// What is wrong with it.
    pub problem: String,
    /// What was done about it; none when nothing was, or could be.
    pub done: Option<String>,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A name of an image that is gone.
    Name,
    /// A blob whose bytes are not what it is called by.
    Blob,
    /// A layer that is missing or not what it should be.
    Layer,
    /// The archive of a layer whose files are here.
    Archive,
    /// An image whose parts are not here.
    Image,
    /// A container whose record cannot be read or whose layers are gone.
    Container,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// Images looked at.
    pub images: usize,
    /// Layers whose contents were verified.
    pub layers: usize,
    /// Layers that cannot be verified, because their archives were not kept.
    pub unverified: usize,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

impl CheckReport {
    /// Whether nothing is wrong any more.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.done.is_some())
    }
}

/// Checks names, images, layers, blobs and containers.
///
/// # Errors
/// A store that cannot be read.
pub fn check(engine: &Engine, options: CheckOptions, progress: &dyn Progress) -> Result<CheckReport, Error> {
    let mut report = in_child(engine, false, || look(engine, options, progress))?;
    if options.repair {
        repair(engine, &mut report, options, progress)?;
    }
    Ok(report)
}

fn found(report: &mut CheckReport, kind: Kind, id: impl ToString, problem: impl Into<String>) {
    report.findings.push(Finding { kind, id: id.to_string(), problem: problem.into(), done: None });
}

fn look(engine: &Engine, options: CheckOptions, progress: &dyn Progress) -> Result<CheckReport, Error> {
    let store = store(engine);
    let layers = LayerStore::open(store.data());
    let images = store.list()?;
    let mut report = CheckReport { images: images.len(), ..CheckReport::default() };
    let ids: BTreeSet<&Digest> = images.iter().map(|image| &image.record.id).collect();
    for (name, named) in store.names().list()? {
        if !ids.contains(&named.id) {
            found(&mut report, Kind::Name, name.familiar(), format!("it names the image {}, which is not here", named.id.short()));
        }
    }
    // By content first: reading a bad configuration takes it away.
    if !options.quick {
        for blob in store.blobs().list()? {
            if !store.blobs().is_sound(&blob)? {
                found(&mut report, Kind::Blob, &blob, "its bytes are not what its digest says");
            }
        }
    }
    let mut seen = BTreeSet::new();
    for image in &images {
        let record = &image.record;
        if store.blobs().open(&record.id, None)?.is_none() || store.blobs().read(&record.id, MAX_CONFIG)?.is_none() {
            found(&mut report, Kind::Image, &record.id, "its configuration is missing or damaged");
        }
        for layer in &record.layers {
            if !seen.insert(layer.clone()) {
                continue;
            }
            verify_layer(&store, layer, options, progress, &mut report)?;
        }
    }
    let (containers, damaged) = Containers::new(&engine.paths).list()?;
    for error in damaged {
        found(&mut report, Kind::Container, "?", error.to_string());
    }
    for entry in containers {
        let here = |layer: &String| layer.parse::<Digest>().is_ok_and(|layer| layers.has(&layer));
        if let Some(layer) = entry.record.image.layers.iter().find(|layer| !here(layer)) {
            found(&mut report, Kind::Container, &entry.record.id, format!("its layer {layer} is missing"));
        }
    }
    Ok(report)
}

fn owners() -> Owners {
    if IdMap::of_process("self").is_none_or(|map| map.is_single()) { Owners::Record } else { Owners::Set }
}

fn verify_layer(
    store: &ImageStore,
    layer: &Digest,
    options: CheckOptions,
    progress: &dyn Progress,
    report: &mut CheckReport,
) -> Result<(), Error> {
    if !LayerStore::open(store.data()).has(layer) {
        found(report, Kind::Layer, layer, "it is missing");
        return Ok(());
    }
    if archives::is_lost(store, layer)? {
        found(report, Kind::Archive, layer, "it is missing: images with this layer run, but cannot be saved");
        return Ok(());
    }
    if options.quick {
        return Ok(());
    }
    progress.say(&format!("Checking layer {}", layer.short()));
    match verify::verify(store, layer, owners()) {
        Ok(Verdict::Well) => report.layers += 1,
        Ok(Verdict::Unknown) => report.unverified += 1,
        Ok(Verdict::Added(paths)) => {
            let shown: Vec<String> = paths.iter().take(3).map(|path| format!("/{}", String::from_utf8_lossy(path).escape_debug())).collect();
            let more = if paths.len() > shown.len() { format!(" and {} more", paths.len() - shown.len()) } else { String::new() };
            found(report, Kind::Layer, layer, format!("files were added to it: {}{more}", shown.join(", ")));
        }
        Err(ArchiveError::Layer(LayerError::Damaged { .. })) => found(report, Kind::Layer, layer, "its contents were changed"),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})")).unwrap_or_default();
            found(report, Kind::Layer, layer, format!("its files cannot be read as they were unpacked{cause}"));
        }
    }
    Ok(())
}

fn repair(engine: &Engine, report: &mut CheckReport, options: CheckOptions, progress: &dyn Progress) -> Result<(), Error> {
    let store = store(engine);
    let images = store.list()?;
    let busy: BTreeSet<String> = Containers::new(&engine.paths)
        .list()?
        .0
        .into_iter()
        .filter(|entry| entry.status.run().is_some())
        .flat_map(|entry| entry.record.image.layers)
        .collect();
    let mut again: BTreeSet<Digest> = BTreeSet::new();
    for finding in &mut report.findings {
        match finding.kind {
            Kind::Name => {
                let name = store.reference(&finding.id)?;
                store.untag(&name)?;
                finding.done = Some("removed".to_owned());
            }
            Kind::Blob | Kind::Image => {
                let Ok(blob) = finding.id.parse::<Digest>() else { continue };
                store.blobs().remove(&blob)?;
                let users = images.iter().filter(|image| {
                    let record = &image.record;
                    record.id == blob || record.manifests.contains(&blob) || record.blobs.contains(&blob)
                });
                again.extend(users.map(|image| image.record.id.clone()));
            }
            Kind::Layer if busy.contains(&finding.id) => {
                finding.problem.push_str("; a running container uses it: stop that first");
            }
            Kind::Layer => {
                let Ok(layer) = finding.id.parse::<Digest>() else { continue };
                let tidied = in_child(engine, false, || {
                    if let Ok(Verdict::Added(paths)) = verify::verify(&store, &layer, owners()) {
                        return Ok(verify::remove_added(&store, &layer, &paths).is_ok());
                    }
                    LayerStore::open(&engine.paths.data).retire(&layer).map_err(|error| Error::Storage(error.to_string()))?;
                    Ok(false)
                })?;
                if tidied {
                    finding.done = Some("removed what was added".to_owned());
                    continue;
                }
                again.extend(images.iter().filter(|image| image.record.layers.contains(&layer)).map(|image| image.record.id.clone()));
            }
            Kind::Archive | Kind::Container => {}
        }
    }
    for image in images.iter().filter(|image| again.contains(&image.record.id)) {
        let fetched = fetch(engine, image, progress);
        let well = in_child(engine, false, || Ok(fetched.is_ok() && is_well(&store, image)))?;
        let outcome = match (well, options.force) {
            (true, _) => Some("fetched again".to_owned()),
            (false, true) => remove(engine, image).ok().map(|()| "removed with its image".to_owned()),
            (false, false) => None,
        };
        let record = &image.record;
        for finding in report.findings.iter_mut().filter(|finding| finding.done.is_none() && finding.kind != Kind::Archive) {
            let own = finding.id == record.id.to_string()
                || record.layers.iter().chain(&record.manifests).chain(&record.blobs).any(|part| finding.id == part.to_string());
            if own {
                finding.done.clone_from(&outcome);
                if let Err(reason) = &fetched {
                    finding.problem.push_str(&format!("; {reason}"));
                }
            }
        }
    }
    archives::repair(engine, &images, &mut report.findings, progress)?;
    // A container's layers may be back.
    let layers = LayerStore::open(store.data());
    let containers = Containers::new(&engine.paths);
    for finding in report.findings.iter_mut().filter(|finding| finding.kind == Kind::Container) {
        let here = |layer: &String| layer.parse::<Digest>().is_ok_and(|layer| layers.has(&layer));
        if containers.read(&finding.id).is_ok_and(|record| record.image.layers.iter().all(here)) {
            finding.done = Some("its layers are back".to_owned());
        } else if options.force && finding.id != "?" {
            let how = crate::engine::options::RemoveOptions { force: true, ..Default::default() };
            let removed = crate::engine::container::rm::remove(engine, &finding.id, &how);
            finding.done = removed.ok().map(|()| "removed".to_owned());
        }
    }
    crate::image::durable::clear_in_background(store.data()).ok();
    Ok(())
}

/// Whether all parts of an image are here.
fn is_well(store: &ImageStore, image: &Image) -> bool {
    let layers = LayerStore::open(store.data());
    store.config_bytes(&image.record.id).is_ok() && image.record.layers.iter().all(|layer| layers.has(layer))
}

/// Fetches what is missing of an image from where it came.
pub(super) fn fetch(engine: &Engine, image: &Image, progress: &dyn Progress) -> Result<(), String> {
    let names: Vec<String> = image.repo_digests.iter().map(ToString::to_string).collect();
    if names.is_empty() {
        return Err("it came from no registry: load or build its image again".to_owned());
    }
    let mut reason = String::new();
    let options = PullOptions { platform: Some(image.record.platform.clone()), ..PullOptions::default() };
    for name in names {
        match pull(engine, &name, &options, progress) {
            Ok(_) => return Ok(()),
            Err(error) => reason = format!("it cannot be fetched again: {error}"),
        }
    }
    Err(reason)
}

fn remove(engine: &Engine, image: &Image) -> Result<(), Error> {
    let options = crate::engine::options::RemoveImageOptions { force: true, ..Default::default() };
    in_child(engine, false, || crate::engine::image::remove(engine, image.record.id.hex(), &options).map(drop))
}
