//! What is mounted into the container.

use super::{Surroundings, bytes};
use crate::cli::exit::UsageError;
use crate::spec::container::{ImageVolumes, StorageSpec};
use crate::spec::mount::{MountSource, MountSpec, TmpfsSpec};

/// The storage section of `run` and `create`.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Storage")]
pub(crate) struct StorageFlags {
    /// Mount a directory of the host or a volume; without SOURCE an anonymous volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]")]
    volume: Vec<String>,
    /// Mount in the long form: type=bind|volume|tmpfs|image|glob|devpts,source=…,target=…,…
    #[arg(long, value_name = "KEY=VALUE,…")]
    mount: Vec<String>,
    /// Mount memory
    #[arg(long, value_name = "TARGET[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// Mount the volumes another container has
    #[arg(long, value_name = "CONTAINER[:ro]")]
    volumes_from: Vec<String>,
    /// Make the root file system read-only
    #[arg(long)]
    read_only: bool,
    /// Keep /run, /tmp and /var/tmp of a read-only container writable (default true)
    #[arg(long, value_name = "BOOL")]
    read_only_tmpfs: Option<bool>,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE")]
    shm_size: Option<String>,
    /// Give a device of the host to the container
    #[arg(long, value_name = "HOST[:CONTAINER][:rwm]")]
    device: Vec<String>,
    /// What a VOLUME of the image becomes: anonymous, tmpfs or ignore
    #[arg(long, value_name = "KIND")]
    image_volume: Option<String>,
}

impl StorageFlags {
    pub(crate) fn apply(self, storage: &mut StorageSpec, around: &Surroundings<'_>) -> Result<(), UsageError> {
        let Self {
            volume,
            mount,
            tmpfs,
            volumes_from,
            read_only,
            read_only_tmpfs,
            shm_size,
            device,
            image_volume,
        } = self;
        for text in volume {
            storage.mounts.push(text.parse().map_err(|error| plain("--volume", error))?);
        }
        for text in mount {
            storage.mounts.push(MountSpec::parse_long(&text).map_err(|error| plain("--mount", error))?);
        }
        for mount in &mut storage.mounts {
            if let MountSource::Bind { path, .. } | MountSource::Glob { pattern: path } = &mut mount.source {
                *path = around.absolute(path);
            }
            if let Some(dirs) = &mut mount.options.overlay_dirs {
                (dirs.upper, dirs.work) = (around.absolute(&dirs.upper), around.absolute(&dirs.work));
            }
        }
        storage.tmpfs = tmpfs
            .iter()
            .map(|text| text.parse::<TmpfsSpec>().map_err(|error| plain("--tmpfs", error)))
            .collect::<Result<_, _>>()?;
        no_target_twice(storage)?;
        for text in &volumes_from {
            match text.split_once(':') {
                Some((_, options)) if !options.split(',').all(|word| matches!(word, "ro" | "rw" | "z")) => {
                    return Err(UsageError::value("--volumes-from", text, "the options are ro, rw and z"));
                }
                _ if text.is_empty() || text.starts_with(':') => {
                    return Err(UsageError::value("--volumes-from", text, "the container is missing"));
                }
                _ => {}
            }
        }
        storage.volumes_from = volumes_from;
        storage.read_only = read_only;
        storage.read_only_tmpfs = read_only_tmpfs;
        storage.shm_size = bytes("--shm-size", shm_size)?;
        storage.devices = device;
        storage.image_volumes = match image_volume.as_deref() {
            None | Some("anonymous" | "bind") => ImageVolumes::Anonymous,
            Some("tmpfs") => ImageVolumes::Tmpfs,
            Some("ignore") => ImageVolumes::Ignore,
            Some(other) => return Err(UsageError::value("--image-volume", other, "use anonymous, tmpfs or ignore")),
        };
        Ok(())
    }
}

/// These errors quote their value themselves.
fn plain(flag: &str, error: impl std::fmt::Display) -> UsageError {
    UsageError::new(format!("{flag}: {error}"))
}

fn no_target_twice(storage: &StorageSpec) -> Result<(), UsageError> {
    let mut targets: Vec<&str> = storage.mounts.iter().filter(|mount| !matches!(mount.source, MountSource::Glob { .. })).map(|mount| mount.target.as_str()).collect();
    targets.extend(storage.tmpfs.iter().map(|tmpfs| tmpfs.target.as_str()));
    targets.sort_unstable();
    match targets.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(UsageError::new(format!("duplicate mount point: {} is the target of two mounts", pair[0]))),
        None => Ok(()),
    }
}
