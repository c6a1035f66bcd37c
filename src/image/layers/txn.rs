//! A layer in the making.
//!
//! Owns its directory from the first file to the rename that makes it a layer. The lock held meanwhile tells others that
//! somebody is at work; a process that dies leaves an unlocked directory, which is garbage.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use super::blob::BLOB;
use super::{ARCHIVE, Claim, LOCK, LayerBlob, LayerError, LayerRecord, LayerStore, RECORD, TREE, VERSION};
use super::{make_dir, remove_below, replay_checked, write_record};
use crate::image::unpack::{Recorder, UnpackReport};
use crate::spec::Digest;
use crate::sys::identity;

/// A layer in the making. Dropped without a commit, it is removed.
#[derive(Debug)]
pub struct LayerTxn {
    store: LayerStore,
    name: String,
    digest: Option<Digest>,
    /// Keeps others away until dropped.
    _lock: File,
    tree: OwnedFd,
    recorded: bool,
    done: bool,
}

impl LayerTxn {
    /// Makes the directory of a layer in `tmp/<name>`, whose lock is held.
    pub(super) fn start(
        store: &LayerStore,
        name: String,
        digest: Option<Digest>,
        lock: File,
    ) -> Result<Self, LayerError> {
        let dir = store.tmp(&name);
        let tree = dir.join(TREE);
        // What a killed process left.
        for leftover in [TREE, RECORD, ARCHIVE, BLOB] {
            remove_below(&dir, leftover)?;
        }
        DirBuilder::new()
            .mode(0o755)
            .create(&tree)
            .map_err(LayerError::io("create directory", &tree))?;
        let fd: OwnedFd = File::open(&tree)
            .map_err(LayerError::io("open", &tree))?
            .into();
        // Ours whatever the umask; and no default ACL of the home directory may seep into the image.
        rustix::fs::fchmod(&fd, rustix::fs::Mode::from_raw_mode(0o755))
            .map_err(|e| LayerError::io("change mode of", &tree)(e.into()))?;
        for acl in ["system.posix_acl_default", "system.posix_acl_access"] {
            // Nothing to remove is the usual case.
            rustix::fs::fremovexattr(&fd, acl).ok();
        }
        Ok(Self {
            store: store.clone(),
            name,
            digest,
            _lock: lock,
            tree: fd,
            recorded: false,
            done: false,
        })
    }

    /// The directory to unpack into.
    #[must_use]
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.tree.as_fd()
    }

    /// A recorder for the archive's structure, to be given back to [`LayerTxn::recorded`] when all is unpacked.
    ///
    /// # Errors
    /// When its file cannot be made.
    pub fn recorder(&self) -> Result<Recorder, LayerError> {
        let path = self.store.tmp(&self.name).join(ARCHIVE);
        File::create(&path)
            .and_then(Recorder::create)
            .map_err(LayerError::io("create", &path))
    }

    /// The record that was made, for reading.
    ///
    /// # Errors
    /// When there is none.
    pub fn archive(&self) -> io::Result<File> {
        File::open(self.store.tmp(&self.name).join(ARCHIVE))
    }

    /// Keeps a finished record of the archive's structure.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn recorded(&mut self, recorder: Recorder) -> Result<(), LayerError> {
        let dir = self.store.tmp(&self.name);
        let usable = recorder
            .finish()
            .map_err(LayerError::io("write", &dir.join(ARCHIVE)))?;
        self.recorded = usable;
        if !usable {
            remove_below(&dir, ARCHIVE)?;
        }
        Ok(())
    }

    /// Notes the blob it comes as, which is in the content store and was seen to hold it.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn came_as(&self, blob: &LayerBlob) -> Result<(), LayerError> {
        let path = self.store.tmp(&self.name).join(BLOB);
        let bytes = serde_json::to_vec(blob).map_err(io::Error::from);
        bytes.and_then(|bytes| fs::write(&path, bytes)).map_err(LayerError::io("write", &path))
    }

    /// Puts the layer in place under the digest it was begun with.
    ///
    /// # Errors
    /// When it was begun without one, or renaming fails.
    pub fn commit(mut self, report: &UnpackReport) -> Result<PathBuf, LayerError> {
        match self.digest.clone() {
            Some(digest) => self.place(&digest, report, None),
            None => Err(LayerError::io("name", &self.store.tmp(&self.name))(
                io::ErrorKind::InvalidInput.into(),
            )),
        }
    }

    /// Puts a layer in place, begun with or without its digest; when it is here already, this one is dropped.
    ///
    /// # Errors
    /// When renaming fails.
    pub fn commit_as(
        self,
        digest: &Digest,
        report: &UnpackReport,
    ) -> Result<PathBuf, LayerError> {
        if self.digest.as_ref() == Some(digest) {
            return self.commit(report);
        }
        self.commit_named(digest, report, None)
    }

    /// As [`LayerTxn::commit_as`], with a whole directory of the same file system as its files, renamed into the store.
    /// When the layer is here already the directory stays: others may have it mounted.
    ///
    /// # Errors
    /// When renaming fails; the directory is where it was then.
    pub fn commit_tree(
        self,
        digest: &Digest,
        report: &UnpackReport,
        dir: &Path,
    ) -> Result<PathBuf, LayerError> {
        self.commit_named(digest, report, Some(dir))
    }

    /// Gives the structure of the archive to the layer that is here without: this one is dropped then. A structure that
    /// cannot be kept changes nothing.
    ///
    /// # Errors
    /// [`LayerError::Changed`] when the files here are not those of the archive any more; when it cannot be put in place.
    pub fn complete(self, layer: &Digest) -> Result<(), LayerError> {
        if !self.recorded {
            return Ok(());
        }
        let record = self.store.record(layer).ok_or_else(|| LayerError::Missing(layer.clone()))?;
        let (from, path) = (self.store.tmp(&self.name).join(ARCHIVE), self.store.path(layer));
        let open = |file: &Path| File::open(file).map_err(LayerError::io("open", file));
        replay_checked(layer, open(&from)?, &open(&path.join(TREE))?, &mut io::sink(), &path).map_err(|_| LayerError::Changed(layer.clone()))?;
        fs::rename(&from, path.join(ARCHIVE)).map_err(LayerError::io("rename", &from))?;
        write_record(&path, &LayerRecord { archive: true, ..record })
    }

    fn commit_named(
        mut self,
        digest: &Digest,
        report: &UnpackReport,
        dir: Option<&Path>,
    ) -> Result<PathBuf, LayerError> {
        let store = self.store.clone();
        match store.begin(digest, &mut || ())? {
            Claim::Present(dir) => Ok(dir),
            // The claim keeps others away while ours takes the name; dropping it removes its empty directory.
            Claim::Absent(_claim) => self.place(digest, report, dir),
        }
    }

    fn place(
        &mut self,
        digest: &Digest,
        report: &UnpackReport,
        dir: Option<&Path>,
    ) -> Result<PathBuf, LayerError> {
        let from = self.store.tmp(&self.name);
        let to = self.store.path(digest);
        let record = LayerRecord {
            version: VERSION,
            digest: digest.clone(),
            boot_id: identity::boot_id().to_owned(),
            synced: false,
            archive: self.recorded,
            adopted: false,
            report: report.clone(),
        };
        write_record(&from, &record)?;
        if let Some(data) = self.store.root.parent() {
            crate::userns::lost::note(data).map_err(LayerError::io("note ids in", data))?;
        }
        if let Some(parent) = to.parent() {
            make_dir(parent)?;
        }
        let Some(dir) = dir else { return self.put(digest, &from, &to) };
        let tree = from.join(TREE);
        // Ours is empty: then one rename puts the other in its place.
        fs::rename(dir, &tree).map_err(LayerError::io("rename", dir))?;
        self.put(digest, &from, &to).inspect_err(|_| {
            fs::rename(&tree, dir).ok();
        })
    }

    fn put(&mut self, digest: &Digest, from: &Path, to: &Path) -> Result<PathBuf, LayerError> {
        loop {
            match fs::rename(from, to) {
                Ok(()) => break,
                // Something that is no whole layer, else it would have been found.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists
                    ) =>
                {
                    self.store.remove(digest)?;
                }
                Err(error) => return Err(LayerError::io("rename", from)(error)),
            }
        }
        self.done = true;
        // Of no use here; whoever waits for it sees that it is gone from its place.
        fs::remove_file(to.join(LOCK)).ok();
        Ok(to.join(TREE))
    }
}

impl Drop for LayerTxn {
    fn drop(&mut self) {
        if !self.done {
            self.store.discard(&self.name);
        }
    }
}
