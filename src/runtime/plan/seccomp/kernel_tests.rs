//! The default filter on the real kernel, loaded into a child of the test.

use rustix::io::Errno;

use super::{Arch, default_filter};
use crate::spec::CapSet;
use crate::sys::prctl;
use crate::sys::seccomp::testing::{Ended, call, in_child};
use crate::sys::seccomp::{BpfInsn, FilterFlags, load_filter};

/// Loads the default filter in a child, then makes calls there; gives 0 or the index of the first wrong one plus 1.
fn confined<T>(tries: &[T], right: impl Fn(&T) -> bool) -> Ended {
    let filter = default_filter(CapSet::DOCKER_DEFAULT).unwrap();
    in_child(|| load_and(&filter, || first_wrong(tries, right)))
}

fn load_and(filter: &[BpfInsn], then: impl FnOnce() -> u8) -> u8 {
    if prctl::set_no_new_privs().is_err() || load_filter(filter, FilterFlags::NONE).is_err() {
        return 255;
    }
    then()
}

fn first_wrong<T>(tries: &[T], right: impl Fn(&T) -> bool) -> u8 {
    let wrong = tries.iter().position(|one| !right(one));
    wrong.map_or(0, |index| u8::try_from(index + 1).unwrap_or(254))
}

fn number(name: &str) -> i64 {
    Arch::native()
        .and_then(|arch| arch.number(name))
        .unwrap()
        .into()
}

#[test]
fn refused_calls() {
    let names = "mount umount2 pivot_root unshare setns keyctl add_key request_key bpf perf_event_open userfaultfd \
                 io_uring_setup io_uring_enter open_by_handle_at fsopen fsmount move_mount open_tree mount_setattr \
                 kexec_load init_module finit_module delete_module reboot swapon swapoff acct quotactl syslog mbind \
                 move_pages settimeofday clock_settime pidfd_getfd process_madvise kcmp vhangup sethostname \
                 fanotify_init lsm_set_self_attr";
    let calls: Vec<i64> = names.split_whitespace().map(number).collect();
    // Bad arguments everywhere: what the kernel itself would say is EFAULT, EINVAL or EBADF.
    let refused = |nr: &i64| call(*nr, [u64::MAX; 4]) == Err(Errno::PERM);
    assert_eq!(
        confined(&calls, refused),
        Ended::Said(0),
        "index + 1 in {names}"
    );
}

#[test]
fn absent_calls() {
    let calls = [
        number("clone3"),
        number("open_tree_attr"),
        number("file_getattr"),
        600,
    ];
    let absent = |nr: &i64| call(*nr, [u64::MAX; 4]) == Err(Errno::NOSYS);
    assert_eq!(confined(&calls, absent), Ended::Said(0));
}

#[test]
fn allowed_calls() {
    let calls: Vec<(i64, [u64; 4])> = vec![
        (number("getpid"), [0; 4]),
        (number("personality"), [0xffff_ffff, 0, 0, 0]),
        (number("socket"), [1, 1, 0, 0]),
        (number("socket"), [16, 3, 0, 0]),
        (number("seccomp"), [99, 0, 0, 0]),
        (number("ptrace"), [u64::MAX; 4]),
        (number("landlock_create_ruleset"), [0, 0, 1, 0]),
        (number("chroot"), [u64::MAX, 0, 0, 0]),
    ];
    let passed = |(nr, args): &(i64, [u64; 4])| {
        !matches!(call(*nr, *args), Err(Errno::PERM | Errno::NOSYS))
            // Where the kernel itself has no such thing.
            || *nr == number("landlock_create_ruleset")
    };
    assert_eq!(confined(&calls, passed), Ended::Said(0));
}

#[test]
fn arguments_decide() {
    let family = |family| (number("socket"), [family, 1, 0, 0]);
    let clone = |flags| (number("clone"), [flags, 0, 0, 0]);
    let calls = [
        family(40),
        family(38),
        family(1 << 32 | 1),
        (number("personality"), [0x0004_0000, 0, 0, 0]),
        clone(0x1000_0000 | 17),
        clone(0x0002_0000 | 17),
        clone(0x4000_0000 | 17),
    ];
    let refused = |(nr, args): &(i64, [u64; 4])| call(*nr, *args) == Err(Errno::PERM);
    assert_eq!(confined(&calls, refused), Ended::Said(0));
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::*;
    use crate::sys::seccomp::testing::call_i386;

    #[test]
    fn i386_gate() {
        // getpid by the gate, unfiltered: does this kernel have it?
        let there = in_child(|| u8::from(call_i386(20, [0; 2]).is_ok()));
        if there != Ended::Said(1) {
            // This kernel runs no i386 programs.
            return;
        }
        // mount, umount2, bpf, unshare, keyctl; their numbers mean other, allowed calls on x86_64.
        let calls = [21, 52, 357, 310, 288];
        let refused = |nr: &i32| call_i386(*nr, [0; 2]) == Err(Errno::PERM);
        assert_eq!(confined(&calls, refused), Ended::Said(0));
        let passed = |nr: &i32| call_i386(*nr, [0; 2]).is_ok();
        // getpid, getuid32.
        assert_eq!(confined(&[20, 199], passed), Ended::Said(0));
        let absent = |nr: &i32| call_i386(*nr, [0; 2]) == Err(Errno::NOSYS);
        assert_eq!(confined(&[435, 500], absent), Ended::Said(0));
    }

    #[test]
    fn x32_calls() {
        let refused = |nr: &i64| {
            matches!(
                call(*nr | 0x4000_0000, [0; 4]),
                Err(Errno::PERM | Errno::NOSYS)
            )
        };
        // mount, bpf, and the 64-bit numbers of ioctl and execve, which x32 has elsewhere.
        assert_eq!(confined(&[165, 321, 16, 59], refused), Ended::Said(0));
    }

    #[test]
    fn unlisted_abi_is_killed() {
        let profile =
            super::super::Profile::parse(br#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap();
        let ctx = super::super::Context::new(CapSet::EMPTY, "6.1").unwrap();
        let filter = super::super::compile(&profile, &ctx).unwrap();
        let x32 = in_child(|| load_and(&filter, || u8::from(call(0x4000_0027, [0; 4]).is_ok())));
        assert_eq!(x32, Ended::Signal(libc::SIGSYS));
        let native = in_child(|| load_and(&filter, || u8::from(call(39, [0; 4]).is_ok())));
        assert_eq!(native, Ended::Said(1));
    }
}

#[test]
fn faked_ids_in_every_abi() {
    use super::fakes::{Extent, filter};
    let filter = filter(Extent { notify: false, full: false }).unwrap();
    // Ids this process certainly may not take, and a file descriptor that is none: without the filter all of these fail.
    let own = ["setuid", "setgid", "setresuid", "setgroups", "fchown"].map(number);
    let x32 = ["setresgid", "setreuid"].map(|name| Arch::X32.number(name).map(i64::from));
    let i386 = ["setuid", "setuid32", "setresgid32", "fchown", "lchown32"].map(|name| Arch::X86.number(name));
    let said = in_child(|| {
        load_and(&filter, || {
            let native = own.iter().all(|&number| call(number, [4_000_000_001, 4_000_000_001, 4_000_000_001, 0]) == Ok(0));
            // A device is faked, a directory is not: bad addresses are only noticed by who looks.
            let device = call(self::number("mknodat"), [u64::MAX, 0, 0o020_600, 0x103]) == Ok(0);
            let pipe = call(self::number("mknodat"), [u64::MAX, 0, 0o010_600, 0]) != Ok(0);
            let others = call(self::number("mkdirat"), [u64::MAX, 0, 0, 0]) != Ok(0);
            u8::from(!native) | u8::from(!device) << 1 | u8::from(!pipe) << 2 | u8::from(!others) << 3
        })
    });
    assert_eq!(said, Ended::Said(0));
    #[cfg(target_arch = "x86_64")]
    {
        use crate::sys::seccomp::testing::call_i386;
        // Where the kernel has no x32, its calls are cut to the filter's answer all the same.
        let said = in_child(|| load_and(&filter, || u8::from(!x32.iter().flatten().all(|&number| call(number, [4_000_000_001; 4]) == Ok(0)))));
        assert_eq!(said, Ended::Said(0));
        let plain = in_child(|| if call_i386(20, [0, 0]).is_ok() { 0 } else { 1 });
        if plain == Ended::Said(0) {
            let numbers: Vec<i32> = i386.iter().flatten().filter_map(|&number| i32::try_from(number).ok()).collect();
            let said = in_child(|| load_and(&filter, || first_wrong(&numbers, |&number| call_i386(number, [60_001, 60_001]) == Ok(0))));
            assert_eq!(said, Ended::Said(0));
        }
    }
}
