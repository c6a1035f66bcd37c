//! Answers of other servers, kept as long as they say, within fixed bounds.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::wire::Reply;

/// Answers kept at once.
const MAX_ENTRIES: usize = 2048;
/// Bytes of answers kept at once.
const MAX_BYTES: usize = 1024 * 1024;
/// Larger answers are not kept.
const MAX_ANSWER: usize = 4096;
/// Nothing is kept for longer: an error of a server mends itself.
const MAX_LIFETIME: u32 = 300;

/// What makes two questions the same for other servers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Wire form, lower case.
    pub(super) name: Box<[u8]>,
    pub(super) kind: u16,
    pub(super) class: u16,
    /// The flags that change the answer.
    pub(super) flags: u16,
    /// EDNS, and whether signatures are wanted.
    pub(super) edns: Option<bool>,
    /// The servers to ask; the host's when empty.
    pub(super) servers: Vec<IpAddr>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) message: Box<[u8]>,
    pub(super) reply: Reply,
    since: Instant,
    until: Instant,
}

impl Entry {
    /// Whole seconds since it came.
    pub(super) fn age(&self, now: Instant) -> u32 {
        u32::try_from(now.duration_since(self.since).as_secs()).unwrap_or(u32::MAX)
    }
}

#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Key, Entry>,
    bytes: usize,
}

impl Cache {
    pub(super) fn get(&mut self, key: &Key, now: Instant) -> Option<&Entry> {
        if self.entries.get(key)?.until <= now {
            self.remove(key);
        }
        self.entries.get(key)
    }

    /// Keeps an answer, if it may be kept at all.
    pub(super) fn put(&mut self, key: Key, message: &[u8], reply: &Reply, now: Instant) {
        let Some(keep) = reply.keep.filter(|_| message.len() <= MAX_ANSWER) else { return };
        self.remove(&key);
        if self.entries.len() >= MAX_ENTRIES || self.bytes + message.len() > MAX_BYTES {
            self.make_room(now);
        }
        self.bytes += message.len();
        let until = now + Duration::from_secs(keep.min(MAX_LIFETIME).into());
        self.entries.insert(key, Entry { message: message.into(), reply: reply.clone(), since: now, until });
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.bytes -= entry.message.len();
        }
    }

    /// Drops what is over, and some eighth of the rest: any, since a flood of names has no favourites.
    fn make_room(&mut self, now: Instant) {
        let mut count = 0_usize;
        self.entries.retain(|_, entry| {
            count += 1;
            entry.until > now && !count.is_multiple_of(8)
        });
        self.bytes = self.entries.values().map(|entry| entry.message.len()).sum();
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::resolver::wire::kind;

    fn key(name: &str) -> Key {
        Key { name: name.as_bytes().into(), kind: kind::A, class: 1, flags: 0, edns: None, servers: Vec::new() }
    }

    fn reply(keep: Option<u32>) -> Reply {
        let name = crate::network::resolver::Name::ROOT;
        Reply { id: 0, flags: 0, name, kind: 1, class: 1, end: 12, lifetimes: Vec::new(), keep, edns_at: None }
    }

    #[test]
    fn answers_age_and_end() {
        let mut cache = Cache::default();
        let now = Instant::now();
        cache.put(key("a"), b"answer", &reply(Some(10)), now);
        cache.put(key("b"), b"never", &reply(None), now);
        assert_eq!(cache.get(&key("a"), now + Duration::from_secs(4)).unwrap().age(now + Duration::from_secs(4)), 4);
        assert!(cache.get(&key("b"), now).is_none());
        assert!(cache.get(&Key { edns: Some(true), ..key("a") }, now).is_none());
        assert!(cache.get(&key("a"), now + Duration::from_secs(10)).is_none());
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn a_flood_stays_within_bounds() {
        let mut cache = Cache::default();
        let now = Instant::now();
        for n in 0..20_000 {
            cache.put(key(&n.to_string()), &[0; 1000], &reply(Some(60)), now);
            assert!(cache.entries.len() <= MAX_ENTRIES && cache.bytes <= MAX_BYTES);
        }
        assert!(cache.get(&key("19999"), now).is_some());
        cache.put(key("huge"), &[0; MAX_ANSWER + 1], &reply(Some(60)), now);
        assert!(cache.get(&key("huge"), now).is_none());
        cache.clear();
        assert_eq!(cache.bytes, 0);
    }
}
