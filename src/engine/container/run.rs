//! `run`: create and start in one, on the shortest way there is.

use crate::engine::options::RunOptions;
use crate::engine::{Engine, Error};
use crate::image::RunImage;
use crate::spec::ContainerSpec;

use super::attach::{self, Ended, Terminal};
use super::create::create;
use super::plan::Wishes;
use super::start::{begin, preserved, spawn};

/// How a run went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was started and left alone.
    Detached {
        /// The full id.
        id: String,
    },
    /// It has ended.
    Exited {
        /// Its code.
        code: i32,
    },
}

/// Runs a container from an image that is here; `image` is `None` with `--rootfs`.
///
/// # Errors
/// Everything before the program runs; see [`Error::kind`].
pub fn run(engine: &Engine, spec: ContainerSpec, image: Option<RunImage>, options: &RunOptions) -> Result<Outcome, Error> {
    let detach = spec.lifecycle.detach;
    let interactive = spec.process.interactive && options.streams.stdin;
    // Its namespace takes a few milliseconds to make, which we use.
    let preserved = preserved(options.preserve_fds)?;
    let spawned = spawn(&engine.paths.run)?;
    let created = create(engine, spec, image, &options.create)?;
    let record = &created.record;
    let keys = attach::keys(engine, record.spec.lifecycle.detach_keys.as_deref())?;
    let terminal = Terminal::open(!detach && record.spec.process.tty, interactive)?;
    let wishes = Wishes { attached: !detach, size: terminal.size(), ids: None };
    let socket = match begin(engine, spawned, record, &created.layers, wishes, &preserved) {
        Ok(Some(socket)) => socket,
        Ok(None) if detach => return Ok(Outcome::Detached { id: created.record.id }),
        Ok(None) => return Err(Error::Conflict(format!("another command has started container {}: attach to it", record.name))),
        Err(error) => {
            discard(engine, record);
            return Err(error);
        }
    };
    if detach {
        return Ok(Outcome::Detached { id: created.record.id });
    }
    match attach::relay(&socket, &terminal, interactive, options.sig_proxy, &keys)? {
        Ended::Exited(code) => Ok(Outcome::Exited { code }),
        Ended::Detached => Ok(Outcome::Detached { id: created.record.id }),
    }
}

/// A container of `--rm` that never ran goes at once; its monitor may have done that.
fn discard(engine: &Engine, record: &crate::state::ContainerRecord) {
    if !record.spec.lifecycle.remove {
        return;
    }
    let containers = crate::state::Containers::new(&engine.paths);
    if engine.paths.container(&record.id).exists()
        && let Ok(_lock) = containers.wait_lock(&record.id, || containers.run_record(&record.id).is_some())
    {
        let volumes = super::plan::anonymous_volumes(record);
        crate::state::remove::container(&engine.paths, &record.id, &record.name, &engine.paths.log(&record.id), &volumes);
    }
    drop(std::fs::remove_dir_all(engine.paths.container_run(&record.id)));
}
