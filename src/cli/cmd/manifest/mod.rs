//! Verbs on lists of images for several platforms.

pub(crate) mod add;
pub(crate) mod annotate;
pub(crate) mod create;
pub(crate) mod exists;
pub(crate) mod inspect;
pub(crate) mod push;
pub(crate) mod remove;
pub(crate) mod rm;

use std::collections::BTreeMap;

use crate::cli::exit::UsageError;
use crate::engine::image::list::Traits;

/// What a list says about an image.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TraitFlags {
    /// Operating system of the image
    #[arg(long, value_name = "OS")]
    os: Option<String>,
    /// Architecture of the image
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// Variant of the architecture
    #[arg(long, value_name = "VARIANT")]
    variant: Option<String>,
    /// Version of the operating system
    #[arg(long, value_name = "VERSION")]
    os_version: Option<String>,
    /// Features of the processor it needs
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    features: Vec<String>,
    /// Annotation, repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
}

impl TraitFlags {
    /// `os_features` is a flag of one verb only.
    fn read(self, os_features: Vec<String>) -> Result<Traits, UsageError> {
        let Self { os, arch, variant, os_version, features, annotation } = self;
        let annotations = annotations(&annotation)?;
        Ok(Traits { os, architecture: arch, variant, os_version, os_features, features, annotations })
    }
}

/// `--annotation KEY=VALUE`.
fn annotations(texts: &[String]) -> Result<BTreeMap<String, String>, UsageError> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(UsageError::value("--annotation", text, "write KEY=VALUE")),
    };
    texts.iter().map(pair).collect()
}
