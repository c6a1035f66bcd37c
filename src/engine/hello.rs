//! What the embedded `hello` image prints: how isolated a process in a container is, as it sees it itself.
//!
//! Owns reading it from `/proc` and wording it. Runs inside the container, where nothing but kelp's own program exists; it
//! relies on no file of an image and changes nothing.

use std::fmt::Write as _;
use std::fs;

use crate::spec::caps::CapSet;

/// The kernel's view of a process, as text for people.
#[must_use]
pub fn report() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut text =
        String::from("Hello from a kelp container! This is what a process in it sees.\n");
    identity(&mut text, &status);
    namespaces(&mut text);
    confinement(&mut text, &status);
    limits(&mut text);
    mounts(&mut text);
    network(&mut text);
    text.push_str("\nTry next:  kelp run -it --rm debian bash\n");
    text
}

/// The value of a `Key:` line.
fn field<'s>(status: &'s str, key: &str) -> &'s str {
    status
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
        .map_or("?", str::trim)
}

/// A line of the report.
fn line(text: &mut String, key: &str, value: &str) {
    // Writing to a string does not fail.
    writeln!(text, "  {key:<14} {value}").ok();
}

fn heading(text: &mut String, title: &str) {
    writeln!(text, "\n{title}").ok();
}

fn identity(text: &mut String, status: &str) {
    heading(text, "Who am I");
    let first = |key| field(status, key).split_whitespace().next().unwrap_or("?");
    let groups = field(status, "Groups");
    let groups = if groups.is_empty() { "none" } else { groups };
    line(
        text,
        "user",
        &format!(
            "uid {}, gid {}, other groups {groups}",
            first("Uid"),
            first("Gid")
        ),
    );
    for (key, file) in [
        ("uids", "/proc/self/uid_map"),
        ("gids", "/proc/self/gid_map"),
    ] {
        line(
            text,
            key,
            &id_map(&fs::read_to_string(file).unwrap_or_default()),
        );
    }
    let uname = rustix::system::uname();
    line(text, "hostname", &uname.nodename().to_string_lossy());
    line(text, "kernel", &uname.release().to_string_lossy());
    let processes = fs::read_dir("/proc")
        .map(|entries| {
            entries
                .flatten()
                .filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok())
                .count()
        })
        .unwrap_or(0);
    line(
        text,
        "processes",
        &format!("{processes} visible, I am number {}", std::process::id()),
    );
}

/// `0 → 100000 (65536)`, one per extent.
fn id_map(map: &str) -> String {
    let extents: Vec<String> = map
        .lines()
        .filter_map(|extent| {
            let mut numbers = extent.split_whitespace();
            let (inside, outside, count) = (numbers.next()?, numbers.next()?, numbers.next()?);
            Some(format!("{inside}..+{count} from {outside} outside"))
        })
        .collect();
    if extents.is_empty() {
        "?".to_owned()
    } else {
        extents.join(", ")
    }
}

fn namespaces(text: &mut String) {
    heading(text, "Namespaces");
    for name in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"] {
        if let Ok(target) = fs::read_link(format!("/proc/self/ns/{name}")) {
            let target = target.to_string_lossy().into_owned();
            let number = target
                .trim_start_matches(|c: char| !c.is_ascii_digit())
                .trim_end_matches(']');
            line(text, name, number);
        }
    }
}

fn confinement(text: &mut String, status: &str) {
    heading(text, "Confinement");
    for (key, name) in [
        ("CapEff", "capabilities"),
        ("CapBnd", "bounding set"),
        ("CapInh", "inheritable"),
        ("CapAmb", "ambient"),
    ] {
        let value = match u64::from_str_radix(field(status, key), 16)
            .ok()
            .map(CapSet::from_bits)
        {
            Some(set) if set.is_empty() => "none".to_owned(),
            Some(set) => set
                .iter()
                .map(|cap| cap.name().trim_start_matches("CAP_").to_ascii_lowercase())
                .collect::<Vec<_>>()
                .join(" "),
            None => "?".to_owned(),
        };
        if name == "bounding set"
            && value != "none"
            && field(status, "CapBnd") == field(status, "CapEff")
        {
            line(text, name, "the same");
        } else {
            line(text, name, &value);
        }
    }
    let seccomp = match field(status, "Seccomp") {
        "0" => "off".to_owned(),
        "1" => "strict".to_owned(),
        "2" => format!("filter ({} installed)", field(status, "Seccomp_filters")),
        other => other.to_owned(),
    };
    line(text, "seccomp", &seccomp);
    let privileges = match field(status, "NoNewPrivs") {
        "1" => "cannot be gained (no-new-privileges)",
        _ => "can be gained by setuid programs inside",
    };
    line(text, "privileges", privileges);
    if let Ok(profile) = fs::read_to_string("/proc/self/attr/current") {
        line(text, "lsm profile", profile.trim_matches(['\0', '\n', ' ']));
    }
    let descriptors = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    // One of them reads the directory.
    line(
        text,
        "open files",
        &descriptors.saturating_sub(1).to_string(),
    );
}

fn limits(text: &mut String) {
    heading(text, "Limits");
    if let Ok(cgroup) = fs::read_to_string("/proc/self/cgroup") {
        let own = cgroup
            .lines()
            .find_map(|l| l.strip_prefix("0::"))
            .unwrap_or("version 1");
        line(text, "cgroup", own);
    }
    for (name, file) in [
        ("memory", "/sys/fs/cgroup/memory.max"),
        ("processes", "/sys/fs/cgroup/pids.max"),
        ("cpu", "/sys/fs/cgroup/cpu.max"),
    ] {
        if let Ok(value) = fs::read_to_string(file) {
            line(text, name, value.trim());
        }
    }
    let wanted = [
        "Max open files",
        "Max processes",
        "Max core file size",
        "Max locked memory",
    ];
    for limit in fs::read_to_string("/proc/self/limits")
        .unwrap_or_default()
        .lines()
    {
        for name in wanted {
            if let Some(rest) = limit.strip_prefix(name) {
                let mut values = rest.split_whitespace();
                let (soft, hard) = (values.next().unwrap_or("?"), values.next().unwrap_or("?"));
                line(text, &name[4..], &format!("{soft} (at most {hard})"));
            }
        }
    }
}

fn mounts(text: &mut String) {
    heading(text, "Mounts");
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    for mount in table.lines() {
        let fields: Vec<&str> = mount.split(' ').collect();
        let Some(dash) = fields.iter().position(|f| *f == "-") else {
            continue;
        };
        let (Some(point), Some(options), Some(kind)) =
            (fields.get(4), fields.get(5), fields.get(dash + 1))
        else {
            continue;
        };
        line(text, kind, &format!("{point} ({options})"));
    }
}

fn network(text: &mut String) {
    heading(text, "Network");
    let devices = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names: Vec<&str> = devices
        .lines()
        .skip(2)
        .filter_map(|device| device.split_once(':').map(|(name, _)| name.trim()))
        .collect();
    line(text, "interfaces", &names.join(", "));
    let addresses = addresses();
    if !addresses.is_empty() {
        line(text, "addresses", &addresses.join(", "));
    }
    line(
        text,
        "gateway",
        gateway()
            .as_deref()
            .unwrap_or("none: nothing outside can be reached"),
    );
    if let Ok(resolver) = fs::read_to_string("/etc/resolv.conf") {
        let servers: Vec<&str> = resolver
            .lines()
            .filter_map(|l| l.strip_prefix("nameserver "))
            .map(str::trim)
            .collect();
        line(text, "name servers", &servers.join(", "));
    }
}

/// Local addresses, from the routing table of IPv4: it needs no library.
fn addresses() -> Vec<String> {
    let table = fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let mut found: Vec<String> = Vec::new();
    let mut last = "";
    for entry in table.lines() {
        let entry = entry.trim();
        if let Some(address) = entry.strip_prefix("|-- ") {
            last = address;
        } else if entry == "/32 host LOCAL" && !found.iter().any(|known| known == last) {
            found.push(last.to_owned());
        }
    }
    found
}

/// The default route of IPv4.
fn gateway() -> Option<String> {
    let table = fs::read_to_string("/proc/net/route").ok()?;
    table.lines().skip(1).find_map(|route| {
        let fields: Vec<&str> = route.split_whitespace().collect();
        if *fields.get(1)? != "00000000" {
            return None;
        }
        // As the kernel prints it: the bytes of the address in memory order.
        let address = u32::from_str_radix(fields.get(2)?, 16).ok()?;
        let [a, b, c, d] = address.to_ne_bytes();
        Some(format!("{a}.{b}.{c}.{d} by {}", fields.first()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_report_names_what_matters() {
        let text = report();
        for word in [
            "uid ",
            "capabilities",
            "seccomp",
            "Mounts",
            "interfaces",
            "user ",
        ] {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert!(!text.contains('?'), "everything was found: {text}");
    }

    #[test]
    fn maps_are_worded() {
        assert_eq!(
            id_map("         0       1001          1\n         1     100000      65536\n"),
            "0..+1 from 1001 outside, 1..+65536 from 100000 outside"
        );
    }
}
