//! `HEALTHCHECK` of `commit --change` and `import --change`: `NONE`, or flags and `CMD …`.

use crate::format::duration;
use crate::image::config::Healthcheck;

/// Reads what stands after the word.
pub(super) fn read(value: &str) -> Result<Healthcheck, String> {
    let mut check = Healthcheck::default();
    let mut rest = value;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, after) = flag.split_once(char::is_whitespace).ok_or("expected CMD COMMAND or NONE after the flags")?;
        set(&mut check, flag)?;
        rest = after.trim_start();
    }
    let (word, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    check.test = match (word.to_ascii_uppercase().as_str(), command) {
        ("NONE", "") => vec!["NONE".to_owned()],
        ("CMD", "") => return Err("the command is missing".to_owned()),
        ("CMD", list) if list.starts_with('[') => {
            let list: Vec<String> = serde_json::from_str(list).map_err(|error| format!("not a JSON array of strings: {error}"))?;
            std::iter::once("CMD".to_owned()).chain(list).collect()
        }
        ("CMD", line) => vec!["CMD-SHELL".to_owned(), line.to_owned()],
        _ => return Err("expected HEALTHCHECK [--interval=…] CMD COMMAND, or HEALTHCHECK NONE".to_owned()),
    };
    Ok(check)
}

fn set(check: &mut Healthcheck, flag: &str) -> Result<(), String> {
    let (name, text) = flag.split_once('=').ok_or_else(|| format!("--{flag} has no value: write --{flag}=VALUE"))?;
    let place = match name {
        "interval" => &mut check.interval,
        "timeout" => &mut check.timeout,
        "start-period" => &mut check.start_period,
        "start-interval" => &mut check.start_interval,
        "retries" => {
            let count: u32 = text.parse().map_err(|_| format!("--retries={text} is not a number of retries"))?;
            check.retries = count.into();
            return Ok(());
        }
        _ => return Err(format!("unknown flag --{name}: use --interval, --timeout, --start-period, --start-interval or --retries")),
    };
    let nanos = duration::parse(text).map_err(|error| format!("--{name}: {error}"))?;
    if nanos != 0 && nanos < 1_000_000 {
        return Err(format!("--{name}={text} is less than 1ms"));
    }
    *place = nanos;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks() {
        let check = read("--interval=5s --retries=2 CMD curl -f localhost").expect("valid");
        assert_eq!((check.interval, check.retries), (5_000_000_000, 2));
        assert_eq!(check.test, ["CMD-SHELL", "curl -f localhost"]);
        assert_eq!(read("cmd [\"a\", \"b\"]").expect("valid").test, ["CMD", "a", "b"]);
        assert_eq!(read("NONE").expect("valid").test, ["NONE"]);
        for bad in ["", "NONE x", "CMD", "echo", "--interval=5s", "--interval CMD x", "--interval=1us CMD x", "--foo=1 CMD x", "--retries=-1 CMD x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
