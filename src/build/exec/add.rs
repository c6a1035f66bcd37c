//! `ADD`: as `COPY`, and downloads, git repositories, archives.
//!
//! Local archives are unpacked, downloads are not, unless `--unpack` says otherwise. Everything a server or an archive
//! says is checked: checksums before anything is put, names by the unpacker's rules.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use crate::build::cache::Scratch;
use crate::build::context::{Item, Placement, Request, Tree, directory_at};
use crate::build::dockerfile::{Add, Source};
use crate::build::git::Repository;
use crate::build::key::Key;
use crate::build::progress::What;
use crate::engine::Error;
use crate::engine::build::View;
use crate::image::packed;
use crate::image::compression::Decoder;
use crate::image::registry::download::{download, redacted};
use crate::image::unpack::{self, Owners, UnpackOptions, Whiteouts};
use crate::spec::digest::Algorithm;
use crate::spec::{Digest, Digester};

use super::Failure;
use super::copy::{ContextFiles, Flags};
use super::stage::{Origin, Stage};
use super::step::{Done, Step};

/// Something to be added.
enum Part {
    /// Of the context.
    Local(String),
    /// Written in the Dockerfile.
    Inline { name: String, data: Vec<u8> },
    /// A file that was fetched.
    File { path: PathBuf, name: String, modified: i64 },
    /// A repository to be fetched.
    Git { repository: Repository, commit: String },
    /// A file to be fetched, known by its checksum.
    Url { url: String, checksum: Digest },
}

impl Stage<'_> {
    /// Executes one `ADD`.
    pub(super) fn add(&mut self, step: &mut Step<'_>, add: &Add<String>) -> Result<Done, Failure> {
        let flags = Flags::read(add.chown.as_ref(), add.chmod.as_ref(), add.link, &add.dest)?;
        let checksum = add.checksum.as_deref();
        let fetched = self.build.cache.scratch()?;
        let mut key = self.copy_key("add", &flags)?.list(&add.exclude).option(checksum);
        key = key.text(&format!("{:?} {:?}", add.unpack, add.keep_git_dir));
        let mut parts = Vec::new();
        let mut context = None;
        for source in &add.sources {
            let (part, by) = match source {
                Source::Heredoc(heredoc) => {
                    let data = heredoc.data.clone().into_bytes();
                    let by = Key::new("inline").text(&heredoc.name).bytes(&data).finish();
                    (Part::Inline { name: heredoc.name.clone(), data }, by)
                }
                Source::Path(text) => self.part(text, checksum, step, &fetched)?,
            };
            if let Part::Local(path) = &part {
                let Origin::Context(files) = self.origin(None)? else { continue };
                let request = Request { sources: vec![path.clone()], exclude: add.exclude.clone(), ..Request::default() };
                let digest = files.tree.select(&request)?.digest(&self.build.hashes, false)?;
                key = key.text("local").text(path).text(&digest.to_string());
                context = Some(files);
            } else {
                key = key.text(&by);
            }
            parts.push(part);
        }
        step.key = key.finish();
        let this = &*self;
        let id = step.id;
        let mut done = self.build.step(step, None, &mut |scratch| {
            let view = this.target(scratch, &flags)?;
            for part in &parts {
                this.add_part(part, add, &flags, &view, scratch, context.as_deref(), id)?;
            }
            drop(view);
            this.build.measure(scratch)
        })?;
        done.independent = flags.link;
        Ok(done)
    }

    /// What a source is, and what it counts as in the key.
    fn part(&self, text: &str, checksum: Option<&str>, step: &Step<'_>, fetched: &Scratch) -> Result<(Part, String), Failure> {
        if let Some(repository) = Repository::parse(text)? {
            let commit = repository.commit(&fetched.dir())?;
            if let Some(wanted) = checksum.filter(|wanted| !commit.starts_with(wanted.trim_start_matches("sha1:"))) {
                return Err(Failure::Said(format!("checksum mismatch: {} is commit {commit}, not {wanted}", repository.shown())));
            }
            let by = Key::new("git").text(&repository.described()).text(&commit).finish();
            return Ok((Part::Git { repository, commit }, by));
        }
        if !text.starts_with("http://") && !text.starts_with("https://") {
            if checksum.is_some() {
                return Err(Failure::Said(format!("--checksum is for URLs and git repositories, not for {text}")));
            }
            return Ok((Part::Local(text.to_owned()), String::new()));
        }
        if let Some(checksum) = checksum {
            let digest: Digest = checksum.parse().map_err(|error| Failure::Said(format!("--checksum={checksum}: {error}")))?;
            // The address counts too: the file's name comes from it.
            let by = Key::new("url").text(text).text(checksum).finish();
            return Ok((Part::Url { url: text.to_owned(), checksum: digest }, by));
        }
        self.build.sink.now(step.id, What::Note(format!("fetch {}", redacted(text))));
        let (path, name, modified, digest) = self.fetch(text, fetched, Algorithm::Sha256)?;
        let by = Key::new("url").text(&name).text(&modified.to_string()).text(&digest.to_string()).finish();
        Ok((Part::File { path, name, modified }, by))
    }

    /// Fetches a file into a directory.
    fn fetch(&self, url: &str, scratch: &Scratch, algorithm: Algorithm) -> Result<(PathBuf, String, i64, Digest), Failure> {
        let mut body = download(url).map_err(|reason| Failure::Error(Error::Registry(reason)))?;
        let name = name_of(url, &body.name);
        let modified = body.modified.unwrap_or(0);
        let mut random = [0_u8; 8];
        getrandom::fill(&mut random).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
        let path = scratch.subdir("fetched")?.join(format!("{:016x}", u64::from_ne_bytes(random)));
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&path).map_err(Error::io("create", &path))?;
        let mut digester = Digester::new(algorithm);
        let mut buffer = vec![0_u8; 256 << 10];
        loop {
            if self.build.is_stopped() {
                return Err(Failure::canceled());
            }
            let size = body.read(&mut buffer).map_err(|error| Error::Registry(format!("fetch {}: {error}", redacted(url))))?;
            if size == 0 {
                break;
            }
            digester.update(&buffer[..size]);
            file.write_all(&buffer[..size]).map_err(Error::io("write", &path))?;
        }
        Ok((path, name, modified, digester.finish()))
    }

    #[allow(clippy::too_many_arguments)] // one call, and each is another thing
    fn add_part(
        &self,
        part: &Part,
        add: &Add<String>,
        flags: &Flags,
        view: &View,
        scratch: &Scratch,
        context: Option<&ContextFiles>,
        id: u32,
    ) -> Result<(), Failure> {
        match part {
            Part::Local(path) => {
                let Some(context) = context else { return Ok(()) };
                let request = Request { sources: vec![path.clone()], exclude: add.exclude.clone(), ..Request::default() };
                let mut selection = context.tree.select(&request)?;
                if add.unpack != Some(false) {
                    let mut archives = Vec::new();
                    let mut kept = Vec::new();
                    for item in selection.items.drain(..) {
                        let opened = match &item {
                            Item::Pick(pick) if !pick.dir => archive(context.tree.open(Path::new(&pick.real)).ok()),
                            _ => None,
                        };
                        match opened {
                            Some(file) => archives.push(file),
                            None => kept.push(item),
                        }
                    }
                    selection.items = kept;
                    for file in archives {
                        self.extract(file, view, flags)?;
                    }
                }
                if selection.items.is_empty() { Ok(()) } else { self.put_into(view, &selection, flags, false, id) }
            }
            Part::Inline { name, data } => {
                let top = scratch.subdir("inline")?;
                let fd = File::open(&top).map_err(Error::io("open", &top))?;
                let tree = Tree::files(fd.as_fd(), "the Dockerfile")?;
                let mut selection = tree.select(&Request::default())?;
                selection.items.push(Item::Inline { name: name.clone(), data: data.clone() });
                self.put_into(view, &selection, flags, false, id)
            }
            Part::Url { url, checksum } => {
                let (path, name, modified, digest) = self.fetch(url, scratch, checksum.algorithm())?;
                if digest != *checksum {
                    return Err(Failure::Said(format!("checksum mismatch: {} is {digest}, not {checksum}", redacted(url))));
                }
                self.add_file(&path, &name, modified, add, flags, view, id)
            }
            Part::File { path, name, modified } => self.add_file(path, name, *modified, add, flags, view, id),
            Part::Git { repository, commit } => {
                let dir = scratch.subdir("repository")?;
                let got = repository.fetch(&dir, add.keep_git_dir == Some(true))?.commit;
                if got != *commit && !got.starts_with(commit.as_str()) {
                    return Err(Failure::Said(format!("{} changed while it was fetched: build again", repository.shown())));
                }
                let top = repository.directory(&dir)?;
                let fd = File::open(&top).map_err(Error::io("open", &top))?;
                let tree = Tree::files(fd.as_fd(), &repository.shown())?;
                let request = Request { sources: vec!["/".to_owned()], exclude: add.exclude.clone(), ..Request::default() };
                self.put_into(view, &tree.select(&request)?, flags, false, id)
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // as above
    fn add_file(
        &self,
        path: &Path,
        name: &str,
        modified: i64,
        add: &Add<String>,
        flags: &Flags,
        view: &View,
        id: u32,
    ) -> Result<(), Failure> {
        if add.unpack == Some(true)
            && let Some(file) = archive(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok())
        {
            return self.extract(file, view, flags);
        }
        // Under its name, alone in a directory.
        let dir = path.with_extension("d");
        std::fs::create_dir_all(&dir).map_err(Error::io("create directory", &dir))?;
        let place = dir.join(name);
        std::fs::hard_link(path, &place).map_err(Error::io("link", &place))?;
        std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600)).map_err(Error::io("change mode of", &place))?;
        let time = rustix::fs::Timespec { tv_sec: modified, tv_nsec: 0 };
        let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(rustix::fs::CWD, &place, &times, rustix::fs::AtFlags::empty())
            .map_err(|errno| Error::io("set times of", &place)(errno.into()))?;
        let fd = File::open(&dir).map_err(Error::io("open", &dir))?;
        let tree = Tree::files(fd.as_fd(), "the download")?;
        let selection = tree.select(&Request { sources: vec![escape(name)], ..Request::default() })?;
        self.put_into(view, &selection, flags, false, id)?;
        std::fs::remove_dir_all(&dir).map_err(Error::io("remove", &dir))?;
        Ok(())
    }

    /// Unpacks an archive into the destination, which becomes a directory.
    fn extract(&self, file: File, view: &View, flags: &Flags) -> Result<(), Failure> {
        let chown = self.owner_of(view, flags)?;
        let workdir = self.workdir();
        let placement = Placement { dest: &flags.dest, workdir: &workdir, chown, chmod: None, keep_owners: false };
        let into = directory_at(view.root(), &placement)?;
        let options = UnpackOptions {
            owners: if self.build.single_id { Owners::Record } else { Owners::Set },
            chown,
            whiteouts: Whiteouts::Literal,
            ..UnpackOptions::default()
        };
        let unpacked = packed::unpack(BufReader::with_capacity(256 << 10, file), into.as_fd(), &options);
        unpacked.map(drop).map_err(|reason| Failure::Said(format!("cannot unpack an archive to {}: {reason}", flags.dest)))
    }
}

/// The name of a download: that of the address; else what the server says, or the name docker gives it.
fn name_of(url: &str, said: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest.split_once('/').map_or("", |(_, path)| path));
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let own = plain_name(&crate::build::git::decoded(last).unwrap_or_else(|| last.to_owned()));
    let names = [own, plain_name(said), "__unnamed__".to_owned()];
    names.into_iter().find(|name| !name.is_empty()).unwrap_or_default()
}

/// The name of a file that a server or an address gives: no directory, nothing special.
fn plain_name(name: &str) -> String {
    let name = name.rsplit('/').next().unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(255).collect();
    if matches!(name.as_str(), "." | "..") { String::new() } else { name }
}

/// A name that is no pattern.
fn escape(name: &str) -> String {
    name.chars().flat_map(|c| if matches!(c, '*' | '?' | '[' | ']' | '\\') { vec!['\\', c] } else { vec![c] }).collect()
}

fn program(file: &File) -> Option<&'static str> {
    let mut head = [0_u8; 6];
    let size = rustix::io::pread(file, &mut head, 0).ok()?;
    packed::program(&head[..size])
}

/// Opens what is a tar archive, compressed or not; nothing else.
fn archive(handle: Option<OwnedFd>) -> Option<File> {
    let handle = handle?;
    let stat = rustix::fs::fstat(&handle).ok()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let path = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let file = File::from(rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?);
    let mut head = [0_u8; 512];
    let mut is_tar = |mut reader: Box<dyn Read>| reader.read_exact(&mut head).is_ok() && unpack::is_header(&head);
    let copy = file.try_clone().ok()?;
    let found = match program(&file) {
        Some(program) => {
            let mut child = packed::decompress(program, copy).ok()?;
            let found = child.stdout.take().is_some_and(|out| is_tar(Box::new(out)));
            drop(child.kill());
            drop(child.wait());
            found
        }
        None => Decoder::new(BufReader::new(copy)).is_ok_and(|reader| is_tar(Box::new(reader))),
    };
    rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0)).ok()?;
    found.then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_downloads() {
        assert_eq!(plain_name("../../etc/passwd"), "passwd");
        assert_eq!(plain_name(".."), "");
        assert_eq!(plain_name("a\u{1b}b"), "ab");
        assert_eq!(name_of("http://h/d/f%20x?q=/1", "other"), "f x");
        assert_eq!(name_of("http://h/..%2fup", "other"), "up");
        assert_eq!((name_of("http://h/", "said"), name_of("http://h", "a/said")), ("said".into(), "said".into()));
        assert_eq!((name_of("http://h/?q", ""), name_of("http://h/d/", "")), ("__unnamed__".into(), "d".into()));
        assert_eq!(escape("a[1].txt"), "a\\[1\\].txt");
    }
}
