//! What removes things nobody uses, and what tells how much they take.

use std::fs;
use std::time::Duration;

use crate::support::image::busybox_archive;
use crate::support::{Image, Kelp, Layer, until};

fn marked(text: &str) -> Image {
    Image::busybox().layer(Layer::new().file("mark", 0o644, text))
}

/// Names of directories of layers, in place and moved away.
fn layers(kelp: &Kelp) -> (usize, usize) {
    let count = |dir: &str| fs::read_dir(kelp.data().join(dir)).map_or(0, Iterator::count);
    (count("layers/sha256"), count("layers/tmp"))
}

fn cleared(kelp: &Kelp, expected: usize) {
    until(&format!("{:?} layers are {expected}", layers(kelp)), Duration::from_secs(20), || layers(kelp) == (expected, 0));
}

#[test]
fn images() {
    let kelp = Kelp::busybox();
    kelp.load_image(&marked("old"), "app");
    kelp.load_image(&marked("new"), "app");
    kelp.load_image(&marked("used"), "used");
    kelp.run(["create", "--name", "user", "used"]).success();
    assert_eq!(kelp.ok(["images", "-qf", "dangling=true"]).lines().count(), 1);
    kelp.cmd(["image", "prune"]).stdin("n\n").output().success().stdout("");
    let out = kelp.run(["image", "prune", "-f"]);
    out.success().stdout_has("Deleted Images:\ndeleted: sha256:").stdout_has("Total reclaimed space: 4");
    kelp.run(["image", "prune", "-f"]).success().stdout("Total reclaimed space: 0B\n");
    kelp.run(["image", "prune", "-af", "--filter", "until=2h"]).success();
    kelp.run(["image", "prune", "-af", "--filter", "label=no"]).success().stdout("Total reclaimed space: 0B\n");
    kelp.run(["image", "prune", "-af", "--filter", "bogus=1"]).failure().stderr_has("invalid filter");
    kelp.run(["image", "prune", "-af"]).success();
    assert_eq!(kelp.ok(["images", "--format", "{{.Repository}}"]), "used");
    cleared(&kelp, 2);
    kelp.run(["start", "-a", "user"]).success();
}

#[test]
fn the_whole_system() {
    let kelp = Kelp::busybox();
    kelp.load_image(&marked("x"), "unused");
    kelp.run(["run", "--name", "ended", "-v", "/anon", "busybox", "true"]).success();
    let running = kelp.detached(&["--name", "running", "busybox", "sleep", "1000"]);
    let out = kelp.run(["system", "prune", "-f"]);
    out.success().stdout_has("Deleted Containers:\n").stdout_has("Total reclaimed space: ").stdout_lacks("Deleted Images");
    assert_eq!(kelp.ok(["ps", "-aq", "--no-trunc"]), running);
    kelp.run(["system", "prune", "-f", "--volumes", "--filter", "until=1h"]).failure().stderr_has("until");
    let out = kelp.run(["system", "prune", "-af", "--volumes"]);
    out.success().stdout_has("untagged: unused:latest").stdout_has("Deleted Volumes:");
    assert_eq!(kelp.ok(["images", "--format", "{{.Repository}}"]), "busybox");
    kelp.run(["exec", "running", "true"]).success();
}

#[test]
fn disk_usage_counts_shared_parts_once() {
    let kelp = Kelp::busybox();
    let big = Layer::new().file("big", 0o644, vec![7; 3 << 20]);
    let shared = Image::busybox().layer(big);
    kelp.load_image(&shared, "one");
    kelp.load_image(&shared.clone().layer(Layer::new().file("more", 0o644, "x")), "two");
    kelp.run(["run", "--name", "writer", "busybox", "dd", "if=/dev/zero", "of=/f", "bs=1M", "count=2"]).success();
    kelp.run(["run", "--rm", "-v", "data:/data", "busybox", "dd", "if=/dev/zero", "of=/data/f", "bs=1M", "count=1"]).success();
    let rows: Vec<serde_json::Value> = kelp
        .run(["system", "df", "--format", "json"])
        .lines()
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let number = |row: usize, key: &str| rows[row][key].as_u64().unwrap();
    assert_eq!(rows[0]["Type"], "Images");
    assert_eq!((&rows[0]["TotalCount"], &rows[0]["Active"]), (&"3".into(), &"1".into()));
    let images = number(0, "RawSize");
    let busybox = fs::metadata(busybox_archive()).unwrap().len();
    let expected = busybox + (3 << 20);
    assert!(images > expected - (1 << 19) && images < expected + (1 << 20), "{images} is not about {expected}");
    let reclaimable = number(0, "RawReclaimable");
    assert!((3 << 20..4 << 20).contains(&reclaimable), "{reclaimable}");
    assert!((2 << 20..3 << 20).contains(&number(1, "RawReclaimable")));
    assert!((1 << 20..2 << 20).contains(&number(2, "RawSize")));
    let out = kelp.run(["system", "df", "-v"]);
    out.success().stdout_has("SHARED SIZE").stdout_has("UNIQUE SIZE").stdout_has("writer").stdout_has("data");
    kelp.run(["system", "df"]).success().stdout_has("RECLAIMABLE").stdout_has("Local Volumes");
    let detail: serde_json::Value = serde_json::from_str(&kelp.ok(["system", "df", "-v", "--format", "json"])).unwrap();
    assert_eq!(detail["Images"].as_array().unwrap().len(), 3);
}

#[test]
fn rmi_follows_dockers_rules() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--name", "box", "busybox", "touch", "/f"]).success();
    let base = kelp.ok(["image", "inspect", "-f", "{{.Id}}", "busybox"]);
    let child = kelp.ok(["commit", "box", "child"]);
    kelp.run(["rmi", &base]).code(2).stderr_has("uses it");
    kelp.run(["rmi", "busybox"]).code(2);
    kelp.run(["rmi", "-f", "busybox"]).success();
    kelp.run(["ps", "-aq"]).stdout("");
    // What others were built on stays, without a name.
    assert_eq!(kelp.ok(["images", "-aq", "--no-trunc"]).lines().count(), 2);
    assert_eq!(kelp.ok(["images", "-q", "--no-trunc"]), child);
    kelp.run(["rmi", &base]).code(2).stderr_has("was built on it");
    kelp.ok(["tag", "child", "other"]);
    kelp.run(["rmi", &child[7..19]]).code(2).stderr_has("it has 2 names");
    kelp.run(["rmi", "child"]).success().stdout("Untagged: child:latest\n");
    let out = kelp.run(["rmi", &child[..19]]);
    out.success().stdout(&format!("Untagged: other:latest\nDeleted: {child}\nDeleted: {base}\n"));
    cleared(&kelp, 0);
    kelp.run(["rmi", "child"]).code(1);
    kelp.run(["rmi", "-i", "child"]).success();
}

#[test]
fn garbage() {
    let kelp = Kelp::busybox();
    kelp.load_image(&marked("x"), "app");
    kelp.run(["create", "--name", "user", "busybox"]).success();
    kelp.run(["gc"]).success().stdout("Total reclaimed space: 0B\n");
    // As a command killed between two steps leaves it.
    let id = kelp.ok(["image", "inspect", "-f", "{{.Id}}", "app"]);
    fs::remove_dir_all(kelp.data().join("images").join(&id[7..])).unwrap();
    fs::create_dir_all(kelp.data().join("layers/tmp/new-dead/fs/deep")).unwrap();
    fs::write(kelp.data().join("blobs/sha256/.0000.partial"), "half").unwrap();
    kelp.run(["gc"]).success();
    cleared(&kelp, 1);
    kelp.run(["images", "app"]).success().stdout_lacks("app");
    kelp.run(["start", "-a", "user"]).success();
    for delay in 0..12_u64 {
        kelp.load_image(&marked("again"), "app");
        let verb: &[&str] = if delay % 2 == 0 { &["rmi", "app"] } else { &["image", "prune", "-af"] };
        let process = kelp.start(verb);
        std::thread::sleep(Duration::from_millis(delay * 2));
        process.signal(rustix::process::Signal::KILL);
        process.wait();
        let out = kelp.run(["run", "--rm", "--pull", "never", "app", "cat", "/mark"]);
        assert!(out.code == 125 || out.text() == "again", "{out:?}");
        kelp.run(["gc"]).success();
        kelp.run(["rmi", "-f", "app"]);
    }
    // One that was killed after it took the name away left an image without one.
    kelp.run(["image", "prune", "-f"]).success();
    kelp.run(["gc"]).success();
    cleared(&kelp, 1);
    assert_eq!(fs::read_dir(kelp.data().join("blobs/sha256")).unwrap().count(), 1);
}

#[test]
fn layers_that_only_the_build_cache_keeps_are_said_and_freed() {
    let kelp = Kelp::busybox();
    let layers = || fs::read_dir(kelp.data().join("layers/sha256")).unwrap().count();
    let before = layers();
    let file = kelp.file("ctx/Dockerfile", "FROM busybox\nRUN head -c 3000000 /dev/zero > /big\n");
    let dir = file.parent().unwrap().to_str().unwrap().to_owned();
    kelp.run(["build", "-q", "--network", "none", "-t", "big", &dir]).success();
    assert_eq!(layers(), before + 1);
    kelp.ok(["rmi", "big"]);
    assert_eq!(layers(), before + 1, "the cache keeps it");
    let out = kelp.run(["builder", "prune", "-f"]);
    out.success();
    assert!(out.text().contains("3MB"), "{out:?}");
    assert_eq!(layers(), before);
}

#[test]
fn a_damaged_image_of_no_registry_is_not_sought_elsewhere() {
    let kelp = Kelp::busybox();
    let id = kelp.ok(["image", "inspect", "-f", "{{.Id}}", "busybox"]);
    fs::remove_file(kelp.data().join("blobs/sha256").join(&id[7..])).unwrap();
    let out = kelp.run(["run", "--rm", "busybox", "true"]);
    out.code(125).stderr_has("incomplete");
    assert!(!out.stderr.contains("Unable to find"), "{out:?}");
}
