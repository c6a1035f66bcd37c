//! Limits of a build: one cgroup for all its steps, since they are one piece of work to whoever limits it.

use std::path::{Path, PathBuf};

use crate::engine::{Engine, Error};
use crate::runtime::cgroup::{self, Wish};
use crate::spec::container::ResourceSpec;

/// The cgroup of a build; goes when dropped.
#[derive(Debug)]
pub struct BuildCgroup {
    path: PathBuf,
}

impl BuildCgroup {
    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for BuildCgroup {
    fn drop(&mut self) {
        cgroup::remove(&self.path);
    }
}

/// Makes a cgroup when limits are asked for; outside of the user's namespace.
///
/// # Errors
/// A limit that cannot be set.
pub fn cgroup(_engine: &Engine, resources: &ResourceSpec) -> Result<Option<BuildCgroup>, Error> {
    if *resources == ResourceSpec::default() {
        return Ok(None);
    }
    let mut random = [0_u8; 8];
    getrandom::fill(&mut random).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
    let id = format!("{:016x}", u64::from_ne_bytes(random));
    let wish = Wish { id: &id, name: "build", resources, outlives: false };
    let asked = cgroup::ask(&wish, std::process::id())?;
    Ok(asked.finish()?.map(|path| BuildCgroup { path }))
}
