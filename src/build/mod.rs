//! The build room: a Dockerfile and its context become an image.
//!
//! `dockerfile` reads the language and knows nothing of execution; `context` finds, filters, hashes and copies files;
//! `progress` is the stream of events a build emits. Nothing here prints.

pub mod cache;
pub mod check;
pub mod context;
mod config;
pub mod dockerfile;
pub mod epoch;
mod exec;
mod git;
mod graph;
mod key;
pub mod options;
pub mod outline;
mod output;
pub mod progress;
pub mod prune;
pub mod source;
mod squash;
mod transfer;

pub use self::exec::Failed;
use self::exec::Surroundings;
use self::graph::Graph;
use self::options::{BuildOptions, Built};
use self::progress::{Sink, What};
use crate::engine::{Engine, Error};

/// How a build went.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub enum Outcome {
    /// Well.
    Built(Built),
    /// It failed at an instruction, or for another reason the Dockerfile has to do with.
    Failed(Failed),
}

/// Builds. Everything happens in a child process inside the user's namespace; `sink` is called there.
///
/// # Errors
/// When no build could begin.
pub fn build(engine: &Engine, options: &BuildOptions, sink: &dyn Sink) -> Result<Outcome, Error> {
    let graph = match Graph::new(options) {
        Ok(graph) => graph,
        Err(error) => return Ok(Outcome::Failed(Failed { message: error.to_string(), ..Failed::default() })),
    };
    if let Some(mode) = &options.network {
        exec::check_network(mode)?;
    }
    output::names(&crate::engine::image::store(engine), &options.tags)?;
    for text in &options.spec.security.ulimits {
        text.parse::<crate::spec::ulimit::Ulimit>().map_err(|error| Error::Usage(error.to_string()))?;
    }
    let cgroup = crate::engine::build::cgroup(engine, &options.spec.resources)?;
    let outcome = crate::engine::build::inside(engine, |single_id| {
        let around = Surroundings { engine, sink, single_id, cgroup: cgroup.as_ref().map(|cgroup| cgroup.path().to_owned()) };
        let mut build = exec::Build::new(&around, options, &graph, !options.cache_to.iter().any(|target| target.all))?;
        for name in graph.globals.unused(&graph.file) {
            sink.now(0, What::Warning(format!("one or more build-args were not consumed: {name}")));
        }
        build.import_caches();
        let mut result = build.run().and_then(|result| build.export(&result));
        if build.gave_up() {
            drop(build);
            build = exec::Build::new(&around, options, &graph, false)?;
            result = build.run().and_then(|result| build.export(&result));
        }
        let outcome = match result {
            Ok(built) => Outcome::Built(built),
            Err(failure) => {
                let last_good = failure.before().and_then(|state| build.register(state, Vec::new()).ok());
                Outcome::Failed(failure.leave(last_good.map(|record| record.id.to_string())))
            }
        };
        // First, so that whoever prunes right after the build is alone.
        drop(build);
        let cache = cache::Cache::open(&engine.paths.data);
        crate::engine::build::in_background(move || drop(cache.sync()));
        Ok(outcome)
    });
    drop(cgroup);
    outcome
}
