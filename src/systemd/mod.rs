//! systemd, where there is one: transient scopes from the service manager over D-Bus. Knows the protocol and nothing of
//! containers.

mod bus;
mod message;
mod scope;

pub use bus::{BusError, manager_reachable};
pub use scope::{PendingScope, Scope, is_delegated, start_scope};
