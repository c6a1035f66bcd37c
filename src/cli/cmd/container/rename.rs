//! `kelp rename`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::flags::container::container_name;
use crate::cli::verb::Verb;
use crate::engine::container::rename::rename;

/// Flags of `rename`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RenameArgs {
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: String,
    /// Its new name
    #[arg(value_name = "NAME")]
    pub(super) name: String,
}

impl Verb for RenameArgs {
    const SUMMARY: &'static str = "Give a container another name";
    const OPERANDS: &'static str = "CONTAINER NAME";
    const EXAMPLES: &'static str = "\
# Keep the old one aside
$ kelp rename web web-old";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        rename(context.engine()?, &self.container, container_name(&self.name))?;
        Ok(Exit::OK)
    }
}
