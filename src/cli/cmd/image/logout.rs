//! `kelp logout`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image::{self, LoginOptions};
use crate::engine::options::PullOptions;

/// Flags of `logout`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LogoutArgs {
    /// Forget the logins of all registries
    #[arg(short, long)]
    all: bool,
    /// Remove the credentials from this file
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,
    /// Remove the credentials from this file of docker's (config.json)
    #[arg(long, value_name = "FILE")]
    compat_auth_file: Option<PathBuf>,
    /// The registry (default docker.io)
    #[arg(value_name = "REGISTRY")]
    registry: Option<String>,
}

impl Verb for LogoutArgs {
    const SUMMARY: &'static str = "Forget the login to a registry";
    const OPERANDS: &'static str = "[OPTIONS] [REGISTRY]";
    const EXAMPLES: &'static str = "\
# One registry
$ kelp logout registry.example
# All of them
$ kelp logout --all";

    fn run(self, _context: &Context) -> Result<Exit, Failure> {
        let Self { all, authfile, compat_auth_file, registry } = self;
        let options =
            LoginOptions { registry: PullOptions { auth_file: authfile, ..PullOptions::default() }, compat_auth_file };
        if all {
            if registry.is_some() {
                return Err(UsageError::conflict("--all", "a registry").into());
            }
            image::logout_all(&options)?;
            ui::line("Removed login credentials for all registries")?;
            return Ok(Exit::OK);
        }
        let registry = registry.unwrap_or_else(|| "docker.io".to_owned());
        if image::logout(&registry, &options)? {
            ui::line(format_args!("Removed login credentials for {registry}"))?;
        } else {
            ui::line(format_args!("Not logged in to {registry}"))?;
        }
        Ok(Exit::OK)
    }
}
