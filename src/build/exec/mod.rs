//! Executing a build: every needed stage in a thread of its own, its steps in order, as many steps at a time as jobs are
//! allowed; a stage that needs another waits for it.
//!
//! A step that fails stops the build: running steps are killed, waiting ones give up. Runs in a worker that is root of
//! the user's namespace (`engine::build::inside`); what it leaves when it is killed is usable cache and swept garbage.

mod add;
mod copy;
mod failure;
mod from;
mod jobs;
mod mounts;
mod run;
mod stage;
mod step;
mod workdir;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

pub use failure::Failed;
pub(in crate::build) use failure::Failure;
pub(in crate::build) use from::Pull;
pub(in crate::build) use run::check_network;
pub(in crate::build) use stage::StageResult;

use super::cache::Cache;
use super::context::Hashes;
use super::graph::Graph;
use super::options::BuildOptions;
use super::progress::{Sink, StepId, What};
use crate::spec::Digest;
use crate::engine::build::Sandbox;
use crate::engine::{Engine, Error};
use crate::image::{ImageStore, lease::Lease};
use jobs::Jobs;

/// Files of a step or an image, below others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::build) enum LayerRef {
    /// A layer of the store.
    Layer(crate::spec::Digest),
    /// A step of the cache, by its key.
    Step(String),
}

/// A build at work.
pub(super) struct Build<'a> {
    pub(super) engine: &'a Engine,
    pub(super) options: &'a BuildOptions,
    pub(super) graph: &'a Graph,
    pub(super) cache: Cache,
    pub(super) store: ImageStore,
    pub(super) sandbox: Sandbox<'a>,
    pub(super) sink: &'a dyn Sink,
    pub(super) lease: Mutex<Lease>,
    /// Only one id is mapped.
    pub(super) single_id: bool,
    /// Set in keys when nothing of the cache is to be used.
    pub(super) nonce: String,
    /// Steps count as made whose files are elsewhere ([`Outcome::Elsewhere`]): in a build that changes nothing nobody needs
    /// them.
    trusting: bool,
    /// Somebody needs them after all.
    lacking: AtomicBool,
    /// The cgroup of all steps.
    pub(super) cgroup: Option<PathBuf>,
    /// Tells others that the cache is used.
    _in_use: std::fs::File,
    jobs: Jobs,
    slots: Vec<Slot>,
    pub(super) hashes: Hashes,
    contexts: Mutex<BTreeMap<Option<String>, Arc<copy::ContextFiles>>>,
    images: Mutex<BTreeMap<String, Arc<ImagePlace>>>,
    first: Mutex<Option<Failure>>,
    stopped: AtomicBool,
    next_step: AtomicU32,
}

/// An image, held by who fetches it and empty until it is here.
type ImagePlace = Mutex<Option<Arc<StageResult>>>;

/// The result of a stage, waited for by others.
#[derive(Default)]
struct Slot {
    state: Mutex<SlotState>,
    ready: Condvar,
}

#[derive(Default)]
enum SlotState {
    #[default]
    Idle,
    Running,
    Done(Result<Arc<StageResult>, ()>),
}

/// What the worker is given besides options.
pub(super) struct Surroundings<'a> {
    pub(super) engine: &'a Engine,
    pub(super) sink: &'a dyn Sink,
    pub(super) single_id: bool,
    pub(super) cgroup: Option<PathBuf>,
}

impl<'a> Build<'a> {
    /// Prepares; in the worker, before it has threads.
    pub(super) fn new(around: &Surroundings<'a>, options: &'a BuildOptions, graph: &'a Graph, trusting: bool) -> Result<Self, Error> {
        let engine = around.engine;
        let store = crate::engine::image::store(engine);
        let cache = Cache::open(&engine.paths.data);
        cache.clear()?;
        let in_use = cache.in_use()?;
        cache.sweep();
        let mut nonce = [0_u8; 16];
        getrandom::fill(&mut nonce).map_err(|error| Error::Internal(format!("no random numbers: {error}")))?;
        Ok(Self {
            engine,
            options,
            graph,
            cache,
            sandbox: Sandbox::open(engine)?,
            lease: Mutex::new(store.lease([])?),
            store,
            sink: around.sink,
            single_id: around.single_id,
            nonce: nonce.iter().map(|byte| format!("{byte:02x}")).collect(),
            cgroup: around.cgroup.clone(),
            trusting,
            lacking: AtomicBool::new(false),
            _in_use: in_use,
            jobs: Jobs::new(options.jobs),
            slots: graph.stages.iter().map(|_| Slot::default()).collect(),
            hashes: Hashes::open(&engine.paths.data.join("build/hashes")),
            contexts: Mutex::default(),
            images: Mutex::default(),
            first: Mutex::new(None),
            stopped: AtomicBool::new(false),
            next_step: AtomicU32::new(1),
        })
    }

    /// Builds the target stage and all it needs.
    pub(super) fn run(&self) -> Result<Arc<StageResult>, Failure> {
        std::thread::scope(|scope| {
            for index in self.graph.needed() {
                let work = move || {
                    if let Err(error) = crate::engine::build::private_mounts() {
                        self.fail(error.into());
                    }
                    drop(self.stage(index));
                };
                if let Err(error) = std::thread::Builder::new().name(format!("stage {index}")).spawn_scoped(scope, work) {
                    self.fail(Error::Internal(format!("cannot start a thread: {error}")).into());
                }
            }
        });
        match self.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(failure) => Err(failure),
            None => self.stage(self.graph.target),
        }
    }

    /// The result of a stage: that of the thread that makes it, else made here.
    pub(super) fn stage(&self, index: usize) -> Result<Arc<StageResult>, Failure> {
        let slot = &self.slots[index];
        let mut state = slot.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match &*state {
                SlotState::Done(Ok(done)) => return Ok(Arc::clone(done)),
                SlotState::Done(Err(())) => return Err(Failure::canceled()),
                SlotState::Running => state = slot.ready.wait(state).unwrap_or_else(PoisonError::into_inner),
                SlotState::Idle => break,
            }
        }
        *state = SlotState::Running;
        drop(state);
        let result = if self.is_stopped() { Err(Failure::canceled()) } else { stage::run(self, index).map(Arc::new) };
        let done = match &result {
            Ok(done) => Ok(Arc::clone(done)),
            Err(_) => Err(()),
        };
        *slot.state.lock().unwrap_or_else(PoisonError::into_inner) = SlotState::Done(done);
        slot.ready.notify_all();
        result.map_err(|failure| {
            self.fail(failure);
            Failure::canceled()
        })
    }

    /// All stages that were built.
    pub(super) fn finished(&self) -> Vec<Arc<StageResult>> {
        let done = |slot: &Slot| match &*slot.state.lock().unwrap_or_else(PoisonError::into_inner) {
            SlotState::Done(Ok(done)) => Some(Arc::clone(done)),
            SlotState::Idle | SlotState::Running | SlotState::Done(Err(())) => None,
        };
        self.slots.iter().filter_map(done).collect()
    }

    /// Notes the first failure and stops everything.
    fn fail(&self, failure: Failure) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        if first.is_none() && !failure.is_canceled() {
            *first = Some(failure);
        }
        drop(first);
        self.stop();
    }

    /// Stops what runs and what waits.
    fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.sandbox.cancel();
        self.jobs.stop();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// Whether files of these layers are elsewhere; then this build gives up.
    fn lacks(&self, layers: &[LayerRef]) -> bool {
        let lacks = self.trusting && layers.iter().any(|layer| matches!(layer, LayerRef::Step(key) if self.cache.is_elsewhere(key)));
        if lacks {
            self.lacking.store(true, Ordering::SeqCst);
            self.stop();
        }
        lacks
    }

    /// It gave up for want of files that are elsewhere: another one has to make them.
    pub(super) fn gave_up(&self) -> bool {
        self.lacking.load(Ordering::SeqCst)
    }

    /// A number for a step, named.
    pub(super) fn name_step(&self, name: String) -> StepId {
        let id = self.next_step.fetch_add(1, Ordering::SeqCst);
        self.sink.now(id, What::Named(name));
        id
    }

    /// Does `work`, again as long as it fails and `layers` have moved meanwhile: another build may make layers of its
    /// steps any time. Each step moves once.
    pub(super) fn steadily<T>(
        &self,
        layers: &[LayerRef],
        mut work: impl FnMut(&[PathBuf]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        loop {
            let paths = self.paths(layers)?;
            match work(&paths) {
                Err(failure) if failure.may_be_moved() && self.paths(layers)? != paths => {}
                other => return other,
            }
        }
    }

    /// Directories of layers, lowest first, each once: the highest of equal ones hides the others.
    pub(super) fn paths(&self, layers: &[LayerRef]) -> Result<Vec<PathBuf>, Error> {
        if self.lacks(layers) {
            return Err(Error::Storage("files of the build cache are elsewhere".to_owned()));
        }
        let mut paths: Vec<PathBuf> = Vec::with_capacity(layers.len());
        let mut known: Vec<Digest> = Vec::new();
        for layer in layers {
            let found = match layer {
                LayerRef::Layer(digest) => {
                    known.push(digest.clone());
                    let missing = || Error::Storage(format!("layer {digest} is missing: pull its image again"));
                    let place = self.store.layer_place(&known).ok_or_else(missing)?;
                    if place.hides {
                        paths.clear();
                    }
                    std::iter::once(place.tree).chain(place.variant).collect()
                }
                LayerRef::Step(key) => self.cache.files(key)?.into_iter().collect::<Vec<_>>(),
            };
            paths.retain(|other| !found.contains(other));
            paths.extend(found);
        }
        Ok(paths)
    }
}
