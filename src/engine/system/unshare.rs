//! `unshare`: a program as root of the user's namespace, where files of subordinate ids can be looked at and changed, and
//! where `mount` and `image mount` work.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::engine::container::inside;
use crate::engine::{Engine, Error};
use crate::sys::mount::{flag, set_propagation};

/// Becomes the program, or the user's shell, with a mount namespace of its own. Returns only when that fails.
pub fn unshare(engine: &Engine, command: &[OsString]) -> Error {
    let shell = || std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    let (program, args) = match command.split_first() {
        Some((program, args)) => (program.clone(), args),
        None => (shell(), &[][..]),
    };
    if let Err(error) = inside::become_root(engine, true) {
        return error;
    }
    // What the host mounts and unmounts from now on shows here; nothing of ours shows there.
    if let Err(errno) = set_propagation(c"/", flag::REC | flag::SLAVE) {
        return Error::Runtime { message: format!("cannot make a mount namespace: {errno}"), hint: None };
    }
    let error = Command::new(&program).args(args).exec();
    Error::Launch {
        step: "exec".to_owned(),
        exec: true,
        errno: error.raw_os_error().unwrap_or(libc::EIO),
        message: format!("cannot execute {}: {error}", program.display()),
    }
}
