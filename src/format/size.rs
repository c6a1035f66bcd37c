//! Sizes in bytes, to and from text, with the digits docker prints (powers of 1000 in lists, of 1024 for memory).
//!
//! Owns the notation only; what a size limits is the caller's business.

const DECIMAL: [&str; 9] = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"];
const BINARY: [&str; 9] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"];

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No number to be found, or a negative one.
    #[error("invalid size {0:?}: give a number with an optional unit such as b, k, m, g or t")]
    Invalid(String),
    /// The number is fine, the unit is not.
    #[error("invalid unit {unit:?} in size {text:?}: use b, k, m, g, t or p")]
    Unit {
        /// The whole text.
        text: String,
        /// What follows the number.
        unit: String,
    },
    /// More than 2^63-1 bytes.
    #[error("size {0:?} is too large")]
    TooLarge(String),
}

/// Bytes in powers of 1000 with four significant digits, as in totals: `1.234MB`.
pub fn human(bytes: u64) -> String {
    human_with(bytes, 4)
}

/// Bytes in powers of 1000 with three significant digits, as in lists of images and containers: `7.63MB`.
pub fn human3(bytes: u64) -> String {
    human_with(bytes, 3)
}

/// Bytes in powers of 1000 with `digits` significant digits.
pub fn human_with(bytes: u64, digits: usize) -> String {
    scaled(bytes, 1000.0, digits, &DECIMAL)
}

/// Bytes in powers of 1024 with four significant digits, as in memory columns: `1.5GiB`.
pub fn binary(bytes: u64) -> String {
    scaled(bytes, 1024.0, 4, &BINARY)
}

/// Reads a size whose units are powers of 1024, as `--memory`, `--shm-size` and tmpfs sizes are (`512m`, `1.5GiB`).
pub fn parse_binary(text: &str) -> Result<u64, SizeError> {
    parse(text, 1024)
}

/// Reads a size whose units are powers of 1000, as printed by [`human`].
pub fn parse_decimal(text: &str) -> Result<u64, SizeError> {
    parse(text, 1000)
}

#[allow(clippy::cast_precision_loss)]
fn scaled(bytes: u64, base: f64, digits: usize, units: &[&str]) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    let mut text = significant(value, digits);
    // 999.9kB in three digits would round to a four-digit number (docker prints 1e+03kB there).
    if text.contains('e') {
        value /= base;
        unit = (unit + 1).min(units.len() - 1);
        text = significant(value, digits);
    }
    text + units[unit]
}

/// `value` with at most `digits` significant digits and no trailing zeros: C's and Go's `%.Ng`.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    let text = format!("{value:.*e}", digits - 1);
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || usize::try_from(exponent).is_ok_and(|e| e >= digits) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim_zeros(mantissa), exponent.abs());
    }
    let decimals = i32::try_from(digits).unwrap_or(i32::MAX).saturating_sub(1).saturating_sub(exponent);
    trim_zeros(&format!("{value:.*}", usize::try_from(decimals).unwrap_or(0))).to_owned()
}

fn trim_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

fn parse(text: &str, base: u64) -> Result<u64, SizeError> {
    let invalid = || SizeError::Invalid(text.to_owned());
    let end = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ').ok_or_else(invalid)?;
    let number = if text.as_bytes()[end] == b' ' { &text[..end] } else { &text[..=end] };
    let unit = &text[end + 1..];
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(invalid());
    }
    let factor = factor(unit, base)
        .ok_or_else(|| SizeError::Unit { text: text.to_owned(), unit: unit.to_owned() })?;
    // Whole numbers stay exact above 2^53.
    if let Ok(whole) = number.parse::<u64>() {
        return whole
            .checked_mul(factor)
            .filter(|&n| i64::try_from(n).is_ok())
            .ok_or_else(|| SizeError::TooLarge(text.to_owned()));
    }
    let value: f64 = number.parse().map_err(|_| invalid())?;
    #[allow(clippy::cast_precision_loss)]
    let bytes = value * factor as f64;
    if bytes >= 9_223_372_036_854_775_807.0 {
        return Err(SizeError::TooLarge(text.to_owned()));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    Ok(bytes as u64)
}

/// The multiplier of a unit: `""`, `b`, or one of k m g t p, each also with `b` or `ib`, in any case.
fn factor(unit: &str, base: u64) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let mut chars = unit.chars();
    let power = match chars.next() {
        None => 0,
        Some('b') => return chars.next().is_none().then_some(1),
        Some('k') => 1,
        Some('m') => 2,
        Some('g') => 3,
        Some('t') => 4,
        Some('p') => 5,
        Some(_) => return None,
    };
    matches!(chars.as_str(), "" | "b" | "ib").then(|| base.pow(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_sizes_have_docker_digits() {
        for (bytes, want) in [
            (0, "0B"),
            (1, "1B"),
            (999, "999B"),
            (1000, "1kB"),
            (1024, "1.024kB"),
            (1_000_000, "1MB"),
            (1_048_576, "1.049MB"),
            (2_048_000, "2.048MB"),
            (3_565_158_400, "3.565GB"),
            (1_234_567, "1.235MB"),
            (5_000_000_000_000, "5TB"),
            (999_960, "1000kB"),
            (999_999, "1000kB"),
            (u64::MAX, "18.45EB"),
        ] {
            assert_eq!(human(bytes), want, "{bytes}");
        }
        for (bytes, want) in [
            (0, "0B"),
            (12, "12B"),
            (1_023, "1.02kB"),
            (1_980_000, "1.98MB"),
            (7_634_567, "7.63MB"),
            (117_298_443, "117MB"),
            (999_900, "1MB"),
            (1_095_216, "1.1MB"),
        ] {
            assert_eq!(human3(bytes), want, "{bytes}");
        }
    }

    #[test]
    fn binary_sizes() {
        for (bytes, want) in [
            (0, "0B"),
            (1024, "1KiB"),
            (1023, "1023B"),
            (1_048_576, "1MiB"),
            (1_048_575, "1024KiB"),
            (8_149_876_736, "7.59GiB"),
            (1_610_612_736, "1.5GiB"),
        ] {
            assert_eq!(binary(bytes), want, "{bytes}");
        }
    }

    #[test]
    fn parses_ram_sizes() {
        for (text, want) in [
            ("32", 32),
            ("32b", 32),
            ("32B", 32),
            ("32k", 32 << 10),
            ("32K", 32 << 10),
            ("32kb", 32 << 10),
            ("32Kib", 32 << 10),
            ("32KIB", 32 << 10),
            ("32mb", 32 << 20),
            ("512m", 512 << 20),
            ("1g", 1 << 30),
            ("32Gb", 32 << 30),
            ("32Tb", 32 << 40),
            ("32Pb", 32 << 50),
            ("32 mb", 32 << 20),
            ("32.5kB", 33280),
            ("0.1K", 102),
            ("32.", 32),
            ("0", 0),
            (".5k", 512),
            ("9007199254740993", 9_007_199_254_740_993),
        ] {
            assert_eq!(parse_binary(text), Ok(want), "{text}");
        }
        assert_eq!(parse_decimal("10MB"), Ok(10_000_000));
    }

    #[test]
    fn refuses_what_docker_refuses() {
        for text in ["", "hello", ".", ". ", " ", "  ", "-32", " 32 ", "32m b", "32bm", "-1m", "1 2", "1.2.3", "inf", "1e3e"] {
            assert!(parse_binary(text).is_err(), "{text:?}");
        }
        assert!(matches!(parse_binary("10x"), Err(SizeError::Unit { .. })));
        assert!(matches!(parse_binary("10mbb"), Err(SizeError::Unit { .. })));
        assert!(matches!(parse_binary("10bb"), Err(SizeError::Unit { .. })));
        assert!(matches!(parse_binary("8192p"), Err(SizeError::TooLarge(_))));
        assert!(matches!(parse_binary("99999999999999999999"), Err(SizeError::TooLarge(_))));
    }

    #[test]
    fn significant_is_printf_g() {
        for (value, digits, want) in [
            (0.0, 3, "0"),
            (1.0, 4, "1"),
            (100.0, 3, "100"),
            (1000.0, 3, "1e+03"),
            (0.00012, 3, "0.00012"),
            (0.000012, 3, "1.2e-05"),
            (99.96, 3, "100"),
            (9.996, 3, "10"),
        ] {
            assert_eq!(significant(value, digits), want);
        }
    }
}
