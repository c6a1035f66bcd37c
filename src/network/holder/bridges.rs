//! Networks and containers' links as they are in the kernel.
//!
//! Runs in the holder's namespace; enters a container's for as long as it takes to open a netlink socket there. A network
//! is there while a container is on it. What keeps networks apart: packets that come in by the bridge of a network are
//! first looked up in a table of refusals, [`table`], then in the main table, which leads to all bridges and to the tap.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::Sender;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::protocol::{Member, Wish};
use crate::network::links::{Veth, mac_of, mac_text};
use crate::network::netlink::{Netlink, NetlinkError, group};
use crate::network::pool::{Pool, PoolError};
use crate::network::store::NetworkRecord;
use crate::spec::subnet::Subnet;
use crate::state::lease::Lease;
use crate::state::{Paths, lease};

/// Tables that a packet from a bridge is looked up in first.
mod table {
    /// Refuses everything: for internal networks.
    pub(super) const NOTHING: u32 = 0x6b10;
    /// Refuses every network of ours: for isolated ones.
    pub(super) const OUTSIDE: u32 = 0x6b11;
    /// Refuses the isolated networks: for the others.
    pub(super) const OPEN: u32 = 0x6b12;
}

/// Bytes of a packet unless somebody says: as many as slirp4netns takes, since each costs it a system call.
const MTU: u32 = 65520;
/// Metric of the first default route in a container; the others follow. Behind that of the default network.
const METRIC: u32 = 100;
/// That of the first network with a priority above zero: the default network steps back behind these.
const METRIC_ABOVE: u32 = 10;

/// Why a container is not on a network.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlugError {
    /// The kernel refused.
    #[error("cannot connect to network {network}: {source}")]
    Kernel {
        /// Which network.
        network: String,
        /// What and why.
        source: NetlinkError,
    },
    /// No address.
    #[error("cannot connect to network {network}: {source}")]
    Address {
        /// Which network.
        network: String,
        /// Why.
        source: PoolError,
    },
    /// Asked for what the network does not have.
    #[error("cannot connect to network {network}: {reason}")]
    Wish {
        /// Which network.
        network: String,
        /// What.
        reason: String,
    },
}

/// A network with containers on it.
#[derive(Debug)]
pub(super) struct Live {
    /// As it was when the first of them came, but for its name servers.
    pub(super) record: NetworkRecord,
    bridge: u32,
    pools: Vec<Pool>,
    members: usize,
}

/// A container's link on a network.
#[derive(Debug, Clone)]
pub(super) struct Link {
    /// What it has.
    pub(super) lease: Lease,
    /// Our end of the pair.
    veth: String,
    /// Index of the other end.
    index: u32,
    priority: i32,
    /// Routes by it, and their metrics where they are said.
    routes: Vec<(Subnet, IpAddr, Option<u32>)>,
    /// Metric of the others, when they are there.
    metric: Option<u32>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Bridges {
    own: OwnedFd,
    netlink: Netlink,
    networks: BTreeMap<String, Live>,
    counter: u32,
    /// Names of links whose containers have ended: removing one can take the kernel many milliseconds, which nobody is
    /// to wait for.
    gone: Sender<String>,
}

impl Bridges {
    /// Makes the calling thread's network namespace ready. `gone` takes the names of links to be removed at leisure.
    pub(super) fn open(gone: Sender<String>) -> Result<Self, String> {
        let own = rustix::fs::open("/proc/thread-self/ns/net", rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())
            .map_err(|errno| format!("cannot open the holder's network namespace: {errno}"))?;
        let mut netlink = Netlink::open(group::IPV4_ROUTE).map_err(|error| error.to_string())?;
        netlink.link_up(1).map_err(|error| error.to_string())?;
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").map_err(|error| format!("cannot switch on forwarding: {error}"))?;
        // Absent without IPv6, or without br_netfilter: all the better. Packets between containers of one network are not
        // the packet filter's business.
        for knob in ["ipv6/conf/all/forwarding", "ipv6/conf/default/accept_dad"] {
            drop(std::fs::write(format!("/proc/sys/net/{knob}"), if knob.ends_with("dad") { "0" } else { "1" }));
        }
        for knob in ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"] {
            drop(std::fs::write(format!("/proc/sys/net/bridge/{knob}"), "0"));
        }
        for any in ["0.0.0.0/0", "::/0"] {
            if let Ok(any) = any.parse::<Subnet>()
                && let Err(error) = netlink.prohibit(any, table::NOTHING, true)
                && !any.is_ipv6()
            {
                return Err(error.to_string());
            }
        }
        Ok(Self { own, netlink, networks: BTreeMap::new(), counter: 0, gone })
    }

    /// The holder's namespace.
    pub(super) fn own(&self) -> BorrowedFd<'_> {
        self.own.as_fd()
    }

    /// Its netlink socket, subscribed to IPv4 routes.
    pub(super) fn netlink(&mut self) -> &mut Netlink {
        &mut self.netlink
    }

    /// A network that is there.
    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Live> {
        self.networks.get_mut(id)
    }

    /// Opens a netlink socket in a container's namespace.
    pub(super) fn enter(&self, netns: BorrowedFd<'_>) -> Result<Netlink, String> {
        self.inside(netns, || Netlink::open(0).map_err(|error| error.to_string()))
    }

    fn inside<T>(&self, netns: BorrowedFd<'_>, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
        let net = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(netns, net).map_err(|errno| format!("cannot enter the container's network namespace: {errno}"))?;
        let done = work();
        // Nothing works without it, and it cannot fail for who owns the namespace.
        move_into_link_name_space(self.own.as_fd(), net).map_err(|errno| format!("cannot come back from a network namespace: {errno}"))?;
        done
    }

    /// Makes the network if it is not there. Returns whether it was made.
    pub(super) fn ensure(&mut self, record: &NetworkRecord, data: &std::path::Path, mtu: Option<u32>) -> Result<bool, PlugError> {
        if self.networks.contains_key(&record.id) {
            return Ok(false);
        }
        let fail = |source| PlugError::Kernel { network: record.name.clone(), source };
        let name = &record.interface;
        let mac = record.subnets.first().map_or([2, 0x42, 0, 0, 0, 1], |subnet| mac_of(subnet.gateway));
        let mtu = record.mtu().or(mtu).unwrap_or(MTU);
        if let Err(error) = self.netlink.create_bridge(name, mac, mtu) {
            if error.source.raw_os_error() != Some(libc::EEXIST) {
                return Err(fail(error));
            }
            self.netlink.delete_link(name).map_err(fail)?;
            self.netlink.create_bridge(name, mac, mtu).map_err(fail)?;
        }
        let bridge = match self.set_up(record) {
            Ok(bridge) => bridge,
            Err(error) => {
                self.take_down(record);
                return Err(fail(error));
            }
        };
        let mut pools: Vec<Pool> = record.subnets.iter().map(|subnet| Pool::new(*subnet, &record.reserved)).collect();
        keep_leases(&mut pools, &record.id, data);
        self.networks.insert(record.id.clone(), Live { record: record.clone(), bridge, pools, members: 0 });
        Ok(true)
    }

    fn set_up(&mut self, record: &NetworkRecord) -> Result<u32, NetlinkError> {
        let bridge = self.netlink.link_index(&record.interface)?;
        for subnet in &record.subnets {
            self.netlink.add_address(bridge, subnet.gateway, subnet.subnet.prefix())?;
        }
        for (ipv6, table) in rules(record) {
            match self.netlink.rule_from_link(ipv6, &record.interface, table, true) {
                // A kernel without IPv6 forwards none.
                Err(error) if record.subnet(ipv6).is_none() && error.source.raw_os_error() == Some(libc::EAFNOSUPPORT) => {}
                other => other?,
            }
        }
        for (subnet, table) in refusals(record) {
            self.netlink.prohibit(subnet, table, true)?;
        }
        Ok(bridge)
    }

    /// Undoes [`Bridges::set_up`]; what is not there is fine.
    fn take_down(&mut self, record: &NetworkRecord) {
        for (ipv6, table) in rules(record) {
            drop(self.netlink.rule_from_link(ipv6, &record.interface, table, false));
        }
        for (subnet, table) in refusals(record) {
            drop(self.netlink.prohibit(subnet, table, false));
        }
        drop(self.netlink.delete_link(&record.interface));
    }

    /// Removes a network nobody is on. Returns whether it was.
    pub(super) fn remove_if_empty(&mut self, id: &str) -> Option<NetworkRecord> {
        if self.networks.get(id).is_none_or(|live| live.members > 0) {
            return None;
        }
        let live = self.networks.remove(id)?;
        self.take_down(&live.record);
        Some(live.record)
    }

    /// Puts a container on a network that is there, and adds the link to those it has.
    pub(super) fn plug(&mut self, member: &Member, netns: BorrowedFd<'_>, inner: &mut Netlink, wish: &Wish, links: &mut Vec<Link>) -> Result<(), PlugError> {
        let network = wish.network.name.clone();
        let interface = interface(wish, links)?;
        self.counter = self.counter.wrapping_add(1);
        let veth = format!("veth{:x}", self.counter);
        let Some(live) = self.networks.get_mut(&wish.network.id) else {
            return Err(PlugError::Wish { network, reason: "it is not there".into() });
        };
        let lease = live.lease(member, wish, &interface)?;
        let routes = routes(&wish.network, &lease);
        let mut link = Link { lease, veth, index: 0, priority: wish.priority, routes, metric: None };
        let mtu = live.record.mtu().or(member.mtu).unwrap_or(MTU);
        let bridge = live.bridge;
        live.members += 1;
        let made = match self.make_link(&link, bridge, mtu, netns, inner) {
            Ok(index) => {
                link.index = index;
                self.tune(netns, wish, &interface)
            }
            Err(source) => Err(PlugError::Kernel { network: network.clone(), source }),
        };
        links.push(link);
        let routed = made.and_then(|()| route(inner, links).map_err(|source| PlugError::Kernel { network, source }));
        if routed.is_err()
            && let Some(link) = links.pop()
        {
            self.unplug(member, &link, true);
        }
        routed
    }

    /// Sets the kernel parameters asked for.
    fn tune(&self, netns: BorrowedFd<'_>, wish: &Wish, interface: &str) -> Result<(), PlugError> {
        if wish.sysctls.is_empty() {
            return Ok(());
        }
        let set = || {
            wish.sysctls.iter().try_for_each(|sysctl| {
                let path = sysctl.path(interface);
                std::fs::write(&path, &sysctl.value).map_err(|error| format!("cannot set {path} to {}: {error}", sysctl.value))
            })
        };
        self.inside(netns, set).map_err(|reason| PlugError::Wish { network: wish.network.name.clone(), reason })
    }

    fn make_link(&mut self, link: &Link, bridge: u32, mtu: u32, netns: BorrowedFd<'_>, inner: &mut Netlink) -> Result<u32, NetlinkError> {
        let lease = &link.lease;
        let mac = parse_mac(&lease.mac).unwrap_or([2, 0x42, 0, 0, 0, 2]);
        let veth = Veth { name: &link.veth, bridge, peer: &lease.interface, netns, mac, mtu };
        if let Err(error) = self.netlink.create_veth(&veth) {
            if error.source.raw_os_error() != Some(libc::EEXIST) {
                return Err(error);
            }
            // The other end of a pair whose holder was killed, which the kernel has not come round to remove.
            inner.delete_link(&lease.interface)?;
            self.netlink.create_veth(&veth)?;
        }
        let index = inner.link_index(&lease.interface)?;
        inner.link_up(index)?;
        let addresses = [lease.ip.map(|ip| (IpAddr::from(ip), lease.prefix)), lease.ip6.map(|ip| (IpAddr::from(ip), lease.prefix6))];
        for (ip, prefix) in addresses.into_iter().flatten() {
            inner.add_address(index, ip, prefix)?;
        }
        Ok(index)
    }

    /// Takes a container off a network: at once, or its link when there is time.
    pub(super) fn unplug(&mut self, member: &Member, link: &Link, now: bool) {
        if let Some(live) = self.networks.get_mut(&link.lease.network_id) {
            live.members = live.members.saturating_sub(1);
            let addresses = [link.lease.ip.map(IpAddr::from), link.lease.ip6.map(IpAddr::from)];
            for ip in addresses.into_iter().flatten() {
                live.pools.iter_mut().for_each(|pool| pool.give_back(ip, &member.id));
            }
        }
        if now {
            drop(self.netlink.delete_link(&link.veth));
        } else {
            drop(self.gone.send(link.veth.clone()));
        }
    }
}

/// The default routes by a network's gateways, and the network's own.
fn routes(network: &NetworkRecord, lease: &Lease) -> Vec<(Subnet, IpAddr, Option<u32>)> {
    let gateways = [lease.gateway.map(IpAddr::from), lease.gateway6.map(IpAddr::from)];
    let defaults = gateways.into_iter().flatten().filter(|_| network.has_default_route()).filter_map(|gateway| {
        let any = if gateway.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        Some((Subnet::new(any, 0)?, gateway, network.metric()))
    });
    let own = network.routes.iter().map(|route| (route.destination, route.gateway, route.metric.or(network.metric())));
    defaults.chain(own).collect()
}

/// Adds the routes by a container's newest link, in the order of priorities, then of names. Those by others make room.
fn route(inner: &mut Netlink, links: &mut [Link]) -> Result<(), NetlinkError> {
    let metrics = metrics(links);
    let mut moves: Vec<(&mut Link, u32)> = links.iter_mut().zip(metrics).filter(|(link, metric)| link.metric != Some(*metric)).collect();
    // They only move up: the highest goes first, so that no two have the same metric.
    moves.sort_by_key(|(_, metric)| std::cmp::Reverse(*metric));
    for (link, metric) in moves {
        for (to, gateway, said) in &link.routes {
            let is_new = link.metric.is_none();
            if is_new || said.is_none() {
                inner.add_route_by(*to, *gateway, link.index, said.unwrap_or(metric))?;
            }
            if let (Some(before), None) = (link.metric, said) {
                // What the container has removed is gone already.
                drop(inner.delete_route_by(*to, *gateway, link.index, before));
            }
        }
        link.metric = Some(metric);
    }
    Ok(())
}

/// The metric of each link's routes: those they have, unless one that comes before needs it.
fn metrics(links: &[Link]) -> Vec<u32> {
    let mut order: Vec<usize> = (0..links.len()).collect();
    order.sort_by_key(|index| (std::cmp::Reverse(links[*index].priority), links[*index].lease.network.as_str()));
    let (mut metrics, mut next) = (vec![0; links.len()], METRIC_ABOVE);
    for index in order {
        if links[index].priority <= 0 {
            next = next.max(METRIC);
        }
        let metric = links[index].metric.unwrap_or(next).max(next);
        (metrics[index], next) = (metric, metric + 1);
    }
    metrics
}

impl Live {
    /// Chooses addresses.
    fn lease(&mut self, member: &Member, wish: &Wish, interface: &str) -> Result<Lease, PlugError> {
        let network = &self.record.name;
        let missing = |family: &str| PlugError::Wish { network: network.clone(), reason: format!("it has no {family} subnet") };
        let has = |ipv6: bool| self.record.subnet(ipv6).is_some();
        if wish.ip.is_some() && !has(false) {
            return Err(missing("IPv4"));
        }
        if wish.ip6.is_some() && !has(true) {
            return Err(missing("IPv6"));
        }
        let paths = paths_of(&member.data);
        let exists = |id: &str| paths.container(id).exists();
        let internal = self.record.internal;
        let mut lease = Lease {
            network: network.clone(),
            network_id: self.record.id.clone(),
            interface: interface.to_owned(),
            name_servers: self.record.name_servers(),
            aliases: wish.aliases.clone(),
            ..Lease::default()
        };
        let mut taken: Vec<IpAddr> = Vec::new();
        for index in 0..self.pools.len() {
            let pool = &mut self.pools[index];
            let subnet = pool.subnet();
            let ipv6 = subnet.subnet.is_ipv6();
            let wanted = if ipv6 { wish.ip6.map(IpAddr::from) } else { wish.ip.map(IpAddr::from) };
            let before = wish.before.as_ref().and_then(|lease| if ipv6 { lease.ip6.map(IpAddr::from) } else { lease.ip.map(IpAddr::from) });
            match pool.take(&member.id, wanted, before, &exists) {
                Ok(IpAddr::V4(ip)) => {
                    taken.push(ip.into());
                    (lease.ip, lease.prefix) = (Some(ip), subnet.subnet.prefix());
                    lease.gateway = if let (IpAddr::V4(ip), false) = (subnet.gateway, internal) { Some(ip) } else { None };
                }
                Ok(IpAddr::V6(ip)) => {
                    taken.push(ip.into());
                    (lease.ip6, lease.prefix6) = (Some(ip), subnet.subnet.prefix());
                    lease.gateway6 = if let (IpAddr::V6(ip), false) = (subnet.gateway, internal) { Some(ip) } else { None };
                }
                Err(source) => {
                    for ip in taken {
                        self.pools.iter_mut().for_each(|pool| pool.give_back(ip, &member.id));
                    }
                    return Err(PlugError::Address { network: network.clone(), source });
                }
            }
        }
        let own = taken.first().map_or([2, 0x42, 0, 0, 0, 2], |ip| mac_of(*ip));
        lease.mac = mac_text(wish.mac.unwrap_or(own));
        Ok(lease)
    }
}

/// The link's name inside: the one asked for, else the first free `eth`.
fn interface(wish: &Wish, links: &[Link]) -> Result<String, PlugError> {
    let is_taken = |name: &str| links.iter().any(|link| link.lease.interface == name);
    match &wish.interface {
        Some(name) if is_taken(name) => {
            Err(PlugError::Wish { network: wish.network.name.clone(), reason: format!("the container has an interface {name} already") })
        }
        Some(name) => Ok(name.clone()),
        None => Ok((0..).map(|n| format!("eth{n}")).find(|name| !is_taken(name)).unwrap_or_default()),
    }
}

/// The rules for packets that come in by its bridge. A family it has no subnet of leads nowhere: who may send raw packets
/// could get out of an internal network by it, or into another one.
fn rules(record: &NetworkRecord) -> [(bool, u32); 2] {
    let table = match (record.internal, record.isolated()) {
        (true, _) => table::NOTHING,
        (false, true) => table::OUTSIDE,
        (false, false) => table::OPEN,
    };
    [false, true].map(|ipv6| (ipv6, if record.subnet(ipv6).is_some() { table } else { table::NOTHING }))
}

/// The tables that refuse packets to it.
fn refusals(record: &NetworkRecord) -> Vec<(Subnet, u32)> {
    let mut all = Vec::new();
    for subnet in &record.subnets {
        all.push((subnet.subnet, table::OUTSIDE));
        if record.isolated() {
            all.push((subnet.subnet, table::OPEN));
        }
    }
    all
}

fn paths_of(data: &std::path::Path) -> Paths {
    Paths { data: data.to_owned(), run: data.to_owned(), config: data.to_owned(), state: data.to_owned(), cache: data.to_owned() }
}

/// Keeps the addresses of containers that do not run, or whose monitors have not come to this holder yet.
fn keep_leases(pools: &mut [Pool], network: &str, data: &std::path::Path) {
    for (id, leases) in lease::all(&paths_of(data)) {
        for lease in leases.iter().filter(|lease| lease.network_id == network) {
            for ip in [lease.ip.map(IpAddr::from), lease.ip6.map(IpAddr::from)].into_iter().flatten() {
                pools.iter_mut().for_each(|pool| pool.keep(ip, &id));
            }
        }
    }
}

fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let bytes: Vec<u8> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect::<Option<_>>()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::store::SubnetRecord;

    fn network(options: &[(&str, &str)], internal: bool) -> NetworkRecord {
        let subnet: Subnet = "10.5.0.0/24".parse().unwrap();
        NetworkRecord {
            subnets: vec![SubnetRecord { subnet, gateway: subnet.hosts().0, range: None }],
            internal,
            options: options.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            ..NetworkRecord::default()
        }
    }

    #[test]
    fn what_keeps_networks_apart() {
        let tables = |record: &NetworkRecord| (rules(record)[0].1, refusals(record).iter().map(|(_, table)| *table).collect::<Vec<_>>());
        assert_eq!(tables(&network(&[], false)), (table::OUTSIDE, vec![table::OUTSIDE, table::OPEN]));
        assert_eq!(tables(&network(&[("isolate", "false")], false)), (table::OPEN, vec![table::OUTSIDE]));
        assert_eq!(tables(&network(&[("isolate", "false")], true)), (table::NOTHING, vec![table::OUTSIDE, table::OPEN]));
        assert_eq!(rules(&network(&[], false))[1], (true, table::NOTHING), "it has no IPv6");
    }

    #[test]
    fn the_way_out() {
        let mut links: Vec<Link> = Vec::new();
        let mut add = |network: &str, priority: i32| {
            let lease = Lease { network: network.into(), ..Lease::default() };
            links.push(Link { lease, veth: String::new(), index: 0, priority, routes: Vec::new(), metric: None });
            let metrics = metrics(&links);
            links.iter_mut().zip(&metrics).for_each(|(link, metric)| link.metric = Some(*metric));
            metrics
        };
        assert_eq!(add("b", 0), [100]);
        assert_eq!(add("c", 0), [100, 101]);
        assert_eq!(add("a", 0), [101, 102, 100]);
        assert_eq!(add("z", 7), [101, 102, 100, 10]);
        assert_eq!(add("y", 9), [101, 102, 100, 11, 10]);
        assert_eq!(add("x", -1), [101, 102, 100, 11, 10, 103]);
        assert_eq!(add("d", 0), [101, 102, 100, 11, 10, 104, 103]);
    }

    #[test]
    fn hardware_addresses() {
        assert_eq!(parse_mac("02:42:0a:59:00:02"), Some([2, 0x42, 10, 89, 0, 2]));
        assert_eq!(parse_mac("02:42"), None);
        assert_eq!(parse_mac("02:42:0a:59:00:xx"), None);
    }
}
