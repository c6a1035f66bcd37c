//! `image diff`: what an image's files are, compared with its image without the uppermost layer, or with another image.
//!
//! Both are looked at as a container would see them, so that whiteouts, opaque directories and files that came again
//! unchanged need no thought.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, Stat, readlinkat, statat};
use rustix::io::Errno;

use super::store;
use crate::engine::build::{View, inside};
use crate::engine::container::diff::{Change, ChangeKind};
use crate::engine::container::driver;
use crate::engine::{Engine, Error};
use crate::image::ImageStore;
use crate::sys::root;

/// The changes from `base` to an image, by path; without `base` those of its uppermost layer.
///
/// # Errors
/// No such image; layers that cannot be mounted.
pub fn diff(engine: &Engine, name: &str, base: Option<&str>) -> Result<Vec<Change>, Error> {
    let store = store(engine);
    let new = store.resolve_for_run(name)?.layers;
    let old = match base {
        Some(base) => store.resolve_for_run(base)?.layers,
        None => below(&store, name)?,
    };
    let driver = driver::choose(engine, false)?;
    inside(engine, |_| {
        let place = engine.paths.run.join(format!("diff-{}", std::process::id()));
        let made = Place(place.clone());
        let part = |name: &str| -> Result<PathBuf, Error> {
            let path = place.join(name);
            std::fs::create_dir_all(&path).map_err(Error::io("create", &path))?;
            Ok(path)
        };
        let new = View::read_only(&new, &part("new")?, driver)?;
        let old = View::read_only(&old, &part("old")?, driver)?;
        let mut changes = BTreeMap::new();
        compare(new.root(), old.root(), &mut changes).map_err(|errno| Error::io("read the files of", name)(errno.into()))?;
        drop((new, old, made));
        Ok(changes.into_iter().map(|(path, kind)| Change { kind, path }).collect())
    })
}

/// The directories of an image's layers but the uppermost, lowest first.
fn below(store: &ImageStore, name: &str) -> Result<Vec<PathBuf>, Error> {
    let mut record = store.resolve_for_run(name)?.record;
    record.layers.pop();
    Ok(store.for_run(record)?.layers)
}

/// The directories that are mounted on go with this.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

type Changes = BTreeMap<PathBuf, ChangeKind>;

fn compare(new: BorrowedFd<'_>, old: BorrowedFd<'_>, changes: &mut Changes) -> Result<(), Errno> {
    let open = |root, path: &Path| root::open_no_links(root, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW);
    // By path: descriptors of all directories yet to be read would be too many.
    let mut pending = vec![(PathBuf::from("/"), true)];
    while let Some((path, both)) = pending.pop() {
        let new_dir = open(new, &path)?;
        let old_dir = both.then(|| open(old, &path)).transpose()?;
        let names = names(&new_dir)?;
        if let Some(old_dir) = &old_dir {
            for name in self::names(old_dir)?.iter().filter(|name| !names.contains(*name)) {
                record(changes, &child(&path, name), ChangeKind::Deleted);
            }
        }
        for name in names {
            let full = child(&path, &name);
            let stat = statat(&new_dir, &name, AtFlags::SYMLINK_NOFOLLOW)?;
            let before = old_dir.as_ref().and_then(|dir| Some((dir, statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW).ok()?)));
            match &before {
                Some((old_dir, before)) if same(&stat, before, &new_dir, old_dir, &name) => {}
                Some(_) => record(changes, &full, ChangeKind::Changed),
                None => record(changes, &full, ChangeKind::Added),
            }
            if is_dir(&stat) {
                pending.push((full, before.is_some_and(|(_, before)| is_dir(&before))));
            }
        }
    }
    Ok(())
}

fn names(dir: &OwnedFd) -> Result<std::collections::BTreeSet<CString>, Errno> {
    let mut names = std::collections::BTreeSet::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.insert(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

fn child(path: &Path, name: &CString) -> PathBuf {
    path.join(OsStr::from_bytes(name.as_bytes()))
}

fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// docker's rule: a directory is the same by mode and owner, everything else also by size and time. The time of a link says
/// nothing, its target does.
fn same(new: &Stat, old: &Stat, new_dir: &OwnedFd, old_dir: &OwnedFd, name: &CString) -> bool {
    let owner = |stat: &Stat| (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_rdev);
    if owner(new) != owner(old) {
        return false;
    }
    match FileType::from_raw_mode(new.st_mode) {
        FileType::Directory => true,
        FileType::Symlink => {
            matches!((readlinkat(new_dir, name, Vec::new()), readlinkat(old_dir, name, Vec::new())), (Ok(new), Ok(old)) if new == old)
        }
        _ => (new.st_size, new.st_mtime, new.st_mtime_nsec) == (old.st_size, old.st_mtime, old.st_mtime_nsec),
    }
}

/// A change makes its directories changed too, as docker shows it.
fn record(changes: &mut Changes, path: &Path, kind: ChangeKind) {
    for parent in path.ancestors().skip(1).filter(|parent| *parent != Path::new("/")) {
        changes.entry(parent.to_owned()).or_insert(ChangeKind::Changed);
    }
    changes.insert(path.to_owned(), kind);
}
