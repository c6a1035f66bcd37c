//! Which ids a user can have: all the subordinate ones, or the own id alone, and then why. Looks only: nothing is made.

use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::{IdMap, enter, ranges};

/// The configuration asks for one id. As process-wide as the namespace a process is in.
static PREFER_SINGLE: AtomicBool = AtomicBool::new(false);

/// From here on this process uses no subordinate ids, whatever there is.
pub fn prefer_single() {
    PREFER_SINGLE.store(true, Ordering::Relaxed);
}

/// Whether it was said.
pub(super) fn single_is_asked() -> bool {
    PREFER_SINGLE.load(Ordering::Relaxed)
}

/// Why only one id can be mapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Single {
    /// The configuration says so.
    #[error("the configuration asks for it (containers.subordinate-ids)")]
    Asked,
    /// Neither /etc/subuid and /etc/subgid nor a directory service has a range.
    #[error("user {uid} has no subordinate ids")]
    NoRanges {
        /// The user.
        uid: u32,
    },
    /// newuidmap or newgidmap is not installed.
    #[error("{0} is not installed")]
    NoMapper(&'static str),
    /// It is there, but gives no privileges.
    #[error("{} may not map ids: {why}", path.display())]
    Powerless {
        /// The program.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
}

/// What the user's namespace will map, without regard to one that exists; and why it is one id, if it is.
pub fn available() -> (IdMap, Option<Single>) {
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    let full = ranges(uid).map(uid, gid);
    let why = if single_is_asked() {
        Some(Single::Asked)
    } else if full.is_single() {
        Some(Single::NoRanges { uid })
    } else if uid == 0 {
        None
    } else {
        ["newuidmap", "newgidmap"].into_iter().find_map(powerless)
    };
    match why {
        Some(why) => (full.first(), Some(why)),
        None => (full, None),
    }
}

/// The map the user's namespace has, or will have when there is none yet. `run` is the runtime directory.
pub fn expected(run: &Path) -> IdMap {
    enter::live_map(run).unwrap_or_else(|| available().0)
}

/// Why a helper would not work, if it is plain to see.
fn powerless(name: &'static str) -> Option<Single> {
    let Some(path) = mapper(name) else { return Some(Single::NoMapper(name)) };
    let refuse = |why| Some(Single::Powerless { path: path.clone(), why });
    let Ok(meta) = path.metadata() else { return refuse("it cannot be looked at") };
    let setuid = meta.uid() == 0 && meta.permissions().mode() & 0o4000 != 0;
    let mut value = [0_u8; 64];
    let mut capable = || rustix::fs::getxattr(&path, c"security.capability", &mut value[..]).is_ok_and(|size| size > 0);
    if !setuid && !capable() {
        return refuse("it is neither setuid root nor has its capability");
    }
    if crate::sys::prctl::no_new_privs().unwrap_or(false) {
        return refuse("this process may not gain privileges (no_new_privs)");
    }
    let nosuid = rustix::fs::open(&path, rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC, rustix::fs::Mode::empty())
        .and_then(|file| rustix::fs::fstatvfs(file.as_fd()))
        .is_ok_and(|stat| stat.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID));
    if nosuid { refuse("its file system is mounted nosuid") } else { None }
}

/// Where the helper is: on PATH, or where distributions put it.
pub(super) fn mapper(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .filter(|dir| dir.starts_with('/'))
        .chain(["/usr/bin", "/bin", "/usr/local/bin"])
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0))
}
