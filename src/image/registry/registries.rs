//! `registries.conf`: what the host's other tools have been told about registries, in version 2 of the containers format.
//!
//! Owns reading those files and applying them to a reference: which places to ask for it (mirrors first), which are blocked
//! or without TLS, and what a short name may mean. Asks nobody; kelp's own configuration is applied before, by others.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::spec::{Reference, ShortNames};

const MAX_FILE: u64 = 4 << 20;
const SYSTEM: &str = "/etc/containers";

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RegistriesError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not as expected.
    #[error("cannot understand {path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The registry must not be used.
    #[error("registry {registry} is blocked for {reference} by registries.conf")]
    Blocked {
        /// The prefix that says so.
        registry: String,
        /// What was asked for.
        reference: String,
    },
    /// A mirror or location that makes no reference.
    #[error("registries.conf sends {reference} to {target}, which is no image reference")]
    Target {
        /// What was asked for.
        reference: String,
        /// What came out.
        target: String,
    },
    /// A short name that may mean several images.
    #[error("\"{name}\" may be {}; give the whole name, or make an alias", .candidates.join(" or "))]
    Ambiguous {
        /// As typed.
        name: String,
        /// What it may mean.
        candidates: Vec<String>,
    },
}

/// What the files say together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registries {
    search: Vec<String>,
    mode: Mode,
    aliases: BTreeMap<String, String>,
    registries: Vec<Registry>,
    helpers: Vec<String>,
}

/// What to do with a short name that may mean several images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Enforcing,
    #[default]
    Permissive,
    Disabled,
}

/// Where an image may be fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Host and port.
    pub domain: String,
    /// The repository there.
    pub path: String,
    /// Whether TLS may be missing or its certificate unknown.
    pub insecure: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Registry {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    /// Of mirrors only; here to be refused.
    pull_from_mirror: String,
    mirror: Vec<Mirror>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Mirror {
    location: String,
    insecure: bool,
    pull_from_mirror: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Document {
    unqualified_search_registries: Option<Vec<String>>,
    short_name_mode: Option<Mode>,
    registry: Vec<Registry>,
    aliases: BTreeMap<String, String>,
    credential_helpers: Option<Vec<String>>,
    /// Version 1.
    registries: Option<Old>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Old {
    search: OldList,
    insecure: OldList,
    block: OldList,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OldList {
    registries: Vec<String>,
}

impl Registries {
    /// Reads the user's file or, without one, the system's; then what lies beside them. `env` reads the environment.
    ///
    /// # Errors
    /// When a file cannot be read or understood.
    pub fn load(env: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, RegistriesError> {
        let var = |name: &str| env(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let user = var("XDG_CONFIG_HOME").or_else(|| var("HOME").map(|home| home.join(".config")));
        let user = user.map(|config| config.join("containers"));
        let mut all = Self::default();
        if let Some(named) = var("CONTAINERS_REGISTRIES_CONF") {
            all.read(&named, true)?;
        } else {
            let own = match &user {
                Some(dir) => all.read(&dir.join("registries.conf"), false)?,
                None => false,
            };
            if !own {
                all.read(&Path::new(SYSTEM).join("registries.conf"), false)?;
            }
        }
        for dir in [Some(PathBuf::from(SYSTEM)), user].into_iter().flatten() {
            for path in drop_ins(&dir.join("registries.conf.d")) {
                all.read(&path, false)?;
            }
        }
        // What podman's users answered when it asked; it wins there too.
        let cache = var("XDG_CACHE_HOME").or_else(|| var("HOME").map(|home| home.join(".cache")));
        if let Some(dir) = cache {
            all.read(&dir.join("containers/short-name-aliases.conf"), false)?;
        }
        Ok(all)
    }

    /// Adds a file; whether it was there.
    fn read(&mut self, path: &Path, required: bool) -> Result<bool, RegistriesError> {
        let failed = |source| RegistriesError::File { path: path.to_owned(), source };
        let mut text = String::new();
        match File::open(path) {
            Err(error) if !required && matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(false);
            }
            opened => opened.and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)).map_err(failed)?,
        };
        self.add(&text).map_err(|reason| RegistriesError::Malformed { path: path.to_owned(), reason })?;
        Ok(true)
    }

    /// Adds what a file says; where it repeats a prefix or a name, the later file wins.
    fn add(&mut self, text: &str) -> Result<(), String> {
        let document: Document = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let mut more = document.registry;
        if let Some(old) = document.registries {
            let plain = |location: &String| Registry { location: location.clone(), ..Registry::default() };
            more.extend(old.insecure.registries.iter().map(|l| Registry { insecure: true, ..plain(l) }));
            more.extend(old.block.registries.iter().map(|l| Registry { blocked: true, ..plain(l) }));
            if !old.search.registries.is_empty() {
                self.search = old.search.registries;
            }
        }
        for mut registry in more {
            registry.check()?;
            self.registries.retain(|other| other.prefix != registry.prefix);
            self.registries.push(registry);
        }
        if let Some(search) = document.unqualified_search_registries {
            self.search = search.iter().map(|entry| searched(entry)).collect::<Result<_, _>>()?;
        }
        if let Some(helpers) = document.credential_helpers {
            self.helpers = helpers;
        }
        self.mode = document.short_name_mode.unwrap_or(self.mode);
        for (name, target) in document.aliases {
            check_alias(&name, &target)?;
            if target.is_empty() {
                self.aliases.remove(&name);
            } else {
                self.aliases.insert(name, target);
            }
        }
        Ok(())
    }

    /// Where to ask for an image, in this order. `insecure` of an endpoint is what the files say.
    ///
    /// # Errors
    /// When it is blocked, or sent to something that is no reference.
    pub fn endpoints(&self, reference: &Reference) -> Result<Vec<Endpoint>, RegistriesError> {
        let itself = Endpoint { domain: reference.domain().to_owned(), path: reference.path().to_owned(), insecure: false };
        let Some((registry, length)) = self.of(reference) else { return Ok(vec![itself]) };
        if registry.blocked {
            return Err(RegistriesError::Blocked { registry: registry.prefix.clone(), reference: reference.familiar() });
        }
        let rewritten = |location: &str, insecure: bool| {
            let target = format!("{location}{}", &reference.repository()[length.min(reference.repository().len())..]);
            let wrong = || RegistriesError::Target { reference: reference.familiar(), target: target.clone() };
            let parsed = Reference::parse_bare(&target, &nowhere()).map_err(|_| wrong())?;
            if parsed.domain() == NOWHERE {
                return Err(wrong());
            }
            Ok(Endpoint { domain: parsed.domain().to_owned(), path: parsed.path().to_owned(), insecure })
        };
        let mut all = Vec::new();
        for mirror in &registry.mirror {
            let digest = reference.digest().is_some();
            let fits = match mirror.pull_from_mirror.as_str() {
                "digest-only" => digest,
                "tag-only" => !digest,
                _ => digest || !registry.mirror_by_digest_only,
            };
            if fits {
                all.push(rewritten(&mirror.location, mirror.insecure)?);
            }
        }
        all.push(match registry.location.as_str() {
            "" => Endpoint { insecure: registry.insecure, ..itself },
            location => rewritten(location, registry.insecure)?,
        });
        Ok(all)
    }

    /// Whether a registry as such may be spoken to without TLS.
    ///
    /// # Errors
    /// When it is blocked.
    pub fn is_insecure(&self, reference: &Reference) -> Result<bool, RegistriesError> {
        match self.of(reference) {
            Some((registry, _)) if registry.blocked => {
                Err(RegistriesError::Blocked { registry: registry.prefix.clone(), reference: reference.familiar() })
            }
            found => Ok(found.is_some_and(|(registry, _)| registry.insecure)),
        }
    }

    /// The most special entry for a reference, and how much of it is replaced by a location.
    fn of(&self, reference: &Reference) -> Option<(&Registry, usize)> {
        let text = reference.to_string();
        let matches = self.registries.iter().filter_map(|registry| Some((registry, covered(&registry.prefix, &text)?)));
        matches.max_by_key(|(registry, length)| (*length, registry.prefix.len()))
    }

    /// What a short name may mean, the likeliest first; nothing when the files say nothing, or the name is no short one.
    ///
    /// # Errors
    /// When it may mean several, and the files forbid to try.
    pub fn short(&self, name: &str) -> Result<Vec<Reference>, RegistriesError> {
        let candidates = self.candidates(name);
        if self.mode == Mode::Enforcing && candidates.len() > 1 {
            let candidates = candidates.iter().map(ToString::to_string).collect();
            return Err(RegistriesError::Ambiguous { name: name.to_owned(), candidates });
        }
        Ok(candidates)
    }

    /// All a short name may mean.
    #[must_use]
    pub fn candidates(&self, name: &str) -> Vec<Reference> {
        let Ok(probe) = Reference::parse(name, &nowhere()) else { return Vec::new() };
        if probe.domain() != NOWHERE {
            return Vec::new();
        }
        let full = |repository: String| {
            let rest = &probe.to_string()[probe.repository().len()..];
            format!("{repository}{rest}").parse::<Reference>().ok()
        };
        if let Some(alias) = self.aliases.get(probe.path()) {
            return full(alias.clone()).into_iter().collect();
        }
        self.search.iter().filter_map(|registry| full(format!("{registry}/{}", probe.path()))).collect()
    }

    /// Where credentials are kept (`credential-helpers`), in the order to ask; nothing means in files.
    #[must_use]
    pub fn credential_helpers(&self) -> &[String] {
        &self.helpers
    }

    /// The registries searched for short names.
    #[must_use]
    pub fn search_list(&self) -> &[String] {
        &self.search
    }
}

impl Registry {
    /// Completes an entry and refuses one that cannot be meant as it is.
    fn check(&mut self) -> Result<(), String> {
        let Self { prefix, location, mirror, .. } = self;
        for text in [&mut *prefix, &mut *location].into_iter().chain(mirror.iter_mut().map(|mirror| &mut mirror.location)) {
            *text = place(text)?;
        }
        match (prefix.is_empty(), location.is_empty()) {
            (true, true) => return Err("a [[registry]] has neither prefix nor location".to_owned()),
            (true, false) => prefix.clone_from(location),
            (false, true) if !prefix.starts_with("*.") => {
                return Err(format!("the [[registry]] with the prefix {prefix} has no location; only one like *.example.com can do without"));
            }
            (false, _) => {}
        }
        if !self.pull_from_mirror.is_empty() {
            return Err(format!("pull-from-mirror is for mirrors, not for the registry {}", self.prefix));
        }
        for mirror in &self.mirror {
            if mirror.location.is_empty() {
                return Err(format!("a mirror of {} has no location", self.prefix));
            }
            match mirror.pull_from_mirror.as_str() {
                "" => {}
                "all" | "digest-only" | "tag-only" if self.mirror_by_digest_only => {
                    let (prefix, location) = (&self.prefix, &mirror.location);
                    return Err(format!("mirror-by-digest-only of {prefix} and pull-from-mirror of its mirror {location} exclude each other"));
                }
                "all" | "digest-only" | "tag-only" => {}
                other => {
                    return Err(format!("pull-from-mirror = \"{other}\" of the mirror {}: use all, digest-only or tag-only", mirror.location));
                }
            }
        }
        Ok(())
    }
}

/// A prefix or location as it is compared.
fn place(text: &str) -> Result<String, String> {
    if text.starts_with("http://") || text.starts_with("https://") {
        return Err(format!("the location {text} has a scheme: leave the {}// away", text.split("//").next().unwrap_or_default()));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// An entry of `unqualified-search-registries`: a registry, perhaps with the beginning of a path.
fn searched(entry: &str) -> Result<String, String> {
    let registry = place(entry)?;
    match Reference::parse_bare(&format!("{registry}/x"), &nowhere()) {
        Ok(probe) if probe.domain() != NOWHERE => Ok(registry),
        _ => Err(format!("\"{entry}\" in unqualified-search-registries is no registry HOST[:PORT]")),
    }
}

/// Refuses an alias that would never be used, or lead nowhere.
fn check_alias(name: &str, target: &str) -> Result<(), String> {
    let short = Reference::parse_bare(name, &nowhere()).map_err(|error| format!("the alias \"{name}\": {error}"))?;
    if short.domain() != NOWHERE || short.tag().is_some() || short.digest().is_some() {
        return Err(format!("the alias \"{name}\" is no short name: it must have no registry, tag or digest"));
    }
    if target.is_empty() {
        return Ok(());
    }
    let whole = Reference::parse_bare(target, &nowhere()).map_err(|error| format!("the alias \"{name}\": {error}"))?;
    if whole.domain() == NOWHERE || whole.tag().is_some() || whole.digest().is_some() {
        return Err(format!("the alias \"{name}\" stands for \"{target}\": it must be a registry and a repository, without tag or digest"));
    }
    Ok(())
}

/// A host that does not exist (RFC 2606): where short names show that they are.
const NOWHERE: &str = "short.invalid";

fn nowhere() -> ShortNames {
    ShortNames { prefix: NOWHERE.to_owned(), aliases: BTreeMap::new() }
}

/// How much of a complete reference a prefix covers; none when it is for something else.
fn covered(prefix: &str, reference: &str) -> Option<usize> {
    if let Some(domain) = prefix.strip_prefix("*.") {
        let host = reference.split('/').next().unwrap_or_default();
        let sub = host.strip_suffix(domain)?.strip_suffix('.')?;
        return (!sub.is_empty()).then_some(host.len());
    }
    let rest = reference.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with(['/', ':', '@'])).then_some(prefix.len())
}

/// The `.conf` files of a directory, by name.
fn drop_ins(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "conf"));
    paths.sort();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Registries {
        let mut all = Registries::default();
        all.add(text).unwrap();
        all
    }

    fn places(all: &Registries, name: &str) -> Vec<String> {
        let endpoints = all.endpoints(&name.parse().unwrap()).unwrap();
        let shown = |e: &Endpoint| format!("{}/{}{}", e.domain, e.path, if e.insecure { " insecure" } else { "" });
        endpoints.iter().map(shown).collect()
    }

    const D: &str = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn mirrors_locations_and_prefixes() {
        let all = of(r#"
            [[registry]]
            location = "docker.io"
            [[registry.mirror]]
            location = "mirror.example:5000/hub"
            insecure = true
            [[registry.mirror]]
            location = "digests.example"
            pull-from-mirror = "digest-only"
            [[registry]]
            prefix = "reg.example/team"
            location = "inner.example/other/"
            insecure = true
            [[registry]]
            prefix = "*.sub.example"
            location = "all.example"
            [[registry]]
            location = "bad.example/x:tag"
            blocked = true
            [[registry]]
            location = "by.example"
            mirror-by-digest-only = true
            mirror = [{location = "m.example"}]
        "#);
        assert_eq!(places(&all, "alpine"), ["mirror.example:5000/hub/library/alpine insecure", "docker.io/library/alpine"]);
        assert_eq!(
            places(&all, &format!("alpine{D}")),
            ["mirror.example:5000/hub/library/alpine insecure", "digests.example/library/alpine", "docker.io/library/alpine"]
        );
        assert_eq!(places(&all, "reg.example/team/app:1"), ["inner.example/other/app insecure"]);
        assert_eq!(places(&all, "reg.example/teams/app"), ["reg.example/teams/app"]);
        assert_eq!(places(&all, "a.b.sub.example/x/y"), ["all.example/x/y"]);
        assert_eq!(places(&all, "sub.example/x"), ["sub.example/x"]);
        assert_eq!(places(&all, "by.example/x"), ["by.example/x"]);
        assert_eq!(places(&all, &format!("by.example/x{D}")), ["m.example/x", "by.example/x"]);
        assert_eq!(places(&all, "elsewhere.example/x"), ["elsewhere.example/x"]);
        assert!(matches!(all.endpoints(&"bad.example/x:tag".parse().unwrap()), Err(RegistriesError::Blocked { .. })));
        assert_eq!(places(&all, "bad.example/x:other"), ["bad.example/x"]);
    }

    #[test]
    fn short_names() {
        let names = |all: &Registries, name: &str| -> Vec<String> { all.candidates(name).iter().map(ToString::to_string).collect() };
        let mut all = of(r#"unqualified-search-registries = ["a.example", "docker.io"]
            [aliases]
            "tool" = "registry.example/team/tool"
            "gone" = "x.example/gone"
            "team/app" = "y.example/app""#);
        assert_eq!(names(&all, "tool:2"), ["registry.example/team/tool:2"]);
        assert_eq!(names(&all, "team/app"), ["y.example/app:latest"]);
        assert_eq!(names(&all, "alpine"), ["a.example/alpine:latest", "docker.io/library/alpine:latest"]);
        assert_eq!(names(&all, "a.example/alpine"), [""; 0]);
        assert_eq!(names(&Registries::default(), "alpine"), [""; 0]);
        all.add("short-name-mode = \"enforcing\"\n[aliases]\ngone = \"\"").unwrap();
        assert!(matches!(all.short("gone"), Err(RegistriesError::Ambiguous { .. })));
        assert_eq!(all.short("tool").unwrap().len(), 1);
        all.add("unqualified-search-registries = [\"b.example\"]").unwrap();
        assert_eq!(names(&all, "x"), ["b.example/x:latest"]);
        assert!(all.short("x").is_ok());
    }

    #[test]
    fn what_podman_remembers_counts() {
        let home = std::env::temp_dir().join(format!("kelp-aliases-{}", std::process::id()));
        let cache = home.join(".cache/containers");
        std::fs::create_dir_all(&cache).unwrap();
        let conf = home.join("registries.conf");
        std::fs::write(&conf, "[aliases]\ntool = \"a.example/tool\"").unwrap();
        std::fs::write(cache.join("short-name-aliases.conf"), "[aliases]\n  \"tool\" = \"b.example/tool\"").unwrap();
        let env = |name: &str| match name {
            "HOME" => Some(home.clone().into_os_string()),
            "CONTAINERS_REGISTRIES_CONF" => Some(conf.clone().into_os_string()),
            _ => None,
        };
        let all = Registries::load(&env).unwrap();
        std::fs::remove_dir_all(&home).unwrap();
        assert_eq!(all.candidates("tool:1"), ["b.example/tool:1".parse().unwrap()]);
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in "(\\[\\[registry\\]\\]\n|prefix = \"[a-z.*/:@]{0,12}\"\n|location = \"[a-z./:]{0,12}\"\n|\\PC{0,9}\n){0,5}",
            name in "[a-z.*/:@]{1,20}") {
            let mut all = Registries::default();
            if all.add(&text).is_ok() {
                drop(all.candidates(&name));
                if let Ok(reference) = name.parse::<Reference>() {
                    all.endpoints(&reference).ok();
                }
            }
        }
    }

    #[test]
    fn old_files_and_wrong_ones() {
        let all = of("[registries.search]\nregistries = ['s.example']\n[registries.insecure]\nregistries = ['i.example']");
        assert_eq!(all.search_list(), ["s.example"]);
        assert!(all.is_insecure(&"i.example/x".parse().unwrap()).unwrap());
        let mut all = Registries::default();
        for (wrong, why) in [
            ("[[registry]]\ninsecure = true", "neither prefix nor location"),
            ("unqualified-search-registries = 3", ""),
            ("=", ""),
            ("short-name-mode = \"x\"", ""),
            ("[[registry]]\nlocation = \"a\"\nmirror = [{}]", "no location"),
            ("[[registry]]\nprefix = \"a.example\"\nblocked = true", "no location"),
            ("[[registry]]\nlocation = \"http://a.example\"", "leave the http:// away"),
            ("[[registry]]\nlocation = \"a.example\"\nmirror = [{location = \"https://m.example\"}]", "https://"),
            ("[[registry]]\nlocation = \"a.example\"\nmirror = [{location = \"m.example\", pull-from-mirror = \"digests\"}]", "digest-only"),
            ("[[registry]]\nlocation = \"a.example\"\npull-from-mirror = \"all\"", "for mirrors"),
            ("[[registry]]\nlocation = \"a.example\"\nmirror-by-digest-only = true\nmirror = [{location = \"m.example\", pull-from-mirror = \"all\"}]", "exclude"),
            ("unqualified-search-registries = [\"what ever\"]", "no registry"),
            ("unqualified-search-registries = [\"https://a.example\"]", "https://"),
            ("[aliases]\n\"a.example/x\" = \"b.example/x\"", "no short name"),
            ("[aliases]\nx = \"y\"", "registry and a repository"),
            ("[aliases]\nx = \"b.example/y:1\"", "without tag"),
            ("[aliases]\nx = \"b.example/UP\"", "lowercase"),
        ] {
            let error = all.add(wrong).unwrap_err();
            assert!(error.contains(why), "{wrong}: {error}");
        }
        let all = of("unqualified-search-registries = [\"s.example/\"]\ncredential-helpers = [\"bar\"]");
        assert_eq!((all.search_list(), all.credential_helpers()), (&["s.example".to_owned()][..], &["bar".to_owned()][..]));
        let all = of("[[registry]]\nprefix = \"a.example\"\nlocation = \"UP per\"");
        assert!(matches!(all.endpoints(&"a.example/x".parse().unwrap()), Err(RegistriesError::Target { .. })));
    }
}
