//! Which files are stored with a map of their data in place of their holes, and that map.
//!
//! Only large files that are nearly all hole (a `lastlog` of a large uid, disk images): every reader of archives knows
//! plain files best. The map comes from the content, so that how a file system laid it out makes no difference.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{self as rfs, SeekFrom, Stat};
use rustix::io::Errno;

/// Smallest size stored so.
const LEAST: u64 = 16 << 20;
/// At most one byte in so many may be allocated.
const SHARE: u64 = 8;
/// Holes are looked for in pieces of this size.
const PIECE: u64 = 64 << 10;
/// Most runs of data in a map.
const MAX_RUNS: usize = 1 << 16;

/// The runs of data (offset, length) of a file that should be stored sparse.
pub(super) fn map(
    fd: &OwnedFd,
    stat: &Stat,
    buffer: &mut [u8],
) -> io::Result<Option<Vec<(u64, u64)>>> {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    let allocated = u64::try_from(stat.st_blocks).unwrap_or(u64::MAX).saturating_mul(512);
    if size < LEAST || allocated > size / SHARE {
        return Ok(None);
    }
    let mut runs: Vec<(u64, u64)> = Vec::new();
    let mut at = 0;
    while at < size {
        // Aligned downwards: what is before it in the piece is hole.
        let data = match rfs::seek(fd, SeekFrom::Data(at)) {
            Ok(data) => data.max(at) / PIECE * PIECE,
            Err(Errno::NXIO) => break,
            Err(_) => return Ok(None),
        };
        let start = data.max(at);
        let length = PIECE.min(size - start);
        if !is_zero(fd, start, length, buffer)? {
            let full = runs.len() >= MAX_RUNS;
            match runs.last_mut() {
                Some((offset, run)) if *offset + *run == start => *run += length,
                _ if full => return Ok(None),
                _ => runs.push((start, length)),
            }
        }
        at = start + length;
    }
    Ok(Some(runs))
}

fn is_zero(fd: &OwnedFd, offset: u64, length: u64, buffer: &mut [u8]) -> io::Result<bool> {
    let mut done = 0;
    while done < length {
        let wanted = usize::try_from(length - done).map_or(buffer.len(), |l| l.min(buffer.len()));
        let count = rustix::io::pread(fd, &mut buffer[..wanted], offset + done)?;
        if count == 0 {
            break;
        }
        if buffer[..count].iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
        done += count as u64;
    }
    Ok(true)
}

/// The map as GNU's format 1.0 writes it before the data: decimal lines, filled up to a whole block.
pub(super) fn text(runs: &[(u64, u64)], size: u64) -> Vec<u8> {
    let ends = runs.last().map_or(0, |(offset, length)| offset + length);
    // An empty run at the end says how long the file is.
    let tail = (ends < size).then_some((size, 0));
    let mut text = format!("{}\n", runs.len() + usize::from(tail.is_some()));
    for (offset, length) in runs.iter().copied().chain(tail) {
        text.push_str(&format!("{offset}\n{length}\n"));
    }
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}
