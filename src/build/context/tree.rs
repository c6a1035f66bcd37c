//! A directory nobody trusts, and walking it by descriptor with the ignore rules applied.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self as rfs, AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

use crate::sys::root;
use crate::userns::owner::{self, Owner};

use super::ContextError;
use super::ignore::{Ignore, Matched, Verdict};
use super::path;

/// Nesting beyond this is refused: each level costs a descriptor on either side.
const MAX_DEPTH: usize = 400;

/// The root of files to copy from.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    /// Where it is, for messages and for telling links' targets.
    real: PathBuf,
    /// What messages call it.
    name: String,
    ignore: Ignore,
    ignore_file: String,
    /// Owners may be recorded beside the data.
    recorded: bool,
}

impl Tree {
    /// A context: the directory at `dir`, with the rules of its ignore file.
    ///
    /// # Errors
    /// When it is no directory that can be opened.
    pub fn context(dir: &Path, ignore: Ignore, ignore_file: &str) -> Result<Self, ContextError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rfs::open(dir, flags, Mode::empty()).map_err(ContextError::io("open build context", dir))?;
        Self::new(fd, "the build context", ignore, ignore_file)
    }

    /// Any root: the files of a stage or an image. `name` is what messages call it.
    ///
    /// # Errors
    /// When the descriptor cannot be used.
    pub fn files(fd: BorrowedFd<'_>, name: &str) -> Result<Self, ContextError> {
        let fd = fd.try_clone_to_owned().map_err(ContextError::io("open", name))?;
        Self::new(fd, name, Ignore::default(), "")
    }

    fn new(root: OwnedFd, name: &str, ignore: Ignore, ignore_file: &str) -> Result<Self, ContextError> {
        let real = place_of(root.as_fd()).map_err(ContextError::io("find", name))?;
        Ok(Self { root, real, name: name.to_owned(), ignore, ignore_file: ignore_file.to_owned(), recorded: false })
    }

    /// Owners count as recorded, where they are.
    #[must_use]
    pub fn recorded(self, recorded: bool) -> Self {
        Self { recorded, ..self }
    }

    /// What an object counts as. `dir` is where it is: owners of links are recorded there.
    pub(super) fn owner(&self, dir: impl AsFd, name: &CStr, handle: impl AsFd, stat: &Stat) -> Owner {
        match FileType::from_raw_mode(stat.st_mode) {
            _ if !self.recorded => Owner::of(stat),
            FileType::RegularFile | FileType::Directory => owner::effective(handle, stat),
            _ => owner::effective_at(dir, name.to_bytes(), stat),
        }
    }

    /// What messages call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rules for what is not there.
    pub fn ignore(&self) -> &Ignore {
        &self.ignore
    }

    pub(super) fn ignore_file(&self) -> &str {
        &self.ignore_file
    }

    /// The object at a path (relative to the root), links followed inside the root: its handle (O_PATH) and where it
    /// really is.
    pub(super) fn resolve(&self, at: &str) -> Result<(OwnedFd, String), Errno> {
        let handle = root::open(self.root.as_fd(), Path::new(at), OFlags::PATH)?;
        let real = place_of(handle.as_fd())?;
        // Outside only when it was moved meanwhile.
        let below = real.strip_prefix(&self.real).map_err(|_| Errno::XDEV)?;
        Ok((handle, below.to_str().map_or_else(|| below.to_string_lossy().into_owned(), str::to_owned)))
    }

    /// The object at a real path: no link is followed.
    pub(crate) fn open(&self, at: &Path) -> Result<OwnedFd, Errno> {
        let at = if at.as_os_str().is_empty() { Path::new(".") } else { at };
        root::open_no_links(self.root.as_fd(), at, OFlags::PATH | OFlags::NOFOLLOW)
    }

    /// What the ignore rules know of a real path.
    pub(super) fn look(&self, at: &str) -> (Verdict, Matched) {
        self.ignore.look_at(at)
    }
}

/// Where the kernel says a descriptor is.
fn place_of(fd: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
    let link = rfs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new())?;
    Ok(PathBuf::from(OsStr::from_bytes(link.as_bytes())))
}

/// One object on a walk.
pub(super) struct Entry<'a> {
    /// Path below the object the walk began at; empty for that one itself.
    pub(super) path: &'a Path,
    /// What it is.
    pub(super) stat: &'a Stat,
    /// Whose it is, with the permissions it counts as having.
    pub(super) owner: Owner,
    /// Its handle (O_PATH).
    pub(super) handle: BorrowedFd<'a>,
    /// The last name.
    pub(super) name: &'a CStr,
}

impl Entry<'_> {
    pub(super) fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.stat.st_mode)
    }

    /// Opens a regular file to be read; cannot block, and reads what was looked at.
    pub(super) fn read(&self) -> Result<OwnedFd, Errno> {
        rfs::open(format!("/proc/self/fd/{}", self.handle.as_raw_fd()), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
    }

    /// The target of a link.
    pub(super) fn link(&self) -> Result<CString, Errno> {
        rfs::readlinkat(self.handle, c"", Vec::new())
    }
}

/// Takes what a walk finds: parents before children, names in order. A directory is entered and left.
pub(super) trait Visitor {
    /// A directory begins.
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), ContextError>;
    /// It ends.
    fn leave(&mut self) -> Result<(), ContextError>;
    /// Anything else.
    fn object(&mut self, entry: &Entry<'_>) -> Result<(), ContextError>;
}

/// A directory being walked.
struct Level {
    handle: OwnedFd,
    fd: OwnedFd,
    stat: Stat,
    owner: Owner,
    name: CString,
    names: Vec<(CString, FileType)>,
    ignore: Matched,
    exclude: Matched,
    /// Shown to the visitor. Directories looked into for exceptions are shown when there is one.
    entered: bool,
}

/// What is walked, and with which rules.
pub(super) struct Walk<'a> {
    pub(super) tree: &'a Tree,
    /// Real path of the object the walk begins at.
    pub(super) from: &'a str,
    /// More rules, for paths that begin with `base`.
    pub(super) exclude: &'a Ignore,
    /// What paths below the walk's start begin with in `exclude`'s eyes.
    pub(super) base: &'a str,
}

impl Walk<'_> {
    /// Walks the object and what is below it.
    pub(super) fn run(&self, visitor: &mut dyn Visitor) -> Result<(), ContextError> {
        let shown = |path: &Path| Path::new(&self.tree.name).join(self.from).join(path);
        let handle = self.tree.open(Path::new(self.from)).map_err(ContextError::io("open", shown(Path::new(""))))?;
        let stat = rfs::fstat(&handle).map_err(ContextError::io("stat", shown(Path::new(""))))?;
        let mut at = PathBuf::new();
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            let (above, name) = self.from.rsplit_once('/').unwrap_or(("", self.from));
            let dir = self.tree.open(Path::new(above)).map_err(ContextError::io("open", shown(Path::new(""))))?;
            let name = CString::new(name).map_err(|_| ContextError::io("open", shown(Path::new("")))(Errno::INVAL))?;
            let owner = self.tree.owner(&dir, &name, &handle, &stat);
            return visitor.object(&Entry { path: &at, stat: &stat, owner, handle: handle.as_fd(), name: c"" });
        }
        let owner = self.tree.owner(&handle, c".", &handle, &stat);
        let (verdict, ignore) = self.tree.look(self.from);
        let (excluded, exclude) = self.exclude.look_at(self.base);
        let mut first = Level::open(handle, (stat, owner), c"".to_owned(), ignore, exclude).map_err(ContextError::io("open", shown(&at)))?;
        if verdict == Verdict::Take && excluded == Verdict::Take {
            first.enter(&at, visitor)?;
        }
        let mut stack = vec![first];
        while let Some(level) = stack.last_mut() {
            let Some((name, kind)) = level.names.pop() else {
                if level.entered {
                    visitor.leave()?;
                }
                stack.pop();
                at.pop();
                continue;
            };
            at.push(OsStr::from_bytes(name.to_bytes()));
            let next = self.one(&mut stack, &at, name, kind, visitor);
            match next? {
                Some(_) if stack.len() >= MAX_DEPTH => {
                    return Err(ContextError::io("walk (nested too deep)", shown(&at))(Errno::LOOP));
                }
                Some(next) => stack.push(next),
                None => {
                    at.pop();
                }
            }
        }
        Ok(())
    }

    /// Looks at one name; a directory to walk is returned.
    fn one(
        &self,
        stack: &mut [Level],
        at: &Path,
        name: CString,
        kind: FileType,
        visitor: &mut dyn Visitor,
    ) -> Result<Option<Level>, ContextError> {
        let Some((level, above)) = stack.split_last_mut() else { return Ok(None) };
        let text = at.to_string_lossy();
        let (mut verdict, mut ignore, mut exclude) = (Verdict::Take, Matched::default(), Matched::default());
        if !self.tree.ignore.is_empty() {
            (verdict, ignore) = self.tree.ignore.look(&path::join(self.from, &text), &level.ignore);
        }
        if !self.exclude.is_empty() && verdict != Verdict::Leave {
            let (more, known) = self.exclude.look(&path::join(self.base, &text), &level.exclude);
            exclude = known;
            verdict = match (verdict, more) {
                (_, Verdict::Leave) => Verdict::Leave,
                (Verdict::Take, more) => more,
                (verdict, _) => verdict,
            };
        }
        let maybe_dir = matches!(kind, FileType::Directory | FileType::Unknown);
        if verdict == Verdict::Leave || (verdict == Verdict::Look && !maybe_dir) {
            return Ok(None);
        }
        let shown = || Path::new(&self.tree.name).join(self.from).join(at);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = match rfs::openat(&level.fd, &name, flags, Mode::empty()) {
            Ok(handle) => handle,
            // Gone since it was listed.
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(ContextError::io("open", shown())(errno)),
        };
        let stat = rfs::fstat(&handle).map_err(ContextError::io("stat", shown()))?;
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if verdict == Verdict::Look && !is_dir {
            return Ok(None);
        }
        if verdict == Verdict::Take {
            enter_above(above, level, at, visitor)?;
        }
        let owner = self.tree.owner(&level.fd, &name, &handle, &stat);
        if !is_dir {
            visitor.object(&Entry { path: at, stat: &stat, owner, handle: handle.as_fd(), name: &name })?;
            return Ok(None);
        }
        let mut next = Level::open(handle, (stat, owner), name, ignore, exclude).map_err(ContextError::io("open", shown()))?;
        if verdict == Verdict::Take {
            next.enter(at, visitor)?;
        }
        Ok(Some(next))
    }
}

/// Shows directories that turned out to hold something.
fn enter_above(above: &mut [Level], level: &mut Level, at: &Path, visitor: &mut dyn Visitor) -> Result<(), ContextError> {
    if level.entered {
        return Ok(());
    }
    let count = above.len() + 1;
    for (index, level) in above.iter_mut().chain(std::iter::once(level)).enumerate() {
        // Level 0 is where the walk began: as many names go as levels are between.
        let path: PathBuf = at.components().take(index.min(count)).collect();
        level.enter(&path, visitor)?;
    }
    Ok(())
}

impl Level {
    fn open(handle: OwnedFd, (stat, owner): (Stat, Owner), name: CString, ignore: Matched, exclude: Matched) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rfs::openat2(&handle, c".", flags, Mode::empty(), ResolveFlags::BENEATH)?;
        let names = names(&fd)?;
        Ok(Self { handle, fd, stat, owner, name, names, ignore, exclude, entered: false })
    }

    fn enter(&mut self, path: &Path, visitor: &mut dyn Visitor) -> Result<(), ContextError> {
        if !std::mem::replace(&mut self.entered, true) {
            visitor.enter(&Entry { path, stat: &self.stat, owner: self.owner, handle: self.handle.as_fd(), name: &self.name })?;
        }
        Ok(())
    }
}

/// The names in a directory, last one first, with their kinds as far as the directory knows.
pub(super) fn names(dir: impl AsFd) -> Result<Vec<(CString, FileType)>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            names.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    names.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
    Ok(names)
}

/// Whether the name is a directory, itself.
pub(super) fn is_dir(dir: impl AsFd, name: &CStr, kind: FileType) -> bool {
    match kind {
        FileType::Unknown => rfs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        kind => kind == FileType::Directory,
    }
}
