//! User networks as defined: one file each below `networks/` of the configuration directory.
//!
//! Owns names, the choice of addresses that are free, and what a definition may say. Nothing here touches the kernel's
//! network: a network comes to be in [`super::holder`] with its first container and is gone with its last.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::spec::subnet::{IpRange, StaticRoute, Subnet};
use crate::state::{Paths, StateError, files};

/// The format of [`NetworkRecord`].
const VERSION: u32 = 1;
/// Where subnets of networks that name none come from: one /24 after the other.
const POOL: Ipv4Addr = Ipv4Addr::new(10, 89, 0, 0);
/// How many of them there are.
const POOL_SIZE: u32 = 1024;
/// Names with a meaning of their own for `--network`.
const RESERVED: &[&str] = &["bridge", "default", "private", "host", "none", "container", "ns", "slirp4netns", "pasta"];
/// The networks slirp4netns makes for the holder; none of ours may be in them.
const OWN: [&str; 2] = ["10.0.2.0/24", "fd00::/64"];

/// Addresses that mean something to the system: this host, link-local, multicast, IPv4 in IPv6 (compatible, mapped, NAT64).
const SPECIAL: [&str; 10] = [
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
    "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "fe80::/10", "ff00::/8",
];

/// A user network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkRecord {
    /// Format version.
    pub version: u32,
    /// 64 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Nanoseconds since 1970, UTC.
    pub created: i64,
    /// Name of its bridge.
    pub interface: String,
    /// At most one of each family.
    pub subnets: Vec<SubnetRecord>,
    /// Addresses no container gets, since something else has them, by its name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, IpAddr>,
    /// Without a way out.
    pub internal: bool,
    /// Routes its containers have beside the default one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<StaticRoute>,
    /// Names are resolved at the gateway.
    pub dns: bool,
    /// Whom the resolver asks for what it does not know; empty is the host's servers.
    pub dns_servers: Vec<IpAddr>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--opt`, as typed.
    pub options: BTreeMap<String, String>,
}

/// The addresses of a network in one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubnetRecord {
    /// All of them.
    pub subnet: Subnet,
    /// The bridge's own.
    pub gateway: IpAddr,
    /// Those that containers get without asking for one; all others when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<IpRange>,
}

impl SubnetRecord {
    /// Whether a container may have this address: it is the subnet's, and not the gateway's.
    pub fn is_host(&self, ip: IpAddr) -> bool {
        let (first, last) = self.subnet.hosts();
        ip.is_ipv6() == self.subnet.is_ipv6() && ip >= first && ip <= last && ip != self.gateway
    }
}

impl NetworkRecord {
    /// Bytes of a packet, if said.
    pub fn mtu(&self) -> Option<u32> {
        let said = self.options.get("mtu").or_else(|| self.options.get("com.docker.network.driver.mtu"));
        said.and_then(|text| text.parse().ok())
    }

    /// Metric of the default route its containers have by it, if said.
    pub fn metric(&self) -> Option<u32> {
        self.options.get("metric").and_then(|text| text.parse().ok())
    }

    /// Whether it is a way out for its containers: an internal network has none, and one may be told not to be.
    pub fn has_default_route(&self) -> bool {
        !self.internal && self.options.get("no_default_route").is_none_or(|text| matches!(text.as_str(), "false" | "0"))
    }

    /// Whether containers of other networks are kept out. They are unless `isolate=false`.
    pub fn isolated(&self) -> bool {
        self.internal || self.options.get("isolate").is_none_or(|text| !matches!(text.as_str(), "false" | "0"))
    }

    /// The subnet of one family.
    pub fn subnet(&self, ipv6: bool) -> Option<&SubnetRecord> {
        self.subnets.iter().find(|subnet| subnet.subnet.is_ipv6() == ipv6)
    }

    /// Where its names are resolved.
    pub fn name_servers(&self) -> Vec<IpAddr> {
        if self.dns { self.subnets.iter().map(|subnet| subnet.gateway).collect() } else { Vec::new() }
    }
}

/// What `network create` asks for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NewNetwork {
    /// A free one is made up when absent.
    pub name: Option<String>,
    /// `bridge` is the one there is.
    pub driver: Option<String>,
    /// `--subnet`.
    pub subnets: Vec<Subnet>,
    /// `--gateway`, for the subnets they are in.
    pub gateways: Vec<IpAddr>,
    /// `--ip-range`, likewise.
    pub ranges: Vec<IpRange>,
    /// `--aux-address`, by name.
    pub reserved: BTreeMap<String, IpAddr>,
    /// `--ipv6`.
    pub ipv6: bool,
    /// `--ipv4=false`.
    pub no_ipv4: bool,
    /// `--internal`.
    pub internal: bool,
    /// `--route`.
    pub routes: Vec<StaticRoute>,
    /// `--disable-dns`.
    pub no_dns: bool,
    /// `--dns`.
    pub dns_servers: Vec<IpAddr>,
    /// `--interface-name`.
    pub interface: Option<String>,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--opt`.
    pub options: BTreeMap<String, String>,
}

/// Why a network could not be made, found or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkStoreError {
    /// None of that name or id.
    #[error("no such network: {0}")]
    NotFound(String),
    /// Several ids begin so.
    #[error("network id \"{0}\" is ambiguous: several begin with it")]
    Ambiguous(String),
    /// The name has been taken.
    #[error("cannot create network {name}: the name is already in use by network {id}")]
    Exists {
        /// The name.
        name: String,
        /// Who has it.
        id: String,
    },
    /// The name means something else.
    #[error("cannot use \"{0}\" as a network's name: it is one of the modes of --network")]
    Reserved(String),
    /// A value that cannot be.
    #[error("cannot create network {name}: {reason}")]
    Invalid {
        /// The network.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// All of the pool is in use.
    #[error("cannot create network {0}: no free subnet is left between 10.89.0.0 and 10.92.255.255; choose one with --subnet")]
    Full(String),
    /// The files.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The networks below one configuration directory.
#[derive(Debug)]
pub struct Networks {
    dir: PathBuf,
}

impl Networks {
    /// Those of these paths.
    pub fn new(paths: &Paths) -> Self {
        Self { dir: paths.config.join("networks") }
    }

    /// Keeps other commands from making, changing and removing networks until dropped.
    ///
    /// # Errors
    /// No room for the lock file.
    pub fn lock(&self) -> Result<File, NetworkStoreError> {
        files::make_private_dir(&self.dir)?;
        let path = self.dir.join(".lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(|source| StateError::Io { action: "open lock", path: path.clone(), source })?;
        match rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive)) {
            // A home whose file system has no locks does without.
            Ok(()) | Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(file),
            Err(errno) => Err(StateError::Io { action: "lock", path, source: errno.into() }.into()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }

    fn read(&self, name: &str) -> Result<NetworkRecord, NetworkStoreError> {
        let path = self.path(name);
        let record: NetworkRecord =
            files::read_json(&path)?.ok_or_else(|| NetworkStoreError::NotFound(name.to_owned()))?;
        if record.version > VERSION {
            let reason = format!("written by a newer kelp ({})", record.version);
            return Err(StateError::Damaged { path, reason }.into());
        }
        Ok(record)
    }

    /// All, by name; those that cannot be read as errors.
    ///
    /// # Errors
    /// A directory that cannot be listed.
    pub fn list(&self) -> Result<(Vec<NetworkRecord>, Vec<NetworkStoreError>), NetworkStoreError> {
        let entries = match fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), Vec::new())),
            Err(source) => return Err(StateError::Io { action: "list", path: self.dir.clone(), source }.into()),
        };
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
            let Some(name) = name.strip_suffix(".json").filter(|name| !name.starts_with('.')) else { continue };
            match self.read(name) {
                Ok(record) => found.push(record),
                Err(NetworkStoreError::NotFound(_)) => {}
                Err(error) => damaged.push(error),
            }
        }
        found.sort_by(|one: &NetworkRecord, other| one.name.cmp(&other.name));
        Ok((found, damaged))
    }

    /// The network of a name, an id or an unambiguous beginning of one. A name wins.
    ///
    /// # Errors
    /// None, or several; a damaged record.
    pub fn get(&self, text: &str) -> Result<NetworkRecord, NetworkStoreError> {
        if !is_name(text) {
            return Err(NetworkStoreError::NotFound(text.to_owned()));
        }
        match self.read(text) {
            Err(NetworkStoreError::NotFound(_)) if text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {}
            other => return other,
        }
        let mut found = self.list()?.0.into_iter().filter(|record| record.id.starts_with(text));
        let first = found.next().ok_or_else(|| NetworkStoreError::NotFound(text.to_owned()))?;
        if found.next().is_some() {
            return Err(NetworkStoreError::Ambiguous(text.to_owned()));
        }
        Ok(first)
    }

    /// Makes a network. Its record is there when this returns.
    ///
    /// # Errors
    /// A name that is taken, addresses that are in use or contradict each other, options that mean nothing.
    pub fn create(&self, new: &NewNetwork, created: i64) -> Result<NetworkRecord, NetworkStoreError> {
        let _lock = self.lock()?;
        let (others, _) = self.list()?;
        let name = match &new.name {
            Some(name) => name.clone(),
            None => (1..).map(|n| format!("kelp{n}")).find(|name| others.iter().all(|o| o.name != *name)).unwrap_or_default(),
        };
        if RESERVED.contains(&name.as_str()) {
            return Err(NetworkStoreError::Reserved(name));
        }
        let invalid = |reason: String| NetworkStoreError::Invalid { name: name.clone(), reason };
        if !is_name(&name) {
            return Err(invalid("a name is made of letters, digits, '.', '_' and '-', and begins with a letter or digit".into()));
        }
        // Read, not looked up in the list: a damaged record holds its name too.
        match self.read(&name) {
            Err(NetworkStoreError::NotFound(_)) => {}
            Ok(other) => return Err(NetworkStoreError::Exists { name, id: other.id }),
            Err(error) => return Err(error),
        }
        if let Some(driver) = new.driver.as_deref().filter(|driver| *driver != "bridge") {
            return Err(invalid(format!("the driver \"{driver}\" is not supported: bridge is the one there is")));
        }
        check_options(&new.options).map_err(&invalid)?;
        let id = random_id().map_err(&invalid)?;
        let subnets = choose_subnets(new, &name, &others)?;
        if let Some(stray) = new.routes.iter().find(|route| subnets.iter().all(|subnet| !subnet.subnet.contains(route.gateway))) {
            return Err(invalid(format!("the gateway {} of the route to {} is not in its subnet", stray.gateway, stray.destination)));
        }
        if let Some((_, stray)) = new.reserved.iter().find(|(_, ip)| !subnets.iter().any(|subnet| subnet.is_host(**ip))) {
            return Err(invalid(format!("the auxiliary address {stray} is not one of its subnet's that a container could have")));
        }
        let interface = interface(new, &id, &others).map_err(&invalid)?;
        let record = NetworkRecord {
            version: VERSION,
            id,
            name: name.clone(),
            created,
            interface,
            subnets,
            reserved: new.reserved.clone(),
            internal: new.internal,
            routes: new.routes.clone(),
            dns: !new.no_dns,
            dns_servers: new.dns_servers.clone(),
            labels: new.labels.clone(),
            options: new.options.clone(),
        };
        self.write(&record)?;
        Ok(record)
    }

    /// Replaces the record of a network. The caller holds [`Networks::lock`].
    ///
    /// # Errors
    /// A full disk.
    pub fn write(&self, record: &NetworkRecord) -> Result<(), NetworkStoreError> {
        Ok(files::write_json(&self.path(&record.name), record)?)
    }

    /// Removes a network's record. The caller holds [`Networks::lock`] and knows that nobody uses it.
    ///
    /// # Errors
    /// What the file system says.
    pub fn remove(&self, name: &str) -> Result<(), NetworkStoreError> {
        let path = self.path(name);
        fs::remove_file(&path).map_err(|source| StateError::Io { action: "remove", path, source }.into())
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= 128
        && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn random_id() -> Result<String, String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn interface(new: &NewNetwork, id: &str, others: &[NetworkRecord]) -> Result<String, String> {
    let said = new.interface.as_ref().or_else(|| new.options.get("com.docker.network.bridge.name"));
    let Some(name) = said else { return Ok(format!("br-{}", &id[..10])) };
    let good = (1..=15).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !good || matches!(name.as_str(), "lo" | "tap0" | "." | "..") || name.starts_with("veth") {
        return Err(format!("\"{name}\" cannot be the name of its bridge: 15 letters, digits, '.', '_' and '-' at most"));
    }
    match others.iter().find(|other| other.interface == *name) {
        Some(other) => Err(format!("its bridge cannot be called \"{name}\": that of network {} is", other.name)),
        None => Ok(name.clone()),
    }
}

/// What a network may be told. What changes nothing here is taken, what would have to change something is not.
fn check_options(options: &BTreeMap<String, String>) -> Result<(), String> {
    for (key, value) in options {
        let good = match key.as_str() {
            "mtu" | "com.docker.network.driver.mtu" => value.parse().is_ok_and(|mtu: u32| (1280..=65520).contains(&mtu)),
            "metric" => value.parse::<u32>().is_ok(),
            "no_default_route" => matches!(value.as_str(), "true" | "false" | "1" | "0"),
            "isolate" => matches!(value.as_str(), "true" | "false" | "strict" | "1" | "0"),
            "com.docker.network.bridge.name" => true,
            "com.docker.network.bridge.enable_icc" | "com.docker.network.bridge.enable_ip_masquerade" => value == "true",
            "com.docker.network.bridge.default_bridge" => value == "false",
            _ => return Err(format!("unknown option \"{key}\": there are mtu, isolate, metric and no_default_route")),
        };
        if !good {
            let want = match key.as_str() {
                "mtu" | "com.docker.network.driver.mtu" => "a number of bytes from 1280 to 65520",
                "isolate" | "no_default_route" => "true or false",
                "metric" => "a number",
                "com.docker.network.bridge.default_bridge" => "false",
                _ => "true, the one way kelp has",
            };
            return Err(format!("option {key}={value} is not supported: it must be {want}"));
        }
    }
    Ok(())
}

fn choose_subnets(new: &NewNetwork, name: &str, others: &[NetworkRecord]) -> Result<Vec<SubnetRecord>, NetworkStoreError> {
    let invalid = |reason: String| NetworkStoreError::Invalid { name: name.to_owned(), reason };
    let mut chosen = new.subnets.clone();
    chosen.sort_by_key(|subnet| subnet.is_ipv6());
    let has = |chosen: &[Subnet], ipv6: bool| chosen.iter().filter(|subnet| subnet.is_ipv6() == ipv6).count();
    if has(&chosen, false) > 1 || has(&chosen, true) > 1 {
        return Err(invalid("a network has at most one subnet of each family".into()));
    }
    if new.no_ipv4 && has(&chosen, false) > 0 {
        return Err(invalid("an IPv4 subnet contradicts --ipv4=false".into()));
    }
    if new.no_ipv4 && has(&chosen, true) == 0 && !new.ipv6 {
        return Err(invalid("without IPv4 it needs --ipv6".into()));
    }
    let taken: Vec<(&str, Subnet)> =
        others.iter().flat_map(|other| other.subnets.iter().map(|subnet| (other.name.as_str(), subnet.subnet))).collect();
    for subnet in &chosen {
        check_subnet(*subnet, &taken).map_err(&invalid)?;
    }
    let only_ipv6 = has(&chosen, true) == 1 && !new.ipv6;
    if has(&chosen, false) == 0 && !new.no_ipv4 && !only_ipv6 {
        chosen.insert(0, free_subnet(&taken).ok_or_else(|| NetworkStoreError::Full(name.to_owned()))?);
    }
    if has(&chosen, true) == 0 && new.ipv6 {
        chosen.push(unique_local().map_err(&invalid)?);
    }
    let mut records = Vec::new();
    for subnet in &chosen {
        let gateway = new.gateways.iter().find(|ip| subnet.contains(**ip)).copied().unwrap_or(subnet.hosts().0);
        let range = new.ranges.iter().find(|range| subnet.contains(range.first) && subnet.contains(range.last)).copied();
        records.push(SubnetRecord { subnet: *subnet, gateway, range });
    }
    if let Some(stray) = new.gateways.iter().find(|ip| chosen.iter().all(|subnet| !subnet.contains(**ip))) {
        return Err(invalid(format!("the gateway {stray} is not in its subnet")));
    }
    let host = |ip: IpAddr| chosen.iter().any(|subnet| (subnet.hosts().0..=subnet.hosts().1).contains(&ip));
    if let Some(edge) = new.gateways.iter().find(|ip| !host(**ip)) {
        return Err(invalid(format!("the gateway {edge} is the first or last address of its subnet, which mean the network itself and all of it")));
    }
    let inside = |range: &IpRange| chosen.iter().any(|subnet| subnet.contains(range.first) && subnet.contains(range.last));
    if let Some(stray) = new.ranges.iter().find(|range| !inside(range)) {
        return Err(invalid(format!("the range from {} to {} is not in its subnet", stray.first, stray.last)));
    }
    Ok(records)
}

fn check_subnet(subnet: Subnet, taken: &[(&str, Subnet)]) -> Result<(), String> {
    let widest = if subnet.is_ipv6() { 126 } else { 30 };
    if subnet.prefix() > widest || subnet.prefix() < 8 {
        return Err(format!("the subnet {subnet} has no room for a gateway and containers: use a prefix from 8 to {widest}"));
    }
    if let Some((other, _)) = taken.iter().find(|(_, other)| other.overlaps(subnet)) {
        return Err(format!("the subnet {subnet} overlaps that of network {other}"));
    }
    let meets = |text: &str| text.parse().is_ok_and(|other: Subnet| other.overlaps(subnet));
    if OWN.into_iter().chain(SPECIAL).any(meets) {
        return Err(format!("the subnet {subnet} is in use by the system; choose another"));
    }
    Ok(())
}

/// The first /24 of the pool that neither another network nor a route of the host has.
fn free_subnet(taken: &[(&str, Subnet)]) -> Option<Subnet> {
    let host = host_routes(&fs::read_to_string("/proc/net/route").unwrap_or_default());
    (0..POOL_SIZE)
        .filter_map(|n| Subnet::new(Ipv4Addr::from(u32::from(POOL) + (n << 8)).into(), 24))
        .find(|subnet| taken.iter().all(|(_, other)| !other.overlaps(*subnet)) && host.iter().all(|route| !route.overlaps(*subnet)))
}

/// The networks of `/proc/net/route`, without default routes.
fn host_routes(table: &str) -> Vec<Subnet> {
    let number = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::from_be);
    let line = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (destination, mask) = (number(fields.get(1)?)?, number(fields.get(7)?)?);
        let prefix = u8::try_from(mask.leading_ones()).ok()?;
        Subnet::new(Ipv4Addr::from(destination).into(), prefix).filter(|_| prefix > 0)
    };
    table.lines().filter_map(line).collect()
}

/// A network of unique local addresses (RFC 4193): 40 random bits, so that no two meet.
fn unique_local() -> Result<Subnet, String> {
    let mut random = [0_u8; 5];
    getrandom::fill(&mut random).map_err(|error| format!("no random numbers: {error}"))?;
    let mut octets = [0_u8; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&random);
    Subnet::new(Ipv6Addr::from(octets).into(), 64).ok_or_else(|| "no IPv6 subnet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks() -> (Networks, PathBuf) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let dir = std::env::temp_dir().join(format!("kelp-networks-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
        (Networks { dir: dir.clone() }, dir)
    }

    fn named(name: &str) -> NewNetwork {
        NewNetwork { name: Some(name.into()), ..NewNetwork::default() }
    }

    #[test]
    fn subnets_are_chosen_apart() {
        let (networks, dir) = networks();
        let one = networks.create(&named("one"), 1).unwrap();
        let two = networks.create(&NewNetwork { ipv6: true, ..named("two") }, 2).unwrap();
        assert_eq!(one.subnets[0].gateway, one.subnets[0].subnet.hosts().0);
        assert!(!one.subnets[0].subnet.overlaps(two.subnets[0].subnet));
        assert!(two.subnets[1].subnet.to_string().starts_with("fd"));
        let again = networks.create(&named("one"), 3).unwrap_err();
        assert!(again.to_string().contains("already in use"), "{again}");
        let over = NewNetwork { subnets: vec![one.subnets[0].subnet], ..named("three") };
        assert!(networks.create(&over, 3).unwrap_err().to_string().contains("overlaps that of network one"));
        assert_eq!(networks.get(&two.id[..8]).unwrap().name, "two");
        assert_eq!(networks.list().unwrap().0.len(), 2);
        assert!(matches!(networks.get("three"), Err(NetworkStoreError::NotFound(_))));
        assert!(matches!(networks.get("../one"), Err(NetworkStoreError::NotFound(_))));
        networks.remove("one").unwrap();
        assert!(networks.get("one").is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn refusals() {
        let (networks, dir) = networks();
        let net = |text: &str| vec![text.parse().unwrap()];
        for (new, reason) in [
            (named("host"), "one of the modes"),
            (named("-x"), "a name is made of"),
            (NewNetwork { driver: Some("macvlan".into()), ..named("n") }, "driver \"macvlan\""),
            (NewNetwork { subnets: net("10.5.0.0/31"), ..named("n") }, "no room"),
            (NewNetwork { subnets: net("10.0.2.0/25"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("127.5.0.0/16"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("0.0.0.0/8"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("169.254.1.0/24"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("fe80::/64"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("fd00::/48"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("224.0.0.0/8"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("250.1.0.0/16"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("::/120"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("ff02::/64"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("::ffff:10.0.0.0/104"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("64:ff9b::/96"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("64:ff9b:1:5::/64"), ..named("n") }, "in use by the system"),
            (NewNetwork { subnets: net("10.5.0.0/24"), gateways: vec!["10.5.0.255".parse().unwrap()], ..named("n") }, "first or last address"),
            (NewNetwork { subnets: net("10.5.0.0/24"), gateways: vec!["10.5.0.0".parse().unwrap()], ..named("n") }, "first or last address"),
            (NewNetwork { gateways: vec!["10.5.0.1".parse().unwrap()], ..named("n") }, "not in its subnet"),
            (NewNetwork { no_ipv4: true, ..named("n") }, "needs --ipv6"),
            (NewNetwork { subnets: net("10.5.0.0/24"), reserved: [("a".into(), "10.5.0.1".parse().unwrap())].into(), ..named("n") }, "auxiliary address 10.5.0.1"),
            (NewNetwork { options: [("mtu".into(), "5".into())].into(), ..named("n") }, "from 1280 to 65520"),
            (NewNetwork { options: [("metric".into(), "low".into())].into(), ..named("n") }, "must be a number"),
            (NewNetwork { routes: vec!["10.9.0.0/16,10.5.0.9".parse().unwrap()], subnets: net("10.6.0.0/24"), ..named("n") }, "the route to 10.9.0.0/16 is not in"),
            (NewNetwork { options: [("vlan".into(), "5".into())].into(), ..named("n") }, "unknown option"),
        ] {
            let error = networks.create(&new, 0).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn routes_of_the_host_are_left_alone() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n\
                     eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                     eth0\t0000590A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        assert_eq!(host_routes(table).iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.89.0.0/24"]);
    }
}
