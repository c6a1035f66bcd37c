//! From a container's record to what its monitor needs to know of its networks, looked up anew at each start.

use std::net::{IpAddr, Ipv4Addr};

use crate::config::Config;
use crate::engine::{Engine, Error};
use crate::network::files::{HostsLink, NameFiles};
use crate::network::holder::protocol::{Member, Wish};
use crate::network::host_access;
use crate::network::pasta;
use crate::network::slirp::{SlirpNet, has_ipv6_default_route};
use crate::network::store::{NetworkRecord, Networks};
use crate::spec::host_access::HostAccess;
use crate::spec::network::{Attachment, NetworkMode};
use crate::state::record::ContainerRecord;

use super::link;

/// The networks of a container that starts.
#[derive(Debug)]
pub(in crate::engine) struct Wiring {
    /// What its network namespace is; [`NetworkMode::Named`] where it is on user networks alone.
    pub(in crate::engine) base: NetworkMode,
    /// Who it is on user networks; none where the namespace is not its own.
    pub(in crate::engine) member: Option<Member>,
    /// Its user networks.
    pub(in crate::engine) wishes: Vec<Wish>,
    /// What its name files are made from; none where it shares another's.
    pub(in crate::engine) names: Option<NameFiles>,
    /// Variables of linked containers.
    pub(in crate::engine) env: Vec<String>,
    /// Ports of the host's loopback it may reach.
    pub(in crate::engine) host_access: Vec<u16>,
}

/// What a record says of its network, or the configuration where it says nothing.
pub(in crate::engine) fn modes(config: &Config, record: &ContainerRecord) -> Vec<NetworkMode> {
    match record.spec.network.modes.as_slice() {
        [] => vec![config.network.default.clone().unwrap_or_default()],
        modes => modes.to_vec(),
    }
}

/// The mode that decides on the namespace.
pub(in crate::engine) fn base(modes: &[NetworkMode]) -> NetworkMode {
    let named = |mode: &&NetworkMode| matches!(mode, NetworkMode::Named(_));
    modes.iter().find(|mode| !named(mode)).or(modes.first()).cloned().unwrap_or_default()
}

/// The user networks.
pub(in crate::engine) fn attachments(modes: &[NetworkMode]) -> Vec<Attachment> {
    let named = |mode: &NetworkMode| if let NetworkMode::Named(list) = mode { list.clone() } else { Vec::new() };
    modes.iter().flat_map(named).collect()
}

/// Looks everything up, and connects the containers it is linked to.
pub(in crate::engine) fn wire(engine: &Engine, record: &ContainerRecord) -> Result<Wiring, Error> {
    let modes = modes(&engine.config, record);
    let base = base(&modes);
    let (base, host_access) = host_access(base, &record.spec.network.host_access)?;
    let own = matches!(base, NetworkMode::Default(_) | NetworkMode::Pasta(_) | NetworkMode::Named(_));
    let mut wanted = attachments(&modes);
    let linked = link::resolve(engine, record, &mut wanted)?;
    let networks = Networks::new(&engine.paths);
    let mut wishes: Vec<Wish> = Vec::new();
    for attachment in &wanted {
        let network = networks.get(&attachment.network)?;
        // The same network by name and by id is one network.
        if wishes.iter().all(|wish| wish.network.id != network.id) {
            wishes.push(wish(network, attachment));
        }
    }
    let member = own.then(|| member(engine, record, &base)).transpose()?;
    let names = own.then(|| names(engine, record, &base, linked.hosts)).transpose()?;
    Ok(Wiring { base, member, wishes, names, env: linked.env, host_access })
}

/// Servers of the host: all of them are slirp4netns' to open, some are forwarded by the monitor.
fn host_access(mut base: NetworkMode, access: &HostAccess) -> Result<(NetworkMode, Vec<u16>), Error> {
    let why = match (access, &mut base) {
        (HostAccess::None, _) => return Ok((base, Vec::new())),
        (HostAccess::Ports(ports), NetworkMode::Default(_) | NetworkMode::Named(_) | NetworkMode::Pasta(_)) => {
            return Ok((base, ports.clone()));
        }
        (HostAccess::All, NetworkMode::Default(options)) => {
            options.host_loopback = true;
            return Ok((base, Vec::new()));
        }
        (HostAccess::All, NetworkMode::Named(_)) => "name the ports, or add the default network with --network bridge",
        (HostAccess::All, NetworkMode::Pasta(_)) => "name the ports",
        (_, NetworkMode::Host) => "it is the host's network",
        (_, NetworkMode::None | NetworkMode::Container(_) | NetworkMode::Ns(_)) => "it has no network of its own",
    };
    Err(Error::Usage(format!("--host-access {access} is not possible with --network {base}: {why}")))
}

/// An address at which the host answers, and whether its loopback does there.
pub(in crate::engine) fn host_address(base: &NetworkMode, access: &HostAccess) -> (Option<IpAddr>, bool) {
    match (base, access) {
        (_, HostAccess::Ports(_)) => (Some(host_access::ADDRESS.into()), true),
        (NetworkMode::Default(options), _) if options.host_loopback => {
            (Some(SlirpNet::new(options, false).gateway.into()), true)
        }
        (NetworkMode::Host, _) => (Some(Ipv4Addr::LOCALHOST.into()), true),
        // Reached as anything outside is; its loopback is not.
        (NetworkMode::Default(_) | NetworkMode::Named(_), _) => (host_access::own_address(), false),
        // With pasta the host's address is the container's own.
        (NetworkMode::Pasta(_) | NetworkMode::None | NetworkMode::Container(_) | NetworkMode::Ns(_), _) => (None, false),
    }
}

/// What is asked of a network for one container.
pub(in crate::engine) fn wish(network: NetworkRecord, attachment: &Attachment) -> Wish {
    // Labels are for people, and may be long.
    let network = NetworkRecord { labels: std::collections::BTreeMap::new(), ..network };
    Wish {
        network,
        ip: attachment.ip,
        ip6: attachment.ip6,
        mac: attachment.mac,
        aliases: attachment.aliases.clone(),
        interface: attachment.interface.clone(),
        sysctls: attachment.sysctls.clone(),
        priority: attachment.priority,
        before: None,
    }
}

/// The servers of `--dns`, or of the configuration.
fn servers(engine: &Engine, record: &ContainerRecord) -> Result<Vec<IpAddr>, Error> {
    let own = &record.spec.network.dns;
    let texts = if own.is_empty() { &engine.config.network.dns } else { own };
    let parse = |text: &String| text.parse().map_err(|_| Error::Usage(format!("invalid --dns \"{text}\": not an IP address")));
    texts.iter().filter(|text| *text != "none").map(parse).collect()
}

fn member(engine: &Engine, record: &ContainerRecord, base: &NetworkMode) -> Result<Member, Error> {
    let (gateway, host_names) = host_address(base, &record.spec.network.host_access);
    Ok(Member {
        id: record.id.clone(),
        name: record.name.clone(),
        hostname: record.config.hostname.clone(),
        servers: servers(engine, record)?,
        mtu: engine.config.network.mtu.map(u32::from),
        data: engine.paths.data.clone(),
        host_ipv6: std::fs::read_to_string("/proc/net/ipv6_route").is_ok_and(|table| has_ipv6_default_route(&table)),
        host: gateway.filter(|_| host_names),
    })
}

/// The host name with its domain, if it has one.
pub(in crate::engine) fn full_name(record: &ContainerRecord) -> String {
    let host = &record.config.hostname;
    match record.spec.network.domainname.as_deref() {
        Some(domain) if !domain.is_empty() && !host.contains('.') => format!("{host}.{domain}"),
        _ => host.clone(),
    }
}

fn names(engine: &Engine, record: &ContainerRecord, base: &NetworkMode, links: Vec<HostsLink>) -> Result<NameFiles, Error> {
    let (spec, config) = (&record.spec.network, &engine.config.network);
    let dir = engine.paths.container(&record.id);
    let or = |own: &[String], other: &[String]| if own.is_empty() { other.to_vec() } else { own.to_vec() };
    let slirp = match base {
        NetworkMode::Default(options) => Some(SlirpNet::new(options, false)),
        NetworkMode::Pasta(_) => Some(pasta::network(host_access::own_address())),
        _ => None,
    };
    let (gateway, host_names) = host_address(base, &spec.host_access);
    let dns = if spec.dns.is_empty() { &config.dns } else { &spec.dns };
    Ok(NameFiles {
        hosts: (!spec.no_hosts).then(|| dir.join("hosts")),
        resolv: dns.iter().all(|server| server != "none").then(|| dir.join("resolv.conf")),
        extra: spec.add_hosts.clone(),
        links,
        hostname: full_name(record),
        name: record.name.clone(),
        gateway,
        host_names,
        address: slirp.map(|net| IpAddr::V4(net.address)),
        server: slirp.map(|net| (IpAddr::V4(net.dns), net.ipv6)),
        servers: servers(engine, record)?,
        search: or(&spec.dns_search, &config.dns_search),
        options: or(&spec.dns_options, &config.dns_options),
    })
}
