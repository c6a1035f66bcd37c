//! `system reset`: as if kelp had never been used here, but for its configuration.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd as _;

use crate::engine::container::ls::{self, ListOptions};
use crate::engine::container::{inside, rm};
use crate::engine::options::RemoveOptions;
use crate::engine::{Engine, Error, network};
use crate::sys::tree::remove_tree;

/// What kelp keeps in its data directory. Nothing else there is touched: the directory may be of the user's choosing.
const DATA: [&str; 14] = [
    "containers", "volumes", "images", "names", "manifests", "blobs", "layers", "leases", "pins", "build", ".overlay", "sessions",
    "networks-run", "ids",
];

/// Removes all containers, running ones too, networks, volumes, images, logs and caches.
///
/// # Errors
/// The first thing that could not be removed; it can be called again.
pub fn reset(engine: &Engine) -> Result<(), Error> {
    let options = RemoveOptions { force: true, volumes: true, timeout: Some(0) };
    for id in ls::ids(engine, &ListOptions { all: true, ..ListOptions::default() })? {
        rm::remove(engine, &id, &options)?;
    }
    network::prune(engine, &[])?;
    inside::become_root(engine, false)?;
    let paths = &engine.paths;
    let own = DATA.iter().map(|name| (&paths.data, *name));
    for (dir, name) in own.chain([(&paths.state, "logs")]) {
        let fd = match File::open(dir) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            other => other.map_err(Error::io("open", dir))?,
        };
        let Ok(c_name) = CString::new(name) else { continue };
        remove_tree(fd.as_fd(), &c_name).map_err(Error::io("remove", dir.join(name)))?;
    }
    Ok(())
}
