//! How a verb is to be done: plain data the doors fill and the verbs read. What a container is lives in
//! `ContainerSpec`; what one command wants of it lives here. Names are as typed, one per call: a door that was given
//! `--all`, `--latest` or `--filter` lists first and calls once per container.

use std::path::PathBuf;
use std::time::Duration;

use crate::spec::{Platform, PullPolicy};

/// How images are fetched.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PullOptions {
    /// `--pull`/`--policy`; the configuration's unless said.
    pub policy: Option<PullPolicy>,
    /// `--platform`, or `--os`, `--arch`, `--variant` together; the host's unless said.
    pub platform: Option<Platform>,
    /// `--all-tags`.
    pub all_tags: bool,
    /// `--quiet`: no progress.
    pub quiet: bool,
    /// `--authfile`, in place of docker's and containers' files.
    pub auth_file: Option<PathBuf>,
    /// `--creds USER[:PASSWORD]`.
    pub credentials: Option<String>,
    /// `--cert-dir`.
    pub cert_dir: Option<PathBuf>,
    /// `--tls-verify`; checked unless the configuration or `false` says otherwise.
    pub tls_verify: Option<bool>,
    /// `--retry`.
    pub retries: Option<u32>,
    /// `--retry-delay`.
    pub retry_delay: Option<Duration>,
}

/// `push`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PushOptions {
    /// The registry, credentials and platform, as for a pull.
    pub registry: PullOptions,
    /// `--format`.
    pub format: Option<ManifestFormat>,
    /// `--compression-format`.
    pub compression: Option<LayerCompression>,
    /// `--compression-level`.
    pub level: Option<i32>,
    /// `--force-compression`.
    pub force_compression: Option<bool>,
    /// `--sign-by-sigstore-private-key`.
    pub sign_key: Option<PathBuf>,
}

/// The notation of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManifestFormat {
    /// OCI.
    Oci,
    /// docker's version 2 schema 2.
    Docker,
}

/// What layers are compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerCompression {
    /// Not at all.
    None,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// `create`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CreateOptions {
    /// How a missing image is fetched.
    pub pull: PullOptions,
    /// `--replace`: remove the holder of the name first.
    pub replace: bool,
}

/// Which standard streams the caller is connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Streams {
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

impl Default for Streams {
    fn default() -> Self {
        Self { stdin: false, stdout: true, stderr: true }
    }
}

/// `run`. Detaching and the detach keys are in the spec's lifecycle section.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunOptions {
    /// As for `create`.
    pub create: CreateOptions,
    /// `-a`, or what `-i` says; unused with `-d`.
    pub streams: Streams,
    /// `--sig-proxy`.
    pub sig_proxy: bool,
    /// `--preserve-fds`: how many descriptors after 2 go along, at this start.
    pub preserve_fds: u32,
}

/// `start`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StartOptions {
    /// `-a`.
    pub attach: bool,
    /// `-i`.
    pub interactive: bool,
    /// `--sig-proxy`.
    pub sig_proxy: bool,
    /// `--detach-keys`; the container's unless said.
    pub detach_keys: Option<String>,
}

/// `attach`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AttachOptions {
    /// `--no-stdin`.
    pub no_stdin: bool,
    /// `--sig-proxy`.
    pub sig_proxy: bool,
    /// `--detach-keys`; the container's unless said.
    pub detach_keys: Option<String>,
}

/// `stop`, `restart`, and `rm -f`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StopOptions {
    /// Seconds before the kill; the container's unless said; -1 waits for ever.
    pub timeout: Option<i64>,
    /// `--signal`; the container's unless said.
    pub signal: Option<String>,
}

/// `rm`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RemoveOptions {
    /// `-f`: stop it first.
    pub force: bool,
    /// `-v`: its anonymous volumes too.
    pub volumes: bool,
    /// Seconds before the kill with `-f`.
    pub timeout: Option<i64>,
}

/// `exec`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExecOptions {
    /// Program and arguments.
    pub command: Vec<String>,
    /// `-e`, `--env-file`, in order; `None` removes a variable.
    pub env: Vec<(String, Option<String>)>,
    /// `-w`.
    pub workdir: Option<String>,
    /// `-u`, as typed.
    pub user: Option<String>,
    /// `-t`.
    pub tty: bool,
    /// `-i`.
    pub interactive: bool,
    /// `-d`.
    pub detach: bool,
    /// `--privileged`.
    pub privileged: bool,
    /// `--detach-keys`; the container's unless said.
    pub detach_keys: Option<String>,
    /// `--preserve-fds`: how many descriptors after 2 go along.
    pub preserve_fds: u32,
}

/// `wait`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct WaitOptions {
    /// `--condition`; what ends the wait. Empty: the container stopped or exited.
    pub conditions: Vec<WaitCondition>,
    /// `--interval`: how often to look where nothing tells.
    pub interval: Option<Duration>,
}

/// What `wait` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitCondition {
    /// `created`, `configured`.
    Created,
    /// `running`.
    Running,
    /// `paused`.
    Paused,
    /// `stopped`, `exited`, docker's `not-running` and `next-exit`.
    Stopped,
    /// `removed`, `removing`.
    Removed,
    /// `healthy`.
    Healthy,
    /// `unhealthy`.
    Unhealthy,
}

/// `logs`. Times are nanoseconds since 1970, UTC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogsOptions {
    /// `-f`.
    pub follow: bool,
    /// `--tail`; `None` is all.
    pub tail: Option<u64>,
    /// `--since`.
    pub since: Option<i64>,
    /// `--until`.
    pub until: Option<i64>,
}

/// `cp`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// `-a`: keep uid and gid.
    pub archive: bool,
    /// `-L`: follow a symbolic link in the source path.
    pub follow_link: bool,
    /// `--overwrite`: a directory may replace a file and the other way round.
    pub overwrite: bool,
}

/// `import`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOptions {
    /// `-c`: Dockerfile instructions for the image's configuration.
    pub changes: Vec<String>,
    /// `-m`.
    pub message: Option<String>,
    /// `--platform`, or `--os`, `--arch`, `--variant` together.
    pub platform: Option<Platform>,
}

pub use crate::image::compose::Format as ImageFormat;

/// `commit`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CommitOptions {
    /// `-c`: Dockerfile instructions for the image's configuration.
    pub changes: Vec<String>,
    /// `--config`: a `config` object in JSON that goes over the container's settings.
    pub config: Option<String>,
    /// `-m`.
    pub message: Option<String>,
    /// `-a`.
    pub author: Option<String>,
    /// `-p`: freeze the container meanwhile; not said: if that is possible.
    pub pause: Option<bool>,
    /// `-s`: one layer in place of the image's and the container's.
    pub squash: bool,
    /// `--include-volumes`: the container's volumes become the image's.
    pub include_volumes: bool,
    /// `--format`.
    pub format: ImageFormat,
    /// Latest time in the layer and of the image, seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub newest: Option<i64>,
}

/// `save`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SaveOptions {
    /// `--format`.
    pub format: ArchiveFormat,
    /// `--compress`.
    pub compress: bool,
    /// `--squash`: one layer in place of all.
    pub squash: bool,
    /// `--platform`.
    pub platform: Option<Platform>,
}

/// The archives `save` writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ArchiveFormat {
    /// docker's, with `manifest.json`.
    #[default]
    Docker,
    /// An OCI layout in a tar.
    Oci,
    /// An OCI layout in a directory.
    OciDir,
    /// The manifest, configuration and layers of one image in a directory.
    DockerDir,
}

impl ArchiveFormat {
    /// Whether it is several files.
    #[must_use]
    pub fn is_directory(self) -> bool {
        matches!(self, Self::OciDir | Self::DockerDir)
    }
}

/// `rmi`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoveImageOptions {
    /// `-f`: also when a container uses it (the container goes) or several names have it.
    pub force: bool,
    /// `--no-prune`: keep untagged parents.
    pub no_prune: bool,
}

/// `volume create`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeOptions {
    /// `--driver`; `local` is the one there is.
    pub driver: Option<String>,
    /// `--label`.
    pub labels: std::collections::BTreeMap<String, String>,
    /// `--opt`.
    pub options: std::collections::BTreeMap<String, String>,
    /// `--ignore`: an existing one is fine.
    pub ignore: bool,
    /// `--uid`: owner in the container.
    pub uid: Option<u32>,
    /// `--gid`.
    pub gid: Option<u32>,
}
