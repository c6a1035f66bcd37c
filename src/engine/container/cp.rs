//! `cp`: between the host and containers, running or not, and as tar streams.
//!
//! docker's rules for what lands where. Inside a container every path is resolved in its root by descriptor; below the
//! object named nothing is followed, so a container that swaps its paths meanwhile gets its own files and no others.

use std::ffi::CString;
use std::io::{BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::inside::{self, Inside, View};
use crate::userns::IdMap;
use crate::userns::owner::Recorded;
use crate::engine::options::CopyOptions;
use crate::engine::{Engine, Error};
use crate::image::archive::tarw::{TarWriter, TreeOptions};
use crate::image::packed;
use crate::image::unpack::{Owners, UnpackOptions, Whiteouts};
use crate::state::Containers;
use crate::sys::copy_tree::{CopyError, Owner, Records, TreeCopy};
use crate::sys::{mounted, root};
use crate::sys::tree::remove_tree;

/// One side of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyEnd {
    /// A path of the host.
    Host(PathBuf),
    /// A path in a container, from its root.
    Container {
        /// Name or id.
        container: String,
        /// As typed.
        path: PathBuf,
    },
    /// `-`: a tar archive on standard input or output.
    Stream,
}

impl CopyEnd {
    /// Reads docker's notation: `-`, `CONTAINER:PATH`, or a path; one with a colon needs `./` or `/` before it.
    pub fn parse(text: &str) -> Self {
        if text == "-" {
            return Self::Stream;
        }
        match text.split_once(':') {
            Some((container, path)) if !container.is_empty() && !text.starts_with(['.', '/']) && !container.contains('/') => {
                Self::Container { container: container.to_owned(), path: path.into() }
            }
            _ => Self::Host(text.into()),
        }
    }
}

/// What was copied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyReport {
    /// Bytes of file content; of a stream, its length.
    pub bytes: u64,
    /// Files, directories and links.
    pub objects: u64,
    /// What could not be made on the other side (device nodes, sockets).
    pub skipped: Vec<PathBuf>,
}

/// Copies. `input` and `output` are used for [`CopyEnd::Stream`] alone.
///
/// # Errors
/// A path that does not fit docker's rules, and what the file systems say.
pub fn copy(
    engine: &Engine,
    from: &CopyEnd,
    to: &CopyEnd,
    options: &CopyOptions,
    (input, output): (&mut (dyn Read + Send), &mut dyn Write),
) -> Result<CopyReport, Error> {
    // Looked up before anything changes, and host paths made absolute: entering namespaces changes directories.
    let (from, to) = (Named::new(engine, from)?, Named::new(engine, to)?);
    if matches!((&from, &to), (Named::Host(_) | Named::Stream, Named::Host(_) | Named::Stream)) {
        return Err(Error::Usage("must specify at least one container source: use CONTAINER:PATH for one side of the copy".into()));
    }
    inside::become_root(engine, true)?;
    if let Named::Stream = from {
        return stream_in(&Side::open(engine, &to)?, &to, input);
    }
    let here = Side::open(engine, &from)?;
    let source = Source::open(&here, &from, options)?;
    if let Named::Stream = to {
        return stream_out(&source, &here, output);
    }
    // Within one container: its lock is already ours.
    let other = if from.id() == to.id() { None } else { Some(Side::open(engine, &to)?) };
    let side = other.as_ref().unwrap_or(&here);
    let cut_off = |side: &Side| matches!(side, Side::Inside(inside) if inside.without_user);
    if matches!((&here, side), (Side::Host, _) | (_, Side::Host)) && (cut_off(&here) || cut_off(side)) {
        return Err(Error::Conflict(
            "the user has no id in this container's user namespace, so it cannot reach files of both while it runs: stop it \
             first, or copy an archive through -"
                .into(),
        ));
    }
    let owner = match (side, options.archive) {
        (Side::Inside(inside), false) => {
            let (uid, gid) = inside.root_ids();
            Owner::Set { uid, gid }
        }
        (Side::Inside(inside), true) => {
            let (uid, gid) = inside.root_ids();
            Owner::Keep { uid, gid }
        }
        (Side::Host, false) => Owner::Caller,
        (Side::Host, true) => Owner::Keep { uid: 0, gid: 0 },
    };
    let target = Target::open(side, to.path(), &to.shown())?;
    let recorded = Recorded {
        unrecorded: match &here {
            Side::Inside(inside) => inside.inside_ids(0, 0),
            Side::Host => (0, 0),
        },
    };
    let records = IdMap::is_single_here().then_some(&recorded as &dyn Records);
    place(&source, &target, owner, records, options.overwrite)
}

/// A checked end of the copy.
enum Named {
    Host(PathBuf),
    Container { id: String, path: PathBuf, shown: String },
    Stream,
}

impl Named {
    fn new(engine: &Engine, end: &CopyEnd) -> Result<Self, Error> {
        Ok(match end {
            CopyEnd::Stream => Self::Stream,
            CopyEnd::Host(path) if path.as_os_str().is_empty() => {
                return Err(Error::Usage("the path to copy is empty".into()));
            }
            CopyEnd::Host(path) => {
                let base = std::env::current_dir().map_err(Error::io("find", "the current directory"))?;
                // As bytes: joining would lose a last `/.`, which means something here.
                Self::Host(if path.is_absolute() { path.clone() } else { append(&base, path) })
            }
            CopyEnd::Container { container, path } => {
                let id = Containers::new(&engine.paths).find(container)?;
                let shown = format!("{container}:{}", path.display());
                let path = if path.is_absolute() { path.clone() } else { append(Path::new(""), path) };
                Self::Container { id, shown, path }
            }
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Host(path) | Self::Container { path, .. } => path,
            Self::Stream => Path::new(""),
        }
    }

    /// The container, none for the host.
    fn id(&self) -> Option<&str> {
        match self {
            Self::Container { id, .. } => Some(id),
            Self::Host(_) | Self::Stream => None,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Host(path) => path.display().to_string(),
            Self::Container { shown, .. } => shown.clone(),
            Self::Stream => "-".to_owned(),
        }
    }
}

fn append(base: &Path, path: &Path) -> PathBuf {
    let mut text = base.as_os_str().to_owned();
    text.push("/");
    text.push(path);
    text.into()
}

/// Where paths of one end are looked up.
enum Side {
    Host,
    Inside(Inside),
}

impl Side {
    fn open(engine: &Engine, named: &Named) -> Result<Self, Error> {
        match named {
            Named::Container { id, .. } => inside::open(engine, id, View::Full).map(Self::Inside),
            Named::Host(_) | Named::Stream => Ok(Self::Host),
        }
    }

    /// A handle (O_PATH) of what a path names; of a final link itself unless `follow`.
    fn find(&self, path: &Path, follow: bool) -> Result<OwnedFd, Errno> {
        let flags = if follow { OFlags::PATH } else { OFlags::PATH | OFlags::NOFOLLOW };
        match self {
            Self::Host => rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()),
            Self::Inside(inside) => root::open(inside.root.as_fd(), path, flags),
        }
    }
}

/// How a typed path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ending {
    /// In `/`: it must be a directory.
    slash: bool,
    /// In `/.` (or it is the root): what is in it.
    contents: bool,
}

fn ending(path: &Path) -> (PathBuf, Ending) {
    let bytes = path.as_os_str().as_bytes();
    let mut end = bytes.len();
    let mut ending = Ending { slash: false, contents: false };
    loop {
        if end > 1 && bytes[end - 1] == b'/' {
            ending.slash = true;
            end -= 1;
        } else if end > 1 && bytes[..end].ends_with(b"/.") {
            ending.contents = true;
            end -= 1;
        } else {
            break;
        }
    }
    if end <= 1 || bytes[..end].ends_with(b"/..") {
        ending.contents = true;
    }
    let cut = std::ffi::OsStr::from_bytes(&bytes[..end]);
    (cut.into(), ending)
}

fn is_dir(handle: &OwnedFd) -> bool {
    rustix::fs::fstat(handle).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
}

/// What is copied.
struct Source {
    handle: OwnedFd,
    dir: bool,
    /// Only what is in the directory.
    contents: bool,
    /// Its last name; empty for a root.
    name: CString,
    shown: String,
    /// The directory that holds it.
    parent: Option<OwnedFd>,
}

impl Source {
    fn open(side: &Side, named: &Named, options: &CopyOptions) -> Result<Self, Error> {
        let (path, end) = ending(named.path());
        let shown = named.shown();
        let follow = options.follow_link || end.slash || end.contents;
        let failed = |errno: Errno| no_such(&shown, errno);
        let handle = side.find(&path, follow).map_err(failed)?;
        let dir = is_dir(&handle);
        if !dir && (end.slash || end.contents) {
            return Err(Error::Usage(format!("{shown}: not a directory")));
        }
        let name = crate::sys::copy_tree::last_name(&path).unwrap_or_default();
        let parent = path.parent().and_then(|parent| side.find(parent, true).ok());
        let contents = end.contents || name.is_empty();
        Ok(Self { handle, dir, contents, name, shown, parent })
    }
}

/// Where it goes.
struct Target {
    /// The directory it goes into, or the one that holds what is named.
    dir: OwnedFd,
    /// The name in `dir`; none when the directory itself was named.
    name: Option<CString>,
    /// What has that name now is a file.
    exists: bool,
    slash: bool,
    shown: String,
}

impl Target {
    fn open(side: &Side, path: &Path, shown: &str) -> Result<Self, Error> {
        let shown = shown.to_owned();
        let (mut at, end) = ending(path);
        let slash = end.slash || end.contents;
        for _ in 0..40 {
            match side.find(&at, true) {
                Ok(handle) if is_dir(&handle) => {
                    return Ok(Self { dir: handle, name: None, exists: true, slash, shown });
                }
                Ok(_) if slash => return Err(Error::Usage(format!("{shown}: not a directory"))),
                Ok(_) | Err(Errno::NOENT) => {}
                Err(errno) => return Err(no_such(&shown, errno)),
            }
            // A file, or nothing yet: its directory and name, at the end of any links.
            let (Some(parent), Some(name)) = (at.parent(), crate::sys::copy_tree::last_name(&at)) else {
                return Err(no_such(&shown, Errno::NOENT));
            };
            let dir = side.find(parent, true).map_err(|errno| no_such(&shown, errno))?;
            let Ok(stat) = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) else {
                return Ok(Self { dir, name: Some(name), exists: false, slash, shown });
            };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
                return Ok(Self { dir, name: Some(name), exists: true, slash, shown });
            }
            let link = rustix::fs::readlinkat(&dir, &name, Vec::new()).map_err(|errno| no_such(&shown, errno))?;
            let link = Path::new(std::ffi::OsStr::from_bytes(link.to_bytes()));
            at = if link.is_absolute() { link.to_owned() } else { append(parent, link) };
        }
        Err(no_such(&shown, Errno::LOOP))
    }
}

fn no_such(shown: &str, errno: Errno) -> Error {
    match errno {
        Errno::NOENT | Errno::NOTDIR => Error::not_found("file or directory", shown),
        errno => Error::io("open", shown)(errno.into()),
    }
}

/// docker's table of what lands where.
fn place(
    source: &Source,
    target: &Target,
    owner: Owner,
    records: Option<&dyn Records>,
    overwrite: bool,
) -> Result<CopyReport, Error> {
    let failed = |error: CopyError| Error::Io {
        action: "copy",
        path: format!("{}: {} {}", source.shown, error.action, error.path.display()).into(),
        source: error.source,
    };
    let mut copy = TreeCopy::new(target.dir.as_fd(), owner).recording(records);
    let place = (source.parent.as_ref().unwrap_or(&source.handle).as_fd(), source.name.as_c_str());
    match (&target.name, source.dir) {
        // The contents of a directory into one that exists.
        (None, true) if source.contents => copy.contents(source.handle.as_fd(), false).map_err(failed)?,
        (None, _) => {
            make_way(&target.dir, &source.name, source.dir, overwrite, &target.shown)?;
            copy.object(&source.handle, place, &source.name).map_err(failed)?;
        }
        (Some(_), false) if target.slash && !target.exists => {
            return Err(Error::not_found("directory", &target.shown));
        }
        (Some(name), true) if target.exists && !overwrite => {
            return Err(Error::Conflict(format!(
                "cannot copy directory {} to file {} ({})",
                source.shown,
                target.shown,
                name.to_string_lossy()
            )));
        }
        (Some(name), _) => {
            make_way(&target.dir, name, source.dir, overwrite, &target.shown)?;
            copy.object(&source.handle, place, name).map_err(failed)?;
        }
    }
    let done = copy.finish();
    Ok(CopyReport { bytes: done.bytes, objects: done.objects, skipped: done.skipped })
}

/// A directory and a file do not replace each other, unless `--overwrite` says so.
fn make_way(dir: &OwnedFd, name: &CString, source_dir: bool, overwrite: bool, shown: &str) -> Result<(), Error> {
    let Ok(stat) = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
    let there_dir = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if there_dir == source_dir {
        return Ok(());
    }
    let place = format!("{shown} ({})", name.to_string_lossy());
    if !overwrite {
        let (old, new) = if there_dir { ("directory", "non-directory") } else { ("non-directory", "directory") };
        return Err(Error::Conflict(format!("cannot overwrite {old} {place} with a {new}: use --overwrite")));
    }
    let handle = rustix::fs::openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| Error::io("open", shown)(errno.into()))?;
    let mounts = mounted::in_tree(handle.as_fd(), name).map_err(|errno| Error::io("look for mounts in", &place)(errno.into()))?;
    if mounts {
        return Err(Error::Conflict(format!("cannot overwrite {place}: it is, or holds, a mount point of the container")));
    }
    remove_tree(handle.as_fd(), name).map_err(Error::io("remove", place))?;
    Ok(())
}

/// Unpacks an archive, compressed or not, into a directory of the container, owners as the archive has them.
fn stream_in(side: &Side, to: &Named, input: &mut (dyn Read + Send)) -> Result<CopyReport, Error> {
    let Side::Inside(_) = side else { return Err(Error::Internal("an archive can only go into a container".into())) };
    let target = Target::open(side, to.path(), &to.shown())?;
    if target.name.is_some() {
        return Err(Error::not_found("directory", to.shown()));
    }
    let options = UnpackOptions {
        owners: if IdMap::is_single_here() { Owners::Record } else { Owners::Set },
        whiteouts: Whiteouts::Literal,
        ..UnpackOptions::default()
    };
    let dir = rustix::fs::openat(&target.dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| no_such(&target.shown, errno))?;
    let report = packed::unpack(BufReader::with_capacity(256 << 10, input), dir.as_fd(), &options)
        .map_err(|error| Error::Storage(format!("unpack into {}: {error}", to.shown())))?;
    Ok(CopyReport { bytes: report.archive_bytes, objects: report.entries, skipped: Vec::new() })
}

/// Writes what is named as an archive: a directory under its name, what is in it for `/.`.
fn stream_out(source: &Source, side: &Side, output: &mut dyn Write) -> Result<CopyReport, Error> {
    let mut counted = Counted { inner: output, bytes: 0 };
    let mut tar = TarWriter::new(&mut counted);
    let translate = |uid, gid| match side {
        Side::Inside(inside) => inside.inside_ids(uid, gid),
        Side::Host => (uid, gid),
    };
    let options = TreeOptions { owners: Some(&translate), overrides: IdMap::is_single_here(), ..TreeOptions::default() };
    let failed = Error::io("archive", &source.shown);
    let written = if source.contents {
        let dir = rustix::fs::openat(&source.handle, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        dir.map_err(std::io::Error::from).and_then(|dir| tar.tree(dir.as_fd(), &options))
    } else {
        match &source.parent {
            Some(parent) => tar.one(parent.as_fd(), source.name.as_bytes(), source.name.as_bytes(), &options),
            None => Err(std::io::ErrorKind::NotFound.into()),
        }
    };
    written.and_then(|()| tar.finish().map(|_| ())).map_err(failed)?;
    Ok(CopyReport { bytes: counted.bytes, objects: 0, skipped: Vec::new() })
}

struct Counted<'a> {
    inner: &'a mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn dockers_notation_is_read() {
        let container = |path: &str| CopyEnd::Container { container: "web".into(), path: path.into() };
        assert_eq!(CopyEnd::parse("-"), CopyEnd::Stream);
        assert_eq!(CopyEnd::parse("web:/etc/"), container("/etc/"));
        assert_eq!(CopyEnd::parse("web:"), container(""));
        for host in ["./web:/etc", "/a:b", "file", ":x", "dir/a:b"] {
            assert_eq!(CopyEnd::parse(host), CopyEnd::Host(host.into()), "{host}");
        }
    }

    #[test]
    fn endings_say_what_is_meant() {
        let check = |path: &str, cut: &str, slash: bool, contents: bool| {
            assert_eq!(ending(Path::new(path)), (PathBuf::from(cut), Ending { slash, contents }), "{path}");
        };
        check("/a/b", "/a/b", false, false);
        check("/a/b/", "/a/b", true, false);
        check("/a/b/.", "/a/b", true, true);
        check("/a/b/./", "/a/b", true, true);
        check("/", "/", false, true);
        check("/.", "/", false, true);
        check("/a/..", "/a/..", false, true);
    }

    struct Case {
        base: PathBuf,
    }

    impl Case {
        fn new(name: &str) -> Self {
            let base = std::env::temp_dir().join(format!("kelp-cp-{}-{name}", std::process::id()));
            drop(fs::remove_dir_all(&base));
            fs::create_dir_all(base.join("src/dir/sub")).unwrap();
            fs::write(base.join("src/dir/sub/leaf"), "leaf").unwrap();
            fs::write(base.join("src/file"), "file").unwrap();
            symlink("file", base.join("src/link")).unwrap();
            fs::create_dir_all(base.join("root/there")).unwrap();
            fs::write(base.join("root/old"), "old").unwrap();
            fs::write(base.join("old"), "canary").unwrap();
            Self { base }
        }

        /// From the host into the root, as the caller.
        fn copy(&self, from: &str, to: &str, options: &CopyOptions) -> Result<CopyReport, Error> {
            let root = rustix::fs::open(self.base.join("root"), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
            let inside = Inside::for_test(root);
            let named = Named::Host(append(&self.base.join("src"), Path::new(from)));
            let source = Source::open(&Side::Host, &named, options)?;
            let target = Target::open(&Side::Inside(inside), &append(Path::new(""), Path::new(to)), to)?;
            place(&source, &target, Owner::Caller, None, options.overwrite)
        }

        fn read(&self, path: &str) -> String {
            fs::read_to_string(self.base.join(path)).unwrap_or_else(|error| format!("{path}: {error}"))
        }
    }

    impl Drop for Case {
        fn drop(&mut self) {
            drop(fs::remove_dir_all(&self.base));
        }
    }

    #[test]
    fn files_land_where_docker_puts_them() {
        let case = Case::new("files");
        let plain = CopyOptions::default();
        case.copy("file", "new", &plain).unwrap();
        case.copy("file", "there", &plain).unwrap();
        case.copy("file", "old", &plain).unwrap();
        for path in ["root/new", "root/there/file", "root/old"] {
            assert_eq!(case.read(path), "file", "{path}");
        }
        assert!(case.copy("file", "missing/", &plain).unwrap_err().to_string().contains("no such directory"));
        assert!(case.copy("file", "missing/x", &plain).is_err());
        assert!(case.copy("file/", "x", &plain).is_err() && case.copy("file", "old/", &plain).is_err());
        assert!(case.copy("nothing", "x", &plain).unwrap_err().to_string().contains("no such file"));
        case.copy("link", "there", &plain).unwrap();
        assert_eq!(fs::read_link(case.base.join("root/there/link")).unwrap(), Path::new("file"));
        case.copy("link", "followed", &CopyOptions { follow_link: true, ..plain }).unwrap();
        assert!(fs::symlink_metadata(case.base.join("root/followed")).unwrap().is_file());
    }

    #[test]
    fn directories_land_where_docker_puts_them() {
        let case = Case::new("dirs");
        let plain = CopyOptions::default();
        case.copy("dir", "new", &plain).unwrap();
        case.copy("dir", "there", &plain).unwrap();
        case.copy("dir/", "slashed/", &plain).unwrap();
        fs::create_dir(case.base.join("root/into")).unwrap();
        case.copy("dir/.", "into", &plain).unwrap();
        for path in ["root/new/sub/leaf", "root/there/dir/sub/leaf", "root/slashed/sub/leaf", "root/into/sub/leaf"] {
            assert_eq!(case.read(path), "leaf", "{path}");
        }
        assert!(case.copy("dir", "old", &plain).is_err());
        fs::create_dir(case.base.join("root/there/file")).unwrap();
        assert!(case.copy("file", "there", &plain).is_err());
        case.copy("dir", "old", &CopyOptions { overwrite: true, ..plain }).unwrap();
        assert_eq!(case.read("root/old/sub/leaf"), "leaf");
    }

    #[test]
    fn links_of_the_target_end_inside() {
        let case = Case::new("links");
        let plain = CopyOptions::default();
        symlink("/old", case.base.join("root/abs")).unwrap();
        symlink("../../../old", case.base.join("root/up")).unwrap();
        symlink("/created", case.base.join("root/dangling")).unwrap();
        symlink("/..", case.base.join("root/top")).unwrap();
        case.copy("file", "abs", &plain).unwrap();
        assert_eq!(case.read("root/old"), "file");
        fs::write(case.base.join("root/old"), "old").unwrap();
        case.copy("file", "up", &plain).unwrap();
        assert_eq!(case.read("root/old"), "file");
        case.copy("file", "dangling", &plain).unwrap();
        assert_eq!(case.read("root/created"), "file");
        case.copy("file", "top", &plain).unwrap();
        assert_eq!(case.read("root/file"), "file");
        assert_eq!(case.read("old"), "canary");
    }
}
