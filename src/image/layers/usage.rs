//! How much of the disk a layer takes. Layers never change, so each is measured once.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::{ARCHIVE, LayerStore, RECORD, TREE};
use crate::spec::Digest;

/// Beside the layer's record.
const USAGE: &str = "usage";

impl LayerStore {
    /// Bytes of the blocks a layer takes, hard links counted once. Runs as root of the user's namespace, since directories
    /// may be closed to others; what cannot be read is left out.
    #[must_use]
    pub fn usage(&self, layer: &Digest) -> u64 {
        let dir = self.path(layer);
        let known = fs::read_to_string(dir.join(USAGE)).ok().and_then(|text| text.trim().parse().ok());
        if let Some(bytes) = known {
            return bytes;
        }
        let bytes = [TREE, RECORD, ARCHIVE].iter().map(|part| blocks(&dir.join(part))).sum();
        let aside = dir.join(format!("{USAGE}.{}", std::process::id()));
        if fs::write(&aside, format!("{bytes}\n")).and_then(|()| fs::rename(&aside, dir.join(USAGE))).is_err() {
            // On a full disk it is measured again the next time.
            fs::remove_file(&aside).ok();
        }
        bytes
    }
}

/// Bytes of the blocks of a file or directory with everything below, hard links counted once.
#[must_use]
pub fn blocks(path: &Path) -> u64 {
    let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
    let mut total = meta.blocks() * 512;
    if !meta.is_dir() {
        return total;
    }
    let mut seen = HashSet::new();
    let mut pending = vec![path.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                pending.push(entry.path());
            }
            if meta.is_dir() || meta.nlink() < 2 || seen.insert((meta.dev(), meta.ino())) {
                total += meta.blocks() * 512;
            }
        }
    }
    total
}
