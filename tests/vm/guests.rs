//! What this machine cannot show: version 2 cgroups with systemd, and other kernels, in a virtual machine.
//!
//! `KELP_TEST_VM_DIR` is where `tests/vm/build-image` has put its work; without it there is nothing to run. `contrib/test`
//! sets it when the images are there, and makes them when `KELP_TEST_VM=1`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{needs, support};

/// Runs a script of `tests/vm` in the guest, with kelp and a static busybox beside it.
fn guest(kernel: &str, script: &str, argument: Option<&str>) {
    needs!("vm");
    let images = PathBuf::from(std::env::var_os("KELP_TEST_VM_DIR").unwrap());
    assert!(images.join(format!("k-{kernel}")).is_dir(), "no kernel {kernel} in {}", images.display());
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vm");
    let share = support::base_dir().join(format!("vm-{kernel}-{script}-{}", std::process::id()));
    std::fs::create_dir_all(&share).unwrap();
    std::fs::copy(support::program(), share.join("kelp")).unwrap();
    std::fs::copy("/bin/busybox", share.join("busybox")).unwrap();
    std::fs::copy(scripts.join(script), share.join(script)).unwrap();
    let run = || {
        Command::new(scripts.join("run-in-vm"))
            .env("VM_DIR", &images)
            .args(["--kernel", kernel, "--timeout", "400", "--share"])
            .arg(&share)
            .args(["--", &format!("./{script}")])
            .args(argument)
            .output()
            .unwrap()
    };
    let mut output = run();
    // The emulated machine itself failed, which it does once in a hundred times: nothing was tested.
    if output.status.code() == Some(125) {
        println!("the virtual machine failed: {}", String::from_utf8_lossy(&output.stderr));
        output = run();
    }
    std::fs::remove_dir_all(&share).unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{text}");
    assert!(output.status.success(), "{}: {}", output.status, text);
}

#[test]
#[ignore = "needs a virtual machine"]
fn cgroups_and_systemd() {
    guest("6.1", "cgroups.sh", None);
}

#[test]
#[ignore = "needs a virtual machine"]
fn a_newer_kernel() {
    guest("6.12", "cgroups.sh", None);
}

/// Without overlay in user namespaces, mount_setattr, cgroup.kill.
#[test]
#[ignore = "needs a virtual machine"]
fn an_older_kernel() {
    guest("5.10", "cgroups.sh", Some("rootfs"));
}

#[test]
#[ignore = "needs a virtual machine"]
fn user_networks_on_old_and_new_kernels() {
    for kernel in ["5.10", "6.1", "6.12"] {
        guest(kernel, "networks.sh", None);
    }
}

/// Containers and their files where overlay mounts are refused.
#[test]
#[ignore = "needs a virtual machine"]
fn files_on_an_older_kernel() {
    guest("5.10", "files.sh", None);
}

/// A home as on shared servers: on NFS, root squashed.
#[test]
#[ignore = "needs a virtual machine"]
fn a_home_on_nfs() {
    guest("6.1", "nfs.sh", None);
}
