//! `kelp manifest remove`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image::list;

/// Flags of `manifest remove`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RemoveArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub(super) list: String,
    /// The image in it, by digest or by its name here
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
}

impl Verb for RemoveArgs {
    const SUMMARY: &'static str = "Take an image out of a list";
    const OPERANDS: &'static str = "LIST IMAGE";
    const EXAMPLES: &'static str = "\
# By its digest
$ kelp manifest remove app:1 sha256:4bcf…";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { list, image } = self;
        ui::line(list::remove_entry(context.engine()?, &list, &image)?)?;
        Ok(Exit::OK)
    }
}
