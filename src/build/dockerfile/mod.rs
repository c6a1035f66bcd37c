//! The Dockerfile language, as BuildKit's stable frontend defines it: text in, checked tree out. Pure: no files, no
//! network, no clock.
//!
//! Three steps: [`Dockerfile::parse`] reads the file; [`Globals`] sets the arguments before the first `FROM` and says what
//! each stage starts from; a [`Scope`] walks one stage's instructions in order and expands them. A word that has not been
//! expanded is a [`Word`], one that has is a `String`, so the two cannot be mixed up.

mod ast;
mod error;
mod expand;
mod expose;
mod health;
mod lines;
pub mod lint;
mod mounts;
mod parse;
mod pattern;
mod scope;
#[cfg(test)]
mod tests;
mod words;

pub use ast::{
    Add, ArgItem, CommandLine, Copy, Directives, Dockerfile, From, HealthCheck, HealthTest, Heredoc, Instruction, Kind, Mount,
    MountKind, MountOptions, OnBuild, Pair, Run, RunNetwork, RunSecurity, Script, Sharing, Source, Span, Stage,
};
pub use error::{Fault, ParseError};
pub(super) use error::did_you_mean;
pub use expand::{Env, ExpandError, Expansion, NoEnv, Word};
pub use expose::ports;
pub use parse::trigger;
pub use scope::{MEANT, Expanded, Globals, Inputs, Scope, Vars, check_words, for_display};
