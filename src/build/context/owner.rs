//! `--chown`: `user`, `user:group`, `:group`, names or numbers, names looked up in the image being built.

use std::io::Read as _;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{FileType, OFlags};

use crate::runtime::plan::users;
use crate::sys::root;

use super::ContextError;

/// The ids of `text` in the root file system `root`. A user without group has the group of the same number, as docker
/// has it, unless the user is named: then that user's.
///
/// # Errors
/// A name the root file system does not know.
pub fn owner(root: BorrowedFd<'_>, text: &str) -> Result<(u32, u32), ContextError> {
    let wrong = |reason: String| ContextError::Owner(text.to_owned(), reason);
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    // Numbers need no files.
    let number = |text: &str| text.parse::<u32>().ok().filter(|id| *id <= crate::spec::user::MAX_ID);
    if let Some(uid) = number(user) {
        match group {
            None => return Ok((uid, uid)),
            Some(group) if number(group).is_some() => return Ok((uid, number(group).unwrap_or(uid))),
            Some(_) => {}
        }
    }
    let (passwd, groups) = (read(root, "/etc/passwd"), read(root, "/etc/group"));
    let who = match group {
        Some(group) => format!("{user}:{group}"),
        None => user.to_owned(),
    };
    let identity = users::resolve(&passwd, &groups, &who, &[]).map_err(|error| wrong(error.to_string()))?;
    Ok((identity.uid, identity.gid))
}

/// An account file of the image; nothing when it has none, or something else in its place.
fn read(root: BorrowedFd<'_>, path: &str) -> Vec<u8> {
    let mut data = Vec::new();
    let Ok(fd) = root::open(root, Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK) else { return data };
    if rustix::fs::fstat(&fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile) {
        // What could be read counts.
        let _read = std::fs::File::from(fd).take(users::MAX_FILE).read_to_end(&mut data);
    }
    data
}
