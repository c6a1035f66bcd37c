//! `RUN --mount`: from what the Dockerfile says to what the sandbox shows, and what of it counts in the step's key.
//!
//! Content counts, secrets and caches do not. A cache's directory is found by the hash of its name; a source inside it is
//! opened without following links, since steps write there.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;

use crate::build::cache::Scratch;
use crate::build::config;
use crate::build::dockerfile::{Mount, MountKind, Run, Sharing};
use crate::build::key::Key;
use crate::build::options::SecretSource;
use crate::build::progress::{StepId, What};
use crate::engine::Error;
use crate::engine::build::{Bind, BindSource};
use crate::sys::copy_tree::{Owner, TreeCopy};
use crate::sys::root;
use crate::userns::owner::{self, Giving};

use super::Failure;
use super::stage::{Origin, Stage};

/// Between two looks at a lock.
const WAIT: Duration = Duration::from_millis(20);
/// Most bytes of a secret.
const MAX_SECRET: u64 = 500 << 10;

/// The mounts of one `RUN`.
pub(super) struct Mounts {
    all: Vec<(Mount, Option<Origin>)>,
}

/// What must stay while the step runs.
#[derive(Default)]
pub(super) struct Held {
    pub(super) binds: Vec<Bind>,
    caches: Caches,
}

/// The cache mounts of one step: by name, the directory and its lock. One that is mounted twice is locked once.
type Caches = BTreeMap<String, (PathBuf, File)>;

impl Mounts {
    /// Reads the mounts and waits for the stages they come from.
    pub(super) fn read(stage: &Stage<'_>, run: &Run<String>) -> Result<Self, Failure> {
        let mounts = run.mounts().map_err(|fault| stage.said(&fault))?;
        let mut all = Vec::with_capacity(mounts.len());
        for mut mount in mounts {
            mount.target = config::workdir(&stage.config.config.working_dir, &mount.target);
            let needs_file = matches!(mount.kind, MountKind::Secret { file: true, .. });
            if mount.target == "/" && (needs_file || !matches!(mount.kind, MountKind::Secret { .. })) {
                return Err(Failure::Said("invalid mount target \"/\"".to_owned()));
            }
            let origin = match &mount.kind {
                MountKind::Bind { from, .. } => Some(stage.origin(from.as_deref())?),
                MountKind::Cache { from: Some(from), .. } => Some(stage.origin(Some(from))?),
                MountKind::Cache { .. } | MountKind::Tmpfs { .. } | MountKind::Secret { .. } | MountKind::Ssh { .. } => None,
            };
            all.push((mount, origin));
        }
        Ok(Self { all })
    }

    /// Looks for the secrets and agents that must be there.
    pub(super) fn require(&self, stage: &Stage<'_>) -> Result<(), Failure> {
        for (mount, _) in &self.all {
            match &mount.kind {
                MountKind::Secret { id, required: true, .. } => drop(secret(stage, id, true)?),
                MountKind::Ssh { id, required: true, .. } if !stage.build.options.ssh.contains_key(id) => {
                    return Err(Failure::Said(format!("no agent {id} was given: add --ssh {id} to the command line")));
                }
                MountKind::Bind { .. } | MountKind::Cache { .. } | MountKind::Tmpfs { .. } => {}
                MountKind::Secret { .. } | MountKind::Ssh { .. } => {}
            }
        }
        Ok(())
    }

    /// Layers of stages and images that are shown.
    pub(super) fn layers(&self) -> Vec<super::LayerRef> {
        let files = self.all.iter().filter_map(|(_, origin)| match origin {
            Some(Origin::Files(files)) => Some(&files.layers),
            Some(Origin::Context(_)) | None => None,
        });
        files.flatten().cloned().collect()
    }

    /// Whether there are files whose content can be compared when their description is new.
    pub(super) fn have_content(&self) -> bool {
        self.all.iter().any(|(mount, origin)| matches!(mount.kind, MountKind::Bind { .. }) && matches!(origin, Some(Origin::Files(_))))
    }

    /// What counts of the mounts, by description.
    pub(super) fn described(&self, stage: &Stage<'_>) -> String {
        self.key(stage, &|origin, _| match origin {
            Origin::Files(files) => Ok(files.key.clone()),
            Origin::Context(context) => Ok(context.key()),
        })
        .unwrap_or_default()
    }

    /// What counts of the mounts, by content.
    pub(super) fn content(&self, stage: &Stage<'_>) -> Result<String, Failure> {
        self.key(stage, &|origin, source| stage.content_of(origin, source))
    }

    fn key(&self, stage: &Stage<'_>, of: &dyn Fn(&Origin, &str) -> Result<String, Failure>) -> Result<String, Failure> {
        let mut key = Key::new("mounts");
        for (mount, origin) in &self.all {
            key = key.text(&mount.target).text(if mount.read_only { "ro" } else { "rw" });
            key = match (&mount.kind, origin) {
                (MountKind::Bind { source, .. }, Some(origin @ Origin::Context(_))) => {
                    key.text("bind").text(source).text(&stage.content_of(origin, source)?)
                }
                (MountKind::Bind { source, .. }, Some(origin)) => key.text("bind").text(source).text(&of(origin, source)?),
                (MountKind::Bind { .. }, None) => key,
                (MountKind::Cache { id, .. }, _) => key.text("cache").text(id),
                (MountKind::Tmpfs { size }, _) => key.text("tmpfs").text(&size.unwrap_or(0).to_string()),
                (MountKind::Secret { id, env, mode, uid, gid, .. }, _) => {
                    key.text("secret").text(id).option(env.as_deref()).text(&format!("{mode} {uid} {gid}"))
                }
                (MountKind::Ssh { id, mode, uid, gid, .. }, _) => key.text("ssh").text(id).text(&format!("{mode} {uid} {gid}")),
            };
        }
        Ok(key.finish())
    }

    /// Gets everything ready; variables that hold secrets are added to `env`.
    pub(super) fn prepare(&self, stage: &Stage<'_>, scratch: &Scratch, env: &mut Vec<String>, id: StepId) -> Result<Held, Failure> {
        let mut held = Held::default();
        for (index, (mount, origin)) in self.all.iter().enumerate() {
            let target = mount.target.clone();
            let mut add = |read_only: bool, source: BindSource| held.binds.push(Bind { target: target.clone(), read_only, source });
            match &mount.kind {
                MountKind::Bind { source, .. } => {
                    let Some(origin) = origin else { continue };
                    let (layers, path) = stage.shown(origin, source, scratch, index)?;
                    let to_root = match origin {
                        Origin::Context(context) => context.tree.has_others(source)?,
                        Origin::Files(_) => false,
                    };
                    add(mount.read_only, BindSource::Layers { layers, path, to_root });
                }
                MountKind::Cache { source, .. } => {
                    let dir = cache(stage, (mount, id), origin.as_ref(), scratch, index, &mut held.caches)?;
                    let path = if origin.is_some() { String::new() } else { source.trim_start_matches('/').to_owned() };
                    add(mount.read_only, BindSource::Cache { dir, path });
                }
                MountKind::Tmpfs { size } => add(false, BindSource::Tmpfs { size: *size }),
                MountKind::Secret { id, env: variable, file, required, mode, uid, gid } => {
                    let Some(content) = secret(stage, id, *required)? else { continue };
                    if *file {
                        add(true, BindSource::File { content: content.clone(), mode: *mode, uid: *uid, gid: *gid });
                    }
                    if let Some(variable) = variable {
                        let value = String::from_utf8(content)
                            .map_err(|_| Failure::Said(format!("secret {id} is not text: it cannot be a variable")))?;
                        config::set_env(env, variable, &value);
                    }
                }
                MountKind::Ssh { id, mode, uid, gid, .. } => {
                    if let Some(path) = stage.build.options.ssh.get(id) {
                        add(false, BindSource::Socket { path: path.clone(), mode: *mode, uid: *uid, gid: *gid });
                        if !env.iter().any(|entry| entry.starts_with("SSH_AUTH_SOCK=")) {
                            env.push(format!("SSH_AUTH_SOCK={target}"));
                        }
                    }
                }
            }
        }
        Ok(held)
    }
}

fn secret(stage: &Stage<'_>, id: &str, required: bool) -> Result<Option<Vec<u8>>, Failure> {
    let read = |path: &Path| -> Result<Vec<u8>, Error> {
        use std::io::Read as _;
        let mut content = Vec::new();
        let file = File::open(path).map_err(Error::io("read secret", path))?;
        file.take(MAX_SECRET + 1).read_to_end(&mut content).map_err(Error::io("read secret", path))?;
        Ok(content)
    };
    let content = match stage.build.options.secrets.get(id) {
        None if required => return Err(Failure::Said(format!("secret {id} was not given: add --secret id={id} to the command line"))),
        None => return Ok(None),
        Some(SecretSource::File(path)) => read(path)?,
        Some(SecretSource::Env(name)) => match std::env::var_os(name) {
            Some(value) => value.into_encoded_bytes(),
            None if required => return Err(Failure::Said(format!("secret {id}: the variable {name} is not set"))),
            None => return Ok(None),
        },
    };
    if content.len() as u64 > MAX_SECRET {
        return Err(Failure::Said(format!("secret {id} is larger than {} KiB", MAX_SECRET >> 10)));
    }
    Ok(Some(content))
}

/// The lock of a cache mount's directory, waited for unless the build stops.
fn wait_for(stage: &Stage<'_>, dir: &Path, exclusive: bool, step: StepId) -> Result<File, Failure> {
    let mut told = false;
    loop {
        if let Some(lock) = stage.build.cache.lock_mount(dir, exclusive)? {
            return Ok(lock);
        }
        if stage.build.is_stopped() {
            return Err(Failure::canceled());
        }
        if !std::mem::replace(&mut told, true) {
            stage.build.sink.now(step, What::Note("waiting for another step that uses the same cache mount".to_owned()));
        }
        std::thread::sleep(WAIT);
    }
}

/// The directory of a cache mount, made and filled when it is new, and its lock.
fn cache(
    stage: &Stage<'_>,
    (mount, step): (&Mount, StepId),
    origin: Option<&Origin>,
    scratch: &Scratch,
    index: usize,
    held: &mut Caches,
) -> Result<PathBuf, Failure> {
    let MountKind::Cache { id, sharing, source, mode, uid, gid, .. } = &mount.kind else {
        return Err(Failure::Error(Error::Internal("not a cache".to_owned())));
    };
    let cache = &stage.build.cache;
    let name = match origin {
        // Another first content is another cache.
        Some(Origin::Files(files)) => format!("{id} first from {} {source}", files.key),
        Some(Origin::Context(context)) => format!("{id} first from {} {source}", context.key()),
        None => id.clone(),
    };
    // So is one of another owner.
    let name = match stage.build.options.meant("BUILDKIT_CACHE_MOUNT_NS") {
        Some(space) => format!("{space}/{name}"),
        None => name,
    };
    let name = match (origin, uid, gid, mode) {
        (Some(_), None, None, None) | (None, None | Some(0), None | Some(0), None | Some(0o755)) => name,
        // What is not said is as in the first content.
        (Some(_), ..) => format!("{name} of {uid:?}:{gid:?} {mode:?}"),
        (None, ..) => format!("{name} of {}:{} {:o}", uid.unwrap_or(0), gid.unwrap_or(0), mode.unwrap_or(0o755)),
    };
    if let Some((dir, _)) = held.get(&name) {
        return Ok(dir.clone());
    }
    let dir = cache.mount_dir(&name);
    let (dir, lock) = match sharing {
        Sharing::Shared => (dir.clone(), Some(wait_for(stage, &dir, false, step)?)),
        Sharing::Locked => (dir.clone(), Some(wait_for(stage, &dir, true, step)?)),
        Sharing::Private => {
            let mut found = None;
            for number in 0.. {
                let dir = if number == 0 { dir.clone() } else { cache.mount_dir(&format!("{name} private {number}")) };
                if let Some(lock) = cache.lock_mount(&dir, true)? {
                    found = Some((dir, Some(lock)));
                    break;
                }
            }
            found.unwrap_or((dir, None))
        }
    };
    let lock = lock.ok_or_else(|| Error::Internal("a cache mount has no lock".to_owned()))?;
    if !dir.exists() {
        let fresh = scratch.subdir(&format!("cache{index}"))?;
        if let Some(origin) = origin {
            fill(stage, origin, source, scratch, &fresh, index)?;
        }
        let fd = File::open(&fresh).map_err(Error::io("open", &fresh))?;
        let failed = |errno: rustix::io::Errno| Error::io("set owner and mode of", &fresh)(errno.into());
        let first = match origin {
            Some(_) => owner::effective(&fd, &rustix::fs::fstat(&fd).map_err(failed)?),
            None => owner::Owner { uid: 0, gid: 0, mode: 0o755, rdev: 0 },
        };
        let (uid, gid, mode) = (uid.unwrap_or(first.uid), gid.unwrap_or(first.gid), mode.unwrap_or(first.mode));
        Giving::here().give(&fd, owner::Owner { uid, gid, mode, rdev: 0 }).map_err(failed)?;
        match std::fs::rename(&fresh, &dir) {
            // Two that share it may both find it missing.
            Err(error) if !dir.exists() => return Err(Error::io("create", &dir)(error).into()),
            _ => {}
        }
    }
    let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
    let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
    rustix::fs::utimensat(rustix::fs::CWD, &dir, &times, rustix::fs::AtFlags::empty()).ok();
    held.insert(name, (dir.clone(), lock));
    Ok(dir)
}

/// Copies the first content of a cache.
fn fill(stage: &Stage<'_>, origin: &Origin, source: &str, scratch: &Scratch, to: &Path, index: usize) -> Result<(), Failure> {
    let (layers, path) = stage.shown(origin, source, scratch, index)?;
    let place = scratch.subdir(&format!("first{index}"))?;
    let view = crate::engine::build::View::read_only(&layers, &place, stage.build.sandbox.driver(&layers)?)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let from = root::open(view.root(), Path::new(&path), flags).map_err(|errno| Error::io("open", &path)(errno.into()))?;
    let to_fd = File::open(to).map_err(Error::io("open", to))?;
    TreeCopy::new(to_fd.as_fd(), Owner::Keep { uid: 0, gid: 0 })
        .contents(from.as_fd(), true)
        .map_err(|error| Error::io("copy", error.path)(error.source))?;
    Ok(())
}
