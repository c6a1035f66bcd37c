//! The image configuration: OCI's fields and docker's (health check, ON BUILD, shell, escaped arguments).
//!
//! Owns reading it from untrusted bytes and giving safe views of it. Values of a wrong type in places nobody depends on
//! read as absent; the list of layers must be right, and so must be what is run, as whom and where. Nothing here decides
//! what a container gets.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::spec::{Digest, Platform};

/// Largest configuration accepted, in bytes.
pub const MAX_CONFIG: u64 = 8 << 20;

/// Why bytes are no image configuration.
#[derive(Debug, thiserror::Error)]
#[error("the image configuration is not valid: {0}")]
pub struct ConfigError(#[from] serde_json::Error);

/// An image configuration document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When it was made, RFC 3339 as written by its maker.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub created: Option<String>,
    /// Who made it.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub author: Option<String>,
    /// Processor architecture, Go's name.
    #[serde(default, deserialize_with = "lenient")]
    pub architecture: String,
    /// Variant of the architecture.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub variant: Option<String>,
    /// Operating system.
    #[serde(default, deserialize_with = "lenient")]
    pub os: String,
    /// Version of the operating system (Windows).
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub os_version: Option<String>,
    /// What a container gets from the image unless told otherwise.
    #[serde(default, deserialize_with = "null_is_default")]
    pub config: Execution,
    /// The layers.
    pub rootfs: RootFs,
    /// How the layers came to be, for people.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub history: Vec<History>,
}

/// The layers of an image by the digests of their uncompressed archives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default = "layers_word")]
    pub kind: String,
    /// Digests of the uncompressed layer archives, lowest first.
    #[serde(default, deserialize_with = "null_is_default")]
    pub diff_ids: Vec<Digest>,
}

impl Default for RootFs {
    fn default() -> Self {
        Self {
            kind: layers_word(),
            diff_ids: Vec::new(),
        }
    }
}

/// One step of the history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When, RFC 3339.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub created: Option<String>,
    /// Who.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub author: Option<String>,
    /// The instruction.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub created_by: Option<String>,
    /// Free text.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "is_false"
    )]
    pub empty_layer: bool,
}

/// The `config` object: the defaults of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Execution {
    /// `USER`, a name or number, optionally `:group`.
    #[serde(
        default,
        deserialize_with = "text",
        skip_serializing_if = "String::is_empty"
    )]
    pub user: String,
    /// `EXPOSE`: `80/tcp`.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub exposed_ports: BTreeMap<String, Unit>,
    /// `ENV`, raw; use [`Execution::environment`].
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub env: Vec<String>,
    /// `ENTRYPOINT`.
    #[serde(
        default,
        deserialize_with = "words",
        skip_serializing_if = "Option::is_none"
    )]
    pub entrypoint: Option<Vec<String>>,
    /// `CMD`.
    #[serde(
        default,
        deserialize_with = "words",
        skip_serializing_if = "Option::is_none"
    )]
    pub cmd: Option<Vec<String>>,
    /// `VOLUME`.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub volumes: BTreeMap<String, Unit>,
    /// `WORKDIR`.
    #[serde(
        default,
        deserialize_with = "text",
        skip_serializing_if = "String::is_empty"
    )]
    pub working_dir: String,
    /// `LABEL`.
    #[serde(
        default,
        deserialize_with = "labels",
        skip_serializing_if = "BTreeMap::is_empty"
    )]
    pub labels: BTreeMap<String, String>,
    /// `STOPSIGNAL`, name or number.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub stop_signal: Option<String>,
    /// `HEALTHCHECK` (docker).
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub healthcheck: Option<Healthcheck>,
    /// `ONBUILD` (docker).
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub on_build: Vec<String>,
    /// `SHELL` (docker).
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub shell: Vec<String>,
    /// The command is one escaped string (docker on Windows).
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "is_false"
    )]
    pub args_escaped: bool,
}

/// Docker's `HEALTHCHECK`; durations in nanoseconds, 0 means inherit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", TEXT]`.
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub test: Vec<String>,
    /// Time between two checks, nanoseconds.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// Time one check may take, nanoseconds.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// Time after the start in which failures do not count, nanoseconds.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// Time between two checks during the start period, nanoseconds.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// Failures in a row that make the container unhealthy.
    #[serde(default, deserialize_with = "lenient", skip_serializing_if = "is_zero")]
    pub retries: i64,
}

/// The `{}` of docker's sets; whatever is written there is ignored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unit;

impl Serialize for Unit {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        serializer.serialize_map(Some(0))?.end()
    }
}

impl<'de> Deserialize<'de> for Unit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl ImageConfig {
    /// Reads a configuration.
    ///
    /// # Errors
    /// When it is no JSON object or its list of layers is not one of digests.
    pub fn parse(raw: &[u8]) -> Result<Self, ConfigError> {
        Ok(serde_json::from_slice(raw)?)
    }

    /// The platform it was built for; what it leaves out is the host's.
    #[must_use]
    pub fn platform(&self) -> Platform {
        let host = Platform::host();
        let or = |text: &str, other: &str| {
            if text.is_empty() {
                other.to_owned()
            } else {
                text.to_owned()
            }
        };
        Platform::new(
            &or(&self.os, &host.os),
            &or(&self.architecture, &host.architecture),
            self.variant.as_deref(),
        )
    }
}

impl Execution {
    /// The environment as pairs, without what could not be one: entries lacking `=` (which would copy a variable of the
    /// host in other tools), empty names and NUL bytes.
    pub fn environment(&self) -> impl Iterator<Item = (&str, &str)> {
        self.env
            .iter()
            .filter_map(|entry| entry.split_once('='))
            .filter(|(name, value)| {
                !name.is_empty() && !name.contains('\0') && !value.contains('\0')
            })
    }
}

fn layers_word() -> String {
    "layers".to_owned()
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature serde asks for
fn is_false(value: &bool) -> bool {
    !*value
}

#[allow(clippy::trivially_copy_pass_by_ref)] // the signature serde asks for
fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// A value of another type than expected counts as absent: one odd label must not make an image unusable.
fn lenient<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + DeserializeOwned,
{
    let value = Value::deserialize(deserializer)?;
    Ok(T::deserialize(value).unwrap_or_default())
}

/// A text that decides what a container is: taking another value for none would run it as root.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        other => Err(D::Error::custom(format_args!("User and WorkingDir must be texts, not {}", short(&other)))),
    }
}

/// A command: a list of words; docker takes a text for a list of that one.
fn words<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let wrong = |value: &Value| D::Error::custom(format_args!("Entrypoint and Cmd must be lists of texts, not {}", short(value)));
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(word) => Ok(Some(vec![word])),
        Value::Array(all) => {
            let word = |value: Value| match value {
                Value::String(word) => Ok(word),
                other => Err(wrong(&other)),
            };
            all.into_iter().map(word).collect::<Result<_, _>>().map(Some)
        }
        other => Err(wrong(&other)),
    }
}

/// Labels; one of another type does not take the others with it.
fn labels<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let Value::Object(all) = Value::deserialize(deserializer)? else { return Ok(BTreeMap::new()) };
    let text = |value: Value| match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(all.into_iter().map(|(key, value)| (key, text(value))).collect())
}

/// A value in a message.
fn short(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn reads_docker_fields() {
        let text = format!(
            r#"{{"architecture":"arm","variant":"v6","os":"linux","created":"2024-01-01T00:00:00Z","unknown":[1],
            "config":{{"User":"1000:1000","Env":["A=b","HOME","=x","C=d=e"],"Entrypoint":null,"Cmd":["sh"],
            "ExposedPorts":{{"80/tcp":{{}}}},"Volumes":{{"/data":{{"x":1}}}},"OnBuild":["RUN x"],"Shell":["/bin/bash","-c"],
            "Healthcheck":{{"Test":["CMD-SHELL","true"],"Interval":30000000000,"Retries":3}},"ArgsEscaped":true}},
            "rootfs":{{"type":"layers","diff_ids":["{D}"]}},"history":[{{"created_by":"x","empty_layer":true}}]}}"#
        );
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.platform().to_string(), "linux/arm/v6");
        assert_eq!(
            config.config.environment().collect::<Vec<_>>(),
            [("A", "b"), ("C", "d=e")]
        );
        assert_eq!(config.config.healthcheck.as_ref().unwrap().retries, 3);
        assert!(config.config.args_escaped && config.history[0].empty_layer);
        assert_eq!(config.config.on_build, ["RUN x"]);
        let again = serde_json::to_string(&config).unwrap();
        assert_eq!(ImageConfig::parse(again.as_bytes()).unwrap(), config);
        assert!(again.contains(r#""ExposedPorts":{"80/tcp":{}}"#), "{again}");
    }

    #[test]
    fn hostile_values_read_as_absent() {
        let text = r#"{"os":7,"config":{"Env":"PATH","Labels":{"a":1,"b":null,"c":"d"},"Cmd":"x","ExposedPorts":[],
            "StopSignal":9,"Healthcheck":{"Interval":1e99}},"rootfs":{"diff_ids":null},"history":3}"#;
        let config = ImageConfig::parse(text.as_bytes()).unwrap();
        assert_eq!(config.config.env, Vec::<String>::new());
        assert_eq!(config.config.cmd, Some(vec!["x".to_owned()]));
        let labels: Vec<(&str, &str)> = config.config.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(labels, [("a", "1"), ("b", ""), ("c", "d")]);
        assert_eq!(config.config.healthcheck, Some(Healthcheck::default()));
        assert_eq!(config.platform(), Platform::host());
        let null = r#"{"config":null,"rootfs":{"type":"layers"}}"#;
        assert!(ImageConfig::parse(null.as_bytes()).is_ok());
        for text in [
            "",
            "[]",
            "{}",
            r#"{"rootfs":{"diff_ids":["sha256:../../x"]}}"#,
            r#"{"rootfs":{},"config":{"User":5}}"#,
            r#"{"rootfs":{},"config":{"WorkingDir":["/"]}}"#,
            r#"{"rootfs":{},"config":{"Entrypoint":{"a":"b"}}}"#,
            r#"{"rootfs":{},"config":{"Cmd":["sh",1]}}"#,
        ] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
