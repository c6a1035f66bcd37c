//! `policy.json`: which images may come in, in the containers format. Without the file, all may.
//!
//! Owns reading it, finding the requirements for an image, and judging them. A requirement that cannot be checked here is
//! one that is not met.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{PublicKey, Signed, SignatureError, check};
use crate::image::registry::RegistryError;
use crate::spec::{Digest, Reference};

const MAX_FILE: u64 = 4 << 20;
const SYSTEM: &str = "/etc/containers/policy.json";

/// Why an image may not come in.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read the signature policy {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not as expected.
    #[error("cannot understand the signature policy {path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The policy says no.
    #[error("{image} is rejected by the signature policy {path} ({scope}): {reason}")]
    Rejected {
        /// The image, or the kind of archive.
        image: String,
        /// The file.
        path: PathBuf,
        /// The scope of it that decides.
        scope: String,
        /// Why.
        reason: String,
    },
    /// The signatures could not be fetched.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// A policy.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    path: PathBuf,
    document: Option<Document>,
}

/// What is not known here may be what keeps an image out: a file with such keys is refused, as one with keys given twice.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    default: Vec<Requirement>,
    #[serde(default)]
    transports: Unique<Unique<Vec<Requirement>>>,
}

// The variants without fields have braces, since serde would take any field for them otherwise.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
enum Requirement {
    InsecureAcceptAnything {},
    Reject {},
    SignedBy {
        #[serde(default, rename = "keyType")]
        _key_type: Option<IgnoredAny>,
        #[serde(default, rename = "keyPath")]
        _key_path: Option<IgnoredAny>,
        #[serde(default, rename = "keyPaths")]
        _key_paths: Option<IgnoredAny>,
        #[serde(default, rename = "keyData")]
        _key_data: Option<IgnoredAny>,
        #[serde(default, rename = "signedIdentity")]
        _signed_identity: Option<IgnoredAny>,
    },
    SignedBaseLayer {
        #[serde(default, rename = "baseLayerIdentity")]
        _base_layer_identity: Option<IgnoredAny>,
    },
    #[serde(rename_all = "camelCase")]
    SigstoreSigned {
        #[serde(default)]
        key_path: Option<PathBuf>,
        #[serde(default)]
        key_paths: Vec<PathBuf>,
        #[serde(default)]
        key_data: Option<String>,
        #[serde(default)]
        key_datas: Vec<String>,
        #[serde(default)]
        fulcio: Option<IgnoredAny>,
        #[serde(default)]
        pki: Option<IgnoredAny>,
        #[serde(default)]
        rekor_public_key_path: Option<IgnoredAny>,
        #[serde(default)]
        rekor_public_key_paths: Option<IgnoredAny>,
        #[serde(default)]
        rekor_public_key_data: Option<IgnoredAny>,
        #[serde(default)]
        rekor_public_key_datas: Option<IgnoredAny>,
        #[serde(default)]
        signed_identity: Names,
    },
}

/// Which names a signature may have.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
enum Names {
    MatchRepoDigestOrExact {},
    MatchExact {},
    MatchRepository {},
    #[serde(rename_all = "camelCase")]
    ExactReference { docker_reference: String },
    #[serde(rename_all = "camelCase")]
    ExactRepository { docker_repository: String },
    #[serde(rename_all = "camelCase")]
    RemapIdentity { prefix: String, signed_prefix: String },
}

impl Default for Names {
    fn default() -> Self {
        Self::MatchRepoDigestOrExact {}
    }
}

/// A map in which no key may be given twice: whoever reads the file would see one, we the other.
#[derive(Debug, Clone)]
struct Unique<T>(BTreeMap<String, T>);

impl<T> Default for Unique<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = BTreeMap<String, T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if all.contains_key(&key) {
                        return Err(A::Error::custom(format_args!("\"{key}\" is there twice")));
                    }
                    all.insert(key, value);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData)).map(Self)
    }
}

/// What kind of archive an image comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Archive {
    /// `docker-archive`: policies know no places of it.
    Docker,
    /// `oci-archive`.
    Oci,
    /// `oci`: a directory.
    OciDir,
    /// `dir`.
    Dir,
}

impl Archive {
    fn transport(self) -> &'static str {
        match self {
            Self::Docker => "docker-archive",
            Self::Oci => "oci-archive",
            Self::OciDir => "oci",
            Self::Dir => "dir",
        }
    }
}

impl Policy {
    /// Reads the user's policy or, without one, the system's. `env` reads the environment.
    ///
    /// # Errors
    /// When the file is there and cannot be used: then nothing may come in.
    pub fn load(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, PolicyError> {
        let var = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let user = var("XDG_CONFIG_HOME").or_else(|| var("HOME").map(|home| home.join(".config")));
        for path in [user.map(|config| config.join("containers/policy.json")), Some(SYSTEM.into())].into_iter().flatten() {
            match File::open(&path) {
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(source) => return Err(PolicyError::File { path, source }),
                Ok(file) => return Self::read(file, path),
            }
        }
        Ok(Self::default())
    }

    fn read(file: File, path: PathBuf) -> Result<Self, PolicyError> {
        let mut text = String::new();
        match file.take(MAX_FILE).read_to_string(&mut text) {
            Ok(_) => Self::parse(&text, path),
            Err(source) => Err(PolicyError::File { path, source }),
        }
    }

    pub(super) fn parse(text: &str, path: PathBuf) -> Result<Self, PolicyError> {
        let read = serde_json::from_str(text).map_err(|error| error.to_string());
        match read.and_then(Document::checked) {
            Ok(document) => Ok(Self { path, document: Some(document) }),
            Err(reason) => Err(PolicyError::Malformed { path, reason }),
        }
    }

    /// Judges an image of a registry. `digests` name it from the manifest outwards (manifest, then indexes it was chosen
    /// from): a signature of any of them covers it. `fetch` gets the signatures of one.
    ///
    /// # Errors
    /// [`PolicyError::Rejected`] when it may not come in.
    pub fn admit(
        &self,
        image: &Reference,
        digests: &[Digest],
        fetch: &dyn Fn(&Digest) -> Result<Vec<Signed>, RegistryError>,
    ) -> Result<(), PolicyError> {
        let Some(document) = &self.document else { return Ok(()) };
        let (scope, requirements) = document.of(image);
        let rejected = |reason: String| PolicyError::Rejected {
            image: image.familiar(),
            path: self.path.clone(),
            scope: scope.clone(),
            reason,
        };
        if requirements.is_empty() {
            return Err(rejected("it lists no requirements".to_owned()));
        }
        for requirement in requirements {
            let (keys, names) = match requirement.judge() {
                Judgement::Accept => continue,
                Judgement::Reject(reason) => return Err(rejected(reason)),
                Judgement::Signed(keys, names) => (keys.map_err(|error| rejected(error.to_string()))?, names),
            };
            let mut last = None;
            for digest in digests {
                match check(image, digest, &fetch(digest)?, &keys, &|name| names.accept(name, image)) {
                    Ok(_) => {
                        last = None;
                        break;
                    }
                    Err(error) => drop(last.get_or_insert(error)),
                }
            }
            if let Some(error) = last {
                return Err(rejected(error.to_string()));
            }
        }
        Ok(())
    }

    /// Judges an image of an archive, which has no signatures. `place` is the archive's path without links, if it has one;
    /// `name` says which image of an OCI layout.
    ///
    /// # Errors
    /// [`PolicyError::Rejected`] when it may not come in.
    pub fn admit_archive(&self, kind: Archive, place: Option<&Path>, name: Option<&str>) -> Result<(), PolicyError> {
        let Some(document) = &self.document else { return Ok(()) };
        let (scope, requirements) = document.of_archive(kind, place, name);
        let accepted = !requirements.is_empty() && requirements.iter().all(|r| matches!(r.judge(), Judgement::Accept));
        if accepted {
            return Ok(());
        }
        Err(PolicyError::Rejected {
            image: place.map_or_else(|| "the archive".to_owned(), |place| place.display().to_string()),
            path: self.path.clone(),
            scope,
            reason: "images of archives are not accepted, they carry no signatures".to_owned(),
        })
    }
}

impl Document {
    /// Refuses what could never be meant as it is written.
    fn checked(self) -> Result<Self, String> {
        let empty = |of: &str| format!("{of} lists no requirements: use [{{\"type\": \"reject\"}}] to refuse all images");
        if self.default.is_empty() {
            return Err(empty("\"default\""));
        }
        for (transport, scopes) in &self.transports.0 {
            for (scope, requirements) in &scopes.0 {
                if requirements.is_empty() {
                    return Err(empty(&format!("the scope \"{scope}\" of {transport}")));
                }
                check_scope(transport, scope).map_err(|reason| format!("the scope \"{scope}\" of {transport}: {reason}"))?;
            }
        }
        Ok(self)
    }

    /// The requirements for an archive: of its path, of a directory above it, of its kind, or the default.
    fn of_archive(&self, kind: Archive, place: Option<&Path>, name: Option<&str>) -> (String, &[Requirement]) {
        let transport = kind.transport();
        let Some(Unique(scopes)) = self.transports.0.get(transport) else { return ("default".to_owned(), &self.default) };
        let place = place.filter(|_| kind != Archive::Docker);
        let mut candidates = Vec::new();
        if let (Archive::OciDir, Some(place), Some(name)) = (kind, place, name) {
            candidates.push(format!("{}:{name}", place.display()));
        }
        let above = place.into_iter().flat_map(Path::ancestors).filter(|path| *path != Path::new("/"));
        candidates.extend(above.map(|path| path.display().to_string()));
        for scope in candidates {
            if let Some(requirements) = scopes.get(&scope) {
                return (format!("{transport}:{scope}"), requirements);
            }
        }
        match scopes.get("") {
            Some(requirements) => (transport.to_owned(), requirements),
            None => ("default".to_owned(), &self.default),
        }
    }

    /// The requirements for an image, and what they are said of: the most special scope wins.
    fn of(&self, image: &Reference) -> (String, &[Requirement]) {
        let Some(Unique(scopes)) = self.transports.0.get("docker") else { return ("default".to_owned(), &self.default) };
        let mut candidates = vec![image.to_string()];
        let repository = image.repository();
        let mut part = repository.as_str();
        loop {
            candidates.push(part.to_owned());
            match part.rsplit_once('/') {
                Some((shorter, _)) => part = shorter,
                None => break,
            }
        }
        let mut host = image.domain().split(':').next().unwrap_or_default();
        while let Some((_, rest)) = host.split_once('.') {
            candidates.push(format!("*.{rest}"));
            host = rest;
        }
        for scope in candidates {
            if let Some(requirements) = scopes.get(&scope) {
                return (scope, requirements);
            }
        }
        match scopes.get("") {
            Some(requirements) => ("docker".to_owned(), requirements),
            None => ("default".to_owned(), &self.default),
        }
    }
}

/// Whether archives of a kind can have such a scope. Those of registries are compared as text.
fn check_scope(transport: &str, scope: &str) -> Result<(), &'static str> {
    match transport {
        _ if scope.is_empty() => Ok(()),
        "docker-archive" => Err("only the scope \"\" can be used there"),
        "oci-archive" | "oci" | "dir" => {
            let path = if transport == "oci" { scope.split(':').next().unwrap_or_default() } else { scope };
            let canonical = !path.ends_with('/') && !path.contains("//") && !path.split('/').any(|part| part == "." || part == "..");
            match path {
                "/" => Err("use the scope \"\" for all paths"),
                path if !path.starts_with('/') => Err("it is no absolute path"),
                _ if !canonical => Err("it is not written in the shortest way: without //, /./, /../ and a slash at its end"),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

enum Judgement<'a> {
    Accept,
    Reject(String),
    Signed(Result<Vec<PublicKey>, SignatureError>, &'a Names),
}

impl Requirement {
    fn judge(&self) -> Judgement<'_> {
        match self {
            Self::InsecureAcceptAnything {} => Judgement::Accept,
            Self::Reject {} => Judgement::Reject("it says so".to_owned()),
            Self::SignedBy { .. } => Judgement::Reject("it asks for GPG signatures (signedBy), which kelp does not check".to_owned()),
            Self::SignedBaseLayer { .. } => Judgement::Reject("it asks for signedBaseLayer, which nobody checks".to_owned()),
            Self::SigstoreSigned {
                key_path,
                key_paths,
                key_data,
                key_datas,
                fulcio,
                pki,
                rekor_public_key_path,
                rekor_public_key_paths,
                rekor_public_key_data,
                rekor_public_key_datas,
                signed_identity,
            } => {
                let rekor = [rekor_public_key_path, rekor_public_key_paths, rekor_public_key_data, rekor_public_key_datas];
                if fulcio.is_some() || pki.is_some() || rekor.iter().any(|key| key.is_some()) {
                    let reason = "it asks for certificates or a transparency log (fulcio, pki, rekor), which kelp does not check";
                    return Judgement::Reject(reason.to_owned());
                }
                let files = key_path.iter().chain(key_paths).map(|path| key_file(path));
                let inline = key_data.iter().chain(key_datas).map(|text| key_text(text));
                let keys: Result<Vec<PublicKey>, SignatureError> = files.chain(inline).collect();
                match keys {
                    Ok(keys) if keys.is_empty() => Judgement::Reject("it asks for a signature and names no key".to_owned()),
                    keys => Judgement::Signed(keys, signed_identity),
                }
            }
        }
    }
}

/// A public key in a file.
///
/// # Errors
/// When it cannot be read or is none.
pub fn key_file(path: &Path) -> Result<PublicKey, SignatureError> {
    let name = path.display().to_string();
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_FILE).read_to_string(&mut text))
        .map_err(|error| SignatureError::Key { name: name.clone(), reason: error.to_string() })?;
    PublicKey::from_pem(&text, &name)
}

fn key_text(text: &str) -> Result<PublicKey, SignatureError> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).unwrap_or_default();
    PublicKey::from_pem(&String::from_utf8_lossy(&bytes), "keyData")
}

impl Names {
    /// Whether a signature by this name is one of the image.
    fn accept(&self, signed: &str, image: &Reference) -> bool {
        let exact = || image.tagged().is_some_and(|tagged| tagged.to_string() == signed);
        let repository = || repository_of(signed) == image.repository();
        match self {
            Self::MatchExact {} => exact(),
            Self::MatchRepoDigestOrExact {} if image.digest().is_some() => repository(),
            Self::MatchRepoDigestOrExact {} => exact(),
            Self::MatchRepository {} => repository(),
            Self::ExactReference { docker_reference } => signed == docker_reference,
            Self::ExactRepository { docker_repository } => repository_of(signed) == docker_repository,
            Self::RemapIdentity { prefix, signed_prefix } => {
                let text = image.to_string();
                let rest = text.strip_prefix(prefix.as_str()).filter(|rest| rest.is_empty() || rest.starts_with(['/', ':', '@']));
                match rest {
                    Some(rest) => {
                        let moved = format!("{signed_prefix}{rest}");
                        match image.digest() {
                            Some(_) => repository_of(signed) == repository_of(&moved),
                            None => signed == moved,
                        }
                    }
                    None => Self::MatchRepoDigestOrExact {}.accept(signed, image),
                }
            }
        }
    }
}

/// A name without tag and digest.
fn repository_of(name: &str) -> &str {
    let name = name.split('@').next().unwrap_or_default();
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    name[start..].find(':').map_or(name, |colon| &name[..start + colon])
}
