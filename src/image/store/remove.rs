//! Removing images: docker's rules for names, ids, use and parents, and what goes with an image.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use super::super::blobs;
use super::super::layers::LayerStore;
use super::super::lease;
use super::{ImageRecord, ImageStore, StoreError};
use crate::spec::{Digest, Reference};

/// What [`ImageStore::remove`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoveReport {
    /// Names taken away.
    pub untagged: Vec<Reference>,
    /// Ids of images deleted.
    pub deleted: Vec<Digest>,
    /// Bytes of the layers and blobs that went with them.
    pub bytes: u64,
}

/// How far [`ImageStore::remove`] goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removal {
    /// An id of several names is no reason to stop.
    pub force: bool,
    /// Keep parents that have no name and no other child.
    pub keep_parents: bool,
}

impl Removal {
    /// Docker's `-f`, or not.
    #[must_use]
    pub fn force(force: bool) -> Self {
        Self { force, ..Self::default() }
    }
}

impl ImageStore {
    /// Removes what no image refers to: layers, blobs, names of images that are gone, interrupted downloads, damaged
    /// records. `keep` names layers that something else uses. Returns the number of bytes freed.
    ///
    /// What a pull that runs meanwhile needs is leased, and stays.
    ///
    /// # Errors
    /// When something cannot be read or removed.
    pub fn collect(&self, keep: &dyn Fn(&Digest) -> bool) -> Result<u64, StoreError> {
        let lock = self.lock()?;
        let records = self.records()?;
        let leased = lease::leased(&self.data)?;
        let ids: BTreeSet<&Digest> = records.iter().map(|record| &record.id).collect();
        for (name, named) in self.names.list()? {
            if !ids.contains(&named.id) {
                self.names.remove(&name)?;
            }
        }
        let images = self.data.join("images");
        for name in blobs::read_dir(&images)? {
            let damaged = Digest::from_sha256_hex(&name).is_ok_and(|id| !ids.contains(&id));
            if damaged {
                let dir = images.join(&name);
                fs::remove_dir_all(&dir).map_err(|e| StoreError::io("remove", &dir, e))?;
            }
        }
        let referenced = Referenced::by(&records);
        let layers = LayerStore::open(&self.data);
        let mut freed = 0;
        for layer in layers.list()? {
            if !referenced.layers.contains(&layer) && !leased.contains(&layer) && !keep(&layer) {
                let bytes = layers.record(&layer).map_or(0, |record| record.report.bytes);
                if layers.retire(&layer)?.is_some() {
                    freed += bytes;
                }
            }
        }
        freed += self.blobs.remove_partials()?;
        let of_layers = blobs_of(&layers)?;
        for blob in self.blobs.list()? {
            if !referenced.blobs.contains(&blob) && !leased.contains(&blob) && !of_layers.contains(&blob) {
                freed += fs::metadata(self.blobs.path(&blob)).map(|m| m.blocks() * 512).unwrap_or(0);
                self.blobs.remove(&blob)?;
            }
        }
        drop(lock);
        // What takes long comes last: nobody waits for it.
        layers.gc()?;
        Ok(freed)
    }

    /// Docker's `rmi`: a name of several is only taken away, and the last one of an image that others were built on; else
    /// the last one takes the image, its layers and its blobs with it, as far as no other image has them. `in_use` tells who
    /// uses an image; used images, and those of a list, are never deleted.
    /// Layers are only moved out of sight: [`LayerStore::gc`] deletes them.
    ///
    /// # Errors
    /// When there is no such image, or it is used, or has several names and `force` is not set.
    pub fn remove(
        &self,
        text: &str,
        how: Removal,
        in_use: &dyn Fn(&Digest) -> Option<String>,
    ) -> Result<RemoveReport, StoreError> {
        let _lock = self.lock()?;
        let (id, by_name) = self.find(text)?;
        if by_name.is_none() && !self.record_path(&id).exists() {
            return Err(StoreError::NotFound(text.to_owned()));
        }
        let mut mine: Vec<Reference> = self
            .names
            .list()?
            .into_iter()
            .filter_map(|(name, named)| (named.id == id).then_some(name))
            .collect();
        mine.sort_by_key(|name| name.tag().is_none());
        let tagged = || mine.iter().filter(|name| name.tag().is_some());
        let mut report = RemoveReport::default();
        if let Some(name) = &by_name {
            let others = tagged().filter(|other| *other != name).count();
            if others > 0 {
                self.drop_name(name, &mine, &mut report)?;
                return Ok(report);
            }
        } else if !how.force && tagged().count() > 1 {
            return Err(StoreError::SeveralNames {
                id: id.short().to_owned(),
                count: tagged().count(),
            });
        }
        let records = self.records()?;
        let child = records.iter().find(|r| r.parent.as_ref() == Some(&id));
        let built = child.map(|child| format!("image {} was built on it", child.id.short()));
        let kept = built.is_some() && by_name.is_some();
        let lists = self.lists.all()?;
        let in_list = |id: &Digest| lists.iter().any(|list| list.holds(id));
        let listed = lists.iter().find(|list| list.holds(&id)).map(|list| {
            let name = list.reference().map_or_else(|_| list.name.clone(), |name| name.familiar());
            format!("it is in the list {name}; remove that first (kelp manifest rm {name}), or use --force")
        });
        if let Some(user) = in_use(&id).or(listed).or(built.filter(|_| !kept)) {
            return Err(StoreError::InUse {
                id: id.short().to_owned(),
                user,
            });
        }
        for name in &mine {
            if self.names.remove(name)? {
                report.untagged.push(name.clone());
            }
        }
        if !kept {
            self.delete(&id, records, how, &|id| in_use(id).is_some() || in_list(id), &mut report)?;
        }
        Ok(report)
    }

    /// Moves layers out of sight that no image refers to and nobody leases; they were made for a moment only.
    ///
    /// # Errors
    /// When one cannot be moved.
    pub fn forget_layers(&self, unneeded: &[Digest]) -> Result<(), StoreError> {
        let _lock = self.lock()?;
        let records = self.records()?;
        let keep = Referenced::by(&records);
        let leased = lease::leased(&self.data)?;
        let layers = LayerStore::open(&self.data);
        let mut blobs = Vec::new();
        for layer in unneeded.iter().filter(|l| !keep.layers.contains(l) && !leased.contains(*l)) {
            let blob = layers.blob(layer);
            if layers.retire(layer)?.is_some() {
                blobs.extend(blob.map(|blob| blob.digest));
            }
        }
        self.remove_blobs(blobs, &records, &leased).map(drop)
    }

    /// Takes one of several names away, and with the last tag of a repository that repository's digest names.
    fn drop_name(
        &self,
        name: &Reference,
        mine: &[Reference],
        report: &mut RemoveReport,
    ) -> Result<(), StoreError> {
        let same_repository =
            |other: &&Reference| other.domain() == name.domain() && other.path() == name.path();
        let last = !mine
            .iter()
            .filter(same_repository)
            .any(|other| other != name && other.tag().is_some());
        for other in mine.iter().filter(same_repository) {
            if (other == name || last) && self.names.remove(other)? {
                report.untagged.push(other.clone());
            }
        }
        Ok(())
    }

    /// Deletes the record of a nameless image, then its nameless parents, then what no image refers to any more. Dying
    /// in between leaves content without an image, which [`ImageStore::collect`] finds.
    fn delete(
        &self,
        id: &Digest,
        mut records: Vec<ImageRecord>,
        how: Removal,
        in_use: &dyn Fn(&Digest) -> bool,
        report: &mut RemoveReport,
    ) -> Result<(), StoreError> {
        let named: BTreeSet<Digest> = self.names.list()?.into_iter().map(|(_, named)| named.id).collect();
        let mut gone = Vec::new();
        let mut next = Some(id.clone());
        while let Some(id) = next.take() {
            let path = self.record_path(&id);
            blobs::remove_file(&path)?;
            if let Some(dir) = path.parent() {
                // Only the record lives there; anything else was put there by hand and stays.
                fs::remove_dir(dir).ok();
            }
            report.deleted.push(id.clone());
            if let Some(position) = records.iter().position(|r| r.id == id) {
                let record = records.swap_remove(position);
                next = record.parent.clone().filter(|parent| {
                    !how.keep_parents
                        && !named.contains(parent)
                        && !in_use(parent)
                        && records.iter().any(|r| r.id == *parent)
                        && !records.iter().any(|r| r.parent.as_ref() == Some(parent))
                });
                gone.push(record);
            } else {
                self.blobs.remove(&id)?;
            }
        }
        let keep = Referenced::by(&records);
        let leased = lease::leased(&self.data)?;
        let layers = LayerStore::open(&self.data);
        let mut unneeded: BTreeSet<Digest> = BTreeSet::new();
        for record in &gone {
            unneeded.extend(record.blobs.iter().chain(&record.manifests).chain([&record.id]).cloned());
            let unused = |l: &&Digest| !keep.layers.contains(l) && !leased.contains(l);
            for layer in record.layers.iter().filter(unused) {
                let bytes = layers.record(layer).map_or(0, |record| record.report.bytes);
                let blob = layers.blob(layer);
                if layers.retire(layer)?.is_some() {
                    report.bytes += bytes;
                    unneeded.extend(blob.map(|blob| blob.digest));
                }
            }
        }
        report.bytes += self.remove_blobs(unneeded, &records, &leased)?;
        Ok(())
    }

    /// Removes those of some blobs that nothing needs, and returns their bytes.
    fn remove_blobs(
        &self,
        unneeded: impl IntoIterator<Item = Digest>,
        records: &[ImageRecord],
        leased: &BTreeSet<Digest>,
    ) -> Result<u64, StoreError> {
        let keep = Referenced::by(records);
        let of_layers = blobs_of(&LayerStore::open(&self.data))?;
        let mut bytes = 0;
        for blob in unneeded {
            if keep.blobs.contains(&blob) || leased.contains(&blob) || of_layers.contains(&blob) {
                continue;
            }
            bytes += fs::metadata(self.blobs.path(&blob)).map_or(0, |m| m.len());
            self.blobs.remove(&blob)?;
        }
        Ok(bytes)
    }
}

/// The blobs that hold the archives of layers that are here, whoever keeps those: an image, a container, the build cache.
fn blobs_of(layers: &LayerStore) -> Result<BTreeSet<Digest>, StoreError> {
    Ok(layers.list()?.iter().filter_map(|layer| layers.blob(layer)).map(|blob| blob.digest).collect())
}

/// What a set of records refers to.
struct Referenced<'a> {
    layers: BTreeSet<&'a Digest>,
    blobs: BTreeSet<&'a Digest>,
}

impl<'a> Referenced<'a> {
    fn by(records: &'a [ImageRecord]) -> Self {
        Self {
            layers: records.iter().flat_map(|r| &r.layers).collect(),
            blobs: records
                .iter()
                .flat_map(|r| r.blobs.iter().chain(&r.manifests).chain([&r.id]))
                .collect(),
        }
    }
}
