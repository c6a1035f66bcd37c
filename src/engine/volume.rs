//! The verbs of `volume`.

use std::collections::BTreeMap;
use std::io::{BufWriter, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use serde_json::{Value, json};

use super::filter::{self, Filters};
use super::options::VolumeOptions;
use super::{Engine, Error};
use crate::format::time;
use crate::image::archive::tarw::{TarWriter, TreeOptions};
use crate::image::unpack::{Owners, UnpackOptions, Whiteouts, unpack_layer};
use crate::userns::IdMap;
use crate::volume::{Backing, NewVolume, VolumeError, VolumeRecord, Volumes};

const KEYS: &[&str] = &["anonymous", "dangling", "driver", "label", "label!", "name", "opt", "scope", "since", "after", "until", "all"];

/// One volume of a listing.
#[derive(Debug, Clone)]
pub struct VolumeRow {
    /// Its name.
    pub name: String,
    /// For `{{.Label "key"}}`.
    pub labels: BTreeMap<String, String>,
    /// docker's keys and texts.
    pub json: Value,
    /// podman's further ones.
    pub more: Value,
}

/// What was found.
#[derive(Debug, Default)]
pub struct VolumeListing {
    /// By name.
    pub rows: Vec<VolumeRow>,
    /// Records that could not be read; worth a warning each.
    pub damaged: Vec<Error>,
}

/// What `volume prune` removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Names of volumes (ids of containers).
    pub removed: Vec<String>,
    /// Bytes that were freed.
    pub bytes: u64,
}

/// Makes a volume, an anonymous one without a name, and returns its name. An existing one is returned as it is.
///
/// # Errors
/// A bad name or option; a volume of that name with other options.
pub fn create(engine: &Engine, name: Option<&str>, options: &VolumeOptions) -> Result<String, Error> {
    let new = NewVolume {
        name: name.map(str::to_owned),
        driver: options.driver.clone().unwrap_or_default(),
        labels: options.labels.clone(),
        options: options.options.clone(),
    };
    let volumes = Volumes::new(&engine.paths);
    let (record, created) = volumes.create(&new)?;
    if created && (options.uid.is_some() || options.gid.is_some()) {
        super::container::inside::become_root(engine, false)?;
        let data = volumes.data(&record.name);
        std::os::unix::fs::chown(&data, options.uid, options.gid).map_err(Error::io("change owner of", data))?;
    }
    Ok(record.name)
}

/// Lists volumes.
///
/// # Errors
/// A filter that makes no sense.
pub fn list(engine: &Engine, filters: &[String]) -> Result<VolumeListing, Error> {
    let volumes = Volumes::new(&engine.paths);
    let (records, damaged) = select(&volumes, &Filters::parse(filters, KEYS)?)?;
    let rows = records
        .into_iter()
        .map(|record| VolumeRow { json: row(&volumes, &record), more: more(&record), name: record.name, labels: record.labels })
        .collect();
    Ok(VolumeListing { rows, damaged: damaged.into_iter().map(Error::from).collect() })
}

fn select(volumes: &Volumes<'_>, filters: &Filters) -> Result<(Vec<VolumeRecord>, Vec<VolumeError>), Error> {
    let (mut records, damaged) = volumes.list()?;
    if filters.is_empty() {
        return Ok((records, damaged));
    }
    let names = filter::patterns(filters, "name")?;
    let flag = |key: &str| -> Result<Option<bool>, Error> {
        filters.values(key).last().map(|text| filter::boolean(key, text)).transpose()
    };
    let (dangling, anonymous, until) = (flag("dangling")?, flag("anonymous")?, filter::until(filters)?);
    let mut since: Option<i64> = None;
    for name in filters.values("since").iter().chain(filters.values("after")) {
        since = since.max(Some(volumes.get(name)?.created));
    }
    let used = if dangling.is_some() { volumes.in_use()? } else { BTreeMap::new() };
    records.retain(|record| {
        (names.is_empty() || names.iter().any(|pattern| pattern.fits(&record.name)))
            && filters.labels(&record.labels)
            && filters.any("driver", |driver| record.driver == *driver)
            && filters.any("scope", |scope| record.scope == *scope)
            && filters.any("opt", |opt| match opt.split_once('=') {
                Some((key, value)) => record.options.get(key).is_some_and(|found| found == value),
                None => record.options.contains_key(opt),
            })
            && dangling.is_none_or(|dangling| dangling != used.contains_key(&record.name))
            && anonymous.is_none_or(|anonymous| anonymous == record.anonymous)
            && until.is_none_or(|until| record.created < until)
            && since.is_none_or(|since| record.created > since)
    });
    Ok((records, damaged))
}

fn row(volumes: &Volumes<'_>, record: &VolumeRecord) -> Value {
    json!({
        "Availability": "N/A",
        "Driver": record.driver,
        "Group": "N/A",
        "Labels": super::container::ls::joined(&record.labels),
        "Links": "N/A",
        "Mountpoint": volumes.data(&record.name),
        "Name": record.name,
        "Scope": record.scope,
        "Size": "N/A",
        "Status": "N/A",
    })
}

/// What podman has beyond docker's keys.
fn more(record: &VolumeRecord) -> Value {
    json!({
        "Anonymous": record.anonymous,
        "CreatedAt": time::local_long(record.created, &jiff::tz::TimeZone::UTC),
        "Options": super::container::ls::joined(&record.options),
    })
}

/// Everything known of a volume, with docker's keys.
///
/// # Errors
/// No such volume.
pub fn inspect(engine: &Engine, name: &str) -> Result<Value, Error> {
    let volumes = Volumes::new(&engine.paths);
    let record = volumes.get(name)?;
    Ok(json!({
        "CreatedAt": time::rfc3339_nano(record.created),
        "Driver": record.driver,
        "Labels": if record.labels.is_empty() { Value::Null } else { json!(record.labels) },
        "Mountpoint": volumes.data(&record.name),
        "Name": record.name,
        "Options": if record.options.is_empty() { Value::Null } else { json!(record.options) },
        "Scope": record.scope,
        "Anonymous": record.anonymous,
        "NeedsCopyUp": volumes.waits_for_copy_up(&record.name),
    }))
}

/// Whether there is such a volume.
pub fn exists(engine: &Engine, name: &str) -> bool {
    Volumes::new(&engine.paths).get(name).is_ok()
}

/// Removes a volume no container refers to. `force` is docker's: a missing one is no error; one in use stays.
///
/// # Errors
/// No such volume; it is in use.
pub fn remove(engine: &Engine, name: &str, force: bool) -> Result<(), Error> {
    let volumes = Volumes::new(&engine.paths);
    match volumes.get(name) {
        Err(VolumeError::NotFound(_)) if force => return Ok(()),
        other => other?,
    };
    if !volumes.is_plain(name) {
        super::container::inside::become_root(engine, false)?;
    }
    Ok(volumes.remove(name)?)
}

/// Writes what is in a volume as a tar archive.
///
/// # Errors
/// No such volume; one that is not a directory; what the file system says.
pub fn export(engine: &Engine, name: &str, output: &mut dyn Write) -> Result<(), Error> {
    let dir = open_data(engine, name)?;
    let failed = |source| Error::Io { action: "export volume", path: name.into(), source };
    let mut tar = TarWriter::new(BufWriter::with_capacity(256 << 10, output));
    tar.tree(dir.as_fd(), &TreeOptions { overrides: IdMap::is_single_here(), ..TreeOptions::default() }).and_then(|()| tar.finish()).map_err(failed)?;
    Ok(())
}

/// Unpacks a tar archive into a volume, over what is there, with the archive's owners.
///
/// # Errors
/// As [`export`], and an archive that is none.
pub fn import(engine: &Engine, name: &str, input: &mut dyn Read) -> Result<(), Error> {
    let dir = open_data(engine, name)?;
    let map = super::container::inside::become_root(engine, false)?;
    let options = UnpackOptions {
        owners: if map.is_single() { Owners::Record } else { Owners::Set },
        whiteouts: Whiteouts::Literal,
        ..UnpackOptions::default()
    };
    unpack_layer(input, dir.as_fd(), &options)
        .map_err(|error| Error::Storage(format!("import into volume {name}: {error}")))?;
    // It has its content now; an image's would come on top.
    Ok(crate::volume::skip_copy_up(&Volumes::new(&engine.paths).volume_dir(name))?)
}

/// The directory of a volume's content, as root of the user's namespace.
fn open_data(engine: &Engine, name: &str) -> Result<OwnedFd, Error> {
    let volumes = Volumes::new(&engine.paths);
    let record = volumes.get(name)?;
    let path = match volumes.backing(&record)? {
        Backing::Data(path) | Backing::Bind { path, .. } => path,
        Backing::Tmpfs(_) => {
            return Err(Error::Conflict(format!("volume {name} is in memory of each container that uses it: there is nothing here to read or fill")));
        }
    };
    super::container::inside::become_root(engine, false)?;
    rustix::fs::open(&path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::io("open", &path)(errno.into()))
}

/// Removes volumes no container refers to: the anonymous ones, or with `all` those with names too.
///
/// # Errors
/// A filter that makes no sense; the first volume that could not be removed.
pub fn prune(engine: &Engine, all: bool, filters: &[String]) -> Result<Pruned, Error> {
    let volumes = Volumes::new(&engine.paths);
    let filters = Filters::parse(filters, KEYS)?;
    let all = all || filters.values("all").iter().any(|text| filter::boolean("all", text).is_ok_and(|all| all));
    let (records, _) = select(&volumes, &filters)?;
    let used = volumes.in_use()?;
    let mut pruned = Pruned::default();
    let mut root = false;
    for record in records {
        if used.contains_key(&record.name) || !(all || record.anonymous) {
            continue;
        }
        if !root && !volumes.is_plain(&record.name) {
            super::container::inside::become_root(engine, false)?;
            root = true;
        }
        let bytes = super::container::size::disk_usage(&volumes.data(&record.name));
        match volumes.remove(&record.name) {
            Ok(()) => {
                pruned.bytes += bytes;
                pruned.removed.push(record.name);
            }
            // Used or removed since we looked.
            Err(VolumeError::InUse { .. } | VolumeError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let lock = volumes.lock(false)?;
    volumes.sweep();
    drop(lock);
    Ok(pruned)
}
