//! Getting at the inside of a container: the user's namespace, and the root directory as the container sees it.
//!
//! Of a running container it is its mount namespace's root, volumes and all; for a stopped one the root is mounted here, in
//! a mount namespace of this process alone, and goes with it. Nothing of the container is ever run or loaded.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::config::DriverChoice;
use crate::engine::{Engine, Error};
use super::layered;
use crate::runtime;
use crate::spec::container::ImageSource;
use crate::state::container::Lock;
use crate::state::record::ResolvedMount;
use crate::storage::fuse::Served;
use crate::state::{ContainerRecord, Containers, RunRecord, StateError, Status, live};
use crate::sys::process::{NEWNS, NEWUSER, pidfd_open, set_ids, setns};
use crate::sys::root::{self, Kind};
use crate::sys::mount;
use crate::userns::owner::are_recorded;
use crate::userns::{Extent, IdMap};
use crate::volume::copy_up;

/// Makes this single-threaded process root of the user's namespace, with a mount namespace of its own when `mounts`.
pub(crate) fn become_root(engine: &Engine, mounts: bool) -> Result<IdMap, Error> {
    crate::userns::enter(&engine.paths.run, mounts).map(|entered| entered.map).map_err(|error| Error::Denied {
        message: error.to_string(),
        hint: "`kelp doctor` checks what user namespaces need".to_owned(),
    })
}

/// The inside of one container.
#[derive(Debug)]
pub(super) struct Inside {
    /// Its root directory (O_PATH).
    pub(super) root: OwnedFd,
    /// Its ids, in terms of the user's namespace.
    pub(super) ids: IdMap,
    /// To reach it this process entered the container's own user namespace, where the user has no id.
    pub(super) without_user: bool,
    /// Serves a stopped one's files where the kernel's overlay is refused; ends after `root` is closed.
    _mounted: Option<Mounted>,
    _served: Vec<Served>,
    /// Keeps a stopped one from being started over our mount of it.
    _lock: Option<Lock>,
}

impl Inside {
    /// The container's root, as this process calls him.
    pub(super) fn root_ids(&self) -> (u32, u32) {
        (outside(&self.ids.uids, 0), outside(&self.ids.gids, 0))
    }

    /// Some directory as the root of a container with the caller's ids.
    #[cfg(test)]
    pub(super) fn for_test(root: OwnedFd) -> Self {
        Self { root, ids: IdMap::default(), without_user: false, _mounted: None, _served: Vec::new(), _lock: None }
    }

    /// What the container calls the owner `uid`, `gid`.
    pub(super) fn inside_ids(&self, uid: u32, gid: u32) -> (u32, u32) {
        (inside(&self.ids.uids, uid), inside(&self.ids.gids, gid))
    }
}

/// A root with all that is mounted on it, which goes before what is served there: a server waits for that.
#[derive(Debug)]
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(&self.0, rustix::mount::UnmountFlags::DETACH);
    }
}

fn outside(extents: &[Extent], id: u32) -> u32 {
    outside_of(extents, id).unwrap_or(id)
}

fn outside_of(extents: &[Extent], id: u32) -> Option<u32> {
    let found = extents.iter().find(|extent| id >= extent.inside && id - extent.inside < extent.count);
    found.map(|extent| extent.outside + (id - extent.inside))
}

pub(super) fn inside(extents: &[Extent], id: u32) -> u32 {
    let found = extents.iter().find(|extent| id >= extent.outside && id - extent.outside < extent.count);
    found.map_or(id, |extent| extent.inside + (id - extent.outside))
}

/// How much of a container is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum View {
    /// With all that is mounted in it.
    Full,
    /// The image and the container's own layer alone.
    Bare,
}

/// Opens the inside of a container, running or not. [`become_root`] with a mount namespace comes before.
pub(super) fn open(engine: &Engine, id: &str, view: View) -> Result<Inside, Error> {
    let containers = Containers::new(&engine.paths);
    loop {
        let status = containers.status(id)?;
        if let Status::Running(run) | Status::Paused(run) = &status
            && let Some(inside) = running(run, id, view)?
        {
            return Ok(inside);
        }
        match containers.lock(id) {
            Ok(lock) => {
                let record = containers.read(id)?;
                let (root, served) = stopped(engine, &record, view)?;
                // On disk ids are as the container sees them, unless all of them are one.
                let ids = if IdMap::is_single_here() { super::one_id::map(engine, &record, &layers_upwards(engine, &record)) } else { IdMap::default() };
                return Ok(Inside { root, ids, without_user: false, _mounted: Some(Mounted(engine.paths.container(id).join("merged"))), _served: served, _lock: Some(lock) });
            }
            // Another command's, or a monitor's that begins or ends.
            Err(StateError::Busy(_)) => std::thread::sleep(Duration::from_millis(20)),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Through the mount namespace of its first process; none if that has just ended.
fn running(run: &RunRecord, id: &str, view: View) -> Result<Option<Inside>, Error> {
    let Some(init) = run.init else { return Ok(None) };
    let Ok(pidfd) = pidfd_open(init.pid) else { return Ok(None) };
    if !live::alive(init) {
        return Ok(None);
    }
    let failed = |what: &str, errno: Errno| Error::Runtime {
        message: format!("enter the mounts of container {}: {what}: {errno}", id.get(..12).unwrap_or(id)),
        hint: None,
    };
    let here = rustix::fs::open("/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| failed("open /proc/self/ns/mnt", errno))?;
    match setns(pidfd.as_fd(), NEWNS) {
        Ok(()) => {}
        Err(Errno::SRCH) => return Ok(None),
        Err(errno) => return Err(failed("setns", errno)),
    }
    let root = match view {
        View::Full => rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()),
        // A copy of that one mount, with nothing on it.
        View::Bare => mount::clone_tree(CWD, c"/", false),
    };
    setns(here.as_fd(), NEWNS).map_err(|errno| failed("return", errno))?;
    let root = root.map_err(|errno| failed("open /", errno))?;
    let mut ids = IdMap::of_process(&init.pid.to_string()).unwrap_or_default();
    let mut without_user = false;
    if is_fuse(&root) {
        // FUSE serves the user namespace it was mounted in and those below, not the ones above (fuse_allow_current_process).
        // The user is 0 where this process comes from.
        without_user = !ids.uids.is_empty() && !ids.uids.iter().any(|extent| extent.outside == 0);
        setns(pidfd.as_fd(), NEWUSER).map_err(|errno| failed("enter its user namespace", errno))?;
        if without_user {
            set_ids(0, 0).map_err(|errno| failed("become its root", errno))?;
        }
        ids = IdMap::default();
    }
    // Read of that very process, whatever its number is now.
    Ok(live::alive(init).then_some(Inside { root, ids, without_user, _mounted: None, _served: Vec::new(), _lock: None }))
}

pub(super) fn is_fuse(root: &OwnedFd) -> bool {
    const FUSE: u64 = 0x6573_5546;
    rustix::fs::fstatfs(root).is_ok_and(|stat| crate::sys::mount::magic(&stat) == FUSE)
}

/// Mounts the root of a stopped container in this process's mount namespace, with its binds and volumes.
fn stopped(engine: &Engine, record: &ContainerRecord, view: View) -> Result<(OwnedFd, Vec<Served>), Error> {
    let dir = engine.paths.container(&record.id);
    let failed = |errno: Errno| {
        Error::Storage(format!("mount the files of container {}: {errno}", record.id.get(..12).unwrap_or(&record.id)))
    };
    // What the host unmounts must go here too, and nothing of ours may show there.
    mount::set_propagation(c"/", mount::flag::REC | mount::flag::SLAVE).map_err(failed)?;
    let driver = engine.config.storage.driver;
    let (root, served) = match &record.spec.image {
        ImageSource::Rootfs { path, overlay: false } => {
            let tree = mount::clone_tree(CWD, &c_path(path)?, true).map_err(failed)?;
            return Ok((tree, Vec::new()));
        }
        ImageSource::Rootfs { path, overlay: true } => overlay(&dir, std::slice::from_ref(path), driver)?,
        ImageSource::Image(_) => overlay(&dir, &layers(engine, record)?, driver)?,
    };
    let mut served: Vec<Served> = served.into_iter().collect();
    if view == View::Bare {
        return Ok((root, served));
    }
    let mut mounts: Vec<&ResolvedMount> = record.config.mounts.iter().filter(|mount| mount.kind.has_files()).collect();
    mounts.sort_by_key(|mount| Path::new(&mount.target).components().count());
    for mount in mounts {
        fill(engine, record, mount, &root)?;
        let failed = |errno| Error::Storage(format!("mount {} on {} of the container: {errno}", mount.source, mount.target));
        if layered::is(mount) {
            let (tree, server) = layered_tree(engine, record, mount, driver)?;
            served.extend(server);
            attach_tree(mount, &tree, &root).map_err(failed)?;
        } else {
            attach(mount, &root).map_err(failed)?;
        }
    }
    Ok((root, served))
}

/// What a container's first start does before it mounts a new volume: files copied into it or out of it are then those
/// that the container will see.
fn fill(engine: &Engine, record: &ContainerRecord, mount: &ResolvedMount, root: &OwnedFd) -> Result<(), Error> {
    let Some(dir) = super::mounts::fills(engine, mount) else { return Ok(()) };
    let target = Path::new(&mount.target);
    let here = IdMap::of_process("self").unwrap_or_default();
    if here.is_single() {
        return Ok(copy_up(&dir, root.as_fd(), target, None).map(drop)?);
    }
    // Without a map nobody knows yet whose the files will be: that start fills it.
    let Some(ids) = super::plan::future_map(record, &here)? else { return Ok(()) };
    // As at a start, who has no id in the container is its root.
    let known = |extents: &[Extent], id| if outside_of(extents, id).is_some() { id } else { 0 };
    let owners = |uid, gid| (outside(&ids.uids, known(&ids.uids, uid)), outside(&ids.gids, known(&ids.gids, gid)));
    Ok(copy_up(&dir, root.as_fd(), target, Some(&owners)).map(drop)?)
}

/// As [`layers`], lowest first, and without those that are missing.
pub(super) fn layers_upwards(engine: &Engine, record: &ContainerRecord) -> Vec<PathBuf> {
    let mut layers = layers(engine, record).unwrap_or_default();
    layers.reverse();
    layers
}

/// Topmost first.
pub(super) fn layers(engine: &Engine, record: &ContainerRecord) -> Result<Vec<PathBuf>, Error> {
    let mut layers = super::start::layers_of(engine, record)?;
    layers.reverse();
    Ok(layers)
}

/// Mounts an overlay: the kernel's, or where that is refused (or not wanted) kelp's own.
fn overlay(dir: &Path, lower: &[PathBuf], driver: DriverChoice) -> Result<(OwnedFd, Option<Served>), Error> {
    let part = |name: &str| -> Result<PathBuf, Error> {
        let path = dir.join(name);
        match fs::create_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::io("create", path)(error)),
        }
        Ok(path)
    };
    let (upper, work, merged) = (part("upper")?, part("work")?, part("merged")?);
    overlay_at(lower, Some((&upper, &work)), &merged, driver)
}

/// A mount that is an overlay of its own, or the part of it that is wanted.
fn layered_tree(engine: &Engine, record: &ContainerRecord, mount: &ResolvedMount, driver: DriverChoice) -> Result<(OwnedFd, Option<Served>), Error> {
    let layered::Dirs { lower, writes, target } = layered::dirs(engine, record, mount)?;
    let failed = |errno: Errno| Error::Storage(format!("mount {} on {} of the container: {errno}", mount.source, mount.target));
    if let (Some(top), Some((upper, _))) = (lower.first(), &writes) {
        runtime::make_upper(&top.display().to_string(), &upper.display().to_string()).map_err(failed)?;
    }
    let writes = writes.as_ref().map(|(upper, work)| (upper.as_path(), work.as_path()));
    let (whole, served) = overlay_at(&lower, writes, &target, driver)?;
    if mount.subpath.is_empty() {
        return Ok((mount::clone_tree(whole.as_fd(), c"", false).map_err(failed)?, served));
    }
    let part = root::open_no_links(whole.as_fd(), Path::new(&mount.subpath), OFlags::PATH).map_err(failed)?;
    Ok((mount::clone_tree(part.as_fd(), c"", false).map_err(failed)?, served))
}

/// As [`overlay`], with directories that are there.
fn overlay_at(lower: &[PathBuf], writes: Option<(&Path, &Path)>, merged: &Path, driver: DriverChoice) -> Result<(OwnedFd, Option<Served>), Error> {
    let single = IdMap::is_single_here();
    // Owners recorded when the user had one id are shown by kelp's own alone.
    let recorded = !single && lower.iter().map(PathBuf::as_path).chain(writes.map(|(upper, _)| upper)).any(are_recorded);
    if driver != DriverChoice::Fuse && !recorded {
        let text = |path: &Path| path.display().to_string();
        let lower: Vec<String> = lower.iter().map(|path| text(path)).collect();
        let writes = writes.map(|(upper, work)| (text(upper), text(work)));
        match runtime::overlay(&lower, writes.as_ref().map(|(upper, work)| (upper.as_str(), work.as_str())), &text(merged), false) {
            Ok(root) => return Ok((root, None)),
            Err(Errno::PERM | Errno::NODEV | Errno::INVAL | Errno::OPNOTSUPP) if driver == DriverChoice::Auto => {}
            Err(errno) => return Err(Error::Storage(format!("mount an overlay on {}: {errno}", merged.display()))),
        }
    }
    // With one id its owners are read from the records, as over the kernel's.
    let served = Served::new(lower, writes, merged, single).map_err(|error| Error::Storage(error.to_string()))?;
    let root = rustix::fs::open(merged, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::io("open", merged)(errno.into()))?;
    Ok((root, Some(served)))
}

fn attach(mounted: &ResolvedMount, root_fd: &OwnedFd) -> Result<(), Errno> {
    let source = c_path(Path::new(&mounted.source)).map_err(|_| Errno::INVAL)?;
    let recursive = !mounted.options.non_recursive;
    let clone = || {
        if mounted.subpath.is_empty() {
            return mount::clone_tree(CWD, &source, recursive);
        }
        let whole = rustix::fs::open(&source, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let part = root::open_no_links(whole.as_fd(), Path::new(&mounted.subpath), OFlags::PATH)?;
        mount::clone_tree(part.as_fd(), c"", recursive)
    };
    let tree = match clone() {
        // A bind whose source has gone; the container could not be started either, but its files can be had.
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    attach_tree(mounted, &tree, root_fd)
}

fn attach_tree(mounted: &ResolvedMount, tree: &OwnedFd, root_fd: &OwnedFd) -> Result<(), Errno> {
    let is_dir = FileType::from_raw_mode(rustix::fs::fstat(tree)?.st_mode) == FileType::Directory;
    let target = root::ensure(root_fd.as_fd(), Path::new(&mounted.target), if is_dir { Kind::Dir } else { Kind::File })?;
    if mounted.options.read_only {
        let change = mount::Change { set: mount::attribute::RDONLY, ..mount::Change::default() };
        return mount::attach_changed(tree.as_fd(), target.as_fd(), change);
    }
    mount::attach(tree.as_fd(), target.as_fd())
}

fn c_path(path: &Path) -> Result<std::ffi::CString, Error> {
    std::ffi::CString::new(path.as_os_str().as_encoded_bytes())
        .map_err(|_| Error::Usage(format!("invalid path {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_translated_both_ways() {
        // keep-id of a user who is 1000 inside.
        let extent = |inside, outside, count| Extent { inside, outside, count };
        let map = vec![extent(0, 1, 1000), extent(1000, 0, 1), extent(1001, 1001, 64535)];
        assert_eq!((outside(&map, 0), outside(&map, 1000), outside(&map, 2000)), (1, 0, 2000));
        assert_eq!((inside(&map, 1), inside(&map, 0), inside(&map, 2000)), (0, 1000, 2000));
        assert_eq!((outside(&[], 5), inside(&[], 5)), (5, 5));
    }
}
