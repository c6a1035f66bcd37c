//! Names in an image that is being built: links on the way, and what no layer can hold.

use std::fs;

use crate::needs;
use crate::support::{Kelp, Output};

fn build(kelp: &Kelp, dockerfile: &str, flags: &[&str]) -> Output {
    fs::create_dir_all(kelp.work().join("ctx")).unwrap();
    fs::write(kelp.work().join("ctx/Dockerfile"), dockerfile).unwrap();
    let mut args = vec!["build", "--progress", "plain", "--network", "none"];
    args.extend(flags);
    args.push("ctx");
    kelp.run(args)
}

/// Makes directories inside each other, of 200 characters each: half of them, and the others moved into those, since no
/// shell goes to a path that is longer than one call takes.
fn nest(deep: usize) -> String {
    let half = deep / 2;
    format!(
        "n=$(printf %0200d 0); for top in a b; do p=$top; i=0; while [ $i -lt {half} ]; do p=$p/$n; i=$((i+1)); done; \
         mkdir -p $p || exit; [ $top = b ] || a=$p; done; echo x > $p/f && mv b $a/"
    )
}

#[test]
fn paths_too_long_for_a_layer_are_refused_where_they_are_made() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let deep = |dir: &str, levels| {
        kelp.tool("sh", ["-c", &format!("mkdir -p {dir} && cd {dir} && {}", nest(levels))]).output().success();
    };
    deep("ctx/long", 30);
    build(&kelp, "FROM busybox\nCOPY . /x/\n", &[]).failure().stderr_has("none longer than").stderr_has("Dockerfile:2");
    build(&kelp, &format!("FROM busybox\nRUN {}\n", nest(30)), &[]).failure().stderr_has("none longer than").stderr_has("Dockerfile:2");
    // Those that fit travel.
    fs::remove_dir_all(kelp.work().join("ctx/long")).unwrap();
    deep("ctx/long", 20);
    build(&kelp, "FROM busybox\nCOPY . /x/\n", &["-t", "fits"]).success();
    kelp.ok(["save", "-o", "fits.tar", "fits"]);
    let other = Kelp::new();
    other.load(&kelp.work().join("fits.tar"));
    assert_eq!(other.ok(["run", "--rm", "--network", "none", "fits", "sh", "-c", "cat $(find /x -name f)"]), "x");
    // Of a container as well.
    kelp.run(["run", "--name", "c", "--network", "none", "busybox", "sh", "-c", &nest(30)]).success();
    kelp.run(["commit", "c", "deep"]).failure().stderr_has("none longer than");
}

#[test]
fn names_that_would_delete_others_are_refused_where_they_are_made() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    fs::create_dir_all(kelp.work().join("ctx/sub")).unwrap();
    fs::write(kelp.work().join("ctx/sub/.wh.bin"), "").unwrap();
    build(&kelp, "FROM busybox\nCOPY sub /\n", &[]).failure().stderr_has(".wh.bin").stderr_has("Dockerfile:2");
    build(&kelp, "FROM busybox\nRUN touch /.wh.bin\n", &[]).failure().stderr_has(".wh.bin").stderr_has("Dockerfile:2");
    // What is really deleted is no such name.
    build(&kelp, "FROM busybox\nRUN rm /bin/vi\nRUN test ! -e /bin/vi\n", &[]).success();
}

#[test]
fn links_to_what_is_not_there_yet_are_followed_inside() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let canary = kelp.work().join("canary");
    let base = format!(
        "FROM busybox\nRUN ln -s /nonexist/dir /dang && ln -s ../../../out/./there /up && mkdir /a && ln -s ../b/../b/c /a/rel && ln -s two /one && \
         ln -s one /two && ln -s {} /host && ln -s /bin/sh/x /file\n",
        canary.display()
    );
    fs::create_dir_all(kelp.work().join("ctx")).unwrap();
    fs::write(kelp.work().join("ctx/f"), "x").unwrap();
    fs::write(kelp.work().join("ctx/pack.tar"), crate::support::Layer::new().file("in.txt", 0o640, "packed").finish()).unwrap();
    let text = format!(
        "{base}COPY f /dang/y\nCOPY --chown=3:4 f /up/deep/\nCOPY f /host/y\nADD pack.tar /a/rel/t\nWORKDIR /host/w\nRUN echo w > w\nWORKDIR /a/rel/v\n\
         RUN cat /nonexist/dir/y /out/there/deep/f {0}/y {0}/w/w /b/c/t/in.txt && stat -c %u:%g /out/there/deep && test -d /b/c/v\n",
        canary.display()
    );
    build(&kelp, &text, &[]).success().stderr_has("xxxw").stderr_has("packed").stderr_has("3:4");
    assert!(!canary.exists());
    for last in ["COPY f /one/y", "WORKDIR /one/w", "ADD pack.tar /one/t", "COPY f /file/y", "WORKDIR /file/w"] {
        build(&kelp, &format!("{base}{last}\n"), &[]).failure().stderr_has("Dockerfile:3");
    }
}
