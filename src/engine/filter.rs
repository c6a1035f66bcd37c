//! `--filter key=value` of the listing and pruning verbs: reading, grouping and the kinds of value that several have.
//!
//! Values of one key are alternatives, except for labels, which must all fit; different keys must all fit.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::Error;

/// The filters of one command, by key.
#[derive(Debug, Clone, Default)]
pub(super) struct Filters {
    by_key: BTreeMap<String, Vec<String>>,
}

impl Filters {
    /// Reads `key=value` texts; a key outside `known` is an error.
    pub(super) fn parse<T: AsRef<str>>(texts: &[T], known: &[&str]) -> Result<Self, Error> {
        let mut by_key: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for text in texts {
            let text = text.as_ref();
            let Some((key, value)) = text.split_once('=') else {
                return Err(Error::Usage(format!("invalid filter \"{text}\": a filter is key=value")));
            };
            let key = key.trim().to_ascii_lowercase();
            if !known.contains(&key.as_str()) {
                let names = known.iter().filter(|name| !name.ends_with('!')).copied().collect::<Vec<_>>().join(", ");
                return Err(Error::Usage(format!("\"{key}\" is an invalid filter: use one of {names}")));
            }
            by_key.entry(key).or_default().push(value.trim().to_owned());
        }
        Ok(Self { by_key })
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The values of a key, none if it was not given.
    pub(super) fn values(&self, key: &str) -> &[String] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether a key was given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// Whether any value of `key` fits, or the key was not given.
    pub(super) fn any(&self, key: &str, fits: impl FnMut(&String) -> bool) -> bool {
        self.by_key.get(key).is_none_or(|values| values.iter().any(fits))
    }

    /// The filters `label` and `label!`.
    pub(super) fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        self.values("label").iter().all(|wanted| has_label(labels, wanted))
            && self.values("label!").iter().all(|unwanted| !has_label(labels, unwanted))
    }
}

fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((key, value)) => labels.get(key).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}

/// A pattern for names: a regular expression, as docker has it; plain texts need no compiling.
#[derive(Debug)]
pub(super) enum Pattern {
    /// Occurs somewhere.
    Plain(String),
    /// Matches somewhere.
    Regex(Regex),
}

impl Pattern {
    /// Reads a filter's value.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/')) {
            return Ok(Self::Plain(text.to_owned()));
        }
        Regex::new(text)
            .map(Self::Regex)
            .map_err(|error| Error::Usage(format!("invalid filter value \"{text}\": {error}")))
    }

    /// Whether `name` fits; docker's names begin with a slash, so a pattern may too.
    pub(super) fn fits(&self, name: &str) -> bool {
        match self {
            Self::Plain(text) => name.contains(text.strip_prefix('/').unwrap_or(text)) || format!("/{name}").contains(text),
            Self::Regex(regex) => regex.is_match(name) || regex.is_match(&format!("/{name}")),
        }
    }
}

/// The patterns of a key.
pub(super) fn patterns(filters: &Filters, key: &str) -> Result<Vec<Pattern>, Error> {
    filters.values(key).iter().map(|text| Pattern::parse(text)).collect()
}

/// A value of true or false, as Go reads it.
pub(super) fn boolean(key: &str, text: &str) -> Result<bool, Error> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Error::Usage(format!("invalid filter {key}={text}: use true or false"))),
    }
}

/// The time of `until=…`: the youngest of several.
pub(super) fn until(filters: &Filters) -> Result<Option<i64>, Error> {
    let mut least = None;
    for text in filters.values("until") {
        let zone = jiff::tz::TimeZone::system();
        let time = crate::format::time::parse_reference(text, crate::format::time::now(), &zone)
            .map_err(|error| Error::Usage(format!("invalid filter until={text}: {error}")))?;
        least = Some(least.map_or(time, |least: i64| least.min(time)));
    }
    Ok(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_checked_and_labels_must_all_fit() {
        let known = ["label", "label!", "name"];
        assert!(Filters::parse(&["bogus=1"], &known).unwrap_err().to_string().contains("is an invalid filter"));
        assert!(Filters::parse(&["name"], &known).is_err());
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        let fits = |texts: &[&str]| Filters::parse(texts, &known).unwrap().labels(&labels);
        assert!(fits(&["label=a"]) && fits(&["label=a=1", "label=b"]) && fits(&[]));
        assert!(!fits(&["label=a=2"]) && !fits(&["label=a", "label=c"]) && !fits(&["label!=a"]) && fits(&["label!=c"]));
    }

    #[test]
    fn names_match_as_text_or_regular_expression() {
        let fits = |pattern: &str, name: &str| Pattern::parse(pattern).unwrap().fits(name);
        assert!(fits("we", "web") && fits("/web", "web") && fits("^web$", "web") && fits("^/web", "web"));
        assert!(!fits("^we$", "web") && fits("w.b|x", "web") && !fits("bew", "web"));
        assert!(Pattern::parse("(").is_err());
    }
}
