//! The JSON of a seccomp profile: docker's and podman's format, and the plain one of the OCI runtime specification
//! (`linux.seccomp`), which is a subset.
//!
//! Reads and checks; selecting rules for a machine and a container is `select`. Keys nobody defined are ignored, as
//! docker does; values nobody defined are errors.

use serde::Deserialize;

use super::Error;
use super::arch::Call;
use crate::spec::{Cap, CapSet};
use crate::sys::seccomp::FilterFlags;

/// Larger files are no profiles.
pub const MAX_PROFILE_BYTES: usize = 1 << 20;

/// A parsed profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What happens to a call no rule speaks of.
    pub default_action: Action,
    /// Architectures named outright (OCI form).
    pub(super) architectures: Vec<String>,
    /// Architectures by native one (docker's form).
    pub(super) arch_map: Vec<ArchMap>,
    /// Flags for seccomp(2).
    pub flags: FilterFlags,
    /// In the file's order.
    pub(super) rules: Vec<Rule>,
}

impl Profile {
    /// Parses the file's bytes.
    pub fn parse(json: &[u8]) -> Result<Self, Error> {
        if json.len() > MAX_PROFILE_BYTES {
            return Err(Error::TooLarge {
                max: MAX_PROFILE_BYTES,
            });
        }
        let file: File = serde_json::from_slice(json).map_err(|source| Error::Json { source })?;
        file.check()
    }

    /// Every capability a rule asks about: containers that have the same of these have the same filter.
    #[must_use]
    pub fn caps(&self) -> CapSet {
        let filters = self
            .rules
            .iter()
            .flat_map(|rule| [&rule.includes, &rule.excludes]);
        filters.fold(CapSet::EMPTY, |caps, filter| caps.union(filter.caps))
    }

    /// Whether any action hands the call to a supervisor, who then must exist.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.rules.iter().any(|rule| rule.action == Action::Notify)
    }
}

/// What the kernel does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Ends the process with SIGSYS.
    KillProcess,
    /// Ends the thread with SIGSYS.
    KillThread,
    /// Sends SIGSYS to the thread.
    Trap,
    /// Fails with this errno.
    Errno(u16),
    /// Stops for a tracer, with this message; ENOSYS without one.
    Trace(u16),
    /// Asks the supervisor.
    Notify,
    /// Logs and goes on.
    Log,
    /// Goes on.
    Allow,
}

impl Action {
    /// The filter's return value (`SECCOMP_RET_*`).
    #[must_use]
    pub const fn ret(self) -> u32 {
        match self {
            Self::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
            Self::KillThread => libc::SECCOMP_RET_KILL_THREAD,
            Self::Trap => libc::SECCOMP_RET_TRAP,
            Self::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
            Self::Trace(message) => libc::SECCOMP_RET_TRACE | message as u32,
            Self::Notify => libc::SECCOMP_RET_USER_NOTIF,
            Self::Log => libc::SECCOMP_RET_LOG,
            Self::Allow => libc::SECCOMP_RET_ALLOW,
        }
    }

    fn new(name: &str, number: Option<u32>, errno_name: Option<&str>) -> Result<Self, Error> {
        let number = match (number, errno_name) {
            (Some(number), _) => Some(number),
            (None, Some(name)) if !name.is_empty() => Some(errno_number(name)?),
            (None, _) => None,
        };
        // The kernel would cut larger ones to this (MAX_ERRNO) without a word.
        let number = match number.map(u16::try_from) {
            None => 1,
            Some(Ok(number)) if number <= 4095 => number,
            Some(_) => return Err(Error::Errno(number.unwrap_or_default().to_string())),
        };
        Ok(match name {
            "SCMP_ACT_KILL_PROCESS" => Self::KillProcess,
            "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Self::KillThread,
            "SCMP_ACT_TRAP" => Self::Trap,
            "SCMP_ACT_ERRNO" => Self::Errno(number),
            "SCMP_ACT_TRACE" => Self::Trace(number),
            "SCMP_ACT_NOTIFY" => Self::Notify,
            "SCMP_ACT_LOG" => Self::Log,
            "SCMP_ACT_ALLOW" => Self::Allow,
            other => return Err(Error::Action(short(other))),
        })
    }
}

/// Podman's profile names the errno too; its number is there as well, so few names are enough.
fn errno_number(name: &str) -> Result<u32, Error> {
    Ok(match name {
        "EPERM" => 1,
        "ENOENT" => 2,
        "EIO" => 5,
        "EAGAIN" => 11,
        "ENOMEM" => 12,
        "EACCES" => 13,
        "EEXIST" => 17,
        "ENODEV" => 19,
        "EINVAL" => 22,
        "ENOTTY" => 25,
        "ENOSYS" => 38,
        "EPROTONOSUPPORT" => 93,
        "EOPNOTSUPP" => 95,
        "EAFNOSUPPORT" => 97,
        _ => return Err(Error::Errno(short(name))),
    })
}

/// Which other ABIs a native one brings.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ArchMap {
    pub(super) architecture: String,
    #[serde(default, rename = "subArchitectures")]
    pub(super) sub: Option<Vec<String>>,
}

/// One entry of `syscalls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    /// The calls it names; names no ABI of ours has are left out.
    pub(super) calls: Vec<Call>,
    pub(super) action: Action,
    /// Alternatives of conjunctions: the rule applies if all conditions of one hold. Empty: always.
    pub(super) when: Vec<Vec<Cond>>,
    pub(super) includes: Filter,
    pub(super) excludes: Filter,
}

/// A condition on one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cond {
    pub(super) index: u8,
    pub(super) op: Op,
    pub(super) value: u64,
    /// With `MaskedEq`, what the masked argument is compared with; `value` is the mask.
    pub(super) value_two: u64,
}

/// Comparison of an argument, unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Ne,
    Lt,
    Le,
    Eq,
    Ge,
    Gt,
    MaskedEq,
}

/// When a rule counts (includes) or does not (excludes).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Filter {
    pub(super) caps: CapSet,
    /// Among `caps` was one nobody knows, so nobody has it.
    pub(super) unknown_cap: bool,
    pub(super) arches: Vec<String>,
    pub(super) min_kernel: Option<(u32, u32)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    default_action: String,
    default_errno_ret: Option<u32>,
    default_errno: Option<String>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<ArchMap>>,
    flags: Option<Vec<String>>,
    syscalls: Option<Vec<FileRule>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileRule {
    name: Option<String>,
    names: Option<Vec<String>>,
    #[serde(default)]
    action: String,
    errno_ret: Option<u32>,
    errno: Option<String>,
    args: Option<Vec<FileArg>>,
    includes: Option<FileFilter>,
    excludes: Option<FileFilter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileArg {
    #[serde(default)]
    index: u32,
    #[serde(default)]
    value: u64,
    value_two: Option<u64>,
    #[serde(default)]
    op: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FileFilter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

impl File {
    fn check(self) -> Result<Profile, Error> {
        let architectures = self.architectures.unwrap_or_default();
        let arch_map = self.arch_map.unwrap_or_default();
        if !architectures.is_empty() && !arch_map.is_empty() {
            return Err(Error::Both {
                one: "architectures",
                other: "archMap",
            });
        }
        let default_action = Action::new(
            &self.default_action,
            self.default_errno_ret,
            self.default_errno.as_deref(),
        )?;
        if default_action == Action::Notify {
            return Err(Error::NotifyDefault);
        }
        let mut flags = FilterFlags::NONE;
        for flag in self.flags.unwrap_or_default() {
            flags = flags.union(match flag.as_str() {
                "SECCOMP_FILTER_FLAG_LOG" => FilterFlags::LOG,
                "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => FilterFlags::SPEC_ALLOW,
                "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV" => FilterFlags::WAIT_KILLABLE_RECV,
                // The filter is loaded before the program has a second thread.
                "SECCOMP_FILTER_FLAG_TSYNC" => FilterFlags::NONE,
                other => return Err(Error::Flag(short(other))),
            });
        }
        let rules = self.syscalls.unwrap_or_default();
        let rules = rules
            .into_iter()
            .map(FileRule::check)
            .collect::<Result<_, _>>()?;
        Ok(Profile {
            default_action,
            architectures,
            arch_map,
            flags,
            rules,
        })
    }
}

impl FileRule {
    fn check(self) -> Result<Rule, Error> {
        let names = match (
            self.name.filter(|name| !name.is_empty()),
            self.names.unwrap_or_default(),
        ) {
            (Some(name), names) if names.is_empty() => vec![name],
            (Some(_), _) => {
                return Err(Error::Both {
                    one: "name",
                    other: "names",
                });
            }
            (None, names) => names,
        };
        let action = Action::new(&self.action, self.errno_ret, self.errno.as_deref())?;
        if action == Action::Notify && names.iter().any(|name| name == "write") {
            return Err(Error::NotifyWrite);
        }
        Ok(Rule {
            calls: names.iter().filter_map(|name| Call::named(name)).collect(),
            action,
            when: alternatives(self.args.unwrap_or_default())?,
            includes: self
                .includes
                .map(FileFilter::check)
                .transpose()?
                .unwrap_or_default(),
            excludes: self
                .excludes
                .map(FileFilter::check)
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

/// All conditions of a rule must hold; but where two speak of one argument, each stands for itself, as in runc.
fn alternatives(args: Vec<FileArg>) -> Result<Vec<Vec<Cond>>, Error> {
    let conds = args
        .into_iter()
        .map(FileArg::check)
        .collect::<Result<Vec<_>, _>>()?;
    let mut seen = [false; 6];
    let twice = conds
        .iter()
        .any(|cond| std::mem::replace(&mut seen[usize::from(cond.index)], true));
    Ok(if twice {
        conds.into_iter().map(|cond| vec![cond]).collect()
    } else if conds.is_empty() {
        Vec::new()
    } else {
        vec![conds]
    })
}

impl FileArg {
    fn check(self) -> Result<Cond, Error> {
        let index = u8::try_from(self.index).ok().filter(|index| *index < 6);
        let op = match self.op.as_str() {
            "SCMP_CMP_NE" => Op::Ne,
            "SCMP_CMP_LT" => Op::Lt,
            "SCMP_CMP_LE" => Op::Le,
            "SCMP_CMP_EQ" => Op::Eq,
            "SCMP_CMP_GE" => Op::Ge,
            "SCMP_CMP_GT" => Op::Gt,
            "SCMP_CMP_MASKED_EQ" => Op::MaskedEq,
            other => return Err(Error::Op(short(other))),
        };
        Ok(Cond {
            index: index.ok_or(Error::ArgIndex(self.index))?,
            op,
            value: self.value,
            value_two: self.value_two.unwrap_or(0),
        })
    }
}

impl FileFilter {
    fn check(self) -> Result<Filter, Error> {
        let min_kernel = match self.min_kernel.as_deref() {
            None | Some("") => None,
            Some(text) => Some(
                text.split_once('.')
                    .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
                    .ok_or_else(|| Error::MinKernel(short(text)))?,
            ),
        };
        let names = self.caps.unwrap_or_default();
        let caps: Vec<Option<Cap>> = names.iter().map(|name| name.parse().ok()).collect();
        Ok(Filter {
            unknown_cap: caps.contains(&None),
            caps: caps.into_iter().flatten().collect(),
            arches: self.arches.unwrap_or_default(),
            min_kernel,
        })
    }
}

/// A piece of hostile text for a message.
fn short(text: &str) -> String {
    text.escape_default().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn oci_form() {
        let profile = Profile::parse(
            br#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64"],"flags":["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO","errnoRet":5,"args":null},
                {"name":"chmod","action":"SCMP_ACT_ERRNO","errno":"ENOSYS"}], "x": 1}"#,
        )
        .unwrap();
        assert_eq!(profile.default_action, Action::Allow);
        assert_eq!(profile.flags, FilterFlags::LOG);
        assert_eq!(profile.rules[0].action, Action::Errno(5));
        assert_eq!(profile.rules[1].action, Action::Errno(38));
        assert_eq!(profile.rules[1].calls, [Call::named("chmod").unwrap()]);
    }

    #[test]
    fn one_argument_twice_means_or() {
        let rule = |args: &str| {
            let json = format!(
                r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["a"],"action":"SCMP_ACT_ALLOW","args":[{args}]}}]}}"#
            );
            Profile::parse(json.as_bytes()).unwrap().rules[0]
                .when
                .iter()
                .map(Vec::len)
                .collect::<Vec<_>>()
        };
        let zero = r#"{"index":0,"value":1,"op":"SCMP_CMP_EQ"}"#;
        let one = r#"{"index":1,"value":1,"op":"SCMP_CMP_EQ"}"#;
        assert_eq!(rule(&format!("{zero},{one}")), [2]);
        assert_eq!(rule(&format!("{zero},{one},{zero}")), [1, 1, 1]);
        assert!(rule("").is_empty());
    }

    #[test]
    fn refused() {
        for json in [
            "{}",
            r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#,
            r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":70000}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":-1}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["a"],"archMap":[{"architecture":"b"}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","flags":["X"]}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a"}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"write","action":"SCMP_ACT_NOTIFY"}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a","action":"SCMP_ACT_ALLOW","args":[{"index":6,"op":"SCMP_CMP_EQ"}]}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a","action":"SCMP_ACT_ALLOW","args":[{"index":0,"op":"EQ"}]}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a","action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4"}}]}"#,
        ] {
            assert!(Profile::parse(json.as_bytes()).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(Profile::parse(&bytes));
        }
    }
}
