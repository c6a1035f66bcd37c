//! prctl(2) bits of the calling process. System calls only, so usable between clone and exec.

use rustix::io::Errno;

fn prctl(option: libc::c_int, arg2: libc::c_ulong) -> Result<libc::c_int, Errno> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the options used in this file take integers only; the unused arguments are zero as they demand.
    let result = unsafe { libc::prctl(option, arg2, zero, zero, zero) };
    if result < 0 {
        // SAFETY: the address of this thread's errno is always valid.
        return Err(Errno::from_raw_os_error(unsafe {
            *libc::__errno_location()
        }));
    }
    Ok(result)
}

/// No exec from here on gains privileges (setuid files, file capabilities). Cannot be undone.
pub fn set_no_new_privs() -> Result<(), Errno> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// Whether [`set_no_new_privs`] was called in this process or an ancestor.
pub fn no_new_privs() -> Result<bool, Errno> {
    prctl(libc::PR_GET_NO_NEW_PRIVS, 0).map(|set| set == 1)
}

/// Whether this thread is under a seccomp filter.
pub fn is_filtered() -> Result<bool, Errno> {
    prctl(libc::PR_GET_SECCOMP, 0).map(|mode| mode == 2)
}

/// Whether others of the same user may look into this process (/proc/PID/{exe,fd,environ}, ptrace, core dumps).
pub fn set_dumpable(dumpable: bool) -> Result<(), Errno> {
    prctl(libc::PR_SET_DUMPABLE, dumpable.into()).map(drop)
}

/// Sends `signal` to this process when its parent thread ends; 0 for none. Cleared by exec of a file that gains
/// privileges and by a change of ids, so call it after those, and then check the parent is still the same.
pub fn set_parent_death_signal(signal: libc::c_int) -> Result<(), Errno> {
    prctl(
        libc::PR_SET_PDEATHSIG,
        libc::c_ulong::try_from(signal).unwrap_or(0),
    )
    .map(drop)
}

/// Whether the permitted set survives a change from uid 0 to another. Cleared by exec.
pub fn set_keep_caps(keep: bool) -> Result<(), Errno> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into()).map(drop)
}

/// Secure bits (`SECBIT_*` of linux/securebits.h). Needs CAP_SETPCAP.
pub fn set_securebits(bits: u32) -> Result<(), Errno> {
    prctl(libc::PR_SET_SECUREBITS, bits.into()).map(drop)
}

/// Makes this process the parent of its orphaned descendants.
pub fn set_child_subreaper(on: bool) -> Result<(), Errno> {
    prctl(libc::PR_SET_CHILD_SUBREAPER, on.into()).map(drop)
}
