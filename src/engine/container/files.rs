//! The files a container gets from us: /etc/resolv.conf, /etc/hosts, /etc/hostname, written anew at each start.

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;

use crate::engine::{Engine, Error};
use crate::engine::network::wire::{full_name, host_address};
use crate::network::files::NameFiles;
use crate::network::dns::{DnsInput, DnsMode, resolv_conf};
use crate::network::host_access;
use crate::network::pasta;
use crate::network::hosts::{HostsInput, hosts, hostname};
use crate::network::slirp::SlirpNet;
use crate::spec::host_entry::HostEntry;
use crate::spec::network::NetworkMode;
use crate::state::Containers;
use crate::state::record::ContainerRecord;

/// Writes them and returns (path on the host, path in the container) of each.
/// Those of a container on user networks are written again by its monitor, when it has addresses there.
pub(super) fn write(
    engine: &Engine,
    record: &ContainerRecord,
    network: &NetworkMode,
    names: Option<&NameFiles>,
) -> Result<Vec<(String, String)>, Error> {
    let spec = &record.spec.network;
    let (dir, shared) = match network {
        // Who shares a network shares its names.
        NetworkMode::Container(name) => {
            (engine.paths.container(&Containers::new(&engine.paths).find(name)?), true)
        }
        _ => (engine.paths.container(&record.id), false),
    };
    let mut files = Vec::with_capacity(3);
    let mut add = |name: &str, text: Option<String>| -> Result<(), Error> {
        let path = dir.join(name);
        match text {
            Some(text) if !shared => {
                std::fs::write(&path, text).map_err(Error::io("write", &path))?;
                // For all users of the container, and changed by its root alone, whatever this process's mask.
                std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).ok();
            }
            _ => {}
        }
        if path.exists() {
            files.push((path.display().to_string(), format!("/etc/{name}")));
        }
        Ok(())
    };
    if !spec.no_hostname {
        add("hostname", Some(hostname(&record.config.hostname)))?;
    }
    if !spec.no_hosts {
        add("hosts", Some(hosts_text(record, network, names)?))?;
    }
    let dns = if spec.dns.is_empty() { &engine.config.network.dns } else { &spec.dns };
    if dns.iter().all(|server| server != "none") {
        add("resolv.conf", Some(resolv_text(engine, record, network, dns)?))?;
    }
    Ok(files)
}

fn slirp(network: &NetworkMode) -> Option<SlirpNet> {
    match network {
        NetworkMode::Default(options) => Some(SlirpNet::new(options, false)),
        NetworkMode::Pasta(_) => Some(pasta::network(host_access::own_address())),
        _ => None,
    }
}

fn hosts_text(record: &ContainerRecord, network: &NetworkMode, names: Option<&NameFiles>) -> Result<String, Error> {
    let extra = names
        .map_or(&record.spec.network.add_hosts, |names| &names.extra)
        .iter()
        .map(|text| text.parse::<HostEntry>().map_err(|error| Error::Usage(error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let base = matches!(network, NetworkMode::Host).then(|| std::fs::read_to_string("/etc/hosts").unwrap_or_default());
    let net = slirp(network);
    let addresses: Vec<IpAddr> = net.iter().map(|net| IpAddr::V4(net.address)).collect();
    let (gateway, host_names) = host_address(network, &record.spec.network.host_access);
    hosts(&HostsInput {
        base: base.as_deref(),
        addresses: &addresses,
        hostname: &full_name(record),
        name: &record.name,
        extra: &extra,
        gateway,
        host_names,
    })
    .map_err(|error| Error::Usage(error.to_string()))
}

fn resolv_text(engine: &Engine, record: &ContainerRecord, network: &NetworkMode, dns: &[String]) -> Result<String, Error> {
    let servers = dns
        .iter()
        .map(|text| text.parse::<IpAddr>().map_err(|_| Error::Usage(format!("invalid --dns \"{text}\": not an IP address"))))
        .collect::<Result<Vec<_>, _>>()?;
    let or = |own: &[String], other: &[String]| if own.is_empty() { other.to_vec() } else { own.to_vec() };
    let config = &engine.config.network;
    let search = or(&record.spec.network.dns_search, &config.dns_search);
    let options = or(&record.spec.network.dns_options, &config.dns_options);
    let mode = match slirp(network) {
        Some(net) => DnsMode::Forwarded { server: IpAddr::V4(net.dns), ipv6: net.ipv6 },
        None if matches!(network, NetworkMode::Host) => DnsMode::Host,
        None => DnsMode::None,
    };
    let host = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    Ok(resolv_conf(&DnsInput { host: &host, mode, servers: &servers, search: &search, options: &options }))
}
