//! What templates can call beside Go's own functions: docker's `json join split lower upper title pad truncate`, field
//! access with docker's errors, and `index` with Go's zero values.

use std::sync::Arc;

use gotmpl::{Template, TemplateError, Value};

use super::value;

/// Field access; the blank keeps it out of reach of template authors.
pub(super) const FIELD: &str = "field access";

/// More blanks than any table needs, fewer than would exhaust memory.
const MAX_PAD: usize = 4096;

const GO: &[&str] = &[
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print", "printf",
    "println", "slice", "urlquery",
];

const DOCKER: &[&str] = &["join", "json", "lower", "pad", "split", "title", "truncate", "upper"];

type Outcome = Result<Value, TemplateError>;

/// Whether a template may call `name`.
pub(super) fn exists(name: &str) -> bool {
    GO.contains(&name) || DOCKER.contains(&name)
}

/// The functions for data.
pub(super) fn for_rows() -> Template {
    Template::new("")
        .func(FIELD, field)
        .func("index", index)
        .func("json", |args| Ok(string(&value::to_json(one("json", args)?))))
        .func("lower", |args| Ok(string(&text("lower", args, 0)?.to_lowercase())))
        .func("upper", |args| Ok(string(&text("upper", args, 0)?.to_uppercase())))
        .func("title", |args| Ok(string(&title(text("title", args, 0)?))))
        .func("pad", pad)
        .func("truncate", truncate)
        .func("split", split)
        .func("join", join)
        .func("printf", printf)
}

/// The functions for the header line: column names pass through unchanged.
pub(super) fn for_header() -> Template {
    let mut template = Template::new("").func(FIELD, field).func("pad", pad);
    for name in DOCKER.iter().filter(|name| **name != "pad") {
        template = template.func(name, move |args| {
            // The piped value comes last, a direct argument first: the column name is whichever is a known text.
            args.first().cloned().ok_or_else(|| count(name, 1, 0))
        });
    }
    template
}

/// Go's `printf` with `%T`, which the language's crate does not know: the names of types as Go has them for JSON.
fn printf(args: &[Value]) -> Outcome {
    let mut args = args.to_vec();
    let format = text("printf", &args, 0)?.to_owned();
    let mut out = String::with_capacity(format.len());
    let mut chars = format.chars();
    let mut next = 1;
    while let Some(c) = chars.next() {
        out.push(c);
        if c != '%' {
            continue;
        }
        let verb = loop {
            match chars.next() {
                // A width or precision from the arguments.
                Some('*') => {
                    next += 1;
                    out.push('*');
                }
                Some(c) if c.is_ascii_digit() || "+-# 0.".contains(c) => out.push(c),
                other => break other,
            }
        };
        match verb {
            Some('%') => {
                out.push('%');
                continue;
            }
            Some('T') if next < args.len() => {
                args[next] = string(type_name(&args[next]));
                out.push('s');
            }
            other => out.extend(other),
        }
        next += 1;
    }
    args[0] = string(&out);
    // The crate's own function can be reached through a template only.
    let operands: String = (0..args.len()).map(|at| format!(" (index . {at})")).collect();
    let printed = Template::new("printf").parse(&format!("{{{{printf{operands}}}}}"))?.execute_to_string(&Value::List(args.into()))?;
    Ok(string(&printed))
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Nil => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Uint(_) => "int",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
        _ => "func",
    }
}

/// A method with one text argument.
pub(super) fn method(f: impl Fn(&str) -> Arc<str> + Send + Sync + 'static) -> Value {
    Value::Function(Arc::new(move |args| Ok(Value::String(f(text("Label", args, 0)?)))))
}

fn string(text: &str) -> Value {
    Value::String(Arc::from(text))
}

fn count(name: &str, expected: usize, got: usize) -> TemplateError {
    TemplateError::ArgCount { name: name.to_owned(), expected, got }
}

fn one<'a>(name: &str, args: &'a [Value]) -> Result<&'a Value, TemplateError> {
    match args {
        [value] => Ok(value),
        _ => Err(count(name, 1, args.len())),
    }
}

fn wrong(name: &str, want: &str, got: &Value) -> TemplateError {
    TemplateError::Exec(format!("{name}: wrong type {}; it takes a {want}", got.type_name()))
}

fn text<'a>(name: &str, args: &'a [Value], at: usize) -> Result<&'a str, TemplateError> {
    match args.get(at) {
        Some(Value::String(s)) => Ok(s),
        Some(other) => Err(wrong(name, "string", other)),
        None => Err(count(name, at + 1, args.len())),
    }
}

fn size(name: &str, args: &[Value], at: usize) -> Result<usize, TemplateError> {
    let value = args.get(at).ok_or_else(|| count(name, at + 1, args.len()))?;
    value.as_int().and_then(|n| usize::try_from(n).ok()).ok_or_else(|| wrong(name, "number not below 0", value))
}

/// The first letter of each word in upper case.
fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut start = true;
    for c in text.chars() {
        if start {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        start = c.is_whitespace() || c.is_ascii_punctuation() && c != '_' && c != '\'';
    }
    out
}

/// `pad TEXT BEFORE AFTER`.
fn pad(args: &[Value]) -> Outcome {
    let source = text("pad", args, 0)?;
    let (before, after) = (size("pad", args, 1)?.min(MAX_PAD), size("pad", args, 2)?.min(MAX_PAD));
    if source.is_empty() {
        return Ok(string(""));
    }
    Ok(string(&format!("{}{source}{}", " ".repeat(before), " ".repeat(after))))
}

/// `truncate TEXT LENGTH`, in characters.
fn truncate(args: &[Value]) -> Outcome {
    let source = text("truncate", args, 0)?;
    let length = size("truncate", args, 1)?;
    let end = source.char_indices().nth(length).map_or(source.len(), |(at, _)| at);
    Ok(string(&source[..end]))
}

fn split(args: &[Value]) -> Outcome {
    let (source, separator) = (text("split", args, 0)?, text("split", args, 1)?);
    if separator.is_empty() {
        return Ok(Value::List(source.chars().map(|c| string(c.encode_utf8(&mut [0; 4]))).collect()));
    }
    Ok(Value::List(source.split(separator).map(string).collect()))
}

fn join(args: &[Value]) -> Outcome {
    let separator = text("join", args, 1)?;
    match &args[0] {
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(ToString::to_string).collect();
            Ok(string(&items.join(separator)))
        }
        other => Err(wrong("join", "list", other)),
    }
}

/// `index BASE KEY…`; a key that a map of texts lacks is the empty text, as Go's zero value is.
fn index(args: &[Value]) -> Outcome {
    let (base, keys) = args.split_first().ok_or_else(|| count("index", 1, 0))?;
    let mut value = base.clone();
    for key in keys {
        let texts = match &value {
            Value::Map(members) => members.values().all(|v| matches!(v, Value::String(_))),
            _ => false,
        };
        value = match value.index(key)? {
            Value::Nil if texts => string(""),
            found => found,
        };
    }
    Ok(value)
}

/// `base.A.B.C`, as docker's typed data would have it.
fn field(args: &[Value]) -> Outcome {
    let (base, path) = (args.first().ok_or_else(|| count(FIELD, 2, 0))?, text(FIELD, args, 1)?);
    let mut value = base.clone();
    let mut parent = "";
    for name in path.split('.') {
        value = match &value {
            Value::Map(members) => match members.get(name).or_else(|| member_any_case(&value, name)) {
                Some(member) => member.clone(),
                None if value::is_map(parent) => Value::Nil,
                None => return Err(TemplateError::Exec(format!("no field {name:?} (in .{path})"))),
            },
            Value::Nil => return Err(TemplateError::Exec(format!("no field {name:?} in a nil value (in .{path})"))),
            other => {
                let kind = other.type_name();
                return Err(TemplateError::Exec(format!("no field {name:?} in a {kind} (in .{path})")));
            }
        };
        parent = name;
    }
    Ok(value)
}

/// Go names and JSON names differ in case (`.ID` and `Id`, `.DNS` and `Dns`); both are accepted when unambiguous.
fn member_any_case<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Map(members) = value else { return None };
    let mut found = members.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    let (_, member) = found.next()?;
    found.next().is_none().then_some(member)
}
