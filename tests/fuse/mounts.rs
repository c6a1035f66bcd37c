//! Mounting the two overlays, and a small random number generator.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A directory removed at the end.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        let base = std::env::var_os("KELP_FUSE_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = base.join(format!("kelp-fuse-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            fs::remove_dir_all(&self.0).ok();
        }
    }
}

/// A mounted overlay of kelp.
pub(crate) struct Kelp {
    pub(crate) server: Child,
    target: PathBuf,
}

fn options(lowers: &[PathBuf], upper: &Path, work: &Path) -> String {
    let lowers: Vec<_> = lowers.iter().map(|l| l.display().to_string()).collect();
    format!("lowerdir={},upperdir={},workdir={}", lowers.join(":"), upper.display(), work.display())
}

impl Kelp {
    pub(crate) fn mount(lowers: &[PathBuf], upper: &Path, work: &Path, target: &Path) -> Self {
        Self::mount_with(lowers, upper, work, target, "")
    }

    /// With more options, each after a comma.
    pub(crate) fn mount_with(lowers: &[PathBuf], upper: &Path, work: &Path, target: &Path, more: &str) -> Self {
        let before = fs::metadata(target).unwrap().dev();
        let mut server = Command::new(env!("CARGO_BIN_EXE_kelp"))
            .args(["overlay-mount", "-f", "-o", &(options(lowers, upper, work) + more)])
            .arg(target)
            .spawn()
            .unwrap();
        let start = Instant::now();
        while fs::metadata(target).map_or(before, |m| m.dev()) == before {
            assert!(server.try_wait().unwrap().is_none(), "the server ended at once");
            assert!(start.elapsed() < Duration::from_secs(20), "no mount after 20 s");
            std::thread::sleep(Duration::from_millis(2));
        }
        Self { server, target: target.to_owned() }
    }

    pub(crate) fn unmount(mut self) {
        unmount(&self.target, UnmountFlags::empty()).unwrap();
        assert!(self.server.wait().unwrap().success(), "the server failed");
    }

    /// Ends the server without a chance to clean up.
    pub(crate) fn kill(mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
        unmount(&self.target, UnmountFlags::DETACH).unwrap();
    }
}

impl Drop for Kelp {
    fn drop(&mut self) {
        // Only a failed test leaves a server behind.
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

pub(crate) fn mount_kernel(lowers: &[PathBuf], upper: &Path, work: &Path, target: &Path) {
    let text = format!("{},userxattr", options(lowers, upper, work));
    let text = std::ffi::CString::new(text).unwrap();
    mount("overlay", target, "overlay", MountFlags::empty(), text.as_c_str()).unwrap();
}

pub(crate) fn unmount_kernel(target: &Path) {
    unmount(target, UnmountFlags::empty()).unwrap();
}

/// SplitMix64.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}
