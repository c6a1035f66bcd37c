//! `commit`: an image of a container's changes.
//!
//! The container's layer is read from the disk as it is, whichever driver mounts it: ids there are the image's. A running
//! container is frozen meanwhile by its monitor, which thaws it when this command goes, however it does.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::engine::child::in_child;
use crate::engine::image::{change, store};
use crate::engine::options::CommitOptions;
use crate::engine::{Engine, Error};
use crate::image::archive::tarw::{Skip, TreeOptions};
use crate::image::compose::{self, Draft, LayerOptions, NewLayer};
use crate::image::config::{Execution, History, Unit};
use crate::monitor::protocol::Request;
use crate::spec::container::ImageSource;
use crate::spec::Digest;
use crate::state::record::{ContainerRecord, MountKind};
use crate::state::{Containers, Status};
use crate::userns::IdMap;
use crate::userns::owner::are_recorded;

use super::attach::connect;
use super::inside::{self, View};
use super::stop::ask;

/// Makes an image of a container, running or not, and returns its id.
///
/// # Errors
/// No such container; one without an image; a change that is none; `pause` asked for and impossible.
pub fn commit(engine: &Engine, container: &str, name: Option<&str>, options: &CommitOptions) -> Result<Digest, Error> {
    let containers = Containers::new(&engine.paths);
    let entry = containers.get(container)?;
    let record = entry.record;
    if let ImageSource::Rootfs { .. } = record.spec.image {
        return Err(Error::Conflict(format!(
            "{container} was made from a root directory, not from an image: use kelp export and kelp import"
        )));
    }
    let store = store(engine);
    let names = name.map(|name| store.reference(name)).transpose()?;
    if let Some(name) = names.as_ref().filter(|name| name.digest().is_some()) {
        return Err(crate::image::StoreError::DigestTag(name.to_string()).into());
    }
    let base = format!("sha256:{}", record.image.id)
        .parse::<Digest>()
        .map_err(|error| Error::Storage(format!("container {container} has no readable image: {error}")))?;
    let mut config = store.config(&base)?;
    config.config = execution(&record, config.config, options)?;
    let _frozen = freeze(engine, &record.id, &entry.status, options.pause)?;
    if matches!(entry.status, Status::Running(_) | Status::Paused(_)) {
        flush(engine, &record.id);
    }
    let created = jiff::Timestamp::from_second(options.newest.unwrap_or(i64::MAX))
        .map_or_else(|_| jiff::Timestamp::now(), |newest| newest.min(jiff::Timestamp::now()));
    let step = History {
        created: Some(created.to_string()),
        author: options.author.clone(),
        created_by: Some(command_line(&record)),
        comment: options.message.clone(),
        empty_layer: false,
    };
    config.created = Some(created.to_string());
    if options.author.is_some() {
        config.author.clone_from(&options.author);
    }
    let draft = Draft {
        config,
        names: names.into_iter().collect(),
        parent: (!options.squash).then_some(base),
        format: options.format,
        ..Draft::default()
    };
    let id = in_child(engine, false, || make(engine, &record, draft, step, options))?;
    crate::image::durable::sync_in_background(&engine.paths.data).ok();
    Ok(id)
}

/// Makes the layer and registers the image. Runs as root of the user's namespace.
fn make(
    engine: &Engine,
    record: &ContainerRecord,
    mut draft: Draft,
    step: History,
    options: &CommitOptions,
) -> Result<Digest, Error> {
    let store = store(engine);
    let below: Vec<Digest> = draft.config.rootfs.diff_ids.clone();
    let mut lease = store.lease(&below)?;
    let single_id = IdMap::of_process("self").is_none_or(|map| map.is_single());
    let ids = if single_id { super::one_id::map(engine, record, &inside::layers_upwards(engine, record)) } else { IdMap::default() };
    let owners = |uid, gid| (inside::inside(&ids.uids, uid), inside::inside(&ids.gids, gid));
    let upper = engine.paths.container(&record.id).join("upper");
    // Also those recorded when the user had one id.
    let mut recorded = single_id || are_recorded(&upper);
    let upper = open(&upper)?;
    let own = compose::MOUNT_POINTS.iter().copied().filter(|path| {
        upper.as_ref().is_some_and(|upper| compose::is_mount_point(&store, upper.as_fd(), &below, Path::new(path)))
    });
    let own: Vec<&[u8]> = own.map(str::as_bytes).collect();
    let skip = |path: &[u8]| own.contains(&path);
    let layer: NewLayer = if options.squash {
        let mut layers: Vec<OwnedFd> = upper.into_iter().collect();
        for dir in inside::layers(engine, record)? {
            recorded |= are_recorded(&dir);
            layers.extend(open(&dir)?);
        }
        draft.config.rootfs.diff_ids.clear();
        draft.config.history.clear();
        compose::copy_layer(&store, &mut lease, single_id, |tar| {
            let tree = TreeOptions {
                newest: options.newest,
                overrides: recorded,
                skip: Some(&skip as Skip<'_>),
                owners: Some(&owners),
                ..TreeOptions::default()
            };
            tar.merged(&layers, &tree)
        })?
    } else {
        compose::copy_layer(&store, &mut lease, single_id, |tar| {
            let layer = LayerOptions { below: &below, newest: options.newest, made_since: None, single_id: recorded, owners: Some(&owners), skip: Some(&skip) };
            match &upper {
                Some(upper) => compose::add_upper(&store, tar, upper.as_fd(), &layer),
                // Never started.
                None => Ok(()),
            }
        })?
    };
    compose::append(&mut draft.config, Some(&layer.diff_id), step);
    Ok(compose::register(&store, &draft)?.id)
}

fn open(path: &Path) -> Result<Option<OwnedFd>, Error> {
    match rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(errno) => Err(Error::io("open", path)(errno.into())),
    }
}

/// Freezes a running container for as long as the connection returned is open.
fn freeze(engine: &Engine, id: &str, status: &Status, pause: Option<bool>) -> Result<Option<OwnedFd>, Error> {
    if pause == Some(false) || !matches!(status, Status::Running(_)) {
        return Ok(None);
    }
    let held = connect(engine, id).and_then(|(_, socket)| ask(&socket, &Request::Hold).map(|()| socket));
    match held {
        Ok(socket) => Ok(Some(socket)),
        // Not asked for: where it cannot be, changes are taken as they come, as podman does.
        Err(_) if pause.is_none() => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a running container has written may still be in the cache of its FUSE mount.
fn flush(engine: &Engine, id: &str) {
    // A container that has just ended has nothing in a cache.
    let _flushed: Result<(), Error> = in_child(engine, true, || {
        let inside = inside::open(engine, id, View::Bare)?;
        let failed = |errno: rustix::io::Errno| Error::io("flush", id)(errno.into());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(&inside.root, c".", flags, Mode::empty()).map_err(failed)?;
        const FUSE: u64 = 0x6573_5546;
        if rustix::fs::fstatfs(&root).is_ok_and(|stat| crate::sys::mount::magic(&stat) == FUSE) {
            rustix::fs::syncfs(&root).map_err(failed)?;
        }
        Ok(())
    });
}

/// What containers of the new image get: the image's settings, under those of the container, under the changes.
fn execution(record: &ContainerRecord, mut own: Execution, options: &CommitOptions) -> Result<Execution, Error> {
    let process = &record.spec.process;
    if process.entrypoint.is_some() {
        own.entrypoint = (!record.config.entrypoint.is_empty()).then(|| record.config.entrypoint.clone());
    }
    if process.entrypoint.is_some() || !process.command.is_empty() {
        own.cmd = (!record.config.command.is_empty()).then(|| record.config.command.clone());
    }
    for (key, value) in &process.env {
        let prefix = format!("{key}=");
        let at = own.env.iter().position(|entry| entry.starts_with(&prefix) || entry == key);
        match (value, at) {
            (Some(value), Some(at)) => own.env[at] = format!("{key}={value}"),
            (Some(value), None) => own.env.push(format!("{key}={value}")),
            (None, Some(at)) => drop(own.env.remove(at)),
            (None, None) => {}
        }
    }
    if let Some(user) = &process.user {
        own.user.clone_from(user);
    }
    if let Some(dir) = &process.workdir {
        own.working_dir.clone_from(dir);
    }
    if let Some(signal) = &record.spec.lifecycle.stop_signal {
        own.stop_signal = Some(signal.clone());
    }
    own.labels.extend(record.spec.labels.clone());
    own.exposed_ports.extend(record.config.exposed.iter().map(|port| (port.clone(), Unit)));
    if options.include_volumes {
        let volumes = record.config.mounts.iter().filter(|mount| matches!(mount.kind, MountKind::Bind | MountKind::Volume));
        own.volumes.extend(volumes.map(|mount| (mount.target.clone(), Unit)));
    }
    if let Some(text) = &options.config {
        change::merge(&mut own, text)?;
    }
    change::apply_to(&mut own, &options.changes)?;
    Ok(own)
}

fn command_line(record: &ContainerRecord) -> String {
    let words = record.config.entrypoint.iter().chain(&record.config.command);
    words.map(String::as_str).collect::<Vec<_>>().join(" ")
}
