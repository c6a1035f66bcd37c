//! Small files that are whole or absent: written aside, renamed into place; read with a bound.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StateError;

/// No record is anywhere near this; more is not ours.
const MAX_RECORD: u64 = 16 << 20;

/// Writes `bytes` to `path` so that a reader sees the old content or the new, never a part. Not synced: a record lost
/// with a power cut is read as damaged or absent, which every reader handles.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let aside = aside(path);
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&aside)
        .and_then(|mut file| file.write_all(bytes))
        .and_then(|()| fs::rename(&aside, path));
    written.map_err(|source| {
        drop(fs::remove_file(&aside));
        StateError::Io { action: "write", path: path.to_owned(), source }
    })
}

/// Writes a value as JSON, as [`write`] does.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), StateError> {
    let text = serde_json::to_vec(value)
        .map_err(|error| StateError::Damaged { path: path.to_owned(), reason: error.to_string() })?;
    write(path, &text)
}

/// Reads a whole small file; `None` when there is none.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StateError::Io { action: "read", path: path.to_owned(), source }),
    };
    let mut bytes = Vec::with_capacity(4096);
    file.take(MAX_RECORD).read_to_end(&mut bytes).map_err(StateError::io("read", path))?;
    Ok(Some(bytes))
}

/// Reads JSON; `None` when there is no file, [`StateError::Damaged`] when it is not what it should be.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|error| StateError::Damaged { path: path.to_owned(), reason: error.to_string() })
}

/// A name beside `path` that no other writer uses now. Leftovers start with `.tmp-` and are swept by `gc`.
fn aside(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".tmp-{}-{count}-{name}", std::process::id()))
}

/// Makes a directory and its parents for the user alone.
pub fn make_private_dir(path: &Path) -> Result<(), StateError> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(StateError::io("create directory", path))
}
