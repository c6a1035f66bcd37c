//! Directories a layer brings without saying what they are.
//!
//! An archive may hold `tmp/x` and no entry for `tmp`. Unpacked alone the directory gets ordinary permissions, and overlayfs
//! would show those instead of the layer below's (a `/tmp` nobody may write to). So when an image is put together, such
//! directories take over owner, mode, time and attributes from the nearest layer below that has them.
//!
//! The first image a layer is part of does so in the layer's own tree. In another image the layer may lie on others, and what
//! one image says of a directory must not be what another one's users get (`/data` of mode 777). Where they differ, that image
//! has those directories, and nothing else, in a tree of their own that lies on the layer's: a variant, named by the layers
//! below.

use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self as rfs, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::{LayerError, LayerRecord, LayerStore, make_dir, remove_below, write_record};
use crate::spec::Digest;

/// Attributes taken over: those that decide about access, and the owner where one id is all there is.
const XATTRS: [&str; 3] = ["system.posix_acl_access", "system.posix_acl_default", "user.containers.override_stat"];
/// Below a layer's directory, one directory for each variant.
const VARIANTS: &str = "on";
/// Among them, the one in the making.
const NEW: &str = "new";

/// Where a layer of an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its tree.
    pub tree: PathBuf,
    /// What lies on it in this image.
    pub variant: Option<PathBuf>,
    /// It hides all that is below; overlayfs would not look at a mark on the root.
    pub hides: bool,
}

/// What is taken over of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Attributes {
    owner: (u32, u32),
    mode: u32,
    xattrs: [Option<Vec<u8>>; XATTRS.len()],
}

impl LayerStore {
    /// Completes the layers of an image, lowest first. All are here; runs in the user's namespace.
    ///
    /// # Errors
    /// When a layer cannot be changed or its record not written.
    pub fn adopt_parents(&self, layers: &[Digest]) -> Result<(), LayerError> {
        for (height, layer) in layers.iter().enumerate() {
            let Some(record) = self.record(layer) else { continue };
            if record.report.implicit_dirs.is_empty() || record.report.opaque_root {
                continue;
            }
            let below = &layers[..height];
            if record.adopted {
                self.vary(layer, below, &record.report.implicit_dirs)?;
            } else {
                self.complete(layer, below, record)?;
            }
        }
        Ok(())
    }

    /// Where the last of these layers is, if it is here.
    #[must_use]
    pub fn place(&self, layers: &[Digest]) -> Option<Place> {
        let (layer, below) = layers.split_last()?;
        let record = self.record(layer)?;
        let variant = || Some(self.variant(layer, below)).filter(|path| path.is_dir());
        Some(Place {
            tree: self.tree(layer),
            variant: if record.adopted { variant() } else { None },
            hides: record.report.opaque_root,
        })
    }

    /// The first image: in the layer's own tree.
    fn complete(&self, layer: &Digest, below: &[Digest], record: LayerRecord) -> Result<(), LayerError> {
        let path = self.path(layer);
        let tree = File::open(self.tree(layer)).map_err(LayerError::io("open", &path))?;
        for dir in &record.report.implicit_dirs {
            if let (Ok(upper), Some(lower)) = (open_dir(&tree, dir), self.below(below, dir)) {
                let take = || Attributes::of(&lower)?.give(&upper).and_then(|()| copy_times(&lower, &upper));
                take().map_err(|e| LayerError::io("complete", &path)(e.into()))?;
            }
        }
        write_record(&path, &LayerRecord { adopted: true, ..record })
    }

    /// Another image: in a variant, if it wants anything else.
    fn vary(&self, layer: &Digest, below: &[Digest], implicit: &[String]) -> Result<(), LayerError> {
        let path = self.path(layer);
        let tree = File::open(self.tree(layer)).map_err(LayerError::io("open", &path))?;
        let mut wanted = Vec::new();
        let mut differs = false;
        for dir in implicit {
            let Ok(own) = open_dir(&tree, dir) else { continue };
            let lower = self.below(below, dir);
            let read = |fd: &OwnedFd| Attributes::of(fd).map_err(|e| LayerError::io("look at", &path)(e.into()));
            let attributes = lower.as_ref().map_or_else(|| Ok(Attributes::ordinary()), read)?;
            differs |= attributes != read(&own)?;
            wanted.push((dir.as_str(), attributes));
        }
        let variant = self.variant(layer, below);
        if !differs || variant.is_dir() {
            return Ok(());
        }
        make_dir(&path.join(VARIANTS))?;
        // What a killed process left of it. The caller holds the lock of the images.
        remove_below(&path.join(VARIANTS), NEW)?;
        let new = path.join(VARIANTS).join(NEW);
        make_dir(&new)?;
        write_variant(&tree, &wanted, &new).map_err(|e| LayerError::io("write", &new)(e.into()))?;
        std::fs::rename(&new, &variant).map_err(LayerError::io("name", &variant))
    }

    fn variant(&self, layer: &Digest, below: &[Digest]) -> PathBuf {
        let below: Vec<String> = below.iter().map(ToString::to_string).collect();
        let name = Digest::of(below.join("\n").as_bytes());
        self.path(layer).join(VARIANTS).join(&name.hex()[..32])
    }

    /// The directory as the nearest layer that has it says.
    fn below(&self, layers: &[Digest], dir: &str) -> Option<OwnedFd> {
        for height in (1..=layers.len()).rev() {
            let place = self.place(&layers[..height])?;
            for path in place.variant.iter().chain([&place.tree]) {
                let tree = File::open(path).ok()?;
                match open_dir(&tree, dir) {
                    Ok(fd) => return Some(fd),
                    Err(Errno::NOENT) => {}
                    // A file, a link, a whiteout: what is further down cannot be seen.
                    Err(_) => return None,
                }
            }
            if place.hides {
                return None;
            }
        }
        None
    }
}

/// Makes the directories, with those above them as the layer has them.
fn write_variant(tree: &File, wanted: &[(&str, Attributes)], into: &Path) -> Result<(), Errno> {
    let root = File::open(into).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let mut made: Vec<String> = vec![".".to_owned()];
    for (dir, _) in wanted {
        for end in dir.char_indices().filter(|(_, c)| *c == '/').map(|(at, _)| at).chain([dir.len()]) {
            let path = &dir[..end];
            if !path.is_empty() && !made.iter().any(|other| other == path) {
                let (above, name) = path.rsplit_once('/').unwrap_or((".", path));
                rfs::mkdirat(open_dir(&root, above)?, name, Mode::RWXU)?;
                made.push(path.to_owned());
            }
        }
    }
    // A directory's time changes with what is made in it.
    for path in &made {
        let (own, new) = (open_dir(tree, path)?, open_dir(&root, path)?);
        match wanted.iter().find(|(dir, _)| dir == path) {
            Some((_, attributes)) => attributes.give(&new)?,
            None => Attributes::of(&own)?.give(&new)?,
        }
        copy_times(&own, &new)?;
    }
    Ok(())
}

fn open_dir(tree: &File, dir: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rfs::openat2(tree.as_fd(), dir, flags, Mode::empty(), resolve)
}

impl Attributes {
    /// As unpacking makes what nothing is said of.
    fn ordinary() -> Self {
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { owner, mode: 0o755, xattrs: Default::default() }
    }

    fn of(fd: &OwnedFd) -> Result<Self, Errno> {
        let stat = rfs::fstat(fd)?;
        let xattrs = XATTRS.map(|name| {
            let mut value = [0u8; 4096];
            rfs::fgetxattr(fd, name, &mut value[..]).ok().map(|length| value[..length].to_vec())
        });
        Ok(Self { owner: (stat.st_uid, stat.st_gid), mode: stat.st_mode & 0o7777, xattrs })
    }

    fn give(&self, to: &OwnedFd) -> Result<(), Errno> {
        let own = Self::of(to)?;
        if self.owner != own.owner {
            rfs::fchown(to, Some(Uid::from_raw(self.owner.0)), Some(Gid::from_raw(self.owner.1)))?;
        }
        for ((name, value), had) in XATTRS.iter().zip(&self.xattrs).zip(&own.xattrs) {
            match value {
                Some(value) => rfs::fsetxattr(to, *name, value, XattrFlags::empty())?,
                None if had.is_some() => rfs::fremovexattr(to, *name)?,
                None => {}
            }
        }
        rfs::fchmod(to, Mode::from_raw_mode(self.mode))
    }
}

fn copy_times(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let stat = rfs::fstat(from)?;
    let time = Timespec { tv_sec: stat.st_mtime, tv_nsec: i64::try_from(stat.st_mtime_nsec).unwrap_or(0) };
    rfs::futimens(to, &Timestamps { last_access: time, last_modification: time })
}
