//! `kelp top`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::container::top;
use crate::format::table;

/// Flags of `top`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TopArgs {
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
    /// The container, then options of ps or podman's descriptors
    #[arg(value_name = "CONTAINER", num_args = 0.., trailing_var_arg = true)]
    pub(super) words: Vec<String>,
}

impl Verb for TopArgs {
    const SUMMARY: &'static str = "Show the processes of a container";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [PS OPTIONS | DESCRIPTOR...]";
    const EXAMPLES: &'static str = "\
# All its processes
$ kelp top web
# Chosen columns
$ kelp top web pid,hpid,comm";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { latest, words } = self;
        let mut words = words.into_iter();
        let name = if latest { context.newest()?.pop() } else { words.next() };
        let Some(name) = name else {
            return Err(UsageError::new("\"kelp top\" requires a container, or --latest").into());
        };
        let found = top::top(context.engine()?, &name, &words.collect::<Vec<_>>())?;
        let titles: Vec<&str> = found.titles.iter().map(String::as_str).collect();
        let rows = found.rows.iter().map(|row| row.iter().map(String::as_str));
        ui::print(&table::render(Some(&titles), rows))?;
        Ok(Exit::OK)
    }
}
