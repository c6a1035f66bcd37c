//! End to end: the real binary against the real kernel, as an ordinary user, each test in a home of its own.
//!
//! One file per noun or group of verbs under `tests/cli/`; what they share is in `tests/support/`. `contrib/test` runs
//! them all; see there for the user, packages and images they need.
#![allow(clippy::unwrap_used, clippy::print_stderr, clippy::print_stdout, clippy::cast_possible_truncation, let_underscore_drop)]
#![allow(clippy::octal_escapes, clippy::collapsible_match)]

mod support;

mod cli {
    mod check;
    mod claims;
    mod build_files;
    mod commit;
    mod crash;
    mod drivers;
    mod applications;
    mod copy;
    mod health;
    mod endpoints;
    mod exchange;
    mod host_access;
    mod hostile;
    mod hosts;
    mod images;
    mod lifecycle;
    mod lists;
    mod mounts;
    mod network;
    mod networks;
    mod races;
    mod registry;
    mod prune;
    mod run;
    mod sandbox;
    mod scenario;
    mod single;
    mod streams;
    mod tokens;
    mod unshare;
    mod volumes;
}

mod build {
    mod asked;
    mod cached;
    mod elsewhere;
    mod everyday;
    mod names;
    mod owners;
    mod safety;
    mod steps;
}

#[path = "vm/guests.rs"]
mod vm;
