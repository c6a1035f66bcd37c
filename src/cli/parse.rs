//! From the words of the command line to a verb with its flags. Builds only the parser of the verb that was typed.

use std::ffi::{OsStr, OsString};

use clap::ArgMatches;
use clap::error::ErrorKind;

use super::exit::UsageError;
use super::globals::{Globals, Leading};
use super::tree::{self, Node};
use super::usage::{explain, see};
use super::verb::Leaf;

/// What was typed.
#[derive(Debug)]
pub(crate) enum Typed {
    /// A verb with its flags.
    Verb {
        /// The verb.
        leaf: &'static Leaf,
        /// Its flags.
        matches: Box<ArgMatches>,
        /// The global flags.
        globals: Globals,
    },
    /// Help is wanted; this is it.
    Help(String),
    /// The version is wanted.
    Version,
}

/// Reads the words after the program's name.
///
/// # Errors
/// When they make no sense.
pub(crate) fn parse(args: &[OsString]) -> Result<Typed, UsageError> {
    let mut globals = Globals::default();
    let at = match globals.leading(args).map_err(|error| hinted(error, "kelp"))? {
        Leading::Verb(at) => at,
        Leading::Help => return Ok(Typed::Help(help(tree::shown()))),
        Leading::Version => return Ok(Typed::Version),
    };
    let rest = &args[at..];
    // `kelp help run` is `kelp run --help`.
    if rest.first().is_some_and(|word| word == "help") {
        let mut words = rest[1..].to_vec();
        words.push("--help".into());
        return parse(&words);
    }
    let word = rest.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    match tree::find(&word) {
        Some(Node::Verb(leaf)) => verb(leaf, "kelp", &rest[1..], globals),
        Some(Node::Noun(noun)) => {
            let path = format!("kelp {}", noun.name);
            let Some(word) = rest.get(1).map(|word| word.to_string_lossy()) else {
                return Ok(Typed::Help(help(noun.shown())));
            };
            if matches!(&*word, "--help" | "-h" | "help") {
                return Ok(Typed::Help(help(noun.shown())));
            }
            match noun.find(&word) {
                Some(leaf) => verb(leaf, &path, &rest[2..], globals),
                None if word.starts_with('-') => {
                    Err(UsageError { message: format!("unknown flag: {word}"), hint: Some(see(&path)) })
                }
                None => {
                    let near = super::usage::nearest(&word, noun.verbs.iter().map(|leaf| leaf.name));
                    Err(no_command(&format!("{path} {word}"), near.map(|near| format!("{path} {near}")), &path))
                }
            }
        }
        None => Err(no_command(&format!("kelp {word}"), tree::near(&word).map(|near| format!("kelp {near}")), "kelp")),
    }
}

fn no_command(typed: &str, near: Option<String>, path: &str) -> UsageError {
    let hint = match near {
        Some(near) => format!("Did you mean `{near}`? {}", see(path)),
        None => see(path),
    };
    UsageError { message: format!("unrecognized command `{typed}`"), hint: Some(hint) }
}

fn hinted(error: UsageError, path: &str) -> UsageError {
    UsageError { hint: error.hint.or_else(|| Some(see(path))), ..error }
}

fn verb(leaf: &'static Leaf, path: &str, args: &[OsString], mut globals: Globals) -> Result<Typed, UsageError> {
    let typed = format!("{path} {}", leaf.name);
    match leaf.parser(path).try_get_matches_from_mut(args.iter().map(OsString::as_os_str).map(OsStr::to_owned)) {
        Ok(matches) => {
            globals.trailing(&matches).map_err(|error| hinted(error, &typed))?;
            Ok(Typed::Verb { leaf, matches: Box::new(matches), globals })
        }
        Err(error) if error.kind() == ErrorKind::DisplayHelp => Ok(Typed::Help(help(leaf.shown(path)))),
        Err(error) => Err(explain(&error, &typed)),
    }
}

/// In the compact layout, with everything there is to say on top.
fn help(command: clap::Command) -> String {
    let about = command.get_long_about().or_else(|| command.get_about()).cloned();
    command.about(about.unwrap_or_default()).render_help().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Box<ArgMatches>, String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        match parse(&words).map_err(|error| error.message)? {
            Typed::Verb { matches, .. } => Ok(matches),
            Typed::Help(_) | Typed::Version => Err("no verb".to_owned()),
        }
    }

    fn value(words: &[&str], name: &str) -> Result<String, String> {
        let matches = read(words)?;
        let raw = matches.get_raw(name).and_then(|mut values| values.next()).map(|value| value.to_string_lossy().into_owned());
        raw.ok_or_else(|| format!("no {name}"))
    }

    #[test]
    fn a_flag_that_needs_a_value_gets_the_next_word() {
        for (words, name, wanted) in [
            (&["ps", "--format", "-{{.ID}}"][..], "format", "-{{.ID}}"),
            (&["commit", "-m", "- fixed", "c", "image"], "message", "- fixed"),
            (&["run", "-e", "-x=1", "image"], "env", "-x=1"),
            (&["run", "-itu", "-1", "image"], "user", "-1"),
            (&["run", "--name", "--rm", "image"], "name", "--rm"),
            (&["run", "--name", "a", "image", "-x", "--name", "b"], "name", "a"),
        ] {
            assert_eq!(value(words, name).as_deref(), Ok(wanted), "{words:?}");
        }
        let wrong = read(&["ps", "--log-level", "-1"]).map(drop);
        assert!(wrong.as_ref().is_err_and(|message| message.contains("\"-1\" for --log-level")), "{wrong:?}");
    }

    #[test]
    fn other_flags_take_none_of_the_words_after_them() {
        let matches = read(&["run", "--rm", "-i", "image", "-x"]).expect("flags end at the image");
        assert_eq!(matches.get_raw("words").map(|words| words.count()), Some(2));
        assert!(read(&["run", "--rm", "-x", "image"]).is_err_and(|message| message.contains("'x' in -x")));
        assert!(read(&["build", "--pull", "-q", "."]).is_ok());
        assert!(read(&["ps", "--format"]).is_err_and(|message| message == "flag needs an argument: --format"));
    }
}
