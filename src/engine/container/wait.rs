//! `wait`: until a container has ended, or is in some other state.

use std::thread::sleep;
use std::time::Duration;

use rustix::fd::AsFd;

use crate::engine::options::{WaitCondition, WaitOptions};
use crate::engine::{Engine, Error};
use crate::monitor::protocol::{MAX_PACKET, Packet, Reply, Request, receive, send_request};
use crate::state::record::Health;
use crate::state::{Containers, StateError, Status};
use crate::sys::socket;

/// How often a state is looked at that nobody announces.
const INTERVAL: Duration = Duration::from_millis(50);

/// Waits for a container and returns its exit code: the latest one, 0 for one that never ran, -1 for a condition that is
/// not an end.
///
/// # Errors
/// No such container; a condition it cannot come to.
pub fn wait(engine: &Engine, container: &str, options: &WaitOptions) -> Result<i32, Error> {
    let containers = Containers::new(&engine.paths);
    let id = containers.find(container)?;
    for condition in &options.conditions {
        if matches!(condition, WaitCondition::Healthy | WaitCondition::Unhealthy) && containers.status(&id)?.run().is_none() {
            return Err(Error::Conflict(format!("container {container} does not run, so its health will not change")));
        }
    }
    let ends = options.conditions.is_empty() || options.conditions == [WaitCondition::Stopped];
    let interval = options.interval.unwrap_or(INTERVAL).max(Duration::from_millis(1));
    loop {
        let status = match containers.status(&id) {
            Ok(status) => status,
            Err(StateError::NotFound(_)) => return Ok(if options.conditions.contains(&WaitCondition::Removed) { -1 } else { 0 }),
            Err(error) => return Err(error.into()),
        };
        let health = if status.run().is_some() { health(engine, &id, &options.conditions) } else { None };
        if let Some(code) = reached(&status, health, &options.conditions) {
            return Ok(code);
        }
        if containers.read(&id).is_err_and(|error| matches!(error, StateError::NotFound(_))) {
            return Ok(-1);
        }
        if ends && let Some(code) = told(engine, &id) {
            return Ok(code);
        }
        sleep(if ends { Duration::from_millis(2) } else { interval });
    }
}

fn reached(status: &Status, health: Option<Health>, conditions: &[WaitCondition]) -> Option<i32> {
    let end = match status {
        Status::Exited(exit) => Some(exit.code),
        // docker's `not-running` is true of it.
        Status::Created => Some(0),
        Status::Running(_) | Status::Paused(_) | Status::Restarting(..) => None,
    };
    if conditions.is_empty() {
        return end;
    }
    conditions.iter().find_map(|condition| match (condition, status) {
        (WaitCondition::Stopped, Status::Exited(_)) => end,
        (WaitCondition::Created, Status::Created)
        | (WaitCondition::Running, Status::Running(_))
        | (WaitCondition::Paused, Status::Paused(_)) => Some(-1),
        (WaitCondition::Healthy, _) if health == Some(Health::Healthy) => Some(-1),
        (WaitCondition::Unhealthy, _) if health == Some(Health::Unhealthy) => Some(-1),
        // Its health will not change any more.
        (WaitCondition::Healthy | WaitCondition::Unhealthy, Status::Exited(_)) => end,
        _ => None,
    })
}

/// Its health, when that is waited for.
fn health(engine: &Engine, id: &str, conditions: &[WaitCondition]) -> Option<Health> {
    let asked = conditions.iter().any(|condition| matches!(condition, WaitCondition::Healthy | WaitCondition::Unhealthy));
    let record = asked.then(|| Containers::new(&engine.paths).read(id).ok()).flatten()?;
    super::health::word(engine, &record)
}

/// Asks the monitor, which answers when its container ends; none when there is nobody to ask any more.
fn told(engine: &Engine, id: &str) -> Option<i32> {
    let socket = socket::connect(&engine.paths.container_run(id).join("ctl")).ok()?;
    send_request(socket.as_fd(), &Request::Wait, &[]).ok()?;
    let mut buffer = vec![0; MAX_PACKET + 1];
    loop {
        match receive(socket.as_fd(), &mut buffer).ok()? {
            Packet::Reply(Reply::Exited { code }, _) => return Some(code),
            Packet::End => return None,
            Packet::Reply(..) | Packet::Output { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ExitRecord, RunRecord};

    #[test]
    fn an_end_is_what_is_waited_for_unless_said() {
        let running = Status::Running(RunRecord::default());
        let exited = Status::Exited(ExitRecord { code: 3, ..ExitRecord::default() });
        assert_eq!(reached(&exited, None, &[]), Some(3));
        assert_eq!(reached(&Status::Created, None, &[]), Some(0));
        assert_eq!(reached(&running, None, &[]), None);
        assert_eq!(reached(&running, None, &[WaitCondition::Stopped, WaitCondition::Running]), Some(-1));
        assert_eq!(reached(&exited, None, &[WaitCondition::Running]), None);
        assert_eq!(reached(&Status::Created, None, &[WaitCondition::Stopped]), None);
    }
}
