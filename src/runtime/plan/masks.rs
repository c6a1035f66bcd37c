//! Which paths of /proc and /sys are hidden or read-only in a container.
//!
//! The lists are docker's; `mask=`, `unmask=` and `systempaths=` change them.
//! Mounting is the launcher's: a hidden file gets /dev/null over it, a hidden directory an empty read-only tmpfs, a
//! read-only path is bound onto itself; paths the kernel does not have are passed over.

use crate::spec::SecurityOpts;

/// Hidden: they tell about or change the host.
pub const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Read-only.
pub const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What docker hides for each processor: the throttling counters are a side channel. Only some machines have them.
#[must_use]
pub fn thermal_throttle(cpu: usize) -> String {
    format!("/sys/devices/system/cpu/cpu{cpu}/thermal_throttle")
}

/// The decision for one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Masks {
    /// Hidden paths, absolute, each once.
    pub masked: Vec<String>,
    /// Read-only paths, absolute, each once.
    pub read_only: Vec<String>,
}

/// Resolves the options; `machine` are further paths hidden on this machine ([`thermal_throttle`]). `--privileged`
/// hides nothing but what `mask=` names.
#[must_use]
pub fn resolve(options: &SecurityOpts, privileged: bool, machine: &[String]) -> Masks {
    let open = privileged || options.unmask_all;
    let kept = |path: &&str| !open && !options.unmask.iter().any(|pattern| matches(pattern, path));
    let defaults = MASKED.into_iter().chain(machine.iter().map(String::as_str));
    let mut masked: Vec<String> = defaults.filter(kept).map(str::to_owned).collect();
    for path in &options.mask {
        if !masked.contains(path) {
            masked.push(path.clone());
        }
    }
    let read_only = READ_ONLY
        .iter()
        .copied()
        .filter(kept)
        .map(str::to_owned)
        .collect();
    Masks { masked, read_only }
}

/// Whether a pattern with `*`, `?` names `path`; neither goes over a slash. `[` is literal.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if matches_part(pattern.as_bytes(), part.as_bytes()) => {}
            _ => return false,
        }
    }
}

/// The same within a part, in linear space and at most quadratic time.
fn matches_part(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go back to: after the last star, with one more byte eaten by it.
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                retry = Some((p, t));
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((after, eaten)) = retry else {
                    return false;
                };
                (p, t) = (after, eaten + 1);
                retry = Some((after, t));
            }
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(options: &[&str]) -> Masks {
        resolve(&SecurityOpts::parse(options).unwrap(), false, &[])
    }

    #[test]
    fn default() {
        let default = masks(&[]);
        assert_eq!(default.masked, MASKED);
        assert_eq!(default.read_only, READ_ONLY);
        let machine = resolve(&SecurityOpts::default(), false, &[thermal_throttle(3)]);
        assert!(
            machine
                .masked
                .contains(&"/sys/devices/system/cpu/cpu3/thermal_throttle".to_owned())
        );
    }

    #[test]
    fn changed() {
        let changed = masks(&[
            "unmask=/proc/kcore:/proc/sys",
            "mask=/etc/secret:/proc/acpi",
        ]);
        assert!(!changed.masked.contains(&"/proc/kcore".to_owned()));
        assert!(!changed.read_only.contains(&"/proc/sys".to_owned()));
        assert_eq!(
            changed.masked.last().map(String::as_str),
            Some("/etc/secret")
        );
        assert_eq!(
            changed
                .masked
                .iter()
                .filter(|path| *path == "/proc/acpi")
                .count(),
            1
        );
        let stars = masks(&["unmask=/proc/*"]);
        assert!(
            stars
                .masked
                .iter()
                .chain(&stars.read_only)
                .all(|path| path.starts_with("/sys"))
        );
        assert_eq!(masks(&["unmask=ALL"]), Masks::default());
        assert_eq!(masks(&["systempaths=unconfined", "mask=/x"]).masked, ["/x"]);
        let privileged = resolve(&SecurityOpts::default(), true, &[thermal_throttle(0)]);
        assert_eq!(privileged, Masks::default());
    }

    #[test]
    fn patterns() {
        for (pattern, path, want) in [
            ("/proc/a*", "/proc/acpi", true),
            ("/proc/*c*i", "/proc/acpi", true),
            ("/proc/a?pi", "/proc/acpi", true),
            ("/proc/*", "/proc/sys/kernel", false),
            ("/*", "/proc/acpi", false),
            ("/proc/acpi*", "/proc/acpi", true),
            ("/proc/a", "/proc/acpi", false),
            ("/proc/*x", "/proc/acpi", false),
        ] {
            assert_eq!(matches(pattern, path), want, "{pattern} {path}");
        }
    }
}
