//! Transient scopes: a cgroup of our own, made and later removed by the service manager, around processes that exist.

use std::time::Duration;

use super::BusError;
use super::bus::{Connection, MANAGER};
use super::message::{ERROR, Message, RETURN, SIGNAL, Target, Writer};

/// A scope to start.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    /// Unit name, ending in `.scope`.
    pub name: &'a str,
    /// Shown by `systemctl status`.
    pub description: &'a str,
    /// The processes it starts with; they leave their cgroups.
    pub pids: &'a [u32],
    /// The slice it belongs to, unless the manager's default.
    pub slice: Option<&'a str>,
}

/// A scope asked for.
#[derive(Debug)]
pub struct PendingScope {
    connection: Connection,
    name: String,
    call: u32,
}

/// Asks for a scope whose subtree is ours (`Delegate=yes`). The calling process must be outside of its user namespace.
/// Everything, [`PendingScope::wait`] included, fails after `timeout`.
///
/// # Errors
/// No manager, or it does not talk to us.
pub fn start_scope(scope: &Scope<'_>, timeout: Duration) -> Result<PendingScope, BusError> {
    start_on(Connection::open(timeout)?, scope)
}

fn start_on(mut connection: Connection, scope: &Scope<'_>) -> Result<PendingScope, BusError> {
    let mut body = Writer::default();
    body.string(scope.name);
    body.string("fail");
    body.array(8, |all| {
        all.property("Description", "s", |value| value.string(scope.description));
        all.property("Delegate", "b", |value| value.u32(1));
        // A scope that failed (its processes were killed) goes too: nothing of it would be left to look at.
        all.property("CollectMode", "s", |value| value.string("inactive-or-failed"));
        if let Some(slice) = scope.slice {
            all.property("Slice", "s", |value| value.string(slice));
        }
        all.property("PIDs", "au", |value| value.array(4, |pids| scope.pids.iter().for_each(|pid| pids.u32(*pid))));
    });
    body.array(8, |_| {});
    let call = connection.call(MANAGER, "StartTransientUnit", "ssa(sv)a(sa(sv))", body)?;
    Ok(PendingScope { connection, name: scope.name.to_owned(), call })
}

/// Whether the unit's cgroup is left to its processes (`Delegate=`). The user's manager, unlike the system's, does not
/// mark the directory.
///
/// # Errors
/// No manager, no such unit.
pub fn is_delegated(unit: &str, timeout: Duration) -> Result<bool, BusError> {
    let mut connection = Connection::open(timeout)?;
    let mut name = Writer::default();
    name.string(unit);
    let call = connection.call(MANAGER, "GetUnit", "s", name)?;
    let found = answer(&mut connection, call)?;
    let path = found.body().string().ok_or(BusError::Garbled)?.to_owned();
    let interface = if unit.ends_with(".scope") { "org.freedesktop.systemd1.Scope" } else { "org.freedesktop.systemd1.Service" };
    let mut which = Writer::default();
    which.string(interface);
    which.string("Delegate");
    let target = Target { path: &path, interface: "org.freedesktop.DBus.Properties", ..MANAGER };
    let call = connection.call(target, "Get", "ss", which)?;
    let value = answer(&mut connection, call)?;
    let mut body = value.body();
    match (body.signature(), body.u32()) {
        (Some("b"), Some(value)) => Ok(value == 1),
        _ => Err(BusError::Garbled),
    }
}

/// Waits for the answer to a call.
fn answer(connection: &mut Connection, call: u32) -> Result<Message, BusError> {
    loop {
        let message = connection.next()?;
        if message.reply_to == call && message.kind == ERROR {
            let text = message.body().string().unwrap_or_default().to_owned();
            return Err(BusError::Call { name: message.error, message: text });
        }
        if message.reply_to == call && message.kind == RETURN {
            return Ok(message);
        }
    }
}

impl PendingScope {
    /// Waits until the processes are in the scope.
    ///
    /// # Errors
    /// The manager's refusal, a job that failed, no answer in time.
    pub fn wait(mut self) -> Result<(), BusError> {
        let mut job: Option<String> = None;
        // A job may be over before its call is answered.
        let mut over: Vec<(String, String)> = Vec::new();
        loop {
            let message = self.connection.next()?;
            let mut body = message.body();
            match message.kind {
                ERROR if message.reply_to == self.call => {
                    let text = body.string().unwrap_or_default().to_owned();
                    return Err(BusError::Call { name: message.error, message: text });
                }
                RETURN if message.reply_to == self.call => {
                    job = Some(body.string().ok_or(BusError::Garbled)?.to_owned());
                }
                SIGNAL if message.member == "JobRemoved" => {
                    let read = body.u32().and_then(|_| body.string()).zip(body.string()).zip(body.string());
                    let ((path, _unit), result) = read.ok_or(BusError::Garbled)?;
                    over.push((path.to_owned(), result.to_owned()));
                }
                _ => {}
            }
            let Some(job) = &job else { continue };
            if let Some((_, result)) = over.iter().find(|(path, _)| path == job) {
                return match result.as_str() {
                    "done" => Ok(()),
                    _ => Err(BusError::Job { unit: self.name, result: result.clone() }),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::systemd::message::{self, Message, Target};

    /// A manager that answers one call with `answers`, each made from the call's serial number.
    fn manager(by_uid: bool, answers: fn(u32) -> Vec<Vec<u8>>) -> Result<(), BusError> {
        let dir = std::env::temp_dir().join(format!("kelp-bus-{}-{by_uid}-{answers:p}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join("private");
        drop(std::fs::remove_file(&path));
        let listener = UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut said = Vec::new();
            let mut byte = [0_u8];
            while !said.ends_with(b"BEGIN\r\n") {
                assert_eq!(stream.read(&mut byte).unwrap(), 1);
                said.push(byte[0]);
            }
            if by_uid {
                assert!(said.starts_with(b"\0AUTH EXTERNAL 3"));
                stream.write_all(b"OK 1234\r\n").unwrap();
            } else {
                assert_eq!(said, b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
                stream.write_all(b"DATA\r\nOK 1234\r\n").unwrap();
            }
            let mut bytes = vec![0; 64 << 10];
            let mut size = 0;
            while size < message::FIXED || message::size(&bytes[..size]).is_none_or(|whole| whole > size) {
                size += stream.read(&mut bytes[size..]).unwrap();
            }
            assert_eq!(Message::parse(&bytes[..size]).unwrap().member, "StartTransientUnit");
            for answer in answers(1) {
                stream.write_all(&answer).unwrap();
            }
        });
        let connection = Connection::to(&path, Duration::from_secs(10), by_uid).unwrap();
        let scope = Scope { name: "a.scope", description: "a", pids: &[1], slice: Some("b.slice") };
        let result = start_on(connection, &scope).unwrap().wait();
        server.join().unwrap();
        std::fs::remove_dir_all(dir).unwrap();
        result
    }

    fn answer(kind: u8, serial: u32, text: &str) -> Vec<u8> {
        let mut body = Writer::default();
        body.string(text);
        let body = body.into_bytes();
        let mut writer = Writer::default();
        [b'l', kind, 0, 1].into_iter().for_each(|byte| writer.byte(byte));
        writer.u32(u32::try_from(body.len()).unwrap());
        writer.u32(77);
        writer.array(8, |fields| {
            fields.byte(5);
            fields.signature("u");
            fields.u32(serial);
            fields.align(8);
            fields.byte(8);
            fields.signature("g");
            fields.signature("s");
        });
        writer.align(8);
        [writer.into_bytes(), body].concat()
    }

    fn removed(job: &str, result: &str) -> Vec<u8> {
        let mut body = Writer::default();
        body.u32(1);
        body.string(job);
        body.string("a.scope");
        body.string(result);
        let target = Target { destination: "org.x", path: "/x", interface: "org.x" };
        let mut bytes = message::call(9, target, "JobRemoved", "uoss", body);
        bytes[1] = SIGNAL;
        bytes
    }

    #[test]
    fn the_end_of_the_job_is_awaited() {
        assert!(manager(true, |serial| vec![removed("/x/7", "failed"), answer(RETURN, serial, "/x/8"), removed("/x/8", "done")]).is_ok());
    }

    #[test]
    fn a_job_may_be_over_before_the_answer() {
        assert!(manager(false, |serial| vec![removed("/x/8", "done"), answer(RETURN, serial, "/x/8")]).is_ok());
    }

    #[test]
    fn failures_are_told() {
        let failed = manager(true, |serial| vec![answer(RETURN, serial, "/x/8"), removed("/x/8", "failed")]);
        assert!(matches!(failed, Err(BusError::Job { result, .. }) if result == "failed"));
        let refused = manager(true, |serial| vec![answer(ERROR, serial, "no")]);
        assert!(matches!(refused, Err(BusError::Call { message, .. }) if message == "no"));
        assert!(matches!(manager(true, |_| Vec::new()), Err(BusError::Io(_))));
    }
}
