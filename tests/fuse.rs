//! The FUSE overlay on the real kernel, in a user and mount namespace of its own.
//!
//! Each test runs itself again inside `unshare -r -m`; what is there mounts the overlay, the kernel's
//! overlay and plain directories side by side. `KELP_FUSE_SEED` and `KELP_FUSE_OPS` choose the run.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::manual_is_multiple_of)]

#[path = "fuse/crash.rs"]
mod crash;
#[path = "fuse/model.rs"]
mod model;
#[path = "fuse/mounts.rs"]
mod mounts;
#[path = "fuse/posix.rs"]
mod posix;
#[path = "fuse/stress.rs"]
mod stress;

use std::process::Command;

/// Runs the ignored test `name` of this file inside fresh namespaces.
fn inside(name: &str) {
    let fuse = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse");
    let able = Command::new("unshare").args(["-r", "-m", "true"]).status().is_ok_and(|s| s.success());
    if fuse.is_err() || !able {
        let required = std::env::var("KELP_TEST_REQUIRE").unwrap_or_default();
        assert!(!required.contains("fuse"), "no /dev/fuse or no user namespaces here");
        eprintln!("SKIPPED {name}: no /dev/fuse or no user namespaces here");
        return;
    }
    let me = std::env::current_exe().unwrap();
    let status = Command::new("unshare")
        .args(["-r", "-m", "--"])
        .arg(me)
        .args(["--ignored", "--exact", "--nocapture", name])
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed inside its namespaces");
}

#[test]
fn behaves_like_the_kernel_overlay_and_a_plain_directory() {
    inside("model_inside");
}

#[test]
#[ignore = "run by the test above in its namespaces"]
fn model_inside() {
    model::run();
}

#[test]
fn a_killed_server_leaves_whole_files() {
    inside("crash_inside");
}

#[test]
#[ignore = "run by the test above in its namespaces"]
fn crash_inside() {
    crash::run();
}

#[test]
fn keeps_what_posix_promises() {
    inside("posix_inside");
}

#[test]
#[ignore = "run by the test above in its namespaces"]
fn posix_inside() {
    posix::run();
}

#[test]
fn one_file_at_random_is_what_was_written() {
    inside("one_file_inside");
}

#[test]
#[ignore = "run by the test above in its namespaces"]
fn one_file_inside() {
    stress::one_file();
}

#[test]
fn many_threads_leave_a_tree_the_kernel_agrees_with() {
    inside("many_threads_inside");
}

#[test]
#[ignore = "run by the test above in its namespaces"]
fn many_threads_inside() {
    stress::many_threads();
}

#[test]
fn five_hundred_layers() {
    inside("many_layers_inside");
}

#[test]
#[ignore = "run by the test above in its namespaces"]
fn many_layers_inside() {
    stress::many_layers();
}

#[test]
fn two_hundred_thousand_files() {
    inside("many_files_inside");
}

#[test]
#[ignore = "run by the test above in its namespaces"]
fn many_files_inside() {
    stress::many_files();
}

#[test]
fn owners_kept_in_an_attribute() {
    inside("kept_owners_inside");
}

#[test]
#[ignore = "run by the test above in its namespaces"]
fn kept_owners_inside() {
    stress::kept_owners();
}
