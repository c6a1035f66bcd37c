//! What a container's first process lets its parent do while it mounts: work on files of the user, who may have no id in
//! the container, so that nobody there can change them. The parent is root of the user's namespace and has all ids.
//!
//! Each errand is a packet on the report socket and carries a socket of its own: answers do not meet the words that the
//! parent sends when it pleases.

use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::init::word;
use super::plan::{Mount, Plan, What};
use super::report::{Failure, Step, at};
use crate::sys::chown::chown_tree;
use crate::sys::{process, root, socket};
use crate::userns::IdMap;
use crate::volume::{Filling, Found, copy_from_image};

/// One. The child names nothing of the host: places in the plan, which the parent has.
#[derive(Debug, Serialize, Deserialize)]
enum Errand {
    /// Give a directory to copy what the image has into, for `plan.fill[index]`; the child then says what that was.
    Fill { index: usize },
    /// Give the source of `plan.mounts[index]`, which is one of `plan.chown`, to a user of the container.
    Chown { index: usize, uid: u32, gid: u32 },
}

/// What of a plan errands are about.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// The directories of the volumes to fill.
    fill: Vec<PathBuf>,
    /// Of each mount whose source is made a user's: the source, and the path inside it.
    chown: Vec<Option<(PathBuf, Option<PathBuf>)>>,
}

impl Errands {
    /// Those there can be.
    pub(super) fn of(plan: &Plan) -> Self {
        let chown = |mount: &Mount| match &mount.what {
            What::Bind { source, .. } if plan.chown.contains(&mount.target) => {
                let part = plan.beneath.iter().find(|(target, _)| *target == mount.target).map(|(_, path)| path.into());
                Some((source.into(), part))
            }
            _ => None,
        };
        Self { fill: plan.fill.iter().map(|fill| fill.volume.clone().into()).collect(), chown: plan.mounts.iter().map(chown).collect() }
    }
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
pub(super) fn fill(report: BorrowedFd<'_>, plan: &Plan, index: usize, rootfs: BorrowedFd<'_>) -> Result<(), Failure> {
    let Some(fill) = plan.fill.get(index) else { return Ok(()) };
    let parent = run(report, &Errand::Fill { index })?;
    let Some(aside) = hear(parent.as_fd())? else { return Ok(()) };
    let target = fill.copy.then(|| Path::new(&fill.target));
    let found = copy_from_image(aside.as_fd(), rootfs, target, None).map_err(|error| {
        let detail = format!("fill volume {} from the image: {} {}: {}", fill.volume, error.action, error.path.display(), error.source);
        Failure { detail, ..at(Step::Fill)(Errno::from_io_error(&error.source).unwrap_or(Errno::IO)) }
    })?;
    say(parent.as_fd(), &found, None)?;
    hear(parent.as_fd()).map(drop)
}

/// Makes a user of the container own the source of a mount. In the child.
pub(super) fn chown(report: BorrowedFd<'_>, index: usize, (uid, gid): (u32, u32)) -> Result<(), Failure> {
    let parent = run(report, &Errand::Chown { index, uid, gid })?;
    hear(parent.as_fd()).map(drop)
}

fn run(report: BorrowedFd<'_>, errand: &Errand) -> Result<OwnedFd, Failure> {
    let (ours, theirs) = socket::pair().map_err(at(Step::Fill))?;
    let mut packet = vec![word::ERRAND];
    serde_json::to_writer(&mut packet, errand).map_err(|_| at(Step::Fill)(Errno::INVAL))?;
    socket::send(report, &[IoSlice::new(&packet)], &[theirs.as_fd()], true).map_err(at(Step::Fill))?;
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
pub(super) fn serve(errands: &Errands, pid: i32, packet: &[u8], mut fds: Vec<OwnedFd>) {
    let Some(child) = fds.pop() else { return };
    // Without an answer the child gives up.
    let Ok(errand) = serde_json::from_slice(packet) else { return };
    let map = IdMap::of_process(&pid.to_string()).unwrap_or_default();
    let done = match errand {
        Errand::Fill { index } => match errands.fill.get(index) {
            Some(volume) => serve_fill(volume, &map, child.as_fd()),
            None => Err(at(Step::Fill)(Errno::INVAL)),
        },
        Errand::Chown { index, uid, gid } => match errands.chown.get(index) {
            Some(Some((source, part))) => serve_chown(&map, (uid, gid), source, part.as_deref()),
            _ => Err(at(Step::Chown)(Errno::INVAL)),
        },
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

fn serve_chown(map: &IdMap, (uid, gid): (u32, u32), source: &Path, part: Option<&Path>) -> Result<(), Failure> {
    let give = || {
        let (uid, gid) = map.outside(uid, gid).ok_or(Errno::INVAL)?;
        let source = rustix::fs::open(source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        match part {
            None => chown_tree(source.as_fd(), uid, gid),
            // What is there is some container's work.
            Some(part) => chown_tree(root::open_no_links(source.as_fd(), part, OFlags::PATH)?.as_fd(), uid, gid),
        }
    };
    give().map_err(|errno: Errno| Failure { detail: format!("{uid}:{gid}"), ..Failure::new(Step::Chown, errno) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a parent with this plan answers to a packet.
    fn answer(plan: &Plan, packet: &str) -> Answer {
        let (child, theirs) = socket::pair().expect("a socket");
        serve(&Errands::of(plan), 1, packet.as_bytes(), vec![theirs]);
        let mut buffer = vec![0; PACKET];
        let size = socket::receive(child.as_fd(), &mut buffer, &mut Vec::new(), true).expect("an answer");
        serde_json::from_slice(&buffer[..size]).expect("an answer")
    }

    /// A child that somebody has taken over asks for what is not in the plan.
    #[test]
    fn nothing_but_the_plans_own_is_touched() {
        let mount = |target: &str| Mount {
            target: target.to_owned(),
            strict: false,
            what: What::Bind { source: "/".to_owned(), recursive: true, optional: false },
            set: 0,
            clear: 0,
            propagation: 0,
        };
        let plan = Plan { mounts: vec![mount("/given"), mount("/other")], chown: vec!["/given".to_owned()], ..Plan::default() };
        for packet in [
            r#"{"Fill":{"index":0}}"#,
            r#"{"Chown":{"index":1,"uid":0,"gid":0}}"#,
            r#"{"Chown":{"index":2,"uid":0,"gid":0}}"#,
        ] {
            let Answer::Failed(failure) = answer(&plan, packet) else { panic!("{packet} was done") };
            assert_eq!(failure.errno(), Errno::INVAL, "{packet}");
            assert!(failure.detail.is_empty(), "{packet}: refused before anything was looked at");
        }
        let (child, theirs) = socket::pair().expect("a socket");
        serve(&Errands::of(&plan), 1, br#"{"Fill":{"volume":"/etc"}}"#, vec![theirs]);
        let mut word = [0; 8];
        assert_eq!(socket::receive(child.as_fd(), &mut word, &mut Vec::new(), true), Ok(0), "a path is no errand");
    }
}
