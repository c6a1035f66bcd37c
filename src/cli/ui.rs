//! Talking to the user: the only place that writes to stdout and stderr.
//!
//! stdout is data, stderr is talk. A reader that closes our stdout early (`kelp ps | head -1`) is no error: writers
//! return an error that `report` recognises and ends quietly.

use std::fmt;
use std::io::{self, BufRead as _, BufWriter, IsTerminal as _, StdoutLock, Write};
use std::os::fd::AsFd;

use crate::format::table::clean;

/// The reader of our stdout has gone.
#[derive(Debug, thiserror::Error)]
#[error("stdout was closed by its reader")]
pub struct OutputClosed;

/// A buffered stdout for bulk data; call [`Write::flush`] at the end, or errors are lost.
#[derive(Debug)]
pub struct Out {
    inner: BufWriter<StdoutLock<'static>>,
}

/// Opens stdout for bulk data.
pub fn out() -> Out {
    Out { inner: BufWriter::with_capacity(64 * 1024, io::stdout().lock()) }
}

impl Write for Out {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.inner.write(data).map_err(mark_closed)
    }

    fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        self.inner.write_all(data).map_err(mark_closed)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush().and_then(|()| self.inner.get_mut().flush()).map_err(mark_closed)
    }
}

fn mark_closed(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::BrokenPipe { io::Error::new(error.kind(), OutputClosed) } else { error }
}

/// Whether an output error only says that nobody reads any more.
pub fn is_closed(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<OutputClosed>())
}

/// Writes text to stdout as it is.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(mark_closed)
}

/// Writes one line to stdout.
pub fn line(text: impl fmt::Display) -> io::Result<()> {
    print(&format!("{text}\n"))
}

/// Writes one line to stderr, or several. What is quoted in them may come from an image or a registry: it cannot move the
/// cursor nor change colors. Nothing can be done when writing fails, so nothing is returned.
pub fn note(text: impl fmt::Display) {
    let text = format!("{}\n", harmless(&text.to_string()));
    // One write, so that lines of several processes do not mix.
    if io::stderr().lock().write_all(text.as_bytes()).is_err() {
        // stderr is closed: the exit code still tells.
    }
}

/// Control characters made visible, but those of lines and columns.
fn harmless(text: &str) -> String {
    let lines: Vec<String> =
        text.split('\n').map(|line| line.split('\t').map(clean).collect::<Vec<_>>().join("\t")).collect();
    lines.join("\n")
}

/// Writes text to stderr as it is, in one piece.
pub fn talk(text: &str) {
    if io::stderr().lock().write_all(text.as_bytes()).is_err() {
        // stderr is closed: the exit code still tells.
    }
}

/// A warning on stderr.
pub fn warn(text: impl fmt::Display) {
    note(format_args!("WARNING: {text}"));
}

/// Advice on stderr.
pub fn hint(text: impl fmt::Display) {
    note(format_args!("hint: {text}"));
}

/// stdin is a terminal.
pub fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

/// stdout is a terminal.
pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// stderr is a terminal.
pub fn stderr_is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// Columns and rows of the terminal behind `fd`, if it is one.
pub fn terminal_size(fd: impl AsFd) -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(fd).ok()?;
    (size.ws_col > 0).then_some((size.ws_col, size.ws_row))
}

/// Asks for one line on the terminal, shown while it is typed or not.
///
/// # Errors
/// When there is no terminal, or the line ends before it begins.
pub fn ask(question: &str, shown: bool) -> io::Result<String> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(io::Error::other("standard input is not a terminal"));
    }
    let mut talk = io::stderr().lock();
    write!(talk, "{question}")?;
    talk.flush()?;
    let line = if shown {
        let mut line = String::new();
        stdin.lock().read_line(&mut line)?;
        line
    } else {
        let before = tcgetattr(&stdin)?;
        let mut silent = before.clone();
        // Signals off, too: a Ctrl-C would leave the terminal as it is now.
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&stdin, OptionalActions::Flush, &silent)?;
        let read = unseen(&mut stdin.lock());
        tcsetattr(&stdin, OptionalActions::Flush, &before)?;
        writeln!(talk)?;
        read?
    };
    let line = line.trim_end_matches(['\r', '\n']);
    if line.is_empty() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(line.to_owned()) }
}

/// A line typed on a terminal that does nothing by itself.
fn unseen(input: &mut impl io::Read) -> io::Result<String> {
    let mut line: Vec<u8> = Vec::new();
    let mut byte = [0];
    while input.read(&mut byte)? > 0 {
        match byte[0] {
            b'\r' | b'\n' | 4 => break,
            3 => return Err(io::Error::other("interrupted")),
            8 | 127 => {
                // A character, however many bytes it has.
                while line.pop().is_some_and(|last| last & 0xc0 == 0x80) {}
            }
            21 => line.clear(),
            other => line.push(other),
        }
    }
    String::from_utf8(line).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// All of standard input, less the newline at its end.
///
/// # Errors
/// When it cannot be read or is no text.
pub fn read_secret() -> io::Result<String> {
    use io::Read as _;
    let mut text = String::new();
    io::stdin().lock().take(1 << 20).read_to_string(&mut text)?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// Says what is about to happen and asks; anything but yes, the end of input included, is no.
pub fn confirm(warning: &str) -> io::Result<bool> {
    let mut question = io::stderr().lock();
    write!(question, "{warning}\nAre you sure you want to continue? [y/N] ")?;
    question.flush()?;
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer)?;
    if read == 0 || !stdin_is_terminal() {
        // Nobody typed the newline that ends the prompt's line.
        writeln!(question)?;
    }
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        assert!(is_yes("y\n") && is_yes(" Yes \n") && is_yes("Y"));
        assert!(!is_yes("") && !is_yes("\n") && !is_yes("no") && !is_yes("yy"));
    }

    #[test]
    fn what_is_quoted_does_nothing_to_the_terminal() {
        assert_eq!(harmless("a\n\tb \u{1b}[31mred\u{9b}2J\r"), "a\n\tb \\x1b[31mred\\x9b2J\\r");
    }

    #[test]
    fn unseen_lines_can_be_corrected() {
        assert_eq!(unseen(&mut &b"sec\xc3\xa4\x7fret\nmore"[..]).unwrap(), "secret");
        assert_eq!(unseen(&mut &b"wrong\x15right\r"[..]).unwrap(), "right");
        assert!(unseen(&mut &b"se\x03"[..]).is_err());
    }

    #[test]
    fn a_closed_reader_is_recognised() {
        assert!(is_closed(&mark_closed(io::ErrorKind::BrokenPipe.into())));
        assert!(!is_closed(&mark_closed(io::ErrorKind::StorageFull.into())));
        // A broken connection elsewhere is not our stdout.
        assert!(!is_closed(&io::ErrorKind::BrokenPipe.into()));
    }
}
