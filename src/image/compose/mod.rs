//! Making images here: layers from directories, images from layers. What `commit` and `build` are made of.
//!
//! Owns the way from an overlay's upper directory to a layer in the store and from a configuration to an image record.
//! Works as root of the user's namespace, since layers hold files of subordinate ids; forked children there may call
//! everything here ([`copy_layer`] starts threads). Must not know containers or Dockerfiles.
//!
//! # Steps
//! 1. `let mut lease = images.lease(&base_layers)?` keeps the layers built on, and those made, from a removal or a garbage
//!    collection that runs meanwhile. Hold it until the image is registered. Dying at any point leaves only garbage.
//! 2. A layer, in one of three ways:
//!    - [`take_layer`] renames an upper directory into the store: nothing is copied. Its archive is hashed once, its
//!      structure recorded, so that `save` and `push` write the very same bytes later.
//!    - [`copy_layer`] makes a layer of whatever is written to a [`TarWriter`]: a directory that stays in use
//!      (`commit`), a merged root (`--squash`), files of a build context.
//!    - [`write_layer`] writes an upper directory as an archive and stores nothing.
//! 3. [`append`] adds layer and history to a configuration (a base image's, or `ImageConfig::default()`).
//! 4. [`register`] records the image and moves names to it, atomically and last.
//!
//! # What a layer's archive says
//! Entries sorted by name, parents first; owners as numbers, those kept in `user.containers.override_stat` in single-id mode;
//! times as whole seconds, none later than [`LayerOptions::newest`] (`SOURCE_DATE_EPOCH`); whiteouts of every format of both
//! drivers as `.wh.` files and `.wh..wh..opq`; file capabilities and `user.*` attributes but not the drivers' own; hard links;
//! large files of holes in GNU's sparse format. So the same content gives the same digest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::archive::ArchiveError;
use super::archive::tarw::{TarWriter, TreeOptions, Written};
use super::config::{History, ImageConfig};
use super::durable;
use super::layers::{LayerError, LayerStore};
use super::lease::Lease;
use super::store::{ImageRecord, ImageStore, NewImage};
use super::unpack::pipe::HashedPipe;
use super::unpack::{Owners, UnpackOptions, UnpackReport, unpack_buffered};
use crate::spec::{Digest, Digester, Reference};

mod mounts;
#[cfg(test)]
mod tests;

pub use mounts::{MOUNT_POINTS, is_mount_point, remove_mount_points};

/// Says yes to paths that are left out.
pub type Skip<'f> = &'f (dyn Fn(&[u8]) -> bool + Sync);

/// How to make a layer of a directory.
#[derive(Default, Clone, Copy)]
pub struct LayerOptions<'f> {
    /// The layers below it, lowest first: tells whether the root directory itself was changed.
    pub below: &'f [Digest],
    /// Latest modification time the archive says, seconds since 1970 (`SOURCE_DATE_EPOCH`).
    pub newest: Option<i64>,
    /// When what was made here began to be made, seconds since 1970: later times become [`Self::newest`].
    pub made_since: Option<i64>,
    /// Only one id is mapped: true owners are kept in attributes.
    pub single_id: bool,
    /// Translates owners on disk that are not kept in attributes.
    pub owners: Option<&'f (dyn Fn(u32, u32) -> (u32, u32) + Sync)>,
    /// Paths (relative to the directory) to leave out with everything below. [`take_layer`] ignores it: a tree that is taken
    /// must be what its archive says (see [`remove_mount_points`]).
    pub skip: Option<Skip<'f>>,
}

/// A layer that is in the store now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewLayer {
    /// Digest of its uncompressed archive.
    pub diff_id: Digest,
    /// Entries in the archive; 0 when nothing was changed.
    pub entries: u64,
    /// Bytes of file content.
    pub size: u64,
    /// Length of the archive.
    pub archive_size: u64,
}

/// Writes an upper directory as a layer's archive and returns what was written. No digest is computed.
///
/// # Errors
/// When reading or writing fails.
pub fn write_layer(
    images: &ImageStore,
    upper: BorrowedFd<'_>,
    options: &LayerOptions<'_>,
    out: &mut dyn Write,
) -> Result<Written, ArchiveError> {
    let mut tar = TarWriter::new(BufWriter::with_capacity(256 << 10, out));
    let written = add_upper(images, &mut tar, upper, options).and_then(|()| {
        let written = tar.written();
        tar.finish().map(|_| written)
    });
    written.map_err(ArchiveError::io("write", "a layer's archive"))
}

/// Adds an upper directory as a layer's entries: for [`copy_layer`], together with other things.
///
/// # Errors
/// When reading or writing fails.
pub fn add_upper<W: Write>(
    images: &ImageStore,
    tar: &mut TarWriter<W>,
    upper: BorrowedFd<'_>,
    options: &LayerOptions<'_>,
) -> io::Result<()> {
    let skip = options.skip;
    let skip = skip.map(|skip| move |path: &[u8]| skip(path));
    let tree = TreeOptions {
        newest: options.newest,
        made_since: options.made_since,
        layer: true,
        skip: skip.as_ref().map(|skip| skip as &dyn Fn(&[u8]) -> bool),
        owners: options.owners.map(|owners| owners as &dyn Fn(u32, u32) -> (u32, u32)),
        overrides: options.single_id,
    };
    if root_changed(images, upper, options)? {
        tar.root(upper, &tree)?;
    }
    tar.tree(upper, &tree)
}

/// Makes a layer of an upper directory by renaming it into the store. On failure it is where it was.
///
/// Nobody may write to it any more. When it is on another file system, it is copied and then left for the caller; it is
/// left too when the store has this very layer already, since others may have mounted either.
///
/// # Errors
/// When it cannot be read, hashed or renamed.
pub fn take_layer(
    images: &ImageStore,
    lease: &mut Lease,
    upper: &Path,
    options: &LayerOptions<'_>,
) -> Result<NewLayer, ArchiveError> {
    let dir = open_dir(upper)?;
    let layers = LayerStore::open(images.data());
    let mut txn = layers.begin_unnamed()?;
    let failed = || ArchiveError::io("read", upper.display().to_string());
    let mut tar = TarWriter::recorded(Hashing::default(), txn.recorder()?);
    let options = LayerOptions { skip: None, ..*options };
    add_upper(images, &mut tar, dir.as_fd(), &options).map_err(failed())?;
    let (hashing, recorder, written) = tar.finish_recorded().map_err(failed())?;
    if let Some(recorder) = recorder {
        txn.recorded(recorder)?;
    }
    let diff_id = hashing.0.finish();
    if !same_device(dir.as_fd(), txn.dir()) {
        drop(txn);
        return copy_layer(images, lease, options.single_id, |tar| {
            add_upper(images, tar, dir.as_fd(), &options)
        });
    }
    let opaque_root = is_opaque_root(dir.as_fd());
    lease.keep([&diff_id])?;
    txn.commit_tree(&diff_id, &report(&written, opaque_root), upper)?;
    Ok(new_layer(diff_id, &written))
}

/// Makes a layer of what `fill` writes. `fill` runs in a thread of its own.
///
/// # Errors
/// When `fill` fails, or unpacking what it wrote does.
pub fn copy_layer(
    images: &ImageStore,
    lease: &mut Lease,
    single_id: bool,
    fill: impl FnOnce(&mut TarWriter<BufWriter<io::PipeWriter>>) -> io::Result<()> + Send,
) -> Result<NewLayer, ArchiveError> {
    let failed = || ArchiveError::io("write", "a layer's archive");
    let mut txn = LayerStore::open(images.data()).begin_unnamed()?;
    let mut recorder = txn.recorder()?;
    let unpack = UnpackOptions {
        owners: if single_id { Owners::Record } else { Owners::Set },
        ..UnpackOptions::default()
    };
    let (read, write) = io::pipe().map_err(failed())?;
    let (diff_id, report) = std::thread::scope(|scope| {
        let filling = scope.spawn(move || {
            let mut tar = TarWriter::new(BufWriter::with_capacity(1 << 20, write));
            fill(&mut tar)?;
            let written = tar.written();
            tar.finish().map(|_| written)
        });
        let mut pipe = HashedPipe::spawn(scope, read);
        let unpacked = unpack_buffered(&mut pipe, txn.dir(), &unpack, Some(&mut recorder));
        let digest = match &unpacked {
            Ok(_) => pipe.digest().map(|(digest, _)| digest),
            Err(_) => {
                drop(pipe);
                Err(io::ErrorKind::BrokenPipe.into())
            }
        };
        // Its error tells more than what the cut archive leads to, except that nobody read on.
        match filling.join() {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => return Err(failed()(error)),
            Ok(_) => {}
            Err(_) => return Err(failed()(io::Error::other("the writing thread failed"))),
        }
        let report = unpacked.map_err(|source| ArchiveError::Unpack {
            layer: "being made".to_owned(),
            source,
        })?;
        Ok((digest.map_err(failed())?, report))
    })?;
    txn.recorded(recorder)?;
    let layer = NewLayer {
        diff_id: diff_id.clone(),
        entries: report.entries,
        size: report.bytes,
        archive_size: report.archive_bytes,
    };
    lease.keep([&diff_id])?;
    txn.commit_as(&diff_id, &report)?;
    Ok(layer)
}

fn report(written: &Written, opaque_root: bool) -> UnpackReport {
    UnpackReport {
        entries: written.entries,
        files: written.files,
        bytes: written.bytes,
        archive_bytes: written.archive,
        highest_owner: written.highest_owner,
        opaque_root,
        ..UnpackReport::default()
    }
}

fn new_layer(diff_id: Digest, written: &Written) -> NewLayer {
    NewLayer {
        diff_id,
        entries: written.entries,
        size: written.bytes,
        archive_size: written.archive,
    }
}

/// The manifest an image gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Format {
    /// OCI's.
    #[default]
    Oci,
    /// docker's version 2, schema 2.
    Docker,
}

impl Format {
    /// Media types of manifest, configuration and uncompressed layers.
    #[must_use]
    pub fn media_types(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Oci => (
                "application/vnd.oci.image.manifest.v1+json",
                "application/vnd.oci.image.config.v1+json",
                "application/vnd.oci.image.layer.v1.tar",
            ),
            Self::Docker => (
                "application/vnd.docker.distribution.manifest.v2+json",
                "application/vnd.docker.container.image.v1+json",
                "application/vnd.docker.image.rootfs.diff.tar",
            ),
        }
    }
}

/// An image to be registered.
#[derive(Debug, Clone, Default)]
pub struct Draft {
    /// Its configuration; the layers it lists are in the store.
    pub config: ImageConfig,
    /// Names it gets; they are taken from the images that have them.
    pub names: Vec<Reference>,
    /// The local image it was built on.
    pub parent: Option<Digest>,
    /// The manifest it gets.
    pub format: Format,
    /// Annotations of the manifest (OCI only).
    pub annotations: BTreeMap<String, String>,
}

/// Adds a step to a configuration, with its layer if it made one. The history of what is below is completed first, so
/// that there is exactly one entry for each layer.
pub fn append(config: &mut ImageConfig, layer: Option<&Digest>, mut step: History) {
    let told = config.history.iter().filter(|step| !step.empty_layer).count();
    for _ in told..config.rootfs.diff_ids.len() {
        config.history.push(History::default());
    }
    step.empty_layer = layer.is_none();
    config.rootfs.diff_ids.extend(layer.cloned());
    config.history.push(step);
}

/// The manifest of an image whose layers are in the store, uncompressed.
///
/// # Errors
/// When a layer is missing.
pub fn manifest(
    images: &ImageStore,
    config: &[u8],
    format: Format,
    annotations: &BTreeMap<String, String>,
) -> Result<Vec<u8>, ArchiveError> {
    let layers = LayerStore::open(images.data());
    let (manifest_type, config_type, layer_type) = format.media_types();
    let mut descriptors = Vec::new();
    for layer in &ImageConfig::parse(config)?.rootfs.diff_ids {
        let record = layers.record(layer).ok_or_else(|| LayerError::Missing(layer.clone()))?;
        descriptors.push(json!({
            "mediaType": layer_type,
            "digest": layer,
            "size": record.report.archive_bytes,
        }));
    }
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": {"mediaType": config_type, "digest": Digest::of(config), "size": config.len()},
        "layers": descriptors,
    });
    if format == Format::Oci && !annotations.is_empty() {
        manifest["annotations"] = json!(annotations);
    }
    to_json("manifest", &manifest)
}

/// Records an image of layers that are in the store and gives it its names. The same configuration is the same image.
///
/// # Errors
/// When layers are missing or writing fails.
pub fn register(images: &ImageStore, draft: &Draft) -> Result<ImageRecord, ArchiveError> {
    let layers = LayerStore::open(images.data());
    let config = to_json("image configuration", &draft.config)?;
    let manifest = manifest(images, &config, draft.format, &draft.annotations)?;
    let unique: BTreeSet<&Digest> = draft.config.rootfs.diff_ids.iter().collect();
    let records: Vec<_> = unique.into_iter().filter_map(|layer| layers.record(layer)).collect();
    let new = NewImage {
        manifests: vec![images.blobs().put(&manifest)?],
        config,
        size: records.iter().map(|record| record.report.bytes).sum(),
        parent: draft.parent.clone(),
        ..NewImage::default()
    };
    match images.add(&new, &draft.names)? {
        Ok(record) => {
            // Nothing depends on it now; without it the layers would be lost in a power cut.
            if records.iter().any(|record| !record.synced) {
                durable::sync_in_background(images.data()).ok();
            }
            Ok(record)
        }
        Err(missing) => {
            let layer = missing.into_iter().next().unwrap_or_else(|| Digest::of(b""));
            Err(LayerError::Missing(layer).into())
        }
    }
}

fn to_json(document: &'static str, value: &impl Serialize) -> Result<Vec<u8>, ArchiveError> {
    serde_json::to_vec(value).map_err(|source| ArchiveError::Json { document, source })
}

/// Hashes what is written and keeps nothing.
struct Hashing(Digester);

impl Default for Hashing {
    fn default() -> Self {
        Self(Digester::new(crate::spec::digest::Algorithm::Sha256))
    }
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open_dir(path: &Path) -> Result<File, ArchiveError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => Ok(fd.into()),
        Err(errno) => Err(ArchiveError::io("open", path.display().to_string())(errno.into())),
    }
}

fn same_device(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    match (rustix::fs::fstat(one), rustix::fs::fstat(other)) {
        (Ok(one), Ok(other)) => one.st_dev == other.st_dev,
        _ => false,
    }
}

fn is_opaque_root(dir: BorrowedFd<'_>) -> bool {
    let mut value = [0u8; 4];
    matches!(rustix::fs::fgetxattr(dir, c"user.overlay.opaque", &mut value[..]), Ok(1) if value[0] == b'y')
}

/// Whether the directory itself differs from the root of the layers below: then it needs an entry of its own.
fn root_changed(
    images: &ImageStore,
    upper: BorrowedFd<'_>,
    options: &LayerOptions<'_>,
) -> io::Result<bool> {
    let look = |stat: &rustix::fs::Stat| (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid);
    let own = rustix::fs::fstat(upper)?;
    debug_assert_eq!(FileType::from_raw_mode(own.st_mode), FileType::Directory);
    let below = options.below.last().and_then(|layer| images.layer_dir(layer));
    let below = below.and_then(|dir| rustix::fs::stat(&dir).ok());
    Ok(look(&own) != below.map_or((0o755, 0, 0), |stat| look(&stat)))
}
