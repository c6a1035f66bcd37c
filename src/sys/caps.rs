//! Capability sets of the calling thread.
//!
//! Every function here makes only system calls: no allocation, no lock, so all may be called between clone and exec.
//! Sets are masks in the kernel's numbering (`spec::caps::CapSet::bits`); bits the running kernel has no name for are
//! left out silently, as it knows no operation they would allow.

use rustix::io::Errno;

/// The five sets of one thread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CapSets {
    /// Limits what any later exec can gain.
    pub bounding: u64,
    /// What is checked.
    pub effective: u64,
    /// What effective may be raised to.
    pub permitted: u64,
    /// Kept over exec together with file capabilities. Not empty is a hole (CVE-2022-24769).
    pub inheritable: u64,
    /// Kept over exec of an ordinary file.
    pub ambient: u64,
}

impl CapSets {
    /// What a container's process has at its exec: `caps` for root, none but the bound for another user; nothing is
    /// inheritable or ambient.
    #[must_use]
    pub const fn for_container(caps: u64, root: bool) -> Self {
        let held = if root { caps } else { 0 };
        Self {
            bounding: caps,
            effective: held,
            permitted: held,
            inheritable: 0,
            ambient: 0,
        }
    }
}

/// `_LINUX_CAPABILITY_VERSION_3` (linux/capability.h).
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn check(result: libc::c_long) -> Result<libc::c_long, Errno> {
    if result < 0 {
        // SAFETY: the address of this thread's errno is always valid.
        return Err(Errno::from_raw_os_error(unsafe {
            *libc::__errno_location()
        }));
    }
    Ok(result)
}

fn prctl(
    option: libc::c_int,
    arg2: libc::c_ulong,
    arg3: libc::c_ulong,
) -> Result<libc::c_long, Errno> {
    // SAFETY: the options used in this file take integers only; the unused arguments are zero as they demand.
    check(unsafe { libc::prctl(option, arg2, arg3, 0 as libc::c_ulong, 0 as libc::c_ulong) }.into())
}

/// Whether the kernel knows capability `number`, and whether it is in the bounding set.
fn bounding_has(number: u64) -> Option<bool> {
    match prctl(libc::PR_CAPBSET_READ, number, 0) {
        Ok(held) => Some(held == 1),
        Err(_) => None,
    }
}

const fn bit(mask: u64, number: u64) -> bool {
    mask & (1 << number) != 0
}

/// The capabilities the running kernel knows.
#[must_use]
pub fn known() -> u64 {
    (0..64)
        .take_while(|number| bounding_has(*number).is_some())
        .fold(0, |mask, number| mask | (1 << number))
}

/// Takes everything outside `keep` out of the bounding set. Needs CAP_SETPCAP if anything is to be taken out.
pub fn limit_bounding(keep: u64) -> Result<(), Errno> {
    for number in 0..64 {
        match bounding_has(number) {
            None => break,
            Some(true) if !bit(keep, number) => {
                prctl(libc::PR_CAPBSET_DROP, number, 0)?;
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Sets the effective, permitted and inheritable sets.
pub fn set(effective: u64, permitted: u64, inheritable: u64) -> Result<(), Errno> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let known = known();
    let word = |mask: u64, high: bool| {
        let mask = mask & known;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the two halves of the mask"
        )]
        let half = if high {
            (mask >> 32) as u32
        } else {
            mask as u32
        };
        half
    };
    let data = [false, true].map(|high| Data {
        effective: word(effective, high),
        permitted: word(permitted, high),
        inheritable: word(inheritable, high),
    });
    // SAFETY: version 3 reads one header and two data records; both outlive the call.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// Makes the ambient set exactly `mask`; each must be permitted and inheritable.
pub fn set_ambient(mask: u64) -> Result<(), Errno> {
    prctl(
        libc::PR_CAP_AMBIENT,
        libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong,
        0,
    )?;
    // The kernel is asked for what it knows number by number.
    let known = if mask == 0 { 0 } else { known() };
    for number in (0..64).filter(|number| bit(mask & known, *number)) {
        prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong,
            number,
        )?;
    }
    Ok(())
}

/// Applies all five sets in the only order that works: the bound while CAP_SETPCAP is still held, then the sets,
/// then ambient.
///
/// A seccomp filter without no_new_privs needs CAP_SYS_ADMIN at its loading. As exec itself cuts root's sets to the
/// bound, and another user's to nothing, it is enough to bound and to clear inheritable and ambient, load the filter
/// with what is still held as the last call, and exec.
/// When the user changes in between, call [`limit_bounding`] before (setuid loses CAP_SETPCAP) and keep
/// the permitted set over it with `prctl::keep_caps`.
pub fn apply(sets: &CapSets) -> Result<(), Errno> {
    limit_bounding(sets.bounding)?;
    set(sets.effective, sets.permitted, sets.inheritable)?;
    set_ambient(sets.ambient)
}

/// The sets of the calling thread.
pub fn current() -> Result<CapSets, Errno> {
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 reads one header and writes two data records; both are ours.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw const header, data.as_mut_ptr()) })?;
    let join =
        |part: fn(&Data) -> u32| u64::from(part(&data[0])) | (u64::from(part(&data[1])) << 32);
    let mut sets = CapSets {
        effective: join(|d| d.effective),
        permitted: join(|d| d.permitted),
        inheritable: join(|d| d.inheritable),
        ..CapSets::default()
    };
    for number in 0..64 {
        match bounding_has(number) {
            None => break,
            Some(held) => sets.bounding |= u64::from(held) << number,
        }
        let ambient = prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_IS_SET as libc::c_ulong,
            number,
        )?;
        sets.ambient |= u64::from(ambient == 1) << number;
    }
    Ok(sets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::seccomp::testing::{Ended, in_child};

    #[test]
    fn current_is_what_proc_says() {
        let sets = current().unwrap();
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = |key: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(key))
                .unwrap();
            u64::from_str_radix(line.trim(), 16).unwrap()
        };
        assert_eq!(sets.bounding, line("CapBnd:"));
        assert_eq!(sets.effective, line("CapEff:"));
        assert_eq!(sets.permitted, line("CapPrm:"));
        assert_eq!(sets.inheritable, line("CapInh:"));
        assert_eq!(sets.ambient, line("CapAmb:"));
        assert!(known() >= 0xff_ffff_ffff);
    }

    #[test]
    fn apply_sets_all_five() {
        const SETPCAP: u64 = 1 << 8;
        if current().unwrap().effective & SETPCAP == 0 {
            println!("skipped: needs CAP_SETPCAP");
            return;
        }
        let docker = 0xa804_25fb;
        let ended = in_child(|| {
            let want = CapSets::for_container(docker, true);
            let raised = CapSets {
                inheritable: SETPCAP,
                ambient: SETPCAP,
                ..want
            };
            if apply(&raised).is_err() || current() != Ok(raised) {
                return 1;
            }
            if apply(&want).is_err() || current() != Ok(want) {
                return 2;
            }
            let none = CapSets::for_container(docker, false);
            if apply(&none).is_err() || current() != Ok(none) {
                return 3;
            }
            // Gone for good.
            u8::from(limit_bounding(0).is_ok()) * 4
        });
        assert_eq!(ended, Ended::Said(0));
    }
}
