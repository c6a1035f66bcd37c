//! Options of a container's place on a network, by docker's names: `driver-opt` of `--network` and of `network connect`.
//!
//! Owns which there are and what they may say. Those that mean nothing here are refused, with a reason.

use serde::{Deserialize, Serialize};

use super::network::NetworkParseError;

/// The name of the link inside.
const IFNAME: &str = "com.docker.network.endpoint.ifname";
/// Kernel parameters of the link, `net.ipv4.conf.IFNAME.forwarding=1`, separated by commas.
const SYSCTLS: &str = "com.docker.network.endpoint.sysctls";
/// The place of the link's name in a parameter.
const PLACE: &str = "IFNAME";

/// A kernel parameter of a link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSysctl {
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// `conf` or `neigh`.
    pub kind: String,
    /// Its own name.
    pub name: String,
    /// What it becomes.
    pub value: String,
}

impl LinkSysctl {
    /// Its file, for a link of this name.
    pub fn path(&self, link: &str) -> String {
        format!("/proc/sys/net/{}/{}/{link}/{}", self.family, self.kind, self.name)
    }

    fn parse(text: &str) -> Option<Self> {
        let (key, value) = text.split_once('=')?;
        let mut parts = key.split('.');
        if parts.next() != Some("net") {
            return None;
        }
        let (family, kind, place, name) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let fits = matches!(family, "ipv4" | "ipv6") && matches!(kind, "conf" | "neigh") && place == PLACE && plain(name);
        let good = fits && parts.next().is_none() && !value.is_empty() && value.bytes().all(|b| (b' '..=b'~').contains(&b));
        good.then(|| Self { family: family.into(), kind: kind.into(), name: name.into(), value: value.into() })
    }
}

/// What an option says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndpointOption {
    /// The name of the link inside.
    Interface(String),
    /// Kernel parameters of the link.
    Sysctls(Vec<LinkSysctl>),
}

impl EndpointOption {
    /// Parses an option.
    ///
    /// # Errors
    /// One that is not known, or a value that is not of its kind.
    pub fn parse(key: &str, value: &str) -> Result<Self, NetworkParseError> {
        match key {
            IFNAME => Ok(Self::Interface(interface(key, value)?)),
            SYSCTLS => {
                let bad = |text: &str| NetworkParseError::Value {
                    option: SYSCTLS.to_owned(),
                    value: text.to_owned(),
                    want: "net.ipv4 or net.ipv6, then conf or neigh, as in net.ipv4.conf.IFNAME.forwarding=1",
                };
                let each = value.split(',').map(|text| LinkSysctl::parse(text).ok_or_else(|| bad(text)));
                Ok(Self::Sysctls(each.collect::<Result<_, _>>()?))
            }
            _ => Err(NetworkParseError::DriverOption { option: key.to_owned() }),
        }
    }
}

/// Checks the name of a link inside; `option` names it in the error.
///
/// # Errors
/// One that no link can have, or that another link has.
pub fn interface(option: &str, name: &str) -> Result<String, NetworkParseError> {
    let good = (1..=15).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    // The loopback link, and the one of the default network.
    if good && !matches!(name, "." | ".." | "lo" | "tap0" | "all" | "default") {
        return Ok(name.to_owned());
    }
    let want = "at most 15 letters, digits, '.', '_' and '-', and not lo, tap0, all or default";
    Err(NetworkParseError::Value { option: option.to_owned(), value: name.to_owned(), want })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_of_the_link() {
        let Ok(EndpointOption::Sysctls(all)) =
            EndpointOption::parse(SYSCTLS, "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.IFNAME.gc_stale_time=9")
        else {
            panic!("refused");
        };
        assert_eq!(all[0].path("eth0"), "/proc/sys/net/ipv4/conf/eth0/log_martians");
        assert_eq!(all[1].path("eth0"), "/proc/sys/net/ipv6/neigh/eth0/gc_stale_time");
        for bad in [
            "net.ipv4.conf.eth0.forwarding=1",
            "net.ipv4.conf.IFNAME=1",
            "net.ipv4.conf.IFNAME./../x=1",
            "net.ipv4.conf.IFNAME.a.b=1",
            "net.ipv4.ip_forward=1",
            "kernel.conf.IFNAME.x=1",
            "net.ipv4.conf.IFNAME.forwarding",
            "net.ipv4.conf.IFNAME.forwarding=1,",
            "",
        ] {
            assert!(EndpointOption::parse(SYSCTLS, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_links() {
        assert_eq!(EndpointOption::parse(IFNAME, "lan0"), Ok(EndpointOption::Interface("lan0".into())));
        for bad in ["", "lo", "tap0", "..", "a/b", "a b", "sixteen-letters-"] {
            assert!(EndpointOption::parse(IFNAME, bad).is_err(), "{bad}");
        }
        let error = EndpointOption::parse("com.docker.network.bridge.name", "x").unwrap_err();
        assert!(error.to_string().contains("com.docker.network.endpoint.ifname"), "{error}");
    }
}
