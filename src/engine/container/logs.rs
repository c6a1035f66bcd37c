//! `logs`: what containers wrote, once or following along.
//!
//! Following waits for inotify events of the log file and for the end of the monitor, which writes it; a rotation shows
//! as another file under the same name.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::io::Errno;

use super::log_file::{LogFile, Printer, Selection, open_all};
use super::log_journal::Journal;
use crate::engine::options::LogsOptions;
use crate::engine::{Engine, Error};
use crate::format::time;
use crate::spec::container::LogDriver;
use crate::state::record::ContainerRecord;
use crate::state::{Containers, Status, live};
use crate::sys::process::pidfd_open;

pub use super::log_file::Output;

/// What stands before each line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogView {
    /// `-t`.
    pub timestamps: bool,
    /// The name of the container.
    pub names: Names,
    /// `--color`: each container's name in a colour of its own.
    pub color: bool,
    /// `--details`: what `--log-opt labels` and `env` name.
    pub details: bool,
}

/// How a container is named before its lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Names {
    /// Not at all.
    #[default]
    None,
    /// By its short id.
    Id,
    /// By its name.
    Name,
}

/// The view of one of several containers.
#[derive(Clone, Copy)]
struct Look {
    view: LogView,
    index: usize,
}

/// How often to look where nothing tells of a change.
const FALLBACK_MS: i64 = 1000;

/// One container's log.
struct Source {
    id: String,
    feed: Feed,
    printer: Printer,
    /// Ends with the monitor.
    monitor: Option<OwnedFd>,
    done: bool,
}

/// Where its lines are.
enum Feed {
    File {
        path: PathBuf,
        /// The file being read, if any was written yet.
        current: Option<LogFile>,
    },
    Journal(Journal),
}

impl Feed {
    /// As errors call it.
    fn path(&self) -> PathBuf {
        match self {
            Self::File { path, .. } => path.clone(),
            Self::Journal(_) => PathBuf::from("systemd's journal"),
        }
    }
}

/// Writes the logs of `containers` to `output`, one after the other, then follows all of them together.
///
/// # Errors
/// No such container; a log driver that keeps nothing to read; an output that is closed.
pub fn logs(
    engine: &Engine,
    containers: &[String],
    options: &LogsOptions,
    view: LogView,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let state = Containers::new(&engine.paths);
    let mut sources = containers
        .iter()
        .enumerate()
        .map(|(index, name)| source(engine, &state, name, options, Look { view, index }))
        .collect::<Result<Vec<_>, _>>()?;
    let mut buffer = Vec::new();
    let mut watch = if options.follow { Some(Watch::new()) } else { None };
    for source in &mut sources {
        if let Some(watch) = &mut watch {
            // Before the first read, so that nothing written in between goes unnoticed.
            if let Feed::File { path, .. } = &source.feed {
                watch.add(path);
            }
            source.monitor = monitor(&state, &source.id);
        }
        first(source, options.tail, &mut buffer, output).map_err(wrote(source.feed.path()))?;
    }
    let Some(mut watch) = watch else { return Ok(()) };
    loop {
        for source in sources.iter_mut().filter(|source| !source.done) {
            // Asked before the last read: what was written before the monitor's end is then read.
            let alive = is_writing(&state, source);
            let path = source.feed.path();
            match &mut source.feed {
                Feed::File { path, current } => more(path, current, &mut source.printer, &mut watch, &mut buffer, output),
                Feed::Journal(journal) => journal.more(!alive, &mut source.printer, output),
            }
            .map_err(wrote(path))?;
            source.done = !alive || source.printer.is_over();
        }
        let expired = options.until.is_some_and(|until| time::now() > until);
        if expired || sources.iter().all(|source| source.done) {
            return Ok(());
        }
        watch.wait(&sources, options.until)?;
    }
}

fn wrote(path: PathBuf) -> impl FnOnce(io::Error) -> Error {
    Error::io("show log", path)
}

fn source(
    engine: &Engine,
    state: &Containers<'_>,
    name: &str,
    options: &LogsOptions,
    look: Look,
) -> Result<Source, Error> {
    let id = state.find(name)?;
    let record = state.read(&id)?;
    let feed = match record.spec.logging.driver {
        LogDriver::K8sFile => {
            let path = record.spec.logging.path.clone().unwrap_or_else(|| engine.paths.log(&id));
            Feed::File { path, current: None }
        }
        LogDriver::Journald => Feed::Journal(Journal::new(&id)),
        driver @ (LogDriver::None | LogDriver::Passthrough) => {
            return Err(Error::Conflict(format!(
                "{name} has no log to read: it was created with --log-driver {}",
                driver.name()
            )));
        }
    };
    let mut prefix = match look.view.names {
        Names::None => String::new(),
        Names::Id => id.get(..12).unwrap_or(&id).to_owned(),
        Names::Name => record.name.clone(),
    };
    if !prefix.is_empty() {
        if look.view.color {
            // The six colours of ECMA-48 that are neither black nor white.
            prefix = format!("\x1b[{}m{prefix}\x1b[0m", 31 + look.index % 6);
        }
        prefix.push(' ');
    }
    let selection = Selection {
        since: options.since,
        until: options.until,
        timestamps: look.view.timestamps,
        prefix: prefix.into_bytes(),
        details: if look.view.details { details(&record).into_bytes() } else { Vec::new() },
    };
    Ok(Source { id, feed, printer: Printer::new(selection), monitor: None, done: false })
}

/// `KEY=VALUE,…` and a blank; nothing when nothing is to be told, as docker has it.
fn details(record: &ContainerRecord) -> String {
    let spec = &record.spec.logging;
    let labels = spec.labels.iter().filter_map(|key| Some((key, record.config.labels.get(key)?.as_str())));
    let variable = |name: &String| {
        record.config.env.iter().find_map(|entry| entry.split_once('=').filter(|(key, _)| key == name)).map(|(_, value)| value)
    };
    let env = spec.env.iter().filter_map(|name| Some((name, variable(name)?)));
    let all: Vec<String> = labels.chain(env).map(|(key, value)| format!("{key}={value}")).collect();
    if all.is_empty() { String::new() } else { format!("{} ", all.join(",")) }
}

/// Prints what is there, or the end of it.
fn first(source: &mut Source, tail: Option<u64>, buffer: &mut Vec<u8>, output: &mut Output<'_>) -> io::Result<()> {
    let (path, current) = match &mut source.feed {
        Feed::File { path, current } => (path, current),
        Feed::Journal(journal) => return journal.print(tail, &mut source.printer, output),
    };
    let mut files = open_all(path)?;
    let mut start = 0;
    if let Some(mut left) = tail {
        let mut open = [false; 2];
        start = files.len();
        for (index, file) in files.iter_mut().enumerate().rev() {
            start = index;
            if file.seek_last(&mut left, &mut open)? {
                break;
            }
        }
    }
    for file in files.iter_mut().skip(start) {
        file.print(&mut source.printer, buffer, output)?;
        if source.printer.is_over() {
            break;
        }
    }
    *current = files.pop();
    Ok(())
}

/// Prints what came since, over rotations.
fn more(
    path: &Path,
    current: &mut Option<LogFile>,
    printer: &mut Printer,
    watch: &mut Watch,
    buffer: &mut Vec<u8>,
    output: &mut Output<'_>,
) -> io::Result<()> {
    loop {
        if let Some(current) = current {
            // Looked at first: once it is another file, nothing more is written to ours.
            let same = current.is_current(path);
            current.print(printer, buffer, output)?;
            if same || printer.is_over() {
                return Ok(());
            }
        }
        let mut newer = match current {
            Some(current) => current.newer(path)?,
            None => open_all(path)?,
        };
        if newer.is_empty() {
            // Between the rename and the first line of the next file.
            return Ok(());
        }
        watch.add(path);
        let last = newer.pop();
        for file in &mut newer {
            file.print(printer, buffer, output)?;
        }
        *current = last;
    }
}

/// A descriptor that tells the end of the monitor.
fn monitor(state: &Containers<'_>, id: &str) -> Option<OwnedFd> {
    let status = state.status(id).ok()?;
    let monitor = status.run()?.monitor;
    let pidfd = pidfd_open(monitor.pid).ok()?;
    live::alive(monitor).then_some(pidfd)
}

/// Whether more may come. A container that was never started is waited for, as docker does.
fn is_writing(state: &Containers<'_>, source: &mut Source) -> bool {
    match state.status(&source.id) {
        Ok(Status::Created) => state.read(&source.id).is_ok(),
        Ok(Status::Exited(_)) | Err(_) => false,
        Ok(Status::Running(_) | Status::Paused(_) | Status::Restarting(..)) => {
            if source.monitor.is_none() {
                source.monitor = monitor(state, &source.id);
            }
            true
        }
    }
}

/// Waiting for changes of files and the end of processes.
struct Watch {
    inotify: Option<OwnedFd>,
}

impl Watch {
    fn new() -> Self {
        Self { inotify: inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).ok() }
    }

    fn add(&mut self, path: &Path) {
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::MOVE_SELF | inotify::WatchFlags::ATTRIB;
        let added = self.inotify.as_ref().is_some_and(|fd| inotify::add_watch(fd, path, flags).is_ok());
        // Not written yet: its coming shows in the directory.
        if !added
            && let (Some(fd), Some(parent)) = (&self.inotify, path.parent())
        {
            let _ = inotify::add_watch(fd, parent, inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO);
        }
    }

    fn wait(&self, sources: &[Source], until: Option<i64>) -> Result<(), Error> {
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(1 + 2 * sources.len());
        fds.extend(self.inotify.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        for source in sources.iter().filter(|source| !source.done) {
            fds.extend(source.monitor.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
            if let Feed::Journal(journal) = &source.feed {
                fds.extend(journal.fd().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
            }
        }
        // Without a monitor to watch (a container yet to start), or with a file system that sends no events, look again.
        let unwritten = |source: &Source| matches!(source.feed, Feed::File { current: None, .. });
        let blind = sources.iter().any(|source| !source.done && (source.monitor.is_none() || unwritten(source)));
        let mut wait = if blind { 100 } else { FALLBACK_MS };
        if let Some(until) = until {
            wait = wait.min(until.saturating_sub(time::now()) / 1_000_000 + 1).max(1);
        }
        let timeout = Timespec { tv_sec: wait / 1000, tv_nsec: wait % 1000 * 1_000_000 };
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::Internal(format!("wait for log lines: {errno}"))),
        }
        if let Some(fd) = &self.inotify {
            let mut events = [0_u8; 4096];
            while matches!(rustix::io::read(fd.as_fd(), &mut events), Ok(count) if count > 0) {}
        }
        Ok(())
    }
}
