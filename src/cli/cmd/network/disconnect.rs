//! `kelp network disconnect`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::verb::Verb;
use crate::engine::network;

/// Flags of `network disconnect`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct DisconnectArgs {
    /// The network
    #[arg(value_name = "NETWORK")]
    pub(super) network: String,
    /// The container, running or not
    #[arg(value_name = "CONTAINER")]
    pub(super) container: String,
    /// A container that is gone, or not on the network, is no error
    #[arg(short, long)]
    pub(super) force: bool,
}

impl Verb for DisconnectArgs {
    const SUMMARY: &'static str = "Take a container off a network, also while it runs";
    const OPERANDS: &'static str = "[OPTIONS] NETWORK CONTAINER";
    const EXAMPLES: &'static str = "\
$ kelp network disconnect app-network mysql";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { network, container, force } = self;
        network::disconnect(context.engine()?, &container, &network, force)?;
        Ok(Exit::OK)
    }
}
