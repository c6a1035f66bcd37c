//! The requests of the distribution protocol a pull needs, for one repository of one registry (`upload` has a push's).
//!
//! Owns sending with authentication and retries, the size limits of what is answered, and wording what goes wrong. Bytes of
//! manifests are checked here; those of blobs by whoever streams them.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::time::Duration;

use reqwest::blocking::{Request, Response};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, LINK, RANGE,
};
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use super::auth::{Authorizer, Shown};
use super::credentials::{self, AuthFile, Credentials};
use super::error::RegistryError;
use super::patience::{Patience, retry_after};
use super::registries::Endpoint;
use super::transport::{Security, Transport, shown};
use crate::image::manifest::{self, MAX_MANIFEST};
use crate::spec::{Digest, Digester, Reference};

const MAX_ERROR: u64 = 64 << 10;
const MAX_PAGES: usize = 1000;

/// How registries are spoken to.
#[derive(Debug, Clone)]
pub struct ClientOptions {
    /// Check certificates and insist on TLS (loopback may be plain).
    pub tls_verify: bool,
    /// `--creds`; else the files are looked into.
    pub credentials: Option<Credentials>,
    /// Files with credentials, in order.
    pub auth_files: Vec<AuthFile>,
    /// Where else to look and in which order (`credential-helpers` of registries.conf); in the files alone when empty.
    pub helpers: Vec<String>,
    /// Directories with one subdirectory of certificates per registry (`certs.d`).
    pub certs_d: Vec<std::path::PathBuf>,
    /// `--cert-dir`: a directory of certificates for every registry.
    pub cert_dir: Option<std::path::PathBuf>,
    /// How often a failed request is tried again.
    pub retries: u32,
    /// Pause before the first retry; it doubles each time.
    pub retry_delay: Duration,
    /// Longest wait for the next bytes; a transfer as a whole may take any time.
    pub stall: Duration,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            tls_verify: true,
            credentials: None,
            auth_files: Vec::new(),
            helpers: Vec::new(),
            certs_d: ["/etc/containers/certs.d", "/etc/docker/certs.d"].map(Into::into).to_vec(),
            cert_dir: None,
            retries: 4,
            retry_delay: Duration::from_millis(500),
            stall: Duration::from_secs(60),
        }
    }
}

/// A repository on a registry.
#[derive(Debug)]
pub struct Repository {
    transport: Transport,
    auth: Authorizer,
    path: String,
    patience: Patience,
}

/// A manifest as it came.
#[derive(Debug, Clone)]
pub struct FetchedManifest {
    /// Its bytes.
    pub raw: Vec<u8>,
    /// Their digest.
    pub digest: Digest,
    /// What the registry said it is.
    pub media_type: Option<String>,
}

/// The bytes of a blob from some offset on.
#[derive(Debug)]
pub struct BlobStream {
    response: Response,
    /// Where the bytes begin; 0 when the registry cannot resume.
    pub offset: u64,
}

impl Read for BlobStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.response.read(buffer)
    }
}

/// A request to the registry.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) accept: Option<&'static str>,
    pub(super) offset: u64,
    /// Media type and bytes to send.
    pub(super) content: Option<(&'static str, &'a [u8])>,
    /// How long the answer may take, when longer than usual.
    pub(super) patience: Option<Duration>,
    /// For messages.
    pub(super) what: &'a str,
}

/// Where a request goes.
pub(super) enum Target {
    /// A path of the registry.
    Path(String),
    /// An address the registry gave.
    Url(Url),
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: Method, path: String, what: &'a str) -> Self {
        Self { method, target: Target::Path(path), accept: None, offset: 0, content: None, patience: None, what }
    }

    pub(super) fn to(method: Method, url: Url, what: &'a str) -> Self {
        Self { target: Target::Url(url), ..Self::new(method, String::new(), what) }
    }
}

impl Repository {
    /// The repository of `reference`, for pulling. Connects to nothing yet.
    ///
    /// # Errors
    /// When credentials or certificates cannot be read.
    pub fn for_pull(reference: &Reference, options: &ClientOptions) -> Result<Self, RegistryError> {
        Self::open(reference.domain(), reference.path(), "pull", options)
    }

    /// A repository at a place that stands for `reference`'s, for pulling. Credentials that were given are for that one's
    /// registry and no other: a mirror does not get to see them. Connects to nothing yet.
    ///
    /// # Errors
    /// When credentials or certificates cannot be read.
    pub fn at(endpoint: &Endpoint, reference: &Reference, options: &ClientOptions) -> Result<Self, RegistryError> {
        let mut options = ClientOptions { tls_verify: options.tls_verify && !endpoint.insecure, ..options.clone() };
        options.credentials = options.credentials.filter(|_| endpoint.domain == reference.domain());
        Self::open(&endpoint.domain, &endpoint.path, "pull", &options)
    }

    /// The repository of `reference`, for pushing. Connects to nothing yet.
    ///
    /// # Errors
    /// When credentials or certificates cannot be read.
    pub fn for_push(reference: &Reference, options: &ClientOptions) -> Result<Self, RegistryError> {
        Self::open(reference.domain(), reference.path(), "pull,push", options)
    }

    /// The registry as such, by one who logs in.
    pub(super) fn for_login(domain: &str, credentials: Credentials, options: &ClientOptions) -> Result<Self, RegistryError> {
        let options = ClientOptions { credentials: Some(credentials.clone()), ..options.clone() };
        let auth = Authorizer::for_login(credentials);
        Ok(Self { auth, ..Self::open(domain, "", "", &options)? })
    }

    /// The token that stands for name and password, if a login got one.
    pub(super) fn identity(&self) -> Option<String> {
        self.auth.identity()
    }

    pub(super) fn open(domain: &str, path: &str, actions: &'static str, options: &ClientOptions) -> Result<Self, RegistryError> {
        let mut certificates: Vec<_> = options.certs_d.iter().map(|dir| dir.join(domain)).collect();
        certificates.extend(options.cert_dir.clone());
        let security = Security {
            verify: options.tls_verify,
            certificates,
            stall: options.stall,
        };
        let credentials = match &options.credentials {
            Some(given) => Some(given.clone()),
            None => credentials::look_up(&options.helpers, &options.auth_files, domain, path)?,
        };
        Ok(Self {
            transport: Transport::new(domain, &security)?,
            auth: Authorizer::new(path, actions, credentials),
            path: path.to_owned(),
            patience: Patience { retries: options.retries, delay: options.retry_delay },
        })
    }

    /// The digest a tag has now, if the registry tells without sending the manifest. Registries do not count this
    /// against their limits.
    ///
    /// # Errors
    /// When the registry cannot be reached or refuses.
    pub fn digest_of(&self, tag: &str) -> Result<Option<Digest>, RegistryError> {
        let ask = Ask::new(Method::HEAD, format!("/v2/{}/manifests/{tag}", self.path), tag);
        match self.ask(&Ask { accept: Some(manifest::ACCEPT), ..ask }) {
            Ok(response) => Ok(content_digest(&response)),
            // Without words, as answers to HEAD are; to be asked in full.
            Err(RegistryError::Denied { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The manifest of a tag or digest; with `expected`, exactly those bytes.
    ///
    /// # Errors
    /// When the registry cannot be reached, refuses, or sends something else.
    pub fn manifest(&self, tag_or_digest: &str, expected: Option<&Digest>) -> Result<FetchedManifest, RegistryError> {
        let what = format!("manifest {tag_or_digest}");
        let ask = Ask {
            accept: Some(manifest::ACCEPT),
            ..Ask::new(Method::GET, format!("/v2/{}/manifests/{tag_or_digest}", self.path), &what)
        };
        let (response, raw) = self.fetch(&ask, MAX_MANIFEST)?;
        let media_type = response.media_type;
        if media_type.as_deref().is_some_and(|t| t.starts_with("text/html")) {
            return Err(RegistryError::Protocol {
                url: response.url,
                reason: "it sent a web page; is this the address of a registry?".to_owned(),
            });
        }
        let claimed = expected.or(response.digest.as_ref());
        let algorithm = claimed.map_or(crate::spec::digest::Algorithm::Sha256, Digest::algorithm);
        let mut digester = Digester::new(algorithm);
        digester.update(&raw);
        let digest = digester.finish();
        match claimed {
            Some(claimed) if *claimed != digest => Err(RegistryError::Mismatch {
                registry: self.registry().to_owned(),
                what,
                expected: claimed.clone(),
                actual: digest,
            }),
            _ => Ok(FetchedManifest {
                raw,
                digest,
                media_type,
            }),
        }
    }

    /// The tags, in the registry's order, at most `limit` of them.
    ///
    /// # Errors
    /// When the registry cannot be reached, refuses, or sends something else.
    pub fn tags(&self, limit: usize) -> Result<Vec<String>, RegistryError> {
        let mut tags = Vec::new();
        let mut next = Some(format!("/v2/{}/tags/list?n=1000", self.path));
        let mut seen = BTreeSet::new();
        while let Some(path) = next.take() {
            // A page that leads to itself, or around in a circle, has no end.
            if tags.len() >= limit || seen.len() >= MAX_PAGES || !seen.insert(path.clone()) {
                break;
            }
            let ask = Ask::new(Method::GET, path, "list of tags");
            let (head, raw) = self.fetch(&ask, MAX_MANIFEST)?;
            let page: TagPage = serde_json::from_slice(&raw).map_err(|_| RegistryError::Protocol {
                url: head.url.clone(),
                reason: "it sent no list of tags".to_owned(),
            })?;
            tags.extend(page.tags.unwrap_or_default());
            next = head.next;
        }
        tags.truncate(limit);
        Ok(tags)
    }

    /// A small blob, checked.
    ///
    /// # Errors
    /// When the registry cannot be reached, refuses, or sends something else or more than `limit` bytes.
    pub fn small_blob(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>, RegistryError> {
        let what = format!("blob {digest}");
        let (_, raw) = self.fetch(&self.blob_ask(digest, 0, &what), limit)?;
        let mut digester = Digester::new(digest.algorithm());
        digester.update(&raw);
        let actual = digester.finish();
        if actual != *digest {
            return Err(RegistryError::Mismatch {
                registry: self.registry().to_owned(),
                what,
                expected: digest.clone(),
                actual,
            });
        }
        Ok(raw)
    }

    /// A blob from `offset` on, unchecked.
    ///
    /// # Errors
    /// When the registry cannot be reached or refuses.
    pub fn blob(&self, digest: &Digest, offset: u64) -> Result<BlobStream, RegistryError> {
        let what = format!("blob {digest}");
        let response = self.ask(&self.blob_ask(digest, offset, &what))?;
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        let starts = response
            .headers()
            .get(CONTENT_RANGE)
            .and_then(|v| v.to_str().ok()?.strip_prefix("bytes ")?.split('-').next()?.parse::<u64>().ok());
        let offset = match (partial, starts) {
            (false, _) => 0,
            (true, Some(start)) if start == offset => offset,
            (true, _) => {
                return Err(RegistryError::Protocol {
                    url: shown(response.url()),
                    reason: "it sent another part of the blob than was asked for".to_owned(),
                });
            }
        };
        Ok(BlobStream { response, offset })
    }

    /// Host and port as in references.
    #[must_use]
    pub fn registry(&self) -> &str {
        self.transport.registry()
    }

    /// Its path on the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Adds what we show the registry, if that is where the request goes.
    pub(super) fn show_credentials(&self, request: &mut Request) -> Option<Shown> {
        let shown = Some(self.auth.current()).filter(|_| self.transport.is_registry(request.url()))?;
        request.headers_mut().extend(shown.header.clone().map(|value| (AUTHORIZATION, value)));
        Some(shown)
    }

    /// How long an answer asks us to wait before the same is tried again; none if it says something else.
    pub(super) fn busy(&self, answer: &Response) -> Option<Duration> {
        self.patience.after_answer(answer, 0)
    }

    /// Gets new credentials after a refusal of those that were shown.
    pub(super) fn renew(&self, refusal: &Response, shown: &Shown) -> Result<(), RegistryError> {
        self.auth.renew(&self.transport, self.patience, refusal, shown)
    }

    /// How often to go on with a transfer that broke.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.patience.retries
    }

    /// The pause before retry number `attempt` (from 0).
    #[must_use]
    pub fn pause(&self, attempt: u32) -> Duration {
        self.patience.pause(attempt)
    }

    fn blob_ask<'a>(&self, digest: &Digest, offset: u64, what: &'a str) -> Ask<'a> {
        Ask { offset, ..Ask::new(Method::GET, format!("/v2/{}/blobs/{digest}", self.path), what) }
    }

    /// A whole body of at most `limit` bytes, tried again when the connection breaks inside it.
    pub(super) fn fetch(&self, ask: &Ask<'_>, limit: u64) -> Result<(Head, Vec<u8>), RegistryError> {
        let mut attempt = 0;
        loop {
            let mut response = self.ask(ask)?;
            let head = Head::of(&response);
            let too_large = || RegistryError::Protocol {
                url: head.url.clone(),
                reason: format!("{} is larger than {limit} bytes", ask.what),
            };
            if response.content_length().is_some_and(|length| length > limit) {
                return Err(too_large());
            }
            let mut raw = Vec::new();
            match response.by_ref().take(limit + 1).read_to_end(&mut raw) {
                Ok(_) if raw.len() as u64 > limit => return Err(too_large()),
                Ok(_) => return Ok((head, raw)),
                Err(_) if attempt < self.retries() => {
                    std::thread::sleep(self.pause(attempt));
                    attempt += 1;
                }
                Err(error) => {
                    return Err(RegistryError::Unreachable {
                        registry: self.registry().to_owned(),
                        reason: format!("the connection broke while fetching {}: {error}", ask.what),
                    });
                }
            }
        }
    }

    /// Sends a request until it is answered well: authenticates when asked to, waits and tries again when told to.
    pub(super) fn ask(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let mut attempt = 0;
        let mut renewals = 0;
        loop {
            let auth = self.auth.current();
            let mut request = match &ask.target {
                Target::Path(path) => self.transport.request(ask.method.clone(), path)?,
                Target::Url(url) => self.transport.request_to(ask.method.clone(), url.as_str())?,
            };
            let ours = self.transport.is_registry(request.url());
            if ask.patience.is_some() {
                *request.timeout_mut() = ask.patience;
            }
            if let Some((_, bytes)) = ask.content {
                *request.body_mut() = Some(bytes.to_vec().into());
            }
            let headers = request.headers_mut();
            // Transport compression would make the bytes other ones than the digest names.
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
            headers.extend(auth.header.clone().filter(|_| ours).map(|value| (AUTHORIZATION, value)));
            if let Some((kind, _)) = ask.content {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            } else if matches!(ask.method, Method::POST | Method::PUT) {
                headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
            }
            headers.extend(ask.accept.map(|value| (ACCEPT, HeaderValue::from_static(value))));
            if ask.offset > 0 {
                headers.extend(HeaderValue::from_str(&format!("bytes={}-", ask.offset)).ok().map(|v| (RANGE, v)));
            }
            let response = match self.transport.send(request) {
                Ok(response) => response,
                Err(error) => {
                    let pause = self.patience.after_error(&error, attempt).ok_or_else(|| self.transport.unreachable(&error))?;
                    std::thread::sleep(pause);
                    attempt += 1;
                    continue;
                }
            };
            match response.status().as_u16() {
                200..=299 => return Ok(response),
                401 if renewals < 2 && ours => {
                    self.renew(&response, &auth)?;
                    renewals += 1;
                }
                _ => match self.patience.after_answer(&response, attempt) {
                    Some(pause) => {
                        std::thread::sleep(pause);
                        attempt += 1;
                    }
                    None => return Err(self.refusal(ask.what, response)),
                },
            }
        }
    }

    /// Words for an answer that is a refusal.
    pub(super) fn refusal(&self, what: &str, response: Response) -> RegistryError {
        let (status, url, wait) = (response.status(), shown(response.url()), retry_after(&response));
        let limit = rate_limit(&response);
        let mut body = Vec::new();
        // What can be read of it is all that can be told.
        response.take(MAX_ERROR).read_to_end(&mut body).ok();
        let mut reason = spoken(&body);
        if status.is_redirection() {
            "the address it leads to is not followed".clone_into(&mut reason);
        }
        let registry = self.registry().to_owned();
        let repository = self.path.clone();
        match status.as_u16() {
            401 | 403 => {
                if reason.is_empty() {
                    reason = status.to_string();
                }
                RegistryError::Denied {
                    registry,
                    repository,
                    reason,
                }
            }
            404 => RegistryError::NotFound {
                registry,
                repository,
                what: what.to_owned(),
            },
            429 => RegistryError::RateLimited {
                registry,
                reason: if reason.is_empty() { "too many requests".to_owned() } else { reason },
                account: self.auth.account(),
                limit,
                retry_after: wait,
            },
            code => RegistryError::Answer {
                url,
                status: code,
                reason,
            },
        }
    }
}

#[derive(Deserialize)]
struct TagPage {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// The headers of an answer whose body is read.
pub(super) struct Head {
    /// The path of the next page, on the same registry.
    pub(super) next: Option<String>,
    pub(super) url: String,
    media_type: Option<String>,
    digest: Option<Digest>,
}

impl Head {
    fn of(response: &Response) -> Self {
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok());
        let link = response.headers().get(LINK).and_then(|v| v.to_str().ok());
        Self {
            next: link.and_then(next_page),
            url: shown(response.url()),
            media_type: media_type.map(str::to_owned),
            digest: content_digest(response),
        }
    }
}

/// The path in `</v2/…>; rel="next"`; pages on other hosts are none of ours.
fn next_page(link: &str) -> Option<String> {
    let (target, params) = link.split_once('<')?.1.split_once('>')?;
    let path = target.starts_with("/v2/") && target.bytes().all(|b| b.is_ascii_graphic());
    (path && params.contains("next")).then(|| target.to_owned())
}

pub(super) fn content_digest(response: &Response) -> Option<Digest> {
    response.headers().get("docker-content-digest")?.to_str().ok()?.trim().parse().ok()
}

/// `RateLimit-Limit: 100;w=21600` of docker's hub, in words.
fn rate_limit(response: &Response) -> Option<String> {
    let text = response.headers().get("ratelimit-limit")?.to_str().ok()?;
    let (count, window) = text.split_once(";w=").unwrap_or((text, ""));
    let count: u64 = count.trim().parse().ok()?;
    Some(match window.trim().parse::<u64>() {
        Ok(seconds) if seconds >= 3600 => format!("{count} in {} h", seconds / 3600),
        Ok(seconds) => format!("{count} in {seconds} s"),
        Err(_) => count.to_string(),
    })
}

/// What an error body of the protocol says, on one short line; nothing when it is something else. Read leniently: whatever
/// is not as it should be must not hide the rest.
pub(super) fn spoken(body: &[u8]) -> String {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let errors = said["errors"].as_array().into_iter().flatten();
    let parts: Vec<String> = errors
        .filter_map(|error| text(&error["message"]).or_else(|| text(&error["code"]).map(|code| code.to_ascii_lowercase())))
        .chain(text(&said["details"]))
        .collect();
    let line: String = parts.join("; ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect();
    line.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages() {
        assert_eq!(next_page(r#"</v2/a/tags/list?last=b&n=2>; rel="next""#), Some("/v2/a/tags/list?last=b&n=2".to_owned()));
        assert_eq!(next_page(r#"<https://elsewhere/v2/>; rel="next""#), None);
        assert_eq!(next_page("nonsense"), None);
    }

    #[test]
    fn error_bodies() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest\nunknown","detail":{}},{"code":"X"}]}"#;
        assert_eq!(spoken(body), "manifest unknown; x");
        assert_eq!(spoken(b"<html>"), "");
        assert_eq!(spoken(br#"{"details":"no"}"#), "no");
        assert_eq!(spoken(br#"{"errors":[{"code":"DENIED","message":null,"detail":[]},{"message":"why"}],"details":{}}"#), "denied; why");
        assert!(spoken(format!(r#"{{"details":"{}"}}"#, "x".repeat(9000)).as_bytes()).len() == 300);
    }
}
