//! Which variables have which values where: arguments before the first `FROM`, the platform arguments, and the
//! environment that grows along a stage. Expands instructions one after another, in BuildKit's order: within a stage the
//! last `ARG` or `ENV` of a name wins, a stage made from another begins with what that one ended with.

use std::collections::{BTreeMap, BTreeSet};

use crate::spec::{Platform, signal};

use super::ast::{
    Add, ArgItem, Copy, Dockerfile, From, Heredoc, Instruction, Kind, MountOptions, Pair, Run, Source, Span, Stage,
};
use super::error::{Fault, ParseError, did_you_mean};
use super::expand::{Env, Expansion, NoEnv, Rules, Word, expand};

/// Build arguments that mean something to builds themselves, whether or not an instruction declares them, as in BuildKit:
/// names of cache mounts of its own, a context that keeps its `.git`, options of the checks, the host name of steps.
pub const MEANT: [&str; 4] =
    ["BUILDKIT_CACHE_MOUNT_NS", "BUILDKIT_CONTEXT_KEEP_GIT_DIR", "BUILDKIT_DOCKERFILE_CHECK", "BUILDKIT_SANDBOX_HOSTNAME"];

/// Variables and values.
pub type Vars = BTreeMap<String, String>;

/// What the command line and the host say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// `--build-arg`.
    pub build_args: Vars,
    /// What builds.
    pub build_platform: Platform,
    /// What is built for.
    pub target_platform: Platform,
    /// `--target`, if given.
    pub target: Option<String>,
}

/// Arguments of the whole file: those before the first `FROM`, and the predefined ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Globals {
    vars: Vars,
    /// Declared, with or without value.
    declared: BTreeSet<String>,
    build_args: Vars,
}

/// Arguments that need no `ARG` and reach `RUN` alone; they are part of neither cache keys nor history.
const PROXIES: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

impl Globals {
    /// Reads the arguments before the first `FROM`.
    ///
    /// # Errors
    /// A default that cannot be expanded.
    pub fn new(file: &Dockerfile, inputs: &Inputs) -> Result<Self, ParseError> {
        let mut globals = Self { vars: platform_args(inputs), declared: BTreeSet::new(), build_args: inputs.build_args.clone() };
        for (name, value) in &mut globals.vars {
            if let Some(given) = inputs.build_args.get(name) {
                value.clone_from(given);
            }
        }
        for instruction in &file.global_args {
            let Kind::Arg(items) = &instruction.kind else { continue };
            for item in items {
                let wrong = |error: super::ExpandError| file.error(instruction.span, Fault::new(error.to_string()));
                let escape = file.directives.escape;
                let name = item.name.expand(escape, &globals.vars).map_err(wrong)?.text;
                let value = match (inputs.build_args.get(&name), &item.value) {
                    (Some(given), _) => Some(given.clone()),
                    (None, Some(default)) => Some(default.expand(escape, &globals.vars).map_err(wrong)?.text),
                    (None, None) => None,
                };
                if let Some(value) = value {
                    globals.vars.insert(name.clone(), value);
                }
                globals.declared.insert(name);
            }
        }
        Ok(globals)
    }

    /// Values, by name.
    pub fn vars(&self) -> &Vars {
        &self.vars
    }

    /// Names that were declared before the first `FROM`.
    pub fn declared(&self) -> &BTreeSet<String> {
        &self.declared
    }

    /// Proxy settings given as build arguments, in both spellings, for the environment of `RUN`.
    pub fn proxies(&self) -> Vars {
        let mut all = Vars::new();
        for (name, value) in &self.build_args {
            if let Some(known) = PROXIES.iter().find(|known| known.eq_ignore_ascii_case(name)) {
                all.insert((*known).to_owned(), value.clone());
                all.insert(known.to_lowercase(), value.clone());
            }
        }
        all
    }

    /// Build arguments no instruction declares: probably misspelt.
    pub fn unused(&self, file: &Dockerfile) -> Vec<&str> {
        let mut names: BTreeSet<&str> = self.declared.iter().map(String::as_str).collect();
        for instruction in file.stages.iter().flat_map(|stage| &stage.instructions) {
            if let Kind::Arg(items) = &instruction.kind {
                names.extend(items.iter().map(|item| item.name.raw()));
            }
        }
        let predefined = |name: &str| {
            PROXIES.iter().any(|known| known.eq_ignore_ascii_case(name))
                || MEANT.contains(&name)
                // The language is kelp's own, as with `# syntax=`; a build has no name to show.
                || matches!(name, "SOURCE_DATE_EPOCH" | "BUILDKIT_SYNTAX" | "BUILDKIT_BUILD_NAME")
                || platform_names().any(|known| known == name)
        };
        self.build_args.keys().map(String::as_str).filter(|name| !names.contains(name) && !predefined(name)).collect()
    }

    /// What stage `index` starts from, and for which platform when it says so.
    ///
    /// # Errors
    /// A name that is empty or cannot be expanded, a platform that is none.
    pub fn from(&self, file: &Dockerfile, index: usize) -> Result<(From, Option<Platform>), ParseError> {
        let Some(stage) = file.stages.get(index) else {
            return Err(file.error(Span { first: 1, last: 1 }, Fault::new(format!("there is no stage {index}"))));
        };
        self.base(file, stage, index).map_err(|fault| file.error(stage.span, fault))
    }

    fn base(&self, file: &Dockerfile, stage: &Stage, index: usize) -> Result<(From, Option<Platform>), Fault> {
        let expand = |word: &Word| word.expand(file.directives.escape, &self.vars).map_err(|error| Fault::new(error.to_string()));
        let name = expand(&stage.from)?;
        if name.text.is_empty() {
            let fault = Fault::new(format!("base name ({}) should not be blank", stage.from.raw()));
            return Err(fault.hint(self.missing(&name)));
        }
        let platform = match &stage.platform {
            None => None,
            Some(word) => {
                let text = expand(word)?;
                if text.text.is_empty() {
                    let fault = Fault::new(format!("empty platform value from expression {}", word.raw()));
                    return Err(fault.hint(self.missing(&text)));
                }
                Some(text.text.parse().map_err(|error| Fault::new(format!("failed to parse platform {}: {error}", word.raw())))?)
            }
        };
        let earlier = file.stages[..index].iter().rposition(|stage| stage.name.as_deref().is_some_and(|stage| stage.eq_ignore_ascii_case(&name.text)));
        let from = match earlier {
            Some(stage) => From::Stage(stage),
            None if name.text == "scratch" => From::Scratch,
            None => From::Image(name.text),
        };
        Ok((from, platform))
    }

    /// What to do about a value that came out empty.
    fn missing(&self, expansion: &Expansion) -> String {
        match expansion.unset.first() {
            None => "its value is empty: give one with --build-arg".to_owned(),
            Some(name) => did_you_mean(name, self.vars.keys().map(String::as_str))
                .unwrap_or_else(|| format!("declare {name} before the first FROM (ARG {name}=DEFAULT), or give it with --build-arg")),
        }
    }
}

fn platform_names() -> impl Iterator<Item = String> {
    let kinds = ["PLATFORM", "OS", "OSVERSION", "ARCH", "VARIANT"];
    let both = ["BUILD", "TARGET"].into_iter().flat_map(move |side| kinds.map(|kind| format!("{side}{kind}")));
    both.chain(std::iter::once("TARGETSTAGE".to_owned()))
}

fn platform_args(inputs: &Inputs) -> Vars {
    let mut vars = Vars::new();
    for (side, platform) in [("BUILD", &inputs.build_platform), ("TARGET", &inputs.target_platform)] {
        vars.insert(format!("{side}PLATFORM"), platform.to_string());
        vars.insert(format!("{side}OS"), platform.os.clone());
        vars.insert(format!("{side}OSVERSION"), String::new());
        vars.insert(format!("{side}ARCH"), platform.architecture.clone());
        vars.insert(format!("{side}VARIANT"), platform.variant.clone().unwrap_or_default());
    }
    vars.insert("TARGETSTAGE".to_owned(), inputs.target.clone().unwrap_or_else(|| "default".to_owned()));
    vars
}

impl Dockerfile {
    /// The stage a `--from`, `--target` or `from=` names: by name in any case, or by number. None is a context or an image.
    pub fn find_stage(&self, name: &str) -> Option<usize> {
        let wanted = name.to_lowercase();
        let named = self.stages.iter().rposition(|stage| stage.name.as_deref() == Some(&*wanted));
        named.or_else(|| name.parse().ok().filter(|index| *index < self.stages.len()))
    }

    /// The stage to build: `--target`, the last one without.
    ///
    /// # Errors
    /// No such stage.
    pub fn target(&self, name: Option<&str>) -> Result<usize, Fault> {
        let Some(name) = name else { return Ok(self.stages.len().saturating_sub(1)) };
        self.find_stage(name).ok_or_else(|| {
            let names: Vec<&str> = self.stages.iter().filter_map(|stage| stage.name.as_deref()).collect();
            let fault = Fault::new(format!("target stage \"{name}\" could not be found"));
            match did_you_mean(name, names.iter().copied()) {
                Some(hint) => fault.hint(hint),
                None if names.is_empty() => fault.hint("no stage of this file has a name: name one with FROM IMAGE AS NAME"),
                None => fault.hint(format!("the stages are {}", names.join(", "))),
            }
        })
    }
}

/// The variables at one point of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    escape: char,
    globals: Vars,
    build_args: Vars,
    env: Vars,
    /// `ARG`s so far, in order.
    args: Vec<(String, Option<String>)>,
}

/// An instruction as it is executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// With all words expanded.
    pub instruction: Instruction<String>,
    /// Names that were used and are not set nor declared.
    pub unset: BTreeSet<String>,
}

impl Scope {
    /// The start of a stage made from an image with this environment. A stage made from a stage starts with a clone of
    /// that one's scope.
    pub fn new(file: &Dockerfile, globals: &Globals, env: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            escape: file.directives.escape,
            globals: globals.vars.clone(),
            build_args: globals.build_args.clone(),
            env: env.into_iter().collect(),
            args: Vec::new(),
        }
    }

    /// All variables a `RUN` here sees, arguments included.
    pub fn env(&self) -> &Vars {
        &self.env
    }

    /// The arguments declared so far with the values they have now, each once, in the order of their first `ARG`: what
    /// docker's history shows before a `RUN`, and part of what a `RUN` depends on.
    pub fn args(&self) -> Vec<(&str, &str)> {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        for (name, value) in &self.args {
            let value = self.env.get(name).or(value.as_ref()).map_or("", String::as_str);
            match seen.iter_mut().find(|(known, _)| known == name) {
                Some(entry) => entry.1 = value,
                None => seen.push((name, value)),
            }
        }
        seen
    }

    /// Expands the next instruction, and takes what `ARG` and `ENV` set.
    ///
    /// # Errors
    /// What cannot be expanded, and values that make no sense.
    pub fn step(&mut self, file: &Dockerfile, instruction: &Instruction<Word>) -> Result<Expanded, ParseError> {
        self.expand(instruction).map_err(|fault| file.error(instruction.span, fault))
    }

    /// As [`Self::step`], for an instruction that stands in no file (`ONBUILD`, `--change`).
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn expand(&mut self, instruction: &Instruction<Word>) -> Result<Expanded, Fault> {
        let mut unset = BTreeSet::new();
        let kind = match &instruction.kind {
            Kind::Arg(items) => Kind::Arg(self.arguments(items, &mut unset)?),
            other => Expander { escape: self.escape, env: &self.env, unset: &mut unset }.kind(other)?,
        };
        if let Kind::Env(pairs) = &kind {
            self.env.extend(pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())));
        }
        unset.retain(|name| !self.args.iter().any(|(declared, _)| declared == name));
        let instruction = Instruction {
            span: instruction.span,
            keyword: instruction.keyword.clone(),
            text: instruction.text.clone(),
            comments: instruction.comments.clone(),
            kind,
        };
        Ok(Expanded { instruction, unset })
    }

    /// Each argument sees those before it.
    fn arguments(&mut self, items: &[ArgItem<Word>], unset: &mut BTreeSet<String>) -> Result<Vec<ArgItem<String>>, Fault> {
        let mut done = Vec::new();
        for item in items {
            let mut expander = Expander { escape: self.escape, env: &self.env, unset };
            let name = expander.word(&item.name)?;
            let value = match (self.build_args.get(&name), &item.value) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(default)) => Some(expander.word(default)?),
                (None, None) => self.globals.get(&name).cloned(),
            };
            if let Some(value) = &value {
                self.env.insert(name.clone(), value.clone());
            }
            self.args.push((name.clone(), value.clone()));
            done.push(ArgItem { name, value });
        }
        Ok(done)
    }
}

/// Expands the words of an instruction.
struct Expander<'a> {
    escape: char,
    env: &'a Vars,
    unset: &'a mut BTreeSet<String>,
}

impl Expander<'_> {
    fn expansion(&mut self, word: &Word) -> Result<Expansion, Fault> {
        let mut expansion = word.expand(self.escape, self.env).map_err(|error| {
            Fault::new(format!("failed to process \"{}\": {error}", word.raw()))
        })?;
        if expansion.text.contains('\0') {
            return Err(Fault::new(format!("\"{}\" expands to text with a NUL byte", word.raw())));
        }
        self.unset.append(&mut expansion.unset);
        Ok(expansion)
    }

    fn word(&mut self, word: &Word) -> Result<String, Fault> {
        Ok(self.expansion(word)?.text)
    }

    fn option(&mut self, word: Option<&Word>) -> Result<Option<String>, Fault> {
        Ok(word.map(|word| self.word(word)).transpose()?.filter(|text| !text.is_empty()))
    }

    fn list(&mut self, words: &[Word]) -> Result<Vec<String>, Fault> {
        words.iter().map(|word| self.word(word)).collect()
    }

    fn pairs(&mut self, pairs: &[Pair<Word>], instruction: &str) -> Result<Vec<Pair<String>>, Fault> {
        let mut done = Vec::new();
        for pair in pairs {
            let key = self.word(&pair.key)?;
            if key.is_empty() || (instruction == "ENV" && key.contains('=')) {
                return Err(Fault::new(format!("\"{}\" is no name for {instruction}", pair.key.raw())));
            }
            done.push(Pair { key, value: self.word(&pair.value)?, legacy: pair.legacy });
        }
        Ok(done)
    }

    fn sources(&mut self, sources: &[Source<Word>]) -> Result<Vec<Source<String>>, Fault> {
        let mut done = Vec::new();
        for source in sources {
            done.push(match source {
                Source::Path(word) => Source::Path(self.word(word)?),
                Source::Heredoc(heredoc) => Source::Heredoc(self.heredoc(heredoc)?),
            });
        }
        Ok(done)
    }

    /// In a heredoc quotes are plain characters, and the escape is always `\`.
    fn heredoc(&mut self, heredoc: &Heredoc) -> Result<Heredoc, Fault> {
        let mut data = heredoc.content();
        if heredoc.expand {
            let rules = Rules { ignore_quotes: true, ..Rules::new('\\') };
            let mut expansion = expand(&data, rules, self.env).map_err(|error| {
                Fault::new(format!("failed to process heredoc {}: {error}", heredoc.name))
                    .hint(format!("write <<\"{}\" to take its text as it is", heredoc.name))
            })?;
            self.unset.append(&mut expansion.unset);
            data = expansion.text;
        }
        Ok(Heredoc { data, chomp: false, ..heredoc.clone() })
    }

    fn run(&mut self, run: &Run<Word>) -> Result<Run<String>, Fault> {
        let mut mounts = Vec::new();
        for options in &run.mounts {
            let mut fields = Vec::new();
            for (key, value) in &options.fields {
                fields.push((key.clone(), value.as_ref().map(|value| self.word(value)).transpose()?));
            }
            mounts.push(MountOptions { fields });
        }
        let run = Run {
            command: run.command.clone(),
            heredocs: run.heredocs.clone(),
            mounts,
            network: run.network,
            security: run.security,
        };
        run.mounts()?;
        Ok(run)
    }

    fn kind(&mut self, kind: &Kind<Word>) -> Result<Kind<String>, Fault> {
        Ok(match kind {
            Kind::Add(add) => Kind::Add(Add {
                sources: self.sources(&add.sources)?,
                dest: self.word(&add.dest)?,
                chown: self.option(add.chown.as_ref())?,
                chmod: self.option(add.chmod.as_ref())?,
                link: add.link,
                keep_git_dir: add.keep_git_dir,
                checksum: self.option(add.checksum.as_ref())?,
                exclude: self.list(&add.exclude)?,
                unpack: add.unpack,
            }),
            Kind::Copy(copy) => Kind::Copy(Copy {
                sources: self.sources(&copy.sources)?,
                dest: self.word(&copy.dest)?,
                from: copy.from.clone(),
                chown: self.option(copy.chown.as_ref())?,
                chmod: self.option(copy.chmod.as_ref())?,
                link: copy.link,
                parents: copy.parents,
                exclude: self.list(&copy.exclude)?,
            }),
            // Arguments change the variables while they are read: see `Scope::arguments`.
            Kind::Arg(_) => Kind::Arg(Vec::new()),
            Kind::Cmd(command) => Kind::Cmd(command.clone()),
            Kind::Entrypoint(command) => Kind::Entrypoint(command.clone()),
            Kind::Env(pairs) => Kind::Env(self.pairs(pairs, "ENV")?),
            Kind::Expose(ports) => {
                let mut words = Vec::new();
                for port in ports {
                    words.append(&mut self.expansion(port)?.words);
                }
                super::expose::ports(&words)?;
                Kind::Expose(words)
            }
            Kind::HealthCheck(check) => Kind::HealthCheck(check.clone()),
            Kind::Label(pairs) => Kind::Label(self.pairs(pairs, "LABEL")?),
            Kind::Maintainer(name) => Kind::Maintainer(name.clone()),
            Kind::OnBuild(trigger) => Kind::OnBuild(trigger.clone()),
            Kind::Run(run) => Kind::Run(self.run(run)?),
            Kind::Shell(words) => Kind::Shell(words.clone()),
            Kind::StopSignal(word) => {
                let name = self.word(word)?;
                if signal::parse(&name).is_none() {
                    return Err(Fault::new(format!("invalid signal: {name}")).hint("name one as SIGTERM or by number"));
                }
                Kind::StopSignal(name)
            }
            Kind::User(word) => Kind::User(self.word(word)?),
            Kind::Volume(words) => {
                let paths = self.list(words)?;
                if paths.iter().any(String::is_empty) {
                    return Err(Fault::new("VOLUME specified can not be an empty string"));
                }
                Kind::Volume(paths)
            }
            Kind::Workdir(word) => Kind::Workdir(self.word(word)?),
        })
    }
}

/// What is wrong with the words of an instruction whatever the variables hold: said before anything is built.
///
/// # Errors
/// The first of them.
pub fn check_words(file: &Dockerfile, instruction: &Instruction<Word>) -> Result<(), ParseError> {
    let path = |source: &'_ Source<Word>| match source {
        Source::Path(word) => Some(word.clone()),
        Source::Heredoc(_) => None,
    };
    let of_pairs = |pairs: &[Pair<Word>]| pairs.iter().flat_map(|pair| [pair.key.clone(), pair.value.clone()]).collect();
    let words: Vec<Word> = match &instruction.kind {
        Kind::Add(add) => add.sources.iter().filter_map(path).chain([add.dest.clone()]).chain(add.chown.clone()).collect(),
        Kind::Copy(copy) => copy.sources.iter().filter_map(path).chain([copy.dest.clone()]).chain(copy.chown.clone()).collect(),
        Kind::Arg(items) => items.iter().filter_map(|item| item.value.clone()).collect(),
        Kind::Env(pairs) | Kind::Label(pairs) => of_pairs(pairs),
        Kind::Expose(words) | Kind::Volume(words) => words.clone(),
        Kind::StopSignal(word) | Kind::User(word) | Kind::Workdir(word) => vec![word.clone()],
        Kind::Run(_) | Kind::Cmd(_) | Kind::Entrypoint(_) | Kind::HealthCheck(_) | Kind::Maintainer(_) | Kind::OnBuild(_) | Kind::Shell(_) => Vec::new(),
    };
    for word in words {
        if let Err(error) = word.expand(file.directives.escape, &NoEnv)
            && error.is_syntax()
        {
            let fault = Fault::new(format!("failed to process \"{}\": {error}", word.raw()));
            return Err(file.error(instruction.span, fault));
        }
    }
    Ok(())
}

/// Expands a text for the eye (`RUN` in progress and logs): what is not set stays as it is.
pub fn for_display(text: &str, escape: char, env: &dyn Env) -> String {
    let rules = Rules { keep_quotes: true, keep_unset: true, keep_escapes: true, ..Rules::new(escape) };
    expand(text, rules, env).map_or_else(|_| text.to_owned(), |expansion| expansion.text)
}

/// Whether a word can be expanded without any variable.
pub(super) fn constant(word: &Word, escape: char) -> Option<String> {
    let expansion = word.expand(escape, &NoEnv).ok()?;
    (expansion.unset.is_empty() && expansion.used.is_empty()).then_some(expansion.text)
}
