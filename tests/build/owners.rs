//! Whose files are that a build makes: the same for a user with subordinate ids and for one without, over either driver.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::needs;
use crate::support::{Kelp, Output, host_has};

fn write(kelp: &Kelp, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = kelp.work().join("ctx").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

/// A user, with all his ids or with one.
fn user(single: bool) -> Kelp {
    let kelp = Kelp::new();
    if single {
        fs::create_dir_all(kelp.config()).unwrap();
        fs::write(kelp.config().join("config.toml"), "[containers]\nsubordinate-ids = false\n").unwrap();
    }
    kelp.load(&crate::support::image::busybox_archive());
    kelp
}

fn build(kelp: &Kelp, driver: &str, flags: &[&str]) -> Output {
    let mut args = vec!["--storage-driver", driver, "build", "--progress", "plain", "--network", "none", "--timestamp", "1000"];
    args.extend(flags);
    args.push("ctx");
    kelp.run(args)
}

/// The ways to build: single-id mode or not, and the driver.
fn ways() -> Vec<(bool, &'static str)> {
    let mut ways = vec![(false, "overlay"), (true, "overlay")];
    if host_has(&["fuse"]) {
        ways.extend([(false, "fuse"), (true, "fuse")]);
    }
    ways
}

/// Mode, owner and name of what is in the directories of an image's files that tests make.
fn listed(kelp: &Kelp, driver: &str) -> Vec<String> {
    build(kelp, driver, &["-o", "type=tar,dest=files.tar"]).success();
    let tar = kelp.work().join("files.tar").display().to_string();
    let shown = kelp.tool("/bin/busybox", ["tar", "tvf", &tar]).output().success().text();
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        (words.len() > 5 && ["t/", "linked/"].iter().any(|top| words[5].starts_with(top))).then(|| format!("{} {} {}", words[0], words[1], words[5]))
    };
    let mut lines: Vec<String> = shown.lines().filter_map(line).collect();
    lines.sort_by(|a, b| a.split(' ').nth(2).cmp(&b.split(' ').nth(2)));
    lines
}

const BASE: &str = "\
FROM busybox AS base
RUN echo dan:x:1000:1000::/:/bin/sh >> /etc/passwd && echo dan:x:1000: >> /etc/group && echo staff:x:50: >> /etc/group && mkdir /t
";

/// Every way to set an owner.
const COPIES: &str = "\
FROM base AS one
RUN mkdir /d && echo x > /d/f && chown 7:8 /d/f && ln -s f /d/m && chown -h 5:6 /d/m && mkdir /d/s && chown 3:4 /d/s && \\
    echo u > /d/u && chown 3:3 /d/u && chmod 4755 /d/u && mkfifo /d/p && chown 11:12 /d/p
RUN mkdir /d/later
FROM base
COPY --from=one --chown=dan:staff /d /t/named
COPY --from=one /d /t/kept
COPY --from=one --chown=0:0 /d /t/root
COPY --chown=9:9 c /t/context
COPY --chown=4:5 c /t/kept
COPY --from=one --link --chown=dan:50 --chmod=700 /d/u /linked/u
COPY --from=one /d /t/twice
COPY --from=one /d/f /t/twice/u
ADD --chown=9:9 pack.tgz /t/added/
ADD --chown=dan pack.tgz /t/new/below/
ADD pack.tgz /t/packed/
WORKDIR /t/work
COPY --chown=dan f /t/work/f
COPY --chown=dan f /t/made/for/
COPY --chown=dan <<EOF /t/inline
text
EOF
RUN mkdir /t/run && chown 1000 /t/run && mkdir /t/run/below && touch /t/run/below/f && echo more >> /t/named/f
";

const LISTED: &str = "\
drwxr-xr-x 1000/50 linked/
-rwx------ 1000/50 linked/u
drwxr-xr-x 0/0 t/
drwxr-xr-x 9/9 t/added/
drwxr-xr-x 9/9 t/added/dir/
-rwsr-xr-x 9/9 t/added/in
lrwxrwxrwx 9/9 t/added/link
drwxr-xr-x 9/9 t/context/
-rwsr-xr-x 9/9 t/context/f
lrwxrwxrwx 9/9 t/context/l
prw-r--r-- 9/9 t/context/p
-rw-r--r-- 1000/1000 t/inline
drwxr-xr-x 0/0 t/kept/
-rwsr-xr-x 4/5 t/kept/f
lrwxrwxrwx 4/5 t/kept/l
drwxr-xr-x 0/0 t/kept/later/
lrwxrwxrwx 5/6 t/kept/m
prw-r--r-- 4/5 t/kept/p
drwxr-xr-x 3/4 t/kept/s/
-rwsr-xr-x 3/3 t/kept/u
drwxr-xr-x 1000/1000 t/made/
drwxr-xr-x 1000/1000 t/made/for/
-rw-r--r-- 1000/1000 t/made/for/f
drwxr-xr-x 1000/50 t/named/
-rw-r--r-- 1000/50 t/named/f
drwxr-xr-x 1000/50 t/named/later/
lrwxrwxrwx 1000/50 t/named/m
prw-r--r-- 1000/50 t/named/p
drwxr-xr-x 1000/50 t/named/s/
-rwsr-xr-x 1000/50 t/named/u
drwxr-xr-x 1000/1000 t/new/
drwxr-xr-x 1000/1000 t/new/below/
drwxr-xr-x 1000/1000 t/new/below/dir/
-rwsr-xr-x 1000/1000 t/new/below/in
lrwxrwxrwx 1000/1000 t/new/below/link
drwxr-xr-x 0/0 t/packed/
drwxr-xr-x 33/44 t/packed/dir/
-rwsr-xr-x 33/44 t/packed/in
lrwxrwxrwx 33/44 t/packed/link
drwxr-xr-x 0/0 t/root/
-rw-r--r-- 0/0 t/root/f
drwxr-xr-x 0/0 t/root/later/
lrwxrwxrwx 0/0 t/root/m
prw-r--r-- 0/0 t/root/p
drwxr-xr-x 0/0 t/root/s/
-rwsr-xr-x 0/0 t/root/u
drwxr-xr-x 1000/0 t/run/
drwxr-xr-x 0/0 t/run/below/
-rw-r--r-- 0/0 t/run/below/f
drwxr-xr-x 0/0 t/twice/
-rw-r--r-- 7/8 t/twice/f
drwxr-xr-x 0/0 t/twice/later/
lrwxrwxrwx 5/6 t/twice/m
prw-r--r-- 11/12 t/twice/p
drwxr-xr-x 3/4 t/twice/s/
-rw-r--r-- 7/8 t/twice/u
drwxr-xr-x 0/0 t/work/
-rw-r--r-- 1000/1000 t/work/f";

/// What [`COPIES`] copies: modes, a link, a pipe, an archive with owners of its own.
fn copies_context(kelp: &Kelp) {
    write(kelp, &[("Dockerfile", &format!("{BASE}{COPIES}")), ("c/f", "f\n"), ("f", "f\n"), ("pack/in", "in\n"), ("pack/dir/.keep", "")]);
    let ctx = kelp.work().join("ctx");
    let mode = |path: &str, mode| fs::set_permissions(ctx.join(path), PermissionsExt::from_mode(mode)).unwrap();
    fs::remove_file(ctx.join("pack/dir/.keep")).unwrap();
    for (path, bits) in [("c", 0o755), ("c/f", 0o4755), ("f", 0o644), ("pack/in", 0o4755), ("pack/dir", 0o755)] {
        mode(path, bits);
    }
    symlink("f", ctx.join("c/l")).unwrap();
    symlink("in", ctx.join("pack/link")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, ctx.join("c/p"), rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o644), 0).unwrap();
    mode("c/p", 0o644);
    let args = ["--owner=33", "--group=44", "--mtime=@1", "--sort=name", "-C", "pack", "-czf", "pack.tgz", "dir", "in", "link"];
    assert!(std::process::Command::new("tar").args(args).current_dir(&ctx).status().unwrap().success());
}

#[test]
fn copied_and_added_files_are_whose_they_should_be() {
    needs!("userns", "busybox");
    let mut images = Vec::new();
    for (single, driver) in ways() {
        let kelp = user(single);
        copies_context(&kelp);
        assert_eq!(listed(&kelp, driver).join("\n"), LISTED, "one id: {single}, {driver}");
        // In a directory of the caller they are his, as he makes them himself.
        build(&kelp, driver, &["-o", "type=local,dest=out"]).success();
        for (path, bits) in [("out/t/named/u", 0o755), ("out/linked/u", 0o700), ("out/t/packed/in", 0o755)] {
            let path = kelp.work().join(path);
            let recorded = rustix::fs::getxattr(&path, "user.containers.override_stat", &mut [0; 64][..]).is_ok();
            assert_eq!((fs::metadata(&path).unwrap().permissions().mode() & 0o7777, recorded), (bits, false), "one id: {single}, {driver}");
        }
        // What programs see is the same as what is exported.
        if single {
            build(&kelp, driver, &["-q", "-t", "made"]).success();
            let look = ["--storage-driver", driver, "run", "--rm", "--network", "none", "--fake-ids", "full", "made", "stat", "-c", "%u:%g %a"];
            let look: Vec<&str> = look.into_iter().chain(["/t/named/u", "/t/root/u", "/t/kept/s", "/t/kept/f"]).collect();
            kelp.run(look).success().stdout("1000:50 4755\n0:0 4755\n3:4 755\n4:5 4755");
        }
        images.push(build(&kelp, driver, &["-q"]).success().text());
    }
    // To the last bit.
    images.dedup();
    assert_eq!(images.len(), 1, "{images:?}");
}

#[test]
fn mounts_belong_to_whom_they_should() {
    needs!("userns", "busybox");
    let dockerfile = format!("{BASE}\
FROM base AS seed
RUN mkdir /s && touch /s/own && chown dan /s/own && chown dan:staff /s && chmod 2770 /s
FROM base
RUN --mount=type=cache,target=/c,uid=1000,gid=50,mode=0700 touch /c/x
RUN --mount=type=secret,id=k,uid=1000,gid=50,mode=0440 cat /run/secrets/k
RUN --mount=type=secret,id=k,uid=1000 cat /run/secrets/k
RUN --mount=type=ssh,uid=1000,gid=50,mode=0600 test -S $SSH_AUTH_SOCK && test -w $SSH_AUTH_SOCK
USER dan
RUN --mount=type=cache,target=/c,uid=1000,gid=50,mode=0700 touch /c/y && stat -c 'cache %u:%g %a' /c
RUN --mount=type=cache,target=/f,from=seed,source=/s touch /f/new && stat -c 'seed %u:%g %a' /f /f/own /f/new
RUN --mount=type=cache,target=/f,from=seed,source=/s,uid=7,mode=0750 stat -c 'other %u:%g %a' /f
RUN --mount=type=secret,id=k,uid=1000,gid=50,mode=0400 cat /run/secrets/k && stat -c 'secret %u:%g %a' /run/secrets/k
RUN --mount=type=ssh,uid=1000,mode=0600 test -S $SSH_AUTH_SOCK
");
    for (single, driver) in ways() {
        let kelp = user(single);
        write(&kelp, &[("Dockerfile", &dockerfile), ("key", "hidden\n")]);
        let socket = kelp.dir().join("agent");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let out = build(&kelp, driver, &["--secret", "id=k,src=ctx/key", "--ssh", &format!("default={}", socket.display())]);
        out.success();
        for want in ["cache 1000:50 700\n", "seed 1000:50 2770\n", "seed 1000:0 644\n", "seed 1000:50 644\n", "other 7:50 750\n"] {
            out.stderr_has(want);
        }
        assert_eq!(out.stderr.matches(" hidden\n").count(), 3, "{}", out.stderr);
        // Before Linux 6.6 memory has no attributes to record it in.
        assert!(out.stderr.contains("secret 1000:50 400\n") || single && !memory_has_attributes(&kelp), "{}", out.stderr);
    }
}

fn memory_has_attributes(kelp: &Kelp) -> bool {
    let script = "touch /t/f && chown 5:6 /t/f && stat -c %u:%g /t/f";
    kelp.run(["run", "--rm", "--network", "none", "--tmpfs", "/t", "--fake-ids", "full", "busybox", "sh", "-c", script]).text().contains("5:6")
}

#[test]
fn programs_of_a_build_see_owners_when_asked_to() {
    needs!("userns", "busybox");
    let kelp = user(true);
    let text = "FROM busybox\nRUN mkdir /t && touch /t/f && chown 3:3 /t/f && chmod 4755 /t/f\nRUN cp -a /t/f /t/g && stat -c 'seen %u:%g' /t/g\n";
    write(&kelp, &[("Dockerfile", text)]);
    build(&kelp, "overlay", &[]).success().stderr_has("seen 0:0\n");
    // Another way of faking is another result.
    build(&kelp, "overlay", &["--fake-ids", "full"]).success().stderr_has("seen 3:3\n");
    let wanted = ["drwxr-xr-x 0/0 t/", "-rwsr-xr-x 3/3 t/f", "-rwsr-xr-x 3/3 t/g"];
    fs::write(kelp.config().join("config.toml"), "[containers]\nsubordinate-ids = false\nfake-ids = \"full\"\n").unwrap();
    assert_eq!(listed(&kelp, "overlay"), wanted);
    build(&kelp, "overlay", &["--fake-ids", "some"]).code(125).stderr_has("use none, basic or full");
}

#[test]
fn files_of_others_in_a_context_are_roots() {
    needs!("userns", "busybox", "fuse");
    let kelp = user(false);
    write(&kelp, &[("Dockerfile", "\
FROM busybox
RUN --mount=type=bind,source=b,target=/b stat -c 'seen %n %u:%g %a' /b /b/f && ! touch /b/new
RUN --mount=type=bind,target=/b,rw echo more >> /b/b/f && stat -c 'seen %n %u:%g' /b/b/f && test ! -e /b/left
"), ("b/f", "f\n"), ("left", ""), (".dockerignore", "left\n")]);
    kelp.ok(["unshare", "chown", "5:6", "ctx/b/f"]);
    let out = build(&kelp, "overlay", &[]);
    out.success().stderr_has("seen /b 0:0 755\n").stderr_has("seen /b/f 0:0 644\n").stderr_has("seen /b/b/f 0:0\n");
    assert_eq!(fs::read(kelp.work().join("ctx/b/f")).unwrap(), b"f\n");
    kelp.ok(["unshare", "rm", "ctx/b/f"]);
}
