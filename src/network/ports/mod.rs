//! Published ports: from listening sockets on the host to servers in the container's network namespace.
//!
//! - [`bind`](bind()) opens the host's sockets, before the container starts, in the host's namespace, unless they were
//!   inherited from systemd.
//! - [`prepare`] makes a container's namespace let connections through that carry their client's address.
//! - [`serve`] moves the bytes, in one thread that lives in the container's namespace.
//!
//! # The client's address
//! A host socket accepts in whatever namespace its owner is. The connection to the server is made inside, from a
//! socket bound (`IP_TRANSPARENT`) to the client's own address and port and marked (`SO_MARK`). The marked packets'
//! answers must come back to us instead of leaving by the default route: with `net.ipv4.tcp_fwmark_accept` the
//! server's socket inherits the mark, and a rule sends marked packets to a table that says "all of this is local". UDP
//! servers inherit nothing, so answers from a published UDP port are looked up in a table that holds the addresses of
//! the clients with a live session, and only those.
//!
//! Clients from the host's loopback never appear as 127.0.0.1 or ::1 inside, where many servers ask no password of
//! "themselves" (CVE-2021-20199): they appear as the gateway. The same goes for any address that means something else
//! inside: the container's own, link-local and multicast ones. A server bound to 127.0.0.1 inside is not reachable,
//! as with docker. An IPv6 client whose server listens on IPv4 only also appears as the gateway.

mod bind;
mod forward;
mod inherited;
mod inner;
mod tcp;
mod udp;

pub use bind::{Listener, Listeners, PortError, bind};
pub use forward::serve;
pub use inherited::matching;
pub use inner::{Target, prepare};
