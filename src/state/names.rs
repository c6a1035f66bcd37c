//! Container names: a symbolic link `containers/.names/NAME` whose text is the id. Making it is atomic and fails when it is
//! there, so a name has one owner without any lock.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::StateError;

/// Beside the containers, where no id can be.
const DIR: &str = "containers/.names";

fn link(data: &Path, name: &str) -> PathBuf {
    data.join(DIR).join(name)
}

/// docker's rule for names, with a bound of our own (a file name's).
pub fn check(name: &str) -> Result<(), StateError> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    if first && rest && name.len() <= 255 { Ok(()) } else { Err(StateError::BadName(name.to_owned())) }
}

/// Takes `name` for `id`. A link to a container that is gone is taken over.
pub fn claim(data: &Path, name: &str, id: &str) -> Result<(), StateError> {
    check(name)?;
    let path = link(data, name);
    for _ in 0..8 {
        match std::os::unix::fs::symlink(id, &path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                super::files::make_private_dir(&data.join(DIR))?;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => match holder(data, name) {
                Some(holder) if holder == id => return Ok(()),
                Some(holder) => return Err(StateError::NameTaken { name: name.to_owned(), holder }),
                None => {
                    drop(fs::remove_file(&path));
                }
            },
            Err(source) => return Err(StateError::Io { action: "claim name", path, source }),
        }
    }
    Err(StateError::Busy(name.to_owned()))
}

/// The id that holds `name`, if that container exists.
pub fn holder(data: &Path, name: &str) -> Option<String> {
    let id = fs::read_link(link(data, name)).ok()?.into_os_string().into_string().ok()?;
    let real = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (real && data.join("containers").join(&id).is_dir()).then_some(id)
}

/// All names and what they lead to, whether it exists or not.
pub fn all(data: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(data.join(DIR)) else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let id = fs::read_link(entry.path()).ok()?.into_os_string().into_string().ok()?;
            Some((entry.file_name().into_string().ok()?, id))
        })
        .collect()
}

/// Gives `name` back if `id` holds it.
pub fn release(data: &Path, name: &str, id: &str) {
    let path = link(data, name);
    if fs::read_link(&path).is_ok_and(|target| target.as_os_str() == id) {
        drop(fs::remove_file(path));
    }
}
