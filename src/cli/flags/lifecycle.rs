//! When the container starts again, stops and goes.

use std::path::{Path, PathBuf};

use super::{Surroundings, parse_option};
use crate::cli::exit::UsageError;
use crate::spec::container::{LifecycleSpec, RestartPolicy};

/// The lifecycle section of `run` and `create`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Lifecycle")]
pub(crate) struct LifecycleFlags {
    /// Remove the container, and its anonymous volumes, when it ends
    #[arg(long)]
    rm: bool,
    /// Start it again when it ends: no, on-failure[:N], always, unless-stopped
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// Signal that asks it to end
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Seconds it has to end before it is killed; -1 waits for ever
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<i64>,
    /// Kill it after so many seconds
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u32>,
    /// Write the container's id to this new file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    /// Write the pid of the container's process to this file
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Write the pid of the container's monitor to this file
    #[arg(long, value_name = "FILE")]
    conmon_pidfile: Option<PathBuf>,
}

impl LifecycleFlags {
    pub(crate) fn apply(self, spec: &mut LifecycleSpec, around: &Surroundings<'_>) -> Result<(), UsageError> {
        let Self { rm, restart, stop_signal, stop_timeout, timeout, cidfile, pidfile, conmon_pidfile } = self;
        spec.remove = rm;
        spec.restart = parse_option("--restart", restart)?.unwrap_or_default();
        if spec.remove && spec.restart != RestartPolicy::No {
            return Err(UsageError::conflict("--rm", "--restart"));
        }
        spec.stop_signal = stop_signal;
        spec.stop_timeout = stop_timeout.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX));
        spec.timeout = timeout.filter(|seconds| *seconds > 0);
        let absolute = |path: Option<PathBuf>| path.as_deref().map(|path: &Path| around.absolute(path));
        spec.cid_file = absolute(cidfile);
        spec.pid_file = absolute(pidfile);
        spec.monitor_pid_file = absolute(conmon_pidfile);
        Ok(())
    }
}

/// `--detach-keys`, checked: letters or `ctrl-X`, comma between; empty turns detaching off.
pub(crate) fn detach_keys(text: Option<String>) -> Result<Option<String>, UsageError> {
    if let Some(keys) = text.as_deref().filter(|keys| !keys.is_empty()) {
        let fits = |key: &str| match key.strip_prefix("ctrl-") {
            Some(rest) => rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_lowercase() || b"@[\\]^_".contains(&b)),
            None => key.len() == 1 && key.is_ascii(),
        };
        if !keys.split(',').all(fits) {
            let reason = "expected keys such as ctrl-p,ctrl-q: a character, or ctrl- with a to z, @ [ \\ ] ^ or _";
            return Err(UsageError::value("--detach-keys", keys, reason));
        }
    }
    Ok(text)
}
