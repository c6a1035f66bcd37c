//! From what happened to the exit status: one exhaustive table of error kinds by family of verbs. Decides nothing else
//! and prints nothing.

use crate::engine::{Error, Kind};

/// The exit status of kelp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All went well.
    pub const OK: Self = Self(0);
    /// Something did not, and has been reported already; also "no" of the `exists` verbs.
    pub const FAILED: Self = Self(1);
    /// Nobody read an archive to its end: as if the signal that tells so (SIGPIPE) had killed us.
    pub const CUT: Self = Self(141);
    /// kelp itself failed, or was not understood.
    pub const KELP: Self = Self(125);
}

/// Verbs whose failures scripts tell apart in the same way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Family {
    /// `run`, `create`, `exec`, `start -a`: 125 is kelp's, 126 and 127 the program's.
    Run,
    /// `rm`, `rmi`, `volume rm`, `network rm`: 1 is absent, 2 is in use.
    Remove,
    /// `exists`: 1 is "no", so a failure must be something else.
    Exists,
    /// All others.
    #[default]
    Plain,
}

/// A command line that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UsageError {
    /// What is wrong.
    pub message: String,
    /// What to do; `See 'kelp VERB --help'` is added where the verb is known and nothing better is.
    pub hint: Option<String>,
}

impl UsageError {
    /// With a message only.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// The value of a flag is none.
    pub fn value(flag: &str, value: &str, reason: impl std::fmt::Display) -> Self {
        Self::new(format!("invalid argument \"{value}\" for {flag}: {reason}"))
    }

    /// Two flags exclude each other.
    pub fn conflict(one: &str, other: &str) -> Self {
        Self::new(format!("conflicting options: {one} and {other} cannot be given together"))
    }
}

/// Why a verb did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] Error),
    /// Several objects, some failed: all are reported, the worst status wins.
    #[error("{} operations failed", .0.len())]
    Several(Vec<Error>),
    /// `--format` is wrong, or what it asks for is not there.
    #[error("{0}")]
    Format(String),
    /// The output could not be written; a reader that has gone is no failure, which `report` knows.
    #[error("write the output")]
    Output(#[from] std::io::Error),
}

impl Failure {
    /// Whether the kernel denied something, as it does for files of ids that are not mapped.
    pub(super) fn is_refusal(&self) -> bool {
        const WORDS: [&str; 4] = ["Permission denied", "Operation not permitted", "Invalid argument", "Value too large"];
        let denied = |error: &Error| {
            let text = super::report::text(error, None);
            WORDS.iter().any(|word| text.contains(word))
        };
        match self {
            Self::Engine(error) => denied(error),
            Self::Several(errors) => errors.iter().any(denied),
            Self::Usage(_) | Self::Format(_) | Self::Output(_) => false,
        }
    }
}

impl From<super::list::ListError> for Failure {
    fn from(error: super::list::ListError) -> Self {
        match error {
            super::list::ListError::Template(error) => Self::Format(error.to_string()),
            super::list::ListError::Output(error) => Self::Output(error),
        }
    }
}

impl From<super::inspect::InspectError> for Failure {
    fn from(error: super::inspect::InspectError) -> Self {
        Self::Format(error.to_string())
    }
}

impl Failure {
    /// One error is itself, none is success.
    ///
    /// # Errors
    /// When there is any.
    pub fn collect(mut errors: Vec<Error>) -> Result<(), Self> {
        match (errors.len(), errors.pop()) {
            (0, _) | (_, None) => Ok(()),
            (1, Some(only)) => Err(only.into()),
            (_, Some(last)) => {
                errors.push(last);
                Err(Self::Several(errors))
            }
        }
    }

    /// The exit status.
    pub fn exit(&self, family: Family) -> Exit {
        match self {
            Self::Usage(_) => Exit::KELP,
            Self::Engine(error) => code(error.kind(), family),
            Self::Several(errors) => {
                errors.iter().map(|error| code(error.kind(), family)).max_by_key(|exit| exit.0).unwrap_or(Exit::FAILED)
            }
            Self::Format(_) => Exit::FAILED,
            Self::Output(_) => Exit::KELP,
        }
    }
}

/// The status of a failure.
pub fn code(kind: Kind, family: Family) -> Exit {
    match (family, kind) {
        (_, Kind::Unwritten(0)) => Exit::KELP,
        (_, Kind::Unwritten(code)) => status(code),
        (_, Kind::Usage) | (Family::Run | Family::Exists, _) if !matches!(kind, Kind::CannotExec | Kind::NoProgram) => {
            Exit::KELP
        }
        (_, Kind::CannotExec) => Exit(126),
        (_, Kind::NoProgram) => Exit(127),
        (Family::Remove, Kind::Conflict) => Exit(2),
        (
            Family::Run | Family::Exists | Family::Remove | Family::Plain,
            Kind::Usage
            | Kind::NotFound
            | Kind::Conflict
            | Kind::Denied
            | Kind::Registry
            | Kind::Storage
            | Kind::Network
            | Kind::Setup
            | Kind::Internal,
        ) => Exit::FAILED,
    }
}

/// The status of an attached command that came to an end: the program's own, 128 + signal when it was killed.
pub fn status(code: i32) -> Exit {
    Exit(u8::try_from(code & 0xff).unwrap_or(255))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_scripts_depend_on() {
        for (family, kind, status) in [
            (Family::Run, Kind::Usage, 125),
            (Family::Run, Kind::NotFound, 125),
            (Family::Run, Kind::Conflict, 125),
            (Family::Run, Kind::Network, 125),
            (Family::Run, Kind::Setup, 125),
            (Family::Run, Kind::CannotExec, 126),
            (Family::Run, Kind::NoProgram, 127),
            (Family::Run, Kind::Unwritten(0), 125),
            (Family::Run, Kind::Unwritten(3), 3),
            (Family::Remove, Kind::NotFound, 1),
            (Family::Remove, Kind::Conflict, 2),
            (Family::Remove, Kind::Usage, 125),
            (Family::Remove, Kind::Storage, 1),
            (Family::Exists, Kind::Storage, 125),
            (Family::Plain, Kind::NotFound, 1),
            (Family::Plain, Kind::Conflict, 1),
            (Family::Plain, Kind::Usage, 125),
        ] {
            assert_eq!(code(kind, family), Exit(status), "{family:?} {kind:?}");
        }
    }

    #[test]
    fn the_programs_status_is_passed_on() {
        assert_eq!((status(0), status(3), status(137)), (Exit(0), Exit(3), Exit(137)));
    }

    #[test]
    fn the_worst_of_several() {
        let absent = || Error::not_found("container", "x");
        let several = Failure::collect(vec![absent(), Error::Conflict("busy".into())]).expect_err("two errors");
        assert_eq!(several.exit(Family::Remove), Exit(2));
        let one = Failure::collect(vec![absent()]).expect_err("one error");
        assert!(matches!(one, Failure::Engine(_)));
        assert!(Failure::collect(Vec::new()).is_ok());
    }
}
