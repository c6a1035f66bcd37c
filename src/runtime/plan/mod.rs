//! The plan of a container: namespaces, mounts, ids, limits, capabilities, system call filter, process. Pure data, made
//! before any process exists, printable, stored nowhere; the child walks it and decides nothing.

pub mod masks;
pub mod mounts;
pub mod seccomp;
pub mod served;
pub mod ulimit;
pub mod users;

use serde::{Deserialize, Serialize};

use crate::userns::IdMap;

/// Everything the first process of a container has to do, in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Which namespaces are made or joined.
    pub namespaces: Namespaces,
    /// Map of the container's own user namespace, in ids of the user's.
    pub map: IdMap,
    /// `sethostname`, when it has a UTS namespace of its own.
    pub hostname: Option<String>,
    /// `setdomainname`.
    pub domainname: Option<String>,
    /// Bring `lo` up (a new network namespace).
    pub loopback: bool,
    /// The root file system.
    pub root: Root,
    /// Mounts inside it, in order.
    pub mounts: Vec<Mount>,
    /// Symbolic links under /dev.
    pub dev_links: Vec<(String, String)>,
    /// A network namespace that is neither the host's nor of a container whose pidfd comes with the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_path: Option<String>,
    /// So many ids the owners of the image's files take, where the container may have fewer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owners: Option<u32>,
    /// Volumes to fill from the image before they are mounted.
    pub fill: Vec<Fill>,
    /// Binds that show only a part of their source: (path in the container, path inside the source). No link in the
    /// latter is followed, since what is there is some container's work.
    pub beneath: Vec<(String, String)>,
    /// Paths in the container of binds whose source is made the user's (`U`).
    pub chown: Vec<String>,
    /// `kernel.x` → value, written under /proc/sys.
    pub sysctls: Vec<(String, String)>,
    /// Paths hidden from the container.
    pub masked: Vec<String>,
    /// Paths made read-only.
    pub read_only_paths: Vec<String>,
    /// The root is read-only.
    pub read_only_root: bool,
    /// Propagation of the container's root: 0 is private.
    pub root_propagation: u64,
    /// Who the user is in the container, where no image can know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_account: Option<OwnAccount>,
    /// Lines for the account files, where the image does not know the process's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Accounts>,
    /// The process.
    pub process: Process,
}

/// The user's own entry in the container's account files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnAccount {
    /// As on the host.
    pub name: String,
    /// In the container.
    pub uid: u32,
    /// In the container.
    pub gid: u32,
    /// The home directory.
    pub home: String,
}

/// A new volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fill {
    /// Where it is mounted in the container.
    pub target: String,
    /// Its directory on the host.
    pub volume: String,
    /// What the image has there goes into it; else it only becomes the container's.
    pub copy: bool,
}

/// What to write into the account files; podman's own lines unless said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// `--passwd-entry`.
    pub passwd: Option<String>,
    /// `--group-entry`.
    pub group: Option<String>,
}

/// One namespace: a new one, the caller's, or that of the process whose pidfd comes with the plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Namespace {
    /// Made for this container.
    #[default]
    New,
    /// The monitor's, which for all but user and mount is the host's.
    Host,
    /// Joined.
    Join,
}

/// The namespaces of a container. The mount namespace is always new, so is the user namespace unless another
/// container's namespaces are joined: who joins them lives in that container's user namespace, which owns them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespaces {
    /// Processes.
    pub pid: Namespace,
    /// Network.
    pub net: Namespace,
    /// System V IPC and message queues.
    pub ipc: Namespace,
    /// Host name.
    pub uts: Namespace,
    /// Cgroup root.
    pub cgroup: Namespace,
    /// Join the user namespace too.
    pub user: Namespace,
}

/// The root file system.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Root {
    /// The kernel's overlay.
    Overlay {
        /// Directories on the host, topmost first.
        lower: Vec<String>,
        /// The container's own layer; with its work directory on the same file system.
        upper: String,
        /// overlayfs's own.
        work: String,
        /// An empty directory to mount on.
        target: String,
        /// No syncing: for what is thrown away (such an overlay cannot be mounted twice).
        volatile: bool,
    },
    /// kelp's own overlay: the monitor runs its server outside, where ids are those of the image, so that any id map of
    /// the container shows them right.
    Fuse {
        /// Directories on the host, topmost first.
        lower: Vec<String>,
        /// The container's own layer.
        upper: String,
        /// The server's own, on the same file system.
        work: String,
        /// An empty directory to mount on.
        target: String,
        /// As for the kernel's.
        volatile: bool,
    },
    /// A directory used as it is (`--rootfs`).
    Dir {
        /// On the host.
        path: String,
    },
}

impl Default for Root {
    fn default() -> Self {
        Self::Dir { path: String::new() }
    }
}

/// A mount in the container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path in the container.
    pub target: String,
    /// The target must be a real directory of the image: a link there is an attack (/proc, /dev, /sys).
    pub strict: bool,
    /// What.
    pub what: What,
    /// mount_setattr(2) attributes to set and to clear.
    pub set: u64,
    /// Attributes to clear; locked ones stay.
    pub clear: u64,
    /// Propagation, mount(2) flags; 0 leaves it private.
    pub propagation: u64,
}

/// What a [`Mount`] shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// A new file system.
    New {
        /// `proc`, `tmpfs`, `sysfs`, `devpts`, `mqueue`, `cgroup2`.
        kind: String,
        /// mount(2) flags.
        flags: u64,
        /// Options.
        data: String,
    },
    /// A path of the host.
    Bind {
        /// Absolute.
        source: String,
        /// With the mounts below it.
        recursive: bool,
        /// Nothing happens when the source is missing.
        optional: bool,
    },
    /// Directories shown as one.
    Layered(Layered),
    /// A tmpfs that starts with the content the image has there.
    CopiedTmpfs {
        /// mount(2) flags.
        flags: u64,
        /// Options.
        data: String,
    },
}

/// An image, or a directory of the host that is not to be written to (`:O`).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Layered {
    /// Directories on the host, topmost first.
    pub lower: Vec<String>,
    /// Where changes go, and a directory for those in the making; without them there are none.
    pub writes: Option<(String, String)>,
    /// An empty directory on the host, to mount on until the mount can be had by a descriptor.
    pub target: String,
    /// No syncing (such an overlay cannot be mounted twice).
    pub volatile: bool,
    /// kelp's own overlay serves it, not the kernel's.
    pub fuse: bool,
    /// Files belong to ids of the user's namespace, not to those of an image, which are the container's.
    pub host_ids: bool,
    /// What to call it.
    pub name: String,
}

/// The process to execute.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Program and arguments; the program is looked up in the environment's PATH inside the container.
    pub argv: Vec<String>,
    /// `K=V`.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// One that is missing is made: for a container, as docker does, not for an exec, where it is a slip of the user's.
    #[serde(default)]
    pub make_cwd: bool,
    /// As typed or as in the image: `name|uid[:group|gid]`; looked up inside the container.
    pub user: String,
    /// Supplementary groups, names or ids.
    pub groups: Vec<String>,
    /// A terminal from the container's own devpts.
    pub tty: bool,
    /// Rows and columns of the terminal at the start.
    pub size: Option<(u16, u16)>,
    /// Capabilities: bounding set, and what root has.
    pub caps: u64,
    /// Of these, what users other than root have too.
    pub ambient: u64,
    /// PR_SET_NO_NEW_PRIVS.
    pub no_new_privs: bool,
    /// Compiled seccomp filter, one instruction per number.
    pub seccomp: Vec<u64>,
    /// (resource, soft, hard).
    pub rlimits: Vec<(u32, u64, u64)>,
    /// File mode creation mask.
    pub umask: u32,
    /// /proc/self/oom_score_adj.
    pub oom_score_adj: Option<i32>,
    /// kelp's own init is process 1 and starts the program.
    pub init: bool,
    /// Only one id is mapped: which, and what is done about the others.
    pub one_id: Option<crate::runtime::fakes::OneId>,
}
