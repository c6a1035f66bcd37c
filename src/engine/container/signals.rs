//! Signals to a command that waits for a container: those passed on, and those that end the command, its terminal as it
//! was before. Taken before the terminal is made raw, so that none finds it raw and unguarded.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::termios::tcgetattr;

use crate::engine::Error;
use crate::sys::process;

use super::attach::Terminal;

/// What a signal means to the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The terminal has another size.
    Resize,
    /// It is for the container.
    Pass,
    /// It ends the command, as it would have without us.
    End,
}

/// The signals taken, as a descriptor to wait for.
#[derive(Debug)]
pub(super) struct Signals {
    fd: OwnedFd,
    terminal: bool,
    proxy: bool,
}

impl Signals {
    /// `terminal`: ours may be raw and has to be put back; `proxy`: the container gets them.
    pub(super) fn take(terminal: bool, proxy: bool) -> Result<Self, Error> {
        let taken: Vec<i32> = (1..=64)
            .filter(|&signal| match meaning(signal, terminal, proxy) {
                Some(Meaning::End) => !process::is_ignored(signal),
                Some(Meaning::Resize | Meaning::Pass) => true,
                None => false,
            })
            .collect();
        let fd = process::signal_fd(&taken).map_err(|errno| Error::Internal(format!("signalfd: {errno}")))?;
        Ok(Self { fd, terminal, proxy })
    }

    /// The next one that came, if any.
    pub(super) fn next(&self) -> Option<(i32, Meaning)> {
        let signal = process::read_signal(self.fd.as_fd())?;
        meaning(signal, self.terminal, self.proxy).map(|meaning| (signal, meaning))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn meaning(signal: i32, terminal: bool, proxy: bool) -> Option<Meaning> {
    match signal {
        libc::SIGWINCH => Some(Meaning::Resize),
        // About the command itself, or not to be caught.
        libc::SIGKILL | libc::SIGSTOP | libc::SIGCHLD | libc::SIGPIPE | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU => None,
        // A crash of ours is not the container's.
        libc::SIGSEGV | libc::SIGBUS => terminal.then_some(Meaning::End),
        _ if proxy => Some(Meaning::Pass),
        libc::SIGCONT | libc::SIGURG => None,
        _ => terminal.then_some(Meaning::End),
    }
}

/// Ends this command by `signal`; returns when that is ignored.
pub(super) fn end_by(signal: i32, terminal: &Terminal) {
    terminal.restore();
    process::raise_unblocked(signal);
}

/// Ends this command when its terminal has hung up: nobody can type or read there any more.
pub(super) fn end_if_hung_up(terminal: &Terminal) {
    let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    if streams.iter().any(|fd| tcgetattr(fd).is_err_and(|errno| errno == Errno::IO)) {
        end_by(libc::SIGHUP, terminal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_changes_nothing_for_what_is_passed_on() {
        for signal in [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2, 40] {
            for terminal in [false, true] {
                assert_eq!(meaning(signal, terminal, true), Some(Meaning::Pass), "{signal}");
            }
            assert_eq!(meaning(signal, true, false), Some(Meaning::End), "{signal}");
            assert_eq!(meaning(signal, false, false), None, "{signal}");
        }
        assert_eq!(meaning(libc::SIGWINCH, true, true), Some(Meaning::Resize));
        assert_eq!(meaning(libc::SIGSEGV, true, true), Some(Meaning::End));
        assert_eq!(meaning(libc::SIGCHLD, true, true), None);
        assert_eq!(meaning(libc::SIGCONT, true, false), None);
    }
}
