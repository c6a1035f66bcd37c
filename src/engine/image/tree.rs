//! `image tree`: the layers of an image, and the images that share them; `images --tree`: images and their platforms.

use std::collections::{BTreeMap, BTreeSet};

use super::store;
use crate::engine::{Engine, Error};
use crate::image::{Image, ImageStore, LayerStore};
use crate::spec::Digest;

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branch {
    /// Digest of its uncompressed archive.
    pub layer: Digest,
    /// Bytes of its files.
    pub size: u64,
    /// Names (or short ids) of the images it is the uppermost layer of.
    pub top_of: Vec<String>,
    /// Layers that images have right above it: with `what_requires` only.
    pub above: Vec<Branch>,
}

/// An image and its layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    /// The image.
    pub id: Digest,
    /// Its names.
    pub names: Vec<String>,
    /// Bytes of its layers.
    pub size: u64,
    /// Lowest first; with `what_requires` the uppermost one alone, with all that is above it.
    pub layers: Vec<Branch>,
}

/// An image, or several of one index, as `images --tree` shows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// All names.
    pub names: Vec<String>,
    /// Short id of the image, or of the index where there are several.
    pub id: String,
    /// Each platform.
    pub platforms: Vec<PlatformRow>,
}

/// One platform of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformRow {
    /// `linux/amd64`.
    pub platform: String,
    /// Short digest of its manifest, or its id.
    pub id: String,
    /// Bytes of its layers.
    pub size: u64,
    /// Bytes kept as they came from a registry.
    pub content: u64,
    /// A container uses it.
    pub used: bool,
}

/// Images with their platforms below; those that came by the same index together.
///
/// # Errors
/// As [`super::list`].
pub fn forest(engine: &Engine, options: &super::ListOptions) -> Result<Vec<Group>, Error> {
    let store = store(engine);
    let shown = super::list(engine, &super::ListOptions { no_trunc: true, ..options.clone() })?;
    let ids: BTreeSet<&str> = shown.rows.iter().filter_map(|row| row.json["ID"].as_str()).collect();
    let counts = super::containers_of(engine)?;
    let images = store.list_readable()?.0;
    let mut groups: Vec<(Digest, Group)> = Vec::new();
    for list in store.lists().all()?.into_iter().filter(|list| ids.contains(list.id().to_string().as_str())) {
        let members = images.iter().filter(|image| list.holds(&image.record.id));
        let platforms = members.map(|image| platform_row(&store, image, &counts)).collect();
        let (name, id) = (list.reference()?.familiar(), list.id());
        groups.push((id.clone(), Group { names: vec![name], id: id.short().to_owned(), platforms }));
    }
    for image in images.into_iter().filter(|image| ids.contains(image.record.id.to_string().as_str())) {
        let record = &image.record;
        let row = platform_row(&store, &image, &counts);
        let names = image.names.iter().map(|name| name.familiar());
        // The outermost index comes last.
        let key = record.manifests.last().unwrap_or(&record.id);
        match groups.iter_mut().find(|(other, _)| other == key) {
            Some((_, group)) => {
                group.names.extend(names);
                group.platforms.push(row);
                group.id = key.short().to_owned();
            }
            None => groups.push((key.clone(), Group { names: names.collect(), id: record.id.short().to_owned(), platforms: vec![row] })),
        }
    }
    Ok(groups.into_iter().map(|(_, group)| group).collect())
}

fn platform_row(store: &ImageStore, image: &Image, containers: &BTreeMap<String, usize>) -> PlatformRow {
    let record = &image.record;
    let kept = record.blobs.iter().chain(&record.manifests).chain([&record.id]);
    PlatformRow {
        platform: record.platform.to_string(),
        id: record.manifests.first().unwrap_or(&record.id).short().to_owned(),
        size: record.size,
        content: kept.filter_map(|blob| std::fs::metadata(store.blobs().path(blob)).ok()).map(|meta| meta.len()).sum(),
        used: containers.contains_key(record.id.hex()),
    }
}

/// The layers of an image; with `what_requires` what is built upon it.
///
/// # Errors
/// No such image.
pub fn tree(engine: &Engine, name: &str, what_requires: bool) -> Result<Tree, Error> {
    let store = store(engine);
    let image = store.resolve(name)?;
    let layers = LayerStore::open(store.data());
    let (images, _) = store.list_readable()?;
    let mut tops: BTreeMap<Vec<Digest>, Vec<String>> = BTreeMap::new();
    for other in &images {
        let mut names: Vec<String> = other.names.iter().map(|name| name.familiar()).collect();
        if names.is_empty() {
            names.push(other.record.id.short().to_owned());
        }
        tops.entry(other.record.layers.clone()).or_default().extend(names);
    }
    let own = image.record.layers.clone();
    let branch = |stack: &[Digest]| {
        let layer = stack.last().cloned().unwrap_or_else(|| Digest::of(b""));
        let size = layers.record(&layer).map_or(0, |record| record.report.bytes);
        Branch { layer, size, top_of: tops.get(stack).cloned().unwrap_or_default(), above: Vec::new() }
    };
    let branches = if what_requires {
        let stacks: Vec<&[Digest]> = images.iter().map(|other| &*other.record.layers).filter(|stack| stack.starts_with(&own)).collect();
        vec![above(&own, &stacks, &branch)]
    } else {
        (1..=own.len()).map(|height| branch(&own[..height])).collect()
    };
    Ok(Tree {
        id: image.record.id,
        names: image.names.iter().map(|name| name.familiar()).collect(),
        size: image.record.size,
        layers: branches,
    })
}

fn above(stack: &[Digest], stacks: &[&[Digest]], branch: &dyn Fn(&[Digest]) -> Branch) -> Branch {
    let mut own = branch(stack);
    let mut seen: Vec<&[Digest]> = Vec::new();
    for other in stacks {
        let Some(next) = other.get(..=stack.len()).filter(|next| next.starts_with(stack)) else { continue };
        if !seen.contains(&next) {
            seen.push(next);
            own.above.push(above(next, stacks, branch));
        }
    }
    own
}
