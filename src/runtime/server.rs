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
    /// Whose files are.
    pub owners: ShownOwners,
    /// It ends with the thread that starts it: it is in the mount namespace of that, and would keep the mount.
    pub with_parent: bool,
}

/// Whose files are where they are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShownOwners {
    /// As stored.
    Stored,
    /// All are root's.
    Root,
    /// Single-id mode: the one id there is, which is called this. Who files count as belonging to is the affair of whoever
    /// reads the records.
    One(u32, u32),
}

impl<'a> Served<'a> {
    /// The root of a container; none when it is no file system over FUSE.
    pub fn root_of(plan: &'a Plan) -> Option<Self> {
        let Root::Fuse { lower, upper, work, volatile, .. } = &plan.root else { return None };
        let owners = plan.process.one_id.as_ref().map_or(ShownOwners::Stored, |one| ShownOwners::One(one.uid, one.gid));
        Some(Self { lower, upper: Some((upper, work)), volatile: *volatile, owners, with_parent: false })
    }

    /// Starts the server.
    ///
    /// # Errors
    /// When there can be no process.
    pub fn start(&self, device: OwnedFd) -> io::Result<Child> {
        Command::new("/proc/self/exe")
            .args(["overlay-mount", "--serve-stdin"])
            .args(self.with_parent.then_some("--with-parent"))
            .args(["-o", &self.options(), "/"])
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
        match self.owners {
            ShownOwners::Stored => {}
            ShownOwners::Root => options.push_str(",squash_to_root"),
            ShownOwners::One(uid, gid) => {
                let _ = write!(
                    options,
                    ",xattr_permissions=0,squash_to_uid={uid},squash_to_gid={gid},uidmapping=0:{uid}:1,gidmapping=0:{gid}:1"
                );
            }
        }
        options
    }
}
