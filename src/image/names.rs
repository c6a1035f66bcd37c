//! The names of images: one symbolic link per reference, `names/<escaped reference>` → `../images/<id>[/<digest>]`.
//!
//! The digest is of the manifest or index the name came by: one image can come by several (its layers compressed in other
//! ways), and each name goes back to a registry as it came. Owns that layout. A link is made aside and renamed, so a name is always whole, moving one is atomic, and following it
//! needs one call and no directory scan. A link to an image that is gone counts as absent.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::blobs::{make_dir, read_dir, remove_file};
use super::store::StoreError;
use crate::spec::{Digest, Reference};

/// Bytes of a name put into one directory entry; file systems allow 255.
const CHUNK: usize = 200;

/// What a name stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// The image.
    pub id: Digest,
    /// The manifest or index it came by under this name, if by one.
    pub came_by: Option<Digest>,
}

/// All names under one data directory.
#[derive(Debug, Clone)]
pub struct NameIndex {
    root: PathBuf,
}

impl NameIndex {
    /// The index under `data` (nothing is created yet).
    #[must_use]
    pub fn new(data: &Path) -> Self {
        Self {
            root: data.join("names"),
        }
    }

    /// The image a complete reference names.
    ///
    /// # Errors
    /// When the link cannot be read for another reason than its absence.
    pub fn get(&self, reference: &Reference) -> Result<Option<Named>, StoreError> {
        read_link(&self.root.join(escape(reference).0))
    }

    /// Makes `reference` stand for `named`, whatever it stood for before.
    ///
    /// # Errors
    /// When the link cannot be written.
    pub fn set(&self, reference: &Reference, named: &Named) -> Result<(), StoreError> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let (name, depth) = escape(reference);
        let path = self.root.join(name);
        if let Some(parent) = path.parent() {
            make_dir(parent)?;
        }
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let aside = self
            .root
            .join(format!(".new-{}-{count}", std::process::id()));
        let mut target = format!("{}images/{}", "../".repeat(depth), named.id.hex());
        if let Some(digest) = &named.came_by {
            target.push_str(&format!("/{digest}"));
        }
        // A process that died earlier with our number may have left its link.
        remove_file(&aside)?;
        symlink(&target, &aside).map_err(|e| StoreError::io("create link", &aside, e))?;
        fs::rename(&aside, &path).map_err(|e| {
            fs::remove_file(&aside).ok();
            StoreError::io("rename", &path, e)
        })
    }

    /// Removes a name; returns whether it was there.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, reference: &Reference) -> Result<bool, StoreError> {
        let path = self.root.join(escape(reference).0);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("remove", &path, error)),
        }
    }

    /// Every name with what it stands for, sorted by name.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn list(&self) -> Result<Vec<(Reference, Named)>, StoreError> {
        let mut found = Vec::new();
        collect(&self.root, "", 0, &mut found)?;
        found.sort();
        Ok(found)
    }
}

fn collect(
    dir: &Path,
    before: &str,
    depth: u32,
    found: &mut Vec<(Reference, Named)>,
) -> Result<(), StoreError> {
    for name in read_dir(dir)? {
        let path = dir.join(&name);
        let Some(name) = (if depth == 0 {
            Some(name.as_str())
        } else {
            name.strip_prefix('=')
        }) else {
            continue;
        };
        if let Some(part) = name.strip_suffix('%') {
            if depth < 4 {
                collect(&path, &format!("{before}{part}"), depth + 1, found)?;
            }
            continue;
        }
        let text = format!("{before}{name}").replace('+', "/");
        if let (Ok(reference), Ok(Some(named))) = (text.parse::<Reference>(), read_link(&path)) {
            found.push((reference, named));
        }
    }
    Ok(())
}

/// The relative path of a name's link and how many directories above it the data directory is.
///
/// `/` becomes `+`, which no reference contains; what is too long for one entry goes on in a directory `<part>%`.
fn escape(reference: &Reference) -> (PathBuf, usize) {
    let text = reference.to_string().replace('/', "+");
    let mut path = PathBuf::new();
    let mut rest = text.as_str();
    let mut depth = 1;
    // Later parts begin with `=`: one of dots alone would be a directory, not a name.
    let mut mark = "";
    while rest.len() > CHUNK {
        let (part, after) = rest.split_at(CHUNK);
        path.push(format!("{mark}{part}%"));
        rest = after;
        depth += 1;
        mark = "=";
    }
    path.push(format!("{mark}{rest}"));
    (path, depth)
}

fn parse_target(target: &Path) -> Option<Named> {
    let mut parts = target.iter().rev().map(|part| part.to_str().unwrap_or_default());
    let last = parts.next()?;
    if let Ok(id) = Digest::from_sha256_hex(last) {
        return Some(Named { id, came_by: None });
    }
    let came_by = Some(last.parse().ok()?);
    Some(Named { id: Digest::from_sha256_hex(parts.next()?).ok()?, came_by })
}

fn read_link(path: &Path) -> Result<Option<Named>, StoreError> {
    match fs::read_link(path) {
        Ok(target) => Ok(parse_target(&target)),
        // ENOENT; EINVAL: something that is no link; ENOTDIR: damage.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(StoreError::io("read link", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_any_length() {
        let dir = std::env::temp_dir().join(format!("kelp-names-{}", std::process::id()));
        let index = NameIndex::new(&dir);
        let a = Digest::of(b"a");
        let b = Digest::of(b"b");
        let long = format!(
            "h.x:5000/{}:{}..",
            "p/".repeat(40) + &"q".repeat(100),
            "t".repeat(9)
        );
        let longest = format!("h.x/{}:{}", "q".repeat(240), "t".repeat(128));
        let texts = ["alpine", "[::1]:80/a/b:v1", &long, &longest];
        let all: Vec<Reference> = texts.iter().map(|t| t.parse().unwrap()).collect();
        assert_eq!(index.get(&all[0]).unwrap(), None);
        let (a, b) = (Named { id: a, came_by: None }, Named { id: b.clone(), came_by: Some(b) });
        for reference in &all {
            for named in [&a, &b, &a] {
                index.set(reference, named).unwrap();
                assert_eq!(index.get(reference).unwrap().as_ref(), Some(named));
            }
        }
        fs::create_dir(dir.join("names/odd")).unwrap();
        assert_eq!(index.list().unwrap().len(), all.len());
        for reference in &all {
            let link = dir.join("names").join(escape(reference).0);
            let target = link.parent().unwrap().join(fs::read_link(&link).unwrap());
            let parent = fs::canonicalize(target.parent().unwrap().parent().unwrap()).unwrap();
            assert_eq!(parent, fs::canonicalize(&dir).unwrap());
            assert!(index.remove(reference).unwrap());
            assert!(!index.remove(reference).unwrap());
        }
        fs::remove_dir_all(&dir).unwrap();
    }
}
