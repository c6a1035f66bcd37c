//! Fetching a file by its address, for `ADD` and for contexts of builds: the registry client's rules (TLS, redirects,
//! stalls, name resolution) without its credentials.

use std::io::{self, Read};
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::{Client, Response};
use reqwest::header::{CONTENT_DISPOSITION, LAST_MODIFIED};

use super::proxy::Proxies;
use super::resolver::Resolver;
use super::transport::{reason, redirects, shown};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(20);
/// Longest wait for the next bytes.
const STALL: Duration = Duration::from_secs(60);

/// A file that is being fetched; reading it reads its content.
#[derive(Debug)]
pub struct Download {
    /// Its name by the server's header or the address; not checked, and empty when there is none.
    pub name: String,
    /// When it was last changed, seconds since 1970, if the server says so.
    pub modified: Option<i64>,
    response: Response,
    length: Option<u64>,
    read: u64,
}

/// An address for messages: no query, no user.
#[must_use]
pub fn redacted(url: &str) -> String {
    Url::parse(url).map_or_else(|_| url.to_owned(), |url| shown(&url))
}

/// Begins to fetch.
///
/// # Errors
/// In words, with the address.
pub fn download(url: &str) -> Result<Download, String> {
    static PROVIDER: Once = Once::new();
    // An error only says that somebody was first.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    let parsed = Url::parse(url).map_err(|error| format!("{}: not a URL: {error}", redacted(url)))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(format!("{}: only http and https can be fetched", shown(&parsed)));
    }
    let failed = |what: String| format!("fetch {}: {what}", shown(&parsed));
    let plain = parsed.scheme() == "http";
    let proxies = Proxies::read(&|name| std::env::var(name).ok()).map_err(&failed)?;
    let build = |roots: bool| {
        let builder = Client::builder()
            .user_agent(concat!("kelp/", env!("CARGO_PKG_VERSION")))
            .referer(false)
            .connect_timeout(CONNECT)
            .timeout(STALL)
            .dns_resolver(Arc::new(Resolver))
            .no_proxy()
            .proxy(proxies.clone().into_proxy())
            .redirect(redirects(plain));
        if roots { builder.build() } else { builder.tls_certs_only(Vec::new()).build() }
    };
    let client = match build(true) {
        // A host without CA certificates can still speak without TLS.
        Err(_) if plain => build(false),
        other => other,
    };
    let client = client.map_err(|error| failed(reason(&error)))?;
    let response = client.get(parsed.clone()).send().map_err(|error| failed(reason(&error)))?;
    if !response.status().is_success() {
        return Err(failed(format!("the server answered {}", response.status())));
    }
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
    let said = header(CONTENT_DISPOSITION).and_then(|text| {
        let name = text.split(';').find_map(|part| part.trim().strip_prefix("filename="))?;
        Some(name.trim_matches('"').to_owned())
    });
    let by_address = response.url().path().rsplit('/').next().unwrap_or_default();
    let own = parsed.path().rsplit('/').next().unwrap_or_default();
    let name = said.unwrap_or_else(|| if own.is_empty() { by_address.to_owned() } else { own.to_owned() });
    let modified = header(LAST_MODIFIED).and_then(|text| jiff::fmt::rfc2822::parse(text).ok()).map(|time| time.timestamp().as_second());
    Ok(Download { name, modified, length: response.content_length(), response, read: 0 })
}

impl Download {
    /// Its length, if the server says so.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.response.read(buffer)?;
        self.read += size as u64;
        if size == 0 && !buffer.is_empty() && self.length.is_some_and(|length| self.read < length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed early"));
        }
        Ok(size)
    }
}
