//! `kelp manifest inspect`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image::list;
use crate::engine::options::PullOptions;

/// Flags of `manifest inspect`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InspectArgs {
    /// A list that is here, an image's id, or what the registry has under this name
    #[arg(value_name = "NAME")]
    pub(super) name: String,
    /// Read registry credentials from this file
    #[arg(long, value_name = "FILE")]
    pub(super) authfile: Option<PathBuf>,
    /// Allow plain HTTP and unknown certificates
    #[arg(long)]
    pub(super) insecure: bool,
    /// Check the registry's certificate (default true)
    #[arg(long, value_name = "BOOL")]
    pub(super) tls_verify: Option<bool>,
}

impl Verb for InspectArgs {
    const SUMMARY: &'static str = "Show a list, or the manifest of an image";
    const OPERANDS: &'static str = "[OPTIONS] NAME";
    const EXAMPLES: &'static str = "\
# What an image on a registry is for
$ kelp manifest inspect docker://debian:12";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { name, authfile, insecure, tls_verify } = self;
        let tls_verify = tls_verify.or(insecure.then_some(false));
        let registry = PullOptions { auth_file: authfile, tls_verify, ..PullOptions::default() };
        let manifest = list::inspect(context.engine()?, &name, &registry)?;
        ui::line(crate::cli::inspect::pretty(&manifest).map_err(crate::cli::inspect::InspectError::from)?)?;
        Ok(Exit::OK)
    }
}
