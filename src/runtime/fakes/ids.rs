//! The ids a process believes to have, and what set*id calls make of them (credentials(7), setresuid(2)…). Pure.
//!
//! A table numbers the identities that occur; the number is what the kernel carries from a process to its children (see
//! `calls`).

use std::collections::HashMap;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// More different identities than this no container has.
const MAX_IDENTITIES: usize = 1 << 16;

/// Real, effective, saved and file system id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Four {
    /// Real.
    pub real: u32,
    /// Effective.
    pub effective: u32,
    /// Saved.
    pub saved: u32,
    /// Of files made.
    pub files: u32,
}

impl Four {
    /// All four the same.
    pub const fn all(id: u32) -> Self {
        Self { real: id, effective: id, saved: id, files: id }
    }

    fn has(self, id: u32) -> bool {
        [self.real, self.effective, self.saved].contains(&id)
    }
}

/// Who a process believes to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// User.
    pub user: Four,
    /// Group.
    pub group: Four,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// It stays what root is when its user changes (PR_SET_KEEPCAPS), until it executes something.
    pub keep: bool,
}

/// No change, in the calls that take several ids.
pub(super) const SAME: u32 = u32::MAX;

/// A change of ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    One(u32),
    RealEffective(u32, u32),
    All(u32, u32, u32),
    Files(u32),
}

impl Identity {
    /// A process of this user, group and groups.
    pub fn new(uid: u32, gid: u32, groups: Vec<u32>) -> Self {
        Self { user: Four::all(uid), group: Four::all(gid), groups, keep: false }
    }

    /// Whether it may become anybody.
    fn is_root(&self) -> bool {
        self.user.effective == 0 || self.keep
    }

    pub(super) fn change_user(&mut self, change: &Change) -> Result<i64, Errno> {
        let root = self.is_root();
        apply(&mut self.user, root, change)
    }

    pub(super) fn change_group(&mut self, change: &Change) -> Result<i64, Errno> {
        let root = self.is_root();
        apply(&mut self.group, root, change)
    }

    pub(super) fn set_groups(&mut self, groups: Vec<u32>) -> Result<i64, Errno> {
        if !self.is_root() {
            return Err(Errno::PERM);
        }
        self.groups = groups;
        Ok(0)
    }

    /// Executes a file with set-id bits.
    pub(super) fn execute(&mut self, owner: Option<u32>, group: Option<u32>) {
        self.keep = false;
        if let Some(uid) = owner {
            self.user.effective = uid;
        }
        if let Some(gid) = group {
            self.group.effective = gid;
        }
        for four in [&mut self.user, &mut self.group] {
            four.saved = four.effective;
            four.files = four.effective;
        }
    }
}

fn apply(four: &mut Four, root: bool, change: &Change) -> Result<i64, Errno> {
    let before = *four;
    let may = |id: u32| id == SAME || root || before.has(id);
    match *change {
        Change::One(SAME) => return Err(Errno::INVAL),
        Change::One(id) if root => *four = Four::all(id),
        Change::One(id) if id == before.real || id == before.saved => (four.effective, four.files) = (id, id),
        Change::One(_) => return Err(Errno::PERM),
        Change::RealEffective(real, effective) => {
            let real_allowed = real == SAME || root || real == before.real || real == before.effective;
            if !real_allowed || !may(effective) {
                return Err(Errno::PERM);
            }
            if real != SAME {
                four.real = real;
            }
            if effective != SAME {
                four.effective = effective;
            }
            if real != SAME || effective != SAME && effective != before.real {
                four.saved = four.effective;
            }
            four.files = four.effective;
        }
        Change::All(real, effective, saved) => {
            if ![real, effective, saved].into_iter().all(may) {
                return Err(Errno::PERM);
            }
            for (id, slot) in [(real, &mut four.real), (effective, &mut four.effective), (saved, &mut four.saved)] {
                if id != SAME {
                    *slot = id;
                }
            }
            four.files = four.effective;
        }
        Change::Files(id) => {
            if id != SAME && (root || before.has(id) || before.files == id) {
                four.files = id;
            }
            return Ok(before.files.into());
        }
    }
    Ok(0)
}

/// The identities of a container, by number.
#[derive(Debug, Default)]
pub(super) struct Table {
    all: Vec<Identity>,
    numbers: HashMap<Identity, usize>,
}

impl Table {
    pub(super) fn get(&self, number: u64) -> Option<&Identity> {
        self.all.get(usize::try_from(number).ok()?)
    }

    /// The number of an identity. `None` when there are too many.
    pub(super) fn number(&mut self, identity: &Identity) -> Option<u64> {
        if let Some(&number) = self.numbers.get(identity) {
            return u64::try_from(number).ok();
        }
        if self.all.len() >= MAX_IDENTITIES {
            return None;
        }
        self.all.push(identity.clone());
        self.numbers.insert(identity.clone(), self.all.len() - 1);
        u64::try_from(self.all.len() - 1).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(identity: &Identity) -> (u32, u32, u32, u32) {
        let Four { real, effective, saved, files } = identity.user;
        (real, effective, saved, files)
    }

    #[test]
    fn root_becomes_anybody_and_cannot_go_back() {
        let mut id = Identity::new(0, 0, vec![0]);
        assert_eq!(id.set_groups(vec![5]), Ok(0));
        assert_eq!(id.change_group(&Change::One(70)), Ok(0));
        assert_eq!(id.change_user(&Change::One(70)), Ok(0));
        assert_eq!(user(&id), (70, 70, 70, 70));
        assert_eq!(id.change_user(&Change::One(0)), Err(Errno::PERM));
        assert_eq!(id.change_user(&Change::All(SAME, 0, SAME)), Err(Errno::PERM));
        assert_eq!(id.set_groups(vec![]), Err(Errno::PERM));
        assert_eq!(id.change_group(&Change::RealEffective(0, SAME)), Err(Errno::PERM));
    }

    #[test]
    fn effective_ids_come_back_by_the_saved_one() {
        let mut id = Identity::new(0, 0, vec![]);
        assert_eq!(id.change_user(&Change::All(SAME, 33, SAME)), Ok(0));
        assert_eq!(user(&id), (0, 33, 0, 33));
        assert_eq!(id.change_user(&Change::One(0)), Ok(0));
        assert_eq!(user(&id), (0, 0, 0, 0));
        assert_eq!(id.change_user(&Change::RealEffective(5, 6)), Ok(0));
        assert_eq!(user(&id), (5, 6, 6, 6));
        assert_eq!(id.change_user(&Change::One(SAME)), Err(Errno::INVAL));
    }

    #[test]
    fn file_system_ids_tell_the_old_one_and_never_fail() {
        let mut id = Identity::new(9, 9, vec![]);
        assert_eq!(id.change_user(&Change::Files(0)), Ok(9));
        assert_eq!(id.change_user(&Change::Files(9)), Ok(9));
        id.execute(Some(0), None);
        assert_eq!((id.user.real, id.user.effective, id.user.files), (9, 0, 0));
        assert_eq!(id.change_user(&Change::Files(7)), Ok(0));
        assert_eq!(id.user.files, 7);
    }

    #[test]
    fn one_number_per_identity() {
        let mut table = Table::default();
        let (a, b) = (Identity::new(1, 1, vec![]), Identity::new(2, 2, vec![2]));
        assert_eq!((table.number(&a), table.number(&b), table.number(&a)), (Some(0), Some(1), Some(0)));
        assert_eq!(table.get(1), Some(&b));
        assert_eq!((table.get(2), table.get(u64::MAX)), (None, None));
    }
}
