//! One stage: its base, then its instructions in order. Those without files change the configuration; those with files are
//! steps of the cache.

use std::path::PathBuf;
use std::sync::Arc;

use crate::build::config::{self, Said};
use crate::build::dockerfile::{self, Dockerfile, Fault, From, Instruction, Kind, Scope, Span, Word};
use crate::build::options::NamedContext;
use crate::build::progress::{What, step_name};
use crate::engine::Error;
use crate::format::time;
use crate::image::ImageConfig;
use crate::image::config::History;
use crate::spec::{Digest, Platform};

use super::copy::ContextFiles;
use super::step::{Done, Step};
use super::{Build, Failure, LayerRef};

/// What a stage or an image came to.
#[derive(Debug, Clone, Default)]
pub(in crate::build) struct StageResult {
    /// Its configuration, with the layers and history of the base image alone.
    pub(in crate::build) config: ImageConfig,
    /// All files, lowest first.
    pub(in crate::build) layers: Vec<LayerRef>,
    /// Stands for the files.
    pub(in crate::build) key: String,
    /// The image at its bottom.
    pub(in crate::build) base: Option<Digest>,
    /// What was done on top of the base image.
    pub(in crate::build) steps: Vec<(History, Option<LayerRef>)>,
    /// Keys of all steps: what each was asked for by, and what it came to.
    pub(in crate::build) trail: Vec<(String, String)>,
    /// When the last step was made, nanoseconds since 1970; 0 when none was.
    pub(in crate::build) created: i64,
    /// The variables at its end.
    pub(in crate::build) scope: Option<Scope>,
}

/// Where files come from.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// A stage or an image.
    Files(Arc<StageResult>),
    /// A directory of the host.
    Context(Arc<ContextFiles>),
}

/// A stage at work.
pub(super) struct Stage<'b> {
    pub(super) build: &'b Build<'b>,
    pub(super) index: usize,
    pub(super) config: ImageConfig,
    pub(super) layers: Vec<LayerRef>,
    pub(super) key: String,
    pub(super) platform: Platform,
    base: Option<Digest>,
    steps: Vec<(History, Option<LayerRef>)>,
    trail: Vec<(String, String)>,
    created: i64,
    scope: Scope,
    said: Said,
    span: Span,
    /// Steps so far, and in all, as progress counts them.
    done: usize,
    total: usize,
    anew: bool,
}

/// Makes a stage.
pub(super) fn run(build: &Build<'_>, index: usize) -> Result<StageResult, Failure> {
    let file = &build.graph.file;
    let parsed = &file.stages[index];
    let at = |failure: Failure| Failure::At {
        instruction: parsed.text.clone(),
        line: parsed.span.first,
        last: parsed.span.last,
        before: None,
        failure: Box::new(failure),
    };
    let total = 1 + parsed.instructions.iter().filter(|instruction| has_files(&instruction.kind)).count();
    let mut stage = Stage::begin(build, index, total).map_err(at)?;
    for trigger in std::mem::take(&mut stage.config.config.on_build) {
        let instruction = dockerfile::trigger(&trigger, parsed.span).map_err(|fault| at(stage.said(&fault)))?;
        stage.total += usize::from(has_files(&instruction.kind));
        stage.perform(&instruction)?;
    }
    for instruction in &parsed.instructions {
        stage.perform(instruction)?;
    }
    Ok(stage.snapshot())
}

fn unfetched(name: &str, from: &str) -> Failure {
    Failure::Error(Error::Internal(format!("build context {name} was not fetched from {from}")))
}

/// A text without users and passwords in addresses: progress, history and the cache keep none.
fn shown(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '/' || c == '"' || c == '\'' || c.is_whitespace()).unwrap_or(part.len());
        let host = part[..end].rfind('@').map_or(0, |at| at + 1);
        out.push_str("://");
        out.push_str(&part[host..]);
    }
    out
}

fn has_files<W>(kind: &Kind<W>) -> bool {
    matches!(kind, Kind::Add(_) | Kind::Copy(_) | Kind::Run(_) | Kind::Workdir(_))
}

impl<'b> Stage<'b> {
    fn begin(build: &'b Build<'b>, index: usize, total: usize) -> Result<Self, Failure> {
        let (graph, file) = (build.graph, &build.graph.file);
        let node = &graph.stages[index];
        let platform = node.platform.clone().unwrap_or_else(|| build.platform());
        let base = match &node.from {
            From::Scratch => Arc::new(build.scratch_image(&platform)),
            From::Stage(other) => build.stage(*other)?,
            From::Image(name) => {
                let id = build.name_step(step_name(graph.label(index).as_deref(), 1, total, &format!("FROM {name}")));
                build.sink.now(id, What::Started);
                let image = match build.options.named_context(name) {
                    Some(NamedContext::Image(other)) => build.image(other, &platform, id),
                    Some(NamedContext::Directory(dir)) => Err(Failure::Said(format!(
                        "build context {name} is the directory {}: a stage needs an image to start from",
                        dir.display()
                    ))),
                    Some(NamedContext::Remote(from)) => Err(unfetched(name, from)),
                    Some(NamedContext::Stage(_)) | None => build.image(name, &platform, id),
                };
                match &image {
                    Ok(_) => build.sink.now(id, What::Done),
                    Err(failure) if failure.is_canceled() => build.sink.now(id, What::Canceled),
                    Err(failure) => build.sink.now(id, What::Failed { message: failure.message(), exit: None }),
                }
                image?
            }
        };
        let base = (*base).clone();
        let mut config = base.config;
        for (key, value) in &build.options.env {
            config::set_env(&mut config.config.env, key, value);
        }
        let scope = match base.scope {
            Some(scope) => scope,
            None => Scope::new(file, &graph.globals, config.config.environment().map(|(key, value)| (key.to_owned(), value.to_owned()))),
        };
        let name = file.stages[index].name.as_deref();
        let filtered = |wanted: &String| name.is_some_and(|name| name.eq_ignore_ascii_case(wanted)) || *wanted == index.to_string();
        Ok(Self {
            build,
            index,
            config,
            layers: base.layers,
            key: base.key,
            platform,
            base: base.base,
            steps: base.steps,
            trail: base.trail,
            created: base.created,
            scope,
            said: Said::default(),
            span: file.stages[index].span,
            done: 1,
            total,
            anew: build.options.no_cache || build.options.no_cache_stages.iter().any(filtered),
        })
    }

    /// What it is now.
    fn snapshot(&self) -> StageResult {
        StageResult {
            config: self.config.clone(),
            layers: self.layers.clone(),
            key: self.key.clone(),
            base: self.base.clone(),
            steps: self.steps.clone(),
            trail: self.trail.clone(),
            created: self.created,
            scope: Some(self.scope.clone()),
        }
    }

    fn file(&self) -> &'b Dockerfile {
        &self.build.graph.file
    }

    /// A mistake in the instruction at hand.
    pub(super) fn said(&self, fault: &Fault) -> Failure {
        Failure::Said(self.file().error(self.span, fault.clone()).to_string())
    }

    fn perform(&mut self, instruction: &Instruction<Word>) -> Result<(), Failure> {
        self.span = instruction.span;
        self.perform_inner(instruction).map_err(|failure| match failure {
            Failure::Canceled | Failure::At { .. } => failure,
            failure => Failure::At {
                instruction: shown(&instruction.text),
                line: instruction.span.first,
                last: instruction.span.last,
                before: Some(Box::new(self.snapshot())),
                failure: Box::new(failure),
            },
        })
    }

    fn perform_inner(&mut self, instruction: &Instruction<Word>) -> Result<(), Failure> {
        let expanded = self.scope.step(self.file(), instruction).map_err(|error| Failure::Said(error.to_string()))?;
        let instruction = expanded.instruction;
        if let Some(applied) = config::apply(&instruction.kind, &mut self.config, &mut self.said) {
            applied.map_err(Failure::Said)?;
            let by = self.created_by(&instruction);
            self.record(by, None);
            return Ok(());
        }
        self.done += 1;
        let label = self.build.graph.label(self.index);
        let id = self.build.name_step(step_name(label.as_deref(), self.done, self.total, &shown(&instruction.text)));
        let below = self.layers.clone();
        let what = shown(&instruction.text);
        let mut step = Step { id, key: String::new(), what: &what, anew: self.anew, below: &below, others: Vec::new() };
        let done = match &instruction.kind {
            Kind::Run(run) => {
                let env = self.environment();
                self.run_command(&mut step, run, env)
            }
            Kind::Workdir(path) => {
                let path = config::workdir(&self.config.config.working_dir, path);
                self.config.config.working_dir.clone_from(&path);
                self.make_workdir(&mut step, &path)
            }
            Kind::Copy(copy) => self.copy(&mut step, copy),
            Kind::Add(add) => self.add(&mut step, add),
            _ => Err(Failure::Error(Error::Internal(format!("{} is not known here", instruction.keyword)))),
        };
        let done = done.inspect_err(|failure| self.tell(id, failure))?;
        let by = self.created_by(&instruction);
        self.take(done, by);
        Ok(())
    }

    /// Failures before a step is started are told here; the step's own ones have been.
    fn tell(&self, id: u32, failure: &Failure) {
        if !failure.is_canceled() && matches!(failure, Failure::Said(_)) {
            self.build.sink.now(id, What::Failed { message: failure.message(), exit: None });
        }
    }

    fn take(&mut self, done: Done, by: String) {
        self.created = self.created.max(done.created);
        let layer = done.files.then(|| LayerRef::Step(done.key.clone()));
        if done.independent {
            self.key = crate::build::key::Key::new("link").text(&self.key).text(&done.key).finish();
        } else {
            self.key.clone_from(&done.key);
        }
        self.layers.extend(layer.clone());
        self.trail.push((done.asked, done.key));
        self.record(by, layer);
    }

    fn record(&mut self, created_by: String, layer: Option<LayerRef>) {
        let created = match self.build.options.epoch {
            Some(epoch) => Some(time::rfc3339_nano(epoch.saturating_mul(1_000_000_000))),
            None if self.created > 0 => Some(time::rfc3339_nano(self.created)),
            None => self.config.created.clone(),
        };
        let history = History { created, created_by: Some(created_by), empty_layer: layer.is_none(), ..History::default() };
        self.steps.push((history, layer));
    }

    /// As history shows it: of arguments what they are, before what is run those it sees, as docker has it.
    fn created_by(&self, instruction: &Instruction<String>) -> String {
        match &instruction.kind {
            Kind::Run(run) => {
                let args = self.scope.args();
                let count = if args.is_empty() { String::new() } else { format!("|{} ", args.len()) };
                let args: String = args.iter().map(|(name, value)| format!("{name}={value} ")).collect();
                let script = match run.script() {
                    dockerfile::Script::Exec(argv) => argv.join(" "),
                    dockerfile::Script::Shell(line) => format!("{} {line}", config::shell(&self.config).join(" ")),
                    dockerfile::Script::File { data, .. } => data,
                };
                format!("RUN {}{script}", shown(&format!("{count}{args}")))
            }
            Kind::Arg(items) => {
                let item = |item: &dockerfile::ArgItem<String>| match &item.value {
                    Some(value) => format!("{}={value}", item.name),
                    None => item.name.clone(),
                };
                shown(&format!("ARG {}", items.iter().map(item).collect::<Vec<_>>().join(" ")))
            }
            Kind::Workdir(_) => format!("WORKDIR {}", self.config.config.working_dir),
            _ => shown(&instruction.text),
        }
    }

    /// Variables of a `RUN` here: those that count in its key, and those that do not.
    fn environment(&self) -> (Vec<String>, Vec<String>) {
        let mut kept = Vec::new();
        config::set_env(&mut kept, "PATH", config::DEFAULT_PATH);
        for (name, value) in self.scope.env() {
            config::set_env(&mut kept, name, value);
        }
        let mut silent: Vec<String> = Vec::new();
        if self.build.options.http_proxy {
            for name in super::run::PROXIES {
                if let Ok(value) = std::env::var(name) {
                    config::set_env(&mut silent, name, &value);
                }
            }
        }
        for (name, value) in self.build.graph.globals.proxies() {
            config::set_env(&mut silent, &name, &value);
        }
        silent.retain(|entry| !kept.iter().any(|own| own.split('=').next() == entry.split('=').next()));
        (kept, silent)
    }

    /// What a `--from` means; none is the build context.
    pub(super) fn origin(&self, from: Option<&str>) -> Result<Origin, Failure> {
        let build = self.build;
        let Some(name) = from.filter(|name| !name.is_empty()) else {
            return Ok(Origin::Context(build.context(None)?));
        };
        match build.options.named_context(name) {
            Some(NamedContext::Directory(_)) => return Ok(Origin::Context(build.context(Some(name))?)),
            Some(NamedContext::Image(image)) => return Ok(Origin::Files(self.origin_image(image)?)),
            Some(NamedContext::Stage(stage)) => {
                let index = build.graph.file.find_stage(stage).filter(|index| *index != self.index);
                let index = index.ok_or_else(|| Failure::Said(format!("--build-context {name}: there is no stage {stage}")))?;
                return Ok(Origin::Files(build.stage(index)?));
            }
            Some(NamedContext::Remote(from)) => return Err(unfetched(name, from)),
            None => {}
        }
        if let Some(index) = build.graph.earlier(name, self.index) {
            return Ok(Origin::Files(build.stage(index)?));
        }
        if let Some(later) = build.graph.file.find_stage(name).filter(|later| *later >= self.index) {
            let what = if later == self.index { "this stage itself" } else { "a later stage" };
            return Err(Failure::Said(format!("--from={name} is {what}: only earlier ones can be copied from")));
        }
        if name.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Failure::Said(format!("--from={name}: there is no stage of that number before this one, which is {}", self.index)));
        }
        if name == "scratch" {
            return Ok(Origin::Files(Arc::new(build.scratch_image(&self.platform))));
        }
        let image = self.origin_image(name).map_err(|failure| {
            let before = build.graph.file.stages[..self.index].iter().filter_map(|stage| stage.name.as_deref());
            match dockerfile::did_you_mean(name, before) {
                Some(hint) if !failure.is_canceled() => {
                    Failure::Said(format!("there is neither a stage {name} ({hint}) nor such an image: {}", failure.message()))
                }
                _ => failure,
            }
        })?;
        Ok(Origin::Files(image))
    }

    fn origin_image(&self, name: &str) -> Result<Arc<StageResult>, Failure> {
        let id = self.build.name_step(format!("FROM {name}"));
        self.build.sink.now(id, What::Started);
        let image = self.build.image(name, &self.platform, id);
        match &image {
            Ok(_) => self.build.sink.now(id, What::Done),
            Err(failure) => self.build.sink.now(id, What::Failed { message: failure.message(), exit: None }),
        }
        image
    }

    /// Directories that together are an origin, lowest first, and the path of `source` in them.
    pub(super) fn shown(
        &self,
        origin: &Origin,
        source: &str,
        scratch: &crate::build::cache::Scratch,
        index: usize,
    ) -> Result<(Vec<PathBuf>, String), Failure> {
        let path = config::clean(source);
        match origin {
            Origin::Files(files) => Ok((self.build.paths(&files.layers)?, path)),
            Origin::Context(context) => Ok((context.layers(scratch, index)?, path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn addresses_are_shown_without_passwords() {
        assert_eq!(shown("ADD https://u:p@h/x#a@b https://h/y?q=a@b /z"), "ADD https://h/x#a@b https://h/y?q=a@b /z");
        assert_eq!(shown("ADD [\"git://u@h\", \"/x\"]"), "ADD [\"git://h\", \"/x\"]");
        assert_eq!(shown("RUN a://"), "RUN a://");
    }
}
