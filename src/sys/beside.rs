//! Making something under a name that may be taken: what is there stays until the new one is whole.

use std::ffi::{CStr, CString};
use std::os::fd::BorrowedFd;

use rustix::fs::{self as rfs, AtFlags};
use rustix::io::Errno;

use super::mounted;

/// Something new, beside the name it is for or already there. Dropped before [`Self::settle`] it goes again.
#[derive(Debug)]
pub struct Beside<'a> {
    dir: BorrowedFd<'a>,
    target: &'a CStr,
    /// What it is called until it takes the name of what is there.
    aside: Option<CString>,
    settled: bool,
}

/// Makes something for the name `target` in `dir`; `make` fails with EEXIST where a name is taken.
///
/// # Errors
/// Those of `make`.
pub fn make<'a, T>(
    dir: BorrowedFd<'a>,
    target: &'a CStr,
    make: impl Fn(&CStr) -> Result<T, Errno>,
) -> Result<(T, Beside<'a>), Errno> {
    match make(target) {
        Err(Errno::EXIST) => make_aside(dir, target, make),
        other => other.map(|made| (made, Beside { dir, target, aside: None, settled: false })),
    }
}

/// As [`make`], for what takes a while: under its name there is the whole of it or nothing.
///
/// # Errors
/// Those of `make`.
pub fn make_aside<'a, T>(
    dir: BorrowedFd<'a>,
    target: &'a CStr,
    make: impl Fn(&CStr) -> Result<T, Errno>,
) -> Result<(T, Beside<'a>), Errno> {
    for _ in 0..16 {
        let name = aside_name()?;
        match make(&name) {
            Err(Errno::EXIST) => {}
            other => return other.map(|made| (made, Beside { dir, target, aside: Some(name), settled: false })),
        }
    }
    Err(Errno::EXIST)
}

/// Nobody's by chance, and not to be foreseen by a hostile neighbour.
fn aside_name() -> Result<CString, Errno> {
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|_| Errno::IO)?;
    CString::new(format!(".kelp-{:016x}", u64::from_ne_bytes(random))).map_err(|_| Errno::INVAL)
}

impl Beside<'_> {
    /// What it is called now.
    pub fn name(&self) -> &CStr {
        self.aside.as_deref().unwrap_or(self.target)
    }

    /// Lets it take its name, from what has it.
    ///
    /// # Errors
    /// EISDIR when that is a directory, EBUSY when something is mounted on it; it is there as before then.
    pub fn settle(&mut self) -> Result<(), Errno> {
        if let Some(aside) = &self.aside {
            // Of another mount namespace's mounts rename(2) does not say it.
            if mounted::is_mount_point(self.dir, self.target)? {
                return Err(Errno::BUSY);
            }
            rfs::renameat(self.dir, aside, self.dir, self.target)?;
            // rename(2) leaves both of two links to one file.
            let _ = rfs::unlinkat(self.dir, aside, AtFlags::empty());
        }
        self.settled = true;
        Ok(())
    }
}

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        if !self.settled {
            let _ = rfs::unlinkat(self.dir, self.name(), AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};
    use std::os::fd::AsFd;

    #[test]
    fn what_is_there_stays_until_the_new_one_is_whole() {
        let path = std::env::temp_dir().join(format!("kelp-beside-{}", std::process::id()));
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(path.join("dir")).unwrap();
        fs::write(path.join("old"), "old").unwrap();
        fs::hard_link(path.join("old"), path.join("link")).unwrap();
        let dir = File::open(&path).unwrap();
        let link = |name: &CStr| rfs::symlinkat(c"new", dir.as_fd(), name);
        for given_up in [c"old", c"free"] {
            drop(make(dir.as_fd(), given_up, link).unwrap());
        }
        assert_eq!(fs::read_to_string(path.join("old")).unwrap(), "old");
        let (_, mut over_dir) = make(dir.as_fd(), c"dir", link).unwrap();
        assert_eq!(over_dir.settle(), Err(Errno::ISDIR));
        drop(over_dir);
        make(dir.as_fd(), c"old", link).unwrap().1.settle().unwrap();
        assert_eq!(fs::read_link(path.join("old")).unwrap().to_str(), Some("new"));
        // A link over another of the same file.
        fs::hard_link(path.join("link"), path.join("again")).unwrap();
        let relink = |name: &CStr| rfs::linkat(dir.as_fd(), c"link", dir.as_fd(), name, AtFlags::empty());
        make(dir.as_fd(), c"again", relink).unwrap().1.settle().unwrap();
        let mut left: Vec<_> = fs::read_dir(&path).unwrap().flatten().map(|entry| entry.file_name()).collect();
        left.sort();
        assert_eq!(left, ["again", "dir", "link", "old"]);
        fs::remove_dir_all(&path).unwrap();
    }
}
