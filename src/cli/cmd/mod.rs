//! The verbs by noun, one file each: flags, help, function.

pub(crate) mod container;
pub(crate) mod healthcheck;
pub(crate) mod image;
pub(crate) mod manifest;
pub(crate) mod network;
pub(crate) mod system;
pub(crate) mod volume;
