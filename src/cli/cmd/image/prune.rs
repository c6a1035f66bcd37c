//! `kelp image prune`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image;
use crate::format::size;

/// Flags of `image prune`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PruneArgs {
    /// All images no container uses, not only those without a name
    #[arg(short, long)]
    pub(super) all: bool,
    /// Only those that match: until=TIME, label=…
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    pub(super) force: bool,
}

impl Verb for PruneArgs {
    const SUMMARY: &'static str = "Remove images nothing uses";
    const OPERANDS: &'static str = "[OPTIONS]";
    const EXAMPLES: &'static str = "\
# Images that lost their name to a newer one
$ kelp image prune -f
# All no container uses, made more than ten days ago
$ kelp image prune -af --filter until=240h";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { all, filter, force } = self;
        let engine = context.engine()?;
        let what = if all {
            "This removes all images without at least one container associated to them."
        } else {
            "This removes all dangling images."
        };
        if !force && !ui::confirm(what)? {
            return Ok(Exit::OK);
        }
        let pruned = image::prune(engine, all, &filter)?;
        let mut text = String::new();
        if !pruned.lines.is_empty() {
            text = format!("Deleted Images:\n{}\n\n", pruned.lines.join("\n"));
        }
        text.push_str(&format!("Total reclaimed space: {}\n", size::human(pruned.bytes)));
        ui::print(&text)?;
        Ok(Exit::OK)
    }
}
