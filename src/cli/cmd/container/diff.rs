//! `kelp diff`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::targets::Targets;
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::format::table::clean;
use crate::engine::container::diff::{self, ChangeKind};

/// Flags of `diff`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct DiffArgs {
    /// The container, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) container: Option<String>,
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
    const EXAMPLES: &'static str = "\
# A is added, C changed, D deleted
$ kelp diff web";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { container, format, latest } = self;
        let targets = Targets { names: container.into_iter().collect(), latest, ..Targets::default() };
        let name = context.select("diff", targets, &[])?.pop().unwrap_or_default();
        let changes = diff::diff(context.engine()?, &name)?;
        let text = match format.as_deref() {
            None | Some("") => {
                changes.iter().map(|change| format!("{} {}\n", change.kind.letter(), clean(&change.path.to_string_lossy()))).collect()
            }
            Some("json") => {
                let of = |kind: ChangeKind| {
                    changes.iter().filter(|change| change.kind == kind).map(|change| change.path.to_string_lossy()).collect::<Vec<_>>()
                };
                let mut object = serde_json::Map::new();
                for (key, kind) in
                    [("changed", ChangeKind::Changed), ("added", ChangeKind::Added), ("deleted", ChangeKind::Deleted)]
                {
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
}
