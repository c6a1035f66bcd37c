//! Mounts that outlive the command: what `mount`, `image mount` and their opposites share.
//!
//! They are made in the mount namespace of `kelp unshare` and end with it, so that nothing is ever left on the host. Each
//! has its directory `mnt/<kind>/<id>` in the runtime directory; whether something is mounted there is asked of the kernel.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::Errno;
use rustix::mount::UnmountFlags;

use super::build::read_only_overlay;
use super::container::driver::{self, Driver};
use super::{Engine, Error};
use crate::sys::mount::{self, Change, attribute};
use crate::userns::IdMap;

/// Whose files are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// An image's.
    Image,
    /// A container's.
    Container,
}

impl Of {
    fn word(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Container => "container",
        }
    }
}

/// Refuses to work outside of `kelp unshare`, where a mount would end with this very command.
pub(super) fn only_inside(engine: &Engine) -> Result<(), Error> {
    if crate::userns::is_inside(&engine.paths.run) {
        return Ok(());
    }
    Err(Error::Denied {
        message: "mounts live in the namespace of `kelp unshare` only, and this command runs outside of it".to_owned(),
        hint: "run `kelp unshare` first, or `kelp unshare sh -c '…'`".to_owned(),
    })
}

/// The directory an object is mounted on, made if need be.
pub(super) fn place(engine: &Engine, of: Of, id: &str) -> Result<PathBuf, Error> {
    let place = engine.paths.run.join("mnt").join(of.word()).join(id);
    DirBuilder::new().recursive(true).mode(0o700).create(&place).map_err(Error::io("create", &place))?;
    Ok(place)
}

/// Ids of what is mounted here and now, with their places.
pub(super) fn all(engine: &Engine, of: Of) -> Vec<(String, PathBuf)> {
    let dir = engine.paths.run.join("mnt").join(of.word());
    let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| is_mounted(&entry.path()))
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect();
    found.sort();
    found
}

/// Whether something is mounted on a directory: every mount made here is a file system of its own.
pub(super) fn is_mounted(place: &Path) -> bool {
    let device = |path: &Path| fs::symlink_metadata(path).map(|meta| meta.dev()).ok();
    place.parent().is_some_and(|parent| device(place).is_some() && device(place) != device(parent))
}

/// Mounts layers, topmost first; changes go to `upper` (with its work directory), without one there are none.
pub(super) fn overlay(engine: &Engine, lower: &[PathBuf], upper: Option<(&Path, &Path)>, place: &Path) -> Result<(), Error> {
    let failed = |errno: Errno| Error::Storage(format!("mount on {}: {errno}", place.display()));
    let mut lower = lower.to_vec();
    if upper.is_none() && lower.len() < 2 {
        // The kernel's overlay is of two directories at least.
        let empty = engine.paths.run.join("mnt").join("empty");
        DirBuilder::new().recursive(true).mode(0o755).create(&empty).map_err(Error::io("create", &empty))?;
        lower.push(empty);
    }
    let own = upper.map(|(upper, _)| upper.to_owned());
    let all: Vec<PathBuf> = lower.iter().cloned().chain(own).collect();
    match driver::choose_for(engine, false, IdMap::is_single_here(), &all)? {
        Driver::Overlay => {
            let text = |path: &Path| path.display().to_string();
            let mounted = match upper {
                Some((upper, work)) => {
                    let lower: Vec<String> = lower.iter().map(|path| text(path)).collect();
                    crate::runtime::overlay(&lower, Some((&text(upper), &text(work))), &text(place), false)
                }
                None => {
                    lower.reverse();
                    read_only_overlay(&lower, place)
                }
            };
            mounted.map(drop).map_err(failed)
        }
        Driver::Fuse => serve(&lower, upper, place),
    }
}

/// Over FUSE, by a process that ends with the mount.
fn serve(lower: &[PathBuf], upper: Option<(&Path, &Path)>, place: &Path) -> Result<(), Error> {
    let escaped = |path: &Path| path.display().to_string().replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,");
    let mut words = format!("lowerdir={}", lower.iter().map(|path| escaped(path)).collect::<Vec<_>>().join(":"));
    if IdMap::is_single_here() {
        words.push_str(",xattr_permissions=0");
    }
    if let Some((upper, work)) = upper {
        words.push_str(&format!(",upperdir={},workdir={}", escaped(upper), escaped(work)));
    }
    let output = Command::new("/proc/self/exe")
        .args([crate::storage::fuse::ROLE, "-o", &words])
        .arg(place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .and_then(|mut child| child.wait().map(|status| (status, child)))
        .map_err(|error| Error::Storage(format!("cannot start the file system server: {error}")))?;
    if output.0.success() {
        return Ok(());
    }
    let mut said = String::new();
    if let Some(mut errors) = output.1.stderr {
        std::io::Read::read_to_string(&mut errors, &mut said).ok();
    }
    Err(Error::Storage(said.trim().trim_start_matches("kelp: ").to_owned()))
}

/// Attaches a detached mount.
pub(super) fn attach(tree: std::os::fd::BorrowedFd<'_>, place: &Path, read_only: bool) -> Result<(), Error> {
    use rustix::fs::{Mode, OFlags};
    let failed = |errno: Errno| Error::Storage(format!("mount on {}: {errno}", place.display()));
    let target = rustix::fs::open(place, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let set = if read_only { attribute::RDONLY } else { 0 };
    mount::attach_changed(tree, std::os::fd::AsFd::as_fd(&target), Change { set, ..Change::default() }).map_err(failed)
}

/// Unmounts; with `force` also what is in use, which goes when its last user does.
pub(super) fn unmount(place: &Path, force: bool) -> Result<(), Error> {
    let flags = if force { UnmountFlags::DETACH } else { UnmountFlags::NOFOLLOW };
    match rustix::mount::unmount(place, flags) {
        Ok(()) => Ok(()),
        Err(Errno::BUSY) => Err(Error::Conflict(format!("{} is in use; leave it, or use --force", place.display()))),
        Err(errno) => Err(Error::Storage(format!("unmount {}: {errno}", place.display()))),
    }
}
