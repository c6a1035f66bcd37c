//! `save`: images as docker-archive, OCI archive, OCI directory, or directory of one image (`dir:`).
//!
//! Owns the layouts. Layers are written straight from the store and byte for byte as they came, uncompressed unless asked
//! otherwise, so an image keeps its id and its layers their digests. Compressed ones are spooled, since their digests and
//! sizes stand before them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use serde_json::{Value, json};

use super::ArchiveError;
use super::sink::Sink;
use crate::image::compose::Format;
use crate::image::compress::{Encoder, Settings};
use crate::image::compression::Compression;
use crate::image::config::ImageConfig;
use crate::image::manifest::{Document, MAX_MANIFEST};
use crate::image::lists::{DOCKER_LIST, List, OCI_INDEX};
use crate::image::origin::Origin;
use crate::image::store::{Image, ImageRecord, ImageStore};
use crate::spec::digest::Algorithm;
use crate::spec::{Digest, Digester, Reference};

/// The layout to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SaveFormat {
    /// What `docker save` writes and every tool reads.
    #[default]
    Docker,
    /// An OCI image layout.
    Oci,
    /// One image: its manifest, configuration and layers as files (`dir:`).
    Dir,
}

/// Where to write.
pub enum Target<'a> {
    /// One stream.
    Stream(&'a mut dyn Write),
    /// Files in a directory, beside those of an OCI layout that is there.
    Directory(&'a Path),
}

/// How to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SaveOptions {
    /// The layout.
    pub format: SaveFormat,
    /// Compress layers so.
    pub compression: Option<Settings>,
    /// Manifests of this kind, where the layout leaves the choice; OCI's in OCI layouts, else docker's.
    pub manifest: Option<Format>,
}

/// An image to be written.
#[derive(Debug, Clone)]
pub struct Subject {
    /// Bytes of its configuration.
    pub config: Vec<u8>,
    /// Names it gets back, as the layout writes them.
    pub names: Vec<String>,
    /// Annotations of its manifest, where the layout has them.
    pub annotations: BTreeMap<String, String>,
}

impl Subject {
    /// An image of the store.
    ///
    /// # Errors
    /// When its configuration is gone.
    pub fn new(images: &ImageStore, image: &Image, names: &[Reference]) -> Result<Self, ArchiveError> {
        let config = images.config_bytes(&image.record.id)?;
        let names = names.iter().map(ToString::to_string).collect();
        Ok(Self { config, names, annotations: annotations(images, &image.record)? })
    }
}

/// The annotations of the manifest an image is known by.
fn annotations(images: &ImageStore, record: &ImageRecord) -> Result<BTreeMap<String, String>, ArchiveError> {
    for digest in &record.manifests {
        let Some(bytes) = images.blobs().read(digest, MAX_MANIFEST)? else { continue };
        if let Ok(Document::Image(manifest)) = Document::parse(&bytes, None)
            && manifest.config.digest == record.id
        {
            return Ok(manifest.annotations);
        }
    }
    Ok(BTreeMap::new())
}

/// Writes images. Layers they share are written once. Returns digest and size of the last manifest (none in a docker-archive).
///
/// # Errors
/// When a layer's archive was not kept or is damaged, or writing fails.
pub fn save(
    images: &ImageStore,
    wanted: &[Subject],
    options: &SaveOptions,
    target: Target<'_>,
) -> Result<Option<(Digest, usize)>, ArchiveError> {
    let sink = match target {
        Target::Stream(out) => Sink::tar(out),
        Target::Directory(path) => Sink::directory(path)?,
    };
    let mut saver = Saver { images, sink, options, written: BTreeMap::new() };
    let digest = match options.format {
        SaveFormat::Docker => saver.docker(wanted).map(|()| None)?,
        SaveFormat::Oci => saver.oci(wanted)?,
        SaveFormat::Dir => Some(saver.dir(wanted)?),
    };
    saver.sink.finish()?;
    Ok(digest)
}

/// Writes a list with its images, as an OCI layout or `dir:`. `members` are the images of its entries, in their order; `names`
/// is what the layout calls the list. Returns digest and size of the index.
///
/// # Errors
/// As [`save`]; a docker-archive has no place for a list.
pub fn save_list(
    images: &ImageStore,
    (list, members): (&List, &[Subject]),
    names: &[String],
    options: &SaveOptions,
    target: Target<'_>,
) -> Result<(Digest, usize), ArchiveError> {
    let sink = match target {
        Target::Stream(out) => Sink::tar(out),
        Target::Directory(path) => Sink::directory(path)?,
    };
    let mut saver = Saver { images, sink, options, written: BTreeMap::new() };
    let written = match options.format {
        SaveFormat::Docker => return Err(ArchiveError::damaged("a docker-archive holds no lists")),
        SaveFormat::Oci => saver.oci_list(list, members, names)?,
        SaveFormat::Dir => saver.dir_list(list, members)?,
    };
    saver.sink.finish()?;
    Ok(written)
}

struct Saver<'a> {
    images: &'a ImageStore,
    sink: Sink<'a>,
    options: &'a SaveOptions,
    /// Members by name, with digest and size.
    written: BTreeMap<String, (Digest, u64)>,
}

/// What a member is called: by the digest of its bytes, and of the uncompressed layer.
type Name<'n> = &'n dyn Fn(&Digest, &Digest) -> String;
/// What a blob or document is called by its digest.
type DigestName<'n> = &'n dyn Fn(&Digest) -> String;

impl Saver<'_> {
    fn docker(&mut self, wanted: &[Subject]) -> Result<(), ArchiveError> {
        let mut manifest = Vec::new();
        for subject in wanted {
            let mut layers = Vec::new();
            for layer in &ImageConfig::parse(&subject.config)?.rootfs.diff_ids {
                self.layer(layer, &|_, diff_id| format!("{}.tar", diff_id.hex()))?;
                layers.push(format!("{}.tar", layer.hex()));
            }
            let config = format!("{}.json", Digest::of(&subject.config).hex());
            self.document(&config, &subject.config)?;
            manifest.push(json!({"Config": config, "RepoTags": subject.names, "Layers": layers}));
        }
        self.sink.document("manifest.json", &to_bytes(&manifest.into())?)
    }

    fn oci(&mut self, wanted: &[Subject]) -> Result<Option<(Digest, usize)>, ArchiveError> {
        let name = |digest: &Digest| format!("blobs/{}", digest.path().display());
        self.sink.document("oci-layout", &to_bytes(&json!({"imageLayoutVersion": "1.0.0"}))?)?;
        let names: Vec<&String> = wanted.iter().flat_map(|subject| &subject.names).collect();
        let mut entries = self.earlier(&names);
        let mut last = None;
        for subject in wanted {
            let kind = self.options.manifest.unwrap_or(Format::Oci);
            let manifest = self.manifest(subject, kind, &|digest, _| name(digest))?;
            self.document(&name(&Digest::of(&subject.config)), &subject.config)?;
            let digest = self.document(&name(&Digest::of(&manifest)), &manifest)?;
            let platform = ImageConfig::parse(&subject.config)?.platform();
            let mut entry = json!({
                "mediaType": kind.media_types().0,
                "digest": digest,
                "size": manifest.len(),
                "platform": {"architecture": platform.architecture, "os": platform.os},
            });
            if let Some(variant) = &platform.variant {
                entry["platform"]["variant"] = json!(variant);
            }
            last = Some((digest, manifest.len()));
            entries.extend(named(&entry, &subject.names));
        }
        self.index_json(&entries)?;
        Ok(last)
    }

    fn index_json(&mut self, entries: &[Value]) -> Result<(), ArchiveError> {
        let index = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries});
        self.sink.document("index.json", &to_bytes(&index)?)
    }

    /// As BuildKit and skopeo have it: the list is a blob, and what the layout's own index names.
    fn oci_list(&mut self, list: &List, members: &[Subject], names: &[String]) -> Result<(Digest, usize), ArchiveError> {
        let name = |digest: &Digest| format!("blobs/{}", digest.path().display());
        self.sink.document("oci-layout", &to_bytes(&json!({"imageLayoutVersion": "1.0.0"}))?)?;
        let mut entries = self.earlier(&names.iter().collect::<Vec<_>>());
        let kind = self.options.manifest.unwrap_or(Format::Oci);
        let index = self.members(list, members, kind, (&name, &name))?;
        let digest = self.document(&name(&Digest::of(index.as_bytes())), index.as_bytes())?;
        let media_type = if kind == Format::Docker { DOCKER_LIST } else { OCI_INDEX };
        entries.extend(named(&json!({"mediaType": media_type, "digest": digest, "size": index.len()}), names));
        self.index_json(&entries)?;
        Ok((digest, index.len()))
    }

    fn dir_list(&mut self, list: &List, members: &[Subject]) -> Result<(Digest, usize), ArchiveError> {
        self.sink.document("version", b"Directory Transport Version: 1.1\n")?;
        let kind = self.options.manifest.unwrap_or(Format::Docker);
        let names: (DigestName<'_>, DigestName<'_>) = (&|digest| digest.hex().to_owned(), &|digest| format!("{}.manifest.json", digest.hex()));
        let index = self.members(list, members, kind, names)?;
        self.sink.document("manifest.json", index.as_bytes())?;
        Ok((Digest::of(index.as_bytes()), index.len()))
    }

    /// Writes the images of a list, and returns the list as it is with their manifests. Blobs and manifests are called by what
    /// the two functions say.
    fn members(
        &mut self,
        list: &List,
        members: &[Subject],
        kind: Format,
        (blob, document): (DigestName<'_>, DigestName<'_>),
    ) -> Result<String, ArchiveError> {
        let mut list = list.clone();
        for (entry, subject) in list.entries.iter_mut().zip(members) {
            let manifest = self.manifest(subject, kind, &|digest, _| blob(digest))?;
            self.document(&blob(&Digest::of(&subject.config)), &subject.config)?;
            entry.digest = self.document(&document(&Digest::of(&manifest)), &manifest)?;
            entry.size = manifest.len() as u64;
            kind.media_types().0.clone_into(&mut entry.media_type);
        }
        Ok(list.index(kind).to_string())
    }

    /// The entries of the index that is there, but for those whose names are given away now.
    fn earlier(&self, names: &[&String]) -> Vec<Value> {
        let index = self.sink.read("index.json", MAX_MANIFEST);
        let index: Value = index.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let taken = |entry: &Value| {
            let name = entry["annotations"]["org.opencontainers.image.ref.name"].as_str();
            name.is_some_and(|name| names.iter().any(|new| *new == name))
        };
        let Value::Array(mut entries) = index["manifests"].clone() else { return Vec::new() };
        entries.retain(|entry| !taken(entry));
        entries
    }

    fn dir(&mut self, wanted: &[Subject]) -> Result<(Digest, usize), ArchiveError> {
        let [subject] = wanted else {
            return Err(ArchiveError::damaged("this layout holds exactly one image"));
        };
        self.sink.document("version", b"Directory Transport Version: 1.1\n")?;
        let kind = self.options.manifest.unwrap_or(Format::Docker);
        let manifest = self.manifest(subject, kind, &|digest, _| digest.hex().to_owned())?;
        self.document(Digest::of(&subject.config).hex(), &subject.config)?;
        self.sink.document("manifest.json", &manifest)?;
        Ok((Digest::of(&manifest), manifest.len()))
    }

    /// Writes the layers of an image and returns its manifest.
    fn manifest(&mut self, subject: &Subject, kind: Format, name: Name<'_>) -> Result<Vec<u8>, ArchiveError> {
        let (manifest_type, config_type, plain_type) = kind.media_types();
        let layer_type = match self.options.compression.map(|settings| settings.format) {
            None | Some(Compression::None) => plain_type,
            Some(Compression::Gzip) if kind == Format::Docker => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            Some(Compression::Gzip) => "application/vnd.oci.image.layer.v1.tar+gzip",
            Some(Compression::Zstd) => "application/vnd.oci.image.layer.v1.tar+zstd",
        };
        let mut layers = Vec::new();
        for layer in &ImageConfig::parse(&subject.config)?.rootfs.diff_ids {
            let (digest, size) = self.layer(layer, name)?;
            layers.push(json!({"mediaType": layer_type, "digest": digest, "size": size}));
        }
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": manifest_type,
            "config": {"mediaType": config_type, "digest": Digest::of(&subject.config), "size": subject.config.len()},
            "layers": layers,
        });
        // docker's manifests have none.
        if kind == Format::Oci && !subject.annotations.is_empty() {
            manifest["annotations"] = json!(subject.annotations);
        }
        to_bytes(&manifest)
    }

    /// Writes a layer unless it is there already; returns its digest as written, and its size.
    fn layer(&mut self, layer: &Digest, name: Name<'_>) -> Result<(Digest, u64), ArchiveError> {
        let settings = self.options.compression.filter(|settings| settings.format != Compression::None);
        // Compressed layers are found by what they are, since their names are not known before.
        let key = format!("layer {layer}");
        if let Some(known) = self.written.get(&key) {
            return Ok(known.clone());
        }
        let origin = Origin::find(self.images, layer)?;
        let mut plain = |out: &mut dyn Write| origin.write(out);
        let done = match settings {
            None => {
                let size = origin.size();
                self.sink.member(&name(layer, layer), size, &mut plain)?;
                (layer.clone(), size)
            }
            Some(settings) => {
                let (mut spool, digest, size) = spool(self.images.data(), settings, &mut plain)?;
                self.sink.member(&name(&digest, layer), size, &mut |out| {
                    let failed = || ArchiveError::io("write", "the archive");
                    spool.rewind().map_err(failed())?;
                    io::copy(&mut spool, out).map_err(failed())
                })?;
                (digest, size)
            }
        };
        self.written.insert(key, done.clone());
        Ok(done)
    }

    /// Writes a document once; returns its digest.
    fn document(&mut self, name: &str, bytes: &[u8]) -> Result<Digest, ArchiveError> {
        let digest = Digest::of(bytes);
        let known = self.written.insert(name.to_owned(), (digest.clone(), bytes.len() as u64));
        if known.is_none() {
            self.sink.document(name, bytes)?;
        }
        Ok(digest)
    }
}

/// An entry of an OCI layout's index under each of its names.
fn named(entry: &Value, names: &[String]) -> Vec<Value> {
    if names.is_empty() {
        return vec![entry.clone()];
    }
    let under = |name: &String| {
        let mut entry = entry.clone();
        entry["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        if name.contains(['/', ':']) {
            entry["annotations"]["io.containerd.image.name"] = json!(name);
        }
        entry
    };
    names.iter().map(under).collect()
}

/// Compresses into a file without a name.
fn spool(
    data: &Path,
    settings: Settings,
    fill: &mut dyn FnMut(&mut dyn Write) -> Result<u64, ArchiveError>,
) -> Result<(File, Digest, u64), ArchiveError> {
    let failed = || ArchiveError::io("compress", "a layer");
    let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(CWD, data, flags, Mode::RUSR | Mode::WUSR) {
        Ok(fd) => File::from(fd),
        // A file system without nameless files.
        Err(_) => {
            let path = data.join(format!(".spool-{}", std::process::id()));
            let file = File::options().read(true).write(true).create(true).truncate(true).open(&path);
            let file = file.map_err(failed())?;
            std::fs::remove_file(&path).map_err(failed())?;
            file
        }
    };
    let hashing = Hashing { file, digester: Digester::new(Algorithm::Sha256), length: 0 };
    let mut encoder = Encoder::new(settings, hashing);
    fill(&mut encoder)?;
    let done = encoder.finish().map_err(failed())?;
    Ok((done.file, done.digester.finish(), done.length))
}

/// A file whose content is hashed on the way.
struct Hashing {
    file: File,
    digester: Digester,
    length: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.digester.update(&bytes[..count]);
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn to_bytes(value: &Value) -> Result<Vec<u8>, ArchiveError> {
    serde_json::to_vec(value).map_err(|source| ArchiveError::Json { document: "manifest", source })
}
