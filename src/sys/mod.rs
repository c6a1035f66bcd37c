//! Safe wrappers of system calls; the only `unsafe` code of the crate lives in this directory.
//!
//! Wrappers take borrowed descriptors and C strings, return owned descriptors and errno, and decide nothing.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the kernel answers in registers: its pids, descriptors and counts fit the types they are given here"
)]

pub mod beside;
pub mod chown;
pub mod copy;
pub mod copy_tree;
pub mod identity;
pub mod loopback;
pub mod mount;
pub mod mounted;
pub mod net;
pub mod process;
pub mod root;
pub mod socket;

pub mod caps;
pub mod notify;
pub mod overlay;
pub mod prctl;
pub mod seccomp;
pub mod tree;
