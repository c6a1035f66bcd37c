//! `kelp manifest add`.

use std::path::PathBuf;

use super::TraitFlags;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::{Progress, Pull};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image::list;
use crate::engine::options::PullOptions;

/// Flags of `manifest add`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct AddArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub(super) list: String,
    /// The image, here or on its registry
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Of an image for several platforms, all
    #[arg(long)]
    pub(super) all: bool,
    #[command(flatten)]
    pub(super) traits: TraitFlags,
    /// Read registry credentials from this file
    #[arg(long, value_name = "FILE")]
    pub(super) authfile: Option<PathBuf>,
    /// Directory with certificates of the registry
    #[arg(long, value_name = "DIR")]
    pub(super) cert_dir: Option<PathBuf>,
    /// Credentials for the registry
    #[arg(long, value_name = "USER[:PASSWORD]")]
    pub(super) creds: Option<String>,
    /// Check the registry's certificate (default true)
    #[arg(long, value_name = "BOOL")]
    pub(super) tls_verify: Option<bool>,
}

impl Verb for AddArgs {
    const SUMMARY: &'static str = "Put an image into a list";
    const OPERANDS: &'static str = "[OPTIONS] LIST IMAGE";
    const EXAMPLES: &'static str = "\
# One that is here
$ kelp manifest add app:1 app:1-riscv64
# One on a registry
$ kelp manifest add app:1 docker://registry.example/app:arm";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { list, image, all, traits, authfile, cert_dir, creds, tls_verify } = self;
        let registry =
            PullOptions { auth_file: authfile, cert_dir, credentials: creds, tls_verify, ..PullOptions::default() };
        let progress = Pull::new(Progress::new(false));
        let fetch = list::Fetch { every: all, registry: &registry, progress: &progress };
        ui::line(list::add(context.engine()?, &list, &image, &traits.read(Vec::new())?, &fetch)?)?;
        Ok(Exit::OK)
    }
}
