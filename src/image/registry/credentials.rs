//! Where credentials come from: docker's `config.json`, containers' `auth.json`, kelp's own, and credential helpers.
//!
//! Owns finding the credentials for a repository; changes no file. Secrets are never printed: [`Credentials`] has no
//! readable `Debug`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use serde::Deserialize;

const MAX_FILE: u64 = 4 << 20;
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// What proves who we are to a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user name and a password or access token.
    Basic {
        /// User name.
        username: String,
        /// Password.
        password: String,
    },
    /// A refresh token to be exchanged at the token server (docker's identity token).
    Identity(String),
    /// A ready bearer token.
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic { .. } => "Credentials::Basic(…)",
            Self::Identity(_) => "Credentials::Identity(…)",
            Self::Bearer(_) => "Credentials::Bearer(…)",
        })
    }
}

/// Why credentials could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// `--creds` is not `USER[:PASSWORD]`.
    #[error("invalid credentials: expected USER:PASSWORD")]
    Creds,
    /// A file that exists, or was named, cannot be read.
    #[error("cannot read the credentials in {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not of the expected form.
    #[error("cannot understand the credentials in {path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file cannot be written.
    #[error("cannot write the credentials to {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no place for credentials.
    #[error("cannot tell where credentials belong: neither XDG_RUNTIME_DIR nor HOME is set; use --authfile")]
    NoPlace,
    /// A credential helper failed.
    #[error("credential helper docker-credential-{helper} failed for {server}: {reason}")]
    Helper {
        /// Its name without the prefix.
        helper: String,
        /// The registry asked for.
        server: String,
        /// Why.
        reason: String,
    },
}

/// One file that may hold credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether its absence is an error (the user named it).
    pub required: bool,
}

/// The files looked into when none was named, the first that knows a registry wins. `env` reads the environment.
#[must_use]
pub fn default_files(env: &dyn Fn(&str) -> Option<OsString>) -> Vec<AuthFile> {
    let var = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    if let Some(path) = var("REGISTRY_AUTH_FILE") {
        return vec![AuthFile {
            path,
            required: true,
        }];
    }
    let home = var("HOME");
    let config = var("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|h| h.join(".config")));
    let chosen = var("DOCKER_CONFIG");
    let docker = chosen.clone().or_else(|| home.as_ref().map(|h| h.join(".docker")));
    [
        // Named by the user, and where a login goes then.
        chosen.map(|d| d.join("config.json")),
        config.as_ref().map(|c| c.join("kelp/auth.json")),
        var("XDG_RUNTIME_DIR").map(|r| r.join("containers/auth.json")),
        config.as_ref().map(|c| c.join("containers/auth.json")),
        docker.map(|d| d.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .map(|path| AuthFile {
        path,
        required: false,
    })
    .collect()
}

/// Reads `--creds USER:PASSWORD`.
///
/// # Errors
/// When there is no user name.
pub fn parse_creds(text: &str) -> Result<Credentials, CredentialsError> {
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    if username.is_empty() {
        return Err(CredentialsError::Creds);
    }
    Ok(Credentials::Basic {
        username: username.to_owned(),
        password: password.to_owned(),
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: Option<BTreeMap<String, Entry>>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
    #[serde(default)]
    registrytoken: Option<String>,
}

/// The credentials for `domain/path`, from the first file that has any.
///
/// # Errors
/// When a file or helper that should know fails; a registry nobody knows is no error.
pub fn find(files: &[AuthFile], domain: &str, path: &str) -> Result<Option<Credentials>, CredentialsError> {
    for file in files {
        let Some(config) = read(file)? else { continue };
        if let Some(found) = from_config(&config, &file.path, domain, path)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The word in `credential-helpers` that means the files.
pub const FILES: &str = "containers-auth.json";

/// The credentials for `domain/path` from where registries.conf says: `helpers` one after the other, of which one may be
/// the files; without any, from the files. What one cannot tell another may.
///
/// # Errors
/// When nobody knows any and one failed.
pub fn look_up(helpers: &[String], files: &[AuthFile], domain: &str, path: &str) -> Result<Option<Credentials>, CredentialsError> {
    if helpers.is_empty() {
        return find(files, domain, path);
    }
    let mut failed = None;
    for helper in helpers {
        let found = if helper == FILES { find(files, domain, path) } else { ask_helper(helper, domain) };
        match found {
            Ok(Some(found)) => return Ok(Some(found)),
            Ok(None) => {}
            Err(error) => drop(failed.get_or_insert(error)),
        }
    }
    failed.map_or(Ok(None), Err)
}

fn read(file: &AuthFile) -> Result<Option<Config>, CredentialsError> {
    let failed = |source| CredentialsError::File {
        path: file.path.clone(),
        source,
    };
    let opened = match File::open(&file.path) {
        Err(error) if !file.required && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        other => other.map_err(failed)?,
    };
    let mut text = Vec::new();
    opened.take(MAX_FILE).read_to_end(&mut text).map_err(failed)?;
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| CredentialsError::Malformed {
            path: file.path.clone(),
            // Where, not what: the text may be a secret.
            reason: format!("line {}, column {} is not as expected", error.line(), error.column()),
        })
}

fn from_config(
    config: &Config,
    file: &Path,
    domain: &str,
    path: &str,
) -> Result<Option<Credentials>, CredentialsError> {
    let helpers = config.cred_helpers.iter().flatten();
    for (server, helper) in helpers {
        if same_host(server, domain)
            && let Some(found) = ask_helper(helper, server)?
        {
            return Ok(Some(found));
        }
    }
    if let Some(store) = config.creds_store.as_deref().filter(|s| !s.is_empty()) {
        let server = if HUB.contains(&domain) {
            "https://index.docker.io/v1/"
        } else {
            domain
        };
        if let Some(found) = ask_helper(store, server)? {
            return Ok(Some(found));
        }
    }
    // The longest key that is a prefix of host/path wins: containers' files may name a namespace.
    let auths = config.auths.iter().flatten();
    let best = auths
        .filter_map(|(key, entry)| covers(key, domain, path).map(|length| (length, entry)))
        .max_by_key(|(length, _)| *length);
    match best {
        Some((_, entry)) => decode(entry).map_err(|reason| CredentialsError::Malformed {
            path: file.to_owned(),
            reason: format!("the entry for {domain}: {reason}"),
        }),
        None => Ok(None),
    }
}

fn strip_scheme(key: &str) -> &str {
    key.strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key)
}

fn same_host(key: &str, domain: &str) -> bool {
    let host = strip_scheme(key).split('/').next().unwrap_or_default();
    host == domain || (HUB.contains(&host) && HUB.contains(&domain))
}

/// How specific `key` is for `domain/path`; `None` when it is for something else.
fn covers(key: &str, domain: &str, path: &str) -> Option<usize> {
    if !same_host(key, domain) {
        return None;
    }
    let legacy = key.len() != strip_scheme(key).len();
    let (_, namespace) = strip_scheme(key).split_once('/').unwrap_or_default();
    let namespace = namespace.trim_end_matches('/');
    if namespace.is_empty() || (legacy && matches!(namespace, "v1" | "v2")) {
        return Some(0);
    }
    let rest = path.strip_prefix(namespace)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(namespace.len())
}

fn decode(entry: &Entry) -> Result<Option<Credentials>, String> {
    fn some(text: Option<&String>) -> Option<&String> {
        text.filter(|t| !t.is_empty())
    }
    if let Some(token) = some(entry.registrytoken.as_ref()) {
        return Ok(Some(Credentials::Bearer(token.clone())));
    }
    if let Some(token) = some(entry.identitytoken.as_ref()) {
        return Ok(Some(Credentials::Identity(token.clone())));
    }
    if let Some(auth) = some(entry.auth.as_ref()) {
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(auth.trim())
            .map_err(|_| "\"auth\" is not base64".to_owned())?;
        let text = String::from_utf8(bytes).map_err(|_| "\"auth\" is not text".to_owned())?;
        let (username, password) = text.split_once(':').ok_or("\"auth\" is not USER:PASSWORD")?;
        return Ok(Some(Credentials::Basic {
            username: username.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
        }));
    }
    Ok(some(entry.username.as_ref()).map(|username| Credentials::Basic {
        username: username.clone(),
        password: entry.password.clone().unwrap_or_default(),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// Asks a helper for the credentials of a server.
fn ask_helper(helper: &str, server: &str) -> Result<Option<Credentials>, CredentialsError> {
    let Some(text) = run_helper(helper, server, "get", server.as_bytes())? else { return Ok(None) };
    let answer: HelperAnswer = serde_json::from_str(&text).map_err(|_| CredentialsError::Helper {
        helper: helper.to_owned(),
        server: server.to_owned(),
        reason: "its answer is not the expected JSON".to_owned(),
    })?;
    if answer.secret.is_empty() {
        return Ok(None);
    }
    Ok(Some(if answer.username == "<token>" {
        Credentials::Identity(answer.secret)
    } else {
        Credentials::Basic {
            username: answer.username,
            password: answer.secret,
        }
    }))
}

/// Runs `docker-credential-<helper> <verb>` with `input` on its standard input: what it answers; none when it knows
/// nothing of the server.
pub(super) fn run_helper(
    helper: &str,
    server: &str,
    verb: &str,
    input: &[u8],
) -> Result<Option<String>, CredentialsError> {
    let failed = |reason: String| CredentialsError::Helper {
        helper: helper.chars().take(60).collect(),
        server: server.to_owned(),
        reason,
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if helper.is_empty() || !helper.bytes().all(plain) {
        return Err(failed("its name has characters no program name should have".to_owned()));
    }
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| failed(format!("it cannot be started ({error})")))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read is judged by its answer.
        stdin.write_all(input).ok();
    }
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(Some(text));
    }
    let unknown = ["not found", "no usernames", "no credentials"];
    if unknown.iter().any(|word| text.to_ascii_lowercase().contains(word)) {
        return Ok(None);
    }
    // What it says about a secret it was given is not repeated.
    let said = if verb == "get" { text.trim().chars().take(200).collect() } else { String::new() };
    Err(failed(format!("{said} ({})", output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Option<Credentials> {
        Some(Credentials::Basic {
            username: user.to_owned(),
            password: password.to_owned(),
        })
    }

    fn lookup(text: &str, domain: &str, path: &str) -> Option<Credentials> {
        let config: Config = serde_json::from_str(text).unwrap();
        from_config(&config, Path::new("x"), domain, path).unwrap()
    }

    #[test]
    fn keys_of_both_worlds() {
        // u:p, n:q, h:r
        let text = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"reg.example:5000":{"auth":"dTpw"},
            "reg.example:5000/team":{"auth":"bjpx"},"plain.example":{"username":"a","password":"b"},
            "id.example":{"identitytoken":"tok","auth":"dTpw"},"empty.example":{}}}"#;
        assert_eq!(lookup(text, "docker.io", "library/alpine"), basic("u", "p"));
        assert_eq!(lookup(text, "reg.example:5000", "other/app"), basic("u", "p"));
        assert_eq!(lookup(text, "reg.example:5000", "team/app"), basic("n", "q"));
        assert_eq!(lookup(text, "reg.example:5000", "teams/app"), basic("u", "p"));
        assert_eq!(lookup(text, "reg.example", "team/app"), None);
        assert_eq!(lookup(text, "plain.example", "x"), basic("a", "b"));
        assert_eq!(
            lookup(text, "id.example", "x"),
            Some(Credentials::Identity("tok".to_owned()))
        );
        assert_eq!(lookup(text, "empty.example", "x"), None);
        assert!(!format!("{:?}", basic("user", "secret")).contains("secret"));
    }

    #[test]
    fn order_of_files() {
        let env = |name: &str| match name {
            "HOME" => Some(OsString::from("/h")),
            "XDG_RUNTIME_DIR" => Some(OsString::from("/r")),
            _ => None,
        };
        let paths: Vec<PathBuf> = default_files(&env).into_iter().map(|f| f.path).collect();
        let expected = [
            "/h/.config/kelp/auth.json",
            "/r/containers/auth.json",
            "/h/.config/containers/auth.json",
            "/h/.docker/config.json",
        ];
        assert_eq!(paths, expected.map(PathBuf::from));
        assert!(default_files(&|n| (n == "REGISTRY_AUTH_FILE").then(|| "/f".into()))[0].required);
        assert_eq!(parse_creds("a:b:c").ok(), basic("a", "b:c"));
        assert!(parse_creds(":x").is_err());
        assert!(ask_helper("../evil", "x").is_err());
    }
}
