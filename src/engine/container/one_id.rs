//! Single-id mode: which id of a container is the user's, and what is done about all the others.

use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::engine::{Engine, Error};
use crate::runtime::fakes::OneId;
use crate::runtime::plan::seccomp::fakes::{Extent as Fakes, filter};
use crate::runtime::plan::users;
use crate::spec::security::FakeIds;
use crate::state::record::ContainerRecord;
use crate::spec::container::ImageSource;
use crate::sys::{root, seccomp};
use crate::userns::owner::{self, Owner};
use crate::userns::{Extent, IdMap};

/// The map of a container in a user's namespace of one id: its user, whoever that is in the image, is the caller.
pub(super) fn map(engine: &Engine, record: &ContainerRecord, layers: &[PathBuf]) -> IdMap {
    let (uid, gid) = user_of(engine, record, layers);
    let one = |inside| vec![Extent { inside, outside: 0, count: 1 }];
    IdMap { uids: one(uid), gids: one(gid) }
}

/// Notes at the root of a container's own files that owners are recorded in them, for the day their user has more ids.
pub(super) fn mark(upper: &Path) {
    let Ok(dir) = rustix::fs::open(upper, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else { return };
    if let Ok(stat) = rustix::fs::fstat(&dir)
        && owner::find(&dir, &stat).is_none()
    {
        // Where there are no such attributes owners are not recorded either.
        owner::record(&dir, Owner { uid: 0, gid: 0, ..Owner::of(&stat) }).ok();
    }
}

/// Looks the user up in the files of the image. One that is not there is root here, and the error comes when the
/// container's own first process looks.
fn user_of(engine: &Engine, record: &ContainerRecord, layers: &[PathBuf]) -> (u32, u32) {
    let user = record.config.user.as_str();
    if user.is_empty() || user == "root" || user == "0" {
        return (0, 0);
    }
    let mut trees = vec![engine.paths.container(&record.id).join("upper")];
    match &record.spec.image {
        ImageSource::Rootfs { path, overlay: false } => trees = vec![path.clone()],
        ImageSource::Rootfs { path, overlay: true } => trees.push(path.clone()),
        ImageSource::Image(_) => trees.extend(layers.iter().rev().cloned()),
    }
    let read = |name: &str| trees.iter().find_map(|tree| read_in(tree, name)).unwrap_or_default();
    users::resolve(&read("etc/passwd"), &read("etc/group"), user, &[]).map_or((0, 0), |found| (found.uid, found.gid))
}

/// The file as this layer has it; an empty one where it removes the file.
fn read_in(tree: &Path, name: &str) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let tree = rustix::fs::open(tree, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let place = root::open(tree.as_fd(), Path::new(name), OFlags::PATH | OFlags::NOFOLLOW).ok()?;
    match rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&place).ok()?.st_mode) {
        rustix::fs::FileType::RegularFile => {
            let file = root::open(tree.as_fd(), Path::new(name), OFlags::RDONLY | OFlags::NOFOLLOW).ok()?;
            let mut bytes = Vec::new();
            std::fs::File::from(file).take(users::MAX_FILE).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        }
        rustix::fs::FileType::CharacterDevice => Some(Vec::new()),
        _ => None,
    }
}

/// What processes of a container with this map get; none where several ids are mapped.
///
/// # Errors
/// No table of system calls for this machine; [`FakeIds::Full`] asked for where it cannot be had.
pub(super) fn of(engine: &Engine, record: &ContainerRecord, user_map: &IdMap, map: &IdMap) -> Result<Option<OneId>, Error> {
    if !user_map.is_single() {
        return Ok(None);
    }
    let (uid, gid) = map.lead();
    let fakes = record.spec.security.fake_ids.or(engine.config.containers.fake_ids).unwrap_or_default();
    let notify = fakes_others(engine, record);
    if record.spec.security.fake_ids == Some(FakeIds::Full) && !notify {
        return Err(Error::Usage(format!("--fake-ids full: {CANNOT_NOTIFY}")));
    }
    let full = fakes == FakeIds::Full && notify;
    let filter = match fakes {
        FakeIds::None => Vec::new(),
        FakeIds::Basic | FakeIds::Full => {
            let filter = filter(Fakes { notify, full }).map_err(|error| Error::Usage(error.to_string()))?;
            filter.into_iter().map(u64::from).collect()
        }
    };
    Ok(Some(OneId { uid, gid, filter, notify, full }))
}

/// Whether programs of other users than the one who is mapped can be made to believe that they are.
pub(super) fn fakes_others(engine: &Engine, record: &ContainerRecord) -> bool {
    let fakes = record.spec.security.fake_ids.or(engine.config.containers.fake_ids).unwrap_or_default();
    fakes != FakeIds::None && can_notify()
}

/// Why not, where [`can_notify`] says no.
pub(crate) const CANNOT_NOTIFY: &str =
    "system calls cannot be told to kelp here (a kernel before 5.5, or a sandbox around that is told of them already)";

/// Whether the kernel hands system calls to a supervisor that may also let them go on (5.5), and to one of ours.
pub(crate) fn can_notify() -> bool {
    const USER_NOTIF: u32 = 0x7fc0_0000;
    seccomp::action_available(USER_NOTIF) && super::plan::kernel_version() >= (5, 5) && seccomp::can_listen()
}
