//! exec, attach, logs and terminals.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::pty::Pty;
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
fn output_that_cannot_be_written_is_told_and_a_reader_that_has_gone_is_not() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "busybox", "sleep", "300"]);
    let to = |command: &str, rest: &str| {
        kelp.tool("/bin/sh", ["-c", &format!("{} {command} {rest}", crate::support::program().display())]).output()
    };
    for command in ["run --rm busybox", "exec c", "run --rm -t busybox"] {
        to(command, "echo foo >/dev/full").code(125).stderr_has("standard output").stderr_has("No space left");
        to(command, "sh -c 'echo foo; sleep 0.1; exit 3' >/dev/full").code(3).stderr_has("No space left");
        to(command, "true >/dev/full").success().quiet();
    }
    for command in ["run --rm busybox", "exec c"] {
        to(command, "seq 1 100000 | head -n 1").success().stdout("1").quiet();
    }
}

#[test]
fn descriptors_are_preserved_and_no_others() {
    let kelp = Kelp::busybox();
    let sh = |script: &str| {
        let script = script.replace("kelp", crate::support::program().to_str().unwrap());
        kelp.tool("/bin/sh", ["-c", &format!("echo three >3.txt; echo five >5.txt; exec 3<3.txt 4>4.txt 5<5.txt; {script}")]).output()
    };
    let written = || std::fs::read_to_string(kelp.work().join("4.txt")).unwrap();
    let program = "sh -c 'cat <&3; echo four >&4; cat <&5; ls /proc/self/fd | tr \"\\n\" \" \"'";
    let listed = "three\nfive\n0 1 2 3 4 5 6";
    for flags in ["", "--init", "--restart on-failure"] {
        sh(&format!("kelp run --name c {flags} --preserve-fds 3 busybox {program}; kelp rm -f c >/dev/null")).success().stdout(listed);
        assert_eq!(written(), "four\n", "{flags}");
    }
    sh("kelp run -dt --name c --preserve-fds 3 busybox sh -c 'cat <&3; echo four >&4; exec sleep 300'").success();
    kelp.wait_log("c", "three");
    assert_eq!(written(), "four\n");
    sh(&format!("kelp exec --preserve-fds 3 c {program}")).success().stdout(listed);
    assert_eq!(written(), "four\n");
    sh("kelp exec -t --preserve-fds=1 c cat /proc/self/fd/3").success().stdout_has("three");
    sh("kelp exec c sh -c 'ls /proc/self/fd | wc -l'").success().stdout("4");
    sh("kelp run --rm --preserve-fds 4 busybox true").code(125).stderr_has("descriptor 6 is not open");
    sh("kelp run --rm --preserve-fds 100 busybox true").code(125).stderr_has("no more than 32");
    // A pipe's other end sees its end while the container goes on: nobody keeps a copy.
    let script = "kelp run -d --name d --preserve-fds 1 busybox sh -c 'echo over the pipe >&3; exec 3>&-; exec sleep 300' 3>&1 >/dev/null | cat";
    sh(script).success().stdout("over the pipe");
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
    let mut pty = Pty::start(kelp.tool("/bin/sh", ["-c", &script]).env("TERM", "xterm").raw());
    pty.expect("icanon");
    let screen = pty.screen();
    for mode in ["isig", "icanon", "echo", "opost"] {
        assert!(screen.contains(mode) && !screen.contains(&format!("-{mode} ")), "{mode}: {screen}");
    }
    assert_eq!(pty.end(), 0);
}

/// kelp on a terminal that outlives it, under a shell that then tells its end and the terminal's mode; its process id.
fn under_a_shell(kelp: &Kelp, args: &str, ready: &str) -> (Pty, Pid) {
    let file = kelp.work().join("pid");
    let program = crate::support::program();
    let script = format!(
        "sh -c 'echo $$ > {}; exec {} {args}'; echo ended $?; stty -a | grep -oE -e '-?icanon'",
        file.display(),
        program.display()
    );
    let mut pty = Pty::start(kelp.tool("/bin/sh", ["-c", &script]).env("TERM", "xterm").raw());
    pty.expect(ready);
    until("it is raw", SOON, || !pty.is_cooked());
    let pid = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    (pty, Pid::from_raw(pid).unwrap())
}

#[track_caller]
fn ended(mut pty: Pty, code: i32) {
    pty.expect(&format!("ended {code}"));
    pty.expect("icanon");
    assert!(!pty.screen().contains("-icanon"), "{:?}", pty.screen());
    assert_eq!(pty.end(), 0);
}

#[test]
fn signals_are_passed_on_with_a_terminal_too() {
    let kelp = Kelp::busybox();
    let traps = "trap \"echo caught TERM\" TERM; trap \"echo caught USR1\" USR1; trap \"echo caught HUP\" HUP; \
                 trap \"echo caught INT\" INT; trap \"exit 7\" QUIT; echo re\"\"ady; while :; do sleep 0.05; done";
    kelp.file("traps", traps);
    let shared = format!("-v {}:/traps busybox sh /traps", kelp.work().join("traps").display());
    let (mut pty, pid) = under_a_shell(&kelp, &format!("run --name c -it {shared}"), "ready");
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::USR1, "USR1"), (Signal::HUP, "HUP"), (Signal::INT, "INT")] {
        kill_process(pid, signal).unwrap();
        pty.expect(&format!("caught {name}"));
    }
    kill_process(pid, Signal::QUIT).unwrap();
    ended(pty, 7);
    let (mut pty, pid) = under_a_shell(&kelp, "start -ai c", "ready");
    kill_process(pid, Signal::TERM).unwrap();
    pty.expect("caught TERM");
    // Without the proxy a signal ends kelp alone; the container goes on, and attach passes signals on again.
    pty.send("\x10\x11");
    ended(pty, 0);
    let (pty, pid) = under_a_shell(&kelp, "attach --sig-proxy=false c", "");
    kill_process(pid, Signal::TERM).unwrap();
    ended(pty, 143);
    let (mut pty, pid) = under_a_shell(&kelp, "attach c", "");
    kill_process(pid, Signal::USR1).unwrap();
    pty.expect("caught USR1");
    kill_process(pid, Signal::QUIT).unwrap();
    ended(pty, 7);
}

#[test]
fn a_signal_ends_exec_with_the_terminal_given_back() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "busybox", "sleep", "300"]);
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129), (Signal::USR2, 140)] {
        let (pty, pid) = under_a_shell(&kelp, "exec -it c sh", "# ");
        kill_process(pid, signal).unwrap();
        ended(pty, code);
    }
}

#[test]
fn a_terminal_that_hangs_up_ends_kelp_and_not_the_container() {
    let kelp = Kelp::busybox();
    let ends = |mut pty: Pty| {
        pty.expect("ready");
        until("it is raw", SOON, || !pty.is_cooked());
        assert_eq!(pty.hang_up().end().signal(), Some(libc::SIGHUP));
    };
    ends(kelp.pty(["run", "-it", "--name", "c", "busybox", "sh", "-c", "trap '' HUP; echo ready; exec sleep 300"]));
    assert_eq!(kelp.inspect("c", "{{.State.Running}}"), "true");
    ends(kelp.pty(["exec", "-it", "c", "sh", "-c", "echo ready; exec sleep 300"]));
    assert_eq!(kelp.inspect("c", "{{.State.Running}}"), "true");
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

/// As with docker: what other commands detach on is theirs to say, or the configuration's.
#[test]
fn detach_keys_are_those_of_one_command() {
    let kelp = Kelp::busybox();
    let mut pty = kelp.pty(["run", "-it", "--name", "c", "--detach-keys", "ctrl-a,d", "busybox", "sh"]);
    pty.expect("# ");
    pty.send("\x01d");
    assert_eq!(pty.end(), 0);
    let mut pty = kelp.pty(["attach", "c"]);
    pty.send("\recho $((40 + 2))\r");
    pty.expect("42");
    pty.send("\x10\x11");
    assert_eq!(pty.end(), 0);
    let mut pty = kelp.pty(["exec", "-it", "c", "sh"]);
    pty.expect("# ");
    pty.send("\x01d");
    pty.send("\recho $((50 + 2))\r");
    pty.expect("52");
    pty.send("\x10\x11");
    assert_eq!(pty.end(), 0);
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
    let opts = ["mode=non-blocking", "max-buffer-size=4m", "compress=false", "max-size=10m"].map(|opt| ["--log-opt", opt]);
    kelp.run(["run", "--name", "modes", "--log-driver", "json-file"].iter().chain(opts.as_flattened()).chain(&["busybox", "echo", "hi"])).success();
    kelp.run(["logs", "modes"]).success().stdout("hi");
    for (opt, why) in [("mode=bogus", "non-blocking"), ("compress=true", "does not compress"), ("max-buffer-size=4m", "needs mode")] {
        kelp.run(["create", "--log-opt", opt, "busybox"]).code(125).stderr_has(why);
    }
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
