//! `kelp volume inspect`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::verb::Verb;
use crate::engine::volume;

/// Flags of `volume inspect`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InspectArgs {
    /// The volumes
    #[arg(value_name = "VOLUME")]
    pub(super) volumes: Vec<String>,
    /// All volumes
    #[arg(short, long)]
    pub(super) all: bool,
    /// Show with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

impl Verb for InspectArgs {
    const SUMMARY: &'static str = "Show all there is to know of volumes, as JSON";
    const OPERANDS: &'static str = "[OPTIONS] VOLUME [VOLUME...]";
    const EXAMPLES: &'static str = "\
# Where its files are
$ kelp volume inspect -f \"{{.Mountpoint}}\" data";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { mut volumes, all, format } = self;
        let engine = context.engine()?;
        if all {
            volumes.extend(volume::list(engine, &[])?.rows.into_iter().map(|row| row.name));
        } else if volumes.is_empty() {
            return Err(UsageError::new("\"kelp volume inspect\" requires at least 1 argument").into());
        }
        context.inspect(if all { "" } else { "volume inspect" }, &volumes, format.as_deref(), |name| volume::inspect(engine, name))
    }
}
