//! Pushes to a registry that breaks off, refuses and has some of it already.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::image::archive::{ImportSpec, Input, LoadOptions, import};
use crate::image::pull::{self, PullOptions};
use crate::image::registry::fake::{Fake, Reply};
use crate::image::unpack::{Owners, UnpackOptions};
use crate::spec::{Platform, ShortNames};

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn scratch(name: &str) -> (Scratch, ImageStore) {
    let dir = std::env::temp_dir().join(format!("kelp-push-{name}-{}", std::process::id()));
    fs::remove_dir_all(&dir).ok();
    fs::create_dir_all(&dir).unwrap();
    let store = ImageStore::open(&dir, ShortNames::default());
    (Scratch(dir), store)
}

fn client() -> ClientOptions {
    ClientOptions { certs_d: Vec::new(), retries: 2, retry_delay: Duration::from_millis(1), ..ClientOptions::default() }
}

fn options() -> PushOptions {
    PushOptions { client: client(), ..PushOptions::default() }
}

fn archive(name: &str, length: u32) -> Vec<u8> {
    let mut state = length;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
        state.to_be_bytes()[0]
    })
    .take(length as usize)
    .collect();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content.as_slice()).unwrap();
    tar.into_inner().unwrap()
}

/// An image made here, whose layer is in no registry.
fn local(store: &ImageStore, length: u32) -> ImageRecord {
    let input = Input::Stream(Box::new(Cursor::new(archive("file", length))));
    let spec = ImportSpec {
        names: vec!["local".parse().unwrap()],
        execution: Default::default(),
        message: String::new(),
        platform: Platform::host(),
        created: None,
    };
    let id = import(store, input, spec, &LoadOptions { owners: Owners::Caller, no_sync: true, ..LoadOptions::default() }).unwrap().id;
    store.record(&id).unwrap().unwrap()
}

fn name(fake: &Fake, path: &str) -> Reference {
    format!("127.0.0.1:{}/{path}", fake.port).parse().unwrap()
}

fn pulled(store: &ImageStore, name: &Reference) -> ImageRecord {
    let unpack = UnpackOptions { owners: Owners::Caller, ..UnpackOptions::default() };
    let options = PullOptions { client: client(), unpack, ..PullOptions::default() };
    pull::pull(store, name, &options, &pull::Silent).unwrap()
}

#[test]
fn what_is_made_here_arrives_and_comes_back() {
    let (_scratch, store) = scratch("made");
    let fake = Fake::start();
    let image = local(&store, 3_000_000);
    let target = name(&fake, "app:v1");
    let pushed = push(&store, &image, &target, &options(), &Silent).unwrap();
    assert_eq!(fake.get("/v2/app/manifests/v1").map(|raw| Digest::of(&raw)), Some(pushed.digest.clone()));
    let (_other, empty) = scratch("made-2");
    assert_eq!(pulled(&empty, &target).id, image.id);
    // Known by its digest now, and nothing is sent twice.
    assert_eq!(store.resolve_id(&target.digested(pushed.digest.clone()).to_string()).unwrap(), image.id);
    fake.forget();
    let image = store.record(&image.id).unwrap().unwrap();
    let again = push(&store, &image, &name(&fake, "app:v2"), &options(), &Silent).unwrap();
    assert_eq!(again.digest, pushed.digest);
    assert_eq!((fake.count("PATCH", ""), fake.count("POST", "")), (0, 0));
    // From the neighbour.
    push(&store, &image, &name(&fake, "other/app:v2"), &options(), &Silent).unwrap();
    assert!(fake.asked().iter().any(|asked| asked.path.contains("mount=") && asked.path.contains("from=app")));
    // To another registry: the same bytes, compressed once more.
    let far = Fake::start();
    assert_eq!(push(&store, &image, &name(&far, "app:v1"), &options(), &Silent).unwrap().digest, pushed.digest);
}

#[test]
fn what_is_made_here_is_compressed_as_asked_each_time() {
    let (_scratch, store) = scratch("asked");
    let fake = Fake::start();
    let image = local(&store, 100_000);
    let here = name(&fake, "app:v1");
    store.tag(&image.id.to_string(), &here).unwrap();
    let again = |options: &PushOptions, to: &str| {
        let image = store.resolve(&here.to_string()).unwrap();
        push(&store, &image.record, &name(&fake, to), options, &Silent).unwrap().digest
    };
    let usual = again(&options(), "app:v1");
    for format in [Compression::Zstd, Compression::None] {
        let other = PushOptions { compression: Some(Settings::new(format)), reuse: Reuse::SameFormat, ..options() };
        assert_ne!(again(&other, "app:other"), usual);
        assert_eq!(again(&options(), "app:v1"), usual, "{format:?}");
        assert_eq!(again(&options(), "app:v2"), usual, "{format:?}");
    }
    assert_eq!(store.resolve(&here.to_string()).unwrap().came_by[&here], usual);
}

#[test]
fn one_image_under_two_compressions_goes_back_as_each_name_came() {
    let (_scratch, store) = scratch("twice");
    // One registry: the second form is not fetched, since the layer is here, so another could not get it from us.
    let from = Fake::start();
    let tar = archive("a", 100_000);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(4));
    std::io::Write::write_all(&mut gzip, &tar).unwrap();
    let forms = [("gzip", gzip.finish().unwrap()), ("zstd", zstd::encode_all(tar.as_slice(), 7).unwrap())];
    let came = forms.map(|(tag, blob)| (tag, from.image(tag, "amd64", &[(blob, tar.clone())])));
    for (tag, _) in &came {
        pulled(&store, &name(&from, &format!("app:{tag}")));
    }
    for (tag, digest) in &came {
        let there = name(&from, &format!("app:{tag}"));
        store.tag(&there.to_string(), &format!("my:{tag}").parse().unwrap()).unwrap();
        for text in [there.to_string(), format!("my:{tag}"), there.digested(digest.clone()).to_string()] {
            let image = store.resolve(&text).unwrap();
            let pushed = push(&store, &image.record, &name(&from, "other:x"), &options(), &Silent).unwrap();
            assert_eq!(pushed.digest, *digest, "{text}");
        }
    }
}

#[test]
fn what_came_from_a_registry_goes_back_byte_for_byte() {
    let (_scratch, store) = scratch("back");
    let (from, to) = (Fake::start(), Fake::start());
    let tar = archive("a", 100_000);
    let odd = zstd::encode_all(tar.as_slice(), 7).unwrap();
    let digest = from.image("v1", "amd64", &[(odd, tar)]);
    let image = pulled(&store, &name(&from, "app:v1"));
    let pushed = push(&store, &image, &name(&to, "app:x"), &options(), &Silent).unwrap();
    assert_eq!(pushed.digest, digest);
    assert_eq!(to.get("/v2/app/manifests/x"), from.get("/v2/app/manifests/v1"));
    // In docker's notation there are no zstd layers.
    let docker = PushOptions { format: Some(ManifestFormat::Docker), ..options() };
    push(&store, &image, &name(&to, "app:d"), &docker, &Silent).unwrap();
    let raw = String::from_utf8(to.get("/v2/app/manifests/d").unwrap()).unwrap();
    assert!(raw.contains("diff.tar.gzip") && !raw.contains("zstd"), "{raw}");
    assert_eq!(pulled(&store, &name(&to, "app:d")).id, image.id);
    let zstd = Settings::new(Compression::Zstd);
    let both = PushOptions { compression: Some(zstd), ..docker };
    assert!(matches!(push(&store, &image, &name(&to, "app:e"), &both, &Silent), Err(PushError::DockerZstd)));
    let pinned = name(&to, "app:x").with_digest(digest);
    assert!(matches!(push(&store, &image, &pinned, &options(), &Silent), Err(PushError::ToDigest(_))));
}

#[test]
fn refusals_are_told_in_the_words_of_the_registry() {
    let (_scratch, store) = scratch("denied");
    let fake = Fake::start();
    let image = local(&store, 1000);
    let body = r#"{"errors":[{"code":"DENIED","message":"pushes are closed"}]}"#;
    fake.hook(move |_, _| Some(Reply::new(403, body)));
    // The second time its blob is known by its digest.
    for round in 0..2 {
        let error = push(&store, &image, &name(&fake, "app:v1"), &options(), &Silent).unwrap_err().to_string();
        assert!(error.contains("pushes are closed"), "{round}: {error}");
        fake.hook(|_, _| None);
        push(&store, &image, &name(&fake, "app:v1"), &options(), &Silent).unwrap();
        fake.hook(move |_, _| Some(Reply::new(403, body)));
    }
}

#[test]
fn broken_uploads_go_on() {
    for kept in [false, true] {
        let (_scratch, store) = scratch(&format!("broken-{kept}"));
        let (from, to) = (Fake::start(), Fake::start());
        let image = if kept {
            let tar = archive("a", 2_000_000);
            from.image("v1", "amd64", &[(tar.clone(), tar)]);
            pulled(&store, &name(&from, "app:v1"))
        } else {
            local(&store, 2_000_000)
        };
        to.break_upload(700_000);
        push(&store, &image, &name(&to, "app:v1"), &options(), &Silent).unwrap();
        let patches: Vec<_> = to.asked().into_iter().filter(|asked| asked.method == "PATCH" && asked.body.len() > 1000).collect();
        // What had arrived was not sent again.
        assert_eq!(patches.len(), 1);
        let (_other, empty) = scratch(&format!("broken-{kept}-2"));
        assert_eq!(pulled(&empty, &name(&to, "app:v1")).id, image.id);
    }
}

#[test]
fn a_busy_registry_is_asked_again() {
    for status in [429, 500, 503] {
        let (_scratch, store) = scratch(&format!("busy-{status}"));
        let image = local(&store, 2_000_000);
        let (to, tries) = (Fake::start(), AtomicUsize::new(0));
        to.hook(move |asked, _| {
            let first = asked.method == "PATCH" && tries.fetch_add(1, Ordering::Relaxed) == 0;
            first.then(|| Reply::new(status, "").with("Retry-After", 0))
        });
        push(&store, &image, &name(&to, "app:v1"), &options(), &Silent).unwrap();
        assert!(to.get("/v2/app/manifests/v1").is_some());
        // Not for ever.
        let never = Fake::start();
        never.hook(move |asked, _| (asked.method == "PATCH").then(|| Reply::new(status, "").with("Retry-After", 0)));
        let error = push(&store, &image, &name(&never, "app:v1"), &options(), &Silent).unwrap_err().to_string();
        assert!(error.contains(&status.to_string()), "{error}");
        assert!(never.count("PATCH", "") <= 1 + options().client.retries as usize);
    }
}

#[test]
fn refusals_are_told_and_leave_nothing() {
    let (_scratch, store) = scratch("refused");
    let image = local(&store, 200_000);
    let cases: [(&'static str, u16, &'static str, &'static str); 5] = [
        ("POST", 401, "", "denies"),
        ("POST", 403, r#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#, "not yours"),
        ("PATCH", 413, "", "413"),
        ("PUT", 400, r#"{"errors":[{"code":"MANIFEST_INVALID","message":"no"}]}"#, "no"),
        ("PATCH", 202, "", "names no place"),
    ];
    for (method, status, body, expected) in cases {
        let fake = Fake::start();
        fake.hook(move |asked, _| (asked.method == method).then(|| Reply::new(status, body)));
        let error = push(&store, &image, &name(&fake, "app:v1"), &options(), &Silent).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(fake.get("/v2/app/manifests/v1").is_none());
    }
    // A place for the bytes that is none of its business.
    for place in ["file:///etc/passwd", "ftp://elsewhere/x"] {
        let fake = Fake::start();
        fake.hook(move |asked, _| (asked.method == "POST").then(|| Reply::new(202, "").with("Location", place)));
        let error = push(&store, &image, &name(&fake, "app:v1"), &options(), &Silent).unwrap_err().to_string();
        assert!(error.contains("address"), "{error}");
    }
}

#[test]
fn credentials_do_not_follow_an_upload_to_another_host() {
    let (_scratch, store) = scratch("follow");
    let image = local(&store, 200_000);
    let (fake, far) = (Fake::start(), Fake::start());
    let port = far.port;
    fake.hook(move |asked, _| {
        if asked.header("authorization").is_none() {
            return Some(Reply::new(401, "").with("WWW-Authenticate", "Basic realm=x"));
        }
        let place = format!("http://localhost:{port}/store/1?signature=s");
        (asked.method == "POST").then(|| Reply::new(202, "").with("Location", place))
    });
    far.hook(|asked, _| Some(Reply::new(202, "").with("Location", &asked.path)));
    let mut options = options();
    options.client.credentials =
        Some(crate::image::registry::Credentials::Basic { username: "u".to_owned(), password: "p".to_owned() });
    push(&store, &image, &name(&fake, "app:v1"), &options, &Silent).unwrap();
    assert!(!far.asked().is_empty());
    assert!(far.asked().iter().all(|asked| asked.header("authorization").is_none()));
}

#[test]
fn damage_here_is_not_sent() {
    let (_scratch, store) = scratch("damage");
    let (from, to) = (Fake::start(), Fake::start());
    let tar = archive("a", 100_000);
    from.image("v1", "amd64", &[(tar.clone(), tar.clone())]);
    let image = pulled(&store, &name(&from, "app:v1"));
    let mut wrong = tar.clone();
    wrong[5000] ^= 1;
    fs::write(store.blobs().path(&Digest::of(&tar)), wrong).unwrap();
    let error = push(&store, &image, &name(&to, "app:v1"), &options(), &Silent).unwrap_err();
    assert!(error.to_string().contains("pull or load"), "{error}");
    assert!(to.get("/v2/app/manifests/v1").is_none());
    // Another pull repairs it.
    LayerStore::open(store.data()).remove(&image.layers[0]).unwrap();
    pulled(&store, &name(&from, "app:v1"));
    push(&store, &image, &name(&to, "app:v1"), &options(), &Silent).unwrap();
}
