//! `WORKDIR`: the directory exists afterwards. Owned by root, as docker has it.

use std::path::Path;

use rustix::io::Errno;

use crate::build::cache::Scratch;
use crate::build::key::Key;
use crate::engine::Error;
use crate::sys::root;

use super::Failure;
use super::stage::Stage;
use super::step::{Done, Made, Step};

impl Stage<'_> {
    /// Makes the directory, unless it is there.
    pub(super) fn make_workdir(&mut self, step: &mut Step<'_>, path: &str) -> Result<Done, Failure> {
        let build = self.build;
        step.key = Key::new("workdir").text(&self.key).text(path).finish();
        let layers = self.layers.clone();
        build.step(step, None, &mut |scratch: &Scratch| -> Result<Made, Failure> {
            let view = build.writable(scratch, &layers)?;
            match root::make_dirs(view.root(), Path::new(path)) {
                Ok(made) => drop(made),
                Err(Errno::NOTDIR) => return Err(Failure::Said(format!("WORKDIR {path}: there is a file that is no directory"))),
                Err(errno) => return Err(Error::io("create directory", path)(errno.into()).into()),
            }
            drop(view);
            build.measure(scratch)
        })
    }
}
