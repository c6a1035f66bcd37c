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
fn a_list_goes_to_directories_and_archives() {
    let kelp = Kelp::new();
    kelp.load_image(&marked("own"), "own");
    kelp.load_image(&marked("other").platform("linux", "s390x"), "other");
    kelp.ok(["manifest", "create", "--annotation", "a=b", "all:1", "own", "other"]);
    let json = |path: &str| -> serde_json::Value { serde_json::from_slice(&fs::read(kelp.work().join(path)).unwrap()).unwrap() };
    let digest = kelp.ok(["manifest", "push", "-q", "--all", "all:1", "oci:layout:v1"]);
    let index = json("layout/index.json");
    assert_eq!((index["manifests"][0]["digest"].as_str().unwrap(), &index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]), (&*digest, &"v1".into()));
    let list = json(&format!("layout/blobs/{}", digest.replace(':', "/")));
    assert_eq!((&list["annotations"]["a"], list["manifests"].as_array().unwrap().len()), (&"b".into(), 2));
    kelp.ok(["manifest", "push", "-q", "all:1", "dir:d"]);
    assert_eq!(json("d/manifest.json")["manifests"].as_array().unwrap().len(), 2);
    kelp.ok(["push", "-q", "all:1", "oci-archive:a.tar"]);
    kelp.run(["manifest", "push", "all:1", "docker-archive:b.tar"]).failure().stderr_has("oci-archive:");
    for from in ["oci:layout:v1", "dir:d", "oci-archive:a.tar"] {
        let other = Kelp::new();
        let (kind, path) = from.split_once(':').unwrap();
        let id = other.ok(["pull", "-q", &format!("{kind}:{}", kelp.work().join(path).display())]);
        assert_eq!(other.inspect(&id, "{{.Id}}"), kelp.inspect("own", "{{.Id}}"), "{from}");
    }
    needs!("skopeo");
    for (at, place) in ["oci:layout:v1", "dir:d", "oci-archive:a.tar"].iter().enumerate() {
        let args = ["copy", "-q", "--all", place, &format!("oci:copy{at}")];
        kelp.tool("skopeo", args).dir(kelp.work()).output().success();
    }
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

/// A list `ml` of images without a name, as `build` makes it, and those images' ids by platform.
fn built(kelp: &Kelp) -> [String; 2] {
    let context = kelp.work().join("ctx");
    fs::create_dir_all(&context).unwrap();
    fs::write(context.join("Dockerfile"), "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY busybox /bin/sh\n").unwrap();
    fs::copy("/bin/busybox", context.join("busybox")).unwrap();
    kelp.run(["build", "-q", "--platform", "linux/amd64", "--platform", "linux/arm64", "-t", "ml", "ctx"]).success();
    let ids = kelp.ok(["images", "-qa", "--no-trunc"]);
    let arch = |arch: &str| {
        let fits = |id: &&str| kelp.run(["image", "inspect", "-f", "{{.Architecture}}{{.RepoTags}}", id]).text() == format!("{arch}[]");
        ids.lines().find(fits).unwrap_or_else(|| panic!("{arch} in {ids}")).to_owned()
    };
    [arch("amd64"), arch("arm64")]
}

#[test]
fn images_of_a_list_are_in_use() {
    needs!("userns", "busybox");
    let kelp = Kelp::new();
    let [amd64, arm64] = built(&kelp);
    kelp.run(["image", "prune", "-f"]).success().stdout("Total reclaimed space: 0B\n");
    kelp.run(["image", "prune", "-af"]).success();
    kelp.run(["system", "prune", "-af"]).success();
    assert_eq!(kelp.ok(["system", "df", "--format", "{{.Type}} {{.Active}} {{.Reclaimable}}"]).lines().next().unwrap(), "Images 2 0B (0%)");
    kelp.run(["rmi", &arm64]).failure().stderr_has("in the list ml:latest");
    for id in [&amd64, &arm64] {
        kelp.run(["image", "exists", id]).success();
    }
    kelp.run(["rmi", "-f", &arm64]).success();
    assert!(!kelp.ok(["manifest", "inspect", "ml"]).contains("arm64"));
    kelp.run(["manifest", "rm", "ml"]).success();
    kelp.run(["image", "prune", "-f"]).success().stdout_has(&format!("deleted: {amd64}"));
}

#[test]
fn lists_are_named_as_images_are() {
    needs!("userns", "busybox");
    let kelp = Kelp::new();
    let [amd64, arm64] = built(&kelp);
    let rows = kelp.ok(["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert_eq!(rows, "ml:latest");
    assert_eq!(kelp.ok(["images", "-a", "-q"]).lines().count(), 3);
    kelp.run(["images", "--tree"]).success().stdout_has("ml:latest").stdout_has("linux/arm64");
    kelp.run(["run", "--rm", "ml", "/bin/sh", "-c", "echo here"]).success().stdout("here\n");
    assert_eq!(kelp.inspect("ml", "{{.Id}} {{.RepoTags}}"), format!("{amd64} [ml:latest]"));
    kelp.run(["history", "ml"]).success().stdout_has("COPY");
    fs::write(kelp.work().join("Dockerfile"), "FROM ml\nLABEL more=1\n").unwrap();
    kelp.run(["build", "-q", "-t", "child", "-f", "Dockerfile", "."]).success();
    kelp.run(["build", "-q", "--platform", "linux/arm64", "-t", "other", "-f", "Dockerfile", "."]).success();
    assert_eq!((kelp.inspect("child", "{{.Config.Labels.arch}}"), kelp.inspect("other", "{{.Config.Labels.arch}}")), ("amd64".into(), "arm64".into()));
    kelp.run(["run", "--rm", "--platform", "linux/s390x", "ml"]).code(125).stderr_has("offers linux/amd64, linux/arm64");
    kelp.run(["save", "-o", "s.tar", "--platform", "linux/arm64", "ml"]).success();
    let other = Kelp::new();
    other.run(["load", "-i", kelp.work().join("s.tar").to_str().unwrap()]).success().stdout_has("ml:latest");
    assert_eq!(other.inspect("ml", "{{.Id}}"), arm64);

    // A name moves from a list to an image and back.
    kelp.ok(["tag", "ml", "again"]);
    kelp.run(["manifest", "exists", "again"]).success();
    kelp.run(["tag", "child", "again"]).success();
    kelp.run(["manifest", "exists", "again"]).code(1);
    kelp.run(["manifest", "create", "again"]).failure().stderr_has("again is an image");
    kelp.run(["tag", "ml", "again"]).success();
    let id = kelp.ok(["images", "-q", "--no-trunc", "ml"]);
    assert_eq!(kelp.inspect("again", "{{.Id}}"), amd64);
    kelp.run(["rmi", &id]).failure().stderr_has("2 names");
    kelp.run(["rmi", "again"]).success().stdout("Untagged: again:latest\n");
    kelp.run(["rmi", &id]).success().stdout(&format!("Untagged: ml:latest\nDeleted: {id}\n"));
    kelp.run(["run", "--rm", "--pull", "never", "ml"]).code(125).stderr_has("no such image: ml");
}

#[test]
fn a_list_is_pushed_with_all_its_images() {
    needs!("userns", "busybox", "registry");
    let registry = Registry::open();
    let kelp = Kelp::new();
    let [_, arm64] = built(&kelp);
    let name = registry.name("ml:1");
    kelp.run(["push", "-q", "--digestfile", "digest", "ml", &name]).success();
    let remote = kelp.run(["manifest", "inspect", &format!("docker://{name}")]).json();
    assert_eq!(remote["manifests"].as_array().unwrap().len(), 2);
    let one = registry.name("one:1");
    kelp.run(["push", "-q", "--platform", "linux/arm64", "ml", &one]).success();
    let other = Kelp::new();
    other.run(["pull", "-q", "--platform", "linux/arm64", &one]).success();
    assert_eq!(other.inspect(&one, "{{.Id}}"), arm64);
}
