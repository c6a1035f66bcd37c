//! Finding the directory an archive entry goes into, by descriptor.
//!
//! Owns names (cleaning, refusing) and the walk from the root to an entry's parent. One component at a time, each opened
//! relative to its parent without following links, so nothing is ever looked up outside the root; the descriptors of
//! the current path stay open, so that the next entry of the same directory costs nothing.
//!
//! A parent that is a symbolic link (made by this archive) is resolved the way a process whose root is the destination
//! would resolve it: absolute targets start at the root and `..` stops there. Docker unpacks inside a chroot and has
//! the same result; refusing would break images that say `lib -> usr/lib` and then `lib/x`.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::error::UnpackError;

/// Longest name accepted: Linux cannot open longer ones in one call.
const MAX_PATH: usize = 4095;
/// Descriptors kept for the current path; below, only the deepest directory's.
const MAX_KEPT: usize = 48;
/// Symbolic links followed in one walk, as in the kernel.
const MAX_LINKS: u32 = 40;
/// Directories open at once while links are resolved.
const MAX_RESOLVED: usize = 256;

pub(crate) const PATH_FLAGS: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Cleans a name lexically: no leading slash, no `.`, `..` resolved inside the name. The root is the empty name.
///
/// # Errors
/// When `..` would leave the root, or the name is longer than the system allows.
pub(crate) fn clean(path: &[u8]) -> Result<Vec<u8>, UnpackError> {
    if path.len() > MAX_PATH {
        return Err(UnpackError::refused(
            path,
            "its name is longer than 4095 bytes",
        ));
    }
    let mut clean: Vec<u8> = Vec::with_capacity(path.len());
    let absolute = path.first() == Some(&b'/');
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                if clean.is_empty() && !absolute {
                    return Err(UnpackError::refused(path, "its name leads out of the root"));
                }
                let end = clean.iter().rposition(|&b| b == b'/').unwrap_or(0);
                clean.truncate(end);
            }
            _ => {
                if !clean.is_empty() {
                    clean.push(b'/');
                }
                clean.extend_from_slice(part);
            }
        }
    }
    Ok(clean)
}

/// What to do about parent directories that do not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Make them, `rwxr-xr-x` and owned by the caller.
    Create,
    /// Fail.
    Fail,
}

/// A directory of the current path.
struct Level {
    /// End of its name in `Walker::path`.
    end: usize,
    /// Its descriptor; dropped below [`MAX_KEPT`] when something deeper is open.
    fd: Option<OwnedFd>,
}

/// Walks from one root.
pub(crate) struct Walker<'d> {
    root: BorrowedFd<'d>,
    path: Vec<u8>,
    levels: Vec<Level>,
    /// Directories made on the way since the last look.
    pub(crate) created: Vec<Vec<u8>>,
    /// Directories that took the place of a whiteout since the last look.
    pub(crate) over_whiteout: Vec<Vec<u8>>,
}

impl<'d> Walker<'d> {
    pub(crate) fn new(root: BorrowedFd<'d>) -> Self {
        Self {
            root,
            path: Vec::new(),
            levels: Vec::new(),
            created: Vec::new(),
            over_whiteout: Vec::new(),
        }
    }

    /// The root.
    pub(crate) fn root(&self) -> BorrowedFd<'d> {
        self.root
    }

    /// Forgets the open directories: something on the current path may have been replaced.
    pub(crate) fn forget(&mut self) {
        self.levels.clear();
        self.path.clear();
    }

    /// The directory that contains `path` (clean, not the root) and the last component.
    pub(crate) fn parent<'p>(
        &mut self,
        path: &'p [u8],
        missing: Missing,
    ) -> Result<(BorrowedFd<'_>, &'p [u8]), UnpackError> {
        let (parent, name) = match path.iter().rposition(|&b| b == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&path[..0], path),
        };
        self.enter(parent, missing)?;
        Ok((self.current(), name))
    }

    fn current(&self) -> BorrowedFd<'_> {
        match self.levels.last() {
            Some(Level { fd: Some(fd), .. }) => fd.as_fd(),
            _ => self.root,
        }
    }

    /// Makes `dir` the current path.
    fn enter(&mut self, dir: &[u8], missing: Missing) -> Result<(), UnpackError> {
        if self.path == dir {
            return Ok(());
        }
        while let Some(level) = self.levels.last() {
            let shared = level.fd.is_some()
                && dir.starts_with(&self.path[..level.end])
                && matches!(dir.get(level.end), None | Some(b'/'));
            if shared {
                break;
            }
            self.levels.pop();
        }
        let mut end = self.levels.last().map_or(0, |level| level.end);
        self.path.truncate(end);
        while end < dir.len() {
            let start = if end == 0 { 0 } else { end + 1 };
            let length = memchr::memchr(b'/', &dir[start..]).unwrap_or(dir.len() - start);
            end = start + length;
            let fd = self.step(&dir[..end], &dir[start..end], missing)?;
            if self.levels.len() >= MAX_KEPT
                && let Some(above) = self.levels.last_mut()
            {
                above.fd = None;
            }
            self.levels.push(Level { end, fd: Some(fd) });
            self.path.clear();
            self.path.extend_from_slice(&dir[..end]);
        }
        Ok(())
    }

    /// Opens one component below the current directory.
    fn step(&mut self, full: &[u8], name: &[u8], missing: Missing) -> Result<OwnedFd, UnpackError> {
        for _ in 0..16 {
            let here = self.current();
            let open = rfs::openat(here, name, PATH_FLAGS, Mode::empty());
            match open {
                Ok(fd) => return Ok(fd),
                Err(Errno::NOENT) if missing == Missing::Create => {
                    match rfs::mkdirat(here, name, Mode::from_raw_mode(0o755)) {
                        Ok(()) => self.created.push(full.to_vec()),
                        Err(Errno::EXIST) => {}
                        Err(errno) => {
                            return Err(UnpackError::write(full, "make directory", errno));
                        }
                    }
                }
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    let stat = match rfs::statat(here, name, AtFlags::SYMLINK_NOFOLLOW) {
                        Err(Errno::NOENT) => continue,
                        other => other.map_err(|e| UnpackError::write(full, "look up", e))?,
                    };
                    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
                        return self.resolve(full, missing);
                    }
                    if !is_whiteout(&stat) || missing == Missing::Fail {
                        return Err(UnpackError::refused(
                            full,
                            "it is used as a directory but is none",
                        ));
                    }
                    rfs::unlinkat(here, name, AtFlags::empty())
                        .map_err(|e| UnpackError::write(full, "replace", e))?;
                    self.over_whiteout.push(full.to_vec());
                }
                Err(errno) => return Err(UnpackError::write(full, "open directory", errno)),
            }
        }
        Err(UnpackError::refused(
            full,
            "it keeps changing while it is looked up",
        ))
    }

    /// Resolves a path with symbolic links inside the root; creates what its links point to if so asked.
    fn resolve(&mut self, full: &[u8], missing: Missing) -> Result<OwnedFd, UnpackError> {
        let fail = |errno| UnpackError::write(full, "open directory", errno);
        let mut todo: Vec<Vec<u8>> = parts(full);
        let mut stack: Vec<OwnedFd> = Vec::new();
        let mut links = 0;
        let mut made = 0;
        while let Some(part) = todo.pop() {
            let here = stack.last().map_or(self.root, |fd| fd.as_fd());
            if part == b".." {
                stack.pop();
                continue;
            }
            match rfs::openat(here, &*part, PATH_FLAGS, Mode::empty()) {
                Ok(fd) => {
                    if stack.len() >= MAX_RESOLVED {
                        return Err(UnpackError::refused(full, "its links lead too deep"));
                    }
                    stack.push(fd);
                }
                Err(Errno::NOENT) if missing == Missing::Create && made < MAX_RESOLVED => {
                    made += 1;
                    match rfs::mkdirat(here, &*part, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => todo.push(part),
                        Err(errno) => return Err(fail(errno)),
                    }
                }
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(UnpackError::refused(full, "too many symbolic links"));
                    }
                    let target = match rfs::readlinkat(here, &*part, Vec::new()) {
                        Ok(target) => target.into_bytes(),
                        Err(Errno::INVAL) => {
                            return Err(UnpackError::refused(
                                full,
                                "it is used as a directory but is none",
                            ));
                        }
                        Err(errno) => return Err(fail(errno)),
                    };
                    if target.first() == Some(&b'/') {
                        stack.clear();
                    }
                    todo.extend(parts(&target));
                }
                Err(errno) => return Err(fail(errno)),
            }
        }
        match stack.pop() {
            Some(fd) => Ok(fd),
            None => rfs::openat(self.root, c".", PATH_FLAGS, Mode::empty()).map_err(fail),
        }
    }
}

/// Components in reverse, so that the next one is popped; `.` and empty ones left out.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&b| b == b'/')
        .rev()
        .filter(|part| !part.is_empty() && *part != b".")
        .map(<[u8]>::to_vec)
        .collect()
}

/// Whether this is overlayfs' mark for a name deleted from the layers below.
pub(crate) fn is_whiteout(stat: &rfs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned_or_refused() {
        let good: [(&[u8], &[u8]); 10] = [
            (b"a/b", b"a/b"),
            (b"./a//b/", b"a/b"),
            (b"/etc/passwd", b"etc/passwd"),
            (b"/../etc", b"etc"),
            (b"a/../b", b"b"),
            (b"a/b/../../c", b"c"),
            (b".", b""),
            (b"", b""),
            (b"/", b""),
            (b"a/..", b""),
        ];
        for (given, expected) in good {
            assert_eq!(clean(given).unwrap(), expected, "{given:?}");
        }
        for bad in [&b".."[..], b"../a", b"a/../../b", b"./../x"] {
            assert!(clean(bad).is_err(), "{bad:?}");
        }
        assert!(clean(&[b'a'; 5000]).is_err());
    }
}
