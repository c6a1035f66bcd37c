//! Starting: the monitor's process, its orders, and its first answer.

use std::fs::File;
use std::io::{IoSlice, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags, recv, send};

use crate::engine::options::StartOptions;
use crate::engine::{Engine, Error};
use crate::monitor::protocol::{self, MAX_PACKET, Packet, Reply, Start};
use crate::state::record::{ContainerRecord, Status};
use crate::spec::Digest;
use crate::spec::container::UserNamespaceMode;
use crate::state::{Containers, StateError};
use crate::sys::process::{self, CStrings, Cloned};
use crate::sys::socket;
use crate::userns::IdMap;

use super::attach::{self, Ended, Terminal};
use super::plan::{self, Wishes};
use super::{cgroup, idmap, words};

/// Inherited descriptors looked at.
const INHERITED: i32 = 1024;
/// Between two looks at a container that is about to be free.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(2);
/// What a monitor to be says when it is in the user's namespace. No reply is of one byte.
const ENTERED: u8 = b'E';

/// The most descriptors `--preserve-fds` passes on.
const MOST_PRESERVED: usize = 32;

/// A monitor that waits for its orders.
#[derive(Debug)]
pub(super) struct Spawned {
    socket: OwnedFd,
    pid: i32,
}

/// Starts a monitor process: it enters the user's namespace while we go on preparing. When the result is dropped
/// unused, it goes away.
pub(super) fn spawn(run: &Path) -> Result<Spawned, Error> {
    let (ours, theirs) = socket::pair().map_err(|errno| Error::Internal(format!("socketpair: {errno}")))?;
    match process::clone(0, None).map_err(|errno| Error::Internal(format!("cannot start the monitor: {errno}")))? {
        Cloned::Parent { pid, .. } => Ok(Spawned { socket: ours, pid }),
        Cloned::Child => {
            drop(ours);
            become_monitor(run, &theirs)
        }
    }
}

/// In the child: enter, then execute ourselves as the monitor, with the conversation on descriptor 3.
fn become_monitor(run: &Path, socket: &OwnedFd) -> ! {
    process::reset_signals();
    let _ = rustix::process::setsid();
    let message = match crate::userns::enter(run, true) {
        Ok(_) => {
            let _ = send(socket, &[ENTERED], SendFlags::NOSIGNAL);
            let _ = rustix::process::chdir("/");
            process::move_fd(socket.as_fd(), 3);
            let env = std::env::vars_os()
                .filter(|(name, _)| name == "PATH" || name == "TMPDIR")
                .map(|(name, value)| [name.as_encoded_bytes(), b"=", value.as_encoded_bytes()].concat());
            let errno = crate::userns::exec_sealed(&CStrings::new(["kelp", crate::monitor::ROLE]), &CStrings::new(env));
            format!("cannot execute the monitor: {errno}")
        }
        Err(error) => error.to_string(),
    };
    let _ = protocol::send_reply(socket.as_fd(), &Reply::Error { message }, &[]);
    process::exit_now(125);
}

impl Spawned {
    /// The map of the namespace it entered, if it is not `expected`. Waits until it has entered one, which it mostly has.
    fn other_map(&self, expected: &IdMap) -> Option<IdMap> {
        let mut word = [0_u8; 2];
        let mut look = |flags| retry_on_intr(|| recv(&self.socket, &mut word[..], flags)).is_ok_and(|(size, _)| size == 1 && word[0] == ENTERED);
        // What failed instead it says itself, to who waits for its answer.
        if !look(RecvFlags::PEEK) || !look(RecvFlags::empty()) {
            return None;
        }
        IdMap::of_process(&self.pid.to_string()).filter(|map| map != expected)
    }

    /// Hands over the orders and waits for the answer. Returns the conversation; none when the container runs already.
    fn begin(self, start: &Start, fds: &[BorrowedFd<'_>]) -> Result<Option<OwnedFd>, Error> {
        let file = rustix::fs::memfd_create(c"start", rustix::fs::MemfdFlags::CLOEXEC)
            .map_err(|errno| Error::Internal(format!("memfd: {errno}")))?;
        let mut file = File::from(file);
        serde_json::to_vec(start)
            .map_err(std::io::Error::from)
            .and_then(|text| file.write_all(&text))
            .map_err(|error| Error::Internal(format!("cannot write the monitor's orders: {error}")))?;
        let mut all = vec![file.as_fd()];
        all.extend_from_slice(fds);
        // If it has failed already, its answer is there to be read.
        let _ = socket::send(self.socket.as_fd(), &[IoSlice::new(&[protocol::kind::START])], &all, true);
        let mut buffer = vec![0; MAX_PACKET + 1];
        match protocol::receive(self.socket.as_fd(), &mut buffer) {
            Ok(Packet::Reply(Reply::Started { .. }, _)) => Ok(Some(self.socket)),
            Ok(Packet::Reply(Reply::Running, _)) => Ok(None),
            Ok(Packet::Reply(Reply::Failed(failure), _)) => Err(words::launch(&failure, &start.plan)),
            Ok(Packet::Reply(Reply::Error { message }, _)) => Err(Error::Runtime { message, hint: None }),
            Ok(Packet::End) => Err(Error::Internal("the monitor died before the container started".to_owned())),
            Ok(other) => Err(Error::Internal(format!("the monitor said something unexpected: {other:?}"))),
            Err(errno) => Err(Error::Internal(format!("the monitor cannot be heard: {errno}"))),
        }
    }
}

/// Starts a container whose monitor is spawned. Returns the conversation with the monitor; none when another one was faster.
pub(super) fn begin(
    engine: &Engine,
    spawned: Spawned,
    record: &ContainerRecord,
    layers: &[std::path::PathBuf],
    wishes: Wishes,
    preserved: &[OwnedFd],
) -> Result<Option<OwnedFd>, Error> {
    // systemd, if it is asked, works while the plan is made.
    let cgroup = cgroup::ask(engine, record, wishes, spawned.pid)?;
    // Held until the monitor has recorded which ids are taken.
    let auto = matches!(record.spec.namespaces.user, UserNamespaceMode::Auto { .. });
    let _lock = auto.then(|| choose_lock(engine)).transpose()?;
    let orders = |map: &IdMap| {
        let ids = match record.spec.namespaces.user {
            UserNamespaceMode::Auto { size } => Some(idmap::choose(engine, map, size, &idmap::Need::of(engine, record, layers))?),
            _ => None,
        };
        plan::start(engine, record, layers, map, Wishes { ids, ..wishes }).map_err(|error| {
            // Nobody has its lock yet: what was to be written may have gone meanwhile.
            let gone = !engine.paths.container(&record.id).exists();
            if gone { Error::Conflict(crate::monitor::removed(&record.name)) } else { error }
        })
    };
    let expected = crate::userns::expected(&engine.paths.run);
    let mut start = orders(&expected)?;
    // Who was granted ids a moment ago may have come to another namespace than the one that was found here.
    if let Some(map) = spawned.other_map(&expected) {
        start = orders(&map)?;
    }
    let join = match plan::joined(record) {
        Some(name) => Some(open_init(engine, &name)?),
        None => None,
    };
    let mut fds: Vec<BorrowedFd<'_>> = join.iter().map(AsFd::as_fd).collect();
    if start.passthrough {
        fds.extend([rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()]);
    }
    start.preserved = preserved.len();
    fds.extend(preserved.iter().map(AsFd::as_fd));
    let sockets = inherited_sockets(&start.ports)?;
    start.sockets = sockets.len();
    fds.extend(sockets.iter().map(AsFd::as_fd));
    start.cgroup = cgroup::finish(cgroup)?;
    let socket = spawned.begin(&start, &fds)?;
    if start.cgroup.is_some() && !start.networks.is_empty() {
        cgroup::free_holder(engine);
    }
    Ok(socket)
}

/// Sockets of systemd are for published ports, not for the programs started on the way. To be called first of all.
pub fn guard_inherited_sockets() {
    if std::env::var_os("LISTEN_FDS").is_some() {
        // An old kernel leaves them open in children, which do nothing with them.
        let _ = process::cloexec_from(3);
    }
}

/// The sockets systemd gave us that published ports match (sd_listen_fds(3)).
fn inherited_sockets(ports: &[crate::spec::Port]) -> Result<Vec<OwnedFd>, Error> {
    if ports.is_empty() || std::env::var("LISTEN_PID").ok().and_then(|pid| pid.parse().ok()) != Some(std::process::id()) {
        return Ok(Vec::new());
    }
    let count = std::env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<i32>().ok()).unwrap_or_default();
    let sockets = (0..count.clamp(0, INHERITED)).filter_map(|index| process::duplicate_inherited(3 + index)).collect();
    let sockets = crate::network::ports::matching(ports, sockets);
    // The packet to the monitor has room for so many beside the others.
    let most = socket::MAX_FDS - MOST_PRESERVED - 5;
    if sockets.len() > most {
        return Err(Error::Usage(format!(
            "{} inherited sockets match published ports, which is more than the {most} that can be passed on: leave some to another unit",
            sockets.len()
        )));
    }
    Ok(sockets)
}

/// Copies of the `count` descriptors from 3 on that the caller gave us (`--preserve-fds`).
pub(super) fn preserved(count: u32) -> Result<Vec<OwnedFd>, Error> {
    let count = usize::try_from(count).ok().filter(|&count| count <= MOST_PRESERVED).ok_or_else(|| {
        Error::Usage(format!("--preserve-fds {count}: no more than {MOST_PRESERVED} descriptors can be passed on"))
    })?;
    let one = |number| {
        process::inherited_copy(number).ok_or_else(|| {
            Error::Usage(format!("--preserve-fds {count}: descriptor {number} is not open: give kelp all from 3 to {}", count + 2))
        })
    };
    (3..).take(count).map(one).collect()
}

fn choose_lock(engine: &Engine) -> Result<File, Error> {
    let path = engine.paths.run.join("ids.lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(Error::io("open", &path))?;
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive)
        .map_err(|errno| Error::Internal(format!("lock {}: {errno}", path.display())))?;
    Ok(file)
}

/// A descriptor of the first process of a running container.
pub(super) fn open_init(engine: &Engine, name: &str) -> Result<OwnedFd, Error> {
    let entry = Containers::new(&engine.paths).get(name)?;
    let not_running = || Error::Conflict(format!("container {name} is not running"));
    let init = entry.status.run().and_then(|run| run.init).ok_or_else(not_running)?;
    let pidfd = process::pidfd_open(init.pid).map_err(|_| not_running())?;
    if crate::state::live::alive(init) { Ok(pidfd) } else { Err(not_running()) }
}

/// `start`: an existing container. `None` when not attached or detached from. What works on it is waited for, and one that
/// runs already is fine.
///
/// # Errors
/// Launch errors; see [`Error::kind`].
pub fn start(engine: &Engine, name: &str, options: &StartOptions) -> Result<Option<i32>, Error> {
    let containers = Containers::new(&engine.paths);
    let id = containers.find(name)?;
    // The plan of a second one would overwrite files of the first.
    let turn = containers.turn_to_start(&id)?;
    loop {
        let entry = match containers.get(&id) {
            Err(StateError::NotFound(_)) => {
                drop(std::fs::remove_dir(engine.paths.container_run(&id)));
                return Err(Error::Conflict(crate::monitor::removed(name)));
            }
            other => other?,
        };
        match entry.status {
            // Another command's, or a monitor's that is about to go.
            Status::Created | Status::Exited(_) if containers.is_locked(&id) => std::thread::sleep(PAUSE),
            Status::Created | Status::Exited(_) => {
                if let Some(started) = start_stopped(engine, entry.record, options)? {
                    drop(turn);
                    return started.follow(engine, options);
                }
            }
            Status::Running(_) | Status::Restarting(..) => {
                drop(turn);
                return join(engine, &id, options);
            }
            Status::Paused(_) => return Err(Error::Conflict(format!("container {name} is paused: unpause it instead"))),
        }
    }
}

/// `start` of a container that runs.
fn join(engine: &Engine, id: &str, options: &StartOptions) -> Result<Option<i32>, Error> {
    if !options.attach {
        return Ok(None);
    }
    let attach = crate::engine::options::AttachOptions {
        no_stdin: !options.interactive,
        sig_proxy: options.sig_proxy,
        detach_keys: options.detach_keys.clone(),
    };
    attach::attach(engine, id, &attach)
}

/// A container this command has started.
struct Started {
    socket: OwnedFd,
    terminal: Terminal,
}

/// Starts one that does not run; `None` if another command was faster.
fn start_stopped(engine: &Engine, record: ContainerRecord, options: &StartOptions) -> Result<Option<Started>, Error> {
    let spawned = spawn(&engine.paths.run)?;
    let layers = layers_of(engine, &record)?;
    let terminal = Terminal::open(options.attach && record.spec.process.tty, options.interactive)?;
    let wishes = Wishes { attached: options.attach, size: terminal.size(), ids: None };
    let socket = begin(engine, spawned, &record, &layers, wishes, &[])?;
    Ok(socket.map(|socket| Started { socket, terminal }))
}

impl Started {
    /// Passes its streams on, if that was asked for.
    fn follow(self, engine: &Engine, options: &StartOptions) -> Result<Option<i32>, Error> {
        if !options.attach {
            return Ok(None);
        }
        let keys = attach::keys(engine, options.detach_keys.as_deref())?;
        match attach::relay(&self.socket, &self.terminal, options.interactive, options.sig_proxy, &keys)? {
            Ended::Exited(code) => Ok(Some(code)),
            Ended::Detached => Ok(None),
        }
    }
}

/// The unpacked layers of a container's image, lowest first.
pub(super) fn layers_of(engine: &Engine, record: &ContainerRecord) -> Result<Vec<std::path::PathBuf>, Error> {
    let bad = |text: &str| Error::Storage(format!("the record of {} names a bad layer: {text}", record.name));
    let parse = |text: &String| text.parse::<Digest>().map_err(|_| bad(text));
    let layers = record.image.layers.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    let missing = |layer| Error::Storage(format!("layer {layer} of image {} is missing: pull the image again", record.image.name));
    crate::engine::image::store(engine).stack(&layers).map_err(missing)
}
