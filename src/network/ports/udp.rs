//! UDP sessions of the forwarder: one socket inside for each client of each port, until it has been idle for a minute.
//!
//! The number of sessions is bounded; beyond it the one idle for longest makes room, so a flood of forged addresses
//! costs at most that many descriptors.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::bind::Listener;
use super::forward::Token;
use super::inner::{self, Target};
use crate::network::netlink::Netlink;
use crate::spec::port::Protocol;
use crate::sys::net::{Local, receive_datagram, send_datagram};

/// A session ends after this long without a datagram either way.
const IDLE: Duration = Duration::from_secs(60);
/// Sessions at once.
const MAX_SESSIONS: usize = 4096;
/// Datagrams taken from one socket before others get their turn.
const TURN: usize = 64;
/// Of a client's first datagram so much is kept until the server answers.
const KEPT: usize = 2048;
/// The largest datagram.
const LARGEST: usize = 65536;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    listener: u32,
    client: SocketAddr,
    local: Option<Local>,
}

struct Session {
    key: Key,
    socket: OwnedFd,
    source: Option<IpAddr>,
    used: Instant,
    /// The address of the other family was tried.
    fell_back: bool,
    /// The server's kernel refused a datagram.
    refused: bool,
    /// Nothing was sent yet.
    is_new: bool,
    /// The first datagram of a client whose server may be there on the other family only: a client who asks once waits for one
    /// answer.
    first: Vec<u8>,
}

/// Whether the server's address of the other family may be tried.
fn can_fall_back(session: &Session, target: &Target) -> bool {
    target.has_other(session.key.client) && !session.fell_back
}

/// All UDP sessions of one container.
pub(super) struct Sessions {
    index: HashMap<Key, u32>,
    places: Vec<Option<Session>>,
    free: Vec<u32>,
    /// How many sessions need the route back to a client.
    routes: HashMap<IpAddr, u32>,
    buffer: Vec<u8>,
}

impl Sessions {
    /// `wanted`: there are UDP ports at all; else this costs nothing.
    pub(super) fn new(wanted: bool) -> Self {
        Self {
            index: HashMap::new(),
            places: Vec::new(),
            free: Vec::new(),
            routes: HashMap::new(),
            buffer: vec![0; if wanted { LARGEST } else { 0 }],
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Datagrams from clients have arrived on a host socket.
    pub(super) fn on_host(
        &mut self,
        epoll: BorrowedFd<'_>,
        netlink: &mut Netlink,
        target: &Target,
        listeners: &[Listener],
        index: u32,
    ) {
        let Some(listener) = listeners.get(index as usize) else { return };
        for _ in 0..TURN {
            let mut buffer = std::mem::take(&mut self.buffer);
            let received = receive_datagram(listener.as_fd(), &mut buffer);
            if let Ok(datagram) = &received {
                let key = Key { listener: index, client: datagram.peer, local: datagram.local };
                let port = listener.binding().container_port;
                self.deliver(epoll, netlink, target, key, port, &buffer[..datagram.length]);
            }
            self.buffer = buffer;
            // Other errors are those of earlier answers to one client; there may be more to read.
            if received.is_err_and(|errno| errno == Errno::AGAIN) {
                return;
            }
        }
    }

    fn deliver(
        &mut self,
        epoll: BorrowedFd<'_>,
        netlink: &mut Netlink,
        target: &Target,
        key: Key,
        port: u16,
        bytes: &[u8],
    ) {
        let mut other = false;
        for _ in 0..2 {
            let place = match self.index.get(&key) {
                Some(place) => *place,
                None => match self.begin(epoll, netlink, target, key, port, other) {
                    Some(place) => place,
                    None => return,
                },
            };
            let Some(session) = self.places.get_mut(place as usize).and_then(Option::as_mut) else { return };
            session.used = Instant::now();
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            let mut sent = Err(Errno::CONNREFUSED);
            if !session.refused {
                sent = rustix::net::send(&session.socket, bytes, flags);
            }
            if sent != Err(Errno::CONNREFUSED) {
                // Datagrams may be lost.
                if std::mem::take(&mut session.is_new) && can_fall_back(session, target) && bytes.len() <= KEPT {
                    session.first = bytes.to_vec();
                }
                return;
            }
            // An earlier datagram was refused: nobody listens, or nobody on this family.
            session.refused = false;
            if can_fall_back(session, target) {
                self.end(netlink, target, place);
                other = true;
            }
        }
    }

    fn begin(
        &mut self,
        epoll: BorrowedFd<'_>,
        netlink: &mut Netlink,
        target: &Target,
        key: Key,
        port: u16,
        other: bool,
    ) -> Option<u32> {
        if self.index.len() >= MAX_SESSIONS {
            let oldest = self.live().min_by_key(|(_, s)| s.used).map(|(place, _)| place)?;
            self.end(netlink, target, oldest);
        }
        let inner = inner::connect(target, Protocol::Udp, key.client, port, other).ok()?;
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.places.push(None);
                u32::try_from(self.places.len() - 1).ok()?
            }
        };
        let interest = EventFlags::IN | EventFlags::ET;
        if epoll::add(epoll, &inner.socket, Token::Session(place).data(), interest).is_err() {
            self.free.push(place);
            return None;
        }
        if let Some(source) = inner.source {
            let users = self.routes.entry(source).or_insert(0);
            *users += 1;
            if *users == 1 {
                inner::route_client(netlink, target, source, true);
            }
        }
        let session =
            Session { key, socket: inner.socket, source: inner.source, used: Instant::now(), fell_back: other, refused: false, is_new: true, first: Vec::new() };
        self.places[place as usize] = Some(session);
        self.index.insert(key, place);
        Some(place)
    }

    fn live(&self) -> impl Iterator<Item = (u32, &Session)> {
        (0u32..).zip(&self.places).filter_map(|(place, session)| Some((place, session.as_ref()?)))
    }

    fn end(&mut self, netlink: &mut Netlink, target: &Target, place: u32) {
        let Some(session) = self.places.get_mut(place as usize).and_then(Option::take) else { return };
        self.index.remove(&session.key);
        self.free.push(place);
        let Some(source) = session.source else { return };
        let Some(users) = self.routes.get_mut(&source) else { return };
        *users -= 1;
        if *users == 0 {
            self.routes.remove(&source);
            inner::route_client(netlink, target, source, false);
        }
    }

    /// The server has answered, or its kernel for it.
    pub(super) fn on_server(
        &mut self,
        epoll: BorrowedFd<'_>,
        netlink: &mut Netlink,
        target: &Target,
        listeners: &[Listener],
        place: u32,
    ) {
        self.pass_answers(listeners, place);
        let Some(session) = self.places.get_mut(place as usize).and_then(Option::as_mut) else { return };
        if !session.refused || session.first.is_empty() {
            return;
        }
        let (key, first) = (session.key, std::mem::take(&mut session.first));
        let Some(listener) = listeners.get(key.listener as usize) else { return };
        self.end(netlink, target, place);
        if let Some(place) = self.begin(epoll, netlink, target, key, listener.binding().container_port, true)
            && let Some(Some(session)) = self.places.get_mut(place as usize)
        {
            session.is_new = false;
            // Lost datagrams are in the nature of the protocol.
            let _ = rustix::net::send(&session.socket, &first, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
    }

    fn pass_answers(&mut self, listeners: &[Listener], place: u32) {
        let Some(session) = self.places.get_mut(place as usize).and_then(Option::as_mut) else { return };
        let Some(listener) = listeners.get(session.key.listener as usize) else { return };
        loop {
            match rustix::net::recv(&session.socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    session.used = Instant::now();
                    session.first = Vec::new();
                    let Key { client, local, .. } = session.key;
                    // A datagram to a group or to everybody came to an address nothing can be sent from.
                    let own = local.filter(|l| !l.ip.is_multicast());
                    // Lost datagrams are in the nature of the protocol.
                    let _ = send_datagram(listener.as_fd(), &self.buffer[..length], client, own);
                }
                Err(Errno::INTR) => {}
                Err(Errno::CONNREFUSED) => session.refused = true,
                Err(_) => return,
            }
        }
    }

    /// Ends the sessions that have been idle too long.
    pub(super) fn sweep(&mut self, netlink: &mut Netlink, target: &Target) {
        let now = Instant::now();
        let idle: Vec<u32> =
            self.live().filter(|(_, s)| now.duration_since(s.used) >= IDLE).map(|(place, _)| place).collect();
        for place in idle {
            self.end(netlink, target, place);
        }
    }
}
