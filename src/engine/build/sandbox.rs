//! Running a step: the plan a container of `run` would get, and a process beside it (see [`super::step`]).
//!
//! Any thread of the worker may run steps; each is a process tree of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::step::{Bind, Orders, Report};
use crate::engine::container::driver::{self, Driver};
use crate::engine::container::step as container;
use crate::engine::{Engine, Error};
use crate::network::slirp::has_ipv6_default_route;
use crate::runtime::plan::Root;
use crate::spec::ContainerSpec;
use crate::spec::network::NetworkMode;
use crate::sys::process::{self, CStrings};
use crate::userns::IdMap;

/// Descriptors from here on are out of the way of those a step is given.
const HIGH: i32 = 16;

/// A step to run.
#[derive(Debug, Clone)]
pub struct StepRun<'a> {
    /// A directory of its own, empty but for `upper`, where its changes go.
    pub dir: &'a Path,
    /// What is below, lowest first.
    pub layers: &'a [PathBuf],
    /// Limits, privileges, hosts, name servers.
    pub spec: &'a ContainerSpec,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// `K=V`.
    pub env: Vec<String>,
    /// Working directory.
    pub workdir: String,
    /// `name|uid[:group|gid]`.
    pub user: String,
    /// Its network.
    pub network: NetworkMode,
    /// Mounts, outer before inner.
    pub binds: Vec<Bind>,
    /// The cgroup it is born in.
    pub cgroup: Option<PathBuf>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its code, or 128 and the signal.
    pub code: i32,
    /// The kernel killed something for lack of memory.
    pub oom: bool,
}

/// What all steps of a build have in common.
#[derive(Debug)]
pub struct Sandbox<'a> {
    engine: &'a Engine,
    map: IdMap,
    exe: OwnedFd,
    argv: CStrings,
    env: CStrings,
    host_ipv6: bool,
    /// Processes that have said what they had to and end by themselves.
    ending: Mutex<Vec<i32>>,
    /// Processes at work; none may be added once all are to stop.
    working: Mutex<Option<Vec<i32>>>,
}

impl<'a> Sandbox<'a> {
    /// In the worker, before it has threads.
    ///
    /// # Errors
    /// A driver that cannot be; no view of the program that steps cannot write through.
    pub fn open(engine: &'a Engine) -> Result<Self, Error> {
        let env = std::env::vars_os()
            .filter(|(name, _)| name == "PATH" || name == "TMPDIR")
            .map(|(name, value)| [name.as_encoded_bytes(), b"=", value.as_encoded_bytes()].concat());
        let exe = crate::userns::sealed_self().and_then(|exe| rustix::io::fcntl_dupfd_cloexec(&exe, HIGH)).map_err(|errno| Error::Internal(format!("cannot open the program itself: {errno}")))?;
        Ok(Self {
            engine,
            map: crate::userns::enter(&engine.paths.run, true)?.map,
            exe,
            argv: CStrings::new(["kelp", super::step::ROLE]),
            env: CStrings::new(env),
            host_ipv6: std::fs::read_to_string("/proc/net/ipv6_route").is_ok_and(|table| has_ipv6_default_route(&table)),
            ending: Mutex::default(),
            working: Mutex::new(Some(Vec::new())),
        })
    }

    /// The storage driver for these layers: owners recorded when the user had one id are shown right by one alone.
    ///
    /// # Errors
    /// A driver that was asked for and cannot be.
    pub fn driver(&self, layers: &[PathBuf]) -> Result<Driver, Error> {
        driver::choose_for(self.engine, false, self.map.is_single(), layers)
    }

    /// Runs a step and hands its output on as it comes.
    ///
    /// # Errors
    /// When its program did not run; an exit code other than 0 is none.
    pub fn run(&self, step: StepRun<'_>, output: &mut dyn FnMut(&[u8])) -> Result<Ended, Error> {
        self.reap();
        let orders = self.orders(step)?;
        let (out, theirs_out) = pipe()?;
        let (said, theirs_said) = pipe()?;
        let _ = rustix::fs::fchmod(&theirs_out, Mode::from_raw_mode(0o622));
        let file = OwnedFd::from(orders_file(&orders)?);
        let null = rustix::fs::open(c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| Error::Internal(format!("open /dev/null: {errno}")))?;
        // Out of the way of the numbers they are to have.
        let high = |fd: OwnedFd| {
            rustix::io::fcntl_dupfd_cloexec(&fd, HIGH).map_err(|errno| Error::Internal(format!("dup: {errno}")))
        };
        let (null, file, theirs_said, theirs_out) = (high(null)?, high(file)?, high(theirs_said)?, high(theirs_out)?);
        let mut working = self.working.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(working_now) = working.as_mut() else { return Err(canceled()) };
        let pid = match process::fork().map_err(|errno| Error::Internal(format!("cannot start a process: {errno}")))? {
            Some(pid) => pid,
            None => self.become_step([null.as_fd(), null.as_fd(), null.as_fd(), file.as_fd(), theirs_said.as_fd(), theirs_out.as_fd()]),
        };
        working_now.push(pid);
        drop(working);
        drop((theirs_out, theirs_said, file, null));
        let text = relay(&out, &said, output);
        if let Some(working) = self.working.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            working.retain(|other| *other != pid);
        }
        let text = text?;
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).push(pid);
        match serde_json::from_slice(&text) {
            Ok(Report::Exited { code, oom }) => Ok(Ended { code, oom }),
            Ok(Report::Failed(failure, plan)) => Err(container::words(&failure, &plan)),
            Ok(Report::Error(message)) => Err(Error::Runtime { message, hint: None }),
            Err(_) => Err(Error::Internal("the process beside a build step died".to_owned())),
        }
    }

    /// Kills all steps; none starts any more.
    pub fn cancel(&self) {
        let working = self.working.lock().unwrap_or_else(PoisonError::into_inner).take();
        for pid in working.unwrap_or_default() {
            // Its container goes with it.
            process::kill(pid, libc::SIGKILL);
        }
    }

    fn orders(&self, step: StepRun<'_>) -> Result<Orders, Error> {
        let StepRun { dir, layers, spec, argv, env, workdir, user, network, binds, cgroup } = step;
        let text = |name: &str| dir.join(name).display().to_string();
        for name in ["work", "merged"] {
            make_dir(&dir.join(name))?;
        }
        let asked = container::Asked { spec, argv, env, workdir, user, layers };
        let mut plan = container::plan(self.engine, dir, asked, &network, &self.map)?;
        let lower: Vec<String> = layers.iter().rev().map(|layer| layer.display().to_string()).collect();
        let (upper, work, target) = (text("upper"), text("work"), text("merged"));
        plan.root = match self.driver(layers)? {
            Driver::Overlay => Root::Overlay { lower, upper, work, target, volatile: true },
            Driver::Fuse => Root::Fuse { lower, upper, work, target, volatile: true },
        };
        let slirp = match network {
            NetworkMode::Default(options) => Some(crate::spec::network::SlirpOptions { mtu: options.mtu.or(self.engine.config.network.mtu), ..options }),
            _ => None,
        };
        Ok(Orders { plan, slirp, host_ipv6: self.host_ipv6, scratch: dir.to_owned(), binds, cgroup })
    }

    /// In the child: from here to the exec nothing is allocated and no lock is taken.
    fn become_step(&self, fds: [std::os::fd::BorrowedFd<'_>; 6]) -> ! {
        let _ = crate::sys::prctl::set_parent_death_signal(libc::SIGKILL);
        process::reset_signals();
        process::place_fds(fds);
        process::exec_fd(self.exe.as_fd(), &self.argv, &self.env);
        process::exit_now(125)
    }

    /// Takes note of processes that have ended.
    fn reap(&self) {
        let mut ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner);
        ending.retain(|pid| !process::has_ended(*pid));
    }
}

fn canceled() -> Error {
    Error::Internal("canceled".to_owned())
}

fn make_dir(path: &Path) -> Result<(), Error> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::io("create directory", path)(error)),
        _ => Ok(()),
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    pipe_with(PipeFlags::CLOEXEC).map_err(|errno| Error::Internal(format!("pipe: {errno}")))
}

fn orders_file(orders: &Orders) -> Result<File, Error> {
    let file = rustix::fs::memfd_create(c"step", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(|errno| Error::Internal(format!("memfd: {errno}")))?;
    let mut file = File::from(file);
    serde_json::to_vec(orders)
        .map_err(std::io::Error::from)
        .and_then(|text| file.write_all(&text))
        .map_err(|error| Error::Internal(format!("cannot write a step's orders: {error}")))?;
    Ok(file)
}

/// Reads output until the report has come, then what of it is left.
fn relay(out: &OwnedFd, said: &OwnedFd, output: &mut dyn FnMut(&[u8])) -> Result<Vec<u8>, Error> {
    let failed = |errno: Errno| Error::Internal(format!("cannot hear a build step: {errno}"));
    rustix::io::ioctl_fionbio(out, true).map_err(failed)?;
    let mut buffer = vec![0_u8; 64 << 10];
    let mut open = true;
    loop {
        let mut fds = [PollFd::new(said, PollFlags::IN), PollFd::new(out, PollFlags::IN)];
        let wanted = if open { &mut fds[..] } else { &mut fds[..1] };
        match poll(wanted, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        let told = !fds[0].revents().is_empty();
        while open {
            match rustix::io::read(out, &mut buffer) {
                Ok(0) => open = false,
                Ok(size) => output(&buffer[..size]),
                Err(Errno::AGAIN | Errno::INTR) => break,
                Err(errno) => return Err(failed(errno)),
            }
        }
        if told {
            let mut text = Vec::new();
            // The writer closes it right after.
            File::from(said.try_clone().map_err(|error| Error::Internal(error.to_string()))?)
                .read_to_end(&mut text)
                .map_err(|error| Error::Internal(format!("cannot hear a build step: {error}")))?;
            return Ok(text);
        }
    }
}
