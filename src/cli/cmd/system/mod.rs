//! Verbs on kelp itself, and on objects of any kind.

pub(crate) mod completion;
pub(crate) mod check;
pub(crate) mod df;
pub(crate) mod doctor;
pub(crate) mod info;
pub(crate) mod inspect;
pub(crate) mod version;
pub(crate) mod prune;
pub(crate) mod reset;
pub(crate) mod unshare;
