//! `kelp diff`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::targets::Targets;
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::container::diff::{self, Change, ChangeKind};
use crate::engine::{Kind, image};
use crate::format::table::clean;

/// Flags of `diff`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct DiffArgs {
    /// The container, or else an image, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: Option<String>,
    /// The image an image is compared with
    #[arg(value_name = "IMAGE")]
    pub(super) base: Option<String>,
    /// Show as json
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
}

impl Verb for DiffArgs {
    const SUMMARY: &'static str = "Show what a container changed in its file system";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER";
    const DESCRIPTION: &'static str = "Of an image it shows what kelp image diff does.";
    const EXAMPLES: &'static str = "\
# A is added, C changed, D deleted
$ kelp diff web";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { container, base, format, latest } = self;
        let targets = Targets { names: container.into_iter().collect(), latest, ..Targets::default() };
        let name = context.select("diff", targets, &[])?.pop().unwrap_or_default();
        let engine = context.engine()?;
        let changes = match base {
            Some(base) => image::diff::diff(engine, &name, Some(&base))?,
            None => match diff::diff(engine, &name) {
                Err(error) if error.kind() == Kind::NotFound && image::exists(engine, &name).unwrap_or(false) => {
                    image::diff::diff(engine, &name, None)?
                }
                other => other?,
            },
        };
        print_changes(&changes, format.as_deref())
    }
}

/// Prints changes as lines or as JSON.
pub(crate) fn print_changes(changes: &[Change], format: Option<&str>) -> Result<Exit, Failure> {
    let text = match format {
        None | Some("") => {
            changes.iter().map(|change| format!("{} {}\n", change.kind.letter(), clean(&change.path.to_string_lossy()))).collect()
        }
        Some("json") => {
            let of = |kind: ChangeKind| {
                changes.iter().filter(|change| change.kind == kind).map(|change| change.path.to_string_lossy()).collect::<Vec<_>>()
            };
            let mut object = serde_json::Map::new();
            for (key, kind) in [("changed", ChangeKind::Changed), ("added", ChangeKind::Added), ("deleted", ChangeKind::Deleted)] {
                let paths = of(kind);
                if !paths.is_empty() {
                    object.insert(key.to_owned(), paths.into());
                }
            }
            format!("{}\n", serde_json::Value::Object(object))
        }
        Some(other) => return Err(UsageError::value("--format", other, "use json").into()),
    };
    ui::print(&text)?;
    Ok(Exit::OK)
}
