//! `--passwd`, `--passwd-entry` and `--group-entry`: a user the image does not know gets a line in its account files, which
//! is kept in the container's own layer. So does the user with `--userns keep-id`, whom no image knows. Done before anything is mounted over the root: a file of the host that is bound to
//! /etc/passwd is never written.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::init::look_up;
use super::plan::users::{self, Identity};
use super::plan::{Accounts, OwnAccount, Plan};
use super::report::{Failure, Step};
use crate::sys::root;

/// Adds what is asked for and missing.
pub(super) fn add(plan: &Plan, root_fd: BorrowedFd<'_>) -> Result<(), Failure> {
    if let Some(own) = &plan.own_account {
        add_own(own, root_fd);
    }
    let Some(accounts) = &plan.accounts else { return Ok(()) };
    let identity = look_up(&plan.process, root_fd)?;
    let home = if plan.process.cwd.is_empty() { "/" } else { &plan.process.cwd };
    for path in ["/etc/passwd", "/etc/group"] {
        drop(root::ensure(root_fd, Path::new(path), root::Kind::File).map_err(|errno| failed(path, identity.uid, errno))?);
    }
    append(root_fd, "/etc/passwd", identity.uid, &passwd_line(accounts, &identity, home))?;
    append(root_fd, "/etc/group", identity.gid, &group_line(accounts, &identity))
}

/// Nobody asked for these: files that are not there are not made, and where they cannot be written the program runs
/// without a name.
fn add_own(own: &OwnAccount, root_fd: BorrowedFd<'_>) {
    let OwnAccount { name, uid, gid, home } = own;
    append(root_fd, "/etc/passwd", *uid, &format!("{name}:*:{uid}:{gid}:{name}:{home}:/bin/sh")).ok();
    append(root_fd, "/etc/group", *gid, &format!("{name}:x:{gid}:{name}")).ok();
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

fn failed(path: &str, id: u32, errno: Errno) -> Failure {
    Failure { detail: format!("cannot add {id} to {path}: {errno}"), ..Failure::new(Step::User, errno) }
}

fn append(root_fd: BorrowedFd<'_>, path: &str, id: u32, line: &str) -> Result<(), Failure> {
    let failed = |errno| failed(path, id, errno);
    let io = |error: std::io::Error| failed(Errno::from_io_error(&error).unwrap_or(Errno::IO));
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

    #[test]
    fn own_lines_are_added_once_and_to_nothing_else() {
        use std::os::fd::AsFd as _;

        let base = std::env::temp_dir().join(format!("kelp-account-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&base));
        std::fs::create_dir_all(base.join("root/etc")).expect("directories");
        std::fs::write(base.join("outside"), "").expect("write");
        std::fs::write(base.join("root/etc/passwd"), "root:x:0:0::/root:/bin/sh").expect("write");
        std::os::unix::fs::symlink("../../outside", base.join("root/etc/group")).expect("link");
        let root = File::open(base.join("root")).expect("open");
        for uid in [0, 1001, 1001] {
            add_own(&OwnAccount { name: "ann".to_owned(), uid, gid: 7, home: "/".to_owned() }, root.as_fd());
        }
        let passwd = std::fs::read_to_string(base.join("root/etc/passwd")).expect("read");
        assert_eq!(passwd, "root:x:0:0::/root:/bin/sh\nann:*:1001:7:ann:/:/bin/sh\n");
        assert_eq!(std::fs::read_to_string(base.join("outside")).expect("read"), "");
        assert!(!base.join("root/outside").exists(), "nothing is made");
        std::fs::remove_dir_all(&base).expect("removed");
    }
}
