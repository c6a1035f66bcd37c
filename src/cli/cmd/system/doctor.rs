//! `kelp doctor`.

use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure, UsageError};
use crate::cli::ui;
use crate::cli::verb::Verb;
use crate::engine::doctor::{self, Finding, Level};
use crate::format::table::clean;

/// Flags of `doctor`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Put right what root can put right, with sudo unless run by root
    #[arg(long)]
    fix: bool,
    /// Show what --fix would do and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Look at the host for this user (root only; the user who called sudo unless said)
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Show as json
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

impl Verb for DoctorArgs {
    const SUMMARY: &'static str = "Look at what this host has and lacks for containers, and put it right";
    const OPERANDS: &'static str = "[OPTIONS]";
    const DESCRIPTION: &'static str = "\
Each line says ok, warning (something does not work) or missing (kelp does not work as it should), and what to do. --fix \
installs packages, gives the user subordinate ids, opens /dev/net/tun and /dev/fuse, allows user namespaces.

The exit status is 0 when nothing is missing, else 1.";
    const EXAMPLES: &'static str = "\
# What is there, what is not
$ kelp doctor
# Put it right, with sudo
$ kelp doctor --fix
# The same, run by root for somebody else
$ kelp doctor --fix --user alice";

    fn run(self, context: &Context) -> Result<Exit, Failure> {
        let Self { fix, dry_run, user, format } = self;
        let json = match format.as_deref() {
            None | Some("") => false,
            Some("json") => true,
            Some(other) => return Err(UsageError::value("--format", other, "use json").into()),
        };
        let user = user.or_else(|| std::env::var("SUDO_USER").ok().filter(|_| rustix::process::geteuid().is_root()));
        let engine = context.engine()?;
        let mut findings = doctor::examine(engine, user.as_deref())?;
        if fix || dry_run {
            let steps = doctor::steps(&findings)?;
            if dry_run {
                for step in &steps {
                    ui::line(step)?;
                }
                return Ok(Exit::OK);
            }
            if !steps.is_empty() {
                for error in doctor::fix(&steps, &|line| ui::note(line))? {
                    context.warn(error);
                }
                findings = doctor::examine(engine, user.as_deref())?;
            }
        }
        if json {
            let text = serde_json::to_string(&findings).map_err(|error| Failure::Format(error.to_string()))?;
            ui::line(text)?;
        } else {
            ui::print(&shown(&findings))?;
        }
        let missing = findings.iter().any(|finding| finding.level == Level::Missing);
        Ok(if missing { Exit::FAILED } else { Exit::OK })
    }
}

fn shown(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut automatic = false;
    for Finding { what, level, detail, remedy } in findings {
        let word = match level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Missing => "missing",
        };
        text.push_str(&format!("{word:<8} {what:<width$}  {}\n", clean(detail)));
        if *level == Level::Ok {
            continue;
        }
        let indent = " ".repeat(width + 11);
        if !remedy.advice.is_empty() {
            text.push_str(&format!("{indent}{}\n", clean(&remedy.advice)));
        }
        if remedy.is_automatic() {
            automatic = true;
            for step in doctor::steps(std::slice::from_ref(&finding_of(what, *level, remedy))).unwrap_or_default() {
                text.push_str(&format!("{indent}# {}\n", step.to_string().replace('\n', &format!("\n{indent}  "))));
            }
        }
    }
    if automatic {
        text.push_str("\nkelp doctor --fix does what is marked with # (as root, or with sudo).\n");
    }
    text
}

fn finding_of(what: &str, level: Level, remedy: &doctor::Remedy) -> Finding {
    Finding { what: what.to_owned(), level, detail: String::new(), remedy: remedy.clone() }
}
