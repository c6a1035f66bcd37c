//! `exec`: a further process in a running container, started by its monitor, with streams that go straight to the
//! caller: pipes, or a terminal of the container's.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use crate::engine::options::ExecOptions;
use crate::engine::{Engine, Error};
use crate::monitor::protocol::{self, MAX_PACKET, Packet, Reply, Request};
use crate::runtime::Step;
use crate::runtime::fakes::OneId;
use crate::runtime::plan::Process;
use crate::spec::caps::CapSet;
use crate::spec::security::SecurityOpts;
use crate::state::{ContainerRecord, Containers, Status};
use crate::userns::IdMap;

use super::attach::{Detacher, Terminal, connect, keys, not_running, send, written};
use super::signals::{self, Meaning, Signals};
use super::start::preserved;
use super::{plan, words};

/// Runs a process; its exit code, or `None` when it was left alone (`-d`, detach keys).
///
/// # Errors
/// When the container is not running, or the process could not be started.
pub fn exec(engine: &Engine, name: &str, options: &ExecOptions) -> Result<Option<i32>, Error> {
    if options.command.is_empty() {
        return Err(Error::Usage("exec needs a command to run".to_owned()));
    }
    let (record, socket) = connect(engine, name)?;
    let mut terminal = Terminal::open(options.tty && !options.detach, options.interactive)?;
    let process = process_of(engine, &record, options, terminal.size())?;
    let keys = keys(engine, options.detach_keys.as_deref())?;
    let (ours, theirs) = streams(options)?;
    let preserved = preserved(options.preserve_fds)?;
    let request = Request::Exec { process: Box::new(process.clone()), detach: options.detach, preserved: preserved.len() };
    let fds: Vec<_> = theirs.iter().chain(&preserved).map(AsFd::as_fd).collect();
    send(&socket, &request, &fds, name)?;
    drop(fds);
    drop((theirs, preserved));
    let mut relay = Relay {
        socket,
        streams: ours,
        input_open: options.interactive,
        pending: Vec::new(),
        detacher: Detacher::new(if options.tty { &keys } else { &[] }),
        stdout_gone: None,
    };
    let mut buffer = vec![0; MAX_PACKET + 1];
    loop {
        let packet = protocol::receive(relay.socket.as_fd(), &mut buffer)
            .map_err(|errno| Error::Internal(format!("the monitor cannot be heard: {errno}")))?;
        match packet {
            Packet::Reply(Reply::Terminal, Some(master)) => relay.streams = Direct::terminal(master),
            Packet::Reply(Reply::Started { .. }, _) if options.detach => return Ok(None),
            Packet::Reply(Reply::Started { .. }, _) => break,
            // Its namespaces go while we come.
            Packet::Reply(Reply::Failed(failure), _) if failure.step == Step::Join => return Err(not_running(name)),
            Packet::Reply(Reply::Failed(failure), _) => return Err(words::exec(&failure, &process, map_of(engine, &record))),
            Packet::Reply(Reply::Error { message }, _) => return Err(Error::Conflict(message)),
            Packet::Reply(Reply::Exited { code }, _) => {
                return relay.ended(code);
            }
            Packet::End => return Err(not_running(name)),
            Packet::Reply(..) | Packet::Output { .. } => {}
        }
    }
    let signals = Signals::take(options.tty, false)?;
    if options.interactive {
        terminal.raw();
    }
    let code = relay.run(&signals, &terminal, &mut buffer);
    drop(terminal);
    code
}

/// The container's own process with what `exec` says instead; privileges are the container's, not the host's.
pub(super) fn process_of(
    engine: &Engine,
    record: &ContainerRecord,
    options: &ExecOptions,
    size: Option<(u16, u16)>,
) -> Result<Process, Error> {
    let security = SecurityOpts::parse(&record.spec.security.options).map_err(|error| Error::Usage(error.to_string()))?;
    let privileged = options.privileged || record.spec.security.privileged;
    let caps = if options.privileged { CapSet::ALL } else { plan::capabilities(record, engine)? };
    let mut env = record.config.env.clone();
    if options.tty && !env.iter().any(|entry| entry.starts_with("TERM=")) {
        env.push("TERM=xterm".to_owned());
    }
    for (key, value) in &options.env {
        env.retain(|entry| entry.split('=').next() != Some(key));
        env.extend(value.iter().map(|value| format!("{key}={value}")));
    }
    if let Some(dir) = options.workdir.as_deref().filter(|dir| !dir.starts_with('/')) {
        return Err(Error::Usage(format!("the working directory \"{dir}\" is invalid, it needs to be an absolute path")));
    }
    Ok(Process {
        argv: options.command.clone(),
        env,
        cwd: options.workdir.clone().unwrap_or_else(|| record.config.workdir.clone()),
        user: options.user.clone().unwrap_or_else(|| record.config.user.clone()),
        groups: record.spec.process.groups.clone(),
        tty: options.tty,
        size,
        caps: caps.bits(),
        ambient: plan::ambient(record)?.bits(),
        no_new_privs: security.no_new_privileges,
        seccomp: plan::filter(&security.seccomp, privileged, caps, engine)?,
        rlimits: plan::limits(engine, &record.spec.security.ulimits)?,
        umask: record.spec.process.umask.unwrap_or(0o022),
        oom_score_adj: None,
        make_cwd: false,
        init: false,
        one_id: one_id(engine, record)?,
    })
}

/// The ids a running container has.
fn map_of(engine: &Engine, record: &ContainerRecord) -> IdMap {
    let status = Containers::new(&engine.paths).status(&record.id).ok();
    let init = status.as_ref().and_then(Status::run).and_then(|run| run.init);
    init.and_then(|init| IdMap::of_process(&init.pid.to_string())).unwrap_or_default()
}

/// As the container's first process has it; its ids are those of the namespace it lives in.
fn one_id(engine: &Engine, record: &ContainerRecord) -> Result<Option<OneId>, Error> {
    let status = Containers::new(&engine.paths).status(&record.id)?;
    // That of its monitor, whatever namespace a new one would be started in.
    let monitor = status.run().and_then(|run| IdMap::of_process(&run.monitor.pid.to_string()));
    let user_map = monitor.unwrap_or_else(|| crate::userns::expected(&engine.paths.run));
    if !user_map.is_single() {
        return Ok(None);
    }
    let init = status.run().and_then(|run| run.init);
    let map = init.and_then(|init| IdMap::of_process(&init.pid.to_string())).unwrap_or(user_map.clone());
    super::one_id::of(engine, record, &user_map, &map)
}

/// Our ends of the process's streams.
#[derive(Debug, Default)]
struct Direct {
    input: Option<OwnedFd>,
    output: Option<OwnedFd>,
    errors: Option<OwnedFd>,
    is_terminal: bool,
}

impl Direct {
    fn terminal(master: OwnedFd) -> Self {
        let input = master.try_clone().ok();
        let _ = rustix::io::ioctl_fionbio(&master, true);
        Self { input, output: Some(master), errors: None, is_terminal: true }
    }
}

/// Pipes for the process: ours, and the three it gets. Pipes even where the caller's own descriptors would do: those
/// lead to files and terminals that are none of a container's business.
fn streams(options: &ExecOptions) -> Result<(Direct, Vec<OwnedFd>), Error> {
    if options.tty || options.detach {
        return Ok((Direct::default(), Vec::new()));
    }
    let failed = |errno: Errno| Error::Internal(format!("pipe: {errno}"));
    let (output, stdout) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let (errors, stderr) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
    let (input, stdin) = if options.interactive {
        let (stdin, input) = pipe_with(PipeFlags::CLOEXEC).map_err(failed)?;
        rustix::io::ioctl_fionbio(&input, true).map_err(failed)?;
        (Some(input), stdin)
    } else {
        let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
        (None, rustix::fs::open(c"/dev/null", flags, rustix::fs::Mode::empty()).map_err(failed)?)
    };
    for fd in [&output, &errors] {
        rustix::io::ioctl_fionbio(fd, true).map_err(failed)?;
    }
    let ours = Direct { input, output: Some(output), errors: Some(errors), is_terminal: false };
    Ok((ours, vec![stdin, stdout, stderr]))
}

struct Relay<'a> {
    socket: OwnedFd,
    streams: Direct,
    input_open: bool,
    /// Input the process has not taken yet.
    pending: Vec<u8>,
    detacher: Detacher<'a>,
    /// Why output is no longer written.
    stdout_gone: Option<Errno>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Monitor,
    Signals,
    Stdin,
    Output,
    Errors,
    Input,
}

impl Relay<'_> {
    fn run(&mut self, signals: &Signals, terminal: &Terminal, buffer: &mut [u8]) -> Result<Option<i32>, Error> {
        if !self.input_open {
            self.streams.input = None;
        }
        loop {
            for source in self.wait(signals)? {
                match source {
                    Source::Monitor => match protocol::receive(self.socket.as_fd(), buffer) {
                        Ok(Packet::Reply(Reply::Exited { code }, _)) => {
                            return self.ended(code);
                        }
                        Ok(Packet::End) | Err(_) => {
                            self.drain();
                            return Err(Error::Conflict("the container ended before the process did".to_owned()));
                        }
                        Ok(_) => {}
                    },
                    Source::Signals => self.signals(signals, terminal),
                    Source::Stdin => {
                        if self.read_input(terminal) {
                            return Ok(None);
                        }
                    }
                    Source::Output => drop(self.copy_output(false)),
                    Source::Errors => drop(self.copy_output(true)),
                    Source::Input => self.write_input(),
                }
            }
        }
    }

    fn signals(&self, signals: &Signals, terminal: &Terminal) {
        while let Some((signal, meaning)) = signals.next() {
            if meaning == Meaning::End {
                signals::end_by(signal, terminal);
            } else if let (Some((rows, cols)), Some(master)) = (terminal.size(), &self.streams.output) {
                let _ = crate::runtime::set_terminal_size(master.as_fd(), rows, cols);
            }
        }
    }

    fn wait(&self, signals: &Signals) -> Result<Vec<Source>, Error> {
        let streams = &self.streams;
        let stdin = rustix::stdio::stdin();
        let mut wanted = vec![
            (Source::Monitor, Some(self.socket.as_fd()), PollFlags::IN),
            (Source::Signals, Some(signals.as_fd()), PollFlags::IN),
            (Source::Output, streams.output.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (Source::Errors, streams.errors.as_ref().map(AsFd::as_fd), PollFlags::IN),
        ];
        wanted.push(if self.pending.is_empty() {
            (Source::Stdin, self.input_open.then_some(stdin), PollFlags::IN)
        } else {
            (Source::Input, streams.input.as_ref().map(AsFd::as_fd), PollFlags::OUT)
        });
        wanted.retain(|(_, fd, _)| fd.is_some());
        let mut fds: Vec<PollFd<'_>> =
            wanted.iter().filter_map(|(_, fd, flags)| Some(PollFd::from_borrowed_fd((*fd)?, *flags))).collect();
        match poll(&mut fds, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::Internal(format!("poll: {errno}"))),
        }
        let mut ready: Vec<Source> =
            fds.iter().zip(&wanted).filter(|(fd, _)| !fd.revents().is_empty()).map(|(_, (source, ..))| *source).collect();
        // The end comes after the last output.
        ready.sort_by_key(|source| *source == Source::Monitor);
        Ok(ready)
    }

    /// Copies one chunk of output; false when there is none now.
    fn copy_output(&mut self, errors: bool) -> bool {
        let slot = if errors { &mut self.streams.errors } else { &mut self.streams.output };
        let Some(fd) = slot else { return false };
        let mut chunk = [0_u8; 64 << 10];
        match rustix::io::read(&*fd, &mut chunk) {
            Ok(size) if size > 0 => {
                if let Err(errno) = write_all(errors, &chunk[..size]) {
                    // Nobody gets it: the process gets SIGPIPE at its next write.
                    *slot = None;
                    if !errors {
                        self.stdout_gone = Some(errno);
                    }
                }
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            Ok(_) | Err(_) => {
                *slot = None;
                false
            }
        }
    }

    fn drain(&mut self) {
        while self.copy_output(false) {}
        while self.copy_output(true) {}
    }

    fn ended(&mut self, code: i32) -> Result<Option<i32>, Error> {
        self.drain();
        written(self.stdout_gone, code).map(Some)
    }

    /// Reads what the user gives; true when these were the detach keys.
    fn read_input(&mut self, terminal: &Terminal) -> bool {
        let mut bytes = [0_u8; 32 << 10];
        match rustix::io::read(rustix::stdio::stdin(), &mut bytes) {
            Ok(0) | Err(Errno::IO) => {
                if self.streams.is_terminal {
                    signals::end_if_hung_up(terminal);
                }
                self.input_open = false;
                if !self.streams.is_terminal {
                    self.streams.input = None;
                }
            }
            Ok(size) => match self.detacher.feed(&bytes[..size]) {
                Some(typed) => {
                    self.pending = typed;
                    self.write_input();
                }
                None => return true,
            },
            Err(_) => {}
        }
        false
    }

    fn write_input(&mut self) {
        let Some(fd) = &self.streams.input else {
            self.pending.clear();
            return;
        };
        while !self.pending.is_empty() {
            match rustix::io::write(fd, &self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.pending.clear();
                    self.streams.input = None;
                    self.input_open = false;
                    return;
                }
            }
        }
    }
}

fn write_all(errors: bool, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let fd = if errors { rustix::stdio::stderr() } else { rustix::stdio::stdout() };
        match rustix::io::write(fd, bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::OUT)], None);
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
