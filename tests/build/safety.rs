//! Hostile Dockerfiles, contexts and steps: the known holes of other builders, each shown absent, also with many jobs.

use std::fs;
use std::os::unix::fs::symlink;

use crate::needs;
use crate::support::{Kelp, Output};

fn context(kelp: &Kelp, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = kelp.work().join("ctx").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn build(kelp: &Kelp, flags: &[&str]) -> Output {
    let mut args = vec!["build", "--progress", "plain", "--network", "none", "--jobs", "8"];
    args.extend(flags);
    args.push("ctx");
    kelp.run(args)
}

/// Everything below a directory: path and content.
fn files(dir: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.symlink_metadata().unwrap().is_dir() {
                todo.push(path);
            } else {
                all.push((path.clone(), fs::read(&path).unwrap_or_default()));
            }
        }
    }
    all.sort();
    all
}

#[test]
fn secrets_are_kept_nowhere() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let secret = "s3cr3t-4f1c2b";
    fs::write(kelp.work().join("token"), secret).unwrap();
    context(&kelp, &[("Dockerfile", "\
FROM busybox
RUN --mount=type=secret,id=token,mode=0440,uid=5,gid=6 test $(wc -c < /run/secrets/token) = 13 && stat -c %a:%u:%g /run/secrets/token > /mode
RUN --mount=type=secret,id=token,env=TOKEN,target=/t test ${#TOKEN} = 13 && test ! -e /run/secrets/token
RUN test ! -e /run/secrets && test -z \"$TOKEN\"
RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent
")]);
    let out = build(&kelp, &["-t", "safe", "--secret", "id=token,src=token"]);
    out.success();
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "safe", "cat", "/mode"]).trim(), "440:5:6");
    for (path, content) in files(kelp.dir()) {
        let found = content.windows(secret.len()).any(|part| part == secret.as_bytes());
        assert!(!found || path == kelp.work().join("token"), "{}", path.display());
    }
    assert!(!out.stderr.contains(secret));
    // A secret is no part of a key; a required one that is missing is an error.
    fs::write(kelp.work().join("token"), "another--one!").unwrap();
    let again = build(&kelp, &["--secret", "id=token,src=token"]);
    assert_eq!(again.stderr.lines().filter(|line| line.ends_with(" CACHED")).count(), 4, "{}", again.stderr);
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN --mount=type=secret,id=absent,required=true true\n")]);
    build(&kelp, &[]).failure().stderr_has("absent");
}

#[test]
fn links_lead_nowhere_outside() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let outside = kelp.work().join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("private"), "host file").unwrap();
    context(&kelp, &[("Dockerfile", "FROM busybox\nCOPY link/private /got\n"), ("real", "x")]);
    let ctx = kelp.work().join("ctx");
    symlink(&outside, ctx.join("link")).unwrap();
    symlink("/", ctx.join("root")).unwrap();
    // CVE-2024-1753 and its like: links of the context are followed inside of it alone.
    build(&kelp, &[]).failure();
    fs::write(ctx.join("Dockerfile"), "FROM busybox\nRUN --mount=type=bind,source=link,target=/m ls /m/private\n").unwrap();
    build(&kelp, &[]).failure();
    fs::write(ctx.join("Dockerfile"), "FROM busybox\nRUN --mount=type=bind,source=root,target=/m,rw test -e /m/real && ! test -e /m/etc\n").unwrap();
    build(&kelp, &[]).success();
    // A stage whose files are links to the host.
    let text = format!("\
FROM busybox AS evil
RUN ln -s / /up && ln -s /proc/self/cwd /cwd
FROM busybox
RUN ln -s ../../../../../../../../../../written /over && ln -s {private} /host
COPY real /over
COPY real /host
COPY --from=evil /up/etc/ /etc2/
RUN --mount=type=bind,from=evil,source=/up,target=/m,rw test -e /m/bin/busybox -o -e /m/bin/sh; echo w > /m/written
", private = outside.join("private").display());
    fs::write(ctx.join("Dockerfile"), text).unwrap();
    build(&kelp, &["-t", "linked"]).success();
    assert!(!std::path::Path::new("/written").exists());
    assert_eq!(fs::read_to_string(outside.join("private")).unwrap(), "host file");
    // CVE-2020-10696, CVE-2022-4122: an ignore file that is a link to a file of the host.
    fs::write(ctx.join("Dockerfile"), "FROM busybox\nCOPY real /real\n").unwrap();
    symlink(outside.join("private"), ctx.join(".dockerignore")).unwrap();
    let out = build(&kelp, &[]);
    assert!(!out.stderr.contains("host file"));
    assert_eq!(fs::read_to_string(outside.join("private")).unwrap(), "host file");
}

#[test]
fn steps_write_to_nothing_but_their_layer() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, &[("Dockerfile", "\
FROM busybox AS one
RUN echo clean > /file
FROM busybox AS two
RUN --mount=type=bind,target=/ctx ! touch /ctx/new && ! rm /ctx/keep
RUN --mount=type=bind,target=/ctx,rw rm /ctx/keep && touch /ctx/new
RUN --mount=type=bind,from=one,target=/one,rw echo dirty > /one/file
RUN --mount=type=bind,from=one,target=/one test \"$(cat /one/file)\" = clean
RUN ! mount -t tmpfs none /mnt && ! echo 1 > /proc/sys/kernel/panic && ! mknod /dev/sda b 8 0
FROM busybox
COPY --from=one /file /one
COPY --from=two /etc/passwd /two
"), ("keep", "x")]);
    let before = files(&kelp.work().join("ctx"));
    build(&kelp, &["-t", "sealed"]).success();
    assert_eq!(files(&kelp.work().join("ctx")), before, "the context is as it was");
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "sealed", "cat", "/one"]), "clean");
}

#[test]
fn caches_stay_in_their_place() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    // CVE-2024-9675, CVE-2024-23651, CVE-2024-11218: names and sources that point elsewhere, steps that race.
    let mut text = String::new();
    for index in 0..6 {
        text.push_str(&format!("\
FROM busybox AS s{index}
RUN --mount=type=cache,id=../../../../escape,target=/c,sharing=shared for i in 1 2 3 4 5 6 7 8; do \
rm -rf /c/sub; ln -s / /c/sub 2>/dev/null; rm -f /c/sub; mkdir -p /c/sub; done; mkdir -p /c/sub; echo {index} >> /c/n
"));
    }
    text.push_str("FROM busybox\n");
    for index in 0..6 {
        text.push_str(&format!("COPY --from=s{index} /etc/passwd /p{index}\n"));
    }
    text.push_str("RUN --mount=type=cache,id=../../../../escape,target=/c,sharing=locked test $(wc -l < /c/n) = 6\n");
    text.push_str("RUN --mount=type=cache,id=link,target=/c ln -s / /c/sub\n");
    context(&kelp, &[("Dockerfile", &text)]);
    build(&kelp, &[]).success();
    assert!(!kelp.dir().join("escape").exists() && !kelp.data().join("escape").exists());
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN --mount=type=cache,id=link,source=sub,target=/m ls /m/etc\n")]);
    build(&kelp, &[]).failure();
}

#[test]
fn privileges_need_permission() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN --security=insecure true\n")]);
    build(&kelp, &[]).failure().stderr_has("--allow security.insecure");
    build(&kelp, &["--allow", "security.insecure"]).success();
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN --network=host true\n")]);
    build(&kelp, &[]).failure().stderr_has("--allow network.host");
    // The filter of system calls is on, and no descriptor leaks in.
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN grep -q 'Seccomp:.*2' /proc/self/status && ls /proc/self/fd | wc -l > /n\n")]);
    build(&kelp, &["-t", "filtered"]).success();
    let count: usize = kelp.ok(["run", "--rm", "--network", "none", "filtered", "cat", "/n"]).trim().parse().unwrap();
    assert!(count <= 4, "{count}");
}

#[test]
fn a_killed_build_leaves_usable_cache() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN echo done > /first\nRUN test -e /never || sleep 1000\n")]);
    let process = kelp.start(["build", "--progress", "plain", "--network", "none", "ctx"]);
    let steps = kelp.data().join("build/steps");
    let tmp = kelp.data().join("build/tmp");
    let count = |dir: &std::path::Path| fs::read_dir(dir).map_or(0, |entries| entries.count());
    let begun = std::time::Instant::now();
    while count(&steps) < 1 || count(&tmp) < 1 {
        assert!(begun.elapsed().as_secs() < 60, "the first step takes too long");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    process.signal(rustix::process::Signal::KILL);
    process.wait();
    kelp.no_process_left();
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN echo done > /first\nRUN echo more > /second\n")]);
    let out = build(&kelp, &["-t", "after"]);
    out.success();
    assert!(out.stderr.contains("CACHED"), "{}", out.stderr);
    assert_eq!(count(&tmp), 0, "what the killed build left is swept");
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "after", "cat", "/first", "/second"]), "done\nmore");
}

#[test]
fn files_that_went_with_a_killed_build_are_made_again() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, &[("Dockerfile", "FROM busybox AS a\nCOPY f /f\nRUN cat /f /f > /a\nFROM busybox\nCOPY --from=a /a /\n"), ("f", "x")]);
    build(&kelp, &["-t", "first"]).success();
    // Killed between moving a step's files and writing down where to.
    let mut gone = 0;
    for step in fs::read_dir(kelp.data().join("build/steps")).unwrap() {
        gone += u32::from(fs::rename(step.unwrap().path().join("fs"), kelp.work().join(format!("gone{gone}"))).is_ok());
    }
    assert!(gone >= 2, "{gone} steps have files of their own");
    context(&kelp, &[("f", "y")]);
    build(&kelp, &["-t", "second"]).success();
    context(&kelp, &[("f", "x")]);
    build(&kelp, &["-t", "first"]).success();
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "first", "cat", "/a"]), "xx");
}

#[test]
fn two_builds_at_once_make_each_step_once() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN --mount=type=cache,target=/c echo x >> /c/n; sleep 1\nRUN --mount=type=cache,target=/c cp /c/n /n\n")]);
    let args = ["build", "-q", "--network", "none", "-t", "both", "ctx"];
    let all: Vec<_> = (0..4).map(|_| kelp.start(args)).collect();
    let ids: Vec<String> = all.into_iter().map(|process| process.wait().success().text()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "both", "cat", "/n"]), "x");
}

#[test]
fn places_of_mounts_are_cleared_in_the_image_alone() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let outside = kelp.work().join("outside");
    fs::create_dir_all(outside.join("b/c")).unwrap();
    fs::write(outside.join("empty"), "").unwrap();
    let way = outside.display();
    // CVE-2024-23652: a step puts a link where a mount had its place; what is cleared away afterwards must not be the host's.
    context(&kelp, &[("Dockerfile", &format!("\
FROM busybox
RUN --mount=type=tmpfs,target=/a/b/c mv /a /away && ln -s {way} /a
RUN --mount=type=cache,target=/d/b/c rm -rf /d 2>/dev/null; mv /d /gone; ln -s {way} /d
RUN --mount=type=secret,id=s,target=/e/empty mv /e /elsewhere; ln -s {way} /e
RUN --mount=type=bind,target=/f/b/c mv /f /last; ln -s / /f
")), ("x", "x")]);
    fs::write(kelp.work().join("s"), "s").unwrap();
    let before = files(&kelp.work());
    build(&kelp, &["--secret", "id=s,src=s"]);
    assert!(outside.join("b/c").is_dir());
    assert_eq!(files(&kelp.work()), before);
}

#[test]
fn nothing_but_the_command_line_loosens_the_sandbox() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    // CVE-2026-61711: a frontend of the Dockerfile's choice; here the line is read and no more.
    let probe = "grep -q '^Seccomp:.*2' /proc/self/status && grep -q '^CapInh:.*0000000000000000' /proc/self/status && \
                 grep -q '^CapAmb:.*0000000000000000' /proc/self/status && ! unshare -m true 2>/dev/null && ! mount -t tmpfs t /mnt 2>/dev/null";
    context(&kelp, &[("Dockerfile", &format!("# syntax=nowhere.example/any/frontend:1\nFROM busybox\nRUN {probe}\nUSER 1000\nRUN {probe}\n"))]);
    build(&kelp, &[]).success();
    // CVE-2024-9407: no word of a mount is taken that is not known.
    for mount in [
        "type=bind,target=/m,bind-propagation=shared",
        "type=bind,target=/m,propagation=rshared",
        "type=bind,source=/,from=/,target=/m",
        "type=volume,target=/m",
        "type=tmpfs,target=/",
        "type=cache,target=/m,sharing=everybody",
    ] {
        context(&kelp, &[("Dockerfile", &format!("FROM busybox\nRUN --mount={mount} true\n"))]);
        build(&kelp, &[]).failure().stderr_has("Dockerfile:2");
    }
    // CVE-2024-23653: permission is asked for in every stage, and for triggers of a base.
    context(&kelp, &[("Dockerfile", "FROM busybox\nONBUILD RUN --security=insecure true\n")]);
    build(&kelp, &["-t", "trigger"]).success();
    context(&kelp, &[("Dockerfile", "FROM trigger AS a\nFROM busybox\nCOPY --from=a /etc/passwd /p\n")]);
    build(&kelp, &[]).failure().stderr_has("--allow security.insecure");
}

#[test]
fn sources_that_change_under_way_lead_nowhere() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let outside = kelp.work().join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("file"), "host file").unwrap();
    context(&kelp, &[("Dockerfile", "FROM busybox\nCOPY swap /got\nRUN --mount=type=bind,source=swap,target=/m ! grep -rq host /got /m\n"), ("real/file", "own")]);
    let (swap, stop) = (kelp.work().join("ctx/swap"), std::sync::atomic::AtomicBool::new(false));
    // CVE-2018-15664 and CVE-2024-23651 in a build: a directory becomes a link and back while it is read.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fs::create_dir(&swap).ok();
                fs::write(swap.join("file"), "own").ok();
                fs::remove_dir_all(&swap).ok();
                symlink(&outside, &swap).ok();
                fs::remove_file(&swap).ok();
            }
        });
        for _ in 0..15 {
            let out = build(&kelp, &["-t", "raced", "--no-cache"]);
            assert!(!out.stderr.contains("did not complete"), "{}", out.stderr);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "host file");
}

#[test]
fn a_full_disk_stops_a_build_and_spoils_nothing() {
    needs!("userns", "busybox");
    let kelp = Kelp::new().untidy();
    let disk = kelp.open_dir("disk");
    context(&kelp, &[("Dockerfile", "\
FROM busybox AS big
COPY file /copied
RUN dd if=/dev/zero bs=1k count=3000 2>/dev/null | tr '\\0' x > /big && test $(wc -c < /big) = 3072000 && echo done > /done
FROM busybox
COPY --from=big /big /done /copied /
RUN cat /done && md5sum < /big > /sum
"), ("file", &"context\n".repeat(50_000))]);
    let script = format!(
        r#"set -u
        echo root:1:65000 > {disk}/../subids
        mount --bind {disk}/../subids /etc/subuid; mount --bind {disk}/../subids /etc/subgid
        mount -t tmpfs -o size=48m none {disk}
        export XDG_DATA_HOME={disk}/data XDG_STATE_HOME={disk}/state XDG_CACHE_HOME={disk}/cache
        k={program}; cd {work}
        $k load -q -i {archive} >/dev/null || exit 10
        for keep in 0 16 300 1000 3500 5000 8000; do
            dd if=/dev/zero of={disk}/filler bs=1k 2>/dev/null; truncate -s -${{keep}}k {disk}/filler
            $k build -q --jobs 8 --network none -t app ctx >/dev/null 2>{disk}/../err; c=$?
            [ $c -lt 126 ] && [ $c != 101 ] || {{ echo "the build ended with $c and $keep k left"; cat {disk}/../err; }}
            $k images -q | grep -q . || echo "the base is gone with $keep k left"
            rm {disk}/filler
            $k build -q --jobs 8 --network none -t app ctx >/dev/null 2>{disk}/../err || {{ echo "no build after $keep k"; cat {disk}/../err; }}
            $k run --rm --network none app sh -c 'cat /done; wc -c < /big; wc -c < /copied' > {disk}/../out || echo "no run after $keep k"
            [ "$(tr '
' ' ' < {disk}/../out)" = "done 3072000 400000 " ] || {{ echo "spoiled after $keep k:"; cat {disk}/../out; }}
            [ -z "$(ls {disk}/data/kelp/build/tmp)" ] || echo "something is left after $keep k"
            $k rmi -f app >/dev/null; $k builder prune -af >/dev/null || echo "no prune after $keep k"
        done
        echo done"#,
        disk = disk.display(),
        program = crate::support::program().display(),
        work = kelp.work().display(),
        archive = crate::support::image::busybox_archive().display(),
    );
    let limit = std::time::Duration::from_secs(240);
    let out = kelp.tool("unshare", ["--user", "--map-auto", "--map-root-user", "--mount", "sh", "-c", &script]).limit(limit).output();
    out.success().stdout("done");
}

#[test]
fn builds_killed_at_any_moment() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, &[("Dockerfile", "\
FROM busybox AS a
RUN --mount=type=cache,target=/c for i in 1 2 3; do echo $i >> /a; done; echo x >> /c/n
FROM busybox AS b
COPY file /b
RUN for i in $(seq 200); do echo $i > /f$i; done
FROM busybox
COPY --from=a /a /
COPY --from=b / /b/
RUN cat /a /b/b /b/f200 > /all
"), ("file", "file\n")]);
    let args = ["build", "-q", "--jobs", "8", "--network", "none", "-t", "whole", "ctx"];
    for round in 0..24_u64 {
        let process = kelp.start(args);
        std::thread::sleep(std::time::Duration::from_millis(3 + round * 9));
        process.signal(rustix::process::Signal::KILL);
        process.wait();
        if round % 6 == 5 {
            kelp.no_process_left();
            kelp.run(args).success();
            assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "whole", "cat", "/all"]), "1\n2\n3\nfile\n200");
            assert_eq!(fs::read_dir(kelp.data().join("build/tmp")).unwrap().count(), 0, "round {round}");
            kelp.run(["builder", "prune", "-af"]).success();
        }
    }
}
