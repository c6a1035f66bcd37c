//! What end-to-end tests share: a home per test, commands with time limits, images made on the spot, a registry, a
//! terminal. Tests nothing itself.
#![allow(dead_code, unused_imports)]

pub(crate) mod command;
pub(crate) mod files;
pub(crate) mod home;
pub(crate) mod http;
pub(crate) mod image;
pub(crate) mod leftovers;
pub(crate) mod pty;
pub(crate) mod registry;
pub(crate) mod token;

pub(crate) use command::{Cmd, Output, Process};
pub(crate) use home::Kelp;
pub(crate) use image::{BUSYBOX, Image, Layer};

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program under test: `KELP_TEST_BIN`, else the one cargo built.
pub(crate) fn program() -> PathBuf {
    std::env::var_os("KELP_TEST_BIN").map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_kelp")), PathBuf::from)
}

/// Where all homes of tests and shared archives are: `KELP_TEST_DIR`, else a directory below the temporary one. Short,
/// since sockets live there.
pub(crate) fn base_dir() -> PathBuf {
    let uid = rustix::process::geteuid().as_raw();
    let base = std::env::var_os("KELP_TEST_DIR")
        .map_or_else(|| std::env::temp_dir().join(format!("kt-{uid}")), PathBuf::from);
    std::fs::create_dir_all(&base).unwrap_or_else(|e| panic!("create {}: {e}", base.display()));
    base
}

/// What a host may lack, by the words of `KELP_TEST_REQUIRE`.
fn lacks(feature: &str) -> Option<String> {
    let on_path = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]).any(|d| d.join(name).exists());
        (!found).then(|| format!("no {name} in PATH"))
    };
    let opens = |path: &str| {
        let opened = std::fs::OpenOptions::new().read(true).write(true).open(path);
        opened.err().map(|e| format!("{path}: {e}"))
    };
    match feature {
        "userns" => on_path("newuidmap").or_else(|| {
            let args = ["--user", "--map-auto", "--map-root-user", "true"];
            let status = Command::new("unshare").args(args).stdin(Stdio::null()).stderr(Stdio::null()).status();
            (!status.is_ok_and(|s| s.success())).then(|| "no subordinate ids or no user namespaces".to_owned())
        }),
        "slirp" => on_path("slirp4netns").or_else(|| opens("/dev/net/tun")),
        "fuse" => opens("/dev/fuse"),
        "registry" => on_path("docker-registry"),
        "skopeo" => on_path("skopeo"),
        "openssl" => on_path("openssl"),
        "vm" => std::env::var_os("KELP_TEST_VM_DIR").is_none().then(|| "no virtual machine: KELP_TEST_VM=1 contrib/test makes one".to_owned()),
        "git" => on_path("git"),
        "podman" => on_path("podman").or_else(|| on_path("runc")),
        "buildah" => on_path("buildah"),
        "busybox" => (!Path::new("/bin/busybox").exists()).then(|| "no /bin/busybox".to_owned()),
        "debian" => debian_tar().is_none().then(|| "no tree of Debian: KELP_TEST_DEBIAN is not set".to_owned()),
        "attr" => on_path("setfattr"),
        other => panic!("no such feature of a host: {other}"),
    }
}

/// Whether the host has all of these. Says so when it does not, and fails when `KELP_TEST_REQUIRE` names one of them.
pub(crate) fn host_has(features: &[&str]) -> bool {
    let required = std::env::var("KELP_TEST_REQUIRE").unwrap_or_default();
    for feature in features {
        if let Some(why) = lacks(feature) {
            assert!(!required.split(',').any(|r| r == *feature || r == "all"), "{feature} is required: {why}");
            eprintln!("SKIPPED, the host lacks {feature}: {why}");
            return false;
        }
    }
    true
}

/// Returns from the test unless the host has these.
#[macro_export]
macro_rules! needs {
    ($($feature:literal),+) => {
        if !$crate::support::host_has(&[$($feature),+]) {
            return;
        }
    };
}

/// The root file system of a real Debian, as a tar: `KELP_TEST_DEBIAN`.
pub(crate) fn debian_tar() -> Option<PathBuf> {
    std::env::var_os("KELP_TEST_DEBIAN").map(PathBuf::from).filter(|path| path.exists())
}

/// Asks again every few milliseconds until it holds; fails after the limit.
pub(crate) fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    while !holds() {
        assert!(began.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Ten seconds, the patience of most tests.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A port of loopback nobody listens on now. Not below 20000, and by process, so that tests rarely meet.
pub(crate) fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU16, Ordering};
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 1000).unwrap_or(0) * 10;
    for _ in 0..1000 {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        let free = std::net::TcpListener::bind(("0.0.0.0", port)).is_ok()
            && std::net::UdpSocket::bind(("0.0.0.0", port)).is_ok();
        if free {
            return port;
        }
    }
    panic!("no free port");
}
