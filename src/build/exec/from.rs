//! `FROM`: what a stage starts with: nothing, another stage, an image.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::build::config;
use crate::build::key::Key;
use crate::build::progress::{Sink, StepId, What};
use crate::engine::Error;
use crate::engine::image::{self, Progress, Step};
use crate::spec::container::ImageSource;
use crate::spec::{Digest, Platform, Reference};

use super::stage::StageResult;
use super::{Build, Failure, LayerRef};

/// Digits of an id as it is usually shown.
const SHORT_ID: usize = 12;

impl Build<'_> {
    /// The platform stages are built for unless they say otherwise.
    pub(super) fn platform(&self) -> Platform {
        self.options.platform.clone().unwrap_or_else(Platform::host)
    }

    /// An empty file system.
    pub(super) fn scratch_image(&self, platform: &Platform) -> StageResult {
        StageResult { config: config::scratch(platform), key: Key::new("scratch").finish(), ..StageResult::default() }
    }

    /// A name as it is looked up. A few hexadecimal digits are a name here, not the start of an id: `FROM b` must not mean
    /// whatever image happens to be here.
    fn full_name(&self, name: &str) -> Result<String, Failure> {
        if name.len() < SHORT_ID && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(self.store.reference(name).map_err(Error::from)?.to_string());
        }
        Ok(name.to_owned())
    }

    /// An image, fetched once per build. `step` is told about it when it is this call that fetches.
    pub(super) fn image(&self, name: &str, platform: &Platform, step: StepId) -> Result<Arc<StageResult>, Failure> {
        let place = {
            let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(images.entry(format!("{name} {platform}")).or_default())
        };
        let mut found = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = &*found {
            return Ok(Arc::clone(image));
        }
        if self.is_stopped() {
            return Err(Failure::canceled());
        }
        let options = crate::engine::options::PullOptions { platform: Some(platform.clone()), ..self.options.pull.clone() };
        let progress = Pull::new(self.sink, step);
        let source = ImageSource::Image(self.full_name(name)?);
        let image = image::for_run(self.engine, &source, &options, &progress)?
            .ok_or_else(|| Error::not_found("image", name))?;
        let layers: Vec<Digest> = image.config.rootfs.diff_ids.clone();
        self.lease.lock().unwrap_or_else(PoisonError::into_inner).keep(&layers)?;
        let key = Key::new("image").list(layers.iter().map(ToString::to_string)).finish();
        let mut config = image.config;
        config::default_path(&mut config);
        let result = Arc::new(StageResult {
            config,
            layers: layers.into_iter().map(LayerRef::Layer).collect(),
            key,
            base: Some(image.record.id),
            ..StageResult::default()
        });
        *found = Some(Arc::clone(&result));
        Ok(result)
    }
}

/// The progress of a pull, told as that of a step.
pub(in crate::build) struct Pull<'s> {
    sink: &'s dyn Sink,
    step: StepId,
    totals: Mutex<BTreeMap<Digest, u64>>,
}

impl<'s> Pull<'s> {
    pub(in crate::build) fn new(sink: &'s dyn Sink, step: StepId) -> Self {
        Self { sink, step, totals: Mutex::default() }
    }

    fn tell(&self, blob: &Digest, current: u64) {
        let total = self.totals.lock().unwrap_or_else(PoisonError::into_inner).get(blob).copied();
        self.sink.now(self.step, What::Progress { item: blob.short().to_owned(), current, total });
    }
}

impl Progress for Pull<'_> {
    fn resolving(&self, reference: &Reference) {
        self.sink.now(self.step, What::Note(format!("resolve {reference}")));
    }

    fn layer(&self, blob: &Digest, total: u64) {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).insert(blob.clone(), total);
    }

    fn step(&self, blob: &Digest, step: Step) {
        if matches!(step, Step::Done | Step::Present) {
            let total = self.totals.lock().unwrap_or_else(PoisonError::into_inner).get(blob).copied();
            self.tell(blob, total.unwrap_or(0));
        }
    }

    fn advance(&self, blob: &Digest, position: u64) {
        self.tell(blob, position);
    }
}
