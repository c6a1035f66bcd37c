//! `image mount` and `image unmount`: an image's files, to be read, inside `kelp unshare`.

use std::path::PathBuf;

use super::store;
use crate::engine::mounted::{self, Of};
use crate::engine::{Engine, Error};
use crate::image::ImageStore;

/// An image that is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Its id.
    pub id: String,
    /// Its names.
    pub names: Vec<String>,
    /// Where.
    pub path: PathBuf,
}

/// Mounts an image read-only, if it is not yet.
///
/// # Errors
/// No such image; not inside `kelp unshare`; a mount that is refused.
pub fn mount(engine: &Engine, name: &str) -> Result<Mounted, Error> {
    mounted::only_inside(engine)?;
    let store = store(engine);
    let image = store.resolve_for_run(name)?;
    let id = image.record.id.hex();
    let place = mounted::place(engine, Of::Image, id)?;
    if !mounted::is_mounted(&place) {
        crate::engine::container::inside::become_root(engine, false)?;
        let layers: Vec<PathBuf> = image.layers.iter().rev().cloned().collect();
        mounted::overlay(engine, &layers, None, &place)?;
    }
    Ok(named(&store, id, place))
}

/// The images that are mounted here.
///
/// # Errors
/// Not inside `kelp unshare`.
pub fn mounts(engine: &Engine) -> Result<Vec<Mounted>, Error> {
    mounted::only_inside(engine)?;
    let store = store(engine);
    Ok(mounted::all(engine, Of::Image).into_iter().map(|(id, path)| named(&store, &id, path)).collect())
}

/// Unmounts an image and returns its id.
///
/// # Errors
/// It is not mounted; it is in use (unless `force`).
pub fn unmount(engine: &Engine, name: &str, force: bool) -> Result<String, Error> {
    mounted::only_inside(engine)?;
    let all = mounted::all(engine, Of::Image);
    // An image that was removed meanwhile can still be unmounted, by its id.
    let id = match store(engine).resolve_id(name) {
        Ok(id) => id.hex().to_owned(),
        Err(error) => all.iter().find(|(id, _)| id == name.trim_start_matches("sha256:")).map(|(id, _)| id.clone()).ok_or(error)?,
    };
    let Some((id, place)) = all.into_iter().find(|(other, _)| *other == id) else {
        return Err(Error::Conflict(format!("image {name} is not mounted")));
    };
    crate::engine::container::inside::become_root(engine, false)?;
    mounted::unmount(&place, force)?;
    Ok(id)
}

fn named(store: &ImageStore, id: &str, path: PathBuf) -> Mounted {
    let names = match store.resolve(id) {
        Ok(image) => image.names.iter().map(|name| name.familiar()).collect(),
        Err(_) => Vec::new(),
    };
    Mounted { id: id.to_owned(), names, path }
}
