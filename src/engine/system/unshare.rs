//! `unshare`: a program as root of the user's namespace, where files of subordinate ids can be looked at and changed, and
//! where `mount` and `image mount` work; in the network of the containers of user networks, if asked.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::engine::container::inside;
use crate::engine::{Engine, Error};
use crate::network::holder::client;
use crate::network::slirp::SlirpNet;
use crate::spec::network::SlirpOptions;
use crate::state::files;
use crate::sys::mount::{attach, clone_tree, flag, set_propagation};
use crate::sys::process;

/// Becomes the program, or the user's shell, with a mount namespace of its own. Returns only when that fails.
pub fn unshare(engine: &Engine, command: &[OsString], network: bool) -> Error {
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
    if network && let Err(error) = enter_network(engine) {
        return error;
    }
    let error = Command::new(&program).args(args).exec();
    Error::Launch {
        step: "exec".to_owned(),
        exec: true,
        errno: error.raw_os_error().unwrap_or(libc::EIO),
        message: format!("cannot execute {}: {error}", program.display()),
    }
}

/// Enters the holder's network namespace for good: the connection that keeps it is inherited by the program. Names are
/// asked of the network's own server: one of the host's loopback cannot be reached from there.
fn enter_network(engine: &Engine) -> Result<(), Error> {
    let failed = |what: &str, reason: String| Error::Runtime { message: format!("cannot {what}: {reason}"), hint: None };
    let (netns, connection) = client::visit(&engine.paths.network_run()).map_err(|error| failed("enter the user networks", error.to_string()))?;
    let entered = process::setns(netns.as_fd(), process::NEWNET).and_then(|()| rustix::io::fcntl_setfd(&connection, rustix::io::FdFlags::empty()));
    entered.map_err(|errno| failed("enter the user networks", errno.to_string()))?;
    std::mem::forget(connection);
    let conf = engine.paths.run.join("visitor-resolv.conf");
    let server = SlirpNet::new(&SlirpOptions::default(), false).dns;
    files::write(&conf, format!("nameserver {server}\n").as_bytes()).map_err(|error| failed("name a server of names", error.to_string()))?;
    let mounted = CString::new(conf.into_os_string().into_encoded_bytes()).map_err(|_| rustix::io::Errno::INVAL).and_then(|conf| {
        let tree = clone_tree(rustix::fs::CWD, &conf, false)?;
        let place = File::open("/etc/resolv.conf").map_err(|error| rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO))?;
        attach(tree.as_fd(), place.as_fd())
    });
    // A host without the file resolves nothing either way.
    match mounted {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(errno) => Err(failed("put resolv.conf in place", errno.to_string())),
    }
}
