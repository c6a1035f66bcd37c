//! Resource limits as typed: `--ulimit nofile=1024:2048`, `--ulimit host`.
//!
//! Notation only; what the caller's own limits allow is decided in `runtime::plan::ulimit`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// No limit (`RLIM_INFINITY`), typed as `-1` or `unlimited`.
pub const UNLIMITED: u64 = u64::MAX;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Size of a core file, bytes.
    Core,
    /// Processor time, seconds.
    Cpu,
    /// Size of the data segment, bytes.
    Data,
    /// Size of a written file, bytes.
    Fsize,
    /// File locks (ignored by Linux since 2.4).
    Locks,
    /// Locked memory, bytes.
    Memlock,
    /// POSIX message queues, bytes.
    Msgqueue,
    /// Nice ceiling, 20 minus the nice value.
    Nice,
    /// Open files.
    Nofile,
    /// Processes of the user.
    Nproc,
    /// Resident memory, bytes (ignored by Linux).
    Rss,
    /// Real-time priority.
    Rtprio,
    /// Real-time processor time without a system call, microseconds.
    Rttime,
    /// Queued signals.
    Sigpending,
    /// Stack, bytes.
    Stack,
}

/// Names and the kernel's numbers (asm-generic/resource.h; the same on all architectures kelp runs on).
const RESOURCES: [(Resource, &str, u32); 15] = [
    (Resource::Core, "core", 4),
    (Resource::Cpu, "cpu", 0),
    (Resource::Data, "data", 2),
    (Resource::Fsize, "fsize", 1),
    (Resource::Locks, "locks", 10),
    (Resource::Memlock, "memlock", 8),
    (Resource::Msgqueue, "msgqueue", 12),
    (Resource::Nice, "nice", 13),
    (Resource::Nofile, "nofile", 7),
    (Resource::Nproc, "nproc", 6),
    (Resource::Rss, "rss", 5),
    (Resource::Rtprio, "rtprio", 14),
    (Resource::Rttime, "rttime", 15),
    (Resource::Sigpending, "sigpending", 11),
    (Resource::Stack, "stack", 3),
];

impl Resource {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        RESOURCES.iter().map(|(resource, _, _)| *resource)
    }

    /// The word of `--ulimit`.
    #[must_use]
    pub fn name(self) -> &'static str {
        RESOURCES[self as usize].1
    }

    /// The number setrlimit(2) takes.
    #[must_use]
    pub fn number(self) -> u32 {
        RESOURCES[self as usize].2
    }
}

/// A text that is no limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UlimitError {
    /// There is no `=`, or a limit is no number.
    #[error("invalid ulimit argument: {0}: expected TYPE=SOFT[:HARD] such as nofile=1024:2048")]
    Form(String),
    /// Unknown type.
    #[error("invalid ulimit type: {0}")]
    Type(String),
    /// Soft above hard.
    #[error("ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}")]
    Order {
        /// As typed.
        soft: String,
        /// As typed.
        hard: String,
    },
}

/// One limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ulimit {
    /// Of what.
    pub resource: Resource,
    /// In force.
    pub soft: u64,
    /// As far as the soft one may be raised.
    pub hard: u64,
}

/// One value of `--ulimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UlimitWord {
    /// `host`: all limits of the caller.
    Host,
    /// One limit.
    Limit(Ulimit),
}

fn value(text: &str) -> Option<u64> {
    match text {
        "-1" | "unlimited" => Some(UNLIMITED),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

impl FromStr for Ulimit {
    type Err = UlimitError;

    fn from_str(text: &str) -> Result<Self, UlimitError> {
        let form = || UlimitError::Form(text.chars().take(80).collect());
        let (name, limits) = text.split_once('=').ok_or_else(form)?;
        let resource = RESOURCES
            .iter()
            .find(|(_, known, _)| *known == name)
            .map(|(resource, _, _)| *resource)
            .ok_or_else(|| UlimitError::Type(name.chars().take(80).collect()))?;
        let (soft_text, hard_text) = limits.split_once(':').unwrap_or((limits, limits));
        let soft = value(soft_text).ok_or_else(form)?;
        let hard = value(hard_text).ok_or_else(form)?;
        if soft > hard {
            return Err(UlimitError::Order {
                soft: soft_text.to_owned(),
                hard: hard_text.to_owned(),
            });
        }
        Ok(Self {
            resource,
            soft,
            hard,
        })
    }
}

impl fmt::Display for Ulimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}=", self.resource.name())?;
        for (sep, limit) in [("", self.soft), (":", self.hard)] {
            match limit {
                UNLIMITED => write!(f, "{sep}-1")?,
                limit => write!(f, "{sep}{limit}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for UlimitWord {
    type Err = UlimitError;

    fn from_str(text: &str) -> Result<Self, UlimitError> {
        if text == "host" {
            return Ok(Self::Host);
        }
        text.parse().map(Self::Limit)
    }
}

impl fmt::Display for UlimitWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Limit(limit) => limit.fmt(f),
        }
    }
}

impl Serialize for UlimitWord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UlimitWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        let parse = |text: &str| text.parse::<Ulimit>();
        let limit = parse("nofile=1024:2048").unwrap();
        assert_eq!(
            (limit.resource.number(), limit.soft, limit.hard),
            (7, 1024, 2048)
        );
        assert_eq!(parse("core=0").unwrap().to_string(), "core=0:0");
        assert_eq!(parse("memlock=-1:-1").unwrap().hard, UNLIMITED);
        assert_eq!(
            parse("memlock=5:unlimited").unwrap().to_string(),
            "memlock=5:-1"
        );
        assert_eq!("host".parse(), Ok(UlimitWord::Host));
        for text in [
            "nofile",
            "nofile=",
            "nofile=a",
            "nofile=1:2:3",
            "nofile=-2",
            "nofile=1:",
            "nofile=+1",
        ] {
            assert!(matches!(parse(text), Err(UlimitError::Form(_))), "{text}");
        }
        assert!(matches!(parse("files=1"), Err(UlimitError::Type(_))));
        assert!(matches!(
            parse("nofile=2:1"),
            Err(UlimitError::Order { .. })
        ));
        assert!(matches!(
            parse("nofile=-1:1"),
            Err(UlimitError::Order { .. })
        ));
    }

    #[test]
    fn table_is_in_order() {
        for (at, (resource, name, number)) in RESOURCES.iter().enumerate() {
            assert_eq!(*resource as usize, at);
            assert_eq!((resource.name(), resource.number()), (*name, *number));
        }
        assert_eq!(Resource::Nproc.number(), libc::RLIMIT_NPROC);
        assert_eq!(Resource::Rttime.number(), libc::RLIMIT_RTTIME);
    }
}
