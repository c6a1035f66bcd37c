//! Health checks: one process at a time in the container, at its times, and what its ends say of the container.
//!
//! The rules are docker's: a check that ends with 0 makes the container healthy at once, so many failures in a row make
//! it unhealthy, and failures during the start period count only after a first success. The findings are in the run
//! directory for other commands to read.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use serde::{Deserialize, Serialize};

use super::Monitor;
use super::life::Running;
use super::protocol::Reply;
use crate::format::time::now;
use crate::runtime::init::{Descriptors, Stdio};
use crate::runtime::join::{self, Said};
use crate::runtime::plan::Process;
use crate::spec::health::{HealthAction, HealthCheck};
use crate::state::files;
use crate::state::record::{Health, HealthProbe, HealthRecord};
use crate::sys::process;

/// How much of a check's output is kept, as docker does.
const OUTPUT: usize = 4096;
/// How many checks are kept.
const KEPT: usize = 5;
/// The file in the container's run directory.
pub const FILE: &str = "health.json";

/// What a monitor needs to check its container.
#[derive(Debug, Serialize, Deserialize)]
pub struct HealthStart {
    /// When and how often.
    pub check: HealthCheck,
    /// What to run.
    pub process: Process,
}

/// The checks of one run of the container.
#[derive(Debug, Default)]
pub(super) struct Checks {
    next: Option<Instant>,
    probe: Option<Probe>,
    record: HealthRecord,
    started: Option<Instant>,
}

/// A check at work.
#[derive(Debug)]
struct Probe {
    pid: i32,
    report: OwnedFd,
    output: Option<OwnedFd>,
    kept: Vec<u8>,
    start: i64,
    deadline: Instant,
    expired: bool,
}

fn nanos(duration: i64) -> Duration {
    Duration::from_nanos(u64::try_from(duration).unwrap_or_default())
}

impl Checks {
    /// When something is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.probe {
            Some(probe) => (!probe.expired).then_some(probe.deadline),
            None => self.next,
        }
    }

    /// The output of the check at work.
    pub(super) fn output_fd(&self) -> Option<BorrowedFd<'_>> {
        self.probe.as_ref()?.output.as_ref().map(AsFd::as_fd)
    }

    /// Whether this process is the check at work.
    pub(super) fn runs(&self, pid: i32) -> bool {
        self.probe.as_ref().is_some_and(|probe| probe.pid == pid)
    }

    /// Reads what the check prints; more than is kept is thrown away, so that it never waits for us.
    pub(super) fn read_output(&mut self) {
        let Some(probe) = &mut self.probe else { return };
        let mut chunk = [0_u8; OUTPUT];
        while let Some(output) = &probe.output {
            match rustix::io::read(output, &mut chunk) {
                Ok(size) if size > 0 => {
                    let room = OUTPUT.saturating_sub(probe.kept.len()).min(size);
                    probe.kept.extend_from_slice(&chunk[..room]);
                }
                Err(Errno::AGAIN | Errno::INTR) => return,
                Ok(_) | Err(_) => probe.output = None,
            }
        }
    }

    /// How long until the next check.
    fn pause(&self, check: &HealthCheck) -> Option<Duration> {
        let starting = self.record.status == Health::Starting && self.in_start_period(check);
        let pause = if starting { check.start_interval.min(check.interval) } else { check.interval };
        (check.interval > 0).then(|| nanos(pause))
    }

    fn in_start_period(&self, check: &HealthCheck) -> bool {
        self.started.is_some_and(|started| started.elapsed() < nanos(check.start_period))
    }

    /// Counts one result; true when it made the container unhealthy.
    fn count(&mut self, result: HealthProbe, check: &HealthCheck) -> bool {
        let before = self.record.status;
        if result.code == 0 {
            self.record.failing_streak = 0;
            self.record.status = Health::Healthy;
        } else if before != Health::Starting || !self.in_start_period(check) {
            self.record.failing_streak = self.record.failing_streak.saturating_add(1);
            if self.record.failing_streak >= check.retries {
                self.record.status = Health::Unhealthy;
            }
        }
        self.record.log.push(result);
        let surplus = self.record.log.len().saturating_sub(KEPT);
        self.record.log.drain(..surplus);
        self.record.status == Health::Unhealthy && before != Health::Unhealthy
    }
}

impl Monitor {
    /// The container has started: no check yet, the first after one interval.
    pub(super) fn begin_checks(&mut self) {
        let Some(health) = &self.start.health else { return };
        let mut checks = Checks { started: Some(Instant::now()), ..Checks::default() };
        checks.next = checks.pause(&health.check).map(|pause| Instant::now() + pause);
        self.checks = checks;
        self.write_health();
    }

    /// The container has ended, and with it the check.
    pub(super) fn end_checks(&mut self) {
        self.checks.next = None;
        if let Some(probe) = self.checks.probe.take() {
            process::kill(probe.pid, libc::SIGKILL);
            self.tell_checkers(&Reply::Error { message: "the container ended during the check".to_owned() });
        }
    }

    /// Starts a check or ends one that takes too long, if that is due.
    pub(super) fn check_health(&mut self, time: Instant) {
        if self.checks.deadline().is_none_or(|deadline| deadline > time) {
            return;
        }
        match &mut self.checks.probe {
            Some(probe) => {
                probe.expired = true;
                process::kill(probe.pid, libc::SIGKILL);
            }
            None => self.start_check(),
        }
    }

    /// Starts a check unless one is at work, whose result is then as good.
    pub(super) fn start_check(&mut self) {
        let (Some(health), Some(running)) = (&self.start.health, &self.running) else { return };
        if self.checks.probe.is_some() {
            return;
        }
        if self.record.paused {
            self.checks.next = self.checks.pause(&health.check).map(|pause| Instant::now() + pause);
            return;
        }
        let start = now();
        match launch(running, health, self.start.cgroup.as_deref()) {
            Ok((pid, report, output)) => {
                let deadline = Instant::now() + nanos(health.check.timeout);
                let output = Some(output);
                self.checks.probe = Some(Probe { pid, report, output, kept: Vec::new(), start, deadline, expired: false });
            }
            Err(message) => self.finish_check(HealthProbe { start, end: now(), code: 125, output: message }),
        }
    }

    /// The process of the check has ended.
    pub(super) fn check_ended(&mut self, code: i32) {
        self.checks.read_output();
        let Some(probe) = self.checks.probe.take() else { return };
        let mut result = HealthProbe {
            start: probe.start,
            end: now(),
            code,
            output: String::from_utf8_lossy(&probe.kept).into_owned(),
        };
        if probe.expired {
            let limit = self.start.health.as_ref().map_or(0, |health| health.check.timeout);
            result.code = -1;
            result.output = format!("Health check exceeded timeout ({:?})", nanos(limit));
        } else if let Said::Failed(failure) = join::hear(probe.report.as_fd()) {
            result.output = format!("{:?} failed: {}", failure.step, failure.errno());
        }
        self.finish_check(result);
    }

    fn finish_check(&mut self, result: HealthProbe) {
        let Some(health) = &self.start.health else { return };
        let code = result.code;
        let action = if self.checks.count(result, &health.check) { health.check.on_failure } else { HealthAction::None };
        self.checks.next = self.checks.pause(&health.check).map(|pause| Instant::now() + pause);
        self.write_health();
        self.tell_checkers(&Reply::Exited { code });
        match action {
            HealthAction::None => {}
            HealthAction::Kill => self.kill_all(),
            HealthAction::Stop => self.stop(None, None),
            HealthAction::Restart => self.stop_and_restart(),
        }
    }

    fn write_health(&self) {
        // Readers see the last one that could be written.
        drop(files::write_json(&self.paths.container_run(&self.start.id).join(FILE), &self.checks.record));
    }
}

/// Starts the process of a check; its pid, its report, and the reading end of its output, which does not block.
fn launch(
    running: &Running,
    health: &HealthStart,
    cgroup: Option<&std::path::Path>,
) -> Result<(i32, OwnedFd, OwnedFd), String> {
    let failed = |errno: Errno| format!("pipe: {errno}");
    let (output, stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    rustix::io::ioctl_fionbio(&output, true).map_err(failed)?;
    let stderr = stdout.try_clone().map_err(|error| error.to_string())?;
    let stdin = rustix::fs::open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    let given = Descriptors { stdio: Some(Stdio { stdin, stdout, stderr }), extra: Vec::new() };
    let joined = join::exec(running.pidfd.as_fd(), &health.process, given, cgroup)
        .map_err(|failure| format!("{:?} failed: {}", failure.step, failure.errno()))?;
    Ok((joined.pid, joined.report, output))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(code: i32) -> HealthProbe {
        HealthProbe { code, ..HealthProbe::default() }
    }

    #[test]
    fn failures_in_a_row_count_and_a_success_ends_them() {
        let check = HealthCheck { retries: 3, interval: 1, ..HealthCheck::default() };
        let mut checks = Checks { started: Some(Instant::now()), ..Checks::default() };
        let made: Vec<bool> = [1, 1, 0, 1, 1, 1, 1].into_iter().map(|code| checks.count(result(code), &check)).collect();
        assert_eq!(made, [false, false, false, false, false, true, false]);
        assert_eq!((checks.record.status, checks.record.failing_streak), (Health::Unhealthy, 4));
        assert_eq!(checks.record.log.len(), KEPT);
        checks.count(result(0), &check);
        assert_eq!((checks.record.status, checks.record.failing_streak), (Health::Healthy, 0));
    }

    #[test]
    fn the_start_period_forgives_until_the_first_success() {
        let hour = 3_600_000_000_000;
        let check = HealthCheck { retries: 1, interval: hour, start_period: hour, start_interval: 1, ..HealthCheck::default() };
        let mut checks = Checks { started: Some(Instant::now()), ..Checks::default() };
        assert_eq!(checks.pause(&check), Some(Duration::from_nanos(1)));
        assert!(!checks.count(result(1), &check));
        assert_eq!(checks.record.status, Health::Starting);
        checks.count(result(0), &check);
        assert_eq!(checks.pause(&check), Some(nanos(hour)));
        assert!(checks.count(result(1), &check));
        let never = HealthCheck::default();
        assert_eq!(checks.pause(&never), None);
    }
}
