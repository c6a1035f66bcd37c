//! slirp4netns: the user-mode network stack between a container's tap device and the host's sockets.
//!
//! Owns finding the program, its arguments, starting it and the addresses its network implies. It is started as a
//! child of the monitor, always with its sandbox and seccomp filter, and lives as long as the other end of its exit
//! descriptor, so that it also leaves when the monitor is killed.
//!
//! Waiting: the tap device with address and default route exists about 3 ms after the start, the sandbox takes 20 ms
//! more. Packets queue on the tap meanwhile, so [`crate::network::inside`] waits for the route alone. Likewise closing
//! a tap takes the kernel some 25 ms: kill it, tell everybody about the container's end, reap it last.

use std::ffi::OsStr;
use std::io::{self, Read};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::pipe::PipeFlags;

use crate::spec::network::{Cidr4, SlirpOptions};

/// Name of the tap device inside.
pub const TAP: &str = "tap0";

/// Why slirp4netns could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SlirpError {
    /// The program is not there.
    #[error(
        "cannot set up the network: {program} is not installed (looked in {searched}); install the package {package}, or \
         choose --network none or host"
    )]
    NotInstalled {
        /// The program's name.
        program: &'static str,
        /// The package it comes with.
        package: &'static str,
        /// Directories that were searched, separated by colons.
        searched: String,
    },
    /// It could not be executed.
    #[error("cannot start {path}: {source}")]
    Spawn {
        /// The program.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It ended before the network was there.
    #[error("cannot set up the network: {program} failed: {message}{hint}")]
    Failed {
        /// The program's name.
        program: &'static str,
        /// What it said last.
        message: String,
        /// What to do, when known; begins with `; `.
        hint: &'static str,
    },
}

/// The addresses of a slirp4netns network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlirpNet {
    /// The IPv4 network.
    pub cidr: Cidr4,
    /// The container's IPv4 address.
    pub address: Ipv4Addr,
    /// The gateway's IPv4 address: slirp4netns itself.
    pub gateway: Ipv4Addr,
    /// The name server slirp4netns plays; forwards to the host's current one.
    pub dns: Ipv4Addr,
    /// The container's IPv6 address, in a network of prefix length 64.
    pub address6: Ipv6Addr,
    /// The gateway's IPv6 address.
    pub gateway6: Ipv6Addr,
    /// Whether IPv6 leads outside.
    pub ipv6: bool,
    /// Size of a packet in bytes.
    pub mtu: u16,
    /// The container has the host's own addresses, on a link that may be called anything: it is pasta's network.
    pub shares_addresses: bool,
    /// Another network of the container is its way out: the default route by this one has a metric behind that.
    pub steps_back: bool,
}

/// The largest packet; larger ones cost slirp4netns fewer system calls per byte.
const MTU: u16 = 65520;

impl SlirpNet {
    /// Fills in what the options leave open. `host_ipv6`: the host has an IPv6 default route.
    pub fn new(options: &SlirpOptions, host_ipv6: bool) -> Self {
        let cidr = options.cidr.unwrap_or(Cidr4 { network: Ipv4Addr::new(10, 0, 2, 0), prefix: 24 });
        Self {
            cidr,
            address: cidr.host(100),
            gateway: cidr.host(2),
            dns: cidr.host(3),
            address6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100),
            gateway6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
            ipv6: options.ipv6.unwrap_or(host_ipv6),
            mtu: options.mtu.unwrap_or(MTU),
            shares_addresses: false,
            steps_back: false,
        }
    }
}

/// Whether the host has an IPv6 default route, from the text of `/proc/net/ipv6_route`.
pub fn has_ipv6_default_route(table: &str) -> bool {
    // The kernel keeps unreachable default routes on lo even when there is no IPv6 at all.
    table.lines().any(|line| {
        let mut fields = line.split_ascii_whitespace();
        fields.next().is_some_and(|dst| dst.bytes().all(|b| b == b'0'))
            && fields.next() == Some("00")
            && fields.next_back().is_some_and(|device| device != "lo")
    })
}

/// Finds slirp4netns in `path` (the value of `PATH`) or the usual system directories.
///
/// # Errors
/// [`SlirpError::NotInstalled`].
pub fn find(path: Option<&OsStr>) -> Result<PathBuf, SlirpError> {
    find_program("slirp4netns", "slirp4netns", path)
}

/// Finds a program in `path` or the usual system directories.
pub(super) fn find_program(
    program: &'static str,
    package: &'static str,
    path: Option<&OsStr>,
) -> Result<PathBuf, SlirpError> {
    let system = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/libexec/podman", "/usr/local/sbin", "/usr/sbin"];
    let mut dirs: Vec<PathBuf> = path.map(|p| std::env::split_paths(p).collect()).unwrap_or_default();
    dirs.extend(system.iter().map(PathBuf::from));
    dirs.retain(|dir| dir.is_absolute());
    let is_program = |path: &Path| path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    dirs.iter().map(|dir| dir.join(program)).find(|path| is_program(path)).ok_or_else(|| {
        let mut seen: Vec<String> = Vec::new();
        for dir in dirs.iter().map(|dir| dir.display().to_string()) {
            if !seen.contains(&dir) {
                seen.push(dir);
            }
        }
        SlirpError::NotInstalled { program, package, searched: seen.join(":") }
    })
}

/// A started slirp4netns.
#[derive(Debug)]
pub struct Slirp {
    program: &'static str,
    pid: u32,
    /// It ends when this is closed.
    _life: OwnedFd,
    /// Read end of its standard error; kept open so that its messages never kill it, never block it either.
    messages: std::fs::File,
}

impl Slirp {
    /// Starts slirp4netns for a network namespace, without waiting for it. The caller is its parent and must reap it.
    ///
    /// # Errors
    /// [`SlirpError::Spawn`].
    pub fn start(
        program: &Path,
        netns: BorrowedFd<'_>,
        net: &SlirpNet,
        options: &SlirpOptions,
    ) -> Result<Self, SlirpError> {
        let fail = |source: io::Error| SlirpError::Spawn { path: program.to_owned(), source };
        let (life_read, life_write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).map_err(|e| fail(e.into()))?;
        let (messages_read, messages_write) =
            rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).map_err(|e| fail(e.into()))?;
        let child = Command::new(program)
            .args(arguments(net, options))
            .env_clear()
            // The standard descriptors carry all it needs, so that nothing else must be made inheritable.
            .stdin(netns.try_clone_to_owned().map_err(fail)?)
            .stdout(life_read)
            .stderr(Stdio::from(messages_write))
            .spawn()
            .map_err(fail)?;
        Ok(Self::from_parts("slirp4netns", child.id(), life_write, messages_read))
    }

    /// Another program of its kind.
    pub(super) fn from_parts(program: &'static str, pid: u32, life: OwnedFd, messages: OwnedFd) -> Self {
        Self { program, pid, _life: life, messages: messages.into() }
    }

    /// Becomes readable with `HUP` alone when it has ended.
    pub fn ended_fd(&self) -> BorrowedFd<'_> {
        self.messages.as_fd()
    }

    /// Its process id, for the caller who reaps.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Kills it. To be called only before it was reaped. Does not wait: its last moments are the kernel's.
    pub fn kill(&self) {
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }

    /// The error to show after it ended on its own, with what it said last.
    pub fn failure(&mut self) -> SlirpError {
        let mut text = Vec::new();
        // The pipe does not block: this ends at what is there.
        drop(self.messages.by_ref().take(16 * 1024).read_to_end(&mut text));
        explain(self.program, &String::from_utf8_lossy(&text))
    }
}

fn arguments(net: &SlirpNet, options: &SlirpOptions) -> Vec<String> {
    let mut arguments: Vec<String> = ["--configure", "--enable-sandbox", "--enable-seccomp", "--exit-fd=1"]
        .map(str::to_owned)
        .into();
    arguments.push(format!("--mtu={}", net.mtu));
    if options.cidr.is_some() {
        arguments.push(format!("--cidr={}", net.cidr));
    }
    if !options.host_loopback {
        arguments.push("--disable-host-loopback".into());
    }
    if net.ipv6 {
        arguments.push("--enable-ipv6".into());
    }
    arguments.extend(options.outbound.iter().map(|address| format!("--outbound-addr={address}")));
    arguments.extend(options.outbound6.iter().map(|address| format!("--outbound-addr6={address}")));
    arguments.extend(["--netns-type=path", "/proc/self/fd/0", TAP].map(str::to_owned));
    arguments
}

fn explain(program: &'static str, text: &str) -> SlirpError {
    let hints: [(&str, &'static str); 5] = [
        ("/dev/net/tun\"): No such", "; load the kernel module tun: modprobe tun"),
        ("/dev/net/tun\"): Permission", "; give users access: chmod 666 /dev/net/tun"),
        ("/dev/net/tun\"): Operation not", "; this machine forbids the device /dev/net/tun"),
        ("slirp4netns: unrecognized option", "; slirp4netns is older than 0.4.0, install a newer one"),
        ("slirp4netns: invalid option", "; slirp4netns is older than 0.4.0, install a newer one"),
    ];
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("sent tapfd") && !line.starts_with("WARNING") && !line.ends_with("to syslog"))
        .collect();
    // The first line is the cause, the later ones tell of its consequences.
    let message = match lines.as_slice() {
        [] => "it ended without a message".to_owned(),
        lines => lines[..lines.len().min(2)].join("; "),
    };
    let hint = hints.iter().find(|(part, _)| text.contains(part)).map_or("", |(_, hint)| *hint);
    SlirpError::Failed { program, message, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_network_is_closed_and_large() {
        let options = SlirpOptions::default();
        let line = arguments(&SlirpNet::new(&options, false), &options).join(" ");
        assert_eq!(
            line,
            "--configure --enable-sandbox --enable-seccomp --exit-fd=1 --mtu=65520 --disable-host-loopback \
             --netns-type=path /proc/self/fd/0 tap0"
        );
    }

    #[test]
    fn options_are_passed_on() {
        let options = SlirpOptions {
            cidr: Some("10.9.0.0/16".parse().unwrap()),
            mtu: Some(1500),
            ipv6: Some(true),
            host_loopback: true,
            outbound: Some("eth0".into()),
            outbound6: None,
        };
        let net = SlirpNet::new(&options, false);
        assert_eq!(net.address, Ipv4Addr::new(10, 9, 0, 100));
        let line = arguments(&net, &options).join(" ");
        for part in ["--mtu=1500", "--cidr=10.9.0.0/16", "--enable-ipv6", "--outbound-addr=eth0"] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("--disable-host-loopback"));
    }

    #[test]
    fn default_route_is_told_from_the_unreachable_one() {
        let unreachable = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                           00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";
        let real = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                    fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n";
        assert!(!has_ipv6_default_route(unreachable));
        assert!(has_ipv6_default_route(&format!("{unreachable}{real}")));
        assert!(!has_ipv6_default_route(""));
    }

    #[test]
    fn failures_are_explained() {
        let text = "open(\"/dev/net/tun\"): No such file or directory\nchild failed(1)\n";
        let error = explain("slirp4netns", text).to_string();
        assert!(error.contains("modprobe tun"), "{error}");
        assert!(explain("slirp4netns", "").to_string().contains("without a message"));
        let missing = SlirpError::NotInstalled { program: "slirp4netns", package: "slirp4netns", searched: "/usr/bin".into() }.to_string();
        assert!(missing.contains("install the package slirp4netns"), "{missing}");
    }

    #[test]
    fn finds_only_programs() {
        let dir = std::env::temp_dir().join(format!("kelp-slirp-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let program = dir.join("slirp4netns");
        std::fs::write(&program, "").unwrap();
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(find(Some(dir.as_os_str())).map_or(true, |found| found != program));
        std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        assert_eq!(find(Some(dir.as_os_str())).unwrap(), program);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
