//! `kelp manifest rm`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::verb::Verb;
use crate::engine::image::list;

/// Flags of `manifest rm`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RmArgs {
    /// The lists
    #[arg(value_name = "LIST")]
    pub(super) lists: Vec<String>,
    /// One that is not there is no error
    #[arg(short, long)]
    pub(super) ignore: bool,
}

impl Verb for RmArgs {
    const SUMMARY: &'static str = "Remove lists; their images stay";
    const OPERANDS: &'static str = "[OPTIONS] LIST [LIST...]";
    const EXAMPLES: &'static str = "\
# With all it says
$ kelp manifest rm app:1";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { lists, ignore } = self;
        if lists.is_empty() {
            return Err(UsageError::new("\"kelp manifest rm\" requires at least 1 argument").into());
        }
        let engine = context.engine()?;
        context.each(&lists, ignore, |name| list::remove(engine, name))
    }
}
