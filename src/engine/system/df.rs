//! `system df`: what kelp's things take of the disk, in real blocks, what is shared counted once.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::container::inside;
use crate::engine::image::store;
use crate::engine::{Engine, Error};
use crate::image::layers::blocks;
use crate::image::{Image, ImageStore, LayerStore};
use crate::spec::Digest;
use crate::state::{Containers, Entry, Status};
use crate::volume::Volumes;

/// One kind of thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Total {
    /// How many there are.
    pub count: usize,
    /// How many are used.
    pub active: usize,
    /// Bytes they take together.
    pub bytes: u64,
    /// Bytes that removing what is not used would free.
    pub reclaimable: u64,
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUsage {
    /// The image with its names.
    pub id: Digest,
    /// Repository and tag of each name; none and none for an image without.
    pub names: Vec<(String, String)>,
    /// When it was made, seconds since 1970.
    pub created: Option<i64>,
    /// Bytes of all its parts.
    pub bytes: u64,
    /// Bytes of the parts other images have too.
    pub shared: u64,
    /// Containers made from it.
    pub containers: usize,
}

/// One container.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerUsage {
    /// The container.
    pub entry: Entry,
    /// Bytes of its own layer.
    pub bytes: u64,
}

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeUsage {
    /// Its name.
    pub name: String,
    /// Containers that use it.
    pub links: usize,
    /// Bytes.
    pub bytes: u64,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// Images together.
    pub images_total: Total,
    /// Containers together.
    pub containers_total: Total,
    /// Volumes together.
    pub volumes_total: Total,
    /// Each image, newest first.
    pub images: Vec<ImageUsage>,
    /// Each container, newest first.
    pub containers: Vec<ContainerUsage>,
    /// Each volume, by name.
    pub volumes: Vec<VolumeUsage>,
}

/// Measures images, containers and volumes.
///
/// # Errors
/// A store that cannot be read.
pub fn df(engine: &Engine) -> Result<Usage, Error> {
    // Files may be closed to the user; what remains unreadable is left out.
    inside::become_root(engine, false).ok();
    let (entries, _) = Containers::new(&engine.paths).list()?;
    let mut usage = Usage::default();
    images(engine, &entries, &mut usage)?;
    for entry in entries {
        let bytes = blocks(&engine.paths.container(&entry.record.id).join("upper"));
        let active = matches!(entry.status, Status::Running(_) | Status::Paused(_) | Status::Restarting(..));
        add(&mut usage.containers_total, bytes, active);
        usage.containers.push(ContainerUsage { entry, bytes });
    }
    let volumes = Volumes::new(&engine.paths);
    let used = volumes.in_use()?;
    for record in volumes.list()?.0 {
        let bytes = blocks(&volumes.data(&record.name));
        let links = used.get(&record.name).map_or(0, Vec::len);
        add(&mut usage.volumes_total, bytes, links > 0);
        usage.volumes.push(VolumeUsage { name: record.name, links, bytes });
    }
    Ok(usage)
}

fn add(total: &mut Total, bytes: u64, active: bool) {
    total.count += 1;
    total.bytes += bytes;
    if active {
        total.active += 1;
    } else {
        total.reclaimable += bytes;
    }
}

/// The parts of an image: layers and blobs, also those its layers came as with another image.
fn parts<'i>(image: &'i Image, came: &'i BTreeMap<Digest, Digest>) -> (BTreeSet<&'i Digest>, BTreeSet<&'i Digest>) {
    let record = &image.record;
    let blobs = record.blobs.iter().chain(&record.manifests).chain([&record.id]);
    (record.layers.iter().collect(), blobs.chain(record.layers.iter().filter_map(|layer| came.get(layer))).collect())
}

/// The blobs that hold the archives of layers.
fn came_as(store: &ImageStore, images: &[Image]) -> BTreeMap<Digest, Digest> {
    let layers = LayerStore::open(store.data());
    let unique: BTreeSet<&Digest> = images.iter().flat_map(|image| &image.record.layers).collect();
    unique.into_iter().filter_map(|layer| Some((layer.clone(), layers.blob(layer)?.digest))).collect()
}

fn images(engine: &Engine, entries: &[Entry], usage: &mut Usage) -> Result<(), Error> {
    let store = store(engine);
    let (images, _) = store.list_readable()?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in entries {
        for id in entry.record.images() {
            *counts.entry(id).or_default() += 1;
        }
    }
    let listed = store.listed()?;
    let is_used = |image: &Image| counts.contains_key(image.record.id.hex()) || listed.contains(&image.record.id);
    let came = came_as(&store, &images);
    let sizes = sizes(&store, &images, &came);
    let mut users: BTreeMap<&Digest, usize> = BTreeMap::new();
    let mut needed: BTreeSet<&Digest> = BTreeSet::new();
    for image in &images {
        let (layers, blobs) = parts(image, &came);
        let used = is_used(image);
        for part in layers.into_iter().chain(blobs) {
            *users.entry(part).or_default() += 1;
            if used {
                needed.insert(part);
            }
        }
    }
    let size = |part: &&Digest| sizes.get(*part).copied().unwrap_or(0);
    usage.images_total = Total {
        count: images.len(),
        active: images.iter().filter(|image| is_used(image)).count(),
        bytes: users.keys().map(size).sum(),
        reclaimable: users.keys().filter(|part| !needed.contains(*part)).map(size).sum(),
    };
    for image in &images {
        let (layers, blobs) = parts(image, &came);
        let all: BTreeSet<&Digest> = layers.into_iter().chain(blobs).collect();
        let none = || "<none>".to_owned();
        let mut names: Vec<(String, String)> = image
            .names
            .iter()
            .map(|name| (name.familiar_name(), name.tag().map_or_else(none, str::to_owned)))
            .collect();
        if names.is_empty() {
            names.push((image.repo_digests.first().map_or_else(none, |name| name.familiar_name()), none()));
        }
        usage.images.push(ImageUsage {
            id: image.record.id.clone(),
            names,
            created: image.record.created,
            bytes: all.iter().map(size).sum(),
            shared: all.iter().filter(|part| users.get(**part).is_some_and(|count| *count > 1)).map(size).sum(),
            containers: counts.get(image.record.id.hex()).copied().unwrap_or(0),
        });
    }
    Ok(())
}

/// Bytes of every layer and blob of some images.
fn sizes(store: &ImageStore, images: &[Image], came: &BTreeMap<Digest, Digest>) -> BTreeMap<Digest, u64> {
    let layers = LayerStore::open(store.data());
    let mut sizes = BTreeMap::new();
    for image in images {
        let (own, blobs) = parts(image, came);
        for layer in own {
            sizes.entry(layer.clone()).or_insert_with(|| layers.usage(layer));
        }
        for blob in blobs {
            sizes.entry(blob.clone()).or_insert_with(|| blocks(&store.blobs().path(blob)));
        }
    }
    sizes
}
