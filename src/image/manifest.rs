//! Image manifests and indexes, OCI and docker v2 schema 2, read from the bytes a digest was computed over.
//!
//! Owns recognising and checking these documents. The raw bytes are kept and never serialised again: a digest names
//! bytes, not meaning. Documents that could be read as two kinds are refused.

use std::collections::BTreeMap;

use oci_spec::image::{MediaType, ToDockerV2S2 as _};
use serde::Deserialize;

use crate::spec::{Digest, Platform};

/// Largest manifest or index accepted, in bytes (the limit registries enforce).
pub const MAX_MANIFEST: u64 = 4 << 20;
/// Most layers an image may have; overlay file systems cannot stack more.
pub const MAX_LAYERS: usize = 500;
const MAX_ENTRIES: usize = 10_000;

/// Everything a registry is asked for when a manifest is wanted.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// Why bytes are no usable manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// No JSON, or fields of a wrong type.
    #[error("the manifest is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// Bigger than [`MAX_MANIFEST`].
    #[error("the manifest is larger than {MAX_MANIFEST} bytes")]
    TooLarge,
    /// Fields of both an image manifest and an index, or a type that contradicts the fields.
    #[error(
        "the manifest is ambiguous ({0}); refused, because two readers could see two different images"
    )]
    Ambiguous(&'static str),
    /// The format of docker before 2016.
    #[error(
        "the registry offers only docker's schema 1 manifest, which is no longer supported; push the image again with a \
         current tool"
    )]
    Schema1,
    /// Neither an image nor an index.
    #[error("the manifest is of an unknown type \"{0}\"")]
    UnknownType(String),
    /// A valid manifest of something that cannot be run.
    #[error("this is not a container image but an artifact of type \"{0}\"")]
    Artifact(String),
    /// Too many layers or entries.
    #[error("the manifest lists {count} {what}; at most {most} are accepted")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many the document has.
        count: usize,
        /// The limit.
        most: usize,
    },
    /// All entries of an index are indexes.
    #[error("this index holds other indexes instead of images, which is not supported: name one of them by its digest (NAME@sha256:…)")]
    Nested,
    /// No entry of an index fits.
    #[error("no image for {wanted} in this index; it offers {offered}")]
    NoPlatform {
        /// The platform asked for.
        wanted: Platform,
        /// What there is instead.
        offered: String,
    },
}

/// A pointer to content: what it is, its digest and its size.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Type of the content, docker's names replaced by OCI's where both exist.
    #[serde(deserialize_with = "canonical_media_type", default = "no_media_type")]
    pub media_type: MediaType,
    /// Digest of the content.
    pub digest: Digest,
    /// Size of the content in bytes.
    pub size: u64,
    /// Free annotations.
    #[serde(default, deserialize_with = "null_is_default")]
    pub annotations: BTreeMap<String, String>,
    /// The platform of an index entry.
    #[serde(default)]
    pub platform: Option<EntryPlatform>,
    /// Type of an artifact, for index entries that are no images.
    #[serde(default)]
    pub artifact_type: Option<String>,
}

impl From<&Descriptor> for super::layers::LayerBlob {
    fn from(blob: &Descriptor) -> Self {
        Self { media_type: blob.media_type.to_string(), digest: blob.digest.clone(), size: blob.size }
    }
}

impl From<super::layers::LayerBlob> for Descriptor {
    fn from(blob: super::layers::LayerBlob) -> Self {
        Self {
            media_type: blob.media_type.as_str().into(),
            digest: blob.digest,
            size: blob.size,
            annotations: BTreeMap::new(),
            platform: None,
            artifact_type: None,
        }
    }
}

/// The platform as an index writes it; [`EntryPlatform::normal`] gives the comparable form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct EntryPlatform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
    #[serde(default)]
    variant: Option<String>,
}

impl EntryPlatform {
    /// The platform in normal form.
    #[must_use]
    pub fn normal(&self) -> Platform {
        Platform::new(&self.os, &self.architecture, self.variant.as_deref())
    }
}

/// An image manifest: one configuration and the layers, lowest first.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Descriptor of the image configuration.
    pub config: Descriptor,
    /// Layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Free annotations.
    pub annotations: BTreeMap<String, String>,
    /// Whether it is written in docker's media types.
    pub docker: bool,
}

/// An image index (docker: manifest list).
#[derive(Debug, Clone)]
pub struct Index {
    /// Manifests of the platforms, in the order of the document.
    pub manifests: Vec<Descriptor>,
}

/// What a registry may answer to a request for a manifest.
#[derive(Debug, Clone)]
pub enum Document {
    /// One image.
    Image(Box<Manifest>),
    /// A choice of images.
    Index(Index),
}

/// Both kinds at once, to see which fields are there.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    schema_version: Option<u32>,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default)]
    artifact_type: Option<String>,
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Option<Vec<Descriptor>>,
    #[serde(default)]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default)]
    fs_layers: Option<serde::de::IgnoredAny>,
    #[serde(default, deserialize_with = "null_is_default")]
    annotations: BTreeMap<String, String>,
}

impl Document {
    /// Reads a manifest or an index. `content_type` is what the registry or the descriptor said it is, if anything.
    ///
    /// # Errors
    /// When the bytes are neither, or could be both.
    pub fn parse(raw: &[u8], content_type: Option<&str>) -> Result<Self, ManifestError> {
        if raw.len() as u64 > MAX_MANIFEST {
            return Err(ManifestError::TooLarge);
        }
        let wire: Wire = serde_json::from_slice(raw)?;
        if wire.schema_version == Some(1) || wire.fs_layers.is_some() {
            return Err(ManifestError::Schema1);
        }
        let is_image = wire.layers.is_some() || wire.config.is_some();
        let is_index = wire.manifests.is_some();
        if is_image && is_index {
            return Err(ManifestError::Ambiguous("it has both layers and manifests"));
        }
        let inside = wire.media_type.as_deref().map(canonical);
        let outside = content_type
            .map(essence)
            .map(canonical)
            .filter(is_manifest_type);
        if let (Some(inside), Some(outside)) = (&inside, &outside)
            && inside != outside
        {
            return Err(ManifestError::Ambiguous(
                "its media type is not the one the registry sent it with",
            ));
        }
        let docker = wire
            .media_type
            .as_deref()
            .or(content_type)
            .is_some_and(|t| t.contains("vnd.docker."));
        let kind = inside.or(outside);
        match (kind, wire.config, wire.layers, wire.manifests) {
            (None | Some(MediaType::ImageManifest), Some(config), layers, None) => {
                let manifest = Manifest {
                    config,
                    layers: layers.unwrap_or_default(),
                    annotations: wire.annotations,
                    docker,
                };
                manifest
                    .checked(wire.artifact_type)
                    .map(|manifest| Self::Image(Box::new(manifest)))
            }
            (None | Some(MediaType::ImageIndex), None, None, Some(manifests)) => {
                limit("manifests", manifests.len(), MAX_ENTRIES)?;
                Ok(Self::Index(Index { manifests }))
            }
            (Some(MediaType::ImageManifest | MediaType::ImageIndex), ..) => Err(
                ManifestError::Ambiguous("its media type and its fields disagree"),
            ),
            (kind, ..) => Err(ManifestError::UnknownType(
                kind.map(|k| k.to_string())
                    .unwrap_or_default()
                    .chars()
                    .take(120)
                    .collect(),
            )),
        }
    }
}

impl Manifest {
    fn checked(self, artifact_type: Option<String>) -> Result<Self, ManifestError> {
        limit("layers", self.layers.len(), MAX_LAYERS)?;
        if !is_config_type(&self.config.media_type) {
            let kind = artifact_type.unwrap_or_else(|| self.config.media_type.to_string());
            return Err(ManifestError::Artifact(kind.chars().take(120).collect()));
        }
        Ok(self)
    }

    /// Sum of the compressed sizes of the layers, in bytes.
    #[must_use]
    pub fn download_size(&self) -> u64 {
        self.layers
            .iter()
            .fold(0, |sum, layer| u64::saturating_add(sum, layer.size))
    }
}

impl Index {
    /// The entry that serves `wanted` best. `exact` refuses the 32-bit stand-ins of a 64-bit processor.
    ///
    /// # Errors
    /// When nothing fits; the error lists what there is.
    pub fn select(&self, wanted: &Platform, exact: bool) -> Result<&Descriptor, ManifestError> {
        let rank = |candidate: &Platform| {
            if exact {
                wanted.rank(candidate)
            } else {
                wanted.rank_compatible(candidate)
            }
        };
        let images = || {
            self.manifests.iter().filter(|entry| {
                matches!(
                    entry.media_type,
                    MediaType::ImageManifest | MediaType::Other(_)
                ) && entry.artifact_type.is_none()
                    && !entry.annotations.contains_key("vnd.docker.reference.type")
            })
        };
        let best = images()
            .filter_map(|entry| {
                let candidate = entry.platform.as_ref()?.normal();
                rank(&candidate).map(|rank| (rank, entry))
            })
            .min_by_key(|(rank, _)| *rank)
            .map(|(_, entry)| entry);
        if let Some(entry) = best {
            return Ok(entry);
        }
        // An index of one image without a platform leaves no choice; the configuration says what it is for.
        let mut all = images();
        if let (Some(only), None) = (all.next(), all.next())
            && only.platform.as_ref().is_none_or(|p| p.os.is_empty())
        {
            return Ok(only);
        }
        if images().next().is_none() && self.manifests.iter().any(|entry| entry.media_type == MediaType::ImageIndex) {
            return Err(ManifestError::Nested);
        }
        let mut offered: Vec<String> = images()
            .filter_map(|entry| entry.platform.as_ref())
            .map(|platform| platform.normal().to_string())
            .take(30)
            .collect();
        offered.dedup();
        let offered = if offered.is_empty() {
            "none".to_owned()
        } else {
            offered.join(", ")
        };
        Err(ManifestError::NoPlatform {
            wanted: wanted.clone(),
            offered,
        })
    }
}

fn limit(what: &'static str, count: usize, most: usize) -> Result<(), ManifestError> {
    if count > most {
        return Err(ManifestError::TooMany { what, count, most });
    }
    Ok(())
}

/// The media type without parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The OCI type of a text, docker's names included.
fn canonical(text: &str) -> MediaType {
    let known = [
        MediaType::ImageIndex,
        MediaType::ImageManifest,
        MediaType::ImageConfig,
        MediaType::ImageLayerGzip,
    ];
    for oci in known {
        if oci.to_docker_v2s2().is_ok_and(|docker| docker == text) {
            return oci;
        }
    }
    match text {
        "application/vnd.docker.image.rootfs.diff.tar" => MediaType::ImageLayer,
        "application/vnd.docker.image.rootfs.diff.tar.zstd" => MediaType::ImageLayerZstd,
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => {
            MediaType::ImageLayerNonDistributableGzip
        }
        other => MediaType::from(other),
    }
}

fn is_manifest_type(kind: &MediaType) -> bool {
    matches!(kind, MediaType::ImageManifest | MediaType::ImageIndex)
}

/// Old tools wrote octet-stream for the configuration.
fn is_config_type(kind: &MediaType) -> bool {
    match kind {
        MediaType::ImageConfig => true,
        MediaType::Other(text) => matches!(
            text.as_str(),
            "" | "application/octet-stream"
                | "application/vnd.docker.container.image.rootfs.v1+json"
        ),
        _ => false,
    }
}

fn no_media_type() -> MediaType {
    MediaType::Other(String::new())
}

fn canonical_media_type<'de, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<MediaType, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(canonical(text.as_deref().unwrap_or_default()))
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn image(extra: &str) -> String {
        format!(
            r#"{{"schemaVersion":2,{extra}"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{D}","size":2}},
               "layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{D}","size":3}}]}}"#
        )
    }

    fn index(entries: &[(&str, &str, &str)]) -> Index {
        let entries: Vec<String> = entries
            .iter()
            .map(|(os, arch, variant)| {
                format!(
                    r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{D}","size":1,
                       "platform":{{"os":"{os}","architecture":"{arch}","variant":"{variant}"}}}}"#
                )
            })
            .collect();
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entries.join(",")
        );
        match Document::parse(text.as_bytes(), None).unwrap() {
            Document::Index(index) => index,
            Document::Image(_) => panic!("an index"),
        }
    }

    #[test]
    fn reads_images_of_both_worlds() {
        for extra in [
            "",
            r#""mediaType":"application/vnd.docker.distribution.manifest.v2+json","#,
            r#""mediaType":"application/vnd.oci.image.manifest.v1+json","annotations":null,"#,
        ] {
            let Document::Image(manifest) = Document::parse(image(extra).as_bytes(), None).unwrap()
            else {
                panic!("an image");
            };
            assert_eq!(manifest.layers[0].media_type, MediaType::ImageLayerGzip);
            assert_eq!(manifest.docker, extra.contains("docker"));
            assert_eq!(manifest.download_size(), 3);
        }
    }

    #[test]
    fn refuses_two_readings() {
        let both = image(r#""manifests":[],"#);
        assert!(matches!(
            Document::parse(both.as_bytes(), None),
            Err(ManifestError::Ambiguous(_))
        ));
        let lying = image(r#""mediaType":"application/vnd.oci.image.index.v1+json","#);
        assert!(matches!(
            Document::parse(lying.as_bytes(), None),
            Err(ManifestError::Ambiguous(_))
        ));
        let plain = image("");
        let list = "application/vnd.docker.distribution.manifest.list.v2+json; charset=utf-8";
        assert!(matches!(
            Document::parse(plain.as_bytes(), Some(list)),
            Err(ManifestError::Ambiguous(_))
        ));
        assert!(Document::parse(plain.as_bytes(), Some("text/html")).is_ok());
        let twice = image(r#""layers":[],"#);
        assert!(Document::parse(twice.as_bytes(), None).is_err());
        for text in [
            "",
            "null",
            "[]",
            "{}",
            "<html>",
            r#"{"schemaVersion":1,"fsLayers":[]}"#,
            r#"{"config":{"digest":"sha256:../x","size":1}}"#,
        ] {
            assert!(Document::parse(text.as_bytes(), None).is_err(), "{text}");
        }
    }

    #[test]
    fn artifacts_are_named() {
        let text = image("").replace(
            "application/vnd.oci.image.config.v1+json",
            "application/vnd.cncf.helm.config.v1+json",
        );
        match Document::parse(text.as_bytes(), None) {
            Err(ManifestError::Artifact(kind)) => assert!(kind.contains("helm")),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_index_of_indexes_is_said_to_be_one() {
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{D}","size":1}}]}}"#
        );
        let Document::Index(index) = Document::parse(text.as_bytes(), None).unwrap() else { panic!("an index") };
        assert!(matches!(index.select(&Platform::host(), true), Err(ManifestError::Nested)));
    }

    #[test]
    fn selects_platforms() {
        let choice = index(&[
            ("linux", "arm", "v6"),
            ("linux", "386", ""),
            ("unknown", "unknown", ""),
            ("linux", "arm", "v7"),
            ("windows", "amd64", ""),
        ]);
        let select = |text: &str, exact: bool| {
            let wanted: Platform = text.parse().unwrap();
            choice
                .select(&wanted, exact)
                .map(|d| d.platform.as_ref().unwrap().normal().to_string())
        };
        assert_eq!(select("linux/arm/v7", true).unwrap(), "linux/arm/v7");
        assert_eq!(select("linux/arm/v6", true).unwrap(), "linux/arm/v6");
        assert_eq!(select("linux/amd64", false).unwrap(), "linux/386");
        assert_eq!(select("linux/arm64", false).unwrap(), "linux/arm/v7");
        let error = select("linux/amd64", true).unwrap_err().to_string();
        assert!(error.contains("linux/arm/v6"), "{error}");
        assert!(
            index(&[("", "", "")])
                .select(&Platform::host(), true)
                .is_ok()
        );
    }
}
