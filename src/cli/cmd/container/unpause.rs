//! `kelp unpause`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::flags::targets::Targets;
use crate::cli::verb::Verb;
use crate::engine::container::stop;

/// Flags of `unpause`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct UnpauseArgs {
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) containers: Vec<String>,
    /// All containers
    #[arg(short, long)]
    pub(super) all: bool,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
    /// Only those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Read the id from this file
    #[arg(long, value_name = "FILE")]
    pub(super) cidfile: Vec<PathBuf>,
}

impl Verb for UnpauseArgs {
    const SUMMARY: &'static str = "Let frozen containers run on";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const DESCRIPTION: &'static str = "Needs a control group of the container's own with the freezer: cgroup v2 delegated to the user.";
    const EXAMPLES: &'static str = "\
# Let one container
$ kelp unpause web";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, all, latest, filter, cidfile } = self;
        let mut targets = Targets { names: containers, all, latest, filters: filter };
        targets.read_files(&cidfile, false)?;
        let names = context.select("unpause", targets, &["status=paused"])?;
        let engine = context.engine()?;
        context.each(&names, false, |name| stop::pause(engine, name, false))
    }
}
