//! `rename`.

use crate::engine::{Engine, Error};
use crate::state::Containers;

/// Gives a container another name.
///
/// # Errors
/// No such container; a bad name, or one that is taken or its own.
pub fn rename(engine: &Engine, container: &str, name: &str) -> Result<(), Error> {
    let containers = Containers::new(&engine.paths);
    let id = containers.find(container)?;
    let name = name.strip_prefix('/').unwrap_or(name);
    if containers.read(&id)?.name == name {
        return Err(Error::Conflict(format!("the container already has the name \"{name}\"")));
    }
    containers.rename(&id, name)?;
    crate::engine::network::renamed(engine, &id, name)
}
