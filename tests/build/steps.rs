//! Builds: every instruction and its flags, with the files and configuration that come of them; the cache; outputs.

use std::fs;
use std::os::unix::fs::symlink;

use crate::needs;
use crate::support::{Kelp, Output};

/// A context: pairs of path and content.
fn context(kelp: &Kelp, name: &str, files: &[(&str, &str)]) -> String {
    for (path, content) in files {
        let path = kelp.work().join(name).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    name.to_owned()
}

fn build(kelp: &Kelp, dir: &str, flags: &[&str]) -> Output {
    let mut args = vec!["build", "--progress", "plain", "--network", "none"];
    args.extend(flags);
    args.push(dir);
    kelp.run(args)
}

/// How many steps were taken from the cache.
fn cached(output: &Output) -> usize {
    output.stderr.lines().filter(|line| line.ends_with(" CACHED")).count()
}

#[test]
fn instructions() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let dockerfile = "\
# syntax=docker/dockerfile:1
ARG TAG=latest
FROM busybox:$TAG AS base
ARG WHO=world
ENV GREETING=\"hello ${WHO}\" EMPTY=
LABEL a=1 b=\"two words\"
WORKDIR /app
WORKDIR sub
COPY one.txt dir/ ./
COPY --chown=12:34 --chmod=640 one.txt /owned/
COPY --exclude=*.log dir/ /excluded/
COPY --parents dir/deep/x.txt /parents/
COPY <<EOF <<\"RAW\" /heredocs/
$GREETING
EOF
$GREETING
RAW
RUN echo \"$GREETING\" > /greeting && test \"$WHO\" = world
RUN [\"/bin/sh\", \"-c\", \"pwd > /where\"]
RUN <<EOF
echo one > /lines
echo two >> /lines
EOF
SHELL [\"/bin/sh\", \"-e\", \"-c\"]
USER 12:34
EXPOSE 80 90-91/udp
VOLUME /data
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s --retries=2 CMD [\"true\"]
ENTRYPOINT [\"cat\"]
CMD /greeting
ONBUILD RUN echo triggered > /triggered
";
    context(&kelp, "ctx", &[
        ("Dockerfile", dockerfile),
        ("one.txt", "1"),
        ("dir/deep/x.txt", "x"),
        ("dir/y.log", "y"),
        ("dir/ignored.tmp", "z"),
        (".dockerignore", "**/*.tmp\n"),
    ]);
    let iid = kelp.work().join("iid");
    let metadata = kelp.work().join("metadata");
    build(&kelp, "ctx", &["-t", "app", "-t", "app:2", "--label", "c=3", "--iidfile", "iid", "--metadata-file", "metadata"]).success();
    let inspect = |template: &str| kelp.ok(["image", "inspect", "--format", template, "app"]).trim().to_owned();
    assert_eq!(fs::read_to_string(iid).unwrap().trim(), inspect("{{.Id}}"));
    assert!(fs::read_to_string(metadata).unwrap().contains(&inspect("{{.Id}}")));
    assert_eq!(inspect("{{.Config.WorkingDir}} {{.Config.User}} {{.Config.StopSignal}}"), "/app/sub 12:34 SIGINT");
    assert_eq!(inspect("{{.Config.Entrypoint}} {{.Config.Cmd}}"), "[cat] [/bin/sh -e -c /greeting]");
    assert_eq!(inspect("{{index .Config.Labels \"a\"}} {{index .Config.Labels \"b\"}} {{index .Config.Labels \"c\"}}"), "1 two words 3");
    assert_eq!(inspect("{{range $port, $x := .Config.ExposedPorts}}{{$port}} {{end}}"), "80/tcp 90/udp 91/udp");
    assert!(inspect("{{.Config.Env}}").contains("GREETING=hello world"));
    assert_eq!(inspect("{{.Config.OnBuild}}"), "[RUN echo triggered > /triggered]");
    assert_eq!(inspect("{{.Config.Healthcheck.Test}} {{.Config.Healthcheck.Retries}}"), "[CMD true] 2");
    let sh = |script: &str| kelp.ok(["run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "sh", "app", "-c", script]);
    assert_eq!(sh("cat /greeting /where /lines"), "hello world\n/app/sub\none\ntwo");
    assert_eq!(sh("cd /app/sub; find . -type f | sort"), "./deep/x.txt\n./one.txt\n./y.log");
    assert_eq!(sh("stat -c '%u:%g %a' /owned/one.txt"), "12:34 640");
    assert_eq!(sh("find /excluded /parents -type f | sort"), "/excluded/deep/x.txt\n/parents/dir/deep/x.txt");
    assert_eq!(sh("cat /heredocs/EOF /heredocs/RAW"), "hello world\n$GREETING");
    // Triggers run in what is built on it.
    context(&kelp, "next", &[("Dockerfile", "FROM app\nUSER 0\n")]);
    build(&kelp, "next", &["-t", "next"]).failure();
    context(&kelp, "next", &[("Dockerfile", "FROM app\n")]);
    // The trigger runs as the base's user, who may not write to /.
    build(&kelp, "next", &["-t", "next"]).code(1);
}

#[test]
fn nothing_of_the_set_up_is_in_a_layer() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "\
FROM scratch AS tools
COPY --from=busybox / /
FROM tools
RUN --mount=type=tmpfs,target=/a/b/c --mount=type=bind,target=/ctx --mount=type=cache,target=/cache/x true
RUN echo x > /made
"), ("s", "x")]);
    build(&kelp, "ctx", &["-t", "clean"]).success();
    let layers = kelp.ok(["image", "inspect", "--format", "{{len .RootFS.Layers}}", "clean"]);
    assert_eq!(layers.trim(), "2", "a step that changes nothing makes no layer");
    let tar = kelp.run(["build", "-q", "--network", "none", "-o", "out", "ctx"]);
    tar.success();
    let out = kelp.work().join("out");
    for path in ["a", "ctx", "cache", "etc/resolv.conf", "etc/hosts", "etc/hostname", "run/secrets", "proc/1"] {
        assert!(!out.join(path).exists(), "{path}");
    }
    assert_eq!(fs::read_to_string(out.join("made")).unwrap(), "x\n");
}

#[test]
fn the_cache_goes_by_content() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let dockerfile = "\
FROM busybox AS one
COPY a.txt /a.txt
RUN cat /a.txt > /b.txt
FROM busybox
COPY --from=one /b.txt /
RUN --mount=type=bind,source=bound.txt,target=/bound.txt cat /bound.txt > /seen
LABEL x=1
";
    context(&kelp, "ctx", &[("Dockerfile", dockerfile), ("a.txt", "1"), ("bound.txt", "1"), ("other.txt", "1")]);
    let first = build(&kelp, "ctx", &[]);
    first.success();
    assert_eq!(cached(&first), 0);
    let again = build(&kelp, "ctx", &[]);
    assert_eq!((cached(&again), again.text()), (4, first.text()), "the same image, all from the cache");
    // Touching, and changing what is not used, rebuilds nothing.
    let ctx = kelp.work().join("ctx");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(100);
    fs::File::options().write(true).open(ctx.join("a.txt")).unwrap().set_modified(later).unwrap();
    fs::write(ctx.join("other.txt"), "2").unwrap();
    assert_eq!(cached(&build(&kelp, "ctx", &[])), 4);
    // What is bind-mounted counts.
    fs::write(ctx.join("bound.txt"), "2").unwrap();
    assert_eq!(cached(&build(&kelp, "ctx", &["-t", "bound"])), 3);
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "bound", "cat", "/seen"]), "2");
    // Another stage that comes to the same files changes nothing behind it.
    fs::write(ctx.join("Dockerfile"), dockerfile.replace("cat /a.txt > /b.txt", "cat /a.txt > /b.txt; true")).unwrap();
    let out = build(&kelp, "ctx", &[]);
    assert_eq!(cached(&out), 3, "{}", out.stderr);
    // A label is no reason to run anything again.
    fs::write(ctx.join("Dockerfile"), dockerfile.replace("FROM busybox\n", "FROM busybox\nLABEL early=1\n")).unwrap();
    assert_eq!(cached(&build(&kelp, "ctx", &[])), 4);
    assert_eq!(cached(&build(&kelp, "ctx", &["--no-cache"])), 0);
    assert_eq!(cached(&build(&kelp, "ctx", &["--no-cache-filter", "one"])), 2);
    // What is not needed is not built.
    assert_eq!(cached(&build(&kelp, "ctx", &["--target", "one"])), 2);
    let listed = kelp.ok(["builder", "du"]);
    assert!(listed.contains("RUN cat /a.txt"), "{listed}");
    kelp.run(["builder", "prune", "-af"]).success().stdout_has("Total:");
    assert!(!kelp.data().join("build/old").exists(), "what is removed takes no room");
    kelp.run(["run", "--rm", "--network", "none", "bound", "cat", "/seen"]).success().stdout("2");
    assert_eq!(cached(&build(&kelp, "ctx", &[])), 0);
}

#[test]
fn add_unpacks_archives() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "\
FROM busybox
ADD pack.tgz /packed/
ADD plain.txt /plain/
ADD --unpack=false pack.tgz /kept/
RUN cat /packed/in.txt /plain/plain.txt > /all && test -f /kept/pack.tgz
"), ("plain.txt", "plain\n"), ("src/in.txt", "packed\n")]);
    let ctx = kelp.work().join("ctx");
    assert!(std::process::Command::new("tar").args(["czf", "pack.tgz", "-C", "src", "in.txt"]).current_dir(&ctx).status().unwrap().success());
    build(&kelp, "ctx", &["-t", "added"]).success();
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "added", "cat", "/all"]), "packed\nplain");
}

#[test]
fn outputs_and_squash() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUN echo 1 > /one; echo x > /gone\nRUN rm /gone; echo 2 > /two\nRUN rm /bin/vi\n")]);
    build(&kelp, "ctx", &["-t", "a", "-o", "type=docker,dest=d.tar", "-o", "type=oci,dest=o.tar", "-o", "type=tar,dest=t.tar", "--metadata-file", "m.json"]).success();
    // The digest is that of the manifest in the archive.
    let about: serde_json::Value = serde_json::from_slice(&std::fs::read(kelp.work().join("m.json")).unwrap()).unwrap();
    let index = std::process::Command::new("tar").args(["xOf", "o.tar", "index.json"]).current_dir(kelp.work()).output().unwrap();
    let index: serde_json::Value = serde_json::from_slice(&index.stdout).unwrap();
    assert_eq!(about["containerimage.digest"], index["manifests"][0]["digest"]);
    for name in ["d.tar", "o.tar"] {
        kelp.run(["load", "-i", name]).success();
        assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "a", "cat", "/one", "/two"]), "1\n2");
        kelp.run(["rmi", "-f", "a"]).success();
    }
    let listed = std::process::Command::new("tar").args(["tf", "t.tar"]).current_dir(kelp.work()).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.lines().any(|line| line.trim_start_matches("./") == "two") && !listed.contains("gone"), "{listed}");
    for (flag, layers) in [("--squash", 1), ("--squash-all", 0)] {
        build(&kelp, "ctx", &["-t", "squashed", flag]).success();
        let base: usize = kelp.ok(["image", "inspect", "--format", "{{len .RootFS.Layers}}", "busybox"]).trim().parse().unwrap();
        let have: usize = kelp.ok(["image", "inspect", "--format", "{{len .RootFS.Layers}}", "squashed"]).trim().parse().unwrap();
        assert_eq!(have, if layers == 1 { base + 1 } else { 1 }, "{flag}");
        let script = "cat /one /two; test ! -e /gone && test ! -e /bin/vi && echo fine";
        assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "squashed", "sh", "-c", script]), "1\n2\nfine");
    }
}

#[test]
fn outputs_are_written_where_names_lead() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUN echo 1 > /one\n")]);
    let work = kelp.work();
    std::fs::create_dir(work.join("far")).unwrap();
    symlink("far/out", work.join("link")).unwrap();
    symlink("/dev/full", work.join("full")).unwrap();
    let size = |name: &str| std::fs::metadata(work.join(name)).map_or(0, |meta| meta.len());
    for kind in ["tar", "oci", "docker"] {
        for dest in ["/dev/null", "link", "plain"] {
            build(&kelp, "ctx", &["-o", &format!("type={kind},dest={dest}")]).success();
        }
        assert!(work.join("link").is_symlink() && size("far/out") > 1000, "{kind}");
        std::fs::remove_file(work.join("far/out")).unwrap();
        for dest in ["full", "none/x", "far"] {
            build(&kelp, "ctx", &["-o", &format!("type={kind},dest={dest}")]).failure();
        }
        let whole = build(&kelp, "ctx", &["-o", &format!("type={kind},dest=-")]);
        let named = build(&kelp, "ctx", &["-o", &format!("type={kind},dest=/dev/stdout")]);
        assert!(whole.stdout.len() > 1000 && whole.stdout == named.stdout, "{kind}");
    }
    kelp.run(["save", "-o", "link", "busybox"]).success();
    assert!(work.join("link").is_symlink() && size("far/out") > 1000);
    let mut left: Vec<_> = std::fs::read_dir(&work).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left, ["ctx", "far", "full", "link", "plain"]);
    assert_eq!(std::fs::read_dir(work.join("far")).unwrap().count(), 1);
}

#[test]
fn what_is_wrong_on_the_command_line_is_told_first() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUN echo ran\n")]);
    let digest = format!("x@sha256:{}", "1".repeat(64));
    for flags in [["-t", "UPPER"], ["-t", "a:b:c"], ["-t", &digest], ["--ulimit", "foo=1"], ["--ulimit", "nofile"]] {
        let out = build(&kelp, "ctx", &flags);
        out.failure();
        assert!(!out.stderr.contains("RUN"), "{flags:?}: {}", out.stderr);
    }
}

#[test]
fn a_failing_step_says_where_and_leaves_the_state_before() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUN echo good > /state\nRUN for i in 1 2 3; do echo line $i; done; exit 7\n")]);
    let out = build(&kelp, "ctx", &[]);
    out.code(7).stderr_has("line 3").stderr_has("exit code: 7").stderr_has("Dockerfile:3").stderr_has("kelp run");
    let hint = out.stderr.lines().find(|line| line.contains("kelp run")).unwrap();
    let image = hint.split_whitespace().skip_while(|word| *word != "-it").nth(1).unwrap();
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", image, "cat", "/state"]), "good");
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUN echo x | false | exit 3\n")]);
    build(&kelp, "ctx", &[]).code(3).stderr_has("Dockerfile:2\n").stderr_has("    2 | RUN echo x");
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUM true\n")]);
    build(&kelp, "ctx", &[]).failure().stderr_has("Dockerfile:2").stderr_has("RUN");
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUN [\"/nothing\"]\n")]);
    build(&kelp, "ctx", &[]).failure().stderr_has("/nothing");
}

#[test]
fn the_same_image_from_the_same_input() {
    needs!("userns", "busybox");
    let dockerfile = "FROM busybox\nCOPY f d/ /x/\nWORKDIR /w\nRUN echo 1 > a; mkdir -p b/c; ln -s a l; chmod 600 a; rm /bin/vi; mkfifo p; ln a h\n\
                      RUN chown 5:6 /w/b && chown -h 7:8 /w/l && touch /w/b/c/new\nCOPY --chown=9:9 --chmod=750 d /y/\n";
    let mut ids = Vec::new();
    for how in ["overlay", "fuse", "umask", "one id", "another context"] {
        if how == "fuse" && !std::path::Path::new("/dev/fuse").exists() {
            continue;
        }
        let kelp = if how == "one id" { Kelp::new() } else { Kelp::busybox() };
        if how == "one id" {
            fs::create_dir_all(kelp.config()).unwrap();
            fs::write(kelp.config().join("config.toml"), "[containers]\nsubordinate-ids = false\n").unwrap();
            kelp.load(&crate::support::image::busybox_archive());
        }
        let driver = if how == "fuse" { "fuse" } else { "overlay" };
        context(&kelp, "ctx", &[("Dockerfile", dockerfile), ("f", "1"), ("d/g", "2")]);
        let ctx = kelp.work().join("ctx");
        for (path, mode) in [("f", 0o644), ("d", 0o755), ("d/g", 0o640)] {
            fs::set_permissions(ctx.join(path), std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        }
        if how == "another context" {
            context(&kelp, "ctx", &[("unused", "x")]);
        }
        let umask = if how == "umask" { "077" } else { "022" };
        // Single-id mode chooses its driver itself.
        let chosen = if how == "one id" { String::new() } else { format!("--storage-driver {driver}") };
        let command = format!("umask {umask}; exec {} {chosen} build -q --network none --timestamp 1000000000 ctx", crate::support::program().display());
        let once = || kelp.tool("sh", ["-c", &command]).output().success().text();
        ids.push((how, once()));
        kelp.run(["builder", "prune", "-af"]).success();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        ids.push((how, once()));
    }
    assert!(ids.iter().all(|(_, id)| *id == ids[0].1), "{ids:?}");
}

#[test]
fn contexts_from_standard_input() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let text = "FROM busybox\nRUN echo in > /in\n";
    kelp.cmd(["build", "--network", "none", "-t", "stdin", "-"]).stdin(text).output().success();
    kelp.run(["run", "--rm", "--network", "none", "stdin", "cat", "/in"]).success().stdout("in");
    context(&kelp, "ctx", &[("f", "file")]);
    let text = "FROM busybox\nCOPY f /f\n";
    kelp.cmd(["build", "--network", "none", "-t", "mixed", "-f", "-", "ctx"]).stdin(text).output().success();
    kelp.run(["run", "--rm", "--network", "none", "mixed", "cat", "/f"]).success().stdout("file");
    context(&kelp, "packed", &[("Dockerfile", text), ("f", "tarred")]);
    let tar = std::process::Command::new("tar").args(["cz", "-C", "packed", "."]).current_dir(kelp.work()).output().unwrap();
    kelp.cmd(["build", "--network", "none", "-t", "tarred", "-"]).stdin(tar.stdout).output().success();
    kelp.run(["run", "--rm", "--network", "none", "tarred", "cat", "/f"]).success().stdout("tarred");
    // Compressed in other ways, without entries of directories, and built under any mask; a comment in an old encoding.
    context(&kelp, "packed", &[("d/e/f", "deep")]);
    fs::write(kelp.work().join("packed/Dockerfile"), b"# caf\xe9\nFROM busybox\nCOPY . /all\nRUN stat -c '%a' /all/d /all/d/e\n").unwrap();
    for flag in ["cj", "cJ", "c"] {
        let tar = std::process::Command::new("tar").args([flag, "-C", "packed", "Dockerfile", "d/e/f"]).current_dir(kelp.work()).output().unwrap();
        if !tar.status.success() {
            continue;
        }
        let script = "umask 077; exec $K build --network none --progress plain --no-cache -";
        let out = kelp.tool("sh", ["-c", script]).env("K", crate::support::program()).stdin(tar.stdout).output();
        out.success();
        assert_eq!(out.stderr.lines().filter(|line| line.ends_with(" 755")).count(), 2, "{flag}: {}", out.stderr);
    }
}

#[test]
fn stages_side_by_side_and_none_too_many() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    // Each waits for the other's file in a shared cache: one after the other they would never end.
    let wait = |own: &str, other: &str| {
        format!("RUN --mount=type=cache,id=meet,target=/m touch /m/{own}; for i in $(seq 100); do test -e /m/{other} && exit 0; sleep 0.1; done; exit 1\n")
    };
    let text = format!("FROM busybox AS one\n{}FROM busybox AS two\n{}FROM busybox AS unused\nRUN exit 1\nFROM one\nCOPY --from=two /etc/passwd /x\n", wait("a", "b"), wait("b", "a"));
    context(&kelp, "ctx", &[("Dockerfile", &text)]);
    let out = build(&kelp, "ctx", &["--jobs", "2"]);
    out.success();
    assert!(!out.stderr.contains("[unused"), "{}", out.stderr);
    build(&kelp, "ctx", &["--target", "unused"]).code(1);
    // The first that fails stops the others at once.
    let text = "FROM busybox AS slow\nRUN sleep 60\nFROM busybox AS bad\nRUN sleep 0.3; exit 3\nFROM slow\nCOPY --from=bad /etc/passwd /x\n";
    context(&kelp, "ctx", &[("Dockerfile", text)]);
    build(&kelp, "ctx", &["--jobs", "2"]).code(3).within(std::time::Duration::from_secs(30)).stderr_has("CANCELED");
}

#[test]
fn one_changed_file_makes_again_what_follows() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let steps = |from: usize, to: usize| (from..to).fold(String::new(), |text, n| text + &format!("RUN echo {n} >> /log\n"));
    let text = format!("FROM busybox\n{}COPY source /source\n{}", steps(0, 25), steps(25, 49));
    context(&kelp, "ctx", &[("Dockerfile", &text), ("source", "1")]);
    assert_eq!(cached(&build(&kelp, "ctx", &[])), 0);
    context(&kelp, "ctx", &[("source", "2")]);
    let out = build(&kelp, "ctx", &["-t", "app"]);
    assert_eq!(cached(&out), 25, "{}", out.stderr);
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "app", "sh", "-c", "wc -l < /log; cat /source"]), "49\n2");
    context(&kelp, "ctx", &[("source", "1")]);
    assert_eq!(cached(&build(&kelp, "ctx", &[])), 50);
}

#[test]
fn ignore_files() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[
        ("Dockerfile", "FROM busybox\nCOPY . /all\nRUN cd /all && find . -type f | sort | tr '\\n' ' '\n"),
        ("other/Dockerfile", "FROM busybox\nCOPY . /all\nRUN cd /all && find . -type f | sort | tr '\\n' ' '\n"),
        ("other/Dockerfile.dockerignore", "*\n!a.txt\n"),
        (".dockerignore", "# comment\n\n *.md \n/build\n**/*.o\nsrc/deep/\n!src/deep/keep\n!README.md\n./dot\nother\n[bc].txt\nDockerfile\n.dockerignore\n"),
        ("a.txt", ""), ("b.txt", ""), ("README.md", ""), ("x.md", ""), ("build/y", ""), ("src/build/y", ""), ("src/z.o", ""), ("z.o", ""),
        ("src/deep/gone", ""), ("src/deep/keep", ""), ("dot", ""),
    ]);
    build(&kelp, "ctx", &[]).success().stderr_has(" ./README.md ./a.txt ./src/build/y ./src/deep/keep \n");
    build(&kelp, "ctx", &["-f", "ctx/other/Dockerfile"]).success().stderr_has(" ./a.txt \n");
    fs::write(kelp.work().join("mine"), "*\n!b.txt\n").unwrap();
    build(&kelp, "ctx", &["--ignorefile", "mine"]).success().stderr_has(" ./b.txt \n");
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nCOPY b.txt /\n")]);
    build(&kelp, "ctx", &[]).failure().stderr_has("excluded by .dockerignore");
}

#[test]
fn arguments_and_their_scopes() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "\
ARG NAME=busybox VERSION=1.2.3
FROM --platform=$BUILDPLATFORM $NAME AS one
RUN test -z \"$VERSION\"
ARG VERSION
ARG LOCAL=${VERSION%.*} MAJOR=${VERSION%%.*} REST=${VERSION#*.} LAST=${VERSION##*.} DASHED=${VERSION//./-} FIRST=${VERSION/./-}
ARG EMPTY= UNSET
RUN echo \"<$VERSION $LOCAL $MAJOR $REST $LAST $DASHED $FIRST ${EMPTY:-e} ${EMPTY-n} ${UNSET-u} ${UNSET:+no} ${VERSION:+yes}>\"
ARG TARGETPLATFORM TARGETOS TARGETARCH BUILDOS TARGETSTAGE
RUN echo \"<$TARGETOS/$TARGETARCH $BUILDOS $TARGETSTAGE>\" && test \"$TARGETPLATFORM\" = \"$TARGETOS/$TARGETARCH\"
ENV VERSION=env
RUN echo \"<$VERSION>\"
FROM one AS two
RUN echo \"<$VERSION $LOCAL>\"
ENV A=1
ENV A=2 B=$A
RUN echo \"<$A$B>\"
RUN echo \"<$http_proxy>\"
")]);
    let out = build(&kelp, "ctx", &["--build-arg", "VERSION=4.5.6", "--build-arg", "UNUSED=x", "--build-arg", "http_proxy=http://p:1"]);
    out.success();
    for want in ["<4.5.6 4.5 4 5.6 6 4-5-6 4-5.6 e  u  yes>", "<linux/", " linux default>", "<env>", "<env 4.5>", "<21>", "<http://p:1>", "UNUSED"] {
        out.stderr_has(want);
    }
    assert!(!kelp.ok(["image", "inspect", "--format", "{{.Config.Env}}", &out.text()]).contains("http_proxy"));
    // A proxy is no part of a key.
    assert_eq!(cached(&build(&kelp, "ctx", &["--build-arg", "VERSION=4.5.6", "--build-arg", "http_proxy=http://q:2"])), 7);
    // A name alone takes the caller's value.
    let named = kelp.cmd(["build", "--progress", "plain", "--network", "none", "--build-arg", "VERSION", "ctx"]).env("VERSION", "7.8.9").output();
    named.success().stderr_has("<7.8.9 7.8 ");
    context(&kelp, "ctx", &[("Dockerfile", "ARG X\nFROM busybox${X:?give X}\n")]);
    build(&kelp, "ctx", &[]).failure().stderr_has("give X").stderr_has("Dockerfile:2");
}

#[test]
fn agents_reach_steps() {
    needs!("userns", "debian");
    let kelp = Kelp::new();
    let tar = crate::support::debian_tar().unwrap();
    kelp.run([std::ffi::OsStr::new("import"), tar.as_os_str(), std::ffi::OsStr::new("debian")]).success();
    let socket = kelp.dir().join("agent");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        use std::io::{Read, Write};
        for mut stream in listener.incoming().flatten() {
            let mut question = [0; 4];
            if stream.read_exact(&mut question).is_ok() && &question == b"keys" {
                let _ = stream.write_all(b"none today");
            }
        }
    });
    let ask = "perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => $ENV{SSH_AUTH_SOCK}) or die; $s->autoflush(1); print $s \"keys\"; $s->shutdown(1); print <$s>, \"\\n\"'";
    context(&kelp, "ctx", &[("Dockerfile", &format!("\
FROM debian
RUN --mount=type=ssh {ask}; stat -c '%a %u' $SSH_AUTH_SOCK
USER 1000
RUN --mount=type=ssh,id=default,required,uid=1000,mode=0600,target=/tmp/own test $SSH_AUTH_SOCK = /tmp/own && {ask}
RUN test -z \"$SSH_AUTH_SOCK\" && ! test -e /tmp/own
"))]);
    let path = socket.display().to_string();
    let out = build(&kelp, "ctx", &["--ssh", &format!("default={path}")]);
    out.success().stderr_has(" 600 0\n");
    assert_eq!(out.stderr.matches(" none today").count(), 2, "{}", out.stderr);
    kelp.cmd(["build", "--no-cache", "--network", "none", "--ssh", "default", "ctx"]).env("SSH_AUTH_SOCK", &path).output().success();
    context(&kelp, "ctx", &[("Dockerfile", "FROM debian\nRUN --mount=type=ssh test -z \"$SSH_AUTH_SOCK\"\nRUN --mount=type=ssh,required true\n")]);
    build(&kelp, "ctx", &[]).failure().stderr_has("--ssh default").stderr_has("Dockerfile:3");
}

#[test]
fn cache_mounts() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "\
FROM busybox AS first
RUN mkdir /content && echo first > /content/file
FROM busybox
RUN --mount=type=cache,target=/c,from=first,source=/content,uid=5,gid=6,mode=0700 cat /c/file && stat -c '%a %u:%g' /c && echo more >> /c/file
RUN --mount=type=cache,target=/c,from=first,source=/content,uid=5,gid=6,mode=0700 wc -l < /c/file; test ! -e /content
RUN --mount=type=cache,target=/p,sharing=private touch /p/x
RUN --mount=type=cache,target=/p,readonly test -e /p/x && ! touch /p/y
WORKDIR /w
RUN --mount=type=cache,target=rel pwd > rel/pwd && cat rel/pwd
RUN test ! -e /w/rel && test ! -e /c && test ! -e /p
")]);
    let out = build(&kelp, "ctx", &[]);
    out.success();
    for want in [" first\n", " 700 5:6\n", " 2\n", " /w\n"] {
        out.stderr_has(want);
    }
    let listed = kelp.ok(["builder", "du"]);
    assert_eq!(listed.matches("cache mount").count(), 3, "{listed}");
    // One that is mounted twice waits for nobody; one of another owner is another.
    context(&kelp, "twice", &[("Dockerfile", "\
FROM busybox
RUN --mount=type=cache,target=/1,id=q,sharing=locked --mount=type=cache,target=/2,id=q --mount=type=cache,target=/3,id=q,sharing=locked touch /1/x; test -e /2/x && test -e /3/x
USER 1000
RUN --mount=type=cache,target=/1,id=q,uid=1000 test ! -e /1/x && touch /1/y
")]);
    build(&kelp, "twice", &[]).success();
    // Names of its own, and a host name.
    context(&kelp, "own", &[("Dockerfile", "FROM busybox\nRUN --mount=type=cache,target=/1,id=q test ! -e /1/x\nRUN test $(hostname) = box\n")]);
    build(&kelp, "own", &["--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=box"]).failure().stderr_has("Dockerfile:2");
    let flags = ["--build-arg", "BUILDKIT_CACHE_MOUNT_NS=mine", "--build-arg", "BUILDKIT_SANDBOX_HOSTNAME=box"];
    let out = build(&kelp, "own", &flags);
    out.success();
    assert!(!out.stderr.contains("not consumed"));
    assert_eq!(cached(&build(&kelp, "own", &flags)), 2);
    build(&kelp, "own", &flags[..2]).failure().stderr_has("Dockerfile:3");
    kelp.run(["builder", "prune", "-af"]).success();
    let out = build(&kelp, "ctx", &[]);
    out.success().stderr_has(" 2\n");
    assert_eq!(cached(&out), 0);
}

#[test]
fn steps_have_the_flags_of_run() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "\
FROM busybox
RUN grep -q '10.1.2.3.*far' /etc/hosts && grep -q 'nameserver 9.9.9.9' /etc/resolv.conf && df -k /dev/shm | grep -q ' 2048 ' && ulimit -n
RUN --mount=type=bind,target=/ctx ls /ctx; cat /mnt/v/file
RUN capsh 2>/dev/null; grep CapBnd /proc/self/status
")]);
    fs::create_dir_all(kelp.work().join("v")).unwrap();
    fs::write(kelp.work().join("v/file"), "volume\n").unwrap();
    let flags = ["--add-host", "far:10.1.2.3", "--dns", "9.9.9.9", "--shm-size", "2m", "--ulimit", "nofile=77:77", "-v", "./v:/mnt/v:ro", "--cap-drop", "ALL"];
    build(&kelp, "ctx", &flags).success().stderr_has(" 77\n").stderr_has(" volume\n").stderr_has("CapBnd:    0000000000000000");
}

#[test]
fn progress_in_all_its_forms() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let text = "FROM busybox AS a\nRUN for i in 1 2 3 4 5 6 7 8 9; do echo side $i; done; sleep 1\nFROM busybox\nRUN echo main; sleep 0.5\nCOPY --from=a /etc/passwd /p\nRUN seq 100 && exit 4\n";
    context(&kelp, "ctx", &[("Dockerfile", text)]);
    let mut screen = kelp.pty(["build", "--network", "none", "ctx"]);
    screen.expect("[+] Building");
    screen.expect("=> => # side 9");
    screen.expect("=> ERROR [stage-1 4/4] RUN seq 100");
    screen.expect("exit code: 4");
    screen.expect("kelp run --rm -it");
    let shown = screen.screen();
    assert!(shown.contains("\n81\r") && shown.contains("\n100\r") && !shown.contains("\n80\r"), "the last twenty lines: {shown}");
    assert_eq!(screen.end(), 4);
    let raw = kelp.run(["build", "--progress", "rawjson", "--network", "none", "ctx"]);
    raw.code(4);
    let lines: Vec<serde_json::Value> = raw.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let vertexes = || lines.iter().flat_map(|line| line["vertexes"].as_array().cloned().unwrap_or_default());
    assert!(vertexes().any(|vertex| vertex["cached"] == true) && vertexes().any(|vertex| vertex["error"].as_str().is_some_and(|text| text.contains("exit code: 4"))));
    assert!(lines.iter().any(|line| line["logs"].is_array()));
    // Into the state before, at once.
    let shell = kelp.cmd(["build", "--network", "none", "--progress", "plain", "--debug-shell", "ctx"]).stdin("echo in $((40 + 2)); ls /p; exit 9\n").output();
    shell.code(4).stdout_has("in 42\n/p");
    let quiet = kelp.run(["build", "-q", "--network", "none", "--target", "a", "ctx"]);
    quiet.success().quiet();
    assert!(quiet.text().starts_with("sha256:") && quiet.lines().len() == 1);
}
