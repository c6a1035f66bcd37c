//! Signatures made here, checked here, and judged by policies; lies among them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::policy::{Archive, Policy, PolicyError};
use super::*;
use crate::image::registry::ClientOptions;
use crate::image::registry::fake::Fake;

/// Made with `openssl genpkey` for this test.
const ED_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIBrW+OoBGRItR/GR56mICpsbmlIO5TRdFngT5G4L+MZF\n-----END PRIVATE KEY-----\n";
const ED_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA6zPtxq3GUv7pbSUX1EDVwUMplQFpttth3iwG24Wma7g=\n-----END PUBLIC KEY-----\n";
const EC_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgR3VWK1fA9hMoStbe3eLqhfJmLsLEknIz/yWKazkH84OhRANCAAR1BPMQaqLnik14Cck8te8xYqk+se8SnEJ6cKxQNTjH0CPsD6nyTVeKatkI47J73hGOXQUALyoCSUlPExNWO8HC\n-----END PRIVATE KEY-----\n";
const EC_PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdQTzEGqi54pNeAnJPLXvMWKpPrHvEpxCenCsUDU4x9Aj7A+p8k1XimrZCOOye94Rjl0FAC8qAklJTxMTVjvBwg==\n-----END PUBLIC KEY-----\n";

fn image(text: &str) -> Reference {
    text.parse().unwrap()
}

fn any(_: &str) -> bool {
    true
}

#[test]
fn keys_sign_and_verify() {
    let digest = Digest::of(b"manifest");
    let reference = image("reg.example/app:1");
    for (private, public) in [(ED_PRIVATE, ED_PUBLIC), (EC_PRIVATE, EC_PUBLIC)] {
        let key = PrivateKey::from_pem(private, "k").unwrap();
        let check_key = PublicKey::from_pem(public, "p").unwrap();
        assert_eq!(key.public(), check_key);
        let signed = key.sign(&reference, &digest).unwrap();
        let keys = [check_key];
        assert_eq!(check(&reference, &digest, std::slice::from_ref(&signed), &keys, &any).unwrap(), "reg.example/app:1");
        assert!(check(&reference, &Digest::of(b"other"), std::slice::from_ref(&signed), &keys, &any).is_err());
        let mut changed = signed.clone();
        changed.payload[20] ^= 1;
        assert!(check(&reference, &digest, &[changed], &keys, &any).is_err());
        assert!(check(&reference, &digest, &[], &keys, &any).is_err());
        let named = check(&reference, &digest, &[signed], &keys, &|_| false).unwrap_err().to_string();
        assert!(named.contains("reg.example/app:1"), "{named}");
    }
    let other = PrivateKey::from_pem(ED_PRIVATE, "k").unwrap().sign(&reference, &digest).unwrap();
    let wrong = [PublicKey::from_pem(EC_PUBLIC, "p").unwrap()];
    assert!(check(&reference, &digest, &[other], &wrong, &any).is_err());
    for text in ["", "-----BEGIN PUBLIC KEY-----\n!!\n-----END PUBLIC KEY-----", ED_PRIVATE] {
        assert!(PublicKey::from_pem(text, "p").is_err());
    }
    for label in ["EC PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY", "PUBLIC KEY"] {
        assert!(PrivateKey::from_pem(&ED_PRIVATE.replace("PRIVATE KEY", label), "k").is_err(), "{label}");
    }
}

#[test]
fn signatures_are_kept_beside_the_image() {
    let fake = Fake::start();
    let name = image(&format!("127.0.0.1:{}/app:1", fake.port));
    let options = ClientOptions { certs_d: Vec::new(), retries: 0, ..ClientOptions::default() };
    let repository = Repository::for_push(&name, &options).unwrap();
    let digest = Digest::of(b"manifest");
    assert_eq!(fetch(&repository, &digest).unwrap(), []);
    let ed = PrivateKey::from_pem(ED_PRIVATE, "k").unwrap().sign(&name, &digest).unwrap();
    let ec = PrivateKey::from_pem(EC_PRIVATE, "k").unwrap().sign(&name, &digest).unwrap();
    for signed in [&ed, &ec, &ed] {
        attach(&repository, &digest, signed).unwrap();
    }
    let all = fetch(&repository, &digest).unwrap();
    assert!(all.len() == 2 && all.contains(&ed) && all.contains(&ec));
    let raw = String::from_utf8(fake.get(&format!("/v2/app/manifests/{}", tag_of(&digest))).unwrap()).unwrap();
    assert!(raw.contains("simplesigning"), "{raw}");
    // Something else under that tag.
    fake.manifest(&tag_of(&digest), MANIFEST, b"[]");
    assert_eq!(fetch(&repository, &digest).unwrap(), []);
}

fn judge(policy: &str, name: &str, signatures: &BTreeMap<Digest, Vec<Signed>>) -> Result<(), String> {
    let policy = Policy::parse(policy, PathBuf::from("policy.json")).map_err(|e| e.to_string())?;
    let digests: Vec<Digest> = vec![Digest::of(b"manifest"), Digest::of(b"index")];
    let fetch = |digest: &Digest| Ok(signatures.get(digest).cloned().unwrap_or_default());
    policy.admit(&image(name), &digests, &fetch).map_err(|e| e.to_string())
}

#[test]
fn policies_decide() {
    let key = PrivateKey::from_pem(EC_PRIVATE, "k").unwrap();
    let public = STANDARD.encode(EC_PUBLIC);
    let of = |what: &[u8], name: &str| {
        let digest = Digest::of(what);
        BTreeMap::from([(digest.clone(), vec![key.sign(&image(name), &digest).unwrap()])])
    };
    let none = BTreeMap::new();
    let signed = |identity: &str| {
        format!(r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{"reg.example":[{{"type":"sigstoreSigned",
            "keyData":"{public}"{identity}}}],"reg.example/free":[{{"type":"insecureAcceptAnything"}}]}}}}}}"#)
    };
    let plain = signed("");
    assert!(judge(&plain, "elsewhere.example/x", &none).unwrap_err().contains("default"));
    assert!(judge(&plain, "reg.example/free/x", &none).is_ok());
    assert!(judge(&plain, "reg.example/freed", &none).unwrap_err().contains("no valid signature"));
    assert!(judge(&plain, "reg.example/x:1", &of(b"manifest", "reg.example/x:1")).is_ok());
    assert!(judge(&plain, "reg.example/x:1", &of(b"index", "reg.example/x:1")).is_ok());
    assert!(judge(&plain, "reg.example/x:1", &of(b"manifest", "reg.example/x:2")).is_err());
    assert!(judge(&plain, "reg.example/x:1", &of(b"something", "reg.example/x:1")).is_err());
    let pinned = format!("reg.example/x@{}", Digest::of(b"manifest"));
    assert!(judge(&plain, &pinned, &of(b"manifest", "reg.example/x:2")).is_ok());
    let repository = signed(r#","signedIdentity":{"type":"matchRepository"}"#);
    assert!(judge(&repository, "reg.example/x:1", &of(b"manifest", "reg.example/x:2")).is_ok());
    assert!(judge(&repository, "reg.example/x:1", &of(b"manifest", "reg.example/y:1")).is_err());
    let moved = signed(r#","signedIdentity":{"type":"remapIdentity","prefix":"reg.example","signedPrefix":"origin.example/a"}"#);
    assert!(judge(&moved, "reg.example/x:1", &of(b"manifest", "origin.example/a/x:1")).is_ok());
    assert!(judge(&moved, "reg.example/x:1", &of(b"manifest", "reg.example/x:1")).is_err());
    for (policy, reason) in [
        (r#"{"default":[{"type":"signedBy","keyType":"GPGKeys","keyPath":"x"}]}"#, "GPG"),
        (r#"{"default":[]}"#, "no requirements"),
        (r#"{"default":[{"type":"sigstoreSigned"}]}"#, "no key"),
        (r#"{"default":[{"type":"sigstoreSigned","keyPath":"/no/such"}]}"#, "/no/such"),
        (r#"{"default":[{"type":"sigstoreSigned","keyPath":"x","rekorPublicKeyPath":"y"}]}"#, "rekor"),
        (r#"{"default":[{"type":"insecureAcceptAnything"},{"type":"reject"}]}"#, "says so"),
        (r#"{"default":[{"type":"new"}]}"#, "understand"),
        (r#"{"default":[{"type":"insecureAcceptAnything"}],"transport":{}}"#, "transport"),
        (r#"{"default":[{"type":"insecureAcceptAnything","key":1}]}"#, "key"),
        (r#"{"default":[{"type":"sigstoreSigned","keypath":"/x"}]}"#, "keypath"),
        (r#"{"default":[{"type":"sigstoreSigned","keyPath":"/x","signedIdentity":{"type":"matchExact","x":1}}]}"#, "`x`"),
        (r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a":[{"type":"reject"}],"a":[{"type":"reject"}]}}}"#, "twice"),
        (r#"{"default":[{"type":"reject"}],"transports":{"docker":{"a":[]}}}"#, "no requirements"),
        (r#"{"default":[{"type":"reject"}],"transports":{"docker-archive":{"/a":[{"type":"reject"}]}}}"#, "only the scope"),
        (r#"{"default":[{"type":"reject"}],"transports":{"oci-archive":{"a":[{"type":"reject"}]}}}"#, "absolute"),
        (r#"{"default":[{"type":"reject"}],"transports":{"dir":{"/a/../b":[{"type":"reject"}]}}}"#, "shortest"),
        ("{}", "understand"),
    ] {
        let error = judge(policy, "alpine", &none).unwrap_err();
        assert!(error.contains(reason), "{reason}: {error}");
    }
    let wild = r#"{"default":[{"type":"reject"}],"transports":{"docker":{"*.example":[{"type":"insecureAcceptAnything"}],
        "a.b.example":[{"type":"reject"}]}}}"#;
    assert!(judge(wild, "x.example/y", &none).is_ok() && judge(wild, "x.b.example/y", &none).is_ok());
    assert!(judge(wild, "a.b.example/y", &none).is_err() && judge(wild, "x.other/y", &none).is_err());
    let policy = Policy::parse(wild, PathBuf::new()).unwrap();
    assert!(matches!(policy.admit_archive(Archive::Docker, None, None), Err(PolicyError::Rejected { .. })));
    assert!(Policy::default().admit_archive(Archive::Docker, None, None).is_ok());
    assert!(Policy::default().admit(&image("x"), &[], &|_| Ok(Vec::new())).is_ok());
}

#[test]
fn archives_are_judged_by_kind_and_place() {
    let text = r#"{"default":[{"type":"reject"}],"transports":{
        "docker-archive":{"":[{"type":"insecureAcceptAnything"}]},
        "oci-archive":{"/good":[{"type":"insecureAcceptAnything"}],"/good/bad/x.tar":[{"type":"reject"}]},
        "oci":{"/lay:tag":[{"type":"insecureAcceptAnything"}]}}}"#;
    let policy = Policy::parse(text, PathBuf::new()).unwrap();
    let admits = |kind, place: &str, name| policy.admit_archive(kind, Some(Path::new(place)), name).is_ok();
    assert!(admits(Archive::Docker, "/any", None));
    assert!(policy.admit_archive(Archive::Oci, None, None).is_err());
    assert!(admits(Archive::Oci, "/good/a/b.tar", None) && admits(Archive::Oci, "/good", None));
    assert!(!admits(Archive::Oci, "/good/bad/x.tar", None) && !admits(Archive::Oci, "/goods/b.tar", None));
    assert!(admits(Archive::OciDir, "/lay", Some("tag")) && !admits(Archive::OciDir, "/lay", None));
    assert!(!admits(Archive::Dir, "/good", None));
}

proptest::proptest! {
    #[test]
    fn keys_statements_and_policies_never_panic(text in "(-----BEGIN |PUBLIC KEY|PRIVATE KEY|-----|END |[A-Za-z0-9+/=]{0,20}|\\PC){0,8}",
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        PublicKey::from_pem(&text, "x").ok();
        PrivateKey::from_pem(&text, "x").ok();
        let key = PublicKey::from_pem(EC_PUBLIC, "x").unwrap();
        let signed = Signed { payload: bytes.clone(), signature: bytes };
        assert!(!key.verifies(&signed));
        stated(&signed);
        Policy::parse(&text, PathBuf::new()).ok();
    }
}
