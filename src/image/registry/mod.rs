//! Registries: the client side of the OCI distribution protocol, over HTTP(S).
//!
//! Everything a registry sends is untrusted: sizes are bounded, digests checked, redirects kept within bounds. No other room
//! speaks HTTP to the outside. `client` has the requests, `transport` what is below them, `auth` and `credentials` who we are.

mod auth;
pub mod auth_file;
pub mod challenge;
mod client;
pub mod credentials;
mod dns;
pub mod download;
mod error;
#[cfg(test)]
pub(in crate::image) mod fake;
pub mod login;
mod own_ca;
mod patience;
mod proxy;
pub mod registries;
mod resolver;
pub mod search;
mod sender;
mod transport;
mod upload;

pub use client::{BlobStream, ClientOptions, FetchedManifest, Repository};
pub use credentials::{AuthFile, Credentials, CredentialsError};
pub use error::RegistryError;
pub use upload::{Mount, Upload};
