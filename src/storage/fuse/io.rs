//! Reading and writing contents. There are no file handles: the kernel opens files without asking
//! (its "zero message open"), and requests name the node, whose descriptor is kept or opened here.

use std::io::IoSliceMut;
use std::sync::Arc;

use rustix::fs::{self, FallocateFlags, SeekFrom, StatVfs};
use rustix::io::{Errno, ReadWriteFlags, Result, pread, preadv2, retry_on_intr};

use super::copyup::write_all;
use super::node::{Fd, Node, UPPER, read};
use super::overlay::Overlay;

const PAGE: u64 = 4096;

/// A piece written or copied that may be made to wait for the disk.
const LARGE: usize = 128 * 1024;

impl Overlay {
    /// Fills `buffer` from `at`; fewer bytes mean the end of the file.
    pub(super) fn read(&self, node: &Arc<Node>, at: u64, buffer: &mut [u8]) -> Result<usize> {
        let fd = self.reader(node)?;
        let mut done = 0;
        // A tmpfs never waits, and refuses to be asked.
        if !self.is_in_memory(read(&node.state).layer) {
            // What is in memory at once, the rest with another thread free for other requests.
            done = preadv2(&fd, &mut [IoSliceMut::new(buffer)], at, ReadWriteFlags::NOWAIT).unwrap_or(0);
            if done == buffer.len() || (done > 0 && !(at + done as u64).is_multiple_of(PAGE)) {
                return Ok(done);
            }
            self.turns.slow();
        }
        while done < buffer.len() {
            let place = at + done as u64;
            done += match retry_on_intr(|| pread(&fd, &mut buffer[done..], place))? {
                0 => break,
                // Fewer than asked come at the end of the file, or (on the network) at the end of a page.
                got if !(place + got as u64).is_multiple_of(PAGE) => return Ok(done + got),
                got => got,
            };
        }
        Ok(done)
    }

    /// Writes `data` at `at`; with `drops` set-user-id ends. Returns whether the mode changed.
    pub(super) fn write(&self, node: &Arc<Node>, at: u64, data: &[u8], drops: bool) -> Result<bool> {
        let fd = self.writer(node)?;
        let drops = drops && self.is_suid(node)?; // the kernel asks for every write of those who may not keep it
        if data.len() >= LARGE {
            self.turns.slow();
        }
        write_all(&fd, data, at)?;
        if drops {
            self.drop_suid(node)?;
        }
        Ok(drops)
    }

    /// Writes a file's contents to the disk.
    pub(super) fn fsync(&self, node: &Arc<Node>, data_only: bool) -> Result<()> {
        // What is in a lower layer was never changed here.
        if self.options.volatile || read(&node.state).layer != UPPER {
            return Ok(());
        }
        self.turns.slow();
        if node.is_dir() {
            return fs::fsync(self.upper_dir(node)?);
        }
        let fd = self.reader(node)?;
        if data_only { fs::fdatasync(fd) } else { fs::fsync(fd) }
    }

    /// Gives or takes the space of a part of a file.
    pub(super) fn fallocate(&self, node: &Arc<Node>, mode: u32, at: u64, len: u64) -> Result<()> {
        let fd = self.writer(node)?;
        self.turns.slow();
        retry_on_intr(|| fs::fallocate(&fd, FallocateFlags::from_bits_retain(mode), at, len))
    }

    /// Finds the next data (`whence` 3) or hole (4).
    pub(super) fn lseek(&self, node: &Arc<Node>, at: u64, whence: u32) -> Result<u64> {
        let fd = self.reader(node)?;
        match whence {
            3 => fs::seek(fd, SeekFrom::Data(at)),
            4 => fs::seek(fd, SeekFrom::Hole(at)),
            _ => Err(Errno::INVAL),
        }
    }

    /// Copies between two files inside the layers' file systems.
    pub(super) fn copy_range(
        &self,
        from: (&Arc<Node>, u64),
        to: (&Arc<Node>, u64),
        len: usize,
    ) -> Result<usize> {
        let target = self.writer(to.0)?;
        let source = self.reader(from.0)?;
        if len >= LARGE || !self.is_at_hand(from.0, &source, from.1) {
            self.turns.slow();
        }
        let (mut read_at, mut write_at) = (from.1, to.1);
        retry_on_intr(|| fs::copy_file_range(&source, Some(&mut read_at), &target, Some(&mut write_at), len))
    }

    /// Whether a file, open as `fd`, can be read from `at` without waiting for a disk, as far as its first byte tells.
    fn is_at_hand(&self, node: &Node, fd: &Fd, at: u64) -> bool {
        let read_byte = || preadv2(fd, &mut [IoSliceMut::new(&mut [0])], at, ReadWriteFlags::NOWAIT);
        self.is_in_memory(read(&node.state).layer) || read_byte().is_ok()
    }

    /// Space and names of the file system that takes the changes.
    pub(super) fn statfs(&self) -> Result<StatVfs> {
        let root = self.node(super::node::ROOT)?;
        let reals = root.reals();
        fs::fstatvfs(self.dir_fd(&root, reals.first().ok_or(Errno::IO)?)?)
    }
}
