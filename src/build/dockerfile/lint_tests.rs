//! One finding per rule, and what silences them.

use super::*;

fn found_with(text: &str, known: &Known) -> Vec<String> {
    let file = Dockerfile::parse("Dockerfile", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let options = file.check_options().unwrap();
    check(&file, known, &options).into_iter().map(|warning| format!("{} {}: {}", warning.span.first, warning.rule, warning.message)).collect()
}

fn found(text: &str) -> Vec<String> {
    found_with(text, &Known { env: [("x".to_owned(), vec![("HOME".to_owned(), "/".to_owned())])].into(), ..Known::default() })
}

#[test]
fn each_rule_in_its_words() {
    for (text, want) in [
        ("FROM x AS Base", "1 StageNameCasing: Stage name 'Base' should be lowercase"),
        ("FROM x as base", "1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"),
        ("FROM x\nRUN a \\\n\n b", "2 NoEmptyContinuation: Empty continuation line"),
        ("FROM x\nRUN a\nrun b", "3 ConsistentInstructionCasing: Command 'run' should match the case of the command majority (uppercase)"),
        ("from x\nrun a\nRun b", "3 ConsistentInstructionCasing: Command 'Run' should match the case of the command majority (lowercase)"),
        ("FROM x AS a\nFROM x AS a", "2 DuplicateStageName: Duplicate stage name \"a\", stage names should be unique"),
        ("FROM x AS context", "1 ReservedStageName: Stage name should not use the same name as reserved stage \"context\""),
        ("FROM x\nCMD a", "2 JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals"),
        ("FROM x\nMAINTAINER a", "2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label"),
        ("ARG TAG=1\nFROM x:${TGA:-1}$TGA", "2 UndefinedArgInFrom: FROM argument 'TGA' is not declared (did you mean TAG?)"),
        ("FROM x\nWORKDIR a\nWORKDIR b", "2 WorkdirRelativePath: Relative workdir \"a\" can have unexpected results if the base image changes"),
        ("FROM x\nCOPY $HOEM /", "2 UndefinedVar: Usage of undefined variable '$HOEM' (did you mean $HOME?)"),
        ("FROM x\nCMD [\"a\"]\nCMD [\"b\"]", "2 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used"),
        ("FROM x\nENV a b", "2 LegacyKeyValueFormat: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format"),
        ("FROM --platform=$TARGETPLATFORM x", "1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior"),
        ("FROM x\nARG DB_PASSWORD", "2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG \"DB_PASSWORD\")"),
        ("FROM x\nENV API_TOKEN=a", "2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV \"API_TOKEN\")"),
        ("ARG T\nFROM x:$T", "2 InvalidDefaultArgInFrom: Default value for ARG x:$T results in empty or invalid base image name"),
        ("FROM --platform=linux/amd64 x", "1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value \"linux/amd64\""),
        ("FROM x\nEXPOSE 80/TCP", "2 ExposeProtoCasing: Defined protocol 'TCP' in EXPOSE instruction should be lowercase"),
        ("FROM x\nEXPOSE 1.2.3.4:80:80", "2 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '1.2.3.4:80:80'"),
        (
            "# check=experimental=all\n\n# other words\nFROM x AS base",
            "4 InvalidDefinitionDescription: Comment for FROM should follow the format: `# base <description>`",
        ),
    ] {
        let got = found(text);
        assert!(got.contains(&want.to_owned()), "{text}: {got:?}");
        assert!(got.len() <= 2, "{text}: {got:?}");
        let rule = want.split([' ', ':']).nth(1).unwrap();
        let text = text.trim_start_matches("# check=experimental=all\n");
        assert!(!found(&format!("# check=experimental=all;skip={rule}\n{text}")).iter().any(|got| got.contains(rule)), "{rule}");
    }
}

#[test]
fn nothing_to_find() {
    for text in [
        "# check=skip=all\nfrom x as A\nCMD a",
        "FROM x AS base\nARG A=1\nENV B=$A PATH=$PATH:/x\nWORKDIR /a\nWORKDIR b\nCOPY $B ${C:-d} ./\nFROM base\nRUN echo $NOT_OURS\nCOPY $A /",
        "FROM --platform=$BUILDPLATFORM x AS build",
        "FROM --platform=linux/arm64 x AS build-arm64",
        "FROM unknown\nCOPY $FROM_THE_BASE /",
        "FROM x\nSHELL [\"/bin/bash\", \"-c\"]\nCMD a",
        "FROM x\nARG PUBLIC_KEY\nENV KEY_FILE=/x TOKEN_VERSION=1 AUTHOR=me",
        "ARG T=1\nFROM x:$T\nEXPOSE 80 53/udp\nFROM scratch\n# anything\n\nFROM x AS y",
        "from x as y\nrun z",
        "# about nothing\nFROM x AS y",
    ] {
        assert_eq!(found(text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn ignored_files_and_options() {
    let known = Known { ignore: Some(Ignore::parse("f", "*.log\ndir").unwrap()), ..Known::default() };
    let text = "# check=experimental=CopyIgnoredFile;error=true\nFROM scratch\nCOPY a.log dir/x keep /\nADD ./b.log /\nCOPY --from=x a.log /";
    assert_eq!(
        found_with(text, &known),
        [
            "3 CopyIgnoredFile: Attempting to Copy file \"a.log\" that is excluded by .dockerignore",
            "3 CopyIgnoredFile: Attempting to Copy file \"dir/x\" that is excluded by .dockerignore",
            "4 CopyIgnoredFile: Attempting to Add file \"b.log\" that is excluded by .dockerignore",
        ]
    );
    let file = |text: &str| Dockerfile::parse("f", text.as_bytes()).unwrap();
    assert!(file(text).check_options().unwrap().error);
    assert!(file("# check=nonsense\nFROM x").check_options().unwrap_err().to_string().starts_with("f:1: invalid check option"));
    assert!(Options::parse("error=maybe").is_err() && Options::parse("skip=a, b ;; error=false").is_ok());
}

#[test]
fn reports() {
    let file = Dockerfile::parse("Dockerfile", b"FROM x\nRUN a\nCMD a\n").unwrap();
    let warnings = check(&file, &Known::default(), &Options::default());
    let text = report(&file, &warnings);
    assert!(text.starts_with("Check complete, 1 warning has been found!\n\nWARNING: JSONArgsRecommended - https://docs.docker.com/go/dockerfile/rule/json-args-recommended/\n"), "{text}");
    assert!(text.contains("Dockerfile:3\n--------------------\n   1 |     FROM x\n   2 |     RUN a\n   3 | >>> CMD a\n--------------------\n"), "{text}");
    assert_eq!(report(&file, &[]), "Check complete, no warnings found.\n");
    let (a, b) = (Platform::new("linux", "arm64", None), Platform::new("linux", "amd64", None));
    let span = Span { first: 1, last: 1 };
    assert!(base_platform("x", &a, &b, span).unwrap().message.contains("pulled with platform \"linux/amd64\", expected \"linux/arm64\""));
    assert_eq!(base_platform("x", &a, &a, span), None);
}
