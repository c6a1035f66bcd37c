//! Id maps: extents as in /proc/PID/uid_map (user_namespaces(7)).

use serde::{Deserialize, Serialize};

/// `count` ids from `inside` in the namespace are those from `outside` in its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// First id in the namespace.
    pub inside: u32,
    /// First id in the parent namespace.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// The two maps of a user namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    /// User ids.
    pub uids: Vec<Extent>,
    /// Group ids.
    pub gids: Vec<Extent>,
}

impl IdMap {
    /// A child namespace with the same ids: one extent per extent, since each must lie within one of the parent's.
    pub fn identity(&self) -> Self {
        let same = |extents: &[Extent]| {
            extents.iter().map(|extent| Extent { outside: extent.inside, ..*extent }).collect::<Vec<_>>()
        };
        Self { uids: same(&self.uids), gids: same(&self.gids) }
    }

    /// The first id of each kind alone.
    pub fn first(&self) -> Self {
        let first = |extents: &[Extent]| extents.first().map(|extent| Extent { count: 1, ..*extent }).into_iter().collect();
        Self { uids: first(&self.uids), gids: first(&self.gids) }
    }

    /// The ids a process takes to set the namespace up: root's, or the first there are.
    pub fn lead(&self) -> (u32, u32) {
        let lead = |extents: &[Extent]| {
            let root = extents.iter().any(|extent| extent.inside == 0);
            extents.first().filter(|_| !root).map_or(0, |extent| extent.inside)
        };
        (lead(&self.uids), lead(&self.gids))
    }

    /// The ids of the parent namespace that are these here.
    pub fn outside(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        let find = |extents: &[Extent], id: u32| {
            let holds = extents.iter().find(|extent| id.checked_sub(extent.inside).is_some_and(|nth| nth < extent.count))?;
            holds.outside.checked_add(id - holds.inside)
        };
        Some((find(&self.uids, uid)?, find(&self.gids, gid)?))
    }

    /// The ids here that are these of the parent namespace.
    pub fn inside(&self, uid: u32, gid: u32) -> Option<(u32, u32)> {
        let turned = |extents: &[Extent]| {
            extents.iter().map(|extent| Extent { inside: extent.outside, outside: extent.inside, ..*extent }).collect()
        };
        Self { uids: turned(&self.uids), gids: turned(&self.gids) }.outside(uid, gid)
    }

    /// Only one id each: no subordinate ids.
    pub fn is_single(&self) -> bool {
        let total = |extents: &[Extent]| extents.iter().map(|extent| u64::from(extent.count)).sum::<u64>();
        total(&self.uids) <= 1 || total(&self.gids) <= 1
    }

    /// Whether this process lives where only one id is mapped.
    pub fn is_single_here() -> bool {
        Self::of_process("self").is_none_or(|map| map.is_single())
    }

    /// The map of a process, as /proc tells it.
    pub fn of_process(pid: &str) -> Option<Self> {
        let read = |file: &str| parse(&std::fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?);
        Some(Self { uids: read("uid_map")?, gids: read("gid_map")? })
    }
}

/// The text of a map file.
pub(crate) fn text(extents: &[Extent]) -> String {
    extents.iter().map(|extent| format!("{} {} {}\n", extent.inside, extent.outside, extent.count)).collect()
}

fn parse(text: &str) -> Option<Vec<Extent>> {
    text.lines()
        .map(|line| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
            let mut next = || numbers.next()?.ok();
            Some(Extent { inside: next()?, outside: next()?, count: next()? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_keeps_the_extents_of_the_parent() {
        let map = IdMap {
            uids: vec![Extent { inside: 0, outside: 1000, count: 1 }, Extent { inside: 1, outside: 100_000, count: 65536 }],
            gids: vec![Extent { inside: 0, outside: 1000, count: 1 }],
        };
        assert_eq!(text(&map.identity().uids), "0 0 1\n1 1 65536\n");
        assert!(map.is_single(), "a single group makes setgroups impossible");
    }

    #[test]
    fn ids_of_one_side_are_those_of_the_other() {
        let extents = vec![Extent { inside: 0, outside: 1, count: 10 }, Extent { inside: 1000, outside: 0, count: 1 }];
        let map = IdMap { uids: extents.clone(), gids: extents };
        assert_eq!((map.outside(9, 1000), map.outside(10, 0), map.outside(1001, 0)), (Some((10, 0)), None, None));
        assert_eq!((map.inside(0, 10), map.inside(11, 0)), (Some((1000, 9)), None));
    }

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(
            parse("         0       1000          1\n         1     100000      65536\n").map(|map| map.len()),
            Some(2)
        );
        assert_eq!(parse("0 x 1\n"), None);
    }
}
