//! `kelp network prune`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::network;

/// Flags of `network prune`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PruneArgs {
    /// Only those that match: label=…, until=…
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(super) force: bool,
}

impl Verb for PruneArgs {
    const SUMMARY: &'static str = "Remove networks no container uses";
    const OPERANDS: &'static str = "[OPTIONS]";
    const EXAMPLES: &'static str = "\
# Of a project that is over
$ kelp network prune -f --filter label=project=shop";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { filter, force } = self;
        let engine = context.engine()?;
        if !force && !ui::confirm("This removes all networks no container uses.")? {
            return Ok(Exit::OK);
        }
        let removed = network::prune(engine, &filter)?;
        if !removed.is_empty() {
            ui::print(&format!("Deleted Networks:\n{}\n\n", removed.join("\n")))?;
        }
        Ok(Exit::OK)
    }
}
