//! `kelp system df`.

use serde_json::{Value, json};

use crate::build::prune::{self, Item};
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::list::{self, Column, ListOptions, Listing, Row};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::container::ls::status_text;
use crate::engine::system::df::{Total, Usage, df};
use crate::format::{duration, size, time};

/// Flags of `system df`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct DfArgs {
    /// Show with a Go template, json, or table TEMPLATE
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Show each image, container and volume
    #[arg(short, long)]
    pub(super) verbose: bool,
}

impl Verb for DfArgs {
    const SUMMARY: &'static str = "Show what images, containers and volumes take of the disk";
    const OPERANDS: &'static str = "[OPTIONS]";
    const DESCRIPTION: &'static str = "\
Sizes are blocks on the disk. What images share is counted once in their sum. RECLAIMABLE is what removing everything that is \
not used would free.";
    const EXAMPLES: &'static str = "\
# In short
$ kelp system df
# Each one, with what it shares
$ kelp system df -v";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { format, verbose } = self;
        let engine = context.engine()?;
        let usage = df(engine)?;
        let items = prune::list(engine)?;
        let cache = build_cache(&items);
        if !verbose {
            let rows = summary(&usage, cache).into_iter().map(|row| Row::from_json(row, &[].into())).collect();
            list::print(&SUMMARY, rows, &ListOptions { format, no_trunc: true, ..ListOptions::default() })?;
            return Ok(Exit::OK);
        }
        let all = [images(&usage), containers(&usage), volumes(&usage), steps(&items)];
        if let Some(format) = format {
            let [images, containers, volumes, steps] = all;
            let object = json!({"Images": images, "Containers": containers, "Volumes": volumes, "BuildCache": steps});
            let text = match format.as_str() {
                "json" => format!("{object}\n"),
                template => crate::cli::inspect::render(&[object], Some(template))?,
            };
            ui::print(&text)?;
            return Ok(Exit::OK);
        }
        let titles = ["Images", "Containers", "Local Volumes", "Build cache"];
        for ((title, rows), listing) in titles.iter().zip(all).zip([&IMAGES, &CONTAINERS, &VOLUMES, &STEPS]) {
            ui::print(&format!("{title} space usage:\n\n"))?;
            let rows = rows.into_iter().map(|row| Row::from_json(row, &[].into())).collect();
            list::print(listing, rows, &ListOptions::default())?;
            ui::print("\n")?;
        }
        Ok(Exit::OK)
    }
}

/// What builds keep of their steps.
fn build_cache(items: &[Item]) -> Total {
    let own = || items.iter().filter(|item| !item.shared).map(|item| item.size).sum();
    Total { count: items.len(), active: 0, bytes: own(), reclaimable: own() }
}

fn steps(items: &[Item]) -> Vec<Value> {
    let now = time::now() / 1_000_000_000;
    let row = |item: &Item| {
        json!({
            "ID": item.id,
            "CacheType": if item.what == "cache mount" { "exec.cachemount" } else { "regular" },
            "Size": size::human(item.size),
            "LastUsedSince": format!("{} ago", duration::human(now.saturating_sub(item.used))),
            "Shared": item.shared.to_string(),
            "Description": item.what.lines().next().unwrap_or_default(),
        })
    };
    items.iter().map(row).collect()
}

fn summary(usage: &Usage, cache: Total) -> Vec<Value> {
    let row = |name: &str, total: &Total| {
        let share = (total.reclaimable * 100).checked_div(total.bytes).map_or(String::new(), |share| format!(" ({share}%)"));
        json!({
            "Type": name,
            "Total": total.count.to_string(),
            "TotalCount": total.count.to_string(),
            "Active": total.active.to_string(),
            "Size": size::human(total.bytes),
            "RawSize": total.bytes,
            "Reclaimable": format!("{}{share}", size::human(total.reclaimable)),
            "RawReclaimable": total.reclaimable,
        })
    };
    vec![
        row("Images", &usage.images_total),
        row("Containers", &usage.containers_total),
        row("Local Volumes", &usage.volumes_total),
        row("Build Cache", &cache),
    ]
}

fn images(usage: &Usage) -> Vec<Value> {
    let now = time::now() / 1_000_000_000;
    let mut rows = Vec::new();
    for image in &usage.images {
        for (repository, tag) in &image.names {
            rows.push(json!({
                "Repository": repository,
                "Tag": tag,
                "ID": image.id.to_string(),
                "CreatedSince": image.created.map_or("N/A".to_owned(), |at| format!("{} ago", duration::human(now - at))),
                "Size": size::human(image.bytes),
                "SharedSize": size::human(image.shared),
                "UniqueSize": size::human(image.bytes - image.shared),
                "Containers": image.containers.to_string(),
            }));
        }
    }
    rows
}

fn containers(usage: &Usage) -> Vec<Value> {
    let now = time::now();
    let row = |used: &crate::engine::system::df::ContainerUsage| {
        let record = &used.entry.record;
        let words: Vec<&str> = record.config.entrypoint.iter().chain(&record.config.command).map(String::as_str).collect();
        json!({
            "ID": record.id,
            "Image": record.image.name,
            "Command": words.join(" "),
            "LocalVolumes": record.config.mounts.iter().filter(|mount| !mount.name.is_empty()).count().to_string(),
            "Size": size::human(used.bytes),
            "CreatedSince": format!("{} ago", duration::human((now - record.created) / 1_000_000_000)),
            "Status": status_text(&used.entry.status, now),
            "Names": record.name,
        })
    };
    usage.containers.iter().map(row).collect()
}

fn volumes(usage: &Usage) -> Vec<Value> {
    let row = |volume: &crate::engine::system::df::VolumeUsage| {
        json!({"Name": volume.name, "Links": volume.links.to_string(), "Size": size::human(volume.bytes)})
    };
    usage.volumes.iter().map(row).collect()
}

const SUMMARY: Listing = Listing {
    columns: &[
        Column::new("Type", "TYPE"),
        Column::new("Total", "TOTAL"),
        Column::new("TotalCount", "TOTAL"),
        Column::new("Active", "ACTIVE"),
        Column::new("Size", "SIZE"),
        Column::new("RawSize", "SIZE"),
        Column::new("Reclaimable", "RECLAIMABLE"),
        Column::new("RawReclaimable", "RECLAIMABLE"),
    ],
    table: &["Type", "Total", "Active", "Size", "Reclaimable"],
    id: "Type",
};

const IMAGES: Listing = Listing {
    columns: &[
        Column::new("Repository", "REPOSITORY"),
        Column::new("Tag", "TAG"),
        Column::cut("ID", "IMAGE ID", list::Cut::Id),
        Column::new("CreatedSince", "CREATED"),
        Column::new("Size", "SIZE"),
        Column::new("SharedSize", "SHARED SIZE"),
        Column::new("UniqueSize", "UNIQUE SIZE"),
        Column::new("Containers", "CONTAINERS"),
    ],
    table: &["Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers"],
    id: "ID",
};

const CONTAINERS: Listing = Listing {
    columns: &[
        Column::cut("ID", "CONTAINER ID", list::Cut::Id),
        Column::new("Image", "IMAGE"),
        Column::cut("Command", "COMMAND", list::Cut::Quoted(20)),
        Column::new("LocalVolumes", "LOCAL VOLUMES"),
        Column::new("Size", "SIZE"),
        Column::new("CreatedSince", "CREATED"),
        Column::new("Status", "STATUS"),
        Column::new("Names", "NAMES"),
    ],
    table: &["ID", "Image", "Command", "LocalVolumes", "Size", "CreatedSince", "Status", "Names"],
    id: "ID",
};

const VOLUMES: Listing = Listing {
    columns: &[Column::new("Name", "VOLUME NAME"), Column::new("Links", "LINKS"), Column::new("Size", "SIZE")],
    table: &["Name", "Links", "Size"],
    id: "Name",
};

const STEPS: Listing = Listing {
    columns: &[
        Column::cut("ID", "CACHE ID", list::Cut::Id),
        Column::new("CacheType", "CACHE TYPE"),
        Column::new("Size", "SIZE"),
        Column::new("LastUsedSince", "LAST USED"),
        Column::new("Shared", "SHARED"),
        Column::new("Description", "DESCRIPTION"),
    ],
    table: &["ID", "CacheType", "Size", "LastUsedSince", "Shared"],
    id: "ID",
};
