//! What becomes of the target stage: an image in the store, an archive, files.
//!
//! An image's layers are the steps' directories, renamed into the layer store; each is read once, for its digest. Archives
//! of files are written from the layers as they lie, without mounting them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::exec::{Build, Failure, LayerRef, StageResult};
use super::options::{Output, Squash};
use super::progress::{StepId, What};
use crate::engine::{Error, outfile};
use crate::format::time;
use crate::image::Image;
use crate::image::archive::tarw::{TarWriter, TreeOptions};
use crate::image::archive::{self, SaveFormat, Target};
use crate::image::compose::{self, Draft, LayerOptions};
use crate::image::config::History;
use crate::image::store::Removal;
use crate::image::{ImageConfig, ImageRecord, ImageStore, StoreError};
use crate::spec::{Digest, Reference};
use crate::sys::copy_tree::{Owner, Records, TreeCopy};
use crate::userns::owner::{Recorded, are_recorded};

use super::options::Built;

/// Largest manifest that is read.
const MAX_MANIFEST: u64 = 4 << 20;

impl Build<'_> {
    /// Does with the result what was asked.
    pub(super) fn export(&self, result: &StageResult) -> Result<Built, Failure> {
        let mut built = Built { format: self.options.format, ..Built::default() };
        // First what is kept: what is made for an archive alone goes again.
        let is_kept = |output: &&Output| matches!(output, Output::Image | Output::Push);
        let (kept, others): (Vec<&Output>, Vec<&Output>) = self.options.outputs.iter().partition(is_kept);
        for output in kept.into_iter().chain(others) {
            let step = self.name_step(match output {
                Output::Image | Output::Push => "exporting to image".to_owned(),
                Output::Local(_) => "exporting to client directory".to_owned(),
                Output::Tar(_) => "exporting to client tarball".to_owned(),
                Output::Oci(_) | Output::OciLayout(_) => "exporting to oci image format".to_owned(),
                Output::Nothing => continue,
                Output::Docker(_) => "exporting to docker image format".to_owned(),
            });
            self.sink.now(step, What::Started);
            let done = self.output(result, output, step, &mut built).and_then(|()| match output {
                Output::Push => self.push(&mut built, step),
                _ => Ok(()),
            });
            match done {
                Ok(()) => self.sink.now(step, What::Done),
                Err(failure) => {
                    self.sink.now(step, What::Failed { message: failure.message(), exit: None });
                    return Err(failure);
                }
            }
        }
        self.export_caches(result)?;
        Ok(built)
    }

    fn output(&self, result: &StageResult, output: &Output, step: StepId, built: &mut Built) -> Result<(), Failure> {
        match output {
            Output::Image | Output::Push => {
                if built.image.is_some() {
                    return Ok(());
                }
                let names = names(&self.store, &self.options.tags)?;
                let record = self.register(result, names.clone())?;
                self.sink.now(step, What::Note(format!("writing image {}", record.id)));
                for name in &names {
                    self.sink.now(step, What::Note(format!("naming to {name}")));
                }
                built.image = Some(record.id.to_string());
                built.manifest = record.manifests.first().map(ToString::to_string);
                let manifest = record.manifests.first().map(|digest| self.store.blobs().read(digest, MAX_MANIFEST)).transpose();
                built.manifest_size = manifest.map_err(Error::from)?.flatten().map(|bytes| bytes.len());
                built.names = names.iter().map(ToString::to_string).collect();
                Ok(())
            }
            Output::Local(dir) => self.local(result, dir),
            Output::Tar(path) => {
                match path {
                    Some(path) => outfile::to_file(path, |out| self.tar(result, out)),
                    None => outfile::to_stdout(|out| self.tar(result, out)),
                }
            }
            Output::Oci(path) => self.archive(result, SaveFormat::Oci, Place::File(path.as_deref()), built),
            Output::OciLayout(dir) => self.archive(result, SaveFormat::Oci, Place::Directory(dir), built),
            Output::Docker(path) => self.archive(result, SaveFormat::Docker, Place::File(path.as_deref()), built),
            Output::Nothing => Ok(()),
        }
    }

    /// Makes an image of a state and names it.
    pub(super) fn register(&self, result: &StageResult, names: Vec<Reference>) -> Result<ImageRecord, Failure> {
        let options = self.options;
        let mut config = result.config.clone();
        self.finish_config(&mut config, result);
        match options.squash {
            Squash::No => {
                for (history, layer) in &result.steps {
                    let digest = match layer {
                        Some(layer) => self.layer(layer, &config)?,
                        None => None,
                    };
                    compose::append(&mut config, digest.as_ref(), history.clone());
                }
            }
            Squash::New => {
                let own: Vec<LayerRef> = result.steps.iter().filter_map(|(_, layer)| layer.clone()).collect();
                let digest = self.squashed(&own, &config, self.since(result))?;
                Self::squash_history(&mut config, result, digest.as_ref());
            }
            Squash::All => {
                let layers = self.open_layers(&result.layers)?;
                let mut lease = self.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let (newest, made_since, overrides) = (options.epoch, self.since(result), self.recorded(&result.layers)?);
                let layer = compose::copy_layer(&self.store, &mut lease, self.single_id, move |tar| {
                    tar.merged(&layers, &TreeOptions { newest, made_since, overrides, ..TreeOptions::default() })
                })
                .map_err(Error::from)?;
                drop(lease);
                config.rootfs.diff_ids.clear();
                config.history.clear();
                Self::squash_history(&mut config, result, Some(&layer.diff_id));
            }
        }
        if options.omit_history {
            config.history.clear();
        }
        let draft = Draft {
            config,
            names,
            parent: result.base.clone().filter(|_| options.squash != Squash::All),
            format: options.format,
            annotations: options.annotations.clone(),
        };
        if let Some(members) = &options.members {
            // Before the image is there: whoever prunes finds both, or none.
            let config = serde_json::to_vec(&draft.config).map_err(|error| Error::Internal(error.to_string()))?;
            members.lock().unwrap_or_else(std::sync::PoisonError::into_inner).keep([&Digest::of(&config)]).map_err(Error::from)?;
        }
        Ok(compose::register(&self.store, &draft).map_err(Error::from)?)
    }

    /// What the command line says about the configuration.
    fn finish_config(&self, config: &mut ImageConfig, result: &StageResult) {
        let options = self.options;
        config.config.labels.extend(options.labels.iter().cloned());
        config.config.labels.retain(|key, _| !options.unset_labels.contains(key));
        config.config.env.retain(|entry| !options.unset_env.iter().any(|name| entry.split('=').next() == Some(name)));
        config.created = match options.epoch {
            Some(epoch) => Some(time::rfc3339_nano(epoch.saturating_mul(1_000_000_000))),
            None if result.created > 0 => Some(time::rfc3339_nano(result.created)),
            None => config.created.take().or_else(|| Some(time::rfc3339_nano(time::now()))),
        };
    }

    /// One entry for all that was done, in the place of the others.
    fn squash_history(config: &mut ImageConfig, result: &StageResult, layer: Option<&Digest>) {
        let said: Vec<&str> = result.steps.iter().filter_map(|(history, _)| history.created_by.as_deref()).collect();
        let history = History { created: config.created.clone(), created_by: Some(said.join("; ")), ..History::default() };
        compose::append(config, layer, history);
    }

    /// The digest of a step's files as a layer on those the configuration has so far.
    pub(super) fn layer(&self, layer: &LayerRef, config: &ImageConfig) -> Result<Option<Digest>, Failure> {
        let key = match layer {
            LayerRef::Layer(digest) => return Ok(Some(digest.clone())),
            LayerRef::Step(key) => key,
        };
        // Fails where files are elsewhere.
        self.paths(std::slice::from_ref(layer))?;
        let digest = self.cache.into_layer(key, self.options.epoch, |upper, started| self.take(upper, config, started))?;
        // One made for another time nobody else keeps.
        self.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner).keep(&digest)?;
        Ok(digest)
    }

    /// `started`: when what is there began to be made; 0 when that is not known.
    fn take(&self, upper: &Path, config: &ImageConfig, started: i64) -> Result<Digest, Error> {
        let mut lease = self.lease.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let options = LayerOptions {
            below: &config.rootfs.diff_ids,
            newest: self.options.epoch,
            made_since: Some(started).filter(|started| *started > 0),
            single_id: self.single_id || are_recorded(upper),
            ..LayerOptions::default()
        };
        let layer = compose::take_layer(&self.store, &mut lease, upper, &options)?;
        Ok(layer.diff_id)
    }

    /// When the first of the steps a state is made of began.
    fn since(&self, result: &StageResult) -> Option<i64> {
        let started = result.trail.iter().filter_map(|(_, key)| self.cache.get(key)).map(|entry| entry.started);
        started.filter(|started| *started > 0).min()
    }

    /// One layer of several steps, the first of which began at `since`.
    fn squashed(&self, layers: &[LayerRef], config: &ImageConfig, since: Option<i64>) -> Result<Option<Digest>, Failure> {
        if self.paths(layers)?.is_empty() {
            return Ok(None);
        }
        let (_scratch, into) = self.steadily(layers, |paths| {
            let scratch = self.cache.scratch()?;
            let into = scratch.subdir("squash")?;
            super::squash::merge(paths, &into)?;
            Ok((scratch, into))
        })?;
        Ok(Some(self.take(&into, config, since.unwrap_or(0))?))
    }

    /// Whether owners are recorded in some of these layers: those of a user with one id, also of the time when he had one.
    fn recorded(&self, layers: &[LayerRef]) -> Result<bool, Failure> {
        Ok(self.single_id || self.paths(layers)?.iter().any(|layer| are_recorded(layer)))
    }

    fn open_layers(&self, layers: &[LayerRef]) -> Result<Vec<OwnedFd>, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |path: &PathBuf| {
            rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| Failure::from(Error::io("open", path)(errno.into())))
        };
        self.steadily(layers, |paths| paths.iter().rev().map(open).collect())
    }

    fn tar(&self, result: &StageResult, out: &mut dyn Write) -> Result<(), Failure> {
        let layers = self.open_layers(&result.layers)?;
        let mut tar = TarWriter::new(BufWriter::with_capacity(256 << 10, out));
        let (newest, made_since) = (self.options.epoch, self.since(result));
        let tree = TreeOptions { newest, made_since, overrides: self.recorded(&result.layers)?, ..TreeOptions::default() };
        let written = tar.merged(&layers, &tree).and_then(|()| tar.finish()).and_then(|mut out| out.flush());
        written.map_err(|error| Error::io("write", "the archive")(error).into())
    }

    /// The files, as the caller's own.
    fn local(&self, result: &StageResult, dir: &Path) -> Result<(), Failure> {
        std::fs::create_dir_all(dir).map_err(Error::io("create directory", dir))?;
        let scratch = self.cache.scratch()?;
        let view = self.readable(&scratch, "export", &result.layers)?;
        let from = view.open_root()?;
        let to = File::open(dir).map_err(Error::io("open", dir))?;
        let mask = rustix::process::umask(Mode::empty());
        let recorded = Recorded::default();
        let records = view.recorded().then_some(&recorded as &dyn Records);
        let copied = TreeCopy::new(to.as_fd(), Owner::Caller).recording(records).contents(from.as_fd(), false);
        rustix::process::umask(mask);
        copied.map_err(|error| Error::io(error.action, dir.join(error.path))(error.source))?;
        Ok(())
    }

    /// The image as an archive. It goes again unless it was here before.
    fn archive(&self, result: &StageResult, format: SaveFormat, place: Place<'_>, built: &mut Built) -> Result<(), Failure> {
        let names = names(&self.store, &self.options.tags)?;
        let before = self.store.records()?;
        let record = self.register(result, Vec::new())?;
        let known = built.image.is_some() || before.iter().any(|other| other.id == record.id);
        let id = record.id.clone();
        let image = Image { record, names: Vec::new(), repo_digests: Vec::new(), came_by: Default::default() };
        let how = archive::SaveOptions { format, ..archive::SaveOptions::default() };
        let subject = archive::Subject::new(&self.store, &image, &names).map_err(Error::from);
        let saved = subject.map_err(Failure::from).and_then(|subject| {
            place.fill(|target| Ok(archive::save(&self.store, &[subject], &how, target).map_err(Error::from)?))
        });
        if !known {
            self.store.remove(&id.to_string(), Removal::force(true), &|_| None).ok();
        }
        let manifest = saved?;
        built.image.get_or_insert(id.to_string());
        if let (None, Some((digest, size))) = (&built.manifest, manifest) {
            (built.manifest, built.manifest_size) = (Some(digest.to_string()), Some(size));
        }
        built.names = names.iter().map(ToString::to_string).collect();
        Ok(())
    }
}

/// The names an image gets.
pub(super) fn names(store: &ImageStore, tags: &[String]) -> Result<Vec<Reference>, Error> {
    let names = tags.iter().map(|text| Ok(store.reference(text)?)).collect::<Result<Vec<_>, Error>>()?;
    match names.iter().find(|name| name.digest().is_some()) {
        Some(name) => Err(StoreError::DigestTag(name.to_string()).into()),
        None => Ok(names),
    }
}

/// Where an archive goes.
#[derive(Clone, Copy)]
enum Place<'p> {
    /// A file, or standard output.
    File(Option<&'p Path>),
    /// An OCI layout.
    Directory(&'p Path),
}

impl Place<'_> {
    /// Has `work` write there.
    fn fill<T>(self, work: impl FnOnce(Target<'_>) -> Result<T, Failure>) -> Result<T, Failure> {
        match self {
            Place::Directory(dir) => work(Target::Directory(dir)),
            Place::File(Some(path)) => outfile::to_file(path, |out| work(Target::Stream(out))),
            Place::File(None) => outfile::to_stdout(|out| work(Target::Stream(out))),
        }
    }
}
