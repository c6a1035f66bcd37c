//! The container's standard streams: pipes or a terminal, to the log and to attached clients and back.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::log::Stream;
use super::protocol::{MAX_PACKET, kind};
use super::{Monitor, Source};
use crate::runtime::init::Stdio;

/// Our ends of a run's streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    /// The master of a terminal, instead of the three.
    pub(super) terminal: Option<OwnedFd>,
    /// Input the container has not taken yet.
    input: Vec<u8>,
    /// Nothing follows `input`.
    input_ended: bool,
}

/// Makes the pipes of a process: (ours, the container's). Without `interactive` its input is empty.
pub(super) fn pipes(interactive: bool) -> Result<(Streams, Stdio), Errno> {
    let (stdout, out) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, err) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stdin, ours) = if interactive {
        let (stdin, ours) = pipe_with(PipeFlags::CLOEXEC)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        (stdin, Some(ours))
    } else {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        (rustix::fs::open(c"/dev/null", flags, rustix::fs::Mode::empty())?, None)
    };
    for fd in [&stdout, &stderr] {
        rustix::io::ioctl_fionbio(fd, true)?;
    }
    let streams = Streams { stdin: ours, stdout: Some(stdout), stderr: Some(stderr), ..Streams::default() };
    Ok((streams, Stdio { stdin, stdout: out, stderr: err }))
}

impl Streams {
    /// Takes the master of the container's terminal.
    pub(super) fn set_terminal(&mut self, master: OwnedFd) {
        let _ = rustix::io::ioctl_fionbio(&master, true);
        self.terminal = Some(master);
    }

    /// The container has not taken earlier input yet.
    pub(super) fn input_waits(&self) -> bool {
        !self.input.is_empty()
    }

    /// What to poll: no output is read while a client is `clogged`.
    pub(super) fn interests(&self, clogged: bool) -> Vec<(BorrowedFd<'_>, PollFlags, Source)> {
        let mut all = Vec::with_capacity(3);
        if let Some(terminal) = &self.terminal {
            let mut flags = PollFlags::empty();
            if !clogged {
                flags |= PollFlags::IN;
            }
            if !self.input.is_empty() {
                all.push((terminal.as_fd(), PollFlags::OUT, Source::Stdin));
            }
            if !flags.is_empty() {
                all.push((terminal.as_fd(), flags, Source::Stdout));
            }
        }
        if !clogged {
            all.extend(self.stdout.as_ref().map(|fd| (fd.as_fd(), PollFlags::IN, Source::Stdout)));
            all.extend(self.stderr.as_ref().map(|fd| (fd.as_fd(), PollFlags::IN, Source::Stderr)));
        }
        if let Some(stdin) = self.stdin.as_ref().filter(|_| !self.input.is_empty()) {
            all.push((stdin.as_fd(), PollFlags::OUT, Source::Stdin));
        }
        all
    }

    /// Takes input from a client.
    pub(super) fn push_input(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        self.pump_input();
    }

    /// No more input will come.
    pub(super) fn end_input(&mut self) {
        self.input_ended = true;
        self.pump_input();
    }

    /// Writes as much input as the container takes.
    pub(super) fn pump_input(&mut self) {
        let Some(fd) = self.stdin.as_ref().or(self.terminal.as_ref()) else {
            self.input.clear();
            return;
        };
        let mut done = 0;
        while done < self.input.len() {
            match rustix::io::write(fd, &self.input[done..]) {
                Ok(written) => done += written,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(_) => {
                    // Nobody reads any more.
                    done = self.input.len();
                    self.stdin = None;
                    break;
                }
            }
        }
        self.input.drain(..done);
        if self.input.is_empty() && self.input_ended {
            self.stdin = None;
        }
    }
}

impl Monitor {
    /// Reads one packet's worth of output and hands it on.
    pub(super) fn read_output(&mut self, stream: Stream) {
        let _ = self.read_some(stream);
    }

    /// As [`Self::read_output`]; false when there was nothing now or never again.
    fn read_some(&mut self, stream: Stream) -> bool {
        let Some(running) = &mut self.running else { return false };
        let streams = &mut running.streams;
        let slot = match stream {
            Stream::Stdout if streams.terminal.is_some() => &mut streams.terminal,
            Stream::Stdout => &mut streams.stdout,
            Stream::Stderr => &mut streams.stderr,
        };
        let Some(fd) = slot else { return false };
        self.buffer.resize(MAX_PACKET + 1, 0);
        let size = match rustix::io::read(&*fd, &mut self.buffer[1..]) {
            Ok(0) => {
                *slot = None;
                return false;
            }
            Ok(size) => size,
            Err(Errno::AGAIN | Errno::INTR) => return false,
            // EIO is the end of a terminal.
            Err(_) => {
                *slot = None;
                return false;
            }
        };
        self.log.write(stream, &self.buffer[1..=size]);
        self.buffer[0] = if stream == Stream::Stderr { kind::STDERR } else { kind::STDOUT };
        for client in &mut self.clients {
            client.output(&self.buffer[..=size]);
        }
        true
    }

    /// The container takes input again.
    pub(super) fn write_input(&mut self) {
        if let Some(running) = &mut self.running {
            running.streams.pump_input();
        }
    }

    /// Reads what a container left behind at its end. Bounded: a descendant in the host's pid namespace may write on.
    pub(super) fn drain_output(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            for _ in 0..64 {
                while self.clients.iter().any(super::Client::is_clogged) {
                    if !self.flush_clients() {
                        break;
                    }
                }
                if !self.read_some(stream) {
                    break;
                }
            }
        }
        self.log.finish();
    }
}
