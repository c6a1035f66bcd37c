//! `kelp volume import`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::volume_archive;

/// Flags of `volume import`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ImportArgs {
    /// The volume, which must be there
    #[arg(value_name = "VOLUME")]
    pub(super) volume: String,
    /// A tar archive, or - for standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub(super) file: String,
}

impl Verb for ImportArgs {
    const SUMMARY: &'static str = "Unpack a tar archive into a volume";
    const OPERANDS: &'static str = "VOLUME [FILE|-]";
    const EXAMPLES: &'static str = "\
# A backup back in place
$ kelp volume import data data.tar";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { volume, file } = self;
        let file = (file != "-").then_some(file);
        if file.is_none() && ui::stdin_is_terminal() {
            return Err(UsageError::new("the archive is missing: name a file, or pipe one in").into());
        }
        volume_archive::import(context.engine()?, &volume, file.as_deref().map(std::path::Path::new))?;
        Ok(Exit::OK)
    }
}
