//! A limit for what a layer may unpack to: the room there is.
//!
//! Owns noticing a decompression bomb, or simply an image too large for this disk, before the disk is full for everybody
//! else, too.

use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{StatVfs, fstatvfs};

/// Bytes between two looks at the disk.
const EVERY: u64 = 16 << 20;
/// What is left free for others, at most; on small file systems a hundredth.
const RESERVE: u64 = 128 << 20;

/// Passes bytes on while there is room for them.
pub(super) struct Guard<R> {
    inner: R,
    dir: OwnedFd,
    /// Bytes that may still come.
    left: u64,
    /// Bytes until the next look.
    unlooked: u64,
}

impl<R: Read> Guard<R> {
    /// What `inner` gives will be unpacked below `dir`.
    pub(super) fn new(inner: R, dir: BorrowedFd<'_>) -> io::Result<Self> {
        let dir = dir.try_clone_to_owned()?;
        let room = room(&fstatvfs(&dir)?);
        Ok(Self { inner, dir, left: room.unwrap_or(u64::MAX), unlooked: EVERY })
    }
}

/// Bytes for the taking; none where the file system does not say.
fn room(stat: &StatVfs) -> Option<u64> {
    let total = stat.f_blocks.saturating_mul(stat.f_frsize);
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    (total > 0).then(|| free.saturating_sub(RESERVE.min(total / 100)))
}

fn full(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::StorageFull, message)
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let bytes = count as u64;
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            full("it unpacks to more than there is room for on this disk; free some, or do not trust this image".to_owned())
        })?;
        self.unlooked = self.unlooked.saturating_sub(bytes);
        if self.unlooked == 0 {
            self.unlooked = EVERY;
            let stat = fstatvfs(&self.dir)?;
            if room(&stat) == Some(0) {
                let free = stat.f_bavail.saturating_mul(stat.f_frsize) >> 20;
                return Err(full(format!("only {free} MiB are left on this disk")));
            }
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd as _;

    use super::*;

    #[test]
    fn endless_layers_end() {
        let dir = File::open(std::env::temp_dir()).unwrap();
        let mut guard = Guard::new(io::repeat(0), dir.as_fd()).unwrap();
        guard.left = 40 << 20;
        let error = io::copy(&mut guard, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(error.to_string().contains("room"), "{error}");
    }
}
