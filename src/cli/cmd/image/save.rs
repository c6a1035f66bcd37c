//! `kelp save`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::parse;
use crate::cli::output::file_or_stdout;
use crate::cli::verb::Verb;
use crate::engine::image::{self, Output};
use crate::engine::options::{ArchiveFormat, SaveOptions};

/// Flags of `save`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct SaveArgs {
    /// The images, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) images: Vec<String>,
    /// Write to this file instead of standard output; a directory with the formats that end in -dir
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// docker-archive, oci-archive, docker-dir or oci-dir (default docker-archive)
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Several images in one archive; always so in kelp
    #[arg(short, long)]
    pub(super) multi_image_archive: bool,
    /// Show no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Compress layers with gzip
    #[arg(long)]
    pub(super) compress: bool,
    /// Make one layer of all
    #[arg(long)]
    pub(super) squash: bool,
    /// Leave layers uncompressed; always so in kelp
    #[arg(long, conflicts_with = "compress")]
    pub(super) uncompressed: bool,
    /// Save only this platform
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<String>,
}

impl Verb for SaveArgs {
    const SUMMARY: &'static str = "Write images to an archive";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE [IMAGE...]";
    const EXAMPLES: &'static str = "\
# For docker load
$ kelp save -o app.tar app
# Straight to another host
$ kelp save app | ssh host kelp load
# An OCI layout in a directory
$ kelp save --format oci-dir -o layout app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { images, output, format, multi_image_archive, quiet, compress, squash, uncompressed, platform } = self;
        // Several images share an archive anyway, layers are as they are, and nothing is shown on the way.
        let _: (bool, bool, bool) = (multi_image_archive, quiet, uncompressed);
        if images.is_empty() {
            return Err(UsageError::new("\"kelp save\" requires at least 1 argument").into());
        }
        let format = match format.as_deref() {
            None | Some("docker-archive") => ArchiveFormat::Docker,
            Some("oci-archive") => ArchiveFormat::Oci,
            Some("docker-dir") => ArchiveFormat::DockerDir,
            Some("oci-dir") => ArchiveFormat::OciDir,
            Some(other) => {
                let reason = "use docker-archive, oci-archive, docker-dir or oci-dir";
                return Err(UsageError::value("--format", other, reason).into());
            }
        };
        let platform = platform.map(|text| parse("--platform", &text)).transpose()?;
        let options = SaveOptions { format, compress, squash, platform };
        let engine = context.engine()?;
        if format.is_directory() {
            let path = output.ok_or_else(|| UsageError::new("--output is required: the directory to write to"))?;
            image::save(engine, &images, &options, Output::Directory(&path))?;
            return Ok(Exit::OK);
        }
        file_or_stdout(output.as_deref(), |out| Ok(image::save(engine, &images, &options, Output::Stream(out))?))
    }
}
