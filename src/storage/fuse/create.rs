//! Making files, directories and links in the upper layer.

use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RenameFlags, Stat, XattrFlags};
use rustix::io::{Errno, Result};

use super::attr::is_suid;
use super::copyup::link_target;
use super::ids::{self, Override};
use super::node::{Fd, Key, Node, Real, Reals, State, UPPER, write};
use super::overlay::{Overlay, exists, open_dir};
use super::target::Target;
use super::whiteout;

const S_ISGID: u32 = 0o2000;

/// Who makes a file, as the mount shows ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) umask: u32,
}

/// What is to be made.
struct Wanted {
    /// Permissions, umask applied.
    mode: u32,
    uid: u32,
    /// `None`: the group of the directory, which the file system gives by itself.
    gid: Option<u32>,
    kind: FileType,
    rdev: u64,
}

impl Overlay {
    fn wanted(&self, parent: &Arc<Node>, dir: &Fd, mode: u32, rdev: u64, caller: Caller) -> Result<Wanted> {
        let none = Errno::OVERFLOW;
        let mode = if self.has_default_acl(parent) { mode } else { mode & !caller.umask };
        let uid = self.ids.stored_uid(caller.uid).ok_or(none)?;
        let gid = self.ids.stored_gid(caller.gid).ok_or(none)?;
        // The parent's group matters only to those who are not us.
        let inherits = (uid, gid) != self.me && fs::fstat(dir)?.st_mode & S_ISGID != 0;
        Ok(Wanted {
            mode: mode & 0o7777,
            uid,
            gid: (!inherits).then_some(gid),
            kind: FileType::from_raw_mode(mode),
            rdev,
        })
    }

    /// Gives a new file to who made it.
    fn hand_over(&self, target: &Target<'_>, wanted: &Wanted) -> Result<()> {
        if self.has_overrides(UPPER) {
            let stat = target.stat()?;
            let kept = Override {
                uid: wanted.uid,
                gid: wanted.gid.unwrap_or(stat.st_gid),
                mode: stat.st_mode & 0o7777 | wanted.mode | wanted.kind.as_raw_mode(),
                rdev: wanted.rdev,
            };
            return match target.setxattr(OsStr::new(ids::OVERRIDE), kept.text().as_bytes(), XattrFlags::empty()) {
                Err(Errno::PERM) if wanted.kind == FileType::Symlink => Ok(()),
                done => done,
            };
        }
        if (wanted.uid, wanted.gid.unwrap_or(self.me.1)) != self.me {
            target.chown(Some(wanted.uid), wanted.gid)?;
            if wanted.mode & 0o6000 != 0 && wanted.kind != FileType::Symlink {
                target.chmod(wanted.mode)?;
            }
        }
        Ok(())
    }

    /// Makes something that is no directory as `name`, in place of a whiteout if there is one.
    fn place<T>(
        &self,
        parent: &Arc<Node>,
        dir: &Fd,
        name: &OsStr,
        make: impl Fn(&Fd, &OsStr) -> Result<T>,
    ) -> Result<T> {
        if whiteout::is_reserved(name) {
            return Err(Errno::INVAL);
        }
        let made = match make(dir, name) {
            Err(Errno::EXIST) if exists(dir, name)?.is_some_and(|s| whiteout::is_device(&s)) => {
                if self.has_default_acl(parent) || fs::fstat(dir)?.st_mode & S_ISGID != 0 {
                    // Only what is made in the directory itself inherits from it.
                    fs::unlinkat(dir, name, AtFlags::empty())?;
                    make(dir, name)?
                } else {
                    let work = self.work()?;
                    let temporary = work.temporary();
                    let made = make(work.dir(), OsStr::new(&temporary))?;
                    if let Err(e) = fs::renameat(work.dir(), &temporary, dir, name) {
                        let _ = fs::unlinkat(work.dir(), &temporary, AtFlags::empty());
                        return Err(e);
                    }
                    made
                }
            }
            made => made?,
        };
        if self.upper_is_dotted(parent, dir) {
            whiteout::remove_dotted(dir, name);
        }
        Self::changed(parent);
        Ok(made)
    }

    fn upper_is_dotted(&self, parent: &Arc<Node>, dir: &Fd) -> bool {
        let reals = parent.reals();
        reals.len() > 1 && reals.first().is_some_and(|real| self.dotted(real, dir))
    }

    /// The node of something just made in the upper layer.
    fn made(&self, parent: &Arc<Node>, name: &OsStr, stat: &Stat, state: State) -> (Arc<Node>, bool) {
        let key = Key { layer: UPPER, dev: stat.st_dev, ino: stat.st_ino };
        let links = vec![super::node::Link { parent: parent.clone(), name: name.to_owned() }];
        let kind = FileType::from_raw_mode(stat.st_mode);
        self.table.intern(key, self.number(UPPER, stat.st_ino), kind, State { links, layer: UPPER, ..state })
    }

    /// Makes a file, device, pipe or socket.
    pub(super) fn mknod(
        &self,
        parent: &Arc<Node>,
        name: &OsStr,
        mode: u32,
        rdev: u32,
        caller: Caller,
    ) -> Result<(Arc<Node>, Stat)> {
        let dir = self.upper_dir(parent)?;
        let wanted = self.wanted(parent, &dir, mode, u64::from(rdev), caller)?;
        if wanted.kind == FileType::RegularFile {
            return self.make_file(parent, name, &dir, &wanted);
        }
        if wanted.kind == FileType::CharacterDevice && rdev == 0 {
            return Err(Errno::PERM);
        }
        let pretend = self.has_overrides(UPPER);
        self.place(parent, &dir, name, |dir, name| {
            if pretend {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
                drop(fs::openat(dir, name, flags, Mode::from_raw_mode(0o600))?);
            } else {
                fs::mknodat(dir, name, wanted.kind, Mode::from_raw_mode(wanted.mode), wanted.rdev)?;
            }
            self.hand_over(&Target::At(dir.clone(), name), &wanted)
        })?;
        let stat = self.stat(&Target::At(dir, name), UPPER)?;
        let (node, _) = self.made(parent, name, &stat, State::default());
        Ok((node, stat))
    }

    fn make_file(&self, parent: &Arc<Node>, name: &OsStr, dir: &Fd, wanted: &Wanted) -> Result<(Arc<Node>, Stat)> {
        let fd = self.place(parent, dir, name, |dir, name| {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let fd = Arc::new(fs::openat(dir, name, flags, Mode::from_raw_mode(wanted.mode))?);
            self.hand_over(&Target::Open(fd.clone()), wanted)?;
            Ok(fd)
        })?;
        let stat = self.stat(&Target::Open(fd.clone()), UPPER)?;
        let no_suid = !is_suid(stat.st_mode);
        let state = State { io: Some(fd), no_capability: true, no_suid, ..State::default() };
        let (node, new) = self.made(parent, name, &stat, state);
        if new {
            self.count_file(&node);
        }
        Ok((node, stat))
    }

    /// Makes a symbolic link.
    pub(super) fn symlink(
        &self,
        parent: &Arc<Node>,
        name: &OsStr,
        contents: &OsStr,
        caller: Caller,
    ) -> Result<(Arc<Node>, Stat)> {
        let dir = self.upper_dir(parent)?;
        let mode = FileType::Symlink.as_raw_mode() | 0o777;
        let wanted = self.wanted(parent, &dir, mode, 0, Caller { umask: 0, ..caller })?;
        self.place(parent, &dir, name, |dir, name| {
            fs::symlinkat(contents, dir, name)?;
            self.hand_over(&Target::At(dir.clone(), name), &wanted)
        })?;
        let stat = self.stat(&Target::At(dir, name), UPPER)?;
        let (node, _) = self.made(parent, name, &stat, State::default());
        Ok((node, stat))
    }

    /// Gives a file one more name.
    pub(super) fn link(&self, node: &Arc<Node>, parent: &Arc<Node>, name: &OsStr) -> Result<Stat> {
        if node.is_dir() {
            return Err(Errno::PERM);
        }
        let dir = self.upper_dir(parent)?;
        self.copy_up(node, None)?;
        self.place(parent, &dir, name, |dir, name| self.with(node, |target, _| link_target(target, dir, name)))?;
        Node::add_link(&mut write(&node.state), parent, name);
        let stat = self.getattr(node)?;
        super::node::Table::remember(node);
        Ok(stat)
    }

    /// Makes a directory.
    pub(super) fn mkdir(
        &self,
        parent: &Arc<Node>,
        name: &OsStr,
        mode: u32,
        caller: Caller,
    ) -> Result<(Arc<Node>, Stat)> {
        if whiteout::is_reserved(name) {
            return Err(Errno::INVAL);
        }
        let dir = self.upper_dir(parent)?;
        let mode = mode & 0o7777 | FileType::Directory.as_raw_mode();
        let wanted = self.wanted(parent, &dir, mode, 0, caller)?;
        let dotted = self.upper_is_dotted(parent, &dir) && whiteout::is_dotted(&dir, name);
        let direct = if dotted { Err(Errno::EXIST) } else { fs::mkdirat(&dir, name, Mode::from_raw_mode(wanted.mode)) };
        let fd = match direct {
            Ok(()) => {
                let fd = open_dir(&dir, name)?;
                self.hand_over(&Target::Open(fd.clone()), &wanted)?;
                fd
            }
            Err(Errno::EXIST) => self.mkdir_over_whiteout(&dir, name, &wanted, dotted)?,
            Err(e) => return Err(e),
        };
        Self::changed(parent);
        let stat = self.stat(&Target::Open(fd.clone()), UPPER)?;
        let real = Arc::new(Real::new(UPPER, None));
        real.dotted.store(1, Ordering::Relaxed);
        let (node, _) = self.made(parent, name, &stat, State { reals: Reals::new(vec![real.clone()]), ..State::default() });
        self.keep_dir(&real, &fd);
        Ok((node, stat))
    }

    /// Makes an opaque directory out of sight and puts it in the place of a whiteout.
    fn mkdir_over_whiteout(&self, dir: &Fd, name: &OsStr, wanted: &Wanted, dotted: bool) -> Result<Fd> {
        let device = exists(dir, name)?;
        if device.as_ref().is_some_and(|s| !whiteout::is_device(s)) {
            return Err(Errno::EXIST);
        }
        let work = self.work()?;
        let temporary = work.temporary();
        let above = fs::fstat(dir)?;
        let inherits = above.st_mode & S_ISGID != 0;
        let wanted = Wanted {
            mode: wanted.mode | if inherits { S_ISGID } else { 0 },
            gid: if inherits { Some(above.st_gid) } else { wanted.gid },
            ..*wanted
        };
        fs::mkdirat(work.dir(), &temporary, Mode::from_raw_mode(wanted.mode))?;
        let made = (|| {
            let fd = open_dir(work.dir(), OsStr::new(&temporary))?;
            whiteout::set_opaque(&fd)?;
            inherit_acl(dir, &fd)?;
            self.hand_over(&Target::Open(fd.clone()), &wanted)?;
            if device.is_some() {
                fs::renameat_with(work.dir(), &temporary, dir, name, RenameFlags::EXCHANGE)?;
                let _ = fs::unlinkat(work.dir(), &temporary, AtFlags::empty());
            } else {
                fs::renameat(work.dir(), &temporary, dir, name)?;
            }
            if dotted {
                whiteout::remove_dotted(dir, name);
            }
            Ok(fd)
        })();
        if made.is_err() {
            work.discard(&temporary);
        }
        made
    }
}

/// Gives a directory made elsewhere the default ACL of the one it will be in.
fn inherit_acl(from: &Fd, to: &Fd) -> Result<()> {
    const DEFAULT: &str = "system.posix_acl_default";
    let from = Target::Open(from.clone());
    match from.getxattr(OsStr::new(DEFAULT)) {
        Ok(acl) => fs::fsetxattr(to.as_fd(), DEFAULT, &acl, XattrFlags::empty()),
        Err(_) => Ok(()),
    }
}
