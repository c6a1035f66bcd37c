//! Copying what is inside files: copy_file_range(2) where the kernel does it, large reads and writes where not; holes
//! stay holes.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::fs::{self as rfs, SeekFrom};
use rustix::io::Errno;

/// One read of the slow path; big enough that its cost is the copy, small enough for the cache.
const CHUNK: usize = 256 << 10;
/// What one copy_file_range(2) is asked for.
const SPAN: usize = 128 << 20;

/// Copies everything of the regular file `from` to the empty file `to`, from offset 0, and returns the length.
///
/// # Errors
/// The system's error.
pub fn copy_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<u64> {
    let stat = rfs::fstat(from)?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let stored = u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
    if size > 64 << 10 && stored < size {
        return copy_sparse(from, to, size);
    }
    let mut at = 0;
    copy_span(from, to, &mut at, u64::MAX)?;
    Ok(at)
}

/// Copies the parts of `from` that hold data and sets the length, which leaves the holes.
fn copy_sparse(from: BorrowedFd<'_>, to: BorrowedFd<'_>, size: u64) -> io::Result<u64> {
    let mut at = 0;
    while at < size {
        at = match rfs::seek(from, SeekFrom::Data(at)) {
            Ok(data) => data,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            // A file system that does not know of holes.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                copy_span(from, to, &mut at, u64::MAX)?;
                return Ok(at);
            }
            Err(errno) => return Err(errno.into()),
        };
        let end = rfs::seek(from, SeekFrom::Hole(at)).unwrap_or(size);
        let before = at;
        copy_span(from, to, &mut at, end.max(before))?;
        if at == before {
            break;
        }
    }
    rfs::ftruncate(to, size)?;
    Ok(size)
}

/// Copies from `*at` up to `end` or the end of the file, moving `*at`.
fn copy_span(from: BorrowedFd<'_>, to: BorrowedFd<'_>, at: &mut u64, end: u64) -> io::Result<()> {
    while *at < end {
        let want = usize::try_from(end - *at).unwrap_or(SPAN).min(SPAN);
        let (mut source, mut target) = (*at, *at);
        match rfs::copy_file_range(from, Some(&mut source), to, Some(&mut target), want) {
            // Also what files of /proc answer, which have no length: let read(2) decide.
            Ok(0) => break,
            Ok(count) => *at += count as u64,
            Err(Errno::INTR) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM | Errno::BADF) => break,
            Err(errno) => return Err(errno.into()),
        }
    }
    if *at >= end {
        return Ok(());
    }
    let mut buffer = Vec::new();
    while *at < end {
        let want = usize::try_from(end - *at).unwrap_or(CHUNK).min(CHUNK);
        if buffer.is_empty() {
            buffer.resize(want, 0);
        }
        let want = want.min(buffer.len());
        let count = match rustix::io::pread(from, &mut buffer[..want], *at) {
            Ok(0) => break,
            Ok(count) => count,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno.into()),
        };
        write_at(to, &buffer[..count], at)?;
    }
    Ok(())
}

fn write_at(to: BorrowedFd<'_>, mut bytes: &[u8], at: &mut u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::pwrite(to, bytes, *at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                *at += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::{FileExt, MetadataExt};

    #[test]
    fn holes_stay_holes_and_bytes_stay_bytes() {
        let dir = std::env::temp_dir().join(format!("kelp-copy-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let from = File::options().read(true).write(true).create(true).truncate(true).open(dir.join("a")).unwrap();
        from.write_all_at(b"head", 0).unwrap();
        from.write_all_at(b"tail", 8 << 20).unwrap();
        from.set_len(16 << 20).unwrap();
        let to = File::options().read(true).write(true).create(true).truncate(true).open(dir.join("b")).unwrap();
        assert_eq!(copy_file(from.as_fd(), to.as_fd()).unwrap(), 16 << 20);
        let mut got = [0; 4];
        to.read_exact_at(&mut got, 8 << 20).unwrap();
        assert_eq!(&got, b"tail");
        assert_eq!(std::fs::read(dir.join("a")).unwrap(), std::fs::read(dir.join("b")).unwrap());
        assert!(to.metadata().unwrap().blocks() * 512 < 1 << 20);
        // A file without a length.
        let proc = File::open("/proc/self/status").unwrap();
        let to = File::options().write(true).create(true).truncate(true).open(dir.join("c")).unwrap();
        assert!(copy_file(proc.as_fd(), to.as_fd()).unwrap() > 100);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
