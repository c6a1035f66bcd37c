//! `kelp network connect`.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::verb::Verb;
use crate::engine::network;
use crate::spec::network::{Attachment, parse_mac};

/// Flags of `network connect`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ConnectArgs {
    /// The network
    #[arg(value_name = "NETWORK")]
    pub(super) network: String,
    /// The container, running or not
    #[arg(value_name = "CONTAINER")]
    pub(super) container: String,
    /// Another name of the container on this network
    #[arg(long, value_name = "NAME")]
    pub(super) alias: Vec<String>,
    /// IPv4 address
    #[arg(long, value_name = "ADDRESS")]
    pub(super) ip: Option<Ipv4Addr>,
    /// IPv6 address
    #[arg(long, value_name = "ADDRESS")]
    pub(super) ip6: Option<Ipv6Addr>,
    /// Hardware address
    #[arg(long, value_name = "ADDRESS")]
    pub(super) mac_address: Option<String>,
}

impl Verb for ConnectArgs {
    const SUMMARY: &'static str = "Put a container on a network, also while it runs";
    const OPERANDS: &'static str = "[OPTIONS] NETWORK CONTAINER";
    const DESCRIPTION: &'static str = "The network bridge is the default one: a way out of the container's own.";
    const EXAMPLES: &'static str = "\
# A database that was started without a network
$ kelp network connect app-network mysql
# By another name there
$ kelp network connect --alias db app-network mysql
# A way out for one that has none
$ kelp network connect bridge worker";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { network, container, alias, ip, ip6, mac_address } = self;
        let mac = mac_address
            .map(|text| parse_mac("mac-address", &text).map_err(|reason| UsageError::value("--mac-address", &text, reason)))
            .transpose()?;
        let attachment = Attachment { network, ip, ip6, mac, aliases: alias, interface: None };
        network::connect(context.engine()?, &container, &attachment)?;
        Ok(Exit::OK)
    }
}
