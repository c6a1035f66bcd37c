//! `commit`: what a container changed becomes a layer, whichever driver, running or not.

use std::fs;

use crate::support::Kelp;

/// Everything a layer can say.
const CHANGES: &str = "echo new > /etc/new; rm /etc/passwd; mkdir -p /srv/deep; echo a > /srv/deep/a; ln /srv/deep/a /srv/b; \
    ln -s b /srv/soft; chmod 4750 /srv/b; chown 33:44 /srv/deep; mkfifo /srv/pipe; rm -rf /var; mkdir /var; echo v > /var/v; \
    dd if=/dev/zero of=/srv/sparse bs=1 count=1 seek=40000000 2>/dev/null; touch \"/srv/a name\"";
/// Tells all of it.
const LOOK: &str = "cat /etc/new; ls /etc/passwd; cat /srv/b; readlink /srv/soft; stat -c '%a %u %g %h %F' /srv/b /srv/deep /srv/pipe; \
    ls -A /var; stat -c %s /srv/sparse; ls /srv";
const SEEN: &str = "new\na\nb\n4750 0 0 2 regular file\n755 33 44 2 directory\n644 0 0 1 fifo\nv\n40000001\na name\nb\ndeep\npipe\nsoft\nsparse\n";

fn look(kelp: &Kelp, flags: &[&str], image: &str) {
    let args = flags.iter().copied().chain(["run", "--rm", image, "sh", "-c", LOOK]);
    kelp.run(args).stdout(SEEN);
}

#[test]
fn with_both_drivers_running_and_stopped() {
    let kelp = Kelp::busybox();
    for driver in ["overlay", "fuse"] {
        let own = ["--storage-driver", driver];
        let stopped = format!("stopped-{driver}");
        let mut args = own.to_vec();
        args.extend(["run", "--name", &stopped, "busybox", "sh", "-c", CHANGES]);
        kelp.run(args).success();
        let id = kelp.ok(["commit", "-q", &stopped, "made"]);
        assert!(id.starts_with("sha256:") && id.len() == 71, "{id}");
        look(&kelp, &["--storage-driver", "overlay"], "made");
        look(&kelp, &["--storage-driver", "fuse"], "made");
        let squashed = kelp.ok(["commit", "--squash", &stopped, "squashed"]);
        assert_ne!(squashed, id);
        look(&kelp, &own, "squashed");
        assert_eq!(kelp.inspect("squashed", "{{len .RootFS.Layers}}"), "1");

        let running = format!("running-{driver}");
        let script = format!("{CHANGES}; echo ready; exec sleep 1000");
        let mut args = own.to_vec();
        args.extend(["run", "-d", "--name", &running, "busybox", "sh", "-c", &script]);
        kelp.run(args).success();
        kelp.wait_log(&running, "ready");
        kelp.ok(["commit", &running, "made-running"]);
        look(&kelp, &own, "made-running");
        assert_eq!(kelp.inspect(&running, "{{.State.Status}}"), "running");
        kelp.ok(["rm", "-f", "-t", "0", &running]);
    }
}

#[test]
fn the_same_changes_make_the_same_layer() {
    let kelp = Kelp::busybox();
    let mut layers = Vec::new();
    for (name, driver) in [("one", "overlay"), ("two", "fuse")] {
        let flags = ["--storage-driver", driver, "run", "--name", name, "busybox", "sh", "-c", CHANGES];
        kelp.run(flags).success();
        kelp.cmd(["commit", name, name]).env("SOURCE_DATE_EPOCH", "1700000000").output().success();
        layers.push(kelp.ok(["image", "inspect", "-f", "{{json .RootFS.Layers}} {{.Created}}", name]));
    }
    assert_eq!(layers[0], layers[1]);
    assert!(layers[0].contains("2023-11-14T22:13:20"), "{}", layers[0]);
    // What a store writes, another one reads to the same image.
    kelp.ok(["save", "-o", "one.tar", "one"]);
    let other = Kelp::new();
    other.load(&kelp.work().join("one.tar"));
    let id = ["image", "inspect", "-f", "{{.Id}}", "one"];
    assert_eq!(other.ok(id), kelp.ok(id));
    look(&other, &[], "one");
}

#[test]
fn owners_are_the_images_with_keep_id() {
    let kelp = Kelp::busybox();
    let script = "id -u > /tmp/who; touch /tmp/mine";
    kelp.run(["run", "--name", "kept", "--userns", "keep-id", "busybox", "sh", "-c", script]).success();
    kelp.ok(["commit", "kept", "kept"]);
    let uid = rustix::process::getuid().as_raw();
    let show = "stat -c '%u' /tmp/mine /bin/busybox";
    kelp.run(["run", "--rm", "kept", "sh", "-c", show]).stdout(&format!("{uid}\n0\n"));
    kelp.run(["run", "--rm", "--userns", "keep-id", "kept", "sh", "-c", show]).stdout(&format!("{uid}\n0\n"));
}

#[test]
fn configuration_and_history() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--name", "box", "-e", "A=1", "-l", "own=yes", "-v", "/data", "-w", "/tmp", "busybox", "true"]).success();
    let id = kelp.ok([
        "commit", "-m", "a comment", "-a", "Jo", "-c", "CMD [\"echo\",\"hi\"]", "-c", "ENTRYPOINT [\"/bin/env\"]", "-c", "ENV B=2",
        "-c", "EXPOSE 80", "-c", "LABEL x=y", "-c", "ONBUILD RUN true", "-c", "STOPSIGNAL SIGINT", "-c", "USER 5", "-c",
        "VOLUME /v", "-c", "WORKDIR /srv", "--include-volumes", "--iidfile", "id.txt", "-p=false", "box", "made:v1",
    ]);
    assert_eq!(fs::read_to_string(kelp.work().join("id.txt")).unwrap(), id);
    let image = kelp.run(["image", "inspect", "made:v1"]).json();
    let config = &image[0]["Config"];
    assert_eq!(config["Cmd"], serde_json::json!(["echo", "hi"]));
    assert_eq!(config["Entrypoint"], serde_json::json!(["/bin/env"]));
    let env = config["Env"].to_string();
    assert!(env.contains("A=1") && env.contains("B=2") && !env.contains("container="), "{env}");
    assert_eq!(config["Volumes"], serde_json::json!({"/data": {}, "/v": {}}));
    assert_eq!((&config["User"], &config["WorkingDir"]), (&"5".into(), &"/srv".into()));
    assert_eq!(config["Labels"], serde_json::json!({"own": "yes", "x": "y"}));
    assert_eq!(image[0]["Author"], "Jo");
    assert_eq!(kelp.ok(["history", "--format", "{{.Comment}}", "made:v1"]).lines().next(), Some("a comment"));
    // Mount points are no change.
    kelp.ok(["save", "-o", "made.tar", "made:v1"]);
    kelp.run(["commit", "-c", "RUN true", "box"]).failure().stderr_has("RUN cannot be set");
    kelp.run(["commit", "nosuch"]).failure().stderr_has("nosuch");
    kelp.run(["commit", "-f", "bogus", "box"]).failure().stderr_has("oci or docker");
    kelp.ok(["create", "--name", "fresh", "busybox", "true"]);
    let unchanged = kelp.ok(["commit", "fresh"]);
    kelp.run(["run", "--rm", &unchanged, "true"]).success();
}

#[test]
fn killed_at_any_moment() {
    let kelp = Kelp::busybox();
    let script = "for i in $(seq 300); do mkdir -p /d/$i; echo $i > /d/$i/f; done";
    kelp.run(["run", "--name", "box", "busybox", "sh", "-c", script]).success();
    for delay in [1, 5, 10, 20, 30, 45, 60, 80, 110, 150] {
        let process = kelp.start(["commit", "box", "made"]);
        std::thread::sleep(std::time::Duration::from_millis(delay));
        process.signal(rustix::process::Signal::KILL);
        process.wait();
        let listed = kelp.run(["run", "--rm", "--pull", "never", "made", "sh", "-c", "ls /d | wc -l"]);
        assert!(listed.code == 125 || listed.text() == "300", "{listed:?}");
        kelp.run(["rmi", "made"]);
    }
    kelp.ok(["commit", "box", "made"]);
    kelp.run(["run", "--rm", "made", "sh", "-c", "ls /d | wc -l"]).stdout("300\n");
}
