//! `--add-host NAME[;NAME…]:ADDRESS` (docker also takes `NAME=ADDRESS`): a line for the container's /etc/hosts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One extra line of /etc/hosts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostEntry {
    /// Names, at least one.
    pub names: Vec<String>,
    /// Their address.
    pub address: HostAddress,
}

/// The address of a [`HostEntry`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostAddress {
    /// This one.
    Ip(IpAddr),
    /// `host-gateway`: an address at which the host answers.
    Gateway,
}

/// Why a `--add-host` value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid value {value:?} of --add-host: {reason}")]
pub struct HostEntryError {
    /// What was typed.
    pub value: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl FromStr for HostEntry {
    type Err = HostEntryError;

    fn from_str(text: &str) -> Result<Self, HostEntryError> {
        let bad = |reason| HostEntryError { value: text.to_owned(), reason };
        // A name has neither sign, an IPv6 address has colons: the first sign is the border.
        let at = text.find([':', '=']).ok_or_else(|| bad("must be NAME:ADDRESS"))?;
        let (names, address) = (&text[..at], &text[at + 1..]);
        let names: Vec<String> = names.split(';').map(str::to_owned).collect();
        let plain = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_ascii_graphic() && c != '#');
        if !names.iter().all(plain) {
            return Err(bad("the name is missing, or has a character no name has"));
        }
        let address = match address {
            "host-gateway" => HostAddress::Gateway,
            _ => {
                let bracketed = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                let ip = match bracketed {
                    Some(inner) => inner.parse::<Ipv6Addr>().map(IpAddr::V6),
                    None => address.parse::<IpAddr>(),
                };
                HostAddress::Ip(ip.map_err(|_| bad("the address must be an IP address or host-gateway"))?)
            }
        };
        Ok(Self { names, address })
    }
}

impl fmt::Display for HostEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            HostAddress::Ip(ip) => write!(f, "{}:{ip}", self.names.join(";")),
            HostAddress::Gateway => write!(f, "{}:host-gateway", self.names.join(";")),
        }
    }
}

impl Serialize for HostEntry {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for HostEntry {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for (typed, shown) in [
            ("db:10.0.0.5", "db:10.0.0.5"),
            ("db=10.0.0.5", "db:10.0.0.5"),
            ("a;b:::1", "a;b:::1"),
            ("a:[::1]", "a:::1"),
            ("h:host-gateway", "h:host-gateway"),
        ] {
            assert_eq!(typed.parse::<HostEntry>().unwrap().to_string(), shown);
        }
        for bad in ["", "db", ":1.2.3.4", "db:", "db:x", "d b:1.2.3.4", "a;:1.2.3.4", "a\n:1.2.3.4"] {
            assert!(bad.parse::<HostEntry>().is_err(), "{bad:?}");
        }
    }
}
