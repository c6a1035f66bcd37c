//! `kelp mount` and `kelp unmount`.

use serde_json::json;

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::targets::Targets;
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::container::mount::{mount, mounts, unmount};

/// Flags of `mount`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct MountArgs {
    /// The containers, by name or id; without any those that are mounted are shown
    #[arg(value_name = "CONTAINER")]
    pub(super) containers: Vec<String>,
    /// All containers
    #[arg(short, long)]
    pub(super) all: bool,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
    /// Show as json
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Show ids in full
    #[arg(long, visible_alias = "no-trunc")]
    pub(super) notruncate: bool,
}

impl Verb for MountArgs {
    const SUMMARY: &'static str = "Mount the files of containers";
    const OPERANDS: &'static str = "[OPTIONS] [CONTAINER...]";
    const DESCRIPTION: &'static str = "\
Works inside kelp unshare only, and ends with it. Where each container is mounted is printed, with its id if there are several. \
What is written there is the container's. A container that does not run must not be started while it is mounted.";
    const EXAMPLES: &'static str = "\
# Edit a file of a container that does not start any more
$ kelp unshare sh -c 'vi \"$(kelp mount web)/etc/nginx/nginx.conf\"'";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, all, latest, format, notruncate } = self;
        let engine = context.engine()?;
        let names = if containers.is_empty() && !all && !latest {
            None
        } else {
            let targets = Targets { names: containers, all, latest, ..Targets::default() };
            Some(context.select("mount", targets, &[])?)
        };
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        match &names {
            None => found = mounts(engine)?,
            Some(names) => {
                for name in names {
                    match mount(engine, name) {
                        Ok(path) => found.push((name.clone(), path)),
                        Err(error) => errors.push(error),
                    }
                }
            }
        }
        let text = match format.as_deref() {
            Some("json") => {
                let row = |(id, path): &(String, std::path::PathBuf)| json!({"id": id, "mountpoint": path});
                format!("{}\n", serde_json::Value::Array(found.iter().map(row).collect()))
            }
            Some(other) if !other.is_empty() => return Err(UsageError::value("--format", other, "use json").into()),
            _ if names.as_ref().is_some_and(|names| names.len() == 1) => {
                found.iter().map(|(_, path)| format!("{}\n", path.display())).collect()
            }
            _ => {
                let short = |id: &str| if notruncate || names.is_some() { id.to_owned() } else { id.chars().take(12).collect() };
                found.iter().map(|(id, path)| format!("{}  {}\n", short(id), path.display())).collect()
            }
        };
        ui::print(&text)?;
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }
}

/// Flags of `unmount`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct UnmountArgs {
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) containers: Vec<String>,
    /// All that are mounted
    #[arg(short, long)]
    pub(super) all: bool,
    /// Also those in use
    #[arg(short, long)]
    pub(super) force: bool,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
}

impl Verb for UnmountArgs {
    const SUMMARY: &'static str = "Unmount the files of containers";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const EXAMPLES: &'static str = "\
# Inside kelp unshare
$ kelp unmount web";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, all, force, latest } = self;
        let engine = context.engine()?;
        let targets = Targets { names: containers, all, latest, ..Targets::default() };
        let names = if all && !latest && targets.names.is_empty() {
            mounts(engine)?.into_iter().map(|(id, _)| id).collect()
        } else {
            context.select("unmount", targets, &[])?
        };
        context.each(&names, false, |name| unmount(engine, name, force).map(drop))
    }
}
