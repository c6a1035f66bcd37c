//! Layers of directories: the same bytes each time, taken or copied, and written again from the store.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use rustix::fs::XattrFlags;

use super::*;
use crate::image::store::Removal;
use crate::spec::ShortNames;

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> (Self, ImageStore) {
        let path = std::env::temp_dir().join(format!("kelp-compose-{}-{name}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(path.join("upper")).unwrap();
        let images = ImageStore::open(&path.join("data"), ShortNames::default());
        (Self(path), images)
    }

    fn upper(&self) -> PathBuf {
        self.0.join("upper")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Whether this file system keeps user attributes.
fn set(path: &Path, name: &str, value: &[u8]) -> bool {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).is_ok()
}

/// Fills a directory with everything a driver may leave in one. Returns whether attributes work.
fn fill(upper: &Path) -> bool {
    fs::create_dir_all(upper.join("etc/deep")).unwrap();
    fs::write(upper.join("etc/conf"), "text").unwrap();
    fs::set_permissions(upper.join("etc/conf"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::hard_link(upper.join("etc/conf"), upper.join("etc/link")).unwrap();
    symlink("../etc/conf", upper.join("etc/soft")).unwrap();
    fs::write(upper.join(format!("etc/{}", "n".repeat(150))), "long").unwrap();
    fs::write(upper.join("etc/.wh.dotted"), "").unwrap();
    let disk = fs::File::create(upper.join("disk.img")).unwrap();
    disk.set_len(40 << 20).unwrap();
    rustix::io::pwrite(&disk, b"in the middle", 20 << 20).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, upper.join("gone"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    let works = set(&upper.join("etc/conf"), "user.note", b"kept");
    if works {
        fs::write(upper.join("marked"), "").unwrap();
        assert!(set(&upper.join("marked"), "user.overlay.whiteout", b"y"));
        assert!(set(&upper.join("etc/deep"), "user.overlay.opaque", b"y"));
        assert!(set(&upper.join("etc"), "user.overlay.origin", b"x"));
    }
    works
}

fn archive(images: &ImageStore, upper: &Path, options: &LayerOptions<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_layer(images, fs::File::open(upper).unwrap().as_fd(), options, &mut bytes).unwrap();
    bytes
}

fn names(archive: &[u8]) -> Vec<String> {
    let mut reader = crate::image::unpack::TarReader::new(archive);
    let mut names = Vec::new();
    while let Some(member) = reader.next_member().unwrap() {
        names.push(String::from_utf8_lossy(&member.path).into_owned());
    }
    names
}

#[test]
fn taken_copied_and_written_layers_are_the_same_bytes() {
    let (scratch, images) = Scratch::new("same");
    let attributes = fill(&scratch.upper());
    let options = LayerOptions::default();
    let bytes = archive(&images, &scratch.upper(), &options);
    assert_eq!(bytes, archive(&images, &scratch.upper(), &options));
    assert!(bytes.len() < 1 << 20, "holes are not stored: {}", bytes.len());
    let names = names(&bytes);
    for name in ["disk.img", "etc/", "etc/.wh.dotted", "etc/conf", "etc/link", "etc/soft", ".wh.gone"] {
        assert!(names.iter().any(|n| n == name), "{name} in {names:?}");
    }
    for name in [".wh.marked", "etc/deep/.wh..wh..opq"] {
        assert_eq!(names.iter().any(|n| n == name), attributes, "{name} in {names:?}");
    }
    let mut lease = images.lease([]).unwrap();
    let dir = fs::File::open(scratch.upper()).unwrap();
    let copied = copy_layer(&images, &mut lease, false, |tar| {
        add_upper(&images, tar, dir.as_fd(), &options)
    })
    .unwrap();
    assert_eq!(copied.diff_id, Digest::of(&bytes));
    let layers = LayerStore::open(images.data());
    let again = |images: &ImageStore| {
        let mut out = Vec::new();
        LayerStore::open(images.data()).write_archive(&copied.diff_id, &mut out).unwrap();
        out
    };
    assert!(again(&images) == bytes);
    layers.remove(&copied.diff_id).unwrap();
    let taken = take_layer(&images, &mut lease, &scratch.upper(), &options).unwrap();
    assert_eq!(taken.diff_id, copied.diff_id);
    assert!(taken.archive_size == bytes.len() as u64 && !scratch.upper().exists());
    assert!(again(&images) == bytes);
    // Its tree is the directory itself; written as a layer it is the same again.
    assert!(archive(&images, &layers.tree(&taken.diff_id), &options) == bytes);
    // The same a second time: the layer is here, and the directory stays for those who have it mounted.
    let double = scratch.0.join("double");
    fs::create_dir(&double).unwrap();
    let lower = [layers.tree(&taken.diff_id)];
    let fill = std::process::Command::new("cp").arg("-a").arg(lower[0].join(".")).arg(&double).status().unwrap();
    assert!(fill.success());
    let again = take_layer(&images, &mut lease, &double, &options).unwrap();
    assert_eq!(again.diff_id, taken.diff_id);
    assert!(archive(&images, &double, &options) == bytes);
}

#[test]
fn times_can_be_bounded_and_owners_kept_aside() {
    let (scratch, images) = Scratch::new("owners");
    let file = scratch.upper().join("tool");
    fs::write(&file, "x").unwrap();
    // As unpacking leaves it: another mode would count as a later chmod(2).
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let attributes = set(&file, "user.containers.override_stat", b"33:44:04755:file");
    let options = LayerOptions { newest: Some(1000), single_id: true, ..LayerOptions::default() };
    let bytes = archive(&images, &scratch.upper(), &options);
    let mut reader = crate::image::unpack::TarReader::new(&bytes[..]);
    let mut seen = false;
    while let Some(member) = reader.next_member().unwrap() {
        assert_eq!(member.mtime.0, 1000);
        if member.path == b"tool" && attributes {
            assert_eq!((member.uid, member.gid, member.mode & 0o7777), (33, 44, 0o4755));
            assert!(member.xattrs.is_empty());
        }
        seen |= member.path == b"tool";
    }
    assert!(seen);
}

#[test]
fn an_image_is_registered_with_its_history() {
    let (scratch, images) = Scratch::new("register");
    fs::create_dir(scratch.upper().join("proc")).unwrap();
    fs::write(scratch.upper().join("file"), "x").unwrap();
    let dir = fs::File::open(scratch.upper()).unwrap();
    remove_mount_points(&images, dir.as_fd(), &[], &[]).unwrap();
    assert!(!scratch.upper().join("proc").exists());
    let mut lease = images.lease([]).unwrap();
    let layer = take_layer(&images, &mut lease, &scratch.upper(), &LayerOptions::default()).unwrap();
    assert_eq!(layer.size, 1);
    let mut draft = Draft { format: Format::Docker, ..Draft::default() };
    append(&mut draft.config, Some(&layer.diff_id), History::default());
    append(&mut draft.config, None, History { created_by: Some("CMD".into()), ..History::default() });
    draft.names = vec!["made:v1".parse().unwrap()];
    let record = register(&images, &draft).unwrap();
    assert_eq!(record.size, 1);
    assert_eq!(register(&images, &draft).unwrap().id, record.id);
    let found = images.resolve_for_run("made:v1").unwrap();
    assert_eq!(found.layers, [LayerStore::open(images.data()).tree(&layer.diff_id)]);
    assert_eq!(found.config.history.len(), 2);
    // Whoever removes it meanwhile leaves the layer, which is leased.
    images.remove("made:v1", Removal::force(false), &|_| None).unwrap();
    assert!(images.layer_dir(&layer.diff_id).is_some());
    drop(lease);
    images.collect(&|_| false).unwrap();
    assert!(images.layer_dir(&layer.diff_id).is_none());
    assert!(register(&images, &draft).is_err());
}

#[test]
fn layers_are_squashed_as_they_show() {
    let (scratch, images) = Scratch::new("squash");
    let (low, high) = (scratch.0.join("low"), scratch.0.join("high"));
    for dir in ["low/etc/sub", "low/opaque/in", "low/tree/x", "high/etc", "high/opaque"] {
        fs::create_dir_all(scratch.0.join(dir)).unwrap();
    }
    for file in ["low/etc/a", "low/etc/b", "low/etc/sub/c", "low/opaque/in/d", "low/tree/x/e", "low/f", "high/etc/b", "high/opaque/g", "high/tree"] {
        fs::write(scratch.0.join(file), file).unwrap();
    }
    rustix::fs::mknodat(rustix::fs::CWD, high.join("etc/a"), FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    fs::write(high.join(".wh.f"), "").unwrap();
    if !set(&high.join("opaque"), "user.overlay.opaque", b"y") {
        fs::write(high.join("opaque/.wh..wh..opq"), "").unwrap();
    }
    let layers: Vec<std::os::fd::OwnedFd> = [&high, &low].map(|dir| fs::File::open(dir).unwrap().into()).into();
    let mut lease = images.lease([]).unwrap();
    let layer = copy_layer(&images, &mut lease, false, |tar| tar.merged(&layers, &TreeOptions::default())).unwrap();
    let mut bytes = Vec::new();
    LayerStore::open(images.data()).write_archive(&layer.diff_id, &mut bytes).unwrap();
    assert_eq!(names(&bytes), ["etc/", "etc/b", "etc/sub/", "etc/sub/c", "opaque/", "opaque/g", "tree"]);
    let tree = LayerStore::open(images.data()).tree(&layer.diff_id);
    assert_eq!(fs::read_to_string(tree.join("etc/b")).unwrap(), "high/etc/b");
}
