//! Health checks: from the flags or the image, by themselves and on demand, and what an unhealthy container comes to.

use std::time::Duration;

use serde_json::json;

use crate::support::{Image, Kelp, until};

const PATIENCE: Duration = Duration::from_secs(60);

fn status(kelp: &Kelp, name: &str) -> String {
    kelp.run(["inspect", "--format", "{{.State.Health.Status}}", name]).success().text()
}

#[test]
fn the_state_follows_the_checks() {
    let kelp = Kelp::busybox();
    let check = "echo looking; test -e /tmp/fine";
    kelp.run(["run", "-d", "--network", "none", "--name", "c", "--health-cmd", check, "--health-interval", "50ms"])
        .code(125);
    kelp.run([
        "run", "-d", "--network", "none", "--name", "c", "--health-cmd", check, "--health-interval", "50ms",
        "--health-retries", "2", "busybox", "sleep", "1000",
    ])
    .success();
    until("it is unhealthy", PATIENCE, || status(&kelp, "c") == "unhealthy");
    kelp.run(["ps", "--format", "{{.Status}}"]).success().stdout_has("(unhealthy)");
    kelp.run(["ps", "-q", "--filter", "health=healthy"]).success().stdout("");
    kelp.run(["exec", "c", "touch", "/tmp/fine"]).success();
    kelp.run(["wait", "--condition", "healthy", "c"]).success();
    assert_eq!(kelp.run(["ps", "-q", "--filter", "health=healthy"]).success().lines().len(), 1);
    let log = kelp.run(["inspect", "--format", "{{json .State.Health.Log}}", "c"]).success().text();
    let log: Vec<serde_json::Value> = serde_json::from_str(&log).unwrap();
    assert!(log.len() <= 5 && log.iter().all(|probe| probe["Output"] == "looking\n"), "{log:?}");
    assert_eq!(log.last().unwrap()["ExitCode"], 0);
    // It goes on after a check, a pause between, with nothing left of its processes.
    kelp.run(["top", "c", "-o", "comm"]).success();
}

#[test]
fn the_image_may_bring_the_check() {
    let kelp = Kelp::new();
    let check = json!({"Test": ["CMD-SHELL", "exit 3"], "Interval": 3_600_000_000_000_u64, "Retries": 1});
    kelp.load_image(&Image::busybox().config("Healthcheck", check), "checked");
    kelp.run(["run", "-d", "--network", "none", "--name", "c", "checked", "sleep", "1000"]).success();
    assert_eq!(status(&kelp, "c"), "starting");
    kelp.run(["ps", "--format", "{{.Status}}"]).success().stdout_has("(health: starting)");
    kelp.run(["healthcheck", "run", "c"]).code(1).stdout("unhealthy");
    assert_eq!(status(&kelp, "c"), "unhealthy");
    kelp.run(["run", "-d", "--network", "none", "--name", "d", "--no-healthcheck", "checked", "sleep", "1000"]).success();
    assert_eq!(status(&kelp, "d"), "");
    kelp.run(["healthcheck", "run", "d"]).code(125).stderr_has("no health check");
    kelp.run(["stop", "-t", "0", "c"]).success();
    kelp.run(["healthcheck", "run", "c"]).code(125).stderr_has("not running");
}

#[test]
fn a_check_that_hangs_has_failed() {
    let kelp = Kelp::busybox();
    kelp.run([
        "run", "-d", "--network", "none", "--name", "c", "--health-cmd", "sleep 1000", "--health-interval", "disable",
        "--health-timeout", "100ms", "busybox", "sleep", "1000",
    ])
    .success();
    kelp.run(["healthcheck", "run", "c"]).code(1);
    let last = "{{with index .State.Health.Log 0}}{{.ExitCode}} {{.Output}}{{end}}";
    kelp.run(["inspect", "--format", last, "c"]).success().stdout("-1 Health check exceeded timeout (100ms)");
    // A flood of output does not stop it.
    kelp.run([
        "run", "-d", "--network", "none", "--name", "d", "--health-cmd", "head -c 1000000 /dev/zero | tr '\\0' x",
        "--health-interval", "disable", "busybox", "sleep", "1000",
    ])
    .success();
    kelp.run(["healthcheck", "run", "d"]).success();
    let length = "{{with index .State.Health.Log 0}}{{len .Output}}{{end}}";
    kelp.run(["inspect", "--format", length, "d"]).success().stdout("4096");
}

#[test]
fn what_becomes_of_the_unhealthy() {
    let kelp = Kelp::busybox();
    let start = |action: &str| {
        kelp.run([
            "run", "-d", "--network", "none", "--name", action, "--health-cmd", "false", "--health-interval", "20ms",
            "--health-retries", "1", "--health-on-failure", action, "--stop-timeout", "0", "busybox", "sleep", "1000",
        ])
        .success();
    };
    start("kill");
    start("stop");
    start("restart");
    for action in ["kill", "stop"] {
        kelp.run(["wait", action]).success().stdout("137");
    }
    until("it was started again", PATIENCE, || {
        let count = kelp.run(["inspect", "--format", "{{.RestartCount}}", "restart"]).success().text();
        count.parse::<u32>().unwrap() > 0
    });
    kelp.run(["rm", "-f", "-t", "0", "restart"]).success();
}
