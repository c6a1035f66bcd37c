//! `kelp untag`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::verb::Verb;
use crate::engine::image;

/// Flags of `untag`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct UntagArgs {
    /// The image, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
    /// Names to take away; all when none is given
    #[arg(value_name = "REFERENCE")]
    pub(super) names: Vec<String>,
}

impl Verb for UntagArgs {
    const SUMMARY: &'static str = "Take names away from an image";
    const OPERANDS: &'static str = "IMAGE [REFERENCE...]";
    const EXAMPLES: &'static str = "\
# All names; the image stays
$ kelp untag app";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        image::untag(context.engine()?, &self.image, &self.names)?;
        Ok(Exit::OK)
    }
}
