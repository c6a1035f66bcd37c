//! One step with files: found in the cache, or made in a directory of its own and put there.
//!
//! A step has up to two keys. The first says how it was described (this instruction on that step, files of that stage)
//! and costs nothing to compute. When it is not in the cache, a second one over the content of the inputs may be: then
//! nothing is made, and the first is noted as standing for the same.

use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags};

use crate::build::cache::{Entry, Outcome, Scratch};
use crate::build::progress::{StepId, What};
use crate::engine::Error;
use crate::engine::build::View;
use crate::image::archive::tarw::MAX_LAYER_PATH;
use crate::image::unpack::walk::{Missing, Walker};
use crate::engine::container::driver::Driver;

use super::{Build, Failure, LayerRef};

/// What making a step came to.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Its files are at the scratch directory's `upper`. Else there are none.
    pub(super) files: bool,
    /// Bytes of them.
    pub(super) size: u64,
}

/// A step as it is asked for.
pub(super) struct Step<'s> {
    pub(super) id: StepId,
    /// The first key.
    pub(super) key: String,
    /// The instruction, for people.
    pub(super) what: &'s str,
    /// Nothing of the cache counts.
    pub(super) anew: bool,
    /// What is below, whose root directory's owner and permissions it starts with.
    pub(super) below: &'s [LayerRef],
    /// Other layers it reads.
    pub(super) others: Vec<LayerRef>,
}

/// What a step came to.
#[derive(Debug, Clone)]
pub(super) struct Done {
    /// The key it was asked for by.
    pub(super) asked: String,
    /// The key of its result.
    pub(super) key: String,
    /// It made files.
    pub(super) files: bool,
    /// When it was made, nanoseconds since 1970.
    pub(super) created: i64,
    /// It does not depend on what is below.
    pub(super) independent: bool,
}

impl Done {
    fn of(asked: &str, entry: &Entry) -> Self {
        Self {
            asked: asked.to_owned(),
            key: entry.key.clone(),
            files: entry.outcome != Outcome::Nothing,
            created: entry.created,
            independent: false,
        }
    }
}

impl Build<'_> {
    /// Finds or makes a step. `content` computes the second key, if the step has one.
    pub(super) fn step(
        &self,
        step: &Step<'_>,
        content: Option<&mut dyn FnMut() -> Result<String, Failure>>,
        make: &mut dyn FnMut(&Scratch) -> Result<Made, Failure>,
    ) -> Result<Done, Failure> {
        if self.is_stopped() {
            return Err(Failure::canceled());
        }
        if !step.anew && let Some(done) = self.found(&step.key, &[])? {
            self.sink.now(step.id, What::Cached);
            return Ok(done);
        }
        if self.lacks(step.below) || self.lacks(&step.others) {
            return Err(Failure::canceled());
        }
        let asked = step.key.as_str();
        let _lock = self.cache.lock(asked, &mut || {
            self.sink.now(step.id, What::Note("waiting for another build that makes this step".to_owned()));
        })?;
        if !step.anew && let Some(done) = self.found(asked, &[asked])? {
            self.sink.now(step.id, What::Cached);
            return Ok(done);
        }
        let mut key = if step.anew { super::super::key::Key::new("anew").text(&step.key).text(&self.nonce).finish() } else { step.key.clone() };
        let mut _second = None;
        if let Some(content) = content {
            let by_content = content()?;
            if !step.anew {
                _second = Some(self.cache.lock(&by_content, &mut || ())?);
                if let Some(done) = self.found(&by_content, &[asked, &by_content])? {
                    self.cache.same(asked, &done.key, step.what)?;
                    self.sink.now(step.id, What::Cached);
                    return Ok(Done { asked: asked.to_owned(), ..done });
                }
                key = by_content;
            }
        }
        let _job = self.jobs.take()?;
        self.sink.now(step.id, What::Started);
        match self.make(step, &key, make) {
            Ok(done) => {
                self.sink.now(step.id, What::Done);
                Ok(done)
            }
            Err(failure) if failure.is_canceled() || self.is_stopped() => {
                self.sink.now(step.id, What::Canceled);
                Err(Failure::canceled())
            }
            Err(failure) => {
                self.sink.now(step.id, What::Failed { message: failure.message(), exit: failure.code() });
                Err(failure)
            }
        }
    }

    /// `held`: the steps whose locks are held.
    fn found(&self, key: &str, held: &[&str]) -> Result<Option<Done>, Failure> {
        let known = || self.cache.known(key).filter(|_| self.trusting);
        let Some(entry) = self.cache.settled(key, held)?.or_else(known) else { return Ok(None) };
        self.cache.touch(key);
        if entry.key != key {
            self.cache.touch(&entry.key);
        }
        Ok(Some(Done::of(key, &entry)))
    }

    fn make(
        &self,
        step: &Step<'_>,
        key: &str,
        make: &mut dyn FnMut(&Scratch) -> Result<Made, Failure>,
    ) -> Result<Done, Failure> {
        let used: Vec<LayerRef> = step.below.iter().chain(&step.others).cloned().collect();
        let (scratch, made, started) = self.steadily(&used, |_| {
            let scratch = self.cache.scratch()?;
            let top = self.paths(step.below)?.pop();
            make_upper(&scratch.upper(), top.as_deref())?;
            // By the clock that stamps the step's files.
            let upper = scratch.upper();
            let started = std::fs::metadata(&upper).map_err(Error::io("stat", &upper))?.ctime();
            let made = make(&scratch)?;
            Ok((scratch, made, started))
        })?;
        if self.is_stopped() {
            return Err(Failure::canceled());
        }
        let outcome = if made.files { Outcome::Own } else { Outcome::Nothing };
        let entry = Entry { started, ..Entry::new(key, step.what, made.size, outcome) };
        self.cache.publish(&scratch, &entry)?;
        if key != step.key {
            if step.anew {
                self.cache.replace(&step.key, key, step.what)?;
            } else {
                self.cache.same(&step.key, key, step.what)?;
            }
        }
        Ok(Done::of(&step.key, &entry))
    }

    /// Bytes of a step's files; nothing when there are none.
    ///
    /// # Errors
    /// What no layer can hold.
    pub(super) fn measure(&self, scratch: &Scratch) -> Result<Made, Failure> {
        let upper = scratch.upper();
        let failed = || Error::io("read", &upper);
        let root = std::fs::File::open(&upper).map_err(failed())?;
        // The other driver marks what was deleted so, where it can make no devices, and lets nobody use such names.
        // Its root has the record of the one below.
        let dots = self.sandbox.driver(std::slice::from_ref(&upper))? == Driver::Overlay;
        let mut walker = Walker::new(root.as_fd());
        let mut made = Made::default();
        let mut todo = vec![Vec::new()];
        while let Some(dir) = todo.pop() {
            let handle = open_dir(&mut walker, &dir).map_err(failed())?;
            for entry in rfs::Dir::read_from(&handle).map_err(|errno| failed()(errno.into()))? {
                let entry = entry.map_err(|errno| failed()(errno.into()))?;
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                made.files = true;
                let path = if dir.is_empty() { name.to_bytes().to_vec() } else { [&dir, &b"/"[..], name.to_bytes()].concat() };
                refuse(&path, dots && name.to_bytes().starts_with(b".wh."))?;
                let stat = rfs::statat(&handle, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|errno| failed()(errno.into()))?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    todo.push(path);
                } else {
                    made.size += u64::try_from(stat.st_size).unwrap_or(0);
                }
            }
        }
        Ok(made)
    }

    /// A view of layers to be changed by a step.
    pub(super) fn writable(&self, scratch: &Scratch, below: &[LayerRef]) -> Result<View, Error> {
        let (work, merged) = (scratch.subdir("work")?, scratch.subdir("merged")?);
        let below = self.paths(below)?;
        View::writable(&below, &scratch.upper(), &work, &merged, self.sandbox.driver(&below)?)
    }

    /// A view of layers to be read.
    pub(in crate::build) fn readable(&self, scratch: &Scratch, name: &str, layers: &[LayerRef]) -> Result<View, Failure> {
        let place = scratch.subdir(name)?;
        self.steadily(layers, |paths| Ok(View::read_only(paths, &place, self.sandbox.driver(paths)?)?))
    }
}

/// The directory a step's changes go to. It stands for the root directory, so it looks like the one below.
fn make_upper(upper: &Path, below: Option<&Path>) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().mode(0o755).create(upper).map_err(Error::io("create directory", upper))?;
    let below = match below {
        Some(path) => Some(std::fs::File::open(path).map_err(Error::io("open", path))?),
        None => None,
    };
    let made = std::fs::File::open(upper).map_err(Error::io("open", upper))?;
    crate::engine::build::like_root(made.as_fd(), below.as_ref().map(std::os::fd::AsFd::as_fd))
        .map_err(|errno| Error::io("set attributes of", upper)(errno.into()))
}

fn open_dir(walker: &mut Walker<'_>, path: &[u8]) -> std::io::Result<OwnedFd> {
    const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    if path.is_empty() {
        return Ok(rfs::openat(walker.root(), c".", FLAGS, Mode::empty())?);
    }
    let (dir, name) = walker.parent(path, Missing::Fail).map_err(std::io::Error::other)?;
    Ok(rfs::openat(dir, name, FLAGS, Mode::empty())?)
}

/// What no layer can hold.
fn refuse(path: &[u8], dotted: bool) -> Result<(), Failure> {
    let shown = String::from_utf8_lossy(&path[..path.len().min(80)]);
    if path.len() > MAX_LAYER_PATH {
        let length = path.len();
        return Err(Failure::Said(format!("the path /{shown}… has {length} bytes: an image has none longer than {MAX_LAYER_PATH}")));
    }
    if dotted {
        return Err(Failure::Said(format!(
            "/{}: a name that begins with .wh. would delete files below it wherever the image is unpacked: give it another name",
            String::from_utf8_lossy(path)
        )));
    }
    Ok(())
}
