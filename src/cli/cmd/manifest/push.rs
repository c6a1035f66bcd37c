//! `kelp manifest push`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::progress::{Progress, Push};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image::list;
use crate::engine::options::{LayerCompression, ManifestFormat, PullOptions, PushOptions};

/// Flags of `manifest push`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PushArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub(super) list: String,
    /// Where to; its own name unless given
    #[arg(value_name = "DESTINATION")]
    pub(super) destination: Option<String>,
    /// Send the images too; always so in kelp
    #[arg(long)]
    pub(super) all: bool,
    /// Read registry credentials from this file
    #[arg(long, value_name = "FILE")]
    pub(super) authfile: Option<PathBuf>,
    /// Directory with certificates of the registry
    #[arg(long, value_name = "DIR")]
    pub(super) cert_dir: Option<PathBuf>,
    /// Compress layers with gzip, zstd or none (default gzip)
    #[arg(long, value_name = "FORMAT")]
    pub(super) compression_format: Option<String>,
    /// Level of compression: 1 to 9 for gzip, 1 to 20 for zstd
    #[arg(long, value_name = "LEVEL")]
    pub(super) compression_level: Option<i32>,
    /// true: compress all layers anew; false: none that is compressed already (default: those in another format than
    /// --compression-format)
    #[arg(long, value_name = "BOOL")]
    pub(super) force_compression: Option<bool>,
    /// Credentials for the registry
    #[arg(long, value_name = "USER[:PASSWORD]")]
    pub(super) creds: Option<String>,
    /// Write the digest of the list to this file
    #[arg(long, value_name = "FILE")]
    pub(super) digestfile: Option<PathBuf>,
    /// Notation: oci or v2s2 (default oci)
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Allow plain HTTP and unknown certificates
    #[arg(long)]
    pub(super) insecure: bool,
    /// Remove the list here when it has been sent
    #[arg(long, visible_alias = "purge", short_alias = 'p')]
    pub(super) rm: bool,
    /// Show no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Leave signatures behind; always so
    #[arg(long)]
    pub(super) remove_signatures: bool,
    /// Check the registry's certificate (default true)
    #[arg(long, value_name = "BOOL")]
    pub(super) tls_verify: Option<bool>,
}

impl Verb for PushArgs {
    const SUMMARY: &'static str = "Send the images of a list and the list to a registry";
    const OPERANDS: &'static str = "[OPTIONS] LIST [DESTINATION]";
    const EXAMPLES: &'static str = "\
# To the registry in its name
$ kelp manifest push registry.example/app:1";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self {
            list, destination, all, authfile, cert_dir, compression_format, compression_level, force_compression, creds,
            digestfile, format, insecure, rm, quiet, remove_signatures, tls_verify,
        } = self;
        // A list without its images is of no use, and signatures are tags of their own.
        let _: (bool, bool) = (all, remove_signatures);
        let format = match format.as_deref() {
            None | Some("oci") => ManifestFormat::Oci,
            Some("v2s2" | "docker") => ManifestFormat::Docker,
            Some(other) => return Err(UsageError::value("--format", other, "use oci or v2s2").into()),
        };
        let compression = match compression_format.as_deref() {
            None => None,
            Some("gzip") => Some(LayerCompression::Gzip),
            Some("zstd") => Some(LayerCompression::Zstd),
            Some("none") => Some(LayerCompression::None),
            Some(other) => return Err(UsageError::value("--compression-format", other, "use gzip, zstd or none").into()),
        };
        let tls_verify = tls_verify.or(insecure.then_some(false));
        let registry =
            PullOptions { auth_file: authfile, cert_dir, credentials: creds, tls_verify, quiet, ..PullOptions::default() };
        let options = PushOptions {
            registry, format: Some(format), compression, level: compression_level, force_compression, sign_key: None,
        };
        let engine = context.engine()?;
        let progress = Push::new(Progress::new(quiet));
        let pushed = list::push_list(engine, &list, destination.as_deref(), &options, &progress)?;
        if let Some(path) = digestfile {
            std::fs::write(&path, &pushed.digest).map_err(crate::engine::Error::io("write", path))?;
        }
        if rm {
            list::remove(engine, &list)?;
        }
        ui::line(pushed.digest)?;
        Ok(Exit::OK)
    }
}
