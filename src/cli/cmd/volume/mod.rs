//! Verbs on volumes.

pub(crate) mod create;
pub(crate) mod exists;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod rm;
