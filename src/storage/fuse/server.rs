//! Between the FUSE protocol (crate `fuser`) and the overlay: takes requests apart, turns errors
//! into errno values, and asks the kernel for all the caching that a sole writer may have.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    CopyFileRangeFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, IoctlFlags, KernelConfig, LockOwner, Notifier, OpenFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr,
    Request, TimeOrNow, WriteFlags,
};
use rustix::fs::{RenameFlags, Stat, Timespec};
use rustix::io::Result;

use super::attr::Changes;
use super::create::Caller;
use super::node::{Node, ROOT};
use super::overlay::{Overlay, exists};

/// The largest piece read or written at once: as much as the kernel takes by default.
const MAX_IO: u32 = 1 << 20;

/// Requests of readahead and writeback in flight at once.
const BACKGROUND: u16 = 64;

const FIRST: Generation = Generation(0);

/// The overlay as `fuser` wants it.
pub(super) struct Server {
    overlay: Overlay,
    ttl: Duration,
    /// The kernel opens files and directories without asking.
    no_open: bool,
    no_opendir: bool,
    notifier: Arc<OnceLock<Notifier>>,
}

thread_local! {
    /// Where this thread reads contents to; touched only as far as reads are long.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn errno(e: rustix::io::Errno) -> Errno {
    Errno::from_i32(e.raw_os_error())
}

#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::cast_possible_truncation)] // differ between processors
fn time(seconds: i64, nanos: i64) -> SystemTime {
    let nanos = Duration::from_nanos(nanos as u64);
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let at = if seconds >= 0 { UNIX_EPOCH.checked_add(whole) } else { UNIX_EPOCH.checked_sub(whole) };
    at.and_then(|t| t.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

fn timespec(time: TimeOrNow) -> Timespec {
    let time = match time {
        TimeOrNow::Now => return Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW },
        TimeOrNow::SpecificTime(time) => time,
    };
    let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
        Ok(after) => (i64::try_from(after.as_secs()).unwrap_or(i64::MAX), after.subsec_nanos()),
        Err(before) => {
            // fuser 0.18 takes the nanoseconds of an early time away instead of adding them.
            let before = before.duration();
            (-i64::try_from(before.as_secs()).unwrap_or(i64::MAX), before.subsec_nanos())
        }
    };
    Timespec { tv_sec: seconds, tv_nsec: nanos.into() }
}

fn kind(of: rustix::fs::FileType) -> FileType {
    match of {
        rustix::fs::FileType::Directory => FileType::Directory,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        rustix::fs::FileType::Fifo => FileType::NamedPipe,
        rustix::fs::FileType::Socket => FileType::Socket,
        rustix::fs::FileType::CharacterDevice => FileType::CharDevice,
        rustix::fs::FileType::BlockDevice => FileType::BlockDevice,
        _ => FileType::RegularFile,
    }
}

impl Server {
    pub(super) fn new(overlay: Overlay) -> Self {
        let ttl = overlay.options.timeout;
        Self { overlay, ttl, no_open: false, no_opendir: false, notifier: Arc::default() }
    }

    /// Where to put what tells the kernel of changes, once there is a session.
    pub(super) fn notifier(&self) -> Arc<OnceLock<Notifier>> {
        self.notifier.clone()
    }

    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::cast_possible_truncation)] // see `time`
    fn attr(&self, ino: u64, merged: bool, stat: &Stat) -> FileAttr {
        FileAttr {
            ino: INodeNo(ino),
            size: stat.st_size as u64,
            blocks: stat.st_blocks as u64,
            atime: time(stat.st_atime as i64, stat.st_atime_nsec as i64),
            mtime: time(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime: time(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
            crtime: UNIX_EPOCH,
            kind: kind(rustix::fs::FileType::from_raw_mode(stat.st_mode)),
            perm: (stat.st_mode & 0o7777) as u16,
            // Nobody counts the subdirectories of a merged directory; 1 says so to find(1).
            nlink: if merged { 1 } else { stat.st_nlink as u32 },
            uid: self.overlay.ids.uid(stat.st_uid),
            gid: self.overlay.ids.gid(stat.st_gid),
            rdev: stat.st_rdev as u32,
            blksize: stat.st_blksize as u32,
            flags: 0,
        }
    }

    fn node_attr(&self, node: &Node, stat: &Stat) -> FileAttr {
        let mut attr = self.attr(node.ino, node.is_dir() && node.reals().len() > 1, stat);
        if node.is_gone() {
            attr.nlink = 0;
        }
        attr
    }

    fn reply_entry(&self, made: Result<(Arc<Node>, Stat)>, reply: ReplyEntry) {
        match made {
            Ok((node, stat)) => reply.entry(&self.ttl, &self.node_attr(&node, &stat), FIRST),
            Err(e) => reply.error(errno(e)),
        }
    }

    /// The numbers and attributes of entries after `offset`, handed to `add` until it says it is full.
    fn list(
        &self,
        ino: u64,
        offset: u64,
        mut add: impl FnMut(u64, u64, &OsStr, FileType, &dyn Fn() -> Result<(Arc<Node>, Stat)>) -> Result<bool>,
    ) -> Result<()> {
        let node = self.overlay.node(ino)?;
        let nothing = || Err(rustix::io::Errno::NOENT);
        if offset == 0 && add(ino, 1, OsStr::new("."), FileType::Directory, &nothing)? {
            return Ok(());
        }
        if offset < 2 && add(ROOT, 2, OsStr::new(".."), FileType::Directory, &nothing)? {
            return Ok(());
        }
        let listing = self.overlay.listing(&node, offset == 0)?;
        let entries = listing.after(offset);
        if entries.is_empty() {
            Overlay::end_listing(&node);
        }
        for entry in entries {
            let name = listing.name(entry);
            let look = || self.look(&node, name, entry);
            let number = self.overlay.number(entry.layer, entry.ino);
            if add(number, entry.offset, name, kind(entry.kind), &look)? {
                break;
            }
        }
        Ok(())
    }

    /// Looks up a listed name; knows its layer already unless it is a directory.
    fn look(&self, parent: &Arc<Node>, name: &OsStr, entry: &super::listing::Entry) -> Result<(Arc<Node>, Stat)> {
        let gone = rustix::io::Errno::NOENT;
        if entry.kind == rustix::fs::FileType::Directory {
            return self.overlay.lookup(parent, name)?.ok_or(gone);
        }
        let dir = self.overlay.dir_of(parent, entry.layer)?;
        let stat = exists(&dir, name)?.ok_or(gone)?;
        if rustix::fs::FileType::from_raw_mode(stat.st_mode) != entry.kind {
            return self.overlay.lookup(parent, name)?.ok_or(gone);
        }
        let last = parent.reals().last().is_none_or(|r| r.layer == entry.layer);
        let found = self.overlay.found_file(entry.layer, stat, dir, name, last);
        self.overlay.intern(parent, name, found)
    }
}

fn reply_empty(done: Result<()>, reply: ReplyEmpty) {
    match done {
        Ok(()) => reply.ok(),
        Err(e) => reply.error(errno(e)),
    }
}

fn reply_xattr(value: Result<Vec<u8>>, size: u32, reply: ReplyXattr) {
    match value {
        Ok(value) if size == 0 => reply.size(u32::try_from(value.len()).unwrap_or(u32::MAX)),
        Ok(value) if value.len() > size as usize => reply.error(Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(e) => reply.error(errno(e)),
    }
}

fn caller(request: &Request, umask: u32) -> Caller {
    Caller { uid: request.uid(), gid: request.gid(), umask }
}

impl Filesystem for Server {
    fn init(&mut self, _request: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let offered = config.capabilities();
        let options = &self.overlay.options;
        let mut wanted = vec![
            InitFlags::FUSE_PARALLEL_DIROPS,
            InitFlags::FUSE_DO_READDIRPLUS,
            InitFlags::FUSE_CACHE_SYMLINKS,
            InitFlags::FUSE_DONT_MASK,
            InitFlags::FUSE_ASYNC_DIO,
            InitFlags::FUSE_EXPLICIT_INVAL_DATA,
            InitFlags::FUSE_NO_OPEN_SUPPORT,
            InitFlags::FUSE_NO_OPENDIR_SUPPORT,
            // Ends the question for `security.capability` before every write; set-user-id bits are
            // dropped by the layer's file system, or by `drop_suid` where that trusts us to keep them.
            InitFlags::FUSE_HANDLE_KILLPRIV_V2,
        ];
        if !options.noacl {
            wanted.push(InitFlags::FUSE_POSIX_ACL);
        }
        if options.writeback && options.upperdir.is_some() {
            wanted.push(InitFlags::FUSE_WRITEBACK_CACHE);
        }
        for flag in wanted {
            // One that this kernel lacks is done without.
            let _ = config.add_capabilities(flag);
        }
        self.no_open = offered.contains(InitFlags::FUSE_NO_OPEN_SUPPORT);
        self.no_opendir = offered.contains(InitFlags::FUSE_NO_OPENDIR_SUPPORT);
        let _ = config.set_max_write(MAX_IO);
        let _ = config.set_max_background(BACKGROUND);
        Ok(())
    }

    fn lookup(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let _turn = self.overlay.turns.take();
        let found = self.overlay.node(parent.0).and_then(|parent| self.overlay.lookup(&parent, name));
        match found {
            Ok(Some(found)) => self.reply_entry(Ok(found), reply),
            Ok(None) => {
                // Number 0: the kernel may remember that there is nothing.
                let nothing = FileAttr { ino: INodeNo(0), ..NOTHING };
                reply.entry(&self.ttl, &nothing, FIRST);
            }
            Err(e) => reply.error(errno(e)),
        }
    }

    fn forget(&self, request: &Request, ino: INodeNo, count: u64) {
        // Of those that came together each comes here, with the same number.
        let _aside = self.overlay.turns.aside(request.unique().0);
        self.overlay.table.forget(ino.0, count);
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        let _turn = self.overlay.turns.take();
        let got = self.overlay.node(ino.0).and_then(|node| Ok((self.overlay.getattr(&node)?, node)));
        match got {
            Ok((stat, node)) => reply.attr(&self.ttl, &self.node_attr(&node, &stat)),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let _turn = self.overlay.turns.take();
        let changes = Changes {
            mode,
            uid,
            gid,
            size,
            atime: atime.map(timespec),
            mtime: mtime.map(timespec),
            drop_suid: size.is_some() && request.uid() != 0,
        };
        let done = self.overlay.node(ino.0).and_then(|node| Ok((self.overlay.setattr(&node, &changes)?, node)));
        match done {
            Ok((stat, node)) => reply.attr(&self.ttl, &self.node_attr(&node, &stat)),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn readlink(&self, _request: &Request, ino: INodeNo, reply: ReplyData) {
        let _turn = self.overlay.turns.take();
        let link = self.overlay.node(ino.0).and_then(|node| self.overlay.with(&node, |target, _| target.readlink()));
        match link {
            Ok(link) => reply.data(&link),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        reply: ReplyEntry,
    ) {
        let _turn = self.overlay.turns.take();
        let parent = self.overlay.node(parent.0);
        let made = parent.and_then(|parent| self.overlay.mknod(&parent, name, mode, rdev, caller(request, umask)));
        self.reply_entry(made, reply);
    }

    fn mkdir(&self, request: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, reply: ReplyEntry) {
        let _turn = self.overlay.turns.take();
        let parent = self.overlay.node(parent.0);
        let made = parent.and_then(|parent| self.overlay.mkdir(&parent, name, mode, caller(request, umask)));
        self.reply_entry(made, reply);
    }

    fn unlink(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _turn = self.overlay.turns.take();
        let parent = self.overlay.node(parent.0);
        reply_empty(parent.and_then(|parent| self.overlay.unlink(&parent, name)), reply);
    }

    fn rmdir(&self, _request: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _turn = self.overlay.turns.take();
        let parent = self.overlay.node(parent.0);
        reply_empty(parent.and_then(|parent| self.overlay.rmdir(&parent, name)), reply);
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let _turn = self.overlay.turns.take();
        let parent = self.overlay.node(parent.0);
        let made =
            parent.and_then(|parent| self.overlay.symlink(&parent, name, target.as_os_str(), caller(request, 0)));
        self.reply_entry(made, reply);
    }

    fn rename(
        &self,
        _request: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: fuser::RenameFlags,
        reply: ReplyEmpty,
    ) {
        let _turn = self.overlay.turns.take();
        let flags = RenameFlags::from_bits_retain(flags.bits());
        let done = self.overlay.node(parent.0).and_then(|parent| {
            let new_parent = self.overlay.node(new_parent.0)?;
            self.overlay.rename((&parent, name), (&new_parent, new_name), flags)
        });
        reply_empty(done, reply);
    }

    fn link(&self, _request: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let _turn = self.overlay.turns.take();
        let made = self.overlay.node(ino.0).and_then(|node| {
            let parent = self.overlay.node(parent.0)?;
            let stat = self.overlay.link(&node, &parent, name)?;
            Ok((node, stat))
        });
        self.reply_entry(made, reply);
    }

    fn open(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let _turn = self.overlay.turns.take();
        if self.no_open {
            // Once answered so, the kernel never asks again.
            reply.error(Errno::ENOSYS);
        } else {
            reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
        }
    }

    fn create(
        &self,
        _request: &Request,
        _parent: INodeNo,
        _name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let _turn = self.overlay.turns.take();
        // Makes the kernel use `mknod` and its own open, which saves the release.
        reply.error(Errno::ENOSYS);
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let _turn = self.overlay.turns.take();
        BUFFER.with_borrow_mut(|buffer| {
            let size = size as usize;
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let buffer = &mut buffer[..size];
            match self.overlay.node(ino.0).and_then(|node| self.overlay.read(&node, offset, buffer)) {
                Ok(done) => reply.data(&buffer[..done]),
                Err(e) => reply.error(errno(e)),
            }
        });
    }

    fn write(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        flags: WriteFlags,
        _open_flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let _turn = self.overlay.turns.take();
        let drop_suid = flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        let done = self.overlay.node(ino.0).and_then(|node| self.overlay.write(&node, offset, data, drop_suid));
        match done {
            Ok(mode_changed) => {
                if mode_changed && let Some(notifier) = self.notifier.get() {
                    // The kernel believes the mode is as it was.
                    notifier.inval_inode(ino, -1, 0).ok();
                }
                reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
            }
            Err(e) => reply.error(errno(e)),
        }
    }

    fn flush(&self, _request: &Request, _ino: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        let _turn = self.overlay.turns.take();
        reply.error(Errno::ENOSYS);
    }

    fn fsync(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        let _turn = self.overlay.turns.take();
        reply_empty(self.overlay.node(ino.0).and_then(|node| self.overlay.fsync(&node, data_only)), reply);
    }

    fn fsyncdir(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        let _turn = self.overlay.turns.take();
        reply_empty(self.overlay.node(ino.0).and_then(|node| self.overlay.fsync(&node, data_only)), reply);
    }

    fn opendir(&self, _request: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        let _turn = self.overlay.turns.take();
        if self.no_opendir {
            reply.error(Errno::ENOSYS);
        } else {
            reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE | FopenFlags::FOPEN_CACHE_DIR);
        }
    }

    fn readdir(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let _turn = self.overlay.turns.take();
        let listed = self.list(ino.0, offset, |number, offset, name, kind, _| {
            Ok(reply.add(INodeNo(number), offset, kind, name))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn readdirplus(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        mut reply: ReplyDirectoryPlus,
    ) {
        let _turn = self.overlay.turns.take();
        let listed = self.list(ino.0, offset, |number, offset, name, kind, look| {
            if offset <= 2 {
                let attr = FileAttr { ino: INodeNo(number), kind, ..NOTHING };
                return Ok(reply.add(INodeNo(number), offset, name, &Duration::ZERO, &attr, FIRST));
            }
            let (node, stat) = match look() {
                Ok(found) => found,
                // Removed since it was listed.
                Err(_) => return Ok(false),
            };
            let full = reply.add(INodeNo(node.ino), offset, name, &self.ttl, &self.node_attr(&node, &stat), FIRST);
            if full {
                self.overlay.table.forget(node.ino, 1);
            }
            Ok(full)
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn statfs(&self, _request: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let _turn = self.overlay.turns.take();
        let clip = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        match self.overlay.statfs() {
            Ok(s) => reply.statfs(
                s.f_blocks,
                s.f_bfree,
                s.f_bavail,
                s.f_files,
                s.f_ffree,
                clip(s.f_bsize),
                clip(s.f_namemax),
                clip(s.f_frsize),
            ),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn setxattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        reply: ReplyEmpty,
    ) {
        let _turn = self.overlay.turns.take();
        let flags = u32::try_from(flags).unwrap_or(0);
        let done = self.overlay.node(ino.0).and_then(|node| self.overlay.setxattr(&node, name, value, flags));
        reply_empty(done, reply);
    }

    fn getxattr(&self, _request: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        let _turn = self.overlay.turns.take();
        let value = self.overlay.node(ino.0).and_then(|node| self.overlay.getxattr(&node, name));
        reply_xattr(value, size, reply);
    }

    fn listxattr(&self, _request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let _turn = self.overlay.turns.take();
        let names = self.overlay.node(ino.0).and_then(|node| self.overlay.listxattr(&node));
        reply_xattr(names, size, reply);
    }

    fn removexattr(&self, _request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let _turn = self.overlay.turns.take();
        reply_empty(self.overlay.node(ino.0).and_then(|node| self.overlay.removexattr(&node, name)), reply);
    }

    fn ioctl(
        &self,
        _request: &Request,
        _ino: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _command: u32,
        _data: &[u8],
        _size: u32,
        reply: ReplyIoctl,
    ) {
        let _turn = self.overlay.turns.take();
        reply.error(Errno::ENOTTY);
    }

    fn fallocate(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let _turn = self.overlay.turns.take();
        let mode = u32::try_from(mode).unwrap_or(u32::MAX);
        let done = self.overlay.node(ino.0).and_then(|node| self.overlay.fallocate(&node, mode, offset, length));
        reply_empty(done, reply);
    }

    fn lseek(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: i64,
        whence: i32,
        reply: ReplyLseek,
    ) {
        let _turn = self.overlay.turns.take();
        let at = u64::try_from(offset).map_err(|_| rustix::io::Errno::NXIO);
        let whence = u32::try_from(whence).unwrap_or(u32::MAX);
        let found = at.and_then(|at| self.overlay.node(ino.0).and_then(|node| self.overlay.lseek(&node, at, whence)));
        match found {
            Ok(at) => reply.offset(i64::try_from(at).unwrap_or(i64::MAX)),
            Err(e) => reply.error(errno(e)),
        }
    }

    fn copy_file_range(
        &self,
        _request: &Request,
        ino_in: INodeNo,
        _handle_in: FileHandle,
        offset_in: u64,
        ino_out: INodeNo,
        _handle_out: FileHandle,
        offset_out: u64,
        len: u64,
        _flags: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let _turn = self.overlay.turns.take();
        let len = usize::try_from(len.min(1 << 30)).unwrap_or(1 << 30);
        let done = self.overlay.node(ino_in.0).and_then(|from| {
            let to = self.overlay.node(ino_out.0)?;
            self.overlay.copy_range((&from, offset_in), (&to, offset_out), len)
        });
        match done {
            Ok(done) => reply.written(u32::try_from(done).unwrap_or(u32::MAX)),
            Err(e) => reply.error(errno(e)),
        }
    }
}

const NOTHING: FileAttr = FileAttr {
    ino: INodeNo(0),
    size: 0,
    blocks: 0,
    atime: UNIX_EPOCH,
    mtime: UNIX_EPOCH,
    ctime: UNIX_EPOCH,
    crtime: UNIX_EPOCH,
    kind: FileType::RegularFile,
    perm: 0,
    nlink: 0,
    uid: 0,
    gid: 0,
    rdev: 0,
    blksize: 0,
    flags: 0,
};
