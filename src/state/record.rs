//! What is stored of a container.
//!
//! `container.json` (data directory) is written at create and by rename; `run.json` (runtime directory) by the monitor
//! at each start; `exit.json` (data directory) by the monitor at each end, before anyone is told.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::spec::ContainerSpec;
use crate::spec::health::HealthCheck;
use crate::spec::port::PortBinding;

/// The format of the records below; a reader refuses a newer one.
pub const VERSION: u32 = 1;

/// One container as created: nothing here changes while it runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerRecord {
    /// Format version.
    pub version: u32,
    /// 64 hex digits.
    pub id: String,
    /// Its name; the link under `names/` decides when they differ.
    pub name: String,
    /// Nanoseconds since 1970, UTC.
    pub created: i64,
    /// The image it was made from.
    pub image: ImageRef,
    /// What was asked.
    pub spec: ContainerSpec,
    /// What that came to, with the image's defaults.
    pub config: ResolvedConfig,
}

/// The image of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageRef {
    /// 64 hex digits; empty with `--rootfs`.
    pub id: String,
    /// The reference as typed.
    pub name: String,
    /// Unpacked layers, topmost last (diff ids, `sha256:…`).
    pub layers: Vec<String>,
}

/// Spec and image config merged: no open choices that a start would have to make again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolvedConfig {
    /// Entry point.
    pub entrypoint: Vec<String>,
    /// Its arguments.
    pub command: Vec<String>,
    /// `K=V`, without the values computed at start (HOME, TERM, container).
    pub env: Vec<String>,
    /// Working directory.
    pub workdir: String,
    /// `--user` or the image's, as written there.
    pub user: String,
    /// Name in its UTS namespace.
    pub hostname: String,
    /// Image labels under those of the spec.
    pub labels: BTreeMap<String, String>,
    /// Number of the stop signal.
    pub stop_signal: i32,
    /// Ports the image or the spec exposes (`80/tcp`).
    pub exposed: Vec<String>,
    /// Mounts with volumes named and paths absolute.
    pub mounts: Vec<ResolvedMount>,
    /// How its health is checked.
    pub health: Option<HealthCheck>,
}

/// A mount with nothing left to decide.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResolvedMount {
    /// What is shown.
    pub kind: MountKind,
    /// Volume name, or 64 hex digits of an image; empty for the others.
    pub name: String,
    /// The volume was made for this container and goes with it (`--rm`, `rm -v`).
    pub anonymous: bool,
    /// Path on the host, or the name of an image as typed; empty for a tmpfs.
    pub source: String,
    /// Unpacked layers of an image, topmost last (diff ids, `sha256:…`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
    /// Path inside the source, when only that part is shown (`volume-subpath`).
    pub subpath: String,
    /// Path in the container.
    pub target: String,
    /// The options asked.
    pub options: crate::spec::mount::MountOptions,
    /// Tmpfs options.
    pub tmpfs: Option<crate::spec::mount::TmpfsOptions>,
    /// Options of a devpts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devpts: Option<crate::spec::mount::DevptsOptions>,
}

/// The kinds of [`ResolvedMount`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A path of the host.
    #[default]
    Bind,
    /// A volume of kelp's.
    Volume,
    /// Memory.
    Tmpfs,
    /// The files of an image.
    Image,
    /// Terminals.
    Devpts,
}

impl MountKind {
    /// It shows files that outlive the container.
    pub fn has_files(self) -> bool {
        match self {
            Self::Bind | Self::Volume | Self::Image => true,
            Self::Tmpfs | Self::Devpts => false,
        }
    }
}

impl ContainerRecord {
    /// The image it is made from (64 hex digits), and those whose files it shows somewhere.
    pub fn images(&self) -> std::collections::BTreeSet<&str> {
        let shown = self.config.mounts.iter().filter(|mount| mount.kind == MountKind::Image).map(|mount| mount.name.as_str());
        std::iter::once(self.image.id.as_str()).chain(shown).collect()
    }

    /// Whether one of these is this.
    pub fn uses_image(&self, id: &str) -> bool {
        self.images().contains(id)
    }
}

/// One process, safe against reuse of its pid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessId {
    /// In the host's pid namespace.
    pub pid: i32,
    /// Field 22 of /proc/PID/stat: clock ticks after boot.
    pub start: u64,
}

/// A running container; valid only while the monitor holds the lock.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Format version.
    pub version: u32,
    /// /proc/sys/kernel/random/boot_id.
    pub boot: String,
    /// The monitor.
    pub monitor: ProcessId,
    /// Process 1 of the container; none between two runs of a restart policy.
    pub init: Option<ProcessId>,
    /// Nanoseconds since 1970 of the latest start.
    pub started: i64,
    /// Frozen.
    pub paused: bool,
    /// Times the restart policy started it again.
    pub restarts: u32,
    /// Published ports as bound.
    pub ports: Vec<PortBinding>,
    /// Address on the default network, if any.
    pub ip: Option<String>,
    /// Ids of the user's namespace that are this container's alone: first and count.
    #[serde(default)]
    pub ids: Option<(u32, u32)>,
    /// Its place on user networks.
    #[serde(default)]
    pub networks: Vec<super::lease::Lease>,
    /// Path below /sys/fs/cgroup, if it has a cgroup of its own.
    pub cgroup: Option<String>,
}

/// docker's words for a container's health.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// No check has told yet.
    #[default]
    Starting,
    /// The latest check succeeded, or not yet enough failed.
    Healthy,
    /// So many checks in a row failed as its retries say.
    Unhealthy,
}

impl Health {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What the health checks of a run have found; `health.json` of its run directory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthRecord {
    /// The word of the moment.
    pub status: Health,
    /// Failures in a row.
    pub failing_streak: u32,
    /// The latest five.
    pub log: Vec<HealthProbe>,
}

/// One check.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthProbe {
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds since 1970.
    pub end: i64,
    /// 0 is healthy; -1 took too long.
    pub code: i32,
    /// The first 4096 bytes of what it printed.
    pub output: String,
}

/// How a container ended the last time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExitRecord {
    /// Format version.
    pub version: u32,
    /// The process's code, or 128 + signal.
    pub code: i32,
    /// Nanoseconds since 1970.
    pub started: i64,
    /// Nanoseconds since 1970.
    pub finished: i64,
    /// Killed by the kernel for lack of memory in its cgroup.
    pub oom: bool,
    /// Why it could not start or was lost; empty after an ordinary end.
    pub error: String,
    /// `kelp stop` ended it: `unless-stopped` leaves it so.
    pub stopped_by_user: bool,
    /// Times the restart policy had started it again.
    pub restarts: u32,
    /// Pid it had.
    pub pid: i32,
}

/// What a container is doing, read from facts.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// Never started.
    Created,
    /// Its monitor holds the lock and has a process.
    Running(RunRecord),
    /// As running, frozen.
    Paused(RunRecord),
    /// Its monitor waits to start it again.
    Restarting(RunRecord, ExitRecord),
    /// Ended.
    Exited(ExitRecord),
}

impl Status {
    /// docker's word for it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running(_) => "running",
            Self::Paused(_) => "paused",
            Self::Restarting(..) => "restarting",
            Self::Exited(_) => "exited",
        }
    }

    /// The record of a live monitor.
    pub fn run(&self) -> Option<&RunRecord> {
        match self {
            Self::Running(run) | Self::Paused(run) | Self::Restarting(run, _) => Some(run),
            Self::Created | Self::Exited(_) => None,
        }
    }
}
