//! What builds fetch and send: contexts and files from servers, git repositories, caches and images on a registry; what a
//! hostile server cannot do.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::needs;
use crate::support::files::Files;
use crate::support::image::digest;
use crate::support::registry::Registry;
use crate::support::{Kelp, Output};

fn context(kelp: &Kelp, name: &str, files: &[(&str, &str)]) {
    for (path, content) in files {
        let path = kelp.work().join(name).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn build(kelp: &Kelp, context: &str, flags: &[&str]) -> Output {
    let mut args = vec!["build", "--progress", "plain", "--network", "none", "--tls-verify=false"];
    args.extend(flags);
    args.push(context);
    kelp.run(args)
}

fn cached(output: &Output) -> usize {
    output.stderr.lines().filter(|line| line.ends_with(" CACHED")).count()
}

fn sh(kelp: &Kelp, image: &str, script: &str) -> String {
    kelp.ok(["run", "--rm", "--network", "none", image, "sh", "-c", script])
}

fn git(dir: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(dir)
        .args(["-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_COMMITTER_DATE", "@1000000000 +0000")
        .env("GIT_AUTHOR_DATE", "@1000000000 +0000")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A repository `www/repo.git` that a server of plain files can offer: tag `v1`, branches `main` and `next`. Returns the
/// commit of `v1`.
fn repository(kelp: &Kelp) -> String {
    let repo = kelp.work().join("repo");
    context(kelp, "repo", &[("sub/Dockerfile", "FROM busybox\nCOPY f /f\n"), ("sub/f", "one"), ("top", "top")]);
    symlink("/etc", repo.join("way")).unwrap();
    symlink("../..", repo.join("sub/up")).unwrap();
    git(&repo, &["init", "-q"]);
    git(&repo, &["add", "-A"]);
    git(&repo, &["commit", "-qm", "1"]);
    git(&repo, &["tag", "-am", "one", "v1"]);
    let commit = git(&repo, &["rev-parse", "HEAD"]);
    fs::write(repo.join("sub/f"), "two").unwrap();
    git(&repo, &["commit", "-qam", "2"]);
    git(&repo, &["checkout", "-qb", "next"]);
    fs::write(repo.join("sub/f"), "three").unwrap();
    git(&repo, &["commit", "-qam", "3"]);
    git(&repo, &["checkout", "-q", "main"]);
    let bare = kelp.work().join("www/repo.git");
    fs::create_dir_all(bare.parent().unwrap()).unwrap();
    git(&kelp.work(), &["clone", "-q", "--bare", "repo", "www/repo.git"]);
    git(&bare, &["update-server-info"]);
    commit
}

#[test]
fn git_repositories() {
    needs!("userns", "busybox", "git");
    let kelp = Kelp::busybox();
    let commit = repository(&kelp);
    let files = Files::serve(&kelp.work().join("www"));
    let url = files.url("repo.git");
    for (tail, want) in [
        ("#:sub", "two"),
        ("#v1:sub", "one"),
        ("#next:sub", "three"),
        ("?branch=next&subdir=sub", "three"),
        ("?tag=v1&subdir=sub", "one"),
        (&format!("?ref=v1&checksum={}&subdir=sub", &commit[..12]), "one"),
    ] {
        build(&kelp, &format!("{url}{tail}"), &["-t", "app"]).success();
        assert_eq!(sh(&kelp, "app", "cat /f"), want, "{tail}");
    }
    // Modes are the repository's, whoever builds: of a context and of what is added.
    for mask in ["077", "0", "022"] {
        let script = format!("umask {mask}; exec $K build --progress plain --network none --no-cache -f - '{url}#v1:sub'");
        let text = format!("FROM busybox\nCOPY . /ctx\nADD {url}#v1 /add\nRUN stat -c '%n %a' /ctx /ctx/f /add/sub /add/top /etc/hosts\n");
        let out = kelp.tool("sh", ["-c", &script]).env("K", crate::support::program()).stdin(text).output();
        out.success();
        for want in ["/ctx 755", "/ctx/f 644", "/add/sub 755", "/add/top 644", "/etc/hosts 644"] {
            out.stderr_has(want);
        }
    }
    build(&kelp, &format!("{url}?branch=next&commit={commit}&subdir=sub"), &[]).failure().stderr_has("checksum mismatch");
    build(&kelp, &format!("{url}#nothing"), &[]).failure().stderr_has("repo.git#nothing");
    // CVE-2026-33748: a directory that is a link leads nowhere.
    for tail in ["#v1:way", "#v1:sub/up", "#v1:../..", "?ref=v1&subdir=way"] {
        build(&kelp, &format!("{url}{tail}"), &[]).failure();
    }
    let text = "FROM busybox\nCOPY . /ctx\nRUN test -d /ctx/.git\n";
    let kept = |value: &str| {
        let arg = format!("BUILDKIT_CONTEXT_KEEP_GIT_DIR={value}");
        let address = format!("{url}#v1");
        kelp.tool(crate::support::program(), ["build", "--network", "none", "--build-arg", &arg, "-f", "-", &address]).stdin(text).output()
    };
    kept("1").success();
    kept("0").failure().stderr_has("exit code: 1");
    // As files of an instruction.
    let text = format!(
        "FROM busybox\nADD {url}#v1 /plain\nADD --keep-git-dir=true {url}#v1:sub /kept\nADD --checksum={commit} {url}#v1 /checked\n\
         ADD {url}?tag=v1&subdir=sub&mtime=commit /dated/\n\
         RUN cat /plain/sub/f /kept/f && test ! -e /plain/.git && stat -c %Y /dated/f && test \"$(readlink /plain/way)\" = /etc\n"
    );
    context(&kelp, "ctx", &[("Dockerfile", &text)]);
    let built = build(&kelp, "ctx", &["-t", "added"]);
    built.success().stderr_has("oneone").stderr_has("1000000000");
    context(&kelp, "ctx", &[("Dockerfile", &text.replace(&commit, &"0".repeat(40)))]);
    build(&kelp, "ctx", &[]).failure().stderr_has("checksum mismatch");
    // The commit's time, for a build that is to come out the same everywhere.
    let dated = build(&kelp, &format!("{url}#v1:sub"), &["--build-arg", "SOURCE_DATE_EPOCH=context", "-t", "dated"]);
    dated.success();
    assert!(kelp.ok(["image", "inspect", "--format", "{{.Created}}", "dated"]).starts_with("2001-09-09"));
    // CVE-2023-26054: what is secret in an address is in no output.
    let secret = format!("http://user:s3cr3t@{}/none.git", files.host());
    let refused = build(&kelp, &secret, &[]);
    refused.failure();
    assert!(!refused.stderr.contains("s3cr3t"), "{}", refused.stderr);
    context(&kelp, "ctx", &[("Dockerfile", &format!("FROM busybox\nADD http://user:s3cr3t@{}/repo.git#v1 /r\n", files.host()))]);
    let with_secret = build(&kelp, "ctx", &["-t", "secret"]);
    with_secret.success();
    let history = kelp.ok(["history", "--no-trunc", "secret"]) + &kelp.ok(["builder", "du", "--verbose"]);
    assert!(!with_secret.stderr.contains("s3cr3t") && !history.contains("s3cr3t"), "{}{history}", with_secret.stderr);
}

#[test]
fn downloads() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "www", &[("plain.txt", "plain")]);
    let files = Files::serve(&kelp.work().join("www"));
    let tar = crate::support::Layer::new().file("in.txt", 0o640, "packed").finish();
    fs::write(kelp.work().join("www/pack.tar"), &tar).unwrap();
    files.put("dated", "Last-Modified: Sun, 09 Sep 2001 01:46:40 GMT\r\n", "d");
    files.put("named", "Content-Disposition: attachment; filename=\"../../evil\"\r\n", "n");
    let url = |path: &str| files.url(path);
    let text = format!(
        "FROM busybox\nADD {} /d/\nADD {} /renamed\nADD --checksum={} {} /kept/\nADD --unpack --checksum={} {} /open/\n\
         ADD {} {} /d/\nADD --chmod=755 --chown=3:4 {} /mine\n\
         RUN cat /d/plain.txt /renamed /open/in.txt; ls /kept; stat -c '%a %u:%g' /d/plain.txt /mine; stat -c %Y /d/dated; ls /d; test ! -e /evil\n",
        url("plain.txt"), url("plain.txt"), digest(&tar), url("pack.tar"), digest(&tar), url("pack.tar"), url("dated"), url("named"), url("plain.txt")
    );
    context(&kelp, "ctx", &[("Dockerfile", &text)]);
    let built = build(&kelp, "ctx", &[]);
    built.success();
    for want in ["plainplainpackedpack.tar", "600 0:0", "755 3:4", "1000000000", " named"] {
        built.stderr_has(want);
    }
    assert!(!kelp.dir().join("evil").exists() && !kelp.work().join("evil").exists());
    // The same content is the same step; other content is another.
    assert_eq!(cached(&build(&kelp, "ctx", &[])), 7);
    context(&kelp, "www", &[("plain.txt", "other")]);
    assert_eq!(cached(&build(&kelp, "ctx", &[])), 0);
    // A checksum that is wrong, on the command's own word; one that a cache knows needs no server.
    context(&kelp, "ctx", &[("Dockerfile", &format!("FROM busybox\nADD --checksum=sha256:{} {} /x\n", "0".repeat(64), url("pack.tar")))]);
    build(&kelp, "ctx", &[]).failure().stderr_has("checksum mismatch");
    context(&kelp, "ctx", &[("Dockerfile", &format!("FROM busybox\nADD --checksum={} {} /x\n", digest(&tar), url("pack.tar")))]);
    build(&kelp, "ctx", &[]).success();
    let asked = files.asked().len();
    assert_eq!(cached(&build(&kelp, "ctx", &[])), 1);
    assert_eq!(files.asked().len(), asked, "a known checksum is not fetched again");
    build(&kelp, "ctx", &["--build-arg", "x", "-f", &url("none")]).failure().stderr_has("404");
}

#[test]
fn archives_as_contexts() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let outside = kelp.work().join("outside");
    fs::write(&outside, "mine").unwrap();
    let files = Files::serve(&kelp.work());
    let good = crate::support::Layer::new()
        .file("Dockerfile", 0o644, "FROM busybox\nCOPY --exclude=.wh.* . /all\nCOPY .wh.x /all/plain\nRUN cat /all/kept /all/plain; test ! -e /all/skipped\n")
        .file("kept", 0o644, "kept")
        .file("skipped", 0o644, "")
        .file(".wh.x", 0o644, "plain file")
        .file(".dockerignore", 0o644, "skipped\n")
        .finish();
    fs::write(kelp.work().join("good.tar"), &good).unwrap();
    build(&kelp, &files.url("good.tar"), &[]).success().stderr_has("keptplain file");
    // CVE-2026-44517, CVE-2026-33747: names and links of a hostile archive.
    for (name, link) in [("../outside", ""), ("/outside", ""), ("way/outside", ".."), ("way/outside", &*kelp.work().display().to_string())] {
        let mut layer = crate::support::Layer::new().file("Dockerfile", 0o644, "FROM busybox\nCOPY . /all\n");
        if !link.is_empty() {
            layer = layer.link("way", link);
        }
        fs::write(kelp.work().join("bad.tar"), layer.file(name, 0o644, "theirs").finish()).unwrap();
        build(&kelp, &files.url("bad.tar"), &["--jobs", "8"]);
        assert_eq!(fs::read_to_string(&outside).unwrap(), "mine", "{name} {link}");
        assert!(!Path::new("/outside").exists());
    }
    // A Dockerfile that is a link, in a context of strangers.
    let linked = crate::support::Layer::new().link("Dockerfile", &outside.display().to_string()).finish();
    fs::write(kelp.work().join("linked.tar"), linked).unwrap();
    let refused = build(&kelp, &files.url("linked.tar"), &[]);
    refused.failure();
    assert!(!refused.stderr.contains("mine"), "{}", refused.stderr);
    // A Dockerfile by itself.
    context(&kelp, ".", &[("alone", "FROM busybox\nRUN echo by itself\n")]);
    build(&kelp, &files.url("alone"), &[]).success().stderr_has("by itself");
}

#[test]
fn named_contexts() {
    needs!("userns", "busybox", "git");
    let kelp = Kelp::busybox();
    repository(&kelp);
    let tar = crate::support::Layer::new().file("packed", 0o644, "packed").finish();
    fs::write(kelp.work().join("www/pack.tar"), tar).unwrap();
    let files = Files::serve(&kelp.work().join("www"));
    context(&kelp, "more", &[("here", "here"), ("not", "x"), (".dockerignore", "not\n")]);
    kelp.ok(["push", "-q", "busybox", "oci:layout:latest"]);
    let text = "FROM base AS own\nRUN echo own > /own\nFROM busybox\nCOPY --from=dir . /dir\nCOPY --from=git sub/f /git\nCOPY --from=tar packed /tar\n\
                COPY --from=stage /own /own\nCOPY --from=image /bin/sh /image\n\
                RUN --mount=type=bind,from=dir,target=/m cat /m/here /git /tar /own && test ! -e /dir/not && test -e /image\n";
    context(&kelp, "ctx", &[("Dockerfile", text)]);
    let (git, tar) = (format!("git={}#v1", files.url("repo.git")), format!("tar={}", files.url("pack.tar")));
    let flags = ["dir=more", &*git, &*tar, "stage=target:own", "image=docker-image://busybox", "base=oci-layout://layout:latest"];
    let flags: Vec<&str> = flags.iter().flat_map(|flag| ["--build-context", flag]).collect();
    build(&kelp, "ctx", &flags).success().stderr_has("hereonepackedown");
    // An image's name, however it is spelled.
    kelp.ok(["tag", "busybox", "other"]);
    let marked = kelp.file("marked/Dockerfile", "FROM busybox\nRUN touch /marked\n");
    kelp.run(["build", "-q", "--network", "none", "-t", "marked", marked.parent().unwrap().to_str().unwrap()]).success();
    for (asked, given) in [("other:latest", "other"), ("other", "other:latest"), ("docker.io/library/other", "other")] {
        context(&kelp, "ctx", &[("Dockerfile", &format!("FROM {asked}\nRUN test -e /marked\n"))]);
        build(&kelp, "ctx", &["--build-context", &format!("{given}=docker-image://marked")]).success();
    }
}

#[test]
fn images_and_caches_on_a_registry() {
    needs!("userns", "busybox", "registry");
    let kelp = Kelp::busybox();
    let registry = Registry::open();
    context(&kelp, "ctx", &[("Dockerfile", "\
FROM busybox AS made
RUN echo made > /made
FROM busybox
WORKDIR /w
COPY f .
RUN true
COPY --from=made /made /made
"), ("f", "1")]);
    let name = registry.name("team/app");
    let first = build(&kelp, "ctx", &["-t", &format!("{name}:1"), "--push", "--metadata-file", "metadata"]);
    first.success();
    let sent = registry.fetch("team/app/manifests/1");
    assert!(fs::read_to_string(kelp.work().join("metadata")).unwrap().contains(&digest(&sent)));
    build(&kelp, "ctx", &["-o", &format!("type=image,\"name={name}:2,{name}:3\",push=true,compression=zstd")]).success();
    assert!(String::from_utf8_lossy(&registry.fetch("team/app/manifests/3")).contains("+zstd"));
    build(&kelp, "ctx", &["--push"]).failure().stderr_has("--tag");
    build(&kelp, "ctx", &["-t", "127.0.0.1:1/x", "--push"]).failure();
    // Caches, to and from.
    let reference = format!("type=registry,ref={name}:cache");
    build(&kelp, "ctx", &["--cache-to", &reference, "--cache-to", "type=local,dest=all", "--cache-to", "type=local,dest=least,mode=min"]).success();
    let images = kelp.ok(["images", "-q"]);
    for (from, want) in [(&*reference, 5), ("type=local,src=all", 5), ("./all", 5), ("type=local,src=least", 5)] {
        kelp.run(["builder", "prune", "-af"]).success();
        let built = build(&kelp, "ctx", &["--cache-from", from]);
        assert_eq!((cached(&built), built.text()), (want, first.text()), "{from}: {}", built.stderr);
    }
    // With the least, what nothing of the image is made of came without its files: they are made once somebody needs them.
    let changed = fs::read_to_string(kelp.work().join("ctx/Dockerfile")).unwrap() + "COPY --from=made /made /again\n";
    context(&kelp, "more", &[("Dockerfile", &changed), ("f", "1")]);
    kelp.run(["builder", "prune", "-af"]).success();
    let built = build(&kelp, "more", &["-t", "more", "--cache-from", "type=local,src=least", "--cache-to", "type=local,dest=next,mode=min"]);
    built.success();
    assert_eq!(sh(&kelp, "more", "cat /made /again"), "made\nmade");
    for from in ["next", "next"] {
        kelp.run(["builder", "prune", "-af"]).success();
        let again = build(&kelp, "more", &["--cache-from", "./next", "--cache-to", "type=local,dest=next,mode=min"]);
        assert_eq!((cached(&again), again.text()), (6, built.text()), "{from}: {}", again.stderr);
    }
    kelp.ok(["rmi", "more"]);
    // On another machine.
    let other = Kelp::busybox();
    context(&other, "ctx", &[("Dockerfile", &fs::read_to_string(kelp.work().join("ctx/Dockerfile")).unwrap()), ("f", "1")]);
    let built = build(&other, "ctx", &["-t", "app", "--cache-from", &reference]);
    assert_eq!((cached(&built), built.text()), (5, first.text()), "{}", built.stderr);
    assert_eq!(sh(&other, "app", "cat /made /w/f"), "made\n1");
    // What came with the cache can go on from there, and goes with the cache.
    other.ok(["save", "-o", "app.tar", "app"]);
    other.ok(["push", "--tls-verify=false", "app", &registry.name("else/app:1")]);
    build(&other, "ctx", &["--cache-to", "type=local,dest=again"]).success();
    let packed = || {
        let blobs = fs::read_dir(other.data().join("blobs/sha256")).unwrap().flatten();
        blobs.filter(|blob| fs::read(blob.path()).unwrap().starts_with(&[0x1f, 0x8b])).count()
    };
    other.ok(["rmi", "app"]);
    assert_eq!(packed(), 3);
    other.ok(["builder", "prune", "-af"]);
    assert_eq!(packed(), 0);
    other.run(["system", "check"]).success().stdout_has("all is well");
    // Neither the one that is none nor the one that is not there stops a build.
    let built = build(&kelp, "ctx", &["--cache-from", &format!("{name}:1"), "--cache-from", "./nowhere"]);
    built.success().stderr_has("no cache written by kelp").stderr_has("nowhere");
    assert_eq!(kelp.ok(["images", "-q"]), images, "caches leave no images behind");
    build(&kelp, "ctx", &["--cache-to", "type=local,dest=/proc/none"]).failure();
    build(&kelp, "ctx", &["--cache-to", "type=local,dest=/proc/none,ignore-error=true"]).success();
}

#[test]
fn annotations_go_where_the_image_goes() {
    needs!("userns", "busybox", "registry");
    let registry = Registry::open();
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "FROM busybox\nRUN echo 1 > /one\n")]);
    let annotation = |raw: &[u8]| {
        let manifest: serde_json::Value = serde_json::from_slice(raw).unwrap();
        manifest["annotations"]["k"].as_str().unwrap_or_default().to_owned()
    };
    // The content is the same each time.
    for value in ["first", "second", "", "first"] {
        let said = format!("k={value}");
        let to = registry.name("an:1");
        let mut flags = vec!["-t", &to, "--push"];
        if !value.is_empty() {
            flags.extend(["--annotation", &said]);
        }
        build(&kelp, "ctx", &flags).success();
        assert_eq!(annotation(&registry.fetch("an/manifests/1")), value);
    }
    build(&kelp, "ctx", &["-t", "an", "--annotation", "k=third"]).success();
    build(&kelp, "ctx", &["--annotation", "k=third", "-o", "type=oci,dest=built.tar"]).success();
    kelp.ok(["save", "--format", "oci-archive", "-o", "saved.tar", "an"]);
    kelp.ok(["save", "--format", "oci-archive", "--squash", "-o", "squashed.tar", "an"]);
    kelp.ok(["push", "an", "oci-archive:pushed.tar"]);
    let member = |archive: &str, name: &str| {
        Command::new("tar").args(["xOf", archive, name]).current_dir(kelp.work()).output().unwrap().stdout
    };
    for archive in ["built.tar", "saved.tar", "squashed.tar", "pushed.tar"] {
        let index: serde_json::Value = serde_json::from_slice(&member(archive, "index.json")).unwrap();
        let digest = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "/");
        assert_eq!(annotation(&member(archive, &format!("blobs/{digest}"))), "third", "{archive}");
    }
}

#[test]
fn lists_of_platforms() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    context(&kelp, "ctx", &[("Dockerfile", "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY f /\n"), ("f", "x")]);
    for arch in ["amd64", "arm64"] {
        build(&kelp, "ctx", &["--platform", &format!("linux/{arch}"), "--manifest", "all:1"]).success();
    }
    let list = kelp.ok(["manifest", "inspect", "all:1"]);
    assert!(list.contains("\"amd64\"") && list.contains("\"arm64\""), "{list}");
    let both = "linux/amd64,linux/arm64";
    build(&kelp, "ctx", &["--platform", both]).failure().stderr_has("--tag");
    build(&kelp, "ctx", &["--platform", "linux/arm64,", "-t", "one"]).success();
    assert_eq!(kelp.inspect("one", "{{.Architecture}}"), "arm64");
    build(&kelp, "ctx", &["--platform", both, "-t", "x", "-o", "type=docker,dest=x.tar"]).failure().stderr_has("type=oci");
    build(&kelp, "ctx", &["--platform", both, "-o", "out"]).success();
    for platform in ["linux_amd64", "linux_arm64"] {
        assert_eq!(fs::read(kelp.work().join("out").join(platform).join("f")).unwrap(), b"x");
    }
    fs::write(kelp.work().join("id"), "stale").unwrap();
    build(&kelp, "ctx", &["--platform", both, "-t", "two", "--iidfile", "id", "--metadata-file", "meta"]).success();
    let id = fs::read_to_string(kelp.work().join("id")).unwrap();
    assert!(id.starts_with("sha256:") && fs::read_to_string(kelp.work().join("meta")).unwrap().contains(&id), "{id}");
    context(&kelp, "bad", &[("Dockerfile", "FROM scratch\nCOPY none /\n")]);
    build(&kelp, "bad", &["--iidfile", "id"]).failure();
    assert!(!kelp.work().join("id").exists());
    needs!("registry");
    let registry = Registry::open();
    build(&kelp, "ctx", &["--platform", both, "--push", "-t", &registry.name("app:1")]).success();
    let other = Kelp::new();
    for arch in ["amd64", "arm64"] {
        other.run(["pull", "-q", "--tls-verify=false", "--platform", &format!("linux/{arch}"), &registry.name("app:1")]).success();
        assert_eq!(other.ok(["image", "inspect", "--format", "{{.Config.Labels.arch}}", &registry.name("app:1")]), arch);
    }
}

#[test]
fn archives_of_platforms() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let dockerfile = "FROM scratch\nARG TARGETARCH\nLABEL arch=$TARGETARCH\nCOPY f /d/\nCOPY $TARGETARCH /own\n";
    context(&kelp, "ctx", &[("Dockerfile", dockerfile), ("f", "x"), ("amd64", "amd64"), ("arm64", "arm64")]);
    let both = "linux/amd64,linux/arm64";
    let before = kelp.ok(["images", "-aq"]);
    build(&kelp, "ctx", &["--platform", both, "-o", "type=tar,dest=x.tar"]).success().stdout("");
    let mut names: Vec<String> = tar::Archive::new(fs::File::open(kelp.work().join("x.tar")).unwrap())
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    names.sort();
    let expected = ["linux_amd64/", "linux_amd64/d/", "linux_amd64/d/f", "linux_amd64/own", "linux_arm64/", "linux_arm64/d/", "linux_arm64/d/f", "linux_arm64/own"];
    assert_eq!(names, expected);
    let flags = ["--platform", both, "-t", "app:1", "-o", "type=oci,dest=o.tar", "-o", "type=oci,tar=false,dest=layout", "--iidfile", "id"];
    build(&kelp, "ctx", &flags).success();
    // Nothing stays here but the archives.
    assert_eq!(kelp.ok(["images", "-aq"]), before);
    let index: serde_json::Value = serde_json::from_slice(&fs::read(kelp.work().join("layout/index.json")).unwrap()).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["mediaType"], "application/vnd.oci.image.index.v1+json");
    assert_eq!(entries[0]["digest"].as_str().unwrap(), fs::read_to_string(kelp.work().join("id")).unwrap());
    let digest = entries[0]["digest"].as_str().unwrap().replace(':', "/");
    let list: serde_json::Value = serde_json::from_slice(&fs::read(kelp.work().join("layout/blobs").join(digest)).unwrap()).unwrap();
    let archs: Vec<&str> = list["manifests"].as_array().unwrap().iter().map(|entry| entry["platform"]["architecture"].as_str().unwrap()).collect();
    assert_eq!(archs, ["amd64", "arm64"]);
    let other = Kelp::new();
    other.run(["load", "-i", kelp.work().join("o.tar").to_str().unwrap()]).success().stdout_has("app:1");
    let piped = kelp.run(["build", "-q", "--platform", both, "-o", "type=oci,dest=-", "ctx"]);
    piped.success();
    needs!("skopeo");
    for arch in ["amd64", "arm64"] {
        let args = ["--override-arch", arch, "inspect", "--config", "oci:layout:docker.io/library/app:1"];
        let out = kelp.tool("skopeo", args).dir(kelp.work()).output();
        out.success().stdout_has(&format!("\"architecture\": \"{arch}\""));
    }
}

#[test]
fn members_of_a_running_build_are_not_pruned() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let dockerfile = "FROM scratch AS arm64\nCOPY f /\nFROM busybox AS amd64\nRUN --network=none sleep 3\nARG TARGETARCH\nFROM $TARGETARCH\nLABEL arch=$TARGETARCH\n";
    let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let other = if own == "arm64" { "amd64" } else { "arm64" };
    let dockerfile = if own == "arm64" { dockerfile.replace("arm64", "x").replace("amd64", "arm64").replace('x', "amd64") } else { dockerfile.to_owned() };
    context(&kelp, "ctx", &[("Dockerfile", &dockerfile), ("f", "x")]);
    let before = kelp.ok(["images", "-aq"]).lines().count();
    let platforms = format!("linux/{other},linux/{own}");
    let building = kelp.start(["build", "-q", "--platform", &platforms, "-t", "two", "ctx"]);
    crate::support::until("the first image is made", crate::support::SOON, || kelp.ok(["images", "-aq"]).lines().count() > before);
    kelp.run(["image", "prune", "-f"]).success().stdout("Total reclaimed space: 0B\n");
    kelp.run(["image", "prune", "-af", "--filter", "label=arch"]).success().stdout("Total reclaimed space: 0B\n");
    building.wait().success();
    assert_eq!(kelp.run(["manifest", "inspect", "two"]).json()["manifests"].as_array().unwrap().len(), 2);
    // Afterwards the lease is gone: without their list they are as any others.
    kelp.ok(["manifest", "rm", "two"]);
    kelp.run(["image", "prune", "-f"]).success().stdout_has("deleted: sha256:");
}

#[test]
fn flags_of_other_builders() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    let dockerfile = "FROM scratch AS bare\nCOPY f /\nFROM busybox AS run\n# WHO is greeted\nARG WHO=you\nRUN --network=none cat /etc/hosts\n";
    context(&kelp, "ctx", &[("Dockerfile", dockerfile), ("f", "x")]);
    let built = kelp.run(["build", "--progress", "plain", "--add-host", "up:host-gateway", "--add-host", "one:1.2.3.4", "ctx"]);
    assert!(!built.success().stderr_has("1.2.3.4    one").stderr.contains("    up"));
    build(&kelp, "ctx", &["--call=targets"]).success().stdout_has("run (default)");
    build(&kelp, "ctx", &["--call", "outline"]).success().stdout_has("WHO").stdout_has("is greeted");
    build(&kelp, "ctx", &["--call=check"]).success();
    build(&kelp, "ctx", &["--call=none"]).failure().stderr_has("outline");
    build(&kelp, "ctx", &["--compress", "--builder", "default", "--attest", "type=sbom,disabled=true", "--target", "bare"]).success();
    build(&kelp, "ctx", &["--builder", "other"]).failure().stderr_has("one builder");
    build(&kelp, "ctx", &["--attest", "type=sbom"]).failure().stderr_has("no attestations");
    let images = kelp.ok(["images", "-aq"]);
    build(&kelp, "ctx", &["--target", "bare", "--label", "new=1", "-o", "type=image,store=false"]).success();
    assert_eq!(kelp.ok(["images", "-aq"]), images);

    build(&kelp, "ctx", &["-t", "x", "--annotation", "index:a=b"]).failure().stderr_has("several platforms");
    let both = ["--target", "bare", "--platform", "linux/amd64,linux/arm64", "-t", "x", "--annotation", "index:a=b"];
    build(&kelp, "ctx", &both).success();
    assert_eq!(kelp.run(["manifest", "inspect", "x"]).json()["annotations"]["a"], "b");

    // An image without a PATH gets one.
    kelp.run(["create", "--name", "box", "busybox", "true"]).success();
    kelp.run(["export", "-o", "root.tar", "box"]).success();
    kelp.run(["import", "root.tar", "bare"]).success();
    context(&kelp, "path", &[("Dockerfile", "FROM bare\nLABEL a=b\n")]);
    build(&kelp, "path", &["-t", "path"]).success();
    assert_eq!(kelp.inspect("path", "{{.Config.Env}}"), "[PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin]");
}
