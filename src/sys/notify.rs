//! The supervisor's side of seccomp user notification (seccomp_unotify(2)), and the memory and one resource limit of
//! the process that waits for the answer.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::io::Errno;

/// A system call that waits for an answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Notification {
    /// Its name for [`answer`] and [`is_valid`].
    pub id: u64,
    /// The thread that made it, in the supervisor's pid namespace.
    pub pid: i32,
    /// `AUDIT_ARCH_*` of the ABI.
    pub arch: u32,
    /// Number of the call in that ABI.
    pub number: u32,
    /// Arguments.
    pub args: [u64; 6],
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The call returns this.
    Value(i64),
    /// It fails.
    Fail(Errno),
    /// The kernel does it as if there were no filter (kernel 5.5).
    Continue,
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Takes one notification. ENOENT when the caller has died meanwhile.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Notification, Errno> {
    // SAFETY: plain numbers; the kernel demands all-zero.
    let mut raw: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    // SAFETY: `raw` is of the size the request's number says and outlives the call.
    if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &raw mut raw) } < 0 {
        return Err(last());
    }
    Ok(Notification {
        id: raw.id,
        pid: i32::try_from(raw.pid).unwrap_or(0),
        arch: raw.data.arch,
        number: raw.data.nr.cast_unsigned(),
        args: raw.data.args,
    })
}

/// Whether the caller still waits: what was opened by its pid before this was asked is then really its.
pub fn is_valid(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads one u64.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID as _, &raw const id) == 0 }
}

/// Answers. ENOENT when the caller has died or was interrupted.
pub fn answer(listener: BorrowedFd<'_>, id: u64, answer: Answer) -> Result<(), Errno> {
    let mut raw = libc::seccomp_notif_resp { id, val: 0, error: 0, flags: 0 };
    match answer {
        Answer::Value(value) => raw.val = value,
        Answer::Fail(errno) => raw.error = -errno.raw_os_error(),
        Answer::Continue => raw.flags = 1,
    }
    // SAFETY: `raw` is of the size the request's number says and outlives the call.
    if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &raw mut raw) } < 0 {
        return Err(last());
    }
    Ok(())
}

/// Lets the kernel run caller and supervisor in turn on one processor (6.6); older ones do not know it.
pub fn wake_in_turn(listener: BorrowedFd<'_>) {
    // SAFETY: the argument is a number.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS as _, 1_u64) };
}

/// Reads memory of a process; how many bytes there were.
pub fn read_memory(pid: i32, address: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: `local` describes `buffer`; the remote address is only looked at in the other process.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).map_err(|_| last())
}

/// Writes memory of a process, all or nothing.
pub fn write_memory(pid: i32, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: `local` describes `bytes`, which is only read; the remote address is the other process's affair.
    let written = unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) };
    if usize::try_from(written).map_err(|_| last())? == bytes.len() { Ok(()) } else { Err(Errno::FAULT) }
}

/// The soft `RLIMIT_LOCKS` of a process. The kernel keeps and inherits it but has not used it since Linux 2.4.
pub fn locks_limit(pid: i32) -> Result<u64, Errno> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a null pointer means no change; `limit` is a valid place for the result.
    let done = unsafe { libc::prlimit64(pid, libc::RLIMIT_LOCKS, std::ptr::null(), &raw mut limit) };
    if done == 0 { Ok(limit.rlim_cur) } else { Err(last()) }
}

/// Sets it, with no hard limit.
pub fn set_locks_limit(pid: i32, value: u64) -> Result<(), Errno> {
    let limit = libc::rlimit64 { rlim_cur: value, rlim_max: u64::MAX };
    // SAFETY: `limit` outlives the call; a null pointer means that the old one is not wanted.
    let done = unsafe { libc::prlimit64(pid, libc::RLIMIT_LOCKS, &raw const limit, std::ptr::null_mut()) };
    if done == 0 { Ok(()) } else { Err(last()) }
}

/// The process at the other end of the socket `fd` of process `pid` (kernel 5.6), in this pid namespace.
pub fn peer_of(pid: i32, fd: i32) -> Result<i32, Errno> {
    // Of a thread there is none, but of its process.
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).map_err(|_| Errno::SRCH)?;
    let process = status.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok()).unwrap_or(pid);
    let pidfd = super::process::pidfd_open(process)?;
    // SAFETY: plain system call on a valid descriptor.
    let socket = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0) };
    let socket = i32::try_from(socket).map_err(|_| Errno::BADF)?;
    if socket < 0 {
        return Err(last());
    }
    // SAFETY: a new descriptor nobody else owns.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    rustix::net::sockopt::socket_peercred(&socket).map(|peer| peer.pid.as_raw_nonzero().get())
}

/// What a process calls itself in its own pid namespace.
pub fn pid_inside(pid: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}
