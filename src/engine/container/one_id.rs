//! Single-id mode: which id of a container is the user's, and what is done about all the others.

use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use crate::engine::{Engine, Error};
use crate::runtime::fakes::OneId;
use crate::runtime::plan::seccomp::fakes::{Extent as Fakes, filter};
use crate::runtime::plan::users;
use crate::spec::security::FakeIds;
use crate::state::record::ContainerRecord;
use crate::sys::seccomp;
use crate::userns::owner::{self, Owner};
use crate::userns::{Extent, IdMap};

use super::accounts::Files;

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
    let files = Files::read(engine, record, layers);
    users::resolve(&files.passwd, &files.group, user, &[]).map_or((0, 0), |found| (found.uid, found.gid))
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
