//! Command lines for the eye: docker's COMMAND column, Go's quoting, cutting with `…`, quoting for a POSIX shell.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// The program and its arguments on one line, arguments with blanks in single quotes: docker's `Command` field.
pub fn command_line<S: AsRef<str>>(argv: &[S]) -> String {
    let mut line = String::new();
    for (at, arg) in argv.iter().enumerate() {
        let arg = arg.as_ref();
        if at > 0 {
            line.push(' ');
        }
        // The program itself is never quoted.
        if at > 0 && arg.contains(' ') {
            line.push('\'');
            line.push_str(arg);
            line.push('\'');
        } else {
            line.push_str(arg);
        }
    }
    line
}

/// The text in double quotes with Go's escapes (`strconv.Quote`), as docker shows commands.
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c => push_printable(c, &mut out),
        }
    }
    out.push('"');
    out
}

/// Writing to a String cannot fail, so the results are dropped.
fn push_printable(c: char, out: &mut String) {
    let code = u32::from(c);
    // Format characters (among them those that reverse the direction of text) and odd spaces can mislead the reader.
    let invisible = c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(code, 0xad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff9..=0xfffb | 0xe000..=0xf8ff);
    if !invisible {
        out.push(c);
    } else if code < 0x80 {
        let _ = write!(out, "\\x{code:02x}");
    } else if code < 0x1_0000 {
        let _ = write!(out, "\\u{code:04x}");
    } else {
        let _ = write!(out, "\\U{code:08x}");
    }
}

/// At most `width` terminal columns of the text, the last being `…` when something was cut.
pub fn ellipsis(text: &str, width: usize) -> String {
    let columns = |c: char| c.width().unwrap_or(0);
    if text.chars().map(columns).sum::<usize>() <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let mut cut = String::new();
    for c in text.chars() {
        used += columns(c);
        if used + 1 > width {
            break;
        }
        cut.push(c);
    }
    if width > 0 {
        cut.push('…');
    }
    cut
}

/// The first twelve digits of an id, without `sha256:` before them.
pub fn short_id(id: &str) -> &str {
    let hex = id.split_once(':').map_or(id, |(_, hex)| hex);
    hex.get(..12).unwrap_or(hex)
}

/// The text as one word of a POSIX shell, for commands the user may paste.
pub fn shell_word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_column() {
        assert_eq!(command_line(&["sh", "-c", "echo hi"]), "sh -c 'echo hi'");
        assert_eq!(quote(&command_line(&["sh", "-c", "a b"])), "\"sh -c 'a b'\"");
        assert_eq!(command_line::<&str>(&[]), "");
        assert_eq!(quote(&ellipsis("docker-entrypoint.sh nginx -g", 20)), "\"docker-entrypoint.s…\"");
        assert_eq!(quote("/bin/sh"), "\"/bin/sh\"");
    }

    #[test]
    fn go_quoting() {
        assert_eq!(quote("a\"b\\c\n\t\u{1b}[0m\u{7f}é\u{202e}\u{a0}"), r#""a\"b\\c\n\t\x1b[0m\x7fé\u202e\u00a0""#);
    }

    #[test]
    fn cutting() {
        for (text, width, want) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("abcd", 1, "…"),
            ("abcd", 0, ""),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("", 0, ""),
        ] {
            assert_eq!(ellipsis(text, width), want, "{text} {width}");
        }
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("<none>"), "<none>");
    }

    #[test]
    fn shell_words() {
        assert_eq!(shell_word("a-b/c:1"), "a-b/c:1");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
        assert_eq!(shell_word(""), "''");
        assert_eq!(shell_word("$x"), "'$x'");
    }
}
