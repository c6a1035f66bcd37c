//! `kelp network exists`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family};
use crate::cli::verb::Verb;
use crate::engine::network;

/// Flags of `network exists`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ExistsArgs {
    /// The network
    #[arg(value_name = "NETWORK")]
    pub(super) network: String,
}

impl Verb for ExistsArgs {
    const FAMILY: Family = Family::Exists;
    const SUMMARY: &'static str = "Say by the exit status whether a network is there: 0 yes, 1 no";
    const OPERANDS: &'static str = "NETWORK";
    const EXAMPLES: &'static str = "\
# In a script
$ kelp network exists app || kelp network create app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        Ok(if network::exists(context.engine()?, &self.network) { Exit::OK } else { Exit::FAILED })
    }
}
