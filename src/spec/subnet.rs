//! IP networks in prefix notation, of either family, the ranges of addresses handed out in them, and routes to others.
//!
//! Owns grammar and arithmetic. Which network a container gets is the business of `network`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is no network or range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {what} \"{text}\": {reason}")]
pub struct SubnetError {
    /// `subnet`, `ip-range`…
    pub what: &'static str,
    /// As typed.
    pub text: String,
    /// What is accepted.
    pub reason: &'static str,
}

/// An IP network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subnet {
    address: IpAddr,
    prefix: u8,
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => ip.into(),
    }
}

impl Subnet {
    /// The network `address` is in; `None` when the prefix is longer than an address.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        let width = if address.is_ipv4() { 32 } else { 128 };
        let left = width - u32::from(prefix).min(width);
        if u32::from(prefix) > width {
            return None;
        }
        let mask = u128::MAX.checked_shl(left).unwrap_or(0);
        let this = Self { address, prefix };
        Some(Self { address: this.with(bits(address) & mask), ..this })
    }

    /// The address of these bits, in this network's family.
    #[allow(clippy::cast_possible_truncation, reason = "the bits came from an address of the family")]
    fn with(self, bits: u128) -> IpAddr {
        if self.address.is_ipv4() { Ipv4Addr::from(bits as u32).into() } else { Ipv6Addr::from(bits).into() }
    }

    /// First address, host bits zero.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// Prefix length.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether it is one of IPv6.
    pub fn is_ipv6(self) -> bool {
        self.address.is_ipv6()
    }

    /// Last address, host bits one.
    pub fn last(self) -> IpAddr {
        let width: u32 = if self.is_ipv6() { 128 } else { 32 };
        let hosts = (1_u128.checked_shl(width - u32::from(self.prefix)).unwrap_or(0)).wrapping_sub(1);
        self.with(bits(self.address) | hosts)
    }

    /// Whether the address is in it.
    pub fn contains(self, ip: IpAddr) -> bool {
        ip.is_ipv6() == self.is_ipv6() && bits(ip) >= bits(self.address) && bits(ip) <= bits(self.last())
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    /// The first and last address that containers may have: without network and broadcast address.
    pub fn hosts(self) -> (IpAddr, IpAddr) {
        let (first, last) = (bits(self.address), bits(self.last()));
        match last - first {
            // Networks of one and of two addresses (RFC 3021) use all they have.
            0 | 1 => (self.address, self.last()),
            _ if self.is_ipv6() => (self.with(first + 1), self.with(last)),
            _ => (self.with(first + 1), self.with(last - 1)),
        }
    }

    /// The next address, `None` after the last of all.
    pub fn next(ip: IpAddr) -> Option<IpAddr> {
        match ip {
            IpAddr::V4(ip) => u32::from(ip).checked_add(1).map(|next| Ipv4Addr::from(next).into()),
            IpAddr::V6(ip) => u128::from(ip).checked_add(1).map(|next| Ipv6Addr::from(next).into()),
        }
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let bad = || SubnetError { what: "subnet", text: text.to_owned(), reason: "expected a network such as 10.5.0.0/24 or fd00:5::/64" };
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad());
        }
        Self::new(address.parse().map_err(|_| bad())?, prefix.parse().map_err(|_| bad())?).ok_or_else(bad)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.prefix)
    }
}

impl Serialize for Subnet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Subnet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A way to a network by way of an address of another: `--route`, as `NETWORK/PREFIX,GATEWAY[,METRIC]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticRoute {
    /// Where it leads.
    pub destination: Subnet,
    /// The next hop.
    pub gateway: IpAddr,
    /// Of several to the same network, the one with the lowest is used; that of the default route when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<u32>,
}

impl FromStr for StaticRoute {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let bad = |reason| SubnetError { what: "route", text: text.to_owned(), reason };
        let shape = "expected a network, a gateway and perhaps a metric, such as 10.9.0.0/16,10.5.0.254,50";
        let mut parts = text.split(',');
        let (Some(destination), Some(gateway), metric, None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(bad(shape));
        };
        let destination: Subnet = destination.parse().map_err(|_| bad(shape))?;
        let gateway: IpAddr = gateway.parse().map_err(|_| bad(shape))?;
        let metric = metric.map(|text| text.parse().map_err(|_| bad("the metric must be a number"))).transpose()?;
        if gateway.is_ipv6() != destination.is_ipv6() {
            return Err(bad("network and gateway must be of one family"));
        }
        Ok(Self { destination, gateway, metric })
    }
}

/// Addresses from one to another, both included: `--ip-range`, as `A.B.C.D/N` or `FIRST-LAST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpRange {
    /// The first.
    pub first: IpAddr,
    /// The last, of the same family.
    pub last: IpAddr,
}

impl FromStr for IpRange {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let bad = |reason| SubnetError { what: "ip-range", text: text.to_owned(), reason };
        if text.contains('/') {
            let net: Subnet = text.parse().map_err(|_| bad("expected a network such as 10.5.0.128/25"))?;
            return Ok(Self { first: net.address(), last: net.last() });
        }
        let reason = "expected a network such as 10.5.0.128/25, or FIRST-LAST";
        let (first, last) = text.split_once('-').ok_or_else(|| bad(reason))?;
        let range = Self { first: first.parse().map_err(|_| bad(reason))?, last: last.parse().map_err(|_| bad(reason))? };
        if range.first.is_ipv6() != range.last.is_ipv6() || range.first > range.last {
            return Err(bad("the last address must not come before the first"));
        }
        Ok(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn networks() {
        assert_eq!(net("10.5.0.7/24").to_string(), "10.5.0.0/24");
        assert_eq!(net("10.5.0.7/24").last().to_string(), "10.5.0.255");
        assert_eq!(net("0.0.0.0/0").last().to_string(), "255.255.255.255");
        assert_eq!(net("fd00:5::9/64").to_string(), "fd00:5::/64");
        assert_eq!(net("::/0").last().to_string(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(net("10.5.0.0/24").hosts(), ("10.5.0.1".parse().unwrap(), "10.5.0.254".parse().unwrap()));
        assert_eq!(net("10.5.0.4/31").hosts(), ("10.5.0.4".parse().unwrap(), "10.5.0.5".parse().unwrap()));
        assert_eq!(net("10.5.0.4/32").hosts().0, net("10.5.0.4/32").hosts().1);
        for bad in ["10.5.0.0", "10.5.0.0/33", "10.5.0/24", "fd00::/129", "10.5.0.0/", "10.5.0.0/+4", "x/8"] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad}");
        }
    }

    #[test]
    fn containment() {
        assert!(net("10.5.0.0/16").contains("10.5.255.255".parse().unwrap()));
        assert!(!net("10.5.0.0/16").contains("10.6.0.0".parse().unwrap()));
        assert!(!net("10.5.0.0/16").contains("::1".parse().unwrap()));
        assert!(net("10.0.0.0/8").overlaps(net("10.5.0.0/24")) && net("10.5.0.0/24").overlaps(net("10.0.0.0/8")));
        assert!(!net("10.5.0.0/24").overlaps(net("10.5.1.0/24")));
    }

    #[test]
    fn routes() {
        let route: StaticRoute = "10.9.0.0/16,10.5.0.254,50".parse().unwrap();
        assert_eq!((route.destination.to_string(), route.metric), ("10.9.0.0/16".to_owned(), Some(50)));
        assert_eq!("::/0,fd00:5::9".parse::<StaticRoute>().unwrap().metric, None);
        for (bad, reason) in [
            ("10.9.0.0/16", "expected a network, a gateway"),
            ("10.9.0.0/16,10.5.0.1,5,6", "expected a network, a gateway"),
            ("10.9.0.0/16,10.5.0.1,x", "must be a number"),
            ("10.9.0.0/16,fd00::1", "of one family"),
        ] {
            let error = bad.parse::<StaticRoute>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn ranges() {
        let range: IpRange = "10.5.0.128/25".parse().unwrap();
        assert_eq!((range.first, range.last), ("10.5.0.128".parse().unwrap(), "10.5.0.255".parse().unwrap()));
        assert!("10.5.0.2-10.5.0.9".parse::<IpRange>().is_ok());
        for bad in ["10.5.0.9-10.5.0.2", "10.5.0.9", "10.5.0.1-::1"] {
            assert!(bad.parse::<IpRange>().is_err(), "{bad}");
        }
    }
}
