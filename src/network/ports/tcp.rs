//! TCP connections of the forwarder: two sockets and two flows each.
//!
//! A flow first moves what fits a small buffer by plain calls, which is quickest for requests and short answers, and
//! goes over to splice(2) when more is waiting. Pipes come from a common stock and go back as soon as they are empty,
//! so an idle connection owns none. A flow reads only while its destination takes what it has, which bounds memory by
//! the kernel's socket buffers plus one portion for each connection whose reader stalls; portions shrink when many do.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, SocketFlags, sockopt};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::bind::Listener;
use super::forward::Token;
use super::inner::{self, Target};
use crate::spec::port::Protocol;

/// Bytes moved by plain calls before splicing begins.
const SMALL: usize = 16 * 1024;
/// Bytes spliced at once.
const PORTION: usize = 1024 * 1024;
/// Bytes that may be held for stalled connections, together, before portions shrink.
const STALLED_BUDGET: usize = 64 * 1024 * 1024;
/// Smallest portion.
const MIN_PORTION: usize = 4096;
/// Bytes one connection may move before others get their turn.
const TURN: usize = 4 * 1024 * 1024;
/// When more connections than this have all ended, their memory goes back to the system.
const CROWD: usize = 256;
/// Empty pipes kept for the next flow.
const SPARE_PIPES: usize = 2;

struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

/// What was read and could not be written yet.
enum Held {
    Nothing,
    Bytes { bytes: Box<[u8]>, from: usize },
    Pipe { pipe: Pipe, length: usize },
}

impl Held {
    fn length(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Bytes { bytes, from } => bytes.len() - from,
            Self::Pipe { length, .. } => *length,
        }
    }
}

/// One direction of a connection.
struct Flow {
    held: Held,
    /// The source may have something.
    readable: bool,
    /// The source said that its end has come, after what there is to read.
    hung: bool,
    /// The destination may take something.
    writable: bool,
    /// The source will send no more.
    ended: bool,
    /// The destination was told so.
    closed: bool,
}

impl Flow {
    fn new() -> Self {
        Self { held: Held::Nothing, readable: false, hung: false, writable: false, ended: false, closed: false }
    }
}

enum Outcome {
    /// Nothing more to do until an event.
    Waiting,
    /// The turn is over, but there is more.
    Busy,
    /// The connection is broken.
    Broken,
}

struct Connection {
    client: OwnedFd,
    server: OwnedFd,
    peer: SocketAddr,
    listener: u32,
    connecting: bool,
    /// The address of the other family was tried.
    fell_back: bool,
    busy: bool,
    up: Flow,
    down: Flow,
}

/// All TCP connections of one container.
#[derive(Default)]
pub(super) struct Connections {
    /// A connection's index is its token; boxed, so that a free place costs a pointer.
    places: Vec<Option<Box<Connection>>>,
    free: Vec<u32>,
    /// Places whose connection ended in this batch of events; later events of the batch may still mean them.
    released: Vec<u32>,
    busy: VecDeque<u32>,
    /// Accepted with the last descriptor there was; goes first when there are some again.
    parked: Option<(OwnedFd, SocketAddr, u32)>,
    stock: Stock,
}

#[derive(Default)]
struct Stock {
    spare: Vec<Pipe>,
    /// Bytes held for stalled flows.
    stalled: usize,
    /// Where plain calls read to; made once, since clearing it costs as much as a small read.
    buffer: Vec<u8>,
}

impl Stock {
    fn take(&mut self) -> Option<Pipe> {
        if let Some(pipe) = self.spare.pop() {
            return Some(pipe);
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // Best effort: beyond the user's allowance of pipe pages it stays small.
        let _ = fcntl_setpipe_size(&write, PORTION);
        Some(Pipe { read, write })
    }

    fn give_back(&mut self, pipe: Pipe) {
        if self.spare.len() < SPARE_PIPES {
            self.spare.push(pipe);
        }
    }

    fn portion(&self) -> usize {
        (STALLED_BUDGET.saturating_sub(self.stalled) / 8).clamp(MIN_PORTION, PORTION)
    }
}

impl Connections {
    /// Whether a connection has used up its turn and waits for the next.
    pub(super) fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// Whether an accepted client waits for a descriptor.
    pub(super) fn has_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// Accepts one client, or takes up the parked one, and begins the connection to its server.
    ///
    /// # Errors
    /// `AGAIN` when nobody waits, else why accepting failed. A server that cannot be reached is the client's error,
    /// told by a reset.
    pub(super) fn accept(
        &mut self,
        index: u32,
        listeners: &[Listener],
        target: &Target,
        epoll: BorrowedFd<'_>,
    ) -> Result<(), Errno> {
        let (client, peer, index) = match self.parked.take() {
            Some(parked) => parked,
            None => {
                let Some(listener) = listeners.get(index as usize) else { return Err(Errno::AGAIN) };
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                let (client, peer) = rustix::net::acceptfrom_with(listener, flags)?;
                let Some(Ok(peer)) = peer.map(SocketAddr::try_from) else { return Ok(()) };
                // An inherited socket may take clients of both families.
                let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
                if is_local(&client, peer) {
                    inner::set_local_congestion(&client);
                }
                (client, peer, index)
            }
        };
        let Some(listener) = listeners.get(index as usize) else { return Ok(()) };
        let port = listener.binding().container_port;
        let begun = inner::connect(target, Protocol::Tcp, peer, port, false);
        let server = match begun {
            Ok(inner) => inner.socket,
            Err(errno @ (Errno::MFILE | Errno::NFILE)) => {
                self.parked = Some((client, peer, index));
                return Err(errno);
            }
            Err(_) => {
                reset(&client);
                return Ok(());
            }
        };
        let connection = Connection {
            client,
            server,
            peer,
            listener: index,
            connecting: true,
            fell_back: false,
            busy: false,
            up: Flow::new(),
            down: Flow::new(),
        };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                let Ok(place) = u32::try_from(self.places.len()) else { return Err(Errno::NOMEM) };
                self.places.push(None);
                place
            }
        };
        let watched = watch(epoll, &connection.client, Token::Client(place))
            .and_then(|()| watch(epoll, &connection.server, Token::Server(place)));
        if let Err(errno) = watched {
            reset(&connection.client);
            self.free.push(place);
            return Err(errno);
        }
        self.places[place as usize] = Some(Box::new(connection));
        Ok(())
    }

    /// Something happened on the client's side.
    pub(super) fn on_client(&mut self, place: u32, flags: EventFlags) {
        let Some(connection) = self.places.get_mut(place as usize).and_then(Option::as_mut) else { return };
        connection.up.saw(flags);
        connection.down.writable |= flags.contains(EventFlags::OUT);
        let broken = flags.contains(EventFlags::ERR) && failed(&connection.client);
        self.go_on(place, broken);
    }

    /// Something happened on the server's side.
    pub(super) fn on_server(
        &mut self,
        place: u32,
        flags: EventFlags,
        epoll: BorrowedFd<'_>,
        target: &Target,
        listeners: &[Listener],
    ) {
        let Some(connection) = self.places.get_mut(place as usize).and_then(Option::as_mut) else { return };
        let mut broken = flags.contains(EventFlags::ERR) && failed(&connection.server);
        if connection.connecting {
            if broken {
                broken = !fall_back(connection, place, epoll, target, listeners);
                if !broken {
                    return;
                }
            } else if flags.contains(EventFlags::OUT) {
                connection.connecting = false;
            }
        }
        connection.down.saw(flags);
        connection.up.writable |= flags.contains(EventFlags::OUT);
        self.go_on(place, broken);
    }

    /// Gives each connection that had used up its turn another one. Returns whether any connection ended since the
    /// last call.
    pub(super) fn continue_busy(&mut self) -> bool {
        for _ in 0..self.busy.len() {
            let Some(place) = self.busy.pop_front() else { break };
            if let Some(connection) = self.places.get_mut(place as usize).and_then(Option::as_mut) {
                connection.busy = false;
                self.go_on(place, false);
            }
        }
        let ended = !self.released.is_empty();
        self.free.append(&mut self.released);
        if self.free.len() == self.places.len() && self.places.len() > CROWD {
            self.places = Vec::new();
            self.free = Vec::new();
            crate::sys::process::trim_memory();
        }
        ended
    }

    fn go_on(&mut self, place: u32, broken: bool) {
        let Some(slot) = self.places.get_mut(place as usize) else { return };
        let Some(connection) = slot.as_mut() else { return };
        if connection.connecting && !broken {
            return;
        }
        let mut over = broken;
        let mut busy = false;
        if !over {
            let Connection { client, server, up, down, .. } = connection.as_mut();
            for (flow, from, to) in [(up, &*client, &*server), (down, &*server, &*client)] {
                match flow.pump(from, to, &mut self.stock) {
                    Outcome::Waiting => {}
                    Outcome::Busy => busy = true,
                    Outcome::Broken => {
                        over = true;
                        break;
                    }
                }
            }
        }
        if over {
            // Whoever still listens learns that this was no orderly end.
            reset(&connection.client);
            reset(&connection.server);
        }
        if over || (connection.up.closed && connection.down.closed) {
            if let Some(connection) = slot.take() {
                let held = connection.up.held.length() + connection.down.held.length();
                self.stock.stalled = self.stock.stalled.saturating_sub(held);
            }
            self.released.push(place);
        } else if busy && !connection.busy {
            connection.busy = true;
            self.busy.push_back(place);
        }
    }
}

/// Tries the server's address of the other family for a client whose connection was refused. Returns whether that has begun.
fn fall_back(
    connection: &mut Connection,
    place: u32,
    epoll: BorrowedFd<'_>,
    target: &Target,
    listeners: &[Listener],
) -> bool {
    if connection.fell_back || !target.has_other(connection.peer) {
        return false;
    }
    connection.fell_back = true;
    let Some(listener) = listeners.get(connection.listener as usize) else { return false };
    let port = listener.binding().container_port;
    let Ok(inner) = inner::connect(target, Protocol::Tcp, connection.peer, port, true) else { return false };
    if watch(epoll, &inner.socket, Token::Server(place)).is_err() {
        return false;
    }
    // Closing the old socket takes its registration along.
    connection.server = inner.socket;
    true
}

fn watch(epoll: BorrowedFd<'_>, socket: &OwnedFd, token: Token) -> Result<(), Errno> {
    epoll::add(epoll, socket, token.data(), EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET)
}

/// Whether the client is on this machine.
fn is_local(client: &OwnedFd, peer: SocketAddr) -> bool {
    let own = || rustix::net::getsockname(client).ok().and_then(|name| SocketAddr::try_from(name).ok());
    peer.ip().is_loopback() || own().is_some_and(|own| own.ip().to_canonical() == peer.ip())
}

fn failed(socket: &OwnedFd) -> bool {
    !matches!(sockopt::socket_error(socket), Ok(Ok(())))
}

/// Makes the coming close of a socket a reset.
fn reset(socket: &OwnedFd) {
    // A socket that refuses is closed the ordinary way.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

impl Flow {
    /// Notes what an event on the source says.
    fn saw(&mut self, flags: EventFlags) {
        self.hung |= flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
        self.readable |= self.hung || flags.contains(EventFlags::IN);
    }

    /// Moves bytes until one side blocks, the source ends or the turn is over.
    fn pump(&mut self, from: &OwnedFd, to: &OwnedFd, stock: &mut Stock) -> Outcome {
        let mut moved = 0;
        let mut bulk = false;
        loop {
            if let Some(broken) = self.flush(to, stock) {
                return broken;
            }
            if self.ended {
                if !self.closed {
                    self.closed = true;
                    // The destination may be gone already; its own events tell.
                    let _ = rustix::net::shutdown(to, Shutdown::Write);
                }
                return Outcome::Waiting;
            }
            if !self.readable || !self.writable {
                return Outcome::Waiting;
            }
            if moved >= TURN {
                return Outcome::Busy;
            }
            // Without a pipe (no descriptors left) everything goes by plain calls.
            let read = match if bulk { stock.take() } else { None } {
                Some(pipe) => self.fill_pipe(from, pipe, stock),
                None => self.copy_some(from, to, stock, &mut bulk),
            };
            match read {
                Ok(0) => self.ended = true,
                Ok(length) => moved += length,
                Err(Errno::AGAIN) => self.readable = false,
                Err(Errno::INTR) => {}
                Err(_) => return Outcome::Broken,
            }
        }
    }

    /// One small piece by plain calls. What the destination does not take is held.
    fn copy_some(&mut self, from: &OwnedFd, to: &OwnedFd, stock: &mut Stock, bulk: &mut bool) -> Result<usize, Errno> {
        let room = stock.portion().min(SMALL);
        stock.buffer.resize(SMALL, 0);
        let buffer = &mut stock.buffer[..room];
        let (length, _) = rustix::net::recv(from, &mut *buffer, RecvFlags::DONTWAIT)?;
        if length == room {
            *bulk = true;
        } else if length == 0 {
            return Ok(0);
        } else if !self.hung {
            // A short read has emptied the socket; more will be a new event. An end that is announced already is not.
            self.readable = false;
        }
        let sent = match rustix::net::send(to, &buffer[..length], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(errno) => return Err(errno),
        };
        if sent < length {
            self.writable = false;
            self.held = Held::Bytes { bytes: buffer[sent..length].into(), from: 0 };
            stock.stalled += length - sent;
        }
        Ok(length)
    }

    fn fill_pipe(&mut self, from: &OwnedFd, pipe: Pipe, stock: &mut Stock) -> Result<usize, Errno> {
        let portion = stock.portion();
        match splice(from, None, &pipe.write, None, portion, SpliceFlags::NONBLOCK | SpliceFlags::MOVE) {
            Ok(length) if length != 0 => {
                stock.stalled += length;
                self.held = Held::Pipe { pipe, length };
                Ok(length)
            }
            other => {
                stock.give_back(pipe);
                other
            }
        }
    }

    /// Writes what is held. `None`: nothing is held any more.
    fn flush(&mut self, to: &OwnedFd, stock: &mut Stock) -> Option<Outcome> {
        loop {
            if matches!(self.held, Held::Nothing) {
                return None;
            }
            if !self.writable {
                return Some(Outcome::Waiting);
            }
            let written = match &self.held {
                Held::Nothing => return None,
                Held::Bytes { bytes, from } => {
                    rustix::net::send(to, &bytes[*from..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL)
                }
                Held::Pipe { pipe, length } => {
                    splice(&pipe.read, None, to, None, *length, SpliceFlags::NONBLOCK | SpliceFlags::MOVE)
                }
            };
            let written = match written {
                Ok(0) => return Some(Outcome::Broken),
                Ok(written) => written,
                Err(Errno::AGAIN) => {
                    self.writable = false;
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(_) => return Some(Outcome::Broken),
            };
            stock.stalled = stock.stalled.saturating_sub(written);
            self.held = match std::mem::replace(&mut self.held, Held::Nothing) {
                Held::Bytes { bytes, from } if from + written < bytes.len() => Held::Bytes { bytes, from: from + written },
                Held::Pipe { pipe, length } => {
                    if written < length {
                        Held::Pipe { pipe, length: length - written }
                    } else {
                        stock.give_back(pipe);
                        Held::Nothing
                    }
                }
                Held::Nothing | Held::Bytes { .. } => Held::Nothing,
            };
        }
    }
}
