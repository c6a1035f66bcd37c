//! `stop`, `kill`, `restart`, `pause`, `unpause`: requests to a container's monitor.

use std::os::fd::{AsFd, OwnedFd};

use crate::engine::options::{StartOptions, StopOptions};
use crate::engine::{Engine, Error};
use crate::monitor::protocol::{self, MAX_PACKET, Packet, Reply, Request};
use crate::spec::signal;
use crate::state::{Containers, Status};

use super::attach::connect;

/// Sends a request and waits for its answer; the monitor's end is an answer too.
pub(in crate::engine) fn ask(socket: &OwnedFd, request: &Request) -> Result<(), Error> {
    // A monitor that has just gone answers with its end.
    let _ = protocol::send_request(socket.as_fd(), request, &[]);
    let mut buffer = vec![0; MAX_PACKET + 1];
    loop {
        match protocol::receive(socket.as_fd(), &mut buffer) {
            Ok(Packet::Reply(Reply::Error { message }, _)) => return Err(Error::Conflict(message)),
            Ok(Packet::Reply(..) | Packet::End) => return Ok(()),
            Ok(Packet::Output { .. }) => {}
            Err(errno) => return Err(Error::Internal(format!("the monitor cannot be heard: {errno}"))),
        }
    }
}

pub(super) fn signal_number(text: &str) -> Result<i32, Error> {
    signal::parse(text).ok_or_else(|| Error::Usage(format!("invalid signal \"{text}\": give a name or number of signal(7)")))
}

/// Ends a container; one that is not running is fine. False when its time ran out and it was killed.
///
/// # Errors
/// No such container, bad signal.
pub fn stop(engine: &Engine, name: &str, options: &StopOptions) -> Result<(), Error> {
    let entry = Containers::new(&engine.paths).get(name)?;
    if entry.status.run().is_none() {
        return Ok(());
    }
    let signal = options.signal.as_deref().map(signal_number).transpose()?;
    let Ok((_, socket)) = connect(engine, name) else { return Ok(()) };
    ask(&socket, &Request::Stop { signal, timeout: seconds(options.timeout), remove: false, volumes: false })
}

/// docker's -1 is for ever; ours ends after a century.
pub(super) fn seconds(timeout: Option<i64>) -> Option<u32> {
    timeout.map(|seconds| u32::try_from(seconds).unwrap_or(u32::MAX))
}

/// Sends a signal to process 1 of a running container.
///
/// # Errors
/// Not running, bad signal.
pub fn kill(engine: &Engine, name: &str, signal: &str) -> Result<(), Error> {
    let number = signal_number(signal)?;
    let (record, socket) = connect(engine, name).map_err(|error| match error {
        Error::Conflict(_) => Error::Conflict(format!("cannot kill container {name}: it is not running")),
        other => other,
    })?;
    let stop = number == libc::SIGKILL || number == record.config.stop_signal;
    ask(&socket, &Request::Signal { signal: number, stop })?;
    if number == libc::SIGKILL {
        wait_end(engine, &record.id);
    }
    Ok(())
}

/// Waits until the monitor of a killed container has recorded its end.
fn wait_end(engine: &Engine, id: &str) {
    if let Ok((_, socket)) = connect(engine, id) {
        drop(ask(&socket, &Request::Wait));
    }
}

/// Stops and starts again.
///
/// # Errors
/// As `stop` and `start`.
pub fn restart(engine: &Engine, name: &str, options: &StopOptions) -> Result<(), Error> {
    let entry = Containers::new(&engine.paths).get(name)?;
    stop(engine, &entry.record.id, options)?;
    super::start::start(engine, &entry.record.id, &StartOptions::default()).map(drop)
}

/// Freezes all processes of a running container, or thaws them.
///
/// # Errors
/// Not running, already so, or no cgroup to do it with.
pub fn pause(engine: &Engine, name: &str, freeze: bool) -> Result<(), Error> {
    let entry = Containers::new(&engine.paths).get(name)?;
    match (&entry.status, freeze) {
        (Status::Paused(_), true) => return Err(Error::Conflict(format!("container {name} is already paused"))),
        (Status::Running(_), false) => return Err(Error::Conflict(format!("container {name} is not paused"))),
        _ => {}
    }
    let (_, socket) = connect(engine, name)?;
    ask(&socket, &Request::Pause { freeze })
}
