//! `RUN`: a program in the sandbox of `kelp run`, on the layers so far; what it changes is the step's result.

use crate::build::cache::Scratch;
use crate::build::config;
use crate::build::dockerfile::{Run, RunNetwork, RunSecurity, Script};
use crate::build::key::Key;
use crate::build::progress::{Stream, What};
use crate::engine::Error;
use crate::engine::build::{Bind, BindSource, StepRun};
use crate::spec::NetworkMode;
use crate::spec::security::FakeIds;
use crate::spec::host_entry::{HostAddress, HostEntry};

use super::mounts::Mounts;
use super::stage::Stage;
use super::step::{Done, Made, Step};
use super::{Build, Failure};

/// Lines kept of a step's output for the message when it fails.
const TAIL: usize = 20;
/// Longest line kept.
const LINE: usize = 4096;

/// Variables of the caller that `RUN` gets and no key knows of.
pub(super) const PROXIES: [&str; 10] = [
    "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY",
    "NO_PROXY", "ALL_PROXY",
];

impl Stage<'_> {
    /// Executes one `RUN`. The first part of the environment counts in its key.
    pub(super) fn run_command(
        &mut self,
        step: &mut Step<'_>,
        run: &Run<String>,
        (kept, silent): (Vec<String>, Vec<String>),
    ) -> Result<Done, Failure> {
        let build = self.build;
        let script = run.script();
        let mounts = Mounts::read(self, run)?;
        // Also when the step is in the cache: what is asked for must be there.
        mounts.require(self)?;
        let (argv, file) = self.argv(&script);
        let env: Vec<String> = silent.into_iter().chain(kept.iter().cloned()).collect();
        let network = build.network(run.network)?;
        let insecure = run.security == RunSecurity::Insecure;
        if insecure && !build.options.allow.iter().any(|what| what == "security.insecure") {
            return Err(Failure::Said("RUN --security=insecure needs --allow security.insecure on the command line".to_owned()));
        }
        let spec = &build.options.spec;
        let user = self.config.config.user.clone();
        let workdir = if self.config.config.working_dir.is_empty() { "/".to_owned() } else { self.config.config.working_dir.clone() };
        let mut security = spec.security.clone();
        security.fake_ids = build.fakes();
        let limits = serde_json::to_string(&(&security, &spec.network.add_hosts, &spec.storage)).unwrap_or_default();
        let base = Key::new("run")
            .text(&self.key)
            .list(&argv)
            .option(file.as_ref().map(|(_, data)| data.as_str()))
            .list(&kept)
            .text(&user)
            .text(&workdir)
            .text(&network.to_string())
            .text(if insecure { "insecure" } else { "" })
            .text(&limits)
            .list(build.options.volumes.iter().map(|(from, to, ro)| format!("{}:{to}:{ro}", from.display())));
        let hostname = build.options.meant("BUILDKIT_SANDBOX_HOSTNAME").map(str::to_owned);
        let base = match &hostname {
            Some(hostname) => base.text(hostname).finish(),
            None => base.finish(),
        };
        step.key = Key::new("run mounts").text(&base).text(&mounts.described(self)).finish();
        step.others = mounts.layers();
        let layers = self.layers.clone();
        let step_id = step.id;
        let mut make = |scratch: &Scratch| -> Result<Made, Failure> {
            let mut env = env.clone();
            let mut held = mounts.prepare(self, scratch, &mut env, step_id)?;
            if let Some((name, data)) = &file {
                held.binds.push(Bind {
                    target: format!("/dev/pipes/{name}"),
                    read_only: true,
                    source: BindSource::File { content: data.clone().into_bytes(), mode: 0o755, uid: 0, gid: 0 },
                });
            }
            held.binds.extend(build.options.volumes.iter().map(|(from, to, read_only)| Bind {
                target: to.clone(),
                read_only: *read_only,
                source: BindSource::Cache { dir: from.clone(), path: String::new() },
            }));
            held.binds.sort_by_key(|bind| bind.target.matches('/').count());
            let mut spec = spec.clone();
            spec.security.privileged |= insecure;
            spec.network.hostname.clone_from(&hostname);
            if network == NetworkMode::None {
                // There the host does not answer.
                let is_gateway = |text: &String| text.parse().is_ok_and(|entry: HostEntry| entry.address == HostAddress::Gateway);
                spec.network.add_hosts.retain(|text| !is_gateway(text));
            }
            let dir = scratch.dir();
            let request = StepRun {
                dir: &dir,
                layers: &build.paths(&layers)?,
                spec: &spec,
                argv: argv.clone(),
                env,
                workdir: workdir.clone(),
                user: user.clone(),
                network: network.clone(),
                binds: std::mem::take(&mut held.binds),
                cgroup: build.cgroup.clone(),
            };
            let mut tail = Tail::default();
            let ended = build.sandbox.run(request, &mut |bytes| {
                tail.push(bytes);
                build.sink.now(step.id, What::Output { stream: Stream::Stdout, bytes: bytes.to_vec() });
            })?;
            drop(held);
            if ended.code != 0 {
                return Err(Failure::Command { code: ended.code, oom: ended.oom, tail: tail.lines(), argv: argv.clone() });
            }
            build.measure(scratch)
        };
        if mounts.have_content() {
            let mut content = || mounts.content(self).map(|content| Key::new("run content").text(&base).text(&content).finish());
            build.step(step, Some(&mut content), &mut make)
        } else {
            build.step(step, None, &mut make)
        }
    }

    /// Program and arguments, and the script file they need.
    fn argv(&self, script: &Script) -> (Vec<String>, Option<(String, String)>) {
        match script {
            Script::Exec(argv) => (argv.clone(), None),
            Script::Shell(line) => {
                let mut argv = config::shell(&self.config);
                argv.push(line.clone());
                (argv, None)
            }
            Script::File { name, data } => {
                (vec![format!("/dev/pipes/{name}")], Some((name.clone(), data.clone())))
            }
        }
    }
}

impl Build<'_> {
    /// How ids are faked, where that says anything.
    fn fakes(&self) -> Option<FakeIds> {
        let asked = self.options.spec.security.fake_ids.or(self.engine.config.containers.fake_ids);
        asked.filter(|fakes| self.single_id && *fakes != FakeIds::default())
    }

    /// The network of a step.
    fn network(&self, asked: RunNetwork) -> Result<NetworkMode, Failure> {
        let build = || {
            let configured = self.engine.config.network.default.clone();
            self.options.network.clone().or(configured).unwrap_or_default()
        };
        match asked {
            RunNetwork::None => Ok(NetworkMode::None),
            RunNetwork::Default => Ok(build()),
            RunNetwork::Host => {
                let allowed = self.options.allow.iter().any(|what| what == "network.host") || build() == NetworkMode::Host;
                if allowed {
                    Ok(NetworkMode::Host)
                } else {
                    Err(Failure::Said("RUN --network=host needs --allow network.host on the command line".to_owned()))
                }
            }
        }
    }
}

/// The last lines of an output.
#[derive(Debug, Default)]
struct Tail {
    lines: std::collections::VecDeque<Vec<u8>>,
    open: Vec<u8>,
}

impl Tail {
    fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                self.lines.push_back(std::mem::take(&mut self.open));
                if self.lines.len() > TAIL {
                    self.lines.pop_front();
                }
            } else if self.open.len() < LINE {
                self.open.push(byte);
            }
        }
    }

    fn lines(mut self) -> Vec<String> {
        if !self.open.is_empty() {
            self.lines.push_back(self.open);
        }
        let skip = self.lines.len().saturating_sub(TAIL);
        self.lines.iter().skip(skip).map(|line| String::from_utf8_lossy(line).trim_end_matches('\r').to_owned()).collect()
    }
}

/// Networks a step can be on.
///
/// # Errors
/// The others.
pub(in crate::build) fn check_network(mode: &NetworkMode) -> Result<(), Error> {
    match mode {
        NetworkMode::None | NetworkMode::Host | NetworkMode::Default(_) => Ok(()),
        other => Err(Error::Usage(format!("the network mode \"{other}\" is not supported in builds: use default, none or host"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept() {
        let mut tail = Tail::default();
        for number in 0..50 {
            tail.push(format!("line {number}\n").as_bytes());
        }
        tail.push(b"open");
        let lines = tail.lines();
        assert_eq!(lines.len(), TAIL);
        assert_eq!((lines[0].as_str(), lines[TAIL - 1].as_str()), ("line 31", "open"));
    }
}
