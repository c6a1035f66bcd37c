//! Variables in words: `$NAME`, `${NAME}` and its modifiers, quotes and escapes, as BuildKit reads them.
//!
//! One pass over the characters, with bounds on nesting and on the length of what comes out: a Dockerfile can double a
//! value on every line.

use std::collections::{BTreeMap, BTreeSet};

use super::pattern::Pattern;

/// Nested `${…:-${…}}`.
const MAX_NESTING: usize = 64;
/// Length of an expanded word in bytes.
const MAX_LENGTH: usize = 1 << 20;

/// Text of a Dockerfile in which variables have not been expanded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Word(String);

/// Values of variables.
pub trait Env {
    /// The value, if the variable is set.
    fn get(&self, name: &str) -> Option<&str>;
}

impl Env for BTreeMap<String, String> {
    fn get(&self, name: &str) -> Option<&str> {
        BTreeMap::get(self, name).map(String::as_str)
    }
}

/// No variable is set.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEnv;

impl Env for NoEnv {
    fn get(&self, _: &str) -> Option<&str> {
        None
    }
}

/// What a word became.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expansion {
    /// The text.
    pub text: String,
    /// The text split at blanks that are not quoted.
    pub words: Vec<String>,
    /// Names that were looked up and not set, without those the word itself has a default for.
    pub unset: BTreeSet<String>,
    /// Names that were looked up and set.
    pub used: BTreeSet<String>,
}

impl ExpandError {
    /// It is wrong whatever the variables hold.
    pub fn is_syntax(&self) -> bool {
        match self {
            Self::SingleQuote | Self::DoubleQuote | Self::MissingBrace | Self::MissingSlash | Self::BadSubstitution | Self::Modifier(_) => true,
            Self::Required { .. } | Self::Pattern { .. } | Self::Nesting | Self::Length => false,
        }
    }
}

/// Why a word cannot be expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpandError {
    /// `'` without its partner.
    #[error("unexpected end of statement while looking for matching single-quote")]
    SingleQuote,
    /// `"` without its partner.
    #[error("unexpected end of statement while looking for matching double-quote")]
    DoubleQuote,
    /// `${` without `}`.
    #[error("syntax error: missing '}}'")]
    MissingBrace,
    /// `${X/…` without the second `/`.
    #[error("syntax error: missing '/' in ${{}}")]
    MissingSlash,
    /// `${}` and its like.
    #[error("syntax error: bad substitution")]
    BadSubstitution,
    /// Something else after the name.
    #[error("unsupported modifier ({0}) in substitution")]
    Modifier(String),
    /// `${X:?message}`.
    #[error("{name}: {message}")]
    Required {
        /// The variable.
        name: String,
        /// What the Dockerfile says about it.
        message: String,
    },
    /// A pattern of `#`, `%` or `/`.
    #[error("invalid pattern ({pattern}) in substitution: {reason}")]
    Pattern {
        /// As written.
        pattern: String,
        /// What is wrong.
        reason: String,
    },
    /// Too many levels.
    #[error("variables are nested more than {MAX_NESTING} levels deep")]
    Nesting,
    /// Too much text.
    #[error("the expanded text is longer than {} KiB", MAX_LENGTH / 1024)]
    Length,
}

/// How quotes and escapes are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// The escape character.
    pub(super) escape: char,
    /// Quotes group but stay in the text.
    pub(super) keep_quotes: bool,
    /// Escapes stay in the text.
    pub(super) keep_escapes: bool,
    /// Quotes are characters like others.
    pub(super) ignore_quotes: bool,
    /// Unset variables stay as written.
    pub(super) keep_unset: bool,
}

impl Rules {
    pub(super) fn new(escape: char) -> Self {
        Self { escape, keep_quotes: false, keep_escapes: false, ignore_quotes: false, keep_unset: false }
    }
}

impl Word {
    /// Text as it stands in the Dockerfile.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As written.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// Whether there is anything to expand.
    pub fn has_variables(&self) -> bool {
        self.0.contains('$')
    }

    /// Expands variables and takes quotes and escapes away.
    ///
    /// # Errors
    /// Syntax, `${X:?}` of a variable without value, and text without bound.
    pub fn expand(&self, escape: char, env: &dyn Env) -> Result<Expansion, ExpandError> {
        expand(&self.0, Rules::new(escape), env)
    }
}

/// Expands `text` under `rules`.
pub(super) fn expand(text: &str, rules: Rules, env: &dyn Env) -> Result<Expansion, ExpandError> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0, rules, env, depth: 0, unset: BTreeSet::new(), used: BTreeSet::new() };
    let (text, words) = lexer.until(None, rules.keep_escapes)?;
    Ok(Expansion { text, words, unset: lexer.unset, used: lexer.used })
}

struct Lexer<'a> {
    chars: Vec<char>,
    at: usize,
    rules: Rules,
    env: &'a dyn Env,
    depth: usize,
    unset: BTreeSet<String>,
    used: BTreeSet<String>,
}

/// Words as they are collected.
#[derive(Default)]
struct Words {
    done: Vec<String>,
    open: String,
}

impl Words {
    /// A character outside quotes: blanks end words.
    fn push(&mut self, c: char) {
        if !c.is_whitespace() {
            self.open.push(c);
        } else if !self.open.is_empty() {
            self.done.push(std::mem::take(&mut self.open));
        }
    }

    fn finish(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.done.push(self.open);
        }
        self.done
    }
}

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    /// Reads up to `stop`, which is consumed, or the end of the text.
    fn until(&mut self, stop: Option<char>, keep_escapes: bool) -> Result<(String, Vec<String>), ExpandError> {
        let before = std::mem::replace(&mut self.rules.keep_escapes, keep_escapes);
        self.depth += 1;
        let read = if self.depth > MAX_NESTING { Err(ExpandError::Nesting) } else { self.read(stop) };
        self.depth -= 1;
        self.rules.keep_escapes = before;
        read
    }

    fn read(&mut self, stop: Option<char>) -> Result<(String, Vec<String>), ExpandError> {
        let mut text = String::new();
        let mut words = Words::default();
        while let Some(c) = self.peek() {
            if text.len() > MAX_LENGTH {
                return Err(ExpandError::Length);
            }
            if Some(c) == stop {
                self.at += 1;
                return Ok((text, words.finish()));
            }
            match c {
                '\'' | '"' if !self.rules.ignore_quotes => {
                    let quoted = if c == '"' { self.double_quoted()? } else { self.single_quoted()? };
                    text.push_str(&quoted);
                    words.open.push_str(&quoted);
                }
                '$' => {
                    let value = self.dollar()?;
                    text.push_str(&value);
                    value.chars().for_each(|c| words.push(c));
                }
                c if c == self.rules.escape => {
                    self.at += 1;
                    if self.rules.keep_escapes {
                        text.push(c);
                        words.open.push(c);
                    }
                    if let Some(escaped) = self.next() {
                        text.push(escaped);
                        words.open.push(escaped);
                    }
                }
                c => {
                    self.at += 1;
                    text.push(c);
                    words.push(c);
                }
            }
        }
        match stop {
            None if text.len() > MAX_LENGTH => Err(ExpandError::Length),
            None => Ok((text, words.finish())),
            Some('/') => Err(ExpandError::MissingSlash),
            Some(_) => Err(ExpandError::MissingBrace),
        }
    }

    fn single_quoted(&mut self) -> Result<String, ExpandError> {
        let mut text = String::new();
        let quote = self.next();
        text.extend(quote.filter(|_| self.rules.keep_quotes));
        loop {
            match self.next() {
                None => return Err(ExpandError::SingleQuote),
                Some('\'') => {
                    text.extend(quote.filter(|_| self.rules.keep_quotes));
                    return Ok(text);
                }
                Some(c) => text.push(c),
            }
        }
    }

    /// In double quotes variables count, and the escape character escapes itself, `"` and `$` alone.
    fn double_quoted(&mut self) -> Result<String, ExpandError> {
        let mut text = String::new();
        let quote = self.next();
        text.extend(quote.filter(|_| self.rules.keep_quotes));
        loop {
            if text.len() > MAX_LENGTH {
                return Err(ExpandError::Length);
            }
            match self.peek() {
                None => return Err(ExpandError::DoubleQuote),
                Some('"') => {
                    self.at += 1;
                    text.extend(quote.filter(|_| self.rules.keep_quotes));
                    return Ok(text);
                }
                Some('$') => text.push_str(&self.dollar()?),
                Some(c) if c == self.rules.escape => {
                    self.at += 1;
                    if self.rules.keep_escapes {
                        text.push(c);
                    }
                    match self.peek() {
                        None => {}
                        Some(escaped) if matches!(escaped, '"' | '$') || escaped == self.rules.escape => {
                            self.at += 1;
                            text.push(escaped);
                        }
                        Some(_) if self.rules.keep_escapes => {}
                        Some(_) => text.push(c),
                    }
                }
                Some(c) => {
                    self.at += 1;
                    text.push(c);
                }
            }
        }
    }

    fn lookup(&self, name: &str) -> Option<String> {
        self.env.get(name).map(str::to_owned)
    }

    /// Remembers whether `name` had a value.
    fn note(&mut self, name: &str, set: bool) {
        if set {
            self.used.insert(name.to_owned());
        } else {
            self.unset.insert(name.to_owned());
        }
    }

    fn dollar(&mut self) -> Result<String, ExpandError> {
        self.at += 1;
        if self.peek() != Some('{') {
            let name = self.name();
            if name.is_empty() {
                return Ok("$".to_owned());
            }
            let value = self.lookup(&name);
            self.note(&name, value.is_some());
            return Ok(match value {
                None if self.rules.keep_unset => format!("${name}"),
                value => value.unwrap_or_default(),
            });
        }
        self.at += 1;
        match self.peek() {
            None => return Err(ExpandError::MissingBrace),
            Some('{' | '}' | ':') => return Err(ExpandError::BadSubstitution),
            Some(_) => {}
        }
        let name = self.name();
        let value = self.lookup(&name);
        let modifier = match self.next() {
            None => return Err(ExpandError::MissingBrace),
            Some('}') => {
                self.note(&name, value.is_some());
                return Ok(match value {
                    None if self.rules.keep_unset => format!("${{{name}}}"),
                    value => value.unwrap_or_default(),
                });
            }
            Some('/') => return self.replace(&name, value),
            Some(':') => match self.next() {
                None => return Err(ExpandError::MissingBrace),
                Some(c) => format!(":{c}"),
            },
            Some(c) => c.to_string(),
        };
        self.modified(&name, value, &modifier)
    }

    /// `${NAME-word}` and its like, from after the modifier.
    fn modified(&mut self, name: &str, value: Option<String>, modifier: &str) -> Result<String, ExpandError> {
        let null_is_unset = modifier.starts_with(':');
        let operator = modifier.trim_start_matches(':');
        if !matches!(operator, "-" | "+" | "?" | "#" | "%") || (null_is_unset && matches!(operator, "#" | "%")) {
            return Err(ExpandError::Modifier(modifier.to_owned()));
        }
        let (word, _) = self.until(Some('}'), matches!(operator, "#" | "%"))?;
        // A word that says what to do without a value is not missing it.
        self.note(name, value.is_some() || matches!(operator, "-" | "+" | "?"));
        if value.is_none() && self.rules.keep_unset {
            return Ok(format!("${{{name}{modifier}{word}}}"));
        }
        let usable = value.as_ref().is_some_and(|value| !(null_is_unset && value.is_empty()));
        match operator {
            "-" => Ok(if usable { value.unwrap_or_default() } else { word }),
            "+" => Ok(if usable { word } else { String::new() }),
            "?" if usable => Ok(value.unwrap_or_default()),
            "?" => {
                let default = if value.is_none() { "is not allowed to be unset" } else { "is not allowed to be empty" };
                let message = if word.is_empty() { default.to_owned() } else { word };
                Err(ExpandError::Required { name: name.to_owned(), message })
            }
            _ => {
                let (greedy, word) = match word.strip_prefix(operator) {
                    Some(rest) => (true, rest.to_owned()),
                    None => (false, word),
                };
                let pattern = Pattern::parse(&word).map_err(|reason| ExpandError::Pattern { pattern: word.clone(), reason })?;
                let value = value.unwrap_or_default();
                Ok(if operator == "#" { pattern.trim_start(&value, greedy) } else { pattern.trim_end(&value, greedy) })
            }
        }
    }

    /// `${NAME/pattern/replacement}`, from after the first slash.
    fn replace(&mut self, name: &str, value: Option<String>) -> Result<String, ExpandError> {
        let all = self.peek() == Some('/');
        if all {
            self.at += 1;
        }
        let (pattern, _) = self.until(Some('/'), true)?;
        let (replacement, _) = self.until(Some('}'), true)?;
        self.note(name, value.is_some());
        let Some(value) = value else {
            return Ok(if self.rules.keep_unset { format!("${{{name}/{pattern}/{replacement}}}") } else { String::new() });
        };
        let parsed = Pattern::parse(&pattern).map_err(|reason| ExpandError::Pattern { pattern, reason })?;
        let replaced = parsed.replace(&value, &replacement, all);
        if replaced.len() > MAX_LENGTH { Err(ExpandError::Length) } else { Ok(replaced) }
    }

    /// Letters, digits and `_`; a number; or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let from = self.at;
        match self.peek() {
            Some(c) if c.is_numeric() => {
                while self.peek().is_some_and(char::is_numeric) {
                    self.at += 1;
                }
            }
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => self.at += 1,
            _ => {
                while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    self.at += 1;
                }
            }
        }
        self.chars[from..self.at].iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> BTreeMap<String, String> {
        let pairs = [("A", "alpha"), ("E", ""), ("P", "/usr/local/bin"), ("F", "foo.tar.gz"), ("S", "two words"), ("VÄR", "x")];
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn ok(text: &str) -> String {
        Word::new(text).expand('\\', &env()).unwrap_or_else(|e| panic!("{text}: {e}")).text
    }

    #[test]
    fn values_and_modifiers() {
        for (text, want) in [
            ("hello", "hello"),
            ("$A", "alpha"),
            ("${A}b", "alphab"),
            ("$A.b", "alpha.b"),
            ("$Ab", ""),
            ("x$", "x$"),
            ("$ x", "$ x"),
            ("${U:-d}", "d"),
            ("${E:-d}", "d"),
            ("${E-d}", ""),
            ("${U-d}", "d"),
            ("${A:-d}", "alpha"),
            ("${A:+y}", "y"),
            ("${E:+y}", ""),
            ("${E+y}", "y"),
            ("${U+y}", ""),
            ("${A:?no}", "alpha"),
            ("${E?no}", ""),
            ("${U:-${A}}", "alpha"),
            ("${U:-${V:-$A}}x", "alphax"),
            ("${P#/*/}", "local/bin"),
            ("${P##*/}", "bin"),
            ("${P%/*}", "/usr/local"),
            ("${P%%/*}", ""),
            ("${F%.*}", "foo.tar"),
            ("${F%%.*}", "foo"),
            ("${F/o/0}", "f0o.tar.gz"),
            ("${F//o/0}", "f00.tar.gz"),
            ("${P//\\//_}", "_usr_local_bin"),
            ("${A/l*a/X}", "aX"),
            ("${A/?/X}", "Xlpha"),
            ("${U/x/y}", ""),
            ("\\$A", "$A"),
            ("'$A'", "$A"),
            ("\"$A\"", "alpha"),
            ("\"\\$A \\x \\\"\"", "$A \\x \""),
            ("a\\ b", "a b"),
            ("$VÄR", "x"),
            ("$1x", "x"),
            ("a'b c'd", "ab cd"),
            ("end\\", "end"),
        ] {
            assert_eq!(ok(text), want, "{text}");
        }
    }

    #[test]
    fn the_other_escape() {
        let word = Word::new("c:\\$A `$A \"`\"\"");
        assert_eq!(word.expand('`', &env()).map(|e| e.text), Ok("c:\\alpha $A \"".to_owned()));
    }

    #[test]
    fn mistakes() {
        for (text, want) in [
            ("${A", "missing '}'"),
            ("${", "missing '}'"),
            ("${}", "bad substitution"),
            ("${:x}", "bad substitution"),
            ("${{A}}", "bad substitution"),
            ("${A:x}", "unsupported modifier (:x)"),
            ("${A!x}", "unsupported modifier (!)"),
            ("${A:-x", "missing '}'"),
            ("${A/x", "missing '/'"),
            ("${A/x/y", "missing '}'"),
            ("${U?}", "U: is not allowed to be unset"),
            ("${E:?}", "E: is not allowed to be empty"),
            ("${U:?please set U}", "U: please set U"),
            ("'a", "single-quote"),
            ("\"a", "double-quote"),
            ("${A#\\x}", "invalid pattern"),
        ] {
            let error = Word::new(text).expand('\\', &env()).expect_err(text).to_string();
            assert!(error.contains(want), "{text}: {error}");
        }
    }

    #[test]
    fn bounds() {
        let deep = format!("{}x{}", "${U:-".repeat(500), "}".repeat(500));
        assert_eq!(Word::new(deep).expand('\\', &NoEnv), Err(ExpandError::Nesting));
        let big: BTreeMap<_, _> = [("B".to_owned(), "x".repeat(600_000))].into();
        assert_eq!(Word::new("$B$B").expand('\\', &big), Err(ExpandError::Length));
        assert_eq!(Word::new("\"$B$B\"").expand('\\', &big), Err(ExpandError::Length));
    }

    #[test]
    fn words_and_what_was_missing() {
        let got = Word::new("$S \"$S\" $U ${V:-d} a\\ b").expand('\\', &env()).unwrap();
        assert_eq!(got.words, ["two", "words", "two words", "d", "a b"]);
        assert_eq!(got.unset.into_iter().collect::<Vec<_>>(), ["U"]);
        assert_eq!(got.used.into_iter().collect::<Vec<_>>(), ["S", "V"]);
    }
}
