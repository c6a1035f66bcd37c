//! `--link`: another container by an alias, as docker had it: entries of /etc/hosts and variables that tell of its ports.
//!
//! Both must be on one network. Where they are not, both are put on one made for this, [`NETWORK`], also when the other
//! one was started on the default network.

use std::net::IpAddr;

use crate::engine::{Engine, Error};
use crate::network::files::HostsLink;
use crate::network::store::{NetworkStoreError, Networks, NewNetwork};
use crate::spec::Expose;
use crate::spec::network::Attachment;
use crate::state::Containers;
use crate::state::lease::Lease;
use crate::state::record::ContainerRecord;

use super::connect;

/// The network of linked containers that have none in common.
pub(super) const NETWORK: &str = "kelp-links";

/// What links come to.
#[derive(Debug, Default)]
pub(super) struct Linked {
    /// Names in /etc/hosts.
    pub(super) hosts: Vec<HostsLink>,
    /// Variables.
    pub(super) env: Vec<String>,
}

/// `NAME[:ALIAS]`.
fn parse(text: &str) -> (&str, &str) {
    let (name, alias) = text.split_once(':').unwrap_or((text, text));
    let name = name.trim_start_matches('/');
    (name, if alias.is_empty() { name } else { alias.trim_start_matches('/') })
}

/// Writes links down by id, so that they follow another name. What is not there is said at the start.
pub(in crate::engine) fn fix(engine: &Engine, links: &mut [String]) {
    let containers = Containers::new(&engine.paths);
    for link in links {
        let (name, alias) = parse(link);
        if let Ok(id) = containers.find(name) {
            // By an id it would have no name that means anything.
            let alias = if id.starts_with(alias) { containers.read(&id).map_or_else(|_| alias.to_owned(), |record| record.name) } else { alias.to_owned() };
            *link = format!("{id}:{alias}");
        }
    }
}

/// Connects the containers that `record` is linked to, adds the network both need to `wanted`, and says what to tell of
/// them.
pub(super) fn resolve(engine: &Engine, record: &ContainerRecord, wanted: &mut Vec<Attachment>) -> Result<Linked, Error> {
    let mut linked = Linked::default();
    let networks = Networks::new(&engine.paths);
    for text in &record.spec.network.links {
        let (name, alias) = parse(text);
        let entry = Containers::new(&engine.paths).get(name)?;
        let target = &entry.record;
        let name = &target.name;
        let not_running = || Error::Conflict(format!("cannot link to container {name}: it is not running; start it first"));
        let run = entry.status.run().ok_or_else(not_running)?;
        let mut lease = None;
        for attachment in wanted.iter() {
            let id = networks.get(&attachment.network)?.id;
            lease = lease.or_else(|| run.networks.iter().find(|lease| lease.network_id == id).cloned());
        }
        let lease = match lease {
            Some(lease) => lease,
            None => {
                let lease = join(engine, &networks, target)?;
                if wanted.iter().all(|attachment| attachment.network != lease.network) {
                    wanted.push(Attachment { network: lease.network.clone(), ..Attachment::default() });
                }
                lease
            }
        };
        let ip = address(&lease).ok_or_else(|| Error::Network(format!("container {name} has no address on network {}", lease.network)))?;
        linked.hosts.push(hosts_link(target, alias, None));
        linked.env.extend(variables(record, target, alias, ip));
    }
    for attachment in wanted.iter().filter(|attachment| !attachment.links.is_empty()) {
        linked.hosts.extend(on_network(engine, attachment, &networks.get(&attachment.network)?.id));
    }
    Ok(linked)
}

fn hosts_link(target: &ContainerRecord, alias: &str, network: Option<String>) -> HostsLink {
    let short = target.id.get(..12).unwrap_or(&target.id);
    let mut names = vec![alias.to_owned(), short.to_owned(), target.name.clone()];
    names.dedup();
    HostsLink { id: target.id.clone(), names, network }
}

/// The links of `network connect --link`: for names only, so that the other one need not run, or be there any more.
pub(super) fn on_network(engine: &Engine, attachment: &Attachment, network: &str) -> Vec<HostsLink> {
    let containers = Containers::new(&engine.paths);
    let links = attachment.links.iter().filter_map(|text| {
        let (name, alias) = parse(text);
        let target = containers.find(name).and_then(|id| containers.read(&id)).ok()?;
        Some(hosts_link(&target, alias, Some(network.to_owned())))
    });
    links.collect()
}

/// Checks that the containers of `network connect --link` are there, and writes them down by id.
pub(super) fn check(engine: &Engine, links: &mut [String]) -> Result<(), Error> {
    for text in links.iter() {
        Containers::new(&engine.paths).find(parse(text).0)?;
    }
    fix(engine, links);
    Ok(())
}

/// Links as they were typed: `NAME:ALIAS`.
pub(in crate::engine) fn shown(engine: &Engine, links: &[String]) -> Vec<String> {
    let name = |id: &str| Containers::new(&engine.paths).read(id).map_or_else(|_| id.to_owned(), |record| record.name);
    links.iter().map(|text| parse(text)).map(|(id, alias)| format!("{}:{alias}", name(id))).collect()
}

fn address(lease: &Lease) -> Option<IpAddr> {
    lease.ip.map(IpAddr::from).or(lease.ip6.map(IpAddr::from))
}

/// Puts the container on the network of links, if it is not there yet.
fn join(engine: &Engine, networks: &Networks, target: &ContainerRecord) -> Result<Lease, Error> {
    let new = NewNetwork {
        name: Some(NETWORK.to_owned()),
        labels: [("kelp.links".to_owned(), "true".to_owned())].into(),
        ..NewNetwork::default()
    };
    match networks.create(&new, crate::format::time::now()) {
        Ok(_) | Err(NetworkStoreError::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let id = networks.get(NETWORK)?.id;
    let on = |engine: &Engine| -> Result<Option<Lease>, Error> {
        let status = Containers::new(&engine.paths).status(&target.id)?;
        let leases = status.run().map(|run| run.networks.clone()).unwrap_or_default();
        Ok(leases.into_iter().find(|lease| lease.network_id == id))
    };
    if let Some(lease) = on(engine)? {
        return Ok(lease);
    }
    let attachment = Attachment { network: NETWORK.to_owned(), ..Attachment::default() };
    match connect::connect(engine, &target.id, &attachment) {
        // Somebody else was faster.
        Ok(()) | Err(Error::Conflict(_)) => {}
        Err(error) => return Err(error),
    }
    on(engine)?.ok_or_else(|| Error::Conflict(format!("cannot link to container {}: it is not running; start it first", target.name)))
}

/// docker's variables of a link: `ALIAS_PORT…` for each port the other exposes, `ALIAS_NAME`, `ALIAS_ENV_…`.
fn variables(record: &ContainerRecord, target: &ContainerRecord, alias: &str, ip: IpAddr) -> Vec<String> {
    let prefix = alias.to_uppercase().replace(['-', '.'], "_");
    let mut ports: Vec<(u16, String)> = Vec::new();
    for expose in target.config.exposed.iter().filter_map(|text| text.parse::<Expose>().ok()) {
        ports.extend((expose.container.first..=expose.container.last).map(|port| (port, expose.protocol.to_string())));
    }
    for port in &target.spec.network.publish {
        ports.extend(port.mappings().map(|port| (port.container, port.protocol.to_string())));
    }
    // tcp before udp, then by number: the first is the one of ALIAS_PORT.
    ports.sort_by(|one, other| (&one.1, one.0).cmp(&(&other.1, other.0)));
    ports.dedup();
    let host = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
    let mut all = Vec::new();
    if let Some((port, protocol)) = ports.first() {
        all.push(format!("{prefix}_PORT={protocol}://{host}:{port}"));
    }
    for (port, protocol) in &ports {
        let key = format!("{prefix}_PORT_{port}_{}", protocol.to_uppercase());
        all.extend([
            format!("{key}={protocol}://{host}:{port}"),
            format!("{key}_ADDR={ip}"),
            format!("{key}_PORT={port}"),
            format!("{key}_PROTO={protocol}"),
        ]);
    }
    all.push(format!("{prefix}_NAME=/{}/{alias}", record.name));
    for entry in &target.config.env {
        let key = entry.split('=').next().unwrap_or_default();
        if !matches!(key, "HOME" | "PATH" | "HOSTNAME" | "TERM" | "container") {
            all.push(format!("{prefix}_ENV_{entry}"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_their_aliases() {
        assert_eq!(parse("db"), ("db", "db"));
        assert_eq!(parse("some-db:mysql"), ("some-db", "mysql"));
        assert_eq!(parse("/db:/web/db"), ("db", "web/db"));
    }

    #[test]
    fn variables_are_dockers() {
        let mut target = ContainerRecord::default();
        target.config.exposed = vec!["5432/tcp".into(), "5353/udp".into(), "80/tcp".into()];
        target.config.env = vec!["PATH=/bin".into(), "POSTGRES_PASSWORD=x=y".into()];
        let record = ContainerRecord { name: "web".into(), ..ContainerRecord::default() };
        let all = variables(&record, &target, "some-db", "10.89.0.2".parse().unwrap());
        for line in [
            "SOME_DB_PORT=tcp://10.89.0.2:80",
            "SOME_DB_PORT_5432_TCP=tcp://10.89.0.2:5432",
            "SOME_DB_PORT_5432_TCP_ADDR=10.89.0.2",
            "SOME_DB_PORT_5432_TCP_PORT=5432",
            "SOME_DB_PORT_5432_TCP_PROTO=tcp",
            "SOME_DB_PORT_5353_UDP=udp://10.89.0.2:5353",
            "SOME_DB_NAME=/web/some-db",
            "SOME_DB_ENV_POSTGRES_PASSWORD=x=y",
        ] {
            assert!(all.iter().any(|have| have == line), "{line} is not in {all:?}");
        }
        assert!(!all.iter().any(|have| have.contains("PATH")));
    }
}
