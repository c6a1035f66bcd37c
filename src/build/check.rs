//! `--check` and the warnings after a build: the linter, told what this build knows.

use crate::engine::Engine;
use crate::spec::Platform;

use super::context::Ignore;
use super::dockerfile::lint::{self, Known, Warning};
use super::dockerfile::{Dockerfile, From, Inputs, ParseError, Span};
use super::graph::Graph;
use super::options::BuildOptions;

/// The build argument that takes the place of `# check=`.
const CHECK: &str = "BUILDKIT_DOCKERFILE_CHECK";

/// What the checks found.
#[derive(Debug)]
pub struct Checked {
    /// The Dockerfile.
    pub file: Dockerfile,
    /// Findings, in the order of the file.
    pub warnings: Vec<Warning>,
    /// The Dockerfile says that findings stop its build.
    pub error: bool,
}

impl Checked {
    /// All of it, as `--check` prints it.
    pub fn report(&self) -> String {
        lint::report(&self.file, &self.warnings)
    }

    /// As docker writes it in JSON.
    pub fn json(&self) -> serde_json::Value {
        let warnings = self.warnings.iter().map(|warning| {
            let place = |line: u32| serde_json::json!({"line": line, "character": 0});
            serde_json::json!({
                "ruleName": warning.rule,
                "description": warning.description,
                "url": warning.url,
                "detail": warning.message,
                "location": {"ranges": [{"start": place(warning.span.first), "end": place(warning.span.last)}]},
            })
        });
        serde_json::json!({"warnings": warnings.collect::<Vec<_>>()})
    }

    /// Why the build must not go on, if so.
    pub fn refusal(&self) -> Option<String> {
        if !self.error || self.warnings.is_empty() {
            return None;
        }
        let mut rules: Vec<&str> = self.warnings.iter().map(|warning| warning.rule).collect();
        rules.dedup();
        Some(format!("lint violation found for rules: {}", rules.join(", ")))
    }
}

/// Checks the Dockerfile of a build; all its stages when `all`, else those that are built. Base images are looked at when
/// they are here.
///
/// # Errors
/// A Dockerfile that cannot be read.
pub fn check(engine: &Engine, options: &BuildOptions, all: bool) -> Result<Checked, ParseError> {
    let graph = Graph::new(options)?;
    let lint_options = match options.meant(CHECK) {
        Some(text) => lint::Options::parse(text).map_err(|fault| graph.file.error(Span { first: 1, last: 1 }, fault))?,
        None => graph.file.check_options()?,
    };
    let ignore = options.ignore.as_ref().and_then(|(name, text)| Ignore::parse(name, text).ok());
    let mut known = Known {
        inputs: Some(Inputs {
            build_args: options.args.iter().cloned().collect(),
            build_platform: Platform::host(),
            target_platform: options.platform.clone().unwrap_or_else(Platform::host),
            target: options.target.clone(),
        }),
        ignore,
        stages: (!all).then(|| graph.needed()),
        ..Known::default()
    };
    let store = crate::engine::image::store(engine);
    for node in &graph.stages {
        let From::Image(name) = &node.from else { continue };
        let config = store.resolve_on(name, options.platform.as_ref()).ok().and_then(|image| store.config(&image.record.id).ok());
        if let Some(config) = config {
            let env = config.config.environment().map(|(name, value)| (name.to_owned(), value.to_owned()));
            known.env.insert(name.clone(), env.collect());
        }
    }
    let warnings = lint::check(&graph.file, &known, &lint_options);
    Ok(Checked { file: graph.file, warnings, error: lint_options.error })
}

/// Whether the Dockerfile asks for its findings to stop the build: then they are looked for before it.
pub fn is_strict(options: &BuildOptions) -> bool {
    if let Some(text) = options.meant(CHECK) {
        // One that cannot be read stops it too.
        return lint::Options::parse(text).map_or(true, |options| options.error);
    }
    let head: Vec<&str> = options.dockerfile.lines().take_while(|line| line.starts_with('#')).collect();
    head.iter().any(|line| line.to_lowercase().contains("check") && line.contains("error"))
}
