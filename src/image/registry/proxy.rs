//! Which proxy leads to a host, by the variables that all tools read: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
//! `NO_PROXY`, or the same in lower case.
//!
//! Owns their grammar, which is Go's: an empty variable is none, and exceptions may have a port. An address that is none is
//! an error, since going directly would not be what the user asked for.

use std::fmt;
use std::net::IpAddr;

use reqwest::Url;

/// What leads where.
#[derive(Clone, Default)]
pub(super) struct Proxies {
    http: Option<Url>,
    https: Option<Url>,
    direct: Vec<Direct>,
}

impl fmt::Debug for Proxies {
    /// Addresses may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Proxies(…)")
    }
}

/// What is reached without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Direct {
    /// `*`
    All,
    /// `10.0.0.0/8`
    Net(IpAddr, u32),
    /// `10.0.0.1`, `[::1]:80`
    Address(IpAddr, Option<u16>),
    /// `example.com:5000`; with what is below it, or only that.
    Domain { name: String, itself: bool, port: Option<u16> },
}

impl Proxies {
    /// Reads the variables; `env` reads one.
    ///
    /// # Errors
    /// In words: the variable that has no address of a proxy.
    pub(super) fn read(env: &dyn Fn(&str) -> Option<String>) -> Result<Self, String> {
        let var = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| Some((name, env(name).filter(|text| !text.trim().is_empty())?)))
        };
        let address = |names| var(names).map(|(name, text)| parse(name, text.trim())).transpose();
        // A server sets this one from a header that anybody may send (CVE-2016-5385).
        let upper = if env("REQUEST_METHOD").is_some() { "http_proxy" } else { "HTTP_PROXY" };
        let all = address(["ALL_PROXY", "all_proxy"])?;
        let direct = var(["NO_PROXY", "no_proxy"]).map(|(_, text)| text.split(',').filter_map(exception).collect());
        Ok(Self {
            http: address([upper, "http_proxy"])?.or_else(|| all.clone()),
            https: address(["HTTPS_PROXY", "https_proxy"])?.or(all),
            direct: direct.unwrap_or_default(),
        })
    }

    /// For the HTTP client.
    pub(super) fn into_proxy(self) -> reqwest::Proxy {
        reqwest::Proxy::custom(move |url| self.of(url).cloned())
    }

    fn of(&self, url: &Url) -> Option<&Url> {
        let proxy = if url.scheme() == "http" { self.http.as_ref() } else { self.https.as_ref() };
        let host = url.host_str()?.trim_end_matches('.').to_ascii_lowercase();
        let port = url.port_or_known_default();
        proxy.filter(|_| !super::transport::is_loopback(&host) && !self.direct.iter().any(|direct| direct.covers(&host, port)))
    }
}

fn parse(name: &str, text: &str) -> Result<Url, String> {
    let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let known = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
    // The text itself is not shown: it may hold a password.
    Url::parse(&whole)
        .ok()
        .filter(|url| known.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty()))
        .ok_or_else(|| format!("the variable {name} is no address of a proxy: write http://HOST:PORT, https://… or socks5://…, or unset it"))
}

fn exception(text: &str) -> Option<Direct> {
    let text = text.trim().to_ascii_lowercase();
    if text == "*" {
        return Some(Direct::All);
    }
    if let Some((address, bits)) = text.split_once('/')
        && let (Ok(address), Ok(bits)) = (address.parse(), bits.parse())
    {
        return Some(Direct::Net(address, bits));
    }
    let (host, port) = match text.rsplit_once(':') {
        // The colons of a bare IPv6 address are its own.
        Some((host, port)) if text.parse::<IpAddr>().is_err() && !text.ends_with(']') => (host, Some(port.parse().ok()?)),
        _ => (text.as_str(), None),
    };
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
        return Some(Direct::Address(address, port));
    }
    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    let name = host.trim_start_matches('.');
    (!name.is_empty()).then(|| Direct::Domain { name: name.to_owned(), itself: name == host, port })
}

impl Direct {
    fn covers(&self, host: &str, port: Option<u16>) -> bool {
        let address = || host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        let fits = |wanted: &Option<u16>| wanted.is_none() || *wanted == port;
        match self {
            Self::All => true,
            Self::Net(net, bits) => address().is_some_and(|address| is_in(address, *net, *bits)),
            Self::Address(wanted, at) => fits(at) && address() == Some(*wanted),
            Self::Domain { name, itself, port: at } => {
                let below = || host.strip_suffix(name.as_str()).is_some_and(|rest| rest.ends_with('.'));
                fits(at) && ((*itself && host == name) || below())
            }
        }
    }
}

fn is_in(address: IpAddr, net: IpAddr, bits: u32) -> bool {
    match (address, net) {
        (IpAddr::V4(address), IpAddr::V4(net)) => bits <= 32 && (address.to_bits() ^ net.to_bits()).leading_zeros() >= bits,
        (IpAddr::V6(address), IpAddr::V6(net)) => bits <= 128 && (address.to_bits() ^ net.to_bits()).leading_zeros() >= bits,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<Proxies, String> {
        Proxies::read(&|name| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    fn way(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.of(&url.parse().unwrap()).map(ToString::to_string)
    }

    #[test]
    fn variables() {
        let proxies = of(&[("HTTPS_PROXY", ""), ("https_proxy", "p.example:3128"), ("HTTP_PROXY", "http://h.example")]).unwrap();
        assert_eq!(way(&proxies, "https://reg.example/v2/").as_deref(), Some("http://p.example:3128/"));
        assert_eq!(way(&proxies, "http://reg.example/v2/").as_deref(), Some("http://h.example/"));
        assert_eq!(way(&proxies, "https://localhost:5000/v2/"), None);
        let all = of(&[("ALL_PROXY", "socks5://s.example:1080"), ("HTTP_PROXY", "http://h.example"), ("REQUEST_METHOD", "GET")]).unwrap();
        assert_eq!(way(&all, "http://x.example").as_deref(), Some("socks5://s.example:1080"));
        assert_eq!(way(&of(&[]).unwrap(), "https://x.example"), None);
        for wrong in ["http://", "ftp://x", "http://user:secret@:x", "http://a b"] {
            let error = of(&[("https_proxy", wrong)]).unwrap_err();
            assert!(error.contains("https_proxy") && !error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn exceptions() {
        let direct = |no: &str, url: &str| way(&of(&[("https_proxy", "p"), ("NO_PROXY", no)]).unwrap(), url).is_none();
        for (no, url) in [
            ("reg.example:5000", "https://reg.example:5000/"),
            ("a.example, reg.example", "https://REG.example./"),
            ("example", "https://reg.example:1/"),
            (".example", "https://reg.example"),
            ("*.example", "https://a.reg.example"),
            ("10.0.0.0/8", "https://10.1.2.3"),
            ("10.1.2.3:443", "https://10.1.2.3"),
            ("[fd00::1]:5000", "https://[fd00::1]:5000"),
            ("fd00::1", "https://[fd00::1]:5000"),
            ("fd00::/8", "https://[fd12::1]"),
            ("*", "https://reg.example"),
        ] {
            assert!(direct(no, url), "{no} {url}");
        }
        for (no, url) in [
            ("reg.example:5000", "https://reg.example/"),
            (".reg.example", "https://reg.example"),
            ("g.example", "https://reg.example"),
            ("10.0.0.0/8", "https://11.1.2.3"),
            ("10.1.2.3:80", "https://10.1.2.3"),
            ("", "https://reg.example"),
        ] {
            assert!(!direct(no, url), "{no} {url}");
        }
    }
}
