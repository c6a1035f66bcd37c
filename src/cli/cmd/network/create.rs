//! `kelp network create`.

use std::net::IpAddr;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::pairs;
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::Error;
use crate::engine::network::{self, NewNetwork};
use crate::spec::env;

/// Flags of `network create`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CreateArgs {
    /// Its name; a free one when absent
    #[arg(value_name = "NETWORK")]
    pub(super) name: Option<String>,
    /// bridge is the one there is
    #[arg(short, long, value_name = "DRIVER")]
    pub(super) driver: Option<String>,
    /// Addresses of the network, at most one of each family; chosen when absent
    #[arg(long, value_name = "NETWORK/PREFIX")]
    pub(super) subnet: Vec<String>,
    /// Address of the gateway; the first of the subnet when absent
    #[arg(long, value_name = "ADDRESS")]
    pub(super) gateway: Vec<IpAddr>,
    /// Addresses that containers get without asking, of those of the subnet
    #[arg(long, value_name = "NETWORK/PREFIX|FIRST-LAST")]
    pub(super) ip_range: Vec<String>,
    /// Address no container gets, since something else has it
    #[arg(long, value_name = "NAME=ADDRESS")]
    pub(super) aux_address: Vec<String>,
    /// IPv6 too, with addresses of its own (ULA) when no --subnet says
    #[arg(long)]
    pub(super) ipv6: bool,
    /// IPv4 (default true)
    #[arg(long, value_name = "BOOL")]
    pub(super) ipv4: Option<bool>,
    /// Without a way out
    #[arg(long)]
    pub(super) internal: bool,
    /// Label on the network
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) label: Vec<String>,
    /// mtu=BYTES, isolate=false (reach other networks that have it too), metric=N (of its default route),
    /// no_default_route=true
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) opt: Vec<String>,
    /// Another route its containers have, by an address on the network
    #[arg(long, value_name = "NETWORK/PREFIX,GATEWAY[,METRIC]")]
    pub(super) route: Vec<String>,
    /// No names: containers find each other by address only
    #[arg(long)]
    pub(super) disable_dns: bool,
    /// Server that is asked for names outside of the network, in place of the host's
    #[arg(long, value_name = "ADDRESS")]
    pub(super) dns: Vec<IpAddr>,
    /// Name of the bridge
    #[arg(long, value_name = "NAME")]
    pub(super) interface_name: Option<String>,
    /// default or host-local: kelp's own way of choosing addresses
    #[arg(long, value_name = "DRIVER")]
    pub(super) ipam_driver: Option<String>,
    /// A network that is there already is no error
    #[arg(long)]
    pub(super) ignore: bool,
    /// For compatibility
    #[arg(long, hide = true)]
    pub(super) attachable: bool,
    /// For compatibility
    #[arg(long, hide = true, value_name = "SCOPE")]
    pub(super) scope: Option<String>,
}

impl Verb for CreateArgs {
    const SUMMARY: &'static str = "Make a network on which containers find each other by name";
    const OPERANDS: &'static str = "[OPTIONS] [NETWORK]";
    const DESCRIPTION: &'static str = "The network is there while a container is on it. Containers of other networks are kept out.";
    const EXAMPLES: &'static str = "\
# For an application and its database
$ kelp network create app
$ kelp run -d --name db --network app postgres
$ kelp run -d --network app -p 8080:80 web
# With addresses of one's own choice
$ kelp network create --subnet 10.5.0.0/24 --gateway 10.5.0.254 lab";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self {
            name,
            driver,
            subnet,
            gateway,
            ip_range,
            aux_address,
            ipv6,
            ipv4,
            internal,
            label,
            opt,
            route,
            disable_dns,
            dns,
            interface_name,
            ipam_driver,
            ignore,
            attachable: _,
            scope,
        } = self;
        if let Some(driver) = ipam_driver.filter(|driver| !matches!(driver.as_str(), "default" | "host-local")) {
            return Err(UsageError::value("--ipam-driver", &driver, "default is the one there is").into());
        }
        if let Some(scope) = scope.filter(|scope| scope != "local") {
            return Err(UsageError::value("--scope", &scope, "local is the one there is").into());
        }
        let mut labels = std::collections::BTreeMap::new();
        for text in label {
            env::label(&text, &mut labels).map_err(|reason| UsageError::value("--label", &text, reason))?;
        }
        let mut reserved = std::collections::BTreeMap::new();
        for (name, ip) in pairs("--aux-address", aux_address)? {
            reserved.insert(name, ip.parse().map_err(|_| UsageError::value("--aux-address", &ip, "not an IP address"))?);
        }
        let new = NewNetwork {
            name: name.clone(),
            driver,
            subnets: crate::cli::flags::parse_all("--subnet", &subnet)?,
            gateways: gateway,
            ranges: crate::cli::flags::parse_all("--ip-range", &ip_range)?,
            reserved,
            ipv6,
            no_ipv4: ipv4 == Some(false),
            internal,
            routes: crate::cli::flags::parse_all("--route", &route)?,
            no_dns: disable_dns,
            dns_servers: dns,
            interface: interface_name,
            labels,
            options: pairs("--opt", opt)?,
        };
        let engine = context.engine()?;
        let id = match network::create(engine, &new) {
            Err(Error::Conflict(_)) if ignore => {
                let found = network::inspect(engine, name.as_deref().unwrap_or_default())?;
                found["Id"].as_str().unwrap_or_default().to_owned()
            }
            other => other?,
        };
        ui::line(id)?;
        Ok(Exit::OK)
    }
}
