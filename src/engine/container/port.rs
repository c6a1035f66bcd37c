//! `port`: the published ports of a running container as they came to be.

use crate::engine::{Engine, Error};
use crate::spec::port::{PortBinding, Protocol};
use crate::state::Containers;

/// All bindings, sorted by container port; none when the container does not run.
///
/// # Errors
/// No such container.
pub fn ports(engine: &Engine, container: &str) -> Result<Vec<PortBinding>, Error> {
    let containers = Containers::new(&engine.paths);
    let id = containers.find(container)?;
    let mut ports = containers.status(&id)?.run().map(|run| run.ports.clone()).unwrap_or_default();
    ports.sort_by_key(|port| (port.container_port, port.protocol, port.host_ip, port.host_port));
    Ok(ports)
}

/// Those of one container port, given as `80`, `80/tcp` or `53/udp`.
///
/// # Errors
/// No such container, not a port, or one that is not published.
pub fn ports_of(engine: &Engine, container: &str, port: &str) -> Result<Vec<PortBinding>, Error> {
    let (number, protocol) = parse(port)?;
    let found: Vec<_> = ports(engine, container)?
        .into_iter()
        .filter(|binding| binding.container_port == number && binding.protocol == protocol)
        .collect();
    if found.is_empty() {
        return Err(Error::Conflict(format!("no public port \"{number}/{protocol}\" published for {container}")));
    }
    Ok(found)
}

fn parse(text: &str) -> Result<(u16, Protocol), Error> {
    let bad = || Error::Usage(format!("invalid port \"{text}\": use PORT or PORT/tcp, PORT/udp, PORT/sctp"));
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    Ok((number.parse().map_err(|_| bad())?, protocol.parse().map_err(|_| bad())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_without_protocol_is_tcp() {
        assert_eq!(parse("80").unwrap(), (80, Protocol::Tcp));
        assert_eq!(parse("53/udp").unwrap(), (53, Protocol::Udp));
        assert!(parse("x").is_err() && parse("80/x").is_err());
    }
}
