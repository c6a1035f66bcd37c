//! The command line: from arguments to an engine call, from its result to output and exit status.
//!
//! [`parse`] finds the verb and reads its flags, [`tree`] lists the verbs, [`cmd`] has one file per verb, [`flags`] the
//! groups of flags several verbs share, [`exit`] the statuses. Nothing here touches containers, images or the kernel.

mod cmd;
mod context;
pub mod exit;
mod flags;
mod globals;
#[cfg(test)]
mod golden;
pub mod inspect;
pub mod list;
#[cfg(test)]
mod man;
mod names;
mod output;
mod parse;
pub mod build_progress;
pub mod progress;
pub mod report;
mod tree;
pub mod ui;
mod usage;
mod verb;

use std::ffi::OsString;
use std::process::ExitCode;

use context::Context;
use exit::{Exit, Failure};
use parse::Typed;

/// Runs one command.
pub fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    crate::engine::container::start::guard_inherited_sockets();
    ExitCode::from(run(&args).0)
}

/// The program of the `hello` image: prints what it sees of its isolation.
pub fn hello() -> ExitCode {
    match ui::print(&crate::engine::hello::report()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(args: &[OsString]) -> Exit {
    let typed = match parse::parse(args) {
        Ok(typed) => typed,
        Err(error) => {
            report::failure(&error, error.hint.as_deref());
            return Exit::KELP;
        }
    };
    let (result, family) = match typed {
        Typed::Verb { leaf, matches, globals } => {
            let context = Context::new(globals);
            let result = (leaf.run)(&matches, &context);
            return result.unwrap_or_else(|failure| {
                let exit = tell(&failure, leaf.family);
                context.tell_lost_ids(&failure);
                exit
            });
        }
        Typed::Help(text) => (print(&text), exit::Family::Plain),
        Typed::Version => {
            (print(concat!("kelp version ", env!("CARGO_PKG_VERSION"), "\n")), exit::Family::Plain)
        }
    };
    match result {
        Ok(exit) => exit,
        Err(failure) => tell(&failure, family),
    }
}

fn print(text: &str) -> Result<Exit, Failure> {
    ui::print(text)?;
    Ok(Exit::OK)
}

/// Reports a failure and says what exit status it makes.
fn tell(failure: &Failure, family: exit::Family) -> Exit {
    let wrong = match failure {
        Failure::Usage(error) => report::failure(error, error.hint.as_deref()),
        Failure::Engine(error) => report::failure(error, error.hint()),
        Failure::Several(errors) => {
            let mut wrong = false;
            for error in errors {
                wrong |= report::failure(error, error.hint());
            }
            wrong
        }
        failure @ (Failure::Format(_) | Failure::Output(_)) => report::failure(failure, None),
    };
    if wrong { failure.exit(family) } else { Exit::OK }
}
