//! `kelp container prune`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::container::prune;
use crate::format::size;

/// Flags of `container prune`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PruneArgs {
    /// Only those that match: until=TIME, label=…
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(super) force: bool,
}

impl Verb for PruneArgs {
    const SUMMARY: &'static str = "Remove all containers that do not run";
    const OPERANDS: &'static str = "[OPTIONS]";
    const EXAMPLES: &'static str = "\
# All that ended more than a day ago
$ kelp container prune -f --filter until=24h";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { filter, force } = self;
        let engine = context.engine()?;
        if !force && !ui::confirm("This removes all containers that do not run.")? {
            return Ok(Exit::OK);
        }
        let pruned = prune::prune(engine, &filter)?;
        let mut text = String::new();
        if !pruned.removed.is_empty() {
            text = format!("Deleted Containers:\n{}\n\n", pruned.removed.join("\n"));
        }
        text.push_str(&format!("Total reclaimed space: {}\n", size::human(pruned.bytes)));
        ui::print(&text)?;
        Ok(Exit::OK)
    }
}
