//! One engine for all list commands: columns as data, docker's default table, `-q`, `--format`, `--no-trunc`.
//!
//! A row is an object of strings as docker's JSON lines have it, untruncated. What to list and in which order is the
//! verb's business.

use std::io;

use crate::format::shell::{ellipsis, quote, short_id};
use crate::format::table::{self, align, clean};
use crate::format::template::{Data, Template, TemplateError};

use super::ui;

/// A field of a listing.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// The name in templates and JSON.
    pub key: &'static str,
    /// The header in tables.
    pub header: &'static str,
    /// How the value is shortened, unless with `--no-trunc`.
    pub cut: Cut,
}

/// How a value is shortened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It is not.
    No,
    /// To twelve digits, without `sha256:`.
    Id,
    /// To so many columns, the last one `…`.
    Width(usize),
    /// To so many columns, then in double quotes (quotes also with `--no-trunc`).
    Quoted(usize),
}

impl Column {
    /// A column that is shown in full.
    pub const fn new(key: &'static str, header: &'static str) -> Self {
        Self { key, header, cut: Cut::No }
    }

    /// A column that is shortened.
    pub const fn cut(key: &'static str, header: &'static str, cut: Cut) -> Self {
        Self { key, header, cut }
    }
}

/// What a list command can show.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// All fields.
    pub columns: &'static [Column],
    /// The keys of the default table, in order.
    pub table: &'static [&'static str],
    /// The key printed by `-q`.
    pub id: &'static str,
}

/// How the user wants it.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    /// Ids only.
    pub quiet: bool,
    /// `table`, `json`, a template, or `table TEMPLATE`.
    pub format: Option<String>,
    /// Nothing shortened.
    pub no_trunc: bool,
    /// No header line.
    pub no_heading: bool,
}

/// One object of a listing.
#[derive(Debug, Clone, Default)]
pub struct Row {
    fields: serde_json::Map<String, serde_json::Value>,
    /// For templates only: JSON has docker's fields and no others.
    more: serde_json::Map<String, serde_json::Value>,
    labels: Vec<(String, String)>,
}

impl Row {
    /// A row without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// A row of the fields of a JSON object, as the engine lists them.
    #[must_use]
    pub fn from_json(json: serde_json::Value, labels: &std::collections::BTreeMap<String, String>) -> Self {
        let fields = object(json);
        let labels = labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        Self { fields, labels, ..Self::default() }
    }

    /// Adds fields for templates only.
    #[must_use]
    pub fn with_more(self, json: serde_json::Value) -> Self {
        Self { more: object(json), ..self }
    }

    /// Sets a field.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<serde_json::Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }

    /// Sets the labels: the field `Labels` as `k=v,k=v` in order of the keys, and what `.Label "k"` finds.
    #[must_use]
    pub fn with_labels<'a>(mut self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        self.labels = labels.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
        self.labels.sort();
        let pairs: Vec<String> = self.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
        self.with("Labels", pairs.join(","))
    }
}

/// What is printed, and what the user should be told beside it.
#[derive(Debug, PartialEq, Eq)]
pub struct Rendered {
    /// For stdout.
    pub text: String,
    /// For stderr.
    pub warning: Option<&'static str>,
}

/// Renders and prints a listing.
pub fn print(listing: &Listing, rows: Vec<Row>, options: &ListOptions) -> Result<(), ListError> {
    let rendered = render(listing, rows, options)?;
    if let Some(warning) = rendered.warning {
        ui::warn(warning);
    }
    Ok(ui::print(&rendered.text)?)
}

/// Why a list cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// `--format` is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// stdout failed.
    #[error("write to stdout: {0}")]
    Output(#[from] io::Error),
}

/// Renders a listing.
pub fn render(listing: &Listing, mut rows: Vec<Row>, options: &ListOptions) -> Result<Rendered, TemplateError> {
    for row in &mut rows {
        shorten(listing, row, options.no_trunc);
    }
    let format = options.format.as_deref().unwrap_or("table").trim();
    let columns_of = |format: &str| format.strip_prefix("table").map(|rest| rest.trim().to_owned());
    if options.quiet {
        let custom = !matches!(format, "" | "table");
        let text = rows.iter().map(|row| cell(row, listing.id) + "\n").collect();
        let warning = custom.then_some("Ignoring custom format, because both --format and --quiet are set.");
        return Ok(Rendered { text, warning });
    }
    let text = match columns_of(format) {
        _ if format == "json" => rows.iter().map(|row| json(row) + "\n").collect(),
        Some(template) if template.is_empty() => default_table(listing, &rows, options),
        None if format.is_empty() => default_table(listing, &rows, options),
        Some(template) => custom_table(listing, &rows, options, &template)?,
        None => {
            let template = Template::parse(format)?;
            let mut text = String::new();
            for row in &rows {
                text.push_str(&template.render(&data(row))?);
                text.push('\n');
            }
            text
        }
    };
    Ok(Rendered { text, warning: None })
}

fn shorten(listing: &Listing, row: &mut Row, no_trunc: bool) {
    for column in listing.columns {
        let Some(serde_json::Value::String(text)) = row.fields.get_mut(column.key) else { continue };
        *text = match column.cut {
            Cut::No => continue,
            Cut::Id if no_trunc => continue,
            Cut::Id => short_id(text).to_owned(),
            Cut::Width(_) if no_trunc => continue,
            Cut::Width(width) => ellipsis(text, width),
            Cut::Quoted(_) if no_trunc => quote(text),
            Cut::Quoted(width) => quote(&ellipsis(text, width)),
        };
    }
}

fn cell(row: &Row, key: &str) -> String {
    match row.fields.get(key) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(serde_json::Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn json(row: &Row) -> String {
    serde_json::Value::Object(row.fields.clone()).to_string()
}

fn object(json: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    if let serde_json::Value::Object(fields) = json { fields } else { serde_json::Map::new() }
}

fn data(row: &Row) -> Data {
    let labels = row.labels.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    let mut fields = row.more.clone();
    fields.extend(row.fields.clone());
    Data::new(&serde_json::Value::Object(fields)).with_labels(labels)
}

fn default_table(listing: &Listing, rows: &[Row], options: &ListOptions) -> String {
    let header_of = |key: &&'static str| listing.columns.iter().find(|c| c.key == *key).map_or(*key, |c| c.header);
    let header: Vec<&str> = listing.table.iter().map(header_of).collect();
    let cells: Vec<Vec<String>> =
        rows.iter().map(|row| listing.table.iter().map(|key| cell(row, key)).collect()).collect();
    let rows = cells.iter().map(|row| row.iter().map(String::as_str));
    table::render((!options.no_heading).then_some(&header), rows)
}

fn custom_table(
    listing: &Listing,
    rows: &[Row],
    options: &ListOptions,
    template: &str,
) -> Result<String, TemplateError> {
    let template = Template::parse(template)?;
    let headers: Vec<_> = listing.columns.iter().map(|column| (column.key, column.header)).collect();
    // Also finds unknown fields when there are no rows.
    let header = template.render_header(&headers)?;
    let mut text = if options.no_heading { String::new() } else { header + "\n" };
    for row in rows {
        for (at, part) in template.render(&data(row))?.split('\t').enumerate() {
            if at > 0 {
                text.push('\t');
            }
            let lines: Vec<_> = part.split('\n').map(clean).collect();
            text.push_str(&lines.join("\n"));
        }
        text.push('\n');
    }
    Ok(align(&text, table::DOCKER))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PS: Listing = Listing {
        columns: &[
            Column::cut("ID", "CONTAINER ID", Cut::Id),
            Column::cut("Command", "COMMAND", Cut::Quoted(20)),
            Column::new("Names", "NAMES"),
            Column::cut("Mounts", "MOUNTS", Cut::Width(15)),
            Column::new("Labels", "LABELS"),
        ],
        table: &["ID", "Command", "Names"],
        id: "ID",
    };

    fn rows() -> Vec<Row> {
        let row = |id: &str, command: &str, name: &str| {
            Row::new().with("ID", id).with("Command", command).with("Names", name).with("Mounts", "")
        };
        vec![
            row("0123456789abcdef", "docker-entrypoint.sh nginx", "web").with_labels([("b", "2"), ("a.x", "1,5")]),
            row("fedcba9876543210", "sh", "db").with_labels([]),
        ]
    }

    fn show(format: &str, change: impl FnOnce(&mut ListOptions)) -> String {
        let format = (!format.is_empty()).then(|| format.to_owned());
        let mut options = ListOptions { format, ..ListOptions::default() };
        change(&mut options);
        render(&PS, rows(), &options).unwrap().text
    }

    #[test]
    fn default_tables() {
        let want = "CONTAINER ID   COMMAND                  NAMES\n\
                    0123456789ab   \"docker-entrypoint.s…\"   web\n\
                    fedcba987654   \"sh\"                     db\n";
        assert_eq!(show("", |_| ()), want);
        assert_eq!(show("table", |_| ()), want);
        assert_eq!(
            show("", |o| o.no_trunc = true),
            "CONTAINER ID       COMMAND                        NAMES\n\
             0123456789abcdef   \"docker-entrypoint.sh nginx\"   web\n\
             fedcba9876543210   \"sh\"                           db\n"
        );
        assert_eq!(
            show("", |o| o.no_heading = true),
            "0123456789ab   \"docker-entrypoint.s…\"   web\nfedcba987654   \"sh\"                     db\n"
        );
        let none = render(&PS, Vec::new(), &ListOptions::default()).unwrap().text;
        assert_eq!(none, "CONTAINER ID   COMMAND   NAMES\n");
    }

    #[test]
    fn quiet() {
        assert_eq!(show("", |o| o.quiet = true), "0123456789ab\nfedcba987654\n");
        let options = ListOptions { quiet: true, no_trunc: true, format: Some("{{.Names}}".into()), ..Default::default() };
        let rendered = render(&PS, rows(), &options).unwrap();
        assert_eq!(rendered.text, "0123456789abcdef\nfedcba9876543210\n");
        assert_eq!(rendered.warning, Some("Ignoring custom format, because both --format and --quiet are set."));
    }

    #[test]
    fn formats() {
        assert_eq!(show("{{.Names}}: {{.Label \"a.x\"}}", |_| ()), "web: 1,5\ndb: \n");
        assert_eq!(show("{{.Names}}\\t{{.Labels}}", |_| ()), "web\ta.x=1,5,b=2\ndb\t\n");
        assert_eq!(
            show("json", |_| ()).lines().next(),
            Some(
                r#"{"Command":"\"docker-entrypoint.s…\"","ID":"0123456789ab","Labels":"a.x=1,5,b=2","Mounts":"","Names":"web"}"#
            )
        );
        assert_eq!(show("json", |_| ()), show("{{json .}}", |_| ()));
        assert_eq!(
            show("table {{.Names}}\\t{{.ID}}\\t{{.Label \"a.x\"}}", |_| ()),
            "NAMES     CONTAINER ID   x\nweb       0123456789ab   1,5\ndb        fedcba987654   \n"
        );
        assert_eq!(show("table {{.Names}}", |o| o.no_heading = true), "web\ndb\n");
    }

    #[test]
    fn unknown_fields_are_errors_with_and_without_rows() {
        for (format, rows) in [("{{.Nope}}", rows()), ("table {{.Nope}}", rows()), ("table {{.Nope}}", Vec::new())] {
            let options = ListOptions { format: Some(format.into()), ..Default::default() };
            assert!(matches!(render(&PS, rows, &options), Err(TemplateError::Execute(_))), "{format}");
        }
    }
}
