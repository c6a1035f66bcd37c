//! `kelp volume export`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::file_or_stdout;
use crate::cli::verb::Verb;
use crate::engine::volume_archive;

/// Flags of `volume export`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ExportArgs {
    /// The volume
    #[arg(value_name = "VOLUME")]
    pub(super) volume: String,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

impl Verb for ExportArgs {
    const SUMMARY: &'static str = "Write a volume's files as a tar archive";
    const OPERANDS: &'static str = "[OPTIONS] VOLUME";
    const EXAMPLES: &'static str = "\
# A backup
$ kelp volume export data -o data.tar";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { volume, output } = self;
        let engine = context.engine()?;
        file_or_stdout(output.as_deref(), |out| Ok(volume_archive::export(engine, &volume, out)?))
    }
}
