//! Output of build steps as lines fit for a terminal: what a step writes is not to be trusted with the screen.

use std::time::{Duration, SystemTime};

/// Bytes of a line that are shown.
const MAX_LINE: usize = 16 << 10;

/// Puts pieces of output together to lines.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    open: Vec<u8>,
}

impl LineBuffer {
    /// The lines that are complete now.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.open.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.open.len() > MAX_LINE {
                lines.extend(self.flush());
            }
        }
        lines
    }

    /// What is left.
    pub(super) fn flush(&mut self) -> Option<String> {
        if self.open.is_empty() {
            return None;
        }
        let line = std::mem::take(&mut self.open);
        Some(clean(&String::from_utf8_lossy(&line)))
    }
}

/// A line without control characters and escape sequences; of one that was written over, what was last to be seen.
pub(super) fn clean(line: &str) -> String {
    let line = line.trim_end_matches(['\n', '\r']);
    let line = line.rsplit('\r').find(|part| !part.is_empty()).unwrap_or(line);
    let mut out = String::with_capacity(line.len());
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => skip_escape(&mut chars),
            '\t' => out.push_str("    "),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

fn skip_escape(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        // CSI: parameters, then a letter.
        Some('[') => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
        // OSC and its like: up to BEL or ESC \.
        Some(']' | 'P' | '_' | '^' | 'X') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}' || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some()) {
                    break;
                }
            }
        }
        // Character sets: one more.
        Some('(' | ')' | '*' | '+') => {
            chars.next();
        }
        _ => {}
    }
}

/// `1.2s` between two times.
pub(super) fn seconds(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_from_pieces() {
        let mut buffer = LineBuffer::default();
        assert_eq!(buffer.push(b"a\nb"), ["a"]);
        assert_eq!(buffer.push(b"c\r\n\nd"), ["bc", ""]);
        assert_eq!((buffer.flush().as_deref(), buffer.flush()), (Some("d"), None));
        assert_eq!(buffer.push(&[b'x'; 40_000]).len(), 1);
    }

    #[test]
    fn nothing_moves_the_cursor() {
        assert_eq!(clean("\u{1b}[1;31mred\u{1b}[0m \u{1b}[2J\u{1b}]0;title\u{7}x\u{1b}(B\u{8}"), "red x");
        assert_eq!(clean("10%\r50%\r100%\r\n"), "100%");
        assert_eq!(clean("a\tb\u{1b}[31"), "a    b");
    }
}
