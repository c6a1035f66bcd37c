//! The spec room: every value a user can type or a stage hands on, as plain checked data. Imports no other room.

pub mod container;
pub mod caps;
pub mod digest;
pub mod env;
pub mod health;
pub mod host_access;
pub mod host_entry;
pub mod mount;
pub mod network;
pub mod platform;
pub mod port;
pub mod pull_policy;
pub mod reference;
pub mod device;
pub mod security;
pub mod signal;
pub mod subnet;
pub mod sysctl;
pub mod ulimit;
pub mod user;

pub use container::ContainerSpec;
pub use caps::{Cap, CapSet, CapWord};
pub use digest::{Digest, Digester};
pub use host_entry::HostEntry;
pub use network::NetworkMode;
pub use platform::Platform;
pub use port::{Expose, Port, PortBinding, Protocol};
pub use pull_policy::PullPolicy;
pub use reference::{Reference, ShortNames};
pub use device::Device;
pub use subnet::{IpRange, Subnet};
pub use security::{SeccompChoice, SecurityOpt, SecurityOpts};
pub use sysctl::{Sysctl, SysctlNamespace};
pub use ulimit::{Resource, Ulimit, UlimitWord};
pub use user::{Account, UserSpec};
