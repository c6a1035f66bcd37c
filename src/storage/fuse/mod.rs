//! kelp's own overlay file system, served from user space over FUSE.
//!
//! It shows lower directories merged under an upper one with the semantics of the kernel's overlay,
//! in formats the kernel's driver (`userxattr`) and containers/storage read, and shifts ids.
//!
//! Reading order: [`Options`], `node` (what the kernel knows), `overlay` (layers, and how a node's
//! real file is reached), `lookup`, `listing`, `copyup`, then one file for each group of changes;
//! `server` is the protocol, `turns` how many threads serve it and how they wait. System calls act on
//! directory descriptors, never follow a symbolic link, and never leave a layer. The layers must not be
//! changed by others while mounted.
//!
//! Known limits: no `O_TMPFILE` (`EOPNOTSUPP`; the protocol crate lacks the request); a file of a lower
//! layer with several names keeps together the names looked up while it is in use; a directory that is
//! not in the upper layer alone cannot be renamed (`EXDEV`), as with the kernel's overlay.

mod attr;
mod copyup;
mod create;
mod ids;
mod io;
mod listing;
mod lookup;
mod mount;
mod node;
mod options;
mod overlay;
mod remove;
mod rename;
mod server;
mod target;
mod turns;
mod whiteout;
mod xattr;

use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub use mount::{ROLE, Served, main, mount, mount_and_serve};
pub use options::{IdExtent, Options};
use rustix::io::Errno;

/// Why an overlay could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A word of the option string.
    #[error("mount option `{word}` {why}")]
    Option {
        /// The word.
        word: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Directories that do not go together.
    #[error("cannot make an overlay: {0}")]
    Layers(&'static str),
    /// A layer's directory.
    #[error("cannot {why} {}: {errno}", path.display())]
    Layer {
        /// The directory.
        path: PathBuf,
        /// What was tried.
        why: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// The mount.
    #[error("cannot {what} {}: {errno}{}", target.display(), hint(*errno))]
    Mount {
        /// Where.
        target: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the kernel said.
        errno: Errno,
    },
    /// The server, which has said why on standard error.
    #[error("the server of the overlay ended at once")]
    Server,
    /// The conversation with the kernel.
    #[error("the FUSE connection failed: {0}")]
    Session(#[from] std::io::Error),
}

fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM | Errno::ACCESS => " (mounting needs a user and mount namespace of one's own)",
        Errno::NOENT | Errno::NODEV | Errno::NXIO => " (is the `fuse` kernel module loaded?)",
        _ => "",
    }
}

/// Serves an overlay on `dev_fuse`, an open `/dev/fuse` whose file system is mounted or about to
/// be, until it is unmounted.
///
/// # Errors
/// [`Error`] if the layers cannot be opened or the kernel ends the session with an error.
pub fn serve(dev_fuse: OwnedFd, options: Options) -> Result<(), Error> {
    serve_when_ready(dev_fuse, options, || Ok(()))
}

/// Whether each thread can have a descriptor of its own: older kernels (6.1 still, 6.12 not) want all opened in one user namespace,
/// and ours comes from the container's. Where the version cannot be read, one is shared, which is only slower.
fn can_clone() -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 12)
}

/// Like [`serve`], and calls `ready` when the layers are open.
fn serve_when_ready(
    dev_fuse: OwnedFd,
    options: Options,
    ready: impl FnOnce() -> std::io::Result<()>,
) -> Result<(), Error> {
    // The caller's mask came with the request.
    rustix::process::umask(rustix::fs::Mode::empty());
    let threads = match options.threads {
        0 => std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 16)),
        asked => asked.min(64),
    };
    let mut config = fuser::Config::default();
    config.n_threads = Some(threads);
    config.clone_fd = can_clone();
    let turns = turns::Turns::new(dev_fuse.try_clone()?, threads);
    let server = server::Server::new(overlay::Overlay::new(options, turns)?);
    let notifier = server.notifier();
    ready()?;
    // The kernel checks permissions, for all users of the namespace.
    let session = fuser::Session::from_fd(server, dev_fuse, fuser::SessionACL::All, config)?;
    notifier.set(session.notifier()).ok();
    Ok(session.run()?)
}
