//! Files of a build: what `COPY` puts where, what is ignored, what makes a step again, what a hostile context cannot do; the
//! checks of a Dockerfile. The language itself is tested beside its code.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::needs;
use crate::support::{Kelp, Output};

/// A context with these files; a name that ends in `/` is a directory, `a -> b` a link.
fn context(kelp: &Kelp, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let dir = kelp.work().join(name);
    for (path, content) in files {
        let (path, link) = path.split_once(" -> ").map_or((*path, None), |(path, target)| (path, Some(target)));
        let at = dir.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match link {
            Some(target) => symlink(target, at).unwrap(),
            None if path.ends_with('/') => fs::create_dir_all(at).unwrap(),
            None => fs::write(at, content).unwrap(),
        }
    }
    dir
}

fn build(kelp: &Kelp, dir: &Path, flags: &[&str]) -> Output {
    let mut args = vec!["build", "--progress", "plain", "--network", "none"];
    args.extend(flags);
    let dir = dir.display().to_string();
    args.push(&dir);
    kelp.run(args)
}

/// The id of the image that was built.
fn id(output: &Output) -> String {
    output.success();
    output.lines().pop().unwrap()
}

/// Kind and permissions, owner, link or size, name of everything below `/out`.
const LISTING: &str = "cd /out && find . | sort | while read -r f; do if [ -L \"$f\" ]; then echo \"link $(stat -c '%u:%g' \"$f\") $f -> \
                       $(readlink \"$f\")\"; elif [ -d \"$f\" ]; then stat -c 'dir %a %u:%g %n' \"$f\"; else stat -c 'file %a %u:%g %s %n' \"$f\"; fi; done";

fn listing(kelp: &Kelp, image: &str) -> String {
    kelp.ok(["run", "--rm", "--network", "none", image, "sh", "-c", LISTING])
}

#[test]
fn everything_lands_where_docker_puts_it() {
    let kelp = Kelp::busybox();
    let files = [
        ("a.txt", "a"),
        ("b.txt", "bb"),
        ("dir/in", "x"),
        ("dir/sub/deep.md", "y"),
        ("dir/to -> in", ""),
        ("link -> dir", ""),
        ("node_modules/p/index", "no"),
        ("debug.log", "no"),
        (".dockerignore", "# not these\nnode_modules\n**/*.log\n"),
        (
            "Dockerfile",
            "FROM busybox AS base\nRUN echo app:x:1500:1500::/:/bin/sh >> /etc/passwd && echo app:x:1500: >> /etc/group && mkdir -p /out/there && ln -s /out/there /way\n\
             COPY a.txt /out/renamed\nCOPY a.txt b.txt /out/there/\nCOPY dir /out/contents\nCOPY link/ /out/followed/\n\
             COPY *.txt /out/globbed/\nCOPY --chown=app:app --chmod=u=rwX,go= dir /out/owned\nCOPY --chmod=0600 a.txt /way/\n\
             WORKDIR /out/work\nCOPY b.txt .\nCOPY <<EOF <<\"RAW\" ./\nhome $HOME\nEOF\nhome $HOME\nRAW\n\
             COPY --parents --exclude=**/deep.md dir/./sub dir/*/deep.md /out/kept/\nCOPY . /out/all\n\
             FROM base\nCOPY --from=base --link /out/owned /out/again\nCOPY --from=base /out/owned/in /out/again2/\nRUN cat /out/work/EOF /out/work/RAW\n\
             RUN mkdir /out/l && cd /out/l && echo old > real && ln -s real first && ln -s /out/l/first second && ln -s ../made/new none && ln -s turn turn\n\
             COPY a.txt /out/l/second\nCOPY a.txt /out/l/none\nCOPY dir/to /out/l/inline\nCOPY <<X /out/l/first\nwritten\nX\n",
        ),
    ];
    let dir = context(&kelp, "context", &files);
    for path in ["a.txt", "b.txt", "dir/in", "dir/sub/deep.md"] {
        fs::set_permissions(dir.join(path), PermissionsExt::from_mode(0o644)).unwrap();
    }
    fs::set_permissions(dir.join("dir/sub"), PermissionsExt::from_mode(0o750)).unwrap();
    let built = build(&kelp, &dir, &[]);
    built.stderr_has(" home $HOME\n");
    let got = listing(&kelp, &id(&built));
    for want in [
        "file 644 0:0 1 ./renamed",
        "file 600 0:0 1 ./there/a.txt",
        "file 644 0:0 2 ./there/b.txt",
        "dir 755 0:0 ./contents",
        "dir 750 0:0 ./contents/sub",
        "link 0:0 ./contents/to -> in",
        "file 644 0:0 1 ./followed/in",
        "file 644 0:0 2 ./globbed/b.txt",
        "dir 700 1500:1500 ./owned/sub",
        "file 600 1500:1500 1 ./owned/in",
        "link 1500:1500 ./owned/to -> in",
        "file 644 0:0 2 ./work/b.txt",
        "dir 750 0:0 ./kept/sub",
        "file 644 0:0 1 ./all/dir/in",
        "file 600 1500:1500 1 ./again/in",
        "file 600 1500:1500 1 ./again2/in",
        // What a link of the image stands for is replaced, also when it is not there yet.
        "file 644 0:0 8 ./l/real",
        "link 0:0 ./l/first -> real",
        "link 0:0 ./l/none -> ../made/new",
        "file 644 0:0 1 ./made/new",
    ] {
        assert!(got.lines().any(|line| line == want), "{want} is not in\n{got}");
    }
    fs::write(dir.join("Dockerfile"), "FROM busybox\nRUN ln -s b /a; ln -s a /b\nCOPY a.txt /a\n").unwrap();
    kelp.run(["build", "--network", "none", dir.to_str().unwrap()]).failure().stderr_has("follow link");
    for unwanted in ["node_modules", ".log", "./kept/sub/deep.md"] {
        assert!(!got.contains(unwanted), "{unwanted} is in\n{got}");
    }
}

#[test]
fn touching_makes_nothing_again_and_changing_makes_what_follows() {
    let kelp = Kelp::busybox();
    let dockerfile = "FROM busybox\nRUN echo first > /first\nCOPY a /a\nRUN cat /a > /second\nRUN --mount=type=bind,source=b,target=/b cat /b > /third\n";
    let dir = context(&kelp, "context", &[("a", "one"), ("b", "two"), ("ignored", "x"), ("Dockerfile", dockerfile), (".dockerignore", "ignored")]);
    let first = build(&kelp, &dir, &[]);
    let cached = |output: &Output| output.stderr.matches(" CACHED").count();
    assert_eq!(cached(&first), 0, "{}", first.stderr);
    let old = fs::File::open(dir.join("a")).unwrap();
    old.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1000)).unwrap();
    fs::write(dir.join("ignored"), "y").unwrap();
    let again = build(&kelp, &dir, &[]);
    assert_eq!((cached(&again), id(&again)), (4, id(&first)), "{}", again.stderr);
    fs::write(dir.join("b"), "TWO").unwrap();
    let bound = build(&kelp, &dir, &[]);
    assert_eq!(cached(&bound), 3, "{}", bound.stderr);
    fs::write(dir.join("a"), "ONE").unwrap();
    let changed = build(&kelp, &dir, &[]);
    assert_eq!(cached(&changed), 1, "{}", changed.stderr);
    kelp.run(["run", "--rm", "--network", "none", &id(&changed), "cat", "/first", "/second", "/third"]).success().stdout("first\nONETWO");
}

#[test]
fn nothing_outside_of_the_context_gets_in() {
    let kelp = Kelp::busybox();
    fs::write(kelp.work().join("secret"), "secret").unwrap();
    let dir = context(&kelp, "context", &[("out -> ../secret", ""), ("etc -> /etc", ""), ("dir/up -> ../../secret", "")]);
    for (line, want) in [
        ("COPY out /x", "out: not found"),
        ("COPY ../secret /x", "secret: not found"),
        ("COPY etc/passwd /x", "etc/passwd: not found"),
        ("ADD out /x", "out: not found"),
        ("RUN --mount=type=bind,source=out,target=/x cat /x", "out"),
    ] {
        fs::write(dir.join("Dockerfile"), format!("FROM busybox\n{line}\n")).unwrap();
        let built = build(&kelp, &dir, &[]);
        built.failure().stderr_has(want);
        assert!(!built.stderr.contains("secret\n#"), "{}", built.stderr);
    }
    // As a link it goes along, and leads where it leads in the container.
    fs::write(dir.join("Dockerfile"), "FROM busybox\nCOPY dir /out\nRUN ! cat /out/up\n").unwrap();
    build(&kelp, &dir, &[]).success();
    assert_eq!(fs::read_to_string(kelp.work().join("secret")).unwrap(), "secret");
}

#[test]
fn mistakes_name_file_and_line() {
    let kelp = Kelp::busybox();
    let dir = context(&kelp, "context", &[("Dockerfile", "FROM busybox\n\nRUM true\n")]);
    build(&kelp, &dir, &[]).failure().stderr_has("Dockerfile:3: unknown instruction: RUM").stderr_has("3 | RUM true").stderr_has("did you mean RUN?");
    fs::write(dir.join("Dockerfile"), "FROM busybox\nRUN for i in $(seq 30); do echo \"line $i\"; done; exit 7\n").unwrap();
    let failed = build(&kelp, &dir, &["--progress", "quiet"]);
    failed.failure().stderr_has("line 30").stderr_has("7");
    assert!(!failed.stderr.contains("line 9\n"), "only the last lines: {}", failed.stderr);
}

#[test]
fn checks_find_and_may_refuse() {
    let kelp = Kelp::busybox();
    let dir = context(&kelp, "context", &[("Dockerfile", "FROM busybox AS Base\nENV A b\nCMD echo $A\n")]);
    let checked = build(&kelp, &dir, &["--check"]);
    checked.code(1).stdout_has("Check complete, 3 warnings have been found!").stdout_has("WARNING: StageNameCasing - ").stdout_has("   2 | >>> ENV A b");
    let built = build(&kelp, &dir, &[]);
    built.success().stderr_has("3 warnings found").stderr_has(" - LegacyKeyValueFormat: ").stderr_has("(line 2)");
    let dockerfile = fs::read_to_string(dir.join("Dockerfile")).unwrap();
    fs::write(dir.join("Dockerfile"), format!("# check=error=true\n{dockerfile}")).unwrap();
    build(&kelp, &dir, &[]).failure().stderr_has("lint violation found for rules: StageNameCasing");
    fs::write(dir.join("Dockerfile"), format!("# check=skip=all;error=true\n{dockerfile}")).unwrap();
    build(&kelp, &dir, &["--check"]).success().stdout("Check complete, no warnings found.\n");
    build(&kelp, &dir, &[]).success();
    // The build argument takes the place of what the file says.
    let checks = |text: &str| ["--build-arg".to_owned(), format!("BUILDKIT_DOCKERFILE_CHECK={text}")];
    let with = |text: &str| build(&kelp, &dir, &checks(text).each_ref().map(String::as_str));
    with("error=true;skip=StageNameCasing").failure().stderr_has("lint violation found for rules: LegacyKeyValueFormat");
    assert!(!with("skip=all").success().stderr.contains("not consumed"));
    with("nonsense").code(125).stderr_has("BUILDKIT_DOCKERFILE_CHECK").stderr_has("skip=RULE");
}

/// The image `localhost/theirs`, made of a context by buildah.
fn by_buildah(kelp: &Kelp, dir: &Path, flags: &[&str]) {
    let store = kelp.open_dir("buildah").display().to_string();
    let (root, run) = (format!("{store}/root"), format!("{store}/run"));
    let storage = ["--root", root.as_str(), "--runroot", run.as_str(), "--storage-driver", "vfs"];
    let archive = kelp.work().join("theirs.tar").display().to_string();
    let limit = std::time::Duration::from_secs(300);
    let buildah = |args: &[&str]| kelp.tool("buildah", storage.iter().chain(args)).limit(limit).output();
    let base = kelp.work().join("base.tar").display().to_string();
    kelp.run(["save", "-o", &base, "busybox"]).success();
    buildah(&["pull", "-q", &format!("docker-archive:{base}")]).success();
    let context = dir.display().to_string();
    let all = ["build", "--isolation", "chroot", "--format", "docker", "-q", "-t", "localhost/theirs"];
    let all: Vec<&str> = all.iter().copied().chain(flags.iter().copied()).chain([context.as_str()]).collect();
    buildah(&all).success();
    buildah(&["push", "-q", "localhost/theirs", &format!("docker-archive:{archive}:localhost/theirs:latest")]).success();
    kelp.load(Path::new(&archive));
    buildah(&["rmi", "-a", "-f"]).success();
}

#[test]
fn the_same_files_as_buildah() {
    needs!("buildah");
    let kelp = Kelp::busybox();
    let dockerfile = "FROM scratch AS files\nCOPY busybox /bin/busybox\nCOPY busybox /bin/sh\nCOPY a /out/a\nCOPY a dir/b /out/two/\nCOPY dir /out/dir\n\
                      COPY --chown=5:6 dir /out/chown/\nCOPY --chmod=0711 a /out/chmod\nCOPY d*/b /out/glob/\nWORKDIR /out/w\nCOPY a .\nADD tree.tar /out/tar/\n\
                      FROM files\nCOPY --from=files /out/chown /out/from\nENV X=$HOME\"y z\"\nLABEL l=m\nEXPOSE 80 90/udp\nVOLUME /v\nUSER 5\nCMD [\"sh\"]\n";
    let dir = context(&kelp, "context", &[("a", "a"), ("dir/b", "b"), ("dir/c/d", "d"), ("dir/l -> b", ""), ("skipped/x", "x"), (".dockerignore", "skipped\n"), ("Dockerfile", dockerfile)]);
    fs::copy("/bin/busybox", dir.join("busybox")).unwrap();
    for (path, mode) in [("a", 0o640), ("dir/b", 0o755), ("dir/c", 0o755), ("dir/c/d", 0o600), ("dir", 0o755), ("busybox", 0o755)] {
        fs::set_permissions(dir.join(path), PermissionsExt::from_mode(mode)).unwrap();
    }
    let tar = crate::support::Layer::new().dir("t", 0o700).file("t/f", 0o604, "f").link("t/l", "f").finish();
    fs::write(dir.join("tree.tar"), tar).unwrap();
    let ours = id(&build(&kelp, &dir, &[]));
    by_buildah(&kelp, &dir, &[]);
    let list = |image: &str| {
        let script = format!("busybox() {{ /bin/busybox \"$@\"; }}; for c in find sort stat readlink; do eval \"$c() {{ /bin/busybox $c \\\"\\$@\\\"; }}\"; done; {LISTING}");
        kelp.ok(["run", "--rm", "--network", "none", "--user", "0", image, "/bin/sh", "-c", &script])
    };
    let theirs = list("localhost/theirs");
    assert!(theirs.lines().count() > 15, "{theirs}");
    assert_eq!(list(&ours), theirs);
    let config = |image: &str| kelp.ok(["image", "inspect", "--format", "{{json .Config.Env}} {{json .Config.Labels}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.User}} {{json .Config.Cmd}} {{.Config.WorkingDir}}", image]);
    let (mine, other) = (config(&ours), config("localhost/theirs"));
    for part in ["\"X=", "80/tcp", "90/udp", "\"/v\"", "/out/w"] {
        assert!(mine.contains(part) && other.contains(part), "{part}: {mine} {other}");
    }
}

#[test]
fn the_same_steps_as_buildah() {
    needs!("buildah");
    let kelp = Kelp::busybox();
    let dockerfile = "ARG TAG=latest\nFROM busybox:$TAG AS made\nARG WHO=nobody\nENV A=1 B=\"two words\" C=${WHO:-x}\nWORKDIR /out/w\n\
                      RUN echo \"$A $B $C\" > env && mkdir -p d/e && ln -s env l && chmod 640 env && chown 3:4 d/e && rm /bin/vi && ln env h\n\
                      RUN [\"sh\", \"-c\", \"pwd > pwd\"]\nSHELL [\"/bin/sh\", \"-ec\"]\nRUN echo ${0} > shell; umask > umask\n\
                      COPY . /out/all/\nCOPY --chown=7:8 one/*.txt two.txt /out/some/\nRUN rm -r /out/all/one && echo again > /out/all/one\n\
                      FROM made\nUSER 5:6\nCOPY --from=made /out/w/env /out/env\nCOPY --from=0 /out/some /out/more\nENTRYPOINT [\"cat\"]\nCMD [\"/out/env\"]\n\
                      STOPSIGNAL SIGINT\nHEALTHCHECK --interval=7s --retries=2 CMD true\nLABEL one=1 two=\"a b\"\nEXPOSE 53/udp 8000\nVOLUME [\"/data\"]\n\
                      ONBUILD RUN echo built\nSHELL [\"/bin/sh\", \"-c\"]\n";
    let ignore = "# not these\n*.log\n!keep.log\n**/tmp\nsub/*/x\n/deep/only\nbuild/\nDockerfile\n";
    let dir = context(&kelp, "steps", &[
        ("Dockerfile", dockerfile), (".dockerignore", ignore), ("one/a.txt", "a"), ("one/b.txt", "b"), ("one/c.md", "c"), ("two.txt", "2"), ("x.log", ""),
        ("keep.log", ""), ("one/y.log", "y"), ("one/tmp/z", ""), ("tmp/z", ""), ("sub/q/x", ""), ("sub/q/y", ""), ("sub/q/r/x", ""), ("deep/only", ""),
        ("one/deep/only", ""), ("build/b", ""), ("one/build/b", ""),
    ]);
    let ours = id(&build(&kelp, &dir, &["--build-arg", "WHO=me"]));
    by_buildah(&kelp, &dir, &["--build-arg", "WHO=me"]);
    let list = |image: &str| {
        let script = format!("{LISTING}; cat /out/w/env /out/w/pwd /out/w/umask /out/all/one; test -e /bin/vi || echo gone; stat -c %h /out/w/env");
        kelp.ok(["run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "sh", image, "-c", &script])
    };
    let theirs = list("localhost/theirs");
    assert!(theirs.contains("1 two words me") && theirs.contains("gone") && theirs.lines().count() > 25, "{theirs}");
    assert_eq!(list(&ours), theirs);
    let fields = [
        "{{json .Config.Entrypoint}} {{json .Config.Cmd}} {{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}}",
        "{{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{json .Config.OnBuild}} {{json .Config.Healthcheck}}",
        "{{index .Config.Labels \"one\"}} {{index .Config.Labels \"two\"}}",
    ];
    for field in fields {
        let of = |image: &str| kelp.ok(["image", "inspect", "--format", field, image]);
        assert_eq!(of(&ours), of("localhost/theirs"), "{field}");
    }
    let env = |image: &str| kelp.ok(["image", "inspect", "--format", "{{range .Config.Env}}{{println .}}{{end}}", image]);
    for variable in ["A=1", "B=two words", "C=me"] {
        assert!(env(&ours).lines().any(|line| line == variable) && env("localhost/theirs").lines().any(|line| line == variable), "{variable}");
    }
}
