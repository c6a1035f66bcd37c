//! `--filter key=value`: which keys a listing has and how several filters combine.
//!
//! The same key twice means either (labels: both), different keys mean both. What a key means is the caller's: it answers
//! one question per (key, value).

use super::pattern::{Pattern, PatternError};

/// A key that a listing can be filtered by.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name before the `=`.
    pub name: &'static str,
    /// How several values of it combine.
    pub combine: Combine,
    /// What values it takes.
    pub takes: Takes,
}

/// How several values of one key combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// One of them must match.
    Any,
    /// All must match, as for labels.
    All,
}

/// What values a key takes.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// Any text.
    Text,
    /// One of these words.
    Words(&'static [&'static str]),
    /// true or false, also 1 or 0.
    Bool,
    /// A decimal number, possibly negative.
    Number,
    /// A regular expression, see [`Pattern`].
    Pattern,
}

impl Key {
    /// A key of which one value must match.
    pub const fn any(name: &'static str, takes: Takes) -> Self {
        Self { name, combine: Combine::Any, takes }
    }

    /// A key of which all values must match.
    pub const fn all(name: &'static str, takes: Takes) -> Self {
        Self { name, combine: Combine::All, takes }
    }
}

/// A filter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No `=`.
    #[error("invalid filter {0:?}: write it as key=value")]
    Form(String),
    /// No such key here.
    #[error("invalid filter {key:?}: the filters here are {known}")]
    Key {
        /// As typed.
        key: String,
        /// The names there are, for the message.
        known: String,
    },
    /// A value the key does not take.
    #[error("invalid filter \"{key}={value}\": {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value as typed.
        value: String,
        /// What it takes instead.
        wanted: String,
    },
}

/// One filter as given.
#[derive(Debug)]
struct Term {
    value: String,
    negated: bool,
    pattern: Option<Pattern>,
}

/// All filters of one command.
#[derive(Debug, Default)]
pub struct Filters {
    terms: Vec<(Key, Vec<Term>)>,
}

impl Filters {
    /// Reads the arguments of `--filter` against the keys of this listing. `key!=value` negates.
    pub fn parse<S: AsRef<str>>(args: &[S], keys: &[Key]) -> Result<Self, FilterError> {
        let mut filters = Self::default();
        for arg in args {
            let arg = arg.as_ref();
            let (name, value) = arg.split_once('=').ok_or_else(|| FilterError::Form(arg.to_owned()))?;
            filters.add(name, value.trim(), keys)?;
        }
        Ok(filters)
    }

    /// Adds one filter; a `name` ending in `!` negates.
    pub fn add(&mut self, name: &str, value: &str, keys: &[Key]) -> Result<(), FilterError> {
        let name = name.trim().to_lowercase();
        let (name, negated) = name.strip_suffix('!').map_or((name.as_str(), false), |name| (name, true));
        let key = keys.iter().find(|key| key.name == name).copied().ok_or_else(|| {
            let mut known: Vec<&str> = keys.iter().map(|key| key.name).collect();
            known.sort_unstable();
            FilterError::Key { key: name.to_owned(), known: known.join(", ") }
        })?;
        let term = Term { value: normal(&key, value)?, negated, pattern: pattern(&key, value)? };
        match self.terms.iter_mut().find(|(k, _)| k.name == key.name) {
            Some((_, terms)) => terms.push(term),
            None => self.terms.push((key, vec![term])),
        }
        Ok(())
    }

    /// Nothing is filtered.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The values given for a key (not the negated ones).
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_key = self.terms.iter().filter(move |(key, _)| key.name == name).flat_map(|(_, terms)| terms);
        of_key.filter(|term| !term.negated).map(|term| term.value.as_str())
    }

    /// Whether the key was given.
    pub fn has(&self, name: &str) -> bool {
        self.terms.iter().any(|(key, _)| key.name == name)
    }

    /// Whether an object passes; `holds(key, value)` says whether it has the property.
    pub fn matches(&self, mut holds: impl FnMut(&str, Test<'_>) -> bool) -> bool {
        self.terms.iter().all(|(key, terms)| {
            let mut check = |term: &Term| {
                let test = Test { value: &term.value, pattern: term.pattern.as_ref() };
                holds(key.name, test) != term.negated
            };
            // Every negated filter must hold, whatever the others are.
            if !terms.iter().filter(|t| t.negated).all(&mut check) {
                return false;
            }
            let mut positive = terms.iter().filter(|t| !t.negated).peekable();
            match key.combine {
                _ if positive.peek().is_none() => true,
                Combine::Any => positive.any(check),
                Combine::All => positive.all(check),
            }
        })
    }
}

/// The value an object is tested against.
#[derive(Debug, Clone, Copy)]
pub struct Test<'a> {
    /// The value of the filter.
    pub value: &'a str,
    pattern: Option<&'a Pattern>,
}

impl Test<'_> {
    /// The text equals the value.
    pub fn equals(&self, text: &str) -> bool {
        self.value == text
    }

    /// The text starts with the value, as for ids.
    pub fn begins(&self, text: &str) -> bool {
        text.starts_with(self.value)
    }

    /// The text matches the pattern, or contains the value where the key takes no pattern.
    pub fn is_in(&self, text: &str) -> bool {
        self.pattern.map_or_else(|| text.contains(self.value), |pattern| pattern.is_match(text))
    }

    /// A value of a key that takes a bool.
    pub fn is_true(&self) -> bool {
        self.value == "true"
    }

    /// Labels have the value's key, and its value if it names one: `k` or `k=v`.
    pub fn is_label<'l>(&self, mut labels: impl Iterator<Item = (&'l str, &'l str)>) -> bool {
        match self.value.split_once('=') {
            Some((key, value)) => labels.any(|(k, v)| k == key && v == value),
            None => labels.any(|(k, _)| k == self.value),
        }
    }
}

fn bad(key: &Key, value: &str, wanted: impl Into<String>) -> FilterError {
    FilterError::Value { key: key.name, value: value.to_owned(), wanted: wanted.into() }
}

/// The value in its one form.
fn normal(key: &Key, value: &str) -> Result<String, FilterError> {
    match key.takes {
        Takes::Words(words) if !words.contains(&value) => {
            Err(bad(key, value, format!("it takes one of {}", words.join(", "))))
        }
        Takes::Bool => match value {
            "true" | "1" | "t" | "T" | "TRUE" | "True" => Ok("true".to_owned()),
            "false" | "0" | "f" | "F" | "FALSE" | "False" => Ok("false".to_owned()),
            _ => Err(bad(key, value, "it takes true or false")),
        },
        Takes::Number => match value.parse::<i64>() {
            Ok(number) => Ok(number.to_string()),
            Err(_) => Err(bad(key, value, "it takes a number")),
        },
        Takes::Words(_) | Takes::Text | Takes::Pattern => Ok(value.to_owned()),
    }
}

fn pattern(key: &Key, value: &str) -> Result<Option<Pattern>, FilterError> {
    match key.takes {
        Takes::Pattern => Pattern::parse(value).map(Some).map_err(|e: PatternError| bad(key, value, e.to_string())),
        Takes::Text | Takes::Words(_) | Takes::Bool | Takes::Number => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &[Key] = &[
        Key::any("id", Takes::Text),
        Key::any("name", Takes::Pattern),
        Key::all("label", Takes::Text),
        Key::any("status", Takes::Words(&["running", "exited"])),
        Key::any("dangling", Takes::Bool),
        Key::any("exited", Takes::Number),
    ];

    fn passes(filters: &[&str]) -> bool {
        let labels = [("a", "1"), ("b", "two=2"), ("env", "prod")];
        let filters = Filters::parse(filters, KEYS).unwrap();
        filters.matches(|key, test| match key {
            "id" => test.begins("abcdef"),
            "name" => test.is_in("web-1"),
            "label" => test.is_label(labels.into_iter()),
            "status" => test.equals("running"),
            "dangling" => test.is_true(),
            "exited" => test.equals("0"),
            _ => false,
        })
    }

    #[test]
    fn combinations() {
        for (filters, want) in [
            (vec![], true),
            (vec!["id=abc"], true),
            (vec!["id=xyz"], false),
            (vec!["id=xyz", "id=ab"], true),
            (vec!["label=a"], true),
            (vec!["label=a=1", "label=env=prod"], true),
            (vec!["label=a=1", "label=env=test"], false),
            (vec!["label=b=two=2"], true),
            (vec!["label!=c"], true),
            (vec!["label!=a"], false),
            (vec!["label=a", "label!=env=prod"], false),
            (vec!["label=a", "label!=env=test"], true),
            (vec!["label!=c", "label!=a"], false),
            (vec!["status=exited", "status=running"], true),
            (vec!["status=exited", "id=abc"], false),
            (vec!["name=web", "status=running"], true),
            (vec!["name=^web-1$"], true),
            (vec!["name=^eb"], false),
            (vec!["name=db", "name=we."], true),
            (vec!["dangling=1"], true),
            (vec!["dangling=false"], false),
            (vec!["exited=00"], true),
            (vec![" NAME = web "], true),
        ] {
            assert_eq!(passes(&filters), want, "{filters:?}");
        }
    }

    #[test]
    fn mistakes() {
        let error = |filter: &str| Filters::parse(&[filter], KEYS).unwrap_err().to_string();
        assert_eq!(error("running"), "invalid filter \"running\": write it as key=value");
        assert_eq!(
            error("bogus=1"),
            "invalid filter \"bogus\": the filters here are dangling, exited, id, label, name, status"
        );
        assert_eq!(error("status=up"), "invalid filter \"status=up\": it takes one of running, exited");
        assert!(error("dangling=maybe").ends_with("it takes true or false"));
        assert!(error("exited=x").ends_with("it takes a number"));
        assert!(error("name=(").contains("invalid filter \"name=(\""));
    }

    #[test]
    fn values_are_kept() {
        let filters = Filters::parse(&["label=a", "label!=b", "id=1"], KEYS).unwrap();
        assert_eq!(filters.values("label").collect::<Vec<_>>(), ["a"]);
        assert!(filters.has("id") && !filters.has("name") && !filters.is_empty());
    }
}
