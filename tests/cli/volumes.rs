//! Volumes, bind mounts and `--mount`.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::json;

use crate::needs;
use crate::support::{Image, Kelp, Layer};

#[test]
fn the_volume_verbs() {
    let kelp = Kelp::busybox();
    assert_eq!(kelp.ok(["volume", "create", "data"]), "data");
    assert_eq!(kelp.ok(["volume", "create", "data"]), "data", "as docker: one that is there will do");
    kelp.run(["volume", "create", "--opt", "type=tmpfs", "data"]).failure().stderr_has("data");
    assert_eq!(kelp.ok(["volume", "create", "--label", "tier=db", "labelled"]), "labelled");
    let anonymous = kelp.ok(["volume", "create"]);
    assert_eq!(anonymous.len(), 64);
    let mut names = kelp.run(["volume", "ls", "-q"]).lines();
    names.sort();
    assert!(names.contains(&"data".to_owned()) && names.contains(&anonymous) && names.len() == 3, "{names:?}");
    assert_eq!(kelp.ok(["volume", "ls", "-q", "--filter", "label=tier=db"]), "labelled");
    let header = kelp.run(["volume", "ls"]).lines().remove(0);
    assert_eq!(header.split_whitespace().collect::<Vec<_>>(), ["DRIVER", "VOLUME", "NAME"]);
    let inspect = kelp.run(["volume", "inspect", "labelled"]).json();
    assert_eq!(inspect[0]["Name"], "labelled");
    assert_eq!(inspect[0]["Driver"], "local");
    assert_eq!(inspect[0]["Labels"]["tier"], "db");
    assert!(std::path::Path::new(inspect[0]["Mountpoint"].as_str().unwrap()).is_dir());
    kelp.run(["volume", "exists", "data"]).code(0).stdout("");
    kelp.run(["volume", "exists", "nosuch"]).code(1).stdout("");
    assert_eq!(kelp.ok(["volume", "rm", "data", "labelled"]), "data\nlabelled");
    kelp.run(["volume", "rm", "data"]).code(1).stderr_has("no such volume");
    kelp.run(["volume", "inspect", "data"]).failure().stderr_has("no such volume");
    kelp.run(["volume", "prune", "-f"]).success().stdout_has(&anonymous);
    assert_eq!(kelp.ok(["volume", "ls", "-q"]), "");
}

#[test]
fn a_named_volume_outlives_its_containers() {
    let kelp = Kelp::busybox();
    kelp.sh(&["-v", "keep:/data"], "echo kept > /data/file; chown 1000:1000 /data/file").success();
    kelp.sh(&["-v", "keep:/elsewhere"], "cat /elsewhere/file; stat -c %u:%g /elsewhere/file").success().stdout("kept\n1000:1000");
    kelp.sh(&["-v", "keep:/data:ro"], "cat /data/file; touch /data/x || echo refused").success().stdout("kept\nrefused");
    kelp.sh(&["--mount", "type=volume,source=keep,target=/data,readonly"], "cat /data/file; touch /data/x || echo refused")
        .success()
        .stdout("kept\nrefused");
    assert_eq!(kelp.ok(["volume", "ls", "-q"]), "keep");
    kelp.ok(["volume", "rm", "keep"]);
}

#[test]
fn a_volume_in_use_is_not_removed() {
    let kelp = Kelp::busybox();
    let id = kelp.detached(&["-v", "busy:/data", "busybox", "sleep", "300"]);
    kelp.run(["volume", "rm", "busy"]).code(2).stderr_has("busy").stderr_has(&id[..12]);
    kelp.run(["volume", "prune", "-f"]).success().stdout_lacks("busy");
    kelp.ok(["stop", "-t", "0", &id]);
    kelp.run(["volume", "rm", "busy"]).code(2);
    kelp.ok(["rm", &id]);
    assert_eq!(kelp.ok(["volume", "rm", "busy"]), "busy");
}

#[test]
fn anonymous_volumes_go_with_v() {
    let kelp = Kelp::busybox();
    kelp.ok(["create", "--name", "c", "-v", "/data", "-v", "named:/named", "busybox", "true"]);
    assert_eq!(kelp.run(["volume", "ls", "-q"]).lines().len(), 2);
    kelp.ok(["rm", "c"]);
    assert_eq!(kelp.run(["volume", "ls", "-q"]).lines().len(), 2, "rm alone keeps them");
    kelp.ok(["create", "--name", "c", "-v", "/data", "-v", "named:/named", "busybox", "true"]);
    kelp.ok(["rm", "-v", "c"]);
    assert_eq!(kelp.run(["volume", "ls", "-q"]).lines().len(), 2, "rm -v removes the anonymous one");
    kelp.ok(["volume", "rm", "named"]);
}

#[test]
fn first_use_copies_what_the_image_has() {
    let kelp = Kelp::new();
    let layer = Layer::new()
        .owned("srv/", 0o755, (0, 0), b"")
        .owned("srv/data/", 0o750, (1000, 50), b"")
        .owned("srv/data/seed", 0o640, (1000, 50), b"from the image\n")
        .link("srv/data/link", "seed");
    kelp.load_image(&Image::busybox().layer(layer).config("Volumes", json!({"/srv/data": {}})), "seeded");
    let look = "stat -c '%u:%g %a' /srv/data /srv/data/seed; cat /srv/data/seed; readlink /srv/data/link";
    let expected = "1000:50 750\n1000:50 640\nfrom the image\nseed";
    kelp.run(["run", "--rm", "seeded", "sh", "-c", look]).success().stdout(expected);
    kelp.run(["run", "--rm", "-v", "vv:/srv/data", "seeded", "sh", "-c", look]).success().stdout(expected);
    kelp.run(["run", "--rm", "-v", "vv:/srv/data", "seeded", "sh", "-c", "rm /srv/data/seed"]).success();
    kelp.run(["run", "--rm", "-v", "vv:/srv/data", "seeded", "ls", "/srv/data"]).success().stdout("link");
    kelp.run(["run", "--rm", "-v", "bare:/srv/data:nocopy", "seeded", "ls", "/srv/data"]).success().stdout("");
    kelp.run(["create", "--name", "c", "seeded", "true"]).success();
    let mounts = kelp.run(["inspect", "c"]).json();
    assert_eq!(mounts[0]["Mounts"][0]["Destination"], "/srv/data");
    assert_eq!(mounts[0]["Mounts"][0]["Type"], "volume");
    kelp.ok(["rm", "-v", "c"]);
    kelp.ok(["volume", "rm", "vv", "bare"]);
}

#[test]
fn binds() {
    let kelp = Kelp::busybox();
    let dir = kelp.open_dir("shared");
    std::fs::write(dir.join("in"), "from the host\n").unwrap();
    let bind = format!("{}:/mnt", dir.display());
    kelp.sh(&["-v", &bind], "cat /mnt/in; echo back > /mnt/out").success().stdout("from the host");
    assert_eq!(std::fs::read_to_string(dir.join("out")).unwrap(), "back\n");
    assert_eq!(std::fs::metadata(dir.join("out")).unwrap().uid(), rustix::process::getuid().as_raw(), "root inside is the user");
    kelp.sh(&["-v", &format!("{bind}:ro")], "cat /mnt/in; touch /mnt/x || echo refused").success().stdout("from the host\nrefused");
    let mount = format!("type=bind,src={},dst=/mnt,ro", dir.display());
    kelp.sh(&["--mount", &mount], "touch /mnt/x || echo refused").success().stdout("refused");
    let file = format!("{}:/etc/single:ro", dir.join("in").display());
    kelp.sh(&["-v", &file], "cat /etc/single").success().stdout("from the host");
    kelp.sh(&["-v", "./shared:/mnt"], "cat /mnt/in").success().stdout("from the host");
    for option in ["z", "Z", "rprivate", "rslave", "rshared", "ro,z"] {
        kelp.sh(&["-v", &format!("{bind}:{option}")], "cat /mnt/in").success().stdout("from the host");
    }
    kelp.run(["run", "--rm", "-v", &format!("{bind}:bogus"), "busybox", "true"]).code(125).stderr_has("bogus");
    let missing = format!("type=bind,src={}/nosuch,dst=/mnt", dir.display());
    kelp.run(["run", "--rm", "--mount", &missing, "busybox", "true"]).code(125).stderr_has("nosuch");
}

#[test]
fn binds_that_change_owner_or_are_overlaid() {
    let kelp = Kelp::busybox();
    let dir = kelp.open_dir("owned");
    std::fs::write(dir.join("f"), "x").unwrap();
    std::fs::set_permissions(dir.join("f"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let bind = format!("{}:/mnt", dir.display());
    kelp.sh(&["-v", &format!("{bind}:O")], "echo changed > /mnt/f; touch /mnt/new; cat /mnt/f").success().stdout("changed");
    assert_eq!(std::fs::read_to_string(dir.join("f")).unwrap(), "x", ":O keeps changes in the container");
    assert!(!dir.join("new").exists());
    kelp.run(["run", "--rm", "-u", "alice", "-v", &format!("{bind}:U"), "busybox", "sh", "-c", "stat -c %u /mnt/f; cat /mnt/f"])
        .success()
        .stdout("1000\nx");
}

#[test]
fn submounts_and_nested_targets() {
    let kelp = Kelp::busybox();
    let dir = kelp.open_dir("outer");
    let bind = format!("{}:/mnt", dir.display());
    let out = kelp.sh(&["-v", "deep:/mnt/a/b", "-v", &bind, "--tmpfs", "/mnt/t"], "touch /mnt/a/b/x /mnt/t/y /mnt/z; ls /mnt/a/b /mnt/t");
    out.success();
    assert!(dir.join("z").exists(), "a parent given later is mounted first");
    assert!(!dir.join("a/b/x").exists());
    kelp.ok(["volume", "rm", "deep"]);
}

#[test]
fn volumes_from_other_containers() {
    let kelp = Kelp::busybox();
    kelp.ok(["create", "--name", "source", "-v", "shared:/data", "busybox", "true"]);
    kelp.sh(&["--volumes-from", "source"], "echo here > /data/f").success();
    kelp.sh(&["--volumes-from", "source:ro"], "cat /data/f; touch /data/g || echo refused").success().stdout("here\nrefused");
    kelp.ok(["rm", "source"]);
    kelp.ok(["volume", "rm", "shared"]);
}

#[test]
fn export_and_import() {
    let kelp = Kelp::busybox();
    kelp.sh(&["-v", "aa:/d"], "echo one > /d/f; mkdir /d/sub; ln -s ../f /d/sub/l; chown 1000 /d/f").success();
    let tar = kelp.work().join("a.tar");
    kelp.run(["volume", "export", "-o", tar.to_str().unwrap(), "aa"]).success();
    kelp.ok(["volume", "create", "bb"]);
    kelp.run(["volume", "import", "bb", tar.to_str().unwrap()]).success();
    kelp.sh(&["-v", "bb:/d"], "cat /d/f; readlink /d/sub/l; stat -c %u /d/f").success().stdout("one\n../f\n1000");
    kelp.ok(["volume", "rm", "aa", "bb"]);
}

#[test]
fn invalid_mounts_are_refused_before_anything_is_made() {
    let kelp = Kelp::busybox();
    for flags in [
        &["-v", "vv:relative"][..],
        &["-v", ":/x"],
        &["-v", "a b:/x"],
        &["--mount", "type=bogus,dst=/x"],
        &["--mount", "type=bind,dst=/x"],
        &["--mount", "type=volume,src=v"],
        &["-v", "vv:/x", "--tmpfs", "/x"],
        &["--tmpfs", "relative"],
    ] {
        kelp.run(["run", "--rm"].iter().chain(flags).chain(&["busybox", "true"])).code(125);
    }
    assert_eq!(kelp.ok(["volume", "ls", "-q"]), "");
    assert_eq!(kelp.ok(["ps", "-aq"]), "");
}

/// The user has no id in these containers, and the volumes are the user's.
#[test]
fn containers_without_the_user_have_volumes_too() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    let base = ["run", "--name", "base", "--network", "none", "busybox", "sh", "-c", "mkdir -p /srv; mkdir -m 2750 /srv/d; touch /srv/d/f; chown -R 5:6 /srv/d"];
    kelp.run(base).success();
    kelp.ok(["commit", "--change", "VOLUME /srv/d", "base", "withd"]);
    for (at, mode) in [&["--userns", "auto"][..], &["--userns", "nomap"], &["--uidmap", "0:100:1000"]].into_iter().enumerate() {
        let run = |flags: &[&str], image: &str, script: &str| {
            kelp.run([&["run", "--rm", "--network", "none"], mode, flags, &[image, "sh", "-c", script]].concat())
        };
        let name = |kind: &str| format!("{kind}{at}:/srv/d");
        let look = "stat -c '%u:%g %a' /srv/d /srv/d/f; touch /srv/d/new && echo made";
        run(&["-v", &name("named")], "withd", look).success().stdout("5:6 2750\n5:6 644\nmade");
        run(&[], "withd", look).success().stdout("5:6 2750\n5:6 644\nmade");
        // Nothing in the image, or nothing wanted of it: of use all the same.
        let look = "stat -c '%u:%g' /srv/d; touch /srv/d/new && echo made";
        run(&["-v", &name("new")], "busybox", look).success().stdout("0:0\nmade");
        run(&["-v", &format!("{}:nocopy", name("nocopy"))], "withd", look).success().stdout("0:0\nmade");
        let dir = kelp.work().join(format!("given{at}"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join("f"), "").unwrap();
        let look = "stat -c '%u:%g' /w /w/f; touch /w/new && echo made";
        run(&["--user", "33:34", "-v", &format!("{}:/w:U", dir.display())], "busybox", look).success().stdout("33:34\n33:34\nmade");
        kelp.run(["unshare", "rm", "-r", dir.to_str().unwrap()]).success();
    }
}

/// `--userns auto` counts the ids of the image's users, and says what is missing where it was told a number.
#[test]
fn auto_takes_as_many_ids_as_the_image_has_users() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    let script = "echo app:x:1500:1500::/:/bin/sh >>/etc/passwd; mkdir -m 2750 /data; chown 1500:1500 /data";
    kelp.run(["run", "--name", "base", "--network", "none", "busybox", "sh", "-c", script]).success();
    kelp.ok(["commit", "--change", "VOLUME /data", "--change", "USER app", "base", "app"]);
    let run = |mode: &str, flags: &[&str], image: &str, command: &[&str]| {
        kelp.run([&["run", "--rm", "--network", "none", "--userns", mode], flags, &[image], command].concat())
    };
    let ids: &[&str] = &["sh", "-c", "awk '{ print $3 }' /proc/self/uid_map | head -n 1; id -u; stat -c '%u %a' /data; touch /data/f && echo made"];
    run("auto", &[], "app", ids).success().stdout("1501\n1500\n1500 2750\nmade");
    let ids: &[&str] = &["sh", "-c", "awk '{ print $3 }' /proc/self/uid_map; id -u"];
    run("auto", &[], "busybox", ids).success().stdout("1024\n0");
    run("auto", &["-u", "3000:3001"], "busybox", ids).success().stdout("3002\n3000");
    run("auto:size=1024", &[], "app", ids).code(125).stderr_has("id 1500 of user app").stderr_has("auto:size=1501");
    run("auto:size=50", &["-u", "50"], "busybox", ids).code(125).stderr_has("would have 50 ids; give --userns auto:size=51");
    // Owners that no account file names.
    let script = "mkdir -m 700 /data; echo kept >/data/f; chmod 600 /data/f; chown -R 1700:1700 /data";
    kelp.run(["run", "--name", "other", "--network", "none", "busybox", "sh", "-c", script]).success();
    kelp.ok(["commit", "--change", "VOLUME /data", "other", "owned"]);
    let look: &[&str] = &["sh", "-c", "awk '{ print $3 }' /proc/self/uid_map | head -n 1; stat -c %u:%g /data /data/f; cat /data/f"];
    run("auto", &[], "owned", look).success().stdout("1701\n1700:1700\n1700:1700\nkept");
    run("auto", &["-v", "named:/data"], "owned", look).success().stdout("1701\n1700:1700\n1700:1700\nkept");
    run("auto:size=1024", &[], "owned", look).code(125).stderr_has("fill volume").stderr_has("the 1024 of this container").stderr_has("auto:size=1701");
    kelp.detached(&["--userns", "auto", "--name", "c", "busybox", "sleep", "1000"]);
    kelp.run(["exec", "-u", "2000", "c", "true"]).failure().stderr_has("among the 1024").stderr_has("auto:size=2001");
    kelp.run(["exec", "-u", "0:2000", "c", "true"]).failure().stderr_has("auto:size=2001");
}
