//! Single-id mode: no subordinate ids. The configuration asks for it, which is what a host without them comes to.

use std::ffi::OsStr;
use std::time::Duration;

use crate::needs;
use crate::support::{Kelp, debian_tar, image};

const MINUTES: Duration = Duration::from_secs(400);

/// A user with one id.
fn single() -> Kelp {
    let kelp = Kelp::new();
    std::fs::create_dir_all(kelp.config()).unwrap();
    std::fs::write(kelp.config().join("config.toml"), "[containers]\nsubordinate-ids = false\n").unwrap();
    kelp
}

fn single_busybox() -> Kelp {
    let kelp = single();
    kelp.load(&image::busybox_archive());
    kelp
}

fn single_debian() -> Kelp {
    let kelp = single();
    let tar = debian_tar().unwrap();
    kelp.run([OsStr::new("import"), OsStr::new("-c"), OsStr::new("CMD [\"bash\"]"), tar.as_os_str(), OsStr::new("debian")]).success();
    kelp
}

/// Owner, mode and kind of each path in a container's export, as `tar tv` shows them.
fn exported(kelp: &Kelp, container: &str, paths: &[&str]) -> String {
    let tar = kelp.work().join("exported.tar");
    kelp.run([OsStr::new("export"), OsStr::new("-o"), tar.as_os_str(), OsStr::new(container)]).success();
    let args = ["tar", "tvf"].map(str::to_owned).into_iter().chain([tar.display().to_string()]).chain(paths.iter().map(|&path| path.to_owned()));
    let shown = kelp.tool("/bin/busybox", args).output().success().text();
    let lines = shown.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn one_id_is_mapped_and_everything_goes_on() {
    let kelp = single_busybox();
    kelp.sh(&["--network", "none"], "id -u; awk '{print $1, $3}' /proc/self/uid_map; awk '/^Seccomp:/ {print $2}' /proc/self/status")
        .success()
        .stdout("0\n0 1\n2");
    kelp.sh(&["--network", "none", "--fake-ids", "none"], "touch /x; chown 5 /x").failure().stderr_has("invalid argument");
    kelp.sh(&["--network", "none", "--fake-ids", "some"], "true").code(125).stderr_has("use").stderr_has("full");
}

#[test]
fn owners_and_devices_are_recorded() {
    let kelp = single_busybox();
    let script = "cd /; touch f l2; chown 5:6 f; mkdir -p d/e; chown 7:8 d; chmod 2775 d; ln -s f l; chown -h 9:10 l; \
        mknod n c 1 3; mknod b b 7 0; mkfifo p; chown 11 p; ln f h; chmod 4711 f; chown :12 d/e; cd d/e; touch up; chown 13 ../e/up; \
        chown 1 /nonexistent || echo missing; chown 3 /proc/self/fd/1 && echo faked; stat -c %u:%g /f";
    kelp.run(["run", "--name", "c", "--network", "none", "busybox", "sh", "-c", script])
        .success()
        .stdout("missing\nfaked\n0:0");
    let paths = ["f", "d/", "l", "n", "b", "p", "d/e/", "d/e/up", "bin/busybox"];
    let expected = "-rwxr-xr-x 0/0\nbrw-r--r-- 0/0\ndrwxrwsr-x 7/8\ndrwxr-xr-x 0/12\n-rw-r--r-- 13/0\n-rws--x--x 5/6\nlrwxrwxrwx 9/10\ncrw-r--r-- 0/0\nprw-r--r-- 11/0";
    let mut lines: Vec<String> = exported(&kelp, "c", &paths).lines().map(str::to_owned).collect();
    let mut wanted: Vec<&str> = expected.lines().collect();
    lines.sort();
    lines.dedup();
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
    // A directory whose owner alone changed is a change.
    kelp.run(["run", "--name", "d", "--network", "none", "busybox", "chown", "33", "/root"]).success();
    kelp.run(["diff", "d"]).success().stdout("C /root");
    // And they stay with the image, over either driver, also where a stopped container's files are looked at.
    kelp.ok(["commit", "c", "made"]);
    for driver in ["overlay", "fuse"] {
        if driver == "fuse" && !crate::support::host_has(&["fuse"]) {
            continue;
        }
        kelp.ok(["--storage-driver", driver, "create", "--name", driver, "--network", "none", "made", "true"]);
        let tar = kelp.work().join("stopped.tar");
        kelp.ok(["--storage-driver", driver, "export", "-o", tar.to_str().unwrap(), driver]);
        let shown = kelp.tool("/bin/busybox", ["tar", "tvf", tar.to_str().unwrap(), "f", "d/", "d/e/up"]).output().success().text();
        for line in ["-rws--x--x 5/6 ", "drwxrwsr-x 7/8 ", "-rw-r--r-- 13/0 "] {
            assert!(shown.contains(line), "{driver}: {shown}");
        }
        let here = kelp.work().join("new");
        std::fs::write(&here, "new").unwrap();
        kelp.ok(["--storage-driver", driver, "cp", here.to_str().unwrap(), &format!("{driver}:/d/new")]);
        kelp.ok(["--storage-driver", driver, "start", "-a", driver]);
    }
    kelp.run(["run", "--rm", "--network", "none", "--fake-ids", "full", "made", "stat", "-c", "%u:%g %a", "/f", "/d"])
        .success()
        .stdout("5:6 4711\n7:8 2775");
}

#[test]
fn fully_faked_ids_are_believed() {
    let kelp = single_busybox();
    let full = ["--network", "none", "--fake-ids", "full"];
    let script = "echo ann:x:1234:1234::/tmp:/bin/sh >> /etc/passwd; touch /tmp/r; chown ann /tmp/r; stat -c %U /tmp/r; \
        su ann -c 'id -u; touch /tmp/mine; mkdir /tmp/dir; stat -c %U /tmp/mine /tmp/dir; (sleep 0; exec sh -c \"id -un\") & wait'; \
        su ann -c 'su -c id' </dev/null 2>&1 | head -n 1; id -u; mknod /n c 1 3; stat -c '%F %t:%T' /n; \
        su ann -c 'chown root /tmp/mine 2>/dev/null || stat -c %U /tmp/mine'";
    kelp.sh(&full, script).success().stdout_has("ann\n1234\nann\nann\nann\n").stdout_has("0\ncharacter special file 1:3\nann");
    // Someone else from the start, and with exec.
    kelp.run(["run", "-d", "--name", "c", "--network", "none", "--fake-ids", "full", "busybox", "sleep", "100"]).success();
    kelp.run(["exec", "-u", "12:34", "c", "sh", "-c", "id -u; id -g; touch /tmp/x; stat -c %u:%g /tmp/x"]).success().stdout("12\n34\n12:34");
    kelp.run(["exec", "c", "stat", "-c", "%u:%g", "/tmp/x"]).success().stdout("12:34");
    kelp.run(["exec", "c", "nosuchprogram"]).code(127);
}

#[test]
fn the_fuse_driver_knows_one_id_too() {
    needs!("fuse");
    let kelp = single_busybox();
    let run = ["--storage-driver", "fuse", "run", "--network", "none"];
    let all = |more: &[&'static str]| run.iter().chain(more).copied().collect::<Vec<_>>();
    let script = "cd /; id -u; touch f; chown 5:6 f; mkdir d; chown 7 d; chmod 2775 d; stat -c %u:%g /f /bin/busybox; mv f g; rm -r d";
    kelp.run(all(&["--name", "c", "busybox", "sh", "-c", script])).success().stdout("0\n0:0\n0:0");
    assert_eq!(exported(&kelp, "c", &["g"]), "-rw-r--r-- 5/6");
    kelp.run(all(&["--rm", "--fake-ids", "full", "busybox", "sh", "-c", "touch /f; chown 5:6 /f; stat -c %u:%g /f"])).success().stdout("5:6");
    kelp.run(all(&["--rm", "--user", "70:71", "busybox", "sh", "-c", "id -u; touch /tmp/f; stat -c %u:%g /tmp/f"])).success().stdout("70\n70:71");
    // What an image recorded stays with a file that is changed.
    kelp.ok(["commit", "c", "made"]);
    kelp.run(all(&["--name", "d", "made", "sh", "-c", "echo more >> /g; mv /g /h"])).success();
    assert_eq!(exported(&kelp, "d", &["h"]), "-rw-r--r-- 5/6");
}

#[test]
fn images_of_single_id_mode_are_right_with_many_ids() {
    needs!("fuse");
    let kelp = single_busybox();
    let script = "cd /; touch f; chown 5:6 f; chmod 4711 f; mkdir d; chown 7:8 d; mknod n c 1 3";
    kelp.run(["run", "--name", "c", "--network", "none", "busybox", "sh", "-c", script]).success();
    kelp.ok(["commit", "c", "made"]);
    kelp.ok(["rm", "c"]);
    kelp.run(["run", "--name", "old", "--network", "none", "busybox", "sh", "-c", "stat -c %u:%g /f 2>/dev/null || { touch /f; chown 5:6 /f; }"]).success();
    // The user was given subordinate ids. The namespace of before is there as long as something is in it, and what a command
    // leaves to be done behind it is.
    std::fs::remove_file(kelp.config().join("config.toml")).unwrap();
    let many = || {
        std::thread::sleep(Duration::from_millis(500));
        kelp.sh(&["--network", "none"], "grep -c . /proc/self/uid_map").success().text() != "1"
    };
    crate::support::until("the user has many ids", crate::support::SOON, many);
    let look = "stat -c '%u:%g %a' /f /d; stat -c %F /n; id -u; echo x > /d/new; chown 9:9 /d/new; echo more >> /f; stat -c %u:%g /d/new /f";
    let shown = "5:6 4711\n7:8 755\ncharacter special file\n0\n9:9\n5:6";
    kelp.run(["run", "--name", "d", "--network", "none", "made", "sh", "-c", look]).success().stdout(shown);
    assert_eq!(exported(&kelp, "d", &["f", "d/"]).lines().filter(|line| line.ends_with("5/6") || line.ends_with("7/8")).count(), 2);
    // What was not touched, a container of before, and an image made of that.
    kelp.ok(["create", "--name", "e", "--network", "none", "made", "true"]);
    for name in ["e", "old"] {
        let owner = exported(&kelp, name, &["f"]);
        assert!(owner.ends_with(" 5/6"), "{name}: {owner}");
    }
    kelp.run(["start", "-a", "old"]).success().stdout("5:6");
    for flags in [&[][..], &["--squash"]] {
        kelp.ok([&["commit"], flags, &["old", "renewed"]].concat());
        kelp.run(["run", "--rm", "--network", "none", "renewed", "stat", "-c", "%u:%g", "/f"]).success().stdout("5:6");
    }
    kelp.sh(&["--network", "none", "--userns", "keep-id"], "id -u").success().stdout(&rustix::process::getuid().as_raw().to_string());
    let file = kelp.file("Dockerfile", "FROM made\nRUN stat -c 'in a build %u:%g %a' /f && echo more >> /f\n");
    kelp.run([OsStr::new("build"), OsStr::new("--progress"), OsStr::new("plain"), OsStr::new("-t"), OsStr::new("built"), file.parent().unwrap().as_os_str()])
        .success()
        .stderr_has("in a build 5:6 4711");
    kelp.run(["run", "--rm", "--network", "none", "built", "stat", "-c", "%u:%g", "/f"]).success().stdout("5:6");
    // Copied from there, into a directory and over a file of there.
    let text = "FROM made AS first\nFROM made\nCOPY --from=first /f /copied\nCOPY --from=first /f /d/f\nCOPY --chown=9:9 Dockerfile /f\nRUN touch /d/by-run\n\
        COPY --from=first --chown=21:22 /d /d2\nRUN mkdir /x && chown 3:3 /x\nCOPY --chown=4:4 Dockerfile /x/y\n";
    kelp.file("Dockerfile", text);
    kelp.run([OsStr::new("build"), OsStr::new("-q"), OsStr::new("-t"), OsStr::new("built"), file.parent().unwrap().as_os_str()]).success();
    kelp.run(["run", "--rm", "--network", "none", "built", "stat", "-c", "%n %u:%g %a", "/copied", "/d", "/d/f", "/f", "/d/by-run", "/d2", "/x", "/x/y"])
        .success()
        .stdout("/copied 5:6 4711\n/d 7:8 755\n/d/f 5:6 4711\n/f 9:9 644\n/d/by-run 0:0 644\n/d2 21:22 755\n/x 3:3 755\n/x/y 4:4 644");
    let (tar, ctx) = (kelp.work().join("built.tar"), file.parent().unwrap().display().to_string());
    kelp.run(["build", "-q", "-o", &format!("type=tar,dest={}", tar.display()), &ctx]).success();
    let shown = kelp.tool("/bin/busybox", ["tar", "tvf", tar.to_str().unwrap()]).output().success().text();
    for line in ["-rws--x--x 5/6 copied", "drwxr-xr-x 7/8 d/", "-rw-r--r-- 9/9 f", "drwxr-xr-x 21/22 d2/", "drwxr-xr-x 3/3 x/", "-rw-r--r-- 4/4 x/y"] {
        let words: Vec<&str> = line.split(' ').collect();
        let found = shown.lines().any(|shown| {
            let shown: Vec<&str> = shown.split_whitespace().collect();
            shown.len() > 5 && [shown[0], shown[1], shown[5]] == words[..]
        });
        assert!(found, "{line} in {shown}");
    }
    // Elsewhere, where nothing is recorded.
    kelp.ok(["save", "-o", tar.to_str().unwrap(), "built"]);
    let other = Kelp::new();
    other.load(&tar);
    other.run(["run", "--rm", "--network", "none", "built", "stat", "-c", "%n %u:%g", "/copied", "/d", "/d/f", "/x"]).success().stdout("/copied 5:6\n/d 7:8\n/d/f 5:6\n/x 3:3");
}

/// A command that ends leaves processes in its namespace for a moment; what comes then may find it, or no longer.
#[test]
fn ids_granted_between_two_commands_confuse_nobody() {
    let kelp = single_busybox();
    kelp.sh(&["--network", "none"], "true").success();
    for round in 0..4 {
        std::fs::remove_file(kelp.config().join("config.toml")).unwrap();
        for user in ["33", "0", "5", "33", "0"] {
            kelp.sh(&["--network", "none", "-u", user], "id -u").success().stdout(user);
        }
        std::fs::write(kelp.config().join("config.toml"), "[containers]\nsubordinate-ids = false\n").unwrap();
        for user in ["5", "0", "33"] {
            let told = kelp.sh(&["--network", "none", "-u", user], "id -u");
            assert_eq!(told.success().text(), user, "round {round}");
        }
    }
}

#[test]
fn the_user_asked_for_is_the_caller() {
    let kelp = single_busybox();
    let script = "id -u; id -g; stat -c %u /; touch /tmp/x && stat -c %u:%g /tmp/x; cat /proc/self/uid_map | awk '{print $1, $3}'";
    kelp.sh(&["--network", "none", "--user", "70:71"], script).success().stdout("70\n71\n70\n70:71\n70 1");
    // By name, as the image has it; what it makes is its own in the image too.
    kelp.run(["run", "--name", "base", "--network", "none", "busybox", "sh", "-c", "mkdir -p /home/ann; echo ann:x:1234:1234::/home/ann:/bin/sh >> /etc/passwd"]).success();
    kelp.ok(["commit", "base", "withann"]);
    kelp.run(["run", "--name", "c", "--network", "none", "--user", "ann", "withann", "sh", "-c", "whoami; touch ~/file"]).success().stdout("ann");
    assert_eq!(exported(&kelp, "c", &["home/ann/file"]), "-rw-r--r-- 1234/1234");
    kelp.run(["start", "-a", "c"]).success().stdout("ann");
    kelp.run(["run", "--rm", "--network", "none", "--user", "nobodyknows", "busybox", "true"]).code(125).stderr_has("unable to find user nobodyknows");
    kelp.detached(&["--name", "d", "--network", "none", "--user", "70", "busybox", "sleep", "100"]);
    kelp.run(["exec", "d", "id", "-u"]).success().stdout("70");
    kelp.run(["exec", "-it", "d", "id", "-u"]).failure();
    let root = "id -u; grep CapEff /proc/self/status | grep -cv 0000000000000000; touch /tmp/r; chown 12:13 /tmp/r; touch /tmp/s; stat -c %u:%g /tmp/r /tmp/s";
    kelp.run(["exec", "-u", "0", "d", "sh", "-c", root]).success().stdout("0\n1\n12:13\n0:0");
    kelp.run(["exec", "-u", "8:9", "d", "sh", "-c", "id -u; id -g; sh -c 'id -u'; touch /tmp/m; stat -c %u:%g /tmp/m"]).success().stdout("8\n9\n8\n8:9");
    kelp.detached(&["--name", "e", "--network", "none", "--fake-ids", "none", "busybox", "sleep", "100"]);
    kelp.run(["exec", "-u", "70", "e", "id"]).code(125).stderr_has("70:0").stderr_has("--user");
    kelp.sh(&["--network", "none", "--userns", "keep-id"], "id -u").success().stdout(&rustix::process::getuid().as_raw().to_string());
}

#[test]
fn users_of_a_dockerfile_are_who_they_are() {
    let kelp = single_busybox();
    let text = "FROM busybox\nRUN mkdir -p /home/app && echo app:x:999:999::/home/app:/bin/sh >> /etc/passwd && chown app /home/app\nUSER app\n\
        RUN test $(id -u) = 999 && touch /home/app/f && mkdir /home/app/d && test $(stat -c %u /home/app/f) = 999 && test $(sh -c 'id -u') = 999\n";
    let file = kelp.file("Dockerfile", text);
    kelp.run([OsStr::new("build"), OsStr::new("-q"), OsStr::new("--network"), OsStr::new("none"), OsStr::new("-t"), OsStr::new("built"), file.parent().unwrap().as_os_str()])
        .success();
    kelp.run(["create", "--name", "c", "built", "true"]).success();
    let shown = exported(&kelp, "c", &["home/app/"]);
    for line in ["drwxr-xr-x 999/0", "-rw-r--r-- 999/999", "drwxr-xr-x 999/999"] {
        assert!(shown.lines().any(|shown| shown == line), "{line} in {shown}");
    }
}

#[test]
fn modes_that_are_set_count() {
    let kelp = single_busybox();
    let make = "cd /; for f in s o g; do touch $f; chown 5:6 $f; done; chmod 4755 s; chmod 400 o; chmod 2755 g; mkdir t d; chown 1 t d; \
        chmod 1777 t; chmod 555 d; mknod n c 1 3; chmod 400 n";
    kelp.run(["run", "--name", "a", "--network", "none", "busybox", "sh", "-c", make]).success();
    kelp.ok(["commit", "a", "made"]);
    let modes = |name: &str| {
        let mut lines: Vec<String> = exported(&kelp, name, &["s", "o", "g", "t/", "d/", "n"]).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(modes("a"), ["-r-------- 5/6", "-rwsr-xr-x 5/6", "-rwxr-sr-x 5/6", "cr-------- 0/0", "dr-xr-xr-x 1/0", "drwxrwxrwt 1/0"]);
    // As an image's layer has them, where the mode on disk is another: each of these ends at what is on disk already.
    let change = "cd /; chmod a-s s; chmod 600 o; chmod 755 g; chmod 777 t; chmod 755 d; chmod 600 n; stat -c %a t";
    for fakes in ["basic", "full"] {
        kelp.run(["run", "--name", fakes, "--network", "none", "--fake-ids", fakes, "made", "sh", "-c", change]).success().stdout("777");
        let wanted = ["-rw------- 5/6", "-rwxr-xr-x 5/6", "-rwxr-xr-x 5/6", "crw------- 0/0", "drwxr-xr-x 1/0", "drwxrwxrwx 1/0"];
        assert_eq!(modes(fakes), wanted, "{fakes}");
    }
    // What programs look for is there to be seen.
    let seen = "stat -c %a /t; cd /t; touch x; chmod 644 x; stat -c %a x";
    kelp.run(["run", "--rm", "--network", "none", "made", "sh", "-c", seen]).success().stdout("1777\n644");
}

#[test]
fn set_group_id_directories_pass_their_group_on() {
    let kelp = single_busybox();
    let script = "cd /; umask 022; mkdir s p; chown 0:60 s p; chmod 2775 s; touch s/f p/f; mkdir s/d; ln -s f s/l; echo more >> s/f; stat -c %g s/f s/d p/f; touch s/d/g";
    kelp.run(["run", "--name", "c", "--network", "none", "--fake-ids", "full", "busybox", "sh", "-c", script]).success().stdout("60\n60\n0");
    let mut lines: Vec<String> = exported(&kelp, "c", &["s/", "s/f", "s/d/", "s/d/g", "s/l", "p/", "p/f"]).lines().map(str::to_owned).collect();
    lines.sort();
    let wanted = ["-rw-r--r-- 0/0", "-rw-r--r-- 0/60", "-rw-r--r-- 0/60", "drwxr-sr-x 0/60", "drwxr-xr-x 0/60", "drwxrwsr-x 0/60", "lrwxrwxrwx 0/60"];
    assert_eq!(lines, wanted);
}

/// write(2) takes set-id bits from a file, unless root writes.
#[test]
fn who_writes_to_a_file_takes_its_set_id_bits() {
    let kelp = single_busybox();
    let script = "cd /; touch s g r; chown alice s; chown 5 g r; chmod 4777 s r; chmod 2777 g; sleep 300";
    kelp.detached(&["--name", "c", "--network", "none", "--fake-ids", "full", "busybox", "sh", "-c", script]);
    let wait = "until [ \"$(stat -c %a /g)\" = 2777 ]; do sleep 0.1; done";
    kelp.run(["exec", "c", "sh", "-c", wait]).success();
    kelp.run(["exec", "-u", "alice", "c", "sh", "-c", "cat /s /g; true"]).success();
    kelp.run(["exec", "c", "stat", "-c", "%a", "/s", "/g", "/r"]).success().stdout("4777\n2777\n4777");
    kelp.run(["exec", "-u", "alice", "c", "sh", "-c", "echo x >/s; cp /bin/busybox /g"]).success();
    kelp.run(["exec", "c", "sh", "-c", "echo x >/r; stat -c %a /s /g /r"]).success().stdout("777\n777\n4777");
}

/// Files of several ids, in a store that is used with one: what is refused says why, and so does `kelp doctor`.
#[test]
fn ids_that_were_taken_away_are_told() {
    let kelp = Kelp::busybox();
    let script = "mkdir -m 700 /p; touch /p/f; chown -R 5:6 /p";
    kelp.run(["run", "--name", "c", "--network", "none", "busybox", "sh", "-c", script]).success();
    kelp.run(["doctor"]).stdout_has("are all yours");
    let noted = std::fs::read_to_string(kelp.data().join("ids")).unwrap();
    let first: u64 = noted.lines().next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    std::fs::create_dir_all(kelp.config()).unwrap();
    std::fs::write(kelp.config().join("config.toml"), "[containers]\nsubordinate-ids = false\n").unwrap();
    // What still runs in the namespace of before is found and entered.
    crate::support::until("the namespace of many ids has gone", crate::support::SOON, || kelp.run(["cp", "c:/p", "-"]).code != 0);
    kelp.run(["cp", "c:/p", "-"]).failure().stderr_has("may belong to ids").stderr_has(&format!("{first}-")).stderr_has("subordinate-ids = false");
    // Whether it is refused, or the kernel's overlay lists nothing that it may not look into.
    kelp.run(["export", "-o", kelp.work().join("lacks.tar").to_str().unwrap(), "c"]).stderr_has("may belong to ids");
    let other = kelp.run(["cp", "c:/nosuch", "-"]);
    assert!(!other.failure().stderr_has("no such").stderr.contains("may belong to ids"));
    kelp.run(["doctor"]).stdout_has("ids of the store").stdout_has("leave containers.subordinate-ids out");
    // Others than these, as if a range had been moved.
    std::fs::write(kelp.config().join("config.toml"), "").unwrap();
    std::fs::write(kelp.data().join("ids"), noted.replacen(&first.to_string(), "3000000000", 1)).unwrap();
    kelp.run(["doctor"]).stdout_has("which are no longer").stdout_has("have them given back").stdout_has(":3000000000:");
    std::fs::write(kelp.data().join("ids"), noted).unwrap();
}

#[test]
fn volumes_and_copies_keep_owners() {
    let kelp = single_busybox();
    kelp.sh(&["--network", "none", "-v", "data:/data"], "touch /data/f; chown 5:6 /data/f; mkdir /data/d; chown 7 /data/d").success();
    let tar = kelp.work().join("volume.tar");
    kelp.run([OsStr::new("volume"), OsStr::new("export"), OsStr::new("-o"), tar.as_os_str(), OsStr::new("data")]).success();
    kelp.tool("/bin/busybox", [OsStr::new("tar"), OsStr::new("tvf"), tar.as_os_str()]).output().success().stdout_has(" 5/6 ").stdout_has(" 7/0 ");
    kelp.ok(["volume", "create", "other"]);
    kelp.run([OsStr::new("volume"), OsStr::new("import"), OsStr::new("other"), tar.as_os_str()]).success();
    kelp.sh(&["--network", "none", "--fake-ids", "full", "-v", "other:/data"], "stat -c %u:%g /data/f").success().stdout("5:6");
    kelp.run(["create", "--name", "c", "--network", "none", "--fake-ids", "full", "busybox", "stat", "-c", "%u:%g", "/f", "/d"]).success();
    let copy = std::fs::File::open(&tar).unwrap();
    kelp.cmd(["cp", "-", "c:/"]).stdin_file(copy).output().success();
    kelp.run(["start", "-a", "c"]).success().stdout("5:6\n7:0");
    kelp.run(["cp", "c:/f", "-"]).success().stdout_has("0000005\u{0}0000006");
}

#[test]
fn copies_are_whose_they_are_told_to_be() {
    let make = "mkdir /d /h && echo x > /d/f && chown 7:8 /d /d/f && chmod 4755 /d/f && chmod 750 /d && ln -s f /d/m && chown -h 5:6 /d/m && touch /h/f && chown 9:9 /h /h/f";
    let wanted = "drwxr-x--- 0/0 d1/\n-rwxr-xr-x 0/0 d1/f\nlrwxrwxrwx 0/0 d1/m\ndrwxr-x--- 7/8 d2/\n-rwsr-xr-x 7/8 d2/f\nlrwxrwxrwx 5/6 d2/m\n\
        -rwsr-xr-x 7/8 f2\n-rwxr-xr-x 0/0 f3\ndrwxr-xr-x 0/0 h/\n-rwsr-xr-x 0/0 h/f\nlrwxrwxrwx 5/6 m2\nlrwxrwxrwx 0/0 m3";
    for kelp in [Kelp::busybox(), single_busybox()] {
        for name in ["a", "b"] {
            kelp.run(["run", "--name", name, "--network", "none", "busybox", "sh", "-c", make]).success();
        }
        kelp.file("h/f", "h");
        std::fs::set_permissions(kelp.work().join("h/f"), std::os::unix::fs::PermissionsExt::from_mode(0o4755)).unwrap();
        std::fs::set_permissions(kelp.work().join("h"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let copies: [&[&str]; 7] = [
            &["h", "b:/"], &["a:/d", "b:/d1"], &["-a", "a:/d", "b:/d2"], &["-a", "a:/d/m", "b:/m2"], &["a:/d/m", "b:/m3"], &["-a", "a:/d/f", "b:/f2"],
            &["a:/d/f", "b:/f3"],
        ];
        for copy in copies {
            kelp.ok(["cp"].iter().chain(copy).copied().collect::<Vec<_>>());
        }
        let mut lines: Vec<String> = Vec::new();
        for path in ["d1/", "d1/f", "d1/m", "d2/", "d2/f", "d2/m", "f2", "f3", "h/", "h/f", "m2", "m3"] {
            let shown = exported(&kelp, "b", &[path]);
            lines.push(format!("{} {path}", shown.lines().next().unwrap_or_default()));
        }
        assert_eq!(lines.join("\n"), wanted);
    }
    // What leaves is the caller's, with no record, and runs as nobody else.
    let kelp = single_busybox();
    kelp.run(["run", "--name", "a", "--network", "none", "busybox", "sh", "-c", make]).success();
    kelp.ok(["cp", "a:/d", "plain"]);
    kelp.ok(["cp", "-a", "a:/d", "kept"]);
    let mode = |path: &str| std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(kelp.work().join(path)).unwrap().permissions()) & 0o7777;
    assert_eq!((mode("plain/f"), mode("kept/f")), (0o755, 0o755));
    let recorded = |path: &str| rustix::fs::getxattr(kelp.work().join(path), "user.containers.override_stat", &mut [0; 64][..]).is_ok();
    assert_eq!((recorded("plain"), recorded("plain/f"), recorded("kept/f")), (false, false, true));
}

#[test]
fn a_file_of_the_host_is_left_alone() {
    let kelp = single_busybox();
    let file = kelp.file("mine", "");
    let out = std::fs::OpenOptions::new().read(true).open(&file).unwrap();
    // Its standard input is a file outside: fchown(2) of that must not mark it.
    kelp.cmd(["run", "--rm", "-i", "--network", "none", "--log-driver", "passthrough", "--fake-ids", "full", "busybox", "chown", "5", "/proc/self/fd/0"])
        .stdin_file(out)
        .output()
        .success();
    let mut value = [0; 64];
    assert!(rustix::fs::getxattr(&file, "user.containers.override_stat", &mut value[..]).is_err());
    // Nor do links lead out.
    let script = "ln -s /../../../../../../etc/hostname /l; ln -s ../../../../../../proc/1/root/etc /m; chown 5 /l; chown 5 /m/hostname; true";
    kelp.sh(&["--network", "none"], script).success();
}

#[test]
fn inside_of_what_is_supervised_already() {
    let kelp = single_busybox();
    let (program, archive) = (crate::support::program().display().to_string(), image::busybox_archive().display().to_string());
    let script = "kelp load -q -i /busybox.tar; kelp run --rm --network none busybox sh -c 'touch /f; chown 5:6 /f && echo chowned; id -u'; \
        kelp run --rm --network none --fake-ids full busybox true; echo $?; kelp doctor | grep -c 'owners are not recorded'";
    let volumes = [format!("{program}:/bin/kelp:ro"), format!("{archive}:/busybox.tar:ro")];
    kelp.sh(&["--privileged", "--network", "none", "-v", &volumes[0], "-v", &volumes[1]], script)
        .success()
        .stdout_has("chowned\n0\n125\n1")
        .stderr_has("owners set in containers are not recorded")
        .stderr_has("--fake-ids full");
}

/// A program of the 32-bit ABI, with nothing but itself: makes each call and ends with the number of the first one whose
/// answer is not the one wanted, else with 0.
#[cfg(target_arch = "x86_64")]
fn program_of_32_bits(calls: &[(u32, [u32; 5], i32)], path: &[u8]) -> Vec<u8> {
    const AT: u32 = 0x0804_8000;
    const HEADERS: u32 = 84;
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let mut code = Vec::new();
    let set = |code: &mut Vec<u8>, register: u8, value: u32| {
        code.push(0xb8 + register);
        code.extend(value.to_le_bytes());
    };
    let leave = |code: &mut Vec<u8>, status: u32| {
        set(code, 3, status);
        set(code, 0, 1);
        code.extend([0xcd, 0x80]);
    };
    // Each is 49 bytes, the end 12: an argument of `u32::MAX` is the path behind them.
    let end = HEADERS + u32::try_from(calls.len()).unwrap() * 49 + 12;
    for (number, (call, args, wanted)) in (1..).zip(calls) {
        set(&mut code, 0, *call);
        for (register, argument) in [3, 1, 2, 6, 7].into_iter().zip(args) {
            set(&mut code, register, if *argument == u32::MAX { AT + end } else { *argument });
        }
        code.extend([0xcd, 0x80, 0x83, 0xf8, wanted.to_le_bytes()[0], 0x74, 12]); // int 0x80; cmp eax, wanted; je past the end
        leave(&mut code, number);
        assert_eq!(*wanted, i32::from(i8::try_from(*wanted).unwrap()));
    }
    leave(&mut code, 0);
    code.extend(path);
    code.push(0);
    let size = HEADERS + u32::try_from(code.len()).unwrap();
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0".to_vec();
    file.extend(words(&[1, AT + HEADERS, 52, 0, 0, 52 | 32 << 16, 1 | 40 << 16, 0]));
    file.extend(words(&[1, 0, AT, AT, size, size, 5, 4096]));
    file.extend(code);
    file
}

#[test]
#[cfg(target_arch = "x86_64")]
fn programs_of_32_bits_are_told_the_same() {
    use std::os::unix::fs::PermissionsExt as _;

    const PATH: u32 = u32::MAX;
    let character = 0o020_644;
    let calls = [
        (182, [PATH, 5, 6, 0, 0], 0),                 // chown, of 16 bits
        (16, [PATH, 5, 6, 0, 0], 0),                  // lchown
        (212, [PATH, 70_000, 7, 0, 0], 0),            // chown32
        (298, [(-100_i32).cast_unsigned(), PATH, 70_001, 8, 0], 0), // fchownat
        (298, [(-100_i32).cast_unsigned(), PATH, 1, 1, 0xfff], -22), // flags there are not
        (206, [0, 0, 0, 0, 0], 0),                    // setgroups32
        (210, [33, 33, 33, 0, 0], 0),                 // setresgid32
        (208, [34, 34, 34, 0, 0], 0),                 // setresuid32
        (199, [0; 5], 34),                            // getuid32
        (47, [0; 5], 33),                             // getgid, of 16 bits
        (14, [PATH, character, 0x103, 0, 0], -17),    // mknod: it is there
    ];
    let kelp = single_busybox();
    let file = kelp.file("program", "");
    std::fs::write(&file, program_of_32_bits(&calls, b"/f")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    if std::process::Command::new(&file).status().is_err() {
        eprintln!("skipped: this kernel runs no programs of 32 bits");
        return;
    }
    let volume = format!("{}:/program:ro", file.display());
    for fakes in ["basic", "full"] {
        let name = format!("c-{fakes}");
        let flags = ["run", "--name", &name, "--network", "none", "--fake-ids", fakes, "-v", &volume, "busybox"];
        kelp.run(flags.iter().chain(&["sh", "-c", "touch /f; /program; echo $?"])).success().stdout("0");
        assert_eq!(exported(&kelp, &name, &["f"]), "-rw-r--r-- 70001/8");
    }
}

#[test]
#[ignore = "needs a tree of Debian"]
fn debian_tools_with_owners() {
    needs!("debian");
    let kelp = single_debian();
    let script = "set -e; useradd -m bob; su bob -c 'id -u' </dev/null; mkdir /t; cd /t; touch a b; chown bob:mail a; chown 40000:50000 b; \
        install -d -o www-data -g www-data -m 2775 shared; tar cf /one.tar --owner=77 --group=88 a; mkdir x; tar xf /one.tar -C x; \
        stat -c '%a' shared; dpkg --audit; cp -a shared shared2; find / -xdev -nouser | wc -l";
    kelp.cmd(["run", "--name", "c", "--network", "none", "debian", "bash", "-c", script]).limit(MINUTES).output().success().stdout("0\n2775\n0");
    let lines = exported(&kelp, "c", &["t", "home/bob", "etc/shadow", "usr/bin/chage", "var/mail"]);
    for wanted in ["-rw-r--r-- 1000/8", "-rw-r--r-- 40000/50000", "drwxrwsr-x 33/33", "-rw-r--r-- 77/88", "drwxr-xr-x 1000/1000", "-rwxr-sr-x 0/42", "drwxrwsr-x 0/8"] {
        assert!(lines.contains(wanted), "{wanted} in\n{lines}");
    }
}

/// Installs packages the way a Dockerfile would.
fn install(packages: &str) -> String {
    format!(
        "set -e; export DEBIAN_FRONTEND=noninteractive; printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; \
         chmod 755 /usr/sbin/policy-rc.d; apt-get update -qq; apt-get install -y -qq --no-install-recommends {packages} >/dev/null; dpkg --audit; "
    )
}

#[test]
#[ignore = "needs a Debian mirror"]
fn packages_are_installed_with_one_id() {
    needs!("debian", "slirp");
    let kelp = single_debian();
    let script = install("nginx-light postgresql-client openssh-client") + "nginx -t; getent group _ssh | cut -d: -f3";
    let ran = kelp.cmd(["run", "--name", "c", "debian", "bash", "-c", &script]).limit(MINUTES).output();
    let group = ran.success().text();
    assert_eq!(exported(&kelp, "c", &["usr/bin/ssh-agent"]), format!("-rwxr-sr-x 0/{group}"));
}

#[test]
#[ignore = "needs a Debian mirror"]
fn a_database_serves_with_one_id() {
    needs!("debian", "slirp");
    let kelp = single_debian();
    // Installing makes the cluster: initdb refuses root, and the server wants to own its directory. Peer authentication
    // is the default.
    let script = install("postgresql sudo")
        + "cd /; pg_ctlcluster 15 main start; su postgres -c \"psql -Atc 'create table t as select generate_series(1,1000) n'\"; \
           sudo -u postgres psql -Atc 'select sum(n) from t'; pg_ctlcluster 15 main stop -m fast";
    let ran = kelp.cmd(["run", "--name", "c", "--fake-ids", "full", "debian", "bash", "-c", &script]).limit(MINUTES).output();
    ran.success().stdout_has("500500");
    // The other way: the database's user is the caller.
    kelp.cmd(["commit", "c", "pg"]).limit(MINUTES).output().success();
    let serve = "set -e; export PATH=$PATH:/usr/lib/postgresql/15/bin; initdb -D /tmp/db -A trust >/dev/null; \
        pg_ctl -D /tmp/db -o '-c unix_socket_directories=/tmp -c listen_addresses=' -l /tmp/log -w start >/dev/null; \
        psql -h /tmp -AtX postgres -c 'select 6*7'; pg_ctl -D /tmp/db stop >/dev/null";
    kelp.cmd(["run", "--rm", "--network", "none", "--user", "postgres", "pg", "bash", "-c", serve]).limit(MINUTES).output().success().stdout("42");
}
