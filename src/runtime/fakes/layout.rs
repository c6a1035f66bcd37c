//! What stat(2), its relatives and statx(2) write, per ABI, byte by byte. Pure.

use rustix::fs::{Stat, Statx};

use crate::runtime::plan::seccomp::Arch;
use crate::userns::owner::Owner;

/// A buffer written front to back by offset.
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(size: usize) -> Self {
        Self(vec![0; size])
    }

    fn put<const N: usize>(&mut self, offset: usize, bytes: [u8; N]) -> &mut Self {
        self.0[offset..offset + N].copy_from_slice(&bytes);
        self
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the 32-bit ABIs have no room for more")]
const fn low(value: u64) -> u32 {
    value as u32
}

/// The kernel's encoding of a device number in 64 bits is the C library's.
fn owned(stat: &Stat, owner: &Owner) -> (u32, u32, u32, u64) {
    let rdev = if owner.is_device() { owner.rdev } else { stat.st_rdev };
    (owner.mode, owner.uid, owner.gid, rdev)
}

/// `struct stat`, or on 32-bit ABIs `struct stat64`.
#[expect(clippy::cast_sign_loss, reason = "bits are copied")]
pub(super) fn stat(arch: Arch, stat: &Stat, owner: &Owner) -> Vec<u8> {
    let (mode, uid, gid, rdev) = owned(stat, owner);
    let times = [
        (stat.st_atime as u64, stat.st_atime_nsec),
        (stat.st_mtime as u64, stat.st_mtime_nsec),
        (stat.st_ctime as u64, stat.st_ctime_nsec),
    ];
    let (size, blocks, block) = (stat.st_size as u64, stat.st_blocks as u64, low(stat.st_blksize as u64));
    let links = stat.st_nlink as u64;
    match arch {
        Arch::X86_64 | Arch::X32 | Arch::Aarch64 => {
            let wide = arch != Arch::Aarch64;
            let mut out = Bytes::new(if wide { 144 } else { 128 });
            out.put(0, stat.st_dev.to_ne_bytes()).put(8, stat.st_ino.to_ne_bytes()).put(48, size.to_ne_bytes());
            if wide {
                out.put(16, links.to_ne_bytes()).put(24, mode.to_ne_bytes()).put(28, uid.to_ne_bytes());
                out.put(32, gid.to_ne_bytes()).put(40, rdev.to_ne_bytes()).put(56, u64::from(block).to_ne_bytes());
            } else {
                out.put(16, mode.to_ne_bytes()).put(20, low(links).to_ne_bytes()).put(24, uid.to_ne_bytes());
                out.put(28, gid.to_ne_bytes()).put(32, rdev.to_ne_bytes()).put(56, block.to_ne_bytes());
            }
            out.put(64, blocks.to_ne_bytes());
            for (index, (seconds, nanos)) in times.into_iter().enumerate() {
                out.put(72 + 16 * index, seconds.to_ne_bytes()).put(80 + 16 * index, (nanos as u64).to_ne_bytes());
            }
            out.0
        }
        Arch::X86 | Arch::Arm => {
            // The same fields; arm aligns the 64-bit ones.
            let (at_size, at_block, at_blocks, at_times, at_ino, total) =
                if arch == Arch::X86 { (44, 52, 56, 64, 88, 96) } else { (48, 56, 64, 72, 96, 104) };
            let mut out = Bytes::new(total);
            out.put(0, stat.st_dev.to_ne_bytes()).put(12, low(stat.st_ino).to_ne_bytes()).put(16, mode.to_ne_bytes());
            out.put(20, low(links).to_ne_bytes()).put(24, uid.to_ne_bytes()).put(28, gid.to_ne_bytes());
            out.put(32, rdev.to_ne_bytes()).put(at_size, size.to_ne_bytes()).put(at_block, block.to_ne_bytes());
            out.put(at_blocks, blocks.to_ne_bytes()).put(at_ino, stat.st_ino.to_ne_bytes());
            for (index, (seconds, nanos)) in times.into_iter().enumerate() {
                let at = at_times + 8 * index;
                out.put(at, low(seconds).to_ne_bytes()).put(at + 4, low(nanos as u64).to_ne_bytes());
            }
            out.0
        }
    }
}

/// `struct statx`, the same on all ABIs.
pub(super) fn statx(x: &Statx, owner: &Owner) -> Vec<u8> {
    let mut out = Bytes::new(256);
    #[expect(clippy::cast_possible_truncation, reason = "type and permissions are 16 bits")]
    let mode = owner.mode as u16;
    let (major, minor) = if owner.is_device() {
        (rustix::fs::major(owner.rdev), rustix::fs::minor(owner.rdev))
    } else {
        (x.stx_rdev_major, x.stx_rdev_minor)
    };
    out.put(0, x.stx_mask.to_ne_bytes()).put(4, x.stx_blksize.to_ne_bytes()).put(8, x.stx_attributes.bits().to_ne_bytes());
    out.put(16, x.stx_nlink.to_ne_bytes()).put(20, owner.uid.to_ne_bytes()).put(24, owner.gid.to_ne_bytes());
    out.put(28, mode.to_ne_bytes()).put(32, x.stx_ino.to_ne_bytes()).put(40, x.stx_size.to_ne_bytes());
    out.put(48, x.stx_blocks.to_ne_bytes()).put(56, x.stx_attributes_mask.bits().to_ne_bytes());
    for (at, time) in [(64, x.stx_atime), (80, x.stx_btime), (96, x.stx_ctime), (112, x.stx_mtime)] {
        out.put(at, time.tv_sec.to_ne_bytes()).put(at + 8, time.tv_nsec.to_ne_bytes());
    }
    out.put(128, major.to_ne_bytes()).put(132, minor.to_ne_bytes());
    out.put(136, x.stx_dev_major.to_ne_bytes()).put(140, x.stx_dev_minor.to_ne_bytes());
    out.put(144, x.stx_mnt_id.to_ne_bytes()).put(152, x.stx_dio_mem_align.to_ne_bytes());
    out.put(156, x.stx_dio_offset_align.to_ne_bytes());
    out.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn as_the_kernel_writes_them() {
        // What the C library reads of our bytes is what the kernel told.
        let path = std::env::current_exe().expect("a path");
        let mine = rustix::fs::stat(&path).expect("stat");
        let bytes = stat(Arch::X86_64, &mine, &Owner { uid: 77, gid: 88, ..Owner::of(&mine) });
        let word = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("eight"));
        let half = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four"));
        assert_eq!(bytes.len(), size_of::<libc::stat>());
        assert_eq!((word(std::mem::offset_of!(libc::stat, st_ino)), half(std::mem::offset_of!(libc::stat, st_uid))), (mine.st_ino, 77));
        assert_eq!(half(std::mem::offset_of!(libc::stat, st_gid)), 88);
        assert_eq!(half(std::mem::offset_of!(libc::stat, st_mode)), mine.st_mode);
        assert_eq!(word(std::mem::offset_of!(libc::stat, st_size)).cast_signed(), mine.st_size);
        assert_eq!(word(std::mem::offset_of!(libc::stat, st_nlink)), mine.st_nlink);
        assert_eq!(word(std::mem::offset_of!(libc::stat, st_blocks)).cast_signed(), mine.st_blocks);
        assert_eq!(word(std::mem::offset_of!(libc::stat, st_mtime)).cast_signed(), mine.st_mtime);
        assert_eq!(word(std::mem::offset_of!(libc::stat, st_ctime_nsec)), mine.st_ctime_nsec as u64);
        assert_eq!((stat(Arch::X86, &mine, &Owner::of(&mine)).len(), stat(Arch::Arm, &mine, &Owner::of(&mine)).len()), (96, 104));
    }
}
