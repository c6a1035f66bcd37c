//! Clients: the command that started the container, and those that attach, exec, stop, wait.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::Monitor;
use super::protocol::{MAX_PACKET, Reply, Request, kind, packet_of, send_reply};
use crate::runtime::init::{Descriptors, Stdio};
use crate::runtime::fakes::hand_over;
use crate::runtime::join::{self, Said};
use crate::sys::{process, socket};

/// Which of a client's descriptors is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// A packet from it, or its end.
    Packet,
    /// It takes output again.
    Room,
    /// The process of its exec has something to say.
    Report,
}

/// What a client is here for.
#[derive(Debug)]
enum Purpose {
    /// Has not said yet.
    New,
    /// Wants output, and sends input if told so.
    Attached { stdin: bool },
    /// Wants to know when the container has ended.
    Waiting,
    /// As `Waiting`, answered with `Ok` once it has also been removed if that was asked.
    Stopping,
    /// Keeps the container frozen.
    Holding,
    /// Waits for the end of a health check.
    Checking,
    /// Runs a process of its own.
    Exec { pid: i32, report: Option<OwnedFd>, ids: Option<OwnedFd> },
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    socket: Option<OwnedFd>,
    purpose: Purpose,
    /// Output it has not taken yet.
    pending: Option<Vec<u8>>,
    starter: bool,
}

impl Client {
    /// The command that started this monitor.
    pub(super) fn starter(socket: OwnedFd, attached: bool) -> Self {
        let purpose = if attached { Purpose::Attached { stdin: true } } else { Purpose::Waiting };
        Self { socket: Some(socket), purpose, pending: None, starter: true }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.socket.is_none() && !matches!(self.purpose, Purpose::Exec { .. })
    }

    pub(super) fn is_clogged(&self) -> bool {
        self.pending.is_some()
    }

    /// What to poll; input is not read while the container has not taken earlier input (`full`).
    pub(super) fn interests(&self, full: bool) -> Vec<(BorrowedFd<'_>, PollFlags, Wake)> {
        let mut all = Vec::with_capacity(2);
        if let Purpose::Exec { report: Some(report), .. } = &self.purpose {
            all.push((report.as_fd(), PollFlags::IN, Wake::Report));
        }
        if let Some(socket) = &self.socket {
            if self.pending.is_some() {
                all.push((socket.as_fd(), PollFlags::OUT, Wake::Room));
            }
            let waits = full && matches!(self.purpose, Purpose::Attached { stdin: true });
            if !waits {
                all.push((socket.as_fd(), PollFlags::IN, Wake::Packet));
            }
        }
        all
    }

    /// Hands on one packet of output.
    pub(super) fn output(&mut self, packet: &[u8]) {
        let (Purpose::Attached { .. }, Some(socket)) = (&self.purpose, &self.socket) else { return };
        match socket::send(socket.as_fd(), &[IoSlice::new(packet)], &[], false) {
            Ok(()) => {}
            Err(Errno::AGAIN | Errno::NOBUFS) => self.pending = Some(packet.to_vec()),
            Err(_) => self.socket = None,
        }
    }

    /// Tries again with what it had no room for.
    fn flush(&mut self) {
        if let (Some(packet), Some(socket)) = (self.pending.take(), &self.socket) {
            match socket::send(socket.as_fd(), &[IoSlice::new(&packet)], &[], false) {
                Ok(()) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => self.pending = Some(packet),
                Err(_) => self.socket = None,
            }
        }
    }

    pub(super) fn reply(&self, reply: &Reply, fds: &[BorrowedFd<'_>]) {
        if let Some(socket) = &self.socket {
            let _ = send_reply(socket.as_fd(), reply, fds);
        }
    }

    /// Whether this is the command that started the monitor.
    pub(super) fn is_starter(&self) -> bool {
        self.starter
    }

    /// Tells of the container's end, as the client wants it told.
    pub(super) fn tell_end(&mut self, code: i32) {
        match self.purpose {
            Purpose::Attached { .. } | Purpose::Waiting => {
                let reply = Reply::Exited { code };
                let sent = self.socket.as_ref().map(|socket| send_reply(socket.as_fd(), &reply, &[]));
                if let Some(Err(Errno::AGAIN | Errno::NOBUFS)) = sent {
                    // It has not read the last output yet: told when there is room, at the latest before we go.
                    self.pending = packet_of(&reply).ok();
                }
            }
            Purpose::Stopping | Purpose::New | Purpose::Holding | Purpose::Checking | Purpose::Exec { .. } => {}
        }
    }

    /// Tells that everything is done, removal included.
    pub(super) fn tell_done(&self) {
        if matches!(self.purpose, Purpose::Stopping) {
            self.reply(&Reply::Ok, &[]);
        }
    }

    /// Tells of the end of a health check.
    pub(super) fn tell_checked(&mut self, reply: &Reply) {
        if matches!(self.purpose, Purpose::Checking) {
            self.purpose = Purpose::New;
            self.reply(reply, &[]);
        }
    }

    /// Whether its exec is this process.
    pub(super) fn runs(&self, pid: i32) -> bool {
        matches!(self.purpose, Purpose::Exec { pid: own, .. } if own == pid)
    }

    /// Its process has ended.
    pub(super) fn exec_ended(&mut self, code: i32) {
        // What it said last comes before its end.
        self.hear();
        self.reply(&Reply::Exited { code }, &[]);
        self.purpose = Purpose::New;
        self.socket = None;
    }

    /// Passes on what the process of its exec says.
    fn hear(&mut self) {
        let Purpose::Exec { pid, report, ids } = &mut self.purpose else { return };
        let pid = *pid;
        while let Some(socket) = report.as_ref() {
            let said = join::hear(socket.as_fd());
            let said = match said {
                Said::Listener(listener, hello) => {
                    // Nobody to answer: its calls fail when the listener closes here.
                    if let Some(control) = ids.take() {
                        let _ = hand_over(control.as_fd(), listener.as_fd(), &hello);
                    }
                    continue;
                }
                other => other,
            };
            let ended = !matches!(said, Said::Terminal(_));
            if ended {
                *report = None;
            }
            let Some(client) = &self.socket else { continue };
            let _ = match said {
                Said::Listener(..) => Ok(()),
                Said::Terminal(master) => send_reply(client.as_fd(), &Reply::Terminal, &[master.as_fd()]),
                Said::Failed(failure) => send_reply(client.as_fd(), &Reply::Failed(failure), &[]),
                Said::Running => send_reply(client.as_fd(), &Reply::Started { pid }, &[]),
            };
            if !ended {
                return;
            }
        }
    }
}

impl Monitor {
    pub(super) fn accept(&mut self) {
        while let Ok(Some(socket)) = socket::accept(self.listener.as_fd()) {
            // Only this user, who is root here; the directory is closed to others anyway.
            if socket::peer_uid(socket.as_fd()) == Ok(0) {
                self.clients.push(Client { socket: Some(socket), purpose: Purpose::New, pending: None, starter: false });
            }
        }
    }

    pub(super) fn handle_client(&mut self, index: usize, wake: Wake) {
        match wake {
            Wake::Report => self.clients[index].hear(),
            Wake::Room => self.clients[index].flush(),
            Wake::Packet => self.read_packet(index),
        }
    }

    /// Waits a moment for clients that have no room; those that stay clogged are let go, for the container has ended.
    pub(super) fn flush_clients(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.clients.iter().any(Client::is_clogged) && Instant::now() < deadline {
            let mut fds: Vec<PollFd<'_>> = self
                .clients
                .iter()
                .filter(|client| client.is_clogged())
                .filter_map(|client| client.socket.as_ref())
                .map(|socket| PollFd::new(socket, PollFlags::OUT))
                .collect();
            let _ = poll(&mut fds, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }));
            drop(fds);
            self.clients.iter_mut().for_each(Client::flush);
        }
        for client in self.clients.iter_mut().filter(|client| client.is_clogged()) {
            client.pending = None;
            client.socket = None;
        }
        true
    }

    fn read_packet(&mut self, index: usize) {
        let Some(socket) = &self.clients[index].socket else { return };
        self.buffer.resize(MAX_PACKET + 1, 0);
        let mut fds = Vec::new();
        let size = match socket::receive(socket.as_fd(), &mut self.buffer, &mut fds, false) {
            Err(Errno::AGAIN) => return,
            Ok(0) | Err(_) => return self.client_gone(index),
            Ok(size) => size,
        };
        match self.buffer[0] {
            kind::STDIN => self.input(index, size),
            kind::RESIZE if size == 5 => {
                let rows = u16::from_be_bytes([self.buffer[1], self.buffer[2]]);
                let cols = u16::from_be_bytes([self.buffer[3], self.buffer[4]]);
                if let Some(terminal) = self.running.as_ref().and_then(|running| running.streams.terminal.as_ref()) {
                    let _ = crate::runtime::set_terminal_size(terminal.as_fd(), rows, cols);
                }
            }
            kind::REQUEST => match serde_json::from_slice(&self.buffer[1..size]) {
                Ok(request) => self.request(index, request, fds),
                Err(error) => self.clients[index]
                    .reply(&Reply::Error { message: format!("request not understood: {error}") }, &[]),
            },
            _ => {}
        }
    }

    fn input(&mut self, index: usize, size: usize) {
        if !matches!(self.clients[index].purpose, Purpose::Attached { stdin: true }) {
            return;
        }
        let Some(running) = &mut self.running else { return };
        if size > 1 {
            running.streams.push_input(&self.buffer[1..size]);
        } else if self.start.stdin_once && !self.start.plan.process.tty {
            running.streams.end_input();
        }
    }

    fn client_gone(&mut self, index: usize) {
        let was = std::mem::replace(&mut self.clients[index].purpose, Purpose::New);
        self.clients[index].socket = None;
        self.clients[index].pending = None;
        match was {
            // Input ends with the one who was to give it.
            Purpose::Attached { stdin: true } if self.start.stdin_once && !self.start.plan.process.tty => {
                if let Some(running) = &mut self.running {
                    running.streams.end_input();
                }
            }
            Purpose::Holding => {
                drop(self.pause(false));
            }
            // The process goes on; we still reap it.
            exec @ Purpose::Exec { .. } => self.clients[index].purpose = exec,
            _ => {}
        }
    }

    fn request(&mut self, index: usize, request: Request, fds: Vec<OwnedFd>) {
        match request {
            Request::Attach { stdin } => {
                self.clients[index].purpose = Purpose::Attached { stdin };
                self.clients[index].reply(&Reply::Ok, &[]);
            }
            Request::Wait => self.clients[index].purpose = Purpose::Waiting,
            Request::Signal { signal, stop } => {
                let reply = self.signal(signal, stop);
                self.clients[index].reply(&reply, &[]);
            }
            Request::Stop { signal, timeout, remove, volumes } => {
                // Who is attached hears of the end anyway, and after the last output.
                if !matches!(self.clients[index].purpose, Purpose::Attached { .. }) {
                    self.clients[index].purpose = Purpose::Stopping;
                }
                self.start.remove |= remove;
                self.remove_volumes |= volumes;
                self.stop(signal, timeout);
            }
            Request::Check => self.check_now(index),
            Request::Hold => {
                let paused = self.record.paused;
                // One that is paused stays so when the client goes.
                let reply = if paused { Reply::Ok } else { self.pause(true) };
                if matches!(reply, Reply::Ok) && !paused {
                    self.clients[index].purpose = Purpose::Holding;
                }
                self.clients[index].reply(&reply, &[]);
            }
            Request::Pause { freeze } => {
                let reply = self.pause(freeze);
                self.clients[index].reply(&reply, &[]);
            }
            Request::Connect { wish, links } => {
                let reply = self.connect_network(*wish, links);
                self.clients[index].reply(&reply, &[]);
            }
            Request::Disconnect { network } => {
                let reply = self.disconnect_network(&network);
                self.clients[index].reply(&reply, &[]);
            }
            Request::Default { slirp } => {
                let reply = self.set_default_network(slirp);
                self.clients[index].reply(&reply, &[]);
            }
            Request::Rename { name } => {
                let reply = self.renamed(name);
                self.clients[index].reply(&reply, &[]);
            }
            Request::Reload => {
                let reply = self.reload_networks();
                self.clients[index].reply(&reply, &[]);
            }
            Request::Exec { process, detach, preserved } => {
                let mut fds = fds;
                let extra = fds.split_off(fds.len().saturating_sub(preserved));
                self.exec(index, *process, detach, (fds, extra));
            }
        }
    }

    fn check_now(&mut self, index: usize) {
        let refusal = match (&self.start.health, &self.running) {
            (None, _) => "the container has no health check",
            (_, None) => "the container is not running",
            _ if self.record.paused => "the container is paused; unpause it first",
            _ => {
                self.clients[index].purpose = Purpose::Checking;
                return self.start_check();
            }
        };
        self.clients[index].reply(&Reply::Error { message: refusal.to_owned() }, &[]);
    }

    pub(super) fn tell_checkers(&mut self, reply: &Reply) {
        self.clients.iter_mut().for_each(|client| client.tell_checked(reply));
    }

    fn exec(&mut self, index: usize, process: crate::runtime::plan::Process, detach: bool, (fds, extra): (Vec<OwnedFd>, Vec<OwnedFd>)) {
        let client = &mut self.clients[index];
        let Some(running) = &self.running else {
            return client.reply(&Reply::Error { message: "the container is not running".into() }, &[]);
        };
        if self.record.paused {
            return client.reply(&Reply::Error { message: "the container is paused; unpause it first".into() }, &[]);
        }
        let mut fds = fds.into_iter();
        let stdio = match (fds.next(), fds.next(), fds.next()) {
            (Some(stdin), Some(stdout), Some(stderr)) => Some(Stdio { stdin, stdout, stderr }),
            _ if process.tty => None,
            _ if detach => null_streams(),
            _ => return client.reply(&Reply::Error { message: "an exec needs three descriptors".into() }, &[]),
        };
        match join::exec(running.pidfd.as_fd(), &process, Descriptors { stdio, extra }, self.start.cgroup.as_deref()) {
            Ok(joined) => {
                let ids = self.supervisor.as_ref().and_then(crate::runtime::fakes::Supervisor::control);
                client.purpose = Purpose::Exec { pid: joined.pid, report: Some(joined.report), ids };
            }
            Err(failure) => client.reply(&Reply::Failed(failure), &[]),
        }
    }

    /// Sends a signal to process 1 of the container.
    fn signal(&mut self, signal: i32, stop: bool) -> Reply {
        self.stopped |= stop;
        if signal == libc::SIGKILL {
            self.kill_rest();
        }
        match &self.running {
            Some(running) => match process::pidfd_signal(running.pidfd.as_fd(), signal) {
                Ok(()) | Err(Errno::SRCH) => Reply::Ok,
                Err(errno) => Reply::Error { message: format!("cannot send signal {signal}: {errno}") },
            },
            None if self.restart_at.is_some() && stop => {
                self.give_up_restart();
                Reply::Ok
            }
            None => Reply::Error { message: "the container is not running".into() },
        }
    }
}

fn null_streams() -> Option<Stdio> {
    let open = || {
        rustix::fs::open(
            c"/dev/null",
            rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC,
            rustix::fs::Mode::empty(),
        )
        .ok()
    };
    Some(Stdio { stdin: open()?, stdout: open()?, stderr: open()? })
}
