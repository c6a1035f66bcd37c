//! What images, archives and registries claim, and what others may see of us: names with digests, signature policies,
//! credentials and mirrors, odd documents, escape sequences.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::needs;
use crate::support::files::Files;
use crate::support::image::{Packing, digest, hex};
use crate::support::registry::Registry;
use crate::support::{Image, Kelp, Layer};

fn marked(text: &str) -> Image {
    Image::busybox().layer(Layer::new().file("mark", 0o644, text))
}

/// An OCI archive of these blobs and index entries.
fn oci_archive(kelp: &Kelp, name: &str, blobs: &[Vec<u8>], entries: &Value) -> String {
    let mut tar = Layer::new().file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#);
    for blob in blobs {
        tar = tar.file(&format!("blobs/sha256/{}", hex(blob)), 0o644, blob);
    }
    let index = json!({"schemaVersion": 2, "manifests": entries}).to_string();
    kelp.file(name, tar.file("index.json", 0o644, index).finish()).display().to_string()
}

fn entry(manifest: &[u8], name: &str) -> Value {
    json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(manifest), "size": manifest.len(),
        "annotations": {"org.opencontainers.image.ref.name": name}})
}

#[test]
fn a_name_with_a_digest_is_no_ones_to_give() {
    let kelp = Kelp::new();
    let evil = marked("evil");
    let other = digest(b"another manifest");
    let pinned = format!("reg.example/t/bb@{other}");
    let refused = |args: &[&str]| {
        kelp.run(args).failure().stderr_has("digest");
        kelp.run(["run", "--rm", "--pull", "never", &pinned, "true"]).failure();
        kelp.run(["images", "-q"]).success().stdout("");
    };
    let tar = kelp.work().join("evil.tar");
    evil.write_docker_archive(&tar, &[&pinned]);
    refused(&["load", "-i", "evil.tar"]);
    refused(&["pull", "docker-archive:evil.tar"]);
    for name in [&pinned, &format!("reg.example/t/bb:1@{other}")] {
        evil.write_oci_archive(&tar, name, Packing::Gzip);
        refused(&["load", "-i", "evil.tar"]);
    }
    fs::write(&tar, Layer::new().file("x", 0o644, "x").finish()).unwrap();
    refused(&["import", "evil.tar", &pinned]);
    // One that is true may stay.
    let own = digest(&evil.blobs(Packing::Gzip).1);
    evil.write_oci_archive(&tar, &format!("reg.example/t/bb:1@{own}"), Packing::Gzip);
    kelp.ok(["load", "-i", "evil.tar"]);
    for name in [format!("reg.example/t/bb@{own}"), "reg.example/t/bb:1".to_owned()] {
        kelp.run(["run", "--rm", "--pull", "never", &name, "cat", "/mark"]).success().stdout("evil");
    }
    let place = format!("docker-archive:out.tar:{pinned}");
    kelp.run(["push", "reg.example/t/bb:1", &place]).failure().stderr_has("give a tag");
    // What is in a docker-archive already is not replaced.
    kelp.ok(["push", "reg.example/t/bb:1", "docker-archive:out.tar:a/b:1"]);
    let before = fs::read(kelp.work().join("out.tar")).unwrap();
    kelp.run(["push", "reg.example/t/bb:1", "docker-archive:out.tar:a/b:2"]).failure().stderr_has("there already");
    assert_eq!(fs::read(kelp.work().join("out.tar")).unwrap(), before);
    kelp.ok(["push", "reg.example/t/bb:1", "oci-archive:oci.tar:a"]);
    kelp.ok(["push", "reg.example/t/bb:1", "oci-archive:oci.tar:a"]);
}

#[test]
fn credentials_are_for_the_registry_they_were_given_for() {
    needs!("registry");
    let registry = Registry::with_login();
    let host = registry.host();
    let kelp = Kelp::new();
    kelp.load_image(&marked("private"), "app");
    kelp.ok(["push", "--creds", "tester:secret", "app", &registry.name("team/app:1")]);
    let conf = kelp.file(
        "registries.conf",
        format!(
            "[[registry]]\nlocation = \"reg.invalid\"\nmirror = [{{location = \"{host}\"}}]\n\
             [[registry]]\nprefix = \"moved.invalid\"\nlocation = \"{host}\"\n"
        ),
    );
    let run = |args: &[&str]| kelp.cmd(args).env("CONTAINERS_REGISTRIES_CONF", &conf).output();
    for name in ["reg.invalid/team/app:1", "moved.invalid/team/app:1"] {
        run(&["pull", "--retry", "0", "--creds", "tester:secret", name]).failure().stderr_has("denies access");
        run(&["manifest", "inspect", "--creds", "tester:secret", name]).failure();
    }
    kelp.ok(["pull", "--creds", "tester:secret", &registry.name("team/app:1")]);
    // What is known of the mirror itself is used there; and so say manifest inspect and the list of tags.
    kelp.cmd(["login", "-u", "tester", "--password-stdin", &host]).stdin("secret").output().success();
    for name in ["reg.invalid/team/app", "moved.invalid/team/app"] {
        run(&["pull", &format!("{name}:1")]).success();
        assert_eq!(run(&["manifest", "inspect", &format!("{name}:1")]).success().json()["schemaVersion"], 2);
        run(&["search", "--list-tags", "--format", "{{.Name}} {{.Tag}}", name]).success().stdout(&format!("{name} 1"));
    }
}

#[test]
fn helpers_of_registries_conf_are_asked() {
    needs!("registry");
    let registry = Registry::with_login();
    let host = registry.host();
    let kelp = Kelp::new();
    kelp.load_image(&marked("helped"), "app");
    kelp.ok(["push", "--creds", "tester:secret", "app", &registry.name("app:1")]);
    let bin = kelp.dir().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let kept = kelp.work().join("kept").display().to_string();
    let script = format!(
        "#!/bin/sh\ncase $1 in store) cat >{kept};; get) cat {kept} 2>/dev/null || {{ echo credentials not found; exit 1; }};; erase) rm {kept};; esac\n"
    );
    let helper = bin.join("docker-credential-bar");
    fs::write(&helper, script).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let conf = kelp.file("registries.conf", r#"credential-helpers = ["containers-auth.json", "bar"]"#);
    let run = |args: &[&str]| kelp.cmd(args).env("PATH", &path).env("CONTAINERS_REGISTRIES_CONF", &conf).output();
    run(&["pull", &registry.name("app:1")]).failure();
    fs::write(&kept, format!(r#"{{"ServerURL":"{host}","Username":"tester","Secret":"secret"}}"#)).unwrap();
    run(&["pull", &registry.name("app:1")]).success();
    run(&["login", "--get-login", &host]).success().stdout("tester");
    run(&["logout", &host]).success();
    assert!(!fs::exists(&kept).unwrap());
    // The first one keeps what is new.
    fs::write(&conf, r#"credential-helpers = ["bar"]"#).unwrap();
    let login = kelp.cmd(["login", "-u", "tester", "--password-stdin", &host]);
    login.env("PATH", &path).env("CONTAINERS_REGISTRIES_CONF", &conf).stdin("secret").output().success();
    assert!(fs::read_to_string(&kept).unwrap().contains("secret"));
    run(&["pull", &registry.name("app:1")]).success();
}

#[test]
fn archives_are_judged_by_what_they_are_and_where() {
    let kelp = Kelp::new();
    let image = marked("judged");
    image.write_docker_archive(&kelp.work().join("docker.tar"), &["a"]);
    let good = kelp.work().join("good");
    fs::create_dir_all(&good).unwrap();
    image.write_oci_archive(&good.join("oci.tar"), "b:1", Packing::Gzip);
    fs::copy(good.join("oci.tar"), kelp.work().join("oci.tar")).unwrap();
    let containers = kelp.dir().join("home/.config/containers");
    fs::create_dir_all(&containers).unwrap();
    let accept = json!([{"type": "insecureAcceptAnything"}]);
    let policy = |transports: Value| {
        let text = json!({"default": [{"type": "reject"}], "transports": transports}).to_string();
        fs::write(containers.join("policy.json"), text).unwrap();
    };
    let load = |name: &str| kelp.run(["load", "-i", name]);
    let piped = |name: &str| kelp.cmd(["load"]).stdin(fs::read(kelp.work().join(name)).unwrap()).output();
    policy(json!({"docker-archive": {"": accept}}));
    load("docker.tar").success();
    for out in [load("oci.tar"), piped("oci.tar"), load("good/oci.tar")] {
        out.failure().stderr_has("rejected by the signature policy").stderr_has("containers-policy.json");
    }
    policy(json!({"oci-archive": {good.canonicalize().unwrap().display().to_string(): accept}}));
    load("good/oci.tar").success();
    std::os::unix::fs::symlink("good/oci.tar", kelp.work().join("link.tar")).unwrap();
    load("link.tar").success();
    kelp.run(["pull", "oci-archive:good/oci.tar"]).success();
    for out in [load("docker.tar"), load("oci.tar"), piped("oci.tar"), kelp.run(["pull", "oci-archive:oci.tar"])] {
        out.failure().stderr_has("rejected by the signature policy");
    }
    // A key nobody knows may be what was to keep images out.
    fs::write(containers.join("policy.json"), r#"{"default": [{"type": "insecureAcceptAnything"}], "transport": {}}"#).unwrap();
    load("docker.tar").failure().stderr_has("transport");
}

#[test]
fn archives_with_more_less_and_other_than_they_say() {
    let kelp = Kelp::new();
    let (mut blobs, manifest) = marked("beside").blobs(Packing::Gzip);
    let empty = b"{}".to_vec();
    let artifact = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "artifactType": "application/x.chart", "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(&empty),
        "size": 2}, "layers": []}).to_string().into_bytes();
    blobs.extend([empty, artifact.clone(), manifest.clone()]);
    let both = oci_archive(&kelp, "both.tar", &blobs, &json!([entry(&artifact, "chart:1"), entry(&manifest, "app:1")]));
    kelp.run(["load", "-i", &both]).success().stdout_has("app:1").stderr_has("Skipping chart:1").stderr_has("x.chart");
    kelp.run(["run", "--rm", "--pull", "never", "app:1", "cat", "/mark"]).success().stdout("beside");
    let alone = oci_archive(&kelp, "alone.tar", &blobs, &json!([entry(&artifact, "chart:1")]));
    kelp.run(["load", "-i", &alone]).failure().stderr_has("artifact");
    let none = oci_archive(&kelp, "none.tar", &blobs, &json!([]));
    kelp.run(["load", "-i", &none]).failure().stderr_has("no image");
    let tar = kelp.file("empty.tar", Layer::new().file("manifest.json", 0o644, "[]").finish());
    kelp.run(["load", "-i", tar.to_str().unwrap()]).failure().stderr_has("no image");
    // Sizes: of the manifest, the configuration, a layer.
    let mut wrong = entry(&manifest, "app:1");
    wrong["size"] = json!(manifest.len() + 1);
    let path = oci_archive(&kelp, "size.tar", &blobs, &json!([wrong]));
    kelp.run(["load", "-i", &path]).failure().stderr_has("bytes but has");
    for at in ["/config/size", "/layers/0/size"] {
        let mut document: Value = serde_json::from_slice(&manifest).unwrap();
        *document.pointer_mut(at).unwrap() = json!(7);
        let document = document.to_string().into_bytes();
        let mut blobs = blobs.clone();
        blobs.push(document.clone());
        let path = oci_archive(&kelp, "size.tar", &blobs, &json!([entry(&document, "app:2")]));
        kelp.run(["load", "-i", &path]).failure().stderr_has("should have 7 bytes");
        kelp.cmd(["load"]).stdin(fs::read(&path).unwrap()).output().failure().stderr_has("should have 7 bytes");
    }
}

#[test]
fn pushes_do_not_depend_on_earlier_ones() {
    needs!("registry");
    let registry = Registry::open();
    let kelp = Kelp::new();
    let text = "some text that compresses better and worse ".repeat(2000);
    registry.push(&Image::busybox().layer(Layer::new().file("text", 0o644, &text)), "came", "1", Packing::Gzip);
    let layers = |repository: &str| {
        let manifest: Value = serde_json::from_slice(&registry.fetch(&format!("{repository}/manifests/1"))).unwrap();
        manifest["layers"].as_array().unwrap().iter().map(|layer| layer["digest"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let came = registry.name("came:1");
    kelp.ok(["pull", &came]);
    let push = |flags: &[&str], to: &str| {
        kelp.run([&["push"], flags, &[&came, &registry.name(&format!("{to}:1"))]].concat()).success();
        layers(to)
    };
    let nine = push(&["--compression-level", "9"], "nine");
    assert_ne!(nine, layers("came"));
    assert_eq!(push(&[], "plain"), layers("came"));
    assert_ne!(push(&["--compression-format", "gzip", "--compression-level", "1"], "one"), nine);
    let forced = push(&["--force-compression=true"], "forced");
    assert!(forced != layers("came") && forced != nine);
    assert_eq!(push(&["--compression-level", "9"], "again"), nine);
    assert_eq!(push(&["--compression-format", "gzip"], "same"), layers("came"));
    let other = Kelp::new();
    other.run(["run", "--rm", &registry.name("nine:1"), "wc", "-c", "/text"]).success().stdout_has(&text.len().to_string());
}

#[test]
fn manifest_inspect_asks_the_registry() {
    needs!("registry");
    let registry = Registry::open();
    let kelp = Kelp::new();
    let other = if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" };
    registry.push_index(&[marked("a"), marked("b").platform("linux", other)], "both", "1");
    let name = registry.name("both:1");
    kelp.ok(["pull", &name]);
    assert_eq!(kelp.run(["manifest", "inspect", &name]).success().json()["manifests"].as_array().unwrap().len(), 2);
    let id = kelp.inspect(&name, "{{.Id}}");
    assert!(kelp.run(["manifest", "inspect", &id]).success().json()["layers"].is_array());
}

#[test]
fn odd_configurations_are_not_guessed_at() {
    let kelp = Kelp::new();
    let text = Image::busybox().config("Entrypoint", json!("/bin/ls")).config("Cmd", json!(null)).config("Labels", json!({"a": 1, "b": null, "c": "d"}));
    kelp.load_image(&text, "text");
    kelp.run(["run", "--rm", "text"]).success().stdout_has("proc");
    assert_eq!(kelp.inspect("text", "{{.Config.Labels.c}}"), "d");
    for (key, value) in [("User", json!(5)), ("Cmd", json!([1])), ("WorkingDir", json!({}))] {
        let tar = kelp.work().join("odd.tar");
        Image::busybox().config(key, value).write_docker_archive(&tar, &["odd"]);
        kelp.run(["load", "-i", "odd.tar"]).failure().stderr_has(key);
    }
}

#[test]
fn nothing_from_an_image_moves_the_cursor() {
    let kelp = Kelp::new();
    let tar = kelp.work().join("esc.tar");
    Image::busybox().platform("linux", "\u{1b}[31mevil\u{9b}2J").write_docker_archive(&tar, &["esc"]);
    kelp.run(["load", "-i", "esc.tar"]).success();
    let out = kelp.run(["run", "--rm", "esc", "true"]);
    out.stderr_has("does not match").stderr_has("x1b[31mevil");
    assert!(!out.stderr.contains(['\u{1b}', '\u{9b}']), "{out:?}");
}

#[test]
fn filters_of_images() {
    let kelp = Kelp::busybox();
    kelp.load_image(&marked("second"), "second");
    kelp.ok(["create", "--name", "c", "second", "true"]);
    kelp.ok(["manifest", "create", "list", "second"]);
    let listed = |filter: &str| {
        let mut names = kelp.run(["images", "--format", "{{.Repository}}", "--filter", filter]).success().lines();
        names.sort();
        names.join(" ")
    };
    assert_eq!(listed("containers=true"), "second");
    assert_eq!(listed("manifest=true"), "list");
    assert_eq!(listed("manifest=false"), "busybox second");
    assert_eq!(listed("readonly=true"), "");
    assert_eq!(listed("intermediate=true"), "");
    assert_eq!(listed("intermediate=false"), "busybox list second");
    assert_eq!(listed("digest=sha256:0123"), "");
    kelp.run(["images", "--filter", "readonly=maybe"]).failure();
}

#[test]
fn an_archive_nobody_reads_is_no_success() {
    let kelp = Kelp::busybox();
    kelp.ok(["create", "--name", "c", "busybox", "true"]);
    for args in [&["save", "busybox"][..], &["export", "c"]] {
        let mut child = kelp.cmd(args).raw().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut byte = [0];
        let mut out = child.stdout.take().unwrap();
        out.read_exact(&mut byte).unwrap();
        drop(out);
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        let status = child.wait().unwrap();
        assert!(!status.success() && said.is_empty(), "{args:?}: {status} {said}");
    }
}

#[test]
fn pages_that_lead_to_themselves_end() {
    let kelp = Kelp::new();
    let server = Files::serve(&kelp.work());
    let page = "v2/app/tags/list?n=1000";
    server.put(page, &format!("Link: </{page}>; rel=\"next\"\r\n"), r#"{"tags":["a","b"]}"#);
    let name = format!("{}/app", server.host());
    kelp.run(["search", "--list-tags", "--format", "{{.Tag}}", &name]).success().stdout("a\nb");
    assert_eq!(server.asked().iter().filter(|path| *path == page).count(), 1);
}
