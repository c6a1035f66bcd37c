//! The process: started by the monitor with one end of a socket as its standard input, over which listeners come; ends
//! with the monitor.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, ExitCode, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::calls::Session;
use super::{Hello, ROLE};
use crate::sys::{notify, prctl, process, socket};

/// The monitor's side.
#[derive(Debug)]
pub struct Supervisor {
    control: OwnedFd,
    /// In the monitor's pid namespace; its child.
    pub pid: i32,
}

impl Supervisor {
    /// Starts one for the container whose first process is `init`.
    ///
    /// # Errors
    /// When there can be no socket or process.
    pub fn start(init: i32) -> Result<Self, Errno> {
        let (ours, theirs) = socket::pair()?;
        let child = Command::new("/proc/self/exe")
            .args([ROLE, &init.to_string()])
            .stdin(theirs)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(Self { control: ours, pid: i32::try_from(child.id()).unwrap_or(0) })
    }

    /// Hands over the listener of a filter; `hello` is what its process said of itself.
    ///
    /// # Errors
    /// When the supervisor is gone.
    pub fn supervise(&self, listener: BorrowedFd<'_>, hello: &[u8]) -> Result<(), Errno> {
        hand_over(self.control.as_fd(), listener, hello)
    }

    /// A way to [`hand_over`] listeners later.
    pub fn control(&self) -> Option<OwnedFd> {
        self.control.try_clone().ok()
    }
}

/// As [`Supervisor::supervise`] with its [`Supervisor::control`].
///
/// # Errors
/// When the supervisor is gone.
pub fn hand_over(control: BorrowedFd<'_>, listener: BorrowedFd<'_>, hello: &[u8]) -> Result<(), Errno> {
    socket::send(control, &[IoSlice::new(hello)], &[listener], true)
}

/// The role.
pub fn main() -> ExitCode {
    let _ = prctl::set_parent_death_signal(libc::SIGKILL);
    process::one_malloc_arena();
    process::close_from(3);
    // The container's own user namespace: a FUSE root of it serves nobody above.
    let entered = std::env::args().nth(2).ok_or(Errno::INVAL).and_then(|init| {
        let namespace = rustix::fs::open(format!("/proc/{init}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        process::setns(namespace.as_fd(), process::NEWUSER)
    });
    if entered.is_err() {
        return ExitCode::FAILURE;
    }
    let _ = prctl::set_dumpable(false);
    let control = rustix::stdio::stdin();
    let mut sessions: Vec<Session> = Vec::new();
    loop {
        let pending = sessions.iter().any(Session::is_waiting);
        let mut fds = vec![PollFd::new(&control, PollFlags::IN)];
        fds.extend(sessions.iter().map(|session| PollFd::from_borrowed_fd(session.listener(), PollFlags::IN)));
        let soon = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        match poll(&mut fds, pending.then_some(&soon)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return ExitCode::FAILURE,
        }
        let events: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
        drop(fds);
        for (session, events) in sessions.iter_mut().zip(events.iter().skip(1)) {
            if events.contains(PollFlags::IN) {
                session.serve();
            } else if pending {
                session.settle_all();
            }
        }
        // Who hangs up has no process left.
        let mut over = events.iter().skip(1).map(|events| events.contains(PollFlags::HUP) && !events.contains(PollFlags::IN));
        sessions.retain(|_| !over.next().unwrap_or(false));
        if !events[0].is_empty() {
            match welcome(control) {
                Ok(session) => sessions.extend(session),
                Err(_) => return ExitCode::SUCCESS,
            }
        }
    }
}

/// Takes one listener; an error means that the monitor is gone.
fn welcome(control: BorrowedFd<'_>) -> Result<Option<Session>, Errno> {
    let mut buffer = vec![0; 1 << 20];
    let mut fds = Vec::new();
    let size = socket::receive(control, &mut buffer, &mut fds, true)?;
    if size == 0 {
        return Err(Errno::PIPE);
    }
    let Some(listener) = fds.pop() else { return Ok(None) };
    notify::wake_in_turn(listener.as_fd());
    // Without a greeting that can be read its calls would wait for ever; closed, they fail.
    Ok(serde_json::from_slice::<Hello>(&buffer[..size]).ok().map(|hello| Session::new(listener, hello)))
}

