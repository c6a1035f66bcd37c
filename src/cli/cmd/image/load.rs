//! `kelp load`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::parse;
use crate::cli::progress::Progress;
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image;
use crate::spec::Platform;

/// Flags of `load`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LoadArgs {
    /// Read this file or directory instead of standard input
    #[arg(short, long, value_name = "FILE")]
    pub(super) input: Option<PathBuf>,
    /// Load only this platform
    #[arg(long, value_name = "OS/ARCH")]
    pub(super) platform: Option<String>,
    /// Show no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl Verb for LoadArgs {
    const SUMMARY: &'static str = "Load images from a docker or OCI archive";
    const OPERANDS: &'static str = "[OPTIONS]";
    const EXAMPLES: &'static str = "\
# From a file
$ kelp load -i images.tar
# From another tool
$ docker save nginx | kelp load";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { input, platform, quiet } = self;
        if let Some(platform) = platform {
            let wanted: Platform = parse("--platform", &platform)?;
            if wanted != Platform::host() {
                return Err(UsageError::new("--platform: only images of this host's platform can be loaded").into());
            }
        }
        if input.is_none() && ui::stdin_is_terminal() {
            return Err(UsageError::new("the archive is missing: give a file with --input, or pipe one in").into());
        }
        let progress = Progress::new(quiet);
        let loaded = image::load(context.engine()?, input.as_deref(), &|what| progress.line(what))?;
        let mut text = String::new();
        for image in loaded {
            if image.names.is_empty() {
                text.push_str(&format!("Loaded image ID: {}\n", image.id));
            }
            for name in image.names {
                text.push_str(&format!("Loaded image: {}\n", name.familiar()));
            }
        }
        ui::print(&text)?;
        Ok(Exit::OK)
    }
}
