//! `kelp create`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family, UsageError};
use crate::cli::flags::Surroundings;
use crate::cli::flags::container::ContainerFlags;
use crate::cli::verb::Verb;
use crate::cli::progress::{Progress, Pull};
use crate::cli::ui;
use crate::engine::container::create;
use crate::engine::image;
use crate::engine::options::CreateOptions;
use crate::spec::ContainerSpec;

/// Flags of `create`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    container: ContainerFlags,
}

impl CreateArgs {
    /// The container asked for.
    pub(crate) fn into_spec(self, around: &Surroundings<'_>) -> Result<(ContainerSpec, CreateOptions), UsageError> {
        let Self { container } = self;
        let asked = container.into_spec(around)?;
        Ok((asked.spec, asked.create))
    }
}

impl Verb for CreateArgs {
    const FAMILY: Family = Family::Run;
    const SUMMARY: &'static str = "Create a container without starting it";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE [COMMAND] [ARG...]";
    const EXAMPLES: &'static str = "\
# Create now, start later
$ kelp create --name job debian sh -c 'echo done'
$ kelp start -a job";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (spec, options) = context.surroundings(|around| self.into_spec(around))?;
        let engine = context.engine()?;
        let progress = Progress::new(options.pull.quiet);
        let found = image::for_run(engine, &spec.image, &options.pull, &Pull::new(progress))?;
        ui::line(create::create(engine, spec, found, &options)?.record.id)?;
        Ok(Exit::OK)
    }
}
