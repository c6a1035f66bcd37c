//! Leases: what keeps layers and blobs that no image refers to (yet, or any more) from being removed while somebody works with
//! them.
//!
//! Owns `leases/`: one file per lease, locked by the process that holds it, one digest per line. A file nobody has locked is
//! garbage. Leases are only added to under the store's lock, so that a removal, which holds it too, sees all of them.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::blobs::{make_dir, read_dir};
use super::store::{ImageStore, StoreError};
use crate::spec::Digest;

/// Longest lease read.
const MAX_LEASE: u64 = 1 << 20;

/// Keeps layers until dropped, or until the process ends, however it does.
#[derive(Debug)]
pub struct Lease {
    images: ImageStore,
    path: PathBuf,
    file: File,
}

impl Lease {
    /// A new lease, holding nothing.
    ///
    /// # Errors
    /// When its file cannot be made.
    pub(super) fn new(images: &ImageStore) -> Result<Self, StoreError> {
        let dir = images.data().join("leases");
        make_dir(&dir)?;
        loop {
            let mut random = [0u8; 8];
            getrandom::fill(&mut random).map_err(|e| {
                StoreError::io("name a file in", &dir, io::Error::other(e.to_string()))
            })?;
            let path = dir.join(format!("{:016x}", u64::from_ne_bytes(random)));
            let file = OpenOptions::new()
                .append(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)
                .map_err(|e| StoreError::io("create", &path, e))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // File systems without locks: the file's age protects it.
                Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {}
                // Somebody who clears away has it for a moment.
                Err(_) => continue,
            }
            if fs::metadata(&path).is_ok_and(|there| file.metadata().is_ok_and(|m| m.ino() == there.ino())) {
                return Ok(Self { images: images.clone(), path, file });
            }
        }
    }

    /// Keeps more layers and blobs, here or still to come.
    ///
    /// # Errors
    /// When they cannot be noted.
    pub fn keep<'d>(&mut self, layers: impl IntoIterator<Item = &'d Digest>) -> Result<(), StoreError> {
        let text: String = layers.into_iter().map(|layer| format!("{layer}\n")).collect();
        let _lock = self.images.lock()?;
        self.file.write_all(text.as_bytes()).map_err(|e| StoreError::io("write", &self.path, e))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        fs::remove_file(&self.path).ok();
    }
}

/// Everything that live leases keep; files of dead ones are removed. The store's lock is held.
pub(super) fn leased(data: &Path) -> Result<BTreeSet<Digest>, StoreError> {
    let dir = data.join("leases");
    let mut kept = pinned(data)?;
    for name in read_dir(&dir)? {
        let path = dir.join(name);
        let Ok(file) = File::open(&path) else { continue };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                fs::remove_file(&path).ok();
                continue;
            }
            Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) if is_old(&file) => {
                fs::remove_file(&path).ok();
                continue;
            }
            Err(_) => {}
        }
        let mut text = String::new();
        file.take(MAX_LEASE)
            .read_to_string(&mut text)
            .map_err(|e| StoreError::io("read", &path, e))?;
        kept.extend(text.lines().filter_map(|line| line.parse::<Digest>().ok()));
    }
    Ok(kept)
}

/// Whether a file was last written more than a day ago.
fn is_old(file: &File) -> bool {
    let age = file.metadata().and_then(|m| m.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_none_or(|age| age.as_secs() > 24 * 3600)
}

/// Keeps a layer under a name until [`unpin`], whether or not a process holds it: the build cache's layers. Not more than
/// one layer has a name. The caller has the layer leased, so that it is there until this is done.
///
/// # Errors
/// When it cannot be noted.
pub fn pin(data: &Path, name: &str, layer: &Digest) -> Result<(), StoreError> {
    let dir = data.join("pins");
    make_dir(&dir)?;
    let (path, aside) = (dir.join(name), dir.join(format!(".{name}.new")));
    fs::write(&aside, layer.to_string()).and_then(|()| fs::rename(&aside, &path)).map_err(|e| StoreError::io("write", &path, e))
}

/// Takes a pin away; absent is fine.
pub fn unpin(data: &Path, name: &str) {
    fs::remove_file(data.join("pins").join(name)).ok();
}

/// All layers that are pinned.
fn pinned(data: &Path) -> Result<BTreeSet<Digest>, StoreError> {
    let dir = data.join("pins");
    let read = |name: String| fs::read_to_string(dir.join(name)).ok()?.parse::<Digest>().ok();
    Ok(read_dir(&dir)?.into_iter().filter_map(read).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::ShortNames;

    #[test]
    fn a_lease_keeps_until_it_is_dropped() {
        let dir = std::env::temp_dir().join(format!("kelp-lease-{}", std::process::id()));
        let images = ImageStore::open(&dir, ShortNames::default());
        let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
        let mut lease = images.lease([&one]).unwrap();
        assert_eq!(leased(&dir).unwrap(), BTreeSet::from([one.clone()]));
        lease.keep([&two]).unwrap();
        // What a killed process leaves.
        fs::write(dir.join("leases/dead"), format!("{}\n", Digest::of(b"3"))).unwrap();
        assert_eq!(leased(&dir).unwrap(), BTreeSet::from([one, two]));
        assert!(!dir.join("leases/dead").exists());
        drop(lease);
        assert!(leased(&dir).unwrap().is_empty());
        let four = Digest::of(b"4");
        pin(&dir, "step", &four).unwrap();
        assert_eq!(leased(&dir).unwrap(), BTreeSet::from([four]));
        unpin(&dir, "step");
        assert!(leased(&dir).unwrap().is_empty());
        fs::remove_dir_all(&dir).unwrap();
    }
}
