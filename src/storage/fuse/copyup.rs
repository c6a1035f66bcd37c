//! Copying up: giving a node of a lower layer a file of its own in the upper layer before it is
//! changed.
//!
//! A copy is made in full out of sight (an unnamed file, or a name in the work directory) and then
//! put in place in one step, so that at every moment the upper directory has the old file or the
//! new one, whole. Hard links: all names of the file that are known get the copy; a name not looked
//! up while the file is in use keeps the old contents, as with the kernel's overlay.

use std::ffi::OsStr;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, XattrFlags};
use rustix::io::{Errno, Result};

use super::ids::{self, Override};
use super::lookup::ORIGIN;
use super::node::{Fd, Key, Link, Node, Real, Reals, UPPER, lock, read, write};
use super::overlay::Overlay;
use super::target::Target;
use super::xattr::is_own;
use crate::sys::overlay::write_out;

/// Up to this size, reading and writing is quicker than `copy_file_range`.
const SMALL: u64 = 256 * 1024;

/// A finished copy that has no place yet.
enum Copy {
    /// An unnamed file.
    Unnamed(Fd),
    /// A name in the work directory, and the file open.
    Named(String, Fd),
}

impl Copy {
    fn fd(&self) -> &Fd {
        match self {
            Self::Unnamed(fd) | Self::Named(_, fd) => fd,
        }
    }
}

/// The times of a file, for setting them on another.
#[allow(clippy::unnecessary_cast)] // the types of these fields differ between processors
pub(super) fn times_of(stat: &Stat) -> Timestamps {
    let time = |sec, nsec| Timespec { tv_sec: sec, tv_nsec: nsec };
    Timestamps {
        last_access: time(stat.st_atime as i64, stat.st_atime_nsec as i64),
        last_modification: time(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
    }
}

/// Gives `to/name` to the file open as `fd`.
pub(super) fn link_fd(fd: &Fd, to: &Fd, name: &OsStr) -> Result<()> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    fs::linkat(fs::CWD, path, to, name, AtFlags::SYMLINK_FOLLOW)
}

impl Overlay {
    /// The directory of the upper layer behind `node`, made if it is not there.
    pub(super) fn upper_dir(&self, node: &Arc<Node>) -> Result<Fd> {
        self.work()?;
        loop {
            let reals = node.reals();
            match reals.first() {
                Some(real) if real.layer == UPPER => return self.dir_fd(node, real),
                Some(_) => self.copy_up_dir(node)?,
                None => return Err(Errno::NOENT),
            }
        }
    }

    /// Moves `node` to the upper layer if it is not there. With `limit` no more than so many bytes
    /// of its contents are needed.
    pub(super) fn copy_up(&self, node: &Arc<Node>, limit: Option<u64>) -> Result<()> {
        self.work()?;
        if read(&node.state).layer == UPPER {
            return Ok(());
        }
        if node.is_dir() {
            return self.copy_up_dir(node);
        }
        let _one = lock(&node.copyup);
        let links = {
            let state = read(&node.state);
            if state.layer == UPPER {
                return Ok(());
            }
            state.links.clone()
        };
        let mut places = Vec::with_capacity(links.len());
        for link in links {
            let dir = self.upper_dir(&link.parent)?;
            let times = times_of(&fs::fstat(&dir)?);
            places.push((dir, times, link));
        }
        let copy = self.copy_node(node, limit)?;
        self.put_in_place(node, copy, &places)
    }

    fn put_in_place(&self, node: &Arc<Node>, copy: Copy, places: &[(Fd, Timestamps, Link)]) -> Result<()> {
        let work = self.work()?;
        let stat = fs::fstat(copy.fd())?;
        let mut missed = Vec::new();
        let mut state = write(&node.state);
        let mut first = None;
        for link in &state.links {
            let same = |l: &Link| Arc::ptr_eq(&l.parent, &link.parent) && l.name == link.name;
            let Some((dir, ..)) = places.iter().find(|(_, _, l)| same(l)) else {
                missed.push(link.clone());
                continue;
            };
            match (&copy, &first) {
                (Copy::Unnamed(fd), None) => link_fd(fd, dir, &link.name)?,
                (Copy::Named(name, _), None) => fs::renameat(work.dir(), name, dir, &link.name)?,
                (_, Some((from, name))) => fs::linkat(*from, *name, dir, &link.name, AtFlags::empty())?,
            }
            first.get_or_insert((dir, &link.name));
        }
        if let (Copy::Named(name, _), None) = (&copy, &first) {
            // It was unlinked meanwhile, and lives on without a name.
            let _ = fs::unlinkat(work.dir(), name, AtFlags::empty());
        }
        let unlinked = state.links.is_empty();
        let fd = copy.fd().clone();
        let file = node.is_file();
        let old = if state.anchor.is_some() || unlinked {
            (state.anchor.replace(fd), state.io.take())
        } else if file {
            (state.io.replace(fd), None)
        } else {
            (None, None)
        };
        state.layer = UPPER;
        if !unlinked {
            let key = Key { layer: UPPER, dev: stat.st_dev, ino: stat.st_ino };
            self.table.add_key(node, &mut state, key);
        }
        let counted = state.io.is_some();
        drop(state);
        drop(old);
        if counted {
            self.count_file(node);
        }
        for (dir, times, _) in places {
            // What was in the directory did not change.
            let _ = fs::futimens(dir, times);
        }
        for link in missed {
            self.join(node, &link.parent, &link.name)?;
        }
        Ok(())
    }

    /// Gives one more name in the upper layer to a node that is there.
    pub(super) fn join(&self, node: &Arc<Node>, parent: &Arc<Node>, name: &OsStr) -> Result<()> {
        let dir = self.upper_dir(parent)?;
        let times = times_of(&fs::fstat(&dir)?);
        match self.with(node, |target, _| link_target(target, &dir, name)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e),
        }
        let _ = fs::futimens(&dir, &times);
        Ok(())
    }

    /// Makes a copy of a file, link or device.
    fn copy_node(&self, node: &Arc<Node>, limit: Option<u64>) -> Result<Copy> {
        if node.is_file() {
            let from = Target::Open(self.reader(node)?);
            let layer = read(&node.state).layer;
            let stat = self.stat(&from, layer)?;
            return self.copy_file(&from, &stat, node.ino, limit);
        }
        self.with(node, |from, layer| {
            let stat = self.stat(from, layer)?;
            let (work, name) = (self.work()?, self.work()?.temporary());
            match node.kind {
                FileType::Symlink => fs::symlinkat(OsStr::from_bytes(&from.readlink()?), work.dir(), &name)?,
                _ if FileType::from_raw_mode(from.stat()?.st_mode) == FileType::RegularFile => {
                    // A device that exists in an extended attribute only.
                    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                    drop(fs::openat(work.dir(), &name, flags, Mode::from_raw_mode(0o600))?);
                }
                kind => fs::mknodat(work.dir(), &name, kind, Mode::from_raw_mode(0o600), stat.st_rdev)?,
            }
            let copied = (|| {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = Arc::new(fs::openat(work.dir(), &name, flags, Mode::empty())?);
                self.copy_metadata(from, &Target::At(work.dir().clone(), OsStr::new(&name)), &stat, node.ino)?;
                Ok(fd)
            })();
            match copied {
                Ok(fd) => Ok(Copy::Named(name, fd)),
                Err(e) => {
                    let _ = fs::unlinkat(work.dir(), &name, AtFlags::empty());
                    Err(e)
                }
            }
        })
    }

    fn copy_file(&self, from: &Target<'_>, stat: &Stat, number: u64, limit: Option<u64>) -> Result<Copy> {
        let (work, Target::Open(source)) = (self.work()?, from) else { return Err(Errno::INVAL) };
        let copy = match work.unnamed_file() {
            Some(fd) => Copy::Unnamed(Arc::new(fd)),
            None => {
                let name = work.temporary();
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
                let fd = fs::openat(work.dir(), &name, flags, Mode::from_raw_mode(0o600))?;
                Copy::Named(name, Arc::new(fd))
            }
        };
        let filled = (|| {
            let size = u64::try_from(stat.st_size).unwrap_or(0);
            let wanted = limit.map_or(size, |l| l.min(size));
            if wanted > SMALL {
                self.turns.slow();
            }
            self.copy_data(source, copy.fd(), stat, wanted)?;
            // Else a power failure could leave an empty file where a whole one was. That needs the
            // contents on the disk before the name, not the name itself: no fsync.
            let ordered = !self.options.volatile && wanted > 0;
            if ordered {
                write_out(copy.fd(), false)?;
            }
            self.copy_metadata(from, &Target::Open(copy.fd().clone()), stat, number)?;
            if ordered { write_out(copy.fd(), true) } else { Ok(()) }
        })();
        if let (Err(_), Copy::Named(name, _)) = (&filled, &copy) {
            let _ = fs::unlinkat(work.dir(), name, AtFlags::empty());
        }
        filled.map(|()| copy)
    }

    /// Copies the first `wanted` bytes, leaving holes as holes.
    fn copy_data(&self, from: &Fd, to: &Fd, stat: &Stat, wanted: u64) -> Result<()> {
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if wanted == 0 {
            return Ok(());
        }
        if wanted == size && self.work()?.clone_file(from, to) {
            return Ok(());
        }
        let sparse = u64::try_from(stat.st_blocks).unwrap_or(0) * 512 < size;
        if !sparse {
            return copy_range(from, to, 0, wanted);
        }
        let mut at = 0;
        while at < wanted {
            let start = match fs::seek(from, SeekFrom::Data(at)) {
                Ok(start) => start,
                Err(Errno::NXIO) => break,
                Err(Errno::INVAL) => return copy_range(from, to, 0, wanted),
                Err(e) => return Err(e),
            };
            let end = fs::seek(from, SeekFrom::Hole(start)).unwrap_or(size).min(wanted);
            if start >= end {
                break;
            }
            copy_range(from, to, start, end)?;
            at = end;
        }
        fs::ftruncate(to, wanted)
    }

    /// Copies owner, mode, extended attributes (ACLs and capabilities are among them) and times.
    fn copy_metadata(&self, from: &Target<'_>, to: &Target<'_>, stat: &Stat, number: u64) -> Result<()> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if self.has_overrides(UPPER) {
            if kind != FileType::Symlink {
                Override::of(stat).keep(to)?;
            }
        } else {
            if (stat.st_uid, stat.st_gid) != self.me {
                to.chown(Some(stat.st_uid), Some(stat.st_gid))?;
            }
            if kind != FileType::Symlink {
                to.chmod(stat.st_mode)?;
            }
        }
        self.copy_xattrs(from, to)?;
        if matches!(kind, FileType::RegularFile) {
            let value = format!("{number:x}");
            // Without it the file only gets another number once it is forgotten.
            let _ = to.setxattr(OsStr::new(ORIGIN), value.as_bytes(), XattrFlags::empty());
        }
        to.utimens(&times_of(stat))
    }

    fn copy_xattrs(&self, from: &Target<'_>, to: &Target<'_>) -> Result<()> {
        let names = match from.listxattr() {
            Ok(names) => names,
            Err(Errno::OPNOTSUPP | Errno::ACCESS | Errno::PERM) => return Ok(()),
            Err(e) => return Err(e),
        };
        for name in names.split(|&b| b == 0).filter(|n| !n.is_empty()) {
            if is_own(name) || (name == ids::OVERRIDE.as_bytes() && !self.options.plain_owners) {
                continue;
            }
            let name = OsStr::from_bytes(name);
            let value = match from.getxattr(name) {
                Err(Errno::NODATA) => continue,
                value => value?,
            };
            match to.setxattr(name, &value, XattrFlags::empty()) {
                // Labels of a security module are the system's to set; a file system without ACLs
                // or attributes is no reason to refuse the change.
                Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                done => done?,
            }
        }
        Ok(())
    }

    /// Makes the upper directory of a merged one.
    fn copy_up_dir(&self, node: &Arc<Node>) -> Result<()> {
        let _one = lock(&node.copyup);
        let link = {
            let state = read(&node.state);
            if state.layer == UPPER {
                return Ok(());
            }
            state.links.first().cloned().ok_or(Errno::NOENT)?
        };
        let above = self.upper_dir(&link.parent)?;
        let times = times_of(&fs::fstat(&above)?);
        let work = self.work()?;
        let name = work.temporary();
        fs::mkdirat(work.dir(), &name, Mode::from_raw_mode(0o700))?;
        let made = (|| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let fd = Arc::new(fs::openat(work.dir(), &name, flags, Mode::empty())?);
            let to = Target::Open(fd.clone());
            self.with(node, |from, layer| self.copy_metadata(from, &to, &self.stat(from, layer)?, node.ino))?;
            fs::renameat(work.dir(), &name, &above, &link.name)?;
            Ok(fd)
        })();
        let fd: Fd = match made {
            Ok(fd) => fd,
            Err(e) => {
                let _ = fs::unlinkat(work.dir(), &name, AtFlags::REMOVEDIR);
                return Err(e);
            }
        };
        let _ = fs::futimens(&above, &times);
        let real = Arc::new(Real::new(UPPER, None));
        let mut state = write(&node.state);
        let mut reals = vec![real.clone()];
        reals.extend(state.reals.iter().cloned());
        state.reals = Reals::new(reals);
        state.layer = UPPER;
        drop(state);
        self.keep_dir(&real, &fd);
        Ok(())
    }
}

/// Gives a real file one more name.
pub(super) fn link_target(target: &Target<'_>, dir: &Fd, name: &OsStr) -> Result<()> {
    match target {
        Target::At(from, old) => fs::linkat(from, *old, dir, name, AtFlags::empty()),
        Target::Open(fd) | Target::Path(fd) => link_fd(fd, dir, name),
    }
}

/// Copies the bytes from `at` to `end`.
fn copy_range(from: &Fd, to: &Fd, mut at: u64, end: u64) -> Result<()> {
    if end - at > SMALL {
        let (mut source, mut target) = (at, at);
        while source < end {
            let len = usize::try_from(end - source).unwrap_or(usize::MAX).min(1 << 30);
            match fs::copy_file_range(from, Some(&mut source), to, Some(&mut target), len) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS | Errno::PERM) => break,
                Err(e) => return Err(e),
            }
        }
        at = source;
    }
    let size = usize::try_from((end - at).min(SMALL)).unwrap_or(0);
    let mut buffer = vec![0; size];
    while at < end {
        let len = buffer.len().min(usize::try_from(end - at).unwrap_or(usize::MAX));
        let got = rustix::io::retry_on_intr(|| rustix::io::pread(from, &mut buffer[..len], at))?;
        if got == 0 {
            break;
        }
        write_all(to, &buffer[..got], at)?;
        at += got as u64;
    }
    Ok(())
}

/// Writes all of `data` at `at`.
pub(super) fn write_all(to: &Fd, mut data: &[u8], mut at: u64) -> Result<()> {
    while !data.is_empty() {
        let done = rustix::io::retry_on_intr(|| rustix::io::pwrite(to, data, at))?;
        if done == 0 {
            return Err(Errno::IO);
        }
        data = &data[done..];
        at += done as u64;
    }
    Ok(())
}

