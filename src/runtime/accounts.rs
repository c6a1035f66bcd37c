//! `--passwd`, `--passwd-entry` and `--group-entry`: a user the image does not know gets a line in its account files, which
//! is kept in the container's own layer. Done before anything is mounted over the root: a file of the host that is bound to
//! /etc/passwd is never written.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::init::look_up;
use super::plan::users::{self, Identity};
use super::plan::{Accounts, Plan};
use super::report::{Failure, Step};
use crate::sys::root;

/// Adds what is asked for and missing.
pub(super) fn add(plan: &Plan, root_fd: BorrowedFd<'_>) -> Result<(), Failure> {
    let Some(accounts) = &plan.accounts else { return Ok(()) };
    let identity = look_up(&plan.process, root_fd)?;
    let home = if plan.process.cwd.is_empty() { "/" } else { &plan.process.cwd };
    append(root_fd, "/etc/passwd", identity.uid, &passwd_line(accounts, &identity, home))?;
    append(root_fd, "/etc/group", identity.gid, &group_line(accounts, &identity))
}

/// podman's variables, and its line when none is given.
fn passwd_line(accounts: &Accounts, identity: &Identity, home: &str) -> String {
    let (uid, gid) = (identity.uid.to_string(), identity.gid.to_string());
    let line = accounts.passwd.as_deref().unwrap_or("$USERNAME:*:$UID:$GID:$NAME:$HOME:/bin/sh");
    let line = line.replace("$USERNAME", &uid).replace("$UID", &uid).replace("$GID", &gid);
    line.replace("$NAME", "container user").replace("$HOME", home)
}

fn group_line(accounts: &Accounts, identity: &Identity) -> String {
    let (uid, gid) = (identity.uid.to_string(), identity.gid.to_string());
    let line = accounts.group.as_deref().unwrap_or("$GROUPNAME:x:$GID:$USERLIST");
    line.replace("$GROUPNAME", &gid).replace("$GID", &gid).replace("$USERLIST", &uid)
}

fn append(root_fd: BorrowedFd<'_>, path: &str, id: u32, line: &str) -> Result<(), Failure> {
    let failed = |errno: Errno| Failure { detail: format!("cannot add {id} to {path}: {errno}"), ..Failure::new(Step::User, errno) };
    let io = |error: std::io::Error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO));
    drop(root::ensure(root_fd, Path::new(path), root::Kind::File).map_err(failed)?);
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = File::from(root::open(root_fd, Path::new(path), flags).map_err(failed)?);
    if !file.metadata().map_err(io)?.is_file() {
        return Err(failed(Errno::INVAL));
    }
    let mut text = Vec::new();
    (&mut file).take(users::MAX_FILE).read_to_end(&mut text).map_err(io)?;
    if users::lists(&text, id) {
        return Ok(());
    }
    let start = if text.is_empty() || text.ends_with(b"\n") { "" } else { "\n" };
    file.write_all(format!("{start}{line}\n").as_bytes()).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_replaced() {
        let identity = Identity { uid: 1234, gid: 99, groups: Vec::new(), home: "/".to_owned() };
        let plain = Accounts::default();
        assert_eq!(passwd_line(&plain, &identity, "/work"), "1234:*:1234:99:container user:/work:/bin/sh");
        assert_eq!(group_line(&plain, &identity), "99:x:99:1234");
        let own = Accounts { passwd: Some("me:x:$UID:$GID:I am $NAME:$HOME:/bin/zsh".to_owned()), group: Some("$GROUPNAME-g:x:$GID:".to_owned()) };
        assert_eq!(passwd_line(&own, &identity, "/"), "me:x:1234:99:I am container user:/:/bin/zsh");
        assert_eq!(group_line(&own, &identity), "99-g:x:99:");
    }
}
