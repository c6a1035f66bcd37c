//! `kelp system check`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::{Progress, Pull};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::system::check::{CheckOptions, Kind, check};

/// Flags of `system check`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CheckArgs {
    /// Records only, not the contents of layers
    #[arg(short, long)]
    pub(super) quick: bool,
    /// Fetch again what is missing or damaged
    #[arg(short, long)]
    pub(super) repair: bool,
    /// With --repair, remove images and containers that cannot be repaired
    #[arg(short, long, requires = "repair")]
    pub(super) force: bool,
}

impl Verb for CheckArgs {
    const SUMMARY: &'static str = "Check that images, layers and containers are what they should be";
    const OPERANDS: &'static str = "[OPTIONS]";
    const DESCRIPTION: &'static str = "\
Every layer is hashed again as the archive it came as; one that lost files or bytes of them, by hand or by a failing disk, is \
found. What somebody added to it, and modes he changed, are not. \
A layer whose archive is gone, so that it runs but cannot be saved, is found, too. With --repair both are fetched again from the registry the \
image came from.";
    const EXAMPLES: &'static str = "\
# After a crash of the machine
$ kelp system check
# And put it right
$ kelp system check --repair";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { quick, repair, force } = self;
        let progress = Pull::new(Progress::new(false));
        let report = check(context.engine()?, CheckOptions { quick, repair, force }, &progress)?;
        let mut text = String::new();
        for finding in &report.findings {
            let kind = match finding.kind {
                Kind::Name => "name",
                Kind::Blob => "blob",
                Kind::Layer => "layer",
                Kind::Archive => "archive of layer",
                Kind::Image => "image",
                Kind::Container => "container",
            };
            let done = finding.done.as_ref().map_or(String::new(), |done| format!(": {done}"));
            text.push_str(&format!("{kind} {}: {}{done}\n", finding.id, finding.problem));
        }
        text.push_str(&format!("{} images, {} layers verified", report.images, report.layers));
        if report.unverified > 0 {
            text.push_str(&format!(", {} that cannot be", report.unverified));
        }
        text.push_str(&match report.findings.len() {
            0 => ": all is well\n".to_owned(),
            count => format!(": {count} wrong\n"),
        });
        ui::print(&text)?;
        Ok(if report.is_well() { Exit::OK } else { Exit::FAILED })
    }
}
