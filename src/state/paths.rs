//! Where things are kept: the XDG directories, and the runtime directory with its safe fall-backs.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::spec::Digest;
use super::StateError;

/// The directories of one user. All absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Images, layers, volumes, containers: `$XDG_DATA_HOME/kelp`.
    pub data: PathBuf,
    /// Configuration, credentials: `$XDG_CONFIG_HOME/kelp`.
    pub config: PathBuf,
    /// Logs, events: `$XDG_STATE_HOME/kelp`.
    pub state: PathBuf,
    /// What may be deleted at any time: `$XDG_CACHE_HOME/kelp`.
    pub cache: PathBuf,
    /// Locks, sockets, pids: `$XDG_RUNTIME_DIR/kelp` or its replacement.
    pub run: PathBuf,
}

impl Paths {
    /// From the environment. `root` and `runroot` are `--root` and `--runroot`; the first replaces data, state and
    /// cache. Creates nothing but the runtime directory.
    pub fn from_env(root: Option<&Path>, runroot: Option<&Path>) -> Result<Self, StateError> {
        let base = xdg::BaseDirectories::with_prefix("kelp");
        let config = base.get_config_home().ok_or(StateError::NoHome("XDG_CONFIG_HOME"))?;
        let (data, state, cache) = match root {
            Some(root) => (root.to_owned(), root.join("state"), root.join("cache")),
            None => (
                base.get_data_home().ok_or(StateError::NoHome("XDG_DATA_HOME"))?,
                base.get_state_home().ok_or(StateError::NoHome("XDG_STATE_HOME"))?,
                base.get_cache_home().ok_or(StateError::NoHome("XDG_CACHE_HOME"))?,
            ),
        };
        let run = match runroot {
            Some(path) => {
                super::files::make_private_dir(path)?;
                path.to_owned()
            }
            None => runtime_dir()?,
        };
        Ok(Self { data, config, state, cache, run })
    }

    /// The directory of all containers.
    pub fn containers(&self) -> PathBuf {
        self.data.join("containers")
    }

    /// The directory of one container's stored part.
    pub fn container(&self, id: &str) -> PathBuf {
        self.containers().join(id)
    }

    /// The directory of one container's volatile part. Short, since a socket lives in it. The store says where it is: who
    /// comes from cron, `su` or another session may have another runtime directory than who started the container.
    pub fn container_run(&self, id: &str) -> PathBuf {
        led(&self.run_link(id)).unwrap_or_else(|| self.own_container_run(id))
    }

    /// The runtime directory of the user networks: of all that use this store the same.
    pub fn network_run(&self) -> PathBuf {
        led(&self.network_link()).unwrap_or_else(|| self.run.clone())
    }

    /// Makes this runtime directory that of the user networks, unless there is another one.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub fn claim_network_run(&self) -> Result<(), StateError> {
        claim(&self.run, &self.network_link())
    }

    fn network_link(&self) -> PathBuf {
        self.data.join("networks-run")
    }

    /// Makes this runtime directory the container's, unless it has another one that is there.
    ///
    /// # Errors
    /// A store that cannot be written.
    pub fn claim_run(&self, id: &str) -> Result<(), StateError> {
        // The others' way to the namespace its containers are in.
        let name = Digest::of(self.run.as_os_str().as_encoded_bytes());
        let session = self.data.join("sessions").join(&name.hex()[..16]);
        if session.symlink_metadata().is_err() {
            super::files::make_private_dir(&self.data.join("sessions"))?;
            claim(&self.run, &session)?;
        }
        claim(&self.own_container_run(id), &self.run_link(id))
    }

    fn own_container_run(&self, id: &str) -> PathBuf {
        self.run.join("c").join(id.get(..16).unwrap_or(id))
    }

    fn run_link(&self, id: &str) -> PathBuf {
        self.container(id).join("run")
    }

    /// The log of a container.
    pub fn log(&self, id: &str) -> PathBuf {
        self.state.join("logs").join(id).with_extension("log")
    }
}

/// The runtime directory: `XDG_RUNTIME_DIR` if it is the caller's and closed to others (a `su` or `sudo` leaves
/// another user's there), else `/run/user/UID`, else one of our own under `/tmp`.
fn runtime_dir() -> Result<PathBuf, StateError> {
    let uid = rustix::process::geteuid().as_raw();
    let named = crate::sys::identity::host_uid();
    let mut candidates = Vec::with_capacity(2);
    candidates.extend(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()));
    candidates.push(PathBuf::from(format!("/run/user/{named}")));
    for base in candidates {
        if is_private(&base, uid) {
            let path = base.join("kelp");
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && is_private(&path, uid) => {
                    return Ok(path);
                }
                Err(_) => {}
            }
        }
    }
    // Everybody can make these before us; then the next one serves. The last is the user's alone, but may be on a file
    // system without locks.
    let name = format!("kelp-run-{named}");
    let mut bases = vec![std::env::temp_dir(), PathBuf::from("/tmp"), PathBuf::from("/var/tmp")];
    // A relative TMPDIR means another directory to each command.
    bases.retain(|base| base.is_absolute());
    bases.dedup();
    let mut last = String::new();
    for path in bases.into_iter().map(|base| base.join(&name)) {
        match std::fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                if is_private(&path, uid) {
                    return Ok(path);
                }
                last = format!("{} exists but is not yours with mode 0700; remove it or set XDG_RUNTIME_DIR", path.display());
            }
            Err(error) => last = format!("{}: {error}; set XDG_RUNTIME_DIR", path.display()),
        }
    }
    let home = xdg::BaseDirectories::with_prefix("kelp").get_state_home().map(|state| state.join("run"));
    match home {
        Some(path) if super::files::make_private_dir(&path).is_ok() && is_private(&path, uid) => Ok(path),
        _ => Err(StateError::NoRuntimeDir(last)),
    }
}

/// Where a link of the store leads, if that is ours: who else could be there after our directory was removed would answer
/// for our containers.
fn led(link: &Path) -> Option<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    std::fs::read_link(link).ok().filter(|there| is_private(there, uid))
}

/// Makes a link of the store lead to `own`, unless it leads somewhere already.
fn claim(own: &Path, link: &Path) -> Result<(), StateError> {
    if led(link).is_some() {
        return Ok(());
    }
    // A link that leads to nothing would mean everybody's own directory.
    super::files::make_private_dir(own)?;
    if std::fs::read_link(link).is_ok_and(|there| there != own) {
        drop(std::fs::remove_file(link));
    }
    match std::os::unix::fs::symlink(own, link) {
        // Ours, or somebody was faster and theirs holds.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other.map_err(StateError::io("create link", link)),
    }
}

/// A real directory (no link) of this user that nobody else may enter.
pub(super) fn is_private(path: &Path, uid: u32) -> bool {
    path.symlink_metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == uid && meta.mode() & 0o077 == 0)
}
