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
    /// A network that is not there is no error; one in use stays
    #[arg(short, long)]
    pub(super) force: bool,
    /// For compatibility
    #[arg(short, long, hide = true, value_name = "SECONDS", allow_hyphen_values = true)]
    pub(super) time: Option<i64>,
}

impl Verb for RmArgs {
    const FAMILY: Family = Family::Remove;
    const SUMMARY: &'static str = "Remove networks";
    const OPERANDS: &'static str = "[OPTIONS] NETWORK [NETWORK...]";
    const EXAMPLES: &'static str = "\
$ kelp network rm app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { networks, force, time } = self;
        if time.is_some() {
            return Err(UsageError::new("--time is not supported: a network in use is never removed").into());
        }
        if networks.is_empty() {
            return Err(UsageError::new("\"kelp network rm\" requires at least 1 argument").into());
        }
        let engine = context.engine()?;
        context.each(&networks, false, |name| network::remove(engine, name, force))
    }
}
