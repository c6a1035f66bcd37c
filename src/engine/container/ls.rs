//! `ps`: the containers as rows with docker's keys, newest first.
//!
//! Takes no lock, computes no sizes unless asked, and goes on when a record is damaged.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::health;
use super::ls_filter::RowFilter;
use super::size::Sizes;
use crate::engine::{Engine, Error};
use crate::format::{duration, time};
use crate::spec::NetworkMode;
use crate::spec::port::ports_cell;
use crate::state::record::{Health, MountKind};
use crate::state::{ContainerRecord, Containers, Entry, StateError, Status};

/// What to list and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// `-a`: not only those that run.
    pub all: bool,
    /// `-n N` (`-l` is 1): the latest N, whatever they do.
    pub last: Option<usize>,
    /// `--size`.
    pub size: bool,
    /// `--no-trunc`.
    pub no_trunc: bool,
    /// `--filter`, each `key=value`.
    pub filters: Vec<String>,
}

/// One container of a listing.
#[derive(Debug, Clone)]
pub struct Row {
    /// The full id, for `-q --no-trunc`, `--all` and the like.
    pub id: String,
    /// For `{{.Label "key"}}`.
    pub labels: BTreeMap<String, String>,
    /// docker's keys and texts.
    pub json: Value,
    /// podman's further ones.
    pub more: Value,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Newest first.
    pub rows: Vec<Row>,
    /// Records that could not be read; worth a warning each.
    pub damaged: Vec<Error>,
}

/// Lists containers.
///
/// # Errors
/// A filter that makes no sense; a container named in one that is not there.
pub fn list(engine: &Engine, options: &ListOptions) -> Result<Listing, Error> {
    let (entries, damaged) = select(engine, options)?;
    let mut sizes = if options.size { Some(Sizes::open(engine)) } else { None };
    let now = time::now();
    let zone = TimeZone::system();
    let rows = entries
        .into_iter()
        .map(|entry| {
            let size = sizes.as_mut().map(|sizes| sizes.cell(&entry.record));
            let mut json = row(&entry, options, now, &zone, size.as_deref().unwrap_or("0B"));
            if let Some(health) = health::word(engine, &entry.record).filter(|_| is_up(&entry.status)) {
                json["Status"] = with_health(&json["Status"], health).into();
            }
            let more = more(&entry, now);
            Row { more, id: entry.record.id, labels: entry.record.config.labels, json }
        })
        .collect();
    Ok(Listing { rows, damaged })
}

/// The ids [`list`] would show, newest first: for `--all`, `--latest` and `--filter` of other verbs. When simply all are
/// asked for, those with a damaged record come last: nobody could ever remove them otherwise.
///
/// # Errors
/// As [`list`].
pub fn ids(engine: &Engine, options: &ListOptions) -> Result<Vec<String>, Error> {
    let (entries, damaged) = select(engine, options)?;
    let mut ids: Vec<String> = entries.into_iter().map(|entry| entry.record.id).collect();
    if options.all && options.filters.is_empty() && options.last.is_none() {
        let broken = damaged.iter().filter_map(|error| match error {
            Error::State(StateError::Damaged { path, .. }) => {
                let id = path.parent().filter(|dir| dir.parent() == Some(&engine.paths.containers()))?.file_name()?;
                Some(id.to_str()?.to_owned())
            }
            _ => None,
        });
        ids.extend(broken);
    }
    Ok(ids)
}

pub(super) fn select(engine: &Engine, options: &ListOptions) -> Result<(Vec<Entry>, Vec<Error>), Error> {
    let containers = Containers::new(&engine.paths);
    let filter = RowFilter::parse(engine, &containers, &options.filters)?;
    let all = options.all || options.last.is_some() || filter.asks_for_state();
    let (mut entries, damaged) = containers.list()?;
    entries.retain(|entry| (all || is_up(&entry.status)) && filter.fits(entry));
    if let Some(last) = options.last {
        entries.truncate(last);
    }
    Ok((entries, damaged.into_iter().map(Error::from).collect()))
}

/// docker's words: `Up 5 minutes (healthy)`; a pause is told instead.
fn with_health(status: &Value, health: Health) -> String {
    let status = status.as_str().unwrap_or_default();
    match health {
        _ if !status.starts_with("Up ") || status.ends_with(')') => status.to_owned(),
        Health::Starting => format!("{status} (health: starting)"),
        Health::Healthy | Health::Unhealthy => format!("{status} ({})", health.word()),
    }
}

/// What `ps` without `-a` shows.
pub(super) fn is_up(status: &Status) -> bool {
    status.run().is_some()
}

fn row(entry: &Entry, options: &ListOptions, now: i64, zone: &TimeZone, size: &str) -> Value {
    let record = &entry.record;
    let cut = |text: String, width| if options.no_trunc { text } else { ellipsis(&text, width) };
    let id = if options.no_trunc { &record.id[..] } else { record.id.get(..12).unwrap_or(&record.id) };
    let mounts: Vec<String> = record
        .config
        .mounts
        .iter()
        .filter(|mount| mount.kind.has_files())
        .map(|mount| cut(if mount.kind == MountKind::Volume { mount.name.clone() } else { mount.source.clone() }, 15))
        .collect();
    let volumes = record.config.mounts.iter().filter(|mount| mount.kind == MountKind::Volume).count();
    json!({
        "ID": id,
        "Image": image(record, options.no_trunc),
        "Command": quote(&cut(command(record), 20)),
        "CreatedAt": time::local_long(record.created, zone),
        "RunningFor": ago(now, record.created),
        "Ports": ports(entry),
        "State": entry.status.word(),
        "Status": status_text(&entry.status, now),
        "Size": size,
        "Names": record.name,
        "Labels": joined(&record.config.labels),
        "LocalVolumes": volumes.to_string(),
        "Mounts": mounts.join(","),
        "Networks": networks(record),
        "Platform": "",
    })
}

/// What podman has beyond docker's keys.
fn more(entry: &Entry, now: i64) -> Value {
    let (record, run) = (&entry.record, entry.status.run());
    let exit = if let Status::Exited(exit) | Status::Restarting(_, exit) = &entry.status { Some(exit) } else { None };
    let started = run.map(|run| run.started).or(exit.map(|exit| exit.started)).unwrap_or_default();
    json!({
        "Created": ago(now, record.created),
        "ExitCode": exit.map_or(0, |exit| exit.code),
        "ImageID": record.image.id.trim_start_matches("sha256:"),
        "Pid": run.and_then(|run| run.init).map_or(0, |init| init.pid),
        "Restarts": run.map(|run| run.restarts).or(exit.map(|exit| exit.restarts)).unwrap_or_default(),
        "StartedAt": started / 1_000_000_000,
    })
}

/// The image as typed, or its id when it was given by id or not at all.
pub(super) fn image(record: &ContainerRecord, full: bool) -> String {
    let name = &record.image.name;
    let bare = name.strip_prefix("sha256:").unwrap_or(name);
    let is_id = bare.len() == 64 && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    if name.is_empty() || is_id {
        let id = &record.image.id;
        return if full { id.clone() } else { id.get(..12).unwrap_or(id).to_owned() };
    }
    name.clone()
}

/// Entry point and arguments in one line.
fn command(record: &ContainerRecord) -> String {
    let words: Vec<&str> =
        record.config.entrypoint.iter().chain(&record.config.command).map(String::as_str).collect();
    words.join(" ")
}

/// The networks' names as docker lists them.
fn networks(record: &ContainerRecord) -> String {
    let name = |mode: &NetworkMode| if let NetworkMode::Default(_) = mode { "bridge".to_owned() } else { mode.to_string() };
    match record.spec.network.modes.as_slice() {
        [] => name(&NetworkMode::default()),
        modes => modes.iter().map(name).collect::<Vec<_>>().join(","),
    }
}

/// The PORTS cell: nothing for a container that does not run.
fn ports(entry: &Entry) -> String {
    let Some(run) = entry.status.run() else { return String::new() };
    let exposed: Vec<_> = entry.record.config.exposed.iter().filter_map(|text| text.parse().ok()).collect();
    ports_cell(&run.ports, &exposed)
}

/// The STATUS cell, docker's words.
pub fn status_text(status: &Status, now: i64) -> String {
    match status {
        Status::Created => "Created".to_owned(),
        Status::Running(run) => format!("Up {}", duration::human(seconds(now, run.started))),
        Status::Paused(run) => format!("Up {} (Paused)", duration::human(seconds(now, run.started))),
        Status::Restarting(_, exit) => format!("Restarting ({}) {}", exit.code, ago(now, exit.finished)),
        Status::Exited(exit) => format!("Exited ({}) {}", exit.code, ago(now, exit.finished)),
    }
}

fn seconds(now: i64, then: i64) -> i64 {
    now.saturating_sub(then) / 1_000_000_000
}

fn ago(now: i64, then: i64) -> String {
    format!("{} ago", duration::human(seconds(now, then)))
}

/// `k=v,k=v`; the map is sorted.
pub(crate) fn joined(labels: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{key}={value}");
    }
    text
}

/// At most `width` characters, the last one `…` when something was cut (docker's Ellipsis).
fn ellipsis(text: &str, width: usize) -> String {
    match text.char_indices().nth(width) {
        None => text.to_owned(),
        Some(_) => text.chars().take(width.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// Go's strconv.Quote.
fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ExitRecord, RunRecord};

    #[test]
    fn cells_read_as_dockers() {
        assert_eq!(ellipsis("exactly twenty chars", 20), "exactly twenty chars");
        assert_eq!(ellipsis("sh -c while true; do sleep 1; done", 20), "sh -c while true; d…");
        assert_eq!(quote("sh -c \"echo\n\"\u{1b}"), r#""sh -c \"echo\n\"\x1b""#);
        let minute = 60_000_000_000;
        let run = RunRecord { started: 0, ..RunRecord::default() };
        let exit = ExitRecord { code: 3, finished: 0, ..ExitRecord::default() };
        assert_eq!(status_text(&Status::Running(run.clone()), 5 * minute), "Up 5 minutes");
        assert_eq!(with_health(&json!("Up 5 minutes"), Health::Starting), "Up 5 minutes (health: starting)");
        assert_eq!(with_health(&json!("Up 5 minutes"), Health::Unhealthy), "Up 5 minutes (unhealthy)");
        assert_eq!(with_health(&json!("Up 5 minutes (Paused)"), Health::Healthy), "Up 5 minutes (Paused)");
        assert_eq!(status_text(&Status::Paused(run.clone()), 5 * minute), "Up 5 minutes (Paused)");
        assert_eq!(status_text(&Status::Exited(exit.clone()), 2 * minute), "Exited (3) 2 minutes ago");
        assert_eq!(status_text(&Status::Restarting(run, exit), 4_000_000_000), "Restarting (3) 4 seconds ago");
    }

    #[test]
    fn a_row_has_dockers_keys() {
        let mut record = ContainerRecord { id: "ab".repeat(32), name: "web".into(), ..ContainerRecord::default() };
        record.image.name = "alpine".into();
        record.config.command = vec!["sleep".into(), "100".into()];
        record.config.labels.insert("k".into(), "v".into());
        let entry = Entry { record, status: Status::Created };
        let row = row(&entry, &ListOptions::default(), 0, &TimeZone::UTC, "0B");
        assert_eq!(row["ID"], "abababababab");
        assert_eq!(row["Command"], "\"sleep 100\"");
        assert_eq!(row["Labels"], "k=v");
        assert_eq!(row["Networks"], "bridge");
        assert_eq!(row["Status"], "Created");
        assert_eq!(row.as_object().unwrap().len(), 15);
    }
}
