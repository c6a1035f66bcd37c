//! `kelp search`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::image::RegistryFlags;
use crate::cli::list::{self, Column, Cut, Listing};
use crate::cli::verb::Verb;
use crate::engine::image::{self, SearchOptions};

/// Most results, as on docker's hub.
const MOST: usize = 100;
const DEFAULT: usize = 25;

/// Flags of `search`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    registry: RegistryFlags,
    /// Only results with stars=N, is-official=BOOL or is-automated=BOOL
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Show with a Go template, json, or table TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Most results of each registry (default 25, at most 100 unless tags are listed)
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// List the tags of a repository
    #[arg(long)]
    list_tags: bool,
    /// Show descriptions in full
    #[arg(long)]
    no_trunc: bool,
    /// As docker does; always so
    #[arg(long, hide = true)]
    compatible: bool,
    /// A part of a name, with its registry if that is not docker's hub
    #[arg(value_name = "TERM")]
    term: String,
}

impl Verb for SearchArgs {
    const SUMMARY: &'static str = "Search registries for images";
    const OPERANDS: &'static str = "[OPTIONS] TERM";
    const DESCRIPTION: &'static str = "\
Searches docker's hub, or the registries registries.conf lists for short names. Other registries are asked for the list of \
all they have, which not all of them give.";
    const EXAMPLES: &'static str = "\
# On docker's hub
$ kelp search --filter is-official=true postgres
# On a registry of your own
$ kelp search registry.example/team
# Which versions are there?
$ kelp search --list-tags --limit 500 registry.example/team/app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { registry, filter, format, limit, list_tags, no_trunc, compatible, term } = self;
        let _: bool = compatible;
        if limit == Some(0) || (!list_tags && limit.is_some_and(|limit| limit > MOST)) {
            return Err(UsageError::new("--limit is 1 to 100, more only with --list-tags").into());
        }
        if list_tags && !filter.is_empty() {
            return Err(UsageError::conflict("--list-tags", "--filter").into());
        }
        let options =
            SearchOptions { registry: registry.read(("--policy", None))?, limit: limit.unwrap_or(DEFAULT), filters: filter };
        let engine = context.engine()?;
        let (listing, rows) = if list_tags {
            (&TAGS, image::list_tags(engine, &term, &options)?)
        } else {
            (&FOUND, image::search(engine, &term, &options)?)
        };
        let rows = rows.into_iter().map(|json| list::Row::from_json(json, &Default::default())).collect();
        list::print(listing, rows, &list::ListOptions { quiet: false, format, no_trunc, no_heading: false })?;
        Ok(Exit::OK)
    }
}

const FOUND: Listing = Listing {
    columns: &[
        Column::new("Index", "INDEX"),
        Column::new("Name", "NAME"),
        Column::cut("Description", "DESCRIPTION", Cut::Width(45)),
        Column::new("StarCount", "STARS"),
        Column::new("Stars", "STARS"),
        Column::new("IsOfficial", "OFFICIAL"),
        Column::new("Official", "OFFICIAL"),
        Column::new("IsAutomated", "AUTOMATED"),
        Column::new("Automated", "AUTOMATED"),
    ],
    table: &["Name", "Description", "StarCount", "IsOfficial"],
    id: "Name",
};

const TAGS: Listing =
    Listing { columns: &[Column::new("Name", "NAME"), Column::new("Tag", "TAG")], table: &["Name", "Tag"], id: "Tag" };
