//! `network connect`, `disconnect` and `reload`: the networks of a container that is there already. Its record is changed
//! first, so that a start finds it right; if it runs, its monitor does the same to its namespace.

use crate::engine::container::attach;
use crate::engine::container::stop::ask;
use crate::engine::{Engine, Error};
use crate::monitor::protocol::Request;
use crate::network::store::Networks;
use crate::spec::network::{Attachment, NetworkMode, SlirpOptions};
use crate::state::{ContainerRecord, Containers, lease};

use super::list::BUILT_IN;
use super::{link, wire};

/// Puts a container on a network.
///
/// # Errors
/// No such network or container; it is there already, or has a network it shares with others.
pub fn connect(engine: &Engine, container: &str, attachment: &Attachment) -> Result<(), Error> {
    if let Some(name) = built_in(&attachment.network) {
        return connect_default(engine, container, name, attachment);
    }
    let networks = Networks::new(&engine.paths);
    let network = networks.get(&attachment.network)?;
    let containers = Containers::new(&engine.paths);
    let id = containers.find(container)?;
    let mut attachment = Attachment { network: network.name.clone(), ..attachment.clone() };
    link::check(engine, &mut attachment.links)?;
    containers.edit(&id, |record| {
        check(engine, record, container)?;
        if place(&networks, record, &network.id).is_some() {
            return Err(Error::Conflict(format!("container {container} is already connected to network {}", network.name)));
        }
        record.spec.network.modes = wire::modes(&engine.config, record);
        match record.spec.network.modes.iter_mut().find_map(|mode| if let NetworkMode::Named(list) = mode { Some(list) } else { None }) {
            Some(list) => list.push(attachment.clone()),
            None => record.spec.network.modes.push(NetworkMode::Named(vec![attachment.clone()])),
        }
        Ok(())
    })??;
    let wish = Box::new(wire::wish(network.clone(), &attachment));
    let links = link::on_network(engine, &attachment, &network.id);
    let told = tell(engine, &id, &Request::Connect { wish, links }).map(drop);
    if told.is_err() {
        // It could not be: the record is as it was.
        drop(containers.edit(&id, |record| Ok::<_, Error>(remove(&networks, record, &network.id))));
    }
    told
}

/// Takes a container off a network. With `force` one that is gone, or not there, is no error.
///
/// # Errors
/// No such network or container; it is not on it, or on no other.
pub fn disconnect(engine: &Engine, container: &str, network: &str, force: bool) -> Result<(), Error> {
    if let Some(name) = built_in(network) {
        return disconnect_default(engine, container, name, force);
    }
    let networks = Networks::new(&engine.paths);
    let network = networks.get(network)?;
    let containers = Containers::new(&engine.paths);
    let id = match containers.find(container) {
        Err(crate::state::StateError::NotFound(_)) if force => return Ok(()),
        other => other?,
    };
    let left = containers.edit(&id, |record| if remove(&networks, record, &network.id) { Ok(true) } else { Err(false) })?;
    let left = left.unwrap_or_else(|left| left);
    if !left && !force {
        return Err(Error::Conflict(format!("container {container} is not connected to network {}", network.name)));
    }
    if !tell(engine, &id, &Request::Disconnect { network: network.id.clone() })? {
        // Nobody else gives its address back. A store that cannot be written has not changed either.
        drop(lease::forget(&engine.paths, &id, &network.id));
    }
    Ok(())
}

/// Puts a container on the default network.
fn connect_default(engine: &Engine, container: &str, name: &str, attachment: &Attachment) -> Result<(), Error> {
    let plain = Attachment { network: attachment.network.clone(), ..Attachment::default() };
    if name != "bridge" {
        return Err(Error::Conflict(format!("no container can be connected to network {name}: choose it when the container is made")));
    }
    if *attachment != plain {
        return Err(Error::Usage("addresses, aliases, links, driver options and priorities are for networks made with `kelp network create`: on network bridge there is nothing to choose".to_owned()));
    }
    let containers = Containers::new(&engine.paths);
    let id = containers.find(container)?;
    let options = SlirpOptions { mtu: engine.config.network.mtu, ..SlirpOptions::default() };
    let default = NetworkMode::Default(SlirpOptions::default());
    containers.edit(&id, |record| {
        check(engine, record, container)?;
        let mut modes = wire::modes(&engine.config, record);
        if !matches!(wire::base(&modes), NetworkMode::Named(_)) {
            return Err(Error::Conflict(format!("container {container} is already connected to network {name}")));
        }
        modes.retain(|mode| !matches!(mode, NetworkMode::Named(list) if list.is_empty()));
        modes.insert(0, default.clone());
        record.spec.network.modes = modes;
        Ok(())
    })??;
    let told = tell(engine, &id, &Request::Default { slirp: Some(options) }).map(drop);
    if told.is_err() {
        // It could not be: the record is as it was.
        drop(containers.edit(&id, |record| Ok::<_, Error>(remove_default(engine, record))));
    }
    told
}

/// Takes a container off the default network.
fn disconnect_default(engine: &Engine, container: &str, name: &str, force: bool) -> Result<(), Error> {
    let containers = Containers::new(&engine.paths);
    let id = match containers.find(container) {
        Err(crate::state::StateError::NotFound(_)) if force => return Ok(()),
        other => other?,
    };
    let left = name == "bridge" && containers.edit(&id, |record| Ok::<_, Error>(remove_default(engine, record)))??;
    match (left, force) {
        (true, _) => tell(engine, &id, &Request::Default { slirp: None }).map(drop),
        (false, true) => Ok(()),
        (false, false) => Err(Error::Conflict(format!("container {container} is not connected to network {name}"))),
    }
}

fn remove_default(engine: &Engine, record: &mut ContainerRecord) -> bool {
    let mut modes = wire::modes(&engine.config, record);
    let Some(place) = modes.iter().position(|mode| matches!(mode, NetworkMode::Default(_))) else { return false };
    modes.remove(place);
    if modes.is_empty() {
        // It keeps its namespace and what is published.
        modes.push(NetworkMode::Named(Vec::new()));
    }
    record.spec.network.modes = modes;
    true
}

/// The name of a network that is always there, by that or its id.
fn built_in(text: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(name, _, id)| *name == text || text.len() >= 12 && id.starts_with(text)).map(|(name, ..)| *name)
}

/// Takes a running container off its networks and puts it on them again.
///
/// # Errors
/// No such container; it does not run.
pub fn reload(engine: &Engine, container: &str) -> Result<(), Error> {
    let (_, socket) = attach::connect(engine, container)?;
    ask(&socket, &Request::Reload)
}

/// Where in the record a network is: by name, or by the id as typed.
fn place(networks: &Networks, record: &ContainerRecord, id: &str) -> Option<(usize, usize)> {
    record.spec.network.modes.iter().enumerate().find_map(|(index, mode)| {
        let NetworkMode::Named(list) = mode else { return None };
        let found = list.iter().position(|each| networks.get(&each.network).is_ok_and(|network| network.id == id))?;
        Some((index, found))
    })
}

fn remove(networks: &Networks, record: &mut ContainerRecord, id: &str) -> bool {
    let Some((mode, index)) = place(networks, record, id) else { return false };
    if let NetworkMode::Named(list) = &mut record.spec.network.modes[mode] {
        list.remove(index);
        // Without any network it keeps its namespace and what is published.
        if list.is_empty() && record.spec.network.modes.len() > 1 {
            record.spec.network.modes.remove(mode);
        }
    }
    true
}

fn check(engine: &Engine, record: &ContainerRecord, name: &str) -> Result<(), Error> {
    match wire::base(&wire::modes(&engine.config, record)) {
        NetworkMode::Default(_) | NetworkMode::Named(_) => Ok(()),
        NetworkMode::None => Err(Error::Conflict(format!(
            "container {name} cannot be connected to a network: it was made with --network none"
        ))),
        mode => Err(Error::Conflict(format!("container {name} cannot be connected to a network: it was made with --network {mode}"))),
    }
}

/// Tells the monitor of a container, and whether there is one: one that does not run has none, and needs none.
fn tell(engine: &Engine, id: &str, request: &Request) -> Result<bool, Error> {
    match attach::connect(engine, id) {
        Ok((_, socket)) => ask(&socket, request).map(|()| true),
        Err(Error::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
