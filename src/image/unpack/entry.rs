//! Making one archive entry on disk.
//!
//! Owns the rules for each kind of entry and for names that exist already. Directory modes, attributes and times are set
//! at the end: until then a set-group-ID bit, a default ACL or a time would change what is put inside.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::io::BufRead;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self as rfs, AtFlags, FileType, Mode, OFlags, XattrFlags};
use rustix::io::Errno;

use super::error::{UnpackError, shown};
use super::header::{Kind, Member};
use super::meta::{self, Setter};
use super::reader::TarReader;
use super::record::Recorder;
use super::walk::{self, Missing, PATH_FLAGS, Walker};
use super::{Owners, TarError, UnpackOptions, UnpackReport, Whiteouts};
use crate::sys::beside::{self, Swept};
use crate::sys::mounted;
use crate::sys::tree::remove_tree;
use crate::userns::owner::{self, Owner};

/// How often a name that is taken again and again is cleared.
const MAX_TRIES: u32 = 16;
/// Implicit directories listed in a report.
const MAX_IMPLICIT: usize = 1000;

const FILE_FLAGS: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What remains to be set on a directory.
#[derive(Default)]
struct Later {
    mode: Option<Mode>,
    mtime: Option<(i64, u32)>,
    /// Only for directories whose attributes need a descriptor.
    member: Option<Box<Member>>,
    opaque: bool,
}

/// Unpacks members into one root.
pub(crate) struct Unpacker<'d, 'o> {
    root: BorrowedFd<'d>,
    options: &'o UnpackOptions,
    setter: Setter,
    walker: Walker<'d>,
    /// A second one for the targets of hard links, which are usually elsewhere.
    targets: Walker<'d>,
    later: HashMap<Vec<u8>, Later>,
    report: UnpackReport,
    swept: Swept,
}

impl<'d, 'o> Unpacker<'d, 'o> {
    pub(crate) fn new(root: BorrowedFd<'d>, options: &'o UnpackOptions) -> Self {
        Self {
            root,
            options,
            setter: Setter::new(options),
            walker: Walker::new(root),
            targets: Walker::new(root),
            later: HashMap::new(),
            report: UnpackReport::default(),
            swept: Swept::default(),
        }
    }

    /// Unpacks one member; its content is read from `reader`.
    pub(crate) fn member<R: BufRead>(
        &mut self,
        member: &Member,
        reader: &mut TarReader<'_, R>,
    ) -> Result<(), UnpackError> {
        self.count(member)?;
        let given = self.options.chown.map(|(uid, gid)| Member { uid: uid.into(), gid: gid.into(), ..member.clone() });
        let member = given.as_ref().unwrap_or(member);
        let path = walk::clean(&member.path)?;
        if path.is_empty() {
            return match member.kind {
                Kind::Directory => self.root_entry(member),
                _ => Err(UnpackError::refused(
                    &member.path,
                    "only a directory can be the root",
                )),
            };
        }
        if self.options.whiteouts == Whiteouts::Overlay && self.whiteout(&path)? {
            return Ok(());
        }
        match member.kind {
            Kind::File => self.file(&path, member, reader),
            Kind::Directory => self.directory(&path, member, reader),
            Kind::Symlink => self.symlink(&path, member, reader),
            Kind::Hardlink => self.hardlink(&path, member, reader),
            Kind::Fifo => self.fifo(&path, member, reader),
            Kind::CharDevice | Kind::BlockDevice => self.device(&path, member, reader),
        }?;
        self.note_created();
        Ok(())
    }

    fn count(&mut self, member: &Member) -> Result<(), UnpackError> {
        let limits = &self.options.limits;
        let over = |what, limit| Err(UnpackError::Limit { what, limit });
        self.report.entries += 1;
        for id in [member.uid, member.gid] {
            self.report.highest_owner = super::highest(self.report.highest_owner, u32::try_from(id).unwrap_or(0));
        }
        self.report.bytes = self.report.bytes.saturating_add(member.stored);
        if self.report.entries > limits.entries {
            return over("entries", limits.entries);
        }
        if self.report.bytes > limits.bytes {
            return over("bytes of content", limits.bytes);
        }
        if member.size > limits.file {
            return over("the size of one file", limits.file);
        }
        Ok(())
    }

    /// Takes over what the walk to the parent made.
    fn note_created(&mut self) {
        for path in self.walker.created.drain(..) {
            if self.report.implicit_dirs.len() < MAX_IMPLICIT {
                self.report
                    .implicit_dirs
                    .push(String::from_utf8_lossy(&path).into_owned());
            }
        }
        for path in self.walker.over_whiteout.drain(..) {
            self.later.entry(path).or_default().opaque = true;
        }
    }

    fn root_entry(&mut self, member: &Member) -> Result<(), UnpackError> {
        let root = rfs::openat(self.root, c".", PATH_FLAGS, Mode::empty())
            .map_err(|e| UnpackError::write(b"/", "open directory", e))?;
        self.setter.chown_at(self.root, b".", member)?;
        let (plain, _) = self.setter.modes(member);
        meta::chmod_path(root.as_fd(), plain)
            .map_err(|e| UnpackError::write(b"/", "change mode of", e))?;
        self.defer(Vec::new(), member);
        Ok(())
    }

    /// Handles `.wh.` names; true when `path` was one, or is in a directory of AUFS' own.
    fn whiteout(&mut self, path: &[u8]) -> Result<bool, UnpackError> {
        const PREFIX: &[u8] = b".wh.";
        let start = path
            .iter()
            .rposition(|&b| b == b'/')
            .map_or(0, |slash| slash + 1);
        let (parent, name) = (&path[..start.saturating_sub(1)], &path[start..]);
        if let Some(part) = parent.split(|&b| b == b'/').find_map(|part| part.strip_prefix(PREFIX)) {
            return match part.starts_with(PREFIX) {
                true => Ok(true),
                false => Err(UnpackError::refused(path, "something inside a whiteout")),
            };
        }
        let Some(hidden) = name.strip_prefix(PREFIX) else {
            return Ok(false);
        };
        if hidden.starts_with(PREFIX) {
            // `.wh..wh..opq` makes the directory opaque; the other doubled names are AUFS' own files.
            if hidden == b".wh..opq" {
                self.walker.parent(path, Missing::Create)?;
                self.note_created();
                self.later.entry(parent.to_vec()).or_default().opaque = true;
                self.report.opaque_root |= parent.is_empty();
            }
            return Ok(true);
        }
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(UnpackError::refused(path, "a whiteout of nothing"));
        }
        let (dir, _) = self.walker.parent(path, Missing::Create)?;
        match rfs::mknodat(dir, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => {}
            Err(Errno::EXIST) => {
                // The layer brings the name itself, which hides the one below; a directory must not merge with it.
                let stat = rfs::statat(dir, hidden, AtFlags::SYMLINK_NOFOLLOW)
                    .map_err(|e| UnpackError::write(path, "look up", e))?;
                if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                    let directory = [&path[..start], hidden].concat();
                    self.later.entry(directory).or_default().opaque = true;
                }
            }
            // Before Linux 5.8: the form fuse-overlayfs understands.
            Err(Errno::PERM) => match rfs::openat(dir, name, FILE_FLAGS, Mode::empty()) {
                Ok(_) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(UnpackError::write(path, "make whiteout", errno)),
            },
            Err(errno) => return Err(UnpackError::write(path, "make whiteout", errno)),
        }
        self.note_created();
        Ok(true)
    }

    fn file<R: BufRead>(
        &mut self,
        path: &[u8],
        member: &Member,
        reader: &mut TarReader<'_, R>,
    ) -> Result<(), UnpackError> {
        if self.is_live() {
            return self.live_file(path, member, reader);
        }
        let (mode, exact) = self.setter.modes(member);
        let fd = self.create(path, "create file", reader, |dir, name| {
            rfs::openat(dir, name, FILE_FLAGS, mode)
        })?;
        write_content(path, member, fd.as_fd(), reader)?;
        self.set_on(path, fd.as_fd(), member, (mode, exact))
    }

    /// A file in a tree that is in use: whatever ends this process, there is the whole of it or what was there before.
    fn live_file<R: BufRead>(
        &mut self,
        path: &[u8],
        member: &Member,
        reader: &mut TarReader<'_, R>,
    ) -> Result<(), UnpackError> {
        let failed = |errno| UnpackError::write(path, "create file", errno);
        let (dir, name) = self.walker.parent(path, Missing::Create)?;
        let name = CString::new(name).map_err(|_| failed(Errno::INVAL))?;
        let there = match rfs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => None,
            other => Some(FileType::from_raw_mode(other.map_err(failed)?.st_mode)),
        };
        if there.is_some()
            && let Some(fd) = open_mounted(dir, &name).map_err(failed)?
        {
            // Whose it is and what it may is for those to say who mounted it.
            write_content(path, member, fd.as_fd(), reader)?;
            self.report.files += 1;
            return Ok(());
        }
        if there.is_some() {
            if there == Some(FileType::Directory) {
                self.clear(path, reader.recorder())?;
            }
            // The open directories may lead through what goes.
            self.walker.forget();
            self.targets.forget();
        }
        let (dir, _) = self.walker.parent(path, Missing::Create)?;
        let dir = rfs::openat(dir, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
        let made = beside::file(dir.as_fd(), &name, &mut self.swept).map_err(failed)?;
        write_content(path, member, made.fd(), reader)?;
        let (mode, exact) = self.setter.modes(member);
        self.set_on(path, made.fd(), member, (mode, Some(exact.unwrap_or(mode))))?;
        made.settle().map_err(|errno| match errno {
            Errno::BUSY => UnpackError::write(path, "overwrite the mount point", errno),
            _ => failed(errno),
        })
    }

    /// Gives a file that is written what else the archive says of it.
    fn set_on(
        &mut self,
        path: &[u8],
        fd: BorrowedFd<'_>,
        member: &Member,
        (mode, exact): (Mode, Option<Mode>),
    ) -> Result<(), UnpackError> {
        let chowned = self.setter.chown(fd, member)?;
        // Writing and changing the owner clear setuid bits, so the mode comes after them.
        if exact.is_some() || (chowned && member.mode & 0o6000 != 0) {
            rfs::fchmod(fd, exact.unwrap_or(mode))
                .map_err(|e| UnpackError::write(path, "change mode of", e))?;
        }
        if self.setter.has_xattrs(member) {
            self.report.skipped_xattrs += self.setter.xattrs(fd, member)?;
        }
        rfs::futimens(fd, &meta::times(member.mtime))
            .map_err(|e| UnpackError::write(path, "set the time of", e))?;
        self.report.files += 1;
        Ok(())
    }

    fn directory<R: BufRead>(
        &mut self,
        path: &[u8],
        member: &Member,
        reader: &mut TarReader<'_, R>,
    ) -> Result<(), UnpackError> {
        let (mode, _) = self.setter.modes(member);
        for _ in 0..MAX_TRIES {
            let (dir, name) = self.walker.parent(path, Missing::Create)?;
            match rfs::mkdirat(dir, name, mode) {
                Ok(()) => {
                    self.setter.chown_at(dir, name, member)?;
                    self.defer(path.to_vec(), member);
                    return Ok(());
                }
                Err(Errno::EXIST) => match rfs::openat(dir, name, PATH_FLAGS, Mode::empty()) {
                    Ok(fd) => {
                        self.setter.chown_at(dir, name, member)?;
                        meta::chmod_path(fd.as_fd(), mode)
                            .map_err(|e| UnpackError::write(path, "change mode of", e))?;
                        self.defer(path.to_vec(), member);
                        return Ok(());
                    }
                    Err(Errno::NOENT) => {}
                    Err(Errno::NOTDIR | Errno::LOOP) => {
                        if self.clear(path, reader.recorder())?.whiteout {
                            self.later.entry(path.to_vec()).or_default().opaque = true;
                        }
                    }
                    Err(errno) => return Err(UnpackError::write(path, "open directory", errno)),
                },
                Err(errno) => return Err(UnpackError::write(path, "make directory", errno)),
            }
        }
        Err(UnpackError::refused(
            path,
            "it keeps changing while it is made",
        ))
    }

    /// Notes what to set on a directory at the end. A later entry for the same directory wins.
    fn defer(&mut self, path: Vec<u8>, member: &Member) {
        let (plain, exact) = self.setter.modes(member);
        let later = self.later.entry(path).or_default();
        later.mode = exact.or((member.mode & 0o7000 != 0).then_some(plain));
        later.mtime = Some(member.mtime);
        later.member = self
            .setter
            .has_xattrs(member)
            .then(|| Box::new(member.clone()));
    }

    fn symlink<R>(
        &mut self,
        path: &[u8],
        member: &Member,
        reader: &mut TarReader<'_, R>,
    ) -> Result<(), UnpackError>
    where
        R: BufRead,
    {
        if member.link.is_empty() || member.link.len() > 4095 {
            return Err(UnpackError::refused(
                path,
                "a symbolic link needs a target of 1 to 4095 bytes",
            ));
        }
        self.create(path, "make symbolic link", reader, |dir, name| {
            rfs::symlinkat(&*member.link, dir, name)
        })?;
        self.finish_node(path, member)
    }

    fn hardlink<R: BufRead>(
        &mut self,
        path: &[u8],
        member: &Member,
        reader: &mut TarReader<'_, R>,
    ) -> Result<(), UnpackError> {
        let target = walk::clean(&member.link)?;
        let failed = |errno: Errno| UnpackError::Link {
            path: shown(path),
            target: shown(&member.link),
            source: errno.into(),
        };
        if target.is_empty() {
            return Err(failed(Errno::ISDIR));
        }
        for _ in 0..MAX_TRIES {
            let (from, from_name) = self.targets.parent(&target, Missing::Fail)?;
            let (dir, name) = self.walker.parent(path, Missing::Create)?;
            match rfs::linkat(from, from_name, dir, name, AtFlags::empty()) {
                Ok(()) => return Ok(()),
                Err(Errno::EXIST) => {}
                // The kernel's word for a directory.
                Err(Errno::PERM) => return Err(failed(Errno::ISDIR)),
                Err(Errno::NOSPC | Errno::DQUOT) => {
                    return Err(UnpackError::NoSpace { path: shown(path) });
                }
                Err(errno) => return Err(failed(errno)),
            }
            let stat = |dir, name| rfs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
            let old = stat(from, from_name).map_err(failed)?;
            match stat(dir, name) {
                // Already the same file: a link to itself, or a repeated entry.
                Ok(new) if new.st_ino == old.st_ino && new.st_dev == old.st_dev => return Ok(()),
                Ok(_) => {
                    self.clear(path, reader.recorder())?;
                }
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
        Err(UnpackError::refused(
            path,
            "it keeps changing while it is made",
        ))
    }

    fn fifo<R: BufRead>(
        &mut self,
        path: &[u8],
        member: &Member,
        reader: &mut TarReader<'_, R>,
    ) -> Result<(), UnpackError> {
        let (mode, exact) = self.setter.modes(member);
        self.create(path, "make named pipe", reader, |dir, name| {
            rfs::mknodat(dir, name, FileType::Fifo, mode, 0)
        })?;
        self.finish_node(path, member)?;
        if let Some(mode) = exact {
            let (dir, name) = self.walker.parent(path, Missing::Fail)?;
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rfs::openat(dir, name, flags, Mode::empty())
                .and_then(|fd| meta::chmod_path(fd.as_fd(), mode))
                .map_err(|e| UnpackError::write(path, "change mode of", e))?;
        }
        Ok(())
    }

    /// Devices cannot be made here. Where owners are recorded, so is the device, for the driver to show.
    fn device<R: BufRead>(
        &mut self,
        path: &[u8],
        member: &Member,
        reader: &mut TarReader<'_, R>,
    ) -> Result<(), UnpackError> {
        if self.options.owners != super::Owners::Record {
            self.report.skipped_devices += 1;
            return Ok(());
        }
        let fd = self.create(path, "create file", reader, |dir, name| {
            rfs::openat(dir, name, FILE_FLAGS, Mode::RUSR | Mode::WUSR)
        })?;
        self.report.skipped_xattrs += self.setter.xattrs(fd.as_fd(), member)?;
        rfs::futimens(&fd, &meta::times(member.mtime))
            .map_err(|e| UnpackError::write(path, "set the time of", e))
    }

    /// Owner and time of something that was not opened.
    fn finish_node(&mut self, path: &[u8], member: &Member) -> Result<(), UnpackError> {
        let (dir, name) = self.walker.parent(path, Missing::Fail)?;
        self.setter.chown_at(dir, name, member)?;
        rfs::utimensat(
            dir,
            name,
            &meta::times(member.mtime),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(|e| UnpackError::write(path, "set the time of", e))
    }

    /// Makes a new object, clearing the name first if it is taken.
    fn create<T, R: BufRead>(
        &mut self,
        path: &[u8],
        step: &'static str,
        reader: &mut TarReader<'_, R>,
        make: impl Fn(BorrowedFd<'_>, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, UnpackError> {
        for _ in 0..MAX_TRIES {
            let (dir, name) = self.walker.parent(path, Missing::Create)?;
            match make(dir, name) {
                Ok(made) => return Ok(made),
                Err(Errno::EXIST) => {
                    self.clear(path, reader.recorder())?;
                }
                Err(errno) => return Err(UnpackError::write(path, step, errno)),
            }
        }
        Err(UnpackError::refused(
            path,
            "it keeps changing while it is made",
        ))
    }

    /// The root is in use, and may have mounts in it; a layer's is the unpacker's alone.
    fn is_live(&self) -> bool {
        self.options.whiteouts == Whiteouts::Literal
    }

    /// Removes what is at `path`, so that a later entry takes its place.
    fn clear(
        &mut self,
        path: &[u8],
        recorder: Option<&mut Recorder>,
    ) -> Result<Cleared, UnpackError> {
        let failed = |errno| UnpackError::write(path, "replace", errno);
        let live = self.is_live();
        let (dir, name) = self.walker.parent(path, Missing::Create)?;
        let stat = match rfs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(Cleared::default()),
            other => other.map_err(failed)?,
        };
        let whiteout = walk::is_whiteout(&stat);
        let c_name = CString::new(name).map_err(|_| failed(Errno::INVAL))?;
        if live && mounted::in_tree(dir, &c_name).map_err(failed)? {
            return Err(UnpackError::write(path, "overwrite the mount point", Errno::BUSY));
        }
        if let Some(recorder) = recorder {
            recorder
                .replaced(dir, name, path)
                .map_err(TarError::Record)?;
        }
        remove_tree(dir, &c_name).map_err(|source| UnpackError::Write {
            path: shown(path),
            step: "replace",
            source,
        })?;
        // The open directories may lead through what is gone.
        self.walker.forget();
        self.targets.forget();
        self.later.remove(path);
        Ok(Cleared { whiteout })
    }

    /// Sets what was put off and returns the report.
    pub(crate) fn finish(mut self) -> Result<UnpackReport, UnpackError> {
        self.note_created();
        let mut later: Vec<(Vec<u8>, Later)> =
            std::mem::take(&mut self.later).into_iter().collect();
        // Neighbours one after the other: the walk then reuses its descriptors.
        later.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (path, what) in later {
            self.finish_directory(&path, &what)?;
        }
        if self.options.owners == Owners::Record && self.options.whiteouts == Whiteouts::Overlay {
            self.mark_root()?;
        }
        Ok(self.report)
    }

    /// The root of a layer tells that owners are recorded in it (`userns::owner::are_recorded`), in the archive or not.
    fn mark_root(&self) -> Result<(), UnpackError> {
        let value = Owner { uid: 0, gid: 0, mode: 0o040_755, rdev: 0 }.text();
        match rfs::fsetxattr(self.root, owner::OVERRIDE, value.as_bytes(), XattrFlags::CREATE) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(errno) => Err(UnpackError::write(b"", "record the owner of", errno)),
        }
    }

    fn finish_directory(&mut self, path: &[u8], later: &Later) -> Result<(), UnpackError> {
        let (dir, name) = if path.is_empty() {
            (self.root, &b"."[..])
        } else {
            match self.walker.parent(path, Missing::Fail) {
                Ok(found) => found,
                // Replaced by something else since.
                Err(_) => return Ok(()),
            }
        };
        let failed = |step| move |errno| UnpackError::write(path, step, errno);
        let times = later.mtime.map(meta::times);
        if later.mode.is_none() && later.member.is_none() && !later.opaque {
            let Some(times) = times else { return Ok(()) };
            return match rfs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(()),
                Err(errno) => Err(failed("set the time of")(errno)),
            };
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = match rfs::openat(dir, name, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            other => other.map_err(failed("open directory"))?,
        };
        if let Some(mode) = later.mode {
            rfs::fchmod(&fd, mode).map_err(failed("change mode of"))?;
        }
        if let Some(member) = &later.member {
            self.report.skipped_xattrs += self.setter.xattrs(fd.as_fd(), member)?;
        }
        if later.opaque {
            make_opaque(&fd).map_err(failed("mark as opaque"))?;
        }
        if let Some(times) = times {
            rfs::futimens(&fd, &times).map_err(failed("set the time of"))?;
        }
        Ok(())
    }
}

/// What [`Unpacker::clear`] removed.
#[derive(Debug, Clone, Copy, Default)]
struct Cleared {
    whiteout: bool,
}

/// Opens and empties the file that is mounted there, if something is.
fn open_mounted(dir: BorrowedFd<'_>, name: &CStr) -> Result<Option<OwnedFd>, Errno> {
    if !mounted::is_mount_point(dir, name)? {
        return Ok(None);
    }
    match mounted::open_in_place(dir, name) {
        Ok(fd) => rfs::ftruncate(&fd, 0).map(|()| Some(fd)),
        // Said when it would be replaced.
        Err(Errno::BUSY) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Marks a directory as hiding the one below.
fn make_opaque(fd: &OwnedFd) -> Result<(), Errno> {
    match rfs::fsetxattr(fd, c"user.overlay.opaque", b"y", XattrFlags::empty()) {
        Err(Errno::OPNOTSUPP) => {
            // No user attributes here: the form fuse-overlayfs understands.
            match rfs::openat(fd, c".wh..wh..opq", FILE_FLAGS, Mode::empty()) {
                Ok(_) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(errno),
            }
        }
        other => other,
    }
}

/// Copies a member's content into its file, holes left out.
fn write_content<R: BufRead>(
    path: &[u8],
    member: &Member,
    fd: BorrowedFd<'_>,
    reader: &mut TarReader<'_, R>,
) -> Result<(), UnpackError> {
    let failed = |errno| UnpackError::write(path, "write", errno);
    let Some(extents) = &member.extents else {
        return write_run(path, 0, member.stored, fd, reader);
    };
    rfs::ftruncate(fd, member.size).map_err(failed)?;
    for extent in extents {
        if extent.length > 0 {
            rfs::seek(fd, rfs::SeekFrom::Start(extent.offset)).map_err(failed)?;
            write_run(path, extent.offset, extent.length, fd, reader)?;
        }
    }
    Ok(())
}

/// Copies `length` bytes to the file's current position, which is `offset`.
fn write_run<R: BufRead>(
    path: &[u8],
    offset: u64,
    length: u64,
    fd: BorrowedFd<'_>,
    reader: &mut TarReader<'_, R>,
) -> Result<(), UnpackError> {
    if let Some(recorder) = reader.recorder() {
        recorder
            .content(path, offset, length)
            .map_err(TarError::Record)?;
    }
    let mut left = length;
    while left > 0 {
        let chunk = reader.content()?;
        let wanted = usize::try_from(left).map_or(chunk.len(), |left| left.min(chunk.len()));
        let written = match rustix::io::write(fd, &chunk[..wanted]) {
            Ok(0) => return Err(UnpackError::write(path, "write", Errno::IO)),
            Ok(written) => written,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(UnpackError::write(path, "write", errno)),
        };
        reader.consume(written);
        left -= written as u64;
    }
    Ok(())
}
