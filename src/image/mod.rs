//! The image room: what images are (manifest, configuration), where they are kept and how they get here.

pub mod archive;
pub mod blobs;
pub mod compose;
pub mod compress;
pub mod compression;
pub mod deflate;
pub mod config;
pub mod durable;
pub mod hello;
pub mod layers;
pub mod lease;
pub mod lists;
pub mod manifest;
pub mod names;
pub mod origin;
pub mod pull;
pub mod push;
pub mod registry;
pub mod signature;
pub mod store;
pub mod packed;
pub mod unpack;
pub mod verify;

pub use config::ImageConfig;
pub use lease::Lease;
pub use layers::{Claim, LayerError, LayerStore, LayerTxn};
pub use store::{Image, ImageRecord, ImageStore, NewImage, Removal, RunImage, StoreError};
