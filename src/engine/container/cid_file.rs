//! `--cidfile`: where scripts find the id of the container they have made.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::engine::Error;

/// The file, which goes again unless its container comes to be.
#[derive(Debug)]
pub(super) struct CidFile {
    path: PathBuf,
    file: File,
    kept: bool,
}

impl CidFile {
    /// Makes the file. To be done before anything else is made, since a path that cannot be written must leave nothing
    /// behind.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        match File::options().write(true).create_new(true).open(path) {
            Ok(file) => Ok(Self { path: path.to_owned(), file, kept: false }),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Error::Usage(format!(
                "container ID file {} exists: make sure that its container is not in use, then delete it",
                path.display()
            ))),
            Err(error) => Err(Error::io("write", path)(error)),
        }
    }

    /// Writes the id.
    pub(super) fn write(&mut self, id: &str) -> Result<(), Error> {
        self.file.write_all(id.as_bytes()).map_err(Error::io("write", &self.path))
    }

    /// The container is there.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for CidFile {
    fn drop(&mut self) {
        if !self.kept {
            drop(std::fs::remove_file(&self.path));
        }
    }
}
