//! Pulls onto disks of every size that is too small, and a layer that unpacks to more than any.
//!
//! The test starts itself again in a user and mount namespace, where it may mount a tmpfs.

use std::path::Path;
use std::process::Command;

use super::*;

const INSIDE: &str = "KELP_TEST_FULL_DISK";
const NAME: &str = "image::pull::tests::full_disk::pulls_onto_full_disks";

/// Not with mount(8): it gives the kernel all options there are again, with the owner as the host numbers him (`uid=1000`), whom
/// this namespace does not know.
fn resize(dir: &Path, kilobytes: u64) {
    let options = std::ffi::CString::new(format!("size={kilobytes}k")).unwrap();
    rustix::mount::mount_remount(dir, rustix::mount::MountFlags::empty(), &options).unwrap();
}

#[test]
fn pulls_onto_full_disks() {
    if let Some(dir) = std::env::var_os(INSIDE) {
        return inside(Path::new(&dir));
    }
    let (scratch, _) = scratch("full");
    let script = format!("mount -t tmpfs -o size=64k kelp-test {0} && exec \"$0\" --exact {NAME}", scratch.0.display());
    let own = std::env::current_exe().unwrap();
    let probe = Command::new("unshare").args(["-Urm", "true"]).output();
    if !probe.is_ok_and(|out| out.status.success()) {
        // No user namespaces for this user: the rest of the tests say so loudly.
        return;
    }
    let out = Command::new("unshare").args(["-Urm", "sh", "-c", &script]).arg(own).env(INSIDE, &scratch.0).output().unwrap();
    assert!(out.status.success(), "{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
}

fn inside(dir: &Path) {
    let fake = Fake::start();
    let first = layer("a");
    let tar = archive("b", &noise(200_000));
    fake.image("v1", "amd64", &[first, (gzip(&tar), tar)]);
    let store = ImageStore::open(dir, ShortNames::default());
    let mut whole_at = None;
    // One page more each time: sooner or later each step of a pull is the one that finds no room.
    for kilobytes in (8..1200).step_by(24) {
        resize(dir, kilobytes);
        match go(&store, &fake) {
            Ok(_) => {
                whole_at = Some(kilobytes);
                break;
            }
            Err(error) => {
                let mut words = error.to_string();
                let mut cause = std::error::Error::source(&error);
                while let Some(inner) = cause {
                    words.push_str(&inner.to_string());
                    cause = inner.source();
                }
                assert!(words.to_lowercase().contains("no space left") || words.contains("room") || words.contains("left on"), "{words}");
                assert!(store.list().unwrap().is_empty());
            }
        }
    }
    assert!(whole_at.is_some_and(|kilobytes| kilobytes > 300), "{whole_at:?}");
    let run = store.resolve_for_run(&name(&fake).familiar()).unwrap();
    assert!(run.layers[1].join("b").is_file());
    // Zeros without end: most of them are never written, and the disk has room for others meanwhile.
    resize(dir, 16 << 10);
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut header = tar::Header::new_gnu();
    header.set_size(1 << 40);
    header.set_mode(0o644);
    header.set_path("zeros").unwrap();
    header.set_cksum();
    out.write_all(header.as_bytes()).unwrap();
    for _ in 0..200 {
        out.write_all(&vec![0; 1 << 20]).unwrap();
    }
    let bomb = out.finish().unwrap();
    fake.image("v1", "amd64", &[(bomb, b"never".to_vec())]);
    let error = go(&store, &fake).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    assert!(format!("{error}{cause}").contains("room"), "{error} {cause}");
    let free = rustix::fs::statvfs(dir).unwrap();
    assert!(free.f_bavail * free.f_frsize > 8 << 20);
}
