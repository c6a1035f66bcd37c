//! `image prune`: images nobody has a use for.

use std::collections::BTreeSet;

use super::{after_removal, containers_of, store, users};
use crate::engine::filter::{self, Filters};
use crate::engine::{Engine, Error};
use crate::image::{Removal, StoreError};
use crate::spec::Digest;

const KEYS: &[&str] = &["until", "label", "label!", "dangling"];

/// What `image prune` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrunedImages {
    /// docker's lines: `untagged: …`, `deleted: …`.
    pub lines: Vec<String>,
    /// Bytes that were freed.
    pub bytes: u64,
}

/// Removes the images without a name that nothing is built on; with `all` every image no container uses. Those of a list
/// stay.
///
/// # Errors
/// A filter that makes no sense; a store that cannot be written.
pub fn prune(engine: &Engine, all: bool, filters: &[String]) -> Result<PrunedImages, Error> {
    let filters = Filters::parse(filters, KEYS)?;
    let mut all = all;
    for text in filters.values("dangling") {
        all = !filter::boolean("dangling", text)?;
    }
    let until = filter::until(&filters)?.map(|nanos| nanos / 1_000_000_000);
    let with_labels = filters.has("label") || filters.has("label!");
    let store = store(engine);
    let mut pruned = PrunedImages::default();
    let mut entered = false;
    // An image may become removable when the one built on it is gone.
    loop {
        let images = store.list()?;
        let used = containers_of(engine)?;
        let listed = store.listed()?;
        // After the images: one that is seen was leased before it was there.
        let leased = store.leased()?;
        let parents: BTreeSet<Digest> = images.iter().filter_map(|image| image.record.parent.clone()).collect();
        let mut removed = false;
        for image in images {
            let id = &image.record.id;
            let named = !image.names.is_empty() || (!all && !image.repo_digests.is_empty());
            let fits = until.is_none_or(|until| image.record.created.unwrap_or(0) <= until)
                && (!with_labels || store.config(id).is_ok_and(|config| filters.labels(&config.config.labels)));
            if (named && !all) || used.contains_key(id.hex()) || listed.contains(id) || leased.contains(id) || parents.contains(id) || !fits {
                continue;
            }
            if !entered {
                // Layers hold files of subordinate ids.
                crate::userns::enter(&engine.paths.run, false)?;
                entered = true;
            }
            let report = match store.remove(id.hex(), Removal::force(true), &users(engine)?) {
                // Taken into use, or gone, since we looked.
                Err(StoreError::InUse { .. } | StoreError::NotFound(_)) => continue,
                other => other?,
            };
            after_removal(engine, &store, &report);
            removed = true;
            pruned.lines.extend(report.untagged.iter().map(|name| format!("untagged: {}", name.familiar())));
            pruned.lines.extend(report.deleted.iter().map(|id| format!("deleted: {id}")));
            pruned.bytes += report.bytes;
        }
        if !removed {
            return Ok(pruned);
        }
    }
}
