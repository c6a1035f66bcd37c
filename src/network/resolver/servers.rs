//! The servers that are asked for foreign names: the host's, as its resolv.conf says now.
//!
//! The file is looked at again when a question comes, not watched: a laptop that changes networks is right with the
//! next question. Servers that did not answer lately come last.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

/// The most servers asked, as in resolvers.
const MAX_SERVERS: usize = 4;
/// A resolv.conf is no larger.
const MAX_FILE: u64 = 64 * 1024;
/// How long a server that failed comes last.
const PENALTY: Duration = Duration::from_secs(20);
/// Failures remembered.
const MAX_FAILURES: usize = 64;
/// systemd-resolved's own address, and the file with the servers it asks.
const STUB: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
const BEHIND_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// What tells one version of the file from another.
type Version = Option<(SystemTime, u64, u64)>;

/// The host's servers and how they have behaved.
#[derive(Debug)]
pub(super) struct Servers {
    path: PathBuf,
    port: u16,
    version: Option<Version>,
    host: Vec<SocketAddr>,
    failed: HashMap<SocketAddr, Instant>,
}

impl Servers {
    pub(super) fn new(path: PathBuf, port: u16) -> Self {
        Self { path, port, version: None, host: Vec::new(), failed: HashMap::new() }
    }

    /// Reads the file again if it is another one. Returns whether the servers changed.
    pub(super) fn refresh(&mut self) -> bool {
        let version = version(&self.path);
        if self.version == Some(version) {
            return false;
        }
        self.version = Some(version);
        let mut host = parse(&read(&self.path), self.port);
        if host.iter().any(|server| server.ip() == STUB) {
            // Should the stub be gone, the servers behind it may be not.
            let behind = parse(&read(Path::new(BEHIND_STUB)), self.port);
            host.extend(behind.into_iter().filter(|server| server.ip() != STUB));
        }
        if host.is_empty() {
            // As resolvers do without a file.
            host.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.port));
        }
        host.truncate(MAX_SERVERS);
        let changed = host != self.host;
        if changed {
            self.failed.clear();
        }
        self.host = host;
        changed
    }

    /// In which order to ask: those given, else the host's; those that failed lately last.
    pub(super) fn order(&self, given: &[IpAddr], now: Instant) -> Vec<SocketAddr> {
        let mut servers: Vec<SocketAddr> = match given {
            [] => self.host.clone(),
            given => given.iter().take(MAX_SERVERS).map(|ip| SocketAddr::new(*ip, self.port)).collect(),
        };
        servers.sort_by_key(|server| self.failed.get(server).is_some_and(|until| *until > now));
        servers
    }

    pub(super) fn failed(&mut self, server: SocketAddr, now: Instant) {
        if self.failed.len() >= MAX_FAILURES {
            self.failed.clear();
        }
        self.failed.insert(server, now + PENALTY);
    }

    pub(super) fn answered(&mut self, server: SocketAddr) {
        self.failed.remove(&server);
    }
}

fn version(path: &Path) -> Version {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.ino(), metadata.len()))
}

fn read(path: &Path) -> String {
    use std::io::Read;
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        drop(file.take(MAX_FILE).read_to_end(&mut bytes));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The name servers of a resolv.conf that can be asked from the host, each once.
fn parse(text: &str, port: u16) -> Vec<SocketAddr> {
    let mut servers = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let server = words.next().and_then(|word| address(word, port));
        servers.extend(server.filter(|server| !servers.contains(server)));
    }
    servers
}

/// An address, for link-local ones with the link it is on.
fn address(word: &str, port: u16) -> Option<SocketAddr> {
    let (ip, link) = word.split_once('%').map_or((word, None), |(ip, link)| (ip, Some(link)));
    match ip.parse().ok()? {
        IpAddr::V4(ip) if ip.is_multicast() || ip.is_broadcast() => None,
        IpAddr::V4(ip) => Some(SocketAddr::new(if ip.is_unspecified() { Ipv4Addr::LOCALHOST } else { ip }.into(), port)),
        IpAddr::V6(ip) if ip.is_multicast() => None,
        IpAddr::V6(ip) => {
            let scope = match link {
                Some(link) => link.parse().ok().or_else(|| nix::net::if_::if_nametoindex(link).ok())?,
                None if ip.is_unicast_link_local() => return None,
                None => 0,
            };
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        parse(text, 53).iter().map(SocketAddr::to_string).collect()
    }

    #[test]
    fn unusable_servers_are_skipped() {
        let text = "search x\nnameserver 127.0.0.53\nnameserver nonsense\nnameserver\nnameserver fe80::1\n\
                    nameserver fe80::1%3 # router\nnameserver fe80::1%nolink\nnameserver 224.0.0.1\nnameserver 0.0.0.0\n\
                    nameserver 9.9.9.9\nnameserver 9.9.9.9\n# nameserver 1.1.1.1\n nameserver 8.8.8.8\n";
        assert_eq!(texts(text), ["127.0.0.53:53", "[fe80::1%3]:53", "127.0.0.1:53", "9.9.9.9:53", "8.8.8.8:53"]);
    }

    #[test]
    fn the_file_is_read_as_it_is_now() {
        let path = std::env::temp_dir().join(format!("kelp-resolv-{}", std::process::id()));
        std::fs::write(&path, "nameserver 192.0.2.1\nnameserver 192.0.2.2\n").unwrap();
        let mut servers = Servers::new(path.clone(), 53);
        assert!(servers.refresh());
        assert!(!servers.refresh());
        let now = Instant::now();
        let first = |servers: &Servers| servers.order(&[], now)[0].to_string();
        assert_eq!(first(&servers), "192.0.2.1:53");
        servers.failed("192.0.2.1:53".parse().unwrap(), now);
        assert_eq!(first(&servers), "192.0.2.2:53");
        servers.answered("192.0.2.1:53".parse().unwrap());
        assert_eq!(first(&servers), "192.0.2.1:53");
        std::fs::write(&path, "nameserver 192.0.2.77\n").unwrap();
        assert!(servers.refresh());
        assert_eq!(first(&servers), "192.0.2.77:53");
        assert_eq!(servers.order(&["9.9.9.9".parse().unwrap()], now)[0].to_string(), "9.9.9.9:53");
        std::fs::remove_file(&path).unwrap();
        assert!(servers.refresh());
        assert_eq!(first(&servers), "127.0.0.1:53");
    }
}
