//! The containers of a user: find, list, create, lock, tell their status.
//!
//! `containers/ID/` holds `container.json`, `exit.json`, `noticed` (of an end nobody recorded) and the container's layer
//! (`upper`, `work`); the runtime directory's `c/ID16/` holds `lock`, `run.json` and the control socket, and is found by the
//! link `containers/ID/run`. A container under construction is a directory without `container.json`; nobody sees it, and
//! `gc` removes it once its creator is gone.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::record::{ContainerRecord, ExitRecord, ProcessId, RunRecord, Status, VERSION};
use super::{Paths, StateError, files, live, names};
use crate::sys::identity;

/// Asks a monitor to make its lock, socket and record in the runtime directory anew if they are gone.
pub const RECALL: i32 = libc::SIGUSR1;
/// Between two looks whether it has.
const RECALL_PAUSE: Duration = Duration::from_millis(5);
/// A monitor answers at once, unless the machine is very busy.
const RECALL_TRIES: usize = 400;

/// What a monitor leaves in the store at each start.
#[derive(Debug, Default, PartialEq, Eq)]
struct LastStart {
    /// Nanoseconds since 1970; 0 is never.
    time: i64,
    /// Who looks after it, if the machine is still the same.
    monitor: Option<ProcessId>,
}

impl LastStart {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let time = words.next()?.parse().ok()?;
        let mut monitor = || {
            let monitor = ProcessId { pid: words.next()?.parse().ok()?, start: words.next()?.parse().ok()? };
            (words.next()? == identity::boot_id()).then_some(monitor)
        };
        Some(Self { time, monitor: monitor() })
    }
}

/// A container that was started, is not running, and left no record of its end: its monitor was killed, or the machine
/// stopped.
fn lost(started: i64, finished: i64) -> ExitRecord {
    ExitRecord {
        version: VERSION,
        code: 137,
        started,
        finished,
        error: "lost: the container's monitor or the machine stopped before its end could be recorded".to_owned(),
        ..ExitRecord::default()
    }
}

/// The containers below one set of [`Paths`].
#[derive(Debug, Clone, Copy)]
pub struct Containers<'a> {
    paths: &'a Paths,
}

/// A container with what it is doing.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its record.
    pub record: ContainerRecord,
    /// Read from facts, just now.
    pub status: Status,
}

/// The right to change a container, held until dropped.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// The descriptor that carries the lock; a child that inherits it holds the lock too.
    pub fn file(&self) -> &File {
        &self.file
    }
}

impl<'a> Containers<'a> {
    /// The containers below `paths`.
    pub fn new(paths: &'a Paths) -> Self {
        Self { paths }
    }

    /// The paths given at [`Self::new`].
    pub fn paths(&self) -> &'a Paths {
        self.paths
    }

    /// Makes the directory of a new container; its record follows with [`Self::commit`]. Until then the file is to be
    /// kept: its lock tells others that the maker lives.
    pub fn begin(&self, id: &str) -> Result<(PathBuf, File), StateError> {
        let dir = self.paths.container(id);
        match private_dir(&dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                files::make_private_dir(&self.paths.containers())?;
                private_dir(&dir).map_err(StateError::io("create", &dir))?;
            }
            other => other.map_err(StateError::io("create", &dir))?,
        }
        let file = File::open(&dir).map_err(StateError::io("open", &dir))?;
        // Where directories cannot be locked, their age alone protects new ones.
        let _ = flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive);
        Ok((dir, file))
    }

    /// Writes (or replaces) the record; from now on the container exists.
    pub fn commit(&self, record: &ContainerRecord) -> Result<(), StateError> {
        files::write_json(&self.paths.container(&record.id).join("container.json"), record)
    }

    /// Takes the lock, or says who cannot: [`StateError::Busy`] when a monitor or another command has it.
    pub fn lock(&self, id: &str) -> Result<Lock, StateError> {
        let file = self.lock_file(id)?;
        match flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock { file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StateError::Busy(id.get(..12).unwrap_or(id).to_owned())),
            Err(errno) => Err(StateError::io("lock", self.paths.container_run(id).join("lock"))(errno.into())),
        }
    }

    /// Waits for the lock until `enough` says so, which is then [`StateError::Busy`]. Who is waited for lives: the lock of
    /// a dead process is free.
    pub fn wait_lock(&self, id: &str, mut enough: impl FnMut() -> bool) -> Result<Lock, StateError> {
        let mut pause = Duration::from_millis(1);
        loop {
            match self.lock(id) {
                Err(StateError::Busy(_)) if !enough() => std::thread::sleep(pause),
                other => return other,
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Waits until nobody else starts the container. Its monitor is not asked for: this ends when the start has.
    pub fn turn_to_start(&self, id: &str) -> Result<File, StateError> {
        let dir = self.paths.container_run(id);
        files::make_private_dir(&dir)?;
        let file = File::open(&dir).map_err(StateError::io("open", &dir))?;
        // Where directories cannot be locked, the monitor of the second is refused.
        while flock(file.as_fd(), FlockOperation::LockExclusive) == Err(rustix::io::Errno::INTR) {}
        Ok(file)
    }

    /// The open lock file, unlocked, with the runtime directory made if need be.
    pub fn lock_file(&self, id: &str) -> Result<File, StateError> {
        let path = self.paths.container_run(id).join("lock");
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                files::make_private_dir(&self.paths.container_run(id))?;
                open().map_err(StateError::io("open lock", &path))
            }
            other => other.map_err(StateError::io("open lock", &path)),
        }
    }

    /// Whether somebody holds the lock.
    pub fn is_locked(&self, id: &str) -> bool {
        let Ok(file) = File::open(self.paths.container_run(id).join("lock")) else { return false };
        flock(file.as_fd(), FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
    }

    /// Whether a monitor has the container, running or not yet.
    pub fn is_looked_after(&self, id: &str) -> bool {
        self.is_locked(id) || self.recall(id, &self.last_start(id)).is_some()
    }

    /// What the container is doing now.
    pub fn status(&self, id: &str) -> Result<Status, StateError> {
        let locked = self.is_locked(id);
        let run = if locked { self.run_record(id) } else { None };
        let exit = || files::read_json::<ExitRecord>(&self.paths.container(id).join("exit.json"));
        let running = |run: RunRecord| match run.init {
            Some(_) if run.paused => Status::Paused(run),
            Some(_) => Status::Running(run),
            None => Status::Restarting(run, exit().ok().flatten().unwrap_or_default()),
        };
        if let Some(run) = run {
            return Ok(running(run));
        }
        let last = self.last_start(id);
        // Also when the latest run has ended: a restart policy may be about to begin another one.
        if let Some(run) = if locked { None } else { self.recall(id, &last) } {
            return Ok(running(run));
        }
        match exit() {
            Ok(Some(record)) if record.finished >= last.time => Ok(Status::Exited(record)),
            Ok(other) if last.time == 0 => Ok(other.map_or(Status::Created, Status::Exited)),
            Ok(_) | Err(StateError::Damaged { .. }) if !locked => Ok(Status::Exited(lost(last.time, self.lost_at(id, &last)))),
            Ok(other) => Ok(other.map_or(Status::Created, Status::Exited)),
            Err(error) => Err(error),
        }
    }

    /// When a lost container ended, as well as can be known. After a restart of the machine: when it last wrote something, its
    /// log or its addresses. In the same boot, where that may be long ago: when somebody first looked, noted in a file for
    /// whoever looks later.
    fn lost_at(&self, id: &str, last: &LastStart) -> i64 {
        let dir = self.paths.container(id);
        let written = |path: PathBuf| path.metadata().map(|meta| meta.mtime() * 1_000_000_000 + meta.mtime_nsec()).ok();
        let now = crate::format::time::now();
        let sign = || {
            let written = [self.paths.log(id), dir.join(super::lease::FILE)].into_iter().filter_map(written);
            // Somebody else's clock, on a shared file system.
            written.filter(|time| *time <= now).fold(last.time, i64::max)
        };
        if last.monitor.is_none() {
            return sign();
        }
        let path = dir.join("noticed");
        let noted = || {
            let text = files::read(&path).ok()??;
            let (start, time) = std::str::from_utf8(&text).ok()?.trim().split_once(' ')?;
            (start.parse() == Ok(last.time)).then(|| time.parse().ok())?
        };
        let note = || files::write(&path, format!("{} {now}\n", last.time).as_bytes()).map(|()| now.max(last.time)).ok();
        // A store that cannot be written has the signs alone.
        noted().or_else(note).unwrap_or_else(sign)
    }

    /// The run record of this boot, damaged or foreign ones being none.
    pub fn run_record(&self, id: &str) -> Option<RunRecord> {
        let run = files::read_json::<RunRecord>(&self.paths.container_run(id).join("run.json")).ok()??;
        (run.boot == identity::boot_id()).then_some(run)
    }

    /// The latest start, by the `started` file a monitor leaves in the data directory.
    fn last_start(&self, id: &str) -> LastStart {
        let path = self.paths.container(id).join("started");
        let text = files::read(&path).ok().flatten();
        let written = text.and_then(|text| LastStart::parse(std::str::from_utf8(&text).ok()?));
        // Of one that says nothing its own time tells.
        let made = || path.metadata().ok().map(|meta| LastStart { time: meta.mtime() * 1_000_000_000 + meta.mtime_nsec(), monitor: None });
        written.or_else(made).unwrap_or_default()
    }

    /// Leaves word of a start, and of who looks after it.
    ///
    /// # Errors
    /// A full disk.
    pub fn write_start(&self, id: &str, time: i64, monitor: ProcessId) -> Result<(), StateError> {
        let text = format!("{time} {} {} {}\n", monitor.pid, monitor.start, identity::boot_id());
        let path = self.paths.container(id).join("started");
        files::write(&path, text.as_bytes()).or_else(|error| {
            // A full disk still has room for a file with nothing in it: it was started.
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&path).map(drop).map_err(|_| error)
        })
    }

    /// A container whose lock nobody holds may run all the same: its runtime directory was removed, at a logout or by who
    /// cleans /tmp. Its monitor is asked to come back, to the caller's runtime directory.
    fn recall(&self, id: &str, last: &LastStart) -> Option<RunRecord> {
        let monitor = last.monitor.filter(|monitor| live::works(*monitor))?;
        self.paths.claim_run(id).ok()?;
        crate::sys::process::kill(monitor.pid, RECALL);
        for _ in 0..RECALL_TRIES {
            std::thread::sleep(RECALL_PAUSE);
            if let Some(run) = self.run_record(id).filter(|_| self.is_locked(id)) {
                return Some(run);
            }
            if !live::works(monitor) {
                break;
            }
        }
        None
    }

    /// The record of an id given in full.
    pub fn read(&self, id: &str) -> Result<ContainerRecord, StateError> {
        let path = self.paths.container(id).join("container.json");
        let record: ContainerRecord =
            files::read_json(&path)?.ok_or_else(|| StateError::NotFound(id.to_owned()))?;
        if record.version > VERSION {
            return Err(StateError::Damaged { path, reason: format!("written by a newer kelp ({})", record.version) });
        }
        Ok(record)
    }

    /// The full id for a name, an id or an unambiguous prefix of one. A name wins over a prefix, as in docker.
    pub fn find(&self, text: &str) -> Result<String, StateError> {
        let text = text.strip_prefix('/').unwrap_or(text);
        if names::check(text).is_err() {
            return Err(StateError::NotFound(text.to_owned()));
        }
        if let Some(id) = names::holder(&self.paths.data, text) {
            return Ok(id);
        }
        if !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(StateError::NotFound(text.to_owned()));
        }
        let mut found: Option<String> = None;
        for id in self.ids()? {
            if id.starts_with(text) {
                if found.is_some() {
                    return Err(StateError::Ambiguous(text.to_owned()));
                }
                found = Some(id);
            }
        }
        found.ok_or_else(|| StateError::NotFound(text.to_owned()))
    }

    /// [`Self::find`], then its record and status.
    pub fn get(&self, text: &str) -> Result<Entry, StateError> {
        let id = self.find(text)?;
        let record = self.read(&id)?;
        let status = self.status(&id)?;
        Ok(Entry { record, status })
    }

    /// All ids that have a record, unsorted.
    pub fn ids(&self) -> Result<Vec<String>, StateError> {
        let dir = self.paths.containers();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(StateError::Io { action: "list", path: dir, source }),
        };
        Ok(entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .collect())
    }

    /// Every container that can be read, newest first; the others as errors, which never stop a listing.
    pub fn list(&self) -> Result<(Vec<Entry>, Vec<StateError>), StateError> {
        let (mut entries, mut damaged) = (Vec::new(), Vec::new());
        for id in self.ids()? {
            let entry = self.read(&id).and_then(|record| {
                let status = self.status(&id)?;
                Ok(Entry { record, status })
            });
            match entry {
                Ok(entry) => entries.push(entry),
                // Under construction, or removed while we looked.
                Err(StateError::NotFound(_)) => {}
                Err(error) => damaged.push(error),
            }
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.record.created));
        Ok((entries, damaged))
    }

    /// Changes a record; nobody else who changes it so gets between. When `change` says no, nothing is written.
    pub fn edit<T, E>(&self, id: &str, change: impl FnOnce(&mut ContainerRecord) -> Result<T, E>) -> Result<Result<T, E>, StateError> {
        let dir = self.paths.container(id);
        let file = File::open(&dir).map_err(StateError::io("open", &dir))?;
        // Where directories cannot be locked, the last of two at once wins.
        let _ = flock(file.as_fd(), FlockOperation::LockExclusive);
        let mut record = self.read(id)?;
        let changed = change(&mut record);
        if changed.is_ok() {
            self.commit(&record)?;
        }
        Ok(changed)
    }

    /// Gives a container another name.
    pub fn rename(&self, id: &str, name: &str) -> Result<(), StateError> {
        self.read(id)?;
        names::claim(&self.paths.data, name, id)?;
        let take = |record: &mut ContainerRecord| Ok::<_, StateError>(std::mem::replace(&mut record.name, name.to_owned()));
        let renamed = self.edit(id, take).and_then(|changed| changed);
        let old = renamed.inspect_err(|_| {
            // It goes on under the old name, and the new one is free again.
            if self.read(id).is_ok_and(|record| record.name != name) {
                names::release(&self.paths.data, name, id);
            }
        })?;
        if old != name {
            names::release(&self.paths.data, &old, id);
        }
        Ok(())
    }
}

fn private_dir(path: &std::path::Path) -> std::io::Result<()> {
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_that_could_only_be_marked_was_one() {
        let base = std::env::temp_dir().join(format!("kelp-started-{}", std::process::id()));
        let paths = Paths { data: base.join("data"), config: base.join("c"), state: base.join("s"), cache: base.join("x"), run: base.join("r") };
        let containers = Containers::new(&paths);
        let id = "a".repeat(64);
        let dir = paths.container(&id);
        fs::create_dir_all(&dir).expect("a directory");
        assert!(matches!(containers.status(&id), Ok(Status::Created)));
        // As the fallback of `write_start` leaves it on a full disk, where the end could not be recorded either.
        File::create(dir.join("started")).expect("a file");
        let lost = |containers: &Containers<'_>| matches!(containers.status(&id), Ok(Status::Exited(end)) if end.code == 137 && end.started > 1_600_000_000_000_000_000);
        assert!(lost(&containers));
        // The end of an earlier run is not this one's; a later one is.
        let end = |finished| files::write_json(&dir.join("exit.json"), &ExitRecord { version: VERSION, code: 3, finished, ..ExitRecord::default() });
        end(1_000_000_000).expect("written");
        assert!(lost(&containers));
        end(i64::MAX).expect("written");
        assert!(matches!(containers.status(&id), Ok(Status::Exited(end)) if end.code == 3));
        fs::remove_dir_all(&base).expect("removed");
    }
}
