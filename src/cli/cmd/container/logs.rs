//! `kelp logs`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::flags::parse;
use crate::cli::flags::targets::Targets;
use crate::cli::ui;
use crate::cli::verb::Verb;
use std::io::IsTerminal as _;

use crate::engine::container::logs::{self, LogView, Names, Output};
use crate::engine::options::LogsOptions;
use crate::format::time;

/// Flags of `logs`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LogsArgs {
    /// The containers, by name or id
    #[arg(value_name = "CONTAINER")]
    pub(super) containers: Vec<String>,
    /// Go on showing what comes
    #[arg(short, long)]
    pub(super) follow: bool,
    /// Only what came after: a time, or a duration back from now such as 10m
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Only what came before
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// Only the last N lines
    #[arg(short = 'n', long, value_name = "N")]
    pub(super) tail: Option<String>,
    /// Show the time of each line
    #[arg(short, long)]
    pub(super) timestamps: bool,
    /// Show the labels and variables that --log-opt named too
    #[arg(long)]
    pub(super) details: bool,
    /// Lead each line with the name instead of the id, with several containers
    #[arg(long)]
    pub(super) names: bool,
    /// Tell several containers apart by colour
    #[arg(long)]
    pub(super) color: bool,
    /// The newest container
    #[arg(short, long)]
    pub(super) latest: bool,
}

impl Verb for LogsArgs {
    const SUMMARY: &'static str = "Show what containers have printed";
    const OPERANDS: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const EXAMPLES: &'static str = "\
# Follow a server from now on
$ kelp logs -f --tail 0 web
# What happened in the last ten minutes
$ kelp logs -t --since 10m web";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { containers, follow, since, until, tail, timestamps, details, names, color, latest } = self;
        let containers = context.select("logs", Targets { names: containers, latest, ..Targets::default() }, &[])?;
        let options = LogsOptions {
            follow,
            tail: tail.map(|text| count(&text)).transpose()?.flatten(),
            since: since.map(|text| moment("--since", &text)).transpose()?,
            until: until.map(|text| moment("--until", &text)).transpose()?,
        };
        let names = match (names, containers.len()) {
            (_, 0 | 1) => Names::None,
            (true, _) => Names::Name,
            (false, _) => Names::Id,
        };
        let view = LogView { timestamps, names, color, details };
        let (mut out, mut err) = (ui::out(), std::io::stderr());
        let same = ui::stdout_is_terminal() && err.is_terminal();
        logs::logs(context.engine()?, &containers, &options, view, &mut Output::new(&mut out, &mut err, same))?;
        std::io::Write::flush(&mut out)?;
        Ok(Exit::OK)
    }
}

/// `all` and negative numbers are no limit.
fn count(text: &str) -> Result<Option<u64>, UsageError> {
    if text == "all" {
        return Ok(None);
    }
    let count: i64 = parse("--tail", text)?;
    Ok(u64::try_from(count).ok())
}

fn moment(flag: &str, text: &str) -> Result<i64, UsageError> {
    time::parse_reference(text, time::now(), &jiff::tz::TimeZone::system())
        .map_err(|reason| UsageError::value(flag, text, reason))
}
