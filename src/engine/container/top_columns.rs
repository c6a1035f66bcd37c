//! Which columns `top` shows: ps options, or podman's names.

use crate::engine::Error;

/// One column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    HostPid,
    HostParent,
    Pid,
    Parent,
    User,
    Group,
    HostUser,
    HostGroup,
    CpuWhole,
    Cpu,
    Memory,
    Start,
    Elapsed,
    Time,
    Tty,
    Command,
    Name,
    State,
    Rss,
    Vsz,
    Nice,
    ProcessGroup,
    Session,
    Threads,
    Seccomp,
    Capabilities,
}

type Titled = Vec<(Column, String)>;

/// What `ps -ef` shows, and docker by default.
const FULL: &[&str] = &["uid", "pid", "ppid", "c", "stime", "tty", "time", "cmd"];
/// `ps aux`.
const USER: &[&str] = &["user", "pid", "%cpu", "%mem", "vsz", "rss", "tty", "stat", "start", "time", "command"];
/// `ps -l`.
const LONG: &[&str] = &["s", "uid", "pid", "ppid", "c", "ni", "vsz", "tty", "time", "comm"];

/// Reads what was typed after the container's name.
pub(super) fn parse(args: &[String]) -> Result<Titled, Error> {
    let words: Vec<&str> = args.iter().flat_map(|arg| arg.split_ascii_whitespace()).collect();
    if words.is_empty() {
        return named(FULL, false);
    }
    // podman's way: names, separated by commas or blanks.
    let names: Vec<&str> = words.iter().flat_map(|word| word.split(',')).filter(|name| !name.is_empty()).collect();
    if names.iter().all(|name| column(name, true).is_some()) {
        return named(&names, true);
    }
    options(&words)
}

fn options(words: &[&str]) -> Result<Titled, Error> {
    let mut chosen = FULL;
    let mut own: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at) {
        at += 1;
        let dashed = word.starts_with('-');
        let letters = word.trim_start_matches('-');
        let bad = || Error::Usage(format!("top: the ps option \"{word}\" is not understood: use -ef, aux, -l or -o COLUMN,…"));
        if word.starts_with("--") && letters == "forest" {
            continue;
        }
        for (index, letter) in letters.char_indices() {
            match letter {
                'o' => {
                    let rest = &letters[index + 1..];
                    let list = if rest.is_empty() {
                        at += 1;
                        words.get(at - 1).copied().ok_or_else(bad)?
                    } else {
                        rest
                    };
                    own.extend(list.split(',').map(str::to_owned));
                    break;
                }
                'u' if !dashed => chosen = USER,
                'l' => chosen = LONG,
                'f' | 'F' => chosen = if chosen == LONG { LONG } else { FULL },
                'e' | 'A' | 'a' | 'x' | 'w' | 'H' => {}
                _ => return Err(bad()),
            }
        }
    }
    if own.is_empty() {
        return named(chosen, false);
    }
    named(&own.iter().map(String::as_str).collect::<Vec<_>>(), false)
}

/// Looks names up; `NAME=TITLE` gives a column a title of its own.
fn named(names: &[&str], inside: bool) -> Result<Titled, Error> {
    names
        .iter()
        .map(|text| {
            let (name, title) = text.split_once('=').map_or((*text, None), |(name, title)| (name, Some(title)));
            let column = column(name, inside)
                .ok_or_else(|| Error::Usage(format!("top: there is no column \"{name}\": try pid, ppid, user, pcpu, etime, tty, time, args")))?;
            Ok((column, title.map_or_else(|| heading(name, column), str::to_owned)))
        })
        .collect()
}

/// `inside`: podman's meaning of ids and pids, the container's.
fn column(name: &str, inside: bool) -> Option<Column> {
    let name = name.to_ascii_lowercase();
    Some(match name.as_str() {
        "pid" | "tgid" if inside => Column::Pid,
        "ppid" if inside => Column::Parent,
        "pid" | "hpid" | "tgid" => Column::HostPid,
        "ppid" | "hppid" => Column::HostParent,
        "user" | "uid" | "euser" | "ruser" | "uname" | "euid" | "ruid" => Column::User,
        "group" | "gid" | "egroup" | "rgroup" | "egid" | "rgid" => Column::Group,
        "huser" => Column::HostUser,
        "hgroup" => Column::HostGroup,
        "c" => Column::CpuWhole,
        "pcpu" | "%cpu" | "cpu" => Column::Cpu,
        "pmem" | "%mem" => Column::Memory,
        "stime" | "start" | "start_time" | "lstart" | "bsdstart" => Column::Start,
        "etime" | "elapsed" => Column::Elapsed,
        "time" | "cputime" | "bsdtime" => Column::Time,
        "tty" | "tt" | "tname" => Column::Tty,
        "args" | "cmd" | "command" => Column::Command,
        "comm" | "ucmd" | "ucomm" => Column::Name,
        "s" | "stat" | "state" => Column::State,
        "rss" | "rsz" | "rssize" => Column::Rss,
        "vsz" | "vsize" => Column::Vsz,
        "ni" | "nice" => Column::Nice,
        "pgid" | "pgrp" => Column::ProcessGroup,
        "sid" | "sess" | "session" => Column::Session,
        "nlwp" | "thcount" => Column::Threads,
        "seccomp" => Column::Seccomp,
        "capeff" => Column::Capabilities,
        _ => return None,
    })
}

/// ps's titles where they are not the name in capitals.
fn heading(name: &str, column: Column) -> String {
    let name = name.to_ascii_uppercase();
    match (column, name.as_str()) {
        (Column::Cpu, _) => "%CPU".to_owned(),
        (Column::Memory, _) => "%MEM".to_owned(),
        (Column::Elapsed, _) => "ELAPSED".to_owned(),
        (Column::Command, "ARGS") => "COMMAND".to_owned(),
        (Column::Name, _) => "COMMAND".to_owned(),
        (Column::Nice, _) => "NI".to_owned(),
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles(args: &[&str]) -> String {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        parse(&args).map_or_else(|error| error.to_string(), |columns| {
            columns.into_iter().map(|(_, title)| title).collect::<Vec<_>>().join(" ")
        })
    }

    #[test]
    fn options_and_names_choose_columns() {
        assert_eq!(titles(&[]), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles(&["-ef"]), "UID PID PPID C STIME TTY TIME CMD");
        assert_eq!(titles(&["aux"]), "USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND");
        assert_eq!(titles(&["-eo", "pid,comm=NAME"]), "PID NAME");
        assert_eq!(titles(&["-o", "pid", "-o", "args"]), "PID COMMAND");
        assert_eq!(titles(&["user", "pid", "hpid", "etime"]), "USER PID HPID ELAPSED");
        assert!(titles(&["bogus"]).contains("not understood"));
        assert!(titles(&["-o", "bogus"]).contains("no column"));
        let of = |args: &[&str]| parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>()).unwrap()[0].0;
        assert_eq!((of(&["pid"]), of(&["-o", "pid"])), (Column::Pid, Column::HostPid));
    }
}
