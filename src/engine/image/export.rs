//! The images of a build for several platforms, written elsewhere: as one OCI layout, or their files as one tar archive.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::{list, store};
use crate::engine::child::in_child;
use crate::engine::{Engine, Error, outfile};
use crate::image::archive::tarw::{TarWriter, TreeOptions};
use crate::image::archive::{self, SaveFormat, SaveOptions, Target};
use crate::image::lease::Lease;
use crate::image::lists::List;
use crate::spec::{Digest, Reference};

/// Where an OCI layout is written.
#[derive(Debug, Clone, Copy)]
pub enum Layout<'p> {
    /// A tar archive; standard output without a path.
    Archive(Option<&'p Path>),
    /// A directory.
    Directory(&'p Path),
}

/// The images that are here, to tell later which were not.
///
/// # Errors
/// When the store cannot be read.
pub fn known(engine: &Engine) -> Result<Vec<Digest>, Error> {
    Ok(store(engine).records()?.into_iter().map(|record| record.id).collect())
}

/// Keeps images that are still to be put together from whoever prunes meanwhile.
///
/// # Errors
/// When that cannot be noted.
pub fn hold(engine: &Engine) -> Result<Arc<Mutex<Lease>>, Error> {
    Ok(Arc::new(Mutex::new(store(engine).lease([])?)))
}

/// Writes an index of images, by ids, under the given names. Returns its digest.
///
/// # Errors
/// No such image; writing fails.
pub fn index(
    engine: &Engine,
    images: &[String],
    names: &[String],
    annotations: &BTreeMap<String, String>,
    to: Layout<'_>,
) -> Result<String, Error> {
    let store = store(engine);
    let names: Vec<String> = names.iter().map(|name| Ok(store.reference(name)?.to_string())).collect::<Result<_, Error>>()?;
    let mut made = List::new(&"localhost/index".parse::<Reference>().map_err(|error| Error::Internal(error.to_string()))?);
    made.annotations.clone_from(annotations);
    for image in images {
        made.put(list::entry(&store, &store.resolve(image)?)?);
    }
    in_child(engine, false, || {
        let members = list::members(&store, &made)?;
        let options = SaveOptions { format: SaveFormat::Oci, ..SaveOptions::default() };
        let save = |target: Target<'_>| Ok::<_, Error>(archive::save_list(&store, (&made, &members), &names, &options, target)?);
        let (digest, _) = match to {
            Layout::Directory(dir) => save(Target::Directory(dir))?,
            Layout::Archive(Some(path)) => outfile::to_file(path, |out| save(Target::Stream(out)))?,
            Layout::Archive(None) => outfile::to_stdout(|out| save(Target::Stream(out)))?,
        };
        Ok(digest.to_string())
    })
}

/// Writes the files of images as one tar archive, each below a directory of its own. No file is younger than `newest`.
///
/// # Errors
/// No such image; reading or writing fails.
pub fn trees(engine: &Engine, images: &[(String, String)], newest: Option<i64>, to: Option<&Path>) -> Result<(), Error> {
    in_child(engine, false, || match to {
        Some(path) => outfile::to_file(path, |out| write_trees(engine, images, newest, out)),
        None => outfile::to_stdout(|out| write_trees(engine, images, newest, out)),
    })
}

fn write_trees(engine: &Engine, images: &[(String, String)], newest: Option<i64>, out: &mut dyn Write) -> Result<(), Error> {
    let failed = || Error::io("write", "the archive");
    let store = store(engine);
    let mut tar = TarWriter::new(BufWriter::with_capacity(256 << 10, out));
    for (image, dir) in images {
        let run = store.for_run(store.resolve(image)?.record)?;
        let (layers, overrides) = super::opened(&run)?;
        let options = TreeOptions { newest, overrides, ..TreeOptions::default() };
        tar.directory(dir, 0o755, newest.unwrap_or(0)).map_err(failed())?;
        tar.merged_below(&layers, dir.as_bytes(), &options).map_err(failed())?;
    }
    tar.finish().and_then(|mut out| out.flush()).map_err(failed())
}

/// Removes images that were made for an export only; what something uses stays.
///
/// # Errors
/// When a child process cannot be started.
pub fn forget(engine: &Engine, images: &[String], known: &[Digest]) -> Result<(), Error> {
    for image in images.iter().filter(|image| !known.iter().any(|id| id.to_string() == **image)) {
        let options = crate::engine::options::RemoveImageOptions::default();
        // Left behind it is an image without a name, which prune takes.
        in_child(engine, false, || Ok(super::remove(engine, image, &options).is_ok()))?;
    }
    Ok(())
}
