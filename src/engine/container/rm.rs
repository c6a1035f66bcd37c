//! `rm`: a container, its layer, log and anonymous volumes.

use std::time::{Duration, Instant};

use crate::engine::options::RemoveOptions;
use crate::engine::{Engine, Error};
use crate::monitor::protocol::Request;
use crate::state::container::Lock;
use crate::state::{Containers, StateError, remove as delete};

use super::attach::connect;
use super::{inside, plan, stop};

/// How long another command, or a monitor that writes its last record, is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

fn patient(containers: &Containers<'_>, id: &str) -> Result<Lock, StateError> {
    let begun = Instant::now();
    loop {
        match containers.lock(id) {
            Err(StateError::Busy(_)) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
            other => return other,
        }
    }
}

/// Deletes what commands and monitors that were killed have left behind.
///
/// # Errors
/// The user's namespace cannot be entered.
pub fn sweep(engine: &Engine) -> Result<(), Error> {
    let left = delete::Leftovers::find(&engine.paths);
    if !left.is_empty() {
        inside::become_root(engine, false)?;
        left.delete(&engine.paths);
    }
    Ok(())
}

/// Removes a container; running only with `force`.
///
/// # Errors
/// No such container, or it is running.
pub fn remove(engine: &Engine, name: &str, options: &RemoveOptions) -> Result<(), Error> {
    let containers = Containers::new(&engine.paths);
    let id = containers.find(name)?;
    let status = containers.status(&id);
    if let Ok(running) = status.as_ref().map(|status| status.run().is_some()) {
        if running && !options.force {
            return Err(Error::Conflict(format!(
                "cannot remove container {name}: it is running; stop it first, or use -f"
            )));
        }
        if running {
            if let Ok((_, socket)) = connect(engine, &id) {
                let timeout = Some(stop::seconds(options.timeout).unwrap_or(0));
                let request = Request::Stop { signal: None, timeout, remove: true, volumes: options.volumes };
                stop::ask(&socket, &request)?;
            }
            if !engine.paths.container(&id).exists() {
                return Ok(());
            }
            stop::wait_unlocked(engine, &id)?;
        }
    }
    let _lock = match containers.lock(&id) {
        Err(StateError::Busy(_)) if options.force => {
            // A monitor that is just starting or ending.
            stop::wait_unlocked(engine, &id)?;
            containers.lock(&id)?
        }
        Err(StateError::Busy(_)) => patient(&containers, &id)?,
        other => other?,
    };
    super::cgroup::clear(engine, &id);
    // A damaged record is no reason to keep a container.
    let record = containers.read(&id).unwrap_or_default();
    let volumes = if options.volumes || record.spec.lifecycle.remove { plan::anonymous_volumes(&record) } else { Vec::new() };
    inside::become_root(engine, false)?;
    let log = record.spec.logging.path.clone().unwrap_or_else(|| engine.paths.log(&id));
    delete::container(&engine.paths, &id, &record.name, &log, &volumes);
    drop(std::fs::remove_dir_all(engine.paths.container_run(&id)));
    delete::sweep(&engine.paths);
    Ok(())
}
