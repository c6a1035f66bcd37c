//! Health checks: what is asked on the command line, and what is left to do once the image had its say.
//!
//! The words are docker's: `starting`, `healthy`, `unhealthy`. Durations are nanoseconds.

use serde::{Deserialize, Serialize};

/// What the flags say; `None` leaves it to the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthSpec {
    /// `--no-healthcheck`, `--health-cmd none`.
    pub disabled: bool,
    /// `--health-cmd`: `["CMD", …]` or `["CMD-SHELL", TEXT]`.
    pub test: Option<Vec<String>>,
    /// `--health-interval`; 0 is never by itself.
    pub interval: Option<i64>,
    /// `--health-timeout`.
    pub timeout: Option<i64>,
    /// `--health-start-period`.
    pub start_period: Option<i64>,
    /// `--health-start-interval`.
    pub start_interval: Option<i64>,
    /// `--health-retries`.
    pub retries: Option<u32>,
    /// `--health-on-failure`.
    pub on_failure: HealthAction,
}

/// What happens to a container that becomes unhealthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthAction {
    /// It is only shown.
    #[default]
    None,
    /// SIGKILL.
    Kill,
    /// Stopped and started again.
    Restart,
    /// Stopped, for good.
    Stop,
}

impl std::str::FromStr for HealthAction {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "kill" => Ok(Self::Kill),
            "restart" => Ok(Self::Restart),
            "stop" => Ok(Self::Stop),
            _ => Err("use none, kill, restart or stop"),
        }
    }
}

/// A check with nothing left open.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HealthCheck {
    /// As the image has it: `["CMD", …]` or `["CMD-SHELL", TEXT]`.
    pub test: Vec<String>,
    /// What runs a shell line: the image's `SHELL`, by default `/bin/sh -c`.
    pub shell: Vec<String>,
    /// Between the end of one check and the start of the next; 0 is never by itself.
    pub interval: i64,
    /// A check that takes longer has failed.
    pub timeout: i64,
    /// After the start, failures do not count so long.
    pub start_period: i64,
    /// In place of the interval during the start period, until the first success.
    pub start_interval: i64,
    /// So many failures in a row make it unhealthy.
    pub retries: u32,
    /// What happens then.
    pub on_failure: HealthAction,
}

const SECOND: i64 = 1_000_000_000;

impl HealthCheck {
    /// Flags over image over docker's defaults; `None` without a check. `image` has 0 for what it does not say.
    pub fn resolve(spec: &HealthSpec, image: Option<&Self>) -> Option<Self> {
        let none = Self::default();
        let image = image.filter(|image| image.test.len() > 1).unwrap_or(&none);
        let test = spec.test.clone().unwrap_or_else(|| image.test.clone());
        if spec.disabled || test.is_empty() {
            return None;
        }
        let pick = |flag: Option<i64>, image: i64, default: i64| flag.unwrap_or(if image > 0 { image } else { default });
        Some(Self {
            test,
            shell: image.shell.clone(),
            interval: pick(spec.interval, image.interval, 30 * SECOND),
            timeout: pick(spec.timeout, image.timeout, 30 * SECOND),
            start_period: pick(spec.start_period, image.start_period, 0),
            start_interval: pick(spec.start_interval, image.start_interval, 5 * SECOND),
            retries: spec.retries.unwrap_or(if image.retries > 0 { image.retries } else { 3 }),
            on_failure: spec.on_failure,
        })
    }

    /// The arguments to execute.
    pub fn argv(&self) -> Vec<String> {
        match self.test.split_first() {
            Some((kind, rest)) if kind == "CMD-SHELL" => {
                let mut argv = self.shell.clone();
                if argv.is_empty() {
                    argv = vec!["/bin/sh".to_owned(), "-c".to_owned()];
                }
                argv.extend(rest.iter().cloned());
                argv
            }
            Some((kind, rest)) if kind == "CMD" => rest.to_vec(),
            _ => self.test.clone(),
        }
    }
}

/// `--health-cmd`: a JSON array is a command, other text a shell line; `none` is no check at all (`None`).
pub fn parse_command(text: &str) -> Result<Option<Vec<String>>, &'static str> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err("the command is empty");
    }
    if trimmed == "none" {
        return Ok(None);
    }
    if trimmed.starts_with('[') {
        let words: Vec<String> = serde_json::from_str(trimmed).map_err(|_| "expected a JSON array of strings")?;
        return match words.first().map(String::as_str) {
            None => Err("the command is empty"),
            Some("NONE" | "none") => Ok(None),
            Some("CMD" | "CMD-SHELL") if words.len() == 1 => Err("the command is empty"),
            Some("CMD" | "CMD-SHELL") => Ok(Some(words)),
            Some(_) => Ok(Some(std::iter::once("CMD".to_owned()).chain(words).collect())),
        };
    }
    Ok(Some(vec!["CMD-SHELL".to_owned(), text.to_owned()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> HealthCheck {
        HealthCheck { test: vec!["CMD".into(), "check".into()], interval: 7, retries: 5, ..HealthCheck::default() }
    }

    #[test]
    fn flags_are_over_the_image_and_that_over_the_defaults() {
        assert_eq!(HealthCheck::resolve(&HealthSpec::default(), None), None);
        let spec = HealthSpec { timeout: Some(9), ..HealthSpec::default() };
        let check = HealthCheck::resolve(&spec, Some(&image())).unwrap();
        assert_eq!((check.interval, check.timeout, check.retries), (7, 9, 5));
        assert_eq!(check.argv(), ["check"]);
        let spec = HealthSpec { test: parse_command("exit 1").unwrap(), interval: Some(0), ..HealthSpec::default() };
        let check = HealthCheck::resolve(&spec, None).unwrap();
        assert_eq!((check.interval, check.timeout, check.retries), (0, 30 * SECOND, 3));
        assert_eq!(check.argv(), ["/bin/sh", "-c", "exit 1"]);
    }

    #[test]
    fn a_check_can_be_turned_off() {
        let off = HealthSpec { disabled: true, ..HealthSpec::default() };
        assert_eq!(HealthCheck::resolve(&off, Some(&image())), None);
        let none = HealthCheck { test: vec!["NONE".into()], ..HealthCheck::default() };
        assert_eq!(HealthCheck::resolve(&HealthSpec::default(), Some(&none)), None);
    }

    #[test]
    fn commands_as_docker_and_podman_write_them() {
        assert_eq!(parse_command("none").unwrap(), None);
        assert_eq!(parse_command("[\"NONE\"]").unwrap(), None);
        assert_eq!(parse_command("[\"CMD\",\"a\",\"b c\"]").unwrap().unwrap(), ["CMD", "a", "b c"]);
        assert_eq!(parse_command("[\"a\"]").unwrap().unwrap(), ["CMD", "a"]);
        assert!(parse_command("[\"CMD\"]").is_err());
        assert!(parse_command("[1]").is_err());
        assert!(parse_command(" ").is_err());
    }
}
