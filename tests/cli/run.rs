//! `run` and `create`: exit codes, standard streams, and what a process finds inside.

use std::time::Duration;

use serde_json::json;

use crate::support::{Image, Kelp, Layer};

#[test]
fn exit_codes_pass_through() {
    let kelp = Kelp::busybox();
    kelp.sh(&[], "exit 0").success().stdout("").quiet();
    kelp.sh(&[], "exit 3").code(3).quiet();
    kelp.sh(&[], "exit 255").code(255);
    kelp.sh(&["--init"], "kill -9 $$").code(137); // the first process of a namespace cannot be killed from within
    kelp.sh(&["--init"], "kill -TERM $$").code(143);
}

#[test]
fn failures_have_their_own_codes() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--rm", "busybox", "nosuchprogram"]).code(127).stderr_has("nosuchprogram");
    kelp.run(["run", "--rm", "busybox", "/no/such/program"]).code(127).stderr_has("/no/such/program");
    kelp.run(["run", "--rm", "busybox", "/etc"]).code(126).stderr_has("/etc");
    kelp.run(["run", "--rm", "busybox", "/etc/passwd"]).code(126).stderr_has("/etc/passwd");
    kelp.run(["run", "--rm", "--nosuchflag", "busybox", "true"]).code(125).stderr_has("--nosuchflag");
    kelp.run(["run", "--rm", "-v", "relative:path:bogus", "busybox", "true"]).code(125);
    kelp.run(["run", "--rm", "--pull", "never", "localhost/nosuch", "true"]).code(125).stderr_has("nosuch");
    kelp.run(["run", "--rm", "-u", "nosuchuser", "busybox", "true"]).code(125).stderr_has("nosuchuser");
    kelp.run(["nosuchcommand"]).failure().stderr_has("nosuchcommand");
    assert_eq!(kelp.ok(["ps", "-aq"]), "", "a run that failed leaves no container");
}

#[test]
fn pipes_in_and_out() {
    let kelp = Kelp::busybox();
    let data: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let out = kelp.cmd(["run", "--rm", "-i", "busybox", "cat"]).stdin(&data).output();
    out.success();
    assert!(out.stdout == data, "{} bytes came back of {}", out.stdout.len(), data.len());
    let out = kelp.cmd(["run", "--rm", "-i", "busybox", "sh", "-c", "read a; echo \"got $a\"; echo other >&2"]);
    let out = out.stdin("one\ntwo\n").output();
    out.success().stdout("got one");
    assert_eq!(out.stderr, "other\n");
}

#[test]
fn without_i_stdin_is_not_passed() {
    let kelp = Kelp::busybox();
    kelp.cmd(["run", "--rm", "busybox", "cat"]).stdin("secret").output().success().stdout("");
}

#[test]
fn a_reader_that_leaves_ends_the_pipe() {
    let kelp = Kelp::busybox();
    let script = format!("{} run --rm busybox yes | head -n 3", crate::support::program().display());
    let out = kelp.tool("/bin/sh", ["-c", &script]).limit(Duration::from_secs(20)).output();
    out.success().stdout("y\ny\ny");
    kelp.no_process_left();
}

#[test]
fn output_of_any_size_is_complete() {
    let kelp = Kelp::busybox();
    let out = kelp.sh(&[], "seq 1 200000; seq 1 1000 >&2");
    out.success();
    assert_eq!(out.stdout.len(), (1..=200_000).map(|n: u32| n.to_string().len() + 1).sum::<usize>());
    assert_eq!(out.stderr.lines().count(), 1000);
}

#[test]
fn rm_leaves_nothing() {
    let kelp = Kelp::busybox();
    kelp.sh(&["--name", "gone"], "touch /x; echo y > /etc/z").success();
    kelp.sh(&["-v", "/data", "--name", "gone"], "touch /data/x").success();
    assert_eq!(kelp.ok(["ps", "-aq"]), "");
    assert_eq!(kelp.ok(["volume", "ls", "-q"]), "", "--rm removes anonymous volumes");
    kelp.nothing_left();
}

#[test]
fn detached_prints_the_id_and_nothing_else() {
    let kelp = Kelp::busybox();
    let out = kelp.run(["run", "-d", "--name", "bg", "busybox", "sleep", "300"]);
    out.success().quiet();
    let id = out.text();
    assert_eq!(id.len(), 64);
    assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{id}\n"));
    assert_eq!(kelp.ok(["ps", "-q", "--no-trunc"]), id);
    assert_eq!(kelp.ok(["ps", "-q"]), id[..12]);
    assert_eq!(kelp.inspect("bg", "{{.State.Running}} {{.State.Status}}"), "true running");
    kelp.run(["rm", "bg"]).failure().stderr_has("running");
    assert_eq!(kelp.ok(["rm", "-f", "-t", "0", "bg"]), "bg");
    kelp.nothing_left();
}

#[test]
fn a_taken_name_is_refused() {
    let kelp = Kelp::busybox();
    let id = kelp.ok(["create", "--name", "taken", "busybox", "true"]);
    kelp.run(["run", "--rm", "--name", "taken", "busybox", "true"]).code(125).stderr_has("is already in use by").stderr_has(&id[..12]);
    kelp.run(["create", "--name", "taken", "busybox", "true"]).code(125).stderr_has("is already in use by");
    kelp.run(["create", "--name", "not/good", "busybox"]).code(125);
    assert_eq!(kelp.ok(["ps", "-aq", "--no-trunc"]), id);
}

#[test]
fn cidfile_and_pidfile() {
    let kelp = Kelp::busybox();
    let (cid, pid) = (kelp.work().join("cid"), kelp.work().join("pid"));
    let (cid_text, pid_text) = (cid.display().to_string(), pid.display().to_string());
    let id = kelp.detached(&["--cidfile", &cid_text, "--pidfile", &pid_text, "busybox", "sleep", "300"]);
    assert_eq!(std::fs::read_to_string(&cid).unwrap(), id);
    let number = std::fs::read_to_string(&pid).unwrap();
    assert_eq!(number.trim(), kelp.inspect(&id, "{{.State.Pid}}"));
    assert!(std::fs::read(format!("/proc/{}/cmdline", number.trim())).unwrap().starts_with(b"sleep\0300"));
    kelp.run(["run", "--rm", "--cidfile", &cid_text, "busybox", "true"]).code(125).stderr_has(&cid_text);
    // What fails leaves neither container nor volume nor file.
    let other = kelp.work().join("other").display().to_string();
    kelp.run(["run", "--rm", "-v", "/v", "--cidfile", "/nosuch/x", "busybox", "true"]).code(125).stderr_has("/nosuch/x");
    kelp.run(["create", "-v", "/v", "--cidfile", "/nosuch/x", "busybox", "true"]).code(125).stderr_has("/nosuch/x");
    kelp.ok(["rename", &id, "taken"]);
    kelp.run(["create", "--name", "taken", "-v", "/v", "--cidfile", &other, "busybox", "true"]).code(125).stderr_has("taken");
    assert!(!std::path::Path::new(&other).exists());
    assert_eq!((kelp.ok(["ps", "-aq", "--no-trunc"]), kelp.ok(["volume", "ls", "-q"])), (id.clone(), String::new()));
}

#[test]
fn environment() {
    let kelp = Kelp::busybox();
    let file = kelp.file("vars", "# a comment\nFROM_FILE=1\nSPACED=a b  c\nHOST_VALUE\nNOT_SET_ON_HOST\n\n");
    let out = kelp
        .cmd(["run", "--rm", "-e", "A=1", "-e", "EMPTY=", "-e", "HOST_VALUE", "-e", "MISSING", "--env-file"])
        .env("HOST_VALUE", "from host")
        .env("SECRET_OF_HOST", "x");
    let mut command = out.raw();
    command.arg(file).args(["busybox", "env"]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let has = |line: &str| lines.contains(&line);
    assert!(has("A=1") && has("EMPTY=") && has("HOST_VALUE=from host"), "{text}");
    assert!(has("FROM_FILE=1") && has("SPACED=a b  c"), "{text}");
    assert!(!text.contains("MISSING") && !text.contains("NOT_SET_ON_HOST"), "{text}");
    assert!(!text.contains("SECRET_OF_HOST") && !text.contains("XDG_"), "{text}");
    assert!(has("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") && has("HOME=/root"), "{text}");
    assert!(lines.iter().any(|l| l.starts_with("HOSTNAME=")), "{text}");
    assert!(!text.contains("TERM="), "no TERM without a terminal: {text}");
}

#[test]
fn environment_of_image_and_flag() {
    let kelp = Kelp::new();
    let image = Image::busybox().config("Env", json!(["PATH=/bin", "A=image", "B=image", "HOME=/x"]));
    kelp.load_image(&image, "env");
    let out = kelp.run(["run", "--rm", "-e", "B=flag", "env", "sh", "-c", "echo $A $B $HOME $PATH"]);
    out.success().stdout("image flag /x /bin");
}

#[test]
fn entrypoint_and_command() {
    let kelp = Kelp::new();
    let image = Image::busybox().config("Entrypoint", json!(["echo", "entry"])).config("Cmd", json!(["default"]));
    kelp.load_image(&image, "entry");
    kelp.run(["run", "--rm", "entry"]).success().stdout("entry default");
    kelp.run(["run", "--rm", "entry", "given", "more"]).success().stdout("entry given more");
    kelp.run(["run", "--rm", "--entrypoint", "printf", "entry", "%s.%s", "a", "b"]).success().stdout("a.b");
    kelp.run(["run", "--rm", "--entrypoint", "", "entry", "echo", "bare"]).success().stdout("bare");
    kelp.run(["run", "--rm", "--entrypoint", "", "entry"]).code(125);
}

#[test]
fn working_directory() {
    let kelp = Kelp::busybox();
    kelp.run(["run", "--rm", "busybox", "pwd"]).success().stdout("/");
    kelp.run(["run", "--rm", "-w", "/tmp", "busybox", "pwd"]).success().stdout("/tmp");
    kelp.run(["run", "--rm", "-w", "/new/deep", "busybox", "pwd"]).success().stdout("/new/deep");
    kelp.run(["run", "--rm", "-w", "/etc/passwd", "busybox", "pwd"]).failure();
    kelp.load_image(&Image::busybox().config("WorkingDir", json!("/var/www")), "dir");
    kelp.run(["run", "--rm", "dir", "pwd"]).success().stdout("/var/www");
}

#[test]
fn users_and_groups() {
    let kelp = Kelp::busybox();
    let id = |flags: &[&str]| {
        kelp.run(["run", "--rm"].iter().chain(flags).chain(&["busybox", "sh", "-c", "id -u; id -g; id -G; echo $HOME"]))
            .success()
            .lines()
            .into_iter()
            .map(|line| {
                let mut words: Vec<&str> = line.split(' ').collect();
                words.sort_unstable();
                words.join(" ")
            })
            .collect::<Vec<_>>()
            .join("|")
    };
    assert_eq!(id(&[]), "0|0|0|/root");
    assert_eq!(id(&["-u", "alice"]), "1000|1000|1000 50|/home/alice");
    assert_eq!(id(&["-u", "1001"]), "1001|100|100 29 50|/home/bob");
    assert_eq!(id(&["-u", "bob:staff"]), "1001|50|50|/home/bob");
    assert_eq!(id(&["-u", "4000:4001"]), "4000|4001|4001|/");
    assert_eq!(id(&["-u", "4000"]), "4000|0|0|/");
    assert_eq!(id(&["-u", "1000:1000", "--group-add", "audio", "--group-add", "77"]), "1000|1000|1000 29 77|/home/alice");
    kelp.run(["run", "--rm", "-u", "alice:nosuchgroup", "busybox", "id"]).code(125).stderr_has("nosuchgroup");
    kelp.sh(&["-u", "alice"], "touch /etc/x").failure();
    kelp.load_image(&Image::busybox().config("User", json!("bob")), "user");
    kelp.run(["run", "--rm", "user", "id", "-un"]).success().stdout("bob");
    kelp.run(["run", "--rm", "-u", "0", "user", "id", "-un"]).success().stdout("root");
}

#[test]
fn root_without_a_passwd_file() {
    let kelp = Kelp::new();
    let busybox = std::fs::read("/bin/busybox").unwrap();
    let layer = Layer::new().dir("bin/", 0o755).file("bin/busybox", 0o755, busybox).link("bin/sh", "busybox");
    kelp.load_image(&Image::scratch().layer(layer), "bare");
    kelp.run(["run", "--rm", "bare", "sh", "-c", "busybox id -u; busybox pwd"]).success().stdout("0\n/");
    kelp.run(["run", "--rm", "-u", "7:8", "bare", "sh", "-c", "busybox id -u; busybox id -g"]).success().stdout("7\n8");
}

#[test]
fn host_name_and_host_files() {
    let kelp = Kelp::busybox();
    let out = kelp.sh(&["-h", "box.example"], "hostname; cat /etc/hostname; grep box.example /etc/hosts | wc -l");
    out.success().stdout("box.example\nbox.example\n1");
    let id = kelp.ok(["create", "busybox", "hostname"]);
    kelp.run(["start", "-a", &id]).success().stdout(&id[..12]);
    let out = kelp.sh(&["--add-host", "db:10.1.2.3", "--add-host", "six:[2001:db8::1]"], "grep -E 'db|six' /etc/hosts");
    out.success().stdout_has("10.1.2.3").stdout_has("2001:db8::1");
    let out = kelp.sh(&["--dns", "192.0.2.53", "--dns-search", "corp.example", "--dns-option", "ndots:3"], "cat /etc/resolv.conf");
    out.success().stdout_has("nameserver 192.0.2.53").stdout_has("search corp.example").stdout_has("ndots:3");
}

#[test]
fn init_reaps_and_forwards() {
    let kelp = Kelp::busybox();
    kelp.sh(&["--init"], "[ $$ != 1 ] && echo not first").success().stdout("not first");
    kelp.detached(&["--init", "--name", "reaper", "busybox", "sh", "-c", "(sleep 0.1 &) ; trap 'exit 9' TERM; while :; do sleep 0.05; done"]);
    std::thread::sleep(Duration::from_millis(400));
    let zombies = kelp.run(["exec", "reaper", "sh", "-c", "grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"]);
    zombies.success().stdout("0");
    kelp.run(["stop", "-t", "8", "reaper"]).success().within(Duration::from_secs(6));
    assert_eq!(kelp.inspect("reaper", "{{.State.ExitCode}}"), "9");
}

#[test]
fn limits_and_sysctls() {
    let kelp = Kelp::busybox();
    let out = kelp.sh(&["--ulimit", "nofile=100:200", "--ulimit", "core=0"], "ulimit -n; ulimit -Hn; ulimit -c");
    out.success().stdout("100\n200\n0");
    kelp.sh(&["--sysctl", "net.ipv4.ip_default_ttl=42"], "cat /proc/sys/net/ipv4/ip_default_ttl").success().stdout("42");
    kelp.run(["run", "--rm", "--sysctl", "kernel.panic=1", "busybox", "true"]).code(125).stderr_has("kernel.panic");
    kelp.run(["run", "--rm", "--ulimit", "bogus=1", "busybox", "true"]).code(125).stderr_has("bogus");
}

#[test]
fn shared_memory_and_tmpfs() {
    let kelp = Kelp::busybox();
    kelp.sh(&[], "df -k /dev/shm | awk 'NR==2{print $2}'; stat -c %a /dev/shm").success().stdout("65536\n1777");
    kelp.sh(&["--shm-size", "3m"], "df -k /dev/shm | awk 'NR==2{print $2}'").success().stdout("3072");
    let out = kelp.sh(&["--tmpfs", "/mem:size=1m,mode=700"], "stat -c %a /mem; df -k /mem | awk 'NR==2{print $2}'; grep ' /mem ' /proc/mounts");
    out.success().stdout_has("700\n1024\n").stdout_has("nosuid").stdout_has("nodev");
    let out = kelp.sh(&["--mount", "type=tmpfs,destination=/t,tmpfs-size=65536"], "dd if=/dev/zero of=/t/f bs=1k count=100 2>&1; ls /t");
    out.success().stdout_has("No space left");
}

#[test]
fn read_only_root() {
    let kelp = Kelp::busybox();
    kelp.sh(&["--read-only"], "touch /x").failure().stderr_has("Read-only");
    kelp.sh(&["--read-only", "--tmpfs", "/tmp"], "touch /tmp/x /dev/shm/x && echo fine").success().stdout("fine");
    kelp.sh(&["--read-only", "-v", "/data"], "touch /data/x && echo fine").success().stdout("fine");
    // Also the files that are ours.
    let script = "for f in hosts hostname resolv.conf; do echo x 2>/dev/null >>/etc/$f || echo $f; done";
    kelp.sh(&["--read-only"], script).success().stdout("hosts\nhostname\nresolv.conf");
    kelp.sh(&[], script).success().quiet().stdout("");
    kelp.sh(&[], "grep /etc/hosts /proc/mounts").success().stdout_has("nosuid,nodev,noexec");
}

#[test]
fn timeout_ends_the_container() {
    let kelp = Kelp::busybox();
    let out = kelp.run(["run", "--rm", "--timeout", "1", "busybox", "sleep", "60"]);
    out.failure().within(Duration::from_secs(20));
    kelp.nothing_left();
}

#[test]
fn signals_reach_the_container() {
    let kelp = Kelp::busybox();
    let script = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut run = kelp.start(["run", "--rm", "busybox", "sh", "-c", script]);
    run.wait_stdout("ready");
    run.signal(rustix::process::Signal::TERM);
    run.wait().code(5).stdout("ready\ngot it");
    kelp.nothing_left();
    let script = "trap 'exit 6' INT; echo ready; while :; do sleep 0.05; done";
    let mut run = kelp.start(["run", "--rm", "busybox", "sh", "-c", script]);
    run.wait_stdout("ready");
    run.signal(rustix::process::Signal::INT);
    run.wait().code(6);
}

#[test]
fn created_and_started() {
    let kelp = Kelp::busybox();
    let id = kelp.ok(["create", "--name", "later", "busybox", "echo", "now"]);
    assert_eq!(id.len(), 64);
    assert_eq!(kelp.inspect("later", "{{.State.Status}}"), "created");
    kelp.run(["start", "-a", "later"]).success().stdout("now");
    assert_eq!(kelp.inspect("later", "{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
    kelp.run(["start", "-a", "later"]).success().stdout("now");
    assert_eq!(kelp.ok(["start", "later"]), "later");
}

#[test]
fn devices() {
    let kelp = Kelp::busybox();
    let script = "for d in null zero full random urandom tty; do [ -c /dev/$d ] || echo no $d; done; \
        [ -L /dev/fd ] && [ -L /dev/stdin ] && [ -d /dev/pts ] && [ -c /dev/ptmx -o -L /dev/ptmx ] && echo x > /dev/null && echo fine";
    kelp.sh(&[], script).success().stdout("fine");
    kelp.sh(&["--device", "/dev/fuse"], "[ -c /dev/fuse ] && echo there").success().stdout("there");
    kelp.sh(&[], "[ -e /dev/fuse ] || echo absent").success().stdout("absent");
    kelp.run(["run", "--rm", "--device", "/dev/nosuch", "busybox", "true"]).code(125).stderr_has("/dev/nosuch");
    kelp.run(["run", "--rm", "--device", "/etc/passwd", "busybox", "true"]).code(125).stderr_has("/etc/passwd: it is not a device node");
    kelp.sh(&["--device", "/dev/pts:/dev/more"], "[ -d /dev/more ] && echo there").success().stdout("there");
}

#[test]
fn a_user_the_image_does_not_know_gets_an_account_when_asked() {
    let kelp = Kelp::busybox();
    let show = "grep :1234: /etc/passwd; grep :99: /etc/group; echo $HOME; id -un";
    kelp.sh(&["-u", "1234:99", "-w", "/tmp", "--passwd"], show)
        .success()
        .stdout("1234:*:1234:99:container user:/tmp:/bin/sh\n99:x:99:1234\n/tmp\n1234");
    let own = ["-u", "1234:99", "--passwd-entry", "me:x:$UID:$GID::/home:/bin/sh", "--group-entry", "us:x:$GID:", "--read-only"];
    kelp.sh(&own, show).success().stdout("me:x:1234:99::/home:/bin/sh\nus:x:99:\n/home\nme");
    // Who is known, and who did not ask, gets none; a file of the host's is not touched.
    kelp.sh(&["-u", "alice", "--passwd-entry", "again:x:$UID:$GID::/:/bin/sh"], "grep again /etc/passwd || id -un").success().stdout("alice");
    kelp.sh(&["-u", "1234", "--passwd=false", "--passwd-entry", "me:x:$UID:0::/:"], "grep 1234 /etc/passwd || echo none").success().stdout("none");
    kelp.sh(&["-u", "1234"], "grep 1234 /etc/passwd || echo none").success().stdout("none");
    let file = kelp.file("passwd", "root:x:0:0:root:/root:/bin/sh\n");
    let bind = format!("{}:/etc/passwd", file.display());
    kelp.sh(&["-u", "1234", "--passwd", "-v", &bind], "cat /etc/passwd").success().stdout("root:x:0:0:root:/root:/bin/sh");
    kelp.run(["create", "--passwd-entry", "a\nb", "busybox"]).code(125).stderr_has("one line");
    // Once, however often it starts.
    kelp.run(["run", "--name", "c", "-u", "1234", "--passwd", "busybox", "grep", "-c", "1234:", "/etc/passwd"]).success().stdout("1");
    kelp.run(["start", "-a", "c"]).success().stdout("1");
}

#[test]
fn a_lower_oom_score_is_not_for_ordinary_users() {
    let kelp = Kelp::busybox();
    kelp.sh(&["--oom-score-adj", "500"], "cat /proc/self/oom_score_adj").success().stdout("500");
    kelp.run(["run", "--rm", "--oom-score-adj", "-500", "busybox", "true"]).code(125).stderr_has("--oom-score-adj -500").stderr_has("only raise it");
}

#[test]
fn names_are_given_where_none_is_said() {
    let kelp = Kelp::busybox();
    let id = kelp.ok(["create", "busybox"]);
    kelp.run(["run", "--rm", "--name", "", "--hostname", "", "busybox", "hostname"]).success();
    kelp.ok(["create", "--name", "/slashed", "busybox"]);
    kelp.ok(["rename", "slashed", "/again"]);
    assert_eq!(kelp.inspect("again", "{{.Name}}").trim_start_matches('/'), "again");
    kelp.ok(["rm", "again"]);
    let name = kelp.inspect(&id, "{{.Name}}");
    let name = name.trim_start_matches('/');
    let (left, right) = name.split_once('_').unwrap();
    assert!(left.bytes().chain(right.bytes()).all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{name}");
    assert_eq!(kelp.ok(["rm", name]), name);
}

#[test]
fn thirty_at_once() {
    let kelp = Kelp::busybox();
    let runs: Vec<_> = (0..30)
        .map(|n| {
            let text = format!("number {n}");
            (text.clone(), kelp.start(["run", "--rm", "--network", "none", "busybox", "echo", &text]))
        })
        .collect();
    for (text, run) in runs {
        run.wait().success().stdout(&text);
    }
    kelp.nothing_left();
    let runs: Vec<_> = (0..30).map(|_| kelp.start(["run", "-d", "--network", "none", "busybox", "sleep", "300"])).collect();
    for run in runs {
        run.wait().success();
    }
    assert_eq!(kelp.run(["ps", "-q"]).lines().len(), 30);
    assert_eq!(kelp.run(["rm", "-af", "-t", "0"]).success().lines().len(), 30);
    kelp.nothing_left();
}
