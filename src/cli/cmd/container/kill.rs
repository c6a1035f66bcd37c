//! `kelp kill`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::flags::targets::{RUNNING, Targets};
use crate::cli::verb::Verb;
use crate::engine::container::stop;

/// Flags of `kill`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct KillArgs {
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) containers: Vec<String>,
    /// All containers
    #[arg(short, long)]
    pub(super) all: bool,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
    /// Read the id from this file
    #[arg(long, value_name = "FILE")]
    pub(super) cidfile: Vec<PathBuf>,
    /// Signal to send, by name or number (default KILL)
    #[arg(short, long, value_name = "SIGNAL")]
    pub(super) signal: Option<String>,
}

impl Verb for KillArgs {
    const SUMMARY: &'static str = "Send a signal to containers";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const EXAMPLES: &'static str = "\
# Make a server read its configuration again
$ kelp kill -s HUP web";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, all, latest, cidfile, signal } = self;
        let mut targets = Targets { names: containers, all, latest, filters: Vec::new() };
        targets.read_files(&cidfile, false)?;
        let names = context.select("kill", targets, RUNNING)?;
        let signal = signal.as_deref().unwrap_or("KILL");
        let engine = context.engine()?;
        context.each(&names, false, |name| stop::kill(engine, name, signal))
    }
}
