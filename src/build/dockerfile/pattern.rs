//! The patterns of `${X#…}`, `${X%…}` and `${X/…/…}`: `*`, `?` and `\`; no brackets. As in BuildKit neither wildcard
//! matches a line end.

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Star,
    Any,
    Char(char),
}

/// A pattern that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Item>);

impl Pattern {
    /// Reads a pattern; the escape is `\` whatever the file's is.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut items = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '*' if items.last() == Some(&Item::Star) => {}
                '*' => items.push(Item::Star),
                '?' => items.push(Item::Any),
                '\\' => match chars.next() {
                    Some(c @ ('*' | '?' | '\\' | '}' | '/')) => items.push(Item::Char(c)),
                    Some(c) => return Err(format!("invalid escape '\\{c}'")),
                    None => return Err("nothing follows the escape".to_owned()),
                },
                c => items.push(Item::Char(c)),
            }
        }
        Ok(Self(items))
    }

    /// Without what matches at the start, as little or as much as possible.
    pub(super) fn trim_start(&self, value: &str, greedy: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let cut = matched(&self.0, &chars, greedy).unwrap_or(0);
        chars[cut..].iter().collect()
    }

    /// Without what matches at the end.
    pub(super) fn trim_end(&self, value: &str, greedy: bool) -> String {
        let items: Vec<Item> = self.0.iter().rev().copied().collect();
        let chars: Vec<char> = value.chars().rev().collect();
        let cut = matched(&items, &chars, greedy).unwrap_or(0);
        chars[cut..].iter().rev().collect()
    }

    /// With the first match, or all, replaced.
    pub(super) fn replace(&self, value: &str, replacement: &str, all: bool) -> String {
        let chars: Vec<char> = value.chars().collect();
        let mut text = String::new();
        let (mut at, mut after_match) = (0, false);
        while at <= chars.len() {
            let found = matched(&self.0, &chars[at..], true).filter(|&length| length > 0 || !after_match);
            if let Some(length) = found {
                text.push_str(replacement);
                if !all {
                    text.extend(&chars[at + length..]);
                    return text;
                }
                after_match = length > 0;
                at += length;
                if length > 0 {
                    continue;
                }
            }
            after_match = false;
            text.extend(chars.get(at));
            at += 1;
        }
        text
    }
}

/// How many characters at the start match, the least or the most. All states are walked at once.
fn matched(items: &[Item], chars: &[char], greedy: bool) -> Option<usize> {
    let mut states = vec![false; items.len() + 1];
    states[0] = true;
    spread(items, &mut states);
    let mut best = None;
    for at in 0..=chars.len() {
        if states[items.len()] {
            best = Some(at);
            if !greedy {
                break;
            }
        }
        let Some(&c) = chars.get(at) else { break };
        let mut next = vec![false; items.len() + 1];
        let mut alive = false;
        for (state, item) in items.iter().enumerate().filter(|(state, _)| states[*state]) {
            let to = match item {
                Item::Star if c != '\n' => state,
                Item::Any if c != '\n' => state + 1,
                Item::Char(want) if *want == c => state + 1,
                Item::Star | Item::Any | Item::Char(_) => continue,
            };
            next[to] = true;
            alive = true;
        }
        if !alive {
            break;
        }
        spread(items, &mut next);
        states = next;
    }
    best
}

/// A star may match nothing.
fn spread(items: &[Item], states: &mut [bool]) {
    for (state, item) in items.iter().enumerate() {
        if states[state] && *item == Item::Star {
            states[state + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing() {
        let replace = |pattern, value, all| Pattern::parse(pattern).unwrap().replace(value, "-", all);
        assert_eq!(replace("b", "abab", true), "a-a-");
        assert_eq!(replace("b", "abab", false), "a-ab");
        assert_eq!(replace("*", "abc", true), "-");
        assert_eq!(replace("", "ab", true), "-a-b-");
        assert_eq!(replace("", "ab", false), "-ab");
        assert_eq!(replace("x", "", true), "");
        assert_eq!(replace("a*b", "xaabby", true), "x-y");
        assert_eq!(replace("\\*", "a*b", true), "a-b");
        assert_eq!(replace("?", "a\nb", true), "-\n-");
    }

    #[test]
    fn trimming() {
        let p = |text| Pattern::parse(text).unwrap();
        assert_eq!(p("*.").trim_start("a.b.c", false), "b.c");
        assert_eq!(p("*.").trim_start("a.b.c", true), "c");
        assert_eq!(p(".*").trim_end("a.b.c", false), "a.b");
        assert_eq!(p(".*").trim_end("a.b.c", true), "a");
        assert_eq!(p("x").trim_start("abc", true), "abc");
        assert_eq!(p("a?c").trim_end("xabc", false), "x");
    }
}
