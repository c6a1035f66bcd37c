//! Opens the host's side of published ports. Runs in the host's network namespace, before the container starts, so
//! that a taken port is an error of the command and not of the container.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use super::inherited;
use crate::spec::port::{HostPort, Port, PortBinding, PortMapping, Protocol};

/// Why a port could not be published.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody listens there already.
    #[error("cannot publish port {host}/{protocol}: address already in use; choose another host port")]
    InUse {
        /// Address and port of the host.
        host: String,
        /// Transport protocol.
        protocol: Protocol,
    },
    /// No port of a range was free.
    #[error("cannot publish port {container}/{protocol}: all host ports from {first} to {last} are already in use")]
    RangeInUse {
        /// Port of the container.
        container: u16,
        /// Transport protocol.
        protocol: Protocol,
        /// First host port.
        first: u16,
        /// Last host port.
        last: u16,
    },
    /// A port below the unprivileged ones.
    #[error(
        "cannot publish port {port}/{protocol}: ports below {limit} are reserved for root on this host; choose a \
         higher one, have systemd open it in a .socket unit, or have root run: sysctl -w net.ipv4.ip_unprivileged_port_start={port}"
    )]
    Privileged {
        /// Port of the host.
        port: u16,
        /// Transport protocol.
        protocol: Protocol,
        /// First unprivileged port.
        limit: u16,
    },
    /// The address is not one of the host's.
    #[error("cannot publish on {ip}: it is not an address of this host")]
    NotOurs {
        /// The host address asked for.
        ip: IpAddr,
    },
    /// Not forwarded by us.
    #[error("cannot publish port {port}/sctp: only tcp and udp ports can be published")]
    Sctp {
        /// Port of the container.
        port: u16,
    },
    /// Anything else.
    #[error("cannot publish port {host}/{protocol}: {source}")]
    Socket {
        /// Address and port of the host.
        host: String,
        /// Transport protocol.
        protocol: Protocol,
        /// The kernel's error.
        source: io::Error,
    },
}

/// One open socket of the host: listening for TCP, bound for UDP.
#[derive(Debug)]
pub struct Listener {
    pub(super) socket: OwnedFd,
    binding: PortBinding,
}

impl Listener {
    /// Takes up a socket that was opened elsewhere: by an earlier process of ours, or by systemd.
    pub fn from_socket(socket: OwnedFd, binding: PortBinding) -> Self {
        Self { socket, binding }
    }

    /// What it publishes.
    pub fn binding(&self) -> PortBinding {
        self.binding
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// All host sockets of one container.
pub type Listeners = Vec<Listener>;

/// Connections that may wait to be accepted; the kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// How often another free port is tried when the one chosen for IPv4 is taken for IPv6.
const FREE_PORT_TRIES: usize = 32;

/// Opens every host socket of these ports, or none. Without a host address, both families are listened on. Sockets among
/// `inherited` that match a port are used instead of new ones.
///
/// # Errors
/// The first port that cannot be had.
pub fn bind(ports: &[Port], inherited: &[OwnedFd]) -> Result<Listeners, PortError> {
    let ipv6 = open(false, Protocol::Tcp).is_ok() && open(true, Protocol::Tcp).is_ok();
    let mut listeners = Vec::new();
    for port in ports {
        for mapping in port.mappings() {
            let own = inherited::listeners(&mapping, inherited);
            if own.is_empty() {
                bind_mapping(&mapping, ipv6, &mut listeners)?;
            } else {
                listeners.extend(own);
            }
        }
    }
    Ok(listeners)
}

fn bind_mapping(mapping: &PortMapping, ipv6: bool, listeners: &mut Listeners) -> Result<(), PortError> {
    if mapping.protocol == Protocol::Sctp {
        return Err(PortError::Sctp { port: mapping.container });
    }
    match mapping.host {
        HostPort::Fixed(port) => listeners.extend(bind_port(mapping, port, ipv6)?),
        HostPort::Any => {
            let mut tries = 0;
            listeners.extend(loop {
                match bind_port(mapping, 0, ipv6) {
                    Err(PortError::InUse { .. }) if tries < FREE_PORT_TRIES => tries += 1,
                    other => break other?,
                }
            });
        }
        HostPort::OneOf(range) => {
            let taken = PortError::RangeInUse {
                container: mapping.container,
                protocol: mapping.protocol,
                first: range.first,
                last: range.last,
            };
            let mut found = None;
            for port in range.first..=range.last {
                match bind_port(mapping, port, ipv6) {
                    Err(PortError::InUse { .. }) => {}
                    other => {
                        found = Some(other?);
                        break;
                    }
                }
            }
            listeners.extend(found.ok_or(taken)?);
        }
    }
    Ok(())
}

/// Opens one mapping on one port of every address it wants; port 0 lets the kernel choose one for all.
fn bind_port(mapping: &PortMapping, port: u16, ipv6: bool) -> Result<Listeners, PortError> {
    let Some(ip) = mapping.host_ip else {
        let first = listen(mapping, Ipv4Addr::UNSPECIFIED.into(), port)?;
        let port = first.binding.host_port;
        let mut both = vec![first];
        if ipv6 {
            match listen(mapping, Ipv6Addr::UNSPECIFIED.into(), port) {
                Ok(second) => both.push(second),
                // IPv6 is compiled in but switched off.
                Err(PortError::NotOurs { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        return Ok(both);
    };
    Ok(vec![listen(mapping, ip, port)?])
}

fn open(ipv6: bool, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let family = if ipv6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let (kind, proto) = match protocol {
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Tcp | Protocol::Sctp => (SocketType::STREAM, ipproto::TCP),
    };
    rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, Some(proto))
}

fn listen(mapping: &PortMapping, ip: IpAddr, port: u16) -> Result<Listener, PortError> {
    let protocol = mapping.protocol;
    let address = SocketAddr::new(ip, port);
    let fail = |errno: Errno| match errno {
        Errno::ADDRINUSE => PortError::InUse { host: address.to_string(), protocol },
        Errno::ACCESS => PortError::Privileged { port, protocol, limit: unprivileged_start() },
        Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT => PortError::NotOurs { ip },
        errno => PortError::Socket { host: address.to_string(), protocol, source: errno.into() },
    };
    let socket = open(ip.is_ipv6(), protocol).map_err(fail)?;
    if ip.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true).map_err(fail)?;
    }
    if protocol == Protocol::Tcp {
        sockopt::set_socket_reuseaddr(&socket, true).map_err(fail)?;
    }
    configure(&socket, ip.is_ipv6(), protocol).map_err(fail)?;
    rustix::net::bind(&socket, &address).map_err(fail)?;
    if protocol == Protocol::Tcp {
        rustix::net::listen(&socket, BACKLOG).map_err(fail)?;
    }
    let name = rustix::net::getsockname(&socket).map_err(fail)?;
    let host_port = SocketAddr::try_from(name).map_err(fail)?.port();
    Ok(Listener {
        socket,
        binding: PortBinding { host_ip: ip, host_port, container_port: mapping.container, protocol },
    })
}

/// Accepted sockets inherit these options, so that each connection costs no calls of its own.
pub(super) fn configure(socket: &OwnedFd, ipv6: bool, protocol: Protocol) -> Result<(), Errno> {
    rustix::io::ioctl_fionbio(socket, true)?;
    if protocol == Protocol::Udp {
        // Not SO_REUSEADDR: with UDP it would let two containers share, and steal from, one port.
        return crate::sys::net::set_packet_info(socket.as_fd(), ipv6);
    }
    sockopt::set_tcp_nodelay(socket, true)?;
    // A client that vanished without a word is noticed within four minutes.
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, Duration::from_secs(90))?;
    sockopt::set_tcp_keepintvl(socket, Duration::from_secs(30))?;
    sockopt::set_tcp_keepcnt(socket, 5)
}

fn unprivileged_start() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(list: &[&str]) -> Vec<Port> {
        list.iter().map(|p| p.parse().unwrap()).collect()
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind(&ports(&[&format!("127.0.0.1:{port}:80")]), &[]).unwrap_err().to_string();
        assert!(error.contains(&format!("127.0.0.1:{port}/tcp: address already in use")), "{error}");
        let free = bind(&ports(&[&format!("127.0.0.1:{port}-{}:80", port.saturating_add(9))]), &[]);
        assert_ne!(free.unwrap()[0].binding().host_port, port);
    }

    #[test]
    fn any_port_is_the_same_for_both_families() {
        let listeners = bind(&ports(&["80", "53/udp"]), &[]).unwrap();
        let tcp: Vec<_> = listeners.iter().filter(|l| l.binding.protocol == Protocol::Tcp).collect();
        assert_ne!(tcp[0].binding.host_port, 0);
        assert!(tcp.iter().all(|l| l.binding.host_port == tcp[0].binding.host_port));
        assert!(listeners.iter().any(|l| l.binding.protocol == Protocol::Udp));
    }

    #[test]
    fn refusals_say_why() {
        let error = bind(&ports(&["203.0.113.77::80"]), &[]).unwrap_err().to_string();
        assert!(error.contains("203.0.113.77: it is not an address of this host"), "{error}");
        let error = bind(&ports(&["80/sctp"]), &[]).unwrap_err().to_string();
        assert!(error.contains("80/sctp"), "{error}");
    }
}
