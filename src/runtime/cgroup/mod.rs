//! Cgroups, version 2: finding what the session has, making one per container, setting its limits, and what is done with
//! it later. Version 1 is only ever inherited: an ordinary user cannot be given a part of it safely.
//!
//! A container gets a cgroup of its own when the session's cgroup is left to us (costs two file operations), and over
//! D-Bus, as a transient scope, when a limit was asked for or when the container is to outlive its command: that one must
//! survive the logout and can be paused. A foreground container without limits stays where its caller is, as any program
//! would.
//!
//! In a scope the monitor and its helpers are in `monitor`, the container in `container`: a cgroup with controllers
//! enabled may have no processes of its own, and the helpers are not to be throttled or frozen with the container.

mod control;
mod limits;
mod session;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::spec::container::ResourceSpec;
use crate::systemd::{self, BusError, PendingScope, Scope};

pub use control::{freeze, is_populated, kill, oom_kills, remove};
pub use limits::{Setting, settings};
pub use session::{ROOT, Reason, Session, batch_job, is_version_2, session};

/// Controllers worth having where they are to be had: what `stats` reads.
const USEFUL: [&str; 4] = ["cpu", "io", "memory", "pids"];
/// The monitor's and the container's part of a scope.
const MONITOR: &str = "monitor";
const CONTAINER: &str = "container";
/// Prefix of what is made in a delegated cgroup.
const PREFIX: &str = "kelp-";
/// How long a scope that is needed may take (a busy login), and one that is only nice to have.
const NEEDED: Duration = Duration::from_secs(30);
const NICE: Duration = Duration::from_secs(2);

/// Why there is no cgroup with the limits asked for.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// Nothing is delegated to this session.
    #[error("{flag} cannot be set: {}", reason_text(.reason))]
    Nothing {
        /// The flag that asked for it.
        flag: &'static str,
        /// Why.
        reason: Reason,
    },
    /// In a scope, the container of a service would be lost to the service's manager.
    #[error("{flag} cannot be set: this service's cgroup is not delegated to it")]
    Service {
        /// The flag that asked for it.
        flag: &'static str,
    },
    /// Controllers that are not delegated.
    #[error("{flag} cannot be set: the cgroup controller \"{controller}\" is not delegated to {}", at.display())]
    Controller {
        /// The flag that asked for it.
        flag: &'static str,
        /// Which controller.
        controller: &'static str,
        /// The cgroup that lacks it.
        at: PathBuf,
    },
    /// The kernel refuses the value.
    #[error("{flag} cannot be set: the kernel refuses \"{value}\" for {file}: {source}")]
    Value {
        /// The flag that asked for it.
        flag: &'static str,
        /// What was written.
        value: String,
        /// Where.
        file: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// A slice needs systemd.
    #[error("--cgroup-parent \"{0}\" cannot be used: it must be a slice of the user's systemd, such as work.slice")]
    Parent(String),
    /// A file operation.
    #[error("cannot {action} cgroup {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// systemd did not give a scope.
    #[error("no cgroup for the container: {0}")]
    Bus(#[from] BusError),
    /// The monitor is not where systemd said it would be.
    #[error("no cgroup for the container: its monitor is not in the scope {0}")]
    Lost(String),
}

fn reason_text(reason: &Reason) -> String {
    match reason {
        Reason::Legacy => "this host has cgroups of version 1, which cannot be delegated to a user".to_owned(),
        Reason::BatchJob(variable) => {
            format!("this is a batch job ({variable} is set), and its containers stay in the cgroup of the job")
        }
        Reason::Foreign(path) => format!("the cgroup {path} this session is in is not delegated to you"),
        Reason::NoManager => "no cgroup is delegated to this session, and no systemd of the user can be asked for one".to_owned(),
    }
}

impl CgroupError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        let user = rustix::process::getuid().as_raw();
        match self {
            Self::Nothing { reason: Reason::Legacy, .. } => {
                "boot the host with systemd.unified_cgroup_hierarchy=1, or leave the limits out".to_owned()
            }
            Self::Nothing { reason: Reason::BatchJob(_), .. } => {
                "ask the batch system for the limit instead; it holds for the container too".to_owned()
            }
            Self::Nothing { reason: Reason::Foreign(_), .. } | Self::Service { .. } => {
                "in a systemd unit put Delegate=yes in its [Service] section; else run kelp from a login session".to_owned()
            }
            Self::Nothing { reason: Reason::NoManager, .. } | Self::Bus(BusError::NoManager(_)) => format!(
                "log in through PAM (ssh, not su), or as root: loginctl enable-linger {user}; then XDG_RUNTIME_DIR=/run/user/{user} must be set"
            ),
            Self::Controller { .. } => format!(
                "as root: mkdir -p /etc/systemd/system/user@.service.d && printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' \
                 > /etc/systemd/system/user@.service.d/delegate.conf && systemctl daemon-reload; then log out and in again, or: systemctl restart user@{user}.service"
            ),
            Self::Value { .. } => "see the kernel's Documentation/admin-guide/cgroup-v2.rst for what it takes".to_owned(),
            Self::Parent(_) => "leave it out: kelp finds a place by itself".to_owned(),
            Self::Io { .. } | Self::Bus(_) | Self::Lost(_) => "`kelp doctor` checks what limits need".to_owned(),
        }
    }
}

/// The path of a cgroup's directory below the root, as /proc/PID/cgroup has it.
pub fn name(dir: &Path) -> String {
    format!("/{}", dir.strip_prefix(ROOT).unwrap_or(dir).display())
}

/// What a container wants of its cgroup.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The container's id.
    pub id: &'a str,
    /// Its name, for people.
    pub name: &'a str,
    /// Its limits.
    pub resources: &'a ResourceSpec,
    /// It is to go on when the command that starts it has ended.
    pub outlives: bool,
}

/// A cgroup being made; [`Asked::finish`] waits for it.
#[derive(Debug)]
pub struct Asked {
    place: Place,
    settings: Vec<Setting>,
    monitor: u32,
    short: String,
}

#[derive(Debug)]
enum Place {
    Nowhere,
    Below(PathBuf),
    Scope(PendingScope, String),
}

/// Begins: decides where, and asks systemd if it must be asked. `monitor` is the container's monitor, a child of this
/// process, which is still outside of the user's namespace.
///
/// # Errors
/// When limits were asked for and there is no way to set any.
pub fn ask(wish: &Wish<'_>, monitor: u32) -> Result<Asked, CgroupError> {
    let settings = settings(wish.resources);
    let short = wish.id.get(..16).unwrap_or(wish.id).to_owned();
    let slice = wish.resources.cgroup_parent.as_deref();
    // Something asked for that must not silently be left out, by its flag.
    let needed = settings.iter().find_map(|setting| setting.flag).or(slice.map(|_| "--cgroup-parent"));
    if let Some(slice) = slice.filter(|slice| !slice.ends_with(".slice") || slice.contains('/')) {
        return Err(CgroupError::Parent(slice.to_owned()));
    }
    let place = match (found(needed.is_some() || wish.outlives), needed) {
        (Session::Delegated(base), _) if slice.is_none() => Place::Below(base),
        (Session::Delegated(_), _) => return Err(CgroupError::Parent(slice.unwrap_or_default().to_owned())),
        (Session::Manager { service: true, .. }, Some(flag)) => return Err(CgroupError::Service { flag }),
        (Session::Manager { service, .. }, needed) if needed.is_some() || (wish.outlives && !service) => {
            let unit = format!("{PREFIX}{short}.scope");
            let description = format!("kelp container {}", wish.name);
            let scope = Scope { name: &unit, description: &description, pids: &[monitor], slice };
            match systemd::start_scope(&scope, if needed.is_some() { NEEDED } else { NICE }) {
                Ok(pending) => Place::Scope(pending, unit),
                Err(error) if needed.is_some() => return Err(error.into()),
                Err(_) => Place::Nowhere,
            }
        }
        (Session::None(reason), Some(flag)) => return Err(CgroupError::Nothing { flag, reason }),
        (Session::Manager { .. } | Session::None(_), _) => Place::Nowhere,
    };
    Ok(Asked { place, settings, monitor, short })
}

/// The session; `thorough` asks the manager whether the unit we are in is left to us.
fn found(thorough: bool) -> Session {
    let session = session();
    if let (true, Session::Manager { unit: Some(dir), .. }) = (thorough, &session) {
        let unit = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if systemd::is_delegated(unit, NICE).unwrap_or(false) {
            return Session::Delegated(dir.clone());
        }
    }
    session
}

impl Asked {
    /// The cgroup left to us, if that is where the container's is made: [`sweep`] it.
    pub fn base(&self) -> Option<&Path> {
        if let Place::Below(base) = &self.place { Some(base) } else { None }
    }

    /// Waits for it and sets the limits. The container's first process is to be born in the directory returned; `None` is
    /// the caller's cgroup.
    ///
    /// # Errors
    /// A limit that was asked for cannot be set.
    pub fn finish(self) -> Result<Option<PathBuf>, CgroupError> {
        let Self { place, settings, monitor, short } = self;
        let needed = settings.iter().any(|setting| setting.flag.is_some());
        let made = match place {
            Place::Nowhere => return Ok(None),
            Place::Below(base) => below(&base, &format!("{PREFIX}{short}"), &settings),
            Place::Scope(pending, unit) => pending.wait().map_err(CgroupError::from).and_then(|()| in_scope(monitor, &unit, &settings)),
        };
        match made {
            Ok(dir) => Ok(Some(dir)),
            // A monitor that has died has said why; that is what matters.
            Err(error) if needed && is_alive(monitor) => Err(error),
            Err(_) => Ok(None),
        }
    }
}

/// A cgroup in one that is left to us. Controllers are enabled only when limits need them: that moves the processes there
/// out of the way.
fn below(base: &Path, name: &str, settings: &[Setting]) -> Result<PathBuf, CgroupError> {
    if !settings.is_empty() {
        enable(base, session::SUPERVISOR, settings, &[])?;
    }
    make(base.join(name), settings)
}

/// Divides a scope that systemd made around the monitor.
fn in_scope(monitor: u32, unit: &str, settings: &[Setting]) -> Result<PathBuf, CgroupError> {
    let own = fs::read_to_string(format!("/proc/{monitor}/cgroup")).ok().and_then(|text| session::own_path(&text));
    let scope = own.filter(|path| path.ends_with(&format!("/{unit}"))).ok_or_else(|| CgroupError::Lost(unit.to_owned()))?;
    let scope = session::directory(&scope);
    enable(&scope, MONITOR, settings, &USEFUL)?;
    make(scope.join(CONTAINER), settings)
}

fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> CgroupError {
    move |source| CgroupError::Io { action, path: path.to_owned(), source }
}

/// Enables the controllers that `settings` need, and those of `useful` that there are, for the children of `base`. Its
/// processes go to its child `child` first.
fn enable(base: &Path, child: &str, settings: &[Setting], useful: &[&str]) -> Result<(), CgroupError> {
    let file = base.join("cgroup.controllers");
    let there = fs::read_to_string(&file).map_err(io("read the controllers of", base))?;
    let has = |name: &str| there.split_ascii_whitespace().any(|one| one == name);
    for setting in settings {
        if let (false, Some(flag)) = (has(setting.controller), setting.flag) {
            return Err(CgroupError::Controller { flag, controller: setting.controller, at: base.to_owned() });
        }
    }
    let control = base.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&control).unwrap_or_default();
    let mut words: Vec<String> = Vec::new();
    for name in settings.iter().map(|setting| setting.controller).chain(useful.iter().copied()) {
        let word = format!("+{name}");
        if has(name) && !enabled.split_ascii_whitespace().any(|one| one == name) && !words.contains(&word) {
            words.push(word);
        }
    }
    let words = words.join(" ");
    if !useful.is_empty() {
        // The scope's processes must move in any case: the container is not to be their child in the tree of cgroups.
        move_all(base, child)?;
    }
    if words.is_empty() {
        return Ok(());
    }
    for _ in 0..50 {
        match control::write(&control, &words) {
            // Processes there, maybe new ones.
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => move_all(base, child)?,
            other => return other.map_err(io("enable controllers in", base)),
        }
    }
    Err(io("enable controllers in", base)(std::io::Error::from_raw_os_error(libc::EBUSY)))
}

fn move_all(base: &Path, child: &str) -> Result<(), CgroupError> {
    let dir = base.join(child);
    match fs::create_dir(&dir) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(io("create", &dir)(error)),
        Ok(()) | Err(_) => {}
    }
    let pids = fs::read_to_string(base.join("cgroup.procs")).map_err(io("list the processes of", base))?;
    for pid in pids.lines() {
        match control::write(&dir.join("cgroup.procs"), pid) {
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            other => other.map_err(io("move processes into", &dir))?,
        }
    }
    Ok(())
}

/// The container's own: empty, thawed, limited.
fn make(dir: PathBuf, settings: &[Setting]) -> Result<PathBuf, CgroupError> {
    match fs::create_dir(&dir) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            // Of an earlier run whose monitor was killed.
            remove(&dir);
            fs::create_dir(&dir).map_err(io("create", &dir))?;
        }
        other => other.map_err(io("create", &dir))?,
    }
    match limit(&dir, settings) {
        Ok(()) => Ok(dir),
        Err(error) => {
            remove(&dir);
            Err(error)
        }
    }
}

fn limit(dir: &Path, settings: &[Setting]) -> Result<(), CgroupError> {
    for setting in settings {
        let written = control::write(&dir.join(setting.file), &setting.value);
        // What has no flag was not asked for: swap accounting may be off.
        if let (Err(source), Some(flag)) = (written, setting.flag) {
            return Err(CgroupError::Value { flag, value: setting.value.clone(), file: setting.file, source });
        }
    }
    Ok(())
}

/// Whoever makes a cgroup uses it within this time.
const FRESH: Duration = Duration::from_secs(60);

/// Removes what killed monitors have left in a cgroup that is left to us: `is_over` says of an id's first 16 digits that
/// no monitor has it.
pub fn sweep(base: &Path, is_over: impl Fn(&str) -> bool) {
    let Ok(entries) = fs::read_dir(base) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(short) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|time| time.elapsed().ok());
        if !short.contains('.') && age.is_some_and(|age| age > FRESH) && is_over(short) {
            remove(&entry.path());
        }
    }
}
