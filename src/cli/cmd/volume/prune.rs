//! `kelp volume prune`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::volume;
use crate::format::size;

/// Flags of `volume prune`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PruneArgs {
    /// Named volumes too, not only anonymous ones
    #[arg(short, long)]
    pub(super) all: bool,
    /// Only those that match: label=…
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(super) force: bool,
}

impl Verb for PruneArgs {
    const SUMMARY: &'static str = "Remove volumes no container uses";
    const OPERANDS: &'static str = "[OPTIONS]";
    const EXAMPLES: &'static str = "\
# Anonymous volumes left behind
$ kelp volume prune -f";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { all, filter, force } = self;
        let engine = context.engine()?;
        let what = if all { "This removes all volumes no container uses." } else { "This removes all anonymous volumes no container uses." };
        if !force && !ui::confirm(what)? {
            return Ok(Exit::OK);
        }
        let pruned = volume::prune(engine, all, &filter)?;
        let mut text = String::new();
        if !pruned.removed.is_empty() {
            text = format!("Deleted Volumes:\n{}\n\n", pruned.removed.join("\n"));
        }
        text.push_str(&format!("Total reclaimed space: {}\n", size::human(pruned.bytes)));
        ui::print(&text)?;
        Ok(Exit::OK)
    }
}
