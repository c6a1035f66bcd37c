//! The holder: one process per user, there while any container is on a user network.
//!
//! It owns a network namespace below the user's namespace with a bridge per network, its own slirp4netns as the way
//! out, masquerade towards it, and the name server of every bridge. A container's end of a veth is put into the
//! container's namespace; nothing of a network passes through a process but what leaves the host.
//!
//! - [`client`]: how monitors and commands reach it, and how it comes to be.
//! - [`protocol`]: what is said.
//! - `server`: the loop that answers.
//! - `bridges`: networks and the links of containers in the kernel.
//! - `outside`: what is done in the host's network namespace.
//!
//! # Crash-only
//! It keeps no file. Its socket is made by who starts it; addresses are recorded by the monitors ([`crate::state::lease`]).
//! When it dies the kernel takes the namespace with all links, the monitors see their connections end, one of them starts
//! another, and each plugs its container in again, with the same addresses and hardware addresses as before.
//!
//! # Isolation
//! Packets between networks are refused by routing rules, one per bridge, not by a packet filter: the one filter rule there
//! is, masquerade, is only met by what leaves by the tap. See `bridges`.

mod bridges;
pub mod client;
mod outside;
pub mod protocol;
mod server;

use std::process::ExitCode;

use crate::network::masquerade::masquerade;
use crate::network::netlink::Netlink;
use crate::network::resolver::{Options, Resolver, SharedZones};
use crate::sys::process;

/// The first argument that makes this binary a holder.
pub const ROLE: &str = "__holder";

/// Whether the kernel can do what the holder needs of it, tried in a network namespace of the calling process's own. Call
/// as root of the user's namespace in a process that has nothing else to do.
///
/// # Errors
/// What it cannot, in words.
pub fn probe() -> Result<(), String> {
    process::unshare(process::NEWNET).map_err(|errno| format!("cannot make a network namespace: {errno}"))?;
    let mut netlink = Netlink::open(0).map_err(|error| error.to_string())?;
    netlink.create_bridge("probe", [2, 0x42, 0, 0, 0, 1], 1500).map_err(|error| error.to_string())?;
    masquerade("lo", false).map_err(|error| error.to_string())
}

/// The role: serves the listening socket that is its standard input until no container is left.
pub fn main() -> ExitCode {
    process::one_malloc_arena();
    let Some(listener) = process::inherited_fd(0) else { return ExitCode::FAILURE };
    process::close_from(3);
    let _ = rustix::process::chdir("/");
    // Started here, where the host's name servers can be asked.
    let zones = SharedZones::default();
    let Ok(resolver) = Resolver::start(zones.clone(), Options::default()) else { return ExitCode::FAILURE };
    let (outside, orders) = outside::pair();
    let thread = std::thread::Builder::new().name("networks".into()).stack_size(256 << 10).spawn(move || {
        server::run(listener, outside, zones, resolver);
    });
    let Ok(thread) = thread else { return ExitCode::FAILURE };
    outside::serve(&orders);
    let ended = thread.join();
    // The listening socket is closed by now.
    if let Some(run) = std::env::args_os().nth(2) {
        client::sweep(run.as_ref());
    }
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
