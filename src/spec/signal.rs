//! Names and numbers of signals (signal(7)).

/// Names without SIG, by number; index 0 is unused.
const NAMES: [&str; 32] = [
    "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM",
    "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR",
    "SYS",
];
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// `TERM`, `SIGTERM`, `term`, `15`, `RTMIN+3`, `RTMAX-1`.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (1..=RTMAX).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = match name {
        "POLL" => Some(29),
        "CLD" => Some(17),
        "IOT" => Some(6),
        "RTMIN" => Some(RTMIN),
        "RTMAX" => Some(RTMAX),
        _ => NAMES.iter().skip(1).position(|known| *known == name).and_then(|at| i32::try_from(at + 1).ok()),
    };
    number
        .or_else(|| Some(RTMIN + name.strip_prefix("RTMIN+")?.parse::<i32>().ok()?))
        .or_else(|| Some(RTMAX - name.strip_prefix("RTMAX-")?.parse::<i32>().ok()?))
        .filter(|number| (1..=RTMAX).contains(number))
}

/// `SIGTERM` for 15.
pub fn name(number: i32) -> String {
    match usize::try_from(number).ok().and_then(|at| NAMES.get(at)) {
        Some(name) if !name.is_empty() => format!("SIG{name}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_real_time_signals() {
        for (text, number) in [("TERM", 15), ("sigkill", 9), ("9", 9), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("WINCH", 28)] {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        for text in ["", "0", "65", "NOSUCH", "RTMIN+99", "SIG"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(name(15), "SIGTERM");
        assert_eq!(parse(&name(31)), Some(31));
    }
}
