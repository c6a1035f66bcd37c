//! Device nodes in a container's `/dev`: those asked for with `--device`, and with `--privileged` the host's.
//!
//! Nobody but the host's root can make nodes, so each is the host's own, bound to its place.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::{Access, access};

use crate::engine::error::Error;
use crate::runtime::plan::{Mount, mounts};
use crate::spec::device::Device;
use crate::sys::mount::attribute;

/// Every container has its own of these.
const STANDARD: [&str; 12] =
    ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm", "mqueue", "hugepages"];
/// So deep and so many nodes are looked at; hosts have some hundred, three levels deep.
const DEEPEST: usize = 6;
const MOST: usize = 4096;

/// The mounts of `--device`, and with `--privileged` those of all nodes of the host that its user may read or write;
/// the others could not be used inside either.
pub(super) fn devices(asked: &[String], privileged: bool) -> Result<Vec<Mount>, Error> {
    let mut mounts = Vec::new();
    if privileged {
        let mut nodes = Vec::new();
        usable(Path::new("/dev"), DEEPEST, &mut nodes);
        mounts.extend(nodes.iter().map(|node| mounts::optional_bind(node, node, 0)));
    }
    for text in asked {
        match text.parse::<Device>().map_err(|error| Error::Usage(error.to_string()))? {
            Device::Node { host, container, mode } => {
                check(Path::new(&host))?;
                let set = if mode.write { 0 } else { attribute::RDONLY };
                mounts.push(mounts::bind(&host, &container, set));
            }
            Device::Cdi(name) => {
                return Err(Error::Usage(format!("CDI devices are not supported yet: {name}")));
            }
        }
    }
    Ok(mounts)
}

/// A node, or a directory that may have some.
fn check(host: &Path) -> Result<(), Error> {
    let kind = host.metadata().map_err(Error::io("add device", host))?.file_type();
    if kind.is_char_device() || kind.is_block_device() || kind.is_dir() {
        return Ok(());
    }
    let host = host.display();
    Err(Error::Usage(format!("cannot add device {host}: it is not a device node; mount a file with -v {host}:PATH")))
}

/// Adds the nodes below `dir` that this process may open. What cannot be listed has none.
fn usable(dir: &Path, depth: usize, nodes: &mut Vec<String>) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let (Ok(kind), Some(name)) = (entry.file_type(), name.to_str()) else { continue };
        if nodes.len() >= MOST || (depth == DEEPEST && STANDARD.contains(&name)) {
            continue;
        }
        let path = entry.path();
        if kind.is_dir() && depth > 1 {
            usable(&path, depth - 1, nodes);
        } else if kind.is_char_device() || kind.is_block_device() {
            let may = [Access::READ_OK, Access::WRITE_OK].into_iter().any(|how| access(&path, how).is_ok());
            nodes.extend(path.to_str().filter(|_| may).map(str::to_owned));
        }
    }
}
