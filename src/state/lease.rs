//! The addresses a container has, or had, on user networks: `leases.json` in its directory, written by its monitor
//! whenever they change. While the container exists they are kept for it, so that it comes back with them after a
//! restart of itself, of what holds the networks, or of the machine.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Paths, StateError, files};

/// One network a container is on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lease {
    /// The network's name.
    pub network: String,
    /// The network's id.
    pub network_id: String,
    /// The link inside.
    pub interface: String,
    /// Hardware address, `02:42:…`.
    pub mac: String,
    /// IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// Prefix length of its network.
    pub prefix: u8,
    /// The IPv4 gateway; none on networks without a way out.
    pub gateway: Option<Ipv4Addr>,
    /// IPv6 address.
    pub ip6: Option<Ipv6Addr>,
    /// Prefix length of its network.
    pub prefix6: u8,
    /// The IPv6 gateway.
    pub gateway6: Option<Ipv6Addr>,
    /// Name servers of the network: the addresses of its gateway, also where that leads nowhere; none with
    /// `--disable-dns`.
    pub name_servers: Vec<std::net::IpAddr>,
    /// Further names on this network.
    pub aliases: Vec<String>,
}

/// The name of the file.
pub const FILE: &str = "leases.json";

fn path(dir: &Path) -> std::path::PathBuf {
    dir.join(FILE)
}

/// What a container has or had; nothing when there is no record, or a damaged one.
pub fn read(paths: &Paths, id: &str) -> Vec<Lease> {
    files::read_json(&path(&paths.container(id))).ok().flatten().unwrap_or_default()
}

/// Records what a container has.
///
/// # Errors
/// A full disk, or a container that has just gone.
pub fn write(paths: &Paths, id: &str, leases: &[Lease]) -> Result<(), StateError> {
    files::write_json(&path(&paths.container(id)), &leases)
}

/// Takes one network out of the record of a container that does not run.
///
/// # Errors
/// A full disk.
pub fn forget(paths: &Paths, id: &str, network: &str) -> Result<(), StateError> {
    let mut leases = read(paths, id);
    let before = leases.len();
    leases.retain(|lease| lease.network_id != network);
    if leases.len() == before { Ok(()) } else { write(paths, id, &leases) }
}

/// The leases of all containers, with their ids.
pub fn all(paths: &Paths) -> Vec<(String, Vec<Lease>)> {
    let ids = super::Containers::new(paths).ids().unwrap_or_default();
    ids.into_iter().map(|id| (read(paths, &id), id)).filter(|(leases, _)| !leases.is_empty()).map(|(leases, id)| (id, leases)).collect()
}
