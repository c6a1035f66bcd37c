//! The caller's side of a container's streams: terminal in raw mode, detach keys, signals, exit code.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

use crate::engine::options::AttachOptions;
use crate::engine::{Engine, Error};
use crate::monitor::protocol::{self, MAX_PACKET, Packet, Reply, Request, kind};
use crate::state::{ContainerRecord, Containers};
use crate::sys::socket;

use super::signals::{self, Meaning, Signals};

/// How an attachment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The container (or the exec) with this code.
    Exited(i32),
    /// The user typed the detach keys.
    Detached,
}

/// The caller's terminal, put back as it was when dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    saved: Option<Termios>,
    on: bool,
}

impl Terminal {
    /// For a container with a terminal (`tty`); raw mode only when input goes there too.
    pub(super) fn open(tty: bool, interactive: bool) -> Result<Self, Error> {
        let stdin = rustix::stdio::stdin();
        if tty && interactive && !isatty(stdin) {
            return Err(Error::Usage("the input device is not a TTY: leave out -t, or run it in a terminal".to_owned()));
        }
        Ok(Self { saved: None, on: tty })
    }

    /// Rows and columns, if there is a terminal at all.
    pub(super) fn size(&self) -> Option<(u16, u16)> {
        let size = [rustix::stdio::stdout(), rustix::stdio::stdin()].into_iter().find_map(|fd| tcgetwinsize(fd).ok());
        size.filter(|_| self.on).map(|size| (size.ws_row, size.ws_col))
    }

    pub(super) fn raw(&mut self) {
        let stdin = rustix::stdio::stdin();
        if let (true, Ok(now)) = (self.on, tcgetattr(stdin)) {
            let mut raw = now.clone();
            raw.make_raw();
            if tcsetattr(stdin, OptionalActions::Now, &raw).is_ok() {
                self.saved = Some(now);
            }
        }
    }

    fn copy(&self) -> Self {
        Self { saved: None, on: self.on }
    }

    /// Puts it back as it was.
    pub(super) fn restore(&self) {
        if let Some(saved) = &self.saved {
            let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, saved);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.restore();
    }
}

/// The detach keys of one command, as bytes; empty turns them off. As with docker, those given to `run` are `run`'s alone.
pub(super) fn keys(engine: &Engine, asked: Option<&str>) -> Result<Vec<u8>, Error> {
    let text = asked
        .or(engine.config.containers.detach_keys.as_deref())
        .unwrap_or("ctrl-p,ctrl-q");
    parse_keys(text).ok_or_else(|| {
        Error::Usage(format!("invalid detach keys \"{text}\": give characters or ctrl-X (X a letter or one of @ [ ] \\ ^ _), separated by commas"))
    })
}

fn parse_keys(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() {
        return Some(Vec::new());
    }
    text.split(',')
        .map(|key| match (key.strip_prefix("ctrl-"), key.as_bytes()) {
            (Some(control), _) => match control.as_bytes() {
                [letter @ (b'a'..=b'z' | b'@' | b'[' | b']' | b'\\' | b'^' | b'_')] => Some(letter & 0x1f),
                _ => None,
            },
            (None, [byte]) if byte.is_ascii() => Some(*byte),
            _ => None,
        })
        .collect()
}

/// Finds the detach keys in typed bytes, across packets.
#[derive(Debug)]
pub(super) struct Detacher<'a> {
    keys: &'a [u8],
    seen: usize,
}

impl<'a> Detacher<'a> {
    pub(super) fn new(keys: &'a [u8]) -> Self {
        Self { keys, seen: 0 }
    }

    /// What goes on to the container; `None` in place of it when the keys are complete.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.keys.is_empty() {
            return Some(bytes.to_vec());
        }
        let mut out = Vec::with_capacity(bytes.len());
        for &byte in bytes {
            if byte != self.keys[self.seen] && self.seen > 0 {
                // Not the keys after all: what was held back goes on.
                out.extend_from_slice(&self.keys[..self.seen]);
                self.seen = 0;
            }
            if byte == self.keys[self.seen] {
                self.seen += 1;
                if self.seen == self.keys.len() {
                    return None;
                }
            } else {
                out.push(byte);
            }
        }
        Some(out)
    }
}

/// Relays until the container ends or the user detaches.
pub(super) fn relay(socket: &OwnedFd, terminal: &Terminal, interactive: bool, sig_proxy: bool, keys: &[u8]) -> Result<Ended, Error> {
    let mut terminal = terminal.copy();
    let tty = terminal.on;
    let signals = Signals::take(tty, sig_proxy)?;
    if interactive {
        terminal.raw();
    }
    let mut relay = Relay {
        socket,
        input: if interactive { Input::Open } else { Input::Closed },
        pending: None,
        detacher: Detacher::new(if tty { keys } else { &[] }),
        buffer: vec![0; MAX_PACKET + 1],
        stdout_gone: None,
    };
    if let Some((rows, cols)) = terminal.size() {
        relay.resize(rows, cols);
    }
    let ended = relay.run(&signals, &terminal);
    drop(terminal);
    ended
}

#[derive(Debug, PartialEq, Eq)]
enum Input {
    Open,
    Closed,
}

struct Relay<'a> {
    socket: &'a OwnedFd,
    input: Input,
    /// An input packet the monitor has no room for.
    pending: Option<Vec<u8>>,
    detacher: Detacher<'a>,
    buffer: Vec<u8>,
    /// Why output is no longer written.
    stdout_gone: Option<Errno>,
}

impl Relay<'_> {
    fn run(&mut self, signals: &Signals, terminal: &Terminal) -> Result<Ended, Error> {
        loop {
            let stdin = rustix::stdio::stdin();
            let mut fds = vec![PollFd::new(self.socket, PollFlags::IN), PollFd::new(signals, PollFlags::IN)];
            if self.pending.is_some() {
                fds[0] = PollFd::new(self.socket, PollFlags::IN | PollFlags::OUT);
            } else if self.input == Input::Open {
                fds.push(PollFd::from_borrowed_fd(stdin, PollFlags::IN));
            }
            match poll(&mut fds, None) {
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(Error::Internal(format!("poll: {errno}"))),
            }
            let ready: Vec<PollFlags> = fds.iter().map(PollFd::revents).collect();
            drop(fds);
            if ready[0].contains(PollFlags::OUT) {
                self.send_pending();
            }
            if ready[0].intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR)
                && let Some(code) = self.packet()?
            {
                return written(self.stdout_gone, code).map(Ended::Exited);
            }
            if !ready[1].is_empty() {
                self.signals(signals, terminal);
            }
            if ready.get(2).is_some_and(|flags| !flags.is_empty()) && self.read_input(terminal) {
                return Ok(Ended::Detached);
            }
        }
    }

    /// Handles one packet of the monitor; the exit code when it tells one.
    fn packet(&mut self) -> Result<Option<i32>, Error> {
        let packet = protocol::receive(self.socket.as_fd(), &mut self.buffer)
            .map_err(|errno| Error::Internal(format!("the monitor cannot be heard: {errno}")))?;
        match packet {
            Packet::Output { stderr, len } => {
                self.print(stderr, len);
                Ok(None)
            }
            Packet::Reply(Reply::Exited { code }, _) => Ok(Some(code)),
            Packet::Reply(Reply::Error { message }, _) => Err(Error::Runtime { message, hint: None }),
            Packet::Reply(..) => Ok(None),
            Packet::End => Err(Error::Internal(
                "the container's monitor died: the container is gone, its exit code is lost".to_owned(),
            )),
        }
    }

    fn print(&mut self, stderr: bool, len: usize) {
        let mut rest = &self.buffer[1..=len];
        while !rest.is_empty() && (stderr || self.stdout_gone.is_none()) {
            let written = if stderr {
                rustix::io::write(rustix::stdio::stderr(), rest)
            } else {
                rustix::io::write(rustix::stdio::stdout(), rest)
            };
            match written {
                Ok(written) => rest = &rest[written..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => wait_writable(stderr),
                Err(_) if stderr => return,
                Err(errno) => {
                    // Nobody gets what it prints: it ends as a program in a pipeline would.
                    self.stdout_gone = Some(errno);
                    let stop = Request::Stop { signal: None, timeout: Some(2), remove: false, volumes: false };
                    let _ = protocol::send_request(self.socket.as_fd(), &stop, &[]);
                }
            }
        }
    }

    fn signals(&mut self, signals: &Signals, terminal: &Terminal) {
        while let Some((signal, meaning)) = signals.next() {
            match meaning {
                Meaning::Resize => {
                    if let Some((rows, cols)) = terminal.size() {
                        self.resize(rows, cols);
                    }
                }
                Meaning::Pass => {
                    let _ = protocol::send_request(self.socket.as_fd(), &Request::Signal { signal, stop: false }, &[]);
                    if signal == libc::SIGHUP && terminal.on {
                        signals::end_if_hung_up(terminal);
                    }
                }
                Meaning::End => signals::end_by(signal, terminal),
            }
        }
    }

    fn resize(&self, rows: u16, cols: u16) {
        let (rows, cols) = (rows.to_be_bytes(), cols.to_be_bytes());
        let packet = [kind::RESIZE, rows[0], rows[1], cols[0], cols[1]];
        let _ = socket::send(self.socket.as_fd(), &[IoSlice::new(&packet)], &[], false);
    }

    /// Reads what the user gives; true when these were the detach keys.
    fn read_input(&mut self, terminal: &Terminal) -> bool {
        let mut bytes = vec![0; MAX_PACKET];
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(size) if size > 0 => {
                let Some(typed) = self.detacher.feed(&bytes[..size]) else { return true };
                if typed.is_empty() {
                    return false;
                }
                let mut packet = Vec::with_capacity(typed.len() + 1);
                packet.push(kind::STDIN);
                packet.extend_from_slice(&typed);
                self.pending = Some(packet);
            }
            Err(Errno::INTR | Errno::AGAIN) => return false,
            // EIO: in the background, or the terminal is gone.
            Ok(_) | Err(_) => {
                if terminal.on {
                    signals::end_if_hung_up(terminal);
                }
                self.input = Input::Closed;
                self.pending = Some(vec![kind::STDIN]);
            }
        }
        self.send_pending();
        false
    }

    fn send_pending(&mut self) {
        if let Some(packet) = self.pending.take() {
            let sent = socket::send(self.socket.as_fd(), &[IoSlice::new(&packet)], &[], false);
            if let Err(Errno::AGAIN | Errno::NOBUFS) = sent {
                self.pending = Some(packet);
            }
        }
    }
}

/// How a program ended whose output met this error: a reader that has gone is none, as in any pipeline.
pub(super) fn written(error: Option<Errno>, code: i32) -> Result<i32, Error> {
    match error {
        None | Some(Errno::PIPE) => Ok(code),
        Some(source) => Err(Error::Unwritten { source, code }),
    }
}

fn wait_writable(stderr: bool) {
    let fd = if stderr { rustix::stdio::stderr() } else { rustix::stdio::stdout() };
    let _ = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], None);
}

/// Connects to the monitor of a running container.
pub(in crate::engine) fn connect(engine: &Engine, name: &str) -> Result<(ContainerRecord, OwnedFd), Error> {
    let entry = Containers::new(&engine.paths).get(name)?;
    if entry.status.run().is_none() {
        return Err(not_running(name));
    }
    let path = engine.paths.container_run(&entry.record.id).join("ctl");
    let socket = socket::connect(&path).map_err(|_| not_running(name))?;
    Ok((entry.record, socket))
}

pub(super) fn not_running(name: &str) -> Error {
    Error::Conflict(format!("container {name} is not running"))
}

/// Sends a request to the monitor of `name`.
pub(super) fn send(socket: &OwnedFd, request: &Request, fds: &[BorrowedFd<'_>], name: &str) -> Result<(), Error> {
    protocol::send_request(socket.as_fd(), request, fds).map_err(|errno| match errno {
        // It ended since it took the connection.
        Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN => not_running(name),
        errno => Error::Internal(format!("cannot ask the monitor: {errno}")),
    })
}

/// `attach`: joins the streams of a running container. `None` when detached from.
///
/// # Errors
/// When it is not running.
pub fn attach(engine: &Engine, name: &str, options: &AttachOptions) -> Result<Option<i32>, Error> {
    let (record, socket) = connect(engine, name)?;
    let interactive = record.spec.process.interactive && !options.no_stdin;
    let keys = keys(engine, options.detach_keys.as_deref())?;
    let terminal = Terminal::open(record.spec.process.tty && isatty(rustix::stdio::stdin()), interactive)?;
    send(&socket, &Request::Attach { stdin: interactive }, &[], name)?;
    match relay(&socket, &terminal, interactive, options.sig_proxy, &keys)? {
        Ended::Exited(code) => Ok(Some(code)),
        Ended::Detached => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detach_keys_are_found_across_packets_and_given_back_when_they_are_not() {
        assert_eq!(parse_keys("ctrl-p,ctrl-q"), Some(vec![16, 17]));
        assert_eq!(parse_keys("a,ctrl-]"), Some(vec![b'a', 29]));
        assert_eq!(parse_keys("ctrl-1"), None);
        let mut detacher = Detacher::new(&[16, 17]);
        assert_eq!(detacher.feed(b"ab\x10"), Some(b"ab".to_vec()));
        assert_eq!(detacher.feed(b"c"), Some(b"\x10c".to_vec()));
        assert_eq!(detacher.feed(b"\x10\x10"), Some(b"\x10".to_vec()));
        assert_eq!(detacher.feed(b"\x11"), None);
    }
}
