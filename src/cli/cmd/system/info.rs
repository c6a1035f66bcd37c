//! `kelp info`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::{inspect, ui};
use crate::cli::verb::Verb;
use crate::engine::system;

/// Flags of `info`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct InfoArgs {
    /// Show with a Go template, or json
    #[arg(short, long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
}

impl Verb for InfoArgs {
    const SUMMARY: &'static str = "Show facts of this kelp and this host";
    const OPERANDS: &'static str = "[OPTIONS]";
    const EXAMPLES: &'static str = "\
# The storage driver in use
$ kelp info -f \"{{.Driver}}\"";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let value = system::info(context.engine()?)?;
        match self.format.as_deref().map(str::trim) {
            None | Some("") => ui::print(&plain(&value))?,
            Some("json") => ui::line(value)?,
            template => ui::print(&inspect::render(&[value], template)?)?,
        }
        Ok(Exit::OK)
    }
}

/// Lines of `Key: value`, what is inside of something indented.
pub(super) fn plain(value: &serde_json::Value) -> String {
    let mut text = String::new();
    lines(value, 0, &mut text);
    text
}

fn lines(value: &serde_json::Value, depth: usize, text: &mut String) {
    use serde_json::Value;
    let Value::Object(fields) = value else { return };
    for (key, value) in fields {
        text.push_str(&" ".repeat(depth));
        text.push_str(key);
        text.push(':');
        match value {
            Value::Object(_) => {
                text.push('\n');
                lines(value, depth + 1, text);
                continue;
            }
            Value::Array(items) => {
                for item in items {
                    text.push_str(&format!("\n{} {}", " ".repeat(depth), word(item)));
                }
            }
            other => text.push_str(&format!(" {}", word(other))),
        }
        text.push('\n');
    }
}

fn word(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
