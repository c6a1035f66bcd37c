//! Terminals: a pair from the container's own devpts, and its size.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{Winsize, tcsetwinsize};

use crate::sys::root;

/// Opens a new pair from the devpts mounted at /dev/pts of `root`: (master, slave).
pub(super) fn open(root_fd: BorrowedFd<'_>, size: Option<(u16, u16)>) -> Result<(OwnedFd, OwnedFd), Errno> {
    let pts = root::open_no_links(root_fd, Path::new("/dev/pts"), OFlags::PATH | OFlags::DIRECTORY)?;
    let master = rustix::fs::openat(
        &pts,
        c"ptmx",
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )?;
    rustix::pty::unlockpt(&master)?;
    let slave = rustix::pty::ioctl_tiocgptpeer(
        &master,
        rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY | rustix::pty::OpenptFlags::CLOEXEC,
    )?;
    if let Some((rows, cols)) = size {
        set_size(master.as_fd(), rows, cols)?;
    }
    Ok((master, slave))
}

/// Sets the size; processes in the foreground get SIGWINCH.
pub fn set_size(terminal: BorrowedFd<'_>, rows: u16, cols: u16) -> Result<(), Errno> {
    tcsetwinsize(terminal, Winsize { ws_row: rows, ws_col: cols, ws_xpixel: 0, ws_ypixel: 0 })
}

/// Makes `slave` the standard streams and controlling terminal of this process, which must lead a session.
pub(super) fn adopt(slave: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::process::ioctl_tiocsctty(slave)?;
    stdio(slave, slave, slave)
}

/// Makes these descriptors 0, 1 and 2.
pub(super) fn stdio(stdin: BorrowedFd<'_>, stdout: BorrowedFd<'_>, stderr: BorrowedFd<'_>) -> Result<(), Errno> {
    rustix::stdio::dup2_stdin(stdin)?;
    rustix::stdio::dup2_stdout(stdout)?;
    rustix::stdio::dup2_stderr(stderr)
}
