//! `doctor`: what this host has and lacks for containers of an ordinary user, and how to put it right.
//!
//! [`examine`] only looks (it may start a child that enters a user namespace and mounts something there, all of which
//! goes with the child). [`fix`] runs the commands the findings carry, as root.

mod checks;
mod fix;
mod host;

pub use fix::{Step, fix, steps};

use serde::{Deserialize, Serialize};

use super::{Engine, Error};
use host::Account;

/// How a finding is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// kelp works, something does not.
    Warning,
    /// kelp does not work, or not as it should.
    Missing,
}

/// What can be done about a finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    /// For people, when no command does it.
    pub advice: String,
    /// Packages to install, by what they bring.
    pub packages: Vec<Package>,
    /// Commands for root, in order.
    pub commands: Vec<Vec<String>>,
    /// Files for root to write before the commands: path and content.
    pub files: Vec<(String, String)>,
}

/// What a distribution's package is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Package {
    /// newuidmap and newgidmap.
    Uidmap,
    /// slirp4netns.
    Slirp4netns,
    /// usermod.
    Usermod,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// How it is.
    pub level: Level,
    /// What was found.
    pub detail: String,
    /// What to do; empty when nothing need be done.
    pub remedy: Remedy,
}

impl Finding {
    fn new(what: &str, level: Level, detail: impl Into<String>) -> Self {
        Self { what: what.to_owned(), level, detail: detail.into(), remedy: Remedy::default() }
    }

    fn ok(what: &str, detail: impl Into<String>) -> Self {
        Self::new(what, Level::Ok, detail)
    }

    fn warning(what: &str, detail: impl Into<String>) -> Self {
        Self::new(what, Level::Warning, detail)
    }

    fn missing(what: &str, detail: impl Into<String>) -> Self {
        Self::new(what, Level::Missing, detail)
    }

    fn advise(mut self, advice: impl Into<String>) -> Self {
        self.remedy.advice = advice.into();
        self
    }

    fn command(mut self, words: &[&str]) -> Self {
        self.remedy.commands.push(words.iter().map(|&word| word.to_owned()).collect());
        self
    }

    fn file(mut self, path: &str, content: impl Into<String>) -> Self {
        self.remedy.files.push((path.to_owned(), content.into()));
        self
    }

    fn package(mut self, package: Package) -> Self {
        self.remedy.packages.push(package);
        self
    }
}

impl Remedy {
    /// Whether root can do it with commands.
    pub fn is_automatic(&self) -> bool {
        !(self.packages.is_empty() && self.commands.is_empty() && self.files.is_empty())
    }
}

/// Looks at the host with the eyes of the caller, or, when root asks for another user, of that user.
///
/// # Errors
/// No such user; the user's directories cannot be found.
pub fn examine(engine: &Engine, user: Option<&str>) -> Result<Vec<Finding>, Error> {
    let uid = rustix::process::getuid().as_raw();
    let Some(name) = user else { return Ok(checks::all(engine, &host::account_of(uid))) };
    let account = host::account(name).ok_or_else(|| Error::not_found("user", name))?;
    if account.uid == uid {
        return Ok(checks::all(engine, &account));
    }
    if uid != 0 {
        return Err(Error::Usage("only root can look at the host for another user".into()));
    }
    as_user(engine, &account)
}

/// Looks from a child process that became the user.
fn as_user(engine: &Engine, account: &Account) -> Result<Vec<Finding>, Error> {
    use crate::sys::process;
    use std::io::{Read as _, Write as _};
    let failed = |errno: rustix::io::Errno| Error::Internal(format!("cannot start a helper process: {errno}"));
    let (ours, theirs) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    if let Some(child) = process::fork().map_err(failed)? {
        drop(theirs);
        let mut text = Vec::new();
        let read = std::fs::File::from(ours).read_to_end(&mut text);
        process::wait_for(child).map_err(failed)?;
        read.map_err(Error::io("read", "the helper's findings"))?;
        return serde_json::from_slice(&text)
            .map_err(|error| Error::Internal(format!("the helper process found nothing: {error}")));
    }
    drop(ours);
    let became = process::set_groups(&host::groups(account)).and_then(|()| process::set_ids(account.uid, account.gid));
    let mut engine = engine.clone();
    engine.paths = host::paths(account);
    // As the user's own kelp would at its first start.
    drop(std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&engine.paths.run));
    let findings = if became.is_ok() { checks::all(&engine, account) } else { Vec::new() };
    let text = serde_json::to_vec(&findings).unwrap_or_default();
    let sent = std::fs::File::from(theirs).write_all(&text);
    process::exit_now(i32::from(sent.is_err()))
}
