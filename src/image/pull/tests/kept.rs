//! Blobs that were kept: what other images claim about them, and fetching them again.

use super::*;
use crate::image::origin;

#[test]
fn what_an_image_claims_takes_no_blob_from_others() {
    let fake = Fake::start();
    let (_scratch, store) = scratch("claims");
    for (case, packed) in [("plain", false), ("gzip", true)] {
        let tar = archive(case, b"x");
        let blob = if packed { gzip(&tar) } else { tar.clone() };
        let (digest, layer) = (Digest::of(&blob), Digest::of(&tar));
        fake.image("v1", "amd64", &[(blob.clone(), tar)]);
        let good = go(&store, &fake).unwrap();
        let is_here = || store.blobs().open(&digest, None).unwrap().is_some();
        // Another layer in the same blob; and with it a layer that is here, whose own blob is another.
        fake.image("v1", "amd64", &[(blob.clone(), archive("other", b"y"))]);
        assert!(go(&store, &fake).unwrap_err().to_string().contains("unpacked it has the digest"), "{case}");
        assert!(is_here(), "{case}");
        let (_, mine) = super::layer("mine");
        let second = gzip(&mine);
        fake.image("v1", "amd64", &[(second, mine.clone())]);
        go(&store, &fake).unwrap();
        fake.image("v1", "amd64", &[(blob.clone(), mine)]);
        go(&store, &fake).unwrap();
        let mut out = Vec::new();
        for layer in good.layers.iter().chain([&layer]) {
            origin::Origin::find(&store, layer).unwrap().write(&mut out).unwrap();
        }
        // A configuration, and a manifest, that are somebody's layer.
        let manifest = format!(
            "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":{{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"{digest}\",\"size\":{}}},\"layers\":[]}}",
            blob.len()
        );
        fake.manifest("v1", "application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
        assert!(go(&store, &fake).is_err());
        assert!(is_here(), "{case}");
    }
}

#[test]
fn a_layer_without_its_archive_gets_it_back() {
    let fake = Fake::start();
    let (_scratch, store) = scratch("again");
    let (blob, tar) = layer("a");
    let (digest, id) = (Digest::of(&blob), Digest::of(&tar));
    fake.image("v1", "amd64", &[(blob.clone(), tar.clone())]);
    go(&store, &fake).unwrap();
    store.blobs().remove(&digest).unwrap();
    assert!(!origin::is_whole(&store, &id).unwrap());
    fake.forget();
    go(&store, &fake).unwrap();
    assert_eq!(fake.count("GET", "/blobs/"), 1);
    assert!(origin::is_whole(&store, &id).unwrap());
    // As an older version left it: only the image's manifest knows the blob.
    let note = store.data().join("layers").join(id.path()).join("blob.json");
    fs::remove_file(&note).unwrap();
    assert!(origin::is_whole(&store, &id).unwrap() && note.exists());
    // What comes must be the layer that is here.
    store.blobs().remove(&digest).unwrap();
    let other = gzip(&archive("b", b"b"));
    fake.image("v1", "amd64", &[(other.clone(), tar)]);
    assert!(go(&store, &fake).unwrap_err().to_string().contains("damaged"));
    assert!(store.blobs().open(&Digest::of(&other), None).unwrap().is_none());
}

#[test]
fn a_damaged_blob_is_fetched_again() {
    let fake = Fake::start();
    let (_scratch, store) = scratch("damaged-kept");
    let (blob, tar) = layer("a");
    fake.image("v1", "amd64", &[(blob.clone(), tar)]);
    for at in [0, 2, blob.len() / 2, blob.len() - 1] {
        let mut wrong = blob.clone();
        wrong[at] ^= 0x55;
        fs::create_dir_all(store.data().join("blobs/sha256")).unwrap();
        fs::write(store.blobs().path(&Digest::of(&blob)), wrong).unwrap();
        let record = go(&store, &fake).unwrap();
        assert!(store.blobs().is_sound(&Digest::of(&blob)).unwrap(), "{at}");
        LayerStore::open(store.data()).remove(&record.layers[0]).unwrap();
    }
}
