//! The verbs of `network`.

mod connect;
pub(in crate::engine) mod link;
mod list;
pub(in crate::engine) mod wire;

pub use connect::{connect, disconnect, reload};
pub(super) use list::{built_in_id, endpoint_id};
pub use list::{NetworkListing, NetworkRow, inspect, list};

use std::net::IpAddr;

use super::container::attach;
use super::container::rm;
use super::container::stop::ask;
use super::filter::{self, Filters};
use super::options::RemoveOptions;
use super::{Engine, Error};
use crate::monitor::protocol::Request;
use crate::network::holder::client::{self, HolderError};
use crate::network::store::{NetworkRecord, NetworkStoreError, Networks};
use crate::spec::network::NetworkMode;
use crate::state::{ContainerRecord, Containers};

pub use crate::network::store::NewNetwork;

impl From<NetworkStoreError> for Error {
    fn from(error: NetworkStoreError) -> Self {
        match error {
            NetworkStoreError::NotFound(name) => Self::NotFound { what: "network", name },
            NetworkStoreError::State(error) => Self::State(error),
            NetworkStoreError::Exists { .. } => Self::Conflict(error.to_string()),
            NetworkStoreError::Ambiguous(_)
            | NetworkStoreError::Reserved(_)
            | NetworkStoreError::Invalid { .. }
            | NetworkStoreError::Full(_) => Self::Usage(error.to_string()),
        }
    }
}

/// A container that is on a network, running or not.
#[derive(Debug)]
pub(super) struct User {
    pub(super) record: ContainerRecord,
    pub(super) run: Option<crate::state::RunRecord>,
}

/// The containers that name a network.
pub(super) fn users(engine: &Engine, network: &NetworkRecord) -> Result<Vec<User>, Error> {
    let (entries, _) = Containers::new(&engine.paths).list()?;
    let short = |text: &str| text.len() >= 4 && network.id.starts_with(text);
    let names = |record: &ContainerRecord| {
        let attachments = wire::attachments(&wire::modes(&engine.config, record));
        attachments.iter().any(|each| each.network == network.name || short(&each.network))
    };
    let on = |run: Option<&crate::state::RunRecord>| run.is_some_and(|run| run.networks.iter().any(|lease| lease.network_id == network.id));
    Ok(entries
        .into_iter()
        .filter(|entry| names(&entry.record) || on(entry.status.run()))
        .map(|entry| User { run: entry.status.run().cloned(), record: entry.record })
        .collect())
}

/// Makes a network and returns its id.
///
/// # Errors
/// A name that is taken; addresses or options that cannot be.
pub fn create(engine: &Engine, new: &NewNetwork) -> Result<String, Error> {
    Ok(Networks::new(&engine.paths).create(new, crate::format::time::now())?.id)
}

/// Whether there is such a network; the ones that are always there count.
pub fn exists(engine: &Engine, name: &str) -> bool {
    list::BUILT_IN.iter().any(|(known, ..)| *known == name) || Networks::new(&engine.paths).get(name).is_ok()
}

/// Removes a network no container uses. `force` is docker's: a missing one is no error; one in use stays.
///
/// # Errors
/// No such network; it is in use, or one of those that are always there.
pub fn remove(engine: &Engine, name: &str, force: bool) -> Result<(), Error> {
    if list::BUILT_IN.iter().any(|(known, ..)| *known == name) {
        return Err(Error::Denied {
            message: format!("{name} is a pre-defined network and cannot be removed"),
            hint: "networks made with `kelp network create` can be".to_owned(),
        });
    }
    let networks = Networks::new(&engine.paths);
    let _lock = networks.lock()?;
    let network = match networks.get(name) {
        Err(NetworkStoreError::NotFound(_)) if force => return Ok(()),
        // A damaged record is no reason to keep a network.
        Err(NetworkStoreError::State(_)) => return Ok(networks.remove(name)?),
        other => other?,
    };
    let users = users(engine, &network)?;
    if !users.is_empty() {
        let names: Vec<&str> = users.iter().map(|user| user.record.name.as_str()).collect();
        return Err(Error::Conflict(format!(
            "network {} is in use by container {}: disconnect or remove it first",
            network.name,
            names.join(", ")
        )));
    }
    if is_used_elsewhere(engine, &network) {
        return Err(Error::Conflict(format!("network {} is in use by a container of another data directory", network.name)));
    }
    Ok(networks.remove(&network.name)?)
}

/// Whether a running container is on it whose data directory is not ours: networks are the user's, whatever `--root` says.
fn is_used_elsewhere(engine: &Engine, network: &NetworkRecord) -> bool {
    let containers = Containers::new(&engine.paths);
    let runs = std::fs::read_dir(engine.paths.run.join("c")).into_iter().flatten().flatten();
    runs.filter_map(|entry| containers.run_record(entry.file_name().to_str()?))
        .any(|run| run.networks.iter().any(|lease| lease.network_id == network.id) && crate::state::live::alive(run.monitor))
}

/// Removes the containers that use a network; none when there is no such network. Those that run are stopped, killed after
/// so many seconds.
///
/// # Errors
/// A container that cannot be removed.
pub fn remove_users(engine: &Engine, name: &str, timeout: Option<i64>) -> Result<(), Error> {
    let network = match Networks::new(&engine.paths).get(name) {
        Err(NetworkStoreError::NotFound(_)) => return Ok(()),
        other => other?,
    };
    let options = RemoveOptions { force: true, timeout, volumes: true };
    users(engine, &network)?.iter().try_for_each(|user| rm::remove(engine, &user.record.id, &options))
}

/// Removes every network no container uses and returns their names.
///
/// # Errors
/// A filter that makes no sense.
pub fn prune(engine: &Engine, filters: &[String]) -> Result<Vec<String>, Error> {
    let filters = Filters::parse(filters, &["label", "label!", "until"])?;
    let until = filter::until(&filters)?;
    let networks = Networks::new(&engine.paths);
    let mut removed = Vec::new();
    // A home that cannot be written, and has none, is no obstacle.
    if networks.list()?.0.is_empty() {
        return Ok(removed);
    }
    let _lock = networks.lock()?;
    for network in networks.list()?.0 {
        let old = until.is_none_or(|until| network.created < until);
        if old && filters.labels(&network.labels) && users(engine, &network)?.is_empty() && !is_used_elsewhere(engine, &network) {
            networks.remove(&network.name)?;
            removed.push(network.name);
        }
    }
    Ok(removed)
}

/// Adds and removes name servers of a network, for running containers too.
///
/// # Errors
/// No such network; a server to be removed that it does not have.
pub fn update(engine: &Engine, name: &str, add: &[IpAddr], drop: &[IpAddr]) -> Result<(), Error> {
    let networks = Networks::new(&engine.paths);
    let _lock = networks.lock()?;
    let mut network = networks.get(name)?;
    for server in drop {
        if !network.dns_servers.contains(server) {
            return Err(Error::Conflict(format!("network {} does not have the name server {server}", network.name)));
        }
        network.dns_servers.retain(|known| known != server);
    }
    for server in add {
        if !network.dns_servers.contains(server) {
            network.dns_servers.push(*server);
        }
    }
    networks.write(&network)?;
    client::update(&engine.paths.network_run(), &network).map_err(holder)
}

fn holder(error: HolderError) -> Error {
    Error::Network(error.to_string())
}

/// Where a name leads on the user networks, of all containers that run.
///
/// # Errors
/// Nobody has that name.
pub fn resolve(engine: &Engine, name: &str) -> Result<Vec<client::FoundName>, Error> {
    match client::resolve(&engine.paths.network_run(), name) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(HolderError::None) => Err(Error::NotFound { what: "name", name: name.to_owned() }),
        Err(error) => Err(holder(error)),
    }
}

/// Tells a container's networks that it has another name.
pub(super) fn renamed(engine: &Engine, id: &str, name: &str) -> Result<(), Error> {
    match attach::connect(engine, id) {
        Ok((_, socket)) => ask(&socket, &Request::Rename { name: name.to_owned() }),
        Err(_) => Ok(()),
    }
}

/// Whether one of these modes is, or names, this network: for filters.
pub(super) fn is_on(modes: &[NetworkMode], network: Option<&NetworkRecord>, text: &str) -> bool {
    let by_record = |name: &str| network.is_some_and(|network| network.name == name || network.id.starts_with(name) && name.len() >= 4);
    wire::attachments(modes).iter().any(|each| each.network == text || by_record(&each.network))
}
