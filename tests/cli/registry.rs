//! Registries: images sent there, taken back by us and by other tools; who may do so.

use std::fs;
use std::time::Duration;

use serde_json::json;

use crate::needs;
use crate::support::image::{Packing, digest};
use crate::support::registry::Registry;
use crate::support::{Image, Kelp, Layer};

fn marked(text: &str) -> Image {
    Image::busybox().layer(Layer::new().file("mark", 0o644, text))
}

/// Bytes that do not compress.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let next = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    next.flatten().take(length).collect()
}

#[test]
fn push_and_come_back() {
    needs!("registry");
    let registry = Registry::open();
    let kelp = Kelp::new();
    kelp.load_image(&marked("sent"), "app");
    let name = registry.name("team/app:1");
    let out = kelp.run(["push", "--digestfile", "digest", "app", &name]);
    out.success().stdout_has("1: digest: sha256:");
    let sent = fs::read_to_string(kelp.work().join("digest")).unwrap();
    assert_eq!(digest(&registry.fetch("team/app/manifests/1")), sent);
    out.stdout_has(&sent).stderr_has("Pushed");
    kelp.run(["push", "app", &name]).success().stdout_has(&sent);
    kelp.run(["push", "-q", "app", &registry.name("team/app:2")]).success().stdout(&registry.name("team/app:2"));
    assert!(kelp.inspect("app", "{{.RepoDigests}}").contains(&sent));
    let other = Kelp::new();
    other.run(["run", "--rm", &name, "cat", "/mark"]).success().stdout("sent");
    assert_eq!(other.inspect(&name, "{{.Id}}"), kelp.inspect("app", "{{.Id}}"));
    // A tag of one's own, all tags, and words for what cannot be.
    kelp.ok(["tag", "app", &registry.name("all/app:a")]);
    kelp.ok(["tag", "app", &registry.name("all/app:b")]);
    kelp.run(["push", "--all-tags", &registry.name("all/app")]).success().stdout_has("b: digest");
    assert!(registry.tags("all/app").contains(r#"["a","b"]"#) || registry.tags("all/app").contains(r#"["b","a"]"#));
    kelp.run(["push", "nosuch"]).failure().stderr_has("no such image: nosuch");
    kelp.run(["push", &kelp.inspect("app", "{{.Id}}")]).failure().stderr_has("say where");
    kelp.run(["push", "--platform", "linux/s390x", "app", &name]).failure().stderr_has("s390x");
    kelp.run(["push", "--sign-by", "x", "app", &name]).failure().stderr_has("image sign");
    kelp.run(["push", "--compression-level", "99", "app", &name]).failure().stderr_has("1 to 9");
}

#[test]
fn a_pulled_image_goes_back_byte_for_byte() {
    needs!("registry");
    let (from, to) = (Registry::open(), Registry::open());
    for (packing, tag) in [(Packing::Tar, "tar"), (Packing::Gzip, "gzip"), (Packing::Zstd, "zstd")] {
        // Of one layer in two packings only the first would be fetched.
        let kelp = Kelp::new();
        let pushed = from.push(&marked(tag), "box", tag, packing);
        kelp.ok(["pull", &from.name(&format!("box:{tag}"))]);
        kelp.ok(["push", &from.name(&format!("box:{tag}")), &to.name(&format!("deep/er/box:{tag}"))]);
        assert_eq!(digest(&to.fetch(&format!("deep/er/box/manifests/{tag}"))), pushed, "{tag}");
    }
    let kelp = Kelp::new();
    let name = from.name("box:gzip");
    kelp.ok(["pull", &name]);
    kelp.ok(["push", "--compression-format", "zstd", &name, &to.name("box:z")]);
    kelp.ok(["push", "--format", "v2s2", &name, &to.name("box:docker")]);
    for (tag, kind) in [("z", "tar+zstd"), ("docker", "docker.distribution.manifest.v2")] {
        let raw = String::from_utf8(to.fetch(&format!("box/manifests/{tag}"))).unwrap();
        assert!(raw.contains(kind), "{raw}");
        let other = Kelp::new();
        other.run(["run", "--rm", &to.name(&format!("box:{tag}")), "cat", "/mark"]).success().stdout("gzip");
    }
}

#[test]
fn what_is_made_on_a_pulled_image_is_saved() {
    needs!("userns", "registry");
    let registry = Registry::open();
    for packing in [Packing::Tar, Packing::Gzip, Packing::Zstd] {
        let kelp = Kelp::new();
        registry.push(&marked("base"), "base", "1", packing);
        let base = registry.name("base:1");
        kelp.ok(["pull", &base]);
        kelp.file("ctx/Dockerfile", format!("FROM {base}\nRUN echo app > /app\n"));
        kelp.ok(["build", "-q", "--network", "none", "-t", "app", "ctx"]);
        kelp.ok(["build", "-q", "--network", "none", "--squash", "-t", "squashed", "ctx"]);
        kelp.ok(["run", "--name", "c", "--network", "none", &base, "sh", "-c", "echo app > /app"]);
        kelp.ok(["commit", "c", "committed"]);
        for round in 0..2 {
            for image in ["app", "squashed", "committed"] {
                for flags in [&[][..], &["--compress"], &["--squash"], &["--format", "oci-archive"], &["--format", "oci-dir"]] {
                    let out = format!("{image}{round}{}", flags.concat());
                    kelp.run(["save", "-o", &out].iter().chain(flags).chain(&[image])).success();
                    let other = Kelp::new();
                    let loaded = other.run(["load", "-q", "-i", kelp.work().join(&out).to_str().unwrap()]);
                    loaded.success();
                    other.run(["run", "--rm", "--network", "none", image, "cat", "/mark", "/app"]).success().stdout_has("app");
                }
                for to in ["dir:d", "oci:o", "oci-archive:a.tar", "docker-archive:b.tar"] {
                    // A docker-archive is written once.
                    fs::remove_file(kelp.work().join("b.tar")).ok();
                    kelp.run(["push", image, to]).success();
                }
            }
            for kind in ["oci", "docker"] {
                kelp.ok(["build", "-q", "--network", "none", "-o", &format!("type={kind},dest={kind}{round}.tar"), "ctx"]);
            }
            // The image the layers came with goes, by name at least: their bytes do not.
            kelp.run(["rmi", "-f", &base]);
        }
        kelp.run(["system", "check"]).success().stdout_has("all is well");
    }
}

#[test]
fn blobs_that_go_missing_are_fetched_again() {
    needs!("registry");
    let registry = Registry::open();
    registry.push(&marked("base"), "base", "1", Packing::Gzip);
    let kelp = Kelp::new();
    let base = registry.name("base:1");
    let lose = || {
        for entry in fs::read_dir(kelp.data().join("blobs/sha256")).unwrap().flatten() {
            if fs::read(entry.path()).unwrap().starts_with(&[0x1f, 0x8b]) {
                fs::remove_file(entry.path()).unwrap();
            }
        }
    };
    kelp.ok(["pull", &base]);
    lose();
    kelp.run(["save", "-o", "x.tar", &base]).failure().stderr_has("was not kept");
    kelp.ok(["pull", &base]);
    kelp.run(["save", "-o", "x.tar", &base]).success();
    lose();
    kelp.run(["system", "check", "-q"]).code(1).stdout_has("archive of layer sha256:");
    kelp.run(["system", "check", "--repair"]).success().stdout_has("fetched again");
    kelp.run(["system", "check"]).success().stdout_has("all is well");
    kelp.run(["save", "-o", "x.tar", &base]).success();
    // A layer made by kelp can do without; written from its files as long as they give what it was.
    kelp.ok(["run", "--name", "c", "--network", "none", &base, "sh", "-c", "mkdir /d; echo x > /d/f; ln /d/f /d/g; rm /etc/passwd"]);
    let made = registry.name("made:1");
    kelp.ok(["commit", "c", &made]);
    kelp.ok(["push", &made]);
    let other = Kelp::new();
    other.ok(["pull", &made]);
    let top = other.inspect(&made, "{{index .RootFS.Layers 2}}");
    let layer = other.data().join("layers/sha256").join(&top[7..]);
    let blob: serde_json::Value = serde_json::from_slice(&fs::read(layer.join("blob.json")).unwrap()).unwrap();
    fs::remove_file(other.data().join("blobs/sha256").join(&blob["digest"].as_str().unwrap()[7..])).unwrap();
    other.run(["save", "-o", "made.tar", &made]).success();
    kelp.ok(["rmi", "-f", &made]);
    kelp.run(["load", "-q", "-i", other.work().join("made.tar").to_str().unwrap()]).success();
    kelp.run(["run", "--rm", "--network", "none", &made, "cat", "/d/g", "/mark"]).success().stdout("x\nbase");
    fs::write(layer.join("fs/d/f"), "y\n").unwrap();
    other.run(["save", "-o", "made.tar", &made]).failure().stderr_has("was not kept");
    lose();
    drop(registry);
    kelp.run(["system", "check", "-rf"]).code(1).stdout_has("cannot be fetched again");
    kelp.run(["run", "--rm", "--pull", "never", &base, "cat", "/mark"]).success();
}

#[test]
fn loading_again_makes_an_image_whole() {
    needs!("registry");
    let (registry, second) = (Registry::open(), Registry::open());
    registry.push(&marked("base"), "base", "1", Packing::Gzip);
    let kelp = Kelp::new();
    let base = registry.name("base:1");
    kelp.ok(["pull", &base]);
    kelp.ok(["save", "-o", "docker.tar", &base]);
    kelp.ok(["save", "--format", "oci-archive", "-o", "oci.tar", &base]);
    drop(registry);
    let top = kelp.inspect(&base, "{{index .RootFS.Layers 1}}");
    let layer = kelp.data().join("layers/sha256").join(&top[7..]);
    let blobs = || fs::read_dir(kelp.data().join("blobs/sha256")).unwrap().flatten().map(|entry| entry.path());
    let packed = || blobs().filter(|path| fs::read(path).unwrap().starts_with(&[0x1f, 0x8b]));
    let forget = || packed().for_each(|path| fs::remove_file(path).unwrap());
    let spoil = || {
        let note: serde_json::Value = serde_json::from_slice(&fs::read(layer.join("blob.json")).unwrap()).unwrap();
        let path = kelp.data().join("blobs/sha256").join(&note["digest"].as_str().unwrap()[7..]);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        // The blob is what is bad, not the files.
        kelp.run(["system", "check"]).code(1).stdout_has("blob sha256:").stdout_has("1 wrong");
        kelp.run(["save", "-o", "no.tar", &base]).failure().stderr_has("was damaged and is removed");
    };
    let unrecord = || fs::remove_file(layer.join("archive.zst")).unwrap();
    let lose = || fs::remove_dir_all(&layer).unwrap();
    let whole = fs::read(kelp.work().join("docker.tar")).unwrap();
    // Spoiled or gone as they were pulled; then what a load has put there instead is lost.
    let damages: [(&dyn Fn(), &str); 5] =
        [(&spoil, "docker.tar"), (&unrecord, "oci.tar"), (&forget, "docker.tar"), (&unrecord, "docker.tar"), (&lose, "oci.tar")];
    for (round, (damage, archive)) in damages.iter().enumerate() {
        damage();
        if round != 2 {
            kelp.run(["save", "-o", "no.tar", &base]).failure();
            kelp.run(["system", "check", "-q"]).code(1);
        }
        match round % 2 {
            0 => kelp.run(["load", "-q", "-i", archive]).success(),
            _ => kelp.cmd(["load", "-q"]).stdin(fs::read(kelp.work().join(archive)).unwrap()).output().success(),
        };
        kelp.run(["system", "check"]).success().stdout_has("all is well");
        kelp.ok(["save", "-o", "again.tar", &base]);
        assert!(fs::read(kelp.work().join("again.tar")).unwrap() == whole, "round {round}");
        kelp.ok(["push", &base, &second.name(&format!("base:{round}"))]);
        kelp.run(["run", "--rm", "--network", "none", "--pull", "never", &base, "cat", "/mark"]).success().stdout("base");
    }
    // Files that were changed are not what the archive holds.
    unrecord();
    fs::write(layer.join("fs/mark"), "evil").unwrap();
    kelp.run(["load", "-q", "-i", "docker.tar"]).failure().stderr_has("were changed");
    kelp.ok(["rmi", "-f", &kelp.inspect(&base, "{{.Id}}")]);
    kelp.run(["load", "-q", "-i", "docker.tar"]).success();
    kelp.run(["run", "--rm", "--network", "none", "--pull", "never", &base, "cat", "/mark"]).success().stdout("base");
}

#[test]
fn other_tools_read_what_is_pushed() {
    needs!("registry", "skopeo");
    let registry = Registry::open();
    let kelp = Kelp::new();
    kelp.load_image(&marked("other").layer(Layer::new().file("big", 0o644, noise(3_000_000, 7))), "app");
    for (format, transport) in [("gzip", "docker-archive"), ("zstd", "oci-archive")] {
        let name = registry.name(&format!("app:{format}"));
        kelp.ok(["push", "--compression-format", format, "app", &name]);
        let archive = kelp.work().join(format!("{format}.tar"));
        let target = format!("{transport}:{}:back:{format}", archive.display());
        let args = ["copy", "-q", "--src-tls-verify=false", &format!("docker://{name}"), &target];
        kelp.tool("skopeo", args).limit(Duration::from_secs(60)).output().success();
        let back = Kelp::new();
        back.ok(["load", "-i", archive.to_str().unwrap()]);
        back.run(["run", "--rm", &format!("back:{format}"), "cat", "/mark"]).success().stdout("other");
        assert_eq!(back.inspect(&format!("back:{format}"), "{{.Id}}"), kelp.inspect("app", "{{.Id}}"));
    }
}

#[test]
fn registries_conf_is_obeyed() {
    needs!("registry");
    let registry = Registry::open();
    registry.push(&marked("mirrored"), "hub/library/box", "latest", Packing::Gzip);
    registry.push(&marked("found"), "team/tool", "1", Packing::Gzip);
    let kelp = Kelp::new();
    let host = registry.host();
    let conf = kelp.file(
        "registries.conf",
        format!(
            r#"unqualified-search-registries = ["{host}/hub/library"]
            [aliases]
            "tool" = "{host}/team/tool"
            [[registry]]
            prefix = "reg.example"
            location = "reg.example"
            [[registry.mirror]]
            location = "127.0.0.1:1/nobody"
            [[registry.mirror]]
            location = "{host}/hub"
            [[registry]]
            location = "bad.example"
            blocked = true"#
        ),
    );
    let run = |args: &[&str]| kelp.cmd(args).env("CONTAINERS_REGISTRIES_CONF", &conf).output();
    run(&["pull", "reg.example/library/box"]).success().stderr_has("trying the next");
    run(&["run", "--rm", "--pull", "never", "reg.example/library/box", "cat", "/mark"]).success().stdout("mirrored");
    run(&["run", "--rm", "tool:1", "cat", "/mark"]).success().stdout("found");
    run(&["run", "--rm", "--pull", "never", "tool:1", "cat", "/mark"]).success().stdout("found");
    run(&["run", "--rm", "box", "cat", "/mark"]).success().stdout("mirrored");
    run(&["pull", "bad.example/x"]).failure().stderr_has("blocked");
    run(&["push", "tool:1", "bad.example/x"]).failure().stderr_has("blocked");
    let wrong = kelp.file("wrong.conf", "[[registry]]");
    kelp.cmd(["pull", "box"]).env("CONTAINERS_REGISTRIES_CONF", &wrong).output().failure().stderr_has("wrong.conf");
}

/// docker-registry with TLS; ends when dropped.
struct TlsRegistry(std::process::Child);

impl Drop for TlsRegistry {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

#[test]
fn tls_with_a_ca_and_client_certificates_of_ones_own() {
    needs!("registry", "openssl");
    let kelp = Kelp::new();
    let work = kelp.work();
    let port = crate::support::free_port();
    let openssl = |script: &str| {
        kelp.tool("sh", ["-ec", script]).output().success();
    };
    openssl("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.crt 2>/dev/null");
    for (name, extension) in [("server", "subjectAltName=IP:127.0.0.1"), ("client", "extendedKeyUsage=clientAuth")] {
        openssl(&format!(
            "openssl req -newkey rsa:2048 -nodes -subj /CN={name} -keyout {name}.key -out {name}.csr 2>/dev/null
             printf '%s\n' {extension} >{name}.ext
             openssl x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile {name}.ext -out {name}.crt 2>/dev/null"
        ));
    }
    let at = |name: &str| work.join(name).display().to_string();
    let config = format!(
        "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n  tls:\n    certificate: {}\n    \
         key: {}\n    clientcas:\n      - {}\n",
        at("data"), at("server.crt"), at("server.key"), at("ca.crt")
    );
    let config = kelp.file("registry.yml", config);
    let mut command = kelp.tool("docker-registry", ["serve", config.to_str().unwrap()]).raw();
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let _registry = TlsRegistry(command.spawn().unwrap());
    let answers = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
    crate::support::until("the registry listens", crate::support::SOON, answers);
    kelp.load_image(&marked("tls"), "app");
    let name = format!("127.0.0.1:{port}/app");
    let push = || kelp.run(["push", "--retry", "0", "app", &name]);
    push().failure().stderr_has("cannot be trusted");
    let certs = kelp.dir().join(format!("home/.config/containers/certs.d/127.0.0.1:{port}"));
    fs::create_dir_all(&certs).unwrap();
    fs::copy(at("ca.crt"), certs.join("ca.crt")).unwrap();
    // The registry is trusted now, but does not trust us.
    push().failure();
    fs::copy(at("client.crt"), certs.join("client.cert")).unwrap();
    fs::copy(at("client.key"), certs.join("client.key")).unwrap();
    push().success();
    kelp.run(["search", &format!("127.0.0.1:{port}/a")]).success().stdout_has("/app");
    fs::remove_file(certs.join("ca.crt")).unwrap();
    kelp.run(["pull", "--retry", "0", &name]).failure();
    kelp.ok(["pull", "--tls-verify=false", &name]);
    let dir = kelp.work().join("certs");
    fs::rename(&certs, &dir).unwrap();
    fs::copy(at("ca.crt"), dir.join("ca.crt")).unwrap();
    kelp.ok(["pull", "--cert-dir", dir.to_str().unwrap(), &name]);
    kelp.run(["run", "--rm", "--pull", "never", &name, "cat", "/mark"]).success().stdout("tls");
}

/// As docker's instructions for a registry have it: one certificate that signed itself, for the server and as its CA.
#[test]
fn tls_with_a_certificate_that_signed_itself() {
    needs!("registry", "openssl");
    let kelp = Kelp::new();
    kelp.load_image(&marked("tls"), "app");
    let make = |name: &str, ip: &str| {
        let script = format!("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=reg -addext subjectAltName=IP:{ip} -keyout {name}.key -out {name}.crt 2>/dev/null");
        kelp.tool("sh", ["-ec", &script]).output().success();
    };
    make("own", "127.0.0.1");
    make("stranger", "127.0.0.1");
    make("misnamed", "192.0.2.1");
    for (server, given, trusted) in [("own", "own", true), ("stranger", "own", false), ("misnamed", "misnamed", false)] {
        let port = crate::support::free_port();
        let at = |name: &str| kelp.work().join(name).display().to_string();
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n  tls:\n    certificate: {}\n    key: {}\n",
            at("data"), at(&format!("{server}.crt")), at(&format!("{server}.key"))
        );
        let config = kelp.file("registry.yml", config);
        let mut command = kelp.tool("docker-registry", ["serve", config.to_str().unwrap()]).raw();
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let _registry = TlsRegistry(command.spawn().unwrap());
        crate::support::until("the registry listens", crate::support::SOON, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        let certs = kelp.dir().join(format!("home/.config/containers/certs.d/127.0.0.1:{port}"));
        fs::create_dir_all(&certs).unwrap();
        fs::copy(at(&format!("{given}.crt")), certs.join("ca.crt")).unwrap();
        let name = format!("127.0.0.1:{port}/app");
        let pushed = kelp.run(["push", "--retry", "0", "app", &name]);
        if trusted {
            pushed.success();
            kelp.ok(["pull", "-q", &name]);
        } else {
            pushed.failure().stderr_has("cannot be trusted");
        }
    }
}

#[test]
fn proxies_of_the_environment_are_used() {
    needs!("registry");
    let registry = Registry::open();
    registry.push(&marked("through"), "box", "latest", Packing::Gzip);
    let kelp = Kelp::new();
    // The registry answers to any name, so it can stand for a proxy of plain HTTP.
    let proxy = format!("http://{}", registry.host());
    let pull = |no: &str| {
        let cmd = kelp.cmd(["pull", "--retry", "0", "--tls-verify=false", "reg.invalid/box"]);
        cmd.env("http_proxy", &proxy).env("https_proxy", &proxy).env("no_proxy", no).output()
    };
    pull("reg.invalid").failure().stderr_has("reg.invalid");
    pull("reg.invalid:443, reg.invalid:80").failure().stderr_has("reg.invalid");
    pull("elsewhere.invalid, reg.invalid:5000").success();
    let cmd = || kelp.cmd(["pull", "--retry", "0", "--tls-verify=false", "reg.invalid/box"]);
    // An empty variable is none; what is no address is not taken for the wish to go directly.
    cmd().env("HTTP_PROXY", "").env("HTTPS_PROXY", "").env("http_proxy", &proxy).env("https_proxy", &proxy).output().success();
    let wrong = cmd().env("https_proxy", "http://u:secret@:x").output();
    wrong.failure().stderr_has("https_proxy is no address");
    assert!(!format!("{wrong:?}").contains("secret"));
    kelp.run(["run", "--rm", "--pull", "never", "reg.invalid/box", "cat", "/mark"]).success().stdout("through");
}

#[test]
fn signatures_and_the_policy_that_asks_for_them() {
    needs!("registry", "openssl");
    let registry = Registry::open();
    let kelp = Kelp::new();
    kelp.load_image(&marked("signed"), "app");
    let name = registry.name("app:1");
    kelp.ok(["push", "app", &name]);
    let openssl = |args: &[&str]| {
        kelp.tool("openssl", args).output().success();
    };
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "a.key"]);
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", "b.key"]);
    for key in ["a", "b"] {
        openssl(&["pkey", "-in", &format!("{key}.key"), "-pubout", "-out", &format!("{key}.pub")]);
    }
    kelp.run(["image", "verify", "--key", "a.pub", &name]).failure().stderr_has("no valid signature");
    kelp.run(["image", "sign", "--key", "a.key", &name]).success().stdout_has("Signed");
    kelp.run(["image", "verify", "--key", "a.pub", &name]).success().stdout_has("Verified");
    kelp.run(["image", "verify", "--key", "b.pub", &name]).failure();
    kelp.run(["image", "sign", "--key", "a.pub", &name]).failure().stderr_has("private key");
    let two = registry.name("app:2");
    kelp.load_image(&marked("second"), "second");
    kelp.ok(["push", "--sign-by-sigstore-private-key", "b.key", "second", &two]);
    kelp.run(["image", "verify", "--key", "b.pub", &two]).success();
    // The policy wants signatures by the first key.
    let containers = kelp.dir().join("home/.config/containers");
    fs::create_dir_all(&containers).unwrap();
    let policy = json!({"default": [{"type": "reject"}], "transports": {"docker": {registry.host(): [
        {"type": "sigstoreSigned", "keyPath": kelp.work().join("a.pub")}]}}});
    fs::write(containers.join("policy.json"), policy.to_string()).unwrap();
    kelp.run(["pull", &two]).failure().stderr_has("rejected by the signature policy");
    kelp.ok(["pull", &name]);
    kelp.run(["pull", "127.0.0.1:1/x"]).failure();
    let archive = kelp.work().join("app.tar");
    kelp.ok(["save", "-o", archive.to_str().unwrap(), "app"]);
    kelp.run(["load", "-i", archive.to_str().unwrap()]).failure().stderr_has("policy");
    kelp.run(["pull", &format!("docker-archive:{}", archive.display())]).failure().stderr_has("policy");
    fs::write(containers.join("policy.json"), "{").unwrap();
    kelp.run(["pull", &name]).failure().stderr_has("policy.json");
}

#[test]
fn search_lists_what_a_registry_has() {
    needs!("registry");
    let registry = Registry::open();
    for (name, tag) in [("team/app", "1"), ("team/app", "2"), ("other/tool", "x")] {
        registry.push(&marked("x"), name, tag, Packing::Gzip);
    }
    let kelp = Kelp::new();
    kelp.run(["search", &registry.name("app")]).success().stdout_has(&registry.name("team/app")).stdout_lacks("tool");
    let out = kelp.run(["search", "--format", "{{.Name}}", "--limit", "1", &registry.name("o")]);
    assert_eq!(out.success().lines().len(), 1);
    let out = kelp.run(["search", "--list-tags", "--format", "{{.Tag}}", &registry.name("team/app")]);
    let mut tags = out.success().lines();
    tags.sort();
    assert_eq!(tags, ["1", "2"]);
    kelp.run(["search", "--limit", "0", "x"]).code(125);
    kelp.run(["search", "--filter", "color=red", &registry.name("x")]).failure().stderr_has("stars=N");
    kelp.run(["search", "--list-tags", &registry.name("no/such")]).failure();
}

#[test]
fn log_in_work_and_log_out() {
    needs!("registry");
    let registry = Registry::with_login();
    let kelp = Kelp::new();
    kelp.load_image(&marked("mine"), "app");
    let (host, name) = (registry.host(), registry.name("private/app"));
    kelp.run(["push", "app", &name]).failure().stderr_has(&format!("kelp login {host}"));
    kelp.run(["login", "--get-login", &host]).failure().stderr_has("not logged into");
    kelp.run(["login", &host]).failure().stderr_has("--password-stdin");
    kelp.run(["login", "--password-stdin", &host]).failure().stderr_has("--username");
    let login = |password: &str| kelp.cmd(["login", "-u", "tester", "--password-stdin", &host]).stdin(password).output();
    let wrong = login("wrong-secret");
    wrong.failure().stderr_has("wrong user name or password").stdout_lacks("Succeeded");
    assert!(!wrong.text().contains("wrong-secret"));
    login("secret\n").success().stdout("Login Succeeded");
    let file = kelp.runtime().parent().unwrap().join("containers/auth.json");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains("secret"));
    kelp.run(["login", "--get-login", &host]).success().stdout("tester");
    kelp.run(["login", &host]).success().stderr_has("Already logged in");
    kelp.ok(["push", "app", &name]);
    kelp.ok(["pull", &name]);
    kelp.run(["logout", &host]).success().stdout_has("Removed login credentials");
    kelp.run(["logout", &host]).success().stdout_has("Not logged in");
    kelp.run(["push", "app", &name]).failure();
    // docker's file is used, and changed only when it is named.
    let docker = kelp.dir().join("home/.docker/config.json");
    let docker = docker.to_str().unwrap();
    let args = ["login", "-u", "tester", "-p", "secret", "--compat-auth-file", docker, &host];
    kelp.run(args).success().stderr_has("list of processes");
    kelp.ok(["push", "app", &name]);
    kelp.run(["logout", &host]).failure().stderr_has("--compat-auth-file");
    kelp.ok(["logout", "--compat-auth-file", docker, &host]);
    kelp.run(["push", "app", &name]).failure();
}

#[test]
fn credential_helpers_keep_what_they_are_given() {
    needs!("registry");
    let registry = Registry::with_login();
    let kelp = Kelp::new();
    let host = registry.host();
    let bin = kelp.dir().join("bin");
    fs::create_dir_all(&bin).unwrap();
    let kept = kelp.work().join("kept");
    let script = format!(
        "#!/bin/sh\ncase $1 in store) cat >{0};; get) cat {0} 2>/dev/null || {{ echo credentials not found; exit 1; }};; erase) rm {0};; esac\n",
        kept.display()
    );
    let helper = bin.join("docker-credential-test");
    fs::write(&helper, script).unwrap();
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let file = kelp.file("auth.json", format!(r#"{{"credHelpers": {{"{host}": "test"}}}}"#));
    let file = file.to_str().unwrap();
    let run = |args: &[&str], input: &str| kelp.cmd(args).env("PATH", &path).stdin(input).output();
    run(&["login", "--authfile", file, "-u", "tester", "--password-stdin", &host], "secret").success();
    assert!(!fs::read_to_string(file).unwrap().contains("dGVzdGVy"));
    assert!(fs::read_to_string(&kept).unwrap().contains("secret"));
    run(&["login", "--authfile", file, "--get-login", &host], "").success().stdout("tester");
    run(&["login", "--authfile", file, &host], "").success().stderr_has("Already");
    run(&["logout", "--authfile", file, &host], "").success();
    assert!(!kept.exists());
}

#[test]
fn a_push_killed_at_any_moment_can_be_done_again() {
    needs!("registry");
    let registry = Registry::open();
    let kelp = Kelp::new();
    let image = marked("whole")
        .layer(Layer::new().file("big1", 0o644, noise(6_000_000, 1)))
        .layer(Layer::new().file("big2", 0o644, noise(6_000_000, 2)));
    kelp.load_image(&image, "app");
    for round in 0..12_u64 {
        let push = kelp.start(["push", "-q", "app", &registry.name(&format!("app:{round}"))]);
        std::thread::sleep(Duration::from_millis(round * 15));
        push.signal(rustix::process::Signal::KILL);
        push.wait();
    }
    kelp.no_process_left();
    let name = registry.name("app:whole");
    kelp.ok(["push", "app", &name]);
    let other = Kelp::new();
    other.run(["run", "--rm", &name, "cat", "/mark"]).success().stdout("whole");
    kelp.run(["run", "--rm", "app", "cat", "/mark"]).success().stdout("whole");
}
