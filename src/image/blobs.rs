//! The content store: `blobs/sha256/<hex>`, files named by the digest of their bytes.
//!
//! Owns storing, finding and reading them. A blob is written as `.<hex>.partial` under a lock, checked by the caller and
//! renamed. Nothing is synced to disk here: a power cut may leave a blob with wrong bytes, so every reader checks what it
//! reads ([`BlobStore::read`] by itself, streams by their consumer) and a blob that fails is removed and fetched again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::store::StoreError;
use crate::spec::Digest;

/// The content-addressed files under one data directory.
#[derive(Debug, Clone)]
pub struct BlobStore {
    root: PathBuf,
}

/// What [`BlobStore::begin`] found.
#[derive(Debug)]
pub enum Begin {
    /// The blob is here.
    Present(File),
    /// It is not; this is where to put it. Bytes of an earlier attempt may be in it.
    Absent(PartialBlob),
}

/// A blob being written, locked against other writers until dropped.
#[derive(Debug)]
pub struct PartialBlob {
    file: File,
    partial: PathBuf,
    target: PathBuf,
}

impl BlobStore {
    /// The store under `data` (nothing is created yet).
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self {
            root: data.join("blobs"),
        }
    }

    /// Path of a blob, whether or not it is here.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.path())
    }

    /// Opens a blob for reading. A size other than `size` counts as absent.
    ///
    /// # Errors
    /// When the file is there but cannot be opened.
    pub fn open(&self, digest: &Digest, size: Option<u64>) -> Result<Option<File>, StoreError> {
        let path = self.path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(StoreError::io("open", &path, error)),
        };
        let length = file
            .metadata()
            .map_err(|e| StoreError::io("stat", &path, e))?
            .len();
        Ok((size.is_none_or(|size| size == length)).then_some(file))
    }

    /// Reads a whole blob of at most `limit` bytes and checks it. A damaged blob is removed and counts as absent; a longer one
    /// only counts as absent: whoever asks for somebody's layer as a configuration must not take it away.
    ///
    /// # Errors
    /// When reading fails.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(file) = self.open(digest, None)? else {
            return Ok(None);
        };
        let path = self.path(digest);
        if file.metadata().is_ok_and(|meta| meta.len() > limit) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.take(limit + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| StoreError::io("read", &path, e))?;
        let mut digester = crate::spec::Digester::new(digest.algorithm());
        digester.update(&bytes);
        if bytes.len() as u64 > limit || digester.finish() != *digest {
            self.remove(digest)?;
            return Ok(None);
        }
        Ok(Some(bytes))
    }

    /// Whether a blob's bytes have its digest; an absent one is sound.
    ///
    /// # Errors
    /// When reading fails.
    pub fn is_sound(&self, digest: &Digest) -> Result<bool, StoreError> {
        let Some(mut file) = self.open(digest, None)? else { return Ok(true) };
        let mut digester = crate::spec::Digester::new(digest.algorithm());
        let mut buffer = vec![0; 256 << 10];
        loop {
            match file.read(&mut buffer).map_err(|e| StoreError::io("read", &self.path(digest), e))? {
                0 => return Ok(digester.finish() == *digest),
                count => digester.update(&buffer[..count]),
            }
        }
    }

    /// Stores bytes under their SHA-256 digest.
    ///
    /// # Errors
    /// When writing fails.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        self.put_as(&digest, bytes)?;
        Ok(digest)
    }

    /// Stores bytes whose digest the caller has checked.
    ///
    /// # Errors
    /// When writing fails.
    pub fn put_as(&self, digest: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        match self.begin(digest, Some(bytes.len() as u64), &mut || ())? {
            Begin::Present(_) => Ok(()),
            Begin::Absent(mut blob) => {
                blob.restart()?;
                blob.file
                    .write_all(bytes)
                    .map_err(|e| StoreError::io("write", &blob.partial, e))?;
                blob.commit()
            }
        }
    }

    /// Finds a blob or locks its place. `waiting` is called once if another process is writing it just now; that one is
    /// waited for, and its work used.
    ///
    /// # Errors
    /// When the place cannot be made or locked.
    pub fn begin(
        &self,
        digest: &Digest,
        size: Option<u64>,
        waiting: &mut dyn FnMut(),
    ) -> Result<Begin, StoreError> {
        let target = self.path(digest);
        let partial = self
            .root
            .join(digest.algorithm().name())
            .join(format!(".{}.partial", digest.hex()));
        loop {
            if let Some(file) = self.open(digest, size)? {
                return Ok(Begin::Present(file));
            }
            let file = create(&partial)?;
            lock(&file, waiting).map_err(|e| StoreError::io("lock", &partial, e))?;
            // Between our open and our lock the previous owner may have renamed or removed the file.
            let ours = file
                .metadata()
                .map_err(|e| StoreError::io("stat", &partial, e))?;
            let there = fs::metadata(&partial).ok();
            if !there.is_some_and(|m| m.ino() == ours.ino() && m.dev() == ours.dev()) {
                continue;
            }
            let blob = PartialBlob {
                file,
                partial: partial.clone(),
                target: target.clone(),
            };
            if let Some(file) = self.open(digest, size)? {
                blob.discard()?;
                return Ok(Begin::Present(file));
            }
            return Ok(Begin::Absent(blob));
        }
    }

    /// Removes a blob; absent is fine.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, digest: &Digest) -> Result<(), StoreError> {
        remove_file(&self.path(digest))
    }

    /// Every blob here, by digest. Names that are no digests are passed over.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<Digest>, StoreError> {
        let mut found = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            for name in read_dir(&self.root.join(algorithm))? {
                found.extend(format!("{algorithm}:{name}").parse::<Digest>().ok());
            }
        }
        Ok(found)
    }

    /// Removes what interrupted downloads left and nobody works on. Returns the number of bytes freed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn remove_partials(&self) -> Result<u64, StoreError> {
        let mut freed = 0;
        for algorithm in ["sha256", "sha512"] {
            let dir = self.root.join(algorithm);
            for name in read_dir(&dir)? {
                let path = dir.join(&name);
                let is_partial = name.starts_with('.') && name.ends_with(".partial");
                let Some(file) = is_partial.then(|| File::open(&path).ok()).flatten() else {
                    continue;
                };
                if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                    freed += file.metadata().map(|m| m.blocks() * 512).unwrap_or(0);
                    remove_file(&path)?;
                }
            }
        }
        Ok(freed)
    }
}

impl PartialBlob {
    /// The file, positioned wherever the last user left it.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Number of bytes already there.
    ///
    /// # Errors
    /// When the file cannot be examined.
    pub fn len(&self) -> Result<u64, StoreError> {
        let meta = self.file.metadata();
        Ok(meta
            .map_err(|e| StoreError::io("stat", &self.partial, e))?
            .len())
    }

    /// Whether nothing is there yet.
    ///
    /// # Errors
    /// When the file cannot be examined.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Where the bytes are being collected, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// Throws away what an earlier attempt left.
    ///
    /// # Errors
    /// When truncating fails.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        use std::io::Seek as _;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(|e| StoreError::io("truncate", &self.partial, e))
    }

    /// Makes the blob visible. The caller has checked its digest.
    ///
    /// # Errors
    /// When renaming fails.
    pub fn commit(self) -> Result<(), StoreError> {
        fs::rename(&self.partial, &self.target)
            .map_err(|e| StoreError::io("rename", &self.partial, e))
    }

    /// Removes it.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn discard(self) -> Result<(), StoreError> {
        remove_file(&self.partial)
    }
}

/// Waits for the exclusive lock on `file`; file systems without locks do without.
pub(super) fn lock(file: &File, waiting: &mut dyn FnMut()) -> io::Result<()> {
    let outcome = match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => {
            waiting();
            rustix::io::retry_on_intr(|| flock(file, FlockOperation::LockExclusive))
        }
        other => other,
    };
    match outcome {
        Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Opens for reading and writing, making the file and its directory as needed, readable for the user alone.
pub(super) fn create(path: &Path) -> Result<File, StoreError> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
    };
    match open() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(parent) = path.parent() {
                make_dir(parent)?;
            }
            open()
        }
        other => other,
    }
    .map_err(|e| StoreError::io("create", path, e))
}

/// Makes a directory and its parents, for the user alone.
pub(super) fn make_dir(path: &Path) -> Result<(), StoreError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| StoreError::io("create directory", path, e))
}

/// Removes a file; absent is fine.
pub(super) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path, error))
        }
        _ => Ok(()),
    }
}

/// Names in a directory, in no order; an absent directory is empty. Names that are not UTF-8 are none of ours.
pub(super) fn read_dir(path: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|e| StoreError::io("read directory", path, e))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| StoreError::io("read directory", path, e))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}
