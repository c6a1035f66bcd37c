//! `top`: the processes of a running container as a table, from /proc alone; no `ps` is run, neither the host's nor the
//! container's.
//!
//! Without arguments the columns of `ps -ef`. Arguments are ps options, or podman's column names, of which `pid`, `ppid`,
//! `user` and `group` then are what the container sees.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::inside;
use super::top_columns::{Column, parse};
use crate::engine::{Engine, Error};
use crate::state::Containers;
use crate::userns::{Extent, IdMap};

/// Rows of cells under titles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopTable {
    /// Column heads.
    pub titles: Vec<String>,
    /// One row per process, as wide as the titles.
    pub rows: Vec<Vec<String>>,
}

/// One process as /proc shows it.
#[derive(Debug, Clone, Default)]
struct Process {
    pid: i32,
    ppid: i32,
    comm: String,
    args: String,
    state: char,
    pgid: i32,
    sid: i32,
    tty: u32,
    ticks: u64,
    nice: i64,
    threads: u64,
    start: u64,
    vsz: u64,
    rss: u64,
    uid: u32,
    gid: u32,
    inner_pid: i32,
    seccomp: String,
    capabilities: String,
}

/// What is the same for all rows.
struct Host {
    ids: IdMap,
    hertz: u64,
    now: i64,
    boot: i64,
    page: u64,
    memory: u64,
    zone: TimeZone,
}

/// The processes of a running container; `args` as given after its name.
///
/// # Errors
/// No such container, or one that does not run; options that are not understood.
pub fn top(engine: &Engine, container: &str, args: &[String]) -> Result<TopTable, Error> {
    let columns = parse(args)?;
    let containers = Containers::new(&engine.paths);
    let id = containers.find(container)?;
    let Some(init) = containers.status(&id)?.run().and_then(|run| run.init) else {
        return Err(Error::Conflict(format!("container {container} is not running")));
    };
    inside::become_root(engine, false)?;
    let processes = members(init.pid);
    let host = Host::look(init.pid);
    Ok(TopTable {
        titles: columns.iter().map(|(_, title)| title.clone()).collect(),
        rows: processes
            .iter()
            .map(|process| {
                let inner = |pid: i32| processes.iter().find(|other| other.pid == pid).map_or(0, |other| other.inner_pid);
                columns.iter().map(|(column, _)| cell(*column, process, &host, &inner)).collect()
            })
            .collect(),
    })
}

/// Everything that shares the first process's mounts, and what descends from those.
fn members(init: i32) -> Vec<Process> {
    let mounts = |pid: i32| fs::metadata(format!("/proc/{pid}/ns/mnt")).map(|meta| meta.ino()).ok();
    let Some(own) = mounts(init) else { return Vec::new() };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let all: Vec<Process> = pids.filter_map(read).collect();
    let mut inside: HashSet<i32> = all.iter().filter(|process| mounts(process.pid) == Some(own)).map(|p| p.pid).collect();
    loop {
        let before = inside.len();
        let more: Vec<i32> = all.iter().filter(|process| inside.contains(&process.ppid)).map(|p| p.pid).collect();
        inside.extend(more);
        if inside.len() == before {
            break;
        }
    }
    let mut members: Vec<Process> = all.into_iter().filter(|process| inside.contains(&process.pid)).collect();
    members.sort_by_key(|process| (process.start, process.pid));
    members
}

fn read(pid: i32) -> Option<Process> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let args = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let mut process = parse_stat(&stat)?;
    process.args = String::from_utf8_lossy(args.strip_suffix(b"\0").unwrap_or(&args)).replace('\0', " ");
    if process.args.is_empty() {
        process.args = format!("[{}]", process.comm);
    }
    parse_status(&status, &mut process);
    Some(process)
}

/// proc_pid_stat(5); the name stands in parentheses and may hold any byte.
fn parse_stat(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|&byte| byte == b'(')?;
    let close = stat.iter().rposition(|&byte| byte == b')')?;
    let fields: Vec<&str> = std::str::from_utf8(stat.get(close + 2..)?).ok()?.split_ascii_whitespace().collect();
    let number = |field: usize| -> Option<i64> { fields.get(field - 3)?.parse().ok() };
    let positive = |field: usize| u64::try_from(number(field).unwrap_or(0)).unwrap_or(0);
    let id = |field: usize| i32::try_from(number(field).unwrap_or(0)).unwrap_or(0);
    Some(Process {
        pid: std::str::from_utf8(stat.get(..open)?).ok()?.trim().parse().ok()?,
        comm: String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned(),
        state: fields.first()?.chars().next()?,
        ppid: id(4),
        pgid: id(5),
        sid: id(6),
        tty: u32::try_from(positive(7)).unwrap_or(0),
        ticks: positive(14) + positive(15),
        nice: number(19).unwrap_or(0),
        threads: positive(20),
        start: positive(22),
        vsz: positive(23),
        rss: positive(24),
        ..Process::default()
    })
}

/// proc_pid_status(5).
fn parse_status(status: &str, process: &mut Process) {
    process.inner_pid = process.pid;
    for line in status.lines() {
        let Some((key, value)) = line.split_once(':') else { continue };
        let mut words = value.split_ascii_whitespace();
        match key {
            // Real, effective, saved, file system.
            "Uid" => process.uid = words.nth(1).and_then(|id| id.parse().ok()).unwrap_or(0),
            "Gid" => process.gid = words.nth(1).and_then(|id| id.parse().ok()).unwrap_or(0),
            "NSpid" => process.inner_pid = words.next_back().and_then(|pid| pid.parse().ok()).unwrap_or(process.pid),
            "Seccomp" => process.seccomp = value.trim().to_owned(),
            "CapEff" => process.capabilities = value.trim().to_owned(),
            _ => {}
        }
    }
}

impl Host {
    fn look(init: i32) -> Self {
        let seconds = |text: String| -> Option<f64> { text.split_ascii_whitespace().next()?.parse().ok() };
        let uptime = fs::read_to_string("/proc/uptime").ok().and_then(seconds).unwrap_or(0.0);
        let now = Timestamp::now().as_second();
        let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?.split_ascii_whitespace().next()?.parse().ok()
        });
        #[expect(clippy::cast_possible_truncation, reason = "seconds since boot")]
        let boot = now - uptime as i64;
        Self {
            ids: IdMap::of_process(&init.to_string()).unwrap_or_default(),
            hertz: rustix::param::clock_ticks_per_second().max(1),
            now,
            boot,
            page: rustix::param::page_size() as u64,
            memory: memory.unwrap_or(0),
            zone: TimeZone::system(),
        }
    }

    /// Seconds since 1970.
    fn started(&self, process: &Process) -> i64 {
        self.boot + i64::try_from(process.start / self.hertz).unwrap_or(0)
    }

    fn elapsed(&self, process: &Process) -> u64 {
        u64::try_from(self.now - self.started(process)).unwrap_or(0)
    }

    /// Processor time as a share of the life, in tenths of a percent.
    fn cpu(&self, process: &Process) -> u64 {
        let elapsed = self.elapsed(process).max(1);
        (process.ticks * 1000 / self.hertz / elapsed).min(99_999)
    }
}

fn cell(column: Column, process: &Process, host: &Host, inner: &dyn Fn(i32) -> i32) -> String {
    let tenths = |value: u64| format!("{}.{}", value / 10, value % 10);
    match column {
        Column::HostPid => process.pid.to_string(),
        Column::HostParent => process.ppid.to_string(),
        Column::Pid => process.inner_pid.to_string(),
        Column::Parent => inner(process.ppid).to_string(),
        Column::User => name(&host.ids.uids, process.uid),
        Column::Group => name(&host.ids.gids, process.gid),
        Column::HostUser => process.uid.to_string(),
        Column::HostGroup => process.gid.to_string(),
        Column::CpuWhole => (host.cpu(process) / 10).to_string(),
        Column::Cpu => tenths(host.cpu(process)),
        Column::Memory => tenths((process.rss * host.page / 1024 * 1000).checked_div(host.memory).unwrap_or(0)),
        Column::Start => start(host, process),
        Column::Elapsed => clock(host.elapsed(process), false),
        Column::Time => clock(process.ticks / host.hertz, true),
        Column::Tty => tty(process.tty),
        Column::Command => process.args.clone(),
        Column::Name => process.comm.clone(),
        Column::State => process.state.to_string(),
        Column::Rss => (process.rss * host.page / 1024).to_string(),
        Column::Vsz => (process.vsz / 1024).to_string(),
        Column::Nice => process.nice.to_string(),
        Column::ProcessGroup => process.pgid.to_string(),
        Column::Session => process.sid.to_string(),
        Column::Threads => process.threads.to_string(),
        Column::Seccomp => match process.seccomp.as_str() {
            "0" => "disabled".to_owned(),
            "1" => "strict".to_owned(),
            _ => "filter".to_owned(),
        },
        Column::Capabilities => process.capabilities.clone(),
    }
}

/// An id as the container has it; its root has a name everywhere.
fn name(extents: &[Extent], id: u32) -> String {
    match inside::inside(extents, id) {
        0 => "root".to_owned(),
        id => id.to_string(),
    }
}

/// Time of day for what began less than a day ago, else the date (ps -f).
fn start(host: &Host, process: &Process) -> String {
    let began = host.started(process);
    let Ok(stamp) = Timestamp::from_second(began) else { return "?".to_owned() };
    let zoned = stamp.to_zoned(host.zone.clone());
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    if host.now - began < 24 * 3600 {
        format!("{:02}:{:02}", zoned.hour(), zoned.minute())
    } else {
        let month = usize::try_from(zoned.month()).unwrap_or(1).saturating_sub(1);
        format!("{}{:02}", months.get(month).unwrap_or(&"?"), zoned.day())
    }
}

/// `[DD-]HH:MM:SS`; without `full` hours only when there are any.
fn clock(seconds: u64, full: bool) -> String {
    let (days, hours, minutes, rest) = (seconds / 86400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    if days > 0 {
        format!("{days}-{hours:02}:{minutes:02}:{rest:02}")
    } else if full || hours > 0 {
        format!("{hours:02}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes:02}:{rest:02}")
    }
}

/// Device numbers of terminals: 136 to 143 are pts, 4 the console's.
fn tty(device: u32) -> String {
    let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
    match major {
        0 => "?".to_owned(),
        136..=143 => format!("pts/{}", minor + (major - 136) * 256),
        4 => format!("tty{minor}"),
        _ => format!("{major}/{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_look_like_the_rest_of_the_line() {
        let process = parse_stat(b"42 (a) b) S 1) R 7 42 40 34816 -1 4194560 1 0 0 0 250 50 0 0 20 5 3 0 1000 4096 2 18").unwrap();
        assert_eq!((process.pid, process.comm.as_str(), process.state), (42, "a) b) S 1", 'R'));
        assert_eq!((process.ppid, process.pgid, process.sid, process.tty), (7, 42, 40, 34816));
        assert_eq!((process.ticks, process.nice, process.threads, process.start), (300, 5, 3, 1000));
        assert_eq!((process.vsz, process.rss), (4096, 2));
        assert_eq!(tty(process.tty), "pts/0");
    }

    #[test]
    fn this_process_is_read_and_shown() {
        let own = read(i32::try_from(std::process::id()).unwrap()).unwrap();
        let host = Host::look(own.pid);
        assert!(host.elapsed(&own) < 3600 && own.threads >= 1 && !own.args.is_empty());
        let inner = |_: i32| 0;
        for (column, _) in parse(&["aux".into()]).unwrap() {
            assert!(!cell(column, &own, &host, &inner).is_empty());
        }
    }

    #[test]
    fn times_read_as_in_ps() {
        assert_eq!(clock(61, true), "00:01:01");
        assert_eq!(clock(61, false), "01:01");
        assert_eq!(clock(90_061, true), "1-01:01:01");
        assert_eq!(tty(0), "?");
    }
}
