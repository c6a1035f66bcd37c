//! `kelp run`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, Family, UsageError};
use crate::cli::flags::Surroundings;
use crate::cli::flags::container::ContainerFlags;
use crate::cli::flags::lifecycle::detach_keys as check_keys;
use crate::cli::verb::Verb;
use crate::cli::progress::{Progress, Pull};
use crate::cli::{exit, ui};
use crate::engine::container::run::{self, Outcome};
use crate::engine::image;
use crate::engine::options::{RunOptions, Streams};
use crate::spec::ContainerSpec;
use crate::spec::container::ImageSource;

/// Flags of `run`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    container: ContainerFlags,
    /// Leave it running in the background and show its id
    #[arg(short, long, help_heading = "Process")]
    detach: bool,
    /// Keys that detach, such as ctrl-p,ctrl-q; "" for none
    #[arg(long, value_name = "KEYS", help_heading = "Process")]
    detach_keys: Option<String>,
    /// Pass signals on to the container (default true)
    #[arg(long, value_name = "BOOL", help_heading = "Process")]
    sig_proxy: Option<bool>,
    /// Pass so many descriptors after 2 into the container
    #[arg(long, value_name = "N", help_heading = "Process")]
    preserve_fds: Option<u32>,
    /// Remove the image too when the container ends, unless another uses it
    #[arg(long, help_heading = "Lifecycle")]
    rmi: bool,
}

impl RunArgs {
    /// The container asked for, and how to run it.
    pub(crate) fn into_spec(self, around: &Surroundings<'_>) -> Result<(ContainerSpec, RunOptions), UsageError> {
        let Self { container, detach, detach_keys, sig_proxy, preserve_fds, rmi } = self;
        let asked = container.into_spec(around)?;
        let mut spec = asked.spec;
        spec.lifecycle.detach = detach;
        spec.lifecycle.detach_keys = check_keys(detach_keys)?;
        spec.lifecycle.remove_image = rmi;
        if rmi {
            // podman: --rmi implies --rm.
            if spec.lifecycle.restart != crate::spec::container::RestartPolicy::No {
                return Err(UsageError::conflict("--rmi", "--restart"));
            }
            spec.lifecycle.remove = true;
        }
        if detach && asked.streams.is_some() {
            return Err(UsageError::conflict("--attach", "--detach"));
        }
        if detach && rmi {
            return Err(UsageError::conflict("--rmi", "--detach"));
        }
        let streams =
            asked.streams.unwrap_or(Streams { stdin: spec.process.interactive, ..Streams::default() });
        let options = RunOptions {
            create: asked.create,
            streams,
            sig_proxy: sig_proxy.unwrap_or(true),
            preserve_fds: preserve_fds.unwrap_or_default(),
        };
        Ok((spec, options))
    }
}

impl Verb for RunArgs {
    const FAMILY: Family = Family::Run;
    const SUMMARY: &'static str = "Create a container and run a command in it";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE [COMMAND] [ARG...]";
    const DESCRIPTION: &'static str = "\
The image is pulled when it is not here. Flags end at the image: what follows it goes to the container as it is.

The exit status is that of the container's process, or 128 and the signal that killed it; 125 when kelp itself fails, 126 \
when the command cannot be run, 127 when it is not there.";
    const EXAMPLES: &'static str = "\
# A shell that leaves nothing behind
$ kelp run --rm -it debian bash
# A web server, its port 80 on the host's 8080, its pages from here
$ kelp run -d --name web -p 8080:80 -v ./site:/usr/share/nginx/html:ro nginx
# As the calling user, in the current directory
$ kelp run --rm --userns keep-id -v .:/work -w /work alpine make
# In a pipe
$ echo data | kelp run --rm -i alpine tr a-z A-Z";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let (spec, options) = context.surroundings(|around| self.into_spec(around))?;
        let engine = context.engine()?;
        let progress = Progress::new(options.create.pull.quiet);
        let found = image::for_run(engine, &spec.image, &options.create.pull, &Pull::new(progress))?;
        let used = match (&spec.image, &found) {
            (ImageSource::Image(name), Some(image)) if spec.lifecycle.remove_image => Some((name.clone(), image.record.id.clone())),
            _ => None,
        };
        match run::run(engine, spec, found, &options)? {
            Outcome::Detached { id } => {
                ui::line(id)?;
                Ok(Exit::OK)
            }
            Outcome::Exited { code } => {
                if let Some((name, id)) = used
                    && let Err(error) = image::remove_unused(engine, &name, &id)
                {
                    context.warn(error);
                }
                Ok(exit::status(code))
            }
        }
    }
}
