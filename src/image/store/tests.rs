//! Tests of the image store on a scratch directory.

use super::super::blobs::Begin;
use super::*;
use crate::image::layers::{Claim, LayerBlob, LayerStore};
use crate::image::unpack::UnpackReport;

struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

fn scratch(name: &str) -> (Scratch, ImageStore) {
    let dir = std::env::temp_dir().join(format!("kelp-store-{name}-{}", std::process::id()));
    fs::remove_dir_all(&dir).ok();
    let store = ImageStore::open(&dir, ShortNames::default());
    (Scratch(dir), store)
}

fn reference(text: &str) -> Reference {
    text.parse().unwrap()
}

/// An image of the given layers; they are made as needed.
fn image(store: &ImageStore, layers: &[&str], author: &str, names: &[&str]) -> ImageRecord {
    let diff_ids: Vec<Digest> = layers.iter().map(|l| Digest::of(l.as_bytes())).collect();
    for layer in &diff_ids {
        if let Claim::Absent(txn) = LayerStore::open(store.data())
            .begin(layer, &mut || ())
            .unwrap()
        {
            txn.commit(&UnpackReport::default()).unwrap();
        }
    }
    let config = serde_json::json!({
        "author": author, "os": "linux", "architecture": "amd64", "created": "2024-01-02T03:04:05Z",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let new = NewImage {
        config: config.to_string().into_bytes(),
        manifests: vec![store.blobs().put(author.as_bytes()).unwrap()],
        blobs: vec![store.blobs().put(layers.join("").as_bytes()).unwrap()],
        ..NewImage::default()
    };
    let names: Vec<Reference> = names.iter().map(|n| reference(n)).collect();
    store.add(&new, &names).unwrap().unwrap()
}

#[test]
fn finds_images_as_docker_does() {
    let (_scratch, store) = scratch("find");
    assert!(store.list().unwrap().is_empty());
    assert!(matches!(store.resolve("a"), Err(StoreError::NotFound(_))));
    let record = image(
        &store,
        &["l1", "l2", "l1"],
        "x",
        &["app:v1", "localhost/other"],
    );
    let pinned = reference("app").digested(record.manifests[0].clone());
    store.names().set(&pinned, &Named { id: record.id.clone(), came_by: None }).unwrap();
    let long = record.id.to_string();
    let texts = [
        "app:v1",
        "other",
        &long,
        record.id.hex(),
        record.id.short(),
        &pinned.familiar(),
    ];
    for text in texts {
        assert_eq!(
            store.resolve_for_run(text).unwrap().record,
            record,
            "{text}"
        );
    }
    assert_eq!(record.created, Some(1_704_164_645));
    let run = store.resolve_for_run("app:v1").unwrap();
    assert_eq!(run.layers.len(), 2);
    assert!(
        run.layers[1]
            .to_str()
            .unwrap()
            .contains(Digest::of(b"l1").hex())
    );
    let shown = store.resolve("app:v1").unwrap();
    assert_eq!(
        shown.names,
        [reference("app:v1"), reference("localhost/other")]
    );
    assert_eq!(shown.repo_digests, [pinned]);
    assert!(matches!(store.resolve("app"), Err(StoreError::NotFound(_))));
    assert!(matches!(store.resolve("UP"), Err(StoreError::Reference(_))));
}

#[test]
fn removal_follows_dockers_rules() {
    let (_scratch, store) = scratch("remove");
    let free = |_: &Digest| None;
    let a = image(&store, &["base", "a"], "a", &["app:v1", "app:v2"]);
    let b = image(&store, &["base", "b"], "b", &["b"]);
    let pinned = reference("app").digested(a.manifests[0].clone());
    store.names().set(&pinned, &Named { id: a.id.clone(), came_by: None }).unwrap();
    assert!(matches!(
        store.remove(a.id.hex(), Removal::force(false), &free),
        Err(StoreError::SeveralNames { count: 2, .. })
    ));
    let report = store.remove("app:v1", Removal::force(false), &free).unwrap();
    assert_eq!(report.untagged, [reference("app:v1")]);
    assert!(report.deleted.is_empty());
    let used = |id: &Digest| (*id == a.id).then(|| "container c uses it".to_owned());
    assert!(matches!(
        store.remove("app:v2", Removal::force(true), &used),
        Err(StoreError::InUse { .. })
    ));
    let report = store.remove(a.id.short(), Removal::force(false), &free).unwrap();
    assert_eq!(report.untagged, [reference("app:v2"), pinned]);
    assert_eq!(report.deleted, std::slice::from_ref(&a.id));
    assert!(store.layer_dir(&Digest::of(b"a")).is_none());
    assert!(store.layer_dir(&Digest::of(b"base")).is_some());
    assert_eq!(store.resolve_for_run("b").unwrap().layers.len(), 2);
    store.remove("b", Removal::force(false), &free).unwrap();
    assert!(store.blobs().list().unwrap().is_empty());
    assert!(store.list().unwrap().is_empty());
    assert!(matches!(
        store.remove(b.id.hex(), Removal::force(true), &free),
        Err(StoreError::NotFound(_))
    ));
}

#[test]
fn damage_reads_as_absence() {
    let (_scratch, store) = scratch("damage");
    let record = image(&store, &["l"], "x", &["app"]);
    fs::write(store.blobs().path(&record.id), "{}").unwrap();
    assert!(matches!(
        store.resolve_for_run("app"),
        Err(StoreError::Incomplete { .. })
    ));
    fs::write(store.record_path(&record.id), "").unwrap();
    assert!(matches!(store.resolve("app"), Err(StoreError::NotFound(_))));
    assert!(store.list().unwrap().is_empty());
    fs::remove_dir_all(store.data().join("layers")).unwrap();
    let config = br#"{"rootfs":{"diff_ids":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}}"#;
    let new = NewImage {
        config: config.to_vec(),
        ..NewImage::default()
    };
    assert_eq!(store.add(&new, &[]).unwrap().unwrap_err().len(), 1);
    assert_eq!(
        store
            .remove("app", Removal::force(false), &|_| None)
            .unwrap()
            .untagged
            .len(),
        1
    );
}

#[test]
fn blobs_resume_and_wait() {
    let (_scratch, store) = scratch("blobs");
    let digest = Digest::of(b"whole");
    let begin = |waited: &mut dyn FnMut()| store.blobs().begin(&digest, Some(5), waited).unwrap();
    let Begin::Absent(first) = begin(&mut || ()) else {
        panic!("nothing there yet");
    };
    first.file().write_all(b"who").unwrap();
    drop(first);
    let Begin::Absent(second) = begin(&mut || ()) else {
        panic!("only a part there");
    };
    assert_eq!(second.len().unwrap(), 3);
    let waiter = std::thread::spawn({
        let (store, digest) = (store.clone(), digest.clone());
        move || {
            matches!(
                store.blobs().begin(&digest, Some(5), &mut || ()),
                Ok(Begin::Present(_))
            )
        }
    });
    std::thread::sleep(std::time::Duration::from_millis(30));
    let mut file = second.file();
    io::Seek::seek(&mut file, io::SeekFrom::End(0)).unwrap();
    file.write_all(b"le").unwrap();
    second.commit().unwrap();
    assert!(waiter.join().unwrap());
    assert_eq!(store.blobs().read(&digest, 10).unwrap().unwrap(), b"whole");
    assert!(store.blobs().read(&digest, 4).unwrap().is_none());
    assert_eq!(store.blobs().list().unwrap().len(), 1, "who asks for too little takes nothing away");
    fs::write(store.blobs().path(&digest), "wrong").unwrap();
    assert!(store.blobs().read(&digest, 10).unwrap().is_none());
    assert_eq!(store.blobs().list().unwrap().len(), 0);
}

#[test]
fn a_layers_blob_stays_as_long_as_the_layer() {
    let (_scratch, store) = scratch("layer-blob");
    let layers = LayerStore::open(store.data());
    let lower = Digest::of(b"base");
    let make = || {
        let record = image(&store, &["base"], "b", &["base"]);
        let blob = LayerBlob { media_type: String::new(), digest: record.blobs[0].clone(), size: 4 };
        layers.note_blob(&lower, &blob).unwrap();
        blob.digest
    };
    let is_here = |blob: &Digest| store.blobs().open(blob, Some(4)).unwrap().is_some();
    // An image, a pin and a container keep the layer, and so its blob.
    let blob = make();
    image(&store, &["base", "app"], "a", &["app"]);
    store.remove("base", Removal::default(), &|_| None).unwrap();
    assert!(is_here(&blob));
    store.remove("app", Removal::default(), &|_| None).unwrap();
    assert!(!is_here(&blob) && layers.blob(&lower).is_none());
    let blob = make();
    crate::image::lease::pin(store.data(), "step", &lower).unwrap();
    store.remove("base", Removal::default(), &|_| None).unwrap();
    store.collect(&|_| false).unwrap();
    assert!(is_here(&blob));
    crate::image::lease::unpin(store.data(), "step");
    store.collect(&|layer| *layer == lower).unwrap();
    assert!(is_here(&blob));
    assert!(store.collect(&|_| false).unwrap() > 0);
    assert!(!is_here(&blob));
}

#[test]
fn collecting_keeps_what_is_referred_to() {
    let (_scratch, store) = scratch("collect");
    let kept = image(&store, &["base", "kept"], "k", &["kept"]);
    let gone = image(&store, &["base", "gone"], "g", &["gone"]);
    fs::write(store.record_path(&gone.id), "").unwrap();
    let stray = store.blobs().put(b"stray").unwrap();
    assert!(store.collect(&|layer| *layer == Digest::of(b"gone")).unwrap() > 0);
    assert!(store.blobs().open(&stray, None).unwrap().is_none());
    assert!(store.layer_dir(&Digest::of(b"gone")).is_some());
    store.collect(&|_| false).unwrap();
    assert!(store.layer_dir(&Digest::of(b"gone")).is_none());
    assert_eq!(store.resolve_for_run("kept").unwrap().record, kept);
    assert_eq!(store.names().list().unwrap().len(), 1);
    assert_eq!(store.blobs().list().unwrap().len(), 3);
}
