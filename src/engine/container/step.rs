//! The plan of a build step: that of a container which is never recorded, with the same standard mounts, privileges and
//! filter as `run` gives.

use std::path::Path;

use crate::engine::{Engine, Error};
use crate::runtime::Failure;
use crate::runtime::plan::Plan;
use crate::spec::ContainerSpec;
use crate::spec::network::NetworkMode;
use crate::state::record::{ContainerRecord, ResolvedConfig, VERSION};
use crate::userns::IdMap;

use super::plan::{self, Wishes};

/// The directory below a step's own where its files (`hosts`…) are written.
const ID: &str = "step";
/// The name of every build container, so that it gets into no file by chance.
const HOSTNAME: &str = "build";

/// What a step asks for.
#[derive(Debug)]
pub(in crate::engine) struct Asked<'a> {
    /// Limits, privileges, hosts, name servers.
    pub(in crate::engine) spec: &'a ContainerSpec,
    /// Program and arguments.
    pub(in crate::engine) argv: Vec<String>,
    /// `K=V`.
    pub(in crate::engine) env: Vec<String>,
    /// Working directory.
    pub(in crate::engine) workdir: String,
    /// `name|uid[:group|gid]`.
    pub(in crate::engine) user: String,
    /// What is below, lowest first.
    pub(in crate::engine) layers: &'a [std::path::PathBuf],
}

/// Makes the plan, but for its root. `dir` is the step's own directory, `map` that of the user's namespace.
pub(in crate::engine) fn plan(
    engine: &Engine,
    dir: &Path,
    asked: Asked<'_>,
    network: &NetworkMode,
    map: &IdMap,
) -> Result<Plan, Error> {
    let Asked { spec, argv, env, workdir, user, layers } = asked;
    let mut engine = engine.clone();
    // What containers keep in the data directory, steps keep in their own.
    dir.clone_into(&mut engine.paths.data);
    let files = engine.paths.container(ID);
    std::fs::create_dir_all(&files).map_err(Error::io("create directory", &files))?;
    let mut spec = spec.clone();
    spec.lifecycle.remove = true;
    let record = ContainerRecord {
        version: VERSION,
        id: ID.to_owned(),
        name: HOSTNAME.to_owned(),
        config: ResolvedConfig {
            entrypoint: argv,
            env,
            workdir,
            user,
            hostname: spec.network.hostname.clone().unwrap_or_else(|| HOSTNAME.to_owned()),
            stop_signal: libc::SIGTERM,
            ..ResolvedConfig::default()
        },
        spec,
        ..ContainerRecord::default()
    };
    // What a step makes is root's in the image where nothing else is recorded, so that root is who is mapped; another user's
    // files are recorded. Where nobody can do that the program at least runs.
    let layers = if super::one_id::fakes_others(&engine, &record) { &[] } else { layers };
    plan::plan(&engine, &record, layers, map, (network, None), Wishes::default())
}

/// What went wrong when a step was started.
pub(in crate::engine) fn words(failure: &Failure, plan: &Plan) -> Error {
    super::words::launch(failure, plan)
}
