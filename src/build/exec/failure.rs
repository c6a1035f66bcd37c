//! Why a build failed, with the instruction it failed at.

use serde::{Deserialize, Serialize};

use crate::engine::Error;

/// A failure inside the worker.
#[derive(Debug)]
pub(in crate::build) enum Failure {
    /// A command ended with another code than 0.
    Command {
        /// Its code.
        code: i32,
        /// The kernel killed something for lack of memory.
        oom: bool,
        /// Its last lines.
        tail: Vec<String>,
        /// What was executed.
        argv: Vec<String>,
    },
    /// Anything else.
    Error(Error),
    /// Anything else, said by the Dockerfile's reader or about the context, complete with place.
    Said(String),
    /// Another step failed.
    Canceled,
    /// One of the above, at an instruction, with what the image was before it.
    At {
        /// The instruction as typed.
        instruction: String,
        /// Its first line, from 1.
        line: u32,
        /// Its last line.
        last: u32,
        /// What there was before it.
        before: Option<Box<super::StageResult>>,
        /// The failure.
        failure: Box<Failure>,
    },
}

/// A failure as it leaves the worker.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// In words, without place.
    pub message: String,
    /// What to do, if known.
    pub hint: Option<String>,
    /// The instruction as typed.
    pub instruction: Option<String>,
    /// The Dockerfile's name.
    pub file: String,
    /// First and last line of it.
    pub lines: Option<(u32, u32)>,
    /// The code of the command that failed.
    pub code: Option<i32>,
    /// Its last lines.
    pub tail: Vec<String>,
    /// An image of the last good state.
    pub last_good: Option<String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<crate::image::StoreError> for Failure {
    fn from(error: crate::image::StoreError) -> Self {
        Self::Error(error.into())
    }
}

impl Failure {
    /// Another step failed.
    pub(super) fn canceled() -> Self {
        Self::Canceled
    }

    pub(super) fn is_canceled(&self) -> bool {
        match self {
            Self::Canceled => true,
            Self::At { failure, .. } => failure.is_canceled(),
            Self::Command { .. } | Self::Error(_) | Self::Said(_) => false,
        }
    }

    /// It may be that files were not where they had been a moment before.
    pub(super) fn may_be_moved(&self) -> bool {
        match self {
            Self::Error(_) | Self::Said(_) => true,
            Self::At { failure, .. } => failure.may_be_moved(),
            Self::Command { .. } | Self::Canceled => false,
        }
    }

    /// In words, one line.
    pub(in crate::build) fn message(&self) -> String {
        match self {
            Self::Command { code, oom, argv, .. } => {
                let why = if *oom { " (out of memory)" } else { "" };
                format!("process \"{}\" did not complete successfully: exit code: {code}{why}", argv.join(" "))
            }
            Self::Error(error) => {
                let mut message = error.to_string();
                let mut cause = std::error::Error::source(error);
                while let Some(inner) = cause {
                    let text = inner.to_string();
                    if !message.contains(&text) {
                        message = format!("{message}: {text}");
                    }
                    cause = inner.source();
                }
                message
            }
            Self::Said(message) => message.clone(),
            Self::Canceled => "canceled".to_owned(),
            Self::At { failure, .. } => failure.message(),
        }
    }

    /// The code of a command.
    pub(in crate::build) fn code(&self) -> Option<i32> {
        match self {
            Self::Command { code, .. } => Some(*code),
            Self::At { failure, .. } => failure.code(),
            Self::Error(_) | Self::Said(_) | Self::Canceled => None,
        }
    }

    /// For outside of the worker.
    pub(in crate::build) fn leave(&self, last_good: Option<String>) -> Failed {
        let mut failed = Failed { message: self.message(), code: self.code(), last_good, ..Failed::default() };
        let mut at = self;
        if let Self::At { instruction, line, last, failure, .. } = self {
            failed.instruction = Some(instruction.clone());
            failed.lines = Some((*line, *last));
            at = failure;
        }
        match at {
            Self::Command { tail, .. } => failed.tail.clone_from(tail),
            Self::Error(error) => failed.hint = error.hint().map(str::to_owned),
            Self::Said(_) | Self::Canceled | Self::At { .. } => {}
        }
        failed
    }

    /// The state before the instruction it happened at.
    pub(in crate::build) fn before(&self) -> Option<&super::StageResult> {
        if let Self::At { before, .. } = self { before.as_deref() } else { None }
    }
}
