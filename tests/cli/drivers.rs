//! Storage drivers: which one serves a container, and that everything works on a host that refuses the kernel's overlay.

use std::fs;

use crate::needs;
use crate::support::{Kelp, SOON, until};

/// The type of a container's root in its own `/proc/mounts`.
const ROOT_TYPE: &str = "while read -r what where kind rest; do [ $where = / ] && echo $kind; done < /proc/mounts | tail -n 1";

#[test]
fn the_driver_asked_for_is_the_one_used() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    for (driver, kind) in [("fuse", "fuse.kelp"), ("overlay", "overlay")] {
        let args = ["--storage-driver", driver, "run", "--rm", "--network", "none", "busybox", "sh", "-c", ROOT_TYPE];
        kelp.run(args).success().stdout(kind);
    }
    if let Ok(driver) = std::env::var("KELP_TEST_DRIVER") {
        let kind = if driver == "fuse" { "fuse.kelp" } else { "overlay" };
        kelp.sh(&["--network", "none"], ROOT_TYPE).success().stdout(kind);
    }
}

#[test]
fn files_of_a_stopped_container_without_the_kernels_overlay() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    let fuse = |args: &[&str]| kelp.run(["--storage-driver", "fuse"].iter().chain(args));
    let script = "[ -e /in/new ] && cat /in/new && exit; mkdir /in; echo out > /out; chown 7:8 /out; rm /bin/true; sync";
    let id = fuse(&["create", "--network", "none", "-v", "vol:/vol", "busybox", "sh", "-c", script]).success().text();
    fuse(&["start", "-a", &id]).success();
    let out = kelp.work().join("out");
    fuse(&["cp", &format!("{id}:/out"), &out.display().to_string()]).success();
    assert_eq!(fs::read_to_string(&out).unwrap(), "out\n");
    let new = kelp.file("new", "came in\n");
    fuse(&["cp", &new.display().to_string(), &format!("{id}:/in/new")]).success();
    fuse(&["cp", &new.display().to_string(), &format!("{id}:/vol/new")]).success();
    let diff = fuse(&["diff", &id]).success().text();
    assert!(diff.contains("D /bin/true") && diff.contains("A /out") && diff.contains("A /in/new"), "{diff}");
    let tar = kelp.work().join("root.tar");
    fuse(&["export", "-o", &tar.display().to_string(), &id]).success();
    let mut archive = tar::Archive::new(fs::File::open(&tar).unwrap());
    let mut seen = Vec::new();
    for entry in archive.entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        seen.push((entry.path().unwrap().display().to_string(), header.uid().unwrap(), header.gid().unwrap()));
    }
    assert!(seen.contains(&("out".to_owned(), 7, 8)), "owners are those the container gave");
    assert!(seen.iter().any(|(path, ..)| path == "in/new") && !seen.iter().any(|(path, ..)| path == "bin/true"));
    // The server of that mount is gone: the container starts again, with what was put in.
    fuse(&["start", "-a", &id]).success().stdout("came in");
    kelp.sh(&["-v", "vol:/vol"], "cat /vol/new").success().stdout("came in");
    kelp.ok(["rm", &id]);
    kelp.ok(["volume", "rm", "vol"]);
}

#[test]
fn shifted_ids_survive_a_volume_archive() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    let keep = ["--network", "none", "--userns", "keep-id:uid=1000,gid=1000"];
    let with = |volume: &str, script: &str| kelp.sh(&[&keep[..], &["-v", volume]].concat(), script);
    with("one:/data", "cd /data && touch mine").success();
    // Root of a keep-id container is not the user; its files are neither.
    let flags = [&keep[..], &["--user", "0", "-v", "one:/data"]].concat();
    kelp.sh(&flags, "touch /data/roots; chown 33:34 /data/mine; cp -p /data/mine /data/copy").success();
    let list = "cd /data && stat -c '%n %u %g' copy mine roots";
    let before = with("one:/data", list).success().text();
    assert_eq!(before, "copy 33 34\nmine 33 34\nroots 0 0");
    let tar = kelp.work().join("volume.tar").display().to_string();
    kelp.ok(["volume", "export", "-o", &tar, "one"]);
    kelp.ok(["volume", "create", "two"]);
    kelp.ok(["volume", "import", "two", &tar]);
    assert_eq!(with("two:/data", list).success().text(), before);
    kelp.ok(["volume", "rm", "one", "two"]);
}

#[test]
fn other_users_have_their_own_rights_and_no_more() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    let run = |args: &[&str]| kelp.run(["--storage-driver", "fuse"].iter().chain(args));
    let id = run(&["run", "-d", "--network", "none", "busybox", "sleep", "300"]).success().text();
    let exec = |user: &str, script: &str| run(&["exec", "--user", user, &id, "sh", "-c", script]);
    // Sticky: only the owner removes and renames.
    exec("0", "mkdir -m 1777 /t; touch /t/a; chown 5:5 /t/a").success();
    exec("6", "rm -f /t/a").failure();
    exec("6", "mv /t/a /t/b").failure();
    exec("5", "mv /t/a /t/b && rm /t/b").success();
    // What others may not read, write or search; of the image and of the container.
    exec("0", "mkdir -m 700 /closed; echo x > /closed/f; echo y > /secret; chmod 600 /secret").success();
    for script in ["cat /closed/f", "ls /closed", "cat /secret", "echo z > /secret", "touch /new", "rm /bin/true", "chmod 777 /secret"] {
        exec("6", script).failure();
    }
    // A set-group-id directory hands on its group; a file belongs to who made it.
    exec("0", "mkdir /g; chown 0:7 /g; chmod 2777 /g").success();
    exec("6:6", "touch /g/f; mkdir /g/d; stat -c '%u:%g %a' /g/f /g/d").success().stdout("6:7 644\n6:7 2755");
    // Writing ends set-user-id, by each way of writing.
    exec("0", "for f in a b c; do echo x > /$f; chmod 6777 /$f; done; stat -c %a /a").success().stdout("6777");
    exec("6", "echo y > /a; echo y >> /b; dd if=/dev/zero of=/c conv=notrunc count=1 2>/dev/null; stat -c %a /a /b /c")
        .success()
        .stdout("777\n777\n777");
    exec("0", "rm -f /usr/x; cat /a /b").success().stdout("y\nx\ny");
    run(&["rm", "-f", "-t", "0", &id]).success();
}

#[test]
fn a_killed_command_leaves_no_server() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    let id = kelp.ok(["--storage-driver", "fuse", "create", "--network", "none", "busybox", "true"]);
    let process = kelp.cmd(["--storage-driver", "fuse", "cp", "-", &format!("{id}:/")]).stdin_pipe().start();
    let served = || kelp.processes().iter().any(|left| left.text().contains("--with-parent"));
    until("the container's files are served", SOON, served);
    process.signal(rustix::process::Signal::KILL);
    until("the server is gone", SOON, || !served());
    drop(process);
    kelp.ok(["--storage-driver", "fuse", "start", "-a", &id]);
    kelp.ok(["rm", &id]);
}
