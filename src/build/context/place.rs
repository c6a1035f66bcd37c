//! Putting files into a root file system, by docker's rules for `COPY`.
//!
//! Where: a destination that ends in `/` or is a directory takes files under their names; of a directory what is in it is
//! copied; everything missing on the way is made, 0755, owned as the copy. What: files and links are replaced, never
//! written through; directories are merged, also through links of the image (`/lib` → `usr/lib`), which are followed
//! inside its root. The root is an attacker's: all by descriptor. Runs as root of the user's namespace.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;

use crate::sys::copy::copy_file;
use crate::sys::copy_tree::{copy_attributes, replacing};
use crate::sys::root;
use crate::userns::owner::{Giving, Owner, is_record};

use super::find::{Item, Parents, Pick, Selection};
use super::mode::Change;
use super::tree::{Entry, Visitor, Walk};
use super::{ContextError, path};

/// Where and how files are put.
#[derive(Debug, Clone)]
pub struct Placement<'a> {
    /// As written.
    pub dest: &'a str,
    /// What `dest` is relative to.
    pub workdir: &'a str,
    /// `--chown`, looked up; none keeps owners from a stage (`keep_owners`), and is root otherwise.
    pub chown: Option<(u32, u32)>,
    /// `--chmod`.
    pub chmod: Option<&'a Change>,
    /// Owners and extended attributes stay as they are: files of a stage or an image.
    pub keep_owners: bool,
}

/// What was put.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Placed {
    /// Files, directories, links.
    pub objects: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Sockets and devices, left out.
    pub skipped: Vec<PathBuf>,
}

/// Copies a selection into `root`.
///
/// # Errors
/// A destination that does not fit, and what the file systems say.
pub fn copy_into(root: BorrowedFd<'_>, selection: &Selection<'_>, how: &Placement<'_>) -> Result<Placed, ContextError> {
    let (dest, mut slash) = destination(how);
    let many = selection.items.len() > 1 && selection.items.iter().any(|item| !is_dir_item(item));
    let mut work = Work::new(root, how);
    if many && !slash && !work.is_dir(&dest) {
        return Err(ContextError::Destination {
            path: how.dest.to_owned(),
            reason: "with more than one source it must be a directory and end with a /".to_owned(),
        });
    }
    // Several sources make it a directory even when all of them are empty.
    slash |= many;
    if slash {
        work.ensure(&dest)?;
    }
    for item in &selection.items {
        match item {
            Item::Inline { name, data } => work.inline(&dest, name, data)?,
            Item::Pick(pick) => {
                work.source = path::join(selection.tree.name(), &pick.real);
                match &pick.parents {
                    Some(parents) => work.with_parents(selection, pick, parents, &dest)?,
                    None if pick.dir => work.contents(selection, pick, &dest)?,
                    None => work.single(selection, pick, &dest)?,
                }
            }
        }
    }
    Ok(work.done)
}

/// Makes the destination a directory, with all above it that are missing, and opens it. A link that leads to nothing yet is
/// followed.
///
/// # Errors
/// As [`copy_into`].
pub fn directory_at(root: BorrowedFd<'_>, how: &Placement<'_>) -> Result<OwnedFd, ContextError> {
    let work = Work::new(root, how);
    work.ensure(&destination(how).0)
}

fn is_dir_item(item: &Item) -> bool {
    matches!(item, Item::Pick(pick) if pick.dir && pick.parents.is_none())
}

/// The destination below the root, and whether it must be a directory.
fn destination(how: &Placement<'_>) -> (String, bool) {
    let dest = how.dest;
    let slash = dest.is_empty() || dest.ends_with('/') || matches!(dest, "." | "..") || dest.ends_with("/.") || dest.ends_with("/..");
    let full = if dest.starts_with('/') { dest.to_owned() } else { format!("{}/{dest}", how.workdir) };
    (path::below_root(&full), slash)
}

struct Work<'a> {
    root: BorrowedFd<'a>,
    how: &'a Placement<'a>,
    giving: Giving,
    /// Copies of files with several links: inode → place below the root.
    links: HashMap<(u64, u64), String>,
    done: Placed,
    /// Directories being filled.
    stack: Vec<Filling>,
    /// The name a walk gives the object it begins at; empty when only what is in it counts.
    base: String,
    /// What is copied, for messages.
    source: String,
}

/// A directory being filled.
struct Filling {
    fd: OwnedFd,
    /// Below the root.
    path: String,
    /// What it gets when it is full; nothing when it was there and stays as it is.
    then: Option<(Owner, Timestamps)>,
    attributes: Option<OwnedFd>,
}

/// Links followed on the way to one destination, as many as the kernel follows.
const MAX_LINKS: usize = 40;

const OPEN_DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl<'a> Work<'a> {
    fn new(root: BorrowedFd<'a>, how: &'a Placement<'a>) -> Self {
        Self {
            root,
            how,
            giving: Giving::here(),
            links: HashMap::new(),
            done: Placed::default(),
            stack: Vec::new(),
            base: String::new(),
            source: String::new(),
        }
    }
}

impl Work<'_> {
    fn failed<E: Into<std::io::Error>>(&self, action: &'static str, at: &str) -> impl FnOnce(E) -> ContextError + use<E> {
        ContextError::io(action, format!("/{at} in the image"))
    }

    fn is_dir(&self, at: &str) -> bool {
        root::open(self.root, Path::new(at), OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }

    /// Owner of what is in no source, with its mode.
    fn owner(&self, mode: u32) -> Owner {
        let (uid, gid) = self.how.chown.unwrap_or((0, 0));
        Owner { uid, gid, mode, rdev: 0 }
    }

    fn give(&self, fd: impl AsFd, owner: Owner, at: &str) -> Result<(), ContextError> {
        self.giving.give(fd, owner).map_err(self.failed("set owner and mode of", at))
    }

    /// Makes a directory and all above it that are missing; links are followed inside the root, also to what is not there
    /// yet.
    fn ensure(&self, at: &str) -> Result<OwnedFd, ContextError> {
        self.ensure_below(at, MAX_LINKS)
    }

    fn ensure_below(&self, at: &str, links: usize) -> Result<OwnedFd, ContextError> {
        let mut dir = root::open(self.root, Path::new("."), OPEN_DIR).map_err(self.failed("open", ""))?;
        let mut walked = String::new();
        for part in at.split('/').filter(|part| !part.is_empty()) {
            walked = path::join(&walked, part);
            let open = || root::open(self.root, Path::new(&walked), OPEN_DIR);
            dir = match open() {
                Ok(fd) => fd,
                Err(Errno::NOENT) => {
                    let name = CString::new(part).map_err(|_| self.failed("create directory", &walked)(Errno::INVAL))?;
                    match rfs::mkdirat(&dir, &name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => {
                            let flags = OPEN_DIR | OFlags::NOFOLLOW;
                            let made = rfs::openat(&dir, &name, flags, Mode::empty()).map_err(self.failed("open", &walked))?;
                            self.give(&made, self.owner(0o755), &walked)?;
                            made
                        }
                        // A link that leads nowhere so far.
                        Err(Errno::EXIST) => match open() {
                            Ok(fd) => fd,
                            Err(_) if links > 0 => self.ensure_below(&self.follow(&walked)?, links - 1)?,
                            Err(errno) => return Err(self.failed("follow link", &walked)(errno)),
                        },
                        Err(errno) => return Err(self.failed("create directory", &walked)(errno)),
                    }
                }
                Err(Errno::NOTDIR) => {
                    return Err(ContextError::Destination { path: format!("/{walked}"), reason: "it is not a directory".to_owned() });
                }
                Err(errno) => return Err(self.failed("open", &walked)(errno)),
            };
        }
        Ok(dir)
    }

    /// What a destination stands for: a link of the image is followed inside its root, also to what is not there yet.
    fn follow(&self, dest: &str) -> Result<String, ContextError> {
        let mut at = dest.to_owned();
        for _ in 0..MAX_LINKS {
            let Ok(handle) = root::open(self.root, Path::new(&at), OFlags::PATH | OFlags::NOFOLLOW) else { return Ok(at) };
            let stat = rfs::fstat(&handle).map_err(self.failed("stat", &at))?;
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                return Ok(at);
            }
            let link = rfs::readlinkat(&handle, c"", Vec::new()).map_err(self.failed("read link", &at))?;
            let link = link.to_str().map_err(|_| self.failed("follow link", &at)(Errno::ILSEQ))?.trim_end_matches('/');
            at = match at.rsplit_once('/') {
                Some((dir, _)) if !link.starts_with('/') => format!("{dir}/{link}"),
                _ => link.trim_start_matches('/').to_owned(),
            };
        }
        Err(self.failed("follow link", dest)(Errno::LOOP))
    }

    /// One object: under its name in a directory, else as the destination.
    fn single(&mut self, selection: &Selection<'_>, pick: &Pick, dest: &str) -> Result<(), ContextError> {
        let target = if self.is_dir(dest) { path::join(dest, &pick.name) } else { self.follow(dest)? };
        let (dir, name) = target.rsplit_once('/').unwrap_or(("", &target));
        let fd = self.ensure(dir)?;
        self.walk(selection, pick, "", Filling { fd, path: dir.to_owned(), then: None, attributes: None }, name)
    }

    /// What is in a directory.
    fn contents(&mut self, selection: &Selection<'_>, pick: &Pick, dest: &str) -> Result<(), ContextError> {
        let fd = self.ensure(dest)?;
        self.walk(selection, pick, "", Filling { fd, path: dest.to_owned(), then: None, attributes: None }, "")
    }

    /// An object with the directories above it, as they are in the source.
    fn with_parents(&mut self, selection: &Selection<'_>, pick: &Pick, parents: &Parents, dest: &str) -> Result<(), ContextError> {
        if parents.path.is_empty() {
            return self.contents(selection, pick, dest);
        }
        let fd = self.ensure(dest)?;
        let mut at = Filling { fd, path: dest.to_owned(), then: None, attributes: None };
        let (above, name) = parents.path.rsplit_once('/').unwrap_or(("", &parents.path));
        let mut real = parents.base.clone();
        for part in above.split('/').filter(|part| !part.is_empty()) {
            real = path::join(&real, part);
            let handle = selection.tree.open(Path::new(&real)).map_err(ContextError::io("open", &real))?;
            let stat = rfs::fstat(&handle).map_err(ContextError::io("stat", &real))?;
            let name = CString::new(part).map_err(|_| self.failed("create directory", part)(Errno::INVAL))?;
            let owner = selection.tree.owner(&handle, c".", &handle, &stat);
            let entry = Entry { path: Path::new(part), stat: &stat, owner, handle: handle.as_fd(), name: &name };
            let next = self.directory(&entry, at.fd.as_fd(), &path::join(&at.path, part), &name)?;
            // Nothing comes back to it: what it gets, it gets now. Its time is set again by what is put into it.
            self.finish(&next)?;
            at = next;
        }
        self.walk(selection, pick, &parents.path, at, name)
    }

    /// Walks a pick. With a name it is put under that name, without it what is in it is put into `into`.
    fn walk(&mut self, selection: &Selection<'_>, pick: &Pick, base: &str, into: Filling, name: &str) -> Result<(), ContextError> {
        self.base = name.to_owned();
        self.stack = vec![into];
        let walk = Walk { tree: selection.tree, from: &pick.real, exclude: &selection.exclude, base };
        let result = walk.run(self);
        self.stack.clear();
        result
    }

    /// Makes or enters a directory.
    fn directory(&mut self, entry: &Entry<'_>, dir: BorrowedFd<'_>, at: &str, name: &CStr) -> Result<Filling, ContextError> {
        let made = match rfs::mkdirat(dir, name, Mode::RWXU) {
            Ok(()) => {
                self.done.objects += 1;
                true
            }
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(self.failed("create directory", at)(errno)),
        };
        let (fd, linked) = match rfs::openat(dir, name, OPEN_DIR | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(fd) => (fd, false),
            // A link of the image: followed inside its root, to a directory or not at all.
            Err(Errno::LOOP | Errno::NOTDIR) if !made => match root::open(self.root, Path::new(at), OPEN_DIR) {
                Ok(fd) => (fd, true),
                Err(_) => {
                    let reason = "cannot copy a directory to what is not a directory".to_owned();
                    return Err(ContextError::Destination { path: format!("/{at}"), reason });
                }
            },
            Err(errno) => return Err(self.failed("open", at)(errno)),
        };
        let then = (!linked).then(|| (self.owner_of(entry), times(entry)));
        let attributes = if self.how.keep_owners && then.is_some() {
            rfs::openat2(entry.handle, c".", OPEN_DIR, Mode::empty(), ResolveFlags::BENEATH).ok()
        } else {
            None
        };
        Ok(Filling { fd, path: at.to_owned(), then, attributes })
    }

    /// Gives a directory what it gets when it is full.
    fn finish(&self, full: &Filling) -> Result<(), ContextError> {
        let Some((owner, times)) = &full.then else { return Ok(()) };
        let (fd, at) = (full.fd.as_fd(), &full.path);
        self.give(fd, *owner, at)?;
        if let Some(from) = &full.attributes {
            copy_attributes(from.as_fd(), fd, &kept).map_err(self.failed("copy attributes to", at))?;
        }
        rfs::futimens(fd, times).map_err(self.failed("set times of", at))
    }

    /// Whose a copy is, with the mode it gets.
    fn owner_of(&self, entry: &Entry<'_>) -> Owner {
        let mode = entry.owner.mode & 0o7777;
        let mode = self.how.chmod.map_or(mode, |change| change.apply(mode, entry.kind() == FileType::Directory));
        match self.how.chown {
            None if self.how.keep_owners => Owner { mode: entry.owner.mode & !0o7777 | mode, ..entry.owner },
            Some((uid, gid)) => Owner { uid, gid, mode: entry.owner.mode & !0o7777 | mode, ..entry.owner },
            None => Owner { uid: 0, gid: 0, mode, rdev: 0 },
        }
    }

    fn inline(&mut self, dest: &str, name: &str, data: &[u8]) -> Result<(), ContextError> {
        let target = if self.is_dir(dest) { path::join(dest, &path::below_root(name)) } else { self.follow(dest)? };
        let (dir, name) = target.rsplit_once('/').unwrap_or(("", &target));
        let dir = self.ensure(dir)?;
        let name = CString::new(name).map_err(|_| self.failed("create", &target)(Errno::INVAL))?;
        let mut file = std::fs::File::from(self.create(dir.as_fd(), &name, &target)?);
        std::io::Write::write_all(&mut file, data).map_err(self.failed("write", &target))?;
        let mode = self.how.chmod.map_or(0o644, |change| change.apply(0o644, false));
        self.give(&file, self.owner(mode), &target)?;
        self.done.objects += 1;
        self.done.bytes += data.len() as u64;
        Ok(())
    }

    /// A new regular file, in place of whatever file or link is there.
    fn create(&self, dir: BorrowedFd<'_>, name: &CStr, at: &str) -> Result<OwnedFd, ContextError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        replacing(dir, name, || rfs::openat(dir, name, flags, Mode::from_raw_mode(0o600))).map_err(|errno| self.blocked(errno, "create", at))
    }

    fn blocked(&self, errno: Errno, action: &'static str, at: &str) -> ContextError {
        if errno == Errno::ISDIR {
            return ContextError::Destination { path: format!("/{at}"), reason: "cannot replace a directory with a file".to_owned() };
        }
        self.failed(action, at)(errno)
    }

    /// Links to a copy made before; false when there is none.
    fn hard_link(&self, entry: &Entry<'_>, dir: BorrowedFd<'_>, name: &CStr) -> bool {
        let Some(first) = self.links.get(&(entry.stat.st_dev, entry.stat.st_ino)) else { return false };
        let Ok(handle) = root::open(self.root, Path::new(first), OFlags::PATH | OFlags::NOFOLLOW) else { return false };
        let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
        replacing(dir, name, || rfs::linkat(rfs::CWD, &path, dir, name, AtFlags::SYMLINK_FOLLOW)).is_ok()
    }

    fn regular(&mut self, entry: &Entry<'_>, dir: BorrowedFd<'_>, name: &CStr, at: &str) -> Result<(), ContextError> {
        let from = entry.read().map_err(ContextError::io("read", Path::new(&self.source).join(entry.path)))?;
        let made = self.create(dir, name, at)?;
        self.done.bytes += copy_file(from.as_fd(), made.as_fd()).map_err(self.failed("write", at))?;
        self.give(&made, self.owner_of(entry), at)?;
        if self.how.keep_owners {
            copy_attributes(from.as_fd(), made.as_fd(), &kept).map_err(self.failed("copy attributes to", at))?;
        }
        rfs::futimens(&made, &times(entry)).map_err(self.failed("set times of", at))
    }

    /// Owner, mode and times of what cannot be opened without effect.
    fn attributes_at(&self, entry: &Entry<'_>, dir: BorrowedFd<'_>, name: &CStr, at: &str) -> Result<(), ContextError> {
        let owner = self.owner_of(entry);
        self.giving.give_at(dir, name.to_bytes(), (owner.uid, owner.gid)).map_err(self.failed("change owner of", at))?;
        if entry.kind() != FileType::Symlink {
            let handle = rfs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty());
            let handle = handle.map_err(self.failed("open", at))?;
            let mode = Mode::from_raw_mode(owner.mode & 0o7777);
            rfs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), mode).map_err(self.failed("change mode of", at))?;
        }
        rfs::utimensat(dir, name, &times(entry), AtFlags::SYMLINK_NOFOLLOW).map_err(self.failed("set times of", at))
    }
}

/// Whether an attribute is copied: a copy has its own record of its owner.
fn kept(attribute: &CStr) -> bool {
    !is_record(attribute.to_bytes())
}

fn times(entry: &Entry<'_>) -> Timestamps {
    let time = Timespec { tv_sec: entry.stat.st_mtime, tv_nsec: i64::try_from(entry.stat.st_mtime_nsec).unwrap_or(0) };
    Timestamps { last_access: time, last_modification: time }
}

impl Visitor for Work<'_> {
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), ContextError> {
        let Some(into) = self.stack.last() else { return Ok(()) };
        let top = entry.path.as_os_str().is_empty();
        if top && self.base.is_empty() {
            // What is in it goes where we are: the same directory once more.
            let fd = into.fd.try_clone().map_err(self.failed("open", &into.path))?;
            let again = Filling { fd, path: into.path.clone(), then: None, attributes: None };
            self.stack.push(again);
            return Ok(());
        }
        let name = if top { CString::new(self.base.as_str()).map_err(|_| self.failed("create", &self.base)(Errno::INVAL))? } else { entry.name.to_owned() };
        let at = path::join(&into.path, &name.to_string_lossy());
        let dir = into.fd.try_clone().map_err(self.failed("open", &into.path))?;
        let next = self.directory(entry, dir.as_fd(), &at, &name)?;
        self.stack.push(next);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), ContextError> {
        match self.stack.pop() {
            Some(full) => self.finish(&full),
            None => Ok(()),
        }
    }

    fn object(&mut self, entry: &Entry<'_>) -> Result<(), ContextError> {
        let Some(into) = self.stack.last() else { return Ok(()) };
        let top = entry.path.as_os_str().is_empty();
        let name = if top { CString::new(self.base.as_str()).map_err(|_| self.failed("create", &self.base)(Errno::INVAL))? } else { entry.name.to_owned() };
        let at = path::join(&into.path, &name.to_string_lossy());
        let dir = into.fd.try_clone().map_err(self.failed("open", &into.path))?;
        let dir = dir.as_fd();
        let several = entry.stat.st_nlink > 1;
        if several && self.hard_link(entry, dir, &name) {
            if entry.kind() != FileType::RegularFile {
                // Of links each name has its own record.
                let owner = self.owner_of(entry);
                self.giving.give_at(dir, name.to_bytes(), (owner.uid, owner.gid)).map_err(self.failed("change owner of", &at))?;
            }
            self.done.objects += 1;
            return Ok(());
        }
        match entry.kind() {
            FileType::RegularFile => self.regular(entry, dir, &name, &at)?,
            FileType::Symlink => {
                let target = entry.link().map_err(ContextError::io("read link", Path::new(&self.source).join(entry.path)))?;
                replacing(dir, &name, || rfs::symlinkat(&*target, dir, &name)).map_err(|errno| self.blocked(errno, "create link", &at))?;
                self.attributes_at(entry, dir, &name, &at)?;
            }
            FileType::Fifo => {
                let make = || rfs::mknodat(dir, &name, FileType::Fifo, Mode::from_raw_mode(0o600), 0);
                replacing(dir, &name, make).map_err(|errno| self.blocked(errno, "create pipe", &at))?;
                self.attributes_at(entry, dir, &name, &at)?;
            }
            _ => {
                self.done.skipped.push(Path::new(&self.source).join(entry.path));
                return Ok(());
            }
        }
        self.done.objects += 1;
        if several {
            self.links.insert((entry.stat.st_dev, entry.stat.st_ino), at);
        }
        Ok(())
    }
}
