//! The storage room: mounts of layers under a writable directory.

pub mod fuse;
