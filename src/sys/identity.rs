//! What tells one boot from another and one process from a later one with its number.

use std::fs;
use std::sync::OnceLock;

/// `/proc/sys/kernel/random/boot_id`; empty where it cannot be read, which matches no record.
pub fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
    })
}

/// When the process with this pid started, in clock ticks since boot (proc(5): field 22 of stat, counted after the last
/// parenthesis). `None` when there is no such process.
pub fn start_of(pid: i32) -> Option<u64> {
    state_and_start(pid).map(|(_, start)| start)
}

/// As [`start_of`] of a process that has not ended: not of one whose parent does not reap it.
pub fn start_of_running(pid: i32) -> Option<u64> {
    state_and_start(pid).filter(|(state, _)| !matches!(state, b'Z' | b'X')).map(|(_, start)| start)
}

fn state_and_start(pid: i32) -> Option<(u8, u64)> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.iter().rposition(|&byte| byte == b')')?;
    let fields = stat.get(after + 2..)?;
    let start = std::str::from_utf8(fields).ok()?.split(' ').nth(19)?.parse().ok()?;
    Some((*fields.first()?, start))
}

/// The caller's number for the names of directories: what the host calls him, also inside `kelp unshare`, where he is 0.
pub fn host_uid() -> u32 {
    let uid = rustix::process::geteuid().as_raw();
    if uid != 0 {
        return uid;
    }
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let first = map.lines().next().map(|line| line.split_whitespace().collect::<Vec<_>>());
    match first.as_deref() {
        Some(["0", outside, _]) => outside.parse().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_start_is_stable_and_nobody_has_pid_0() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(start_of(own).is_some_and(|start| start > 0));
        assert_eq!(start_of(own), start_of(own));
        assert_eq!(start_of(0), None);
        assert_eq!(boot_id().len(), 36);
    }
}
