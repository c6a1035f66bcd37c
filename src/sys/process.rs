//! Making, joining and ending processes and namespaces: clone3(2), setns(2), execve(2), pidfds.
//!
//! Only a single-threaded process may clone here: the child goes on with a copy of this memory, and a lock that another
//! thread held at that moment would stay locked in it for ever.

use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;

/// Namespaces to create, clone(2) flags.
pub const NEWUSER: u64 = libc::CLONE_NEWUSER as u64;
/// Mount namespace.
pub const NEWNS: u64 = libc::CLONE_NEWNS as u64;
/// Pid namespace.
pub const NEWPID: u64 = libc::CLONE_NEWPID as u64;
/// Network namespace.
pub const NEWNET: u64 = libc::CLONE_NEWNET as u64;
/// IPC namespace.
pub const NEWIPC: u64 = libc::CLONE_NEWIPC as u64;
/// UTS namespace.
pub const NEWUTS: u64 = libc::CLONE_NEWUTS as u64;
/// Cgroup namespace.
pub const NEWCGROUP: u64 = libc::CLONE_NEWCGROUP as u64;

/// The new process is a sibling, the child of the caller's parent.
pub const PARENT: u64 = libc::CLONE_PARENT as u64;

/// libc's constant of this name is too narrow and reads 0.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of a clone this is.
#[derive(Debug)]
pub enum Cloned {
    /// The new process.
    Child,
    /// The caller, with the child's pid and a descriptor of it.
    Parent {
        /// In the caller's pid namespace.
        pid: i32,
        /// Close-on-exec.
        pidfd: OwnedFd,
    },
}

/// fork(2) with namespaces: the child continues here, with a copy of the memory. `cgroup` is a directory of a version 2
/// hierarchy the child is born in (kernel 5.7). EINVAL, ENOSPC and EPERM as in clone(2); EBUSY when this process has
/// several threads.
pub fn clone(flags: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned, Errno> {
    if thread_count() != 1 {
        return Err(Errno::BUSY);
    }
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain numbers; all-zero is a valid value of it.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    // A sibling inherits the caller's signal; clone3 refuses another one.
    args.exit_signal = if flags & PARENT == 0 { libc::SIGCHLD as u64 } else { 0 };
    if let Some(cgroup) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: no CLONE_VM, so the child has its own copy of everything, as after fork; `args` and `pidfd` outlive the
    // call; this process has one thread, so no lock is held by anybody who does not exist in the child.
    let mut pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, std::mem::size_of::<libc::clone_args>()) };
    if pid == -1 && last() == Errno::NOSYS && cgroup.is_none() {
        // A container's filter that cannot look into the arguments of clone3 answers so for the older call's sake.
        // SAFETY: as above; CLONE_PIDFD stores through the third argument on every architecture.
        pid = unsafe { libc::syscall(libc::SYS_clone, args.flags | args.exit_signal, 0, &raw mut pidfd, 0, 0) };
    }
    match pid {
        -1 => Err(last()),
        0 => Ok(Cloned::Child),
        // SAFETY: the kernel stored a new descriptor that nobody else owns.
        pid => Ok(Cloned::Parent { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } }),
    }
}

/// fork(3) of the C library, which, unlike [`clone`], is safe in a process with several threads: its locks are consistent
/// in the child. `None` is the child.
pub fn fork() -> Result<Option<i32>, Errno> {
    // SAFETY: the child goes on single-threaded with a consistent C library; callers exec or exit soon.
    let pid = unsafe { libc::fork() };
    check(pid)?;
    Ok((pid != 0).then_some(pid))
}

/// How many threads this process has; 1 where /proc cannot tell.
fn thread_count() -> u64 {
    rustix::fs::stat("/proc/self/task").map_or(1, |stat| u64::from(stat.st_nlink as u32).saturating_sub(2).max(1))
}

/// Leaves for namespaces of one's own.
pub fn unshare(flags: u64) -> Result<(), Errno> {
    // SAFETY: no CLONE_FILES or CLONE_VM semantics reach memory; the call only changes kernel state of this thread.
    check(unsafe { libc::unshare(flags as libc::c_int) })
}

/// Joins namespaces: `fd` is a namespace file (`flags` one namespace or 0) or, from kernel 5.8, a pidfd.
pub fn setns(fd: BorrowedFd<'_>, flags: u64) -> Result<(), Errno> {
    // SAFETY: plain system call on a valid descriptor.
    check(unsafe { libc::setns(fd.as_raw_fd(), flags as libc::c_int) })
}

/// Becomes these ids, all three of each kind; supplementary groups are left alone.
pub fn set_ids(uid: u32, gid: u32) -> Result<(), Errno> {
    // SAFETY: plain system calls; the raw ones act on this, the only, thread.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) } as libc::c_int)?;
    // SAFETY: as above.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) } as libc::c_int)
}

/// Sets the supplementary groups.
pub fn set_groups(groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: pointer and length describe the slice.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) } as libc::c_int)
}

/// Program, arguments and environment in the form execve(2) takes, built before the clone.
#[derive(Debug, Clone, Default)]
pub struct CStrings {
    strings: Vec<CString>,
}

impl CStrings {
    /// Copies of `texts`; a NUL inside a text ends it, as the kernel would read it.
    pub fn new<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Self {
        let strings = texts
            .into_iter()
            .map(|text| {
                let bytes = text.as_ref();
                let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
                CString::new(&bytes[..end]).unwrap_or_default()
            })
            .collect();
        Self { strings }
    }

    fn pointers(&self) -> Vec<*const libc::c_char> {
        self.strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
    }
}

/// execve(2); returns only on failure.
pub fn exec(path: &std::ffi::CStr, argv: &CStrings, env: &CStrings) -> Errno {
    let (argv, env) = (argv.pointers(), env.pointers());
    // SAFETY: both arrays end with a null pointer and point to strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last()
}

/// execveat(2) of an open file; returns only on failure.
pub fn exec_fd(file: BorrowedFd<'_>, argv: &CStrings, env: &CStrings) -> Errno {
    let (argv, env) = (argv.pointers(), env.pointers());
    // SAFETY: as in `exec`; the empty path with AT_EMPTY_PATH names the descriptor itself.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    last()
}

/// Makes these descriptors 0, 1, 2…, and the only ones inherited over exec; in a child about to exec. Takes no lock and
/// no memory. None of them may have a number below their count.
pub fn place_fds<const N: usize>(fds: [BorrowedFd<'_>; N]) {
    for (number, fd) in (0..).zip(fds) {
        move_fd(fd, number);
    }
    if let Ok(count) = RawFd::try_from(N) {
        let _ = cloexec_from(count);
    }
}

/// Whether that child has ended; it is reaped then.
pub fn has_ended(pid: i32) -> bool {
    !matches!(reap(pid, libc::WNOHANG), Ok(None))
}

/// Closes every descriptor from `first` on.
pub fn close_from(first: RawFd) {
    // SAFETY: the caller gives up all of them; used right before exec or at the start of a role.
    unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

/// Marks every descriptor from `first` on close-on-exec (kernel 5.11).
pub fn cloexec_from(first: RawFd) -> Result<(), Errno> {
    // SAFETY: changes descriptor flags only.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } as libc::c_int)
}

/// Takes ownership of a descriptor number this process was started with.
pub fn inherited_fd(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_GETFD only asks whether the number is open.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, and by the contract of the roles nobody else in this process owns it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A copy of a descriptor number this process was started with, closed on exec.
pub fn duplicate_inherited(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: makes a new descriptor or fails, whatever the number is.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    // SAFETY: it was just made and is nobody else's.
    (copy >= 0).then(|| unsafe { OwnedFd::from_raw_fd(copy) })
}

/// A copy, closed on exec, of a descriptor this process was started with; `None` for one that is closed or its own. All its
/// own are closed on exec, as none is that came through one.
pub fn inherited_copy(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_GETFD only asks whether the number is open, and how.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    if flags < 0 || flags & libc::FD_CLOEXEC != 0 { None } else { duplicate_inherited(number) }
}

/// Ends this process at once, with no destructors: the child side of a clone uses it.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit never returns and touches nothing.
    unsafe { libc::_exit(code) }
}

/// Lets one malloc arena serve all threads: a second one costs a monitor more memory than everything else it has.
pub fn one_malloc_arena() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt only sets parameters.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 32 << 10);
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 << 10);
    }
}

/// Gives freed memory back to the kernel.
pub fn trim_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: no arguments that could be wrong.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Blocks `signals` and returns a descriptor that reads them (signalfd(2)), close-on-exec and non-blocking.
pub fn signal_fd(signals: &[i32]) -> Result<OwnedFd, Errno> {
    // SAFETY: sigset_t is plain data; the calls initialise it before use.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for &signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        check(libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()))?;
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        check(fd)?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Reads one signal number from a [`signal_fd`]; `None` when there is none now.
pub fn read_signal(fd: BorrowedFd<'_>) -> Option<i32> {
    // SAFETY: the buffer has the size the kernel writes; signalfd_siginfo is plain data.
    unsafe {
        let mut info: libc::signalfd_siginfo = std::mem::zeroed();
        let size = std::mem::size_of::<libc::signalfd_siginfo>();
        let read = libc::read(fd.as_raw_fd(), (&raw mut info).cast(), size);
        (read == size as isize).then_some(info.ssi_signo as i32)
    }
}

/// Whether this process ignores a signal.
pub fn is_ignored(signal: i32) -> bool {
    // SAFETY: sigaction is plain data and only read into; a signal that is none fails.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Sends this process a signal, though it has blocked it. Returns when the signal is ignored or ends nothing.
pub fn raise_unblocked(signal: i32) {
    // SAFETY: sigset_t is plain data; the calls initialise it before use.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::raise(signal);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Unblocks all signals and gives them their default action, as a program expects them at its start.
pub fn reset_signals() {
    // SAFETY: sigset_t and sigaction are plain data; SIG_DFL is always valid; KILL and STOP fail harmlessly.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = libc::SIG_DFL;
        for signal in 1..=64 {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Ended {
    /// A shell's number for it: the code, or 128 + signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// Reaps one ended child, any; `None` when none has ended (or there is none).
pub fn reap_any() -> Option<(i32, Ended)> {
    reap(-1, libc::WNOHANG).ok().flatten()
}

/// Waits for that child.
pub fn wait_for(pid: i32) -> Result<Ended, Errno> {
    loop {
        match reap(pid, 0) {
            Ok(Some((_, ended))) => return Ok(ended),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

fn reap(pid: i32, flags: libc::c_int) -> Result<Option<(i32, Ended)>, Errno> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the result.
    let pid = unsafe { libc::waitpid(pid, &raw mut status, flags) };
    match pid {
        -1 => Err(last()),
        0 => Ok(None),
        pid if libc::WIFSIGNALED(status) => Ok(Some((pid, Ended::Signal(libc::WTERMSIG(status))))),
        pid => Ok(Some((pid, Ended::Code(libc::WEXITSTATUS(status))))),
    }
}

/// Opens a descriptor of a process (kernel 5.3).
pub fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: plain system call.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } as libc::c_int;
    check(fd)?;
    // SAFETY: a new descriptor nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sends a signal to exactly the process of a pidfd.
pub fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    // SAFETY: plain system call; a null siginfo means the same as kill(2).
    check(unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, std::ptr::null::<libc::siginfo_t>(), 0)
    } as libc::c_int)
}

/// Sets one resource limit of this process (setrlimit(2)); `u64::MAX` is none.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<(), Errno> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` outlives the call.
    check(unsafe { libc::setrlimit(resource as _, &raw const limit) })
}

/// Sets the file mode creation mask.
pub fn set_umask(mask: u32) {
    // SAFETY: never fails.
    unsafe { libc::umask(mask) };
}

/// Sets the host name of this UTS namespace.
pub fn set_hostname(name: &str) -> Result<(), Errno> {
    // SAFETY: pointer and length describe the string.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) })
}

/// Sets the NIS domain name of this UTS namespace.
pub fn set_domainname(name: &str) -> Result<(), Errno> {
    // SAFETY: pointer and length describe the string.
    check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) })
}

/// Makes this process the reaper of its orphaned descendants.
pub fn become_subreaper() -> Result<(), Errno> {
    // SAFETY: plain system call.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) })
}

fn check(result: libc::c_int) -> Result<(), Errno> {
    if result == -1 { Err(last()) } else { Ok(()) }
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Closes one descriptor in a child that shares its number with nobody any more.
pub fn close_one(fd: BorrowedFd<'_>) {
    // SAFETY: used in a freshly cloned child, which ends without running the owner's destructor.
    unsafe { libc::close(fd.as_raw_fd()) };
}

/// Closes the descriptors from `first` to `last`.
pub fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: as for `close_from`.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
}

/// fork(2) with nothing else; `None` is the child.
pub fn fork_in_init() -> Result<Option<i32>, Errno> {
    // The plain system call: clone3 is not among those the default filter allows.
    // SAFETY: SIGCHLD alone: a copy of this single-threaded process.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) } as i32;
    check(pid)?;
    Ok((pid != 0).then_some(pid))
}

/// kill(2).
pub fn kill(pid: i32, signal: i32) {
    // SAFETY: plain system call; a process that is gone is no error here.
    unsafe { libc::kill(pid, signal) };
}

/// As [`clone`], but the new process is a child of this one's parent (CLONE_PARENT); `None` is the child, else its
/// pidfd.
pub fn clone_sibling(flags: u64) -> Result<Option<OwnedFd>, Errno> {
    let mut pidfd: RawFd = -1;
    // SAFETY: as in `clone`.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags | libc::CLONE_PIDFD as u64 | libc::CLONE_PARENT as u64;
    args.pidfd = &raw mut pidfd as u64;
    // SAFETY: as in `clone`; called in a freshly cloned, single-threaded child.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, std::mem::size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(last()),
        0 => Ok(None),
        // SAFETY: a new descriptor nobody else owns.
        _ => Ok(Some(unsafe { OwnedFd::from_raw_fd(pidfd) })),
    }
}

/// The pid a pidfd stands for, in this process's pid namespace (`Pid:` of its fdinfo).
pub fn pid_of(pidfd: BorrowedFd<'_>) -> Option<i32> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok()).filter(|&pid| pid > 0)
}

/// The soft and hard limit of this process; `u64::MAX` is none.
pub fn rlimit(resource: u32) -> (u64, u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid place for the result; an unknown resource leaves it as it is.
    unsafe { libc::getrlimit(resource as _, &raw mut limit) };
    (limit.rlim_cur, limit.rlim_max)
}

/// Makes `fd` also number `number`, inherited over exec; in a child about to exec.
pub fn move_fd(fd: BorrowedFd<'_>, number: RawFd) {
    // SAFETY: whoever owned `number` in the parent is not run again in this child. dup2 of a number onto itself keeps
    // close-on-exec, so that is cleared.
    unsafe {
        if fd.as_raw_fd() == number {
            libc::fcntl(number, libc::F_SETFD, 0);
        } else {
            libc::dup2(fd.as_raw_fd(), number);
        }
    }
}
