//! `kelp rm`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family, UsageError};
use crate::cli::flags::targets::Targets;
use crate::cli::verb::Verb;
use crate::engine::container::rm;
use crate::engine::options::RemoveOptions;

/// Flags of `rm`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RmArgs {
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
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// Read the id from this file
    #[arg(long, value_name = "FILE")]
    pub(super) cidfile: Vec<PathBuf>,
    /// Stop it first if it runs; one that is not there is no error
    #[arg(short, long)]
    pub(super) force: bool,
    /// A container that is not there is no error
    #[arg(short, long)]
    pub(super) ignore: bool,
    /// Remove those that depend on it too
    #[arg(long, hide = true)]
    pub(super) depend: bool,
    /// Remove its anonymous volumes too
    #[arg(short, long)]
    pub(super) volumes: bool,
    /// Seconds before the kill; -1 waits for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS")]
    pub(super) time: Option<i64>,
}

impl Verb for RmArgs {
    const FAMILY: Family = Family::Remove;
    const SUMMARY: &'static str = "Remove containers";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const EXAMPLES: &'static str = "\
# Remove a container that may run, and its anonymous volumes
$ kelp rm -f -v web
# Remove everything, running or not
$ kelp rm -af";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, all, latest, filter, cidfile, force, ignore, depend, volumes, time } = self;
        if depend {
            return Err(UsageError::new("--depend is not supported: remove the other containers by name").into());
        }
        let ignore = ignore || force;
        let mut targets = Targets { names: containers, all, latest, filters: filter };
        targets.read_files(&cidfile, ignore)?;
        if targets.names.is_empty() && !cidfile.is_empty() {
            return Ok(Exit::OK);
        }
        let names = context.select("rm", targets, &[])?;
        let options = RemoveOptions { force, volumes, timeout: time };
        let engine = context.engine()?;
        let exit = context.each(&names, ignore, |name| rm::remove(engine, name, &options))?;
        if all {
            rm::sweep(engine)?;
        }
        Ok(exit)
    }
}
