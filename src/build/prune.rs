//! What the build cache takes, and making it smaller.
//!
//! Whatever goes is missed by nobody but the next build: a step that is not here is made again. Layers that images have
//! stay with those images.

use std::collections::BTreeSet;
use std::path::Path;

use super::cache::{Cache, Entry, Outcome};
use crate::engine::{Engine, Error};
use crate::image::LayerStore;
use crate::spec::Digest;

/// What was used within this time stays while other builds run, seconds.
const RECENT: i64 = 3600;

/// How much is removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// Also steps whose layers images have.
    pub all: bool,
    /// Only these.
    pub filter: Filter,
    /// Bytes that may stay; those used last do.
    pub keep: Option<u64>,
}

/// Some of the cache. Several of one kind: any of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// How ids begin.
    pub ids: Vec<String>,
    /// Kinds, as docker calls them: [`Item::kind`].
    pub kinds: Vec<String>,
    /// What descriptions contain.
    pub descriptions: Vec<String>,
    /// Whether images need it too.
    pub shared: Option<bool>,
    /// Not used for so many seconds.
    pub unused_for: Option<i64>,
}

impl Filter {
    /// Whether it is meant; `now` in seconds since 1970.
    pub fn fits(&self, item: &Item, now: i64) -> bool {
        let any = |words: &[String], fits: &dyn Fn(&String) -> bool| words.is_empty() || words.iter().any(fits);
        any(&self.ids, &|id| item.id.starts_with(id))
            && any(&self.kinds, &|kind| item.kind() == kind)
            && any(&self.descriptions, &|text| item.what.contains(text))
            && self.shared.is_none_or(|shared| item.shared == shared)
            && self.unused_for.is_none_or(|limit| now - item.used >= limit)
    }
}

/// A step or a cache mount.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Item {
    /// The step's key, or the mount's name.
    pub id: String,
    /// The instruction, or what it is.
    pub what: String,
    /// Bytes of its own.
    pub size: u64,
    /// When it was last used, seconds since 1970.
    pub used: i64,
    /// It takes nothing that an image does not need too.
    pub shared: bool,
    /// It is a cache mount.
    mount: bool,
}

/// Kinds of a builder's cache. Kelp has two of them.
pub const KINDS: [&str; 6] = ["regular", "exec.cachemount", "internal", "frontend", "source.local", "source.git.checkout"];

impl Item {
    /// As docker calls it.
    pub fn kind(&self) -> &'static str {
        if self.mount { KINDS[1] } else { KINDS[0] }
    }
}

/// Everything in the cache, used last first.
///
/// # Errors
/// When it cannot be read.
pub fn list(engine: &Engine) -> Result<Vec<Item>, Error> {
    crate::engine::build::inside(engine, |_| all(engine, &Cache::open(&engine.paths.data)))
}

fn all(engine: &Engine, cache: &Cache) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    let images = crate::engine::image::store(engine).records()?;
    let layers = LayerStore::open(&engine.paths.data);
    // Of a layer that came from elsewhere the archive is kept, too.
    let archive = |entry: &Entry| match &entry.outcome {
        Outcome::Layer(layer) => layers.blob(layer).map_or(0, |blob| blob.size),
        Outcome::Own | Outcome::Nothing | Outcome::Same(_) | Outcome::Elsewhere => 0,
    };
    let in_images: BTreeSet<&Digest> = images.iter().flat_map(|image| &image.layers).collect();
    for (id, used, entry) in cache.list()? {
        // A layer counts with the images that have it; without one it is the cache that keeps it.
        let is_shared = |entry: &Entry| matches!(&entry.outcome, Outcome::Layer(layer) if in_images.contains(layer));
        let shared = entry.as_ref().is_some_and(is_shared);
        let size = entry.as_ref().filter(|entry| !is_shared(entry)).map_or(0, |entry| entry.size + archive(entry));
        let what = entry.map_or_else(|| "(unusable)".to_owned(), |entry| entry.what);
        items.push(Item { id, what, size, used, shared, mount: false });
    }
    for (id, path, used) in cache.mounts()? {
        items.push(Item { id, what: "cache mount".to_owned(), size: size_of(&path), used, shared: false, mount: true });
    }
    items.sort_by_key(|item| std::cmp::Reverse(item.used));
    Ok(items)
}

/// Bytes of the files in a directory.
fn size_of(dir: &Path) -> u64 {
    let mut size = 0;
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() { todo.push(entry.path()) } else { size += meta.len() }
        }
    }
    size
}

/// What `options` remove of `items`, used last first. `busy`: other builds run.
fn chosen(items: Vec<Item>, options: &PruneOptions, now: i64, busy: bool) -> Vec<Item> {
    let mut kept = 0;
    let fits = |item: &Item| {
        (options.all || !item.shared)
            && options.filter.fits(item, now)
            && !(busy && now - item.used < RECENT)
    };
    items
        .into_iter()
        .filter(|item| {
            let room = options.keep.is_some_and(|limit| kept + item.size <= limit);
            let goes = fits(item) && !room;
            if !goes {
                kept += item.size;
            }
            goes
        })
        .collect()
}

/// Removes steps and cache mounts and returns them.
///
/// # Errors
/// When the cache cannot be read; what cannot be removed stays.
pub fn prune(engine: &Engine, options: &PruneOptions) -> Result<Vec<Item>, Error> {
    crate::engine::build::inside(engine, |_| {
        let cache = Cache::open(&engine.paths.data);
        let alone = cache.alone()?;
        let now = crate::format::time::now() / 1_000_000_000;
        let mut gone = Vec::new();
        for item in chosen(all(engine, &cache)?, options, now, alone.is_none()) {
            let removed = if item.mount {
                cache.remove_mount(&engine.paths.data.join("build/mounts").join(&item.id))
            } else {
                cache.remove(&item.id).map(|()| true)
            };
            if removed.unwrap_or(false) {
                gone.push(item);
            }
        }
        drop(alone);
        cache.clear()?;
        cache.sweep();
        // Layers that only the cache kept.
        crate::engine::system::prune::collect(engine)?;
        Ok(gone)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str, size: u64, used: i64, shared: bool) -> Item {
        Item { id: id.into(), what: String::new(), size, used, shared, mount: false }
    }

    #[test]
    fn what_goes() {
        let items = || vec![item("a", 10, 9_000, false), item("b", 20, 5_000, true), item("c", 30, 1_000, false)];
        let ids = |options: PruneOptions, busy| {
            chosen(items(), &options, 10_000, busy).into_iter().map(|item| item.id).collect::<String>()
        };
        assert_eq!(ids(PruneOptions::default(), false), "ac");
        assert_eq!(ids(PruneOptions { all: true, ..PruneOptions::default() }, false), "abc");
        assert_eq!(ids(PruneOptions { filter: Filter { unused_for: Some(2_000), ..Filter::default() }, ..PruneOptions::default() }, false), "c");
        assert_eq!(ids(PruneOptions { keep: Some(10), ..PruneOptions::default() }, false), "c");
        assert_eq!(ids(PruneOptions { keep: Some(100), all: true, ..PruneOptions::default() }, false), "");
        assert_eq!(ids(PruneOptions::default(), true), "c");
        let only = |filter: Filter| ids(PruneOptions { all: true, filter, ..PruneOptions::default() }, false);
        assert_eq!(only(Filter { ids: vec!["a".into(), "b".into()], ..Filter::default() }), "ab");
        assert_eq!(only(Filter { shared: Some(true), ..Filter::default() }), "b");
        assert_eq!(only(Filter { kinds: vec!["exec.cachemount".into()], ..Filter::default() }), "");
    }
}
