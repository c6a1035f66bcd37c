//! `kelp volume exists`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family};
use crate::cli::verb::Verb;
use crate::engine::volume;

/// Flags of `volume exists`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ExistsArgs {
    /// The volume
    #[arg(value_name = "VOLUME")]
    pub(super) volume: String,
}

impl Verb for ExistsArgs {
    const FAMILY: Family = Family::Exists;
    const SUMMARY: &'static str = "Say by the exit status whether a volume is there: 0 yes, 1 no";
    const OPERANDS: &'static str = "VOLUME";
    const EXAMPLES: &'static str = "\
# In a script
$ kelp volume exists data || kelp volume create data";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        Ok(if volume::exists(context.engine()?, &self.volume) { Exit::OK } else { Exit::FAILED })
    }
}
