//! From a plan to a running process: what a container's first process does between clone and exec, and the same for
//! `exec`. Knows nothing of images, records or networks; those hand it paths and descriptors inside the [`plan::Plan`].

mod accounts;
pub mod cgroup;
mod errand;
pub mod fakes;
pub mod init;
pub mod join;
pub mod launch;
pub mod plan;
mod report;
mod rootfs;
mod server;
mod terminal;

pub use launch::{Launched, launch};
pub use report::{Failure, Step};
pub use rootfs::{make_upper, overlay};
pub use server::{Served, ShownOwners, serve};
pub use terminal::set_size as set_terminal_size;
