//! Groups of flags that several verbs share. Each group is a clap `Args` struct and one `apply` that takes it apart
//! without `..`: a new flag does not compile until it is mapped.

pub(crate) mod build;
pub(crate) mod container;
pub(crate) mod image;
pub(crate) mod health;
pub(crate) mod lifecycle;
pub(crate) mod logging;
pub(crate) mod network;
pub(crate) mod process;
pub(crate) mod resources;
pub(crate) mod security;
pub(crate) mod storage;
pub(crate) mod targets;
mod where_to;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

use super::exit::UsageError;
use crate::format::size;
use crate::spec::env::Caller;

/// What reading flags may look at.
pub(crate) struct Surroundings<'a> {
    /// Relative paths start here.
    pub(crate) directory: &'a Path,
    /// Where `-e KEY` finds its value.
    pub(crate) caller: &'a dyn Caller,
}

/// Flag files (`--env-file`) are small.
const MAX_FILE: u64 = 16 << 20;

impl Surroundings<'_> {
    /// A path as typed, from the root.
    pub(crate) fn absolute(&self, path: &Path) -> std::path::PathBuf {
        let mut whole = std::path::PathBuf::from("/");
        for part in self.directory.join(path).components() {
            match part {
                std::path::Component::ParentDir => {
                    whole.pop();
                }
                std::path::Component::CurDir => {}
                part => whole.push(part),
            }
        }
        whole
    }

    /// The text of a file named by a flag.
    pub(crate) fn text(&self, flag: &str, path: &Path) -> Result<String, UsageError> {
        use std::io::Read;
        let mut text = String::new();
        std::fs::File::open(self.directory.join(path))
            .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
            .map_err(|error| UsageError::value(flag, &path.display().to_string(), error))?;
        Ok(text)
    }
}

/// One value with a grammar of its own.
pub(crate) fn parse<T: FromStr<Err: Display>>(flag: &str, value: &str) -> Result<T, UsageError> {
    value.parse().map_err(|reason| UsageError::value(flag, value, reason))
}

/// Several values.
pub(crate) fn parse_all<T: FromStr<Err: Display>>(flag: &str, values: &[String]) -> Result<Vec<T>, UsageError> {
    values.iter().map(|value| parse(flag, value)).collect()
}

/// A value that may be absent.
pub(crate) fn parse_option<T: FromStr<Err: Display>>(flag: &str, value: Option<String>) -> Result<Option<T>, UsageError> {
    value.map(|value| parse(flag, &value)).transpose()
}

/// Bytes, units of 1024.
pub(crate) fn bytes(flag: &str, value: Option<String>) -> Result<Option<u64>, UsageError> {
    value
        .map(|value| size::parse_binary(&value).map_err(|reason| UsageError::value(flag, &value, reason)))
        .transpose()
}

/// `KEY=VALUE`, both needed.
pub(crate) fn pairs(flag: &str, values: Vec<String>) -> Result<BTreeMap<String, String>, UsageError> {
    values
        .into_iter()
        .map(|text| match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(UsageError::value(flag, &text, "expected KEY=VALUE")),
        })
        .collect()
}
