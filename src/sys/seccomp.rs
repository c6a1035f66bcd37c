//! Loading a seccomp filter into the calling process.
//!
//! System calls only, no allocation: meant for the moment between clone and exec. What the filter says is decided by
//! `runtime::plan::seccomp`.

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::{prctl, process};

/// One classic BPF instruction, in the layout of `struct sock_filter` (linux/filter.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct BpfInsn {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a condition holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

impl BpfInsn {
    /// The opposite of packing into a number.
    #[must_use]
    pub const fn unpack(packed: u64) -> Self {
        let [c0, c1, jt, jf, k0, k1, k2, k3] = packed.to_be_bytes();
        Self {
            code: u16::from_be_bytes([c0, c1]),
            jt,
            jf,
            k: u32::from_be_bytes([k0, k1, k2, k3]),
        }
    }
}

impl From<u64> for BpfInsn {
    fn from(packed: u64) -> Self {
        Self::unpack(packed)
    }
}

impl From<BpfInsn> for u64 {
    /// Packed for storing: code, jt, jf, k from the most significant bits down.
    fn from(insn: BpfInsn) -> Self {
        let BpfInsn { code, jt, jf, k } = insn;
        (Self::from(code) << 48) | (Self::from(jt) << 40) | (Self::from(jf) << 32) | Self::from(k)
    }
}

/// The most instructions the kernel takes (`BPF_MAXINSNS`).
pub const MAX_INSNS: usize = 4096;

/// Flags of seccomp(2), `SECCOMP_FILTER_FLAG_*`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilterFlags(u32);

impl FilterFlags {
    /// None.
    pub const NONE: Self = Self(0);
    /// Log every action but ALLOW.
    pub const LOG: Self = Self(1 << 1);
    /// Do not switch on the speculative store bypass mitigation.
    pub const SPEC_ALLOW: Self = Self(1 << 2);
    /// Give back a descriptor for NOTIFY.
    pub const NEW_LISTENER: Self = Self(1 << 3);
    /// Once a notification was received, only a fatal signal interrupts the caller.
    pub const WAIT_KILLABLE_RECV: Self = Self(1 << 5);

    /// Both.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The kernel's mask.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// Loads `filter` into the calling thread (and all it starts). Needs CAP_SYS_ADMIN in its user namespace, or
/// no_new_privs. Gives the listener if [`FilterFlags::NEW_LISTENER`] was asked. The filter applies from the next
/// system call on, so it has to be the last step before exec that may be refused.
pub fn load_filter(filter: &[BpfInsn], flags: FilterFlags) -> Result<Option<OwnedFd>, Errno> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(|_| Errno::INVAL)?,
        filter: filter.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: `program` describes `filter`, whose items have the layout of sock_filter; the kernel copies it and does
    // not write to it.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER),
            libc::c_ulong::from(flags.bits()),
            &raw const program,
        )
    };
    if result < 0 {
        // SAFETY: the address of this thread's errno is always valid.
        return Err(Errno::from_raw_os_error(unsafe {
            *libc::__errno_location()
        }));
    }
    if !flags.contains(FilterFlags::NEW_LISTENER) {
        return Ok(None);
    }
    let fd = i32::try_from(result).map_err(|_| Errno::BADF)?;
    // SAFETY: with NEW_LISTENER the result is a new descriptor that nobody else owns.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Whether a filter loaded from here on may have a listener. Of the filters above a process one alone may have it, so inside
/// of what is supervised already (a container in single-id mode, some sandboxes) it is tried, in a child.
#[must_use]
pub fn can_listen() -> bool {
    if !prctl::is_filtered().unwrap_or(true) {
        return true;
    }
    match process::fork() {
        Ok(None) => {
            let allow = BpfInsn { code: 0x06, jt: 0, jf: 0, k: libc::SECCOMP_RET_ALLOW };
            let loaded = prctl::set_no_new_privs().and_then(|()| load_filter(&[allow], FilterFlags::NEW_LISTENER));
            process::exit_now(i32::from(loaded.is_err()))
        }
        Ok(Some(pid)) => process::wait_for(pid).is_ok_and(|ended| ended.code() == 0),
        Err(_) => false,
    }
}

/// Whether the kernel supports `action` (a `SECCOMP_RET_*` value).
#[must_use]
pub fn action_available(action: u32) -> bool {
    let get_action_avail: libc::c_ulong = 2;
    let no_flags: libc::c_ulong = 0;
    // SAFETY: reads one u32 that outlives the call.
    unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            get_action_avail,
            no_flags,
            &raw const action,
        ) == 0
    }
}

/// System calls by number, in a child that may not survive: for tests of filters on the real kernel.
#[cfg(test)]
pub(crate) mod testing {
    use super::Errno;

    /// How the child ended.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) enum Ended {
        /// With what the closure gave.
        Said(u8),
        /// By this signal.
        Signal(i32),
    }

    /// Runs `body`, which must make nothing but system calls, in a forked child.
    pub(crate) fn in_child(body: impl FnOnce() -> u8) -> Ended {
        // SAFETY: the child of this threaded process only makes system calls, by contract, and leaves with _exit.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            let said = body();
            // SAFETY: ends the process.
            unsafe { libc::_exit(said.into()) };
        }
        let mut status = 0;
        // SAFETY: waits for our own child and writes to a local.
        assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
        if libc::WIFEXITED(status) {
            Ended::Said(libc::WEXITSTATUS(status).to_le_bytes()[0])
        } else {
            Ended::Signal(libc::WTERMSIG(status))
        }
    }

    /// A system call whose arguments are numbers or bad addresses.
    pub(crate) fn call(number: i64, args: [u64; 4]) -> Result<i64, Errno> {
        // SAFETY: the tests pass no address of anything that lives.
        let result =
            unsafe { libc::syscall(number, args[0], args[1], args[2], args[3], 0_u64, 0_u64) };
        if result < 0 {
            // SAFETY: the address of this thread's errno is always valid.
            return Err(Errno::from_raw_os_error(unsafe {
                *libc::__errno_location()
            }));
        }
        Ok(result)
    }

    /// The same by the gate of i386 programs; a signal where the kernel has none.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn call_i386(number: i32, args: [u32; 2]) -> Result<i32, Errno> {
        let result: i32;
        // SAFETY: as `call`; rbx, which the compiler keeps for itself, is swapped in and out, and the gate may
        // clobber r8 to r11 only.
        unsafe {
            core::arch::asm!(
                "xchg rbx, {first:r}",
                "int 0x80",
                "xchg rbx, {first:r}",
                first = inout(reg) u64::from(args[0]) => _,
                inlateout("eax") number => result,
                in("ecx") args[1],
                in("edx") 0,
                in("esi") 0,
                in("edi") 0,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        if (-4095..0).contains(&result) {
            Err(Errno::from_raw_os_error(-result))
        } else {
            Ok(result)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing() {
        let insn = BpfInsn {
            code: 0x15,
            jt: 3,
            jf: 200,
            k: 0xdead_beef,
        };
        assert_eq!(BpfInsn::from(u64::from(insn)), insn);
        assert_eq!(
            serde_json::to_string(&[insn]).unwrap(),
            format!("[{}]", 0x0015_03c8_dead_beef_u64)
        );
        assert_eq!(size_of::<BpfInsn>(), size_of::<libc::sock_filter>());
    }
}
