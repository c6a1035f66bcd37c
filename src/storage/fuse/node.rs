//! The nodes the kernel knows: [`Node`], its state, and the [`Table`] that finds nodes by number
//! and by the real file behind them.
//!
//! This file makes no system calls. Locking, outermost first: a node's `copyup`, a node's `state`
//! (a child before its parent), the table's `keys`, the table's `ids`.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustix::fs::FileType;

use super::listing::Listing;

/// A shared descriptor; closed when its last user is done.
pub(super) type Fd = Arc<OwnedFd>;

/// The number of the upper layer; lower layers count from 1, topmost first.
pub(super) const UPPER: u16 = 0;

/// The node number of the root, fixed by the protocol.
pub(super) const ROOT: u64 = 1;

/// Numbers given to nodes whose file's own number is taken.
const SPARE: u64 = 1 << 62;

const SHARDS: usize = 64;

/// Takes a lock whether or not a thread died holding it: every critical section leaves valid data.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a read lock; see [`lock`].
pub(super) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a write lock; see [`lock`].
pub(super) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// The real file behind a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) layer: u16,
    pub(super) dev: u64,
    pub(super) ino: u64,
}

/// One real directory that takes part in a merged one.
#[derive(Debug)]
pub(super) struct Real {
    pub(super) layer: u16,
    /// Opened when needed, closed when too many are open.
    pub(super) fd: RwLock<Option<Fd>>,
    /// Whether `.wh.` files are in it: 0 not looked, 1 no, 2 yes.
    pub(super) dotted: AtomicU8,
    /// Whiteouts may be empty files with an xattr (the directory's opaque mark is `x`).
    pub(super) xattr_whiteouts: bool,
}

impl Real {
    pub(super) fn new(layer: u16, fd: Option<Fd>) -> Self {
        Self { layer, fd: RwLock::new(fd), dotted: AtomicU8::new(0), xattr_whiteouts: false }
    }
}

/// The real directories of a merged one, topmost first.
pub(super) type Reals = Arc<Vec<Arc<Real>>>;

/// One name of a node.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) parent: Arc<Node>,
    pub(super) name: OsString,
}

/// What changes in a node's life.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The names it is known by; none: unlinked (or the root).
    pub(super) links: Vec<Link>,
    /// Where its contents are; for a directory the topmost of `reals`.
    pub(super) layer: u16,
    /// For directories.
    pub(super) reals: Reals,
    /// A regular file open for reading (and writing, in the upper layer).
    pub(super) io: Option<Fd>,
    /// Keeps an unlinked file: a real descriptor for files and directories, `O_PATH` for others.
    pub(super) anchor: Option<Fd>,
    /// The table's keys for this node.
    pub(super) keys: Vec<Key>,
    /// It is known to have no `security.capability`, which the kernel asks for before a write.
    pub(super) no_capability: bool,
    /// Its mode is known to have no set-user-id or set-group-id bit that a write would end.
    pub(super) no_suid: bool,
    /// For directories: whether a default ACL is set, when known.
    pub(super) default_acl: Option<bool>,
}

/// One file, directory, link or device the kernel holds a reference to.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) ino: u64,
    pub(super) kind: FileType,
    lookups: AtomicU64,
    children: AtomicU64,
    dead: AtomicBool,
    pub(super) state: RwLock<State>,
    /// Held by the one thread that copies this node up.
    pub(super) copyup: Mutex<()>,
    /// Counts the names that came to this directory or went from it.
    pub(super) changes: AtomicU64,
    /// The last listing made of this directory.
    pub(super) listing: Mutex<Option<Arc<Listing>>>,
}

impl Node {
    fn new(ino: u64, kind: FileType, state: State) -> Self {
        for link in &state.links {
            link.parent.children.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            ino,
            kind,
            lookups: AtomicU64::new(1),
            children: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            state: RwLock::new(state),
            copyup: Mutex::new(()),
            changes: AtomicU64::new(0),
            listing: Mutex::new(None),
        }
    }

    pub(super) fn is_dir(&self) -> bool {
        self.kind == FileType::Directory
    }

    pub(super) fn is_file(&self) -> bool {
        self.kind == FileType::RegularFile
    }

    /// Whether it was removed, while its real file stays in a lower layer.
    pub(super) fn is_gone(&self) -> bool {
        let state = read(&self.state);
        state.layer != UPPER && state.links.is_empty() && self.ino != ROOT
    }

    /// The real directories behind this one, topmost first.
    pub(super) fn reals(&self) -> Reals {
        read(&self.state).reals.clone()
    }

    /// Whether the kernel or a child still needs this node.
    fn idle(&self) -> bool {
        self.lookups.load(Ordering::Acquire) == 0 && self.children.load(Ordering::Acquire) == 0
    }

    /// Adds a name to `state`, which is this node's.
    pub(super) fn add_link(state: &mut State, parent: &Arc<Node>, name: &OsStr) {
        if !state.links.iter().any(|l| Arc::ptr_eq(&l.parent, parent) && l.name == name) {
            parent.children.fetch_add(1, Ordering::Relaxed);
            state.links.push(Link { parent: parent.clone(), name: name.to_owned() });
        }
    }

    /// Takes a name from `state`, which is this node's.
    pub(super) fn remove_link(state: &mut State, parent: &Arc<Node>, name: &OsStr) {
        let before = state.links.len();
        state.links.retain(|l| !(Arc::ptr_eq(&l.parent, parent) && l.name == name));
        parent.children.fetch_sub((before - state.links.len()) as u64, Ordering::Relaxed);
    }
}

/// All nodes, found by number or by the file behind them. No lock is shared by all nodes.
#[derive(Debug)]
pub(super) struct Table {
    ids: Vec<RwLock<HashMap<u64, Arc<Node>, Mixed>>>,
    keys: Vec<Mutex<HashMap<Key, Arc<Node>, Mixed>>>,
    spare: AtomicU64,
}

impl Table {
    pub(super) fn new(root: State) -> Self {
        let table = Self {
            ids: (0..SHARDS).map(|_| RwLock::default()).collect(),
            keys: (0..SHARDS).map(|_| Mutex::default()).collect(),
            spare: AtomicU64::new(SPARE),
        };
        let root = Arc::new(Node::new(ROOT, FileType::Directory, root));
        write(table.ids(ROOT)).insert(ROOT, root);
        table
    }

    fn ids(&self, ino: u64) -> &RwLock<HashMap<u64, Arc<Node>, Mixed>> {
        &self.ids[(mix(ino) >> 58) as usize % SHARDS]
    }

    fn keys(&self, key: &Key) -> &Mutex<HashMap<Key, Arc<Node>, Mixed>> {
        &self.keys[(mix(key.ino) >> 58) as usize % SHARDS]
    }

    /// The node the kernel calls `ino`.
    pub(super) fn get(&self, ino: u64) -> Option<Arc<Node>> {
        read(self.ids(ino)).get(&ino).cloned()
    }

    /// The node of a real file, if it has one.
    pub(super) fn find(&self, key: &Key) -> Option<Arc<Node>> {
        lock(self.keys(key)).get(key).filter(|n| !n.dead.load(Ordering::Acquire)).cloned()
    }

    /// The node of a real file, made of `state` if there is none yet; counts one lookup.
    /// `wanted` is its number if that is free.
    pub(super) fn intern(&self, key: Key, wanted: u64, kind: FileType, state: State) -> (Arc<Node>, bool) {
        let mut keys = lock(self.keys(&key));
        if let Some(node) = keys.get(&key)
            && node.kind == kind
            && !node.dead.load(Ordering::Acquire)
        {
            node.lookups.fetch_add(1, Ordering::AcqRel);
            return (node.clone(), false);
        }
        let mut state = Some(State { keys: vec![key], ..state });
        let mut ino = wanted;
        loop {
            if ino > ROOT {
                let mut ids = write(self.ids(ino));
                if let std::collections::hash_map::Entry::Vacant(slot) = ids.entry(ino) {
                    let node = Arc::new(Node::new(ino, kind, state.take().unwrap_or_default()));
                    slot.insert(node.clone());
                    drop(ids);
                    keys.insert(key, node.clone());
                    return (node, true);
                }
            }
            ino = self.spare.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lets `node` be found by `key` too. `state` is the node's own.
    pub(super) fn add_key(&self, node: &Arc<Node>, state: &mut State, key: Key) {
        state.keys.push(key);
        lock(self.keys(&key)).insert(key, node.clone());
    }

    /// Stops finding `node` by its files, whose numbers may soon be those of others.
    pub(super) fn remove_keys(&self, node: &Arc<Node>, state: &mut State) {
        for key in state.keys.drain(..) {
            let mut keys = lock(self.keys(&key));
            if keys.get(&key).is_some_and(|n| Arc::ptr_eq(n, node)) {
                keys.remove(&key);
            }
        }
    }

    /// The kernel dropped `count` references to `ino`.
    pub(super) fn forget(&self, ino: u64, count: u64) {
        if ino == ROOT {
            return;
        }
        let Some(node) = self.get(ino) else { return };
        let before = node.lookups.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| Some(n.saturating_sub(count)));
        if before.is_ok_and(|n| n <= count) {
            self.bury(node);
        }
    }

    /// Removes a node nobody needs, then its parents if they have become so.
    fn bury(&self, node: Arc<Node>) {
        let mut next = vec![node];
        while let Some(node) = next.pop() {
            if node.ino == ROOT || !node.idle() {
                continue;
            }
            let keys = read(&node.state).keys.clone();
            {
                // With the shard of its first key held no lookup can revive it.
                let mut first = keys.first().map(|key| lock(self.keys(key)));
                if !node.idle() || node.dead.swap(true, Ordering::AcqRel) {
                    continue;
                }
                if let (Some(shard), Some(key)) = (first.as_mut(), keys.first())
                    && shard.get(key).is_some_and(|n| Arc::ptr_eq(n, &node))
                {
                    shard.remove(key);
                }
                write(self.ids(node.ino)).remove(&node.ino);
            }
            let mut state = write(&node.state);
            self.remove_keys(&node, &mut state);
            for link in state.links.drain(..) {
                link.parent.children.fetch_sub(1, Ordering::AcqRel);
                if link.parent.idle() {
                    next.push(link.parent);
                }
            }
        }
    }

    /// Counts one more reference of the kernel to `node`.
    pub(super) fn remember(node: &Node) {
        node.lookups.fetch_add(1, Ordering::AcqRel);
    }
}

/// A cheap hasher for numbers that nobody outside chooses.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Mixer(u64);

type Mixed = std::hash::BuildHasherDefault<Mixer>;

fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    n ^ (n >> 29)
}

impl std::hash::Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_ne_bytes(word));
        }
    }

    fn write_u16(&mut self, n: u16) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(ino: u64) -> Key {
        Key { layer: 1, dev: 1, ino }
    }

    #[test]
    fn a_node_lives_as_long_as_the_kernel_and_its_children_need_it() {
        let table = Table::new(State::default());
        let root = table.get(ROOT).unwrap();
        let mut state = State::default();
        Node::add_link(&mut state, &root, OsStr::new("d"));
        root.children.fetch_sub(1, Ordering::Relaxed); // counted again by intern
        let (dir, new) = table.intern(key(10), 10, FileType::Directory, state);
        assert!(new && dir.ino == 10);
        let links = vec![Link { parent: dir.clone(), name: "f".into() }];
        let (file, _) = table.intern(key(11), 11, FileType::RegularFile, State { links, ..State::default() });
        table.forget(10, 1);
        assert!(table.get(10).is_some(), "its child needs it");
        table.forget(file.ino, 1);
        assert!(table.get(11).is_none() && table.get(10).is_none());
        assert!(table.find(&key(10)).is_none());
        assert_eq!(root.children.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_taken_number_is_replaced() {
        let table = Table::new(State::default());
        let (a, _) = table.intern(key(5), 5, FileType::RegularFile, State::default());
        let other = Key { layer: 2, dev: 9, ino: 5 };
        let (b, _) = table.intern(other, 5, FileType::RegularFile, State::default());
        assert_ne!(a.ino, b.ino);
        let (again, new) = table.intern(key(5), 5, FileType::RegularFile, State::default());
        assert!(!new && Arc::ptr_eq(&a, &again));
        table.forget(5, 1);
        assert!(table.get(5).is_some(), "looked up twice");
        table.forget(5, 1);
        assert!(table.get(5).is_none());
    }
}
