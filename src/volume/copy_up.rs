//! Filling a new volume with what the image has at its mount point.
//!
//! Two work together. The one who holds all of the user's ids [`Filling::begin`]s and [`Filling::settle`]s: the volume is
//! the user's, who may have no id in the container. In between the container's first process copies
//! ([`copy_from_image`]): it alone sees the image, and its ids are those the files are to have.
//!
//! The content is copied aside to `_copy/tree`, which becomes `_move` when it is whole; its entries then move into `_data`
//! one by one, and the marker goes last. Killed at any point, the next start goes on from there: nothing is copied
//! twice, nothing a user wrote is lost, and another container's mount of `_data` stays the same directory.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self as rfs, AtFlags, Dir, FlockOperation, Mode, OFlags, RenameFlags, Timespec, Timestamps, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::VolumeError;
use crate::sys::copy_tree::{CopyError, Owner, Translate, TreeCopy};
use crate::sys::{root, tree};

/// A file in the volume's directory while it waits to be filled.
pub(super) const MARKER: &str = "needs-copy-up";
const ASIDE: &CStr = c"_copy";
const TREE: &CStr = c"tree";
const WHOLE: &CStr = c"_move";
const DATA: &CStr = c"_data";

/// What the image has where a volume is to be mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// No such directory; another image may have it.
    Nothing,
    /// An empty one.
    Empty,
    /// Something, and it was copied.
    Content,
}

/// A new and empty volume that is being filled. While it lives others wait.
#[derive(Debug)]
pub struct Filling {
    dir: PathBuf,
    volume: OwnedFd,
    data: OwnedFd,
    aside: OwnedFd,
}

impl Filling {
    /// Begins, if the volume at `volume_dir` is new and empty; goes on with what a killed one left. Run as root of the
    /// user's namespace.
    ///
    /// # Errors
    /// [`VolumeError::CopyUp`]; the volume is then as before, or continued by the next call.
    pub fn begin(volume_dir: &Path) -> Result<Option<Self>, VolumeError> {
        let Some(volume) = marked(volume_dir)? else { return Ok(None) };
        let begun = || {
            if rfs::statat(&volume, WHOLE, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                return settle(&volume).map(|()| None);
            }
            let data = open_dir(volume.as_fd(), DATA)?;
            if !is_empty(&data)? {
                return unmark(&volume).map(|()| None);
            }
            remove(&volume, ASIDE)?;
            rfs::mkdirat(&volume, ASIDE, Mode::RWXU).map_err(|errno| at("create", Path::new("_copy"), errno))?;
            let aside = open_dir(volume.as_fd(), ASIDE)?;
            // Whoever the container's root is may make something here; the way to here is the user's alone.
            rfs::fchmod(&aside, Mode::from_raw_mode(0o777)).map_err(|errno| at("change mode of", Path::new("_copy"), errno))?;
            Ok(Some((data, aside)))
        };
        let begun = begun().map_err(|error| failed(volume_dir, error))?;
        Ok(begun.map(|(data, aside)| Self { dir: volume_dir.to_owned(), volume, data, aside }))
    }

    /// The directory to give to [`copy_from_image`].
    pub fn aside(&self) -> BorrowedFd<'_> {
        self.aside.as_fd()
    }

    /// Moves what was copied into place. `is_known` says of the owner of a volume nothing was found for whether it is
    /// somebody in the container; otherwise the volume becomes its root's, to be of use there.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn settle(self, found: Found, is_known: impl FnOnce(u32, u32) -> bool) -> Result<(), VolumeError> {
        let settled = || {
            let made = open_dir(self.aside.as_fd(), TREE)?;
            match found {
                Found::Nothing => {
                    let stat = |fd: &OwnedFd| rfs::fstat(fd).map_err(|errno| at("stat", Path::new("_data"), errno));
                    let (now, root) = (stat(&self.data)?, stat(&made)?);
                    if !is_known(now.st_uid, now.st_gid) {
                        rfs::fchown(&self.data, Some(rfs::Uid::from_raw(root.st_uid)), Some(rfs::Gid::from_raw(root.st_gid)))
                            .map_err(|errno| at("change owner of", Path::new("_data"), errno))?;
                    }
                }
                Found::Empty => take_attributes(&made, &self.data)?,
                Found::Content => {
                    rfs::renameat(&self.aside, TREE, &self.volume, WHOLE)
                        .map_err(|errno| at("rename", Path::new("_copy"), errno))?;
                    settle(&self.volume)?;
                }
            }
            remove(&self.volume, ASIDE)
        };
        settled().map_err(|error| failed(&self.dir, error))
    }
}

/// Both halves for who holds all ids and sees the image, outside of the container; `owners` says what the volume calls an
/// owner where `rootfs` shows other numbers than the container will see. Returns whether something was copied.
///
/// # Errors
/// As [`Filling::begin`].
pub fn copy_up(volume_dir: &Path, rootfs: BorrowedFd<'_>, target: &Path, owners: Option<Translate<'_>>) -> Result<bool, VolumeError> {
    let Some(filling) = Filling::begin(volume_dir)? else { return Ok(false) };
    let found = copy_from_image(filling.aside(), rootfs, Some(target), owners).map_err(|error| failed(volume_dir, error))?;
    filling.settle(found, |_, _| true)?;
    Ok(found == Found::Content)
}

/// Copies the directory `target` of the image mounted at `rootfs` into a directory it makes in `aside`, with its owners as
/// they are here. Run as root of the container, before the volume is mounted over `target`; without a target there is
/// nothing to copy.
///
/// # Errors
/// What could not be copied.
pub fn copy_from_image(
    aside: BorrowedFd<'_>,
    rootfs: BorrowedFd<'_>,
    target: Option<&Path>,
    owners: Option<Translate<'_>>,
) -> Result<Found, CopyError> {
    rfs::mkdirat(aside, TREE, Mode::from_raw_mode(0o755)).map_err(|errno| at("create", Path::new("_copy"), errno))?;
    let Some(target) = target else { return Ok(Found::Nothing) };
    let source = match root::open(rootfs, target, OFlags::RDONLY | OFlags::DIRECTORY) {
        Ok(source) => source,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(Found::Nothing),
        Err(errno) => return Err(at("open", target, errno)),
    };
    let made = open_dir(aside, TREE)?;
    let found = if is_empty(&source)? { Found::Empty } else { Found::Content };
    TreeCopy::new(made.as_fd(), Owner::Keep { uid: 0, gid: 0 }).translating(owners).contents(source.as_fd(), true)?;
    Ok(found)
}

/// Leaves the volume empty: it was mounted with `nocopy`.
///
/// # Errors
/// [`VolumeError::CopyUp`].
pub fn skip_copy_up(volume_dir: &Path) -> Result<(), VolumeError> {
    let Some(volume) = marked(volume_dir)? else { return Ok(()) };
    unmark(&volume).map_err(|error| failed(volume_dir, error))
}

fn failed(volume_dir: &Path, error: CopyError) -> VolumeError {
    VolumeError::CopyUp { volume: volume_dir.to_owned(), action: error.action, path: error.path, source: error.source }
}

/// The volume's directory, locked, if it waits to be filled.
fn marked(volume_dir: &Path) -> Result<Option<OwnedFd>, VolumeError> {
    if matches!(rfs::stat(volume_dir.join(MARKER)), Err(Errno::NOENT)) {
        return Ok(None);
    }
    let failed = |action, errno: Errno| failed(volume_dir, at(action, volume_dir, errno));
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let volume = rfs::open(volume_dir, flags, Mode::empty()).map_err(|errno| failed("open", errno))?;
    loop {
        match flock(&volume, FlockOperation::LockExclusive) {
            Ok(()) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(failed("lock", errno)),
        }
    }
    // Filled while we waited.
    let still = rfs::statat(&volume, MARKER, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    Ok(still.then_some(volume))
}

/// Moves the whole copy into place, takes its root's attributes, and unmarks the volume.
fn settle(volume: &OwnedFd) -> Result<(), CopyError> {
    let (whole, data) = (open_dir(volume.as_fd(), WHOLE)?, open_dir(volume.as_fd(), DATA)?);
    let mut names = Vec::new();
    let list = |errno| at("list", Path::new("_move"), errno);
    for entry in Dir::read_from(&whole).map_err(list)? {
        let entry = entry.map_err(list)?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(entry.file_name().to_owned());
        }
    }
    for name in names {
        match rfs::renameat_with(&whole, &name, &data, &name, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS) => rfs::renameat(&whole, &name, &data, &name).map_err(|errno| at("move", Path::new("_move"), errno))?,
            // A container that was faster wrote its own.
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(at("move", Path::new("_move"), errno)),
        }
    }
    take_attributes(&whole, &data)?;
    remove(volume, WHOLE)?;
    unmark(volume)
}

/// Gives `data` the owner, mode and times of `from`.
fn take_attributes(from: &OwnedFd, data: &OwnedFd) -> Result<(), CopyError> {
    let wrap = |action| move |errno| at(action, Path::new("_data"), errno);
    let stat = rfs::fstat(from).map_err(wrap("stat"))?;
    let (uid, gid) = (rfs::Uid::from_raw(stat.st_uid), rfs::Gid::from_raw(stat.st_gid));
    match rfs::fchown(data, Some(uid), Some(gid)) {
        // An id outside the map stays root's.
        Ok(()) | Err(Errno::INVAL) => {}
        Err(errno) => return Err(wrap("change owner of")(errno)),
    }
    rfs::fchmod(data, Mode::from_raw_mode(stat.st_mode & 0o7777)).map_err(wrap("change mode of"))?;
    let time = |seconds, nanos| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanos).unwrap_or(0) };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    rfs::futimens(data, &times).map_err(wrap("set times of"))
}

fn remove(volume: &OwnedFd, name: &CStr) -> Result<(), CopyError> {
    let path = || PathBuf::from(&*name.to_string_lossy());
    tree::remove_tree(volume.as_fd(), name).map(drop).map_err(|source| CopyError { path: path(), action: "remove", source })
}

fn unmark(volume: &OwnedFd) -> Result<(), CopyError> {
    match rfs::unlinkat(volume, MARKER, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(at("remove", Path::new(MARKER), errno)),
    }
}

fn open_dir(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, CopyError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rfs::openat(parent, name, flags, Mode::empty()).map_err(|errno| at("open", Path::new(&*name.to_string_lossy()), errno))
}

fn is_empty(dir: &OwnedFd) -> Result<bool, CopyError> {
    let list = |errno| at("list", Path::new("."), errno);
    for entry in Dir::read_from(dir).map_err(list)? {
        let entry = entry.map_err(list)?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            return Ok(false);
        }
    }
    Ok(true)
}

fn at(action: &'static str, path: &Path, errno: Errno) -> CopyError {
    CopyError { path: path.to_owned(), action, source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;

    fn scratch(name: &str) -> (PathBuf, PathBuf, File) {
        let base = std::env::temp_dir().join(format!("kelp-copyup-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&base));
        let volume = base.join("volume");
        fs::create_dir_all(volume.join("_data")).unwrap();
        fs::write(volume.join(MARKER), "").unwrap();
        fs::create_dir_all(base.join("root/srv/data/sub")).unwrap();
        fs::write(base.join("root/srv/data/sub/file"), "text").unwrap();
        fs::set_permissions(base.join("root/srv/data"), PermissionsExt::from_mode(0o2770)).unwrap();
        let root = File::open(base.join("root")).unwrap();
        (base, volume, root)
    }

    /// Copying owners needs no rights when all are the caller's and he is root, or nothing is changed.
    fn can_chown() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn fills_an_empty_volume_once() {
        let (base, volume, root) = scratch("once");
        if !can_chown() {
            return;
        }
        symlink("/srv/data", base.join("root/link")).unwrap();
        assert!(copy_up(&volume, root.as_fd(), Path::new("/link"), None).unwrap());
        assert_eq!(fs::read(volume.join("_data/sub/file")).unwrap(), b"text");
        assert_eq!(fs::metadata(volume.join("_data")).unwrap().mode() & 0o7777, 0o2770);
        let left: Vec<_> = fs::read_dir(&volume).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["_data"]);
        fs::remove_dir_all(volume.join("_data/sub")).unwrap();
        assert!(!copy_up(&volume, root.as_fd(), Path::new("/srv/data"), None).unwrap());
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn owners_are_what_the_container_will_call_them() {
        let (base, volume, root) = scratch("owners");
        if !can_chown() {
            return;
        }
        let shift = |uid, gid| (uid + 5, gid + 7);
        assert!(copy_up(&volume, root.as_fd(), Path::new("/srv/data"), Some(&shift)).unwrap());
        for path in ["_data", "_data/sub", "_data/sub/file"] {
            let stat = fs::metadata(volume.join(path)).unwrap();
            assert_eq!((stat.uid(), stat.gid()), (5, 7), "{path}");
        }
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn goes_on_where_a_killed_copy_stopped() {
        let (base, volume, root) = scratch("killed");
        if !can_chown() {
            return;
        }
        fs::create_dir_all(volume.join("_copy/half")).unwrap();
        assert!(copy_up(&volume, root.as_fd(), Path::new("/srv/data"), None).unwrap());
        assert!(!volume.join("_data/half").exists() && !volume.join("_copy").exists());
        // Killed while moving: one entry is there, the rest follows, the image is not asked again.
        fs::write(volume.join(MARKER), "").unwrap();
        fs::create_dir_all(volume.join("_move/rest")).unwrap();
        assert!(!copy_up(&volume, root.as_fd(), Path::new("/nowhere"), None).unwrap());
        assert!(volume.join("_data/rest").exists() && volume.join("_data/sub/file").exists());
        assert!(!volume.join(MARKER).exists() && !volume.join("_move").exists());
        fs::remove_dir_all(&base).unwrap();
    }

    #[test]
    fn leaves_alone_what_is_not_empty_or_not_there() {
        let (base, volume, root) = scratch("alone");
        assert!(!copy_up(&volume, root.as_fd(), Path::new("/missing"), None).unwrap());
        assert!(volume.join(MARKER).exists());
        symlink("../../..", base.join("root/srv/out")).unwrap();
        assert!(!copy_up(&volume, root.as_fd(), Path::new("/srv/out/volume"), None).unwrap());
        fs::write(volume.join("_data/mine"), "x").unwrap();
        assert!(!copy_up(&volume, root.as_fd(), Path::new("/srv/data"), None).unwrap());
        assert!(!volume.join(MARKER).exists() && !volume.join("_data/sub").exists());
        fs::write(volume.join(MARKER), "").unwrap();
        skip_copy_up(&volume).unwrap();
        assert!(!volume.join(MARKER).exists());
        fs::remove_dir_all(&base).unwrap();
    }
}
