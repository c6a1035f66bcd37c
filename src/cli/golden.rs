//! Golden tests: command lines of `run` in `tests/golden/spec/CASE/run.args` (one argument per line) against what they
//! ask for in `spec.json` (only what differs from a container nobody said anything about). `KELP_UPDATE=1` rewrites.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::FromArgMatches;
use serde_json::Value;

use super::cmd::container::run::RunArgs;
use super::exit::UsageError;
use super::flags::Surroundings;
use super::parse::{Typed, parse};
use crate::engine::options::RunOptions;
use crate::spec::ContainerSpec;
use crate::spec::env::Caller;

struct Fixed;

impl Caller for Fixed {
    fn var(&self, name: &str) -> Option<String> {
        self.vars().into_iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    fn vars(&self) -> Vec<(String, String)> {
        [("HOME", "/home/user"), ("LC_ALL", "C"), ("LC_TIME", "de")].map(|(n, v)| (n.into(), v.into())).into()
    }
}

fn read(args: &[&str]) -> Result<(ContainerSpec, RunOptions), UsageError> {
    let words: Vec<OsString> = std::iter::once("run").chain(args.iter().copied()).map(OsString::from).collect();
    let Typed::Verb { matches, .. } = parse(&words)? else { panic!("run is a verb") };
    let args = RunArgs::from_arg_matches(&matches).expect("parsed by its own parser");
    let directory = root().join("files");
    let mut read = args.into_spec(&Surroundings { directory: &directory, caller: &Fixed })?;
    // The one thing that depends on where the repository lies.
    let text = serde_json::to_string(&read.0).expect("a spec is JSON");
    let moved = text.replace(directory.to_str().expect("UTF-8"), "/cwd").replace(root().to_str().expect("UTF-8"), "/up");
    read.0 = serde_json::from_str(&moved).expect("still a spec");
    Ok(read)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/spec")
}

/// What of `value` is not as in `plain`.
fn difference(value: Value, plain: &Value) -> Option<Value> {
    match (value, plain) {
        (value, plain) if value == *plain => None,
        (Value::Object(map), Value::Object(plain)) => Some(Value::Object(
            map.into_iter()
                .filter_map(|(key, value)| {
                    let rest = difference(value, plain.get(&key).unwrap_or(&Value::Null))?;
                    Some((key, rest))
                })
                .collect(),
        )),
        (value, _) => Some(value),
    }
}

#[test]
fn command_lines_ask_for_what_they_say() {
    let plain = serde_json::to_value(ContainerSpec::default()).expect("a spec is JSON");
    let mut wrong = Vec::new();
    let mut cases = 0;
    for entry in std::fs::read_dir(root()).expect("the cases") {
        let case = entry.expect("a case").path();
        let Ok(text) = std::fs::read_to_string(case.join("run.args")) else { continue };
        cases += 1;
        let args: Vec<&str> = text.lines().collect();
        let (spec, _) = read(&args).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        let asked = difference(serde_json::to_value(&spec).expect("a spec is JSON"), &plain).unwrap_or(Value::Null);
        let asked = serde_json::to_string_pretty(&asked).expect("JSON") + "\n";
        let golden = case.join("spec.json");
        if std::env::var_os("KELP_UPDATE").is_some() {
            std::fs::write(&golden, &asked).expect("write the golden file");
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != asked {
            wrong.push(format!("{}:\n{asked}", case.display()));
        }
    }
    assert!(cases > 10, "the cases are gone");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_refused_and_why() {
    for (line, reason) in [
        ("", "requires an argument: IMAGE"),
        ("--uts host --hostname h x", "conflicting options: --hostname and --uts of another"),
        ("--uts host --domainname d x", "conflicting options: --domainname and --uts of another"),
        ("--rm --restart always x", "conflicting options: --rm and --restart"),
        ("--rmi --restart always x", "conflicting options: --rmi and --restart"),
        ("-d -a stdout x", "conflicting options: --attach and --detach"),
        ("--bogus x", "unknown flag: --bogus"),
        ("-Z x", "unknown shorthand flag: 'Z' in -Z"),
        ("--gpus all x", "--gpus is not supported: "),
        ("--ip 1.2.3.4 x", "--ip needs a user network"),
        ("--health-cmd [] x", "invalid argument \"[]\" for --health-cmd: "),
        ("--health-interval 1us x", "it cannot be less than 1ms"),
        ("--health-retries 0 x", "at least one failure"),
        ("--no-healthcheck --health-cmd true x", "conflicting options: "),
        ("-m lots x", "invalid argument \"lots\" for --memory: invalid size"),
        ("--memory-swap 1g x", "give --memory with it"),
        ("--cpus 1 --cpu-quota 5 x", "conflicting options: --cpus and --cpu-quota"),
        ("--cap-add NET_MAGIC x", "invalid argument \"NET_MAGIC\" for --cap-add: "),
        ("-v /a:/x -v /b:/x x", "duplicate mount point: /x"),
        ("-v /a:/x --tmpfs /x x", "duplicate mount point: /x"),
        ("-w here x", "must be absolute"),
        ("-e =1 x", "the name is empty"),
        ("--network host --network x y", "conflicting networks"),
        ("--pid ns:here x", "invalid namespace mode"),
        ("--restart sometimes x", "invalid restart policy"),
        ("--log-opt colour=red x", "the options are max-size"),
        ("--log-driver fluentd x", "unknown log driver"),
        ("--detach-keys ctrl-P x", "expected keys such as"),
        ("--ulimit nofile x", "expected NAME=SOFT"),
        ("--pull sometimes x", "invalid pull policy"),
        ("--platform linux/amd64 --arch arm64 x", "conflicting options: --platform"),
        ("--env-file nowhere x", "invalid argument \"nowhere\" for --env-file"),
        ("--replace x", "needs --name"),
        ("--rm=maybe x", "invalid argument \"maybe\" for --rm"),
        ("--add-host a:b x", "expected NAME:IP"),
        ("--name", "flag needs an argument: --name"),
        ("--mount type=npipe,src=a,dst=/b x", "not supported"),
        ("--disable-content-trust=false x", "not supported"),
    ] {
        let args: Vec<&str> = line.split_whitespace().collect();
        let error = read(&args).map(|_| ()).expect_err(line).to_string();
        assert!(error.contains(reason), "{line}: {error}");
    }
}

#[test]
fn how_it_is_run() {
    let options = |line: &str| read(&line.split_whitespace().collect::<Vec<_>>()).map(|(_, options)| options).expect(line);
    let plain = options("x");
    assert!(plain.sig_proxy && !plain.streams.stdin && plain.streams.stdout && plain.streams.stderr);
    assert!(options("-i x").streams.stdin);
    assert!(!options("--sig-proxy=false x").sig_proxy);
    let only = options("-a stderr x").streams;
    assert!(only.stderr && !only.stdout && !only.stdin);
    let pull = options("--pull always -q --arch arm64 --tls-verify=false --retry 2 --retry-delay 3s x").create.pull;
    assert_eq!(pull.policy, Some(crate::spec::PullPolicy::Always));
    assert_eq!(pull.platform.map(|p| p.to_string()).as_deref(), Some("linux/arm64"));
    assert_eq!((pull.quiet, pull.tls_verify, pull.retries), (true, Some(false), Some(2)));
    assert_eq!(pull.retry_delay, Some(std::time::Duration::from_secs(3)));
}
