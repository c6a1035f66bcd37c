//! The build cache: results of steps by key, each the upper directory of its overlay, used in place.
//!
//! ```text
//! build/steps/<key>/entry.json   what it is; without it, or unreadable, the step is not here
//! build/steps/<key>/fs           the files, until they become a layer of an image
//! build/tmp/<name>/              a step in the making, its `lock` held; unlocked it is garbage
//! build/old/                     steps taken out of the cache while builds may still use them
//! build/locks/<key>              held by who makes that step
//! build/mounts/<id>/             `RUN --mount=type=cache`
//! build/synced.json              up to when entries of earlier boots have reached the disk
//! ```
//! Owns these directories. An entry appears by one rename and never changes, but that its files may move to the layer store
//! (then its record says which layer; a pin keeps it there, and layers of the same files with another latest time are remembered,
//! not kept). Works as root of the user's namespace. Knows no Dockerfiles.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::engine::Error;
use crate::image::LayerStore;
use crate::spec::Digest;
use crate::sys::identity::boot_id;
use crate::sys::tree::remove_tree;

const VERSION: u32 = 1;
const ENTRY: &str = "entry.json";
const TREE: &str = "fs";
const LOCK: &str = "lock";
/// Boots remembered in `synced.json`.
const BOOTS: usize = 16;
/// Layers of one step with other times that are remembered.
const OTHERS: usize = 8;
/// Largest record read.
const MAX_ENTRY: u64 = 1 << 20;

/// The result of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Files, in the entry's own directory.
    Own,
    /// Nothing was changed.
    Nothing,
    /// Files, in the layer store.
    Layer(Digest),
    /// The same as another step's, whose inputs had other keys and the same content.
    Same(String),
    /// Files that did not come along with a cache from elsewhere: they are made when somebody needs them.
    Elsewhere,
}

/// The record of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Version of this record's form.
    pub version: u32,
    /// Its key.
    pub key: String,
    /// When it was made, nanoseconds since 1970.
    pub created: i64,
    /// The boot it was made in.
    pub boot: String,
    /// The instruction, for people.
    pub what: String,
    /// Bytes of its files.
    pub size: u64,
    /// What came of it.
    pub outcome: Outcome,
    /// When it began to be made, seconds since 1970, by the clock that stamps files; 0 when that is not known.
    #[serde(default)]
    pub started: i64,
    /// The latest time its layer says.
    #[serde(default)]
    pub newest: Option<i64>,
    /// Layers of the same files with other latest times, those of late.
    #[serde(default)]
    pub others: Vec<(i64, Digest)>,
}

/// The cache of one data directory.
#[derive(Debug, Clone)]
pub struct Cache {
    data: PathBuf,
    root: PathBuf,
    synced: BTreeMap<String, i64>,
}

/// A step in the making: a directory that goes when this is dropped.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    name: String,
    _lock: File,
}

/// Held by who makes a step.
#[derive(Debug)]
pub struct StepLock {
    path: PathBuf,
    _file: File,
}

impl Drop for StepLock {
    fn drop(&mut self) {
        // Whoever waits for it notices that the file is another.
        fs::remove_file(&self.path).ok();
    }
}

impl Cache {
    /// The cache under `data`; touches nothing.
    pub fn open(data: &Path) -> Self {
        let root = data.join("build");
        let synced = fs::read(root.join("synced.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
        Self { data: data.to_owned(), root, synced: synced.unwrap_or_default() }
    }

    fn entry_dir(&self, key: &str) -> PathBuf {
        self.root.join("steps").join(key)
    }

    /// The record of a step, if it is here and whole; of the step that is the same, if it is but a reference.
    pub fn get(&self, key: &str) -> Option<Entry> {
        let entry = self.read(key)?;
        match &entry.outcome {
            Outcome::Same(other) => self.read(other).filter(|entry| !matches!(entry.outcome, Outcome::Same(_))),
            _ => Some(entry),
        }
    }

    /// As [`Cache::get`], and steps whose files are elsewhere.
    pub fn known(&self, key: &str) -> Option<Entry> {
        let whole = |entry: &Entry| entry.outcome == Outcome::Elsewhere || self.files_are_here(entry);
        let entry = self.record(key).filter(whole)?;
        match &entry.outcome {
            Outcome::Same(other) => self.record(other).filter(|entry| whole(entry) && !matches!(entry.outcome, Outcome::Same(_))),
            _ => Some(entry),
        }
    }

    /// Whether a step is known and its files are elsewhere.
    pub fn is_elsewhere(&self, key: &str) -> bool {
        self.known(key).is_some_and(|entry| entry.outcome == Outcome::Elsewhere)
    }

    fn read(&self, key: &str) -> Option<Entry> {
        self.record(key).filter(|entry| self.files_are_here(entry))
    }

    /// What is written of a step, wherever its files are.
    fn record(&self, key: &str) -> Option<Entry> {
        let path = self.entry_dir(key).join(ENTRY);
        let meta = fs::metadata(&path).ok()?;
        if meta.len() > MAX_ENTRY {
            return None;
        }
        let entry: Entry = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let safe = entry.boot == boot_id() || self.synced.get(&entry.boot).is_some_and(|until| entry.created <= *until);
        (entry.version == VERSION && entry.key == key && safe).then_some(entry)
    }

    fn files_are_here(&self, entry: &Entry) -> bool {
        match &entry.outcome {
            Outcome::Own => self.entry_dir(&entry.key).join(TREE).exists(),
            Outcome::Layer(layer) => LayerStore::open(&self.data).has(layer),
            Outcome::Nothing | Outcome::Same(_) => true,
            Outcome::Elsewhere => false,
        }
    }

    /// As [`Cache::get`], and waits for one whose files are just being made a layer. Nobody moves the files of steps whose
    /// locks the caller holds: theirs went with a build that was killed, and waiting would be for oneself.
    ///
    /// # Errors
    /// When its lock cannot be made.
    pub fn settled(&self, key: &str, held: &[&str]) -> Result<Option<Entry>, Error> {
        if let Some(entry) = self.get(key) {
            return Ok(Some(entry));
        }
        let Some(entry) = self.record(key) else { return Ok(None) };
        let moving = match &entry.outcome {
            Outcome::Same(other) => other,
            Outcome::Own | Outcome::Nothing | Outcome::Layer(_) | Outcome::Elsewhere => key,
        };
        if held.contains(&moving) {
            return Ok(None);
        }
        let _lock = self.lock(moving, &mut || ())?;
        Ok(self.get(key))
    }

    fn required(&self, key: &str) -> Result<Entry, Error> {
        self.settled(key, &[])?.ok_or_else(|| Error::Storage(format!("the build cache lost step {key}: build again")))
    }

    /// The files of a step; none when it made none. They move once, when they become a layer.
    ///
    /// # Errors
    /// When they have gone (a cache that was cleared meanwhile).
    pub fn files(&self, key: &str) -> Result<Option<PathBuf>, Error> {
        let entry = self.required(key)?;
        match &entry.outcome {
            Outcome::Own => Ok(Some(self.entry_dir(&entry.key).join(TREE))),
            Outcome::Layer(layer) => Ok(LayerStore::open(&self.data).dir(layer)),
            Outcome::Nothing | Outcome::Same(_) | Outcome::Elsewhere => Ok(None),
        }
    }

    /// Notes that a step was used.
    pub fn touch(&self, key: &str) {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(rustix::fs::CWD, self.entry_dir(key), &times, rustix::fs::AtFlags::empty()).ok();
    }

    /// A directory for a step in the making, with `upper` in it, open to all.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn scratch(&self) -> Result<Scratch, Error> {
        let tmp = self.root.join("tmp");
        make_dir(&tmp)?;
        loop {
            let name = random_name()?;
            let dir = tmp.join(&name);
            DirBuilder::new().mode(0o700).create(&dir).map_err(Error::io("create directory", &dir))?;
            let path = dir.join(LOCK);
            let lock = match open_lock(&path) {
                Err(_) if !dir.exists() => continue,
                other => other?,
            };
            let taken = flock(&lock, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK);
            // One that sweeps may meet it before it is locked: then that one removes it.
            if !taken && is_at(&lock, &path) {
                return Ok(Scratch { root: self.root.clone(), name, _lock: lock });
            }
        }
    }

    /// Waits until nobody else makes the step.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn lock(&self, key: &str, waiting: &mut dyn FnMut()) -> Result<StepLock, Error> {
        let dir = self.root.join("locks");
        make_dir(&dir)?;
        lock_file(&dir.join(key), waiting)
    }

    /// Puts a step in place. When somebody was faster, theirs counts.
    ///
    /// # Errors
    /// When it cannot be written or renamed.
    pub fn publish(&self, scratch: &Scratch, entry: &Entry) -> Result<(), Error> {
        let out = scratch.dir().join("out");
        make_dir(&out)?;
        if entry.outcome == Outcome::Own {
            let (from, to) = (scratch.upper(), out.join(TREE));
            fs::rename(&from, &to).map_err(Error::io("rename", &from))?;
        }
        write_json(&out.join(ENTRY), entry)?;
        let to = self.entry_dir(&entry.key);
        make_dir(&self.root.join("steps"))?;
        for _ in 0..8 {
            match fs::rename(&out, &to) {
                Ok(()) => return Ok(()),
                Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                    if self.read(&entry.key).is_some() {
                        return Ok(());
                    }
                    // What a power cut left of it, or a reference to what has gone.
                    self.remove(&entry.key)?;
                }
                Err(error) => return Err(Error::io("rename", &out)(error)),
            }
        }
        Err(Error::Storage(format!("cannot put step {} in the build cache", entry.key)))
    }

    /// Notes that another key stands for the same result.
    ///
    /// # Errors
    /// As [`Cache::publish`].
    pub fn same(&self, key: &str, as_key: &str, what: &str) -> Result<(), Error> {
        let scratch = self.scratch()?;
        self.publish(&scratch, &Entry::new(key, what, 0, Outcome::Same(as_key.to_owned())))
    }

    /// As [`Cache::same`], in place of what the key stood for so far, which goes.
    ///
    /// # Errors
    /// As [`Cache::publish`].
    pub fn replace(&self, key: &str, as_key: &str, what: &str) -> Result<(), Error> {
        self.remove(key)?;
        self.same(key, as_key, what)
    }

    /// Makes a layer of a step's files with `take`, which moves them, unless that was done before or the layer store has
    /// the same already: then they stay for builds that have them mounted, up to [`Cache::clear`]. Returns its digest; none
    /// when the step made nothing. `newest` is the latest time the layer says: one made for another time is made again, of
    /// the same files. `take` is given the files and when the step began.
    ///
    /// # Errors
    /// Those of `take`; a step that has gone.
    pub fn into_layer(
        &self,
        key: &str,
        newest: Option<i64>,
        take: impl FnOnce(&Path, i64) -> Result<Digest, Error>,
    ) -> Result<Option<Digest>, Error> {
        let key = self.required(key)?.key;
        let _lock = self.lock(&key, &mut || ())?;
        let entry = self.get(&key).ok_or_else(|| Error::Storage(format!("the build cache lost step {key}: build again")))?;
        let dir = self.entry_dir(&entry.key);
        match entry.outcome.clone() {
            Outcome::Nothing | Outcome::Same(_) | Outcome::Elsewhere => Ok(None),
            Outcome::Layer(layer) => match newest.filter(|newest| entry.newest != Some(*newest)) {
                Some(newest) => self.layer_again(&entry, &layer, newest, take).map(Some),
                None => Ok(Some(layer)),
            },
            Outcome::Own => {
                let layer = take(&dir.join(TREE), entry.started)?;
                crate::image::lease::pin(&self.data, &entry.key, &layer).map_err(|error| Error::Storage(error.to_string()))?;
                let entry = Entry { outcome: Outcome::Layer(layer.clone()), newest, ..entry };
                write_json(&dir.join(ENTRY), &entry)?;
                self.retire(&dir.join(TREE))?;
                Ok(Some(layer))
            }
        }
    }

    /// The layer of a step that is one already, with another latest time. Its files are linked, not copied.
    fn layer_again(
        &self,
        entry: &Entry,
        layer: &Digest,
        newest: i64,
        take: impl FnOnce(&Path, i64) -> Result<Digest, Error>,
    ) -> Result<Digest, Error> {
        let layers = LayerStore::open(&self.data);
        if let Some((_, known)) = entry.others.iter().find(|(time, known)| *time == newest && layers.has(known)) {
            return Ok(known.clone());
        }
        let tree = layers.dir(layer).ok_or_else(|| Error::Storage(format!("layer {layer} is missing: build again")))?;
        let scratch = self.scratch()?;
        let files = scratch.subdir("again")?;
        super::squash::merge(&[tree], &files)?;
        let made = take(&files, entry.started)?;
        let mut others: Vec<(i64, Digest)> = entry.others.iter().filter(|(time, _)| *time != newest).cloned().collect();
        others.push((newest, made.clone()));
        others.drain(..others.len().saturating_sub(OTHERS));
        write_json(&self.entry_dir(&entry.key).join(ENTRY), &Entry { others, ..entry.clone() })?;
        Ok(made)
    }

    /// All steps with when they were last used (seconds since 1970), whole or not (then without a record).
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<(String, i64, Option<Entry>)>, Error> {
        let mut all = Vec::new();
        for name in names(&self.root.join("steps"))? {
            let used = fs::metadata(self.entry_dir(&name)).map_or(0, |meta| meta.mtime());
            let entry = self.record(&name).filter(|entry| entry.outcome == Outcome::Elsewhere || self.files_are_here(entry));
            all.push((name, used, entry));
        }
        Ok(all)
    }

    /// The directories of cache mounts: name, last change (seconds since 1970).
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn mounts(&self) -> Result<Vec<(String, PathBuf, i64)>, Error> {
        let dir = self.root.join("mounts");
        let found = names(&dir)?.into_iter().filter(|name| !name.ends_with(".lock"));
        Ok(found
            .map(|name| {
                let path = dir.join(&name);
                let used = fs::metadata(&path).map_or(0, |meta| meta.mtime());
                (name, path, used)
            })
            .collect())
    }

    /// Where a cache mount of this name is kept; the name is hashed, it comes from a Dockerfile.
    pub fn mount_dir(&self, name: &str) -> PathBuf {
        self.root.join("mounts").join(Digest::of(name.as_bytes()).hex())
    }

    /// The lock of a cache mount's directory: shared by users, exclusive with `sharing=locked` and for removal. None when it
    /// is taken.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn lock_mount(&self, dir: &Path, exclusive: bool) -> Result<Option<File>, Error> {
        if let Some(parent) = dir.parent() {
            make_dir(parent)?;
        }
        let path = dir.with_extension("lock");
        let file = open_lock(&path)?;
        let operation = if exclusive { FlockOperation::NonBlockingLockExclusive } else { FlockOperation::NonBlockingLockShared };
        match rustix::io::retry_on_intr(|| flock(&file, operation)) {
            // Removed meanwhile, with what it is the lock of.
            Ok(()) if !is_at(&file, &path) => Ok(None),
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(Error::io("lock", &path)(errno.into())),
        }
    }

    /// Removes a step, its layer being left to the image store. Its own files stay for builds that use them, up to
    /// [`Cache::clear`].
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, key: &str) -> Result<(), Error> {
        if self.retire(&self.entry_dir(key))? {
            crate::image::lease::unpin(&self.data, key);
        }
        Ok(())
    }

    /// Puts a directory aside for [`Cache::clear`]. Returns whether there was one.
    fn retire(&self, from: &Path) -> Result<bool, Error> {
        let old = self.root.join("old");
        make_dir(&old)?;
        match fs::rename(from, old.join(random_name()?)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove", from)(error)),
        }
    }

    /// Removes a cache mount's directory, unless somebody uses it. Returns whether it went.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_mount(&self, dir: &Path) -> Result<bool, Error> {
        let Some(_lock) = self.lock_mount(dir, true)? else { return Ok(false) };
        let scratch = self.scratch()?;
        fs::rename(dir, scratch.dir().join("gone")).map_err(Error::io("remove", dir))?;
        fs::remove_file(dir.with_extension("lock")).ok();
        Ok(true)
    }

    /// Held by each build as long as it runs.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn in_use(&self) -> Result<File, Error> {
        make_dir(&self.root)?;
        let path = self.root.join("use.lock");
        let file = open_lock(&path)?;
        match rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockShared)) {
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(file),
            Err(errno) => Err(Error::io("lock", &path)(errno.into())),
        }
    }

    /// Held by who removes; none when a build runs.
    ///
    /// # Errors
    /// When the lock cannot be made.
    pub fn alone(&self) -> Result<Option<File>, Error> {
        make_dir(&self.root)?;
        let path = self.root.join("use.lock");
        let file = open_lock(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(Error::io("lock", &path)(errno.into())),
        }
    }

    /// Deletes the files of steps that were removed, if no build is at work.
    ///
    /// # Errors
    /// When they cannot be moved out of the way.
    pub fn clear(&self) -> Result<(), Error> {
        let old = self.root.join("old");
        if !old.exists() {
            return Ok(());
        }
        let Some(alone) = self.alone()? else { return Ok(()) };
        let scratch = self.scratch()?;
        fs::rename(&old, scratch.dir().join("gone")).map_err(Error::io("remove", &old))?;
        // Deleting may take long, and nobody needs to wait for it.
        drop(alone);
        drop(scratch);
        Ok(())
    }

    /// Removes what interrupted builds left.
    pub fn sweep(&self) {
        let tmp = self.root.join("tmp");
        for name in names(&tmp).unwrap_or_default() {
            let dir = tmp.join(&name);
            match File::open(dir.join(LOCK)) {
                Ok(lock) => {
                    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
                        discard(&tmp, &name);
                    }
                    // Up to here, so that whoever just made it sees that it is no longer theirs.
                    drop(lock);
                }
                // Made this moment: then it is made again. Or its end was near.
                Err(_) => drop(fs::remove_dir(&dir)),
            }
        }
        let locks = self.root.join("locks");
        for name in names(&locks).unwrap_or_default() {
            let path = locks.join(&name);
            if let Ok(file) = File::open(&path)
                && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok()
                && is_at(&file, &path)
            {
                fs::remove_file(&path).ok();
            }
        }
    }

    /// Notes that what was made up to now has reached the disk, after making sure of it.
    ///
    /// # Errors
    /// When syncing fails.
    pub fn sync(&self) -> Result<(), Error> {
        let until = crate::format::time::now();
        let dir = File::open(&self.data).map_err(Error::io("open", &self.data))?;
        rustix::fs::syncfs(dir.as_fd()).map_err(|errno| Error::io("sync", &self.data)(errno.into()))?;
        let mut synced = Self::open(&self.data).synced;
        synced.insert(boot_id().to_owned(), until);
        while synced.len() > BOOTS {
            let oldest = synced.iter().min_by_key(|(_, until)| **until).map(|(boot, _)| boot.clone());
            oldest.and_then(|boot| synced.remove(&boot));
        }
        write_json(&self.root.join("synced.json"), &synced)
    }
}

impl Entry {
    /// Made now.
    pub fn new(key: &str, what: &str, size: u64, outcome: Outcome) -> Self {
        Self {
            version: VERSION,
            key: key.to_owned(),
            created: crate::format::time::now(),
            boot: boot_id().to_owned(),
            what: what.to_owned(),
            size,
            outcome,
            started: 0,
            newest: None,
            others: Vec::new(),
        }
    }
}

impl Scratch {
    /// The directory.
    pub fn dir(&self) -> PathBuf {
        self.root.join("tmp").join(&self.name)
    }

    /// Where a step's changes go.
    pub fn upper(&self) -> PathBuf {
        self.dir().join("upper")
    }

    /// A new empty directory in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn subdir(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.dir().join(name);
        make_dir(&path)?;
        Ok(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        discard(&self.root.join("tmp"), &self.name);
    }
}

/// Removes a step's directory, its lock last: what is left when this is interrupted is swept.
fn discard(tmp: &Path, name: &str) {
    let dir = tmp.join(name);
    for entry in names(&dir).unwrap_or_default().iter().filter(|entry| *entry != LOCK) {
        remove_below(&dir, entry);
    }
    remove_below(tmp, name);
}

fn random_name() -> Result<String, Error> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}

pub(super) fn make_dir(path: &Path) -> Result<(), Error> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(Error::io("create directory", path))
}

fn open_lock(path: &Path) -> Result<File, Error> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Error::io("create", path))
}

fn lock_file(path: &Path, waiting: &mut dyn FnMut()) -> Result<StepLock, Error> {
    loop {
        let file = open_lock(path)?;
        let outcome = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                waiting();
                rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))
            }
            other => other,
        };
        match outcome {
            // File systems without locks do without.
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(errno) => return Err(Error::io("lock", path)(errno.into())),
        }
        if is_at(&file, path) {
            return Ok(StepLock { path: path.to_owned(), _file: file });
        }
    }
}

/// Whether `path` still names the open file.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => (ours.ino(), ours.dev()) == (there.ino(), there.dev()),
        _ => false,
    }
}

/// Removes a directory of ours with all that is in it. What cannot be removed is left for the next sweep.
fn remove_below(dir: &Path, name: &str) {
    let (Ok(fd), Ok(name)) = (File::open(dir), CString::new(name)) else { return };
    remove_tree(fd.as_fd(), &name).ok();
}

fn names(path: &Path) -> Result<Vec<String>, Error> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(Error::io("read directory", path))?,
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Error> {
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let write = || {
        fs::write(&aside, serde_json::to_vec(value)?)?;
        fs::rename(&aside, path)
    };
    write().map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests;
