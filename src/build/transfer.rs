//! What a build sends elsewhere and gets from there: its image pushed, its cache written and read.
//!
//! A cache elsewhere is an image nobody runs: its layers are those of steps, and a label of its configuration says which
//! step came to which. So registries, credentials, compression and resumption are those of every image; a cache on disk is
//! an OCI layout. What is read is checked as everything from elsewhere: a step counts when its layer really came along.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::cache::{Entry, Outcome};
use super::exec::{Build, Failure, LayerRef, StageResult};
use super::options::{Built, CachePlace, CacheTarget};
use super::progress::{Sink, StepId, What};
use crate::engine::Error;
use crate::engine::image::{self, PushProgress};
use crate::engine::options::{PullOptions, PushOptions};
use crate::image::compose::{self, Draft, Format};
use crate::image::config::History;
use crate::image::{ImageConfig, Removal, lease};
use crate::spec::{Digest, PullPolicy};

/// Where the configuration of such an image says what it is.
const LABEL: &str = "io.kelp.build.cache";
const VERSION: u32 = 1;
/// Longest description of a step that is kept.
const MAX_WHAT: usize = 200;

/// What the label says.
#[derive(Debug, Serialize, Deserialize)]
struct Shipment {
    version: u32,
    steps: Vec<Shipped>,
}

/// A step that came along.
#[derive(Debug, Serialize, Deserialize)]
struct Shipped {
    key: String,
    what: String,
    created: i64,
    size: u64,
    outcome: Outcome,
    #[serde(default)]
    started: i64,
    #[serde(default)]
    newest: Option<i64>,
}

impl Build<'_> {
    /// Sends the image to all its names.
    pub(super) fn push(&self, built: &mut Built, step: StepId) -> Result<(), Failure> {
        let Some(id) = built.image.clone() else { return Ok(()) };
        for name in &built.names {
            let progress = Sending::new(self.sink, step);
            let pushed = image::push(self.engine, &id, Some(name), &self.options.push, &progress)?;
            for one in pushed {
                self.sink.now(step, What::Note(format!("pushed {} as {}", one.name, one.digest)));
                (built.manifest, built.manifest_size) = (Some(one.digest), Some(one.size));
            }
        }
        Ok(())
    }

    /// Reads all caches of `--cache-from`. One that cannot be had makes a build slower, no more.
    pub(super) fn import_caches(&self) {
        for place in &self.options.cache_from {
            let step = self.name_step(format!("importing cache from {place}"));
            self.sink.now(step, What::Started);
            match self.import_cache(place, step) {
                Ok(count) => {
                    self.sink.now(step, What::Note(format!("{count} new steps")));
                    self.sink.now(step, What::Done);
                }
                Err(failure) => self.sink.now(step, What::Failed { message: failure.message(), exit: None }),
            }
        }
    }

    fn import_cache(&self, place: &CachePlace, step: StepId) -> Result<usize, Failure> {
        let before: BTreeSet<Digest> = self.store.records()?.into_iter().map(|record| record.id).collect();
        let options = PullOptions { policy: Some(PullPolicy::Always), platform: None, ..self.options.pull.clone() };
        let progress = super::exec::Pull::new(self.sink, step);
        let id = image::pull(self.engine, &place.image(), &options, &progress)?;
        let found = self.store.resolve(&id)?;
        let outcome = self.store.config(&found.record.id).map_err(Failure::from).and_then(|config| self.take_in(&config));
        if !before.contains(&found.record.id) {
            self.forget(&found.record.id);
        }
        outcome
    }

    /// Puts the steps of a cache into this one and returns how many were new.
    fn take_in(&self, config: &ImageConfig) -> Result<usize, Failure> {
        let text = config.config.labels.get(LABEL).ok_or_else(|| Failure::Said("it holds no cache written by kelp".to_owned()))?;
        let shipment: Shipment =
            serde_json::from_str(text).map_err(|error| Failure::Said(format!("the cache cannot be read: {error}")))?;
        if shipment.version != VERSION {
            return Err(Failure::Said(format!("the cache was written by another version (form {})", shipment.version)));
        }
        let mut count = 0;
        for shipped in shipment.steps {
            let key = &shipped.key;
            let elsewhere = shipped.outcome == Outcome::Elsewhere;
            if !is_key(key) || self.cache.get(key).is_some() || elsewhere && self.cache.known(key).is_some() {
                continue;
            }
            match &shipped.outcome {
                Outcome::Nothing | Outcome::Elsewhere => {}
                Outcome::Same(other) if is_key(other) => {}
                Outcome::Layer(layer) if config.rootfs.diff_ids.contains(layer) && self.store.layer_dir(layer).is_some() => {
                    lease::pin(&self.engine.paths.data, key, layer)?;
                }
                Outcome::Own | Outcome::Same(_) | Outcome::Layer(_) => continue,
            }
            let what: String = shipped.what.chars().filter(|c| !c.is_control()).take(MAX_WHAT).collect();
            // Its files say the time they were cut to.
            let started = shipped.newest.unwrap_or(shipped.started);
            let (created, newest) = (shipped.created, shipped.newest);
            let size = if elsewhere { 0 } else { shipped.size };
            let entry = Entry { created, started, newest, ..Entry::new(key, &what, size, shipped.outcome.clone()) };
            self.cache.publish(&self.cache.scratch()?, &entry)?;
            count += 1;
        }
        Ok(count)
    }

    /// Writes the cache to all places of `--cache-to`.
    pub(super) fn export_caches(&self, result: &StageResult) -> Result<(), Failure> {
        for target in &self.options.cache_to {
            let step = self.name_step(format!("exporting cache to {}", target.place));
            self.sink.now(step, What::Started);
            match self.export_cache(result, target, step) {
                Ok(()) => self.sink.now(step, What::Done),
                Err(failure) => {
                    self.sink.now(step, What::Failed { message: failure.message(), exit: None });
                    if !target.ignore_error {
                        return Err(failure);
                    }
                }
            }
        }
        Ok(())
    }

    fn export_cache(&self, result: &StageResult, target: &CacheTarget, step: StepId) -> Result<(), Failure> {
        let mut config = ImageConfig {
            architecture: result.config.architecture.clone(),
            os: result.config.os.clone(),
            variant: result.config.variant.clone(),
            ..ImageConfig::default()
        };
        let mut steps = BTreeMap::new();
        // With the least, the others come without their files: as long as nothing changes nobody needs them.
        for stage in &self.finished() {
            self.collect(stage, target.all, &mut config, &mut steps)?;
        }
        self.collect(result, true, &mut config, &mut steps)?;
        let shipment = Shipment { version: VERSION, steps: steps.into_values().collect() };
        let text = serde_json::to_string(&shipment).map_err(|error| Error::Internal(format!("cannot write the cache: {error}")))?;
        config.config.labels.insert(LABEL.to_owned(), text);
        let before = self.store.records()?;
        let draft = Draft { config, format: Format::Oci, ..Draft::default() };
        let record = compose::register(&self.store, &draft).map_err(Error::from)?;
        let progress = Sending::new(self.sink, step);
        let options = PushOptions { registry: PullOptions { quiet: true, ..self.options.push.registry.clone() }, ..target.push.clone() };
        let pushed = image::push(self.engine, &record.id.to_string(), Some(&target.place.image()), &options, &progress);
        if !before.iter().any(|other| other.id == record.id) {
            self.forget(&record.id);
        }
        for one in pushed? {
            self.sink.now(step, What::Note(format!("{} steps, manifest {}", shipment.steps.len(), one.digest)));
        }
        Ok(())
    }

    /// Adds the steps of a stage and, `with_files`, their layers, each once.
    fn collect(
        &self,
        stage: &StageResult,
        with_files: bool,
        config: &mut ImageConfig,
        steps: &mut BTreeMap<String, Shipped>,
    ) -> Result<(), Failure> {
        let mut own = stage.config.clone();
        let mut layers = BTreeMap::new();
        for (history, layer) in stage.steps.iter().filter(|_| with_files) {
            let digest = match layer {
                Some(layer) => self.layer(layer, &own)?,
                None => None,
            };
            if let Some(digest) = digest.as_ref().filter(|digest| !config.rootfs.diff_ids.contains(digest)) {
                let by = History { created_by: history.created_by.clone(), ..History::default() };
                compose::append(config, Some(digest), by);
            }
            if let (Some(LayerRef::Step(key)), Some(digest)) = (layer, &digest) {
                layers.insert(key, digest.clone());
            }
            compose::append(&mut own, digest.as_ref(), history.clone());
        }
        for (asked, key) in &stage.trail {
            let Some(entry) = self.cache.settled(key, &[])?.or_else(|| self.cache.known(key)) else { continue };
            let what: String = entry.what.chars().take(MAX_WHAT).collect();
            let shipped = |key: &str, outcome: Outcome, newest: Option<i64>| Shipped {
                key: key.to_owned(),
                what: what.clone(),
                created: entry.created,
                size: entry.size,
                outcome,
                started: entry.started,
                newest,
            };
            if asked != key {
                steps.insert(asked.clone(), shipped(asked, Outcome::Same(key.clone()), None));
            }
            let (outcome, newest) = match (&entry.outcome, layers.get(key)) {
                (Outcome::Layer(layer), Some(other)) if layer != other => (Outcome::Layer(other.clone()), self.options.epoch),
                (Outcome::Layer(_), Some(_)) | (Outcome::Nothing | Outcome::Same(_), _) => (entry.outcome.clone(), entry.newest),
                // Known of another stage with its files.
                _ if steps.contains_key(key) => continue,
                _ => (Outcome::Elsewhere, None),
            };
            steps.insert(key.clone(), shipped(key, outcome, newest));
        }
        Ok(())
    }

    /// Takes an image away that nobody but a cache knew of.
    fn forget(&self, id: &Digest) {
        // It is garbage like any other when it stays.
        self.store.remove(&id.to_string(), Removal::force(true), &|_| None).ok();
    }
}

/// Keys are names of directories.
fn is_key(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// The progress of a push, told as that of a step.
struct Sending<'s> {
    sink: &'s dyn Sink,
    step: StepId,
    totals: Mutex<BTreeMap<Digest, u64>>,
}

impl<'s> Sending<'s> {
    fn new(sink: &'s dyn Sink, step: StepId) -> Self {
        Self { sink, step, totals: Mutex::default() }
    }
}

impl PushProgress for Sending<'_> {
    fn total(&self, layer: &Digest, bytes: u64) {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).insert(layer.clone(), bytes);
    }

    fn advance(&self, layer: &Digest, current: u64) {
        let total = self.totals.lock().unwrap_or_else(PoisonError::into_inner).get(layer).copied();
        self.sink.now(self.step, What::Progress { item: layer.short().to_owned(), current, total });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_names() {
        assert!(is_key(&"0a".repeat(32)));
        for bad in ["", "../../x", &"0A".repeat(32), &"0g".repeat(32), &"0".repeat(65)] {
            assert!(!is_key(bad), "{bad}");
        }
    }
}
