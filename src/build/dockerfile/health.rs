//! `HEALTHCHECK`.

use std::time::Duration;

use crate::format::duration;

use super::ast::{CommandLine, HealthCheck, HealthTest};
use super::error::{Fault, did_you_mean};
use super::words::{Flags, NotJson, first_word, json_list, only_strings};

/// Shorter times are refused, as docker does.
const MINIMUM: Duration = Duration::from_millis(1);

/// Reads the words after `HEALTHCHECK` and its flags.
pub(super) fn read(rest: &str, flags: &mut Flags) -> Result<HealthCheck, Fault> {
    let mut check = HealthCheck {
        test: HealthTest::None,
        interval: time(flags, "interval")?,
        timeout: time(flags, "timeout")?,
        start_period: time(flags, "start-period")?,
        start_interval: time(flags, "start-interval")?,
        retries: retries(flags)?,
    };
    let (kind, rest) = first_word(rest);
    match kind.to_ascii_uppercase().as_str() {
        "" => return Err(Fault::new("HEALTHCHECK requires at least one argument").hint("write HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE")),
        "NONE" if !rest.is_empty() => return Err(Fault::new("HEALTHCHECK NONE takes no arguments")),
        "NONE" => {}
        "CMD" => {
            let command = match json_list(rest) {
                Ok(list) => CommandLine::Exec(list),
                Err(NotJson::NotStrings) => return Err(only_strings()),
                Err(NotJson::No) => CommandLine::Shell(rest.to_owned()),
            };
            if matches!(&command, CommandLine::Exec(list) if list.is_empty()) || rest.is_empty() {
                return Err(Fault::new("missing command after HEALTHCHECK CMD"));
            }
            check.test = HealthTest::Cmd(command);
        }
        _ => {
            let hint = did_you_mean(kind, ["CMD", "NONE"]).unwrap_or_else(|| "try CMD".to_owned());
            return Err(Fault::new(format!("unknown type \"{kind}\" in HEALTHCHECK")).hint(hint));
        }
    }
    Ok(check)
}

/// Zero is as if it was not given.
fn time(flags: &mut Flags, name: &'static str) -> Result<Option<Duration>, Fault> {
    let Some(text) = flags.one(name)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let nanos = duration::parse(&text).map_err(|error| Fault::new(format!("--{name}: {error}")))?;
    if nanos == 0 {
        return Ok(None);
    }
    match u64::try_from(nanos).map(Duration::from_nanos) {
        Ok(time) if time >= MINIMUM => Ok(Some(time)),
        _ => Err(Fault::new(format!("interval \"{name}\" cannot be less than 1ms"))),
    }
}

fn retries(flags: &mut Flags) -> Result<Option<u32>, Fault> {
    let Some(text) = flags.one("retries")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(number) if number < 0 => Err(Fault::new(format!("--retries cannot be negative ({number})"))),
        Ok(number) => match u32::try_from(number) {
            Ok(number) if number <= i32::MAX.cast_unsigned() => Ok(Some(number)),
            _ => Err(Fault::new(format!("--retries is too large ({number})"))),
        },
        Err(_) => Err(Fault::new(format!("--retries is not a number: {text}"))),
    }
}
