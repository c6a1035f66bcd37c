//! `WORKDIR`: the directory exists afterwards. Owned by root, as docker has it.

use std::os::fd::AsFd as _;
use std::path::Path;

use crate::build::cache::Scratch;
use crate::build::key::Key;
use crate::engine::Error;
use crate::sys::root;

use super::Failure;
use super::stage::Stage;
use super::step::{Done, Made, Step, measure};

impl Stage<'_> {
    /// Makes the directory, unless it is there.
    pub(super) fn make_workdir(&mut self, step: &mut Step<'_>, path: &str) -> Result<Done, Failure> {
        let build = self.build;
        step.key = Key::new("workdir").text(&self.key).text(path).finish();
        let layers = self.layers.clone();
        build.step(step, None, &mut |scratch: &Scratch| -> Result<Made, Failure> {
            let view = build.writable(scratch, &layers)?;
            let made = root::ensure(view.root(), Path::new(path), root::Kind::Dir)
                .map_err(|errno| Error::io("create directory", path)(errno.into()))?;
            let stat = rustix::fs::fstat(made.as_fd()).map_err(|errno| Error::io("stat", path)(errno.into()))?;
            if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::Directory {
                return Err(Failure::Said(format!("WORKDIR {path}: there is a file that is no directory")));
            }
            drop(made);
            drop(view);
            Ok(measure(&scratch.upper()))
        })
    }
}
