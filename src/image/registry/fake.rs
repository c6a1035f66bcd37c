//! A registry that does what a test wants, lies included, on a port of loopback.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::json;

use crate::spec::Digest;

/// A request as it came.
#[derive(Debug, Clone)]
pub(in crate::image) struct Asked {
    pub(in crate::image) method: String,
    pub(in crate::image) path: String,
    pub(in crate::image) headers: BTreeMap<String, String>,
    pub(in crate::image) body: Vec<u8>,
}

impl Asked {
    pub(in crate::image) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(in crate::image) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An answer. `cut` closes the connection after so many bytes of the body.
#[derive(Debug, Clone, Default)]
pub(in crate::image) struct Reply {
    pub(in crate::image) status: u16,
    pub(in crate::image) headers: Vec<(String, String)>,
    pub(in crate::image) body: Vec<u8>,
    pub(in crate::image) cut: Option<usize>,
    /// How long the connection stays open after a cut.
    pub(in crate::image) hold: std::time::Duration,
}

impl Reply {
    pub(in crate::image) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(in crate::image) fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

type Handler = dyn Fn(&Asked, usize) -> Option<Reply> + Send + Sync;

/// Content by path, and a hook that is asked first (with the number of requests for that path before).
pub(in crate::image) struct Fake {
    pub(in crate::image) port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    content: Mutex<BTreeMap<String, (String, Vec<u8>)>>,
    asked: Mutex<Vec<Asked>>,
    hook: Mutex<Option<Box<Handler>>>,
    /// Uploads in progress, by path.
    uploads: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The connection of the next upload breaks after so many bytes.
    breaks: Mutex<Option<usize>>,
}

impl Fake {
    pub(in crate::image) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&theirs);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { port, shared }
    }

    pub(in crate::image) fn hook(&self, hook: impl Fn(&Asked, usize) -> Option<Reply> + Send + Sync + 'static) {
        *self.shared.hook.lock().unwrap() = Some(Box::new(hook));
    }

    pub(in crate::image) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Number of requests of a method whose path contains a text.
    pub(in crate::image) fn count(&self, method: &str, part: &str) -> usize {
        self.asked().iter().filter(|a| a.method == method && a.path.contains(part)).count()
    }

    /// The connection of the next upload of bytes breaks after so many.
    pub(in crate::image) fn break_upload(&self, after: usize) {
        *self.shared.breaks.lock().unwrap() = Some(after);
    }

    /// What is at a path.
    pub(in crate::image) fn get(&self, path: &str) -> Option<Vec<u8>> {
        self.shared.content.lock().unwrap().get(path).map(|(_, body)| body.clone())
    }

    pub(in crate::image) fn forget(&self) {
        self.shared.asked.lock().unwrap().clear();
    }

    pub(in crate::image) fn put(&self, path: &str, kind: &str, body: &[u8]) {
        let mut content = self.shared.content.lock().unwrap();
        content.insert(path.to_owned(), (kind.to_owned(), body.to_vec()));
    }

    pub(in crate::image) fn blob(&self, body: &[u8]) -> Digest {
        let digest = Digest::of(body);
        self.put(&format!("/v2/app/blobs/{digest}"), "application/octet-stream", body);
        digest
    }

    pub(in crate::image) fn manifest(&self, tag: &str, kind: &str, body: &[u8]) -> Digest {
        let digest = Digest::of(body);
        for name in [tag, &digest.to_string()] {
            self.put(&format!("/v2/app/manifests/{name}"), kind, body);
        }
        digest
    }

    /// An image of the given layers (compressed blob, uncompressed archive); the digest of its manifest.
    pub(in crate::image) fn image(&self, tag: &str, arch: &str, layers: &[(Vec<u8>, Vec<u8>)]) -> Digest {
        let diff_ids: Vec<Digest> = layers.iter().map(|(_, tar)| Digest::of(tar)).collect();
        let config = json!({"os": "linux", "architecture": arch, "config": {"Cmd": ["sh"]},
            "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string();
        let config_digest = self.blob(config.as_bytes());
        let layers: Vec<_> = layers
            .iter()
            .map(|(blob, _)| {
                json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": self.blob(blob), "size": blob.len()})
            })
            .collect();
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "layers": layers,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "size": config.len()}});
        self.manifest(tag, kind, manifest.to_string().as_bytes())
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).unwrap_or(0) == 0 {
            return;
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let mut words = line.split_ascii_whitespace();
        let (Some(method), Some(path), Some("HTTP/1.1")) = (words.next(), words.next(), words.next()) else {
            return;
        };
        let mut asked = Asked {
            method: method.to_owned(),
            path: path.to_owned(),
            headers: BTreeMap::new(),
            body: Vec::new(),
        };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end().split_once(':') {
                Some((name, value)) => drop(asked.headers.insert(name.to_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        let breaks = if asked.method == "PATCH" { shared.breaks.lock().unwrap().take() } else { None };
        let Some(body) = body(&mut reader, &asked, breaks) else { return };
        asked.body = body;
        if breaks.is_some() {
            upload(&asked, shared);
            stream.shutdown(std::net::Shutdown::Both).ok();
            return;
        }
        let before = {
            let mut all = shared.asked.lock().unwrap();
            let before = all.iter().filter(|a| a.path == asked.path && a.method == asked.method).count();
            all.push(asked.clone());
            before
        };
        let hooked = shared.hook.lock().unwrap().as_ref().and_then(|hook| hook(&asked, before));
        let reply = hooked.or_else(|| upload(&asked, shared)).unwrap_or_else(|| plain(&asked, shared));
        if answer(&mut stream, &asked, &reply).is_err() || reply.cut.is_some() {
            std::thread::sleep(reply.hold);
            stream.shutdown(std::net::Shutdown::Both).ok();
            return;
        }
    }
}

/// The body of a request, of known length or in chunks, at most `most` bytes of it.
fn body(reader: &mut BufReader<TcpStream>, asked: &Asked, most: Option<usize>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    let mut left = most.unwrap_or(usize::MAX);
    let mut part = |reader: &mut BufReader<TcpStream>, length: usize| {
        let mut bytes = vec![0; length.min(left)];
        reader.read_exact(&mut bytes).ok()?;
        left -= bytes.len();
        body.extend(bytes);
        Some(left > 0)
    };
    if asked.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            let length = usize::from_str_radix(line.trim(), 16).ok()?;
            if !part(reader, length)? || length == 0 {
                break;
            }
            reader.read_line(&mut line).ok()?;
        }
        if most.is_none() {
            reader.read_line(&mut String::new()).ok()?;
        }
    } else {
        part(reader, asked.header("content-length").map_or(0, |l| l.parse().unwrap()))?;
    }
    Some(body)
}

/// The requests of a push; none when it is another one.
fn upload(asked: &Asked, shared: &Shared) -> Option<Reply> {
    let mut content = shared.content.lock().unwrap();
    let mut uploads = shared.uploads.lock().unwrap();
    let (path, query) = asked.path.split_once('?').unwrap_or((&asked.path, ""));
    let session = |path: &str, length: usize| {
        Reply::new(202, "").with("Location", path).with("Range", format!("0-{}", length.saturating_sub(1)))
    };
    let digest_of = |bytes: &[u8]| Digest::of(bytes);
    match asked.method.as_str() {
        "POST" if path.ends_with("/blobs/uploads/") => {
            let mut parts = query.split('&').filter_map(|pair| pair.split_once('='));
            let (digest, from) = (parts.next().map(|p| p.1.replace("%3A", ":")), parts.next().map(|p| p.1));
            if let (Some(digest), Some(from)) = (digest, from)
                && let Some(blob) = content.get(&format!("/v2/{from}/blobs/{digest}")).cloned()
            {
                content.insert(path.replace("uploads/", &digest), blob);
                return Some(Reply::new(201, ""));
            }
            let session_path = format!("{path}{}", uploads.len());
            uploads.insert(session_path.clone(), Vec::new());
            Some(session(&session_path, 0))
        }
        "PATCH" => {
            let bytes = uploads.get_mut(path)?;
            if let Some(range) = asked.header("content-range") {
                assert_eq!(range.split('-').next(), Some(bytes.len().to_string().as_str()));
            }
            bytes.extend(&asked.body);
            Some(session(path, bytes.len()))
        }
        "GET" if uploads.contains_key(path) => {
            let mut reply = session(path, uploads[path].len());
            reply.status = 204;
            Some(reply)
        }
        "DELETE" => Some(Reply::new(if uploads.remove(path).is_some() { 204 } else { 404 }, "")),
        "PUT" if path.contains("/uploads/") => {
            let bytes = uploads.remove(path)?;
            let digest = digest_of(&bytes);
            if !query.contains(digest.hex()) {
                return Some(Reply::new(400, r#"{"errors":[{"code":"DIGEST_INVALID","message":"other bytes"}]}"#));
            }
            let (base, _) = path.split_once("/uploads/")?;
            content.insert(format!("{base}/{digest}"), ("application/octet-stream".to_owned(), bytes));
            Some(Reply::new(201, ""))
        }
        "PUT" if path.contains("/manifests/") => {
            let digest = digest_of(&asked.body);
            let kind = asked.header("content-type").unwrap_or_default().to_owned();
            let (base, _) = path.rsplit_once('/')?;
            content.insert(format!("{base}/{digest}"), (kind.clone(), asked.body.clone()));
            content.insert(path.to_owned(), (kind, asked.body.clone()));
            Some(Reply::new(201, "").with("Docker-Content-Digest", digest))
        }
        _ => None,
    }
}

/// What an honest registry answers, ranges included.
fn plain(asked: &Asked, shared: &Shared) -> Reply {
    let content = shared.content.lock().unwrap();
    let Some((kind, body)) = content.get(&asked.path) else {
        return Reply::new(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"unknown"}]}"#);
    };
    let start = asked.header("range").and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let reply = match start {
        Some(start) if start < body.len() => Reply::new(206, &body[start..])
            .with("Content-Range", format!("bytes {start}-{}/{}", body.len() - 1, body.len())),
        _ => Reply::new(200, body.as_slice()),
    };
    reply.with("Content-Type", kind).with("Docker-Content-Digest", Digest::of(body))
}

fn answer(stream: &mut TcpStream, asked: &Asked, reply: &Reply) -> std::io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\nContent-Length: {}\r\n", reply.status, reply.body.len());
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(head.as_bytes())?;
    stream.write_all(b"\r\n")?;
    if asked.method != "HEAD" {
        stream.write_all(&reply.body[..reply.cut.unwrap_or(reply.body.len())])?;
    }
    stream.flush()
}
