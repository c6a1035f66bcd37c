//! Patterns of paths: Go's filepath.Match for sources, and docker's larger language with `**` for ignore files and
//! `--parents`. All states are walked at once, so no pattern can make matching slow.

/// One step of a compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Op {
    /// This character.
    Char(char),
    /// One that is no slash.
    Any,
    /// Any number that are no slashes.
    Star,
    /// Any number.
    All,
    /// Nothing, or anything that ends in a slash: goes on at the next but one, or tries the next.
    Directories,
    /// Anything up to a slash; comes after [`Op::Directories`].
    Until,
    /// One of these ranges, or none of them.
    Class { ranges: Vec<(char, char)>, negated: bool },
}

/// Words of the bit set of states.
const WORDS: usize = 8;
/// Steps of a pattern.
const MAX_OPS: usize = WORDS * 64 - 1;

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    ops: Vec<Op>,
    /// The pattern has no wildcards: this is the path.
    literal: Option<String>,
    /// What every match begins with.
    prefix: String,
}

/// Why a pattern cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// `[` without `]`, an empty range, `\` at the end.
    #[error("syntax error in pattern")]
    Syntax,
    /// Longer than anybody writes.
    #[error("the pattern is too long")]
    Long,
}

/// Where a match stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct States([u64; WORDS]);

impl States {
    fn add(&mut self, ops: &[Op], state: usize) {
        self.0[state / 64] |= 1 << (state % 64);
        match ops.get(state) {
            Some(Op::Star | Op::All) => self.add(ops, state + 1),
            Some(Op::Directories) => {
                self.0[(state + 1) / 64] |= 1 << ((state + 1) % 64);
                self.add(ops, state + 2);
            }
            _ => {}
        }
    }

    fn has(&self, state: usize) -> bool {
        self.0[state / 64] & (1 << (state % 64)) != 0
    }

    fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }
}

impl Glob {
    /// Reads a pattern; `**` crosses directories when `deep`.
    pub fn new(pattern: &str, deep: bool) -> Result<Self, GlobError> {
        let mut ops = Vec::new();
        let mut plain = true;
        let mut chars = pattern.chars().peekable();
        let mut first = true;
        while let Some(c) = chars.next() {
            match c {
                '*' if deep && chars.peek() == Some(&'*') => {
                    chars.next();
                    plain = false;
                    let slash = chars.next_if_eq(&'/').is_some();
                    let rest: String = chars.clone().collect();
                    if rest.is_empty() || (first && !slash && !rest.contains(['*', '?', '[', '\\'])) {
                        ops.push(Op::All);
                    } else {
                        ops.extend([Op::Directories, Op::Until]);
                    }
                }
                '*' => {
                    plain = false;
                    if ops.last() != Some(&Op::Star) {
                        ops.push(Op::Star);
                    }
                }
                '?' => {
                    plain = false;
                    ops.push(Op::Any);
                }
                '[' => {
                    plain = false;
                    ops.push(class(&mut chars)?);
                }
                '\\' => ops.push(Op::Char(chars.next().ok_or(GlobError::Syntax)?)),
                c => ops.push(Op::Char(c)),
            }
            first = false;
        }
        if ops.len() > MAX_OPS {
            return Err(GlobError::Long);
        }
        let text = |op: &Op| if let Op::Char(c) = op { Some(*c) } else { None };
        let prefix: String = ops.iter().map_while(text).collect();
        let literal = plain.then(|| prefix.clone());
        Ok(Self { ops, literal, prefix })
    }

    /// Whether the pattern matches all of `path`.
    pub fn matches(&self, path: &str) -> bool {
        if let Some(literal) = &self.literal {
            return literal == path;
        }
        path.starts_with(&self.prefix) && self.run(path.chars()).is_some_and(|states| states.has(self.ops.len()))
    }

    /// Whether the pattern can match something below the directory `path`.
    pub fn may_match_below(&self, path: &str) -> bool {
        if path.is_empty() {
            return true;
        }
        if let Some(literal) = &self.literal {
            return literal.len() > path.len() && literal.starts_with(path) && literal.as_bytes()[path.len()] == b'/';
        }
        self.run(path.chars().chain(std::iter::once('/'))).is_some()
    }

    /// The states after `chars`; none when nothing is left to hope for.
    fn run(&self, chars: impl Iterator<Item = char>) -> Option<States> {
        let mut states = States([0; WORDS]);
        states.add(&self.ops, 0);
        for c in chars {
            let mut next = States([0; WORDS]);
            for (word, bits) in states.0.iter().enumerate() {
                let mut bits = *bits;
                while bits != 0 {
                    let state = word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    self.step(state, c, &mut next);
                }
            }
            if next.is_empty() {
                return None;
            }
            states = next;
        }
        Some(states)
    }

    fn step(&self, state: usize, c: char, next: &mut States) {
        let Some(op) = self.ops.get(state) else { return };
        match op {
            Op::Char(want) if *want == c => next.add(&self.ops, state + 1),
            Op::Any if c != '/' => next.add(&self.ops, state + 1),
            Op::Star if c != '/' => next.add(&self.ops, state),
            Op::All => next.add(&self.ops, state),
            Op::Until => {
                next.0[state / 64] |= 1 << (state % 64);
                if c == '/' {
                    next.add(&self.ops, state + 1);
                }
            }
            Op::Class { ranges, negated } if c != '/' && ranges.iter().any(|(a, b)| (*a..=*b).contains(&c)) != *negated => {
                next.add(&self.ops, state + 1);
            }
            Op::Char(_) | Op::Any | Op::Star | Op::Directories | Op::Class { .. } => {}
        }
    }
}

/// Reads a class after its `[`.
fn class(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Op, GlobError> {
    let negated = chars.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        match chars.peek() {
            None => return Err(GlobError::Syntax),
            Some(']') if !ranges.is_empty() => {
                chars.next();
                return Ok(Op::Class { ranges, negated });
            }
            Some(_) => {}
        }
        let low = class_char(chars)?;
        let high = if chars.next_if_eq(&'-').is_some() { class_char(chars)? } else { low };
        if high < low {
            return Err(GlobError::Syntax);
        }
        ranges.push((low, high));
    }
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<char, GlobError> {
    match chars.next() {
        None | Some('-' | ']') => Err(GlobError::Syntax),
        Some('\\') => chars.next().ok_or(GlobError::Syntax),
        Some(c) => Ok(c),
    }
}

/// Whether Go would take a path for a pattern.
pub fn has_wildcards(path: &str) -> bool {
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '*' | '?' | '[' => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matching_as_go_does() {
        for (pattern, path, want) in [
            ("abc", "abc", true),
            ("a*", "abc", true),
            ("a*", "a/b", false),
            ("*/b", "a/b", true),
            ("*c", "abc", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("a?b", "aöb", true),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[\\]]", "]", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a*b*c", "axxbyyc", true),
            ("", "", true),
            ("**", "ab", true),
            ("**", "a/b", false),
        ] {
            assert_eq!(Glob::new(pattern, false).unwrap().matches(path), want, "{pattern} {path}");
        }
        for bad in ["[", "[a", "[]", "[b-a]", "a\\", "[-]", "[a-]"] {
            assert_eq!(Glob::new(bad, false), Err(GlobError::Syntax), "{bad}");
        }
    }

    #[test]
    fn matching_as_docker_does() {
        for (pattern, path, want) in [
            ("**", "a/b/c", true),
            ("**/foo", "foo", true),
            ("**/foo", "a/b/foo", true),
            ("**/foo", "a/xfoo", false),
            ("foo/**", "foo/a/b", true),
            ("foo/**", "foo", false),
            ("foo/**/bar", "foo/bar", true),
            ("foo/**/bar", "foo/a/b/bar", true),
            ("foo/**/bar", "foo/abar", false),
            ("**/*.go", "a/b.go", true),
            ("**/*.go", "b.go", true),
            ("**.txt", "a/b.txt", true),
            ("**.txt", "b.txt", true),
            ("a/**/*/c", "a/b/c", true),
            ("a/**/*/c", "a/c", false),
            ("**/a/**", "x/a/y", true),
            ("**/a/**", "a/y", true),
            ("**/a/**", "x/a", false),
            ("a.b", "aXb", false),
        ] {
            assert_eq!(Glob::new(pattern, true).unwrap().matches(path), want, "{pattern} {path}");
        }
    }

    #[test]
    fn below() {
        for (pattern, dir, want) in [
            ("src/a.txt", "src", true),
            ("src/a.txt", "sr", false),
            ("src/a.txt", "src/a.txt", false),
            ("*/a", "x", true),
            ("*/a", "x/y", false),
            ("**/a", "x/y", true),
            ("s*/x/*", "src/x", true),
            ("s*/x/*", "src/y", false),
            ("x", "", true),
        ] {
            assert_eq!(Glob::new(pattern, true).unwrap().may_match_below(dir), want, "{pattern} {dir}");
        }
    }
}
