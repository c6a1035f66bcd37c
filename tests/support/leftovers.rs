//! Finding what a test left behind: processes by environment, directories, descriptors and mounts; mounts of the host.
//! Reads `/proc` alone.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A process that belongs to a test.
pub(crate) struct Left {
    pid: i32,
    started: String,
    text: String,
}

impl Left {
    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Its command line and why it belongs to the test.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Kills it with signal 9, if it is still the same process.
    pub(crate) fn kill(&self) {
        if start_time(self.pid).as_ref() == Some(&self.started)
            && let Some(pid) = rustix::process::Pid::from_raw(self.pid)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// One line each.
pub(crate) fn show(left: &[Left]) -> String {
    left.iter().map(|l| format!("  {} {}", l.pid, l.text)).collect::<Vec<_>>().join("\n")
}

fn start_time(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = &stat[stat.rfind(')')? + 2..];
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

/// The processes whose environment, directories, open files or mounts name this directory. Zombies do not count, nor
/// does this process.
pub(crate) fn processes(dir: &Path) -> Vec<Left> {
    let own = std::process::id();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else { continue };
        if u32::try_from(pid) == Ok(own) {
            continue;
        }
        let Some(started) = start_time(pid) else { continue };
        if let Some(why) = belongs(pid, dir) {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            found.push(Left { pid, started, text: format!("{line}({why})") });
        }
    }
    found
}

fn belongs(pid: i32, dir: &Path) -> Option<&'static str> {
    let needle = dir.as_os_str().as_bytes();
    let has = |bytes: &[u8]| memchr::memmem::find(bytes, needle).is_some();
    let proc = format!("/proc/{pid}");
    for name in ["environ", "cmdline", "mountinfo"] {
        if fs::read(format!("{proc}/{name}")).is_ok_and(|bytes| has(&bytes)) {
            return Some(name);
        }
    }
    for name in ["cwd", "root", "exe"] {
        if fs::read_link(format!("{proc}/{name}")).is_ok_and(|path| path.starts_with(dir)) {
            return Some(name);
        }
    }
    for entry in fs::read_dir(format!("{proc}/fd")).into_iter().flatten().flatten() {
        if fs::read_link(entry.path()).is_ok_and(|path| path.starts_with(dir)) {
            return Some("an open file");
        }
    }
    None
}

/// Mounts of this process's namespace that name the directory.
pub(crate) fn mounts(dir: &Path) -> Vec<String> {
    let needle = dir.display().to_string();
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter(|line| line.contains(&needle)).map(str::to_owned).collect()
}

/// Calls with every file below a directory, links not followed.
pub(crate) fn list(dir: &Path, each: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        each(&path);
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            list(&path, each);
        }
    }
}
