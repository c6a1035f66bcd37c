//! `kelp inspect`: an object of any kind.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::verb::Verb;
use crate::engine::container::inspect::inspect as container;
use crate::engine::{Error, Kind, image, network, volume};

/// Flags of `inspect`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InspectArgs {
    /// The objects, by name or id
    #[arg(value_name = "OBJECT")]
    pub(super) objects: Vec<String>,
    /// Show with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Only objects of this kind: container, image, network, volume
    #[arg(short, long, value_name = "KIND")]
    pub(super) r#type: Option<String>,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
    /// Show sizes too
    #[arg(short, long)]
    pub(super) size: bool,
}

impl Verb for InspectArgs {
    const SUMMARY: &'static str = "Show all there is to know of containers, images, networks, volumes, as JSON";
    const OPERANDS: &'static str = "[OPTIONS] OBJECT [OBJECT...]";
    const EXAMPLES: &'static str = "\
# A container, or else an image, network or volume, of that name
$ kelp inspect web
# One field
$ kelp inspect -f \"{{.State.Status}}\" web";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { mut objects, format, r#type, latest, size } = self;
        let engine = context.engine()?;
        if latest {
            objects.extend(context.newest()?);
        }
        let only = r#type.as_deref().filter(|kind| !matches!(*kind, "all" | ""));
        if let Some(kind) = only.filter(|kind| !matches!(*kind, "container" | "image" | "network" | "volume")) {
            return Err(UsageError::value("--type", kind, "use container, image, network, volume or all").into());
        }
        context.inspect("inspect", &objects, format.as_deref(), |name| {
            let wanted = |kind| only.is_none_or(|only| only == kind);
            let mut found = Err(Error::not_found(only.map_or("object", known), name));
            if wanted("container") {
                found = next(found, || container(engine, name, size));
            }
            if wanted("image") {
                found = next(found, || image::inspect(engine, name));
            }
            if wanted("network") {
                found = next(found, || network::inspect(engine, name));
            }
            if wanted("volume") {
                found = next(found, || volume::inspect(engine, name));
            }
            found
        })
    }
}

/// Tries the next kind when nothing has that name so far.
fn next(
    found: Result<serde_json::Value, Error>,
    look: impl FnOnce() -> Result<serde_json::Value, Error>,
) -> Result<serde_json::Value, Error> {
    match found {
        Err(error) if error.kind() == Kind::NotFound => match look() {
            // The first error names the kind that was asked for.
            Err(second) if matches!(second.kind(), Kind::NotFound | Kind::Usage) => Err(error),
            other => other,
        },
        other => other,
    }
}

fn known(kind: &str) -> &'static str {
    match kind {
        "container" => "container",
        "image" => "image",
        "network" => "network",
        _ => "volume",
    }
}
