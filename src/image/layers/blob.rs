//! Which blob of the content store a layer's archive came as.
//!
//! Noted only once the blob was seen to hold this very layer, whatever manifests claim. As long as the layer is here its
//! blob stays, also when the image both came with is gone. A file of its own: the record is rewritten by others.

use std::fs;

use serde::{Deserialize, Serialize};

use super::{LayerError, LayerStore};
use crate::spec::Digest;

/// Beside the layer's record.
pub(super) const BLOB: &str = "blob.json";

/// A blob that holds a layer's archive, compressed or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerBlob {
    /// As its manifest said.
    pub media_type: String,
    /// Digest of its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
}

impl LayerStore {
    /// The blob a layer came as, whether or not that is here.
    #[must_use]
    pub fn blob(&self, layer: &Digest) -> Option<LayerBlob> {
        serde_json::from_slice(&fs::read(self.path(layer).join(BLOB)).ok()?).ok()
    }

    /// Notes the blob a layer came as.
    ///
    /// # Errors
    /// When that cannot be written.
    pub fn note_blob(&self, layer: &Digest, blob: &LayerBlob) -> Result<(), LayerError> {
        let path = self.path(layer).join(BLOB);
        let aside = path.with_extension(format!("{}.new", std::process::id()));
        let write = || {
            fs::write(&aside, serde_json::to_vec(blob)?)?;
            fs::rename(&aside, &path)
        };
        write().map_err(LayerError::io("write", &path))
    }
}
