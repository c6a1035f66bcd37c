//! The compiler against a second opinion: the BPF is interpreted and compared with the profile's own text for every
//! system call number of every ABI.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bpf::op;
use super::profile::{Cond, Op, Rule};
use super::*;
use crate::spec::Cap;

/// What the kernel hands to a filter.
#[derive(Debug, Clone, Copy)]
struct Call {
    arch: u32,
    nr: u32,
    args: [u64; 6],
}

impl Call {
    fn new(arch: Arch, nr: u32) -> Self {
        Self {
            arch: arch.audit(),
            nr,
            args: [0; 6],
        }
    }

    /// `struct seccomp_data` on a little-endian machine, as words.
    fn word(&self, offset: u32) -> u32 {
        let half = |arg: u64, high| {
            let shifted = if high {
                arg >> 32
            } else {
                arg & u64::from(u32::MAX)
            };
            u32::try_from(shifted).unwrap()
        };
        match offset {
            0 => self.nr,
            4 => self.arch,
            16..=60 if offset.is_multiple_of(4) => half(
                self.args[(offset as usize - 16) / 8],
                !offset.is_multiple_of(8),
            ),
            _ => panic!("load from {offset}"),
        }
    }
}

/// Runs `program`; gives the return value and the steps taken.
fn run(program: &[BpfInsn], call: Call) -> (u32, usize) {
    let (mut acc, mut at, mut steps) = (0u32, 0usize, 0);
    loop {
        let insn = program[at];
        at += 1;
        steps += 1;
        let skip = |taken: bool| usize::from(if taken { insn.jt } else { insn.jf });
        match insn.code {
            op::LD_ABS => acc = call.word(insn.k),
            op::AND => acc &= insn.k,
            op::JA => at += insn.k as usize,
            op::JEQ => at += skip(acc == insn.k),
            op::JGT => at += skip(acc > insn.k),
            op::JGE => at += skip(acc >= insn.k),
            op::RET => return (insn.k, steps),
            other => panic!("unknown instruction {other:#x}"),
        }
    }
}

fn holds(cond: &Cond, args: &[u64; 6]) -> bool {
    let arg = args[usize::from(cond.index)];
    match cond.op {
        Op::Ne => arg != cond.value,
        Op::Lt => arg < cond.value,
        Op::Le => arg <= cond.value,
        Op::Eq => arg == cond.value,
        Op::Ge => arg >= cond.value,
        Op::Gt => arg > cond.value,
        Op::MaskedEq => arg & cond.value == cond.value_two,
    }
}

/// The rules that count, said again without the machinery of `select`.
fn counting<'a>(profile: &'a Profile, ctx: &Context) -> Vec<&'a Rule> {
    let has = |cap: Cap| ctx.caps.iter().any(|held| held == cap);
    let here = |arches: &Vec<String>| arches.iter().any(|arch| arch == ctx.arch.docker_name());
    profile
        .rules
        .iter()
        .filter(|rule| {
            rule.includes.caps.iter().all(has)
                && !rule.includes.unknown_cap
                && (rule.includes.arches.is_empty() || here(&rule.includes.arches))
                && rule.includes.min_kernel.is_none_or(|min| min <= ctx.kernel)
                && !rule.excludes.caps.iter().any(has)
                && !here(&rule.excludes.arches)
                && rule.excludes.min_kernel.is_none_or(|min| min > ctx.kernel)
        })
        .collect()
}

/// Who speaks of which number of one ABI.
struct Spoken<'a>(BTreeMap<u32, Vec<&'a Rule>>);

impl<'a> Spoken<'a> {
    fn new(rules: &[&'a Rule], arch: Arch) -> Self {
        let mut of: BTreeMap<u32, Vec<&Rule>> = BTreeMap::new();
        for rule in rules {
            for number in rule.calls.iter().filter_map(|call| call.number(arch)) {
                let number = if arch == Arch::X32 {
                    number | arch::X32_BIT
                } else {
                    number
                };
                of.entry(number).or_default().push(rule);
            }
        }
        Self(of)
    }

    fn of(&self, nr: u32) -> &[&'a Rule] {
        self.0.get(&nr).map_or(&[], Vec::as_slice)
    }

    fn newest(&self, arch: Arch) -> Option<u32> {
        let public = |nr: &&u32| arch != Arch::Arm || **nr < 0xf_0000;
        self.0.keys().filter(public).max().copied()
    }
}

/// What the profile says about a call.
fn expected(profile: &Profile, spoken: &Spoken<'_>, call: (Arch, u32, &[u64; 6])) -> u32 {
    let (arch, nr, args) = call;
    let differing = || {
        let rules = spoken.of(nr).iter();
        rules.filter(|rule| rule.action != profile.default_action)
    };
    if let Some(rule) = differing().find(|rule| rule.when.is_empty()) {
        return rule.action.ret();
    }
    let applies = |rule: &Rule| {
        rule.when
            .iter()
            .any(|all| all.iter().all(|cond| holds(cond, args)))
    };
    if let Some(rule) = differing().find(|rule| applies(rule)) {
        return rule.action.ret();
    }
    let private = arch == Arch::Arm && nr >= 0xf_0000;
    let too_new = spoken.newest(arch).is_some_and(|newest| nr > newest) && !private;
    let strict = !matches!(
        profile.default_action,
        Action::Allow | Action::Log | Action::Trace(_) | Action::Notify
    );
    if strict && too_new {
        Action::Errno(38).ret()
    } else {
        profile.default_action.ret()
    }
}

fn listed(profile: &Profile, native: Arch, arch: Arch) -> bool {
    arch == native
        || profile
            .architectures
            .iter()
            .any(|name| name == arch.scmp_name())
        || profile.arch_map.iter().any(|entry| {
            entry.architecture == native.scmp_name()
                && entry
                    .sub
                    .iter()
                    .flatten()
                    .any(|name| name == arch.scmp_name())
        })
}

/// Values around everything the rules compare with.
fn interesting(rules: &[&Rule]) -> Vec<u64> {
    let mut values: Vec<u64> = rules
        .iter()
        .flat_map(|rule| rule.when.iter().flatten())
        .flat_map(|cond| [cond.value, cond.value_two])
        .flat_map(|v| {
            [
                v,
                v.wrapping_add(1),
                v.wrapping_sub(1),
                v | 1 << 32,
                v ^ 1 << 63,
                v & !(v >> 1),
            ]
        })
        .chain([0, 1, u64::MAX, u64::from(u32::MAX), 1 << 32])
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}

fn check_all(profile: &Profile, ctx: &Context) {
    let program = compile(profile, ctx).unwrap();
    let rules = counting(profile, ctx);
    let values = interesting(&rules);
    for arch in Arch::ALL.into_iter().filter(|arch| arch.runs_on(ctx.arch)) {
        let spoken = Spoken::new(&rules, arch);
        let base = if arch == Arch::X32 { arch::X32_BIT } else { 0 };
        for nr in (0..700)
            .chain(0xf_0000..0xf_0008)
            .chain([9999, 0x3fff_fffe])
            .map(|nr| base | nr)
        {
            let conditional = spoken.of(nr).iter().any(|rule| !rule.when.is_empty());
            let tries = if conditional {
                values.as_slice()
            } else {
                &values[..1]
            };
            for (at, value) in tries.iter().enumerate() {
                let other = values[(at * 7 + 3) % values.len()];
                let mut call = Call::new(arch, nr);
                call.args = [*value, other, *value, other, *value, other];
                if matches!(arch, Arch::X86 | Arch::Arm) {
                    call.args = call.args.map(|arg| arg & u64::from(u32::MAX));
                }
                let want = if listed(profile, ctx.arch, arch) {
                    expected(profile, &spoken, (arch, nr, &call.args))
                } else {
                    Action::KillProcess.ret()
                };
                let (got, steps) = run(&program, call);
                assert_eq!(got, want, "{arch:?} {nr} {:x?}", call.args);
                assert!(steps < 400);
            }
        }
    }
    for foreign in [0xc000_0016, 0, u32::MAX, 0x8000_0016] {
        let call = Call {
            arch: foreign,
            nr: 0,
            args: [0; 6],
        };
        assert_eq!(run(&program, call).0, Action::KillProcess.ret());
    }
}

fn default_profile() -> Profile {
    Profile::parse(DEFAULT_PROFILE.as_bytes()).unwrap()
}

fn ctx(arch: Arch, caps: CapSet) -> Context {
    Context {
        arch,
        caps,
        kernel: (6, 1),
    }
}

#[test]
fn default_profile_on_all_abis() {
    let profile = default_profile();
    for arch in [Arch::X86_64, Arch::Aarch64, Arch::X86, Arch::Arm] {
        for caps in [
            CapSet::DOCKER_DEFAULT,
            CapSet::EMPTY,
            CapSet::ALL,
            CapSet::DOCKER_DEFAULT.with(Cap::SYS_ADMIN),
            CapSet::of(&[Cap::SYS_PTRACE]),
        ] {
            check_all(&profile, &ctx(arch, caps));
        }
    }
}

#[test]
fn unknown_capability() {
    let profile = Profile::parse(
        br#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
            {"names":["read"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_NEW"]}},
            {"names":["write"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_NEW"]}}]}"#,
    )
    .unwrap();
    let program = compile(&profile, &ctx(Arch::X86_64, CapSet::ALL)).unwrap();
    assert_eq!(
        run(&program, Call::new(Arch::X86_64, 0)).0,
        Action::Errno(1).ret()
    );
    assert_eq!(
        run(&program, Call::new(Arch::X86_64, 1)).0,
        Action::Allow.ret()
    );
}

#[test]
fn old_kernel() {
    let profile = default_profile();
    let old = Context {
        kernel: (4, 7),
        ..ctx(Arch::X86_64, CapSet::DOCKER_DEFAULT)
    };
    check_all(&profile, &old);
    let ptrace = Call::new(Arch::X86_64, 101);
    assert_eq!(
        run(&compile(&profile, &old).unwrap(), ptrace).0,
        Action::Errno(1).ret()
    );
}

/// The facts people rely on, in plain words.
#[test]
fn default_profile_facts() {
    let program = compile(
        &default_profile(),
        &ctx(Arch::X86_64, CapSet::DOCKER_DEFAULT),
    )
    .unwrap();
    let verdict = |name: &str, args: &[u64]| {
        let mut call = Call::new(Arch::X86_64, Arch::X86_64.number(name).unwrap());
        call.args[..args.len()].copy_from_slice(args);
        run(&program, call).0
    };
    let (allow, eperm, enosys) = (
        Action::Allow.ret(),
        Action::Errno(1).ret(),
        Action::Errno(38).ret(),
    );
    for name in
        "read openat execve ptrace seccomp landlock_create_ruleset mknod statx arch_prctl futex"
            .split(' ')
    {
        assert_eq!(verdict(name, &[]), allow, "{name}");
    }
    for name in "mount umount2 keyctl add_key request_key bpf unshare setns pivot_root io_uring_setup userfaultfd \
                 perf_event_open kexec_load init_module open_by_handle_at fsopen move_mount swapon reboot mbind \
                 clock_settime acct iopl syslog quotactl pidfd_getfd"
        .split_whitespace()
    {
        assert_eq!(verdict(name, &[]), eperm, "{name}");
    }
    assert_eq!(
        verdict("chroot", &[]),
        allow,
        "CAP_SYS_CHROOT is in the default set"
    );
    assert_eq!(verdict("clone3", &[]), enosys);
    assert_eq!(verdict("open_tree_attr", &[]), enosys);
    assert_eq!(verdict("clone", &[0x11]), allow);
    assert_eq!(verdict("clone", &[0x1000_0011]), eperm, "CLONE_NEWUSER");
    assert_eq!(verdict("clone", &[0x0002_0000]), eperm, "CLONE_NEWNS");
    for family in [1, 2, 10, 16, 17, 45] {
        assert_eq!(verdict("socket", &[family, 1]), allow, "{family}");
    }
    for family in [12, 38, 40, 46, 1 << 32 | 40, 1 << 32 | 2] {
        assert_eq!(verdict("socket", &[family, 1]), eperm, "{family}");
    }
    assert_eq!(verdict("personality", &[0xffff_ffff]), allow);
    assert_eq!(
        verdict("personality", &[0x40000]),
        eperm,
        "ADDR_NO_RANDOMIZE"
    );
}

#[test]
fn context() {
    let kernel = |release| {
        Context::new(CapSet::EMPTY, release)
            .map(|ctx| ctx.kernel)
            .unwrap()
    };
    assert_eq!(kernel("6.18.44-fc-v595"), (6, 18));
    assert_eq!(kernel("5.15"), (5, 15));
    assert_eq!(kernel("4.8-rc1"), (4, 8));
    assert_eq!(kernel(""), (0, 0));
}

#[test]
fn size_and_depth() {
    for (arch, most) in [(Arch::X86_64, 500), (Arch::Aarch64, 400)] {
        let program = compile(&default_profile(), &ctx(arch, CapSet::DOCKER_DEFAULT)).unwrap();
        assert!(
            program.len() <= most,
            "{arch:?}: {} instructions",
            program.len()
        );
        let deepest = (0..480)
            .map(|nr| run(&program, Call::new(arch, nr)).1)
            .max();
        assert!(deepest <= Some(22), "{arch:?}: {deepest:?} steps");
    }
}

#[test]
fn x32_unlisted_is_refused() {
    let profile = Profile::parse(br#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap();
    let program = compile(&profile, &ctx(Arch::X86_64, CapSet::EMPTY)).unwrap();
    assert_eq!(
        run(&program, Call::new(Arch::X86_64, 0)).0,
        Action::Allow.ret()
    );
    assert_eq!(
        run(&program, Call::new(Arch::X86_64, 0x4000_0000)).0,
        Action::KillProcess.ret()
    );
    assert_eq!(
        run(&program, Call::new(Arch::X86_64, u32::MAX)).0,
        Action::Allow.ret()
    );
    assert_eq!(
        run(&program, Call::new(Arch::X86, 0)).0,
        Action::KillProcess.ret()
    );
}

#[test]
fn rules_with_equal_names() {
    // An unconditional rule beats conditional ones; one that repeats the default is none.
    let profile = Profile::parse(
        br#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
            {"names":["read"],"action":"SCMP_ACT_ERRNO"},
            {"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":3,"op":"SCMP_CMP_EQ"}]},
            {"names":["write"],"action":"SCMP_ACT_LOG","args":[{"index":0,"value":3,"op":"SCMP_CMP_EQ"}]},
            {"names":["write"],"action":"SCMP_ACT_KILL"},{"names":["write"],"action":"SCMP_ACT_ALLOW"}]}"#,
    )
    .unwrap();
    let ctx = ctx(Arch::X86_64, CapSet::EMPTY);
    check_all(&profile, &ctx);
    let program = compile(&profile, &ctx).unwrap();
    let verdict = |nr, arg| {
        run(
            &program,
            Call {
                args: [arg; 6],
                ..Call::new(Arch::X86_64, nr)
            },
        )
        .0
    };
    assert_eq!(verdict(0, 3), Action::Allow.ret());
    assert_eq!(verdict(0, 4), Action::Errno(1).ret());
    assert_eq!(verdict(1, 3), Action::KillThread.ret());
}

#[test]
fn too_long_is_an_error() {
    let args: Vec<String> = (0..3000)
        .map(|v| format!(r#"{{"index":0,"value":{},"op":"SCMP_CMP_NE"}}"#, v * 7))
        .collect();
    let json = format!(
        r#"{{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{}]}}]}}"#,
        args.join(",")
    );
    let profile = Profile::parse(json.as_bytes()).unwrap();
    let result = compile(&profile, &ctx(Arch::X86_64, CapSet::EMPTY));
    assert!(matches!(result, Err(Error::TooLong { .. })));
}

fn any_rule() -> impl Strategy<Value = String> {
    let names = vec![
        "read",
        "write",
        "socket",
        "clone",
        "mount",
        "mseal",
        "socketcall",
        "set_tls",
        "ioctl",
        "nonesuch",
    ];
    let actions = vec![
        "ALLOW",
        "ERRNO",
        "KILL_PROCESS",
        "KILL_THREAD",
        "TRAP",
        "LOG",
        "TRACE",
        "NOTIFY",
    ];
    let ops = vec!["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let value = prop_oneof![
        0u64..5,
        Just(u64::MAX),
        Just(1 << 32),
        Just((1 << 32) | 3),
        any::<u64>()
    ];
    let arg =
        (0u32..6, value.clone(), value, proptest::sample::select(ops)).prop_map(|(i, v, w, op)| {
            format!(r#"{{"index":{i},"value":{v},"valueTwo":{w},"op":"SCMP_CMP_{op}"}}"#)
        });
    (
        proptest::sample::subsequence(names, 1..4),
        proptest::sample::select(actions),
        proptest::collection::vec(arg, 0..5),
    )
        .prop_filter("write cannot notify", |(names, action, _)| {
            *action != "NOTIFY" || !names.contains(&"write")
        })
        .prop_map(|(names, action, args)| {
            format!(
                r#"{{"names":["{}"],"action":"SCMP_ACT_{action}","errnoRet":7,"args":[{}]}}"#,
                names.join(r#"",""#),
                args.join(",")
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_profile(
        rules in proptest::collection::vec(any_rule(), 0..8),
        default in proptest::sample::select(&["ALLOW", "ERRNO", "KILL", "LOG", "TRAP"][..]),
        arch in proptest::sample::select(&[Arch::X86_64, Arch::Aarch64, Arch::X86][..]),
        sub in any::<bool>(),
    ) {
        let arches = if sub { r#""SCMP_ARCH_X86","SCMP_ARCH_X32","SCMP_ARCH_ARM""# } else { "" };
        let json = format!(
            r#"{{"defaultAction":"SCMP_ACT_{default}","architectures":[{arches}],"syscalls":[{}]}}"#,
            rules.join(",")
        );
        check_all(&Profile::parse(json.as_bytes()).unwrap(), &ctx(arch, CapSet::EMPTY));
    }
}

/// The text `precompiled.rs` must have.
fn precompiled_source() -> String {
    use std::fmt::Write;
    let profile = default_profile();
    let mut text = String::from(
        "//! The default profile, compiled: generated from `contrib/seccomp.json`, do not edit.\n//!\n\
         //! After a change of the profile or the compiler run\n\
         //! `cargo test --lib seccomp::tests::write_precompiled -- --ignored`.\n\n\
         use super::{Arch, unpack};\nuse crate::sys::seccomp::BpfInsn;\n\n",
    );
    let asked = profile.caps();
    writeln!(
        text,
        "/// The capabilities the profile asks about.\npub(super) const CAPS: u64 = {:#x};\n",
        asked.bits()
    )
    .unwrap();
    let mut list = String::new();
    let mut programs = String::new();
    for (arch, name) in [(Arch::X86_64, "X86_64"), (Arch::Aarch64, "AARCH64")] {
        for (caps, what) in [(CapSet::DOCKER_DEFAULT, "DEFAULT"), (CapSet::EMPTY, "NONE")] {
            let program = compile(
                &profile,
                &Context {
                    arch,
                    caps,
                    kernel: (4, 8),
                },
            )
            .unwrap();
            let variant = if arch == Arch::X86_64 {
                "X86_64"
            } else {
                "Aarch64"
            };
            let bits = caps.intersection(asked).bits();
            writeln!(list, "    (Arch::{variant}, {bits:#x}, &{name}_{what}),").unwrap();
            writeln!(
                programs,
                "\n#[rustfmt::skip]\nstatic {name}_{what}: [BpfInsn; {}] = unpack([",
                program.len()
            )
            .unwrap();
            for line in program.chunks(6) {
                let words: Vec<String> = line
                    .iter()
                    .map(|insn| format!("{:#x}", u64::from(*insn)))
                    .collect();
                writeln!(programs, "    {},", words.join(", ")).unwrap();
            }
            programs.push_str("]);\n");
        }
    }
    writeln!(
        text,
        "/// ABI, which of [`CAPS`] the container has, program.\n\
         pub(super) static FILTERS: [(Arch, u64, &[BpfInsn]); 4] = [\n{list}];\n{}",
        programs.trim_end()
    )
    .unwrap();
    text
}

#[test]
#[ignore = "writes src/runtime/plan/seccomp/precompiled.rs"]
fn write_precompiled() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/src/runtime/plan/seccomp/precompiled.rs"
    );
    std::fs::write(path, precompiled_source()).unwrap();
}

#[test]
fn precompiled_is_fresh() {
    assert!(
        include_str!("precompiled.rs") == precompiled_source(),
        "precompiled.rs is stale; its head says how to renew it"
    );
    let fast = default_filter(CapSet::DOCKER_DEFAULT.with(Cap::NET_ADMIN)).unwrap();
    assert!(Arch::native().is_none() || matches!(fast, std::borrow::Cow::Borrowed(_)));
    let slow = default_filter(CapSet::ALL).unwrap();
    assert!(matches!(slow, std::borrow::Cow::Owned(_)));
}
