//! `kelp commit`.

use std::path::PathBuf;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::Error;
use crate::engine::container::commit::commit;
use crate::engine::options::{CommitOptions, ImageFormat};

/// Flags of `commit`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CommitArgs {
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: Option<String>,
    /// Name of the new image
    #[arg(value_name = "IMAGE")]
    pub(super) image: Option<String>,
    /// Author of the image, such as "Jo <jo@example.org>"
    #[arg(short, long, value_name = "AUTHOR")]
    pub(super) author: Option<String>,
    /// Set part of the configuration with a Dockerfile instruction, such as CMD ["sh"]
    #[arg(short, long, value_name = "INSTRUCTION")]
    pub(super) change: Vec<String>,
    /// Put the configuration of this JSON file over the container's
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// oci or docker (default oci)
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub(super) iidfile: Option<PathBuf>,
    /// Make the container's volumes volumes of the image
    #[arg(long)]
    pub(super) include_volumes: bool,
    /// Comment in the image's history
    #[arg(short, long, value_name = "TEXT")]
    pub(super) message: Option<String>,
    /// Freeze the container meanwhile (default: if it has a cgroup)
    #[arg(short, long)]
    pub(super) pause: Option<bool>,
    /// Show no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
    /// Make one layer of all
    #[arg(short, long)]
    pub(super) squash: bool,
}

impl Verb for CommitArgs {
    const SUMMARY: &'static str = "Make an image of what a container changed";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [IMAGE]";
    const DESCRIPTION: &'static str = "\
The new image has the layers of the container's image and one with the container's changes. What is mounted in the container \
is not part of it. The id of the image is printed.

With SOURCE_DATE_EPOCH in the environment no time in the image is later than that.";
    const EXAMPLES: &'static str = "\
# Keep what was installed by hand
$ kelp commit -m \"with curl\" box tools:curl
# Another command and an open port
$ kelp commit -c 'CMD [\"serve\"]' -c 'EXPOSE 80' box web";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self {
            container, image, author, change, config, format, iidfile, include_volumes, message, pause, quiet, squash,
        } = self;
        // Nothing is shown on the way; the flag says what is so already.
        let _: bool = quiet;
        let container = container.ok_or_else(|| UsageError::new("\"kelp commit\" requires a container"))?;
        let config = config.map(|path| std::fs::read_to_string(&path).map_err(Error::io("read", path))).transpose()?;
        let options = CommitOptions {
            changes: change,
            config,
            message,
            author,
            pause,
            squash,
            include_volumes,
            format: image_format(format.as_deref())?,
            newest: crate::cli::flags::image::source_date_epoch()?,
        };
        let id = commit(context.engine()?, &container, image.as_deref(), &options)?;
        if let Some(path) = iidfile {
            std::fs::write(&path, id.to_string()).map_err(Error::io("write", path))?;
        }
        ui::line(id)?;
        Ok(Exit::OK)
    }
}

/// `--format` of the verbs that make images.
pub(crate) fn image_format(text: Option<&str>) -> Result<ImageFormat, UsageError> {
    match text {
        None | Some("oci") => Ok(ImageFormat::Oci),
        Some("docker") => Ok(ImageFormat::Docker),
        Some(other) => Err(UsageError::value("--format", other, "use oci or docker")),
    }
}
