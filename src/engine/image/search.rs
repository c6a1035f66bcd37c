//! `search`: images and tags on registries.

use serde_json::{Value, json};

use super::pull::{ask as ask_places, ask_any, direct_client, registries, registry};
use crate::engine::options::PullOptions;
use crate::engine::{Engine, Error};
use crate::image::registry::search::{Found, search as ask};

/// How to search.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchOptions {
    /// The registry, credentials.
    pub registry: PullOptions,
    /// `--limit`; results of each registry.
    pub limit: usize,
    /// `--filter KEY=VALUE`.
    pub filters: Vec<String>,
}

/// Repositories with `term` in their names, with docker's keys and podman's. A term `HOST/…` is searched on that host.
///
/// # Errors
/// A filter that is none; no registry offers a search.
pub fn search(engine: &Engine, term: &str, options: &SearchOptions) -> Result<Vec<Value>, Error> {
    let filter = Filter::read(&options.filters)?;
    let (hosts, term) = places(engine, term)?;
    let mut rows = Vec::new();
    let mut errors = Vec::new();
    for host in &hosts {
        let client = direct_client(engine, &format!("{host}/x").parse()?, &options.registry)?;
        match ask(host, &term, options.limit, &client) {
            Ok(found) => rows.extend(found.into_iter().filter(|one| filter.accepts(one)).map(|one| row(host, one))),
            Err(error) => errors.push(registry(error)),
        }
    }
    match errors.pop() {
        Some(error) if rows.is_empty() => Err(error),
        _ => Ok(rows),
    }
}

/// The tags of a repository.
///
/// # Errors
/// What the registry says.
pub fn list_tags(engine: &Engine, name: &str, options: &SearchOptions) -> Result<Vec<Value>, Error> {
    let clean = |tag: String| tag.chars().filter(|c| !c.is_control()).collect::<String>();
    ask_any(engine, name, &|reference| {
        let tags = ask_places(engine, reference, &options.registry, &|repository| repository.tags(options.limit))?;
        Ok(tags.into_iter().map(|tag| json!({ "Name": reference.familiar_name(), "Tag": clean(tag) })).collect())
    })
}

/// Where to search, and for what.
fn places(engine: &Engine, term: &str) -> Result<(Vec<String>, String), Error> {
    if let Some((host, rest)) = term.split_once('/')
        && (host.contains(['.', ':']) || host == "localhost")
    {
        return Ok((vec![host.to_owned()], rest.to_owned()));
    }
    let own = engine.config.images.registry.as_deref().and_then(|prefix| prefix.split('/').next());
    let hosts: Vec<String> = match own {
        Some(host) => vec![host.to_owned()],
        None => {
            let listed = registries()?;
            let mut hosts: Vec<String> = listed.search_list().iter().filter_map(|r| r.split('/').next()).map(str::to_owned).collect();
            hosts.dedup();
            if hosts.is_empty() { vec!["docker.io".to_owned()] } else { hosts }
        }
    };
    Ok((hosts, term.to_owned()))
}

fn row(host: &str, found: Found) -> Value {
    let whole = format!("{host}/{}", found.name);
    let tick = |yes: bool| if yes { "[OK]" } else { "" };
    json!({
        "Index": host,
        "Name": if host == "docker.io" { found.name } else { whole },
        "Description": found.description,
        "StarCount": found.stars.to_string(),
        "Stars": found.stars.to_string(),
        "IsOfficial": tick(found.official),
        "Official": tick(found.official),
        "IsAutomated": tick(found.automated),
        "Automated": tick(found.automated),
    })
}

/// What `--filter` asks for.
#[derive(Debug, Default, PartialEq)]
struct Filter {
    stars: i64,
    official: Option<bool>,
    automated: Option<bool>,
}

impl Filter {
    fn read(texts: &[String]) -> Result<Self, Error> {
        let mut filter = Self::default();
        for text in texts {
            let wrong = || Error::Usage(format!("invalid filter \"{text}\": expected stars=N, is-official=BOOL or is-automated=BOOL"));
            let (key, value) = text.split_once('=').ok_or_else(wrong)?;
            match key {
                "stars" => filter.stars = value.parse().map_err(|_| wrong())?,
                "is-official" => filter.official = Some(value.parse().map_err(|_| wrong())?),
                "is-automated" => filter.automated = Some(value.parse().map_err(|_| wrong())?),
                _ => return Err(wrong()),
            }
        }
        Ok(filter)
    }

    fn accepts(&self, found: &Found) -> bool {
        found.stars >= self.stars
            && self.official.is_none_or(|wanted| wanted == found.official)
            && self.automated.is_none_or(|wanted| wanted == found.automated)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters() {
        let read = |texts: &[&str]| Filter::read(&texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>());
        let filter = read(&["stars=3", "is-official=true"]).unwrap();
        let found = |stars, official| Found { name: String::new(), description: String::new(), stars, official, automated: false };
        assert!(filter.accepts(&found(3, true)) && !filter.accepts(&found(2, true)) && !filter.accepts(&found(9, false)));
        for wrong in ["stars", "stars=x", "color=red", "is-official=maybe"] {
            assert!(read(&[wrong]).is_err(), "{wrong}");
        }
    }
}
