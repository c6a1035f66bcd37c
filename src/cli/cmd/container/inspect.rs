//! `kelp container inspect`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::verb::Verb;
use crate::engine::container::inspect::inspect;

/// Flags of `inspect`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InspectArgs {
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) containers: Vec<String>,
    /// Show with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
    /// Show sizes too
    #[arg(short, long)]
    pub(super) size: bool,
}

impl Verb for InspectArgs {
    const SUMMARY: &'static str = "Show all there is to know of containers, as JSON";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const DESCRIPTION: &'static str = "Of a container whose monitor was killed nobody recorded the end: State.Error says so, and State.FinishedAt is when a command first noticed; after a restart of the machine, when the container last wrote to its log.";
    const EXAMPLES: &'static str = "\
# The exit status of a container
$ kelp container inspect -f \"{{.State.ExitCode}}\" job";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { mut containers, format, latest, size } = self;
        let engine = context.engine()?;
        if latest {
            containers.extend(context.newest()?);
        }
        context.inspect("container inspect", &containers, format.as_deref(), |name| inspect(engine, name, size))
    }
}
