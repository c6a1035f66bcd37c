//! Mounts that are made of more than a directory: images, overlays (`:O`), patterns, terminals.

use std::path::Path;

use crate::needs;
use crate::support::{Kelp, Output, image};

/// An image `data` with files of several owners below /data.
fn with_data(kelp: &Kelp) {
    let script = "mkdir -p /data/sub; echo hi >/data/f; chmod 640 /data/f; chown 5:6 /data/f; ln -s /etc/passwd /data/link";
    kelp.run(["run", "--name", "base", "--network", "none", "busybox", "sh", "-c", script]).success();
    kelp.ok(["commit", "base", "data"]);
    kelp.ok(["rm", "base"]);
}

/// The id maps a container may have, each by its flags.
const MAPS: [&[&str]; 4] = [&[], &["--userns", "keep-id", "--user", "0"], &["--userns", "auto"], &["--userns", "nomap"]];

fn run(kelp: &Kelp, flags: &[&[&str]], script: &str) -> Output {
    kelp.run([&["run", "--rm", "--network", "none"], flags.concat().as_slice(), &["busybox", "sh", "-c", script]].concat())
}

#[test]
fn files_of_an_image() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    with_data(&kelp);
    for map in MAPS {
        let look = "stat -c '%u:%g %a' /x /x/data/f; touch /x/new || echo refused; ls /x/data";
        run(&kelp, &[map, &["--mount", "type=image,source=data,target=/x"]], look)
            .success()
            .stdout("0:0 755\n5:6 640\nrefused\nf\nlink\nsub");
        let write = "echo new >/x/new; rm /x/data/f; ls /x/data; stat -c %u:%g /x/new";
        run(&kelp, &[map, &["--mount", "type=image,src=data,dst=/x,rw"]], write).success().stdout("link\nsub\n0:0");
        let part = |what: &str| format!("type=image,src=data,dst=/x/y,subpath={what}");
        run(&kelp, &[map, &["--mount", &part("data")]], "ls /x/y; stat -c %u /x/y/f").success().stdout("f\nlink\nsub\n5");
        run(&kelp, &[map, &["--mount", &part("data/f")]], "cat /x/y").success().stdout("hi");
        run(&kelp, &[map, &["--mount", &part("data/link")]], "cat /x/y").code(125).stderr_has("symbolic link");
        run(&kelp, &[map, &["--mount", &part("nosuch")]], "cat /x/y").code(125).stderr_has("image data");
        // An image of one layer, and one that is mounted as itself.
        run(&kelp, &[map, &["--mount", "type=image,src=busybox,dst=/x"]], "test -x /x/bin/sh && ls -A /x/tmp").success().stdout("");
    }
    run(&kelp, &[&["--mount", "type=image,src=nosuch,dst=/x"]], "true").code(125).stderr_has("nosuch");
    // Set-user-id programs of an image nobody runs do not lend rights.
    let found = run(&kelp, &[&["--mount", "type=image,src=data,dst=/x"]], "grep ' /x ' /proc/mounts");
    found.success().stdout_has("nosuid").stdout_has("nodev").stdout_has(" ro,");
}

/// An image is in use while a container shows it; what was written to it stays with the container, and goes with it.
#[test]
fn an_image_that_is_mounted_is_in_use() {
    let kelp = Kelp::busybox();
    with_data(&kelp);
    let mount = "type=image,src=data,dst=/x,rw";
    kelp.ok(["create", "--name", "c", "--network", "none", "--mount", mount, "busybox", "sh", "-c", "echo a >>/x/new; cat /x/new"]);
    kelp.run(["rmi", "data"]).failure().stderr_has("container").stderr_has("(c) uses it");
    kelp.ok(["image", "prune", "-af"]);
    let df = kelp.run(["system", "df"]).text();
    let images: Vec<&str> = df.lines().find(|line| line.starts_with("Images")).unwrap().split_whitespace().collect();
    assert_eq!(images[1..3], ["2", "2"], "both are active: {df}");
    kelp.run(["start", "-a", "c"]).success().stdout("a");
    kelp.run(["start", "-a", "c"]).success().stdout("a\na");
    let mounts = kelp.run(["inspect", "c"]).json();
    let shown = &mounts[0]["Mounts"][0];
    assert_eq!((&shown["Type"], &shown["Source"], &shown["RW"]), (&"image".into(), &"data".into(), &true.into()));
    // Copying meets the image as the container shows it, also while it does not run.
    let file = kelp.file("given", "b\n");
    kelp.ok(["cp", file.to_str().unwrap(), "c:/x/new"]);
    kelp.run(["start", "-a", "c"]).success().stdout("b\na");
    kelp.run(["run", "--rm", "--network", "none", "--mount", "type=image,src=data,dst=/x", "busybox", "ls", "/x/new"]).failure();
    kelp.ok(["rmi", "-f", "data"]);
    assert_eq!(kelp.ok(["ps", "-aq"]), "", "forced, the container goes first");
}

/// What is below a directory of the host, with owners and content, as `kelp unshare` sees it.
fn listing(kelp: &Kelp, dir: &Path) -> String {
    let script = "find \"$0\" -exec stat -c '%n %u:%g %a' {} + | sort; find \"$0\" -type f -exec md5sum {} + | sort";
    kelp.run(["unshare", "/bin/sh", "-c", script, dir.to_str().unwrap()]).success().text()
}

#[test]
fn an_overlay_leaves_the_directory_alone_whatever_the_ids() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    let dir = kelp.open_dir("given");
    std::fs::write(dir.join("f"), "original\n").unwrap();
    let plain = format!("{}:/d", dir.display());
    run(&kelp, &[&["-v", &plain]], "mkdir /d/sub; echo s >/d/sub/s; chmod 600 /d/sub/s; echo x >/d/of5; chown -R 5:6 /d/of5; chmod 2750 /d").success();
    let before = listing(&kelp, &dir);
    let overlay = format!("{plain}:O");
    for (nth, map) in MAPS.into_iter().enumerate() {
        // As in a bind where the user has an id; else as in a container that is not shifted.
        let (user, of5) = match nth {
            1 => (rustix::process::getuid().as_raw().to_string(), "4:5"),
            _ => ("0".to_owned(), "5:6"),
        };
        let look = "stat -c '%u %a' /d; stat -c %u /d/sub/s; stat -c %u:%g /d/of5; cat /d/sub/s /d/f; echo changed >/d/f; rm /d/sub/s; \
            echo new >/d/new; chown 7 /d/new; stat -c %u /d/new; ls /d /d/sub";
        let expected = format!("{user} 2750\n{user}\n{of5}\ns\noriginal\n7\n/d:\nf\nnew\nof5\nsub\n\n/d/sub:");
        let command = [&["run", "--name", "c", "--network", "none"], map, &["-v", &overlay, "busybox", "sh", "-c"]].concat();
        kelp.run([command.as_slice(), &[look]].concat()).success().stdout(&expected);
        assert_eq!(listing(&kelp, &dir), before, "{map:?}");
        let file = kelp.file("more", "copied\n");
        kelp.ok(["cp", file.to_str().unwrap(), "c:/d/more"]);
        kelp.ok(["cp", "c:/d/f", kelp.work().join("back").to_str().unwrap()]);
        assert_eq!(std::fs::read_to_string(kelp.work().join("back")).unwrap(), "changed\n", "{map:?}");
        assert_eq!(listing(&kelp, &dir), before, "cp, {map:?}");
        // Its changes are still there when it is started again.
        kelp.run(["start", "-a", "c"]).stdout_has("new").stdout_has("more");
        kelp.ok(["rm", "c"]);
    }
    assert_eq!(std::fs::read_dir(kelp.data().join("containers")).unwrap().flatten().filter(|entry| entry.file_name() != ".names").count(), 0);
}

#[test]
fn what_an_overlay_can_be_asked() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    let dir = kelp.open_dir("given");
    std::fs::write(dir.join("f"), "original\n").unwrap();
    let before = listing(&kelp, &dir);
    let overlay = format!("{}:/d:O", dir.display());
    for map in [&[][..], &["--userns", "auto"]] {
        let look = "stat -c %u /d /d/f; echo changed >/d/f && echo written";
        run(&kelp, &[map, &["--user", "33", "-v", &format!("{overlay},U")]], look).success().stdout("33\n33\nwritten");
        run(&kelp, &[map, &["-v", &format!("{overlay},ro")]], "echo changed >/d/f || echo refused").success().stdout("refused");
    }
    assert_eq!(listing(&kelp, &dir), before);
    let (upper, work) = (kelp.work().join("upper"), kelp.work().join("working"));
    let own = format!("{overlay},upperdir={},workdir={}", upper.display(), work.display());
    run(&kelp, &[&["-v", &own]], "true").code(125).stderr_has("upperdir").stderr_has("make it first");
    std::fs::create_dir(&upper).unwrap();
    std::fs::create_dir(&work).unwrap();
    run(&kelp, &[&["-v", &own]], "echo kept >/d/kept").success();
    assert_eq!(std::fs::read_to_string(upper.join("kept")).unwrap(), "kept\n");
    run(&kelp, &[&["-v", &own]], "cat /d/kept").success().stdout("kept");
    assert_eq!(listing(&kelp, &dir), before);
    let file = format!("{}:/d:O", dir.join("f").display());
    run(&kelp, &[&["-v", &file]], "true").code(125).stderr_has("only a directory");
    kelp.run(["unshare", "rm", "-rf", upper.to_str().unwrap(), work.to_str().unwrap()]).success();
}

#[test]
fn overlays_with_one_id() {
    let kelp = Kelp::new();
    std::fs::create_dir_all(kelp.config()).unwrap();
    std::fs::write(kelp.config().join("config.toml"), "[containers]\nsubordinate-ids = false\n").unwrap();
    kelp.load(&image::busybox_archive());
    let dir = kelp.open_dir("given");
    std::fs::write(dir.join("f"), "original\n").unwrap();
    let overlay = format!("{}:/d:O", dir.display());
    let image = "type=image,src=busybox,dst=/i,rw";
    let script = "chown 8:9 /d/f; echo changed >/d/f; touch /d/new /i/new; mkdir /i/made; chown 7 /d/new; stat -c %u /d; ls /d";
    kelp.run(["run", "--name", "c", "--network", "none", "-v", &overlay, "--mount", image, "busybox", "sh", "-c", script])
        .success()
        .stdout("0\nf\nnew");
    let tar = kelp.work().join("d.tar");
    std::fs::write(&tar, kelp.cmd(["cp", "c:/d/.", "-"]).output().success().stdout.clone()).unwrap();
    let shown = kelp.tool("/bin/busybox", ["tar", "tvf", tar.to_str().unwrap()]).output().success().text();
    assert!(shown.lines().any(|line| line.contains("8/9") && line.ends_with("f")), "{shown}");
    assert!(shown.lines().any(|line| line.contains("7/0") && line.ends_with("new")), "{shown}");
    assert_eq!(std::fs::read_to_string(dir.join("f")).unwrap(), "original\n");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1);
    let mut value = [0; 64];
    let recorded = rustix::fs::getxattr(dir.join("f"), "user.containers.override_stat", &mut value[..]);
    assert_eq!(recorded, Err(rustix::io::Errno::NODATA), "nothing is recorded on the user's own file");
    kelp.ok(["rm", "c"]);
}

#[test]
fn patterns() {
    let kelp = Kelp::busybox();
    let dir = kelp.open_dir("etc");
    for name in ["a.conf", "b.conf", "c.txt", "d,e.conf"] {
        std::fs::write(dir.join(name), format!("{name}\n")).unwrap();
    }
    let glob = format!("type=glob,src={}/*.conf,dst=/x,ro", dir.display());
    run(&kelp, &[&["--mount", &glob]], "ls /x; cat /x/b.conf; touch /x/a.conf || echo refused")
        .success()
        .stdout("a.conf\nb.conf\nd,e.conf\nb.conf\nrefused");
    // Without a target they are where they are on the host; a pattern may be relative, and in any part of a path.
    let at = dir.display();
    run(&kelp, &[&["--mount", "type=glob,src=et?/[ac].*"]], &format!("ls {at}")).success().stdout("a.conf\nc.txt");
    run(&kelp, &[&["--mount", "type=glob,src=etc/*.nosuch,dst=/x"]], "true").code(125).stderr_has("nothing on the host matches");
    run(&kelp, &[&["--mount", "type=glob,src=etc/[a,dst=/x"]], "true").code(125).stderr_has("syntax error in pattern");
    let twice = format!("{}/a.conf:/x/a.conf", dir.display());
    run(&kelp, &[&["--mount", &glob, "-v", &twice]], "true").code(125).stderr_has("duplicate mount point");
}

#[test]
fn terminals_of_their_own() {
    let kelp = Kelp::busybox();
    run(&kelp, &[&["--mount", "type=devpts,target=/p,uid=5,gid=6,mode=0620,max=3"]], "ls /p; grep ' /p ' /proc/mounts")
        .success()
        .stdout_has("ptmx")
        .stdout_has("devpts")
        .stdout_has("mode=620")
        .stdout_has("max=3");
}

#[test]
fn mapped_mounts_are_refused_where_ids_are_shifted() {
    let kelp = Kelp::busybox();
    let mount = format!("{}:/x:idmap", kelp.work().display());
    kelp.sh(&["-v", &mount], "stat -c %u /x").success().stdout("0");
    kelp.sh(&["--userns", "nomap", "-v", &mount], "true").code(125).stderr_has("idmap").stderr_has(":O");
}
