//! Marks that hide what lies below: whiteouts and opaque directories, read in every format that
//! the kernel's overlay (`userxattr`) and containers/storage know, written in the kernel's where
//! the file system lets us.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, XattrFlags};
use rustix::io::{Errno, Result};

use super::node::Fd;

/// What the name of a whiteout file begins with where device files cannot be made.
const DOTTED: &[u8] = b".wh.";
/// The file that makes its directory opaque, in the same format.
const DOTTED_OPAQUE: &str = ".wh..wh..opq";
const OPAQUE: &str = "user.overlay.opaque";
const XATTR_WHITEOUT: &str = "user.overlay.whiteout";

/// Whether `name` belongs to the `.wh.` format, so that it can be no file's name.
pub(super) fn is_reserved(name: &OsStr) -> bool {
    name.as_bytes().starts_with(DOTTED)
}

/// The `.wh.` file that hides `name`.
fn dotted(name: &OsStr) -> OsString {
    let mut file = OsString::with_capacity(DOTTED.len() + name.len());
    file.push(OsStr::from_bytes(DOTTED));
    file.push(name);
    file
}

/// The name hidden by the `.wh.` file `name`, if it is one and not the mark of an opaque directory.
pub(super) fn hidden_by(name: &OsStr) -> Option<&OsStr> {
    let hidden = name.as_bytes().strip_prefix(DOTTED)?;
    (!hidden.starts_with(DOTTED)).then(|| OsStr::from_bytes(hidden))
}

/// Whether a real file is a whiteout device.
pub(super) fn is_device(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Whether `name` is an empty file marked as a whiteout, as mkfs tools for read-only images write them.
pub(super) fn is_marked(dir: &Fd, name: &OsStr, stat: &Stat) -> bool {
    if stat.st_size != 0 || FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return false;
    }
    super::target::Target::At(dir.clone(), name).getxattr(OsStr::new(XATTR_WHITEOUT)).is_ok()
}

/// Whether the `.wh.` file for `name` is in `dir`.
pub(super) fn is_dotted(dir: impl AsFd, name: &OsStr) -> bool {
    fs::statat(dir, dotted(name), AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// What a directory says of the ones below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opaque {
    No,
    Yes,
    /// Not opaque, but whiteouts in it may be empty files with an xattr.
    Marked,
}

/// Reads the mark of an open directory.
pub(super) fn opaque(dir: impl AsFd) -> Opaque {
    let mut value = [0; 4];
    match fs::fgetxattr(&dir, OPAQUE, &mut value[..]) {
        Ok(1) if value[0] == b'y' => return Opaque::Yes,
        Ok(1) if value[0] == b'x' => return Opaque::Marked,
        _ => {}
    }
    match fs::statat(&dir, DOTTED_OPAQUE, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Opaque::Yes,
        Err(_) => Opaque::No,
    }
}

/// The work directory of the upper layer: where changes are made before they are moved into place.
#[derive(Debug)]
pub(super) struct Work {
    dir: Fd,
    /// Holds the lock that keeps a second server away.
    _base: OwnedFd,
    next: AtomicU64,
    /// The number of the whiteout device that new whiteouts are links to; 0: none yet.
    shared: AtomicU64,
    /// Device files cannot be made here: write `.wh.` files.
    no_devices: AtomicBool,
    /// `O_TMPFILE` is refused here.
    no_tmpfile: AtomicBool,
    /// Reflinks are refused here.
    no_clone: AtomicBool,
    /// `RENAME_WHITEOUT` is refused here.
    no_rename_whiteout: AtomicBool,
}

impl Work {
    /// Takes an empty directory, and the locked one it is in.
    pub(super) fn new(dir: OwnedFd, base: OwnedFd) -> Self {
        Self {
            dir: Fd::new(dir),
            _base: base,
            next: AtomicU64::new(1),
            shared: AtomicU64::new(0),
            no_devices: AtomicBool::new(false),
            no_tmpfile: AtomicBool::new(false),
            no_clone: AtomicBool::new(false),
            no_rename_whiteout: AtomicBool::new(false),
        }
    }

    pub(super) fn dir(&self) -> &Fd {
        &self.dir
    }

    /// A name not used in the work directory.
    pub(super) fn temporary(&self) -> String {
        name_of(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// An unnamed file in the work directory, where the file system has such.
    pub(super) fn unnamed_file(&self) -> Option<OwnedFd> {
        if self.no_tmpfile.load(Ordering::Relaxed) {
            return None;
        }
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = fs::openat(&self.dir, ".", flags, Mode::from_raw_mode(0o600));
        if file.is_err() {
            self.no_tmpfile.store(true, Ordering::Relaxed);
        }
        file.ok()
    }

    /// Shares the blocks of `from` with `to`, where the file system can.
    pub(super) fn clone_file(&self, from: &Fd, to: &Fd) -> bool {
        if self.no_clone.load(Ordering::Relaxed) {
            return false;
        }
        match fs::ioctl_ficlone(to, from) {
            Ok(()) => return true,
            Err(Errno::OPNOTSUPP | Errno::NOTTY | Errno::XDEV | Errno::NOSYS) => {
                self.no_clone.store(true, Ordering::Relaxed);
            }
            Err(_) => {}
        }
        false
    }

    /// Hides `name` of `dir`, in place of what is there now (no directory), in one step where
    /// whiteouts are devices; a `.wh.` file is written before what it replaces is removed.
    /// Returns whether it had to be a `.wh.` file.
    pub(super) fn whiteout(&self, dir: &Fd, name: &OsStr, replace: bool) -> Result<bool> {
        if !self.no_devices.load(Ordering::Relaxed) {
            let made = if replace {
                let temporary = self.temporary();
                self.device(&self.dir, OsStr::new(&temporary))
                    .and_then(|()| fs::renameat(&self.dir, &temporary, dir, name))
            } else {
                self.device(dir, name)
            };
            match made {
                Err(Errno::PERM | Errno::OPNOTSUPP | Errno::INVAL) => self.no_devices.store(true, Ordering::Relaxed),
                done => return done.map(|()| false),
            }
        }
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        drop(fs::openat(dir, dotted(name), flags, Mode::from_raw_mode(0o600))?);
        if replace {
            fs::unlinkat(dir, name, AtFlags::empty())?;
        }
        Ok(true)
    }

    /// Makes a whiteout device, as a link to an earlier one if possible: that takes no inode.
    fn device(&self, dir: impl AsFd, name: &OsStr) -> Result<()> {
        let shared = self.shared.load(Ordering::Relaxed);
        if shared != 0 {
            match fs::linkat(&self.dir, name_of(shared), &dir, name, AtFlags::empty()) {
                Err(Errno::MLINK | Errno::NOENT | Errno::PERM | Errno::XDEV) => {}
                done => return done,
            }
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let made = fs::mknodat(&self.dir, name_of(number), FileType::CharacterDevice, Mode::empty(), 0);
        made?;
        match fs::linkat(&self.dir, name_of(number), &dir, name, AtFlags::empty()) {
            Ok(()) => {
                let old = self.shared.swap(number, Ordering::Relaxed);
                if old != 0 {
                    let _ = fs::unlinkat(&self.dir, name_of(old), AtFlags::empty());
                }
                Ok(())
            }
            Err(Errno::EXIST) => {
                let _ = fs::unlinkat(&self.dir, name_of(number), AtFlags::empty());
                Err(Errno::EXIST)
            }
            Err(_) => fs::renameat_with(&self.dir, name_of(number), &dir, name, RenameFlags::NOREPLACE),
        }
    }

    /// Moves `from` to `to` and leaves a whiteout in its place, in one step where the kernel can.
    /// Returns whether the whiteout had to be a `.wh.` file.
    pub(super) fn rename_whiteout(&self, from: (&Fd, &OsStr), to: (&Fd, &OsStr)) -> Result<bool> {
        if !self.no_rename_whiteout.load(Ordering::Relaxed) && !self.no_devices.load(Ordering::Relaxed) {
            match fs::renameat_with(from.0, from.1, to.0, to.1, RenameFlags::WHITEOUT) {
                Err(Errno::INVAL | Errno::PERM | Errno::OPNOTSUPP) => {
                    self.no_rename_whiteout.store(true, Ordering::Relaxed);
                }
                done => return done.map(|()| false),
            }
        }
        fs::renameat(from.0, from.1, to.0, to.1)?;
        self.whiteout(from.0, from.1, false)
    }

    /// Removes a directory that holds nothing but whiteouts, or anything else left over: it is out
    /// of sight, so failure only wastes space.
    pub(super) fn discard(&self, name: &str) {
        let _ = remove_all(&self.dir, OsStr::new(name), 0);
    }
}

fn name_of(number: u64) -> String {
    format!("#{number:x}")
}

/// Removes the `.wh.` file for `name`, if there is one.
pub(super) fn remove_dotted(dir: &Fd, name: &OsStr) {
    let _ = fs::unlinkat(dir, dotted(name), AtFlags::empty());
}

/// Makes an open directory opaque.
pub(super) fn set_opaque(dir: impl AsFd) -> Result<()> {
    match fs::fsetxattr(&dir, OPAQUE, b"y", XattrFlags::empty()) {
        Err(Errno::OPNOTSUPP | Errno::PERM) => {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            fs::openat(&dir, DOTTED_OPAQUE, flags, Mode::from_raw_mode(0o600)).map(drop)
        }
        done => done,
    }
}

/// Removes `name` and all below it, never leaving the directory.
pub(super) fn remove_all(dir: impl AsFd, name: &OsStr, depth: usize) -> Result<()> {
    match fs::unlinkat(&dir, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) if depth < 256 => {}
        done => return done,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let sub = fs::openat(&dir, name, flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in fs::Dir::read_from(&sub)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            names.push(name.to_owned());
        }
    }
    for inner in names {
        remove_all(&sub, &inner, depth + 1)?;
    }
    fs::unlinkat(&dir, name, AtFlags::REMOVEDIR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_names_of_the_dotted_format() {
        assert_eq!(hidden_by(OsStr::new(".wh.a")), Some(OsStr::new("a")));
        assert_eq!(hidden_by(OsStr::new(DOTTED_OPAQUE)), None);
        assert_eq!(hidden_by(OsStr::new("wh.a")), None);
        assert!(is_reserved(OsStr::new(".wh..opq")) && !is_reserved(OsStr::new(".w")));
        assert_eq!(dotted(OsStr::new("x")), ".wh.x");
    }
}
