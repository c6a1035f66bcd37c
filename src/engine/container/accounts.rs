//! Who is known in a container that does not run yet: its account files, read from the layers it will be put together
//! from. Only to choose ids by; its own first process looks again, in the root it gets.

use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

use crate::engine::Engine;
use crate::runtime::plan::users;
use crate::spec::container::ImageSource;
use crate::state::record::ContainerRecord;
use crate::sys::root;

/// The content of its account files, empty where it has none.
pub(super) struct Files {
    /// /etc/passwd
    pub(super) passwd: Vec<u8>,
    /// /etc/group
    pub(super) group: Vec<u8>,
}

impl Files {
    /// `layers` are the image's, lowest first.
    pub(super) fn read(engine: &Engine, record: &ContainerRecord, layers: &[std::path::PathBuf]) -> Self {
        let mut trees = vec![engine.paths.container(&record.id).join("upper")];
        match &record.spec.image {
            ImageSource::Rootfs { path, overlay: false } => trees = vec![path.clone()],
            ImageSource::Rootfs { path, overlay: true } => trees.push(path.clone()),
            ImageSource::Image(_) => trees.extend(layers.iter().rev().cloned()),
        }
        let read = |name: &str| trees.iter().find_map(|tree| read_in(tree, name)).unwrap_or_default();
        Self { passwd: read("etc/passwd"), group: read("etc/group") }
    }
}

/// The file as this layer has it; an empty one where it removes the file.
fn read_in(tree: &Path, name: &str) -> Option<Vec<u8>> {
    use std::io::Read as _;
    let tree = rustix::fs::open(tree, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let place = root::open(tree.as_fd(), Path::new(name), OFlags::PATH | OFlags::NOFOLLOW).ok()?;
    match FileType::from_raw_mode(rustix::fs::fstat(&place).ok()?.st_mode) {
        FileType::RegularFile => {
            let file = root::open(tree.as_fd(), Path::new(name), OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK).ok()?;
            let mut bytes = Vec::new();
            std::fs::File::from(file).take(users::MAX_FILE).read_to_end(&mut bytes).ok()?;
            Some(bytes)
        }
        FileType::CharacterDevice => Some(Vec::new()),
        _ => None,
    }
}
