//! What instructions without files do to the configuration of the image being built. Pure.

use std::time::Duration;

use super::dockerfile::{CommandLine, HealthCheck, HealthTest, Kind};
use crate::image::ImageConfig;
use crate::image::config::{Healthcheck, Unit};

/// PATH of images that set none.
pub(super) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What to run a line of text with when the image does not say.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The configuration `FROM scratch` begins with.
pub(super) fn scratch(platform: &crate::spec::Platform) -> ImageConfig {
    let mut config = ImageConfig {
        architecture: platform.architecture.clone(),
        os: platform.os.clone(),
        variant: platform.variant.clone(),
        ..ImageConfig::default()
    };
    config.config.env = vec![format!("PATH={DEFAULT_PATH}")];
    config.config.working_dir = "/".to_owned();
    config
}

/// Gives an image of Linux the usual PATH when it has none, as BuildKit does.
pub(super) fn default_path(config: &mut ImageConfig) {
    let has_path = config.config.environment().any(|(name, _)| name == "PATH");
    if !has_path && config.os != "windows" {
        config.config.env.push(format!("PATH={DEFAULT_PATH}"));
    }
}

/// The shell for lines of text.
pub(super) fn shell(config: &ImageConfig) -> Vec<String> {
    if config.config.shell.is_empty() {
        SHELL.iter().map(|&word| word.to_owned()).collect()
    } else {
        config.config.shell.clone()
    }
}

fn argv(command: &CommandLine, config: &ImageConfig) -> Vec<String> {
    match command {
        CommandLine::Exec(argv) => argv.clone(),
        CommandLine::Shell(line) => {
            let mut argv = shell(config);
            argv.push(line.clone());
            argv
        }
    }
}

/// Sets a variable, in its old place if it was set.
pub(super) fn set_env(env: &mut Vec<String>, key: &str, value: &str) {
    let entry = format!("{key}={value}");
    match env.iter_mut().find(|old| old.split('=').next() == Some(key)) {
        Some(old) => *old = entry,
        None => env.push(entry),
    }
}

/// What one stage said before, as far as later instructions depend on it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    /// `CMD`: an `ENTRYPOINT` after it leaves it alone, but drops the base's.
    pub(super) cmd: bool,
}

/// Applies an instruction; `None` when it is one that has to do with files.
///
/// # Errors
/// Values that make no sense.
pub(super) fn apply(kind: &Kind<String>, config: &mut ImageConfig, said: &mut Said) -> Option<Result<(), String>> {
    match kind {
        Kind::Env(pairs) => {
            for pair in pairs {
                set_env(&mut config.config.env, &pair.key, &pair.value);
            }
        }
        Kind::Label(pairs) => {
            config.config.labels.extend(pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())));
        }
        Kind::Cmd(command) => {
            said.cmd = true;
            config.config.cmd = Some(argv(command, config)).filter(|argv| !argv.is_empty());
        }
        Kind::Entrypoint(command) => {
            config.config.entrypoint = Some(argv(command, config)).filter(|argv| !argv.is_empty());
            if !said.cmd {
                config.config.cmd = None;
            }
        }
        Kind::Expose(words) => {
            for word in words.iter().flat_map(|word| word.split_whitespace()) {
                match ports(word) {
                    Ok(ports) => config.config.exposed_ports.extend(ports.into_iter().map(|port| (port, Unit))),
                    Err(error) => return Some(Err(error)),
                }
            }
        }
        Kind::HealthCheck(check) => config.config.healthcheck = Some(health(check)),
        Kind::Maintainer(name) => config.author = Some(name.clone()),
        Kind::OnBuild(trigger) => config.config.on_build.push(trigger.expression.clone()),
        Kind::Shell(argv) => config.config.shell.clone_from(argv),
        Kind::StopSignal(signal) => {
            if crate::spec::signal::parse(signal).is_none() {
                return Some(Err(format!("\"{signal}\" is no signal: give a name or number of signal(7)")));
            }
            config.config.stop_signal = Some(signal.clone());
        }
        Kind::User(user) => config.config.user.clone_from(user),
        Kind::Volume(paths) => {
            config.config.volumes.extend(paths.iter().map(|path| (path.clone(), Unit)));
        }
        Kind::Arg(_) => {}
        Kind::Add(_) | Kind::Copy(_) | Kind::Run(_) | Kind::Workdir(_) => return None,
    }
    Some(Ok(()))
}

/// `80`, `80/tcp`, `7000-8000/udp` as docker stores them.
fn ports(word: &str) -> Result<Vec<String>, String> {
    let bad = || format!("invalid port \"{word}\": expected PORT[-PORT][/tcp|udp|sctp]");
    let (range, protocol) = word.split_once('/').unwrap_or((word, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(bad());
    }
    // `8080:80`: the host's part means nothing here.
    let range = range.rsplit(':').next().unwrap_or(range);
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
    if first == 0 || first > last {
        return Err(bad());
    }
    Ok((first..=last).map(|port| format!("{port}/{protocol}")).collect())
}

fn health(check: &HealthCheck) -> Healthcheck {
    let nanos = |time: Option<Duration>| time.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    Healthcheck {
        test: match &check.test {
            HealthTest::None => vec!["NONE".to_owned()],
            HealthTest::Cmd(CommandLine::Exec(argv)) => std::iter::once("CMD".to_owned()).chain(argv.clone()).collect(),
            // Run by the image's shell, as it is when the check is made.
            HealthTest::Cmd(CommandLine::Shell(line)) => vec!["CMD-SHELL".to_owned(), line.clone()],
        },
        interval: nanos(check.interval),
        timeout: nanos(check.timeout),
        start_period: nanos(check.start_period),
        start_interval: nanos(check.start_interval),
        retries: check.retries.map_or(0, i64::from),
    }
}

/// `WORKDIR` on top of the one before, clean.
pub(super) fn workdir(before: &str, path: &str) -> String {
    let joined = if path.starts_with('/') { path.to_owned() } else { format!("{}/{path}", if before.is_empty() { "/" } else { before }) };
    clean(&joined)
}

/// An absolute path without `.`, `..` and double slashes.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::dockerfile::Pair;
    use crate::spec::Platform;

    fn done(kinds: &[Kind<String>]) -> ImageConfig {
        let mut config = scratch(&Platform::host());
        let mut said = Said::default();
        for kind in kinds {
            apply(kind, &mut config, &mut said).expect("no files").expect("valid");
        }
        config
    }

    #[test]
    fn an_entrypoint_drops_the_command_of_the_base_alone() {
        let sh = |text: &str| CommandLine::Shell(text.to_owned());
        let mut config = done(&[Kind::Cmd(sh("base"))]);
        let mut said = Said::default();
        apply(&Kind::Entrypoint(CommandLine::Exec(vec!["x".into()])), &mut config, &mut said).unwrap().unwrap();
        assert_eq!((config.config.cmd.clone(), config.config.entrypoint.clone()), (None, Some(vec!["x".to_owned()])));
        let config = done(&[Kind::Cmd(sh("own")), Kind::Entrypoint(sh("x"))]);
        assert_eq!(config.config.cmd.unwrap(), ["/bin/sh", "-c", "own"]);
    }

    #[test]
    fn variables_keep_their_place() {
        let pair = |key: &str, value: &str| Pair { key: key.into(), value: value.into(), legacy: false };
        let config = done(&[Kind::Env(vec![pair("A", "1"), pair("B", "2")]), Kind::Env(vec![pair("A", "3")])]);
        assert_eq!(config.config.env[1..], ["A=3", "B=2"]);
    }

    #[test]
    fn exposed_ports() {
        assert_eq!(ports("80").unwrap(), ["80/tcp"]);
        assert_eq!(ports("53/UDP").unwrap(), ["53/udp"]);
        assert_eq!(ports("7000-7002").unwrap(), ["7000/tcp", "7001/tcp", "7002/tcp"]);
        for bad in ["", "x", "80/foo", "9-8", "70000", "0"] {
            assert!(ports(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn working_directories() {
        assert_eq!(workdir("", "app"), "/app");
        assert_eq!(workdir("/a", "b/../c//d/."), "/a/c/d");
        assert_eq!(workdir("/a", "/../../x"), "/x");
    }
}
