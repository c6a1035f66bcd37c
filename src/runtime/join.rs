//! A further process in a running container (`exec`): joins all its namespaces, then the same last steps as the first.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::init::{self, Descriptors};
use super::plan::Process;
use super::report::{Failure, Step, at, send};
use crate::sys::process::{self, Cloned, NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER, NEWUTS, PARENT};
use crate::sys::{prctl, socket};
use crate::userns::IdMap;

/// Room for all a child says: the longest is its list of groups.
pub(super) const PACKET: usize = 128 << 10;

/// A process started with [`exec`].
#[derive(Debug)]
pub struct Joined {
    /// In the monitor's pid namespace; a child of the monitor.
    pub pid: i32,
    /// The conversation: a terminal's master (word `t`), a failure, or its end, which means that the program runs.
    pub report: OwnedFd,
}

/// Starts `process` in the container whose first process is `init`. The caller is its monitor: its binary is one nobody
/// can write through, and the new process is its child. `cgroup` is the version 2 cgroup of the container.
pub fn exec(init: BorrowedFd<'_>, process: &Process, mut given: Descriptors, cgroup: Option<&Path>) -> Result<Joined, Failure> {
    let (ours, theirs) = socket::pair().map_err(at(Step::Clone))?;
    let theirs = given.settle(theirs)?;
    let flags = differing(init).map_err(at(Step::Join))?;
    let lead = process::pid_of(init).and_then(|pid| IdMap::of_process(&pid.to_string())).unwrap_or_default().lead();
    let (told, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(at(Step::Clone))?;
    // Joining a pid namespace is for children only and for good: the way back into the host's asks for privileges there.
    // So a helper joins, starts the process as its sibling, our child, says its pid and ends.
    let Some(helper) = process::fork().map_err(at(Step::Clone))? else {
        drop((ours, told));
        let pid = if flags & NEWPID == 0 { Ok(()) } else { process::setns(init, NEWPID) };
        let cloned = pid.and_then(|()| process::clone(PARENT, None));
        let answer = match cloned {
            Ok(Cloned::Parent { pid, .. }) => pid,
            Err(errno) => -errno.raw_os_error(),
            Ok(Cloned::Child) => {
                drop(tell);
                let failure = match enter((init, flags & !NEWPID, lead), process, given, theirs.as_fd(), cgroup) {
                    Ok(never) => match never {},
                    Err(failure) => failure,
                };
                send(theirs.as_fd(), &failure);
                process::exit_now(failure.exit_code());
            }
        };
        let written = rustix::io::write(&tell, &answer.to_ne_bytes());
        process::exit_now(i32::from(written.is_err()));
    };
    drop((theirs, tell));
    let mut answer = [0; 4];
    let heard = rustix::io::retry_on_intr(|| rustix::io::read(&told, &mut answer));
    if let Some(helper) = rustix::process::Pid::from_raw(helper) {
        // It has nothing more to do; a SIGCHLD handler that was quicker is as good.
        let _ = rustix::io::retry_on_intr(|| rustix::process::waitpid(Some(helper), rustix::process::WaitOptions::empty()));
    }
    match (heard, i32::from_ne_bytes(answer)) {
        (Ok(4), pid) if pid > 0 => Ok(Joined { pid, report: ours }),
        (Ok(4), negative) => Err(at(Step::Join)(rustix::io::Errno::from_raw_os_error(-negative))),
        _ => Err(at(Step::Clone)(rustix::io::Errno::CHILD)),
    }
}

enum Never {}

/// Which of its namespaces are not ours. The others are the host's, which an ordinary user cannot join, being there.
fn differing(init: BorrowedFd<'_>) -> Result<u64, rustix::io::Errno> {
    const ALL: [(&str, u64); 7] = [
        ("user", NEWUSER),
        ("mnt", NEWNS),
        ("pid", NEWPID),
        ("net", NEWNET),
        ("ipc", NEWIPC),
        ("uts", NEWUTS),
        ("cgroup", NEWCGROUP),
    ];
    let pid = process::pid_of(init).ok_or(rustix::io::Errno::SRCH)?;
    let mut flags = 0;
    for (name, flag) in ALL {
        let theirs = rustix::fs::stat(format!("/proc/{pid}/ns/{name}"))?;
        let ours = rustix::fs::stat(format!("/proc/self/ns/{name}"))?;
        if theirs.st_ino != ours.st_ino {
            flags |= flag;
        }
    }
    Ok(flags)
}

fn enter((init, flags, lead): (BorrowedFd<'_>, u64, (u32, u32)), process: &Process, given: Descriptors, report: BorrowedFd<'_>, cgroup: Option<&Path>) -> Result<Never, Failure> {
    if let Some(cgroup) = cgroup {
        std::fs::write(cgroup.join("cgroup.procs"), "0")
            .map_err(|error| at(Step::Cgroup)(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO)))?;
    }
    prctl::set_dumpable(false).map_err(at(Step::Join))?;
    process::setns(init, flags).map_err(at(Step::Join))?;
    process::set_ids(lead.0, lead.1).map_err(at(Step::Ids))?;
    rustix::process::setsid().map_err(at(Step::Ids))?;
    let root = rustix::fs::open("/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(at(Step::Join))?;
    let identity = init::look_up(process, root.as_fd())?;
    let slave = init::open_terminal(process, root.as_fd(), report, init::real_ids(process, &identity).0)?;
    drop(root);
    init::streams(slave, given.stdio)?;
    init::become_program(process, &identity, report, &given.extra)
}

/// One packet on a [`Joined::report`].
#[derive(Debug)]
pub enum Said {
    /// A terminal's master.
    Terminal(OwnedFd),
    /// The listener of its second filter, and what it says of itself.
    Listener(OwnedFd, Vec<u8>),
    /// It failed before the program ran.
    Failed(Failure),
    /// The program runs.
    Running,
}

/// Reads one packet.
pub fn hear(report: BorrowedFd<'_>) -> Said {
    let mut buffer = vec![0_u8; PACKET];
    let mut fds = Vec::new();
    match socket::receive(report, &mut buffer, &mut fds, true) {
        Ok(0) | Err(rustix::io::Errno::CONNRESET) => Said::Running,
        Ok(size) => match (buffer[0], fds.pop()) {
            (init::word::TERMINAL, Some(master)) => Said::Terminal(master),
            (init::word::LISTENER, Some(listener)) => Said::Listener(listener, buffer[1..size].to_vec()),
            _ => Said::Failed(
                serde_json::from_slice(&buffer[..size])
                    .unwrap_or_else(|_| Failure::new(Step::Exec, rustix::io::Errno::PROTO)),
            ),
        },
        Err(errno) => Said::Failed(Failure::new(Step::Exec, errno)),
    }
}
