//! `kelp attach`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family};
use crate::cli::flags::lifecycle::detach_keys as check_keys;
use crate::cli::flags::targets::Targets;
use crate::cli::verb::Verb;
use crate::cli::exit;
use crate::engine::container::attach;
use crate::engine::options::AttachOptions;

/// Flags of `attach`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct AttachArgs {
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: Option<String>,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
    /// Keys that detach, such as ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    pub(super) detach_keys: Option<String>,
    /// Connect output only
    #[arg(long)]
    pub(super) no_stdin: bool,
    /// Pass signals on to the container (default true)
    #[arg(long, value_name = "BOOL")]
    pub(super) sig_proxy: Option<bool>,
}

impl Verb for AttachArgs {
    const FAMILY: Family = Family::Run;
    const SUMMARY: &'static str = "Connect to the input and output of a running container";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER";
    const EXAMPLES: &'static str = "\
# Go back into a shell that was left with ctrl-p ctrl-q
$ kelp attach shell";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { container, latest, detach_keys, no_stdin, sig_proxy } = self;
        let targets = Targets { names: container.into_iter().collect(), latest, ..Targets::default() };
        let name = context.select("attach", targets, &[])?.pop().unwrap_or_default();
        let options =
            AttachOptions { no_stdin, sig_proxy: sig_proxy.unwrap_or(true), detach_keys: check_keys(detach_keys)? };
        Ok(attach::attach(context.engine()?, &name, &options)?.map_or(Exit::OK, exit::status))
    }
}
