//! Builds: every instruction and its flags, with the files and configuration that come of them; the cache; outputs.

use std::fs;

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
    build(&kelp, "ctx", &["-t", "a", "-o", "type=docker,dest=d.tar", "-o", "type=oci,dest=o.tar", "-o", "type=tar,dest=t.tar"]).success();
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
fn a_failing_step_says_where_and_leaves_the_state_before() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUN echo good > /state\nRUN for i in 1 2 3; do echo line $i; done; exit 7\n")]);
    let out = build(&kelp, "ctx", &[]);
    out.code(7).stderr_has("line 3").stderr_has("exit code: 7").stderr_has("Dockerfile:3").stderr_has("kelp run");
    let hint = out.stderr.lines().find(|line| line.contains("kelp run")).unwrap();
    let image = hint.split_whitespace().skip_while(|word| *word != "-it").nth(1).unwrap();
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", image, "cat", "/state"]), "good");
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUM true\n")]);
    build(&kelp, "ctx", &[]).failure().stderr_has("Dockerfile:2").stderr_has("RUN");
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUN [\"/nothing\"]\n")]);
    build(&kelp, "ctx", &[]).failure().stderr_has("/nothing");
}

#[test]
fn the_same_image_from_the_same_input() {
    needs!("userns", "busybox");
    let dockerfile = "FROM busybox\nCOPY f d/ /x/\nWORKDIR /w\nRUN echo 1 > a; mkdir -p b/c; ln -s a l; chmod 600 a; rm /bin/vi\n";
    let mut ids = Vec::new();
    for driver in ["overlay", "fuse"] {
        if driver == "fuse" && !std::path::Path::new("/dev/fuse").exists() {
            continue;
        }
        let kelp = Kelp::busybox();
        context(&kelp, "ctx", &[("Dockerfile", dockerfile), ("f", "1"), ("d/g", "2")]);
        let args = ["--storage-driver", driver, "build", "-q", "--network", "none", "--timestamp", "1000000000", "ctx"];
        ids.push((driver, kelp.ok(args)));
        kelp.run(["builder", "prune", "-af"]).success();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        ids.push((driver, kelp.ok(args)));
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
}
