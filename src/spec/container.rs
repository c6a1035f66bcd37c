//! What a user asked of one container: the value every door (command line, Dockerfile, compose file, REST) fills and
//! the form in which it is stored. Pure data; nothing is looked up or decided here (see `engine::container::resolve`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::mount::{MountSpec, TmpfsSpec};
use super::host_access::HostAccess;
use super::network::NetworkMode;
use super::port::{Expose, Port};
use super::security::FakeIds;

/// Everything asked of one container, by section.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerSpec {
    /// The image as typed, or the directory given with `--rootfs`.
    pub image: ImageSource,
    /// `--name`.
    pub name: Option<String>,
    /// What runs.
    pub process: ProcessSpec,
    /// What is mounted.
    pub storage: StorageSpec,
    /// How it is connected.
    pub network: NetworkSpec,
    /// What it may do.
    pub security: SecuritySpec,
    /// Which namespaces it has to itself.
    pub namespaces: NamespaceSpec,
    /// How much it may use.
    pub resources: ResourceSpec,
    /// Where its output goes.
    pub logging: LogSpec,
    /// When it starts, restarts and goes.
    pub lifecycle: LifecycleSpec,
    /// How its health is checked.
    pub health: super::health::HealthSpec,
    /// `--label`, `--label-file`.
    pub labels: BTreeMap<String, String>,
    /// `--annotation`.
    pub annotations: BTreeMap<String, String>,
}

/// Where the root file system comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ImageSource {
    /// A reference or image id, as typed.
    Image(String),
    /// `--rootfs`: an unpacked directory on the host, used in place; `overlay` keeps it unchanged (`:O`).
    Rootfs {
        /// The directory.
        path: PathBuf,
        /// Writes go to a layer of the container's own.
        overlay: bool,
    },
}

impl Default for ImageSource {
    fn default() -> Self {
        Self::Image(String::new())
    }
}

/// The process to run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessSpec {
    /// `--entrypoint`: `None` keeps the image's, an empty list clears it.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments after the image name; empty keeps the image's command.
    pub command: Vec<String>,
    /// `-e`, `--env-file`, in order; `None` as value removes a variable (`--unsetenv`).
    pub env: Vec<(String, Option<String>)>,
    /// `--unsetenv-all`: start from no image variables.
    pub unset_env_all: bool,
    /// `-w`.
    pub workdir: Option<String>,
    /// `-u`, as typed: `name|uid[:group|gid]`.
    pub user: Option<String>,
    /// `--group-add`, names or ids; `keep-groups` keeps the caller's.
    pub groups: Vec<String>,
    /// `-t`.
    pub tty: bool,
    /// `-i`.
    pub interactive: bool,
    /// `--passwd`: add the user to the account files where the image does not know it.
    pub passwd: Option<bool>,
    /// `--passwd-entry`.
    pub passwd_entry: Option<String>,
    /// `--group-entry`.
    pub group_entry: Option<String>,
    /// `--init`: kelp's own init as process 1.
    pub init: bool,
    /// `--umask`, octal.
    pub umask: Option<u32>,
    /// `--tz`: a zone name or `local`.
    pub timezone: Option<String>,
}

/// Mounts beyond the image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StorageSpec {
    /// `-v`, `--mount`.
    pub mounts: Vec<MountSpec>,
    /// `--tmpfs`.
    pub tmpfs: Vec<TmpfsSpec>,
    /// `--volumes-from`, as typed: `CONTAINER[:ro|rw]`.
    pub volumes_from: Vec<String>,
    /// `--read-only`.
    pub read_only: bool,
    /// `--read-only-tmpfs`: writable tmpfs on /dev/shm, /tmp, /run, /var/tmp of a read-only container. Default true.
    pub read_only_tmpfs: Option<bool>,
    /// `--shm-size`, bytes.
    pub shm_size: Option<u64>,
    /// `--device`, as typed: `HOST[:CONTAINER][:rwm]`.
    pub devices: Vec<String>,
    /// `--image-volume`: what a `VOLUME` of the image becomes.
    pub image_volumes: ImageVolumes,
}

/// What becomes of an image's `VOLUME`s.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageVolumes {
    /// An anonymous volume each.
    #[default]
    Anonymous,
    /// A tmpfs each.
    Tmpfs,
    /// Plain directories of the image.
    Ignore,
}

/// The container's place in the network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NetworkSpec {
    /// `--network`; empty is the default private network.
    pub modes: Vec<NetworkMode>,
    /// `-p`.
    pub publish: Vec<Port>,
    /// `-P`.
    pub publish_all: bool,
    /// `--expose` (`PORT[-PORT][/PROTO]`).
    pub expose: Vec<Expose>,
    /// `-h`.
    pub hostname: Option<String>,
    /// `--domainname`.
    pub domainname: Option<String>,
    /// `--add-host`, as typed: `NAME[;NAME]:IP`.
    pub add_hosts: Vec<String>,
    /// `--dns`; `none` leaves resolv.conf to the image.
    pub dns: Vec<String>,
    /// `--dns-search`.
    pub dns_search: Vec<String>,
    /// `--dns-option`.
    pub dns_options: Vec<String>,
    /// `--no-hosts`.
    pub no_hosts: bool,
    /// `--no-hostname`: leave the image's /etc/hostname.
    pub no_hostname: bool,
    /// `--link`, as typed: `NAME[:ALIAS]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// `--host-access`.
    #[serde(skip_serializing_if = "HostAccess::is_none")]
    pub host_access: HostAccess,
    /// `--http-proxy=false` turns off passing the proxy variables on. Default true.
    pub http_proxy: Option<bool>,
}

/// What the processes may do.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SecuritySpec {
    /// `--privileged`.
    pub privileged: bool,
    /// `--cap-add`, as typed.
    pub cap_add: Vec<String>,
    /// `--cap-drop`, as typed.
    pub cap_drop: Vec<String>,
    /// `--security-opt`, as typed.
    pub options: Vec<String>,
    /// `--sysctl`.
    pub sysctls: BTreeMap<String, String>,
    /// `--ulimit`, as typed.
    pub ulimits: Vec<String>,
    /// `--fake-ids`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fake_ids: Option<FakeIds>,
}

/// Which namespaces are shared with whom.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NamespaceSpec {
    /// `--pid`.
    pub pid: NamespaceMode,
    /// `--ipc`.
    pub ipc: NamespaceMode,
    /// `--uts`.
    pub uts: NamespaceMode,
    /// `--cgroupns`.
    pub cgroup: NamespaceMode,
    /// `--userns`.
    pub user: UserNamespaceMode,
    /// `--uidmap`, as typed: `CONTAINER:HOST:COUNT`.
    pub uid_map: Vec<String>,
    /// `--gidmap`.
    pub gid_map: Vec<String>,
}

/// One namespace of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum NamespaceMode {
    /// A namespace of its own (`private`, `shareable`).
    #[default]
    Private,
    /// The host's.
    Host,
    /// That of another container, by name or id.
    Container(String),
    /// One named by a path such as `/proc/PID/ns/ipc`.
    Path(PathBuf),
    /// `none`: its own and unused (`--ipc none`: no /dev/shm).
    None,
}

impl std::str::FromStr for NamespaceMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("container", name)) if !name.is_empty() => Ok(Self::Container(name.to_owned())),
            Some(("ns", path)) if path.starts_with('/') => Ok(Self::Path(path.into())),
            None => match text {
                "" | "private" | "shareable" => Ok(Self::Private),
                "host" => Ok(Self::Host),
                "none" => Ok(Self::None),
                _ => Err(format!("invalid namespace mode \"{text}\": use private, host, container:NAME or ns:PATH")),
            },
            Some(_) => Err(format!("invalid namespace mode \"{text}\": use private, host, container:NAME or ns:PATH")),
        }
    }
}

impl std::fmt::Display for NamespaceMode {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Private => out.write_str("private"),
            Self::Host => out.write_str("host"),
            Self::None => out.write_str("none"),
            Self::Container(name) => write!(out, "container:{name}"),
            Self::Path(path) => write!(out, "ns:{}", path.display()),
        }
    }
}

/// How the container's ids relate to the user's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UserNamespaceMode {
    /// Container root is the user, the rest the subordinate ids (also spelled `host` as podman does, and `private`).
    #[default]
    Private,
    /// `keep-id[:uid=N,gid=N]`: the user keeps the same id inside.
    KeepId {
        /// The id inside, if not the user's own.
        uid: Option<u32>,
        /// The group id inside, if not the user's own.
        gid: Option<u32>,
    },
    /// `nomap`: the user is not mapped at all; root is a subordinate id.
    NoMap,
    /// `auto[:size=N]`: a range of subordinate ids no other running container has.
    Auto {
        /// How many ids.
        size: Option<u32>,
    },
    /// `container:NAME`: that container's user namespace.
    Container(String),
}

impl std::str::FromStr for UserNamespaceMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mode, options) = text.split_once(':').unwrap_or((text, ""));
        let bad = |what: &str| format!("invalid user namespace mode \"{text}\": {what}");
        match (mode, options) {
            ("" | "host" | "private", "") => Ok(Self::Private),
            ("nomap", "") => Ok(Self::NoMap),
            ("container", name) if !name.is_empty() => Ok(Self::Container(name.to_owned())),
            ("keep-id" | "auto", _) => {
                let (mut uid, mut gid, mut size) = (None, None, None);
                for option in options.split(',').filter(|option| !option.is_empty()) {
                    let (key, value) = option.split_once('=').ok_or_else(|| bad("options are key=value"))?;
                    let number = value.parse::<u32>().map_err(|_| bad("option values are numbers"))?;
                    match (mode, key) {
                        ("keep-id", "uid") => uid = Some(number),
                        ("keep-id", "gid") => gid = Some(number),
                        ("auto", "size") => size = Some(number),
                        _ => return Err(bad(&format!("unknown option \"{key}\""))),
                    }
                }
                Ok(if mode == "auto" { Self::Auto { size } } else { Self::KeepId { uid, gid } })
            }
            _ => Err(bad("use host, keep-id[:uid=N,gid=N], nomap, auto[:size=N] or container:NAME")),
        }
    }
}

/// Limits (cgroup) and priorities. Sizes are bytes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceSpec {
    /// `-m`.
    pub memory: Option<u64>,
    /// `--memory-reservation`.
    pub memory_reservation: Option<u64>,
    /// `--memory-swap`: memory and swap together; -1 is unlimited.
    pub memory_swap: Option<i64>,
    /// `--cpus`, in millionths of a processor.
    pub cpu_millionths: Option<u64>,
    /// `--cpu-period`, microseconds.
    pub cpu_period: Option<u64>,
    /// `--cpu-quota`, microseconds per period; negative is none.
    pub cpu_quota: Option<i64>,
    /// `--cpu-shares`, docker's scale: 2 to 262144.
    pub cpu_shares: Option<u64>,
    /// `--cpuset-cpus`.
    pub cpuset_cpus: Option<String>,
    /// `--cpuset-mems`.
    pub cpuset_mems: Option<String>,
    /// `--pids-limit`; -1 is unlimited.
    pub pids_limit: Option<i64>,
    /// `--oom-score-adj`.
    pub oom_score_adj: Option<i32>,
    /// `--cgroup-parent`.
    pub cgroup_parent: Option<String>,
}

/// Where output goes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogSpec {
    /// `--log-driver`.
    pub driver: LogDriver,
    /// `--log-opt max-size`, bytes per file; `None` is the default of 10 MB.
    pub max_size: Option<u64>,
    /// `--log-opt max-file`; `None` is the default of 3.
    pub max_files: Option<u32>,
    /// `--log-opt labels`: labels that `logs --details` shows.
    pub labels: Vec<String>,
    /// `--log-opt env`: variables that `logs --details` shows.
    pub env: Vec<String>,
    /// `--log-opt tag`.
    pub tag: Option<String>,
    /// `--log-opt path`.
    pub path: Option<PathBuf>,
}

/// Which log driver.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogDriver {
    /// One text line per output line: time, stream, P or F, text (also named `json-file`).
    #[default]
    K8sFile,
    /// Nothing is kept.
    None,
    /// The container writes to the caller's own descriptors.
    Passthrough,
    /// systemd's journal.
    Journald,
}

impl LogDriver {
    /// The name inspect shows.
    pub fn name(self) -> &'static str {
        match self {
            Self::K8sFile => "k8s-file",
            Self::None => "none",
            Self::Passthrough => "passthrough",
            Self::Journald => "journald",
        }
    }
}

impl std::str::FromStr for LogDriver {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "k8s-file" | "json-file" | "local" => Ok(Self::K8sFile),
            "none" => Ok(Self::None),
            "passthrough" => Ok(Self::Passthrough),
            "journald" => Ok(Self::Journald),
            _ => Err(format!("unknown log driver \"{text}\": use k8s-file, json-file, journald, passthrough or none")),
        }
    }
}

/// Start, stop, restart, removal.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleSpec {
    /// `--rm`.
    pub remove: bool,
    /// `--rmi`: remove the image too, unless others use it.
    pub remove_image: bool,
    /// `--restart`.
    pub restart: RestartPolicy,
    /// `--stop-signal`, as typed.
    pub stop_signal: Option<String>,
    /// `--stop-timeout`, seconds; default 10, `u32::MAX` is for ever.
    pub stop_timeout: Option<u32>,
    /// `--timeout`, seconds the container may run; 0 or none is for ever.
    pub timeout: Option<u32>,
    /// `-d`.
    pub detach: bool,
    /// `--pidfile`/`--conmon-pidfile`.
    pub pid_file: Option<PathBuf>,
    /// `--conmon-pidfile`: the monitor's pid.
    pub monitor_pid_file: Option<PathBuf>,
    /// `--cidfile`.
    pub cid_file: Option<PathBuf>,
    /// `--detach-keys` of the `run` that makes it, as typed; other commands have their own.
    pub detach_keys: Option<String>,
}

/// What the monitor does after an exit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RestartPolicy {
    /// Nothing.
    #[default]
    No,
    /// Start again after a non-zero exit, at most so many times (`None`: for ever).
    OnFailure(Option<u32>),
    /// Start again.
    Always,
    /// As `Always`, but not after `kelp stop`, also not at the next boot.
    UnlessStopped,
}

impl RestartPolicy {
    /// docker's name of the policy.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure(_) => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }

    /// docker's `MaximumRetryCount`.
    pub fn max_retries(self) -> u32 {
        if let Self::OnFailure(Some(count)) = self { count } else { 0 }
    }
}

impl std::str::FromStr for RestartPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, count) = text.split_once(':').map_or((text, None), |(name, count)| (name, Some(count)));
        match (name, count) {
            ("no" | "", None) => Ok(Self::No),
            ("always", None) => Ok(Self::Always),
            ("unless-stopped", None) => Ok(Self::UnlessStopped),
            ("on-failure", None) => Ok(Self::OnFailure(None)),
            ("on-failure", Some(count)) => match count.parse::<u32>() {
                Ok(0) => Ok(Self::OnFailure(None)),
                Ok(count) => Ok(Self::OnFailure(Some(count))),
                Err(_) => Err(format!("invalid restart policy \"{text}\": \"{count}\" is not a number")),
            },
            ("no" | "always" | "unless-stopped", Some(_)) => {
                Err(format!("invalid restart policy \"{text}\": only on-failure takes a count"))
            }
            _ => Err(format!("invalid restart policy \"{text}\": use no, on-failure[:N], always or unless-stopped")),
        }
    }
}
