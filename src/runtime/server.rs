//! The server of a file system over FUSE: this binary again, with the device as its input. It ends with the mount.
//!
//! Whoever starts one has mounted the device, or was handed it by the container's first process.

use std::fmt::Write as _;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use super::plan::{Plan, Root};

/// What is to be served.
#[derive(Debug, Clone, Copy)]
pub struct Served<'a> {
    /// Directories on the host, topmost first.
    pub lower: &'a [String],
    /// Where changes go, and the server's own directory beside it; none is read-only.
    pub upper: Option<(&'a str, &'a str)>,
    /// No syncing: for what is thrown away.
    pub volatile: bool,
    /// Single-id mode: what the one id is called where it is mounted.
    pub one: Option<(u32, u32)>,
}

impl<'a> Served<'a> {
    /// The root of a container; none when it is no file system over FUSE.
    pub fn root_of(plan: &'a Plan) -> Option<Self> {
        let Root::Fuse { lower, upper, work, volatile, .. } = &plan.root else { return None };
        let one = plan.process.one_id.as_ref().map(|one| (one.uid, one.gid));
        Some(Self { lower, upper: Some((upper, work)), volatile: *volatile, one })
    }

    /// Starts the server.
    ///
    /// # Errors
    /// When there can be no process.
    pub fn start(&self, device: OwnedFd) -> io::Result<Child> {
        Command::new("/proc/self/exe")
            .args(["overlay-mount", "--serve-stdin", "-o", &self.options(), "/"])
            .stdin(device)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
    }

    fn options(&self) -> String {
        let escaped = |path: &str| path.replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,");
        let lower: Vec<String> = self.lower.iter().map(|path| escaped(path)).collect();
        let mut options = format!("lowerdir={}", lower.join(":"));
        if let Some((upper, work)) = self.upper {
            let _ = write!(options, ",upperdir={},workdir={}", escaped(upper), escaped(work));
        }
        if self.volatile {
            options.push_str(",volatile");
        }
        if let Some((uid, gid)) = self.one {
            // Everything belongs to the one id there is; who it counts as belonging to is the affair of whoever reads the records.
            let _ = write!(
                options,
                ",xattr_permissions=0,squash_to_uid={uid},squash_to_gid={gid},uidmapping=0:{uid}:1,gidmapping=0:{gid}:1"
            );
        }
        options
    }
}
