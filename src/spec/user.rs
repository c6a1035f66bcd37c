//! Who a process runs as, as typed: `--user` of run and exec and the image's `User`, and `--group-add`.
//!
//! Owns the notation `name|uid[:group|gid]`. What the names mean is decided by the image's own files in
//! `runtime::plan::users`; nothing here reads one.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The largest id docker and podman accept as a number.
pub const MAX_ID: u32 = i32::MAX as u32;

/// Longest text taken for a user or a group.
const MAX_LEN: usize = 256;

/// The word of `--group-add` for the groups the caller has.
pub const KEEP_GROUPS: &str = "keep-groups";

/// Checks the words of `--group-add`: the caller's groups have no number in the container, so that none can be added.
///
/// # Errors
/// [`KEEP_GROUPS`] together with others.
pub fn added_groups(groups: Vec<String>) -> Result<Vec<String>, String> {
    if groups.len() > 1 && groups.iter().any(|group| group == KEEP_GROUPS) {
        return Err(format!("{KEEP_GROUPS} cannot be combined with other groups: the process has those of its caller, or those you name"));
    }
    Ok(groups)
}

/// A text that cannot be a user or group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The number does not fit the kernel's ids.
    #[error("invalid user or group \"{0}\": uids and gids must be in range 0-{MAX_ID}")]
    Range(String),
    /// A byte that no account file can hold.
    #[error(
        "invalid user or group \"{0}\": control characters, NUL and overlong names are not allowed"
    )]
    Bad(String),
}

/// One side of the colon: a number or a name. A number is still looked up (for the home directory and groups), and a
/// name made of digits can be an entry of the file, so the text is kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Account {
    text: String,
    id: Option<u32>,
}

impl Account {
    /// As typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The number, when it is one.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.id
    }
}

impl From<u32> for Account {
    fn from(id: u32) -> Self {
        Self {
            text: id.to_string(),
            id: Some(id),
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for Account {
    type Err = UserError;

    fn from_str(text: &str) -> Result<Self, UserError> {
        let shown = || text.escape_default().take(80).collect();
        if text.is_empty()
            || text.len() > MAX_LEN
            || text.chars().any(|c| c.is_control() || c == ':')
        {
            return Err(UserError::Bad(shown()));
        }
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        let id = if digits.bytes().all(|b| b.is_ascii_digit()) && !digits.is_empty() {
            let id = text.parse().ok().filter(|id| *id <= MAX_ID);
            Some(id.ok_or_else(|| UserError::Range(shown()))?)
        } else {
            None
        };
        Ok(Self {
            text: text.to_owned(),
            id,
        })
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Account {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// `--user`: user and group, each optional. The default is the image's user 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct UserSpec {
    /// Left of the colon.
    pub user: Option<Account>,
    /// Right of the colon; none means the user's own group and supplementary groups.
    pub group: Option<Account>,
}

impl UserSpec {
    /// Whether nothing was said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.user.is_none() && self.group.is_none()
    }
}

impl FromStr for UserSpec {
    type Err = UserError;

    /// Fields after a second colon are ignored, as docker does.
    fn from_str(text: &str) -> Result<Self, UserError> {
        let mut fields = text.split(':').map(|field| match field {
            "" => Ok(None),
            field => field.parse().map(Some),
        });
        let user = fields.next().transpose()?.flatten();
        let group = fields.next().transpose()?.flatten();
        Ok(Self { user, group })
    }
}

impl fmt::Display for UserSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            user.fmt(f)?;
        }
        match &self.group {
            Some(group) => write!(f, ":{group}"),
            None => Ok(()),
        }
    }
}

impl Serialize for UserSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for UserSpec {
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
        let parse = |text: &str| text.parse::<UserSpec>().unwrap();
        let spec = parse("postgres:1000");
        assert_eq!(spec.user.as_ref().unwrap().as_str(), "postgres");
        assert_eq!(spec.user.unwrap().id(), None);
        assert_eq!(spec.group.unwrap().id(), Some(1000));
        assert!(parse("").is_empty());
        assert!(parse(":").is_empty());
        assert_eq!(parse(":wheel").group.unwrap().as_str(), "wheel");
        assert_eq!(parse("0:0:0").to_string(), "0:0");
        assert_eq!(parse("1000").to_string(), "1000");
        assert_eq!(parse("DOM\\user").user.unwrap().id(), None);
    }

    #[test]
    fn refused() {
        for text in [
            "-1",
            "4294967295",
            "2147483648",
            "99999999999999999999",
            "0:-1",
            "+99999999999",
        ] {
            assert!(
                matches!(text.parse::<UserSpec>(), Err(UserError::Range(_))),
                "{text}"
            );
        }
        for text in ["a\0b", "a\nb", &"x".repeat(300)] {
            assert!(
                matches!(text.parse::<UserSpec>(), Err(UserError::Bad(_))),
                "{text}"
            );
        }
        assert_eq!(
            "-1".parse::<UserSpec>().unwrap_err().to_string(),
            "invalid user or group \"-1\": uids and gids must be in range 0-2147483647"
        );
    }

    proptest! {
        #[test]
        fn never_panics_and_round_trips(text in "\\PC{0,40}|[a-z0-9:+-]{0,12}") {
            if let Ok(spec) = text.parse::<UserSpec>() {
                prop_assert_eq!(spec.to_string().parse::<UserSpec>().unwrap(), spec);
            }
        }
    }
}
