//! mount(2), open_tree(2), move_mount(2), mount_setattr(2), pivot_root(2) on descriptors.
//!
//! A mount target is always an open descriptor, named to the kernel as `/proc/self/fd/N`: what was checked is what gets
//! mounted on, whatever happens to the path meanwhile.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

/// The magic number of a file system, as statfs(2) lists them; its type differs between architectures.
pub fn magic(stat: &rustix::fs::StatFs) -> u64 {
    stat.f_type as u64
}

/// mount(2) flags used by plans; numbers are the kernel's.
pub mod flag {
    /// Read-only.
    pub const RDONLY: u64 = libc::MS_RDONLY;
    /// No set-user-id.
    pub const NOSUID: u64 = libc::MS_NOSUID;
    /// No devices.
    pub const NODEV: u64 = libc::MS_NODEV;
    /// No execution.
    pub const NOEXEC: u64 = libc::MS_NOEXEC;
    /// No access times.
    pub const NOATIME: u64 = libc::MS_NOATIME;
    /// Relative access times.
    pub const RELATIME: u64 = libc::MS_RELATIME;
    /// With the mounts below.
    pub const REC: u64 = libc::MS_REC;
    /// Propagation private.
    pub const PRIVATE: u64 = libc::MS_PRIVATE;
    /// Propagation slave.
    pub const SLAVE: u64 = libc::MS_SLAVE;
    /// Propagation shared.
    pub const SHARED: u64 = libc::MS_SHARED;
}

fn fd_path(fd: BorrowedFd<'_>) -> CString {
    CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default()
}

/// Mounts a new file system on `target`.
pub fn mount(source: &CStr, target: BorrowedFd<'_>, kind: &CStr, flags: u64, data: &CStr) -> Result<(), Errno> {
    let target = fd_path(target);
    // SAFETY: all pointers are C strings that outlive the call.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) })
}

/// Changes the propagation of the mount at `path`.
pub fn set_propagation(path: &CStr, flags: u64) -> Result<(), Errno> {
    // SAFETY: as above; the other arguments are ignored for a propagation change.
    check(unsafe {
        libc::mount(std::ptr::null(), path.as_ptr(), std::ptr::null(), flags, std::ptr::null())
    })
}

/// A detached copy of the mount at `path` below `dir` (with the mounts below it when `recursive`).
pub fn clone_tree(dir: BorrowedFd<'_>, path: &CStr, recursive: bool) -> Result<OwnedFd, Errno> {
    let mut flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | libc::AT_EMPTY_PATH as u32;
    if recursive {
        flags |= libc::AT_RECURSIVE as u32;
    }
    // SAFETY: plain system call; the path is a C string.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, dir.as_raw_fd(), path.as_ptr(), flags) } as libc::c_int;
    check(fd)?;
    // SAFETY: a new descriptor nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches a detached mount to `target` (kernel 5.2).
pub fn attach(tree: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    const FROM_EMPTY: libc::c_uint = 0x4;
    const TO_EMPTY: libc::c_uint = 0x40;
    // SAFETY: both paths are empty strings, both descriptors are valid.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            target.as_raw_fd(),
            c"".as_ptr(),
            FROM_EMPTY | TO_EMPTY,
        )
    } as libc::c_int)
}

/// Attributes for [`set_attributes`], mount_setattr(2).
pub mod attribute {
    /// Read-only.
    pub const RDONLY: u64 = 0x1;
    /// No set-user-id.
    pub const NOSUID: u64 = 0x2;
    /// No devices.
    pub const NODEV: u64 = 0x4;
    /// No execution.
    pub const NOEXEC: u64 = 0x8;
}

#[repr(C)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// What [`attach_changed`] changes; see [`set_attributes`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// 0 or one of [`flag`].
    pub propagation: u64,
    /// The mounts below too.
    pub recursive: bool,
}

/// Changes attributes of a detached mount and attaches it to `target`. Before kernel 5.12 the other way round, which is
/// the same where nobody can look in between.
pub fn attach_changed(tree: BorrowedFd<'_>, target: BorrowedFd<'_>, change: Change) -> Result<(), Errno> {
    let Change { set, clear, propagation, recursive } = change;
    match mount_setattr(tree, set, clear, propagation, recursive) {
        Err(Errno::NOSYS) => {
            attach(tree, target)?;
            remount(tree, change)
        }
        Err(errno) => Err(errno),
        Ok(()) => attach(tree, target),
    }
}

/// Changes attributes of the attached mount `tree` is the root of. `propagation` is 0 or one of [`flag`].
pub fn set_attributes(tree: BorrowedFd<'_>, set: u64, clear: u64, propagation: u64, recursive: bool) -> Result<(), Errno> {
    match mount_setattr(tree, set, clear, propagation, recursive) {
        Err(Errno::NOSYS) => remount(tree, Change { set, clear, propagation, recursive }),
        other => other,
    }
}

/// As [`set_attributes`] with what older kernels have: mount(2), one mount at a time.
fn remount(tree: BorrowedFd<'_>, change: Change) -> Result<(), Errno> {
    let below = if change.recursive { mounts_below(tree)? } else { Vec::new() };
    remount_one(tree, change)?;
    for path in below {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
        let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(mount) => remount_one(mount.as_fd(), change)?,
            // Covered by another mount: out of reach for everybody.
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn remount_one(mount: BorrowedFd<'_>, change: Change) -> Result<(), Errno> {
    let path = fd_path(mount);
    if change.set != 0 || change.clear != 0 {
        // What statfs calls ST_… has the same numbers, but for relatime. All that is set must be said again.
        let now = rustix::fs::fstatvfs(mount)?.f_flag.bits();
        let keep = now & (flag::RDONLY | flag::NOSUID | flag::NODEV | flag::NOEXEC | flag::NOATIME | libc::MS_NODIRATIME);
        let times = if now & libc::ST_RELATIME != 0 { libc::MS_RELATIME } else { 0 };
        let flags = ((keep | change.set) & !change.clear) | times | libc::MS_REMOUNT | libc::MS_BIND;
        // SAFETY: the path is a C string that outlives the call; the other pointers are not looked at by a remount.
        check(unsafe { libc::mount(std::ptr::null(), path.as_ptr(), std::ptr::null(), flags, std::ptr::null()) })?;
    }
    if change.propagation == 0 { Ok(()) } else { set_propagation(&path, change.propagation) }
}

/// Where the mounts below an attached one are, from /proc/self/mountinfo (proc(5)).
fn mounts_below(tree: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let text = |path: &str| std::fs::read_to_string(path).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
    let info = text(&format!("/proc/self/fdinfo/{}", tree.as_raw_fd()))?;
    let own = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(str::trim).ok_or(Errno::INVAL)?;
    let table = text("/proc/self/mountinfo")?;
    let mut above = vec![own.to_owned()];
    let mut paths = Vec::new();
    // A mount is listed after the one it is on.
    for line in table.lines() {
        let mut fields = line.split(' ');
        let (Some(id), Some(parent), Some(path)) = (fields.next(), fields.next(), fields.nth(2)) else { continue };
        if above.iter().any(|known| known == parent) {
            above.push(id.to_owned());
            paths.push(CString::new(unescape(path)).map_err(|_| Errno::INVAL)?);
        }
    }
    Ok(paths)
}

/// `\040` and the like.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let octal = tail.get(..3).and_then(|three| u8::from_str_radix(std::str::from_utf8(three).ok()?, 8).ok());
        match octal.filter(|_| first == b'\\') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    bytes
}

/// mount_setattr(2), kernel 5.12.
fn mount_setattr(tree: BorrowedFd<'_>, set: u64, clear: u64, propagation: u64, recursive: bool) -> Result<(), Errno> {
    let attr = MountAttr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the structure has the layout and size given.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            std::mem::size_of::<MountAttr>(),
        )
    } as libc::c_int)
}

/// Makes the mount at the current directory the root of this mount namespace and lets go of the old one
/// (pivot_root(2), "pivot_root(".", ".")").
pub fn pivot_here() -> Result<(), Errno> {
    // SAFETY: C strings that live for ever.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) } as libc::c_int)?;
    // SAFETY: as above.
    check(unsafe { libc::umount2(c".".as_ptr(), libc::MNT_DETACH) })?;
    // SAFETY: as above.
    check(unsafe { libc::chdir(c"/".as_ptr()) })
}

fn check(result: libc::c_int) -> Result<(), Errno> {
    if result == -1 {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_paths_are_unescaped() {
        assert_eq!(unescape(r"/a\040b\134c\9"), b"/a b\\c\\9");
    }
}
