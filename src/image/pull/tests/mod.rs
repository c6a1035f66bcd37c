//! Pulls from a registry that stalls, lies, limits and breaks off.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::image::registry::Credentials;
use crate::image::registry::fake::{Fake, Reply};
use crate::image::unpack::Owners;
use crate::spec::ShortNames;

mod full_disk;
mod hostile;
mod kept;

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn scratch(name: &str) -> (Scratch, ImageStore) {
    let dir = std::env::temp_dir().join(format!("kelp-pull-{name}-{}", std::process::id()));
    fs::remove_dir_all(&dir).ok();
    fs::create_dir_all(&dir).unwrap();
    let store = ImageStore::open(&dir, ShortNames::default());
    (Scratch(dir), store)
}

fn options() -> PullOptions {
    PullOptions {
        client: ClientOptions {
            certs_d: Vec::new(),
            retries: 2,
            retry_delay: Duration::from_millis(1),
            ..ClientOptions::default()
        },
        unpack: UnpackOptions {
            owners: Owners::Caller,
            ..UnpackOptions::default()
        },
        ..PullOptions::default()
    }
}

/// An archive with one file of the given content.
fn archive(name: &str, content: &[u8]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content).unwrap();
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    })
    .take(length)
    .collect()
}

fn layer(name: &str) -> (Vec<u8>, Vec<u8>) {
    let tar = archive(name, &noise(100_000));
    (gzip(&tar), tar)
}

fn name(fake: &Fake) -> Reference {
    format!("127.0.0.1:{}/app:v1", fake.port).parse().unwrap()
}

fn go(store: &ImageStore, fake: &Fake) -> Result<ImageRecord, PullError> {
    pull(store, &name(fake), &options(), &Silent)
}

/// Nothing half done is left behind, and nothing is recorded.
fn assert_clean(store: &ImageStore) {
    assert!(store.list().unwrap().is_empty());
    let tmp = store.data().join("layers/tmp");
    assert_eq!(fs::read_dir(tmp).map_or(0, Iterator::count), 0);
}

fn partials(store: &ImageStore) -> usize {
    let names = fs::read_dir(store.data().join("blobs/sha256")).map(|d| d.flatten().collect::<Vec<_>>());
    names.unwrap_or_default().iter().filter(|e| e.file_name().to_string_lossy().ends_with(".partial")).count()
}

#[test]
fn an_image_comes_once() {
    let (_scratch, store) = scratch("once");
    let fake = Fake::start();
    let first = layer("a");
    let tar = archive("b", b"b");
    let second = (zstd::encode_all(tar.as_slice(), 1).unwrap(), tar.clone());
    let manifest = fake.image("v1", "amd64", &[first.clone(), second.clone(), (tar.clone(), tar)]);
    let record = go(&store, &fake).unwrap();
    assert_eq!(record.manifests, std::slice::from_ref(&manifest));
    assert_eq!(record.size, 100_001);
    let run = store.resolve_for_run(&name(&fake).familiar()).unwrap();
    assert_eq!(run.layers.len(), 2);
    assert!(run.layers[0].join("a").is_file());
    assert_eq!(fs::read(run.layers[1].join("b")).unwrap(), b"b");
    let pinned = name(&fake).digested(manifest);
    assert_eq!(store.resolve(&pinned.to_string()).unwrap().record.id, record.id);
    assert!(store.blobs().open(&Digest::of(&first.0), None).unwrap().is_some());
    assert_eq!(partials(&store), 0);
    fake.forget();
    assert_eq!(go(&store, &fake).unwrap().id, record.id);
    assert_eq!((fake.count("HEAD", "/manifests/v1"), fake.asked().len()), (1, 1));
    fake.forget();
    pull(&store, &pinned, &options(), &Silent).unwrap();
    assert_eq!(fake.asked().len(), 0);
    // Gone layers come back from the kept blobs.
    LayerStore::open(store.data()).remove(&record.layers[0]).unwrap();
    go(&store, &fake).unwrap();
    assert_eq!(fake.count("GET", "/blobs/"), 0);
}

#[test]
fn tokens_are_fetched_and_renewed() {
    let (_scratch, store) = scratch("token");
    let fake = Fake::start();
    fake.image("v1", "amd64", &[layer("a"), layer("b")]);
    let port = fake.port;
    fake.hook(move |asked, before| {
        if asked.path.starts_with("/token") {
            assert!(asked.path.contains("scope=repository%3Aapp%3Apull"), "{}", asked.path);
            assert_eq!(asked.header("authorization"), Some("Basic dTpw"));
            return Some(Reply::new(200, r#"{"access_token":"good"}"#));
        }
        // Each blob is refused once: as if the token had run out.
        let fresh = asked.header("authorization") == Some("Bearer good");
        if fresh && !(asked.path.contains("/blobs/") && before == 0) {
            return None;
        }
        let challenge = format!(r#"Bearer realm="http://127.0.0.1:{port}/token",service="s",scope="repository:app:pull""#);
        Some(Reply::new(401, "").with("WWW-Authenticate", challenge))
    });
    let mut options = options();
    options.client.credentials = Some(Credentials::Basic {
        username: "u".to_owned(),
        password: "p".to_owned(),
    });
    pull(&store, &name(&fake), &options, &Silent).unwrap();
    fake.hook(|_, _| Some(Reply::new(401, "").with("WWW-Authenticate", "Basic realm=x")));
    let (_other, empty) = scratch("token-2");
    options.client.credentials = None;
    let error = pull(&empty, &name(&fake), &options, &Silent).unwrap_err();
    assert!(matches!(error, PullError::Registry(RegistryError::Denied { .. })), "{error}");
}

#[test]
fn identity_tokens_are_exchanged() {
    let (_scratch, store) = scratch("identity");
    let fake = Fake::start();
    fake.image("v1", "amd64", &[layer("a")]);
    let port = fake.port;
    fake.hook(move |asked, _| {
        if asked.path == "/token" {
            assert_eq!(asked.method, "POST");
            assert!(asked.text().contains("refresh_token=id%2Ftok"), "{}", asked.text());
            return Some(Reply::new(200, r#"{"token":"","access_token":"good"}"#));
        }
        if asked.header("authorization") == Some("Bearer good") {
            return None;
        }
        Some(Reply::new(401, "").with("WWW-Authenticate", format!("Bearer realm=\"http://127.0.0.1:{port}/token\"")))
    });
    let mut options = options();
    options.client.credentials = Some(Credentials::Identity("id/tok".to_owned()));
    pull(&store, &name(&fake), &options, &Silent).unwrap();
}

#[test]
fn broken_transfers_go_on() {
    let (_scratch, store) = scratch("broken");
    let fake = Fake::start();
    let (blob, tar) = layer("a");
    let half = blob.len() / 2;
    fake.image("v1", "amd64", &[(blob.clone(), tar)]);
    let whole = blob.clone();
    let path = format!("/blobs/{}", Digest::of(&blob));
    fake.hook(move |asked, before| {
        (asked.path.ends_with(&path) && before == 0).then(|| Reply {
            cut: Some(half),
            ..Reply::new(200, whole.as_slice())
        })
    });
    go(&store, &fake).unwrap();
    let resumed = fake.asked().iter().any(|a| a.header("range") == Some(&format!("bytes={half}-")));
    assert!(resumed);
}

#[test]
fn an_interrupted_pull_resumes_and_trusts_nothing() {
    let fake = Fake::start();
    let (blob, tar) = layer("a");
    fake.image("v1", "amd64", &[(blob.clone(), tar)]);
    let digest = Digest::of(&blob);
    let half = blob.len() / 2;
    let mut wrong = blob[..half].to_vec();
    wrong[half / 2] ^= 1;
    let longer = [blob.as_slice(), b"x"].concat();
    for (case, bytes, ranges) in [("good", &blob[..half], 1), ("wrong", &wrong, 1), ("longer", &longer, 0)] {
        let (_scratch, store) = scratch(&format!("resume-{case}"));
        let dir = store.data().join("blobs/sha256");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!(".{}.partial", digest.hex())), bytes).unwrap();
        fake.forget();
        go(&store, &fake).unwrap();
        assert_eq!(fake.asked().iter().filter(|a| a.header("range").is_some()).count(), ranges, "{case}");
        assert_eq!(partials(&store), 0);
    }
    // A kept blob that a power cut has emptied.
    let (_scratch, store) = scratch("resume-kept");
    fs::create_dir_all(store.data().join("blobs/sha256")).unwrap();
    fs::write(store.blobs().path(&digest), vec![0; blob.len()]).unwrap();
    go(&store, &fake).unwrap();
    // A registry that ignores ranges.
    let (_scratch, store) = scratch("resume-ignored");
    fs::create_dir_all(store.data().join("blobs/sha256")).unwrap();
    fs::write(store.data().join(format!("blobs/sha256/.{}.partial", digest.hex())), &blob[..half]).unwrap();
    fake.hook(move |asked, _| asked.header("range").is_some().then(|| Reply::new(200, blob.as_slice())));
    go(&store, &fake).unwrap();
}

#[test]
fn lies_are_found() {
    let fake = Fake::start();
    let (blob, tar) = layer("a");
    fake.image("v1", "amd64", &[(blob.clone(), tar)]);
    let path = format!("/v2/app/blobs/{}", Digest::of(&blob));
    let (other, _) = layer("b");
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("same length", { let mut b = blob.clone(); let n = b.len(); b[n - 20] ^= 1; b }),
        ("no archive", noise(blob.len())),
        ("another", other),
        ("html", b"<html>".to_vec()),
        ("empty", Vec::new()),
    ];
    for (case, bytes) in cases {
        let (_scratch, store) = scratch("lies");
        fake.put(&path, "application/octet-stream", &bytes);
        let error = go(&store, &fake).unwrap_err();
        assert!(!error.to_string().is_empty());
        assert_clean(&store);
        assert!(store.blobs().open(&Digest::of(&blob), None).unwrap().is_none(), "{case}: {error}");
    }
    // The truth afterwards works in the same store.
    let (_scratch, store) = scratch("truth");
    assert!(go(&store, &fake).is_err());
    fake.put(&path, "application/octet-stream", &blob);
    go(&store, &fake).unwrap();
}

#[test]
fn manifests_are_checked() {
    let fake = Fake::start();
    fake.image("v1", "amd64", &[layer("a")]);
    let (_scratch, store) = scratch("manifests");
    let cases: Vec<(Reply, &str)> = vec![
        (Reply::new(200, "<html>hi</html>").with("Content-Type", "text/html"), "web page"),
        (Reply::new(200, vec![b' '; 5 << 20]), "larger than"),
        (Reply::new(200, "{}").with("Docker-Content-Digest", Digest::of(b"x")), "digest"),
        (Reply::new(200, "{}"), "unknown type"),
        (Reply::new(404, ""), "has no manifest v1"),
        (Reply::new(403, r#"{"errors":[{"message":"not yours"}]}"#), "not yours"),
        (Reply::new(418, ""), "418"),
        (Reply::new(503, ""), "503"),
        (Reply::new(302, "").with("Location", "file:///etc/passwd"), "not followed"),
        (Reply::new(302, "").with("Location", "/v2/app/manifests/v1"), "too many redirects"),
    ];
    for (reply, expected) in cases {
        fake.hook(move |_, _| Some(reply.clone()));
        let error = go(&store, &fake).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert_clean(&store);
}

#[test]
fn refusals_are_told_in_the_words_of_the_registry() {
    let fake = Fake::start();
    fake.image("v1", "amd64", &[layer("a")]);
    let (_scratch, store) = scratch("denied");
    // Known by its name, it is asked about with HEAD first, whose answer has no words.
    go(&store, &fake).unwrap();
    let body = r#"{"errors":[{"code":"DENIED","message":"your plan has \u001b[31mended"}]}"#;
    fake.hook(move |_, _| Some(Reply::new(403, body)));
    let error = go(&store, &fake).unwrap_err().to_string();
    assert!(error.contains("your plan has  [31mended"), "{error}");
}

#[test]
fn limits_are_waited_for_or_explained() {
    let fake = Fake::start();
    fake.image("v1", "amd64", &[layer("a")]);
    fake.hook(|_, before| (before == 0).then(|| Reply::new(429, "").with("Retry-After", "0")));
    let (_scratch, store) = scratch("limits");
    go(&store, &fake).unwrap();
    fake.hook(|_, _| {
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#;
        Some(Reply::new(429, body).with("RateLimit-Limit", "100;w=21600"))
    });
    let (_scratch, store) = scratch("limits-2");
    fake.forget();
    let error = go(&store, &fake).unwrap_err();
    for part in ["slow down", "anonymous", "100 in 6 h", "kelp login", "mirror"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    assert_eq!(fake.asked().len(), 2);
    fake.hook(|_, _| Some(Reply::new(503, "").with("Retry-After", "Fri, 31 Dec 2100 23:59:59 GMT")));
    assert!(go(&store, &fake).is_err());
}

#[test]
fn credentials_stay_with_their_host() {
    let (_scratch, store) = scratch("redirect");
    let fake = Fake::start();
    let cdn = Fake::start();
    let (blob, tar) = layer("a");
    fake.image("v1", "amd64", &[(blob.clone(), tar)]);
    cdn.put("/cdn?sig=secret", "application/octet-stream", &blob);
    let path = format!("/blobs/{}", Digest::of(&blob));
    let target = format!("http://localhost:{}/cdn?sig=secret", cdn.port);
    fake.hook(move |asked, _| {
        if asked.header("authorization").is_none() {
            return Some(Reply::new(401, "").with("WWW-Authenticate", "Basic realm=x"));
        }
        asked.path.ends_with(&path).then(|| Reply::new(307, "").with("Location", &target))
    });
    let mut options = options();
    options.client.credentials = Some(Credentials::Basic {
        username: "u".to_owned(),
        password: "p".to_owned(),
    });
    pull(&store, &name(&fake), &options, &Silent).unwrap();
    assert_eq!(cdn.asked().len(), 1);
    assert!(cdn.asked()[0].header("authorization").is_none());
}

#[test]
fn an_index_is_chosen_from() {
    let (_scratch, store) = scratch("index");
    let fake = Fake::start();
    let mut entries = Vec::new();
    for arch in ["amd64", "s390x"] {
        let digest = fake.image(arch, arch, &[layer(arch)]);
        entries.push(serde_json::json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": 1,
            "platform": {"os": "linux", "architecture": arch}}));
    }
    let index = serde_json::json!({"schemaVersion": 2, "manifests": entries}).to_string();
    let digest = fake.manifest("v1", "application/vnd.oci.image.index.v1+json", index.as_bytes());
    let mut options = options();
    let wanted: Platform = "linux/s390x".parse().unwrap();
    options.platform = Some(wanted.clone());
    let record = pull(&store, &name(&fake), &options, &Silent).unwrap();
    assert_eq!(record.platform, wanted);
    assert_eq!(record.manifests.len(), 2);
    assert_eq!(store.names().get(&name(&fake).digested(digest)).unwrap().map(|named| named.id), Some(record.id.clone()));
    options.platform = Some("linux/arm64".parse().unwrap());
    let error = pull(&store, &name(&fake), &options, &Silent).unwrap_err().to_string();
    assert!(error.contains("linux/s390x"), "{error}");
    // A single image of another platform than the one asked for.
    let mut single: Reference = name(&fake);
    single = format!("{}:s390x", single.repository()).parse().unwrap();
    options.platform = Some("linux/amd64".parse().unwrap());
    assert!(matches!(
        pull(&store, &single, &options, &Silent),
        Err(PullError::Platform { .. })
    ));
}

#[test]
fn two_pulls_share_the_work() {
    let (_scratch, store) = scratch("two");
    let fake = Fake::start();
    let layers: Vec<_> = ["a", "b", "c"].map(layer).to_vec();
    fake.image("v1", "amd64", &layers);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| go(&store, &fake).unwrap());
        }
    });
    for (blob, _) in &layers {
        assert_eq!(fake.count("GET", &Digest::of(blob).to_string()), 1);
    }
    assert_eq!(partials(&store), 0);
}

#[test]
fn mirrors_come_first_and_may_fail() {
    let (_scratch, store) = scratch("mirrors");
    let (far, near, broken) = (Fake::start(), Fake::start(), Fake::start());
    let (blob, tar) = layer("a");
    far.image("v1", "amd64", &[(blob.clone(), tar.clone())]);
    near.image("v1", "amd64", &[(blob.clone(), tar)]);
    // The first mirror breaks off in the middle of the layer; what came is not fetched again.
    broken.image("v1", "amd64", &[(blob.clone(), blob.clone())]);
    near.hook(move |asked, _| asked.path.contains(&Digest::of(&blob).to_string()).then(|| Reply::new(403, "")));
    broken.hook(|_, _| Some(Reply::new(404, "")));
    let at = |fake: &Fake| Endpoint { domain: format!("127.0.0.1:{}", fake.port), path: "app".to_owned(), insecure: false };
    let mut options = options();
    options.endpoints = vec![at(&broken), at(&near), at(&far)];
    let reference: Reference = "reg.example/app:v1".parse().unwrap();
    let record = pull(&store, &reference, &options, &Silent).unwrap();
    assert_eq!(store.names().get(&reference).unwrap().map(|named| named.id), Some(record.id));
    assert!(near.count("GET", "/manifests/") == 1 && far.count("GET", "/blobs/") > 0);
    options.endpoints.pop();
    let (_other, empty) = scratch("mirrors-2");
    assert!(pull(&empty, &reference, &options, &Silent).is_err());
}

#[test]
fn a_registry_that_is_not_there() {
    let (_scratch, store) = scratch("absent");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let reference: Reference = format!("localhost:{closed}/app").parse().unwrap();
    let error = pull(&store, &reference, &options(), &Silent).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    assert!(fs::read_dir(store.data()).unwrap().next().is_none());
}
