//! Writing what a stack of layers shows as one tree, without mounting it: squashing works with every storage driver and
//! while a container runs.

use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::fs::{self as rfs, AtFlags, FileType};
use rustix::io::Errno;

use super::{TarWriter, TreeOptions, attributes, is_opaque, join, open_dir};
use crate::image::unpack::walk::{Missing, Walker, is_whiteout};

/// What one layer says about a name.
enum Said {
    Nothing,
    /// Deleted, here and below.
    Gone,
    Directory,
    Other,
}

/// A directory that is being written.
struct Level {
    path: Vec<u8>,
    /// The layers that have a part in it, topmost first.
    layers: Vec<usize>,
    /// What is still to come, last first.
    names: Vec<Vec<u8>>,
}

impl<W: Write> TarWriter<W> {
    /// Adds everything that `layers`, topmost first, show together; whiteouts and what they hide are left out.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn merged(&mut self, layers: &[OwnedFd], options: &TreeOptions<'_>) -> io::Result<()> {
        self.merged_below(layers, b"", options)
    }

    /// The same, stored below a directory of the archive; what is linked is linked within it.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn merged_below(&mut self, layers: &[OwnedFd], stored: &[u8], options: &TreeOptions<'_>) -> io::Result<()> {
        self.links.clear();
        let options = TreeOptions { layer: false, ..*options };
        let mut walkers: Vec<Walker<'_>> = layers.iter().map(|fd| Walker::new(fd.as_fd())).collect();
        let all: Vec<usize> = (0..layers.len()).collect();
        let root = self.level(&mut walkers, Vec::new(), &all)?;
        let mut levels = vec![root];
        while let Some(level) = levels.last_mut() {
            let Some(name) = level.names.pop() else {
                levels.pop();
                continue;
            };
            let path = join(&level.path, &name);
            if options.skip.is_some_and(|skip| skip(&path)) {
                continue;
            }
            let Some((top, below)) = find(&mut walkers, &level.layers, &path)? else { continue };
            let (parent, name) = walkers[top].parent(&path, Missing::Fail).map_err(io::Error::other)?;
            match self.entry(parent, name, (&path, &join(stored, &path)), &options) {
                Ok(true) => {
                    let mut parts = vec![top];
                    parts.extend(below);
                    let level = self.level(&mut walkers, path, &parts)?;
                    levels.push(level);
                }
                Ok(false) => {}
                // Gone since the directory was read: a running container goes on working.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The names in a directory of these layers, which end with the first one that hides what is below.
    fn level(&mut self, walkers: &mut [Walker<'_>], path: Vec<u8>, parts: &[usize]) -> io::Result<Level> {
        let mut names: Vec<Vec<u8>> = Vec::new();
        let mut layers = Vec::new();
        for &layer in parts {
            match open_dir(&mut walkers[layer], &path) {
                Ok(_) => {}
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => continue,
                Err(error) => return Err(error),
            }
            let found = self.read_dir(&mut walkers[layer], &path)?;
            let opaque = is_opaque(&mut walkers[layer], &path, &found)?;
            names.extend(found.into_iter().filter(|name| !name.starts_with(b".wh.")));
            layers.push(layer);
            if opaque {
                break;
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        names.dedup();
        Ok(Level { path, layers, names })
    }
}

/// The topmost layer that has a path, and for a directory those below that have a part in it.
fn find(
    walkers: &mut [Walker<'_>],
    layers: &[usize],
    path: &[u8],
) -> io::Result<Option<(usize, Vec<usize>)>> {
    let mut top = None;
    let mut below = Vec::new();
    for &layer in layers {
        match (said(&mut walkers[layer], path)?, top) {
            (Said::Nothing, _) => {}
            (Said::Directory, None) => top = Some(layer),
            (Said::Directory, Some(_)) => below.push(layer),
            (Said::Other, None) => return Ok(Some((layer, below))),
            (Said::Gone | Said::Other, _) => break,
        }
    }
    Ok(top.map(|top| (top, below)))
}

fn said(walker: &mut Walker<'_>, path: &[u8]) -> io::Result<Said> {
    let Ok((parent, name)) = walker.parent(path, Missing::Fail) else { return Ok(Said::Nothing) };
    match rfs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if is_whiteout(&stat) => Ok(Said::Gone),
        Ok(stat) => Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Said::Directory,
            FileType::RegularFile if stat.st_size == 0 && is_marked(parent, name) => Said::Gone,
            _ => Said::Other,
        }),
        Err(Errno::NOENT | Errno::NOTDIR) => {
            let dotted = [b".wh.", name].concat();
            match rfs::statat(parent, &*dotted, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Ok(Said::Gone),
                Err(_) => Ok(Said::Nothing),
            }
        }
        Err(errno) => Err(errno.into()),
    }
}

fn is_marked(parent: BorrowedFd<'_>, name: &[u8]) -> bool {
    let flags = rfs::OFlags::RDONLY | rfs::OFlags::NOFOLLOW | rfs::OFlags::NONBLOCK | rfs::OFlags::CLOEXEC;
    let file = rfs::openat(parent, name, flags, rfs::Mode::empty());
    file.is_ok_and(|file| attributes::has(file.as_fd(), super::XATTR_WHITEOUT))
}
