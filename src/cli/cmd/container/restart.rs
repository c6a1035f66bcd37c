//! `kelp restart`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::flags::targets::{RUNNING, Targets};
use crate::cli::verb::Verb;
use crate::engine::container::stop;
use crate::engine::options::StopOptions;

/// Flags of `restart`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RestartArgs {
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
    /// Only those that run
    #[arg(long)]
    pub(super) running: bool,
    /// Seconds before the kill; -1 waits for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS")]
    pub(super) time: Option<i64>,
    /// Signal to send
    #[arg(short, long, value_name = "SIGNAL")]
    pub(super) signal: Option<String>,
}

impl Verb for RestartArgs {
    const SUMMARY: &'static str = "Stop containers and start them again";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const EXAMPLES: &'static str = "\
# Restart a web server
$ kelp restart web
# Restart what runs, without waiting
$ kelp restart --running -t 0";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, all, latest, filter, cidfile, running, time, signal } = self;
        let mut targets = Targets { names: containers, all: all || running, latest, filters: filter };
        targets.read_files(&cidfile, false)?;
        let names = context.select("restart", targets, if running { RUNNING } else { &[] })?;
        let options = StopOptions { timeout: time, signal };
        let engine = context.engine()?;
        context.each(&names, false, |name| stop::restart(engine, name, &options))
    }
}
