//! The layer store: unpacked layers, each a directory named by the digest of its uncompressed archive.
//!
//! ```text
//! layers/sha256/<hex>/fs           the tree
//! layers/sha256/<hex>/on/<name>/   directories that differ where the layer lies on certain others (see adopt)
//! layers/sha256/<hex>/layer.json   what it is; without it, or unreadable, the layer is not here
//! layers/sha256/<hex>/archive.zst  the archive's structure, to write it again byte for byte (see unpack::record)
//! layers/sha256/<hex>/blob.json    else the blob that holds the archive (see [`blob`])
//! layers/tmp/<name>/               a layer in the making, its `lock` held; unlocked it is garbage
//! ```
//! Owns these directories: making, finding and removing layers, and waiting for another process that makes the same one.
//! Must not know images, archives' formats or the network. Durability is [`super::durable`]'s.

use std::ffi::{CString, OsStr};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::unpack::{UnpackError, UnpackReport, replay};
use crate::spec::{Digest, Digester};
use crate::sys::identity;
use crate::sys::tree::remove_tree;

mod adopt;
mod blob;
mod usage;
#[cfg(test)]
mod tests;
mod txn;

pub use adopt::Place;
pub use blob::LayerBlob;
pub use txn::LayerTxn;
pub use usage::blocks;

const VERSION: u32 = 1;
const TREE: &str = "fs";
const RECORD: &str = "layer.json";
const ARCHIVE: &str = "archive.zst";
const LOCK: &str = "lock";

/// What can go wrong with the layer store.
#[derive(Debug, thiserror::Error)]
pub enum LayerError {
    /// A file operation failed.
    #[error("cannot {op} {path}: {source}")]
    Io {
        /// What was tried.
        op: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The layer's archive could not be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// No such layer.
    #[error("layer {0} is not here; pull or load its image again")]
    Missing(Digest),
    /// The archive a layer came from cannot be written again.
    #[error("the archive of layer {0} was not kept; pull or load its image again")]
    NotKept(Digest),
    /// The archive a layer came from is not what it was.
    #[error("the archive kept of layer {0} was damaged and is removed now; pull or load its image again")]
    KeptDamaged(Digest),
    /// Its archive is lost, and its files do not fit the one that was to take the place.
    #[error("the files of layer {0} were changed and its archive is lost: remove its images (kelp rmi --force ID), then load them again")]
    Changed(Digest),
    /// What is here is not what was unpacked.
    #[error(
        "layer {expected} is damaged: writing its archive gave {actual}; run `kelp system check --repair`, then pull or load its image again if need be"
    )]
    Damaged {
        /// The layer.
        expected: Digest,
        /// What came out.
        actual: Digest,
    },
}

impl LayerError {
    fn io(op: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { op, path, source }
    }
}

/// What is recorded of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerRecord {
    /// Version of this record's form.
    pub version: u32,
    /// Digest of the uncompressed archive.
    pub digest: Digest,
    /// Boot it was written in.
    pub boot_id: String,
    /// Whether it has reached the disk.
    pub synced: bool,
    /// Whether the archive can be written again from `archive.zst` and the tree.
    #[serde(default)]
    pub archive: bool,
    /// Directories it says nothing of have taken over what they are from the layers below in an image.
    #[serde(default)]
    pub adopted: bool,
    /// What was unpacked.
    #[serde(default)]
    pub report: UnpackReport,
}

/// The layers under one data directory.
#[derive(Debug, Clone)]
pub struct LayerStore {
    root: PathBuf,
}

/// What [`LayerStore::begin`] found.
#[derive(Debug)]
pub enum Claim {
    /// The layer is here.
    Present(PathBuf),
    /// It is not; this is where to make it.
    Absent(LayerTxn),
}

impl LayerStore {
    /// The store under `data` (`$XDG_DATA_HOME/kelp`); touches nothing.
    #[must_use]
    pub fn open(data: &Path) -> Self {
        Self {
            root: data.join("layers"),
        }
    }

    /// Whether a layer is here, whole.
    #[must_use]
    pub fn has(&self, layer: &Digest) -> bool {
        self.record(layer).is_some()
    }

    /// The tree of a layer, if it is here and whole.
    #[must_use]
    pub fn dir(&self, layer: &Digest) -> Option<PathBuf> {
        self.record(layer).map(|_| self.tree(layer))
    }

    /// Where the tree of a layer is, if it is here.
    #[must_use]
    pub fn tree(&self, layer: &Digest) -> PathBuf {
        self.path(layer).join(TREE)
    }

    /// The record of a layer; none when it is not here, damaged, or was lost with the power.
    #[must_use]
    pub fn record(&self, layer: &Digest) -> Option<LayerRecord> {
        let bytes = fs::read(self.path(layer).join(RECORD)).ok()?;
        let record: LayerRecord = serde_json::from_slice(&bytes).ok()?;
        let whole = record.version == VERSION
            && record.digest == *layer
            && (record.synced || record.boot_id == identity::boot_id());
        whole.then_some(record)
    }

    /// Whether a layer is here with the structure of its archive.
    #[must_use]
    pub fn is_recorded(&self, layer: &Digest) -> bool {
        self.record(layer).is_some_and(|record| record.archive) && self.path(layer).join(ARCHIVE).exists()
    }

    /// Every layer here, whole or not.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Digest>, LayerError> {
        let mut found = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            for name in names(&self.root.join(algorithm))? {
                found.extend(format!("{algorithm}:{name}").parse::<Digest>().ok());
            }
        }
        Ok(found)
    }

    /// Finds a layer or claims making it. `waiting` is called once when another process is making it just now; that one
    /// is waited for, and its work used.
    ///
    /// # Errors
    /// When the place cannot be made or locked.
    pub fn begin(&self, layer: &Digest, waiting: &mut dyn FnMut()) -> Result<Claim, LayerError> {
        loop {
            if let Some(dir) = self.dir(layer) {
                return Ok(Claim::Present(dir));
            }
            let Some(lock) = self.lock(layer.hex(), Some(waiting))? else {
                continue;
            };
            if let Some(dir) = self.dir(layer) {
                self.discard(layer.hex());
                return Ok(Claim::Present(dir));
            }
            let txn = LayerTxn::start(self, layer.hex().to_owned(), Some(layer.clone()), lock)?;
            return Ok(Claim::Absent(txn));
        }
    }

    /// Begins a layer whose digest is only known once it has been read.
    ///
    /// # Errors
    /// When the place cannot be made.
    pub fn begin_unnamed(&self) -> Result<LayerTxn, LayerError> {
        loop {
            let mut random = [0u8; 8];
            getrandom::fill(&mut random).map_err(|e| {
                LayerError::io("name a directory in", &self.root)(io::Error::other(e.to_string()))
            })?;
            let name = format!("new-{:016x}", u64::from_ne_bytes(random));
            if let Some(lock) = self.lock(&name, None)? {
                return LayerTxn::start(self, name, None, lock);
            }
        }
    }

    /// Removes a layer; absent is fine. The caller knows that nobody uses it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, layer: &Digest) -> Result<(), LayerError> {
        match self.retire(layer)? {
            Some(name) => self.remove_tmp(&name),
            None => Ok(()),
        }
    }

    /// Moves a layer out of sight, for [`LayerStore::gc`] to delete: deleting takes long on some file systems. Returns
    /// its name in `tmp/`, if it was here. The caller knows that nobody uses it.
    ///
    /// # Errors
    /// When it cannot be moved.
    pub fn retire(&self, layer: &Digest) -> Result<Option<String>, LayerError> {
        let path = self.path(layer);
        // Moved away first: half a layer never has its name.
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).map_err(|e| {
            LayerError::io("name a directory in", &self.root)(io::Error::other(e.to_string()))
        })?;
        let name = format!("old-{:016x}", u64::from_ne_bytes(random));
        make_dir(&self.tmp(""))?;
        match fs::rename(&path, self.tmp(&name)) {
            Ok(()) => Ok(Some(name)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(LayerError::io("remove", &path)(error)),
        }
    }

    /// Removes what interrupted work left: directories in the making that nobody has locked, and layers that did not
    /// survive a power cut. Returns how many.
    ///
    /// # Errors
    /// When a directory cannot be read or removed.
    pub fn gc(&self) -> Result<usize, LayerError> {
        let mut removed = 0;
        for name in names(&self.tmp(""))? {
            let path = self.tmp(&name).join(LOCK);
            let lock = match open_lock(&path) {
                Ok(lock) => lock,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                // A stray file.
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                    remove_below(&self.tmp(""), &name)?;
                    continue;
                }
                Err(error) => return Err(LayerError::io("open", &path)(error)),
            };
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && is_at(&lock, &path)
            {
                self.remove_tmp(&name)?;
                removed += 1;
            }
        }
        for layer in self.list()? {
            if !self.has(&layer) && self.lock(layer.hex(), None)?.is_some() {
                // Under its lock, so that nobody is just putting it there.
                if !self.has(&layer) {
                    self.remove(&layer)?;
                    removed += 1;
                }
                self.discard(layer.hex());
            }
        }
        Ok(removed)
    }

    /// Writes the archive a layer was unpacked from, byte for byte, and checks it. Returns its length.
    ///
    /// # Errors
    /// [`LayerError::NotKept`] when that is not possible; [`LayerError::Damaged`] when the result is another archive
    /// (which has been written by then).
    pub fn write_archive(&self, layer: &Digest, out: &mut dyn Write) -> Result<u64, LayerError> {
        if !self.has(layer) {
            return Err(LayerError::Missing(layer.clone()));
        }
        if !self.is_recorded(layer) {
            return Err(LayerError::NotKept(layer.clone()));
        }
        let path = self.path(layer);
        let open = |name: &str| File::open(path.join(name)).map_err(LayerError::io("open", &path));
        replay_checked(layer, open(ARCHIVE)?, &open(TREE)?, out, &path)
    }

    /// Layers whose record is not marked as synced, of this boot.
    #[must_use]
    pub fn unsynced(&self) -> Vec<Digest> {
        let mut layers = self.list().unwrap_or_default();
        layers.retain(|layer| self.record(layer).is_some_and(|record| !record.synced));
        layers
    }

    /// Marks a layer as safely on disk.
    ///
    /// # Errors
    /// When its record cannot be written.
    pub fn mark_synced(&self, layer: &Digest) -> Result<(), LayerError> {
        let record = self
            .record(layer)
            .ok_or_else(|| LayerError::Missing(layer.clone()))?;
        let record = LayerRecord {
            synced: true,
            ..record
        };
        write_record(&self.path(layer), &record)
    }

    fn path(&self, layer: &Digest) -> PathBuf {
        self.root.join(layer.path())
    }

    fn tmp(&self, name: &str) -> PathBuf {
        self.root.join("tmp").join(name)
    }

    /// Locks `tmp/<name>`, made if need be. Without `waiting`, none when somebody else has it; none also when the
    /// directory went away meanwhile.
    fn lock(
        &self,
        name: &str,
        waiting: Option<&mut dyn FnMut()>,
    ) -> Result<Option<File>, LayerError> {
        let dir = self.tmp(name);
        let path = dir.join(LOCK);
        make_dir(&dir)?;
        let lock = match open_lock(&path) {
            Ok(lock) => lock,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LayerError::io("create", &path)(error)),
        };
        let outcome = match (
            flock(&lock, FlockOperation::NonBlockingLockExclusive),
            waiting,
        ) {
            (Err(Errno::WOULDBLOCK), None) => return Ok(None),
            (Err(Errno::WOULDBLOCK), Some(waiting)) => {
                waiting();
                rustix::io::retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive))
            }
            (other, _) => other,
        };
        match outcome {
            // File systems without locks do without.
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(LayerError::io("lock", &path)(errno.into())),
        }
        // Whoever had it may have finished and taken the directory away.
        Ok(is_at(&lock, &path).then_some(lock))
    }

    /// Removes `tmp/<name>`, its lock held. Failure leaves garbage for [`LayerStore::gc`].
    fn discard(&self, name: &str) {
        self.remove_tmp(name).ok();
    }

    fn remove_tmp(&self, name: &str) -> Result<(), LayerError> {
        // The lock last: until then nobody else gets in.
        for part in [TREE, RECORD, ARCHIVE, blob::BLOB] {
            remove_below(&self.tmp(name), part)?;
        }
        remove_below(&self.tmp(""), name)
    }
}

/// Hashes what passes.
pub(super) struct Hashed<'o> {
    pub(super) out: &'o mut dyn Write,
    pub(super) digester: Digester,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.out.write(bytes)?;
        self.digester.update(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes an archive from its structure and a layer's tree. `path` is for messages.
fn replay_checked(layer: &Digest, structure: File, tree: &File, out: &mut dyn Write, path: &Path) -> Result<u64, LayerError> {
    let mut hashed = Hashed { out, digester: Digester::new(layer.algorithm()) };
    let written = replay(structure, tree.as_fd(), &mut hashed).map_err(LayerError::io("write the archive of", path))?;
    let actual = hashed.digester.finish();
    match actual == *layer {
        true => Ok(written),
        false => Err(LayerError::Damaged { expected: layer.clone(), actual }),
    }
}

fn write_record(dir: &Path, record: &LayerRecord) -> Result<(), LayerError> {
    let path = dir.join(RECORD);
    // A name of its own: two that mark a layer as synced would else put half a record in place, and the layer be gone.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let aside = dir.join(format!("layer.json.{}-{}.new", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let write = || {
        fs::write(&aside, serde_json::to_vec(record)?)?;
        fs::rename(&aside, &path)
    };
    write().map_err(|error| {
        fs::remove_file(&aside).ok();
        LayerError::io("write", &path)(error)
    })
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Whether `path` still names the open file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => ours.ino() == there.ino() && ours.dev() == there.dev(),
        _ => false,
    }
}

/// Makes a directory and its parents, for the user alone.
fn make_dir(path: &Path) -> Result<(), LayerError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(LayerError::io("create directory", path))
}

fn remove_below(dir: &Path, name: &str) -> Result<(), LayerError> {
    let fd = match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(LayerError::io("open", dir))?,
    };
    let failed = LayerError::io("remove", &dir.join(name));
    match CString::new(OsStr::new(name).as_bytes()) {
        Ok(name) => remove_tree(fd.as_fd(), &name).map(drop).map_err(failed),
        Err(error) => Err(failed(error.into())),
    }
}

/// Names in a directory; an absent one is empty. Names that are not UTF-8 are none of ours.
fn names(dir: &Path) -> Result<Vec<String>, LayerError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(LayerError::io("read directory", dir))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(LayerError::io("read directory", dir))?;
        found.extend(entry.file_name().into_string());
    }
    Ok(found)
}
