//! Variables and labels as typed: `-e`, `--env-file`, `--label`, `--label-file`, `--unsetenv`. Docker's rules. Pure: the
//! caller's environment is handed in, files arrive as text.

use std::collections::BTreeMap;

/// A variable with its value, or with none: taken away.
pub type Variable = (String, Option<String>);

/// Why a variable or label was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// `=value`, or nothing at all.
    #[error("invalid {what} \"{text}\": the name is empty")]
    NoName {
        /// `environment variable` or `label`.
        what: &'static str,
        /// What was typed.
        text: String,
    },
    /// A name with blanks in it.
    #[error("invalid environment variable \"{0}\": the name contains white space")]
    Blank(String),
    /// A byte that cannot be handed to a program.
    #[error("invalid environment variable \"{0}\": it contains a NUL byte")]
    Nul(String),
    /// A line of a file.
    #[error("line {line}: {source}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        source: Box<EnvError>,
    },
}

/// The environment of whoever typed the command.
pub trait Caller {
    /// One variable; `None` when unset or not UTF-8.
    fn var(&self, name: &str) -> Option<String>;
    /// All of them.
    fn vars(&self) -> Vec<(String, String)>;
}

/// Reads one `-e`: `K=V` is itself; `K` is the caller's value, and nothing when the caller has none; `K*` is each of
/// the caller's variables with that prefix.
///
/// # Errors
/// When there is no name.
pub fn variable(text: &str, caller: &dyn Caller, into: &mut Vec<Variable>) -> Result<(), EnvError> {
    if text.contains('\0') {
        return Err(EnvError::Nul(text.replace('\0', "\\0")));
    }
    match text.split_once('=') {
        Some(("", _)) => return Err(EnvError::NoName { what: "environment variable", text: text.to_owned() }),
        Some((name, value)) => into.push((name.to_owned(), Some(value.to_owned()))),
        None if text.is_empty() => {
            return Err(EnvError::NoName { what: "environment variable", text: String::new() });
        }
        None => match text.strip_suffix('*') {
            Some(prefix) => {
                let mut all: Vec<_> = caller.vars().into_iter().filter(|(name, _)| name.starts_with(prefix)).collect();
                all.sort();
                into.extend(all.into_iter().map(|(name, value)| (name, Some(value))));
            }
            None => into.extend(caller.var(text).map(|value| (text.to_owned(), Some(value)))),
        },
    }
    Ok(())
}

/// Reads an env file: one variable per line as [`variable`] has it, blanks before the name dropped, everything after
/// the first `=` literal (quotes too, `export` is no word), `#` lines and empty ones skipped, a byte order mark ignored.
///
/// # Errors
/// With the line.
pub fn file(text: &str, caller: &dyn Caller, into: &mut Vec<Variable>) -> Result<(), EnvError> {
    each_line(text, |line| {
        let name = line.split('=').next().unwrap_or(line);
        if name.contains(char::is_whitespace) {
            return Err(EnvError::Blank(name.to_owned()));
        }
        variable(line, caller, into)
    })
}

/// Reads one `--label`: `K=V`, or `K` with an empty value.
///
/// # Errors
/// When there is no name.
pub fn label(text: &str, into: &mut BTreeMap<String, String>) -> Result<(), EnvError> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() {
        return Err(EnvError::NoName { what: "label", text: text.to_owned() });
    }
    into.insert(name.to_owned(), value.to_owned());
    Ok(())
}

/// Reads a label file: one label per line, as an env file otherwise.
///
/// # Errors
/// With the line.
pub fn label_file(text: &str, into: &mut BTreeMap<String, String>) -> Result<(), EnvError> {
    each_line(text, |line| label(line, into))
}

fn each_line(text: &str, mut take: impl FnMut(&str) -> Result<(), EnvError>) -> Result<(), EnvError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        take(line).map_err(|source| EnvError::Line { line: number + 1, source: Box::new(source) })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Caller for Fixed {
        fn var(&self, name: &str) -> Option<String> {
            self.vars().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
        }

        fn vars(&self) -> Vec<(String, String)> {
            [("LC_B", "2"), ("LC_A", "1"), ("HOME", "/home/u"), ("EMPTY", "")].map(|(n, v)| (n.into(), v.into())).into()
        }
    }

    fn env(text: &str) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        variable(text, &Fixed, &mut found).map_err(|e| e.to_string())?;
        Ok(found.into_iter().map(|(n, v)| format!("{n}={}", v.unwrap_or_default())).collect())
    }

    #[test]
    fn one_variable() {
        assert_eq!(env("A=b=c"), Ok(vec!["A=b=c".into()]));
        assert_eq!(env("A="), Ok(vec!["A=".into()]));
        assert_eq!(env("HOME"), Ok(vec!["HOME=/home/u".into()]));
        assert_eq!(env("EMPTY"), Ok(vec!["EMPTY=".into()]));
        assert_eq!(env("UNSET"), Ok(vec![]));
        assert_eq!(env("LC_*"), Ok(vec!["LC_A=1".into(), "LC_B=2".into()]));
        assert_eq!(env("LC_*=x"), Ok(vec!["LC_*=x".into()]));
        assert!(env("=x").is_err() && env("").is_err() && env("A=\0").is_err());
    }

    #[test]
    fn an_env_file() {
        let mut found = Vec::new();
        let text = "\u{feff}# comment\n\n  A=1 \nHOME\nNOT_SET\nQ=\"kept\"\r\nHASH=a#b\nexp=$HOME\n";
        file(text, &Fixed, &mut found).expect("valid");
        let lines: Vec<_> = found.into_iter().map(|(n, v)| format!("{n}={}", v.unwrap_or_default())).collect();
        assert_eq!(lines, ["A=1 ", "HOME=/home/u", "Q=\"kept\"", "HASH=a#b", "exp=$HOME"]);
        let error = file("A=1\nexport B=2\n", &Fixed, &mut Vec::new()).expect_err("a blank in the name");
        assert!(error.to_string().starts_with("line 2: "), "{error}");
        assert!(file("=1", &Fixed, &mut Vec::new()).is_err());
    }

    #[test]
    fn labels() {
        let mut found = BTreeMap::new();
        label("a=b=c", &mut found).expect("valid");
        label_file("# no\nx\n y=1\n", &mut found).expect("valid");
        let lines: Vec<_> = found.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(lines, ["a=b=c", "x=", "y=1"]);
        assert!(label("=v", &mut found).is_err());
    }
}
