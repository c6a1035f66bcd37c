//! Words of an instruction: its name, `--flags`, JSON lists, lists between blanks, `KEY=VALUE` lists.

use super::ast::Pair;
use super::error::{Fault, did_you_mean};
use super::expand::Word;

/// Blanks between words; no line end is left in an instruction.
pub(super) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{b}' | '\u{c}' | '\r')
}

/// The first word and the rest.
pub(super) fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    match text.find(is_blank) {
        Some(end) => (&text[..end], text[end..].trim()),
        None => (text, ""),
    }
}

/// Words between blanks. Quotes mean nothing here.
pub(super) fn between_blanks(text: &str) -> Vec<&str> {
    text.split(is_blank).filter(|word| !word.is_empty()).collect()
}

/// Whether the instruction in a line can have heredocs.
pub(super) fn may_hold_heredocs(line: &str) -> bool {
    let (name, rest) = first_word(line);
    match name.to_ascii_lowercase().as_str() {
        "run" | "copy" | "add" => {
            let (_, arguments) = flags(rest);
            json_list(arguments).is_err()
        }
        "onbuild" => !first_word(rest).0.eq_ignore_ascii_case("onbuild") && may_hold_heredocs(rest),
        _ => false,
    }
}

/// Why something is no JSON list of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotJson {
    /// Not JSON, or no list.
    No,
    /// A list, with something else than strings in it.
    NotStrings,
}

/// A JSON list of strings.
pub(super) fn json_list(text: &str) -> Result<Vec<String>, NotJson> {
    if !text.trim_start().starts_with('[') {
        return Err(NotJson::No);
    }
    let values: Vec<serde_json::Value> = serde_json::from_str(text).map_err(|_| NotJson::No)?;
    let text = |value| match value {
        serde_json::Value::String(text) => Ok(text),
        _ => Err(NotJson::NotStrings),
    };
    values.into_iter().map(text).collect()
}

/// What is said about [`NotJson::NotStrings`].
pub(super) fn only_strings() -> Fault {
    Fault::new("when using JSON array syntax, arrays must be comprised of strings only")
}

/// Takes the leading words that begin with `--` off. Quotes group and go, `\` escapes.
pub(super) fn flags(text: &str) -> (Vec<String>, &str) {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while rest.starts_with("--") {
        let (word, after) = flag_word(rest);
        rest = after.trim_start();
        if word == "--" {
            break;
        }
        found.push(word);
    }
    (found, rest)
}

fn flag_word(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (_, '\\') => word.extend(chars.next().map(|(_, c)| c)),
            (None, c) if c.is_whitespace() => return (word, &text[at..]),
            (_, c) => word.push(c),
        }
    }
    (word, "")
}

/// The flags an instruction was given, taken out one by one by those who know them.
#[derive(Debug)]
pub(super) struct Flags {
    given: Vec<(String, Option<String>)>,
    known: Vec<&'static str>,
}

impl Flags {
    pub(super) fn new(words: Vec<String>) -> Self {
        let split = |word: String| {
            let word = word.trim_start_matches("--");
            match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.to_owned(), None),
            }
        };
        Self { given: words.into_iter().map(split).collect(), known: Vec::new() }
    }

    /// All values of a flag that may come several times.
    pub(super) fn all(&mut self, name: &'static str) -> Result<Vec<String>, Fault> {
        self.known.push(name);
        let (mine, others) = std::mem::take(&mut self.given).into_iter().partition(|(given, _)| given == name);
        self.given = others;
        let value = |(_, value): (String, Option<String>)| {
            value.ok_or_else(|| Fault::new(format!("missing a value on flag: {name}")).hint(format!("write --{name}=VALUE")))
        };
        Vec::into_iter(mine).map(value).collect()
    }

    /// The value of a flag that may come once.
    pub(super) fn one(&mut self, name: &'static str) -> Result<Option<String>, Fault> {
        let mut values = self.all(name)?;
        if values.len() > 1 {
            return Err(Fault::new(format!("duplicate flag specified: {name}")));
        }
        Ok(values.pop())
    }

    /// A flag without value, or with `true` or `false`.
    pub(super) fn switch(&mut self, name: &'static str) -> Result<Option<bool>, Fault> {
        for (given, value) in &mut self.given {
            if given == name && value.is_none() {
                *value = Some("true".to_owned());
            }
        }
        match self.one(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(Fault::new(format!("expecting boolean value for flag {name}, not: {other}"))),
        }
    }

    /// All that is left is unknown.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let Some((name, _)) = self.given.first() else { return Ok(()) };
        let mut fault = Fault::new(format!("unknown flag: --{name}"));
        fault.hint = did_you_mean(name, self.known.iter().copied()).map(|hint| hint.replace("mean ", "mean --"));
        if fault.hint.is_none() {
            fault.hint = Some(match self.known.as_slice() {
                [] => "this instruction takes no flags".to_owned(),
                known => format!("the flags here are --{}", known.join(", --")),
            });
        }
        Err(fault)
    }
}

/// Words between blanks where quotes and escapes group, and stay.
pub(super) fn quoted(text: &str, escape: char) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match quote {
            None if c.is_whitespace() => {
                words.extend(word.take());
                continue;
            }
            None if matches!(c, '\'' | '"') => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        if c == escape && quote != Some('\'') {
            // One at the end of the line escapes nothing.
            let Some(next) = chars.next() else { break };
            let word = word.get_or_insert_default();
            word.push(c);
            word.push(next);
        } else {
            word.get_or_insert_default().push(c);
        }
    }
    words.extend(word);
    words
}

/// `KEY=VALUE …`, or `KEY VALUE` in the old form.
pub(super) fn pairs(text: &str, escape: char, instruction: &str) -> Result<Vec<Pair<Word>>, Fault> {
    let words = quoted(text, escape);
    let Some(first) = words.first() else {
        return Err(Fault::new(format!("{instruction} requires at least one argument")));
    };
    if !first.contains('=') {
        let (key, value) = first_word(text);
        if value.is_empty() {
            return Err(Fault::new(format!("{instruction} must have two arguments")).hint(format!("write {instruction} {key}=VALUE")));
        }
        return Ok(vec![Pair { key: Word::new(key), value: Word::new(value), legacy: true }]);
    }
    let pair = |word: &String| match word.split_once('=') {
        None => Err(Fault::new(format!("syntax error: can't find = in \"{word}\". Must be of the form: name=value"))
            .hint("put values with blanks in quotes: NAME=\"two words\"")),
        Some(("", _)) => Err(Fault::new(format!("{instruction} names can not be blank"))),
        Some((key, value)) => Ok(Pair { key: Word::new(key), value: Word::new(value), legacy: false }),
    };
    words.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_flags() {
        let got = |text| {
            let (flags, rest) = flags(text);
            (flags.join("|"), rest.to_owned())
        };
        assert_eq!(got("--a=1 --b=\"x y\" c --d"), ("--a=1|--b=x y".into(), "c --d".into()));
        assert_eq!(got("--a -- --b"), ("--a".into(), "--b".into()));
        assert_eq!(got("-x y"), (String::new(), "-x y".into()));
        assert_eq!(got("--a\\ b"), ("--a b".into(), String::new()));
    }

    #[test]
    fn words_in_quotes() {
        assert_eq!(quoted("a=\"b c\" d='e f' g\\ h \"\"", '\\'), ["a=\"b c\"", "d='e f'", "g\\ h", "\"\""]);
        assert_eq!(quoted("a\\", '\\'), ["a"]);
        assert_eq!(quoted("'a\\' b", '\\'), ["'a\\'", "b"]);
    }

    #[test]
    fn lists() {
        assert_eq!(json_list(" [\"a\", \"b\"] "), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(json_list("[]"), Ok(vec![]));
        assert_eq!(json_list("[1]"), Err(NotJson::NotStrings));
        for text in ["['a']", "[\"a\",]", "[\"a\"] x", "a", "[ -d x ]"] {
            assert_eq!(json_list(text), Err(NotJson::No), "{text}");
        }
    }
}
