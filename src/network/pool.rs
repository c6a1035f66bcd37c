//! Which addresses of a network are whose. Pure: told of every change, never looks anywhere.
//!
//! An address is *used* by a container that runs, or *kept* for one that does not but may come back. Kept ones are only
//! given away when nothing else is left, or to who asks for one by number.

use std::collections::HashMap;
use std::net::IpAddr;

use super::store::SubnetRecord;
use crate::spec::subnet::Subnet;

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Another container has it.
    #[error("address {ip} is already in use by container {holder}")]
    Taken {
        /// The address.
        ip: IpAddr,
        /// Who has it.
        holder: String,
    },
    /// Not one a container of the network can have.
    #[error("address {ip} cannot be had: it is not a host address of {subnet}, or its gateway")]
    Outside {
        /// The address.
        ip: IpAddr,
        /// The network's.
        subnet: Subnet,
    },
    /// All are in use.
    #[error("all addresses of {0} are in use")]
    Full(Subnet),
}

/// The addresses of one subnet.
#[derive(Debug)]
pub struct Pool {
    record: SubnetRecord,
    first: IpAddr,
    last: IpAddr,
    /// The one handed out last: the next is looked for after it, so that an address rests before it is used again.
    latest: Option<IpAddr>,
    used: HashMap<IpAddr, String>,
    kept: HashMap<IpAddr, String>,
}

impl Pool {
    /// All free.
    pub fn new(record: SubnetRecord) -> Self {
        let (first, last) = record.subnet.hosts();
        let (first, last) = match record.range {
            Some(range) => (range.first.max(first), range.last.min(last)),
            None => (first, last),
        };
        Self { record, first, last, latest: None, used: HashMap::new(), kept: HashMap::new() }
    }

    /// The subnet.
    pub fn subnet(&self) -> SubnetRecord {
        self.record
    }

    /// Keeps an address for a container that is not running.
    pub fn keep(&mut self, ip: IpAddr, container: &str) {
        if self.record.subnet.contains(ip) && !self.used.contains_key(&ip) {
            self.kept.insert(ip, container.to_owned());
        }
    }

    /// Gives a container the address it wants, else the one it had before, else a free one. `exists` says whether a
    /// container an address is kept for is still there.
    ///
    /// # Errors
    /// The wanted one cannot be had, or there is none.
    pub fn take(
        &mut self,
        container: &str,
        wanted: Option<IpAddr>,
        before: Option<IpAddr>,
        exists: &dyn Fn(&str) -> bool,
    ) -> Result<IpAddr, PoolError> {
        if let Some(ip) = wanted {
            if !self.is_host(ip) {
                return Err(PoolError::Outside { ip, subnet: self.record.subnet });
            }
            if let Some(holder) = self.used.get(&ip).filter(|holder| *holder != container) {
                return Err(PoolError::Taken { ip, holder: holder.get(..12).unwrap_or(holder).to_owned() });
            }
            return Ok(self.assign(ip, container));
        }
        let mine = |map: &HashMap<IpAddr, String>, ip: &IpAddr| map.get(ip).is_none_or(|holder| holder == container);
        if let Some(ip) = before.filter(|ip| self.is_host(*ip) && mine(&self.used, ip) && mine(&self.kept, ip)) {
            return Ok(self.assign(ip, container));
        }
        let start = self.latest.and_then(Subnet::next).filter(|ip| *ip <= self.last).unwrap_or(self.first);
        let mut spare = None;
        let mut ip = start;
        loop {
            if self.is_host(ip) && !self.used.contains_key(&ip) {
                match self.kept.get(&ip) {
                    Some(holder) if holder != container && exists(holder) => spare = spare.or(Some(ip)),
                    _ => {
                        self.latest = Some(ip);
                        return Ok(self.assign(ip, container));
                    }
                }
            }
            // IPv6 subnets are never gone through as a whole: as many steps as there are addresses in use are enough.
            ip = if ip >= self.last { self.first } else { Subnet::next(ip).unwrap_or(self.first) };
            if ip == start {
                break;
            }
        }
        let ip = spare.ok_or(PoolError::Full(self.record.subnet))?;
        Ok(self.assign(ip, container))
    }

    fn assign(&mut self, ip: IpAddr, container: &str) -> IpAddr {
        self.kept.remove(&ip);
        self.used.insert(ip, container.to_owned());
        ip
    }

    /// The container has left; its address stays kept for it.
    pub fn give_back(&mut self, ip: IpAddr, container: &str) {
        if self.used.get(&ip).is_some_and(|holder| holder == container) {
            self.used.remove(&ip);
            self.kept.insert(ip, container.to_owned());
        }
    }

    fn is_host(&self, ip: IpAddr) -> bool {
        let (first, last) = self.record.subnet.hosts();
        ip.is_ipv6() == self.record.subnet.is_ipv6() && ip >= first && ip <= last && ip != self.record.gateway
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str, range: Option<&str>) -> Pool {
        let subnet: Subnet = subnet.parse().unwrap();
        Pool::new(SubnetRecord { subnet, gateway: subnet.hosts().0, range: range.map(|text| text.parse().unwrap()) })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    const HERE: &dyn Fn(&str) -> bool = &|_| true;
    const GONE: &dyn Fn(&str) -> bool = &|_| false;

    #[test]
    fn addresses_rest_before_they_are_used_again() {
        let mut pool = pool("10.5.0.0/29", None);
        assert_eq!(pool.take("a", None, None, HERE), Ok(ip("10.5.0.2")));
        assert_eq!(pool.take("b", None, None, HERE), Ok(ip("10.5.0.3")));
        pool.give_back(ip("10.5.0.2"), "a");
        assert_eq!(pool.take("c", None, None, GONE), Ok(ip("10.5.0.4")));
        assert_eq!(pool.take("d", None, None, GONE), Ok(ip("10.5.0.5")));
        assert_eq!(pool.take("e", None, None, GONE), Ok(ip("10.5.0.6")));
        assert_eq!(pool.take("f", None, None, GONE), Ok(ip("10.5.0.2")));
        assert_eq!(pool.take("g", None, None, GONE), Err(PoolError::Full("10.5.0.0/29".parse().unwrap())));
    }

    #[test]
    fn who_comes_back_finds_its_address() {
        let mut pool = pool("10.5.0.0/29", None);
        pool.keep(ip("10.5.0.2"), "a");
        assert_eq!(pool.take("b", None, None, HERE), Ok(ip("10.5.0.3")));
        assert_eq!(pool.take("a", None, Some(ip("10.5.0.2")), HERE), Ok(ip("10.5.0.2")));
        pool.give_back(ip("10.5.0.2"), "a");
        // Kept ones go last, and to who asks by number.
        for expected in ["10.5.0.4", "10.5.0.5", "10.5.0.6", "10.5.0.2"] {
            assert_eq!(pool.take(expected, None, None, HERE), Ok(ip(expected)));
        }
        assert_ne!(pool.take("a", None, Some(ip("10.5.0.2")), HERE), Ok(ip("10.5.0.2")));
    }

    #[test]
    fn wanted_addresses() {
        let mut pool = pool("10.5.0.0/24", Some("10.5.0.128/25"));
        assert_eq!(pool.take("a", Some(ip("10.5.0.7")), None, HERE), Ok(ip("10.5.0.7")));
        let error = pool.take("b", Some(ip("10.5.0.7")), None, HERE).unwrap_err();
        assert!(error.to_string().contains("in use by container a"), "{error}");
        for bad in ["10.5.0.0", "10.5.0.1", "10.5.0.255", "10.6.0.1", "::1"] {
            assert!(matches!(pool.take("b", Some(ip(bad)), None, HERE), Err(PoolError::Outside { .. })), "{bad}");
        }
        assert_eq!(pool.take("b", None, None, HERE), Ok(ip("10.5.0.128")));
        let mut six = super::tests::pool("fd00:5::/64", None);
        assert_eq!(six.take("a", None, None, HERE), Ok(ip("fd00:5::2")));
        assert_eq!(six.take("b", Some(ip("fd00:5::ff")), None, HERE), Ok(ip("fd00:5::ff")));
    }
}
