//! `image sign`, `image verify`: signatures on the registry; and the policy that asks for them.

use std::path::Path;

use super::pull::{direct_client, registry, with_causes};
use crate::engine::options::PullOptions;
use crate::engine::{Engine, Error};
use crate::image::registry::Repository;
use crate::image::signature::policy::{Policy, key_file};
use crate::image::signature::{self, PrivateKey, SignatureError};
use crate::spec::{Digest, Reference};

/// What was signed, or found signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The repository, with the digest.
    pub name: String,
    /// The name the signature is of.
    pub signed_as: String,
}

/// Signs what a name means on its registry now, and keeps the signature there.
///
/// # Errors
/// A key that cannot be used; what the registry says.
pub fn sign(engine: &Engine, name: &str, key: &Path, options: &PullOptions) -> Result<Signed, Error> {
    let reference = super::store(engine).reference(name)?;
    let key = private_key(key)?;
    let repository = Repository::for_push(&reference, &direct_client(engine, &reference, options)?).map_err(registry)?;
    let digest = digest_of(&repository, &reference)?;
    sign_digest(&repository, &reference, &digest, &key)
}

/// Signs a digest that was just pushed.
///
/// # Errors
/// As [`sign`].
pub(super) fn sign_pushed(
    engine: &Engine,
    reference: &Reference,
    digest: &Digest,
    key: &PrivateKey,
    options: &PullOptions,
) -> Result<(), Error> {
    let repository = Repository::for_push(reference, &direct_client(engine, reference, options)?).map_err(registry)?;
    sign_digest(&repository, reference, digest, key).map(drop)
}

fn sign_digest(repository: &Repository, reference: &Reference, digest: &Digest, key: &PrivateKey) -> Result<Signed, Error> {
    let signed = key.sign(reference, digest).map_err(explain)?;
    signature::attach(repository, digest, &signed).map_err(registry)?;
    let signed_as = reference.tagged().map_or_else(|| reference.repository(), |tagged| tagged.to_string());
    Ok(Signed { name: reference.digested(digest.clone()).to_string(), signed_as })
}

/// Finds a signature by `key` of what a name means on its registry now.
///
/// # Errors
/// There is none; what the registry says.
pub fn verify(engine: &Engine, name: &str, key: &Path, options: &PullOptions) -> Result<Signed, Error> {
    let reference = super::store(engine).reference(name)?;
    let key = key_file(key).map_err(explain)?;
    let repository = Repository::for_pull(&reference, &direct_client(engine, &reference, options)?).map_err(registry)?;
    let digest = digest_of(&repository, &reference)?;
    let all = signature::fetch(&repository, &digest).map_err(registry)?;
    // What is said of another repository says nothing of this one.
    let ours = |name: &str| name.split('@').next().is_some_and(|name| {
        let repository = reference.repository();
        name.strip_prefix(&repository).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    });
    let signed_as = signature::check(&reference, &digest, &all, &[key], &ours).map_err(explain)?;
    Ok(Signed { name: reference.digested(digest).to_string(), signed_as })
}

fn digest_of(repository: &Repository, reference: &Reference) -> Result<Digest, Error> {
    match reference.digest() {
        Some(digest) => Ok(digest.clone()),
        None => repository.manifest(&reference.tag_or_digest(), None).map(|manifest| manifest.digest).map_err(registry),
    }
}

/// A private key from its file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKey, Error> {
    let text = std::fs::read_to_string(path).map_err(Error::io("read", path))?;
    PrivateKey::from_pem(&text, &path.display().to_string()).map_err(explain)
}

/// Which images may come in.
pub(super) fn policy() -> Result<Policy, Error> {
    Policy::load(&|name| std::env::var_os(name)).map_err(|error| Error::Registry(error.to_string()))
}

fn explain(error: SignatureError) -> Error {
    match error {
        SignatureError::Registry(error) => registry(error),
        SignatureError::Key { .. } => Error::Usage(error.to_string()),
        SignatureError::NotSigned { .. } => Error::Registry(with_causes(&error)),
    }
}
