//! Finding images: what a name, a digest, an id or a part of one means.

use std::collections::BTreeMap;

use super::super::blobs;
use super::super::manifest::{Document, MAX_MANIFEST};
use super::super::registry::registries::Registries;
use super::{Image, ImageStore, StoreError};
use crate::spec::reference::ReferenceError;
use crate::spec::{Digest, Platform, Reference, ShortNames};

impl ImageStore {
    /// Completes a name as this store's user has it configured.
    ///
    /// # Errors
    /// When it is no reference.
    pub fn reference(&self, text: &str) -> Result<Reference, ReferenceError> {
        Reference::parse(text, &self.short)
    }

    /// The id behind a name, a digest reference, a full id or a unique prefix of one. Docker's order: names win over
    /// prefixes. Of a list, the image for the host's platform.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn resolve_id(&self, text: &str) -> Result<Digest, StoreError> {
        self.anywhere(|store| Ok(store.meant(text, None)?.id))
    }

    /// The image a text means, with its names.
    ///
    /// # Errors
    /// As [`ImageStore::resolve_id`].
    pub fn resolve(&self, text: &str) -> Result<Image, StoreError> {
        self.resolve_on(text, None)
    }

    /// As [`ImageStore::resolve`]; of a list, the image for this platform.
    ///
    /// # Errors
    /// As [`ImageStore::resolve_id`].
    pub fn resolve_on(&self, text: &str, platform: Option<&Platform>) -> Result<Image, StoreError> {
        self.anywhere(|store| store.resolve_here(text, platform))
    }

    fn resolve_here(&self, text: &str, platform: Option<&Platform>) -> Result<Image, StoreError> {
        let super::lists::Meant { id, name, list } = self.meant(text, platform)?;
        let record = self
            .record(&id)?
            .ok_or_else(|| StoreError::NotFound(text.to_owned()))?;
        let mut image = super::bare(record);
        for (name, named) in self.names.list()? {
            if named.id == id {
                image.push_name(name, named);
            }
        }
        if let Some(name) = name {
            self.prefer(&mut image, &name)?;
        }
        image.names.extend(list);
        Ok(image)
    }

    /// Puts the manifest first by which the image came under this name.
    ///
    /// # Errors
    /// When an index that is here cannot be read.
    pub fn prefer(&self, image: &mut Image, name: &Reference) -> Result<(), StoreError> {
        let Some(digest) = name.digest().or_else(|| image.came_by.get(name)) else { return Ok(()) };
        let mut wanted = digest.clone();
        let manifests = &mut image.record.manifests;
        if let Some(raw) = self.blobs.read(&wanted, MAX_MANIFEST)?
            && let Ok(Document::Index(index)) = Document::parse(&raw, None)
            && let Some(entry) = index.manifests.into_iter().find(|entry| manifests.contains(&entry.digest))
        {
            wanted = entry.digest;
        }
        if let Some(at) = manifests.iter().position(|manifest| *manifest == wanted) {
            manifests[..=at].rotate_right(1);
        }
        Ok(())
    }

    /// Finds what a text means, and the stored name it was found by, if by one.
    pub(super) fn find(&self, text: &str) -> Result<(Digest, Option<Reference>), StoreError> {
        let bare_id = text.strip_prefix("sha256:").unwrap_or(text);
        if let Ok(id) = Digest::from_sha256_hex(bare_id) {
            return Ok((id, None));
        }
        let prefix = !bare_id.is_empty()
            && bare_id
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        match self.reference(text) {
            Ok(reference) => {
                // With a digest the tag says nothing.
                let reference = match reference.digest() {
                    Some(digest) => reference.digested(digest.clone()),
                    None => reference,
                };
                if let Some(named) = self.names.get(&reference)? {
                    return Ok((named.id, Some(reference)));
                }
                // Other tools put the names they build under localhost/ and export them so.
                let local = Reference::parse(
                    text,
                    &ShortNames {
                        prefix: "localhost".to_owned(),
                        aliases: BTreeMap::new(),
                    },
                );
                if let Ok(local) = local
                    && local != reference
                    && let Some(named) = self.names.get(&local)?
                {
                    return Ok((named.id, Some(local)));
                }
                // What the host's other tools take the name for, it may have been pulled as. Nothing is read before.
                let usual = self.short == ShortNames::default();
                let load = || Registries::load(&|name| std::env::var_os(name)).unwrap_or_default().candidates(text);
                for candidate in if usual { load() } else { Vec::new() } {
                    if let Some(named) = self.names.get(&candidate)? {
                        return Ok((named.id, Some(candidate)));
                    }
                }
            }
            Err(error) if !prefix => return Err(error.into()),
            Err(_) => {}
        }
        if prefix && bare_id.len() < 64 {
            let mut found = blobs::read_dir(&self.data.join("images"))?
                .into_iter()
                .filter(|name| name.starts_with(bare_id))
                .filter_map(|name| Digest::from_sha256_hex(&name).ok());
            if let Some(id) = found.next() {
                return match found.next() {
                    None => Ok((id, None)),
                    Some(_) => Err(StoreError::Ambiguous(text.to_owned())),
                };
            }
        }
        Err(StoreError::NotFound(text.to_owned()))
    }
}
