//! Images: from registries, archives and tars; lists, tags and removal.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use crate::needs;
use crate::support::image::{Packing, busybox_archive, hex};
use crate::support::registry::Registry;
use crate::support::{Image, Kelp, Layer, program};

/// busybox with a file that tells one image from another.
fn marked(text: &str) -> Image {
    Image::busybox().layer(Layer::new().file("mark", 0o644, text))
}

#[test]
fn pull_and_run_every_packing() {
    needs!("registry");
    let registry = Registry::open();
    let kelp = Kelp::new();
    for (packing, tag) in [(Packing::Tar, "tar"), (Packing::Gzip, "gzip"), (Packing::Zstd, "zstd")] {
        let image = marked(tag);
        registry.push(&image, "base/box", tag, packing);
        let name = registry.name(&format!("base/box:{tag}"));
        let out = kelp.run(["pull", &name]);
        out.success();
        let last = out.lines().pop().unwrap();
        assert!(last.ends_with(&hex(&image.config_json())) || last == name, "{last}");
        kelp.run(["run", "--rm", "--pull", "never", &name, "cat", "/mark"]).success().stdout(tag);
        assert!(!out.stderr.contains('\r') && !out.stderr.contains('\x1b'), "no bars without a terminal: {}", out.stderr);
    }
    kelp.run(["pull", "-q", &registry.name("base/box:gzip")]).success().quiet();
    kelp.run(["pull", &registry.name("base/box:nosuch")]).failure().stderr_has("nosuch");
    kelp.run(["pull", &registry.name("no/such")]).failure().stderr_has("no/such");
}

#[test]
fn run_pulls_what_is_missing() {
    needs!("registry");
    let registry = Registry::open();
    registry.push(&marked("one"), "box", "latest", Packing::Gzip);
    let kelp = Kelp::new();
    let name = registry.name("box");
    kelp.run(["run", "--rm", "--pull", "never", &name, "true"]).code(125);
    let out = kelp.run(["run", "--rm", &name, "cat", "/mark"]);
    out.success().stdout("one");
    kelp.run(["run", "--rm", &name, "cat", "/mark"]).success().stdout("one").quiet();
    registry.push(&marked("two"), "box", "latest", Packing::Gzip);
    kelp.run(["run", "--rm", &name, "cat", "/mark"]).success().stdout("one");
    kelp.run(["run", "--rm", "--pull", "newer", &name, "cat", "/mark"]).success().stdout("two");
    registry.push(&marked("three"), "box", "latest", Packing::Gzip);
    kelp.run(["run", "--rm", "--pull", "always", &name, "cat", "/mark"]).success().stdout("three");
    drop(registry);
    kelp.run(["run", "--rm", &name, "cat", "/mark"]).success().stdout("three");
    kelp.run(["run", "--rm", "--pull", "always", &name, "true"]).code(125);
    kelp.run(["run", "--rm", "--pull", "newer", &name, "cat", "/mark"]).success().stdout("three");
}

#[test]
fn pull_by_digest() {
    needs!("registry");
    let registry = Registry::open();
    let digest = registry.push(&marked("one"), "box", "v", Packing::Gzip);
    registry.push(&marked("two"), "box", "v", Packing::Gzip);
    let kelp = Kelp::new();
    let name = registry.name(&format!("box@{digest}"));
    kelp.run(["pull", &name]).success();
    kelp.run(["run", "--rm", "--pull", "never", &name, "cat", "/mark"]).success().stdout("one");
    assert_eq!(kelp.inspect(&name, "{{(index .RepoDigests 0)}}"), name);
    let wrong = registry.name(&format!("box@sha256:{}", "0".repeat(64)));
    kelp.run(["pull", &wrong]).failure();
}

#[test]
fn platforms() {
    needs!("registry");
    let registry = Registry::open();
    let own = marked("own");
    let other = marked("other").platform("linux", "s390x");
    registry.push_index(&[other.clone(), own], "multi", "latest");
    let kelp = Kelp::new();
    let name = registry.name("multi");
    kelp.run(["run", "--rm", &name, "cat", "/mark"]).success().stdout("own");
    kelp.run(["pull", "--platform", "linux/s390x", &name]).success();
    assert_eq!(kelp.inspect(&name, "{{.Architecture}}"), "s390x");
    kelp.run(["pull", "--platform", "linux/riscv64", &name]).failure().stderr_has("riscv64");
}

#[test]
fn registries_that_want_a_password() {
    needs!("registry");
    let registry = Registry::with_login();
    registry.push(&marked("secret"), "private/box", "latest", Packing::Gzip);
    let kelp = Kelp::new();
    let name = registry.name("private/box");
    kelp.run(["pull", &name]).failure().stderr_has("private/box");
    kelp.run(["pull", "--creds", "tester:wrong", &name]).failure();
    kelp.run(["pull", "--creds", "tester:secret", &name]).success();
    kelp.ok(["rmi", &name]);
    let auth = json!({"auths": {registry.host(): {"auth": "dGVzdGVyOnNlY3JldA=="}}}).to_string();
    let file = kelp.file("auth.json", &auth);
    kelp.run(["pull", "--authfile", file.to_str().unwrap(), &name]).success();
    kelp.ok(["rmi", &name]);
    let docker = kelp.dir().join("home/.docker");
    fs::create_dir_all(&docker).unwrap();
    fs::write(docker.join("config.json"), &auth).unwrap();
    kelp.run(["pull", &name]).success();
    kelp.run(["run", "--rm", &name, "cat", "/mark"]).success().stdout("secret");
    kelp.ok(["rmi", &name]);
    fs::remove_dir_all(docker).unwrap();
    let containers = kelp.dir().join("run/containers");
    fs::create_dir_all(&containers).unwrap();
    fs::write(containers.join("auth.json"), &auth).unwrap();
    kelp.run(["pull", &name]).success();
}

#[test]
fn a_pull_killed_at_any_moment_leaves_nothing_to_trip_over() {
    needs!("registry");
    let registry = Registry::open();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut noise = || {
        (0..6_000_000 / 8)
            .flat_map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed.to_le_bytes()
            })
            .collect::<Vec<u8>>()
    };
    let image = marked("whole")
        .layer(Layer::new().file("big1", 0o644, noise()))
        .layer(Layer::new().file("big2", 0o644, noise()));
    registry.push(&image, "big", "latest", Packing::Gzip);
    let kelp = Kelp::new();
    let name = registry.name("big");
    for round in 0..25_u64 {
        let pull = kelp.start(["pull", "-q", &name]);
        std::thread::sleep(Duration::from_millis(round * 8));
        pull.signal(rustix::process::Signal::KILL);
        let out = pull.wait();
        kelp.run(["images", "-q"]).success();
        if out.code == 0 {
            kelp.run(["rmi", &name]).success();
        }
    }
    kelp.no_process_left();
    kelp.run(["pull", "-q", &name]).success();
    kelp.run(["run", "--rm", &name, "sh", "-c", "cat /mark; stat -c %s /big1 /big2"]).success().stdout("whole6000000\n6000000");
    kelp.run(["rmi", &name]).success();
    kelp.run(["image", "prune", "-f"]);
    // Layers are deleted by a process that nobody waits for.
    kelp.no_process_left();
    let mut left = 0;
    crate::support::leftovers::list(&kelp.data(), &mut |path| {
        left += path.symlink_metadata().map_or(0, |m| if m.is_file() { m.len() } else { 0 });
    });
    assert!(left < 12_000_000, "{left} bytes stay after all images were removed");
}

#[test]
fn pulls_at_once_share_their_work() {
    needs!("registry");
    let registry = Registry::open();
    registry.push(&marked("shared"), "box", "a", Packing::Gzip);
    registry.push(&marked("shared").config("Cmd", json!(["cat", "/mark"])), "box", "b", Packing::Gzip);
    let kelp = Kelp::new();
    let pulls: Vec<_> = (0..8).map(|n| kelp.start(["pull", "-q", &registry.name(if n % 2 == 0 { "box:a" } else { "box:b" })])).collect();
    for pull in pulls {
        pull.wait().success();
    }
    kelp.run(["run", "--rm", &registry.name("box:b")]).success().stdout("shared");
}

#[test]
fn load_from_file_and_stdin() {
    let kelp = Kelp::new();
    let archive = busybox_archive();
    kelp.run(["load", "-i", archive.to_str().unwrap()]).success().stdout_has("Loaded image: ");
    kelp.run(["run", "--rm", "busybox", "echo", "one"]).success().stdout("one");
    kelp.ok(["rmi", "busybox"]);
    kelp.cmd(["load"]).stdin_file(fs::File::open(&archive).unwrap()).output().success().stdout_has("Loaded image");
    kelp.run(["run", "--rm", "busybox", "echo", "two"]).success().stdout("two");
    for (packing, name) in [(Packing::Tar, "oci-tar"), (Packing::Gzip, "oci-gzip"), (Packing::Zstd, "oci-zstd")] {
        let path = kelp.work().join("oci.tar");
        marked(name).write_oci_archive(&path, &format!("localhost/{name}:v1"), packing);
        kelp.run(["load", "-i", path.to_str().unwrap()]).success();
        kelp.run(["run", "--rm", &format!("localhost/{name}:v1"), "cat", "/mark"]).success().stdout(name);
    }
    // Compressed as a whole, through a pipe.
    let script = format!("gzip -1 < {} | {} load -q", archive.display(), program().display());
    kelp.tool("/bin/sh", ["-c", &script]).output().success();
    kelp.run(["load", "-i", "/no/such/file"]).failure().stderr_has("/no/such/file");
    kelp.cmd(["load"]).stdin("this is no archive").output().failure();
    assert_eq!(kelp.run(["images", "-q"]).lines().len(), 4);
}

#[test]
fn import_a_root_file_system() {
    let kelp = Kelp::new();
    let path = kelp.work().join("root.tar");
    fs::write(&path, crate::support::image::busybox_layer().finish()).unwrap();
    let tar = path.to_str().unwrap();
    kelp.run(["import", "-c", "CMD [\"echo\", \"imported\"]", "-c", "ENV A=b", "-m", "a message", tar, "root:v1"]).success();
    kelp.run(["run", "--rm", "root:v1"]).success().stdout("imported");
    kelp.run(["run", "--rm", "root:v1", "sh", "-c", "echo $A"]).success().stdout("b");
    let out = kelp.cmd(["import", "-", "root:v2"]).stdin_file(fs::File::open(&path).unwrap()).output();
    out.success();
    kelp.run(["run", "--rm", "root:v2", "echo", "hi"]).success().stdout("hi");
}

#[test]
fn tags_lists_and_removal() {
    let kelp = Kelp::busybox();
    let words: Vec<String> = kelp.run(["images"]).lines()[0].split("  ").map(|w| w.trim().to_owned()).filter(|w| !w.is_empty()).collect();
    assert_eq!(words, ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    let id = kelp.inspect("busybox", "{{.Id}}");
    let id = id.trim_start_matches("sha256:").to_owned();
    assert_eq!(kelp.ok(["images", "-q"]), id[..12]);
    kelp.run(["tag", "busybox", "localhost/other:v1", "third"]).success().stdout("");
    kelp.run(["run", "--rm", "localhost/other:v1", "true"]).success();
    assert_eq!(kelp.run(["images", "--format", "{{.Repository}}:{{.Tag}}"]).lines().len(), 3);
    kelp.run(["rmi", "localhost/other:v1"]).success().stdout_has("Untagged: ").stdout_lacks("Deleted: ");
    kelp.run(["run", "--rm", "localhost/other:v1", "true"]).code(125);
    kelp.ok(["rmi", "third"]);
    let container = kelp.ok(["create", "busybox"]);
    kelp.run(["rmi", "busybox"]).code(2).stderr_has(&container[..12]);
    kelp.ok(["rm", &container]);
    kelp.run(["rmi", &id[..12]]).success().stdout_has("Untagged: ").stdout_has("Deleted: ");
    kelp.run(["rmi", "busybox"]).code(1).stderr_has("busybox");
    assert_eq!(kelp.ok(["images", "-q"]), "");
    kelp.run(["image", "exists", "busybox"]).code(1).stdout("");
    kelp.run(["image", "inspect", "busybox"]).failure().stderr_has("no such image");
}

#[test]
fn rmi_after_a_run_takes_what_nobody_else_has() {
    let kelp = Kelp::busybox();
    let id = kelp.inspect("busybox", "{{.Id}}");
    let gone = || {
        kelp.run(["run", "--rmi", "busybox", "true"]).success().quiet();
    };
    // Other names of the image stay, whether it was given by name or by id.
    kelp.ok(["tag", "busybox", "second"]);
    kelp.ok(["tag", "busybox", "third"]);
    kelp.run(["run", "--rmi", "second", "sh", "-c", "exit 3"]).code(3);
    kelp.run(["image", "exists", "second"]).code(1);
    kelp.run(["run", "--rmi", &id, "true"]).success();
    for name in ["busybox", "third"] {
        kelp.run(["image", "exists", name]).success();
    }
    // What another container uses stays, and so does the container.
    let running = kelp.detached(&["third", "sleep", "300"]);
    let created = kelp.ok(["create", "busybox", "true"]);
    gone();
    kelp.run(["image", "exists", "busybox"]).success();
    assert_eq!(kelp.inspect(&running, "{{.State.Status}} {{.Image}}"), format!("running {id}"));
    kelp.ok(["rm", "-f", "-t", "0", &running, &created]);
    gone();
    kelp.run(["image", "exists", "busybox"]).code(1);
    kelp.run(["run", "--rmi", "third", "true"]).success();
    assert_eq!((kelp.ok(["images", "-q"]), kelp.ok(["ps", "-aq"])), (String::new(), String::new()));
}

#[test]
fn image_inspect_says_what_scripts_read() {
    let kelp = Kelp::new();
    let image = marked("x").config("Labels", json!({"a": "b"})).config("ExposedPorts", json!({"80/tcp": {}})).config("User", json!("alice"));
    kelp.load_image(&image, "localhost/full:v1");
    let json = kelp.run(["image", "inspect", "localhost/full:v1"]).success().json();
    let i = &json[0];
    assert_eq!(i["Id"].as_str().unwrap().trim_start_matches("sha256:"), image.id().trim_start_matches("sha256:"));
    assert_eq!(i["RepoTags"], json!(["localhost/full:v1"]));
    assert_eq!(i["Os"], "linux");
    assert_eq!(i["Config"]["Labels"]["a"], "b");
    assert_eq!(i["Config"]["User"], "alice");
    assert_eq!(i["Config"]["Cmd"], json!(["sh"]));
    assert!(i["Config"]["ExposedPorts"]["80/tcp"].is_object());
    assert_eq!(i["RootFS"]["Layers"].as_array().unwrap().len(), 2);
    assert!(i["Size"].as_u64().unwrap() > 500_000);
    assert!(i["Created"].as_str().unwrap().starts_with("2024-01-02T03:04:05"));
}

#[test]
fn layers_override_and_hide() {
    let kelp = Kelp::new();
    let image = Image::busybox()
        .layer(Layer::new().dir("d/", 0o755).file("d/one", 0o644, "1").file("d/two", 0o644, "2").dir("gone/", 0o755).file("gone/x", 0o644, "x").hard_link("d/hard", "d/one"))
        .layer(Layer::new().file("d/.wh.one", 0o644, "").file(".wh.gone", 0o644, "").file("d/two", 0o600, "22").dir("opaque/", 0o755).file("opaque/old", 0o644, ""))
        .layer(Layer::new().dir("opaque/", 0o700).file("opaque/.wh..wh..opq", 0o644, "").file("opaque/new", 0o644, ""));
    kelp.load_image(&image, "layers");
    let script = "ls /d /opaque; cat /d/two /d/hard; ls /gone 2>/dev/null || echo none; stat -c %a /d/two /opaque";
    kelp.run(["run", "--rm", "layers", "sh", "-c", script])
        .success()
        .stdout("/d:\nhard\ntwo\n\n/opaque:\nnew\n221none\n600\n700");
}

#[test]
fn the_embedded_image_needs_nothing() {
    let kelp = Kelp::new();
    let out = kelp.run(["run", "--rm", "hello"]);
    out.success();
    assert!(out.text().lines().count() > 5, "{}", out.text());
    kelp.run(["run", "--rm", "hello"]).success().quiet();
}

#[test]
fn a_damaged_record_hides_no_other_image() {
    use std::os::unix::fs::PermissionsExt as _;

    let kelp = Kelp::busybox();
    kelp.run(["run", "--name", "c", "--network", "none", "busybox", "touch", "/x"]).success();
    let made = kelp.ok(["commit", "c", "made"]);
    let record = kelp.data().join("images").join(made.trim_start_matches("sha256:")).join("image.json");
    std::fs::set_permissions(&record, std::fs::Permissions::from_mode(0o000)).unwrap();
    let listed = kelp.run(["images", "--format", "{{.Repository}}"]);
    listed.success().stdout("busybox").stderr_has("image.json").stderr_has("denied");
    kelp.run(["info", "--format", "{{.Images}}"]).success().stdout("1");
    kelp.run(["system", "df"]).success();
    // Nothing is removed that it may refer to.
    kelp.run(["image", "prune", "-af"]).failure();
    std::fs::set_permissions(&record, std::fs::Permissions::from_mode(0o600)).unwrap();
    kelp.run(["images", "--format", "{{.Repository}}"]).success().stdout_has("made");
    std::fs::write(&record, "").unwrap();
    kelp.run(["images", "--format", "{{.Repository}}"]).success().stdout("busybox").stderr_has("damaged");
}

#[test]
fn archives_packed_with_programs_of_the_host() {
    needs!("busybox");
    let kelp = Kelp::busybox();
    let work = kelp.work();
    kelp.run(["create", "--name", "box", "busybox", "true"]).success();
    kelp.run(["export", "-o", "root.tar", "box"]).success();
    kelp.run(["save", "-o", "image.tar", "busybox"]).success();
    for program in ["xz", "bzip2"] {
        if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
            continue;
        }
        for file in ["root.tar", "image.tar"] {
            assert!(Command::new(program).args(["-k", "-1", "-f", file]).current_dir(&work).status().unwrap().success());
        }
        let end = if program == "xz" { "xz" } else { "bz2" };
        let name = format!("from-{program}");
        kelp.run(["import", &format!("root.tar.{end}"), &name]).success();
        kelp.run(["run", "--rm", &name, "/bin/busybox", "true"]).success();
        kelp.run(["rmi", "-f", "busybox"]).success();
        kelp.run(["load", "-i", &format!("image.tar.{end}")]).success().stdout_has("busybox:latest");
        let file = fs::File::open(work.join(format!("image.tar.{end}"))).unwrap();
        kelp.cmd(["load"]).stdin_file(file).output().success();
        let whole = fs::read(work.join(format!("root.tar.{end}"))).unwrap();
        fs::write(work.join("cut"), &whole[..whole.len() / 2]).unwrap();
        kelp.run(["import", "cut", "cut"]).failure();
        kelp.run(["image", "exists", "cut"]).code(1);
    }
}

#[test]
fn other_platforms_are_told() {
    let kelp = Kelp::new();
    kelp.load_image(&Image::busybox().platform("linux", "s390x"), "z");
    kelp.load_image(&Image::busybox().platform("windows", "amd64"), "win");
    let told = "image platform (linux/s390x) does not match the expected platform";
    kelp.run(["run", "--rm", "z", "true"]).success().stderr_has(told);
    assert!(!kelp.run(["run", "--rm", "--platform", "linux/s390x", "z", "true"]).success().stderr.contains(told));
    kelp.run(["run", "--rm", "win", "true"]).code(125).stderr_has("for windows/amd64: only programs of linux can run here");
    kelp.run(["create", "win"]).failure().stderr_has("windows/amd64");
    needs!("registry");
    let registry = Registry::open();
    registry.push(&Image::busybox().platform("linux", "s390x"), "z", "1", Packing::Gzip);
    kelp.run(["pull", &registry.name("z:1")]).success().stderr_has(told);
    assert!(!kelp.run(["pull", "--platform", "linux/s390x", &registry.name("z:1")]).stderr.contains(told));
}

#[test]
fn a_word_in_an_oci_archive_is_a_name_and_health_checks_are_changes() {
    let kelp = Kelp::busybox();
    kelp.run(["push", "-q", "busybox", "oci-archive:a.tar:evil"]).success();
    kelp.run(["load", "-i", "a.tar"]).success().stdout_has("localhost/evil:latest");
    kelp.run(["run", "--rm", "evil", "true"]).success();
    kelp.run(["create", "--name", "box", "busybox", "true"]).success();
    kelp.run(["commit", "-c", "HEALTHCHECK --interval=7s CMD true", "box", "checked"]).success();
    assert_eq!(kelp.inspect("checked", "{{.Config.Healthcheck.Test}} {{.Config.Healthcheck.Interval}}"), "[CMD-SHELL true] 7000000000");
    for name in ["containers-storage:busybox", "docker-daemon:busybox"] {
        kelp.run(["pull", name]).failure().stderr_has("only registries (docker://) can be named here");
        kelp.run(["push", "busybox", name]).failure().stderr_has("only registries (docker://) can be named here");
    }
    kelp.run(["--storage-driver", "vfs", "images"]).failure().stderr_has("auto, overlay or fuse");
}

#[test]
fn saved_by_id_an_image_has_no_name() {
    let kelp = Kelp::busybox();
    kelp.ok(["tag", "busybox", "second:2"]);
    let id = kelp.inspect("busybox", "{{.Id}}");
    for (what, names) in [(vec![&id[..]], "[]"), (vec!["second:2"], r#"["docker.io/library/second:2"]"#), (vec![&id[..], "second:2"], r#"["docker.io/library/second:2"]"#)] {
        kelp.run(["save", "-o", "s.tar"].iter().chain(&what)).success();
        let mut archive = tar::Archive::new(fs::File::open(kelp.work().join("s.tar")).unwrap());
        let entry = archive.entries().unwrap().map(Result::unwrap).find(|entry| entry.path().unwrap().ends_with("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_reader(entry).unwrap();
        assert_eq!(manifest[0]["RepoTags"].to_string(), names, "{what:?}");
    }
}
