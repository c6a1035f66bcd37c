//! The content of a container's /etc/hosts and /etc/hostname. Pure: writes nothing, reads nothing.

use std::net::IpAddr;

use crate::spec::host_entry::{HostAddress, HostEntry};

/// What /etc/hosts is made of.
#[derive(Debug, Clone, Copy)]
pub struct HostsInput<'a> {
    /// The text to begin with instead of the standard lines: the host's file for `--network host`.
    pub base: Option<&'a str>,
    /// The container's addresses, the preferred first; none without a network.
    pub addresses: &'a [IpAddr],
    /// Host name, with its domain if any.
    pub hostname: &'a str,
    /// The container's name.
    pub name: &'a str,
    /// `--add-host`.
    pub extra: &'a [HostEntry],
    /// An address at which the host answers, for `host-gateway`.
    pub gateway: Option<IpAddr>,
    /// `host.containers.internal` and `host.docker.internal` are to be there, because the host really can be reached.
    pub host_names: bool,
}

/// An entry that has no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot add the host entry {entry}: the host has no address that this container can reach; give an address, or a \
     network with --host-access"
)]
pub struct NoGateway {
    /// As typed.
    pub entry: String,
}

const STANDARD: &str = "127.0.0.1\tlocalhost localhost.localdomain
::1\tlocalhost localhost.localdomain ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// The text of /etc/hosts. What the user added comes first: the first line with a name wins.
///
/// # Errors
/// `host-gateway` where there is none.
pub fn hosts(input: &HostsInput<'_>) -> Result<String, NoGateway> {
    let mut text = String::new();
    for entry in input.extra {
        let ip = match entry.address {
            HostAddress::Ip(ip) => ip,
            HostAddress::Gateway => input.gateway.ok_or_else(|| NoGateway { entry: entry.to_string() })?,
        };
        line(&mut text, ip, &entry.names);
    }
    text.push_str(input.base.unwrap_or(STANDARD));
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let names = own_names(input.hostname, input.name);
    if input.base.is_none() && !names.is_empty() {
        let loopback: [IpAddr; 1] = [std::net::Ipv4Addr::LOCALHOST.into()];
        let addresses = if input.addresses.is_empty() { &loopback } else { input.addresses };
        for ip in addresses {
            line(&mut text, *ip, &names);
        }
    }
    if let Some(ip) = input.gateway.filter(|_| input.host_names) {
        line(&mut text, ip, &["host.containers.internal".to_owned(), "host.docker.internal".to_owned()]);
    }
    Ok(text)
}

fn line(text: &mut String, ip: IpAddr, names: &[String]) {
    text.push_str(&format!("{ip}\t{}\n", names.join(" ")));
}

/// Host name, its first part, the container's name; each once.
fn own_names(hostname: &str, name: &str) -> Vec<String> {
    let short = hostname.split('.').next().unwrap_or(hostname);
    let mut names: Vec<String> = Vec::new();
    for each in [hostname, short, name] {
        if !each.is_empty() && !names.iter().any(|known| known == each) {
            names.push(each.to_owned());
        }
    }
    names
}

/// The text of /etc/hostname.
pub fn hostname(name: &str) -> String {
    format!("{name}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: HostsInput<'static> = HostsInput {
        base: None,
        addresses: &[],
        hostname: "",
        name: "",
        extra: &[],
        gateway: None,
        host_names: false,
    };

    #[test]
    fn own_name_leads_to_own_address() {
        let address = ["10.0.2.100".parse().unwrap()];
        let input = HostsInput { addresses: &address, hostname: "web.example.org", name: "shop", ..NONE };
        let text = hosts(&input).unwrap();
        assert!(text.starts_with("127.0.0.1\tlocalhost"));
        assert!(text.ends_with("10.0.2.100\tweb.example.org web shop\n"), "{text}");
        let alone = hosts(&HostsInput { hostname: "a", name: "a", ..NONE }).unwrap();
        assert!(alone.ends_with("127.0.0.1\ta\n"), "{alone}");
    }

    #[test]
    fn added_entries_win() {
        let extra = ["localhost:9.9.9.9".parse().unwrap(), "h:host-gateway".parse().unwrap()];
        let input = HostsInput { extra: &extra, gateway: Some("10.0.2.2".parse().unwrap()), ..NONE };
        let text = hosts(&input).unwrap();
        assert!(text.starts_with("9.9.9.9\tlocalhost\n10.0.2.2\th\n127.0.0.1\tlocalhost"), "{text}");
        assert!(!text.contains("host.docker.internal"));
        let open = hosts(&HostsInput { host_names: true, ..input }).unwrap();
        assert!(open.ends_with("10.0.2.2\thost.containers.internal host.docker.internal\n"));
        let error = hosts(&HostsInput { gateway: None, ..input }).unwrap_err();
        assert!(error.to_string().contains("h:host-gateway"));
    }

    #[test]
    fn host_network_keeps_the_hosts_file() {
        let text = hosts(&HostsInput { base: Some("127.0.1.1 laptop"), hostname: "laptop", ..NONE }).unwrap();
        assert_eq!(text, "127.0.1.1 laptop\n");
        assert_eq!(hostname("web"), "web\n");
    }
}
