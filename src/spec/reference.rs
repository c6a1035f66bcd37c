//! Image references: `[HOST[:PORT]/]PATH[:TAG][@DIGEST]` with docker's rules of normalisation.
//!
//! Owns the grammar, the completion of short names and the two printed forms (full and familiar). It does not know
//! where images are kept nor how registries are reached.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::digest::{Digest, DigestError};

/// The registry a short name is taken from, unless configured otherwise.
pub const DEFAULT_REGISTRY: &str = "docker.io";
/// The tag meant when neither tag nor digest is given.
pub const DEFAULT_TAG: &str = "latest";
const LIBRARY: &str = "library/";
const LONGEST_NAME: usize = 255;
const LONGEST_TAG: usize = 128;

/// A complete reference: registry, repository path and at least one of tag and digest (see [`Reference::parse_bare`]).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: Box<str>,
    path: Box<str>,
    tag: Option<Box<str>>,
    digest: Option<Digest>,
}

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Nothing at all, or nothing before the tag or digest.
    #[error("invalid image reference \"{0}\": the name is empty")]
    Empty(String),
    /// A whole sha256 would be ambiguous with an image id.
    #[error(
        "invalid image reference \"{0}\": 64 hex digits are an image id and cannot be a repository name"
    )]
    LooksLikeId(String),
    /// Docker's most common mistake gets its own words.
    #[error("invalid image reference \"{0}\": repository names must be lowercase")]
    Uppercase(String),
    /// The name has forbidden characters or empty components.
    #[error(
        "invalid image reference \"{text}\": bad component \"{component}\" (lowercase letters and digits, separated by \
         one . or _, two _, or any number of -)"
    )]
    Path {
        /// The reference as given.
        text: String,
        /// The component at fault.
        component: String,
    },
    /// The part before the first slash is no host name.
    #[error("invalid image reference \"{text}\": \"{host}\" is not a registry HOST or HOST:PORT")]
    Host {
        /// The reference as given.
        text: String,
        /// The host at fault.
        host: String,
    },
    /// The tag has forbidden characters or is too long.
    #[error(
        "invalid image reference \"{text}\": bad tag \"{tag}\" (letters, digits, _ . -, at most 128, not beginning with \
         . or -)"
    )]
    Tag {
        /// The reference as given.
        text: String,
        /// The tag at fault.
        tag: String,
    },
    /// The name is too long.
    #[error("invalid image reference: the repository name must not be longer than 255 characters")]
    TooLong,
    /// The part after @ is no digest.
    #[error("invalid image reference: {0}")]
    Digest(#[from] DigestError),
    /// A transport this verb cannot use.
    #[error(
        "invalid image reference \"{0}\": only registries (docker://) can be named here; use load for archives"
    )]
    Transport(String),
}

/// How names without a registry are completed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortNames {
    /// Registry and optional path prefix put before names that name no registry (`docker.io`, `registry.example/team`).
    pub prefix: String,
    /// Names with a meaning of their own: `debian` → `registry.example/mirror/debian`.
    pub aliases: BTreeMap<String, String>,
}

impl Default for ShortNames {
    fn default() -> Self {
        Self {
            prefix: DEFAULT_REGISTRY.to_owned(),
            aliases: BTreeMap::new(),
        }
    }
}

impl Reference {
    /// Parses with the given completion of short names; the tag becomes `latest` when neither tag nor digest is there.
    ///
    /// # Errors
    /// When the text does not follow the grammar.
    pub fn parse(text: &str, short: &ShortNames) -> Result<Self, ReferenceError> {
        let mut reference = Self::parse_bare(text, short)?;
        if reference.tag.is_none() && reference.digest.is_none() {
            reference.tag = Some(DEFAULT_TAG.into());
        }
        Ok(reference)
    }

    /// As [`Reference::parse`] but leaves the tag away when there is none: for verbs that mean a whole repository.
    ///
    /// # Errors
    /// When the text does not follow the grammar.
    pub fn parse_bare(text: &str, short: &ShortNames) -> Result<Self, ReferenceError> {
        let text = strip_transport(text)?;
        let shown = || text.chars().take(300).collect::<String>();
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        if name.is_empty() {
            return Err(ReferenceError::Empty(shown()));
        }
        if let Some(tag) = tag.filter(|t| !is_tag(t)) {
            return Err(ReferenceError::Tag {
                text: shown(),
                tag: tag.chars().take(LONGEST_TAG + 1).collect(),
            });
        }
        if looks_like_id(name) {
            return Err(ReferenceError::LooksLikeId(shown()));
        }
        let (domain, path) = complete(name, short);
        if domain.len() + 1 + path.len() > LONGEST_NAME {
            return Err(ReferenceError::TooLong);
        }
        if !is_domain(&domain) {
            return Err(ReferenceError::Host {
                text: shown(),
                host: domain,
            });
        }
        if let Some(component) = path.split('/').find(|c| !is_component(c)) {
            return Err(if is_component(&component.to_ascii_lowercase()) {
                ReferenceError::Uppercase(shown())
            } else {
                ReferenceError::Path {
                    text: shown(),
                    component: component.to_owned(),
                }
            });
        }
        Ok(Self {
            domain: domain.into(),
            path: path.into(),
            tag: tag.map(Into::into),
            digest,
        })
    }

    /// The registry host, with its port if one was given (`docker.io`, `localhost:5000`).
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository path inside the registry (`library/alpine`).
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag, if there is one.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if there is one.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// `domain/path`, without tag and digest.
    #[must_use]
    pub fn repository(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// The repository as docker shows it: `alpine`, `me/app`, `localhost:5000/app`.
    #[must_use]
    pub fn familiar_name(&self) -> String {
        if &*self.domain != DEFAULT_REGISTRY {
            return self.repository();
        }
        match self.path.strip_prefix(LIBRARY) {
            // A short form that would read as a host (or as an id) must stay long.
            Some(rest)
                if !rest.contains('/')
                    && !looks_like_id(rest)
                    && complete(rest, &ShortNames::default()).1 == *self.path =>
            {
                rest.to_owned()
            }
            _ if names_host(&self.path) => self.repository(),
            _ => self.path.to_string(),
        }
    }

    /// The shortest text that means the same with docker's defaults, tag and digest included.
    #[must_use]
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    /// What goes into the path of a registry request: the digest when there is one, else the tag.
    #[must_use]
    pub fn tag_or_digest(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.to_string(),
            (None, None) => DEFAULT_TAG.to_owned(),
        }
    }

    /// The same repository and tag, pinned to `digest`.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }

    /// The same without a digest (a name an image can carry), `None` when nothing but the digest was given.
    #[must_use]
    pub fn tagged(&self) -> Option<Self> {
        self.tag.as_ref()?;
        Some(Self {
            digest: None,
            ..self.clone()
        })
    }

    /// The same repository by digest alone: the form of docker's `RepoDigests`.
    #[must_use]
    pub fn digested(&self, digest: Digest) -> Self {
        Self {
            tag: None,
            digest: Some(digest),
            ..self.clone()
        }
    }

    fn with_suffix(&self, mut text: String) -> String {
        if let Some(tag) = &self.tag {
            text.push(':');
            text.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            text.push('@');
            text.push_str(&digest.to_string());
        }
        text
    }
}

fn strip_transport(text: &str) -> Result<&str, ReferenceError> {
    if let Some(rest) = text.strip_prefix("docker://") {
        return Ok(rest);
    }
    // Of containers/image; each would pass for a repository with a tag.
    const ELSEWHERE: [&str; 4] = ["containers-storage:", "docker-daemon:", "ostree:", "sif:"];
    match text.split_once("://") {
        _ if ELSEWHERE.iter().any(|transport| text.starts_with(transport)) => {
            Err(ReferenceError::Transport(text.chars().take(300).collect()))
        }
        Some(_) => Err(ReferenceError::Transport(text.chars().take(300).collect())),
        None => Ok(text),
    }
}

/// A colon after the last slash begins the tag; one before it is a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    let start = text.rfind('/').map_or(0, |slash| slash + 1);
    match text[start..].find(':') {
        Some(colon) => (&text[..start + colon], Some(&text[start + colon + 1..])),
        None => (text, None),
    }
}

/// Whether the part before the first slash names a registry (docker's rule).
fn names_host(name: &str) -> bool {
    match name.split_once('/') {
        Some((first, _)) => {
            first.contains(['.', ':'])
                || first == "localhost"
                || first.chars().any(char::is_uppercase)
        }
        None => false,
    }
}

/// Whether a name is what an image's whole id looks like.
fn looks_like_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Registry and path of a name, short or long.
fn complete(name: &str, short: &ShortNames) -> (String, String) {
    if let Some((domain, path)) = name.split_once('/').filter(|_| names_host(name)) {
        return canonical(domain, path);
    }
    if let Some(alias) = short.aliases.get(name)
        && let Some((domain, path)) = alias.split_once('/').filter(|_| names_host(alias))
    {
        return canonical(domain, path);
    }
    match short.prefix.trim_end_matches('/').split_once('/') {
        // `docker.io/library` means the same as `docker.io`: names of two components do not get the prefix.
        Some((domain, prefix)) if domain == DEFAULT_REGISTRY && prefix == "library" => {
            canonical(domain, name)
        }
        Some((domain, prefix)) => canonical(domain, &format!("{prefix}/{name}")),
        None => canonical(short.prefix.trim_end_matches('/'), name),
    }
}

fn canonical(domain: &str, path: &str) -> (String, String) {
    let domain = match domain {
        "index.docker.io" | "registry-1.docker.io" => DEFAULT_REGISTRY,
        other => other,
    };
    if domain == DEFAULT_REGISTRY && !path.contains('/') {
        return (domain.to_owned(), format!("{LIBRARY}{path}"));
    }
    (domain.to_owned(), path.to_owned())
}

/// `[a-z0-9]+` joined by `.`, `_`, `__` or dashes.
fn is_component(text: &str) -> bool {
    let bytes = text.as_bytes();
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    if !word(*first) || !word(*last) {
        return false;
    }
    bytes
        .split(|b| word(*b))
        .all(|sep| matches!(sep, b"" | b"." | b"_" | b"__") || sep.iter().all(|b| *b == b'-'))
}

fn is_tag(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    text.len() <= LONGEST_TAG
        && text.bytes().all(good)
        && text
            .bytes()
            .next()
            .is_some_and(|b| !matches!(b, b'.' | b'-'))
}

/// A host name, IPv4 or bracketed IPv6 address, with an optional port.
fn is_domain(text: &str) -> bool {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return false;
        };
        if address.parse::<std::net::Ipv6Addr>().is_err() {
            return false;
        }
        match after.strip_prefix(':') {
            Some(port) => (None, Some(port)),
            None if after.is_empty() => (None, None),
            None => return false,
        }
    } else {
        match text.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(text), None),
        }
    };
    let label = |part: &str| {
        !part.is_empty()
            && !part.starts_with('-')
            && !part.ends_with('-')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.is_none_or(|host| host.split('.').all(label))
        && port.is_none_or(|port| {
            port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
        })
}

impl fmt::Display for Reference {
    /// The full form: `docker.io/library/alpine:latest`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.repository()))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Parses with docker's completion of short names.
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Self::parse(text, &ShortNames::default())
    }
}

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    /// Stored references are complete; a tagless one stays tagless.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse_bare(&text, &ShortNames::default()).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn full_and_familiar() {
        let digest = format!("sha256:{HEX}");
        for (text, full, familiar) in [
            ("alpine", "docker.io/library/alpine:latest", "alpine:latest"),
            (
                "alpine:3.20",
                "docker.io/library/alpine:3.20",
                "alpine:3.20",
            ),
            (
                "docker.io/alpine",
                "docker.io/library/alpine:latest",
                "alpine:latest",
            ),
            (
                "index.docker.io/library/alpine",
                "docker.io/library/alpine:latest",
                "alpine:latest",
            ),
            (
                "docker://me/app",
                "docker.io/me/app:latest",
                "me/app:latest",
            ),
            (
                "localhost/app",
                "localhost/app:latest",
                "localhost/app:latest",
            ),
            (
                "localhost:5000/app:v1",
                "localhost:5000/app:v1",
                "localhost:5000/app:v1",
            ),
            ("ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x", "ghcr.io/a/b/c:x"),
            (
                "[::1]:5000/app",
                "[::1]:5000/app:latest",
                "[::1]:5000/app:latest",
            ),
            (
                "127.0.0.1:5000/a__b/c--d:T_1",
                "127.0.0.1:5000/a__b/c--d:T_1",
                "127.0.0.1:5000/a__b/c--d:T_1",
            ),
            ("Host/app", "Host/app:latest", "Host/app:latest"),
            ("foo/bar", "docker.io/foo/bar:latest", "foo/bar:latest"),
            (
                "docker.io/localhost/app",
                "docker.io/localhost/app:latest",
                "docker.io/localhost/app:latest",
            ),
        ] {
            let reference: Reference = text.parse().unwrap();
            assert_eq!(reference.to_string(), full, "{text}");
            assert_eq!(reference.familiar(), familiar, "{text}");
        }
        let pinned: Reference = format!("alpine@{digest}").parse().unwrap();
        assert_eq!(pinned.tag(), None);
        assert_eq!(pinned.tag_or_digest(), digest);
        assert_eq!(pinned.familiar(), format!("alpine@{digest}"));
        // Short, it would be an id.
        let long = format!("library/{}", "2d".repeat(32));
        let reference: Reference = long.parse().unwrap();
        assert_eq!(reference.familiar_name(), long);
        assert_eq!(reference.familiar().parse::<Reference>().as_ref(), Ok(&reference));
        let both: Reference = format!("alpine:3@{digest}").parse().unwrap();
        assert_eq!(
            both.to_string(),
            format!("docker.io/library/alpine:3@{digest}")
        );
        assert_eq!(both.tagged().unwrap().familiar(), "alpine:3");
    }

    #[test]
    fn refuses() {
        let long = "a".repeat(300);
        let long_tag = format!("a:{}", "b".repeat(129));
        for text in [
            "",
            ":tag",
            "@",
            "a@sha256:12",
            "UPPER",
            "a/B",
            "a//b",
            "/a",
            "a/",
            "a:",
            "a:-x",
            "a:b:c",
            "a..b",
            "a___b",
            "-a",
            "a-",
            "a b",
            "a\n",
            "http://h/a",
            "oci-archive://x",
            "containers-storage:a",
            "docker-daemon:a:b",
            "ostree:a",
            "sif:a",
            "h.x:99999/a",
            "h:port/a",
            "[::1/a",
            "[zz]:1/a",
            "../a",
            "./a",
            "é",
            HEX,
            "h_.x:1/a",
            &long,
            &long_tag,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text:?}");
        }
        assert_eq!(
            "UPPER".parse::<Reference>(),
            Err(ReferenceError::Uppercase("UPPER".to_owned()))
        );
    }

    #[test]
    fn short_names() {
        let mut short = ShortNames {
            prefix: "reg.example:5000/team".to_owned(),
            ..ShortNames::default()
        };
        short
            .aliases
            .insert("debian".to_owned(), "mirror.example/os/debian".to_owned());
        let full = |text: &str| Reference::parse(text, &short).unwrap().to_string();
        assert_eq!(full("app"), "reg.example:5000/team/app:latest");
        assert_eq!(full("a/app"), "reg.example:5000/team/a/app:latest");
        assert_eq!(full("debian:12"), "mirror.example/os/debian:12");
        assert_eq!(full("docker.io/debian"), "docker.io/library/debian:latest");
        let library = ShortNames {
            prefix: "docker.io/library".to_owned(),
            ..ShortNames::default()
        };
        assert_eq!(
            Reference::parse("me/app", &library).unwrap().path(),
            "me/app"
        );
        assert_eq!(Reference::parse_bare("app", &library).unwrap().tag(), None);
    }

    proptest! {
        #[test]
        fn never_panics_and_round_trips(text in "\\PC{0,60}|[a-zA-Z0-9./:@_\\[\\]-]{0,60}|([a-z.]{0,6}(:[0-9]{1,5})?/)?[a-z0-9/._-]{1,20}(:[a-zA-Z0-9._-]{0,8})?") {
            if let Ok(reference) = text.parse::<Reference>() {
                let again: Reference = reference.to_string().parse().unwrap();
                prop_assert_eq!(&again, &reference);
                let familiar: Reference = reference.familiar().parse().unwrap();
                prop_assert_eq!(&familiar, &reference);
                prop_assert!(!reference.path().split('/').any(|c| c.is_empty() || c.starts_with('.')));
                prop_assert!(reference.domain().bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'@'));
            }
        }
    }
}
