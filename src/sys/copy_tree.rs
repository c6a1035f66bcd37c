//! Copying directory trees by descriptor, from one place nobody trusts to another.
//!
//! Both sides may be changed by somebody hostile while we work: no symbolic link is followed below the two directories
//! given, nothing is opened before it is known not to block or to be a device, and what exists is replaced by a rename, when the
//! new one is whole: on a full disk it stays.

use std::collections::HashMap;
use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self as rfs, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::beside::{self, Beside, Swept};
use super::copy::copy_file;
use super::mounted;

/// Nesting beyond this is refused: each level costs two descriptors.
const MAX_DEPTH: usize = 480;
/// Attributes larger than this are not copied (the kernel's own bound is 64 KiB).
const MAX_ATTRIBUTE: usize = 64 << 10;

/// What becomes of owners and of the bits that depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// As in the source; ids that are not mapped here become those given.
    Keep {
        /// Stands for an unmapped user.
        uid: u32,
        /// Stands for an unmapped group.
        gid: u32,
    },
    /// All the same.
    Set {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// The caller's, as everything he makes. Set-user-id and set-group-id files lose the bit: he did not ask to lend his
    /// rights.
    Caller,
}

/// What a copy did besides its errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of file content.
    pub bytes: u64,
    /// Objects made.
    pub objects: u64,
    /// What could not be made here (device nodes, sockets), relative to the directory given.
    pub skipped: Vec<PathBuf>,
}

/// An error and the object below the source at which it came.
#[derive(Debug)]
pub struct CopyError {
    /// Relative to the directory given.
    pub path: PathBuf,
    /// What failed.
    pub action: &'static str,
    /// Why.
    pub source: io::Error,
}

type Outcome<T> = Result<T, CopyError>;

/// What the target calls an owner (uid, gid) of the source.
pub type Translate<'a> = &'a dyn Fn(u32, u32) -> (u32, u32);

/// Owners kept beside the data, where the kernel cannot keep them (`userns::owner`).
pub trait Records {
    /// Owner and permission bits that `name` in `dir`, open as `handle` (O_PATH will do), counts as having.
    fn find(&self, dir: BorrowedFd<'_>, name: &CStr, handle: BorrowedFd<'_>, stat: &Stat) -> (u32, u32, u32);
    /// Gives the open file or directory `made`, a copy of `from`, its owner and permission bits.
    ///
    /// # Errors
    /// What the system says.
    fn give(&self, made: BorrowedFd<'_>, from: BorrowedFd<'_>, owner: (u32, u32), bits: u32) -> Result<(), Errno>;
    /// Gives a link, fifo or socket its owner.
    ///
    /// # Errors
    /// What the system says.
    fn give_at(&self, dir: BorrowedFd<'_>, name: &CStr, owner: (u32, u32)) -> Result<(), Errno>;
    /// Whether an attribute is one of these records.
    fn is_record(&self, attribute: &[u8]) -> bool;
}

/// A copy in progress: policy, what was done, and the hard links seen so far.
pub struct TreeCopy<'a> {
    owner: Owner,
    translate: Option<Translate<'a>>,
    records: Option<&'a dyn Records>,
    top: BorrowedFd<'a>,
    links: HashMap<(u64, u64), (PathBuf, u64)>,
    path: PathBuf,
    done: Copied,
    swept: Swept,
}

struct Level {
    from: OwnedFd,
    to: OwnedFd,
    stat: Stat,
    names: Vec<CString>,
    /// This level's name is the last of `path`.
    named: bool,
}

impl<'a> TreeCopy<'a> {
    /// A copy into the directory `top`. Raises the limit of open files, which deep trees need.
    pub fn new(top: BorrowedFd<'a>, owner: Owner) -> Self {
        let limit = getrlimit(Resource::Nofile);
        let wanted = limit.maximum.map_or(4096, |hard| hard.min(4096));
        if limit.current.is_some_and(|soft| soft < wanted) {
            let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
        }
        Self { owner, translate: None, records: None, top, links: HashMap::new(), path: PathBuf::new(), done: Copied::default(), swept: Swept::default() }
    }

    /// Owners that are kept go by other numbers at the target.
    #[must_use]
    pub fn translating(self, translate: Option<Translate<'a>>) -> Self {
        Self { translate, ..self }
    }

    /// Owners are read from and kept in records.
    #[must_use]
    pub fn recording(self, records: Option<&'a dyn Records>) -> Self {
        Self { records, ..self }
    }

    /// What was done so far.
    pub fn finish(self) -> Copied {
        self.done
    }

    /// Copies what is in the directory `from` into the top, and the attributes of `from` itself when `itself`.
    ///
    /// # Errors
    /// The first object that could not be copied.
    pub fn contents(&mut self, from: BorrowedFd<'_>, itself: bool) -> Outcome<()> {
        let stat = self.look(from, c".", from)?;
        let from = reopen(from).map_err(self.failed("open"))?;
        let to = reopen(self.top).map_err(self.failed("open"))?;
        let names = names(&from).map_err(self.failed("list"))?;
        self.levels(Level { from, to, stat, names, named: false }, itself)
    }

    /// Copies the object `handle` is open on (O_PATH), whatever it is, to `target` in the top. It is `name` in `dir`.
    ///
    /// # Errors
    /// As [`Self::contents`].
    pub fn object(&mut self, handle: &OwnedFd, (dir, name): (BorrowedFd<'_>, &CStr), target: &CStr) -> Outcome<()> {
        let top = self.top;
        self.path.push(OsStr::from_bytes(target.to_bytes()));
        let stat = self.look(dir, name, handle.as_fd())?;
        if let Some(level) = self.copy(handle, stat, top, target)? {
            self.levels(level, true)?;
        } else {
            self.path.pop();
        }
        Ok(())
    }

    /// Walks one directory and those below; `last` also gives the first one its attributes.
    fn levels(&mut self, first: Level, last: bool) -> Outcome<()> {
        let mut stack = vec![first];
        while let Some(level) = stack.last_mut() {
            let Some(name) = level.names.pop() else {
                let Some(level) = stack.pop() else { break };
                if last || !stack.is_empty() {
                    self.directory_attributes(&level)?;
                }
                if level.named {
                    self.path.pop();
                }
                continue;
            };
            self.path.push(OsStr::from_bytes(name.to_bytes()));
            let (from, to) = (level.from.as_fd(), level.to.as_fd());
            let next = self.one(from, &name, to, &name)?;
            match next {
                Some(_) if stack.len() >= MAX_DEPTH => return Err(self.failed("nested too deep")(Errno::LOOP)),
                Some(next) => stack.push(next),
                None => {
                    self.path.pop();
                }
            }
        }
        Ok(())
    }

    /// Copies one object; a directory is only made, and returned to be walked.
    fn one(&mut self, from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, target: &CStr) -> Outcome<Option<Level>> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match rfs::openat(from, name, flags, Mode::empty()) {
            Ok(handle) => handle,
            // Gone since it was listed.
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(self.failed("open")(errno)),
        };
        let stat = self.look(from, name, handle.as_fd())?;
        self.copy(&handle, stat, to, target)
    }

    /// What an object is, whose it is as recorded.
    fn look(&self, dir: BorrowedFd<'_>, name: &CStr, handle: BorrowedFd<'_>) -> Outcome<Stat> {
        let mut stat = rfs::fstat(handle).map_err(self.failed("stat"))?;
        if let Some(records) = self.records {
            let (uid, gid, bits) = records.find(dir, name, handle, &stat);
            (stat.st_uid, stat.st_gid, stat.st_mode) = (uid, gid, stat.st_mode & !0o7777 | bits & 0o7777);
        }
        Ok(stat)
    }

    fn copy(&mut self, handle: &OwnedFd, stat: Stat, to: BorrowedFd<'_>, target: &CStr) -> Outcome<Option<Level>> {
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind == FileType::Directory {
            return self.enter(handle, stat, to, target).map(Some);
        }
        if stat.st_nlink > 1 && self.link(&stat, to, target)? {
            // Of links each name has its own record.
            if kind != FileType::RegularFile {
                self.record_at(&stat, to, target)?;
            }
            return Ok(None);
        }
        match kind {
            FileType::RegularFile => self.file(handle, &stat, to, target)?,
            FileType::Symlink => {
                let text = rfs::readlinkat(handle, c"", Vec::new()).map_err(self.failed("read link"))?;
                let made = beside::make(to, target, |name| rfs::symlinkat(&*text, to, name)).map_err(self.failed("make link"))?;
                self.settle(&stat, to, target, made.1)?;
            }
            FileType::Fifo => {
                let mode = Mode::from_raw_mode(0o600);
                let make = |name: &CStr| rfs::mknodat(to, name, FileType::Fifo, mode, 0);
                let made = beside::make(to, target, make).map_err(self.failed("make fifo"))?;
                self.settle(&stat, to, target, made.1)?;
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                let make = |name: &CStr| rfs::mknodat(to, name, kind, Mode::from_raw_mode(0o600), stat.st_rdev);
                match beside::make(to, target, make) {
                    Ok((_, made)) => self.settle(&stat, to, target, made)?,
                    Err(Errno::PERM) => {
                        self.done.skipped.push(self.path.clone());
                        return Ok(None);
                    }
                    Err(errno) => return Err(self.failed("make device")(errno)),
                }
            }
            FileType::Socket | FileType::Unknown | FileType::Directory => {
                self.done.skipped.push(self.path.clone());
                return Ok(None);
            }
        }
        self.done.objects += 1;
        if stat.st_nlink > 1
            && let Ok(made) = rfs::statat(to, target, AtFlags::SYMLINK_NOFOLLOW)
        {
            self.links.insert((stat.st_dev, stat.st_ino), (self.path.clone(), made.st_ino));
        }
        Ok(None)
    }

    fn enter(&mut self, handle: &OwnedFd, stat: Stat, to: BorrowedFd<'_>, target: &CStr) -> Outcome<Level> {
        match rfs::mkdirat(to, target, Mode::RWXU) {
            Ok(()) => self.done.objects += 1,
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(self.failed("make directory")(errno)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rfs::openat(to, target, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOTDIR | Errno::LOOP => self.failed("overwrite non-directory with directory")(Errno::NOTDIR),
            other => self.failed("open")(other),
        })?;
        let from = reopen(handle.as_fd()).map_err(self.failed("open"))?;
        let names = names(&from).map_err(self.failed("list"))?;
        Ok(Level { from, to: made, stat, names, named: true })
    }

    /// Copies a regular file, replacing what is there.
    fn file(&mut self, handle: &OwnedFd, stat: &Stat, to: BorrowedFd<'_>, target: &CStr) -> Outcome<()> {
        // The handle is of a regular file, so this cannot block; through it, what was looked at is what is read.
        let from = rfs::open(format!("/proc/self/fd/{}", handle.as_raw_fd()), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(self.failed("open"))?;
        if mounted::is_mount_point(to, target).map_err(self.failed("look up"))? {
            return self.in_place(&from, to, target);
        }
        let made = beside::file(to, target, &mut self.swept).map_err(self.failed("create"))?;
        let size = self.fill(&from, made.fd(), stat)?;
        match made.settle() {
            Ok(()) => self.done.bytes += size,
            // Mounted meanwhile.
            Err(Errno::BUSY) => return self.in_place(&from, to, target),
            Err(errno) => return Err(self.failed("create")(errno)),
        }
        Ok(())
    }

    /// Writes into what is mounted there (/etc/hosts, a file of the host). Whose it is and what it may stays: others made
    /// it so, for its uses elsewhere too.
    fn in_place(&mut self, from: &OwnedFd, to: BorrowedFd<'_>, target: &CStr) -> Outcome<()> {
        let there = mounted::open_in_place(to, target).map_err(self.failed("overwrite the mount point"))?;
        let same = |a: Stat, b: Stat| (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        if same(rfs::fstat(from).map_err(self.failed("stat"))?, rfs::fstat(&there).map_err(self.failed("stat"))?) {
            return Ok(());
        }
        rfs::ftruncate(&there, 0).map_err(self.failed("overwrite"))?;
        self.done.bytes += copy_file(from.as_fd(), there.as_fd()).map_err(|source| CopyError {
            path: self.path.clone(),
            action: "copy",
            source,
        })?;
        Ok(())
    }

    /// Gives a file that was made for it the content and attributes of another.
    fn fill(&self, from: &OwnedFd, made: BorrowedFd<'_>, stat: &Stat) -> Outcome<u64> {
        let size = copy_file(from.as_fd(), made).map_err(|source| CopyError {
            path: self.path.clone(),
            action: "copy",
            source,
        })?;
        self.give(from.as_fd(), made.as_fd(), stat, self.mode(stat))?;
        self.attributes(from.as_fd(), made.as_fd())?;
        rfs::futimens(made, &times(stat)).map_err(self.failed("set times of"))?;
        Ok(size)
    }

    /// Owner and mode of an open file or directory.
    fn give(&self, from: BorrowedFd<'_>, made: BorrowedFd<'_>, stat: &Stat, mode: Mode) -> Outcome<()> {
        if let (Some(records), Some(owner)) = (self.records, self.owner_for(stat)) {
            return records.give(made, from, owner, mode.as_raw_mode()).map_err(self.failed("record the owner of"));
        }
        self.owner_of(stat, |uid, gid| rfs::fchown(made, uid, gid))?;
        self.unless_foreign(rfs::fchmod(made, mode), "change mode of")
    }

    /// Extended attributes; records of owners are each file's own.
    fn attributes(&self, from: BorrowedFd<'_>, made: BorrowedFd<'_>) -> Outcome<()> {
        let kept = |name: &CStr| !self.records.is_some_and(|records| records.is_record(name.to_bytes()));
        copy_attributes(from, made, &kept).map_err(self.failed("copy attributes of"))
    }

    /// Gives what was made its attributes, then its name.
    fn settle(&self, stat: &Stat, to: BorrowedFd<'_>, target: &CStr, mut made: Beside<'_>) -> Outcome<()> {
        self.attributes_at(stat, to, made.name())?;
        made.settle().map_err(|errno| match errno {
            Errno::BUSY => self.failed("overwrite the mount point")(errno),
            _ => self.failed("create")(errno),
        })?;
        self.record_at(stat, to, target)
    }

    fn record_at(&self, stat: &Stat, to: BorrowedFd<'_>, target: &CStr) -> Outcome<()> {
        match (self.records, self.owner_for(stat)) {
            (Some(records), Some(owner)) => records.give_at(to, target, owner).map_err(self.failed("record the owner of")),
            _ => Ok(()),
        }
    }

    /// Links to an object already copied; false when this is the first of its links.
    fn link(&mut self, stat: &Stat, to: BorrowedFd<'_>, target: &CStr) -> Outcome<bool> {
        let Some((first, inode)) = self.links.get(&(stat.st_dev, stat.st_ino)) else { return Ok(false) };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let Ok(handle) = rfs::openat2(self.top, first, flags, Mode::empty(), resolve) else { return Ok(false) };
        if !rfs::fstat(&handle).is_ok_and(|made| made.st_ino == *inode) {
            return Ok(false);
        }
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        let make = |name: &CStr| rfs::linkat(rfs::CWD, &path, to, name, AtFlags::SYMLINK_FOLLOW);
        match beside::make(to, target, make).and_then(|(_, mut made)| made.settle()) {
            Ok(()) => {
                self.done.objects += 1;
                Ok(true)
            }
            // Other mount below the target, no links there, too many: a copy of its own does.
            Err(_) => Ok(false),
        }
    }

    fn directory_attributes(&mut self, level: &Level) -> Outcome<()> {
        let (made, stat) = (&level.to, &level.stat);
        self.give(level.from.as_fd(), made.as_fd(), stat, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
        self.attributes(level.from.as_fd(), made.as_fd())?;
        rfs::futimens(made, &times(stat)).map_err(self.failed("set times of"))
    }

    /// Attributes of what cannot be opened without effect: links, fifos, devices.
    fn attributes_at(&self, stat: &Stat, to: BorrowedFd<'_>, target: &CStr) -> Outcome<()> {
        let handle = rfs::openat(to, target, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .map_err(self.failed("open"))?;
        let kind = |stat: &Stat| FileType::from_raw_mode(stat.st_mode);
        // Somebody put something else there: not ours to change.
        if !rfs::fstat(&handle).is_ok_and(|made| kind(&made) == kind(stat)) {
            return Err(self.failed("replaced meanwhile")(Errno::EXIST));
        }
        if self.records.is_none() {
            self.owner_of(stat, |uid, gid| rfs::chownat(&handle, c"", uid, gid, AtFlags::EMPTY_PATH))?;
        }
        if kind(stat) != FileType::Symlink {
            let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
            rfs::chmod(&path, self.mode(stat)).map_err(self.failed("change mode of"))?;
        }
        match rfs::utimensat(&handle, c"", &times(stat), AtFlags::EMPTY_PATH) {
            // AT_EMPTY_PATH of utimensat(2) is Linux 5.8.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(errno) => Err(self.failed("set times of")(errno)),
        }
    }

    /// The mode of what is not a directory.
    fn mode(&self, stat: &Stat) -> Mode {
        let mut mode = stat.st_mode & 0o7777;
        match self.owner_for(stat) {
            None => mode &= 0o1777,
            // As chown(2) does: to lend the rights of the old owner is no wish to lend those of the new one.
            Some((uid, gid)) => {
                mode &= if uid == stat.st_uid { 0o7777 } else { 0o3777 };
                mode &= if gid == stat.st_gid { 0o7777 } else { 0o5777 };
            }
        }
        Mode::from_raw_mode(mode)
    }

    /// Whose a copy will be, by the numbers of the source; none when it stays its maker's.
    fn owner_for(&self, stat: &Stat) -> Option<(u32, u32)> {
        match self.owner {
            Owner::Caller => None,
            Owner::Set { uid, gid } => Some((uid, gid)),
            Owner::Keep { uid, gid } => Some((
                if stat.st_uid == OVERFLOW_ID { uid } else { stat.st_uid },
                if stat.st_gid == OVERFLOW_ID { gid } else { stat.st_gid },
            )),
        }
    }

    fn owner_of(
        &self,
        stat: &Stat,
        change: impl FnOnce(Option<rfs::Uid>, Option<rfs::Gid>) -> Result<(), Errno>,
    ) -> Outcome<()> {
        let Some((uid, gid)) = self.owner_for(stat) else { return Ok(()) };
        let (uid, gid) = match self.translate {
            Some(translate) if matches!(self.owner, Owner::Keep { .. }) => translate(uid, gid),
            _ => (uid, gid),
        };
        change(Some(rfs::Uid::from_raw(uid)), Some(rfs::Gid::from_raw(gid))).map_err(self.failed("change owner of"))
    }

    /// What a file system without modes refuses is no reason to keep somebody from his files.
    fn unless_foreign(&self, result: Result<(), Errno>, action: &'static str) -> Outcome<()> {
        match result {
            Err(Errno::PERM | Errno::OPNOTSUPP) if self.owner == Owner::Caller => Ok(()),
            other => other.map_err(self.failed(action)),
        }
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(Errno) -> CopyError + use<> {
        let path = self.path.clone();
        move |errno| CopyError { path, action, source: errno.into() }
    }
}

/// How the kernel shows an id that is not mapped (/proc/sys/fs/overflowuid).
const OVERFLOW_ID: u32 = 65534;

/// A directory opened for reading from any descriptor of it.
fn reopen(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    rfs::openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn names(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

/// Makes something new under a name, unlinking what is in its place. A directory there is ISDIR.
pub fn replacing<T>(dir: BorrowedFd<'_>, name: &CStr, make: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
    for _ in 0..16 {
        match make() {
            Err(Errno::EXIST) => match rfs::unlinkat(dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::PERM) if is_dir(dir, name) => return Err(Errno::ISDIR),
                Err(errno) => return Err(errno),
            },
            other => return other,
        }
    }
    Err(Errno::EXIST)
}

fn is_dir(dir: BorrowedFd<'_>, name: &CStr) -> bool {
    rfs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds: i64, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanos).unwrap_or(0) };
    Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    }
}

/// Copies the attributes users and file capabilities have, if `kept` says so; the overlay's own and labels stay behind. A
/// file system without attributes is no error.
pub fn copy_attributes(from: BorrowedFd<'_>, to: BorrowedFd<'_>, kept: &dyn Fn(&CStr) -> bool) -> Result<(), Errno> {
    for (name, value) in attributes(from)?.into_iter().filter(|(name, _)| kept(name)) {
        match rfs::fsetxattr(to, &*name, &value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM | Errno::NODATA) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// The attributes [`copy_attributes`] copies, sorted by name.
pub fn attributes(from: impl AsFd) -> Result<Vec<(CString, Vec<u8>)>, Errno> {
    let from = from.as_fd();
    let mut list: Vec<u8> = Vec::with_capacity(1024);
    loop {
        match rfs::flistxattr(from, rustix::buffer::spare_capacity(&mut list)) {
            Ok(_) => break,
            Err(Errno::RANGE) if list.capacity() < MAX_ATTRIBUTE => list.reserve(MAX_ATTRIBUTE),
            Err(Errno::OPNOTSUPP | Errno::RANGE | Errno::NOSYS | Errno::PERM) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        }
    }
    let mut found = Vec::new();
    for name in list.split_inclusive(|&byte| byte == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        if !wanted(name.to_bytes()) {
            continue;
        }
        let mut value: Vec<u8> = Vec::with_capacity(4096);
        let read = match rfs::fgetxattr(from, name, rustix::buffer::spare_capacity(&mut value)) {
            Err(Errno::RANGE) => {
                value.reserve(MAX_ATTRIBUTE);
                rfs::fgetxattr(from, name, rustix::buffer::spare_capacity(&mut value))
            }
            other => other,
        };
        if read.is_ok() {
            found.push((name.to_owned(), value));
        }
    }
    found.sort();
    Ok(found)
}

fn wanted(name: &[u8]) -> bool {
    let own = name.starts_with(b"user.overlay.") || name.starts_with(b"user.fuseoverlayfs.");
    (name.starts_with(b"user.") && !own) || name == b"security.capability" || name.starts_with(b"system.posix_acl_")
}

/// The last name of a path as the system calls take it; none for `/` and `..`.
pub fn last_name(path: &Path) -> Option<CString> {
    CString::new(path.file_name()?.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("kelp-copytree-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(path.join("from")).unwrap();
        fs::create_dir_all(path.join("to")).unwrap();
        path
    }

    fn copy(path: &Path) -> Outcome<Copied> {
        let (from, to) = (File::open(path.join("from")).unwrap(), File::open(path.join("to")).unwrap());
        let mut copy = TreeCopy::new(to.as_fd(), Owner::Caller);
        copy.contents(from.as_fd(), true)?;
        Ok(copy.finish())
    }

    #[test]
    fn keeps_modes_times_links_and_hard_links() {
        let path = scratch("keep");
        let from = path.join("from");
        fs::create_dir_all(from.join("d/e")).unwrap();
        fs::write(from.join("d/file"), "text").unwrap();
        fs::hard_link(from.join("d/file"), from.join("d/e/again")).unwrap();
        fs::write(from.join("su"), "x").unwrap();
        fs::set_permissions(from.join("su"), PermissionsExt::from_mode(0o4755)).unwrap();
        symlink("/nowhere", from.join("link")).unwrap();
        rfs::mknodat(rfs::CWD, from.join("fifo"), FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
        fs::set_permissions(from.join("d/e"), PermissionsExt::from_mode(0o750)).unwrap();
        fs::set_permissions(&from, PermissionsExt::from_mode(0o711)).unwrap();
        let done = copy(&path).unwrap();
        let to = path.join("to");
        assert_eq!((done.objects, done.bytes), (7, 5));
        assert_eq!(fs::read(to.join("d/e/again")).unwrap(), b"text");
        assert_eq!(fs::metadata(to.join("d/file")).unwrap().ino(), fs::metadata(to.join("d/e/again")).unwrap().ino());
        assert_eq!(fs::metadata(to.join("su")).unwrap().mode() & 0o7777, 0o755);
        assert_eq!(fs::metadata(to.join("d/e")).unwrap().mode() & 0o7777, 0o750);
        assert_eq!(fs::metadata(&to).unwrap().mode() & 0o7777, 0o711);
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/nowhere"));
        let time = |path: &Path| fs::symlink_metadata(path).unwrap().modified().unwrap();
        for name in ["d", "d/file", "link", "fifo"] {
            assert_eq!(time(&from.join(name)), time(&to.join(name)), "{name}");
        }
        fs::remove_dir_all(&path).unwrap();
    }

    #[test]
    fn replaces_files_and_links_but_follows_none() {
        let path = scratch("replace");
        fs::write(path.join("canary"), "alive").unwrap();
        fs::write(path.join("from/a"), "new").unwrap();
        fs::create_dir(path.join("from/b")).unwrap();
        symlink("../canary", path.join("to/a")).unwrap();
        copy(&path).unwrap();
        assert_eq!(fs::read(path.join("canary")).unwrap(), b"alive");
        assert_eq!(fs::read(path.join("to/a")).unwrap(), b"new");
        fs::remove_dir(path.join("to/b")).unwrap();
        symlink("..", path.join("to/b")).unwrap();
        fs::write(path.join("from/b/canary"), "dead").unwrap();
        assert_eq!(copy(&path).unwrap_err().action, "overwrite non-directory with directory");
        assert_eq!(fs::read(path.join("canary")).unwrap(), b"alive");
        fs::remove_dir_all(path.join("from/b")).unwrap();
        fs::create_dir(path.join("to/c")).unwrap();
        fs::write(path.join("from/c"), "x").unwrap();
        assert_eq!(copy(&path).unwrap_err().source.raw_os_error(), Some(libc::EISDIR));
        fs::remove_dir_all(&path).unwrap();
    }
}
