//! Lists among images: found by the same names, and keeping their images in use.

use std::collections::BTreeSet;

use super::{ImageStore, StoreError};
use crate::image::lists::List;
use crate::spec::{Digest, Platform, Reference, ShortNames};

impl ImageStore {
    /// The list a text means: its name, its id or the beginning of that; `None` where it means an image, or nothing.
    ///
    /// # Errors
    /// When a list cannot be read, or the beginning of an id fits several.
    pub fn list_of(&self, text: &str) -> Result<Option<List>, StoreError> {
        match self.find(text) {
            Ok((id, None)) if !self.record_path(&id).exists() => self.find_list(text),
            Ok(_) | Err(StoreError::Reference(_)) => Ok(None),
            Err(StoreError::NotFound(_)) => self.find_list(text),
            Err(error) => Err(error),
        }
    }

    /// What a text means: an image, or the one of a list for a platform (that of the host unless told).
    pub(super) fn meant(&self, text: &str, platform: Option<&Platform>) -> Result<Meant, StoreError> {
        let found = match self.find(text) {
            Ok((id, None)) if !self.record_path(&id).exists() => Err(StoreError::NotFound(text.to_owned())),
            found => found,
        };
        match found {
            Ok((id, name)) => Ok(Meant { id, name, list: None }),
            Err(StoreError::NotFound(_)) => {
                let list = self.find_list(text)?.ok_or_else(|| StoreError::NotFound(text.to_owned()))?;
                let id = list.member(platform, |image| self.record_path(image).exists())?;
                Ok(Meant { id, name: None, list: Some(list.reference()?) })
            }
            Err(error) => Err(error),
        }
    }

    /// The tagged name a text means an image or a list by; none for an id or a digest.
    ///
    /// # Errors
    /// As [`ImageStore::resolve_id`].
    pub fn name_of(&self, text: &str) -> Result<Option<Reference>, StoreError> {
        let here = |store: &Self| match store.meant(text, None) {
            Ok(Meant { name, list, .. }) => Ok(name.or(list)),
            // A list without an image for this host.
            Err(StoreError::NoMember { .. }) => store.find_list(text)?.map(|list| list.reference()).transpose(),
            Err(error) => Err(error),
        };
        Ok(self.anywhere(here)?.filter(|name| name.tag().is_some() && name.digest().is_none()))
    }

    fn find_list(&self, text: &str) -> Result<Option<List>, StoreError> {
        let local = ShortNames { prefix: "localhost".to_owned(), ..ShortNames::default() };
        for name in [self.reference(text), Reference::parse(text, &local)].into_iter().flatten() {
            if let Some(list) = self.lists.get(&name)? {
                return Ok(Some(list));
            }
        }
        let id = text.strip_prefix("sha256:").unwrap_or(text);
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(None);
        }
        let mut lists = self.lists.all()?.into_iter().filter(|list| list.id().hex().starts_with(id));
        match (lists.next(), lists.next()) {
            // Two names of one list.
            (Some(one), Some(other)) if one.id() != other.id() => Err(StoreError::Ambiguous(text.to_owned())),
            (found, _) => Ok(found),
        }
    }

    /// Has `change` make a list of what was there under this name, and the name mean that list alone.
    ///
    /// # Errors
    /// What `change` says; when an image of it is not here; when it cannot be written.
    pub fn change_list<E: From<StoreError>>(
        &self,
        name: &Reference,
        change: impl FnOnce(Option<List>) -> Result<List, E>,
    ) -> Result<List, E> {
        if name.digest().is_some() {
            return Err(StoreError::DigestTag(name.to_string()).into());
        }
        let _lock = self.lock()?;
        let old = self.lists.get(name)?;
        let known: BTreeSet<Digest> = old.iter().flat_map(|list| &list.entries).map(|entry| entry.image.clone()).collect();
        let list = change(old)?;
        // One may have been removed since it was looked up; an old entry may be taken out by hand.
        if let Some(gone) = list.entries.iter().find(|entry| !known.contains(&entry.image) && !self.record_path(&entry.image).exists()) {
            return Err(StoreError::NotFound(gone.image.to_string()).into());
        }
        self.lists.set(name, &list)?;
        self.names.remove(name)?;
        Ok(list)
    }

    /// Removes a list; its images stay. Returns whether it was there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_list(&self, name: &Reference) -> Result<bool, StoreError> {
        let _lock = self.lock()?;
        self.lists.remove(name)
    }

    /// Takes an image out of all lists. Returns whether it was in one.
    ///
    /// # Errors
    /// When a list cannot be read or written.
    pub fn unlist(&self, image: &Digest) -> Result<bool, StoreError> {
        let _lock = self.lock()?;
        let mut any = false;
        for mut list in self.lists.all()?.into_iter().filter(|list| list.holds(image)) {
            list.entries.retain(|entry| entry.image != *image);
            self.lists.set(&list.reference()?, &list)?;
            any = true;
        }
        Ok(any)
    }

    /// The images that are in a list.
    ///
    /// # Errors
    /// When a list cannot be read.
    pub fn listed(&self) -> Result<BTreeSet<Digest>, StoreError> {
        Ok(self.lists.all()?.into_iter().flat_map(|list| list.entries).map(|entry| entry.image).collect())
    }
}

/// What a text means.
pub(super) struct Meant {
    /// The image.
    pub(super) id: Digest,
    /// The name it was found by.
    pub(super) name: Option<Reference>,
    /// The list it was chosen from.
    pub(super) list: Option<Reference>,
}
