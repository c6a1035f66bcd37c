//! The small regular expressions of `--filter name=`: literals, `.`, classes, groups, `|`, `* + ?`, `^` and `$`.
//!
//! Matching walks all states at once, so no pattern can make it slow. Counted repetition and back references are not
//! there; a name filter needs neither.

/// A pattern that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(&'static str);

/// One step of the compiled pattern.
#[derive(Debug)]
enum Op {
    Char(char),
    Any,
    Class { ranges: Vec<(char, char)>, negated: bool },
    Start,
    End,
    /// Go on at both places.
    Split(usize, usize),
    Jump(usize),
    Match,
}

/// A regular expression that may match anywhere in a text.
#[derive(Debug)]
pub struct Pattern {
    ops: Vec<Op>,
}

/// The syntax tree.
enum Node {
    One(Op),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat { inner: Box<Node>, least: usize, many: bool },
}

/// Nesting of groups; deeper is a mistake or an attack.
const MAX_DEPTH: usize = 64;

/// Length of a pattern in characters.
const MAX_LENGTH: usize = 4096;

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.chars().count() > MAX_LENGTH {
            return Err(PatternError("the pattern is too long"));
        }
        let mut parser = Parser { chars: text.chars().collect(), at: 0, depth: 0 };
        let node = parser.either()?;
        if parser.at < parser.chars.len() {
            return Err(PatternError("there is a ) that closes nothing"));
        }
        let mut ops = Vec::new();
        emit(node, &mut ops);
        ops.push(Op::Match);
        Ok(Self { ops })
    }

    /// Whether any part of `text` matches.
    pub fn is_match(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        let mut now = States::new(self.ops.len());
        for at in 0..=chars.len() {
            // A match may begin anywhere.
            if self.follow(0, at, chars.len(), &mut now) {
                return true;
            }
            let Some(&c) = chars.get(at) else { break };
            let mut next = States::new(self.ops.len());
            for &state in &now.list {
                if accepts(&self.ops[state], c) && self.follow(state + 1, at + 1, chars.len(), &mut next) {
                    return true;
                }
            }
            now = next;
        }
        false
    }

    /// Adds the states reachable from `from` without reading a character; true when that is the end of the pattern.
    fn follow(&self, from: usize, at: usize, end: usize, states: &mut States) -> bool {
        let mut todo = vec![from];
        while let Some(state) = todo.pop() {
            if std::mem::replace(&mut states.seen[state], true) {
                continue;
            }
            match &self.ops[state] {
                Op::Match => return true,
                Op::Jump(to) => todo.push(*to),
                Op::Split(a, b) => todo.extend([*b, *a]),
                Op::Start if at == 0 => todo.push(state + 1),
                Op::End if at == end => todo.push(state + 1),
                Op::Start | Op::End => {}
                Op::Char(_) | Op::Any | Op::Class { .. } => states.list.push(state),
            }
        }
        false
    }
}

struct States {
    list: Vec<usize>,
    seen: Vec<bool>,
}

impl States {
    fn new(len: usize) -> Self {
        Self { list: Vec::new(), seen: vec![false; len] }
    }
}

fn accepts(op: &Op, c: char) -> bool {
    match op {
        Op::Char(want) => *want == c,
        Op::Any => true,
        Op::Class { ranges, negated } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *negated,
        Op::Start | Op::End | Op::Split(..) | Op::Jump(_) | Op::Match => false,
    }
}

fn emit(node: Node, ops: &mut Vec<Op>) {
    match node {
        Node::One(op) => ops.push(op),
        Node::Sequence(nodes) => nodes.into_iter().for_each(|node| emit(node, ops)),
        Node::Either(mut nodes) => {
            let Some(last) = nodes.pop() else { return };
            let mut jumps = Vec::new();
            for node in nodes {
                let split = ops.len();
                ops.push(Op::Split(split + 1, 0));
                emit(node, ops);
                jumps.push(ops.len());
                ops.push(Op::Jump(0));
                ops[split] = Op::Split(split + 1, ops.len());
            }
            emit(last, ops);
            for jump in jumps {
                ops[jump] = Op::Jump(ops.len());
            }
        }
        Node::Repeat { inner, least, many } => {
            let split = ops.len();
            if least == 0 {
                ops.push(Op::Split(split + 1, 0));
            }
            let body = ops.len();
            emit(*inner, ops);
            if many {
                let back = ops.len();
                ops.push(Op::Split(if least == 0 { split } else { body }, back + 1));
            }
            if least == 0 {
                ops[split] = Op::Split(split + 1, ops.len());
            }
        }
    }
}

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek();
        self.at += usize::from(c.is_some());
        c
    }

    fn either(&mut self) -> Result<Node, PatternError> {
        let mut branches = vec![self.sequence()?];
        while self.peek() == Some('|') {
            self.at += 1;
            branches.push(self.sequence()?);
        }
        Ok(Node::Either(branches))
    }

    fn sequence(&mut self) -> Result<Node, PatternError> {
        let mut nodes = Vec::new();
        while let Some(c) = self.peek() {
            if c == '|' || c == ')' {
                break;
            }
            let atom = self.atom()?;
            nodes.push(self.repeat(atom)?);
        }
        Ok(Node::Sequence(nodes))
    }

    fn repeat(&mut self, inner: Node) -> Result<Node, PatternError> {
        let (least, many) = match self.peek() {
            Some('*') => (0, true),
            Some('+') => (1, true),
            Some('?') => (0, false),
            Some('{') => return Err(PatternError("counted repetition with { } is not supported")),
            _ => return Ok(inner),
        };
        self.at += 1;
        if matches!(self.peek(), Some('*' | '+')) {
            return Err(PatternError("nothing to repeat"));
        }
        // A lazy `?` changes what is captured, not whether there is a match.
        if self.peek() == Some('?') {
            self.at += 1;
        }
        Ok(Node::Repeat { inner: Box::new(inner), least, many })
    }

    fn atom(&mut self) -> Result<Node, PatternError> {
        let op = match self.next() {
            Some('(') => return self.group(),
            Some('[') => self.class()?,
            Some('.') => Op::Any,
            Some('^') => Op::Start,
            Some('$') => Op::End,
            Some('*' | '+' | '?') => return Err(PatternError("nothing to repeat")),
            Some('\\') => self.escape()?,
            Some(c) => Op::Char(c),
            None => return Err(PatternError("the pattern ends too early")),
        };
        Ok(Node::One(op))
    }

    fn group(&mut self) -> Result<Node, PatternError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(PatternError("too many groups inside each other"));
        }
        if self.peek() == Some('?') {
            self.at += 1;
            if self.next() != Some(':') {
                return Err(PatternError("this kind of group is not supported"));
            }
        }
        let inner = self.either()?;
        self.depth -= 1;
        if self.next() != Some(')') {
            return Err(PatternError("a ( is not closed"));
        }
        Ok(inner)
    }

    fn escape(&mut self) -> Result<Op, PatternError> {
        let c = self.next().ok_or(PatternError("there is nothing after the last \\"))?;
        let class = |ranges: &[(char, char)], negated| Op::Class { ranges: ranges.to_vec(), negated };
        const DIGIT: &[(char, char)] = &[('0', '9')];
        const WORD: &[(char, char)] = &[('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')];
        const SPACE: &[(char, char)] = &[('\t', '\r'), (' ', ' ')];
        match c {
            'd' => Ok(class(DIGIT, false)),
            'D' => Ok(class(DIGIT, true)),
            'w' => Ok(class(WORD, false)),
            'W' => Ok(class(WORD, true)),
            's' => Ok(class(SPACE, false)),
            'S' => Ok(class(SPACE, true)),
            'A' => Ok(Op::Start),
            'z' => Ok(Op::End),
            c if c.is_alphanumeric() => Err(PatternError("this escape is not supported")),
            c => Ok(Op::Char(c)),
        }
    }

    fn class(&mut self) -> Result<Op, PatternError> {
        const OPEN: PatternError = PatternError("a [ is not closed");
        let negated = self.peek() == Some('^');
        self.at += usize::from(negated);
        let mut ranges = Vec::new();
        loop {
            let from = match self.next().ok_or(OPEN)? {
                ']' if !ranges.is_empty() => return Ok(Op::Class { ranges, negated }),
                '\\' => match self.escape()? {
                    Op::Char(c) => c,
                    Op::Class { ranges: more, negated: false } => {
                        ranges.extend(more);
                        continue;
                    }
                    _ => return Err(PatternError("this escape is not supported inside [ ]")),
                },
                c => c,
            };
            let is_range = self.peek() == Some('-') && self.chars.get(self.at + 1).is_some_and(|c| *c != ']');
            if !is_range {
                ranges.push((from, from));
                continue;
            }
            self.at += 1;
            let to = self.next().ok_or(OPEN)?;
            if from > to {
                return Err(PatternError("a range in [ ] runs backwards"));
            }
            ranges.push((from, to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches() {
        for (pattern, yes, no) in [
            ("web", &["web", "my-web-1"][..], &["we", "WEB", ""][..]),
            ("", &["", "x"], &[]),
            ("^web$", &["web"], &["web1", "aweb"]),
            ("^/?web$", &["web", "/web"], &["//web"]),
            ("a.c", &["abc", "xa-cx"], &["ac"]),
            ("a.*c", &["ac", "abbbc"], &["ab"]),
            ("ab+c?$", &["ab", "abbc"], &["ac", "abd"]),
            ("^(a|bc)+$", &["a", "bc", "abca"], &["", "b", "ac"]),
            ("a|", &["", "a"], &[]),
            ("^[a-c_x-]+$", &["abc_", "x-"], &["d", ""]),
            ("^[^0-9]$", &["a"], &["1", "ab"]),
            (r"^\d\.\w$", &["1.a"], &["1xa", "a.a"]),
            (r"^[\d.]+$", &["1.2"], &["1a"]),
            ("(a*)*b", &["b", "aab"], &["aaa"]),
            ("(?:x|y)z", &["yz"], &["z"]),
            ("^$", &[""], &["a"]),
            ("ü+", &["aüü"], &["u"]),
        ] {
            let compiled = Pattern::parse(pattern).unwrap();
            for text in yes {
                assert!(compiled.is_match(text), "{pattern} on {text}");
            }
            for text in no {
                assert!(!compiled.is_match(text), "{pattern} on {text}");
            }
        }
    }

    #[test]
    fn mistakes() {
        for pattern in ["(", ")", "a)", "[", "[]", "[a", "*", "a**", "a{2}", "\\", "(?<n>a)", "[z-a]", "\\q"] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::parse(&"(".repeat(100_000)).is_err());
        assert!(Pattern::parse(&"(".repeat(1000)).is_err());
    }

    #[test]
    fn no_pattern_is_slow() {
        let pattern = Pattern::parse("(a*)*(a*)*(a|aa)+$").unwrap();
        assert!(!pattern.is_match(&format!("{}b", "a".repeat(2000))));
    }
}
