//! Signatures of images as cosign writes them: a signed statement about a manifest's digest, kept on the registry under a
//! tag made of that digest.
//!
//! Owns keys, statements and the manifest they are kept in. What must be signed by whom is `policy`'s. ECDSA P-256 and
//! ed25519, keys in PEM; the arithmetic is ring's.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
    UnparsedPublicKey};
use serde::Deserialize;
use serde_json::{Value, json};

use super::registry::{RegistryError, Repository};
use crate::spec::{Digest, Reference};

pub mod policy;
#[cfg(test)]
mod tests;

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const TYPE: &str = "cosign container image signature";
/// Another type that means the same.
const OLD_TYPE: &str = "atomic container signature";
/// Largest statement read.
const MAX_PAYLOAD: u64 = 64 << 10;
/// Most signatures of one image looked at.
const MAX_SIGNATURES: usize = 64;

/// What is before the key itself in a public key's DER (RFC 5480, RFC 8410).
const SPKI_P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
    0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const SPKI_ED25519: &[u8] = &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Why something was not signed, or not found signed.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The key cannot be used.
    #[error("{name} is no usable key: {reason}")]
    Key {
        /// Its file.
        name: String,
        /// Why.
        reason: String,
    },
    /// There is nothing that would prove it.
    #[error("{image} has no valid signature: {reason}")]
    NotSigned {
        /// The image.
        image: String,
        /// What was found instead.
        reason: String,
    },
    /// The registry did not deliver.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// ECDSA on P-256, an uncompressed point.
    P256(Vec<u8>),
    /// ed25519.
    Ed25519(Vec<u8>),
}

/// A private key.
pub enum PrivateKey {
    /// ECDSA on P-256.
    P256(Box<EcdsaKeyPair>),
    /// ed25519.
    Ed25519(Box<Ed25519KeyPair>),
}

/// A statement and its signature, unchecked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The statement's bytes.
    pub payload: Vec<u8>,
    /// The signature's bytes.
    pub signature: Vec<u8>,
}

#[derive(Deserialize)]
struct Statement {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    identity: Identity,
    image: Image,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Identity {
    #[serde(rename = "docker-reference", default)]
    reference: String,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    digest: Digest,
}

/// The bytes between the marks of a PEM text, and the marks' label.
fn pem(text: &str) -> Option<(&str, Vec<u8>)> {
    let (label, rest) = text.split_once("-----BEGIN ")?.1.split_once("-----")?;
    let (body, _) = rest.split_once("-----END ")?;
    let compact: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    Some((label, STANDARD.decode(compact).ok()?))
}

impl PublicKey {
    /// Reads a PEM file's text; `name` is for messages.
    ///
    /// # Errors
    /// When it holds no public key of a kind we know.
    pub fn from_pem(text: &str, name: &str) -> Result<Self, SignatureError> {
        let wrong = |reason: &str| SignatureError::Key { name: name.to_owned(), reason: reason.to_owned() };
        let (label, der) = pem(text).ok_or_else(|| wrong("it is not in PEM"))?;
        if label != "PUBLIC KEY" {
            return Err(wrong("it is no public key (BEGIN PUBLIC KEY)"));
        }
        match (der.strip_prefix(SPKI_P256), der.strip_prefix(SPKI_ED25519)) {
            (Some(point), _) if point.len() == 65 && point[0] == 4 => Ok(Self::P256(point.to_vec())),
            (_, Some(key)) if key.len() == 32 => Ok(Self::Ed25519(key.to_vec())),
            _ => Err(wrong("only ECDSA P-256 and ed25519 are supported")),
        }
    }

    /// Whether this key signed these bytes.
    #[must_use]
    pub fn verifies(&self, signed: &Signed) -> bool {
        let checked = match self {
            Self::P256(key) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&signed.payload, &signed.signature),
            Self::Ed25519(key) => UnparsedPublicKey::new(&ED25519, key).verify(&signed.payload, &signed.signature),
        };
        checked.is_ok()
    }
}

impl PrivateKey {
    /// Reads a PEM file's text (PKCS#8, not encrypted).
    ///
    /// # Errors
    /// When it holds no private key of a kind we know.
    pub fn from_pem(text: &str, name: &str) -> Result<Self, SignatureError> {
        let wrong = |reason: &str| SignatureError::Key { name: name.to_owned(), reason: reason.to_owned() };
        let (label, der) = pem(text).ok_or_else(|| wrong("it is not in PEM"))?;
        match label {
            "PRIVATE KEY" => {}
            "EC PRIVATE KEY" => return Err(wrong("convert it with `openssl pkcs8 -topk8 -nocrypt`")),
            label if label.starts_with("ENCRYPTED") => {
                return Err(wrong("encrypted keys are not supported; make one with `openssl genpkey -algorithm ed25519`"));
            }
            _ => return Err(wrong("it is no private key (BEGIN PRIVATE KEY)")),
        }
        if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            return Ok(Self::Ed25519(Box::new(key)));
        }
        let random = ring::rand::SystemRandom::new();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &der, &random)
            .map(|key| Self::P256(Box::new(key)))
            .map_err(|_| wrong("only ECDSA P-256 and ed25519 are supported"))
    }

    /// The key that checks what this one signs.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        match self {
            Self::P256(key) => PublicKey::P256(key.public_key().as_ref().to_vec()),
            Self::Ed25519(key) => PublicKey::Ed25519(key.public_key().as_ref().to_vec()),
        }
    }

    /// States that `digest` is `reference`.
    ///
    /// # Errors
    /// When the kernel gives no random bytes.
    pub fn sign(&self, reference: &Reference, digest: &Digest) -> Result<Signed, SignatureError> {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": name_of(reference) },
                "image": { "docker-manifest-digest": digest },
                "type": TYPE,
            },
            "optional": { "creator": concat!("kelp/", env!("CARGO_PKG_VERSION")) },
        })
        .to_string()
        .into_bytes();
        let signature = match self {
            Self::Ed25519(key) => key.sign(&payload).as_ref().to_vec(),
            Self::P256(key) => key
                .sign(&ring::rand::SystemRandom::new(), &payload)
                .map_err(|_| SignatureError::Key { name: "the key".to_owned(), reason: "it does not sign".to_owned() })?
                .as_ref()
                .to_vec(),
        };
        Ok(Signed { payload, signature })
    }
}

/// A reference as statements have it: complete, without digest.
fn name_of(reference: &Reference) -> String {
    reference.tagged().map_or_else(|| reference.repository(), |tagged| tagged.to_string())
}

/// What a statement says, once its signature is checked: which digest, under which name.
fn stated(signed: &Signed) -> Option<(Digest, String)> {
    let statement: Statement = serde_json::from_slice(&signed.payload).ok()?;
    let critical = statement.critical;
    [TYPE, OLD_TYPE].contains(&critical.kind.as_str()).then_some((critical.image.digest, critical.identity.reference))
}

/// The tag signatures of a digest are kept under.
#[must_use]
pub fn tag_of(digest: &Digest) -> String {
    format!("{}-{}.sig", digest.algorithm().name(), digest.hex())
}

/// All signatures the registry has of a digest, unchecked.
///
/// # Errors
/// When the registry cannot be reached; that it has none is no error.
pub fn fetch(repository: &Repository, digest: &Digest) -> Result<Vec<Signed>, RegistryError> {
    let Some(layers) = layers(repository, digest)? else { return Ok(Vec::new()) };
    let mut all = Vec::new();
    for layer in layers.iter().filter(|layer| layer.media_type == PAYLOAD).take(MAX_SIGNATURES) {
        let signature = layer.annotations.get(SIGNATURE).and_then(|text| STANDARD.decode(text).ok());
        let Some(signature) = signature.filter(|_| layer.size <= MAX_PAYLOAD) else { continue };
        all.push(Signed { payload: repository.small_blob(&layer.digest, MAX_PAYLOAD)?, signature });
    }
    Ok(all)
}

/// One entry of the manifest signatures are kept in.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    size: u64,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn layers(repository: &Repository, digest: &Digest) -> Result<Option<Vec<Layer>>, RegistryError> {
    #[derive(Deserialize)]
    struct Kept {
        #[serde(default)]
        layers: Vec<Layer>,
    }
    let manifest = match repository.manifest(&tag_of(digest), None) {
        Ok(manifest) => manifest,
        Err(RegistryError::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    // Something else by that name is as good as nothing.
    Ok(serde_json::from_slice::<Kept>(&manifest.raw).ok().map(|kept| kept.layers))
}

/// Adds a signature to those the registry has of a digest.
///
/// # Errors
/// When the registry does not take it.
pub fn attach(repository: &Repository, digest: &Digest, signed: &Signed) -> Result<(), RegistryError> {
    let payload = Digest::of(&signed.payload);
    let text = STANDARD.encode(&signed.signature);
    let mut all = layers(repository, digest)?.unwrap_or_default();
    // ed25519 signs the same thing the same way twice.
    all.retain(|layer| layer.digest != payload || layer.annotations.get(SIGNATURE) != Some(&text));
    all.push(Layer {
        media_type: PAYLOAD.to_owned(),
        digest: payload.clone(),
        size: signed.payload.len() as u64,
        annotations: BTreeMap::from([(SIGNATURE.to_owned(), text)]),
    });
    repository.put_blob(&payload, &signed.payload)?;
    let diff_ids: Vec<&Digest> = all.iter().map(|layer| &layer.digest).collect();
    let config = json!({
        "architecture": "", "os": "", "config": {}, "created": "0001-01-01T00:00:00Z",
        "history": all.iter().map(|_| json!({"created": "0001-01-01T00:00:00Z"})).collect::<Vec<_>>(),
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
    .to_string();
    let config_digest = Digest::of(config.as_bytes());
    repository.put_blob(&config_digest, config.as_bytes())?;
    let entries: Vec<Value> = all
        .iter()
        .map(|l| json!({"mediaType": l.media_type, "digest": l.digest, "size": l.size, "annotations": l.annotations}))
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": { "mediaType": CONFIG, "digest": config_digest, "size": config.len() },
        "layers": entries,
    })
    .to_string();
    repository.put_manifest(&tag_of(digest), MANIFEST, manifest.as_bytes()).map(drop)
}

/// Finds a signature of `digest` by one of `keys` whose name `names` accepts.
///
/// # Errors
/// [`SignatureError::NotSigned`], with what was found instead.
pub fn check(
    image: &Reference,
    digest: &Digest,
    signatures: &[Signed],
    keys: &[PublicKey],
    names: &dyn Fn(&str) -> bool,
) -> Result<String, SignatureError> {
    let refuse = |reason: String| Err(SignatureError::NotSigned { image: image.familiar(), reason });
    if signatures.is_empty() {
        return refuse(format!("the registry has none of {digest}"));
    }
    let mut other_name = None;
    for signed in signatures {
        if !keys.iter().any(|key| key.verifies(signed)) {
            continue;
        }
        // Only now is what it says worth reading.
        match stated(signed) {
            Some((of, name)) if of == *digest && names(&name) => return Ok(name),
            Some((of, name)) if of == *digest => other_name = Some(name),
            _ => {}
        }
    }
    match other_name {
        Some(name) => refuse(format!("what is signed is \"{}\"", name.chars().take(300).collect::<String>())),
        None => refuse(format!("none of {} is by this key and of this image", signatures.len())),
    }
}
