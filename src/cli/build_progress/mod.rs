//! `--progress` of a build: what its events look like on standard error. Numbered lines, a live display on a terminal, JSON
//! lines as BuildKit's, or nothing. Errors of the build itself are not told here.
//!
//! A build works in a process of its own, so whatever needs a thread starts it with the first event.

mod json;
mod plain;
mod text;
mod tty;

use std::sync::{Arc, Mutex, PoisonError};

use crate::build::progress::{Event, Sink};

use super::exit::UsageError;
use super::ui;

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Numbered lines.
    Plain,
    /// Steps at work with their last lines.
    Tty,
    /// JSON lines.
    RawJson,
    /// Nothing.
    Quiet,
}

impl Mode {
    /// What `--progress` and the BUILDKIT_PROGRESS variable ask for; `quiet` is `--quiet`.
    ///
    /// # Errors
    /// A word that is none of them.
    pub fn choose(asked: Option<&str>, quiet: bool) -> Result<Self, UsageError> {
        if quiet {
            return Ok(Self::Quiet);
        }
        let variable = std::env::var("BUILDKIT_PROGRESS").ok();
        let terminal = || ui::stderr_is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        match asked.or(variable.as_deref()).unwrap_or("auto") {
            "auto" | "" if terminal() => Ok(Self::Tty),
            "auto" | "" | "plain" => Ok(Self::Plain),
            "tty" if terminal() => Ok(Self::Tty),
            "tty" => Err(UsageError::new("--progress tty: standard error is not a terminal")),
            "rawjson" => Ok(Self::RawJson),
            "quiet" | "none" => Ok(Self::Quiet),
            other => Err(UsageError::new(format!("invalid progress \"{other}\": use auto, plain, tty, rawjson or quiet"))),
        }
    }
}

/// Shows the events of a build.
#[derive(Debug)]
pub struct Printer(Kind);

#[derive(Debug)]
enum Kind {
    Plain(Mutex<plain::Lines>),
    Tty(Arc<tty::Display>),
    RawJson(Mutex<json::Status>),
    Quiet,
}

impl Printer {
    /// Shows nothing yet.
    pub fn new(mode: Mode) -> Self {
        Self(match mode {
            Mode::Plain => Kind::Plain(Mutex::default()),
            Mode::Tty => Kind::Tty(Arc::default()),
            Mode::RawJson => Kind::RawJson(Mutex::default()),
            Mode::Quiet => Kind::Quiet,
        })
    }
}

impl Sink for Printer {
    fn event(&self, event: Event) {
        let text = match &self.0 {
            Kind::Plain(lines) => lines.lock().unwrap_or_else(PoisonError::into_inner).event(event),
            Kind::RawJson(status) => status.lock().unwrap_or_else(PoisonError::into_inner).event(event),
            Kind::Tty(display) => return tty::Display::event(display, event),
            Kind::Quiet => return,
        };
        if !text.is_empty() {
            ui::talk(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(Mode::choose(Some("tty"), true).unwrap(), Mode::Quiet);
        assert_eq!(Mode::choose(Some("plain"), false).unwrap(), Mode::Plain);
        assert_eq!(Mode::choose(Some("rawjson"), false).unwrap(), Mode::RawJson);
        assert!(Mode::choose(Some("fancy"), false).is_err());
    }
}
