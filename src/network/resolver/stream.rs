//! A client's TCP connection: questions and answers, each after its length. Bounded in what it reads ahead and in what
//! it lets lie unread.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};

use super::server::Token;

/// A connection on which nothing happens ends after this long.
pub(super) const IDLE: Duration = Duration::from_secs(10);
/// The largest question.
const MAX_QUESTION: usize = 4096;
/// Answers that may be outstanding before no more questions are read.
const MAX_WAITING: u32 = 16;
/// Bytes of answers that may lie unread before no more questions are read.
const MAX_UNREAD: usize = 128 * 1024;

#[derive(Debug)]
pub(super) struct Stream {
    pub(super) source: u32,
    pub(super) peer: SocketAddr,
    socket: OwnedFd,
    input: Vec<u8>,
    output: Vec<u8>,
    /// Questions that were handed on and are not answered yet.
    waiting: u32,
    /// The client will ask no more.
    ended: bool,
    interest: EventFlags,
    pub(super) until: Instant,
}

impl Stream {
    pub(super) fn new(epoll: BorrowedFd<'_>, id: u32, source: u32, peer: SocketAddr, socket: OwnedFd) -> Result<Self, Errno> {
        epoll::add(epoll, &socket, Token::Stream(id).data(), EventFlags::IN)?;
        let until = Instant::now() + IDLE;
        let (input, output) = (Vec::new(), Vec::new());
        Ok(Self { source, peer, socket, input, output, waiting: 0, ended: false, interest: EventFlags::IN, until })
    }

    pub(super) fn client(&self) -> IpAddr {
        self.peer.ip()
    }

    fn may_read(&self) -> bool {
        !self.ended && self.waiting < MAX_WAITING && self.output.len() < MAX_UNREAD
    }

    /// Reads what there is. Call [`Stream::question`] until there is none, then [`Stream::settle`].
    pub(super) fn read(&mut self) -> Result<(), Errno> {
        while self.may_read() && self.input.len() < 2 + MAX_QUESTION {
            let mut buffer = [0; 2 + MAX_QUESTION];
            match rustix::net::recv(&self.socket, buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((0, _)) => self.ended = true,
                Ok((length, _)) => {
                    self.input.extend(&buffer[..length]);
                    self.until = Instant::now() + IDLE;
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// The next whole question; counted as waiting.
    pub(super) fn question(&mut self) -> Result<Option<Vec<u8>>, Errno> {
        if self.waiting >= MAX_WAITING || self.output.len() >= MAX_UNREAD {
            return Ok(None);
        }
        let [high, low, rest @ ..] = self.input.as_slice() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length > MAX_QUESTION {
            return Err(Errno::MSGSIZE);
        }
        let Some(question) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        self.input.drain(..2 + length);
        self.waiting += 1;
        Ok(Some(question))
    }

    /// Puts an answer to one question behind the others; nothing when there is none to give.
    pub(super) fn answer(&mut self, message: &[u8]) {
        self.waiting = self.waiting.saturating_sub(1);
        if let Ok(length) = u16::try_from(message.len())
            && length > 0
        {
            self.output.extend(length.to_be_bytes());
            self.output.extend(message);
        }
    }

    /// Whether whole questions may lie read but unanswered.
    pub(super) fn has_more(&self) -> bool {
        self.input.len() > 2 && self.waiting < MAX_WAITING && self.output.len() < MAX_UNREAD
    }

    /// Sends what can be sent and asks for the right events. False when the connection is over.
    pub(super) fn settle(&mut self, epoll: BorrowedFd<'_>, id: u32) -> bool {
        while !self.output.is_empty() {
            match rustix::net::send(&self.socket, &self.output, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => {
                    self.output.drain(..sent);
                    self.until = Instant::now() + IDLE;
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(_) => return false,
            }
        }
        if self.ended && self.waiting == 0 && self.output.is_empty() {
            return false;
        }
        let mut wanted = EventFlags::empty();
        wanted.set(EventFlags::IN, self.may_read());
        wanted.set(EventFlags::OUT, !self.output.is_empty());
        if wanted != self.interest {
            if epoll::modify(epoll, self.socket.as_fd(), Token::Stream(id).data(), wanted).is_err() {
                return false;
            }
            self.interest = wanted;
        }
        true
    }
}
