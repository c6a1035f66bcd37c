//! How the container is connected and called.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::parse;
use crate::cli::exit::UsageError;
use crate::spec::container::NetworkSpec;
use crate::spec::network::parse_mac;
use crate::spec::port::check_ports;
use crate::spec::{NetworkMode, Port};

/// The network section of `run` and `create`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Network")]
pub(crate) struct NetworkFlags {
    /// Network: NAME[:ip=,mac=,alias=,gw-priority=,driver-opt=,…], name=NAME,…, none, host, container:NAME, ns:PATH,
    /// slirp4netns[:OPTIONS], pasta[:OPTIONS]
    #[arg(long, visible_alias = "net", value_name = "MODE")]
    network: Vec<String>,
    /// IPv4 address on the user network
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// IPv6 address on the user network
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<Ipv6Addr>,
    /// Hardware address on the user network
    #[arg(long, value_name = "ADDRESS")]
    mac_address: Option<String>,
    /// Another name on every user network
    #[arg(long, visible_alias = "net-alias", value_name = "NAME")]
    network_alias: Vec<String>,
    /// Another container by an alias: entry of /etc/hosts, variables that tell its ports
    #[arg(long, value_name = "CONTAINER[:ALIAS]")]
    link: Vec<String>,
    /// Publish a port of the container on the host
    #[arg(short, long, value_name = "[[IP:]HOST:]PORT[/PROTO]")]
    publish: Vec<String>,
    /// Publish every exposed port on a free port of the host
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// Say that the container listens on a port
    #[arg(long, value_name = "PORT[-PORT][/PROTO]")]
    expose: Vec<String>,
    /// Name of the container for itself
    #[arg(short = 'h', long, value_name = "NAME")]
    hostname: Option<String>,
    /// NIS domain name of the container
    #[arg(long, value_name = "NAME")]
    domainname: Option<String>,
    /// Line of /etc/hosts; host-gateway is the host's address
    #[arg(long, value_name = "NAME:IP")]
    add_host: Vec<String>,
    /// Servers on the host's loopback the container reaches as host.docker.internal: none, ports, or all [default: none]
    #[arg(long, value_name = "PORT,…")]
    host_access: Option<String>,
    /// Name server; none leaves /etc/resolv.conf to the image
    #[arg(long, value_name = "IP")]
    dns: Vec<String>,
    /// Domain to search names in
    #[arg(long, value_name = "DOMAIN")]
    dns_search: Vec<String>,
    /// Option of resolv.conf
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    dns_option: Vec<String>,
    /// Leave /etc/hosts to the image
    #[arg(long)]
    no_hosts: bool,
    /// Leave /etc/hostname to the image
    #[arg(long)]
    no_hostname: bool,
    /// Pass the caller's proxy variables on (default true)
    #[arg(long, value_name = "BOOL")]
    http_proxy: Option<bool>,
}

impl NetworkFlags {
    pub(crate) fn apply(self, spec: &mut NetworkSpec) -> Result<(), UsageError> {
        let Self {
            network,
            ip,
            ip6,
            mac_address,
            network_alias,
            link,
            publish,
            publish_all,
            expose,
            hostname,
            domainname,
            add_host,
            host_access,
            dns,
            dns_search,
            dns_option,
            no_hosts,
            no_hostname,
            http_proxy,
        } = self;
        if !network.is_empty() {
            spec.modes = NetworkMode::parse_all(&network)
                .map_err(|reason| UsageError::value("--network", &network.join(","), reason))?;
        }
        place(&mut spec.modes, Place { ip, ip6, mac_address, aliases: network_alias })?;
        for text in &link {
            if text.is_empty() || text.starts_with(':') {
                return Err(UsageError::value("--link", text, "expected CONTAINER[:ALIAS]"));
            }
        }
        if !link.is_empty() && spec.modes.iter().any(|mode| !matches!(mode, NetworkMode::Default(_) | NetworkMode::Named(_))) {
            return Err(UsageError::conflict("--link", "--network none, host, container or ns"));
        }
        spec.links = link;
        let mut ports = Vec::new();
        for text in publish {
            ports.extend(Port::parse_list(&text).map_err(|reason| UsageError::value("--publish", &text, reason))?);
        }
        spec.publish = check_ports(&ports).map_err(|conflict| UsageError::new(format!("--publish: {conflict}")))?;
        spec.publish_all = publish_all;
        spec.expose = expose.iter().map(|text| parse("--expose", text)).collect::<Result<_, _>>()?;
        let hostname = hostname.filter(|name| !name.is_empty());
        if let Some(name) = hostname.as_deref().filter(|name| !is_host_name(name)) {
            return Err(UsageError::value("--hostname", name, "letters, digits, '-' and '.', 64 at most"));
        }
        spec.hostname = hostname;
        spec.domainname = domainname.filter(|name| !name.is_empty());
        spec.add_hosts = add_host.iter().map(|text| host_line(text)).collect::<Result<_, _>>()?;
        if let Some(text) = host_access {
            spec.host_access = text.parse().map_err(|reason| UsageError::value("--host-access", &text, reason))?;
        }
        for server in &dns {
            if server != "none" && server.parse::<IpAddr>().is_err() {
                return Err(UsageError::value("--dns", server, "expected an IP address, or none"));
            }
        }
        if no_hosts && !spec.add_hosts.is_empty() {
            return Err(UsageError::conflict("--no-hosts", "--add-host"));
        }
        spec.dns = dns;
        spec.dns_search = dns_search;
        spec.dns_options = dns_option;
        // They are the other container's.
        if spec.modes.iter().any(|mode| matches!(mode, NetworkMode::Container(_))) {
            let given = [
                ("--hostname", spec.hostname.is_some()),
                ("--domainname", spec.domainname.is_some()),
                ("--add-host", !spec.add_hosts.is_empty()),
                ("--dns", !spec.dns.is_empty()),
                ("--dns-search", !spec.dns_search.is_empty()),
                ("--dns-option", !spec.dns_options.is_empty()),
            ];
            if let Some((flag, _)) = given.into_iter().find(|(_, given)| *given) {
                return Err(UsageError::conflict(flag, "--network container"));
            }
        }
        spec.no_hosts = no_hosts;
        spec.no_hostname = no_hostname;
        spec.http_proxy = http_proxy;
        Ok(())
    }
}

/// What a container wants to be on its user networks.
struct Place {
    ip: Option<Ipv4Addr>,
    ip6: Option<Ipv6Addr>,
    mac_address: Option<String>,
    aliases: Vec<String>,
}

/// Writes it into the networks of a container. An address goes with one network.
fn place(modes: &mut [NetworkMode], place: Place) -> Result<(), UsageError> {
    let Place { ip, ip6, mac_address, aliases } = place;
    let mac = mac_address
        .map(|text| parse_mac("mac-address", &text).map_err(|reason| UsageError::value("--mac-address", &text, reason)))
        .transpose()?;
    let flag = [("--ip", ip.is_some()), ("--ip6", ip6.is_some()), ("--mac-address", mac.is_some()), ("--network-alias", !aliases.is_empty())];
    let Some((flag, _)) = flag.into_iter().find(|(_, given)| *given) else { return Ok(()) };
    let named = modes.iter_mut().find_map(|mode| if let NetworkMode::Named(list) = mode { Some(list) } else { None });
    let Some(named) = named else { return Err(UsageError::new(format!("{flag} needs a user network: --network NAME"))) };
    for attachment in named.iter_mut() {
        attachment.aliases.extend(aliases.iter().cloned());
    }
    match named.as_mut_slice() {
        _ if flag == "--network-alias" => Ok(()),
        [one] => {
            (one.ip, one.ip6, one.mac) = (ip.or(one.ip), ip6.or(one.ip6), mac.or(one.mac));
            Ok(())
        }
        _ => Err(UsageError::new(format!("{flag} can be given with one network only; write --network NAME:ip=…,mac=… for several"))),
    }
}

fn is_host_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        && !name.starts_with(['-', '.'])
}

/// `NAME[;NAME]:IP`, docker's newer `NAME=IP` too; an IPv6 address may stand in brackets.
fn host_line(text: &str) -> Result<String, UsageError> {
    let bad = || UsageError::value("--add-host", text, "expected NAME:IP");
    let (names, address) = text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(bad)?;
    let address = address.trim_start_matches('[').trim_end_matches(']');
    let known = address == "host-gateway" || address.parse::<IpAddr>().is_ok();
    if !known || names.is_empty() || names.split(';').any(|name| name.is_empty() || name.contains(char::is_whitespace)) {
        return Err(bad());
    }
    Ok(format!("{names}:{address}"))
}
