//! One HTTP client for one registry: TLS, certificates, redirects, and the choice between https and plain http.
//!
//! Owns what happens below the registry protocol. Redirects never leave http(s), never step down from TLS, and never carry
//! our credentials to another host (the HTTP client strips them). Knows no tokens and no manifests.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::io::Read;
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use reqwest::blocking::{Client, Request, Response};
use reqwest::redirect::Policy;
use reqwest::{ClientBuilder, Identity, Method, Url};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::RegistryError;
use super::own_ca::{self, ClientIdentity};
use super::proxy::Proxies;
use super::resolver::Resolver;
use super::sender::{Sender, SenderError};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(20);
const REDIRECTS: usize = 10;

const UNKNOWN: u8 = 0;
const TLS: u8 = 1;
const PLAIN: u8 = 2;

/// What the connection needs to know from outside.
#[derive(Debug, Clone)]
pub(super) struct Security {
    /// Check certificates and insist on TLS (except on loopback).
    pub(super) verify: bool,
    /// Directories with CA certificates (`*.crt`) and client certificates (`*.cert` with `*.key`).
    pub(super) certificates: Vec<PathBuf>,
    /// Longest wait for the next bytes.
    pub(super) stall: Duration,
}

/// A client bound to one registry.
#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    setup: Setup,
    sender: OnceLock<Sender>,
    /// As in references.
    registry: String,
    /// Where its API answers.
    host: String,
    plain_allowed: bool,
    scheme: AtomicU8,
}

/// How connections to the registry are made.
#[derive(Debug)]
struct Setup {
    found: Certificates,
    /// For a registry with CA certificates of its own.
    own: Option<rustls::ClientConfig>,
    verify: bool,
    /// Whether the host's own CA certificates are used.
    host_roots: bool,
    stall: Duration,
    loopback: bool,
    /// Never those the HTTP client would read itself.
    proxies: Proxies,
}

impl Setup {
    fn builder(&self) -> ClientBuilder {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("kelp/", env!("CARGO_PKG_VERSION")))
            // Large blobs are faster over several connections than over one with flow control of its own.
            .http1_only()
            .referer(false)
            .connect_timeout(CONNECT)
            .tcp_keepalive(Duration::from_secs(30))
            // For uploads, which have no other limit between two bytes.
            .tcp_user_timeout(self.stall)
            .dns_resolver(Arc::new(Resolver))
            .redirect(redirects(self.loopback || !self.verify))
            .no_proxy();
        if !self.loopback {
            builder = builder.proxy(self.proxies.clone().into_proxy());
        }
        if !self.verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        } else if let Some(config) = &self.own {
            // With the client's certificate, if there is one.
            return builder.tls_backend_preconfigured(config.clone());
        } else if !self.host_roots {
            builder = builder.tls_certs_only(Vec::new());
        }
        match self.found.identity.as_ref() {
            Some((_, identity)) => builder.identity(identity.clone()),
            None => builder,
        }
    }

    fn client(&self) -> reqwest::Result<Client> {
        reqwest::blocking::ClientBuilder::from(self.builder()).timeout(self.stall).build()
    }
}

impl Transport {
    pub(super) fn new(registry: &str, security: &Security) -> Result<Self, RegistryError> {
        static PROVIDER: Once = Once::new();
        // An error only says that somebody was first.
        PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
        let host = match registry {
            "docker.io" => "registry-1.docker.io",
            other => other,
        };
        let loopback = is_loopback(host);
        let failed = |reason: String| RegistryError::Setup {
            registry: registry.to_owned(),
            reason,
        };
        let found = Certificates::read(&security.certificates).map_err(&failed)?;
        let own = match (security.verify && !found.authorities.is_empty()).then(|| found.config()) {
            Some(config) => Some(config.map_err(|error| failed(error.to_string()))?),
            None => None,
        };
        let proxies = if loopback { Proxies::default() } else { Proxies::read(&|name| std::env::var(name).ok()).map_err(&failed)? };
        let mut setup = Setup { found, own, verify: security.verify, host_roots: true, stall: security.stall, loopback, proxies };
        let client = match setup.client() {
            // A host without CA certificates: loopback needs none.
            Err(_) if loopback => {
                setup.host_roots = false;
                setup.client()
            }
            other => other,
        };
        Ok(Self {
            client: client.map_err(|e| failed(reason(&e)))?,
            plain_allowed: loopback || !security.verify,
            setup,
            sender: OnceLock::new(),
            registry: registry.to_owned(),
            host: host.to_owned(),
            scheme: AtomicU8::new(UNKNOWN),
        })
    }

    /// Sends a request once, with a body that is read meanwhile: `length` bytes, or as many as there are.
    pub(super) fn send_body(&self, request: Request, body: impl Read + Send, length: Option<u64>) -> Result<Response, SendError> {
        let sender = match self.sender.get() {
            Some(sender) => sender,
            None => {
                let made = Sender::new(self.setup.builder()).map_err(|error| SendError {
                    reason: error.to_string(),
                    transient: false,
                    certificate: false,
                })?;
                self.sender.get_or_init(|| made)
            }
        };
        sender.send(&request, body, length).map_err(|error| match error {
            SenderError::Request(error) => SendError::of(&error),
            SenderError::Answer(reason) => SendError { reason, transient: true, certificate: false },
        })
    }

    /// The registry as in references.
    pub(super) fn registry(&self) -> &str {
        &self.registry
    }

    /// Whether requests go out without TLS.
    pub(super) fn is_plain(&self) -> bool {
        self.scheme.load(Ordering::Relaxed) == PLAIN
    }

    /// Whether an address is the registry's own, reached as the registry is.
    pub(super) fn is_registry(&self, url: &Url) -> bool {
        let Ok(own) = Url::parse(&format!("{}://{}", url.scheme(), self.host)) else { return false };
        own.host() == url.host()
            && own.port_or_known_default() == url.port_or_known_default()
            && (url.scheme() == "https" || self.plain_allowed)
    }

    /// Whether a registry at `from` may send us to `to`.
    pub(super) fn may_go(&self, from: &Url, to: &Url) -> Result<(), String> {
        match to.scheme() {
            "https" => Ok(()),
            "http" if self.plain_allowed || from.scheme() == "http" => Ok(()),
            "http" => Err(format!("it leads from TLS to {} without", shown(to))),
            other => Err(format!("it leads to a {other}: address")),
        }
    }

    /// A request for a path of the registry (`/v2/…`).
    pub(super) fn request(&self, method: Method, path: &str) -> Result<Request, RegistryError> {
        let scheme = if self.is_plain() { "http" } else { "https" };
        self.request_to(method, &format!("{scheme}://{}{path}", self.host))
    }

    /// A request for any address.
    pub(super) fn request_to(&self, method: Method, url: &str) -> Result<Request, RegistryError> {
        let url = Url::parse(url).map_err(|e| RegistryError::Setup {
            registry: self.registry.clone(),
            reason: format!("{url} is not a URL ({e})"),
        })?;
        Ok(Request::new(method, url))
    }

    /// Sends a request once. The first one finds out whether a registry that may be plain is.
    pub(super) fn send(&self, mut request: Request) -> Result<Response, SendError> {
        let to_registry = self.is_registry(request.url());
        // Another thread may find out that it is plain while this request, made before, goes out with TLS.
        let unsure = self.scheme.load(Ordering::Relaxed) != TLS && request.url().scheme() == "https";
        let undecided = to_registry && self.plain_allowed && unsure;
        let again = if undecided { request.try_clone() } else { None };
        let first = match self.client.execute(request) {
            Ok(response) => {
                if to_registry {
                    self.scheme.compare_exchange(UNKNOWN, TLS, Ordering::Relaxed, Ordering::Relaxed).ok();
                }
                return Ok(response);
            }
            Err(error) => error,
        };
        let failure = SendError::of(&first);
        // A certificate that is not trusted is an answer in TLS; going on without would be a downgrade.
        let Some(next) = again.filter(|_| first.is_connect() && !failure.certificate) else {
            return Err(failure);
        };
        request = next;
        if request.url_mut().set_scheme("http").is_err() {
            return Err(failure);
        }
        let response = self.client.execute(request).map_err(|e| SendError::of(&e))?;
        self.scheme.store(PLAIN, Ordering::Relaxed);
        Ok(response)
    }

    /// An error of the connection as one of the registry.
    pub(super) fn unreachable(&self, error: &SendError) -> RegistryError {
        let registry = self.registry.clone();
        let reason = error.reason.clone();
        if error.certificate {
            RegistryError::Certificate { registry, reason }
        } else {
            RegistryError::Unreachable { registry, reason }
        }
    }
}

/// Why a request got no answer.
#[derive(Debug, Clone)]
pub(super) struct SendError {
    pub(super) reason: String,
    /// Whether the same request may succeed a moment later.
    pub(super) transient: bool,
    certificate: bool,
}

impl SendError {
    fn of(error: &reqwest::Error) -> Self {
        let mut reason = reason(error);
        if reason.contains("InvalidContentType") {
            "it does not speak TLS; use --tls-verify=false if plain HTTP is what you want".clone_into(&mut reason);
        }
        let certificate = reason.contains("certificate");
        let lasting = certificate
            || error.is_redirect()
            || error.is_builder()
            || ["refused", "cannot resolve", "unreachable", "No route", "does not speak TLS"].iter().any(|word| reason.contains(word));
        Self {
            reason,
            transient: !lasting,
            certificate,
        }
    }
}

/// The innermost cause: the outer ones only say that a request failed.
pub(super) fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut innermost = error.source();
    while let Some(next) = innermost.and_then(std::error::Error::source) {
        innermost = Some(next);
    }
    match innermost {
        Some(cause) => cause.to_string(),
        // Without a cause the message itself, less the address with its query.
        None => error.to_string().split(" for url").next().unwrap_or_default().to_owned(),
    }
}

/// An address for messages: no query (it may hold a signature), no user.
pub(super) fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), host_of(url), url.path())
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

pub(super) fn redirects(plain_allowed: bool) -> Policy {
    Policy::custom(move |attempt| {
        let secure = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
        let refusal = if attempt.previous().len() > REDIRECTS {
            "too many redirects".to_owned()
        } else if !matches!(attempt.url().scheme(), "http" | "https") {
            format!("refused to follow a redirect to a {}: address", attempt.url().scheme())
        } else if secure && attempt.url().scheme() == "http" && !plain_allowed {
            format!("refused to follow a redirect from TLS to {} without", shown(attempt.url()))
        } else {
            return attempt.follow();
        };
        attempt.error(refusal)
    })
}

/// Whether a registry's host, with or without port, is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What the certificate directories hold.
#[derive(Debug, Default)]
struct Certificates {
    authorities: Vec<CertificateDer<'static>>,
    identity: Option<(ClientIdentity, Identity)>,
}

impl Certificates {
    /// Connections with the CA certificates found, beside the host's if it has any.
    fn config(&self) -> Result<rustls::ClientConfig, rustls::Error> {
        let identity = self.identity.as_ref().map(|(own, _)| own);
        own_ca::config(&self.authorities, identity, true).or_else(|_| own_ca::config(&self.authorities, identity, false))
    }

    fn read(dirs: &[PathBuf]) -> Result<Self, String> {
        let mut found = Self::default();
        for dir in dirs {
            let Ok(entries) = std::fs::read_dir(dir) else { continue };
            let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            paths.sort();
            for path in paths {
                match path.extension().and_then(|e| e.to_str()) {
                    Some("crt") => found.authority(&path)?,
                    Some("cert") if found.identity.is_none() => found.client(&path)?,
                    _ => {}
                }
            }
        }
        Ok(found)
    }

    fn authority(&mut self, path: &Path) -> Result<(), String> {
        let failed = |e: &dyn std::fmt::Display| format!("certificate {}: {e}", path.display());
        let pem = std::fs::read(path).map_err(|e| failed(&e))?;
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            self.authorities.push(certificate.map_err(|e| failed(&e))?);
        }
        Ok(())
    }

    fn client(&mut self, path: &Path) -> Result<(), String> {
        let key = path.with_extension("key");
        let failed = |e: &dyn std::fmt::Display| format!("client certificate {}: {e}", path.display());
        let mut pem = std::fs::read(path).map_err(|e| failed(&e))?;
        pem.push(b'\n');
        pem.extend(std::fs::read(&key).map_err(|e| failed(&format!("its key {}: {e}", key.display())))?);
        let identity = Identity::from_pem(&pem).map_err(|e| failed(&e))?;
        let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|e| failed(&e))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| failed(&e))?;
        self.identity = Some(((chain, key), identity));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_hosts() {
        for host in ["localhost", "localhost:5000", "a.localhost", "127.0.0.1:80", "127.9.9.9", "[::1]:5000"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["localhost.example", "10.0.0.1:5000", "[::2]:1", "reg.example", "127.0.0.1.example"] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn whether_a_registry_is_plain_may_be_found_out_meanwhile() {
        let fake = crate::image::registry::fake::Fake::start();
        let security = Security { verify: true, certificates: Vec::new(), stall: Duration::from_secs(5) };
        let transport = Transport::new(&format!("127.0.0.1:{}", fake.port), &security).unwrap();
        let early = transport.request(Method::GET, "/v2/").unwrap();
        transport.send(transport.request(Method::GET, "/v2/").unwrap()).map_err(|error| error.reason).unwrap();
        assert!(transport.is_plain() && early.url().scheme() == "https");
        transport.send(early).map_err(|error| error.reason).unwrap();
    }
}
