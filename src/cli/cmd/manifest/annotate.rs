//! `kelp manifest annotate`.

use super::TraitFlags;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image::list;

/// Flags of `manifest annotate`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct AnnotateArgs {
    /// The list
    #[arg(value_name = "LIST")]
    pub(super) list: String,
    /// The image in it, by digest or by its name here
    #[arg(value_name = "IMAGE")]
    pub(super) image: Option<String>,
    /// Annotate the list itself
    #[arg(long)]
    pub(super) index: bool,
    #[command(flatten)]
    pub(super) traits: TraitFlags,
    /// Features of the operating system it needs
    #[arg(long, value_name = "FEATURE", value_delimiter = ',')]
    pub(super) os_features: Vec<String>,
}

impl Verb for AnnotateArgs {
    const SUMMARY: &'static str = "Say more about an image of a list, or about the list";
    const OPERANDS: &'static str = "[OPTIONS] LIST [IMAGE]";
    const EXAMPLES: &'static str = "\
# What it is for, when the image does not say it right
$ kelp manifest annotate --arch arm64 --variant v8 app:1 app:1-arm";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { list, image, index, traits, os_features } = self;
        let image = match (index, image) {
            (true, Some(_)) => return Err(UsageError::conflict("--index", "an image").into()),
            (true, None) => None,
            (false, Some(image)) => Some(image),
            (false, None) => return Err(UsageError::new("\"kelp manifest annotate\" requires an image, or --index").into()),
        };
        ui::line(list::annotate(context.engine()?, &list, image.as_deref(), &traits.read(os_features)?)?)?;
        Ok(Exit::OK)
    }
}
