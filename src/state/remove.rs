//! Removal: first out of sight by one rename, then deleted; what a crash leaves behind is swept later.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags};

use super::{Paths, names};
use crate::sys::tree::remove_tree;

/// Prefix of what is being removed.
const GONE: &str = ".gone-";
/// A container under construction this old has locked its directory, if its maker lives.
const STALE: Duration = Duration::from_millis(500);

/// Takes a container out of everybody's sight, at once. The caller holds its lock. What it was is deleted by
/// [`container`]: on some file systems each directory takes milliseconds to remove, and nobody has to wait for that.
pub fn hide(paths: &Paths, id: &str, name: &str) {
    drop(fs::rename(paths.container(id), paths.containers().join(format!("{GONE}{id}"))));
    names::release(&paths.data, name, id);
}

/// Removes a container's directory, name, log and anonymous volumes. The caller holds its lock and is root of the
/// user's namespace. Never fails: what cannot be deleted now is swept later.
pub fn container(paths: &Paths, id: &str, name: &str, log: &Path, volumes: &[String]) {
    hide(paths, id, name);
    for volume in volumes {
        delete(&paths.data.join("volumes"), volume);
    }
    for number in 0..100 {
        let mut file = log.as_os_str().to_owned();
        if number > 0 {
            file.push(format!(".{number}"));
        }
        if fs::remove_file(&file).is_err() && number > 0 {
            break;
        }
    }
    delete(&paths.containers(), &format!("{GONE}{id}"));
}

fn delete(dir: &Path, name: &str) {
    let Ok(fd) = rustix::fs::open(dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else {
        return;
    };
    if let Ok(name) = CString::new(name) {
        drop(remove_tree(fd.as_fd(), &name));
    }
}

/// What kills and power cuts have left of containers that no longer are, or never came to be. Looking needs no
/// privileges and changes nothing.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// Names below the directory of containers.
    containers: Vec<String>,
    /// Directories of the volatile part.
    runs: Vec<PathBuf>,
    logs: Vec<PathBuf>,
    /// Names and the ids they lead to.
    names: Vec<(String, String)>,
}

impl Leftovers {
    /// Looks for them.
    pub fn find(paths: &Paths) -> Self {
        let mut found = Self::default();
        // A container's directory comes before its other parts and goes before them: parts that were there first and
        // have no container now belong to nobody.
        let logs = paths.state.join("logs");
        let (all_runs, all_logs, all_names) = (entries(&paths.run.join("c")), entries(&logs), names::all(&paths.data));
        let mut known = BTreeSet::new();
        for name in entries(&paths.containers()) {
            if name.starts_with(GONE) || is_id(&name) && is_abandoned(&paths.container(&name)) {
                found.containers.push(name);
            } else {
                known.insert(name);
            }
        }
        for run in all_runs {
            if !known.range(run.clone()..).next().is_some_and(|id| id.starts_with(&run)) {
                found.runs.push(paths.run.join("c").join(run));
            }
        }
        let of_nobody = |log: &String| log.get(..64).is_some_and(|id| is_id(id) && !known.contains(id));
        found.logs.extend(all_logs.into_iter().filter(of_nobody).map(|log| logs.join(log)));
        found.names.extend(all_names.into_iter().filter(|(_, id)| !known.contains(id)));
        found
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.runs.is_empty() && self.logs.is_empty() && self.names.is_empty()
    }

    /// Deletes them, but for what somebody has locked. The caller is root of the user's namespace.
    pub fn delete(self, paths: &Paths) {
        let free = |run: &Path| match fs::File::open(run.join("lock")) {
            Ok(file) => rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok(),
            Err(_) => true,
        };
        for name in self.containers {
            let id = name.strip_prefix(GONE).unwrap_or(&name);
            if free(&paths.container_run(id)) {
                delete(&paths.containers(), &name);
                drop(fs::remove_dir_all(paths.container_run(id)));
            }
        }
        self.runs.iter().filter(|run| free(run)).for_each(|run| drop(fs::remove_dir_all(run)));
        self.logs.iter().for_each(|log| drop(fs::remove_file(log)));
        self.names.iter().for_each(|(name, id)| names::release(&paths.data, name, id));
    }
}

/// A container without a record whose maker is dead: it keeps the directory locked while it works.
fn is_abandoned(dir: &Path) -> bool {
    if dir.join("container.json").exists() {
        return false;
    }
    let Ok(file) = fs::File::open(dir) else { return false };
    // Between making the directory and locking it lies an instant.
    let age = file.metadata().and_then(|meta| meta.modified()).map(|time| SystemTime::now().duration_since(time));
    age.is_ok_and(|age| age.is_ok_and(|age| age > STALE))
        && rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
        && !dir.join("container.json").exists()
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn entries(dir: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
}

/// Deletes what earlier removals and creations that died have left. The caller is root of the user's namespace.
pub fn sweep(paths: &Paths) {
    Leftovers::find(paths).delete(paths);
}
