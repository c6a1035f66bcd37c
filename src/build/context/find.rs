//! What an instruction's sources name: plain paths, Go's patterns, `--parents`.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self as rfs, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::ContextError;
use crate::format::glob::{Glob, has_wildcards};
use super::ignore::{Ignore, Verdict};
use super::path;
use super::tree::{Tree, is_dir, names};

/// As many objects as one instruction may name by patterns.
const MAX_PICKS: usize = 1 << 20;

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    /// Paths and patterns, in order.
    pub sources: Vec<String>,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`.
    pub exclude: Vec<String>,
}

/// An object of a tree that was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pick {
    /// Where it really is, relative to the root.
    pub real: String,
    /// Its last name as it was named: what it is called in a destination that is a directory.
    pub name: String,
    /// It is a directory: what is in it is copied.
    pub dir: bool,
    /// With `--parents`, where it goes below the destination, and where that begins in the tree.
    pub parents: Option<Parents>,
}

/// A place kept with `--parents`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parents {
    /// Real path of the directory before `/./`, or the root.
    pub base: String,
    /// The object below it.
    pub path: String,
}

/// Something to be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// Of the tree.
    Pick(Pick),
    /// Written in the Dockerfile, or fetched: a regular file, 0644 root.
    Inline {
        /// Its name.
        name: String,
        /// Its content.
        data: Vec<u8>,
    },
}

/// What an instruction copies, in order.
#[derive(Debug)]
pub struct Selection<'t> {
    pub(super) tree: &'t Tree,
    /// In order.
    pub items: Vec<Item>,
    pub(super) exclude: Ignore,
}

impl Tree {
    /// Finds what `request` names. A pattern may name nothing; a plain path may not.
    ///
    /// # Errors
    /// A path that names nothing or is ignored, a pattern that cannot be read.
    pub fn select(&self, request: &Request) -> Result<Selection<'_>, ContextError> {
        let exclude = Ignore::exclude(&request.exclude)?;
        let mut items = Vec::new();
        for source in &request.sources {
            let mut picks = Vec::new();
            if request.parents {
                self.with_parents(source, &exclude, &mut picks)?;
            } else if has_wildcards(source) {
                self.matching(source, &mut picks)?;
                // Files are looked at here, what is in directories when they are walked.
                picks.retain(|pick| pick.dir || !exclude.ignores(&pick.name));
            } else {
                match self.named(source) {
                    // Go's escapes, in a path that is no pattern otherwise.
                    Err(error @ ContextError::NotFound { .. }) if source.contains('\\') => {
                        self.matching(source, &mut picks)?;
                        if picks.is_empty() {
                            return Err(error);
                        }
                    }
                    found => picks.push(found?),
                }
                picks.retain(|pick| pick.dir || !exclude.ignores(&pick.name));
            }
            items.extend(picks.into_iter().map(Item::Pick));
        }
        Ok(Selection { tree: self, items, exclude })
    }

    /// A plain path, which may look like a pattern.
    pub(super) fn plain(&self, source: &str) -> Result<Pick, ContextError> {
        self.named(source)
    }

    /// A plain path, links followed.
    fn named(&self, source: &str) -> Result<Pick, ContextError> {
        let asked = path::below_root(source);
        let not_found = || ContextError::NotFound { path: format!("/{asked}"), place: self.name().to_owned() };
        let (handle, real) = match self.resolve(&asked) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP) => return Err(not_found()),
            Err(errno) => return Err(ContextError::io("open", format!("{}/{asked}", self.name()))(errno)),
        };
        let dir = handle_is_dir(&handle);
        // What is ignored is not there; nor is what a link that is ignored leads to.
        for at in [&asked, &real] {
            match self.look(at).0 {
                Verdict::Take => {}
                Verdict::Look if dir => {}
                Verdict::Look | Verdict::Leave => {
                    return Err(ContextError::Ignored {
                        path: format!("/{asked}"),
                        place: self.name().to_owned(),
                        ignore_file: self.ignore_file().to_owned(),
                    });
                }
            }
        }
        let name = asked.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Pick { real, name, dir, parents: None })
    }

    /// A pattern: matched name by name, through real directories only.
    fn matching(&self, source: &str, picks: &mut Vec<Pick>) -> Result<(), ContextError> {
        let pattern = path::below_root(source);
        let parts: Vec<&str> = pattern.split('/').collect();
        let plain = parts.iter().take_while(|part| !part.contains(['*', '?', '[', '\\'])).count();
        let base = parts[..plain].join("/");
        let (handle, real) = match self.resolve(&base) {
            Ok(found) => found,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP) => return Ok(()),
            Err(errno) => return Err(ContextError::io("open", format!("{}/{base}", self.name()))(errno)),
        };
        if !handle_is_dir(&handle) {
            return Ok(());
        }
        let globs = parts[plain..]
            .iter()
            .map(|part| Glob::new(part, false))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| ContextError::Pattern { place: "source".into(), pattern: source.to_owned(), reason: error.to_string() })?;
        let mut found = Vec::new();
        self.descend(&handle, &real, &globs, &mut found)?;
        for real in found {
            match self.named(&real) {
                Ok(pick) => picks.push(Pick { name: real.rsplit('/').next().unwrap_or_default().to_owned(), ..pick }),
                // A link that leads nowhere, or to what is ignored.
                Err(ContextError::NotFound { .. } | ContextError::Ignored { .. }) => {}
                Err(error) => return Err(error),
            }
            if picks.len() > MAX_PICKS {
                return Err(too_many(source));
            }
        }
        Ok(())
    }

    fn descend(&self, dir: &OwnedFd, at: &str, globs: &[Glob], found: &mut Vec<String>) -> Result<(), ContextError> {
        let Some((glob, rest)) = globs.split_first() else { return Ok(()) };
        let shown = || format!("{}/{at}", self.name());
        let readable = read_dir(dir).map_err(ContextError::io("open", shown()))?;
        for (name, kind) in names(&readable).map_err(ContextError::io("list", shown()))?.into_iter().rev() {
            let Ok(text) = name.to_str() else { continue };
            if !glob.matches(text) {
                continue;
            }
            let real = path::join(at, text);
            if self.look(&real).0 == Verdict::Leave || found.len() > MAX_PICKS {
                continue;
            }
            if rest.is_empty() {
                found.push(real);
            } else if is_dir(&readable, &name, kind) {
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
                match rfs::openat(&readable, &name, flags, Mode::empty()) {
                    Ok(below) => self.descend(&below, &real, rest, found)?,
                    Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                    Err(errno) => return Err(ContextError::io("open", format!("{}/{real}", self.name()))(errno)),
                }
            }
        }
        Ok(())
    }

    /// `--parents`: `BASE/./PATTERN`; what matches keeps its path below the base. Here `**` crosses directories.
    fn with_parents(&self, source: &str, exclude: &Ignore, picks: &mut Vec<Pick>) -> Result<(), ContextError> {
        let (base, pattern) = match source.split_once("/./") {
            Some((base, pattern)) => (base, pattern),
            None => ("", source),
        };
        let pattern = path::below_root(pattern);
        let mut bases = Vec::new();
        if has_wildcards(base) {
            self.matching(base, &mut bases)?;
        } else {
            bases.push(self.named(base)?);
        }
        let before = picks.len();
        for base in bases.iter().filter(|base| base.dir) {
            self.below(&base.real, &pattern, source, exclude, picks)?;
        }
        if picks.len() == before && !has_wildcards(source) {
            return Err(ContextError::NotFound { path: source.to_owned(), place: self.name().to_owned() });
        }
        Ok(())
    }

    fn below(&self, base: &str, pattern: &str, source: &str, exclude: &Ignore, picks: &mut Vec<Pick>) -> Result<(), ContextError> {
        let pick = |path: &str, dir: bool| Pick {
            real: path::join(base, path),
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            dir,
            parents: Some(Parents { base: base.to_owned(), path: path.to_owned() }),
        };
        if pattern.is_empty() {
            picks.push(pick("", true));
            return Ok(());
        }
        let glob = Glob::new(pattern, true)
            .map_err(|error| ContextError::Pattern { place: "source".into(), pattern: source.to_owned(), reason: error.to_string() })?;
        let mut todo = vec![String::new()];
        while let Some(dir) = todo.pop() {
            let real = path::join(base, &dir);
            let shown = || format!("{}/{real}", self.name());
            let handle = match self.open(std::path::Path::new(&real)) {
                Ok(handle) => handle,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                Err(errno) => return Err(ContextError::io("open", shown())(errno)),
            };
            let readable = read_dir(&handle).map_err(ContextError::io("open", shown()))?;
            let mut deeper = Vec::new();
            for (name, kind) in names(&readable).map_err(ContextError::io("list", shown()))?.into_iter().rev() {
                let Ok(text) = name.to_str() else { continue };
                let at = path::join(&dir, text);
                let verdict = self.look(&path::join(base, &at)).0;
                let is_dir = is_dir(&readable, &name, kind);
                if verdict == Verdict::Leave || (verdict == Verdict::Look && !is_dir) {
                    continue;
                }
                if glob.matches(&at) {
                    if is_dir || !exclude.ignores(&at) {
                        picks.push(pick(&at, is_dir));
                    }
                } else if is_dir && glob.may_match_below(&at) {
                    deeper.push(at);
                }
                if picks.len() > MAX_PICKS {
                    return Err(too_many(source));
                }
            }
            todo.extend(deeper.into_iter().rev());
        }
        Ok(())
    }
}

fn too_many(source: &str) -> ContextError {
    let message = format!("\"{source}\" names more than {MAX_PICKS} files");
    ContextError::Source { message, hint: Some("copy their directory".to_owned()) }
}

fn read_dir(handle: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rfs::openat2(handle.as_fd(), c".", flags, Mode::empty(), ResolveFlags::BENEATH)
}

fn handle_is_dir(handle: &OwnedFd) -> bool {
    rfs::fstat(handle).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}
