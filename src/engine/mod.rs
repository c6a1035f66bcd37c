//! The verbs: each composes the rooms below (image, storage, network, runtime, state…) into one thing a user asked for.
//!
//! Doors (command line, compose, REST) call these functions with typed values and get typed values back; nothing here
//! reads arguments or prints.

pub mod build;
mod child;
pub mod container;
pub mod doctor;
pub mod error;
mod filter;
mod notice;
pub mod hello;
pub mod image;
mod mounted;
pub mod network;
pub mod options;
pub mod outfile;
pub mod system;
pub mod volume;
pub mod volume_archive;

pub use crate::state::Paths;
pub use error::{Error, Kind};

use std::path::Path;

use crate::config::Config;

/// What every verb needs: where things are, and how the user wants them. Passed down, never global.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The directories.
    pub paths: Paths,
    /// The configuration.
    pub config: Config,
    /// The home directory was no place for the store.
    pub moved: Option<crate::state::place::Moved>,
}

impl Engine {
    /// Reads the configuration and finds the directories. `root` and `runroot` are `--root` and `--runroot`, `config`
    /// is `--config`: the file to read in place of the user's own.
    ///
    /// # Errors
    /// When there is no home, no safe runtime directory, or the configuration is wrong.
    pub fn open(root: Option<&Path>, runroot: Option<&Path>, config: Option<&Path>) -> Result<Self, Error> {
        let mut paths = Paths::from_env(root, runroot)?;
        let config = match config {
            Some(file) => Config::read_named(file)?,
            None => Config::read(&paths.config.join("config.toml"))?,
        };
        if config.containers.subordinate_ids == Some(false) {
            crate::userns::prefer_single();
        }
        let mut moved = None;
        match (&config.storage.directory, root) {
            (_, Some(_)) => {}
            (Some(directory), None) if directory.is_absolute() => paths.data.clone_from(directory),
            (Some(directory), None) => {
                return Err(Error::Usage(format!("configuration, storage.directory: {} is not an absolute path", directory.display())));
            }
            (None, None) => moved = paths.settle(),
        }
        crate::userns::share(&paths.data);
        Ok(Self { paths, config, moved })
    }
}
