//! `kelp exec`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family, UsageError};
use crate::cli::flags::Surroundings;
use crate::cli::flags::lifecycle::detach_keys as check_keys;
use crate::cli::flags::process::EnvFlags;
use crate::cli::verb::Verb;
use crate::cli::exit;
use crate::engine::container::exec;
use crate::engine::options::ExecOptions;

/// Flags of `exec`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ExecArgs {
    #[command(flatten)]
    env: EnvFlags,
    /// Leave it running in the background
    #[arg(short, long)]
    detach: bool,
    /// Keys that detach, such as ctrl-p,ctrl-q; "" for none
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass standard input on
    #[arg(short, long)]
    interactive: bool,
    /// Connect a terminal
    #[arg(short, long)]
    tty: bool,
    /// Without the sandbox, as run --privileged
    #[arg(long)]
    privileged: bool,
    /// User, and group, to run as: names of the image or numbers
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Directory to run in
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Pass so many descriptors after 2 into the container
    #[arg(long, value_name = "N")]
    preserve_fds: Option<u32>,
    /// The newest container
    #[arg(short, long)]
    latest: bool,
    /// Read the container's id from this file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// The container, the command, its arguments
    #[arg(value_name = "CONTAINER", required = true, num_args = 1.., trailing_var_arg = true, hide = true)]
    words: Vec<String>,
}

/// Which container.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// By name or id.
    Named(String),
    /// `--latest`.
    Latest,
}

impl ExecArgs {
    /// The container, and what to run in it.
    pub(crate) fn into_options(self, around: &Surroundings<'_>) -> Result<(Which, ExecOptions), UsageError> {
        let Self {
            env,
            detach,
            detach_keys,
            interactive,
            tty,
            privileged,
            user,
            workdir,
            preserve_fds,
            latest,
            cidfile,
            words,
        } = self;
        let mut words = words.into_iter();
        let which = match (latest, cidfile) {
            (true, Some(_)) => return Err(UsageError::conflict("--latest", "--cidfile")),
            (true, None) => Which::Latest,
            (false, Some(file)) => Which::Named(around.text("--cidfile", &file)?.trim().to_owned()),
            (false, None) => Which::Named(words.next().unwrap_or_default()),
        };
        let command: Vec<String> = words.collect();
        if command.is_empty() {
            return Err(UsageError::new("the command to run in the container is missing"));
        }
        if let Some(dir) = workdir.as_deref().filter(|dir| !dir.starts_with('/')) {
            return Err(UsageError::value("--workdir", dir, "the path in the container must be absolute"));
        }
        if let Some(user) = &user {
            crate::cli::flags::parse::<crate::spec::UserSpec>("--user", user)?;
        }
        let options = ExecOptions {
            command,
            env: env.read(around)?,
            workdir,
            user,
            tty,
            interactive,
            detach,
            privileged,
            detach_keys: check_keys(detach_keys)?,
            preserve_fds: preserve_fds.unwrap_or_default(),
        };
        Ok((which, options))
    }
}

impl Verb for ExecArgs {
    const FAMILY: Family = Family::Run;
    const SUMMARY: &'static str = "Run a command in a running container";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER COMMAND [ARG...]";
    const DESCRIPTION: &'static str = "\
The command gets the container's own sandbox and environment. The exit status is that of the command; 125 when kelp itself \
fails, 126 when the command cannot be run, 127 when it is not there.";
    const EXAMPLES: &'static str = "\
# A shell in a running container
$ kelp exec -it web sh
# As another user, with a variable
$ kelp exec -u postgres -e PGDATABASE=app db psql -c 'select 1'";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (which, options) = context.surroundings(|around| self.into_options(around))?;
        let name = match which {
            Which::Named(name) => name,
            Which::Latest => context.newest()?.pop().unwrap_or_default(),
        };
        Ok(exec::exec(context.engine()?, &name, &options)?.map_or(Exit::OK, exit::status))
    }
}
