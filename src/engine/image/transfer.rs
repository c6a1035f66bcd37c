//! `load`, `import`, `save`: archives in and out. Works as root of the user's namespace, since layers hold files of
//! subordinate ids.

use std::fs::File;
use std::io::{IsTerminal as _, Write};
use std::path::{Path, PathBuf};

use crate::engine::options::{ArchiveFormat, ImportOptions, SaveOptions};
use crate::engine::{Engine, Error};
use crate::image::archive::tarw::TreeOptions;
use crate::image::archive::{self, ImportSpec, Input, LoadOptions, Loaded, Progress, SaveFormat, Subject, Target};
use crate::image::compose;
use crate::image::compress::Settings;
use crate::image::compression::Compression;
use crate::image::config::History;
use crate::image::registry::download;
use crate::image::unpack::Owners;
use crate::image::{Image, ImageStore, StoreError};
use crate::spec::{Platform, Reference};

/// Becomes root of the user's namespace and says what that means for owners.
pub(super) fn enter(engine: &Engine) -> Result<LoadOptions, Error> {
    let entered = crate::userns::enter(&engine.paths.run, false)?;
    let owners = if entered.map.is_single() { Owners::Record } else { Owners::Set };
    Ok(LoadOptions { owners, ..LoadOptions::default() })
}

/// Brings the images of an archive in: from a file, an OCI directory, or standard input. `say` gets lines for a
/// progress display.
///
/// # Errors
/// When the archive cannot be read or is none; images before the failing one stay.
pub fn load(engine: &Engine, input: Option<&Path>, say: &(dyn Fn(&str) + Sync)) -> Result<Vec<Loaded>, Error> {
    let input = match input {
        Some(path) => Input::Path(path.to_owned()),
        None => standard_input()?,
    };
    let policy = super::sign::policy()?;
    let options = LoadOptions { bare_words: true, policy, ..enter(engine)? };
    let progress = |what: Progress<'_>| match what {
        Progress::Layer(name) => say(&format!("Loading layer {}", layer_name(name))),
        Progress::Waiting(layer) => say(&format!("Waiting for another kelp to load layer {}", layer.short())),
        Progress::Skipped(what) => say(&format!("Skipping {what}")),
    };
    Ok(archive::load(&super::store(engine), input, &options, &progress)?)
}

/// `sha256:…` and `DIGEST/layer.tar` cut to twelve digits.
fn layer_name(name: &str) -> &str {
    let name = name.trim_start_matches("blobs/").trim_start_matches("sha256").trim_start_matches([':', '/']);
    name.get(..12).unwrap_or(name)
}

fn standard_input() -> Result<Input, Error> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Error::Usage("standard input is a terminal: give a file or pipe an archive in".into()));
    }
    let file = rustix::io::fcntl_dupfd_cloexec(&stdin, 3).map_err(|errno| Error::io("read", "standard input")(errno.into()))?;
    Ok(Input::File(File::from(file)))
}

/// Makes an image of a root file system archive (`-` is standard input) and returns its id.
///
/// # Errors
/// When the archive cannot be unpacked, or a change is none.
pub fn import(engine: &Engine, file: &str, reference: Option<&str>, options: ImportOptions) -> Result<String, Error> {
    let store = super::store(engine);
    let names: Vec<Reference> = reference.map(|text| store.reference(text)).transpose()?.into_iter().collect();
    if let Some(pinned) = names.iter().find(|name| name.digest().is_some()) {
        return Err(StoreError::DigestTag(pinned.to_string()).into());
    }
    let load = enter(engine)?;
    // Fetching starts threads, which entering does not allow.
    let url = file.starts_with("http://") || file.starts_with("https://");
    let (input, shown) = match file {
        "-" => (standard_input()?, file.to_owned()),
        _ if url => (Input::Stream(Box::new(download::download(file).map_err(Error::Registry)?)), download::redacted(file)),
        _ => (Input::Path(PathBuf::from(file)), file.to_owned()),
    };
    let spec = ImportSpec {
        names,
        execution: super::change::apply(&options.changes)?,
        message: options.message.unwrap_or_else(|| format!("Imported from {shown}")),
        platform: options.platform.unwrap_or_else(Platform::host),
        created: None,
    };
    Ok(archive::import(&store, input, spec, &load)?.id.to_string())
}

/// Writes images: as one archive to `out`, or with [`ArchiveFormat::is_directory`] into the directory `out` names.
///
/// # Errors
/// No such image; a layer whose archive was not kept; writing fails.
pub fn save(engine: &Engine, images: &[String], options: &SaveOptions, out: Output<'_>) -> Result<(), Error> {
    let store = super::store(engine);
    let mut wanted: Vec<(Image, Vec<Reference>)> = Vec::new();
    for text in images {
        let image = store.resolve_on(text, options.platform.as_ref())?;
        if let Some(platform) = options.platform.as_ref().filter(|wanted| wanted.rank(&image.record.platform).is_none()) {
            return Err(Error::Usage(format!("image {text} is for {}, not for {platform}", image.record.platform)));
        }
        // By id none goes along, as with docker and podman; by name, this one.
        let names = store.name_of(text)?.into_iter().collect();
        match wanted.iter_mut().find(|(other, _)| other.record.id == image.record.id) {
            Some((_, all)) => all.extend(names),
            None => wanted.push((image, names)),
        }
    }
    let format = match options.format {
        ArchiveFormat::Docker => SaveFormat::Docker,
        ArchiveFormat::Oci | ArchiveFormat::OciDir => SaveFormat::Oci,
        ArchiveFormat::DockerDir if wanted.len() > 1 => {
            return Err(Error::Usage("docker-dir holds one image: save several to an archive or an oci-dir".into()));
        }
        ArchiveFormat::DockerDir => SaveFormat::Dir,
    };
    let how = archive::SaveOptions { format, compression: options.compress.then(|| Settings::new(Compression::Gzip)), manifest: None };
    let target = match out {
        Output::Stream(out) => Target::Stream(out),
        Output::Directory(path) => Target::Directory(path),
    };
    let load = enter(engine)?;
    if options.squash {
        return squashed(&store, &wanted, load.owners == Owners::Record, |subjects| {
            Ok(archive::save(&store, subjects, &how, target).map(drop)?)
        });
    }
    let subjects = wanted
        .iter()
        .map(|(image, names)| Subject::new(&store, image, names))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(archive::save(&store, &subjects, &how, target).map(drop)?)
}

/// Where `save` writes.
pub enum Output<'a> {
    /// One archive.
    Stream(&'a mut dyn Write),
    /// Files in this directory.
    Directory(&'a Path),
}

/// Makes one layer of all those of each image, for as long as `work` takes.
fn squashed(
    store: &ImageStore,
    wanted: &[(Image, Vec<Reference>)],
    single_id: bool,
    work: impl FnOnce(&[Subject]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut lease = store.lease([])?;
    let mut subjects = Vec::new();
    let mut made = Vec::new();
    for (image, names) in wanted {
        let run = store.for_run(image.record.clone())?;
        let (layers, overrides) = super::opened(&run)?;
        let layer = compose::copy_layer(store, &mut lease, single_id, |tar| {
            tar.merged(&layers, &TreeOptions { overrides, ..TreeOptions::default() })
        })?;
        let mut config = run.config;
        config.rootfs.diff_ids.clear();
        config.history.clear();
        let step = History {
            created: config.created.clone(),
            comment: Some(format!("squashed from {}", image.record.id)),
            ..History::default()
        };
        compose::append(&mut config, Some(&layer.diff_id), step);
        let config = serde_json::to_vec(&config).map_err(|error| Error::Internal(error.to_string()))?;
        subjects.push(Subject { config, ..Subject::new(store, image, names)? });
        made.push(layer.diff_id);
    }
    let done = work(&subjects);
    drop(lease);
    store.forget_layers(&made)?;
    crate::image::durable::clear_in_background(store.data()).ok();
    done
}
