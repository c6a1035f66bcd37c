//! Durability without waiting: what is synced when, and how a power cut is noticed afterwards.
//!
//! Owns the background sync. A layer is usable the moment it is renamed into place; its record carries the
//! boot it was written in. A detached process then syncs the file system and marks the records; a record that is unmarked
//! and of another boot is not to be trusted, and its layer counts as missing. So no command waits for the disk, and
//! after a power cut nothing half-written is ever mounted.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use super::layers::LayerStore;

/// First argument of the process role that syncs; its second is the data directory.
pub const SYNC_ROLE: &str = "__sync-layers";

/// First argument of the process role that deletes what was moved out of sight; its second is the data directory.
pub const CLEAR_ROLE: &str = "__clear-layers";

/// Starts the detached process that syncs the layers under `data` and marks them. It holds nothing of this process.
///
/// # Errors
/// When it cannot be started; the layers are usable all the same.
pub fn sync_in_background(data: &Path) -> io::Result<()> {
    spawn(SYNC_ROLE, data)
}

/// Starts the detached process that deletes what was moved out of sight under `data`. It holds nothing of this process
/// and works in the same user namespace.
///
/// # Errors
/// When it cannot be started; the next removal starts another.
pub fn clear_in_background(data: &Path) -> io::Result<()> {
    spawn(CLEAR_ROLE, data)
}

fn spawn(role: &str, data: &Path) -> io::Result<()> {
    Command::new("/proc/self/exe")
        .arg0("kelp")
        .args([OsStr::new(role), data.as_os_str()])
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map(drop)
}

/// The process role behind [`SYNC_ROLE`].
#[must_use]
pub fn sync_role(data: &Path) -> ExitCode {
    match sync(data) {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The process role behind [`CLEAR_ROLE`].
#[must_use]
pub fn clear_role(data: &Path) -> ExitCode {
    match LayerStore::open(data).gc() {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Syncs the file system of `data` and marks the layers that were there before. Returns how many.
///
/// # Errors
/// When syncing fails: then nothing is marked.
pub fn sync(data: &Path) -> io::Result<usize> {
    let layers = LayerStore::open(data);
    let waiting = layers.unsynced();
    if waiting.is_empty() {
        return Ok(0);
    }
    let dir = File::open(data)?;
    rustix::fs::syncfs(dir.as_fd())?;
    let mut marked = 0;
    for digest in waiting {
        marked += usize::from(layers.mark_synced(&digest).is_ok());
    }
    // The marks themselves may be lost in a power cut: then the layer is fetched again, no harm done.
    Ok(marked)
}
