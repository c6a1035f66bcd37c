//! Published and exposed ports as a user types them: `-p [hostip:][hostport[-range]:]containerport[-range][/proto]`
//! and `--expose port[-range][/proto]`.
//!
//! Owns the grammar, the expansion of ranges and the check of a list against itself. Opening sockets is the job of
//! `network::ports`; [`PortBinding`] is what came out of that and is what records, `port`, `ps` and `inspect` show.

use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Transport protocol of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, the default.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl Protocol {
    /// The lower-case name used in notations and records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Protocol {
    type Err = PortParseError;

    fn from_str(text: &str) -> Result<Self, PortParseError> {
        [Self::Tcp, Self::Udp, Self::Sctp]
            .into_iter()
            .find(|p| p.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| PortParseError::Protocol { protocol: text.to_owned() })
    }
}

/// Why a port specification was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortParseError {
    /// Nothing where a container port was expected.
    #[error("no port specified: {spec:?}")]
    Missing {
        /// The whole specification.
        spec: String,
    },
    /// Not a number from 1 to 65535, nor a range of them.
    #[error("invalid {side} port {port:?}: must be a number from 1 to 65535 or a range such as 8000-8010")]
    Number {
        /// `host` or `container`.
        side: &'static str,
        /// What was typed.
        port: String,
    },
    /// The protocol is not tcp, udp or sctp.
    #[error("invalid protocol {protocol:?}: must be tcp, udp or sctp")]
    Protocol {
        /// What was typed.
        protocol: String,
    },
    /// The host address is not an IP address.
    #[error("invalid host IP address {ip:?}: must be an IPv4 address, or an IPv6 address in brackets such as [::1]")]
    HostIp {
        /// What was typed.
        ip: String,
    },
    /// Host and container ranges differ in length.
    #[error("invalid ranges for host and container ports: {host} and {container} differ in length")]
    RangeLength {
        /// Host range.
        host: String,
        /// Container range.
        container: String,
    },
}

/// An inclusive range of port numbers; one port when both ends are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    /// First port, never 0.
    pub first: u16,
    /// Last port, not below `first`.
    pub last: u16,
}

impl PortRange {
    /// A range of one port.
    pub fn single(port: u16) -> Self {
        Self { first: port, last: port }
    }

    /// Number of ports in the range.
    pub fn count(self) -> usize {
        usize::from(self.last - self.first) + 1
    }

    fn parse(text: &str, side: &'static str) -> Result<Self, PortParseError> {
        let bad = || PortParseError::Number { side, port: text.to_owned() };
        let number = |part: &str| -> Result<u16, PortParseError> {
            // `+80` is a number to `u16::from_str`, but not to docker.
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return Err(bad());
            }
            part.parse::<u16>().ok().filter(|n| *n != 0).ok_or_else(bad)
        };
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if first > last {
            return Err(bad());
        }
        Ok(Self { first, last })
    }

    fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

/// Which port of the host is wanted for one container port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostPort {
    /// Any free port.
    Any,
    /// This one.
    Fixed(u16),
    /// The first free one of a range (`-p 8000-8010:80`).
    OneOf(PortRange),
}

/// One `-p` value. Ranges stay ranges here; [`Port::mappings`] expands them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Port {
    /// Address of the host to listen on; every address of both families when absent.
    pub host_ip: Option<IpAddr>,
    /// Host ports; any free ones when absent. Either as long as `container`, or `container` is a single port.
    pub host: Option<PortRange>,
    /// Ports of the container.
    pub container: PortRange,
    /// Transport protocol.
    pub protocol: Protocol,
}

/// One container port to be published: an expanded [`Port`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PortMapping {
    /// Address of the host to listen on; every address of both families when absent.
    pub host_ip: Option<IpAddr>,
    /// Wanted port of the host.
    pub host: HostPort,
    /// Port of the container.
    pub container: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl Port {
    /// The single mappings this value stands for, in order.
    pub fn mappings(&self) -> impl Iterator<Item = PortMapping> + '_ {
        (self.container.first..=self.container.last).map(move |container| PortMapping {
            host_ip: self.host_ip,
            host: match self.host {
                None => HostPort::Any,
                Some(host) if host.count() == self.container.count() => {
                    HostPort::Fixed(host.first + (container - self.container.first))
                }
                Some(host) => HostPort::OneOf(host),
            },
            container,
            protocol: self.protocol,
        })
    }

    /// Parses one `-p` value that may name several protocols (`53:53/tcp,udp`, as podman allows).
    ///
    /// # Errors
    /// As [`Port::from_str`].
    pub fn parse_list(text: &str) -> Result<Vec<Self>, PortParseError> {
        match text.split_once('/') {
            Some((ports, protocols)) if protocols.contains(',') => {
                protocols.split(',').map(|p| format!("{ports}/{p}").parse()).collect()
            }
            _ => Ok(vec![text.parse()?]),
        }
    }

    /// Host ports that must be had, not merely may be.
    fn fixed_host(&self) -> Option<PortRange> {
        self.host.filter(|host| host.count() == self.container.count())
    }
}

impl FromStr for Port {
    type Err = PortParseError;

    fn from_str(text: &str) -> Result<Self, PortParseError> {
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, protocol)) => (ports, protocol.parse()?),
            None => (text, Protocol::Tcp),
        };
        let missing = || PortParseError::Missing { spec: text.to_owned() };
        // From the right: the container port has no colon, the host port neither, the rest is the address.
        let (rest, container) = match ports.rsplit_once(':') {
            Some((rest, container)) => (Some(rest), container),
            None => (None, ports),
        };
        if container.is_empty() {
            return Err(missing());
        }
        // `-p [::1]` cuts inside the brackets; report the address, not a number.
        if container.ends_with(']') {
            return Err(missing());
        }
        let container = PortRange::parse(container, "container")?;
        let (ip, host) = match rest {
            None => (None, ""),
            Some(rest) => match rest.rsplit_once(':') {
                Some((ip, host)) => (Some(ip), host),
                None => (None, rest),
            },
        };
        // 0 is any free port, as everywhere else.
        let host = if matches!(host, "" | "0") { None } else { Some(PortRange::parse(host, "host")?) };
        let host_ip = match ip {
            None | Some("") => None,
            Some(ip) => Some(parse_host_ip(ip)?),
        };
        if let Some(host) = host.filter(|host| container.count() != 1 && host.count() != container.count()) {
            return Err(PortParseError::RangeLength { host: host.to_string(), container: container.to_string() });
        }
        Ok(Self { host_ip, host, container, protocol })
    }
}

fn parse_host_ip(text: &str) -> Result<IpAddr, PortParseError> {
    let bad = || PortParseError::HostIp { ip: text.to_owned() };
    match text.strip_prefix('[') {
        Some(inner) => {
            let inner = inner.strip_suffix(']').ok_or_else(bad)?;
            inner.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| bad())
        }
        None if text == "localhost" => Ok(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        // docker also takes an IPv6 address without brackets here, since the last two colons are already cut off.
        None => text.parse::<IpAddr>().map_err(|_| bad()),
    }
}

fn fmt_ip(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ip) = self.host_ip {
            write!(f, "{}:", fmt_ip(ip))?;
        }
        match self.host {
            Some(host) => write!(f, "{host}:")?,
            None if self.host_ip.is_some() => f.write_str(":")?,
            None => {}
        }
        write!(f, "{}/{}", self.container, self.protocol)
    }
}

/// One `--expose` value, or one `ExposedPorts` key of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expose {
    /// Ports of the container.
    pub container: PortRange,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl Expose {
    /// What `-P` makes of it: published on any free host ports.
    pub fn publish(self) -> Port {
        Port { host_ip: None, host: None, container: self.container, protocol: self.protocol }
    }
}

impl FromStr for Expose {
    type Err = PortParseError;

    fn from_str(text: &str) -> Result<Self, PortParseError> {
        let (ports, protocol) = match text.split_once('/') {
            Some((ports, protocol)) => (ports, protocol.parse()?),
            None => (text, Protocol::Tcp),
        };
        if ports.is_empty() {
            return Err(PortParseError::Missing { spec: text.to_owned() });
        }
        Ok(Self { container: PortRange::parse(ports, "container")?, protocol })
    }
}

impl fmt::Display for Expose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.container, self.protocol)
    }
}

/// Stored as the text a user would type, so that records, compose and the command line share one grammar.
macro_rules! serde_as_text {
    ($($ty:ty),*) => {$(
        impl Serialize for $ty {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $ty {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serde_as_text!(Port, Expose);

/// Two values of one list that want the same host port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("conflicting published ports: {first} and {second} want the same host port")]
pub struct PortConflict {
    /// The earlier value.
    pub first: Port,
    /// The later value.
    pub second: Port,
}

/// Removes exact repetitions and refuses values that want the same host port.
///
/// # Errors
/// [`PortConflict`] naming the first such pair.
pub fn check_ports(ports: &[Port]) -> Result<Vec<Port>, PortConflict> {
    let mut kept: Vec<Port> = Vec::with_capacity(ports.len());
    for port in ports {
        if port.host.is_some() && kept.contains(port) {
            continue;
        }
        if let Some(first) = kept.iter().find(|kept| collide(kept, port)) {
            return Err(PortConflict { first: first.clone(), second: port.clone() });
        }
        kept.push(port.clone());
    }
    Ok(kept)
}

fn collide(a: &Port, b: &Port) -> bool {
    let (Some(host_a), Some(host_b)) = (a.fixed_host(), b.fixed_host()) else { return false };
    a.protocol == b.protocol && host_a.overlaps(host_b) && same_address(a.host_ip, b.host_ip)
}

fn same_address(a: Option<IpAddr>, b: Option<IpAddr>) -> bool {
    match (a, b) {
        (None, _) | (_, None) => true,
        (Some(a), Some(b)) => a == b || (a.is_ipv4() == b.is_ipv4() && (a.is_unspecified() || b.is_unspecified())),
    }
}

/// A published port as it came to be: one listening address and port of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortBinding {
    /// Address listened on; `0.0.0.0` or `::` for all of a family.
    pub host_ip: IpAddr,
    /// Port of the host.
    pub host_port: u16,
    /// Port of the container.
    pub container_port: u16,
    /// Transport protocol.
    pub protocol: Protocol,
}

impl PortBinding {
    /// `0.0.0.0:8080` or `[::]:8080`, as `port` prints it.
    pub fn host(&self) -> String {
        format!("{}:{}", fmt_ip(self.host_ip), self.host_port)
    }

    /// `80/tcp`, the key of `NetworkSettings.Ports`.
    pub fn container(&self) -> String {
        format!("{}/{}", self.container_port, self.protocol)
    }
}

/// The PORTS cell of `ps`: `0.0.0.0:8000-8002->80-82/tcp, [::]:8000-8002->80-82/tcp, 9000/tcp`; consecutive ports are
/// joined, exposed but unpublished ones have no arrow.
pub fn ports_cell(bindings: &[PortBinding], exposed: &[Expose]) -> String {
    let mut sorted = bindings.to_vec();
    sorted.sort_by_key(|b| (b.host_ip, b.protocol, b.container_port, b.host_port));
    let mut runs: Vec<(PortBinding, PortBinding)> = Vec::new();
    for binding in sorted {
        match runs.last_mut() {
            Some((_, last)) if follows(last, &binding) => *last = binding,
            _ => runs.push((binding, binding)),
        }
    }
    let range = |first, last| PortRange { first, last };
    let mut parts: Vec<String> = runs
        .iter()
        .map(|(a, z)| {
            let host = range(a.host_port, z.host_port);
            format!("{}:{host}->{}/{}", fmt_ip(a.host_ip), range(a.container_port, z.container_port), a.protocol)
        })
        .collect();
    let published: HashSet<(u16, Protocol)> = bindings.iter().map(|b| (b.container_port, b.protocol)).collect();
    for expose in exposed {
        let mut open: Option<PortRange> = None;
        for port in expose.container.first..=expose.container.last {
            if published.contains(&(port, expose.protocol)) {
                parts.extend(open.take().map(|r| format!("{r}/{}", expose.protocol)));
            } else {
                open = Some(open.map_or(PortRange::single(port), |r| range(r.first, port)));
            }
        }
        parts.extend(open.map(|r| format!("{r}/{}", expose.protocol)));
    }
    parts.join(", ")
}

fn follows(last: &PortBinding, next: &PortBinding) -> bool {
    last.host_ip == next.host_ip
        && last.protocol == next.protocol
        && last.host_port.checked_add(1) == Some(next.host_port)
        && last.container_port.checked_add(1) == Some(next.container_port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar_round_trips() {
        for (typed, shown) in [
            ("80", "80/tcp"),
            ("80/udp", "80/udp"),
            ("80/UDP", "80/udp"),
            ("8080:80", "8080:80/tcp"),
            (":80", "80/tcp"),
            ("127.0.0.1:8080:80", "127.0.0.1:8080:80/tcp"),
            ("127.0.0.1::80", "127.0.0.1::80/tcp"),
            ("[::1]:8080:80/udp", "[::1]:8080:80/udp"),
            ("[::1]::80", "[::1]::80/tcp"),
            ("::1:8080:80", "[::1]:8080:80/tcp"),
            ("8000-8002:80-82", "8000-8002:80-82/tcp"),
            ("8000-8010:80", "8000-8010:80/tcp"),
            ("80-82", "80-82/tcp"),
            ("132:132/sctp", "132:132/sctp"),
        ] {
            let port: Port = typed.parse().unwrap_or_else(|e| panic!("{typed}: {e}"));
            assert_eq!(port.to_string(), shown, "{typed}");
            assert_eq!(shown.parse::<Port>().unwrap(), port, "{typed}");
            let json = serde_json::to_string(&port).unwrap();
            assert_eq!(serde_json::from_str::<Port>(&json).unwrap(), port);
        }
    }

    #[test]
    fn nonsense_is_refused_with_its_reason() {
        for (typed, reason) in [
            ("", "no port specified"),
            ("80:", "no port specified"),
            ("[::1]", "no port specified"),
            ("/tcp", "no port specified"),
            ("80:0", "invalid container port \"0\""),
            ("0-1:80", "invalid host port \"0-1\""),
            ("80:0", "invalid container port \"0\""),
            ("65536", "invalid container port"),
            ("+80", "invalid container port"),
            ("82-80", "invalid container port"),
            ("80-82:80-83", "differ in length"),
            ("80:80-82", "differ in length"),
            ("80/http", "invalid protocol \"http\""),
            ("300.0.0.1:80:80", "invalid host IP address"),
            ("[::1:80:80", "invalid host IP address"),
            ("a:b:c:80", "invalid host port"),
            ("nohost:80:80", "invalid host IP address"),
        ] {
            let error = typed.parse::<Port>().unwrap_err().to_string();
            assert!(error.contains(reason), "{typed}: {error}");
        }
    }

    #[test]
    fn ranges_expand_in_step() {
        let hosts = |text: &str| -> Vec<_> {
            text.parse::<Port>().unwrap().mappings().map(|m| (m.host, m.container)).collect()
        };
        assert_eq!(
            hosts("65534-65535:1-2"),
            [(HostPort::Fixed(65534), 1), (HostPort::Fixed(65535), 2)]
        );
        assert_eq!(hosts("80-81"), [(HostPort::Any, 80), (HostPort::Any, 81)]);
        assert_eq!(hosts("0:80"), [(HostPort::Any, 80)]);
        assert_eq!(hosts("127.0.0.1:0:80-81"), [(HostPort::Any, 80), (HostPort::Any, 81)]);
        assert_eq!(hosts("90-91:80"), [(HostPort::OneOf(PortRange { first: 90, last: 91 }), 80)]);
        assert_eq!(hosts("1-65535:1-65535").len(), 65535);
    }

    #[test]
    fn several_protocols_in_one_value() {
        let shown: Vec<_> = Port::parse_list("53:53/tcp,udp").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["53:53/tcp", "53:53/udp"]);
        assert!(Port::parse_list("53:53/tcp,").is_err());
    }

    #[test]
    fn conflicts_and_repetitions() {
        let check = |list: &[&str]| {
            let ports: Vec<Port> = list.iter().map(|p| p.parse().unwrap()).collect();
            check_ports(&ports).map(|kept| kept.len()).map_err(|e| e.to_string())
        };
        assert_eq!(check(&["80:80", "80:80"]), Ok(1));
        assert_eq!(check(&["80", "80"]), Ok(2));
        assert_eq!(check(&["80:80", "80:80/udp"]), Ok(2));
        assert_eq!(check(&["127.0.0.1:80:80", "127.0.0.2:80:80"]), Ok(2));
        assert_eq!(check(&["0.0.0.0:80:80", "[::]:80:80"]), Ok(2));
        assert_eq!(check(&["80-81:80", "80:81"]), Ok(2));
        assert!(check(&["80:80", "127.0.0.1:80:81"]).unwrap_err().contains("80:80/tcp and 127.0.0.1:80:81/tcp"));
        assert!(check(&["80-90:80-90", "85:85"]).is_err());
    }

    #[test]
    fn cell_joins_runs() {
        let binding = |ip: &str, host_port, container_port| PortBinding {
            host_ip: ip.parse().unwrap(),
            host_port,
            container_port,
            protocol: Protocol::Tcp,
        };
        let exposed: Vec<Expose> = ["80", "9000-9001", "53/udp"].iter().map(|e| e.parse().unwrap()).collect();
        let bindings =
            [binding("::", 8000, 80), binding("0.0.0.0", 8001, 81), binding("0.0.0.0", 8000, 80), binding("0.0.0.0", 7, 7)];
        assert_eq!(
            ports_cell(&bindings, &exposed),
            "0.0.0.0:7->7/tcp, 0.0.0.0:8000-8001->80-81/tcp, [::]:8000->80/tcp, 9000-9001/tcp, 53/udp"
        );
        assert_eq!(ports_cell(&[], &[]), "");
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(text in "[\\PC]{0,40}|[0-9:.\\[\\]/a-p-]{0,24}") {
            if let Ok(port) = text.parse::<Port>() {
                proptest::prop_assert_eq!(port.to_string().parse::<Port>().unwrap(), port);
            }
        }
    }
}
