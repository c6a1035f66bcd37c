//! Kernel parameters as typed: `--sysctl net.ipv4.ip_forward=1`.
//!
//! Owns the notation and the list of parameters that belong to a namespace of the container (docker's and runc's):
//! any other would change the host, and is refused.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The namespace a parameter belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SysctlNamespace {
    /// System V and POSIX IPC.
    Ipc,
    /// Network.
    Net,
    /// Host and domain name.
    Uts,
}

/// A text that is no parameter a container may set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SysctlError {
    /// There is no `=`.
    #[error("invalid sysctl \"{0}\": expected KEY=VALUE such as net.ipv4.ip_forward=1")]
    Form(String),
    /// Not in a namespace of the container.
    #[error(
        "sysctl '{0}' is not allowed: only those of the container's own namespaces are (net.*, fs.mqueue.*, kernel.msg*, \
         kernel.sem, kernel.shm*, kernel.domainname)"
    )]
    NotAllowed(String),
    /// The host name has its own flag.
    #[error("sysctl 'kernel.hostname' is not allowed: use --hostname")]
    Hostname,
}

/// The parameters outside `net.` and `fs.mqueue.`.
const SINGLE: [(&str, SysctlNamespace); 9] = [
    ("kernel.msgmax", SysctlNamespace::Ipc),
    ("kernel.msgmnb", SysctlNamespace::Ipc),
    ("kernel.msgmni", SysctlNamespace::Ipc),
    ("kernel.sem", SysctlNamespace::Ipc),
    ("kernel.shmall", SysctlNamespace::Ipc),
    ("kernel.shmmax", SysctlNamespace::Ipc),
    ("kernel.shmmni", SysctlNamespace::Ipc),
    ("kernel.shm_rmid_forced", SysctlNamespace::Ipc),
    ("kernel.domainname", SysctlNamespace::Uts),
];

/// One parameter and its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Sysctl {
    parts: Vec<String>,
    namespace: SysctlNamespace,
    value: String,
}

impl Sysctl {
    /// From the two sides of the `=`.
    pub fn new(key: &str, value: &str) -> Result<Self, SysctlError> {
        let shown = || key.escape_default().take(80).collect::<String>();
        let parts = parts(key).ok_or_else(|| SysctlError::NotAllowed(shown()))?;
        let dotted = parts.join(".");
        if dotted == "kernel.hostname" {
            return Err(SysctlError::Hostname);
        }
        let namespace = match (parts[0].as_str(), parts.get(1).map(String::as_str)) {
            ("net", Some(_)) => Some(SysctlNamespace::Net),
            ("fs", Some("mqueue")) if parts.len() > 2 => Some(SysctlNamespace::Ipc),
            _ => SINGLE
                .iter()
                .find(|(name, _)| *name == dotted)
                .map(|(_, namespace)| *namespace),
        };
        let namespace = namespace.ok_or_else(|| SysctlError::NotAllowed(shown()))?;
        if value.is_empty() || value.len() > 4096 || value.bytes().any(|b| b == 0 || b == b'\n') {
            return Err(SysctlError::Form(format!(
                "{}={}",
                shown(),
                value.escape_default().take(40).collect::<String>()
            )));
        }
        Ok(Self {
            parts,
            namespace,
            value: value.to_owned(),
        })
    }

    /// With dots, as `inspect` shows it; a dot inside a part (an interface's name) becomes a slash, as in sysctl(8).
    #[must_use]
    pub fn key(&self) -> String {
        let parts: Vec<String> = self
            .parts
            .iter()
            .map(|part| part.replace('.', "/"))
            .collect();
        parts.join(".")
    }

    /// Below `/proc/sys`; each part is one plain file name.
    #[must_use]
    pub fn path(&self) -> String {
        self.parts.join("/")
    }

    /// What is to be written.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The namespace that must be the container's own.
    #[must_use]
    pub fn namespace(&self) -> SysctlNamespace {
        self.namespace
    }
}

/// The parts of a key. Whichever of `.` and `/` comes first separates; the other then stands for the first inside a
/// part (sysctl(8)).
fn parts(key: &str) -> Option<Vec<String>> {
    let separator = key.chars().find(|c| matches!(c, '.' | '/'))?;
    let plain = |part: &str| {
        let part = if separator == '.' {
            part.replace('/', ".")
        } else {
            part.to_owned()
        };
        let ok = !part.is_empty()
            && part.len() <= 255
            && part != "."
            && part != ".."
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-.:@".contains(&b));
        ok.then_some(part)
    };
    key.split(separator).map(plain).collect()
}

impl FromStr for Sysctl {
    type Err = SysctlError;

    fn from_str(text: &str) -> Result<Self, SysctlError> {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| SysctlError::Form(text.escape_default().take(80).collect()))?;
        Self::new(key.trim(), value.trim())
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key(), self.value)
    }
}

impl Serialize for Sysctl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sysctl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn allowed() {
        let parse = |text: &str| text.parse::<Sysctl>().unwrap();
        let forward = parse("net.ipv4.ip_forward=1");
        assert_eq!(
            (forward.path().as_str(), forward.value()),
            ("net/ipv4/ip_forward", "1")
        );
        assert_eq!(forward.namespace(), SysctlNamespace::Net);
        assert_eq!(
            parse("fs.mqueue.msg_max=100").namespace(),
            SysctlNamespace::Ipc
        );
        assert_eq!(
            parse("kernel.sem=250 32000 32 128").value(),
            "250 32000 32 128"
        );
        let vlan = parse("net/ipv4/conf/eth0.100/forwarding=1");
        assert_eq!(vlan.path(), "net/ipv4/conf/eth0.100/forwarding");
        assert_eq!(vlan.key(), "net.ipv4.conf.eth0/100.forwarding");
        assert_eq!(parse(&vlan.to_string()), vlan);
    }

    #[test]
    fn refused() {
        for text in [
            "kernel.core_pattern=|/x",
            "vm.swappiness=1",
            "fs.file-max=1",
            "kernel.shmmax/../core_pattern=1",
            "net.=1",
            "net=1",
            "net..ipv4=1",
            "net/../kernel/core_pattern=1",
            "net.//.x=1",
            "net.ipv4./././x=1",
            "fs.mqueue=1",
            "/net/x=1",
            "net.ipv4.x\0=1",
        ] {
            assert!(
                matches!(text.parse::<Sysctl>(), Err(SysctlError::NotAllowed(_))),
                "{text}"
            );
        }
        assert!(matches!(
            "net.ipv4.x".parse::<Sysctl>(),
            Err(SysctlError::Form(_))
        ));
        assert!(matches!(
            "net.ipv4.x=".parse::<Sysctl>(),
            Err(SysctlError::Form(_))
        ));
        assert_eq!(
            "kernel.hostname=x".parse::<Sysctl>(),
            Err(SysctlError::Hostname)
        );
    }

    proptest! {
        #[test]
        fn paths_never_leave(text in "(net|fs|kernel)?[./a-z0-9:]{0,20}=[a-z0-9 ]{1,4}") {
            if let Ok(sysctl) = text.parse::<Sysctl>() {
                let path = sysctl.path();
                prop_assert!(path.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
                prop_assert_eq!(sysctl.to_string().parse::<Sysctl>().unwrap(), sysctl);
            }
        }
    }
}
