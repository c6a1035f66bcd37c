//! `--host-access`: which servers of the host's loopback a container may reach. Owns the grammar; what comes of it is the
//! business of `network::host_access`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which servers on the host's loopback a container reaches.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostAccess {
    /// None of them.
    #[default]
    None,
    /// Those on these ports, TCP and UDP; sorted, each once, none is 0.
    Ports(Vec<u16>),
    /// All of them.
    All,
}

/// More ports would rather be `all`.
const MAX_PORTS: usize = 64;

/// Why a `--host-access` value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostAccessError {
    /// Not of the grammar.
    #[error("expected none, all, or ports separated by commas, got {part:?}")]
    Port {
        /// What was typed.
        part: String,
    },
    /// Too many.
    #[error("{count} ports are more than {MAX_PORTS}: use all")]
    TooMany {
        /// How many.
        count: usize,
    },
}

impl HostAccess {
    /// Whether nothing is open.
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }
}

impl FromStr for HostAccess {
    type Err = HostAccessError;

    fn from_str(text: &str) -> Result<Self, HostAccessError> {
        match text {
            "none" => return Ok(Self::None),
            "all" => return Ok(Self::All),
            _ => {}
        }
        let port = |part: &str| match part.parse() {
            Ok(0) | Err(_) => Err(HostAccessError::Port { part: part.to_owned() }),
            Ok(port) => Ok(port),
        };
        let mut ports = text.split(',').map(port).collect::<Result<Vec<u16>, _>>()?;
        ports.sort_unstable();
        ports.dedup();
        match ports.len() {
            count if count > MAX_PORTS => Err(HostAccessError::TooMany { count }),
            _ => Ok(Self::Ports(ports)),
        }
    }
}

impl fmt::Display for HostAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::All => f.write_str("all"),
            Self::Ports(ports) => {
                let texts: Vec<String> = ports.iter().map(u16::to_string).collect();
                f.write_str(&texts.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for (text, shown) in [("none", "none"), ("all", "all"), ("5432", "5432"), ("8080,80,80", "80,8080")] {
            assert_eq!(text.parse::<HostAccess>().unwrap().to_string(), shown);
        }
        for bad in ["", "0", "80,", "70000", "http", "all,80", "-1", "80-90"] {
            assert!(bad.parse::<HostAccess>().is_err(), "{bad}");
        }
        let many: Vec<String> = (1..=65).map(|port: u16| port.to_string()).collect();
        assert!(many.join(",").parse::<HostAccess>().is_err());
    }
}
