//! What a container's first process lets its parent do while it mounts: work on files of the user, who may have no id in
//! the container, so that nobody there can change them. The parent is root of the user's namespace and has all ids.
//!
//! Each errand is a packet on the report socket and carries a socket of its own: answers do not meet the words that the
//! parent sends when it pleases.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::init::word;
use super::plan::Fill;
use super::report::{Failure, Step, at};
use crate::sys::chown::chown_tree;
use crate::sys::{process, socket};
use crate::userns::IdMap;
use crate::volume::{Filling, Found, copy_from_image};

/// One.
#[derive(Debug, Serialize, Deserialize)]
enum Errand {
    /// Give a directory to copy what the image has into; the child then says what that was.
    Fill {
        /// The volume's directory.
        volume: PathBuf,
    },
    /// Give the tree whose descriptor comes along to a user of the container.
    Chown { uid: u32, gid: u32 },
}

/// What the parent says; of [`Errand::Fill`] twice.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Done,
    /// A directory comes along.
    Copy,
    Failed(Failure),
}

/// The longest packet.
const PACKET: usize = 16 << 10;

/// Fills a volume from the image mounted at `rootfs`, if it is new and empty. In the child.
pub(super) fn fill(report: BorrowedFd<'_>, fill: &Fill, rootfs: BorrowedFd<'_>) -> Result<(), Failure> {
    let parent = run(report, &Errand::Fill { volume: fill.volume.clone().into() }, None)?;
    let Some(aside) = hear(parent.as_fd())? else { return Ok(()) };
    let target = fill.copy.then(|| Path::new(&fill.target));
    let found = copy_from_image(aside.as_fd(), rootfs, target, None).map_err(|error| {
        let detail = format!("fill volume {} from the image: {} {}: {}", fill.volume, error.action, error.path.display(), error.source);
        Failure { detail, ..at(Step::Fill)(Errno::IO) }
    })?;
    say(parent.as_fd(), &found, None)?;
    hear(parent.as_fd()).map(drop)
}

/// Makes a user of the container own a tree of the host. In the child.
pub(super) fn chown(report: BorrowedFd<'_>, tree: BorrowedFd<'_>, (uid, gid): (u32, u32)) -> Result<(), Failure> {
    let parent = run(report, &Errand::Chown { uid, gid }, Some(tree))?;
    hear(parent.as_fd()).map(drop)
}

fn run(report: BorrowedFd<'_>, errand: &Errand, with: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Failure> {
    let (ours, theirs) = socket::pair().map_err(at(Step::Fill))?;
    let mut packet = vec![word::ERRAND];
    serde_json::to_writer(&mut packet, errand).map_err(|_| at(Step::Fill)(Errno::INVAL))?;
    let fds: Vec<_> = with.into_iter().chain([theirs.as_fd()]).collect();
    socket::send(report, &[IoSlice::new(&packet)], &fds, true).map_err(at(Step::Fill))?;
    Ok(ours)
}

/// The parent's answer; one that is gone ends this process.
fn hear(parent: BorrowedFd<'_>) -> Result<Option<OwnedFd>, Failure> {
    let mut buffer = vec![0; PACKET];
    let mut fds = Vec::new();
    let size = socket::receive(parent, &mut buffer, &mut fds, true).map_err(at(Step::Fill))?;
    if size == 0 {
        process::exit_now(1);
    }
    match serde_json::from_slice(&buffer[..size]).map_err(|_| at(Step::Fill)(Errno::PROTO))? {
        Answer::Done => Ok(None),
        Answer::Copy => Ok(fds.pop()),
        Answer::Failed(failure) => Err(failure),
    }
}

fn say<T: Serialize>(to: BorrowedFd<'_>, what: &T, with: Option<BorrowedFd<'_>>) -> Result<(), Failure> {
    let text = serde_json::to_vec(what).map_err(|_| at(Step::Fill)(Errno::INVAL))?;
    let fds: Vec<_> = with.into_iter().collect();
    socket::send(to, &[IoSlice::new(&text)], &fds, true).map_err(at(Step::Fill))
}

/// Does what the process `pid` asked in `packet` and answers it. In the parent.
pub(super) fn serve(pid: i32, packet: &[u8], mut fds: Vec<OwnedFd>) {
    let Some(child) = fds.pop() else { return };
    // Without an answer the child gives up.
    let Ok(errand) = serde_json::from_slice(packet) else { return };
    let map = IdMap::of_process(&pid.to_string()).unwrap_or_default();
    let done = match errand {
        Errand::Fill { volume } => serve_fill(&volume, &map, child.as_fd()),
        Errand::Chown { uid, gid } => serve_chown(&map, (uid, gid), fds.pop()),
    };
    drop(say(child.as_fd(), &done.map_or_else(Answer::Failed, |()| Answer::Done), None));
}

fn serve_fill(volume: &Path, map: &IdMap, child: BorrowedFd<'_>) -> Result<(), Failure> {
    let failed = |error: crate::volume::VolumeError| Failure { detail: error.to_string(), ..at(Step::Fill)(Errno::IO) };
    let Some(filling) = Filling::begin(volume).map_err(failed)? else { return Ok(()) };
    say(child, &Answer::Copy, Some(filling.aside()))?;
    let mut buffer = vec![0; PACKET];
    let size = socket::receive(child, &mut buffer, &mut Vec::new(), true).map_err(at(Step::Fill))?;
    // Nothing, if it failed or was killed: the next start begins anew.
    let Ok(found) = serde_json::from_slice::<Found>(&buffer[..size]) else { return Ok(()) };
    filling.settle(found, |uid, gid| map.inside(uid, gid).is_some()).map_err(failed)
}

fn serve_chown(map: &IdMap, (uid, gid): (u32, u32), tree: Option<OwnedFd>) -> Result<(), Failure> {
    let give = || {
        let (uid, gid) = map.outside(uid, gid).ok_or(Errno::INVAL)?;
        chown_tree(tree.ok_or(Errno::BADF)?.as_fd(), uid, gid)
    };
    give().map_err(|errno: Errno| Failure { detail: format!("{uid}:{gid}"), ..Failure::new(Step::Chown, errno) })
}
