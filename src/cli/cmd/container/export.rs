//! `kelp export`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::file_or_stdout;
use crate::cli::verb::Verb;
use crate::engine::container::export::export;

/// Flags of `export`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ExportArgs {
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: String,
    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
}

impl Verb for ExportArgs {
    const SUMMARY: &'static str = "Write a container's file system as a tar archive";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER";
    const EXAMPLES: &'static str = "\
# The whole tree
$ kelp export web -o web.tar";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { container, output } = self;
        let engine = context.engine()?;
        let exit = file_or_stdout(output.as_deref(), |out| Ok(export(engine, &container, out)?))?;
        context.warn_of_lost_ids();
        Ok(exit)
    }
}
