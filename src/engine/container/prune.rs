//! `container prune`: removes the containers that do not run.

use super::inside;
use super::ls::{self, ListOptions};
use super::size::disk_usage;
use crate::engine::volume::Pruned;
use crate::engine::{Engine, Error};
use crate::state::{Containers, StateError, remove};

/// Removes every container that does not run and fits the filters (`label`, `label!`, `until` and those of `ps`). Volumes stay.
///
/// # Errors
/// A filter that makes no sense.
pub fn prune(engine: &Engine, filters: &[String]) -> Result<Pruned, Error> {
    let options = ListOptions { all: true, filters: filters.to_vec(), ..ListOptions::default() };
    let (entries, _) = ls::select(engine, &options)?;
    let mut pruned = Pruned::default();
    let containers = Containers::new(&engine.paths);
    let mut candidates = entries.into_iter().filter(|entry| !ls::is_up(&entry.status)).peekable();
    if candidates.peek().is_some() {
        inside::become_root(engine, false)?;
    }
    for entry in candidates {
        let record = entry.record;
        let lock = match containers.lock(&record.id) {
            Ok(lock) => lock,
            // Started or being worked on since we looked.
            Err(StateError::Busy(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        if containers.read(&record.id).is_err() {
            continue;
        }
        pruned.bytes += disk_usage(&engine.paths.container(&record.id).join("upper"));
        let log = record.spec.logging.path.clone().unwrap_or_else(|| engine.paths.log(&record.id));
        remove::container(&engine.paths, &record.id, &record.name, &log, &[]);
        std::fs::remove_dir_all(engine.paths.container_run(&record.id)).ok();
        drop(lock);
        pruned.removed.push(record.id);
    }
    Ok(pruned)
}
