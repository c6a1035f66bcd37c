//! The user's configuration: one TOML file, `$XDG_CONFIG_HOME/kelp/config.toml`, read once into one [`Config`] that is
//! passed down. No file means the defaults and costs one failed open. Decides nothing: flags win over it, and what a
//! value does is the business of the room that uses it.

mod error;
mod value;

pub use error::ConfigError;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use crate::spec::container::LogDriver;
use crate::spec::security::FakeIds;
use crate::spec::{NetworkMode, PullPolicy, ShortNames};

/// A configuration file larger than this is not one.
const MAX_FILE: u64 = 1 << 20;

/// All that can be set for good instead of with each command. Unknown keys are errors.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// Where images come from.
    pub images: ImagesConfig,
    /// How layers are stored and mounted.
    pub storage: StorageConfig,
    /// What each container gets unless its flags say otherwise.
    pub containers: ContainersConfig,
    /// Where output goes.
    pub log: LogConfig,
    /// The default network.
    pub network: NetworkConfig,
}

/// `[images]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ImagesConfig {
    /// Registry (and optional path) of names that name none; docker.io unless said.
    pub registry: Option<String>,
    /// Names with a meaning of their own.
    pub aliases: BTreeMap<String, String>,
    /// Registries (`HOST[:PORT]`) spoken to without TLS or without checking its certificate.
    pub insecure: Vec<String>,
    /// When `run` and `create` pull.
    #[serde(deserialize_with = "value::parsed")]
    pub pull: PullPolicy,
    /// Layers fetched at the same time; 6 unless said.
    pub parallel: Option<u8>,
}

impl ImagesConfig {
    /// How names without a registry are completed.
    pub fn short_names(&self) -> ShortNames {
        let mut names = ShortNames { aliases: self.aliases.clone(), ..ShortNames::default() };
        if let Some(registry) = &self.registry {
            names.prefix.clone_from(registry);
        }
        names
    }
}

/// `[storage]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StorageConfig {
    /// Where images, layers, volumes and containers are, whatever its file system; chosen by kelp unless said.
    pub directory: Option<std::path::PathBuf>,
    /// Data directories of others (`SOMEWHERE/kelp`) whose images can be used: read in place, nothing is written there.
    pub additional_stores: Vec<std::path::PathBuf>,
    /// Which driver; tried out per boot unless said.
    #[serde(deserialize_with = "value::parsed")]
    pub driver: DriverChoice,
}

/// The storage drivers a user can ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// The best that works here.
    #[default]
    Auto,
    /// The kernel's overlay file system.
    Overlay,
    /// kelp's own, over FUSE.
    Fuse,
}

impl DriverChoice {
    /// The word of the configuration and of `--storage-driver`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Overlay => "overlay",
            Self::Fuse => "fuse",
        }
    }
}

impl std::str::FromStr for DriverChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "overlay" | "overlay2" => Ok(Self::Overlay),
            "fuse" | "fuse-overlayfs" => Ok(Self::Fuse),
            "vfs" => Err("kelp makes no copy of an image for each container: use auto, overlay or fuse".to_owned()),
            _ => Err(format!("unknown storage driver \"{text}\": use auto, overlay or fuse")),
        }
    }
}

/// `[containers]`: defaults of `run` and `create`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ContainersConfig {
    /// `KEY=VALUE` for every container.
    pub env: Vec<String>,
    /// As `--ulimit`, for every container.
    pub ulimits: Vec<String>,
    /// The capability set to start from; docker's unless said.
    pub capabilities: Option<Vec<String>>,
    /// As `--sysctl`.
    pub sysctls: BTreeMap<String, String>,
    /// As `--label`.
    pub labels: BTreeMap<String, String>,
    /// As `--volume`, for every container.
    pub volumes: Vec<String>,
    /// As `--security-opt seccomp=FILE`.
    pub seccomp_profile: Option<std::path::PathBuf>,
    /// As `--init`.
    pub init: bool,
    /// As `--shm-size`, bytes.
    #[serde(deserialize_with = "value::size")]
    pub shm_size: Option<u64>,
    /// As `--pids-limit`.
    pub pids_limit: Option<i64>,
    /// Seconds `stop` waits before it kills; 10 unless said.
    pub stop_timeout: Option<u32>,
    /// As `--detach-keys`; `ctrl-p,ctrl-q` unless said.
    pub detach_keys: Option<String>,
    /// As `--tz`.
    pub timezone: Option<String>,
    /// As `--umask`, octal text.
    pub umask: Option<String>,
    /// As `--userns`.
    pub userns: Option<String>,
    /// As `--fake-ids`.
    #[serde(deserialize_with = "value::parsed_option")]
    pub fake_ids: Option<FakeIds>,
    /// Use the subordinate ids there are; true unless said. False keeps every file the user's own.
    pub subordinate_ids: Option<bool>,
    /// As `--http-proxy`; true unless said.
    pub http_proxy: Option<bool>,
}

/// `[log]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LogConfig {
    /// As `--log-driver`.
    #[serde(deserialize_with = "value::parsed_option")]
    pub driver: Option<LogDriver>,
    /// Bytes per file.
    #[serde(deserialize_with = "value::size")]
    pub max_size: Option<u64>,
    /// Files kept.
    pub max_file: Option<u32>,
}

/// `[network]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct NetworkConfig {
    /// As `--network`, for containers that say nothing.
    #[serde(deserialize_with = "value::parsed_option")]
    pub default: Option<NetworkMode>,
    /// Bytes; 65520 unless said.
    pub mtu: Option<u16>,
    /// As `--dns`.
    pub dns: Vec<String>,
    /// As `--dns-search`.
    pub dns_search: Vec<String>,
    /// As `--dns-option`.
    pub dns_options: Vec<String>,
    /// Address of the host that `-p` binds when it names none.
    pub publish_address: Option<std::net::IpAddr>,
}

impl Config {
    /// Reads the user's file; an absent one means the defaults.
    ///
    /// # Errors
    /// When it cannot be read or is wrong, with the line.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        match read_bounded(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Self::default()),
            Err(source) => Err(ConfigError::Read { path: path.to_owned(), source }),
        }
    }

    /// Reads a file that was named (`--config`): an absent one is an error.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_named(path: &Path) -> Result<Self, ConfigError> {
        let text =
            read_bounded(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text.get(..span.start).unwrap_or("").matches('\n').count() + 1);
            ConfigError::Invalid { path: path.to_owned(), line, reason: error.message().trim().replace('\n', ", ") }
        })
    }
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_FILE).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Path::new("c.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn absent_and_empty_files_are_the_defaults() {
        assert_eq!(Config::read(Path::new("/nonexistent/kelp.toml")).ok(), Some(Config::default()));
        assert_eq!(parse(""), Ok(Config::default()));
        assert!(Config::read_named(Path::new("/nonexistent/kelp.toml")).is_err());
    }

    #[test]
    fn every_section() {
        let config = parse(
            "[images]\nregistry = 'registry.example'\npull = 'newer'\naliases.x = 'registry.example/team/x'\n\
             [storage]\ndriver = 'fuse'\n[containers]\nshm-size = '128m'\nstop-timeout = 3\nenv = ['A=1']\n\
             [log]\ndriver = 'json-file'\nmax-size = 1000\nmax-file = 2\n[network]\ndefault = 'none'\nmtu = 1500\n",
        )
        .expect("valid");
        assert_eq!(config.images.short_names().prefix, "registry.example");
        assert_eq!(config.images.pull, PullPolicy::Newer);
        assert_eq!(config.storage.driver, DriverChoice::Fuse);
        assert_eq!(config.containers.shm_size, Some(128 << 20));
        assert_eq!(config.log.driver, Some(LogDriver::K8sFile));
        assert_eq!(config.log.max_size, Some(1000));
        assert_eq!(config.network.default, Some(NetworkMode::None));
    }

    #[test]
    fn errors_name_file_and_line() {
        let text = parse("[containers]\n\nstop-timeout = 'soon'\n").expect_err("a word is no number");
        assert!(text.starts_with("c.toml, line 3: "), "{text}");
        let text = parse("[log]\ncolour = 1\n").expect_err("unknown key");
        assert!(text.starts_with("c.toml, line 2: unknown field `colour`"), "{text}");
        let text = parse("[storage]\ndriver = 'zfs'\n").expect_err("unknown driver");
        assert!(text.contains("line 2: unknown storage driver \"zfs\""), "{text}");
    }
}
