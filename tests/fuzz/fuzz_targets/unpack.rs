//! Any bytes as a layer: no panic, nothing outside the root touched, bounded work.
#![no_main]

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;

use kelp::image::unpack::{Limits, Owners, UnpackOptions, unpack_layer};
use libfuzzer_sys::fuzz_target;

/// Makes the checksums of what looks like headers right, so that mutations get past them.
fn repair(tar: &mut [u8]) {
    for block in tar.as_chunks_mut::<512>().0 {
        if block[257..262] == *b"ustar" {
            block[148..156].copy_from_slice(b"        ");
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fuzz_target!(|data: &[u8]| {
    let base = std::env::temp_dir().join(format!("kelp-fuzz-{}", std::process::id()));
    let root = base.join("root");
    fs::create_dir_all(&root).expect("scratch root");
    fs::create_dir_all(base.join("canary")).expect("canary");
    fs::write(base.join("canary/file"), "alive").expect("canary");
    let mut tar = data.to_vec();
    repair(&mut tar);
    let options = UnpackOptions {
        owners: Owners::Caller,
        limits: Limits { entries: 1000, bytes: 1 << 20, file: 1 << 30 },
        ..UnpackOptions::default()
    };
    let dir = fs::File::open(&root).expect("root");
    // An error is as good an outcome as success.
    unpack_layer(&tar[..], dir.as_fd(), &options).ok();
    assert_eq!(names(&base), ["canary", "root"]);
    assert_eq!(names(&base.join("canary")), ["file"]);
    assert_eq!(fs::read(base.join("canary/file")).expect("canary"), b"alive");
    fs::remove_dir_all(&base).expect("scratch");
});
