//! Servers on the host's loopback for a container that may reach some: published ports the other way round.
//!
//! The sockets that listen are opened in the container's network namespace, at an address of their own on its loopback
//! link; the thread that forwards them stays in the host's namespace and connects to 127.0.0.1 there, and to ::1 where
//! nobody listens at that. Nothing but the ports that were asked for is reachable, on every kind of network, and no route or name server is involved.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;

use rustix::event::{EventfdFlags, eventfd};

use crate::network::netlink::Netlink;
use crate::network::ports::{self, Listeners, Target};
use crate::spec::port::Port;

/// Where the host's servers are found: link-local, so no network that a container is on has it.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 2);
/// The first link of every namespace.
const LOOPBACK: u32 = 1;
/// Stack of the thread; its deepest call needs a third of it.
const STACK: usize = 128 * 1024;

/// Why the host's servers cannot be reached.
#[derive(Debug, thiserror::Error)]
#[error("cannot give the container access to the host: {message}")]
pub struct HostAccessFailed {
    message: String,
}

fn failed(message: impl ToString) -> HostAccessFailed {
    HostAccessFailed { message: message.to_string() }
}

/// The thread that forwards. Ends when dropped.
#[derive(Debug)]
pub struct HostAccess {
    thread: Option<JoinHandle<()>>,
    stop: OwnedFd,
}

impl HostAccess {
    /// Opens these ports in the namespace and forwards them. Call in the host's network namespace.
    ///
    /// # Errors
    /// A port that is taken in the container already, or a system without descriptors.
    pub fn start(netns: BorrowedFd<'_>, ports: &[u16]) -> Result<Self, HostAccessFailed> {
        let netns = netns.try_clone_to_owned().map_err(failed)?;
        let ports = ports.to_vec();
        // A thread cannot come back from the container's namespace, so one goes there for the sockets alone.
        let opened = std::thread::Builder::new().stack_size(STACK).spawn(move || open(&netns, &ports)).map_err(failed)?;
        let listeners = opened.join().map_err(|_| failed("the sockets could not be opened"))?.map_err(failed)?;
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(failed)?;
        let stopped = stop.try_clone().map_err(failed)?;
        let mut netlink = Netlink::open(0).map_err(failed)?;
        let thread = std::thread::Builder::new()
            .name("host access".into())
            .stack_size(STACK)
            .spawn(move || {
                // Not transparent: a plain connection of this user's.
                let nowhere = Ipv6Addr::UNSPECIFIED;
                let target = Target::new(Ipv4Addr::LOCALHOST, Ipv4Addr::LOCALHOST, nowhere, nowhere);
                let target = Target { address6: None, other: Some(Ipv6Addr::LOCALHOST), ..target };
                // Ends when told to; a kernel without epoll was noticed long before.
                let _ = ports::serve(&listeners, target, &mut netlink, stopped.as_fd());
            })
            .map_err(failed)?;
        Ok(Self { thread: Some(thread), stop })
    }
}

impl Drop for HostAccess {
    fn drop(&mut self) {
        // An eventfd of count zero takes this.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn open(netns: &OwnedFd, ports: &[u16]) -> Result<Listeners, String> {
    let newnet = rustix::thread::LinkNameSpaceType::Network;
    rustix::thread::move_into_link_name_space(netns.as_fd(), Some(newnet))
        .map_err(|errno| format!("cannot enter the network namespace: {errno}"))?;
    let mut netlink = Netlink::open(0).map_err(|error| error.to_string())?;
    netlink.link_up(LOOPBACK).map_err(|error| error.to_string())?;
    netlink.add_address(LOOPBACK, ADDRESS.into(), 32).map_err(|error| error.to_string())?;
    let each = ports.iter().flat_map(|port| ["tcp", "udp"].map(|protocol| format!("{ADDRESS}:{port}:{port}/{protocol}")));
    let ports = each.map(|text| text.parse::<Port>()).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    ports::bind(&ports, &[]).map_err(|error| error.to_string())
}

/// The address by which this machine is known outside, at which servers that listen on every address answer. `None`
/// without a route out. Sends nothing.
pub fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // Any address far away (RFC 5737): connecting only chooses the route.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address: SocketAddr| address.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
}
