//! The parent's side of a start: clone, id maps, terminal, go.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;

use super::errand::{self, Errands};
use super::init::{self, Descriptors, word};
use super::plan::{Namespace, Namespaces, Plan};
use super::report::{Failure, Step, at, send};
use super::rootfs;
use crate::sys::process::{self, Cloned, NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER, NEWUTS};
use crate::sys::{prctl, socket};
use crate::userns::IdMap;

/// A container's first process, set up or being so; not yet told to go.
#[derive(Debug)]
pub struct Launched {
    /// In the monitor's pid namespace.
    pub pid: i32,
    /// Of the same process.
    pub pidfd: OwnedFd,
    /// Its side of the conversation.
    report: OwnedFd,
    /// What it may ask for.
    errands: Errands,
}

/// What the process reached.
#[derive(Debug)]
pub enum Progress {
    /// A terminal's master.
    Terminal(OwnedFd),
    /// The `/dev/fuse` of the root file system, to be served.
    Fuse(OwnedFd),
    /// The listener of its second filter, and what it says of itself.
    Listener(OwnedFd, Vec<u8>),
    /// The program runs.
    Running,
}

/// Descriptors a launch needs beside the plan.
#[derive(Debug, Default)]
pub struct Handles {
    /// What the process itself gets.
    pub given: Descriptors,
    /// A process of the container whose namespaces are joined.
    pub join: Option<OwnedFd>,
    /// A version 2 cgroup to be born in.
    pub cgroup: Option<OwnedFd>,
}

/// Clones the first process and lets it build the container up to the point where it waits for [`Launched::go`].
/// The caller is uid 0 of the user's namespace and has one thread.
pub fn launch(plan: &Plan, mut handles: Handles) -> Result<Launched, Failure> {
    rootfs::make_uppers(plan)?;
    let (ours, theirs) = socket::pair().map_err(at(Step::Clone))?;
    let theirs = handles.given.settle(theirs)?;
    // Another process joins what there is to join, and makes the container's from there: nobody comes back from another
    // user namespace, nor to the host's network.
    let joins = handles.join.is_some() || plan.network_path.is_some();
    let errands = Errands::of(plan);
    let flags = if joins { 0 } else { flags_of(plan.namespaces) | NEWUSER | NEWNS };
    let launched = match process::clone(flags, handles.cgroup.as_ref().map(AsFd::as_fd)).map_err(at(Step::Clone))? {
        Cloned::Child if joins => joined_child(plan, handles.join.as_ref().map(AsFd::as_fd), ours, theirs, handles.given),
        Cloned::Child => child(plan, ours, theirs, handles.given),
        Cloned::Parent { pid, .. } if joins => {
            drop(theirs);
            second_process(pid, ours, errands)?
        }
        Cloned::Parent { pid, pidfd } => {
            drop(theirs);
            Launched { pid, pidfd, report: ours, errands }
        }
    };
    if handles.join.is_none() {
        write_maps(launched.pid, &plan.map)?;
    }
    launched.say(word::MAPPED).map_err(at(Step::Ids))?;
    Ok(launched)
}

/// Not the cgroup namespace: clone(2) would root it in our cgroup, not in the one the child is born in. The child makes it.
fn flags_of(namespaces: Namespaces) -> u64 {
    [
        (namespaces.pid, NEWPID),
        (namespaces.net, NEWNET),
        (namespaces.ipc, NEWIPC),
        (namespaces.uts, NEWUTS),
    ]
    .into_iter()
    .filter_map(|(namespace, flag)| (namespace == Namespace::New).then_some(flag))
    .fold(0, |all, flag| all | flag)
}

fn child(plan: &Plan, ours: OwnedFd, theirs: OwnedFd, given: Descriptors) -> ! {
    drop(ours);
    let _ = prctl::set_parent_death_signal(libc::SIGKILL);
    let failure = init::run(plan, theirs.as_fd(), given);
    send(theirs.as_fd(), &failure);
    process::exit_now(failure.exit_code());
}

/// Joins what the plan says, then clones once more, as a child of the monitor, so that new pid namespaces take effect.
fn joined_child(plan: &Plan, join: Option<BorrowedFd<'_>>, ours: OwnedFd, theirs: OwnedFd, given: Descriptors) -> ! {
    let entered = match (join, &plan.network_path) {
        (Some(join), _) => join_container(plan.namespaces, join),
        (None, Some(path)) => enter_network(path).map(|()| NEWUSER),
        (None, None) => Ok(NEWUSER),
    };
    let result = entered.and_then(|user| {
        process::clone_sibling(flags_of(plan.namespaces) | user | NEWNS).map_err(at(Step::Clone))
    });
    match result {
        Ok(None) => child(plan, ours, theirs, given),
        Ok(Some(pidfd)) => {
            let sent = socket::send(theirs.as_fd(), &[IoSlice::new(b"p")], &[pidfd.as_fd()], true);
            process::exit_now(i32::from(sent.is_err()));
        }
        Err(failure) => {
            send(theirs.as_fd(), &failure);
            process::exit_now(1);
        }
    }
}

/// Another container's user namespace and others of its namespaces. Returns the flags that make a user namespace: none.
fn join_container(namespaces: Namespaces, join: BorrowedFd<'_>) -> Result<u64, Failure> {
    let joined = [
        (namespaces.pid, NEWPID),
        (namespaces.net, NEWNET),
        (namespaces.ipc, NEWIPC),
        (namespaces.uts, NEWUTS),
        (namespaces.cgroup, NEWCGROUP),
    ]
    .into_iter()
    .filter_map(|(namespace, flag)| (namespace == Namespace::Join).then_some(flag))
    .fold(NEWUSER, |all, flag| all | flag);
    process::setns(join, joined).map_err(at(Step::Join))?;
    // Also between this moment and the exec nobody in that container may look at us.
    prctl::set_dumpable(false).map_err(at(Step::Join))?;
    let (uid, gid) = IdMap::of_process("self").unwrap_or_default().lead();
    process::set_ids(uid, gid).map_err(at(Step::Join))?;
    Ok(0)
}

/// The network namespace at a path, which must be one below the user's namespace.
fn enter_network(path: &str) -> Result<(), Failure> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let netns = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).map_err(at(Step::NetworkPath))?;
    process::setns(netns.as_fd(), NEWNET).map_err(at(Step::NetworkPath))
}

/// Receives the pidfd of the process the intermediate one made, and reaps that.
fn second_process(intermediate: i32, ours: OwnedFd, errands: Errands) -> Result<Launched, Failure> {
    let mut buffer = vec![0_u8; 4096];
    let mut fds = Vec::new();
    let size = socket::receive(ours.as_fd(), &mut buffer, &mut fds, true).map_err(at(Step::Join))?;
    let _ = process::wait_for(intermediate);
    let Some(pidfd) = fds.pop() else { return Err(failure_in(&buffer[..size], Step::Join)) };
    let pid = process::pid_of(pidfd.as_fd()).ok_or(Errno::SRCH).map_err(at(Step::Join))?;
    Ok(Launched { pid, pidfd, report: ours, errands })
}

fn failure_in(packet: &[u8], otherwise: Step) -> Failure {
    serde_json::from_slice(packet).unwrap_or_else(|_| Failure::new(otherwise, Errno::SRCH))
}

fn write_maps(pid: i32, map: &IdMap) -> Result<(), Failure> {
    crate::userns::write_maps(pid, map).map_err(at(Step::Ids))
}

impl Launched {
    fn say(&self, word: u8) -> Result<(), Errno> {
        socket::send(self.report.as_fd(), &[IoSlice::new(&[word])], &[], true)
    }

    /// Everything outside is ready: the process may become the program. A process that has already failed says why in
    /// [`Self::next`].
    pub fn go(&self) {
        let _ = self.say(word::GO);
    }

    /// Waits for the next thing the process reached, and does its errands until then. After [`Progress::Running`] there is nothing more.
    pub fn next(&self) -> Result<Progress, Failure> {
        let mut buffer = vec![0_u8; super::join::PACKET];
        let mut fds = Vec::new();
        let size = loop {
            match socket::receive(self.report.as_fd(), &mut buffer, &mut fds, true) {
                Ok(0) => return Ok(Progress::Running),
                Ok(size) if buffer[0] == word::ERRAND => errand::serve(&self.errands, self.pid, &buffer[1..size], std::mem::take(&mut fds)),
                Ok(size) => break size,
                // What the end of the program, or of a process killed before it, looks like when unread words remain.
                Err(Errno::CONNRESET) => return Ok(Progress::Running),
                Err(errno) => return Err(Failure::new(Step::Exec, errno)),
            }
        };
        match (buffer[..size].first(), fds.pop()) {
            (Some(&word::TERMINAL), Some(master)) => Ok(Progress::Terminal(master)),
            (Some(&word::FUSE), Some(device)) => Ok(Progress::Fuse(device)),
            (Some(&word::LISTENER), Some(listener)) => Ok(Progress::Listener(listener, buffer[1..size].to_vec())),
            _ => Err(failure_in(&buffer[..size], Step::Exec)),
        }
    }

    /// What the process has said it failed with. Who cannot do something outside because the process is gone gives this
    /// reason; nothing more can be had from the conversation after it.
    pub fn failure(&self) -> Option<Failure> {
        let mut buffer = vec![0_u8; super::join::PACKET];
        let mut fds = Vec::new();
        while let Ok(size @ 1..) = socket::receive(self.report.as_fd(), &mut buffer, &mut fds, false) {
            if let Ok(failure) = serde_json::from_slice(&buffer[..size]) {
                return Some(failure);
            }
        }
        None
    }

    /// The conversation, to be polled.
    pub fn report(&self) -> BorrowedFd<'_> {
        self.report.as_fd()
    }
}
