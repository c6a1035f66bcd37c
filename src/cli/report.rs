//! From an error to what the user reads: one line `Error: …` with all causes, then a `hint:` line. Exit codes are made
//! elsewhere, from the kind of the error.

use std::error::Error;
use std::io;

use crate::format::table::clean;

use super::ui;

/// Tells the user about a failure, unless the failure is that nobody reads our stdout any more.
///
/// Returns whether anything was wrong: `false` means that the command counts as successful.
pub fn failure(error: &(dyn Error + 'static), hint: Option<&str>) -> bool {
    if is_closed_output(error) {
        return false;
    }
    ui::note(text(error, hint));
    true
}

/// The lines [`failure`] prints, without the final newline.
pub fn text(error: &dyn Error, hint: Option<&str>) -> String {
    let mut text = format!("Error: {}", clean(&one_line(error)));
    if let Some(hint) = hint {
        for line in hint.lines() {
            text.push_str("\nhint: ");
            text.push_str(&clean(line));
        }
    }
    text
}

/// The error and its causes, separated by colons. A cause that its effect already quotes is not repeated.
pub fn one_line(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = error.source();
    }
    line
}

/// Whether an error only says that nobody reads our stdout any more.
pub fn is_closed_output(error: &(dyn Error + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(error) = at {
        if error.downcast_ref::<io::Error>().is_some_and(ui::is_closed) || error.is::<ui::OutputClosed>() {
            return true;
        }
        at = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read {path}")]
    struct Outer {
        path: &'static str,
        source: Inner,
    }

    #[derive(Debug, thiserror::Error)]
    #[error("layer is damaged: {0}")]
    struct Inner(#[source] io::Error);

    fn nested(cause: io::Error) -> Outer {
        Outer { path: "a\u{1b}b", source: Inner(cause) }
    }

    #[test]
    fn one_line_with_all_causes() {
        let error = nested(io::Error::other("disk on fire"));
        assert_eq!(text(&error, None), "Error: cannot read a\\x1bb: layer is damaged: disk on fire");
        assert_eq!(
            text(&error, Some("put it out\nthen try again")),
            "Error: cannot read a\\x1bb: layer is damaged: disk on fire\nhint: put it out\nhint: then try again"
        );
    }

    #[test]
    fn a_closed_stdout_is_success() {
        let closed = io::Error::new(io::ErrorKind::BrokenPipe, ui::OutputClosed);
        assert!(is_closed_output(&nested(closed)));
        assert!(!is_closed_output(&nested(io::ErrorKind::BrokenPipe.into())));
    }
}
