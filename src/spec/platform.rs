//! Platforms: what an image was built for, and which entry of an index fits what was asked.
//!
//! Owns the notation `os/arch[/variant]`, its normalisation (as docker's) and the ranking of candidates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An operating system and a processor, in Go's names (`linux`, `amd64`, `arm` + `v7`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Platform {
    /// Operating system, `linux` for everything that can run here.
    pub os: String,
    /// Processor architecture.
    pub architecture: String,
    /// Variant of the architecture (`v7`); none when the default is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

/// The architectures of Linux that images are made for, as Go calls them.
const ARCHITECTURES: [&str; 13] = [
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le", "riscv64", "s390x",
];

/// A text that is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid platform \"{0}\": expected OS/ARCH or OS/ARCH/VARIANT such as linux/arm64")]
pub struct PlatformError(String);

impl Platform {
    /// Makes a platform in normal form.
    #[must_use]
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        let variant = variant
            .map(str::to_ascii_lowercase)
            .filter(|v| !v.is_empty());
        let (architecture, variant) = normal(&architecture.to_ascii_lowercase(), variant);
        Self {
            os,
            architecture,
            variant,
        }
    }

    /// The platform this program runs on.
    #[must_use]
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", None),
            "x86" => ("386", None),
            "aarch64" => ("arm64", None),
            "arm" => ("arm", Some("v7")),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", None),
            "powerpc64" => ("ppc64", None),
            "loongarch64" => ("loong64", None),
            other => (other, None),
        };
        Self::new("linux", architecture, variant)
    }

    /// Whether an image for `candidate` serves a request for `self`, and how well: lower is better, 0 is exact.
    ///
    /// Smaller variants of the same architecture run on bigger ones (arm v6 on v7, amd64 v1 on v3); nothing else does.
    #[must_use]
    pub fn rank(&self, candidate: &Self) -> Option<u32> {
        if self.os != candidate.os || self.architecture != candidate.architecture {
            return None;
        }
        if self.variant == candidate.variant {
            return Some(0);
        }
        let wanted = level(self)?;
        let offered = level(candidate)?;
        wanted.checked_sub(offered)
    }

    /// As [`Platform::rank`], for the host's default choice: also takes the 32-bit programs a 64-bit processor runs,
    /// after everything native.
    #[must_use]
    pub fn rank_compatible(&self, candidate: &Self) -> Option<u32> {
        if let Some(rank) = self.rank(candidate) {
            return Some(rank);
        }
        let smaller = match self.architecture.as_str() {
            "amd64" => Self::new(&self.os, "386", None),
            "arm64" => Self::new(&self.os, "arm", Some("v8")),
            _ => return None,
        };
        smaller.rank(candidate).map(|rank| rank + 100)
    }
}

/// Docker's normal form of architecture and variant.
fn normal(architecture: &str, variant: Option<String>) -> (String, Option<String>) {
    let (architecture, default) = match architecture {
        "x86_64" | "x86-64" | "amd64" => ("amd64", Some("v1")),
        "i386" | "i686" | "386" => ("386", None),
        "aarch64" | "arm64" => ("arm64", Some("v8")),
        "armhf" => ("arm", None),
        "armel" => return ("arm".to_owned(), variant.or(Some("v6".to_owned()))),
        "arm" => ("arm", None),
        other => (other, None),
    };
    let variant = match variant.as_deref() {
        None if architecture == "arm" => Some("v7".to_owned()),
        Some(text) if architecture.starts_with("arm") && !text.starts_with('v') => {
            Some(format!("v{text}"))
        }
        _ => variant,
    };
    // The default level is written as no variant at all, so that `arm64` and `arm64/v8` compare equal.
    let variant = variant.filter(|v| Some(v.as_str()) != default);
    (architecture.to_owned(), variant)
}

/// The number of a `vN` variant; the architecture's base level when there is none.
fn level(platform: &Platform) -> Option<u32> {
    match &platform.variant {
        Some(text) => {
            let number = text.strip_prefix('v')?;
            let whole = number.split('.').next()?;
            whole.parse().ok().filter(|n| *n < 100)
        }
        None => match platform.architecture.as_str() {
            "amd64" => Some(1),
            "arm64" => Some(8),
            _ => None,
        },
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    /// `linux/arm64/v8`, `linux/arm64`, `arm64` or `linux` (the missing half is the host's).
    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let bad = || PlatformError(text.chars().take(80).collect());
        let parts: Vec<&str> = text.split('/').collect();
        let fine = |part: &&str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        if text.len() > 80 || !parts.iter().all(fine) {
            return Err(bad());
        }
        let host = Self::host();
        match parts.as_slice() {
            [one] => {
                const SYSTEMS: [&str; 7] = [
                    "linux", "windows", "darwin", "freebsd", "openbsd", "netbsd", "wasip1",
                ];
                if SYSTEMS.contains(&one.to_ascii_lowercase().as_str()) {
                    return Ok(Self::new(one, &host.architecture, host.variant.as_deref()));
                }
                // A word alone must be known: as an architecture any other would be taken that no image has.
                let platform = Self::new(&host.os, one, None);
                ARCHITECTURES.contains(&platform.architecture.as_str()).then_some(platform).ok_or_else(bad)
            }
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    #[test]
    fn normal_forms() {
        for (text, normal) in [
            ("linux/x86_64", "linux/amd64"),
            ("linux/amd64/v1", "linux/amd64"),
            ("linux/amd64/v3", "linux/amd64/v3"),
            ("Linux/aarch64/V8", "linux/arm64"),
            ("linux/arm64/8", "linux/arm64"),
            ("linux/arm", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("arm64", "linux/arm64"),
            ("linux/riscv64", "linux/riscv64"),
        ] {
            assert_eq!(platform(text).to_string(), normal, "{text}");
        }
        assert_eq!(platform("linux"), Platform::host());
        for text in ["", "/", "linux/", "a/b/c/d", "linux/amd 64", "../x", "foo", "amd46"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }

    #[test]
    fn ranking() {
        let rank = |want: &str, have: &str| platform(want).rank(&platform(have));
        assert_eq!(rank("linux/amd64", "linux/amd64"), Some(0));
        assert_eq!(rank("linux/amd64", "linux/amd64/v2"), None);
        assert_eq!(rank("linux/amd64/v3", "linux/amd64/v2"), Some(1));
        assert_eq!(rank("linux/amd64/v3", "linux/amd64"), Some(2));
        assert_eq!(rank("linux/arm/v7", "linux/arm/v6"), Some(1));
        assert_eq!(rank("linux/arm/v6", "linux/arm/v7"), None);
        assert_eq!(rank("linux/arm64", "linux/arm64/v8"), Some(0));
        assert_eq!(rank("linux/arm64", "linux/arm/v7"), None);
        assert_eq!(rank("linux/amd64", "windows/amd64"), None);
        let arm64 = platform("linux/arm64");
        assert_eq!(arm64.rank_compatible(&platform("linux/arm/v7")), Some(101));
        assert_eq!(
            platform("linux/amd64").rank_compatible(&platform("linux/386")),
            Some(100)
        );
        assert_eq!(rank("linux/s390x/odd", "linux/s390x"), None);
    }
}
