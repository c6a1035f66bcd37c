//! `kelp system prune` and `kelp gc`.

use crate::build::prune as cache;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::system::prune::{PruneOptions, gc, prune};
use crate::format::size;

/// Flags of `system prune`.
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
    /// Anonymous volumes too
    #[arg(long)]
    pub(super) volumes: bool,
    /// What interrupted builds left too; always so in kelp
    #[arg(long)]
    pub(super) build: bool,
}

impl Verb for PruneArgs {
    const SUMMARY: &'static str = "Remove everything nothing uses";
    const OPERANDS: &'static str = "[OPTIONS]";
    const DESCRIPTION: &'static str = "\
Containers that do not run, networks without a container, images, and the cache of builds, which filters leave alone.";
    const EXAMPLES: &'static str = "\
# Stopped containers and images without a name
$ kelp system prune -f
# As much as possible
$ kelp system prune -af --volumes";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { all, filter, force, volumes, build } = self;
        // The flag says what is so already.
        let _: bool = build;
        let engine = context.engine()?;
        let mut what = "This removes:\n  - all stopped containers\n  - all networks not used by at least one container\n".to_owned();
        if volumes {
            what.push_str("  - all anonymous volumes not used by at least one container\n");
        }
        what.push_str(if all { "  - all images without at least one container associated to them\n" } else { "  - all dangling images\n" });
        if filter.is_empty() {
            what.push_str(if all { "  - all build cache\n" } else { "  - build cache no image is made of\n" });
        }
        if !force && !ui::confirm(&what)? {
            return Ok(Exit::OK);
        }
        let with_cache = filter.is_empty();
        let report = prune(engine, &PruneOptions { all, volumes, filters: filter })?;
        let cache = if with_cache { cache::prune(engine, &cache::PruneOptions { all, ..Default::default() })? } else { Vec::new() };
        let steps: Vec<String> = cache.iter().map(|item| item.id.clone()).collect();
        let mut text = String::new();
        for (title, lines) in [
            ("Containers", &report.containers.removed),
            ("Networks", &report.networks),
            ("Volumes", &report.volumes.removed),
            ("Images", &report.images.lines),
            ("build cache objects", &steps),
        ] {
            if !lines.is_empty() {
                text.push_str(&format!("Deleted {title}:\n{}\n\n", lines.join("\n")));
            }
        }
        text.push_str(&format!("Total reclaimed space: {}\n", size::human(report.bytes() + cache.iter().map(|item| item.size).sum::<u64>())));
        ui::print(&text)?;
        Ok(Exit::OK)
    }
}

/// Flags of `gc`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct GcArgs {}

impl Verb for GcArgs {
    const SUMMARY: &'static str = "Remove what interrupted commands left behind";
    const OPERANDS: &'static str = "";
    const DESCRIPTION: &'static str = "\
Removes layers, downloads and directories that no image, container, build or running command refers to: what a killed command, \
a full disk or a power cut leaves. Nothing anybody can name goes; for that see kelp system prune.";
    const EXAMPLES: &'static str = "\
# Whenever the disk is full
$ kelp gc";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self {} = self;
        let bytes = gc(context.engine()?)?;
        ui::line(format_args!("Total reclaimed space: {}", size::human(bytes)))?;
        Ok(Exit::OK)
    }
}
