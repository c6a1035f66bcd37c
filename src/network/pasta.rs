//! pasta (of passt): the other user-mode network for a single container. It gives the namespace the host's own addresses
//! and copies less than slirp4netns does.
//!
//! Owns its arguments and how it is started. It is told a path in the container's runtime directory and watches that directory: when the monitor is killed, the next command removes the directory, and pasta
//! leaves. In every other case the monitor kills it.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::pipe::PipeFlags;

use super::slirp::{Slirp, SlirpError, SlirpNet, find_program};
use crate::spec::network::SlirpOptions;

/// Where the container asks for names; pasta hands the questions to the host's server.
pub const DNS: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// Finds pasta.
///
/// # Errors
/// [`SlirpError::NotInstalled`].
pub fn find(path: Option<&OsStr>) -> Result<PathBuf, SlirpError> {
    find_program("pasta", "passt", path)
}

/// Starts pasta for a network namespace, without waiting for it. The caller must reap it. `link` is made: a path by which
/// pasta finds its standard input, the namespace (opened by way of a process it would need rights that it has given up).
///
/// # Errors
/// [`SlirpError::Spawn`].
pub fn start(program: &Path, netns: BorrowedFd<'_>, link: &Path, options: &[String]) -> Result<Slirp, SlirpError> {
    let fail = |source: std::io::Error| SlirpError::Spawn { path: program.to_owned(), source };
    drop(std::fs::remove_file(link));
    std::os::unix::fs::symlink("/proc/self/fd/0", link)
        .map_err(|source| SlirpError::Spawn { path: link.to_owned(), source })?;
    let (messages, write) =
        rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|errno| fail(errno.into()))?;
    let (_, life) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|errno| fail(errno.into()))?;
    let child = Command::new(program)
        .args(arguments(options))
        .arg("--netns")
        .arg(link)
        .env_clear()
        .stdin(netns.try_clone_to_owned().map_err(fail)?)
        .stdout(Stdio::null())
        .stderr(Stdio::from(write))
        .spawn()
        .map_err(fail)?;
    Ok(Slirp::from_parts("pasta", child.id(), life, messages))
}

/// Ports are published by kelp, so pasta forwards none unless it is told to.
fn arguments(options: &[String]) -> Vec<String> {
    let mut arguments: Vec<String> = ["--config-net", "--foreground", "--quiet"].map(str::to_owned).into();
    let given = |names: [&str; 2]| options.iter().any(|option| names.contains(&option.as_str()));
    for (short, long) in [("-t", "--tcp-ports"), ("-u", "--udp-ports"), ("-T", "--tcp-ns"), ("-U", "--udp-ns")] {
        if !given([short, long]) {
            arguments.extend([short.to_owned(), "none".to_owned()]);
        }
    }
    if !options.iter().any(|option| option == "--map-gw") {
        arguments.push("--no-map-gw".to_owned());
    }
    if !given(["--dns-forward", "--dns-forward"]) {
        arguments.extend(["--dns-forward".to_owned(), DNS.to_string()]);
    }
    // podman's word for what is pasta's default.
    arguments.extend(options.iter().filter(|option| *option != "--map-gw").cloned());
    arguments
}

/// The network as far as it is known beforehand: pasta takes the address the host has outside.
pub fn network(address: Option<IpAddr>) -> SlirpNet {
    // The container has the host's own IPv6 address, whichever that is: published ports lead to another one, of a network
    // that nobody else has (RFC 4193, "kelp" and zeros).
    let ours = |host| Ipv6Addr::new(0xfd6b, 0x656c, 0x7000, 0, 0, 0, 0, host);
    let net = SlirpNet { shares_addresses: true, address6: ours(0x100), gateway6: ours(2), ..SlirpNet::new(&SlirpOptions::default(), false) };
    match address {
        Some(IpAddr::V4(address)) => SlirpNet { address, gateway: super::host_access::ADDRESS, dns: DNS, ..net },
        Some(IpAddr::V6(_)) | None => SlirpNet { gateway: super::host_access::ADDRESS, dns: DNS, ..net },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_open_unless_asked() {
        let line = arguments(&[]).join(" ");
        assert_eq!(
            line,
            "--config-net --foreground --quiet -t none -u none -T none -U none --no-map-gw --dns-forward 169.254.1.1"
        );
        let options: Vec<String> = ["--map-gw", "-t", "8080", "--mtu", "1500"].map(str::to_owned).into();
        let line = arguments(&options).join(" ");
        assert!(!line.contains("map-gw") && !line.contains("-t none") && line.ends_with("-t 8080 --mtu 1500"), "{line}");
    }
}
