//! `images`: the images as rows with docker's keys, newest first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::engine::filter::{self, Filters};
use crate::engine::{Engine, Error};
use crate::format::{duration, size, time};
use crate::image::store::NO_TIME;
use crate::image::{Image, ImageStore};
use crate::spec::{Digest, Reference};

const KEYS: &[&str] = &[
    "dangling", "label", "label!", "before", "since", "after", "reference", "until", "id", "digest", "intermediate", "readonly",
    "manifest", "containers",
];

/// What to list and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// Only this repository or reference; `*` is any text without a slash.
    pub reference: Option<String>,
    /// `-a`: unnamed parents too.
    pub all: bool,
    /// `--digests`: a row per digest.
    pub digests: bool,
    /// `--filter`, each `key=value`.
    pub filters: Vec<String>,
    /// `--no-trunc`.
    pub no_trunc: bool,
    /// Read each image's configuration, for labels and platform.
    pub configs: bool,
}

/// One name of an image.
#[derive(Debug, Clone)]
pub struct Row {
    /// Bytes of its layers, unpacked.
    pub size: u64,
    /// For `{{.Label "key"}}`.
    pub labels: BTreeMap<String, String>,
    /// docker's keys and texts.
    pub json: Value,
    /// podman's further ones; some only with `configs`.
    pub more: Value,
}

/// What [`list`] found.
#[derive(Debug)]
pub struct Listing {
    /// The images.
    pub rows: Vec<Row>,
    /// Those that cannot be read.
    pub damaged: Vec<Error>,
}

/// Lists images.
///
/// # Errors
/// A filter that makes no sense; an image named in one that is not there.
pub fn list(engine: &Engine, options: &ListOptions) -> Result<Listing, Error> {
    let store = super::store(engine);
    let filters = Filters::parse(&options.filters, KEYS)?;
    let limits = Limits::read(&store, &filters)?;
    let asked = Asked::read(&filters)?;
    let (images, damaged) = store.list_readable()?;
    let parents: BTreeSet<Digest> = images.iter().filter_map(|image| image.record.parent.clone()).collect();
    let counts = super::containers_of(engine)?;
    let with_labels = filters.has("label") || filters.has("label!");
    let shown = Shown { options, filters: &filters, now: time::now(), zone: TimeZone::system() };
    let listed = store.listed()?;
    // A list always has a name, is made here, and no container is made of it as such.
    let of_list = Traits { dangling: false, intermediate: false, readonly: false, manifest: true, containers: false };
    let mut rows = if asked.fits(&of_list) { shown.lists(&store, &images, &limits)? } else { Vec::new() };
    for image in images {
        let id = &image.record.id;
        let nameless = image.names.is_empty() && image.repo_digests.is_empty();
        let intermediate = nameless && (parents.contains(id) || listed.contains(id));
        let containers = counts.get(id.hex()).copied().unwrap_or(0);
        let traits = Traits {
            dangling: image.names.is_empty() && !intermediate,
            intermediate,
            // What is not recorded here is in another's store.
            readonly: filters.has("readonly") && store.record(id)?.is_none(),
            manifest: false,
            containers: containers > 0,
        };
        let is_digest = |prefix: &String| image.record.manifests.iter().any(|digest| begins(digest, prefix));
        if (intermediate && !options.all && !asked.intermediate.contains(&true))
            || !asked.fits(&traits)
            || !filters.any("digest", is_digest)
            || !limits.fit(image.record.created)
            || !filters.any("id", |prefix| id.hex().starts_with(prefix.trim_start_matches("sha256:")))
        {
            continue;
        }
        let config = match (with_labels, options.configs) {
            (true, _) => Some(store.config(id)?),
            (false, true) => store.config(id).ok(),
            (false, false) => None,
        };
        let platform = config.as_ref().map(|config| (config.os.clone(), config.architecture.clone())).unwrap_or_default();
        let labels = config.map(|config| config.config.labels).unwrap_or_default();
        if !filters.labels(&labels) {
            continue;
        }
        let asked = options.reference.is_some() || filters.has("reference");
        for text in names(&image, options.digests, asked, &|name| shown.wanted(name)) {
            let what = What { id, created: image.record.created, size: image.record.size, names: &image.names, containers };
            rows.push((image.record.created, shown.row(&what, text, &labels, &platform)));
        }
    }
    rows.sort_by_key(|(created, _)| std::cmp::Reverse(*created));
    let rows = rows.into_iter().map(|(_, row)| row).collect();
    Ok(Listing { rows, damaged: damaged.into_iter().map(Error::from).collect() })
}

/// What a row is about.
struct What<'a> {
    id: &'a Digest,
    created: Option<i64>,
    size: u64,
    names: &'a [Reference],
    containers: usize,
}

/// How rows are made.
struct Shown<'a> {
    options: &'a ListOptions,
    filters: &'a Filters,
    now: i64,
    zone: TimeZone,
}

impl Shown<'_> {
    fn wanted(&self, name: &Reference) -> bool {
        self.options.reference.as_deref().is_none_or(|pattern| fits(pattern, name))
            && self.filters.any("reference", |pattern| fits(pattern, name))
    }

    /// The lists, each with what its images come to and the newest one's time.
    fn lists(&self, store: &ImageStore, images: &[Image], limits: &Limits) -> Result<Vec<(Option<i64>, Row)>, Error> {
        let mut rows = Vec::new();
        for list in store.lists().all()? {
            let name = list.reference()?;
            let members: Vec<&Image> = images.iter().filter(|image| list.holds(&image.record.id)).collect();
            let created = members.iter().filter_map(|image| image.record.created).max();
            let labels: Vec<_> = members.iter().filter_map(|image| Some(store.config(&image.record.id).ok()?.config.labels)).collect();
            let id = list.id();
            if !self.wanted(&name)
                || !limits.fit(created)
                || !(labels.iter().any(|labels| self.filters.labels(labels)) || labels.is_empty() && self.filters.labels(&BTreeMap::new()))
                || !self.filters.any("id", |prefix| begins(&id, prefix))
                || !self.filters.any("digest", |prefix| begins(&id, prefix))
            {
                continue;
            }
            let size = members.iter().map(|image| image.record.size).sum();
            let what = What { id: &id, created, size, names: std::slice::from_ref(&name), containers: 0 };
            let text = (name.familiar_name(), name.tag().unwrap_or("<none>").to_owned(), id.to_string());
            rows.push((created, self.row(&what, text, &BTreeMap::new(), &<_>::default())));
        }
        Ok(rows)
    }

    fn row(
        &self,
        what: &What<'_>,
        (repository, tag, digest): (String, String, String),
        labels: &BTreeMap<String, String>,
        platform: &(String, String),
    ) -> Row {
        let since = since(what.created, self.now);
        let size = size::human3(what.size);
        Row {
            size: what.size,
            labels: labels.clone(),
            more: json!({
                "Created": since,
                "Names": what.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "Labels": crate::engine::container::ls::joined(labels),
                "Os": platform.0,
                "Arch": platform.1,
            }),
            json: json!({
                "Repository": repository,
                "Tag": tag,
                "Digest": digest,
                "ID": if self.options.no_trunc { what.id.to_string() } else { what.id.short().to_owned() },
                "CreatedSince": since,
                "CreatedAt": what.created.filter(|created| *created != NO_TIME).map_or_else(
                    || "N/A".to_owned(),
                    |created| time::local_long(created.saturating_mul(1_000_000_000), &self.zone),
                ),
                "Size": size,
                "VirtualSize": size,
                "SharedSize": "N/A",
                "UniqueSize": "N/A",
                "Containers": what.containers.to_string(),
            }),
        }
    }
}

/// One row per name: repository, tag, digest.
fn names(image: &Image, digests: bool, asked: bool, wanted: &dyn Fn(&Reference) -> bool) -> Vec<(String, String, String)> {
    let none = || "<none>".to_owned();
    let digest_of = |name: &Reference| {
        let mut same = image.repo_digests.iter().filter(|other| other.repository() == name.repository()).filter_map(Reference::digest);
        let first = same.clone().next();
        let by = image.came_by.get(name);
        same.find(|digest| Some(*digest) == by).or(first).map_or_else(none, ToString::to_string)
    };
    let mut rows: Vec<_> = image
        .names
        .iter()
        .filter(|name| wanted(name))
        .map(|name| (name.familiar_name(), name.tag().map_or_else(none, str::to_owned), digest_of(name)))
        .collect();
    if image.names.is_empty() {
        for name in image.repo_digests.iter().filter(|name| wanted(name)) {
            rows.push((name.familiar_name(), none(), name.digest().map_or_else(none, ToString::to_string)));
            if !digests {
                break;
            }
        }
        if rows.is_empty() && !asked {
            rows.push((none(), none(), none()));
        }
    }
    rows
}

fn since(created: Option<i64>, now: i64) -> String {
    match created {
        // The zero time of reproducible builds says nothing.
        None | Some(NO_TIME) => "N/A".to_owned(),
        Some(created) => format!("{} ago", duration::human(now / 1_000_000_000 - created)),
    }
}

/// What the filters that are yes or no ask of.
struct Traits {
    dangling: bool,
    intermediate: bool,
    readonly: bool,
    manifest: bool,
    containers: bool,
}

/// What they ask for; no answer is any.
struct Asked {
    dangling: Vec<bool>,
    intermediate: Vec<bool>,
    readonly: Vec<bool>,
    manifest: Vec<bool>,
    containers: Vec<bool>,
}

impl Asked {
    fn read(filters: &Filters) -> Result<Self, Error> {
        let values = |key: &str| filters.values(key).iter().map(|text| filter::boolean(key, text)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            dangling: values("dangling")?,
            intermediate: values("intermediate")?,
            readonly: values("readonly")?,
            manifest: values("manifest")?,
            containers: values("containers")?,
        })
    }

    fn fits(&self, traits: &Traits) -> bool {
        let fits = |asked: &[bool], is: bool| asked.is_empty() || asked.contains(&is);
        fits(&self.dangling, traits.dangling)
            && fits(&self.intermediate, traits.intermediate)
            && fits(&self.readonly, traits.readonly)
            && fits(&self.manifest, traits.manifest)
            && fits(&self.containers, traits.containers)
    }
}

/// Whether a digest, with its algorithm or without, begins so.
fn begins(digest: &Digest, prefix: &str) -> bool {
    digest.hex().starts_with(prefix) || digest.to_string().starts_with(prefix)
}

/// The filters `before`, `since`, `until`.
struct Limits {
    before: Option<i64>,
    since: Option<i64>,
    until: Option<i64>,
}

impl Limits {
    fn read(store: &ImageStore, filters: &Filters) -> Result<Self, Error> {
        let created = |key: &str| -> Result<Option<i64>, Error> {
            filters.values(key).last().map(|name| Ok(store.resolve(name)?.record.created.unwrap_or(0))).transpose()
        };
        let until = filter::until(filters)?.map(|nanos| nanos / 1_000_000_000);
        Ok(Self { before: created("before")?, since: created("since")?.or(created("after")?), until })
    }

    fn fit(&self, created: Option<i64>) -> bool {
        let created = created.unwrap_or(0);
        self.before.is_none_or(|limit| created < limit)
            && self.since.is_none_or(|limit| created > limit)
            && self.until.is_none_or(|limit| created <= limit)
    }
}

/// docker's rule: the pattern fits the name with its tag, or the name alone; in the short form or the full one.
fn fits(pattern: &str, name: &Reference) -> bool {
    let tag = name.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    [name.familiar_name(), name.repository()]
        .iter()
        .any(|text| glob(pattern, text) || (!tag.is_empty() && glob(pattern, &format!("{text}{tag}"))))
}

/// `*` any text without a slash, `?` one character but a slash.
fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p, t));
                p += 1;
            }
            Some(b'?') if text[t] != b'/' => {
                p += 1;
                t += 1;
            }
            Some(c) if *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((star, from)) if text[from] != b'/' => {
                    back = Some((star, from + 1));
                    p = star + 1;
                    t = from + 1;
                }
                _ => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_of_names() {
        let name: Reference = "debian:12".parse().expect("a reference");
        for pattern in ["debian", "debian:12", "deb*", "debian:*", "docker.io/library/debian", "docker.io/*/debian:12", "*"] {
            assert!(fits(pattern, &name), "{pattern}");
        }
        for pattern in ["debia", "debian:11", "library/*:12", "docker.io/*", "ubuntu", "d?bian:1"] {
            assert!(!fits(pattern, &name), "{pattern}");
        }
    }

    #[test]
    fn the_zero_time_is_no_time() {
        assert_eq!(since(Some(NO_TIME), 0), "N/A");
        assert_eq!(since(None, 0), "N/A");
        assert!(since(Some(0), 1_000_000_000).ends_with("ago"));
    }

    #[test]
    fn stars_do_not_cross_slashes() {
        assert!(glob("a/*/c", "a/b/c") && glob("*b*", "abc") && glob("a?c", "abc") && glob("", ""));
        assert!(!glob("a*c", "a/c") && !glob("*", "a/b") && !glob("a", "") && !glob("?", ""));
    }
}
