//! `kelp import`.

use crate::cli::flags::image::PlatformFlags;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image;
use crate::engine::options::ImportOptions;

/// Flags of `import`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ImportArgs {
    /// A tar archive, its http or https address, or - for standard input
    #[arg(value_name = "FILE")]
    pub(super) file: String,
    /// Name of the new image
    #[arg(value_name = "REFERENCE")]
    pub(super) reference: Option<String>,
    #[command(flatten)]
    pub(super) platform: PlatformFlags,
    /// Set part of the configuration with a Dockerfile instruction, such as CMD ["sh"]
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(super) change: Vec<String>,
    /// Comment of the image
    #[arg(short, long, value_name = "TEXT")]
    pub(super) message: Option<String>,
    /// Show no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl Verb for ImportArgs {
    const SUMMARY: &'static str = "Make an image from a tar archive of a file system";
    const OPERANDS: &'static str = "[OPTIONS] FILE|URL|- [REFERENCE]";
    const EXAMPLES: &'static str = "\
# A tree made by debootstrap
$ tar c -C tree . | kelp import -c \"CMD /bin/bash\" - debian:mine
# One that is on a web server
$ kelp import https://images.example/rootfs.tar.gz base";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { file, reference, platform, change, message, quiet } = self;
        // Nothing is shown on the way; the flag says what is so already.
        let _: bool = quiet;
        if file == "-" && ui::stdin_is_terminal() {
            return Err(UsageError::new("the archive is missing: pipe one in").into());
        }
        let options = ImportOptions { changes: change, message, platform: platform.read()? };
        let id = image::import(context.engine()?, &file, reference.as_deref(), options)?;
        ui::line(id)?;
        Ok(Exit::OK)
    }
}
