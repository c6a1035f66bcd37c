//! What the holder and its clients say to each other: one JSON value per packet of a SOCK_SEQPACKET socket.
//!
//! A monitor keeps its connection as long as its container is on user networks; when the connection ends, however it
//! ends, the container's addresses, names and links are gone. Commands ask one question and leave.

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::io::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::network::store::NetworkRecord;
use crate::spec::endpoint::LinkSysctl;
use crate::state::lease::Lease;
use crate::sys::socket;

/// Bytes of the largest packet.
pub const MAX_PACKET: usize = 128 << 10;

/// A container that comes to the holder.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Member {
    /// Its full id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The name it has for itself.
    pub hostname: String,
    /// Servers asked for names that are not of its networks (`--dns`); the network's when empty.
    pub servers: Vec<IpAddr>,
    /// Bytes of a packet where the network does not say.
    pub mtu: Option<u32>,
    /// The data directory of kelp, where the leases of others are.
    pub data: PathBuf,
    /// IPv6 leads out of this host.
    pub host_ipv6: bool,
    /// Where it reaches servers of the host, if it may.
    pub host: Option<IpAddr>,
}

/// A network a container wants to be on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Wish {
    /// The network.
    pub network: NetworkRecord,
    /// The IPv4 address it must have.
    pub ip: Option<Ipv4Addr>,
    /// The IPv6 address it must have.
    pub ip6: Option<Ipv6Addr>,
    /// Hardware address.
    pub mac: Option<[u8; 6]>,
    /// Further names.
    pub aliases: Vec<String>,
    /// Name of the link inside.
    pub interface: Option<String>,
    /// Kernel parameters of the link.
    pub sysctls: Vec<LinkSysctl>,
    /// Of all networks of the container the one with the highest is its way out.
    pub priority: i32,
    /// What it had there before; had again if it can be.
    pub before: Option<Lease>,
}

/// What is asked of the holder. A descriptor of the container's network namespace comes with the first two.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// The first request of a monitor; answered with [`Reply::Leases`].
    Attach {
        /// The container.
        member: Member,
        /// Its networks.
        wishes: Vec<Wish>,
    },
    /// One more network for the container of this connection; answered with [`Reply::Leases`] of that one.
    Connect {
        /// The network.
        wish: Box<Wish>,
    },
    /// One network less.
    Disconnect {
        /// The network's id.
        network: String,
    },
    /// The container has another name.
    Rename {
        /// The new one.
        name: String,
    },
    /// A network's name servers have changed.
    Update {
        /// As it is now.
        network: NetworkRecord,
    },
    /// Which process it is; answered with [`Reply::Pid`].
    Status,
    /// Its network namespace, with a way out, for a program that enters it and keeps the connection meanwhile; answered
    /// with [`Reply::Netns`].
    Visit,
    /// What a name means, on any network.
    Resolve {
        /// The name.
        name: String,
    },
}

/// A name that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundName {
    /// On which network.
    pub network: String,
    /// Whose it is.
    pub container: String,
    /// What it means.
    pub addresses: Vec<IpAddr>,
}

/// What the holder answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// Done.
    Ok,
    /// What the container has now, in the order asked.
    Leases(Vec<Lease>),
    /// Its process id.
    Pid(u32),
    /// A descriptor of its network namespace comes with it.
    Netns,
    /// What was found.
    Found(Vec<FoundName>),
    /// It could not be done.
    Error {
        /// What and why, in words.
        message: String,
    },
}

/// Sends a value as one packet.
///
/// # Errors
/// `EPIPE` when the other side has gone; `EMSGSIZE` when it is too large.
pub fn send(socket: BorrowedFd<'_>, value: &impl Serialize, fds: &[BorrowedFd<'_>]) -> Result<(), Errno> {
    let text = serde_json::to_vec(value).map_err(|_| Errno::INVAL)?;
    if text.len() > MAX_PACKET {
        return Err(Errno::MSGSIZE);
    }
    socket::send(socket, &[IoSlice::new(&text)], fds, true)
}

/// Receives one packet; `None` is the end of the connection.
///
/// # Errors
/// The socket's; `EPROTO` when it is not what was expected.
pub fn receive<T: DeserializeOwned>(socket: BorrowedFd<'_>, wait: bool) -> Result<Option<(T, Vec<OwnedFd>)>, Errno> {
    let mut buffer = vec![0; MAX_PACKET];
    let mut fds = Vec::new();
    let size = match socket::receive(socket.as_fd(), &mut buffer, &mut fds, wait) {
        Err(Errno::CONNRESET) => 0,
        other => other?,
    };
    if size == 0 {
        return Ok(None);
    }
    serde_json::from_slice(&buffer[..size]).map(|value| Some((value, fds))).map_err(|_| Errno::PROTO)
}
