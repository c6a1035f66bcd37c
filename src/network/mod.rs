//! The network of a container: its namespace's links and routes, slirp4netns, published ports, name files.
//!
//! - [`private`]: the default network of one container: slirp4netns and the thread inside.
//! - [`slirp`]: the slirp4netns process of the default network.
//! - [`store`]: user networks as defined; [`holder`]: the process that makes them be, with [`pool`] (addresses), [`links`]
//!   (bridges, veth pairs) and [`masquerade`].
//! - [`pasta`]: the same by pasta, where a container asks for it.
//! - [`ports`]: published ports, from the listening sockets of the host to the servers inside.
//! - [`dns`], [`hosts`]: the content of resolv.conf and /etc/hosts (pure); [`files`]: both, as networks come and go.
//! - [`host_access`]: servers on the host's loopback, for containers that may reach some.
//! - [`resolver`]: the name server of user networks.
//! - [`netlink`]: links, addresses, routes and rules of a namespace.
//!
//! Decides nothing about users or storage, and starts no container.

pub mod dns;
pub mod files;
pub mod holder;
pub mod host_access;
pub mod hosts;
pub mod links;
pub mod masquerade;
pub mod netlink;
pub mod pool;
pub mod pasta;
pub mod ports;
pub mod private;
pub mod resolver;
pub mod slirp;
pub mod store;
