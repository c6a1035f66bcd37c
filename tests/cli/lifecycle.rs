//! From `create` to `rm`: states, signals, waiting, names, lists and what `inspect` says.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::Kelp;

/// A script that ends with 7 when told to.
const POLITE: &str = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.02; done";
/// One that does not.
const STUBBORN: &str = "trap '' TERM INT; echo ready; while :; do sleep 0.02; done";

#[test]
fn stop_asks_then_kills() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "polite", "busybox", "sh", "-c", POLITE]);
    kelp.detached(&["--name", "stubborn", "busybox", "sh", "-c", STUBBORN]);
    kelp.wait_log("polite", "ready");
    kelp.wait_log("stubborn", "ready");
    kelp.run(["stop", "polite"]).success().stdout("polite").within(Duration::from_secs(5));
    assert_eq!(kelp.inspect("polite", "{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}"), "exited 7 false");
    let out = kelp.run(["stop", "-t", "1", "stubborn"]);
    out.success().stdout("stubborn").within(Duration::from_secs(8));
    assert!(out.took >= Duration::from_millis(900), "killed without its grace: {:?}", out.took);
    assert_eq!(kelp.inspect("stubborn", "{{.State.ExitCode}}"), "137");
    kelp.run(["stop", "polite"]).success().stdout("polite");
    kelp.run(["stop", "nosuch"]).failure().stderr_has("no such container");
}

#[test]
fn stop_signal_and_timeout_of_the_container() {
    let kelp = Kelp::busybox();
    let script = "trap 'exit 8' USR1; trap '' TERM; echo ready; while :; do sleep 0.02; done";
    kelp.detached(&["--name", "c", "--stop-signal", "USR1", "busybox", "sh", "-c", script]);
    kelp.wait_log("c", "ready");
    kelp.run(["stop", "c"]).success().within(Duration::from_secs(5));
    assert_eq!(kelp.inspect("c", "{{.State.ExitCode}}"), "8");
    kelp.detached(&["--name", "d", "--stop-timeout", "1", "busybox", "sh", "-c", STUBBORN]);
    kelp.wait_log("d", "ready");
    kelp.run(["stop", "d"]).success().within(Duration::from_secs(8));
    kelp.run(["create", "--stop-signal", "NOSUCH", "busybox"]).code(125).stderr_has("NOSUCH");
}

#[test]
fn kill_sends_any_signal() {
    let kelp = Kelp::busybox();
    let script = "trap 'echo hup' HUP; trap 'echo two' USR2; echo ready; while :; do sleep 0.02; done";
    kelp.detached(&["--name", "c", "busybox", "sh", "-c", script]);
    kelp.wait_log("c", "ready");
    for signal in ["HUP", "SIGUSR2", "1"] {
        kelp.run(["kill", "-s", signal, "c"]).success().stdout("c");
        std::thread::sleep(Duration::from_millis(100));
    }
    kelp.run(["logs", "c"]).success().stdout("ready\nhup\ntwo\nhup");
    kelp.run(["kill", "-s", "NOSUCH", "c"]).failure().stderr_has("NOSUCH");
    kelp.run(["kill", "c"]).success();
    kelp.run(["wait", "c"]).success().stdout("137");
    kelp.run(["kill", "c"]).failure().stderr_has("not running");
}

#[test]
fn wait_prints_exit_codes() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "a", "busybox", "sh", "-c", "sleep 0.5; exit 3"]);
    kelp.detached(&["--name", "b", "busybox", "sh", "-c", "exit 4"]);
    kelp.run(["wait", "a", "b"]).success().stdout("3\n4");
    kelp.run(["wait", "a"]).success().stdout("3");
    kelp.run(["wait", "nosuch"]).failure().stderr_has("no such container");
}

#[test]
fn restart_and_start_again() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "busybox", "sh", "-c", "echo start >> /count; wc -l < /count; exec sleep 300"]);
    // Killed before it has written, there would be nothing to add to.
    kelp.wait_log("c", "1");
    let first = kelp.inspect("c", "{{.State.Pid}}");
    kelp.run(["restart", "-t", "0", "c"]).success().stdout("c");
    kelp.wait_log("c", "2");
    assert_ne!(kelp.inspect("c", "{{.State.Pid}}"), first);
    kelp.run(["stop", "-t", "0", "c"]).success();
    assert_eq!(kelp.inspect("c", "{{.State.Pid}}"), "0");
    kelp.run(["start", "c"]).success().stdout("c");
    kelp.wait_log("c", "3");
    kelp.run(["start", "c"]).success();
    assert_eq!(kelp.inspect("c", "{{.State.Running}}"), "true");
}

#[test]
fn what_is_done_at_once_is_done_in_turn() {
    let kelp = Kelp::busybox();
    kelp.ok(["create", "--name", "c", "busybox", "sleep", "300"]);
    for round in 0..5 {
        let starts = [(); 4].map(|()| kelp.start(["start", "c"]));
        for start in starts {
            start.wait().success().quiet().stdout("c");
        }
        assert_eq!(kelp.inspect("c", "{{.State.Running}}"), "true", "round {round}");
        let restarts = [(); 3].map(|()| kelp.start(["restart", "-t", "0", "c"]));
        for restart in restarts {
            restart.wait().success().quiet();
        }
        assert_eq!(kelp.inspect("c", "{{.State.Running}}"), "true", "round {round}");
        let mixed = [&["stop", "-t", "0", "c"][..], &["start", "c"], &["rename", "c", "d"], &["exec", "c", "true"], &["restart", "-t", "0", "c"]];
        for (verb, out) in mixed.map(|verb| (verb, kelp.start(verb))).map(|(verb, process)| (verb, process.wait())) {
            // Whoever comes after the rename does not find it, and exec finds it stopped or ends with it.
            let fine = verb[0] == "exec" && out.code == 137
                || ["no such container", "is not running", "the container ended"].iter().any(|text| out.stderr.contains(text));
            assert!(out.code == 0 || fine, "{verb:?}: {out:?}");
        }
        kelp.ok(["rename", "d", "c"]);
        kelp.ok(["stop", "-t", "0", "c"]);
    }
}

#[test]
fn a_start_waits_for_a_copy() {
    let kelp = Kelp::busybox();
    kelp.ok(["create", "--name", "c", "busybox", "cat", "/there/file"]);
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    archive.append_data(&mut header, "there/file", &b"whole"[..]).unwrap();
    let archive = archive.into_inner().unwrap();
    let mut copy = kelp.cmd(["cp", "-", "c:/"]).stdin_pipe().start();
    copy.write(&archive[..1024]);
    std::thread::sleep(Duration::from_millis(500));
    let mut start = kelp.start(["start", "-a", "c"]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(start.is_running(), "it waits");
    copy.write(&archive[1024..]);
    copy.wait().success();
    start.wait().success().stdout("whole");
}

#[test]
fn a_start_that_rm_overtakes_says_so() {
    let kelp = Kelp::busybox();
    for _ in 0..30 {
        let run = kelp.start(["run", "-d", "--name", "c", "busybox", "sleep", "300"]);
        while kelp.run(["rm", "-f", "-t", "0", "c"]).text() != "c" {}
        let out = run.wait();
        assert!(out.code == 0 || out.code == 125 && out.stderr.contains("was removed while it was being started"), "{out:?}");
        assert_eq!(kelp.ok(["ps", "-aq"]), "");
    }
    kelp.nothing_left();
}

#[test]
fn rm_rules() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "running", "busybox", "sleep", "300"]);
    kelp.ok(["create", "--name", "made", "busybox"]);
    kelp.run(["rm", "nosuch"]).code(1).stderr_has("no such container");
    kelp.run(["rm", "-f", "nosuch"]).code(0);
    kelp.run(["rm", "running"]).code(2).stderr_has("running");
    kelp.run(["rm", "made", "nosuch"]).code(1).stdout("made");
    kelp.run(["rm", "-f", "-t", "0", "running"]).success().stdout("running");
    assert_eq!(kelp.ok(["ps", "-aq"]), "");
    kelp.nothing_left();
}

#[test]
fn rename_moves_the_name() {
    let kelp = Kelp::busybox();
    let id = kelp.ok(["create", "--name", "old", "busybox"]);
    kelp.ok(["create", "--name", "other", "busybox"]);
    kelp.run(["rename", "old", "new"]).success().stdout("").quiet();
    assert_eq!(kelp.inspect("new", "{{.Id}}"), id);
    kelp.run(["inspect", "old"]).failure();
    kelp.run(["rename", "new", "other"]).failure().stderr_has("is already in use");
    kelp.ok(["create", "--name", "old", "busybox"]);
    assert_eq!(kelp.run(["ps", "-aq"]).lines().len(), 3);
}

#[test]
fn ps_lists_and_filters() {
    let kelp = Kelp::busybox();
    let header = kelp.run(["ps"]).success().lines().remove(0);
    let words: Vec<&str> = header.split("  ").map(str::trim).filter(|w| !w.is_empty()).collect();
    assert_eq!(words, ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]);
    let up = kelp.detached(&["--name", "up", "--label", "a=1", "--label", "b=2", "busybox", "sleep", "300"]);
    let done = kelp.detached(&["--name", "done", "--label", "a=2", "busybox", "sh", "-c", "exit 3"]);
    kelp.ok(["wait", "done"]);
    let made = kelp.ok(["create", "--name", "made", "busybox"]);
    let names = |args: &[&str]| {
        let mut names = kelp.run(["ps", "--format", "{{.Names}}"].iter().chain(args)).success().lines();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names(&[]), "up");
    assert_eq!(names(&["-a"]), "done made up");
    assert_eq!(names(&["-a", "--filter", "status=exited"]), "done");
    assert_eq!(names(&["-a", "--filter", "status=exited", "--filter", "status=created"]), "done made");
    assert_eq!(names(&["-a", "--filter", "exited=3"]), "done");
    assert_eq!(names(&["-a", "--filter", "exited=0"]), "");
    assert_eq!(names(&["-a", "--filter", "label=a"]), "done up");
    assert_eq!(names(&["-a", "--filter", "label=a=1"]), "up");
    assert_eq!(names(&["-a", "--filter", "label=a", "--filter", "label=b"]), "up");
    assert_eq!(names(&["-a", "--filter", "name=^(up|made)$"]), "made up");
    assert_eq!(names(&["-a", "--filter", "name=on"]), "done");
    assert_eq!(names(&["-a", "--filter", &format!("id={}", &made[..8])]), "made");
    assert_eq!(names(&["-a", "--filter", "ancestor=busybox"]), "done made up");
    assert_eq!(names(&["-a", "--filter", "ancestor=nosuch"]), "");
    assert_eq!(names(&["-a", "--filter", &format!("before={made}")]), "done up");
    assert_eq!(names(&["-a", "--filter", &format!("since={up}")]), "done made");
    assert_eq!(names(&["-n", "1"]), "made");
    assert_eq!(names(&["-n", "2"]), "done made");
    assert_eq!(names(&["-l"]), "made");
    // podman's fields, in templates and not in docker's JSON.
    let running = kelp.detached(&["--name", "fields", "busybox", "sleep", "300"]);
    let pid = kelp.inspect(&running, "{{.State.Pid}} 0 0");
    kelp.run(["ps", "-f", "name=fields", "--format", "{{.Pid}} {{.ExitCode}} {{.Restarts}}"]).success().stdout(&pid);
    let image = kelp.inspect(&running, "{{.Image}}").replace("sha256:", "");
    kelp.run(["ps", "-f", "name=fields", "--format", "{{.ImageID}}"]).success().stdout(&image);
    kelp.run(["ps", "-f", "name=fields", "--format", "table {{.Created}}\t{{.StartedAt}}"]).success().stdout_has("STARTED AT").stdout_has(" ago");
    kelp.run(["ps", "-f", "name=fields", "--format", "json"]).success().stdout_lacks("StartedAt");
    kelp.run(["images", "--format", "{{.Names}} {{.Os}}/{{.Arch}} {{.Labels}}|{{.Created}}"]).success().stdout_has("busybox:latest] linux/").stdout_has("ago");
    kelp.ok(["volume", "create", "--label", "a=b", "fields"]);
    kelp.run(["volume", "ls", "--format", "{{.CreatedAt}}|{{.Options}}|{{.Anonymous}}"]).success().stdout_has("UTC||false");
    kelp.ok(["rm", "-f", "fields"]);
    kelp.run(["ps", "--filter", "bogus=1"]).failure().stderr_has("bogus");
    kelp.run(["ps", "--filter", "status=bogus"]).failure().stderr_has("bogus");
    let status = |name: &str| kelp.ok(["ps", "-a", "--filter", &format!("name=^{name}$"), "--format", "{{.Status}}"]);
    assert!(status("up").starts_with("Up "), "{}", status("up"));
    assert!(status("done").starts_with("Exited (3) ") && status("done").ends_with(" ago"), "{}", status("done"));
    assert_eq!(status("made"), "Created");
    assert_eq!(kelp.ok(["ps", "-a", "--format", "{{.State}}", "--filter", "name=up"]), "running");
    let newest = kelp.run(["ps", "-aq", "--no-trunc"]).lines();
    assert_eq!(newest, [made.clone(), done.clone(), up.clone()]);
    let json = kelp.run(["ps", "--format", "json"]).success().json();
    for key in ["Command", "CreatedAt", "ID", "Image", "Labels", "Mounts", "Names", "Networks", "Ports", "RunningFor", "Size", "State", "Status"] {
        assert!(json.get(key).is_some(), "{key} is not in {json}");
    }
    kelp.run(["ps", "-a", "--size"]).success().stdout_has("SIZE").stdout_has("virtual");
}

#[test]
fn inspect_says_what_scripts_read() {
    let kelp = Kelp::busybox();
    let dir = kelp.open_dir("d");
    let bind = format!("{}:/mnt:ro", dir.display());
    let args = ["--name", "c", "-e", "A=b", "-l", "x=y", "-h", "box", "-w", "/tmp", "-u", "alice", "-v", &bind, "-v", "vol:/vol", "--stop-signal", "INT", "--restart", "on-failure:3"];
    let id = kelp.detached(&[&args[..], &["busybox", "sleep", "300"]].concat());
    let json = kelp.run(["inspect", "c"]).success().json();
    let c = &json[0];
    assert_eq!(c["Id"], id.as_str());
    assert_eq!(c["Name"].as_str().unwrap().trim_start_matches('/'), "c");
    assert_eq!(c["Path"], "sleep");
    assert_eq!(c["Args"], serde_json::json!(["300"]));
    assert_eq!(c["State"]["Status"], "running");
    assert_eq!(c["State"]["Running"], true);
    assert_eq!(c["State"]["Paused"], false);
    assert!(c["State"]["Pid"].as_i64().unwrap() > 1);
    assert!(c["State"]["StartedAt"].as_str().unwrap().starts_with("20"));
    assert!(c["Created"].as_str().unwrap().starts_with("20"));
    assert_eq!(c["RestartCount"], 0);
    assert_eq!(c["Config"]["Hostname"], "box");
    assert_eq!(c["Config"]["User"], "alice");
    assert_eq!(c["Config"]["WorkingDir"], "/tmp");
    assert_eq!(c["Config"]["Labels"]["x"], "y");
    assert!(c["Config"]["Env"].as_array().unwrap().contains(&"A=b".into()));
    assert_eq!(c["Config"]["Cmd"], serde_json::json!(["sleep", "300"]));
    assert_eq!(c["HostConfig"]["RestartPolicy"]["Name"], "on-failure");
    assert_eq!(c["HostConfig"]["RestartPolicy"]["MaximumRetryCount"], 3);
    assert_eq!(c["HostConfig"]["Privileged"], false);
    assert_eq!(c["HostConfig"]["AutoRemove"], false);
    let mounts = c["Mounts"].as_array().unwrap();
    assert_eq!(mounts.len(), 2);
    let bind = mounts.iter().find(|m| m["Type"] == "bind").unwrap();
    assert_eq!((bind["Destination"].as_str(), bind["RW"].as_bool(), bind["Source"].as_str()), (Some("/mnt"), Some(false), dir.to_str()));
    let volume = mounts.iter().find(|m| m["Type"] == "volume").unwrap();
    assert_eq!((volume["Destination"].as_str(), volume["RW"].as_bool(), volume["Name"].as_str()), (Some("/vol"), Some(true), Some("vol")));
    assert!(c["NetworkSettings"]["Ports"].is_object());
    assert_eq!(kelp.inspect("c", "{{.Config.Hostname}} {{json .Config.Labels}} {{len .Mounts}}"), r#"box {"x":"y"} 2"#);
    assert_eq!(kelp.inspect(&id[..10], "{{.Id}}"), id);
    kelp.run(["inspect", "nosuch"]).failure().stderr_has("no such").stdout("[]");
    let both = kelp.run(["inspect", "c", "nosuch"]);
    both.failure();
    assert_eq!(both.json()[0]["Id"], id.as_str());
    kelp.run(["inspect", "--format", "{{.NoSuchField}}", "c"]).failure();
    assert_eq!(kelp.ok(["inspect", "--type", "image", "--format", "{{.Os}}", "busybox"]), "linux");
    kelp.run(["container", "exists", "c"]).code(0).stdout("");
    kelp.run(["container", "exists", "nosuch"]).code(1).stdout("");
    kelp.ok(["rm", "-f", "-t", "0", "c"]);
    kelp.ok(["volume", "rm", "vol"]);
}

#[test]
fn pause_or_a_clear_refusal() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "busybox", "sleep", "300"]);
    let out = kelp.run(["pause", "c"]);
    if out.code == 0 {
        assert_eq!(kelp.inspect("c", "{{.State.Status}}"), "paused");
        kelp.run(["unpause", "c"]).success();
    } else {
        out.stderr_has("cgroup");
    }
    assert_eq!(kelp.inspect("c", "{{.State.Status}}"), "running");
}

#[test]
fn restart_policies() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "thrice", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo run; exit 5"]);
    kelp.wait_state("thrice", "exited");
    kelp.run(["logs", "thrice"]).success().stdout("run\nrun\nrun");
    assert_eq!(kelp.inspect("thrice", "{{.RestartCount}} {{.State.ExitCode}}"), "2 5");
    kelp.detached(&["--name", "fine", "--restart", "on-failure", "busybox", "sh", "-c", "echo run; exit 0"]);
    kelp.wait_state("fine", "exited");
    kelp.run(["logs", "fine"]).success().stdout("run");
    kelp.detached(&["--name", "always", "--restart", "always", "busybox", "sh", "-c", "echo run; sleep 0.1"]);
    crate::support::until("it restarts", Duration::from_secs(20), || kelp.run(["logs", "always"]).lines().len() >= 3);
    kelp.run(["stop", "-t", "0", "always"]).success();
    assert_eq!(kelp.inspect("always", "{{.State.Running}}"), "false");
    let count = kelp.run(["logs", "always"]).lines().len();
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(kelp.run(["logs", "always"]).lines().len(), count, "stopped means stopped");
    kelp.run(["run", "--rm", "--restart", "always", "busybox", "true"]).code(125);
    kelp.run(["create", "--restart", "bogus", "busybox"]).code(125).stderr_has("bogus");
    // A killed program is restarted as well.
    kelp.detached(&["--name", "killed", "--restart", "unless-stopped", "busybox", "sh", "-c", "echo run; exec sleep 300"]);
    let pid = kelp.inspect("killed", "{{.State.Pid}}");
    let raw = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(raw, Signal::KILL).unwrap();
    crate::support::until("it runs again", Duration::from_secs(10), || {
        let now = kelp.run(["inspect", "--format", "{{.State.Pid}}", "killed"]).text();
        now != pid && now != "0"
    });
}

#[test]
fn top_shows_processes() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "busybox", "sh", "-c", "sleep 301 & exec sleep 300"]);
    // Between fork and exec a process has no command line of its own.
    let both = || ["sleep 300", "sleep 301"].iter().all(|name| kelp.run(["top", "c"]).text().contains(name));
    assert!((0..200).any(|_| both() || { std::thread::sleep(std::time::Duration::from_millis(10)); false }));
    kelp.run(["top", "c"]).success().stdout_has("PID").stdout_has("sleep 300").stdout_has("sleep 301").stdout_lacks("kelp");
    kelp.run(["top", "nosuch"]).failure().stderr_has("no such container");
    kelp.ok(["kill", "c"]);
    kelp.ok(["wait", "c"]);
    kelp.run(["top", "c"]).failure().stderr_has("not running");
}

#[test]
fn diff_cp_export() {
    let kelp = Kelp::busybox();
    let script = "mkdir /new; echo x > /new/f; rm /etc/group; echo more >> /etc/passwd";
    kelp.run(["run", "--name", "c", "busybox", "sh", "-c", script]).success();
    let mut lines = kelp.run(["diff", "c"]).success().lines();
    lines.sort();
    let wanted = ["A /new", "A /new/f", "C /etc", "C /etc/passwd", "D /etc/group"];
    assert_eq!(lines, wanted);
    let tar = kelp.work().join("c.tar");
    kelp.run(["export", "-o", tar.to_str().unwrap(), "c"]).success().stdout("");
    let names: Vec<String> = tar::Archive::new(std::fs::File::open(&tar).unwrap())
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    let has = |name: &str| names.iter().any(|n| n.trim_start_matches("./").trim_end_matches('/') == name);
    assert!(has("new/f") && has("bin/busybox") && !has("etc/group"), "{names:?}");
    let piped = kelp.run(["export", "c"]);
    piped.success();
    assert!(piped.stdout.len() > 1_000_000);
    let out = kelp.run(["import", tar.to_str().unwrap(), "again:1"]);
    out.success();
    kelp.run(["run", "--rm", "again:1", "cat", "/new/f"]).success().stdout("x");
}

#[test]
fn every_verb_has_its_long_name() {
    let kelp = Kelp::busybox();
    let id = kelp.ok(["container", "create", "--name", "c", "busybox", "sleep", "300"]);
    assert_eq!(kelp.ok(["container", "start", "c"]), "c");
    assert_eq!(kelp.ok(["container", "ls", "-q", "--no-trunc"]), id);
    assert_eq!(kelp.ok(["container", "list", "-q", "--no-trunc"]), id);
    assert_eq!(kelp.ok(["container", "ps", "-q", "--no-trunc"]), id);
    assert_eq!(kelp.ok(["container", "inspect", "-f", "{{.Id}}", "c"]), id);
    kelp.run(["container", "exec", "c", "true"]).success();
    kelp.run(["container", "logs", "c"]).success();
    kelp.run(["container", "top", "c"]).success();
    kelp.run(["container", "port", "c"]).success();
    kelp.run(["container", "diff", "c"]).success();
    kelp.run(["container", "rename", "c", "d"]).success();
    kelp.run(["container", "kill", "d"]).success();
    kelp.run(["container", "wait", "d"]).success();
    kelp.run(["container", "restart", "-t", "0", "d"]).success();
    kelp.run(["container", "stop", "-t", "0", "d"]).success();
    kelp.run(["container", "rm", "d"]).success();
    assert_eq!(kelp.run(["image", "ls", "-q"]).lines().len(), 1);
    kelp.run(["image", "inspect", "busybox"]).success();
}
