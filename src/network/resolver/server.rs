//! The name server's thread: one epoll over the sockets of every network, its TCP clients, and what other servers say.
//!
//! The thread stays in the network namespace in which it was started, which must be the host's: there it asks the host's
//! servers, also those on the host's loopback. The sockets it serves belong to the networks' namespace; a socket keeps
//! the namespace it was made in.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use super::forward::{Asked, Asker, Delivery, Forwarder, To};
use super::servers::Servers;
use super::stream::Stream;
use super::wire::{Answer, BadQuery, CLASS_IN, Query, flag, rcode, write_refusal};
use super::zone::{Lookup, SharedZones};

/// The port of name servers.
pub const PORT: u16 = 53;
/// Sockets of one address, each with the questions of some clients: a flood fills the queue of who makes it, and few others'.
const QUEUES: u32 = 16;
/// Datagrams taken from one socket before others get their turn.
const TURN: usize = 64;
/// Events taken at once.
const BATCH: usize = 64;
/// TCP connections at once, and those of one client.
const MAX_STREAMS: usize = 128;
const MAX_STREAMS_OF_CLIENT: usize = 16;
/// The largest question over UDP; a longer one is cut off and so refused.
const MAX_DATAGRAM: usize = 4096;
/// Waiting TCP clients.
const BACKLOG: i32 = 128;
/// Names of ours may change at any time.
const LIFETIME: u32 = 0;
/// Kinds of question that are no question for one record (RFC 1995, 5936, and mail kinds of old).
const TRANSFERS: std::ops::RangeInclusive<u16> = 251..=254;
/// Stack of the thread.
const STACK: usize = 256 * 1024;

/// Why the name server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ResolverError {
    /// The address cannot be listened on.
    #[error("cannot open the name server at {address}: {source}")]
    Socket {
        /// Address and port.
        address: SocketAddr,
        /// The kernel's error.
        source: std::io::Error,
    },
    /// A descriptor or thread could not be had.
    #[error("cannot start the name server: {operation}: {source}")]
    System {
        /// What was asked of the system.
        operation: &'static str,
        /// Its error.
        source: std::io::Error,
    },
}

fn system(operation: &'static str) -> impl Fn(Errno) -> ResolverError {
    move |errno| ResolverError::System { operation, source: errno.into() }
}

/// How other servers are found.
#[derive(Debug, Clone)]
pub struct Options {
    /// The host's list of servers.
    pub resolv_conf: PathBuf,
    /// Their port.
    pub port: u16,
}

impl Default for Options {
    fn default() -> Self {
        Self { resolv_conf: "/etc/resolv.conf".into(), port: PORT }
    }
}

/// The sockets of one network: datagrams and listeners.
#[derive(Debug, Default)]
pub struct Sockets {
    udp: Vec<OwnedFd>,
    tcp: Vec<OwnedFd>,
}

impl Sockets {
    /// Opens the sockets for these addresses in the calling thread's network namespace; the addresses need not be on a
    /// link yet. With a link, questions that come by another one find nobody there: every address of the namespace is
    /// reached from every network, and names are for who is on the network.
    ///
    /// # Errors
    /// [`ResolverError::Socket`].
    pub fn open(addresses: &[IpAddr], port: u16, link: Option<&str>) -> Result<Self, ResolverError> {
        let mut sockets = Self::default();
        for ip in addresses {
            let address = SocketAddr::new(*ip, port);
            let fail = |errno: Errno| ResolverError::Socket { address, source: errno.into() };
            let udp = open(address, SocketType::DGRAM, link).map_err(fail)?;
            // Port 0 is for all of them the one that the first got.
            let name = rustix::net::getsockname(&udp).map_err(fail)?;
            let bound = SocketAddr::try_from(name).map_err(fail)?;
            // Not spread, the first takes all.
            if crate::sys::net::spread_by_sender(udp.as_fd(), ip.is_ipv6(), QUEUES).is_ok() {
                for _ in 1..QUEUES {
                    sockets.udp.push(open(bound, SocketType::DGRAM, link).map_err(fail)?);
                }
            }
            let tcp = open(bound, SocketType::STREAM, link).map_err(fail)?;
            rustix::net::listen(&tcp, BACKLOG).map_err(fail)?;
            sockets.udp.push(udp);
            sockets.tcp.push(tcp);
        }
        Ok(sockets)
    }

    #[cfg(test)]
    pub(super) fn first(&self) -> &OwnedFd {
        &self.udp[0]
    }
}

fn open(address: SocketAddr, kind: SocketType, link: Option<&str>) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let protocol = if kind == SocketType::DGRAM { ipproto::UDP } else { ipproto::TCP };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, Some(protocol))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
        sockopt::set_ipv6_freebind(&socket, true)?;
    } else {
        sockopt::set_ip_freebind(&socket, true)?;
    }
    if kind == SocketType::STREAM {
        sockopt::set_socket_reuseaddr(&socket, true)?;
    } else {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    if let Some(link) = link {
        crate::sys::net::bind_to_link(socket.as_fd(), link)?;
    }
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// A running name server.
#[derive(Debug)]
pub struct Resolver {
    orders: Arc<Mutex<Vec<Order>>>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
enum Order {
    Serve { network: String, sockets: Sockets },
    Forget { network: String },
    Stop,
}

impl Resolver {
    /// Starts the thread. Call in the host's network namespace.
    ///
    /// # Errors
    /// [`ResolverError::System`].
    pub fn start(zones: SharedZones, options: Options) -> Result<Self, ResolverError> {
        let orders = Arc::new(Mutex::new(Vec::new()));
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(system("eventfd"))?);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(system("epoll"))?;
        epoll::add(&epoll, &wake, Token::Wake.data(), EventFlags::IN).map_err(system("epoll"))?;
        let mut server = Server::new(epoll, zones, options, (orders.clone(), wake.clone()));
        let thread = std::thread::Builder::new()
            .name("resolver".into())
            .stack_size(STACK)
            .spawn(move || server.run())
            .map_err(|source| ResolverError::System { operation: "start a thread", source })?;
        Ok(Self { orders, wake, thread: Some(thread) })
    }

    fn order(&self, order: Order) {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).push(order);
        // An eventfd takes this always.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }

    /// Answers questions that come over these sockets with the names of this network; instead of earlier sockets of it.
    pub fn serve(&self, network: &str, sockets: Sockets) {
        self.order(Order::Serve { network: network.to_owned(), sockets });
    }

    /// Closes the sockets of a network.
    pub fn forget(&self, network: &str) {
        self.order(Order::Forget { network: network.to_owned() });
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.order(Order::Stop);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

/// What an epoll registration belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Wake,
    /// A socket of a network.
    Source(u32),
    /// A TCP client.
    Stream(u32),
    /// A question to another server.
    Try(u32),
}

impl Token {
    pub(super) fn data(self) -> epoll::EventData {
        let (kind, id) = match self {
            Self::Wake => (0, 0),
            Self::Source(id) => (1, id),
            Self::Stream(id) => (2, id),
            Self::Try(id) => (3, id),
        };
        epoll::EventData::new_u64(kind << 32 | u64::from(id))
    }

    fn from_data(data: u64) -> Self {
        let id = (data & 0xffff_ffff) as u32;
        match data >> 32 {
            1 => Self::Source(id),
            2 => Self::Stream(id),
            3 => Self::Try(id),
            _ => Self::Wake,
        }
    }
}

struct Source {
    network: Arc<str>,
    socket: OwnedFd,
    listener: bool,
}

struct Server {
    epoll: OwnedFd,
    zones: SharedZones,
    orders: Arc<Mutex<Vec<Order>>>,
    wake: Arc<OwnedFd>,
    sources: HashMap<u32, Source>,
    streams: HashMap<u32, Stream>,
    forwarder: Forwarder,
    next_id: u32,
    /// Given up for a moment when there are no more descriptors, to tell a client so.
    reserve: Option<OwnedFd>,
    deliveries: Vec<Delivery>,
    answer: Vec<u8>,
}

impl Server {
    fn new(epoll: OwnedFd, zones: SharedZones, options: Options, (orders, wake): (Arc<Mutex<Vec<Order>>>, Arc<OwnedFd>)) -> Self {
        Self {
            epoll,
            zones,
            orders,
            wake,
            sources: HashMap::new(),
            streams: HashMap::new(),
            forwarder: Forwarder::new(Servers::new(options.resolv_conf, options.port)),
            next_id: 0,
            reserve: reserve(),
            deliveries: Vec::new(),
            answer: Vec::new(),
        }
    }

    fn run(&mut self) {
        let mut events = [MaybeUninit::<epoll::Event>::uninit(); BATCH];
        loop {
            let timeout = self.timeout();
            let (events, _) = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
                Ok(events) => events,
                Err(Errno::INTR) => continue,
                Err(_) => return,
            };
            for event in &*events {
                match Token::from_data(event.data.u64()) {
                    Token::Wake => {
                        if !self.obey() {
                            return;
                        }
                    }
                    Token::Source(id) if self.sources.get(&id).is_some_and(|source| source.listener) => self.accept(id),
                    Token::Source(id) => self.receive(id),
                    Token::Stream(id) => self.on_stream(id),
                    Token::Try(id) => self.forwarder.on_event(self.epoll.as_fd(), id, &mut self.deliveries),
                }
            }
            let now = Instant::now();
            if self.forwarder.due().is_some_and(|due| due <= now) {
                self.forwarder.tick(self.epoll.as_fd(), &mut self.deliveries);
            }
            self.streams.retain(|_, stream| stream.until > now);
            self.deliver();
        }
    }

    /// Forever when nothing is due: an idle server causes no wake-ups.
    fn timeout(&self) -> Option<Timespec> {
        let due = self.streams.values().map(|stream| stream.until).chain(self.forwarder.due()).min()?;
        // Rounded up: an early wake-up would find nothing due.
        let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        Timespec::try_from(left).ok()
    }

    fn fresh_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    /// Does what was ordered. False: to stop.
    fn obey(&mut self) -> bool {
        let mut count = [0; 8];
        let _ = rustix::io::read(&*self.wake, &mut count);
        let orders = std::mem::take(&mut *self.orders.lock().unwrap_or_else(PoisonError::into_inner));
        for order in orders {
            match order {
                Order::Stop => return false,
                Order::Forget { network } => self.forget(&network),
                Order::Serve { network, sockets } => {
                    self.forget(&network);
                    let network: Arc<str> = network.into();
                    let udp = sockets.udp.into_iter().map(|socket| (socket, false));
                    for (socket, listener) in udp.chain(sockets.tcp.into_iter().map(|socket| (socket, true))) {
                        let id = self.fresh_id();
                        if epoll::add(&self.epoll, &socket, Token::Source(id).data(), EventFlags::IN).is_ok() {
                            self.sources.insert(id, Source { network: network.clone(), socket, listener });
                        }
                    }
                }
            }
        }
        true
    }

    fn forget(&mut self, network: &str) {
        self.sources.retain(|_, source| *source.network != *network);
        self.streams.retain(|_, stream| self.sources.contains_key(&stream.source));
    }

    fn receive(&mut self, id: u32) {
        for _ in 0..TURN {
            let Some(source) = self.sources.get(&id) else { return };
            let mut buffer = [0; MAX_DATAGRAM];
            let (length, peer) = match rustix::net::recvfrom(&source.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((length, _, Some(peer))) => (length, peer),
                Ok(_) => continue,
                Err(Errno::AGAIN) => return,
                // What an earlier answer met with.
                Err(_) => continue,
            };
            let Ok(peer) = SocketAddr::try_from(peer) else { continue };
            let network = source.network.clone();
            if self.answer(&network, To::Datagram { source: id, peer }, peer.ip(), &buffer[..length]) {
                self.send(id, peer, &self.answer);
            }
        }
    }

    fn send(&self, source: u32, peer: SocketAddr, message: &[u8]) {
        if let Some(source) = self.sources.get(&source) {
            // A client whose buffers are full asks again.
            let _ = rustix::net::sendto(&source.socket, message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL, &peer);
        }
    }

    /// Answers one message into `self.answer`. False when there is no answer yet, or none at all.
    fn answer(&mut self, network: &str, to: To, client: IpAddr, message: &[u8]) -> bool {
        let query = match Query::parse(message) {
            Ok(query) => query,
            Err(BadQuery::Ignore) => {
                self.unanswered(to);
                return false;
            }
            Err(BadQuery::Refuse { id, flags, rcode }) => {
                write_refusal(&mut self.answer, id, flags, rcode);
                return true;
            }
        };
        let limit = match to {
            To::Datagram { .. } => query.udp_limit(),
            To::Stream(_) => usize::from(u16::MAX),
        };
        let mut code = rcode::NO_ERROR;
        let mut owned = None;
        let bad_version = query.edns.is_some_and(|edns| edns.version != 0);
        if query.class != CLASS_IN || TRANSFERS.contains(&query.kind) {
            code = rcode::REFUSED;
        } else if !bad_version {
            let lookup = {
                let zones = self.zones.read().unwrap_or_else(PoisonError::into_inner);
                zones.lookup(network, client, &query.name, query.kind)
            };
            match lookup {
                Lookup::Forward(_) if query.flags & flag::RECURSE == 0 => code = rcode::REFUSED,
                Lookup::Forward(servers) => {
                    let question = message.get(super::wire::HEADER..query.end).unwrap_or(&[]);
                    let asker = Asker::new(to, client, &query, question);
                    match self.forwarder.ask(self.epoll.as_fd(), &query, servers, asker, &mut self.answer) {
                        Asked::Known => return true,
                        Asked::Waiting => return false,
                        Asked::Busy => code = rcode::SERVER_FAILURE,
                    }
                }
                lookup => owned = Some(lookup),
            }
        }
        let mut answer = Answer::begin(&mut self.answer, &query, message, limit);
        if bad_version {
            answer.bad_version();
        }
        match owned {
            Some(Lookup::Addresses(addresses)) => {
                answer.authoritative();
                addresses.into_iter().for_each(|ip| answer.address(LIFETIME, ip));
            }
            Some(Lookup::Pointer(name)) => {
                answer.authoritative();
                answer.pointer(LIFETIME, &name);
            }
            Some(Lookup::NoName) => {
                answer.authoritative();
                code = rcode::NO_NAME;
            }
            Some(Lookup::Forward(_)) | None => {}
        }
        answer.rcode(code);
        answer.finish();
        true
    }

    /// A message that gets no answer must not keep a TCP connection waiting for one.
    fn unanswered(&mut self, to: To) {
        if let To::Stream(id) = to
            && let Some(stream) = self.streams.get_mut(&id)
        {
            stream.answer(&[]);
        }
    }

    fn accept(&mut self, source: u32) {
        for _ in 0..TURN {
            let Some(listener) = self.sources.get(&source) else { return };
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let (socket, peer) = match rustix::net::acceptfrom_with(&listener.socket, flags) {
                Ok((socket, Some(peer))) => (socket, peer),
                Ok(_) | Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(Errno::MFILE | Errno::NFILE) => {
                    // Out of descriptors: whoever waits is turned away, else it would be announced without end.
                    drop(self.reserve.take());
                    drop(rustix::net::accept_with(&listener.socket, flags));
                    self.reserve = reserve();
                    return;
                }
                Err(_) => return,
            };
            let Ok(peer) = SocketAddr::try_from(peer) else { continue };
            let of_client = self.streams.values().filter(|stream| stream.client() == peer.ip()).count();
            if of_client >= MAX_STREAMS_OF_CLIENT {
                continue;
            }
            if self.streams.len() >= MAX_STREAMS {
                let oldest = self.streams.iter().min_by_key(|(_, stream)| stream.until).map(|(id, _)| *id);
                drop(oldest.and_then(|id| self.streams.remove(&id)));
            }
            let id = self.fresh_id();
            if let Ok(stream) = Stream::new(self.epoll.as_fd(), id, source, peer, socket) {
                self.streams.insert(id, stream);
            }
        }
    }

    fn on_stream(&mut self, id: u32) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let read = stream.read();
        if read.is_err() || !self.answer_stream(id) {
            self.streams.remove(&id);
        }
    }

    /// Answers the questions read from a connection. False when it is over.
    fn answer_stream(&mut self, id: u32) -> bool {
        loop {
            let Some(stream) = self.streams.get_mut(&id) else { return false };
            let question = match stream.question() {
                Ok(Some(question)) => question,
                Ok(None) => return stream.settle(self.epoll.as_fd(), id),
                Err(_) => return false,
            };
            let (client, source) = (stream.client(), stream.source);
            let Some(network) = self.sources.get(&source).map(|source| source.network.clone()) else { return false };
            if self.answer(&network, To::Stream(id), client, &question) {
                let Some(stream) = self.streams.get_mut(&id) else { return false };
                stream.answer(&self.answer);
            }
        }
    }

    /// Sends what other servers have answered.
    fn deliver(&mut self) {
        for delivery in std::mem::take(&mut self.deliveries) {
            match delivery.to {
                To::Datagram { source, peer } => self.send(source, peer, &delivery.message),
                To::Stream(id) => {
                    let Some(stream) = self.streams.get_mut(&id) else { continue };
                    stream.answer(&delivery.message);
                    let over = if stream.has_more() { !self.answer_stream(id) } else { !stream.settle(self.epoll.as_fd(), id) };
                    if over {
                        self.streams.remove(&id);
                    }
                }
            }
        }
    }
}

fn reserve() -> Option<OwnedFd> {
    eventfd(0, EventfdFlags::CLOEXEC).ok()
}
