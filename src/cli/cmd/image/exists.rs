//! `kelp image exists`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family};
use crate::cli::verb::Verb;
use crate::engine::image;

/// Flags of `image exists`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ExistsArgs {
    /// The image, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) image: String,
}

impl Verb for ExistsArgs {
    const FAMILY: Family = Family::Exists;
    const SUMMARY: &'static str = "Say by the exit status whether an image is there: 0 yes, 1 no";
    const OPERANDS: &'static str = "IMAGE";
    const EXAMPLES: &'static str = "\
# In a script
$ kelp image exists debian || kelp pull debian";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        Ok(if image::exists(context.engine()?, &self.image)? { Exit::OK } else { Exit::FAILED })
    }
}
