//! `kelp rmi`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::options::RemoveImageOptions;
use crate::engine::{Error, Kind, image};

/// Flags of `rmi`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RmArgs {
    /// The images, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) images: Vec<String>,
    /// All images
    #[arg(short, long)]
    pub(super) all: bool,
    /// Also images that containers use: these are removed too
    #[arg(short, long)]
    pub(super) force: bool,
    /// An image that is not there is no error
    #[arg(short, long)]
    pub(super) ignore: bool,
    /// Keep parents that lose their last name
    #[arg(long)]
    pub(super) no_prune: bool,
}

impl Verb for RmArgs {
    const FAMILY: Family = Family::Remove;
    const SUMMARY: &'static str = "Remove images";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE [IMAGE...]";
    const EXAMPLES: &'static str = "\
# One name; the image goes with its last name
$ kelp rmi debian:12
# Everything
$ kelp rmi -af";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { mut images, all, force, ignore, no_prune } = self;
        let engine = context.engine()?;
        if all {
            images.extend(image::ids(engine)?);
        } else if images.is_empty() {
            return Err(UsageError::new("\"kelp rmi\" requires at least 1 argument").into());
        }
        let options = RemoveImageOptions { force, no_prune };
        let mut errors: Vec<Error> = Vec::new();
        let mut text = String::new();
        for name in &images {
            match image::remove(engine, name, &options) {
                Ok(lines) => lines.iter().for_each(|line| {
                    text.push_str(line);
                    text.push('\n');
                }),
                // With --all, an image may have gone as the parent of another.
                Err(error) if (ignore || force || all) && error.kind() == Kind::NotFound => {}
                Err(error) => errors.push(error),
            }
        }
        ui::print(&text)?;
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }
}
