//! One listener's calls: what each means, and the answer.
//!
//! A process's identity is a number of the [`Table`] in its `RLIMIT_LOCKS`: that limit does nothing, belongs to the whole
//! process, and the kernel passes it on over fork and exec, so there is no tree of processes to follow here.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Stat, StatxFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::Hello;
use super::ids::{Change, Identity, SAME, Table};
use super::layout;
use super::make::{Made, inherited_group};
use super::paths::{Dir, of_fd, read_path, resolve, resolve_parent};
use crate::runtime::plan::seccomp::{Arch, fakes};
use crate::sys::notify::{self, Answer, Notification};
use crate::userns::owner::{self, Owner};

/// NGROUPS_MAX.
const MAX_GROUPS: usize = 65536;

/// A call of some ABI, by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Call {
    arch: Arch,
    /// Ids are 16 bits wide.
    short: bool,
    name: &'static str,
}

/// One container's, or one exec's, processes.
pub(super) struct Session {
    listener: OwnedFd,
    hello: Hello,
    calls: HashMap<(u32, u32), Call>,
    table: Table,
    made: Made,
}

impl Session {
    pub(super) fn new(listener: OwnedFd, hello: Hello) -> Self {
        Self { listener, hello, calls: numbers(), table: Table::default(), made: Made::default() }
    }

    pub(super) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Whether something is being made that will have to be recorded.
    pub(super) fn is_waiting(&self) -> bool {
        !self.made.is_empty()
    }

    /// Records what was made meanwhile.
    pub(super) fn settle_all(&mut self) {
        self.made.settle(None);
    }

    /// Takes and answers one call.
    pub(super) fn serve(&mut self) {
        // ENOENT: its process died. Anything else cannot be helped either.
        let Ok(call) = notify::receive(self.listener.as_fd()) else { return };
        if !self.made.is_empty() {
            // What this thread began to make before is there now.
            self.made.settle(Some(call.pid));
        }
        let answer = match self.calls.get(&(call.arch, call.number)).copied() {
            Some(known) => self.answer(known, &call).unwrap_or_else(Answer::Fail),
            None => Answer::Continue,
        };
        let _ = notify::answer(self.listener.as_fd(), call.id, answer);
    }

    fn answer(&mut self, call: Call, n: &Notification) -> Result<Answer, Errno> {
        let a = &n.args;
        let path = |address: u64| read_path(n.pid, address);
        match call.name.trim_end_matches("32") {
            "chown" => self.chown_path(n, call, Dir::current(n.pid), &path(a[0])?, true, (a[1], a[2])),
            "lchown" => self.chown_path(n, call, Dir::current(n.pid), &path(a[0])?, false, (a[1], a[2])),
            "fchown" => self.chown_fd(n, call, int(a[0]), (a[1], a[2])),
            "fchownat" => {
                let (text, flags) = (path(a[1])?, at_flags(a[4]));
                if !(AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW).contains(flags) {
                    return Err(Errno::INVAL);
                }
                if text.is_empty() && flags.contains(AtFlags::EMPTY_PATH) && int(a[0]) != libc::AT_FDCWD {
                    return self.chown_fd(n, call, int(a[0]), (a[2], a[3]));
                }
                let text = if text.is_empty() && flags.contains(AtFlags::EMPTY_PATH) { b".".to_vec() } else { text };
                let follow = !flags.contains(AtFlags::SYMLINK_NOFOLLOW);
                self.chown_path(n, call, Dir { pid: n.pid, fd: int(a[0]) }, &text, follow, (a[2], a[3]))
            }
            "chmod" => Ok(self.chmod(n, Dir::current(n.pid), (&path(a[0])?, AtFlags::empty()), a[1])),
            "fchmod" => Ok(self.chmod(n, Dir { pid: n.pid, fd: int(a[0]) }, (b"", AtFlags::EMPTY_PATH), a[1])),
            "fchmodat" => Ok(self.chmod(n, Dir { pid: n.pid, fd: int(a[0]) }, (&path(a[1])?, AtFlags::empty()), a[2])),
            "fchmodat2" => Ok(self.chmod(n, Dir { pid: n.pid, fd: int(a[0]) }, (&path(a[1])?, at_flags(a[3])), a[2])),
            "mknod" => self.device(n, Dir::current(n.pid), &path(a[0])?, low(a[1]), a[2]),
            "mknodat" => self.device(n, Dir { pid: n.pid, fd: int(a[0]) }, &path(a[1])?, low(a[2]), a[3]),
            // The first one comes from a process whose memory may not be read: it is still a copy of the monitor.
            "execve" => Ok(self.execute(n, Dir::current(n.pid), &path(a[0]).unwrap_or_default(), AtFlags::empty())),
            "execveat" => Ok(self.execute(n, Dir { pid: n.pid, fd: int(a[0]) }, &path(a[1]).unwrap_or_default(), at_flags(a[4]))),
            "stat" | "stat64" => Ok(self.stat(n, call, Dir::current(n.pid), &path(a[0])?, AtFlags::empty(), a[1])),
            "lstat" | "lstat64" => Ok(self.stat(n, call, Dir::current(n.pid), &path(a[0])?, AtFlags::SYMLINK_NOFOLLOW, a[1])),
            "fstat" | "fstat64" => Ok(self.stat(n, call, Dir { pid: n.pid, fd: int(a[0]) }, b"", AtFlags::EMPTY_PATH, a[1])),
            "newfstatat" | "fstatat64" => {
                // A null pointer is an empty path since Linux 6.11.
                let text = if a[1] == 0 { Vec::new() } else { path(a[1])? };
                Ok(self.stat(n, call, Dir { pid: n.pid, fd: int(a[0]) }, &text, at_flags(a[3]), a[2]))
            }
            "statx" => {
                let text = if a[1] == 0 { Vec::new() } else { path(a[1])? };
                Ok(self.statx(n, Dir { pid: n.pid, fd: int(a[0]) }, &text, (at_flags(a[2]), low(a[3])), a[4]))
            }
            "open" => self.open(n, Dir::current(n.pid), a[0], int(a[1])),
            "creat" => self.open(n, Dir::current(n.pid), a[0], libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC),
            "openat" => self.open(n, Dir { pid: n.pid, fd: int(a[0]) }, a[1], int(a[2])),
            "openat2" => {
                let mut flags = [0_u8; 8];
                match notify::read_memory(n.pid, a[2], &mut flags) {
                    Ok(8) => self.open(n, Dir { pid: n.pid, fd: int(a[0]) }, a[1], int(u64::from_ne_bytes(flags))),
                    _ => Ok(Answer::Continue),
                }
            }
            "mkdir" => self.make(n, Dir::current(n.pid), a[0]),
            "mkdirat" => self.make(n, Dir { pid: n.pid, fd: int(a[0]) }, a[1]),
            "symlink" => self.make(n, Dir::current(n.pid), a[1]),
            "symlinkat" => self.make(n, Dir { pid: n.pid, fd: int(a[1]) }, a[2]),
            "getsockopt" => Ok(self.peer(n).unwrap_or(Answer::Continue)),
            "prctl" => {
                let mut identity = self.identity(n.pid);
                identity.keep = a[1] != 0;
                let _ = self.set_identity(n.pid, &identity);
                Ok(Answer::Continue)
            }
            name => self.ids(call, name, n),
        }
    }

    fn valid(&self, n: &Notification) -> Result<(), Errno> {
        if notify::is_valid(self.listener.as_fd(), n.id) { Ok(()) } else { Err(Errno::SRCH) }
    }

    // Ids of processes.

    fn identity(&self, pid: i32) -> Identity {
        let number = notify::locks_limit(pid).unwrap_or(u64::MAX);
        self.table.get(number).unwrap_or(&self.hello.identity).clone()
    }

    fn set_identity(&mut self, pid: i32, identity: &Identity) -> Result<(), Errno> {
        let number = self.table.number(identity).ok_or(Errno::AGAIN)?;
        notify::set_locks_limit(pid, number)
    }

    fn ids(&mut self, call: Call, name: &str, n: &Notification) -> Result<Answer, Errno> {
        let before = self.identity(n.pid);
        let id = |index: usize| call.id(n.args[index]);
        let mut after = before.clone();
        let value = match name {
            "getuid" => return Ok(call.told(before.user.real)),
            "geteuid" => return Ok(call.told(before.user.effective)),
            "getgid" => return Ok(call.told(before.group.real)),
            "getegid" => return Ok(call.told(before.group.effective)),
            "getresuid" | "getresgid" => {
                let four = if name == "getresuid" { before.user } else { before.group };
                for (address, id) in n.args.into_iter().zip([four.real, four.effective, four.saved]) {
                    notify::write_memory(n.pid, address, &call.bytes(&[id]))?;
                }
                return Ok(Answer::Value(0));
            }
            "getgroups" => {
                let (room, count) = (usize::try_from(int(n.args[0])).map_err(|_| Errno::INVAL)?, before.groups.len());
                if room > 0 {
                    if room < count {
                        return Err(Errno::INVAL);
                    }
                    notify::write_memory(n.pid, n.args[1], &call.bytes(&before.groups))?;
                }
                return Ok(Answer::Value(i64::try_from(count).unwrap_or(0)));
            }
            "setgroups" => after.set_groups(self.read_groups(call, n)?)?,
            "setuid" => after.change_user(&Change::One(id(0)))?,
            "setgid" => after.change_group(&Change::One(id(0)))?,
            "setreuid" => after.change_user(&Change::RealEffective(id(0), id(1)))?,
            "setregid" => after.change_group(&Change::RealEffective(id(0), id(1)))?,
            "setresuid" => after.change_user(&Change::All(id(0), id(1), id(2)))?,
            "setresgid" => after.change_group(&Change::All(id(0), id(1), id(2)))?,
            "setfsuid" => after.change_user(&Change::Files(id(0)))?,
            "setfsgid" => after.change_group(&Change::Files(id(0)))?,
            _ => return Ok(Answer::Continue),
        };
        if after != before {
            self.set_identity(n.pid, &after)?;
        }
        Ok(Answer::Value(value))
    }

    fn read_groups(&self, call: Call, n: &Notification) -> Result<Vec<u32>, Errno> {
        let count = usize::try_from(int(n.args[0])).map_err(|_| Errno::INVAL)?;
        if count > MAX_GROUPS {
            return Err(Errno::INVAL);
        }
        let width = if call.short { 2 } else { 4 };
        let mut bytes = vec![0; count * width];
        if count > 0 && notify::read_memory(n.pid, n.args[1], &mut bytes)? != bytes.len() {
            return Err(Errno::FAULT);
        }
        Ok(bytes
            .chunks_exact(width)
            .map(|chunk| match *chunk {
                [a, b] => u16::from_ne_bytes([a, b]).into(),
                [a, b, c, d] => u32::from_ne_bytes([a, b, c, d]),
                _ => 0,
            })
            .collect())
    }

    /// Who is at the other end of a socket: the ids that process believes to have.
    fn peer(&self, n: &Notification) -> Result<Answer, Errno> {
        let mut room = [0_u8; 4];
        notify::read_memory(n.pid, n.args[4], &mut room)?;
        if u32::from_ne_bytes(room) < 12 {
            return Ok(Answer::Continue);
        }
        let peer = notify::peer_of(n.pid, int(n.args[0]))?;
        self.valid(n)?;
        let identity = self.identity(peer);
        // In the caller's pid namespace, where pids differ from ours.
        let mut credentials = [0_u8; 12];
        let before = notify::pid_inside(peer).ok_or(Errno::SRCH)?;
        credentials[..4].copy_from_slice(&before.to_ne_bytes());
        credentials[4..8].copy_from_slice(&identity.user.effective.to_ne_bytes());
        credentials[8..].copy_from_slice(&identity.group.effective.to_ne_bytes());
        notify::write_memory(n.pid, n.args[3], &credentials)?;
        notify::write_memory(n.pid, n.args[4], &12_u32.to_ne_bytes())?;
        Ok(Answer::Value(0))
    }

    /// A file with a recorded set-id bit makes its process somebody else, as far as this table goes.
    fn execute(&mut self, n: &Notification, dir: Dir, path: &[u8], flags: AtFlags) -> Answer {
        if !self.hello.full {
            if notify::locks_limit(n.pid).is_ok_and(|number| self.table.get(number).is_some()) {
                let _ = notify::set_locks_limit(n.pid, u64::MAX);
            }
            return Answer::Continue;
        }
        let look = || -> Result<Owner, Errno> {
            let file = open(n.pid, dir, path, flags)?;
            let stat = rustix::fs::fstat(&file)?;
            self.valid(n)?;
            Ok(self.owner(&file, &stat))
        };
        let set_id = look().ok().filter(|owner| FileType::from_raw_mode(owner.mode) == FileType::RegularFile && owner.mode & 0o6000 != 0);
        let mut identity = self.identity(n.pid);
        if set_id.is_none() && identity.keep {
            identity.keep = false;
            let _ = self.set_identity(n.pid, &identity);
        }
        if let Some(owner) = set_id {
            let group = owner.mode & 0o2010 == 0o2010;
            identity.execute((owner.mode & 0o4000 != 0).then_some(owner.uid), group.then_some(owner.gid));
            let _ = self.set_identity(n.pid, &identity);
        }
        Answer::Continue
    }

    // Owners of files.

    /// What an open file counts as to the container.
    fn owner(&self, file: &OwnedFd, stat: &Stat) -> Owner {
        // Where nothing is recorded: the user's own, whatever number that has in the container.
        owner::find(file, stat).unwrap_or_else(|| self.unrecorded(Owner::of(stat)))
    }

    fn unrecorded(&self, owner: Owner) -> Owner {
        let uid = if owner.uid == 0 { self.hello.uid } else { owner.uid };
        let gid = if owner.gid == 0 { self.hello.gid } else { owner.gid };
        Owner { uid, gid, ..owner }
    }

    fn chown_path(&self, n: &Notification, call: Call, dir: Dir, path: &[u8], follow: bool, ids: (u64, u64)) -> Result<Answer, Errno> {
        let file = match resolve(dir, path, follow) {
            Ok(file) => file,
            // Through /proc/self and the like, where a file of the process itself would be meant.
            Err(Errno::LOOP) => return Ok(Answer::Value(0)),
            Err(Errno::NOENT) if path.starts_with(b"/proc/") || path.starts_with(b"/dev/") => return Ok(Answer::Value(0)),
            Err(errno) => return Err(errno),
        };
        let stat = rustix::fs::fstat(&file)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile | FileType::Directory => {
                self.valid(n)?;
                self.record(n, (&file, &stat), call, ids)
            }
            _ => {
                // A link cannot be followed here, so the name is the link's own.
                let (parent, name) = resolve_parent(dir, path)?;
                self.valid(n)?;
                let before = owner::effective_at(&parent, &name, &stat);
                let (uid, gid) = call.owners(ids);
                self.may_chown(n, &before, (uid, gid))?;
                take_up(&parent, &name, &stat);
                recorded(owner::record_at(&parent, &name, uid.unwrap_or(before.uid), gid.unwrap_or(before.gid)))
            }
        }
    }

    fn chown_fd(&self, n: &Notification, call: Call, fd: i32, ids: (u64, u64)) -> Result<Answer, Errno> {
        let file = of_fd(n.pid, fd)?;
        let stat = rustix::fs::fstat(&file)?;
        let plain = matches!(FileType::from_raw_mode(stat.st_mode), FileType::RegularFile | FileType::Directory);
        self.valid(n)?;
        // A stream the container was given may be a file of the host.
        if plain && is_mounted_for(n.pid, &file) { self.record(n, (&file, &stat), call, ids) } else { Ok(Answer::Value(0)) }
    }

    /// Who believes not to be root is believed.
    fn may_chown(&self, n: &Notification, before: &Owner, (uid, gid): (Option<u32>, Option<u32>)) -> Result<(), Errno> {
        let identity = self.identity(n.pid);
        let mine = identity.user.files == before.uid && uid.is_none_or(|uid| uid == before.uid);
        let ours = gid.is_none_or(|gid| gid == identity.group.files || gid == before.gid || identity.groups.contains(&gid));
        if !self.hello.full || self.hello.uid != 0 || identity.user.files == 0 || mine && ours { Ok(()) } else { Err(Errno::PERM) }
    }

    fn record(&self, n: &Notification, (file, stat): (&OwnedFd, &Stat), call: Call, ids: (u64, u64)) -> Result<Answer, Errno> {
        let before = self.owner(file, stat);
        let (uid, gid) = call.owners(ids);
        self.may_chown(n, &before, (uid, gid))?;
        let mut mode = before.mode;
        if FileType::from_raw_mode(mode) == FileType::RegularFile {
            // As chown(2) does.
            mode = without_set_id(mode);
            let real = without_set_id(stat.st_mode);
            if real != stat.st_mode {
                use std::os::fd::AsRawFd as _;
                let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                let _ = rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(real & 0o7777));
            }
        }
        let after = Owner { uid: uid.unwrap_or(before.uid), gid: gid.unwrap_or(before.gid), mode, ..before };
        // What it counts as without a record needs none.
        if after == before { Ok(Answer::Value(0)) } else { recorded(owner::record(file, after)) }
    }

    /// The kernel changes the mode of what is on disk; where another is recorded this one is from now on.
    fn chmod(&self, n: &Notification, dir: Dir, (path, flags): (&[u8], AtFlags), mode: u64) -> Answer {
        let follow = || -> Result<(), Errno> {
            let file = match fd_in_proc(path) {
                Some(fd) => of_fd(n.pid, fd)?,
                None => open(n.pid, dir, path, flags)?,
            };
            let stat = rustix::fs::fstat(&file)?;
            let Some(before) = owner::find(&file, &stat) else { return Ok(()) };
            let after = Owner { mode: before.mode & !0o7777 | low(mode) & 0o7777, ..before };
            if after == before {
                return Ok(());
            }
            self.valid(n)?;
            owner::record(&file, after)
        };
        // What is wrong with it the kernel tells best itself.
        follow().ok();
        Answer::Continue
    }

    /// An empty file that counts as a device.
    fn device(&self, n: &Notification, dir: Dir, path: &[u8], mode: u32, device: u64) -> Result<Answer, Errno> {
        let (parent, name) = resolve_parent(dir, path)?;
        let mask = umask(n.pid);
        let identity = self.identity(n.pid);
        self.valid(n)?;
        let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CREATE | rustix::fs::OFlags::EXCL | rustix::fs::OFlags::CLOEXEC;
        let file = rustix::fs::openat(&parent, &name, flags | rustix::fs::OFlags::NOFOLLOW, rustix::fs::Mode::from_raw_mode(0o600))?;
        let owner = Owner {
            uid: identity.user.files,
            gid: identity.group.files,
            mode: mode & 0o170_000 | mode & 0o7777 & !mask,
            // The kernel takes 32 bits and the C library's encoding is the same there.
            rdev: device & 0xffff_ffff,
        };
        recorded(owner::record(&file, owner))
    }

    /// A file is about to be made, or to be written to, by a process that then loses it its set-id bits, as write(2) does:
    /// who is root keeps them. The kernel has none on disk to clear. Here and not at each write(2), which would cost too much.
    fn open(&mut self, n: &Notification, dir: Dir, path: u64, flags: i32) -> Result<Answer, Errno> {
        if flags & libc::O_ACCMODE != libc::O_RDONLY && self.identity(n.pid).user.files != 0 {
            let clear = || -> Result<(), Errno> {
                let file = open(n.pid, dir, &read_path(n.pid, path)?, AtFlags::empty())?;
                let stat = rustix::fs::fstat(&file)?;
                let Some(before) = owner::find(&file, &stat) else { return Ok(()) };
                let after = Owner { mode: without_set_id(before.mode), ..before };
                if FileType::from_raw_mode(before.mode) != FileType::RegularFile || after == before {
                    return Ok(());
                }
                self.valid(n)?;
                owner::record(&file, after)
            };
            // What is wrong with it the kernel tells best itself.
            clear().ok();
        }
        if flags & libc::O_CREAT == 0 { Ok(Answer::Continue) } else { self.make(n, dir, path) }
    }

    /// Something is about to be made, by a process that believes to be somebody else, or where another group is passed on.
    fn make(&mut self, n: &Notification, dir: Dir, path: u64) -> Result<Answer, Errno> {
        let identity = self.identity(n.pid);
        let ids = (identity.user.files, identity.group.files);
        let is_usual = ids == (self.hello.uid, self.hello.gid);
        let begin = || -> Result<Option<(OwnedFd, Vec<u8>)>, Errno> {
            let (parent, name) = resolve_parent(dir, &read_path(n.pid, path)?)?;
            if is_usual && inherited_group(&parent).is_none_or(|group| group == ids.1) {
                return Ok(None);
            }
            self.valid(n)?;
            // What is there already keeps its owner.
            Ok(matches!(owner::stat_at(&parent, &name), Err(Errno::NOENT)).then_some((parent, name)))
        };
        // What is wrong with it the kernel tells best itself.
        if let Ok(Some((parent, name))) = begin() {
            self.made.begin(n.pid, parent, name, ids);
        }
        Ok(Answer::Continue)
    }

    fn stat(&self, n: &Notification, call: Call, dir: Dir, path: &[u8], flags: AtFlags, buffer: u64) -> Answer {
        let look = || -> Result<Option<Vec<u8>>, Errno> {
            let file = open(n.pid, dir, path, flags)?;
            let stat = rustix::fs::fstat(&file)?;
            let Some(owner) = self.differing(&file, &stat, dir, path) else { return Ok(None) };
            self.valid(n)?;
            Ok(Some(layout::stat(call.arch, &stat, &owner)))
        };
        // Everything else, errors too, the kernel tells best itself.
        match look() {
            Ok(Some(bytes)) if notify::write_memory(n.pid, buffer, &bytes).is_ok() => Answer::Value(0),
            _ => Answer::Continue,
        }
    }

    fn statx(&self, n: &Notification, dir: Dir, path: &[u8], (flags, mask): (AtFlags, u32), buffer: u64) -> Answer {
        let look = || -> Result<Option<Vec<u8>>, Errno> {
            let file = open(n.pid, dir, path, flags)?;
            let stat = rustix::fs::fstat(&file)?;
            let Some(owner) = self.differing(&file, &stat, dir, path) else { return Ok(None) };
            let sync = flags & (AtFlags::STATX_FORCE_SYNC | AtFlags::STATX_DONT_SYNC);
            let x = rustix::fs::statx(&file, "", sync | AtFlags::EMPTY_PATH, StatxFlags::from_bits_retain(mask))?;
            self.valid(n)?;
            Ok(Some(layout::statx(&x, &owner)))
        };
        match look() {
            Ok(Some(bytes)) if notify::write_memory(n.pid, buffer, &bytes).is_ok() => Answer::Value(0),
            _ => Answer::Continue,
        }
    }

    /// The owner the container is to see, if it is not what the kernel shows it.
    fn differing(&self, file: &OwnedFd, stat: &Stat, dir: Dir, path: &[u8]) -> Option<Owner> {
        let kernel = self.unrecorded(Owner::of(stat));
        let owner = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile | FileType::Directory => self.owner(file, stat),
            FileType::Symlink if !path.is_empty() => {
                let (parent, name) = resolve_parent(dir, path).ok()?;
                self.unrecorded(owner::effective_at(&parent, &name, stat))
            }
            _ => return None,
        };
        (owner != kernel).then_some(owner)
    }
}

/// Full or partial failure to record: only what the program could not know of is kept from it.
fn recorded(result: Result<(), Errno>) -> Result<Answer, Errno> {
    match result {
        Err(errno @ (Errno::ROFS | Errno::NOSPC | Errno::DQUOT | Errno::IO)) => Err(errno),
        _ => Ok(Answer::Value(0)),
    }
}

/// The descriptor of its own that a process names by a path, as C libraries do where fchmodat2(2) is missing.
fn fd_in_proc(path: &[u8]) -> Option<i32> {
    let number = [&b"/proc/self/fd/"[..], b"/proc/thread-self/fd/", b"/dev/fd/"].into_iter().find_map(|start| path.strip_prefix(start))?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

/// Opens what an *at call speaks of.
fn open(pid: i32, dir: Dir, path: &[u8], flags: AtFlags) -> Result<OwnedFd, Errno> {
    if path.is_empty() && flags.contains(AtFlags::EMPTY_PATH) {
        return if dir.fd == libc::AT_FDCWD { resolve(dir, b".", true) } else { of_fd(pid, dir.fd) };
    }
    resolve(dir, path, !flags.contains(AtFlags::SYMLINK_NOFOLLOW))
}

/// Whether the file lies on a mount the process can see.
fn is_mounted_for(pid: i32, file: &OwnedFd) -> bool {
    let Ok(x) = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID) else { return false };
    let Ok(mounts) = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")) else { return false };
    let id = x.stx_mnt_id.to_string();
    mounts.lines().any(|line| line.split(' ').next() == Some(&id))
}

fn umask(pid: i32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let text = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    text.and_then(|text| u32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0o022)
}

#[expect(clippy::cast_possible_truncation, reason = "the kernel looks at 32 bits too")]
const fn low(argument: u64) -> u32 {
    argument as u32
}

/// A file's mode after it was written to or given away; set-group-id without group execution means something else.
fn without_set_id(mode: u32) -> u32 {
    mode & if mode & 0o10 == 0 { !0o4000 } else { !0o6000 }
}

const fn int(argument: u64) -> i32 {
    low(argument).cast_signed()
}

const fn at_flags(argument: u64) -> AtFlags {
    AtFlags::from_bits_retain(low(argument))
}

impl Call {
    /// An id argument; all ones is "no change" in any width.
    fn id(self, argument: u64) -> u32 {
        let id = low(argument);
        if !self.short {
            return id;
        }
        if id & 0xffff == 0xffff { SAME } else { id & 0xffff }
    }

    fn owners(self, (uid, gid): (u64, u64)) -> (Option<u32>, Option<u32>) {
        let some = |argument| Some(self.id(argument)).filter(|&id| id != SAME);
        (some(uid), some(gid))
    }

    fn told(self, id: u32) -> Answer {
        Answer::Value(if self.short { short(id).into() } else { id.into() })
    }

    fn bytes(self, ids: &[u32]) -> Vec<u8> {
        if self.short {
            ids.iter().flat_map(|&id| short(id).to_ne_bytes()).collect()
        } else {
            ids.iter().flat_map(|id| id.to_ne_bytes()).collect()
        }
    }
}

/// What calls of 16 bits tell of ids that do not fit.
fn short(id: u32) -> u16 {
    u16::try_from(id).unwrap_or(65534)
}

/// All calls the filter may hand over, by ABI and number.
fn numbers() -> HashMap<(u32, u32), Call> {
    let native = Arch::native();
    let names = fakes::CHOWN
        .into_iter()
        .chain(["mknod", "mknodat", "open", "openat", "openat2", "prctl", "getsockopt"])
        .chain(fakes::CHMOD)
        .chain(fakes::SET_IDS)
        .chain(fakes::GET_IDS)
        .chain(fakes::STAT)
        .chain(fakes::EXEC)
        .chain(fakes::MAKE);
    let mut calls = HashMap::new();
    for name in names {
        for arch in Arch::ALL.into_iter().filter(|arch| native.is_some_and(|native| arch.runs_on(native))) {
            if let Some(number) = arch.number(name) {
                calls.insert((arch.audit(), number), Call { arch, short: fakes::is_short(arch, name), name });
            }
        }
    }
    calls
}

/// Makes a link part of the layer that is written, as changing its owner would: its record alone is the directory's.
fn take_up(parent: &OwnedFd, name: &[u8], stat: &Stat) {
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanoseconds).unwrap_or(0) };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec),
    };
    // Without it the image says root owns the link, no more.
    rustix::fs::utimensat(parent, name, &times, AtFlags::SYMLINK_NOFOLLOW).ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_sixteen_bits() {
        let call = |short| Call { arch: Arch::X86, short, name: "setuid" };
        assert_eq!((call(true).id(0xffff), call(true).id(0x1_0005), call(false).id(0xffff)), (SAME, 5, 0xffff));
        assert_eq!(call(true).bytes(&[1, 100_000]), [1_u16.to_ne_bytes(), 65534_u16.to_ne_bytes()].concat());
        assert_eq!(call(false).owners((u64::from(u32::MAX), 7)), (None, Some(7)));
    }
}
