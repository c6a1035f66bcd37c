//! What a profile says on one machine for one container: per ABI, the decision for each system call number.
//!
//! Between the JSON and the instructions: rules whose conditions on capabilities, architecture or kernel do not hold
//! are gone, names are numbers, and each number has one decision.

use std::collections::BTreeMap;

use super::arch::Arch;
use super::profile::{Action, Cond, Filter, Profile, Rule};
use super::{Context, Error};

/// ENOSYS: what a program expects of a call that is newer than the kernel.
const ENOSYS: Action = Action::Errno(38);

/// What happens to one system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Whatever the arguments.
    Always(Action),
    /// The first conjunction that holds decides, the default otherwise.
    First(Vec<(Vec<Cond>, Action)>),
}

/// The policy of one ABI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) arch: Arch,
    /// By number; without x32's bit.
    pub(super) calls: BTreeMap<u32, Decision>,
    /// For numbers not in `calls`.
    pub(super) default: Action,
    /// The first number too new for the profile's author, and what happens from there on.
    pub(super) newer: Option<(u32, Action)>,
}

/// The policies of the native ABI (first) and all others the profile brings along.
pub(super) fn policies(profile: &Profile, ctx: &Context) -> Result<Vec<Policy>, Error> {
    let rules: Vec<&Rule> = profile
        .rules
        .iter()
        .filter(|rule| counts(rule, ctx))
        .collect();
    let arches = arches(profile, ctx.arch)?;
    Ok(arches
        .into_iter()
        .map(|arch| policy(profile, &rules, arch))
        .collect())
}

/// The ABIs to decide for. The native one is always among them; others are refused as a whole unless listed.
fn arches(profile: &Profile, native: Arch) -> Result<Vec<Arch>, Error> {
    let mut arches = vec![native];
    let listed = &profile.architectures;
    let mapped = profile
        .arch_map
        .iter()
        .filter(|entry| entry.architecture == native.scmp_name())
        .flat_map(|entry| entry.sub.iter().flatten());
    for name in listed.iter().chain(mapped) {
        if !name.starts_with("SCMP_ARCH_") {
            return Err(Error::Arch(name.escape_default().take(60).collect()));
        }
        // What this kernel cannot run anyway needs no code.
        if let Some(arch) = Arch::from_scmp(name)
            && arch.runs_on(native)
            && !arches.contains(&arch)
        {
            arches.push(arch);
        }
    }
    Ok(arches)
}

/// Whether the container and machine are ones the rule speaks of: every condition of `includes`, none of `excludes`.
fn counts(rule: &Rule, ctx: &Context) -> bool {
    let native = |arches: &[String]| arches.iter().any(|arch| arch == ctx.arch.docker_name());
    let Filter {
        caps,
        unknown_cap,
        arches,
        min_kernel,
    } = &rule.includes;
    let included = caps.difference(ctx.caps).is_empty()
        && !unknown_cap
        && (arches.is_empty() || native(arches))
        && min_kernel.is_none_or(|min| ctx.kernel >= min);
    let Filter {
        caps,
        unknown_cap: _,
        arches,
        min_kernel,
    } = &rule.excludes;
    let excluded = !caps.intersection(ctx.caps).is_empty()
        || native(arches)
        || min_kernel.is_some_and(|min| ctx.kernel >= min);
    included && !excluded
}

/// Names to numbers. As with libseccomp: a rule that says what the default says is no rule; one without conditions
/// beats all with conditions; the first of equals wins; names the ABI does not have are skipped.
fn policy(profile: &Profile, rules: &[&Rule], arch: Arch) -> Policy {
    let default = profile.default_action;
    let mut calls: BTreeMap<u32, Decision> = BTreeMap::new();
    let mut newest = None;
    for rule in rules {
        for number in rule.calls.iter().filter_map(|call| call.number(arch)) {
            if arch.private_from().is_none_or(|private| number < private) {
                newest = newest.max(Some(number));
            }
            if rule.action == default {
                continue;
            }
            if rule.when.is_empty() {
                match calls.get(&number) {
                    Some(Decision::Always(_)) => {}
                    Some(Decision::First(_)) | None => {
                        calls.insert(number, Decision::Always(rule.action));
                    }
                }
                continue;
            }
            let entry = calls
                .entry(number)
                .or_insert_with(|| Decision::First(Vec::new()));
            if let Decision::First(alternatives) = entry {
                alternatives.extend(rule.when.iter().map(|conds| (conds.clone(), rule.action)));
            }
        }
    }
    // A call made after the profile was written must look absent, or programs that probe for it and fall back on
    // ENOSYS would break (runc does the same). Where the default lets calls pass there is nothing to hide.
    let strict = matches!(
        default,
        Action::Errno(_) | Action::KillProcess | Action::KillThread | Action::Trap
    );
    let newer = newest
        .filter(|_| strict && default != ENOSYS)
        .map(|newest| (newest + 1, ENOSYS));
    Policy {
        arch,
        calls,
        default,
        newer,
    }
}
