//! How much the container may use.

use super::bytes;
use crate::cli::exit::UsageError;
use crate::spec::container::ResourceSpec;

/// The resources section of `run` and `create`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Resources")]
pub(crate) struct ResourceFlags {
    /// Memory limit
    #[arg(short, long, value_name = "SIZE")]
    memory: Option<String>,
    /// Memory the container may count on
    #[arg(long, value_name = "SIZE")]
    memory_reservation: Option<String>,
    /// Memory and swap together; -1 is unlimited
    #[arg(long, value_name = "SIZE")]
    memory_swap: Option<String>,
    /// Number of processors, such as 1.5
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<String>,
    /// Length of the scheduler's period, microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_period: Option<u64>,
    /// Processor time per period, microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_quota: Option<i64>,
    /// Share of processor time when it is scarce; 1024 is the usual one
    #[arg(short, long, value_name = "NUMBER")]
    cpu_shares: Option<u64>,
    /// Processors to run on, such as 0-2,4
    #[arg(long, value_name = "LIST")]
    cpuset_cpus: Option<String>,
    /// Memory nodes to use
    #[arg(long, value_name = "LIST")]
    cpuset_mems: Option<String>,
    /// Number of processes; -1 is unlimited
    #[arg(long, value_name = "NUMBER")]
    pids_limit: Option<i64>,
    /// Preference to be killed when memory is scarce, -1000 to 1000
    #[arg(long, value_name = "NUMBER")]
    oom_score_adj: Option<i32>,
    /// Control group to put the container's under
    #[arg(long, value_name = "PATH")]
    cgroup_parent: Option<String>,
}

impl ResourceFlags {
    pub(crate) fn apply(self, spec: &mut ResourceSpec) -> Result<(), UsageError> {
        let Self {
            memory,
            memory_reservation,
            memory_swap,
            cpus,
            cpu_period,
            cpu_quota,
            cpu_shares,
            cpuset_cpus,
            cpuset_mems,
            pids_limit,
            oom_score_adj,
            cgroup_parent,
        } = self;
        // docker reads 0 as no limit everywhere.
        spec.memory = bytes("--memory", memory)?.filter(|limit| *limit > 0);
        spec.memory_reservation = bytes("--memory-reservation", memory_reservation)?.filter(|limit| *limit > 0);
        spec.memory_swap = memory_swap.map(swap).transpose()?.filter(|limit| *limit != 0);
        match (spec.memory, spec.memory_swap) {
            (None, Some(1..)) => {
                return Err(UsageError::new("--memory-swap counts memory too: give --memory with it"));
            }
            (Some(memory), Some(swap @ 1..)) if swap.unsigned_abs() < memory => {
                return Err(UsageError::new("--memory-swap counts memory too: it must not be smaller than --memory"));
            }
            _ => {}
        }
        if spec.memory_reservation.zip(spec.memory).is_some_and(|(reservation, limit)| reservation > limit) {
            return Err(UsageError::new("--memory-reservation must not be larger than --memory"));
        }
        if cpus.is_some() && (cpu_period.is_some() || cpu_quota.is_some()) {
            return Err(UsageError::conflict("--cpus", if cpu_period.is_some() { "--cpu-period" } else { "--cpu-quota" }));
        }
        spec.cpu_millionths = cpus.map(|text| millionths(&text)).transpose()?.filter(|count| *count > 0);
        spec.cpu_period = cpu_period.filter(|period| *period > 0);
        spec.cpu_quota = cpu_quota.filter(|quota| *quota != 0);
        spec.cpu_shares = cpu_shares.filter(|shares| *shares > 0);
        spec.cpuset_cpus = list("--cpuset-cpus", cpuset_cpus)?;
        spec.cpuset_mems = list("--cpuset-mems", cpuset_mems)?;
        spec.pids_limit = pids_limit.map(|limit| if limit == 0 { -1 } else { limit });
        if let Some(score) = oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
            return Err(UsageError::value("--oom-score-adj", &score.to_string(), "expected -1000 to 1000"));
        }
        spec.oom_score_adj = oom_score_adj;
        spec.cgroup_parent = cgroup_parent.filter(|parent| !parent.is_empty());
        Ok(())
    }
}

fn swap(text: String) -> Result<i64, UsageError> {
    if text == "-1" {
        return Ok(-1);
    }
    let limit = bytes("--memory-swap", Some(text.clone()))?.unwrap_or_default();
    i64::try_from(limit).map_err(|_| UsageError::value("--memory-swap", &text, "the size is too large"))
}

/// A decimal number of processors, exactly.
fn millionths(text: &str) -> Result<u64, UsageError> {
    let bad = || UsageError::value("--cpus", text, "expected a number such as 1.5");
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) || part.len() > 9 {
        return Err(bad());
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| bad())? };
    let part: u64 = format!("{part:0<6}").get(..6).and_then(|part| part.parse().ok()).ok_or_else(bad)?;
    whole.checked_mul(1_000_000).and_then(|whole| whole.checked_add(part)).ok_or_else(bad)
}

/// `0-2,4`.
fn list(flag: &str, text: Option<String>) -> Result<Option<String>, UsageError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse::<u16>().ok().zip(last.parse::<u16>().ok()).is_some_and(|(first, last)| first <= last)
    };
    if text.split(',').all(range) {
        Ok(Some(text))
    } else {
        Err(UsageError::value(flag, &text, "expected a list such as 0-2,4"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors() {
        assert_eq!(millionths("1.5"), Ok(1_500_000));
        assert_eq!(millionths("2"), Ok(2_000_000));
        assert_eq!(millionths(".25"), Ok(250_000));
        assert_eq!(millionths("0.0000019"), Ok(1));
        for bad in ["", ".", "-1", "1,5", "two", "1e3"] {
            assert!(millionths(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lists() {
        assert_eq!(list("--cpuset-cpus", Some("0-2,4".into())), Ok(Some("0-2,4".into())));
        assert!(list("--cpuset-cpus", Some("2-1".into())).is_err());
        assert!(list("--cpuset-cpus", Some("a".into())).is_err());
    }
}
