//! The server is killed in the middle of copying up: each file is then the old one or the new one,
//! whole, for either driver.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::mounts::{Kelp, Random, Scratch, mount_kernel, number, unmount_kernel};

const FILES: usize = 60;

fn contents(n: usize) -> Vec<u8> {
    // Small ones, and some that take a while to copy.
    let len = if n % 5 == 0 { 3_000_000 } else { 100 + n * 37 };
    vec![b'a' + (n % 26) as u8; len]
}

fn file(root: &Path, n: usize) -> PathBuf {
    root.join(format!("d{}/e{}/f{n}", n % 3, n % 4))
}

pub(crate) fn run() {
    let mut random = Random(number("KELP_FUSE_SEED", 1));
    for round in 0..number("KELP_FUSE_CRASHES", 12) {
        let scratch = Scratch::new("crash");
        let lower = scratch.dir("lower");
        for n in 0..FILES {
            let path = file(&lower, n);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents(n)).unwrap();
        }
        let (upper, work, target) = (scratch.dir("upper"), scratch.dir("work"), scratch.dir("target"));
        let lowers = [lower];
        let kelp = Kelp::mount(&lowers, &upper, &work, &target);
        let changed = target.clone();
        let changer = std::thread::spawn(move || change(&changed));
        std::thread::sleep(Duration::from_micros(random.next() % 120_000));
        kelp.kill();
        changer.join().unwrap();
        mount_kernel(&lowers, &upper, &work, &target);
        check(round, &target, "kernel");
        unmount_kernel(&target);
        let kelp = Kelp::mount(&lowers, &upper, &work, &target);
        check(round, &target, "kelp");
        assert_eq!(fs::read_dir(work.join("work")).unwrap().count(), 0, "leftovers were not removed");
        kelp.unmount();
    }
}

/// Changes files in all ways that copy them up, until the server is gone.
fn change(root: &Path) {
    for n in 0..FILES {
        let path = file(root, n);
        let done = match n % 7 {
            0 => OpenOptions::new().append(true).open(&path).and_then(|mut f| f.write_all(b"!").and_then(|()| f.sync_all())),
            1 => fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)),
            2 => fs::rename(&path, path.with_extension("new")),
            3 => fs::hard_link(&path, path.with_extension("new")),
            4 => rustix::fs::setxattr(&path, "user.t", b"x", rustix::fs::XattrFlags::empty()).map_err(Into::into),
            5 => OpenOptions::new().write(true).open(&path).and_then(|f| f.set_len(50)),
            // A directory, and a whiteout.
            _ => fs::create_dir(path.with_extension("dir")).and_then(|()| fs::remove_file(&path)),
        };
        if done.is_err() {
            return;
        }
    }
}

fn check(round: u64, root: &Path, driver: &str) {
    for n in 0..FILES {
        let old = contents(n);
        let path = file(root, n);
        let renamed = path.with_extension("new");
        let (here, there) = (fs::read(&path).ok(), fs::read(&renamed).ok());
        let whole = |got: &Vec<u8>| {
            *got == old || (n % 7 == 0 && got.strip_prefix(&old[..]) == Some(b"!")) || (n % 7 == 5 && got[..] == old[..50])
        };
        let good = match (&here, &there) {
            (Some(here), None) => whole(here),
            (None, Some(there)) => n % 7 == 2 && whole(there),
            (Some(here), Some(there)) => n % 7 == 3 && whole(here) && whole(there),
            (None, None) => n % 7 == 6,
        };
        let lens = (here.map(|h| h.len()), there.map(|t| t.len()), old.len());
        assert!(good, "round {round}: file {n} is neither old nor new for the {driver} driver: {lens:?}");
    }
}
