//! `kelp stop`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::flags::targets::{RUNNING, Targets};
use crate::cli::verb::Verb;
use crate::engine::container::stop;
use crate::engine::options::StopOptions;

/// Flags of `stop`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct StopArgs {
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
    /// A container that is not there is no error
    #[arg(short, long)]
    pub(super) ignore: bool,
    /// Seconds before the kill; -1 waits for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS")]
    pub(super) time: Option<i64>,
    /// Signal to send
    #[arg(short, long, value_name = "SIGNAL")]
    pub(super) signal: Option<String>,
}

impl Verb for StopArgs {
    const SUMMARY: &'static str = "Ask containers to end, and kill those that do not";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const EXAMPLES: &'static str = "\
# Give a database a minute to write its data
$ kelp stop -t 60 db
# Stop everything
$ kelp stop -a";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, all, latest, filter, cidfile, ignore, time, signal } = self;
        let mut targets = Targets { names: containers, all, latest, filters: filter };
        targets.read_files(&cidfile, ignore)?;
        let names = context.select("stop", targets, RUNNING)?;
        let options = StopOptions { timeout: time, signal };
        let engine = context.engine()?;
        context.each(&names, ignore, |name| stop::stop(engine, name, &options))
    }
}
