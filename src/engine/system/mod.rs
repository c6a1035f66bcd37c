//! `info` and `version`: facts of this kelp and this host, with docker's keys. Beside it what is about the whole store.

mod archives;
pub mod check;
pub mod df;
pub mod prune;
pub mod reset;
pub mod unshare;

use std::fs;

use serde_json::{Value, json};

use super::container::ls::{self, ListOptions};
use super::{Engine, Error, image};
use crate::spec::Platform;

/// The version of this binary.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Version and build. There is no server, but scripts ask for its version.
pub fn version() -> Value {
    let host = Platform::host();
    let side = json!({
        "Name": "kelp",
        "Version": VERSION,
        "ApiVersion": "",
        "Os": host.os,
        "Arch": host.architecture,
        "KernelVersion": kernel(),
    });
    json!({ "Client": side, "Server": side })
}

/// Everything worth knowing of host, store and user.
///
/// # Errors
/// A store that cannot be read.
pub fn info(engine: &Engine) -> Result<Value, Error> {
    let count = |state: Option<&str>| {
        let filters = state.map(|state| format!("status={state}")).into_iter().collect();
        ls::ids(engine, &ListOptions { all: true, filters, ..ListOptions::default() }).map(|ids| ids.len())
    };
    let (all, running, paused) = (count(None)?, count(Some("running"))?, count(Some("paused"))?);
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    let map = crate::userns::ranges(uid).map(uid, gid);
    let extents = |extents: &[crate::userns::Extent]| -> Vec<Value> {
        extents
            .iter()
            .map(|extent| json!({ "container_id": extent.inside, "host_id": extent.outside, "size": extent.count }))
            .collect()
    };
    Ok(json!({
        "Name": name(),
        "ServerVersion": VERSION,
        "Containers": all,
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": all - running.min(all) - paused.min(all - running.min(all)),
        "Images": image::store(engine).list_readable()?.0.len(),
        "Driver": engine.config.storage.driver.name(),
        "LoggingDriver": engine.config.log.driver.unwrap_or_default().name(),
        "CgroupVersion": if cgroup_v2() { "2" } else { "1" },
        // docker's words for who makes cgroups.
        "CgroupDriver": match crate::runtime::cgroup::session() {
            crate::runtime::cgroup::Session::Delegated(_) => "cgroupfs",
            crate::runtime::cgroup::Session::Manager { .. } => "systemd",
            crate::runtime::cgroup::Session::None(_) => "none",
        },
        "KernelVersion": kernel(),
        "OperatingSystem": operating_system(),
        "OSType": "linux",
        "Architecture": std::env::consts::ARCH,
        "NCPU": std::thread::available_parallelism().map_or(1, usize::from),
        "MemTotal": memory(),
        "DockerRootDir": engine.paths.data,
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=rootless"],
        "RegistryConfig": { "Default": engine.config.images.short_names().prefix },
        "Rootless": uid != 0,
        "IdMappings": { "uidmap": extents(&map.uids), "gidmap": extents(&map.gids) },
        "Paths": {
            "Data": engine.paths.data,
            "Config": engine.paths.config,
            "State": engine.paths.state,
            "Cache": engine.paths.cache,
            "Run": engine.paths.run,
        },
    }))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn kernel() -> String {
    read("/proc/sys/kernel/osrelease")
}

fn name() -> String {
    read("/proc/sys/kernel/hostname")
}

/// Whether /sys/fs/cgroup is the unified hierarchy alone.
pub(super) fn cgroup_v2() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

/// `PRETTY_NAME` of os-release(5).
pub(super) fn operating_system() -> String {
    os_release("PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned())
}

/// One field of os-release(5).
pub(super) fn os_release(key: &str) -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").or_else(|_| fs::read_to_string("/usr/lib/os-release")).ok()?;
    text.lines().find_map(|line| {
        let value = line.strip_prefix(key)?.strip_prefix('=')?;
        Some(value.trim_matches(['"', '\'']).to_owned())
    })
}

/// Bytes of memory.
fn memory() -> u64 {
    let text = read("/proc/meminfo");
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes: u64 = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok()).unwrap_or(0);
    kilobytes.saturating_mul(1024)
}
