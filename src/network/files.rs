//! /etc/hosts and /etc/resolv.conf of a container whose networks come and go: what they are made from, and writing them
//! into the files that are mounted in it. Their content is the business of [`super::hosts`] and [`super::dns`].

use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::dns::{DnsInput, DnsMode, resolv_conf};
use super::hosts::{HostsInput, hosts};
use super::resolver::DOMAIN;
use crate::spec::host_entry::HostEntry;
use crate::state::Paths;
use crate::state::lease::{self, Lease};

/// What both files are made from, but for the networks of the moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFiles {
    /// The file mounted at /etc/hosts; none with `--no-hosts`.
    pub hosts: Option<PathBuf>,
    /// The file mounted at /etc/resolv.conf; none with `--dns none`.
    pub resolv: Option<PathBuf>,
    /// `--add-host`, as typed.
    pub extra: Vec<String>,
    /// Containers it is linked to, whose addresses may change.
    #[serde(default)]
    pub links: Vec<HostsLink>,
    /// Host name.
    pub hostname: String,
    /// The container's name.
    pub name: String,
    /// An address at which the host answers.
    pub gateway: Option<IpAddr>,
    /// Servers on the host's loopback answer there too, so the host's names lead there.
    pub host_names: bool,
    /// Its address on the default network.
    pub address: Option<IpAddr>,
    /// The name server of the default network, and whether IPv6 leads outside there.
    pub server: Option<(IpAddr, bool)>,
    /// `--dns`.
    pub servers: Vec<IpAddr>,
    /// `--dns-search`.
    pub search: Vec<String>,
    /// `--dns-option`.
    pub options: Vec<String>,
}

/// Names of another container in /etc/hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostsLink {
    /// Its full id.
    pub id: String,
    /// What it is called.
    pub names: Vec<String>,
    /// Id of the network it is linked on; none for the first that both are on.
    pub network: Option<String>,
}

impl HostsLink {
    /// The line of /etc/hosts, as `--add-host` has it: for a container with these leases, the linked one having those. None
    /// while there is no network that both are on.
    fn line(&self, leases: &[Lease], other: &[Lease]) -> Option<String> {
        let own = leases.iter().filter(|own| self.network.as_ref().is_none_or(|network| own.network_id == *network));
        let there = own.into_iter().find_map(|own| other.iter().find(|lease| lease.network_id == own.network_id))?;
        let ip = there.ip.map(IpAddr::from).or(there.ip6.map(IpAddr::from))?;
        Some(format!("{}:{ip}", self.names.join(";")))
    }
}

/// The name server of the holder's slirp4netns, for networks that have none of their own.
const FALLBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 2, 3));

impl NameFiles {
    /// Writes both files for a container on these networks. They keep their inodes: a mounted file cannot be replaced.
    ///
    /// # Errors
    /// The first file that cannot be written, or an entry that cannot be made.
    pub fn write(&self, paths: &Paths, leases: &[Lease], host: &str) -> Result<(), String> {
        let put = |path: &Path, text: String| {
            let written = std::fs::write(path, text);
            // All users of the container read them, whatever the mask of who wrote them first.
            if written.is_ok() {
                // One that the container gave to somebody else is left as it is.
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).ok();
            }
            written.map_err(|error| format!("cannot write {}: {error}", path.display()))
        };
        if let Some(path) = &self.hosts {
            let links = self.links.iter().filter_map(|link| link.line(leases, &lease::read(paths, &link.id)));
            put(path, self.hosts_text(leases, links.collect())?)?;
        }
        if let Some(path) = &self.resolv {
            put(path, self.resolv_text(leases, host))?;
        }
        Ok(())
    }

    fn hosts_text(&self, leases: &[Lease], links: Vec<String>) -> Result<String, String> {
        let mut addresses: Vec<IpAddr> = self.address.into_iter().collect();
        for lease in leases {
            addresses.extend(lease.ip.map(IpAddr::from));
            addresses.extend(lease.ip6.map(IpAddr::from));
        }
        let extra = self
            .extra
            .iter()
            .chain(&links)
            .map(|text| text.parse::<HostEntry>().map_err(|error| error.to_string()))
            .collect::<Result<Vec<_>, _>>()?;
        hosts(&HostsInput {
            base: None,
            addresses: &addresses,
            hostname: &self.hostname,
            name: &self.name,
            extra: &extra,
            gateway: self.gateway,
            host_names: self.host_names,
        })
        .map_err(|error| error.to_string())
    }

    fn resolv_text(&self, leases: &[Lease], host: &str) -> String {
        let ours: Vec<IpAddr> = leases.iter().flat_map(|lease| lease.name_servers.iter().copied()).collect();
        let search: Vec<String> = if ours.is_empty() || self.search.iter().any(|domain| domain == ".") {
            self.search.clone()
        } else {
            // Names of containers are tried before the domains of the host are, which may ask far away.
            let host_search = super::dns::search_of(host);
            let others = if self.search.is_empty() { &host_search } else { &self.search };
            std::iter::once(DOMAIN.to_owned()).chain(others.iter().cloned()).collect()
        };
        let mode = match self.server {
            Some((server, ipv6)) => DnsMode::Forwarded { server, ipv6 },
            None if leases.iter().all(|lease| lease.gateway.is_none() && lease.gateway6.is_none()) => DnsMode::None,
            None => DnsMode::Forwarded { server: FALLBACK, ipv6: leases.iter().any(|lease| lease.gateway6.is_some()) },
        };
        // The networks' name servers know the containers and ask `--dns` for the rest.
        let servers = if ours.is_empty() { &self.servers } else { &ours };
        let servers: Vec<IpAddr> = servers.iter().copied().take(3).collect();
        resolv_conf(&DnsInput { host, mode, servers: &servers, search: &search, options: &self.options })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files() -> NameFiles {
        NameFiles { hostname: "h".into(), name: "web".into(), ..NameFiles::default() }
    }

    fn lease(ip: &str, server: Option<&str>) -> Lease {
        Lease {
            ip: Some(ip.parse().unwrap()),
            gateway: Some("10.89.0.1".parse().unwrap()),
            name_servers: server.map(|ip| ip.parse().unwrap()).into_iter().collect(),
            ..Lease::default()
        }
    }

    const HOST: &str = "search lan\nnameserver 192.168.1.1\n";

    #[test]
    fn every_network_has_a_line() {
        let text = files().hosts_text(&[lease("10.89.0.2", None), lease("10.89.1.2", None)], Vec::new()).unwrap();
        assert!(text.ends_with("10.89.0.2\th web\n10.89.1.2\th web\n"), "{text}");
        let text = files().hosts_text(&[], Vec::new()).unwrap();
        assert!(text.ends_with("127.0.0.1\th web\n"), "{text}");
        let entry = NameFiles { extra: vec!["db:10.89.0.9".into()], ..files() };
        assert!(entry.hosts_text(&[], Vec::new()).unwrap().starts_with("10.89.0.9\tdb\n"));
    }

    #[test]
    fn links_are_of_a_network_both_are_on() {
        let on = |network: &str, ip: &str| Lease { network_id: network.into(), ..lease(ip, None) };
        let link = HostsLink { id: "x".into(), names: vec!["db".into(), "mysql".into()], network: None };
        let own = [on("a", "10.89.0.2"), on("b", "10.89.1.2")];
        assert_eq!(link.line(&own, &[on("b", "10.89.1.9"), on("a", "10.89.0.9")]).unwrap(), "db;mysql:10.89.0.9");
        assert_eq!(link.line(&own, &[on("c", "10.89.2.9")]), None);
        let one = HostsLink { network: Some("b".into()), ..link };
        assert_eq!(one.line(&own, &[on("b", "10.89.1.9"), on("a", "10.89.0.9")]).unwrap(), "db;mysql:10.89.1.9");
        assert_eq!(one.line(&own, &[on("a", "10.89.0.9")]), None);
        assert!(files().hosts_text(&own, vec!["db;mysql:10.89.0.9".into()]).unwrap().starts_with("10.89.0.9\tdb mysql\n"));
    }

    #[test]
    fn names_are_asked_of_the_networks() {
        let text = files().resolv_text(&[lease("10.89.0.2", Some("10.89.0.1"))], HOST);
        assert_eq!(text, "search kelp.internal lan\nnameserver 10.89.0.1\n");
        let own = NameFiles { servers: vec!["9.9.9.9".parse().unwrap()], search: vec!["example".into()], ..files() };
        let text = own.resolv_text(&[lease("10.89.0.2", Some("10.89.0.1"))], HOST);
        assert_eq!(text, "search kelp.internal example\nnameserver 10.89.0.1\n");
        assert_eq!(own.resolv_text(&[lease("10.89.0.2", None)], HOST), "search example\nnameserver 9.9.9.9\n");
        let text = files().resolv_text(&[lease("10.89.0.2", None)], HOST);
        assert_eq!(text, "search lan\nnameserver 10.0.2.3\nnameserver 192.168.1.1\n");
        let default = NameFiles { server: Some(("10.0.2.3".parse().unwrap(), false)), ..files() };
        assert_eq!(default.resolv_text(&[], HOST), "search lan\nnameserver 10.0.2.3\nnameserver 192.168.1.1\n");
        let text = default.resolv_text(&[lease("10.89.0.2", Some("10.89.0.1"))], HOST);
        assert_eq!(text, "search kelp.internal lan\nnameserver 10.89.0.1\n");
    }
}
