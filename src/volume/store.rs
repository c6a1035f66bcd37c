//! The volumes of a user: create, find, list, remove, and who uses them.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FlockOperation, RenameFlags, flock, renameat_with, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::copy_up::MARKER;
use super::options::{Backing, LocalOptions};
use super::VolumeError;
use crate::state::record::MountKind;
use crate::state::{Containers, Paths, StateError, files};
use crate::sys::tree::remove_tree;

/// The format of `volume.json`; a reader refuses a newer one.
const VERSION: u32 = 1;
/// Names that start so are being made or removed.
const ASIDE: &str = ".tmp-";

/// One volume as created; nothing here changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeRecord {
    /// Format version.
    pub version: u32,
    /// Its name; 64 hex digits when anonymous.
    pub name: String,
    /// `local`.
    pub driver: String,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--opt`.
    pub options: BTreeMap<String, String>,
    /// Nanoseconds since 1970, UTC.
    pub created: i64,
    /// Made for a container, without a name.
    pub anonymous: bool,
    /// `local`.
    pub scope: String,
}

/// What to create.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewVolume {
    /// `None` is anonymous.
    pub name: Option<String>,
    /// `local` when empty.
    pub driver: String,
    /// `--label`.
    pub labels: BTreeMap<String, String>,
    /// `--opt`.
    pub options: BTreeMap<String, String>,
}

/// Container ids by the volume they refer to.
pub type InUse = BTreeMap<String, Vec<String>>;

/// The volumes below one set of [`Paths`].
#[derive(Debug, Clone, Copy)]
pub struct Volumes<'a> {
    paths: &'a Paths,
}

impl<'a> Volumes<'a> {
    /// The volumes below `paths`.
    pub fn new(paths: &'a Paths) -> Self {
        Self { paths }
    }

    /// The directory of all volumes.
    pub fn dir(&self) -> PathBuf {
        self.paths.data.join("volumes")
    }

    /// The directory of one volume; what it holds is in `_data` below.
    pub fn volume_dir(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// The directory a container sees.
    pub fn data(&self, name: &str) -> PathBuf {
        self.volume_dir(name).join("_data")
    }

    /// While this is held no volume is removed. Whoever makes a container takes it (`shared`) before its volumes and
    /// keeps it until the container's record is there to show who uses them.
    ///
    /// # Errors
    /// When the directory cannot be made or locked.
    pub fn lock(&self, shared: bool) -> Result<File, VolumeError> {
        let path = self.dir().join(".lock");
        let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                files::make_private_dir(&self.dir())?;
                open()
            }
            other => other,
        }
        .map_err(io("open lock", &path))?;
        let how = if shared { FlockOperation::LockShared } else { FlockOperation::LockExclusive };
        loop {
            match flock(file.as_fd(), how) {
                Ok(()) => return Ok(file),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(io("lock", &path)(errno.into()).into()),
            }
        }
    }

    /// Makes a volume, or returns the one of that name; the flag says whether it is new.
    ///
    /// # Errors
    /// A bad name or option; [`VolumeError::Conflict`] when it exists and is not what was asked.
    pub fn create(&self, new: &NewVolume) -> Result<(VolumeRecord, bool), VolumeError> {
        let driver = if new.driver.is_empty() { "local" } else { &new.driver };
        if driver != "local" {
            return Err(VolumeError::Driver(driver.to_owned()));
        }
        let backing = LocalOptions::parse(&new.options)?;
        let name = match &new.name {
            Some(name) => {
                check_name(name)?;
                match self.get(name) {
                    Ok(found) => return same(found, new).map(|found| (found, false)),
                    Err(VolumeError::NotFound(_)) => {}
                    Err(error) => return Err(error),
                }
                name.clone()
            }
            None => random_name()?,
        };
        let record = VolumeRecord {
            version: VERSION,
            name,
            driver: driver.to_owned(),
            labels: new.labels.clone(),
            options: new.options.clone(),
            created: now(),
            anonymous: new.name.is_none(),
            scope: "local".to_owned(),
        };
        if self.publish(&record, backing.is_directory())? {
            return Ok((record, true));
        }
        // Somebody was faster.
        same(self.get(&record.name)?, new).map(|found| (found, false))
    }

    /// Makes the directory aside and renames it into place; false when the name was taken meanwhile.
    fn publish(&self, record: &VolumeRecord, directory: bool) -> Result<bool, VolumeError> {
        let _lock = self.lock(true)?;
        let aside = self.dir().join(format!("{ASIDE}{}-{}", std::process::id(), record.name.get(..32).unwrap_or(&record.name)));
        let private = fs::DirBuilder::new().mode(0o700).create(&aside);
        match private {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                drop(fs::remove_dir_all(&aside));
                fs::DirBuilder::new().mode(0o700).create(&aside)
            }
            other => other,
        }
        .map_err(io("create", &aside))?;
        let made = (|| {
            let data = aside.join("_data");
            fs::create_dir(&data).map_err(io("create", &data))?;
            // Whatever the umask: what an image's user meets when there is nothing to copy.
            fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).map_err(io("create", &data))?;
            files::write_json(&aside.join("volume.json"), record)?;
            if directory {
                files::write(&aside.join(MARKER), b"")?;
            }
            let target = self.volume_dir(&record.name);
            match renameat_with(rustix::fs::CWD, &aside, rustix::fs::CWD, &target, RenameFlags::NOREPLACE) {
                Ok(()) => Ok(true),
                Err(Errno::EXIST) => Ok(false),
                // NFS and others without the flag; an existing volume is not empty, so rename(2) refuses it too.
                Err(Errno::INVAL | Errno::NOSYS) => match fs::rename(&aside, &target) {
                    Ok(()) => Ok(true),
                    Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(false),
                    Err(error) => Err(io("create", &target)(error)),
                },
                Err(errno) => Err(io("create", &target)(errno.into())),
            }
        })();
        if !matches!(made, Ok(true)) {
            drop(fs::remove_dir_all(&aside));
        }
        Ok(made?)
    }

    /// The record of a volume. A damaged record is read as that of a plain volume, since the data are there.
    ///
    /// # Errors
    /// [`VolumeError::NotFound`], [`VolumeError::BadName`], and a record of a newer kelp.
    pub fn get(&self, name: &str) -> Result<VolumeRecord, VolumeError> {
        if check_name(name).is_err() {
            return Err(VolumeError::NotFound(name.to_owned()));
        }
        let path = self.volume_dir(name).join("volume.json");
        match files::read_json::<VolumeRecord>(&path) {
            Ok(Some(record)) if record.version > VERSION => Err(StateError::Damaged {
                path,
                reason: format!("written by a newer kelp ({})", record.version),
            }
            .into()),
            Ok(Some(record)) if record.name == name => Ok(record),
            Ok(_) | Err(StateError::Damaged { .. }) => {
                let created = fs::metadata(self.data(name)).and_then(|data| data.modified());
                match created {
                    Ok(time) => Ok(VolumeRecord {
                        version: VERSION,
                        name: name.to_owned(),
                        driver: "local".to_owned(),
                        created: nanos(time),
                        anonymous: is_anonymous_name(name),
                        scope: "local".to_owned(),
                        ..VolumeRecord::default()
                    }),
                    Err(_) => Err(VolumeError::NotFound(name.to_owned())),
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// What a container that mounts it gets.
    ///
    /// # Errors
    /// [`VolumeError::Option`] when the record's options no longer make sense.
    pub fn backing(&self, record: &VolumeRecord) -> Result<Backing, VolumeError> {
        Ok(match LocalOptions::parse(&record.options)? {
            LocalOptions::Directory => Backing::Data(self.data(&record.name)),
            LocalOptions::Bind { path, read_only } => Backing::Bind { path, read_only },
            LocalOptions::Tmpfs(options) => Backing::Tmpfs(options),
        })
    }

    /// Every volume, by name; what cannot be read as errors, which never stop a listing.
    ///
    /// # Errors
    /// When the directory itself cannot be read.
    pub fn list(&self) -> Result<(Vec<VolumeRecord>, Vec<VolumeError>), VolumeError> {
        let (mut found, mut damaged) = (Vec::new(), Vec::new());
        for name in self.names()? {
            match self.get(&name) {
                Ok(record) => found.push(record),
                Err(VolumeError::NotFound(_)) => {}
                Err(error) => damaged.push(error),
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((found, damaged))
    }

    fn names(&self) -> Result<Vec<String>, VolumeError> {
        let entries = match fs::read_dir(self.dir()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io("list", &self.dir())(error).into()),
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names.filter(|name| !name.starts_with('.')).collect())
    }

    /// Who refers to which volume, from the records of all containers. A container whose record cannot be read keeps
    /// nothing alive that anybody could name.
    ///
    /// # Errors
    /// When the containers cannot be listed.
    pub fn in_use(&self) -> Result<InUse, VolumeError> {
        let containers = Containers::new(self.paths);
        let mut used = InUse::new();
        for id in containers.ids()? {
            let Ok(record) = containers.read(&id) else { continue };
            for mount in &record.config.mounts {
                if mount.kind == MountKind::Volume {
                    let holders = used.entry(mount.name.clone()).or_default();
                    if holders.last() != Some(&id) {
                        holders.push(id.clone());
                    }
                }
            }
        }
        Ok(used)
    }

    /// Removes a volume nobody uses. With content of subordinate ids this needs the user's namespace (`userns::enter`);
    /// [`Self::is_plain`] tells.
    ///
    /// # Errors
    /// [`VolumeError::NotFound`], [`VolumeError::InUse`], and what the file system says.
    pub fn remove(&self, name: &str) -> Result<(), VolumeError> {
        self.get(name)?;
        let lock = self.lock(false)?;
        if let Some(holders) = self.in_use()?.remove(name) {
            let short = holders.iter().map(|id| id.get(..12).unwrap_or(id).to_owned()).collect();
            return Err(VolumeError::InUse { name: name.to_owned(), holders: short });
        }
        let gone = self.set_aside(name)?;
        // Deleting may take long and disturbs nobody.
        drop(lock);
        self.delete(name, &gone)
    }

    /// Removes a volume without asking who uses it: its users are known to go.
    ///
    /// # Errors
    /// What the file system says.
    pub fn discard(&self, name: &str) -> Result<(), VolumeError> {
        let gone = self.set_aside(name)?;
        self.delete(name, &gone)
    }

    /// From here on the volume is gone for everybody.
    fn set_aside(&self, name: &str) -> Result<CString, VolumeError> {
        check_name(name)?;
        let path = self.volume_dir(name);
        let gone = format!("{ASIDE}{}-gone-{}", std::process::id(), name.get(..32).unwrap_or(name));
        match fs::rename(&path, self.dir().join(&gone)) {
            Ok(()) => Ok(CString::new(gone).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(VolumeError::NotFound(name.to_owned())),
            Err(error) => Err(io("remove", &path)(error).into()),
        }
    }

    fn delete(&self, name: &str, gone: &CStr) -> Result<(), VolumeError> {
        let dir = File::open(self.dir()).map_err(io("open", &self.dir()))?;
        remove_tree(dir.as_fd(), gone).map_err(io("remove", &self.volume_dir(name)))?;
        Ok(())
    }

    /// Whether it is still to be filled from the first image that has something there.
    pub fn waits_for_copy_up(&self, name: &str) -> bool {
        self.volume_dir(name).join(MARKER).exists()
    }

    /// Whether removing needs no other ids: the volume is empty.
    pub fn is_plain(&self, name: &str) -> bool {
        fs::read_dir(self.data(name)).is_ok_and(|mut entries| entries.next().is_none())
    }

    /// Sweeps what creations and removals that were killed left behind. Call with the exclusive lock held.
    pub fn sweep(&self) {
        let Ok(dir) = File::open(self.dir()) else { return };
        let Ok(entries) = fs::read_dir(self.dir()) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            if name.as_bytes().starts_with(ASIDE.as_bytes())
                && let Ok(name) = CString::new(name.as_bytes())
                && remove_tree(dir.as_fd(), &name).is_err()
            {
                let _ = unlinkat(&dir, &name, AtFlags::empty());
            }
        }
    }
}

/// podman's rule; docker wants two characters or more.
fn check_name(name: &str) -> Result<(), VolumeError> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if first && rest && name.len() <= 255 { Ok(()) } else { Err(VolumeError::BadName(name.to_owned())) }
}

fn is_anonymous_name(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// An existing volume serves a second `create` unless it would be something else.
fn same(found: VolumeRecord, new: &NewVolume) -> Result<VolumeRecord, VolumeError> {
    if !new.options.is_empty() && new.options != found.options {
        return Err(VolumeError::Conflict { name: found.name, what: "options" });
    }
    Ok(found)
}

fn random_name() -> Result<String, VolumeError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| StateError::Io {
        action: "read random bytes from",
        path: "/dev/urandom".into(),
        source: std::io::Error::other(error.to_string()),
    })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn nanos(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn now() -> i64 {
    nanos(SystemTime::now())
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::record::{ContainerRecord, ResolvedMount};

    fn paths(name: &str) -> Paths {
        let base = std::env::temp_dir().join(format!("kelp-volume-{}-{name}", std::process::id()));
        drop(fs::remove_dir_all(&base));
        let of = |part: &str| base.join(part);
        Paths { data: of("data"), config: of("config"), state: of("state"), cache: of("cache"), run: of("run") }
    }

    fn named(name: &str) -> NewVolume {
        NewVolume { name: Some(name.to_owned()), ..NewVolume::default() }
    }

    #[test]
    fn a_volume_comes_is_found_and_goes() {
        let paths = paths("life");
        let volumes = Volumes::new(&paths);
        assert_eq!(volumes.list().unwrap().0, []);
        let (record, new) = volumes.create(&named("data")).unwrap();
        assert!(new && !record.anonymous);
        assert_eq!(volumes.create(&named("data")).unwrap(), (record.clone(), false));
        let (anonymous, _) = volumes.create(&NewVolume::default()).unwrap();
        assert!(anonymous.anonymous && is_anonymous_name(&anonymous.name));
        assert_eq!(volumes.list().unwrap().0.len(), 2);
        assert_eq!(volumes.backing(&record).unwrap(), Backing::Data(volumes.data("data")));
        fs::write(volumes.data("data").join("file"), "x").unwrap();
        volumes.remove("data").unwrap();
        assert!(matches!(volumes.get("data"), Err(VolumeError::NotFound(_))));
        assert!(matches!(volumes.remove("data"), Err(VolumeError::NotFound(_))));
        let left: Vec<_> = fs::read_dir(volumes.dir()).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        fs::remove_dir_all(paths.data.parent().unwrap()).unwrap();
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let paths = paths("names");
        let volumes = Volumes::new(&paths);
        for name in ["..", ".", "a/b", "-x", ".tmp-x", "", "a\0b"] {
            assert!(matches!(volumes.create(&named(name)), Err(VolumeError::BadName(_))), "{name}");
            assert!(matches!(volumes.get(name), Err(VolumeError::NotFound(_))), "{name}");
        }
        assert!(volumes.create(&named("a")).is_ok());
    }

    #[test]
    fn a_volume_in_use_stays_and_a_damaged_record_loses_no_data() {
        let paths = paths("use");
        let volumes = Volumes::new(&paths);
        volumes.create(&named("data")).unwrap();
        let id = "ab".repeat(32);
        let containers = Containers::new(&paths);
        containers.begin(&id).unwrap();
        let mut record = ContainerRecord { version: 1, id: id.clone(), ..ContainerRecord::default() };
        record.config.mounts.push(ResolvedMount {
            kind: MountKind::Volume,
            name: "data".into(),
            ..ResolvedMount::default()
        });
        containers.commit(&record).unwrap();
        let error = volumes.remove("data").unwrap_err();
        assert!(error.to_string().contains("abababababab"), "{error}");
        fs::write(volumes.volume_dir("data").join("volume.json"), "{\"vers").unwrap();
        assert_eq!(volumes.get("data").unwrap().driver, "local");
        assert_eq!(volumes.list().unwrap().0.len(), 1);
        fs::remove_dir_all(paths.data.parent().unwrap()).unwrap();
    }

    #[test]
    fn leftovers_are_swept() {
        let paths = paths("sweep");
        let volumes = Volumes::new(&paths);
        volumes.create(&named("data")).unwrap();
        fs::create_dir_all(volumes.dir().join(".tmp-1-gone-x/_data/d")).unwrap();
        let _lock = volumes.lock(false).unwrap();
        volumes.sweep();
        assert!(!volumes.dir().join(".tmp-1-gone-x").exists());
        assert!(volumes.data("data").is_dir());
        fs::remove_dir_all(paths.data.parent().unwrap()).unwrap();
    }
}
