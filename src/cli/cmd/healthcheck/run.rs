//! `kelp healthcheck run`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::container::health;

/// Flags of `healthcheck run`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RunArgs {
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: String,
}

impl Verb for RunArgs {
    const FAMILY: Family = Family::Exists;
    const SUMMARY: &'static str = "Check the health of a container now";
    const OPERANDS: &'static str = "CONTAINER";
    const DESCRIPTION: &'static str = "Exits with 0 when it is healthy, with 1 and the word `unhealthy` when it is not, and with 125 when it cannot be checked. The result counts like that of a check made by itself.";
    const EXAMPLES: &'static str = "\
# In a script
$ kelp healthcheck run db && psql -h localhost";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        if health::run(context.engine()?, &self.container)? {
            return Ok(Exit::OK);
        }
        ui::line("unhealthy")?;
        Ok(Exit::FAILED)
    }
}
