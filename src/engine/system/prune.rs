//! `system prune` and `gc`: everything nobody has a use for.

use crate::engine::container::{inside, prune as containers, rm};
use crate::engine::image::{self, PrunedImages};
use crate::engine::volume::{self, Pruned};
use crate::engine::{Engine, Error, network};
use crate::spec::Digest;
use crate::state::Containers;

/// What `system prune` removes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneOptions {
    /// `-a`: every image no container uses, not only those without a name.
    pub all: bool,
    /// `--volumes`: anonymous volumes no container uses.
    pub volumes: bool,
    /// `--filter`: `until`, `label`, `label!`.
    pub filters: Vec<String>,
}

/// What `system prune` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Containers that did not run.
    pub containers: Pruned,
    /// Networks.
    pub networks: Vec<String>,
    /// Volumes.
    pub volumes: Pruned,
    /// Images.
    pub images: PrunedImages,
    /// Bytes of what killed commands had left.
    pub garbage: u64,
}

impl PruneReport {
    /// Bytes that were freed.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.containers.bytes + self.volumes.bytes + self.images.bytes + self.garbage
    }
}

/// Removes containers that do not run, then networks, volumes and images nobody uses then, then garbage.
///
/// # Errors
/// A filter that makes no sense; a store that cannot be written.
pub fn prune(engine: &Engine, options: &PruneOptions) -> Result<PruneReport, Error> {
    let until = options.filters.iter().any(|filter| filter.trim_start().starts_with("until"));
    if until && options.volumes {
        return Err(Error::Usage("the \"until\" filter is not supported with --volumes".into()));
    }
    Ok(PruneReport {
        containers: containers::prune(engine, &options.filters)?,
        networks: network::prune(engine, &options.filters)?,
        volumes: if options.volumes { volume::prune(engine, false, &options.filters)? } else { Pruned::default() },
        images: image::prune(engine, options.all, &options.filters)?,
        garbage: gc(engine)?,
    })
}

/// Removes what killed commands, power cuts and interrupted downloads left, and layers no image, container, build or
/// running command refers to. Returns the number of bytes freed.
///
/// # Errors
/// When something cannot be read or removed.
pub fn gc(engine: &Engine) -> Result<u64, Error> {
    rm::sweep(engine)?;
    inside::become_root(engine, false)?;
    let volumes = crate::volume::Volumes::new(&engine.paths);
    {
        let _lock = volumes.lock(false)?;
        volumes.sweep();
    }
    collect(engine)
}

/// The part of [`gc`] that is about images and layers. Works as root of the user's namespace.
///
/// # Errors
/// When something cannot be read or removed.
pub fn collect(engine: &Engine) -> Result<u64, Error> {
    let (containers, _) = Containers::new(&engine.paths).list()?;
    let layers: std::collections::BTreeSet<&str> =
        containers.iter().flat_map(|entry| &entry.record.image.layers).map(String::as_str).collect();
    let keep = |layer: &Digest| layers.contains(layer.to_string().as_str());
    Ok(image::store(engine).collect(&keep)?)
}
