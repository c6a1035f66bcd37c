//! The words for a launch that failed: the child says which step and errno, here is the plan it walked.

use rustix::io::Errno;

use crate::engine::Error;
use crate::runtime::plan::{Plan, Process, Root, What};
use crate::runtime::{Failure, Step};
use crate::userns::{Extent, IdMap};

/// What went wrong when a container was started.
pub(super) fn launch(failure: &Failure, plan: &Plan) -> Error {
    let index = failure.index as usize;
    let errno = failure.errno();
    let mount = plan.mounts.get(index);
    let target = mount.map_or("", |mount| mount.target.as_str());
    let source = match mount.map(|mount| &mount.what) {
        Some(What::Bind { source, .. }) => source.as_str(),
        Some(What::Layered(layered)) => layered.name.as_str(),
        _ => "",
    };
    let message = match failure.step {
        Step::Exec => return program(failure, &plan.process),
        Step::Clone => format!("cannot create the container's namespaces: {errno}"),
        Step::Ids if failure.detail.is_empty() => format!("cannot take on the container's user ids: {errno}"),
        Step::Ids if plan.process.one_id.is_some() => format!(
            "cannot run as user {}: the one id that is yours is another user's in this container, and programs cannot be made to \
             believe otherwise (--fake-ids none, or a kernel before 5.5); start a container with --user, or get more ids: \
             `kelp doctor` tells how",
            failure.detail
        ),
        Step::Ids => no_such_id(&failure.detail, &plan.map),
        Step::Join => format!("cannot join the other container's namespaces: {errno}; is it still running?"),
        Step::NetworkPath => format!(
            "cannot enter the network namespace {}: {errno}{}",
            plan.network_path.as_deref().unwrap_or_default(),
            if errno == Errno::PERM { "; it must be one below your own user namespace, as those of containers are" } else { "" }
        ),
        Step::Hostname => format!("cannot set the host name: {errno}"),
        Step::Loopback => format!("cannot bring up the loopback device: {errno}"),
        Step::Root if matches!(plan.root, Root::Fuse { .. }) => {
            format!(
                "cannot mount the root file system with the fuse driver: {errno}; is /dev/fuse there, and may you open it? \
                 --userns keep-id, nomap, auto and id maps need it; `kelp doctor` tells"
            )
        }
        Step::Root => format!("cannot mount the root file system: {errno}{}", root_advice(errno)),
        Step::MountTarget if errno == Errno::LOOP => {
            format!("refusing to mount on {target}: it is a symbolic link in the image")
        }
        Step::MountTarget if errno == Errno::ROFS => {
            format!("cannot create the mount point {target}: the file system there is read-only")
        }
        Step::MountTarget => format!("cannot create the mount point {target}: {errno}"),
        Step::MountSource if errno == Errno::LOOP => {
            format!("cannot open the subpath of {source} to mount it on {target}: there is a symbolic link in it, and none is followed")
        }
        Step::MountSource if matches!(mount.map(|mount| &mount.what), Some(What::Layered(_))) => {
            format!("cannot mount {source} on {target}: {errno}{}", root_advice(errno))
        }
        Step::MountSource => format!("cannot open {source} to mount it on {target}: {errno}"),
        Step::Mount if source.is_empty() => format!("cannot mount on {target}: {errno}"),
        Step::Mount => format!("cannot mount {source} on {target}: {errno}"),
        Step::Dev => format!("cannot create /dev/{}: {errno}", failure.detail),
        Step::Chown => format!("cannot give {source} to user {} of the container (mount option U): {errno}", failure.detail),
        Step::Fill => format!("{}{}", failure.detail, owner_advice(errno, plan)),
        Step::Terminal => format!("cannot open a terminal: {errno}"),
        Step::Sysctl => {
            let name = plan.sysctls.get(index).map_or(String::new(), |(name, _)| name.replace('/', "."));
            format!("cannot set sysctl {name}: {errno}")
        }
        Step::Mask => format!("cannot hide {}: {errno}", plan.masked.get(index).map_or("", String::as_str)),
        Step::ReadOnly => {
            format!("cannot make {} read-only: {errno}", plan.read_only_paths.get(index).map_or("/", String::as_str))
        }
        Step::Pivot => format!("cannot change to the container's root: {errno}"),
        Step::Limit => format!("cannot set a resource limit: {errno}"),
        Step::OomScore => format!(
            "cannot set --oom-score-adj {}: {errno}: an ordinary user can only raise it above that of kelp itself{}",
            plan.process.oom_score_adj.unwrap_or_default(),
            std::fs::read_to_string("/proc/self/oom_score_adj").map_or(String::new(), |own| format!(" ({})", own.trim())),
        ),
        Step::User => failure.detail.clone(),
        Step::WorkDir if errno == Errno::XDEV => {
            format!("refusing the working directory {}: it leads out of the container", failure.detail)
        }
        Step::WorkDir => format!("cannot change to the working directory {}: {errno}", failure.detail),
        Step::Caps => format!("cannot set capabilities: {errno}"),
        Step::Seccomp => format!("cannot load the seccomp filter: {errno}"),
        Step::Network => format!("the network was not set up: {errno}"),
        Step::Cgroup => format!("cannot enter the container's cgroup: {errno}"),
    };
    Error::Launch { step: format!("{:?}", failure.step), exec: false, errno: failure.errno, message }
}

/// What went wrong when a process was started in a running container.
/// `map` is the container's.
pub(super) fn exec(failure: &Failure, process: &Process, map: IdMap) -> Error {
    let errno = failure.errno();
    if failure.step == Step::WorkDir && matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) {
        let message = format!(
            "cannot change to the working directory {}: {}; exec does not make it: name one that is in the container with -w",
            failure.detail,
            text(errno)
        );
        // As for a program that is not there: podman's 127.
        return Error::Launch { step: "WorkDir".to_owned(), exec: true, errno: failure.errno, message };
    }
    launch(failure, &Plan { process: process.clone(), map, ..Plan::default() })
}

/// For a file of the image that cannot be copied into a volume: its owner may have no id, in which case root of the
/// container is nobody to it.
fn owner_advice(errno: Errno, plan: &Plan) -> String {
    let count = plan.map.uids.iter().map(|extent| u64::from(extent.count)).sum::<u64>();
    match plan.owners {
        Some(owners) if matches!(errno, Errno::ACCESS | Errno::PERM | Errno::OVERFLOW | Errno::INVAL) && count < owners.into() => {
            format!("; files of the image belong to ids that are not among the {count} of this container: give --userns auto:size={owners}")
        }
        _ => String::new(),
    }
}

/// For ids that are not mapped. `user` has them as numbers.
fn no_such_id(user: &str, map: &IdMap) -> String {
    let count = |extents: &[Extent]| extents.iter().map(|extent| u64::from(extent.count)).sum::<u64>();
    let ids = user.split(|c: char| !c.is_ascii_digit()).filter_map(|id| id.parse::<u64>().ok());
    // Where root is the user themselves, that one id stands alone, and all the others are there already.
    let advice = if map.uids.iter().any(|extent| extent.inside == 0 && extent.count > 1) {
        format!("; --userns auto:size={} would give it one, if you have as many", ids.max().map_or(1, |id| id + 1))
    } else {
        String::new()
    };
    format!(
        "cannot run as user {user}: no such id among the {} of this container{advice} (see `kelp info`)",
        count(&map.uids).min(count(&map.gids))
    )
}

fn root_advice(errno: Errno) -> &'static str {
    match errno {
        Errno::PERM | Errno::NODEV | Errno::INVAL => {
            "; the kernel may not allow overlay mounts in user namespaces (before 5.11): `kelp doctor` tells"
        }
        _ => "",
    }
}

fn program(failure: &Failure, process: &Process) -> Error {
    let name = process.argv.first().map_or("", String::as_str);
    let errno = failure.errno();
    let message = match errno {
        Errno::NOENT if name.contains('/') => {
            format!("exec: \"{name}\": stat {name}: no such file or directory (or its interpreter is missing)")
        }
        Errno::NOENT | Errno::NOTDIR => format!("exec: \"{name}\": executable file not found in $PATH"),
        Errno::NOEXEC => format!("exec: \"{name}\": exec format error: built for another architecture, or a script without #!"),
        errno => format!("exec: \"{name}\": {}", text(errno)),
    };
    Error::Launch { step: "exec".to_owned(), exec: true, errno: failure.errno, message }
}

fn text(errno: Errno) -> String {
    let words = std::io::Error::from(errno).to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    words.to_lowercase()
}
