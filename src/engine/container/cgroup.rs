//! The cgroup of a container that starts: what it wants, and what earlier ones have left.

use std::fs::File;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use crate::engine::{Engine, Error};
use crate::runtime::cgroup::{self, Asked, CgroupError, Wish};
use crate::spec::container::RestartPolicy;
use crate::state::record::ContainerRecord;
use crate::state::Containers;

use crate::systemd::{PendingScope, Scope, start_scope};

use super::plan::Wishes;

/// How long the service manager may take where nothing depends on it.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

impl From<CgroupError> for Error {
    fn from(error: CgroupError) -> Self {
        match &error {
            CgroupError::Value { .. } | CgroupError::Parent(_) => Self::Usage(error.to_string()),
            CgroupError::Nothing { .. }
            | CgroupError::Service { .. }
            | CgroupError::Controller { .. }
            | CgroupError::Io { .. }
            | CgroupError::Bus(_)
            | CgroupError::Lost(_) => Self::Denied { message: error.to_string(), hint: error.hint() },
        }
    }
}

/// Begins to make it; systemd may be at work until [`finish`].
pub(super) fn ask(engine: &Engine, record: &ContainerRecord, wishes: Wishes, monitor: i32) -> Result<Asked, Error> {
    clear(engine, &record.id);
    let wish = Wish {
        id: &record.id,
        name: &record.name,
        resources: &record.spec.resources,
        outlives: !wishes.attached || record.spec.lifecycle.restart != RestartPolicy::No,
    };
    let asked = cgroup::ask(&wish, u32::try_from(monitor).unwrap_or_default())?;
    if let Some(base) = asked.base() {
        cgroup::sweep(base, |short| is_over(engine, short));
    }
    Ok(asked)
}

/// The directory the container's first process is to be born in.
pub(super) fn finish(asked: Asked) -> Result<Option<std::path::PathBuf>, Error> {
    Ok(asked.finish()?)
}

/// Gives the holder of the user networks a scope of its own when it was started in that of a container: it outlives the
/// container, whose cgroup goes with all that is in it. Done after a container was started in a cgroup of its own; where it
/// fails, the next container's start tries again, and until then a holder that goes with its scope is started anew.
pub(super) fn free_holder(engine: &Engine) {
    let Ok(pid) = crate::network::holder::client::pid(&engine.paths.network_run()) else { return };
    let own = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let in_container = own.lines().any(|line| line.starts_with("0::") && line.contains("/kelp-") && !line.contains("/kelp-networks-"));
    if in_container {
        let name = format!("kelp-networks-{pid}.scope");
        let scope = Scope { name: &name, description: "kelp user networks", pids: &[pid], slice: None };
        drop(start_scope(&scope, PATIENCE).and_then(PendingScope::wait));
    }
}

/// Whether no monitor looks after the container with this short id.
fn is_over(engine: &Engine, short: &str) -> bool {
    let containers = Containers::new(&engine.paths);
    if let Ok(id) = containers.find(short) {
        return !containers.is_looked_after(&id);
    }
    match File::open(engine.paths.run.join("c").join(short).join("lock")) {
        Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockShared).is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Ends what a container whose monitor was killed has left running in its cgroup. The container is not running.
pub(super) fn clear(engine: &Engine, id: &str) {
    if let Some(path) = Containers::new(&engine.paths).run_record(id).and_then(|run| run.cgroup) {
        cgroup::remove(&Path::new(cgroup::ROOT).join(path.trim_start_matches('/')));
    }
}
