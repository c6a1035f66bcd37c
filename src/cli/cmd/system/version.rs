//! `kelp version`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{inspect, ui};
use crate::cli::verb::Verb;
use crate::engine::system;

/// Flags of `version`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct VersionArgs {
    /// Show with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

impl Verb for VersionArgs {
    const SUMMARY: &'static str = "Show the version";
    const OPERANDS: &'static str = "[OPTIONS]";
    const EXAMPLES: &'static str = "\
# The bare number
$ kelp version -f \"{{.Client.Version}}\"";

    fn run(self, _: &Context) -> Result<Exit, Failure> {
        let value = system::version();
        // Templates of docker's ask for what kelp has not; people need not read it.
        let mut shown = value["Client"].clone();
        if let Some(fields) = shown.as_object_mut() {
            fields.retain(|_, field| field != "");
        }
        match self.format.as_deref().map(str::trim) {
            None | Some("") => ui::print(&super::info::plain(&shown))?,
            Some("json") => ui::line(value)?,
            template => ui::print(&inspect::render(&[value], template)?)?,
        }
        Ok(Exit::OK)
    }
}
