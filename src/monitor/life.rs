//! The life of the container: start, end, what is recorded of it, restart, stop, removal.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::protocol::Reply;
use super::network::Net;
use super::streams::{Streams, pipes};
use super::{Client, Monitor};
use crate::format::time::now;
use crate::network::ports::Listeners;
use crate::runtime::init::{Descriptors, Stdio};
use crate::runtime::launch::{Handles, Launched, Progress};
use crate::runtime::fakes::Supervisor;
use crate::runtime::plan::Namespace;
use crate::runtime::{Failure, Step, cgroup, launch};
use crate::spec::container::RestartPolicy;
use crate::spec::health::HealthAction;
use crate::state::record::{ExitRecord, ProcessId, RunRecord, VERSION};
use crate::state::container::RECALL;
use crate::state::{Containers, files, live};
use crate::sys::identity;
use crate::sys::process::{self, Ended};

/// Pause before the first restart; doubled each time, up to [`LONGEST_DELAY`], as docker does.
pub(super) const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(60);
/// A run as long as this starts the pauses over.
const GOOD_RUN: Duration = Duration::from_secs(10);
/// The exit code of a container that `--timeout` ended.
const TIMED_OUT: i32 = 255;

/// A run of the container.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) pidfd: OwnedFd,
    pub(super) streams: Streams,
    pub(super) pid: i32,
    started: i64,
    pub(super) network: Option<Net>,
    /// What its cgroup's count of processes killed for lack of memory was before.
    oom_kills: u64,
}

/// Why a start failed.
pub(super) enum StartError {
    /// A step inside the container.
    Inside(Failure),
    /// Ports, network.
    Outside(String),
}

impl From<Failure> for StartError {
    fn from(failure: Failure) -> Self {
        Self::Inside(failure)
    }
}

impl Monitor {
    /// The first start, told to the command that asked for it.
    pub(super) fn begin(&mut self) {
        let reply = match self.start_container() {
            Ok(()) => Reply::Started { pid: self.record.init.map_or(0, |init| init.pid) },
            Err(error) => {
                let (reply, code, text) = match error {
                    StartError::Inside(failure) => {
                        let code = failure.exit_code();
                        let text = format!("{:?} failed: {}", failure.step, failure.errno());
                        (Reply::Failed(failure), code, text)
                    }
                    StartError::Outside(message) => (Reply::Error { message: message.clone() }, 125, message),
                };
                // It never ran: a container that was created stays created, with the reason; one of `run --rm` goes.
                self.last_exit = ExitRecord { code, error: text, started: 0, finished: now(), ..self.exit_record() };
                self.record_exit();
                self.over = true;
                reply
            }
        };
        for client in self.clients.iter().filter(|client| client.is_starter()) {
            client.reply(&reply, &[]);
        }
        if self.start.restart == RestartPolicy::No && !self.restarts_when_unhealthy() {
            // Nothing of the plan is needed again but what `process` says of terminals.
            self.start.plan.mounts = Vec::new();
            self.start.plan.process.seccomp = Vec::new();
            self.start.plan.process.env = Vec::new();
            self.passthrough = Vec::new();
            self.preserved = Vec::new();
        }
        process::trim_memory();
    }

    fn start_container(&mut self) -> Result<(), StartError> {
        let tty = self.start.plan.process.tty;
        let (mut streams, stdio) = match (tty, self.passthrough_stdio()) {
            (true, _) => (Streams::default(), None),
            (false, Some(stdio)) => (Streams::default(), Some(stdio)),
            (false, None) => {
                let (streams, stdio) =
                    pipes(self.start.interactive).map_err(|errno| StartError::Outside(format!("pipe: {errno}")))?;
                (streams, Some(stdio))
            }
        };
        // Ports first: a taken one is told before there is a container that could do anything.
        let listeners = self.bind_ports()?;
        let ports = listeners.iter().map(|listener| listener.binding()).collect();
        let join = self.join.as_ref().and_then(|fd| fd.try_clone().ok());
        let cgroup = self.open_cgroup().map_err(StartError::Outside)?;
        let oom_kills = self.start.cgroup.as_deref().map_or(0, cgroup::oom_kills);
        let given = Descriptors { stdio, extra: self.preserved.iter().filter_map(|fd| fd.try_clone().ok()).collect() };
        let launched = launch(&self.start.plan, Handles { given, join, cgroup })?;
        let network = match self.finish(&launched, listeners, &mut streams, tty) {
            Ok(network) => network,
            Err(error) => {
                let _ = process::pidfd_signal(launched.pidfd.as_fd(), libc::SIGKILL);
                let _ = process::wait_for(launched.pid);
                return Err(launched.failure().map_or(error, StartError::Inside));
            }
        };
        let started = now();
        self.started_at = Instant::now();
        self.timeout_at =
            (self.start.timeout > 0).then(|| self.started_at + Duration::from_secs(self.start.timeout.into()));
        self.record = RunRecord {
            version: VERSION,
            boot: identity::boot_id().to_owned(),
            monitor: self.own_id(),
            init: live::process(launched.pid),
            started,
            paused: false,
            restarts: self.record.restarts,
            ports,
            ip: self.start.ip.clone(),
            networks: network.as_ref().map(|network| network.leases().to_vec()).unwrap_or_default(),
            ids: self.start.ids,
            cgroup: self.start.cgroup.as_deref().map(cgroup::name),
        };
        let Launched { pid, pidfd, .. } = launched;
        self.running = Some(Running { pidfd, streams, pid, started, network, oom_kills });
        self.write_run_record(started);
        self.begin_checks();
        Ok(())
    }

    /// Waits for the network and the terminal, lets the program go, and hears whether it runs.
    fn finish(
        &mut self,
        launched: &Launched,
        listeners: Listeners,
        streams: &mut Streams,
        tty: bool,
    ) -> Result<Option<Net>, StartError> {
        self.serve_files(launched)?;
        let mut network = self.start_network(launched.pid, listeners)?;
        let result = self.settle(launched, network.as_mut(), streams, tty);
        if let Err(error) = result {
            if let Some(network) = network {
                self.listeners = network.stop(false);
            }
            return Err(error);
        }
        Ok(network)
    }

    fn settle(
        &mut self,
        launched: &Launched,
        network: Option<&mut Net>,
        streams: &mut Streams,
        tty: bool,
    ) -> Result<(), StartError> {
        if tty {
            match launched.next()? {
                Progress::Terminal(master) => streams.set_terminal(master),
                Progress::Running | Progress::Fuse(_) | Progress::Listener(..) => return Err(Failure::lost(Step::Terminal).into()),
            }
        }
        if let Some(network) = network {
            network.wait_configured().map_err(|error| StartError::Outside(error.to_string()))?;
        }
        self.write_pid_files(launched.pid).map_err(StartError::Outside)?;
        launched.go();
        loop {
            match launched.next()? {
                Progress::Running => return Ok(()),
                Progress::Listener(listener, hello) => self
                    .supervisor(launched.pid)
                    .and_then(|supervisor| supervisor.supervise(listener.as_fd(), &hello))
                    .map_err(|errno| StartError::Outside(format!("cannot start the supervisor of ids: {errno}")))?,
                Progress::Terminal(_) | Progress::Fuse(_) => return Err(Failure::lost(Step::Exec).into()),
            }
        }
    }

    /// The supervisor of a container in single-id mode, started when first needed.
    fn supervisor(&mut self, pid: i32) -> Result<&Supervisor, rustix::io::Errno> {
        let supervisor = match self.supervisor.take() {
            Some(supervisor) => supervisor,
            None => Supervisor::start(pid)?,
        };
        Ok(self.supervisor.insert(supervisor))
    }

    /// Starts the servers of FUSE mounts, each of them this binary again with the device as its input. They end with the
    /// mounts.
    fn serve_files(&mut self, launched: &Launched) -> Result<(), StartError> {
        for options in self.start.plan.served() {
            let Progress::Fuse(device) = launched.next()? else { return Err(Failure::lost(Step::Root).into()) };
            let child = crate::runtime::serve(&options, false, device)
                .map_err(|error| StartError::Outside(format!("cannot start the file system server: {error}")))?;
            self.file_servers.extend(i32::try_from(child.id()));
        }
        Ok(())
    }

    fn passthrough_stdio(&self) -> Option<Stdio> {
        let [stdin, stdout, stderr] = self.passthrough.as_slice() else { return None };
        Some(Stdio { stdin: stdin.try_clone().ok()?, stdout: stdout.try_clone().ok()?, stderr: stderr.try_clone().ok()? })
    }

    /// Opens the published ports' sockets, or takes those of the run before, where clients may be waiting.
    fn bind_ports(&mut self) -> Result<Listeners, StartError> {
        if !self.publishes() {
            return Ok(Listeners::default());
        }
        if !self.listeners.is_empty() {
            return Ok(std::mem::take(&mut self.listeners));
        }
        crate::network::ports::bind(&self.start.ports, &self.sockets).map_err(|error| StartError::Outside(error.to_string()))
    }

    fn open_cgroup(&self) -> Result<Option<OwnedFd>, String> {
        let Some(path) = &self.start.cgroup else { return Ok(None) };
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
        rustix::fs::open(path, flags, rustix::fs::Mode::empty())
            .map(Some)
            .map_err(|errno| format!("cannot open cgroup {}: {errno}", path.display()))
    }

    fn write_pid_files(&self, pid: i32) -> Result<(), String> {
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        for (file, pid) in [(&self.start.pid_file, pid), (&self.start.monitor_pid_file, own)] {
            if let Some(file) = file {
                fs::write(file, pid.to_string()).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            }
        }
        Ok(())
    }

    fn own_id(&self) -> ProcessId {
        i32::try_from(std::process::id()).ok().and_then(live::process).unwrap_or_default()
    }

    /// The records that make a start known. A full disk does not stop a container that runs.
    fn write_run_record(&self, started: i64) {
        let run = self.paths.container_run(&self.start.id);
        drop(files::write_json(&run.join("run.json"), &self.record));
        drop(Containers::new(&self.paths).write_start(&self.start.id, started, self.own_id()));
    }

    pub(super) fn handle_signals(&mut self) {
        while let Some(signal) = process::read_signal(self.signals.as_fd()) {
            match signal {
                libc::SIGCHLD => self.reap(),
                RECALL => self.come_back(),
                _ => self.stop(None, None),
            }
        }
    }

    fn reap(&mut self) {
        while let Some((pid, ended)) = process::reap_any() {
            if self.running.as_ref().is_some_and(|running| running.pid == pid) {
                self.container_ended(ended);
            } else if let Some(client) = self.clients.iter_mut().find(|client| client.runs(pid)) {
                client.exec_ended(ended.code());
            } else if self.checks.runs(pid) {
                self.check_ended(ended.code());
            } else if let Some(at) = self.file_servers.iter().position(|&server| server == pid) {
                self.file_servers.remove(at);
                self.doom("the server of its files ended");
            } else if self.supervisor.as_ref().is_some_and(|supervisor| supervisor.pid == pid) {
                self.supervisor = None;
                self.doom("the supervisor of its ids ended");
            } else if self.helper_pid() == Some(pid) {
                self.helper_ended();
            }
        }
    }

    /// Ends a container that cannot go on, with the reason on record.
    pub(super) fn doom(&mut self, reason: &str) {
        if let Some(running) = &self.running {
            reason.clone_into(&mut self.last_exit.error);
            let _ = process::pidfd_signal(running.pidfd.as_fd(), libc::SIGKILL);
        }
    }

    fn exit_record(&self) -> ExitRecord {
        ExitRecord {
            version: VERSION,
            started: self.running.as_ref().map_or(self.record.started, |running| running.started),
            finished: now(),
            stopped_by_user: self.stopped,
            restarts: self.record.restarts,
            pid: self.record.init.map_or(0, |init| init.pid),
            error: self.last_exit.error.clone(),
            ..ExitRecord::default()
        }
    }

    fn container_ended(&mut self, ended: Ended) {
        self.drain_output();
        self.end_checks();
        let code = if self.timed_out { TIMED_OUT } else { ended.code() };
        let oom = self.out_of_memory();
        self.kill_rest();
        self.last_exit = ExitRecord { code, oom, ..self.exit_record() };
        let network = self.running.take().and_then(|running| running.network);
        // Its namespace went with the container; it ends when its socket does.
        self.supervisor = None;
        self.record.init = None;
        self.record.paused = false;
        (self.kill_at, self.timeout_at, self.holder_at, self.helper_at) = (None, None, None, None);
        let helper = network.as_ref().and_then(Net::slirp_pid);
        if let Some(network) = network {
            self.listeners = network.stop(self.helper_reaped);
        }
        self.record_exit();
        self.last_exit.error.clear();
        if self.wants_restart(code) {
            self.schedule_restart();
            return;
        }
        // From here on the record of the end is what counts.
        drop(fs::remove_file(self.paths.container_run(&self.start.id).join("run.json")));
        if self.start.remove {
            crate::state::remove::hide(&self.paths, &self.start.id, &self.start.name);
        }
        self.clients.iter_mut().for_each(|client| client.tell_end(code));
        self.clients.iter().for_each(Client::tell_done);
        self.over = true;
        if let Some(helper) = helper.filter(|_| !self.helper_reaped) {
            // Its end takes the kernel a while; nobody waits for that but this process.
            self.helper = Some(helper);
        }
    }

    fn record_exit(&self) {
        if self.start.remove && self.last_exit.started != 0 {
            return;
        }
        let path = self.paths.container(&self.start.id).join("exit.json");
        if files::write_json(&path, &self.last_exit).is_err() {
            // A full disk: the record of the last run would be wrong, none is right ("lost" is what readers make of it).
            drop(fs::remove_file(path));
        }
    }

    fn wants_restart(&self, code: i32) -> bool {
        if self.stopped || self.start.remove {
            return false;
        }
        if self.unhealthy_restart {
            return true;
        }
        match self.start.restart {
            RestartPolicy::No => false,
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
            RestartPolicy::OnFailure(limit) => code != 0 && limit.is_none_or(|limit| self.record.restarts < limit),
        }
    }

    fn schedule_restart(&mut self) {
        self.unhealthy_restart = false;
        if self.started_at.elapsed() >= GOOD_RUN {
            self.delay = FIRST_DELAY;
        }
        self.restart_at = Some(Instant::now() + self.delay);
        self.delay = (self.delay * 2).min(LONGEST_DELAY);
        let run = self.paths.container_run(&self.start.id);
        drop(files::write_json(&run.join("run.json"), &self.record));
    }

    /// A stop arrived between two runs.
    pub(super) fn give_up_restart(&mut self) {
        self.restart_at = None;
        self.last_exit.stopped_by_user = true;
        self.record_exit();
        if self.start.remove {
            crate::state::remove::hide(&self.paths, &self.start.id, &self.start.name);
        }
        let code = self.last_exit.code;
        self.clients.iter_mut().for_each(|client| client.tell_end(code));
        self.clients.iter().for_each(Client::tell_done);
        self.over = true;
    }

    pub(super) fn check_deadlines(&mut self) {
        let time = Instant::now();
        let due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= time);
        if due(self.holder_at) {
            self.reach_holder();
        }
        if due(self.helper_at) {
            self.start_helper();
        }
        if due(self.timeout_at) {
            self.timeout_at = None;
            self.timed_out = true;
            self.kill_all();
        }
        if due(self.kill_at) {
            self.kill_at = None;
            self.kill_all();
        }
        self.check_health(time);
        if due(self.restart_at) {
            self.restart_at = None;
            self.record.restarts += 1;
            self.last_exit.error.clear();
            if let Err(error) = self.start_container() {
                self.last_exit = ExitRecord {
                    code: 125,
                    error: match error {
                        StartError::Inside(failure) => format!("{:?} failed: {}", failure.step, failure.errno()),
                        StartError::Outside(message) => message,
                    },
                    ..self.exit_record()
                };
                self.record_exit();
                if self.wants_restart(125) {
                    self.schedule_restart();
                } else {
                    self.give_up_restart();
                }
            }
        }
    }

    fn restarts_when_unhealthy(&self) -> bool {
        self.start.health.as_ref().is_some_and(|health| health.check.on_failure == HealthAction::Restart)
    }

    /// Ends the container as [`Monitor::stop`] does, to start it again.
    pub(super) fn stop_and_restart(&mut self) {
        self.unhealthy_restart = true;
        self.end_in_order(None, None);
    }

    pub(super) fn kill_all(&self) {
        if let Some(running) = &self.running {
            let _ = process::pidfd_signal(running.pidfd.as_fd(), libc::SIGKILL);
        }
        self.kill_rest();
    }

    /// Kills what the end of the first process leaves alive: without a pid namespace of its own, all the others.
    pub(super) fn kill_rest(&self) {
        if self.start.plan.namespaces.pid != Namespace::New
            && let Some(cgroup) = &self.start.cgroup
        {
            cgroup::kill(cgroup);
        }
    }

    /// Ends the container: the stop signal, then SIGKILL when its time is over. `timeout` in seconds.
    pub(super) fn stop(&mut self, signal: Option<i32>, timeout: Option<u32>) {
        self.stopped = true;
        if self.running.is_none() {
            if self.restart_at.is_some() {
                self.give_up_restart();
            }
            return;
        }
        self.end_in_order(signal, timeout);
    }

    fn end_in_order(&mut self, signal: Option<i32>, timeout: Option<u32>) {
        let seconds = timeout.unwrap_or(self.start.stop_timeout);
        let signal = if seconds == 0 { libc::SIGKILL } else { signal.unwrap_or(self.start.stop_signal) };
        if self.record.paused && signal != libc::SIGKILL {
            drop(self.pause(false));
        }
        if let Some(running) = &self.running {
            let _ = process::pidfd_signal(running.pidfd.as_fd(), signal);
        }
        let deadline = Instant::now() + Duration::from_secs(seconds.into());
        self.kill_at = Some(self.kill_at.map_or(deadline, |earlier| earlier.min(deadline)));
    }

    /// Freezes or thaws all processes through the version 2 cgroup made for this container.
    pub(super) fn pause(&mut self, freeze: bool) -> Reply {
        let Some(cgroup) = &self.start.cgroup else {
            return Reply::Error {
                message: "cannot pause: the container has no cgroup of its own; that needs cgroup version 2 and a systemd \
                          session (see `kelp doctor`), and a container started with -d or with a limit"
                    .to_owned(),
            };
        };
        match cgroup::freeze(cgroup, freeze) {
            Ok(()) => {
                self.record.paused = freeze;
                let run = self.paths.container_run(&self.start.id);
                drop(files::write_json(&run.join("run.json"), &self.record));
                Reply::Ok
            }
            Err(error) => Reply::Error { message: format!("cannot freeze {}: {error}", cgroup.display()) },
        }
    }

    /// Whether the kernel killed something in the container's cgroup for lack of memory in this run.
    fn out_of_memory(&self) -> bool {
        let before = self.running.as_ref().map_or(0, |running| running.oom_kills);
        self.start.cgroup.as_deref().is_some_and(|cgroup| cgroup::oom_kills(cgroup) > before)
    }

    /// Removes every trace of the container.
    fn remove_container(&mut self) {
        let volumes: &[String] = if self.remove_volumes || self.start.remove { &self.start.anonymous_volumes } else { &[] };
        crate::state::remove::container(&self.paths, &self.start.id, &self.start.name, &self.start.log, volumes);
    }

    /// Leaves nothing behind but the records. Everybody who waits has been told.
    pub(super) fn farewell(&mut self) {
        self.clients.iter().for_each(Client::tell_done);
        self.flush_clients();
        self.clients.clear();
        self.listeners.clear();
        let run = self.paths.container_run(&self.start.id);
        drop(fs::remove_file(run.join("ctl")));
        drop(fs::remove_file(run.join("run.json")));
        for file in [&self.start.pid_file, &self.start.monitor_pid_file].into_iter().flatten() {
            drop(fs::remove_file(file));
        }
        if self.start.remove {
            // The lock file goes first: who opens it now makes a new one, and finds no container.
            drop(fs::remove_dir_all(&run));
            self.remove_container();
        }
        // It ends when it is alone on its socket.
        let supervisor = self.supervisor.take().map(|supervisor| supervisor.pid);
        for child in self.file_servers.drain(..).chain(self.helper).chain(supervisor) {
            let _ = process::wait_for(child);
        }
        if let Some(cgroup) = &self.start.cgroup {
            cgroup::remove(cgroup);
        }
        crate::state::remove::sweep(&self.paths);
    }
}
