//! The flags every verb takes, before the verb or after it.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::exit::UsageError;

/// What they said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Globals {
    /// `--root`: data, state and cache in place of the XDG directories.
    pub(crate) root: Option<PathBuf>,
    /// `--runroot`: locks and sockets.
    pub(crate) runroot: Option<PathBuf>,
    /// `--config`: the configuration file.
    pub(crate) config: Option<PathBuf>,
    /// `--storage-driver`.
    pub(crate) storage_driver: Option<String>,
    /// `--log-level`, `--debug`.
    pub(crate) log_level: Option<String>,
}

/// Long name, letter, value name, help.
const FLAGS: &[(&str, Option<char>, Option<&str>, &str)] = &[
    ("config", None, Some("FILE"), "Read this configuration file instead of $XDG_CONFIG_HOME/kelp/config.toml"),
    ("debug", Some('D'), None, "The same as --log-level debug"),
    ("log-level", Some('l'), Some("LEVEL"), "Say more or less on stderr: debug, info, warn, error, fatal"),
    ("root", None, Some("DIR"), "Keep images, containers and volumes in this directory"),
    ("runroot", None, Some("DIR"), "Keep locks and sockets in this directory"),
    ("storage-driver", None, Some("DRIVER"), "Mount layers with this driver: auto, overlay, fuse"),
];

/// What stands before the verb.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Leading {
    /// The verb is at this index.
    Verb(usize),
    /// `--help`, or nothing at all.
    Help,
    /// `--version`.
    Version,
}

impl Globals {
    /// Reads the flags before the verb; `args` is without the program's name.
    ///
    /// # Errors
    /// When a flag is unknown or lacks its value.
    pub(crate) fn leading(&mut self, args: &[OsString]) -> Result<Leading, UsageError> {
        let mut at = 0;
        while let Some(arg) = args.get(at) {
            let Some(text) = arg.to_str() else { return Ok(Leading::Verb(at)) };
            if !text.starts_with('-') || text == "-" {
                return Ok(Leading::Verb(at));
            }
            at += 1;
            let (name, attached) = match text.strip_prefix("--") {
                Some("") => return Ok(Leading::Verb(at)),
                Some(long) => match long.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(OsString::from(value))),
                    None => (long.to_owned(), None),
                },
                None => {
                    let mut letters = text[1..].chars();
                    let letter = letters.next().unwrap_or('-');
                    let rest = letters.as_str().trim_start_matches('=');
                    let attached = (!rest.is_empty()).then(|| rest.into());
                    match (letter, FLAGS.iter().find(|flag| flag.1 == Some(letter))) {
                        ('h', _) => ("help".to_owned(), attached),
                        ('v', _) => ("version".to_owned(), attached),
                        (_, Some(flag)) => (flag.0.to_owned(), attached),
                        _ => return Err(UsageError::new(format!("unknown shorthand flag: '{letter}' in {text}"))),
                    }
                }
            };
            match name.as_str() {
                "help" => return Ok(Leading::Help),
                "version" => return Ok(Leading::Version),
                _ => {}
            }
            let Some(flag) = FLAGS.iter().find(|flag| flag.0 == name) else {
                return Err(UsageError::new(format!("unknown flag: --{name}")));
            };
            let value = match (flag.2, attached) {
                (None, attached) => attached.unwrap_or_else(|| "true".into()),
                (Some(_), Some(value)) => value,
                (Some(_), None) => {
                    at += 1;
                    let missing = || UsageError::new(format!("flag needs an argument: --{name}"));
                    args.get(at - 1).ok_or_else(missing)?.clone()
                }
            };
            self.set(flag.0, &value)?;
        }
        Ok(Leading::Help)
    }

    /// Reads those that stand after the verb; they win.
    ///
    /// # Errors
    /// When a value is none.
    pub(crate) fn trailing(&mut self, matches: &ArgMatches) -> Result<(), UsageError> {
        for (name, _, value, _) in FLAGS {
            if value.is_none() {
                if matches.get_flag(&id(name)) {
                    self.set(name, "true".as_ref())?;
                }
            } else if let Some(value) = matches.get_one::<OsString>(&id(name)) {
                self.set(name, value)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, name: &str, value: &OsStr) -> Result<(), UsageError> {
        let text = || {
            value.to_str().map(str::to_owned).ok_or_else(|| UsageError::value(&format!("--{name}"), "?", "not UTF-8"))
        };
        match name {
            "config" => self.config = Some(value.into()),
            "root" => self.root = Some(value.into()),
            "runroot" => self.runroot = Some(value.into()),
            "storage-driver" => self.storage_driver = Some(text()?),
            "debug" => {
                if text()? != "false" {
                    self.log_level = Some("debug".into());
                }
            }
            _ => {
                let level = text()?;
                match level.as_str() {
                    "trace" | "debug" | "info" | "warn" | "warning" | "error" | "fatal" | "panic" => {}
                    _ => {
                        let reason = "use trace, debug, info, warn, error, fatal or panic";
                        return Err(UsageError::value("--log-level", &level, reason));
                    }
                }
                self.log_level = Some(level);
            }
        }
        Ok(())
    }
}

/// The clap id, apart from any flag a verb has under the same name.
fn id(name: &str) -> String {
    format!("global-{name}")
}

fn args() -> impl Iterator<Item = (Arg, Option<char>)> {
    FLAGS.iter().map(|(name, letter, value, help)| {
        let arg = Arg::new(id(name)).long(*name).help(*help);
        let arg = match value {
            Some(value) => {
                arg.value_name(*value).action(ArgAction::Set).value_parser(clap::value_parser!(OsString))
            }
            None => arg.action(ArgAction::SetTrue),
        };
        (arg, *letter)
    })
}

/// Adds them to a verb's parser, without letters and out of its help. A verb's own flag of that name is the verb's; the
/// global one must stand before the verb then.
pub(crate) fn add_hidden(mut command: Command) -> Command {
    for (arg, _) in args() {
        let own = arg.get_long().is_some_and(|long| command.get_arguments().any(|other| other.get_long() == Some(long)));
        let arg = if own { arg.clone().long(arg.get_id().to_string()) } else { arg };
        command = command.arg(arg.hide(true));
    }
    command
}

/// Adds them to the root command as shown in help.
pub(crate) fn add_shown(mut command: Command) -> Command {
    for (arg, letter) in args() {
        let arg = arg.help_heading("Global options");
        command = command.arg(match letter {
            Some(letter) => arg.short(letter),
            None => arg,
        });
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leading(line: &str) -> Result<(Leading, Globals), String> {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let mut globals = Globals::default();
        let found = globals.leading(&args).map_err(|error| error.message)?;
        Ok((found, globals))
    }

    #[test]
    fn flags_before_the_verb() {
        let (verb, globals) = leading("--root /a --runroot=/b -l debug --storage-driver fuse ps -a").expect("valid");
        assert_eq!(verb, Leading::Verb(7));
        assert_eq!(globals.root, Some("/a".into()));
        assert_eq!(globals.runroot, Some("/b".into()));
        assert_eq!(globals.log_level.as_deref(), Some("debug"));
        assert_eq!(globals.storage_driver.as_deref(), Some("fuse"));
        assert_eq!(leading("-D run").map(|(_, g)| g.log_level), Ok(Some("debug".into())));
    }

    #[test]
    fn help_version_and_mistakes() {
        assert_eq!(leading("").map(|found| found.0), Ok(Leading::Help));
        assert_eq!(leading("-h").map(|found| found.0), Ok(Leading::Help));
        assert_eq!(leading("--version").map(|found| found.0), Ok(Leading::Version));
        assert_eq!(leading("-v").map(|found| found.0), Ok(Leading::Version));
        assert_eq!(leading("--bogus ps").map(drop), Err("unknown flag: --bogus".into()));
        assert_eq!(leading("-x ps").map(drop), Err("unknown shorthand flag: 'x' in -x".into()));
        assert_eq!(leading("--root").map(drop), Err("flag needs an argument: --root".into()));
        assert!(leading("--log-level loud ps").is_err());
    }
}
