//! `kelp container exists`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family};
use crate::cli::verb::Verb;
use crate::engine::container::inspect::inspect;
use crate::engine::Kind;

/// Flags of `container exists`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ExistsArgs {
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: String,
}

impl Verb for ExistsArgs {
    const FAMILY: Family = Family::Exists;
    const SUMMARY: &'static str = "Say by the exit status whether a container is there: 0 yes, 1 no";
    const OPERANDS: &'static str = "CONTAINER";
    const EXAMPLES: &'static str = "\
# In a script
$ kelp container exists web || kelp run -d --name web nginx";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        match inspect(context.engine()?, &self.container, false) {
            Ok(_) => Ok(Exit::OK),
            Err(error) if error.kind() == Kind::NotFound => Ok(Exit::FAILED),
            Err(error) => Err(error.into()),
        }
    }
}
