//! Where the store is when the home directory is no place for it: on a network file system, without user attributes or
//! file locks, or read-only. Then the first safe local directory takes it, and what was found is kept per boot.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, XattrFlags};

use super::Paths;
use super::paths::is_private;

/// Where the verdict is kept, below the runtime directory: the home's store, what is wrong with it (or nothing), and the
/// place instead.
const VERDICT: &str = "place";

/// A home that is no place for the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Where the store would be.
    pub home: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl Paths {
    /// Moves store and cache (and logs, if nothing can be written at home) to a safe local place, if they have to. `None`
    /// when they stay.
    pub fn settle(&mut self) -> Option<Moved> {
        let home = self.data.clone();
        let (why, place) = self.known_verdict(&home).unwrap_or_else(|| self.judge(&home));
        if why.is_empty() || place.as_os_str().is_empty() {
            return None;
        }
        self.data = place.join("data");
        self.cache = place.join("cache");
        if why == READ_ONLY {
            self.state = place.join("state");
        }
        Some(Moved { home, why })
    }

    fn known_verdict(&self, home: &Path) -> Option<(String, PathBuf)> {
        let text = fs::read_to_string(self.run.join(VERDICT)).ok()?;
        let mut lines = text.split('\n');
        let same = lines.next()? == home.to_str()?;
        let (why, place) = (lines.next()?.to_owned(), PathBuf::from(lines.next()?));
        let usable = why.is_empty() || place.is_dir();
        (same && usable).then_some((why, place))
    }

    fn judge(&self, home: &Path) -> (String, PathBuf) {
        let why = unsuitable(home).unwrap_or_default();
        let place = if why.is_empty() { PathBuf::new() } else { local(&self.run).unwrap_or_default() };
        if let Some(text) = home.to_str() {
            let verdict = format!("{text}\n{why}\n{}\n", place.display());
            // Only a saving of time.
            drop(super::files::write(&self.run.join(VERDICT), verdict.as_bytes()));
        }
        (why.to_owned(), place)
    }
}

const READ_ONLY: &str = "nothing can be written there";

/// Why a directory, or the nearest one above it that exists, is no place for the store.
pub fn unsuitable(dir: &Path) -> Option<&'static str> {
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
    if is_network(there) {
        return Some("it is on a network file system");
    }
    let probe = there.join(format!(".kelp-probe-{}", std::process::id()));
    let Ok(file) = File::options().create_new(true).write(true).open(&probe) else { return Some(READ_ONLY) };
    let attributes = rustix::fs::fsetxattr(&file, "user.kelp.probe", b"1", XattrFlags::empty()).is_ok();
    let locks = rustix::fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok();
    drop(fs::remove_file(&probe));
    match (attributes, locks) {
        (true, true) => None,
        (false, _) => Some("its file system has no user attributes"),
        (true, false) => Some("its file system has no file locks"),
    }
}

/// By the numbers of statfs(2).
#[allow(clippy::cast_sign_loss, clippy::unnecessary_cast)] // the type differs between architectures
fn is_network(dir: &Path) -> bool {
    const NETWORK: [u64; 16] = [
        0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42, 0x5346_414F, 0x6B41_4653, 0x7375_7245, 0x0BD0_0BD0, 0x4750_4653,
        0x00C3_6400, 0x0102_1997, 0x7461_636F, 0x0116_1970, 0xAAD7_AAEA, 0x1983_0326, 0x2003_0528,
    ];
    rustix::fs::statfs(dir).is_ok_and(|stat| NETWORK.contains(&(crate::sys::mount::magic(&stat) & 0xFFFF_FFFF)))
}

/// The first directory of the caller's own that nobody else may enter and that can hold a store.
fn local(run: &Path) -> Option<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // In a job TMPDIR is usually a disk of the node that is emptied after it; elsewhere it may be anything.
    let in_job = ["SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "FLUX_JOB_ID"].iter().any(|name| std::env::var_os(name).is_some());
    let bases = [absolute("KELP_TMP"), absolute("TMPDIR").filter(|_| in_job), Some("/var/tmp".into())];
    let named = bases.into_iter().flatten().map(|base| base.join(format!("kelp-{}", crate::sys::identity::host_uid())));
    named.chain([run.join("store")]).find(|place| {
        let made = fs::DirBuilder::new().mode(0o700).create(place);
        let there = made.is_ok() || is_private(place, uid);
        there && unsuitable(place).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_kept_and_checked() {
        let dir = std::env::temp_dir().join(format!("kelp-place-{}", std::process::id()));
        fs::create_dir_all(dir.join("run")).expect("a directory");
        let paths = |data: &str| Paths {
            data: dir.join(data),
            config: dir.clone(),
            state: dir.join("state"),
            cache: dir.join("cache"),
            run: dir.join("run"),
        };
        let verdict = |data: &str, why: &str, place: &Path| {
            fs::write(dir.join("run/place"), format!("{}\n{why}\n{}\n", dir.join(data).display(), place.display())).expect("written");
        };
        verdict("a", "no good", &dir);
        let mut moved = paths("a");
        assert_eq!(moved.settle(), Some(Moved { home: dir.join("a"), why: "no good".into() }));
        assert_eq!((moved.data, moved.state), (dir.join("data"), dir.join("state")));
        verdict("a", READ_ONLY, &dir);
        let mut moved = paths("a");
        assert!(moved.settle().is_some());
        assert_eq!(moved.cache, dir.join("cache"));
        // Of another home, or with a place that is gone, it counts for nothing.
        verdict("a", "no good", &dir.join("gone"));
        assert_eq!(paths("a").known_verdict(&dir.join("a")), None);
        assert_eq!(paths("b").known_verdict(&dir.join("b")), None);
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn what_cannot_be_written_is_no_place() {
        assert_eq!(unsuitable(Path::new("/proc/sys/nothing")), Some(READ_ONLY));
    }
}
