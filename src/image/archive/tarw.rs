//! Writing tar archives of directory trees: `export`, `cp` out of a container, layers of `commit` and `build`.
//!
//! Owns headers (ustar, PAX where ustar has no room) and the walk. The tree is hostile: names are opened by descriptor
//! without following links, and a file that shrinks while it is read is padded. Entries are sorted, owners are written as
//! numbers and times as whole seconds, so the same tree gives the same bytes. While it writes it can record the archive's
//! structure ([`Recorder`]), so that it can be written again from the tree.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io::{self, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use self::header::Meta;
use crate::image::unpack::Recorder;
use crate::userns::owner;
use crate::image::unpack::walk::{Missing, Walker, is_whiteout};

mod attributes;
mod header;
mod merge;
mod sparse;

/// Marks an empty file as a whiteout where devices cannot be made.
const XATTR_WHITEOUT: &str = "user.overlay.whiteout";

/// Longest path in a layer: with the slash of a directory or the mark of a whiteout it must be one that unpacking takes.
pub const MAX_LAYER_PATH: usize = 4091;

/// Says yes to paths that are left out.
pub type Skip<'f> = &'f dyn Fn(&[u8]) -> bool;
/// Translates an owner (uid, gid).
pub type Translate<'f> = &'f dyn Fn(u32, u32) -> (u32, u32);

/// How to write a tree.
#[derive(Default)]
pub struct TreeOptions<'f> {
    /// Latest modification time written, seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub newest: Option<i64>,
    /// Times from this one on are of what was made just now: they become [`Self::newest`], whatever the clock said.
    pub made_since: Option<i64>,
    /// Turn overlayfs' marks into `.wh.` entries: the tree is a layer.
    pub layer: bool,
    /// Leaves out the paths (relative to the tree) it says yes to, with everything below.
    pub skip: Option<Skip<'f>>,
    /// Translates owners (uid, gid) into what the archive should say.
    pub owners: Option<Translate<'f>>,
    /// Owner, mode and kind kept in `user.containers.override_stat` are the true ones: only one id is mapped here.
    pub overrides: bool,
}

/// Writes a tar archive.
pub struct TarWriter<W> {
    out: W,
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
    names: Vec<u8>,
    recorder: Option<Recorder>,
    written: Written,
}

/// What has been written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Entries.
    pub entries: u64,
    /// Regular files.
    pub files: u64,
    /// Bytes of file content.
    pub bytes: u64,
    /// Length of the archive so far.
    pub archive: u64,
    /// The highest user or group that owns something, below nobody (65534).
    pub highest_owner: u32,
}

impl<W: Write> TarWriter<W> {
    /// Writes to `out`, which need not be buffered.
    pub fn new(out: W) -> Self {
        Self {
            out,
            links: HashMap::new(),
            buffer: vec![0; 256 * 1024],
            names: Vec::with_capacity(32 * 1024),
            recorder: None,
            written: Written::default(),
        }
    }

    /// Writes to `out` and records the structure of the archive, to be taken with [`Self::finish_recorded`]. Only
    /// [`Self::tree`] and [`Self::root`] may add to it.
    pub fn recorded(out: W, recorder: Recorder) -> Self {
        let mut writer = Self::new(out);
        writer.recorder = Some(recorder);
        writer
    }

    /// What has been written so far.
    pub fn written(&self) -> Written {
        self.written
    }

    /// Bytes that are no file's content.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.written.archive += bytes.len() as u64;
        match &mut self.recorder {
            Some(recorder) => recorder.raw(bytes),
            None => Ok(()),
        }
    }

    /// The first `count` bytes of the buffer: what the file `path` holds from `offset` on.
    fn put_content(&mut self, path: &[u8], offset: u64, count: usize) -> io::Result<()> {
        self.out.write_all(&self.buffer[..count])?;
        self.written.archive += count as u64;
        match &mut self.recorder {
            Some(recorder) => recorder.content(path, offset, count as u64),
            None => Ok(()),
        }
    }

    /// Adds a file with the given content.
    ///
    /// # Errors
    /// When writing fails.
    pub fn file(&mut self, name: &str, mode: u32, mtime: i64, content: &[u8]) -> io::Result<()> {
        self.start_file(name, mode, mtime, content.len() as u64)?;
        self.put(content)?;
        self.pad(content.len() as u64)
    }

    /// Adds the header of a file; `size` bytes and [`Self::pad`] must follow.
    ///
    /// # Errors
    /// When writing fails.
    pub fn start_file(&mut self, name: &str, mode: u32, mtime: i64, size: u64) -> io::Result<()> {
        let meta = Meta {
            flag: b'0',
            mode,
            size,
            mtime,
            ..Meta::default()
        };
        self.header(name.as_bytes(), b"", &meta)
    }

    /// Adds a directory owned by root.
    ///
    /// # Errors
    /// When writing fails.
    pub fn directory(&mut self, name: &str, mode: u32, mtime: i64) -> io::Result<()> {
        let meta = Meta {
            flag: b'5',
            mode,
            mtime,
            ..Meta::default()
        };
        self.header(
            format!("{}/", name.trim_end_matches('/')).as_bytes(),
            b"",
            &meta,
        )
    }

    /// Fills up to a whole block after `size` bytes of content.
    ///
    /// # Errors
    /// When writing fails.
    pub fn pad(&mut self, size: u64) -> io::Result<()> {
        let length = usize::try_from(size.wrapping_neg() % 512).unwrap_or(0);
        self.put(&[0; 512][..length])
    }

    /// The writer underneath, for content after [`Self::start_file`].
    pub fn inner(&mut self) -> &mut W {
        &mut self.out
    }

    /// Adds everything below `dir`, but not `dir` itself.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn tree(&mut self, dir: BorrowedFd<'_>, options: &TreeOptions<'_>) -> io::Result<()> {
        self.below(dir, b"", b"", options)
    }

    /// Adds `name` in `dir`, file or directory with everything below, under the name `stored`.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn one(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        stored: &[u8],
        options: &TreeOptions<'_>,
    ) -> io::Result<()> {
        if self.entry(dir, name, (name, stored), options)? {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let tree = rfs::openat(dir, name, flags, Mode::empty())?;
            self.below(tree.as_fd(), b"", stored, options)?;
        }
        Ok(())
    }

    /// Adds `dir` itself, as the root of the archive.
    ///
    /// # Errors
    /// When reading or writing fails.
    pub fn root(&mut self, dir: BorrowedFd<'_>, options: &TreeOptions<'_>) -> io::Result<()> {
        let meta = self.directory_meta(dir, options)?;
        self.header(b"./", b"", &meta)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish(mut self) -> io::Result<W> {
        self.put(&[0; 1024])?;
        self.out.flush()?;
        Ok(self.out)
    }

    /// Ends an archive begun with [`Self::recorded`]; the recorder comes back.
    ///
    /// # Errors
    /// When writing fails.
    pub fn finish_recorded(mut self) -> io::Result<(W, Option<Recorder>, Written)> {
        self.put(&[0; 1024])?;
        self.out.flush()?;
        Ok((self.out, self.recorder, self.written))
    }

    /// Walks down from `start` (a path in `root`); names are stored below `stored`.
    fn below(
        &mut self,
        root: BorrowedFd<'_>,
        start: &[u8],
        stored: &[u8],
        options: &TreeOptions<'_>,
    ) -> io::Result<()> {
        let mut walker = Walker::new(root);
        let first = self.read_dir(&mut walker, start)?;
        if options.layer && is_opaque(&mut walker, start, &first)? {
            self.whiteout(&join(stored, b".wh..wh..opq"))?;
        }
        // Each level: its path and the names still to come, last first.
        let mut levels: Vec<(Vec<u8>, Vec<Vec<u8>>)> = vec![(start.to_vec(), first)];
        while let Some((dir, names)) = levels.last_mut() {
            let Some(name) = names.pop() else {
                levels.pop();
                continue;
            };
            let path = join(dir, &name);
            if options.skip.is_some_and(|skip| skip(&path)) {
                continue;
            }
            let (parent, name) = walker
                .parent(&path, Missing::Fail)
                .map_err(io::Error::other)?;
            let full = join(stored, &path);
            match self.entry(parent, name, (&path, &full), options) {
                Ok(true) => {
                    let names = self.read_dir(&mut walker, &path)?;
                    if options.layer && is_opaque(&mut walker, &path, &names)? {
                        self.whiteout(&join(&full, b".wh..wh..opq"))?;
                    }
                    levels.push((path, names));
                }
                Ok(false) => {}
                // Gone since the directory was read: a running container goes on working.
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Adds one object; true for directories, whose contents are the caller's. `path` is where it is in the tree,
    /// `stored` what the archive calls it.
    fn entry(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        (path, stored): (&[u8], &[u8]),
        options: &TreeOptions<'_>,
    ) -> io::Result<bool> {
        if options.layer && stored.len() > MAX_LAYER_PATH {
            return Err(too_long(stored));
        }
        let stat = rfs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        if options.layer && name.starts_with(b".wh.") {
            return self.dotted(name, stored, kind).map(|()| false);
        }
        match kind {
            FileType::RegularFile => self.regular(dir, name, (path, stored), options)?,
            FileType::Directory => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let fd = rfs::openat(dir, name, flags, Mode::empty())?;
                let meta = self.directory_meta(fd.as_fd(), options)?;
                self.header(&[stored, b"/"].concat(), b"", &meta)?;
                return Ok(true);
            }
            FileType::Symlink => {
                let target = rfs::readlinkat(dir, name, Vec::new())?;
                let mut meta = Meta::of(&stat, options);
                meta.flag = b'2';
                link_owner(dir, name, options, &mut meta);
                self.written.entries += 1;
                self.header(stored, target.as_bytes(), &meta)?;
            }
            FileType::CharacterDevice if options.layer && is_whiteout(&stat) => {
                self.whiteout_of(stored)?;
            }
            _ => {
                let mut meta = Meta::of(&stat, options);
                link_owner(dir, name, options, &mut meta);
                self.special(stored, meta, kind)?;
            }
        }
        Ok(false)
    }

    /// A device or pipe; sockets have no place in an archive.
    fn special(&mut self, stored: &[u8], mut meta: Meta, kind: FileType) -> io::Result<()> {
        meta.flag = match kind {
            FileType::CharacterDevice => b'3',
            FileType::BlockDevice => b'4',
            FileType::Fifo => b'6',
            _ => return Ok(()),
        };
        meta.size = 0;
        self.written.entries += 1;
        self.header(stored, b"", &meta)
    }

    /// A name of the `.wh.` format, which a storage driver wrote where devices cannot be made. AUFS' own names and
    /// directories have no meaning in a layer.
    fn dotted(&mut self, name: &[u8], stored: &[u8], kind: FileType) -> io::Result<()> {
        // The directory's own mark has been written with the directory.
        if kind == FileType::Directory || name.starts_with(b".wh..wh.") || name.len() == 4 {
            return Ok(());
        }
        self.whiteout(stored)
    }

    fn directory_meta(
        &mut self,
        dir: BorrowedFd<'_>,
        options: &TreeOptions<'_>,
    ) -> io::Result<Meta> {
        let stat = rfs::fstat(dir)?;
        let mut meta = Meta::of(&stat, options);
        meta.flag = b'5';
        meta.xattrs = attributes::read(dir)?;
        if options.overrides
            && let Some(kept) = owner::find(dir, &stat)
        {
            attributes::apply(&kept, &mut meta);
        }
        self.written.entries += 1;
        Ok(meta)
    }

    fn regular(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        (path, stored): (&[u8], &[u8]),
        options: &TreeOptions<'_>,
    ) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rfs::openat(dir, name, flags, Mode::empty())?;
        let stat = rfs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            // Swapped for something else just now.
            return Err(io::Error::from_raw_os_error(libc::ENOENT));
        }
        if options.layer && stat.st_size == 0 && attributes::has(fd.as_fd(), XATTR_WHITEOUT) {
            return self.whiteout_of(stored);
        }
        let mut meta = Meta::of(&stat, options);
        meta.flag = b'0';
        meta.size = u64::try_from(stat.st_size).unwrap_or(0);
        if options.overrides
            && let Some(kept) = owner::find(&fd, &stat)
        {
            let kind = attributes::apply(&kept, &mut meta);
            if kind != FileType::RegularFile {
                return self.special(stored, meta, kind);
            }
        }
        self.written.entries += 1;
        if stat.st_nlink > 1 {
            let key = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&key) {
                let first = first.clone();
                meta.flag = b'1';
                meta.size = 0;
                return self.header(stored, &first, &meta);
            }
            self.links.insert(key, stored.to_vec());
        }
        self.written.files += 1;
        meta.xattrs = attributes::read(fd.as_fd())?;
        if let Some(map) = sparse::map(&fd, &stat, &mut self.buffer)? {
            return self.sparse(&fd, (path, stored), meta, &map);
        }
        self.header(stored, b"", &meta)?;
        self.content(&fd, path, 0, meta.size)?;
        self.pad(meta.size)
    }

    /// A file of few data and large holes.
    fn sparse(
        &mut self,
        fd: &OwnedFd,
        (path, stored): (&[u8], &[u8]),
        mut meta: Meta,
        map: &[(u64, u64)],
    ) -> io::Result<()> {
        let text = sparse::text(map, meta.size);
        let data: u64 = map.iter().map(|(_, length)| length).sum();
        meta.sparse = Some(meta.size);
        meta.size = text.len() as u64 + data;
        self.header(stored, b"", &meta)?;
        self.put(&text)?;
        for &(offset, length) in map {
            self.content(fd, path, offset, length)?;
        }
        self.pad(data)
    }

    /// Copies exactly `size` bytes from `offset` on.
    fn content(&mut self, fd: &OwnedFd, path: &[u8], offset: u64, size: u64) -> io::Result<()> {
        let mut done = 0;
        while done < size {
            let left = size - done;
            let wanted =
                usize::try_from(left).map_or(self.buffer.len(), |l| l.min(self.buffer.len()));
            let count = match rustix::io::pread(fd, &mut self.buffer[..wanted], offset + done) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if count == 0 {
                // It shrank: the header has promised these bytes.
                let zeros = [0; 4096];
                let piece = wanted.min(zeros.len());
                self.put(&zeros[..piece])?;
                done += piece as u64;
                continue;
            }
            self.put_content(path, offset + done, count)?;
            done += count as u64;
        }
        self.written.bytes += size;
        Ok(())
    }

    /// The whiteout of the object `stored`.
    fn whiteout_of(&mut self, stored: &[u8]) -> io::Result<()> {
        let slash = stored.iter().rposition(|&b| b == b'/').map_or(0, |s| s + 1);
        self.whiteout(&[&stored[..slash], b".wh.", &stored[slash..]].concat())
    }

    fn whiteout(&mut self, name: &[u8]) -> io::Result<()> {
        let meta = Meta {
            flag: b'0',
            ..Meta::default()
        };
        self.written.entries += 1;
        self.header(name, b"", &meta)
    }

    /// Names in a directory, sorted backwards.
    fn read_dir(&mut self, walker: &mut Walker<'_>, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let fd = open_dir(walker, path)?;
        let spare: &mut [MaybeUninit<u8>] = self.names.spare_capacity_mut();
        let mut entries = RawDir::new(&fd, spare);
        let mut names = Vec::new();
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name: &CStr = entry.file_name();
            if name != c"." && name != c".." {
                names.push(name.to_bytes().to_vec());
            }
        }
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }
}

/// Whether a directory hides what lower layers have in it; `names` are those in it, sorted backwards.
fn is_opaque(walker: &mut Walker<'_>, path: &[u8], names: &[Vec<u8>]) -> io::Result<bool> {
    let fd = open_dir(walker, path)?;
    let mut value = [0u8; 4];
    let marked = ["user.overlay.opaque", "trusted.overlay.opaque", "user.fuseoverlayfs.opaque"]
        .iter()
        .any(|name| rfs::fgetxattr(&fd, *name, &mut value) == Ok(1) && value[0] == b'y');
    let dotted = || names.binary_search_by(|name| b".wh..wh..opq"[..].cmp(name)).is_ok();
    Ok(marked || dotted())
}

impl Meta {
    /// Everything but kind, size and attributes.
    fn of(stat: &rfs::Stat, options: &TreeOptions<'_>) -> Self {
        let (uid, gid) = match options.owners {
            Some(translate) => translate(stat.st_uid, stat.st_gid),
            None => (stat.st_uid, stat.st_gid),
        };
        Self {
            mode: stat.st_mode & 0o7777,
            uid,
            gid,
            mtime: match options.newest {
                Some(newest) if options.made_since.is_some_and(|since| stat.st_mtime >= since) => newest,
                Some(newest) => newest.min(stat.st_mtime),
                None => stat.st_mtime,
            },
            device: (rfs::major(stat.st_rdev), rfs::minor(stat.st_rdev)),
            ..Self::default()
        }
    }
}

/// The owner of what can have no attributes is kept in its directory.
fn link_owner(dir: BorrowedFd<'_>, name: &[u8], options: &TreeOptions<'_>, meta: &mut Meta) {
    if options.overrides
        && let Some(kept) = owner::find_at(dir, name)
    {
        (meta.uid, meta.gid) = (kept.uid, kept.gid);
    }
}

fn open_dir(walker: &mut Walker<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if path.is_empty() {
        return Ok(rfs::openat(walker.root(), c".", flags, Mode::empty())?);
    }
    let (parent, name) = walker
        .parent(path, Missing::Fail)
        .map_err(io::Error::other)?;
    Ok(rfs::openat(parent, name, flags, Mode::empty())?)
}

fn too_long(path: &[u8]) -> io::Error {
    let start = String::from_utf8_lossy(&path[..path.len().min(80)]);
    io::Error::other(format!(
        "the path /{start}… has {} bytes: a layer has none longer than {MAX_LAYER_PATH}",
        path.len()
    ))
}

fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    if dir.is_empty() {
        return name.to_vec();
    }
    [dir, b"/", name].concat()
}
