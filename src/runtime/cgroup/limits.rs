//! From the limits a user typed to what is written into the files of a version 2 cgroup. Pure.
//!
//! The numbers are docker's: swap counts memory too, shares are on the scale of version 1.

use crate::spec::container::ResourceSpec;

/// One file of a cgroup and its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The controller it belongs to.
    pub controller: &'static str,
    /// File name.
    pub file: &'static str,
    /// Content.
    pub value: String,
    /// The flag that asked for it; `None` when it only follows from another and may be missing in this kernel.
    pub flag: Option<&'static str>,
}

/// Microseconds; docker's and the kernel's.
const PERIOD: u64 = 100_000;

/// What these resources mean for a new cgroup; "unlimited" is what one starts with.
pub fn settings(resources: &ResourceSpec) -> Vec<Setting> {
    let mut all = Vec::new();
    let mut set = |controller, file, value: String, flag| all.push(Setting { controller, file, value, flag });
    if let Some(memory) = resources.memory {
        set("memory", "memory.max", memory.to_string(), Some("--memory"));
        match resources.memory_swap {
            // As much swap again as memory.
            None => set("memory", "memory.swap.max", memory.to_string(), None),
            Some(..0) => {}
            Some(both) => {
                let swap = both.unsigned_abs().saturating_sub(memory);
                set("memory", "memory.swap.max", swap.to_string(), Some("--memory-swap"));
            }
        }
    }
    if let Some(reservation) = resources.memory_reservation {
        set("memory", "memory.low", reservation.to_string(), Some("--memory-reservation"));
    }
    if let Some(millionths) = resources.cpu_millionths {
        let quota = u128::from(millionths) * u128::from(PERIOD) / 1_000_000;
        set("cpu", "cpu.max", format!("{} {PERIOD}", quota.max(1)), Some("--cpus"));
    } else if resources.cpu_quota.is_some_and(|quota| quota > 0) || resources.cpu_period.is_some() {
        let quota = resources.cpu_quota.filter(|quota| *quota > 0).map_or("max".to_owned(), |quota| quota.to_string());
        let flag = if quota == "max" { "--cpu-period" } else { "--cpu-quota" };
        set("cpu", "cpu.max", format!("{quota} {}", resources.cpu_period.unwrap_or(PERIOD)), Some(flag));
    }
    if let Some(shares) = resources.cpu_shares {
        set("cpu", "cpu.weight", weight(shares).to_string(), Some("--cpu-shares"));
    }
    if let Some(list) = &resources.cpuset_cpus {
        set("cpuset", "cpuset.cpus", list.clone(), Some("--cpuset-cpus"));
    }
    if let Some(list) = &resources.cpuset_mems {
        set("cpuset", "cpuset.mems", list.clone(), Some("--cpuset-mems"));
    }
    if let Some(limit @ 1..) = resources.pids_limit {
        set("pids", "pids.max", limit.to_string(), Some("--pids-limit"));
    }
    all
}

/// From shares, 2 to 262144, to weight, 1 to 10000, as the OCI runtime specification converts them.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(resources: &ResourceSpec) -> Vec<(&'static str, String)> {
        settings(resources).into_iter().map(|setting| (setting.file, setting.value)).collect()
    }

    fn pairs(of: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        of.iter().map(|(file, value)| (*file, (*value).to_owned())).collect()
    }

    #[test]
    fn memory_and_swap() {
        let memory = ResourceSpec { memory: Some(100), ..ResourceSpec::default() };
        assert_eq!(written(&memory), pairs(&[("memory.max", "100"), ("memory.swap.max", "100")]));
        let none = ResourceSpec { memory_swap: Some(100), ..memory.clone() };
        assert_eq!(written(&none), pairs(&[("memory.max", "100"), ("memory.swap.max", "0")]));
        let endless = ResourceSpec { memory_swap: Some(-1), ..memory };
        assert_eq!(written(&endless), pairs(&[("memory.max", "100")]));
        let low = ResourceSpec { memory_reservation: Some(7), ..ResourceSpec::default() };
        assert_eq!(written(&low), pairs(&[("memory.low", "7")]));
    }

    #[test]
    fn processors() {
        let cpus = |millionths| ResourceSpec { cpu_millionths: Some(millionths), ..ResourceSpec::default() };
        assert_eq!(written(&cpus(1_500_000)), pairs(&[("cpu.max", "150000 100000")]));
        assert_eq!(written(&cpus(1)), pairs(&[("cpu.max", "1 100000")]));
        let quota = ResourceSpec { cpu_quota: Some(5000), ..ResourceSpec::default() };
        assert_eq!(written(&quota), pairs(&[("cpu.max", "5000 100000")]));
        let period = ResourceSpec { cpu_period: Some(5000), cpu_quota: Some(-1), ..ResourceSpec::default() };
        assert_eq!(written(&period), pairs(&[("cpu.max", "max 5000")]));
        assert_eq!([2, 1024, 262_144, 0, u64::MAX].map(weight), [1, 39, 10_000, 1, 10_000]);
        let sets = ResourceSpec { cpuset_cpus: Some("0-1".into()), cpuset_mems: Some("0".into()), ..ResourceSpec::default() };
        assert_eq!(written(&sets), pairs(&[("cpuset.cpus", "0-1"), ("cpuset.mems", "0")]));
    }

    #[test]
    fn what_is_unlimited_is_left_alone() {
        let resources = ResourceSpec {
            pids_limit: Some(-1),
            cpu_quota: Some(-1),
            memory_swap: Some(-1),
            oom_score_adj: Some(5),
            ..ResourceSpec::default()
        };
        assert_eq!(settings(&resources), []);
        let some = ResourceSpec { pids_limit: Some(9), ..ResourceSpec::default() };
        assert_eq!(written(&some), pairs(&[("pids.max", "9")]));
    }
}
