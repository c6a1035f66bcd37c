//! The filters of `ps`, `container prune` and of every verb that takes `--filter`.

use std::ops::RangeInclusive;

use crate::engine::filter::{self, Filters, Pattern};
use crate::engine::{Engine, Error};
use crate::network::store::{NetworkRecord, Networks};
use crate::spec::port::Protocol;
use crate::spec::{Expose, NetworkMode, Reference};
use crate::state::record::{Health, MountKind};
use crate::state::{Containers, Entry, Status};

const KEYS: &[&str] = &[
    "ancestor", "before", "command", "exited", "expose", "health", "id", "is-task", "label", "label!", "name", "network",
    "pod", "publish", "restart-policy", "since", "status", "until", "volume",
];

/// All filters of one command, checked and looked up.
#[derive(Debug)]
pub(super) struct RowFilter {
    /// As typed, and the user network that is.
    networks: Vec<(String, Option<NetworkRecord>)>,
    filters: Filters,
    names: Vec<Pattern>,
    ancestors: Vec<Ancestor>,
    before: Option<i64>,
    since: Option<i64>,
    until: Option<i64>,
    publish: Vec<Ports>,
    expose: Vec<Ports>,
    exited: Vec<i32>,
    /// Where health is looked up.
    engine: Engine,
}

/// Ports of one protocol.
#[derive(Debug)]
struct Ports {
    range: RangeInclusive<u16>,
    protocol: Protocol,
}

/// An image a container may come from.
#[derive(Debug)]
struct Ancestor {
    /// A prefix of its id.
    id: Option<String>,
    /// Its repository, and its tag if one was given.
    name: Option<(Reference, bool)>,
}

impl RowFilter {
    pub(super) fn parse(engine: &Engine, containers: &Containers<'_>, texts: &[String]) -> Result<Self, Error> {
        let filters = Filters::parse(texts, KEYS)?;
        let created = |key: &str, youngest: bool| -> Result<Option<i64>, Error> {
            let mut bound: Option<i64> = None;
            for name in filters.values(key) {
                let time = containers.read(&containers.find(name)?)?.created;
                bound = Some(bound.map_or(time, |bound| if youngest { bound.max(time) } else { bound.min(time) }));
            }
            Ok(bound)
        };
        for word in filters.values("status") {
            status_word(word)?;
        }
        for word in filters.values("is-task") {
            filter::boolean("is-task", word)?;
        }
        let exited = filters.values("exited").iter().map(|text| {
            text.parse().map_err(|_| Error::Usage(format!("invalid filter exited={text}: an exit code is a number")))
        });
        let networks = Networks::new(&engine.paths);
        Ok(Self {
            names: filter::patterns(&filters, "name")?,
            ancestors: filters.values("ancestor").iter().map(|text| Ancestor::parse(engine, text)).collect(),
            before: created("before", false)?,
            since: created("since", true)?,
            until: filter::until(&filters)?,
            publish: filters.values("publish").iter().map(|text| Ports::parse("publish", text)).collect::<Result<_, _>>()?,
            expose: filters.values("expose").iter().map(|text| Ports::parse("expose", text)).collect::<Result<_, _>>()?,
            networks: filters.values("network").iter().map(|text| (text.clone(), networks.get(text).ok())).collect(),
            exited: exited.collect::<Result<_, _>>()?,
            engine: engine.clone(),
            filters,
        })
    }

    /// Filters by state look at all containers, also without `-a`.
    pub(super) fn asks_for_state(&self) -> bool {
        self.filters.has("status") || self.filters.has("exited")
    }

    pub(super) fn fits(&self, entry: &Entry) -> bool {
        if self.filters.is_empty() {
            return true;
        }
        self.fits_identity(entry) && self.fits_state(entry) && self.fits_surroundings(entry)
    }

    fn fits_identity(&self, entry: &Entry) -> bool {
        let record = &entry.record;
        (self.names.is_empty() || self.names.iter().any(|pattern| pattern.fits(&record.name)))
            && self.filters.any("id", |prefix| record.id.starts_with(prefix.as_str()))
            && self.filters.labels(&record.config.labels)
            && (self.ancestors.is_empty() || self.ancestors.iter().any(|image| image.fits(&record.image)))
            && self.before.is_none_or(|time| record.created < time)
            && self.since.is_none_or(|time| record.created > time)
            && self.until.is_none_or(|time| record.created < time)
            && self.filters.any("command", |text| {
                record.config.entrypoint.iter().chain(&record.config.command).next().is_some_and(|first| first.contains(text.as_str()))
            })
    }

    fn fits_state(&self, entry: &Entry) -> bool {
        let state = entry.status.word();
        let code = if let Status::Exited(exit) = &entry.status { Some(exit.code) } else { None };
        self.filters.any("status", |word| status_word(word).is_ok_and(|word| word == state))
            && (self.exited.is_empty() || code.is_some_and(|code| self.exited.contains(&code)))
            && self.filters.any("health", |asked| {
                super::health::word(&self.engine, &entry.record).map_or("none", Health::word) == asked
            })
            // Nothing is a swarm's task or in a pod.
            && self.filters.any("is-task", |word| filter::boolean("is-task", word).is_ok_and(|task| !task))
            && self.filters.any("pod", String::is_empty)
            && self.filters.any("restart-policy", |name| entry.record.spec.lifecycle.restart.name() == name)
    }

    fn fits_surroundings(&self, entry: &Entry) -> bool {
        let record = &entry.record;
        let published = || -> Vec<(u16, Protocol)> {
            let bound = entry.status.run().map(|run| run.ports.as_slice()).unwrap_or_default();
            let asked = record.spec.network.publish.iter().flat_map(|port| port.mappings().collect::<Vec<_>>());
            let asked = asked.map(|port| (port.container, port.protocol));
            bound.iter().map(|port| (port.container_port, port.protocol)).chain(asked).collect()
        };
        let exposed = |ports: &Ports| {
            let list = record.config.exposed.iter().filter_map(|text| text.parse::<Expose>().ok());
            list.into_iter().any(|expose| {
                expose.protocol == ports.protocol
                    && expose.container.first <= *ports.range.end()
                    && expose.container.last >= *ports.range.start()
            })
        };
        self.filters.any("volume", |text| {
            record.config.mounts.iter().any(|mount| {
                mount.target == *text || (mount.kind == MountKind::Volume && mount.name == *text) || mount.source == *text
            })
        }) && (self.networks.is_empty() || self.networks.iter().any(|(text, network)| on_network(&record.spec.network.modes, text, network.as_ref())))
            && (self.publish.is_empty() || {
                let published = published();
                self.publish.iter().any(|ports| published.iter().any(|&(port, protocol)| ports.has(port, protocol)))
            })
            && (self.expose.is_empty() || {
                let published = published();
                self.expose.iter().any(|ports| {
                    exposed(ports) || published.iter().any(|&(port, protocol)| ports.has(port, protocol))
                })
            })
    }
}

fn on_network(modes: &[NetworkMode], text: &str, network: Option<&NetworkRecord>) -> bool {
    let named = |mode: &NetworkMode| match mode {
        NetworkMode::Named(_) => crate::engine::network::is_on(std::slice::from_ref(mode), network, text),
        NetworkMode::Default(_) => matches!(text, "slirp4netns" | "default" | "bridge"),
        NetworkMode::Pasta(_) => text == "pasta",
        NetworkMode::None | NetworkMode::Host | NetworkMode::Container(_) | NetworkMode::Ns(_) => mode.to_string() == text,
    };
    if modes.is_empty() { named(&NetworkMode::default()) } else { modes.iter().any(named) }
}

/// docker's and podman's words for a state, as docker's.
fn status_word(word: &str) -> Result<&'static str, Error> {
    Ok(match word {
        "created" | "configured" => "created",
        "running" | "initialized" => "running",
        "paused" => "paused",
        "restarting" => "restarting",
        "exited" | "stopped" => "exited",
        "removing" | "stopping" => "removing",
        "dead" | "unknown" => "dead",
        _ => {
            return Err(Error::Usage(format!(
                "invalid filter status={word}: use created, running, paused, restarting, exited, removing or dead"
            )));
        }
    })
}

impl Ports {
    fn parse(key: &str, text: &str) -> Result<Self, Error> {
        let bad = || Error::Usage(format!("invalid filter {key}={text}: use PORT[-PORT][/PROTOCOL]"));
        let expose: Expose = text.parse().map_err(|_| bad())?;
        Ok(Self { range: expose.container.first..=expose.container.last, protocol: expose.protocol })
    }

    fn has(&self, port: u16, protocol: Protocol) -> bool {
        self.protocol == protocol && self.range.contains(&port)
    }
}

impl Ancestor {
    fn parse(engine: &Engine, text: &str) -> Self {
        let bare = text.strip_prefix("sha256:").unwrap_or(text);
        let hex = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_hexdigit());
        let short = engine.config.images.short_names();
        let name = Reference::parse_bare(text, &short).ok().map(|reference| {
            let tagged = reference.tag().is_some() || reference.digest().is_some();
            (Reference::parse(text, &short).unwrap_or(reference), tagged)
        });
        Self { id: hex.then(|| bare.to_ascii_lowercase()), name }
    }

    fn fits(&self, image: &crate::state::record::ImageRef) -> bool {
        let by_id = self.id.as_ref().is_some_and(|prefix| image.id.starts_with(prefix.as_str()));
        by_id
            || self.name.as_ref().is_some_and(|(wanted, tagged)| {
                let Ok(found) = Reference::parse(&image.name, &crate::spec::ShortNames::default()) else { return false };
                found.repository() == wanted.repository()
                    && (!tagged || (found.tag() == wanted.tag() && (wanted.digest().is_none() || found.digest() == wanted.digest())))
            })
    }
}
