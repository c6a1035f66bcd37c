//! Durations: docker's rough words for ages (`About a minute`) and Go's exact notation (`1h30m`, `500ms`).
//!
//! Exact durations are signed nanoseconds in an `i64`, as in the docker API.

const SECOND: i64 = 1_000_000_000;

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Not a number followed by a unit.
    #[error("invalid duration {0:?}: write it like 10s, 1m30s or 500ms")]
    Invalid(String),
    /// A number without a unit.
    #[error("missing unit in duration {0:?}: write it like 10s, 1m30s or 500ms")]
    MissingUnit(String),
    /// A unit that does not exist.
    #[error("unknown unit {unit:?} in duration {text:?}: use ns, us, ms, s, m or h")]
    Unit {
        /// The whole text.
        text: String,
        /// The unit.
        unit: String,
    },
    /// More than about 292 years.
    #[error("duration {0:?} is too long")]
    TooLong(String),
}

/// The rough words for an age or an uptime of `seconds`; negative ages count as none.
pub fn human(seconds: i64) -> String {
    let minutes = seconds / 60;
    // Hours round half up, everything else is cut off.
    let hours = seconds.saturating_add(1800) / 3600;
    if seconds < 1 {
        "Less than a second".to_owned()
    } else if seconds == 1 {
        "1 second".to_owned()
    } else if seconds < 60 {
        format!("{seconds} seconds")
    } else if minutes == 1 {
        "About a minute".to_owned()
    } else if minutes < 60 {
        format!("{minutes} minutes")
    } else if hours == 1 {
        "About an hour".to_owned()
    } else if hours < 48 {
        format!("{hours} hours")
    } else if hours < 24 * 7 * 2 {
        format!("{} days", hours / 24)
    } else if hours < 24 * 30 * 2 {
        format!("{} weeks", hours / 24 / 7)
    } else if hours < 24 * 365 * 2 {
        format!("{} months", hours / 24 / 30)
    } else {
        format!("{} years", seconds / 3600 / 24 / 365)
    }
}

/// Reads Go's duration notation; the result is in nanoseconds and may be negative.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return Err(invalid());
        }
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let nanos = match unit {
            "" => return Err(DurationError::MissingUnit(text.to_owned())),
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            other => return Err(DurationError::Unit { text: text.to_owned(), unit: other.to_owned() }),
        };
        let nanos = i128::from(nanos);
        if !whole.is_empty() {
            let whole: u64 = whole.parse().map_err(|_| too_long())?;
            total += i128::from(whole) * nanos;
        }
        // 18 digits are finer than a nanosecond of the largest unit.
        let fraction = &fraction[..fraction.len().min(18)];
        if let Ok(value) = fraction.parse::<i128>() {
            total += value * nanos / 10_i128.pow(u32::try_from(fraction.len()).unwrap_or(18));
        }
        if total > i128::from(i64::MAX) {
            return Err(too_long());
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).map_err(|_| too_long())
}

/// Reads a duration that docker's flags also accept as a bare number of seconds (`10` or `10s`).
pub fn parse_or_seconds(text: &str) -> Result<i64, DurationError> {
    match text.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(SECOND).ok_or_else(|| DurationError::TooLong(text.to_owned())),
        Err(_) => parse(text),
    }
}

/// Writes nanoseconds as Go does: `1h30m0s`, `1.5s`, `500ms`, `0s`.
pub fn exact(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let n = nanos.unsigned_abs();
    let second = SECOND.unsigned_abs();
    if n == 0 {
        return "0s".to_owned();
    }
    if n < second {
        let (unit, name) = match n {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "\u{b5}s"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", decimal(n, unit));
    }
    let minutes = n / (60 * second);
    let seconds = decimal(n % (60 * second), second);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, m) => format!("{sign}{m}m{seconds}s"),
        (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
    }
}

/// `value / unit` (unit a power of ten) without trailing zeros.
fn decimal(value: u64, unit: u64) -> String {
    let digits = usize::try_from(unit.ilog10()).unwrap_or(0);
    if value.is_multiple_of(unit) {
        return (value / unit).to_string();
    }
    let fraction = format!("{:0digits$}", value % unit);
    format!("{}.{}", value / unit, fraction.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    #[test]
    fn words_are_dockers() {
        for (seconds, want) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (45, "45 seconds"),
            (MINUTE, "About a minute"),
            (119, "About a minute"),
            (3 * MINUTE, "3 minutes"),
            (35 * MINUTE, "35 minutes"),
            (59 * MINUTE + 59, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 29 * MINUTE + 59, "About an hour"),
            (HOUR + 30 * MINUTE, "2 hours"),
            (3 * HOUR, "3 hours"),
            (3 * HOUR + 31 * MINUTE, "4 hours"),
            (24 * HOUR, "24 hours"),
            (47 * HOUR, "47 hours"),
            (48 * HOUR, "2 days"),
            (7 * DAY, "7 days"),
            (13 * DAY + 5 * HOUR, "13 days"),
            (14 * DAY, "2 weeks"),
            (21 * DAY, "3 weeks"),
            (59 * DAY, "8 weeks"),
            (60 * DAY, "2 months"),
            (3 * 30 * DAY, "3 months"),
            (23 * 30 * DAY, "23 months"),
            (365 * DAY, "12 months"),
            (24 * 30 * DAY, "24 months"),
            (2 * 365 * DAY, "2 years"),
            (3 * 365 * DAY, "3 years"),
        ] {
            assert_eq!(human(seconds), want, "{seconds}");
        }
    }

    #[test]
    fn go_notation() {
        for (text, want) in [
            ("0", 0),
            ("5s", 5 * SECOND),
            ("30s", 30 * SECOND),
            ("-5s", -5 * SECOND),
            ("+5s", 5 * SECOND),
            ("-0", 0),
            ("5.0s", 5 * SECOND),
            ("5.6s", 5_600_000_000),
            (".5s", 500_000_000),
            ("5.s", 5 * SECOND),
            ("10ns", 10),
            ("11us", 11_000),
            ("12\u{b5}s", 12_000),
            ("13ms", 13_000_000),
            ("3h30m", 12_600 * SECOND),
            ("10.5s4m", 250_500_000_000),
            ("1h15m30.918273645s", 4_530_918_273_645),
            ("9223372036854775807ns", i64::MAX),
            ("0.3333333333333333333h", 1_200 * SECOND - 1),
        ] {
            assert_eq!(parse(text), Ok(want), "{text}");
        }
        for text in ["", "3", "-", "s", ".", "-.", ".s", "+.s", "1d", "10 s", "9223372036854775808ns", "9999999h", "1.2.3s", "s1"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("10"), Err(DurationError::MissingUnit("10".into())));
        assert!(matches!(parse("1d"), Err(DurationError::Unit { .. })));
        assert_eq!(parse_or_seconds("10"), Ok(10 * SECOND));
        assert_eq!(parse_or_seconds("-1"), Ok(-SECOND));
        assert_eq!(parse_or_seconds("1m"), Ok(60 * SECOND));
    }

    #[test]
    fn exact_round_trips() {
        for (nanos, want) in [
            (0, "0s"),
            (1, "1ns"),
            (1100, "1.1\u{b5}s"),
            (2_200_000, "2.2ms"),
            (500_000_000, "500ms"),
            (3_300_000_000, "3.3s"),
            (30 * SECOND, "30s"),
            (245 * SECOND, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (5400 * SECOND, "1h30m0s"),
            (-SECOND, "-1s"),
        ] {
            assert_eq!(exact(nanos), want);
            assert_eq!(parse(want), Ok(nanos));
        }
    }
}
