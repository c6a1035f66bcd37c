//! Go templates for `--format`: docker's functions and behaviour on JSON data.
//!
//! The language itself is the `gotmpl` crate's. What Go's types would tell and JSON does not is put back here: unknown
//! fields are errors, nulls print as Go's empty values, `.Label "k"` is a call. `value` converts, `rewrite` prepares the
//! syntax tree, `functions` has what templates may call.

mod functions;
mod rewrite;
mod value;

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::Value;
use gotmpl::parse::Parser;

/// The name under which the tree of a template is registered.
const MAIN: &str = "main";

/// Appended while parsing: the parser stops silently at an `{{end}}` or `{{else}}` that closes nothing, and then this is
/// missing from the tree. In a block that nothing closes it is at the end of that block.
const END_MARK: &str = "\u{1}";

/// A template that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Not a template.
    #[error("template parsing error: {0}")]
    Parse(String),
    /// It failed on the data: mostly an unknown field.
    #[error("template: {0}")]
    Execute(String),
}

/// A parsed template.
pub struct Template {
    rows: gotmpl::Template,
    header: gotmpl::Template,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
}

/// Data as templates see it.
#[derive(Debug, Clone)]
pub struct Data(Value);

impl Data {
    /// Data from JSON.
    pub fn new(json: &serde_json::Value) -> Self {
        Self(value::from_json(json, ""))
    }

    /// Adds the method `.Label "key"`.
    #[must_use]
    pub fn with_labels<'a>(self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let labels: BTreeMap<String, Arc<str>> =
            labels.into_iter().map(|(k, v)| (k.to_owned(), Arc::from(v))).collect();
        self.with("Label", functions::method(move |key| labels.get(key).cloned().unwrap_or_else(|| Arc::from(""))))
    }

    fn with(self, name: &str, member: Value) -> Self {
        let Value::Map(map) = self.0 else { return self };
        let mut map = Arc::unwrap_or_clone(map);
        map.insert(Arc::from(name), member);
        Self(Value::Map(Arc::new(map)))
    }
}

impl Template {
    /// Reads a template; `\t` and `\n` in its text (not inside actions) stand for tab and newline.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        // Where the mark is what it did not expect, the text had ended inside an action.
        let bad = |e: gotmpl::TemplateError| {
            let mark = format!("unexpected character: {:?}", END_MARK.chars().next().unwrap_or_default());
            TemplateError::Parse(e.to_string().replace(&mark, "unclosed action: }} is missing"))
        };
        let marked = format!("{text}{END_MARK}");
        let (mut tree, mut defines) =
            Parser::with_name(None, &marked, "{{", "}}").and_then(Parser::parse).map_err(bad)?;
        rewrite::take_end_mark(&mut tree, END_MARK)?;
        rewrite::prepare(&mut tree)?;
        let mut rows = functions::for_rows();
        let mut header = functions::for_header();
        for define in &mut defines {
            rewrite::prepare(&mut define.body)?;
            rows = rows.add_parse_tree(&define.name, define.body.clone());
            header = header.add_parse_tree(&define.name, define.body.clone());
        }
        Ok(Self { rows: rows.add_parse_tree(MAIN, tree.clone()), header: header.add_parse_tree(MAIN, tree) })
    }

    /// The template applied to one object.
    pub fn render(&self, data: &Data) -> Result<String, TemplateError> {
        execute(&self.rows, &data.0)
    }

    /// The header line of a `table` template: the template applied to the names of the columns, given as
    /// (field, header).
    pub fn render_header(&self, columns: &[(&str, &str)]) -> Result<String, TemplateError> {
        let names = columns.iter().map(|(key, header)| (Arc::from(*key), Value::String(Arc::from(*header))));
        let data = Data(Value::Map(Arc::new(names.collect()))).with("Label", functions::method(label_header));
        execute(&self.header, &data.0)
    }
}

fn execute(template: &gotmpl::Template, data: &Value) -> Result<String, TemplateError> {
    let mut out = String::new();
    template.execute_template_fmt(&mut out, MAIN, data).map_err(|e| {
        let text = e.to_string();
        TemplateError::Execute(text.strip_prefix("execution error: ").unwrap_or(&text).to_owned())
    })?;
    Ok(out)
}

/// Docker's header for `.Label "com.example.some-label"`: `some label`.
fn label_header(key: &str) -> Arc<str> {
    Arc::from(key.rsplit('.').next().unwrap_or(key).replace(['-', '_'], " "))
}

#[cfg(test)]
mod tests;
