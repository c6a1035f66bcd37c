//! The real `docker-registry` on a port of loopback, with its own storage, with or without a password, and pushing to
//! it without help of the program under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::http::{self, Answer};
use super::image::{Image, Packing, digest};
use super::token::{ISSUER, SERVICE, TokenServer};

/// `tester` with the password `secret`, as `htpasswd -B` writes it.
const HTPASSWD: &str = "tester:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

/// A running registry; ends when dropped.
pub(crate) struct Registry {
    child: Child,
    port: u16,
    dir: PathBuf,
    login: bool,
}

impl Registry {
    /// Open to everybody.
    pub(crate) fn open() -> Self {
        Self::start(false, |_| String::new())
    }

    /// For `tester` with the password `secret` only.
    pub(crate) fn with_login() -> Self {
        Self::start(true, |dir| format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", dir.join("htpasswd").display()))
    }

    /// For those a token server lets in.
    pub(crate) fn with_tokens() -> (Self, TokenServer) {
        let mut server = None;
        let registry = Self::start(false, |dir| {
            let tokens = TokenServer::start(dir);
            let realm = tokens.realm();
            server = Some(tokens);
            format!(
                "auth:\n  token:\n    realm: {realm}\n    service: {SERVICE}\n    issuer: {ISSUER}\n    rootcertbundle: {}\n",
                dir.join("token.crt").display()
            )
        });
        (registry, server.expect("it was started"))
    }

    fn start(login: bool, auth: impl FnOnce(&Path) -> String) -> Self {
        let port = super::free_port();
        let dir = super::base_dir().join(format!("registry-{}-{port}", std::process::id()));
        fs::create_dir_all(dir.join("data")).unwrap();
        fs::write(dir.join("htpasswd"), HTPASSWD).unwrap();
        let auth = auth(&dir);
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n\
             http:\n  addr: 127.0.0.1:{port}\n{auth}",
            dir.join("data").display()
        );
        fs::write(dir.join("config.yml"), config).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(dir.join("config.yml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.join("log")).unwrap())
            .spawn()
            .expect("docker-registry is installed");
        let registry = Self { child, port, dir, login };
        super::until("the registry answers", super::SOON, || registry.ask("GET", "/v2/", &[], b"").is_ok());
        registry
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:PORT/NAME`.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> std::io::Result<Answer> {
        let mut all = headers.to_vec();
        if self.login {
            all.push(("Authorization", "Basic dGVzdGVyOnNlY3JldA=="));
        }
        http::ask(("127.0.0.1", self.port), method, path, &all, body)
    }

    /// Stores a blob.
    pub(crate) fn push_blob(&self, repository: &str, blob: &[u8]) {
        let answer = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"").unwrap();
        assert_eq!(answer.status, 202, "{}", answer.text());
        let location = answer.header("location").unwrap();
        let path = location.splitn(4, '/').nth(3).unwrap();
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("/{path}{joint}digest={}", digest(blob));
        let answer = self.ask("PUT", &path, &[("Content-Type", "application/octet-stream")], blob).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
    }

    /// Stores a manifest or index under a tag or its digest; the digest.
    pub(crate) fn push_manifest(&self, repository: &str, reference: &str, kind: &str, manifest: &[u8]) -> String {
        let path = format!("/v2/{repository}/manifests/{reference}");
        let answer = self.ask("PUT", &path, &[("Content-Type", kind)], manifest).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
        digest(manifest)
    }

    /// Stores an image under a tag; the digest of its manifest.
    pub(crate) fn push(&self, image: &Image, repository: &str, tag: &str, packing: Packing) -> String {
        let (blobs, manifest) = image.blobs(packing);
        for blob in &blobs {
            self.push_blob(repository, blob);
        }
        self.push_manifest(repository, tag, "application/vnd.oci.image.manifest.v1+json", &manifest)
    }

    /// Stores images of several platforms under one tag; the digest of the index.
    pub(crate) fn push_index(&self, images: &[Image], repository: &str, tag: &str) -> String {
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let mut manifests: Vec<Value> = Vec::new();
        for image in images {
            let (blobs, manifest) = image.blobs(Packing::Gzip);
            for blob in &blobs {
                self.push_blob(repository, blob);
            }
            let digest = digest(&manifest);
            self.push_manifest(repository, &digest, kind, &manifest);
            let (os, arch) = image.platform_of();
            manifests.push(json!({"mediaType": kind, "digest": digest, "size": manifest.len(),
                "platform": {"os": os, "architecture": arch}}));
        }
        let kind = "application/vnd.oci.image.index.v1+json";
        let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
        self.push_manifest(repository, tag, kind, &serde_json::to_vec(&index).unwrap())
    }

    /// The bytes of a manifest or blob, as the registry sends them.
    pub(crate) fn fetch(&self, path: &str) -> Vec<u8> {
        let accept = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json";
        let answer = self.ask("GET", &format!("/v2/{path}"), &[("Accept", accept)], b"").unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.body
    }

    /// The tags of a repository, by which a test sees what was pushed.
    pub(crate) fn tags(&self, repository: &str) -> String {
        self.ask("GET", &format!("/v2/{repository}/tags/list"), &[], b"").unwrap().text()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}
