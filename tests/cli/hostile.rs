//! Images, containers and archives that try to get out. A canary tree beside the store must stay as it was.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::needs;
use crate::support::image::{Packing, digest};
use crate::support::registry::Registry;
use crate::support::{Image, Kelp, Layer};

/// A tree that hostile input aims at.
struct Canary {
    dir: PathBuf,
}

impl Canary {
    fn new(kelp: &Kelp) -> Self {
        let dir = kelp.open_dir("canary");
        for name in ["passwd", "deep/file", "target"] {
            kelp.file(&format!("canary/{name}"), format!("untouched {name}"));
        }
        Self { dir }
    }

    fn path(&self) -> String {
        self.dir.display().to_string()
    }

    #[track_caller]
    fn intact(&self) {
        let mut names = Vec::new();
        crate::support::leftovers::list(&self.dir, &mut |path: &Path| {
            names.push(path.strip_prefix(&self.dir).unwrap().display().to_string());
        });
        names.sort();
        assert_eq!(names, ["deep", "deep/file", "passwd", "target"]);
        for name in ["passwd", "deep/file", "target"] {
            assert_eq!(fs::read_to_string(self.dir.join(name)).unwrap(), format!("untouched {name}"));
        }
    }
}

#[test]
fn working_directories_that_are_descriptors() {
    let kelp = Kelp::busybox();
    for fd in 0..40 {
        let dir = format!("/proc/self/fd/{fd}");
        let out = kelp.run(["run", "--rm", "--network", "none", "-w", &dir, "busybox", "sh", "-c", "ls ../../../../home; cat ../../../../etc/debian_version"]);
        assert!(out.code != 0 || !out.text().contains("kelp-test") && !out.text().contains('.'), "fd {fd} leads out: {out:?}");
    }
    kelp.detached(&["--name", "c", "busybox", "sleep", "300"]);
    for fd in 0..40 {
        let dir = format!("/proc/self/fd/{fd}");
        let out = kelp.run(["exec", "-w", &dir, "c", "sh", "-c", "ls -a ../../../../home ; pwd"]);
        assert!(out.code != 0 || !out.text().contains("kelp-test"), "fd {fd} leads out: {out:?}");
    }
}

#[test]
fn system_directories_that_are_links() {
    let kelp = Kelp::new();
    let canary = Canary::new(&kelp);
    let up = format!("../../../../../../../..{}", canary.path());
    for (n, dir) in ["dev", "proc", "sys", "etc", "run", "tmp", "dev/shm", "dev/pts", "proc/self"].iter().enumerate() {
        for (m, target) in [canary.path(), up.clone(), "a/b".to_owned()].iter().enumerate() {
            let mut layer = Layer::new().link("a", &canary.path()).link("b", "a");
            if let Some((parent, _)) = dir.split_once('/') {
                layer = layer.dir(&format!("{parent}/"), 0o755);
            }
            // The link comes in a layer above the directory, and in one alone.
            let image = Image::busybox().layer(layer.link(dir, target));
            let name = format!("evil{n}-{m}");
            kelp.load_image(&image, &name);
            kelp.run(["run", "--rm", "--network", "none", "--tmpfs", "/tmp/x", &name, "true"]);
            kelp.run(["run", "--rm", "--network", "none", "-w", &format!("/{dir}/made"), "-v", "/tmp/v", &name, "true"]);
            canary.intact();
        }
    }
    kelp.run(["volume", "prune", "-f"]);
}

#[test]
fn links_below_mount_targets_and_volumes() {
    let kelp = Kelp::new();
    let canary = Canary::new(&kelp);
    let layer = Layer::new().link("out", &canary.path()).link("vol", &canary.path()).dir("srv/", 0o755).link("srv/data", &canary.path());
    let image = Image::busybox().layer(layer).config("Volumes", json!({"/vol": {}, "/srv/data": {}, "/out/new": {}})).config("WorkingDir", json!("/out/made"));
    kelp.load_image(&image, "evil");
    let shared = kelp.open_dir("shared");
    for flags in [
        &["-v", "vv:/out/inner"][..],
        &["--tmpfs", "/out/t"],
        &["-v", "vv:/vol"],
        &["--mount", "type=tmpfs,dst=/srv/data/deep"],
        &["-w", "/out/wd"],
        &["-v", &format!("{}:/out/bind", shared.display())],
        &["--device", "/dev/null:/out/null"],
    ] {
        kelp.run(["run", "--rm", "--network", "none"].iter().chain(flags).chain(&["evil", "sh", "-c", "touch /vol/x /srv/data/x; true"]));
        canary.intact();
    }
    // Content of a volume is the container's too.
    let busy = Kelp::busybox();
    let canary = Canary::new(&busy);
    busy.sh(&["-v", "vv:/d"], &format!("ln -s {} /d/sub; ln -s {}/passwd /d/file", canary.path(), canary.path())).success();
    busy.run(["run", "--rm", "-v", "vv:/d", "--tmpfs", "/d/sub/t", "busybox", "true"]);
    busy.run(["run", "--rm", "-v", "vv:/d", "-v", "/d/sub/w", "busybox", "touch", "/d/sub/w/x"]);
    let tar = busy.work().join("v.tar");
    busy.run(["volume", "export", "-o", tar.to_str().unwrap(), "vv"]).success();
    assert!(memchr::memmem::find(&fs::read(&tar).unwrap(), b"untouched").is_none(), "export follows a link");
    busy.run(["volume", "import", "vv", tar.to_str().unwrap()]);
    canary.intact();
    busy.run(["volume", "prune", "-f"]);
}

#[test]
fn archives_that_climb() {
    let kelp = Kelp::new();
    let canary = Canary::new(&kelp);
    let dir = canary.path();
    let up = format!("../../../../../../../../../..{dir}");
    use tar::EntryType::{Link, Regular, Symlink};
    let evil: Vec<Layer> = vec![
        Layer::new().entry(Regular, &format!("{up}/passwd"), "", 0o644, b"evil"),
        Layer::new().entry(Regular, &format!("{dir}/passwd"), "", 0o644, b"evil"),
        Layer::new().entry(Symlink, "x", &dir, 0o777, b"").entry(Regular, "x/passwd", "", 0o644, b"evil"),
        Layer::new().entry(Symlink, "x", &up, 0o777, b"").entry(Regular, "x/new", "", 0o644, b"evil"),
        Layer::new().entry(Symlink, "x", &dir, 0o777, b"").entry(Link, "h", "x/passwd", 0o644, b"").entry(Regular, "h", "", 0o644, b"evil"),
        Layer::new().entry(Link, "h", &format!("{dir}/passwd"), 0o644, b"").entry(Regular, "h", "", 0o644, b"evil"),
        Layer::new().entry(Symlink, "x", &format!("{dir}/passwd"), 0o777, b"").entry(Regular, "x", "", 0o644, b"evil"),
        Layer::new().entry(Symlink, "a", ".", 0o777, b"").entry(Symlink, "a/b", &dir, 0o777, b"").entry(Regular, "a/b/deep/file", "", 0o600, b"evil"),
        Layer::new().entry(Symlink, "x", &dir, 0o777, b"").entry(Regular, "x/.wh.passwd", "", 0o644, b""),
        Layer::new().entry(Symlink, "x", &dir, 0o777, b"").entry(Regular, "x/.wh..wh..opq", "", 0o644, b""),
        Layer::new().entry(Regular, &format!("{up}/.wh.passwd"), "", 0o644, b""),
        Layer::new().entry(Symlink, "x", &dir, 0o777, b"").dir("x/deep/", 0o777),
    ];
    for (n, layer) in evil.into_iter().enumerate() {
        let image = Image::busybox().layer(layer);
        let path = kelp.dir().join("tmp/image.tar");
        let name = format!("evil{n}");
        image.write_docker_archive(&path, &[&name]);
        kelp.run(["load", "-i", path.to_str().unwrap()]);
        kelp.run(["run", "--rm", "--network", "none", &name, "true"]);
        fs::remove_file(path).unwrap();
        canary.intact();
    }
}

#[test]
fn images_whose_settings_are_odd() {
    let kelp = Kelp::new();
    let cases = [
        ("key", Image::busybox().config("Env", json!(["SECRET", "*", "=x", "PATH=/bin"]))),
        ("user", Image::busybox().config("User", json!("../../etc/passwd"))),
        ("shell", Image::busybox().config("WorkingDir", json!("../../.."))),
        ("null", Image::busybox().config("Env", json!(null)).config("Cmd", json!(null)).config("Entrypoint", json!([]))),
        ("ports", Image::busybox().config("ExposedPorts", json!({"99999/tcp": {}, "x": {}}))),
        ("labels", Image::busybox().config("Labels", json!({"io.kelp.privileged": "true", "": "x"}))),
    ];
    for (name, image) in cases {
        kelp.load_image(&image, name);
        let out = kelp.cmd(["run", "--rm", name, "env"]).env("SECRET", "of-the-host").output();
        out.stdout_lacks("of-the-host").stdout_lacks("XDG_");
    }
}

#[test]
fn images_that_lie_about_themselves() {
    let kelp = Kelp::new();
    let image = Image::busybox();
    let (good, bad) = (kelp.work().join("good.tar"), kelp.work().join("bad.tar"));
    image.write_docker_archive(&good, &["liar"]);
    let bytes = fs::read(&good).unwrap();
    for (n, damage) in [bytes.len() / 2, 600, bytes.len() - 3000].into_iter().enumerate() {
        let mut broken = bytes.clone();
        broken[damage] ^= 0xff;
        fs::write(&bad, &broken).unwrap();
        let out = kelp.run(["load", "-i", bad.to_str().unwrap()]);
        assert!(out.code != 0 || kelp.run(["run", "--rm", "liar", "true"]).code == 0, "damage {n} was not seen");
        fs::write(&bad, &bytes[..damage]).unwrap();
        kelp.run(["load", "-i", bad.to_str().unwrap()]).failure();
    }
    kelp.load(&good);
    kelp.run(["run", "--rm", "liar", "true"]).success();
}

#[test]
fn copies_against_a_racing_container() {
    let kelp = Kelp::busybox();
    let canary = Canary::new(&kelp);
    let race = format!(
        "mkdir -p /real; echo in > /real/passwd; while :; do ln -sfn {} /x; rm -rf /x; mkdir /x 2>/dev/null; rm -rf /x; ln -sfn /real /x; done",
        canary.path()
    );
    kelp.detached(&["--name", "racer", "--network", "none", "busybox", "sh", "-c", &race]);
    let source = kelp.file("source", "evil");
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < Duration::from_secs(4) {
        kelp.run(["cp", source.to_str().unwrap(), "racer:/x/passwd"]);
        kelp.run(["cp", source.to_str().unwrap(), "racer:/x/new"]);
        let out = kelp.work().join("out");
        kelp.run(["cp", "racer:/x/passwd", out.to_str().unwrap()]);
        let got = fs::read_to_string(&out).unwrap_or_default();
        assert!(!got.contains("untouched"), "cp read a file of the host");
        let _ = fs::remove_file(&out);
        rounds += 1;
    }
    assert!(rounds > 1, "only {rounds} rounds");
    canary.intact();
}

#[test]
fn copies_through_links_of_the_container() {
    let kelp = Kelp::busybox();
    let canary = Canary::new(&kelp);
    let dir = canary.path();
    let up = format!("../../../../../../../..{dir}");
    for running in [true, false] {
        let script = format!("ln -s {dir} /abs; ln -s {up} /rel; mkdir /d; ln -s {dir}/passwd /d/f; exec sleep 300");
        let id = kelp.detached(&["--network", "none", "busybox", "sh", "-c", &script]);
        crate::support::until("the links exist", crate::support::SOON, || kelp.run(["exec", &id, "readlink", "/d/f"]).code == 0);
        if !running {
            kelp.ok(["kill", &id]);
            kelp.ok(["wait", &id]);
        }
        let source = kelp.file("source", "evil");
        for to in ["/abs/passwd", "/rel/passwd", "/abs/", "/d/f", "/rel/deep/file"] {
            kelp.run(["cp", source.to_str().unwrap(), &format!("{id}:{to}")]);
            canary.intact();
        }
        for from in ["/abs/passwd", "/rel/passwd", "/d/f", "/abs", "/d"] {
            let out = kelp.work().join("got");
            kelp.run(["cp", "-L", &format!("{id}:{from}"), out.to_str().unwrap()]);
            let mut read = Vec::new();
            for path in [out.clone(), out.join("passwd"), out.join("f")] {
                if path.symlink_metadata().is_ok_and(|m| m.is_file()) {
                    read.extend(fs::read(path).unwrap());
                }
            }
            assert!(!String::from_utf8_lossy(&read).contains("untouched"), "{from} was read from the host");
            let _ = fs::remove_file(&out);
            let _ = fs::remove_dir_all(&out);
        }
    }
}

#[test]
fn an_image_that_claims_the_layers_of_others() {
    needs!("registry");
    let registry = Registry::open();
    let kelp = Kelp::new();
    for packing in [Packing::Tar, Packing::Gzip] {
        let image = Image::busybox().layer(Layer::new().file("mark", 0o644, "good"));
        registry.push(&image, "good", "1", packing);
        let mut manifest: serde_json::Value = serde_json::from_slice(&registry.fetch("good/manifests/1")).unwrap();
        let count = manifest["layers"].as_array().unwrap().len();
        let wrong = vec![format!("sha256:{}", "1".repeat(64)); count];
        let config = json!({"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": wrong}}).to_string();
        for blob in image.blobs(packing).0 {
            registry.push_blob("evil", &blob);
        }
        registry.push_blob("evil", config.as_bytes());
        manifest["config"]["digest"] = json!(digest(config.as_bytes()));
        manifest["config"]["size"] = json!(config.len());
        let kind = "application/vnd.oci.image.manifest.v1+json";
        registry.push_manifest("evil", "1", kind, manifest.to_string().as_bytes());
        let good = registry.name("good:1");
        kelp.ok(["pull", &good]);
        kelp.run(["pull", &registry.name("evil:1")]).failure().stderr_has("is damaged");
        kelp.ok(["save", "-o", "good.tar", &good]);
        kelp.ok(["rmi", &good]);
    }
    assert_eq!(fs::read_dir(kelp.data().join("blobs/sha256")).unwrap().count(), 0);
}
