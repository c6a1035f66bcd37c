//! Devices as typed: `--device /dev/fuse[:/dev/x][:rwm]`, and names of the Container Device Interface.
//!
//! Notation only; whether the node exists and may be opened is found out when the container is prepared.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Too many colons, or nothing at all.
    #[error("invalid device specification: {0}: expected HOST[:CONTAINER][:rwm]")]
    Form(String),
    /// A mode other than a choice of r, w, m.
    #[error("invalid device mode: {0}: expected a choice of r, w and m")]
    Mode(String),
    /// A path is not absolute, or has `..` in it.
    #[error("invalid device path {0}: it must be absolute and without ..")]
    Path(String),
}

/// What may be done with a device node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceMode {
    /// Read.
    pub read: bool,
    /// Write.
    pub write: bool,
    /// Make further nodes of it.
    pub mknod: bool,
}

impl DeviceMode {
    /// The default.
    pub const ALL: Self = Self {
        read: true,
        write: true,
        mknod: true,
    };
}

impl FromStr for DeviceMode {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let mut mode = Self {
            read: false,
            write: false,
            mknod: false,
        };
        let error = || DeviceError::Mode(text.escape_default().take(40).collect());
        for letter in text.chars() {
            let flag = match letter {
                'r' => &mut mode.read,
                'w' => &mut mode.write,
                'm' => &mut mode.mknod,
                _ => return Err(error()),
            };
            if std::mem::replace(flag, true) {
                return Err(error());
            }
        }
        if text.is_empty() {
            Err(error())
        } else {
            Ok(mode)
        }
    }
}

impl fmt::Display for DeviceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (given, letter) in [(self.read, "r"), (self.write, "w"), (self.mknod, "m")] {
            f.write_str(if given { letter } else { "" })?;
        }
        Ok(())
    }
}

/// One value of `--device`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Device {
    /// A node of the host, or a directory of them.
    Node {
        /// Path on the host, absolute.
        host: String,
        /// Path in the container, absolute and without `..`.
        container: String,
        /// What may be done with it.
        mode: DeviceMode,
    },
    /// A qualified name `vendor.com/class=name`.
    Cdi(String),
}

fn path(text: &str) -> Result<String, DeviceError> {
    let bad = !text.starts_with('/')
        || text.len() > 4095
        || text.contains('\0')
        || text.split('/').any(|part| part == "..");
    if bad {
        return Err(DeviceError::Path(text.escape_default().take(80).collect()));
    }
    Ok(text.to_owned())
}

/// Whether `text` is a name of the Container Device Interface.
fn is_cdi(text: &str) -> bool {
    let word = |text: &str, more: &[u8]| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || more.contains(&b))
    };
    text.split_once('=').is_some_and(|(kind, name)| {
        kind.split_once('/')
            .is_some_and(|(vendor, class)| word(vendor, b"._-") && word(class, b"._-"))
            && word(name, b"._-:")
    })
}

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        if is_cdi(text) {
            return Ok(Self::Cdi(text.to_owned()));
        }
        let fields: Vec<&str> = text.split(':').collect();
        let (host, container, mode) = match fields.as_slice() {
            [host] => (*host, "", "rwm"),
            [host, mode] if mode.parse::<DeviceMode>().is_ok() => (*host, "", *mode),
            [host, container] => (*host, *container, "rwm"),
            [host, container, mode] => (*host, *container, *mode),
            _ => return Err(DeviceError::Form(text.escape_default().take(80).collect())),
        };
        if host.is_empty() {
            return Err(DeviceError::Form(text.escape_default().take(80).collect()));
        }
        let host = path(host)?;
        let container = if container.is_empty() {
            host.clone()
        } else {
            path(container)?
        };
        Ok(Self::Node {
            host,
            container,
            mode: mode.parse()?,
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node {
                host,
                container,
                mode,
            } => write!(f, "{host}:{container}:{mode}"),
            Self::Cdi(name) => f.write_str(name),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
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
    fn grammar() {
        let shown = |text: &str| text.parse::<Device>().unwrap().to_string();
        assert_eq!(shown("/dev/fuse"), "/dev/fuse:/dev/fuse:rwm");
        assert_eq!(shown("/dev/fuse:r"), "/dev/fuse:/dev/fuse:r");
        assert_eq!(shown("/dev/fuse:/dev/x"), "/dev/fuse:/dev/x:rwm");
        assert_eq!(shown("/dev/fuse:/dev/x:mr"), "/dev/fuse:/dev/x:rm");
        assert_eq!(shown("/dev/fuse::w"), "/dev/fuse:/dev/fuse:w");
        assert_eq!(shown("nvidia.com/gpu=all"), "nvidia.com/gpu=all");
        assert!(matches!("vendor.com/net=eth0".parse(), Ok(Device::Cdi(_))));
    }

    #[test]
    fn refused() {
        for text in ["", ":/dev/x", "/a:/b:r:w"] {
            assert!(
                matches!(text.parse::<Device>(), Err(DeviceError::Form(_))),
                "{text}"
            );
        }
        for text in [
            "dev/fuse",
            "/dev/fuse:x",
            "/dev/../x",
            "/dev/fuse:/dev/../../etc",
            "/dev/fuse:rr",
        ] {
            assert!(
                matches!(text.parse::<Device>(), Err(DeviceError::Path(_))),
                "{text}"
            );
        }
        for text in [
            "/dev/fuse:/dev/x:rr",
            "/dev/fuse:/dev/x:z",
            "/dev/fuse:/dev/x:",
        ] {
            assert!(
                matches!(text.parse::<Device>(), Err(DeviceError::Mode(_))),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn round_trip(text in "[/a-z.:=rwm]{0,24}") {
            if let Ok(device) = text.parse::<Device>() {
                prop_assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
            }
        }
    }
}
