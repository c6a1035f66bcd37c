//! Hosts with a piece missing: each test takes one away. What is left must work, and say so once.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::needs;
use crate::support::{Cmd, Kelp, image, program};

/// What `run` of these flags prints.
fn run(kelp: &Kelp, change: impl Fn(Cmd) -> Cmd, args: &[&str]) -> crate::support::Output {
    change(kelp.cmd(["run", "--rm"].iter().chain(args).copied())).output()
}

fn info(kelp: &Kelp, change: impl Fn(Cmd) -> Cmd, key: &str) -> PathBuf {
    PathBuf::from(change(kelp.cmd(["info", "--format", key])).output().success().text())
}

#[test]
fn runtime_directories_that_cannot_be_trusted() {
    let kelp = Kelp::busybox();
    let open = kelp.open_dir("open");
    let link = kelp.work().join("link");
    std::os::unix::fs::symlink(kelp.dir().join("run"), &link).unwrap();
    let fallback = kelp.dir().join("tmp");
    for bad in [Path::new("/"), &open, &link, Path::new("relative"), Path::new("")] {
        let with = |cmd: Cmd| cmd.env("XDG_RUNTIME_DIR", bad);
        let used = info(&kelp, with, "{{.Paths.Run}}");
        assert!(used.starts_with(&fallback) || used.starts_with("/run/user/"), "{} gave {}", bad.display(), used.display());
        run(&kelp, with, &["--network", "none", "busybox", "echo", "works"]).success().stdout("works");
    }
    let without = |cmd: Cmd| cmd.env_remove("XDG_RUNTIME_DIR");
    run(&kelp, without, &["--network", "none", "busybox", "echo", "works"]).success().stdout("works");
    // Somebody was there before us: never another user's directory.
    let taken = kelp.open_dir("taken");
    let name = format!("kelp-run-{}", rustix::process::getuid().as_raw());
    std::fs::create_dir(taken.join(&name)).unwrap();
    std::fs::set_permissions(taken.join(&name), PermissionsExt::from_mode(0o777)).unwrap();
    let used = info(&kelp, |cmd| cmd.env_remove("XDG_RUNTIME_DIR").env("TMPDIR", &taken), "{{.Paths.Run}}");
    assert!(!used.starts_with(&taken), "{}", used.display());
    kelp.run(["doctor"]).stdout_has("runtime directory");
    std::fs::remove_dir_all(fallback.join(name)).ok();
}

/// The user's own environment, but for a home elsewhere.
/// A container is the same whichever runtime directory its store is used with, and survives the removal of its own.
#[test]
fn containers_are_found_from_another_session() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    kelp.ok(["network", "create", "app"]);
    let web = kelp.detached(&["--name", "web", "--network", "app", "busybox", "httpd", "-f", "-p", "80", "-h", "/etc"]);
    let other = kelp.work().join("other run");
    std::fs::create_dir(&other).unwrap();
    std::fs::set_permissions(&other, PermissionsExt::from_mode(0o700)).unwrap();
    let from = |args: &[&str]| kelp.cmd(args.iter().copied()).env("XDG_RUNTIME_DIR", &other).output();
    from(&["ps", "--format", "{{.Names}} {{.State}}"]).success().stdout("web running");
    from(&["start", "web"]).success();
    let init = kelp.inspect("web", "{{.State.Pid}}");
    from(&["exec", "web", "true"]).success();
    from(&["cp", "web:/etc/hostname", "name"]).success();
    from(&["run", "--rm", "--network", "container:web", "busybox", "wget", "-q", "-O", "-", "http://127.0.0.1/hostname"]).success();
    // A logout, or who cleans /tmp.
    std::fs::remove_dir_all(kelp.runtime()).unwrap();
    std::fs::create_dir_all(kelp.runtime()).unwrap();
    std::fs::set_permissions(kelp.runtime(), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(kelp.inspect("web", "{{.State.Status}} {{.State.Pid}}"), format!("running {init}"));
    kelp.ok(["start", "web"]);
    kelp.run(["exec", "web", "cat", "/etc/hostname"]).success().stdout(&web[..12]);
    // Others find it by name.
    kelp.sh(&["--network", "app"], "wget -q -O - http://web/hostname").success().stdout(&web[..12]);
    std::fs::remove_dir_all(kelp.runtime()).unwrap();
    from(&["stop", "-t", "0", "web"]).success();
    from(&["ps", "-a", "--format", "{{.State}}"]).success().stdout("exited");
    // It runs where it is started next.
    from(&["start", "web"]).success();
    std::fs::create_dir_all(kelp.runtime()).unwrap();
    std::fs::set_permissions(kelp.runtime(), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(kelp.inspect("web", "{{.State.Status}}"), "running");
    kelp.ok(["rm", "-f", "-t", "0", "web"]);
    kelp.nothing_left();
}

/// Removes the runtime directory as a logout does; the next login makes an empty one.
fn log_out(kelp: &Kelp) {
    std::fs::remove_dir_all(kelp.runtime()).unwrap();
    std::fs::create_dir_all(kelp.runtime()).unwrap();
    std::fs::set_permissions(kelp.runtime(), PermissionsExt::from_mode(0o700)).unwrap();
}

#[test]
fn one_network_for_all_sessions() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let other = kelp.work().join("other run");
    std::fs::create_dir(&other).unwrap();
    std::fs::set_permissions(&other, PermissionsExt::from_mode(0o700)).unwrap();
    kelp.ok(["network", "create", "app"]);
    let up = |name: &str, run: &Path| {
        let args = ["run", "-d", "--name", name, "--network", "app", "busybox", "sleep", "1000"];
        kelp.cmd(args).env("XDG_RUNTIME_DIR", run).output().success();
        kelp.inspect(name, "{{.NetworkSettings.Networks.app.IPAddress}}")
    };
    let own = kelp.runtime();
    let mut addresses = vec![up("a", &own), up("b", &other), up("c", &own)];
    kelp.run(["exec", "a", "ping", "-c", "1", "-W", "5", "b"]).success();
    kelp.run(["resolve", "b"]).success();
    // Whatever comes first after a logout meets what is there.
    log_out(&kelp);
    addresses.push(up("d", &own));
    kelp.run(["exec", "a", "ping", "-c", "1", "-W", "5", "d"]).success();
    kelp.run(["exec", "d", "ping", "-c", "1", "-W", "5", "a"]).success();
    for first in [&["cp", "a:/etc/hostname", "x"][..], &["run", "--rm", "--network", "container:a", "busybox", "true"], &["export", "-o", "x.tar", "a"]] {
        log_out(&kelp);
        kelp.run(first).success();
    }
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 4, "{addresses:?}");
    kelp.ok(["rm", "-f", "-t", "0", "a", "c", "d"]);
    // What is left was started from the other session.
    kelp.run(["run", "--rm", "--network", "container:b", "busybox", "true"]).success();
    kelp.ok(["rm", "-f", "-t", "0", "b"]);
    kelp.no_process_left();
}

#[test]
fn a_restart_that_is_due_survives_a_logout() {
    let kelp = Kelp::busybox();
    let go = kelp.work().join("go");
    let mount = format!("{}:/h", kelp.work().display());
    kelp.detached(&["--name", "again", "--restart", "always", "--network", "none", "-v", &mount, "busybox", "sh", "-c", "[ -e /h/go ] && exec sleep 999; exit 3"]);
    kelp.wait_state("again", "restarting");
    log_out(&kelp);
    kelp.run(["rm", "again"]).failure();
    log_out(&kelp);
    std::fs::write(&go, "").unwrap();
    kelp.ok(["start", "again"]);
    kelp.wait_state("again", "running");
    assert_eq!(crate::support::leftovers::show(&kelp.processes()).matches("sleep 999").count(), 1);
    log_out(&kelp);
    kelp.ok(["stop", "-t", "0", "again"]);
    kelp.no_process_left();
    // Somebody else's directory in the place of one that is gone is not believed.
    let theirs = kelp.open_dir("theirs");
    let run = kelp.data().join("containers").join(kelp.inspect("again", "{{.Id}}")).join("run");
    std::fs::remove_file(&run).unwrap();
    std::os::unix::fs::symlink(&theirs, &run).unwrap();
    std::fs::write(theirs.join("lock"), "").unwrap();
    std::fs::remove_file(&go).unwrap();
    assert_eq!(kelp.inspect("again", "{{.State.Status}}"), "exited");
    kelp.ok(["rm", "again"]);
    assert!(theirs.join("lock").exists());
}

fn at_home(home: &Path) -> impl Fn(Cmd) -> Cmd + '_ {
    move |cmd| {
        cmd.env("HOME", home)
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_STATE_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
    }
}

fn load(kelp: &Kelp, change: impl Fn(Cmd) -> Cmd) -> crate::support::Output {
    change(kelp.cmd(["load", "-q", "-i", image::busybox_archive().to_str().unwrap()])).output()
}

#[test]
fn homes_with_unusual_paths() {
    let kelp = Kelp::new();
    let long = format!("{0}/{0}/{0}", "d".repeat(100));
    for name in ["with space, comma: colon", "grüße-日本語", "back\\slash 'quote' \"double\" $HOME", long.as_str()] {
        let home = kelp.work().join(name);
        std::fs::create_dir_all(&home).unwrap();
        let runtime = home.join("run");
        std::fs::create_dir(&runtime).unwrap();
        std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).unwrap();
        let with = |cmd: Cmd| at_home(&home)(cmd).env("XDG_RUNTIME_DIR", &runtime);
        load(&kelp, with).success();
        run(&kelp, with, &["--network", "none", "-v", "data:/data", "busybox", "sh", "-c", "echo works > /data/f; cat /data/f"]).success().stdout("works");
        with(kelp.cmd(["--storage-driver", "fuse", "run", "--rm", "--network", "none", "busybox", "echo", "fuse"])).output().success().stdout("fuse");
        // The control socket: its path is longer than sockets' addresses.
        with(kelp.cmd(["run", "-d", "--name", "c", "--network", "none", "busybox", "sleep", "100"])).output().success();
        with(kelp.cmd(["exec", "c", "echo", "inside"])).output().success().stdout("inside");
        with(kelp.cmd(["cp", "c:/bin/busybox", "-"])).output().success();
        with(kelp.cmd(["rm", "-f", "-t", "0", "c"])).output().success();
        with(kelp.cmd(["rmi", "busybox"])).output().success();
    }
}

#[test]
fn a_home_that_cannot_be_written() {
    let kelp = Kelp::new();
    let home = kelp.work().join("locked");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o555)).unwrap();
    let place = kelp.work().join("local");
    std::fs::create_dir(&place).unwrap();
    let with = |cmd: Cmd| at_home(&home)(cmd).env("KELP_TMP", &place);
    load(&kelp, with).success().stderr_has("nothing can be written there").stderr_has("storage.directory");
    run(&kelp, with, &["--network", "none", "busybox", "echo", "works"]).success().quiet().stdout("works");
    assert!(info(&kelp, with, "{{.Paths.Data}}").starts_with(&place));
    assert!(info(&kelp, with, "{{.Paths.State}}").starts_with(&place));
    with(kelp.cmd(["doctor"])).output().stdout_has("is no place for it");
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o755)).unwrap();
}

/// Runs a script as root of a user and mount namespace of its own, in which newuidmap is of no use.
fn in_namespace(kelp: &Kelp, script: &str) -> Cmd {
    let script = format!("set -e; kelp() {{ {} \"$@\"; }}; {script}", program().display());
    kelp.tool("/usr/bin/unshare", ["--user", "--map-root-user", "--mount", "--propagation", "private", "sh", "-c", &script])
}

#[test]
fn a_home_without_user_attributes() {
    let kelp = Kelp::new();
    let (home, place) = (kelp.work().join("home"), kelp.work().join("local"));
    std::fs::create_dir(&home).unwrap();
    std::fs::create_dir(&place).unwrap();
    let archive = image::busybox_archive();
    let script = format!(
        "mount -t ramfs none {home}; chmod 755 {home}; kelp load -q -i {archive}; kelp run --rm --network none busybox echo works; kelp info --format '{{{{.Paths.Data}}}}'; ls {home}",
        home = home.display(),
        archive = archive.display(),
    );
    let ran = at_home(&home)(in_namespace(&kelp, &script)).env("KELP_TMP", &place).output();
    ran.success().stdout_has("works").stdout_has(&place.display().to_string()).stderr_has("no user attributes");
    // The configuration has the last word.
    let config = kelp.file("config.toml", format!("[storage]\ndirectory = '{}/chosen'\n", place.display()));
    let script = format!("mount -t ramfs none {}; kelp --config {} info --format '{{{{.Paths.Data}}}}'", home.display(), config.display());
    at_home(&home)(in_namespace(&kelp, &script)).env("KELP_TMP", &place).output().success().stdout(&format!("{}/chosen", place.display()));
}

#[test]
fn a_kernel_without_overlay_in_user_namespaces() {
    needs!("fuse");
    let kelp = Kelp::busybox();
    // What the mount test of such a kernel leaves behind.
    std::fs::write(kelp.runtime().join("overlay"), "no").unwrap();
    kelp.sh(&["--network", "none"], "stat -f -c %T / || true; awk '$2 == \"/\" {print $3}' /proc/mounts; touch /x").success().stdout_has("fuse");
    // And without /dev/fuse the error says what is missing.
    let script = "mount --bind /dev/null /dev/fuse; mkdir -p $XDG_RUNTIME_DIR/kelp; kelp --storage-driver fuse run --rm --network none busybox true";
    in_namespace(&kelp, script).output().code(125).stderr_has("/dev/fuse");
    // Where the kernel has its own, all else goes on, with one id too.
    std::fs::remove_file(kelp.runtime().join("overlay")).unwrap();
    let script = "mount --bind /dev/null /dev/fuse; kelp run --rm --network none busybox sh -c 'chown 5 /bin && echo plain'; kelp doctor || true";
    in_namespace(&kelp, script).output().success().stdout_has("plain").stdout_has("is something else; the fuse storage driver");
}

#[test]
fn a_store_that_others_share() {
    let owner = Kelp::busybox();
    let kelp = Kelp::new();
    std::fs::create_dir_all(kelp.config()).unwrap();
    let config = format!("[storage]\nadditional-stores = ['{}']\n", owner.data().display());
    std::fs::write(kelp.config().join("config.toml"), config).unwrap();
    // New layers are still being synced and marked so.
    owner.no_process_left();
    let find = format!("find {} -printf '%p %T@ %C@ %m\\n' 2>/dev/null; true", owner.data().display());
    let listing = || owner.tool("/bin/sh", ["-c", &find]).output().success().lines();
    let before = listing();
    kelp.sh(&["--network", "none", "--pull", "never"], "touch /bin/new; rm /bin/sh; echo works").success().stdout("works");
    kelp.run(["images", "-q"]).success();
    assert_eq!(kelp.run(["image", "ls", "--format", "{{.Repository}}"]).lines(), ["busybox"]);
    kelp.ok(["create", "--name", "c", "--network", "none", "busybox", "echo", "again"]);
    kelp.run(["start", "-a", "c"]).success().stdout("again");
    assert_eq!(listing(), before);
    assert!(!kelp.data().join("layers/sha256").exists());
    kelp.run(["rmi", "busybox"]).failure();
    assert_eq!(listing(), before);
}

#[test]
fn no_newuidmap() {
    let kelp = Kelp::new();
    // Neither it nor any other file gains privileges here.
    let archive = image::busybox_archive();
    let kelp_in = |args: &[&str]| {
        let program = program();
        let args: Vec<&str> = ["--no-new-privs", program.to_str().unwrap()].iter().chain(args).copied().collect();
        kelp.tool("/usr/bin/setpriv", args).output()
    };
    kelp_in(&["load", "-q", "-i", archive.to_str().unwrap()]).success().stderr_has("single-id mode").stderr_has("kelp doctor");
    kelp_in(&["run", "--rm", "--network", "none", "busybox", "sh", "-c", "chown 5 /bin && awk '{print $3}' /proc/self/uid_map"]).success().quiet().stdout("1");
    kelp_in(&["doctor"]).stdout_has("no_new_privs");
}

#[test]
fn no_network_helper() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let empty = kelp.open_dir("empty");
    let hide = "for dir in /usr/bin /usr/local/bin /bin; do [ ! -e $dir/slirp4netns ] || mount --bind /dev/null $dir/slirp4netns; done; ";
    let script = format!("{hide} kelp run --rm busybox true || echo code $?; kelp run --rm --network none busybox echo none; kelp run --rm --network host busybox echo host");
    let ran = in_namespace(&kelp, &script).env("XDG_RUNTIME_DIR", kelp.dir().join("run")).env("PATH", format!("/usr/bin:/bin:{}", empty.display())).output();
    ran.success().stdout_has("code 125").stdout_has("none").stdout_has("host").stderr_has("slirp4netns").stderr_has("package");
    let script = "mount -t tmpfs none /dev/net; kelp run --rm busybox true || echo code $?; kelp run --rm --network none busybox echo none; kelp doctor || true";
    in_namespace(&kelp, script).output().success().stdout_has("code 125").stdout_has("none").stdout_has("/dev/net/tun");
}

#[test]
fn batch_jobs_keep_what_they_have() {
    let kelp = Kelp::busybox();
    let outside = std::fs::read_to_string("/proc/self/cgroup").unwrap();
    let job = |cmd: Cmd| cmd.env("SLURM_JOB_ID", "42");
    run(&kelp, job, &["--network", "none", "--cgroupns", "host", "busybox", "cat", "/proc/self/cgroup"]).success().stdout(&outside);
    let mask = "grep Cpus_allowed_list /proc/self/status";
    let one = format!("exec /usr/bin/taskset -c 0 {} run --rm --network none busybox {mask}", program().display());
    kelp.tool("/bin/sh", ["-c", &one]).env("PBS_JOBID", "1").output().success().stdout("Cpus_allowed_list:\t0");
    job(kelp.cmd(["doctor"])).output().stdout_has("SLURM_JOB_ID is set");
    let limited = format!("ulimit -n 200; exec {} run --rm --network none --ulimit host busybox sh -c 'ulimit -n'", program().display());
    job(kelp.tool("/bin/sh", ["-c", &limited])).output().success().stdout("200");
}

#[test]
fn any_umask() {
    for mask in ["000", "077"] {
        let kelp = Kelp::new();
        let program = program().display().to_string();
        let script = format!(
            "umask {mask}; {program} load -q -i {}; {program} run --rm --network none -v vol:/data busybox sh -c \
             'umask; stat -c %a / /tmp /etc /bin/busybox; touch /data/f; stat -c %a /data/f; id -u'",
            image::busybox_archive().display()
        );
        let shown = kelp.tool("/bin/sh", ["-c", &script]).output().success().text();
        assert!(shown.contains("0022\n755\n1777\n755\n755\n644\n0"), "umask {mask}: {shown}");
        for private in [kelp.data().join("volumes"), kelp.data().join("layers"), kelp.runtime()] {
            let mode = std::fs::metadata(&private).unwrap().permissions().mode() & 0o7777;
            let home = std::fs::metadata(kelp.data()).unwrap().permissions().mode() & 0o077;
            assert!(mode & 0o077 == 0 || home == 0, "umask {mask}: {} is {mode:o}", private.display());
        }
    }
}

#[test]
fn a_copy_runs_in_an_empty_root() {
    let kelp = Kelp::new();
    let root = kelp.open_dir("root");
    std::fs::copy(program(), root.join("kelp")).unwrap();
    for dir in ["proc", "dev", "tmp"] {
        std::fs::create_dir(root.join(dir)).unwrap();
    }
    // Nothing but the binary, /proc and the devices: no /etc, no C library, no helper.
    let run = |args: &str| {
        let script = format!(
            "mount --rbind /proc {root}/proc; for d in null zero full random urandom tty; do touch {root}/dev/$d; mount --bind /dev/$d {root}/dev/$d; done; \
             exec env -i HOME=/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot {root} /kelp {args}",
            root = root.display()
        );
        in_namespace(&kelp, &script).output()
    };
    run("version --format '{{.Client.Version}}'").success().stdout(env!("CARGO_PKG_VERSION"));
    run("volume create made").success().stdout("made");
    run("doctor").stdout_has("user namespaces");
}
