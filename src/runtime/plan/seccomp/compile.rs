//! From policies to instructions.
//!
//! Shape: dispatch on the ABI, load the number, binary search over ranges of numbers with the same decision; argument
//! conditions hang below. Neighbouring numbers with one decision are one range, so the default profile needs about
//! nine steps for a call instead of three hundred.

use super::arch::{Arch, X32_BIT};
use super::bpf::{Assembler, Target, Test};
use super::profile::{Action, Cond, Op, Profile};
use super::select::{Decision, Policy, policies};
use super::{Context, Error};
use crate::sys::seccomp::{BpfInsn, MAX_INSNS};

/// Offsets in `struct seccomp_data` (linux/seccomp.h).
const NR: u32 = 0;
const ARCH: u32 = 4;
/// The argument's halves, on a little-endian machine.
const fn arg_low(index: u8) -> u32 {
    16 + 8 * index as u32
}
const fn arg_high(index: u8) -> u32 {
    arg_low(index) + 4
}

/// Compiles `profile` for one container and machine.
pub fn compile(profile: &Profile, ctx: &Context) -> Result<Vec<BpfInsn>, Error> {
    // Programs of an ABI the profile does not know are ended: their numbers mean other calls.
    assemble(&policies(profile, ctx)?, ctx.arch, Action::KillProcess)
}

/// The program of these policies; `unknown` is for calls of ABIs that have none.
pub(super) fn assemble(policies: &[Policy], native: Arch, unknown: Action) -> Result<Vec<BpfInsn>, Error> {
    let mut asm = Assembler::default();
    let mut entry = Target::Ret(unknown.ret());
    let ours = native;
    let native = policies.iter().find(|policy| policy.arch == ours);
    let x32 = policies.iter().find(|policy| policy.arch == Arch::X32);
    for other in policies
        .iter()
        .rev()
        .filter(|p| p.arch != ours && p.arch != Arch::X32)
    {
        let table = numbers(&mut asm, other);
        let table = asm.load(NR, table);
        entry = asm.branch(Test::Eq, other.arch.audit(), table, entry);
    }
    if let Some(native) = native {
        let mut table = numbers(&mut asm, native);
        if native.arch == Arch::X86_64 {
            let foreign = match x32 {
                Some(x32) => {
                    let table = numbers(&mut asm, x32);
                    asm.mask(!X32_BIT, table)
                }
                None => Target::Ret(unknown.ret()),
            };
            // A tracer that cancels a call leaves -1 in its place: an unknown number, not an x32 one.
            let default = Target::Ret(
                native
                    .newer
                    .map_or(native.default, |(_, action)| action)
                    .ret(),
            );
            let foreign = asm.branch(Test::Eq, u32::MAX, default, foreign);
            table = asm.branch(Test::Ge, X32_BIT, foreign, table);
        }
        let table = asm.load(NR, table);
        entry = asm.branch(Test::Eq, native.arch.audit(), table, entry);
    }
    let entry = asm.load(ARCH, entry);
    let program = asm.finish(entry);
    if program.len() > MAX_INSNS {
        return Err(Error::TooLong {
            instructions: program.len(),
            max: MAX_INSNS,
        });
    }
    Ok(program)
}

/// The search over one ABI's numbers; expects the number in the accumulator.
fn numbers(asm: &mut Assembler, policy: &Policy) -> Target {
    let default = Decision::Always(policy.default);
    let newer = policy.newer.map(|(_, action)| Decision::Always(action));
    let mut steps: Vec<(u32, &Decision)> = Vec::new();
    let mut step = |from: u32, decision| match steps.last_mut() {
        Some((_, last)) if *last == decision => {}
        Some((bound, last)) if *bound == from => *last = decision,
        _ => steps.push((from, decision)),
    };
    step(0, &default);
    let private = policy.arch.private_from().unwrap_or(u32::MAX);
    let mut calls = policy.calls.iter().peekable();
    while let Some((number, decision)) = calls.next_if(|(number, _)| **number < private) {
        step(*number, decision);
        step(number + 1, &default);
    }
    if let (Some((from, _)), Some(decision)) = (policy.newer, &newer) {
        step(from, decision);
        if private != u32::MAX {
            step(private, &default);
        }
    }
    for (number, decision) in calls {
        step(*number, decision);
        step(number + 1, &default);
    }
    steps.dedup_by(|next, kept| next.1 == kept.1);
    // From the last to the first, so that the program reads forward.
    let mut targets: Vec<(u32, Target)> = Vec::with_capacity(steps.len());
    for (bound, decision) in steps.iter().rev() {
        let target = match decision {
            Decision::Always(action) => Target::Ret(action.ret()),
            Decision::First(alternatives) => arguments(asm, alternatives, policy),
        };
        targets.push((*bound, target));
    }
    targets.reverse();
    merge(&mut targets);
    asm.search(&targets)
        .unwrap_or(Target::Ret(policy.default.ret()))
}

/// Neighbours that lead to one place are one step.
fn merge(steps: &mut Vec<(u32, Target)>) {
    steps.dedup_by(|next, kept| next.1 == kept.1);
}

/// The conditions on one call's arguments.
fn arguments(asm: &mut Assembler, alternatives: &[(Vec<Cond>, Action)], policy: &Policy) -> Target {
    if let Some(target) = one_argument(asm, alternatives, policy) {
        return target;
    }
    let mut otherwise = Target::Ret(policy.default.ret());
    for (conds, action) in alternatives.iter().rev() {
        let mut then = Target::Ret(action.ret());
        for cond in conds.iter().rev() {
            then = condition(asm, *cond, policy.arch, then, otherwise);
        }
        otherwise = then;
    }
    otherwise
}

/// Many alternatives on one argument, all below 2³² (docker's address families): a binary search over its ranges.
fn one_argument(
    asm: &mut Assembler,
    alternatives: &[(Vec<Cond>, Action)],
    policy: &Policy,
) -> Option<Target> {
    let index = alternatives.first()?.0.first()?.index;
    if alternatives.len() < 3 {
        return None;
    }
    let mut ranges: Vec<(u32, u32, Action)> = Vec::new();
    for (conds, action) in alternatives {
        let [cond] = conds.as_slice() else {
            return None;
        };
        let value = u32::try_from(cond.value)
            .ok()
            .filter(|_| cond.index == index)?;
        match cond.op {
            Op::Eq => ranges.push((value, value, *action)),
            Op::Lt => ranges.extend(value.checked_sub(1).map(|last| (0, last, *action))),
            Op::Le => ranges.push((0, value, *action)),
            Op::Ne | Op::Ge | Op::Gt | Op::MaskedEq => return None,
        }
    }
    let mut bounds: Vec<u32> = std::iter::once(0)
        .chain(
            ranges
                .iter()
                .flat_map(|(from, to, _)| [Some(*from), to.checked_add(1)])
                .flatten(),
        )
        .collect();
    bounds.sort_unstable();
    bounds.dedup();
    let default = Target::Ret(policy.default.ret());
    let mut steps: Vec<(u32, Target)> = Vec::with_capacity(bounds.len());
    for bound in bounds {
        let hit = ranges
            .iter()
            .find(|(from, to, _)| (*from..=*to).contains(&bound));
        let target = match hit {
            Some((_, _, action)) => Target::Ret(action.ret()),
            None => default,
        };
        steps.push((bound, target));
    }
    merge(&mut steps);
    let search = asm.search(&steps)?;
    let low = asm.load(arg_low(index), search);
    if policy.arch.narrow() {
        return Some(low);
    }
    let high = asm.branch(Test::Eq, 0, low, default);
    Some(asm.load(arg_high(index), high))
}

/// One 64-bit comparison, by halves.
fn condition(
    asm: &mut Assembler,
    cond: Cond,
    arch: Arch,
    then: Target,
    otherwise: Target,
) -> Target {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let halves = |value: u64| ((value >> 32) as u32, value as u32);
    let (value_high, value_low) = halves(cond.value);
    // What the halves of the argument decide: by the high one alone if it is larger or smaller, by the low one if
    // they are equal.
    let (test, larger, equal_yes, equal_no, smaller) = match cond.op {
        Op::MaskedEq => return masked(asm, cond, arch, then, otherwise),
        Op::Eq => (Test::Eq, otherwise, then, otherwise, otherwise),
        Op::Ne => (Test::Eq, then, otherwise, then, then),
        Op::Ge => (Test::Ge, then, then, otherwise, otherwise),
        Op::Gt => (Test::Gt, then, then, otherwise, otherwise),
        Op::Lt => (Test::Ge, otherwise, otherwise, then, then),
        Op::Le => (Test::Gt, otherwise, otherwise, then, then),
    };
    let low = asm.branch(test, value_low, equal_yes, equal_no);
    let low = asm.load(arg_low(cond.index), low);
    if arch.narrow() {
        return if value_high == 0 { low } else { smaller };
    }
    let unequal = if larger == smaller {
        larger
    } else {
        asm.branch(Test::Gt, value_high, larger, smaller)
    };
    let high = asm.branch(Test::Eq, value_high, low, unequal);
    asm.load(arg_high(cond.index), high)
}

/// `argument & value == value_two`.
fn masked(asm: &mut Assembler, cond: Cond, arch: Arch, then: Target, otherwise: Target) -> Target {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let halves = |value: u64| ((value >> 32) as u32, value as u32);
    let (mask_high, mask_low) = halves(cond.value);
    let (want_high, want_low) = halves(cond.value_two);
    let low = asm.branch(Test::Eq, want_low, then, otherwise);
    let low = asm.mask(mask_low, low);
    let low = asm.load(arg_low(cond.index), low);
    if mask_high == 0 || arch.narrow() {
        return if want_high == 0 { low } else { otherwise };
    }
    let high = asm.branch(Test::Eq, want_high, low, otherwise);
    let high = asm.mask(mask_high, high);
    asm.load(arg_high(cond.index), high)
}
