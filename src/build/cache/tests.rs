//! What a step becomes, what is kept of it, and who may take it away meanwhile.

use super::*;

#[test]
fn entries_appear_whole_or_not_at_all() {
    let dir = std::env::temp_dir().join(format!("kelp-cache-{}", std::process::id()));
    let cache = Cache::open(&dir);
    let key = "a".repeat(64);
    assert!(cache.get(&key).is_none());
    let scratch = cache.scratch().unwrap();
    fs::create_dir(scratch.upper()).unwrap();
    fs::write(scratch.upper().join("file"), "x").unwrap();
    cache.publish(&scratch, &Entry::new(&key, "RUN x", 1, Outcome::Own)).unwrap();
    drop(scratch);
    let files = cache.files(&key).unwrap().unwrap();
    assert_eq!(fs::read(files.join("file")).unwrap(), b"x");
    // Another name for it.
    cache.same("b", &key, "RUN x").unwrap();
    assert_eq!(cache.get("b").unwrap().key, key);
    // A second maker's result does not replace the first.
    let scratch = cache.scratch().unwrap();
    fs::create_dir(scratch.upper()).unwrap();
    cache.publish(&scratch, &Entry::new(&key, "RUN x", 0, Outcome::Own)).unwrap();
    drop(scratch);
    assert_eq!(cache.get(&key).unwrap().size, 1);
    // Another boot, not synced: not to be trusted.
    let entry = Entry { boot: "other".into(), ..cache.get(&key).unwrap() };
    write_json(&cache.entry_dir(&key).join(ENTRY), &entry).unwrap();
    assert!(cache.get(&key).is_none());
    assert!(cache.get("b").is_none());
    // Damage is absence.
    fs::write(cache.entry_dir(&key).join(ENTRY), "{").unwrap();
    assert!(cache.get(&key).is_none());
    cache.remove(&key).unwrap();
    assert!(names(&dir.join("build/tmp")).unwrap().is_empty());
    // The files go when no build uses the cache.
    let busy = cache.in_use().unwrap();
    cache.clear().unwrap();
    assert!(!names(&dir.join("build/old")).unwrap().is_empty());
    drop(busy);
    cache.clear().unwrap();
    assert!(!dir.join("build/old").exists());
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn sweeping_takes_nothing_from_those_who_begin() {
    let dir = std::env::temp_dir().join(format!("kelp-cache-race-{}", std::process::id()));
    let cache = Cache::open(&dir);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| (0..300).for_each(|_| cache.sweep()));
            scope.spawn(|| {
                for _ in 0..300 {
                    let scratch = cache.scratch().unwrap();
                    fs::create_dir(scratch.upper()).unwrap();
                    fs::write(scratch.upper().join("file"), "x").unwrap();
                    assert!(scratch.upper().join("file").exists());
                }
            });
        }
    });
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn who_meets_files_on_the_move_waits() {
    let dir = std::env::temp_dir().join(format!("kelp-cache-move-{}", std::process::id()));
    let cache = Cache::open(&dir);
    let key = "a".repeat(64);
    let scratch = cache.scratch().unwrap();
    fs::create_dir(scratch.upper()).unwrap();
    cache.publish(&scratch, &Entry::new(&key, "RUN x", 1, Outcome::Own)).unwrap();
    cache.same("b", &key, "RUN x").unwrap();
    let (began, begun) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            cache.into_layer(&key, None, |files, _| {
                let away = dir.join("away");
                fs::rename(files, &away).unwrap();
                began.send(()).unwrap();
                std::thread::sleep(std::time::Duration::from_millis(50));
                // Back, as if nothing had been: this test has no layer store.
                fs::rename(&away, files).unwrap();
                Err(Error::Internal("not today".to_owned()))
            })
        });
        begun.recv().unwrap();
        assert!(cache.get("b").is_none());
        assert!(cache.files("b").unwrap().is_some_and(|files| files.exists()));
    });
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn files_the_layer_store_has_already_stay_for_who_has_them_mounted() {
    let dir = std::env::temp_dir().join(format!("kelp-cache-twice-{}", std::process::id()));
    let cache = Cache::open(&dir);
    let key = "a".repeat(64);
    let scratch = cache.scratch().unwrap();
    fs::create_dir(scratch.upper()).unwrap();
    fs::write(scratch.upper().join("file"), "x").unwrap();
    cache.publish(&scratch, &Entry::new(&key, "RUN x", 1, Outcome::Own)).unwrap();
    drop(scratch);
    let mounted = File::open(cache.files(&key).unwrap().unwrap()).unwrap();
    let build = cache.in_use().unwrap();
    let layer = Digest::of(b"layer");
    assert_eq!(cache.into_layer(&key, None, |_, _| Ok(layer.clone())).unwrap(), Some(layer));
    let has_file = || rustix::fs::accessat(&mounted, "file", rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty()).is_ok();
    cache.clear().unwrap();
    assert!(has_file() && !cache.entry_dir(&key).join(TREE).exists());
    drop(build);
    cache.clear().unwrap();
    assert!(!has_file() && !dir.join("build/old").exists());
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn nobody_waits_for_files_that_went_with_a_killed_build() {
    let dir = std::env::temp_dir().join(format!("kelp-cache-gone-{}", std::process::id()));
    let cache = Cache::open(&dir);
    let (asked, content) = ("a".repeat(64), "c".repeat(64));
    let scratch = cache.scratch().unwrap();
    fs::create_dir(scratch.upper()).unwrap();
    cache.publish(&scratch, &Entry::new(&content, "RUN x", 1, Outcome::Own)).unwrap();
    cache.same(&asked, &content, "RUN x").unwrap();
    // Moved, and killed before that was written down.
    fs::remove_dir_all(cache.entry_dir(&content).join(TREE)).unwrap();
    let held = [cache.lock(&asked, &mut || ()).unwrap(), cache.lock(&content, &mut || ()).unwrap()];
    for key in [&asked, &content] {
        assert!(cache.settled(key, &[&asked, &content]).unwrap().is_none());
    }
    drop(held);
    assert!(cache.settled(&asked, &[]).unwrap().is_none());
    fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn what_the_dead_left_is_swept() {
    let dir = std::env::temp_dir().join(format!("kelp-cache-sweep-{}", std::process::id()));
    let cache = Cache::open(&dir);
    let mine = cache.scratch().unwrap();
    let dead = dir.join("build/tmp/dead");
    fs::create_dir_all(&dead).unwrap();
    fs::write(dead.join(LOCK), "").unwrap();
    fs::create_dir_all(dead.join("upper/deep")).unwrap();
    cache.sweep();
    assert!(!dead.exists());
    assert!(mine.dir().exists());
    drop(mine);
    fs::remove_dir_all(&dir).unwrap();
}
