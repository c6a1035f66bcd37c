//! `mount` and `unmount`: a container's files, inside `kelp unshare`.
//!
//! Of a running container they are its own root, without what is mounted in it; of a stopped one an overlay is mounted, with
//! its layer on top, so that what is written is the container's.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::CWD;
use rustix::io::Errno;

use super::inside::{self, View};
use crate::engine::mounted::{self, Of};
use crate::engine::{Engine, Error};
use crate::spec::container::ImageSource;
use crate::state::{Containers, Status};
use crate::sys::mount::clone_tree;

/// Mounts a container's files, if they are not yet, and returns where.
///
/// # Errors
/// No such container; not inside `kelp unshare`; a mount that is refused.
pub fn mount(engine: &Engine, name: &str) -> Result<PathBuf, Error> {
    mounted::only_inside(engine)?;
    let containers = Containers::new(&engine.paths);
    let id = containers.find(name)?;
    let place = mounted::place(engine, Of::Container, &id)?;
    if mounted::is_mounted(&place) {
        return Ok(place);
    }
    inside::become_root(engine, false)?;
    if matches!(containers.status(&id)?, Status::Running(_) | Status::Paused(_)) {
        let inside = inside::open(engine, &id, View::Bare)?;
        if inside::is_fuse(&inside.root) {
            return Err(Error::Conflict(format!(
                "the files of {name} are served over FUSE to itself alone while it runs; stop it, or use kelp exec or kelp cp"
            )));
        }
        mounted::attach(inside.root.as_fd(), &place, false)?;
        return Ok(place);
    }
    // Nobody starts, removes or copies while we look and mount.
    let _lock = containers.wait_lock(&id, || containers.run_record(&id).is_some())?;
    let record = containers.read(&id)?;
    let lower = match &record.spec.image {
        ImageSource::Rootfs { path, overlay: false } => {
            let failed = |errno: Errno| Error::Storage(format!("mount {}: {errno}", path.display()));
            let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| failed(Errno::INVAL))?;
            let tree = clone_tree(CWD, &name, false).map_err(failed)?;
            mounted::attach(tree.as_fd(), &place, false)?;
            return Ok(place);
        }
        ImageSource::Rootfs { path, overlay: true } => vec![path.clone()],
        ImageSource::Image(_) => inside::layers(engine, &record)?,
    };
    let dir = engine.paths.container(&id);
    let part = |name: &str| -> Result<PathBuf, Error> {
        let path = dir.join(name);
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io("create", path)(error)),
            _ => Ok(path),
        }
    };
    let (upper, work) = (part("upper")?, part("work")?);
    mounted::overlay(engine, &lower, Some((&upper, &work)), &place)?;
    Ok(place)
}

/// The containers that are mounted here: their ids and places.
///
/// # Errors
/// Not inside `kelp unshare`.
pub fn mounts(engine: &Engine) -> Result<Vec<(String, PathBuf)>, Error> {
    mounted::only_inside(engine)?;
    Ok(mounted::all(engine, Of::Container))
}

/// Unmounts a container's files and returns its id.
///
/// # Errors
/// They are not mounted; they are in use (unless `force`).
pub fn unmount(engine: &Engine, name: &str, force: bool) -> Result<String, Error> {
    mounted::only_inside(engine)?;
    let all = mounted::all(engine, Of::Container);
    // One that was removed meanwhile can still be unmounted, by its id.
    let id = match Containers::new(&engine.paths).find(name) {
        Ok(id) => id,
        Err(error) => all.iter().find(|(id, _)| id == name).map(|(id, _)| id.clone()).ok_or(error)?,
    };
    let place: Option<&Path> = all.iter().find(|(other, _)| *other == id).map(|(_, place)| place.as_path());
    let place = place.ok_or_else(|| Error::Conflict(format!("container {name} is not mounted")))?;
    inside::become_root(engine, false)?;
    mounted::unmount(place, force)?;
    Ok(id)
}
