//! Directories a layer brings without saying what they are.
//!
//! An archive may hold `tmp/x` and no entry for `tmp`. Unpacked alone the directory gets ordinary permissions, and overlayfs
//! would show those instead of the layer below's (a `/tmp` nobody may write to). So when an image is put together, such
//! directories take over owner, mode, time and attributes from the nearest layer below that has them. A layer used by
//! several images does so once, for the first.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{
    self as rfs, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

use super::{LayerError, LayerRecord, LayerStore, write_record};
use crate::spec::Digest;

/// Attributes taken over: those that decide about access.
const XATTRS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

impl LayerStore {
    /// Completes the layers of an image, lowest first. All are here; runs in the user's namespace.
    ///
    /// # Errors
    /// When a layer cannot be changed or its record not written.
    pub fn adopt_parents(&self, layers: &[Digest]) -> Result<(), LayerError> {
        for (height, layer) in layers.iter().enumerate().skip(1) {
            let Some(record) = self.record(layer) else {
                continue;
            };
            if record.report.implicit_dirs.is_empty() || record.report.opaque_root {
                continue;
            }
            let path = self.path(layer);
            let tree = File::open(self.tree(layer)).map_err(LayerError::io("open", &path))?;
            for dir in &record.report.implicit_dirs {
                let Ok(upper) = open_dir(&tree, dir) else {
                    continue;
                };
                if let Some(lower) = self.below(&layers[..height], dir) {
                    copy(&lower, &upper)
                        .map_err(|e| LayerError::io("complete", &path)(e.into()))?;
                }
            }
            let mut done: LayerRecord = record;
            done.report.implicit_dirs.clear();
            write_record(&path, &done)?;
        }
        Ok(())
    }

    /// The directory as the nearest layer that has it says.
    fn below(&self, layers: &[Digest], dir: &str) -> Option<OwnedFd> {
        for layer in layers.iter().rev() {
            let tree = File::open(self.tree(layer)).ok()?;
            match open_dir(&tree, dir) {
                Ok(fd) => return Some(fd),
                Err(Errno::NOENT) if !self.record(layer)?.report.opaque_root => {}
                // A file, a link, a whiteout: what is further down cannot be seen.
                Err(_) => return None,
            }
        }
        None
    }
}

fn open_dir(tree: &File, dir: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rfs::openat2(tree.as_fd(), dir, flags, Mode::empty(), resolve)
}

fn copy(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let stat = rfs::fstat(from)?;
    let own = rfs::fstat(to)?;
    if (stat.st_uid, stat.st_gid) != (own.st_uid, own.st_gid) {
        rfs::fchown(
            to,
            Some(Uid::from_raw(stat.st_uid)),
            Some(Gid::from_raw(stat.st_gid)),
        )?;
    }
    for name in XATTRS {
        let mut value = [0u8; 4096];
        if let Ok(length) = rfs::fgetxattr(from, name, &mut value[..]) {
            rfs::fsetxattr(to, name, &value[..length], XattrFlags::empty())?;
        }
    }
    rfs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let time = Timespec {
        tv_sec: stat.st_mtime,
        tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rfs::futimens(to, &times)
}
