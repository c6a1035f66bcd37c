//! Sockets that were opened elsewhere and came along (sd_listen_fds(3)): which published ports they serve. They are how
//! ports below 1024 are published without root: systemd opens them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{SocketType, sockopt};

use super::bind::configure;
use super::{Listener, Listeners};
use crate::spec::port::{HostPort, Port, PortBinding, PortMapping, Protocol};

/// What a socket is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bound {
    protocol: Protocol,
    address: SocketAddr,
    /// It is on every IPv6 address and takes IPv4 clients too.
    both: bool,
}

impl Bound {
    /// `None`: not a socket that a port can be published with.
    fn of(socket: BorrowedFd<'_>) -> Option<Self> {
        let address = SocketAddr::try_from(rustix::net::getsockname(socket).ok()?).ok()?;
        let protocol = match sockopt::socket_type(socket).ok()? {
            SocketType::STREAM if sockopt::socket_acceptconn(socket).ok()? => Protocol::Tcp,
            SocketType::DGRAM if rustix::net::getpeername(socket).is_err() => Protocol::Udp,
            _ => return None,
        };
        let every = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let both = every && !sockopt::ipv6_v6only(socket).ok()?;
        // The addresses of IPv4 clients would be those of IPv6, in every datagram.
        (!both || protocol == Protocol::Tcp).then_some(Self { protocol, address, both })
    }

    /// The host addresses of `mapping` it listens on.
    fn serves(self, mapping: &PortMapping) -> Vec<IpAddr> {
        if mapping.protocol != self.protocol || mapping.host != HostPort::Fixed(self.address.port()) {
            return Vec::new();
        }
        let own = if self.both { vec![Ipv4Addr::UNSPECIFIED.into(), self.address.ip()] } else { vec![self.address.ip()] };
        let asked = |ip: &IpAddr| mapping.host_ip.map_or_else(|| ip.is_unspecified(), |host| host == *ip);
        // Somebody who asks for one family does not get both.
        if own.iter().all(asked) { own } else { Vec::new() }
    }
}

/// Those of `sockets` that a published port is about.
pub fn matching(ports: &[Port], sockets: Vec<OwnedFd>) -> Vec<OwnedFd> {
    let serves = |bound: Bound| ports.iter().any(|port| port.mappings().any(|mapping| !bound.serves(&mapping).is_empty()));
    sockets.into_iter().filter(|socket| Bound::of(socket.as_fd()).is_some_and(serves)).collect()
}

/// The listeners of one mapping among these sockets; none if they do not serve it. Without a host address, one family is
/// enough: whoever opened the sockets chose.
pub(super) fn listeners(mapping: &PortMapping, sockets: &[OwnedFd]) -> Listeners {
    let mut found = Listeners::new();
    for socket in sockets {
        let Some(bound) = Bound::of(socket.as_fd()) else { continue };
        for host_ip in bound.serves(mapping) {
            let Ok(own) = socket.try_clone() else { continue };
            if found.iter().any(|other| other.binding().host_ip == host_ip) || configure(&own, host_ip.is_ipv6(), bound.protocol).is_err() {
                continue;
            }
            let binding = PortBinding {
                host_ip,
                host_port: bound.address.port(),
                container_port: mapping.container,
                protocol: bound.protocol,
            };
            found.push(Listener::from_socket(own, binding));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(address: &str) -> (OwnedFd, u16) {
        let listener = std::net::TcpListener::bind(address).unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener.into(), port)
    }

    fn port(text: &str) -> Port {
        text.parse().unwrap()
    }

    #[test]
    fn address_port_and_protocol_count() {
        let (socket, number) = listener("127.0.0.1:0");
        let serves = |text: &str| !matching(&[port(text)], vec![socket.try_clone().unwrap()]).is_empty();
        assert!(serves(&format!("127.0.0.1:{number}:80")));
        for other in [
            format!("{number}:80"),
            format!("127.0.0.2:{number}:80"),
            format!("127.0.0.1:{number}:80/udp"),
            format!("127.0.0.1:{}:80", number ^ 1),
        ] {
            assert!(!serves(&other), "{other}");
        }
    }

    #[test]
    fn a_socket_of_both_families_is_two_listeners() {
        let (socket, number) = listener("[::]:0");
        let sockets = [socket];
        let bound = super::super::bind(&[port(&format!("{number}:80"))], &sockets).unwrap();
        assert_eq!(bound.len(), 2);
        assert!(bound.iter().all(|listener| listener.binding().host_port == number));
    }

    #[test]
    fn what_does_not_listen_is_left_alone() {
        let (socket, number) = listener("127.0.0.1:0");
        let client: OwnedFd = std::net::TcpStream::connect(("127.0.0.1", number)).unwrap().into();
        assert!(Bound::of(client.as_fd()).is_none());
        let pipe = rustix::pipe::pipe().unwrap().0;
        assert!(Bound::of(pipe.as_fd()).is_none());
        assert!(Bound::of(socket.as_fd()).is_some());
    }
}
