//! Which containers a verb works on: names, `--all`, `--latest`, `--filter`, `--cidfile`.

use std::path::PathBuf;

use crate::cli::exit::UsageError;

/// What `--all` means to verbs that need a live container.
pub(crate) const RUNNING: &[&str] = &["status=running", "status=paused", "status=restarting"];

/// The selection, resolved by whoever can list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Targets {
    /// As typed, and read from files.
    pub(crate) names: Vec<String>,
    /// Every container the verb applies to.
    pub(crate) all: bool,
    /// The newest container.
    pub(crate) latest: bool,
    /// `KEY=VALUE` each.
    pub(crate) filters: Vec<String>,
}

impl Targets {
    /// Checks that exactly one way of naming was used; `verb` is for the message.
    pub(crate) fn check(self, verb: &str) -> Result<Self, UsageError> {
        let Self { names, all, latest, filters } = &self;
        let ways = [!names.is_empty(), *all, *latest, !filters.is_empty()];
        match ways.iter().filter(|way| **way).count() {
            0 => Err(UsageError::new(format!("\"kelp {verb}\" requires at least 1 argument"))),
            1 => Ok(self),
            // podman narrows --all by --filter.
            _ if *all && !filters.is_empty() && names.is_empty() && !*latest => Ok(self),
            _ => Err(UsageError::new("give names, --all, --latest or --filter, not several of them")),
        }
    }

    /// Adds the ids in `--cidfile` files; a missing file is skipped when `ignore` is set.
    pub(crate) fn read_files(&mut self, files: &[PathBuf], ignore: bool) -> Result<(), UsageError> {
        for path in files {
            match std::fs::read_to_string(path) {
                Ok(text) => self.names.push(text.trim().to_owned()),
                Err(error) if ignore && error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(UsageError::value("--cidfile", &path.display().to_string(), error)),
            }
        }
        Ok(())
    }
}
