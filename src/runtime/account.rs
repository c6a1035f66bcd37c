//! The user's own lines in a container's /etc/passwd and /etc/group, so that `whoami` has an answer: with
//! `--userns keep-id` somebody is in the container whom no image knows. As with podman they are written into the
//! container's own files, which programs like `useradd` replace, and are part of what is committed.

use std::io::{Read as _, Write as _};
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use super::plan::{OwnAccount, users};
use crate::sys::root;

/// Adds what is missing. Nothing is made: a file that is not there, is a mount or a link, or cannot be written stays as it
/// is, and the program runs without a name.
pub(super) fn add(account: &OwnAccount, root_fd: BorrowedFd<'_>) {
    let OwnAccount { name, uid, gid, home } = account;
    let user = format!("{name}:*:{uid}:{gid}:{name}:{home}:/bin/sh\n");
    append(root_fd, "/etc/passwd", &user, |file| users::has_user(file, *uid)).ok();
    append(root_fd, "/etc/group", &format!("{name}:x:{gid}:{name}\n"), |file| users::has_group(file, *gid)).ok();
}

fn append(root_fd: BorrowedFd<'_>, path: &str, line: &str, has: impl FnOnce(&[u8]) -> bool) -> Result<(), std::io::Error> {
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = root::open_same_mount(root_fd, path.as_ref(), flags)?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL.into());
    }
    let mut file = std::fs::File::from(file);
    let mut text = Vec::new();
    (&file).take(users::MAX_FILE).read_to_end(&mut text)?;
    if has(&text) {
        return Ok(());
    }
    let ended = text.last().is_none_or(|&last| last == b'\n');
    // In one piece: the disk may be full.
    file.write_all(format!("{}{line}", if ended { "" } else { "\n" }).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn lines_are_added_once_and_to_nothing_else() {
        let base = std::env::temp_dir().join(format!("kelp-account-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&base));
        std::fs::create_dir_all(base.join("root/etc")).expect("directories");
        std::fs::write(base.join("outside"), "").expect("write");
        std::fs::write(base.join("root/etc/passwd"), "root:x:0:0::/root:/bin/sh").expect("write");
        std::os::unix::fs::symlink("../outside", base.join("root/etc/group")).expect("link");
        let root = std::fs::File::open(base.join("root")).expect("open");
        let account = |uid| OwnAccount { name: "ann".to_owned(), uid, gid: 7, home: "/".to_owned() };
        for uid in [0, 1001, 1001] {
            add(&account(uid), root.as_fd());
        }
        let passwd = std::fs::read_to_string(base.join("root/etc/passwd")).expect("read");
        assert_eq!(passwd, "root:x:0:0::/root:/bin/sh\nann:*:1001:7:ann:/:/bin/sh\n");
        assert_eq!(std::fs::read_to_string(base.join("outside")).expect("read"), "");
        std::fs::remove_file(base.join("root/etc/group")).expect("remove");
        add(&account(1001), root.as_fd());
        assert!(!base.join("root/etc/group").exists());
        std::fs::remove_dir_all(&base).expect("removed");
    }
}
