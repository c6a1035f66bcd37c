//! Verbs of `kelp healthcheck`.

pub(crate) mod run;
