//! `unshare`, and what is mounted inside it: images and containers. `diff` of images. `system reset`.

use std::fs;

use crate::support::{Image, Kelp, Layer, program};

/// A script with the program as `$K`, inside `kelp unshare`.
fn inside(kelp: &Kelp, script: &str) -> crate::support::Output {
    let script = format!("K={}\n{script}", program().display());
    kelp.run(["unshare", "sh", "-ec", &script])
}

#[test]
fn a_program_is_root_of_the_namespace() {
    let kelp = Kelp::busybox();
    let dir = kelp.open_dir("left");
    let mount = format!("{}:/d", dir.display());
    kelp.run(["run", "--rm", "-v", &mount, "busybox", "sh", "-c", "mkdir /d/sub; touch /d/sub/f; chown -R 33:44 /d/sub; chmod 700 /d/sub"]).success();
    assert!(fs::read_dir(dir.join("sub")).is_err());
    kelp.run(["unshare", "stat", "-c", "%u %g", dir.join("sub/f").to_str().unwrap()]).success().stdout("33 44\n");
    kelp.run(["unshare", "rm", "-r", dir.join("sub").to_str().unwrap()]).success();
    kelp.run(["unshare", "id", "-u"]).success().stdout("0\n");
    kelp.run(["unshare", "sh", "-c", "exit 7"]).code(7);
    kelp.run(["unshare", "no-such-program"]).code(127);
    kelp.run(["unshare", "/etc"]).code(126);
    kelp.cmd(["unshare"]).env("SHELL", "/bin/sh").stdin("id -u").output().success().stdout("0\n");
    // Everything works inside as it does outside, and is the same.
    inside(&kelp, "$K run --name within busybox true; $K unshare id -u").success().stdout("0\n");
    kelp.run(["ps", "-a", "--format", "{{.Names}}"]).stdout("within");
    inside(&kelp, "mount -t tmpfs none /mnt; touch /mnt/here").success();
    assert!(!std::path::Path::new("/mnt/here").exists());
}

#[test]
fn images_are_mounted_to_be_read() {
    let kelp = Kelp::busybox();
    let image = Image::busybox().layer(Layer::new().file("mark", 0o644, "x").file("bin/.wh.sh", 0o644, ""));
    kelp.load_image(&image, "app");
    kelp.run(["image", "mount", "app"]).failure().stderr_has("kelp unshare");
    for driver in ["overlay", "fuse"] {
        let script = format!(
            "K=\"$K --storage-driver {driver}\"
            app=$($K image mount app); [ \"$app\" = \"$($K image mount app)\" ]
            cat $app/mark; [ ! -e $app/bin/sh ]; [ -x $app/bin/busybox ]; ! touch $app/new 2>/dev/null
            one=$($K image mount busybox); [ -x $one/bin/sh ]
            $K image mount | grep -c /mnt/image/
            $K image mount --format json | grep -q mountpoint
            cd $app; ! $K image unmount app 2>/dev/null; cd /
            $K image unmount app; [ ! -e $app/mark ]
            ! $K image unmount app 2>/dev/null
            $K image umount -a; $K image mount"
        );
        let out = inside(&kelp, &script);
        let id = |name: &str| kelp.ok(["image", "inspect", "-f", "{{.Id}}", name])[7..].to_owned();
        out.success().stdout(&format!("x2\n{}\n{}\n", id("app"), id("busybox")));
    }
    // Removed, an image is not left mounted.
    inside(&kelp, "$K image mount app >/dev/null; $K rmi app >/dev/null; $K image mount; grep -c /mnt/image/ /proc/self/mountinfo || true").success().stdout("0\n");
    kelp.no_process_left();
}

#[test]
fn containers_are_mounted_to_be_changed() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--name", "box", "busybox", "sh", "-c", "echo own > /own; rm /etc/passwd"]).success();
    kelp.run(["mount", "box"]).failure().stderr_has("kelp unshare");
    for driver in ["overlay", "fuse"] {
        let script = format!(
            "K=\"$K --storage-driver {driver}\"; m=$($K mount box); cat $m/own; [ ! -e $m/etc/passwd ]; echo {driver} > $m/put
            $K mount; $K umount box; [ ! -e $m/own ]"
        );
        let id = kelp.inspect("box", "{{.Id}}");
        inside(&kelp, &script).success().stdout_has("own").stdout_has(&id[..12]);
        assert_eq!(kelp.ok(["diff", "box"]).lines().filter(|line| *line == "A /put").count(), 1);
    }
    kelp.run(["cp", "box:/put", "put"]).success();
    assert_eq!(fs::read_to_string(kelp.work().join("put")).unwrap(), "fuse\n");
    let running = kelp.detached(&["--storage-driver", "overlay", "busybox", "sleep", "1000"]);
    inside(&kelp, &format!("m=$($K mount {running}); echo live > $m/live; $K unmount --all")).success();
    kelp.run(["exec", &running, "cat", "/live"]).success().stdout("live\n");
}

#[test]
fn what_an_image_changed() {
    let kelp = Kelp::busybox();
    let image = Image::busybox()
        .layer(Layer::new().dir("d/", 0o755).file("d/same", 0o644, "s").file("d/old", 0o644, "o").file("gone", 0o644, "g"))
        .layer(Layer::new().dir("d/", 0o755).file("d/same", 0o644, "s").file("d/old", 0o600, "o").file(".wh.gone", 0o644, "").file("d/new/deep", 0o644, "n"));
    kelp.load_image(&image, "app");
    let changes = "C /d\nA /d/new\nA /d/new/deep\nC /d/old\nD /gone\n";
    kelp.run(["image", "diff", "app"]).success().stdout(changes);
    kelp.run(["diff", "app"]).success().stdout(changes);
    kelp.run(["--storage-driver", "fuse", "image", "diff", "app"]).success().stdout(changes);
    kelp.run(["image", "diff", "app", "busybox"]).success().stdout("A /d\nA /d/new\nA /d/new/deep\nA /d/old\nA /d/same\n");
    kelp.run(["image", "diff", "busybox", "app"]).success().stdout("D /d\n");
    kelp.run(["image", "diff", "app", "app"]).success().stdout("");
    let json = kelp.run(["image", "diff", "--format", "json", "app"]).json();
    assert_eq!(json["deleted"], serde_json::json!(["/gone"]));
    kelp.run(["image", "diff", "nosuch"]).failure().stderr_has("nosuch");
}

#[test]
fn reset_leaves_nothing_but_the_configuration() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "-d", "--name", "running", "-v", "data:/data", "busybox", "sleep", "1000"]).success();
    kelp.run(["network", "create", "net"]).success();
    fs::create_dir_all(kelp.config()).unwrap();
    fs::write(kelp.config().join("config.toml"), "[log]\n").unwrap();
    fs::write(kelp.data().join("mine"), "x").unwrap();
    kelp.cmd(["system", "reset"]).stdin("n\n").output().success();
    kelp.run(["exec", "running", "true"]).success();
    kelp.run(["system", "reset", "--force"]).success();
    kelp.no_process_left();
    for list in [&["ps", "-aq"][..], &["images", "-aq"], &["volume", "ls", "-q"]] {
        kelp.run(list).success().stdout("");
    }
    kelp.run(["network", "exists", "net"]).code(1);
    assert!(kelp.config().join("config.toml").exists());
    let left: Vec<_> = fs::read_dir(kelp.data()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["mine"]);
    fs::remove_file(kelp.data().join("mine")).unwrap();
}

/// A server that stayed in the namespace would keep it, and with it the mount whose end it waits for.
#[test]
fn the_server_of_an_overlay_ends_with_the_namespace() {
    crate::needs!("fuse");
    let kelp = Kelp::new();
    let script = "mkdir lower view other; touch lower/f; $K overlay-mount -o lowerdir=$PWD/lower view; ls view; \
        $K overlay-mount -o lowerdir=$PWD/lower other; ls other; $K overlay-mount -o lowerdir=/no/such/place view 2>&1 || true";
    // Ends when nobody holds its standard error any more.
    let done = inside(&kelp, script);
    done.success().stdout_has("f\nf\n").stdout_has("/no/such/place");
    kelp.no_process_left();
}

#[test]
fn an_overlay_is_refused_where_its_directories_overlap() {
    crate::needs!("fuse");
    let kelp = Kelp::new();
    let script = "mkdir -p lower up/in view w; m() { $K overlay-mount -o lowerdir=$PWD/lower,$1 view 2>&1 || true; }; \
        m upperdir=$PWD/up,workdir=$PWD/up; m upperdir=$PWD/up,workdir=$PWD/up/in; m upperdir=$PWD/up/in,workdir=$PWD/up; ls up; \
        m upperdir=$PWD/up,workdir=$PWD/w,noatime; grep -c 'view.*noatime' /proc/mounts";
    let apart = "kelp: cannot make an overlay: workdir and upperdir must be apart, neither inside the other\n";
    inside(&kelp, script).success().stdout(&format!("{}in\n1", apart.repeat(3)));
}
