//! The container's side of a published port: sockets made inside, from the client's own address.
//!
//! Everything here runs in the container's network namespace.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use super::bind::Listener;
use crate::network::netlink::{Netlink, NetlinkError, Local, RuleMatch};
use crate::spec::port::Protocol;
use crate::sys::net as sysnet;

/// Mark of our connections: "kelp". Only meaningful inside the container's namespace.
const MARK: u32 = 0x6b65_6c70;
/// Table in which everything is local; looked up for marked packets.
const TABLE_MARKED: u32 = 0x6b01;
/// Table of UDP clients with a session; looked up for packets from published UDP ports.
const TABLE_UDP: u32 = 0x6b02;
/// Priority of our rules: after the kernel's local table (0), before any that a container would add.
const RULE_PRIORITY: u32 = 16;
/// Index of the loopback link, the first of every namespace.
const LOOPBACK: u32 = 1;

/// Where published ports lead: addresses in the container's namespace.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The container's IPv4 address.
    pub address: Ipv4Addr,
    /// The IPv4 address that stands for the host.
    pub gateway: Ipv4Addr,
    /// The container's IPv6 address.
    pub address6: Option<Ipv6Addr>,
    /// The IPv6 address that stands for the host.
    pub gateway6: Ipv6Addr,
    /// Where a client of IPv4 is led when nobody listens at `address`.
    pub other: Option<Ipv6Addr>,
    /// The container has addresses of the host: a client with one of them would be taken for the container itself.
    pub shares: bool,
    /// One of the two addresses is on no link yet, and put on the loopback one.
    pub loopback: Option<IpAddr>,
    /// IPv4 connections may carry their client's address; set by [`prepare`].
    pub transparent: bool,
    /// IPv6 connections may carry their client's address; set by [`prepare`].
    pub transparent6: bool,
}

impl Target {
    /// A target nothing has been prepared for yet, in a namespace without IPv6.
    pub fn new(address: Ipv4Addr, gateway: Ipv4Addr, address6: Ipv6Addr, gateway6: Ipv6Addr) -> Self {
        Self { loopback: Some(address6.into()), ..Self::on_link(address, gateway, address6, gateway6) }
    }

    /// As [`Target::new`], where both addresses are on a link.
    pub fn on_link(address: Ipv4Addr, gateway: Ipv4Addr, address6: Ipv6Addr, gateway6: Ipv6Addr) -> Self {
        let address6 = Some(address6);
        Self { address, gateway, address6, gateway6, other: None, shares: false, loopback: None, transparent: false, transparent6: false }
    }

    /// Where a container leads that is on no network: every client is refused.
    pub fn nowhere() -> Self {
        let (none, none6) = (Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
        Self { address6: None, ..Self::on_link(none, none, none6, none6) }
    }

    fn is_nowhere(&self) -> bool {
        self.address.is_unspecified() && self.address6.is_none()
    }

    /// Whether it leads to the same addresses.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.address, self.gateway, self.address6, self.gateway6) == (other.address, other.gateway, other.address6, other.gateway6)
    }

    /// Whether there is a second address to try for a client, of the other family.
    pub(super) fn has_other(&self, client: SocketAddr) -> bool {
        if client.is_ipv6() { self.address6.is_some() } else { self.other.is_some() }
    }

    /// The address a client has inside: its own, or the gateway's where its own would mean something else there.
    fn source(&self, client: IpAddr) -> IpAddr {
        match client {
            IpAddr::V4(ip) => {
                let other = ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_broadcast()
                    || ip == self.address
                    || self.shares && is_own(client);
                IpAddr::V4(if other { self.gateway } else { ip })
            }
            IpAddr::V6(ip) => {
                let other = ip.is_loopback()
                    || ip.is_unspecified()
                    || ip.is_multicast()
                    || ip.is_unicast_link_local()
                    || ip.to_ipv4_mapped().is_some()
                    || Some(ip) == self.address6
                    || self.shares && is_own(client);
                IpAddr::V6(if other { self.gateway6 } else { ip })
            }
        }
    }
}

/// Whether an address is one of this namespace's.
fn is_own(ip: IpAddr) -> bool {
    std::net::UdpSocket::bind((ip, 0)).is_ok()
}

/// Makes the namespace deliver answers to connections that carry foreign addresses. Where the kernel cannot, the target
/// says so and clients appear with the container's own address; that is no error.
///
/// # Errors
/// A namespace in which not even loopback comes up.
pub fn prepare(netlink: &mut Netlink, listeners: &[Listener], target: &mut Target) -> Result<(), NetlinkError> {
    netlink.link_up(LOOPBACK)?;
    if target.is_nowhere() {
        return Ok(());
    }
    let has = |ipv6: bool, protocol: Protocol| {
        listeners.iter().map(Listener::binding).any(|b| b.host_ip.is_ipv6() == ipv6 && b.protocol == protocol)
    };
    let any6 = has(true, Protocol::Tcp) || has(true, Protocol::Udp);
    // On the loopback link: reachable inside, and no promise of a way out.
    match target.loopback {
        Some(IpAddr::V6(address)) if any6 && netlink.add_address(LOOPBACK, address.into(), 128).is_err() => target.address6 = None,
        Some(IpAddr::V4(address)) => netlink.add_address(LOOPBACK, address.into(), 32)?,
        Some(IpAddr::V6(_)) | None => {}
    }
    // The first marks the answers of servers, the others those of the kernel: refusals. These files are those of the
    // calling thread's network namespace.
    let switch = |name: &str| std::fs::write(format!("/proc/sys/net/{name}"), "1").is_ok();
    let accepts = switch("ipv4/tcp_fwmark_accept") && switch("ipv4/fwmark_reflect");
    target.transparent = accepts && prepare_family(netlink, listeners, false).is_ok();
    target.transparent6 = accepts
        && any6
        && target.address6.is_some()
        && switch("ipv6/fwmark_reflect")
        && prepare_family(netlink, listeners, true).is_ok();
    Ok(())
}

fn prepare_family(netlink: &mut Netlink, listeners: &[Listener], ipv6: bool) -> Result<(), NetlinkError> {
    let any: IpAddr = if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    netlink.add_route(any, 0, Local { link: LOOPBACK, source: None }, TABLE_MARKED)?;
    netlink.add_rule(ipv6, RuleMatch::Mark(MARK), TABLE_MARKED, RULE_PRIORITY)?;
    for (first, last) in udp_ranges(listeners, ipv6) {
        netlink.add_rule(ipv6, RuleMatch::UdpFrom { first, last }, TABLE_UDP, RULE_PRIORITY + 1)?;
    }
    Ok(())
}

/// Container ports of the UDP listeners of one family, neighbours joined: each range costs every packet a comparison.
fn udp_ranges(listeners: &[Listener], ipv6: bool) -> Vec<(u16, u16)> {
    let mut ports: Vec<u16> = listeners
        .iter()
        .map(Listener::binding)
        // An IPv6 client may be handed on to an IPv4 server.
        .filter(|b| b.protocol == Protocol::Udp && (!ipv6 || b.host_ip.is_ipv6()))
        .map(|b| b.container_port)
        .collect();
    ports.sort_unstable();
    ports.dedup();
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for port in ports {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(port) => *last = port,
            _ => ranges.push((port, port)),
        }
    }
    ranges
}

/// Makes answers to a UDP client come to our sockets (`add`), or go their usual way again.
pub(super) fn route_client(netlink: &mut Netlink, target: &Target, client: IpAddr, add: bool) {
    let (prefix, source) = match client {
        IpAddr::V4(_) => (32, Some(IpAddr::V4(target.address))),
        IpAddr::V6(_) => (128, target.address6.map(IpAddr::V6)),
    };
    // Without the source, the kernel would answer from the destination itself, as to any local address.
    let to = Local { link: LOOPBACK, source };
    // Without the route this one client gets no answers; nobody else is hurt, and there is nobody to tell.
    drop(if add {
        netlink.add_route(client, prefix, to, TABLE_UDP)
    } else {
        netlink.delete_route(client, prefix, to, TABLE_UDP)
    });
}

/// A socket inside, on its way to the server.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) socket: OwnedFd,
    /// The address it has inside.
    pub(super) source: Option<IpAddr>,
}

/// Begins a connection to a port of the container on behalf of a client. `other`: to the address of the other family,
/// from the gateway.
pub(super) fn connect(target: &Target, protocol: Protocol, client: SocketAddr, port: u16, other: bool) -> Result<Inner, Errno> {
    if target.is_nowhere() {
        return Err(Errno::NETUNREACH);
    }
    if other && client.is_ipv4() {
        let address = target.other.ok_or(Errno::CONNREFUSED)?;
        let socket = open(true, protocol)?;
        begin(&socket, SocketAddr::new(address.into(), port))?;
        return Ok(Inner { socket, source: None });
    }
    let ipv6 = client.is_ipv6() && !other;
    let (server, source, transparent) = match (ipv6, target.address6) {
        (true, Some(address)) => (IpAddr::V6(address), target.source(client.ip()), target.transparent6),
        (true, None) => return connect(target, protocol, client, port, true),
        (false, _) if client.is_ipv6() => (target.address.into(), target.gateway.into(), target.transparent),
        (false, _) => (target.address.into(), target.source(client.ip()), target.transparent),
    };
    let server = SocketAddr::new(server, port);
    if !transparent {
        let socket = open(ipv6, protocol)?;
        begin(&socket, server)?;
        return Ok(Inner { socket, source: None });
    }
    // The client's own port is worth keeping (it is in the server's log), but another connection may have it.
    for source_port in [client.port(), 0] {
        let socket = open(ipv6, protocol)?;
        sysnet::set_transparent(socket.as_fd(), ipv6)?;
        sysnet::set_mark(socket.as_fd(), MARK)?;
        if source_port == 0 && protocol == Protocol::Tcp {
            sysnet::set_bind_address_no_port(socket.as_fd())?;
        }
        let began = rustix::net::bind(&socket, &SocketAddr::new(source, source_port)).and_then(|()| begin(&socket, server));
        match began {
            Ok(()) => return Ok(Inner { socket, source: Some(source) }),
            Err(Errno::ADDRINUSE | Errno::ADDRNOTAVAIL) if source_port != 0 => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::ADDRINUSE)
}

fn begin(socket: &OwnedFd, server: SocketAddr) -> Result<(), Errno> {
    match rustix::net::connect(socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
        Err(errno) => Err(errno),
    }
}

fn open(ipv6: bool, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let family = if ipv6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    if protocol == Protocol::Udp {
        return rustix::net::socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP));
    }
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    set_local_congestion(&socket);
    // Ports of connections that just ended (TIME_WAIT) can be had again.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    Ok(socket)
}

/// For a connection that stays on this machine. Where the system's choice is BBR, its pacing costs a quarter of the
/// throughput there; reno does nothing as long as nothing is lost, every kernel has it and lets everybody choose it.
pub(super) fn set_local_congestion(socket: &OwnedFd) {
    // Slower without, no more.
    let _ = sockopt::set_tcp_congestion(socket, "reno");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_look_local() {
        let target = Target::new(
            Ipv4Addr::new(10, 0, 2, 100),
            Ipv4Addr::new(10, 0, 2, 2),
            "fd00::100".parse().unwrap(),
            "fd00::2".parse().unwrap(),
        );
        for (client, inside) in [
            ("192.0.2.7", "192.0.2.7"),
            ("127.0.0.1", "10.0.2.2"),
            ("127.9.9.9", "10.0.2.2"),
            ("0.0.0.0", "10.0.2.2"),
            ("10.0.2.100", "10.0.2.2"),
            ("255.255.255.255", "10.0.2.2"),
            ("2001:db8::7", "2001:db8::7"),
            ("::1", "fd00::2"),
            ("fe80::1", "fd00::2"),
            ("::ffff:127.0.0.1", "fd00::2"),
            ("fd00::100", "fd00::2"),
        ] {
            assert_eq!(target.source(client.parse().unwrap()).to_string(), inside, "{client}");
        }
    }
}
