//! exec, attach, logs and terminals.

use std::time::Duration;

use crate::support::{Kelp, SOON, until};

#[test]
fn exec_runs_in_the_container() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "-e", "A=container", "-w", "/tmp", "busybox", "sleep", "300"]);
    kelp.run(["exec", "-w", "/no/such", "c", "true"]).code(127).stderr_has("working directory /no/such").stderr_has("no such file");
    kelp.run(["exec", "-w", "/etc/passwd", "c", "true"]).code(127).stderr_has("not a directory");
    kelp.run(["exec", "c", "ls", "/no"]).failure();
    kelp.run(["exec", "c", "echo", "hi"]).success().stdout("hi").quiet();
    kelp.run(["exec", "c", "sh", "-c", "exit 9"]).code(9);
    kelp.run(["exec", "c", "sh", "-c", "kill -9 $$"]).code(137);
    kelp.run(["exec", "c", "nosuchprogram"]).code(127).stderr_has("nosuchprogram");
    kelp.run(["exec", "c", "/etc"]).code(126);
    kelp.run(["exec", "c", "sh", "-c", "echo $A; pwd; echo err >&2"]).success().stdout("container\n/tmp").stderr_has("err");
    kelp.run(["exec", "-e", "A=exec", "-e", "B=2", "-w", "/etc", "-u", "alice", "c", "sh", "-c", "echo $A $B; pwd; id -un"])
        .success()
        .stdout("exec 2\n/etc\nalice");
    kelp.cmd(["exec", "-i", "c", "cat"]).stdin("through").output().success().stdout("through");
    kelp.cmd(["exec", "c", "cat"]).stdin("not through").output().success().stdout("");
    let out = kelp.run(["exec", "-d", "c", "sh", "-c", "echo done > /tmp/mark; sleep 200"]);
    out.success().stdout("");
    until("the detached one ran", SOON, || kelp.run(["exec", "c", "cat", "/tmp/mark"]).text() == "done");
    kelp.run(["exec", "c", "sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline"]).success().stdout("sleep 300");
    kelp.run(["exec", "nosuch", "true"]).failure().stderr_has("no such container");
    kelp.run(["exec", "-u", "nosuchuser", "c", "true"]).failure().stderr_has("nosuchuser");
    kelp.ok(["kill", "c"]);
    kelp.ok(["wait", "c"]);
    kelp.run(["exec", "c", "true"]).failure().stderr_has("not running");
    kelp.no_process_left();
}

#[test]
fn exec_privileged() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "busybox", "sleep", "300"]);
    kelp.run(["exec", "c", "mount", "-t", "tmpfs", "none", "/tmp"]).failure();
    kelp.run(["exec", "--privileged", "c", "mount", "-t", "tmpfs", "none", "/tmp"]).success();
}

#[test]
fn many_execs_at_once() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "busybox", "sleep", "300"]);
    let runs: Vec<_> = (0..20).map(|n| (n, kelp.start(["exec", "c", "echo", &n.to_string()]))).collect();
    for (n, run) in runs {
        run.wait().success().stdout(&n.to_string());
    }
    kelp.run(["exec", "c", "sh", "-c", "ls -d /proc/[0-9]* | wc -l"]).success();
}

#[test]
fn a_shell_on_a_terminal() {
    let kelp = Kelp::busybox();
    let mut pty = kelp.pty(["run", "--rm", "-it", "busybox", "sh"]);
    pty.expect("# ");
    pty.send("echo sum $((40+2))\r");
    pty.expect("sum 42");
    pty.expect("# ");
    pty.send("tty; test -t 0 && test -t 1 && test -t 2 && echo all three\r");
    pty.expect("/dev/pts/0");
    pty.expect("all three");
    pty.send("echo $TERM; stty size\r");
    pty.expect("xterm");
    pty.expect("24 80");
    pty.resize(50, 132);
    pty.send("sleep 0.2; stty size\r");
    pty.expect("50 132");
    // The interrupt key reaches what runs in front, not the shell.
    pty.send("sleep 100\r");
    std::thread::sleep(Duration::from_millis(300));
    pty.send("\x03");
    pty.expect("# ");
    pty.send("echo status $?\r");
    pty.expect("status 130");
    pty.send("exit 4\r");
    assert_eq!(pty.end(), 4);
    kelp.nothing_left();
}

#[test]
fn the_terminal_is_given_back() {
    let kelp = Kelp::busybox();
    let script = format!("{} run --rm -it busybox true; stty -a | tr ' ;' '\\n\\n' | grep -xE -e '-?(echo|icanon|isig|opost)' | tr '\\n' ' '", crate::support::program().display());
    let mut pty = crate::support::pty::Pty::start(kelp.tool("/bin/sh", ["-c", &script]).env("TERM", "xterm").raw());
    pty.expect("icanon");
    let screen = pty.screen();
    for mode in ["isig", "icanon", "echo", "opost"] {
        assert!(screen.contains(mode) && !screen.contains(&format!("-{mode} ")), "{mode}: {screen}");
    }
    assert_eq!(pty.end(), 0);
}

#[test]
fn exec_on_a_terminal() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "busybox", "sleep", "300"]);
    let mut pty = kelp.pty(["exec", "-it", "c", "sh"]);
    pty.expect("# ");
    pty.send("stty size; tty\r");
    pty.expect("24 80");
    pty.expect("/dev/pts/");
    pty.send("exit 6\r");
    assert_eq!(pty.end(), 6);
}

#[test]
fn t_without_a_terminal() {
    let kelp = Kelp::busybox();
    let out = kelp.run(["run", "--rm", "-t", "busybox", "sh", "-c", "test -t 1 && echo terminal"]);
    out.success().stdout("terminal");
    assert!(out.stdout.ends_with(b"\r\n"), "a terminal makes CR LF of a line's end");
    let out = kelp.run(["run", "--rm", "-it", "busybox", "true"]);
    assert!(out.code == 0 || out.stderr.contains("not a TTY"), "{out:?}");
}

#[test]
fn detach_and_attach_again() {
    let kelp = Kelp::busybox();
    let mut pty = kelp.pty(["run", "-it", "--name", "c", "busybox", "sh"]);
    pty.expect("# ");
    pty.send("x=kept\r");
    pty.expect("# ");
    pty.send("\x10\x11");
    assert_eq!(pty.end(), 0);
    assert_eq!(kelp.inspect("c", "{{.State.Running}}"), "true");
    let mut pty = kelp.pty(["attach", "c"]);
    pty.send("\recho value $x\r");
    pty.expect("value kept");
    pty.send("\x10\x11");
    assert_eq!(pty.end(), 0);
    let mut pty = kelp.pty(["attach", "--detach-keys", "ctrl-a,d", "c"]);
    pty.send("\recho again $x\r");
    pty.expect("again kept");
    pty.send("\x01d");
    assert_eq!(pty.end(), 0);
    let mut pty = kelp.pty(["attach", "c"]);
    pty.send("\rexit 3\r");
    assert_eq!(pty.end(), 3);
    kelp.run(["attach", "c"]).failure().stderr_has("not running");
    kelp.no_process_left();
}

#[test]
fn attach_without_a_terminal() {
    let kelp = Kelp::busybox();
    kelp.detached(&["-i", "--name", "c", "busybox", "sh", "-c", "read a; echo got $a; exit 5"]);
    let out = kelp.cmd(["attach", "c"]).stdin("typed\n").output();
    out.code(5).stdout("got typed");
    kelp.run(["create", "--name", "d", "-i", "busybox", "cat"]).success();
    kelp.cmd(["start", "-ai", "d"]).stdin("into start").output().success().stdout("into start");
}

#[test]
fn logs_and_their_options() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--name", "c", "busybox", "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2; printf tail"])
        .success();
    let out = kelp.run(["logs", "c"]);
    out.success().stdout("line 1\nline 2\nline 3\nline 4\nline 5\ntail");
    assert_eq!(out.stderr.trim(), "oops");
    kelp.run(["logs", "--tail", "2", "c"]).success();
    assert_eq!(kelp.run(["logs", "--tail", "0", "c"]).success().text(), "");
    kelp.run(["logs", "--tail", "all", "c"]).success().stdout_has("line 1");
    let stamped = kelp.run(["logs", "-t", "c"]).success().lines();
    let (stamp, text) = stamped[0].split_once(' ').unwrap();
    assert_eq!(text, "line 1");
    assert!(stamp.len() >= 30 && stamp.as_bytes()[19] == b'.' && stamp.as_bytes()[10] == b'T', "{stamp}");
    kelp.run(["logs", "--since", "1h", "c"]).success().stdout_has("line 1");
    kelp.run(["logs", "--since", stamp, "c"]).success().stdout_has("line 1");
    kelp.run(["logs", "--until", "1h", "c"]).success().stdout("");
    kelp.run(["logs", "--since", "2001-02-03", "--until", "2001-02-04", "c"]).success().stdout("");
    kelp.run(["logs", "--since", "rubbish", "c"]).failure().stderr_has("rubbish");
    kelp.run(["logs", "nosuch"]).failure().stderr_has("no such container");
}

#[test]
fn logs_follow() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "busybox", "sh", "-c", "echo one; while [ ! -e /go ]; do sleep 0.02; done; echo two; sleep 0.2; echo three"]);
    let mut follow = kelp.start(["logs", "-f", "c"]);
    follow.wait_stdout("one");
    kelp.run(["exec", "c", "touch", "/go"]).success();
    follow.wait().success().stdout("one\ntwo\nthree");
}

#[test]
fn log_drivers_and_limits() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--name", "none", "--log-driver", "none", "busybox", "echo", "hi"]).success().stdout("hi");
    kelp.run(["logs", "none"]).failure();
    kelp.run(["run", "--name", "json", "--log-driver", "json-file", "busybox", "echo", "hi"]).success();
    kelp.run(["logs", "json"]).success().stdout("hi");
    let opts = ["--log-opt", "max-size=64k", "--log-opt", "max-file=2"];
    kelp.run(["run", "--name", "small"].iter().chain(&opts).chain(&["busybox", "seq", "1", "60000"])).success();
    let lines = kelp.run(["logs", "small"]).success().lines();
    assert!(lines.len() < 30_000 && !lines.is_empty(), "{} lines were kept", lines.len());
    assert_eq!(lines.last().unwrap(), "60000");
    // However much is written at once, no file is larger than asked for, and no line between the kept ones is lost.
    let opts = ["--log-opt", "max-size=1k", "--log-opt", "max-file=3"];
    let tiny = kelp.detached(&[&["--name", "tiny", "--network", "none"], &opts[..], &["busybox", "seq", "1", "500"]].concat());
    kelp.ok(["wait", "tiny"]);
    let lines: Vec<u32> = kelp.run(["logs", "tiny"]).success().lines().iter().map(|line| line.parse().unwrap()).collect();
    assert!(lines.len() > 20 && lines.iter().copied().eq(501 - u32::try_from(lines.len()).unwrap()..=500), "{lines:?}");
    let log = std::path::PathBuf::from(kelp.inspect("tiny", "{{.LogPath}}"));
    for number in ["", ".1", ".2"] {
        let size = std::fs::metadata(format!("{}{number}", log.display())).unwrap().len();
        assert!(size > 0 && size <= 1024, "{tiny}{number}: {size}");
    }
    assert!(!std::path::Path::new(&format!("{}.3", log.display())).exists());
    if !std::path::Path::new("/run/systemd/journal/socket").exists() {
        kelp.run(["run", "--log-driver", "journald", "--network", "none", "busybox", "true"]).code(125).stderr_has("systemd's journal");
    }
    kelp.run(["create", "--log-driver", "bogus", "busybox"]).code(125).stderr_has("bogus");
    kelp.run(["create", "--log-opt", "max-size=bogus", "busybox"]).code(125).stderr_has("bogus");
}

#[test]
fn a_slow_reader_of_a_log_stops_nobody() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--name", "c", "busybox", "seq", "1", "100000"]).success();
    let script = format!("{} logs c | (sleep 0.3; tail -n 1)", crate::support::program().display());
    kelp.tool("/bin/sh", ["-c", &script]).output().success().stdout("100000");
    kelp.run(["run", "-d", "--name", "d", "busybox", "seq", "1", "100000"]).success();
    kelp.run(["wait", "d"]).success().stdout("0");
    assert_eq!(kelp.run(["logs", "d"]).success().lines().len(), 100_000);
}

#[test]
fn logs_tell_containers_apart() {
    let kelp = Kelp::busybox();
    let opts = ["--log-opt", "labels=tier,none", "--log-opt", "env=MODE"];
    let shape = ["-l", "tier=web", "-e", "MODE=fast", "--network", "none"];
    kelp.run(["run", "--name", "a"].iter().chain(&opts).chain(&shape).chain(&["busybox", "echo", "one"])).success();
    kelp.run(["run", "--name", "b", "--network", "none", "busybox", "echo", "two"]).success();
    kelp.run(["logs", "--details", "a"]).success().stdout("tier=web,MODE=fast one");
    kelp.run(["logs", "--details", "b"]).success().stdout("two");
    let both = kelp.run(["logs", "--names", "--color", "a", "b"]).success().text();
    assert_eq!(both, "\x1b[31ma\x1b[0m one\n\x1b[32mb\x1b[0m two");
}
