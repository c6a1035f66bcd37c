//! When an image is fetched although, or because, it is (not) here: the values of `--pull`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `--pull missing|always|never|newer`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullPolicy {
    /// Only when no such image is here.
    #[default]
    Missing,
    /// Ask the registry each time; fail when it does not answer.
    Always,
    /// Use only what is here.
    Never,
    /// Fetch when the registry has another one; keep the local one when the registry fails.
    Newer,
}

/// A text that is no pull policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid pull policy \"{0}\": expected missing, always, never or newer")]
pub struct PullPolicyError(String);

impl PullPolicy {
    /// The word of the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Always => "always",
            Self::Never => "never",
            Self::Newer => "newer",
        }
    }
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PullPolicy {
    type Err = PullPolicyError;

    /// Podman's other spellings (`ifmissing`, `IfNotPresent`, the booleans of older versions) are understood too.
    fn from_str(text: &str) -> Result<Self, PullPolicyError> {
        match text.to_ascii_lowercase().as_str() {
            "missing" | "ifmissing" | "ifnotpresent" | "if_not_present" | "false" => {
                Ok(Self::Missing)
            }
            "always" | "true" => Ok(Self::Always),
            "never" => Ok(Self::Never),
            "newer" | "ifnewer" => Ok(Self::Newer),
            _ => Err(PullPolicyError(text.chars().take(80).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for policy in [
            PullPolicy::Missing,
            PullPolicy::Always,
            PullPolicy::Never,
            PullPolicy::Newer,
        ] {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!("IfNotPresent".parse(), Ok(PullPolicy::Missing));
        assert_eq!("true".parse(), Ok(PullPolicy::Always));
        assert!("sometimes".parse::<PullPolicy>().is_err());
    }
}
