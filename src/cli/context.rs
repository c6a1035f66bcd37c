//! What a verb is given: the global flags, the engine (opened when first needed), the caller's surroundings.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use super::exit::{Exit, Failure, UsageError};
use super::flags::Surroundings;
use super::flags::targets::Targets;
use super::globals::Globals;
use super::{inspect, report, ui};
use crate::engine::container::ls::{self, ListOptions};
use crate::engine::{Engine, Error, Kind};
use crate::spec::env::Caller;

/// The surroundings of one command.
#[derive(Debug, Default)]
pub(crate) struct Context {
    globals: Globals,
    engine: OnceCell<Engine>,
}

impl Context {
    /// With these global flags.
    pub(crate) fn new(globals: Globals) -> Self {
        Self { globals, engine: OnceCell::new() }
    }

    /// The engine.
    ///
    /// # Errors
    /// As [`Engine::open`], and an unknown `--storage-driver`.
    pub(crate) fn engine(&self) -> Result<&Engine, Failure> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let absolute = |path: &Option<PathBuf>| path.as_deref().map(absolute).transpose();
        let globals = &self.globals;
        let mut engine = Engine::open(
            absolute(&globals.root)?.as_deref(),
            absolute(&globals.runroot)?.as_deref(),
            globals.config.as_deref(),
        )?;
        if let Some(driver) = &globals.storage_driver {
            engine.config.storage.driver =
                driver.parse().map_err(|reason| UsageError::value("--storage-driver", driver, reason))?;
        }
        engine.notices().iter().for_each(|notice| self.warn(notice));
        Ok(self.engine.get_or_init(|| engine))
    }

    /// After a failure that may come of it: files belong to ids which are no longer the user's.
    pub(crate) fn tell_lost_ids(&self, failure: &Failure) {
        let Some(engine) = self.engine.get().filter(|_| failure.is_refusal()) else { return };
        if let Some(why) = engine.lost_ids() {
            ui::note(format!("hint: {why}"));
        }
    }

    /// After files were read from a container: the kernel's overlay lists none that it may not look into.
    pub(crate) fn warn_of_lost_ids(&self) {
        if let Some(why) = self.engine.get().and_then(Engine::lost_ids) {
            self.warn(format_args!("some may be missing: {why}"));
        }
    }

    /// Reads flags with the caller's directory and environment at hand.
    ///
    /// # Errors
    /// When the directory is gone, or the flags are wrong.
    pub(crate) fn surroundings<T>(
        &self,
        read: impl FnOnce(&Surroundings<'_>) -> Result<T, UsageError>,
    ) -> Result<T, Failure> {
        let directory = std::env::current_dir().map_err(Error::io("find the current directory", "."))?;
        Ok(read(&Surroundings { directory: &directory, caller: &Environment })?)
    }

    /// The newest container, as a list of one name.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn newest(&self) -> Result<Vec<String>, Failure> {
        let options = ListOptions { last: Some(1), ..ListOptions::default() };
        let found = ls::ids(self.engine()?, &options)?;
        if found.is_empty() { Err(Error::not_found("container", "(the latest)").into()) } else { Ok(found) }
    }

    /// The containers a verb works on: names as typed, full ids otherwise. `every` says what `--all` means, in filters.
    ///
    /// # Errors
    /// No way of naming, or several; a filter that makes no sense.
    pub(crate) fn select(&self, verb: &str, targets: Targets, every: &[&str]) -> Result<Vec<String>, Failure> {
        let Targets { names, all, latest, filters } = targets.check(verb)?;
        if !names.is_empty() {
            return Ok(names);
        }
        if latest {
            return self.newest();
        }
        let mut options = ListOptions { all: true, filters, ..ListOptions::default() };
        if all {
            options.filters.extend(every.iter().map(|&text| text.to_owned()));
        }
        Ok(ls::ids(self.engine()?, &options)?)
    }

    /// Tells of records that could not be read; the command goes on without them.
    pub(crate) fn warn_all(&self, errors: &[Error]) {
        errors.iter().for_each(|error| self.warn(report::one_line(error)));
    }

    /// Warns, unless `--log-level` asks for errors only.
    pub(crate) fn warn(&self, text: impl std::fmt::Display) {
        if !matches!(self.globals.log_level.as_deref(), Some("error" | "fatal" | "panic")) {
            ui::warn(text);
        }
    }

    /// Does the same to each, echoes those that worked as typed, and reports the others at the end, as docker does. With `ignore`, missing ones are no error.
    ///
    /// # Errors
    /// Those of the ones that did not work.
    pub(crate) fn each(
        &self,
        names: &[String],
        ignore: bool,
        mut work: impl FnMut(&str) -> Result<(), Error>,
    ) -> Result<Exit, Failure> {
        let mut errors = Vec::new();
        for name in names {
            match work(name) {
                Ok(()) => ui::line(name)?,
                Err(error) if ignore && error.kind() == Kind::NotFound => {}
                Err(error) => errors.push(error),
            }
        }
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }

    /// Prints the objects found, then reports those that were not. No names are an error unless `verb` is empty.
    ///
    /// # Errors
    /// Missing objects, a wrong template.
    pub(crate) fn inspect(
        &self,
        verb: &str,
        names: &[String],
        format: Option<&str>,
        mut look: impl FnMut(&str) -> Result<serde_json::Value, Error>,
    ) -> Result<Exit, Failure> {
        if names.is_empty() && !verb.is_empty() {
            return Err(UsageError::new(format!("\"kelp {verb}\" requires at least 1 argument")).into());
        }
        let (mut found, mut errors) = (Vec::new(), Vec::new());
        for name in names {
            match look(name) {
                Ok(object) => found.push(object),
                Err(error) => errors.push(error),
            }
        }
        ui::print(&inspect::render(&found, format)?)?;
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }
}

/// A path of the caller, from the root.
///
/// # Errors
/// When the current directory is gone.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(Error::io("find the directory of", path)).map_err(Failure::from)
}

/// The caller's environment.
pub(crate) struct Environment;

impl Caller for Environment {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn vars(&self) -> Vec<(String, String)> {
        // What systemd says of the sockets it passed is for us, not for a container.
        let ours = |name: &str| matches!(name, "LISTEN_PID" | "LISTEN_FDS" | "LISTEN_FDNAMES" | "LISTEN_PIDFDID");
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| !ours(name))
            .collect()
    }
}
