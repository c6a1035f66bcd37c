//! The first process of a container between clone and exec, and the steps an `exec` shares with it.
//!
//! Runs single-threaded in a copy of the monitor's memory, as root of the container's user namespace. Order matters:
//! everything that needs privileges comes before the ids change, the system call filter comes last but for exec.

use std::ffi::CString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::fakes::ids::Identity;
use super::fakes::{Hello, OneId};
use super::plan::{Namespace, Plan, Process, users};
use super::report::{Failure, Step, at, nth};
use super::{report, rootfs, terminal};
use crate::spec::user::KEEP_GROUPS;
use crate::sys::process::{self, CStrings};
use crate::sys::seccomp::BpfInsn;
use crate::sys::{caps, prctl, root, seccomp, socket};

/// Standard streams of a process without a terminal.
#[derive(Debug)]
pub struct Stdio {
    /// Read by the process.
    pub stdin: OwnedFd,
    /// Written by it.
    pub stdout: OwnedFd,
    /// Written by it.
    pub stderr: OwnedFd,
}

/// The descriptors a process begins with.
#[derive(Debug, Default)]
pub struct Descriptors {
    /// Standard streams, unless it gets a terminal.
    pub stdio: Option<Stdio>,
    /// Those on 3 and up (`--preserve-fds`).
    pub extra: Vec<OwnedFd>,
}

impl Descriptors {
    /// Before the clone: what the process gets on 3 and up, and what it reports on, move out of the way of those numbers.
    pub(super) fn settle(&mut self, report: OwnedFd) -> Result<OwnedFd, Failure> {
        if self.extra.is_empty() {
            return Ok(report);
        }
        let free = first_closed(&self.extra);
        let above = |fd: &OwnedFd| rustix::io::fcntl_dupfd_cloexec(fd, free).map_err(at(Step::Clone));
        self.extra = self.extra.iter().map(above).collect::<Result<_, _>>()?;
        above(&report)
    }
}

/// The first number above what a process keeps.
fn first_closed(extra: &[OwnedFd]) -> i32 {
    i32::try_from(extra.len()).map_or(i32::MAX, |count| 3 + count)
}

/// Packets the parent sends on the report socket.
pub(super) mod word {
    /// The id maps are written.
    pub(crate) const MAPPED: u8 = b'm';
    /// The network is up: go.
    pub(crate) const GO: u8 = b'g';
    /// From the child: the device of a root that the parent is to serve comes with it.
    pub(crate) const FUSE: u8 = b'f';
    /// From the child: something to be done for it ([`crate::runtime::errand`]).
    pub(crate) const ERRAND: u8 = b'e';
    /// From the child: a terminal's master comes with it.
    pub(crate) const TERMINAL: u8 = b't';
    /// From the child: the listener of its second filter comes with it; its [`super::Hello`] follows in the packet.
    pub(crate) const LISTENER: u8 = b'l';
}

/// Waits for one word of the parent; a parent that is gone ends this process.
fn await_word(report: BorrowedFd<'_>, expected: u8) -> Result<(), Errno> {
    let mut buffer = [0_u8; 8];
    let mut fds = Vec::new();
    match socket::receive(report, &mut buffer, &mut fds, true)? {
        1 if buffer[0] == expected => Ok(()),
        0 => process::exit_now(1),
        _ => Err(Errno::PROTO),
    }
}

/// Builds the container and becomes its program; returns only what went wrong. `report` is close-on-exec.
pub(super) fn run(plan: &Plan, report: BorrowedFd<'_>, given: Descriptors) -> Failure {
    match build(plan, report, given) {
        Ok(never) => match never {},
        Err(failure) => failure,
    }
}

enum Never {}

fn build(plan: &Plan, report: BorrowedFd<'_>, given: Descriptors) -> Result<Never, Failure> {
    prctl::set_dumpable(false).map_err(at(Step::Ids))?;
    await_word(report, word::MAPPED).map_err(at(Step::Ids))?;
    // Still with the user's own id, mapped or not: it may open what is only the user's.
    let sources = rootfs::open_sources(plan, report)?;
    let root_fd = rootfs::mount_root(plan, report)?;
    let (uid, gid) = plan.map.lead();
    process::set_ids(uid, gid).map_err(at(Step::Ids))?;
    rustix::process::setsid().map_err(at(Step::Ids))?;
    if plan.namespaces.cgroup == Namespace::New {
        // Here, in the container's own cgroup: that is the root it will see (CVE-2023-25809).
        process::unshare(process::NEWCGROUP).map_err(at(Step::Cgroup))?;
    }
    names(plan)?;
    if plan.loopback {
        crate::sys::loopback::up().map_err(at(Step::Loopback))?;
    }
    process::set_umask(0o022);
    super::accounts::add(plan, root_fd.as_fd())?;
    rootfs::mount_all(plan, sources, root_fd.as_fd(), report)?;
    rootfs::sysctls(plan, root_fd.as_fd())?;
    let identity = look_up(&plan.process, root_fd.as_fd())?;
    let slave = open_terminal(&plan.process, root_fd.as_fd(), report, real_ids(&plan.process, &identity).0)?;
    if let Some(slave) = &slave {
        rootfs::console(root_fd.as_fd(), slave.as_fd())?;
    }
    rootfs::protect(plan, root_fd.as_fd())?;
    rootfs::pivot(plan, root_fd.as_fd())?;
    drop(root_fd);
    streams(slave, given.stdio)?;
    await_word(report, word::GO).map_err(at(Step::Network))?;
    become_program(&plan.process, &identity, report, &given.extra)
}

fn names(plan: &Plan) -> Result<(), Failure> {
    if plan.namespaces.uts == Namespace::New {
        if let Some(name) = &plan.hostname {
            process::set_hostname(name).map_err(at(Step::Hostname))?;
        }
        if let Some(name) = &plan.domainname {
            process::set_domainname(name).map_err(at(Step::Hostname))?;
        }
    }
    Ok(())
}

/// Finds the user and its groups in the files of the container's own root.
pub(super) fn look_up(process: &Process, root_fd: BorrowedFd<'_>) -> Result<users::Identity, Failure> {
    let read = |path: &str| -> Vec<u8> {
        let Ok(file) = root::open(root_fd, Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY) else {
            return Vec::new();
        };
        let regular = rustix::fs::fstat(&file)
            .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile);
        let mut bytes = Vec::new();
        if regular {
            use std::io::Read;
            drop(std::fs::File::from(file).take(users::MAX_FILE).read_to_end(&mut bytes));
        }
        bytes
    };
    users::resolve(&read("/etc/passwd"), &read("/etc/group"), &process.user, &process.groups)
        .map_err(|error| Failure { detail: error.to_string(), ..Failure::new(Step::User, Errno::INVAL) })
}

/// Opens the terminal in the container's devpts and hands its master to the parent.
pub(super) fn open_terminal(
    process: &Process,
    root_fd: BorrowedFd<'_>,
    report: BorrowedFd<'_>,
    uid: u32,
) -> Result<Option<OwnedFd>, Failure> {
    if !process.tty {
        return Ok(None);
    }
    let open = || {
        let (master, slave) = terminal::open(root_fd, process.size)?;
        rustix::fs::fchown(&slave, Some(rustix::fs::Uid::from_raw(uid)), None)?;
        socket::send(report, &[std::io::IoSlice::new(&[word::TERMINAL])], &[master.as_fd()], true)?;
        Ok(slave)
    };
    open().map(Some).map_err(at(Step::Terminal))
}

/// Puts the terminal or the pipes on 0, 1 and 2.
pub(super) fn streams(slave: Option<OwnedFd>, stdio: Option<Stdio>) -> Result<(), Failure> {
    match (slave, stdio) {
        (Some(slave), _) => terminal::adopt(slave.as_fd()),
        (None, Some(stdio)) => terminal::stdio(stdio.stdin.as_fd(), stdio.stdout.as_fd(), stdio.stderr.as_fd()),
        (None, None) => Ok(()),
    }
    .map_err(at(Step::Terminal))
}

/// The last steps, shared by run and exec: limits, directory, ids, capabilities, filter, exec.
pub(super) fn become_program<T>(
    program: &Process,
    identity: &users::Identity,
    report: BorrowedFd<'_>,
    extra: &[OwnedFd],
) -> Result<T, Failure> {
    for (index, &(resource, soft, hard)) in program.rlimits.iter().enumerate() {
        process::set_rlimit(resource, soft, hard).map_err(nth(Step::Limit, index))?;
    }
    if let Some(score) = program.oom_score_adj {
        let file = rustix::fs::open("/proc/self/oom_score_adj", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(at(Step::OomScore))?;
        rustix::io::write(&file, score.to_string().as_bytes()).map_err(at(Step::OomScore))?;
    }
    // Nothing but the streams, what is preserved and the report stays open: a working directory cannot be a leaked one (CVE-2024-21626).
    keep_only(report, extra);
    work_dir(program)?;
    process::set_umask(program.umask);
    process::reset_signals();
    prctl::set_keep_caps(true).map_err(at(Step::Caps))?;
    caps::set_ambient(0).map_err(at(Step::Caps))?;
    caps::limit_bounding(program.caps).map_err(at(Step::Caps))?;
    let all = caps::known();
    caps::set(all, all, 0).map_err(at(Step::Caps))?;
    let (uid, gid) = real_ids(program, identity);
    let other = |errno| Failure { detail: format!("{}:{}", identity.uid, identity.gid), ..Failure::new(Step::Ids, errno) };
    // A single-id namespace has no groups to choose from; there is nothing to drop either.
    if program.one_id.is_none() && !program.groups.iter().any(|group| group == KEEP_GROUPS) {
        process::set_groups(&identity.groups).map_err(|errno| {
            // One of them is not mapped: the highest, in all likelihood.
            let highest = identity.groups.iter().max().filter(|highest| **highest > identity.uid.max(identity.gid));
            let group = highest.map_or(String::new(), |group| format!(" in group {group}"));
            let failure = other(errno);
            Failure { detail: failure.detail + &group, ..failure }
        })?;
    }
    let one = program.one_id.as_ref().map(|one| one.for_user(identity.uid, identity.gid).ok_or_else(|| other(Errno::INVAL)));
    let one = one.transpose()?;
    process::set_ids(uid, gid).map_err(other)?;
    // Still all of the namespace's: a filter needs CAP_SYS_ADMIN without no_new_privs. exec takes them from all but
    // root, who keeps the bounding set.
    let ambient = match (uid, identity.uid) {
        (0, _) => 0,
        // Root by belief: what root has, whoever the kernel takes it for.
        (_, 0) => program.caps & all,
        _ => program.ambient & program.caps & all,
    };
    caps::set(all, all, ambient).map_err(at(Step::Caps))?;
    if ambient != 0 {
        caps::set_ambient(ambient).map_err(at(Step::Caps))?;
    }
    // A change of ids clears it. A monitor that has died meanwhile has closed its end.
    prctl::set_parent_death_signal(libc::SIGKILL).map_err(at(Step::Ids))?;
    let mut word = [0_u8; 1];
    if socket::receive(report, &mut word, &mut Vec::new(), false) == Ok(0) {
        process::exit_now(1);
    }
    if program.no_new_privs {
        prctl::set_no_new_privs().map_err(at(Step::Caps))?;
    }
    let argv = CStrings::new(&program.argv);
    let env = environment(program, identity);
    let candidates = candidates(program, &env);
    let env = CStrings::new(&env);
    if let Some(one) = &one {
        fakes(one, identity, report)?;
    }
    if program.init {
        return run_init(program, &candidates, &argv, &env, report);
    }
    filter(program)?;
    Err(execute(&candidates, &argv, &env))
}

/// Closes all descriptors but the streams, one, and those that go on 3 and up: all above these numbers, see
/// [`Descriptors::settle`].
fn keep_only(fd: BorrowedFd<'_>, extra: &[OwnedFd]) {
    use std::os::fd::AsRawFd;
    for (number, extra) in (3..).zip(extra) {
        process::move_fd(extra.as_fd(), number);
    }
    let (kept, first) = (fd.as_raw_fd(), first_closed(extra));
    if kept > first {
        process::close_range(first, kept - 1);
    }
    process::close_from(kept + 1);
}

fn work_dir(program: &Process) -> Result<(), Failure> {
    let path = if program.cwd.is_empty() { "/" } else { program.cwd.as_str() };
    let fail = |errno| Failure { detail: path.to_owned(), ..Failure::new(Step::WorkDir, errno) };
    match rustix::process::chdir(path) {
        Err(Errno::NOENT) if program.make_cwd => {
            let slash = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(fail)?;
            let made = root::ensure(slash.as_fd(), Path::new(path), root::Kind::Dir).map_err(fail)?;
            drop(made);
            rustix::process::chdir(path).map_err(fail)?;
        }
        other => other.map_err(fail)?,
    }
    // The kernel names a directory outside the root "(unreachable)…".
    let place = rustix::process::getcwd(Vec::new()).map_err(fail)?;
    if place.as_bytes().first() == Some(&b'/') { Ok(()) } else { Err(fail(Errno::XDEV)) }
}

fn environment(program: &Process, identity: &users::Identity) -> Vec<String> {
    let mut env = program.env.clone();
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        env.push(format!("HOME={}", identity.home));
    }
    env
}

/// Where the program may be: the path itself, or below each directory of PATH.
fn candidates(program: &Process, env: &[String]) -> Vec<CString> {
    let name = program.argv.first().map_or("", String::as_str);
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default();
    let names: Vec<String> = if name.contains('/') {
        vec![name.to_owned()]
    } else if name.is_empty() {
        Vec::new()
    } else {
        path.split(':').filter(|dir| dir.starts_with('/')).map(|dir| format!("{dir}/{name}")).collect()
    };
    names.into_iter().filter_map(|name| CString::new(name).ok()).collect()
}

/// The ids the process gets of the kernel: with one id mapped, that one.
pub(super) fn real_ids(program: &Process, identity: &users::Identity) -> (u32, u32) {
    program.one_id.as_ref().map_or((identity.uid, identity.gid), |one| (one.uid, one.gid))
}

/// Loads the filter that fakes ids, before the other one, which may forbid loading filters, and sends its listener.
fn fakes(one: &OneId, identity: &users::Identity, report: BorrowedFd<'_>) -> Result<(), Failure> {
    if one.filter.is_empty() {
        return Ok(());
    }
    let (uid, gid) = (one.uid, one.gid);
    let who = if one.full { Identity::new(identity.uid, identity.gid, identity.groups.clone()) } else { Identity::new(uid, gid, vec![gid]) };
    let mut packet = vec![word::LISTENER];
    serde_json::to_writer(&mut packet, &Hello { uid, gid, full: one.full, identity: who }).map_err(|_| at(Step::Seccomp)(Errno::INVAL))?;
    let instructions: Vec<BpfInsn> = one.filter.iter().map(|&packed| BpfInsn::from(packed)).collect();
    let listener = if one.notify {
        let flags = seccomp::FilterFlags::NEW_LISTENER;
        match seccomp::load_filter(&instructions, flags.union(seccomp::FilterFlags::WAIT_KILLABLE_RECV)) {
            // Before kernel 5.19.
            Err(Errno::INVAL) => seccomp::load_filter(&instructions, flags),
            other => other,
        }
    } else {
        seccomp::load_filter(&instructions, seccomp::FilterFlags::NONE)
    }
    .map_err(at(Step::Seccomp))?;
    match listener {
        Some(listener) => socket::send(report, &[std::io::IoSlice::new(&packet)], &[listener.as_fd()], true).map_err(at(Step::Seccomp)),
        None => Ok(()),
    }
}

fn filter(program: &Process) -> Result<(), Failure> {
    if program.seccomp.is_empty() {
        return Ok(());
    }
    let instructions: Vec<BpfInsn> = program.seccomp.iter().map(|&packed| BpfInsn::from(packed)).collect();
    seccomp::load_filter(&instructions, seccomp::FilterFlags::NONE).map(drop).map_err(at(Step::Seccomp))
}

/// Tries each candidate; what matters most of what went wrong: a file that could not be executed, else none found.
fn execute(candidates: &[CString], argv: &CStrings, env: &CStrings) -> Failure {
    let mut worst = Errno::NOENT;
    for candidate in candidates {
        match process::exec(candidate, argv, env) {
            Errno::NOENT | Errno::NOTDIR => {}
            errno => worst = errno,
        }
    }
    Failure::new(Step::Exec, worst)
}

/// Process 1 of a container with `--init`: starts the program, passes signals on, reaps, ends as the program did.
fn run_init<T>(
    program: &Process,
    candidates: &[CString],
    argv: &CStrings,
    env: &CStrings,
    report: BorrowedFd<'_>,
) -> Result<T, Failure> {
    filter(program)?;
    let all: Vec<i32> = (1..=64).filter(|&signal| !matches!(signal, libc::SIGKILL | libc::SIGSTOP)).collect();
    let signals = process::signal_fd(&all).map_err(at(Step::Exec))?;
    match process::fork_in_init().map_err(at(Step::Exec))? {
        None => {
            process::reset_signals();
            let _ = rustix::process::setpgid(None, None);
            let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpid());
            report::send(report, &execute(candidates, argv, env));
            process::exit_now(127);
        }
        Some(child) => {
            keep_only(signals.as_fd(), &[]);
            init_loop(child, &signals)
        }
    }
}

fn init_loop(child: i32, signals: &OwnedFd) -> ! {
    use rustix::event::{PollFd, PollFlags, poll};
    loop {
        let _ = poll(&mut [PollFd::new(signals, PollFlags::IN)], None);
        while let Some(signal) = process::read_signal(signals.as_fd()) {
            if signal == libc::SIGCHLD {
                while let Some((pid, ended)) = process::reap_any() {
                    if pid == child {
                        process::exit_now(ended.code());
                    }
                }
            } else if !matches!(signal, libc::SIGTTIN | libc::SIGTTOU) {
                process::kill(child, signal);
            }
        }
    }
}
