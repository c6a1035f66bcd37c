//! `kelp network inspect`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::verb::Verb;
use crate::engine::network;

/// Flags of `network inspect`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InspectArgs {
    /// The networks
    #[arg(value_name = "NETWORK")]
    pub(super) networks: Vec<String>,
    /// Show with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

impl Verb for InspectArgs {
    const SUMMARY: &'static str = "Show all there is to know of networks, as JSON";
    const OPERANDS: &'static str = "[OPTIONS] NETWORK [NETWORK...]";
    const EXAMPLES: &'static str = "\
# Who is on it
$ kelp network inspect -f \"{{range .Containers}}{{.Name}} {{.IPv4Address}}{{println}}{{end}}\" app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { networks, format } = self;
        let engine = context.engine()?;
        if networks.is_empty() {
            return Err(UsageError::new("\"kelp network inspect\" requires at least 1 argument").into());
        }
        context.inspect("network inspect", &networks, format.as_deref(), |name| network::inspect(engine, name))
    }
}
