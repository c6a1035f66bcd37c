//! Images made on the spot: layers from plain entries (also ones no honest tool writes), a configuration, and the
//! archives and blobs of them. The base of most is busybox, taken from the host's static `/bin/busybox`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The name of the image most tests run.
pub(crate) const BUSYBOX: &str = "busybox";

/// One layer: a tar under construction.
pub(crate) struct Layer {
    tar: tar::Builder<Vec<u8>>,
}

impl Layer {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { tar: tar::Builder::new(Vec::new()) }
    }

    /// An entry as it is: nothing about name or link is checked.
    pub(crate) fn entry(mut self, kind: tar::EntryType, name: &str, link: &str, mode: u32, data: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        let fill = |field: &mut [u8], text: &str| field[..text.len()].copy_from_slice(text.as_bytes());
        fill(&mut header.as_old_mut().name, name);
        fill(&mut header.as_old_mut().linkname, link);
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.tar.append(&header, data).unwrap();
        self
    }

    /// A directory.
    pub(crate) fn dir(self, name: &str, mode: u32) -> Self {
        self.entry(tar::EntryType::Directory, name, "", mode, b"")
    }

    /// A file.
    pub(crate) fn file(self, name: &str, mode: u32, data: impl AsRef<[u8]>) -> Self {
        self.entry(tar::EntryType::Regular, name, "", mode, data.as_ref())
    }

    /// A symbolic link.
    pub(crate) fn link(self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Symlink, name, target, 0o777, b"")
    }

    /// A hard link.
    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(tar::EntryType::Link, name, target, 0o644, b"")
    }

    /// A file with an owner.
    pub(crate) fn owned(mut self, name: &str, mode: u32, owner: (u64, u64), data: &[u8]) -> Self {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(if name.ends_with('/') { tar::EntryType::Directory } else { tar::EntryType::Regular });
        header.set_mode(mode);
        header.set_uid(owner.0);
        header.set_gid(owner.1);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.tar.append(&header, data).unwrap();
        self
    }

    /// The finished tar.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.tar.into_inner().unwrap()
    }
}

/// How a layer is packed in a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    /// Not at all.
    Tar,
    /// gzip.
    Gzip,
    /// zstd.
    Zstd,
}

/// An image: layers and what its configuration says.
#[derive(Clone)]
pub(crate) struct Image {
    layers: Vec<Vec<u8>>,
    config: Value,
    platform: (String, String),
}

impl Image {
    /// Without any layer.
    pub(crate) fn scratch() -> Self {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        Self {
            layers: Vec::new(),
            config: json!({"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]}),
            platform: ("linux".to_owned(), arch.to_owned()),
        }
    }

    /// busybox with `sh` as its command.
    pub(crate) fn busybox() -> Self {
        let mut image = Self::scratch().layer(busybox_layer());
        image.config["Cmd"] = json!(["sh"]);
        image
    }

    /// With one more layer on top.
    pub(crate) fn layer(mut self, layer: Layer) -> Self {
        self.layers.push(layer.finish());
        self
    }

    /// With one more layer on top, given as a tar.
    pub(crate) fn raw_layer(mut self, tar: Vec<u8>) -> Self {
        self.layers.push(tar);
        self
    }

    /// With a value in its configuration, such as `Cmd`.
    pub(crate) fn config(mut self, key: &str, value: Value) -> Self {
        self.config[key] = value;
        self
    }

    /// For another platform.
    pub(crate) fn platform(mut self, os: &str, arch: &str) -> Self {
        self.platform = (os.to_owned(), arch.to_owned());
        self
    }

    /// The configuration's JSON.
    pub(crate) fn config_json(&self) -> Vec<u8> {
        let ids: Vec<String> = self.layers.iter().map(|l| digest(l)).collect();
        let history: Vec<Value> = self.layers.iter().map(|_| json!({"created_by": "test"})).collect();
        serde_json::to_vec(&json!({
            "created": "2024-01-02T03:04:05Z",
            "os": self.platform.0,
            "architecture": self.platform.1,
            "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": ids},
            "history": history,
        }))
        .unwrap()
    }

    /// The image's id: the digest of its configuration.
    pub(crate) fn id(&self) -> String {
        digest(&self.config_json())
    }

    /// An archive as `docker save` writes it.
    pub(crate) fn write_docker_archive(&self, path: &Path, names: &[&str]) {
        let config = self.config_json();
        let config_name = format!("{}.json", hex(&config));
        let layers: Vec<String> = self.layers.iter().map(|l| format!("{}/layer.tar", hex(l))).collect();
        let names: Vec<String> =
            names.iter().map(|n| if n.rsplit('/').next().unwrap_or(n).contains(':') { (*n).to_owned() } else { format!("{n}:latest") }).collect();
        let manifest = json!([{"Config": config_name, "RepoTags": names, "Layers": layers}]);
        let mut tar = Layer::new();
        for (name, layer) in layers.iter().zip(&self.layers) {
            tar = tar.file(name, 0o644, layer);
        }
        let bytes = tar
            .file(&config_name, 0o644, &config)
            .file("manifest.json", 0o644, serde_json::to_vec(&manifest).unwrap())
            .finish();
        fs::write(path, bytes).unwrap();
    }

    /// An archive of an OCI layout.
    pub(crate) fn write_oci_archive(&self, path: &Path, name: &str, packing: Packing) {
        let (blobs, manifest) = self.blobs(packing);
        let mut tar = Layer::new().file("oci-layout", 0o644, r#"{"imageLayoutVersion":"1.0.0"}"#);
        for blob in blobs.iter().chain([&manifest]) {
            tar = tar.file(&format!("blobs/sha256/{}", hex(blob)), 0o644, blob);
        }
        let index = json!({"schemaVersion": 2, "manifests": [{
            "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest(&manifest), "size": manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": name},
        }]});
        fs::write(path, tar.file("index.json", 0o644, serde_json::to_vec(&index).unwrap()).finish()).unwrap();
    }

    /// The blobs (layers, then the configuration) and the manifest.
    pub(crate) fn blobs(&self, packing: Packing) -> (Vec<Vec<u8>>, Vec<u8>) {
        let suffix = match packing {
            Packing::Tar => "",
            Packing::Gzip => "+gzip",
            Packing::Zstd => "+zstd",
        };
        let mut blobs: Vec<Vec<u8>> = self.layers.iter().map(|layer| pack(layer, packing)).collect();
        let layers: Vec<Value> = blobs
            .iter()
            .map(|b| {
                json!({"mediaType": format!("application/vnd.oci.image.layer.v1.tar{suffix}"), "digest": digest(b), "size": b.len()})
            })
            .collect();
        let config = self.config_json();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len()},
            "layers": layers,
        });
        blobs.push(config);
        (blobs, serde_json::to_vec(&manifest).unwrap())
    }

    /// Operating system and architecture.
    pub(crate) fn platform_of(&self) -> (&str, &str) {
        (&self.platform.0, &self.platform.1)
    }
}

fn pack(layer: &[u8], packing: Packing) -> Vec<u8> {
    match packing {
        Packing::Tar => layer.to_vec(),
        Packing::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(layer).unwrap();
            out.finish().unwrap()
        }
        Packing::Zstd => zstd::encode_all(layer, 1).unwrap(),
    }
}

/// SHA-256 in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// `sha256:…`.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

/// The programs the tests call by name.
const APPLETS: &str = "[ awk basename cat chgrp chmod chown chroot cp cut date dd df diff dirname du echo env expr false find \
    free getopt grep groups gunzip gzip head hexdump hostname httpd id ifconfig ip kill killall ln ls md5sum mkdir mkfifo \
    mknod mkpasswd mktemp more mount mv nc netstat nproc nsenter nslookup od passwd paste pidof ping printf ps pwd readlink \
    realpath reset rm rmdir route sed seq setpriv setsid sh sha256sum sleep sort stat strings stty su sync sysctl tac tail tar tee \
    telnet test time timeout top touch tr true truncate tty udhcpc umount uname uniq unshare uptime usleep vi watch wc wget \
    which who whoami xargs yes";

/// A small root file system: busybox and the files programs expect.
pub(crate) fn busybox_layer() -> Layer {
    let busybox = fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut layer = Layer::new();
    for dir in ["bin/", "dev/", "etc/", "home/", "proc/", "sys/", "usr/", "usr/bin/", "var/", "var/www/"] {
        layer = layer.dir(dir, 0o755);
    }
    layer = layer.dir("root/", 0o700).dir("tmp/", 0o1777).file("bin/busybox", 0o755, busybox);
    for applet in APPLETS.split_whitespace() {
        layer = layer.link(&format!("bin/{applet}"), "busybox");
    }
    layer
        .file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:Alice:/home/alice:/bin/sh\nbob:x:1001:100:Bob:/home/bob:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        .file("etc/group", 0o644, "root:x:0:\nusers:x:100:bob\nstaff:x:50:alice,bob\naudio:x:29:bob\nalice:x:1000:\nnogroup:x:65534:\n")
        .owned("home/alice/", 0o700, (1000, 1000), b"")
        .file("var/www/index.html", 0o644, "hello from inside\n")
}

/// An archive with busybox, made once for all tests of this machine's user.
pub(crate) fn busybox_archive() -> PathBuf {
    let host = fs::metadata("/bin/busybox").expect("busybox-static is installed");
    let name = format!("busybox-4-{}.tar", host.len());
    shared_file(&name, |path| Image::busybox().write_docker_archive(path, &[BUSYBOX]))
}

/// A file all tests share: made aside and renamed, so that two at once do no harm.
pub(crate) fn shared_file(name: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let path = super::base_dir().join(name);
    if !path.exists() {
        let aside = path.with_extension(format!("tmp{}", std::process::id()));
        make(&aside);
        fs::rename(&aside, &path).unwrap();
    }
    path
}
