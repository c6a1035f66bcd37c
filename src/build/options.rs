//! What one build is asked to do: plain data that doors (command line, compose, REST) fill. Files are named, not read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::dockerfile::MEANT;
use crate::engine::outfile;
use crate::engine::options::{PullOptions, PushOptions};
pub use crate::image::compose::Format;
use crate::image::lease::Lease;
use crate::spec::{ContainerSpec, NetworkMode, Platform, Reference, ShortNames};

/// A build.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// The Dockerfile's text.
    pub dockerfile: String,
    /// Its name in messages.
    pub dockerfile_name: String,
    /// The build context's directory; none when there is only a Dockerfile.
    pub context: Option<PathBuf>,
    /// The ignore file, if there is one: name and text.
    pub ignore: Option<(String, String)>,
    /// `--build-context`.
    pub contexts: BTreeMap<String, NamedContext>,
    /// `--tag`.
    pub tags: Vec<String>,
    /// `--build-arg`, values looked up.
    pub args: Vec<(String, String)>,
    /// `--secret`.
    pub secrets: BTreeMap<String, SecretSource>,
    /// `--ssh`: sockets of agents by name.
    pub ssh: BTreeMap<String, PathBuf>,
    /// `--label`.
    pub labels: Vec<(String, String)>,
    /// `--annotation`.
    pub annotations: BTreeMap<String, String>,
    /// `--annotation index:…`: of the index of several platforms.
    pub index_annotations: BTreeMap<String, String>,
    /// `--env`: variables of the image, after the base's; none is taken from the base.
    pub env: Vec<(String, String)>,
    /// `--unsetenv`.
    pub unset_env: Vec<String>,
    /// `--unsetlabel`.
    pub unset_labels: Vec<String>,
    /// `--no-cache`.
    pub no_cache: bool,
    /// `--no-cache-filter`: stages whose steps are made anew.
    pub no_cache_stages: Vec<String>,
    /// How base images are fetched.
    pub pull: PullOptions,
    /// `--platform`.
    pub platform: Option<Platform>,
    /// `--platform` with several: doors build for one after the other.
    pub platforms: Vec<Platform>,
    /// Keeps the images of several platforms until all are made and in their list.
    pub members: Option<Arc<Mutex<Lease>>>,
    /// `--network`; none is the default network.
    pub network: Option<NetworkMode>,
    /// Limits, privileges, hosts, name servers of `RUN` steps.
    pub spec: ContainerSpec,
    /// `--volume`: binds of every `RUN` step (host path, target, read-only).
    pub volumes: Vec<(PathBuf, String, bool)>,
    /// `--allow security.insecure`, `--allow network.host`.
    pub allow: Vec<String>,
    /// Pass the caller's proxy variables to `RUN` (podman's default).
    pub http_proxy: bool,
    /// `--target`.
    pub target: Option<String>,
    /// `--squash`, `--squash-all`.
    pub squash: Squash,
    /// What becomes of the result.
    pub outputs: Vec<Output>,
    /// How images are sent.
    pub push: PushOptions,
    /// `--cache-from`: what `--cache-to` wrote.
    pub cache_from: Vec<CachePlace>,
    /// `--cache-to`.
    pub cache_to: Vec<CacheTarget>,
    /// Steps at the same time; 0 chooses.
    pub jobs: usize,
    /// `--timestamp`, SOURCE_DATE_EPOCH: seconds since 1970, the time of the image and the latest of its files.
    pub epoch: Option<i64>,
    /// The manifest's form.
    pub format: Format,
    /// `--omit-history`.
    pub omit_history: bool,
}

impl BuildOptions {
    /// One of [`MEANT`]; the last counts, and an empty one is as good as none.
    pub fn meant(&self, name: &str) -> Option<&str> {
        debug_assert!(MEANT.contains(&name), "{name}");
        self.args.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Whether a git context keeps its `.git`.
    pub fn keep_git_dir(&self) -> bool {
        self.meant("BUILDKIT_CONTEXT_KEEP_GIT_DIR").is_some_and(|value| matches!(value, "1" | "t" | "T" | "true" | "TRUE" | "True"))
    }

    /// What `--build-context` says of a name: of an image all its spellings are one.
    pub fn named_context(&self, name: &str) -> Option<&NamedContext> {
        self.contexts.get(&context_name(name))
    }
}

/// A name of `--build-context`, or of what it may stand in for, without what goes without saying (`docker.io/library/`,
/// `:latest`).
pub fn context_name(name: &str) -> String {
    match Reference::parse(name, &ShortNames::default()) {
        Ok(reference) if reference.tag() == Some("latest") && reference.digest().is_none() => reference.familiar_name(),
        Ok(reference) => reference.familiar(),
        Err(_) => name.to_owned(),
    }
}

/// `--build-context NAME=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedContext {
    /// A directory.
    Directory(PathBuf),
    /// An image (`docker-image://`, `container-image://`).
    Image(String),
    /// A stage of the Dockerfile (`target:`).
    Stage(String),
    /// A git repository or the address of an archive. Doors fetch it and put its directory in its place.
    Remote(String),
}

/// A cache elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePlace {
    /// An OCI layout, and the tag in it.
    Directory(PathBuf, String),
    /// A name on a registry.
    Registry(String),
}

impl CachePlace {
    /// As images are named.
    pub(super) fn image(&self) -> String {
        match self {
            Self::Directory(path, tag) => format!("oci:{}:{tag}", path.display()),
            Self::Registry(name) => format!("docker://{name}"),
        }
    }
}

impl fmt::Display for CachePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path, _) => write!(f, "{}", path.display()),
            Self::Registry(name) => f.write_str(name),
        }
    }
}

/// `--cache-to`.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheTarget {
    /// Where.
    pub place: CachePlace,
    /// The steps of all stages, not only (`mode=min`) of those that are in the image.
    pub all: bool,
    /// A cache that cannot be written does not make the build fail.
    pub ignore_error: bool,
    /// How its layers are sent.
    pub push: PushOptions,
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file, read when a step needs it.
    File(PathBuf),
    /// A variable of the caller.
    Env(String),
}

/// Whether layers are put together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Squash {
    /// One layer per step.
    #[default]
    No,
    /// One layer on those of the base.
    New,
    /// One layer in all.
    All,
}

/// `--output`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// An image in the store.
    Image,
    /// The files in a directory.
    Local(PathBuf),
    /// The files as a tar archive; none is standard output.
    Tar(Option<PathBuf>),
    /// The image as an OCI archive.
    Oci(Option<PathBuf>),
    /// The image as an OCI layout in a directory.
    OciLayout(PathBuf),
    /// Nothing but the cache.
    Nothing,
    /// The image as a docker archive.
    Docker(Option<PathBuf>),
    /// Pushed to a registry.
    Push,
}

impl Output {
    /// Whether it is written to standard output, by whatever name.
    #[must_use]
    pub fn is_stdout(&self) -> bool {
        match self {
            Self::Tar(place) | Self::Oci(place) | Self::Docker(place) => place.as_deref().is_none_or(outfile::is_stdout),
            Self::Image | Self::Local(_) | Self::OciLayout(_) | Self::Nothing | Self::Push => false,
        }
    }
}

/// What a build made.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
pub struct Built {
    /// The image's id (`sha256:…`), if one was made.
    pub image: Option<String>,
    /// Digest of its manifest.
    pub manifest: Option<String>,
    /// Bytes of its manifest.
    pub manifest_size: Option<usize>,
    /// The form of its manifest.
    pub format: Format,
    /// Names it was given.
    pub names: Vec<String>,
}
