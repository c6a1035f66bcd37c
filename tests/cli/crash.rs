//! Kills, cut records and full disks: whatever happened, the next commands work, tell the truth and can remove all.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::needs;
use crate::support::{Kelp, leftovers, program, until};

/// A small generator, so that a run can be repeated: KELP_TEST_SEED.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = std::env::var("KELP_TEST_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1
        });
        println!("KELP_TEST_SEED={seed}");
        Self(seed)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// How many kills a loop makes: `KELP_TEST_KILLS`, else 300.
fn rounds() -> u64 {
    std::env::var("KELP_TEST_KILLS").ok().and_then(|s| s.parse().ok()).unwrap_or(300)
}

/// After any accident: lists answer, a new container runs, everything can be removed, and nothing remains.
#[track_caller]
fn all_is_well(kelp: &Kelp) {
    kelp.run(["ps", "-a"]).success();
    kelp.run(["images"]).success().stdout_has("busybox");
    kelp.run(["run", "--rm", "--network", "none", "busybox", "echo", "alive"]).success().stdout("alive");
    // What died while it was being made is told from what is being made by its lock, after half a second.
    std::thread::sleep(Duration::from_millis(600));
    kelp.run(["rm", "-a", "-f", "-t", "0"]).success();
    assert_eq!(kelp.ok(["ps", "-aq"]), "");
    kelp.nothing_left();
}

fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[test]
#[ignore = "a loop of kills"]
fn kill_the_command() {
    let kelp = Kelp::busybox();
    let mut random = Random::new();
    for round in 0..rounds() {
        let flags: &[&str] = match round % 6 {
            0 => &["run", "--rm", "--network", "none", "busybox", "sleep", "0.05"],
            1 => &["run", "-d", "--network", "none", "busybox", "sleep", "0.2"],
            2 => &["run", "--network", "none", "-v", "/data", "busybox", "true"],
            3 => &["create", "--name", "same", "busybox"],
            4 => &["rm", "-a", "-f", "-t", "0"],
            _ => &["run", "-d", "--name", "same", "busybox", "sleep", "300"],
        };
        let command = kelp.start(flags);
        std::thread::sleep(Duration::from_micros(random.below(60_000)));
        command.signal(Signal::KILL);
        drop(command);
        if round % 10 == 9 {
            kelp.run(["ps", "-a"]).success();
        }
        if round % 50 == 49 {
            all_is_well(&kelp);
        }
    }
    all_is_well(&kelp);
    kelp.run(["volume", "prune", "-f"]).success();
    kelp.run(["volume", "ls", "-q"]).success().stdout("");
}

#[test]
#[ignore = "a loop of kills"]
fn kill_anything_of_a_container() {
    let kelp = Kelp::busybox();
    let mut random = Random::new();
    for round in 0..rounds() / 2 {
        let name = format!("c{round}");
        let network = if round % 3 == 0 { "default" } else { "none" };
        let mut run = vec!["run", "-d", "--name", &name];
        if network == "none" {
            run.extend(["--network", "none"]);
        }
        if round % 5 == 0 {
            run.push("--rm");
        }
        run.extend(["busybox", "sh", "-c", "while :; do echo tick; sleep 0.01; done"]);
        kelp.run(run).success();
        std::thread::sleep(Duration::from_micros(random.below(20_000)));
        let victims = kelp.processes();
        assert!(!victims.is_empty(), "a running container has processes");
        let victim = &victims[usize::try_from(random.below(victims.len() as u64)).unwrap()];
        let text = victim.text().to_owned();
        victim.kill();
        // Whichever it was, the container ends or runs on, and what is said of it is so.
        let began = Instant::now();
        loop {
            let out = kelp.run(["ps", "-a", "--filter", &format!("name=^{name}$"), "--format", "{{.State}}"]);
            out.success();
            let pids = kelp.processes();
            match out.text().as_str() {
                "running" if !pids.is_empty() => {
                    if text.contains("slirp4netns") || began.elapsed() > Duration::from_secs(1) {
                        break;
                    }
                }
                "exited" | "" if pids.is_empty() => break,
                _ => {}
            }
            let late = began.elapsed() > Duration::from_secs(10);
            assert!(!late, "killed {text}: still {:?} with\n{}", out.text(), leftovers::show(&pids));
            std::thread::sleep(Duration::from_millis(5));
        }
        kelp.run(["rm", "-f", "-t", "0", &name]).success();
        kelp.no_process_left();
    }
    all_is_well(&kelp);
}

#[test]
#[ignore = "a loop of kills"]
fn kill_among_many() {
    needs!("slirp");
    let kelp = Kelp::busybox();
    let mut random = Random::new();
    for _ in 0..rounds() / 30 {
        let mut commands: Vec<_> = (0..30)
            .map(|n| match n % 5 {
                0 => kelp.start(["run", "--rm", "--network", "none", "busybox", "true"]),
                1 => kelp.start(["run", "-d", "busybox", "sleep", "300"]),
                2 => kelp.start(["ps", "-a"]),
                3 => kelp.start(["run", "-d", "--rm", "--network", "none", "busybox", "sleep", "0.1"]),
                _ => kelp.start(["rm", "-a", "-f", "-t", "0"]),
            })
            .collect();
        for _ in 0..10 {
            std::thread::sleep(Duration::from_micros(random.below(20_000)));
            if random.below(2) == 0 {
                let victims = kelp.processes();
                if let Some(victim) = victims.get(usize::try_from(random.below(victims.len().max(1) as u64)).unwrap()) {
                    victim.kill();
                }
            } else {
                let at = usize::try_from(random.below(commands.len() as u64)).unwrap();
                commands[at].signal(Signal::KILL);
            }
        }
        commands.drain(..).for_each(|command| drop(command.wait()));
        all_is_well(&kelp);
    }
}

/// All files that hold records of containers, volumes and images.
fn records(kelp: &Kelp) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for dir in [kelp.data(), kelp.runtime()] {
        leftovers::list(&dir, &mut |path: &Path| {
            let text = path.to_string_lossy();
            let inside = text.contains("/diff/") || text.contains("/upper/") || text.contains("/_data/") || text.contains("/rootfs/");
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if !inside && path.symlink_metadata().is_ok_and(|m| m.is_file()) && (name.ends_with(".json") || text.contains("/names/")) {
                found.push(path.to_owned());
            }
        });
    }
    found.sort();
    found
}

#[test]
fn records_cut_short_or_emptied() {
    let kelp = Kelp::busybox().untidy();
    let count = {
        kelp.ok(["create", "--name", "probe", "-v", "vv:/d", "busybox", "true"]);
        let files = records(&kelp);
        assert!(files.iter().any(|f| f.starts_with(kelp.data().join("containers"))), "no record of a container: {files:?}");
        kelp.ok(["rm", "probe"]);
        files.len()
    };
    let containers = kelp.data().join("containers");
    for cut in [0, 1, 40] {
        for nth in 0..count + 2 {
            let good = kelp.ok(["create", "--name", "good", "busybox", "true"]);
            kelp.ok(["create", "--name", "victim", "-v", "vv:/d", "busybox", "true"]);
            let all: Vec<PathBuf> = records(&kelp)
                .into_iter()
                .filter(|f| f.starts_with(&containers) && !f.to_string_lossy().contains(&good) || f.to_string_lossy().contains("/volumes/"))
                .collect();
            if let Some(file) = all.get(nth) {
                let bytes = fs::read(file).unwrap();
                fs::write(file, &bytes[..bytes.len() * cut / 100]).unwrap();
            }
            let shown = all.get(nth).map(|f| f.display().to_string());
            let list = kelp.run(["ps", "-a", "--format", "{{.Names}}"]);
            assert_eq!(list.code, 0, "{shown:?}: {list:?}");
            assert!(list.text().contains("good"), "{shown:?}: {list:?}");
            kelp.run(["run", "--rm", "--network", "none", "busybox", "true"]).success();
            let removed = kelp.run(["rm", "-a", "-f", "-t", "0"]);
            assert_eq!(removed.code, 0, "{shown:?}: {removed:?}");
            assert_eq!(kelp.ok(["ps", "-aq"]), "", "{shown:?}");
            kelp.run(["volume", "ls"]).success();
            kelp.run(["volume", "rm", "-f", "vv"]);
            kelp.run(["create", "--name", "victim", "busybox"]).success();
            kelp.ok(["rm", "victim"]);
            if nth >= all.len() {
                break;
            }
        }
    }
    kelp.nothing_left();
}

#[test]
fn image_records_cut_short() {
    let archive = crate::support::image::busybox_archive();
    let count = records(&Kelp::busybox()).len();
    assert!(count > 0);
    for nth in 0..count {
        let kelp = Kelp::busybox().untidy();
        let file = records(&kelp)[nth].clone();
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        kelp.run(["images"]).success();
        kelp.run(["ps", "-a"]).success();
        // The image is whole again after a load, whichever file of it was damaged.
        kelp.run(["load", "-q", "-i", archive.to_str().unwrap()]).success();
        let out = kelp.run(["run", "--rm", "--network", "none", "busybox", "echo", "alive"]);
        assert_eq!((out.code, out.text().as_str()), (0, "alive"), "{}: {out:?}", file.display());
    }
}

#[test]
fn an_earlier_boot_reads_as_exited() {
    let kelp = Kelp::busybox().untidy();
    let id = kelp.detached(&["--name", "c", "--network", "none", "busybox", "sleep", "300"]);
    // As after a power cut: no process, and a runtime directory that is empty.
    for process in kelp.processes() {
        process.kill();
    }
    until("all are dead", Duration::from_secs(5), || kelp.processes().is_empty());
    let _ = fs::remove_dir_all(kelp.runtime());
    kelp.run(["ps", "-q"]).success().stdout("");
    assert_eq!(kelp.inspect("c", "{{.State.Running}} {{.State.Pid}}"), "false 0");
    assert_eq!(kelp.inspect("c", "{{.State.Status}}"), "exited");
    kelp.run(["exec", "c", "true"]).failure().stderr_has("not running");
    assert_eq!(kelp.ok(["start", "c"]), "c");
    assert_eq!(kelp.inspect("c", "{{.State.Running}}"), "true");
    assert_eq!(kelp.ok(["ps", "-q", "--no-trunc"]), id);
    all_is_well(&kelp);
}

/// Seconds since 1970 of the container's start and end, as told.
fn times(kelp: &Kelp) -> (i64, i64) {
    let told = kelp.inspect("c", "{{.State.StartedAt}} {{.State.FinishedAt}}");
    let seconds = |text: &str| {
        let out = std::process::Command::new("date").args(["-u", "-d", text, "+%s"]).output().unwrap();
        String::from_utf8_lossy(&out.stdout).trim().parse().unwrap()
    };
    let (started, finished) = told.split_once(' ').unwrap();
    (seconds(started), seconds(finished))
}

#[test]
fn an_end_that_nobody_recorded_has_a_time() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "--network", "none", "busybox", "sh", "-c", "sleep 2; echo late; sleep 300"]);
    kelp.wait_log("c", "late");
    kelp.processes().iter().for_each(leftovers::Left::kill);
    until("all are dead", Duration::from_secs(5), || kelp.processes().is_empty());
    std::thread::sleep(Duration::from_secs(2));
    // In the same boot it is when somebody first looked, whenever one looks again.
    let (started, finished) = times(&kelp);
    assert!(finished >= started + 4, "started {started}, finished {finished}");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(times(&kelp), (started, finished));
    // Where the machine went down it is when the container last wrote something.
    let file = kelp.data().join("containers").join(kelp.ok(["ps", "-aq", "--no-trunc"])).join("started");
    let words = fs::read_to_string(&file).unwrap();
    fs::write(&file, words.rsplit_once(' ').unwrap().0.to_owned() + " another-boot\n").unwrap();
    let (_, wrote) = times(&kelp);
    assert!((started + 1..finished).contains(&wrote), "started {started}, wrote {wrote}, finished {finished}");
    kelp.ok(["start", "c"]);
    kelp.ok(["rm", "-f", "-t", "0", "c"]);
    kelp.nothing_left();
}

#[test]
fn a_new_process_with_an_old_number_is_not_the_container() {
    let kelp = Kelp::busybox();
    kelp.detached(&["--name", "c", "--network", "none", "busybox", "sleep", "300"]);
    let pid: i32 = kelp.inspect("c", "{{.State.Pid}}").parse().unwrap();
    kill(pid);
    kelp.wait_state("c", "exited");
    assert_eq!(kelp.inspect("c", "{{.State.ExitCode}}"), "137");
    kelp.run(["kill", "c"]).failure().stderr_has("not running");
}

/// Shell text, to be run in a mount namespace: a store with an image, on a disk of 16 MB of its own; `$k` is the program,
/// `$archive` the image's.
fn on_a_small_disk(disk: &Path) -> String {
    format!(
        r#"set -u
        # Whoever is root in here has subordinate ids, too.
        echo root:1:65000 > {disk}/../subids
        mount --bind {disk}/../subids /etc/subuid; mount --bind {disk}/../subids /etc/subgid
        mount -t tmpfs -o size=16m none {disk}
        export XDG_DATA_HOME={disk}/data XDG_STATE_HOME={disk}/state XDG_CACHE_HOME={disk}/cache
        k={program} archive={archive}
        $k load -q -i $archive >/dev/null || exit 10"#,
        disk = disk.display(),
        program = program().display(),
        archive = crate::support::image::busybox_archive().display(),
    )
}

#[test]
fn a_full_disk_is_an_error_and_nothing_more() {
    needs!("userns");
    // A disk of its own in a mount namespace; a watcher frees it again for the second half.
    let kelp = Kelp::new().untidy();
    let disk = kelp.open_dir("disk");
    let script = format!(
        r#"{on_a_small_disk}
        $k run --rm --network none busybox true || exit 11
        for keep in 0 4 16 64 256; do
            $k create --name before$keep busybox >/dev/null || exit 12
            dd if=/dev/zero of={disk}/filler bs=1k 2>/dev/null; truncate -s -${{keep}}k {disk}/filler
            $k load -q -i $archive >/dev/null 2>&1
            $k run --rm --network none busybox true >/dev/null 2>{disk}/../err; c=$?
            [ $c = 0 ] || [ $c = 125 ] || {{ echo "run ended with $c"; cat {disk}/../err; }}
            $k run -d --network none busybox sleep 300 >/dev/null 2>&1
            $k create --name full$keep -v vol$keep:/d busybox >/dev/null 2>&1
            renamed=yes; $k rename before$keep after$keep 2>/dev/null || renamed=no
            $k ps -a >/dev/null || echo "ps failed with $keep k left"
            $k images -q | grep -q . || echo "the image is gone with $keep k left"
            [ $renamed = yes ] || ! $k inspect after$keep >/dev/null 2>&1 || echo "a rename that failed keeps the name"
            [ $renamed = no ] || [ $keep != 0 ] || echo "the disk was not full"
            $k rm -af -t 0 >/dev/null || echo "rm failed with $keep k left"
            rm {disk}/filler
            $k run --rm --network none busybox true || echo "no run after $keep k"
            $k rm -af -t 0 >/dev/null || echo "no rm after $keep k"
            [ -z "$($k ps -aq)" ] || echo "containers stay after $keep k"
        done
        echo done"#,
        on_a_small_disk = on_a_small_disk(&disk),
        disk = disk.display(),
    );
    let out = kelp.tool("unshare", ["--user", "--map-auto", "--map-root-user", "--mount", "sh", "-c", &script]).limit(Duration::from_secs(120)).output();
    out.success().stdout("done");
}

#[test]
fn a_copy_that_finds_the_disk_full_leaves_the_old_file() {
    needs!("userns");
    let kelp = Kelp::new().untidy();
    let disk = kelp.open_dir("disk");
    let script = format!(
        r#"{on_a_small_disk}
        dd if=/dev/zero of={disk}/../big bs=1k count=256 2>/dev/null
        echo old > {disk}/../old; cp {disk}/../old {disk}/target; ln -s target {disk}/link
        $k create --name c --network none busybox >/dev/null || exit 11
        $k cp {disk}/../old c:/target || exit 12
        $k cp {disk}/../big c:/big || exit 13
        dd if=/dev/zero of={disk}/filler bs=1k 2>/dev/null; truncate -s -128k {disk}/filler
        $k cp {disk}/../big c:/target 2>/dev/null && echo "the disk is not full inside"
        $k cp {disk}/../big c:/new 2>/dev/null && echo "the disk is not full inside"
        $k cp c:/big {disk}/link 2>/dev/null && echo "the disk is not full"
        cat {disk}/target {disk}/link
        ls -A {disk} | grep kelp
        rm {disk}/filler
        $k cp c:/target - | tar xO
        $k diff c
        $k cp c:/big {disk}/link && cmp {disk}/../big {disk}/target && [ -L {disk}/link ]
        $k rm c >/dev/null"#,
        on_a_small_disk = on_a_small_disk(&disk),
        disk = disk.display(),
    );
    let out = kelp.tool("unshare", ["--user", "--map-auto", "--map-root-user", "--mount", "sh", "-c", &script]).limit(Duration::from_secs(120)).output();
    out.success().stdout("old\nold\nold\nA /big\nA /target");
}
