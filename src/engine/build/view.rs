//! File systems put together from layers, mounted in a mount namespace of the calling thread alone: where files are
//! copied to, and where other steps' files are read. Unmounted when dropped; nothing of it ever shows on the host.

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use crate::engine::container::driver::Driver;
use crate::engine::Error;
use crate::runtime::{Served, ShownOwners};
use crate::sys::copy_tree::attributes;
use crate::sys::mount::{self, flag};
use crate::userns::IdMap;
use crate::userns::owner::{self, Owner, are_recorded};

const DIR: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Gives the calling thread a mount namespace, working directory and umask (0) of its own. To be called first thing in
/// each thread that makes views; the process is root of the user's namespace.
///
/// # Errors
/// When the kernel refuses.
pub fn private_mounts() -> Result<(), Error> {
    let private = || {
        crate::sys::process::unshare(crate::sys::process::NEWNS)?;
        mount::set_propagation(c"/", flag::REC | flag::SLAVE)
    };
    private().map_err(|errno| Error::Runtime { message: format!("cannot make a mount namespace: {errno}"), hint: None })?;
    rustix::process::umask(Mode::empty());
    Ok(())
}

/// A mounted file system.
#[derive(Debug)]
pub struct View {
    root: OwnedFd,
    /// Where it is mounted; nowhere for a single layer used as it is.
    place: Option<PathBuf>,
    server: Option<std::process::Child>,
    /// Owners may be recorded beside the data.
    recorded: bool,
}

impl View {
    /// Layers, lowest first, to be read. `place` is an empty directory; it is used when there is more than one layer.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn read_only(layers: &[PathBuf], place: &Path, driver: Driver) -> Result<Self, Error> {
        let at = |path: &Path| rustix::fs::open(path, DIR, Mode::empty()).map_err(failed(path));
        let mut view = match (layers, driver) {
            ([], _) => Self::plain(at(place)?),
            ([one], _) => Self::plain(at(one)?),
            (_, Driver::Overlay) => Self::mounted(read_only(layers, place).map_err(failed(place))?, place),
            (_, Driver::Fuse) => Self::fuse(layers, None, place, false)?,
        };
        // Also when their user has more ids by now.
        view.recorded = IdMap::is_single_here() || layers.iter().any(|layer| are_recorded(layer));
        Ok(view)
    }

    /// A directory as it is.
    fn plain(root: OwnedFd) -> Self {
        Self { root, place: None, server: None, recorded: false }
    }

    fn mounted(root: OwnedFd, place: &Path) -> Self {
        Self { root, place: Some(place.to_owned()), server: None, recorded: false }
    }

    /// Whether owners may be recorded beside the data.
    pub fn recorded(&self) -> bool {
        self.recorded
    }

    /// Layers, lowest first, with all changes in `upper`. `work` is an empty directory on the same file system.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn writable(layers: &[PathBuf], upper: &Path, work: &Path, place: &Path, driver: Driver) -> Result<Self, Error> {
        if layers.is_empty() {
            // Nothing below: the upper directory itself is all there is.
            let root = rustix::fs::open(upper, DIR, Mode::empty()).map_err(failed(upper))?;
            return Ok(Self::plain(root));
        }
        match driver {
            Driver::Overlay => {
                let text = |path: &Path| path.display().to_string();
                let lower: Vec<String> = layers.iter().rev().map(|layer| text(layer)).collect();
                let root = crate::runtime::overlay(&lower, Some((&text(upper), &text(work))), &text(place), true).map_err(failed(place))?;
                Ok(Self::mounted(root, place))
            }
            Driver::Fuse => Self::fuse(layers, Some((upper, work)), place, false),
        }
    }

    /// Over FUSE; `to_root` shows everything as root's.
    pub(super) fn fuse(layers: &[PathBuf], upper: Option<(&Path, &Path)>, place: &Path, to_root: bool) -> Result<Self, Error> {
        let text = |path: &Path| path.display().to_string();
        let lower: Vec<String> = layers.iter().rev().map(|layer| text(layer)).collect();
        let upper = upper.map(|(upper, work)| (text(upper), text(work)));
        let upper = upper.as_ref().map(|(upper, work)| (upper.as_str(), work.as_str()));
        let device = rustix::fs::open("/dev/fuse", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map_err(failed(place))?;
        let data = format!("fd={},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", device.as_raw_fd());
        let data = CString::new(data).map_err(|_| failed(place)(Errno::INVAL))?;
        let target = rustix::fs::open(place, DIR, Mode::empty()).map_err(failed(place))?;
        mount::mount(c"kelp", target.as_fd(), c"fuse.kelp", flag::NODEV, &data).map_err(failed(place))?;
        let owners = match (IdMap::is_single_here(), to_root) {
            (true, _) => ShownOwners::One(0, 0),
            (false, true) => ShownOwners::Root,
            (false, false) => ShownOwners::Stored,
        };
        let server = Served { lower: &lower, upper, volatile: upper.is_some(), owners, with_parent: true }
            .start(device)
            .map_err(|error| Error::Storage(format!("cannot start the file system server: {error}")))?;
        let root = rustix::fs::open(place, DIR, Mode::empty()).map_err(failed(place))?;
        Ok(Self { root, place: Some(place.to_owned()), server: Some(server), recorded: false })
    }

    /// Its root directory (O_PATH).
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// A descriptor of the root that can be read.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_root(&self) -> Result<File, Error> {
        rustix::fs::openat(&self.root, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .map(File::from)
            .map_err(|errno| Error::Storage(format!("open the root of a build step: {errno}")))
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(place) = &self.place {
            // Lazily: our own descriptor of the root is still open.
            let _ = rustix::mount::unmount(place, rustix::mount::UnmountFlags::DETACH);
        }
        if let Some(server) = &mut self.server {
            // It ends with the mount, whose last user is our root descriptor.
            if let Ok(null) = rustix::fs::open(c"/dev/null", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
                drop(std::mem::replace(&mut self.root, null));
            }
            drop(server.wait());
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(Errno) -> Error {
    let path = path.to_owned();
    move |errno| match errno {
        Errno::NOENT => Error::Io { action: "open", path, source: errno.into() },
        _ => Error::Storage(format!("mount the layers of a build step on {}: {errno}", path.display())),
    }
}

/// An overlay without an upper layer, of two layers or more, lowest first. Changes the thread's working directory.
pub(in crate::engine) fn read_only(layers: &[PathBuf], place: &Path) -> Result<OwnedFd, Errno> {
    let open = |path: &PathBuf| rustix::fs::open(path, DIR, Mode::empty());
    let fds = layers.iter().rev().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut data = String::from("lowerdir=");
    for (index, fd) in fds.iter().enumerate() {
        let _ = write!(data, "{}{}", if index == 0 { "" } else { ":" }, fd.as_raw_fd());
    }
    data.push_str(",userxattr");
    let data = CString::new(data).map_err(|_| Errno::INVAL)?;
    let target = rustix::fs::open(place, DIR, Mode::empty())?;
    rustix::process::chdir(c"/proc/self/fd")?;
    let mounted = mount::mount(c"overlay", target.as_fd(), c"overlay", flag::NODEV | flag::RDONLY, &data);
    rustix::process::chdir(c"/")?;
    mounted?;
    rustix::fs::open(place, DIR, Mode::empty())
}

/// Gives a step's root directory owner, permissions and times of the one below it; of a new file system without.
///
/// # Errors
/// When the system refuses.
pub fn like_root(dir: BorrowedFd<'_>, below: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let Some(below) = below else {
        without_acl(dir);
        rustix::fs::fchmod(dir, Mode::from_raw_mode(0o755))?;
        // That owners are recorded in it; where there are no such attributes they are not.
        if IdMap::is_single_here() {
            owner::record(dir, Owner::of(&rustix::fs::fstat(dir)?)).ok();
        }
        return Ok(());
    };
    let stat = rustix::fs::fstat(below)?;
    rustix::fs::fchown(dir, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))?;
    // Its own record, and those of the links in it, whose directory this stands for.
    let readable = rustix::fs::openat(below, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    for (name, value) in attributes(&readable)?.into_iter().filter(|(name, _)| owner::is_record(name.to_bytes())) {
        rustix::fs::fsetxattr(dir, &*name, &value, XattrFlags::empty())?;
    }
    like_directory(dir, below)
}

/// Gives a directory permissions and times of another.
///
/// # Errors
/// When the system refuses.
pub fn like_directory(dir: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<(), Errno> {
    without_acl(dir);
    let stat = rustix::fs::fstat(other)?;
    rustix::fs::fchmod(dir, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let time = |sec: i64, nsec| Timespec { tv_sec: sec, tv_nsec: i64::try_from(nsec).unwrap_or(0) };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    rustix::fs::futimens(dir, &times)
}

/// No default ACL of the home directory may seep into an image.
fn without_acl(dir: BorrowedFd<'_>) {
    for acl in ["system.posix_acl_default", "system.posix_acl_access"] {
        rustix::fs::fremovexattr(dir, acl).ok();
    }
}
