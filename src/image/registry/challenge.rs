//! `WWW-Authenticate`: what a registry wants to see before it answers (RFC 9110, section 11).
//!
//! Owns parsing that header from untrusted bytes. What to do about a challenge is decided in `auth`.

use std::collections::BTreeMap;

/// Longest header looked at, in bytes.
const LONGEST: usize = 16 << 10;

/// One challenge: a scheme and its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The scheme in lower case (`bearer`, `basic`).
    pub scheme: String,
    /// Parameters by lower-case name.
    pub params: BTreeMap<String, String>,
}

/// Reads all challenges of one header value, in order. What does not follow the grammar ends the list.
#[must_use]
pub fn parse(header: &str) -> Vec<Challenge> {
    let mut rest = Scanner(if header.len() > LONGEST { "" } else { header });
    let mut challenges: Vec<Challenge> = Vec::new();
    loop {
        rest.skip(|b| b == b',' || b == b' ' || b == b'\t');
        let Some(word) = rest.token() else {
            return challenges;
        };
        let before = rest.0;
        rest.skip(|b| b == b' ' || b == b'\t');
        // `name=value` belongs to the challenge before it; a word without `=` begins one.
        if rest.eat(b'=') {
            let Some(challenge) = challenges.last_mut() else {
                return challenges;
            };
            rest.skip(|b| b == b' ' || b == b'\t');
            let Some(value) = rest.value() else {
                return challenges;
            };
            challenge.params.entry(word.to_ascii_lowercase()).or_insert(value);
            continue;
        }
        rest.0 = before;
        challenges.push(Challenge {
            scheme: word.to_ascii_lowercase(),
            params: BTreeMap::new(),
        });
        // `Basic dG9rZW4=`: a lone credential after the scheme has no meaning in a challenge.
        rest.skip(|b| b == b' ' || b == b'\t');
        let before = rest.0;
        if rest.token().is_some() {
            let padding = rest.0;
            rest.skip(|b| b == b'=');
            let padded = padding.len() - rest.0.len();
            let lone = rest.0.is_empty() || rest.0.starts_with(',');
            if !(padded > 0 && lone) {
                rest.0 = before;
            }
        }
    }
}

/// What is left of the header.
struct Scanner<'a>(&'a str);

impl<'a> Scanner<'a> {
    fn skip(&mut self, which: impl Fn(u8) -> bool) {
        let end = self.0.bytes().position(|b| !which(b)).unwrap_or(self.0.len());
        self.0 = &self.0[end..];
    }

    fn eat(&mut self, byte: u8) -> bool {
        if self.0.as_bytes().first() == Some(&byte) {
            self.0 = &self.0[1..];
            return true;
        }
        false
    }

    fn token(&mut self) -> Option<&'a str> {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~/".contains(&b);
        let end = self.0.bytes().position(|b| !is_token(b)).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        (!token.is_empty()).then_some(token)
    }

    /// A quoted string or a token; unquoted values of registries may hold `:` and more, so they end at a comma.
    fn value(&mut self) -> Option<String> {
        if !self.eat(b'"') {
            let end = self.0.find(',').unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at(end);
            self.0 = rest;
            return Some(value.trim().to_owned());
        }
        let mut value = String::new();
        let mut chars = self.0.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &self.0[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(chars.next()?.1),
                _ => value.push(c),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(header: &str) -> Challenge {
        let all = parse(header);
        assert_eq!(all.len(), 1, "{all:?}");
        all.into_iter().next().unwrap()
    }

    #[test]
    fn reads_what_registries_send() {
        let hub = one(
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull,push""#,
        );
        assert_eq!(hub.scheme, "bearer");
        assert_eq!(hub.params["scope"], "repository:library/alpine:pull,push");
        assert_eq!(one("Basic realm=basic-realm").params["realm"], "basic-realm");
        assert_eq!(one(r#"BASIC  Realm = "a \"b\" c""#).params["realm"], r#"a "b" c"#);
        let two = parse(r#"Negotiate, Bearer realm="r", service=x:5000 , Basic realm="b""#);
        let schemes: Vec<&str> = two.iter().map(|c| c.scheme.as_str()).collect();
        assert_eq!(schemes, ["negotiate", "bearer", "basic"]);
        assert_eq!(two[1].params["service"], "x:5000");
        let lone = parse(r#"Negotiate YWJj==, Basic realm="b""#);
        assert_eq!(lone.len(), 2);
        assert!(parse("").is_empty() && parse("=,=").is_empty() && parse("realm=\"x\"").is_empty());
        assert!(one(r#"Bearer realm="open"#).params.is_empty());
    }

    proptest! {
        #[test]
        fn never_panics(header in "\\PC{0,80}|([bB]earer|Basic|[a-z=,\" \\\\]{0,9}){0,6}( ?[a-z]{1,5}=\"?[a-z:/\\\\ ,]{0,9}\"?,?){0,4}") {
            for challenge in parse(&header) {
                prop_assert!(!challenge.scheme.is_empty());
            }
        }
    }
}
