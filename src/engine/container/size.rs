//! How much a container takes: its own layer by real blocks, and the image below it.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::engine::Engine;
use crate::format::size;
use crate::image::ImageStore;
use crate::spec::Digest;
use crate::state::{ContainerRecord, Paths};

/// Sizes of several containers of one listing.
pub(super) struct Sizes<'a> {
    paths: &'a Paths,
    store: ImageStore,
    images: HashMap<String, u64>,
}

impl<'a> Sizes<'a> {
    /// Becomes root of the user's namespace where that is possible, since a container's files may be closed to the user.
    pub(super) fn open(engine: &'a Engine) -> Self {
        // What remains unreadable is left out.
        let _entered = super::inside::become_root(engine, false);
        let store = ImageStore::open(&engine.paths.data, engine.config.images.short_names());
        Self { paths: &engine.paths, store, images: HashMap::new() }
    }

    /// Bytes of the container's own layer, and with the image.
    pub(super) fn of(&mut self, record: &ContainerRecord) -> (u64, u64) {
        let own = disk_usage(&self.paths.container(&record.id).join("upper"));
        let store = &self.store;
        let image = *self.images.entry(record.image.id.clone()).or_insert_with(|| {
            let id: Option<Digest> = format!("sha256:{}", record.image.id).parse().ok();
            id.and_then(|id| store.record(&id).ok().flatten()).map_or(0, |image| image.size)
        });
        (own, own + image)
    }

    /// The SIZE cell: `12B (virtual 1.98MB)`.
    pub(super) fn cell(&mut self, record: &ContainerRecord) -> String {
        let (own, total) = self.of(record);
        format!("{} (virtual {})", size::human3(own), size::human3(total))
    }
}

/// Bytes of the files below a directory without their holes, hard links counted once; what cannot be read is left out.
pub(crate) fn disk_usage(path: &Path) -> u64 {
    let mut total = 0;
    let mut seen = HashSet::new();
    let mut pending = vec![path.to_owned()];
    while let Some(dir) = pending.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                pending.push(entry.path());
            } else if meta.nlink() < 2 || seen.insert((meta.dev(), meta.ino())) {
                total += taken(meta.len(), meta.blocks() * 512);
            }
        }
    }
    total
}

/// The length, less what was never written; tiny files may be stored inside their inode, with no block at all.
fn taken(length: u64, allocated: u64) -> u64 {
    if allocated == 0 && length <= 4096 { length } else { length.min(allocated) }
}
