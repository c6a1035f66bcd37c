//! Names of images that are not on a registry: `oci:DIR[:TAG]`, `oci-archive:FILE[:TAG]`, `docker-archive:FILE[:NAME]`,
//! `dir:DIR`, as podman and skopeo write them. `pull` reads from them, `push` writes to them.

use std::path::{Path, PathBuf};

use crate::engine::Error;
use crate::engine::outfile::to_file;
use crate::image::Image;
use crate::image::archive::{self, ArchiveError, Input, LoadOptions, Loaded, Progress, SaveFormat, SaveOptions, Subject, Target};
use crate::image::compose::Format;
use crate::image::compress::Settings;
use crate::image::lists::List;
use crate::spec::Digest;

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    kind: Kind,
    path: PathBuf,
    /// Which image there: a name, a tag, or `@N`.
    select: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dir,
    Oci,
    OciArchive,
    DockerArchive,
}

/// The place a text names; none for names of registries. `docker://` in front of one is taken away by [`registry_name`].
pub(super) fn parse(text: &str) -> Result<Option<Place>, Error> {
    let Some((word, rest)) = text.split_once(':') else { return Ok(None) };
    let kind = match word {
        "dir" => Kind::Dir,
        "oci" => Kind::Oci,
        "oci-archive" => Kind::OciArchive,
        "docker-archive" => Kind::DockerArchive,
        _ => return Ok(None),
    };
    // A path in `dir:` may hold colons; elsewhere the first one ends it.
    let (path, select) = match rest.split_once(':') {
        Some((path, select)) if kind != Kind::Dir => (path, Some(select.to_owned()).filter(|text| !text.is_empty())),
        _ => (rest, None),
    };
    if path.is_empty() {
        return Err(Error::Usage(format!("\"{text}\" names no path: write {word}:PATH")));
    }
    Ok(Some(Place { kind, path: PathBuf::from(path), select }))
}

/// Without the transport of registries.
pub(super) fn registry_name(text: &str) -> &str {
    text.strip_prefix("docker://").unwrap_or(text)
}

impl Place {
    /// Brings the image there into the store; the caller is root of the user's namespace.
    pub(super) fn load(
        &self,
        store: &crate::image::ImageStore,
        options: LoadOptions,
        say: &(dyn Fn(&str) + Sync),
    ) -> Result<Vec<Loaded>, Error> {
        let is_dir = self.path.is_dir();
        if is_dir != matches!(self.kind, Kind::Dir | Kind::Oci) && self.path.exists() {
            let what = if is_dir { "a directory" } else { "no directory" };
            return Err(Error::Usage(format!("{} is {what}", self.path.display())));
        }
        let options = LoadOptions { select: self.select.clone(), ..options };
        let progress = |what: Progress<'_>| match what {
            Progress::Skipped(what) => say(&format!("Skipping {what}")),
            Progress::Layer(_) | Progress::Waiting(_) => {}
        };
        Ok(archive::load(store, Input::Path(self.path.clone()), &options, &progress)?)
    }

    /// Writes an image there. Returns digest and size of its manifest; where there is none, of its configuration.
    pub(super) fn save(
        &self,
        store: &crate::image::ImageStore,
        image: &Image,
        compression: Option<Settings>,
        manifest: Option<Format>,
    ) -> Result<(Digest, usize), Error> {
        let mut subject = Subject::new(store, image, &image.names)?;
        let name = self.select.as_deref();
        subject.names = match (self.kind, name) {
            (Kind::DockerArchive, Some(name)) => {
                let name = store.reference(name)?;
                if name.digest().is_some() {
                    return Err(Error::Usage(format!("{name}: a docker-archive has names with tags only; give a tag instead of the digest")));
                }
                vec![name.to_string()]
            }
            (_, Some(name)) => vec![name.to_owned()],
            // The path says which; the others are told by the image's names.
            (Kind::Dir | Kind::Oci, None) => Vec::new(),
            (_, None) => subject.names,
        };
        if self.kind == Kind::DockerArchive && has_content(&self.path) {
            return Err(ArchiveError::Exists(self.path.clone()).into());
        }
        let format = match self.kind {
            Kind::Dir => SaveFormat::Dir,
            Kind::Oci | Kind::OciArchive => SaveFormat::Oci,
            Kind::DockerArchive => SaveFormat::Docker,
        };
        let options = SaveOptions { format, compression, manifest };
        let config = (image.record.id.clone(), subject.config.len());
        let save = |target: Target<'_>| Ok::<_, Error>(archive::save(store, &[subject], &options, target)?);
        let written = match self.kind {
            Kind::Dir | Kind::Oci => save(Target::Directory(&self.path))?,
            Kind::OciArchive | Kind::DockerArchive => to_file(&self.path, |out| save(Target::Stream(out)))?,
        };
        Ok(written.unwrap_or(config))
    }
}

/// Whether a regular file is there that is not empty.
fn has_content(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.len() > 0)
}

impl Place {
    /// Whether lists have a place there.
    pub(super) fn takes_lists(&self) -> bool {
        self.kind != Kind::DockerArchive
    }

    /// Writes a list with all its images there. Returns digest and size of the list.
    pub(super) fn save_list(
        &self,
        store: &crate::image::ImageStore,
        list: &List,
        compression: Option<Settings>,
        manifest: Option<Format>,
    ) -> Result<(Digest, usize), Error> {
        let format = match self.kind {
            Kind::Dir => SaveFormat::Dir,
            Kind::Oci | Kind::OciArchive => SaveFormat::Oci,
            Kind::DockerArchive => {
                return Err(Error::Usage("a docker-archive holds no manifest lists: use oci-archive:, oci: or dir:".to_owned()));
            }
        };
        let names = match (&self.select, self.kind) {
            (Some(name), _) => vec![name.clone()],
            (None, Kind::OciArchive) => vec![list.name.clone()],
            (None, _) => Vec::new(),
        };
        let options = SaveOptions { format, compression, manifest };
        let members = super::list::members(store, list)?;
        let save = |target: Target<'_>| Ok::<_, Error>(archive::save_list(store, (list, &members), &names, &options, target)?);
        match self.kind {
            Kind::OciArchive => to_file(&self.path, |out| save(Target::Stream(out))),
            _ => save(Target::Directory(&self.path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let place = |text: &str| parse(text).expect("valid").map(|p| (p.kind, p.path.display().to_string(), p.select));
        let some = |kind, path: &str, select: Option<&str>| Some((kind, path.to_owned(), select.map(str::to_owned)));
        assert_eq!(place("oci:/a/b:v1"), some(Kind::Oci, "/a/b", Some("v1")));
        assert_eq!(place("oci:b"), some(Kind::Oci, "b", None));
        assert_eq!(place("dir:/a:b"), some(Kind::Dir, "/a:b", None));
        assert_eq!(place("docker-archive:x.tar:app:v1"), some(Kind::DockerArchive, "x.tar", Some("app:v1")));
        assert_eq!(place("oci-archive:x.tar:@1"), some(Kind::OciArchive, "x.tar", Some("@1")));
        for name in ["debian", "debian:12", "localhost:5000/x", "docker://debian"] {
            assert_eq!(place(name), None, "{name}");
        }
        assert!(parse("oci:").is_err());
        assert_eq!(registry_name("docker://debian"), "debian");
    }
}
