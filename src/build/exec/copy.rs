//! `COPY`: files of the context, a stage or an image into the file system being built, without any container.
//!
//! What is copied, and how, is [`crate::build::context`]'s; here is what counts in the key and what it is copied onto.

use std::ffi::CString;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};

use crate::build::cache::Scratch;
use crate::build::config;
use crate::build::context::{Change, ContextError, Hashes, Ignore, Item, Placement, Request, Selection, Tree, copy_into, owner};
use crate::build::dockerfile::{Copy, Source};
use crate::build::key::Key;
use crate::build::options::NamedContext;
use crate::build::progress::What;
use crate::engine::Error;
use crate::engine::build::View;

use super::stage::{Origin, Stage, StageResult};
use super::step::{Done, Made, Step};
use super::{Build, Failure};

/// Nesting of a context's directories beyond this is refused.
const MAX_DEPTH: usize = 400;

/// A directory of the host as a build context.
#[derive(Debug)]
pub(super) struct ContextFiles {
    pub(super) dir: PathBuf,
    pub(super) tree: Tree,
}

impl From<ContextError> for Failure {
    fn from(error: ContextError) -> Self {
        let mut message = error.to_string();
        if let Some(cause) = std::error::Error::source(&error).map(ToString::to_string).filter(|cause| !message.contains(cause)) {
            message = format!("{message}: {cause}");
        }
        Self::Said(message)
    }
}

impl ContextFiles {
    /// Stands for it where its content does not count.
    pub(super) fn key(&self) -> String {
        self.dir.display().to_string()
    }

    /// The directories that together show what is not ignored: the context and, over it, what hides the rest.
    pub(super) fn layers(&self, scratch: &Scratch, index: usize) -> Result<Vec<PathBuf>, Failure> {
        if self.tree.ignore().is_empty() {
            return Ok(vec![self.dir.clone()]);
        }
        let mask = scratch.subdir(&format!("mask{index}"))?;
        let (from, to) = (open_dir(&self.dir)?, open_dir(&mask)?);
        hide(self.tree.ignore(), from.as_fd(), to.as_fd(), "", 0)
            .map_err(|errno| Error::io("hide ignored files of", &self.dir)(errno.into()))?;
        Ok(vec![self.dir.clone(), mask])
    }
}

fn open_dir(path: &Path) -> Result<std::fs::File, Error> {
    std::fs::File::open(path).map_err(Error::io("open", path))
}

/// Makes a whiteout in `to` for everything in `from` that is ignored.
fn hide(
    ignore: &Ignore,
    from: std::os::fd::BorrowedFd<'_>,
    to: std::os::fd::BorrowedFd<'_>,
    at: &str,
    depth: usize,
) -> Result<(), rustix::io::Errno> {
    const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    if depth > MAX_DEPTH {
        return Err(rustix::io::Errno::LOOP);
    }
    // Whoever owns it on the host: here it is root's.
    crate::engine::build::like_directory(to, from)?;
    let names: Vec<CString> = Dir::read_from(from)?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_owned()))
        .filter(|name| !matches!(name.to_bytes(), b"." | b".."))
        .collect();
    for name in names {
        let text = name.to_string_lossy();
        let path = if at.is_empty() { text.into_owned() } else { format!("{at}/{text}") };
        let stat = rustix::fs::statat(from, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        let is_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let ignored = ignore.ignores(&path);
        if ignored && !(is_dir && ignore.has_exceptions()) {
            rustix::fs::mknodat(to, &name, FileType::CharacterDevice, Mode::empty(), 0)?;
        } else if is_dir {
            rustix::fs::mkdirat(to, &name, Mode::RWXU)?;
            let below = rustix::fs::openat(from, &name, FLAGS, Mode::empty())?;
            let place = rustix::fs::openat(to, &name, FLAGS, Mode::empty())?;
            hide(ignore, below.as_fd(), place.as_fd(), &path, depth + 1)?;
        }
    }
    Ok(())
}

impl Build<'_> {
    /// The build context, or one of `--build-context`.
    pub(super) fn context(&self, name: Option<&str>) -> Result<Arc<ContextFiles>, Failure> {
        let mut contexts = self.contexts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(context) = contexts.get(&name.map(str::to_owned)) {
            return Ok(Arc::clone(context));
        }
        let (dir, ignore) = match name {
            None => (self.options.context.clone(), self.options.ignore.clone()),
            Some(name) => match self.options.named_context(name) {
                Some(NamedContext::Directory(dir)) => (Some(dir.clone()), crate::build::source::ignore_file(dir)?),
                _ => (None, None),
            },
        };
        let dir = dir.ok_or_else(|| Failure::Said("there is no build context: only a Dockerfile was given".to_owned()))?;
        let (ignore_file, text) = ignore.unwrap_or_default();
        let tree = Tree::context(&dir, Ignore::parse(&ignore_file, &text)?, &ignore_file)?;
        let context = Arc::new(ContextFiles { dir, tree });
        contexts.insert(name.map(str::to_owned), Arc::clone(&context));
        Ok(context)
    }
}

/// How files are put, read from an instruction's flags.
pub(super) struct Flags {
    pub(super) chown: Option<String>,
    pub(super) chmod: Option<Change>,
    /// As written, for the key.
    pub(super) mode: Option<String>,
    pub(super) link: bool,
    pub(super) dest: String,
}

impl Flags {
    pub(super) fn read(chown: Option<&String>, chmod: Option<&String>, link: bool, dest: &str) -> Result<Self, Failure> {
        let mode = chmod.cloned();
        let chmod = chmod.map(|text| Change::parse(text).map_err(|error| Failure::Said(error.to_string()))).transpose()?;
        Ok(Self { chown: chown.cloned(), chmod, mode, link, dest: dest.to_owned() })
    }
}

impl Stage<'_> {
    pub(super) fn workdir(&self) -> String {
        if self.config.config.working_dir.is_empty() { "/".to_owned() } else { self.config.config.working_dir.clone() }
    }

    /// The part of a copying step's key that every source has in common. Linked ones do not depend on what is below.
    pub(super) fn copy_key(&self, kind: &str, flags: &Flags) -> Result<Key, Failure> {
        let below = if flags.link { "linked" } else { self.key.as_str() };
        let chown = match &flags.chown {
            Some(text) if flags.link => {
                let (uid, gid) = self.resolve_owner(text)?;
                Some(format!("{uid}:{gid}"))
            }
            other => other.clone(),
        };
        let workdir = if flags.dest.starts_with('/') { String::new() } else { self.workdir() };
        Ok(Key::new(kind)
            .text(below)
            .text(&workdir)
            .text(&flags.dest)
            .option(chown.as_deref())
            .option(flags.mode.as_deref())
            .text(if self.build.single_id { "one id, all owners recorded" } else { "" }))
    }

    /// The ids of `--chown`, by the files of the image so far.
    fn resolve_owner(&self, text: &str) -> Result<(u32, u32), Failure> {
        let scratch = self.build.cache.scratch()?;
        let view = self.build.readable(&scratch, "owner", &self.layers)?;
        Ok(owner(view.root(), text)?)
    }

    /// Executes one `COPY`.
    pub(super) fn copy(&mut self, step: &mut Step<'_>, copy: &Copy<String>) -> Result<Done, Failure> {
        let flags = Flags::read(copy.chown.as_ref(), copy.chmod.as_ref(), copy.link, &copy.dest)?;
        let origin = if copy.from.is_none() && copy.sources.iter().all(|source| matches!(source, Source::Heredoc(_))) {
            Origin::Files(Arc::new(StageResult::default()))
        } else {
            self.origin(copy.from.as_deref())?
        };
        let mut request = Request { parents: copy.parents, exclude: copy.exclude.clone(), ..Request::default() };
        let mut inline = Vec::new();
        for source in &copy.sources {
            match source {
                Source::Path(path) => request.sources.push(path.clone()),
                Source::Heredoc(heredoc) => {
                    inline.push(Item::Inline { name: heredoc.name.clone(), data: heredoc.data.clone().into_bytes() });
                }
            }
        }
        let key = || {
            let mut key = self.copy_key("copy", &flags)?.list(&request.sources).list(&request.exclude);
            key = key.text(if request.parents { "parents" } else { "" });
            for item in &inline {
                if let Item::Inline { name, data } = item {
                    key = key.text(name).bytes(data);
                }
            }
            Ok::<Key, Failure>(key)
        };
        let this = &*self;
        let mut done = match &origin {
            Origin::Context(context) => {
                let mut selection = context.tree.select(&request)?;
                selection.items.extend(inline.clone());
                step.key = key()?.text("context").text(&selection.digest(&self.build.hashes, false)?.to_string()).finish();
                self.build.step(step, None, &mut |scratch| this.put(scratch, &selection, &flags, false, step.id))
            }
            Origin::Files(files) => {
                step.key = key()?.text("files").text(&files.key).finish();
                step.others.clone_from(&files.layers);
                let select = |scratch: &Scratch, work: &mut dyn FnMut(&Selection<'_>) -> Result<Made, Failure>| {
                    let view = this.build.readable(scratch, "from", &files.layers)?;
                    let tree = Tree::files(view.root(), copy.from.as_deref().unwrap_or("the Dockerfile"))?.recorded(view.recorded());
                    let mut selection = tree.select(&request)?;
                    selection.items.extend(inline.clone());
                    work(&selection)
                };
                let mut content = || {
                    let scratch = this.build.cache.scratch()?;
                    let mut found = String::new();
                    select(&scratch, &mut |selection| {
                        found = selection.digest(&Hashes::forgetful(), true)?.to_string();
                        Ok(Made::default())
                    })?;
                    Ok(key()?.text("content").text(&found).finish())
                };
                this.build.step(step, Some(&mut content), &mut |scratch| {
                    select(scratch, &mut |selection| this.put(scratch, selection, &flags, true, step.id))
                })
            }
        }?;
        done.independent = flags.link;
        Ok(done)
    }

    /// Copies a selection onto the layers so far, or onto nothing.
    pub(super) fn put(
        &self,
        scratch: &Scratch,
        selection: &Selection<'_>,
        flags: &Flags,
        keep_owners: bool,
        id: u32,
    ) -> Result<Made, Failure> {
        let view = self.target(scratch, flags)?;
        self.put_into(&view, selection, flags, keep_owners, id)?;
        drop(view);
        self.build.measure(scratch)
    }

    /// What a copying step writes to.
    pub(super) fn target(&self, scratch: &Scratch, flags: &Flags) -> Result<View, Failure> {
        let below = if flags.link { &[][..] } else { &self.layers[..] };
        Ok(self.build.writable(scratch, below)?)
    }

    /// Copies a selection into a view.
    pub(super) fn put_into(
        &self,
        view: &View,
        selection: &Selection<'_>,
        flags: &Flags,
        keep_owners: bool,
        id: u32,
    ) -> Result<(), Failure> {
        let placement = Placement {
            dest: &flags.dest,
            workdir: &self.workdir(),
            chown: self.owner_of(view, flags)?,
            chmod: flags.chmod.as_ref(),
            keep_owners,
        };
        let placed = copy_into(view.root(), selection, &placement)?;
        for path in placed.skipped.iter().take(10) {
            self.build.sink.now(id, What::Warning(format!("left out {}: it is a device or a socket", path.display())));
        }
        Ok(())
    }

    /// The ids of `--chown`.
    pub(super) fn owner_of(&self, view: &View, flags: &Flags) -> Result<Option<(u32, u32)>, Failure> {
        Ok(match &flags.chown {
            Some(text) if flags.link => Some(self.resolve_owner(text)?),
            Some(text) => Some(owner(view.root(), text)?),
            None => None,
        })
    }

    /// A digest of what a bind mount shows.
    pub(super) fn content_of(&self, origin: &Origin, source: &str) -> Result<String, Failure> {
        match origin {
            Origin::Context(context) => Ok(context.tree.digest_at(source, &self.build.hashes)?.to_string()),
            Origin::Files(files) => {
                let scratch = self.build.cache.scratch()?;
                let view = self.build.readable(&scratch, "from", &files.layers)?;
                let tree = Tree::files(view.root(), "the mount's source")?.recorded(view.recorded());
                let source = config::clean(source);
                Ok(tree.digest_at(&source, &Hashes::forgetful())?.to_string())
            }
        }
    }
}
