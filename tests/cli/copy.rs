//! `cp` by docker's table, as archives, with owners; what a volume's options and subpaths show.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use serde_json::json;

use crate::needs;
use crate::support::{Image, Kelp, Layer};

/// A container with `/dir/sub/leaf`, `/file`, `/link` → `file` and an empty `/there`, running or stopped.
fn container(kelp: &Kelp, running: bool) -> String {
    let script = "mkdir -p /dir/sub /there; echo leaf > /dir/sub/leaf; echo file > /file; ln -s file /link; touch /ready; exec sleep 300";
    let id = kelp.detached(&["--network", "none", "-v", "vol:/vol", "busybox", "sh", "-c", script]);
    crate::support::until("it is ready", crate::support::SOON, || kelp.run(["diff", &id]).text().contains("/ready"));
    if !running {
        kelp.ok(["kill", &id]);
        kelp.ok(["wait", &id]);
    }
    id
}

#[test]
fn what_comes_out_lands_as_docker_says() {
    let kelp = Kelp::busybox();
    for running in [true, false] {
        let id = container(&kelp, running);
        let work = kelp.work().join(if running { "up" } else { "down" });
        fs::create_dir_all(work.join("there")).unwrap();
        let cp = |from: &str, to: &str| kelp.run(["cp", &format!("{id}:{from}"), &format!("{}/{to}", work.display())]);
        let read = |path: &str| fs::read_to_string(work.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        cp("/file", "new").success().quiet();
        cp("/file", "there").success();
        cp("/file", "there/").success();
        cp("/dir", "newdir").success();
        cp("/dir", "there").success();
        fs::create_dir(work.join("into")).unwrap();
        cp("/dir/.", "into").success();
        cp("file", "relative").success();
        for path in ["new", "there/file", "relative"] {
            assert_eq!(read(path), "file\n");
            assert_eq!(fs::metadata(work.join(path)).unwrap().uid(), rustix::process::getuid().as_raw(), "{path}");
        }
        for path in ["newdir/sub/leaf", "there/dir/sub/leaf", "into/sub/leaf"] {
            assert_eq!(read(path), "leaf\n");
        }
        cp("/link", "link").success();
        assert!(fs::symlink_metadata(work.join("link")).unwrap().is_symlink());
        kelp.run(["cp", "-L", &format!("{id}:/link"), &format!("{}/followed", work.display())]).success();
        assert_eq!(read("followed"), "file\n");
        cp("/nothing", "x").failure().stderr_has("no such");
        cp("/file", "missing/").failure();
        cp("/dir", "new").failure();
        kelp.ok(["rm", "-f", "-t", "0", &id]);
    }
    kelp.ok(["volume", "rm", "vol"]);
}

#[test]
fn what_goes_in_is_roots_also_on_volumes() {
    let kelp = Kelp::busybox();
    let tree = kelp.open_dir("tree");
    fs::create_dir(tree.join("sub")).unwrap();
    fs::write(tree.join("sub/leaf"), "from the host\n").unwrap();
    fs::set_permissions(tree.join("sub/leaf"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("sub/leaf", tree.join("link")).unwrap();
    for running in [true, false] {
        let id = container(&kelp, running);
        let cp = |from: &str, to: &str| kelp.run(["cp", &format!("{}{from}", tree.display()), &format!("{id}:{to}")]);
        cp("", "/new").success();
        cp("", "/there").success();
        cp("/sub/leaf", "/link").success();
        cp("/sub/leaf", "/etc/hosts").success();
        cp("/.", "/vol").success();
        cp("", "/file").failure();
        kelp.run(["cp", &format!("{id}:/new"), &format!("{id}:/again")]).success();
        if !running {
            kelp.ok(["start", &id]);
        }
        let look = "cat /new/sub/leaf /there/tree/sub/leaf /file /vol/sub/leaf /again/link; stat -c '%u:%g %a' /new/sub/leaf /vol/link";
        let text = "from the host\n".repeat(5);
        crate::support::until("it runs", crate::support::SOON, || kelp.run(["exec", &id, "true"]).code == 0);
        let out = kelp.run(["exec", &id, "sh", "-c", look]);
        out.success();
        assert!(out.text().ends_with("0:0 640\n0:0 777"), "{}", out.text());
        // Started again, the container's own script writes /file anew.
        if running {
            assert!(out.text().starts_with(&text), "{}", out.text());
        }
        kelp.ok(["rm", "-f", "-t", "0", &id]);
        kelp.ok(["volume", "rm", "vol"]);
    }
}

#[test]
fn what_is_mounted_in_a_running_container_stays_mounted() {
    let kelp = Kelp::busybox();
    let bound = kelp.file("bound", "old\n");
    let new = kelp.file("new", "new\n").display().to_string();
    let tree = kelp.open_dir("tree");
    let etc = ["etc/bound", "etc/hosts", "etc/resolv.conf"];
    fs::create_dir_all(tree.join("etc")).unwrap();
    fs::create_dir_all(tree.join("dev")).unwrap();
    symlink("away", tree.join("dev/null")).unwrap();
    let mounts = format!("{}:/etc/bound", bound.display());
    let id = kelp.detached(&["-v", &mounts, "--tmpfs", "/d/t", "busybox", "sleep", "300"]);
    let count = |what: &str| {
        let mounted = kelp.run(["exec", &id, "cut", "-d ", "-f5", "/proc/self/mountinfo"]);
        let wanted = ["/etc/bound", "/etc/hosts", "/etc/resolv.conf", "/dev/null", "/d/t"];
        for name in wanted {
            assert!(mounted.text().lines().any(|line| line == name), "{what}: {name} is no longer mounted");
        }
    };
    let shows = |text: &str, what: &str| {
        for path in etc {
            kelp.run(["exec", &id, "cat", path]).success().stdout(text.trim_end());
        }
        assert_eq!(fs::read_to_string(&bound).unwrap(), text, "{what}");
        count(what);
    };
    let at = |path: &str| format!("{id}:{path}");
    count("at first");
    for path in etc {
        kelp.run(["cp", &new, &at(path)]).success();
    }
    shows("new\n", "a file");
    // Its own source.
    kelp.run(["cp", &bound.display().to_string(), &at("etc/bound")]).success();
    shows("new\n", "onto itself");
    for path in etc {
        fs::write(tree.join(path), "of a tree\n").unwrap();
    }
    kelp.run(["cp", &format!("{}/etc/.", tree.display()), &at("/etc")]).success();
    shows("of a tree\n", "a tree");
    let archive = |of: &str| {
        let mut tar = tar::Builder::new(Vec::new());
        tar.follow_symlinks(false);
        tar.append_dir_all(of, tree.join(of)).unwrap();
        tar.into_inner().unwrap()
    };
    for path in etc {
        fs::write(tree.join(path), "packed\n").unwrap();
    }
    kelp.cmd(["cp", "-", &at("/")]).stdin(archive("etc")).output().success();
    shows("packed\n", "an archive");
    // What cannot be written into is refused.
    kelp.run(["cp", &new, &at("/dev/null")]).failure().stderr_has("mount point");
    kelp.run(["cp", &format!("{}/dev/.", tree.display()), &at("/dev")]).failure().stderr_has("mount point");
    kelp.cmd(["cp", "-", &at("/")]).stdin(archive("dev")).output().failure().stderr_has("mount point");
    kelp.run(["cp", "--overwrite", &new, &at("/d")]).success();
    fs::write(tree.join("d"), "x").unwrap();
    for (from, to) in [("d", "/"), ("etc", "/etc/hosts")] {
        let from = tree.join(from).display().to_string();
        kelp.run(["cp", "--overwrite", &from, &at(to)]).failure().stderr_has("mount point");
    }
    shows("packed\n", "what was refused");
    let left = kelp.run(["exec", &id, "sh", "-c", "ls -A /etc /dev /d | grep kelp"]);
    left.stdout("");
}

#[test]
fn an_interrupted_copy_leaves_the_whole_or_nothing() {
    let kelp = Kelp::busybox();
    let big = kelp.work().join("big");
    let size = 128 << 20;
    fs::write(&big, vec![b'x'; size]).unwrap();
    kelp.ok(["create", "--name", "to", "-v", "vol:/vol", "busybox", "sh", "-c", "ls -A /vol; stat -c %s /vol/*"]);
    for (wait, signal) in [(20, "-INT"), (60, "-TERM"), (100, "-HUP"), (140, "-KILL")] {
        let copy = kelp.start(["cp", &big.display().to_string(), "to:/vol/big"]);
        std::thread::sleep(std::time::Duration::from_millis(wait));
        kelp.tool("kill", [signal, &copy.pid().to_string()]).output();
        drop(copy.wait());
        let left = kelp.run(["start", "-a", "to"]);
        let whole = format!("big\n{size}");
        let text = left.text();
        assert!(["", whole.as_str()].contains(&text.trim()), "{signal}: {text}");
    }
    kelp.ok(["rm", "-v", "to"]);
    kelp.ok(["volume", "rm", "vol"]);
}

/// What comes as an archive, too: a file is there as it was until the new one is whole.
#[test]
fn an_interrupted_archive_leaves_what_was_there() {
    needs!("fuse");
    for driver in ["overlay", "fuse"] {
        let kelp = Kelp::busybox();
        let create = ["--storage-driver", driver, "create", "--name", "to", "--network", "none", "busybox", "sh", "-c", "cat /d/f; ls -A /d | grep -v kelp"];
        kelp.run(create).success();
        let copy = || kelp.cmd(["--storage-driver", driver, "cp", "-", "to:/"]);
        let small = |text: &str| Layer::new().dir("d/", 0o755).file("d/f", 0o4755, text).finish();
        let shows = |text: &str| {
            kelp.run(["--storage-driver", driver, "start", "-a", "to"]).success().stdout(text);
        };
        copy().stdin(small("old\n")).output().success();
        shows("old\nf");
        let big = Layer::new().file("d/f", 0o644, vec![b'x'; 16 << 20]).finish();
        let half = &big[..8 << 20];
        copy().stdin(half).output().failure();
        shows("old\nf");
        let mut killed = copy().stdin_pipe().start();
        killed.write(half);
        killed.signal(rustix::process::Signal::KILL);
        killed.wait();
        shows("old\nf");
        // Where a file must have a name while it is made, that goes with the next copy into the directory.
        copy().stdin(small("new\n")).output().success();
        shows("new\nf");
        let tar = kelp.run(["--storage-driver", driver, "cp", "to:/d/.", "-"]);
        let mut archive = tar::Archive::new(&tar.success().stdout[..]);
        let modes: Vec<_> = archive.entries().unwrap().flatten().map(|entry| (entry.path().unwrap().into_owned(), entry.header().mode().unwrap() & 0o7777)).collect();
        assert!(modes.iter().any(|(path, mode)| path.ends_with("f") && *mode == 0o4755), "{modes:?}");
        assert!(!modes.iter().any(|(path, _)| path.display().to_string().contains("kelp")), "{driver}: {modes:?}");
        kelp.ok(["rm", "to"]);
    }
}

#[test]
fn a_volume_is_filled_before_something_is_copied_into_it() {
    let kelp = Kelp::new();
    let layer = Layer::new()
        .owned("srv/", 0o755, (0, 0), b"")
        .owned("srv/d/", 0o750, (33, 34), b"")
        .owned("srv/d/f", 0o640, (33, 34), b"of the image\n");
    kelp.load_image(&Image::busybox().layer(layer).config("Volumes", json!({"/srv/d": {}})), "seeded");
    let new = kelp.file("f2", "copied\n").display().to_string();
    let look = "stat -c '%u:%g %a' /srv/d /srv/d/f; cat /srv/d/f /srv/d/f2";
    let expected = "33:34 750\n33:34 640\nof the image\ncopied";
    for driver in ["auto", "fuse"] {
        for flags in [&[][..], &["--userns", "keep-id", "-u", "0"]] {
            let create = [&["--storage-driver", driver, "create", "--name", "v"], flags, &["seeded", "sh", "-c", look]].concat();
            kelp.ok(create);
            kelp.run(["--storage-driver", driver, "cp", &new, "v:/srv/d/f2"]).success();
            kelp.run(["--storage-driver", driver, "start", "-a", "v"]).success().stdout(expected);
            kelp.ok(["rm", "-v", "v"]);
        }
    }
    // Out of it, also by several at once.
    kelp.ok(["create", "--name", "v", "-v", "vol:/srv/d", "seeded", "true"]);
    let both = [(); 2].map(|()| kelp.start(["cp", "v:/srv/d/f", "-"]));
    for copy in both {
        assert_eq!(tar::Archive::new(&copy.wait().success().stdout[..]).entries().unwrap().count(), 1);
    }
    kelp.ok(["create", "--name", "bare", "-v", "bare:/srv/d:nocopy", "seeded", "true"]);
    kelp.run(["cp", "bare:/srv/d/f", "-"]).failure().stderr_has("no such file");
    kelp.ok(["rm", "-v", "v", "bare"]);
    kelp.ok(["volume", "rm", "vol", "bare"]);
}

#[test]
fn a_copy_lends_nobody_the_rights_of_its_new_owner() {
    let kelp = Kelp::new();
    let layer = Layer::new()
        .owned("bin/s33", 0o6755, (33, 33), b"x")
        .owned("bin/s0", 0o6755, (0, 0), b"x");
    kelp.load_image(&Image::busybox().layer(layer), "lends");
    kelp.ok(["create", "--name", "from", "lends", "true"]);
    let look = "stat -c '%u %a' /to/plain/s33 /to/plain/s0 /to/kept/s33";
    kelp.ok(["create", "--name", "to", "-v", "vol:/to", "lends", "sh", "-c", look]);
    let work = kelp.open_dir("to");
    for dir in ["plain", "kept"] {
        fs::create_dir(work.join(dir)).unwrap();
    }
    kelp.ok(["cp", &format!("{}/.", work.display()), "to:/to"]);
    kelp.ok(["cp", "from:/bin/s33", "to:/to/plain/"]);
    kelp.ok(["cp", "from:/bin/s0", "to:/to/plain/"]);
    kelp.ok(["cp", "-a", "from:/bin/s33", "to:/to/kept/"]);
    kelp.run(["start", "-a", "to"]).success().stdout("0 755\n0 6755\n33 6755");
    kelp.ok(["rm", "from", "to"]);
    kelp.ok(["volume", "rm", "vol"]);
}

#[test]
fn archives_go_through_dash() {
    let kelp = Kelp::busybox();
    let id = container(&kelp, true);
    let out = kelp.run(["cp", &format!("{id}:/dir"), "-"]);
    out.success();
    let mut names: Vec<String> = tar::Archive::new(&out.stdout[..])
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    names.sort();
    assert_eq!(names.iter().map(|name| name.trim_end_matches('/')).collect::<Vec<_>>(), ["dir", "dir/sub", "dir/sub/leaf"]);
    kelp.cmd(["cp", "-", &format!("{id}:/there")]).stdin(&out.stdout).output().success();
    kelp.run(["exec", &id, "cat", "/there/dir/sub/leaf"]).success().stdout("leaf");
    kelp.cmd(["cp", "-", &format!("{id}:/missing")]).stdin(&out.stdout).output().failure();
    for program in ["gzip", "bzip2", "xz", "zstd"] {
        let packed = match program {
            "zstd" => zstd::encode_all(&out.stdout[..], 1).unwrap(),
            _ if !std::path::Path::new("/usr/bin").join(program).exists() => continue,
            _ => kelp.tool(program, ["-c"]).stdin(&out.stdout).output().success().stdout.clone(),
        };
        kelp.ok(["exec", &id, "mkdir", &format!("/{program}")]);
        kelp.cmd(["cp", "-", &format!("{id}:/{program}")]).stdin(&packed).output().success();
        kelp.run(["exec", &id, "cat", &format!("/{program}/dir/sub/leaf")]).success().stdout("leaf");
        kelp.ok(["volume", "create", program]);
        kelp.cmd(["volume", "import", program, "-"]).stdin(&packed).output().success();
        kelp.sh(&["-v", &format!("{program}:/v")], "cat /v/dir/sub/leaf").success().stdout("leaf");
        kelp.ok(["volume", "rm", program]);
    }
    kelp.cmd(["cp", "-", &format!("{id}:/there")]).stdin(b"\xfd7zXZ\0damaged").output().failure().stderr_has("unpack");
    kelp.run(["cp", "a", "b"]).failure().stderr_has("CONTAINER:PATH");
}

#[test]
fn options_and_subpaths_of_volumes() {
    let kelp = Kelp::busybox();
    let dir = kelp.open_dir("outside");
    fs::write(dir.join("canary"), "untouched\n").unwrap();
    let device = format!("device={}", dir.display());
    kelp.ok(["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "bound"]);
    kelp.sh(&["-v", "bound:/d"], "cat /d/canary; echo x > /d/new").success().stdout("untouched");
    assert!(dir.join("new").exists());
    kelp.ok(["volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "memory"]);
    kelp.sh(&["-v", "memory:/d"], "grep ' /d ' /proc/mounts | cut -d' ' -f1; echo x > /d/f").success().stdout("tmpfs");
    kelp.run(["volume", "create", "-o", "type=nfs", "-o", "device=:/x", "far"]).failure().stderr_has("root");
    // A part of a volume, and a link in it that would lead to the host.
    let script = format!("mkdir /d/part; echo inner > /d/part/f; ln -s {} /d/away; ln -s part /d/alias", dir.display());
    kelp.sh(&["-v", "parts:/d"], &script).success();
    let mount = |path: &str| format!("type=volume,source=parts,target=/d,volume-subpath={path}");
    kelp.sh(&["--mount", &mount("part")], "ls /d; cat /d/f").success().stdout("f\ninner");
    for path in ["away", "alias", "../_data", "part/../../.."] {
        kelp.run(["run", "--rm", "--mount", &mount(path), "busybox", "cat", "/d/canary"]).code(125).stdout("");
    }
    kelp.ok(["volume", "rm", "bound", "memory", "parts"]);
    assert_eq!(fs::read_to_string(dir.join("canary")).unwrap(), "untouched\n");
}
