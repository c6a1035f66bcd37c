//! Subordinate id ranges: subuid(5), subgid(5), by user name and by number, and `getsubids` where NSS provides them.

use std::fs;

use super::{Extent, IdMap};

/// The ranges of one user, in file order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SubIds {
    /// (first, count) of user ids.
    pub uids: Vec<(u32, u32)>,
    /// (first, count) of group ids.
    pub gids: Vec<(u32, u32)>,
}

impl SubIds {
    /// The map of the user's namespace: 0 is the user, 1… the ranges one after the other.
    pub fn map(&self, uid: u32, gid: u32) -> IdMap {
        IdMap { uids: extents(uid, &self.uids), gids: extents(gid, &self.gids) }
    }
}

fn extents(own: u32, ranges: &[(u32, u32)]) -> Vec<Extent> {
    let mut map = vec![Extent { inside: 0, outside: own, count: 1 }];
    let mut inside = 1_u32;
    // The kernel takes 340 extents; newuidmap passes them on.
    for &(outside, count) in ranges.iter().take(339) {
        let Some(next) = inside.checked_add(count) else { break };
        map.push(Extent { inside, outside, count });
        inside = next;
    }
    map
}

/// The ranges of the user with this id; empty when there are none.
pub fn ranges(uid: u32) -> SubIds {
    let name = user_name(uid);
    let read = |path: &str| parse(&fs::read_to_string(path).unwrap_or_default(), name.as_deref(), uid);
    let mut found = SubIds { uids: read("/etc/subuid"), gids: read("/etc/subgid") };
    if found.uids.is_empty() && found.gids.is_empty() && nss_provides_subids() {
        let name = name.unwrap_or_else(|| uid.to_string());
        found = SubIds { uids: getsubids(&name, false), gids: getsubids(&name, true) };
    }
    let (uids, gids) = (mapped("/proc/self/uid_map"), mapped("/proc/self/gid_map"));
    found = SubIds { uids: clip(&found.uids, &uids), gids: clip(&found.gids, &gids) };
    if uid == 0 && (found.uids.is_empty() || found.gids.is_empty()) {
        found = SubIds { uids: for_root(&uids), gids: for_root(&gids) };
    }
    found
}

/// What root takes without an entry; it needs nobody's leave. On a host a range far above those adduser(8) hands out:
/// the one systemd reserves for containers begins at 524288 and ends at 1879048191. In a container what there is.
fn for_root(mapped: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let host = clip(&[(1_878_982_656, 65536)], mapped);
    if host.is_empty() { clip(&[(1, u32::MAX - 1)], mapped) } else { host }
}

/// The ids this process's own user namespace has, (first, count); all of them on a host.
fn mapped(path: &str) -> Vec<(u32, u32)> {
    let extent = |line: &str| {
        let mut fields = line.split_whitespace();
        Some((fields.next()?.parse().ok()?, fields.nth(1)?.parse().ok()?))
    };
    match fs::read_to_string(path) {
        Ok(text) => text.lines().filter_map(extent).collect(),
        // A kernel without user namespaces, which is told elsewhere.
        Err(_) => vec![(0, u32::MAX)],
    }
}

/// The parts of `ranges` that lie in `mapped`: the kernel refuses a map with an id its parent does not have.
fn clip(ranges: &[(u32, u32)], mapped: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let part = |&(first, count): &(u32, u32), &(from, size): &(u32, u32)| {
        let start = first.max(from);
        let end = first.saturating_add(count).min(from.saturating_add(size));
        (start < end).then(|| (start, end - start))
    };
    ranges.iter().flat_map(|range| mapped.iter().filter_map(|extent| part(range, extent))).collect()
}

fn parse(text: &str, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let number = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().splitn(3, ':');
            let owner = fields.next()?;
            let first = fields.next()?.parse().ok()?;
            let count = fields.next()?.trim().parse().ok()?;
            ((Some(owner) == name || owner == number) && count > 0).then_some((first, count))
        })
        .collect()
}

/// The name of a user id in /etc/passwd. NSS is out of reach of a static binary; `USER` helps out for others, when
/// it is this process's own id, and newuidmap has the last word anyway.
pub fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == number).then(|| name.to_owned())
        })
        .or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
}

/// nsswitch.conf(5) has a `subid:` line with a source other than the files.
fn nss_provides_subids() -> bool {
    fs::read_to_string("/etc/nsswitch.conf").is_ok_and(|text| {
        text.lines().any(|line| {
            line.trim().strip_prefix("subid:").is_some_and(|sources| sources.split_whitespace().any(|name| name != "files"))
        })
    })
}

/// Asks getsubids(1): lines `0: NAME FIRST COUNT`.
fn getsubids(name: &str, groups: bool) -> Vec<(u32, u32)> {
    let mut command = std::process::Command::new("getsubids");
    if groups {
        command.arg("-g");
    }
    let Ok(output) = command.arg(name).output() else { return Vec::new() };
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_whitespace().skip(2);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_clipped_to_the_own_namespace() {
        let host = [(0, u32::MAX)];
        assert_eq!(clip(&[(100_000, 65536)], &host), [(100_000, 65536)]);
        let container = [(0, 1), (1, 65535)];
        assert!(clip(&[(100_000, 65536)], &container).is_empty());
        assert_eq!(clip(&[(60_000, 65536)], &container), [(60_000, 5536)]);
        assert_eq!(for_root(&container), [(1, 65535)]);
        assert_eq!(for_root(&host), [(1_878_982_656, 65536)]);
    }

    #[test]
    fn ranges_count_by_name_and_by_number() {
        let text = "ann:100000:65536\n1000:200000:10\nbob:300000:5\nann:x:1\n\n";
        assert_eq!(parse(text, Some("ann"), 1000), [(100_000, 65536), (200_000, 10)]);
        assert_eq!(parse(text, None, 7), []);
    }

    #[test]
    fn the_map_starts_with_the_user() {
        let map = SubIds { uids: vec![(100_000, 10), (500_000, 5)], gids: vec![] }.map(1000, 100);
        assert_eq!(map.uids[2], Extent { inside: 11, outside: 500_000, count: 5 });
        assert_eq!(map.gids, [Extent { inside: 0, outside: 100, count: 1 }]);
    }
}
