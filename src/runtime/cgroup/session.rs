//! What this process may do with cgroups: one of its own, one systemd would give it, or none. Looks, changes nothing.
//!
//! In order: the cgroup it is in, or that one's parent, when the service manager (or, without systemd, the owner of the
//! directory) has left it to us; else a scope of the user's service manager. A batch system's accounting and limits hang
//! on the cgroup its job is in, so from a job nothing ever leaves; nor from a cgroup that is not below `user.slice`, which
//! belongs to something that tracks its processes.

use std::path::{Path, PathBuf};

use crate::systemd;

/// Where version 2 is mounted when it is the only one.
pub const ROOT: &str = "/sys/fs/cgroup";
/// Where processes of a delegated cgroup go when controllers are enabled in it: inner nodes may have none.
pub(super) const SUPERVISOR: &str = "kelp.supervisor";

/// What there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// A cgroup whose subtree is ours. This process is in it or in a child of it.
    Delegated(PathBuf),
    /// The user's service manager may be asked for a scope.
    Manager {
        /// This process was started by a service manager as a service, which would lose track of it.
        service: bool,
        /// The cgroup of the user's unit this process is in, which may be left to it: only the manager knows.
        unit: Option<PathBuf>,
    },
    /// Nothing.
    None(Reason),
}

/// Why there is nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The host has cgroups of version 1, or both.
    Legacy,
    /// In a batch job: this variable is set.
    BatchJob(&'static str),
    /// In a cgroup of the host that is not the user's (path below the root).
    Foreign(String),
    /// No service manager of the user can be reached.
    NoManager,
}

/// Variables that are set in a job and, unlike the batch systems' others, nowhere else.
const JOB_VARIABLES: [&str; 9] = [
    "SLURM_JOB_ID",
    "SLURM_JOBID",
    "SLURM_STEP_ID",
    "PBS_JOBID",
    "LSB_JOBID",
    "FLUX_JOB_ID",
    "OAR_JOB_ID",
    "COBALT_JOBID",
    "SGE_JOB_SPOOL_DIR",
];

/// The variable that shows that this is a batch job.
pub fn batch_job() -> Option<&'static str> {
    JOB_VARIABLES.into_iter().find(|name| std::env::var_os(name).is_some())
}

/// Finds out.
pub fn session() -> Session {
    if !is_version_2() {
        return Session::None(Reason::Legacy);
    }
    // Always the caller's own cgroup there, even where another could be made: the job's accounting and limits are in it.
    if let Some(variable) = batch_job() {
        return Session::None(Reason::BatchJob(variable));
    }
    let own = std::fs::read_to_string("/proc/self/cgroup").ok().and_then(|text| own_path(&text));
    let Some(own) = own else { return Session::None(Reason::Foreign("an unknown one".to_owned())) };
    let dir = directory(&own);
    let booted = Path::new("/run/systemd/system").is_dir();
    let parent = Path::new(&own).parent().filter(|_| own != "/").map(|parent| Path::new(ROOT).join(parent.strip_prefix("/").unwrap_or(parent)));
    for candidate in [Some(dir), parent].into_iter().flatten() {
        if is_left_to_us(&candidate, booted) {
            return Session::Delegated(candidate);
        }
    }
    let root = rustix::process::geteuid().is_root();
    let of_a_session = own.starts_with("/user.slice/") || (root && booted);
    if !of_a_session {
        return Session::None(Reason::Foreign(own));
    }
    if !systemd::manager_reachable() {
        return Session::None(Reason::NoManager);
    }
    let pid = std::process::id().to_string();
    let service = std::env::var_os("SYSTEMD_EXEC_PID").is_some_and(|main| main == *pid);
    Session::Manager { service, unit: user_unit(&own).map(directory) }
}

/// The path of the innermost unit of a user's manager in a cgroup's path.
fn user_unit(own: &str) -> Option<&str> {
    let (_, below) = own.split_once("/user@")?;
    let start = own.len() - below.len() + below.find('/')?;
    let mut end = own.match_indices('/').map(|(at, _)| at).chain([own.len()]).filter(|at| *at > start).filter(|at| {
        [".scope", ".service"].iter().any(|kind| own[..*at].ends_with(kind)) && !own[..*at].ends_with("/init.scope")
    });
    end.next_back().map(|at| &own[..at])
}

/// Whether /sys/fs/cgroup is version 2.
pub fn is_version_2() -> bool {
    rustix::fs::statfs(ROOT).is_ok_and(|stat| crate::sys::mount::magic(&stat) == 0x6367_7270)
}

/// The version 2 path in /proc/PID/cgroup; none when it is outside of what this mount shows.
pub(super) fn own_path(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    (path.starts_with('/') && !path.starts_with("/..")).then(|| path.to_owned())
}

/// The directory of a path below the root.
pub(super) fn directory(path: &str) -> PathBuf {
    Path::new(ROOT).join(path.strip_prefix('/').unwrap_or(path))
}

/// A directory we may divide. With systemd, permission is not enough: it owns what it did not mark (`user.delegate`, or
/// `trusted.delegate` before systemd 251), and what it marked for the user's own service manager is that one's.
fn is_left_to_us(dir: &Path, systemd: bool) -> bool {
    use rustix::fs::{Access, access};
    let manager = dir.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"user@"));
    let writable = || {
        ["", "cgroup.procs", "cgroup.subtree_control"].iter().all(|file| access(dir.join(file), Access::WRITE_OK).is_ok())
    };
    !manager && (!systemd || is_marked(dir)) && writable()
}

fn is_marked(dir: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].into_iter().any(|name| {
        let mut value = [0_u8; 8];
        rustix::fs::getxattr(dir, name, &mut value[..]).is_ok_and(|size| value.get(..size) == Some(b"1".as_slice()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_path_is_that_of_version_2() {
        let hybrid = "5:memory:/x\n1:name=systemd:/y\n0::/user.slice/a.scope\n";
        assert_eq!(own_path(hybrid).as_deref(), Some("/user.slice/a.scope"));
        assert_eq!(own_path("0::/\n").as_deref(), Some("/"));
        assert_eq!(own_path("0::/a (deleted)\n").as_deref(), Some("/a"));
        assert_eq!(own_path("0::/../../x\n"), None);
        assert_eq!(own_path("5:memory:/x\n"), None);
        let manager = "/user.slice/user-1.slice/user@1.service";
        let unit = |path: &str| user_unit(&format!("{manager}{path}")).map(|unit| unit[manager.len()..].to_owned());
        assert_eq!(unit("/app.slice/a.service").as_deref(), Some("/app.slice/a.service"));
        assert_eq!(unit("/app.slice/a.scope/kelp.supervisor").as_deref(), Some("/app.slice/a.scope"));
        assert_eq!((unit("/init.scope"), unit(""), unit("/a.slice")), (None, None, None));
        assert_eq!(user_unit("/user.slice/user-1.slice/session-1.scope"), None);
        assert_eq!(directory("/"), Path::new("/sys/fs/cgroup/"));
        assert_eq!(directory("/a/b"), Path::new("/sys/fs/cgroup/a/b"));
    }
}
