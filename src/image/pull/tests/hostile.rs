//! Registries that mean harm, or behave as if they did.

use super::*;

#[test]
fn a_registry_that_stands_still_is_given_up() {
    let (_scratch, store) = scratch("stall");
    let fake = Fake::start();
    let (blob, tar) = layer("a");
    fake.image("v1", "amd64", &[(blob.clone(), tar)]);
    let path = Digest::of(&blob).to_string();
    let whole = blob.clone();
    fake.hook(move |asked, _| {
        asked.path.ends_with(&path).then(|| Reply {
            cut: Some(10_000),
            hold: Duration::from_secs(30),
            ..Reply::new(200, whole.as_slice())
        })
    });
    let mut options = options();
    options.client.stall = Duration::from_millis(700);
    options.client.retries = 1;
    let error = pull(&store, &name(&fake), &options, &Silent).unwrap_err().to_string();
    assert!(error.contains("broke at byte") && error.contains("pull again"), "{error}");
    assert!(store.list().unwrap().is_empty());
    // What came is kept, and the honest rest makes it whole.
    fake.hook(|_, _| None);
    fake.forget();
    go(&store, &fake).unwrap();
    assert!(fake.asked().iter().any(|asked| asked.header("range").is_some()));
}

#[test]
fn answers_of_the_wrong_kind() {
    let fake = Fake::start();
    let manifest = fake.image("v1", "amd64", &[layer("a")]);
    let raw = String::from_utf8(fake.get("/v2/app/manifests/v1").unwrap()).unwrap();
    let (_scratch, store) = scratch("wrong-kind");
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let both = raw.replacen('{', "{\"manifests\":[],", 1);
    let index = "application/vnd.oci.image.index.v1+json";
    let (before, after) = raw.rsplit_once("\"size\":").unwrap();
    let huge_layer = format!("{before}\"size\":9{after}");
    let negative = raw.replacen("\"size\":", "\"size\":-", 1);
    let climbing = raw.replacen("sha256:", "sha256:../../", 1);
    let weak = raw.replacen("sha256:", "md5:", 1);
    let cases: Vec<(&str, Reply)> = vec![
        ("both kinds", Reply::new(200, both).with("Content-Type", kind)),
        ("sent as an index", Reply::new(200, raw.as_str()).with("Content-Type", index)),
        ("another size", Reply::new(200, huge_layer).with("Content-Type", kind)),
        ("a negative size", Reply::new(200, negative).with("Content-Type", kind)),
        ("a digest that climbs", Reply::new(200, climbing).with("Content-Type", kind)),
        ("a weak digest", Reply::new(200, weak).with("Content-Type", kind)),
        ("headers without end", Reply::new(200, raw.as_str()).with("X-Long", "x".repeat(2 << 20))),
        ("deep nesting", Reply::new(200, "[".repeat(100_000)).with("Content-Type", kind)),
        ("a digest of other bytes", Reply::new(200, raw.as_str()).with("Docker-Content-Digest", Digest::of(b"other"))),
        ("another digest in the header", Reply::new(200, raw.as_str()).with("Docker-Content-Digest", "sha256:zz").with("Docker-Content-Digest", "x")),
    ];
    for (case, reply) in cases {
        fake.hook(move |asked, _| asked.path.ends_with("/manifests/v1").then(|| reply.clone()));
        match go(&store, &fake) {
            Err(error) => assert!(!error.to_string().contains('\u{1b}')),
            // A header that is no digest says nothing; the bytes are what counts.
            Ok(record) => assert!(case.contains("in the header") && record.manifests[0] == manifest, "{case}"),
        }
        if !case.contains("in the header") {
            assert_clean(&store);
        }
    }
}

#[test]
fn token_servers_that_are_none() {
    let (_scratch, store) = scratch("realms");
    let far = Fake::start();
    far.hook(|asked, _| Some(if asked.path == "/html" { Reply::new(200, "<html>") } else { Reply::new(200, vec![b' '; 3 << 20]) }));
    let realms = [
        "file:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/x".to_owned(),
        "javascript:alert(1)".to_owned(),
        "/relative".to_owned(),
        String::new(),
        "http://127.0.0.1:1/nobody".to_owned(),
        format!("http://127.0.0.1:{}/html", far.port),
        format!("http://127.0.0.1:{}/endless", far.port),
        "http://[::1".to_owned(),
    ];
    for realm in realms {
        let fake = Fake::start();
        let shown = realm.clone();
        fake.hook(move |_, _| {
            Some(Reply::new(401, "").with("WWW-Authenticate", format!("Bearer realm=\"{realm}\",service=\"x\"")))
        });
        let mut options = options();
        options.client.retries = 0;
        options.client.credentials = Some(Credentials::Basic { username: "u".to_owned(), password: "hush-hush".to_owned() });
        let error = pull(&store, &name(&fake), &options, &Silent).unwrap_err().to_string();
        assert!(!error.contains("hush") && !error.contains("root:"), "{shown}: {error}");
        assert!(fake.asked().len() < 5, "{shown}");
    }
}

#[test]
fn redirects_to_other_schemes_and_hosts() {
    let (blob, tar) = layer("a");
    let path = format!("/v2/app/blobs/{}", Digest::of(&blob));
    for place in ["file:///etc/passwd", "ftp://localhost/x", "gopher://localhost:1/x", "http://127.0.0.1:1/x", "//"] {
        let (_scratch, store) = scratch("schemes");
        let fake = Fake::start();
        fake.image("v1", "amd64", &[(blob.clone(), tar.clone())]);
        let path = path.clone();
        fake.hook(move |asked, _| (asked.path == path).then(|| Reply::new(302, "").with("Location", place)));
        let mut options = options();
        options.client.retries = 0;
        assert!(pull(&store, &name(&fake), &options, &Silent).is_err(), "{place}");
        assert_clean(&store);
    }
}
