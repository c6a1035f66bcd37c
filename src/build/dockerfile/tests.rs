//! The corpus of `tests/build/dockerfile`: each file with the plan it makes. `KELP_UPDATE=1` writes the plans anew, to be
//! read before they are committed.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::spec::Platform;

fn inputs() -> Inputs {
    Inputs {
        build_args: [("GIVEN", "yes"), ("PORTS", "8000-8010 9000/udp"), ("https_proxy", "http://p:1")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into(),
        build_platform: Platform::new("linux", "amd64", None),
        target_platform: Platform::new("linux", "arm64", None),
        target: None,
    }
}

/// Everything a file means, as text.
fn plan(file: &Dockerfile) -> Result<String, ParseError> {
    let globals = Globals::new(file, &inputs())?;
    let mut out = format!("{:?}\n", file.directives);
    let mut scopes: Vec<Scope> = Vec::new();
    for (index, stage) in file.stages.iter().enumerate() {
        let (from, platform) = globals.from(file, index)?;
        let platform = platform.map_or_else(String::new, |platform| format!(" for {platform}"));
        let name = stage.name.as_deref().unwrap_or("-");
        writeln!(out, "\nstage {index} {name}: {from:?}{platform} (lines {}-{})", stage.span.first, stage.span.last).unwrap();
        let mut scope = match from {
            From::Stage(base) => scopes[base].clone(),
            From::Scratch => Scope::new(file, &globals, []),
            From::Image(_) => Scope::new(file, &globals, [("PATH".to_owned(), "/bin".to_owned()), ("PORTS".to_owned(), "1 2".to_owned())]),
        };
        for instruction in &stage.instructions {
            let done = scope.step(file, instruction)?;
            writeln!(out, "{}-{} {:?}", instruction.span.first, instruction.span.last, done.instruction.kind).unwrap();
            if let Kind::Run(run) = &done.instruction.kind {
                writeln!(out, "    executes {:?}", run.script()).unwrap();
                for mount in run.mounts().unwrap() {
                    writeln!(out, "    with {mount:?}").unwrap();
                }
            }
            if !done.unset.is_empty() {
                writeln!(out, "    unset {:?}", done.unset).unwrap();
            }
        }
        writeln!(out, "args {:?}\nenv {:?}", scope.args(), scope.env()).unwrap();
        scopes.push(scope);
    }
    Ok(out)
}

#[test]
fn corpus() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/build/dockerfile");
    let mut count = 0;
    for entry in std::fs::read_dir(&dir).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "Dockerfile") {
            continue;
        }
        count += 1;
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = Dockerfile::parse(&name, &std::fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{error}"));
        let got = plan(&file).unwrap_or_else(|error| panic!("{error}"));
        let golden = path.with_extension("plan");
        if std::env::var_os("KELP_UPDATE").is_some() {
            std::fs::write(&golden, &got).unwrap();
        }
        let want = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(got, want, "{name}");
    }
    assert!(count >= 5);
}

fn error(text: &str) -> String {
    match Dockerfile::parse("Dockerfile", text.as_bytes()) {
        Err(error) => error.to_string(),
        Ok(file) => plan(&file).expect_err(text).to_string(),
    }
}

#[test]
fn mistakes_say_where_and_what() {
    assert_eq!(error("FROM x\nRUM make\n"), "Dockerfile:2: unknown instruction: RUM\n    2 | RUM make\nhint: did you mean RUN?");
    for (text, line, want) in [
        ("", 1, "file with no instructions"),
        ("# only\n", 1, "file with no instructions"),
        ("ARG a", 1, "no stages to build"),
        ("RUN x", 1, "no build stage in current context"),
        ("FROM", 1, "either one or three arguments"),
        ("FROM a b", 1, "either one or three"),
        ("FROM a az b", 1, "did you mean AS?"),
        ("FROM a AS 1b", 1, "invalid name for build stage"),
        ("FROM $X", 1, "base name ($X) should not be blank"),
        ("ARG VERSON=1\nFROM $VERSION", 2, "did you mean VERSON?"),
        ("FROM --platform=$P x", 1, "empty platform value"),
        ("FROM --platfrom=x y", 1, "did you mean --platform?"),
        ("FROM --platform=a/b/c/d y", 1, "failed to parse platform"),
        ("FROM x\n\nRUN a \\\n b\n&& c", 5, "if this line belongs to the one above"),
        ("FROM x\nCOPY a", 2, "at least two arguments"),
        ("FROM x\nCOPY a <<EOF\nEOF\n", 2, "heredoc as a destination"),
        ("FROM x\nCOPY --form=a b c", 2, "did you mean --from?"),
        ("FROM x\nCOPY --link=maybe b c", 2, "expecting boolean value"),
        ("FROM x\nCOPY --from b c", 2, "missing a value on flag: from"),
        ("FROM x\nCOPY --from=a --from=b b c", 2, "duplicate flag"),
        ("FROM x\nCOPY --from=$x b c", 2, "not supported for --from"),
        ("FROM x\nRUN", 2, "RUN requires at least one argument"),
        ("FROM x\nRUN []", 2, "RUN requires at least one argument"),
        ("FROM x\nRUN [1]", 2, "comprised of strings only"),
        ("FROM x\nRUN --network=nine x", 2, "did you mean none?"),
        ("FROM x\nRUN --mount=type=cahce,target=/x y", 2, "did you mean cache?"),
        ("FROM x\nARG T=bnd\nRUN --mount=type=$T,target=/x y", 3, "unsupported mount type"),
        ("FROM x\nRUN --device=a y", 2, "not supported"),
        ("FROM x\nENV a", 2, "ENV must have two arguments"),
        ("FROM x\nENV a=b c", 2, "can't find = in \"c\""),
        ("FROM x\nENV =b", 2, "names can not be blank"),
        ("FROM x\nENV ${Z}=b", 2, "is no name for ENV"),
        ("FROM x\nENV a=\"b", 2, "double-quote"),
        ("FROM x\nENV a=\"${b:?need b}\"", 2, "b: need b"),
        ("FROM x\nSHELL sh", 2, "JSON form"),
        ("FROM x\nEXPOSE http", 2, "invalid containerPort"),
        ("FROM x\nSTOPSIGNAL SIGWHAT", 2, "invalid signal"),
        ("FROM x\nHEALTHCHECK CMD", 2, "missing command"),
        ("FROM x\nHEALTHCHECK CDM x", 2, "did you mean CMD?"),
        ("FROM x\nHEALTHCHECK --interval=1 CMD x", 2, "--interval"),
        ("FROM x\nHEALTHCHECK --retries=-1 CMD x", 2, "cannot be negative"),
        ("FROM x\nONBUILD ONBUILD RUN x", 2, "isn't allowed"),
        ("FROM x\nONBUILD FROM x", 2, "isn't allowed as an ONBUILD trigger"),
        ("FROM x\nONBUILD RUM x", 2, "did you mean RUN?"),
        ("FROM x\nVOLUME [\"\"]", 2, "can not be an empty string"),
        ("FROM x\nUSER", 2, "USER requires exactly one argument"),
        ("FROM x\nWORKDIR --x y", 2, "this instruction takes no flags"),
        ("FROM x\nRUN <<E\nx\n", 2, "unterminated heredoc"),
    ] {
        let message = error(text);
        assert!(message.contains(want) && message.starts_with(&format!("Dockerfile:{line}: ")), "{text:?}: {message}");
    }
}

#[test]
fn stages_are_found_by_name_and_number() {
    let file = Dockerfile::parse("f", b"FROM a AS One\nFROM b\nFROM c AS two\n").unwrap();
    assert_eq!((file.find_stage("ONE"), file.find_stage("1"), file.find_stage("3"), file.find_stage("x")), (Some(0), Some(1), None, None));
    assert_eq!((file.target(None), file.target(Some("one"))), (Ok(2), Ok(0)));
    assert_eq!(file.target(Some("tow")).unwrap_err().hint.as_deref(), Some("did you mean two?"));
}

#[test]
fn build_arguments() {
    let file = Dockerfile::parse("f", b"ARG A\nFROM a\nARG B\n").unwrap();
    let given = ["A", "B", "C", "HTTP_PROXY", "TARGETARCH", "BUILDKIT_INLINE_CACHE", "BUILDKIT_SANDBOX_HOSTNAME"];
    let inputs = Inputs { build_args: given.map(|name| (name.to_owned(), "v".to_owned())).into(), ..inputs() };
    let globals = Globals::new(&file, &inputs).unwrap();
    assert_eq!(globals.unused(&file), ["BUILDKIT_INLINE_CACHE", "C"]);
    assert_eq!(globals.proxies().keys().collect::<Vec<_>>(), ["HTTP_PROXY", "http_proxy"]);
    assert_eq!(globals.vars().get("TARGETARCH").map(String::as_str), Some("v"));
}

#[test]
fn triggers() {
    let span = Span { first: 1, last: 1 };
    let read = trigger("COPY <<EOF /x\nhello\nEOF", span).unwrap();
    let Kind::Copy(copy) = read.kind else { panic!() };
    assert!(matches!(&copy.sources[..], [Source::Heredoc(heredoc)] if heredoc.data == "hello\n"));
    assert!(trigger("FROM x", span).is_err() && trigger("RUN a\nRUN b", span).is_err());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]
    /// Any text is read or refused; what is read has lines that lie in the file and can be planned or refused.
    #[test]
    fn any_text(words in proptest::collection::vec("(FROM|RUN|COPY|ENV|ARG|ONBUILD|HEALTHCHECK|LABEL|<<-?\"?[AB]\"?|--[a-z]+=?|\\$\\{?[A-Z]:?[-+?#%/]?|\\}|\\[\"|\"\\]|[ -~]{0,4}|\\\\|\n|\n|#)", 0..60)) {
        let text = format!("FROM x\n{}", words.join(" ").replace(" \n ", "\n"));
        if let Ok(file) = Dockerfile::parse("f", text.as_bytes()) {
            let lines = u32::try_from(text.lines().count()).unwrap();
            for instruction in file.stages.iter().flat_map(|stage| &stage.instructions) {
                assert!(instruction.span.first >= 1 && instruction.span.first <= instruction.span.last && instruction.span.last <= lines);
            }
            plan(&file).ok();
            lint::check(&file, &lint::Known::default(), &lint::Options::default());

        }
    }
}
