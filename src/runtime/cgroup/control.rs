//! What is done with a container's cgroup while it lives, and its removal. Only file operations, on a directory that the
//! record names; a kernel that lacks a file (cgroup.kill came with 5.14) is worked around.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::sys::process;

/// How long processes may take to freeze or to die before we stop looking.
const PATIENCE: Duration = Duration::from_secs(2);
const STEP: Duration = Duration::from_millis(2);
/// Nested deeper, somebody is playing games.
const MAX_DEPTH: u32 = 64;

/// Writes to a file that must exist.
pub(super) fn write(file: &Path, value: &str) -> std::io::Result<()> {
    fs::File::options().write(true).open(file)?.write_all(value.as_bytes())
}

/// A number of a file of `name number` lines.
fn number(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Freezes or thaws all processes in the cgroup and below, and waits until they are.
///
/// # Errors
/// The cgroup is gone.
pub fn freeze(cgroup: &Path, freeze: bool) -> std::io::Result<()> {
    write(&cgroup.join("cgroup.freeze"), if freeze { "1" } else { "0" })?;
    let begun = Instant::now();
    // A process in an uninterruptible sleep freezes when that is over.
    while number(&cgroup.join("cgroup.events"), "frozen").is_some_and(|now| (now == 1) != freeze) && begun.elapsed() < PATIENCE {
        std::thread::sleep(STEP);
    }
    Ok(())
}

/// Kills every process in the cgroup and below.
pub fn kill(cgroup: &Path) {
    match write(&cgroup.join("cgroup.kill"), "1") {
        Err(error) if error.kind() == ErrorKind::NotFound => kill_each(cgroup, MAX_DEPTH),
        Ok(()) | Err(_) => {}
    }
}

/// Those that fork meanwhile are caught the next time round.
fn kill_each(cgroup: &Path, depth: u32) {
    for _ in 0..100 {
        let pids = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
        let mut any = false;
        for pid in pids.lines().filter_map(|pid| pid.parse().ok()).filter(|pid| *pid > 1) {
            process::kill(pid, libc::SIGKILL);
            any = true;
        }
        if !any {
            break;
        }
        std::thread::sleep(STEP);
    }
    if depth > 0 {
        children(cgroup).for_each(|child| kill_each(&child, depth - 1));
    }
}

fn children(cgroup: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(cgroup).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
}

/// Whether a process is in the cgroup or below it.
pub fn is_populated(cgroup: &Path) -> bool {
    number(&cgroup.join("cgroup.events"), "populated") == Some(1)
}

/// How many processes the kernel has killed in it for lack of memory.
pub fn oom_kills(cgroup: &Path) -> u64 {
    number(&cgroup.join("memory.events"), "oom_kill").unwrap_or(0)
}

/// Ends whatever still runs in the cgroup, and removes it with all below it.
pub fn remove(cgroup: &Path) {
    let begun = Instant::now();
    loop {
        match remove_tree(cgroup, MAX_DEPTH) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) && begun.elapsed() < PATIENCE => {}
            Ok(()) | Err(_) => return,
        }
        kill(cgroup);
        std::thread::sleep(STEP);
    }
}

fn remove_tree(cgroup: &Path, depth: u32) -> std::io::Result<()> {
    match fs::remove_dir(cgroup) {
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) && depth > 0 => {
            for child in children(cgroup) {
                remove_tree(&child, depth - 1)?;
            }
            fs::remove_dir(cgroup)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
