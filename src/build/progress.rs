//! What happens during a build, as a stream of events. Who builds sends them, from any thread; who shows them (or writes
//! them down) implements [`Sink`]. Nothing is shown here.

use std::time::SystemTime;

/// Number of a step within one build, from 1, in the order in which they became known.
pub type StepId = u32;

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// To which step.
    pub step: StepId,
    /// When.
    pub at: SystemTime,
    /// What.
    pub what: What,
}

/// What can happen to a step. A step is named first, started or cached once, and ends with `Done`, `Failed` or
/// `Canceled` if it was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The step exists: `[build 2/4] RUN make`. Comes before all others.
    Named(String),
    /// It began.
    Started,
    /// Its result was there already. The step is over.
    Cached,
    /// What it wrote, in pieces of any size.
    Output {
        /// Standard output or error.
        stream: Stream,
        /// As written.
        bytes: Vec<u8>,
    },
    /// Bytes of a transfer, or other counted work.
    Progress {
        /// Of what, such as a layer's short digest.
        item: String,
        /// So far.
        current: u64,
        /// At the end, when known.
        total: Option<u64>,
    },
    /// One line about what it did: `resolve docker.io/library/debian@sha256:…`.
    Note(String),
    /// A warning, of the whole build or this step.
    Warning(String),
    /// It ended well.
    Done,
    /// It failed. With an exit code when a command did.
    Failed {
        /// In words, one line.
        message: String,
        /// The command's.
        exit: Option<i32>,
    },
    /// Another step failed first, or the user stopped the build.
    Canceled,
}

/// One of a command's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Takes events.
pub trait Sink: Send + Sync {
    /// Called from any thread, in order for each step.
    fn event(&self, event: Event);

    /// Says what happened now.
    fn now(&self, step: StepId, what: What) {
        self.event(Event { step, at: SystemTime::now(), what });
    }
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Sink for Silent {
    fn event(&self, _: Event) {}
}

/// The name of a step of a stage, as docker shows it: `[build 2/4] RUN make`; `[2/4] RUN make` when the stage has neither
/// a name nor company. `text` is cut after its first line.
pub fn step_name(stage: Option<&str>, index: usize, total: usize, text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    match stage {
        Some(stage) => format!("[{stage} {index}/{total}] {line}"),
        None => format!("[{index}/{total}] {line}"),
    }
}
