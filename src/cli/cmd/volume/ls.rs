//! `kelp volume ls`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::list::{self, Column, Listing};
use crate::cli::verb::Verb;
use crate::engine::volume;

/// Flags of `volume ls`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LsArgs {
    /// Only those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Show with a Go template, json, or table TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Show names only
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Without the heading
    #[arg(short = 'n', long)]
    pub(super) noheading: bool,
}

impl Verb for LsArgs {
    const SUMMARY: &'static str = "List volumes";
    const OPERANDS: &'static str = "[OPTIONS]";
    const DESCRIPTION: &'static str = "Filters: dangling, driver, label, name.";
    const EXAMPLES: &'static str = "\
# Those no container uses
$ kelp volume ls -f dangling=true";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { filter, format, quiet, noheading } = self;
        let found = volume::list(context.engine()?, &filter)?;
        context.warn_all(&found.damaged);
        let rows = found.rows.into_iter().map(|row| list::Row::from_json(row.json, &row.labels).with_more(row.more)).collect();
        list::print(&LISTING, rows, &list::ListOptions { quiet, format, no_trunc: true, no_heading: noheading })?;
        Ok(Exit::OK)
    }
}

const LISTING: Listing = Listing {
    columns: &[
        Column::new("Driver", "DRIVER"),
        Column::new("Name", "VOLUME NAME"),
        Column::new("Mountpoint", "MOUNTPOINT"),
        Column::new("Scope", "SCOPE"),
        Column::new("Labels", "LABELS"),
        Column::new("Links", "LINKS"),
        Column::new("Size", "SIZE"),
        Column::new("Anonymous", "ANONYMOUS"),
        Column::new("CreatedAt", "CREATED AT"),
        Column::new("Options", "OPTIONS"),
    ],
    table: &["Driver", "Name"],
    id: "Name",
};
