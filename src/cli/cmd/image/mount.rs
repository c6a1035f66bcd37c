//! `kelp image mount` and `kelp image unmount`.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::image;
use crate::engine::image::mount::{Mounted, mount, mounts, unmount};

/// Flags of `image mount`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct MountArgs {
    /// The images, by reference or id; without any those that are mounted are shown
    #[arg(value_name = "IMAGE")]
    pub(super) images: Vec<String>,
    /// All images
    #[arg(short, long)]
    pub(super) all: bool,
    /// Show as json
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

impl Verb for MountArgs {
    const SUMMARY: &'static str = "Mount images, to be read";
    const OPERANDS: &'static str = "[OPTIONS] [IMAGE...]";
    const DESCRIPTION: &'static str = "\
Works inside kelp unshare only, and ends with it. Where each image is mounted is printed, with its name if there are several.";
    const EXAMPLES: &'static str = "\
# What is in an image?
$ kelp unshare sh -c 'cd \"$(kelp image mount debian)\" && find . -perm -4000'";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { mut images, all, format } = self;
        let engine = context.engine()?;
        if all && !images.is_empty() {
            return Err(UsageError::new("give images or --all, not both").into());
        }
        if all {
            images = image::ids(engine)?;
        }
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        if images.is_empty() && !all {
            found = mounts(engine)?;
        }
        for name in &images {
            match mount(engine, name) {
                Ok(mounted) => found.push(mounted),
                Err(error) => errors.push(error),
            }
        }
        ui::print(&shown(&found, format.as_deref(), images.len() == 1)?)?;
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }
}

fn shown(mounted: &[Mounted], format: Option<&str>, path_only: bool) -> Result<String, UsageError> {
    match format {
        Some("json") => {
            let row = |one: &Mounted| json!({"id": one.id, "Repositories": one.names, "mountpoint": one.path});
            Ok(format!("{}\n", serde_json::Value::Array(mounted.iter().map(row).collect())))
        }
        Some(other) if !other.is_empty() => Err(UsageError::value("--format", other, "use json")),
        _ if path_only => Ok(mounted.iter().map(|one| format!("{}\n", one.path.display())).collect()),
        _ => Ok(mounted
            .iter()
            .map(|one| format!("{}  {}\n", one.names.first().unwrap_or(&one.id), one.path.display()))
            .collect()),
    }
}

/// Flags of `image unmount`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct UnmountArgs {
    /// The images, by reference or id
    #[arg(value_name = "IMAGE")]
    pub(super) images: Vec<String>,
    /// All that are mounted
    #[arg(short, long)]
    pub(super) all: bool,
    /// Also those in use
    #[arg(short, long)]
    pub(super) force: bool,
}

impl Verb for UnmountArgs {
    const SUMMARY: &'static str = "Unmount images";
    const OPERANDS: &'static str = "[OPTIONS] IMAGE [IMAGE...]";
    const EXAMPLES: &'static str = "\
# Inside kelp unshare
$ kelp image unmount debian";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { mut images, all, force } = self;
        let engine = context.engine()?;
        if all != images.is_empty() {
            return Err(UsageError::new("give images or --all").into());
        }
        if all {
            images = mounts(engine)?.into_iter().map(|mounted| mounted.id).collect();
        }
        let mut errors = Vec::new();
        for name in &images {
            match unmount(engine, name, force) {
                Ok(id) => ui::line(id)?,
                Err(error) => errors.push(error),
            }
        }
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }
}
