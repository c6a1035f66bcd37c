//! What a build is told and asked, and what it tells: Dockerfiles from anywhere, listings, history, metadata, the cache's contents.

use std::fs;

use crate::needs;
use crate::support::files::Files;
use crate::support::{Kelp, Output};

fn context(kelp: &Kelp, dockerfile: &str) {
    fs::create_dir_all(kelp.work().join("ctx")).unwrap();
    fs::write(kelp.work().join("ctx/Dockerfile"), dockerfile).unwrap();
}

fn build(kelp: &Kelp, flags: &[&str]) -> Output {
    let mut args = vec!["build", "--progress", "plain", "--network", "none"];
    args.extend(flags);
    args.push("ctx");
    kelp.run(args)
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn dockerfiles_from_pipes() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "FROM busybox\nRUN false\n");
    fs::write(kelp.work().join("ctx/f"), "x").unwrap();
    let text = "FROM busybox\nCOPY f /f\nRUN echo piped\n";
    let by = |script: &str| {
        let script = format!("build() {{ $K build --progress plain --network none --no-cache \"$@\"; }}; {script}");
        kelp.tool("bash", ["-c", &script]).env("K", crate::support::program()).env("T", text).stdin(text).output()
    };
    by("build -f <(printf %s \"$T\") ctx").success().stderr_has("piped");
    by("build -f /dev/stdin ctx").success().stderr_has("piped");
    by("mkfifo fifo; printf %s \"$T\" >fifo & build -f fifo ctx").success().stderr_has("piped");
    by("build -f /dev/zero ctx").failure().stderr_has("too large");
    by("build -f ctx/.. ctx").failure().stderr_has("directory");
}

#[test]
fn what_a_dockerfile_can_be_told() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ARG BASE=busybox\nFROM $BASE AS base\n# Inst is not it\n# inst does things\nFROM base AS inst\n# WHO is greeted\nARG WHO=you-$BASE\nARG BASE\nARG LIKE=${BASE}-like\n\
                    RUN --mount=type=secret,id=token,required --mount=type=ssh,id=git true\nfrom scratch\n");
    let asked = |call: &str| build(&kelp, &["--target", "inst", "--build-arg", "BASE=box", "--call", call]);
    let text = asked("outline").success().text();
    let lines: Vec<String> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    for want in ["TARGET: inst", "DESCRIPTION: does things", "WHO you- is greeted", "LIKE box-like", "SECRET REQUIRED", "token true", "SSH REQUIRED", "git"] {
        assert!(lines.iter().any(|line| line == want), "{want}: {text}");
    }
    let outline = json(&asked("outline,format=json").success().text());
    assert_eq!((&outline["name"], &outline["description"], &outline["secrets"][0]["name"]), (&"inst".into(), &"does things".into(), &"token".into()));
    let targets = json(&asked("targets,format=json").success().text());
    assert_eq!((&targets["targets"][1]["description"], &targets["targets"][2]["default"]), (&"does things".into(), &true.into()));
    let checked = asked("check,format=json");
    let warnings = json(&checked.failure().text());
    assert!(warnings["warnings"].as_array().unwrap().iter().any(|warning| warning["ruleName"] == "ConsistentInstructionCasing"), "{warnings}");
    asked("outline,format=xml").failure().stderr_has("format=json");
}

#[test]
fn words_that_cannot_be_read_stop_a_build_before_its_first_step() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    for line in ["COPY \"f /x", "COPY f '/x", "WORKDIR ${a", "ENV A=\"b", "USER ${a!b}"] {
        context(&kelp, &format!("FROM busybox\nRUN echo ran\n{line}\n"));
        let out = build(&kelp, &["--no-cache"]);
        assert!(!out.failure().stderr_has("Dockerfile:3").stderr.contains("RUN echo"), "{line}: {}", out.stderr);
    }
    // What variables may still set right, and what nobody builds.
    context(&kelp, "FROM busybox AS other\nCOPY \"f /x\nFROM busybox\nENV A=1\nUSER ${A:?must be set}\nRUN true\n");
    build(&kelp, &[]).success();
}

#[test]
fn history_tells_of_arguments() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ARG UP=up\nFROM busybox\nARG WHO=you UP\nRUN true\nARG NONE\nRUN [\"true\"]\n");
    build(&kelp, &["-t", "told", "--build-arg", "WHO=me", "--metadata-file", "m.json", "-o", "type=oci,dest=o.tar", "-o", "type=image"]).success();
    let history = kelp.ok(["history", "--no-trunc", "--format", "{{.CreatedBy}}", "told"]);
    let lines: Vec<&str> = history.lines().take(4).collect();
    assert_eq!(lines, ["RUN |3 WHO=me UP=up NONE= true", "ARG NONE", "RUN |2 WHO=me UP=up /bin/sh -c true", "ARG WHO=me UP=up"]);
    let about = json(&fs::read_to_string(kelp.work().join("m.json")).unwrap());
    let index = kelp.tool("tar", ["xOf", "o.tar", "index.json"]).output().success().text();
    let (described, listed) = (&about["containerimage.descriptor"], &json(&index)["manifests"][0]);
    for field in ["digest", "size", "mediaType"] {
        assert_eq!(described[field], listed[field], "{field}");
    }
}

#[test]
fn a_download_without_a_name_gets_one() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let files = Files::serve(&kelp.work());
    files.put("", "", "top");
    files.put("d/", "", "dir");
    context(&kelp, &format!("FROM busybox\nADD {} {} /got/\nRUN cat /got/__unnamed__ /got/d\n", files.url(""), files.url("d/")));
    build(&kelp, &[]).success().stderr_has("topdir");
}

#[test]
fn parts_of_the_cache() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "FROM busybox\nRUN --mount=type=cache,target=/c echo x > /c/x\nRUN echo one > /one\nRUN echo two > /two\n");
    build(&kelp, &["-o", "type=local,dest=out"]).success();
    let all = |filters: &[&str]| {
        let args = ["builder", "du"].into_iter().chain(filters.iter().flat_map(|filter| ["--filter", *filter]));
        kelp.ok(args).lines().filter(|line| line.contains("RUN") || line.contains("cache mount")).count()
    };
    assert_eq!((all(&[]), all(&["type=regular"]), all(&["type=exec.cachemount"]), all(&["type=source.local"])), (4, 3, 1, 0));
    assert_eq!((all(&["description=/one"]), all(&["shared=true"]), all(&["until=1h"])), (1, 0, 0));
    let id = kelp.ok(["builder", "du", "--filter", "description=echo two", "--verbose"]);
    let id = id.lines().find_map(|line| line.strip_prefix("ID:\t")).unwrap().to_owned();
    kelp.run(["builder", "prune", "-f", "--filter", &format!("id={}", &id[..12])]).success();
    assert_eq!((all(&[]), all(&["description=echo two"])), (3, 0));
    kelp.run(["builder", "prune", "-f", "--filter", "type=exec.cachemount"]).success();
    assert_eq!((all(&["type=regular"]), all(&["type=exec.cachemount"])), (2, 0));
    kelp.run(["builder", "du", "--filter", "x=y"]).failure().stderr_has("use id");
    kelp.run(["builder", "prune", "-f", "--filter", "type=other"]).failure().stderr_has("exec.cachemount");
}
