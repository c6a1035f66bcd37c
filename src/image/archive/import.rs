//! `import`: a tar archive of a root file system becomes an image of one layer.

use std::fs::File;
use std::io::Read;

use super::ingest::unpack_into;
use super::{ArchiveError, Input, LoadOptions, Loaded};
use crate::image::config::{Execution, History, ImageConfig, RootFs};
use crate::image::durable;
use crate::image::layers::LayerStore;
use crate::image::packed;
use crate::image::store::{ImageStore, NewImage};
use crate::spec::{Platform, Reference};

/// What an imported image says of itself.
#[derive(Debug, Clone)]
pub struct ImportSpec {
    /// Names it gets.
    pub names: Vec<Reference>,
    /// What containers get from it (`--change`).
    pub execution: Execution,
    /// A remark in its history (`--message`).
    pub message: String,
    /// What it is for.
    pub platform: Platform,
    /// When it was made, RFC 3339; now if absent.
    pub created: Option<String>,
}

impl Default for ImportSpec {
    fn default() -> Self {
        Self {
            names: Vec::new(),
            execution: Execution::default(),
            message: String::new(),
            platform: Platform::host(),
            created: None,
        }
    }
}

/// Makes an image of a root file system archive, compressed or not.
///
/// # Errors
/// When the archive cannot be read or unpacked, or the image not recorded.
pub fn import(
    images: &ImageStore,
    input: Input,
    spec: ImportSpec,
    options: &LoadOptions,
) -> Result<Loaded, ArchiveError> {
    let stream: Box<dyn Read + Send> = match input {
        Input::Path(path) => {
            let shown = path.display().to_string();
            Box::new(File::open(&path).map_err(ArchiveError::io("open", shown))?)
        }
        Input::File(file) => Box::new(file),
        Input::Stream(stream) => stream,
    };
    let stream = packed::plain(stream).map_err(ArchiveError::io("read", "the archive"))?;
    let layers = LayerStore::open(images.data());
    let mut txn = layers.begin_unnamed()?;
    let unpacked = unpack_into(&mut txn, stream, "the archive", options)?;
    txn.commit_as(&unpacked.diff_id, &unpacked.report)?;
    if !options.no_sync {
        durable::sync_in_background(images.data()).ok();
    }
    let created = spec
        .created
        .unwrap_or_else(|| jiff::Timestamp::now().to_string());
    let config = ImageConfig {
        created: Some(created.clone()),
        architecture: spec.platform.architecture.clone(),
        variant: spec.platform.variant.clone(),
        os: spec.platform.os.clone(),
        config: spec.execution,
        rootfs: RootFs {
            diff_ids: vec![unpacked.diff_id.clone()],
            ..RootFs::default()
        },
        history: vec![History {
            created: Some(created),
            comment: Some(spec.message),
            ..History::default()
        }],
        ..ImageConfig::default()
    };
    let new = NewImage {
        config: serde_json::to_vec(&config).map_err(|source| ArchiveError::Json {
            document: "image configuration",
            source,
        })?,
        size: unpacked.report.bytes,
        ..NewImage::default()
    };
    match images.add(&new, &spec.names)? {
        Ok(record) => Ok(Loaded {
            id: record.id,
            names: spec.names,
        }),
        Err(_) => Err(ArchiveError::damaged(
            "its layer was removed while it was imported",
        )),
    }
}
