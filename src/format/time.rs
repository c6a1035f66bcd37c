//! Points in time: RFC 3339 in and out, the `--since`/`--until` grammar, and the fast stamp of log lines.
//!
//! A time is an `i64` of nanoseconds since the Unix epoch (good for 1677 to 2262), always UTC; only the functions that
//! take a [`TimeZone`] know about local time. `state` and the log drivers store what is written here.

use jiff::Timestamp;
use jiff::civil;
use jiff::tz::TimeZone;

use super::duration;

const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400;

/// How docker writes a time that never was (`FinishedAt` of a container that never ran).
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// Length of a log stamp: `2026-01-02T03:04:05.000000000Z`.
pub const STAMP_LEN: usize = 30;

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Not RFC 3339.
    #[error("invalid time {0:?}: write it like 2026-01-02T03:04:05Z")]
    Invalid(String),
    /// None of the forms of `--since` and `--until`.
    #[error(
        "failed to parse {0:?} as a time: write it like 2026-01-02T03:04:05Z, 2026-01-02, 1767323045 (seconds) or 10m (back from now)"
    )]
    Reference(String),
}

/// The present, in nanoseconds since the epoch.
pub fn now() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

/// RFC 3339 in UTC with as many decimals as needed, Go's `RFC3339Nano`: `2026-01-02T03:04:05.5Z`.
pub fn rfc3339_nano(nanos: i64) -> String {
    let mut stamp = Stamp::new();
    let full = text(stamp.format(nanos));
    let short = full[..STAMP_LEN - 1].trim_end_matches('0').trim_end_matches('.');
    format!("{short}Z")
}

/// Like [`rfc3339_nano`]; [`NEVER`] for no time.
pub fn rfc3339_or_never(nanos: Option<i64>) -> String {
    nanos.map_or_else(|| NEVER.to_owned(), rfc3339_nano)
}

/// RFC 3339 in UTC with exactly nine decimals, as in `logs -t` and `events`.
pub fn rfc3339_nine(nanos: i64) -> String {
    text(Stamp::new().format(nanos)).to_owned()
}

/// RFC 3339 with exactly nine decimals and the offset of `zone`, as docker prints events: `….000000000+01:00`.
pub fn rfc3339_nine_in(nanos: i64, zone: &TimeZone) -> String {
    let offset = i64::from(offset_of(nanos, zone));
    if offset == 0 {
        return rfc3339_nine(nanos);
    }
    let local = rfc3339_nine(nanos.saturating_add(offset * SECOND));
    let minutes = offset.abs() / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{}{sign}{:02}:{:02}", &local[..STAMP_LEN - 1], minutes / 60, minutes % 60)
}

/// Local time to the second as docker's `CreatedAt` columns show it: `2026-01-02 03:04:05 +0000 UTC`.
pub fn local_long(nanos: i64, zone: &TimeZone) -> String {
    let seconds = nanos.div_euclid(SECOND);
    let info_at = Timestamp::new(seconds, 0).unwrap_or_default();
    let info = zone.to_offset_info(info_at);
    let offset = i64::from(info.offset().seconds());
    let local = rfc3339_nine((seconds + offset).saturating_mul(SECOND));
    let minutes = offset.abs() / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    format!("{} {} {sign}{:02}{:02} {}", &local[..10], &local[11..19], minutes / 60, minutes % 60, info.abbreviation())
}

/// Local time in the style of C's `ctime`, as `version` shows a build time: `Fri Jan  2 03:04:05 2026`.
pub fn local_ctime(nanos: i64, zone: &TimeZone) -> String {
    let seconds = nanos.div_euclid(SECOND) + i64::from(offset_of(nanos, zone));
    let days = seconds.div_euclid(DAY);
    let (year, month, day) = civil_from_days(days);
    let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][usize::try_from(days.rem_euclid(7)).unwrap_or(0)];
    let names = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let name = names[usize::try_from(month - 1).unwrap_or(0).min(11)];
    let s = seconds.rem_euclid(DAY);
    format!("{weekday} {name} {day:2} {:02}:{:02}:{:02} {year}", s / 3600, s / 60 % 60, s % 60)
}

fn offset_of(nanos: i64, zone: &TimeZone) -> i32 {
    let at = Timestamp::from_nanosecond(i128::from(nanos)).unwrap_or_default();
    zone.to_offset(at).seconds()
}

/// Reads RFC 3339 (offset required, up to nine decimals kept).
pub fn parse_rfc3339(text: &str) -> Result<i64, TimeError> {
    let invalid = || TimeError::Invalid(text.to_owned());
    let parts = Parts::read(text).ok_or_else(invalid)?;
    if !parts.full {
        return Err(invalid());
    }
    let offset = parts.offset.ok_or_else(invalid)?;
    parts.at_offset(offset).ok_or_else(invalid)
}

/// Reads what `--since` and `--until` take: RFC 3339 (date alone, without seconds, or without a zone as well: then local
/// time in `zone`), Unix seconds with a fraction, or a Go duration back from `now`.
pub fn parse_reference(text: &str, now: i64, zone: &TimeZone) -> Result<i64, TimeError> {
    let bad = || TimeError::Reference(text.to_owned());
    if let Some(nanos) = parse_unix(text) {
        return Ok(nanos);
    }
    if let Ok(back) = duration::parse(text) {
        return now.checked_sub(back).ok_or_else(bad);
    }
    let parts = Parts::read(text).ok_or_else(bad)?;
    match parts.offset {
        Some(offset) => parts.at_offset(offset).ok_or_else(bad),
        None => parts.at_zone(zone).ok_or_else(bad),
    }
}

/// Unix seconds with an optional fraction of up to nine digits, as docker's API has them: `1767323045.000000005`.
pub fn parse_unix(text: &str) -> Option<i64> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (seconds, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if seconds.is_empty() || !seconds.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos = seconds.parse::<i64>().ok()?.checked_mul(SECOND)?.checked_add(parse_fraction(fraction)?)?;
    Some(if negative { -nanos } else { nanos })
}

/// The digits after a decimal point as nanoseconds; digits beyond the ninth are dropped.
fn parse_fraction(digits: &str) -> Option<i64> {
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut value = 0;
    let mut bytes = digits.bytes();
    for _ in 0..9 {
        value = value * 10 + bytes.next().map_or(0, |b| i64::from(b - b'0'));
    }
    Some(value)
}

/// A date and time as written.
struct Parts {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
    nanos: i64,
    offset: Option<i64>,
    /// Hours, minutes and seconds were all there.
    full: bool,
}

impl Parts {
    fn read(text: &str) -> Option<Self> {
        let date = text.get(..10)?;
        let (year, month, day) = (number(&date[..4])?, number(date.get(5..7)?)?, number(date.get(8..10)?)?);
        let b = date.as_bytes();
        if b[4] != b'-' || b[7] != b'-' || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
            return None;
        }
        let mut parts = Self { year, month, day, second_of_day: 0, nanos: 0, offset: None, full: false };
        let mut rest = text.get(10..)?;
        if let Some(time) = rest.strip_prefix(['T', 't', ' ']) {
            let end = time.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(time.len());
            parts.clock(&time[..end])?;
            rest = &time[end..];
        }
        parts.offset = match rest.as_bytes().first() {
            None => None,
            Some(b'Z' | b'z') if rest.len() == 1 => Some(0),
            Some(sign @ (b'+' | b'-')) if rest.len() == 6 && rest.as_bytes()[3] == b':' => {
                let (hours, minutes) = (number(rest.get(1..3)?)?, number(rest.get(4..6)?)?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let seconds = hours * 3600 + minutes * 60;
                Some(if *sign == b'-' { -seconds } else { seconds })
            }
            Some(_) => return None,
        };
        Some(parts)
    }

    /// `hh`, `hh:mm` or `hh:mm:ss[.fraction]`.
    fn clock(&mut self, text: &str) -> Option<()> {
        let (clock, fraction) = text.split_once('.').map_or((text, None), |(c, f)| (c, Some(f)));
        let mut fields = clock.split(':');
        let hour = number(fields.next()?)?;
        let (minute, second) = (fields.next(), fields.next());
        if clock.split(':').any(|f| f.len() != 2) || fields.next().is_some() {
            return None;
        }
        self.full = second.is_some();
        let minute = minute.map_or(Some(0), number)?;
        let second = second.map_or(Some(0), number)?;
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        self.second_of_day = hour * 3600 + minute * 60 + second;
        if let Some(fraction) = fraction {
            if !self.full || fraction.is_empty() {
                return None;
            }
            self.nanos = parse_fraction(fraction)?;
        }
        Some(())
    }

    fn at_offset(&self, offset: i64) -> Option<i64> {
        let seconds = days_from_civil(self.year, self.month, self.day) * DAY + self.second_of_day - offset;
        seconds.checked_mul(SECOND)?.checked_add(self.nanos)
    }

    fn at_zone(&self, zone: &TimeZone) -> Option<i64> {
        let small = |n: i64| i8::try_from(n).ok();
        let s = self.second_of_day.min(DAY - 1);
        let local = civil::DateTime::new(
            i16::try_from(self.year).ok()?,
            small(self.month)?,
            small(self.day)?,
            small(s / 3600)?,
            small(s / 60 % 60)?,
            small(s % 60)?,
            i32::try_from(self.nanos).ok()?,
        )
        .ok()?;
        let at = zone.to_ambiguous_timestamp(local).compatible().ok()?;
        i64::try_from(at.as_nanosecond()).ok()
    }
}

fn number(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the Gregorian calendar. The year is counted from March, so that the leap day is
/// the last of it, in eras of 400 years (146097 days).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Formats log stamps without allocating, redoing only the nanoseconds while the second stays the same.
#[derive(Debug, Clone)]
pub struct Stamp {
    second: i64,
    buffer: [u8; STAMP_LEN],
}

impl Default for Stamp {
    fn default() -> Self {
        Self::new()
    }
}

impl Stamp {
    /// A formatter with nothing cached.
    pub const fn new() -> Self {
        Self { second: 0, buffer: *b"1970-01-01T00:00:00.000000000Z" }
    }

    /// `nanos` since the epoch as `2026-01-02T03:04:05.000000000Z`.
    #[inline]
    pub fn format(&mut self, nanos: i64) -> &[u8; STAMP_LEN] {
        let second = nanos.div_euclid(SECOND);
        if second != self.second {
            self.set_second(second);
        }
        // Below 10^9, so it fits; u32 divisions are the cheaper ones.
        let mut rest = u32::try_from(nanos.rem_euclid(SECOND)).unwrap_or(0);
        for place in (20..29).rev() {
            self.buffer[place] = digit(rest % 10);
            rest /= 10;
        }
        &self.buffer
    }

    #[cold]
    fn set_second(&mut self, second: i64) {
        self.second = second;
        let (year, month, day) = civil_from_days(second.div_euclid(DAY));
        let s = second.rem_euclid(DAY);
        two(&mut self.buffer, 0, year / 100);
        for (at, value) in
            [(2, year % 100), (5, month), (8, day), (11, s / 3600), (14, s / 60 % 60), (17, s % 60)]
        {
            two(&mut self.buffer, at, value);
        }
    }
}

fn two(buffer: &mut [u8; STAMP_LEN], at: usize, value: i64) {
    let value = u32::try_from(value).unwrap_or(0);
    buffer[at] = digit(value / 10 % 10);
    buffer[at + 1] = digit(value % 10);
}

fn digit(value: u32) -> u8 {
    b'0' + u8::try_from(value).unwrap_or(0)
}

fn text(stamp: &[u8; STAMP_LEN]) -> &str {
    std::str::from_utf8(stamp).unwrap_or(NEVER)
}

/// Reads a log stamp back, remembering the second so that a run of lines costs ten digit reads each.
#[derive(Debug, Clone, Default)]
pub struct StampReader {
    prefix: [u8; 20],
    second: i64,
}

impl StampReader {
    /// A reader with nothing cached.
    pub fn new() -> Self {
        Self::default()
    }

    /// The nanoseconds of a stamp at the start of `line`; `None` when it is not in the fixed form of [`Stamp`].
    #[inline]
    pub fn read(&mut self, line: &[u8]) -> Option<i64> {
        let stamp = line.first_chunk::<STAMP_LEN>()?;
        if stamp[29] != b'Z' {
            return None;
        }
        let prefix = stamp.first_chunk::<20>()?;
        if *prefix != self.prefix {
            self.second = Self::read_second(prefix)?;
            self.prefix = *prefix;
        }
        let mut nanos = 0_i64;
        for &b in &stamp[20..29] {
            if !b.is_ascii_digit() {
                return None;
            }
            nanos = nanos * 10 + i64::from(b - b'0');
        }
        self.second.checked_mul(SECOND)?.checked_add(nanos)
    }

    fn read_second(prefix: &[u8; 20]) -> Option<i64> {
        let text = std::str::from_utf8(prefix).ok()?;
        let parts = Parts::read(text.strip_suffix('.')?)?;
        if !parts.full || parts.offset.is_some() {
            return None;
        }
        Some(parts.at_offset(0)?.div_euclid(SECOND))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: i64 = 1_767_323_045; // 2026-01-02T03:04:05Z

    #[test]
    fn calendar_agrees_with_jiff() {
        for days in (-100_000..150_000).step_by(37) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
            let date = Timestamp::from_second(days * DAY).unwrap().to_zoned(TimeZone::UTC).date();
            assert_eq!((y, m, d), (date.year().into(), date.month().into(), date.day().into()));
        }
    }

    #[test]
    fn stamps() {
        let mut stamp = Stamp::new();
        for (nanos, want) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (T * SECOND, "2026-01-02T03:04:05.000000000Z"),
            (T * SECOND + 123_456_789, "2026-01-02T03:04:05.123456789Z"),
            (T * SECOND + 999_999_999, "2026-01-02T03:04:05.999999999Z"),
            ((T + 1) * SECOND, "2026-01-02T03:04:06.000000000Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (951_782_400 * SECOND, "2000-02-29T00:00:00.000000000Z"),
        ] {
            assert_eq!(text(stamp.format(nanos)), want);
            assert_eq!(StampReader::new().read(want.as_bytes()), Some(nanos));
            assert_eq!(rfc3339_nine(nanos), want);
        }
        let mut reader = StampReader::new();
        assert_eq!(reader.read(b"2026-01-02T03:04:05.000000007Z stdout F hi"), Some(T * SECOND + 7));
        assert_eq!(reader.read(b"2026-01-02T03:04:05.000000008Z"), Some(T * SECOND + 8));
        assert_eq!(reader.read(b"2026-01-02T03:04:05.00000000xZ"), None);
        assert_eq!(reader.read(b"2026-13-02T03:04:05.000000000Z"), None);
        assert_eq!(reader.read(b"2026-01-02T03:04:05.000000000+01:00"), None);
        assert_eq!(reader.read(b"short"), None);
    }

    #[test]
    fn a_million_stamps_are_cheap() {
        let mut stamp = Stamp::new();
        let mut sum = 0_u64;
        for i in 0..1_000_000_i64 {
            sum += u64::from(stamp.format(T * SECOND + i * 977)[28]);
        }
        assert!(sum > 0);
    }

    #[test]
    fn rfc3339_drops_zeros_as_go_does() {
        assert_eq!(rfc3339_nano(T * SECOND), "2026-01-02T03:04:05Z");
        assert_eq!(rfc3339_nano(T * SECOND + 500_000_000), "2026-01-02T03:04:05.5Z");
        assert_eq!(rfc3339_nano(T * SECOND + 1), "2026-01-02T03:04:05.000000001Z");
        assert_eq!(rfc3339_nano((T - 5) * SECOND), "2026-01-02T03:04:00Z");
        assert_eq!(rfc3339_or_never(None), "0001-01-01T00:00:00Z");
    }

    #[test]
    fn local_forms() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        assert_eq!(rfc3339_nine_in(T * SECOND, &zone), "2026-01-02T04:04:05.000000000+01:00");
        assert_eq!(rfc3339_nine_in(T * SECOND, &TimeZone::UTC), "2026-01-02T03:04:05.000000000Z");
        assert_eq!(local_long(T * SECOND + 5, &TimeZone::UTC), "2026-01-02 03:04:05 +0000 UTC");
        let posix = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        assert_eq!(local_long(T * SECOND, &posix), "2026-01-02 04:04:05 +0100 CET");
        assert_eq!(local_ctime(T * SECOND, &TimeZone::UTC), "Fri Jan  2 03:04:05 2026");
    }

    #[test]
    fn rfc3339_in() {
        for (text, want) in [
            ("2026-01-02T03:04:05Z", T * SECOND),
            ("2026-01-02T03:04:05.5Z", T * SECOND + 500_000_000),
            ("2026-01-02T03:04:05.1234567899Z", T * SECOND + 123_456_789),
            ("2026-01-02T04:04:05+01:00", T * SECOND),
            ("2026-01-01T22:04:05-05:00", T * SECOND),
            ("2026-01-02 03:04:05Z", T * SECOND),
        ] {
            assert_eq!(parse_rfc3339(text), Ok(want), "{text}");
        }
        for text in ["", "2026-01-02", "2026-01-02T03:04Z", "2026-01-02T03:04:05", "2026-02-30T00:00:00Z", "2026-01-02T24:00:00Z",
            "2026-01-02T3:04:05Z", "2026-01-02T03:04:05.Z", "2026-01-02T03:04:05+1", "9999-01-01T00:00:00Z", "2026-01-0é", "é026-01-02T03:04:05Z"]
        {
            assert!(parse_rfc3339(text).is_err(), "{text}");
        }
    }

    #[test]
    fn since_and_until() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let now = T * SECOND;
        for (text, want) in [
            ("1767323045", T * SECOND),
            ("1767323045.5", T * SECOND + 500_000_000),
            ("1767323045.000000005", T * SECOND + 5),
            ("0", 0),
            ("10m", now - 600 * SECOND),
            ("1h30m", now - 5400 * SECOND),
            ("-10s", now + 10 * SECOND),
            ("2026-01-02T03:04:05Z", T * SECOND),
            ("2026-01-02T03:04Z", (T - 5) * SECOND),
            ("2026-01-02T04:04:05", T * SECOND),
            ("2026-01-02T04:04:05.25", T * SECOND + 250_000_000),
            ("2026-01-02T04:04", (T - 5) * SECOND),
            ("2026-01-02T04", (T - 245) * SECOND),
            ("2026-01-02", (T - 245 - 4 * 3600) * SECOND),
            ("2026-07-02T05:04:05", 1_782_961_445 * SECOND),
            ("2026-01-02Z", (T - 245 - 3 * 3600) * SECOND),
        ] {
            assert_eq!(parse_reference(text, now, &zone), Ok(want), "{text}");
        }
        for text in ["", "yesterday", "10", "2026-1-2", "10 m", "2026-01-02T", "12:00", "1.2.3"] {
            if text == "10" {
                assert_eq!(parse_reference(text, now, &zone), Ok(10 * SECOND));
            } else {
                assert!(parse_reference(text, now, &zone).is_err(), "{text}");
            }
        }
    }
}
