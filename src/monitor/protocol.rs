//! What a monitor and its clients say to each other over a SOCK_SEQPACKET socket.
//!
//! A packet is one kind byte and its content. A client begins with one request; the first client of all is the command
//! that started the monitor, on descriptor 3, and its request is [`Start`] in a memory file.

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::network::files::{HostsLink, NameFiles};
use crate::network::holder::protocol::{Member, Wish};
use crate::runtime::Failure;
use crate::runtime::plan::{Plan, Process};
use crate::spec::container::{LogDriver, RestartPolicy};
use crate::spec::network::SlirpOptions;
use crate::sys::socket;

/// Content bytes of the largest packet.
pub const MAX_PACKET: usize = 32 << 10;

/// Kinds of packets.
pub mod kind {
    /// Input for the container; empty is its end.
    pub const STDIN: u8 = 0;
    /// Output.
    pub const STDOUT: u8 = 1;
    /// Error output.
    pub const STDERR: u8 = 2;
    /// New terminal size: rows and columns, two bytes each, big-endian.
    pub const RESIZE: u8 = 4;
    /// A [`super::Request`] as JSON.
    pub const REQUEST: u8 = 10;
    /// A [`super::Reply`] as JSON.
    pub const REPLY: u8 = 11;
    /// A [`super::Start`] as JSON in the memory file that comes with the packet.
    pub const START: u8 = 12;
}

/// Everything a monitor needs to know.
#[derive(Debug, Serialize, Deserialize)]
pub struct Start {
    /// The container.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How to build it.
    pub plan: Plan,
    /// The data directory of kelp (`containers/ID` and `names` are in it).
    pub data: std::path::PathBuf,
    /// The runtime directory of kelp (`c/ID16` is in it).
    pub run: std::path::PathBuf,
    /// Log file.
    pub log: std::path::PathBuf,
    /// What is done with output.
    pub log_driver: LogDriver,
    /// Bytes per log file.
    pub log_size: u64,
    /// Log files.
    pub log_files: u32,
    /// A pipe or terminal input is kept for the container.
    pub interactive: bool,
    /// Input ends when its first client goes.
    pub stdin_once: bool,
    /// The starting command wants output (and input).
    pub attached: bool,
    /// Descriptors 0, 1 and 2 of the caller come along and are the container's own (`--log-driver passthrough`).
    pub passthrough: bool,
    /// A descriptor of a process comes along, whose namespaces are joined.
    pub joins: bool,
    /// So many descriptors come along for the program's 3 and up (`--preserve-fds`).
    pub preserved: usize,
    /// So many listening sockets come along, last, for published ports.
    pub sockets: usize,
    /// slirp4netns, if the container's network is the default one.
    pub slirp: Option<SlirpOptions>,
    /// Options of pasta, if that is its network.
    pub pasta: Option<Vec<String>>,
    /// Who it is on user networks; none where it has no network namespace of its own.
    pub member: Option<Member>,
    /// The user networks it is on.
    pub networks: Vec<Wish>,
    /// Its name files, written anew whenever its networks change.
    pub names: Option<NameFiles>,
    /// Ports of the host's loopback it may reach.
    pub host_access: Vec<u16>,
    /// The host has an IPv6 default route.
    pub host_ipv6: bool,
    /// Published ports.
    pub ports: Vec<crate::spec::Port>,
    /// Ids of the user's namespace that are this container's alone: first and count (`--userns auto`).
    pub ids: Option<(u32, u32)>,
    /// The address shown for it.
    pub ip: Option<String>,
    /// After an exit.
    pub restart: RestartPolicy,
    /// Remove the container at its end.
    pub remove: bool,
    /// Volumes that go with it.
    pub anonymous_volumes: Vec<String>,
    /// Number of the stop signal.
    pub stop_signal: i32,
    /// Seconds between stop signal and SIGKILL.
    pub stop_timeout: u32,
    /// Seconds it may run; 0 is for ever.
    pub timeout: u32,
    /// Directory of a version 2 cgroup made for it.
    pub cgroup: Option<std::path::PathBuf>,
    /// Where to write the pid.
    pub pid_file: Option<std::path::PathBuf>,
    /// Where to write the monitor's pid.
    pub monitor_pid_file: Option<std::path::PathBuf>,
    /// Log lines go to the journal under this tag.
    pub tag: String,
    /// How its health is checked.
    pub health: Option<super::health::HealthStart>,
}

/// What a client asks for.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// Output from now on, input if `stdin`.
    Attach {
        /// Send input too.
        stdin: bool,
    },
    /// A further process; its streams, three descriptors, come with the packet unless it wants a terminal, and then
    /// those it gets on 3 and up.
    Exec {
        /// The process.
        process: Box<Process>,
        /// Nobody waits for its end.
        detach: bool,
        /// So many go on 3 and up.
        preserved: usize,
    },
    /// Send a signal to the first process.
    Signal {
        /// Its number.
        signal: i32,
        /// The user wants it ended: no restart.
        stop: bool,
    },
    /// End it: signal, wait, SIGKILL. Answered when it has ended.
    Stop {
        /// Instead of the container's own.
        signal: Option<i32>,
        /// Seconds, instead of the container's own.
        timeout: Option<u32>,
        /// Remove it then.
        remove: bool,
        /// With its anonymous volumes.
        volumes: bool,
    },
    /// Answered with [`Reply::Exited`].
    Wait,
    /// Check the container's health now; answered with [`Reply::Exited`] and the code of the check.
    Check,
    /// Freeze all processes until this connection ends (`commit`).
    Hold,
    /// One more user network.
    Connect {
        /// Which, and how.
        wish: Box<Wish>,
        /// Containers it is linked to there.
        #[serde(default)]
        links: Vec<HostsLink>,
    },
    /// One user network less.
    Disconnect {
        /// The network's id.
        network: String,
    },
    /// The default network comes with these options, or goes.
    Default {
        /// Its options; none to leave it.
        slirp: Option<SlirpOptions>,
    },
    /// The container has another name.
    Rename {
        /// The new one.
        name: String,
    },
    /// Leave all user networks and come back.
    Reload,
    /// Freeze or thaw all processes.
    Pause {
        /// Freeze.
        freeze: bool,
    },
}

/// What a monitor answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Reply {
    /// The program runs.
    Started {
        /// In the host's pid namespace.
        pid: i32,
    },
    /// It could not be started.
    Failed(Failure),
    /// It runs already, looked after by another monitor.
    Running,
    /// Something outside the container failed.
    Error {
        /// What, in words.
        message: String,
    },
    /// A terminal's master comes with this packet.
    Terminal,
    /// The container, or the process of an exec, has ended.
    Exited {
        /// Code, or 128 + signal.
        code: i32,
    },
    /// Done.
    Ok,
}

/// Sends a request.
pub fn send_request(socket: BorrowedFd<'_>, request: &Request, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let text = serde_json::to_vec(request).map_err(|_| Errno::INVAL)?;
    socket::send(socket, &[IoSlice::new(&[kind::REQUEST]), IoSlice::new(&text)], fds, true)
}

/// Sends a reply without waiting; a client that does not listen misses it.
pub fn send_reply(socket: BorrowedFd<'_>, reply: &Reply, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    socket::send(socket, &[IoSlice::new(&packet_of(reply)?)], fds, false)
}

/// A reply as it is sent.
///
/// # Errors
/// One that cannot be written down.
pub fn packet_of(reply: &Reply) -> Result<Vec<u8>, Errno> {
    let mut packet = vec![kind::REPLY];
    serde_json::to_writer(&mut packet, reply).map_err(|_| Errno::INVAL)?;
    Ok(packet)
}

/// One packet from a monitor.
#[derive(Debug)]
pub enum Packet {
    /// Output: is it stderr, and how many bytes of the buffer from index 1.
    Output {
        /// Error output.
        stderr: bool,
        /// Bytes in the buffer, after the first.
        len: usize,
    },
    /// An answer, with a descriptor if it brings one.
    Reply(Reply, Option<OwnedFd>),
    /// The monitor is gone.
    End,
}

/// Receives one packet into `buffer` ([`MAX_PACKET`] + 1 bytes).
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Packet, Errno> {
    let mut fds = Vec::new();
    let size = match socket::receive(socket, buffer, &mut fds, true) {
        Err(Errno::CONNRESET) => 0,
        other => other?,
    };
    match buffer.first() {
        _ if size == 0 => Ok(Packet::End),
        Some(&kind::STDOUT) => Ok(Packet::Output { stderr: false, len: size - 1 }),
        Some(&kind::STDERR) => Ok(Packet::Output { stderr: true, len: size - 1 }),
        Some(&kind::REPLY) => serde_json::from_slice(&buffer[1..size])
            .map(|reply| Packet::Reply(reply, fds.pop()))
            .map_err(|_| Errno::PROTO),
        _ => Err(Errno::PROTO),
    }
}
