//! Which mounts a container has: image volumes, `-v`, `--mount`, `--tmpfs`, `--volumes-from`; volumes are made here.

use std::borrow::Cow;
use std::os::fd::AsFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::engine::{Engine, Error};
use crate::image::ImageConfig;
use crate::spec::ContainerSpec;
use crate::spec::container::ImageVolumes;
use crate::format::glob::{Glob, GlobError, has_wildcards};
use crate::spec::mount::{MountOptions, MountSource, MountSpec, TmpfsOptions};
use crate::state::Containers;
use crate::state::record::{MountKind, ResolvedMount};
use crate::volume::{Backing, NewVolume, Volumes};

/// All mounts, outer before inner. The caller holds the volume lock until the container's record is written.
pub(super) fn resolve(engine: &Engine, spec: &ContainerSpec, image: &ImageConfig) -> Result<Vec<ResolvedMount>, Error> {
    if super::plan::is_shifted(&spec.namespaces) && spec.storage.mounts.iter().any(|mount| mount.options.idmap) {
        let message = "mount option idmap: the kernel gives mapped mounts to root of the host alone; an overlay (`-v DIR:TARGET:O`) shows files as the container's";
        return Err(Error::Usage(message.to_owned()));
    }
    let mut mounts: Vec<ResolvedMount> = Vec::new();
    for text in &spec.storage.volumes_from {
        for mount in from_container(engine, text)? {
            replace(&mut mounts, mount);
        }
    }
    let mut asked: Vec<ResolvedMount> = Vec::new();
    let typed = spec.storage.mounts.iter().map(|mount| globbed(mount)).collect::<Result<Vec<_>, _>>()?;
    for mount in typed.iter().flat_map(|mounts| mounts.iter()) {
        let resolved = one(engine, &mount.source, &mount.target, &mount.options)?;
        if asked.iter().any(|other| other.target == resolved.target) {
            return Err(Error::Usage(format!("duplicate mount point: {}", resolved.target)));
        }
        asked.push(resolved);
    }
    for tmpfs in &spec.storage.tmpfs {
        let mount = one(engine, &MountSource::Tmpfs(tmpfs.options.clone()), &tmpfs.target, &MountOptions::default())?;
        if asked.iter().any(|other| other.target == mount.target) {
            return Err(Error::Usage(format!("duplicate mount point: {}", mount.target)));
        }
        asked.push(mount);
    }
    for target in image.config.volumes.keys() {
        let target = clean(target)?;
        let taken = |list: &[ResolvedMount]| list.iter().any(|mount| mount.target == target);
        if taken(&asked) || taken(&mounts) {
            continue;
        }
        match spec.storage.image_volumes {
            ImageVolumes::Anonymous => {
                let source = MountSource::Volume { name: None, subpath: None };
                mounts.push(one(engine, &source, &target, &MountOptions::default())?);
            }
            ImageVolumes::Tmpfs => {
                let options = TmpfsOptions { copy_up: true, exec: true, suid: true, ..TmpfsOptions::default() };
                mounts.push(one(engine, &MountSource::Tmpfs(options), &target, &MountOptions::default())?);
            }
            ImageVolumes::Ignore => {}
        }
    }
    for mount in asked {
        replace(&mut mounts, mount);
    }
    mounts.sort_by_key(|mount| Path::new(&mount.target).components().count());
    Ok(mounts)
}

/// The directory of the volume a mount fills from the image, if the volume still waits for that.
pub(super) fn fills(engine: &Engine, mount: &ResolvedMount) -> Option<PathBuf> {
    let fills = mount.kind == MountKind::Volume && !mount.options.no_copy && mount.subpath.is_empty();
    fills.then(|| Volumes::new(&engine.paths).volume_dir(&mount.name))
}

fn replace(mounts: &mut Vec<ResolvedMount>, mount: ResolvedMount) {
    mounts.retain(|other| other.target != mount.target);
    mounts.push(mount);
}

/// An absolute target without `.`, `..` and double slashes; never the root.
fn clean(target: &str) -> Result<String, Error> {
    use std::path::Component;
    let mut path = String::new();
    for component in Path::new(target).components() {
        match component {
            Component::Normal(name) => {
                path.push('/');
                path.push_str(&name.to_string_lossy());
            }
            Component::ParentDir => path.truncate(path.rfind('/').unwrap_or(0)),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if path.is_empty() || target.contains('\0') {
        return Err(Error::Usage(format!("invalid mount path \"{target}\": it must be absolute and not /")));
    }
    Ok(path)
}

fn one(engine: &Engine, source: &MountSource, target: &str, options: &MountOptions) -> Result<ResolvedMount, Error> {
    let target = clean(target)?;
    if let Some(dirs) = &options.overlay_dirs {
        for (key, dir) in [("upperdir", &dirs.upper), ("workdir", &dirs.work)] {
            if !dir.is_dir() {
                return Err(Error::Usage(format!("{key}={}: no such directory; make it first", dir.display())));
            }
        }
    }
    let base = ResolvedMount { target, options: options.clone(), ..ResolvedMount::default() };
    Ok(match source {
        MountSource::Bind { path, create } => {
            if *create && path.symlink_metadata().is_err() {
                std::fs::create_dir_all(path).map_err(Error::io("create directory", path))?;
            } else if let Err(error) = path.metadata() {
                return Err(Error::io("bind mount", path)(error));
            }
            if options.overlay && !path.is_dir() {
                return Err(Error::Usage(format!("{}: only a directory can be mounted with O; leave it out, or give ro", path.display())));
            }
            ResolvedMount { kind: MountKind::Bind, source: path.display().to_string(), ..base }
        }
        MountSource::Image { image, subpath } => {
            let store = crate::engine::image::store(engine);
            let record = store.resolve_for_run(image)?.record;
            ResolvedMount {
                kind: MountKind::Image,
                name: record.id.hex().to_owned(),
                source: image.clone(),
                layers: record.layers.iter().map(ToString::to_string).collect(),
                subpath: subpath.as_deref().map(inside).transpose()?.unwrap_or_default(),
                ..base
            }
        }
        MountSource::Devpts(devpts) => ResolvedMount { kind: MountKind::Devpts, devpts: Some(devpts.clone()), ..base },
        MountSource::Glob { pattern } => return Err(Error::Internal(format!("{} was not expanded", pattern.display()))),
        MountSource::Tmpfs(tmpfs) => ResolvedMount { kind: MountKind::Tmpfs, tmpfs: Some(tmpfs.clone()), ..base },
        MountSource::Volume { name, subpath } => {
            let volumes = Volumes::new(&engine.paths);
            let new = NewVolume { name: name.clone(), ..NewVolume::default() };
            let (record, _) = volumes.create(&new)?;
            let base = ResolvedMount { kind: MountKind::Volume, anonymous: name.is_none(), name: record.name.clone(), ..base };
            match volumes.backing(&record)? {
                Backing::Data(path) => {
                    let subpath = subdirectory(&path, subpath.as_deref())?;
                    ResolvedMount { source: path.display().to_string(), subpath, ..base }
                }
                Backing::Bind { path, read_only } => {
                    let subpath = subdirectory(&path, subpath.as_deref())?;
                    let options = MountOptions { read_only: base.options.read_only || read_only, ..base.options };
                    ResolvedMount { source: path.display().to_string(), subpath, options, ..base }
                }
                Backing::Tmpfs(mut tmpfs) => {
                    tmpfs.read_only |= base.options.read_only;
                    ResolvedMount { tmpfs: Some(tmpfs), ..base }
                }
            }
        }
    })
}

/// Checks the path of a directory or file in a volume. It is looked up again, without following links, when it is mounted.
fn subdirectory(volume: &Path, subpath: Option<&str>) -> Result<String, Error> {
    let Some(subpath) = subpath else { return Ok(String::new()) };
    let relative = inside(subpath)?;
    let relative = Path::new(&relative);
    let found = rustix::fs::open(volume, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|dir| crate::sys::root::open_no_links(dir.as_fd(), relative, OFlags::PATH));
    match found {
        // A directory of other ids that only root of the user's namespace can look into: the start will tell.
        Ok(_) | Err(Errno::ACCESS) => Ok(relative.display().to_string()),
        Err(errno) => Err(Error::io("find volume-subpath", volume.join(relative))(errno.into())),
    }
}

/// A path that does not lead out of what it is in.
fn inside(subpath: &str) -> Result<String, Error> {
    let relative = subpath.trim_start_matches('/');
    let parts = Path::new(relative).components();
    if relative.is_empty() || !parts.into_iter().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(Error::Usage(format!("invalid subpath \"{subpath}\": it must be a path inside the volume or image")));
    }
    Ok(relative.to_owned())
}

/// A mount as typed, or, of a pattern, one for each path of the host that it matches.
fn globbed(mount: &MountSpec) -> Result<Vec<Cow<'_, MountSpec>>, Error> {
    let MountSource::Glob { pattern } = &mount.source else { return Ok(vec![Cow::Borrowed(mount)]) };
    let found = matching(pattern).map_err(|why| Error::Usage(format!("type=glob: {}: {why}", pattern.display())))?;
    if found.is_empty() {
        return Err(Error::Usage(format!("type=glob: nothing on the host matches {}", pattern.display())));
    }
    let bind = |path: PathBuf| {
        let target = match path.file_name() {
            Some(name) if !mount.target.is_empty() => Path::new(&mount.target).join(name),
            _ => path.clone(),
        };
        let target = target.display().to_string();
        Cow::Owned(MountSpec { source: MountSource::Bind { path, create: false }, target, options: mount.options.clone() })
    };
    Ok(found.into_iter().map(bind).collect())
}

/// The paths of the host that a pattern matches, in order; hidden ones need no dot of their own, as with podman. A directory
/// that cannot be read has no matches.
fn matching(pattern: &Path) -> Result<Vec<PathBuf>, GlobError> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components() {
        let Component::Normal(part) = part else { continue };
        let Some(text) = part.to_str().filter(|text| has_wildcards(text)) else {
            found = found.into_iter().map(|dir| dir.join(part)).filter(|path| path.symlink_metadata().is_ok()).collect();
            continue;
        };
        let glob = Glob::new(text, false)?;
        let below = |dir: PathBuf| {
            let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            names.filter(|name| glob.matches(name)).map(move |name| dir.join(name)).collect::<Vec<_>>()
        };
        found = found.into_iter().flat_map(below).collect();
    }
    found.sort();
    Ok(found)
}

/// `--volumes-from CONTAINER[:ro|rw]`.
fn from_container(engine: &Engine, text: &str) -> Result<Vec<ResolvedMount>, Error> {
    let (name, options) = text.split_once(':').unwrap_or((text, ""));
    let entry = Containers::new(&engine.paths).get(name)?;
    let mut mounts = entry.record.config.mounts;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" => mounts.iter_mut().for_each(|mount| mount.options.read_only = true),
            "rw" | "z" | "Z" => {}
            _ => return Err(Error::Usage(format!("invalid --volumes-from option \"{option}\" in \"{text}\""))),
        }
    }
    for mount in &mut mounts {
        // It goes with its first owner.
        mount.anonymous = false;
    }
    mounts.retain(|mount| mount.kind.has_files());
    Ok(mounts)
}
