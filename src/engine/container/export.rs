//! `export`: a container's file system as a tar archive.

use std::io::{BufWriter, Write};
use std::os::fd::AsFd;

use rustix::fs::{Mode, OFlags};

use super::inside::{self, View};
use crate::engine::{Engine, Error};
use crate::image::archive::tarw::{TarWriter, TreeOptions};
use crate::state::Containers;
use crate::userns::IdMap;

/// Writes the whole file system of a container, running or not, without what is mounted in it.
///
/// # Errors
/// No such container, and what the file systems say.
pub fn export(engine: &Engine, container: &str, output: &mut dyn Write) -> Result<(), Error> {
    let id = Containers::new(&engine.paths).find(container)?;
    inside::become_root(engine, true)?;
    let inside = inside::open(engine, &id, View::Bare)?;
    let failed = |source: std::io::Error| Error::Io { action: "export", path: container.into(), source };
    let root = rustix::fs::openat(&inside.root, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failed(errno.into()))?;
    let translate = |uid, gid| inside.inside_ids(uid, gid);
    let options = TreeOptions { owners: Some(&translate), overrides: IdMap::is_single_here(), ..TreeOptions::default() };
    let mut tar = TarWriter::new(BufWriter::with_capacity(256 << 10, output));
    tar.tree(root.as_fd(), &options).and_then(|()| tar.finish()).map_err(failed)?;
    Ok(())
}
