//! Calls only the overlay file system needs that no safe wrapper offers.

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// Starts to write the contents of `file` to the disk, or with `wait` does so and waits.
///
/// No metadata is forced out and the device's cache is not flushed: what this gives is an order. A
/// journaling file system that has the file's contents written cannot lose them and yet keep a name
/// given to the file afterwards, as both are in the journal, in that order.
///
/// # Errors
/// What the kernel says; `ESPIPE` or `EINVAL` if `file` is no regular file.
pub fn write_out(file: impl AsFd, wait: bool) -> Result<(), Errno> {
    let mut flags = libc::SYNC_FILE_RANGE_WRITE;
    if wait {
        flags |= libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    }
    // SAFETY: the call takes numbers only, and the descriptor is open as long as it is borrowed.
    let done = unsafe { libc::sync_file_range(file.as_fd().as_raw_fd(), 0, 0, flags) };
    if done == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
}
