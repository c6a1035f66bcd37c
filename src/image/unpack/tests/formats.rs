//! Side by side with GNU tar.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use super::*;

/// Runs GNU tar; none when it is not installed.
fn gnu_tar(args: &[&str], dir: &Path) -> Option<Vec<u8>> {
    let output = std::process::Command::new("tar")
        .args(args)
        .current_dir(dir)
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

/// A tree with a bit of everything.
fn sample(dir: &Path) {
    fs::create_dir_all(dir.join("usr/share/doc/x")).unwrap();
    fs::create_dir_all(dir.join("empty")).unwrap();
    fs::write(dir.join("usr/share/doc/x/README"), "text".repeat(1000)).unwrap();
    fs::write(dir.join(format!("usr/{}", "long".repeat(50))), "x").unwrap();
    fs::write(dir.join("zero"), "").unwrap();
    fs::hard_link(dir.join("zero"), dir.join("also-zero")).unwrap();
    symlink("usr/share", dir.join("share")).unwrap();
    symlink("x".repeat(300), dir.join("dangling")).unwrap();
    fs::set_permissions(dir.join("empty"), fs::Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(dir.join("zero"), fs::Permissions::from_mode(0o4711)).unwrap();
    let mut sparse = fs::File::create(dir.join("sparse")).unwrap();
    for part in 0..40u64 {
        use std::io::Seek;
        sparse
            .seek(std::io::SeekFrom::Start(part * 100_000))
            .unwrap();
        sparse.write_all(format!("part {part}").as_bytes()).unwrap();
    }
    sparse.set_len(5_000_000).unwrap();
}

#[test]
fn unpacks_as_gnu_tar_does_in_every_format_and_writes_it_again() {
    let source = Scratch::new();
    sample(&source.root());
    let formats: [&[&str]; 7] = [
        &["--format=gnu", "-S"],
        &["--format=gnu"],
        &["--format=posix", "-S", "--sparse-version=0.0"],
        &["--format=posix", "-S", "--sparse-version=0.1"],
        &["--format=posix", "-S", "--sparse-version=1.0"],
        &["--format=posix", "--sort=name"],
        &["--format=oldgnu", "-S"],
    ];
    for format in formats {
        let mut args = format.to_vec();
        args.extend_from_slice(&["-cf", "-", "."]);
        let Some(tar) = gnu_tar(&args, &source.root()) else {
            return;
        };
        let ours = Scratch::new();
        let record_path = ours.base.join("canary/record");
        fs::write(&record_path, "").unwrap();
        let mut recorder = Recorder::create(fs::File::create(&record_path).unwrap()).unwrap();
        let dir = fs::File::open(ours.root()).unwrap();
        let options = UnpackOptions {
            owners: Owners::Caller,
            ..UnpackOptions::default()
        };
        unpack_buffered(&tar[..], dir.as_fd(), &options, Some(&mut recorder)).unwrap();
        assert_eq!(source.list(), ours.list(), "{format:?}");
        let sparse = ours.root().join("sparse");
        assert_eq!(
            fs::read(&sparse).unwrap(),
            fs::read(source.root().join("sparse")).unwrap()
        );
        if format.contains(&"-S") {
            assert!(
                fs::metadata(&sparse).unwrap().blocks() < 2000,
                "{format:?} keeps holes"
            );
        }
        assert!(recorder.finish().unwrap());
        let mut again = Vec::new();
        replay(
            fs::File::open(&record_path).unwrap(),
            dir.as_fd(),
            &mut again,
        )
        .unwrap();
        assert!(again == tar, "{format:?} comes out as it went in");
    }
}

#[test]
fn replaced_contents_are_written_again_too() {
    let tar = Tar::default()
        .file("a", "first")
        .file("a", "second, longer")
        .dir("d")
        .file("d/x", "in d")
        .dir("d/e")
        .file("d/e/y", "deeper")
        .file("d", "d is a file now")
        .file("a", "third")
        .hard("h", "a")
        .file("h", "no link any more")
        .file("f", "file")
        .dir("f")
        .file("f/z", "below")
        .link("l", "f")
        .file("l", "was a link")
        .end();
    let scratch = Scratch::new();
    let record = scratch.base.join("canary/record");
    let mut recorder = Recorder::create(fs::File::create(&record).unwrap()).unwrap();
    let dir = fs::File::open(scratch.root()).unwrap();
    let options = UnpackOptions {
        owners: Owners::Caller,
        ..UnpackOptions::default()
    };
    unpack_buffered(&tar[..], dir.as_fd(), &options, Some(&mut recorder)).unwrap();
    assert!(recorder.finish().unwrap());
    let mut again = Vec::new();
    replay(fs::File::open(&record).unwrap(), dir.as_fd(), &mut again).unwrap();
    assert!(again == tar);
    assert_eq!(
        fs::read_to_string(scratch.root().join("a")).unwrap(),
        "third"
    );
}
