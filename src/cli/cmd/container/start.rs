//! `kelp start`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family, UsageError};
use crate::cli::flags::lifecycle::detach_keys as check_keys;
use crate::cli::flags::targets::Targets;
use crate::cli::verb::Verb;
use crate::cli::exit;
use crate::engine::container::start;
use crate::engine::options::StartOptions;

/// Flags of `start`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct StartArgs {
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) containers: Vec<String>,
    /// Connect to its output, and pass its exit status on
    #[arg(short, long)]
    pub(super) attach: bool,
    /// Pass standard input on
    #[arg(short, long)]
    pub(super) interactive: bool,
    /// All containers that do not run
    #[arg(long)]
    pub(super) all: bool,
    /// Only those that match
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(super) filter: Vec<String>,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
    /// Keys that detach, such as ctrl-p,ctrl-q
    #[arg(long, value_name = "KEYS")]
    pub(super) detach_keys: Option<String>,
    /// Pass signals on to the container (default true)
    #[arg(long, value_name = "BOOL")]
    pub(super) sig_proxy: Option<bool>,
}

impl Verb for StartArgs {
    const FAMILY: Family = Family::Run;
    const SUMMARY: &'static str = "Start containers that were created or have ended";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const EXAMPLES: &'static str = "\
# Start a container and see what it prints
$ kelp start -a job
# Start everything that does not run
$ kelp start --all";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, attach, interactive, all, filter, latest, detach_keys, sig_proxy } = self;
        let targets = Targets { names: containers, all, latest, filters: filter };
        let names = context.select("start", targets, &["status=created", "status=exited"])?;
        let attach = attach || interactive;
        let options = StartOptions {
            attach,
            interactive,
            sig_proxy: sig_proxy.unwrap_or(attach),
            detach_keys: check_keys(detach_keys)?,
        };
        let engine = context.engine()?;
        if !attach {
            return context.each(&names, false, |name| start::start(engine, name, &options).map(drop));
        }
        match names.as_slice() {
            [name] => Ok(start::start(engine, name, &options)?.map_or(Exit::OK, exit::status)),
            _ => Err(UsageError::new("only one container can be started with --attach or --interactive").into()),
        }
    }
}
