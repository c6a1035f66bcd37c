//! The way to the holder: for monitors, who start one when there is none, and for commands, who only ask.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use super::protocol::{self, Member, Reply, Request, Wish};

pub use super::protocol::FoundName;
use crate::network::store::NetworkRecord;
use crate::state::files;
use crate::state::lease::Lease;
use crate::sys::socket;

/// Its socket in the runtime directory is `net-` and the number of the user namespace it is in: one that is just leaving
/// the namespace of containers that have ended is of no use to those of another.
const PREFIX: &str = "net-";
/// Held while one is started.
const LOCK: &str = "net.lock";
/// Holders that may end under our request before we give up: one that was just leaving, one that was killed.
const TRIES: u32 = 5;
/// How long an answer may take. A crowd of containers starting at once waits in line.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why the holder did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum HolderError {
    /// It says why.
    #[error("{0}")]
    Refused(String),
    /// It cannot be started or reached.
    #[error("cannot reach the holder of the user networks: {operation}: {source}")]
    System {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// Several ended before they answered.
    #[error("the holder of the user networks ended {TRIES} times before it answered; `kelp doctor` checks what it needs")]
    Dying,
    /// There is none.
    #[error("no container is on a user network")]
    None,
}

fn system(operation: &'static str) -> impl Fn(Errno) -> HolderError {
    move |errno| HolderError::System { operation, source: errno.into() }
}

/// The name of the socket of a holder in the caller's user namespace.
fn socket_name() -> Result<String, HolderError> {
    let namespace = rustix::fs::stat("/proc/self/ns/user").map_err(system("look at its user namespace"))?;
    Ok(format!("{PREFIX}{:x}", namespace.st_ino))
}

/// The sockets of all holders, also of those that are no more.
fn sockets(run: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(run).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())).map(|entry| entry.path()).collect()
}

/// A container's place in the holder; it leaves all networks when this is dropped.
#[derive(Debug)]
pub struct Plug {
    socket: OwnedFd,
}

impl Plug {
    /// Puts a container on its networks, starting a holder if there is none. Call in the user's namespace and in the
    /// host's network.
    ///
    /// # Errors
    /// What the holder says, or why there is none.
    pub fn attach(run: &Path, netns: BorrowedFd<'_>, member: &Member, wishes: &[Wish]) -> Result<(Self, Vec<Lease>), HolderError> {
        let request = Request::Attach { member: member.clone(), wishes: wishes.to_vec() };
        for _ in 0..TRIES {
            let socket = connect_or_start(run)?;
            // One that is leaving does not take it, or takes it and leaves.
            if protocol::send(socket.as_fd(), &request, &[netns]).is_err() {
                continue;
            }
            match answer(socket.as_fd())? {
                Some(Reply::Leases(leases)) => return Ok((Self { socket }, leases)),
                Some(Reply::Error { message }) => return Err(HolderError::Refused(message)),
                Some(_) => return Err(system("answer")(Errno::PROTO)),
                None => {}
            }
        }
        Err(HolderError::Dying)
    }

    /// Becomes readable when the holder has ended.
    pub fn end_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// One more network.
    ///
    /// # Errors
    /// What the holder says.
    pub fn connect(&self, netns: BorrowedFd<'_>, wish: &Wish) -> Result<Lease, HolderError> {
        match self.ask(&Request::Connect { wish: Box::new(wish.clone()) }, &[netns])? {
            Reply::Leases(mut leases) if leases.len() == 1 => Ok(leases.remove(0)),
            _ => Err(system("answer")(Errno::PROTO)),
        }
    }

    /// One network less.
    ///
    /// # Errors
    /// What the holder says.
    pub fn disconnect(&self, netns: BorrowedFd<'_>, network: &str) -> Result<(), HolderError> {
        self.ask(&Request::Disconnect { network: network.to_owned() }, &[netns]).map(drop)
    }

    /// The container has another name.
    ///
    /// # Errors
    /// What the holder says.
    pub fn rename(&self, name: &str) -> Result<(), HolderError> {
        self.ask(&Request::Rename { name: name.to_owned() }, &[]).map(drop)
    }

    fn ask(&self, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<Reply, HolderError> {
        protocol::send(self.socket.as_fd(), request, fds).map_err(system("send"))?;
        refused(answer(self.socket.as_fd())?.ok_or(HolderError::Dying)?)
    }
}

fn refused(reply: Reply) -> Result<Reply, HolderError> {
    if let Reply::Error { message } = reply { Err(HolderError::Refused(message)) } else { Ok(reply) }
}

/// Removes the sockets of holders that are no more, unless one is being started just now.
pub(super) fn sweep(run: &Path) {
    let lock = File::options().create(true).truncate(false).write(true).open(run.join(LOCK));
    let Ok(lock) = lock else { return };
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
        remove_stale(run);
    }
}

fn remove_stale(run: &Path) {
    for stale in sockets(run).iter().filter(|stale| socket::connect(stale).is_err()) {
        drop(std::fs::remove_file(stale));
    }
}

/// Asks the holder that is there. May be called from outside of the user's namespace.
fn ask(run: &Path, request: &Request) -> Result<Reply, HolderError> {
    let socket = sockets(run).iter().find_map(|path| socket::connect(path).ok()).ok_or(HolderError::None)?;
    protocol::send(socket.as_fd(), request, &[]).map_err(|_| HolderError::None)?;
    refused(answer(socket.as_fd())?.ok_or(HolderError::None)?)
}

/// What a name means on each network.
///
/// # Errors
/// [`HolderError::None`] when there is no holder.
pub fn resolve(run: &Path, name: &str) -> Result<Vec<FoundName>, HolderError> {
    match ask(run, &Request::Resolve { name: name.to_owned() })? {
        Reply::Found(found) => Ok(found),
        _ => Err(system("answer")(Errno::PROTO)),
    }
}

/// The holder's process id, in this pid namespace.
///
/// # Errors
/// [`HolderError::None`] when there is no holder.
pub fn pid(run: &Path) -> Result<u32, HolderError> {
    match ask(run, &Request::Status)? {
        Reply::Pid(pid) => Ok(pid),
        _ => Err(system("answer")(Errno::PROTO)),
    }
}

/// The network namespace of the holder, which is started if there is none, and a connection that keeps it. Call in the
/// user's namespace and in the host's network.
///
/// # Errors
/// What the holder says, or why there is none.
pub fn visit(run: &Path) -> Result<(OwnedFd, OwnedFd), HolderError> {
    for _ in 0..TRIES {
        let socket = connect_or_start(run)?;
        if protocol::send(socket.as_fd(), &Request::Visit, &[]).is_err() {
            continue;
        }
        let Some((reply, mut fds)) = packet(socket.as_fd())? else { continue };
        refused(reply)?;
        return Ok((fds.pop().ok_or(Errno::PROTO).map_err(system("answer"))?, socket));
    }
    Err(HolderError::Dying)
}

/// Tells the holder, if there is one, that a network's name servers have changed.
///
/// # Errors
/// What it says.
pub fn update(run: &Path, network: &NetworkRecord) -> Result<(), HolderError> {
    match ask(run, &Request::Update { network: network.clone() }) {
        Err(HolderError::None) | Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The next packet; `None` when the connection has ended.
fn answer(socket: BorrowedFd<'_>) -> Result<Option<Reply>, HolderError> {
    Ok(packet(socket)?.map(|(reply, _)| reply))
}

/// As [`answer`], with the descriptors that come along.
fn packet(socket: BorrowedFd<'_>) -> Result<Option<(Reply, Vec<OwnedFd>)>, HolderError> {
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    let timeout = Timespec::try_from(PATIENCE).unwrap_or_default();
    loop {
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) => return Err(system("wait for an answer")(Errno::TIMEDOUT)),
            Ok(_) => break,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(system("poll")(errno)),
        }
    }
    protocol::receive(socket, true).map_err(system("receive"))
}

fn connect_or_start(run: &Path) -> Result<OwnedFd, HolderError> {
    let name = socket_name()?;
    let path = run.join(&name);
    if let Ok(socket) = socket::connect(&path) {
        return Ok(socket);
    }
    files::make_private_dir(run).map_err(|error| HolderError::Refused(error.to_string()))?;
    let lock = File::options().create(true).truncate(false).write(true).open(run.join(LOCK));
    let lock = lock.map_err(|source| HolderError::System { operation: "open its lock", source })?;
    flock(&lock, FlockOperation::LockExclusive).map_err(system("lock"))?;
    // Somebody else may have started one meanwhile.
    if let Ok(socket) = socket::connect(&path) {
        return Ok(socket);
    }
    // What is left of holders that were killed.
    remove_stale(run);
    start(run, &name)?;
    socket::connect(&path).map_err(system("connect"))
}

/// Starts a holder on a socket that listens already: requests wait in it until it is ready.
fn start(run: &Path, name: &str) -> Result<(), HolderError> {
    let dir = rustix::fs::open(run, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let dir = dir.map_err(system("open the runtime directory"))?;
    let listener = socket::listen(dir.as_fd(), name).map_err(system("listen"))?;
    // Its parent is this monitor until that ends; it is never waited for by name.
    let child = Command::new("/proc/self/exe")
        .arg0("kelp")
        .arg(super::ROLE)
        // For who looks at the list of processes, and to leave nothing there.
        .arg(run)
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .stdin(listener)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn();
    child.map(drop).map_err(|source| HolderError::System { operation: "start it", source })
}
