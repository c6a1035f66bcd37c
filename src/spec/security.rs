//! `--security-opt`: each value as typed, and all of a container's together.
//!
//! Notation only: reading a profile's file is the engine's, masks are resolved in `runtime::plan::masks`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is no security option.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecurityOptError {
    /// No value, or a key nobody knows.
    #[error(
        "invalid --security-opt: \"{0}\": expected seccomp=, no-new-privileges, mask=, unmask=, systempaths=unconfined, \
         apparmor= or label="
    )]
    Unknown(String),
    /// The value does not fit the key.
    #[error("invalid --security-opt: \"{text}\": {why}")]
    Value {
        /// The option.
        text: String,
        /// What is expected.
        why: &'static str,
    },
}

/// `seccomp=`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeccompChoice {
    /// `builtin`: the default profile.
    #[default]
    Builtin,
    /// No filter.
    Unconfined,
    /// A profile's file on the host.
    File(String),
}

/// One value of `--security-opt`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecurityOpt {
    /// `no-new-privileges[=true|false]`.
    NoNewPrivileges(bool),
    /// `seccomp=builtin|unconfined|FILE`.
    Seccomp(SeccompChoice),
    /// `apparmor=PROFILE|unconfined`.
    AppArmor(String),
    /// `label=disable|user:X|role:X|type:X|level:X|filetype:X|nested`.
    Label(String),
    /// `mask=PATH[:PATH…]`.
    Mask(Vec<String>),
    /// `unmask=PATH[:PATH…]`, with `*` and `?`.
    Unmask(Vec<String>),
    /// `unmask=ALL` and `systempaths=unconfined`.
    UnmaskAll,
}

fn bad(text: &str, why: &'static str) -> SecurityOptError {
    SecurityOptError::Value {
        text: text.escape_default().take(100).collect(),
        why,
    }
}

/// Absolute paths without `..`, one slash between parts.
fn paths(text: &str, list: &str) -> Result<Vec<String>, SecurityOptError> {
    let clean = |path: &str| {
        let parts: Vec<&str> = path
            .split('/')
            .filter(|part| !part.is_empty() && *part != ".")
            .collect();
        let ok = path.starts_with('/')
            && path.len() < 4096
            && !parts.is_empty()
            && !parts.contains(&"..")
            && !path.contains('\0');
        ok.then(|| format!("/{}", parts.join("/"))).ok_or_else(|| {
            bad(
                text,
                "expected absolute paths without .., separated by colons",
            )
        })
    };
    list.split(':').map(clean).collect()
}

impl FromStr for SecurityOpt {
    type Err = SecurityOptError;

    /// `key:value`, docker's old form, is understood where there is no `=`.
    fn from_str(text: &str) -> Result<Self, SecurityOptError> {
        let split = text.split_once('=').or_else(|| text.split_once(':'));
        let Some((key, value)) = split else {
            return match text {
                "no-new-privileges" => Ok(Self::NoNewPrivileges(true)),
                // What `label=disable` was called first.
                "disable" => Ok(Self::Label("disable".to_owned())),
                _ => Err(SecurityOptError::Unknown(
                    text.escape_default().take(100).collect(),
                )),
            };
        };
        if value.is_empty() || value.contains('\0') {
            return Err(bad(text, "the value is empty"));
        }
        match key {
            "no-new-privileges" => match value {
                "true" => Ok(Self::NoNewPrivileges(true)),
                "false" => Ok(Self::NoNewPrivileges(false)),
                _ => Err(bad(text, "expected true or false")),
            },
            "seccomp" => Ok(Self::Seccomp(match value {
                "unconfined" => SeccompChoice::Unconfined,
                "builtin" => SeccompChoice::Builtin,
                file => SeccompChoice::File(file.to_owned()),
            })),
            "apparmor" => Ok(Self::AppArmor(value.to_owned())),
            "label" => {
                let (word, rest) = value.split_once(':').unwrap_or((value, ""));
                let known = match word {
                    "disable" | "nested" => rest.is_empty(),
                    "user" | "role" | "type" | "level" | "filetype" => !rest.is_empty(),
                    _ => false,
                };
                known.then(|| Self::Label(value.to_owned())).ok_or_else(|| {
                    bad(text, "expected disable, nested or user:, role:, type:, level:, filetype: with a value")
                })
            }
            "mask" => paths(text, value).map(Self::Mask),
            "unmask" if value.eq_ignore_ascii_case("all") => Ok(Self::UnmaskAll),
            "unmask" => paths(text, value).map(Self::Unmask),
            "systempaths" if value == "unconfined" => Ok(Self::UnmaskAll),
            "systempaths" => Err(bad(text, "expected unconfined")),
            _ => Err(SecurityOptError::Unknown(
                text.escape_default().take(100).collect(),
            )),
        }
    }
}

impl fmt::Display for SecurityOpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNewPrivileges(true) => f.write_str("no-new-privileges"),
            Self::NoNewPrivileges(false) => f.write_str("no-new-privileges=false"),
            Self::Seccomp(SeccompChoice::Builtin) => f.write_str("seccomp=builtin"),
            Self::Seccomp(SeccompChoice::Unconfined) => f.write_str("seccomp=unconfined"),
            Self::Seccomp(SeccompChoice::File(file)) => write!(f, "seccomp={file}"),
            Self::AppArmor(profile) => write!(f, "apparmor={profile}"),
            Self::Label(label) => write!(f, "label={label}"),
            Self::Mask(paths) => write!(f, "mask={}", paths.join(":")),
            Self::Unmask(paths) => write!(f, "unmask={}", paths.join(":")),
            Self::UnmaskAll => f.write_str("unmask=ALL"),
        }
    }
}

impl Serialize for SecurityOpt {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SecurityOpt {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// All options of one container together; of contradicting ones the last counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityOpts {
    /// No exec gains privileges.
    pub no_new_privileges: bool,
    /// Which filter.
    pub seccomp: SeccompChoice,
    /// AppArmor profile asked for; none for the default.
    pub apparmor: Option<String>,
    /// SELinux options as typed.
    pub labels: Vec<String>,
    /// Paths hidden beside the default ones.
    pub mask: Vec<String>,
    /// Patterns of default paths left as they are.
    pub unmask: Vec<String>,
    /// No default path is hidden or read-only.
    pub unmask_all: bool,
}

impl FromIterator<SecurityOpt> for SecurityOpts {
    fn from_iter<I: IntoIterator<Item = SecurityOpt>>(options: I) -> Self {
        let mut all = Self::default();
        for option in options {
            match option {
                SecurityOpt::NoNewPrivileges(on) => all.no_new_privileges = on,
                SecurityOpt::Seccomp(choice) => all.seccomp = choice,
                SecurityOpt::AppArmor(profile) => all.apparmor = Some(profile),
                SecurityOpt::Label(label) => all.labels.push(label),
                SecurityOpt::Mask(paths) => all.mask.extend(paths),
                SecurityOpt::Unmask(paths) => all.unmask.extend(paths),
                SecurityOpt::UnmaskAll => all.unmask_all = true,
            }
        }
        all
    }
}

impl SecurityOpts {
    /// From the values as typed.
    pub fn parse<S: AsRef<str>>(values: &[S]) -> Result<Self, SecurityOptError> {
        values
            .iter()
            .map(|value| value.as_ref().parse::<SecurityOpt>())
            .collect()
    }
}

/// `--fake-ids`: what a container does about ids other than the one that is mapped, where only one is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FakeIds {
    /// Nothing: the kernel refuses them.
    None,
    /// Changes of ids and owners succeed; owners are recorded.
    #[default]
    Basic,
    /// Programs are also told the ids and owners they asked for.
    Full,
}

impl std::str::FromStr for FakeIds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "basic" => Ok(Self::Basic),
            "full" => Ok(Self::Full),
            _ => Err(format!("unknown way of faking ids \"{text}\": use none, basic or full")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values() {
        let parse = |text: &str| text.parse::<SecurityOpt>().unwrap();
        assert_eq!(
            parse("no-new-privileges"),
            SecurityOpt::NoNewPrivileges(true)
        );
        assert_eq!(
            parse("no-new-privileges:false"),
            SecurityOpt::NoNewPrivileges(false)
        );
        assert_eq!(
            parse("seccomp=unconfined"),
            SecurityOpt::Seccomp(SeccompChoice::Unconfined)
        );
        assert_eq!(
            parse("seccomp=/a=b.json"),
            SecurityOpt::Seccomp(SeccompChoice::File("/a=b.json".into()))
        );
        assert_eq!(
            parse("mask=/proc/a:/proc//b/."),
            SecurityOpt::Mask(vec!["/proc/a".into(), "/proc/b".into()])
        );
        assert_eq!(parse("unmask=ALL"), SecurityOpt::UnmaskAll);
        assert_eq!(parse("systempaths=unconfined"), SecurityOpt::UnmaskAll);
        assert_eq!(
            parse("unmask=/proc/*"),
            SecurityOpt::Unmask(vec!["/proc/*".into()])
        );
        assert_eq!(
            parse("label=type:spc_t"),
            SecurityOpt::Label("type:spc_t".into())
        );
        assert_eq!(parse("label:disable"), SecurityOpt::Label("disable".into()));
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "foo",
            "foo=bar",
            "seccomp",
            "unmask",
            "proc-opts=hidepid=2",
        ] {
            assert!(
                matches!(
                    text.parse::<SecurityOpt>(),
                    Err(SecurityOptError::Unknown(_))
                ),
                "{text}"
            );
        }
        for text in [
            "seccomp=",
            "no-new-privileges=maybe",
            "mask=proc",
            "mask=/proc/../etc",
            "mask=/",
            "unmask=/a:",
            "systempaths=yes",
            "label=foo",
            "label=user",
            "label=disable:x",
        ] {
            assert!(
                matches!(
                    text.parse::<SecurityOpt>(),
                    Err(SecurityOptError::Value { .. })
                ),
                "{text}"
            );
        }
    }

    #[test]
    fn together() {
        let all = SecurityOpts::parse(&[
            "seccomp=x.json",
            "seccomp=builtin",
            "no-new-privileges",
            "mask=/a",
            "mask=/b",
            "unmask=/proc/acpi",
        ])
        .unwrap();
        assert_eq!(all.seccomp, SeccompChoice::Builtin);
        assert!(all.no_new_privileges && !all.unmask_all);
        assert_eq!((all.mask.len(), all.unmask.len()), (2, 1));
    }

    proptest! {
        #[test]
        fn round_trip(text in "(seccomp|mask|unmask|label|apparmor|no-new-privileges|systempaths)?[=:]?[a-z/.:=*]{0,16}") {
            if let Ok(option) = text.parse::<SecurityOpt>() {
                prop_assert_eq!(option.to_string().parse::<SecurityOpt>().unwrap(), option);
            }
        }
    }
}
