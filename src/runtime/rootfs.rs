//! The container's view of files, built by its own first process: root file system, mounts, /dev links, masks.
//!
//! Runs as root of the container's user namespace in its new mount namespace, with the host's tree still in view. Every
//! target inside the root is opened with openat2(2) in that root and mounted on by descriptor.

use std::ffi::CString;
use std::fmt::Write as _;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::errand;
use super::init::word;
use super::plan::{Layered, Mount, Plan, Root, What};
use super::plan::users;
use super::report::{Failure, Step, at, nth};
use crate::sys::chown::chown_tree;
use crate::sys::copy_tree::{Owner, TreeCopy};
use crate::sys::mount::{self, attribute, flag};
use crate::sys::root::{self, Kind};
use crate::sys::socket;

const DIR: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

fn c(text: &str) -> Result<CString, Errno> {
    CString::new(text).map_err(|_| Errno::INVAL)
}

fn open_host(path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
}

/// Mounts the root file system and returns its directory. The `/dev/fuse` of a root served by the monitor goes over
/// `report`.
pub(super) fn mount_root(plan: &Plan, report: BorrowedFd<'_>) -> Result<OwnedFd, Failure> {
    match &plan.root {
        Root::Overlay { lower, upper, work, target, volatile } => overlay(lower, Some((upper, work)), target, *volatile),
        Root::Fuse { target, .. } => fuse(target, plan.map.lead(), report),
        Root::Dir { path } => bind_root(path),
    }
    .map_err(at(Step::Root))
}

/// Mounts FUSE and hands its device to the monitor; whoever looks into it waits until that serves.
fn fuse(target: &str, (uid, gid): (u32, u32), report: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let device = open_host("/dev/fuse", OFlags::RDWR)?;
    let data = format!("fd={},rootmode=40000,user_id={uid},group_id={gid},default_permissions,allow_other", device.as_raw_fd());
    let place = open_host(target, DIR)?;
    mount::mount(c"kelp", place.as_fd(), c"fuse.kelp", flag::NODEV, &c(&data)?)?;
    socket::send(report, &[IoSlice::new(&[word::FUSE])], &[device.as_fd()], true)?;
    open_host(target, DIR)
}

/// What the mounts of a plan show, opened before this process takes on ids that may not be allowed to.
pub(super) type Source = Option<OwnedFd>;

/// Opens the sources of `plan.mounts`, in order.
pub(super) fn open_sources(plan: &Plan, report: BorrowedFd<'_>) -> Result<Vec<Source>, Failure> {
    // Nothing we mount may show on the host; what the host unmounts must go here too.
    mount::set_propagation(c"/", flag::REC | flag::SLAVE).map_err(at(Step::Root))?;
    plan.mounts
        .iter()
        .enumerate()
        .map(|(index, mount)| match &mount.what {
            What::New { .. } | What::CopiedTmpfs { .. } => Ok(None),
            What::Bind { source, recursive, optional } => {
                match bind_source(plan, mount, source, *recursive) {
                    Err(Errno::NOENT) if *optional => Ok(None),
                    other => other.map(Some).map_err(nth(Step::MountSource, index)),
                }
            }
            What::Layered(layered) => mount_layered(plan, layered, report).map(Some).map_err(nth(Step::MountSource, index)),
        })
        .collect()
}

fn bind_source(plan: &Plan, mount: &Mount, source: &str, recursive: bool) -> Result<OwnedFd, Errno> {
    match plan.beneath.iter().find(|(target, _)| *target == mount.target) {
        Some((_, path)) => {
            let part = root::open_no_links(open_host(source, DIR)?.as_fd(), Path::new(path), OFlags::PATH)?;
            mount::clone_tree(part.as_fd(), c"", recursive)
        }
        None => mount::clone_tree(CWD, &c(source)?, recursive),
    }
}

/// Mounts directories as one, aside, where it stays until the host's tree is left.
fn mount_layered(plan: &Plan, layered: &Layered, report: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    if layered.fuse {
        return fuse(&layered.target, plan.map.lead(), report);
    }
    let writes = layered.writes.as_ref().map(|(upper, work)| (upper.as_str(), work.as_str()));
    overlay(&layered.lower, writes, &layered.target, layered.volatile)
}

/// A copy of such a mount, or of the part of it that is wanted. Kelp's own overlay serves no user who has no id in the
/// container: whoever looks into it must have taken on the container's ids.
fn layered_tree(plan: &Plan, mount: &Mount, mounted: &OwnedFd) -> Result<OwnedFd, Errno> {
    match plan.beneath.iter().find(|(target, _)| *target == mount.target) {
        Some((_, part)) => mount::clone_tree(root::open_no_links(mounted.as_fd(), Path::new(part), OFlags::PATH)?.as_fd(), c"", false),
        None => mount::clone_tree(mounted.as_fd(), c"", false),
    }
}

/// Makes the directory that changes to `lower` go to, if it is not there: whoever holds all of the user's ids, since what it
/// is shows as what `lower` is.
pub fn make_upper(lower: &str, upper: &str) -> Result<(), Errno> {
    match rustix::fs::mkdir(upper, Mode::RWXU) {
        Err(Errno::EXIST) => return Ok(()),
        other => other?,
    }
    let stat = rustix::fs::fstat(open_host(lower, DIR)?)?;
    let upper = open_host(upper, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let (uid, gid) = (rustix::fs::Uid::from_raw(stat.st_uid), rustix::fs::Gid::from_raw(stat.st_gid));
    match rustix::fs::fchown(&upper, Some(uid), Some(gid)) {
        // Of somebody who has no id here: it stays the user's.
        Ok(()) | Err(Errno::PERM | Errno::INVAL) => {}
        Err(errno) => return Err(errno),
    }
    rustix::fs::fchmod(&upper, Mode::from_raw_mode(stat.st_mode & 0o7777))
}

/// As [`make_upper`], for all mounts of a plan.
pub(super) fn make_uppers(plan: &Plan) -> Result<(), Failure> {
    for (index, mount) in plan.mounts.iter().enumerate() {
        if let What::Layered(Layered { lower, writes: Some((upper, _)), .. }) = &mount.what
            && let Some(top) = lower.first()
        {
            make_upper(top, upper).map_err(nth(Step::MountSource, index))?;
        }
    }
    Ok(())
}

/// An overlay whose layers are named by descriptor numbers relative to /proc/self/fd: no path in it can contain a
/// separator, and 500 layers fit the page that mount(2) takes. Leaves the current directory at `/`.
pub fn overlay(lower: &[String], writes: Option<(&str, &str)>, target: &str, volatile: bool) -> Result<OwnedFd, Errno> {
    let lowers = lower.iter().map(|path| open_host(path, DIR)).collect::<Result<Vec<_>, _>>()?;
    let writes = writes.map(|(upper, work)| Ok::<_, Errno>((open_host(upper, DIR)?, open_host(work, DIR)?))).transpose()?;
    let mut data = String::from("lowerdir=");
    for (index, fd) in lowers.iter().enumerate() {
        let separator = if index == 0 { "" } else { ":" };
        let _ = write!(data, "{separator}{}", fd.as_raw_fd());
    }
    data.push_str(",userxattr");
    if let Some((upper, work)) = &writes {
        let _ = write!(data, ",upperdir={},workdir={}", upper.as_raw_fd(), work.as_raw_fd());
    }
    if volatile {
        data.push_str(",volatile");
    }
    let place = open_host(target, DIR)?;
    rustix::process::chdir(c"/proc/self/fd")?;
    let mounted = mount::mount(c"overlay", place.as_fd(), c"overlay", flag::NODEV, &c(&data)?);
    rustix::process::chdir(c"/")?;
    mounted?;
    open_host(target, DIR)
}

fn bind_root(path: &str) -> Result<OwnedFd, Errno> {
    let tree = mount::clone_tree(CWD, &c(path)?, true)?;
    let place = open_host(path, DIR)?;
    mount::attach(tree.as_fd(), place.as_fd())?;
    open_host(path, DIR)
}

/// Performs `plan.mounts`, then the links in /dev.
pub(super) fn mount_all(plan: &Plan, sources: Vec<Source>, root_fd: BorrowedFd<'_>, report: BorrowedFd<'_>) -> Result<(), Failure> {
    for (index, (mount, source)) in plan.mounts.iter().zip(sources).enumerate() {
        if let Some(fill) = plan.fill.iter().position(|fill| fill.target == mount.target) {
            errand::fill(report, plan, fill, root_fd)?;
        }
        let source = match (&mount.what, source) {
            (What::Layered(_), Some(mounted)) => Some(layered_tree(plan, mount, &mounted).map_err(nth(Step::MountSource, index))?),
            (_, source) => source,
        };
        if plan.chown.contains(&mount.target) {
            let users::Identity { uid, gid, .. } = super::init::look_up(&plan.process, root_fd)?;
            match (&mount.what, &source) {
                (What::Bind { .. }, _) => errand::chown(report, index, (uid, gid)),
                // What is changed is the container's own.
                (What::Layered(_), Some(tree)) => chown_tree(tree.as_fd(), uid, gid)
                    .map_err(|errno| Failure { detail: format!("{uid}:{gid}"), ..Failure::new(Step::Chown, errno) }),
                _ => Ok(()),
            }
            .map_err(|failure| Failure { index: u32::try_from(index).unwrap_or(u32::MAX), ..failure })?;
        }
        one(mount, source, index, root_fd)?;
    }
    for (target, link) in &plan.dev_links {
        let dev = root::open_no_links(root_fd, Path::new("/dev"), DIR).map_err(at(Step::Dev))?;
        match rustix::fs::symlinkat(link, &dev, target) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Failure { detail: target.clone(), ..Failure::new(Step::Dev, errno) }),
        }
    }
    Ok(())
}

fn one(mount: &Mount, source: Source, index: usize, root_fd: BorrowedFd<'_>) -> Result<(), Failure> {
    match (&mount.what, source) {
        (What::New { kind, flags, data }, _) => {
            let target = target_fd(mount, Kind::Dir, root_fd).map_err(nth(Step::MountTarget, index))?;
            new_fs(kind, *flags, data, target.as_fd()).map_err(nth(Step::Mount, index))?;
            if mount.propagation != 0 {
                propagate(mount, root_fd).map_err(nth(Step::Mount, index))?;
            }
            Ok(())
        }
        (What::CopiedTmpfs { flags, data }, _) => {
            copied_tmpfs(mount, *flags, data, root_fd).map_err(nth(Step::Mount, index))
        }
        (What::Bind { .. } | What::Layered(_), Some(tree)) => {
            let is_dir = rustix::fs::fstat(&tree)
                .map(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
                .map_err(nth(Step::MountSource, index))?;
            let kind = if is_dir { Kind::Dir } else { Kind::File };
            let target = target_fd(mount, kind, root_fd).map_err(nth(Step::MountTarget, index))?;
            let change = mount::Change {
                set: mount.set,
                clear: mount.clear,
                propagation: mount.propagation & !flag::REC,
                recursive: matches!(mount.what, What::Bind { recursive: true, .. }),
            };
            let changed = mount.set != 0 || mount.clear != 0 || mount.propagation != 0;
            if changed {
                mount::attach_changed(tree.as_fd(), target.as_fd(), change)
            } else {
                mount::attach(tree.as_fd(), target.as_fd())
            }
            .map_err(nth(Step::Mount, index))
        }
        // An optional source that is not there.
        (What::Bind { .. } | What::Layered(_), None) => Ok(()),
    }
}

fn target_fd(mount: &Mount, kind: Kind, root_fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let path = Path::new(&mount.target);
    if mount.strict {
        match root::open_no_links(root_fd, path, DIR) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
    }
    root::ensure(root_fd, path, kind)
}

fn new_fs(kind: &str, flags: u64, data: &str, target: BorrowedFd<'_>) -> Result<(), Errno> {
    let kind = c(kind)?;
    mount::mount(&kind, target, &kind, flags, &c(data)?)
}

fn propagate(mount: &Mount, root_fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let place = root::open(root_fd, Path::new(&mount.target), OFlags::PATH)?;
    mount::set_attributes(place.as_fd(), 0, 0, mount.propagation & !flag::REC, false)
}

/// Copies what the image has at the target into a tmpfs mounted aside, and moves that there. The tmpfs is mounted on
/// the target first, so the image's directory is opened before.
fn copied_tmpfs(mount: &Mount, flags: u64, data: &str, root_fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let target = target_fd(mount, Kind::Dir, root_fd)?;
    new_fs("tmpfs", flags & !flag::RDONLY, data, target.as_fd())?;
    let mounted = root::open(root_fd, Path::new(&mount.target), OFlags::PATH | OFlags::DIRECTORY)?;
    let source = rustix::fs::openat(&target, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    TreeCopy::new(mounted.as_fd(), Owner::Keep { uid: 0, gid: 0 })
        .contents(source.as_fd(), false)
        .map_err(|error| Errno::from_io_error(&error.source).unwrap_or(Errno::IO))?;
    if flags & flag::RDONLY != 0 {
        mount::set_attributes(mounted.as_fd(), attribute::RDONLY, 0, 0, false)?;
    }
    Ok(())
}

/// Hides and write-protects paths, mostly of /proc and /sys. What does not exist needs no protection.
pub(super) fn protect(plan: &Plan, root_fd: BorrowedFd<'_>) -> Result<(), Failure> {
    for (index, path) in plan.masked.iter().enumerate() {
        mask(root_fd, path).map_err(nth(Step::Mask, index))?;
    }
    for (index, path) in plan.read_only_paths.iter().enumerate() {
        let Some(place) = existing(root_fd, path).map_err(nth(Step::ReadOnly, index))? else { continue };
        let protect = || {
            let tree = mount::clone_tree(place.as_fd(), c"", true)?;
            let change = mount::Change { set: attribute::RDONLY, recursive: true, ..mount::Change::default() };
            mount::attach_changed(tree.as_fd(), place.as_fd(), change)
        };
        protect().map_err(nth(Step::ReadOnly, index))?;
    }
    if plan.read_only_root {
        mount::set_attributes(root_fd, attribute::RDONLY, 0, 0, false).map_err(at(Step::ReadOnly))?;
    }
    Ok(())
}

fn existing(root_fd: BorrowedFd<'_>, path: &str) -> Result<Option<OwnedFd>, Errno> {
    match root::open(root_fd, Path::new(path), OFlags::PATH) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn mask(root_fd: BorrowedFd<'_>, path: &str) -> Result<(), Errno> {
    let Some(place) = existing(root_fd, path)? else { return Ok(()) };
    let stat = rustix::fs::fstat(&place)?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
        let flags = flag::RDONLY | flag::NOSUID | flag::NODEV | flag::NOEXEC;
        return new_fs("tmpfs", flags, "size=0k,nr_inodes=2", place.as_fd());
    }
    let null = mount::clone_tree(CWD, c"/dev/null", false)?;
    // The host's /dev/null or nothing (CVE-2025-31133).
    let device = rustix::fs::fstat(&null)?.st_rdev;
    if device != rustix::fs::makedev(1, 3) {
        return Err(Errno::NODEV);
    }
    mount::attach(null.as_fd(), place.as_fd())
}

/// Writes `plan.sysctls` through the container's own procfs.
pub(super) fn sysctls(plan: &Plan, root_fd: BorrowedFd<'_>) -> Result<(), Failure> {
    for (index, (name, value)) in plan.sysctls.iter().enumerate() {
        let path = format!("/proc/sys/{name}");
        let write = || {
            let file = root::open_no_links(root_fd, Path::new(&path), OFlags::WRONLY)?;
            if !root::is_proc(&file) {
                return Err(Errno::INVAL);
            }
            rustix::io::write(&file, value.as_bytes()).map(|_| ())
        };
        write().map_err(nth(Step::Sysctl, index))?;
    }
    Ok(())
}

/// Puts the terminal on /dev/console, so that it has a name there too.
pub(super) fn console(root_fd: BorrowedFd<'_>, slave: BorrowedFd<'_>) -> Result<(), Failure> {
    let bind = || {
        let dev = root::open_no_links(root_fd, Path::new("/dev"), DIR)?;
        rustix::fs::openat(&dev, c"console", OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::from_raw_mode(0o600))?;
        let place = rustix::fs::openat(&dev, c"console", OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        let tree = mount::clone_tree(slave, c"", false)?;
        mount::attach(tree.as_fd(), place.as_fd())
    };
    bind().map_err(at(Step::Terminal))
}

/// Changes into the new root for good.
pub(super) fn pivot(plan: &Plan, root_fd: BorrowedFd<'_>) -> Result<(), Failure> {
    let change = || {
        rustix::process::fchdir(root_fd)?;
        mount::pivot_here()?;
        let propagation = if plan.root_propagation == 0 { flag::PRIVATE } else { plan.root_propagation & !flag::REC };
        mount::set_propagation(c"/", flag::REC | propagation)
    };
    change().map_err(at(Step::Pivot))
}
