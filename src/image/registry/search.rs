//! Looking for images: docker's hub has a search of its own, other registries at most a list of all they have.
//!
//! Owns both requests and making one kind of answer of them.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::client::{Ask, ClientOptions, Repository};
use super::error::RegistryError;

const MAX_ANSWER: u64 = 8 << 20;
const MAX_PAGES: usize = 200;
/// Where the hub's search answers.
const HUB: &str = "index.docker.io";

/// A repository that was found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Found {
    /// The repository's path.
    pub name: String,
    /// What its owner says.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub description: String,
    /// Stars on the hub.
    #[serde(default, rename = "star_count")]
    pub stars: i64,
    /// Whether the hub's operators keep it.
    #[serde(default, rename = "is_official")]
    pub official: bool,
    /// Whether the hub builds it.
    #[serde(default, rename = "is_automated")]
    pub automated: bool,
}

#[derive(Deserialize)]
struct HubAnswer {
    #[serde(default)]
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Catalog {
    #[serde(default)]
    repositories: Option<Vec<String>>,
}

/// Repositories of a registry whose names hold `term`, at most `limit`.
///
/// # Errors
/// When the registry cannot be reached, or offers neither way of searching.
pub fn search(domain: &str, term: &str, limit: usize, options: &ClientOptions) -> Result<Vec<Found>, RegistryError> {
    if domain == "docker.io" {
        return hub(HUB, term, limit, options);
    }
    match catalog(domain, term, limit, options) {
        Err(RegistryError::NotFound { .. } | RegistryError::Denied { .. }) => {
            // Some registries have only the old way.
            hub(domain, term, limit, options).map_err(|error| match error {
                RegistryError::NotFound { .. } => RegistryError::Protocol {
                    url: domain.to_owned(),
                    reason: "it offers no search; `search --list-tags` needs the whole name of an image".to_owned(),
                },
                other => other,
            })
        }
        other => other,
    }
}

fn hub(domain: &str, term: &str, limit: usize, options: &ClientOptions) -> Result<Vec<Found>, RegistryError> {
    let registry = Repository::open(domain, "", "", options)?;
    let query: String = reqwest::Url::parse_with_params("http://x/", [("q", term), ("n", &limit.to_string())])
        .ok()
        .and_then(|url| url.query().map(str::to_owned))
        .unwrap_or_default();
    let ask = Ask::new(reqwest::Method::GET, format!("/v1/search?{query}"), "search");
    let (head, raw) = registry.fetch(&ask, MAX_ANSWER)?;
    let answer: HubAnswer = serde_json::from_slice(&raw)
        .map_err(|_| RegistryError::Protocol { url: head.url, reason: "it sent no result of a search".to_owned() })?;
    let mut results = answer.results;
    results.truncate(limit);
    results.iter_mut().for_each(clean);
    Ok(results)
}

fn catalog(domain: &str, term: &str, limit: usize, options: &ClientOptions) -> Result<Vec<Found>, RegistryError> {
    let registry = Repository::open(domain, "", "", options)?;
    let mut found = Vec::new();
    let mut next = Some("/v2/_catalog?n=1000".to_owned());
    let mut seen = BTreeSet::new();
    while let Some(path) = next.take() {
        // A page may lead to itself.
        if seen.len() >= MAX_PAGES || !seen.insert(path.clone()) {
            break;
        }
        let (head, raw) = registry.fetch(&Ask::new(reqwest::Method::GET, path, "list of repositories"), MAX_ANSWER)?;
        let page: Catalog = serde_json::from_slice(&raw)
            .map_err(|_| RegistryError::Protocol { url: head.url.clone(), reason: "it sent no list of repositories".to_owned() })?;
        for name in page.repositories.unwrap_or_default() {
            if name.contains(term) {
                let mut one = Found { name, description: String::new(), stars: 0, official: false, automated: false };
                clean(&mut one);
                found.push(one);
            }
            if found.len() >= limit {
                return Ok(found);
            }
        }
        next = head.next;
    }
    Ok(found)
}

/// Nothing a registry says moves the cursor.
fn clean(found: &mut Found) {
    for text in [&mut found.name, &mut found.description] {
        *text = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(2000).collect();
    }
}

fn null_is_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, Reply};
    use super::*;

    #[test]
    fn both_ways() {
        let fake = Fake::start();
        let host = format!("127.0.0.1:{}", fake.port);
        let options = ClientOptions { certs_d: Vec::new(), retries: 0, ..ClientOptions::default() };
        let go = |term: &str, limit| search(&host, term, limit, &options);
        assert!(go("x", 5).unwrap_err().to_string().contains("offers no search"));
        fake.hook(|asked, _| {
            let hub = r#"{"results":[{"name":"a\u001b[2J","description":null,"star_count":3,"is_official":true},{"name":"b"}]}"#;
            asked.path.starts_with("/v1/search?q=a%26b&n=").then(|| Reply::new(200, hub))
        });
        let found = go("a&b", 1).unwrap();
        assert_eq!((found.len(), found[0].name.as_str(), found[0].stars, found[0].official), (1, "a [2J", 3, true));
        fake.hook(|asked, _| match asked.path.as_str() {
            "/v2/_catalog?n=1000" => {
                let link = "</v2/_catalog?n=1000&last=m>; rel=\"next\"";
                Some(Reply::new(200, r#"{"repositories":["team/app","x"]}"#).with("Link", link))
            }
            _ => Some(Reply::new(200, r#"{"repositories":["zapp"]}"#)),
        });
        let names: Vec<String> = go("app", 9).unwrap().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["team/app", "zapp"]);
        assert_eq!(go("app", 1).unwrap().len(), 1);
    }
}
