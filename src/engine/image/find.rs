//! From what a user typed to an image that can be run, fetched first when it is not here or the policy says so.

use crate::engine::child::in_child;
use crate::engine::options::PullOptions;
use crate::engine::{Engine, Error};
use crate::image::archive::LoadOptions;
use crate::image::pull::Progress;
use crate::image::{ImageStore, RunImage, StoreError, hello};
use crate::spec::container::ImageSource;
use crate::spec::{Platform, PullPolicy};

/// The image of a container about to be made; `None` with `--rootfs`.
///
/// # Errors
/// No such image here and the policy forbids fetching it, or fetching it failed.
pub fn for_run(
    engine: &Engine,
    source: &ImageSource,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Option<RunImage>, Error> {
    let ImageSource::Image(name) = source else { return Ok(None) };
    let store = super::store(engine);
    if hello::is_name(name) {
        return embedded(engine, &store).map(Some);
    }
    let policy = options.policy.unwrap_or(engine.config.images.pull);
    if policy == PullPolicy::Missing || policy == PullPolicy::Never {
        match store.resolve_for_run_on(name, options.platform.as_ref()) {
            Ok(image) if fits(&image.record.platform, options.platform.as_ref()) => {
                warn_of_platform(&image.record.platform, options, progress);
                return Ok(Some(image));
            }
            Ok(image) if policy == PullPolicy::Never => {
                return Err(Error::Conflict(format!(
                    "image {name} is here for {} only, and --pull never forbids fetching another",
                    image.record.platform
                )));
            }
            Err(error @ StoreError::NotFound(_)) if policy == PullPolicy::Never => return Err(error.into()),
            // What was made here must not be replaced by a stranger's of the same name.
            Err(error @ StoreError::Incomplete { .. }) if store.resolve(name).is_ok_and(|image| image.repo_digests.is_empty()) => {
                return Err(error.into());
            }
            Ok(_) | Err(StoreError::NotFound(_) | StoreError::Incomplete { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if is_id(name) {
            return Err(Error::not_found("image", name.clone()));
        }
        progress.say(&format!("Unable to find image '{name}' locally"));
    }
    super::pull::pull(engine, name, &PullOptions { policy: Some(policy), ..options.clone() }, progress)?;
    Ok(Some(store.resolve_for_run_on(name, options.platform.as_ref())?))
}

/// The image every kelp carries.
fn embedded(engine: &Engine, store: &ImageStore) -> Result<RunImage, Error> {
    if let Some(image) = hello::current(store) {
        return Ok(image);
    }
    in_child(engine, false, || {
        hello::ensure(store, &LoadOptions::default()).map(drop).map_err(|error| Error::Storage(error.to_string()))
    })?;
    Ok(store.resolve_for_run(hello::NAME)?)
}

fn fits(have: &Platform, wanted: Option<&Platform>) -> bool {
    wanted.is_none_or(|wanted| wanted.rank(have).is_some())
}

/// Says that an image is for another platform when nobody asked for that one. It may run all the same: the kernel can be told
/// to run programs of other processors by an emulator.
pub(super) fn warn_of_platform(have: &Platform, options: &PullOptions, progress: &dyn Progress) {
    let host = Platform::host();
    if options.platform.is_none() && host.rank_compatible(have).is_none() {
        progress.say(&format!("WARNING: image platform ({have}) does not match the expected platform ({host})"));
    }
}

/// A full id names content that is here or nowhere.
fn is_id(name: &str) -> bool {
    let digits = name.strip_prefix("sha256:").unwrap_or(name);
    digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
