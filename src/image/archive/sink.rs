//! Where `save` writes: members of a tar archive, or files of a directory.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};

use super::ArchiveError;
use super::tarw::TarWriter;

/// Writes the content of one member.
pub(super) type Fill<'f> = &'f mut dyn FnMut(&mut dyn Write) -> Result<u64, ArchiveError>;

/// Where the members of an image archive go.
pub(super) enum Sink<'a> {
    /// Into a tar archive; the directories that have an entry.
    Tar(Box<TarWriter<&'a mut dyn Write>>, BTreeSet<String>),
    /// Into files below a directory.
    Directory(File),
}

impl<'a> Sink<'a> {
    pub(super) fn tar(out: &'a mut dyn Write) -> Self {
        Self::Tar(Box::new(TarWriter::new(out)), BTreeSet::new())
    }

    /// A directory, made if it is not there.
    pub(super) fn directory(path: &Path) -> Result<Self, ArchiveError> {
        let shown = path.display().to_string();
        std::fs::create_dir_all(path).map_err(ArchiveError::io("create", &*shown))?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => Ok(Self::Directory(fd.into())),
            Err(errno) => Err(ArchiveError::io("open", shown)(errno.into())),
        }
    }

    /// Writes a small member.
    pub(super) fn document(&mut self, name: &str, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.member(name, bytes.len() as u64, &mut |out| {
            out.write_all(bytes).map_err(ArchiveError::io("write", "the archive"))?;
            Ok(bytes.len() as u64)
        })
    }

    /// Writes a member of exactly `size` bytes.
    pub(super) fn member(&mut self, name: &str, size: u64, fill: Fill<'_>) -> Result<(), ArchiveError> {
        let failed = || ArchiveError::io("write", "the archive");
        let written = match self {
            Self::Tar(tar, made) => {
                // skopeo, when not root, fails on directories without an entry.
                for (at, _) in name.match_indices('/') {
                    if made.insert(name[..at].to_owned()) {
                        tar.directory(&name[..at], 0o755, 0).map_err(failed())?;
                    }
                }
                tar.start_file(name, 0o444, 0, size).map_err(failed())?;
                let written = fill(tar.inner())?;
                tar.pad(size).map_err(failed())?;
                written
            }
            Self::Directory(dir) => in_file(dir, name, fill)?,
        };
        if written != size {
            return Err(ArchiveError::damaged(format!("{name} has {written} bytes instead of {size}")));
        }
        Ok(())
    }

    /// A member that is there from before (directories only).
    pub(super) fn read(&self, name: &str, limit: u64) -> Option<Vec<u8>> {
        let Self::Directory(dir) = self else { return None };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file: File = rustix::fs::openat(dir, name, flags, Mode::empty()).ok()?.into();
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    pub(super) fn finish(self) -> Result<(), ArchiveError> {
        match self {
            Self::Tar(tar, _) => tar.finish().map(drop).map_err(ArchiveError::io("write", "the archive")),
            Self::Directory(_) => Ok(()),
        }
    }
}

/// Writes a file aside and renames it. Its directories are made as needed.
fn in_file(dir: &File, name: &str, fill: Fill<'_>) -> Result<u64, ArchiveError> {
    let failed = |errno: rustix::io::Errno| ArchiveError::io("write", name)(errno.into());
    for (at, _) in name.match_indices('/') {
        match rustix::fs::mkdirat(dir, &name[..at], Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
    let aside = format!("{name}.{}.part", std::process::id());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(dir, &*aside, flags, Mode::from_raw_mode(0o644)).map_err(failed)?;
    let mut out = BufWriter::with_capacity(1 << 20, File::from(file));
    let written = fill(&mut out).and_then(|written| {
        out.flush().map_err(|e: io::Error| ArchiveError::io("write", name)(e))?;
        rustix::fs::renameat(dir, &*aside, dir, name).map_err(failed)?;
        Ok(written)
    });
    if written.is_err() {
        rustix::fs::unlinkat(dir, &*aside, AtFlags::empty()).ok();
    }
    written
}
