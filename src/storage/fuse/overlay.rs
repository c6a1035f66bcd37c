//! The overlay itself: its layers, how a node's real file is reached, and what the kernel is told
//! of it. What the file system does is in the files beside this one, one topic each.
//!
//! A node is at the same path in every layer: only files and directories that are in the upper
//! layer alone are ever renamed. So a node needs no more than its parent, its name and its layers.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags, Stat};
use rustix::io::{Errno, Result};

use super::Error;
use super::ids::{self, Ids, Override};
use super::node::{Fd, Node, Real, State, Table, UPPER, lock, read, write};
use super::options::Options;
use super::target::Target;
use super::turns::Turns;
use super::whiteout::{self, Work};

/// One layer, upper or lower.
#[derive(Debug)]
struct Layer {
    /// Owners and modes are in an extended attribute.
    overrides: bool,
    /// Which of the file systems that hold the layers.
    device: u64,
    /// Its file system has no disk to wait for.
    in_memory: bool,
}

/// An overlay of directories.
#[derive(Debug)]
pub(super) struct Overlay {
    layers: Vec<Layer>,
    work: Option<Work>,
    pub(super) table: Table,
    pub(super) ids: Ids,
    pub(super) options: Options,
    pub(super) turns: Arc<Turns>,
    open_dirs: Mutex<VecDeque<Weak<Real>>>,
    open_files: Mutex<VecDeque<Weak<Node>>>,
    max_dirs: usize,
    max_files: usize,
    /// The ids of this process: what new files belong to.
    pub(super) me: (u32, u32),
}

/// How long an overlay that uses the same work directory is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a tmpfs says it is.
const TMPFS: i64 = 0x0102_1994;

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory below `dir` for reading, or as a mere place if that is refused.
pub(super) fn open_dir(dir: &Fd, name: &OsStr) -> Result<Fd> {
    let fd = fs::openat(dir, name, DIRECTORY | OFlags::RDONLY, Mode::empty());
    let fd = match fd {
        Err(Errno::ACCESS | Errno::PERM) => fs::openat(dir, name, DIRECTORY | OFlags::PATH, Mode::empty()),
        fd => fd,
    };
    fd.map(Arc::new)
}

fn open_root(path: &Path, why: &'static str) -> std::result::Result<OwnedFd, Error> {
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
    fs::open(path, flags, Mode::empty()).map_err(|errno| Error::Layer { path: path.to_owned(), why, errno })
}

/// Locks a work directory. The server of an overlay that was just unmounted may be about to end.
fn lock_work(base: &OwnedFd) -> Result<()> {
    let begun = Instant::now();
    loop {
        match fs::flock(base, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if begun.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(2)),
            done => return done,
        }
    }
}

/// Whether a directory is `other` or somewhere below it.
fn is_within(dir: &OwnedFd, other: &OwnedFd) -> Result<bool> {
    let id = |fd: &OwnedFd| fs::fstat(fd).map(|stat| (stat.st_dev, stat.st_ino));
    let wanted = id(other)?;
    let mut place = fs::openat(dir, ".", DIRECTORY | OFlags::PATH, Mode::empty())?;
    let mut at = id(&place)?;
    while at != wanted {
        place = fs::openat(&place, "..", DIRECTORY | OFlags::PATH, Mode::empty())?;
        let above = id(&place)?;
        if above == at {
            return Ok(false);
        }
        at = above;
    }
    Ok(true)
}

fn open_work(upper: &OwnedFd, options: &Options) -> std::result::Result<Work, Error> {
    let Some(workdir) = &options.workdir else {
        return Err(Error::Layers("an upperdir needs a workdir on the same file system"));
    };
    let failed = |why| {
        let path = workdir.clone();
        move |errno| Error::Layer { path, why, errno }
    };
    let base = open_root(workdir, "open the work directory")?;
    let device = |fd: &OwnedFd| fs::fstat(fd).map(|s| s.st_dev);
    if device(&base).ok() != device(upper).ok() {
        return Err(failed("use, as it is not on the file system of upperdir,")(Errno::XDEV));
    }
    let within = |one, other| is_within(one, other).map_err(failed("look above"));
    if within(&base, upper)? || within(upper, &base)? {
        return Err(Error::Layers("workdir and upperdir must be apart, neither inside the other"));
    }
    lock_work(&base).map_err(failed("lock the work directory (another overlay uses it)"))?;
    // As the kernel's overlay does: what an earlier mount left half made is in `work`, and of no use.
    let _ = whiteout::remove_all(&base, OsStr::new("work"), 0);
    fs::mkdirat(&base, "work", Mode::from_raw_mode(0o700)).map_err(failed("make the directory `work` in"))?;
    let work = fs::openat(&base, "work", DIRECTORY | OFlags::RDONLY, Mode::empty());
    let work = work.map_err(failed("open the directory `work` in"))?;
    Ok(Work::new(work, base))
}

impl Overlay {
    /// Opens the layers.
    pub(super) fn new(options: Options, turns: Arc<Turns>) -> std::result::Result<Self, Error> {
        if options.lowerdirs.is_empty() && options.upperdir.is_none() {
            return Err(Error::Layers("no lowerdir was given"));
        }
        if options.lowerdirs.len() >= usize::from(u16::MAX) {
            return Err(Error::Layers("there are too many lower directories"));
        }
        let (mut layers, mut reals, mut work) = (Vec::new(), Vec::new(), None);
        let mut open = |path: &PathBuf, number: u16, why| -> std::result::Result<Fd, Error> {
            let fd = open_root(path, why)?;
            let device = fs::fstat(&fd).map_err(|errno| Error::Layer { path: path.clone(), why, errno })?.st_dev;
            let has = fs::fgetxattr(&fd, ids::OVERRIDE, &mut [0; 256][..]).is_ok();
            let overrides = !options.plain_owners && (has || (number == UPPER && options.xattr_permissions));
            let in_memory = fs::fstatfs(&fd).is_ok_and(|s| i64::try_from(s.f_type) == Ok(TMPFS));
            layers.push(Layer { overrides, device, in_memory });
            let fd = Arc::new(fd);
            reals.push(Arc::new(Real::new(number, Some(fd.clone()))));
            Ok(fd)
        };
        if let Some(path) = &options.upperdir {
            let upper = open(path, UPPER, "open the upper directory")?;
            work = Some(open_work(&upper, &options)?);
        }
        for (number, path) in (1..).zip(&options.lowerdirs) {
            open(path, number, "open the lower directory")?;
        }
        if work.is_none() {
            // Layer numbers are places in `layers`: keep the upper one's free.
            layers.insert(0, Layer { overrides: false, device: 0, in_memory: false });
        }
        let (max_dirs, max_files) = descriptors(reals.len());
        let root = State { layer: reals[0].layer, reals: Arc::new(reals), ..State::default() };
        Ok(Self {
            layers,
            work,
            table: Table::new(root),
            ids: Ids::new(&options),
            options,
            turns,
            open_dirs: Mutex::default(),
            open_files: Mutex::default(),
            max_dirs,
            max_files,
            me: (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
        })
    }

    /// The work directory, if there is an upper layer.
    pub(super) fn work(&self) -> Result<&Work> {
        self.work.as_ref().ok_or(Errno::ROFS)
    }

    /// The node the kernel calls `ino`.
    pub(super) fn node(&self, ino: u64) -> Result<Arc<Node>> {
        self.table.get(ino).ok_or(Errno::STALE)
    }

    /// The number a node is given for a real file: its own, made distinct among file systems.
    pub(super) fn number(&self, layer: u16, ino: u64) -> u64 {
        let device = |n: u16| self.layers.get(usize::from(n)).map_or(0, |l| l.device);
        let first = self.layers.last().map_or(0, |l| l.device);
        let device = device(layer);
        if device == first { ino } else { ino ^ (device.wrapping_mul(0x9e37_79b9) & 0xffff_ffff) << 30 }
    }

    /// One of the directories behind `node`, open.
    pub(super) fn dir_fd(&self, node: &Arc<Node>, real: &Arc<Real>) -> Result<Fd> {
        if let Some(fd) = read(&real.fd).as_ref() {
            return Ok(fd.clone());
        }
        let fd = {
            // Held, so that the name stays true until it is opened.
            let state = read(&node.state);
            let link = state.links.first().ok_or(Errno::NOENT)?;
            let above = link.parent.reals();
            let above = above.iter().find(|r| r.layer == real.layer).ok_or(Errno::IO)?;
            let above = self.dir_fd(&link.parent, above)?;
            open_dir(&above, &link.name)?
        };
        self.keep_dir(real, &fd);
        Ok(fd)
    }

    /// Keeps the descriptor of a directory for the next time, in place of the oldest.
    pub(super) fn keep_dir(&self, real: &Arc<Real>, fd: &Fd) {
        *write(&real.fd) = Some(fd.clone());
        let mut open = lock(&self.open_dirs);
        open.push_back(Arc::downgrade(real));
        let mut old = Vec::new();
        while open.len() > self.max_dirs {
            old.extend(open.pop_front());
        }
        drop(open);
        for real in old.iter().filter_map(Weak::upgrade) {
            write(&real.fd).take();
        }
    }

    /// Calls `f` with the real file of `node`, which keeps its name until `f` returns.
    pub(super) fn with<T>(&self, node: &Arc<Node>, f: impl FnOnce(&Target<'_>, u16) -> Result<T>) -> Result<T> {
        let state = read(&node.state);
        if let Some(fd) = &state.anchor {
            let target = if node.is_dir() || node.is_file() { Target::Open(fd.clone()) } else { Target::Path(fd.clone()) };
            return f(&target, state.layer);
        }
        if let Some(fd) = &state.io {
            return f(&Target::Open(fd.clone()), state.layer);
        }
        if node.is_dir() {
            let real = state.reals.first().ok_or(Errno::NOENT)?.clone();
            drop(state);
            let layer = real.layer;
            return f(&Target::Open(self.dir_fd(node, &real)?), layer);
        }
        let link = state.links.first().ok_or(Errno::NOENT)?;
        let above = link.parent.reals();
        let above = above.iter().find(|r| r.layer == state.layer).ok_or(Errno::IO)?;
        let dir = self.dir_fd(&link.parent, above)?;
        f(&Target::At(dir, &link.name), state.layer)
    }

    /// What the layer says of a real file, with kept owners and modes put in place.
    pub(super) fn stat(&self, target: &Target<'_>, layer: u16) -> Result<Stat> {
        let mut stat = target.stat()?;
        self.apply_override(&mut stat, target, layer);
        Ok(stat)
    }

    pub(super) fn apply_override(&self, stat: &mut Stat, target: &Target<'_>, layer: u16) {
        if self.has_overrides(layer)
            && let Ok(text) = target.getxattr(OsStr::new(ids::OVERRIDE))
            && let Some(kept) = Override::parse(&text)
        {
            kept.apply(stat);
        }
    }

    pub(super) fn has_overrides(&self, layer: u16) -> bool {
        self.layers.get(usize::from(layer)).is_some_and(|l| l.overrides)
    }

    /// Whether a layer's files are read without waiting.
    pub(super) fn is_in_memory(&self, layer: u16) -> bool {
        self.layers.get(usize::from(layer)).is_some_and(|l| l.in_memory)
    }

    /// The attributes of `node`.
    pub(super) fn getattr(&self, node: &Arc<Node>) -> Result<Stat> {
        self.with(node, |target, layer| self.stat(target, layer))
    }

    /// A regular file, open for reading.
    pub(super) fn reader(&self, node: &Arc<Node>) -> Result<Fd> {
        {
            let state = read(&node.state);
            if let Some(fd) = state.anchor.as_ref().or(state.io.as_ref()) {
                return Ok(fd.clone());
            }
        }
        if !node.is_file() {
            return Err(Errno::INVAL);
        }
        let (fd, layer) = self.with(node, |target, layer| Ok((self.open_file(target, layer)?, layer)))?;
        self.keep_file(node, &fd, layer);
        Ok(fd)
    }

    /// A regular file of the upper layer, open for reading and writing; copied up if it is not there.
    pub(super) fn writer(&self, node: &Arc<Node>) -> Result<Fd> {
        {
            let state = read(&node.state);
            if state.layer == UPPER
                && let Some(fd) = state.anchor.as_ref().or(state.io.as_ref())
            {
                return Ok(fd.clone());
            }
        }
        self.copy_up(node, None)?;
        self.reader(node)
    }

    /// Opens the real file of a regular file.
    fn open_file(&self, target: &Target<'_>, layer: u16) -> Result<Fd> {
        let (dir, name) = match target {
            Target::At(dir, name) => (dir, name),
            Target::Open(fd) => return Ok(fd.clone()),
            Target::Path(_) => return Err(Errno::INVAL),
        };
        let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let open = |more| fs::openat(dir, *name, flags | more, Mode::empty());
        let fd = if layer == UPPER && self.work.is_some() {
            match open(OFlags::RDWR) {
                Err(Errno::ACCESS | Errno::TXTBSY | Errno::PERM) => open(OFlags::RDONLY),
                fd => fd,
            }
        } else {
            match open(OFlags::RDONLY | OFlags::NOATIME) {
                Err(Errno::PERM) => open(OFlags::RDONLY),
                fd => fd,
            }
        };
        fd.map(Arc::new)
    }

    /// Keeps a file's descriptor for the next request, in place of the oldest.
    pub(super) fn keep_file(&self, node: &Arc<Node>, fd: &Fd, layer: u16) {
        {
            let mut state = write(&node.state);
            if state.layer != layer || state.io.is_some() || state.anchor.is_some() {
                return;
            }
            state.io = Some(fd.clone());
        }
        self.count_file(node);
    }

    /// Counts a descriptor just put into a node's state, and closes the oldest ones.
    pub(super) fn count_file(&self, node: &Arc<Node>) {
        let mut open = lock(&self.open_files);
        open.push_back(Arc::downgrade(node));
        let mut old = Vec::new();
        while open.len() > self.max_files {
            old.extend(open.pop_front());
        }
        drop(open);
        for node in old.iter().filter_map(Weak::upgrade) {
            let closed = write(&node.state).io.take();
            drop(closed);
        }
    }

    /// Whether `.wh.` files are in a real directory; looked up once.
    pub(super) fn dotted(&self, real: &Real, fd: &Fd) -> bool {
        match real.dotted.load(Ordering::Relaxed) {
            0 => {
                let found = has_dotted(fd).unwrap_or(true);
                real.dotted.store(if found { 2 } else { 1 }, Ordering::Relaxed);
                found
            }
            known => known == 2,
        }
    }
}

fn has_dotted(dir: &Fd) -> Result<bool> {
    let mut found = false;
    super::listing::each(dir, |name, _, _| found |= whiteout::is_reserved(name))?;
    Ok(found)
}

/// How many directories and files may stay open: the limit of this process is raised as far as it
/// goes and shared out.
fn descriptors(layers: usize) -> (usize, usize) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    let all = usize::try_from(limit.current.unwrap_or(1 << 20)).unwrap_or(1024);
    let free = all.saturating_sub(layers + 128).max(32);
    ((free / 2).min(32768), (free / 4).min(2048))
}

/// A name inside a directory, for calls that take both.
pub(super) fn exists(dir: &Fd, name: &OsStr) -> Result<Option<Stat>> {
    match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e),
    }
}
