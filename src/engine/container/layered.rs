//! Mounts that are overlays of their own: the files of an image (`--mount type=image`) and directories of the host that are
//! not to be written to (`:O`). What is written to them lies beside the container's own files and goes with it.

use std::path::{Path, PathBuf};

use crate::engine::{Engine, Error};
use crate::runtime::plan::Layered;
use crate::spec::Digest;
use crate::state::record::{ContainerRecord, MountKind, ResolvedMount};
use crate::userns::IdMap;

use super::driver::{self, Driver};
use super::plan::{is_foreign, is_shifted};

/// Whether a mount is one.
pub(super) fn is(mount: &ResolvedMount) -> bool {
    mount.kind == MountKind::Image || mount.options.overlay
}

/// The directories of one.
pub(super) struct Dirs {
    /// What it shows, topmost first.
    pub(super) lower: Vec<PathBuf>,
    /// Changes and those in the making, where there can be any. The first is made by [`crate::runtime::make_upper`].
    pub(super) writes: Option<(PathBuf, PathBuf)>,
    /// An empty one to mount on.
    pub(super) target: PathBuf,
}

/// Makes the directories of one, but for that of the changes.
pub(super) fn dirs(engine: &Engine, record: &ContainerRecord, mount: &ResolvedMount) -> Result<Dirs, Error> {
    let name = mount.target.replace('%', "%25").replace('/', "%2F");
    let dir = engine.paths.container(&record.id).join("overlays").join(name);
    let made = |part: &str| {
        let path = dir.join(part);
        std::fs::create_dir_all(&path).map_err(Error::io("create directory", &path))?;
        Ok::<_, Error>(path)
    };
    let mut lower = if mount.kind == MountKind::Image { layers(engine, mount)? } else { vec![PathBuf::from(&mount.source)] };
    let writes = match &mount.options.overlay_dirs {
        Some(own) => Some((own.upper.clone(), own.work.clone())),
        None if mount.kind == MountKind::Image && mount.options.read_only => None,
        None => Some((dir.join("upper"), made("work")?)),
    };
    if writes.is_none() && lower.len() < 2 {
        // The kernel's overlay is of two directories at least.
        lower.push(made("empty")?);
    }
    Ok(Dirs { lower, writes, target: made("view")? })
}

/// Topmost first.
fn layers(engine: &Engine, mount: &ResolvedMount) -> Result<Vec<PathBuf>, Error> {
    let bad = |text: &str| Error::Storage(format!("the mount of image {} names a bad layer: {text}", mount.source));
    let digests = mount.layers.iter().map(|text| text.parse::<Digest>().map_err(|_| bad(text))).collect::<Result<Vec<_>, _>>()?;
    let missing = |layer| Error::Storage(format!("layer {layer} of image {} is missing: pull the image again", mount.source));
    let mut layers = crate::engine::image::store(engine).stack(&digests).map_err(missing)?;
    layers.reverse();
    Ok(layers)
}

/// What a start does about one; the maps are those of the user's namespace and of the container's.
pub(super) fn of(
    engine: &Engine,
    record: &ContainerRecord,
    mount: &ResolvedMount,
    (user_map, map): (&IdMap, &IdMap),
) -> Result<Layered, Error> {
    let Dirs { lower, writes, target } = dirs(engine, record, mount)?;
    let single = user_map.is_single();
    let is_image = mount.kind == MountKind::Image;
    // Files of the host belong to who they belong to there, as in a bind; but where the user is nobody, such a mount would
    // be of no use: then they belong to whom they do in a container that is not shifted.
    let host_ids = !is_image && map.inside(0, 0).is_some();
    let shifted = is_shifted(&record.spec.namespaces) && !single && !host_ids || is_image && lower.iter().any(|layer| is_foreign(layer));
    let all: Vec<PathBuf> = lower.iter().cloned().chain(writes.iter().map(|(upper, _)| upper.clone())).collect();
    let driver = if is_image { driver::choose_for(engine, shifted, single, &all)? } else { driver::choose(engine, shifted)? };
    let text = |path: &Path| path.display().to_string();
    Ok(Layered {
        lower: lower.iter().map(|path| text(path)).collect(),
        writes: writes.map(|(upper, work)| (text(&upper), text(&work))),
        target: text(&target),
        volatile: record.spec.lifecycle.remove && mount.options.overlay_dirs.is_none(),
        fuse: driver == Driver::Fuse,
        host_ids: host_ids && is_shifted(&record.spec.namespaces),
        name: if is_image { format!("image {}", mount.source) } else { mount.source.clone() },
    })
}
