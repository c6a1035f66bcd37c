//! Health checks: what the monitor needs for them, what they have found, and a check on demand.

use std::os::fd::AsFd;

use serde_json::{Value, json};

use crate::engine::options::ExecOptions;
use crate::engine::{Engine, Error};
use crate::format::time;
use crate::monitor::health::{FILE, HealthStart};
use crate::monitor::protocol::{self, MAX_PACKET, Packet, Reply, Request};
use crate::state::record::{Health, HealthRecord};
use crate::state::{ContainerRecord, files};

use super::attach::connect;
use super::exec::process_of;

/// The check for the monitor, when there is one.
pub(super) fn start(engine: &Engine, record: &ContainerRecord) -> Result<Option<HealthStart>, Error> {
    let Some(check) = &record.config.health else { return Ok(None) };
    let options = ExecOptions { command: check.argv(), ..ExecOptions::default() };
    let process = process_of(engine, record, &options, None)?;
    Ok(Some(HealthStart { check: check.clone(), process }))
}

/// What the checks of the latest run have found; `None` when nothing is checked.
pub(super) fn found(engine: &Engine, record: &ContainerRecord) -> Option<HealthRecord> {
    record.config.health.as_ref()?;
    let file = engine.paths.container_run(&record.id).join(FILE);
    // Not there before the first start, and after the machine has started anew.
    Some(files::read_json(&file).ok().flatten().unwrap_or_default())
}

/// The word of the moment; `None` when nothing is checked.
pub(super) fn word(engine: &Engine, record: &ContainerRecord) -> Option<Health> {
    found(engine, record).map(|found| found.status)
}

/// `State.Health` of `inspect`. Docker leaves the key out without a health check; podman has it empty, and templates
/// that name it then work.
pub(super) fn shown(engine: &Engine, record: &ContainerRecord) -> Value {
    let Some(found) = found(engine, record) else {
        return json!({"Status": "", "FailingStreak": 0, "Log": null});
    };
    let probe = |probe: &crate::state::record::HealthProbe| {
        json!({
            "Start": time::rfc3339_or_never(Some(probe.start)),
            "End": time::rfc3339_or_never(Some(probe.end)),
            "ExitCode": probe.code,
            "Output": probe.output,
        })
    };
    json!({
        "Status": found.status.word(),
        "FailingStreak": found.failing_streak,
        "Log": found.log.iter().map(probe).collect::<Vec<_>>(),
    })
}

/// `Config.Healthcheck` of `inspect`, as docker has it.
pub(super) fn configured(record: &ContainerRecord) -> Value {
    let Some(check) = &record.config.health else { return Value::Null };
    json!({
        "Test": check.test,
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
        "Retries": check.retries,
    })
}

/// Checks a running container now; whether it is healthy. One that is being checked is not checked twice.
///
/// # Errors
/// No such container, one that does not run or has no check.
pub fn run(engine: &Engine, name: &str) -> Result<bool, Error> {
    let (_, socket) = connect(engine, name)?;
    let lost = |errno| Error::Internal(format!("the monitor cannot be heard: {errno}"));
    protocol::send_request(socket.as_fd(), &Request::Check, &[]).map_err(lost)?;
    let mut buffer = vec![0; MAX_PACKET + 1];
    loop {
        match protocol::receive(socket.as_fd(), &mut buffer).map_err(lost)? {
            Packet::Reply(Reply::Exited { code }, _) => return Ok(code == 0),
            Packet::Reply(Reply::Error { message }, _) => return Err(Error::Conflict(format!("cannot check {name}: {message}"))),
            Packet::End => return Err(Error::Conflict(format!("container {name} is not running"))),
            Packet::Reply(..) | Packet::Output { .. } => {}
        }
    }
}
