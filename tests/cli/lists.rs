//! `manifest`: lists of images for several platforms; `image tree`.

use std::fs;

use crate::needs;
use crate::support::image::Packing;
use crate::support::registry::Registry;
use crate::support::{Image, Kelp, Layer};

fn marked(text: &str) -> Image {
    Image::busybox().layer(Layer::new().file("mark", 0o644, text))
}

#[test]
fn a_list_is_made_pushed_and_pulled() {
    needs!("registry");
    let registry = Registry::open();
    registry.push(&marked("remote").platform("linux", "riscv64"), "app", "riscv", Packing::Gzip);
    let kelp = Kelp::new();
    kelp.load_image(&marked("own"), "own");
    kelp.load_image(&marked("other").platform("linux", "s390x"), "other");
    let list = registry.name("lists/app:1");
    let id = kelp.ok(["manifest", "create", &list, "own"]);
    assert!(id.starts_with("sha256:"), "{id}");
    kelp.run(["manifest", "create", &list]).failure().stderr_has("--amend");
    kelp.run(["manifest", "create", "--amend", "--annotation", "a=b", &list, "other"]).success();
    kelp.run(["manifest", "add", &list, &format!("docker://{}", registry.name("app:riscv"))]).success();
    kelp.run(["manifest", "annotate", "--variant", "v9", "--os-features", "x,y", "--annotation", "note=1", &list, "other"]).success();
    let shown = kelp.run(["manifest", "inspect", &list]).json();
    assert_eq!(shown["annotations"]["a"], "b");
    let entries = shown["manifests"].as_array().unwrap();
    let platforms: Vec<&str> = entries.iter().map(|entry| entry["platform"]["architecture"].as_str().unwrap()).collect();
    assert_eq!(platforms[1..], ["s390x", "riscv64"]);
    assert_eq!((&entries[1]["platform"]["variant"], &entries[1]["annotations"]["note"]), (&"v9".into(), &"1".into()));
    kelp.run(["manifest", "exists", &list]).success();
    kelp.run(["manifest", "exists", "nosuch"]).code(1);
    let digest = kelp.ok(["manifest", "push", "-q", "--digestfile", "digest", &list]);
    assert_eq!(fs::read_to_string(kelp.work().join("digest")).unwrap(), digest);

    let other = Kelp::new();
    other.run(["run", "--rm", &list, "cat", "/mark"]).success().stdout("own");
    other.run(["pull", "--platform", "linux/riscv64", &list]).success();
    assert_eq!(other.inspect(&list, "{{.Architecture}}"), "riscv64");
    let remote = other.run(["manifest", "inspect", &format!("docker://{list}")]).json();
    assert_eq!(remote["manifests"].as_array().unwrap().len(), 3);

    let gone = entries[2]["digest"].as_str().unwrap().to_owned();
    kelp.run(["manifest", "remove", &list, &gone]).success().stdout(&format!("{gone}\n"));
    kelp.run(["manifest", "remove", &list, &gone]).failure();
    let copy = registry.name("lists/copy:2");
    kelp.run(["manifest", "push", "-q", "--format", "v2s2", "--rm", &list, &copy]).success();
    kelp.run(["manifest", "exists", &list]).code(1);
    other.run(["pull", &copy]).success();
    kelp.run(["manifest", "rm", &list]).failure().stderr_has("no such manifest list");
    kelp.run(["manifest", "rm", "-i", &list]).success();
    kelp.run(["manifest", "create", "--all", "again", &registry.name("lists/copy:2")]).success();
    assert_eq!(kelp.run(["manifest", "inspect", "again"]).json()["manifests"].as_array().unwrap().len(), 2);
}

#[test]
fn trees() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--name", "box", "busybox", "touch", "/f"]).success();
    kelp.ok(["commit", "box", "child"]);
    let out = kelp.run(["image", "tree", "child"]);
    out.success().stdout_has("Tags:     [child:latest]").stdout_has("├── ID: ").stdout_has("Top Layer of: [child:latest]");
    let out = kelp.run(["image", "tree", "--whatrequires", "busybox"]);
    out.success().stdout_has("Top Layer of: [busybox:latest]\n    └── ID: ").stdout_has("Top Layer of: [child:latest]");
}
