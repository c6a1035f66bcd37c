//! The part of `system check` about layers that are here without the archive they came as.
//!
//! Their images run. Nothing is removed for it, with `--force` neither: only fetching can help.

use super::check::{Finding, Kind, fetch};
use crate::engine::child::in_child;
use crate::engine::image::store;
use crate::engine::{Engine, Error};
use crate::image::pull::Progress;
use crate::image::{Image, ImageStore, LayerStore, origin};
use crate::spec::Digest;

/// Whether an archive that was kept is gone. One that never was, because it could not be recorded, is not missed.
pub(super) fn is_lost(store: &ImageStore, layer: &Digest) -> Result<bool, Error> {
    if origin::is_whole(store, layer)? {
        return Ok(false);
    }
    let layers = LayerStore::open(store.data());
    let was_recorded = layers.record(layer).is_some_and(|record| record.archive);
    Ok(was_recorded || layers.blob(layer).is_some() || !origin::claimed(store, layer)?.is_empty())
}

/// Fetches missing archives from where images with their layers came.
pub(super) fn repair(engine: &Engine, images: &[Image], findings: &mut [Finding], progress: &dyn Progress) -> Result<(), Error> {
    let layers = LayerStore::open(&engine.paths.data);
    for finding in findings.iter_mut().filter(|finding| finding.kind == Kind::Archive) {
        let Ok(layer) = finding.id.parse::<Digest>() else { continue };
        if !layers.has(&layer) {
            finding.done = Some("removed with its image".to_owned());
            continue;
        }
        match fetch_archive(engine, images, &layer, progress)? {
            Ok(()) => finding.done = Some("fetched again".to_owned()),
            Err(reason) => finding.problem.push_str(&format!("; {reason}")),
        }
    }
    Ok(())
}

/// Tries the images with this layer one after the other. The inner error is why none helped.
fn fetch_archive(engine: &Engine, images: &[Image], layer: &Digest, progress: &dyn Progress) -> Result<Result<(), String>, Error> {
    let store = store(engine);
    // An image repaired before may have brought it.
    let is_here = || in_child(engine, false, || Ok(origin::is_whole(&store, layer)?));
    let mut reason = "no image with it came from a registry: build or load one again".to_owned();
    for image in images.iter().filter(|image| image.record.layers.contains(layer) && !image.repo_digests.is_empty()) {
        if is_here()? {
            break;
        }
        if let Err(failure) = fetch(engine, image, progress) {
            reason = failure;
        }
    }
    Ok(if is_here()? { Ok(()) } else { Err(reason) })
}
