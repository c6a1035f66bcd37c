//! Capabilities: their names, sets of them, and what `--cap-add`, `--cap-drop` and `--privileged` make of a set.
//!
//! Plain data (linux/capability.h numbers); the system calls are `sys::caps`. It must not ask the kernel anything: a
//! capability the running kernel does not know is cut off where the set is applied.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Names in the order of their numbers.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// One capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cap(u8);

impl Cap {
    /// CAP_CHOWN.
    pub const CHOWN: Self = Self(0);
    /// CAP_DAC_OVERRIDE.
    pub const DAC_OVERRIDE: Self = Self(1);
    /// CAP_DAC_READ_SEARCH.
    pub const DAC_READ_SEARCH: Self = Self(2);
    /// CAP_FOWNER.
    pub const FOWNER: Self = Self(3);
    /// CAP_FSETID.
    pub const FSETID: Self = Self(4);
    /// CAP_KILL.
    pub const KILL: Self = Self(5);
    /// CAP_SETGID.
    pub const SETGID: Self = Self(6);
    /// CAP_SETUID.
    pub const SETUID: Self = Self(7);
    /// CAP_SETPCAP.
    pub const SETPCAP: Self = Self(8);
    /// CAP_NET_BIND_SERVICE.
    pub const NET_BIND_SERVICE: Self = Self(10);
    /// CAP_NET_ADMIN.
    pub const NET_ADMIN: Self = Self(12);
    /// CAP_NET_RAW.
    pub const NET_RAW: Self = Self(13);
    /// CAP_SYS_CHROOT.
    pub const SYS_CHROOT: Self = Self(18);
    /// CAP_SYS_PTRACE.
    pub const SYS_PTRACE: Self = Self(19);
    /// CAP_SYS_ADMIN.
    pub const SYS_ADMIN: Self = Self(21);
    /// CAP_MKNOD.
    pub const MKNOD: Self = Self(27);
    /// CAP_AUDIT_WRITE.
    pub const AUDIT_WRITE: Self = Self(29);
    /// CAP_SETFCAP.
    pub const SETFCAP: Self = Self(31);

    /// The kernel's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Its name with the prefix, as OCI and `inspect` write it.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[usize::from(self.0)]
    }
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no capability.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown capability: \"{0}\"")]
pub struct CapError(String);

impl FromStr for Cap {
    type Err = CapError;

    /// Any case, with or without `CAP_`.
    fn from_str(text: &str) -> Result<Self, CapError> {
        let upper = text.trim().to_ascii_uppercase();
        let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
        (0u8..)
            .zip(NAMES)
            .find(|(_, name)| &name["CAP_".len()..] == short)
            .map(|(number, _)| Self(number))
            .ok_or_else(|| {
                CapError(format!(
                    "CAP_{}",
                    short.chars().take(60).collect::<String>()
                ))
            })
    }
}

/// A set of capabilities; one bit each, numbered as the kernel does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct CapSet(u64);

impl CapSet {
    /// No capability.
    pub const EMPTY: Self = Self(0);
    /// Every capability this program knows.
    pub const ALL: Self = Self((1 << NAMES.len()) - 1);
    /// What docker gives to a container when nothing is said.
    pub const DOCKER_DEFAULT: Self = Self::of(&[
        Cap::CHOWN,
        Cap::DAC_OVERRIDE,
        Cap::FOWNER,
        Cap::FSETID,
        Cap::KILL,
        Cap::SETGID,
        Cap::SETUID,
        Cap::SETPCAP,
        Cap::NET_BIND_SERVICE,
        Cap::NET_RAW,
        Cap::SYS_CHROOT,
        Cap::MKNOD,
        Cap::AUDIT_WRITE,
        Cap::SETFCAP,
    ]);

    /// A set of exactly these.
    #[must_use]
    pub const fn of(caps: &[Cap]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < caps.len() {
            bits |= 1 << caps[at].0;
            at += 1;
        }
        Self(bits)
    }

    /// From a kernel mask (`CapBnd` of /proc); bits nobody has a name for are cut off.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// The kernel's mask.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether `cap` is in the set.
    #[must_use]
    pub const fn contains(self, cap: Cap) -> bool {
        self.0 & (1 << cap.0) != 0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// With `cap`.
    #[must_use]
    pub const fn with(self, cap: Cap) -> Self {
        Self(self.0 | (1 << cap.0))
    }

    /// Without `cap`.
    #[must_use]
    pub const fn without(self, cap: Cap) -> Self {
        Self(self.0 & !(1 << cap.0))
    }

    /// What is in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is here and not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// In the order of the numbers.
    pub fn iter(self) -> impl Iterator<Item = Cap> {
        (0u8..)
            .take(NAMES.len())
            .map(Cap)
            .filter(move |cap| self.contains(*cap))
    }

    /// What a container gets: `base` changed by `--cap-add` and `--cap-drop`, by docker's rules.
    ///
    /// An added capability wins over the same one dropped; `--cap-add ALL` is everything but what is dropped by name;
    /// `--cap-drop ALL` leaves what is added. One difference: docker forgets `--cap-drop` when `--privileged` is
    /// given, here a drop asked for by name is honoured then, too.
    #[must_use]
    pub fn resolve(base: Self, add: &[CapWord], drop: &[CapWord], privileged: bool) -> Self {
        let named = |words: &[CapWord]| {
            words.iter().fold(Self::EMPTY, |set, word| match word {
                CapWord::All => set,
                CapWord::One(cap) => set.with(*cap),
            })
        };
        if privileged || add.contains(&CapWord::All) {
            Self::ALL.difference(named(drop))
        } else if drop.contains(&CapWord::All) {
            named(add)
        } else {
            base.difference(named(drop)).union(named(add))
        }
    }
}

impl FromIterator<Cap> for CapSet {
    fn from_iter<I: IntoIterator<Item = Cap>>(caps: I) -> Self {
        caps.into_iter().fold(Self::EMPTY, Self::with)
    }
}

/// Stored as a list of names, so that records stay readable.
impl Serialize for CapSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Cap::name))
    }
}

impl<'de> Deserialize<'de> for CapSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?
            .iter()
            .map(|name| name.parse::<Cap>().map_err(serde::de::Error::custom))
            .collect()
    }
}

/// One value of `--cap-add` or `--cap-drop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CapWord {
    /// `ALL`.
    All,
    /// One by name.
    One(Cap),
}

impl FromStr for CapWord {
    type Err = CapError;

    fn from_str(text: &str) -> Result<Self, CapError> {
        if text.trim().eq_ignore_ascii_case("all") {
            return Ok(Self::All);
        }
        text.parse().map(Self::One)
    }
}

impl fmt::Display for CapWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("ALL"),
            Self::One(cap) => cap.fmt(f),
        }
    }
}

impl Serialize for CapWord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CapWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(list: &str) -> Vec<CapWord> {
        list.split_whitespace()
            .map(|w| w.parse().unwrap())
            .collect()
    }

    fn resolved(add: &str, drop: &str) -> CapSet {
        CapSet::resolve(CapSet::DOCKER_DEFAULT, &words(add), &words(drop), false)
    }

    #[test]
    fn names() {
        for text in ["net_admin", "CAP_NET_ADMIN", "Cap_Net_Admin"] {
            assert_eq!(text.parse(), Ok(Cap::NET_ADMIN));
        }
        for cap in CapSet::ALL.iter() {
            assert_eq!(cap.name().parse(), Ok(cap));
        }
        assert_eq!(Cap::SYS_ADMIN.name(), "CAP_SYS_ADMIN");
        assert_eq!(Cap::SETFCAP.name(), "CAP_SETFCAP");
        assert_eq!(CapSet::ALL.bits(), 0x1ff_ffff_ffff);
        assert_eq!(
            "bogus".parse::<Cap>().unwrap_err().to_string(),
            "unknown capability: \"CAP_BOGUS\""
        );
        assert!("".parse::<CapWord>().is_err());
    }

    #[test]
    fn default_is_dockers() {
        // The CapBnd line of a docker container.
        assert_eq!(CapSet::DOCKER_DEFAULT.bits(), 0xa804_25fb);
    }

    #[test]
    fn add_and_drop() {
        let base = CapSet::DOCKER_DEFAULT;
        assert_eq!(resolved("", ""), base);
        assert_eq!(resolved("NET_ADMIN", ""), base.with(Cap::NET_ADMIN));
        assert_eq!(resolved("", "chown"), base.without(Cap::CHOWN));
        assert_eq!(resolved("chown", "chown"), base);
        assert_eq!(resolved("", "all"), CapSet::EMPTY);
        assert_eq!(resolved("chown", "ALL"), CapSet::of(&[Cap::CHOWN]));
        assert_eq!(resolved("all", ""), CapSet::ALL);
        assert_eq!(
            resolved("all", "sys_admin"),
            CapSet::ALL.without(Cap::SYS_ADMIN)
        );
        assert_eq!(resolved("all", "all"), CapSet::ALL);
        let privileged = CapSet::resolve(base, &[], &words("sys_admin"), true);
        assert_eq!(privileged, CapSet::ALL.without(Cap::SYS_ADMIN));
    }

    #[test]
    fn stored_form() {
        let set = CapSet::of(&[Cap::CHOWN, Cap::SYS_ADMIN]);
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(json, r#"["CAP_CHOWN","CAP_SYS_ADMIN"]"#);
        assert_eq!(serde_json::from_str::<CapSet>(&json).unwrap(), set);
        let word: CapWord = serde_json::from_str("\"all\"").unwrap();
        assert_eq!(serde_json::to_string(&word).unwrap(), "\"ALL\"");
    }
}
