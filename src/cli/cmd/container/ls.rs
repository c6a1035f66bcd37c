//! `kelp ps`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::list::{self, Column, Listing};
use crate::cli::verb::Verb;
use crate::engine::container::ls::{self, ListOptions};

/// Flags of `ps`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LsArgs {
    /// Show those that do not run too
    #[arg(short, long)]
    pub(super) all: bool,
    /// Only those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Show with a Go template, json, or table TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Show the N newest, running or not
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) last: Option<i64>,
    /// Show the newest, running or not
    #[arg(short, long)]
    pub(super) latest: bool,
    /// Show ids, commands and images in full
    #[arg(long)]
    pub(super) no_trunc: bool,
    /// Show ids only
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Show how much each has written
    #[arg(short, long)]
    pub(super) size: bool,
    /// Without the heading
    #[arg(long)]
    pub(super) noheading: bool,
    /// Sort by command, created, id, image, names or status
    #[arg(long, value_name = "KEY")]
    pub(super) sort: Option<String>,
}

impl Verb for LsArgs {
    const SUMMARY: &'static str = "List containers";
    const OPERANDS: &'static str = "[OPTIONS]";
    const DESCRIPTION: &'static str = "Filters: id, name, label, label!, exited, status, ancestor, before, since, volume, network, publish, expose. The same key twice means or (label: and), different keys mean and.";
    const EXAMPLES: &'static str = "\
# What runs
$ kelp ps
# Everything, with sizes
$ kelp ps -as
# Ids of all that ended with an error
$ kelp ps -aq -f status=exited -f exited=1
# A table of your own
$ kelp ps --format \"table {{.Names}}\\t{{.Status}}\"";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { all, filter, format, last, latest, no_trunc, quiet, size, noheading, sort } = self;
        let last = if latest { Some(1) } else { last.and_then(|count| usize::try_from(count).ok()) };
        let options = ListOptions { all, last, size, no_trunc, filters: filter };
        let found = ls::list(context.engine()?, &options)?;
        context.warn_all(&found.damaged);
        let mut rows = found.rows;
        if let Some(key) = sort {
            sort_rows(&mut rows, &key)?;
        }
        let table = if size { LISTING_SIZE } else { LISTING };
        let rows = rows.into_iter().map(|row| list::Row::from_json(row.json, &row.labels).with_more(row.more)).collect();
        list::print(&table, rows, &list::ListOptions { quiet, format, no_trunc: true, no_heading: noheading })?;
        Ok(Exit::OK)
    }
}

const COLUMNS: &[Column] = &[
    Column::new("ID", "CONTAINER ID"),
    Column::new("Image", "IMAGE"),
    Column::new("Command", "COMMAND"),
    Column::new("RunningFor", "CREATED"),
    Column::new("Status", "STATUS"),
    Column::new("Ports", "PORTS"),
    Column::new("Names", "NAMES"),
    Column::new("Size", "SIZE"),
    Column::new("CreatedAt", "CREATED AT"),
    Column::new("State", "STATE"),
    Column::new("Labels", "LABELS"),
    Column::new("LocalVolumes", "LOCAL VOLUMES"),
    Column::new("Mounts", "MOUNTS"),
    Column::new("Networks", "NETWORKS"),
    Column::new("Platform", "PLATFORM"),
    Column::new("Created", "CREATED"),
    Column::new("ExitCode", "EXIT CODE"),
    Column::new("ImageID", "IMAGE ID"),
    Column::new("Pid", "PID"),
    Column::new("Restarts", "RESTARTS"),
    Column::new("StartedAt", "STARTED AT"),
];

const LISTING: Listing = Listing {
    columns: COLUMNS,
    table: &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names"],
    id: "ID",
};

const LISTING_SIZE: Listing = Listing {
    columns: COLUMNS,
    table: &["ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names", "Size"],
    id: "ID",
};

fn sort_rows(rows: &mut [ls::Row], key: &str) -> Result<(), UsageError> {
    let field = match key {
        // They come newest first.
        "created" | "runningfor" => return Ok(()),
        "command" => "Command",
        "id" => "ID",
        "image" => "Image",
        "names" => "Names",
        "status" => "Status",
        _ => return Err(UsageError::value("--sort", key, "use command, created, id, image, names or status")),
    };
    rows.sort_by_cached_key(|row| row.json.get(field).and_then(|text| text.as_str()).unwrap_or_default().to_owned());
    Ok(())
}
