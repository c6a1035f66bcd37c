//! Foreign names: questions on their way to other servers, and who waits for them.
//!
//! Each try has a socket of its own, connected to its server from a port the kernel chose, so a forged answer must guess
//! address, port and number. A second server is asked when the first says nothing for a while; the first good answer
//! wins. Everything is bounded: questions, tries, who waits for one, and what one client may have under way.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto};

use super::cache::{Cache, Key};
use super::server::Token;
use super::servers::Servers;
use super::wire::{AskerView, Query, Reply, flag, rcode, write_forwarded, write_query};

/// Questions under way.
const MAX_QUESTIONS: usize = 256;
/// Sockets under way.
const MAX_TRIES: usize = 384;
/// Clients that wait for the same answer.
const MAX_ASKERS: usize = 64;
/// Questions one client may have under way.
const MAX_PER_CLIENT: u32 = 96;
/// After this long without an answer the next server is asked as well.
const PATIENCE: Duration = Duration::from_millis(800);
/// After this long the client is told that nobody answered; resolvers ask again after 5 s.
const TOO_LATE: Duration = Duration::from_millis(4800);
/// How often each server is asked.
const ROUNDS: usize = 2;
/// The largest message.
const LARGEST: usize = 65535;

/// Where an answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// A datagram over this source.
    Datagram { source: u32, peer: SocketAddr },
    /// A TCP connection.
    Stream(u32),
}

/// A client that waits.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) to: To,
    client: IpAddr,
    id: u16,
    flags: u16,
    /// As the client spelled it.
    question: Box<[u8]>,
    edns: bool,
    limit: usize,
}

impl Asker {
    pub(super) fn new(to: To, client: IpAddr, query: &Query, question: &[u8]) -> Self {
        let limit = match to {
            To::Datagram { .. } => query.udp_limit(),
            To::Stream(_) => LARGEST,
        };
        let edns = query.edns.is_some();
        Self { to, client, id: query.id, flags: query.flags, question: question.into(), edns, limit }
    }

    fn view(&self) -> AskerView<'_> {
        AskerView { id: self.id, flags: self.flags, question: &self.question, edns: self.edns, limit: self.limit }
    }

    fn is_stream(&self) -> bool {
        matches!(self.to, To::Stream(_))
    }
}

/// A message for a client.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) to: To,
    pub(super) message: Vec<u8>,
}

#[derive(Debug)]
struct Question {
    key: Key,
    tcp: bool,
    query: Query,
    askers: Vec<Asker>,
    servers: Vec<SocketAddr>,
    /// Tries begun so far, over all rounds.
    begun: usize,
    /// Servers that gave a useless answer.
    useless: Vec<SocketAddr>,
    tries: Vec<u32>,
    /// When the next server is asked as well.
    next: Instant,
    end: Instant,
    /// The last useless answer, better than none.
    last: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Try {
    question: u32,
    socket: OwnedFd,
    server: SocketAddr,
    id: u16,
    /// Bytes still to send and bytes received, over TCP.
    stream: Option<(Vec<u8>, Vec<u8>)>,
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Known; the answer is in the buffer.
    Known,
    /// Others were asked.
    Waiting,
    /// Too much is under way.
    Busy,
}

#[derive(Debug)]
pub(super) struct Forwarder {
    servers: Servers,
    cache: Cache,
    questions: HashMap<u32, Question>,
    under_way: HashMap<(Key, bool), u32>,
    tries: HashMap<u32, Try>,
    clients: HashMap<IpAddr, u32>,
    next_id: u32,
    random: Vec<u8>,
    buffer: Vec<u8>,
}

impl Forwarder {
    pub(super) fn new(servers: Servers) -> Self {
        Self {
            servers,
            cache: Cache::default(),
            questions: HashMap::new(),
            under_way: HashMap::new(),
            tries: HashMap::new(),
            clients: HashMap::new(),
            next_id: 0,
            random: Vec::new(),
            buffer: Vec::new(),
        }
    }

    /// Answers from the cache into `out`, or asks others.
    pub(super) fn ask(
        &mut self,
        epoll: BorrowedFd<'_>,
        query: &Query,
        given: Vec<IpAddr>,
        asker: Asker,
        out: &mut Vec<u8>,
    ) -> Asked {
        let now = Instant::now();
        if self.servers.refresh() {
            self.cache.clear();
        }
        let key = Key {
            name: query.name.as_bytes().into(),
            kind: query.kind,
            class: query.class,
            flags: query.flags & (flag::CHECKING_DISABLED | flag::AUTHENTIC),
            edns: query.edns.map(|edns| edns.dnssec),
            servers: given,
        };
        if let Some(entry) = self.cache.get(&key, now) {
            write_forwarded(out, &entry.message, &entry.reply, &asker.view(), entry.age(now));
            return Asked::Known;
        }
        let tcp = asker.is_stream();
        if let Some(question) = self.under_way.get(&(key.clone(), tcp)).and_then(|id| self.questions.get_mut(id)) {
            if question.askers.iter().any(|other| other.to == asker.to && other.id == asker.id) {
                // Asked again by an impatient client.
                return Asked::Waiting;
            }
            if question.askers.len() >= MAX_ASKERS || !count(&mut self.clients, asker.client) {
                return Asked::Busy;
            }
            question.askers.push(asker);
            return Asked::Waiting;
        }
        if self.questions.len() >= MAX_QUESTIONS || !count(&mut self.clients, asker.client) {
            return Asked::Busy;
        }
        let question = Question {
            servers: self.servers.order(&key.servers, now),
            key: key.clone(),
            tcp,
            query: *query,
            askers: vec![asker],
            begun: 0,
            useless: Vec::new(),
            tries: Vec::new(),
            next: now,
            end: now + TOO_LATE,
            last: None,
        };
        let id = self.fresh_id();
        self.questions.insert(id, question);
        self.under_way.insert((key, tcp), id);
        if !self.try_next(epoll, id, now) {
            // Nobody to ask at all: the caller says so.
            drop(self.end(id));
            return Asked::Busy;
        }
        Asked::Waiting
    }

    /// A number not in use: after 2^32 the old ones are long gone.
    fn fresh_id(&mut self) -> u32 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    fn random(&mut self) -> Option<u16> {
        if self.random.len() < 2 {
            self.random = vec![0; 64];
            // Without randomness nothing is sent: numbers must not be guessed.
            if rustix::rand::getrandom(&mut self.random, rustix::rand::GetRandomFlags::empty()) != Ok(64) {
                self.random.clear();
            }
        }
        Some(u16::from_be_bytes([self.random.pop()?, self.random.pop()?]))
    }

    /// Asks the next server that can be asked. Returns whether anybody is being asked.
    fn try_next(&mut self, epoll: BorrowedFd<'_>, id: u32, now: Instant) -> bool {
        loop {
            let Some(question) = self.questions.get_mut(&id) else { return false };
            question.next = now + PATIENCE;
            let count = question.servers.len();
            if question.begun >= count * ROUNDS || self.tries.len() >= MAX_TRIES {
                return !question.tries.is_empty();
            }
            let server = question.servers[question.begun % count];
            question.begun += 1;
            if question.useless.contains(&server) {
                continue;
            }
            match self.begin(epoll, id, server) {
                Some(begun) => {
                    if let Some(question) = self.questions.get_mut(&id) {
                        question.tries.push(begun);
                    }
                    return true;
                }
                None => self.servers.failed(server, now),
            }
        }
    }

    fn begin(&mut self, epoll: BorrowedFd<'_>, question_id: u32, server: SocketAddr) -> Option<u32> {
        let number = self.random()?;
        let id = self.fresh_id();
        let question = self.questions.get(&question_id)?;
        let asked = &question.askers.first()?.question;
        let flags = flag::RECURSE | question.key.flags;
        let (kind, protocol) = if question.tcp {
            (SocketType::STREAM, ipproto::TCP)
        } else {
            (SocketType::DGRAM, ipproto::UDP)
        };
        let family = if server.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
        let flags_of = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, kind, flags_of, Some(protocol)).ok()?;
        match rustix::net::connect(&socket, &server) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(_) => return None,
        }
        let mut message = std::mem::take(&mut self.buffer);
        write_query(&mut message, number, flags, asked, question.key.edns);
        let (stream, interest) = if question.tcp {
            let mut whole = u16::try_from(message.len()).unwrap_or(0).to_be_bytes().to_vec();
            whole.extend(&message);
            (Some((whole, Vec::new())), EventFlags::OUT | EventFlags::IN)
        } else {
            let sent = rustix::net::send(&socket, &message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            if sent.is_err() {
                self.buffer = message;
                return None;
            }
            (None, EventFlags::IN)
        };
        self.buffer = message;
        epoll::add(epoll, &socket, Token::Try(id).data(), interest).ok()?;
        self.tries.insert(id, Try { question: question_id, socket, server, id: number, stream });
        Some(id)
    }

    /// Something happened on a try's socket.
    pub(super) fn on_event(&mut self, epoll: BorrowedFd<'_>, id: u32, out: &mut Vec<Delivery>) {
        let Some(attempt) = self.tries.get_mut(&id) else { return };
        let mut message = std::mem::take(&mut self.buffer);
        let outcome = attempt.go_on(epoll, id, &mut message);
        let (question, server, number) = (attempt.question, attempt.server, attempt.id);
        let now = Instant::now();
        match outcome {
            Ok(false) => {}
            Ok(true) => self.on_answer(epoll, id, (question, server, number), &message, out),
            Err(_) => {
                self.servers.failed(server, now);
                self.drop_try(question, id);
                self.go_on_or_fail(epoll, question, now, out);
            }
        }
        self.buffer = message;
    }

    fn on_answer(
        &mut self,
        epoll: BorrowedFd<'_>,
        id: u32,
        (question_id, server, number): (u32, SocketAddr, u16),
        message: &[u8],
        out: &mut Vec<Delivery>,
    ) {
        let now = Instant::now();
        let Some(question) = self.questions.get_mut(&question_id) else { return };
        let query = question.query;
        // What is not an answer to this question may be forged: wait for the right one.
        let Ok(reply) = Reply::parse(message) else { return };
        if !reply.answers(number, &query.name, query.kind, query.class) {
            return;
        }
        if matches!(reply.rcode(), rcode::NO_ERROR | rcode::NO_NAME) {
            self.servers.answered(server);
            self.cache.put(question.key.clone(), message, &reply, now);
            self.deliver(question_id, message, &reply, out);
            return;
        }
        question.useless.push(server);
        question.last = Some(message.to_vec());
        self.drop_try(question_id, id);
        self.go_on_or_fail(epoll, question_id, now, out);
    }

    fn drop_try(&mut self, question: u32, id: u32) {
        self.tries.remove(&id);
        if let Some(question) = self.questions.get_mut(&question) {
            question.tries.retain(|other| *other != id);
        }
    }

    fn go_on_or_fail(&mut self, epoll: BorrowedFd<'_>, id: u32, now: Instant, out: &mut Vec<Delivery>) {
        if !self.try_next(epoll, id, now) {
            self.fail(id, out);
        }
    }

    fn deliver(&mut self, id: u32, message: &[u8], reply: &Reply, out: &mut Vec<Delivery>) {
        for asker in self.end(id) {
            let mut answer = Vec::with_capacity(message.len());
            write_forwarded(&mut answer, message, reply, &asker.view(), 0);
            out.push(Delivery { to: asker.to, message: answer });
        }
    }

    fn fail(&mut self, id: u32, out: &mut Vec<Delivery>) {
        let Some(question) = self.questions.get_mut(&id) else { return };
        if let Some((message, reply)) = question.last.take().and_then(|last| Reply::parse(&last).ok().map(|reply| (last, reply))) {
            self.deliver(id, &message, &reply, out);
            return;
        }
        for asker in self.end(id) {
            out.push(Delivery { to: asker.to, message: failure(&asker) });
        }
    }

    /// Ends a question; gives those who waited.
    fn end(&mut self, id: u32) -> Vec<Asker> {
        let Some(question) = self.questions.remove(&id) else { return Vec::new() };
        self.under_way.remove(&(question.key, question.tcp));
        for id in question.tries {
            self.tries.remove(&id);
        }
        for asker in &question.askers {
            if let Some(count) = self.clients.get_mut(&asker.client) {
                *count -= 1;
                if *count == 0 {
                    self.clients.remove(&asker.client);
                }
            }
        }
        question.askers
    }

    /// Asks further servers where patience has ended, gives up where time has.
    pub(super) fn tick(&mut self, epoll: BorrowedFd<'_>, out: &mut Vec<Delivery>) {
        let now = Instant::now();
        let due = |question: &Question| question.next <= now || question.end <= now;
        let due: Vec<u32> = self.questions.iter().filter(|(_, question)| due(question)).map(|(id, _)| *id).collect();
        for id in due {
            let Some(question) = self.questions.get(&id) else { continue };
            if question.end <= now {
                let silent: Vec<u32> = question.tries.clone();
                for server in silent.iter().filter_map(|id| Some(self.tries.get(id)?.server)).collect::<Vec<_>>() {
                    self.servers.failed(server, now);
                }
                self.fail(id, out);
                continue;
            }
            let silent = question.tries.last().and_then(|id| Some(self.tries.get(id)?.server));
            if let Some(server) = silent.filter(|_| question.servers.len() > 1) {
                self.servers.failed(server, now);
            }
            self.try_next(epoll, id, now);
        }
    }

    /// When [`Forwarder::tick`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.questions.values().map(|question| question.next.min(question.end)).min()
    }
}

/// Counts one more question of a client; false when it has too many.
fn count(clients: &mut HashMap<IpAddr, u32>, client: IpAddr) -> bool {
    let count = clients.entry(client).or_insert(0);
    if *count >= MAX_PER_CLIENT {
        return false;
    }
    *count += 1;
    true
}

/// "No server could be asked."
fn failure(asker: &Asker) -> Vec<u8> {
    let mut message = asker.id.to_be_bytes().to_vec();
    let flags = flag::RESPONSE | flag::RECURSION | asker.flags & flag::RECURSE | u16::from(rcode::SERVER_FAILURE);
    message.extend(flags.to_be_bytes());
    message.extend([0, 1, 0, 0, 0, 0, 0, 0]);
    message.extend(&asker.question);
    message
}

impl Try {
    /// Sends and receives what can be. True when a whole message is in `message`.
    fn go_on(&mut self, epoll: BorrowedFd<'_>, id: u32, message: &mut Vec<u8>) -> Result<bool, Errno> {
        let Some((output, input)) = &mut self.stream else {
            message.resize(LARGEST, 0);
            return match rustix::net::recv(&self.socket, message.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    message.truncate(length);
                    Ok(true)
                }
                Err(Errno::AGAIN | Errno::INTR) => Ok(false),
                Err(errno) => Err(errno),
            };
        };
        if !output.is_empty() {
            match rustix::net::send(&self.socket, output, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => drop(output.drain(..sent)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
            if output.is_empty() {
                epoll::modify(epoll, &self.socket, Token::Try(id).data(), EventFlags::IN)?;
            }
        }
        loop {
            // The length and one message, no more.
            let wanted = match input.as_slice() {
                [high, low, ..] => 2 + usize::from(u16::from_be_bytes([*high, *low])),
                _ => 2,
            };
            if input.len() >= 2 && input.len() == wanted {
                message.clear();
                message.extend(&input[2..]);
                return Ok(true);
            }
            let have = input.len();
            input.resize(wanted, 0);
            let got = rustix::net::recv(&self.socket, &mut input[have..], RecvFlags::DONTWAIT);
            input.truncate(have + got.map_or(0, |(length, _)| length));
            match got {
                Ok((0, _)) => return Err(Errno::CONNRESET),
                Ok(_) => {}
                Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
                Err(errno) => return Err(errno),
            }
        }
    }
}
