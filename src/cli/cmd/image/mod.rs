//! Verbs on images.

pub(crate) mod build;
pub(crate) mod builder;
pub(crate) mod diff;
pub(crate) mod exists;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod ls;
pub(crate) mod mount;
mod platforms;
pub(crate) mod prune;
pub(crate) mod pull;
pub(crate) mod push;
pub(crate) mod rm;
pub(crate) mod save;
pub(crate) mod search;
pub(crate) mod sign;
pub(crate) mod tag;
pub(crate) mod untag;
pub(crate) mod tree;
