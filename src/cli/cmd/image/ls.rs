//! `kelp images`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::list::{self, Column, Listing};
use crate::cli::verb::Verb;
use crate::cli::ui;
use crate::engine::image;
use crate::engine::image::ListOptions;
use crate::engine::image::tree::{Group, PlatformRow, forest};
use crate::format::{size, table};

/// Flags of `images`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LsArgs {
    /// Only this repository, or reference with a tag; * is any text
    #[arg(value_name = "REFERENCE")]
    pub(super) reference: Option<String>,
    /// Show images without a name that others are built on too
    #[arg(short, long)]
    pub(super) all: bool,
    /// Show digests
    #[arg(long)]
    pub(super) digests: bool,
    /// Only those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Show with a Go template, json, or table TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Show ids in full
    #[arg(long)]
    pub(super) no_trunc: bool,
    /// Show ids only
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Without the heading
    #[arg(short = 'n', long)]
    pub(super) noheading: bool,
    /// Sort by created, id, repository, size or tag
    #[arg(long, value_name = "KEY")]
    pub(super) sort: Option<String>,
    /// Show each image with its platforms
    #[arg(long)]
    pub(super) tree: bool,
}

impl Verb for LsArgs {
    const SUMMARY: &'static str = "List images";
    const OPERANDS: &'static str = "[OPTIONS] [REFERENCE]";
    const DESCRIPTION: &'static str = "\
Filters: dangling, label, before, since, reference, until, id, digest; and with true or false: intermediate (others are built \
on it), readonly (of another store), manifest (a list), containers (there are containers of it).";
    const EXAMPLES: &'static str = "\
# All
$ kelp images
# Those of one repository
$ kelp images debian
# Those nothing refers to
$ kelp images -qf dangling=true";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { reference, all, digests, filter, format, no_trunc, quiet, noheading, sort, tree } = self;
        let configs = format.as_deref().is_some_and(|format| format.contains("{{"));
        let options = ListOptions { configs, reference, all, digests, filters: filter, no_trunc };
        if tree {
            for (given, flag) in [(quiet, "--quiet"), (digests, "--digests"), (format.is_some(), "--format"), (sort.is_some(), "--sort")] {
                if given {
                    return Err(UsageError::conflict("--tree", flag).into());
                }
            }
            ui::print(&drawn(&forest(context.engine()?, &options)?, !noheading))?;
            return Ok(Exit::OK);
        }
        let image::Listing { mut rows, damaged } = image::list(context.engine()?, &options)?;
        context.warn_all(&damaged);
        if let Some(key) = sort {
            sort_rows(&mut rows, &key)?;
        }
        let table = if digests { LISTING_DIGESTS } else { LISTING };
        let rows = rows.into_iter().map(|row| list::Row::from_json(row.json, &row.labels).with_more(row.more)).collect();
        list::print(&table, rows, &list::ListOptions { quiet, format, no_trunc: true, no_heading: noheading })?;
        Ok(Exit::OK)
    }
}

/// docker's tree: a line for each image (with U for those in use), one for each platform below.
fn drawn(groups: &[Group], heading: bool) -> String {
    let mut rows: Vec<[String; 5]> = Vec::new();
    for group in groups {
        let sum = |of: fn(&PlatformRow) -> u64| size::human3(group.platforms.iter().map(of).sum());
        let extra = if group.platforms.iter().any(|row| row.used) { "U" } else { "" };
        let mut names = group.names.iter().map(String::as_str);
        let first = names.next().unwrap_or("<untagged>").to_owned();
        rows.push([first, group.id.clone(), sum(|row| row.size), sum(|row| row.content), extra.to_owned()]);
        rows.extend(names.map(|name| [name.to_owned(), String::new(), String::new(), String::new(), String::new()]));
        for (at, row) in group.platforms.iter().enumerate() {
            let corner = if at + 1 == group.platforms.len() { "└─" } else { "├─" };
            let extra = if row.used { "U" } else { "" };
            let name = format!("{corner} {}", row.platform);
            rows.push([name, row.id.clone(), size::human3(row.size), size::human3(row.content), extra.to_owned()]);
        }
    }
    let header = heading.then_some(&["IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"][..]);
    table::render(header, rows.iter().map(|row| row.iter().map(String::as_str)))
}

const COLUMNS: &[Column] = &[
    Column::new("Repository", "REPOSITORY"),
    Column::new("Tag", "TAG"),
    Column::new("Digest", "DIGEST"),
    Column::new("ID", "IMAGE ID"),
    Column::new("CreatedSince", "CREATED"),
    Column::new("CreatedAt", "CREATED AT"),
    Column::new("Size", "SIZE"),
    Column::new("Containers", "CONTAINERS"),
    Column::new("SharedSize", "SHARED SIZE"),
    Column::new("UniqueSize", "UNIQUE SIZE"),
    Column::new("VirtualSize", "VIRTUAL SIZE"),
    Column::new("Created", "CREATED"),
    Column::new("Names", "NAMES"),
    Column::new("Labels", "LABELS"),
    Column::new("Os", "OS"),
    Column::new("Arch", "ARCH"),
];

const LISTING: Listing =
    Listing { columns: COLUMNS, table: &["Repository", "Tag", "ID", "CreatedSince", "Size"], id: "ID" };

const LISTING_DIGESTS: Listing =
    Listing { columns: COLUMNS, table: &["Repository", "Tag", "Digest", "ID", "CreatedSince", "Size"], id: "ID" };

fn sort_rows(rows: &mut [image::Row], key: &str) -> Result<(), UsageError> {
    let field = match key {
        // They come newest first.
        "created" => return Ok(()),
        "id" => "ID",
        "repository" => "Repository",
        "tag" => "Tag",
        "size" => {
            rows.sort_by_key(|row| std::cmp::Reverse(row.size));
            return Ok(());
        }
        _ => return Err(UsageError::value("--sort", key, "use created, id, repository, size or tag")),
    };
    rows.sort_by_cached_key(|row| row.json.get(field).and_then(|text| text.as_str()).unwrap_or_default().to_owned());
    Ok(())
}
