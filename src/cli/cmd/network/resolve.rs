//! `kelp resolve`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::container::inspect::name_of;
use crate::engine::network;

/// Flags of `resolve`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ResolveArgs {
    /// A name as containers use it: of a container, an alias, a short id
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// On this network only
    #[arg(long, value_name = "NETWORK")]
    pub(super) network: Option<String>,
    /// Show addresses only
    #[arg(short, long)]
    pub(super) quiet: bool,
}

impl Verb for ResolveArgs {
    const SUMMARY: &'static str = "Say what a name means on the user networks: address, container, network";
    const OPERANDS: &'static str = "[OPTIONS] NAME";
    const EXAMPLES: &'static str = "\
# Who answers to db?
$ kelp resolve db
10.89.0.2  postgres  app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { name, network: only, quiet } = self;
        let engine = context.engine()?;
        let mut lines = Vec::new();
        for found in network::resolve(engine, &name)? {
            if only.as_ref().is_some_and(|only| *only != found.network) {
                continue;
            }
            let container = name_of(engine, &found.container);
            for ip in &found.addresses {
                lines.push(if quiet { ip.to_string() } else { format!("{ip}  {container}  {}", found.network) });
            }
        }
        lines.iter().try_for_each(ui::line)?;
        Ok(if lines.is_empty() { Exit::FAILED } else { Exit::OK })
    }
}
