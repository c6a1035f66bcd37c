//! A small blocking rtnetlink client: links, addresses, routes, rules and change events of the network namespace in
//! which the socket was opened.
//!
//! Knows nothing of containers. Every request waits for the kernel's answer, so a caller never acts on a change that
//! was refused.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage, RulePortRange};
use netlink_packet_route::{AddressFamily, IpProtocol, RouteNetlinkMessage};
use rustix::net::{AddressFamily as Domain, RecvFlags, SendFlags, SocketFlags, SocketType, netlink as nl};

/// Multicast groups of `rtnetlink(7)`.
pub mod group {
    /// Links appear, change and go.
    pub const LINK: u32 = 0x1;
    /// IPv4 routes change.
    pub const IPV4_ROUTE: u32 = 0x40;
}

/// A request the kernel refused, or a socket that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} in the network namespace: {source}")]
pub struct NetlinkError {
    /// What was asked, as an infinitive phrase.
    pub operation: &'static str,
    /// The kernel's answer.
    pub source: io::Error,
}

impl NetlinkError {
    /// Whether the kernel was built or configured without what was asked for.
    pub fn is_unsupported(&self) -> bool {
        let unsupported = [libc::EOPNOTSUPP, libc::EAFNOSUPPORT, libc::EPROTONOSUPPORT, libc::EACCES, libc::EINVAL];
        self.source.raw_os_error().is_some_and(|errno| unsupported.contains(&errno))
    }
}

/// A route to this namespace itself.
#[derive(Debug, Clone, Copy)]
pub struct Local {
    /// Index of the link it is through: the loopback one.
    pub link: u32,
    /// Source address of what is sent there by sockets that have none.
    pub source: Option<IpAddr>,
}

/// Which packets a rule takes.
#[derive(Debug, Clone, Copy)]
pub enum RuleMatch {
    /// Those with this mark.
    Mark(u32),
    /// UDP from these source ports, inclusive.
    UdpFrom {
        /// First port.
        first: u16,
        /// Last port.
        last: u16,
    },
}

/// An open rtnetlink socket.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
    /// An event of a new IPv4 default route came while an answer was awaited. The kernel makes the rest of a dump
    /// only when it is read, so an event can lie before the end of a dump that does not show it yet.
    default_route_came: bool,
}

/// Big enough for one datagram of a dump: the kernel sends at most this to a reader with such a buffer.
const BUFFER: usize = 8192;

impl Netlink {
    /// Opens a socket in the calling thread's network namespace, subscribed to the given [`group`]s.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn open(groups: u32) -> Result<Self, NetlinkError> {
        let fail = |source: rustix::io::Errno| NetlinkError { operation: "open a netlink socket", source: source.into() };
        let socket = rustix::net::socket_with(
            Domain::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None, // protocol 0 is NETLINK_ROUTE
        )
        .map_err(fail)?;
        rustix::net::bind(&socket, &nl::SocketAddrNetlink::new(0, groups)).map_err(fail)?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER], default_route_came: false })
    }

    /// Index of the link with this name.
    ///
    /// # Errors
    /// `ENODEV` when there is none.
    pub fn link_index(&mut self, name: &str) -> Result<u32, NetlinkError> {
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.to_owned()));
        let mut found = None;
        self.request("find a link", RouteNetlinkMessage::GetLink(message), 0, &mut |answer| {
            if let RouteNetlinkMessage::NewLink(link) = answer {
                found = Some(link.header.index);
            }
        })?;
        found.ok_or_else(|| NetlinkError {
            operation: "find a link",
            source: io::Error::from_raw_os_error(libc::ENODEV),
        })
    }

    /// Brings a link up.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn link_up(&mut self, link: u32) -> Result<(), NetlinkError> {
        let mut message = LinkMessage::default();
        message.header.index = link;
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        self.change("bring a link up", RouteNetlinkMessage::SetLink(message), 0)
    }

    /// Gives a link an address. IPv6 ones are usable at once: nobody else can be on our links, so there is no
    /// duplicate address detection.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn add_address(&mut self, link: u32, address: IpAddr, prefix: u8) -> Result<(), NetlinkError> {
        let mut message = AddressMessage::default();
        message.header.family = family(address);
        message.header.prefix_len = prefix;
        message.header.index = link;
        message.header.scope = AddressScope::Universe;
        if address.is_ipv6() {
            message.header.flags = AddressHeaderFlags::Nodad;
        }
        message.attributes.push(AddressAttribute::Address(address));
        message.attributes.push(AddressAttribute::Local(address));
        self.change("add an address", RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Adds (or replaces) a route to `destination`/`prefix` in a table.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn add_route(
        &mut self,
        destination: IpAddr,
        prefix: u8,
        to: Local,
        table: u32,
    ) -> Result<(), NetlinkError> {
        let message = route(destination, prefix, to, table);
        self.change("add a route", RouteNetlinkMessage::NewRoute(message), NLM_F_CREATE | NLM_F_REPLACE)
    }

    /// Removes what [`Netlink::add_route`] added.
    ///
    /// # Errors
    /// The kernel's refusal; `ESRCH` when there is no such route.
    pub fn delete_route(
        &mut self,
        destination: IpAddr,
        prefix: u8,
        to: Local,
        table: u32,
    ) -> Result<(), NetlinkError> {
        self.change("remove a route", RouteNetlinkMessage::DelRoute(route(destination, prefix, to, table)), 0)
    }

    /// Adds a rule: packets of one family that match are looked up in a table. A rule that is there already is fine.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn add_rule(&mut self, ipv6: bool, take: RuleMatch, table: u32, priority: u32) -> Result<(), NetlinkError> {
        let mut message = RuleMessage::default();
        message.header.family = if ipv6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
        message.header.action = RuleAction::ToTable;
        message.attributes.push(RuleAttribute::Priority(priority));
        message.attributes.push(RuleAttribute::Table(table));
        match take {
            RuleMatch::Mark(mark) => message.attributes.push(RuleAttribute::FwMark(mark)),
            RuleMatch::UdpFrom { first, last } => {
                message.attributes.push(RuleAttribute::IpProtocol(IpProtocol::Udp));
                let range = RulePortRange { start: first, end: last };
                message.attributes.push(RuleAttribute::SourcePortRange(range));
            }
        }
        match self.change("add a routing rule", RouteNetlinkMessage::NewRule(message), NLM_F_CREATE | NLM_F_EXCL) {
            Err(error) if error.source.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            other => other,
        }
    }

    /// Whether the main table has an IPv4 default route; by this link, if one is named.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn has_default_route(&mut self, link: Option<&str>) -> Result<bool, NetlinkError> {
        let index = match link.map(|name| self.link_index(name)).transpose() {
            Err(error) if error.source.raw_os_error() == Some(libc::ENODEV) => return Ok(false),
            other => other?,
        };
        let by = |answer: &RouteNetlinkMessage| {
            let RouteNetlinkMessage::NewRoute(route) = answer else { return false };
            index.is_none_or(|index| route.attributes.contains(&RouteAttribute::Oif(index)))
        };
        let mut message = RouteMessage::default();
        message.header.address_family = AddressFamily::Inet;
        let mut found = false;
        self.request("list routes", RouteNetlinkMessage::GetRoute(message), NLM_F_DUMP, &mut |answer| {
            found |= is_default_route(&answer) && by(&answer);
        })?;
        Ok(found)
    }

    /// Reads the events that have arrived, also those that came between the answers to requests. Returns whether one of
    /// them was a new IPv4 default route. Events the kernel had to drop count as one, so that the caller looks again.
    /// Call before waiting for the socket to become readable.
    ///
    /// # Errors
    /// A broken socket.
    pub fn read_events(&mut self) -> Result<bool, NetlinkError> {
        let mut found = std::mem::take(&mut self.default_route_came);
        loop {
            match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::DONTWAIT) {
                Ok((length, _)) => each_message(&self.buffer[..length], &mut |message| {
                    if let NetlinkPayload::InnerMessage(inner) = message.payload {
                        found |= is_default_route(&inner);
                    }
                    true
                }),
                Err(rustix::io::Errno::AGAIN) => return Ok(found),
                Err(rustix::io::Errno::NOBUFS) => found = true,
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(NetlinkError { operation: "read events", source: errno.into() }),
            }
        }
    }

    pub(super) fn change(&mut self, operation: &'static str, message: RouteNetlinkMessage, flags: u16) -> Result<(), NetlinkError> {
        self.request(operation, message, flags | NLM_F_ACK, &mut |_| {})
    }

    /// Sends one request and hands every answer to `answer` until the kernel says it is done.
    fn request(
        &mut self,
        operation: &'static str,
        message: RouteNetlinkMessage,
        flags: u16,
        answer: &mut dyn FnMut(RouteNetlinkMessage),
    ) -> Result<(), NetlinkError> {
        let fail = |source: io::Error| NetlinkError { operation, source };
        self.sequence = self.sequence.wrapping_add(1);
        let sequence = self.sequence;
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        request.header.sequence_number = sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        rustix::net::send(&self.socket, &bytes, SendFlags::empty()).map_err(|e| fail(e.into()))?;
        // A plain get is answered by the object alone, a change by an acknowledgement, a dump by many and an end.
        let single = flags & (NLM_F_ACK | NLM_F_DUMP) == 0;
        let mut outcome: Option<io::Result<()>> = None;
        let mut default_route_came = false;
        while outcome.is_none() {
            let length = match rustix::net::recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((length, _)) => length,
                Err(rustix::io::Errno::INTR) => continue,
                // Events were dropped: one of them may have been the one.
                Err(rustix::io::Errno::NOBUFS) => {
                    default_route_came = true;
                    continue;
                }
                Err(errno) => return Err(fail(errno.into())),
            };
            each_message(&self.buffer[..length], &mut |message| {
                // Events of the subscribed groups come between; their sequence number is 0 or another's.
                if message.header.sequence_number != sequence {
                    if let NetlinkPayload::InnerMessage(event) = &message.payload {
                        default_route_came |= is_default_route(event);
                    }
                    return true;
                }
                match message.payload {
                    NetlinkPayload::Error(error) => outcome = Some(error.code.map_or(Ok(()), |_| Err(error.to_io()))),
                    NetlinkPayload::Done(_) => outcome = Some(Ok(())),
                    NetlinkPayload::InnerMessage(inner) => {
                        answer(inner);
                        if single {
                            outcome = Some(Ok(()));
                        }
                    }
                    _ => {}
                }
                outcome.is_none()
            });
        }
        self.default_route_came |= default_route_came;
        outcome.unwrap_or(Ok(())).map_err(fail)
    }
}

impl AsFd for Netlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Walks the messages of one datagram until `each` says stop. What cannot be parsed is skipped: it is of a kind newer
/// than this code.
fn each_message(datagram: &[u8], each: &mut dyn FnMut(NetlinkMessage<RouteNetlinkMessage>) -> bool) {
    const HEADER: usize = 16;
    let mut rest = datagram;
    while rest.len() >= HEADER {
        let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        if length < HEADER || length > rest.len() {
            return;
        }
        if NetlinkMessage::deserialize(&rest[..length]).is_ok_and(|message| !each(message)) {
            return;
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
}

fn is_default_route(message: &RouteNetlinkMessage) -> bool {
    match message {
        RouteNetlinkMessage::NewRoute(route) => {
            route.header.address_family == AddressFamily::Inet
                && route.header.destination_prefix_length == 0
                && route.header.table == RouteHeader::RT_TABLE_MAIN
        }
        _ => false,
    }
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv6() { AddressFamily::Inet6 } else { AddressFamily::Inet }
}

fn route(destination: IpAddr, prefix: u8, to: Local, table: u32) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(destination);
    message.header.destination_prefix_length = prefix;
    message.header.protocol = RouteProtocol::Static;
    message.attributes.push(RouteAttribute::Table(table));
    if prefix != 0 {
        message.attributes.push(RouteAttribute::Destination(RouteAddress::from(destination)));
    }
    message.header.kind = RouteType::Local;
    message.header.scope = RouteScope::Host;
    message.attributes.extend(to.source.map(|source| RouteAttribute::PrefSource(source.into())));
    message.attributes.push(RouteAttribute::Oif(to.link));
    message
}
