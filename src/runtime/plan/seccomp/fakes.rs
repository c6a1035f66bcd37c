//! The second filter of a container in single-id mode: system calls about owners and ids that the kernel would refuse
//! there succeed, or go to the supervisor (`runtime::fakes`). It says nothing of other calls, and nothing it lets pass
//! escapes the first filter: of two filters the stricter answer counts.

use super::arch::Arch;
use super::compile::assemble;
use super::profile::{Action, Cond, Op};
use super::select::{Decision, Policy};
use super::Error;
use crate::sys::seccomp::BpfInsn;

/// How much is faked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// There is a supervisor; else calls succeed and nothing comes of it.
    pub notify: bool,
    /// It also answers what a file's owner is, and ids outlive the program that set them.
    pub full: bool,
}

/// Calls that change a file's owner.
pub const CHOWN: [&str; 7] = ["chown", "chown32", "fchown", "fchown32", "fchownat", "lchown", "lchown32"];
/// Calls that change a file's mode. The kernel does it; what is recorded of the file must follow.
pub const CHMOD: [&str; 4] = ["chmod", "fchmod", "fchmodat", "fchmodat2"];
/// Calls that change ids of a process.
pub const SET_IDS: [&str; 18] = [
    "setfsgid", "setfsgid32", "setfsuid", "setfsuid32", "setgid", "setgid32", "setgroups", "setgroups32", "setregid",
    "setregid32", "setresgid", "setresgid32", "setresuid", "setresuid32", "setreuid", "setreuid32", "setuid", "setuid32",
];
/// Calls that ask for them.
pub const GET_IDS: [&str; 14] = [
    "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32", "getresgid",
    "getresgid32", "getresuid", "getresuid32", "getuid", "getuid32",
];
/// Calls that tell a file's owner. The oldest of the 32-bit ABIs tell the kernel's truth: no C library makes them.
pub const STAT: [&str; 9] =
    ["fstat", "fstat64", "fstatat64", "lstat", "lstat64", "newfstatat", "stat", "stat64", "statx"];
/// Calls after which a process may be somebody else (a recorded set-user-id bit).
pub const EXEC: [&str; 2] = ["execve", "execveat"];
/// Calls that make something which belongs to its maker.
pub const MAKE: [&str; 5] = ["creat", "mkdir", "mkdirat", "symlink", "symlinkat"];

/// The option of prctl(2) after which a change of user does not end being root.
pub const PR_SET_KEEPCAPS: u64 = 8;

/// Where the supervisor keeps who a process is.
const RLIMIT_LOCKS: u64 = 10;
/// The option of getsockopt(2) that tells who is at the other end, at level SOL_SOCKET (1).
const SO_PEERCRED: u64 = 17;

/// Whether `name` on `arch` has ids of 16 bits.
pub fn is_short(arch: Arch, name: &str) -> bool {
    arch.narrow() && !name.ends_with("32") && (CHOWN.contains(&name) || SET_IDS.contains(&name) || GET_IDS.contains(&name))
        && name != "fchownat"
}

/// Whether the call is one of those in [`STAT`] that are answered on this ABI.
pub fn is_answered_stat(arch: Arch, name: &str) -> bool {
    STAT.contains(&name) && !(arch.narrow() && matches!(name, "stat" | "lstat" | "fstat"))
}

/// Compiles the filter for this machine.
///
/// # Errors
/// No table of system calls for it.
pub fn filter(extent: Extent) -> Result<Vec<BpfInsn>, Error> {
    let native = Arch::native().ok_or(Error::Unsupported)?;
    let policies: Vec<Policy> =
        Arch::ALL.into_iter().filter(|arch| arch.runs_on(native)).map(|arch| policy(arch, extent)).collect();
    assemble(&policies, native, Action::Allow)
}

fn policy(arch: Arch, extent: Extent) -> Policy {
    let supervised = if extent.notify { Action::Notify } else { Action::Errno(0) };
    let mut policy = Policy { arch, calls: std::collections::BTreeMap::new(), default: Action::Allow, newer: None };
    let mut set = |name: &str, decision: Decision| {
        if let Some(number) = super::arch::Call::named(name).and_then(|call| call.number(arch)) {
            policy.calls.insert(number, decision);
        }
    };
    for name in CHOWN {
        set(name, Decision::Always(supervised));
    }
    // Of what mknod(2) makes, devices alone are refused in a user namespace.
    for (name, index) in [("mknod", 1), ("mknodat", 2)] {
        let device = |kind| vec![Cond { index, op: Op::MaskedEq, value: 0o170_000, value_two: kind }];
        set(name, Decision::First(vec![(device(0o020_000), supervised), (device(0o060_000), supervised)]));
    }
    for name in SET_IDS {
        set(name, Decision::Always(supervised));
    }
    if extent.notify {
        for name in GET_IDS.into_iter().chain(EXEC).chain(CHMOD) {
            set(name, Decision::Always(Action::Notify));
        }
        let keeps = vec![Cond { index: 0, op: Op::Eq, value: PR_SET_KEEPCAPS, value_two: 0 }];
        set("prctl", Decision::First(vec![(keeps, Action::Notify)]));
        // The supervisor keeps ids in a limit that does nothing (`runtime::fakes::calls`): it is not the program's to set.
        let eq = |index, value| Cond { index, op: Op::Eq, value, value_two: 0 };
        let some = |index| Cond { index, op: Op::Ne, value: 0, value_two: 0 };
        set("setrlimit", Decision::First(vec![(vec![eq(0, RLIMIT_LOCKS)], Action::Errno(0))]));
        set("prlimit64", Decision::First(vec![(vec![eq(1, RLIMIT_LOCKS), some(2)], Action::Errno(0))]));
    }
    if extent.full && extent.notify {
        let asked = MAKE.into_iter().chain(STAT.into_iter().filter(|name| is_answered_stat(arch, name)));
        for name in asked.chain(["openat2"]) {
            set(name, Decision::Always(Action::Notify));
        }
        let peer = vec![
            Cond { index: 1, op: Op::Eq, value: 1, value_two: 0 },
            Cond { index: 2, op: Op::Eq, value: SO_PEERCRED, value_two: 0 },
        ];
        set("getsockopt", Decision::First(vec![(peer, Action::Notify)]));
        const O_CREAT: u64 = 0o100;
        const O_TRUNC: u64 = 0o1000;
        for (name, index) in [("open", 1), ("openat", 2)] {
            let with = |flag| (vec![Cond { index, op: Op::MaskedEq, value: flag, value_two: flag }], Action::Notify);
            set(name, Decision::First(vec![with(O_CREAT), with(O_TRUNC)]));
        }
    }
    policy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_number_somewhere() {
        for name in CHOWN.into_iter().chain(CHMOD).chain(SET_IDS).chain(GET_IDS).chain(STAT).chain(EXEC).chain(MAKE) {
            assert!(Arch::ALL.iter().any(|arch| arch.number(name).is_some()), "{name}");
        }
        assert!(is_short(Arch::X86, "setuid") && !is_short(Arch::X86, "setuid32") && !is_short(Arch::X86_64, "setuid"));
    }

    #[test]
    fn filters_fit() {
        for (notify, full) in [(false, false), (true, false), (true, true)] {
            let filter = filter(Extent { notify, full }).expect("compiles");
            assert!(filter.len() < 600, "{}", filter.len());
        }
    }
}
