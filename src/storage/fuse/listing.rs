//! Reading directories: the names of all layers merged, in an order that does not change when
//! names come and go, so that a reader can be continued without any state kept for it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir};
use rustix::io::Result;

use super::node::{Fd, Node, lock};
use super::overlay::Overlay;
use super::whiteout;

/// One name of a merged directory.
#[derive(Debug)]
pub(super) struct Entry {
    /// The offset of this entry: made from its name, above 2, unique in its listing.
    pub(super) offset: u64,
    start: u32,
    len: u16,
    pub(super) layer: u16,
    pub(super) ino: u64,
    pub(super) kind: FileType,
}

/// The names of a merged directory, by offset.
#[derive(Debug, Default)]
pub(super) struct Listing {
    names: Vec<u8>,
    entries: Vec<Entry>,
    /// The directory's count of changes when this was read: later ones leave it good enough to go
    /// on with, not to begin with.
    changes: u64,
}

impl Listing {
    /// The entries after `offset`.
    pub(super) fn after(&self, offset: u64) -> &[Entry] {
        let from = self.entries.partition_point(|e| e.offset <= offset);
        &self.entries[from..]
    }

    pub(super) fn name(&self, entry: &Entry) -> &OsStr {
        let start = entry.start as usize;
        OsStr::from_bytes(self.names.get(start..start + usize::from(entry.len)).unwrap_or_default())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn push(&mut self, name: &OsStr, layer: u16, ino: u64, kind: FileType) {
        // A name has at most 255 bytes, and names of 4 GiB in all do not fit a directory.
        let (Ok(start), Ok(len)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) else { return };
        self.names.extend_from_slice(name.as_bytes());
        self.entries.push(Entry { offset: offset_of(name.as_bytes()), start, len, layer, ino, kind });
    }

    fn sort(&mut self) {
        let names = &self.names;
        let bytes = |e: &Entry| &names[e.start as usize..e.start as usize + usize::from(e.len)];
        self.entries.sort_unstable_by(|a, b| a.offset.cmp(&b.offset).then_with(|| bytes(a).cmp(bytes(b))));
        let mut last = 2;
        for entry in &mut self.entries {
            entry.offset = entry.offset.max(last + 1);
            last = entry.offset;
        }
    }
}

/// A number for a name, spread over 61 bits.
fn offset_of(name: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for chunk in name.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 32;
    }
    (hash ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 3
}

/// Calls `f` with name, type and number of each entry of `dir` but `.` and `..`.
pub(super) fn each(dir: impl AsFd, mut f: impl FnMut(&OsStr, FileType, u64)) -> Result<()> {
    // A descriptor of its own, as the position belongs to it.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = fs::openat(&dir, ".", flags, Mode::empty())?;
    let mut buffer = [const { MaybeUninit::<u8>::uninit() }; 32768];
    let mut entries = RawDir::new(&dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            f(OsStr::from_bytes(name), entry.file_type(), entry.ino());
        }
    }
    Ok(())
}

impl Overlay {
    /// The names of a directory: a new listing for a reader that begins, the last one for a reader
    /// that goes on.
    pub(super) fn listing(&self, node: &Arc<Node>, begins: bool) -> Result<Arc<Listing>> {
        let changes = node.changes.load(Ordering::Acquire);
        if let Some(last) = lock(&node.listing).as_ref()
            && (!begins || last.changes == changes)
        {
            return Ok(last.clone());
        }
        let made = Arc::new(Listing { changes, ..self.read_layers(node)? });
        *lock(&node.listing) = Some(made.clone());
        Ok(made)
    }

    /// Forgets a listing nobody is likely to go on with.
    pub(super) fn end_listing(node: &Node) {
        let ended = lock(&node.listing).take();
        drop(ended);
    }

    /// A name came to a directory or went from it.
    pub(super) fn changed(node: &Node) {
        node.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Reads and merges the names of all layers.
    pub(super) fn read_layers(&self, node: &Arc<Node>) -> Result<Listing> {
        let mut listing = Listing::default();
        let reals = node.reals();
        // Names settled by a layer above: shown or hidden.
        let mut settled: HashSet<OsString> = HashSet::new();
        for (place, real) in reals.iter().enumerate() {
            let dir = self.dir_fd(node, real)?;
            let last = place + 1 == reals.len();
            let mut hidden: Vec<OsString> = Vec::new();
            let mut shown = Vec::new();
            each(&dir, |name, kind, ino| {
                if whiteout::is_reserved(name) {
                    hidden.extend(whiteout::hidden_by(name).map(OsStr::to_owned));
                } else if !settled.contains(name) {
                    shown.push((name.to_owned(), kind, ino));
                }
            })?;
            for (name, kind, ino) in shown {
                let kind = self.real_kind(&dir, &name, kind, real.xattr_whiteouts);
                if let Some(kind) = kind {
                    listing.push(&name, real.layer, ino, kind);
                }
                if !last {
                    settled.insert(name);
                }
            }
            settled.extend(hidden);
        }
        listing.sort();
        Ok(listing)
    }

    /// The type of an entry, `None` for a whiteout; looks at the file only where the entry does not
    /// say enough.
    fn real_kind(&self, dir: &Fd, name: &OsStr, kind: FileType, xattr_whiteouts: bool) -> Option<FileType> {
        match kind {
            FileType::CharacterDevice | FileType::Unknown => {}
            FileType::RegularFile if xattr_whiteouts => {}
            _ => return Some(kind),
        }
        let stat = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        let hidden = whiteout::is_device(&stat) || (xattr_whiteouts && whiteout::is_marked(dir, name, &stat));
        (!hidden).then(|| FileType::from_raw_mode(stat.st_mode))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_offset_whatever_went_before() {
        let mut all = Listing::default();
        let mut fewer = Listing::default();
        for n in 0..1000 {
            let name = OsString::from(format!("name-{n}"));
            all.push(&name, 0, n, FileType::RegularFile);
            if n % 2 == 0 {
                fewer.push(&name, 0, n, FileType::RegularFile);
            }
        }
        all.sort();
        fewer.sort();
        assert!(all.entries.windows(2).all(|w| w[0].offset < w[1].offset));
        assert!(all.entries[0].offset > 2);
        let middle = &all.entries[500];
        let rest: HashSet<_> = all.after(middle.offset).iter().map(|e| all.name(e).to_owned()).collect();
        assert_eq!(rest.len(), 499);
        assert!(fewer.after(middle.offset).iter().all(|e| rest.contains(fewer.name(e))));
    }
}
