//! `kelp network update`.

use std::net::IpAddr;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::verb::Verb;
use crate::engine::network;

/// Flags of `network update`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct UpdateArgs {
    /// The network
    #[arg(value_name = "NETWORK")]
    pub(super) network: String,
    /// One more server for names outside of the network
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(super) dns_add: Vec<IpAddr>,
    /// One server less
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub(super) dns_drop: Vec<IpAddr>,
}

impl Verb for UpdateArgs {
    const SUMMARY: &'static str = "Change the name servers of a network, for running containers too";
    const OPERANDS: &'static str = "[OPTIONS] NETWORK";
    const EXAMPLES: &'static str = "\
$ kelp network update --dns-add 192.0.2.53 app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { network, dns_add, dns_drop } = self;
        if dns_add.is_empty() && dns_drop.is_empty() {
            return Err(UsageError::new("nothing to change: give --dns-add or --dns-drop").into());
        }
        network::update(context.engine()?, &network, &dns_add, &dns_drop)?;
        Ok(Exit::OK)
    }
}
