//! `kelp wait`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::targets::Targets;
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::Kind;
use crate::engine::container::wait;
use crate::engine::options::{WaitCondition, WaitOptions};
use crate::format::duration;

/// Flags of `wait`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct WaitArgs {
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) containers: Vec<String>,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
    /// What to wait for: stopped, running, removed, exited… (default stopped)
    #[arg(long, value_name = "STATE")]
    pub(super) condition: Vec<String>,
    /// A container that is not there is no error and shows -1
    #[arg(long)]
    pub(super) ignore: bool,
    /// Time between two looks, such as 250ms
    #[arg(short, long, value_name = "DURATION")]
    pub(super) interval: Option<String>,
}

impl Verb for WaitArgs {
    const SUMMARY: &'static str = "Wait until containers have ended and show their exit statuses";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const EXAMPLES: &'static str = "\
# The exit status of a job
$ kelp wait job
# Wait until a container runs
$ kelp wait --condition running web";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, latest, condition, ignore, interval } = self;
        let names = context.select("wait", Targets { names: containers, latest, ..Targets::default() }, &[])?;
        let options = WaitOptions {
            conditions: condition.iter().map(|word| state(word)).collect::<Result<_, _>>()?,
            interval: interval.map(|text| time(&text)).transpose()?,
        };
        let engine = context.engine()?;
        let mut errors = Vec::new();
        for name in &names {
            match wait::wait(engine, name, &options) {
                Ok(code) => ui::line(code)?,
                Err(error) if ignore && error.kind() == Kind::NotFound => ui::line(-1)?,
                Err(error) => errors.push(error),
            }
        }
        Failure::collect(errors)?;
        Ok(Exit::OK)
    }
}

fn state(word: &str) -> Result<WaitCondition, UsageError> {
    Ok(match word {
        "created" | "configured" | "initialized" => WaitCondition::Created,
        "running" => WaitCondition::Running,
        "paused" => WaitCondition::Paused,
        "stopped" | "exited" | "not-running" | "next-exit" => WaitCondition::Stopped,
        "removed" | "removing" => WaitCondition::Removed,
        "healthy" => WaitCondition::Healthy,
        "unhealthy" => WaitCondition::Unhealthy,
        _ => {
            let reason = "use created, running, paused, stopped, exited, removed, healthy or unhealthy";
            return Err(UsageError::value("--condition", word, reason));
        }
    })
}

/// A duration; podman reads a bare number as milliseconds.
fn time(text: &str) -> Result<std::time::Duration, UsageError> {
    let nanos = match text.parse::<u64>() {
        Ok(millis) => millis.checked_mul(1_000_000),
        Err(_) => duration::parse(text).ok().and_then(|nanos| u64::try_from(nanos).ok()),
    };
    nanos
        .map(std::time::Duration::from_nanos)
        .ok_or_else(|| UsageError::value("--interval", text, "expected a duration such as 250ms"))
}
