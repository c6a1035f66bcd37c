//! The names of user networks: who may see which, and what they mean. Pure: a table and its lookups.
//!
//! A question comes over the socket of one network, from one address. Both together say which container asks, and it
//! sees the names of every network it is on, the asked one first; anybody else sees the asked network alone. Answers
//! carry no lifetime, so a container that starts, stops or is renamed is seen so by the next question.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, RwLock};

use super::name::Name;
use super::wire::kind;

/// The domain below which every name of a container is found too, and only those. As the first search domain of a
/// container it answers short names before any domain of the host is tried over the net.
pub const DOMAIN: &str = "kelp.internal";

/// Names of the host as containers may see it. Never asked of other servers.
pub const HOST_NAMES: [&str; 2] = ["host.containers.internal", "host.docker.internal"];

/// The zones of one user, written by whoever owns the networks, read by the name server.
pub type SharedZones = Arc<RwLock<Zones>>;

/// What a network says about names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkZone {
    /// Its subnets; the names of unknown addresses in them are asked of nobody.
    pub subnets: Vec<Subnet>,
    /// Other names are asked of other servers. Not so on an internal network.
    pub forward: bool,
    /// The servers asked for other names; the host's when empty.
    pub servers: Vec<IpAddr>,
}

/// A network in prefix notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// Any address in it.
    pub address: IpAddr,
    /// Prefix length in bits.
    pub prefix: u8,
}

impl Subnet {
    /// Whether the address is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => (u128::from(u32::from(ip)) << 96, 32),
            IpAddr::V6(ip) => (u128::from(ip), 128),
        };
        let ((own, width), (other, others)) = (bits(self.address), bits(ip));
        let prefix = u32::from(self.prefix);
        width == others && prefix <= width && (prefix == 0 || (own ^ other) >> (128 - prefix) == 0)
    }
}

/// A container on a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// The name its addresses lead back to.
    pub name: String,
    /// Every name it is found by: name, aliases, short id, host name, service. Several containers may share one.
    pub names: Vec<String>,
    /// Its addresses on this network.
    pub addresses: Vec<IpAddr>,
    /// The servers asked for other names on its behalf (`--dns`); the network's when empty.
    pub servers: Vec<IpAddr>,
    /// Where it reaches the host's own servers; none unless it really does.
    pub host: Option<IpAddr>,
}

/// Every network's names.
#[derive(Debug, Default)]
pub struct Zones {
    networks: BTreeMap<String, Network>,
    /// The networks of each container.
    containers: HashMap<String, Vec<String>>,
    /// Moves on with each answer that has several addresses.
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct Network {
    settings: NetworkZone,
    /// The network's own name, as a domain of its members.
    domain: Option<Name>,
    members: HashMap<String, Member>,
    /// Containers by name in wire form.
    names: HashMap<Box<[u8]>, Vec<String>>,
    /// Containers by address.
    addresses: HashMap<IpAddr, String>,
}

/// What a question is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// A name of ours, with its addresses of the kind asked for; none when it has no such record.
    Addresses(Vec<IpAddr>),
    /// The name of an address.
    Pointer(Box<Name>),
    /// Would be ours, but does not exist.
    NoName,
    /// Not ours; to be asked of these servers, the host's when empty.
    Forward(Vec<IpAddr>),
}

/// Where a name was found, for [`Zones::find`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The network.
    pub network: String,
    /// The container's id.
    pub container: String,
    /// Its addresses there.
    pub addresses: Vec<IpAddr>,
}

impl Zones {
    /// Adds a network or changes what it says; its containers stay.
    pub fn set_network(&mut self, network: &str, settings: NetworkZone) {
        let entry = self.networks.entry(network.to_owned()).or_default();
        entry.settings = settings;
        entry.domain = Name::from_text(network);
    }

    /// Removes a network with all its names.
    pub fn remove_network(&mut self, network: &str) {
        if let Some(gone) = self.networks.remove(network) {
            for container in gone.members.keys() {
                self.forget(container, network);
            }
        }
    }

    /// Puts a container on a network, or changes its names and addresses there. Texts that are no names are left out.
    /// Does nothing if there is no such network.
    pub fn set_member(&mut self, network: &str, container: &str, member: Member) {
        self.remove_member(network, container);
        let Some(entry) = self.networks.get_mut(network) else { return };
        for name in wire_names(&member) {
            entry.names.entry(name.as_bytes().into()).or_default().push(container.to_owned());
        }
        for ip in &member.addresses {
            entry.addresses.insert(*ip, container.to_owned());
        }
        entry.members.insert(container.to_owned(), member);
        self.containers.entry(container.to_owned()).or_default().push(network.to_owned());
    }

    /// Takes a container off a network.
    pub fn remove_member(&mut self, network: &str, container: &str) {
        let Some(entry) = self.networks.get_mut(network) else { return };
        let Some(member) = entry.members.remove(container) else { return };
        for name in wire_names(&member) {
            if let Some(containers) = entry.names.get_mut(name.as_bytes()) {
                containers.retain(|id| id != container);
                if containers.is_empty() {
                    entry.names.remove(name.as_bytes());
                }
            }
        }
        entry.addresses.retain(|_, id| id != container);
        self.forget(container, network);
    }

    fn forget(&mut self, container: &str, network: &str) {
        if let Some(networks) = self.containers.get_mut(container) {
            networks.retain(|name| name != network);
            if networks.is_empty() {
                self.containers.remove(container);
            }
        }
    }

    /// The networks a question may be answered from, the asked one first.
    fn scope(&self, network: &str, client: IpAddr) -> Vec<&Network> {
        let Some(asked) = self.networks.get(network) else { return Vec::new() };
        let mut scope = vec![asked];
        if let Some(others) = asked.addresses.get(&client).and_then(|container| self.containers.get(container)) {
            scope.extend(others.iter().filter(|other| *other != network).filter_map(|other| self.networks.get(other)));
        }
        scope
    }

    /// What a question of `client`, over the socket of `network`, is answered with.
    pub fn lookup(&self, network: &str, client: IpAddr, name: &Name, kind: u16) -> Lookup {
        let scope = self.scope(network, client);
        if let Some(ip) = name.reverse_address() {
            if let Some(found) = scope.iter().find_map(|network| network.pointer(ip)) {
                return if matches!(kind, kind::PTR | kind::ANY) { Lookup::Pointer(Box::new(found)) } else { Lookup::Addresses(Vec::new()) };
            }
            if scope.iter().any(|network| network.settings.subnets.iter().any(|subnet| subnet.contains(ip))) {
                return Lookup::NoName;
            }
            return forward(&scope, client);
        }
        let domain = Name::from_text(DOMAIN).and_then(|domain| name.below(&domain));
        for network in &scope {
            let relative = network.domain.and_then(|own| name.below(&own));
            for name in [Some(*name), domain, relative].into_iter().flatten() {
                if let Some(addresses) = network.addresses_of(&name, kind) {
                    return Lookup::Addresses(self.rotated(addresses));
                }
            }
        }
        let is = |text: &str| Name::from_text(text).is_some_and(|known| known == *name);
        if HOST_NAMES.into_iter().any(is) {
            let host = scope.first().and_then(|asked| asked.member_at(client)?.host);
            return host.map_or(Lookup::NoName, |host| Lookup::Addresses(of_kind([host].iter(), kind)));
        }
        if domain.is_some() {
            return Lookup::NoName;
        }
        if is(DOMAIN) {
            return Lookup::Addresses(Vec::new());
        }
        forward(&scope, client)
    }

    fn rotated(&self, mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
        if addresses.len() > 1 {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let by = turn % addresses.len();
            addresses.rotate_left(by);
        }
        addresses
    }

    /// Everywhere a name is found, for the host, which sees every network.
    pub fn find(&self, text: &str) -> Vec<Found> {
        let Some(name) = Name::from_text(text) else { return Vec::new() };
        let domain = Name::from_text(DOMAIN).and_then(|domain| name.below(&domain));
        let mut found = Vec::new();
        for (network, entry) in &self.networks {
            let relative = entry.domain.and_then(|own| name.below(&own));
            let containers = [Some(name), domain, relative]
                .into_iter()
                .flatten()
                .find_map(|name| entry.names.get(name.as_bytes()))
                .into_iter()
                .flatten();
            for container in containers {
                let addresses = entry.members.get(container).map(|member| member.addresses.clone()).unwrap_or_default();
                found.push(Found { network: network.clone(), container: container.clone(), addresses });
            }
        }
        found
    }
}

/// To whom a foreign name goes: the container's own servers, else those of a network that forwards.
fn forward(scope: &[&Network], client: IpAddr) -> Lookup {
    let Some(network) = scope.iter().find(|network| network.settings.forward) else { return Lookup::NoName };
    let own = scope.first().and_then(|asked| asked.member_at(client));
    match own.map(|member| &member.servers) {
        Some(servers) if !servers.is_empty() => Lookup::Forward(servers.clone()),
        _ => Lookup::Forward(network.settings.servers.clone()),
    }
}

/// The names of a container, each once.
fn wire_names(member: &Member) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for text in member.names.iter().chain([&member.name]) {
        if let Some(name) = Name::from_text(text).filter(|name| *name != Name::ROOT && !names.contains(name)) {
            names.push(name);
        }
    }
    names
}

fn of_kind<'a>(addresses: impl Iterator<Item = &'a IpAddr>, kind: u16) -> Vec<IpAddr> {
    let wanted = |ip: &&IpAddr| match kind {
        kind::A => ip.is_ipv4(),
        kind::AAAA => ip.is_ipv6(),
        kind => kind == kind::ANY,
    };
    addresses.filter(wanted).copied().collect()
}

impl Network {
    /// The addresses of a name; `None` unless the name is known.
    fn addresses_of(&self, name: &Name, kind: u16) -> Option<Vec<IpAddr>> {
        let containers = self.names.get(name.as_bytes())?;
        let members = containers.iter().filter_map(|container| self.members.get(container));
        Some(of_kind(members.flat_map(|member| &member.addresses), kind))
    }

    fn member_at(&self, ip: IpAddr) -> Option<&Member> {
        self.members.get(self.addresses.get(&ip)?)
    }

    fn pointer(&self, ip: IpAddr) -> Option<Name> {
        let member = self.member_at(ip)?;
        let text = match &self.domain {
            Some(domain) => format!("{}.{domain}", member.name),
            None => member.name.clone(),
        };
        Name::from_text(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn member(name: &str, names: &[&str], addresses: &[&str]) -> Member {
        Member {
            name: name.into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            addresses: addresses.iter().map(|text| ip(text)).collect(),
            servers: Vec::new(),
            host: None,
        }
    }

    fn zone(subnet: &str, forward: bool) -> NetworkZone {
        NetworkZone { subnets: vec![Subnet { address: ip(subnet), prefix: 24 }], forward, ..NetworkZone::default() }
    }

    /// `front`: web (also on back). `back`: two workers that share a name, web.
    fn zones() -> Zones {
        let mut zones = Zones::default();
        zones.set_network("front", zone("10.1.0.0", true));
        zones.set_network("back", zone("10.2.0.0", false));
        zones.set_member("front", "w", member("web", &["www", "0123456789ab", "a.b"], &["10.1.0.2", "fd00::2"]));
        zones.set_member("back", "w", member("web", &["www"], &["10.2.0.2"]));
        zones.set_member("back", "x", member("one", &["worker"], &["10.2.0.3"]));
        zones.set_member("back", "y", member("two", &["worker"], &["10.2.0.4"]));
        zones
    }

    fn ask(zones: &Zones, network: &str, client: &str, name: &str, kind: u16) -> Lookup {
        zones.lookup(network, ip(client), &Name::from_text(name).unwrap(), kind)
    }

    fn found(addresses: &[&str]) -> Lookup {
        Lookup::Addresses(addresses.iter().map(|text| ip(text)).collect())
    }

    #[test]
    fn names_of_all_kinds() {
        let zones = zones();
        for name in ["web", "WWW", "0123456789ab", "a.b", "web.front", "web.kelp.internal", "a.b.front"] {
            assert_eq!(ask(&zones, "front", "10.1.0.9", name, kind::A), found(&["10.1.0.2"]), "{name}");
        }
        assert_eq!(ask(&zones, "front", "10.1.0.9", "web", kind::AAAA), found(&["fd00::2"]));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "web", kind::ANY), found(&["10.1.0.2", "fd00::2"]));
        assert_eq!(ask(&zones, "back", "10.2.0.9", "web", kind::AAAA), found(&[]));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "web", kind::SOA), found(&[]));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "nobody.kelp.internal", kind::A), Lookup::NoName);
        assert_eq!(ask(&zones, "front", "10.1.0.9", "nobody", kind::A), Lookup::Forward(Vec::new()));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "nobody.front", kind::A), Lookup::Forward(Vec::new()));
    }

    #[test]
    fn containers_see_their_networks_only() {
        let zones = zones();
        // web is on both; somebody else on front is not.
        assert_eq!(ask(&zones, "front", "10.1.0.2", "one", kind::A), found(&["10.2.0.3"]));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "one", kind::A), Lookup::Forward(Vec::new()));
        // The asked network's address of a container on both.
        assert_eq!(ask(&zones, "back", "10.2.0.3", "web", kind::A), found(&["10.2.0.2"]));
        assert_eq!(ask(&zones, "front", "10.1.0.2", "web.back", kind::A), found(&["10.2.0.2"]));
        // An internal network asks nobody; web may, through front.
        assert_eq!(ask(&zones, "back", "10.2.0.3", "example.org", kind::A), Lookup::NoName);
        assert_eq!(ask(&zones, "back", "10.2.0.2", "example.org", kind::A), Lookup::Forward(Vec::new()));
        assert_eq!(ask(&zones, "none", "10.2.0.2", "web", kind::A), Lookup::NoName);
    }

    #[test]
    fn round_robin() {
        let zones = zones();
        let first = |_| match ask(&zones, "back", "10.2.0.9", "worker", kind::A) {
            Lookup::Addresses(addresses) => addresses[0],
            other => panic!("{other:?}"),
        };
        let firsts: Vec<IpAddr> = (0..4).map(first).collect();
        assert_eq!(firsts[0], firsts[2]);
        assert_ne!(firsts[0], firsts[1]);
    }

    #[test]
    fn addresses_lead_back() {
        let zones = zones();
        let web = Name::from_text("web.front").unwrap();
        assert_eq!(ask(&zones, "front", "10.1.0.9", "2.0.1.10.in-addr.arpa", kind::PTR), Lookup::Pointer(Box::new(web)));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "2.0.1.10.in-addr.arpa", kind::A), found(&[]));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "77.0.1.10.in-addr.arpa", kind::PTR), Lookup::NoName);
        assert_eq!(ask(&zones, "front", "10.1.0.9", "8.8.8.8.in-addr.arpa", kind::PTR), Lookup::Forward(Vec::new()));
        assert_eq!(ask(&zones, "back", "10.2.0.3", "8.8.8.8.in-addr.arpa", kind::PTR), Lookup::NoName);
    }

    #[test]
    fn the_host_has_a_name_only_where_it_answers() {
        let mut zones = zones();
        for name in HOST_NAMES {
            assert_eq!(ask(&zones, "front", "10.1.0.2", name, kind::A), Lookup::NoName);
        }
        zones.set_member("front", "w", Member { host: Some(ip("169.254.1.2")), ..member("web", &[], &["10.1.0.2"]) });
        for name in HOST_NAMES {
            assert_eq!(ask(&zones, "front", "10.1.0.2", name, kind::A), found(&["169.254.1.2"]));
            assert_eq!(ask(&zones, "front", "10.1.0.2", name, kind::AAAA), found(&[]));
            assert_eq!(ask(&zones, "front", "10.1.0.9", name, kind::A), Lookup::NoName);
        }
        assert_eq!(ask(&zones, "front", "10.1.0.2", "web", kind::A), found(&["10.1.0.2"]));
    }

    #[test]
    fn changes_leave_nothing_behind() {
        let mut zones = zones();
        zones.set_member("front", "w", member("shop", &[], &["10.1.0.7"]));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "web", kind::A), Lookup::Forward(Vec::new()));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "shop", kind::A), found(&["10.1.0.7"]));
        assert_eq!(ask(&zones, "front", "10.1.0.9", "2.0.1.10.in-addr.arpa", kind::PTR), Lookup::NoName);
        assert_eq!(zones.find("shop").len(), 1);
        zones.remove_member("front", "w");
        zones.remove_network("back");
        assert_eq!(zones.find("shop"), []);
        assert!(zones.containers.is_empty());
        assert!(zones.networks["front"].names.is_empty() && zones.networks["front"].addresses.is_empty());
        zones.set_member("back", "w", member("web", &[], &[]));
        assert!(zones.containers.is_empty());
    }

    #[test]
    fn servers_of_the_container_win() {
        let mut zones = zones();
        let settings = NetworkZone { servers: vec![ip("9.9.9.9")], ..zone("10.1.0.0", true) };
        zones.set_network("front", settings);
        assert_eq!(ask(&zones, "front", "10.1.0.2", "x.y", kind::A), Lookup::Forward(vec![ip("9.9.9.9")]));
        let own = Member { servers: vec![ip("1.1.1.1")], ..member("web", &[], &["10.1.0.2"]) };
        zones.set_member("front", "w", own);
        assert_eq!(ask(&zones, "front", "10.1.0.2", "x.y", kind::A), Lookup::Forward(vec![ip("1.1.1.1")]));
    }

    #[test]
    fn subnets() {
        let net = Subnet { address: ip("10.1.2.0"), prefix: 23 };
        assert!(net.contains(ip("10.1.3.255")) && !net.contains(ip("10.1.4.0")) && !net.contains(ip("::1")));
        let net = Subnet { address: ip("fd00::"), prefix: 64 };
        assert!(net.contains(ip("fd00::ffff")) && !net.contains(ip("fd00:0:0:1::")));
        assert!(Subnet { address: ip("0.0.0.0"), prefix: 0 }.contains(ip("1.2.3.4")));
        assert!(!Subnet { address: ip("0.0.0.0"), prefix: 99 }.contains(ip("1.2.3.4")));
    }
}
