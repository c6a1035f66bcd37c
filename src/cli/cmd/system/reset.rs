//! `kelp system reset`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::system::reset::reset;

/// Flags of `system reset`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ResetArgs {
    /// Do not ask
    #[arg(short, long)]
    pub(super) force: bool,
}

impl Verb for ResetArgs {
    const SUMMARY: &'static str = "Remove everything but the configuration";
    const OPERANDS: &'static str = "[OPTIONS]";
    const DESCRIPTION: &'static str = "\
Kills and removes all containers, and removes all networks, volumes, images, logs and caches. What is configured, and who is \
logged in where, stays.";
    const EXAMPLES: &'static str = "\
# As after the installation
$ kelp system reset";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { force } = self;
        let engine = context.engine()?;
        let what = "This removes:\n  - all containers, also those that run\n  - all networks\n  - all volumes, with what is in them\n  \
                    - all images\n  - all logs and caches\n";
        if force || ui::confirm(what)? {
            reset(engine)?;
        }
        Ok(Exit::OK)
    }
}
