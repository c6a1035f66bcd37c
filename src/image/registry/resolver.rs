//! Host names to addresses without the C library: a static binary cannot load the host's name service modules.
//!
//! Owns the order (localhost, `/etc/hosts`, DNS as `/etc/resolv.conf` says, then the host's own `getent` where its name
//! service is configured for more) and the glue to the HTTP client. Lookups run on a thread of their own.

use std::future::Future;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::dns::{self, Answer, Kind};

/// The resolver handed to the HTTP client.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Resolver;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().to_owned();
        let shared = Arc::new(Mutex::new(Slot::default()));
        let theirs = Arc::clone(&shared);
        let started = std::thread::Builder::new()
            .name("kelp-resolve".to_owned())
            .spawn(move || {
                let found = lookup(&name).map_err(|reason| {
                    io::Error::new(io::ErrorKind::NotFound, format!("cannot resolve {name}: {reason}"))
                });
                let mut slot = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                slot.found = Some(found);
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            });
        Box::pin(async move {
            started?;
            let addresses = Lookup(shared).await?;
            let addresses: Addrs = Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

#[derive(Default)]
struct Slot {
    found: Option<io::Result<Vec<IpAddr>>>,
    waker: Option<Waker>,
}

/// The result a lookup thread will leave.
struct Lookup(Arc<Mutex<Slot>>);

impl Future for Lookup {
    type Output = io::Result<Vec<IpAddr>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match slot.found.take() {
            Some(found) => Poll::Ready(found),
            None => {
                slot.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

/// All addresses of a host, IPv4 first; the HTTP client tries both families.
fn lookup(name: &str) -> Result<Vec<IpAddr>, String> {
    let bare = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    if bare == "localhost" || bare.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    // On the way to a SOCKS proxy addresses are asked for, too.
    if let Ok(address) = bare.trim_start_matches('[').trim_end_matches(']').parse() {
        return Ok(vec![address]);
    }
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let known = from_hosts(&read("/etc/hosts"), &bare);
    if !known.is_empty() {
        return Ok(known);
    }
    let config = ResolvConf::parse(&read("/etc/resolv.conf"));
    let failure = match config.lookup(name) {
        Ok(found) if !found.is_empty() => return Ok(found),
        Ok(_) => "no such host".to_owned(),
        Err(reason) => reason,
    };
    if has_other_services(&read("/etc/nsswitch.conf"))
        && let Some(found) = from_getent(name)
    {
        return Ok(found);
    }
    Err(failure)
}

fn from_hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse) else {
            continue;
        };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

/// Whether the host looks names up in more places than files and DNS (mDNS, LDAP, systemd).
fn has_other_services(nsswitch: &str) -> bool {
    nsswitch
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().strip_prefix("hosts:"))
        .flat_map(str::split_ascii_whitespace)
        .any(|word| !word.starts_with('[') && !matches!(word, "files" | "dns" | "myhostname"))
}

/// The host's own lookup program, which may load its modules.
fn from_getent(name: &str) -> Option<Vec<IpAddr>> {
    let output = Command::new("getent")
        .args(["ahosts", "--", name])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let mut found: Vec<IpAddr> = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if let Some(Ok(address)) = line.split_ascii_whitespace().next().map(str::parse)
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    (!found.is_empty()).then_some(found)
}

/// What `/etc/resolv.conf` says.
#[derive(Debug, PartialEq, Eq)]
struct ResolvConf {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots: usize,
    timeout: Duration,
    attempts: u32,
}

impl ResolvConf {
    fn parse(text: &str) -> Self {
        let mut config = Self {
            servers: Vec::new(),
            search: Vec::new(),
            dots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => config.servers.extend(words.next().and_then(server)),
                Some("search" | "domain") => config.search = words.take(6).map(str::to_owned).collect(),
                Some("options") => {
                    for word in words {
                        config.option(word);
                    }
                }
                _ => {}
            }
        }
        config.servers.truncate(3);
        if config.servers.is_empty() {
            config.servers.push(SocketAddr::from((Ipv4Addr::LOCALHOST, 53)));
        }
        config
    }

    fn option(&mut self, word: &str) {
        let Some((name, Ok(number))) = word.split_once(':').map(|(n, v)| (n, v.parse::<u32>())) else {
            return;
        };
        match name {
            "ndots" => self.dots = usize::try_from(number.min(15)).unwrap_or(1),
            "timeout" => self.timeout = Duration::from_secs(u64::from(number.clamp(1, 30))),
            "attempts" => self.attempts = number.clamp(1, 5),
            _ => {}
        }
    }

    /// The full names to ask for, in order.
    fn candidates(&self, name: &str) -> Vec<String> {
        if name.ends_with('.') {
            return vec![name.to_owned()];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{name}.{domain}")).collect();
        if name.matches('.').count() >= self.dots {
            names.insert(0, name.to_owned());
        } else {
            names.push(name.to_owned());
        }
        names
    }

    fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        for candidate in self.candidates(name) {
            let found = self.ask_all(&candidate)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// Asks one server after the other until one answers.
    fn ask_all(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let mut failure = String::new();
        for _ in 0..self.attempts {
            for server in &self.servers {
                match self.ask(*server, name) {
                    Ok(found) => return Ok(found),
                    Err(error) => failure = format!("name server {}: {error}", server.ip()),
                }
            }
        }
        Err(failure)
    }

    /// Both kinds of addresses from one server, asked at the same time.
    fn ask(&self, server: SocketAddr, name: &str) -> io::Result<Vec<IpAddr>> {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
        socket.connect(server)?;
        let mut pending = Vec::new();
        for kind in [Kind::A, Kind::Aaaa] {
            let mut id = [0; 2];
            getrandom::fill(&mut id).map_err(|e| io::Error::other(e.to_string()))?;
            let query = dns::query(u16::from_be_bytes(id), name, kind)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a host name"))?;
            socket.send(&query)?;
            pending.push(query);
        }
        let deadline = Instant::now() + self.timeout;
        let mut found = Vec::new();
        let mut buffer = [0; 4096];
        while !pending.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // One family answered: good enough, some servers drop what they do not know.
                return if found.is_empty() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(found) };
            }
            socket.set_read_timeout(Some(left))?;
            let length = match socket.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
                Err(error) => return Err(error),
            };
            let matching = pending
                .iter()
                .position(|query| dns::answer(query, &buffer[..length]).is_some());
            let Some(position) = matching else { continue };
            let query = pending.swap_remove(position);
            let mut answer = dns::answer(&query, &buffer[..length]);
            if answer == Some(Answer::Truncated) {
                answer = Some(self.ask_tcp(server, &query)?);
            }
            match answer {
                Some(Answer::Addresses(addresses)) => found.extend(addresses),
                Some(Answer::NoSuchName) => return Ok(Vec::new()),
                Some(Answer::Failed(code)) if found.is_empty() && pending.is_empty() => {
                    return Err(io::Error::other(format!("answered with error code {code}")));
                }
                _ => {}
            }
        }
        found.sort_by_key(IpAddr::is_ipv6);
        Ok(found)
    }

    fn ask_tcp(&self, server: SocketAddr, query: &[u8]) -> io::Result<Answer> {
        let mut stream = TcpStream::connect_timeout(&server, self.timeout)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        let length = u16::try_from(query.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), query].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut message)?;
        dns::answer(query, &message).ok_or_else(|| io::Error::other("sent nonsense"))
    }
}

/// An address with an optional scope, as resolv.conf writes servers; a scope means a link-local one we cannot name.
fn server(text: &str) -> Option<SocketAddr> {
    Some(SocketAddr::new(text.parse().ok()?, 53))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_host_files() {
        let hosts = "127.0.0.1 localhost\n::5 reg Reg.Example # reg2\n10.0.0.1\treg.example alias\nbad reg.example\n";
        let found: Vec<String> = from_hosts(hosts, "reg.example").iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.1", "::5"]);
        assert!(from_hosts(hosts, "reg2").is_empty());
        assert!(has_other_services("passwd: files\nhosts: files mdns4_minimal [NOTFOUND=return] dns\n"));
        assert!(!has_other_services("hosts: files dns # mdns\n"));
        assert_eq!(lookup("a.localhost").unwrap().len(), 2);
        assert_eq!(lookup("192.0.2.1").unwrap(), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(lookup("[fd00::1]").unwrap(), ["fd00::1".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn reads_resolv_conf() {
        let text = "nameserver 10.0.0.53\nnameserver fe80::1%eth0\n# c\nsearch a.b c\noptions ndots:2 timeout:1 rotate attempts:99\n";
        let config = ResolvConf::parse(text);
        assert_eq!(config.servers, ["10.0.0.53:53".parse().unwrap()]);
        assert_eq!((config.dots, config.attempts, config.timeout.as_secs()), (2, 5, 1));
        assert_eq!(config.candidates("x.y"), ["x.y.a.b", "x.y.c", "x.y"]);
        assert_eq!(config.candidates("x.y.z")[0], "x.y.z");
        assert_eq!(config.candidates("x."), ["x."]);
        assert_eq!(ResolvConf::parse("").servers[0].port(), 53);
    }

    #[test]
    fn asks_a_server() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 512];
            for _ in 0..2 {
                let (length, from) = server.recv_from(&mut buffer).unwrap();
                let mut reply = buffer[..length].to_vec();
                reply[2] |= 0x80;
                if reply[length - 3] == 1 {
                    reply[7] = 1;
                    reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 192, 0, 2, 7]);
                }
                server.send_to(&reply, from).unwrap();
            }
        });
        let mut config = ResolvConf::parse("");
        config.servers = vec![address];
        assert_eq!(config.lookup("reg.example").unwrap(), ["192.0.2.7".parse::<IpAddr>().unwrap()]);
        thread.join().unwrap();
    }
}
