//! Places to mount on that the image does not have.
//!
//! A mount needs a file or directory under it. Made in the container, it would end up in the step's layer; so it is made
//! in a layer of its own below all others, which no image ever sees. What still gets into the step's layer (a place
//! that a layer deleted hides the one below) is removed afterwards.

use std::fs::{DirBuilder, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::view;
use crate::runtime::plan::{Mount, What};
use crate::sys::root;

/// A place to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stub {
    /// Absolute, with links resolved.
    pub(super) path: PathBuf,
    is_dir: bool,
}

/// Links followed before giving up.
const MAX_LINKS: usize = 40;

/// What layers show at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Something,
    Nothing,
    Link,
}

/// The targets of `mounts` that `lower` (topmost first) does not have. `look` is where a view is mounted if one is needed.
pub(super) fn missing(mounts: &[Mount], lower: &[String], look: &Path) -> Result<Vec<Stub>, Errno> {
    let open = |path: &String| rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let fds = lower.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut view: Option<OwnedFd> = None;
    let mut stubs: Vec<Stub> = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        let target = Path::new(&mount.target);
        let covered = mounts[..index].iter().any(|outer| outer.target != mount.target && target.starts_with(&outer.target));
        let Some(is_dir) = kind(mount).filter(|_| !covered) else { continue };
        match look_up(&fds, target)? {
            Found::Something => {}
            Found::Nothing => stubs.push(Stub { path: target.to_owned(), is_dir }),
            Found::Link => {
                let root = match view.take() {
                    Some(root) => root,
                    None => match open_view(lower, look) {
                        Ok(root) => root,
                        // Without the kernel's overlay the place is made where the link leads, and cleared away after.
                        Err(_) => continue,
                    },
                };
                if let Some(path) = resolve(root.as_fd(), target)? {
                    stubs.push(Stub { path, is_dir });
                }
                view = Some(root);
            }
        }
    }
    Ok(stubs)
}

fn open_view(lower: &[String], look: &Path) -> Result<OwnedFd, Errno> {
    if let [one] = lower {
        return rustix::fs::open(one, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    }
    std::fs::create_dir_all(look).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let layers: Vec<PathBuf> = lower.iter().rev().map(PathBuf::from).collect();
    view::read_only(&layers, look)
}

/// Whether a mount wants a directory; none when it will not be made.
fn kind(mount: &Mount) -> Option<bool> {
    match &mount.what {
        What::Bind { source, .. } => std::fs::metadata(source).ok().map(|meta| meta.is_dir()),
        What::New { .. } | What::Layered(_) | What::CopiedTmpfs { .. } => Some(true),
    }
}

/// Looks a path up as overlayfs would: a directory is what all layers down to an opaque one have of it.
fn look_up(layers: &[OwnedFd], path: &Path) -> Result<Found, Errno> {
    let mut active: Vec<usize> = (0..layers.len()).collect();
    let mut prefix = PathBuf::new();
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        prefix.push(name);
        let mut next = Vec::new();
        for &index in &active {
            let fd = match root::open_no_links(layers[index].as_fd(), &prefix, OFlags::PATH | OFlags::NOFOLLOW) {
                Ok(fd) => fd,
                Err(Errno::NOENT | Errno::NOTDIR) => continue,
                Err(Errno::LOOP) => return Ok(Found::Link),
                Err(errno) => return Err(errno),
            };
            let stat = rustix::fs::fstat(&fd)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => {
                    next.push(index);
                    if is_opaque(fd.as_fd()) {
                        break;
                    }
                }
                FileType::CharacterDevice if stat.st_rdev == 0 => break,
                _ if !next.is_empty() => break,
                FileType::Symlink => return Ok(Found::Link),
                _ => return Ok(Found::Something),
            }
        }
        if next.is_empty() {
            return Ok(Found::Nothing);
        }
        active = next;
    }
    Ok(Found::Something)
}

fn is_opaque(fd: BorrowedFd<'_>) -> bool {
    let mut value = [0_u8; 4];
    rustix::fs::getxattr(format!("/proc/self/fd/{}", fd.as_raw_fd()), "user.overlay.opaque", &mut value) == Ok(1) && value[0] == b'y'
}

/// The path with all links resolved, also one that leads nowhere; none when there is something.
fn resolve(root_fd: BorrowedFd<'_>, path: &Path) -> Result<Option<PathBuf>, Errno> {
    let mut todo: Vec<std::ffi::OsString> = path.components().rev().filter_map(name_of).collect();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    let mut exists = true;
    while let Some(name) = todo.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        if !exists {
            at = next;
            continue;
        }
        match root::open_no_links(root_fd, &next, OFlags::PATH | OFlags::NOFOLLOW) {
            Err(Errno::NOENT) => {
                exists = false;
                at = next;
            }
            Err(errno) => return Err(errno),
            Ok(fd) => {
                if FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) != FileType::Symlink {
                    at = next;
                    continue;
                }
                links += 1;
                if links > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                let link = rustix::fs::readlinkat(&fd, c"", Vec::new())?;
                let link = PathBuf::from(String::from_utf8(link.into_bytes()).map_err(|_| Errno::ILSEQ)?);
                if link.is_absolute() {
                    at = PathBuf::from("/");
                }
                todo.extend(link.components().rev().filter_map(name_of));
            }
        }
    }
    Ok((!exists).then_some(at))
}

fn name_of(part: Component<'_>) -> Option<std::ffi::OsString> {
    match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    }
}

/// Makes the lowest layer.
pub(super) fn make(dir: &Path, stubs: &[Stub]) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o755);
    builder.create(dir)?;
    for stub in stubs {
        let path = dir.join(stub.path.strip_prefix("/").unwrap_or(&stub.path));
        if stub.is_dir {
            builder.create(&path)?;
        } else {
            if let Some(parent) = path.parent() {
                builder.create(parent)?;
            }
            File::options().write(true).create(true).truncate(false).mode(0o644).open(&path)?;
        }
    }
    Ok(())
}

/// Takes empty places out of a step's layer.
pub(super) fn clear(upper: &Path, stubs: &[PathBuf]) {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(upper) = rustix::fs::open(upper, flags, Mode::empty()) else { return };
    for stub in stubs.iter().rev() {
        let (Some(parent), Some(name)) = (stub.parent(), stub.file_name()) else { continue };
        let Ok(dir) = root::open_no_links(upper.as_fd(), parent, flags) else { continue };
        let Ok(stat) = rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        match FileType::from_raw_mode(stat.st_mode) {
            // One with anything in it stays.
            FileType::Directory => drop(rustix::fs::unlinkat(&dir, name, AtFlags::REMOVEDIR)),
            FileType::RegularFile if stat.st_size == 0 => drop(rustix::fs::unlinkat(&dir, name, AtFlags::empty())),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn what_layers_show() {
        let dir = std::env::temp_dir().join(format!("kelp-stubs-{}", std::process::id()));
        let (top, low) = (dir.join("top"), dir.join("low"));
        for path in ["top/etc", "low/etc", "low/run", "top/file"] {
            std::fs::create_dir_all(dir.join(path)).unwrap();
        }
        std::fs::write(low.join("etc/hosts"), "x").unwrap();
        symlink("/run", top.join("var")).unwrap();
        symlink("../run/none", low.join("etc/resolv.conf")).unwrap();
        let open = |path: &Path| rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let layers = [open(&top), open(&low)];
        let look = |path: &str| look_up(&layers, Path::new(path)).unwrap();
        assert_eq!(look("/etc/hosts"), Found::Something);
        assert_eq!(look("/etc/hostname"), Found::Nothing);
        assert_eq!(look("/proc"), Found::Nothing);
        assert_eq!(look("/var/x"), Found::Link);
        assert_eq!(look("/etc/resolv.conf"), Found::Link);
        let at = |path: &str| resolve(layers[1].as_fd(), Path::new(path)).unwrap();
        assert_eq!(at("/etc/resolv.conf"), Some(PathBuf::from("/run/none")));
        assert_eq!(at("/etc/hosts"), None);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
