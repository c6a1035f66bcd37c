//! A connection to the service manager: its private socket (the one systemctl uses; needs no bus daemon), else the
//! session bus.
//!
//! Authentication is EXTERNAL with the caller's uid, so a process connects before it enters a user namespace: from inside
//! one its uid reads 0 and the answer is a rejection.

use std::io::{Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::message::{self, FIXED, Message, Target, Writer};

/// Why the service manager did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// There is none, or it does not listen.
    #[error("no systemd user session can be reached ({0})")]
    NoManager(String),
    /// The connection broke.
    #[error("the service manager cannot be talked to: {0}")]
    Io(#[from] std::io::Error),
    /// It does not believe who we are.
    #[error("the service manager refuses the connection: {0}")]
    Refused(String),
    /// What came is no D-Bus message.
    #[error("the service manager sent something that is no D-Bus message")]
    Garbled,
    /// The call failed.
    #[error("the service manager refuses: {message} ({name})")]
    Call {
        /// D-Bus name of the error.
        name: String,
        /// In words.
        message: String,
    },
    /// The unit did not start.
    #[error("the service manager could not start {unit}: {result}")]
    Job {
        /// Its name.
        unit: String,
        /// systemd's word for it.
        result: String,
    },
    /// Nothing came in time.
    #[error("the service manager did not answer in time")]
    Timeout,
}

#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    serial: u32,
    deadline: Instant,
    received: Vec<u8>,
}

/// Where the manager of this process's user may listen: (path or abstract name, whether a bus daemon is there).
enum Place {
    Private(PathBuf),
    Bus(PathBuf),
    AbstractBus(Vec<u8>),
}

impl Place {
    fn connect(&self) -> std::io::Result<UnixStream> {
        match self {
            Self::Private(path) | Self::Bus(path) => UnixStream::connect(path),
            Self::AbstractBus(name) => {
                SocketAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address))
            }
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Private(path) | Self::Bus(path) => write!(f, "{}", path.display()),
            Self::AbstractBus(name) => f.write_str(&String::from_utf8_lossy(name)),
        }
    }
}

fn places() -> Vec<Place> {
    if rustix::process::geteuid().is_root() && !in_user_namespace() {
        return vec![Place::Private("/run/systemd/private".into()), Place::Bus("/run/dbus/system_bus_socket".into())];
    }
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .unwrap_or_else(|| format!("/run/user/{}", rustix::process::geteuid().as_raw()).into());
    let mut places = vec![Place::Private(runtime.join("systemd/private"))];
    let address = std::env::var("DBUS_SESSION_BUS_ADDRESS").unwrap_or_default();
    for one in address.split(';') {
        let Some(keys) = one.strip_prefix("unix:") else { continue };
        for (key, value) in keys.split(',').filter_map(|pair| pair.split_once('=')) {
            match key {
                "path" => places.push(Place::Bus(PathBuf::from(unescape(value)))),
                "abstract" => places.push(Place::AbstractBus(unescape(value).into_bytes())),
                _ => {}
            }
        }
    }
    places.push(Place::Bus(runtime.join("bus")));
    places
}

/// Whether uid 0 here is somebody else outside.
fn in_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_ascii_whitespace().ne(["0", "0", "4294967295"]))
}

/// `%xx` of a D-Bus address.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        match (first, digits.and_then(|two| u8::from_str_radix(two, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether there is a socket to ask at. Connects to nothing.
pub fn manager_reachable() -> bool {
    places().iter().any(|place| match place {
        Place::Private(path) | Place::Bus(path) => rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok(),
        Place::AbstractBus(_) => true,
    })
}

pub(super) const MANAGER: Target<'_> = Target {
    destination: "org.freedesktop.systemd1",
    path: "/org/freedesktop/systemd1",
    interface: "org.freedesktop.systemd1.Manager",
};
const DAEMON: Target<'_> = Target {
    destination: "org.freedesktop.DBus",
    path: "/org/freedesktop/DBus",
    interface: "org.freedesktop.DBus",
};
const MATCH: &str = "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',\
                     member='JobRemoved',path='/org/freedesktop/systemd1'";

impl Connection {
    /// Connects, authenticates, and sees to it that the end of jobs is told. All of it, and all that follows, within
    /// `timeout`.
    pub(super) fn open(timeout: Duration) -> Result<Self, BusError> {
        let deadline = Instant::now() + timeout;
        let mut failed = Vec::new();
        for place in places() {
            match place.connect() {
                Ok(stream) => {
                    let daemon = !matches!(place, Place::Private(_));
                    let mut connection = Self { stream, serial: 0, deadline, received: Vec::new() };
                    match connection.authenticate(true) {
                        Err(BusError::Refused(_)) => {
                            connection.stream = place.connect()?;
                            connection.received.clear();
                            connection.authenticate(false)?;
                        }
                        other => other?,
                    }
                    if daemon {
                        connection.greet()?;
                    }
                    return Ok(connection);
                }
                Err(error) => failed.push(format!("{place}: {error}")),
            }
        }
        Err(BusError::NoManager(failed.join(", ")))
    }

    /// Says who we are: by `uid`, or, in a user namespace whose uids mean nothing outside, leaving it to the other side
    /// to take it from the socket. All in one packet, `BEGIN` included: what came after it in the same read, systemd
    /// would not look at before more comes.
    fn authenticate(&mut self, by_uid: bool) -> Result<(), BusError> {
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        let words = if by_uid { format!(" {hex}\r\n") } else { "\r\nDATA\r\n".to_owned() };
        self.stream.write_all(format!("\0AUTH EXTERNAL{words}BEGIN\r\n").as_bytes())?;
        let mut answer = self.line()?;
        if !by_uid && answer.starts_with("DATA") {
            answer = self.line()?;
        }
        if answer.starts_with("OK") { Ok(()) } else { Err(BusError::Refused(answer)) }
    }

    fn line(&mut self) -> Result<String, BusError> {
        loop {
            if let Some(end) = self.received.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.received[..end]).into_owned();
                self.received.drain(..end + 2);
                return Ok(line);
            }
            if self.received.len() > 4096 {
                return Err(BusError::Garbled);
            }
            self.read()?;
        }
    }

    /// What a bus daemon wants first. The answers are nobody's: an error shows in what follows.
    fn greet(&mut self) -> Result<(), BusError> {
        self.call(DAEMON, "Hello", "", Writer::default())?;
        let mut rule = Writer::default();
        rule.string(MATCH);
        self.call(DAEMON, "AddMatch", "s", rule)?;
        self.call(MANAGER, "Subscribe", "", Writer::default())?;
        Ok(())
    }

    /// Sends a call and returns its serial number.
    pub(super) fn call(&mut self, target: Target<'_>, member: &str, signature: &str, body: Writer) -> Result<u32, BusError> {
        self.serial += 1;
        self.stream.write_all(&message::call(self.serial, target, member, signature, body))?;
        Ok(self.serial)
    }

    /// Waits for the next message.
    pub(super) fn next(&mut self) -> Result<Message, BusError> {
        loop {
            if self.received.len() >= FIXED {
                let size = message::size(&self.received).ok_or(BusError::Garbled)?;
                if self.received.len() >= size {
                    let message = Message::parse(&self.received[..size]).ok_or(BusError::Garbled)?;
                    self.received.drain(..size);
                    return Ok(message);
                }
            }
            self.read()?;
        }
    }

    fn read(&mut self) -> Result<(), BusError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(BusError::Timeout);
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut buffer = [0_u8; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
            Ok(size) => {
                self.received.extend_from_slice(&buffer[..size]);
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Err(BusError::Timeout),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Tests talk to a manager of their own.
    #[cfg(test)]
    pub(super) fn to(path: &std::path::Path, timeout: Duration, by_uid: bool) -> Result<Self, BusError> {
        let deadline = Instant::now() + timeout;
        let mut connection = Self { stream: UnixStream::connect(path)?, serial: 0, deadline, received: Vec::new() };
        connection.authenticate(by_uid)?;
        Ok(connection)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_unescaped() {
        assert_eq!(unescape("/run/user/1%2c2/b%us"), "/run/user/1,2/b%us");
    }
}
