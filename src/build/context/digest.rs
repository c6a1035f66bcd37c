//! One digest over everything that a selection copies: names, kinds, permissions, contents, targets of links; owners and
//! attributes where they are kept. Not times, so that touching a file changes nothing.

use rustix::fs::FileType;
use sha2::{Digest as _, Sha256};

use crate::spec::Digest;
use crate::sys::copy_tree::attributes;
use crate::userns::owner::is_record;

use super::find::{Item, Selection};
use super::hashes::Hashes;
use super::tree::{Entry, Visitor, Walk};
use super::{ContextError, Ignore, Tree, path};

/// Changes whenever the same files may give another digest.
const FORM: &[u8] = b"kelp files 1";

impl Selection<'_> {
    /// The digest; `owners` when owners and extended attributes are kept, as from stages and images.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn digest(&self, hashes: &Hashes, owners: bool) -> Result<Digest, ContextError> {
        let mut sum = Sum { hash: Sha256::new(), hashes, owners, place: self.tree.name().to_owned(), top: false };
        sum.part(FORM);
        for item in &self.items {
            match item {
                Item::Inline { name, data } => {
                    sum.part(b"inline");
                    sum.part(name.as_bytes());
                    sum.part(data);
                }
                Item::Pick(pick) => {
                    let parents = pick.parents.as_ref();
                    sum.part(if pick.dir { b"directory" } else { b"object" });
                    // What a directory is called does not matter when only what is in it is copied.
                    match parents {
                        Some(parents) => sum.part(parents.path.as_bytes()),
                        None if !pick.dir => sum.part(pick.name.as_bytes()),
                        None => sum.part(b""),
                    }
                    sum.top = pick.dir && parents.is_none();
                    sum.place = path::join(self.tree.name(), &pick.real);
                    let base = parents.map_or("", |parents| parents.path.as_str());
                    Walk { tree: self.tree, from: &pick.real, exclude: &self.exclude, base }.run(&mut sum)?;
                }
            }
        }
        Ok(sum.finish())
    }
}

impl Tree {
    /// The digest of everything at a path, links in it followed: what a bind mount shows.
    ///
    /// # Errors
    /// A path that names nothing, a file that cannot be read.
    pub fn digest_at(&self, source: &str, hashes: &Hashes) -> Result<Digest, ContextError> {
        let request = super::Request { sources: vec![source.to_owned()], ..Default::default() };
        let selection = if crate::format::glob::has_wildcards(source) {
            // A mount's source is a path, whatever is in it.
            Selection { tree: self, items: vec![Item::Pick(self.plain(source)?)], exclude: Ignore::default() }
        } else {
            self.select(&request)?
        };
        selection.digest(hashes, true)
    }
}

struct Sum<'a> {
    hash: Sha256,
    hashes: &'a Hashes,
    owners: bool,
    place: String,
    /// The next directory's own attributes do not count.
    top: bool,
}

impl Sum<'_> {
    fn part(&mut self, bytes: &[u8]) {
        self.hash.update((bytes.len() as u64).to_le_bytes());
        self.hash.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.hash.update(number.to_le_bytes());
    }

    fn finish(self) -> Digest {
        let hex: String = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        // Always well formed: 32 bytes as 64 digits.
        Digest::from_sha256_hex(&hex).unwrap_or_else(|_| Digest::of(hex.as_bytes()))
    }

    fn head(&mut self, kind: &[u8], entry: &Entry<'_>) {
        self.part(kind);
        self.part(entry.path.as_os_str().as_encoded_bytes());
        if std::mem::take(&mut self.top) {
            return;
        }
        if entry.kind() != FileType::Symlink {
            self.number(u64::from(entry.owner.mode & 0o7777));
        }
        if self.owners {
            self.number(u64::from(entry.owner.uid));
            self.number(u64::from(entry.owner.gid));
            if entry.owner.is_device() {
                self.part(entry.owner.text().as_bytes());
            }
        }
    }
}

impl Visitor for Sum<'_> {
    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), ContextError> {
        self.head(b"d", entry);
        Ok(())
    }

    fn leave(&mut self) -> Result<(), ContextError> {
        self.part(b"end");
        Ok(())
    }

    fn object(&mut self, entry: &Entry<'_>) -> Result<(), ContextError> {
        let place = std::path::Path::new(&self.place).join(entry.path);
        match entry.kind() {
            FileType::RegularFile => {
                self.head(b"f", entry);
                let digest = self.hashes.of(entry.stat, || entry.read().map_err(Into::into)).map_err(ContextError::io("read", &place))?;
                self.number(entry.stat.st_size.cast_unsigned());
                self.hash.update(digest);
                if self.owners {
                    let file = entry.read().map_err(ContextError::io("read", &place))?;
                    let found = attributes(&file).map_err(ContextError::io("read attributes of", &place))?;
                    for (name, value) in found.into_iter().filter(|(name, _)| !is_record(name.to_bytes())) {
                        self.part(name.to_bytes());
                        self.part(&value);
                    }
                }
            }
            FileType::Symlink => {
                self.head(b"l", entry);
                let target = entry.link().map_err(ContextError::io("read link", &place))?;
                self.part(target.to_bytes());
            }
            FileType::Fifo => self.head(b"p", entry),
            // Not copied.
            _ => {}
        }
        Ok(())
    }
}
