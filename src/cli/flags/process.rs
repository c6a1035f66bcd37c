//! What runs in the container: command, variables, user, terminal.

use std::path::PathBuf;

use super::{Surroundings, parse};
use crate::cli::exit::UsageError;
use crate::spec::container::ProcessSpec;
use crate::spec::env::{self, Variable};
use crate::spec::UserSpec;
use crate::spec::user::{KEEP_GROUPS, added_groups};

/// `-e` and its relatives, shared with `exec`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Process")]
pub(crate) struct EnvFlags {
    /// Set a variable; KEY alone takes the caller's value, KEY* all the caller's with that prefix
    #[arg(short, long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// Read variables from a file, one KEY=VALUE per line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
}

impl EnvFlags {
    /// In order: files first, then `-e`, so that the latter win.
    pub(crate) fn read(self, around: &Surroundings<'_>) -> Result<Vec<Variable>, UsageError> {
        let Self { env, env_file } = self;
        let mut variables = Vec::new();
        for path in env_file {
            let text = around.text("--env-file", &path)?;
            env::file(&text, around.caller, &mut variables)
                .map_err(|reason| UsageError::value("--env-file", &path.display().to_string(), reason))?;
        }
        for text in env {
            env::variable(&text, around.caller, &mut variables)
                .map_err(|reason| UsageError::value("--env", &text, reason))?;
        }
        Ok(variables)
    }
}

/// The process section of `run` and `create`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Process")]
pub(crate) struct ProcessFlags {
    #[command(flatten)]
    env: EnvFlags,
    /// Give the container all of the caller's variables
    #[arg(long)]
    env_host: bool,
    /// Take away a variable of the image
    #[arg(long, value_name = "KEY")]
    unsetenv: Vec<String>,
    /// Take away all variables of the image
    #[arg(long)]
    unsetenv_all: bool,
    /// Program to run in place of the image's entry point; a JSON array for one with arguments, "" for none
    #[arg(long, value_name = "PROGRAM")]
    entrypoint: Option<String>,
    /// Directory to run in
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// User, and group, to run as: names of the image or numbers
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// A further group; keep-groups keeps the caller's
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Add the user and its group to the image's /etc/passwd and /etc/group where they are not in it
    #[arg(long, value_name = "BOOL")]
    passwd: Option<bool>,
    /// The line added to /etc/passwd, with $USERNAME, $UID, $GID, $NAME and $HOME; implies --passwd
    #[arg(long, value_name = "LINE")]
    passwd_entry: Option<String>,
    /// The line added to /etc/group, with $GROUPNAME, $GID and $USERLIST; implies --passwd
    #[arg(long, value_name = "LINE")]
    group_entry: Option<String>,
    /// Connect a terminal
    #[arg(short, long)]
    tty: bool,
    /// Pass standard input on
    #[arg(short, long)]
    interactive: bool,
    /// Run an init that reaps and passes signals on as process 1
    #[arg(long)]
    init: bool,
    /// File mode mask of the process, octal
    #[arg(long, value_name = "MASK")]
    umask: Option<String>,
    /// Time zone; local is the host's
    #[arg(long, value_name = "ZONE")]
    tz: Option<String>,
    /// Label on the container
    #[arg(short, long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Read labels from a file, one KEY=VALUE per line
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// OCI annotation on the container
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<String>,
}

/// Labels and annotations, which are the container's rather than its process's.
pub(crate) struct Labels {
    pub(crate) labels: std::collections::BTreeMap<String, String>,
    pub(crate) annotations: std::collections::BTreeMap<String, String>,
}

fn one_line(flag: &str, line: String) -> Result<String, UsageError> {
    if line.contains(['\n', '\r', '\0']) { Err(UsageError::value(flag, &line, "it must be one line")) } else { Ok(line) }
}

impl ProcessFlags {
    pub(crate) fn apply(
        self,
        process: &mut ProcessSpec,
        around: &Surroundings<'_>,
    ) -> Result<Labels, UsageError> {
        let Self {
            env,
            env_host,
            unsetenv,
            unsetenv_all,
            entrypoint,
            workdir,
            user,
            group_add,
            passwd,
            passwd_entry,
            group_entry,
            tty,
            interactive,
            init,
            umask,
            tz,
            label,
            label_file,
            annotation,
        } = self;
        process.env.extend(unsetenv.into_iter().map(|name| (name, None)));
        if env_host {
            process.env.extend(around.caller.vars().into_iter().map(|(name, value)| (name, Some(value))));
        }
        process.env.extend(env.read(around)?);
        process.passwd = passwd;
        process.passwd_entry = passwd_entry.map(|line| one_line("--passwd-entry", line)).transpose()?;
        process.group_entry = group_entry.map(|line| one_line("--group-entry", line)).transpose()?;
        process.unset_env_all = unsetenv_all;
        process.entrypoint = entrypoint.map(|text| words("--entrypoint", text)).transpose()?;
        if let Some(dir) = workdir.as_deref().filter(|dir| !dir.starts_with('/')) {
            return Err(UsageError::value("--workdir", dir, "the path in the container must be absolute"));
        }
        process.workdir = workdir;
        if let Some(user) = &user {
            parse::<UserSpec>("--user", user)?;
        }
        process.user = user;
        process.groups = added_groups(group_add).map_err(|reason| UsageError::value("--group-add", KEEP_GROUPS, reason))?;
        process.tty = tty;
        process.interactive = interactive;
        process.init = init;
        process.umask = umask.map(|text| mask(&text)).transpose()?;
        process.timezone = tz;
        let mut labels = std::collections::BTreeMap::new();
        for path in label_file {
            env::label_file(&around.text("--label-file", &path)?, &mut labels)
                .map_err(|reason| UsageError::value("--label-file", &path.display().to_string(), reason))?;
        }
        for text in label {
            env::label(&text, &mut labels).map_err(|reason| UsageError::value("--label", &text, reason))?;
        }
        Ok(Labels { labels, annotations: super::pairs("--annotation", annotation)? })
    }
}

/// One program, or a JSON array of program and arguments as podman takes it.
fn words(flag: &str, text: String) -> Result<Vec<String>, UsageError> {
    if text.is_empty() {
        Ok(Vec::new())
    } else if text.starts_with('[') && text.ends_with(']') {
        serde_json::from_str(&text).map_err(|reason| UsageError::value(flag, &text, reason))
    } else {
        Ok(vec![text])
    }
}

fn mask(text: &str) -> Result<u32, UsageError> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mask| *mask <= 0o777)
        .ok_or_else(|| UsageError::value("--umask", text, "expected an octal number up to 777"))
}
