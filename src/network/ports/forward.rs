//! The forwarder's event loop: one thread, one epoll, any number of ports and connections.
//!
//! Runs in the container's network namespace, on the host's listening sockets. Allocates per connection what
//! [`super::tcp`] and [`super::udp`] say, and nothing per port but a registration.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use super::bind::Listener;
use super::inner::Target;
use super::tcp::Connections;
use super::udp::Sessions;
use crate::network::netlink::Netlink;
use crate::spec::port::Protocol;

/// What an epoll registration belongs to, packed into its 64 bits of user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// The stop descriptor.
    Stop,
    /// The second epoll, which holds the TCP listeners.
    Listeners,
    /// A TCP listener (in the second epoll) or UDP socket of the host.
    Listener(u32),
    /// The client's side of a connection.
    Client(u32),
    /// The server's side of a connection.
    Server(u32),
    /// The inner socket of a UDP session.
    Session(u32),
}

impl Token {
    pub(super) fn data(self) -> epoll::EventData {
        let (kind, index) = match self {
            Self::Stop => (0, 0),
            Self::Listeners => (1, 0),
            Self::Listener(index) => (2, index),
            Self::Client(index) => (3, index),
            Self::Server(index) => (4, index),
            Self::Session(index) => (5, index),
        };
        epoll::EventData::new_u64(kind << 32 | u64::from(index))
    }

    fn from_data(data: u64) -> Self {
        let index = (data & 0xffff_ffff) as u32;
        match data >> 32 {
            1 => Self::Listeners,
            2 => Self::Listener(index),
            3 => Self::Client(index),
            4 => Self::Server(index),
            5 => Self::Session(index),
            _ => Self::Stop,
        }
    }
}

/// Events taken from the kernel at once.
const BATCH: usize = 128;
/// Connections accepted on one listener before others get their turn.
const ACCEPTS: usize = 32;
/// How long accepting rests when descriptors or memory ran out and no connection ends.
const REST: Duration = Duration::from_millis(200);
/// How often UDP sessions are looked through for idle ones.
const SWEEP: Duration = Duration::from_secs(5);

/// Forwards until `stop` becomes readable. Call in the container's network namespace, after
/// [`prepare`](super::prepare()).
///
/// # Errors
/// A kernel that gives no epoll; once running, it keeps running.
pub fn serve(
    listeners: &[Listener],
    target: Target,
    netlink: &mut Netlink,
    stop: BorrowedFd<'_>,
) -> Result<(), Errno> {
    crate::sys::net::block_sigpipe();
    let mut forwarder = Forwarder::new(listeners, target, stop)?;
    forwarder.run(netlink)
}

struct Forwarder<'a> {
    epoll: OwnedFd,
    /// The TCP listeners; one registration in `epoll` that is taken out while accepting rests.
    accepting: OwnedFd,
    resting_until: Option<Instant>,
    listeners: &'a [Listener],
    target: Target,
    connections: Connections,
    sessions: Sessions,
    swept: Instant,
}

impl<'a> Forwarder<'a> {
    fn new(listeners: &'a [Listener], target: Target, stop: BorrowedFd<'_>) -> Result<Self, Errno> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let accepting = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, stop, Token::Stop.data(), epoll::EventFlags::IN)?;
        epoll::add(&epoll, &accepting, Token::Listeners.data(), epoll::EventFlags::IN)?;
        for (index, listener) in (0u32..).zip(listeners) {
            let place = if listener.binding().protocol == Protocol::Udp { &epoll } else { &accepting };
            epoll::add(place, listener, Token::Listener(index).data(), epoll::EventFlags::IN)?;
        }
        let udp = listeners.iter().any(|l| l.binding().protocol == Protocol::Udp);
        Ok(Self {
            epoll,
            accepting,
            resting_until: None,
            listeners,
            target,
            connections: Connections::default(),
            sessions: Sessions::new(udp),
            swept: Instant::now(),
        })
    }

    fn run(&mut self, netlink: &mut Netlink) -> Result<(), Errno> {
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); BATCH];
        loop {
            let timeout = self.timeout();
            let (events, _) = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
                Ok(events) => events,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            for event in &*events {
                match Token::from_data(event.data.u64()) {
                    Token::Stop => return Ok(()),
                    Token::Listeners => self.accept_all(),
                    Token::Listener(index) => self.sessions.on_host(
                        self.epoll.as_fd(),
                        netlink,
                        &self.target,
                        self.listeners,
                        index,
                    ),
                    Token::Client(index) => self.connections.on_client(index, event.flags),
                    Token::Server(index) => {
                        self.connections.on_server(index, event.flags, self.epoll.as_fd(), &self.target, self.listeners);
                    }
                    Token::Session(index) => {
                        self.sessions.on_server(self.epoll.as_fd(), netlink, &self.target, self.listeners, index);
                    }
                }
            }
            let ended = self.connections.continue_busy();
            self.wake_up(ended);
            self.accept_parked();
            if self.swept.elapsed() >= SWEEP {
                self.sessions.sweep(netlink, &self.target);
                self.swept = Instant::now();
            }
        }
    }

    /// Forever when nothing is due: an idle container causes no wake-ups.
    fn timeout(&self) -> Option<Timespec> {
        let due = if self.connections.is_busy() {
            Some(Duration::ZERO)
        } else if self.resting_until.is_some() {
            Some(REST)
        } else if self.sessions.is_empty() {
            None
        } else {
            Some(SWEEP)
        };
        due.and_then(|due| Timespec::try_from(due).ok())
    }

    fn accept_all(&mut self) {
        let mut ready = [MaybeUninit::<epoll::Event>::uninit(); 16];
        let Ok((ready, _)) = epoll::wait(&self.accepting, &mut ready, Some(&Timespec::default())) else { return };
        for event in &*ready {
            let Token::Listener(index) = Token::from_data(event.data.u64()) else { continue };
            for _ in 0..ACCEPTS {
                match self.connections.accept(index, self.listeners, &self.target, self.epoll.as_fd()) {
                    Ok(()) => {}
                    Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::NOSPC) => {
                        self.rest();
                        return;
                    }
                    // AGAIN: none left. Anything else is one client's misfortune.
                    Err(_) => break,
                }
            }
        }
    }

    /// The client that was accepted with the last descriptor.
    fn accept_parked(&mut self) {
        for _ in 0..ACCEPTS {
            if self.resting_until.is_some() || !self.connections.has_parked() {
                return;
            }
            if self.connections.accept(0, self.listeners, &self.target, self.epoll.as_fd()).is_err() {
                self.rest();
            }
        }
    }

    /// Leaves further clients in the kernel's queue until something is free again.
    fn rest(&mut self) {
        if raise_descriptor_limit() {
            return;
        }
        if self.resting_until.is_none() && epoll::delete(&self.epoll, &self.accepting).is_ok() {
            self.resting_until = Some(Instant::now() + REST);
        }
    }

    fn wake_up(&mut self, ended: bool) {
        let Some(until) = self.resting_until else { return };
        if (ended || Instant::now() >= until)
            && epoll::add(&self.epoll, &self.accepting, Token::Listeners.data(), epoll::EventFlags::IN).is_ok()
        {
            self.resting_until = None;
        }
    }
}

/// Doubles the soft limit of open descriptors, within the hard one. Done only when it was hit, since the limit is the
/// whole process's. Returns whether there is more room now.
fn raise_descriptor_limit() -> bool {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current: Some(current), maximum } = getrlimit(Resource::Nofile) else { return false };
    let wanted = current.saturating_mul(2).min(maximum.unwrap_or(u64::MAX));
    wanted > current && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_round_trip() {
        for token in [
            Token::Stop,
            Token::Listeners,
            Token::Listener(7),
            Token::Client(u32::MAX),
            Token::Server(0),
            Token::Session(9),
        ] {
            assert_eq!(Token::from_data(token.data().u64()), token);
        }
    }
}
