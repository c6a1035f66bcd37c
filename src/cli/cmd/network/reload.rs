//! `kelp network reload`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::verb::Verb;
use crate::engine::container::ls::{self, ListOptions};
use crate::engine::network;

/// Flags of `network reload`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ReloadArgs {
    /// The containers
    #[arg(value_name = "CONTAINER")]
    pub(super) containers: Vec<String>,
    /// All that run
    #[arg(short, long)]
    pub(super) all: bool,
    /// The newest
    #[arg(short, long)]
    pub(super) latest: bool,
}

impl Verb for ReloadArgs {
    const SUMMARY: &'static str = "Take running containers off their networks and put them on again";
    const OPERANDS: &'static str = "[OPTIONS] [CONTAINER...]";
    const EXAMPLES: &'static str = "\
# After somebody changed links or routes by hand
$ kelp network reload -a";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { mut containers, all, latest } = self;
        let engine = context.engine()?;
        let ids = all || latest;
        if all {
            containers.extend(ls::ids(engine, &ListOptions::default())?);
        }
        if latest {
            containers.extend(context.newest()?);
        }
        if containers.is_empty() && !all {
            return Err(UsageError::new("\"kelp network reload\" requires at least 1 argument, or --all").into());
        }
        context.each(&containers, ids, |name| network::reload(engine, name))
    }
}
