//! The name server of user networks: containers by name, everything else by the host's servers.
//!
//! - [`Zones`]: which names there are, who may see them.
//! - [`Resolver`]: the thread that answers, given the sockets of each network.
//! - [`name`], [`wire`]: the protocol (pure, fuzzed).
//!
//! One thread and one epoll for all networks; what it keeps is bounded whatever is asked. Knows nothing of bridges or
//! leases: sockets and names are given to it.

mod cache;
mod forward;
pub mod name;
mod server;
mod servers;
mod stream;
pub mod wire;
mod zone;

pub use name::Name;
pub use server::{Options, PORT, Resolver, ResolverError, Sockets};
pub use zone::{DOMAIN, Found, HOST_NAMES, Lookup, Member, NetworkZone, SharedZones, Subnet, Zones};

#[cfg(test)]
mod tests;
