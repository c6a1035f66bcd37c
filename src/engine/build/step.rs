//! The process beside each RUN step: this binary again, executed from a read-only view of itself (see
//! `userns::exec_sealed`), as root of the user's namespace. It puts together what the step's mounts show, starts the
//! container by the same `launch` as a monitor does, connects it, waits for its end and says how it was.
//!
//! It keeps no record: when it dies its container dies, and when its parent dies it dies. Descriptors: 3 the orders,
//! 4 where the report goes, 5 the container's output.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::view::View;
use super::{stubs, view};
use crate::network::private::PrivateNetwork;
use crate::network::slirp::{self, SlirpNet};
use crate::runtime::fakes::Supervisor;
use crate::runtime::init::{Descriptors, Stdio};
use crate::runtime::launch::{Handles, Launched, Progress};
use crate::runtime::plan::{Mount, Plan, Root, What, mounts};
use crate::runtime::{Failure, Step, launch};
use crate::spec::network::SlirpOptions;
use crate::sys::mount::{self, attribute, flag};
use crate::sys::{process, root};
use crate::userns::owner::{self, Giving, Owner};

/// The first argument that makes this binary the process beside a step.
pub const ROLE: &str = "__step";

/// How long slirp4netns may take to make its device.
const NETWORK_TIMEOUT: Duration = Duration::from_secs(20);
const DIR: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A mount of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bind {
    /// Absolute path in the container, clean.
    pub target: String,
    /// Not writable.
    pub read_only: bool,
    /// What is there.
    pub source: BindSource,
}

/// What a [`Bind`] shows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum BindSource {
    /// Directories (lowest first) as one file system, never changed: writes are thrown away.
    Layers {
        /// Layers, or the context.
        layers: Vec<PathBuf>,
        /// The part that is shown; links are followed inside.
        path: String,
        /// All is shown as root's: files of the host that are not the user's.
        to_root: bool,
    },
    /// A directory of a cache, changed by the step. No link is followed on the way to `path`: it is some step's work.
    Cache {
        /// The directory.
        dir: PathBuf,
        /// The part that is shown.
        path: String,
    },
    /// Memory.
    Tmpfs {
        /// Bytes.
        size: Option<u64>,
    },
    /// A small file that exists in memory alone: a secret, a script.
    File {
        /// Its content.
        content: Vec<u8>,
        /// Permissions.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
    /// The socket of an agent of the host.
    Socket {
        /// On the host.
        path: PathBuf,
        /// Permissions.
        mode: u32,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

/// What the process is told.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    /// The container; its root's topmost layers come first.
    pub(super) plan: Plan,
    /// Its network, if it has one to the outside.
    pub(super) slirp: Option<SlirpOptions>,
    /// The host has an IPv6 default route.
    pub(super) host_ipv6: bool,
    /// A directory of the step's own, on disk.
    pub(super) scratch: PathBuf,
    /// Mounts beyond the standard ones, outer before inner.
    pub(super) binds: Vec<Bind>,
    /// The cgroup of the build.
    pub(super) cgroup: Option<PathBuf>,
}

/// What it says in the end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    /// The program ran and ended.
    Exited {
        /// Its code, or 128 and the signal.
        code: i32,
        /// The kernel killed something for lack of memory.
        oom: bool,
    },
    /// A step of the launch failed.
    Failed(Failure, Box<Plan>),
    /// Something before or beside it.
    Error(String),
}

/// The role.
pub fn main() -> ExitCode {
    process::one_malloc_arena();
    let (Some(orders), Some(report), Some(output)) =
        (process::inherited_fd(3), process::inherited_fd(4), process::inherited_fd(5))
    else {
        return ExitCode::FAILURE;
    };
    process::close_from(6);
    for fd in [&orders, &report, &output] {
        let _ = rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC);
    }
    let Ok(orders) = read_orders(orders) else { return ExitCode::FAILURE };
    let mut helpers = Vec::new();
    let said = attend(orders, output, &mut helpers);
    let told = serde_json::to_vec(&said).is_ok_and(|text| File::from(report).write_all(&text).is_ok());
    for helper in helpers {
        // slirp4netns takes the kernel a while to end; nobody waits for that but this process.
        let _ = process::wait_for(helper);
    }
    if told { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read_orders(fd: OwnedFd) -> std::io::Result<Orders> {
    let mut file = File::from(fd);
    let mut text = Vec::new();
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))?;
    file.read_to_end(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Why there is no exit code.
enum Trouble {
    Inside(Failure),
    Outside(String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Inside(failure)
    }
}

fn outside(what: &str) -> impl Fn(Errno) -> Trouble {
    let what = what.to_owned();
    move |errno| Trouble::Outside(format!("{what}: {errno}"))
}

fn attend(mut orders: Orders, output: OwnedFd, helpers: &mut Vec<i32>) -> Report {
    let mut views = Views { fuse: matches!(orders.plan.root, Root::Fuse { .. }), ..Views::default() };
    let ended = prepare(&mut orders, &mut views).and_then(|stubs| {
        let ended = run(&orders, output, helpers);
        if let Root::Overlay { upper, .. } | Root::Fuse { upper, .. } = &orders.plan.root {
            stubs::clear(Path::new(upper), &stubs);
        }
        ended
    });
    match ended {
        Ok((code, oom)) => Report::Exited { code, oom },
        Err(Trouble::Inside(failure)) => {
            orders.plan.process.env = Vec::new();
            orders.plan.process.seccomp = Vec::new();
            Report::Failed(failure, Box::new(orders.plan))
        }
        Err(Trouble::Outside(message)) => Report::Error(message),
    }
}

/// Completes the plan: mounts with their sources, and places for all of them to be mounted on. Returns the places the
/// image does not have.
fn prepare(orders: &mut Orders, views: &mut Views) -> Result<Vec<PathBuf>, Trouble> {
    process::unshare(process::NEWNS).map_err(outside("cannot make a mount namespace"))?;
    mount::set_propagation(c"/", flag::REC | flag::SLAVE).map_err(outside("cannot keep mounts apart"))?;
    process::set_umask(0);
    let _ = process::become_subreaper();
    let mut memory = Memory::new(&orders.scratch);
    for (index, bind) in orders.binds.iter().enumerate() {
        let mount = mount_of(bind, &orders.scratch.join(format!("m{index}")), &mut memory, views)
            .map_err(|errno| {
                let source = match &bind.source {
                    BindSource::Layers { path, .. } if !path.is_empty() => format!(" from {path}"),
                    _ => String::new(),
                };
                Trouble::Outside(format!("cannot prepare the mount of {}{source}: {errno}", bind.target))
            })?;
        let hides_standard = |other: &Mount| other.target == mount.target;
        orders.plan.mounts.retain(|other| !hides_standard(other));
        if let BindSource::Cache { path, .. } = &bind.source
            && !path.is_empty()
        {
            orders.plan.beneath.push((bind.target.clone(), path.clone()));
        }
        orders.plan.mounts.push(mount);
    }
    orders.plan.mounts.iter_mut().for_each(|mount| mount.propagation = 0);
    let stubs_dir = orders.scratch.join("stubs");
    let (Root::Overlay { lower, .. } | Root::Fuse { lower, .. }) = &mut orders.plan.root else { return Ok(Vec::new()) };
    let missing = stubs::missing(&orders.plan.mounts, lower, &orders.scratch.join("look"))
        .map_err(outside("cannot look at the layers below"))?;
    stubs::make(&stubs_dir, &missing).map_err(|error| Trouble::Outside(format!("cannot make {}: {error}", stubs_dir.display())))?;
    // Lowest of all: it shows only where the image has nothing, and nothing of it is ever written to the step's layer.
    lower.push(stubs_dir.display().to_string());
    Ok(missing.into_iter().map(|stub| stub.path).collect())
}

/// A tmpfs of this process's own for what must not reach a disk, mounted when first needed.
struct Memory<'a> {
    scratch: &'a Path,
    mounted: bool,
    files: usize,
}

impl<'a> Memory<'a> {
    fn new(scratch: &'a Path) -> Self {
        Self { scratch, mounted: false, files: 0 }
    }

    fn place(&mut self) -> Result<PathBuf, Errno> {
        let dir = self.scratch.join("memory");
        if !self.mounted {
            make_dir(&dir)?;
            let target = rustix::fs::open(&dir, DIR, Mode::empty())?;
            mount::mount(c"tmpfs", target.as_fd(), c"tmpfs", flag::NOSUID | flag::NODEV, c"mode=755,size=64m")?;
            self.mounted = true;
        }
        self.files += 1;
        Ok(dir.join(self.files.to_string()))
    }
}

fn make_dir(path: &Path) -> Result<(), Errno> {
    match std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path) {
        Ok(()) => Ok(()),
        Err(error) => Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
    }
}

fn mount_of(bind: &Bind, dir: &Path, memory: &mut Memory<'_>, views: &mut Views) -> Result<Mount, Errno> {
    let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let set = if bind.read_only { attribute::RDONLY } else { 0 };
    let bound = |path: &Path, set: u64| {
        let mut mount = mounts::bind(&path.display().to_string(), &bind.target, set);
        if let What::Bind { recursive, .. } = &mut mount.what {
            *recursive = false;
        }
        mount
    };
    match &bind.source {
        BindSource::Layers { layers, path, to_root } => {
            let source = match shown(layers, path, bind.read_only, dir, views, *to_root) {
                // Without FUSE they are nobody's.
                Err(_) if *to_root => shown(layers, path, bind.read_only, &dir.join("plain"), views, false)?,
                other => other?,
            };
            Ok(bound(&source, set))
        }
        BindSource::Cache { dir, .. } => Ok(bound(dir, set | attribute::NODEV)),
        BindSource::Tmpfs { size } => {
            let size = size.map_or(String::new(), |size| format!(",size={size}"));
            let what = What::New {
                kind: "tmpfs".to_owned(),
                flags: flag::NOSUID | flag::NODEV,
                data: format!("mode=1777{size}"),
            };
            Ok(Mount { target: bind.target.clone(), strict: false, what, set: 0, clear: 0, propagation: 0 })
        }
        BindSource::File { content, mode, uid, gid } => {
            let path = memory.place()?;
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(io)?;
            file.write_all(content).map_err(io)?;
            match Giving::here().give(&file, Owner { uid: *uid, gid: *gid, mode: *mode, rdev: 0 }) {
                // Nor can it be recorded in memory before Linux 6.6: then it is the user's, as every program of the step is.
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(errno) => return Err(errno),
            }
            // As it was asked for, to be seen: nobody else gets at it. Who believes to be its group is the user, too.
            let own = if Giving::here() == Giving::Record { 0o400 } else { 0 };
            file.set_permissions(std::fs::Permissions::from_mode(*mode | own)).map_err(io)?;
            Ok(bound(&path, attribute::RDONLY))
        }
        BindSource::Socket { path, mode, uid, gid } => {
            let place = memory.place()?;
            forward(path, &place)?;
            // A socket's owner would be recorded in its directory, which is the image's. Every program of the step is the user.
            let mode = match Giving::here() {
                Giving::Set => {
                    own(&place, *uid, *gid)?;
                    *mode
                }
                Giving::Record => owner::on_disk_mode(*mode, 0),
            };
            std::fs::set_permissions(&place, std::fs::Permissions::from_mode(mode)).map_err(io)?;
            Ok(bound(&place, 0))
        }
    }
}

fn own(path: &Path, uid: u32, gid: u32) -> Result<(), Errno> {
    rustix::fs::chown(path, Some(rustix::fs::Uid::from_raw(uid)), Some(rustix::fs::Gid::from_raw(gid)))
}

/// File systems that are served while the step runs.
#[derive(Default)]
struct Views {
    /// The kernel's overlay is not to be used.
    fuse: bool,
    kept: Vec<View>,
}

/// Mounts layers on a directory below `dir` and returns the path at which `path` inside them is to be found.
fn shown(
    layers: &[PathBuf],
    path: &str,
    read_only: bool,
    dir: &Path,
    views: &mut Views,
    to_root: bool,
) -> Result<PathBuf, Errno> {
    let place = dir.join("merged");
    make_dir(&place)?;
    let fd = match (layers, read_only) {
        (_, read_only) if to_root || views.fuse && (layers.len() > 1 || !read_only) => {
            let upper = (!read_only).then(|| (dir.join("upper"), dir.join("work")));
            for part in upper.iter().flat_map(|(upper, work)| [upper, work]) {
                make_dir(part)?;
            }
            let upper = upper.as_ref().map(|(upper, work)| (upper.as_path(), work.as_path()));
            let view = View::fuse(layers, upper, &place, to_root).map_err(|_| Errno::IO)?;
            let root = rustix::io::fcntl_dupfd_cloexec(view.root(), 3)?;
            views.kept.push(view);
            root
        }
        ([one], true) => {
            let tree = mount::clone_tree(rustix::fs::CWD, &c_path(one)?, false)?;
            mount::attach(tree.as_fd(), rustix::fs::open(&place, DIR, Mode::empty())?.as_fd())?;
            rustix::fs::open(&place, DIR, Mode::empty())?
        }
        (_, true) if layers.len() > 1 => view::read_only(layers, &place)?,
        ([], _) => rustix::fs::open(&place, DIR, Mode::empty())?,
        _ => {
            let (upper, work) = (dir.join("upper"), dir.join("work"));
            make_dir(&upper)?;
            make_dir(&work)?;
            let text = |path: &Path| path.display().to_string();
            let lower: Vec<String> = layers.iter().rev().map(|layer| text(layer)).collect();
            crate::runtime::overlay(&lower, Some((&text(&upper), &text(&work))), &text(&place), true)?
        }
    };
    let found = root::open(fd.as_fd(), Path::new(path), OFlags::PATH)?;
    // What is mounted here changes no more, so the path the kernel found holds.
    let real = rustix::fs::readlink(format!("/proc/self/fd/{}", found.as_raw_fd()), Vec::new())?;
    let real = PathBuf::from(std::ffi::OsString::from(String::from_utf8(real.into_bytes()).map_err(|_| Errno::ILSEQ)?));
    if real.starts_with(&place) { Ok(real) } else { Err(Errno::XDEV) }
}

fn c_path(path: &Path) -> Result<std::ffi::CString, Errno> {
    std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| Errno::INVAL)
}

/// Listens at `place` in a process of its own and connects whoever comes to the host's socket. The agent then talks to
/// the user, whoever it is in the container.
fn forward(path: &Path, place: &Path) -> Result<(), Errno> {
    let io = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let listener = std::os::unix::net::UnixListener::bind(place).map_err(io)?;
    if process::fork()?.is_some() {
        return Ok(());
    }
    let _ = crate::sys::prctl::set_parent_death_signal(libc::SIGKILL);
    process::close_range(3, listener.as_raw_fd() - 1);
    process::close_from(listener.as_raw_fd() + 1);
    for client in listener.incoming() {
        let (Ok(mut client), Ok(mut agent)) = (client, std::os::unix::net::UnixStream::connect(path)) else { continue };
        std::thread::spawn(move || {
            let (Ok(mut from), Ok(mut to)) = (client.try_clone(), agent.try_clone()) else { return };
            std::thread::spawn(move || {
                drop(std::io::copy(&mut from, &mut to));
                drop(to.shutdown(std::net::Shutdown::Write));
            });
            drop(std::io::copy(&mut agent, &mut client));
            drop(client.shutdown(std::net::Shutdown::Both));
        });
    }
    process::exit_now(0)
}

fn run(orders: &Orders, output: OwnedFd, helpers: &mut Vec<i32>) -> Result<(i32, bool), Trouble> {
    let null = rustix::fs::open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(outside("open /dev/null"))?;
    let second = output.try_clone().map_err(|error| Trouble::Outside(error.to_string()))?;
    let given = Descriptors { stdio: Some(Stdio { stdin: null, stdout: output, stderr: second }), extra: Vec::new() };
    let cgroup = match &orders.cgroup {
        Some(path) => Some(rustix::fs::open(path, DIR, Mode::empty()).map_err(outside("open the build's cgroup"))?),
        None => None,
    };
    let kills = orders.cgroup.as_deref().map_or(0, crate::runtime::cgroup::oom_kills);
    let launched = launch(&orders.plan, Handles { given, join: None, cgroup })?;
    let Outside { network, supervisor } = match start(orders, &launched, helpers) {
        Ok(outside) => outside,
        Err(error) => {
            let _ = process::pidfd_signal(launched.pidfd.as_fd(), libc::SIGKILL);
            let _ = process::wait_for(launched.pid);
            return Err(launched.failure().map_or(error, Trouble::Inside));
        }
    };
    let ended = process::wait_for(launched.pid);
    drop(supervisor);
    if let Some(network) = network {
        network.stop(false);
    }
    if matches!(orders.plan.root, Root::Fuse { .. })
        && let Some(server) = helpers.first()
    {
        // It ends with the container's mounts; then all is in the upper directory.
        let _ = process::wait_for(*server);
    }
    let code = ended.map_or(255, process::Ended::code);
    let oom = orders.cgroup.as_deref().is_some_and(|cgroup| crate::runtime::cgroup::oom_kills(cgroup) > kills);
    Ok((code, oom))
}

/// What serves a container from outside.
struct Outside {
    network: Option<PrivateNetwork>,
    supervisor: Option<Supervisor>,
}

/// Serves and connects the container and lets its program go.
fn start(orders: &Orders, launched: &Launched, helpers: &mut Vec<i32>) -> Result<Outside, Trouble> {
    for options in orders.plan.served() {
        let Progress::Fuse(device) = launched.next()? else { return Err(Failure::lost(Step::Root).into()) };
        let server = crate::runtime::serve(&options, false, device);
        let server = server.map_err(|error| Trouble::Outside(format!("cannot start the file system server: {error}")))?;
        helpers.extend(i32::try_from(server.id()).ok());
    }
    let mut network = None;
    if let Some(options) = &orders.slirp {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let netns = rustix::fs::open(format!("/proc/{}/ns/net", launched.pid), flags, Mode::empty())
            .map_err(outside("cannot open the network namespace"))?;
        let net = SlirpNet::new(options, orders.host_ipv6);
        let said = |error: &dyn std::error::Error| Trouble::Outside(error.to_string());
        let program = slirp::find(std::env::var_os("PATH").as_deref()).map_err(|error| said(&error))?;
        let mut started = PrivateNetwork::start(&program, netns.as_fd(), &net, options).map_err(|error| said(&error))?;
        helpers.extend(i32::try_from(started.slirp_pid()).ok());
        if let Err(error) = started.wait_configured(NETWORK_TIMEOUT) {
            started.stop(false);
            return Err(said(&error));
        }
        network = Some(started);
    }
    launched.go();
    match settle(launched, helpers) {
        Ok(supervisor) => Ok(Outside { network, supervisor }),
        Err(error) => {
            if let Some(network) = network {
                network.stop(false);
            }
            Err(error)
        }
    }
}

/// Waits until the program runs. In single-id mode it has a supervisor, which ends with this process.
fn settle(launched: &Launched, helpers: &mut Vec<i32>) -> Result<Option<Supervisor>, Trouble> {
    let mut supervisor: Option<Supervisor> = None;
    loop {
        match launched.next()? {
            Progress::Running => return Ok(supervisor),
            Progress::Listener(listener, hello) => {
                let failed = outside("cannot start the supervisor of ids");
                let at_work = match supervisor.take() {
                    Some(at_work) => at_work,
                    None => Supervisor::start(launched.pid).map_err(&failed)?,
                };
                at_work.supervise(listener.as_fd(), &hello).map_err(&failed)?;
                if !helpers.contains(&at_work.pid) {
                    helpers.push(at_work.pid);
                }
                supervisor = Some(at_work);
            }
            Progress::Terminal(_) | Progress::Fuse(_) => return Err(Failure::lost(Step::Exec).into()),
        }
    }
}
