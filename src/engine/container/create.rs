//! `create`: an image and a spec become a container that can be started.

use crate::engine::options::CreateOptions;
use crate::engine::{Engine, Error};
use crate::image::{ImageConfig, RunImage};
use crate::spec::ContainerSpec;
use crate::spec::container::ImageSource;
use crate::state::record::{ContainerRecord, ImageRef, ResolvedMount, VERSION};
use crate::state::{Containers, StateError, names};

use super::cid_file::CidFile;
use super::{mounts, resolve};

/// A container that was made, with what starting it needs at hand.
#[derive(Debug)]
pub struct Created {
    /// Its record.
    pub record: ContainerRecord,
    /// Layer directories on the host, lowest first.
    pub layers: Vec<std::path::PathBuf>,
}

/// Makes a container from a local image. The name is claimed and its record is there when this returns.
///
/// # Errors
/// Names taken, mounts that cannot be, options that contradict the image.
pub fn create(engine: &Engine, mut spec: ContainerSpec, image: Option<RunImage>, options: &CreateOptions) -> Result<Created, Error> {
    if let Some(image) = &image {
        runnable(image)?;
    }
    let containers = Containers::new(&engine.paths);
    let mut cid_file = spec.lifecycle.cid_file.as_deref().map(CidFile::create).transpose()?;
    super::defaults::apply(&mut spec, &engine.config)?;
    crate::engine::network::link::fix(engine, &mut spec.network.links);
    let id = new_id()?;
    if let (true, Some(name)) = (options.replace, &spec.name)
        && let Some(holder) = names::holder(&engine.paths.data, name)
    {
        let remove = crate::engine::options::RemoveOptions { force: true, volumes: true, timeout: Some(0) };
        crate::engine::child::in_child(engine, false, || super::rm::remove(engine, &holder, &remove))?;
    }
    let (config, image_ref, layers) = match image {
        Some(image) => {
            let layers = image.record.layers.iter().map(ToString::to_string).collect();
            let name = if let ImageSource::Image(name) = &spec.image { name.clone() } else { String::new() };
            (image.config, ImageRef { id: image.record.id.hex().to_owned(), name, layers }, image.layers)
        }
        None => (ImageConfig::default(), ImageRef::default(), Vec::new()),
    };
    spec.security.sysctls = merged(&engine.config.containers.sysctls, &spec.security.sysctls);
    let mut resolved = resolve::resolve(&spec, &config, &engine.config, &id)?;
    let _volumes = if needs_volumes(&spec, &config) { Some(crate::volume::Volumes::new(&engine.paths).lock(true)?) } else { None };
    resolved.mounts = mounts::resolve(engine, &spec, &config)?;
    let (dir, _making) = containers.begin(&id)?;
    let name = match claim(engine, spec.name.as_deref(), &id) {
        Ok(name) => name,
        Err(error) => {
            drop(std::fs::remove_dir_all(&dir));
            discard_volumes(engine, &resolved.mounts);
            return Err(error);
        }
    };
    let record = ContainerRecord {
        version: VERSION,
        created: crate::format::time::now(),
        name,
        image: image_ref,
        spec,
        config: resolved,
        id,
    };
    let made = make_dirs(&dir, &record)
        .and_then(|()| cid_file.as_mut().map_or(Ok(()), |file| file.write(&record.id)))
        .and_then(|()| Ok(containers.commit(&record)?));
    if let Err(error) = made {
        names::release(&engine.paths.data, &record.name, &record.id);
        drop(std::fs::remove_dir_all(&dir));
        discard_volumes(engine, &record.config.mounts);
        return Err(error);
    }
    if let Some(file) = cid_file {
        file.keep();
    }
    Ok(Created { record, layers })
}

/// Takes back the anonymous volumes of a container that did not come to be.
fn discard_volumes(engine: &Engine, mounts: &[ResolvedMount]) {
    let volumes = crate::volume::Volumes::new(&engine.paths);
    mounts.iter().filter(|mount| mount.anonymous).for_each(|mount| drop(volumes.discard(&mount.name)));
}

fn needs_volumes(spec: &ContainerSpec, image: &ImageConfig) -> bool {
    use crate::spec::mount::MountSource;
    !image.config.volumes.is_empty()
        || !spec.storage.volumes_from.is_empty()
        || spec.storage.mounts.iter().any(|mount| matches!(mount.source, MountSource::Volume { .. } | MountSource::Image { .. }))
}

fn merged(
    below: &std::collections::BTreeMap<String, String>,
    above: &std::collections::BTreeMap<String, String>,
) -> std::collections::BTreeMap<String, String> {
    let mut all = below.clone();
    all.extend(above.clone());
    all
}

/// 64 random hex digits. Not all decimal: a short id that looks like a number confuses host names (docker's rule).
fn new_id() -> Result<String, Error> {
    loop {
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
        let id = bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
            use std::fmt::Write;
            let _ = write!(text, "{byte:02x}");
            text
        });
        if id[..12].bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return Ok(id);
        }
    }
}

/// The name asked for, or a free one made up.
fn claim(engine: &Engine, name: Option<&str>, id: &str) -> Result<String, Error> {
    if let Some(name) = name {
        names::claim(&engine.paths.data, name, id)?;
        return Ok(name.to_owned());
    }
    for _ in 0..64 {
        let mut random = [0_u8; 4];
        getrandom::fill(&mut random).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
        let name = crate::format::names::generate(random);
        match names::claim(&engine.paths.data, &name, id) {
            Ok(()) => return Ok(name),
            Err(StateError::NameTaken { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let name = format!("container_{}", &id[..12]);
    names::claim(&engine.paths.data, &name, id)?;
    Ok(name)
}

/// The overlay's directories. The upper one's mode shows as that of `/`.
fn make_dirs(dir: &std::path::Path, record: &ContainerRecord) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    let overlay = !matches!(record.spec.image, ImageSource::Rootfs { overlay: false, .. });
    if overlay {
        for (name, mode) in [("upper", 0o755), ("work", 0o700), ("merged", 0o700)] {
            let path = dir.join(name);
            let mask = rustix::process::umask(rustix::fs::Mode::empty());
            let made = std::fs::DirBuilder::new().mode(mode).create(&path);
            rustix::process::umask(mask);
            made.map_err(Error::io("create directory", &path))?;
        }
    }
    Ok(())
}

/// Programs of other systems cannot run here; those of other processors may.
fn runnable(image: &RunImage) -> Result<(), Error> {
    let platform = &image.record.platform;
    if platform.os.is_empty() || platform.os == "linux" {
        return Ok(());
    }
    Err(Error::Usage(format!("image {} is for {platform}: only programs of linux can run here", image.record.id.short())))
}
