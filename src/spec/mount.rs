//! The grammars of `-v`, `--mount` and `--tmpfs`, and the values they end in.

mod parse;

pub use parse::MountParseError;

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One mount asked for with `-v` or `--mount`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountSpec {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path in the container; empty for a [`MountSource::Glob`] without one.
    pub target: String,
    /// Options common to all kinds.
    pub options: MountOptions,
}

/// What a mount shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A path of the host; `create` makes a missing directory (docker's `-v`), else a missing one is an error (`--mount`).
    Bind {
        /// Absolute, or relative to the caller's directory as typed (`./x`, `../x`), made absolute by the cli.
        path: PathBuf,
        /// Make a missing directory.
        create: bool,
    },
    /// A named volume, or an anonymous one.
    Volume {
        /// `None` is anonymous.
        name: Option<String>,
        /// `volume-subpath`.
        subpath: Option<String>,
    },
    /// A tmpfs.
    Tmpfs(TmpfsOptions),
    /// The files of an image; what is written to them goes with the container.
    Image {
        /// As typed.
        image: String,
        /// `subpath`.
        subpath: Option<String>,
    },
    /// Terminals of its own.
    Devpts(DevptsOptions),
    /// Each path of the host that a pattern matches, by its name below the target, or, without one, where it is on the host.
    Glob {
        /// Go's filepath.Match; absolute, or relative to the caller's directory as typed, made absolute by the cli.
        pattern: PathBuf,
    },
}

/// Options of a devpts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DevptsOptions {
    /// Owner of each terminal; its opener unless said.
    pub uid: Option<u32>,
    /// Group of each terminal.
    pub gid: Option<u32>,
    /// Permission bits of each terminal; 600 unless said.
    pub mode: Option<u32>,
    /// How many there can be.
    pub max: Option<u32>,
}

/// Where the changes to a directory go that is mounted with `O`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverlayDirs {
    /// `upperdir=`: changes are kept here.
    pub upper: PathBuf,
    /// `workdir=`: for changes in the making; on the same file system.
    pub work: PathBuf,
}

/// Options of a bind or volume mount.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountOptions {
    /// `ro`.
    pub read_only: bool,
    /// `nosuid`, `nodev`, `noexec` and their opposites; `None` is the default (`nosuid`,`nodev` off for docker).
    pub nosuid: Option<bool>,
    /// As `nosuid`.
    pub nodev: Option<bool>,
    /// As `nosuid`.
    pub noexec: Option<bool>,
    /// Not the mounts below the source (`bind`, `bind-recursive=disabled`).
    pub non_recursive: bool,
    /// Mount propagation; `rprivate` unless said.
    pub propagation: Option<Propagation>,
    /// `z`: relabel for sharing between containers.
    pub relabel_shared: bool,
    /// `Z`: relabel for this container alone.
    pub relabel_private: bool,
    /// `U`: make the container's user own the source.
    pub chown: bool,
    /// `O`: writes go to a temporary layer and vanish with the container.
    pub overlay: bool,
    /// Directories of the user's own for these writes, which then stay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlay_dirs: Option<OverlayDirs>,
    /// `nocopy`: do not fill a new volume from the image.
    pub no_copy: bool,
    /// `idmap`: the source's ids are those of the container, as they are without a map of its own.
    pub idmap: bool,
}

/// mount_namespaces(7) propagation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Propagation {
    /// Nothing goes either way.
    Private,
    /// As `Private`, with the mounts below.
    RPrivate,
    /// Both ways.
    Shared,
    /// Both ways, with the mounts below.
    RShared,
    /// From the host only.
    Slave,
    /// From the host only, with the mounts below.
    RSlave,
}

impl Propagation {
    /// The word of mount(8).
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::RPrivate => "rprivate",
            Self::Shared => "shared",
            Self::RShared => "rshared",
            Self::Slave => "slave",
            Self::RSlave => "rslave",
        }
    }
}

impl FromStr for Propagation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "private" => Self::Private,
            "rprivate" => Self::RPrivate,
            "shared" => Self::Shared,
            "rshared" => Self::RShared,
            "slave" => Self::Slave,
            "rslave" => Self::RSlave,
            _ => return Err(format!("unknown mount propagation \"{text}\"")),
        })
    }
}

/// `--tmpfs PATH[:OPTIONS]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmpfsSpec {
    /// Absolute path in the container.
    pub target: String,
    /// Its options.
    pub options: TmpfsOptions,
}

/// Options of a tmpfs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TmpfsOptions {
    /// Bytes; none is half of memory, as the kernel has it.
    pub size: Option<u64>,
    /// Permission bits; 1777 unless said.
    pub mode: Option<u32>,
    /// Owner in the container.
    pub uid: Option<u32>,
    /// Group in the container.
    pub gid: Option<u32>,
    /// `nr_inodes`.
    pub inodes: Option<u64>,
    /// `ro`.
    pub read_only: bool,
    /// `exec` lifts the default `noexec`.
    pub exec: bool,
    /// `suid` lifts the default `nosuid`.
    pub suid: bool,
    /// `dev` lifts the default `nodev`.
    pub dev: bool,
    /// `notmpcopyup` and its opposite: fill it from the image first.
    pub copy_up: bool,
}
