//! `kelp image diff`.

use crate::cli::cmd::container::diff::print_changes;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::verb::Verb;
use crate::engine::image::diff::diff;

/// Flags of `image diff`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct DiffArgs {
    /// The image, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// The image to compare with; the same without its uppermost layer unless given
    #[arg(value_name = "BASE")]
    pub(super) base: Option<String>,
    /// Show as json
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

impl Verb for DiffArgs {
    const SUMMARY: &'static str = "Show what an image changed in the file system below it";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE [IMAGE]";
    const EXAMPLES: &'static str = "\
# The last layer: A is added, C changed, D deleted
$ kelp image diff app
# What is new since a release?
$ kelp image diff app:2 app:1";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { image, base, format } = self;
        let changes = diff(context.engine()?, &image, base.as_deref())?;
        print_changes(&changes, format.as_deref())
    }
}
