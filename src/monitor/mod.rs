//! The process beside each container: starts it, keeps its streams and log, answers clients, records its end, restarts
//! or removes it. One thread and one loop; as small as can be, since there is one per running container.
//!
//! It holds the container's lock as long as it lives: that is what "running" means. It runs as root of the user's
//! namespace, in the host's network namespace, from a read-only view of its binary. When it dies, its children die
//! (parent-death signals), and the next command reads what is left as an end that was lost.

mod clients;
pub mod health;
mod life;
mod links;
mod log;
mod network;
pub mod protocol;
mod streams;

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use crate::state::container::{Lock, RECALL};
use crate::state::{Containers, ExitRecord, Paths, RunRecord, StateError};
use crate::sys::{process, socket};
use clients::Client;
use log::Log;
use protocol::{Reply, Start};

/// The first argument that makes this binary a monitor.
pub const ROLE: &str = "__monitor";

/// The first argument that makes this binary the supervisor of a container in single-id mode, and that role.
pub use crate::runtime::fakes::{ROLE as IDS_ROLE, main as ids_main};

/// A monitor at work.
struct Monitor {
    start: Start,
    paths: Paths,
    record: RunRecord,
    clients: Vec<Client>,
    listener: OwnedFd,
    signals: OwnedFd,
    log: Log,
    running: Option<life::Running>,
    join: Option<OwnedFd>,
    passthrough: Vec<OwnedFd>,
    /// What the program gets on 3 and up.
    preserved: Vec<OwnedFd>,
    /// Listening sockets inherited from systemd.
    sockets: Vec<OwnedFd>,
    /// Sockets of published ports between two runs.
    listeners: crate::network::ports::Listeners,
    /// slirp4netns after the end, not reaped yet.
    helper: Option<i32>,
    helper_reaped: bool,
    /// Another is started then.
    helper_at: Option<Instant>,
    helper_started: Option<Instant>,
    helper_tries: u32,
    /// The holder of the user networks ended: another is reached then.
    holder_at: Option<Instant>,
    holder_reached: Option<Instant>,
    holder_tries: u32,
    /// Containers it is linked to.
    links: links::Links,
    /// The servers of FUSE mounts.
    file_servers: Vec<i32>,
    /// Answers system calls of a container in single-id mode.
    supervisor: Option<crate::runtime::fakes::Supervisor>,
    /// SIGKILL follows the stop signal then.
    kill_at: Option<Instant>,
    /// The time allowed by `--timeout` is over then.
    timeout_at: Option<Instant>,
    timed_out: bool,
    /// The restart policy starts it again then.
    restart_at: Option<Instant>,
    started_at: Instant,
    delay: std::time::Duration,
    /// The user ended it: no restart.
    stopped: bool,
    remove_volumes: bool,
    last_exit: ExitRecord,
    checks: health::Checks,
    /// It became unhealthy, and is to be started again whatever its policy.
    unhealthy_restart: bool,
    over: bool,
    buffer: Vec<u8>,
    lock: Lock,
}

/// The role: reads [`Start`] from descriptor 3 and stays until the container is over.
pub fn main() -> ExitCode {
    process::one_malloc_arena();
    let Some(socket) = process::inherited_fd(3) else { return ExitCode::FAILURE };
    process::close_from(4);
    if let Ok(null) = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    let _ = rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC);
    let Some((start, fds)) = receive_start(&socket) else { return ExitCode::FAILURE };
    match Monitor::open(start, fds, &socket) {
        Ok(mut monitor) => {
            monitor.clients.push(Client::starter(socket, monitor.start.attached));
            monitor.begin();
            monitor.run();
            ExitCode::SUCCESS
        }
        Err(refusal) => {
            let _ = protocol::send_reply(socket.as_fd(), &refusal, &[]);
            ExitCode::FAILURE
        }
    }
}

fn refused(message: String) -> Reply {
    Reply::Error { message }
}

/// The request of the command that started us; `None` when it went away instead.
fn receive_start(socket: &OwnedFd) -> Option<(Start, Vec<OwnedFd>)> {
    let mut fds = Vec::new();
    let mut kind = [0_u8; 1];
    let size = socket::receive(socket.as_fd(), &mut kind, &mut fds, true).ok()?;
    if size != 1 || kind[0] != protocol::kind::START || fds.is_empty() {
        return None;
    }
    let file = std::fs::File::from(fds.remove(0));
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).ok()?;
    let start = serde_json::from_reader(std::io::BufReader::with_capacity(16 << 10, file)).ok()?;
    Some((start, fds))
}

/// Takes the container's lock. A command that works on it (`cp`, `rm`), and a monitor that has told of its container's end,
/// are waited for as long as the command that asks is there; a monitor with a container to look after is not.
fn lock_after_predecessor(containers: &Containers<'_>, id: &str, asker: &OwnedFd) -> Result<Lock, Reply> {
    let runs = || containers.run_record(id).is_some();
    let lock = match containers.wait_lock(id, || runs() || is_closed(asker)) {
        Err(StateError::Busy(_)) if runs() => return Err(Reply::Running),
        other => other.map_err(|error| refused(error.to_string()))?,
    };
    if !containers.paths().container(id).exists() {
        drop(std::fs::remove_dir_all(containers.paths().container_run(id)));
        return Err(refused(removed(id)));
    }
    // One whose monitor was killed would look like ours.
    drop(std::fs::remove_file(containers.paths().container_run(id).join("run.json")));
    Ok(lock)
}

/// What a start says of a container that `rm` was faster with.
pub fn removed(name: &str) -> String {
    format!("container {} was removed while it was being started", if name.len() == 64 { &name[..12] } else { name })
}

fn is_closed(socket: &OwnedFd) -> bool {
    let mut poll = [PollFd::new(socket, PollFlags::empty())];
    let now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut poll, Some(&now)).is_ok() && poll[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
}

fn listen(dir: &std::path::Path) -> Result<OwnedFd, String> {
    let dir = rustix::fs::open(dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| format!("cannot open {}: {error}", dir.display()))?;
    socket::listen(dir.as_fd(), "ctl").map_err(|error| format!("cannot listen: {error}"))
}

impl Monitor {
    fn open(start: Start, mut fds: Vec<OwnedFd>, asker: &OwnedFd) -> Result<Self, Reply> {
        let paths = Paths {
            data: start.data.clone(),
            run: start.run.clone(),
            config: start.data.clone(),
            state: start.data.clone(),
            cache: start.data.clone(),
        };
        let containers = Containers::new(&paths);
        // Without it, who has another runtime directory does not find the container: no reason not to start it.
        drop(paths.claim_run(&start.id));
        let lock = lock_after_predecessor(&containers, &start.id, asker)?;
        let listener = listen(&paths.container_run(&start.id)).map_err(refused)?;
        // SIGTERM and SIGINT come at logout or from a batch system: the container is stopped in order.
        let signals = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, RECALL];
        let signals = process::signal_fd(&signals).map_err(|error| refused(format!("signalfd: {error}")))?;
        let log = Log::open(&log::LogOptions {
            driver: start.log_driver,
            path: &start.log,
            max_size: start.log_size,
            max_files: start.log_files,
            tag: &start.tag,
            id: &start.id,
            name: &start.name,
        })
        .map_err(refused)?;
        let _ = process::become_subreaper();
        let join = (start.joins && !fds.is_empty()).then(|| fds.remove(0));
        let sockets = fds.split_off(fds.len().saturating_sub(start.sockets));
        let preserved = fds.split_off(fds.len().saturating_sub(start.preserved));
        Ok(Self {
            record: RunRecord::default(),
            clients: Vec::new(),
            listener,
            signals,
            log,
            running: None,
            join,
            passthrough: fds,
            preserved,
            sockets,
            listeners: crate::network::ports::Listeners::default(),
            helper: None,
            helper_reaped: false,
            helper_at: None,
            helper_started: None,
            helper_tries: 0,
            holder_at: None,
            holder_reached: None,
            holder_tries: 0,
            links: links::Links::default(),
            file_servers: Vec::new(),
            supervisor: None,
            kill_at: None,
            timeout_at: None,
            timed_out: false,
            restart_at: None,
            started_at: Instant::now(),
            delay: life::FIRST_DELAY,
            stopped: false,
            remove_volumes: false,
            last_exit: ExitRecord::default(),
            checks: health::Checks::default(),
            unhealthy_restart: false,
            over: false,
            buffer: Vec::new(),
            lock,
            paths,
            start,
        })
    }

    /// Makes what is in the runtime directory anew if somebody has removed it; the container does not notice.
    fn come_back(&mut self) {
        use std::os::unix::fs::MetadataExt as _;
        let run = self.paths.container_run(&self.start.id);
        let inode = |meta: std::io::Result<std::fs::Metadata>| meta.map(|meta| (meta.dev(), meta.ino())).ok();
        if inode(std::fs::metadata(run.join("lock"))) == inode(self.lock.file().metadata()) {
            return;
        }
        // Who asks may hold it for a moment.
        let begun = Instant::now();
        let patience = std::time::Duration::from_secs(1);
        let Ok(lock) = Containers::new(&self.paths).wait_lock(&self.start.id, || begun.elapsed() > patience) else { return };
        let Ok(listener) = listen(&run) else { return };
        (self.lock, self.listener) = (lock, listener);
        drop(crate::state::files::write_json(&run.join("run.json"), &self.record));
        // The holder of its networks cannot be found by others any more either.
        if self.running.as_ref().is_some_and(|running| running.network.as_ref().is_some_and(|net| net.holder_fd().is_some())) {
            drop(self.plug_again());
        }
    }

    fn run(&mut self) {
        while !self.over {
            self.wait();
            self.check_deadlines();
        }
        self.farewell();
    }

    /// Waits for something to happen and handles all of it.
    fn wait(&mut self) {
        let timeout = self.next_deadline();
        let clogged = self.clients.iter().any(Client::is_clogged);
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
        let mut sources = vec![Source::Signals, Source::Listener];
        let full = self.running.as_ref().is_some_and(|running| running.streams.input_waits());
        for (index, client) in self.clients.iter().enumerate() {
            for (fd, flags, what) in client.interests(full) {
                fds.push(PollFd::from_borrowed_fd(fd, flags));
                sources.push(Source::Client(index, what));
            }
        }
        if let Some(fd) = self.running.as_ref().and_then(|running| running.network.as_ref()?.holder_fd()) {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
            sources.push(Source::Holder);
        }
        if let Some(fd) = self.links.fd() {
            fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
            sources.push(Source::Links);
        }
        if let Some(running) = &self.running {
            for (fd, flags, source) in running.streams.interests(clogged) {
                fds.push(PollFd::from_borrowed_fd(fd, flags));
                sources.push(source);
            }
        }
        if let Some(output) = self.checks.output_fd() {
            fds.push(PollFd::from_borrowed_fd(output, PollFlags::IN));
            sources.push(Source::Check);
        }
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // Out of memory: the next round may have some.
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(10)),
        }
        let ready: Vec<Source> = fds
            .iter()
            .zip(&sources)
            .filter(|(fd, _)| !fd.revents().is_empty())
            .map(|(_, source)| *source)
            .collect();
        drop(fds);
        // Output before signals: what a program wrote before it ended is read before its end is told.
        for source in &ready {
            match *source {
                Source::Stdout => self.read_output(log::Stream::Stdout),
                Source::Stderr => self.read_output(log::Stream::Stderr),
                Source::Stdin => self.write_input(),
                Source::Check => self.checks.read_output(),
                Source::Signals | Source::Listener | Source::Holder | Source::Links | Source::Client(..) => {}
            }
        }
        for source in ready {
            match source {
                Source::Signals => self.handle_signals(),
                Source::Listener => self.accept(),
                Source::Holder => self.holder_ended(),
                Source::Links => self.links_changed(),
                Source::Client(index, what) => self.handle_client(index, what),
                Source::Stdout | Source::Stderr | Source::Stdin | Source::Check => {}
            }
        }
        self.clients.retain(|client| !client.is_gone());
    }

    fn next_deadline(&self) -> Option<Timespec> {
        let next = [self.kill_at, self.timeout_at, self.restart_at, self.holder_at, self.helper_at, self.checks.deadline()];
        let next = next.into_iter().flatten().min()?;
        let left = next.saturating_duration_since(Instant::now());
        Some(Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() })
    }
}

/// What woke the loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Signals,
    Listener,
    Holder,
    Links,
    Stdout,
    Stderr,
    Stdin,
    /// What a health check prints.
    Check,
    Client(usize, clients::Wake),
}

