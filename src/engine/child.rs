//! Work inside the user's namespace in a child process: for commands that must themselves stay outside, and for work
//! that starts threads.

use std::sync::atomic::{AtomicBool, Ordering};

use super::container::inside::become_root;
use super::{Engine, Error};

/// What a child that worked inside sends back when it failed.
#[derive(serde::Serialize, serde::Deserialize)]
struct Sent {
    what: String,
    name: String,
    message: String,
    hint: Option<String>,
}

/// This process is such a child: further work inside needs no other.
static INSIDE: AtomicBool = AtomicBool::new(false);

/// Does `work` as root of the user's namespace in a child process, so that this one stays what it is. The child may
/// start threads. Its result, or its error with kind and words, comes back.
pub(crate) fn in_child<T: serde::Serialize + serde::de::DeserializeOwned>(
    engine: &Engine,
    mounts: bool,
    work: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    use std::io::{Read, Write};
    if INSIDE.load(Ordering::SeqCst) {
        return work();
    }
    let failed = |errno: rustix::io::Errno| Error::Internal(format!("cannot start a helper process: {errno}"));
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    match crate::sys::process::fork().map_err(failed)? {
        None => {
            drop(ours);
            let _ = crate::sys::prctl::set_parent_death_signal(libc::SIGTERM);
            INSIDE.store(true, Ordering::SeqCst);
            let result = become_root(engine, mounts).and_then(|_| work()).map_err(|error| pack(&error));
            let text = serde_json::to_vec(&result).unwrap_or_default();
            let sent = std::fs::File::from(theirs).write_all(&text);
            crate::sys::process::exit_now(i32::from(sent.is_err()));
        }
        Some(child) => {
            drop(theirs);
            let mut text = Vec::new();
            let read = std::fs::File::from(ours).read_to_end(&mut text);
            let ended = crate::sys::process::wait_for(child);
            read.map_err(|error| Error::Internal(format!("cannot hear a helper process: {error}")))?;
            match serde_json::from_slice::<Result<T, Sent>>(&text) {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(sent)) => Err(unpack(sent)),
                Err(_) => Err(Error::Internal(format!("a helper process died: {ended:?}"))),
            }
        }
    }
}

fn pack(error: &Error) -> Sent {
    let (what, name) = match error {
        Error::NotFound { what, name } => ((*what).to_owned(), name.clone()),
        other => (format!("{:?}", other.kind()), String::new()),
    };
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if !message.contains(&text) {
            message.push_str(": ");
            message.push_str(&text);
        }
        cause = inner.source();
    }
    Sent { what, name, message, hint: error.hint().map(str::to_owned) }
}

fn unpack(sent: Sent) -> Error {
    let Sent { what, name, message, hint } = sent;
    match what.as_str() {
        "image" => Error::NotFound { what: "image", name },
        "container" => Error::NotFound { what: "container", name },
        "volume" => Error::NotFound { what: "volume", name },
        "Usage" => Error::Usage(message),
        "Conflict" => Error::Conflict(message),
        "Registry" => Error::Registry(message),
        "Network" => Error::Network(message),
        "Storage" => Error::Storage(message),
        "Denied" => Error::Denied { message, hint: hint.unwrap_or_default() },
        _ => Error::Runtime { message, hint },
    }
}
