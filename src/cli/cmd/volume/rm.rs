//! `kelp volume rm`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family, UsageError};
use crate::cli::verb::Verb;
use crate::engine::volume;

/// Flags of `volume rm`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RmArgs {
    /// The volumes
    #[arg(value_name = "VOLUME")]
    pub(super) volumes: Vec<String>,
    /// All volumes
    #[arg(short, long)]
    pub(super) all: bool,
    /// A volume that is not there is no error
    #[arg(short, long)]
    pub(super) force: bool,
    /// For compatibility
    #[arg(short, long, hide = true, value_name = "SECONDS")]
    pub(super) time: Option<i64>,
}

impl Verb for RmArgs {
    const FAMILY: Family = Family::Remove;
    const SUMMARY: &'static str = "Remove volumes";
    const OPERANDS: &'static str = "[OPTIONS] VOLUME [VOLUME...]";
    const EXAMPLES: &'static str = "\
# With all its data
$ kelp volume rm data";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { mut volumes, all, force, time } = self;
        if time.is_some() {
            return Err(UsageError::new("--time is not supported: a volume in use is never removed").into());
        }
        let engine = context.engine()?;
        if all {
            volumes.extend(volume::list(engine, &[])?.rows.into_iter().map(|row| row.name));
        } else if volumes.is_empty() {
            return Err(UsageError::new("\"kelp volume rm\" requires at least 1 argument").into());
        }
        context.each(&volumes, false, |name| volume::remove(engine, name, force))
    }
}
