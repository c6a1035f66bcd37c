//! The seccomp filter of a container: profile (docker's JSON) to BPF program, by a compiler of our own.
//!
//! Pure: nothing here asks the kernel or reads a file; `sys::seccomp` loads the result. Way through: `profile` (the
//! JSON) → `select` (rules that count here, names as numbers) → `compile` over `bpf` (instructions). `arch` and
//! `table` hold the ABIs' facts.
//!
//! The default is docker's profile, `contrib/seccomp.json`. Like docker with runc, a known call that is not allowed
//! fails with EPERM, and one newer than all the profile names with ENOSYS, so that programs that probe for new calls
//! fall back. (podman reaches the same the other way round: ENOSYS by default, EPERM for a list of known calls.)

mod arch;
mod bpf;
mod compile;
pub mod fakes;
mod precompiled;
mod profile;
mod select;
mod table;

#[cfg(test)]
mod kernel_tests;
#[cfg(test)]
mod tests;

pub use arch::Arch;
pub use compile::compile;
pub use profile::{Action, MAX_PROFILE_BYTES, Profile};

use std::borrow::Cow;

use crate::spec::CapSet;
use crate::sys::seccomp::BpfInsn;

/// Docker's default profile, as data.
pub const DEFAULT_PROFILE: &str = include_str!("../../../../contrib/seccomp.json");

/// What a profile's conditions are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The machine's ABI.
    pub arch: Arch,
    /// The container's bounding set.
    pub caps: CapSet,
    /// Major and minor number of the running kernel.
    pub kernel: (u32, u32),
}

impl Context {
    /// For a container on this machine; `release` is uname(2)'s.
    pub fn new(caps: CapSet, release: &str) -> Result<Self, Error> {
        let arch = Arch::native().ok_or(Error::Unsupported)?;
        let mut numbers = release
            .split(|c: char| !c.is_ascii_digit())
            .map(|number| number.parse().unwrap_or(0));
        let kernel = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Ok(Self { arch, caps, kernel })
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not JSON, or JSON of another shape.
    #[error("decoding seccomp profile failed: {source}")]
    Json {
        /// What the parser says, with line and column.
        source: serde_json::Error,
    },
    /// Too many bytes.
    #[error("seccomp profile is larger than {max} bytes")]
    TooLarge {
        /// The limit.
        max: usize,
    },
    /// Two ways of saying one thing.
    #[error("seccomp profile has both \"{one}\" and \"{other}\": use one of them")]
    Both {
        /// A key.
        one: &'static str,
        /// Another.
        other: &'static str,
    },
    /// Unknown or missing action.
    #[error("seccomp profile: unknown action \"{0}\": expected SCMP_ACT_ALLOW, SCMP_ACT_ERRNO, …")]
    Action(String),
    /// Unknown comparison.
    #[error(
        "seccomp profile: unknown comparison \"{0}\": expected SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ, …"
    )]
    Op(String),
    /// System calls have six arguments.
    #[error("seccomp profile: no system call has an argument {0}: expected an index of 0 to 5")]
    ArgIndex(u32),
    /// An errno the kernel cannot return.
    #[error("seccomp profile: bad errno \"{0}\": expected 0 to 4095")]
    Errno(String),
    /// Unknown flag.
    #[error("seccomp profile: unknown flag \"{0}\"")]
    Flag(String),
    /// Not an architecture's name.
    #[error("seccomp profile: unknown architecture \"{0}\": expected SCMP_ARCH_X86_64, …")]
    Arch(String),
    /// Not a version.
    #[error("seccomp profile: bad minKernel \"{0}\": expected MAJOR.MINOR")]
    MinKernel(String),
    /// The supervisor itself would hang.
    #[error("seccomp profile: SCMP_ACT_NOTIFY cannot be the default action")]
    NotifyDefault,
    /// The supervisor could not be reached.
    #[error("seccomp profile: SCMP_ACT_NOTIFY cannot be used for the write system call")]
    NotifyWrite,
    /// More than the kernel takes.
    #[error(
        "seccomp profile needs {instructions} instructions, the kernel takes {max}: simplify its rules"
    )]
    TooLong {
        /// How many it would be.
        instructions: usize,
        /// The kernel's limit.
        max: usize,
    },
    /// No table of system calls.
    #[error("no seccomp support for this processor architecture")]
    Unsupported,
}

/// The default profile's filter for a container with these capabilities, on a kernel of at least 4.8.
///
/// Costs nothing for docker's default set and for none (and all that differ only in capabilities the profile does not
/// ask about): those were compiled when kelp was. Others take about a fifth of a millisecond.
pub fn default_filter(caps: CapSet) -> Result<Cow<'static, [BpfInsn]>, Error> {
    let arch = Arch::native().ok_or(Error::Unsupported)?;
    let asked = caps.intersection(CapSet::from_bits(precompiled::CAPS));
    let ready = precompiled::FILTERS
        .iter()
        .find(|(of, caps, _)| *of == arch && *caps == asked.bits());
    if let Some((_, _, filter)) = ready {
        return Ok(Cow::Borrowed(filter));
    }
    let profile = Profile::parse(DEFAULT_PROFILE.as_bytes())?;
    compile(
        &profile,
        &Context {
            arch,
            caps,
            kernel: (4, 8),
        },
    )
    .map(Cow::Owned)
}

/// [`BpfInsn::from`] at compile time.
const fn unpack<const N: usize>(packed: [u64; N]) -> [BpfInsn; N] {
    let mut program = [BpfInsn {
        code: 0,
        jt: 0,
        jf: 0,
        k: 0,
    }; N];
    let mut at = 0;
    while at < N {
        program[at] = BpfInsn::unpack(packed[at]);
        at += 1;
    }
    program
}
