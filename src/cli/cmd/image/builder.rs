//! `kelp builder prune` and `kelp builder du`.

use crate::build::prune::{self, Filter, Item, KINDS, PruneOptions};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::bytes;
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::format::{duration, size, table, time};

/// Flags of `builder prune`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PruneArgs {
    /// Also steps whose layers images have
    #[arg(short, long)]
    all: bool,
    /// Only those that match: id=, type=, description=, shared=, until=DURATION (not used for so long)
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Keep so much, used last
    #[arg(long, visible_aliases = ["reserved-space", "max-used-space"], value_name = "SIZE")]
    keep_storage: Option<String>,
    /// Name what goes
    #[arg(long)]
    verbose: bool,
}

impl Verb for PruneArgs {
    const SUMMARY: &'static str = "Remove the cache of builds";
    const OPERANDS: &'static str = "[OPTIONS]";
    const DESCRIPTION: &'static str = "\
Steps and cache mounts go; images do not. While other builds run, what was used within an hour stays.";
    const EXAMPLES: &'static str = "\
# All that is not part of an image
$ kelp builder prune -f
# What nobody used for a week, down to 10 GB
$ kelp builder prune -af --filter until=168h --keep-storage 10gb";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { all, filter, force, keep_storage, verbose } = self;
        let options = PruneOptions { all, keep: bytes("--keep-storage", keep_storage)?, filter: read_filter(&filter)? };
        let what = if all { "This removes all build cache." } else { "This removes all build cache no image is made of." };
        if !force && !ui::confirm(what)? {
            return Ok(Exit::OK);
        }
        let gone = prune::prune(context.engine()?, &options)?;
        if verbose {
            ui::print(&rows(&gone))?;
        }
        ui::line(format_args!("Total:\t{}", size::human(gone.iter().map(|item| item.size).sum())))?;
        Ok(Exit::OK)
    }
}

fn read_filter(texts: &[String]) -> Result<Filter, UsageError> {
    let mut filter = Filter::default();
    for text in texts {
        let wrong = |reason: &str| UsageError::value("--filter", text, reason);
        let (key, value) = text.split_once('=').ok_or_else(|| wrong("expected KEY=VALUE"))?;
        let yes = || value.parse::<bool>().map_err(|_| wrong("use true or false"));
        match key {
            "id" => filter.ids.push(value.to_owned()),
            "type" if KINDS.contains(&value) => filter.kinds.push(value.to_owned()),
            "type" => return Err(wrong("use regular or exec.cachemount")),
            "description" => filter.descriptions.push(value.to_owned()),
            "shared" => filter.shared = Some(yes()?),
            "private" => filter.shared = Some(!yes()?),
            "until" | "unused-for" => {
                let nanos = duration::parse_or_seconds(value).map_err(|reason| UsageError::value("--filter", text, reason))?;
                filter.unused_for = Some(nanos / 1_000_000_000);
            }
            _ => return Err(wrong("use id, type, description, shared, private or until")),
        }
    }
    Ok(filter)
}

/// Flags of `builder du`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct DuArgs {
    /// Only those that match, as with prune
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Show whole names and instructions
    #[arg(long)]
    verbose: bool,
}

impl Verb for DuArgs {
    const SUMMARY: &'static str = "Show what the cache of builds takes";
    const OPERANDS: &'static str = "[OPTIONS]";
    const EXAMPLES: &'static str = "\
# Steps and cache mounts, used last first
$ kelp builder du";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let filter = read_filter(&self.filter)?;
        let mut items = prune::list(context.engine()?)?;
        let now = time::now() / 1_000_000_000;
        items.retain(|item| filter.fits(item, now));
        if self.verbose {
            for item in &items {
                let shared = if item.shared { "\nShared:\ttrue" } else { "" };
                ui::line(format_args!("ID:\t{}\nType:\t{}\nDescription:\t{}\nSize:\t{}{shared}\n", item.id, item.kind(), item.what, size::human(item.size)))?;
            }
        } else {
            ui::print(&rows(&items))?;
        }
        let sum = size::human(items.iter().map(|item| item.size).sum());
        ui::line(format_args!("Reclaimable:\t{sum}\nTotal:\t{sum}"))?;
        Ok(Exit::OK)
    }
}

fn rows(items: &[Item]) -> String {
    let now = time::now() / 1_000_000_000;
    let rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| {
            let what: String = item.what.lines().next().unwrap_or_default().chars().take(50).collect();
            vec![
                item.id.chars().take(12).collect(),
                (!item.shared).to_string(),
                size::human(item.size),
                format!("{} ago", duration::human(now.saturating_sub(item.used))),
                what,
            ]
        })
        .collect();
    table::render(Some(&["ID", "RECLAIMABLE", "SIZE", "LAST ACCESSED", "DESCRIPTION"]), rows.iter().map(|row| row.iter().map(String::as_str)))
}
