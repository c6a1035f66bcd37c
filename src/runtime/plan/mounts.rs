//! The mounts every container has (OCI runtime spec, "Linux file systems"; docker's choice of options). Pure.

use super::{Mount, What};
use crate::sys::mount::{attribute, flag};

/// What the standard mounts depend on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standard {
    /// A pid namespace of the container's own (or joined): procfs can be mounted.
    pub own_pid: bool,
    /// A network namespace of its own: sysfs can be mounted.
    pub own_net: bool,
    /// An IPC namespace of its own: mqueue and /dev/shm are.
    pub own_ipc: bool,
    /// `--ipc none`: no /dev/shm at all.
    pub no_shm: bool,
    /// Bytes of /dev/shm.
    pub shm_size: u64,
    /// The host has the unified cgroup hierarchy.
    pub cgroup2: bool,
    /// A cgroup namespace of its own.
    pub own_cgroup: bool,
    /// Group 5 (tty) is mapped.
    pub tty_group: bool,
    /// /sys and cgroups are writable.
    pub privileged: bool,
}

const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Names in /dev that are links everywhere.
pub const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("core", "/proc/kcore"),
    ("ptmx", "pts/ptmx"),
];

const STRICT: u64 = flag::NOSUID | flag::NODEV | flag::NOEXEC;

fn new(target: &str, kind: &str, flags: u64, data: &str) -> Mount {
    Mount {
        target: target.to_owned(),
        strict: true,
        what: What::New { kind: kind.to_owned(), flags, data: data.to_owned() },
        set: 0,
        clear: 0,
        propagation: 0,
    }
}

/// A bind of a host path, with the mounts below it.
pub fn bind(source: &str, target: &str, set: u64) -> Mount {
    Mount {
        target: target.to_owned(),
        strict: false,
        what: What::Bind { source: source.to_owned(), recursive: true, optional: false },
        set,
        clear: 0,
        propagation: 0,
    }
}

/// A bind that is left out when the host does not have its source.
pub fn optional_bind(source: &str, target: &str, set: u64) -> Mount {
    Mount { what: What::Bind { source: source.to_owned(), recursive: true, optional: true }, ..bind(source, target, set) }
}

/// The standard mounts, in order.
pub fn standard(input: Standard) -> Vec<Mount> {
    let mut mounts = Vec::with_capacity(16);
    mounts.push(if input.own_pid { new("/proc", "proc", STRICT, "") } else { Mount { strict: true, ..bind("/proc", "/proc", 0) } });
    // Mode 755: with a sticky, world-writable /dev writes to bound nodes fail (fs.protected_regular).
    mounts.push(new("/dev", "tmpfs", flag::NOSUID | flag::NOEXEC, "mode=755,size=65536k"));
    for node in NODES {
        let path = format!("/dev/{node}");
        mounts.push(bind(&path, &path, attribute::NOSUID | attribute::NOEXEC));
    }
    let group = if input.tty_group { ",gid=5" } else { "" };
    let pts = format!("newinstance,ptmxmode=0666,mode=0620{group}");
    mounts.push(new("/dev/pts", "devpts", flag::NOSUID | flag::NOEXEC, &pts));
    if input.own_ipc {
        mounts.push(new("/dev/mqueue", "mqueue", STRICT, ""));
    } else {
        mounts.push(optional_bind("/dev/mqueue", "/dev/mqueue", 0));
    }
    match (input.no_shm, input.own_ipc) {
        (true, _) => {}
        (false, true) => mounts.push(new("/dev/shm", "tmpfs", STRICT, &format!("mode=1777,size={}", input.shm_size))),
        (false, false) => mounts.push(optional_bind("/dev/shm", "/dev/shm", 0)),
    }
    let read_only = if input.privileged { 0 } else { flag::RDONLY };
    mounts.push(if input.own_net {
        new("/sys", "sysfs", STRICT | read_only, "")
    } else {
        let set = if input.privileged { 0 } else { attribute::RDONLY };
        Mount { strict: true, ..bind("/sys", "/sys", set) }
    });
    if input.cgroup2 && input.own_cgroup {
        mounts.push(new("/sys/fs/cgroup", "cgroup2", STRICT | read_only, ""));
    }
    mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_standard_target_is_strict_but_the_device_nodes() {
        let mounts = standard(Standard { own_pid: true, own_net: true, own_ipc: true, cgroup2: true, own_cgroup: true, ..Standard::default() });
        for mount in &mounts {
            let node = NODES.iter().any(|node| mount.target == format!("/dev/{node}"));
            assert_eq!(mount.strict, !node, "{}", mount.target);
        }
    }

    #[test]
    fn host_namespaces_bind_what_they_cannot_mount() {
        let mounts = standard(Standard::default());
        let source = |target: &str| mounts.iter().find(|mount| mount.target == target).map(|mount| mount.what.clone());
        for target in ["/proc", "/sys"] {
            assert!(matches!(source(target), Some(What::Bind { .. })), "{target}");
        }
    }
}
