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
    let text = "\
FROM busybox AS evil
RUN ln -s / /up && ln -s /proc/self/cwd /cwd
FROM busybox
COPY --from=evil /up/etc/ /etc2/
RUN --mount=type=bind,from=evil,source=/up,target=/m,rw test -e /m/bin/busybox -o -e /m/bin/sh; echo w > /m/written
";
    fs::write(ctx.join("Dockerfile"), text).unwrap();
    build(&kelp, &["-t", "linked"]).success();
    assert!(!std::path::Path::new("/written").exists());
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
fn two_builds_at_once_make_each_step_once() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN --mount=type=cache,target=/c echo x >> /c/n; sleep 1\nRUN --mount=type=cache,target=/c cp /c/n /n\n")]);
    let args = ["build", "-q", "--network", "none", "-t", "both", "ctx"];
    let all: Vec<_> = (0..3).map(|_| kelp.start(args)).collect();
    let ids: Vec<String> = all.into_iter().map(|process| process.wait().success().text()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "both", "cat", "/n"]), "x");
}
