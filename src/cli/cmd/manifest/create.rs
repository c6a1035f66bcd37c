//! `kelp manifest create`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::progress::{Progress, Pull};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image::list;
use crate::engine::options::PullOptions;

/// Flags of `manifest create`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CreateArgs {
    /// Name of the list
    #[arg(value_name = "LIST")]
    pub(super) list: String,
    /// Images to put in
    #[arg(value_name = "IMAGE")]
    pub(super) images: Vec<String>,
    /// Add to a list that is there
    #[arg(short, long)]
    pub(super) amend: bool,
    /// Of an image for several platforms on a registry, all
    #[arg(long)]
    pub(super) all: bool,
    /// Annotation of the list, repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) annotation: Vec<String>,
    /// Allow plain HTTP and unknown certificates
    #[arg(long)]
    pub(super) insecure: bool,
    /// Check the registry's certificate (default true)
    #[arg(long, value_name = "BOOL")]
    pub(super) tls_verify: Option<bool>,
}

impl Verb for CreateArgs {
    const SUMMARY: &'static str = "Make a list of images for several platforms";
    const OPERANDS: &'static str = "[OPTIONS] LIST [IMAGE...]";
    const EXAMPLES: &'static str = "\
# Two images that are here
$ kelp manifest create app:1 app:1-amd64 app:1-arm64";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { list, images, amend, all, annotation, insecure, tls_verify } = self;
        let registry = PullOptions { tls_verify: tls_verify.or(insecure.then_some(false)), ..PullOptions::default() };
        let progress = Pull::new(Progress::new(false));
        let fetch = list::Fetch { every: all, registry: &registry, progress: &progress };
        let annotations = super::annotations(&annotation)?;
        ui::line(list::create(context.engine()?, &list, &images, amend, &annotations, &fetch)?)?;
        Ok(Exit::OK)
    }
}
