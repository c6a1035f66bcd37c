//! Images to and from other tools, in every format.

use std::fs;
use std::path::{Path, PathBuf};

use crate::needs;
use crate::support::{Image, Kelp, Layer};

const LOOK: &[&str] = &["cat", "/mark"];

fn marked(text: &str) -> Image {
    Image::busybox().layer(Layer::new().file("mark", 0o644, text).file("gone", 0o644, "x"))
}

/// Runs another tool that must succeed.
fn tool(kelp: &Kelp, program: &str, args: &[&str]) -> String {
    let mut all: Vec<&str> = Vec::new();
    let root = kelp.dir().join("tools");
    let (graph, run) = (root.join("graph").display().to_string(), root.join("run").display().to_string());
    let policy = kelp.file("policy.json", r#"{"default": [{"type": "insecureAcceptAnything"}]}"#).display().to_string();
    if program == "skopeo" {
        all.extend(["--policy", &policy]);
    } else {
        all.extend(["--root", &graph, "--runroot", &run, "--storage-driver", "vfs"]);
    }
    if program == "podman" {
        all.extend(["--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "file"]);
    }
    all.extend(args);
    kelp.tool(Path::new("/usr/bin").join(program), all).output().success().text()
}

/// Everything a layer can hold, made by a container.
fn made(kelp: &Kelp) -> String {
    kelp.load_image(&marked("made"), "base");
    let script = "rm /gone; mkdir -m 2775 /d; chown 5:6 /d; echo x > /d/f; ln /d/f /d/g; ln -s f /d/s; mkfifo /d/p; chmod 4711 /d/f";
    kelp.run(["run", "--name", "maker", "base", "sh", "-c", script]).success();
    kelp.ok(["commit", "maker", "made"])
}

const SEE: &str = "cat /mark; stat -c '%a %u %g' /d /d/f; stat -c %h /d/f; readlink /d/s; ls /gone 2>/dev/null; ls /d";
const SEEN: &str = "made2775 5 6\n4711 0 6\n2\nf\nf\ng\np\ns\n";

/// A docker-archive is written once: what is there goes.
fn forget_archive(kelp: &Kelp, place: &str) {
    if let Some(rest) = place.strip_prefix("docker-archive:") {
        std::fs::remove_file(kelp.work().join(rest.split(':').next().unwrap())).ok();
    }
}

#[test]
fn transports() {
    let kelp = Kelp::new();
    kelp.load_image(&marked("x"), "app");
    let id = kelp.ok(["image", "inspect", "-f", "{{.Id}}", "app"]);
    for place in ["dir:d", "oci:o", "oci:o:v1", "oci-archive:a.tar", "oci-archive:b.tar:v2", "docker-archive:c.tar", "docker-archive:e.tar:other:v3"] {
        for flags in [&["push", "-q"][..], &["push", "-q", "--compression-format", "gzip"], &["push", "-q", "--compression-format", "zstd", "--format", "oci"]] {
            forget_archive(&kelp, place);
            kelp.run(flags.iter().chain(&["app", place])).success();
            let other = Kelp::new();
            let (kind, rest) = place.split_once(':').unwrap();
            let from = format!("{kind}:{}/{rest}", kelp.work().display());
            let out = other.ok(["pull", "-q", &from]);
            assert_eq!(out, id[7..], "{place}");
            other.run(["run", "--rm", &id].iter().chain(LOOK)).stdout("x");
        }
    }
    for place in ["oci:o", "dir:d", "oci-archive:a.tar", "docker-archive:c.tar"] {
        forget_archive(&kelp, place);
        let out = kelp.ok(["push", "app", place]);
        assert!(out.contains("size: ") && !out.contains("size: 0"), "{out}");
    }
    kelp.run(["pull", "oci:nosuch"]).failure();
    kelp.run(["pull", "oci-archive:o"]).failure().stderr_has("is a directory");
    kelp.run(["pull", "oci:o:nosuch"]).failure().stderr_has("no image \"nosuch\"");
    kelp.run(["push", "app", "oci:"]).failure().stderr_has("names no path");
}

#[test]
fn save_in_every_format() {
    let kelp = Kelp::new();
    let made = made(&kelp);
    kelp.load_image(&marked("second"), "second");
    for format in ["docker-archive", "oci-archive", "docker-dir", "oci-dir"] {
        for flags in [&[][..], &["--compress"], &["--uncompressed"]] {
            let path = format!("{format}{}", flags.len());
            let mut args = vec!["save", "--format", format, "-o", &path];
            args.extend(flags);
            args.push("made");
            kelp.run(args).success();
            let other = Kelp::new();
            let out = other.run(["load", "-i", kelp.work().join(&path).to_str().unwrap()]);
            out.success().stdout_has(if format == "docker-dir" { &made[7..] } else { "Loaded image: made:latest" });
            other.run(["run", "--rm", &made, "sh", "-c", SEE]).stdout(SEEN);
        }
    }
    for format in ["docker-archive", "oci-archive"] {
        kelp.run(["save", "--format", format, "-o", "both.tar", "made", "second"]).success();
        let other = Kelp::new();
        other.load(&kelp.work().join("both.tar"));
        other.run(["run", "--rm", "second"].iter().chain(LOOK)).stdout("second");
        other.run(["run", "--rm", "made"].iter().chain(LOOK)).stdout("made");
    }
    kelp.run(["save", "--format", "docker-dir", "-o", "x", "made", "second"]).failure().stderr_has("holds one image");
    kelp.run(["save", "--format", "oci-dir", "made"]).failure().stderr_has("--output is required");
    kelp.run(["save", "--compress", "--uncompressed", "-o", "x", "made"]).failure();
    // Squashed: one layer, nothing of it stays here.
    let before = fs::read_dir(kelp.data().join("layers/sha256")).unwrap().count();
    kelp.run(["save", "--squash", "-o", "squashed.tar", "made"]).success();
    let other = Kelp::new();
    other.load(&kelp.work().join("squashed.tar"));
    assert_eq!(other.inspect("made", "{{len .RootFS.Layers}}"), "1");
    other.run(["run", "--rm", "made", "sh", "-c", SEE]).stdout(SEEN);
    assert_eq!(fs::read_dir(kelp.data().join("layers/sha256")).unwrap().count(), before);
}

#[test]
fn with_skopeo() {
    needs!("skopeo");
    let kelp = Kelp::new();
    let made = made(&kelp);
    kelp.ok(["push", "-q", "made", "oci:kelp-oci:v1"]);
    kelp.ok(["push", "-q", "--compression-format", "gzip", "made", "dir:kelp-dir"]);
    kelp.ok(["push", "-q", "made", "docker-archive:kelp.tar:made:v1"]);
    kelp.ok(["save", "--format", "oci-archive", "-o", "kelp-oci.tar", "made"]);
    let sources = ["oci:kelp-oci:v1", "dir:kelp-dir", "docker-archive:kelp.tar", "oci-archive:kelp-oci.tar"];
    for (at, from) in sources.iter().enumerate() {
        for (kind, to) in [("oci", format!("o{at}:v")), ("dir", format!("d{at}")), ("oci-archive", format!("oa{at}:v")), ("docker-archive", format!("da{at}:made:v"))] {
            let target = format!("{kind}:{to}");
            tool(&kelp, "skopeo", &["copy", from, &target]);
            let other = Kelp::new();
            let id = other.ok(["pull", "-q", &format!("{kind}:{}/{to}", kelp.work().display())]);
            // From docker's manifest to OCI's, skopeo writes another configuration.
            if kind != "docker-archive" && from.starts_with("oci") {
                assert_eq!(id, made[7..], "{from} to {target}");
            }
            other.run(["run", "--rm", &id, "sh", "-c", SEE]).stdout(SEEN);
        }
    }
}

#[test]
fn with_podman_and_buildah() {
    needs!("podman", "buildah");
    // podman leaves a process behind.
    let kelp = Kelp::new().untidy();
    let made = made(&kelp);
    kelp.ok(["save", "-o", "docker.tar", "made"]);
    kelp.ok(["save", "--format", "oci-archive", "--compress", "-o", "oci.tar", "made"]);
    kelp.ok(["save", "--format", "oci-dir", "-o", "layout", "made"]);
    for (tool_name, input) in [("podman", "docker.tar"), ("podman", "oci.tar")] {
        tool(&kelp, tool_name, &["load", "-i", input]);
    }
    let listed = tool(&kelp, "podman", &["images", "--no-trunc", "--format", "{{.ID}}"]);
    assert!(listed.contains(&made), "{listed}");
    for format in ["docker-archive", "oci-archive", "oci-dir", "docker-dir"] {
        let path: PathBuf = kelp.work().join(format!("podman-{format}"));
        tool(&kelp, "podman", &["save", "--format", format, "-o", path.to_str().unwrap(), &made[7..]]);
        let other = Kelp::new();
        let loaded = other.ok(["load", "-i", path.to_str().unwrap()]);
        let id = other.ok(["images", "-q", "--no-trunc"]);
        assert!(id.starts_with("sha256:"), "{loaded} {id}");
        other.run(["run", "--rm", &id, "sh", "-c", SEE]).stdout(SEEN);
    }
    let container = tool(&kelp, "buildah", &["from", "--pull-never", &format!("oci:{}/layout:docker.io/library/made:latest", kelp.work().display())]);
    let mounted = "echo from buildah > \"$(buildah --root ROOT --runroot RUN --storage-driver vfs mount NAME)/mark\"";
    let root = kelp.dir().join("tools");
    let script = mounted
        .replace("ROOT", root.join("graph").to_str().unwrap())
        .replace("RUN", root.join("run").to_str().unwrap())
        .replace("NAME", &container);
    tool(&kelp, "buildah", &["unshare", "sh", "-c", &script]);
    tool(&kelp, "buildah", &["commit", &container, "oci-archive:built.tar:v1"]);
    tool(&kelp, "buildah", &["rm", &container]);
    let id = kelp.ok(["pull", "-q", "oci-archive:built.tar:v1"]);
    kelp.run(["run", "--rm", &id].iter().chain(LOOK)).stdout("from buildah\n");
}
