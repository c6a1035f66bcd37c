//! From text to instructions' lines: parser directives, comments, continuation lines, heredocs. Knows no instruction
//! but those that may hold heredocs.

use super::ast::{Directives, Heredoc, Span};
use super::error::Fault;
use super::expand::{NoEnv, Rules, expand};
use super::words;

/// Bytes of a Dockerfile.
pub(super) const MAX_FILE: usize = 8 << 20;
/// Heredocs of one instruction.
const MAX_HEREDOCS: usize = 1024;

/// One instruction before its words are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// With heredocs.
    pub(super) span: Span,
    /// Continuation lines joined, blanks around it taken away.
    pub(super) text: String,
    /// Right above.
    pub(super) comments: Vec<String>,
    /// In order.
    pub(super) heredocs: Vec<Heredoc>,
    /// Empty lines between continuation lines.
    pub(super) empty: bool,
}

/// The text of a file: UTF-8 but for comments, no byte order mark.
///
/// # Errors
/// A file that is too large, and lines with bytes that cannot stand in an instruction.
pub(super) fn decode(bytes: &[u8]) -> Result<String, (Span, Fault)> {
    let at = |line: usize| u32::try_from(line).map_or(Span { first: 1, last: 1 }, |n| Span { first: n, last: n });
    if bytes.len() > MAX_FILE {
        return Err((at(1), Fault::new(format!("the file is larger than {} MiB", MAX_FILE >> 20))));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for (number, line) in bytes.split(|b| *b == b'\n').enumerate() {
        if line.trim_ascii_start().first() == Some(&b'#') {
            continue;
        }
        if std::str::from_utf8(line).is_err() {
            let hint = "save the file in that encoding";
            return Err((at(number + 1), Fault::new("the line is not UTF-8 text").hint(hint)));
        }
        if line.contains(&0) {
            return Err((at(number + 1), Fault::new("the line contains a NUL byte")));
        }
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// Where reading stands.
struct Reader<'a> {
    lines: Vec<&'a str>,
    at: usize,
}

impl<'a> Reader<'a> {
    /// The next line with its end.
    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.at)?;
        self.at += 1;
        Some(line)
    }

    /// Number of the line read last.
    fn number(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    /// Whether a line further down ends this heredoc.
    fn ends(&self, heredoc: &Heredoc) -> bool {
        self.lines[self.at..].iter().any(|line| is_end(line, heredoc))
    }
}

fn is_end(line: &str, heredoc: &Heredoc) -> bool {
    let line = line.trim_end_matches(['\r', '\n']);
    let line = if heredoc.chomp { line.trim_start_matches('\t') } else { line };
    line == heredoc.name
}

/// Splits a file.
///
/// # Errors
/// A directive given twice or with a wrong value, a heredoc without end.
pub(super) fn split(text: &str) -> Result<(Directives, Vec<Line>), (Span, Fault)> {
    let mut reader = Reader { lines: text.split_inclusive('\n').collect(), at: 0 };
    let directives = directives(&mut reader)?;
    let mut lines = Vec::new();
    let mut comments = Vec::new();
    while let Some(raw) = reader.next() {
        let line = raw.trim();
        if let Some(comment) = line.strip_prefix('#') {
            match comment.trim() {
                "" => comments.clear(),
                comment => comments.push(comment.to_owned()),
            }
            continue;
        }
        if line.is_empty() {
            comments.clear();
            continue;
        }
        let first = reader.number();
        let (text, empty) = join(raw, &mut reader, directives.escape);
        if text.is_empty() {
            continue;
        }
        let mut line = Line { span: Span { first, last: reader.number() }, text, comments: std::mem::take(&mut comments), heredocs: Vec::new(), empty };
        if words::may_hold_heredocs(&line.text) && line.text.contains("<<") {
            heredocs(&mut line, &mut reader)?;
        }
        lines.push(line);
    }
    Ok((directives, lines))
}

/// Joins continuation lines; comments between them go, and so do empty lines, with a mark.
fn join(first: &str, reader: &mut Reader<'_>, escape: char) -> (String, bool) {
    let (start, mut more) = without_continuation(first.trim_start().trim_end_matches(['\r', '\n']), escape);
    let mut text = start.to_owned();
    let mut empty = false;
    while more {
        let Some(raw) = reader.next() else { break };
        let trimmed = raw.trim();
        if trimmed.starts_with('#') {
            continue;
        }
        if trimmed.is_empty() {
            empty = true;
            continue;
        }
        let (part, goes_on) = without_continuation(raw.trim_end_matches(['\r', '\n']), escape);
        text.push_str(part);
        more = goes_on;
    }
    (text.trim().to_owned(), empty)
}

/// The line without an escape at its end, which two of them are not; blanks may follow it.
fn without_continuation(line: &str, escape: char) -> (&str, bool) {
    match line.trim_end_matches([' ', '\t']).strip_suffix(escape) {
        Some(rest) if !rest.ends_with(escape) => (rest, true),
        _ => (line, false),
    }
}

/// Reads the comments at the top that are directives.
fn directives(reader: &mut Reader<'_>) -> Result<Directives, (Span, Fault)> {
    let mut directives = Directives::default();
    let mut escape_seen = false;
    while let Some(line) = reader.lines.get(reader.at) {
        let Some((key, value)) = directive(line.trim()) else { break };
        reader.at += 1;
        let span = Span { first: reader.number(), last: reader.number() };
        let twice = || (span, Fault::new(format!("only one {key} parser directive can be used")));
        match key.as_str() {
            "escape" if escape_seen => return Err(twice()),
            "escape" => {
                escape_seen = true;
                directives.escape = match value {
                    "\\" => '\\',
                    "`" => '`',
                    other => return Err((span, Fault::new(format!("invalid escape token '{other}' does not match ` or \\")))),
                };
            }
            "syntax" if directives.syntax.is_some() => return Err(twice()),
            "syntax" => directives.syntax = Some(value.to_owned()),
            "check" if directives.check.is_some() => return Err(twice()),
            "check" => directives.check = Some(value.to_owned()),
            // Unknown ones are comments, but do not end the directives.
            _ => {}
        }
    }
    Ok(directives)
}

/// `# key = value`.
fn directive(line: &str) -> Option<(String, &str)> {
    let (key, value) = line.strip_prefix('#')?.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    let is_key = key.starts_with(|c: char| c.is_ascii_alphabetic()) && key.bytes().all(|b| b.is_ascii_alphanumeric());
    (is_key && !value.is_empty()).then(|| (key.to_ascii_lowercase(), value))
}

/// Reads the heredocs that a line announces.
fn heredocs(line: &mut Line, reader: &mut Reader<'_>) -> Result<(), (Span, Fault)> {
    let mut doubtful = 0;
    for (mut heredoc, spaced) in announced(&line.text) {
        // With a blank after `<<` it may as well be arithmetic. Each look costs the rest of the file.
        doubtful += usize::from(spaced);
        if spaced && (doubtful > 16 || !reader.ends(&heredoc)) {
            continue;
        }
        if line.heredocs.len() >= MAX_HEREDOCS {
            return Err((line.span, Fault::new(format!("the instruction has more than {MAX_HEREDOCS} heredocs"))));
        }
        loop {
            let Some(raw) = reader.next() else {
                let fault = Fault::new(format!("unterminated heredoc: no line is just {}", heredoc.name));
                let hint = if heredoc.chomp { "only tabs may stand before the word that ends it" } else { "the word that ends it must stand at the start of a line, alone" };
                return Err((line.span, fault.hint(hint)));
            };
            if is_end(raw, &heredoc) {
                break;
            }
            heredoc.data.push_str(raw);
        }
        line.heredocs.push(heredoc);
        line.span.last = reader.number();
    }
    Ok(())
}

/// The heredocs in a line, without content, and whether a blank follows their `<<`.
fn announced(text: &str) -> Vec<(Heredoc, bool)> {
    let mut found = Vec::new();
    let words = kept(text);
    let mut words = words.iter().map(String::as_str).peekable();
    while let Some(word) = words.next() {
        if let Some(heredoc) = heredoc(word) {
            found.push((heredoc, false));
        } else if word.strip_suffix('-').unwrap_or(word).strip_suffix("<<").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit())) {
            let heredoc = words.peek().filter(|name| is_plain_name(name)).and_then(|name| heredoc(&format!("{word}{name}")));
            found.extend(heredoc.map(|heredoc| (heredoc, true)));
        }
    }
    found
}

/// A name that is taken for a heredoc's after a blank.
fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '\'' | '"')) && !name.contains(['<', '>', '(', ')', ';', '&', '|'])
}

/// Words with quotes and escapes as written; none when a quote is not closed.
fn kept(text: &str) -> Vec<String> {
    let rules = Rules { keep_quotes: true, keep_escapes: true, keep_unset: true, ..Rules::new('\\') };
    expand(text, rules, &NoEnv).map(|expansion| expansion.words).unwrap_or_default()
}

/// Reads a word such as `<<EOF`, `3<<-"END"`.
pub(super) fn heredoc(word: &str) -> Option<Heredoc> {
    let (number, rest) = word.split_once("<<")?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (chomp, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    let rest = rest.trim_start();
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let rules = Rules { keep_unset: true, ..Rules::new('\\') };
    let [name] = <[String; 1]>::try_from(expand(rest, rules, &NoEnv).ok()?.words).ok()?;
    let [as_written] = <[String; 1]>::try_from(kept(rest)).ok()?;
    Some(Heredoc { expand: name == as_written, name, chomp, descriptor: number.parse().unwrap_or(0), data: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(file: &str) -> Vec<String> {
        split(file).unwrap().1.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn continuation_lines() {
        assert_eq!(texts("RUN a \\\n  b\\\nc\n"), ["RUN a   bc"]);
        assert_eq!(texts("RUN a \\ \t\n# comment\n  # another\n b\n"), ["RUN a  b"]);
        assert_eq!(texts("RUN a \\\r\n b\r\n"), ["RUN a  b"]);
        assert_eq!(texts("RUN a\\\\\nRUN b"), ["RUN a\\\\", "RUN b"]);
        assert_eq!(texts("# escape=`\nRUN a `\n b\nRUN c \\\n"), ["RUN a  b", "RUN c \\"]);
        assert_eq!(texts("RUN a \\"), ["RUN a"]);
        assert_eq!(texts("\\\nRUN a"), ["RUN a"]);
        assert_eq!(texts("\n\n  # x\n\n"), Vec::<String>::new());
        let (_, lines) = split("RUN a \\\n\n b\nRUN c").unwrap();
        assert!(lines[0].empty && !lines[1].empty);
        assert_eq!((lines[0].span.first, lines[0].span.last, lines[1].span.first), (1, 3, 4));
    }

    #[test]
    fn the_top_of_the_file() {
        let read = |file| split(file).map(|(d, _)| d);
        let all = read("# syntax = docker/dockerfile:1\n#ESCAPE=`\n# check=skip=all;error=true\nFROM x").unwrap();
        assert_eq!((all.escape, all.syntax.as_deref(), all.check.as_deref()), ('`', Some("docker/dockerfile:1"), Some("skip=all;error=true")));
        assert_eq!(read("# unknown=1\n# escape=`\n").unwrap().escape, '`');
        assert_eq!(read("# a comment\n# escape=`\n").unwrap().escape, '\\');
        assert_eq!(read("\n# escape=`\n").unwrap().escape, '\\');
        assert!(read("# escape=x\n").is_err() && read("# escape=`\n# escape=`\n").is_err());
    }

    #[test]
    fn heredocs_in_lines() {
        let (_, lines) = split("RUN <<A cat <<-'B C' 3<<\"D\"\n1\nA\n\t2\n\tB C\nD\nUSER x\n").unwrap();
        let [line, user] = &lines[..] else { panic!("{lines:?}") };
        let got: Vec<_> = line.heredocs.iter().map(|h| (h.name.as_str(), h.expand, h.chomp, h.descriptor, h.data.as_str())).collect();
        assert_eq!(got, [("A", true, false, 0, "1\n"), ("B C", false, true, 0, "\t2\n"), ("D", false, false, 3, "")]);
        assert_eq!(line.heredocs[1].content(), "2\n");
        assert_eq!((line.span.last, user.span.first), (6, 7));
        // Where there is none.
        for text in ["RUN [\"<<A\"]", "ENV a <<A", "RUN echo '<<A'", "RUN echo $((1<<2))", "RUN echo $((1 << 2))", "RUN cat <<<A", "RUN echo $(( x << y ))"] {
            assert!(split(text).unwrap().1[0].heredocs.is_empty(), "{text}");
        }
        // A blank before the word.
        let (_, lines) = split("RUN cat << EOF > /x\nhi\nEOF\nONBUILD COPY <<- 'X' /y\n\tz\n\tX\n").unwrap();
        assert_eq!((lines[0].heredocs[0].data.as_str(), lines[1].heredocs[0].data.as_str(), lines.len()), ("hi\n", "\tz\n", 2));
        let (span, fault) = split("FROM x\nRUN <<EOF\n EOF\n").unwrap_err();
        assert_eq!((span.first, fault.message.contains("unterminated")), (2, true));
    }

    #[test]
    fn comments_above() {
        let (_, lines) = split("# x\n# build the thing\nFROM a\n# no\n\nRUN b\n# no\n#\n# yes\nRUN c\n").unwrap();
        let got: Vec<_> = lines.iter().map(|line| line.comments.join(",")).collect();
        assert_eq!(got, ["x,build the thing", "", "yes"]);
    }

    #[test]
    fn bytes() {
        assert_eq!(decode(b"\xef\xbb\xbfFROM x").as_deref(), Ok("FROM x"));
        assert!(decode(b"# caf\xe9\nFROM x").is_ok());
        assert_eq!(decode(b"FROM x\nENV a=\xe9").unwrap_err().0.first, 2);
        assert!(decode(b"FROM x\0").is_err());
    }
}
