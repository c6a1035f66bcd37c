//! How `inspect` prints: always a JSON array with four blanks of indent, or a template with one line per object.

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};

use crate::format::template::{Data, Template, TemplateError};

/// Why objects cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// `--format` is wrong.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// An object has no JSON form.
    #[error("cannot write the object as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// The objects as text, in the order given. Fields keep the order of their types, except in templates.
pub fn render<T: Serialize>(objects: &[T], format: Option<&str>) -> Result<String, InspectError> {
    match format.map(str::trim) {
        None | Some("") => Ok(pretty(objects)? + "\n"),
        Some("json") => Ok(serde_json::to_string(objects)? + "\n"),
        Some(template) => {
            let template = Template::parse(template)?;
            let mut text = String::new();
            for object in objects {
                text.push_str(&template.render(&Data::new(&serde_json::to_value(object)?))?);
                text.push('\n');
            }
            // Docker prints an empty line when nothing was found; scripts that read one line rely on it.
            if objects.is_empty() {
                text.push('\n');
            }
            Ok(text)
        }
    }
}

/// Docker's indented JSON, without a final newline.
pub fn pretty<T: Serialize + ?Sized>(value: &T) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    let mut serializer = Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Object {
        id: &'static str,
        args: Vec<&'static str>,
        cmd: Option<()>,
    }

    const ONE: Object = Object { id: "1", args: Vec::new(), cmd: None };

    #[test]
    fn arrays() {
        let none: [Object; 0] = [];
        assert_eq!(render(&none, None).unwrap(), "[]\n");
        assert_eq!(
            render(&[ONE], None).unwrap(),
            "[\n    {\n        \"Id\": \"1\",\n        \"Args\": [],\n        \"Cmd\": null\n    }\n]\n"
        );
        assert_eq!(render(&[ONE], Some("json")).unwrap(), "[{\"Id\":\"1\",\"Args\":[],\"Cmd\":null}]\n");
    }

    #[test]
    fn templates() {
        let none: [Object; 0] = [];
        assert_eq!(render(&[ONE, ONE], Some("{{.ID}} {{.Cmd}}")).unwrap(), "1 []\n1 []\n");
        assert_eq!(render(&none, Some("{{.ID}}")).unwrap(), "\n");
        assert!(matches!(render(&[ONE], Some("{{.Nope}}")), Err(InspectError::Template(_))));
    }
}
