//! `rm`: a container, its layer, log and anonymous volumes.

use std::time::{Duration, Instant};

use crate::engine::options::RemoveOptions;
use crate::engine::{Engine, Error};
use crate::monitor::protocol::Request;
use crate::state::container::Lock;
use crate::state::{Containers, StateError, remove as delete};

use super::attach::connect;
use super::{inside, plan, stop};

/// The lock of the container, which has been ended with `force`; none if it is gone. Other commands, and monitors that
/// begin or end, are waited for.
fn take(engine: &Engine, id: &str, name: &str, options: &RemoveOptions) -> Result<Option<Lock>, Error> {
    let containers = Containers::new(&engine.paths);
    let runs = || containers.status(id).is_ok_and(|status| status.run().is_some());
    loop {
        if runs() {
            if !options.force {
                return Err(Error::Conflict(format!(
                    "cannot remove container {name}: it is running; stop it first, or use -f"
                )));
            }
            if let Ok((_, socket)) = connect(engine, id) {
                let timeout = Some(stop::seconds(options.timeout).unwrap_or(0));
                let request = Request::Stop { signal: None, timeout, remove: true, volumes: options.volumes };
                stop::ask(&socket, &request)?;
            }
            if !engine.paths.container(id).exists() {
                return Ok(None);
            }
        }
        // It may come to run while we wait; one that is about to end is looked at again now and then.
        let until = Instant::now() + Duration::from_millis(50);
        match containers.wait_lock(id, || Instant::now() > until) {
            Err(StateError::Busy(_)) => {}
            other => return Ok(other.map(Some)?),
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
    if !engine.paths.container(&id).join("container.json").exists() {
        // Under construction, or gone by now.
        return Err(StateError::NotFound(name.to_owned()).into());
    }
    let Some(_lock) = take(engine, &id, name, options)? else { return Ok(()) };
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
