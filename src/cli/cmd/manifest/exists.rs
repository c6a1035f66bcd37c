//! `kelp manifest exists`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family};
use crate::cli::verb::Verb;
use crate::engine::image::list;

/// Flags of `manifest exists`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ExistsArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub(super) list: String,
}

impl Verb for ExistsArgs {
    const SUMMARY: &'static str = "Tell by the exit status whether there is a list";
    const OPERANDS: &'static str = "LIST";
    const FAMILY: Family = Family::Exists;
    const EXAMPLES: &'static str = "\
# 0 is yes, 1 is no
$ kelp manifest exists app:1";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { list } = self;
        Ok(if list::exists(context.engine()?, &list)? { Exit::OK } else { Exit::FAILED })
    }
}
