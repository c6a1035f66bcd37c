//! `kelp network ls`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::list::{self, Column, Listing};
use crate::cli::verb::Verb;
use crate::engine::network;

/// Flags of `network ls`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LsArgs {
    /// Only those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Show with a Go template, json, or table TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Show full ids
    #[arg(long)]
    pub(super) no_trunc: bool,
    /// Show ids only
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Without the heading
    #[arg(short = 'n', long)]
    pub(super) noheading: bool,
}

impl Verb for LsArgs {
    const SUMMARY: &'static str = "List networks";
    const OPERANDS: &'static str = "[OPTIONS]";
    const DESCRIPTION: &'static str =
        "Filters: dangling, driver, id, internal, ipv6, label, name, scope, type (builtin, custom), until.";
    const EXAMPLES: &'static str = "\
# Those one has made
$ kelp network ls -f type=custom";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { filter, format, no_trunc, quiet, noheading } = self;
        let found = network::list(context.engine()?, &filter, no_trunc)?;
        context.warn_all(&found.damaged);
        let rows = found.rows.into_iter().map(|row| list::Row::from_json(row.json, &row.labels)).collect();
        list::print(&LISTING, rows, &list::ListOptions { quiet, format, no_trunc, no_heading: noheading })?;
        Ok(Exit::OK)
    }
}

const LISTING: Listing = Listing {
    columns: &[
        Column::new("ID", "NETWORK ID"),
        Column::new("Name", "NAME"),
        Column::new("Driver", "DRIVER"),
        Column::new("Scope", "SCOPE"),
        Column::new("CreatedAt", "CREATED AT"),
        Column::new("IPv4", "IPV4"),
        Column::new("IPv6", "IPV6"),
        Column::new("Internal", "INTERNAL"),
        Column::new("Labels", "LABELS"),
    ],
    table: &["ID", "Name", "Driver", "Scope"],
    id: "ID",
};
