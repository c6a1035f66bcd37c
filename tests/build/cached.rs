//! What of a build comes from the cache: with another time, without what its mounts ask for.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::needs;
use crate::support::{Kelp, Output};

fn context(kelp: &Kelp, files: &[(&str, &str)]) {
    let dir = kelp.work().join("ctx");
    fs::create_dir_all(&dir).unwrap();
    for (path, content) in files {
        fs::write(dir.join(path), content).unwrap();
    }
}

fn build(kelp: &Kelp, flags: &[&str]) -> Output {
    let mut args = vec!["build", "--progress", "plain", "--network", "none"];
    args.extend(flags);
    args.push("ctx");
    kelp.run(args)
}

fn cached(output: &Output) -> usize {
    output.success().stderr.lines().filter(|line| line.ends_with(" CACHED")).count()
}

/// Two machines: one with a cache of other times, one with none. They make the same image.
#[test]
fn another_time_is_no_other_step() {
    needs!("userns", "busybox");
    let (kelp, fresh) = (Kelp::busybox(), Kelp::busybox());
    let dockerfile = "FROM busybox\nWORKDIR /w\nCOPY f /x/\nRUN echo 1 > /made && mkdir /x/d && ln /made /x/d/h && ln -s h /x/d/l && rm /bin/vi\nCOPY <<here /x/in\nin\nhere\n";
    for kelp in [&kelp, &fresh] {
        context(kelp, &[("Dockerfile", dockerfile), ("f", "1")]);
        let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_050_000_000);
        fs::File::options().write(true).open(kelp.work().join("ctx/f")).unwrap().set_modified(old).unwrap();
    }
    assert_eq!(cached(&build(&kelp, &[])), 0);
    let mut ids = Vec::new();
    // Before the file, after it, and after the build: what is made has the time all the same.
    for time in ["1000000000", "1100000000", "4000000000"] {
        for flags in [["--timestamp".to_owned(), time.to_owned()], ["--build-arg".to_owned(), format!("SOURCE_DATE_EPOCH={time}")]] {
            let built = build(&kelp, &[&flags[0], &flags[1], "-t", "app"]);
            assert_eq!(cached(&built), 4, "{time}: {}", built.stderr);
            ids.push(built.text());
        }
        fresh.run(["builder", "prune", "-af"]).success();
        let flags: &[&str] = &["--timestamp", time, "-t", "app"];
        let built = build(&fresh, flags);
        assert_eq!((cached(&built), built.text()), (0, ids[ids.len() - 1].clone()), "{time}");
        if std::path::Path::new("/dev/fuse").exists() && std::env::var_os("KELP_TEST_DRIVER").is_none() {
            fresh.run(["builder", "prune", "-af"]).success();
            let args = ["--storage-driver", "fuse", "build", "--network", "none", "--timestamp", time, "-t", "app", "ctx"];
            assert_eq!(fresh.run(args).success().text(), built.text(), "{time}");
        }
        // Such a layer travels as any other.
        kelp.ok(["save", "-o", "app.tar", "app"]);
        fresh.ok(["load", "-i", &kelp.work().join("app.tar").display().to_string()]);
    }
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "app", "cat", "/x/f", "/x/d/l", "/x/in"]), "11\nin");
    kelp.run(["system", "check"]).success().stdout_has("all is well");
    // A stage that asks for the time depends on it.
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN true\nARG SOURCE_DATE_EPOCH\nRUN echo $SOURCE_DATE_EPOCH > /time\n")]);
    for (time, want) in [("1000000000", 0), ("1100000000", 1), ("1000000000", 2)] {
        assert_eq!(cached(&build(&kelp, &["--build-arg", &format!("SOURCE_DATE_EPOCH={time}"), "-t", "told"])), want, "{time}");
        assert_eq!(kelp.ok(["run", "--rm", "--network", "none", "told", "cat", "/time"]), time);
    }
}

#[test]
fn what_is_required_is_required_of_a_cached_step_too() {
    needs!("userns", "busybox");
    let kelp = Kelp::busybox();
    fs::write(kelp.work().join("token"), "t").unwrap();
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN --mount=type=secret,id=token,required=true true\n")]);
    build(&kelp, &["--secret", "id=token,src=token"]).success();
    assert_eq!(cached(&build(&kelp, &["--secret", "id=token,src=token"])), 1);
    build(&kelp, &[]).failure().stderr_has("secret token was not given").stderr_has("Dockerfile:2");
    let agent = kelp.work().join("agent");
    let listener = std::os::unix::net::UnixListener::bind(&agent).unwrap();
    context(&kelp, &[("Dockerfile", "FROM busybox\nRUN --mount=type=ssh,required true\n")]);
    build(&kelp, &["--ssh", "default=agent"]).success();
    build(&kelp, &[]).failure().stderr_has("--ssh default").stderr_has("Dockerfile:2");
    drop(listener);
}
