//! What kelp's own overlay is told of the mounts it serves for a container. Pure.

use std::fmt::Write as _;

use super::{Plan, Root, What};
use crate::userns::Extent;

impl Plan {
    /// The options of each mount that kelp's own overlay serves, in the order in which the container's first process asks.
    pub fn served(&self) -> Vec<String> {
        let mounts = self.mounts.iter().filter_map(|mount| match &mount.what {
            What::Layered(layered) if layered.fuse => {
                let writes = layered.writes.as_ref().map(|(upper, work)| (upper.as_str(), work.as_str()));
                let words = words(&layered.lower, writes, layered.volatile);
                Some(if layered.host_ids { self.shown(words) } else { self.of_one_id(words) })
            }
            _ => None,
        });
        let root = match &self.root {
            Root::Fuse { lower, upper, work, volatile, .. } => {
                Some(self.of_one_id(words(lower, Some((upper, work)), *volatile)))
            }
            Root::Overlay { .. } | Root::Dir { .. } => None,
        };
        mounts.chain(root).collect()
    }

    /// Where there is one id everything belongs to it; who it counts as belonging to is the supervisor's affair.
    fn of_one_id(&self, words: String) -> String {
        match &self.process.one_id {
            Some(one) => words + &one_id(one.uid, one.gid),
            None => words,
        }
    }

    /// Owners are who they are on the host.
    fn shown(&self, mut words: String) -> String {
        if self.process.one_id.is_some() {
            return self.of_one_id(words);
        }
        for (word, extents) in [("uidmapping", &self.map.uids), ("gidmapping", &self.map.gids)] {
            let triple = |extent: &Extent| format!("{}:{}:{}", extent.outside, extent.inside, extent.count);
            let _ = write!(words, ",{word}={}", extents.iter().map(triple).collect::<Vec<_>>().join(":"));
        }
        words
    }
}

/// Everything belongs to the one id there is, which is called this; records are left to who reads them.
pub fn one_id(uid: u32, gid: u32) -> String {
    format!(",xattr_permissions=0,squash_to_uid={uid},squash_to_gid={gid},uidmapping=0:{uid}:1,gidmapping=0:{gid}:1")
}

/// The directories, topmost first, and where changes go; without syncing when `volatile`.
pub fn words(lower: &[String], writes: Option<(&str, &str)>, volatile: bool) -> String {
    let escaped = |path: &str| path.replace('\\', "\\\\").replace(':', "\\:").replace(',', "\\,");
    let mut words = format!("lowerdir={}", lower.iter().map(|path| escaped(path)).collect::<Vec<_>>().join(":"));
    if let Some((upper, work)) = writes {
        let _ = write!(words, ",upperdir={},workdir={}", escaped(upper), escaped(work));
    }
    if volatile {
        words.push_str(",volatile");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::super::{Layered, Mount};
    use super::*;
    use crate::userns::IdMap;

    #[test]
    fn in_the_order_of_the_mounts_and_the_root_last() {
        let layered = |host_ids| Mount {
            target: "/m".to_owned(),
            strict: false,
            what: What::Layered(Layered { lower: vec!["/a:b".to_owned()], fuse: true, host_ids, ..Layered::default() }),
            set: 0,
            clear: 0,
            propagation: 0,
        };
        let ids = vec![Extent { inside: 1000, outside: 0, count: 1 }, Extent { inside: 0, outside: 1, count: 1000 }];
        let root = Root::Fuse {
            lower: vec!["/top".to_owned(), "/low".to_owned()],
            upper: "/up".to_owned(),
            work: "/work".to_owned(),
            target: String::new(),
            volatile: true,
        };
        let map = IdMap { uids: ids.clone(), gids: ids };
        let plan = Plan { map, root, mounts: vec![layered(true), layered(false)], ..Plan::default() };
        let mapped = "uidmapping=0:1000:1:1:0:1000,gidmapping=0:1000:1:1:0:1000";
        assert_eq!(
            plan.served(),
            [
                format!("lowerdir=/a\\:b,{mapped}"),
                "lowerdir=/a\\:b".to_owned(),
                "lowerdir=/top:/low,upperdir=/up,workdir=/work,volatile".to_owned(),
            ]
        );
    }
}
