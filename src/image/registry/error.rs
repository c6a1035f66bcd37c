//! What can go wrong with a registry, in words a user can act on.

use std::time::Duration;

use super::credentials::CredentialsError;
use crate::image::manifest::ManifestError;
use crate::spec::Digest;

/// Why a registry did not deliver.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// No connection, or it broke and did not come back.
    #[error("cannot reach registry {registry}: {reason}")]
    Unreachable {
        /// Host and port.
        registry: String,
        /// What the connection said.
        reason: String,
    },
    /// The server's certificate is not trusted.
    #[error(
        "registry {registry} cannot be trusted: {reason}; put its CA certificate into certs.d/{registry}/ca.crt under \
         /etc/containers or ~/.config/containers, or use --tls-verify=false"
    )]
    Certificate {
        /// Host and port.
        registry: String,
        /// What TLS said.
        reason: String,
    },
    /// Not allowed, or not there: many registries do not tell the two apart.
    #[error("registry {registry} denies access to {repository}: {reason}; it may not exist, or need `kelp login {registry}`")]
    Denied {
        /// Host and port.
        registry: String,
        /// Repository path.
        repository: String,
        /// What the registry said.
        reason: String,
    },
    /// A login that was refused.
    #[error("registry {registry} refuses the login: {reason}")]
    Login {
        /// Host and port.
        registry: String,
        /// What the registry said.
        reason: String,
    },
    /// No such manifest or blob.
    #[error("registry {registry} has no {what} in {repository}")]
    NotFound {
        /// Host and port.
        registry: String,
        /// Repository path.
        repository: String,
        /// Tag, manifest or blob.
        what: String,
    },
    /// Too many requests.
    #[error(
        "registry {registry} limits how often {} may ask: {reason}{}{}; {}set a mirror in registries.conf, or wait",
        .account.as_deref().unwrap_or("anonymous users of this address"),
        .limit.as_deref().map(|limit| format!(" ({limit})")).unwrap_or_default(),
        .retry_after.map(|d| format!(" (again in {} s)", d.as_secs())).unwrap_or_default(),
        if .account.is_none() { format!("log in for a higher limit (`kelp login {registry}`), ") } else { String::new() }
    )]
    RateLimited {
        /// Host and port.
        registry: String,
        /// What the registry said.
        reason: String,
        /// The user we asked as, if as one.
        account: Option<String>,
        /// The limit, if it tells.
        limit: Option<String>,
        /// How long it wants us to wait.
        retry_after: Option<Duration>,
    },
    /// Any other answer than the expected.
    #[error("{url} answered {status}{}", if .reason.is_empty() { String::new() } else { format!(": {}", .reason) })]
    Answer {
        /// The address without its query.
        url: String,
        /// HTTP status.
        status: u16,
        /// What the registry said.
        reason: String,
    },
    /// An answer that breaks the protocol.
    #[error("{url} does not behave like a registry: {reason}")]
    Protocol {
        /// The address without its query.
        url: String,
        /// What is wrong.
        reason: String,
    },
    /// Other bytes than asked for.
    #[error("{what} from registry {registry} is not what was asked for: its digest is {actual}, expected {expected}")]
    Mismatch {
        /// Host and port.
        registry: String,
        /// Manifest or blob.
        what: String,
        /// Asked for.
        expected: Digest,
        /// Got.
        actual: Digest,
    },
    /// Credentials could not be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The client could not be set up.
    #[error("cannot set up the connection to registry {registry}: {reason}")]
    Setup {
        /// Host and port.
        registry: String,
        /// Why.
        reason: String,
    },
}
