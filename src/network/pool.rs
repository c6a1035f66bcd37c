//! Which addresses of a network are whose. Pure: told of every change, never looks anywhere.
//!
//! An address is *used* by a container that runs, or *kept* for one that does not but may come back. Kept ones are only
//! given away when nothing else is left, or to who asks for one by number.

use std::collections::{BTreeMap, HashMap};
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
    /// The network keeps it for something that is no container.
    #[error("address {ip} is reserved for {name} (--aux-address)")]
    Reserved {
        /// The address.
        ip: IpAddr,
        /// For what.
        name: String,
    },
    /// All are in use.
    #[error("all addresses of {0} are in use")]
    Full(Subnet),
    /// All of the part containers get their addresses from are in use.
    #[error("all addresses from {first} to {last} are in use, which is the range of {subnet} that is handed out (--ip-range)")]
    RangeFull {
        /// The first.
        first: IpAddr,
        /// The last.
        last: IpAddr,
        /// The network's.
        subnet: Subnet,
    },
}

/// The addresses of one subnet.
#[derive(Debug)]
pub struct Pool {
    record: SubnetRecord,
    first: IpAddr,
    last: IpAddr,
    /// The one handed out last: the next is looked for after it, so that an address rests before it is used again.
    latest: Option<IpAddr>,
    reserved: HashMap<IpAddr, String>,
    used: HashMap<IpAddr, String>,
    kept: HashMap<IpAddr, String>,
}

impl Pool {
    /// All free but the reserved ones.
    pub fn new(record: SubnetRecord, reserved: &BTreeMap<String, IpAddr>) -> Self {
        let (first, last) = record.subnet.hosts();
        let (first, last) = match record.range {
            Some(range) => (range.first.max(first), range.last.min(last)),
            None => (first, last),
        };
        let reserved = reserved.iter().map(|(name, ip)| (*ip, name.clone())).collect();
        Self { record, first, last, latest: None, reserved, used: HashMap::new(), kept: HashMap::new() }
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
            if !self.record.is_host(ip) {
                return Err(PoolError::Outside { ip, subnet: self.record.subnet });
            }
            if let Some(name) = self.reserved.get(&ip) {
                return Err(PoolError::Reserved { ip, name: name.clone() });
            }
            if let Some(holder) = self.used.get(&ip).filter(|holder| *holder != container) {
                return Err(PoolError::Taken { ip, holder: holder.get(..12).unwrap_or(holder).to_owned() });
            }
            return Ok(self.assign(ip, container));
        }
        let mine = |map: &HashMap<IpAddr, String>, ip: &IpAddr| map.get(ip).is_none_or(|holder| holder == container);
        if let Some(ip) = before.filter(|ip| self.is_open(*ip) && mine(&self.used, ip) && mine(&self.kept, ip)) {
            return Ok(self.assign(ip, container));
        }
        let start = self.latest.and_then(Subnet::next).filter(|ip| *ip <= self.last).unwrap_or(self.first);
        let mut spare = None;
        let mut ip = start;
        loop {
            if self.is_open(ip) && !self.used.contains_key(&ip) {
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
        let ip = spare.ok_or_else(|| self.full())?;
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

    fn is_open(&self, ip: IpAddr) -> bool {
        self.record.is_host(ip) && !self.reserved.contains_key(&ip)
    }

    fn full(&self) -> PoolError {
        match self.record.range {
            Some(_) => PoolError::RangeFull { first: self.first, last: self.last, subnet: self.record.subnet },
            None => PoolError::Full(self.record.subnet),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str, range: Option<&str>) -> Pool {
        let subnet: Subnet = subnet.parse().unwrap();
        let record = SubnetRecord { subnet, gateway: subnet.hosts().0, range: range.map(|text| text.parse().unwrap()) };
        Pool::new(record, &[("router".to_owned(), ip("10.5.0.9"))].into())
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
        assert!(matches!(pool.take("b", Some(ip("10.5.0.9")), None, HERE), Err(PoolError::Reserved { .. })));
        assert_eq!(pool.take("b", None, None, HERE), Ok(ip("10.5.0.128")));
        let mut pool = super::tests::pool("10.5.0.0/24", Some("10.5.0.8-10.5.0.10"));
        assert_eq!(pool.take("a", None, Some(ip("10.5.0.9")), HERE), Ok(ip("10.5.0.8")));
        assert_eq!(pool.take("b", None, None, HERE), Ok(ip("10.5.0.10")));
        let full = pool.take("c", None, None, HERE).unwrap_err().to_string();
        assert!(full.starts_with("all addresses from 10.5.0.8 to 10.5.0.10 are in use"), "{full}");
        let mut six = super::tests::pool("fd00:5::/64", None);
        assert_eq!(six.take("a", None, None, HERE), Ok(ip("fd00:5::2")));
        assert_eq!(six.take("b", Some(ip("fd00:5::ff")), None, HERE), Ok(ip("fd00:5::ff")));
    }
}
