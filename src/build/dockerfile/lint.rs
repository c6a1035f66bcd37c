//! Checks of a Dockerfile that can be built and still may surprise, with BuildKit's rule names and words.
//!
//! `# check=skip=RULE,…;error=true;experimental=RULE,…` on top of the file chooses; so does [`Options::parse`] for a flag.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::{CommandLine, Dockerfile, From, Instruction, Kind, Source, Span, Stage};
use super::error::{Fault, ParseError, nearest};
use super::expand::Word;
use super::expose;
use super::scope::{Globals, Inputs, Scope, constant};
use crate::build::context::Ignore;
use crate::spec::{Platform, Reference, ShortNames};

/// A rule: name, what it is about, and the name of its page.
type Rule = (&'static str, &'static str, &'static str);

/// All rules.
const RULES: [Rule; 22] = [
    ("StageNameCasing", "Stage names should be lowercase", "stage-name-casing"),
    ("FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword", "from-as-casing"),
    ("NoEmptyContinuation", "Empty continuation lines will become errors in a future release", "no-empty-continuation"),
    (
        "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
        "consistent-instruction-casing",
    ),
    ("DuplicateStageName", "Stage names should be unique", "duplicate-stage-name"),
    ("ReservedStageName", "Reserved words should not be used as stage names", "reserved-stage-name"),
    (
        "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        "json-args-recommended",
    ),
    (
        "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        "maintainer-deprecated",
    ),
    ("UndefinedArgInFrom", "FROM command must use declared ARGs", "undefined-arg-in-from"),
    (
        "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base image changes",
        "workdir-relative-path",
    ),
    ("UndefinedVar", "Variables should be defined before their use", "undefined-var"),
    (
        "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
        "multiple-instructions-disallowed",
    ),
    (
        "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
        "legacy-key-value-format",
    ),
    ("InvalidBaseImagePlatform", "Base image platform does not match expected target platform", "invalid-base-image-platform"),
    (
        "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        "redundant-target-platform",
    ),
    ("SecretsUsedInArgOrEnv", "Sensitive data should not be used in the ARG or ENV commands", "secrets-used-in-arg-or-env"),
    (
        "InvalidDefaultArgInFrom",
        "Default value for global ARG results in an empty or invalid base image name",
        "invalid-default-arg-in-from",
    ),
    (
        "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
        "from-platform-flag-const-disallowed",
    ),
    ("ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase", "expose-proto-casing"),
    (
        "ExposeInvalidFormat",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future release",
        "expose-invalid-format",
    ),
    ("CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore", "copy-ignored-file"),
    (
        "InvalidDefinitionDescription",
        "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is not \
         intended to be a description comment, add an empty line or comment between the instruction and the comment.",
        "invalid-definition-description",
    ),
];

/// Rules that are off unless asked for.
const EXPERIMENTAL: [&str; 2] = ["CopyIgnoredFile", "InvalidDefinitionDescription"];
/// Words of a name that say it holds a secret.
const SECRETS: [&str; 10] =
    ["apikey", "auth", "credential", "credentials", "key", "password", "pword", "passwd", "secret", "token"];
/// Words that say it is none after all.
const HARMLESS: [&str; 3] = ["public", "file", "version"];

/// A finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The rule's name.
    pub rule: &'static str,
    /// What the rule is about.
    pub description: &'static str,
    /// The rule's page.
    pub url: String,
    /// What was found.
    pub message: String,
    /// Where.
    pub span: Span,
}

/// Which rules count, and whether findings are errors.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    skip_all: bool,
    skip: BTreeSet<String>,
    experimental_all: bool,
    experimental: BTreeSet<String>,
    /// Findings make the build fail.
    pub error: bool,
}

impl Options {
    /// Reads `skip=RULE,…;error=true;experimental=all`.
    ///
    /// # Errors
    /// An option or value that is none.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut options = Self::default();
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            let invalid = || Fault::new(format!("invalid check option \"{part}\"")).hint("use skip=RULE,..., error=true or experimental=RULE,...");
            let (key, value) = part.split_once('=').ok_or_else(invalid)?;
            let names = || value.split(',').map(|name| name.trim().to_lowercase()).filter(|name| !name.is_empty());
            match (key.trim(), value.trim()) {
                ("skip", "all") => options.skip_all = true,
                ("skip", _) => options.skip.extend(names()),
                ("experimental", "all") => options.experimental_all = true,
                ("experimental", _) => options.experimental.extend(names()),
                ("error", "true" | "1" | "t") => options.error = true,
                ("error", "false" | "0" | "f") => options.error = false,
                _ => return Err(invalid()),
            }
        }
        Ok(options)
    }

    fn wants(&self, rule: &str) -> bool {
        let name = rule.to_lowercase();
        let asked = !EXPERIMENTAL.contains(&rule) || self.experimental_all || self.experimental.contains(&name);
        asked && !self.skip_all && !self.skip.contains(&name)
    }
}

impl Dockerfile {
    /// What `# check=` says.
    ///
    /// # Errors
    /// An option that is none.
    pub fn check_options(&self) -> Result<Options, ParseError> {
        let Some(text) = &self.directives.check else { return Ok(Options::default()) };
        let is_directive = |line: &str| line.trim_start().starts_with('#') && line.to_lowercase().contains("check");
        let line = self.text.lines().position(is_directive).map_or(1, |line| u32::try_from(line + 1).unwrap_or(1));
        Options::parse(text).map_err(|fault| self.error(Span { first: line, last: line }, fault))
    }
}

/// What is known besides the Dockerfile.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Arguments and platforms; the host's and none if not given.
    pub inputs: Option<Inputs>,
    /// The environment of base images, by name as in `FROM` once expanded. What is missing is not looked at for undefined
    /// variables.
    pub env: BTreeMap<String, Vec<(String, String)>>,
    /// The context's ignore file.
    pub ignore: Option<Ignore>,
    /// Stages that count; all if not given.
    pub stages: Option<Vec<usize>>,
}

/// Looks for all that `options` want, in the order of the file.
pub fn check(file: &Dockerfile, known: &Known, options: &Options) -> Vec<Warning> {
    let inputs = known.inputs.clone().unwrap_or_else(|| Inputs {
        build_args: BTreeMap::new(),
        build_platform: Platform::host(),
        target_platform: Platform::host(),
        target: None,
    });
    let mut lint = Lint { file, options, found: Vec::new() };
    lint.text();
    lint.stage_names();
    if let Ok(globals) = Globals::new(file, &inputs) {
        let defaults = Globals::new(file, &Inputs { build_args: BTreeMap::new(), ..inputs.clone() }).ok();
        for (index, stage) in file.stages.iter().enumerate() {
            lint.from(stage, &globals, defaults.as_ref(), index);
        }
        lint.stages(known, &globals);
    }
    let mut found = lint.found;
    found.sort_by_key(|warning| (warning.span.first, warning.span.last));
    found.dedup();
    found
}

struct Lint<'a> {
    file: &'a Dockerfile,
    options: &'a Options,
    found: Vec<Warning>,
}

/// What stages hand on to those made from them.
#[derive(Clone)]
struct Carried {
    /// None when the base's environment is not known.
    scope: Scope,
    complete: bool,
    workdir: bool,
    shell: bool,
}

impl Lint<'_> {
    fn warn(&mut self, rule: &'static str, span: Span, message: String) {
        let Some((name, description, page)) = RULES.iter().find(|(name, ..)| *name == rule).copied() else { return };
        if self.options.wants(name) {
            let url = format!("https://docs.docker.com/go/dockerfile/rule/{page}/");
            self.found.push(Warning { rule: name, description, url, message, span });
        }
    }

    /// Rules about how things are written.
    fn text(&mut self) {
        let file = self.file;
        for span in &file.empty_continuations {
            self.warn("NoEmptyContinuation", *span, "Empty continuation line".to_owned());
        }
        let froms = file.stages.iter().map(|stage| (stage.keyword.as_str(), stage.span));
        let others = file.stages.iter().flat_map(|stage| &stage.instructions).map(|i| (i.keyword.as_str(), i.span));
        let words: Vec<(&str, Span)> = froms.chain(others).collect();
        let lower = words.iter().filter(|(word, _)| *word == word.to_lowercase()).count();
        let upper = words.iter().filter(|(word, _)| *word == word.to_uppercase()).count();
        let (majority, name) = if lower > upper { (str::to_lowercase as fn(&str) -> String, "lowercase") } else { (str::to_uppercase as _, "uppercase") };
        for (word, span) in words {
            if majority(word) != word {
                let message = format!("Command '{word}' should match the case of the command majority ({name})");
                self.warn("ConsistentInstructionCasing", span, message);
            }
        }
    }

    fn stage_names(&mut self) {
        let mut seen = BTreeSet::new();
        for stage in &self.file.stages {
            let Some(name) = &stage.name else { continue };
            let typed = stage.name_typed.as_deref().unwrap_or(name);
            if typed != name {
                self.warn("StageNameCasing", stage.span, format!("Stage name '{typed}' should be lowercase"));
            }
            if let Some(word) = &stage.as_keyword {
                let (lower, upper) = (stage.keyword == stage.keyword.to_lowercase(), stage.keyword == stage.keyword.to_uppercase());
                if (lower && *word != word.to_lowercase()) || (upper && *word != word.to_uppercase()) {
                    let message = format!("'{word}' and '{}' keywords' casing do not match", stage.keyword);
                    self.warn("FromAsCasing", stage.span, message);
                }
            }
            if matches!(name.as_str(), "context" | "scratch") {
                let message = format!("Stage name should not use the same name as reserved stage \"{name}\"");
                self.warn("ReservedStageName", stage.span, message);
            }
            if !seen.insert(name) {
                let message = format!("Duplicate stage name \"{name}\", stage names should be unique");
                self.warn("DuplicateStageName", stage.span, message);
            }
            self.description("FROM", &[name], &stage.comments, stage.span);
        }
        for arg in &self.file.global_args {
            self.arg_description(arg);
        }
    }

    fn arg_description(&mut self, instruction: &Instruction<Word>) {
        if let Kind::Arg(items) = &instruction.kind {
            let names: Vec<&str> = items.iter().map(|item| item.name.raw()).collect();
            self.description("ARG", &names, &instruction.comments, instruction.span);
        }
    }

    fn description(&mut self, what: &str, names: &[&str], comments: &[String], span: Span) {
        let Some(first) = comments.last().and_then(|comment| comment.split(' ').next()) else { return };
        if !names.contains(&first) {
            let example = if let [name] = names { name } else { "<arg_key>" };
            let message = format!("Comment for {what} should follow the format: `# {example} <description>`");
            self.warn("InvalidDefinitionDescription", span, message);
        }
    }

    fn from(&mut self, stage: &Stage, globals: &Globals, defaults: Option<&Globals>, index: usize) {
        let escape = self.file.directives.escape;
        for word in std::iter::once(&stage.from).chain(&stage.platform) {
            let Ok(expansion) = word.expand(escape, globals.vars()) else { continue };
            for name in expansion.unset.iter().filter(|name| !globals.declared().contains(*name)) {
                let known = globals.declared().iter().chain(globals.vars().keys()).map(String::as_str);
                let suggest = nearest(name, known).map_or_else(String::new, |near| format!(" (did you mean {near}?)"));
                self.warn("UndefinedArgInFrom", stage.span, format!("FROM argument '{name}' is not declared{suggest}"));
            }
        }
        if let Some(platform) = &stage.platform {
            self.platform(stage, platform, globals);
        }
        // Whether the name makes sense when nothing is given on the command line.
        let valid = |from: &From| match from {
            From::Scratch | From::Stage(_) => true,
            From::Image(name) => Reference::parse(name, &ShortNames::default()).is_ok(),
        };
        let plain = Stage { platform: None, ..stage.clone() };
        let alone = Dockerfile { stages: self.file.stages[..index].iter().cloned().chain([plain]).collect(), ..self.file.clone() };
        let makes_sense = defaults.is_none_or(|defaults| defaults.from(&alone, index).is_ok_and(|(from, _)| valid(&from)));
        if !makes_sense {
            let message = format!("Default value for ARG {} results in empty or invalid base image name", stage.from.raw());
            self.warn("InvalidDefaultArgInFrom", stage.span, message);
        }
    }

    fn platform(&mut self, stage: &Stage, platform: &Word, globals: &Globals) {
        let escape = self.file.directives.escape;
        if let Some(text) = constant(platform, escape) {
            let Ok(read) = text.parse::<Platform>() else { return };
            let named = stage.name.as_deref().is_some_and(|name| name.contains(&read.os) || name.contains(&read.architecture));
            if !named {
                let message = format!("FROM --platform flag should not use constant value \"{text}\"");
                self.warn("FromPlatformFlagConstDisallowed", stage.span, message);
            }
            return;
        }
        let Ok(expansion) = platform.expand(escape, globals.vars()) else { return };
        let only_target = expansion.unset.is_empty() && expansion.used.iter().eq(["TARGETPLATFORM"]);
        if only_target && globals.vars().get("TARGETPLATFORM") == Some(&expansion.text) {
            let message = format!("Setting platform to predefined {} in FROM is redundant as this is the default behavior", platform.raw());
            self.warn("RedundantTargetPlatform", stage.span, message);
        }
    }

    /// Rules that need to know what variables hold.
    fn stages(&mut self, known: &Known, globals: &Globals) {
        let mut ends: Vec<Option<Carried>> = Vec::new();
        for (index, stage) in self.file.stages.iter().enumerate() {
            let mut carried = match globals.from(self.file, index) {
                Ok((From::Stage(base), _)) => ends[base].clone(),
                Ok((From::Scratch, _)) => Some(Vec::new()).map(|env| self.start(globals, env, true)),
                Ok((From::Image(name), _)) => {
                    let env = known.env.get(&name);
                    Some(self.start(globals, env.cloned().unwrap_or_default(), env.is_some()))
                }
                Err(_) => None,
            };
            let counts = known.stages.as_ref().is_none_or(|stages| stages.contains(&index));
            let before = self.found.len();
            if let Some(carried) = &mut carried {
                self.stage(stage, carried, known);
            }
            if !counts {
                self.found.truncate(before);
            }
            ends.push(carried);
        }
    }

    fn start(&self, globals: &Globals, env: Vec<(String, String)>, complete: bool) -> Carried {
        let mut env = env;
        if !env.iter().any(|(name, _)| name == "PATH") {
            env.push(("PATH".to_owned(), String::new()));
        }
        Carried { scope: Scope::new(self.file, globals, env), complete, workdir: false, shell: false }
    }

    fn stage(&mut self, stage: &Stage, carried: &mut Carried, known: &Known) {
        let mut last: BTreeMap<&str, Span> = BTreeMap::new();
        for instruction in &stage.instructions {
            let (span, keyword) = (instruction.span, instruction.keyword.as_str());
            // Keys are looked at as written: what they are called once expanded does not matter.
            match &instruction.kind {
                Kind::Cmd(CommandLine::Shell(_)) | Kind::Entrypoint(CommandLine::Shell(_)) if !carried.shell => {
                    let message = format!("JSON arguments recommended for {keyword} to prevent unintended behavior related to OS signals");
                    self.warn("JSONArgsRecommended", span, message);
                }
                Kind::Shell(_) => carried.shell = true,
                Kind::Maintainer(_) => {
                    self.warn("MaintainerDeprecated", span, "Maintainer instruction is deprecated in favor of using label".to_owned());
                }
                Kind::Arg(items) => {
                    self.arg_description(instruction);
                    items.iter().for_each(|item| self.secret("ARG", item.name.raw(), span));
                }
                Kind::Env(pairs) | Kind::Label(pairs) => {
                    if pairs.iter().any(|pair| pair.legacy) {
                        let message = format!("\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format");
                        self.warn("LegacyKeyValueFormat", span, message);
                    }
                    if matches!(instruction.kind, Kind::Env(_)) {
                        pairs.iter().for_each(|pair| self.secret("ENV", pair.key.raw(), span));
                    }
                }
                _ => {}
            }
            let once = match &instruction.kind {
                Kind::Cmd(_) => "CMD",
                Kind::Entrypoint(_) => "ENTRYPOINT",
                Kind::HealthCheck(_) => "HEALTHCHECK",
                _ => "",
            };
            if let Some(earlier) = Some(once).filter(|once| !once.is_empty()).and_then(|once| last.insert(once, span)) {
                let message = format!(
                    "Multiple {keyword} instructions should not be used in the same stage because only the last one will be used"
                );
                // The earlier one is the one without effect.
                self.warn("MultipleInstructionsDisallowed", earlier, message);
            }
            self.expanded(instruction, carried, known);
        }
    }

    fn expanded(&mut self, instruction: &Instruction<Word>, carried: &mut Carried, known: &Known) {
        let span = instruction.span;
        let Ok(done) = carried.scope.expand(instruction) else { return };
        if carried.complete {
            for name in &done.unset {
                let suggest = nearest(name, carried.scope.env().keys().map(String::as_str));
                let suggest = suggest.map_or_else(String::new, |near| format!(" (did you mean ${near}?)"));
                self.warn("UndefinedVar", span, format!("Usage of undefined variable '${name}'{suggest}"));
            }
        }
        match &done.instruction.kind {
            Kind::Workdir(path) => {
                if !carried.workdir && !path.starts_with('/') {
                    let message = format!("Relative workdir \"{path}\" can have unexpected results if the base image changes");
                    self.warn("WorkdirRelativePath", span, message);
                }
                carried.workdir = true;
            }
            Kind::Expose(ports) => {
                for port in ports {
                    let part = expose::container_part(port);
                    if part != port {
                        let message = format!("EXPOSE instruction should not define an IP address or host-port mapping, found '{port}'");
                        self.warn("ExposeInvalidFormat", span, message);
                    }
                    if let Some((_, protocol)) = part.split_once('/').filter(|(_, protocol)| *protocol != protocol.to_lowercase()) {
                        let message = format!("Defined protocol '{}' in EXPOSE instruction should be lowercase", protocol);
                        self.warn("ExposeProtoCasing", span, message);
                    }
                }
            }
            Kind::Copy(copy) if copy.from.is_none() => self.ignored("Copy", &copy.sources, span, known),
            Kind::Add(add) => self.ignored("Add", &add.sources, span, known),
            _ => {}
        }
    }

    /// With exceptions it cannot be told without looking.
    fn ignored(&mut self, what: &str, sources: &[Source<String>], span: Span, known: &Known) {
        let Some(ignore) = known.ignore.as_ref().filter(|ignore| !ignore.has_exceptions()) else { return };
        for source in sources {
            let Source::Path(path) = source else { continue };
            let cleaned = crate::build::context::path::below_root(path);
            if !path.contains("://") && !cleaned.is_empty() && ignore.ignores(&cleaned) {
                let message = format!("Attempting to {what} file \"{cleaned}\" that is excluded by .dockerignore");
                self.warn("CopyIgnoredFile", span, message);
            }
        }
    }

    fn secret(&mut self, instruction: &str, name: &str, span: Span) {
        let words: Vec<String> = name.to_lowercase().split('_').map(str::to_owned).collect();
        let any = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        if any(&SECRETS) && !any(&HARMLESS) {
            let message = format!("Do not use ARG or ENV instructions for sensitive data ({instruction} \"{name}\")");
            self.warn("SecretsUsedInArgOrEnv", span, message);
        }
    }
}

/// The warning about a base image of another platform than was asked for.
pub fn base_platform(name: &str, expected: &Platform, actual: &Platform, span: Span) -> Option<Warning> {
    if (&expected.os, &expected.architecture) == (&actual.os, &actual.architecture) {
        return None;
    }
    let (rule, description, page) = RULES.iter().find(|(name, ..)| *name == "InvalidBaseImagePlatform").copied()?;
    let message = format!("Base image {name} was pulled with platform \"{actual}\", expected \"{expected}\" for current build");
    Some(Warning { rule, description, url: format!("https://docs.docker.com/go/dockerfile/rule/{page}/"), message, span })
}

/// The findings in full, as `docker build --check` prints them.
pub fn report(file: &Dockerfile, warnings: &[Warning]) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    let lines: Vec<&str> = file.text.lines().collect();
    for warning in warnings {
        let (first, last) = (warning.span.first as usize, warning.span.last as usize);
        let _ = write!(out, "\nWARNING: {} - {}\n{}\n\n{}:{first}\n", warning.rule, warning.url, warning.description, file.name);
        out.push_str("--------------------\n");
        for number in first.saturating_sub(2).max(1)..=(last + 2).min(lines.len()) {
            let mark = if (first..=last).contains(&number) { ">>>" } else { "   " };
            let _ = writeln!(out, "{number:4} | {mark} {}", lines.get(number - 1).copied().unwrap_or_default().trim_end());
        }
        let _ = writeln!(out, "--------------------\n{}", warning.message);
    }
    match warnings.len() {
        0 => out.push_str("Check complete, no warnings found.\n"),
        1 => out.insert_str(0, "Check complete, 1 warning has been found!\n"),
        count => out.insert_str(0, &format!("Check complete, {count} warnings have been found!\n")),
    }
    out
}

#[cfg(test)]
#[path = "lint_tests.rs"]
mod tests;
