//! All flags of `create`, which are those of `run` too, and the one way from them to a `ContainerSpec`.

use std::path::PathBuf;

use super::health::HealthFlags;
use super::image::RegistryFlags;
use super::lifecycle::LifecycleFlags;
use super::logging::LogFlags;
use super::network::NetworkFlags;
use super::process::ProcessFlags;
use super::resources::ResourceFlags;
use super::security::{NamespaceFlags, SecurityFlags};
use super::storage::StorageFlags;
use super::Surroundings;
use crate::cli::exit::UsageError;
use crate::engine::options::{CreateOptions, Streams};
use crate::spec::ContainerSpec;
use crate::spec::container::{ImageSource, NamespaceMode};

/// What `run` and `create` have in common.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct ContainerFlags {
    #[command(flatten)]
    process: ProcessFlags,
    #[command(flatten)]
    storage: StorageFlags,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    security: SecurityFlags,
    #[command(flatten)]
    namespaces: NamespaceFlags,
    #[command(flatten)]
    resources: ResourceFlags,
    #[command(flatten)]
    log: LogFlags,
    #[command(flatten)]
    lifecycle: LifecycleFlags,
    #[command(flatten)]
    health: HealthFlags,
    #[command(flatten)]
    registry: RegistryFlags,
    /// When to pull the image: missing, always, never, newer
    #[arg(long, value_name = "POLICY", help_heading = "Image")]
    pull: Option<String>,
    /// IMAGE is an unpacked directory of the host; :O keeps it unchanged
    #[arg(long, help_heading = "Image")]
    rootfs: bool,
    /// Name of the container
    #[arg(long, value_name = "NAME", help_heading = "Lifecycle")]
    name: Option<String>,
    /// Remove another container that has the name first
    #[arg(long, help_heading = "Lifecycle")]
    replace: bool,
    /// Connect only these: stdin, stdout, stderr
    #[arg(short, long, value_name = "STREAM", help_heading = "Process", ignore_case = true)]
    attach: Vec<String>,
    /// The image, the command, its arguments: what follows the image is never read as flags of kelp
    #[arg(value_name = "IMAGE", required = true, num_args = 1.., trailing_var_arg = true, hide = true)]
    words: Vec<String>,
}

/// A container as asked for, and how to make it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) spec: ContainerSpec,
    pub(crate) create: CreateOptions,
    /// What `-a` said; `None` is the default.
    pub(crate) streams: Option<Streams>,
}

impl ContainerFlags {
    /// The spec these flags ask for.
    pub(crate) fn into_spec(self, around: &Surroundings<'_>) -> Result<Asked, UsageError> {
        let Self {
            process,
            storage,
            network,
            security,
            namespaces,
            resources,
            log,
            lifecycle,
            health,
            registry,
            pull,
            rootfs,
            name,
            replace,
            attach,
            words,
        } = self;
        let mut words = words.into_iter();
        let image = words.next().unwrap_or_default();
        if image.is_empty() {
            return Err(UsageError::new("the image is missing"));
        }
        let name = name.as_deref().map(container_name).filter(|name| !name.is_empty());
        let mut spec = ContainerSpec { name: name.map(str::to_owned), ..ContainerSpec::default() };
        let labels = process.apply(&mut spec.process, around)?;
        spec.labels = labels.labels;
        spec.annotations = labels.annotations;
        spec.process.command = words.collect();
        storage.apply(&mut spec.storage, around)?;
        network.apply(&mut spec.network)?;
        security.apply(&mut spec.security)?;
        namespaces.apply(&mut spec.namespaces)?;
        resources.apply(&mut spec.resources)?;
        log.apply(&mut spec.logging, around)?;
        lifecycle.apply(&mut spec.lifecycle, around)?;
        health.apply(&mut spec.health)?;
        if matches!(spec.namespaces.uts, NamespaceMode::Host | NamespaceMode::Container(_)) {
            let given = [("--hostname", &spec.network.hostname), ("--domainname", &spec.network.domainname)];
            if let Some((flag, _)) = given.into_iter().find(|(_, name)| name.is_some()) {
                return Err(UsageError::conflict(flag, "--uts of another"));
            }
        }
        spec.image = if rootfs { rootfs_source(&image, around) } else { ImageSource::Image(image) };
        let create = CreateOptions { pull: registry.read(("--pull", pull))?, replace };
        if create.replace && spec.name.is_none() {
            return Err(UsageError::new("--replace needs --name: it says which container to replace"));
        }
        Ok(Asked { spec, create, streams: streams(&attach)? })
    }
}

fn rootfs_source(text: &str, around: &Surroundings<'_>) -> ImageSource {
    let (path, overlay) = match text.strip_suffix(":O") {
        Some(path) => (path, true),
        None => (text, false),
    };
    ImageSource::Rootfs { path: around.absolute(&PathBuf::from(path)), overlay }
}

fn streams(attach: &[String]) -> Result<Option<Streams>, UsageError> {
    if attach.is_empty() {
        return Ok(None);
    }
    let mut streams = Streams { stdin: false, stdout: false, stderr: false };
    for name in attach {
        match name.to_ascii_lowercase().as_str() {
            "stdin" => streams.stdin = true,
            "stdout" => streams.stdout = true,
            "stderr" => streams.stderr = true,
            _ => return Err(UsageError::value("--attach", name, "use stdin, stdout or stderr")),
        }
    }
    Ok(Some(streams))
}

/// docker's API puts a slash before names, and scripts hand it back.
pub(crate) fn container_name(typed: &str) -> &str {
    typed.strip_prefix('/').unwrap_or(typed)
}
