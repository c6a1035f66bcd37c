//! The ABIs a filter has to decide for, and their system call numbers.

use super::table;

/// Bit that marks an x32 call on x86_64.
pub(super) const X32_BIT: u32 = 0x4000_0000;

/// One ABI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// i386.
    X86,
    /// Long registers, short pointers; shares `AUDIT_ARCH` with x86_64.
    X32,
    /// 64-bit arm.
    Aarch64,
    /// 32-bit arm (EABI).
    Arm,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::X86_64, Self::X86, Self::X32, Self::Aarch64, Self::Arm];

    /// The one this program was built for; none if kelp has no table for it.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::X86)
        } else if cfg!(target_arch = "arm") {
            Some(Self::Arm)
        } else {
            None
        }
    }

    /// The kernel's number in `seccomp_data.arch` (`AUDIT_ARCH_*`, linux/audit.h).
    #[must_use]
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// The name in `includes.arches` and `excludes.arches`.
    pub(super) const fn docker_name(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::X86 => "x86",
            Self::X32 => "x32",
            Self::Aarch64 => "arm64",
            Self::Arm => "arm",
        }
    }

    /// The name in `architectures` and `archMap`.
    pub(super) const fn scmp_name(self) -> &'static str {
        match self {
            Self::X86_64 => "SCMP_ARCH_X86_64",
            Self::X86 => "SCMP_ARCH_X86",
            Self::X32 => "SCMP_ARCH_X32",
            Self::Aarch64 => "SCMP_ARCH_AARCH64",
            Self::Arm => "SCMP_ARCH_ARM",
        }
    }

    /// By [`Self::scmp_name`].
    pub(super) fn from_scmp(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.scmp_name() == name)
    }

    /// Whether a kernel of `native` can run programs of this ABI.
    #[must_use]
    pub const fn runs_on(self, native: Self) -> bool {
        match native {
            Self::X86_64 => matches!(self, Self::X86_64 | Self::X86 | Self::X32),
            Self::Aarch64 => matches!(self, Self::Aarch64 | Self::Arm),
            Self::X86 => matches!(self, Self::X86),
            Self::X32 => false,
            Self::Arm => matches!(self, Self::Arm),
        }
    }

    /// Whether arguments are 32 bits wide, so that the upper half of each is zero.
    pub(super) const fn narrow(self) -> bool {
        matches!(self, Self::X86 | Self::Arm)
    }

    /// The number of system call `name` (with x32's bit), if this ABI has it.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u32> {
        let number = Call::named(name)?.number(self)?;
        Some(if self == Self::X32 {
            number | X32_BIT
        } else {
            number
        })
    }

    /// Numbers from here on belong to no call of the ordinary table (32-bit arm's private calls).
    pub(super) const fn private_from(self) -> Option<u32> {
        match self {
            Self::Arm => Some(0xf_0000),
            Self::X86_64 | Self::X86 | Self::X32 | Self::Aarch64 => None,
        }
    }
}

/// A system call, whatever its number is on some ABI: an index into the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Call(usize);

impl Call {
    pub(super) fn named(name: &str) -> Option<Self> {
        table::SYSCALLS
            .binary_search_by_key(&name, |(name, _)| name)
            .ok()
            .map(Self)
    }

    /// Its number on `arch`, without x32's bit.
    pub(super) fn number(self, arch: Arch) -> Option<u32> {
        let [x86_64, x86, x32, aarch64, arm] = table::SYSCALLS[self.0].1;
        let number = match arch {
            Arch::X86_64 => x86_64,
            Arch::X86 => x86,
            Arch::X32 => x32,
            Arch::Aarch64 => aarch64,
            Arch::Arm => arm,
        };
        (number != table::NONE).then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted() {
        assert!(table::SYSCALLS.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn numbers() {
        let number = |arch: Arch, name| arch.number(name);
        assert_eq!(number(Arch::X86, "mount"), Some(21));
        assert_eq!(number(Arch::X86, "socketcall"), Some(102));
        assert_eq!(number(Arch::X86_64, "socketcall"), None);
        assert_eq!(number(Arch::X32, "execve"), Some(X32_BIT | 520));
        assert_eq!(number(Arch::X32, "read"), Some(X32_BIT));
        assert_eq!(number(Arch::X32, "uselib"), None);
        assert_eq!(number(Arch::X32, "openat"), Some(X32_BIT | 257));
        assert_eq!(number(Arch::Arm, "set_tls"), Some(0xf_0005));
        for arch in [Arch::X86_64, Arch::X86, Arch::Aarch64, Arch::Arm] {
            assert_eq!(number(arch, "clone3"), Some(435));
        }
        assert_eq!(number(Arch::X86_64, "no_such_call"), None);
    }

    #[test]
    fn native_numbers_are_libcs() {
        let Some(native) = Arch::native() else { return };
        macro_rules! same {
            ($($name:ident $constant:ident,)*) => {
                $(assert_eq!(native.number(stringify!($name)).map(i64::from), Some(libc::$constant), stringify!($name));)*
            };
        }
        same! {
            read SYS_read, write SYS_write, openat SYS_openat, mount SYS_mount, umount2 SYS_umount2, clone SYS_clone,
            clone3 SYS_clone3, execve SYS_execve, execveat SYS_execveat, socket SYS_socket, bpf SYS_bpf,
            keyctl SYS_keyctl, add_key SYS_add_key, ptrace SYS_ptrace, unshare SYS_unshare, setns SYS_setns,
            openat2 SYS_openat2, io_uring_setup SYS_io_uring_setup, userfaultfd SYS_userfaultfd,
            personality SYS_personality, fchmodat2 SYS_fchmodat2, mseal SYS_mseal, newfstatat SYS_newfstatat,
            open_by_handle_at SYS_open_by_handle_at, pivot_root SYS_pivot_root, fsopen SYS_fsopen,
            mount_setattr SYS_mount_setattr, pidfd_getfd SYS_pidfd_getfd, seccomp SYS_seccomp,
        }
    }
}
