//! Paths inside a root nobody trusts: openat2(2) with RESOLVE_IN_ROOT, so that absolute links and `..` end at that
//! root, and magic links end nowhere.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// Resolution that treats `root` as `/`.
pub const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// Opens `path` as it would resolve for a process chrooted to `root`.
pub fn open(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_with(root, path, flags, Mode::empty(), IN_ROOT)
}

/// As [`open`], with the path as it is: a slash at its end still asks for a directory.
pub fn open_as_given(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    for _ in 0..32 {
        match openat2(root, path, flags | OFlags::CLOEXEC, Mode::empty(), IN_ROOT) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// As [`open`], and no component may be a symbolic link (ELOOP).
pub fn open_no_links(root: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_with(root, path, flags, Mode::empty(), IN_ROOT | ResolveFlags::NO_SYMLINKS)
}

fn open_with(root: BorrowedFd<'_>, path: &Path, flags: OFlags, mode: Mode, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let relative = path.strip_prefix("/").unwrap_or(path);
    let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
    // EAGAIN: a rename raced with a `..` in the path (openat2(2)).
    for _ in 0..32 {
        match openat2(root, relative, flags | OFlags::CLOEXEC, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// What [`ensure`] makes when there is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// An empty regular file.
    File,
}

/// A descriptor (O_PATH) for `path` inside `root`, made with its parents if missing: links that lead somewhere are
/// followed inside the root; a link that leads nowhere is an error, since creating through it is what attackers want.
pub fn ensure(root: BorrowedFd<'_>, path: &Path, kind: Kind) -> Result<OwnedFd, Errno> {
    match open(root, path, OFlags::PATH) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let mut dir = open(root, Path::new("."), OFlags::PATH | OFlags::DIRECTORY)?;
    let mut walked = std::path::PathBuf::new();
    let names: Vec<_> = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir)).collect();
    for (index, name) in names.iter().enumerate() {
        walked.push(name);
        let last = index + 1 == names.len();
        let flags = if last { OFlags::PATH } else { OFlags::PATH | OFlags::DIRECTORY };
        dir = match open(root, &walked, flags) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => {
                let text = CString::new(name.as_os_str().as_encoded_bytes()).map_err(|_| Errno::INVAL)?;
                if last && kind == Kind::File {
                    rustix::fs::openat(&dir, &text, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::from_raw_mode(0o644))?;
                } else {
                    match rustix::fs::mkdirat(&dir, &text, Mode::from_raw_mode(0o755)) {
                        // Exists and yet did not open: a link to nowhere, or somebody was faster.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(errno) => return Err(errno),
                    }
                }
                openat2(
                    &dir,
                    &text,
                    OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW,
                    Mode::empty(),
                    ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
                )?
            }
            Err(errno) => return Err(errno),
        };
    }
    Ok(dir)
}

/// Links followed on the way to one place, as many as the kernel follows.
const MAX_LINKS: usize = 40;

/// A descriptor for the directory `path` inside `root`, made with its parents if missing. Other than with [`ensure`], a link
/// that leads nowhere yet is followed too, and what it leads to made inside the root: only for a root that is being built,
/// where whoever planted the link could have made the same.
pub fn make_dirs(root: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, Errno> {
    make_dirs_below(root, path, MAX_LINKS)
}

fn make_dirs_below(root: BorrowedFd<'_>, path: &Path, links: usize) -> Result<OwnedFd, Errno> {
    let mut dir = open(root, Path::new("."), OFlags::PATH | OFlags::DIRECTORY)?;
    let mut walked = std::path::PathBuf::new();
    for name in path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir)) {
        let above = walked.clone();
        walked.push(name);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        dir = match open(root, &walked, flags) {
            Err(Errno::NOENT) => match rustix::fs::mkdirat(&dir, name.as_os_str().as_encoded_bytes(), Mode::from_raw_mode(0o755)) {
                Ok(()) => openat2(&dir, name.as_os_str().as_encoded_bytes(), flags | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS)?,
                Err(Errno::EXIST) if links > 0 => match rustix::fs::readlinkat(&dir, name.as_os_str().as_encoded_bytes(), Vec::new()) {
                    Ok(link) => make_dirs_below(root, &above.join(Path::new(std::ffi::OsStr::from_bytes(link.as_bytes()))), links - 1)?,
                    // No link: somebody was faster.
                    Err(Errno::INVAL) => open(root, &walked, flags)?,
                    Err(errno) => return Err(errno),
                },
                Err(Errno::EXIST) => return Err(Errno::LOOP),
                Err(errno) => return Err(errno),
            },
            other => other?,
        };
    }
    Ok(dir)
}

/// Whether `fd` is on procfs (statfs magic), for targets under /proc that get mounted over or written.
pub fn is_proc(fd: impl AsFd) -> bool {
    rustix::fs::fstatfs(fd).is_ok_and(|stat| super::mount::magic(&stat) == rustix::fs::PROC_SUPER_MAGIC as u64)
}
