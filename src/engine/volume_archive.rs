//! `volume export` and `volume import`: the files of a volume as a tar archive, out and in.

use std::io::{BufRead, Write};
use std::os::fd::AsFd;
use std::path::Path;

use super::container::inside::become_root;
use super::{Engine, Error};
use crate::image::archive::tarw::{TarWriter, TreeOptions};
use crate::image::packed;
use crate::image::unpack::{Owners, UnpackOptions, Whiteouts};
use crate::userns::IdMap;
use crate::volume::Volumes;

/// Writes the files of a volume.
///
/// # Errors
/// No such volume; what reading and writing say.
pub fn export(engine: &Engine, name: &str, output: &mut dyn Write) -> Result<(), Error> {
    let volumes = Volumes::new(&engine.paths);
    volumes.get(name)?;
    let data = volumes.data(name);
    become_root(engine, false)?;
    let dir = std::fs::File::open(&data).map_err(Error::io("open", &data))?;
    let mut tar = TarWriter::new(std::io::BufWriter::with_capacity(256 << 10, output));
    tar.tree(dir.as_fd(), &TreeOptions { overrides: IdMap::is_single_here(), ..TreeOptions::default() })
        .and_then(|()| tar.finish())
        .and_then(|mut out| out.flush())
        .map_err(Error::io("archive", &data))
}

/// Unpacks an archive (compressed or not) into a volume; what is there and in the archive too is replaced. `file` is
/// `None` for standard input.
///
/// # Errors
/// No such volume; an archive that is none or leads out of the volume.
pub fn import(engine: &Engine, name: &str, file: Option<&Path>) -> Result<(), Error> {
    let volumes = Volumes::new(&engine.paths);
    volumes.get(name)?;
    let data = volumes.data(name);
    let stream: Box<dyn BufRead + Send> = match file {
        Some(path) => Box::new(std::io::BufReader::with_capacity(256 << 10, std::fs::File::open(path).map_err(Error::io("open", path))?)),
        None => Box::new(std::io::BufReader::with_capacity(256 << 10, std::io::stdin())),
    };
    let map = become_root(engine, false)?;
    let dir = std::fs::File::open(&data).map_err(Error::io("open", &data))?;
    let options = UnpackOptions {
        owners: if map.is_single() { Owners::Record } else { Owners::Set },
        whiteouts: Whiteouts::Literal,
        ..UnpackOptions::default()
    };
    packed::unpack(stream, dir.as_fd(), &options)
        .map_err(|error| Error::Storage(format!("unpack into volume {name}: {error}")))?;
    // What the image has there must not be put beside it at the first use.
    crate::volume::skip_copy_up(&volumes.volume_dir(name))?;
    Ok(())
}
