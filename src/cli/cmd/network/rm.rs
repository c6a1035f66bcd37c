//! `kelp network rm`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family, UsageError};
use crate::cli::verb::Verb;
use crate::engine::network;

/// Flags of `network rm`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RmArgs {
    /// The networks
    #[arg(value_name = "NETWORK")]
    pub(super) networks: Vec<String>,
    /// A network that is not there is no error; one in use stays, unless --time is given too
    #[arg(short, long)]
    pub(super) force: bool,
    /// With --force: remove the containers that use it, those that run after so many seconds at most (-1: when they end)
    #[arg(short, long, value_name = "SECONDS")]
    pub(super) time: Option<i64>,
}

impl Verb for RmArgs {
    const FAMILY: Family = Family::Remove;
    const SUMMARY: &'static str = "Remove networks";
    const OPERANDS: &'static str = "[OPTIONS] NETWORK [NETWORK...]";
    const EXAMPLES: &'static str = "\
$ kelp network rm app
# With every container on it
$ kelp network rm -f -t 10 app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { networks, force, time } = self;
        if time.is_some() && !force {
            return Err(UsageError::new("--time removes the containers of a network, so it needs --force").into());
        }
        if networks.is_empty() {
            return Err(UsageError::new("\"kelp network rm\" requires at least 1 argument").into());
        }
        let engine = context.engine()?;
        context.each(&networks, false, |name| {
            if time.is_some() {
                network::remove_users(engine, name, time)?;
            }
            network::remove(engine, name, force)
        })
    }
}
