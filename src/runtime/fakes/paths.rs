//! From a waiting process's arguments to descriptors: its paths, resolved as it would see them and never outside the
//! root it has. All are `O_PATH`: nothing is opened for reading, so that no pipe or device can hold the supervisor up.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use crate::sys::{notify, root};

/// `PATH_MAX`.
const MAX_PATH: usize = 4096;
const PAGE: u64 = 4096;

/// Reads a path from the memory of `pid`.
pub(super) fn read_path(pid: i32, address: u64) -> Result<Vec<u8>, Errno> {
    let mut path = Vec::with_capacity(256);
    while path.len() < MAX_PATH {
        let from = address.checked_add(path.len() as u64).ok_or(Errno::FAULT)?;
        // Never over the end of a page: the next one may not be there.
        let room = usize::try_from(PAGE - from % PAGE).unwrap_or(MAX_PATH).min(MAX_PATH - path.len());
        let mut chunk = [0_u8; MAX_PATH];
        let read = notify::read_memory(pid, from, &mut chunk[..room])?;
        if read == 0 {
            return Err(Errno::FAULT);
        }
        if let Some(end) = chunk[..read].iter().position(|&byte| byte == 0) {
            path.extend_from_slice(&chunk[..end]);
            return Ok(path);
        }
        path.extend_from_slice(&chunk[..read]);
    }
    Err(Errno::NAMETOOLONG)
}

/// A directory argument: a descriptor of the process, or its current directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dir {
    pub(super) pid: i32,
    /// As in the *at calls.
    pub(super) fd: i32,
}

impl Dir {
    pub(super) const fn current(pid: i32) -> Self {
        Self { pid, fd: libc::AT_FDCWD }
    }

    fn link(self) -> String {
        if self.fd == libc::AT_FDCWD { format!("/proc/{}/cwd", self.pid) } else { format!("/proc/{}/fd/{}", self.pid, self.fd) }
    }

    fn open(self) -> Result<OwnedFd, Errno> {
        follow(&self.link()).map_err(|errno| if errno == Errno::NOENT { Errno::BADF } else { errno })
    }
}

fn follow(link: &str) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(CWD, link, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
}

/// The file behind a descriptor of a process.
pub(super) fn of_fd(pid: i32, fd: i32) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    Dir { pid, fd }.open()
}

/// Opens what `path` means to the process; a link at its end is itself unless `follow_last`.
pub(super) fn resolve(dir: Dir, path: &[u8], follow_last: bool) -> Result<OwnedFd, Errno> {
    if path.is_empty() {
        return Err(Errno::NOENT);
    }
    let flags = if follow_last { OFlags::PATH } else { OFlags::PATH | OFlags::NOFOLLOW };
    let root = || follow(&format!("/proc/{}/root", dir.pid));
    if path.starts_with(b"/") {
        return root::open_as_given(root()?.as_fd(), Path::new(OsStr::from_bytes(path)), flags);
    }
    let base = dir.open()?;
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match openat2(&base, OsStr::from_bytes(path), flags | OFlags::CLOEXEC, Mode::empty(), beneath) {
        // A `..` or an absolute link leads above the directory: then by the directory's own path, from the root.
        Err(Errno::XDEV) => {
            let place = rustix::fs::readlink(dir.link(), Vec::new())?;
            let top = rustix::fs::readlink(format!("/proc/{}/root", dir.pid), Vec::new())?;
            let place = place.as_bytes();
            let inside = if top.as_bytes() == b"/" { place } else { place.strip_prefix(top.as_bytes()).ok_or(Errno::XDEV)? };
            let whole = [inside, b"/", path].concat();
            root::open_as_given(root()?.as_fd(), Path::new(OsStr::from_bytes(&whole)), flags)
        }
        other => other,
    }
}

/// Opens the directory of `path` and gives the name in it.
pub(super) fn resolve_parent(dir: Dir, path: &[u8]) -> Result<(OwnedFd, Vec<u8>), Errno> {
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let path = &path[..end];
    let (parent, name) = match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..=at], &path[at + 1..]),
        None => (&b"."[..], path),
    };
    match name {
        b"" => Err(Errno::NOENT),
        b"." | b".." => Err(Errno::INVAL),
        name => Ok((resolve(dir, parent, true)?, name.to_vec())),
    }
}
