//! Entering A, and starting a role of this binary inside it from a read-only view of itself.

use std::ffi::CStr;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use rustix::fs::{CWD, FlockOperation, MemfdFlags, Mode, OFlags, SealFlags, flock};
use rustix::io::Errno;

use super::map::text;
use super::available::{available, mapper};
use super::{Extent, IdMap, UsernsError, step};
use crate::sys::mount::{attribute, clone_tree, set_attributes};
use crate::sys::identity;
use crate::sys::process::{self, CStrings, Cloned, NEWNS, NEWUSER};

/// What this process did, and whether it has a mount namespace of its own.
static ENTERED: Mutex<Option<(Entered, bool)>> = Mutex::new(None);

/// What came of [`enter`].
#[derive(Debug, Clone)]
pub struct Entered {
    /// The map of A.
    pub map: IdMap,
}

/// Makes this single-threaded process uid 0 of the user's namespace, with all capabilities in it, and with a mount
/// namespace of its own when `mounts`. `run` is the runtime directory, where a live namespace is recorded.
///
/// A process enters once; further calls only add what is missing.
pub fn enter(run: &Path, mounts: bool) -> Result<Entered, UsernsError> {
    let mut state = ENTERED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((entered, has_mounts)) = &mut *state {
        if mounts && !*has_mounts {
            process::unshare(NEWNS).map_err(step("mount namespace"))?;
            *has_mounts = true;
        }
        return Ok(entered.clone());
    }
    let entered = first(run, mounts)?;
    *state = Some((entered.clone(), mounts));
    Ok(entered)
}

fn first(run: &Path, mounts: bool) -> Result<Entered, UsernsError> {
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(run.join("userns.lock"))
        .map_err(|error| step("lock")(Errno::from_io_error(&error).unwrap_or(Errno::IO)))?;
    flock(lock.as_fd(), FlockOperation::LockExclusive).map_err(step("lock"))?;
    if let Some(namespace) = find_live(run) {
        // Below `kelp unshare` this process is inside already, and setns(2) refuses to enter what one is in.
        if is_own(&namespace) || process::setns(namespace.as_fd(), NEWUSER).is_ok() {
            record(run);
            drop(lock);
            process::set_ids(0, 0).map_err(step("become root"))?;
            if mounts {
                process::unshare(NEWNS).map_err(step("mount namespace"))?;
            }
            let map = IdMap::of_process("self").unwrap_or_default();
            return Ok(Entered { map });
        }
    }
    let map = create(mounts)?;
    record(run);
    drop(lock);
    process::set_ids(0, 0).map_err(step("become root"))?;
    Ok(Entered { map })
}

/// The map of A, if this process has entered it; it may be in a container's namespace by now.
pub(super) fn entered_map() -> Option<IdMap> {
    let state = ENTERED.lock().unwrap_or_else(PoisonError::into_inner);
    state.as_ref().map(|(entered, _)| entered.map.clone())
}

/// Whether this process was started inside A, by `kelp unshare`. Enters nothing.
#[must_use]
pub fn is_inside(run: &Path) -> bool {
    find_live(run).is_some_and(|namespace| is_own(&namespace))
}

fn is_own(namespace: &OwnedFd) -> bool {
    let same = |own: rustix::fs::Stat, other: rustix::fs::Stat| (own.st_dev, own.st_ino) == (other.st_dev, other.st_ino);
    matches!((rustix::fs::stat(c"/proc/self/ns/user"), rustix::fs::fstat(namespace)), (Ok(own), Ok(other)) if same(own, other))
}

/// Processes that are remembered: of many that come at once, those that stay are among the latest.
const REMEMBERED: usize = 32;

/// Adds this process to those known to be in A, the latest first. Everybody who enters does so: the one who made A may be
/// gone in a moment, and whoever comes then must find one that is still there. The caller holds the lock.
fn record(run: &Path) {
    let own = i32::try_from(std::process::id()).ok();
    if let Some(own) = own.and_then(|pid| Some((pid, identity::start_of(pid)?))) {
        let mut all = recorded(run);
        all.retain(|other| *other != own);
        all.insert(0, own);
        let lines = all.iter().take(REMEMBERED).map(|(pid, start)| format!("{pid} {start}\n"));
        drop(fs::write(run.join("userns"), lines.collect::<String>()));
    }
}

/// The processes remembered, with their start times.
fn recorded(run: &Path) -> Vec<(i32, u64)> {
    let text = fs::read_to_string(run.join("userns")).unwrap_or_default();
    let entry = |line: &str| {
        let (pid, start) = line.split_once(' ')?;
        Some((pid.parse().ok()?, start.trim().parse().ok()?))
    };
    text.lines().filter_map(entry).collect()
}

/// The store whose containers tell of namespaces made with another runtime directory. As process-wide as the namespace a
/// process is in.
static STORE: OnceLock<PathBuf> = OnceLock::new();

/// From here on a namespace is also looked for where containers of this store run, so that all of them share one.
pub fn share(store: &Path) {
    STORE.get_or_init(|| store.to_owned());
}

/// The user namespace of a process known to be in A.
fn find_live(run: &Path) -> Option<OwnedFd> {
    known(run).find_map(|(pid, start)| namespace_of(pid, start))
}

/// Processes known to be in A, with their start times: recorded ones, else monitors of this runtime directory, else both of
/// others that the store was used with, else, where nothing has been recorded since it was made, all that the store names: it
/// may have been removed under them.
fn known(run: &Path) -> impl Iterator<Item = (i32, u64)> {
    let own = run.to_owned();
    let sessions = STORE.get().map(|store| store.join("sessions")).into_iter().flat_map(entries);
    let others = sessions.filter_map(|link| fs::read_link(link).ok()).filter(move |other| *other != own && is_private(other));
    let is_new = !run.join("userns").exists();
    let store = STORE.get().filter(|_| is_new).map(|store| store.join("containers"));
    let named = store.into_iter().flat_map(entries).filter_map(|container| started(&container.join("started")));
    of_session(run.to_owned()).chain(others.flat_map(of_session)).chain(named)
}

/// What one runtime directory tells of.
fn of_session(run: PathBuf) -> impl Iterator<Item = (i32, u64)> {
    let monitors = std::iter::once(run.join("c")).flat_map(entries).filter_map(|dir| monitor(&dir.join("run.json")));
    recorded(&run).into_iter().chain(monitors)
}

fn entries(dir: PathBuf) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Whether a directory is this user's alone: somebody else's, in the place of one that was removed, names any process.
fn is_private(dir: &Path) -> bool {
    let uid = rustix::process::geteuid().as_raw();
    dir.symlink_metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == uid && meta.mode() & 0o077 == 0)
}

/// The monitor that a start has left word of in the store, in this boot.
fn started(file: &Path) -> Option<(i32, u64)> {
    let text = fs::read_to_string(file).ok()?;
    let mut words = text.split_ascii_whitespace().skip(1);
    let monitor = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next()? == identity::boot_id()).then_some(monitor)
}

/// The monitor a run record tells of.
fn monitor(record: &Path) -> Option<(i32, u64)> {
    let run: serde_json::Value = serde_json::from_slice(&fs::read(record).ok()?).ok()?;
    let monitor = run.get("monitor")?;
    Some((i32::try_from(monitor.get("pid")?.as_i64()?).ok()?, monitor.get("start")?.as_u64()?))
}

/// The map of the recorded namespace, if it lives.
pub(super) fn live_map(run: &Path) -> Option<IdMap> {
    known(run).find_map(|(pid, start)| {
        let map = IdMap::of_process(&pid.to_string())?;
        // Checked after the read: the map is then that of this very process.
        let same = identity::start_of_running(pid)? == start;
        // Of a namespace that is not below ours the ids have no number here; it cannot be entered either.
        let ours = map.uids.iter().chain(&map.gids).all(|extent| extent.outside != u32::MAX);
        (same && ours).then_some(map)
    })
}

fn namespace_of(pid: i32, start: u64) -> Option<OwnedFd> {
    let namespace =
        rustix::fs::open(format!("/proc/{pid}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    // Checked after the open: the descriptor is then of that very process. One that nobody reaps would keep the namespace for
    // ever, also when the user has got more ids since.
    (identity::start_of_running(pid)? == start).then_some(namespace)
}

/// Makes A around this process. The helpers are forked first, since they must run outside of it.
fn create(mounts: bool) -> Result<IdMap, UsernsError> {
    let uid = rustix::process::getuid().as_raw();
    let (map, single) = available();
    let pid = std::process::id();
    let (go_read, go_write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(step("pipe"))?;
    let privileged = uid == 0;
    let helpers = if single.is_some() {
        Vec::new()
    } else if privileged {
        vec![("the map writer", fork_helper(&go_read, &go_write, || write_maps_of(pid, &map, false))?)]
    } else {
        vec![
            ("newuidmap", fork_helper(&go_read, &go_write, || exec_mapper("newuidmap", pid, &map.uids))?),
            ("newgidmap", fork_helper(&go_read, &go_write, || exec_mapper("newgidmap", pid, &map.gids))?),
        ]
    };
    drop(go_read);
    let flags = NEWUSER | if mounts { NEWNS } else { 0 };
    let unshared = process::unshare(flags);
    if unshared.is_ok() && !helpers.is_empty() {
        let _ = rustix::io::write(&go_write, b"gg");
    }
    drop(go_write);
    let mut failed = None;
    for (helper, child) in helpers.iter().copied() {
        let code = process::wait_for(child).map_or(255, process::Ended::code);
        if code != 0 {
            failed = Some(UsernsError::Helper { helper, uid, code });
        }
    }
    unshared.map_err(|errno| UsernsError::Create { errno })?;
    if let Some(error) = failed {
        return Err(error);
    }
    if helpers.is_empty() && write_maps_of(pid, &map, true) != 0 {
        return Err(step("write the id maps")(Errno::PERM));
    }
    Ok(map)
}

/// Forks a process that waits for the go-ahead, one byte, then runs `work` and ends with its result.
fn fork_helper(go: &OwnedFd, go_write: &OwnedFd, work: impl FnOnce() -> i32) -> Result<i32, UsernsError> {
    match process::clone(0, None).map_err(step("fork"))? {
        Cloned::Parent { pid, .. } => Ok(pid),
        Cloned::Child => {
            // Our copy of the writing end would keep us waiting if the parent dies.
            process::close_one(go_write.as_fd());
            let mut byte = [0_u8; 1];
            match rustix::io::read(go, &mut byte) {
                Ok(1) => process::exit_now(work()),
                Ok(_) | Err(_) => process::exit_now(1),
            }
        }
    }
}

fn exec_mapper(program: &str, pid: u32, extents: &[Extent]) -> i32 {
    let mut args = vec![program.to_owned(), pid.to_string()];
    for extent in extents {
        args.extend([extent.inside.to_string(), extent.outside.to_string(), extent.count.to_string()]);
    }
    let (args, env) = (CStrings::new(&args), CStrings::new::<&str>([]));
    if let Some(file) = mapper(program).and_then(|path| std::ffi::CString::new(path.into_os_string().into_encoded_bytes()).ok()) {
        process::exec(&file, &args, &env);
    }
    127
}

/// Writes both maps of a process; `single` as an unprivileged user must, without setgroups(2).
fn write_maps_of(pid: u32, map: &IdMap, single: bool) -> i32 {
    let write = |name: &str, content: &str| {
        File::options().write(true).open(format!("/proc/{pid}/{name}")).and_then(|mut file| file.write_all(content.as_bytes()))
    };
    let setgroups = if single { write("setgroups", "deny") } else { Ok(()) };
    match setgroups.and_then(|()| write("uid_map", &text(&map.uids))).and_then(|()| write("gid_map", &text(&map.gids))) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

/// Writes the maps of a child's new user namespace, as root of its parent namespace.
pub fn write_maps(pid: i32, map: &IdMap) -> Result<(), Errno> {
    let deny = map.is_single() && IdMap::of_process("self").is_some_and(|own| own.is_single());
    let id = u32::try_from(pid).map_err(|_| Errno::SRCH)?;
    if write_maps_of(id, map, deny) == 0 { Ok(()) } else { Err(Errno::PERM) }
}

/// Executes this binary again from a view of itself nobody can write through: a read-only private mount of the file
/// (needs a mount namespace this process owns), else a sealed copy in memory. What a container sees as
/// `/proc/PID/exe` of any kelp process then leads to no writable file (CVE-2019-5736). Returns only on failure.
pub fn exec_sealed(args: &CStrings, env: &CStrings) -> Errno {
    match sealed_self() {
        Ok(file) => process::exec_fd(file.as_fd(), args, env),
        Err(errno) => errno,
    }
}

/// The view [`exec_sealed`] executes, for processes that start roles again and again.
pub fn sealed_self() -> Result<OwnedFd, Errno> {
    read_only_self().or_else(|_| sealed_copy())
}

const SELF: &CStr = c"/proc/self/exe";

/// The file is looked up again by its path: what `/proc/self/exe` leads to is a mount of the namespace this process has
/// left, which cannot be copied here (EINVAL).
fn read_only_self() -> Result<OwnedFd, Errno> {
    let path = rustix::fs::readlink(SELF, Vec::new())?;
    let tree = clone_tree(CWD, &path, false)?;
    let (found, own) = (rustix::fs::fstat(&tree)?, rustix::fs::stat(SELF)?);
    if (found.st_dev, found.st_ino) != (own.st_dev, own.st_ino) {
        return Err(Errno::STALE);
    }
    set_attributes(tree.as_fd(), attribute::RDONLY | attribute::NOSUID | attribute::NODEV, 0, 0, false)?;
    Ok(tree)
}

fn sealed_copy() -> Result<OwnedFd, Errno> {
    let source = rustix::fs::open(SELF, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let size = rustix::fs::fstat(&source)?.st_size.unsigned_abs();
    let copy = rustix::fs::memfd_create(c"kelp", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut sent = 0;
    while sent < size {
        let count = usize::try_from(size - sent).unwrap_or(usize::MAX).min(1 << 30);
        match rustix::fs::sendfile(&copy, &source, None, count)? {
            0 => return Err(Errno::IO),
            n => sent += n as u64,
        }
    }
    rustix::fs::fcntl_add_seals(&copy, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(copy)
}

