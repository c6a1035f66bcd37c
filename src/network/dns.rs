//! The content of a container's resolv.conf. Pure: writes nothing, reads nothing.

use std::net::IpAddr;

/// Where names are resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsMode {
    /// In the host's network: its own resolv.conf is right as it is.
    Host,
    /// Behind a name server of the network (slirp4netns', or the gateway of a user network) that asks the host's
    /// servers as they are at the time of the question.
    Forwarded {
        /// The network's name server.
        server: IpAddr,
        /// IPv6 leads outside, so the host's IPv6 servers are of use.
        ipv6: bool,
    },
    /// Without a network.
    None,
}

/// What resolv.conf is made of.
#[derive(Debug, Clone, Copy)]
pub struct DnsInput<'a> {
    /// The host's resolv.conf.
    pub host: &'a str,
    /// Where names are resolved.
    pub mode: DnsMode,
    /// `--dns`; replaces every server.
    pub servers: &'a [IpAddr],
    /// `--dns-search`; replaces the host's domains. A lone `.` means none.
    pub search: &'a [String],
    /// `--dns-option`; replaces the host's options.
    pub options: &'a [String],
}

/// What a resolv.conf says.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct ResolvConf {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

/// More are ignored by resolvers.
const MAX_SERVERS: usize = 3;

fn parse(text: &str) -> ResolvConf {
    let mut conf = ResolvConf::default();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace().take_while(|word| !word.starts_with(['#', ';']));
        match words.next() {
            Some("nameserver") => conf.servers.extend(words.next().map(str::to_owned)),
            // The last of these lines wins.
            Some("search" | "domain") => conf.search = words.map(str::to_owned).collect(),
            Some("options") => conf.options.extend(words.map(str::to_owned)),
            _ => {}
        }
    }
    conf
}

/// The search domains of a resolv.conf.
pub fn search_of(text: &str) -> Vec<String> {
    parse(text).search
}

/// A server of the host that a private network reaches as well: not one on the host's loopback, nor one that is
/// known by a link of the host.
fn reachable(server: &str, ipv6: bool) -> bool {
    match server.parse() {
        Ok(IpAddr::V4(ip)) => !ip.is_loopback() && !ip.is_unspecified(),
        Ok(IpAddr::V6(ip)) => ipv6 && !ip.is_loopback() && !ip.is_unspecified() && !ip.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// The text of resolv.conf.
pub fn resolv_conf(input: &DnsInput<'_>) -> String {
    let overridden = !(input.servers.is_empty() && input.search.is_empty() && input.options.is_empty());
    if input.mode == DnsMode::Host && !overridden {
        return input.host.to_owned();
    }
    let host = parse(input.host);
    let servers: Vec<String> = match input.mode {
        _ if !input.servers.is_empty() => input.servers.iter().map(IpAddr::to_string).collect(),
        DnsMode::Host => host.servers,
        DnsMode::None => Vec::new(),
        DnsMode::Forwarded { server, ipv6 } => {
            let mut servers = vec![server.to_string()];
            servers.extend(host.servers.into_iter().filter(|s| reachable(s, ipv6)));
            servers.truncate(MAX_SERVERS);
            servers
        }
    };
    let search = if input.search.is_empty() { &host.search } else { input.search };
    let search: Vec<&str> = search.iter().map(String::as_str).filter(|domain| *domain != ".").collect();
    let options = if input.options.is_empty() { &host.options } else { input.options };
    let mut text = String::new();
    if !search.is_empty() {
        text.push_str(&format!("search {}\n", search.join(" ")));
    }
    for server in servers {
        text.push_str(&format!("nameserver {server}\n"));
    }
    if !options.is_empty() {
        text.push_str(&format!("options {}\n", options.join(" ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYSTEMD: &str = "# stub\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lan example.org\n";
    const HOME: &str = "domain old\nsearch lan # mine\nnameserver 192.168.1.1\nnameserver fe80::1%eth0\n\
                        nameserver 2001:db8::53\nnameserver 9.9.9.9\nnameserver 8.8.8.8";

    fn input(host: &str) -> DnsInput<'_> {
        let mode = DnsMode::Forwarded { server: "10.0.2.3".parse().unwrap(), ipv6: false };
        DnsInput { host, mode, servers: &[], search: &[], options: &[] }
    }

    #[test]
    fn loopback_servers_are_replaced() {
        assert_eq!(
            resolv_conf(&input(SYSTEMD)),
            "search lan example.org\nnameserver 10.0.2.3\noptions edns0 trust-ad\n"
        );
        assert_eq!(
            resolv_conf(&input(HOME)),
            "search lan\nnameserver 10.0.2.3\nnameserver 192.168.1.1\nnameserver 9.9.9.9\n"
        );
        let mode = DnsMode::Forwarded { server: "10.0.2.3".parse().unwrap(), ipv6: true };
        assert!(resolv_conf(&DnsInput { mode, ..input(HOME) }).contains("2001:db8::53"));
        assert_eq!(resolv_conf(&input("")), "nameserver 10.0.2.3\n");
    }

    #[test]
    fn overrides() {
        let servers = ["1.1.1.1".parse().unwrap(), "::1".parse().unwrap()];
        let search = [".".to_owned()];
        let options = ["ndots:1".to_owned()];
        let all = DnsInput { servers: &servers, search: &search, options: &options, ..input(SYSTEMD) };
        let want = "nameserver 1.1.1.1\nnameserver ::1\noptions ndots:1\n";
        assert_eq!(resolv_conf(&all), want);
        assert_eq!(resolv_conf(&DnsInput { mode: DnsMode::Host, ..all }), want);
        assert_eq!(resolv_conf(&DnsInput { mode: DnsMode::None, ..all }), want);
    }

    #[test]
    fn modes() {
        assert_eq!(resolv_conf(&DnsInput { mode: DnsMode::Host, ..input(HOME) }), HOME);
        let none = resolv_conf(&DnsInput { mode: DnsMode::None, ..input(HOME) });
        assert_eq!(none, "search lan\n");
    }
}
