//! How the container's health is checked.

use super::parse_option;
use crate::cli::exit::UsageError;
use crate::format::duration;
use crate::spec::health::{HealthSpec, parse_command};

/// The health section of `run` and `create`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Health")]
pub(crate) struct HealthFlags {
    /// Command that checks the container: a shell line, a JSON array of words, or none
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Time between two checks (30s); disable to check only on `healthcheck run`
    #[arg(long, value_name = "DURATION")]
    health_interval: Option<String>,
    /// Failures in a row that make it unhealthy (3)
    #[arg(long, value_name = "N")]
    health_retries: Option<u32>,
    /// Time one check may take (30s)
    #[arg(long, value_name = "DURATION")]
    health_timeout: Option<String>,
    /// Time after the start in which failures do not count (0s)
    #[arg(long, value_name = "DURATION")]
    health_start_period: Option<String>,
    /// Time between two checks during the start period (5s)
    #[arg(long, value_name = "DURATION")]
    health_start_interval: Option<String>,
    /// What to do when it becomes unhealthy: none, kill, restart, stop
    #[arg(long, value_name = "ACTION")]
    health_on_failure: Option<String>,
    /// Check nothing, whatever the image says
    #[arg(long)]
    no_healthcheck: bool,
}

impl HealthFlags {
    pub(crate) fn apply(self, spec: &mut HealthSpec) -> Result<(), UsageError> {
        if self.no_healthcheck && self.health_cmd.is_some() {
            return Err(UsageError::conflict("--no-healthcheck", "--health-cmd"));
        }
        spec.disabled = self.no_healthcheck;
        if let Some(text) = &self.health_cmd {
            spec.test = parse_command(text).map_err(|reason| UsageError::value("--health-cmd", text, reason))?;
            spec.disabled |= spec.test.is_none();
        }
        spec.interval = match self.health_interval.as_deref() {
            Some("disable") => Some(0),
            _ => time("--health-interval", self.health_interval)?,
        };
        spec.timeout = time("--health-timeout", self.health_timeout)?;
        spec.start_period = time("--health-start-period", self.health_start_period)?;
        spec.start_interval = time("--health-start-interval", self.health_start_interval)?;
        if self.health_retries == Some(0) {
            return Err(UsageError::value("--health-retries", "0", "at least one failure makes a container unhealthy"));
        }
        spec.retries = self.health_retries;
        spec.on_failure = parse_option("--health-on-failure", self.health_on_failure)?.unwrap_or_default();
        Ok(())
    }
}

/// A duration of at least a millisecond, as docker demands, or 0 for the default.
fn time(flag: &str, text: Option<String>) -> Result<Option<i64>, UsageError> {
    let Some(text) = text else { return Ok(None) };
    match duration::parse(&text) {
        Ok(0) => Ok(None),
        Ok(nanos) if nanos >= 1_000_000 => Ok(Some(nanos)),
        Ok(_) => Err(UsageError::value(flag, &text, "it cannot be less than 1ms")),
        Err(reason) => Err(UsageError::value(flag, &text, reason)),
    }
}
