//! What the container may do, and which namespaces it has to itself.

use super::{pairs, parse, parse_option};
use crate::cli::exit::UsageError;
use crate::spec::CapWord;
use crate::spec::container::{NamespaceSpec, SecuritySpec};
use crate::spec::security::FakeIds;

/// The security section of `run` and `create`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Security")]
pub(crate) struct SecurityFlags {
    /// Lift the sandbox: all capabilities of the user namespace, no seccomp filter, nothing masked
    #[arg(long)]
    privileged: bool,
    /// Add a capability, or ALL
    #[arg(long, value_name = "CAP")]
    cap_add: Vec<String>,
    /// Drop a capability, or ALL
    #[arg(long, value_name = "CAP")]
    cap_drop: Vec<String>,
    /// seccomp=FILE|unconfined, no-new-privileges, mask=PATH, unmask=PATH|ALL, label=…
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Kernel parameter of the container's own namespaces
    #[arg(long, value_name = "KEY=VALUE")]
    sysctl: Vec<String>,
    /// Resource limit; host keeps the caller's
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// Without subordinate ids: none, basic (chown, setuid… succeed, owners are recorded) or full (programs see them too; slower)
    #[arg(long, value_name = "MODE")]
    fake_ids: Option<String>,
}

impl SecurityFlags {
    pub(crate) fn apply(self, spec: &mut SecuritySpec) -> Result<(), UsageError> {
        let Self { privileged, cap_add, cap_drop, security_opt, sysctl, ulimit, fake_ids } = self;
        spec.privileged = privileged;
        spec.cap_add = capabilities("--cap-add", cap_add)?;
        spec.cap_drop = capabilities("--cap-drop", cap_drop)?;
        spec.options = security_opt;
        spec.sysctls = pairs("--sysctl", sysctl)?;
        for text in &ulimit {
            let fits = text == "host"
                || text.split_once('=').is_some_and(|(name, values)| {
                    !name.is_empty() && values.split(':').count() <= 2 && values.split(':').all(is_limit)
                });
            if !fits {
                return Err(UsageError::value("--ulimit", text, "expected NAME=SOFT[:HARD], or host"));
            }
        }
        spec.ulimits = ulimit;
        spec.fake_ids = fakes(fake_ids)?;
        Ok(())
    }
}

/// `--fake-ids`.
pub(super) fn fakes(text: Option<String>) -> Result<Option<FakeIds>, UsageError> {
    text.map(|text| text.parse().map_err(|reason| UsageError::value("--fake-ids", &text, reason))).transpose()
}

fn is_limit(text: &str) -> bool {
    text == "unlimited" || text.parse::<i64>().is_ok_and(|value| value >= -1)
}

/// podman takes several in one value, comma between.
fn capabilities(flag: &str, values: Vec<String>) -> Result<Vec<String>, UsageError> {
    let mut words = Vec::new();
    for value in values {
        for word in value.split(',').filter(|word| !word.is_empty()) {
            parse::<CapWord>(flag, word)?;
            words.push(word.to_owned());
        }
    }
    Ok(words)
}

/// The namespaces section of `run` and `create`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Namespaces")]
pub(crate) struct NamespaceFlags {
    /// Processes: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    pid: Option<String>,
    /// System V IPC, message queues and /dev/shm: private, shareable, none, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    ipc: Option<String>,
    /// Host name: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    uts: Option<String>,
    /// Control groups: private, host, container:NAME, ns:PATH
    #[arg(long, value_name = "MODE")]
    cgroupns: Option<String>,
    /// Ids: host, keep-id[:uid=N,gid=N], nomap, auto[:size=N], container:NAME
    #[arg(long, value_name = "MODE")]
    userns: Option<String>,
    /// Map user ids of the container to the user's
    #[arg(long, value_name = "CONTAINER:HOST:COUNT")]
    uidmap: Vec<String>,
    /// Map group ids of the container to the user's
    #[arg(long, value_name = "CONTAINER:HOST:COUNT")]
    gidmap: Vec<String>,
}

impl NamespaceFlags {
    pub(crate) fn apply(self, spec: &mut NamespaceSpec) -> Result<(), UsageError> {
        let Self { pid, ipc, uts, cgroupns, userns, uidmap, gidmap } = self;
        spec.pid = parse_option("--pid", pid)?.unwrap_or_default();
        spec.ipc = parse_option("--ipc", ipc)?.unwrap_or_default();
        spec.uts = parse_option("--uts", uts)?.unwrap_or_default();
        spec.cgroup = parse_option("--cgroupns", cgroupns)?.unwrap_or_default();
        if userns.is_some() && !(uidmap.is_empty() && gidmap.is_empty()) {
            return Err(UsageError::conflict("--userns", if uidmap.is_empty() { "--gidmap" } else { "--uidmap" }));
        }
        spec.user = parse_option("--userns", userns)?.unwrap_or_default();
        for (flag, values) in [("--uidmap", &uidmap), ("--gidmap", &gidmap)] {
            for text in values {
                let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()) && part.parse::<u32>().is_ok();
                if !(2..=3).contains(&text.split(':').count()) || !text.split(':').all(is_number) {
                    return Err(UsageError::value(flag, text, "expected CONTAINER:HOST:COUNT, three numbers"));
                }
            }
        }
        spec.uid_map = uidmap;
        spec.gid_map = gidmap;
        Ok(())
    }
}
