//! What can be wrong with a Dockerfile: always with file, line, the line itself and, where one is known, a hint.

use std::fmt;

use super::ast::Span;

/// A mistake in a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// The file, as the user named it.
    pub file: String,
    /// Where.
    pub span: Span,
    /// The first lines there.
    pub excerpt: Vec<String>,
    /// What.
    pub fault: Fault,
}

/// What is wrong, and what may help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// In words.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Fault {
    /// Without a hint.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// With one.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// As many lines of an instruction as a message quotes.
const QUOTED: usize = 5;

impl ParseError {
    /// `text` is the whole file.
    pub(crate) fn new(file: &str, text: &str, span: Span, fault: Fault) -> Self {
        let first = usize::try_from(span.first).unwrap_or(1).max(1);
        let count = usize::try_from(span.last).unwrap_or(1).saturating_sub(first) + 1;
        let excerpt = text.split('\n').skip(first - 1).take(count.min(QUOTED)).map(|line| line.trim_end_matches('\r').to_owned()).collect();
        Self { file: file.to_owned(), span, excerpt, fault }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.span.first, self.fault.message)?;
        for (line, text) in (self.span.first..).zip(&self.excerpt) {
            write!(f, "\n{line:5} | {text}")?;
        }
        if let Some(hint) = &self.fault.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ParseError {}

/// The candidate that was probably meant: within a third of the word's length, at least one change, at most three.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    let distance = |candidate: &&str| edit_distance(&word, &candidate.to_lowercase());
    candidates.into_iter().map(|candidate| (distance(&candidate), candidate)).filter(|(d, _)| *d <= allowed).min().map(|(_, c)| c)
}

/// `did you mean X?`, if anything is near.
pub(crate) fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(word, candidates).map(|candidate| format!("did you mean {candidate}?"))
}

/// Insertions, removals, replacements and swaps of neighbours. Long words are not worth the time.
fn edit_distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words() {
        let words = ["RUN", "COPY", "ENTRYPOINT", "ENV"];
        assert_eq!(nearest("RUM", words), Some("RUN"));
        assert_eq!(nearest("COYP", words), Some("COPY"));
        assert_eq!(nearest("ENTRPOIN", words), Some("ENTRYPOINT"));
        assert_eq!(nearest("FOOBAR", words), None);
    }

    #[test]
    fn an_error_shows_its_lines() {
        let error = ParseError::new("Dockerfile", "FROM x\nRUM \\\n y\n", Span { first: 2, last: 3 }, Fault::new("no").hint("try"));
        assert_eq!(error.to_string(), "Dockerfile:2: no\n    2 | RUM \\\n    3 |  y\nhint: try");
    }
}
