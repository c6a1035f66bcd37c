//! `kelp pull`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::image::RegistryFlags;
use crate::cli::verb::Verb;
use crate::cli::progress::{Progress, Pull};
use crate::cli::ui;
use crate::engine::image;
use crate::engine::options::PullOptions;

/// Flags of `pull`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PullArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Pull every tag of the repository
    #[arg(short, long)]
    all_tags: bool,
    /// When to pull: always, missing, newer (default always)
    #[arg(long, value_name = "POLICY")]
    policy: Option<String>,
    /// The images
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<String>,
}

impl PullArgs {
    /// The images, and how to pull them.
    pub(crate) fn into_options(self) -> Result<(Vec<String>, PullOptions), UsageError> {
        let Self { registry, all_tags, policy, images } = self;
        let policy = policy.unwrap_or_else(|| "always".to_owned());
        let options = PullOptions { all_tags, ..registry.read(("--policy", Some(policy)))? };
        Ok((images, options))
    }
}

impl Verb for PullArgs {
    const SUMMARY: &'static str = "Fetch images from a registry";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE [IMAGE...]";
    const DESCRIPTION: &'static str = "\
A name without a registry is completed as docker does (docker.io/library), or as the configuration says. Credentials are \
read from docker's and containers' files. Layers come in parallel; a pull that was cut short goes on where it was.";
    const EXAMPLES: &'static str = "\
# By tag
$ kelp pull debian:12
# From a registry of your own without TLS
$ kelp pull --tls-verify=false registry.example:5000/app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (images, options) = self.into_options()?;
        let engine = context.engine()?;
        let progress = Progress::new(options.quiet);
        let mut errors = Vec::new();
        for name in &images {
            match image::pull(engine, name, &options, &Pull::new(progress.clone())) {
                Ok(id) => ui::line(id.trim_start_matches("sha256:"))?,
                Err(error) => errors.push(error),
            }
        }
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }
}
