//! `kelp push`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::image::RegistryFlags;
use crate::cli::progress::{Progress, Push};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image;
use crate::engine::options::{LayerCompression, ManifestFormat, PullOptions, PushOptions};

/// Flags of `push`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Push every tag of the repository that is here
    #[arg(short, long)]
    all_tags: bool,
    /// Notation of the manifest: oci or v2s2 (default: as it came, else oci)
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Compress layers with gzip, zstd or none (default: as they came, else gzip)
    #[arg(long, value_name = "FORMAT")]
    compression_format: Option<String>,
    /// Compress all layers anew at this level: 1 to 9 for gzip, 1 to 20 for zstd
    #[arg(long, value_name = "LEVEL")]
    compression_level: Option<i32>,
    /// true: compress all layers anew; false: none that is compressed already (default: those in another format than
    /// --compression-format)
    #[arg(long, value_name = "BOOL")]
    force_compression: Option<bool>,
    /// Write the digest of the manifest to this file
    #[arg(long, value_name = "FILE")]
    digestfile: Option<PathBuf>,
    /// Leave signatures behind; always so: sign what was pushed with kelp image sign
    #[arg(long)]
    remove_signatures: bool,
    /// Sign what was pushed with this key (as kelp image sign does)
    #[arg(long, value_name = "FILE")]
    sign_by_sigstore_private_key: Option<PathBuf>,
    /// Not supported: use kelp image sign
    #[arg(long, value_name = "KEY", hide = true)]
    sign_by: Option<String>,
    /// Not supported: layers are not encrypted
    #[arg(long, value_name = "KEY", hide = true)]
    encryption_key: Option<String>,
    /// Not supported: layers are not encrypted
    #[arg(long, value_name = "LAYER", hide = true)]
    encrypt_layer: Option<String>,
    /// The image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Where to; its own name unless given
    #[arg(value_name = "DESTINATION")]
    destination: Option<String>,
}

impl PushArgs {
    fn into_options(self) -> Result<(String, Option<String>, Option<PathBuf>, PushOptions), UsageError> {
        let Self {
            registry,
            all_tags,
            format,
            compression_format,
            compression_level,
            force_compression,
            digestfile,
            remove_signatures,
            sign_by_sigstore_private_key,
            sign_by,
            encryption_key,
            encrypt_layer,
            image,
            destination,
        } = self;
        // Signatures are tags of their own; none go along with an image.
        let _: bool = remove_signatures;
        if sign_by.is_some() {
            return Err(UsageError::new("--sign-by is not supported: kelp makes no GPG signatures; use kelp image sign --key"));
        }
        if encryption_key.is_some() || encrypt_layer.is_some() {
            return Err(UsageError::new("--encryption-key and --encrypt-layer are not supported: layers are not encrypted"));
        }
        let format = match format.as_deref() {
            None => None,
            Some("oci") => Some(ManifestFormat::Oci),
            Some("v2s2" | "docker") => Some(ManifestFormat::Docker),
            Some("v2s1") => return Err(UsageError::value("--format", "v2s1", "that format is obsolete; use oci or v2s2")),
            Some(other) => return Err(UsageError::value("--format", other, "use oci or v2s2")),
        };
        let compression = match compression_format.as_deref() {
            None => None,
            Some("gzip") => Some(LayerCompression::Gzip),
            Some("zstd") => Some(LayerCompression::Zstd),
            Some("none") => Some(LayerCompression::None),
            Some("zstd:chunked") => {
                return Err(UsageError::value("--compression-format", "zstd:chunked", "kelp writes no chunked layers; use zstd"));
            }
            Some(other) => return Err(UsageError::value("--compression-format", other, "use gzip, zstd or none")),
        };
        if all_tags && destination.is_some() {
            return Err(UsageError::conflict("--all-tags", "a destination"));
        }
        let registry = PullOptions { all_tags, ..registry.read(("--policy", None))? };
        let sign_key = sign_by_sigstore_private_key;
        let options = PushOptions { registry, format, compression, level: compression_level, force_compression, sign_key };
        Ok((image, destination, digestfile, options))
    }
}

impl Verb for PushArgs {
    const SUMMARY: &'static str = "Send an image to a registry";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE [DESTINATION]";
    const DESCRIPTION: &'static str = "\
Layers that came from a registry are sent as they came, so that their digests stay, unless another format, a level or \
--force-compression asks for other bytes; others are compressed on the way, always to the same bytes. What the registry has is not sent again, and what a neighbouring repository has is taken from there.";
    const EXAMPLES: &'static str = "\
# To the registry in its name
$ kelp push registry.example/team/app:1
# Under another name
$ kelp push app registry.example/team/app:1
# Smaller
$ kelp push --compression-format zstd --compression-level 19 registry.example/team/app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (name, destination, digestfile, options) = self.into_options()?;
        let engine = context.engine()?;
        let progress = Push::new(Progress::new(options.registry.quiet));
        let pushed = image::push(engine, &name, destination.as_deref(), &options, &progress)?;
        for one in &pushed {
            if options.registry.quiet {
                ui::line(&one.name)?;
            } else {
                let tag = one.name.rsplit(':').next().unwrap_or_default();
                ui::line(format_args!("{tag}: digest: {} size: {}", one.digest, one.size))?;
            }
        }
        if let (Some(path), Some(last)) = (digestfile, pushed.last()) {
            std::fs::write(&path, &last.digest).map_err(crate::engine::Error::io("write", path))?;
        }
        Ok(Exit::OK)
    }
}
