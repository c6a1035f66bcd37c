//! `kelp tag`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::verb::Verb;
use crate::engine::image;

/// Flags of `tag`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct TagArgs {
    /// The image, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Its new names
    #[arg(value_name = "REFERENCE", required = true)]
    pub(super) names: Vec<String>,
}

impl Verb for TagArgs {
    const SUMMARY: &'static str = "Give an image another name";
    const OPERANDS: &'static str = "IMAGE REFERENCE [REFERENCE...]";
    const EXAMPLES: &'static str = "\
# A name for a registry of your own
$ kelp tag app registry.example/team/app:1.0";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        for name in &self.names {
            image::tag(context.engine()?, &self.image, name)?;
        }
        Ok(Exit::OK)
    }
}
