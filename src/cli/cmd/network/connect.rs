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
    /// Another container by an alias, on this network: entry of /etc/hosts
    #[arg(long, value_name = "CONTAINER[:ALIAS]")]
    pub(super) link: Vec<String>,
    /// Option of the link inside: com.docker.network.endpoint.ifname, com.docker.network.endpoint.sysctls
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) driver_opt: Vec<String>,
    /// The network with the highest is the container's way out [default: 0]
    #[arg(long, value_name = "NUMBER")]
    pub(super) gw_priority: Option<i32>,
}

impl Verb for ConnectArgs {
    const SUMMARY: &'static str = "Put a container on a network, also while it runs";
    const OPERANDS: &'static str = "[OPTIONS] NETWORK CONTAINER";
    const DESCRIPTION: &'static str = "The network bridge is the default one: a way out of the container's own. Of several networks the one with the highest --gw-priority is the way out; where none is above 0 it is bridge, then the first by name. What a --link leads to follows the other container to other addresses.";
    const EXAMPLES: &'static str = "\
# A database that was started without a network
$ kelp network connect app-network mysql
# By another name there
$ kelp network connect --alias db app-network mysql
# Another container of this network as cache
$ kelp network connect --link redis:cache app-network worker
# The way out from now on
$ kelp network connect --gw-priority 1 uplink worker
# A way out for one that has none
$ kelp network connect bridge worker";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { network, container, alias, ip, ip6, mac_address, link, driver_opt, gw_priority } = self;
        let mac = mac_address
            .map(|text| parse_mac("mac-address", &text).map_err(|reason| UsageError::value("--mac-address", &text, reason)))
            .transpose()?;
        let priority = gw_priority.unwrap_or_default();
        let mut attachment = Attachment { network, ip, ip6, mac, aliases: alias, priority, links: link, ..Attachment::default() };
        for text in &driver_opt {
            attachment.set_driver_option(text).map_err(|reason| UsageError::value("--driver-opt", text, reason))?;
        }
        if let Some(text) = attachment.links.iter().find(|text| text.is_empty() || text.starts_with(':')) {
            return Err(UsageError::value("--link", text, "expected CONTAINER[:ALIAS]").into());
        }
        network::connect(context.engine()?, &container, &attachment)?;
        Ok(Exit::OK)
    }
}
