//! The build context as it is named on the command line: a directory, a git repository, an archive by its address or on
//! standard input; and the Dockerfile in it.
//!
//! What comes from elsewhere is put into a directory of the build cache's that goes with the build.

use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::cache::{Cache, Scratch};
use super::git::Repository;
use crate::engine::{Engine, Error};
use crate::image::compression::Compression;
use crate::image::packed;
use crate::image::registry::download::download;
use crate::image::unpack::{self, Owners, UnpackOptions, Whiteouts};
use crate::sys::root;

/// Largest Dockerfile.
const MAX_DOCKERFILE: u64 = 16 << 20;
/// Names of a Dockerfile that was not named.
const NAMES: [&str; 3] = ["Dockerfile", "Containerfile", "dockerfile"];

/// A context that is here.
#[derive(Debug)]
pub struct Fetched {
    /// Its directory; none when there is only a Dockerfile.
    pub dir: Option<PathBuf>,
    /// The Dockerfile that came instead of a context.
    dockerfile: Option<String>,
    /// It came from elsewhere: nothing of it is to be trusted.
    remote: bool,
    /// The time of what came from elsewhere (its commit, what the server says, its newest file), seconds since 1970.
    pub time: Option<i64>,
    /// Keeps what was fetched.
    _scratch: Option<Scratch>,
}

/// A Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its text.
    pub text: String,
    /// What messages call it.
    pub name: String,
    /// Where it is on the host, if it is there.
    pub path: Option<PathBuf>,
}

/// Makes the context available. `directory` is where relative paths start; with `keep_git_dir` a repository's `.git` is
/// part of it.
///
/// # Errors
/// No such directory; what servers say; an archive that is none.
pub fn fetch(engine: &Engine, context: &str, directory: &Path, keep_git_dir: bool) -> Result<Fetched, Error> {
    if context == "-" {
        let input = BufReader::with_capacity(256 << 10, std::io::stdin());
        return stream(engine, Box::new(input), "standard input");
    }
    if let Some(repository) = Repository::parse(context)? {
        let scratch = Cache::open(&engine.paths.data).scratch()?;
        let dir = scratch.subdir("context")?;
        let time = repository.fetch(&dir, keep_git_dir)?.time;
        let dir = repository.directory(&dir)?;
        return Ok(Fetched { dir: Some(dir), dockerfile: None, remote: true, time, _scratch: Some(scratch) });
    }
    if context.starts_with("http://") || context.starts_with("https://") {
        let body = download(context).map_err(Error::Registry)?;
        let time = body.modified;
        let fetched = stream(engine, Box::new(BufReader::with_capacity(256 << 10, body)), "the context")?;
        return Ok(Fetched { time: time.or(fetched.time), ..fetched });
    }
    let path = directory.join(context);
    match path.metadata() {
        Ok(meta) if meta.is_dir() => {
            let dir = path.canonicalize().map_err(Error::io("open context", &path))?;
            Ok(Fetched { dir: Some(dir), dockerfile: None, remote: false, time: None, _scratch: None })
        }
        Ok(_) => Err(Error::Usage(format!("the context {context} is no directory: give a directory, a URL, or - for standard input"))),
        Err(error) => Err(Error::io("open context", &path)(error)),
    }
}

/// An archive, or the text of a Dockerfile.
fn stream(engine: &Engine, mut input: Box<dyn std::io::BufRead + Send>, what: &str) -> Result<Fetched, Error> {
    let failed = |error: std::io::Error| Error::io("read", what)(error);
    let start = input.fill_buf().map_err(failed)?;
    let packed = packed::program(start).is_some() || Compression::detect(start).map_err(failed)? != Compression::None;
    let is_archive = packed || start.first_chunk::<512>().is_some_and(unpack::is_header);
    if !is_archive {
        let text = read(input, Path::new(what))?;
        if text.trim().is_empty() {
            return Err(Error::Usage(format!("{what} is empty: it must be an archive or a Dockerfile")));
        }
        return Ok(Fetched { dir: None, dockerfile: Some(text), remote: true, time: None, _scratch: None });
    }
    let scratch = Cache::open(&engine.paths.data).scratch()?;
    let dir = scratch.subdir("context")?;
    let top = File::open(&dir).map_err(Error::io("open", &dir))?;
    let options = UnpackOptions { owners: Owners::Caller, whiteouts: Whiteouts::Literal, ..UnpackOptions::default() };
    // Directories the archive does not list are as BuildKit makes them.
    let mask = rustix::process::umask(super::git::PLAIN);
    let unpacked = packed::unpack(input, top.as_fd(), &options);
    rustix::process::umask(mask);
    unpacked.map_err(|reason| Error::Usage(format!("{what}: {reason}")))?;
    let time = newest(&dir);
    Ok(Fetched { dir: Some(dir), dockerfile: None, remote: true, time, _scratch: Some(scratch) })
}

/// When the last of the files in a directory was changed.
fn newest(dir: &Path) -> Option<i64> {
    let mut newest = None;
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_dir() {
                todo.push(entry.path());
            }
            newest = newest.max(Some(meta.mtime()));
        }
    }
    newest
}

impl Fetched {
    /// The Dockerfile: `asked` as typed (`-` is standard input), or one with a usual name.
    ///
    /// # Errors
    /// When there is none.
    pub fn dockerfile(&self, asked: Option<&str>, directory: &Path) -> Result<Found, Error> {
        if let Some(text) = &self.dockerfile {
            if let Some(asked) = asked.filter(|asked| *asked != "-") {
                return Err(Error::Usage(format!("--file {asked}: the context is a Dockerfile itself")));
            }
            return Ok(Found { text: text.clone(), name: "Dockerfile".to_owned(), path: None });
        }
        if asked == Some("-") {
            let text = read(std::io::stdin(), Path::new("standard input"))?;
            return Ok(Found { text, name: "-".to_owned(), path: None });
        }
        if let (Some(asked), false) = (asked, self.remote) {
            let path = directory.join(asked);
            match path.metadata() {
                Ok(meta) if !meta.is_dir() => {
                    let file = File::open(&path).map_err(Error::io("open", &path))?;
                    // A pipe (`-f <(…)`) has no file beside it.
                    let beside = meta.is_file().then(|| path.clone());
                    return Ok(Found { text: read(file, &path)?, name: asked.to_owned(), path: beside });
                }
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Err(Error::io("open", &path)(error)),
                Ok(_) | Err(_) => {}
            }
        }
        if let Some(asked) = asked.filter(|asked| asked.starts_with("http://") || asked.starts_with("https://")) {
            let text = read(download(asked).map_err(Error::Registry)?, Path::new(asked))?;
            return Ok(Found { text, name: "Dockerfile".to_owned(), path: None });
        }
        let Some(dir) = &self.dir else { return Err(Error::Usage("there is no Dockerfile".to_owned())) };
        let names: Vec<&str> = asked.map_or_else(|| NAMES.to_vec(), |asked| vec![asked]);
        let top = File::open(dir).map_err(Error::io("open context", dir))?;
        for name in &names {
            let opened = if self.remote {
                // Links of strangers are not followed, not even inside.
                root::open_no_links(top.as_fd(), Path::new(name), OFlags::RDONLY | OFlags::NONBLOCK).map(File::from).ok()
            } else {
                File::open(dir.join(name)).ok()
            };
            let Some(file) = opened.filter(|file| file.metadata().is_ok_and(|meta| meta.is_file())) else { continue };
            let path = dir.join(name);
            return Ok(Found { text: read(file, &path)?, name: (*name).to_owned(), path: Some(path) });
        }
        Err(Error::Usage(match asked {
            Some(asked) if directory.join(asked).is_dir() => format!("--file {asked}: it is a directory, not a Dockerfile"),
            Some(asked) => format!("no Dockerfile {asked}: not in the current directory and not in the context"),
            None if self.remote => "no Dockerfile in the context: it must be called Dockerfile or Containerfile, or be named with --file".to_owned(),
            None => format!("no Dockerfile in {}: it must be called Dockerfile or Containerfile, or be named with --file", dir.display()),
        }))
    }
}

impl Fetched {
    /// The ignore file: that of the Dockerfile, else the context's. Links lead nowhere outside of the context.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn ignore(&self, dockerfile: &Found) -> Result<Option<(String, String)>, Error> {
        if let Some(path) = &dockerfile.path {
            let mut own = path.as_os_str().to_owned();
            own.push(".dockerignore");
            let own = PathBuf::from(own);
            let linked = self.remote && own.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
            match File::open(&own) {
                Ok(file) if !linked => {
                    let name = own.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
                    return Ok(Some((name, read(file, &own)?)));
                }
                _ => {}
            }
        }
        self.dir.as_deref().map_or(Ok(None), ignore_file)
    }
}

/// The ignore file at the top of a context: its name and text. Links lead nowhere outside.
///
/// # Errors
/// When it is there and cannot be read.
pub(super) fn ignore_file(dir: &Path) -> Result<Option<(String, String)>, Error> {
    let top = File::open(dir).map_err(Error::io("open context", dir))?;
    for name in [".containerignore", ".dockerignore"] {
        match root::open(top.as_fd(), Path::new(name), OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(fd) => return Ok(Some((name.to_owned(), read(File::from(fd), &dir.join(name))?))),
            Err(rustix::io::Errno::NOENT) => {}
            Err(errno) => return Err(Error::io("read", dir.join(name))(errno.into())),
        }
    }
    Ok(None)
}

fn read(file: impl Read, path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    file.take(MAX_DOCKERFILE + 1).read_to_end(&mut bytes).map_err(Error::io("read", path))?;
    if bytes.len() as u64 > MAX_DOCKERFILE {
        return Err(Error::Usage(format!("{} is too large for a Dockerfile", path.display())));
    }
    // Comments may be in any encoding; where they are is the Dockerfile's reader's to say.
    let comments = |bytes: &[u8]| {
        let plain = |line: &[u8]| std::str::from_utf8(line).is_ok() || line.trim_ascii_start().starts_with(b"#");
        bytes.split(|byte| *byte == b'\n').all(plain).then(|| String::from_utf8_lossy(bytes).into_owned())
    };
    String::from_utf8(bytes)
        .or_else(|error| comments(error.as_bytes()).ok_or(()))
        .map_err(|()| Error::Usage(format!("{} is not UTF-8 text", path.display())))
}
