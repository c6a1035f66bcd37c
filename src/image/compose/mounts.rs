//! Mount points that kelp itself makes in a container's layer, and that are no change of the container's.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};

use crate::spec::Digest;
use crate::image::store::ImageStore;

/// What is made to mount on when the image has it not.
pub const MOUNT_POINTS: &[&str] = &[
    "dev", "proc", "sys", "etc/hosts", "etc/hostname", "etc/resolv.conf", "run/.containerenv", ".dockerenv",
];

/// Removes the empty files and directories that kelp made in an upper directory to mount on and that the layers `below`
/// do not have; with `targets` (relative paths) also those of a container's own mounts. Comes before
/// [`super::take_layer`].
///
/// # Errors
/// When something is there and cannot be removed.
pub fn remove_mount_points(
    images: &ImageStore,
    upper: BorrowedFd<'_>,
    below: &[Digest],
    targets: &[&str],
) -> std::io::Result<()> {
    for path in MOUNT_POINTS.iter().chain(targets) {
        if is_mount_point(images, upper, below, Path::new(path)) {
            let path = Path::new(path);
            let Some(name) = path.file_name() else { continue };
            let Some(parent) = open_parent(upper, path) else { continue };
            let kind = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_dir = FileType::from_raw_mode(kind.st_mode) == FileType::Directory;
            let flags = if is_dir { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            rustix::fs::unlinkat(&parent, name, flags)?;
        }
    }
    Ok(())
}

/// Whether a path in an upper directory is an empty file or directory that nothing below has: made to mount on.
#[must_use]
pub fn is_mount_point(
    images: &ImageStore,
    upper: BorrowedFd<'_>,
    below: &[Digest],
    path: &Path,
) -> bool {
    let Some(name) = path.file_name() else { return false };
    let Some(parent) = open_parent(upper, path) else { return false };
    let Ok(stat) = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) else { return false };
    let empty = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => stat.st_size == 0,
        FileType::Directory => is_empty(parent.as_fd(), name),
        _ => false,
    };
    empty && !below.iter().any(|layer| {
        let dir = images.layer_dir(layer).and_then(|dir| std::fs::File::open(dir).ok());
        dir.is_some_and(|dir| {
            open_parent(dir.as_fd(), path)
                .is_some_and(|parent| rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok())
        })
    })
}

fn open_parent(root: BorrowedFd<'_>, path: &Path) -> Option<std::os::fd::OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    rustix::fs::openat2(root, parent, flags, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS).ok()
}

fn is_empty(parent: BorrowedFd<'_>, name: &std::ffi::OsStr) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(fd) = rustix::fs::openat(parent, name, flags, Mode::empty()) else { return false };
    let Ok(mut entries) = rustix::fs::Dir::read_from(&fd) else { return false };
    entries.all(|entry| entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b"..")))
}
