//! `kelp image inspect`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::verb::Verb;
use crate::engine::image;

/// Flags of `image inspect`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InspectArgs {
    /// The images, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) images: Vec<String>,
    /// Show with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

impl Verb for InspectArgs {
    const SUMMARY: &'static str = "Show all there is to know of images, as JSON";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE [IMAGE...]";
    const EXAMPLES: &'static str = "\
# The command an image runs
$ kelp image inspect -f \"{{.Config.Cmd}}\" debian";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { images, format } = self;
        let engine = context.engine()?;
        context.inspect("image inspect", &images, format.as_deref(), |name| image::inspect(engine, name))
    }
}
