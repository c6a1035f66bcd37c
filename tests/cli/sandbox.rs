//! What a container is kept from: capabilities, seccomp, masks, descriptors, and what `--privileged` gives back.

use crate::support::{Kelp, Process};

/// Docker's fourteen.
const DEFAULT_CAPS: u64 = 0xa804_25fb;

fn status(kelp: &Kelp, flags: &[&str], field: &str) -> String {
    let script = format!("awk '$1==\"{field}:\"{{print $2}}' /proc/self/status");
    kelp.sh(flags, &script).success().text()
}

fn mask(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap()
}

#[test]
fn capabilities() {
    let kelp = Kelp::busybox();
    let script = "awk '/^Cap/{print $2}' /proc/self/status";
    let caps = |flags: &[&str]| kelp.sh(flags, script).success().lines().iter().map(|l| mask(l)).collect::<Vec<_>>();
    // Inheritable, permitted, effective, bounding, ambient.
    assert_eq!(caps(&[]), [0, DEFAULT_CAPS, DEFAULT_CAPS, DEFAULT_CAPS, 0]);
    assert_eq!(caps(&["--cap-drop", "ALL"]), [0, 0, 0, 0, 0]);
    assert_eq!(caps(&["--cap-drop", "all", "--cap-add", "NET_RAW"]), [0, 1 << 13, 1 << 13, 1 << 13, 0]);
    assert_eq!(caps(&["--cap-add", "CAP_SYS_PTRACE", "--cap-drop", "chown"])[1], (DEFAULT_CAPS | 1 << 19) & !1);
    assert_eq!(caps(&["-u", "1000"])[0..3], [0, 0, 0]);
    assert_eq!(caps(&["-u", "1000"])[3], DEFAULT_CAPS);
    // What is asked for by name, users other than root have too; and exec.
    let bind = 1 << 10;
    assert_eq!(caps(&["-u", "1000", "--cap-add", "net_bind_service"]), [bind, bind, bind, DEFAULT_CAPS, bind]);
    kelp.detached(&["--name", "c", "-u", "1000", "--cap-add", "net_bind_service", "--init", "busybox", "sleep", "1000"]);
    let inside = kelp.run(["exec", "c", "sh", "-c", script]);
    assert_eq!(inside.success().lines().iter().map(|l| mask(l)).collect::<Vec<_>>(), [bind, bind, bind, DEFAULT_CAPS, bind]);
    kelp.run(["run", "--rm", "--cap-add", "bogus", "busybox", "true"]).code(125).stderr_has("bogus");
}

#[test]
fn seccomp() {
    let kelp = Kelp::busybox();
    assert_eq!(status(&kelp, &[], "Seccomp"), "2");
    assert_eq!(status(&kelp, &["--security-opt", "seccomp=unconfined"], "Seccomp"), "0");
    kelp.sh(&[], "unshare -U true").failure();
    kelp.sh(&[], "mount -t tmpfs none /tmp").failure();
    let profile = kelp.file(
        "deny.json",
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}"#,
    );
    let option = format!("seccomp={}", profile.display());
    kelp.sh(&["--security-opt", &option], "mkdir /tmp/x 2>&1; echo still here").success().stdout_has("not implemented").stdout_has("still here");
    kelp.run(["run", "--rm", "--security-opt", "seccomp=/no/such/file", "busybox", "true"]).code(125).stderr_has("/no/such/file");
    kelp.run(["run", "--rm", "--security-opt", "bogus=1", "busybox", "true"]).code(125).stderr_has("bogus");
}

#[test]
fn no_new_privileges() {
    let kelp = Kelp::busybox();
    assert_eq!(status(&kelp, &[], "NoNewPrivs"), "0");
    assert_eq!(status(&kelp, &["--security-opt", "no-new-privileges"], "NoNewPrivs"), "1");
    assert_eq!(status(&kelp, &["--security-opt", "no-new-privileges:true"], "NoNewPrivs"), "1");
}

#[test]
fn exec_is_confined_like_run() {
    let kelp = Kelp::busybox();
    let script = "awk '/^(Cap|Seccomp:|NoNewPrivs)/{print $1 $2}' /proc/self/status";
    kelp.detached(&["--name", "c", "--security-opt", "no-new-privileges", "--cap-drop", "chown", "busybox", "sleep", "300"]);
    let out = kelp.run(["exec", "c", "sh", "-c", script]);
    out.success().stdout_has("Seccomp:2").stdout_has("NoNewPrivs:1").stdout_has("CapInh:0000000000000000").stdout_has("CapAmb:0000000000000000");
    out.stdout_has(&format!("CapBnd:{:016x}", DEFAULT_CAPS & !1));
    out.stdout_has(&format!("CapEff:{:016x}", DEFAULT_CAPS & !1));
    kelp.run(["exec", "-u", "1000", "c", "sh", "-c", script]).success().stdout_has("CapEff:0000000000000000").stdout_has("CapAmb:0000000000000000");
}

#[test]
fn only_three_descriptors() {
    let kelp = Kelp::busybox();
    // `ls` itself has the directory open.
    kelp.sh(&[], "ls /proc/self/fd").success().stdout("0\n1\n2\n3");
    // The first process, seen before it could open anything.
    kelp.run(["run", "--rm", "busybox", "ls", "-l", "/proc/self/fd"]).success();
    kelp.detached(&["--name", "c", "busybox", "sleep", "300"]);
    kelp.run(["exec", "c", "ls", "/proc/1/fd"]).success().stdout("0\n1\n2");
    kelp.run(["exec", "c", "ls", "/proc/self/fd"]).success().stdout("0\n1\n2\n3");
    // Descriptors of the caller do not get in.
    let script = format!("exec 7</etc/passwd 9</; {} run --rm busybox ls /proc/self/fd", crate::support::program().display());
    kelp.tool("/bin/sh", ["-c", &script]).output().success().stdout("0\n1\n2\n3");
}

#[test]
fn masked_and_read_only_paths() {
    let kelp = Kelp::busybox();
    let script = "for p in /proc/kcore /proc/keys /proc/timer_list /proc/sysrq-trigger; do \
          [ -e $p ] || continue; head -c 1 $p 2>/dev/null | wc -c | grep -qx 0 || echo readable $p; done; \
        for p in /proc/acpi /proc/scsi /sys/firmware; do [ ! -d $p ] || [ -z \"$(ls $p)\" ] || echo visible $p; done; \
        for p in /proc/sys/kernel/panic /proc/sysrq-trigger /proc/irq/default_smp_affinity /sys/kernel/uevent_seqnum; do \
          if [ -e $p ] && { echo 1 > $p; } 2>/dev/null; then echo writable $p; fi; done; echo done";
    kelp.sh(&[], script).success().stdout("done");
    kelp.sh(&[], "awk '$2==\"/sys\"{print substr($4,1,2)}' /proc/mounts").success().stdout("ro");
    kelp.sh(&["--security-opt", "mask=/etc/passwd:/home"], "cat /etc/passwd; ls -A /home").success().stdout("");
    kelp.sh(&["--security-opt", "unmask=ALL"], "awk '$2==\"/proc/sys\" || $2==\"/proc/keys\"' /proc/mounts").success().stdout("");
}

#[test]
fn privileged() {
    let kelp = Kelp::busybox();
    kelp.sh(&["--privileged"], "mount -t tmpfs none /mnt 2>/dev/null || { mkdir -p /m && mount -t tmpfs none /m; } && echo mounted")
        .success()
        .stdout("mounted");
    assert_eq!(status(&kelp, &["--privileged"], "Seccomp"), "0");
    assert!(mask(&status(&kelp, &["--privileged"], "CapEff")).count_ones() >= 36);
    // Nodes in subdirectories too.
    kelp.sh(&["--privileged"], "[ -c /dev/fuse ] && [ -c /dev/net/tun ] && echo there")
        .success()
        .stdout("there");
}

/// As in a CI job that runs in a container: ids are those the outer one has, the overlay is our own.
#[test]
fn a_privileged_container_can_run_kelp() {
    let kelp = Kelp::busybox();
    let binary = format!("{}:/kelp:ro", crate::support::program().display());
    kelp.run(["run", "--rm", "--privileged", "-e", "HOME=/root", "-v", &binary, "busybox", "/kelp", "run", "--rm", "--network", "none", "hello"])
        .success()
        .stdout_has("kelp");
    // Without, the filter refuses it, and the error says what it was.
    kelp.run(["run", "--rm", "-e", "HOME=/root", "-v", &binary, "busybox", "/kelp", "run", "--rm", "--network", "none", "hello"])
        .code(125)
        .stderr_has("cannot create a user namespace");
}

#[test]
fn namespaces_are_its_own() {
    let kelp = Kelp::busybox();
    let script = "for n in cgroup ipc mnt net pid user uts; do readlink /proc/self/ns/$n; done";
    let inside = kelp.sh(&[], script).success().lines();
    let outside = kelp.tool("/bin/sh", ["-c", script]).output().success().lines();
    for (inside, outside) in inside.iter().zip(&outside) {
        assert!(inside != outside || inside.starts_with("cgroup:"), "{inside} is the host's");
    }
    kelp.sh(&[], "echo /proc/[0-9]*").success().stdout("/proc/1");
    let shared = kelp.sh(&["--pid", "host", "--ipc", "host", "--uts", "host", "--network", "host"], script).success().lines();
    for n in [1, 3, 4, 6] {
        assert_eq!(shared[n], outside[n]);
    }
    kelp.detached(&["--name", "c", "busybox", "sleep", "300"]);
    let first = kelp.run(["exec", "c", "sh", "-c", script]).success().lines();
    let flags = ["--pid", "container:c", "--ipc", "container:c", "--network", "container:c"];
    let joined = kelp.sh(&flags, script).success().lines();
    for n in [1, 3, 4] {
        assert_eq!(joined[n], first[n]);
    }
}

#[test]
fn user_namespace_modes() {
    let kelp = Kelp::busybox();
    let uid = rustix::process::getuid().as_raw();
    let dir = kelp.open_dir("mine");
    let bind = format!("{}:/mnt", dir.display());
    kelp.sh(&["--userns", "keep-id", "-v", &bind], "id -u; touch /mnt/f; stat -c %u /mnt/f").success().stdout(&format!("{uid}\n{uid}"));
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(dir.join("f")).unwrap()), uid);
    kelp.sh(&["--userns", "keep-id:uid=1000,gid=1000"], "id -u").success().stdout("1000");
    // Somebody without a name in the image.
    let who = "whoami; id -gn; grep -c :$(id -u):$(id -g): /etc/passwd";
    let keep = "keep-id:uid=4321,gid=4322";
    let name = kelp.tool("/usr/bin/id", ["-un"]).output().success().text();
    for flags in [&[][..], &["--read-only"], &["-e", "HOME=/tmp"]] {
        kelp.sh(&[flags, &["--userns", keep]].concat(), who).success().stdout(&format!("{name}\n{name}\n1"));
    }
    let known = kelp.file("passwd", "root:x:0:0::/:/bin/sh\n");
    let known = format!("{}:/etc/passwd", known.display());
    kelp.sh(&["--userns", keep, "-v", &known], "cat /etc/passwd").success().stdout("root:x:0:0::/:/bin/sh");
    kelp.run(["run", "--name", "again", "--userns", keep, "busybox", "sh", "-c", who]).success();
    kelp.run(["start", "-a", "again"]).success().stdout(&format!("{name}\n{name}\n1"));
    kelp.sh(&["--userns", "nomap"], "awk '{print $2}' /proc/self/uid_map | grep -c '^0$'").stdout_lacks("9");
    kelp.sh(&["--userns", "host"], "id -u").success().stdout("0");
    kelp.run(["run", "--rm", "--userns", "bogus", "busybox", "true"]).code(125).stderr_has("bogus");
    for (maps, why) in [(&["0:1:10", "5:20:10"][..], "overlap"), (&["5:0:10"], "no id 0"), (&["+5:0:1"], "three numbers")] {
        let flags = maps.iter().flat_map(|map| ["--uidmap", map]);
        kelp.run(["run", "--rm"].into_iter().chain(flags).chain(["busybox", "true"])).code(125).stderr_has(why);
    }
}

#[test]
fn the_groups_of_the_caller_are_kept() {
    let kelp = Kelp::busybox();
    let count = "awk '/^Groups:/{print NF - 1}' /proc/self/status";
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = own.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap().split_whitespace().count().to_string();
    kelp.sh(&["--group-add", "keep-groups", "--user", "5"], count).success().stdout(&own);
    kelp.detached(&["--name", "c", "--group-add", "keep-groups", "busybox", "sleep", "100"]);
    kelp.run(["exec", "c", "sh", "-c", count]).success().stdout(&own);
    kelp.run(["run", "--rm", "--group-add", "keep-groups", "--group-add", "5", "busybox", "true"]).code(125).stderr_has("keep-groups cannot be combined");
}

#[test]
fn the_programs_outside_cannot_be_written() {
    let kelp = Kelp::busybox();
    let before = std::fs::metadata(crate::support::program()).unwrap();
    // What was opened is told by the descriptor: the process may be another program by now.
    let script = "while [ ! -e /stop ]; do for p in /proc/[0-9]*/exe; do [ $p = /proc/$$/exe ] && continue; \
        w=$( (exec 3>>$p; readlink /proc/self/fd/3) 2>/dev/null); echo $p >> /tried; \
        case $w in /bin/*|'') ;; *) echo wrote $w;; esac; done; done; echo done";
    kelp.detached(&["--name", "c", "--network", "none", "busybox", "sh", "-c", script]);
    for _ in 0..4 {
        let runs: Vec<Process> = (0..8).map(|_| kelp.start(["exec", "c", "/proc/self/exe", "true"])).collect();
        runs.into_iter().for_each(|run| drop(run.wait()));
    }
    let tried = kelp.run(["exec", "c", "sh", "-c", "sort -u /tried | wc -l; touch /stop"]);
    assert!(tried.text().parse::<u32>().unwrap() > 3, "hardly a process was seen: {tried:?}");
    kelp.run(["wait", "c"]).success();
    kelp.run(["logs", "c"]).success().stdout("done");
    // A program that is the first process's own image of itself: runc's old hole.
    let out = kelp.run(["run", "--rm", "busybox", "/proc/self/exe", "sh", "-c", "echo fell in"]);
    out.stdout_lacks("wrote");
    let after = std::fs::metadata(crate::support::program()).unwrap();
    assert_eq!((before.len(), before.modified().unwrap()), (after.len(), after.modified().unwrap()));
    // Neither monitor nor command is visible at all.
    kelp.detached(&["--name", "d", "busybox", "sleep", "300"]);
    kelp.run(["exec", "d", "sh", "-c", "cat /proc/[0-9]*/comm | sort -u"]).success().stdout_lacks("kelp");
}

#[test]
fn the_environment_of_the_host_is_nowhere() {
    let kelp = Kelp::busybox();
    let out = kelp
        .cmd(["run", "--rm", "--init", "busybox", "sh", "-c", "cat /proc/*/environ | tr '\\0' '\\n'"])
        .env("HOST_SECRET", "do-not-show")
        .output();
    out.success().stdout_lacks("do-not-show").stdout_lacks("XDG_RUNTIME_DIR");
}

#[test]
fn the_store_is_closed_to_others() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "-v", "vv:/data", "busybox", "sleep", "300"]);
    use std::os::unix::fs::PermissionsExt;
    let logs = std::path::PathBuf::from(kelp.inspect("c", "{{.LogPath}}"));
    for dir in [kelp.data(), kelp.runtime(), logs.parent().unwrap().to_owned()] {
        let mode = std::fs::metadata(&dir).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", dir.display());
    }
    kelp.ok(["rm", "-f", "-t", "0", "c"]);
    kelp.ok(["volume", "rm", "vv"]);
}
