//! `system check`: damage of every kind is found and put right.

use std::fs;
use std::path::PathBuf;

use crate::needs;
use crate::support::image::Packing;
use crate::support::registry::Registry;
use crate::support::{Image, Kelp, Layer};

/// The directory of an image's uppermost layer.
fn top(kelp: &Kelp, image: &str) -> PathBuf {
    let layers = kelp.run(["image", "inspect", image]).json();
    let layer = layers[0]["RootFS"]["Layers"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    kelp.data().join("layers/sha256").join(&layer[7..])
}

#[test]
fn damage_is_found_and_fetched_again() {
    needs!("registry");
    let registry = Registry::open();
    let image = Image::busybox().layer(Layer::new().file("mark", 0o644, "good").file("more", 0o644, "x"));
    registry.push(&image, "app", "latest", Packing::Gzip);
    let kelp = Kelp::new();
    let name = registry.name("app");
    kelp.run(["pull", "-q", &name]).success();
    kelp.run(["system", "check"]).success().stdout_has("1 images, 2 layers verified: all is well");
    kelp.run(["system", "check", "--quick"]).success().stdout_has("1 images, 0 layers verified: all is well");
    let damages: [fn(&PathBuf); 4] = [
        |layer| fs::write(layer.join("fs/mark"), "evil").unwrap(),
        |layer| fs::remove_file(layer.join("fs/mark")).unwrap(),
        |layer| fs::write(layer.join("layer.json"), "{").unwrap(),
        |layer| fs::remove_dir_all(layer).unwrap(),
    ];
    for (round, damage) in damages.iter().enumerate() {
        damage(&top(&kelp, &name));
        let out = kelp.run(["system", "check"]);
        out.code(1).stdout_has("layer sha256:").stdout_has("1 wrong");
        kelp.run(["system", "check", "--repair"]).success().stdout_has("fetched again");
        kelp.run(["system", "check"]).success().stdout_has("all is well");
        kelp.run(["run", "--rm", "--pull", "never", &name, "cat", "/mark"]).success().stdout("good");
        assert!(round < 4);
    }
    let id = kelp.ok(["image", "inspect", "-f", "{{.Id}}", &name]);
    fs::write(kelp.data().join("blobs/sha256").join(&id[7..]), "{}").unwrap();
    kelp.run(["system", "check"]).code(1);
    kelp.run(["system", "check", "-r"]).success();
    kelp.run(["run", "--rm", "--pull", "never", &name, "cat", "/mark"]).success().stdout("good");
    // In use: nothing is taken away under it.
    let running = kelp.detached(&[&name, "sleep", "1000"]);
    fs::write(top(&kelp, &name).join("fs/more"), "y").unwrap();
    kelp.run(["system", "check", "-r"]).code(1).stdout_has("a running container uses it");
    kelp.run(["exec", &running, "true"]).success();
    kelp.run(["rm", "-f", "-t", "0", &running]).success();
    // Not to be had any more: neither there nor as the archive that was kept.
    drop(registry);
    for entry in fs::read_dir(kelp.data().join("blobs/sha256")).unwrap().flatten() {
        if fs::read(entry.path()).unwrap().starts_with(&[0x1f, 0x8b]) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    fs::remove_dir_all(top(&kelp, &name)).unwrap();
    kelp.run(["system", "check", "-r"]).code(1).stdout_has("cannot be fetched again");
    kelp.run(["system", "check", "-r", "-f"]).success().stdout_has("removed with its image");
    kelp.run(["images", "-q"]).stdout("");
}

#[test]
fn files_that_were_added_are_found_and_removed() {
    needs!("registry");
    let registry = Registry::open();
    // A directory by another name, deletions, and directories without an entry are no additions.
    let layer = Layer::new().link("short", "long/er").file("short/mark", 0o644, "good").file("etc/.wh.passwd", 0o644, "").dir("sub", 0o755);
    let image = Image::busybox().layer(layer.file("sub/.wh..wh..opq", 0o644, "").hard_link("sub/again", "long/er/mark"));
    registry.push(&image, "app", "latest", Packing::Gzip);
    let pulled = Kelp::new();
    pulled.run(["pull", "-q", &registry.name("app")]).success();
    pulled.ok(["tag", &registry.name("app"), "app"]);
    drop(registry);
    let loaded = Kelp::new();
    loaded.load_image(&image, "app");
    for kelp in [&pulled, &loaded] {
        kelp.run(["system", "check"]).success().stdout_has("all is well");
        let tree = top(kelp, "app").join("fs");
        fs::write(tree.join("extra"), "evil").unwrap();
        fs::create_dir_all(tree.join("sub/more/deep")).unwrap();
        fs::write(tree.join("sub/more/deep/f"), "evil").unwrap();
        kelp.run(["system", "check"]).code(1).stdout_has("files were added to it: /extra, /sub/more").stdout_has("1 wrong");
        kelp.run(["system", "check", "--repair"]).success().stdout_has("removed what was added");
        assert!(!tree.join("extra").exists() && !tree.join("sub/more").exists());
        kelp.run(["system", "check"]).success().stdout_has("all is well");
        kelp.run(["run", "--rm", "--network", "none", "app", "cat", "/sub/again"]).success().stdout("good");
    }
}

#[test]
fn what_was_made_here_is_checked_too() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--name", "box", "busybox", "sh", "-c", "echo a > /a; ln /a /b; rm /etc/passwd"]).success();
    kelp.ok(["commit", "box", "made"]);
    kelp.run(["system", "check"]).success().stdout_has("2 images, 2 layers verified: all is well");
    fs::write(top(&kelp, "made").join("fs/a"), "b\n").unwrap();
    kelp.run(["system", "check", "-r"]).code(1).stdout_has("its contents were changed").stdout_has("load or build its image again");
}
