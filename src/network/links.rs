//! Bridges, veth pairs, and the routes and rules that keep networks apart: what [`Netlink`] does for user networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::link::{InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::netlink::{Netlink, NetlinkError};
use crate::spec::subnet::Subnet;

/// A pair of links: one end on a bridge here, the other in a container.
#[derive(Debug, Clone, Copy)]
pub struct Veth<'a> {
    /// This end's name.
    pub name: &'a str,
    /// Index of the bridge it is put on.
    pub bridge: u32,
    /// Name of the other end.
    pub peer: &'a str,
    /// Network namespace of the other end.
    pub netns: BorrowedFd<'a>,
    /// Hardware address of the other end.
    pub mac: [u8; 6],
    /// Bytes of a packet, both ends.
    pub mtu: u32,
}

impl Netlink {
    /// Makes a bridge that forwards at once, and brings it up.
    ///
    /// # Errors
    /// The kernel's refusal: `EEXIST`, or `EOPNOTSUPP` without bridges.
    pub fn create_bridge(&mut self, name: &str, mac: [u8; 6], mtu: u32) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        (message.header.flags, message.header.change_mask) = (LinkFlags::Up, LinkFlags::Up);
        let settings = vec![InfoBridge::MulticastSnooping(false)];
        message.attributes.extend([
            LinkAttribute::IfName(name.to_owned()),
            LinkAttribute::Address(mac.to_vec()),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge), LinkInfo::Data(InfoData::Bridge(settings))]),
        ]);
        self.change("make a bridge", RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Makes a veth pair: one end on its bridge and up, the other in its namespace. The kernel refuses to bring that one up
    /// before the pair is whole, so it is still down.
    ///
    /// # Errors
    /// The kernel's refusal: `EEXIST` when either name is taken.
    pub fn create_veth(&mut self, veth: &Veth<'_>) -> Result<(), NetlinkError> {
        let name = |message: &mut LinkMessage, name: &str| {
            message.attributes.extend([LinkAttribute::IfName(name.to_owned()), LinkAttribute::Mtu(veth.mtu)]);
        };
        let mut peer = LinkMessage::default();
        name(&mut peer, veth.peer);
        peer.attributes.push(LinkAttribute::Address(veth.mac.to_vec()));
        peer.attributes.push(LinkAttribute::NetNsFd(veth.netns.as_raw_fd()));
        let mut message = LinkMessage::default();
        name(&mut message, veth.name);
        (message.header.flags, message.header.change_mask) = (LinkFlags::Up, LinkFlags::Up);
        message.attributes.push(LinkAttribute::Controller(veth.bridge));
        let data = LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer)));
        message.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), data]));
        self.change("make a veth pair", RouteNetlinkMessage::NewLink(message), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Removes a link by name; a veth's other end goes with it. None of that name is fine.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn delete_link(&mut self, name: &str) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        match self.change("remove a link", RouteNetlinkMessage::DelLink(message), 0) {
            Err(error) if error.source.raw_os_error() == Some(libc::ENODEV) => Ok(()),
            other => other,
        }
    }

    /// Adds a route to a network (of prefix 0: the default route) by a gateway on a link. Of several to the same network the
    /// one with the lowest metric is used.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn add_route_by(&mut self, to: Subnet, gateway: IpAddr, link: u32, metric: u32) -> Result<(), NetlinkError> {
        let message = RouteNetlinkMessage::NewRoute(route_by(to, gateway, link, metric));
        self.change("add a route by a gateway", message, NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Removes what [`Netlink::add_route_by`] added, or somebody else. Of metric 0: the one with the lowest there is.
    ///
    /// # Errors
    /// The kernel's refusal; `ESRCH` when there is no such route.
    pub fn delete_route_by(&mut self, to: Subnet, gateway: IpAddr, link: u32, metric: u32) -> Result<(), NetlinkError> {
        let mut message = route_by(to, gateway, link, metric);
        message.header.protocol = RouteProtocol::Unspec;
        self.change("remove a route by a gateway", RouteNetlinkMessage::DelRoute(message), 0)
    }

    /// Makes a table refuse (`add`), or no longer refuse, packets to a network.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn prohibit(&mut self, to: Subnet, table: u32, add: bool) -> Result<(), NetlinkError> {
        let mut message = plain_route(to.is_ipv6(), RouteType::Prohibit);
        message.header.destination_prefix_length = to.prefix();
        message.attributes.push(RouteAttribute::Table(table));
        if to.prefix() > 0 {
            message.attributes.push(RouteAttribute::Destination(RouteAddress::from(to.address())));
        }
        if add {
            self.change("add a route", RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE)
        } else {
            self.change("remove a route", RouteNetlinkMessage::DelRoute(message), 0)
        }
    }

    /// Adds or removes a rule: packets that come in by a link are looked up in a table first.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn rule_from_link(&mut self, ipv6: bool, link: &str, table: u32, add: bool) -> Result<(), NetlinkError> {
        let mut message = RuleMessage::default();
        message.header.family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        message.header.action = RuleAction::ToTable;
        message.attributes.extend([
            RuleAttribute::Priority(64),
            RuleAttribute::Table(table),
            RuleAttribute::Iifname(link.to_owned()),
        ]);
        if add {
            self.change("add a routing rule", RouteNetlinkMessage::NewRule(message), NLM_F_CREATE | NLM_F_EXCL)
        } else {
            self.change("remove a routing rule", RouteNetlinkMessage::DelRule(message), 0)
        }
    }
}

fn route_by(to: Subnet, gateway: IpAddr, link: u32, metric: u32) -> RouteMessage {
    let mut message = plain_route(gateway.is_ipv6(), RouteType::Unicast);
    message.header.destination_prefix_length = to.prefix();
    if to.prefix() > 0 {
        message.attributes.push(RouteAttribute::Destination(RouteAddress::from(to.address())));
    }
    message.attributes.extend([
        RouteAttribute::Table(254),
        RouteAttribute::Gateway(RouteAddress::from(gateway)),
        RouteAttribute::Oif(link),
        RouteAttribute::Priority(metric),
    ]);
    message
}

fn plain_route(ipv6: bool, kind: RouteType) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
    message.header.protocol = RouteProtocol::Static;
    message.header.scope = RouteScope::Universe;
    message.header.kind = kind;
    message
}

/// The hardware address that goes with an IP address. A link that comes back with its address comes back with this too,
/// so nobody's neighbour table goes stale.
pub fn mac_of(ip: IpAddr) -> [u8; 6] {
    let [a, b, c, d] = match ip {
        IpAddr::V4(ip) => Ipv4Addr::octets(&ip),
        IpAddr::V6(ip) => {
            // FNV-1a over all of it.
            let hash = Ipv6Addr::octets(&ip).iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
            hash.to_be_bytes()
        }
    };
    [0x02, 0x42, a, b, c, d]
}

/// `02:42:0a:59:00:02`.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses_follow_from_addresses() {
        assert_eq!(mac_text(mac_of("10.89.0.2".parse().unwrap())), "02:42:0a:59:00:02");
        assert_ne!(mac_of("fd00::2".parse().unwrap()), mac_of("fd00::3".parse().unwrap()));
    }
}
