//! From clap's errors to the words docker and podman users know, and the list of flags kelp knows of and does not have
//! yet. Prints nothing.

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit::UsageError;

/// Flags of docker or podman that kelp refuses, with the reason. Not in the tables of the verbs, so not in help.
const REFUSED: &[(&str, &str)] = &[
    ("--gpus", "GPU devices are not supported yet; pass the device nodes with --device"),
    ("--pod", "pods are not supported yet"),
    ("--pod-id-file", "pods are not supported yet"),
    ("--secret", "secrets are not supported yet; mount a file with -v FILE:/run/secrets/NAME:ro"),
    ("--link-local-ip", "user networks are not supported yet"),
    ("--systemd", "preparing a container for systemd is not supported yet"),
    ("--sdnotify", "passing readiness on to systemd is not supported yet"),
    ("--runtime", "kelp sets containers up itself and runs no OCI runtime"),
    ("--cgroups", "kelp decides by what the host delegates"),
    ("--volume-driver", "local is the only volume driver"),
    ("--storage-opt", "limits per container layer are not supported"),
    ("--isolation", "that is a flag of docker on Windows"),
    ("--blkio-weight", "block device limits are not supported yet"),
    ("--blkio-weight-device", "block device limits are not supported yet"),
    ("--device-read-bps", "block device limits are not supported yet"),
    ("--device-read-iops", "block device limits are not supported yet"),
    ("--device-write-bps", "block device limits are not supported yet"),
    ("--device-write-iops", "block device limits are not supported yet"),
    ("--device-cgroup-rule", "an ordinary user cannot make device nodes that a rule could open"),
    ("--oom-kill-disable", "the kernel has no such switch in cgroup v2"),
    ("--kernel-memory", "the kernel no longer has this limit"),
    ("--memory-swappiness", "the kernel has no such setting in cgroup v2"),
    ("--decryption-key", "encrypted images are not supported"),
    ("--cgroup-manager", "kelp decides by what the host delegates"),
    ("--remote", "kelp works on this host only"),
    ("--host", "kelp works on this host only"),
    ("--context", "kelp works on this host only"),
];

/// Words clap's error as pflag and docker would; `path` is the command as typed (`kelp run`).
pub(crate) fn explain(error: &clap::Error, path: &str) -> UsageError {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(list)) => Some(list.join(", ")),
        _ => None,
    };
    let arg = text(ContextKind::InvalidArg).unwrap_or_default();
    // `--memory <SIZE>` is how clap names a flag.
    let flag = arg.split([' ', '=', '[']).next().unwrap_or("").to_owned();
    let value = text(ContextKind::InvalidValue).unwrap_or_default();
    let message = match error.kind() {
        ErrorKind::UnknownArgument => return unknown(&arg, &text(ContextKind::SuggestedArg), path),
        ErrorKind::InvalidValue if value.is_empty() => format!("flag needs an argument: {flag}"),
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let reason = std::error::Error::source(error).map_or("not a valid value".to_owned(), ToString::to_string);
            format!("invalid argument \"{value}\" for {flag}: {reason}")
        }
        ErrorKind::NoEquals => format!("flag needs an argument: {flag}"),
        ErrorKind::TooManyValues | ErrorKind::WrongNumberOfValues | ErrorKind::TooFewValues => {
            format!("\"{path}\": wrong number of values for {}", if flag.is_empty() { &arg } else { &flag })
        }
        ErrorKind::MissingRequiredArgument => {
            format!("\"{path}\" requires an argument: {}", arg.replace(['<', '>'], ""))
        }
        ErrorKind::ArgumentConflict => {
            let other = text(ContextKind::PriorArg).unwrap_or_default();
            return UsageError { hint: Some(see(path)), ..UsageError::conflict(&flag, other.split(' ').next().unwrap_or("")) };
        }
        ErrorKind::InvalidUtf8 => "an argument is not UTF-8 text".to_owned(),
        _ => error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned(),
    };
    UsageError { message, hint: Some(see(path)) }
}

/// `--x` or `-x` that the verb does not have, or an argument too many.
fn unknown(arg: &str, near: &Option<String>, path: &str) -> UsageError {
    let name = arg.split('=').next().unwrap_or(arg);
    if let Some((_, reason)) = REFUSED.iter().find(|(flag, _)| *flag == name) {
        return UsageError { message: format!("{name} is not supported: {reason}"), hint: Some(see(path)) };
    }
    let message = if name.starts_with("--") {
        format!("unknown flag: {name}")
    } else if let Some(letter) = name.strip_prefix('-').and_then(|rest| rest.chars().next()) {
        format!("unknown shorthand flag: '{letter}' in {arg}")
    } else {
        format!("\"{path}\" takes no argument \"{arg}\"")
    };
    let hint = match near {
        Some(near) => format!("Did you mean {near}? {}", see(path)),
        None => see(path),
    };
    UsageError { message, hint: Some(hint) }
}

/// Where more is said.
pub(crate) fn see(path: &str) -> String {
    format!("See '{path} --help'.")
}

/// The known word nearest to a mistyped one, if near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = if word.len() < 4 { 1 } else { 2 };
    known.map(|name| (distance(word, name), name)).filter(|(d, _)| *d <= limit).min().map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that part the two words.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            }
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses() {
        let known = || ["run", "rm", "rmi", "images", "inspect", "ps"].into_iter();
        assert_eq!(nearest("rnu", known()), Some("run"));
        assert_eq!(nearest("imags", known()), Some("images"));
        assert_eq!(nearest("isnpect", known()), Some("inspect"));
        assert_eq!(nearest("deploy", known()), None);
    }
}
