//! The layer store: commits, waiting, garbage, power cuts.

use super::*;
use crate::image::durable;
use crate::image::unpack::{Owners, UnpackOptions, unpack_buffered};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kelp-layers-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn archive(content: &str) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.set_path("file").unwrap();
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content.as_bytes());
    bytes.resize(2048, 0);
    bytes
}

fn fill(txn: &mut LayerTxn, archive: &[u8]) -> UnpackReport {
    let mut recorder = txn.recorder().unwrap();
    let options = UnpackOptions {
        owners: Owners::Caller,
        ..UnpackOptions::default()
    };
    let report = unpack_buffered(archive, txn.dir(), &options, Some(&mut recorder)).unwrap();
    txn.recorded(recorder).unwrap();
    report
}

fn claim(store: &LayerStore, digest: &Digest) -> LayerTxn {
    match store.begin(digest, &mut || ()).unwrap() {
        Claim::Absent(txn) => txn,
        Claim::Present(dir) => panic!("already at {}", dir.display()),
    }
}

#[test]
fn a_layer_is_here_once_committed_and_its_archive_can_be_written_again() {
    let scratch = Scratch::new("commit");
    let store = LayerStore::open(&scratch.0);
    let tar = archive("hello");
    let digest = Digest::of(&tar);
    let mut txn = claim(&store, &digest);
    let report = fill(&mut txn, &tar);
    assert!(!store.has(&digest));
    let dir = txn.commit(&report).unwrap();
    assert_eq!(store.dir(&digest), Some(dir.clone()));
    assert_eq!(fs::read_to_string(dir.join("file")).unwrap(), "hello");
    assert!(matches!(
        store.begin(&digest, &mut || ()).unwrap(),
        Claim::Present(_)
    ));
    let mut again = Vec::new();
    assert_eq!(store.write_archive(&digest, &mut again).unwrap(), 2048);
    assert_eq!(again, tar);
    fs::write(dir.join("file"), "HELLO").unwrap();
    assert!(matches!(
        store.write_archive(&digest, &mut again),
        Err(LayerError::Damaged { .. })
    ));
    assert_eq!(store.gc().unwrap(), 0);
    store.remove(&digest).unwrap();
    assert!(!store.has(&digest) && names(&store.tmp("")).unwrap().is_empty());
}

#[test]
fn a_layer_whose_digest_comes_last() {
    let scratch = Scratch::new("unnamed");
    let store = LayerStore::open(&scratch.0);
    let tar = archive("late");
    let digest = Digest::of(&tar);
    for _ in 0..2 {
        let mut txn = store.begin_unnamed().unwrap();
        let report = fill(&mut txn, &tar);
        txn.commit_as(&digest, &report).unwrap();
        assert!(store.has(&digest) && names(&store.tmp("")).unwrap().is_empty());
    }
}

#[test]
fn what_was_not_finished_is_garbage_unless_locked() {
    let scratch = Scratch::new("gc");
    let store = LayerStore::open(&scratch.0);
    let digest = Digest::of(b"x");
    // As a killed process leaves it.
    fs::create_dir_all(store.tmp(digest.hex()).join("fs/sub")).unwrap();
    fs::create_dir_all(store.tmp("new-dead/fs")).unwrap();
    fs::write(store.tmp("stray"), "").unwrap();
    let txn = claim(&store, &digest);
    assert!(!store.tmp(digest.hex()).join("fs/sub").exists());
    assert_eq!(store.gc().unwrap(), 1, "the locked one stays");
    assert!(store.tmp(digest.hex()).exists());
    drop(txn);
    assert!(names(&store.tmp("")).unwrap().is_empty());
}

#[test]
fn a_second_process_waits_and_finds_it_done() {
    let scratch = Scratch::new("wait");
    let store = LayerStore::open(&scratch.0);
    let tar = archive("once");
    let digest = Digest::of(&tar);
    let mut txn = claim(&store, &digest);
    let report = fill(&mut txn, &tar);
    std::thread::scope(|scope| {
        let (told, waits) = std::sync::mpsc::channel();
        let waiter = scope.spawn(|| {
            let told = told;
            store
                .begin(&digest, &mut || told.send(()).unwrap())
                .unwrap()
        });
        waits.recv().unwrap();
        txn.commit(&report).unwrap();
        assert!(matches!(waiter.join().unwrap(), Claim::Present(_)));
    });
    assert!(names(&store.tmp("")).unwrap().is_empty());
}

#[test]
fn an_unsynced_layer_of_an_earlier_boot_is_missing() {
    let scratch = Scratch::new("boot");
    let store = LayerStore::open(&scratch.0);
    let tar = archive("lost");
    let digest = Digest::of(&tar);
    for damage in [true, false] {
        let mut txn = claim(&store, &digest);
        let report = fill(&mut txn, &tar);
        txn.commit(&report).unwrap();
        let path = store.path(&digest).join(RECORD);
        if damage {
            fs::write(&path, "").unwrap();
        } else {
            let text = fs::read_to_string(&path)
                .unwrap()
                .replace(identity::boot_id(), "earlier");
            fs::write(&path, text).unwrap();
        }
        assert!(!store.has(&digest));
    }
    let mut txn = claim(&store, &digest);
    let report = fill(&mut txn, &tar);
    txn.commit(&report).unwrap();
    assert_eq!(durable::sync(&scratch.0).unwrap(), 1);
    assert_eq!(durable::sync(&scratch.0).unwrap(), 0);
    let path = store.path(&digest).join(RECORD);
    let text = fs::read_to_string(&path)
        .unwrap()
        .replace(identity::boot_id(), "earlier");
    fs::write(&path, text).unwrap();
    assert!(store.has(&digest), "synced layers survive a reboot");
    fs::write(&path, "{").unwrap();
    assert_eq!(store.gc().unwrap(), 1);
    assert!(store.list().unwrap().is_empty());
}

#[test]
fn a_layer_is_here_while_several_mark_it_as_synced() {
    let scratch = Scratch::new("marked");
    let store = LayerStore::open(&scratch.0);
    let tar = archive("marked");
    let digest = Digest::of(&tar);
    let mut txn = claim(&store, &digest);
    let report = fill(&mut txn, &tar);
    txn.commit(&report).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..300).for_each(|_| store.mark_synced(&digest).unwrap()));
        }
        for _ in 0..2000 {
            assert!(store.has(&digest));
        }
    });
    let left = fs::read_dir(store.path(&digest)).unwrap().flatten().filter(|entry| entry.path().extension().is_some_and(|end| end == "new"));
    assert_eq!(left.count(), 0);
}
