//! `--network` as a user types it.
//!
//! Owns the grammar and the rule of what may be combined. Whether a named network exists, and what the options mean
//! to a process, is the business of `network`.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::endpoint::{self, EndpointOption, LinkSysctl};

/// What network a container is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkMode {
    /// A namespace with loopback only.
    None,
    /// The host's own network.
    Host,
    /// A private namespace with its own slirp4netns.
    Default(SlirpOptions),
    /// A private namespace with its own pasta; the options go to pasta as they are.
    Pasta(Vec<String>),
    /// The namespace of another container, by name or id.
    Container(String),
    /// The namespace at a path.
    Ns(PathBuf),
    /// User networks by name.
    Named(Vec<Attachment>),
}

impl Default for NetworkMode {
    fn default() -> Self {
        Self::Default(SlirpOptions::default())
    }
}

/// The options of `slirp4netns:…`, as podman has them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SlirpOptions {
    /// IPv4 network of the namespace, with at least 8 host bits and at most 25 prefix bits; `10.0.2.0/24` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cidr: Option<Cidr4>,
    /// Maximum transmission unit of the tap in bytes; 65520 when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u16>,
    /// IPv6 to the outside; when absent, if the host has an IPv6 default route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ipv6: Option<bool>,
    /// Lets the container reach the host's loopback through the gateway address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub host_loopback: bool,
    /// Source address, or interface, of outgoing IPv4 connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<String>,
    /// Source address, or interface, of outgoing IPv6 connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound6: Option<String>,
}

/// An IPv4 network in prefix notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cidr4 {
    /// Network address, host bits zero.
    pub network: Ipv4Addr,
    /// Prefix length.
    pub prefix: u8,
}

impl Cidr4 {
    /// The network's address number `n`.
    pub fn host(self, n: u8) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network) + u32::from(n))
    }
}

impl FromStr for Cidr4 {
    type Err = NetworkParseError;

    fn from_str(text: &str) -> Result<Self, NetworkParseError> {
        let bad = || NetworkParseError::Value {
            option: "cidr".into(),
            value: text.to_owned(),
            want: "an IPv4 network such as 10.0.2.0/24, prefix 1 to 25",
        };
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        if !(1..=25).contains(&prefix) {
            return Err(bad());
        }
        let network = u32::from(address) & (u32::MAX << (32 - u32::from(prefix)));
        Ok(Self { network: network.into(), prefix })
    }
}

impl fmt::Display for Cidr4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl Serialize for Cidr4 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr4 {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One user network of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Attachment {
    /// Name or id of the network.
    pub network: String,
    /// Wanted IPv4 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Ipv4Addr>,
    /// Wanted IPv6 address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip6: Option<Ipv6Addr>,
    /// Wanted hardware address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<[u8; 6]>,
    /// Further names on this network.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Of several networks the one with the highest is the way out.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub priority: i32,
    /// Kernel parameters of the link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sysctls: Vec<LinkSysctl>,
    /// Driver options, as typed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_options: BTreeMap<String, String>,
    /// Containers that have an alias for this one, on this network: `ID:ALIAS`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// Wanted name of the interface inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// Why a `--network` value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkParseError {
    /// Nothing after `--network`, `container:` or `ns:`.
    #[error("invalid network {value:?}: {what} is missing")]
    Missing {
        /// What was typed.
        value: String,
        /// What is missing.
        what: &'static str,
    },
    /// An option the mode does not have.
    #[error("unknown option {option:?} of network {mode:?}")]
    Option {
        /// The mode or network.
        mode: String,
        /// The option's name.
        option: String,
    },
    /// An option's value is not of its kind.
    #[error("invalid value {value:?} of network option {option:?}: must be {want}")]
    Value {
        /// The option's name.
        option: String,
        /// What was typed.
        value: String,
        /// What is accepted.
        want: &'static str,
    },
    /// A driver option there is not.
    #[error("driver option {option:?} is not supported: com.docker.network.endpoint.ifname and com.docker.network.endpoint.sysctls are")]
    DriverOption {
        /// Its name.
        option: String,
    },
    /// Values between commas that are not quoted right.
    #[error("invalid network {value:?}: {reason}")]
    Csv {
        /// What was typed.
        value: String,
        /// What is wrong.
        reason: String,
    },
    /// A mode that takes no options got some.
    #[error("network {mode:?} takes no options, got {options:?}")]
    NoOptions {
        /// The mode.
        mode: String,
        /// What was typed after the colon.
        options: String,
    },
    /// Not a name a network can have.
    #[error("invalid network name {name:?}: must be letters, digits, '.', '_' and '-', beginning with a letter or digit")]
    Name {
        /// What was typed.
        name: String,
    },
    /// Only user networks can be given together.
    #[error("conflicting networks {first:?} and {second:?}: only user networks can be combined, and the default one with them")]
    Combined {
        /// Earlier value.
        first: String,
        /// Later value.
        second: String,
    },
}

impl NetworkMode {
    /// Folds every `--network` of a command line: at most one mode, or user networks, or both when the mode is the default
    /// network. Nothing when there is none.
    ///
    /// # Errors
    /// As [`NetworkMode::from_str`], and [`NetworkParseError::Combined`].
    pub fn parse_all<S: AsRef<str>>(values: &[S]) -> Result<Vec<Self>, NetworkParseError> {
        let (mut mode, mut named): (Option<(String, Self)>, Vec<Attachment>) = (None, Vec::new());
        for value in values {
            let value = value.as_ref();
            match value.parse()? {
                Self::Named(more) => named.extend(more),
                other => match &mode {
                    Some((_, earlier)) if *earlier == other => {}
                    Some((first, _)) => {
                        return Err(NetworkParseError::Combined { first: first.clone(), second: value.to_owned() });
                    }
                    None => mode = Some((value.to_owned(), other)),
                },
            }
        }
        if let (Some((first, mode)), Some(second)) = (&mode, named.first())
            && !matches!(mode, Self::Default(_))
        {
            return Err(NetworkParseError::Combined { first: first.clone(), second: second.network.clone() });
        }
        let mut all: Vec<Self> = mode.into_iter().map(|(_, mode)| mode).collect();
        if !named.is_empty() {
            all.push(Self::Named(named));
        }
        Ok(all)
    }

    /// Whether the container has a network namespace of its own (so that a host name, ports and sysctls make sense).
    pub fn is_private(&self) -> bool {
        match self {
            Self::None | Self::Default(_) | Self::Pasta(_) | Self::Named(_) => true,
            Self::Host | Self::Container(_) | Self::Ns(_) => false,
        }
    }
}

impl FromStr for NetworkMode {
    type Err = NetworkParseError;

    fn from_str(text: &str) -> Result<Self, NetworkParseError> {
        let missing = |what| NetworkParseError::Missing { value: text.to_owned(), what };
        if text.is_empty() {
            return Err(missing("a name"));
        }
        // docker's long form, `name=NET,alias=A`.
        if text.starts_with("name=") || text.contains(",name=") {
            return parse_long(text);
        }
        let (name, options) = match text.split_once(':') {
            Some((name, options)) => (name, Some(options)),
            None => (text, None),
        };
        let plain = |mode: Self| match options {
            None => Ok(mode),
            Some(options) => {
                Err(NetworkParseError::NoOptions { mode: name.to_owned(), options: options.to_owned() })
            }
        };
        match name {
            "none" => plain(Self::None),
            "host" => plain(Self::Host),
            "private" | "default" | "bridge" => plain(Self::default()),
            "slirp4netns" => Ok(Self::Default(parse_slirp(options.unwrap_or(""))?)),
            "pasta" => Ok(Self::Pasta(split_options(options.unwrap_or("")).map(str::to_owned).collect())),
            "container" => match options {
                Some(name) if !name.is_empty() => Ok(Self::Container(name.to_owned())),
                _ => Err(missing("the container's name")),
            },
            "ns" => match options {
                Some(path) if !path.is_empty() => Ok(Self::Ns(PathBuf::from(path))),
                _ => Err(missing("the namespace's path")),
            },
            _ => match options {
                None => {
                    let each = |name| Ok(Attachment { network: check_name(name)?, ..Attachment::default() });
                    Ok(Self::Named(text.split(',').map(each).collect::<Result<_, _>>()?))
                }
                Some(options) => {
                    let mut attachment = Attachment { network: check_name(name)?, ..Attachment::default() };
                    for option in split_options(options) {
                        attachment.set(name, option)?;
                    }
                    Ok(Self::Named(vec![attachment]))
                }
            },
        }
    }
}

fn parse_long(text: &str) -> Result<NetworkMode, NetworkParseError> {
    let mut attachment = Attachment::default();
    let fields = super::csv::fields(text).map_err(|reason| NetworkParseError::Csv { value: text.to_owned(), reason })?;
    for option in &fields {
        match option.strip_prefix("name=") {
            Some(name) => name.clone_into(&mut attachment.network),
            None => attachment.set(text, option)?,
        }
    }
    // Other modes have a name alone.
    let mode: NetworkMode = if attachment.network.is_empty() { String::new() } else { check_name(&attachment.network)? }.parse()?;
    match mode {
        NetworkMode::Named(_) => Ok(NetworkMode::Named(vec![attachment])),
        mode if fields.len() == 1 => Ok(mode),
        _ => Err(NetworkParseError::NoOptions { mode: attachment.network, options: text.to_owned() }),
    }
}

fn split_options(options: &str) -> impl Iterator<Item = &str> {
    options.split(',').filter(|option| !option.is_empty())
}

fn check_name(name: &str) -> Result<String, NetworkParseError> {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)) {
        Ok(name.to_owned())
    } else {
        Err(NetworkParseError::Name { name: name.to_owned() })
    }
}

fn value<T: FromStr>(option: &str, text: &str, want: &'static str) -> Result<T, NetworkParseError> {
    text.parse().map_err(|_| NetworkParseError::Value { option: option.to_owned(), value: text.to_owned(), want })
}

fn parse_slirp(options: &str) -> Result<SlirpOptions, NetworkParseError> {
    let mut slirp = SlirpOptions::default();
    for option in split_options(options) {
        let (key, text) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "cidr" => slirp.cidr = Some(text.parse()?),
            "mtu" => {
                let want = "a number of bytes from 576 to 65520";
                let mtu: u16 = value(key, text, want)?;
                if !(576..=65520).contains(&mtu) {
                    return Err(NetworkParseError::Value { option: key.into(), value: text.into(), want });
                }
                slirp.mtu = Some(mtu);
            }
            "enable_ipv6" => slirp.ipv6 = Some(value(key, text, "true or false")?),
            "allow_host_loopback" => slirp.host_loopback = value(key, text, "true or false")?,
            "outbound_addr" if !text.is_empty() => slirp.outbound = Some(text.to_owned()),
            "outbound_addr6" if !text.is_empty() => slirp.outbound6 = Some(text.to_owned()),
            // Ports are always forwarded by kelp itself, with the client's address kept.
            "port_handler" if matches!(text, "rootlesskit" | "slirp4netns") => {}
            _ => {
                return Err(NetworkParseError::Option { mode: "slirp4netns".into(), option: option.to_owned() });
            }
        }
    }
    Ok(slirp)
}

impl Attachment {
    fn set(&mut self, network: &str, option: &str) -> Result<(), NetworkParseError> {
        let unknown = || NetworkParseError::Option { mode: network.to_owned(), option: option.to_owned() };
        let (key, text) = option.split_once('=').ok_or_else(unknown)?;
        match key {
            "ip" | "ip6" => match value(key, text, "an IP address")? {
                IpAddr::V4(ip) => self.ip = Some(ip),
                IpAddr::V6(ip) => self.ip6 = Some(ip),
            },
            "mac" | "mac-address" => self.mac = Some(parse_mac(key, text)?),
            "alias" if !text.is_empty() => self.aliases.push(text.to_owned()),
            "interface_name" => self.interface = Some(endpoint::interface(key, text)?),
            "gw-priority" => self.priority = value(key, text, "a whole number")?,
            "driver-opt" => self.set_driver_option(text)?,
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// Sets a driver option, `KEY=VALUE`.
    ///
    /// # Errors
    /// [`NetworkParseError::DriverOption`] and [`NetworkParseError::Value`].
    pub fn set_driver_option(&mut self, text: &str) -> Result<(), NetworkParseError> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        match EndpointOption::parse(key, value)? {
            EndpointOption::Interface(name) => self.interface = Some(name),
            EndpointOption::Sysctls(all) => self.sysctls = all,
        }
        self.driver_options.insert(key.to_owned(), value.to_owned());
        Ok(())
    }
}

/// Parses a hardware address, `02:42:ac:11:00:02`; `option` names it in the error.
///
/// # Errors
/// [`NetworkParseError::Value`].
pub fn parse_mac(option: &str, text: &str) -> Result<[u8; 6], NetworkParseError> {
    let mut mac = [0; 6];
    let mut parts = text.split([':', '-']);
    let whole = mac.iter_mut().all(|byte| {
        parts.next().filter(|p| p.len() == 2).and_then(|p| u8::from_str_radix(p, 16).ok()).is_some_and(|b| {
            *byte = b;
            true
        })
    });
    // The lowest bit of the first byte marks a group address, which no interface can have.
    if whole && parts.next().is_none() && mac[0] & 1 == 0 && mac != [0; 6] {
        Ok(mac)
    } else {
        Err(NetworkParseError::Value {
            option: option.to_owned(),
            value: text.to_owned(),
            want: "a unicast hardware address such as 02:42:ac:11:00:02",
        })
    }
}

impl fmt::Display for NetworkMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Host => f.write_str("host"),
            Self::Default(options) if *options == SlirpOptions::default() => f.write_str("bridge"),
            Self::Default(options) => write!(f, "slirp4netns{options}"),
            Self::Pasta(options) if options.is_empty() => f.write_str("pasta"),
            Self::Pasta(options) => write!(f, "pasta:{}", options.join(",")),
            Self::Container(name) => write!(f, "container:{name}"),
            Self::Ns(path) => write!(f, "ns:{}", path.display()),
            Self::Named(networks) => {
                let names: Vec<&str> = networks.iter().map(|n| n.network.as_str()).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl fmt::Display for SlirpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = [
            self.cidr.map(|v| format!("cidr={v}")),
            self.mtu.map(|v| format!("mtu={v}")),
            self.ipv6.map(|v| format!("enable_ipv6={v}")),
            self.host_loopback.then(|| "allow_host_loopback=true".to_owned()),
            self.outbound.as_ref().map(|v| format!("outbound_addr={v}")),
            self.outbound6.as_ref().map(|v| format!("outbound_addr6={v}")),
        ];
        let options: Vec<String> = options.into_iter().flatten().collect();
        if options.is_empty() { Ok(()) } else { write!(f, ":{}", options.join(",")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<NetworkMode, String> {
        text.parse().map_err(|e: NetworkParseError| e.to_string())
    }

    #[test]
    fn modes() {
        assert_eq!(parse("none"), Ok(NetworkMode::None));
        assert_eq!(parse("host"), Ok(NetworkMode::Host));
        for default in ["private", "bridge", "default", "slirp4netns"] {
            assert_eq!(parse(default), Ok(NetworkMode::default()), "{default}");
        }
        assert_eq!(parse("container:web"), Ok(NetworkMode::Container("web".into())));
        assert_eq!(parse("ns:/proc/1/ns/net"), Ok(NetworkMode::Ns("/proc/1/ns/net".into())));
        assert_eq!(parse("pasta:-t,8080"), Ok(NetworkMode::Pasta(vec!["-t".into(), "8080".into()])));
    }

    #[test]
    fn options_round_trip() {
        let text = "slirp4netns:cidr=10.9.0.0/16,mtu=1500,enable_ipv6=true,allow_host_loopback=true,outbound_addr=eth0";
        assert_eq!(parse(text).unwrap().to_string(), text);
        let json = serde_json::to_string(&parse(text).unwrap()).unwrap();
        assert_eq!(serde_json::from_str::<NetworkMode>(&json).unwrap(), parse(text).unwrap());
        assert_eq!(parse("slirp4netns:port_handler=rootlesskit"), Ok(NetworkMode::default()));
        assert_eq!(parse("slirp4netns:cidr=10.9.8.7/16").unwrap().to_string(), "slirp4netns:cidr=10.9.0.0/16");
    }

    #[test]
    fn user_networks() {
        let NetworkMode::Named(all) = parse("app:ip=10.5.0.7,mac=02:42:ac:11:00:02,alias=a,alias=b").unwrap() else {
            panic!("not a named network");
        };
        assert_eq!(all[0].network, "app");
        assert_eq!(all[0].ip, Some(Ipv4Addr::new(10, 5, 0, 7)));
        assert_eq!(all[0].mac, Some([2, 0x42, 0xac, 0x11, 0, 2]));
        assert_eq!(all[0].aliases, ["a", "b"]);
        assert_eq!(parse("name=app,alias=a").unwrap(), parse("app:alias=a").unwrap());
        assert_eq!(parse("name=bridge"), Ok(NetworkMode::default()));
        let long = "name=app,alias=a,ip6=fd00:1::5,gw-priority=-3,\"driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.forwarding=1,net.ipv4.conf.IFNAME.rp_filter=0\",driver-opt=com.docker.network.endpoint.ifname=lan0";
        let NetworkMode::Named(all) = parse(long).unwrap() else { panic!("not a named network") };
        assert_eq!((all[0].priority, all[0].sysctls.len(), all[0].interface.as_deref()), (-3, 2, Some("lan0")));
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Attachment>>(&json).unwrap(), all);
        assert_eq!(parse("a,b").unwrap().to_string(), "a,b");
        let all = |values: &[&str]| NetworkMode::parse_all(values).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(all(&["a:alias=x", "b"]).unwrap(), ["a,b"]);
        assert!(all(&[]).unwrap().is_empty());
        assert_eq!(all(&["a", "bridge"]).unwrap().len(), 2);
        assert!(all(&["a", "host"]).is_err() && all(&["none", "host"]).is_err() && all(&["host", "host"]).is_ok());
    }

    #[test]
    fn refusals() {
        for (text, reason) in [
            ("", "a name is missing"),
            ("container:", "the container's name is missing"),
            ("ns", "the namespace's path is missing"),
            ("host:mtu=1", "takes no options"),
            ("slirp4netns:mtu=70000", "from 576 to 65520"),
            ("slirp4netns:mtu=5", "from 576 to 65520"),
            ("slirp4netns:cidr=10.0.2.0/30", "prefix 1 to 25"),
            ("slirp4netns:foo=1", "unknown option \"foo=1\""),
            ("app:mac=01:00:00:00:00:00", "unicast hardware address"),
            ("app:mac=02:00:00:00:00", "unicast hardware address"),
            ("app:foo", "unknown option"),
            ("app:interface_name=lo", "not lo, tap0"),
            ("app:gw-priority=high", "a whole number"),
            ("name=app,link-local-ip=169.254.9.9", "unknown option"),
            ("name=app,driver-opt=x=y", "driver option \"x\" is not supported"),
            ("name=bridge,alias=x", "takes no options"),
            ("name=,alias=x", "a name is missing"),
            ("name=a:b", "invalid network name"),
            ("-x", "invalid network name"),
            ("a/b", "invalid network name"),
            ("a,,b", "invalid network name"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
